package lifecycle

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Where the wall time matters it is asked of a Clock, so that tests can set it. Files that only measure how long something takes are
// named here.
func TestWallTimeComesFromAClock(t *testing.T) {
	measure := map[string]bool{"internal/intake/limit.go": true, "internal/store/store.go": true,
		"connectors/sql/capture_stream.go": true} // a connection's deadline is one of the machine's clock
	now := regexp.MustCompile(`\btime\.(Now|Since|Until|After|Tick|NewTicker)\(`)
	seen := 0
	for _, dir := range []string{"internal/flow", "internal/intake", "internal/schedule", "internal/store", "internal/app", "connectors"} {
		err := filepath.WalkDir(filepath.Join("../..", dir), func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, "_test.go") || strings.Contains(p, "test/") {
				return err
			}
			name := filepath.ToSlash(strings.TrimPrefix(p, "../../"))
			text, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			seen++
			for i, line := range strings.Split(string(text), "\n") {
				if !measure[name] && now.MatchString(line) {
					t.Errorf("%s:%d: %s: take the time from a lifecycle.Clock", name, i+1, strings.TrimSpace(line))
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if seen < 50 {
		t.Errorf("only %d files were looked at", seen)
	}
}
