package config

import (
	"testing"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

func parseDocument(t testing.TB, text string) jsondoc.Value {
	t.Helper()
	d, err := jsondoc.Parse([]byte(text), jsondoc.Limits{})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return d.Root()
}
