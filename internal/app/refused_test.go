package app

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/waybill-hub/waybill/internal/state"
)

// What a target refuses in the body of a 2xx is not delivered: it parks with the target's own words, and an id that stands beside the refusal
// becomes nobody's.
func TestRefusedInA200(t *testing.T) {
	t.Parallel()
	var patches, posts atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in document
		_ = json.NewDecoder(r.Body).Decode(&in)
		switch {
		case r.Method == http.MethodGet:
			io.WriteString(w, `{"items":[]}`)
		case r.Method == http.MethodPatch:
			patches.Add(1)
			io.WriteString(w, `{"success":false,"error":{"code":"E_LOCKED","message":"period is closed"}}`)
		case in.No == "taken":
			posts.Add(1)
			w.WriteHeader(http.StatusAccepted)
			io.WriteString(w, `{"id":"stranger","error":{"code":"DUPLICATE_DATA","message":"the number is taken"}}`)
		default:
			fmt.Fprintf(w, `{"id":"T-%s"}`, in.No)
		}
	}))
	t.Cleanup(srv.Close)
	p := newProject(t, srv.URL)
	p.edit("configs/waybill.yaml", "    timeout: 5s\n", "    timeout: 5s\n    errors: {code: error.code, message: error.message, kinds: {E_LOCKED: invalid, DUPLICATE_DATA: duplicate}}\n")
	p.edit("configs/waybill.yaml", "        list: {items: items}\n", "        list: {items: items}\n        create: {answer: partial}\n")
	hub := p.start(io.Discard)
	for i, doc := range []document{{No: "A", Seq: 1}, {No: "A", Seq: 2}, {No: "taken", Seq: 1}} {
		if status, err := push(t.Context(), hub, "shop/orders", fmt.Sprintf("d-%d", i), doc); err != nil || status != http.StatusAccepted {
			t.Fatalf("%d %v", status, err)
		}
	}
	var parked []state.Queued
	await(t, "two to be parked", func() bool {
		var err error
		if parked, err = hub.store.Parked(t.Context(), state.QueueFilter{Flow: "orders-to-erp"}); err != nil {
			t.Fatal(err)
		}
		return len(parked) == 2 && parked[0].State == state.Parked && parked[1].State == state.Parked
	})
	for _, q := range parked {
		want, local := "erp: update order: 200 E_LOCKED: period is closed", "T-A"
		if q.Event.Key == "taken" {
			want, local = "erp: create order: 202 DUPLICATE_DATA: the number is taken; but it does not find it", ""
		}
		if !strings.HasPrefix(q.Reason, want) {
			t.Errorf("%s is parked with %q, want %q", q.Event.Key, q.Reason, want)
		}
		got, _, err := hub.store.LocalID(t.Context(), "order", "erp", q.Event.Hub)
		if err != nil || got != local {
			t.Errorf("%s is known as %q (%v), want %q", q.Event.Key, got, err, local)
		}
		trail, err := hub.store.Journal(t.Context(), state.JournalFilter{Flow: "orders-to-erp", Outcome: state.Parked})
		if err != nil || len(trail) != 2 || trail[0].Reason == "" {
			t.Errorf("the journal: %+v %v", trail, err)
		}
	}
	if patches.Load() != 1 || posts.Load() != 1 {
		t.Errorf("%d updates and %d creates were sent, want one of each", patches.Load(), posts.Load())
	}
}
