package connectortest

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

var update = flag.Bool("update", false, "write golden files anew")

// Golden compares got with a file, or writes the file under -update.
func Golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v (run the test with -update to write it)", err)
	}
	if string(got) != string(want) {
		t.Errorf("%s differs (run the test with -update, and look at the difference)\ngot:\n%s\nwant:\n%s", file, got, want)
	}
}

// Problems checks every *.yaml in a directory as the settings of a system of the kind, and compares what is said about it
// with the file of the same name and the ending .golden. References to secrets are answered.
func Problems(t *testing.T, kind connector.Kind, dir string) {
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in %s: %v", dir, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var p strictyaml.Problems
			nodes := strictyaml.ParseWith(filepath.Base(file), data, answers{}, &p)
			for _, n := range nodes {
				kind.Check(connector.Settings{Name: "system", Node: n, Dir: dir}, &p)
			}
			out := "no problems\n"
			if err := p.Err(); err != nil {
				out = err.Error() + "\n"
			}
			Golden(t, strings.TrimSuffix(file, ".yaml")+".golden", []byte(out))
		})
	}
}

// answers gives every reference a value.
type answers struct{}

func (answers) Env(string) (string, bool)   { return "placeholder", true }
func (answers) File(string) ([]byte, error) { return []byte("placeholder"), nil }
