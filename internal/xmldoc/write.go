package xmldoc

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// AppendText appends a text as the content of an element or as an attribute's value. A sign that XML 1.0 cannot hold is an error: there is no way to write it.
func AppendText(dst []byte, text string) ([]byte, error) {
	for i, r := range text {
		switch r {
		case '&':
			dst = append(dst, "&amp;"...)
		case '<':
			dst = append(dst, "&lt;"...)
		case '>':
			dst = append(dst, "&gt;"...)
		case '"':
			dst = append(dst, "&#34;"...)
		case '\t', '\n', '\r': // an attribute, or a reader's line ends, would make another sign of it
			dst = fmt.Appendf(dst, "&#%d;", r)
		default:
			if r < 0x20 || r == 0xFFFE || r == 0xFFFF || r == utf8.RuneError && !strings.HasPrefix(text[i:], "\uFFFD") {
				return nil, fmt.Errorf("%q is no sign that XML can hold", r)
			}
			dst = utf8.AppendRune(dst, r)
		}
	}
	return dst, nil
}

// CheckName gives why a local name is none of XML's.
func CheckName(name string) error {
	for i, r := range name {
		if r != '_' && !unicode.IsLetter(r) && (i == 0 || r != '-' && r != '.' && !unicode.IsDigit(r) && !unicode.Is(unicode.Mn, r)) {
			return fmt.Errorf("%q is no name of an element: %q", name, r)
		}
	}
	if name == "" {
		return fmt.Errorf("%q is no name of an element", name)
	}
	return nil
}

// AppendElement appends a JSON value as an element, or as several where it is a list: what AppendJSON reads back as the same value. prefix, which may be
// empty, goes before every name of an element, and xsi must be the prefix of NSInstance.
func AppendElement(dst []byte, prefix, name string, v jsondoc.Value) ([]byte, error) {
	if v.Kind() == jsondoc.Array {
		var err error
		for e := range v.Elements() {
			if e.Kind() == jsondoc.Array {
				return nil, fmt.Errorf("%s: a list in a list is no XML", name)
			}
			if dst, err = AppendElement(dst, prefix, name, e); err != nil {
				return nil, err
			}
		}
		return dst, nil
	}
	if err := CheckName(name); err != nil {
		return nil, err
	}
	if prefix != "" {
		name = prefix + ":" + name
	}
	dst = append(append(dst, '<'), name...)
	if !v.Exists() {
		return append(dst, ` xsi:nil="true"/>`...), nil
	}
	var err error
	if v.Kind() != jsondoc.Object {
		if dst, err = appendScalar(append(dst, '>'), v); err != nil {
			return nil, err
		}
		return closing(dst, name), nil
	}
	for m, w := range v.Members() {
		attr, ok := strings.CutPrefix(m, "@")
		if !ok {
			continue
		}
		if err := CheckName(attr); err != nil {
			return nil, err
		}
		if w.Kind() == jsondoc.Object || w.Kind() == jsondoc.Array || !w.Exists() {
			return nil, fmt.Errorf("%s: an attribute holds one text", m)
		}
		if dst, err = appendScalar(append(append(append(dst, ' '), attr...), `="`...), w); err != nil {
			return nil, err
		}
		dst = append(dst, '"')
	}
	dst = append(dst, '>')
	for m, w := range v.Members() {
		switch {
		case strings.HasPrefix(m, "@"):
		case m == "#text":
			dst, err = appendScalar(dst, w)
		default:
			dst, err = AppendElement(dst, prefix, m, w)
		}
		if err != nil {
			return nil, err
		}
	}
	return closing(dst, name), nil
}

func closing(dst []byte, name string) []byte {
	return append(append(append(dst, "</"...), name...), '>')
}

// appendScalar appends a text, number or boolean as it stands.
func appendScalar(dst []byte, v jsondoc.Value) ([]byte, error) {
	if v.Kind() == jsondoc.String {
		return AppendText(dst, v.Str())
	}
	return append(dst, v.Raw()...), nil
}
