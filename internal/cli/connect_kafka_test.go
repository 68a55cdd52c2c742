package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"github.com/waybill-hub/waybill/internal/bus"
	"github.com/waybill-hub/waybill/internal/bus/embedded/brokertest"
)

// TestConnectSchema: a mapping is held against the schema by which a registry judges what is written, before anything is.
func TestConnectSchema(t *testing.T) {
	addr := brokertest.Start(t).Addr()
	c, err := bus.Dial(t.Context(), bus.Config{Brokers: []string{addr}, Log: brokertest.Quiet(t), Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.EnsureTopics(t.Context(), []bus.Topic{{Name: "erp.orders", Partitions: 1, Replication: 1}}); err != nil {
		t.Fatal(err)
	}
	registry := srfake.New()
	defer registry.Close()
	for _, tt := range []struct {
		name, fields, key string
		code              int
		says              []string
	}{
		{"fits", `{"name":"no","type":"string"},{"name":"name","type":["null","string"],"default":null}`, "no", 0, []string{"partner (kafka): ok; objects: 1, records read: 0"}},
		{"a field that is not written", `{"name":"no","type":"string"},{"name":"name","type":["null","string"]},{"name":"total","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}}`, "no", 1,
			[]string{`flow out: the schema of order of partner wants "total" (decimal(9,2)), and the mapping n may leave it out: such a message would be parked`}},
		{"a field that may be left out", `{"name":"no","type":"string"},{"name":"name","type":"string"}`, "no", 1, []string{`wants "name" (string), and the mapping n may leave it out`}},
		{"a field that the schema lacks", `{"name":"no","type":"string"},{"name":"nane","type":["null","string"]}`, "no", 1,
			[]string{`flow out: the mapping n writes "name", and the schema of order of partner has no such field: it would be parked (did you mean "nane"?)`}},
		{"a key that the schema lacks", `{"name":"no","type":"string"},{"name":"name","type":["null","string"]}`, "number", 1, []string{`object order of partner: the settings name "number", and the system has no such field`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			registry.Reset()
			if _, _, err := registry.RegisterSchema("erp.orders-value", sr.Schema{Schema: `{"type":"record","name":"Order","fields":[` + tt.fields + `]}`}); err != nil {
				t.Fatal(err)
			}
			t.Chdir(t.TempDir())
			write(t, "configs/waybill.yaml", listens+"systems:\n  partner:\n    connector: kafka\n    brokers: [\""+addr+"\"]\n    registry: {url: \""+registry.URL()+"\"}\n    objects: {order: {topic: erp.orders, format: avro, write: {key: \""+tt.key+"\"}}}\n")
			write(t, "flows/f.yaml", "flow: out\nentity: order\nfrom: {topic: orders}\nmap: n\nto: {system: partner}\n")
			write(t, "schemas/hub.json", `{"type":"object","required":["no"],"properties":{"no":{"type":"string","maxLength":40},"name":{"type":"string"}}}`)
			write(t, "mappings/m.yaml", "mapping: n\nfrom: hub\nto: hub\nset:\n  no: source.no\n  name?: source.name\n")
			code, out, errs := command(t, "check", "--connect")
			if code != tt.code {
				t.Errorf("exits with %d", code)
			}
			for _, s := range tt.says {
				if !strings.Contains(out, s) {
					t.Errorf("does not say %q", s)
				}
			}
			if t.Failed() {
				t.Log(out + errs)
			}
		})
	}
}
