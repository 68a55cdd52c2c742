package flowtest

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// width is how long a line of written YAML gets before it is broken up.
const width = 110

var plainKey = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)

func yamlKey(name string) string {
	if plainKey.MatchString(name) {
		return name
	}
	return yamlString(name)
}

// yamlString writes s in double quotes. What strictyaml does not take as it stands is escaped.
func yamlString(s string) string {
	var b strings.Builder
	for _, r := range string(jsondoc.AppendString(nil, s)) {
		if r >= 0x7F && r < 0xA0 || r == '\u2028' || r == '\u2029' || r == '\uFEFF' {
			fmt.Fprintf(&b, `\u%04X`, r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// inline writes v on one line.
func inline(v jsondoc.Value) string {
	var b strings.Builder
	switch v.Kind() {
	case jsondoc.Object:
		b.WriteByte('{')
		for c, first := v.Cursor(), true; c.Next(); first = false {
			if !first {
				b.WriteString(", ")
			}
			b.WriteString(yamlKey(c.Name()) + ": " + inline(c.Value()))
		}
		b.WriteByte('}')
	case jsondoc.Array:
		b.WriteByte('[')
		for c, first := v.Cursor(), true; c.Next(); first = false {
			if !first {
				b.WriteString(", ")
			}
			b.WriteString(inline(c.Value()))
		}
		b.WriteByte(']')
	case jsondoc.String:
		return yamlString(v.Str())
	case jsondoc.Missing:
		return "null"
	default:
		return yamlNumber(string(v.Raw()))
	}
	return b.String()
}

// yamlNumber writes a number without an exponent, which would read like a code.
func yamlNumber(raw string) string {
	if !strings.ContainsAny(raw, "eE") || raw == "true" || raw == "false" {
		return raw
	}
	d, err := jsondoc.ParseDecimal(raw)
	if err != nil {
		return raw
	}
	return d.String()
}

// short reports whether v is better written on one line that begins at col.
func short(v jsondoc.Value, col int) bool {
	if v.Len() == 0 {
		return true
	}
	for c := v.Cursor(); c.Next(); {
		if c.Value().Len() > 0 {
			return false
		}
	}
	return len(inline(v))+col <= width
}

// block writes an object or array that is not empty as lines that begin with indent spaces, without a line break at the end.
func block(v jsondoc.Value, indent int) string {
	pad := strings.Repeat(" ", indent)
	var lines []string
	for c := v.Cursor(); c.Next(); {
		item := c.Value()
		if v.Kind() == jsondoc.Object {
			lines = append(lines, pad+yamlKey(c.Name())+":"+below(item, indent+len(c.Name())+2, indent+2))
			continue
		}
		if short(item, indent+2) {
			lines = append(lines, pad+"- "+inline(item))
		} else {
			lines = append(lines, pad+"- "+block(item, indent+2)[indent+2:])
		}
	}
	return strings.Join(lines, "\n")
}

// below writes the value of a key: behind it, or on the lines below.
func below(v jsondoc.Value, col, indent int) string {
	if short(v, col) {
		return " " + inline(v)
	}
	return "\n" + block(v, indent)
}
