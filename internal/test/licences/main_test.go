package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const good = `{"metadata":{"timestamp":"2026-11-29T10:20:25Z"},"components":[
 {"name":"a","version":"v1","evidence":{"licenses":[{"license":{"id":"MIT"}}]}},
 {"name":"b","version":"v2","evidence":{"licenses":[{"license":{"id":"MIT"}},{"license":{"id":"Apache-2.0"}}]}}]}`

func TestLicences(t *testing.T) {
	for _, tc := range []struct{ name, bill, said, refused string }{
		{"allowed", good, "licences: 2 components, 1 Apache-2.0 and MIT, 1 MIT\n", ""},
		{"Go's own module", strings.Replace(strings.Replace(good, `"a"`, `"golang.org/x/text"`, 1), `"MIT"`, `"BSD-Source-Code"`, 1), "licences: 2 components, 1 Apache-2.0 and MIT, 1 BSD-3-Clause\n", ""},
		{"the same of another module", strings.Replace(good, `"MIT"`, `"BSD-Source-Code"`, 1), "", "a v1: BSD-Source-Code"},
		{"not allowed beside an allowed one", strings.Replace(good, "Apache-2.0", "AGPL-3.0-only", 1), "", "b v2: MIT, AGPL-3.0-only"},
		{"not told", strings.Replace(good, `{"license":{"id":"MIT"}}]}},`, `]}},`, 1), "", "a v1: may not be shipped, or is not told"},
		{"nothing listed", `{"components":[]}`, "", "lists no component"},
		{"no bill", `<bom/>`, "", "invalid character"},
	} {
		dir := t.TempDir()
		in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
		if err := os.WriteFile(in, []byte(tc.bill), 0o600); err != nil {
			t.Fatal(err)
		}
		said, err := run(in, out, "1700000000")
		if said != tc.said || (err == nil) != (tc.refused == "") || err != nil && !strings.Contains(err.Error(), tc.refused) {
			t.Errorf("%s: %q %v", tc.name, said, err)
		}
		if err != nil {
			continue
		}
		text, err := os.ReadFile(out)
		if err != nil || !strings.Contains(string(text), `"timestamp": "2023-11-14T22:13:20Z"`) {
			t.Errorf("%s: %v %s", tc.name, err, text)
		}
	}
}
