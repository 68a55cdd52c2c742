package sql

import (
	"context"
	"database/sql"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
)

// mysql is the dialect of MySQL and MariaDB. Columns are read as they stand, so that the driver gives each in full: as a text a FLOAT has six digits.
// The server compares texts by rules under which 'abc', 'ABC ' and 'ÁBC' are one, and numbers with texts as floating point: what must be the same is
// compared by its bytes as well, or as a number of its own kind.
type mysql struct {
	standard
	flavour
}

func (*mysql) param(int) string          { return "?" }
func (*mysql) probe() string             { return "SELECT 1" }
func (*mysql) text(column string) string { return column }
func (*mysql) textTimes() bool           { return false }
func (*mysql) clock() string             { return "SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)" }
func (*mysql) lockWait() string          { return patience }
func (*mysql) lag() string               { return "" }

func (*mysql) oneState() (*sql.TxOptions, string)        { return repeatable, "" }
func (*mysql) shown(_ *object, _, _, expr string) string { return expr }

func (*mysql) boolean(b bool) any {
	if b {
		return 1
	}
	return 0
}

// whole: a BIT would take a text for its bytes.
func (*mysql) whole(v any) any {
	if s, ok := v.(string); ok {
		if n, err := strconv.ParseUint(s, 10, 64); err == nil {
			return n
		}
	}
	return v
}

// stamped: a zero date is no stamp.
func (*mysql) stamped(version, typ string) string {
	if timeType(typ) {
		return version + " >= '0001-01-01'"
	}
	return version + " IS NOT NULL"
}

func (*mysql) unstamped(version, typ string) string {
	if timeType(typ) {
		return "(" + version + " IS NULL OR " + version + " < '0001-01-01')"
	}
	return version + " IS NULL"
}

// era: times are written without a zone, which is the session's, UTC, or the one of the settings.
func (*mysql) era(_ time.Time, text string) string {
	return strings.TrimSuffix(strings.Replace(text, "T", " ", 1), "Z")
}

// now: named zones are known to few servers, so that the hub says how far a zone is from UTC.
func (*mysql) now(typ string, zone *time.Location, hub time.Time) string {
	switch typ {
	case "unix":
		return "UNIX_TIMESTAMP()"
	case "unix-ms":
		return "CAST(FLOOR(UNIX_TIMESTAMP(NOW(3)) * 1000) AS SIGNED)"
	case "local-timestamp":
		_, offset := hub.In(zone).Zone()
		return "(UTC_TIMESTAMP(6) + INTERVAL " + strconv.Itoa(offset) + " SECOND)"
	}
	return "UTC_TIMESTAMP(6)"
}

// next: the column cuts off what its digits do not show, so that what is added is one of its last digit.
func (*mysql) next(o *object, before, now, typ string) (string, bool) {
	if !timeType(typ) {
		return "COALESCE(GREATEST(" + now + ", " + before + " + 1), " + now + ")", true
	}
	c := o.learnt().column(o.Version)
	as, unit := "DATETIME("+strconv.Itoa(c.digits)+")", 1_000_000
	for range c.digits {
		unit /= 10
	}
	if c.kind == "date" {
		as, unit = "DATE", 86_400_000_000
	}
	now = "CAST(" + now + " AS " + as + ")"
	return "CASE WHEN " + before + " >= '0001-01-01' THEN GREATEST(" + now + ", CAST(" + before + " + INTERVAL " + strconv.Itoa(unit) + " MICROSECOND AS " + as + ")) ELSE " + now + " END", true
}

// exactText is the text of a column as bytes in UTF-8, which are compared without a rule of their language and without padding.
func exactText(column string) string { return "CAST(CONVERT(" + column + " USING utf8mb4) AS BINARY)" }

// value: a text beside a number would make both floating point.
func (*mysql) value(st *statement, typ string, v any) string {
	s, ok := v.(string)
	if !ok || typ != "integer" && typ != "decimal" {
		return st.arg(v)
	}
	_, fraction, _ := strings.Cut(s, ".")
	if len(s) > 60 || len(fraction) > 30 {
		return st.arg(v) // no column of numbers holds it exactly
	}
	return "CAST(" + st.arg(v) + " AS DECIMAL(65," + strconv.Itoa(len(fraction)) + "))"
}

func (d *mysql) is(st *statement, column, typ string, v any) string {
	if s, ok := v.(string); ok && typ == "text" { // by its index, and then exactly
		return "(" + column + " = " + st.arg(s) + " AND " + exactText(column) + " = CAST(" + st.arg(s) + " AS BINARY))"
	}
	return column + " = " + d.value(st, typ, v)
}

func (d *mysql) among(st *statement, column, typ string, values []any) string {
	if typ == "text" {
		return "(" + column + " IN " + st.list("", values) + " AND " + exactText(column) + " IN " + bytesList(st, values) + ")"
	}
	return column + " IN " + st.list(typ, values)
}

