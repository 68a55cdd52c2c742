package sql

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"net/url"
	"strconv"
	"time"

	hdb "github.com/SAP/go-hdb/driver"
	"github.com/SAP/go-hdb/driver/dial"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// hana is the dialect of SAP HANA. Numbers and times are turned into texts by the server, in full.
type hana struct{ standard }

const hanaStamp = `YYYY-MM-DD"T"HH24:MI:SS`

// hanaConfig reads hdb://user:password@host:443?databaseName=name. Its errors do not quote it: it holds a password.
func hanaConfig(connection string, timeout time.Duration) (*hdb.ConnectorConfig, error) {
	u, err := url.Parse(connection)
	if err != nil || u.Scheme != "hdb" || u.Hostname() == "" {
		return nil, errors.New("this is no SAP HANA connection URL")
	}
	cfg, err := hdb.ParseDSNConfig(connection)
	if err != nil {
		return nil, errors.New("the parameters of this SAP HANA connection URL cannot be read")
	}
	cfg.ReadTimeout, cfg.Dialer, cfg.ApplicationName = timeout+time.Second, hanaDialer{}, "waybill"
	return cfg, nil
}

// hanaDialer goes where the hub may go.
type hanaDialer struct{}

func (hanaDialer) DialContext(ctx context.Context, address string, o dial.DialerOptions) (net.Conn, error) {
	d := httpclient.Dialer()
	if o.Timeout > 0 {
		d.Timeout = o.Timeout
	}
	return d.DialContext(ctx, "tcp", address)
}

func openHANA(connection string, conns int, timeout time.Duration) (*sql.DB, error) {
	cfg, err := hanaConfig(connection, timeout)
	if err != nil {
		return nil, err
	}
	c, err := hdb.NewConfigConnector(cfg)
	if err != nil {
		return nil, err
	}
	return pooled(sql.OpenDB(c), conns), nil
}

func (hana) param(int) string                   { return "?" }
func (hana) probe() string                      { return "SELECT 1 FROM DUMMY" }
func (hana) text(expr string) string            { return expr }
func (hana) textTimes() bool                    { return false }
func (hana) lockWait() string                   { return "" } // it would hold for the session's other users too
func (hana) lag() string                        { return "" }
func (hana) upserts() bool                      { return false }
func (hana) oneState() (*sql.TxOptions, string) { return repeatable, "" }
func (hana) clock() string {
	return "SELECT TO_BIGINT(NANO100_BETWEEN(TO_TIMESTAMP('1970-01-01'), CURRENT_UTCTIMESTAMP) / 10) FROM DUMMY"
}

// isTrue: a BOOLEAN is not compared with numbers, and a TINYINT with nothing else.
func (hana) isTrue(column string) string {
	return "UPPER(TO_NVARCHAR(" + column + ")) IN ('1', 'TRUE')"
}

func (hana) boolean(b bool) any {
	if b {
		return int64(1)
	}
	return int64(0)
}

func (hana) stamped(version, _ string) string   { return version + " IS NOT NULL" }
func (hana) unstamped(version, _ string) string { return version + " IS NULL" }

// era: times are written without a zone, which is UTC or the one of the settings.
func (hana) era(_ time.Time, text string) string { return plainStamp(text) }

func (hana) now(typ string, zone *time.Location, hub time.Time) string {
	switch typ {
	case "unix":
		return "SECONDS_BETWEEN(TO_TIMESTAMP('1970-01-01'), CURRENT_UTCTIMESTAMP)"
	case "unix-ms":
		return "TO_BIGINT(FLOOR(NANO100_BETWEEN(TO_TIMESTAMP('1970-01-01'), CURRENT_UTCTIMESTAMP) / 10000))"
	case "local-timestamp":
		_, offset := hub.In(zone).Zone()
		return "ADD_SECONDS(CURRENT_UTCTIMESTAMP, " + strconv.Itoa(offset) + ")"
	}
	return "CURRENT_UTCTIMESTAMP"
}

