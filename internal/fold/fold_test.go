package fold

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "so-4711": "so-4711", "SO-4711": "so-4711", "ＳＯ－４７１１": "so-4711", "  Acme \t\u00a0 Trading\n": "acme trading", "Müller": "muller", "Mu\u0308ller": "muller",
		"STRASSE": "strasse", "Straße": "strasse", "Łódź": "lodz", "Ørsted": "orsted", "Ærø": "aero", "Ελλάς": "ελλασ", "ＡＣＭＥ　株式会社": "acme 株式会社", "ガ": "ガ", "ｶﾞ": "ガ",
		"soft\u00adhyphen": "softhyphen", "\u200bzero": "zero", "हिन्दी": "हिन्दी", "ИЙ": "ии", "a\u0000b": "ab", "ﬁne": "fine", "①": "1",
	} {
		if got := Text(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestStarts(t *testing.T) {
	for in, want := range map[string][]string{
		"": nil, "  ": nil, "SO-4711": {"so-4711", "4711"}, "Acme Trading (Shanghai) Co.": {"acme trading (shanghai) co.", "trading (shanghai) co.", "shanghai) co.", "co."},
		"5A49CFBA-f956-5b3f-848d-9ead42768777": {"5a49cfba-f956-5b3f-848d-9ead42768777"}, "上海 贸易": {"上海 贸易", "贸易"}, "(x)": {"(x)", "x)"},
		"a b c d e f g h i j": {"a b c d e f g h i j", "b c d e f g h i j", "c d e f g h i j", "d e f g h i j", "e f g h i j", "f g h i j", "g h i j", "h i j"},
	} {
		if got := Starts(in); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := Starts(strings.Repeat("é", 150)); len(got) != 1 || got[0] != strings.Repeat("e", 100) {
		t.Errorf("a long text: %q", got)
	}
}

// Whatever a text is, folding it again changes nothing, and in other case and with other blanks it is found by the same.
func TestFoldedIsFolded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "text")
		f := Text(s)
		if g := Text(f); g != f {
			t.Fatalf("%q folds to %q, and that to %q", s, f, g)
		}
		if !utf8.ValidString(f) {
			t.Fatalf("%q folds to what is no text: %q", s, f)
		}
		if got := Text("  " + strings.ReplaceAll(s, " ", " \t ") + " "); got != f {
			t.Fatalf("with other blanks %q folds to %q, want %q", s, got, f)
		}
		for _, start := range Starts(s) {
			if !strings.HasSuffix(Cut(f), start) || start == "" {
				t.Fatalf("%q is found by %q", s, start)
			}
		}
	})
}

func FuzzText(f *testing.F) {
	f.Add("Straße 5")
	f.Add("\xff\u0300")
	f.Fuzz(func(t *testing.T, s string) {
		if x := Text(s); Text(x) != x {
			t.Errorf("%q folds to %q, and that to %q", s, x, Text(x))
		}
	})
}
