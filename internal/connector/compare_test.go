package connector_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/waybill-hub/waybill/internal/connector"
)

func TestCompare(t *testing.T) {
	const (
		u     = "1297f71c-1905-53e0-bbb7-e253a25632a9"
		exact = connector.Exact
		fold  = connector.Fold
		uuid  = connector.UUID
		num   = connector.Number
	)
	for _, c := range []struct {
		rule connector.Compare
		a, b string
		want bool
	}{
		{exact, "a", "a", true},
		{"", "a", "a", true},
		{"", "a", "A", false},
		{exact, "Ann@example.com", "ann@example.com", false},
		{exact, "a", "a ", false},
		{fold, "Ann@Example.com", "ann@example.com", true},
		{fold, "MÜLLER", "müller", true},
		{fold, "ΣΊΣΥΦΟΣ", "σίσυφος", true},
		{fold, "ПОСТАВЩИК", "поставщик", true},
		{fold, "a ", "a", false},
		{fold, "é", "e", false},
		{fold, "ＡＢＣ", "abc", false}, // full width is another thing than a capital
		{fold, "ＡＢＣ", "ａｂｃ", true},
		{fold, "straße", "STRASSE", false}, // one letter is not two
		{fold, "\u212a", "k", false},
		{fold, "\u017f", "s", false},
		{fold, "K", "k", true},
		{uuid, u, strings.ToUpper(u), true},
		{uuid, u, "{" + strings.ToUpper(u) + "}", true},
		{uuid, u, strings.ReplaceAll(u, "-", ""), true},
		{uuid, u, strings.ToUpper(strings.ReplaceAll(u, "-", "")), true},
		{uuid, u, "urn:uuid:" + u, true},
		{uuid, u, "URN:UUID:" + strings.ToUpper(u), true},
		{uuid, u, " " + u + " ", true},
		{uuid, u, u[:35] + "8", false},
		{uuid, u, u[:35], false},
		{uuid, u, "{" + u, false},
		{uuid, u, "x" + u + "x", false},
		{uuid, u, strings.Replace(u, "-", "", 1), false},
		{uuid, "A-1", "a-1", false}, // no UUIDs: exactly
		{uuid, "A-1", "A-1", true},
		{num, "0000071000", "71000", true},
		{num, "71000", "71000.00", true},
		{num, "10.50", "10.5", true},
		{num, "0", "-0.00", true},
		{num, "000", "0", true},
		{num, "+7", "7", true},
		{num, "-7", "7", false},
		{num, "7.1e4", "71000", true},
		{num, "71000e-3", "71", true},
		{num, "5e-3", "0.005", true},
		{num, "0.7", ".7", true},
		{num, "12345678901234567890123", "12345678901234567890124", false}, // no float on the way
		{num, "12345678901234567890123", "012345678901234567890123.0", true},
		{num, "A0071", "A71", false}, // no numbers: exactly
		{num, "1e401", "1e402", false},
		{num, "", "0", false},
		{num, ".", "0", false},
		{num, "1,000", "1000", false},
		{num, " 71000", "71000", true},
	} {
		if got := c.rule.Same(c.a, c.b); got != c.want {
			t.Errorf("%s: %q and %q: %v, want %v", c.rule, c.a, c.b, got, c.want)
		}
		if got := c.rule.Same(c.b, c.a); got != c.want {
			t.Errorf("%s: %q and %q: %v, want %v", c.rule, c.b, c.a, got, c.want)
		}
	}
}

// What is the same has the same key, and a key is its own: whoever searches by the key finds all that is the same.
func TestCompareKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := connector.Compare(rapid.SampledFrom(connector.Compares()).Draw(t, "rule"))
		a := rapid.OneOf(rapid.String(), rapid.StringMatching(`[+-]?[0-9]{0,8}(\.[0-9]{0,6})?(e-?[0-9])?`), rapid.StringMatching(`[0-9a-fA-F]{32}`)).Draw(t, "a")
		if key := rule.Key(a); rule.Key(key) != key || !rule.Same(a, key) {
			t.Fatalf("%s: the key of %q is %q, whose key is %q", rule, a, key, rule.Key(key))
		}
	})
}

func TestFoldOf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rapid.Rune().Draw(t, "r")
		for _, other := range connector.FoldOf(r) {
			if !connector.Fold.Same(string(r), string(other)) {
				t.Fatalf("%q is a form of %q and not the same", other, r)
			}
		}
	})
}

func TestExternalForms(t *testing.T) {
	const u = "1297f71c-1905-53e0-bbb7-e253a25632a9"
	for _, c := range []struct {
		form connector.ExternalForm
		want string
	}{
		{"", u}, {connector.FormUUID, u},
		{connector.FormCompact, "1297f71c190553e0bbb7e253a25632a9"},
		{connector.FormBase32, "ckl7ohazavj6bo5x4jj2evrsve"},
	} {
		got := c.form.Write(u)
		if got != c.want || len(got) != c.form.Length() {
			t.Errorf("%s: %q (%d characters), want %q", c.form, got, len(got), c.want)
		}
		for _, back := range []string{got, strings.ToUpper(got), " " + got} {
			if p, ok := connector.ParseExternal(back); !ok || p != u {
				t.Errorf("%s: %q is read as %q, %v", c.form, back, p, ok)
			}
		}
		if again := c.form.Write(strings.ToUpper(u)); again != c.want {
			t.Errorf("%s: in capitals it becomes %q", c.form, again)
		}
	}
	for _, s := range []string{"", "CUST-1", "ckl7ohazavj6bo5x4jj2evrsvf", "ckl7ohazavj6bo5x4jj2evrsv1", u + "0", strings.Repeat("z", 32)} {
		if p, ok := connector.ParseExternal(s); ok {
			t.Errorf("%q is read as %q", s, p)
		}
		if connector.FormCompact.Write(s) != s {
			t.Errorf("%q is not left as it is", s)
		}
	}
	if connector.SameExternal("CUST-1", "cust-1") || !connector.SameExternal("CUST-1", "CUST-1") {
		t.Error("what is no UUID is compared exactly")
	}
}

func TestExternalFormsSayTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "bits")
		u := fmt.Sprintf("%x-%x-%x-%x-%x", raw[:4], raw[4:6], raw[6:8], raw[8:10], raw[10:])
		for _, f := range append(connector.FormUUID.Others(), connector.FormUUID) {
			for _, g := range append(f.Others(), f) {
				if !connector.SameExternal(f.Write(u), strings.ToUpper(g.Write(u))) {
					t.Fatalf("%s: %s and %s differ", u, f, g)
				}
			}
		}
	})
}

func FuzzParseExternal(f *testing.F) {
	for _, s := range []string{"1297f71c-1905-53e0-bbb7-e253a25632a9", "{1297F71C-1905-53E0-BBB7-E253A25632A9}", "ckl7ohazavj6bo5x4jj2evrsve", "71000", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if u, ok := connector.ParseExternal(s); ok {
			if again, ok := connector.ParseExternal(u); !ok || again != u {
				t.Errorf("%q is read as %q, and that as %q", s, u, again)
			}
		}
		for _, rule := range connector.Compares() {
			if c := connector.Compare(rule); c.Key(c.Key(s)) != c.Key(s) {
				t.Errorf("%s: the key of %q has a key of its own", rule, s)
			}
		}
	})
}
