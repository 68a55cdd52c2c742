package sql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	mssql "github.com/microsoft/go-mssqldb"
	"github.com/microsoft/go-mssqldb/msdsn"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// sqlserver is the dialect of SQL Server. The server compares texts by rules under which 'abc' and 'ABC ' are one, and turns numbers that it compares with
// texts into the column's own digits: what must be the same is compared by its bytes as well, or as a number of its own kind.
type sqlserver struct {
	standard
	// snapshots: the database keeps versions of rows (ALLOW_SNAPSHOT_ISOLATION), so that readers hold up nobody.
	snapshots atomic.Bool
}

// rowversion is the type of a column that SQL Server sets at every change. Documents show it as a number.
const rowversion = "rowversion"

// sqlserverSession is how a session takes what the hub sends: what a column cannot hold is an error, names stand in double quotes, a failed statement
// leaves the transaction's others, days are read one way whatever the language, and of two that wait for each other the hub gives way.
func sqlserverSession(timeout time.Duration) string {
	return "SET QUOTED_IDENTIFIER, ANSI_NULLS, ANSI_PADDING, ANSI_WARNINGS, ARITHABORT, CONCAT_NULL_YIELDS_NULL ON; " +
		"SET NUMERIC_ROUNDABORT, XACT_ABORT, IMPLICIT_TRANSACTIONS, NOCOUNT OFF; SET DATEFORMAT ymd; SET TEXTSIZE -1; SET DEADLOCK_PRIORITY LOW; " +
		"SET TRANSACTION ISOLATION LEVEL READ COMMITTED; SET LOCK_TIMEOUT " + strconv.FormatInt(timeout.Milliseconds(), 10)
}

// sqlserverConfig reads sqlserver://user:password@host:1433?database=name. Its errors do not quote it: it holds a password.
func sqlserverConfig(connection string, timeout time.Duration, readOnly bool) (msdsn.Config, error) {
	u, err := url.Parse(connection)
	if err != nil || u.Scheme != "sqlserver" || u.Hostname() == "" {
		return msdsn.Config{}, errors.New("this is no SQL Server connection URL")
	}
	cfg, err := msdsn.Parse(connection)
	if err != nil {
		return cfg, errors.New("the parameters of this SQL Server connection URL cannot be read")
	}
	if cfg.Database == "" {
		return cfg, errors.New("the URL names no database: add ?database=NAME")
	}
	if cfg.ConnTimeout == 0 { // calls have deadlines of their own; a commit has none, and is not to wait for ever for a server that is gone
		cfg.ConnTimeout = timeout + time.Second
	}
	cfg.AppName, cfg.ReadOnlyIntent = "waybill", cfg.ReadOnlyIntent || readOnly
	return cfg, nil
}

// urlPassword gives the password inside a connection URL, for scrubbing.
func urlPassword(connection string) string {
	if u, err := url.Parse(connection); err == nil {
		p, _ := u.User.Password()
		return p
	}
	return ""
}

func openSQLServer(connection string, conns int, timeout time.Duration, readOnly bool) (*sql.DB, error) {
	cfg, err := sqlserverConfig(connection, timeout, readOnly)
	if err != nil {
		return nil, err
	}
	c := mssql.NewConnectorConfig(cfg)
	c.Dialer, c.SessionInitSQL = httpclient.Dialer(), sqlserverSession(timeout)
	return pooled(sql.OpenDB(c), conns), nil
}

// pooled bounds the connections of a server.
func pooled(db *sql.DB, conns int) *sql.DB {
	db.SetConnMaxIdleTime(5 * time.Minute) // before a firewall forgets the connection
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db
}

func (*sqlserver) param(n int) string          { return "@p" + strconv.Itoa(n) }
func (*sqlserver) probe() string               { return "SELECT 1" }
func (*sqlserver) text(expr string) string     { return expr }
func (*sqlserver) textTimes() bool             { return false }
func (*sqlserver) boolean(b bool) any          { return b }
func (*sqlserver) isTrue(column string) string { return column + " = 1" }
func (*sqlserver) lockWait() string            { return "SET LOCK_TIMEOUT 100" } // until the session is made ready for its next user
func (*sqlserver) lag() string                 { return "" }
func (*sqlserver) folds() bool                 { return true }
func (*sqlserver) upserts() bool               { return false }
func (*sqlserver) clock() string {
	return "SELECT DATEDIFF_BIG(microsecond, '1970-01-01', SYSUTCDATETIME())"
}

