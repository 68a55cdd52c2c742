package mapping

import (
	"fmt"
	"slices"
	"sort"

	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// The two directions of a value map, as they are called in files and in UnknownCode.
const (
	// DirectionValue: from a system's code to the canonical one; the function value().
	DirectionValue = "value"
	// DirectionCode: from the canonical code to a system's; the function code().
	DirectionCode = "code"
)

// policyKind says what becomes of a code that a value map does not list.
type policyKind uint8

const (
	park policyKind = iota // an UnknownCode error
	keep                   // the code goes through as it is
	use                    // a fixed code takes its place
)

type policy struct {
	kind policyKind
	code string
}

// ValueMap is a two-way code table between the hub's codes and those of systems. It does not change after it was parsed.
type ValueMap struct {
	name      string
	pos       strictyaml.Pos
	canonical []string
	columns   map[string]*column
	value     policy
	code      policy
}

// column is one system's side of a value map.
type column struct {
	toCanonical map[string]string
	fromHub     map[string]string
}

// Name is the map's name.
func (m *ValueMap) Name() string { return m.name }

// Pos is where the map stands.
func (m *ValueMap) Pos() strictyaml.Pos { return m.pos }

// Systems are the systems that the map has codes of, sorted.
func (m *ValueMap) Systems() []string {
	names := make([]string, 0, len(m.columns))
	for name := range m.columns {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// Value gives the canonical code of a system's code, or an *UnknownCode error under the policy park.
func (m *ValueMap) Value(system, code string) (string, error) {
	if c := m.columns[system]; c != nil {
		if v, ok := c.toCanonical[code]; ok {
			return v, nil
		}
	}
	return m.value.apply(&UnknownCode{Map: m.name, System: system, Direction: DirectionValue, Code: code})
}

// Code gives a system's code of a canonical code, or an *UnknownCode error under the policy park.
func (m *ValueMap) Code(system, canonical string) (string, error) {
	if c := m.columns[system]; c != nil {
		if v, ok := c.fromHub[canonical]; ok {
			return v, nil
		}
	}
	return m.code.apply(&UnknownCode{Map: m.name, System: system, Direction: DirectionCode, Code: canonical})
}

func (p policy) apply(u *UnknownCode) (string, error) {
	switch p.kind {
	case keep:
		return u.Code, nil
	case use:
		return p.code, nil
	}
	return "", u
}

// results are the codes that a look-up can give; known is false where any code can come through.
func (m *ValueMap) results(direction, system string) (codes []string, known bool) {
	p := m.value
	if direction == DirectionCode {
		p = m.code
	}
	c := m.columns[system]
	if p.kind == keep || c == nil {
		return nil, false
	}
	seen := map[string]bool{}
	add := func(code string) {
		if !seen[code] {
			seen[code] = true
			codes = append(codes, code)
		}
	}
	for _, canonical := range m.canonical {
		if direction == DirectionCode {
			if code, ok := c.fromHub[canonical]; ok {
				add(code)
			}
			continue
		}
		for _, v := range c.toCanonical {
			if v == canonical {
				add(canonical)
				break
			}
		}
	}
	if p.kind == use {
		add(p.code)
	}
	return codes, true
}

// ParseValueMaps reads one document `values: name …` of mappings/values/*.yaml. It gives nil where the document is not
// usable; every problem is in p.
func ParseValueMaps(node strictyaml.Node, p *strictyaml.Problems) *ValueMap {
	m := &ValueMap{pos: node.Pos(), columns: map[string]*column{}}
	if node.Kind() != strictyaml.Map {
		p.AddHint(node.Pos(), "start with `values: name`", "a value map must be a map")
		return nil
	}
	keys := []string{"values", "unknown", "codes", "about"}
	for _, f := range node.Fields() {
		if !slices.Contains(keys, f.Key) {
			p.AddHint(f.KeyPos, didYouMean(f.Key, keys), "unknown key %q in a value map", f.Key)
		}
	}
	m.name = requireText(node, "values", p)
	if n := node.Get("unknown"); n.Kind() != strictyaml.Missing {
		m.parseUnknown(n, p)
	}
	codes := node.Get("codes")
	if codes.Kind() != strictyaml.Map || len(codes.Fields()) == 0 {
		p.AddHint(firstPos(codes, node), `write: codes: {confirmed: {crm: "Closed Won", erp: ["2", "3"]}}`, "a value map needs codes: a map from each canonical code to the systems' codes")
		return nil
	}
	for _, f := range codes.Fields() {
		m.canonical = append(m.canonical, f.Key)
		m.parseCode(f, p)
	}
	if m.name == "" {
		return nil
	}
	return m
}

func (m *ValueMap) parseCode(f strictyaml.Field, p *strictyaml.Problems) {
	if f.Value.Kind() != strictyaml.Map {
		p.AddHint(firstPos(f.Value, strictyaml.Node{}, f.KeyPos), `write: `+f.Key+`: {crm: "A", erp: ["1", "2"]}`, "the canonical code %q needs a map from system to code", f.Key)
		return
	}
	for _, s := range f.Value.Fields() {
		c := m.columns[s.Key]
		if c == nil {
			c = &column{toCanonical: map[string]string{}, fromHub: map[string]string{}}
			m.columns[s.Key] = c
		}
		list := []strictyaml.Node{s.Value}
		if s.Value.Kind() == strictyaml.List {
			list = s.Value.Items()
			if len(list) == 0 {
				p.AddHint(s.Value.Pos(), "leave the system out where it has no such code", "%s has an empty list of codes for %q", s.Key, f.Key)
			}
		}
		for i, n := range list {
			if n.Kind() != strictyaml.Scalar {
				p.AddHint(firstPos(n, strictyaml.Node{}, s.KeyPos), "write a quoted text, or a list of quoted texts", "a code must be text")
				continue
			}
			code := n.Text()
			if other, ok := c.toCanonical[code]; ok {
				p.AddHint(n.Pos(), "a system's code can mean one canonical code only; a canonical code can have several of a system", "the code %q of %s stands for both %q and %q", code, s.Key, other, f.Key)
				continue
			}
			c.toCanonical[code] = f.Key
			if i == 0 {
				c.fromHub[f.Key] = code
			}
		}
	}
}

func (m *ValueMap) parseUnknown(n strictyaml.Node, p *strictyaml.Problems) {
	if n.Kind() == strictyaml.Map && n.Get("use").Kind() == strictyaml.Missing {
		for _, f := range n.Fields() {
			switch f.Key {
			case DirectionValue:
				m.value = parsePolicy(f.Value, p)
			case DirectionCode:
				m.code = parsePolicy(f.Value, p)
			default:
				p.AddHint(f.KeyPos, didYouMean(f.Key, []string{DirectionValue, DirectionCode, "use"}), "unknown key %q: `value` is the direction from system to canonical, `code` the one from canonical to system", f.Key)
			}
		}
		return
	}
	m.value = parsePolicy(n, p)
	m.code = m.value
}

func parsePolicy(n strictyaml.Node, p *strictyaml.Problems) policy {
	const hint = `write park (the message waits for a person), keep (the code goes through) or {use: "code"}`
	switch n.Kind() {
	case strictyaml.Scalar:
		switch n.Text() {
		case "park":
			return policy{kind: park}
		case "keep":
			return policy{kind: keep}
		}
		p.AddHint(n.Pos(), hint, "unknown policy %q", n.Text())
	case strictyaml.Map:
		code := n.Get("use")
		if len(n.Fields()) == 1 && code.Kind() == strictyaml.Scalar {
			return policy{kind: use, code: code.Text()}
		}
		p.AddHint(n.Pos(), hint, "not a policy for unknown codes")
	default:
		p.AddHint(n.Pos(), hint, "not a policy for unknown codes")
	}
	return policy{}
}

// requireText reads a required text at key.
func requireText(node strictyaml.Node, key string, p *strictyaml.Problems) string {
	n := node.Get(key)
	if n.Kind() == strictyaml.Missing {
		p.AddHint(node.Pos(), fmt.Sprintf("add `%s: …`", key), "%q is missing", key)
		return ""
	}
	if n.Kind() != strictyaml.Scalar || n.Text() == "" {
		p.Add(n.Pos(), "%q must be a name", key)
		return ""
	}
	return n.Text()
}

// firstPos is n's place, or that of what holds it.
func firstPos(n, parent strictyaml.Node, or ...strictyaml.Pos) strictyaml.Pos {
	if n.Kind() != strictyaml.Missing {
		return n.Pos()
	}
	if len(or) > 0 {
		return or[0]
	}
	return parent.Pos()
}

// didYouMean is a hint, or empty.
func didYouMean(word string, among []string) string {
	if s := strictyaml.Suggest(word, among); s != "" {
		return fmt.Sprintf("did you mean %q?", s)
	}
	return ""
}
