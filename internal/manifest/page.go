package manifest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// YAML writes a mapping as it stands, references and all, each value on a line of its own.
func YAML(n strictyaml.Node, depth int) []byte {
	var b bytes.Buffer
	block(&b, n, depth)
	return b.Bytes()
}

func block(b *bytes.Buffer, n strictyaml.Node, depth int) {
	for _, f := range n.Fields() {
		b.WriteString(strings.Repeat("  ", depth) + f.Key + ":")
		value(b, f.Value, depth)
	}
}

func value(b *bytes.Buffer, n strictyaml.Node, depth int) {
	switch {
	case n.Kind() == strictyaml.Map && len(n.Fields()) > 0:
		b.WriteString("\n")
		block(b, n, depth+1)
	case n.Kind() == strictyaml.List && len(n.Items()) > 0:
		b.WriteString("\n")
		for _, item := range n.Items() {
			b.WriteString(strings.Repeat("  ", depth+1) + "- " + inline(item) + "\n")
		}
	default:
		b.WriteString(" " + inline(n) + "\n")
	}
}

// inline is a value on one line.
func inline(n strictyaml.Node) string {
	var parts []string
	switch n.Kind() {
	case strictyaml.Map:
		for _, f := range n.Fields() {
			parts = append(parts, f.Key+": "+inline(f.Value))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case strictyaml.List:
		for _, item := range n.Items() {
			parts = append(parts, inline(item))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return quoted(n)
}

// quoted is a text in YAML's double quotes, which JSON's are, where it needs them.
func quoted(n strictyaml.Node) string {
	text := n.Text()
	if !n.Quoted() && !strings.ContainsAny(text, "{}[],:#\n\"'") {
		return text
	}
	out, _ := json.Marshal(text) // a text always can be
	return string(out)
}

// proofs are what on of a proof means.
var proofs = map[string]string{
	"product":  "**Proven on the product**",
	"runtime":  "**Proven on the vendor's runtime**, which is not the product as customers have it",
	"stand-in": "**Proven on a stand-in alone**, made of public documents; no system of this vendor was within reach",
}

// Page is the manifest's page; proven lists what recordings show, each with what it was recorded on.
func (m *Manifest) Page(proven []string) []byte {
	var b bytes.Buffer
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	say("# %s\n", m.Title)
	say("*Written by `go test ./connectors/manifests -update` from `connectors/manifests/%s.yaml`; change that.*\n", m.Name)
	if m.About != "" {
		say("%s\n", m.About)
	}
	say("%s: %s.", proofs[m.Proof.On], strings.TrimSuffix(m.Proof.What, "."))
	if m.Proof.Not != "" {
		say("Not proven: %s.", strings.TrimSuffix(m.Proof.Not, "."))
	}
	if m.Versions != "" {
		say("\nWritten for %s. It stands on the connector kind `%s` ([connectors.md](../connectors.md)).", strings.TrimSuffix(m.Versions, "."), m.Connector)
	} else {
		say("\nIt stands on the connector kind `%s` ([connectors.md](../connectors.md)).", m.Connector)
	}
	say("\n```yaml\nsystems:\n  %s:\n    connector: %s\n%s```\n", m.Name, m.Name, YAML(m.Example, 2))
	if len(m.Settings) > 0 {
		say("| setting | default | meaning |\n|---|---|---|")
		for _, name := range slices.Sorted(maps.Keys(m.Settings)) {
			s := m.Settings[name]
			def := "**required**"
			if !s.Required {
				def = code(s.Default)
			}
			say("| `%s` | %s | %s |", name, def, s.Doc)
		}
		say("")
	}
	say("Beside these, every setting of `%s` can be written; what the system says stands before the manifest.\n", m.Connector)
	say("## Objects\n\n| object | | mappings |\n|---|---|---|")
	for _, f := range m.System.Get("objects").Fields() {
		say("| `%s` | %s | %s |", f.Key, m.where(f.Value), m.mappings(f.Key))
	}
	for _, entity := range slices.Sorted(maps.Keys(m.Lacks)) {
		say("| `%s` | none: %s | |", entity, m.Lacks[entity])
	}
	say("\nThe mappings lie in `mappings/vendors/%s`, their schemas in `schemas/vendors/%s`, and a starter with flows in `flows/vendors/%s.yaml`.\n", m.Name, m.Name, m.Name)
	if m.Webhook.Kind() == strictyaml.Map {
		say("Flows from its webhooks need to write of `from.webhook` the path and the secret alone; the manifest says:\n\n```yaml\nwebhook:\n%s```\n", YAML(m.Webhook, 1))
	}
	say("## What is said of its interface, and where that stands\n\n| of | what | source |\n|---|---|---|")
	for _, c := range m.Claims {
		say("| %s | %s | %s |", c.Of, c.Says, address(c.Source))
	}
	say("\n## What the recordings show\n")
	for _, p := range proven {
		say("- %s", p)
	}
	return b.Bytes()
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}

func address(s string) string {
	if strings.HasPrefix(s, "https://") {
		return "<" + strings.ReplaceAll(s, ", ", ">, <") + ">"
	}
	return s
}

// where says what of the vendor's an object type is.
func (m *Manifest) where(n strictyaml.Node) string {
	var parts []string
	for _, key := range []string{"path", "service", "set", "model", "table"} {
		if text := n.Get(key).Text(); text != "" {
			parts = append(parts, code(text))
		}
	}
	asked := false
	for _, key := range []string{"get", "list", "search", "create", "update", "delete"} {
		asked = asked || n.Has(key)
		for _, root := range n.Get(key).Get("request").Fields() {
			if name := code(root.Key); !slices.Contains(parts, name) {
				parts = append(parts, name)
			}
		}
	}
	if !asked && len(parts) == 0 && m.Webhook.Kind() == strictyaml.Map {
		return "comes by the webhook"
	}
	return cmp.Or(strings.Join(parts, ", "), "by queries")
}

func (m *Manifest) mappings(entity string) string {
	if !slices.Contains(Entities, entity) {
		return ""
	}
	text := fmt.Sprintf("`%s-%s-to-%s`", m.Name, entity, entity)
	if why := m.OnlyRead[entity]; why != "" {
		return text + "; only read: " + why
	}
	return text + fmt.Sprintf(", `%s-to-%s`", entity, m.Name)
}
