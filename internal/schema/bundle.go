package schema

import "strconv"

// bundle writes root and everything it refers to as one generic document: only what the validator looks at, references by
// number. The library changes what it is given, so every schema gets a document of its own.
func bundle(root *node, targets []*node) map[string]any {
	b := bundler{number: make(map[*node]string, len(targets))}
	for i, t := range targets {
		b.number[t] = strconv.Itoa(i)
	}
	doc := b.write(root).(map[string]any)
	if len(targets) > 0 {
		defs := make(map[string]any, len(targets))
		for _, t := range targets {
			defs[b.number[t]] = b.write(t)
		}
		doc["definitions"] = defs
	}
	return doc
}

type bundler struct{ number map[*node]string }

func (b bundler) write(n *node) any {
	if n.always != nil {
		return *n.always
	}
	m := map[string]any{}
	if n.target != nil {
		m["$ref"] = "#/definitions/" + b.number[n.target]
		return m
	}
	for _, p := range n.plain {
		m[p.keyword] = p.value.Any()
	}
	if name := enumFormat(n); name != "" {
		delete(m, "enum")
		delete(m, "const")
		m["format"] = name
	}
	put := func(word string, c *node) {
		if c != nil {
			m[word] = b.write(c)
		}
	}
	list := func(word string, nodes []*node) {
		if len(nodes) == 0 {
			return
		}
		all := make([]any, len(nodes))
		for i, c := range nodes {
			all[i] = b.write(c)
		}
		m[word] = all
	}
	if len(n.properties) > 0 {
		props := make(map[string]any, len(n.properties))
		for _, p := range n.properties {
			props[p.name] = b.write(p.node)
		}
		m["properties"] = props
	}
	if len(n.patterns) > 0 {
		props := make(map[string]any, len(n.patterns))
		for _, p := range n.patterns {
			props[p.text] = b.write(p.node)
		}
		m["patternProperties"] = props
	}
	if len(n.needs) > 0 {
		deps := make(map[string]any, len(n.needs))
		for _, d := range n.needs {
			if d.node != nil {
				deps[d.name] = b.write(d.node)
			} else {
				deps[d.name] = d.names.Any()
			}
		}
		m["dependencies"] = deps
	}
	put("additionalProperties", n.additional)
	put("propertyNames", n.names)
	put("items", n.items)
	list("items", n.tuple)
	put("additionalItems", n.moreItems)
	put("contains", n.contains)
	list("allOf", n.allOf)
	list("anyOf", n.anyOf)
	list("oneOf", n.oneOf)
	put("not", n.not)
	put("if", n.ifs)
	put("then", n.then)
	put("else", n.otherwise)
	return m
}
