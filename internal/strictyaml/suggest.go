package strictyaml

import (
	"slices"
	"strings"
)

// Suggest gives the word among the known ones that was probably meant, or "" when none is near. Case and the choice of -, _ and
// . do not count as a difference.
func Suggest(word string, among []string) string {
	if word == "" || len(word) > 100 {
		return ""
	}
	best, least := "", len([]rune(word))/3+2
	if len([]rune(word)) <= 2 {
		least = 2
	}
	for _, candidate := range among {
		if candidate == word || candidate == "" || len(candidate) > 100 {
			continue
		}
		d := distance(loose(word), loose(candidate))
		if d >= len([]rune(candidate)) {
			continue // nothing in common
		}
		if d < least {
			best, least = candidate, d
		}
	}
	return best
}

// DidYouMean is the hint for an unknown name: the one that was probably meant, or all known ones when they are few and none
// is near.
func DidYouMean(word string, among []string) string {
	if s := Suggest(word, among); s != "" {
		return "did you mean " + quote(s) + "?"
	}
	if len(among) == 0 || len(among) > 12 {
		return ""
	}
	known := slices.Clone(among)
	slices.Sort(known)
	return "known: " + strings.Join(known, ", ")
}

// Meant is the end of an error about an unknown name: the one that was probably meant, or nothing.
func Meant(word string, among []string) string {
	if s := Suggest(word, among); s != "" {
		return "; did you mean " + quote(s) + "?"
	}
	return ""
}

func quote(s string) string { return `"` + s + `"` }

func loose(s string) []rune {
	return []rune(strings.NewReplacer("_", "-", ".", "-", " ", "-").Replace(strings.ToLower(s)))
}

// distance counts insertions, deletions, changes and swaps of neighbours (optimal string alignment).
func distance(a, b []rune) int {
	prev2, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return prev[len(b)]
}