// oneState: rows as they were when the transaction began or, where the database keeps no versions of them, under locks that hold up writers until the page is read.
func (d *sqlserver) oneState() (*sql.TxOptions, string) {
	if d.snapshots.Load() {
		return &sql.TxOptions{Isolation: sql.LevelSnapshot}, ""
	}
	return &sql.TxOptions{Isolation: sql.LevelSerializable}, ""
}

func (*sqlserver) savepoint() (set, back string) {
	return "SAVE TRANSACTION waybill", "ROLLBACK TRANSACTION waybill"
}

func (*sqlserver) locking() (hint, rest string) { return " WITH (UPDLOCK, ROWLOCK)", "" }

func (*sqlserver) limit(n string, ordered bool) string {
	rest := " OFFSET 0 ROWS FETCH NEXT " + n + " ROWS ONLY"
	if !ordered {
		rest = " ORDER BY (SELECT NULL)" + rest
	}
	return rest
}

// horizon: numbers of open transactions may still become visible. What they have at most is asked before the rows are, not after.
func (*sqlserver) horizon(o *object) string {
	if !o.rowversion {
		return ""
	}
	return "SELECT CAST(MIN_ACTIVE_ROWVERSION() AS bigint)"
}

// affected asks for the count: the driver adds up those of triggers.
func (*sqlserver) affected(ctx context.Context, tx *sql.Tx, st *statement) (n int64, err error) {
	st.WriteString("; SELECT CAST(@@ROWCOUNT AS bigint)")
	err = tx.QueryRowContext(ctx, st.String(), st.args...).Scan(&n)
	return n, err
}

func (*sqlserver) stamped(version, _ string) string   { return version + " IS NOT NULL" }
func (*sqlserver) unstamped(version, _ string) string { return version + " IS NULL" }

// era: times are written without a zone, which is UTC or the one of the settings, and with the digits that columns have at most.
func (*sqlserver) era(t time.Time, text string) string {
	text = strings.TrimSuffix(strings.Replace(text, " ", "T", 1), "Z")
	if t.Nanosecond()%100 == 0 && strings.HasSuffix(text, "00") && strings.LastIndexByte(text, '.') == len(text)-10 {
		return text[:len(text)-2]
	}
	return text
}

func (*sqlserver) now(typ string, zone *time.Location, hub time.Time) string {
	switch typ {
	case "unix":
		return "DATEDIFF_BIG(second, '1970-01-01', SYSUTCDATETIME())"
	case "unix-ms":
		return "DATEDIFF_BIG(millisecond, '1970-01-01', SYSUTCDATETIME())"
	case "local-timestamp":
		_, offset := hub.In(zone).Zone()
		return "DATEADD(second, " + strconv.Itoa(offset) + ", SYSUTCDATETIME())"
	}
	return "SYSUTCDATETIME()"
}

// next: what is added is one of the column's last digit.
func (*sqlserver) next(o *object, before, now, typ string) (string, bool) {
	if !timeType(typ) {
		return "CASE WHEN " + before + " >= " + now + " THEN " + before + " + 1 ELSE " + now + " END", true
	}
	c := o.learnt().column(o.Version)
	as, part, n := c.kind, "nanosecond", 1_000_000_000
	switch c.kind {
	case "date":
		part, n = "day", 1
	case "smalldatetime":
		part, n = "minute", 1
	case "datetime": // its ticks are 1/300 s
		part, n = "millisecond", 4
	default:
		if as == "" {
			as, c.digits = "datetime2", 7
		}
		as += "(" + strconv.Itoa(c.digits) + ")"
		for range c.digits {
			n /= 10
		}
	}
	now = "CAST(" + now + " AS " + as + ")"
	return "CASE WHEN " + before + " >= " + now + " THEN DATEADD(" + part + ", " + strconv.Itoa(n) + ", " + before + ") ELSE " + now + " END", true
}

