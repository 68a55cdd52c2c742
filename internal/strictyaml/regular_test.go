package strictyaml

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadFileBounds(t *testing.T) {
	dir := t.TempDir()
	for name, n := range map[string]int{"at": 100, "past": 101} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Repeat("x", n)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if data, err := ReadPath(filepath.Join(dir, "at"), 100); err != nil || len(data) != 100 {
		t.Errorf("at the bound: %d bytes, %v", len(data), err)
	}
	if _, err := ReadFile(os.DirFS(dir), "past", 100); err == nil || !strings.Contains(err.Error(), "longer than 100B") {
		t.Errorf("past the bound: %v", err)
	}
	if _, err := ReadPath(dir, 100); err == nil || !strings.Contains(err.Error(), "a directory") {
		t.Errorf("a directory: %v", err)
	}
}
