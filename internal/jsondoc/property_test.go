package jsondoc

import (
	"bytes"
	"encoding/json"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// numbers as JSON writes them, within the default limits.
var numbers = rapid.Custom(func(t *rapid.T) string {
	s := rapid.SampledFrom([]string{"", "-"}).Draw(t, "sign")
	s += rapid.StringMatching(`0|[1-9][0-9]{0,22}`).Draw(t, "whole")
	if rapid.Bool().Draw(t, "fraction?") {
		s += "." + rapid.StringMatching(`[0-9]{1,22}`).Draw(t, "fraction")
	}
	if rapid.Bool().Draw(t, "exponent?") {
		s += rapid.StringMatching(`[eE][+-]?[0-9]{1,2}`).Draw(t, "exponent")
	}
	return s
})

// generic values as encoding/json gives them with UseNumber.
func values(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		kinds := 6
		if depth == 0 {
			kinds = 4
		}
		switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
		case 0:
			return nil
		case 1:
			return rapid.Bool().Draw(t, "bool")
		case 2:
			return json.Number(numbers.Draw(t, "number"))
		case 3:
			return rapid.String().Draw(t, "string")
		case 4:
			return rapid.SliceOfN(values(depth-1), 0, 6).Draw(t, "array")
		}
		return rapid.MapOfN(rapid.StringN(0, 12, -1), values(depth-1), 0, 40).Draw(t, "object")
	})
}

// written gives v as JSON, at random indented and with characters escaped that need not be.
func written(t *rapid.T, v any) []byte {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(rapid.Bool().Draw(t, "escape"))
	if rapid.Bool().Draw(t, "indent") {
		enc.SetIndent("\r", "\t")
	}
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestParseAgreesWithEncodingJSON(t *testing.T) {
	d := Get()
	defer Put(d)
	rapid.Check(t, func(t *rapid.T) {
		b := written(t, values(3).Draw(t, "value"))
		dec := json.NewDecoder(bytes.NewReader(b))
		dec.UseNumber()
		var want any
		if err := dec.Decode(&want); err != nil {
			t.Fatal(err)
		}
		if err := d.Reset(b, Limits{}); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		if got := d.Root().Any(); !reflect.DeepEqual(got, want) {
			t.Fatalf("%s\n got %#v\nwant %#v", b, got, want)
		}
	})
}

func TestCanonicalForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := values(3).Draw(t, "value")
		one, err := Parse(written(t, v), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		two, err := Parse(written(t, v), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		a, b := AppendCanonical(nil, one.Root()), AppendCanonical(nil, two.Root())
		if !bytes.Equal(a, b) || Hash(one.Root()) != Hash(two.Root()) {
			t.Fatalf("two writings of one value differ:\n%s\n%s", a, b)
		}
		again, err := Parse(a, Limits{})
		if err != nil {
			t.Fatalf("the canonical form is no JSON: %s: %v", a, err)
		}
		if c := AppendCanonical(nil, again.Root()); !bytes.Equal(a, c) {
			t.Fatalf("the canonical form of the canonical form differs:\n%s\n%s", a, c)
		}
		if !one.Root().Equal(again.Root()) || !again.Root().Equal(one.Root()) {
			t.Fatalf("%s does not equal its canonical form %s", one.Bytes(), a)
		}
	})
}

func TestEqualMeansSameCanonicalForm(t *testing.T) {
	small := rapid.SampledFrom([]string{
		`1`, `1.0`, `10e-1`, `1.5`, `-0`, `0`, `0e9`, `"a"`, `"\u0061"`, `"b"`, `null`, `true`, `false`, `[]`, `{}`,
		`[1]`, `[1.0]`, `[1,2]`, `{"a":1}`, `{"\u0061":1.00}`, `{"a":1,"b":2}`, `{"b":2,"a":1}`, `1e30`, `1000000000000000000000000000000`,
	})
	rapid.Check(t, func(t *rapid.T) {
		a, _ := Parse([]byte(small.Draw(t, "a")), Limits{})
		b, _ := Parse([]byte(small.Draw(t, "b")), Limits{})
		same := bytes.Equal(AppendCanonical(nil, a.Root()), AppendCanonical(nil, b.Root()))
		if a.Root().Equal(b.Root()) != same {
			t.Fatalf("%s and %s: Equal is %v, canonical forms say %v", a.Bytes(), b.Bytes(), !same, same)
		}
	})
}

func TestAppendStringAgreesWithEncodingJSON(t *testing.T) {
	any := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }))
	rapid.Check(t, func(t *rapid.T) {
		s := any.Draw(t, "string")
		b := AppendString([]byte("x"), s)[1:]
		var got string
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("%q became %s: %v", s, b, err)
		}
		want := s
		if !utf8.ValidString(s) {
			want = string([]rune(s))
		}
		if got != want {
			t.Fatalf("%q became %s, read back as %q", s, b, got)
		}
		d, err := Parse(b, Limits{})
		if err != nil || d.Root().Str() != want {
			t.Fatalf("%s: %v, %q", b, err, d.Root().Str())
		}
	})
}

func rat(t *rapid.T, s string) *big.Rat {
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		t.Fatalf("%q is no number to math/big", s)
	}
	return r
}

