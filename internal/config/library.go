package config

import (
	"maps"
	"path"
	"regexp"
	"slices"

	"github.com/waybill-hub/waybill/internal/schema"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Library is what comes with the hub for every project. Of it a plan has what the project names and does not hold itself.
type Library struct {
	// Documents are mappings and value maps.
	Documents Source
	// Schema gives a schema by its name; nil: there is none.
	Schema func(name string) []byte
}

// borrow takes the mappings of the library that the project's documents name, and its value maps with them. A document of the project goes before one of its name.
func (l *loader) borrow() {
	if l.o.Library.Documents.FS == nil {
		return
	}
	named := map[string]bool{}
	for _, kind := range []string{"flow", "reconciliation", "rule"} {
		for _, n := range l.documents[kind] {
			values(n, "map", named)
		}
	}
	var mappings, codes []strictyaml.Node
	for _, f := range l.read([]Source{l.o.Library.Documents}, ".yaml") {
		for _, n := range strictyaml.Parse(f.display, f.data, l.p) {
			name := n.Get("mapping").Text()
			switch own := l.first["mapping "+name]; {
			case n.Has("values"):
				codes = append(codes, n)
			case own.File != "":
			case named[name]:
				mappings = append(mappings, n)
			default:
				l.offered = append(l.offered, name)
			}
		}
	}
	if len(mappings) == 0 {
		return
	}
	for _, n := range mappings {
		l.register("mapping", n.Get("mapping"))
		l.documents["mapping"] = append(l.documents["mapping"], n)
	}
	for _, n := range codes {
		if own := l.first["values "+n.Get("values").Text()]; own.File == "" {
			l.register("values", n.Get("values"))
			l.documents["values"] = append(l.documents["values"], n)
		}
	}
}

// values collects the texts of a key, wherever it stands in a document.
func values(n strictyaml.Node, key string, into map[string]bool) {
	for _, f := range n.Fields() {
		if f.Key == key && f.Value.Kind() == strictyaml.Scalar {
			into[f.Value.Text()] = true
		}
		values(f.Value, key, into)
	}
	for _, item := range n.Items() {
		values(item, key, into)
	}
}

var schemaRef = regexp.MustCompile(`"\$ref":\s*"([^"#]+)\.json(?:#[^"]*)?"`)

// borrowSchemas gives the schemas of the library that documents name, and those that these refer to, where the project has none of the name.
func (l *loader) borrowSchemas(have map[string]string) []schema.File {
	if l.o.Library.Schema == nil {
		return nil
	}
	named := map[string]bool{}
	for _, n := range l.documents["mapping"] {
		named[n.Get("from").Text()], named[n.Get("to").Text()] = true, true
	}
	for _, n := range l.documents["flow"] {
		named[n.Get("accept").Text()] = true
	}
	wanted := slices.Sorted(maps.Keys(named))
	var out []schema.File
	for len(wanted) > 0 {
		name := wanted[0]
		wanted = wanted[1:]
		if have[name] != "" {
			continue
		}
		data := l.o.Library.Schema(name)
		if data == nil {
			continue
		}
		have[name] = "shipped/schemas/" + name + ".json"
		l.sum(have[name], data)
		out = append(out, schema.File{Name: name, Path: have[name], Data: data})
		for _, m := range schemaRef.FindAllSubmatch(data, -1) {
			wanted = append(wanted, path.Join(path.Dir(name), string(m[1])))
		}
	}
	return out
}
