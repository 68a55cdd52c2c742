package acceptance

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	collected "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/waybill-hub/waybill/internal/systemtest"
)

// spans takes OTLP over HTTP, as a collector does.
type spans struct {
	mu   sync.Mutex
	all  []*traces.Span
	raw  []byte
	key  []string // the Authorization of requests
	told map[string]string
}

func (c *spans) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = z
	}
	data, err := io.ReadAll(body)
	var in collected.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(data, &in)
	}
	if err != nil || r.URL.Path != "/v1/traces" {
		http.Error(w, fmt.Sprint(r.URL.Path, err), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw, c.key = append(c.raw, data...), append(c.key, r.Header.Get("Authorization"))
	for _, res := range in.ResourceSpans {
		for _, a := range res.Resource.Attributes {
			c.told[a.Key] = a.Value.GetStringValue()
		}
		for _, s := range res.ScopeSpans {
			c.all = append(c.all, s.Spans...)
		}
	}
}

// of gives the spans of a trace by their names.
func (c *spans) of(trace string) map[string]*traces.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string]*traces.Span{}
	for _, s := range c.all {
		if hex.EncodeToString(s.TraceId) == trace {
			out[s.Name] = s
		}
	}
	return out
}

func attributesOf(s *traces.Span) map[string]string {
	out := map[string]string{}
	for _, a := range s.Attributes {
		out[a.Key] = a.Value.GetStringValue()
	}
	return out
}

// tracedTarget takes orders, refuses one, and keeps the traceparent of each request that writes.
type tracedTarget struct {
	mu     sync.Mutex
	parent map[string]string // by what the body holds
}

func (s *tracedTarget) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if r.Method != http.MethodPost {
		fmt.Fprint(w, `[]`)
		return
	}
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, number := range []string{"A-1", "A-2", "A-3", "A-4"} {
		if bytes.Contains(body, []byte(number)) {
			s.parent[number] = r.Header.Get("Traceparent")
		}
	}
	if bytes.Contains(body, []byte("A-2")) {
		http.Error(w, `{"message":"A-2 is not wanted"}`, http.StatusUnprocessableEntity)
		return
	}
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, `{"id":"%x","ref":"r"}`, len(s.parent))
}

func (s *tracedTarget) of(number string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.parent[number]
}

// TestTraces: the collector is a stand-in.
func TestTraces(t *testing.T) {
	t.Parallel()
	c := &spans{told: map[string]string{}}
	srv := httptest.NewServer(c)
	defer srv.Close()
	tracesOn(t, c, srv.URL)
	for _, k := range c.key {
		if k != "Bearer of-the-collector" {
			t.Errorf("a request came with %q", k)
		}
	}
}

// TestTracesCollected: the collector is OpenTelemetry's own, which hands on what it has taken.
func TestTracesCollected(t *testing.T) {
	c := &spans{told: map[string]string{}}
	srv := httptest.NewServer(c)
	defer srv.Close()
	tracesOn(t, c, (&systemtest.Script{Name: "collector", Needs: "Go's module proxy", Env: []string{"WAYBILL_COLLECTOR_TO=" + srv.URL}}).For(t))
}

