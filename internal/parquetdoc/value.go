package parquetdoc

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// Layouts of times in documents: a moment has its zone, which is UTC; a time of somewhere has none. Zeros at the end of a fraction are left out.
const (
	clockLayout  = "15:04:05.999999999"
	localLayout  = time.DateOnly + "T" + clockLayout
	momentLayout = localLayout + "Z07:00"
)

// append appends a value as JSON. One that cannot be shown is an error, and its text.
func (l *Leaf) append(dst []byte, v datum) ([]byte, error) {
	text, plain, err := l.render(v)
	switch {
	case err != nil:
		return jsondoc.AppendString(dst, text), err
	case l.text != nil && !utf8.ValidString(text):
		return jsondoc.AppendString(dst, text), errNoText
	case l.text != nil:
		out, err := l.text(dst, text)
		if err != nil {
			out = jsondoc.AppendString(dst, text)
		}
		return out, err
	case plain:
		return append(dst, text...), nil
	}
	return jsondoc.AppendString(dst, text), nil
}

var (
	errNoText = errors.New("it holds bytes that are no text in UTF-8")
	errDay    = errors.New("it is no day of the years 1 to 9999")
)

// render gives a value as a text; plain: it stands in JSON without quotes.
func (l *Leaf) render(v datum) (text string, plain bool, err error) {
	if l.logical == logicalUnknown {
		return "", false, errors.New("it is a value in a column of nulls")
	}
	switch l.kind {
	case Bool:
		return strconv.FormatBool(v.n != 0), true, nil
	case Integer:
		return l.integer(v.n), true, nil
	case Float:
		return l.float(v.n)
	case Decimal:
		text, err = l.decimal(v)
		return text, true, err
	case Date:
		text, err = day(v.n)
	case Time:
		text, err = clock(v.n, l.unit)
	case Timestamp, Datetime:
		text, err = l.moment(v)
	case UUID:
		id, _ := uuid.FromBytes(v.b) // which has 16
		text = id.String()
	case Bytes:
		if l.text == nil {
			return base64.StdEncoding.EncodeToString(v.b), false, nil
		}
		text = string(v.b)
	default:
		if text = string(v.b); !utf8.Valid(v.b) {
			err = errNoText
		}
	}
	return text, false, err
}

func (l *Leaf) integer(n int64) string {
	switch {
	case l.signed:
		return strconv.FormatInt(n, 10)
	case l.phys == physInt32:
		return strconv.FormatUint(uint64(uint32(n)), 10)
	}
	return strconv.FormatUint(uint64(n), 10)
}

// decimal gives a decimal with all digits of its scale.
func (l *Leaf) decimal(v datum) (string, error) {
	var text string
	if l.phys == physInt32 || l.phys == physInt64 {
		text = strconv.FormatInt(v.n, 10)
	} else {
		if len(v.b) == 0 || len(v.b) > 64 {
			return "", fmt.Errorf("it is a decimal of %d bytes", len(v.b))
		}
		n := new(big.Int).SetBytes(v.b)
		if v.b[0] >= 0x80 {
			n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(v.b))))
		}
		text = n.String()
	}
	digits, below := strings.CutPrefix(text, "-")
	var err error
	if len(digits) > l.precision {
		err = fmt.Errorf("it has %d digits, and the column %d", len(digits), l.precision)
	}
	if l.scale > 0 {
		if missing := l.scale + 1 - len(digits); missing > 0 {
			digits = strings.Repeat("0", missing) + digits
		}
		digits = digits[:len(digits)-l.scale] + "." + digits[len(digits)-l.scale:]
	}
	if below {
		digits = "-" + digits
	}
	return digits, err
}

// Days of the years 1 and 9999, from 1970-01-01.
const (
	firstDay = -719_162
	lastDay  = 2_932_896
)

func day(n int64) (string, error) {
	if n < firstDay || n > lastDay {
		return strconv.FormatInt(n, 10), errDay
	}
	return time.Unix(n*86_400, 0).UTC().Format(time.DateOnly), nil
}

// perSecond is how many units a second has, by their digits.
var perSecond = map[int]int64{3: 1e3, 6: 1e6, 9: 1e9}

// split gives whole seconds, and nanoseconds.
func split(n int64, unit int) (seconds, nanos int64) {
	per := perSecond[unit]
	seconds, nanos = n/per, n%per
	if nanos < 0 {
		seconds, nanos = seconds-1, nanos+per
	}
	return seconds, nanos * (1e9 / per)
}

func clock(n int64, unit int) (string, error) {
	seconds, nanos := split(n, unit)
	if seconds < 0 || seconds >= 86_400 {
		return strconv.FormatInt(n, 10), errors.New("it is no time of a day")
	}
	return time.Unix(seconds, nanos).UTC().Format(clockLayout), nil
}

func (l *Leaf) moment(v datum) (string, error) {
	var seconds, nanos int64
	if l.phys == physInt96 { // nanoseconds of a day, and its Julian number
		n := binary.LittleEndian.Uint64(v.b)
		seconds = (int64(binary.LittleEndian.Uint32(v.b[8:])) - 2_440_588) * 86_400
		if nanos = int64(n); n >= 86_400e9 {
			return strconv.FormatUint(n, 10), errors.New("it is no time of a day")
		}
	} else {
		seconds, nanos = split(v.n, l.unit)
	}
	if seconds < firstDay*86_400 || seconds >= (lastDay+1)*86_400 {
		return strconv.FormatInt(v.n, 10), errDay
	}
	layout := localLayout
	if l.kind == Timestamp {
		layout = momentLayout
	}
	return time.Unix(seconds, nanos).UTC().Format(layout), nil
}
