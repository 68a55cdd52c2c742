package jsondoc

import (
	"errors"
	"math"
	"strings"
	"testing"
)

func mustDecimal(t *testing.T, s string) Decimal {
	t.Helper()
	d, err := ParseDecimal(s)
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return d
}

func TestParseDecimal(t *testing.T) {
	tests := []struct{ in, want string }{
		{"0", "0"}, {"-0", "0"}, {"-0.00", "0.00"}, {"1.50", "1.50"}, {"15e-1", "1.5"}, {"1E+3", "1000"}, {"0.05", "0.05"},
		{"-0.05", "-0.05"}, {"+7", "7"}, {"007", "7"}, {".5", "0.5"}, {"5.", "5"}, {"1e-3", "0.001"}, {"-12.5e1", "-125"},
		{"9223372036854775807", "9223372036854775807"}, {"9223372036854775808", "9223372036854775808"},
		{"-9223372036854775808", "-9223372036854775808"}, {"123456789012345678901234567890.123", "123456789012345678901234567890.123"},
		{"0.000000000000000000000000000001", "0.000000000000000000000000000001"}, {"0e400", "0"},
		{"1e400", "1" + strings.Repeat("0", 400)},
	}
	for _, tt := range tests {
		if got := mustDecimal(t, tt.in).String(); got != tt.want {
			t.Errorf("%s is %s, want %s", tt.in, got, tt.want)
		}
	}
	for _, in := range []string{"", "-", "+", ".", "e5", "1e", "1e+", "1.2.3", "1,5", " 1", "1 ", "0x10", "NaN", "Inf", "1_000", "--1", "1e5.0", "１"} {
		if d, err := ParseDecimal(in); !errors.Is(err, ErrSyntax) {
			t.Errorf("%q gave %v, %v; want ErrSyntax", in, d, err)
		}
	}
	for _, in := range []string{"1e401", "1e-401", "1e401", strings.Repeat("9", 129)} {
		if d, err := ParseDecimal(in); !errors.Is(err, ErrRange) {
			t.Errorf("%q gave %v, %v; want ErrRange", in, d, err)
		}
	}
}

func TestMoney(t *testing.T) {
	sum := mustDecimal(t, "0.1").Add(mustDecimal(t, "0.2"))
	if sum.Cmp(mustDecimal(t, "0.3")) != 0 || sum.String() != "0.3" {
		t.Errorf("0.1 + 0.2 = %s", sum)
	}
	if got := mustDecimal(t, "8").Mul(mustDecimal(t, "236.08")).Round(2, HalfUp).String(); got != "1888.64" {
		t.Errorf("8 × 236.08 = %s", got)
	}
	if got := mustDecimal(t, "1.005").Round(2, HalfUp).String(); got != "1.01" {
		t.Errorf("1.005 rounds to %s", got)
	}
}

func TestRound(t *testing.T) {
	tests := []struct {
		in     string
		places int
		want   [4]string // HalfUp, HalfEven, Down, Up
	}{
		{"2.5", 0, [4]string{"3", "2", "2", "3"}},
		{"-2.5", 0, [4]string{"-3", "-2", "-2", "-3"}},
		{"3.5", 0, [4]string{"4", "4", "3", "4"}},
		{"2.51", 0, [4]string{"3", "3", "2", "3"}},
		{"2.49", 0, [4]string{"2", "2", "2", "3"}},
		{"0.005", 2, [4]string{"0.01", "0.00", "0.00", "0.01"}},
		{"1250", -2, [4]string{"1300", "1200", "1200", "1300"}},
		{"1.5", 4, [4]string{"1.5", "1.5", "1.5", "1.5"}},
		{"9223372036854775807.5", 0, [4]string{"9223372036854775808", "9223372036854775808", "9223372036854775807", "9223372036854775808"}},
		{"5", -30, [4]string{"0", "0", "0", "1000000000000000000000000000000"}},
	}
	for _, tt := range tests {
		for m, want := range tt.want {
			if got := mustDecimal(t, tt.in).Round(tt.places, Mode(m)).String(); got != want {
				t.Errorf("%s to %d in mode %d is %s, want %s", tt.in, tt.places, m, got, want)
			}
		}
	}
	if got := mustDecimal(t, "1.5").Fixed(2, HalfUp).String(); got != "1.50" {
		t.Errorf("Fixed gave %s", got)
	}
}

