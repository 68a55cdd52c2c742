package strictyaml

import (
	"encoding/json"
	"regexp"
)

// jsonNumber is JSON's own grammar: 00123, 1_000 and 0x1F are text.
var jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

// oneSetting is a reference to a setting, and nothing beside it.
var oneSetting = regexp.MustCompile(`^\$\{setting:[^}]*\}$`)

// AppendJSON appends the node as JSON, keys in their order, and reports whether there was no problem. In a plain scalar true,
// false and JSON's numbers are what they look like, digit by digit, and so is what a plain ${setting:NAME} alone stands for; every other scalar is text, with
// its references filled in. A key without a value is null.
func (n Node) AppendJSON(dst []byte, p *Problems) ([]byte, bool) {
	ok := true
	sub := func(v Node) {
		var good bool
		dst, good = v.AppendJSON(dst, p)
		ok = ok && good
	}
	switch n.Kind() {
	case Map:
		dst = append(dst, '{')
		for i, f := range n.n.fields {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendText(dst, f.Key), ':')
			sub(f.Value)
		}
		return append(dst, '}'), ok
	case List:
		dst = append(dst, '[')
		for i, item := range n.n.items {
			if i > 0 {
				dst = append(dst, ',')
			}
			sub(item)
		}
		return append(dst, ']'), ok
	case Scalar:
		raw := n.n.text
		if n.n.style == plain && (raw == "true" || raw == "false" || jsonNumber.MatchString(raw)) {
			return append(dst, raw...), true
		}
		text, _, ok := n.resolve(p)
		if n.n.style == plain && oneSetting.MatchString(raw) && (text == "true" || text == "false" || jsonNumber.MatchString(text)) {
			return append(dst, text...), ok
		}
		return appendText(dst, text), ok
	}
	return append(dst, "null"...), true
}

func appendText(dst []byte, s string) []byte {
	b, _ := json.Marshal(s) // a string never fails
	return append(dst, b...)
}
