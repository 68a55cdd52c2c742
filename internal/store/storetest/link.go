package storetest

import (
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/state"
)

// pairs reads "crm 1, erp 5".
func pairs(text string) state.Link {
	l := state.Link{Entity: "customer"}
	for _, part := range strings.Split(text, ", ") {
		system, local, _ := strings.Cut(part, " ")
		l.IDs = append(l.IDs, state.LocalID{System: system, Local: local})
	}
	return l
}

func testLink(t *testing.T, b *bench) {
	crm1 := b.resolve(b.Store, "1", "", state.Minted)
	alone, _, err := b.Resolve(b.ctx(), "customer", "erp", "90", "", "event") // seen in the ERP alone
	b.no(err)
	b.no(b.OpenIntent(b.ctx(), state.Intent{Flow: "f", Entity: "customer", Hub: state.MintHub("customer", "crm", "40"), System: "erp", EventID: "e", Create: true}))
	_, _, err = b.Resolve(b.ctx(), "customer", "crm", "40", state.NoExternal, "event")
	b.no(err)
	rows := []struct {
		text   string
		status state.LinkStatus
		hub    string
		reason string
	}{
		{"crm 1, erp 5", state.LinkMade, crm1, ""},
		{"crm 1, erp 5", state.LinkKnown, crm1, ""},
		{"erp 5, crm 1", state.LinkKnown, crm1, ""},
		{"crm 1, erp 6", state.LinkRefused, crm1, "the object is 5 in erp already (customer crm 1, erp 5)"},
		{"crm 2, erp 5", state.LinkRefused, crm1, "the object is 1 in crm already (customer crm 1, erp 5)"},
		{"crm 3, erp 7, wms W7", state.LinkMade, state.MintHub("customer", "crm", "3"), ""},
		{"crm 1, wms W1", state.LinkMade, crm1, ""},
		{"crm 1, wms W7", state.LinkRefused, "", "these are different objects: customer crm 1, erp 5, wms W1; customer crm 3, erp 7, wms W7"},
		{"crm 9, erp 90", state.LinkMade, alone, ""},
		{"crm 40, erp 41", state.LinkRefused, "", "the flow f is just writing the object to erp"},
	}
	var links []state.Link
	for _, r := range rows {
		links = append(links, pairs(r.text))
	}
	for _, dry := range []bool{true, false} {
		got, err := b.Link(b.ctx(), links, dry, "ann")
		b.no(err)
		for i, r := range rows {
			if got[i].Status != r.status || !strings.HasPrefix(got[i].Reason, r.reason) || r.hub != "" && got[i].Hub != r.hub {
				t.Errorf("dry run %v, %s: %+v, want %s: %s", dry, r.text, got[i], r.status, r.reason)
			}
		}
		_, ok, err := b.LocalID(b.ctx(), "customer", "erp", crm1)
		b.no(err)
		if ok == dry {
			t.Errorf("dry run %v: stored: %v", dry, ok)
		}
	}
	b.reopen()
	for _, want := range []string{"crm 1, erp 5, wms W1", "crm 3, erp 7, wms W7", "crm 9, erp 90"} {
		l := pairs(want)
		hub, ok, err := b.HubID(b.ctx(), "customer", l.IDs[0].System, l.IDs[0].Local)
		b.no(err)
		for _, id := range l.IDs {
			local, _, err := b.LocalID(b.ctx(), "customer", id.System, hub)
			b.no(err)
			if !ok || local != id.Local {
				t.Errorf("%s: %s is %q", want, id.System, local)
			}
		}
	}
	audits, err := b.Audits(b.ctx(), state.AuditFilter{Limit: 10})
	b.no(err)
	if len(audits) != 1 || audits[0].Who != "ann" || audits[0].Action != "link" || audits[0].Detail != "4 linked, 2 known already, 4 refused" {
		t.Errorf("audit: %+v", audits)
	}

	// Two objects that were each seen in one system alone become one; the second one's id is the first one's from then on.
	first, _, err := b.Resolve(b.ctx(), "customer", "crm", "50", state.NoExternal, "event")
	b.no(err)
	_, _, err = b.Resolve(b.ctx(), "customer", "erp", "51", state.NoExternal, "event")
	b.no(err)
	got, err := b.Link(b.ctx(), []state.Link{pairs("crm 50, erp 51")}, false, "ann")
	b.no(err)
	hub, _, err := b.HubID(b.ctx(), "customer", "erp", "51")
	b.no(err)
	if got[0].Status != state.LinkMade || hub != first {
		t.Errorf("%+v; erp 51 is %s, want %s", got, hub, first)
	}
}

// What waits for an id is ready as soon as a person has linked it.
func testLinkReleases(_ *testing.T, b *bench) {
	p := b.part(0)
	hub := b.resolve(b.Store, "1", "", state.Minted)
	p.commit(rest(0, state.Waiting, "a", needs(state.Missing{Entity: "customer", System: "erp", Hub: hub})))
	_, err := b.Link(b.ctx(), []state.Link{pairs("crm 1, erp 5")}, false, "ann")
	b.no(err)
	b.wantShape(p, "a", "waiting!ready")
}
