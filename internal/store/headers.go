package store

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// encodeHeaders writes what stands beside a document, as JSON. What json.Marshal makes of a map takes most of the time that a row of the inbox takes to be
// made, and nearly all of them hold plain text.
func encodeHeaders(h map[string]string) (string, error) {
	if len(h) == 0 {
		return marshalHeaders(h)
	}
	size := 2
	for name, value := range h {
		if !plainText(name) || !plainText(value) {
			return marshalHeaders(h)
		}
		size += len(name) + len(value) + len(`"":"",`)
	}
	var b strings.Builder
	b.Grow(size)
	for i, name := range slices.Sorted(maps.Keys(h)) {
		if i == 0 {
			b.WriteString(`{"`)
		} else {
			b.WriteString(`,"`)
		}
		b.WriteString(name)
		b.WriteString(`":"`)
		b.WriteString(h[name])
		b.WriteByte('"')
	}
	b.WriteByte('}')
	return b.String(), nil
}

func marshalHeaders(h map[string]string) (string, error) {
	b, err := json.Marshal(h)
	return string(b), err
}

// plainText: JSON writes it as it is.
func plainText(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c > 0x7e || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return false
		}
	}
	return true
}

// decodeHeaders reads what encodeHeaders has written.
func decodeHeaders(text string) (h map[string]string, err error) {
	if h, ok := plainHeaders(text); ok {
		return h, nil
	}
	err = json.Unmarshal([]byte(text), &h)
	return h, err
}

// plainHeaders reads an object of texts in which nothing is escaped, so that each quotation mark begins or ends a text; false: it is something else.
func plainHeaders(text string) (map[string]string, bool) {
	rest, ok := strings.CutPrefix(text, `{"`)
	if !ok || strings.IndexByte(text, '\\') >= 0 {
		return nil, false
	}
	h := map[string]string{}
	for {
		name, after, ok := strings.Cut(rest, `":"`)
		if !ok || strings.IndexByte(name, '"') >= 0 {
			return nil, false
		}
		value, after, ok := strings.Cut(after, `"`)
		if !ok {
			return nil, false
		}
		h[name] = value
		if after == "}" {
			return h, true
		}
		if rest, ok = strings.CutPrefix(after, `,"`); !ok {
			return nil, false
		}
	}
}
