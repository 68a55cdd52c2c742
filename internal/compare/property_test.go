package compare

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

// texts are such as differ a little.
var texts = rapid.OneOf(
	rapid.SampledFrom([]string{"", " ", "a", "A", "é", "e\u0301", "ß", "SS", "ss", "İ", "i", "ı", "Ａ", "ｶﾞ", "ガ", "カ\u3099", "ﾞ", "a\u00a0b", "a b", "a\u3000 b", "Ꭰ", "ꭰ", "5", "５", "05", "5.0", "n/a",
		"2026-10-25", "2026-10-25T02:30:00", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00+00:00", "2026-03-29T02:30", "20261025T0030Z"}),
	rapid.StringOf(rapid.RuneFrom([]rune("aAäÄßẞiİıſKk \u0301\u0307\u0323\u00a0\u3000ｶﾞﾟガはﾊ゛\u3099\u309aＡａ１ᾳΣςσ각\u1100\u1161ᅠꭰᎠ"))),
	rapid.String(),
)

var scalars = rapid.Custom(func(t *rapid.T) any {
	switch rapid.IntRange(0, 4).Draw(t, "kind") {
	case 0:
		return nil
	case 1:
		return rapid.Bool().Draw(t, "bool")
	case 2:
		return json.Number(rapid.SampledFrom([]string{"0", "-0", "5", "5.0", "5.00", "5.01", "5.02", "0.5e1", "10", "1E+2", "100", "9007199254740993", "9007199254740992"}).Draw(t, "number"))
	}
	return texts.Draw(t, "text")
})

// lines are lists of objects, some of them without a key or with that of another.
var lines = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) any {
	if rapid.IntRange(0, 9).Draw(t, "scalar?") == 0 {
		return scalars.Draw(t, "scalar")
	}
	o := map[string]any{}
	for _, name := range []string{"k", "n", "x"} {
		if rapid.IntRange(0, 3).Draw(t, "has "+name) > 0 {
			o[name] = scalars.Draw(t, name)
		}
	}
	return o
}), 0, 6)

var anything = rapid.Custom(func(t *rapid.T) any {
	switch rapid.IntRange(0, 4).Draw(t, "kind") {
	case 0:
		return lines.Draw(t, "lines")
	case 1:
		return rapid.MapOfN(rapid.SampledFrom([]string{"k", "n", "x"}), scalars, 0, 3).Draw(t, "object")
	case 2:
		return rapid.SliceOfN(scalars, 0, 5).Draw(t, "list")
	}
	return scalars.Draw(t, "scalar")
})

func foldings(t *rapid.T) []Folding {
	var out []Folding
	for _, f := range Foldings() {
		if rapid.Bool().Draw(t, f) {
			out = append(out, Folding(f))
		}
	}
	return out
}

// anyRule draws a rule for a value; none with an owner, which looks at one side.
func anyRule(tb testing.TB, t *rapid.T, path string, sets bool) Rule {
	r := Rule{Path: path, Empty: Empties(rapid.SampledFrom([]string{"", "empty", "absent"}).Draw(t, "empty"))}
	hows := []How{Exact, Fold, UUID, Number, Within, Folded, Time, Ignore}
	if sets {
		hows = append(hows, Set, Set, Set)
	}
	switch r.How = rapid.SampledFrom(hows).Draw(t, "how"); r.How {
	case Within:
		r.Within.Bound = bound(rapid.SampledFrom([]string{"0", "0.01", "1"}).Draw(t, "bound"), rapid.Bool().Draw(t, "percent"))
		if rapid.Bool().Draw(t, "by currency") {
			r.Within.Currency, r.Within.ByCurrency = "x", map[string]Bound{"A": *bound("5", false)}
		}
	case Folded:
		if r.Folds = foldings(t); r.Folds == nil {
			r.Folds = []Folding{FoldCase}
		}
	case Time:
		r.Unit = Unit(rapid.SampledFrom(TimeUnits()).Draw(t, "unit"))
		r.Zone = zone(tb, rapid.SampledFrom([]string{"UTC", "Europe/Berlin"}).Draw(t, "zone"))
	case Set:
		r.Set = &Elements{}
		if rapid.Bool().Draw(t, "keyed") {
			r.Set.Key = []string{"k"}
			if rapid.Bool().Draw(t, "rules") {
				r.Set.Rules = must(tb, anyRule(tb, t, "n", false), anyRule(tb, t, "k", false))
			}
		}
	}
	return r
}

