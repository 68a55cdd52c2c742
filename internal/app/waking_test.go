package app

import (
	"io"
	"net/http"
	"testing"

	"github.com/waybill-hub/waybill/internal/state"
)

// TestWakesWhatWaited: that something has come for which a message waited is heard at once from the store, whoever has stored it.
func TestWakesWhatWaited(t *testing.T) {
	t.Parallel()
	p := newProject(t, newTarget(t).URL)
	p.edit("flows/erp.yaml", "map:", "requires: [{entity: contact, id: source.no}]\nmap:")
	hub := p.start(io.Discard)
	contact := state.MintHub("contact", "shop", "c1")
	if code, err := push(t.Context(), hub, "shop/orders", "d1", document{No: contact, Seq: 1}); err != nil || code != http.StatusAccepted {
		t.Fatal(code, err)
	}
	totals := func() state.FlowTotals {
		t.Helper()
		all, _, _, err := hub.store.StatusSnapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range all {
			if f.Flow == "orders-to-erp" {
				return f
			}
		}
		return state.FlowTotals{}
	}
	await(t, "it waits", func() bool { return totals().Waiting == 1 })
	links := []state.Link{{Entity: "contact", IDs: []state.LocalID{{System: "shop", Local: "c1"}, {System: "erp", Local: "7"}}}}
	if got, err := hub.store.Link(t.Context(), links, false, "ann"); err != nil || got[0].Status != state.LinkMade {
		t.Fatal(got, err)
	}
	await(t, "the store is heard", func() bool { return len(hub.store.Woken()) == 0 })
	await(t, "it is delivered", func() bool { return totals().Delivered == 1 })
}