// shown: the driver gives texts, numbers and times in full. What it does not is turned into a text by the server; of a column of fixed length the blanks at the
// end are none of the value.
func (*sqlserver) shown(o *object, list, column, expr string) string {
	t, types := o.tableOf(list)
	switch t.column(column).kind {
	case "uniqueidentifier":
		return "CAST(" + expr + " AS nvarchar(36))"
	case "char", "nchar":
		return "RTRIM(" + expr + ")"
	case "date":
		return "CONVERT(nvarchar(10), " + expr + ", 23)"
	case "time":
		return "CONVERT(nvarchar(16), " + expr + ", 114)"
	case "timestamp": // a rowversion
		if types[column] == "integer" {
			return "CAST(" + expr + " AS bigint)"
		}
		return "CONVERT(nvarchar(20), CAST(" + expr + " AS binary(8)), 1)"
	case "binary", "varbinary", "image":
		return "CONVERT(nvarchar(max), CAST(" + expr + " AS varbinary(max)), 1)"
	case "xml", "hierarchyid", "text", "ntext":
		return "CAST(" + expr + " AS nvarchar(max))"
	}
	return expr
}

// texts: a REAL comes with the digits of a double.
func (*sqlserver) texts(rows *sql.Rows) (func(i int, v *sql.NullString), error) {
	return singles(rows, "REAL")
}

// singles shows columns of a kind as the floating point numbers of 32 bits that they are.
func singles(rows *sql.Rows, kind string) (func(i int, v *sql.NullString), error) {
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, err
	}
	return func(i int, v *sql.NullString) {
		if !v.Valid || types[i].DatabaseTypeName() != kind {
			return
		}
		if f, err := strconv.ParseFloat(v.String, 64); err == nil {
			v.String = strconv.FormatFloat(f, 'g', -1, 32)
		}
	}, nil
}

// unpadded is the text of a column as bytes, which are compared without a rule of their language and without padding.
func (*sqlserver) unpadded(expr string, c knownColumn) string {
	if fixed(c) {
		expr = "RTRIM(" + expr + ")"
	}
	return "CAST(CAST(" + expr + " AS nvarchar(max)) AS varbinary(max))"
}

// value: a text beside a number would be given the column's digits. A time is read without a zone where it is UTC, as all kinds of columns read it.
func (*sqlserver) value(st *statement, typ string, v any) string {
	if typ == rowversion {
		return "CAST(CAST(" + st.arg(v) + " AS bigint) AS binary(8))"
	}
	s, ok := v.(string)
	switch {
	case ok && timeType(typ):
		return st.arg(plainStamp(s))
	case !ok || typ != "integer" && typ != "decimal":
		return st.arg(v)
	}
	_, fraction, _ := strings.Cut(s, ".")
	if len(strings.TrimPrefix(s, "-")) > 38 {
		return st.arg(v) // no column of numbers holds it exactly
	}
	return "CAST(" + st.arg(v) + " AS decimal(38," + strconv.Itoa(len(fraction)) + "))"
}

// is: by the column's index, and then exactly. A GUID is one in all spellings.
func (d *sqlserver) is(st *statement, column, typ string, v any) string {
	c := st.column(column)
	s, ok := v.(string)
	switch {
	case c.kind == "uniqueidentifier":
		return column + " = TRY_CAST(" + st.arg(v) + " AS uniqueidentifier)"
	case !ok || typ != "text":
		return column + " = " + d.value(st, typ, v)
	}
	return "(" + column + " = " + st.arg(s) + " AND " + d.unpadded(column, c) + " = CAST(" + st.arg(s) + " AS varbinary(max)))"
}

func (d *sqlserver) among(st *statement, column, typ string, values []any) string {
	c := st.column(column)
	switch {
	case c.kind == "uniqueidentifier":
		return column + " IN " + castList(st, values, "uniqueidentifier")
	case typ != "text":
		return column + " IN " + st.list(typ, values)
	}
	return "(" + column + " IN " + st.list("", values) + " AND " + d.unpadded(column, c) + " IN " + castList(st, values, "varbinary(max)") + ")"
}

