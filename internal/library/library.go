// Package library gives what every project may use without holding it: the mappings between the messages of partners and the canonical documents, their
// value maps, and the schemas of both sides.
package library

import (
	"encoding/json"
	"io/fs"
	"strings"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/edi"
	"github.com/waybill-hub/waybill/internal/strictyaml"
	"github.com/waybill-hub/waybill/mappings"
	"github.com/waybill-hub/waybill/schemas"
)

// Shipped is what comes with the hub.
func Shipped() config.Library {
	documents, err := fs.Sub(mappings.FS, "edi")
	if err != nil {
		panic(err) // a name that is none
	}
	return config.Library{Documents: config.Source{Name: "shipped/mappings/edi", FS: documents}, Schema: schemaOf}
}

// schemaOf gives a canonical schema, or that of a shipped table's documents: edi/x12-850.v1; nil: there is none of the name.
func schemaOf(name string) []byte {
	if strings.HasPrefix(name, "canonical/") {
		data, err := schemas.FS.ReadFile(name + ".json")
		if err != nil {
			return nil
		}
		return data
	}
	table, ok := strings.CutPrefix(strings.TrimSuffix(name, ".v1"), "edi/")
	if !ok || !strings.HasSuffix(name, ".v1") {
		return nil
	}
	var p strictyaml.Problems // of the project's own tables, which are tested
	t := edi.ShippedTable(table, &p)
	if t == nil {
		return nil
	}
	data, err := json.Marshal(t.Schema())
	if err != nil {
		panic(err) // it is made of maps and texts
	}
	return data
}
