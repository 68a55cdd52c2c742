package format

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// appendValue appends a value as JSON. Empty values are null, but for texts.
func (c *CSV) appendValue(dst []byte, typ, value string) ([]byte, error) {
	if c.Trim || typ != "text" {
		value = strings.TrimSpace(value)
	}
	if typ == "text" {
		return jsondoc.AppendString(dst, value), nil
	}
	if value == "" {
		return append(dst, "null"...), nil
	}
	switch typ {
	case "bool":
		switch strings.ToLower(value) {
		case "true", "t", "1", "yes", "y":
			return append(dst, "true"...), nil
		case "false", "f", "0", "no", "n":
			return append(dst, "false"...), nil
		}
		return dst, fmt.Errorf("%q is no truth value", short(value))
	case "date":
		t, err := time.Parse(c.DateLayout, value)
		if err != nil {
			return dst, fmt.Errorf("%q is no date in the layout %s", short(value), c.DateLayout)
		}
		return jsondoc.AppendString(dst, t.Format(time.DateOnly)), nil
	}
	d, err := c.number(value)
	switch {
	case err != nil:
		return dst, err
	case typ == "integer" && !d.IsInt():
		return dst, fmt.Errorf("%q is no whole number", short(value))
	case typ == "integer":
		d = d.Trim()
	}
	return d.Append(dst), nil
}

// number reads a number with the marks of the settings. A sign stands before it or behind it, or brackets around it.
func (c *CSV) number(value string) (jsondoc.Decimal, error) {
	bad := func(why string) (jsondoc.Decimal, error) {
		return jsondoc.Decimal{}, fmt.Errorf("%q is no number%s", short(value), why)
	}
	text, negative := value, false
	switch {
	case strings.HasPrefix(text, "(") && strings.HasSuffix(text, ")"):
		text, negative = strings.TrimSpace(text[1:len(text)-1]), true
	case strings.HasSuffix(text, "-"):
		text, negative = strings.TrimSpace(text[:len(text)-1]), true
	case strings.HasPrefix(text, "\u2212"):
		text, negative = strings.TrimPrefix(text, "\u2212"), true
	case strings.HasPrefix(text, "-"):
		text, negative = text[1:], true
	case strings.HasPrefix(text, "+"):
		text = text[1:]
	}
	if strings.ContainsAny(text[:min(1, len(text))], "+-") {
		return bad("")
	}
	whole, rest := text, ""
	if i := strings.IndexAny(text, c.Numbers.Decimal+"eE"); i >= 0 {
		whole, rest = text[:i], text[i:]
	}
	if group := groupMarks[c.Numbers.Group]; group != "" && strings.ContainsAny(whole, group) {
		var ok bool
		if whole, ok = ungroup(whole, group); !ok {
			return bad(": a mark of groups stands in a wrong place")
		}
	}
	if c.Numbers.Decimal == "," {
		if strings.Contains(whole+rest, ".") {
			return bad(" with a decimal comma")
		}
		rest = strings.Replace(rest, ",", ".", 1)
	}
	d, err := jsondoc.ParseDecimal(whole + rest)
	if err != nil {
		return bad("")
	}
	if negative {
		d = d.Neg()
	}
	return d, nil
}

// ungroup leaves the marks out. Groups have three digits, the first one to three, and their mark is the same in the whole number.
func ungroup(whole, marks string) (string, bool) {
	i := strings.IndexAny(whole, marks)
	_, size := utf8.DecodeRuneInString(whole[i:])
	groups := strings.Split(whole, whole[i:i+size])
	for k, g := range groups {
		if strings.Trim(g, "0123456789") != "" || k > 0 && len(g) != 3 || k == 0 && (len(g) < 1 || len(g) > 3) {
			return "", false
		}
	}
	return strings.Join(groups, ""), true
}

// text gives a document's value as it stands in a column.
func (c *CSV) text(typ string, v jsondoc.Value) (string, error) {
	switch v.Kind() {
	case jsondoc.Missing, jsondoc.Null:
		return "", nil
	case jsondoc.Array, jsondoc.Object:
		return "", fmt.Errorf("%s does not fit into a column", v.Kind())
	}
	wrong := fmt.Errorf("holds %s, and the column takes %s", v.Kind(), typ)
	switch typ {
	case "text":
		if v.Kind() != jsondoc.String {
			return "", wrong
		}
		return c.harmless(v.Str()), nil
	case "bool":
		if v.Kind() != jsondoc.Bool {
			return "", wrong
		}
		return string(v.Raw()), nil
	case "date":
		t, err := time.Parse(time.DateOnly, v.Str())
		if err != nil {
			return "", fmt.Errorf("%q is no date (write 2006-01-02)", short(v.Str()))
		}
		return t.Format(c.DateLayout), nil
	}
	d, err := v.Decimal()
	if err != nil || typ == "integer" && !d.IsInt() {
		return "", wrong
	}
	return strings.Replace(d.String(), ".", c.Numbers.Decimal, 1), nil
}

// harmless puts an apostrophe before a text that a spreadsheet would take for a formula, where the settings want it. A number is none.
func (c *CSV) harmless(s string) string {
	if c.Formulas != "quote" || s == "" {
		return s
	}
	first, _ := utf8.DecodeRuneInString(s)
	if !strings.ContainsRune("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20", first) {
		return s
	}
	if _, err := c.number(s); err == nil {
		return s
	}
	return "'" + s
}
