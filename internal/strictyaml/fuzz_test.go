package strictyaml

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzParse: no input panics, every problem has a place inside the file, and a scalar's bytes are where they are said to be.
func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/bad/*.yaml")
	for _, file := range append(files, "testdata/decode.yaml") {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Add("a: >-\n  one\n\n   two\r\n  three\nb: \"x\\\n  y\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		var p Problems
		for _, n := range ParseWith("f", []byte(text), testResolver, &p) {
			var into sample
			n.Decode(&into, &p)
			checkPlaces2(t, n)
		}
		lines := strings.Split(text, "\n")
		for _, problem := range p.List() {
			if problem.Line < 1 && len(text) <= maxBytes || problem.Line > len(lines) {
				t.Errorf("%s is outside the file of %d lines", problem, len(lines))
			} else if problem.Line > 0 && (problem.Col < 1 || problem.Col > len(lines[problem.Line-1])+1) {
				t.Errorf("%s is outside its line", problem)
			}
		}
	})
}

// checkPlaces2 is checkPlaces for any text: a scalar that is not found is allowed, a wrong place is not.
func checkPlaces2(t *testing.T, n Node) {
	for _, f := range n.Fields() {
		checkPlaces2(t, f.Value)
	}
	for _, item := range n.Items() {
		checkPlaces2(t, item)
	}
	if n.Kind() == Scalar && n.n.offsets() != nil {
		checkPlaces(t, n)
	}
	n.ScalarPos(len(n.Text()) / 2)
}
