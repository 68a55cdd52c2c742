package store

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// SQLite parses a statement with a bare LIMIT ? anew at every run, because the driver clears parameters (findings/sqlite-limit-parameter.sh).
func TestLimitsAreExpressions(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files (%v)", len(files), err)
	}
	bare, casts := regexp.MustCompile(`(?i)LIMIT\s+\?`), 0
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if at := bare.FindIndex(b); at != nil {
			t.Errorf("%s:%d: write LIMIT CAST(? AS INTEGER)", f, 1+strings.Count(string(b[:at[0]]), "\n"))
		}
		casts += strings.Count(string(b), "LIMIT CAST(? AS INTEGER)")
	}
	if casts == 0 {
		t.Error("no statement has a limit: the test looks for the wrong thing")
	}
}
