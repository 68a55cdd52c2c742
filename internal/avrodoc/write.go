package avrodoc

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/twmb/avro"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// Value appends to dst the value of a document. Every member must be one of the schema's fields, and every field that may not be left out must be there;
// what the schema's type cannot hold exactly is refused. The error is an *Error.
func (s *Schema) Value(dst []byte, doc jsondoc.Value) ([]byte, error) {
	v, err := s.value(s.root, doc)
	if err == nil {
		dst, err = s.codec.AppendEncode(dst, v)
	}
	var e *Error
	if err != nil && !errors.As(err, &e) {
		err = &Error{"", err}
	}
	if err != nil {
		return nil, err
	}
	return dst, nil
}

func (s *Schema) value(n *avro.SchemaNode, v jsondoc.Value) (any, error) {
	n = s.of(n)
	switch n.Type {
	case "union":
		return s.choose(n, v)
	case "record", "error":
		return s.record(n, v)
	case "map":
		if v.Kind() != jsondoc.Object {
			return nil, kind(v, "an object")
		}
		out := make(map[string]any, v.Len())
		for name, m := range v.Members() {
			var err error
			if out[name], err = s.value(n.Values, m); err != nil {
				return nil, at(name, err)
			}
		}
		return out, nil
	case "array":
		if v.Kind() != jsondoc.Array {
			return nil, kind(v, "a list")
		}
		out, i := make([]any, 0, v.Len()), 0
		for e := range v.Elements() {
			x, err := s.value(n.Items, e)
			if err != nil {
				return nil, at(strconv.Itoa(i), err)
			}
			out, i = append(out, x), i+1
		}
		return out, nil
	case "null":
		if v.Kind() != jsondoc.Null {
			return nil, kind(v, "null")
		}
		return nil, nil
	case "boolean":
		if v.Kind() != jsondoc.Bool {
			return nil, kind(v, "a boolean")
		}
		return v.Bool(), nil
	}
	return scalar(n, v)
}

func kind(v jsondoc.Value, want string) error {
	return fmt.Errorf("the schema wants %s, and the document has %s", want, v.Kind())
}

func (s *Schema) record(n *avro.SchemaNode, v jsondoc.Value) (any, error) {
	if v.Kind() != jsondoc.Object {
		return nil, kind(v, "an object")
	}
	out := make(map[string]any, len(n.Fields))
	for i := range n.Fields {
		f := &n.Fields[i]
		m := v.Get(f.Name)
		switch {
		case m.Kind() == jsondoc.Missing && f.HasDefault:
			continue
		case m.Kind() == jsondoc.Missing && nullable(s.of(&f.Type)):
			out[f.Name] = nil
			continue
		case m.Kind() == jsondoc.Missing:
			return nil, at(f.Name, errors.New("the document lacks it, and the schema gives no default"))
		}
		x, err := s.value(&f.Type, m)
		if err != nil {
			return nil, at(f.Name, err)
		}
		out[f.Name] = x
	}
	for name := range v.Members() {
		if !slices.ContainsFunc(n.Fields, func(f avro.SchemaField) bool { return f.Name == name }) {
			return nil, at(name, errors.New("the schema has no such field: nothing would be written of it"))
		}
	}
	return out, nil
}

// choose takes the first of a union's types that holds the value.
func (s *Schema) choose(n *avro.SchemaNode, v jsondoc.Value) (any, error) {
	var errs []string
	var last error
	for i := range n.Branches {
		b := &n.Branches[i]
		x, err := s.value(b, v)
		switch {
		case err == nil && x == nil:
			return nil, nil
		case err == nil:
			return map[string]any{s.branch(b): x}, nil
		case s.of(b).Type != "null":
			last = err
			errs = append(errs, describe(b)+": "+err.Error())
		}
	}
	if len(errs) == 1 {
		return nil, last
	}
	return nil, fmt.Errorf("none of the union's types holds it (%s)", strings.Join(errs, "; "))
}