func document(t testing.TB, v any) jsondoc.Value {
	raw, err := json.Marshal(map[string]any{"v": v})
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(raw))
}

// again writes a document anew in another way that says the same.
func again(t testing.TB, v jsondoc.Value) jsondoc.Value {
	return parse(t, string(jsondoc.AppendCanonical(nil, v)))
}

// TestEqualsItself: no rule finds a difference between a document and itself, however it is written.
func TestEqualsItself(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rules := must(t, anyRule(t, rt, "v", true))
		a := document(t, anything.Draw(rt, "value"))
		if got := rules.Diff(nil, a, again(t, a)); len(got) > 0 {
			rt.Fatalf("%s differs from itself: %v", a.Raw(), show(got))
		}
	})
}

// TestSymmetric: what differs one way differs the other way, in as many places, with the values exchanged.
func TestSymmetric(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rules := must(t, anyRule(t, rt, "v", true))
		a, b := document(t, anything.Draw(rt, "left")), document(t, anything.Draw(rt, "right"))
		there, back := rules.Diff(nil, a, b), rules.Diff(nil, b, a)
		if (len(there) == 0) != (len(back) == 0) {
			rt.Fatalf("%s and %s: there %v, back %v", a.Raw(), b.Raw(), show(there), show(back))
		}
		for _, f := range there {
			if (f.Left == nil) == (f.Right == nil) && string(f.Left) == string(f.Right) {
				rt.Fatalf("%s has the same value on both sides: %s", f.Path, f.Left)
			}
		}
	})
}

// TestOrderOfSets: a list compared as a set is the same in any order, whatever stands in it.
func TestOrderOfSets(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		list := append([]any{scalars.Draw(rt, "first")}, lines.Draw(rt, "lines")...)
		rule := Rule{Path: "v", How: Set, Set: &Elements{}}
		if rapid.Bool().Draw(rt, "keyed") {
			rule.Set.Key = []string{"k"}
		}
		a, b := document(t, list), document(t, rapid.Permutation(list).Draw(rt, "other order"))
		if got := must(t, rule).Diff(nil, a, b); len(got) > 0 {
			rt.Fatalf("%s and %s: %v", a.Raw(), b.Raw(), show(got))
		}
	})
}

// TestFoldingIsDone: folding what is folded changes nothing, and so folded texts can be compared in place of the texts.
func TestFoldingIsDone(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		folds, text := foldings(rt), texts.Draw(rt, "text")
		once := fold(text, folds)
		if twice := fold(once, folds); twice != once {
			rt.Fatalf("%v of %q is %q, and then %q", folds, text, once, twice)
		}
	})
	for _, folds := range [][]Folding{{FoldCase}, {FoldWidth}, {FoldCase, FoldWidth, FoldSpace, FoldAccents, FoldForm}} {
		for r := rune(0); r <= unicode.MaxRune; r++ {
			if !unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Z) {
				continue
			}
			if once := fold(string(r), folds); fold(once, folds) != once {
				t.Errorf("%v of %U is %+q, and then %+q", folds, r, once, fold(once, folds))
			}
		}
	}
}

// TestFoldingsAddUp: what is the same under some foldings is so under these and more. The iota below Greek letters is a letter under case and a mark
// under accents, which goes first.
func TestFoldingsAddUp(t *testing.T) {
	sets := make([][]Folding, 1<<len(Foldings()))
	for n := range sets {
		for i, f := range Foldings() {
			if n&(1<<i) != 0 {
				sets[n] = append(sets[n], Folding(f))
			}
		}
	}
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if !unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Z) || unicode.In(r, unicode.Han, unicode.Hangul) || strings.ContainsRune(norm.NFD.String(string(r)), '\u0345') {
			continue
		}
		text := string(r)
		if all := len(sets) - 1; fold(text, sets[all]) == text {
			continue
		}
		for some := range sets {
			less := fold(text, sets[some])
			if less == text {
				continue
			}
			for more := range sets {
				if more&some == some && more != some && fold(less, sets[more]) != fold(text, sets[more]) {
					t.Fatalf("%U is %+q under %v, which is %+q under %v, and not %+q", r, less, sets[some], fold(less, sets[more]), sets[more], fold(text, sets[more]))
				}
			}
		}
	}
}

