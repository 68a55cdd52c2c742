package cli

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/api"
)

// TestAnotherServer: what answers every request with an object of its own is no hub of which all is well, and no hub that has done what was asked.
func TestAnotherServer(t *testing.T) {
	for _, answer := range []any{map[string]any{"items": []int{}}, map[string]any{"status": "ok", "version": "1"}, []int{}, nil, api.Status{}} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(answer) })) // a test's answer
		t.Cleanup(server.Close)
		url := server.URL
		for _, args := range [][]string{{"status"}, {"status", "--output", "json"}, {"parked", "list"}, {"parked", "list", "--by", "cause"}, {"parked", "show", "1"}, {"reconcile"}, {"rule"}, {"find", "A"}, {"trace", "A"}, {"xref", "A"},
			{"audit"}, {"backfill"}, {"alerts"}, {"reload"}, {"recover"}, {"pause", "orders"}, {"resume", "orders"}, {"resend", "order", "A"}, {"files", "list", "orders"}, {"parked", "replay", "1"}, {"restored"}} {
			code, out, errs := command(t, append(args, "--url", url)...)
			if code == 0 || out != "" || !strings.Contains(errs, url+" answers something else than a hub") {
				t.Errorf("%v answered with %v: exit %d, %q, %q", args, answer, code, out, errs)
			}
		}
	}
}

// TestEmptyArguments: what names nothing is wrong usage, and no hub is asked for it.
func TestEmptyArguments(t *testing.T) {
	for _, args := range [][]string{{"trace", ""}, {"xref", " "}, {"pause", ""}, {"resend", "order", ""}, {"resend", "", "A"}, {"audit", "x"}, {"audit", "0"}, {"reconcile", ""}, {"rule", ""}, {"sweep", ""}, {"rewind", "", "--to", "start"},
		{"parked", "replay", "--all", "--rate", "0/s"}, {"parked", "show", ""}, {"backup", ""}, {"restore", ""}, {"backfill", ""}, {"files", "list", ""}, {"files", "retake", "stock", ""}, {"reconcile", "runs", ""}, {"reconcile", "orders", "--key", ""}, {"parked", "discard", "--flow", "orders", "--key", "", "--note", "x"},
		{"parked", "list", "--flow", ""}, {"find", "A", "--entity", " "}, {"check", ""}, {"test", ""},
		{"reconcile", "show", "1", "--reason", "edited"}, {"reconcile", "show", "1", "--kind", "missing"}, {"rule", "show", "1", "--reason", "violation"}} {
		if code, out, errs := command(t, append(args, "--url", "http://127.0.0.1:1")...); code != 2 || errs == "" || out != "" {
			t.Errorf("%q: exit %d, %q, %q", args, code, out, errs)
		}
	}
}

// TestTooLong: a hub that refuses a request for its length is one.
func TestTooLong(t *testing.T) {
	hub := hubServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusRequestHeaderFieldsTooLarge) }))
	defer hub.Close()
	if code, _, errs := command(t, "trace", "A", "--url", hub.URL); code != 1 || !strings.Contains(errs, "too long") || strings.Contains(errs, "is a hub there") {
		t.Errorf("exit %d, %q", code, errs)
	}
}
