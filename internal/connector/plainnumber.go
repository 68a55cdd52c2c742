package connector

import (
	"cmp"
	"encoding/binary"
	"strconv"
	"strings"
)

// A number of PlainNumber is a head of four 16-bit words, then its digits of base 10000 without zeros at either end: how many there are, the power of
// 10000 of the first, the sign, and 0.
const (
	numberHead     = 8
	numberPositive = 0x0000
	numberNegative = 0x4000
	numberNone     = 0xC000 // and beyond: NaN, Infinity, -Infinity
	numberInfinity = 0xD000
)

func specialNumber(v []byte) bool { return binary.BigEndian.Uint16(v[4:]) >= numberNone }

// AppendNumber appends a plain decimal number (no exponent) as PlainNumber. ok is false where s is none.
func AppendNumber(dst []byte, s string) (_ []byte, ok bool) {
	sign := uint16(numberPositive)
	if rest, negative := strings.CutPrefix(s, "-"); negative {
		s, sign = rest, numberNegative
	}
	whole, part, _ := strings.Cut(s, ".")
	if whole+part == "" || strings.Trim(whole+part, "0123456789") != "" {
		return dst, false
	}
	if over := len(whole) % 4; over != 0 {
		whole = "000"[over-1:] + whole
	}
	if over := len(part) % 4; over != 0 {
		part += "000"[over-1:]
	}
	digits := whole + part
	weight := len(whole)/4 - 1
	for strings.HasPrefix(digits, "0000") {
		digits = digits[4:]
		weight--
	}
	for strings.HasSuffix(digits, "0000") {
		digits = digits[:len(digits)-4]
	}
	if digits == "" {
		sign, weight = numberPositive, 0
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(digits)/4))
	dst = binary.BigEndian.AppendUint16(dst, uint16(int16(weight)))
	dst = binary.BigEndian.AppendUint16(dst, sign)
	dst = binary.BigEndian.AppendUint16(dst, 0)
	for ; digits != ""; digits = digits[4:] {
		n, err := strconv.Atoi(digits[:4])
		if err != nil { // they are digits
			return dst, false
		}
		dst = binary.BigEndian.AppendUint16(dst, uint16(n))
	}
	return dst, true
}

func numberText(v []byte) string {
	weight, sign, digits := int(int16(binary.BigEndian.Uint16(v[2:]))), binary.BigEndian.Uint16(v[4:]), v[numberHead:]
	switch {
	case sign == numberNone:
		return "NaN"
	case sign == numberInfinity:
		return "Infinity"
	case sign > numberInfinity:
		return "-Infinity"
	}
	var whole, part strings.Builder
	for at := 0; at <= weight; at++ {
		group(&whole, digits, at)
	}
	for at := weight + 1; at < len(digits)/2; at++ {
		group(&part, digits, at)
	}
	text := strings.TrimLeft(whole.String(), "0")
	if text == "" {
		text = "0"
	}
	if p := strings.TrimRight(part.String(), "0"); p != "" {
		text += "." + p
	}
	if sign == numberNegative {
		text = "-" + text
	}
	return text
}

// group writes the four digits at a place; those before the first and after the last are zeros.
func group(b *strings.Builder, digits []byte, at int) {
	n := uint16(0)
	if at >= 0 && at*2 < len(digits) {
		n = binary.BigEndian.Uint16(digits[at*2:])
	}
	s := strconv.Itoa(int(n))
	b.WriteString("0000"[len(s):])
	b.WriteString(s)
}

// compareNumbers orders as PostgreSQL does: NaN comes after everything.
func compareNumbers(a, b []byte) int {
	if c := cmp.Compare(numberRank(a), numberRank(b)); c != 0 || specialNumber(a) {
		return c
	}
	c := compareAmounts(a, b)
	if binary.BigEndian.Uint16(a[4:]) == numberNegative {
		return -c
	}
	return c
}

// numberRank: -Infinity, negative, zero, positive, Infinity, NaN.
func numberRank(v []byte) int {
	switch sign := binary.BigEndian.Uint16(v[4:]); {
	case sign == numberNone:
		return 3
	case sign == numberInfinity:
		return 2
	case sign > numberInfinity:
		return -2
	case len(v) == numberHead:
		return 0
	case sign == numberNegative:
		return -1
	}
	return 1
}

func compareAmounts(a, b []byte) int {
	if c := cmp.Compare(int16(binary.BigEndian.Uint16(a[2:])), int16(binary.BigEndian.Uint16(b[2:]))); c != 0 {
		return c
	}
	x, y := a[numberHead:], b[numberHead:]
	for i := 0; i < min(len(x), len(y)); i += 2 {
		if c := cmp.Compare(binary.BigEndian.Uint16(x[i:]), binary.BigEndian.Uint16(y[i:])); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(x), len(y))
}