func (d *sqlserver) outside(st *statement, column, typ string, values []any) string {
	c := st.column(column)
	switch {
	case c.kind == "uniqueidentifier":
		return column + " NOT IN " + castList(st, values, "uniqueidentifier")
	case typ != "text":
		return column + " NOT IN " + st.list(typ, values)
	}
	return d.unpadded(column, c) + " NOT IN " + castList(st, values, "varbinary(max)")
}

// castList casts each value. Of GUIDs a text that is none is no value at all.
func castList(st *statement, values []any, as string) string {
	places := make([]string, len(values))
	for i, v := range values {
		if s, ok := v.(string); ok && as == "uniqueidentifier" {
			if u, ok := connector.ParseExternal(s); ok {
				v = u
			}
			places[i] = "TRY_CAST(" + st.arg(v) + " AS uniqueidentifier)"
			continue
		}
		places[i] = "CAST(" + st.arg(v) + " AS " + as + ")"
	}
	return "(" + strings.Join(places, ", ") + ")"
}

func (d *sqlserver) stands(st *statement, version, typ, etag string) string {
	if timeType(typ) {
		t, _, ok := parseStamp(etag, time.UTC)
		if !ok {
			return "1 = 0"
		}
		return version + " = " + st.arg(d.era(t, stamp(t.UTC(), "2006-01-02T15:04:05Z")))
	}
	n, err := st.db.bindInteger(etag)
	if err != nil {
		return "1 = 0"
	}
	if typ != rowversion {
		typ = "integer"
	}
	return version + " = " + d.value(st, typ, n)
}

// byID gives the id as rows are put in order by it: by its bytes, where no unique index sees to it that no two ids are the same under the column's rule.
func (d *sqlserver) byID(o *object) func(column string) string {
	return func(column string) string {
		if slices.Contains(o.learnt().bytewise, column) {
			return d.unpadded(of(column), o.learnt().column(column))
		}
		return of(column)
	}
}

func (d *sqlserver) orderID(o *object, nulls bool) string {
	order := o.Key.each(d.byID(o), ", ")
	if nulls && o.nullable() {
		return o.brokenLast() + order
	}
	return order
}

func (d *sqlserver) behindID(st *statement, o *object, last []any) string {
	return keyBehind(o.Key, last, d.byID(o), func(column string, v any) string {
		switch {
		case slices.Contains(o.learnt().bytewise, column):
			return "CAST(" + st.arg(v) + " AS varbinary(max))"
		case o.learnt().column(column).kind == "uniqueidentifier":
			return "CAST(" + st.arg(v) + " AS uniqueidentifier)"
		}
		return d.value(st, o.Columns[column], v)
	})
}

func (d *sqlserver) behind(st *statement, o *object, version any, last []any) string {
	return pairBehind(st, o, version, func() string { return d.behindID(st, o, last) })
}

// inserts: the id is kept in a table of the statement's own, since a table with triggers gives nothing back directly. One of several columns is the document's.
func (*sqlserver) inserts(st *statement, o *object, columns, places string) {
	if o.several() {
		st.WriteString(" (" + columns + ") VALUES (" + places + ")")
		return
	}
	insert := st.String()
	st.Reset()
	st.WriteString("DECLARE @waybill TABLE (id nvarchar(450)); " + insert)
	if columns != "" {
		st.WriteString(" (" + columns + ")")
	}
	st.WriteString(" OUTPUT INSERTED." + quote(o.ID) + " INTO @waybill")
	if columns == "" {
		st.WriteString(" DEFAULT VALUES")
	} else {
		st.WriteString(" VALUES (" + places + ")")
	}
	st.WriteString("; SELECT id FROM @waybill")
}

