#!/bin/bash
# golang.org/x/text's case folding does not make Cherokee capitals and small letters the same: it exchanges them.
#
# Seen with golang.org/x/text v0.43.0 (Unicode 15.0.0 in cases) and Go 1.26 on 2026-11-30: cases.Fold() takes the capital U+13A0 to the small U+AB70,
# and U+AB70 to U+13A0. In Unicode's CaseFolding.txt Cherokee folds to its capitals (AB70; C; 13A0), and a capital folds to itself. So two texts that
# differ in case alone stay different, and folding what is folded changes it back, for all 86 pairs of letters. No letter of another script is folded
# differently at the second time.
# Whoever keys a table by cases.Fold finds other rows on the second pass. Python's str.casefold and Go's strings.EqualFold get it right.
set -euo pipefail
dir=$(mktemp -d)
trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
cd "$dir"
cat >main.go <<'GO'
package main

import (
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/text/cases"
)

func main() {
	fold := cases.Fold()
	capital, small := "\u13a0", "\uab70"
	fmt.Printf("capital to %+q, small to %+q, EqualFold %v\n", fold.String(capital), fold.String(small), strings.EqualFold(capital, small))
	twice, others := 0, 0
	for r := rune(0); r <= unicode.MaxRune; r++ {
		once := fold.String(string(r))
		switch {
		case fold.String(once) == once:
		case unicode.Is(unicode.Cherokee, r):
			twice++
		default:
			others++
		}
	}
	fmt.Printf("not done at the first time: %d of Cherokee, %d others\n", twice, others)
}
GO
go mod init fold >/dev/null 2>&1
go get golang.org/x/text@v0.43.0 >/dev/null 2>&1
got=$(go run .)
echo "$got"
[ "$got" = 'capital to "\uab70", small to "\u13a0", EqualFold true
not done at the first time: 172 of Cherokee, 0 others' ] || exit 1
echo "cases.Fold exchanges capital and small Cherokee letters"
