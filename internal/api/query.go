package api

import (
	"strings"
	"unicode/utf8"
)

// plainText is what both stores can compare.
func plainText(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }
