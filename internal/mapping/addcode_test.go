package mapping

import (
	"strings"
	"testing"
)

// A pair goes into the file of a value map, and all else in it stays as it is: comments, order, the way in which it is written.
func TestAddCode(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"a new canonical code": {"# units\nvalues: units\ncodes:\n  each: {shop: piece} # one\n  dozen: {shop: \"dz\"}\n\n# the end\n", "# units\nvalues: units\ncodes:\n  each: {shop: piece} # one\n  dozen: {shop: \"dz\"}\n  pallet: {shop: \"crate\"}\n\n# the end\n"},
		"before another key":   {"values: units\ncodes:\n  each:\n    erp: EA\nunknown: park\n", "values: units\ncodes:\n  each:\n    erp: EA\n  pallet: {shop: \"crate\"}\nunknown: park\n"},
		"before a document":    {"values: other\ncodes: {a: {shop: b}}\n---\nvalues: units\ncodes:\n  each: {erp: EA}\n---\nvalues: third\ncodes: {a: {shop: b}}\n", "values: other\ncodes: {a: {shop: b}}\n---\nvalues: units\ncodes:\n  each: {erp: EA}\n  pallet: {shop: \"crate\"}\n---\nvalues: third\ncodes: {a: {shop: b}}\n"},
		"no end of the line":   {"values: units\ncodes:\n  each: {erp: EA}", "values: units\ncodes:\n  each: {erp: EA}\n  pallet: {shop: \"crate\"}\n"},
		"in braces":            {"values: units\ncodes: {each: {erp: EA}}\n", "values: units\ncodes: {pallet: {shop: \"crate\"}, each: {erp: EA}}\n"},
		"a system more":        {"values: units\ncodes:\n  pallet: {erp: PAL}\n", "values: units\ncodes:\n  pallet: {shop: \"crate\", erp: PAL}\n"},
		"a system more, block": {"values: units\ncodes:\n  pallet:\n    erp: PAL\n", "values: units\ncodes:\n  pallet:\n    shop: \"crate\"\n    erp: PAL\n"},
		"a second code":        {"values: units\ncodes:\n  pallet: {shop: 'it''s', erp: PAL}\n", "values: units\ncodes:\n  pallet: {shop: ['it''s', \"crate\"], erp: PAL}\n"},
		"a second plain code":  {"values: units\ncodes:\n  pallet:\n    shop: big one # why\n", "values: units\ncodes:\n  pallet:\n    shop: [big one, \"crate\"] # why\n"},
		"a third code":         {"values: units\ncodes:\n  托盘: {shop: [a]}\n  pallet: {erp: \"托]盘\", shop: [\"a b\", 'c']}\n", "values: units\ncodes:\n  托盘: {shop: [a]}\n  pallet: {erp: \"托]盘\", shop: [\"a b\", 'c', \"crate\"]}\n"},
		"a third, block":       {"values: units\ncodes:\n  pallet:\n    shop:\n      - a\n      - \"b\" # two\n    erp: x\n", "values: units\ncodes:\n  pallet:\n    shop:\n      - a\n      - \"b\" # two\n      - \"crate\"\n    erp: x\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got, line, err := AddCode("units.yaml", []byte(tt.text), NewCode{Map: "units", System: "shop", Code: "crate", Canonical: "pallet"})
			if err != nil || string(got) != tt.want {
				t.Fatalf("%v\n%s", err, got)
			}
			if at := strings.Split(string(got), "\n")[line-1]; !strings.Contains(at, "crate") && !strings.Contains(at, "[") {
				t.Errorf("line %d is %q", line, at)
			}
		})
	}
	same := "values: units\ncodes:\n  托盘: {erp: \"托]盘\", shop: [\"a b\", 'c']}\n  pallet: {erp: \"托盘\", shop: [\"d\", 'e']}\n"
	got, line, err := AddCode("u", []byte(same), NewCode{"units", "shop", "crate \"x\" #1", "pallet"})
	if want := strings.Replace(same, "'e'", `'e', "crate \"x\" #1"`, 1); err != nil || string(got) != want || line != 4 {
		t.Errorf("%v %d\n%s", err, line, got)
	}
	for _, tt := range []struct {
		text string
		code NewCode
		says string
	}{
		{same, NewCode{"units", "shop", "e", "托盘"}, "knows the code"}, {same, NewCode{"other", "shop", "x", "y"}, "not there any more"},
		{"values: units\ncodes: [", NewCode{"units", "shop", "x", "y"}, "u:"},
		{"values: units\ncodes:\n  a: {shop: >-\n    long\n    text\n    }\n", NewCode{"units", "shop", "x", "a"}, "u:"},
	} {
		if got, _, err := AddCode("u", []byte(tt.text), tt.code); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%v\n%s", err, got)
		}
	}
	if got := (NewCode{"units", "shop", "01", "no"}).Line(); got != `"no": {shop: "01"}` {
		t.Error(got)
	}
}
