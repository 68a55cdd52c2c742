package rest

import (
	"net/url"
	"strings"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// idAt gives the id of the object at an address, such as a Location header, in the form that the object's own paths take it: what stands in
// place of their {id}. The address may be complete or a path, and the key a segment (customers/17) or in brackets, as OData writes it:
// Customers(17), Customers('AB%20C”D'), Customers(guid'…'), Customers(ID=17,IsActiveEntity=true).
func (o *object) idAt(address string) string {
	parts, closed := segments(address)
	if len(parts) == 0 {
		return ""
	}
	if id := o.unclosed(address); !closed && id != "" {
		return id
	}
	plain := false
	for _, template := range []string{o.Get.Path, o.Update.Path, o.Delete.Path} {
		t := strings.Split(strings.Trim(template, "/"), "/")
		i := len(t) - 1
		for i >= 0 && !strings.Contains(t[i], "{id}") {
			i--
		}
		at := len(parts) - len(t) + i
		if i < 0 || at < 0 || !same(t[i+1:], parts[at+1:]) {
			at = len(parts) - 1 // the address leads to the object alone
		}
		if i < 0 {
			continue
		}
		before, after, _ := strings.Cut(t[i], "{id}")
		before, after = unescaped(before), unescaped(after)
		if before+after == "" {
			plain = plain || i > 0 && at > 0 && unescaped(t[i-1]) == parts[at-1]
			if plain {
				return parts[at]
			}
			continue
		}
		if id, ok := between(parts[at], before, after); ok {
			return id
		}
	}
	last := parts[len(parts)-1]
	if key, ok := bracketed(last); ok {
		return keyOf(key)
	}
	return last
}

func same(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if unescaped(a[i]) != b[i] {
			return false
		}
	}
	return true
}

// between gives what stands in place of {id}, as pathOf takes it.
func between(part, before, after string) (id string, ok bool) {
	if len(part) <= len(before)+len(after) || !strings.HasPrefix(part, before) || !strings.HasSuffix(part, after) {
		return "", false
	}
	id = part[len(before) : len(part)-len(after)]
	if !inQuotes(before, after, '\'') {
		return id, true
	}
	return literal(id), true
}

// literal gives the text of a quoted literal. Not every service doubles the apostrophes in an address that it writes (SAP CAP 10 does not): where
// one stands alone, all stand for themselves.
func literal(inner string) string {
	if strings.Contains(strings.ReplaceAll(inner, "''", ""), "'") {
		return inner
	}
	return strings.ReplaceAll(inner, "''", "'")
}

// unclosed gives the id at an address whose quotes are not closed, by the ends of its path alone: an apostrophe that is not doubled may come with
// slashes that are not escaped.
func (o *object) unclosed(address string) string {
	path, _, _ := strings.Cut(address, "?")
	path = "/" + unescaped(strings.TrimRight(path, "/"))
	for _, template := range []string{o.Get.Path, o.Update.Path, o.Delete.Path} {
		before, after, _ := strings.Cut("/"+strings.TrimLeft(template[strings.LastIndexByte(template, '/')+1:], "/"), "{id}")
		before, after = unescaped(before), unescaped(after)
		if i := strings.Index(path, before); inQuotes(before, after, '\'') && i >= 0 && strings.HasSuffix(path, after) && len(path) > i+len(before)+len(after) {
			return literal(path[i+len(before) : len(path)-len(after)])
		}
	}
	return ""
}

// segments gives the unescaped segments of an address's path. A slash inside a quoted key divides nothing; closed is false where brackets
// or quotes are not closed.
func segments(address string) (out []string, closed bool) {
	if _, rest, ok := strings.Cut(address, "://"); ok && !strings.ContainsAny(address[:len(address)-len(rest)-3], "/?#('") {
		address = "//" + rest
	}
	if rest, ok := strings.CutPrefix(address, "//"); ok {
		_, address, _ = strings.Cut(rest, "/")
	}
	raw, closed := divided(address)
	if !closed {
		path, _, _ := strings.Cut(address, "?")
		path, _, _ = strings.Cut(path, "#")
		raw = strings.Split(path, "/")
	}
	for _, part := range raw {
		if part != "" {
			out = append(out, unescaped(part))
		}
	}
	return out, closed
}

// divided cuts a path at its slashes, up to its query; ok is false where brackets or quotes are not closed.
func divided(path string) (parts []string, ok bool) {
	depth, from, quoted := 0, 0, false
	for i := 0; i <= len(path); i++ {
		if i == len(path) || !quoted && (path[i] == '?' || path[i] == '#') {
			return append(parts, path[from:i]), depth == 0 && !quoted
		}
		switch c := path[i]; {
		case depth > 0 && (c == '\'' || strings.HasPrefix(path[i:], "%27")):
			quoted = !quoted
		case quoted:
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == '/' && depth == 0:
			parts, from = append(parts, path[from:i]), i+1
		}
	}
	return parts, false
}

func unescaped(s string) string {
	if u, err := url.PathUnescape(s); err == nil {
		return u
	}
	return s
}

// bracketed gives the key of a segment such as Customers(17).
func bracketed(part string) (key string, ok bool) {
	name, rest, found := strings.Cut(part, "(")
	key, closed := strings.CutSuffix(rest, ")")
	return key, found && closed && name != "" && key != ""
}

// keyOf gives the value of a key with one part, with or without its name; a key of several parts stays whole, in its brackets.
func keyOf(key string) string {
	value, quoted := key, false
	for i := 0; i < len(key); i++ {
		switch {
		case key[i] == '\'':
			quoted = !quoted
		case quoted:
		case key[i] == ',':
			return "(" + key + ")"
		case key[i] == '=':
			value = key[i+1:]
		}
	}
	// '…', or with the type before it: guid'…', datetime'…'
	if i := strings.IndexByte(value, '\''); i >= 0 && len(value) > i+1 && strings.HasSuffix(value, "'") {
		return literal(value[i+1 : len(value)-1])
	}
	// 17L, 1.50M: OData V2 writes the type behind a number
	if digits := strings.TrimRight(value, "LlMmFfDd"); len(digits) == len(value)-1 && digits != "" && strings.Trim(digits, "0123456789.-") == "" {
		return digits
	}
	return value
}

// answered gives the id of a new object out of the answer to its create.
func (o *object) answered(item jsondoc.Value, ws *writeSettings) string {
	id := text(at(item, ws.AnswerID))
	address := strings.HasPrefix(ws.AnswerID, "@") || strings.HasPrefix(id, "/") || strings.Contains(id, "://")
	if address && ws.AnswerID != o.ID {
		return o.idAt(id)
	}
	return id
}
