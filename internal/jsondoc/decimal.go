package jsondoc

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/bits"
	"strconv"
)

var (
	// ErrSyntax is wrapped by errors about text that is no number.
	ErrSyntax = errors.New("not a number")
	// ErrRange is wrapped by errors about numbers that are too long or too far from one to be calculated with.
	ErrRange = errors.New("number out of range")
	// ErrDivision is the division by zero.
	ErrDivision = errors.New("division by zero")
)

func notNumber(k Kind) error { return fmt.Errorf("%w but %s", ErrSyntax, k) }

const (
	// maxDigits bounds a coefficient's digits, maxScale the digits behind the point.
	maxDigits = 4_096
	maxScale  = 4_096
	maxBits   = maxDigits * 3322 / 1000
)

// Decimal is an exact decimal number: coefficient × 10^-scale. The zero value is 0. A result beyond 4,096 digits is "out
// of range": it stays so through every further operation, and Err says it. Decimals are compared with Cmp, not ==.
type Decimal struct {
	big   *big.Int // the coefficient when it does not fit coef; never changed once set
	coef  int64
	scale int32 // digits behind the point: 0 … maxScale
	bad   bool
}

var outOfRange = Decimal{bad: true}

// FromInt is the whole number n.
func FromInt(n int64) Decimal { return Decimal{coef: n} }

// Err wraps ErrRange when d is out of range; nil otherwise.
func (d Decimal) Err() error {
	if d.bad {
		return fmt.Errorf("%w: more than %d digits", ErrRange, maxDigits)
	}
	return nil
}

// Scale is how many digits stand behind the point.
func (d Decimal) Scale() int { return int(d.scale) }

// integer is the coefficient as a big integer; the result may be d's own and must not be changed.
func (d Decimal) integer() *big.Int {
	if d.big != nil {
		return d.big
	}
	return big.NewInt(d.coef)
}

// makeDecimal reduces a big coefficient to the small form where it fits. It keeps n.
func makeDecimal(n *big.Int, scale int) Decimal {
	switch {
	case n.BitLen() > maxBits || scale > maxScale:
		return outOfRange
	case n.IsInt64():
		return Decimal{coef: n.Int64(), scale: int32(scale)}
	}
	return Decimal{big: n, scale: int32(scale)}
}

var pow10s = func() (t [19]int64) {
	t[0] = 1
	for i := 1; i < len(t); i++ {
		t[i] = t[i-1] * 10
	}
	return t
}()

func pow10(n int) *big.Int {
	if n < len(pow10s) {
		return big.NewInt(pow10s[n])
	}
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil)
}

// mul64 multiplies; ok is false on overflow.
func mul64(a, b int64) (int64, bool) {
	hi, lo := bits.Mul64(abs64(a), abs64(b))
	if hi != 0 || lo > math.MaxInt64 {
		return 0, false
	}
	if (a < 0) != (b < 0) {
		return -int64(lo), true
	}
	return int64(lo), true
}

func abs64(n int64) uint64 {
	if n < 0 {
		return uint64(-n) // right for the least integer too: it wraps to its own magnitude
	}
	return uint64(n)
}

// lift gives d's coefficient at a scale that is not less than its own.
func (d Decimal) lift(scale int32) (small int64, large *big.Int) {
	by := int(scale - d.scale)
	if d.big == nil && by < len(pow10s) {
		if n, ok := mul64(d.coef, pow10s[by]); ok {
			return n, nil
		}
	}
	if by == 0 {
		return 0, d.integer()
	}
	return 0, new(big.Int).Mul(d.integer(), pow10(by))
}

func widen(small int64, large *big.Int) *big.Int {
	if large != nil {
		return large
	}
	return big.NewInt(small)
}

// Add is a + b, with the longer of the two scales.
func (a Decimal) Add(b Decimal) Decimal {
	if a.bad || b.bad {
		return outOfRange
	}
	scale := max(a.scale, b.scale)
	x, bx := a.lift(scale)
	y, by := b.lift(scale)
	if bx == nil && by == nil {
		if sum := x + y; (x^sum)&(y^sum) >= 0 {
			return Decimal{coef: sum, scale: scale}
		}
	}
	return makeDecimal(new(big.Int).Add(widen(x, bx), widen(y, by)), int(scale))
}

