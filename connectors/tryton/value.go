package tryton

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/timetext"
)

// A document holds numbers as numbers, days and times in ISO 8601, what Tryton keeps in UTC with its zone, and bytes in base64. Tryton's own forms are objects
// with a "__class__". A duration is a number of seconds.

// maxDigits bounds a number: that is what a document holds.
const maxDigits = 128

// placed is what is wrong at a path of a document.
type placed struct {
	path string
	why  error
}

func (e *placed) Error() string { return e.path + ": " + e.why.Error() }
func (e *placed) Unwrap() error { return e.why }

// inside names the place of an error.
func inside(name string, err error) error {
	if err == nil {
		return nil
	}
	var at *placed
	if errors.As(err, &at) {
		return &placed{name + "." + at.path, at.why}
	}
	return &placed{name, err}
}

// show appends a value of Tryton's as a document holds it.
func show(dst []byte, f *field, v jsondoc.Value) ([]byte, error) {
	if !v.Exists() {
		return append(dst, "null"...), nil
	}
	if v.Kind() == jsondoc.Object && v.Get("__class__").Kind() == jsondoc.String {
		return showClass(dst, v)
	}
	if v.Kind() == jsondoc.Number && len(v.Raw()) > maxDigits {
		return nil, fmt.Errorf("the number has more than %d digits", maxDigits)
	}
	if f.typ == "many2many" || f.typ == "multiselection" {
		if v.Kind() != jsondoc.Array {
			return nil, fmt.Errorf("it is %s, and no list", v.Kind())
		}
		dst = append(dst, '[')
		for i, e := range elements(v) {
			if i > 0 {
				dst = append(dst, ',')
			}
			if e.Kind() != jsondoc.Number && e.Kind() != jsondoc.String {
				return nil, fmt.Errorf("its list holds %s", e.Kind())
			}
			dst = append(dst, e.Raw()...)
		}
		return append(dst, ']'), nil
	}
	if f.typ == "dict" {
		return showDict(dst, v)
	}
	switch v.Kind() {
	case jsondoc.Bool, jsondoc.Number, jsondoc.String:
		return append(dst, v.Raw()...), nil
	}
	return nil, fmt.Errorf("%s is no value of a field of type %s", v.Kind(), f.typ)
}

func showDict(dst []byte, v jsondoc.Value) ([]byte, error) {
	if v.Kind() != jsondoc.Object {
		return nil, fmt.Errorf("it is %s, and no object", v.Kind())
	}
	dst = append(dst, '{')
	for name, w := range v.Members() {
		if dst[len(dst)-1] != '{' {
			dst = append(dst, ',')
		}
		dst = append(jsondoc.AppendString(dst, name), ':')
		var err error
		if dst, err = show(dst, &field{typ: "entry"}, w); err != nil {
			return nil, inside(name, err)
		}
	}
	return append(dst, '}'), nil
}

// showClass appends what stands behind a "__class__".
func showClass(dst []byte, v jsondoc.Value) ([]byte, error) {
	switch class := v.Get("__class__").Str(); class {
	case "Decimal":
		text := v.Get("decimal").Str()
		d, err := jsondoc.ParseDecimal(text)
		if err != nil {
			return nil, fmt.Errorf("%q is no number", httpclient.Shorten(text, 40))
		}
		return d.Append(dst), nil
	case "date", "datetime":
		t, err := moment(v)
		if err != nil {
			return nil, err
		}
		layout := time.DateOnly
		if class == "datetime" {
			layout = time.RFC3339Nano
		}
		return jsondoc.AppendString(dst, t.Format(layout)), nil
	case "time":
		n, err := parts(v, "hour", "minute", "second", "microsecond")
		if err != nil {
			return nil, err
		}
		t := time.Date(2000, 1, 1, n[0], n[1], n[2], n[3]*1000, time.UTC)
		return jsondoc.AppendString(dst, t.Format("15:04:05.999999")), nil
	case "timedelta":
		s := v.Get("seconds")
		if s.Kind() != jsondoc.Number {
			return nil, errors.New("a duration without seconds")
		}
		return append(dst, s.Raw()...), nil
	case "bytes":
		text := strings.Map(func(r rune) rune {
			if r == '\n' || r == '\r' {
				return -1
			}
			return r
		}, v.Get("base64").Str())
		if _, err := base64.StdEncoding.DecodeString(text); err != nil {
			return nil, errors.New("bytes that are no base64")
		}
		return jsondoc.AppendString(dst, text), nil
	default:
		return nil, fmt.Errorf("a value of Tryton's class %q cannot be shown", httpclient.Shorten(class, 40))
	}
}

// parts reads whole numbers by name; those that are missing are 0.
func parts(v jsondoc.Value, names ...string) ([]int, error) {
	out := make([]int, len(names))
	for i, name := range names {
		w := v.Get(name)
		if !w.Exists() {
			continue
		}
		n, ok := integer(w)
		if !ok || n < 0 || n > 999_999 {
			return nil, fmt.Errorf("%s is no number of a date or time", name)
		}
		out[i] = int(n)
	}
	return out, nil
}

// moment reads a date or datetime, which Tryton keeps in UTC.
func moment(v jsondoc.Value) (time.Time, error) {
	n, err := parts(v, "year", "month", "day", "hour", "minute", "second", "microsecond")
	if err != nil {
		return time.Time{}, err
	}
	t := time.Date(n[0], time.Month(n[1]), n[2], n[3], n[4], n[5], n[6]*1000, time.UTC)
	if n[0] < 1 || n[0] > 9999 || int(t.Month()) != n[1] || t.Day() != n[2] || t.Hour() != n[3] || t.Minute() != n[4] || t.Second() != n[5] {
		return time.Time{}, errors.New("there is no such day or time")
	}
	return t, nil
}

