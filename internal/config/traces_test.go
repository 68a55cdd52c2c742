package config

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestTracesSettings(t *testing.T) {
	t.Setenv("COLLECTOR_TOKEN", "Bearer x")
	for _, c := range []struct{ text, want, endpoint string }{
		{"endpoint: http://127.0.0.1:4318", "", "http://127.0.0.1:4318/v1/traces"},
		{"endpoint: \"https://otel.example.com/tenant/a\", sample: 0.1, headers: {Authorization: \"${env:COLLECTOR_TOKEN}\"}", "", "https://otel.example.com/tenant/a"},
		{"endpoint: http://otel.example.com:4318", "can be read on the way", "http://otel.example.com:4318/v1/traces"},
		{"endpoint: \"otel.example.com:4317\"", "is no address of HTTP", ""},
		{"endpoint: \"grpc://otel.example.com:4317\"", "is no address of HTTP", ""},
		{"endpoint: \"https://u:p@otel.example.com\"", "without a login", ""},
		{"sample: 1", "endpoint is missing", ""},
		{"endpoint: http://127.0.0.1:4318, sample: 2", `"2" is not possible`, "http://127.0.0.1:4318/v1/traces"},
		{"endpoint: http://127.0.0.1:4318, sample: NaN", `"NaN" is not possible`, "http://127.0.0.1:4318/v1/traces"},
		{"endpoint: http://127.0.0.1:4318, sample: half", `"half" is not possible`, "http://127.0.0.1:4318/v1/traces"},
	} {
		fs := fstest.MapFS{"waybill.yaml": &fstest.MapFile{Data: []byte("traces: {" + c.text + "}\n")}}
		plan, problems := Load(Paths{Config: "waybill.yaml", ConfigFS: fs}, Options{})
		got := ""
		if err := problems.Err(); err != nil {
			got = err.Error()
		}
		for _, p := range problems.Notes() {
			if strings.Contains(p.Message, "endpoint: ") {
				got += p.Message
			}
		}
		if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.text, got, c.want)
		}
		if plan != nil && plan.Hub.Traces.Endpoint != c.endpoint {
			t.Errorf("%s: endpoint %q", c.text, plan.Hub.Traces.Endpoint)
		}
	}
}
