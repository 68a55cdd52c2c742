package config

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
)

// FuzzLoad: no text of a configuration or of flows and mappings panics, and a plan comes exactly when there is no problem.
func FuzzLoad(f *testing.F) {
	var texts []string
	err := filepath.WalkDir("testdata", func(path string, d fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".yaml" {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			texts = append(texts, string(data))
		}
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
	for i, text := range texts {
		f.Add(text, texts[(i+1)%len(texts)])
	}
	schemas := Dir("testdata/good/schemas")
	o := testOptions()
	f.Fuzz(func(t *testing.T, config, flows string) {
		paths := Paths{
			Config: "c.yaml", ConfigFS: fstest.MapFS{"c.yaml": {Data: []byte(config)}},
			Flows: []Source{{"flows", fstest.MapFS{"f.yaml": {Data: []byte(flows)}}}}, Schemas: []Source{schemas},
		}
		plan, p := Load(paths, o)
		if (plan == nil) != (p.Len() > 0) {
			t.Errorf("plan %v with %d problems", plan != nil, p.Len())
		}
	})
}
