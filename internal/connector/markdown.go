package connector

import (
	"fmt"
	"slices"
	"strings"
)

// Markdown documents one kind: what its systems can do, and every setting with its type, default and meaning.
func (s Spec) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n\n%s. %s\n\n", s.Kind, capital(s.Summary), s.Can)
	if len(s.Proven) > 0 {
		b.WriteString("| of it | operations | proven on |\n|---|---|---|\n")
		for _, p := range s.Proven {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", cell(p.Of), cell(p.Does), cell(p.On))
		}
		b.WriteString("\n")
	}
	if len(s.Fields) == 0 {
		b.WriteString("It has no settings.\n")
		return b.String()
	}
	b.WriteString(Table(s.Fields))
	return b.String()
}

// Table documents fields, with all that stands below them.
func Table(fields []Field) string {
	var b strings.Builder
	b.WriteString("| setting | type | default | meaning |\n|---|---|---|---|\n")
	rows(&b, "", fields)
	return b.String()
}

func rows(b *strings.Builder, prefix string, fields []Field) {
	for _, f := range fields {
		def := ""
		switch {
		case f.Required:
			def = "**required**"
		case f.Default != "":
			def = "`" + cell(f.Default) + "`"
		}
		doc := f.Doc
		if len(f.Enum) > 0 {
			doc = "`" + strings.Join(f.Enum, "` `") + "` — " + doc
		}
		fmt.Fprintf(b, "| `%s%s` | %s | %s | %s |\n", prefix, f.Name, f.typeText(), def, cell(doc))
		switch f.Type {
		case "map":
			rows(b, prefix+f.Name+".NAME.", f.Fields)
		case "list":
			rows(b, prefix+f.Name+"[].", f.Fields)
		default:
			rows(b, prefix+f.Name+".", f.Fields)
		}
	}
}

func (f Field) typeText() string {
	switch {
	case f.Secret && f.Elem == "":
		return "secret"
	case f.Elem == "":
		return f.Type
	case f.Secret:
		return f.Type + " of secret"
	}
	return f.Type + " of " + f.Elem
}

// String says in a sentence what systems with these abilities can be used for.
func (a Abilities) String() string {
	var can []string
	for _, x := range []struct {
		is   bool
		text string
	}{
		{a.Write, "written to"}, {a.Find, "searched"}, {a.Poll, "polled"}, {a.Files, "read file by file"}, {a.List, "listed for reconciliation"},
	} {
		if x.is {
			can = append(can, x.text)
		}
	}
	if len(can) == 0 {
		return "The hub never calls it."
	}
	if last := len(can) - 1; last > 0 {
		can = append(slices.Clone(can[:last-1]), can[last-1]+" and "+can[last])
	}
	return "It can be " + strings.Join(can, ", ") + "."
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// cell keeps a text inside a table's cell.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