func TestParseMode(t *testing.T) {
	for s, want := range map[string]Mode{"half-up": HalfUp, "half-even": HalfEven, "down": Down, "up": Up} {
		if m, ok := ParseMode(s); !ok || m != want {
			t.Errorf("%s gave %v, %v", s, m, ok)
		}
	}
	if _, ok := ParseMode("nearest"); ok {
		t.Error("an unknown mode was accepted")
	}
}

func TestDivision(t *testing.T) {
	if _, err := FromInt(1).Quo(FromInt(0)); !errors.Is(err, ErrDivision) {
		t.Errorf("Quo by zero: %v", err)
	}
	if _, err := FromInt(0).Div(Decimal{}, 2, HalfUp); !errors.Is(err, ErrDivision) {
		t.Errorf("Div by zero: %v", err)
	}
	for _, tt := range []struct{ a, b, want string }{
		{"1", "3", "0.3333333333333333333333333333333333"},
		{"2", "3", "0.6666666666666666666666666666666667"},
		{"1", "4", "0.25"}, {"100", "4", "25"}, {"0", "7", "0"}, {"-1", "8", "-0.125"},
		{"10", "0.3", "33.33333333333333333333333333333333"},
		{"1", "0.0000000003", "3333333333.333333333333333333333333"},
		{"1e50", "3", "33333333333333333333333333333333330000000000000000"},
	} {
		got, err := mustDecimal(t, tt.a).Quo(mustDecimal(t, tt.b))
		if err != nil || got.String() != tt.want {
			t.Errorf("%s / %s = %s, %v; want %s", tt.a, tt.b, got, err, tt.want)
		}
	}
	if got, err := FromInt(10).Div(FromInt(4), 2, HalfUp); err != nil || got.String() != "2.50" {
		t.Errorf("10 / 4 = %s, %v", got, err)
	}
}

// A result beyond the bounds must be an error, soon, and stay one.
func TestOutOfRange(t *testing.T) {
	d := mustDecimal(t, "1e400")
	for range 40 {
		d = d.Mul(d)
	}
	if !errors.Is(d.Err(), ErrRange) {
		t.Errorf("a product of too many digits: %v", d.Err())
	}
	small := mustDecimal(t, "1e-400")
	for range 40 {
		small = small.Mul(small)
	}
	if small.Err() == nil {
		t.Error("a product with too long a fraction has no error")
	}
	for _, e := range []Decimal{d.Add(FromInt(1)), FromInt(1).Sub(d), d.Neg(), d.Abs(), d.Round(2, HalfUp), d.Fixed(2, Up), d.Trim(), FromInt(1).Fixed(1<<30, Up)} {
		if e.Err() == nil || e.String() != "NaN" {
			t.Errorf("%s is in range again", e)
		}
	}
	if _, err := d.Quo(FromInt(2)); !errors.Is(err, ErrRange) {
		t.Errorf("Quo: %v", err)
	}
	if _, err := FromInt(2).Quo(d); !errors.Is(err, ErrRange) {
		t.Errorf("Quo: %v", err)
	}
	if d.Cmp(FromInt(math.MaxInt64)) != 1 || FromInt(0).Cmp(d) != -1 || d.Cmp(d) != 0 || d.IsInt() || !math.IsNaN(d.Float64()) {
		t.Error("out of range is not ordered above everything")
	}
}

func TestInt64Edges(t *testing.T) {
	low, high := FromInt(math.MinInt64), FromInt(math.MaxInt64)
	if got := low.Neg().String(); got != "9223372036854775808" {
		t.Errorf("−MinInt64 = %s", got)
	}
	if got := low.Neg().Neg(); got.Cmp(low) != 0 || got.big != nil {
		t.Errorf("−−MinInt64 = %s", got)
	}
	if got := high.Add(FromInt(1)).Sub(FromInt(1)); got.Cmp(high) != 0 || got.big != nil {
		t.Errorf("MaxInt64 + 1 − 1 = %s", got)
	}
	if got := low.Mul(FromInt(-1)).String(); got != "9223372036854775808" {
		t.Errorf("MinInt64 × −1 = %s", got)
	}
	if got := low.Abs().Float64(); got != -float64(math.MinInt64) {
		t.Errorf("as a float: %g", got)
	}
}

func TestDecimalDoesNotAllocate(t *testing.T) {
	a, b := mustDecimal(t, "12.34"), mustDecimal(t, "7")
	buf := make([]byte, 0, 64)
	raw := []byte("288.40")
	allocs := testing.AllocsPerRun(100, func() {
		d, _ := parseDecimal(raw, DefaultNumberLen, DefaultExponent)
		buf = a.Mul(b).Add(d).Round(1, HalfUp).Append(buf[:0])
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}
