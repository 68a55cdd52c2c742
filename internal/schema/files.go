package schema

import (
	"io/fs"
	"path"
	"strings"

	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Files reads every .json file below the root of fsys. A schema's name is its path without the ending; its Path, for
// messages, is the path below prefix: "schemas" makes "schemas/canonical/order.v1.json".
func Files(fsys fs.FS, prefix string) ([]File, error) {
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
