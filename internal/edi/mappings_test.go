package edi

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// TestMappingsFit: what the shipped mappings make of canonical documents becomes messages that are read without a fault.
func TestMappingsFit(t *testing.T) {
	files, err := filepath.Glob("../../mappings/edi/*_test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	all := shipped(t)
	tried := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var p strictyaml.Problems
		for _, n := range strictyaml.Parse(file, data, &p) {
			var table *Table
			of, later := strings.CutSuffix(n.Get("mapping").Text(), "-d01b")
			for _, one := range all {
				if strings.HasSuffix(of, "-to-"+one.Name) {
					table = one
				}
			}
			if table == nil {
				continue // of the other direction
			}
			version := table.Version
			if later {
				version = "D:01B:UN"
			}
			for _, c := range n.Get("cases").Items() {
				if c.Has("parked") {
					continue
				}
				name := n.Get("mapping").Text() + ": " + c.Get("name").Text()
				raw, ok := c.Get("want").Get("data").AppendJSON(nil, &p)
				doc, err := jsondoc.Parse(raw, jsondoc.Limits{})
				if !ok || err != nil {
					t.Fatalf("%s: %v %v", name, p.Err(), err)
				}
				body, err := table.Compose(doc.Root(), version, '.')
				if err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				agreement := "partner: a\nstandard: " + string(table.Standard) + "\nown: {qualifier: ZZ, id: B}\ntheir: {qualifier: ZZ, id: A}\n"
				out, err := bookOf(t, table.Standard, agreement).Partner("a").Write(1, time.Unix(0, 0), version, []Body{body})
				if err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				messages, err := drain(bytes.NewReader(out), table.Standard)
				if err != nil || len(messages) != 1 {
					t.Fatalf("%s: %v\n%s", name, err, out)
				}
				if _, faults := table.Document(messages[0], ""); len(faults) > 0 {
					t.Errorf("%s: %v\n%s", name, faults, out)
				}
				tried++
			}
		}
	}
	if tried < 8 {
		t.Errorf("only %d documents were tried", tried)
	}
}
