package rest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/jsondoc"
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

// expand puts values into a template. A placeholder without a value makes ok false. A value between quotes is written as such a literal holds
// it: 'O”Brien', "say \"no\"".
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
		b.WriteString(escape(quoted(v, head, rest)))
		t = rest
	}
}

// put puts a value in the place of every name in a text that may hold other braces. In quotes it is written as such a literal holds it.
func put(t, name, value string) string {
	var b strings.Builder
	for {
		head, rest, found := strings.Cut(t, name)
		b.WriteString(head)
		if !found {
			return b.String()
		}
		b.WriteString(quoted(value, head, rest))
		t = rest
	}
}

// quoted is a value as it stands between two texts: doubled or escaped where these put it in quotes.
func quoted(v, before, after string) string {
	switch {
	case inQuotes(before, after, '\''):
		return strings.ReplaceAll(v, "'", "''")
	case inQuotes(before, after, '"'):
		text := jsondoc.AppendString(nil, v)
		return string(text[1 : len(text)-1])
	}
	return v
}

// inQuotes reports whether what stands between two texts is in quotes.
func inQuotes(before, after string, quote byte) bool {
	return strings.HasSuffix(before, string(quote)) && strings.HasPrefix(after, string(quote))
}

// pathOf puts an id into a path. Ids that would name another path than one segment's are refused.
func pathOf(t, id string) (string, error) {
	if id == "" || id == "." || id == ".." {
		return "", fmt.Errorf("%q cannot be an object's id", id)
	}
	out, _ := expand(t, map[string]string{"id": id}, keyEscape(t))
	return out, nil
}

// keyEscape gives the escaping of an id in a path. Where it is, or is a part of, a key in brackets, the signs of such a key stay.
func keyEscape(t string) func(string) string {
	before, after, _ := strings.Cut(t, "{id}")
	if before == "" || strings.HasSuffix(before, "/") || inQuotes(before, after, '\'') {
		return httpclient.Escape
	}
	signs := strings.NewReplacer("%28", "(", "%29", ")", "%3D", "=", "%2C", ",", "%27", "'")
	return func(s string) string { return signs.Replace(httpclient.Escape(s)) }
}

func verbatim(s string) string { return s }
