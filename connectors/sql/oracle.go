package sql

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// oracle is the dialect of Oracle. Numbers and times are turned into texts by the server, in full: the driver gives a NUMBER that is read without a type as a
// float. ” is null there, which no other database takes for the same.
type oracle struct{ standard }

// OracleTag is the build tag with which a hub has Oracle's driver, which is as large as a third of the rest.
const OracleTag = "oracle"

const (
	oracleStamp = `YYYY-MM-DD"T"HH24:MI:SS`
	oracleUTC   = "SYS_EXTRACT_UTC(SYSTIMESTAMP)"
	oracleEpoch = "ROUND((CAST(" + oracleUTC + " AS DATE) - DATE '1970-01-01') * 86400)"
)

func (oracle) param(n int) string            { return ":" + strconv.Itoa(n) }
func (oracle) probe() string                 { return "SELECT 1 FROM DUAL" }
func (oracle) text(expr string) string       { return expr }
func (oracle) textTimes() bool               { return false }
func (oracle) isTrue(column string) string   { return column + " = 1" }
func (oracle) lockWait() string              { return "" }
func (oracle) lag() string                   { return "" }
func (oracle) upserts() bool                 { return false }
func (oracle) limit(n string, _ bool) string { return " FETCH FIRST " + n + " ROWS ONLY" }
func (oracle) clock() string {
	return "SELECT " + oracleEpoch + " * 1000000 + TO_NUMBER(TO_CHAR(" + oracleUTC + ", 'FF6')) FROM DUAL"
}

func (oracle) boolean(b bool) any {
	if b {
		return int64(1)
	}
	return int64(0)
}

// oneState: a transaction that only reads sees what was committed when it began.
func (oracle) oneState() (*sql.TxOptions, string) { return nil, "SET TRANSACTION READ ONLY" }

// stamped: the years before 1 are no stamps.
func (oracle) stamped(version, typ string) string {
	if timeType(typ) {
		return version + " >= DATE '0001-01-01'"
	}
	return version + " IS NOT NULL"
}

func (oracle) unstamped(version, typ string) string {
	if timeType(typ) {
		return "(" + version + " IS NULL OR " + version + " < DATE '0001-01-01')"
	}
	return version + " IS NULL"
}

// era: times are written without a zone, which is UTC or the one of the settings.
func (oracle) era(_ time.Time, text string) string { return plainStamp(text) }

// plainStamp writes a time as it stands in a format of the server's: with a T, and without a zone.
func plainStamp(text string) string {
	return strings.TrimSuffix(strings.Replace(text, " ", "T", 1), "Z")
}

func (oracle) now(typ string, zone *time.Location, hub time.Time) string {
	switch typ {
	case "unix":
		return oracleEpoch
	case "unix-ms":
		return "(" + oracleEpoch + " * 1000 + TO_NUMBER(TO_CHAR(" + oracleUTC + ", 'FF3')))"
	case "local-timestamp":
		_, offset := hub.In(zone).Zone()
		return "(" + oracleUTC + " + NUMTODSINTERVAL(" + strconv.Itoa(offset) + ", 'SECOND'))"
	}
	return oracleUTC
}

// next: what is added is one of the column's last digit.
func (oracle) next(o *object, before, now, typ string) (string, bool) {
	if !timeType(typ) {
		return "CASE WHEN " + before + " >= " + now + " THEN " + before + " + 1 ELSE " + now + " END", true
	}
	c := o.learnt().column(o.Version)
	if c.kind == "date" {
		now = "CAST(" + now + " AS DATE)"
		return "CASE WHEN " + before + " >= " + now + " THEN " + before + " + NUMTODSINTERVAL(1, 'SECOND') ELSE " + now + " END", true
	}
	if c.kind == "" {
		c.digits = 6
	}
	unit := "1"
	if c.digits > 0 {
		unit = "0." + strings.Repeat("0", c.digits-1) + "1"
	}
	now = "CAST(" + now + " AS TIMESTAMP(" + strconv.Itoa(c.digits) + "))"
	return "CASE WHEN " + before + " >= " + now + " THEN " + before + " + NUMTODSINTERVAL(" + unit + ", 'SECOND') ELSE " + now + " END", true
}

