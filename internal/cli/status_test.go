package cli

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestStatusShowsRemarks: what is remarkable about a source stands below the tables, with its flow, and makes nothing fail.
func TestStatusShowsRemarks(t *testing.T) {
	hub := hubServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"broker":{"state":"up"},"flows":[{"name":"sales","from":"erp","to":"canonical.order","state":"running",
			"remarks":[{"kind":"ahead","count":1,"id":"2","version":"2062-11-28T10:00:00Z","text":"1 record is stamped ahead of the clock: 2 at 2062-11-28T10:00:00Z"}]}]}`)) // a test's answer
	}))
	defer hub.Close()
	code, out, err := command(t, "status", "--url", hub.URL)
	if code != 0 || !strings.Contains(out, "\nsales from erp: 1 record is stamped ahead of the clock: 2 at 2062-11-28T10:00:00Z\n") {
		t.Errorf("%d %s%s", code, out, err)
	}
	code, out, err = command(t, "status", "--url", hub.URL, "--output", "json")
	if code != 0 || !strings.Contains(out, `"kind": "ahead"`) || !strings.Contains(out, `"id": "2"`) {
		t.Errorf("json: %d %s%s", code, out, err)
	}
}

// TestStatusSaysOfWhom: a line below names all whom it is about, and the reason of a refusal; what stands above is not said below.
func TestStatusSaysOfWhom(t *testing.T) {
	const hub = "the store takes nothing since 2026-11-29T21:25:31Z: its file or disk is read-only: attempt to write a readonly database (8)"
	const erp = "erp is down since 2026-11-29T10:59:52Z: probe: dial tcp 127.0.0.1:28999: connect: connection refused; nothing is parked for it"
	const busy, signature = "the hub cannot store the delivery now; send it again: store: accept: attempt to write a readonly database", "the request does not prove that it comes from this source: the signature does not fit the body"
	flows := []string{`{"name":"orders","state":"failing","why":"` + hub + `"}`, `{"name":"prices","state":"failing","why":"` + hub + `"}`}
	for i := range 3 {
		flows = append(flows, fmt.Sprintf(`{"name":"to-erp-%d","state":"failing","why":"%s"}`, i, erp))
	}
	for i := range mostNames + 3 {
		flows = append(flows, fmt.Sprintf(`{"name":"x%d","state":"failing","why":"%s"}`, i, strings.Repeat("x", whyWidth+1)))
	}
	server := hubServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"broker":{"state":"up"},"hub":{"state":"failing","why":"` + hub + `"},"flows":[` + strings.Join(flows, ",") + `],
			"refused":[{"flow":"shop","reason":"busy","detail":"` + busy + `"},{"flow":"shop","reason":"signature","detail":"` + signature + `"}]}`)) // a test's answer
	}))
	defer server.Close()
	_, out, err := command(t, "status", "--url", server.URL)
	for text, want := range map[string]int{hub: 1, "the hub: above\n": 2, "\nto-erp-0, to-erp-1, to-erp-2: " + erp: 1, "\nx0, x1, x2, x3, x4, x5, x6, and 4 more: xxx": 1,
		"\nshop (busy): " + busy: 1, "\nshop (signature): " + signature: 1} {
		if got := strings.Count(out, text); got != want {
			t.Errorf("%q is said %d times, want %d:\n%s%s", text, got, want, out, err)
		}
	}
}

// TestStatusSaysOnce: what a flow says of its system, or of its sender, is not said again under the system's name or the refusals'.
func TestStatusSaysOnce(t *testing.T) {
	const why = "down since 2026-11-29T10:59:52Z: probe: dial tcp 127.0.0.1:28999: connect: connection refused, and so on at some length"
	const detail = "the request does not prove that it comes from this source: the signature does not fit the body under any active secret"
	hub := hubServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"broker":{"state":"up"},"flows":[{"name":"orders","state":"running","why":"dead is ` + why + `; nothing is parked"},
			{"name":"shop","state":"attention","why":"its sender is refused: ` + detail + `"}],
			"systems":[{"name":"dead","state":"down","why":"` + why + `"},{"name":"other","state":"down","why":"` + why + `, but another"}],
			"refused":[{"flow":"shop","reason":"signature","count":1,"last_hour":1,"detail":"` + detail + `"}],
			"access":{"wrong_tokens":1,"last_wrong":"2026-11-29T10:59:53Z","last_wrong_from":"127.0.0.1"}}`)) // a test's answer
	}))
	defer hub.Close()
	_, out, err := command(t, "status", "--url", hub.URL)
	for text, want := range map[string]int{why: 2, why + ", but another": 1, detail: 1, "below\n": 5, "note: 1 wrong token or password since the start at ": 1} {
		if got := strings.Count(out, text); got != want {
			t.Errorf("%q is said %d times, want %d:\n%s%s", text, got, want, out, err)
		}
	}
}