// TestBound: amounts that are apart by the bound are the same, and by one digit more they are not.
func TestBound(t *testing.T) {
	amounts := rapid.Custom(func(t *rapid.T) jsondoc.Decimal {
		d, err := jsondoc.ParseDecimal(rapid.StringMatching(`-?[0-9]{1,30}(\.[0-9]{1,30})?`).Draw(t, "amount"))
		if err != nil {
			t.Fatal(err)
		}
		return d
	})
	tiny := *bound("1e-60", false)
	rapid.Check(t, func(rt *rapid.T) {
		x, by := amounts.Draw(rt, "x"), amounts.Draw(rt, "by").Abs()
		b := Bound{Amount: by}
		if !b.Holds(x, x.Add(by)) || !b.Holds(x.Sub(by), x) || b.Holds(x, x.Add(by).Add(tiny.Amount)) || b.Holds(x.Sub(by).Sub(tiny.Amount), x) {
			rt.Fatalf("%s around %s", by, x)
		}
	})
}

// TestKeysAgree: two keys of elements are one exactly where their rule says that the values are the same.
func TestKeysAgree(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := anyRule(t, rt, "v", false)
		if slices.Contains([]How{Within, Time, Ignore}, r.How) {
			return
		}
		a, b := document(t, scalars.Draw(rt, "a")).Get("v"), document(t, scalars.Draw(rt, "b")).Get("v")
		if got, want := r.key(a) == r.key(b), r.same(nil, a, b); got != want {
			rt.Fatalf("%s: keys of %s and %s agree: %v, values %v", r, a.Raw(), b.Raw(), got, want)
		}
	})
}

// TestKeysAreApart: no two different keys of several parts are one, whatever stands between their texts.
func TestKeysAreApart(t *testing.T) {
	part := rapid.StringOf(rapid.RuneFrom([]rune("01:x")))
	e := &Elements{Key: []string{"a", "b"}, Rules: must(t, Rule{Path: "a", How: UUID}, Rule{Path: "b", How: UUID})}
	element := func(a, b string) jsondoc.Value {
		raw, err := json.Marshal(map[string]string{"a": a, "b": b})
		if err != nil {
			t.Fatal(err)
		}
		return parse(t, string(raw))
	}
	rapid.Check(t, func(rt *rapid.T) {
		x, y, z := part.Draw(rt, "x"), part.Draw(rt, "y"), part.Draw(rt, "z")
		between := rapid.SampledFrom([]string{"", ":", "0:", "1:", "|", "\x00", ":text ", "text "}).Draw(rt, "between")
		if between == "" && y == "" {
			return
		}
		if groupKey([]string{x, y + between + z}) == groupKey([]string{x + between + y, z}) || e.key(element(x, y+between+z)) == e.key(element(x+between+y, z)) {
			rt.Fatalf("%q, %q and %q, %q are one", x, y+between+z, x+between+y, z)
		}
	})
}

// FuzzDiff: no two documents bring a rule to a fall, or to call a document different from itself.
func FuzzDiff(f *testing.F) {
	f.Add([]byte(`{"lines": [{"k": "a", "n": 1}, {"k": "a"}], "t": "2026-10-25T02:30", "s": "ｶﾞ"}`), []byte(`{"lines": [], "t": 5, "s": null}`))
	rules := []*Rules{All(),
		must(f, Rule{Path: Others, How: Set, Set: &Elements{Key: []string{"k"}}}), must(f, Rule{Path: Others, How: Set, Set: &Elements{}, Empty: EmptySame}),
		must(f, Rule{Path: Others, How: Within, Within: Tolerance{Bound: bound("0.5", true), Currency: "k"}}), must(f, Rule{Path: Others, How: Time, Unit: Hour}),
		must(f, Rule{Path: Others, How: Folded, Folds: []Folding{FoldCase, FoldWidth, FoldSpace, FoldAccents, FoldForm}})}
	f.Fuzz(func(t *testing.T, left, right []byte) {
		a, err := jsondoc.Parse(left, jsondoc.Limits{Bytes: 4096})
		b, other := jsondoc.Parse(right, jsondoc.Limits{Bytes: 4096})
		if err != nil || other != nil {
			return
		}
		for _, r := range rules {
			if (len(r.Diff(nil, a.Root(), b.Root())) == 0) != (len(r.Diff(nil, b.Root(), a.Root())) == 0) {
				t.Errorf("%s and %s differ one way alone", left, right)
			}
			if got := r.Diff(nil, a.Root(), again(t, a.Root())); len(got) > 0 {
				t.Errorf("%s differs from itself: %s", left, strings.Join(show(got), "; "))
			}
		}
	})
}