// shown: of a column of fixed length the blanks at the end are none of the value.
func (oracle) shown(o *object, list, column, expr string) string {
	t, _ := o.tableOf(list)
	switch kind := t.column(column).kind; {
	case kind == "number" || kind == "float":
		return "TO_CHAR(" + expr + ", 'TM9', 'NLS_NUMERIC_CHARACTERS=''.,''')"
	case kind == "date":
		return "TO_CHAR(" + expr + ", 'SYYYY-MM-DD\"T\"HH24:MI:SS')"
	case strings.HasSuffix(kind, "time zone"):
		return "TO_CHAR(SYS_EXTRACT_UTC(" + expr + "), 'SYYYY-MM-DD\"T\"HH24:MI:SS.FF9')"
	case strings.HasPrefix(kind, "timestamp"):
		return "TO_CHAR(" + expr + ", 'SYYYY-MM-DD\"T\"HH24:MI:SS.FF9')"
	case fixed(t.column(column)):
		return "RTRIM(" + expr + ")"
	case kind == "raw":
		return "RAWTOHEX(" + expr + ")"
	}
	return expr
}

// texts: a year of four digits comes with a blank for its sign.
func (oracle) texts(*sql.Rows) (func(i int, v *sql.NullString), error) {
	return func(_ int, v *sql.NullString) {
		if len(v.String) > 11 && v.String[0] == ' ' && v.String[5] == '-' && v.String[11] == 'T' {
			v.String = v.String[1:]
		}
	}, nil
}

// put and value: times are read by a format, so that no setting of the session changes what they mean. What has no fraction of a second is a DATE, which is
// compared with columns of every kind of time, and by the indexes of them.
func (d oracle) put(st *statement, typ string, v any) string { return d.value(st, typ, v) }

func (oracle) value(st *statement, typ string, v any) string {
	s, ok := v.(string)
	switch {
	case !ok:
	case timeType(typ):
		s = plainStamp(s)
		if whole, fraction, _ := strings.Cut(s, "."); strings.Trim(fraction, "0") == "" {
			return "TO_DATE(" + st.arg(whole) + ", '" + oracleStamp + "')"
		}
		return "TO_TIMESTAMP(" + st.arg(s) + ", '" + oracleStamp + ".FF9')"
	case typ == "date":
		return "TO_DATE(" + st.arg(s) + ", 'YYYY-MM-DD')"
	case typ == "integer" || typ == "decimal":
		return "TO_NUMBER(" + st.arg(s) + ", '" + numberFormat(s) + "', 'NLS_NUMERIC_CHARACTERS=''.,''')"
	}
	return st.arg(v)
}

// numberFormat is the format of a plain decimal number's digits.
func numberFormat(s string) string {
	whole, fraction, has := strings.Cut(strings.TrimPrefix(s, "-"), ".")
	f := strings.Repeat("9", len(whole))
	if has {
		f += "D" + strings.Repeat("9", len(fraction))
	}
	return f
}

// is: of a column of fixed length by its index, and then exactly, without its padding.
func (d oracle) is(st *statement, column, typ string, v any) string {
	text, ok := v.(string)
	c := st.column(column)
	if !ok || !fixed(c) || c.length == 0 {
		return d.comparable(st, column) + " = " + d.value(st, typ, v)
	}
	return "(" + column + " = CAST(" + st.arg(text) + " AS CHAR(" + strconv.FormatInt(c.length, 10) + ")) AND RTRIM(" + column + ") = " + st.arg(text) + ")"
}

// fixed: the column fills its texts up with blanks.
func fixed(c knownColumn) bool { return c.kind == "char" || c.kind == "nchar" }

