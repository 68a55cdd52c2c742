package schema

import (
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
}

func (r *reader) problem(v jsondoc.Value, hint, format string, args ...any) {
	r.c.problem(r.src, v, hint, format, args...)
}

// schema reads the schema at v. It always gives a node, so that one mistake is reported once.
func (r *reader) schema(v jsondoc.Value, path string) *node {
	n := &node{src: r.src, v: v, path: path}
	r.src.nodes[v.Offset()] = n
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
	for c := v.Cursor(); c.Next(); {
		r.keyword(n, c.NameValue(), c.Value())
	}
	r.lint(n)
	return n
}

// keyword reads one member of a schema.
func (r *reader) keyword(n *node, name, v jsondoc.Value) {
	word := name.Str()
	k, known := keywords[word]
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

// unknown reports a member that no validator of draft-07 looks at.
func (r *reader) unknown(name jsondoc.Value, word string) {
	if strings.HasPrefix(word, "x-") {
		return // an extension: a note for people and other programs
	}
	if hint, ok := foreign[word]; ok {
		r.problem(name, hint, "%q is no keyword of draft-07 and would be ignored", word)
		return
	}
	r.problem(name, strictyaml.DidYouMean(word, keywordNames), "unknown keyword %q", word)
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
	for e := range v.Elements() {
		n.tuple = append(n.tuple, r.schema(e, n.sub(word, strconv.Itoa(len(n.tuple)))))
	}
	if len(n.tuple) == 0 {
		r.problem(v, "", "items as a list needs at least one schema")
	}
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

func readRef(r *reader, n *node, word string, v jsondoc.Value) {
	if v.Kind() != jsondoc.String {
		r.problem(v, "", "$ref is a string, not %s", v.Kind())
		return
	}
	n.ref = v
	r.src.refs = append(r.src.refs, n)
}

func readID(r *reader, n *node, word string, v jsondoc.Value) {
	switch {
	case v.Kind() != jsondoc.String:
		r.problem(v, "", "$id is a string, not %s", v.Kind())
	case n.path != "":
		r.problem(v, "put the subschema under definitions and refer to it by #/definitions/NAME", "$id is only read at the top of a file")
	default:
		n.id = strings.TrimSuffix(v.Str(), "#")
	}
}

func readSchemaURI(r *reader, n *node, word string, v jsondoc.Value) {
	uri := v.Str()
	short := strings.TrimPrefix(strings.TrimPrefix(strings.TrimSuffix(uri, "#"), "https://"), "http://")
	switch {
	case n.path != "":
		r.problem(v, "", "$schema stands only at the top of a file")
	case short == "json-schema.org/draft-07/schema":
	case short == "json-schema.org/draft-06/schema":
		r.problem(v, "write http://json-schema.org/draft-07/schema#; nothing else needs to change", "schemas are draft-07")
	default:
		r.problem(v, "write http://json-schema.org/draft-07/schema# and the keywords of that draft", "schemas are draft-07, not %s", quoted(v))
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
		r.comparable(e, word)
	}
}

func readConst(r *reader, n *node, word string, v jsondoc.Value) {
	n.constant = v
	r.comparable(v, word)
}

// comparable reports numbers that the validator, which compares them as binary floating point, would take for another.
func (r *reader) comparable(v jsondoc.Value, word string) {
	switch v.Kind() {
	case jsondoc.Number:
		d, err := v.Decimal()
		if err != nil || len(strings.TrimLeft(strings.ReplaceAll(d.Trim().Abs().String(), ".", ""), "0")) > 15 {
			r.problem(v, "use a string, or minimum and maximum", "%s compares numbers only to 15 digits", word)
		}
	case jsondoc.Array:
		for e := range v.Elements() {
			r.comparable(e, word)
		}
	case jsondoc.Object:
		for _, e := range v.Members() {
			r.comparable(e, word)
		}
	}
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
