package edi

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/schema"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// TestSchemas: the schema of each shipped table is one, takes what its sample is read to, and refuses a field that the table does not have.
func TestSchemas(t *testing.T) {
	takes := map[string]*schema.Schema{}
	for _, table := range shipped(t) {
		text, err := json.Marshal(table.Schema())
		if err != nil {
			t.Fatal(err)
		}
		var p strictyaml.Problems
		s := schema.Compile([]schema.File{{Name: table.Name, Path: table.Name + ".json", Data: text}}, &p).Get(table.Name)
		if err := p.Err(); err != nil || s == nil {
			t.Fatalf("%s: %v", table.Name, err)
		}
		takes[string(table.Standard)+" "+table.Message] = s
	}
	files, err := filepath.Glob("testdata/*/*.json")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d samples, %v", len(files), err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, change := range []string{"", `"not_there": 1, `} {
			doc, err := jsondoc.Parse([]byte(strings.Replace(string(data), "{", "{"+change, 1)), jsondoc.Limits{})
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			edi := doc.Root().Get("edi")
			s := takes[edi.Get("standard").Str()+" "+edi.Get("type").Str()]
			if s == nil {
				t.Fatalf("%s: no table is of its message", file)
			}
			if err := s.Validate(doc); (err == nil) != (change == "") {
				t.Errorf("%s with %q: %v", file, change, err)
			}
		}
	}
}
