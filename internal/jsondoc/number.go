package jsondoc

import (
	"fmt"
	"math/big"
)

// ParseDecimal reads a number written in decimal: sign, digits, point, exponent. It takes what systems really send, so a
// little more than JSON: a plus sign, leading zeros, and a bare point (".5"); no spaces, no grouping. At most 128
// characters and an exponent of ±400. The error wraps ErrSyntax or ErrRange.
func ParseDecimal(s string) (Decimal, error) {
	return parseDecimal(s, DefaultNumberLen, DefaultExponent)
}

func parseDecimal[T string | []byte](s T, maxLen, maxExp int) (Decimal, error) {
	if len(s) > maxLen {
		return Decimal{}, fmt.Errorf("%w: %d characters, at most %d are allowed", ErrRange, len(s), maxLen)
	}
	i, neg := 0, false
	if len(s) > 0 && (s[0] == '-' || s[0] == '+') {
		i, neg = 1, s[0] == '-'
	}
	var (
		coef   int64
		digits = 0 // from the first that is not zero
		scale  = 0
		any    = false
		point  = false
	)
	from := i
	for ; i < len(s); i++ {
		c := s[i]
		if c == '.' && !point {
			point = true
			continue
		}
		if c-'0' > 9 {
			break
		}
		any = true
		if point {
			scale++
		}
		if digits > 0 || c != '0' {
			if digits++; digits <= 18 {
				coef = coef*10 + int64(c-'0')
			}
		}
	}
	if !any {
		return Decimal{}, fmt.Errorf("%w: %q", ErrSyntax, short(string(s)))
	}
	mantissa := s[from:i]
	if i < len(s) {
		exp, ok := parseExponent(s[i:])
		if !ok {
			return Decimal{}, fmt.Errorf("%w: %q", ErrSyntax, short(string(s)))
		}
		if exp > maxExp || exp < -maxExp {
			return Decimal{}, fmt.Errorf("%w: exponent beyond ±%d", ErrRange, maxExp)
		}
		scale -= exp
	}
	if digits > 18 {
		return largeDecimal(string(mantissa), neg, scale), nil
	}
	if neg {
		coef = -coef
	}
	if scale >= 0 {
		return Decimal{coef: coef, scale: int32(scale)}, nil
	}
	if coef == 0 {
		return Decimal{}, nil
	}
	return Decimal{coef: coef}.Mul(makeDecimal(pow10(-scale), 0)), nil
}

// parseExponent reads e, a sign and digits to the end of s.
func parseExponent[T string | []byte](s T) (exp int, ok bool) {
	if s[0]|0x20 != 'e' {
		return 0, false
	}
	i, neg := 1, false
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		neg = s[i] == '-'
		i++
	}
	if i == len(s) {
		return 0, false
	}
	for ; i < len(s); i++ {
		if s[i]-'0' > 9 {
			return 0, false
		}
		exp = min(exp*10+int(s[i]-'0'), 1<<20)
	}
	if neg {
		exp = -exp
	}
	return exp, true
}

// largeDecimal makes a number of more than 18 digits; mantissa holds digits and at most one point.
func largeDecimal(mantissa string, neg bool, scale int) Decimal {
	plain := make([]byte, 0, len(mantissa))
	for i := range len(mantissa) {
		if mantissa[i] != '.' {
			plain = append(plain, mantissa[i])
		}
	}
	n, _ := new(big.Int).SetString(string(plain), 10)
	if neg {
		n.Neg(n)
	}
	if scale < 0 {
		return makeDecimal(n.Mul(n, pow10(-scale)), 0)
	}
	return makeDecimal(n, scale)
}

// short cuts what an error quotes.
func short(s string) string {
	const most = 40
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
