package cli

import (
	"strings"
	"testing"
)

// TestConnectorList: kinds and manifests stand in columns, however long their names are.
func TestConnectorList(t *testing.T) {
	t.Chdir(t.TempDir())
	code, out, errs := command(t, "connector", "list")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	at := strings.Index(lines[0], "WHAT")
	if code != 0 || len(lines) < 20 || at < 0 {
		t.Fatalf("%d\n%s%s", code, out, errs)
	}
	for _, line := range lines[1:] {
		if len(line) < at || line[at-1] != ' ' || !strings.HasPrefix(line[at:], "kind ") && !strings.HasPrefix(line[at:], "manifest ") {
			t.Errorf("out of its column: %s", line)
		}
	}
}