// comparable is a column as it compares with a text that has no padding.
func (oracle) comparable(st *statement, column string) string {
	if fixed(st.column(column)) {
		return "RTRIM(" + column + ")"
	}
	return column
}

func (d oracle) among(st *statement, column, typ string, values []any) string {
	if !fixed(st.column(column)) {
		return column + " IN " + st.list(typ, values)
	}
	each := make([]string, len(values))
	for i, v := range values {
		each[i] = d.is(st, column, typ, v)
	}
	return "(" + strings.Join(each, " OR ") + ")"
}

func (d oracle) outside(st *statement, column, typ string, values []any) string {
	return d.comparable(st, column) + " NOT IN " + st.list(typ, values)
}

func (d oracle) stands(st *statement, version, typ, etag string) string {
	return standsAs(d, st, version, typ, etag)
}

// standsAs compares a version with a token as a value of the version's type.
func standsAs(d dialect, st *statement, version, typ, etag string) string {
	if timeType(typ) {
		return version + " = " + d.value(st, typ, etag)
	}
	n, err := st.db.bindInteger(etag)
	if err != nil {
		return "1 = 0"
	}
	return version + " = " + d.value(st, "integer", n)
}

// behindID: beside a parameter, a text of fixed length is compared with its blanks, and comes behind itself without them; and a DATE has a time of day.
func (d oracle) behindID(st *statement, o *object, last []any) string {
	return keyBehind(o.Key, last, of, func(column string, v any) string {
		typ := o.Columns[column]
		text, ok := v.(string)
		switch c := o.learnt().column(column); {
		case ok && fixed(c) && c.length > 0:
			return "CAST(" + st.arg(text) + " AS CHAR(" + strconv.FormatInt(c.length, 10) + "))"
		case ok && typ == "date" && strings.ContainsRune(text, 'T'):
			typ = "timestamp"
		}
		return d.value(st, typ, v)
	})
}

func (d oracle) behind(st *statement, o *object, version any, last []any) string {
	return pairBehind(st, o, version, func() string { return d.behindID(st, o, last) })
}

// inserts: the server has no row without a column.
func (oracle) inserts(st *statement, o *object, columns, places string) {
	if columns == "" {
		columns, places = quote(o.Key[0]), "DEFAULT"
	}
	st.WriteString(" (" + columns + ") VALUES (" + places + ")")
}

// added: an id of one column comes back in a parameter; one of several is the document's.
func (d oracle) added(ctx context.Context, tx *sql.Tx, c *change, st *statement) (id string, err error) {
	if c.o.several() {
		_, err = tx.ExecContext(ctx, st.String(), st.args...)
		id, _ = c.ownID()
		return id, err
	}
	st.WriteString(" RETURNING " + d.shown(c.o, "", c.o.ID, quote(c.o.ID)) + " INTO ")
	st.WriteString(st.arg(oracleOut(&id)))
	_, err = tx.ExecContext(ctx, st.String(), st.args...)
	return id, err
}

// same: a pattern has 512 bytes at most. Of a longer text its beginning is asked for, and what is found is compared again.
func (oracle) same(st *statement, column, value string, rule connector.Compare) string {
	p := pattern(value, rule)
	for runes := []rune(value); len(p) > 512; p = strings.TrimSuffix(pattern(string(runes), rule), "$") {
		runes = runes[:len(runes)-1]
	}
	return "REGEXP_LIKE(" + column + ", " + st.arg(p) + ", 'c')"
}

// impossible: a text that is no RAW.
func (oracle) impossible(code string) bool { return code == "ORA-01465" }

// noRight: of a table that the user may not read the server says that it does not exist, which it says of others too.
func (oracle) noRight() []string { return []string{"ORA-01031"} }

func (d oracle) learn(ctx context.Context, db *database, o *object) error {
	return db.learnTables(ctx, o, learnOracle, d.judge)
}

