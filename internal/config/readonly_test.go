package config

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/waybill-hub/waybill/internal/connector"
)

// quiet is a kind whose systems are only read where their colour is red.
type quiet struct{ thing }

func (quiet) ReadOnly(s connector.Settings) bool { return s.Node.Get("colour").Text() == "red" }

// TestReadOnlySystem: a flow that writes to a system which is only read is a problem, where it names the system.
func TestReadOnlySystem(t *testing.T) {
	for colour, want := range map[string]bool{"red": true, "green": false} {
		o := testOptions()
		o.Kinds["quiet"] = quiet{o.Kinds["thing"].(thing)}
		_, p := Load(EmbeddedPaths(fstest.MapFS{"waybill.yaml": {Data: []byte("systems:\n  erp: {connector: quiet, colour: " + colour + "}\n")}},
			fstest.MapFS{"f.yaml": {Data: []byte("flow: orders\nentity: order\nfrom: {topic: canonical.order}\nmap: order\nto: {system: erp}\n")}},
			fstest.MapFS{"m.yaml": {Data: []byte(ruleMappings)}}, ruleSchemas), o)
		told := p.Err() != nil && strings.Contains(p.Err().Error(), `flows/f.yaml:5:5: the system "erp" is only read: its settings say read-only`)
		if told != want {
			t.Errorf("%s: %v", colour, p.Err())
		}
	}
}
