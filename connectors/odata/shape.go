package odata

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/timetext"
)

// maxDigits bounds a number: that is what a document holds.
const maxDigits = 128

// A document is what a service answers without the protocol's own: no annotations, no wrappers around lists, no links to what was not asked for; numbers
// as JSON numbers, digit by digit; dates and times in ISO 8601.

// document writes an object as a document. lists are those of its lists that were read apart, whole.
func (m *metadata) document(dst []byte, v jsondoc.Value, t *structType, lists map[string][]jsondoc.Value) ([]byte, error) {
	dst = append(dst, '{')
	for name, w := range v.Members() {
		if strings.Contains(name, "@") || name == "__metadata" {
			continue
		}
		if _, apart := lists[name]; !apart && next(v, name, w) {
			return nil, &placed{name, errors.New("the list is cut, and goes on elsewhere")}
		}
		before := len(dst)
		if dst[len(dst)-1] != '{' {
			dst = append(dst, ',')
		}
		dst = append(jsondoc.AppendString(dst, name), ':')
		out, held, err := m.member(dst, name, w, t, lists)
		switch {
		case err != nil:
			return nil, err
		case !held:
			out = dst[:before]
		}
		dst = out
	}
	return append(dst, '}'), nil
}

// member writes the value of an object's member; held is false for one that a document does not hold.
func (m *metadata) member(dst []byte, name string, w jsondoc.Value, t *structType, lists map[string][]jsondoc.Value) (out []byte, held bool, err error) {
	if list, apart := lists[name]; apart {
		out, err = m.list(dst, list, m.types[t.navigation(name).target])
		return out, true, inside(name, err)
	}
	if p := t.property(name); p != nil {
		if p.kind == streamType || deferred(w) {
			return dst, false, nil
		}
		out, err = m.show(dst, p, w)
		return out, true, inside(name, err)
	}
	if nav := t.navigation(name); nav != nil && m.types[nav.target] != nil {
		if deferred(w) {
			return dst, false, nil
		}
		target := m.types[nav.target]
		if elements := m.elements(w); elements.Kind() == jsondoc.Array {
			var list []jsondoc.Value
			for e := range elements.Elements() {
				list = append(list, e)
			}
			out, err = m.list(dst, list, target)
			return out, true, inside(name, err)
		}
		if w.Kind() == jsondoc.Object {
			out, err = m.document(dst, w, target, nil)
			return out, true, inside(name, err)
		}
	}
	if deferred(w) {
		return dst, false, nil
	}
	out, err = m.bare(dst, w)
	return out, true, inside(name, err)
}

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

// placed is what is wrong at a path of a document.
type placed struct {
	path string
	why  error
}

func (e *placed) Error() string { return e.path + ": " + e.why.Error() }
func (e *placed) Unwrap() error { return e.why }

// list writes objects.
func (m *metadata) list(dst []byte, list []jsondoc.Value, t *structType) ([]byte, error) {
	dst = append(dst, '[')
	for i, e := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		if e.Kind() == jsondoc.Object {
			dst, err = m.document(dst, e, t, nil)
		} else {
			dst, err = m.bare(dst, e)
		}
		if err != nil {
			return nil, inside(fmt.Sprint(i), err)
		}
	}
	return append(dst, ']'), nil
}

// bare writes a value of which nothing is declared.
func (m *metadata) bare(dst []byte, v jsondoc.Value) ([]byte, error) {
	if list := m.elements(v); list.Kind() == jsondoc.Array {
		dst = append(dst, '[')
		n := 0
		for e := range list.Elements() {
			if n++; n > 1 {
				dst = append(dst, ',')
			}
			var err error
			if dst, err = m.bare(dst, e); err != nil {
				return nil, err
			}
		}
		return append(dst, ']'), nil
	}
	if v.Kind() == jsondoc.Object {
		return m.document(dst, v, &structType{}, nil)
	}
	return append(dst, v.Raw()...), nil
}

// elements takes V2's wrapper off a list.
func (m *metadata) elements(v jsondoc.Value) jsondoc.Value {
	if m.version == 2 && v.Kind() == jsondoc.Object {
		if list := v.Get("results"); list.Kind() == jsondoc.Array {
			return list
		}
	}
	return v
}

// deferred: in place of what was not asked for stands a link.
func deferred(v jsondoc.Value) bool {
	return v.Kind() == jsondoc.Object && v.Get("__deferred").Kind() == jsondoc.Object
}

// next reports whether a list inside an object goes on behind a link.
func next(object jsondoc.Value, name string, list jsondoc.Value) bool {
	return listLink(object, name, list) != ""
}

// listLink is the link behind a list inside an object; empty: there is none.
func listLink(object jsondoc.Value, name string, list jsondoc.Value) string {
	for _, link := range []jsondoc.Value{list.Get("__next"), object.Get(name + "@odata.nextLink"), object.Get(name + "@nextLink")} {
		if link.Kind() == jsondoc.String {
			return link.Str()
		}
	}
	return ""
}

