package schema

import "strconv"

// bundle writes root and everything it refers to as one generic document for gojsonschema: only what the validator looks at, references by
// number. The library changes what it is given, so every schema gets a document of its own.
func bundle(root *node, targets []*node) map[string]any {
	b := bundler{number: make(map[*node]string, len(targets)), choices: true}
	for i, t := range targets {
		b.number[t] = "#/definitions/" + strconv.Itoa(i)
	}
	doc := b.write(root).(map[string]any)
	if len(targets) > 0 {
		defs := make(map[string]any, len(targets))
		for i, t := range targets {
			defs[strconv.Itoa(i)] = b.write(t)
		}
		doc["definitions"] = defs
	}
	return doc
}

type bundler struct {
	number map[*node]string // what a reference to the node says
	// choices: see enumFormat.
	choices bool
}

func (b bundler) write(n *node) any {
	if n.always != nil {
		return *n.always
	}
	m := map[string]any{}
	if n.target != nil {
		m["$ref"] = b.number[n.target]
		if n.src.draft.refAlone() {
			return m
		}
	}
	for _, p := range n.plain {
		m[p.keyword] = p.value.Any()
	}
	if name := enumFormat(n); b.choices && name != "" {
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
	b.needs(n, m)
	put("additionalProperties", n.additional)
	put("propertyNames", n.names)
	put("unevaluatedProperties", n.otherProperties)
	put("items", n.items)
	if n.src.draft == draft2020 {
		list("prefixItems", n.tuple)
		put("items", n.moreItems)
	} else {
		list("items", n.tuple)
		put("additionalItems", n.moreItems)
	}
	put("unevaluatedItems", n.otherItems)
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

// needs writes dependencies, which the drafts after 07 have divided into two keywords.
func (b bundler) needs(n *node, m map[string]any) {
	for _, d := range n.needs {
		word, what := "dependencies", any(nil)
		if d.node != nil {
			what = b.write(d.node)
		} else {
			what = d.names.Any()
		}
		switch {
		case n.src.draft == draft07:
		case d.node != nil:
			word = "dependentSchemas"
		default:
			word = "dependentRequired"
		}
		all, _ := m[word].(map[string]any)
		if all == nil {
			all = map[string]any{}
			m[word] = all
		}
		all[d.name] = what
	}
}
