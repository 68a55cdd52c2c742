package sql

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/timetext"
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
		return db.bindInteger(string(v.Raw()))
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
		return db.bindInteger(s)
	case "decimal":
		return bindDecimal(s)
	case "boolean":
		b, err := strconv.ParseBool(s)
		return db.dialect.boolean(b), err
	case "date":
		return db.bindDate(s)
	case "timestamp", "local-timestamp", "unix", "unix-ms":
		v, err := timetext.Parse(s)
		switch {
		case errors.Is(err, timetext.ErrForm), err == nil && (!v.Clock || v.Zone == nil):
			return nil, fmt.Errorf("%q is no time with a zone (write 2006-01-02T15:04:05Z)", short(s))
		case err != nil:
			return nil, fmt.Errorf("%q %w", short(s), err)
		}
		t := v.In(nil).UTC()
		if typ == "local-timestamp" {
			t = t.In(db.zone)
		}
		if err := timetext.CheckYear(t); err != nil {
			return nil, fmt.Errorf("%q %w", short(s), err)
		}
		return db.bindTime(typ, t), nil
	}
	return s, nil
}

func (db *database) bindDate(s string) (any, error) {
	v, err := timetext.Parse(s)
	switch {
	case err != nil && !errors.Is(err, timetext.ErrForm):
		return nil, fmt.Errorf("%q %w", short(s), err)
	case err != nil || v.Wall.Format(time.DateOnly) != s:
		return nil, fmt.Errorf("%q is no date (write 2006-01-02)", short(s))
	}
	if err := timetext.CheckYear(v.Wall); err != nil {
		return nil, fmt.Errorf("%q %w", short(s), err)
	}
	return db.dialect.era(v.Wall, s), nil
}

func (db *database) bindTime(typ string, t time.Time) any {
	switch typ {
	case "unix":
		return t.Unix()
	case "unix-ms":
		return t.UnixMilli()
	case "local-timestamp":
		t = t.In(db.zone)
		return db.dialect.era(t, stamp(t, time.DateTime))
	}
	t = t.UTC()
	return db.dialect.era(t, stamp(t, "2006-01-02T15:04:05Z"))
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
		return db.bindInteger(s)
	}
	return s, nil
}

// bindOwn turns a column's own text, as a page ended with it, into a parameter that compares as the column does. SQLite's columns hold what their
// type does not say, and order it by its own kind.
func (db *database) bindOwn(typ, s string) (any, error) {
	v, err := db.bindVersion(typ, s)
	switch typ {
	case "decimal":
		v, err = bindDecimal(s)
	case "boolean":
		var b bool
		b, err = parseBool(s)
		v = db.dialect.boolean(b)
	}
	if err == nil || !db.dialect.textTimes() {
		return v, err
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		return f, nil
	}
	return s, nil
}

func (db *database) bindInteger(s string) (any, error) {
	v, err := bindInteger(s)
	if err == nil {
		v = db.dialect.whole(v)
	}
	return v, err
}

