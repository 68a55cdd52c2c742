package strictyaml

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files")

// TestProblems reads every broken file and compares the complete list of what is said about it.
func TestProblems(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var p Problems
			Parse(name+".yaml", data, &p)
			got := ""
			if err := p.Err(); err != nil {
				got = err.Error() + "\n"
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".golden", got)
			for _, problem := range p.List() {
				if problem.Line == 0 || problem.Col == 0 {
					t.Errorf("no place: %s", problem)
				}
				if problem.Hint == "" {
					t.Errorf("no hint: %s", problem)
				}
			}
		})
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s (run with -update to accept)\ngot:\n%s\nwant:\n%s", file, got, want)
	}
}
