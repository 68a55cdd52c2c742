package schema

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Whatever a schema file holds: no panic, no endless compile; and a schema without problems gives a verdict.
func FuzzCompile(f *testing.F) {
	files, _ := filepath.Glob("testdata/suite*/*.json")
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		d, err := jsondoc.Parse(b, jsondoc.Limits{Depth: 256, NumberLen: 1000})
		if err != nil {
			f.Fatal(err)
		}
		for c := range d.Root().Elements() {
			f.Add(c.Get("schema").Raw(), c.Get("tests").Index(0).Get("data").Raw())
		}
	}
	f.Fuzz(func(t *testing.T, schema, doc []byte) {
		var p strictyaml.Problems
		set := Compile([]File{{Name: "x", Data: schema}, {Name: "y", Data: []byte(`{"$ref":"x"}`)}}, &p)
		for _, problem := range p.List() {
			if problem.File == "" || problem.Message == "" {
				t.Errorf("a problem without place or text: %#v", problem)
			}
		}
		d, err := jsondoc.Parse(doc, jsondoc.Limits{})
		if err != nil {
			return
		}
		x, y := set.Get("x").Validate(d), set.Get("y").Validate(d)
		if p.Len() == 0 && (x == nil) != (y == nil) {
			t.Errorf("by itself: %v; by reference: %v", x, y)
		}
		sh := set.Get("x").Shape()
		for _, name := range sh.Fields() {
			sh.Field(name)
		}
		sh.Item().Types()
		sh.Enum()
	})
}
