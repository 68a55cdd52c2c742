package sql

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// types of columns.
var types = []string{"text", "integer", "decimal", "boolean", "timestamp", "local-timestamp", "unix", "unix-ms", "date", "json"}

// bind turns a document's value into a parameter of a column's type.
func (db *database) bind(typ string, v jsondoc.Value) (any, error) {
	if v.Kind() == jsondoc.Null || v.Kind() == jsondoc.Missing {
		return nil, nil
	}
	want := func(k jsondoc.Kind) error {
		if v.Kind() != k {
			return fmt.Errorf("holds %s, and the column takes %s", v.Kind(), typ)
		}
		return nil
	}
	switch typ {
	case "json":
		return string(v.Raw()), nil
	case "boolean":
		if err := want(jsondoc.Bool); err != nil {
			return nil, err
		}
		return db.dialect.boolean(v.Bool()), nil
	case "integer":
		if err := want(jsondoc.Number); err != nil {
			return nil, err
		}
		return bindInteger(string(v.Raw()))
	case "decimal":
		if v.Kind() == jsondoc.String {
			return bindDecimal(v.Str())
		}
		if err := want(jsondoc.Number); err != nil {
			return nil, err
		}
		return bindDecimal(string(v.Raw()))
	}
	if err := want(jsondoc.String); err != nil {
		return nil, err
	}
	return db.bindText(typ, v.Str())
}

// bindText turns a text, such as an id or a cursor, into a parameter of a column's type.
func (db *database) bindText(typ, s string) (any, error) {
	switch typ {
	case "integer":
		return bindInteger(s)
	case "decimal":
		return bindDecimal(s)
	case "boolean":
		b, err := strconv.ParseBool(s)
		return db.dialect.boolean(b), err
	case "date":
		if _, err := time.Parse(time.DateOnly, s); err != nil {
			return nil, fmt.Errorf("%q is no date (write 2006-01-02)", short(s))
		}
	case "timestamp", "local-timestamp", "unix", "unix-ms":
		t, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			return nil, fmt.Errorf("%q is no time with a zone (write 2006-01-02T15:04:05Z)", short(s))
		}
		return db.bindTime(typ, t), nil
	}
	return s, nil
}

func (db *database) bindTime(typ string, t time.Time) any {
	switch typ {
	case "unix":
		return t.Unix()
	case "unix-ms":
		return t.UnixMilli()
	case "local-timestamp":
		return stamp(t.In(db.zone), time.DateTime)
	}
	return stamp(t.UTC(), "2006-01-02T15:04:05Z")
}

// now is the present time as an expression for a column of a time type.
func (db *database) now(typ string) string { return db.dialect.now(typ, db.zone, db.clock.Now()) }

// bindSince gives a bound for everything that changed since. SQLite compares times as texts, in whatever form the
// application writes them: a day earlier, and without a time, every form compares rightly.
func (db *database) bindSince(typ string, t time.Time) any {
	if db.dialect.textTimes() && (typ == "timestamp" || typ == "local-timestamp") {
		return t.UTC().Add(-24 * time.Hour).Format(time.DateOnly)
	}
	if typ == "local-timestamp" {
		t = connector.LowestReading(t, db.zone, 0)
	}
	return db.bindTime(typ, t)
}

// bindVersion turns a cursor, which is the column's own text, into a parameter.
func (db *database) bindVersion(typ, s string) (any, error) {
	switch typ {
	case "integer", "unix", "unix-ms":
		return bindInteger(s)
	}
	return s, nil
}

func bindInteger(s string) (any, error) {
	d, err := jsondoc.ParseDecimal(s)
	if err != nil || !d.IsInt() {
		return nil, fmt.Errorf("%q is no whole number", short(s))
	}
	if n, ok := d.Int64(); ok {
		return n, nil
	}
	return d.Trim().String(), nil // numeric(30): the database judges
}

// bindDecimal gives the exact digits: a decimal never becomes a float on its way.
func bindDecimal(s string) (any, error) {
	d, err := jsondoc.ParseDecimal(s)
	if err != nil {
		return nil, fmt.Errorf("%q is no decimal number", short(s))
	}
	return d.String(), nil
}

// appendValue appends a column's text as the document shows it.
func (db *database) appendValue(dst []byte, typ, raw string) ([]byte, error) {
	switch typ {
	case "integer", "decimal":
		d, err := jsondoc.ParseDecimal(raw)
		if err != nil {
			return dst, fmt.Errorf("%q is no number", short(raw))
		}
		if typ == "integer" && d.IsInt() {
			d = d.Trim()
		}
		return d.Append(dst), nil
	case "boolean":
		b, err := parseBool(raw)
		return strconv.AppendBool(dst, b), err
	case "json":
		doc, err := jsondoc.Parse([]byte(raw), jsondoc.Limits{})
		if err != nil {
			return dst, fmt.Errorf("holds no JSON: %w", err)
		}
		return append(dst, doc.Root().Raw()...), nil
	case "date":
		if len(raw) > 10 {
			raw = raw[:10] // a date stored with a time
		}
	case "timestamp", "local-timestamp", "unix", "unix-ms":
		t, err := db.timeOf(typ, raw)
		if err != nil {
			return dst, err
		}
		raw = t.UTC().Format(time.RFC3339Nano)
	}
	return jsondoc.AppendString(dst, strings.ToValidUTF8(raw, "\uFFFD")), nil
}

// timeOf reads a column's text as a time.
func (db *database) timeOf(typ, raw string) (time.Time, error) {
	if typ == "unix" || typ == "unix-ms" {
		n, err := strconv.ParseInt(raw, 10, 64)
		if err != nil {
			return time.Time{}, fmt.Errorf("%q is no whole number", short(raw))
		}
		if typ == "unix" {
			return time.Unix(n, 0), nil
		}
		return time.UnixMilli(n), nil
	}
	zone := time.UTC
	if typ == "local-timestamp" {
		zone = db.zone
	}
	t, _, ok := parseStamp(raw, zone)
	if !ok {
		return t, fmt.Errorf("%q is no time", short(raw))
	}
	return t, nil
}

func parseBool(raw string) (bool, error) {
	switch strings.ToLower(raw) {
	case "1", "t", "true", "y", "yes":
		return true, nil
	case "0", "f", "false", "n", "no", "":
		return false, nil
	}
	return false, fmt.Errorf("%q is no truth value", short(raw))
}

func short(s string) string {
	if r := []rune(s); len(r) > 80 {
		return string(r[:77]) + "..."
	}
	return s
}