// tracesOn: a webhook that carries a trace can be followed through both topics to the target, which is called in the same trace; what has no trace begins one; and nothing of
// a document, and no business key, is told.
func tracesOn(t *testing.T, c *spans, endpoint string) {
	target := &tracedTarget{parent: map[string]string{}}
	srv := httptest.NewServer(target)
	defer srv.Close()
	p := newReadings(t, map[string]string{
		"configs/waybill.yaml": "traces: {endpoint: \"" + endpoint + "\", headers: {Authorization: \"${env:COLLECTOR_TOKEN}\"}}\n" + strings.Replace(readingsFiles["configs/waybill.yaml"], "systems:\n",
			"systems:\n  billing:\n    connector: rest\n    url: "+srv.URL+"\n    objects: {reading: {path: /readings, external-id: ref, find: {external: {ref: \"{external}\"}}}}\n", 1),
		"flows/billing.yaml": "flow: readings-to-billing\nentity: reading\nfrom: {topic: canonical.reading}\nto: {system: billing}\n",
	})
	h := p.run(t, map[string]string{"SCANNER_SECRET": hookSecret, "COLLECTOR_TOKEN": "Bearer of-the-collector"})
	const own, sender = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	given := map[string]string{"A-1": "00-" + own + "-" + sender + "-01", "A-2": "", "A-3": "00-5bf92f3577b34da6a3ce929d0e0e4736-" + sender + "-00"}
	for number, parent := range given {
		if status, answer := (push{id: number, body: []byte(reading(number, 1)), trace: parent}).send(t, p); status != http.StatusAccepted {
			t.Fatalf("%d %s", status, answer)
		}
	}
	if err := os.WriteFile(p.path("drop/one.tmp"), []byte("number,amount\nA-4,4\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(p.path("drop/one.tmp"), p.path("drop/one.csv")); err != nil {
		t.Fatal(err)
	}
	h.await("everything has its fate", time.Minute, func() bool {
		st := h.status()
		return target.of("A-4") != "" && st.Totals.Parked == 1 && st.Totals.InFlight == 0
	})
	traceOf := func(number string) string { return strings.Split(target.of(number)+"--", "-")[1] }
	h.await("the spans", time.Minute, func() bool {
		return len(c.of(own)) >= 7 && len(c.of(traceOf("A-2"))) >= 7 && len(c.of(traceOf("A-4"))) >= 7
	})
	// From the sender to the target, each below what it came of.
	all := c.of(own)
	above := sender
	for _, name := range []string{"webhook scanner-readings", "send in.scanner-readings", "work scanner-readings", "send canonical.reading", "work readings-to-billing", "create billing"} {
		s := all[name]
		if s == nil {
			t.Fatalf("no span %q of %d", name, len(all))
		}
		if got := hex.EncodeToString(s.ParentSpanId); got != above {
			t.Errorf("%q is below %s, want %s", name, got, above)
		}
		if s.EndTimeUnixNano < s.StartTimeUnixNano || s.Status.GetCode() == traces.Status_STATUS_CODE_ERROR {
			t.Errorf("%q: %v", name, s)
		}
		above = hex.EncodeToString(s.SpanId)
	}
	if want := "00-" + own + "-" + above + "-01"; target.of("A-1") != want {
		t.Errorf("the target was called under %s, want %s", target.of("A-1"), want)
	}
	if got := attributesOf(all["work readings-to-billing"]); got["waybill.flow"] != "readings-to-billing" || got["waybill.entity"] != "reading" || got["waybill.outcome"] != "delivered" || got["waybill.event"] == "" {
		t.Errorf("attributes %v", got)
	}
	// What failed is told as failed.
	failed := c.of(traceOf("A-2"))
	for _, name := range []string{"work readings-to-billing", "create billing"} {
		if s := failed[name]; s == nil || s.Status.GetCode() != traces.Status_STATUS_CODE_ERROR || attributesOf(s)["error.type"] != "invalid" {
			t.Errorf("%q of what was refused: %v", name, s)
		}
	}
	for number, first := range map[string]string{"A-2": "webhook scanner-readings", "A-4": "read till-readings"} {
		if s := c.of(traceOf(number))[first]; s == nil || len(s.ParentSpanId) != 0 {
			t.Errorf("the trace of %s does not begin with %q: %v", number, first, s)
		}
	}
	// What its sender does not sample is not told of, and carries its trace all the same.
	if n := len(c.of("5bf92f3577b34da6a3ce929d0e0e4736")); n != 0 || !strings.HasPrefix(target.of("A-3"), "00-5bf92f3577b34da6a3ce929d0e0e4736-") || !strings.HasSuffix(target.of("A-3"), "-00") {
		t.Errorf("%d spans of what is not sampled; the target was called under %s", n, target.of("A-3"))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.told["service.name"] != "waybill" || c.told["service.version"] == "" {
		t.Errorf("the resource is %v", c.told)
	}
	for _, hidden := range []string{"is not wanted", "amount", hookSecret, "of-the-collector"} {
		if bytes.Contains(c.raw, []byte(hidden)) {
			t.Errorf("the collector was told %q", hidden)
		}
	}
	if strings.Contains(h.text(), "of-the-collector") {
		t.Error("the log tells the collector's token")
	}
}

// TestTracesWithoutCollector: a collector that is not there costs no message, and is told of.
func TestTracesWithoutCollector(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	p := newReadings(t, map[string]string{"configs/waybill.yaml": "traces: {endpoint: \"" + gone.URL + "\"}\n" + readingsFiles["configs/waybill.yaml"]})
	h := p.run(t, map[string]string{"SCANNER_SECRET": hookSecret})
	for i := range 3 {
		number := fmt.Sprintf("A-%d", i)
		if status, answer := (push{id: number, body: []byte(reading(number, i))}).send(t, p); status != http.StatusAccepted {
			t.Fatalf("%d %s", status, answer)
		}
	}
	h.await("the ledger", time.Minute, func() bool { return len(p.ledger(t)) == 3 })
	if code := h.stop(); code != 0 {
		t.Errorf("it ended with %d", code)
	}
	if text := h.text(); !strings.Contains(text, "spans cannot be sent to the collector") && !strings.Contains(text, "the last spans were not sent") {
		t.Error("nobody was told")
	}
}
