//go:build !oracle

package sql

import (
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// TestWithoutOracle: a hub without the driver says so when it is checked, and how to get one that has it.
func TestWithoutOracle(t *testing.T) {
	t.Setenv("SQL_ORACLE", serverURL["oracle"])
	s := settingsOf(t, "connector: sql\ndriver: oracle\nurl: ${env:SQL_ORACLE}\nobjects: {a: {table: a, columns: {id: integer}}}")
	var p strictyaml.Problems
	Kind{}.Check(s, &p)
	if err := p.Err(); err == nil || !strings.Contains(err.Error(), "waybill.yaml:2:9") || !strings.Contains(err.Error(), "-tags oracle") || !strings.Contains(err.Error(), "waybill-oracle") {
		t.Errorf("%v", err)
	}
	if _, err := (Kind{}).Open(t.Context(), s); err == nil {
		t.Error("it was opened")
	}
}
