package connector

import (
	"fmt"
	"strings"
)

// KeyText is how the hub keeps an id of several parts: name='value',name='value' in the order of the names. An apostrophe inside a value stands twice.
func KeyText(names, values []string) string {
	parts := make([]string, len(names))
	for i, name := range names {
		parts[i] = name + "='" + strings.ReplaceAll(values[i], "'", "''") + "'"
	}
	return strings.Join(parts, ",")
}

// ReadKeyText reads what KeyText writes of these names, and nothing else.
func ReadKeyText(names []string, text string) (values []string, err error) {
	rest := text
	for i, name := range names {
		if i > 0 {
			rest = strings.TrimPrefix(rest, ",")
		}
		at, is := strings.CutPrefix(rest, name+"=")
		value, after, ok := quoted(at)
		if !is || !ok || i < len(names)-1 && !strings.HasPrefix(after, ",") {
			return nil, fmt.Errorf("the id %q is none of the form %s='…',…", shorten(text), names[0])
		}
		values, rest = append(values, value), after
	}
	if rest != "" {
		return nil, fmt.Errorf("the id %q goes on behind its last part", shorten(text))
	}
	return values, nil
}

// quoted reads a text in apostrophes at the beginning of s.
func quoted(s string) (value, after string, ok bool) {
	if !strings.HasPrefix(s, "'") {
		return "", s, false
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		if s[i] != '\'' {
			b.WriteByte(s[i])
			continue
		}
		if i+1 < len(s) && s[i+1] == '\'' {
			b.WriteByte('\'')
			i++
			continue
		}
		return b.String(), s[i+1:], true
	}
	return "", s, false
}
