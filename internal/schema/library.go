package schema

import (
	"errors"
	"fmt"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/xeipuuv/gojsonschema"
)

func init() {
	gojsonschema.Locale = silent{}
	for name, check := range formats {
		gojsonschema.FormatCheckers.Add(name, check)
	}
}

// library is the judge that asks gojsonschema.
type library struct{ schema *gojsonschema.Schema }

// judgeOf compiles a file for the library that can judge it, with the compiled form in front; nil when it, or a file it refers to, has
// problems.
func (c *compiler) judgeOf(src *source) (j judge) {
	if src.root == nil || src.v().Kind() != jsondoc.Object {
		return nil
	}
	r := c.reach(src)
	if !r.sound {
		return nil
	}
	defer func() {
		if r := recover(); r != nil {
			j = nil
			c.problem(src, src.v(), "", "the validator cannot use this schema: %v", r)
		}
	}()
	authority, err := authorityOf(src.root, r)
	if err != nil {
		reason := err.Error()
		if reason == noText {
			reason = "it gives no reason"
		}
		c.problem(src, src.v(), "", "the validator cannot use this schema: %s", reason)
		return nil
	}
	j = inFront(src.root, authority)
	if r.recursive {
		j = &bounded{src.root, j}
	}
	return j
}

// authorityOf chooses the library: gojsonschema ends at draft-07, runs out of stack on schemas that contain themselves, and compares numbers
// as binary floating point.
func authorityOf(root *node, r reached) (judge, error) {
	if r.modern || r.recursive || r.exact {
		s, err := loadModern(root, r.targets)
		return &modern{s}, err
	}
	s, err := load(bundle(root, r.targets))
	return &library{s}, err
}

func (s *source) v() jsondoc.Value { return s.doc.Root() }

// load hands one bundle to the library.
func load(doc map[string]any) (*gojsonschema.Schema, error) {
	l := gojsonschema.NewSchemaLoader()
	l.AutoDetect, l.Draft = false, gojsonschema.Draft7
	return l.Compile(closed{gojsonschema.NewRawLoader(doc)})
}

// closed is the library's loader of one bundle. It knows no other document: every reference in a bundle is internal, and
// whatever else the library might ask for is refused instead of fetched.
type closed struct{ gojsonschema.JSONLoader }

func (closed) LoaderFactory() gojsonschema.JSONLoaderFactory { return refusing{} }

type refusing struct{ gojsonschema.JSONLoader }

var errClosed = errors.New("schemas refer only to each other; nothing is fetched")

func (refusing) New(string) gojsonschema.JSONLoader { return refusing{gojsonschema.NewRawLoader(nil)} }
func (refusing) LoadJSON() (any, error)             { return nil, errClosed }

// judge implements judge. The library is made for documents in generic form; a panic of it refuses the document.
func (l *library) judge(d *jsondoc.Doc) (bad []Violation) {
	defer func() {
		if r := recover(); r != nil {
			bad = []Violation{{Keyword: "validator", Message: "the validator failed on this document: " + shorten(fmt.Sprint(r))}}
		}
	}()
	g := generics.Get().(*generic)
	defer g.release()
	result, err := l.schema.Validate(gojsonschema.NewRawLoader(g.value(d.Root())))
	if err != nil {
		return []Violation{{Keyword: "validator", Message: shorten(err.Error())}}
	}
	if result.Valid() {
		return nil
	}
	return violations(d.Root(), result.Errors())
}