func decimal(t *rapid.T, s string) Decimal {
	d, err := ParseDecimal(s)
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return d
}

func TestDecimalAgreesWithBig(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, y := numbers.Draw(t, "x"), numbers.Draw(t, "y")
		a, b := decimal(t, x), decimal(t, y)
		ra, rb := rat(t, x), rat(t, y)
		same := func(what string, got Decimal, want *big.Rat) {
			if got.Err() != nil || rat(t, got.String()).Cmp(want) != 0 {
				t.Fatalf("%s of %s and %s is %s, want %s", what, x, y, got, want.FloatString(60))
			}
		}
		same("value", a, ra)
		same("sum", a.Add(b), new(big.Rat).Add(ra, rb))
		same("difference", a.Sub(b), new(big.Rat).Sub(ra, rb))
		same("product", a.Mul(b), new(big.Rat).Mul(ra, rb))
		same("negative", a.Neg(), new(big.Rat).Neg(ra))
		same("absolute", a.Abs(), new(big.Rat).Abs(ra))
		same("trimmed", a.Trim(), ra)
		if got, want := a.Cmp(b), ra.Cmp(rb); got != want {
			t.Fatalf("%s cmp %s is %d, want %d", x, y, got, want)
		}
		if a.Sign() != ra.Sign() || a.IsInt() != ra.IsInt() {
			t.Fatalf("%s: sign %d, whole %v", x, a.Sign(), a.IsInt())
		}
		if n, ok := a.Int64(); ok != (ra.IsInt() && ra.Num().IsInt64()) || ok && n != ra.Num().Int64() {
			t.Fatalf("%s as int64: %d, %v", x, n, ok)
		}
	})
}

// rounded is the plain definition of rounding, on fractions.
func rounded(r *big.Rat, places int, m Mode) *big.Rat {
	scale := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(places, -places))), nil))
	if places < 0 {
		scale.Inv(scale)
	}
	x := new(big.Rat).Mul(r, scale)
	q, rest := new(big.Int).QuoRem(x.Num(), x.Denom(), new(big.Int))
	if rest.Sign() != 0 {
		twice := new(big.Rat).SetFrac(new(big.Int).Abs(new(big.Int).Lsh(rest, 1)), x.Denom())
		half := twice.Cmp(big.NewRat(1, 1))
		if m == Up || m == HalfUp && half >= 0 || m == HalfEven && (half > 0 || half == 0 && q.Bit(0) == 1) {
			q.Add(q, big.NewInt(int64(x.Sign())))
		}
	}
	return new(big.Rat).Quo(new(big.Rat).SetInt(q), scale)
}

func TestRoundAgreesWithBig(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := numbers.Draw(t, "x")
		if rapid.Bool().Draw(t, "tie") {
			x = rapid.StringMatching(`-?[0-9]{1,20}\.[0-9]{0,3}5`).Draw(t, "x")
		}
		places := rapid.IntRange(-5, 8).Draw(t, "places")
		m := Mode(rapid.IntRange(0, 3).Draw(t, "mode"))
		got := decimal(t, x).Round(places, m)
		if want := rounded(rat(t, x), places, m); rat(t, got.String()).Cmp(want) != 0 {
			t.Fatalf("%s rounded to %d (%d) is %s, want %s", x, places, m, got, want.FloatString(30))
		}
		fixed := decimal(t, x).Fixed(max(places, 0), m)
		if _, frac, _ := strings.Cut(fixed.String(), "."); len(frac) != max(places, 0) {
			t.Fatalf("%s fixed at %d is %s", x, places, fixed)
		}
	})
}

func TestDivAgreesWithBig(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, y := numbers.Draw(t, "x"), numbers.Draw(t, "y")
		a, b := decimal(t, x), decimal(t, y)
		if b.Sign() == 0 {
			return
		}
		exact := new(big.Rat).Quo(rat(t, x), rat(t, y))
		places := rapid.IntRange(0, 40).Draw(t, "places")
		m := Mode(rapid.IntRange(0, 3).Draw(t, "mode"))
		got, err := a.Div(b, places, m)
		if err != nil || rat(t, got.String()).Cmp(rounded(exact, places, m)) != 0 {
			t.Fatalf("%s / %s to %d is %s, %v; want %s", x, y, places, got, err, rounded(exact, places, m).FloatString(places))
		}
		q, err := a.Quo(b)
		if err != nil {
			t.Fatal(err)
		}
		if exact.Sign() == 0 {
			return
		}
		// |q − exact| ≤ ½ unit of the 34th digit, so ≤ |exact| × 5e-34.
		off := new(big.Rat).Sub(rat(t, q.String()), exact)
		bound := new(big.Rat).Mul(new(big.Rat).Abs(exact), rat(t, "5e-34"))
		if off.Abs(off).Cmp(bound) > 0 {
			t.Fatalf("%s / %s is %s: off by %s", x, y, q, off.FloatString(60))
		}
		if n := len(strings.TrimLeft(strings.NewReplacer(".", "", "-", "").Replace(q.Trim().String()), "0")); n > 34 && q.Trim().Scale() > 0 {
			t.Fatalf("%s / %s is %s: %d digits", x, y, q, n)
		}
	})
}
