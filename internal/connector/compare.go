package connector

import (
	"strconv"
	"strings"
	"unicode"
)

// Compare is a field's own rule of comparison: when two texts are the same value. Look-ups and reconciliations share it.
type Compare string

const (
	// Exact: the same text. The zero value means it too.
	Exact Compare = "exact"
	// Fold: the same letters, small or capital, in every script; nothing else is folded.
	Fold Compare = "fold"
	// UUID: the same 128 bits, in capitals or small letters, with or without hyphens, in braces, after urn:uuid:. What is no UUID is
	// compared exactly.
	UUID Compare = "uuid"
	// Number: the same decimal value, however many zeros stand before it or behind its point: 0000071000 is 71000. What is no number is
	// compared exactly.
	Number Compare = "number"
)

// Compares are all rules, as they are written in files.
func Compares() []string { return []string{string(Exact), string(Fold), string(UUID), string(Number)} }

// Same reports whether two texts are the same value under the rule.
func (c Compare) Same(a, b string) bool { return a == b || c.Key(a) == c.Key(b) }

// Key is what all texts of the same value have in common under the rule.
func (c Compare) Key(s string) string {
	switch c {
	case Fold:
		return foldKey(s)
	case UUID:
		if u, ok := parseUUID(s); ok {
			return u
		}
	case Number:
		if n, ok := plainNumber(s); ok {
			return n
		}
	}
	return s
}

// foldKey takes every letter to the first of those that differ from it in case alone. The signs for kelvin and the long s stay what they are:
// they are no way of writing k and s, and not every database can hold them.
func foldKey(s string) string { return strings.Map(firstOfCase, s) }

func firstOfCase(r rune) rune {
	if ownLetter(r) {
		return r
	}
	first := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		if next < first && !ownLetter(next) {
			first = next
		}
	}
	return first
}

func ownLetter(r rune) bool { return r == '\u212a' || r == '\u017f' }

// FoldOf are the letters that are the same as r under Fold, r among them.
func FoldOf(r rune) []rune {
	out := []rune{r}
	if ownLetter(r) {
		return out
	}
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		if !ownLetter(next) {
			out = append(out, next)
		}
	}
	return out
}

// parseUUID gives the canonical form (small letters, hyphens) of a UUID in any of the usual ones.
func parseUUID(s string) (string, bool) {
	s = strings.TrimSpace(s)
	const urn = "urn:uuid:"
	if len(s) > len(urn) && strings.EqualFold(s[:len(urn)], urn) {
		s = s[len(urn):]
	} else if n := len(s); n > 2 && s[0] == '{' && s[n-1] == '}' {
		s = s[1 : n-1]
	}
	switch len(s) {
	case 32:
		s = s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
	case 36:
	default:
		return "", false
	}
	b := []byte(s)
	for i, c := range b {
		switch {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return "", false
			}
		case c >= '0' && c <= '9', c >= 'a' && c <= 'f':
		case c >= 'A' && c <= 'F':
			b[i] = c + 'a' - 'A'
		default:
			return "", false
		}
	}
	return string(b), true
}

// maxShift bounds an exponent: 1e401 is no number that a system gives an object.
const maxShift = 400

// plainNumber writes a decimal number without an exponent and without zeros that change nothing.
func plainNumber(s string) (string, bool) {
	s = strings.TrimSpace(s)
	sign := ""
	if s != "" && (s[0] == '-' || s[0] == '+') {
		if s[0] == '-' {
			sign = "-"
		}
		s = s[1:]
	}
	shift := 0
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		n, err := strconv.Atoi(s[i+1:])
		if err != nil || n > maxShift || n < -maxShift {
			return "", false
		}
		s, shift = s[:i], n
	}
	whole, part, _ := strings.Cut(s, ".")
	if whole+part == "" || strings.Trim(whole+part, "0123456789") != "" {
		return "", false
	}
	if shift > 0 {
		part += strings.Repeat("0", max(0, shift-len(part)))
		whole, part = whole+part[:shift], part[shift:]
	} else if shift < 0 {
		whole = strings.Repeat("0", max(0, -shift-len(whole))) + whole
		whole, part = whole[:len(whole)+shift], whole[len(whole)+shift:]+part
	}
	whole, part = strings.TrimLeft(whole, "0"), strings.TrimRight(part, "0")
	switch {
	case whole+part == "":
		return "0", true
	case whole == "":
		whole = "0"
	}
	if part != "" {
		part = "." + part
	}
	return sign + whole + part, true
}