// next: what is added is one of the column's last digit.
func (hana) next(o *object, before, now, typ string) (string, bool) {
	later := before + " + 1"
	switch kind := o.learnt().column(o.Version).kind; {
	case !timeType(typ):
	case kind == "date":
		now, later = "TO_DATE("+now+")", "ADD_DAYS("+before+", 1)"
	case kind == "seconddate":
		now, later = "TO_SECONDDATE("+now+")", "ADD_SECONDS("+before+", 1)"
	default:
		later = "ADD_NANO100(" + before + ", 1)"
	}
	return "CASE WHEN " + before + " >= " + now + " THEN " + later + " ELSE " + now + " END", true
}

func (hana) shown(o *object, list, column, expr string) string {
	t, _ := o.tableOf(list)
	switch t.column(column).kind {
	case "tinyint", "smallint", "integer", "bigint", "decimal", "smalldecimal", "boolean":
		return "TO_NVARCHAR(" + expr + ")"
	case "date":
		return "TO_NVARCHAR(" + expr + ", 'YYYY-MM-DD')"
	case "time":
		return "TO_NVARCHAR(" + expr + ", 'HH24:MI:SS')"
	case "seconddate":
		return "TO_NVARCHAR(" + expr + `, 'YYYY-MM-DD"T"HH24:MI:SS')`
	case "timestamp":
		return "TO_NVARCHAR(" + expr + `, 'YYYY-MM-DD"T"HH24:MI:SS.FF7')`
	case "char", "nchar":
		return "RTRIM(" + expr + ")"
	case "binary", "varbinary":
		return "BINTOHEX(" + expr + ")"
	case "clob", "nclob", "text":
		return "TO_NCLOB(" + expr + ")"
	}
	return expr
}

// texts: a REAL comes with the digits of a double.
func (hana) texts(rows *sql.Rows) (func(i int, v *sql.NullString), error) {
	return singles(rows, "REAL")
}

// put and value: times are read by a format, and are texts to the driver.
func (d hana) put(st *statement, typ string, v any) string { return d.value(st, typ, v) }

func (hana) value(st *statement, typ string, v any) string {
	s, ok := v.(string)
	switch {
	case ok && timeType(typ):
		return "TO_TIMESTAMP(" + st.arg(plainStamp(s)) + ", '" + hanaStamp + ".FF7')"
	case ok && typ == "date":
		return "TO_DATE(" + st.arg(s) + ", 'YYYY-MM-DD')"
	}
	return st.arg(v)
}

func (d hana) is(st *statement, column, typ string, v any) string {
	return column + " = " + d.value(st, typ, v)
}

func (d hana) stands(st *statement, version, typ, etag string) string {
	return standsAs(d, st, version, typ, etag)
}

func (d hana) behindID(st *statement, o *object, last []any) string {
	return keyBehind(o.Key, last, of, func(column string, v any) string { return d.value(st, o.Columns[column], v) })
}

func (d hana) behind(st *statement, o *object, version any, last []any) string {
	return pairBehind(st, o, version, func() string { return d.behindID(st, o, last) })
}

// inserts: the server has no row without a column.
func (hana) inserts(st *statement, o *object, columns, places string) {
	if columns == "" {
		columns, places = quote(o.Key[0]), "DEFAULT"
	}
	st.WriteString(" (" + columns + ") VALUES (" + places + ")")
}

// added: the id is the document's, or the one that the session was given last.
func (d hana) added(ctx context.Context, tx *sql.Tx, c *change, st *statement) (id string, err error) {
	if _, err := tx.ExecContext(ctx, st.String(), st.args...); err != nil {
		return "", err
	}
	if id, own := c.ownID(); own {
		return id, nil
	}
	var n sql.NullString
	if err := tx.QueryRowContext(ctx, "SELECT TO_NVARCHAR(CURRENT_IDENTITY_VALUE()) FROM DUMMY").Scan(&n); err != nil {
		return "", err
	}
	if !n.Valid {
		return "", c.invalid("the server gives back no id but those of identity columns: give %s that, or a value in the mapping", c.o.ID)
	}
	return n.String, d.ownIdentity(ctx, tx, c, n.String)
}