const (
	oracleColumns = `SELECT column_name, LOWER(data_type), COALESCE(data_scale, -1), CASE nullable WHEN 'Y' THEN 1 ELSE 0 END, COALESCE(char_length, 0), COALESCE(data_precision, 0)
FROM all_tab_columns WHERE owner = COALESCE(:1, SYS_CONTEXT('USERENV', 'CURRENT_SCHEMA')) AND table_name = :2`
	oracleIndexes = `SELECT i.index_name, CASE i.uniqueness WHEN 'UNIQUE' THEN 1 ELSE 0 END, c.column_name FROM all_indexes i
JOIN all_ind_columns c ON c.index_owner = i.owner AND c.index_name = i.index_name
WHERE i.table_owner = COALESCE(:1, SYS_CONTEXT('USERENV', 'CURRENT_SCHEMA')) AND i.table_name = :2 ORDER BY i.index_name, c.column_position`
)

func learnOracle(ctx context.Context, db *sql.DB, name string) (knownTable, error) {
	return learnCatalogue(ctx, db, name, oracleColumns, oracleIndexes, "a synonym is read by the name of what it stands for")
}

// learnCatalogue asks a catalogue of columns (name, kind, scale, nullable, length, precision) and one of indexes.
func learnCatalogue(ctx context.Context, db *sql.DB, name, columns, indexes, hint string) (knownTable, error) {
	t := knownTable{columns: map[string]knownColumn{}, rows: -1}
	var schema any
	table := name
	if s, rest, qualified := strings.Cut(name, "."); qualified {
		schema, table = s, rest
	}
	err := each(ctx, db, columns, []any{schema, table}, func(scan func(...any) error) error {
		var column string
		var nullable int
		var c knownColumn
		err := scan(&column, &c.kind, &c.scale, &nullable, &c.length, &c.precision)
		c.nullable, c.text = nullable == 1, strings.Contains(c.kind, "char") || strings.Contains(c.kind, "clob") || c.kind == "shorttext" || c.kind == "alphanum"
		if strings.HasPrefix(c.kind, "timestamp") {
			c.digits = int(max(c.scale, 0))
			if kind, zone, _ := strings.Cut(c.kind, ")"); zone != "" || strings.Contains(kind, "(") {
				c.kind = "timestamp" + zone
			}
		}
		t.columns[strings.ToLower(column)] = c
		return err
	})
	if err == nil && len(t.columns) == 0 {
		return t, fmt.Errorf("there is no table %s that the user may see: names are taken as they stand, and most are in capitals; %s", name, hint)
	}
	if err != nil {
		return t, err
	}
	return t, each(ctx, db, indexes, []any{schema, table}, t.addIndex)
}

func (oracle) judge(m *knownObject, o *object) {
	m.looseColumns(o, "float", "binary_float", "binary_double", "long", "clob", "nclob", "blob", "bfile", "xmltype", "rowid")
}

func (oracle) refuses(o *object, writing bool) string { return o.learnt().refuses(writing) }

func (oracle) length(o *object, list, column string) int64 { return charLength(o, list, column) }

func (oracle) searchable(o *object, column string) string {
	switch kind := o.learnt().column(column).kind; kind {
	case "clob", "nclob", "blob", "long", "bfile", "xmltype":
		return column + " is a column of type " + kind + ", which the server does not compare"
	case "binary_float":
		return column + " is a BINARY_FLOAT, which no decimal number is equal to"
	}
	return o.learnt().loose(o, column)
}

// kept: an empty text is stored as null.
func (oracle) kept(o *object, list string, sent, stored jsondoc.Value) error {
	_, columns := o.tableOf(list)
	for name, v := range sent.Members() {
		if columns[name] == "text" && v.Kind() == jsondoc.String && v.Str() == "" && !stored.Get(name).Exists() {
			return fmt.Errorf("%s: the database takes an empty text for null: send null in the mapping, or leave it out", name)
		}
	}
	return keptDigits(o, list, sent, stored, map[string]int{"binary_float": 32, "binary_double": 64})
}
