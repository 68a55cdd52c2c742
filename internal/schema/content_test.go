package schema

import (
	"io/fs"
	"path"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/strictyaml"
	"github.com/waybill-hub/waybill/schemas"
)

// shipped compiles the schemas that come with the hub.
func shipped(tb testing.TB) *Set {
	tb.Helper()
	files, err := readFiles(schemas.FS, "schemas")
	if err != nil {
		tb.Fatal(err)
	}
	var p strictyaml.Problems
	set := Compile(files, &p)
	if err := p.Err(); err != nil {
		tb.Fatal(err)
	}
	return set
}

// readFiles reads every .json file below the root of fsys. A schema's name is its path without the ending; its Path, for
// messages, is the path below prefix: "schemas" makes "schemas/canonical/order.v1.json".
func readFiles(fsys fs.FS, prefix string) ([]File, error) {
	var files []File
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(name) != ".json" {
			return err
		}
		data, err := strictyaml.ReadFile(fsys, name, strictyaml.MaxFile)
		if err != nil {
			return err
		}
		files = append(files, File{Name: strings.TrimSuffix(name, ".json"), Path: path.Join(prefix, name), Data: data})
		return nil
	})
	return files, err
}

func TestShippedSchemasCompile(t *testing.T) {
	set := shipped(t)
	for _, name := range set.Names() {
		if set.Get(name).judge == nil {
			t.Errorf("%s: no validator", name)
		}
	}
}
