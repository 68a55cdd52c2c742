package state

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode/utf8"
)

// mostCause is how many characters of a failure's text tell causes apart.
const mostCause = 200

// CauseOf names what stopped a queued message, so that all messages that were stopped by the same thing have the same
// name: text says it without what differs from message to message (ids, numbers, times, quoted values), and id is short enough to
// type and the same on every hub. Both are empty where nothing is said to have stopped the message: it is held behind others, or just due.
func CauseOf(q *Queued) (id, text string) {
	if q.Kind == "" && q.Code == "" {
		return "", ""
	}
	text = strings.TrimSpace(q.Kind + " " + q.Code)
	switch q.Kind {
	case "invalid", "conflict", "not-found", "auth", "rate-limited", "unavailable", "unknown-outcome":
		// What a target says has a code as coarse as an HTTP status: the sentence tells one cause from another. The codes of the hub's own
		// stages name the rule and the place by themselves.
		said := q.Reason
		if _, code, ok := strings.Cut(q.Code, "/"); ok && code != "" { // before the code stands what the hub did, behind it what came of it
			if _, behind, ok := strings.Cut(said, code+": "); ok {
				said = behind
			}
		}
		if said := common(said, q.Event.Key, q.Event.Hub); said != "" {
			text += ": " + said
		}
	}
	if len(text) > mostCause {
		n := mostCause
		for !utf8.RuneStart(text[n]) {
			n--
		}
		text = strings.TrimSpace(text[:n]) + "…"
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:4]), text
}

// common leaves out of a sentence what is of one message alone: the names given, what stands in quotes, and every word with a
// digit in it. Many targets answer in JSON: there, names of members and values of several words are sentences too.
func common(s string, names ...string) string {
	for _, n := range names {
		if len(n) >= 4 {
			s = strings.ReplaceAll(s, n, "*")
		}
	}
	return strings.Join(strings.Fields(plain(s)), " ")
}

func plain(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		c := s[i]
		if c == '"' {
			if n := quoted(s[i:]); n > 0 {
				b.WriteByte('"')
				b.WriteString(unquoted(s[i+1:i+n-1], strings.TrimRight(s[:i], " "), strings.TrimLeft(s[i+n:], " ")))
				b.WriteByte('"')
				i += n
				continue
			}
		}
		n := 0
		for i+n < len(s) && wordByte(s[i+n]) {
			n++
		}
		if n == 0 {
			b.WriteByte(c)
			i++
			continue
		}
		word := s[i : i+n]
		i += n
		if !strings.ContainsAny(word, "0123456789") {
			b.WriteString(word)
			continue
		}
		rest := strings.TrimRight(word, ".:-+")
		b.WriteString("*" + word[len(rest):])
	}
	return b.String()
}

// quoted is the length of the text in quotes that s begins with, quotes included; 0 when they are not closed.
func quoted(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return 0
}

// unquoted is what stays of a text in quotes, by what stands before and behind it.
func unquoted(text, before, behind string) string {
	member := strings.HasPrefix(behind, ":")
	value := before != "" && strings.IndexByte(":[,", before[len(before)-1]) >= 0 && strings.ContainsAny(text, " ")
	if !member && !value {
		return "*"
	}
	return plain(strings.ReplaceAll(text, `\"`, `"`))
}

// wordByte tells what a word is made of: letters, digits, and what joins the parts of numbers, times and ids. A slash does not, so that
// of a path only the ids go.
func wordByte(c byte) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		return true
	}
	return strings.IndexByte("_-.:+@#", c) >= 0
}