// Sub is a − b, with the longer of the two scales.
func (a Decimal) Sub(b Decimal) Decimal { return a.Add(b.Neg()) }

// Mul is a × b, with the sum of the two scales.
func (a Decimal) Mul(b Decimal) Decimal {
	if a.bad || b.bad {
		return outOfRange
	}
	scale := int(a.scale) + int(b.scale)
	if a.big == nil && b.big == nil && scale <= maxScale {
		if n, ok := mul64(a.coef, b.coef); ok {
			return Decimal{coef: n, scale: int32(scale)}
		}
	}
	return makeDecimal(new(big.Int).Mul(a.integer(), b.integer()), scale)
}

// Neg is −a.
func (a Decimal) Neg() Decimal {
	if a.bad {
		return outOfRange
	}
	if a.big == nil && a.coef != math.MinInt64 {
		a.coef = -a.coef
		return a
	}
	return makeDecimal(new(big.Int).Neg(a.integer()), int(a.scale))
}

// Abs is a without its sign.
func (a Decimal) Abs() Decimal {
	if a.Sign() < 0 {
		return a.Neg()
	}
	return a
}

// Sign is -1, 0 or 1; 1 for what is out of range.
func (a Decimal) Sign() int {
	switch {
	case a.bad:
		return 1
	case a.big != nil:
		return a.big.Sign()
	case a.coef > 0:
		return 1
	case a.coef < 0:
		return -1
	}
	return 0
}

// Cmp compares by value: -1, 0 or 1. What is out of range is greater than everything else and equal to itself.
func (a Decimal) Cmp(b Decimal) int {
	if a.bad || b.bad {
		switch {
		case !b.bad:
			return 1
		case !a.bad:
			return -1
		}
		return 0
	}
	scale := max(a.scale, b.scale)
	x, bx := a.lift(scale)
	y, by := b.lift(scale)
	if bx != nil || by != nil {
		return widen(x, bx).Cmp(widen(y, by))
	}
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// IsInt reports whether a is a whole number: 3.00 is.
func (a Decimal) IsInt() bool { return !a.bad && a.Trim().scale == 0 }

// Int64 is a as a machine integer; false when a is not whole or does not fit.
func (a Decimal) Int64() (int64, bool) {
	t := a.Trim()
	if t.bad || t.scale != 0 || t.big != nil {
		return 0, false
	}
	return t.coef, true
}

// Trim drops trailing zeros behind the point: 1.50 becomes 1.5.
func (a Decimal) Trim() Decimal {
	if a.bad || a.scale == 0 {
		return a
	}
	if a.big != nil {
		return a.trimBig()
	}
	for a.scale > 0 && a.coef%10 == 0 {
		a.coef, a.scale = a.coef/10, a.scale-1
	}
	return a
}

func (a Decimal) trimBig() Decimal {
	n, ten, r := new(big.Int).Set(a.big), big.NewInt(10), new(big.Int)
	scale := int(a.scale)
	for q := new(big.Int); scale > 0; scale-- {
		if q.QuoRem(n, ten, r); r.Sign() != 0 {
			break
		}
		n, q = q, n
	}
	return makeDecimal(n, scale)
}

// String is the number written plainly: no exponent, with the trailing zeros of its scale; "NaN" when out of range,
// which no JSON reader takes for a number.
func (a Decimal) String() string {
	var space [48]byte
	return string(a.Append(space[:0]))
}

// Append appends what String gives.
func (a Decimal) Append(dst []byte) []byte {
	if a.bad {
		return append(dst, "NaN"...)
	}
	from := len(dst)
	if a.big != nil {
		dst = a.big.Append(dst, 10)
	} else {
		dst = strconv.AppendInt(dst, a.coef, 10)
	}
	if a.scale == 0 {
		return dst
	}
	if dst[from] == '-' {
		from++
	}
	scale := int(a.scale)
	if missing := scale + 1 - (len(dst) - from); missing > 0 { // zeros before the digits: 0.05
		dst = appendZeros(dst, missing)
		copy(dst[from+missing:], dst[from:len(dst)-missing])
		for i := range missing {
			dst[from+i] = '0'
		}
	}
	dst = append(dst, 0)
	point := len(dst) - 1 - scale
	copy(dst[point+1:], dst[point:len(dst)-1])
	dst[point] = '.'
	return dst
}