// scalar is a single value.
func scalar(n *avro.SchemaNode, v jsondoc.Value) (any, error) {
	switch n.LogicalType {
	case "decimal", "big-decimal":
		return decimal(n, v)
	case "date", "timestamp-millis", "timestamp-micros", "timestamp-nanos", "local-timestamp-millis", "local-timestamp-micros", "local-timestamp-nanos", "time-millis", "time-micros":
		return moment(n.LogicalType, v)
	case "uuid":
		u, err := uuid.Parse(v.Str())
		if v.Kind() != jsondoc.String || err != nil {
			return nil, errors.New("it is no UUID")
		}
		if n.Type == "fixed" {
			return [16]byte(u), nil
		}
		return v.Str(), nil
	case "duration":
		return duration(v)
	}
	switch n.Type {
	case "int":
		return whole(v, 32)
	case "long":
		return whole(v, 64)
	case "float", "double":
		d, err := number(v)
		if err != nil {
			return nil, err
		}
		return floating(d, map[string]int{"float": 32, "double": 64}[n.Type])
	}
	if v.Kind() != jsondoc.String {
		return nil, kind(v, "a text")
	}
	switch n.Type {
	case "enum":
		if !slices.Contains(n.Symbols, v.Str()) {
			return nil, fmt.Errorf("%q is none of %s", v.Str(), strings.Join(n.Symbols, ", "))
		}
	case "bytes", "fixed":
		b, err := base64.StdEncoding.DecodeString(v.Str())
		switch {
		case err != nil:
			return nil, errors.New("it is no base64")
		case n.Type == "fixed" && len(b) != n.Size:
			return nil, fmt.Errorf("it has %d bytes, and the schema wants %d", len(b), n.Size)
		}
		return b, nil
	}
	return v.Str(), nil
}

func number(v jsondoc.Value) (jsondoc.Decimal, error) {
	if v.Kind() != jsondoc.Number {
		return jsondoc.Decimal{}, kind(v, "a number")
	}
	return v.Decimal()
}

func whole(v jsondoc.Value, bits int) (any, error) {
	d, err := number(v)
	if err != nil {
		return nil, err
	}
	i, ok := d.Int64()
	switch {
	case !ok, bits == 32 && (i < math.MinInt32 || i > math.MaxInt32):
		return nil, fmt.Errorf("it is no whole number of %d bits", bits)
	case bits == 32:
		return int32(i), nil
	}
	return i, nil
}

// decimal takes numbers, and texts that are numbers.
func decimal(n *avro.SchemaNode, v jsondoc.Value) (any, error) {
	var d jsondoc.Decimal
	var err error
	if v.Kind() == jsondoc.String {
		if d, err = jsondoc.ParseDecimal(v.Str()); err != nil {
			return nil, errors.New("it is no number")
		}
	} else if d, err = number(v); err != nil {
		return nil, err
	}
	d = d.Trim()
	text := d.String()
	if n.LogicalType == "decimal" {
		before, behind, _ := strings.Cut(strings.TrimPrefix(text, "-"), ".")
		if before = strings.TrimLeft(before, "0"); len(behind) > n.Scale || len(before) > n.Precision-n.Scale {
			return nil, fmt.Errorf("%s does not fit into decimal(%d,%d)", text, n.Precision, n.Scale)
		}
	}
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		return nil, errors.New("it is no number")
	}
	return r, nil
}

// moment reads a day, an instant with its zone, or a local time without one. What the type would cut is refused.
func moment(logical string, v jsondoc.Value) (any, error) {
	if v.Kind() != jsondoc.String {
		return nil, kind(v, "a text")
	}
	layout, example := localLayout, "2026-11-01T09:30:00, without a zone"
	switch {
	case logical == "date":
		layout, example = dateLayout, "2026-11-01"
	case strings.HasPrefix(logical, "timestamp"):
		layout, example = time.RFC3339Nano, "2026-11-01T09:30:00Z or …+08:00, with a zone"
	case strings.HasPrefix(logical, "time-"):
		layout, example = clockLayout, "09:30:00"
	}
	t, err := time.Parse(layout, v.Str())
	if err != nil {
		return nil, fmt.Errorf("%s wants a text such as %s", logical, example)
	}
	if n, timed := digits[logical]; timed && t.Nanosecond()%int(math.Pow10(9-n)) != 0 {
		return nil, fmt.Errorf("%s holds %d digits behind the seconds, and the text has more", logical, n)
	}
	if strings.HasPrefix(logical, "time-") {
		return t.Sub(time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)), nil
	}
	if logical == "timestamp-nanos" || logical == "local-timestamp-nanos" {
		if y := t.Year(); y < 1678 || y > 2261 {
			return nil, fmt.Errorf("%s holds the years 1678 to 2261", logical)
		}
	}
	return t, nil
}

func duration(v jsondoc.Value) (any, error) {
	var out avro.Duration
	if v.Kind() != jsondoc.Object || v.Len() != 3 {
		return nil, errors.New("a duration is an object with months, days and milliseconds")
	}
	for name, into := range map[string]*uint32{"months": &out.Months, "days": &out.Days, "milliseconds": &out.Milliseconds} {
		d, err := number(v.Get(name))
		i, ok := d.Int64()
		if err != nil || !ok || i < 0 || i > math.MaxUint32 {
			return nil, at(name, errors.New("it is no whole number of 32 bits without a sign"))
		}
		*into = uint32(i)
	}
	return out, nil
}
