package connector

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
)

// PlainForm is how a plain value is written in bytes. Within a form two values are the same exactly if their bytes are. Forms with a colon mean what
// stands before it, and are the same only if all of it is: wall:Europe/Berlin.
type PlainForm string

const (
	// PlainInt: 8 bytes, two's complement, big-endian.
	PlainInt PlainForm = "integer"
	// PlainNumber: a decimal number as PostgreSQL's binary protocol has it, with a display scale of 0.
	PlainNumber PlainForm = "number"
	// PlainText: UTF-8.
	PlainText PlainForm = "text"
	// PlainBool: a byte, 0 or 1.
	PlainBool PlainForm = "boolean"
	// PlainInstant: microseconds since 2000-01-01T00:00:00Z as PlainInt has them, and the nanoseconds below them in two more bytes where there are any.
	PlainInstant PlainForm = "instant"
	// PlainWall: the reading of a clock in the zone that follows, as PlainInstant as if it were UTC.
	PlainWall PlainForm = "wall"
	// PlainUnix and PlainUnixMilli: seconds and milliseconds since 1970, as PlainInt.
	PlainUnix      PlainForm = "unix"
	PlainUnixMilli PlainForm = "unix-ms"
	// PlainDate: days since 2000-01-01 in 4 bytes, two's complement, big-endian.
	PlainDate PlainForm = "date"
	// PlainUUID: 16 bytes.
	PlainUUID PlainForm = "uuid"
)

func (f PlainForm) base() PlainForm {
	if i := strings.IndexByte(string(f), ':'); i >= 0 {
		return f[:i]
	}
	return f
}

// Compare orders two values that are not null: numbers and times by value, texts and UUIDs by their bytes.
func (f PlainForm) Compare(a, b []byte) int {
	switch f {
	case PlainInt:
		return cmp.Compare(int64(binary.BigEndian.Uint64(a)), int64(binary.BigEndian.Uint64(b)))
	case PlainText, PlainUUID, PlainBool:
		return bytes.Compare(a, b)
	case PlainNumber:
		return compareNumbers(a, b)
	case PlainDate:
		return cmp.Compare(int32(binary.BigEndian.Uint32(a)), int32(binary.BigEndian.Uint32(b)))
	}
	if c := cmp.Compare(int64(binary.BigEndian.Uint64(a)), int64(binary.BigEndian.Uint64(b))); c != 0 {
		return c
	}
	return bytes.Compare(a[8:], b[8:])
}

// epoch is 2000-01-01 in seconds since 1970.
const epoch = 946684800

// AppendInt appends an integer as PlainInt.
func AppendInt(dst []byte, n int64) []byte { return binary.BigEndian.AppendUint64(dst, uint64(n)) }

// AppendInstant appends a time as PlainInstant; of one that is too far from 2000 the result is wrong.
func AppendInstant(dst []byte, t time.Time) []byte {
	dst = AppendInt(dst, (t.Unix()-epoch)*1e6+int64(t.Nanosecond()/1000))
	if below := t.Nanosecond() % 1000; below != 0 {
		dst = binary.BigEndian.AppendUint16(dst, uint16(below))
	}
	return dst
}

// AppendDate appends the day of a time as PlainDate.
func AppendDate(dst []byte, t time.Time) []byte {
	day := time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
	return binary.BigEndian.AppendUint32(dst, uint32(int32((day.Unix()-epoch)/86400)))
}

// Text is the value as people read it.
func (f PlainForm) Text(v []byte) string {
	switch f.base() {
	case PlainInt:
		return strconv.FormatInt(int64(binary.BigEndian.Uint64(v)), 10)
	case PlainNumber:
		return numberText(v)
	case PlainBool:
		return strconv.FormatBool(v[0] != 0)
	case PlainUUID:
		return uuidText(v)
	case PlainDate:
		return dateText(v)
	case PlainInstant, PlainUnix, PlainUnixMilli, PlainWall:
		return f.timeText(v)
	}
	return string(v)
}

func (f PlainForm) timeText(v []byte) string {
	n := int64(binary.BigEndian.Uint64(v))
	var t time.Time
	switch f.base() {
	case PlainUnix:
		t = time.Unix(n, 0)
	case PlainUnixMilli:
		t = time.UnixMilli(n)
	default:
		if s, endless := endless(n, math.MaxInt64, math.MinInt64); endless {
			return s
		}
		t = time.UnixMicro(n).Add(epoch * time.Second)
		if len(v) == 10 {
			t = t.Add(time.Duration(binary.BigEndian.Uint16(v[8:])))
		}
	}
	if f.base() == PlainWall {
		return t.UTC().Format("2006-01-02T15:04:05.999999999")
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func dateText(v []byte) string {
	n := int64(int32(binary.BigEndian.Uint32(v)))
	if s, endless := endless(n, math.MaxInt32, math.MinInt32); endless {
		return s
	}
	return time.Unix(epoch+n*86400, 0).UTC().Format(time.DateOnly)
}

// endless: PostgreSQL's times before and after all others.
func endless(n, most, least int64) (string, bool) {
	switch n {
	case most:
		return "infinity", true
	case least:
		return "-infinity", true
	}
	return "", false
}

func uuidText(v []byte) string {
	const digits = "0123456789abcdef"
	out := make([]byte, 0, 36)
	for i, b := range v {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			out = append(out, '-')
		}
		out = append(out, digits[b>>4], digits[b&15])
	}
	return string(out)
}

// JSON is the value as documents show it; nil is null. What documents cannot show, such as a number that is none, is a text.
func (f PlainForm) JSON(v []byte) json.RawMessage {
	if v == nil {
		return json.RawMessage("null")
	}
	text := f.Text(v)
	switch f.base() {
	case PlainInt, PlainBool:
		return json.RawMessage(text)
	case PlainNumber:
		if !specialNumber(v) {
			return json.RawMessage(text)
		}
	}
	b, err := json.Marshal(text)
	if err != nil { // a text always has one
		return json.RawMessage(`""`)
	}
	return b
}
