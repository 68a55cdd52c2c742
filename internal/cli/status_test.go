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