func (d *mysql) outside(st *statement, column, typ string, values []any) string {
	if typ == "text" {
		return exactText(column) + " NOT IN " + bytesList(st, values)
	}
	return column + " NOT IN " + st.list(typ, values)
}

func bytesList(st *statement, values []any) string {
	places := make([]string, len(values))
	for i, v := range values {
		places[i] = "CAST(" + st.arg(v) + " AS BINARY)"
	}
	return "(" + strings.Join(places, ", ") + ")"
}

func (d *mysql) stands(st *statement, version, typ, etag string) string {
	if !timeType(typ) {
		n, err := st.db.bindInteger(etag)
		if err != nil {
			return "FALSE"
		}
		return version + " = " + d.value(st, "integer", n)
	}
	return version + " = " + st.arg(etag)
}

// byID gives the id as rows are put in order by it. Where no unique index sees to it that no two ids are the same under the column's rule, they are
// ordered by their bytes, for which every page costs a look at all rows behind it.
func (*mysql) byID(o *object) func(column string) string {
	return func(column string) string {
		if slices.Contains(o.learnt().bytewise, column) {
			return exactText(of(column))
		}
		return of(column)
	}
}

func (d *mysql) orderID(o *object, nulls bool) string {
	order := o.Key.each(d.byID(o), ", ")
	switch {
	case !nulls || !o.nullable():
		return order
	case o.several():
		return o.brokenLast() + order
	}
	return o.keyBroken() + ", " + order
}

func (d *mysql) behindID(st *statement, o *object, last []any) string {
	return keyBehind(o.Key, last, d.byID(o), func(column string, v any) string {
		if slices.Contains(o.learnt().bytewise, column) {
			return "CAST(" + st.arg(v) + " AS BINARY)"
		}
		return d.value(st, o.Columns[column], v)
	})
}

// pairBehind compares a version and an id where the server knows no pairs, or has no use for an index with them; id is the condition that a row comes
// behind the id.
func pairBehind(st *statement, o *object, v any, id func() string) string {
	version, typ := o.versionExpr(), o.versionType()
	value := func() string { return st.db.dialect.value(st, typ, v) }
	return version + " >= " + value() + " AND (" + version + " > " + value() + " OR " + id() + ")"
}

func (d *mysql) behind(st *statement, o *object, v any, last []any) string {
	return pairBehind(st, o, v, func() string { return d.behindID(st, o, last) })
}

func (*mysql) inserts(st *statement, _ *object, columns, places string) {
	st.WriteString(" (" + columns + ") VALUES (" + places + ")")
}
func (*mysql) upserts() bool { return false }
func (*mysql) folds() bool   { return true }

// added: the id is the document's, or what the server gives back.
func (d *mysql) added(ctx context.Context, tx *sql.Tx, c *change, st *statement) (id string, err error) {
	if d.returning.Load() {
		st.WriteString(" RETURNING " + c.db.keyShown(c.o, quote))
		return c.scanID(tx.QueryRowContext(ctx, st.String(), st.args...))
	}
	res, err := tx.ExecContext(ctx, st.String(), st.args...)
	if err != nil {
		return "", err
	}
	if id, own := c.ownID(); own {
		return id, nil
	}
	n, err := res.LastInsertId()
	if err == nil && n == 0 {
		err = c.invalid("the server gives back no id but those of AUTO_INCREMENT: give %s that, or a value in the mapping", c.o.ID)
	}
	return strconv.FormatUint(uint64(n), 10), err // large numbers come as negative ones
}

// same: a pattern names every letter, since the column's rule may take more letters for the same, or fewer.
func (*mysql) same(st *statement, column, value string, rule connector.Compare) string {
	return "CONVERT(" + column + " USING utf8mb4) COLLATE utf8mb4_bin REGEXP " + st.arg(pattern(value, rule))
}

// texts: a BIT comes as its bytes.
func (*mysql) texts(rows *sql.Rows) (func(i int, v *sql.NullString), error) {
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, err
	}
	return func(i int, v *sql.NullString) {
		if v.Valid && types[i].DatabaseTypeName() == "BIT" {
			v.String = bits(v.String)
		}
	}, nil
}

// bits gives the number that up to eight bytes are.
func bits(raw string) string {
	var n uint64
	for _, b := range []byte(raw) {
		n = n<<8 | uint64(b)
	}
	return strconv.FormatUint(n, 10)
}

// impossible: the column's character set, or its type, knows no such value.
func (*mysql) impossible(code string) bool {
	return slices.Contains([]string{"MYSQL_1267", "MYSQL_1270", "MYSQL_1271"}, code)
}

func (*mysql) noRight() []string { return []string{"MYSQL_1142", "MYSQL_1143"} }
