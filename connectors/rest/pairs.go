package rest

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// etagPlaced: the concurrency token goes where {etag} stands in a body.
const etagPlaced = "placed"

// list writes a document as the list of its fields, in their order.
func (ps *pairsSettings) list(doc []byte) ([]byte, error) {
	d, err := jsondoc.Parse(doc, jsondoc.Limits{})
	if err != nil {
		return nil, fmt.Errorf("the document is no JSON: %w", err)
	}
	if d.Root().Kind() != jsondoc.Object {
		return nil, errors.New("the document is no object: only an object has fields that make a list")
	}
	var p strictyaml.Problems
	fixed, _ := ps.With.AppendJSON(nil, &p) // settings were checked
	with, err := jsondoc.Parse(orEmpty(fixed), jsondoc.Limits{})
	if err != nil {
		return nil, err
	}
	out := []byte{'['}
	for name, v := range d.Root().Members() {
		if k := v.Kind(); k == jsondoc.Object || k == jsondoc.Array {
			return nil, fmt.Errorf("the field %s is a list or an object, and the service takes single values alone", name)
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = member(append(out, '{'), ps.Name, jsondoc.AppendString(nil, name))
		value := v.Raw()
		if k := v.Kind(); ps.Texts && (k == jsondoc.Number || k == jsondoc.Bool) {
			value = jsondoc.AppendString(nil, string(v.Raw()))
		}
		out = member(out, ps.Value, value)
		if ps.Null != "" {
			out = member(out, ps.Null, []byte(map[bool]string{true: "true", false: "false"}[v.Kind() == jsondoc.Null]))
		}
		for key, w := range with.Root().Members() {
			out = member(out, key, w.Raw())
		}
		out = append(out, '}')
	}
	return append(out, ']'), nil
}

func orEmpty(doc []byte) []byte {
	if len(doc) == 0 {
		return []byte("{}")
	}
	return doc
}

// member appends a member to an object that is open.
func member(dst []byte, name string, value []byte) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	return append(append(jsondoc.AppendString(dst, name), ':'), value...)
}

// checkPairs looks at what is said of documents that go as lists, and of tokens that have a place in bodies.
func (o *object) checkPairs(n strictyaml.Node, p *strictyaml.Problems) {
	for _, key := range []string{"update", "delete"} {
		at := n.Get(key).Get("body")
		body, _ := at.AppendJSON(nil, &strictyaml.Problems{}) // told already
		doc, err := jsondoc.Parse(orEmpty(body), jsondoc.Limits{})
		switch placed := err == nil && holds(doc.Root(), "{etag}"); {
		case placed && o.ETag != etagPlaced:
			p.AddHint(at.Pos(), "add etag: placed and etag-field", "body: {etag} stands in it, and which field holds the token is not said")
		case !placed && o.ETag == etagPlaced && (key == "update" || n.Has("delete")):
			p.AddHint(n.Get("etag").Pos(), fmt.Sprintf("write \"{etag}\" as a text of %s.body", key), "etag: placed, and %s.body has no place for it: what somebody else wrote in between would not be noticed", key)
		}
	}
	if o.ETag == etagPlaced && o.Update.Style == "put" {
		p.AddHint(n.Get("update").Get("style").Pos(), "write etag: header, field or body", "style: put, and etag: placed: what is put has no place for the token of what was read, and would write over what somebody else wrote in between")
	}
	for _, w := range []struct {
		key string
		ws  *writeSettings
	}{{"create", &o.Create}, {"update", &o.Update.writeSettings}} {
		at := n.Get(w.key)
		if w.ws.Pairs == nil {
			continue
		}
		names := []string{w.ws.Pairs.Name, w.ws.Pairs.Value}
		if w.ws.Pairs.Null != "" {
			names = append(names, w.ws.Pairs.Null)
		}
		for _, member := range at.Get("pairs").Get("with").Fields() {
			names = append(names, member.Key)
		}
		if slices.Sort(names); len(slices.Compact(names)) < len(names) {
			p.AddHint(at.KeyPos("pairs"), "give each a name of its own", "%s: two members of a pair have one name", w.key)
		}
		for _, put := range []struct {
			key, path string
			here      bool
		}{{"external-id", o.ExternalID, w.key == "create"}, {"etag-field", o.ETagField, w.key == "update" && o.ETag == "body"}} {
			if put.here && strings.Contains(put.path, ".") {
				p.AddHint(at.KeyPos("pairs"), "name a field of the object itself", "%s: the hub sets %s (%s), and pairs hold single values alone", w.key, put.path, put.key)
			}
		}
		if k := at.Get("pairs").Get("with").Kind(); k != strictyaml.Missing && k != strictyaml.Map {
			p.AddHint(at.Get("pairs").Get("with").Pos(), "write for example {Modified: true}", "with: this is no mapping")
		}
		if w.ws.Bulk != nil {
			p.AddHint(at.KeyPos("pairs"), "remove one of the two", "%s: pairs means nothing with bulk", w.key)
		}
	}
}

// holds reports whether a text anywhere in a document is the one.
func holds(v jsondoc.Value, text string) bool {
	switch v.Kind() {
	case jsondoc.String:
		return v.Str() == text
	case jsondoc.Object:
		for _, m := range v.Members() {
			if holds(m, text) {
				return true
			}
		}
	case jsondoc.Array:
		for e := range v.Elements() {
			if holds(e, text) {
				return true
			}
		}
	}
	return false
}
