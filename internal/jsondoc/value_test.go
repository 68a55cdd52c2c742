package jsondoc

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"testing"
)

func parse(t testing.TB, s string) Value {
	t.Helper()
	d, err := Parse([]byte(s), Limits{})
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return d.Root()
}

func TestValues(t *testing.T) {
	v := parse(t, ` {"a" : {"b":[10, "x\ty", null, true, {"c":"日本"}]}, "a.b":1, "\u0061d":2, "":3} `)
	if got := v.GetPath("a.b").Index(0).Raw(); string(got) != "10" {
		t.Errorf("a.b[0] is %s", got)
	}
	list := v.Get("a").Get("b")
	if list.Len() != 5 || list.Kind() != Array || v.Len() != 4 {
		t.Errorf("lengths %d and %d", list.Len(), v.Len())
	}
	if got := list.Index(1).Str(); got != "x\ty" {
		t.Errorf("string is %q", got)
	}
	if b, escaped := list.Index(1).StrBytes(); string(b) != `x\ty` || !escaped {
		t.Errorf("bytes are %q, %v", b, escaped)
	}
	if got := string(list.Index(1).AppendStr([]byte("-"))); got != "-x\ty" {
		t.Errorf("appended: %q", got)
	}
	if list.Index(2).Kind() != Null || list.Index(2).Exists() || !list.Index(3).Bool() || list.Index(0).Bool() {
		t.Error("null or true misread")
	}
	if got := list.Index(4).Get("c"); got.Str() != "日本" || string(got.AppendStr(nil)) != "日本" || string(got.Raw()) != `"日本"` {
		t.Errorf("c is %s", got.Raw())
	}
	if got := v.Get("ad").Raw(); string(got) != "2" {
		t.Errorf("an escaped name was not found: %s", got)
	}
	if got := v.Get("").Raw(); string(got) != "3" {
		t.Errorf("the empty name was not found: %s", got)
	}
	if line, col := v.d.LineCol(v.Get("a").Offset()); line != 1 || col != 9 {
		t.Errorf("a stands at %d:%d", line, col)
	}
}

func TestMissing(t *testing.T) {
	v := parse(t, `{"a":[1],"s":"x"}`)
	for name, m := range map[string]Value{
		"zero": {}, "get": v.Get("b"), "path": v.GetPath("a.b.c"), "path through missing": v.GetPath("x.y"), "beyond": v.Get("a").Index(1),
		"negative": v.Get("a").Index(-1), "index of object": v.Index(0), "get of array": v.Get("a").Get("0"), "empty doc": new(Doc).Root(), "nil doc": (*Doc)(nil).Root(),
	} {
		if m.Kind() != Missing || m.Exists() || m.Raw() != nil || m.Str() != "" || m.Len() != 0 || m.Bool() || m.Any() != nil || m.Offset() != -1 {
			t.Errorf("%s is not missing: %v", name, m.Kind())
		}
		if _, err := m.Decimal(); !errors.Is(err, ErrSyntax) {
			t.Errorf("%s as a number: %v", name, err)
		}
		for range m.Elements() {
			t.Error("an element of nothing")
		}
		for range m.Members() {
			t.Error("a member of nothing")
		}
		if got := AppendCanonical(nil, m); string(got) != "null" {
			t.Errorf("canonical form of %s is %s", name, got)
		}
	}
	if v.Get("s").Len() != 0 || v.Get("a").Str() != "" {
		t.Error("wrong kinds are not empty")
	}
}

func TestIterationStops(t *testing.T) {
	v := parse(t, `{"a":[1,2,3],"b":2}`)
	for name := range v.Members() {
		if name != "a" {
			t.Errorf("visited %s", name)
		}
		break
	}
	n := 0
	for range v.Get("a").Elements() {
		if n++; n == 2 {
			break
		}
	}
	c := v.Cursor()
	if !c.Next() || c.Name() != "a" || c.Value().Len() != 3 || !c.Next() || c.Name() != "b" || c.Next() || c.Next() {
		t.Error("the cursor does not visit a, b")
	}
	e := v.Get("a").Cursor()
	if e.Next(); e.NameValue().Kind() != Missing || e.Name() != "" {
		t.Error("an element has a name")
	}
}