// datetime writes a time as Tryton does, down to the microsecond.
func datetime(t time.Time) string {
	t = t.UTC()
	return fmt.Sprintf(`{"__class__":"datetime","year":%d,"month":%d,"day":%d,"hour":%d,"minute":%d,"second":%d,"microsecond":%d}`,
		t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond()/1000)
}

// take writes a document's value as Tryton takes it for a field. Lists of ids are written by the caller.
func take(f *field, v jsondoc.Value) (string, error) {
	if v.Kind() == jsondoc.Null {
		return "null", nil
	}
	switch f.typ {
	case "boolean":
		if v.Kind() == jsondoc.Bool {
			return string(v.Raw()), nil
		}
		return "", expected("true or false", v)
	case "integer", "biginteger":
		if n, ok := integer(v); ok {
			return strconv.FormatInt(n, 10), nil
		}
		return "", expected("a whole number", v)
	case "many2one", "one2one":
		return takeID(v)
	case "numeric":
		d, err := decimal(v)
		if err != nil {
			return "", err
		}
		return `{"__class__":"Decimal","decimal":"` + d.String() + `"}`, nil
	case "float":
		d, err := decimal(v)
		if err != nil {
			return "", err
		}
		text := d.String()
		if back := strconv.FormatFloat(d.Float64(), 'f', -1, 64); !sameNumber(back, d) {
			return "", fmt.Errorf("%s has more digits than Tryton's field can hold", httpclient.Shorten(text, 40))
		}
		return text, nil
	case "timedelta":
		d, err := decimal(v)
		if err != nil {
			return "", err
		}
		return `{"__class__":"timedelta","seconds":` + d.String() + `}`, nil
	}
	if f.typ == "dict" || f.typ == "multiselection" {
		return string(v.Raw()), nil
	}
	if v.Kind() != jsondoc.String {
		return "", expected("a text", v)
	}
	switch f.typ {
	case "date":
		return takeDate(v.Str())
	case "datetime", "timestamp":
		return takeDatetime(v.Str())
	case "time":
		return takeTime(v.Str())
	case "binary":
		if _, err := base64.StdEncoding.DecodeString(v.Str()); err != nil {
			return "", errors.New("it is no base64")
		}
		return `{"__class__":"bytes","base64":` + string(quote(v.Str())) + `}`, nil
	}
	return string(quote(v.Str())), nil
}

func expected(what string, v jsondoc.Value) error {
	return fmt.Errorf("the field takes %s, and the document holds %s", what, v.Kind())
}

// takeID takes the id of a record, as a number or as the text of one.
func takeID(v jsondoc.Value) (string, error) {
	if n, ok := integer(v); ok && n > 0 {
		return strconv.FormatInt(n, 10), nil
	}
	if id, err := localID(v.Str()); v.Kind() == jsondoc.String && err == nil {
		return strconv.FormatInt(id, 10), nil
	}
	return "", errors.New("it is no id of a record: ids are whole numbers (refer says by which other field documents name records)")
}

// localID reads the id of a record.
func localID(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 1 || strconv.FormatInt(n, 10) != text {
		return 0, fmt.Errorf("%q is no id of Tryton's", httpclient.Shorten(text, 40))
	}
	return n, nil
}

func decimal(v jsondoc.Value) (jsondoc.Decimal, error) {
	switch v.Kind() {
	case jsondoc.Number:
		return v.Decimal()
	case jsondoc.String:
		d, err := jsondoc.ParseDecimal(v.Str())
		if err != nil {
			return d, fmt.Errorf("%q is no number", httpclient.Shorten(v.Str(), 40))
		}
		return d, nil
	}
	return jsondoc.Decimal{}, expected("a number", v)
}

func sameNumber(text string, d jsondoc.Decimal) bool {
	other, err := jsondoc.ParseDecimal(text)
	return err == nil && other.Cmp(d) == 0
}

func takeDate(text string) (string, error) {
	v, err := timetext.Parse(text)
	switch {
	case err != nil:
		return "", fmt.Errorf("%q %w", httpclient.Shorten(text, 40), err)
	case v.Clock:
		return "", fmt.Errorf("%q is no day: it has a time", httpclient.Shorten(text, 40))
	}
	return fmt.Sprintf(`{"__class__":"date","year":%d,"month":%d,"day":%d}`, v.Wall.Year(), v.Wall.Month(), v.Wall.Day()), timetext.CheckYear(v.Wall)
}

func takeDatetime(text string) (string, error) {
	v, err := timetext.Parse(text)
	switch {
	case err != nil:
		return "", fmt.Errorf("%q %w", httpclient.Shorten(text, 40), err)
	case v.Zone == nil || !v.Clock:
		return "", fmt.Errorf("%q names no time with a zone", httpclient.Shorten(text, 40))
	}
	t := v.In(time.UTC).UTC()
	if t.Nanosecond()%1000 != 0 {
		return "", fmt.Errorf("%q has more digits than Tryton keeps: microseconds", httpclient.Shorten(text, 40))
	}
	return datetime(t), timetext.CheckYear(t)
}

func takeTime(text string) (string, error) {
	for _, layout := range []string{"15:04:05.999999", "15:04"} {
		if t, err := time.Parse(layout, text); err == nil {
			return fmt.Sprintf(`{"__class__":"time","hour":%d,"minute":%d,"second":%d,"microsecond":%d}`, t.Hour(), t.Minute(), t.Second(), t.Nanosecond()/1000), nil
		}
	}
	return "", fmt.Errorf("%q is no time of day", httpclient.Shorten(text, 40))
}
