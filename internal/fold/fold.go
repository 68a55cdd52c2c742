// Package fold makes texts alike that a person who searches takes for the same: capitals and small letters, wide and narrow forms, letters with and without
// accents, runs of blanks.
package fold

import (
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// barred are letters that are written with a stroke or dot and do not fall apart into a letter and an accent.
var barred = strings.NewReplacer("ł", "l", "ø", "o", "đ", "d", "ħ", "h", "ŧ", "t", "ı", "i", "æ", "ae", "œ", "oe", "þ", "th", "ð", "d")

// Text is the folded form of a text. Accents are dropped from Latin, Greek and Cyrillic letters alone: elsewhere marks make another letter.
func Text(s string) string {
	if plain(s) {
		return s
	}
	var b strings.Builder
	bare, blank := false, false
	for _, r := range norm.NFKD.String(cases.Fold().String(norm.NFKC.String(s))) {
		switch {
		case unicode.IsSpace(r) || unicode.Is(unicode.Zs, r):
			blank = b.Len() > 0
			bare = false
			continue
		case unicode.Is(unicode.Mn, r) && bare, unicode.Is(unicode.Cf, r), unicode.Is(unicode.Cc, r):
			continue
		case !unicode.Is(unicode.Mn, r):
			bare = unicode.In(r, unicode.Latin, unicode.Greek, unicode.Cyrillic)
		}
		if unicode.Is(unicode.Cherokee, r) { // which folds to capitals, and the library folds those to small letters
			r = unicode.ToLower(r)
		}
		if blank {
			b.WriteByte(' ')
			blank = false
		}
		b.WriteRune(r)
	}
	return barred.Replace(norm.NFC.String(b.String()))
}

// plain reports whether a text is its own folded form: most keys and ids are.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return true
}

const (
	// mostStarts is how many of its words a text is found by.
	mostStarts = 8
	// mostRunes is how much of a text is looked at.
	mostRunes = 100
)

// Starts are what a text is found by: its folded form, and what is left of it from each later word on. SO-4711 is found by so-4711 and by 4711. A UUID is one word.
func Starts(s string) []string {
	s = Cut(Text(s))
	if s == "" {
		return nil
	}
	out := []string{s}
	if IsUUID(s) {
		return out
	}
	within := true
	for i, r := range s {
		word := unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r)
		if word && !within && i > 0 && len(out) < mostStarts {
			out = append(out, s[i:])
		}
		within = word
	}
	return out
}

// Cut is as much of a folded text as is looked at.
func Cut(s string) string {
	if len(s) <= mostRunes {
		return s
	}
	n := 0
	for i := range s {
		if n == mostRunes {
			return strings.TrimRight(s[:i], " ")
		}
		n++
	}
	return s
}

// IsUUID reports whether a text has the form of a UUID, in small letters or capitals.
func IsUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F') {
				return false
			}
		}
	}
	return true
}
