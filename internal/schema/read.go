package schema

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// reader turns one file into nodes, and notes everything in it that the validator would ignore, misjudge or choke on.
type reader struct {
	c   *compiler
	src *source
	// base is what references in the schema at hand start from.
	base string
}

func (r *reader) vocabulary() *vocabulary { return r.src.draft.vocabulary() }

func (r *reader) problem(v jsondoc.Value, hint, format string, args ...any) {
	r.c.problem(r.src, v, hint, format, args...)
}

// schema reads the schema at v. It always gives a node, so that one mistake is reported once.
func (r *reader) schema(v jsondoc.Value, path string) *node {
	n := &node{src: r.src, v: v, path: path}
	r.src.nodes[v.Offset()] = n
	r.src.all = append(r.src.all, n)
	switch v.Kind() {
	case jsondoc.Bool:
		b := v.Bool()
		n.always = &b
		return n
	case jsondoc.Object:
	default:
		if path != "" {
			r.problem(v, "", "a schema is an object, true or false, not %s", v.Kind())
		}
		return n
	}
	outer := r.base
	r.resource(n)
	for c := v.Cursor(); c.Next(); {
		r.keyword(n, c.NameValue(), c.Value())
	}
	if r.src.draft == draft2020 && len(n.tuple) > 0 {
		n.items, n.moreItems = nil, n.items
	}
	r.base = outer
	r.lint(n)
	return n
}

// resource reads $id, from which references below start. Beside a $ref of draft-07 it says nothing.
func (r *reader) resource(n *node) {
	n.base = r.base
	v := n.v.Get("$id")
	if v.Kind() == jsondoc.Missing || r.src.draft.refAlone() && n.v.Get("$ref").Kind() != jsondoc.Missing {
		return
	}
	id, err := url.Parse(v.Str())
	switch {
	case v.Kind() != jsondoc.String:
		r.problem(v, "", "$id is a string, not %s", v.Kind())
	case err != nil:
		r.problem(v, "write for example https://example.com/order.json", "$id %s is no address", quoted(v))
	case r.src.draft == draft07 && strings.HasPrefix(v.Str(), "#") && len(v.Str()) > 1:
		r.anchor(n, v, id.Fragment)
	case id.Fragment != "":
		r.problem(v, "write the name as $anchor", "$id %s holds a fragment", quoted(v))
	default:
		abs := resolveURI(r.base, id)
		n.id, n.base, r.base = abs, abs, abs
		r.c.resource(r.src, n, v)
	}
}

// anchor gives a schema a name to refer to.
func (r *reader) anchor(n *node, v jsondoc.Value, name string) {
	key := n.base + "#" + name
	if r.c.anchors[key] != nil {
		r.problem(v, "rename one of them", "the anchor %q stands twice", name)
		return
	}
	r.c.anchors[key] = n
}

func readAnchor(r *reader, n *node, word string, v jsondoc.Value) {
	if v.Kind() != jsondoc.String || v.Str() == "" || strings.ContainsAny(v.Str(), "#/ ") {
		r.problem(v, "", "%s is a name, not %s", word, quoted(v))
		return
	}
	r.anchor(n, v, v.Str())
}

// keyword reads one member of a schema.
func (r *reader) keyword(n *node, name, v jsondoc.Value) {
	word := name.Str()
	k, known := r.vocabulary().keywords[word]
	if !known {
		r.unknown(name, word)
		return
	}
	if k.read != nil {
		k.read(r, n, word, v)
	}
	if k.plain {
		n.plain = append(n.plain, plain{word, v})
	}
}

// unknown reports a member that no validator of the draft looks at.
func (r *reader) unknown(name jsondoc.Value, word string) {
	if strings.HasPrefix(word, "x-") {
		return // an extension: a note for people and other programs
	}
	if r.src.draft != draft07 && (strings.HasPrefix(word, "$dynamic") || strings.HasPrefix(word, "$recursive")) {
		r.problem(name, "write $anchor and $ref: what a reference leads to must not depend on who refers", "%q is not supported", word)
		return
	}
	if hint, ok := r.vocabulary().foreign[word]; ok {
		if _, newer := draft2020.vocabulary().keywords[word]; newer && r.src.draft == draft07 {
			hint += "; or write the draft that has it: \"$schema\": \"" + draft2020.uri() + "\""
		}
		r.problem(name, hint, "%q is no keyword of %s and would be ignored", word, r.src.draft)
		return
	}
	r.problem(name, strictyaml.DidYouMean(word, r.vocabulary().names), "unknown keyword %q", word)
}

