package rest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// placeholders lists the {names} in a template.
func placeholders(t string) []string {
	var out []string
	for {
		_, rest, ok := strings.Cut(t, "{")
		if !ok {
			return out
		}
		name, rest, ok := strings.Cut(rest, "}")
		if !ok {
			return append(out, name)
		}
		out, t = append(out, name), rest
	}
}

// template checks a path: known placeholders, balanced braces, no query.
func template(n strictyaml.Node, key, t string, known []string, p *strictyaml.Problems) {
	if !n.Has(key) {
		return // a default follows from a path that is checked itself
	}
	at := n.Get(key).Pos()
	if strings.Count(t, "{") != strings.Count(t, "}") {
		p.Add(at, "%s: a brace is not closed", key)
		return
	}
	found := placeholders(t)
	for _, name := range found {
		if !slices.Contains(known, name) {
			hint := "no placeholder is known here"
			if len(known) > 0 {
				hint = "only {" + strings.Join(known, "}, {") + "} is known here"
			}
			p.AddHint(at, hint, "%s: {%s} is unknown", key, name)
		}
	}
	for _, name := range known {
		if !slices.Contains(found, name) {
			p.Add(at, "%s: {%s} is missing", key, name)
		}
	}
	if strings.ContainsAny(t, "?#") {
		p.AddHint(at, "use parameters for the query", "%s: there must be no query in it", key)
	}
}

// expand puts values into a template. A placeholder without a value makes ok false.
func expand(t string, values map[string]string, escape func(string) string) (out string, ok bool) {
	var b strings.Builder
	for {
		head, rest, found := strings.Cut(t, "{")
		b.WriteString(head)
		if !found {
			return b.String(), true
		}
		name, rest, _ := strings.Cut(rest, "}")
		v, known := values[name]
		if !known {
			return "", false
		}
		b.WriteString(escape(v))
		t = rest
	}
}

// pathOf puts an id into a path. Ids that would name another path than one segment's are refused.
func pathOf(t, id string) (string, error) {
	if id == "" || id == "." || id == ".." {
		return "", fmt.Errorf("%q cannot be an object's id", id)
	}
	out, _ := expand(t, map[string]string{"id": id}, httpclient.Escape)
	return out, nil
}

func verbatim(s string) string { return s }