// show writes a property's value.
func (m *metadata) show(dst []byte, p *property, v jsondoc.Value) ([]byte, error) {
	if v.Kind() == jsondoc.Null {
		return append(dst, "null"...), nil
	}
	if !p.collection {
		return m.one(dst, p, v)
	}
	list := m.elements(v)
	if list.Kind() != jsondoc.Array {
		return nil, fmt.Errorf("is no list, and %s is one", p.name)
	}
	dst = append(dst, '[')
	for i := range list.Len() {
		if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		if dst, err = m.one(dst, p, list.Index(i)); err != nil {
			return nil, inside(fmt.Sprint(i), err)
		}
	}
	return append(dst, ']'), nil
}

// one writes one value.
func (m *metadata) one(dst []byte, p *property, v jsondoc.Value) ([]byte, error) {
	switch p.kind {
	case integerType, int64Type, decimalType, doubleType:
		return m.number(dst, p, v)
	case dateType, clockType, instantType:
		return m.moment(dst, p, v)
	case timeType:
		if t, ok := clockOf(v.Str()); ok {
			return jsondoc.AppendString(dst, t), nil
		}
		return nil, fmt.Errorf("%s is no time of day", shown(v))
	case complexType:
		if v.Kind() != jsondoc.Object {
			return nil, fmt.Errorf("%s is no object", shown(v))
		}
		return m.document(dst, v, m.types[p.typ], nil)
	case anyType:
		return m.bare(dst, v)
	}
	return append(dst, v.Raw()...), nil
}

func (m *metadata) number(dst []byte, p *property, v jsondoc.Value) ([]byte, error) {
	text := string(v.Raw())
	if v.Kind() == jsondoc.String {
		text = v.Str()
	}
	if p.kind == doubleType && !doubleNumber.MatchString(text) || p.kind != doubleType && !plainDecimal.MatchString(text) {
		d, err := jsondoc.ParseDecimal(strings.TrimPrefix(text, "+"))
		if err != nil {
			return nil, fmt.Errorf("%s is no number", shown(v))
		}
		text = d.String()
	}
	if len(text) > maxDigits {
		return nil, fmt.Errorf("has more than %d digits", maxDigits)
	}
	return append(dst, text...), nil
}

// moment writes a day or a point in time. The offset of a V2 value says how it was shown, and moves nothing.
func (m *metadata) moment(dst []byte, p *property, v jsondoc.Value) ([]byte, error) {
	text := v.Str()
	if v.Kind() != jsondoc.String {
		return nil, fmt.Errorf("%s is no date", shown(v))
	}
	t, err := timetext.Milliseconds(text)
	switch {
	case err == nil:
		if err = timetext.CheckYear(t); err != nil {
			return nil, fmt.Errorf("%s %w", text, err)
		}
		if midnight := t.Equal(t.Truncate(24 * time.Hour)); p.kind == dateType && midnight {
			return jsondoc.AppendString(dst, t.Format(time.DateOnly)), nil
		}
		return jsondoc.AppendString(dst, t.Format(time.RFC3339Nano)), nil
	case strings.HasPrefix(text, "/Date("):
		return nil, fmt.Errorf("%s %w", text, err)
	}
	read := map[edmType]func(string) (time.Time, error){dateType: day, clockType: clock, instantType: instant}[p.kind]
	if t, err = read(text); err != nil {
		return nil, fmt.Errorf("%s %w", httpclient.Shorten(text, 60), err)
	}
	if p.kind == clockType {
		text = t.Format(time.RFC3339Nano)
	}
	return jsondoc.AppendString(dst, text), nil
}

// clockOf gives a time of day, as V2 and V4 write one, as 10:30:00.
func clockOf(s string) (string, bool) {
	if timeOfDay.MatchString(s) {
		return s, true
	}
	part := v2Time.FindStringSubmatch(s)
	if part == nil {
		return "", false
	}
	two := func(s string) string { return strings.Repeat("0", 2-len(s)) + s }
	out := two(part[1]) + ":" + two(part[2]) + ":" + two(part[3]) + part[4]
	return out, timeOfDay.MatchString(out)
}

// text gives a property's value as documents write it, without quotes; "" for null and for what is not there.
func (m *metadata) text(p *property, v jsondoc.Value) (string, error) {
	if !v.Exists() {
		return "", nil
	}
	b, err := m.show(nil, p, v)
	if err != nil {
		return "", inside(p.name, err)
	}
	if b[0] != '"' {
		return string(b), nil
	}
	d, err := jsondoc.Parse(b, jsondoc.Limits{})
	if err != nil {
		return "", inside(p.name, err)
	}
	return d.Root().Str(), nil
}

// shown tells a value to people.
func shown(v jsondoc.Value) string {
	if v.Kind() == jsondoc.Missing {
		return "nothing"
	}
	return httpclient.Shorten(string(v.Raw()), 80)
}
