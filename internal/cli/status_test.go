package cli

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestStatusShowsRemarks: what is remarkable about a source stands below the tables, with its flow, and makes nothing fail.
func TestStatusShowsRemarks(t *testing.T) {
	hub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
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

// TestStatusSaysOnce: what a flow says of its system, or of its sender, is not said again under the system's name or the refusals'.
func TestStatusSaysOnce(t *testing.T) {
	const why = "down since 2026-11-29T10:59:52Z: probe: dial tcp 127.0.0.1:28999: connect: connection refused, and so on at some length"
	const detail = "the request does not prove that it comes from this source: the signature does not fit the body under any active secret"
	hub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"broker":{"state":"up"},"flows":[{"name":"orders","state":"running","why":"dead is ` + why + `; nothing is parked"},
			{"name":"shop","state":"attention","why":"its sender is refused: ` + detail + `"}],
			"systems":[{"name":"dead","state":"down","why":"` + why + `"},{"name":"other","state":"down","why":"` + why + `, but another"}],
			"refused":[{"flow":"shop","reason":"signature","count":1,"last_hour":1,"detail":"` + detail + `"}],
			"access":{"wrong_tokens":1,"last_wrong":"2026-11-29T10:59:53Z","last_wrong_from":"127.0.0.1"}}`)) // a test's answer
	}))
	defer hub.Close()
	_, out, err := command(t, "status", "--url", hub.URL)
	for text, want := range map[string]int{why: 2, why + ", but another": 1, detail: 1, "below\n": 5, "note: 1 wrong token since the start at ": 1} {
		if got := strings.Count(out, text); got != want {
			t.Errorf("%q is said %d times, want %d:\n%s%s", text, got, want, out, err)
		}
	}
}
