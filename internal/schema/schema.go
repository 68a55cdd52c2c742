// Package schema compiles and applies the plan's JSON Schemas (draft-07, 2019-09, 2020-12). A schema is read once into a tree with a place
// for everything in it; whatever the validator would ignore, misjudge or choke on is a problem with line and column before
// any document is seen. The verdict on documents comes, behind the judge interface, from gojsonschema or, where that one cannot give it (newer
// drafts, schemas that contain themselves, numbers compared exactly), from jsonschema/v6; a compiled form of the
// schema stands in front of both and passes the valid ones by itself.
package schema

import (
	"crypto/sha256"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// File is one schema file.
type File struct {
	// Name is how flows and mappings call the schema: "canonical/order.v1".
	Name string
	// Path is what problems call it: "schemas/canonical/order.v1.json".
	Path string
	Data []byte
}

// Set holds the schemas of one plan. It does not change after Compile and may be used by several goroutines.
type Set struct {
	schemas map[string]*Schema
}

// Get is the schema of that name; nil when the plan has no such file. A schema whose file has problems is there too, so
// that one mistake is reported once: its Shape allows what is unknown and it refuses every document.
func (s *Set) Get(name string) *Schema {
	if s == nil {
		return nil
	}
	return s.schemas[name]
}

// Names are the names of all schemas, sorted.
func (s *Set) Names() []string {
	if s == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(s.schemas))
}

// Schema is one compiled schema.
type Schema struct {
	name  string
	root  *node // nil when the file is no JSON document
	judge judge // nil when the file, or one it refers to, has problems
	sum   [sha256.Size]byte
}

// Name is what flows and mappings call the schema.
func (s *Schema) Name() string { return s.name }

// Sum is a hash of the schema's file and of every file that it refers to.
func (s *Schema) Sum() [sha256.Size]byte { return s.sum }

// judge gives the verdict on a document: what is wrong with it, nothing when it is valid. Implementations are safe for
// concurrent use.
type judge interface {
	judge(d *jsondoc.Doc) []Violation
}

// limits of schema files themselves.
var fileLimits = jsondoc.Limits{Bytes: 8 << 20, Depth: 256}

// Compile reads all schemas together: they may refer to each other and to nothing else. Every problem goes to p.
func Compile(files []File, p *strictyaml.Problems) *Set {
	c := &compiler{p: p, sources: make(map[string]*source, len(files)), resources: map[string]*node{}, anchors: map[string]*node{}}
	set := &Set{schemas: make(map[string]*Schema, len(files))}
	for _, f := range files {
		name := strings.TrimSuffix(f.Name, ".json")
		if c.sources[name] != nil {
			p.Add(strictyaml.Pos{File: f.Path}, "there is another schema named %q", name)
			continue
		}
		c.sources[name] = c.read(name, f)
	}
	names := slices.Sorted(maps.Keys(c.sources))
	for _, name := range names {
		c.resolve(c.sources[name])
	}
	for _, name := range names {
		c.findCycles(c.sources[name])
	}
	c.markPrivate(names)
	for _, name := range names {
		src := c.sources[name]
		set.schemas[name] = &Schema{name: name, root: src.root, judge: c.judgeOf(src), sum: c.sumOf(src)}
	}
	return set
}

// compiler is the state of one Compile.
type compiler struct {
	p       *strictyaml.Problems
	sources map[string]*source // by name
	// resources are the schemas with an $id of their own, by their addresses, and all files by the addresses that the plan gives them.
	resources map[string]*node
	anchors   map[string]*node // by address#name
}

// source is one schema file and the tree made of it.
type source struct {
	name   string
	path   string
	data   []byte
	doc    *jsondoc.Doc
	draft  draft
	root   *node
	nodes  map[int]*node // every schema in the file, by its offset
	all    []*node       // the same, in the order of the file
	refs   []*node       // those with a $ref
	broken bool          // a problem stands in this file
}

// planURI is the address of a file without an $id.
func planURI(name string) string { return (&url.URL{Scheme: "waybill", Path: "/" + name}).String() }

// read parses one file into a source; without a root when it is no JSON.
func (c *compiler) read(name string, f File) *source {
	src := &source{name: name, path: f.Path, data: f.Data, nodes: map[int]*node{}}
	if src.path == "" {
		src.path = name + ".json"
	}
	doc, err := jsondoc.Parse(f.Data, fileLimits)
	if err != nil {
		src.broken = true
		pos := strictyaml.Pos{File: src.path}
		if se, ok := err.(*jsondoc.SyntaxError); ok {
			pos.Line, pos.Col = se.Line, se.Col
			err = nil
			c.p.AddHint(pos, "schemas are JSON", "%s", se.Msg)
			return src
		}
		c.p.Add(pos, "%s", err)
		return src
	}
	src.doc, src.draft = doc, draftOf(doc.Root())
	r := reader{c: c, src: src, base: planURI(name)}
	src.root = r.schema(doc.Root(), "")
	c.resources[planURI(name)] = src.root
	if doc.Root().Kind() != jsondoc.Object && doc.Root().Kind() != jsondoc.Missing {
		c.problem(src, doc.Root(), "", "a schema file holds one object, not %s", doc.Root().Kind())
	}
	return src
}

// resource notes the schema that an $id names.
func (c *compiler) resource(src *source, n *node, id jsondoc.Value) {
	if other := c.resources[n.id]; other != nil {
		c.problem(src, id, "rename one of them", "the schema %q has the same $id", other.src.name)
		return
	}
	c.resources[n.id] = n
}

// problem notes something wrong at v.
func (c *compiler) problem(src *source, v jsondoc.Value, hint, format string, args ...any) {
	src.broken = true
	c.p.AddHint(src.pos(v), hint, format, args...)
}

// pos is where v stands in the file.
func (s *source) pos(v jsondoc.Value) strictyaml.Pos {
	pos := strictyaml.Pos{File: s.path}
	if at := v.Offset(); at >= 0 && s.doc != nil {
		pos.Line, pos.Col = s.doc.LineCol(at)
	}
	return pos
}

// dir is the folder part of the name, that relative references start from.
func (s *source) dir() string { return path.Dir(s.name) }
