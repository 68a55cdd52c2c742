package plain

import (
	"fmt"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/compare"
	"github.com/waybill-hub/waybill/internal/connector"
)

func TestSpecOf(t *testing.T) {
	rules := func(r ...compare.Rule) *compare.Rules {
		out, err := compare.New(r)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	columns := func(names ...string) connector.PlainSettings {
		return connector.PlainSettings{Group: "sql/postgres", Columns: names}
	}
	lists := columns("id", "a")
	lists.Others = map[string]string{"lines": "is a list"}
	other := columns("id", "a")
	other.Group = "sql/sqlite"
	within := compare.Rule{Path: "a", How: compare.Within, Within: compare.Tolerance{Bound: &compare.Bound{}}}
	for name, test := range map[string]struct {
		rules       *compare.Rules
		key         string
		left, right connector.PlainSettings
		columns     string // or, after "!", a part of the reason
	}{
		"every field":             {compare.All(), "id", columns("id", "a", "b"), columns("b", "a", "id"), "a b"},
		"named fields":            {rules(compare.Rule{Path: "a"}), "id", columns("id", "a", "b"), columns("id", "a", "c"), "a"},
		"a tolerance":             {rules(within), "id", columns("id", "a"), columns("id", "a"), "a~"},
		"all but one":             {rules(compare.Rule{Path: "b", How: compare.Ignore}), "id", columns("id", "a", "b"), columns("id", "a"), "a"},
		"a list that is ignored":  {rules(compare.Rule{Path: "lines", How: compare.Ignore}), "id", lists, columns("id", "a"), "a"},
		"a list":                  {compare.All(), "id", lists, columns("id", "a"), "!left the field lines is a list"},
		"a column of one side":    {compare.All(), "id", columns("id", "a"), columns("id", "a", "b"), "!left the field b is not listed"},
		"two kinds":               {compare.All(), "id", columns("id", "a"), other, "!different kinds"},
		"no columns":              {compare.All(), "id", columns("id", "a"), connector.PlainSettings{Why: "it is no table"}, "!right side gives no plain columns: it is no table"},
		"a fold":                  {rules(compare.Rule{Path: "a", How: compare.Folded, Folds: []compare.Folding{compare.FoldCase}}), "id", columns("id", "a"), columns("id", "a"), "!neither exact nor within"},
		"paired by the hub":       {compare.All(), "", columns("id", "a"), columns("id", "a"), "!not paired by a column"},
		"a key that is no column": {compare.All(), "no", columns("id", "a"), columns("id", "a"), "!left the field no is not listed"},
	} {
		t.Run(name, func(t *testing.T) {
			s, why := SpecOf(test.rules, strings.Fields(test.key), test.left, test.right)
			if want, bad := strings.CutPrefix(test.columns, "!"); bad {
				if !strings.Contains(why, want) {
					t.Errorf("%q", why)
				}
				return
			}
			var got []string
			for _, c := range s.Columns {
				got = append(got, c.Left+map[bool]string{true: "~"}[c.Within != nil])
			}
			if fmt.Sprint(got) != "["+test.columns+"]" || why != "" || len(s.Key) != 1 {
				t.Errorf("%v: %s", s, why)
			}
		})
	}
}