func (n *node) sub(parts ...string) string {
	p := n.path
	for _, part := range parts {
		p += "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(part)
	}
	return p
}

// one reads a keyword whose value is a schema.
func one(at func(*node) **node) func(*reader, *node, string, jsondoc.Value) {
	return func(r *reader, n *node, word string, v jsondoc.Value) {
		*at(n) = r.schema(v, n.sub(word))
	}
}

// many reads a keyword whose value is a list of schemas.
func many(at func(*node) *[]*node) func(*reader, *node, string, jsondoc.Value) {
	return func(r *reader, n *node, word string, v jsondoc.Value) {
		if v.Kind() != jsondoc.Array || v.Len() == 0 {
			r.problem(v, "", "%s is a list of at least one schema", word)
			return
		}
		list := at(n)
		for e := range v.Elements() {
			*list = append(*list, r.schema(e, n.sub(word, strconv.Itoa(len(*list)))))
		}
	}
}

// named reads a keyword whose value is an object of schemas.
func named(at func(*node) *[]property) func(*reader, *node, string, jsondoc.Value) {
	return func(r *reader, n *node, word string, v jsondoc.Value) {
		if v.Kind() != jsondoc.Object {
			r.problem(v, "", "%s is an object of schemas, not %s", word, v.Kind())
			return
		}
		list := at(n)
		for name, s := range v.Members() {
			*list = append(*list, property{name, r.schema(s, n.sub(word, name))})
		}
	}
}

func readItems(r *reader, n *node, word string, v jsondoc.Value) {
	if v.Kind() != jsondoc.Array {
		n.items = r.schema(v, n.sub(word))
		return
	}
	r.tuple(n, word, v)
	if len(n.tuple) == 0 {
		r.problem(v, "", "items as a list needs at least one schema")
	}
}

func (r *reader) tuple(n *node, word string, v jsondoc.Value) {
	for e := range v.Elements() {
		n.tuple = append(n.tuple, r.schema(e, n.sub(word, strconv.Itoa(len(n.tuple)))))
	}
}

func readPrefixItems(r *reader, n *node, word string, v jsondoc.Value) {
	if v.Kind() != jsondoc.Array || v.Len() == 0 {
		r.problem(v, "", "%s is a list of at least one schema", word)
		return
	}
	r.tuple(n, word, v)
}

func readRestItems(r *reader, n *node, word string, v jsondoc.Value) {
	if v.Kind() == jsondoc.Array {
		r.problem(v, "write prefixItems", "items is one schema in draft 2020-12")
		return
	}
	n.items = r.schema(v, n.sub(word))
}

func readPatternProperties(r *reader, n *node, word string, v jsondoc.Value) {
	if v.Kind() != jsondoc.Object {
		r.problem(v, "", "%s is an object of schemas, not %s", word, v.Kind())
		return
	}
	for c := v.Cursor(); c.Next(); {
		re := r.regexp(c.NameValue())
		n.patterns = append(n.patterns, pattern{c.Name(), re, r.schema(c.Value(), n.sub(word, c.Name()))})
	}
}

func readDependencies(r *reader, n *node, word string, v jsondoc.Value) {
	if v.Kind() != jsondoc.Object {
		r.problem(v, "", "%s is an object, not %s", word, v.Kind())
		return
	}
	for name, d := range v.Members() {
		if d.Kind() == jsondoc.Array {
			r.strings(d, word)
			n.needs = append(n.needs, need{name: name, names: d})
			continue
		}
		n.needs = append(n.needs, need{name: name, node: r.schema(d, n.sub(word, name))})
	}
}

func readDependentRequired(r *reader, n *node, word string, v jsondoc.Value) {
	if v.Kind() != jsondoc.Object {
		r.problem(v, "", "%s is an object of lists of names, not %s", word, v.Kind())
		return
	}
	for name, d := range v.Members() {
		r.strings(d, word)
		n.needs = append(n.needs, need{name: name, names: d})
	}
}

func readDependentSchemas(r *reader, n *node, word string, v jsondoc.Value) {
	if v.Kind() != jsondoc.Object {
		r.problem(v, "", "%s is an object of schemas, not %s", word, v.Kind())
		return
	}
	for name, d := range v.Members() {
		n.needs = append(n.needs, need{name: name, node: r.schema(d, n.sub(word, name))})
	}
}

