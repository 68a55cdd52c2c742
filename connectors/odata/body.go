package odata

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// writer writes documents as bodies of requests. What the service would cut, round or move without a word is refused here, with the field.
type writer struct {
	m *metadata
	// asText: numbers beyond what a double holds go as texts, as IEEE754Compatible says.
	asText bool
}

// object writes a document's members as properties of a type, without those that leave names.
func (w writer) object(dst []byte, v jsondoc.Value, t *structType, leave func(name string) bool) ([]byte, error) {
	if v.Kind() != jsondoc.Object {
		return nil, fmt.Errorf("is no object (%s)", v.Kind())
	}
	dst = append(dst, '{')
	for name, value := range v.Members() {
		if leave != nil && leave(name) {
			continue
		}
		if dst[len(dst)-1] != '{' {
			dst = append(dst, ',')
		}
		dst = append(jsondoc.AppendString(dst, name), ':')
		var err error
		if dst, err = w.member(dst, name, value, t); err != nil {
			return nil, inside(name, err)
		}
	}
	return append(dst, '}'), nil
}

func (w writer) member(dst []byte, name string, v jsondoc.Value, t *structType) ([]byte, error) {
	if p := t.property(name); p != nil {
		return w.value(dst, p, v)
	}
	nav := t.navigation(name)
	switch {
	case nav == nil && t.open:
		return append(dst, v.Raw()...), nil
	case nav == nil:
		return nil, fmt.Errorf("is no property of %s%s", short(t.name), strictyaml.Meant(name, t.names()))
	}
	target := w.m.types[nav.target]
	if target == nil {
		return append(dst, v.Raw()...), nil
	}
	switch v.Kind() {
	case jsondoc.Null:
		return append(dst, "null"...), nil
	case jsondoc.Array:
		dst = append(dst, '[')
		for i := range v.Len() {
			if i > 0 {
				dst = append(dst, ',')
			}
			var err error
			if dst, err = w.object(dst, v.Index(i), target, nil); err != nil {
				return nil, inside(fmt.Sprint(i), err)
			}
		}
		return append(dst, ']'), nil
	}
	return w.object(dst, v, target, nil)
}

func (w writer) value(dst []byte, p *property, v jsondoc.Value) ([]byte, error) {
	if v.Kind() == jsondoc.Null {
		return append(dst, "null"...), nil
	}
	if !p.collection {
		return w.one(dst, p, v)
	}
	if v.Kind() != jsondoc.Array {
		return nil, fmt.Errorf("is no list (%s)", v.Kind())
	}
	dst = append(dst, '[')
	for i := range v.Len() {
		if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		if dst, err = w.one(dst, p, v.Index(i)); err != nil {
			return nil, inside(fmt.Sprint(i), err)
		}
	}
	return append(dst, ']'), nil
}

func (w writer) one(dst []byte, p *property, v jsondoc.Value) ([]byte, error) {
	switch p.kind {
	case integerType, int64Type, decimalType, doubleType:
		return w.number(dst, p, v)
	case complexType:
		return w.object(dst, v, w.m.types[p.typ], nil)
	case booleanType:
		if v.Kind() != jsondoc.Bool {
			return nil, fmt.Errorf("%s is neither true nor false", shown(v))
		}
		return append(dst, v.Raw()...), nil
	case anyType, streamType:
		return append(dst, v.Raw()...), nil
	}
	if v.Kind() != jsondoc.String {
		return nil, fmt.Errorf("%s is no text, as %s is written", shown(v), short(p.typ))
	}
	text, err := w.written(p, v.Str())
	if err != nil {
		return nil, err
	}
	return jsondoc.AppendString(dst, text), nil
}