func (*sqlserver) added(ctx context.Context, tx *sql.Tx, c *change, st *statement) (id string, err error) {
	if c.o.several() {
		_, err = tx.ExecContext(ctx, st.String(), st.args...)
		id, _ = c.ownID()
		return id, err
	}
	err = tx.QueryRowContext(ctx, st.String(), st.args...).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", c.kept("added")
	}
	if fixed(c.o.learnt().column(c.o.ID)) {
		id = strings.TrimRight(id, " ")
	}
	return id, err
}

// same: the server has no regular expressions before 2025. A pattern of LIKE names every letter; of numbers those are asked for that are the same when they are
// read as one, and what is found is compared again.
func (d *sqlserver) same(st *statement, column, value string, rule connector.Compare) string {
	if key := rule.Key(value); rule == connector.Number && numberKey.MatchString(key) && len(strings.TrimPrefix(key, "-")) <= 38 {
		_, fraction, _ := strings.Cut(key, ".")
		as := "decimal(38," + strconv.Itoa(len(fraction)) + ")"
		return "TRY_CAST(" + column + " AS " + as + ") = CAST(" + st.arg(key) + " AS " + as + ")"
	}
	return "CAST(" + column + " AS nvarchar(max)) COLLATE Latin1_General_100_BIN2 LIKE " + st.arg(likePattern(value, rule))
}

