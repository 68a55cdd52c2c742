package avrodoc

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/twmb/avro"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// Layouts of times in documents. Those of an instant carry their zone, which is UTC; those of local times carry none, because nobody knows it.
const (
	dateLayout  = "2006-01-02"
	clockLayout = "15:04:05"
	localLayout = dateLayout + "T" + clockLayout
)

// digits are how many a time has behind its seconds, by logical type.
var digits = map[string]int{
	"time-millis": 3, "timestamp-millis": 3, "local-timestamp-millis": 3, "time-micros": 6, "timestamp-micros": 6, "local-timestamp-micros": 6,
	"timestamp-nanos": 9, "local-timestamp-nanos": 9,
}

// fraction is a layout's part behind the seconds.
func fraction(logical string) string { return ".000000000"[:1+digits[logical]] }

// Document appends to dst the JSON document of a value. Decimals become numbers with all digits of their scale, instants texts in UTC, days and local times texts without
// a zone, bytes base64, unions their value alone.
func (s *Schema) Document(dst, value []byte) ([]byte, error) {
	var v any
	rest, err := s.codec.Decode(value, &v, avro.TaggedUnions())
	if err != nil {
		return nil, err
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("%d bytes are left behind the value: it was written with another schema", len(rest))
	}
	return s.append(dst, s.root, v)
}

func (s *Schema) append(dst []byte, n *avro.SchemaNode, v any) ([]byte, error) {
	n = s.of(n)
	if n.Type == "union" {
		return s.appendBranch(dst, n, v)
	}
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...), nil
	case bool:
		return strconv.AppendBool(dst, v), nil
	case int32:
		return strconv.AppendInt(dst, int64(v), 10), nil
	case int64:
		return strconv.AppendInt(dst, v, 10), nil
	case string:
		if !utf8.ValidString(v) {
			return nil, errors.New("the text is no UTF-8")
		}
		return jsondoc.AppendString(dst, v), nil
	case []byte:
		return jsondoc.AppendString(dst, base64.StdEncoding.EncodeToString(v)), nil
	case [16]byte:
		return jsondoc.AppendString(dst, uuid.UUID(v).String()), nil
	case time.Time:
		return appendTime(dst, n.LogicalType, v)
	case time.Duration:
		return jsondoc.AppendString(dst, time.Time{}.Add(v).Format(clockLayout+fraction(n.LogicalType))), nil
	case *big.Rat:
		return appendDecimal(dst, n, v)
	case avro.Duration:
		return fmt.Appendf(dst, `{"months":%d,"days":%d,"milliseconds":%d}`, v.Months, v.Days, v.Milliseconds), nil
	case []any:
		dst = append(dst, '[')
		for i, e := range v {
			var err error
			if dst, err = s.append(dst, n.Items, e); err != nil {
				return nil, at(strconv.Itoa(i), err)
			}
			dst = append(dst, ',')
		}
		return closed(dst, ']'), nil
	case map[string]any:
		return s.appendMembers(dst, n, v)
	}
	return appendFloat(dst, v)
}

// closed puts the closing bracket, in place of the last comma where there is one.
func closed(dst []byte, bracket byte) []byte {
	if dst[len(dst)-1] == ',' {
		dst[len(dst)-1] = bracket
		return dst
	}
	return append(dst, bracket)
}

func (s *Schema) appendBranch(dst []byte, n *avro.SchemaNode, v any) ([]byte, error) {
	if v == nil {
		return append(dst, "null"...), nil
	}
	if tagged, ok := v.(map[string]any); ok && len(tagged) == 1 {
		for name, inner := range tagged {
			for i := range n.Branches {
				if b := &n.Branches[i]; s.branch(b) == name {
					return s.append(dst, b, inner)
				}
			}
		}
	}
	return nil, errors.New("the value is of none of the union's types")
}

func (s *Schema) appendMembers(dst []byte, n *avro.SchemaNode, v map[string]any) ([]byte, error) {
	dst = append(dst, '{')
	member := func(name string, n *avro.SchemaNode) (err error) {
		if !utf8.ValidString(name) {
			return errors.New("a name in the map is no UTF-8")
		}
		dst = append(jsondoc.AppendString(dst, name), ':')
		if dst, err = s.append(dst, n, v[name]); err != nil {
			return at(name, err)
		}
		dst = append(dst, ',')
		return nil
	}
	if n.Type == "map" {
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if err := member(name, n.Values); err != nil {
				return nil, err
			}
		}
		return closed(dst, '}'), nil
	}
	for i := range n.Fields {
		if err := member(n.Fields[i].Name, &n.Fields[i].Type); err != nil {
			return nil, err
		}
	}
	return closed(dst, '}'), nil
}

func appendTime(dst []byte, logical string, t time.Time) ([]byte, error) {
	if y := t.Year(); y < 0 || y > 9999 {
		return nil, fmt.Errorf("the time is of the year %d, and a document holds those of the years 0 to 9999", y)
	}
	switch logical {
	case "date":
		return jsondoc.AppendString(dst, t.Format(dateLayout)), nil
	case "timestamp-millis", "timestamp-micros", "timestamp-nanos":
		return jsondoc.AppendString(dst, t.Format(localLayout+fraction(logical)+"Z")), nil
	}
	return jsondoc.AppendString(dst, t.Format(localLayout+fraction(logical))), nil
}

// appendDecimal writes a number with its digits: a decimal has as many behind the point as its schema says, a big-decimal as many as it needs.
func appendDecimal(dst []byte, n *avro.SchemaNode, v *big.Rat) ([]byte, error) {
	scale := n.Scale
	if n.LogicalType != "decimal" {
		var exact bool
		if scale, exact = v.FloatPrec(); !exact {
			return nil, errors.New("the number has no end")
		}
	}
	return append(dst, v.FloatString(scale)...), nil
}
