package odata

import (
	"net/url"
	"strings"
	"time"
)

// keyAt reads the key out of the address of an object, such as a Location header: …/A_SalesOrder('71000'), …/Stock(Material='A%2F1',Plant='1010').
func (m *metadata) keyAt(parts []*property, address string) (key, bool) {
	k := key{m: m, parts: parts}
	path, _, _ := strings.Cut(address, "?")
	path = bare.Replace(strings.TrimRight(path, "/"))
	inside, closed := strings.CutSuffix(path, ")")
	open := opening(inside)
	if !closed || open < 0 {
		return k, false
	}
	inside = inside[open+1:]
	if u, err := url.PathUnescape(inside); err == nil {
		inside = u
	}
	if len(parts) == 1 {
		inside = strings.TrimPrefix(inside, parts[0].name+"=")
		k.values = []string{m.value(parts[0], inside)}
		return k, inside != ""
	}
	named := map[string]string{}
	for inside != "" {
		name, rest, ok := strings.Cut(inside, "=")
		if !ok {
			return k, false
		}
		end := literalEnd(rest)
		named[name], inside = rest[:end], strings.TrimPrefix(rest[end:], ",")
	}
	for _, p := range parts {
		lit, is := named[p.name]
		if !is {
			return k, false
		}
		k.values = append(k.values, m.value(p, lit))
	}
	return k, true
}

// bare shows the signs that begin and end keys and texts. A slash stays escaped: one that is written so is no border of segments.
var bare = strings.NewReplacer("%27", "'", "%28", "(", "%29", ")")

// opening is where the key of the last segment of a path begins; the path ends before its closing bracket. A bracket inside a text literal opens
// nothing; -1: there is none. Not every service doubles the apostrophes in an address that it writes (SAP CAP 10 does not), so the first bracket
// behind the last slash that no quote precedes is taken.
func opening(path string) int {
	at, quotes := -1, false
	for i := 0; i < len(path); i++ {
		switch path[i] {
		case '\'':
			quotes = at >= 0
		case '/':
			if !quotes || strings.HasSuffix(path[:i], ")") && strings.Contains(path[i:], "(") {
				at, quotes = -1, false
			}
		case '(':
			if at < 0 {
				at = i
			}
		}
	}
	return at
}

// literalEnd is where the literal at the beginning of s ends.
func literalEnd(s string) int {
	inQuotes := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\'':
			inQuotes = !inQuotes
		case s[i] == ',' && !inQuotes:
			return i
		}
	}
	return len(s)
}

// value gives what a literal stands for, as documents write it.
func (m *metadata) value(p *property, literal string) string {
	if first := strings.IndexByte(literal, '\''); first >= 0 && len(literal) > first+1 && strings.HasSuffix(literal, "'") {
		literal = literal[first+1 : len(literal)-1]
		if !strings.Contains(strings.ReplaceAll(literal, "''", ""), "'") { // where one stands alone, all stand for themselves
			literal = strings.ReplaceAll(literal, "''", "'")
		}
	} else if m.version == 2 && p.kind != stringType {
		literal = strings.TrimRight(literal, "LlMmDdFf")
	}
	switch p.kind {
	case dateType:
		if t, err := clock(literal); err == nil {
			return t.Format(time.DateOnly)
		}
	case clockType:
		if t, err := clock(literal); err == nil {
			return t.Format(time.RFC3339Nano)
		}
	case timeType:
		if t, ok := clockOf(literal); ok {
			return t
		}
	}
	return literal
}
