package webhook

import (
	"net/http/httptest"
	"testing"

	"github.com/waybill-hub/waybill/internal/webhook/webhooktest"
)

// at sends a signed delivery to a path.
func (b *bench) at(path, id string) *httptest.ResponseRecorder {
	const body = `{"id":"1"}`
	return b.serve(webhooktest.Delivery(path, id, b.Clock.Now(), body))
}

// TestEndpointsChange: an endpoint that stays the same keeps its rate and its requests, one that changes hands says so between Close and Open,
// and nothing has happened before Close.
func TestEndpointsChange(t *testing.T) {
	onSQLite(t, func(t *testing.T, b *bench) {
		source := func(flow, path string) Source {
			e := *standardHook()
			e.Path = path
			return Source{Flow: flow, Topic: "in." + flow, Endpoint: e}
		}
		h, err := New(Config{Inbox: b.Store, Clock: b.Clock}, []Source{source("same", "a/same"), source("changed", "a/changed"), source("gone", "a/gone"), source("left", "a/moved")})
		if err != nil {
			t.Fatal(err)
		}
		b.handler = h
		answers := func(when string, want map[string]int) {
			t.Helper()
			for path, status := range want {
				if w := b.at(path, when); w.Code != status {
					t.Errorf("%s %s answers %d, want %d", when, path, w.Code, status)
				}
			}
		}
		before := *h.routes.Load()
		c, err := h.Prepare([]Source{source("same", "a/same"), source("changed", "a/changed"), source("taker", "a/moved"), source("new", "a/new")}, func(flow string) bool { return flow == "same" })
		if err != nil {
			t.Fatal(err)
		}
		answers("first", map[string]int{"a/same": 202, "a/changed": 202, "a/gone": 202, "a/moved": 202, "a/new": 404})
		if err := c.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		answers("between", map[string]int{"a/same": 202, "a/changed": 202, "a/gone": 404, "a/moved": 503, "a/new": 404})
		c.Open()
		answers("afterwards", map[string]int{"a/same": 202, "a/changed": 202, "a/gone": 404, "a/moved": 202, "a/new": 202})
		after := *h.routes.Load()
		if after["a/same"] != before["a/same"] {
			t.Error("what did not change was begun anew")
		}
		if after["a/changed"] == before["a/changed"] || after["a/moved"].Flow != "taker" {
			t.Error("what changed is as before")
		}
	})
}
