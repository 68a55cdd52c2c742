package jsondoc

import (
	"bytes"
	"encoding/json"
	"math/big"
	"testing"
	"unicode/utf8"
)

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{"a":[1,2.5e3,"x\u00e9\ud83d\ude00\n",null,true]}`, `[[[[]]]]`, `{"a":1,"a":2}`, `1e402`, `"\ud800"`, "\"\xff\"", `{} x`,
		` { "" : { } } `, `-0.0e-0`, `[1,]`, "\ufeff1", `{"k":"` + "日本語テキスト" + `"}`, `12345678901234567890`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		d, err := Parse(b, Limits{})
		if !bytes.Equal(b, before) {
			t.Fatal("Parse changed the document")
		}
		if err != nil {
			se, ok := err.(*SyntaxError)
			if !ok || se.Line < 1 || se.Col < 1 || se.Offset < 0 || se.Offset > len(b) || se.Msg == "" || !utf8.ValidString(se.Msg) {
				t.Fatalf("bad error %#v", err)
			}
			return
		}
		// What is accepted is JSON to everybody, and means the same.
		dec := json.NewDecoder(bytes.NewReader(b))
		dec.UseNumber()
		var want any
		if err := dec.Decode(&want); err != nil || !json.Valid(b) || !utf8.Valid(b) {
			t.Fatalf("accepted what encoding/json refuses: %v", err)
		}
		wantJSON, _ := json.Marshal(want)
		gotJSON, _ := json.Marshal(d.Root().Any())
		if !bytes.Equal(wantJSON, gotJSON) {
			t.Fatalf("got %s, want %s", gotJSON, wantJSON)
		}
		canonical := AppendCanonical(nil, d.Root())
		again, err := Parse(canonical, Limits{Exponent: maxExponent})
		if err != nil || !again.Root().Equal(d.Root()) || Hash(again.Root()) != Hash(d.Root()) {
			t.Fatalf("canonical form %s: %v", canonical, err)
		}
		FieldHashes(d.Root(), nil)
	})
}

func FuzzParseDecimal(f *testing.F) {
	for _, s := range []string{"0", "-0", "1.50", "15e-1", "+.5", "5.", "007", "1e400", "1e401", "9223372036854775808", "-9223372036854775808", "e", ".", "1e", "٣"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDecimal(s)
		if err != nil {
			return
		}
		want, ok := new(big.Rat).SetString(s)
		if !ok {
			t.Fatalf("%q: accepted what math/big refuses", s)
		}
		if got, ok := new(big.Rat).SetString(d.String()); !ok || got.Cmp(want) != 0 {
			t.Fatalf("%q became %s", s, d)
		}
		d.Mul(d).Add(d).Sub(d).Round(2, HalfUp).Trim()
		d.Int64()
		if d.Cmp(d) != 0 || d.Neg().Neg().Cmp(d) != 0 {
			t.Fatalf("%s is not itself", d)
		}
		_, _ = d.Quo(FromInt(7))
	})
}
