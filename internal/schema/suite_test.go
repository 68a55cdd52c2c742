package schema

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

var update = flag.Bool("update", false, "write the golden files")

// The official suites: whatever schema is accepted must judge every document as the suite says. What is refused is listed in a golden file
// with its reason, and so are the few documents that the hub means to judge otherwise (testdata/suite/README.md).
func TestOfficialSuite(t *testing.T) {
	for folder, least := range map[string]int{"suite": 480, "suite-2019-09": 900, "suite-2020-12": 900} {
		t.Run(folder, func(t *testing.T) { officialSuite(t, folder, least) })
	}
}

func officialSuite(t *testing.T, folder string, least int) {
	files, err := filepath.Glob("testdata/" + folder + "/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no suite", err)
	}
	var refused, differs strings.Builder
	judged := 0
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		d, err := jsondoc.Parse(b, jsondoc.Limits{Depth: 256, NumberLen: 1000})
		if err != nil {
			t.Fatalf("%s:%v", file, err)
		}
		for c := range d.Root().Elements() {
			name := filepath.Base(file) + ": " + c.Get("description").Str()
			var p strictyaml.Problems
			set := Compile([]File{{Name: "suite/case", Data: c.Get("schema").Raw()}}, &p)
			if list := p.List(); len(list) > 0 {
				fmt.Fprintf(&refused, "%s\n\t%s\n", name, list[0])
				continue
			}
			for test := range c.Get("tests").Elements() {
				doc, err := jsondoc.Parse(test.Get("data").Raw(), jsondoc.Limits{})
				if err != nil {
					continue // a number beyond the hub's limits
				}
				judged++
				if err := set.Get("suite/case").Validate(doc); (err == nil) != test.Get("valid").Bool() {
					fmt.Fprintf(&differs, "%s: %s\n\t%v\n", name, test.Get("description").Str(), err)
				}
			}
		}
	}
	if judged < least {
		t.Errorf("only %d documents were judged", judged)
	}
	golden(t, "testdata/"+folder+"-refused.golden", refused.String())
	golden(t, "testdata/"+folder+"-differs.golden", differs.String())
}

// golden compares got with a file, or writes it.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (run with -update and look at the change)\n got:\n%s\nwant:\n%s", file, got, want)
	}
}
