//go:build oracle

package sql

import (
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// TestWithOracle: a hub with the driver takes the settings, and tells an address that nobody answers at by the driver's words.
func TestWithOracle(t *testing.T) {
	check := func(url string) error {
		t.Setenv("SQL_ORACLE", url)
		var p strictyaml.Problems
		Kind{}.Check(settingsOf(t, "connector: sql\ndriver: oracle\nurl: ${env:SQL_ORACLE}\nobjects: {a: {table: a, columns: {id: integer}}}"), &p)
		return p.Err()
	}
	if err := check(serverURL["oracle"]); err != nil {
		t.Error(err)
	}
	if err := check("oracle://hub@"); err == nil || !strings.Contains(err.Error(), "SERVICE") {
		t.Errorf("%v", err)
	}
	t.Setenv("SQL_ORACLE", "oracle://hub:unused-pa55word@127.0.0.1:1/erp")
	sys, err := Kind{}.Open(t.Context(), settingsOf(t, "connector: sql\ndriver: oracle\nurl: ${env:SQL_ORACLE}\ntimeout: 2s\nobjects: {a: {table: a, columns: {id: integer}}}"))
	if err != nil {
		t.Fatal(err)
	}
	defer sys.Close()
	if err := sys.Probe(t.Context()); fault.KindOf(err) != fault.Unavailable || strings.Contains(err.Error(), "unused-pa55word") {
		t.Errorf("%v", err)
	}
}
