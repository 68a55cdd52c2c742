package sandbox

import (
	"encoding/json"
	"math/big"
	"regexp"
	"strconv"
	"strings"
)

var plainDecimal = regexp.MustCompile(`^[+-]?[0-9]{1,30}(\.[0-9]{1,20})?$`)

// rat reads a number out of a decoded JSON value: a number, or a plain decimal in a string.
func rat(v any) (*big.Rat, bool) {
	var s string
	switch v := v.(type) {
	case json.Number:
		s = v.String()
		if i := strings.IndexAny(s, "eE"); i >= 0 { // 1e3 is a number too, within reason
			if exp, err := strconv.Atoi(s[i+1:]); err != nil || exp > 30 || exp < -30 {
				return nil, false
			}
			return new(big.Rat).SetString(s)
		}
	case string:
		s = v
	case float64:
		s = strconv.FormatFloat(v, 'f', -1, 64)
	case int:
		s = strconv.Itoa(v)
	case int64:
		s = strconv.FormatInt(v, 10)
	default:
		return nil, false
	}
	if !plainDecimal.MatchString(s) {
		return nil, false
	}
	return new(big.Rat).SetString(s)
}

// decimal writes r with exactly that many places, rounded half away from zero.
func decimal(r *big.Rat, places int) string { return r.FloatString(places) }

// number is the JSON number of r with at most that many places, without trailing zeros.
func number(r *big.Rat, places int) json.Number {
	s := r.FloatString(places)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	if s == "-0" || s == "" {
		s = "0"
	}
	return json.Number(s)
}

// cents is an amount of money in hundredths as a decimal string.
func cents(n int64) string { return decimal(big.NewRat(n, 100), 2) }