func TestCanonicalTexts(t *testing.T) {
	tests := []struct{ in, want string }{
		{`{"b":1,"a":2}`, `{"a":2,"b":1}`},
		{`{"b":{"d":[],"c":{}},"a":"x"}`, `{"a":"x","b":{"c":{},"d":[]}}`},
		{`{"\u0062":1,"a":2}`, `{"a":2,"b":1}`},
		{`"\u00e9\/\n"`, `"é/\n"`},
		{`[1.50, 1.5, 15e-1, 150E-2]`, `[1.5,1.5,1.5,1.5]`},
		{`[0, -0, 0.00, 0e5, -0.0e-3]`, `[0,0,0,0,0]`},
		{`[100, 1e2, 1.00e+2]`, `[100,100,100]`},
		{`[-12.3400, 0.05, 5e-2]`, `[-12.34,0.05,0.05]`},
		{`[1e20, 100000000000000000000]`, `[100000000000000000000,100000000000000000000]`},
		{`[1e21, 1000000000000000000000]`, `[1e21,1e21]`},
		{`[12e400, 1e-400]`, `[12e400,1e-400]`},
		{`[1e-21, 0.00000000000000000001]`, `[0.000000000000000000001,0.00000000000000000001]`},
	}
	for _, tt := range tests {
		if got := AppendCanonical(nil, parse(t, tt.in)); string(got) != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.in, got, tt.want)
		}
	}
}

func TestFieldHashes(t *testing.T) {
	a := FieldHashes(parse(t, `{"id":"1","total":10.50,"note":null,"updated_at":"x","lines":[{"q":1,"s":"a"}]}`), []string{"updated_at"})
	b := FieldHashes(parse(t, `{"lines":[{"s":"\u0061","q":1.0}],"total":10.5,"id":"1"}`), nil)
	if !reflect.DeepEqual(a, b) || len(a) != 3 {
		t.Errorf("%v\n%v", a, b)
	}
	c := FieldHashes(parse(t, `{"id":"1","total":10.51}`), nil)
	if c["id"] != a["id"] || c["total"] == a["total"] {
		t.Errorf("%v", c)
	}
	if got := FieldHashes(parse(t, `[1]`), nil); len(got) != 0 {
		t.Errorf("an array has fields: %v", got)
	}
}

func TestResetAndPool(t *testing.T) {
	d := Get()
	if err := d.Reset([]byte(`{"a":1}`), Limits{}); err != nil {
		t.Fatal(err)
	}
	if err := d.Reset([]byte(`{"a":`), Limits{}); err == nil || d.Root().Kind() != Missing {
		t.Fatalf("after an error: %v, %v", err, d.Root().Kind())
	}
	if err := d.Reset([]byte(`[2]`), Limits{}); err != nil || string(d.Root().Raw()) != "[2]" || string(d.Bytes()) != "[2]" {
		t.Fatal("not usable after an error")
	}
	Put(d)
	Put(nil)
	big := Get()
	if err := big.Reset(append(append([]byte("["), bytes.Repeat([]byte("1,"), 1<<16)...), "1]"...), Limits{}); err != nil {
		t.Fatal(err)
	}
	Put(big)
}

func TestParseDoesNotAllocate(t *testing.T) {
	doc := sample(t)
	d := Get()
	defer Put(d)
	if n := testing.AllocsPerRun(100, func() {
		if err := d.Reset(doc, Limits{}); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() { Hash(d.Root()) }); n > 0 {
		t.Errorf("Hash: %v allocations", n)
	}
}

func TestAnyUsesNumbers(t *testing.T) {
	got := parse(t, `{"n":1.10,"l":[],"o":{}}`).Any()
	want := map[string]any{"n": json.Number("1.10"), "l": []any{}, "o": map[string]any{}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%#v", got)
	}
}

func TestKindNames(t *testing.T) {
	if Object.String() != "object" || Bool.String() != "boolean" || Missing.String() != "missing" || Kind(99).String() != "unknown" {
		t.Error("wrong names")
	}
}

func TestEqualOfLargeObjects(t *testing.T) {
	build := func(backwards bool) string {
		s := "{"
		for i := range 200 {
			n := i
			if backwards {
				n = 199 - i
			}
			if i > 0 {
				s += ","
			}
			k, _ := json.Marshal(string(rune('a'+n/26)) + string(rune('a'+n%26)))
			s += string(k) + ":1"
		}
		return s + "}"
	}
	a, b := parse(t, build(false)), parse(t, build(true))
	if !a.Equal(b) || Hash(a) != Hash(b) {
		t.Error("order of members matters")
	}
}
