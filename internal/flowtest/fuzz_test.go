package flowtest

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// FuzzRun: whatever a test file holds, it is run or complained of at a place, and an update of it would read back.
func FuzzRun(f *testing.F) {
	for _, pattern := range []string{"testdata/run/*_test.yaml", "testdata/update/*_test.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(string(data))
		}
	}
	f.Add("rule: stock-not-negative\ncases:\n  - name: a\n    now: \"2026-01-01T00:00:00Z\"\n    given: {source: {sku: A, on_hand: -1, location: {code: W}}}\n    violation: there are\n    key: A@W\n")
	k := knownOf(load(f, "testdata/project"))
	f.Fuzz(func(t *testing.T, text string) {
		file := File{Name: "f_test.yaml", Data: []byte(text), Dir: os.DirFS("testdata/run"), Embedded: true}
		var p strictyaml.Problems
		results, err := k.run(context.Background(), file, &p, Options{})
		if err != nil {
			t.Fatal(err)
		}
		e := newEditor(file.Data)
		for i := range results {
			if r := &results[i]; !r.Passed() && r.c.Want != nil {
				e.want(r)
			}
		}
		e.apply()
	})
}