// likePattern is a pattern of LIKE for all texts that are the same as value under a rule. Letters outside the first 65,536, which are two to the server, may be any two.
func likePattern(value string, rule connector.Compare) string {
	var b strings.Builder
	for _, r := range value {
		letters := []rune{r}
		if rule == connector.Fold {
			letters = connector.FoldOf(r)
		}
		switch {
		case len(letters) > 1 && r > 0xffff:
			b.WriteString("__")
		case len(letters) > 1:
			b.WriteString("[" + string(letters) + "]")
		case strings.ContainsRune("%_[", r):
			b.WriteString("[" + string(r) + "]")
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// impossible: a text that a column's type cannot be.
func (*sqlserver) impossible(code string) bool { return code == "MSSQL_8169" }
func (*sqlserver) noRight() []string           { return []string{"MSSQL_229", "MSSQL_230"} }

// learn asks the server for what statements depend on.
func (d *sqlserver) learn(ctx context.Context, db *database, o *object) error {
	return db.learnTables(ctx, o, d.learnTable, d.judge)
}

const (
	sqlserverSnapshots = "SELECT COALESCE(MAX(snapshot_isolation_state), 0) FROM sys.databases WHERE database_id = DB_ID()"
	sqlserverColumns   = `SELECT c.name, TYPE_NAME(c.system_type_id), COALESCE(c.collation_name, ''), c.scale, c.is_nullable, c.max_length, c."precision"
FROM sys.columns c WHERE c.object_id = OBJECT_ID(@p1)`
	sqlserverIndexes = `SELECT i.name, CASE WHEN i.is_unique = 1 AND i.has_filter = 0 THEN 1 ELSE 0 END, c.name FROM sys.indexes i
JOIN sys.index_columns x ON x.object_id = i.object_id AND x.index_id = i.index_id AND x.is_included_column = 0
JOIN sys.columns c ON c.object_id = x.object_id AND c.column_id = x.column_id
WHERE i.object_id = OBJECT_ID(@p1) ORDER BY i.index_id, x.key_ordinal`
)

func (d *sqlserver) learnTable(ctx context.Context, db *sql.DB, name string) (knownTable, error) {
	t := knownTable{columns: map[string]knownColumn{}, rows: -1}
	var snapshots int
	if err := db.QueryRowContext(ctx, sqlserverSnapshots).Scan(&snapshots); err != nil {
		return t, err
	}
	d.snapshots.Store(snapshots == 1)
	object := "[" + strings.ReplaceAll(name, ".", "].[") + "]"
	err := each(ctx, db, sqlserverColumns, []any{object}, func(scan func(...any) error) error {
		var column string
		var c knownColumn
		err := scan(&column, &c.kind, &c.collation, &c.digits, &c.nullable, &c.length, &c.precision)
		c.kind = strings.ToLower(c.kind)
		if c.text = c.collation != ""; c.text && strings.HasPrefix(c.kind, "n") && c.length > 0 {
			c.length /= 2 // it is in bytes
		}
		c.length = max(c.length, 0)
		if c.scale = int64(c.digits); !strings.HasPrefix(c.kind, "date") {
			c.digits = 0
		}
		t.columns[strings.ToLower(column)] = c
		return err
	})
	if err == nil && len(t.columns) == 0 {
		return t, fmt.Errorf("the connection's database has no table %s that the user may see: a table of another database is read through a view of this one", name)
	}
	if err != nil {
		return t, err
	}
	err = each(ctx, db, sqlserverIndexes, []any{object}, t.addIndex)
	return t, err
}

// addIndex adds a row of an index's name, whether it is unique, and a column of it, in their order.
func (t *knownTable) addIndex(scan func(...any) error) error {
	var name sql.NullString
	var unique int
	var column string
	if err := scan(&name, &unique, &column); err != nil {
		return err
	}
	if n := len(t.indexes); n == 0 || t.indexes[n-1].name != name.String {
		t.indexes = append(t.indexes, knownIndex{name: name.String, unique: unique == 1})
	}
	last := &t.indexes[len(t.indexes)-1]
	last.columns = append(last.columns, strings.ToLower(column))
	return nil
}

func (*sqlserver) judge(m *knownObject, o *object) {
	m.bytewise = m.folded(o, func(string) bool { return false }) // no collation of the server's tells 'ABC' from 'ABC '
	m.looseColumns(o, "float", "real", "text", "ntext", "image", "xml", "sql_variant", "timestamp", "binary", "varbinary")
	v := m.column(o.Version)
	switch {
	case m.refused != "" || o.Version == "":
	case o.rowversion && v.kind != "timestamp":
		m.refused = fmt.Sprintf("the settings say that %s is a rowversion, and it is a column of type %s", o.Version, v.kind)
	case !o.rowversion && v.kind == "timestamp":
		m.refused = fmt.Sprintf("%s is a rowversion, and no time: write rowversion in columns", o.Version)
	}
}

func (*sqlserver) refuses(o *object, writing bool) string { return o.learnt().refuses(writing) }

// refuses says why the object cannot be read, or written to.
func (m *knownObject) refuses(writing bool) string {
	if m.refused != "" || !writing {
		return m.refused
	}
	return m.unsafe
}

func (*sqlserver) length(o *object, list, column string) int64 { return charLength(o, list, column) }

// charLength is how many characters a column of texts takes; 0: nobody knows.
func charLength(o *object, list, column string) int64 {
	t, _ := o.tableOf(list)
	if c := t.column(column); strings.Contains(c.kind, "char") {
		return c.length
	}
	return 0
}

func (*sqlserver) searchable(o *object, column string) string {
	switch kind := o.learnt().column(column).kind; kind {
	case "text", "ntext", "image", "xml", "sql_variant":
		return column + " is a column of type " + kind + ", which the server does not compare"
	case "real":
		return column + " is a REAL, which no decimal number is equal to"
	}
	return o.learnt().loose(o, column)
}

func (*sqlserver) kept(o *object, list string, sent, stored jsondoc.Value) error {
	table, columns := o.tableOf(list)
	for name, v := range sent.Members() {
		if !timeType(columns[name]) || list == "" && name == o.Version && o.Touch {
			continue
		}
		tick := map[string]time.Duration{"datetime": 5 * time.Millisecond, "smalldatetime": time.Minute}[table.column(name).kind]
		want, _, ok := parseStamp(v.Str(), time.UTC)
		got, _, okGot := parseStamp(stored.Get(name).Str(), time.UTC)
		if diff := want.Sub(got).Abs(); ok && okGot && diff > 0 && diff < tick {
			return fmt.Errorf("%s: a column of type %s cannot hold %s exactly, the database made it %s: round it in the mapping, or make the column a datetime2",
				name, table.column(name).kind, short(v.Str()), short(stored.Get(name).Str()))
		}
	}
	return keptDigits(o, list, sent, stored, map[string]int{"float": 64, "real": 32})
}
