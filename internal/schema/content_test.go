package schema

import (
	"testing"

	"github.com/waybill-hub/waybill/internal/strictyaml"
	"github.com/waybill-hub/waybill/schemas"
)

// shipped compiles the schemas that come with the hub.
func shipped(tb testing.TB) *Set {
	tb.Helper()
	files, err := Files(schemas.FS, "schemas")
	if err != nil {
		tb.Fatal(err)
	}
	var p strictyaml.Problems
	set := Compile(files, &p)
	if err := p.Err(); err != nil {
		tb.Fatal(err)
	}
	return set
}

func TestShippedSchemasCompile(t *testing.T) {
	set := shipped(t)
	for _, name := range set.Names() {
		if set.Get(name).judge == nil {
			t.Errorf("%s: no validator", name)
		}
	}
}
