package compare

import (
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/zones"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := zones.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func bound(text string, percent bool) *Bound {
	d, err := jsondoc.ParseDecimal(text)
	if err != nil {
		panic(err)
	}
	return &Bound{Amount: d, Percent: percent}
}

func within(text string) Rule { return Rule{How: Within, Within: Tolerance{Bound: bound(text, false)}} }
func share(text string) Rule  { return Rule{How: Within, Within: Tolerance{Bound: bound(text, true)}} }
func folded(f ...Folding) Rule {
	return Rule{How: Folded, Folds: f}
}

func must(t testing.TB, rules ...Rule) *Rules {
	t.Helper()
	r, err := New(rules)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// agree compares two values of one field both ways, by a rule; an empty text is a field that is absent.
func agree(t testing.TB, rule Rule, left, right string) bool {
	t.Helper()
	doc := func(v string) jsondoc.Value {
		if v == "" {
			return parse(t, `{}`)
		}
		return parse(t, `{"v": `+v+`}`)
	}
	rule.Path = "v"
	r := must(t, rule)
	there := len(r.Diff(nil, doc(left), doc(right))) == 0
	if back := len(r.Diff(nil, doc(right), doc(left))) == 0; back != there {
		t.Errorf("%s: %s and %s agree: %v, and the other way round %v", rule, left, right, there, back)
	}
	return there
}

func TestSame(t *testing.T) {
	shanghai, berlin := zone(t, "Asia/Shanghai"), zone(t, "Europe/Berlin")
	at := func(u Unit, z *time.Location) Rule { return Rule{How: Time, Unit: u, Zone: z} }
	empty := Rule{Empty: EmptySame}
	scalars := Rule{How: Set, Set: &Elements{}}
	lines := func(e Empties, rules ...Rule) Rule {
		r := Rule{How: Set, Set: &Elements{Key: []string{"sku"}}, Empty: e}
		if rules != nil {
			r.Set.Rules = must(t, rules...)
		}
		return r
	}
	for _, c := range []struct {
		rule        Rule
		left, right string
		same        bool
	}{
		// exact: numbers by value, whatever their length
		{Rule{}, `1.0`, `1.00`, true},
		{Rule{}, `1e2`, `100`, true},
		{Rule{}, `1E+2`, `100.0`, true},
		{Rule{}, `-0`, `0`, true},
		{Rule{}, `-0.00`, `0`, true},
		{Rule{}, `9007199254740993`, `9007199254740992`, false},
		{Rule{}, `12345678901234567890123456789012345678901234567890.1`, `12345678901234567890123456789012345678901234567890.10`, true},
		{Rule{}, `12345678901234567890123456789012345678901234567890.1`, `12345678901234567890123456789012345678901234567890.2`, false},
		{Rule{}, `5`, `"5"`, false},
		{Rule{}, `true`, `"true"`, false},
		{Rule{}, `1`, `true`, false},
		{Rule{}, `"a"`, `"A"`, false},
		{Rule{}, `"é"`, `"e\u0301"`, false},
		{Rule{}, `"\u0041"`, `"A"`, true},
		{Rule{}, `[1, 2]`, `[2, 1]`, false},
		{Rule{}, `[1.0, {"a": 1, "b": 2}]`, `[1, {"b": 2.0, "a": 1}]`, true},
		{Rule{}, `{"Key": 1}`, `{"key": 1}`, false},
		{Rule{}, `null`, ``, false},
		{Rule{}, `null`, `""`, false},
		{Rule{}, `[]`, ``, false},
		{Rule{}, `{}`, `null`, false},
		{Rule{}, `{"a": null}`, `{}`, false},

		// null: empty, at every depth; zero and an empty list are values
		{empty, `null`, ``, true},
		{empty, `null`, `""`, true},
		{empty, ``, `""`, true},
		{empty, `null`, `0`, false},
		{empty, `null`, `" "`, false},
		{empty, `null`, `[]`, false},
		{empty, `null`, `false`, false},
		{empty, `{"a": null, "b": 1}`, `{"b": 1.0, "c": ""}`, true},
		{empty, `{"a": {"b": null}}`, `{"a": {}}`, true},
		{empty, `{"a": null}`, `null`, false},
		{empty, `[null]`, `[""]`, true},
		{empty, `[null]`, `[]`, false},
		{Rule{Empty: EmptyAbsent}, `null`, ``, true},
		{Rule{Empty: EmptyAbsent}, `null`, `""`, false},
		{Rule{How: Folded, Folds: []Folding{FoldSpace}, Empty: EmptySame}, `null`, `"\u00a0 "`, true},
		{Rule{How: Within, Within: Tolerance{Bound: bound("1", false)}, Empty: EmptySame}, `null`, `0`, false},

		// the connectors' rules
		{Rule{How: Fold}, `"STRASSE"`, `"strasse"`, true},
		{Rule{How: Fold}, `"STRASSE"`, `"Straße"`, false},
		{Rule{How: Fold}, `5`, `"5"`, false},
		{Rule{How: UUID}, `"{6F9619FF-8B86-D011-B42D-00CF4FC964FF}"`, `"6f9619ff8b86d011b42d00cf4fc964ff"`, true},
		{Rule{How: UUID}, `"A"`, `"a"`, false},
		{Rule{How: Number}, `"0000071000"`, `71000`, true},
		{Rule{How: Number}, `"1E+2"`, `100.00`, true},
		{Rule{How: Number}, `"-0"`, `0`, true},
		{Rule{How: Number}, `"9007199254740993"`, `9007199254740992`, false},
		{Rule{How: Number}, `"A1"`, `"A01"`, false},
		{Rule{How: Number}, `"12"`, `"１２"`, false},

		// within, judged at the bound on decimals
		{within("0.01"), `0.01`, `0`, true},
		{within("0.01"), `0.1`, `0.11`, true},
		{within("0.01"), `0.1`, `0.110000000000000000000000000001`, false},
		{within("0.01"), `-0.005`, `0.005`, true},
		{within("0.01"), `1e20`, `100000000000000000000.01`, true},
		{within("0.01"), `1e20`, `100000000000000000000.011`, false},
		{within("0.01"), `"10.00"`, `"10.010"`, true},
		{within("0.01"), `"10.00"`, `10.00`, false},
		{within("0.01"), `"n/a"`, `"n/a "`, false},
		{within("0.01"), `null`, `0`, false},
		{within("0"), `1.0`, `1`, true},
		{share("0.5"), `200`, `199`, true},
		{share("0.5"), `200`, `198.99`, false},
		{share("0.5"), `-200`, `-199`, true},
		{share("0.5"), `0`, `0.001`, false},
		{share("0.5"), `0`, `0.00`, true},
		{share("100"), `1`, `-1`, false},

		// folds of texts
		{folded(FoldCase), `"STRASSE"`, `"Straße"`, true},
		{folded(FoldCase), `"ẞ"`, `"ß"`, true},
		{folded(FoldCase), `"ΣΟΦΟΣ"`, `"σοφος"`, true},
		{folded(FoldCase), `"I"`, `"i"`, true},
		{folded(FoldCase), `"I"`, `"ı"`, false},
		{folded(FoldCase), `"İ"`, `"i"`, false},
		{folded(FoldCase, FoldAccents), `"İSTANBUL"`, `"istanbul"`, true},
		{folded(FoldCase, FoldAccents), `"ISPARTA"`, `"ısparta"`, false},
		{folded(FoldAccents), `"ᾳ"`, `"α"`, true},
		{folded(FoldCase, FoldAccents), `"ᾳ"`, `"Α"`, true},
		{folded(FoldCase), `"Ꭰ"`, `"ꭰ"`, true},
		{folded(FoldCase), `"Ａ"`, `"ａ"`, true},
		{folded(FoldCase), `"É"`, `"e\u0301"`, false},
		{folded(FoldCase, FoldForm), `"É"`, `"e\u0301"`, true},
		{folded(FoldCase), `5`, `"5"`, false},
		{folded(FoldWidth), `"１２３ＡＢ"`, `"123AB"`, true},
		{folded(FoldWidth), `"ＡＢ"`, `"ab"`, false},
		{folded(FoldWidth), `"ｶﾞｷﾞﾊﾟ"`, `"ガギパ"`, true},
		{folded(FoldWidth), `"ｳﾞｧ"`, `"ヴァ"`, true},
		{folded(FoldWidth), `"カﾞ"`, `"ガ"`, true},
		{folded(FoldWidth), `"ﾊ"`, `"バ"`, false},
		{folded(FoldWidth), `"a　b"`, `"a b"`, true},
		{folded(FoldSpace), `"  a \u00a0\u3000\t b\n"`, `"a b"`, true},
		{folded(FoldSpace), `"a b"`, `"ab"`, false},
		{folded(FoldSpace), `"a\u200bb"`, `"ab"`, false},
		{folded(FoldAccents), `"Café Ñandú"`, `"Cafe Nandu"`, true},
		{folded(FoldAccents), `"e\u0301"`, `"é"`, true},
		{folded(FoldAccents), `"ガ"`, `"カ"`, false},
		{folded(FoldAccents), `"が"`, `"か\u3099"`, true},
		{folded(FoldAccents), `"Łódź"`, `"Łodz"`, true},
		{folded(FoldAccents), `"कि"`, `"क"`, false},
		{folded(FoldCase, FoldForm), `"α\u0345\u0301"`, `"ᾴ"`, true},
		{folded(FoldForm), `"é"`, `"e\u0301"`, true},
		{folded(FoldForm), `"a\u0323\u0307"`, `"a\u0307\u0323"`, true},
		{folded(FoldForm), `"Å"`, `"\u212b"`, true},
		{folded(FoldForm), `"가"`, `"\u1100\u1161"`, true},
		{folded(FoldForm), `"m²"`, `"m2"`, false},
		{folded(FoldForm), `"ﬁ"`, `"fi"`, false},

		// times
		{at(Second, nil), `"2026-01-02T03:04:05Z"`, `"2026-01-02T03:04:05.999+0000"`, true},
		{at(Second, nil), `"2026-01-02T03:04:05Z"`, `"2026-01-02T11:04:05+08:00"`, true},
		{at(Second, nil), `"2026-01-02T03:04:05.999Z"`, `"2026-01-02T03:04:06Z"`, false},
		{at(Second, shanghai), `"2026-01-02 11:04:05"`, `"2026-01-02T03:04:05Z"`, true},
		{at(Second, nil), `"2026-01-02 11:04:05"`, `"2026-01-02T03:04:05Z"`, false},
		{at(Millisecond, nil), `"2026-01-02T03:04:05.1234Z"`, `"2026-01-02T03:04:05.123Z"`, true},
		{at(Millisecond, nil), `"2026-01-02T03:04:05.123456789012Z"`, `"2026-01-02T03:04:05,123Z"`, true},
		{at(Minute, nil), `"2026-01-02T03:04:59Z"`, `"2026-01-02T03:04Z"`, true},
		{at(Hour, zone(t, "Asia/Kolkata")), `"2026-01-02T03:29Z"`, `"2026-01-02T02:31Z"`, true},
		{at(Hour, nil), `"2026-01-02T03:29Z"`, `"2026-01-02T02:31Z"`, false},
		{at(Second, shanghai), `"2026-01-02"`, `"2026-01-01T16:00:00Z"`, true},
		{at(Day, shanghai), `"2026-01-02"`, `"2026-01-01T16:00:00Z"`, true},
		{at(Day, nil), `"2026-01-02"`, `"2026-01-01T16:00:00Z"`, false},
		{at(Day, nil), `"20260102"`, `"2026-01-02T23:59:59Z"`, true},
		{at(Second, nil), `"/Date(1767323045000)/"`, `"2026-01-02T03:04:05Z"`, true},
		{at(Second, nil), `"2026-01-02T24:00:00Z"`, `"2026-01-03"`, true},
		{at(Second, nil), `"2016-12-31T23:59:60Z"`, `"2016-12-31T23:59:60Z"`, true},
		{at(Second, nil), `"2016-12-31T23:59:60Z"`, `"2017-01-01T00:00:00Z"`, false},
		{at(Second, nil), `"2026-02-30"`, `"2026-03-02"`, false},
		{at(Second, nil), `1767323045`, `"2026-01-02T03:04:05Z"`, false},
		{at(Second, berlin), `"2026-10-25T02:30:00"`, `"2026-10-25T00:30:00Z"`, true},
		{at(Second, berlin), `"2026-10-25T02:30:00"`, `"2026-10-25T01:30:00Z"`, true},
		{at(Second, berlin), `"2026-10-25T02:30:00+02:00"`, `"2026-10-25T02:30:00+01:00"`, false},
		{at(Hour, berlin), `"2026-10-25T02:30:00+02:00"`, `"2026-10-25T02:30:00+01:00"`, false},
		{at(Day, berlin), `"2026-10-25T02:30:00+02:00"`, `"2026-10-25T02:30:00+01:00"`, true},
		{at(Second, berlin), `"2026-03-29T02:30:00"`, `"2026-03-29T02:45:00"`, false},
		{at(Second, berlin), `"2026-03-29T02:30:00"`, `"2026-03-29T01:00:00Z"`, false},
		{at(Second, zone(t, "America/Sao_Paulo")), `"2018-11-04"`, `"2018-11-04T03:00:00Z"`, true},

		// sets of scalars
		{scalars, `["a", "b"]`, `["b", "a"]`, true},
		{scalars, `["a", "a", "b"]`, `["b", "a"]`, false},
		{scalars, `[1, 2.0]`, `[2, 1.0]`, true},
		{scalars, `[1]`, `["1"]`, false},
		{scalars, `[]`, ``, false},
		{scalars, `["a"]`, `"a"`, false},
		{Rule{How: Set, Set: &Elements{}, Empty: EmptySame}, `[]`, ``, true},
		{Rule{How: Set, Set: &Elements{}, Empty: EmptySame}, `[]`, `null`, true},
		{Rule{How: Set, Set: &Elements{}, Empty: EmptySame}, `["a", null]`, `["", "a"]`, true},
		{Rule{How: Set, Set: &Elements{}, Empty: EmptySame}, `[{"b": "", "a": [{"n": null}], "c": 1}]`, `[{"c": 1.0, "a": [{}]}]`, true},
		{Rule{How: Set, Set: &Elements{}, Empty: EmptySame}, `[null]`, `[]`, false},
		{Rule{How: Set, Set: &Elements{}, Empty: EmptySame}, `[[null, 1]]`, `[[1]]`, false},
		{Rule{How: Set, Set: &Elements{}, Empty: EmptySame}, `[{"a": "b"}]`, `[["a", "b"]]`, false},
		{Rule{How: Set, Set: &Elements{}, Empty: EmptyAbsent}, `[null, {"a": null}]`, `[{}, null]`, true},
		{Rule{How: Set, Set: &Elements{}, Empty: EmptyAbsent}, `[null]`, `[""]`, false},
		{Rule{How: Set, Set: &Elements{Each: &Rule{How: Fold}}, Empty: EmptySame}, `["A", null]`, `["", "a"]`, true},

		// null: empty holds in the elements of a set
		{lines(EmptySame), `[{"sku": "A", "n": null}]`, `[{"sku": "A"}]`, true},
		{lines(EmptySame), `[{"sku": "A", "n": {"x": ""}}]`, `[{"sku": "A", "n": {"x": null}}]`, true},
		{lines(EmptySame), `[{"sku": null, "n": 1}]`, `[{"sku": "", "n": 1}]`, true},
		{lines(EmptySame), `[null]`, `[""]`, true},
		{lines(EmptySame), `[{"sku": "A", "n": ""}, {"sku": "A", "n": 2}]`, `[{"sku": "A", "n": 2}, {"sku": "A"}]`, true},
		{lines(EmptySame), `[{"sku": "A", "n": 0}]`, `[{"sku": "A"}]`, false},
		{lines(EmptySame), `[{"sku": null}]`, `[]`, false},
		{lines(EmptyDiffer), `[{"sku": "A", "n": null}]`, `[{"sku": "A"}]`, false},
		{lines(EmptyAbsent), `[{"sku": "A", "n": null}]`, `[{"sku": "A"}]`, true},
		{lines(EmptyAbsent), `[{"sku": "A", "n": ""}]`, `[{"sku": "A"}]`, false},
		{lines(EmptySame, Rule{Path: "x", How: Ignore}), `[{"sku": "A", "n": "", "x": 1}]`, `[{"sku": "A"}]`, true},
		{lines(EmptySame, Rule{Path: "n", Empty: EmptyAbsent}), `[{"sku": "A", "n": ""}]`, `[{"sku": "A"}]`, false},
		{lines(EmptySame, Rule{Path: "n", How: Fold}), `[{"sku": "A", "n": "", "x": 1}]`, `[{"sku": "A", "x": 2}]`, true},
		{lines(EmptySame, Rule{Path: "b", How: Set, Set: &Elements{Key: []string{"id"}}}), `[{"sku": "A", "b": [{"id": 1, "n": null}]}]`, `[{"sku": "A", "b": [{"id": 1}]}]`, true},
		{lines(EmptySame, Rule{Path: "b", How: Set, Set: &Elements{Key: []string{"id"}}}), `[{"sku": "A", "b": []}]`, `[{"sku": "A"}]`, true},
		{lines(EmptyDiffer, Rule{Path: "sku", How: Fold, Empty: EmptySame}, Rule{Path: Others}), `[{"sku": "", "n": 1}]`, `[{"n": 1}]`, true},
		{lines(EmptyDiffer, Rule{Path: Others, How: Fold}), `[{"sku": "a", "n": "x"}]`, `[{"sku": "A", "n": "X"}]`, true},

		{Rule{How: Set, Set: &Elements{Each: &Rule{How: Fold}}}, `["Red", "blue"]`, `["BLUE", "red"]`, true},
		{Rule{How: Set, Set: &Elements{Each: &Rule{How: Number}}}, `["007"]`, `[7]`, true},
		{Rule{How: Ignore}, `1`, `2`, true},
		{Rule{How: Ignore, Empty: EmptySame}, `1`, ``, true},
	} {
		if got := agree(t, c.rule, c.left, c.right); got != c.same {
			t.Errorf("%s: %s and %s are the same: %v", c.rule, c.left, c.right, got)
		}
	}
}
