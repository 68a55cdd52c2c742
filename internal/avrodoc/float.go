package avrodoc

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// Avro's own binary floating point numbers: what its schemas declare so is read and written so, and nothing else.

// appendFloat writes a number with the fewest digits that stand for it alone.
func appendFloat(dst []byte, v any) ([]byte, error) {
	var f float64
	size := 64
	switch v := v.(type) {
	case float32:
		f, size = float64(v), 32
	case float64:
		f = v
	default:
		return nil, fmt.Errorf("a value of type %T is none of Avro's", v)
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, fmt.Errorf("the number is %v, and a document cannot hold that", f)
	}
	if f == 0 {
		return append(dst, '0'), nil // documents know one zero
	}
	return strconv.AppendFloat(dst, f, 'g', -1, size), nil
}

var errInexact = errors.New("the type cannot hold the number exactly: have the schema say decimal")

// floating makes a floating point number of a decimal, if it stands for that alone.
func floating(d jsondoc.Decimal, size int) (any, error) {
	f, err := strconv.ParseFloat(d.String(), size)
	if err != nil {
		return nil, errInexact
	}
	back, err := jsondoc.ParseDecimal(strconv.FormatFloat(f, 'g', -1, size))
	if err != nil || back.Cmp(d) != 0 {
		return nil, errInexact
	}
	if size == 32 {
		return float32(f), nil
	}
	return f, nil
}