func readRef(r *reader, n *node, word string, v jsondoc.Value) {
	if v.Kind() != jsondoc.String {
		r.problem(v, "", "$ref is a string, not %s", v.Kind())
		return
	}
	n.ref = v
	r.src.refs = append(r.src.refs, n)
}

func readSchemaURI(r *reader, n *node, word string, v jsondoc.Value) {
	known, ok := schemaURIs[schemaURI(v.Str())]
	const which = "write http://json-schema.org/draft-07/schema#, https://json-schema.org/draft/2019-09/schema or https://json-schema.org/draft/2020-12/schema"
	switch {
	case n.path != "" && (n.id == "" || !ok || known != r.src.draft):
		r.problem(v, "", "$schema stands only at the top of a file")
	case ok:
	case schemaURI(v.Str()) == "json-schema.org/draft-06/schema":
		r.problem(v, "write http://json-schema.org/draft-07/schema#; nothing else needs to change", "draft-06 is not read")
	default:
		r.problem(v, which, "the draft %s is not known", quoted(v))
	}
}

func readType(r *reader, n *node, word string, v jsondoc.Value) {
	add := func(t jsondoc.Value) {
		name := t.Str()
		switch {
		case t.Kind() != jsondoc.String:
			r.problem(t, "", "a type is a string, not %s", t.Kind())
		case !slices.Contains(typeNames, name):
			r.problem(t, strictyaml.DidYouMean(name, typeNames), "unknown type %q", name)
		case slices.Contains(n.types, name):
			r.problem(t, "", "type %q stands twice", name)
		default:
			n.types = append(n.types, name)
		}
	}
	if v.Kind() != jsondoc.Array {
		add(v)
		return
	}
	if v.Len() == 0 {
		r.problem(v, "", "type is an empty list: no document could be valid")
	}
	for t := range v.Elements() {
		add(t)
	}
}

func readEnum(r *reader, n *node, word string, v jsondoc.Value) {
	if v.Kind() != jsondoc.Array || v.Len() == 0 {
		r.problem(v, "", "enum is a list of at least one value")
		return
	}
	seen := map[[32]byte]bool{}
	for e := range v.Elements() {
		h := jsondoc.Hash(e)
		if seen[h] {
			r.problem(e, "", "%s stands twice in enum", quoted(e))
		}
		seen[h] = true
		n.enum = append(n.enum, e)
		n.exact = n.exact || long(e)
	}
}

func readConst(r *reader, n *node, word string, v jsondoc.Value) {
	n.constant, n.exact = v, n.exact || long(v)
}

// long reports whether v holds a number that binary floating point may take for another.
func long(v jsondoc.Value) bool {
	switch v.Kind() {
	case jsondoc.Number:
		d, err := v.Decimal()
		return err != nil || len(strings.TrimLeft(strings.ReplaceAll(d.Trim().Abs().String(), ".", ""), "0")) > 15
	case jsondoc.Array:
		for e := range v.Elements() {
			if long(e) {
				return true
			}
		}
	case jsondoc.Object:
		for _, e := range v.Members() {
			if long(e) {
				return true
			}
		}
	}
	return false
}

func readUnique(r *reader, n *node, word string, v jsondoc.Value) {
	readFlag(r, n, word, v)
	n.unique = v.Bool()
}

func readRequired(r *reader, n *node, word string, v jsondoc.Value) {
	if v.Kind() == jsondoc.Bool {
		r.problem(v, "list the names in the object's own \"required\"", "required is a list of names since draft-04")
		return
	}
	n.required = r.strings(v, word)
}

// strings reads a list of different strings.
func (r *reader) strings(v jsondoc.Value, word string) []string {
	if v.Kind() != jsondoc.Array {
		r.problem(v, "", "%s is a list of names, not %s", word, v.Kind())
		return nil
	}
	var list []string
	for e := range v.Elements() {
		switch s := e.Str(); {
		case e.Kind() != jsondoc.String:
			r.problem(e, "", "%s is a list of names: a name is a string, not %s", word, e.Kind())
		case slices.Contains(list, s):
			r.problem(e, "", "%q stands twice in %s", s, word)
		default:
			list = append(list, s)
		}
	}
	return list
}
