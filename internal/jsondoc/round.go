package jsondoc

import (
	"fmt"
	"math"
	"math/big"
)

// Mode says how a rounded digit is found.
type Mode uint8

const (
	// HalfUp rounds to the nearest, a tie away from zero: what invoices do.
	HalfUp Mode = iota
	// HalfEven rounds to the nearest, a tie to the even digit.
	HalfEven
	// Down cuts: towards zero.
	Down
	// Up rounds away from zero.
	Up
)

// ParseMode reads a mode's name: half-up, half-even, down, up.
func ParseMode(s string) (Mode, bool) {
	switch s {
	case "half-up":
		return HalfUp, true
	case "half-even":
		return HalfEven, true
	case "down":
		return Down, true
	case "up":
		return Up, true
	}
	return HalfUp, false
}

// more reports whether a quotient moves away from zero, given whether it is odd, how twice the remainder compares with
// the divisor, and that the remainder is not zero.
func (m Mode) more(odd bool, half int) bool {
	switch m {
	case HalfEven:
		return half > 0 || half == 0 && odd
	case Down:
		return false
	case Up:
		return true
	}
	return half >= 0
}

// Round rounds a to at most that many digits behind the point; negative places round before it: 1250 at -2 is 1300.
// It adds no zeros: see Fixed.
func (a Decimal) Round(places int, m Mode) Decimal {
	if a.bad || places >= int(a.scale) {
		return a
	}
	if places < -maxDigits {
		places = -maxDigits
	}
	drop := int(a.scale) - places
	var r Decimal
	if a.big == nil && drop < len(pow10s) {
		r = Decimal{coef: quo64(a.coef, pow10s[drop], m)}
	} else {
		r = makeDecimal(quoBig(a.integer(), pow10(drop), m), 0)
	}
	if places < 0 {
		return r.Mul(makeDecimal(pow10(-places), 0))
	}
	r.scale = int32(places)
	return r
}

// Fixed is a with exactly that many digits behind the point, rounded or filled with zeros: 1.5 at 2 is 1.50.
func (a Decimal) Fixed(places int, m Mode) Decimal {
	places = max(places, 0)
	a = a.Round(places, m)
	if a.bad || int(a.scale) >= places {
		return a
	}
	if places > maxScale {
		return outOfRange
	}
	n, large := a.lift(int32(places))
	if large != nil {
		return makeDecimal(large, places)
	}
	return Decimal{coef: n, scale: int32(places)}
}

// Div is a ÷ b with exactly that many digits behind the point. The error is ErrDivision or wraps ErrRange.
func (a Decimal) Div(b Decimal, places int, m Mode) (Decimal, error) {
	switch {
	case a.bad || b.bad:
		return outOfRange, outOfRange.Err()
	case b.Sign() == 0:
		return Decimal{}, ErrDivision
	case places < 0 || places > maxScale:
		return outOfRange, fmt.Errorf("%w: %d digits behind the point", ErrRange, places)
	}
	num, den := a.integer(), b.integer()
	if up := places + int(b.scale) - int(a.scale); up >= 0 {
		num = new(big.Int).Mul(num, pow10(up))
	} else {
		den = new(big.Int).Mul(den, pow10(-up))
	}
	r := makeDecimal(quoBig(num, den, m), places)
	return r, r.Err()
}

// quotientDigits is how many significant digits Quo keeps: as many as IEEE 754 decimal128.
const quotientDigits = 34

// Quo is a ÷ b to 34 significant digits, ties to even, without trailing zeros: exact whenever it can be. The error is
// ErrDivision or wraps ErrRange.
func (a Decimal) Quo(b Decimal) (Decimal, error) {
	if b.Sign() == 0 && !b.bad {
		return Decimal{}, ErrDivision
	}
	if a.Sign() == 0 {
		return Decimal{}, a.Err()
	}
	// The first guess at the quotient's digits before the point is right or one too high: then one more digit is asked for.
	whole := a.digits() - int(a.scale) - (b.digits() - int(b.scale))
	places := quotientDigits - whole
	q, err := a.Div(b, min(max(places+1, 0), maxScale), Down)
	if err != nil {
		return q, err
	}
	if have := q.digits() - int(q.scale); have != whole {
		places = quotientDigits - have
	}
	q, err = a.Div(b, min(max(places, 0), maxScale), HalfEven)
	if places < 0 {
		q = q.Round(places, HalfEven)
	}
	return q.Trim(), err
}

// digits counts the coefficient's digits.
func (a Decimal) digits() int {
	if a.big != nil {
		return len(new(big.Int).Abs(a.big).Append(nil, 10))
	}
	n := 1
	for m := abs64(a.coef); m >= 10; m /= 10 {
		n++
	}
	return n
}

// quo64 divides by a positive power of ten and rounds.
func quo64(n, d int64, m Mode) int64 {
	q, r := n/d, n%d
	if r == 0 {
		return q
	}
	mag := int64(abs64(r))
	half := 0
	switch rest := d - mag; {
	case mag > rest:
		half = 1
	case mag < rest:
		half = -1
	}
	if !m.more(q&1 != 0, half) {
		return q
	}
	if n < 0 {
		return q - 1
	}
	return q + 1 // |q| ≤ MaxInt64/10: cannot overflow
}

func quoBig(n, d *big.Int, m Mode) *big.Int {
	q, r := new(big.Int).QuoRem(n, d, new(big.Int))
	if r.Sign() == 0 {
		return q
	}
	if m.more(q.Bit(0) != 0, r.Lsh(r.Abs(r), 1).CmpAbs(d)) {
		q.Add(q, big.NewInt(int64(n.Sign()*d.Sign())))
	}
	return q
}

// Float64 is the nearest machine number: for gauges and charts, never for money. NaN when out of range.
func (a Decimal) Float64() float64 {
	if a.bad {
		return math.NaN()
	}
	f, _ := new(big.Rat).SetFrac(a.integer(), pow10(int(a.scale))).Float64()
	return f
}
