package compare

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// show writes fields in a line each: path left right rule.
func show(fields []Field) []string {
	out := []string{}
	for _, f := range fields {
		text := func(b []byte) string {
			if b == nil {
				return "-"
			}
			return string(b)
		}
		line := fmt.Sprintf("%s %s %s %s", f.Path, text(f.Left), text(f.Right), f.Rule)
		if f.Rounding {
			line += " rounding"
		}
		if f.Owner != "" {
			line += " of " + f.Owner
		}
		out = append(out, line)
	}
	return out
}

func TestDiff(t *testing.T) {
	sku := func(rules ...Rule) Rule {
		e := &Elements{Key: []string{"sku"}}
		if rules != nil {
			e.Rules = must(t, rules...)
		}
		return Rule{Path: "lines", How: Set, Set: e}
	}
	at := func(path string, r Rule) Rule {
		r.Path = path
		return r
	}
	currency := at("total", Rule{How: Within, Within: Tolerance{Bound: bound("0.01", false), Currency: "money.code", ByCurrency: map[string]Bound{"JPY": *bound("1", false)}}})
	for name, c := range map[string]struct {
		rules       *Rules
		left, right string
		want        []string
	}{
		"all fields, whatever the order": {All(), `{"a": 1, "b": {"x": [1]}, "c": null, "d": 2}`, `{"e": 1, "c": null, "b": {"x": [1.0]}, "a": 2, "d": 2.0}`,
			[]string{"a 1 2 exact", "e - 1 exact"}},
		"null and absent are two things": {All(), `{"a": null}`, `{}`, []string{"a null - exact"}},
		"a name with capitals":           {All(), `{"Name": 1}`, `{"name": 1}`, []string{"Name 1 - exact", "name - 1 exact"}},
		"no objects":                     {All(), `[1]`, `[1, 2]`, []string{" [1] [1, 2] exact"}},
		"only those that are named":      {must(t, at("b", Rule{}), at("a.x", Rule{})), `{"a": {"x": 1, "y": 1}, "b": 1, "c": 1}`, `{"a": {"x": 2, "y": 2}, "b": 2, "c": 2}`, []string{"b 1 2 exact", "a.x 1 2 exact"}},
		"a part of what is not there":    {must(t, at("a.x", Rule{})), `{"a": {"x": 1}}`, `{"a": 5}`, []string{"a.x 1 - exact"}},
		"what is ignored makes all else count": {must(t, at("a", Rule{How: Ignore}), at("n", Rule{How: Fold})), `{"a": 1, "b": 1, "n": "A"}`, `{"a": 2, "b": 2, "n": "a"}`,
			[]string{"b 1 2 exact"}},
		"a part is ignored": {must(t, at("a", Rule{}), at("a.x", Rule{How: Ignore})), `{"a": {"x": 1, "y": 1}, "b": 1}`, `{"a": {"x": 2, "y": 2}, "b": 2}`, []string{"a.y 1 2 exact"}},
		"a part of a field without a rule is ignored": {must(t, at("a.x", Rule{How: Ignore})), `{"a": {"x": 1, "y": 1}, "b": 1}`, `{"a": {"x": 2, "y": 2}, "b": 2}`,
			[]string{"a.y 1 2 exact", "b 1 2 exact"}},
		"a part with another rule":     {must(t, at("a", Rule{How: Fold}), at("a.n", within("1"))), `{"a": {"x": "T", "n": 1}}`, `{"a": {"x": "t", "n": 3}}`, []string{"a.n 1 3 {within: 1}"}},
		"a field with parts is absent": {must(t, at("a", Rule{}), at("a.x", Rule{How: Ignore})), `{"a": {"x": 1}}`, `{}`, []string{`a {"x": 1} - exact`}},
		"a rule for all others":        {must(t, at("a", Rule{}), at(Others, Rule{Empty: EmptySame})), `{"a": null, "b": null}`, `{"c": ""}`, []string{"a null - exact"}},
		"rounding":                     {All(), `{"a": 10.00, "b": 10, "c": 10.004, "d": 10, "e": "1.0", "f": 10.00}`, `{"a": 10.01, "b": 11, "c": 10.00, "d": 10.6, "e": "1.1", "f": 10.02}`, []string{"a 10.00 10.01 exact rounding", "b 10 11 exact", "c 10.004 10.00 exact rounding", "d 10 10.6 exact", `e "1.0" "1.1" exact`, "f 10.00 10.02 exact"}},
		"a currency on one side alone": {must(t, currency), `{"total": 100, "money": {"code": "JPY"}}`, `{"total": 101}`, []string{"total 100 101 {within: {JPY: 1, default: 0.01}, currency: money.code}"}},
		"the currency's own bound":     {must(t, currency), `{"total": 100, "money": {"code": "JPY"}}`, `{"total": 101, "money": {"code": "jpy "}}`, nil},
		"the bound of other currencies": {must(t, currency), `{"total": 100, "money": {"code": "USD"}}`, `{"total": 100.02}`,
			[]string{"total 100 100.02 {within: {JPY: 1, default: 0.01}, currency: money.code} rounding"}},
		"two currencies": {must(t, currency), `{"total": 100, "money": {"code": "USD"}}`, `{"total": 100.01, "money": {"code": "EUR"}}`,
			[]string{"total 100 100.01 {within: {JPY: 1, default: 0.01}, currency: money.code} rounding"}},
		"two currencies by their numbers": {must(t, currency), `{"total": 100, "money": {"code": 840}}`, `{"total": 100.01, "money": {"code": 978}}`,
			[]string{"total 100 100.01 {within: {JPY: 1, default: 0.01}, currency: money.code} rounding"}},
		"one currency by its number": {must(t, currency), `{"total": 100, "money": {"code": 840}}`, `{"total": 100.01, "money": {"code": 840.0}}`, nil},
		"the owner has no value":     {must(t, at("a", Rule{Owner: Left}), at("b", Rule{Owner: Right})), `{"a": null, "b": 1}`, `{"a": 1}`, nil},
		"the owner has one":          {must(t, at("a", Rule{Owner: Left}), at("b", Rule{Owner: Right})), `{"a": 1}`, `{"b": ""}`, []string{"a 1 - {owner: left} of left", `b - "" {owner: right} of right`}},

		"lines in another order": {must(t, sku()), `{"lines": [{"sku": "A-1", "n": 1}, {"sku": "B", "n": 2}]}`, `{"lines": [{"n": 2.0, "sku": "B"}, {"sku": "A-1", "n": 1}]}`, nil},
		"lines added, removed, changed": {must(t, sku()), `{"lines": [{"sku": "A-1", "n": 1}, {"sku": "B", "n": 2}]}`, `{"lines": [{"sku": "A-1", "n": 3}, {"sku": "C"}]}`,
			[]string{"lines[sku=A-1].n 1 3 exact", `lines[sku=B] {"sku": "B", "n": 2} - {set: sku}`, `lines[sku=C] - {"sku": "C"} {set: sku}`}},
		"the rules of lines": {must(t, sku(at("n", within("0.1")), at("sku", Rule{How: Fold}))), `{"lines": [{"sku": "a", "n": 1, "x": 1}]}`, `{"lines": [{"sku": "A", "n": 1.1, "x": 2}]}`, nil},
		"two parts of a key": {must(t, Rule{Path: "lines", How: Set, Set: &Elements{Key: []string{"sku", "batch.id"}}}),
			`{"lines": [{"sku": "a", "batch": {"id": 1}, "n": 1}]}`, `{"lines": [{"sku": "a", "batch": {"id": 2}, "n": 1}]}`,
			[]string{`lines[sku=a,batch.id=1] {"sku": "a", "batch": {"id": 1}, "n": 1} - {set: [sku, batch.id]}`, `lines[sku=a,batch.id=2] - {"sku": "a", "batch": {"id": 2}, "n": 1} {set: [sku, batch.id]}`}},
		"doubled on both sides": {must(t, sku()), `{"lines": [{"sku": "a", "n": 1}, {"sku": "a", "n": 2}]}`, `{"lines": [{"sku": "a", "n": 2}, {"sku": "a", "n": 1}]}`, nil},
		"doubled on one side":   {must(t, sku()), `{"lines": [{"sku": "a", "n": 1}, {"sku": "a", "n": 1}]}`, `{"lines": [{"sku": "a", "n": 1}]}`, []string{`lines[sku=a]#1 {"sku": "a", "n": 1} - {set: sku}`}},
		"doubled and changed":   {must(t, sku()), `{"lines": [{"sku": "a", "n": 1}, {"sku": "a", "n": 2}]}`, `{"lines": [{"sku": "a", "n": 3}, {"sku": "a", "n": 1}]}`, []string{"lines[sku=a]#1.n 2 3 exact"}},
		"no key, and no objects": {must(t, sku()), `{"lines": [{"n": 1}, 5, {"sku": null, "n": 2}]}`, `{"lines": [5, {"n": 1}]}`,
			[]string{`lines[sku=null]#1 {"sku": null, "n": 2} - {set: sku}`}},
		"a key that looks like something else": {must(t, sku()), `{"lines": [{"sku": "a]b"}, {"sku": ""}, {"sku": 1.0}, {"sku": "null"}]}`, `{"lines": []}`,
			[]string{`lines[sku="a]b"] {"sku": "a]b"} - {set: sku}`, `lines[sku=""] {"sku": ""} - {set: sku}`, `lines[sku=1] {"sku": 1.0} - {set: sku}`, `lines[sku="null"] {"sku": "null"} - {set: sku}`}},
		"amounts that fit in one way alone": {must(t, sku(at("n", within("0.01")))),
			`{"lines": [{"sku": "a", "n": 1.01}, {"sku": "a", "n": 1.00}]}`, `{"lines": [{"sku": "a", "n": 1.01}, {"sku": "a", "n": 1.02}]}`, nil},
		"a bound by the currency of the document": {must(t, sku(at("n", Rule{How: Within, Within: Tolerance{Currency: "cur", ByCurrency: map[string]Bound{"JPY": *bound("1", false)}}}))),
			`{"cur": "JPY", "lines": [{"sku": "a", "n": 1}]}`, `{"cur": "JPY", "lines": [{"sku": "a", "n": 2}]}`, nil},
		"a list of texts":      {must(t, Rule{Path: "t", How: Set, Set: &Elements{}}), `{"t": ["red", "x,y"]}`, `{"t": ["blue", "red", "red"]}`, []string{`t[red]#1 - "red" {set: true}`, `t["x,y"] "x,y" - {set: true}`, `t[blue] - "blue" {set: true}`}},
		"a list that is gone":  {must(t, sku()), `{"lines": [{"sku": "a"}]}`, `{}`, []string{`lines [{"sku": "a"}] - {set: sku}`}},
		"a list that is empty": {must(t, sku()), `{"lines": []}`, `{}`, []string{`lines [] - {set: sku}`}},
	} {
		t.Run(name, func(t *testing.T) {
			got := show(c.rules.Diff(nil, parse(t, c.left), parse(t, c.right)))
			slices.Sort(got)
			slices.Sort(c.want)
			if !slices.Equal(got, c.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

func TestPlain(t *testing.T) {
	for text, c := range map[string]struct {
		rules *Rules
		want  string
	}{
		"all":          {All(), "*"},
		"named":        {must(t, Rule{Path: "a"}, Rule{Path: "b", How: Within, Within: Tolerance{Bound: bound("0.01", false)}}), "a b~0.01"},
		"ignored":      {must(t, Rule{Path: "a", How: Ignore}, Rule{Path: "b"}), "a- b *"},
		"others":       {must(t, Rule{Path: "*", How: Within, Within: Tolerance{Bound: bound("1", true)}}), "*~1%"},
		"fold":         {must(t, Rule{Path: "a", How: Fold}), "no"},
		"null":         {must(t, Rule{Path: "a", Empty: EmptySame}), "no"},
		"owner":        {must(t, Rule{Path: "a", Owner: Left}), "no"},
		"a part":       {must(t, Rule{Path: "a.b"}), "no"},
		"by currency":  {must(t, Rule{Path: "a", How: Within, Within: Tolerance{Bound: bound("1", false), Currency: "c"}}), "no"},
		"a set":        {must(t, Rule{Path: "a", How: Set, Set: &Elements{}}), "no"},
		"one is not":   {must(t, Rule{Path: "a"}, Rule{Path: "b", How: UUID}), "no"},
		"no rules yet": {must(t), "*"},
	} {
		fields, plain := c.rules.Plain()
		var got []string
		for _, f := range fields {
			s := f.Path
			if f.Ignore {
				s += "-"
			}
			if f.Within != nil {
				s += "~" + f.Within.String()
			}
			got = append(got, s)
		}
		if !plain {
			got = append(got, "no")
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: %s, want %s", text, s, c.want)
		}
	}
}

// TestKey: objects are paired by what their fields have in common.
func TestKey(t *testing.T) {
	rules := must(t, Rule{Path: "email", How: Fold}, Rule{Path: "no", How: Number}, Rule{Path: "open", How: Within, Within: Tolerance{Bound: bound("1", false)}}, Rule{Path: "at.day", How: Time, Unit: Day})
	for _, c := range []struct {
		rules             *Rules
		path, left, right string
		same              bool
	}{
		{rules, "email", `"A@x.example"`, `"a@X.example"`, true}, {rules, "email", `"a"`, `"b"`, false}, {rules, "no", `"007"`, `7.0`, true}, {rules, "open", `1`, `1.5`, false},
		{rules, "open", `1`, `1.0`, true}, {rules, "at.day", `"2026-01-02"`, `"2026-01-02T05:00Z"`, true}, {rules, "other", `"A"`, `"a"`, false}, {rules, "other", `5`, `"5"`, false},
		{nil, "email", `"A"`, `"a"`, false}, {nil, "email", `1e2`, `100`, true}, {All(), "email", `"A"`, `"a"`, false},
	} {
		if got := c.rules.Key(c.path, parse(t, c.left)) == c.rules.Key(c.path, parse(t, c.right)); got != c.same {
			t.Errorf("%s: %s and %s are paired: %v", c.path, c.left, c.right, got)
		}
	}
}

func TestWrongRules(t *testing.T) {
	for _, rules := range [][]Rule{
		{{Path: "a"}, {Path: "a"}}, {{Path: ""}}, {{Path: "a..b"}}, {{Path: "a", How: Within}}, {{Path: "a", How: Folded}}, {{Path: "a", How: Time}}, {{Path: "a", How: Set}},
	} {
		if _, err := New(rules); err == nil {
			t.Errorf("%v is taken", rules)
		}
	}
	if got := must(t, Rule{Path: "b"}, Rule{Path: "*"}, Rule{Path: "a.c"}).Fields(); !slices.Equal(got, []string{"b", "a.c"}) {
		t.Errorf("fields %v", got)
	}
}

// TestManyOfOneKey: a list with very many elements of one key takes no time that grows with its square, and still says what it lacks.
func TestManyOfOneKey(t *testing.T) {
	list := func(from, to, step int) string {
		var b strings.Builder
		for n := from; n != to; n += step {
			fmt.Fprintf(&b, `{"sku": "a", "n": %d},`, n)
		}
		return `{"lines": [` + strings.TrimSuffix(b.String(), ",") + `]}`
	}
	looked := 0
	rules := must(t, Rule{Path: "lines", How: Set, Set: &Elements{Key: []string{"sku"}, Rules: must(t, Rule{Path: "n"})}})
	for _, n := range []int{mostDoubled, mostDoubled + 1, 20_000} {
		a, b := parse(t, list(0, n, 1)), parse(t, list(n-1, -1, -1))
		if got := rules.Diff(nil, a, b); len(got) > 0 {
			t.Errorf("%d in another order: %v", n, show(got[:1]))
		}
		if got := rules.Diff(nil, a, parse(t, list(n-1, 0, -1))); len(got) != 1 || got[0].Path != "lines[sku=a]#1" || string(got[0].Left) != `{"sku": "a", "n": 0}` || got[0].Right != nil {
			t.Errorf("%d, and one less: %v", n, show(got))
		}
	}
	lots := slices.Collect(parse(t, list(0, 20_000, 1)).Get("lines").Elements())
	others := slices.Collect(parse(t, list(20_000, 40_000, 1)).Get("lines").Elements())
	unmatched(lots, others, func(_, _ jsondoc.Value) bool { looked++; return false })
	unmatched(lots[:mostDoubled], others[:mostDoubled], func(_, _ jsondoc.Value) bool { looked++; return true })
	if looked > mostDoubled*mostDoubled {
		t.Errorf("%d pairs were compared", looked)
	}
}

// TestKeyRule: the key of a field is that of the rule by which it is compared: its own, that of the field around it, or that of all others.
func TestKeyRule(t *testing.T) {
	rules := must(t, Rule{Path: "a", How: Fold}, Rule{Path: "a.x"}, Rule{Path: "b.y", How: Number}, Rule{Path: Others, How: UUID})
	for path, want := range map[string]How{"a": Fold, "a.x": Exact, "a.z": Fold, "a.z.q": Fold, "b": UUID, "b.y": Number, "b.z": UUID, "c": UUID} {
		if got := rules.KeyOf(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	if got := must(t, Rule{Path: "a"}).KeyOf("b"); got != Exact {
		t.Errorf("what is not compared: %s", got)
	}
}

// TestRuleOfEmptyElements: a rule is shown as files write it, also where it holds in the elements of a list.
func TestRuleOfEmptyElements(t *testing.T) {
	for want, e := range map[string]*Elements{"{set: true, null: empty}": {}, "{set: true, compare: fold, null: empty}": {Each: &Rule{How: Fold}}, "{set: sku, null: empty}": {Key: []string{"sku"}}} {
		rules := must(t, Rule{Path: "v", How: Set, Set: e, Empty: EmptySame})
		if got := rules.Diff(nil, parse(t, `{"v": [{"sku": "a"}]}`), parse(t, `{}`)); len(got) != 1 || got[0].Rule != want {
			t.Errorf("%v, want %s", show(got), want)
		}
	}
}