// ownIdentity refuses a number that the session was given for another table, where the new row's id comes from elsewhere.
func (d hana) ownIdentity(ctx context.Context, tx *sql.Tx, c *change, id string) error {
	if c.o.ExternalID == "" || c.w.External == "" {
		return nil
	}
	v, err := c.db.bindText(c.o.Columns[c.o.ID], id)
	if err != nil {
		return c.invalid("the id that the database gave: %s", err)
	}
	st := c.db.statementOn(c.o, "", "SELECT COUNT(*) FROM "+c.o.table+" WHERE ")
	st.WriteString(d.is(st, quote(c.o.ID), c.o.Columns[c.o.ID], v) + " AND ")
	st.writtenAs(quote(c.o.ExternalID), c.o.ExternalForm.Write(c.w.External), c.w.External)
	var own int
	if err := tx.QueryRowContext(ctx, st.String(), st.args...).Scan(&own); err != nil {
		return err
	}
	if own != 1 {
		return c.invalid("the session was given the id %s last, and the new row is another one: make %s an identity column, or give it a value in the mapping", short(id), c.o.ID)
	}
	return nil
}

// same: a pattern names every letter.
func (hana) same(st *statement, column, value string, rule connector.Compare) string {
	return column + " LIKE_REGEXPR " + st.arg(pattern(value, rule))
}

func (hana) impossible(string) bool { return false }
func (hana) noRight() []string      { return []string{"HANA_258"} }

func (d hana) learn(ctx context.Context, db *database, o *object) error {
	return db.learnTables(ctx, o, learnHANA, d.judge)
}

const (
	hanaColumns = `SELECT column_name, LOWER(data_type_name), COALESCE(scale, -1), CASE is_nullable WHEN 'TRUE' THEN 1 ELSE 0 END, COALESCE(length, 0), COALESCE(length, 0)
FROM (SELECT schema_name, table_name, column_name, data_type_name, scale, is_nullable, length FROM sys.table_columns
UNION ALL SELECT schema_name, view_name, column_name, data_type_name, scale, is_nullable, length FROM sys.view_columns)
WHERE schema_name = COALESCE(?, CURRENT_SCHEMA) AND table_name = ?`
	hanaIndexes = `SELECT i.index_name, CASE WHEN i.constraint IN ('UNIQUE', 'PRIMARY KEY', 'NOT NULL UNIQUE') THEN 1 ELSE 0 END, c.column_name FROM sys.indexes i
JOIN sys.index_columns c ON c.schema_name = i.schema_name AND c.table_name = i.table_name AND c.index_name = i.index_name
WHERE i.schema_name = COALESCE(?, CURRENT_SCHEMA) AND i.table_name = ? ORDER BY i.index_name, c.position`
)

func learnHANA(ctx context.Context, db *sql.DB, name string) (knownTable, error) {
	return learnCatalogue(ctx, db, name, hanaColumns, hanaIndexes, "a synonym is read by the name of what it stands for")
}

func (hana) judge(m *knownObject, o *object) {
	m.looseColumns(o, "real", "double", "clob", "nclob", "blob", "text", "bintext", "st_geometry", "st_point")
}

func (hana) refuses(o *object, writing bool) string { return o.learnt().refuses(writing) }

func (hana) length(o *object, list, column string) int64 { return charLength(o, list, column) }

func (hana) searchable(o *object, column string) string {
	switch kind := o.learnt().column(column).kind; kind {
	case "clob", "nclob", "blob", "text", "bintext":
		return column + " is a column of type " + kind + ", which the server does not compare"
	case "real":
		return column + " is a REAL, which no decimal number is equal to"
	}
	return o.learnt().loose(o, column)
}

func (hana) kept(o *object, list string, sent, stored jsondoc.Value) error {
	return keptDigits(o, list, sent, stored, map[string]int{"real": 32, "double": 64})
}
