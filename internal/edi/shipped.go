package edi

import (
	"embed"
	"slices"
	"strings"
	"sync"

	"github.com/waybill-hub/waybill/internal/strictyaml"
)

//go:embed tables
var tableFiles embed.FS

// Shipped lists the names of the tables that come with the hub.
func Shipped() []string {
	entries, _ := tableFiles.ReadDir("tables") // it is embedded
	var out []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".yaml"); ok {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// ShippedTable gives a table that comes with the hub; nil: there is none of the name. Problems are the project's own, and tested.
func ShippedTable(name string, p *strictyaml.Problems) *Table {
	data, err := tableFiles.ReadFile("tables/" + name + ".yaml")
	if err != nil {
		return nil
	}
	return ReadTable(name+".yaml", data, p)
}

// parts are the entries that tables of a standard share.
var partsOf = map[Standard]func() map[string][]strictyaml.Node{X12: sync.OnceValue(func() map[string][]strictyaml.Node { return readParts("x12") }),
	EDIFACT: sync.OnceValue(func() map[string][]strictyaml.Node { return readParts("edifact") })}

func parts(s Standard) map[string][]strictyaml.Node {
	if read := partsOf[s]; read != nil {
		return read()
	}
	return nil
}

func readParts(name string) map[string][]strictyaml.Node {
	file := "tables/parts/" + name + ".yaml"
	data, err := tableFiles.ReadFile(file)
	if err != nil {
		panic(err) // it is embedded
	}
	var p strictyaml.Problems
	var f partsFile
	for _, doc := range strictyaml.Parse(file, data, &p) {
		doc.Decode(&f, &p)
	}
	if err := p.Err(); err != nil {
		panic(err) // and tested
	}
	return f.Parts
}