func bindInteger(s string) (any, error) {
	d, err := jsondoc.ParseDecimal(s)
	switch {
	case errors.Is(err, jsondoc.ErrRange):
		return nil, fmt.Errorf("%q cannot be carried: %w", short(s), err)
	case err != nil || !d.IsInt():
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
	switch {
	case errors.Is(err, jsondoc.ErrRange):
		return nil, fmt.Errorf("%q cannot be carried: %w", short(s), err)
	case err != nil:
		return nil, fmt.Errorf("%q is no decimal number", short(s))
	}
	return d.String(), nil
}

// appendValue appends a column's text as the document shows it.
func (db *database) appendValue(dst []byte, typ, raw string) ([]byte, error) {
	switch typ {
	case "integer", "decimal":
		return appendNumber(dst, typ, raw)
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
		text, err := dateOf(raw)
		if err != nil {
			return dst, err
		}
		raw = text
	case "timestamp", "local-timestamp", "unix", "unix-ms":
		t, err := db.timeOf(typ, raw)
		if err != nil {
			return dst, err
		}
		raw = t.UTC().Format(time.RFC3339Nano)
	}
	if !utf8.ValidString(raw) {
		return dst, fmt.Errorf("%q holds bytes that are no UTF-8 text", short(raw))
	}
	return jsondoc.AppendString(dst, raw), nil
}

// appendNumber appends a number plainly, with all its digits; one that is too long for a document only because of its zeros (1e300), as it
// stands. What the database has beside numbers is refused, and so is what a document cannot carry.
func appendNumber(dst []byte, typ, raw string) ([]byte, error) {
	d, err := jsondoc.ParseDecimal(raw)
	switch {
	case errors.Is(err, jsondoc.ErrRange):
		return dst, fmt.Errorf("%q cannot be carried: %w; take the column as text", short(raw), err)
	case err != nil && notNumber(raw):
		return dst, fmt.Errorf("%q is no number that a document can show: take the column as text", raw)
	case err != nil:
		return dst, fmt.Errorf("%q is no number", short(raw))
	}
	if typ == "integer" && d.IsInt() {
		d = d.Trim()
	}
	from := len(dst)
	if dst = d.Append(dst); len(dst)-from <= jsondoc.DefaultNumberLen {
		return dst, nil
	}
	if doc, err := jsondoc.Parse([]byte(raw), jsondoc.Limits{}); err == nil && doc.Root().Kind() == jsondoc.Number {
		return append(dst[:from], raw...), nil
	}
	return dst[:from], fmt.Errorf("%q cannot be carried: a document's number has at most %d characters; take the column as text", short(raw), jsondoc.DefaultNumberLen)
}

// notNumber: the values that floats and PostgreSQL's numeric have beside numbers.
func notNumber(raw string) bool {
	switch strings.ToLower(strings.TrimLeft(raw, "+-")) {
	case "nan", "inf", "infinity":
		return true
	}
	return false
}

// dateOf gives a date as documents write it; the day, where a time is stored with it. A text that is no date of any form, such as
// 28/11/2026, stays what it is: layouts are a mapping's business.
func dateOf(raw string) (string, error) {
	v, err := timetext.Parse(raw)
	switch {
	case errors.Is(err, timetext.ErrForm):
		return raw, nil
	case err == nil:
		err = timetext.CheckYear(v.Wall)
	}
	if err != nil {
		return "", fmt.Errorf("%q %w; take the column as text to map it", short(raw), err)
	}
	return v.Wall.Format(time.DateOnly), nil
}

// timeOf reads a column's text as a time that a document can write.
func (db *database) timeOf(typ, raw string) (time.Time, error) {
	t, err := db.instantOf(typ, raw)
	if err != nil {
		return t, err
	}
	if err := timetext.CheckYear(t.UTC()); err != nil {
		return t, fmt.Errorf("%q %w; take the column as text to map it", short(raw), err)
	}
	return t, nil
}

func (db *database) instantOf(typ, raw string) (time.Time, error) {
	if typ == "unix" || typ == "unix-ms" {
		n, err := strconv.ParseInt(raw, 10, 64)
		if err != nil {
			return time.Time{}, fmt.Errorf("%q is no whole number", short(raw))
		}
		if most := int64(1e16); n > most || n < -most {
			return time.Time{}, fmt.Errorf("%q is too far from 1970 for a time", short(raw))
		}
		if typ == "unix" {
			return time.Unix(n, 0), nil
		}
		return time.UnixMilli(n), nil
	}
	v, err := timetext.Parse(raw)
	switch {
	case errors.Is(err, timetext.ErrForm):
		return time.Time{}, fmt.Errorf("%q is no time", short(raw))
	case err != nil:
		return time.Time{}, fmt.Errorf("%q %w; take the column as text to map it", short(raw), err)
	case typ == "local-timestamp":
		return v.In(db.zone), nil
	}
	return v.In(time.UTC), nil
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
