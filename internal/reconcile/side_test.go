package reconcile

import (
	"testing"

	"github.com/waybill-hub/waybill/internal/compare"
	"github.com/waybill-hub/waybill/internal/config"
)

// TestPairedByRules: objects are paired by what the rules of their fields take for one value.
func TestPairedByRules(t *testing.T) {
	rules, err := compare.New([]compare.Rule{{Path: "email", How: compare.Fold}, {Path: "no", How: compare.Number}})
	if err != nil {
		t.Fatal(err)
	}
	s := &side{name: "left", match: config.Match{Fields: []string{"email", "no"}}, rules: rules}
	key := func(doc string) string {
		k, why := s.fieldKey(&entry{doc: []byte(doc)})
		if why != "" {
			t.Fatalf("%s: %s", doc, why)
		}
		return string(k)
	}
	a := key(`{"email": "Ann@x.example", "no": "007"}`)
	if b := key(`{"no": 7, "email": "ANN@X.EXAMPLE"}`); a != b {
		t.Errorf("%q and %q are two", a, b)
	}
	if b := key(`{"no": 8, "email": "ANN@X.EXAMPLE"}`); a == b {
		t.Errorf("%q is one", b)
	}
	s.rules = nil
	if a, b := key(`{"email": "A", "no": 1.0}`), key(`{"email": "a", "no": 1}`); a == b {
		t.Errorf("without rules %q is one", a)
	}
	if k, why := s.fieldKey(&entry{doc: []byte(`{"email": "a", "no": null}`)}); k != nil || why == "" {
		t.Errorf("without a number: %q %s", k, why)
	}
	if k, why := s.fieldKey(&entry{doc: []byte(`{"email": "", "no": 1}`)}); k == nil || why != "" {
		t.Errorf("an empty text is a value: %q %s", k, why)
	}
	s.rules, err = compare.New([]compare.Rule{{Path: "email", How: compare.Folded, Folds: []compare.Folding{compare.FoldSpace}, Empty: compare.EmptySame}, {Path: compare.Others, How: compare.Number}})
	if err != nil {
		t.Fatal(err)
	}
	for _, none := range []string{`""`, `" "`, `null`} {
		if k, why := s.fieldKey(&entry{doc: []byte(`{"email": ` + none + `, "no": 1}`)}); k != nil || why == "" {
			t.Errorf("%s counts as none: %q %s", none, k, why)
		}
	}
	if a, b := key(`{"email": "A", "no": "01"}`), key(`{"email": " A", "no": 1}`); a != b {
		t.Errorf("by the rule of all others %q and %q are two", a, b)
	}
}