// written gives a text as the protocol writes values of the property.
func (w writer) written(p *property, s string) (string, error) {
	v2 := w.m.version == 2
	switch p.kind {
	case stringType:
		if n := utf8.RuneCountInString(s); p.length >= 0 && n > p.length {
			return "", fmt.Errorf("has %d characters, and the service takes %d", n, p.length)
		}
		return s, nil
	case dateType, clockType, instantType:
		return w.moment(p, s)
	case timeType:
		if !timeOfDay.MatchString(s) {
			return "", fmt.Errorf("%q is no time of day, such as 10:30:00", httpclient.Shorten(s, 60))
		}
		if v2 {
			return duration(s), nil
		}
		return s, nil
	case guidType, durationType, binaryType:
		if _, err := w.m.literal(p, s); err != nil {
			return "", fmt.Errorf("%q %w", httpclient.Shorten(s, 60), err)
		}
	}
	return s, nil
}

func (w writer) moment(p *property, s string) (string, error) {
	read := map[edmType]func(string) (time.Time, error){dateType: day, clockType: clock, instantType: instant}[p.kind]
	t, err := read(s)
	if err != nil {
		return "", fmt.Errorf("%q %w", httpclient.Shorten(s, 60), err)
	}
	if w.m.version == 2 {
		if t.Nanosecond()%int(time.Millisecond) != 0 {
			return "", fmt.Errorf("%q is finer than the milliseconds that OData V2 can write: round it", httpclient.Shorten(s, 60))
		}
		return "/Date(" + strconv.FormatInt(t.UnixMilli(), 10) + suffix(p.kind == instantType, "+0000") + ")/", nil
	}
	if p.kind == dateType {
		return t.Format(time.DateOnly), nil
	}
	return t.Format(time.RFC3339Nano), nil
}

// number writes a number. A service takes 1.5 for an integer, and rounds what has too many places: neither is sent.
func (w writer) number(dst []byte, p *property, v jsondoc.Value) ([]byte, error) {
	text := string(v.Raw())
	if v.Kind() == jsondoc.String {
		text = v.Str()
	} else if v.Kind() != jsondoc.Number {
		return nil, fmt.Errorf("%s is no number", shown(v))
	}
	d, err := jsondoc.ParseDecimal(text)
	if err != nil {
		return nil, fmt.Errorf("%s is no number", shown(v))
	}
	switch p.kind {
	case integerType, int64Type:
		n, whole := d.Int64()
		if !whole || n < p.floor || n > p.ceiling {
			return nil, fmt.Errorf("%s is no %s", shown(v), short(p.typ))
		}
		text = strconv.FormatInt(n, 10)
	case decimalType:
		if err := fits(d, p); err != nil {
			return nil, err
		}
		if text = d.String(); len(text) > maxDigits {
			return nil, fmt.Errorf("has more than %d digits", maxDigits)
		}
	case doubleType:
		if !doubleNumber.MatchString(text) {
			text = d.String()
		}
	}
	if asText := p.kind != integerType && w.m.version == 2 || p.kind != integerType && p.kind != doubleType && w.asText; asText {
		return jsondoc.AppendString(dst, text), nil
	}
	return append(dst, text...), nil
}

// fits refuses a decimal that has more places, or more digits before its point, than the property.
func fits(d jsondoc.Decimal, p *property) error {
	t := d.Trim()
	whole, part, _ := strings.Cut(strings.TrimPrefix(t.String(), "-"), ".")
	whole = strings.TrimLeft(whole, "0")
	if p.scale >= 0 && len(part) > p.scale {
		return fmt.Errorf("%s has %d places, and the service takes %d: round it", t, len(part), p.scale)
	}
	if p.precision > 0 && p.scale >= 0 && len(whole) > p.precision-p.scale {
		return fmt.Errorf("%s has %d digits before the point, and the service takes %d", t, len(whole), p.precision-p.scale)
	}
	if p.precision > 0 && len(whole)+len(part) > p.precision {
		return fmt.Errorf("%s has %d digits, and the service takes %d", t, len(whole)+len(part), p.precision)
	}
	return nil
}

// placeOf is the path of the field that an error is about.
func placeOf(err error) string {
	var at *placed
	if errors.As(err, &at) {
		return at.path
	}
	return ""
}
