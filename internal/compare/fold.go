package compare

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/width"
)

// fold takes away from a text what does not count. Folding what is folded already changes nothing.
func fold(s string, folds []Folding) string {
	has := func(f Folding) bool { return slices.Contains(folds, f) }
	if has(FoldWidth) {
		s = foldWidth(s)
	}
	// Accents are parts of characters in one Unicode form alone, and case makes some characters of several parts.
	forms := has(FoldForm) || has(FoldAccents)
	if forms {
		s = norm.NFD.String(s)
	}
	if has(FoldAccents) { // before case, which makes a letter of the iota below Greek ones
		s = strings.Map(withoutAccent, s)
	}
	if has(FoldCase) {
		s = foldCase(s)
	}
	if forms {
		s = norm.NFC.String(s)
	}
	if has(FoldSpace) {
		s = strings.Join(strings.FieldsFunc(s, unicode.IsSpace), " ")
	}
	return s
}

// foldCase is Unicode's full case folding. golang.org/x/text exchanges Cherokee capitals and small letters
// (findings/x-text-fold-cherokee.sh).
func foldCase(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cherokee, r) {
			return unicode.ToUpper(r)
		}
		return r
	}, cases.Fold().String(s))
}

// foldWidth writes what has a full and a half width in its usual one. A half-width katakana with a voiced mark behind it is one letter in full width.
func foldWidth(s string) string {
	if !strings.ContainsFunc(s, isVoicedMark) {
		return width.Fold.String(s)
	}
	var b strings.Builder
	rest := s
	for rest != "" {
		at := strings.IndexFunc(rest, isVoicedMark)
		if at < 0 {
			b.WriteString(width.Fold.String(rest))
			break
		}
		letter := at
		for letter > 0 && rest[letter-1]&0xC0 == 0x80 {
			letter--
		}
		letter = max(letter-1, 0)
		end := at + len("ﾞ")
		b.WriteString(width.Fold.String(rest[:letter]))
		b.WriteString(norm.NFC.String(width.Fold.String(rest[letter:end])))
		rest = rest[end:]
	}
	return b.String()
}

// isVoicedMark: the voiced and the semi-voiced mark in half width.
func isVoicedMark(r rune) bool { return r == 'ﾞ' || r == 'ﾟ' }

// accented are the scripts whose combining marks are accents, points or signs for the reader: leaving them out keeps the letter.
var accented = []*unicode.RangeTable{unicode.Inherited, unicode.Latin, unicode.Greek, unicode.Cyrillic, unicode.Hebrew, unicode.Arabic}

func withoutAccent(r rune) rune {
	const voiced, semivoiced = '\u3099', '\u309a' // of kana: ハ, バ and パ are three letters
	if unicode.Is(unicode.Mn, r) && unicode.In(r, accented...) && r != voiced && r != semivoiced {
		return -1
	}
	return r
}
