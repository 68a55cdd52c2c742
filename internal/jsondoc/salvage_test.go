package jsondoc

import (
	"strings"
	"testing"
)

func TestSalvage(t *testing.T) {
	long := strings.Repeat("9", 200)
	for _, tc := range []struct{ name, in, path, doc, broken string }{
		{"half a pair", `[{"id":1},{"id":2,"n":"cut \ud83d"},{"id":3}]`, "", `[{"id":1},null,{"id":3}]`, `1`},
		{"low half", `{"items":[{"n":"\udc00"}], "next": null}`, "items", `{"items":[null], "next": null}`, `0`},
		{"a whole pair", `[{"n":"\ud83d\ude00"},{"n":"\ud83d"}]`, "", `[{"n":"\ud83d\ude00"},null]`, `1`},
		{"bad UTF-8", "{\"d\":{\"results\":[\"\xff\", \"ok\"]}}", "d.results", `{"d":{"results":[null, "ok"]}}`, `0`},
		{"a number beyond the limits", `[` + long + `,1]`, "", `[null,1]`, `0`},
		{"an exponent beyond the limits", `[1e401,1]`, "", `[null,1]`, `0`},
		{"a name twice", `[{"a":1,"a":2},{"a":1}]`, "", `[null,{"a":1}]`, `0`},
		{"a literal that is none", `[NaN, {"a":NaN}, -Infinity, 1]`, "", `[null, null, null, 1]`, `0,1,2`},
		{"a control character", "[\"a\nb\",\"c\"]", "", `[null,"c"]`, `0`},
		{"in a list", `[[],[ 1 , 01 ]]`, "1", `[[],[ 1 , null ]]`, `1`},
		{"a member whose name holds the dots", `{"a":{"b":[1]},"a.b":[01]}`, "a.b", `{"a":{"b":[1]},"a.b":[null]}`, `0`},
		{"brackets in texts", `["]},{[",{"x":"\"]"},1.]`, "", `["]},{[",{"x":"\"]"},null]`, `2`},
		{"all is well", `[1,2]`, "", "", ""},
		{"no list", `{"items":{}}`, "items", "", ""},
		{"nothing there", `{"a":1}`, "b", "", ""},
		{"cut off", `[{"id":1},{"id":"\ud83d"`, "", "", ""},
		{"a comma too many", `["\ud83d",]`, "", "", ""},
		{"no comma", `["\ud83d" 1]`, "", "", ""},
		{"empty", ``, "", "", ""},
	} {
		doc, broken, ok := Salvage([]byte(tc.in), tc.path, Limits{})
		var which []string
		for i := range 10 {
			if b, bad := broken[i]; bad {
				which = append(which, string(rune('0'+i)))
				if b.Err == nil || len(b.Raw) == 0 {
					t.Errorf("%s: element %d: %+v", tc.name, i, b)
				}
			}
		}
		if ok != (tc.doc != "") || string(doc) != tc.doc || strings.Join(which, ",") != tc.broken {
			t.Errorf("%s: %v %s, broken %v", tc.name, ok, doc, which)
		}
		if ok {
			if _, err := Parse(doc, Limits{}); err != nil {
				t.Errorf("%s: %v", tc.name, err)
			}
		}
	}
}

func TestRepair(t *testing.T) {
	for in, want := range map[string]string{
		`"plain"`:                  `"plain"`,
		`"cut \ud83d"`:             `"cut \ufffd"`,
		`"\ud83dx\ude00"`:          `"\ufffdx\ufffd"`,
		`"\ud83d\ude00 \u00e9"`:    `"\ud83d\ude00 \u00e9"`,
		`"\\ud83d"`:                `"\\ud83d"`,
		`"\ud8"`:                   `"\ud8"`,
		"\"a\xffb\"":               "\"a\uFFFDb\"",
		"\"\\ud83d \xc3\x28 \\n\"": "\"\\ufffd \uFFFD( \\n\"",
	} {
		if got := string(Repair([]byte(in))); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestPeek(t *testing.T) {
	in := `{"a":{"id":"x\ud83dy","n":12e401},"id":7,"b":true,"c":[],"d":"plain"}`
	for path, want := range map[string]string{"a.id": "x\uFFFDy", "a.n": "12e401", "id": "7", "b": "", "c": "", "d": "plain", "z": "", "a": ""} {
		if got := Peek([]byte(in), path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

// Whatever comes: no panic, and what is salvaged is acceptable where the rest is.
func FuzzSalvage(f *testing.F) {
	f.Add([]byte(`{"items":[{"id":1},{"id":2,"n":"cut \ud83d"}],"next":"x"}`), "items")
	f.Add([]byte(`[NaN,{"a":[1,2,{"b":"\udc00"}]}]`), "")
	f.Add([]byte(`{"a.b":[01],"a":{"b":[]}}`), "a.b")
	f.Fuzz(func(t *testing.T, b []byte, path string) {
		doc, broken, ok := Salvage(b, path, Limits{})
		Peek(b, path)
		if !ok {
			return
		}
		if len(broken) == 0 {
			t.Error("nothing was broken")
		}
		again, more, ok := Salvage(doc, path, Limits{})
		if ok {
			t.Errorf("%q: still broken after it was salvaged: %q %v", b, again, more)
		}
	})
}
