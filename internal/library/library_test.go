package library_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/waybill-hub/waybill/internal/library"
)

// TestShipped: each mapping of the library is whole in a project that holds nothing but a flow with its name.
func TestShipped(t *testing.T) {
	files, err := filepath.Glob("../../mappings/edi/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, file := range files {
		if matched, _ := filepath.Match("*_test.yaml", filepath.Base(file)); matched {
			continue
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^mapping: (\S+)`).FindAllSubmatch(data, -1) {
			if got := shippedMapping(t, string(m[1])); got.From() == nil || got.To() == nil || filepath.Base(got.Pos().File) != filepath.Base(file) {
				t.Errorf("%s: %+v", m[1], got.Pos())
			}
			tried++
		}
	}
	if tried != 25 {
		t.Errorf("%d mappings are shipped, and docs/edi.md has 25", tried)
	}
	for _, name := range []string{"canonical/none.v1", "edi/x12-580.v1", "edi/x12-850", "crm/order.v1"} {
		if library.Shipped().Schema(name) != nil {
			t.Errorf("%s is a schema of the library", name)
		}
	}
}
