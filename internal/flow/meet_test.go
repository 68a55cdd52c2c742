package flow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
)

const meetFlows = `
flow: meet
entity: order
from: {topic: orders}
to: {system: erp, find-by: [{field: no, compare: fold}]}
retry: {for: 5m, backoff: 100ms..2s}
---
flow: conflict
entity: order
from: {topic: orders}
to: {system: erp, find: after-conflict, find-by: [no]}
---
flow: gone
entity: order
from: {topic: orders}
to: {system: erp, on-delete: delete, find: after-conflict}
---
flow: erp-orders
entity: order
from: {system: erp, poll: {every: 1m}}
key: source.no
external-id: source.ref
to: {topic: booked}
`

// shelf is a target that can be asked for what it held before the hub came: by the field no, by its rule, and by external id.
type shelf struct {
	*target
	looks int
	fail  []error // of the looks, in turn
}

func (s *shelf) put(local, no, external string) {
	s.objects[local] = map[string]any{"no": no, "qty": 0}
	s.etags[local] = 1
	if external != "" {
		s.objects[local]["ref"] = external
	}
}

func (s *shelf) Find(_ context.Context, l connector.Lookup) ([]connector.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.Local == "" {
		s.looks++
		if len(s.fail) > 0 {
			err := s.fail[0]
			s.fail = s.fail[1:]
			if err != nil {
				return nil, err
			}
		}
	}
	var out []connector.Record
	for local, doc := range s.objects {
		text := func(name string) string { v, _ := doc[name].(string); return v }
		fits := local == l.Local
		switch {
		case l.Local != "":
		case l.External != "":
			fits = connector.SameExternal(text("ref"), l.External) || s.byExt[l.External] == local
		default:
			fits = l.Compare["no"].Same(text("no"), l.Natural["no"])
		}
		if fits {
			data, err := json.Marshal(doc)
			if err != nil {
				return nil, err
			}
			out = append(out, connector.Record{Local: local, Doc: data, ETag: fmt.Sprint(s.etags[local])})
		}
	}
	slices.SortFunc(out, func(a, b connector.Record) int { return strings.Compare(a.Local, b.Local) })
	return out, nil
}

func newShelf(t *testing.T) (*world, *shelf) {
	w := newWorldOf(t, meetFlows, store.Config{})
	s := &shelf{target: w.erp}
	w.deps.Systems["erp"].Connector = s
	return w, s
}

// An object that was there before the hub came is met once, however its key or its external id is written there.
func TestMeet(t *testing.T) {
	external := state.ExternalID("order", "hub-A")
	down := fault.New(fault.Unavailable, "down")
	for _, c := range []struct {
		name  string
		flow  string
		put   func(s *shelf)
		fail  []error
		calls string
		looks int
		sum   string
		why   string // of the parked message
		local string
	}{
		{name: "not there", calls: "create A", looks: 2, sum: "delivered=1", local: "T1"},
		{name: "there by its natural key", put: func(s *shelf) { s.put("9", "a", "") }, calls: "update A", looks: 2, sum: "delivered=1", local: "9"},
		{name: "there by its external id, in capitals", put: func(s *shelf) { s.put("9", "other", strings.ToUpper(external)) }, calls: "update A", looks: 1, sum: "delivered=1", local: "9"},
		{name: "there by its external id in another form", put: func(s *shelf) { s.put("9", "other", connector.FormCompact.Write(external)) }, calls: "update A", looks: 1, sum: "delivered=1", local: "9"},
		{name: "another's", put: func(s *shelf) { s.put("9", "B", state.ExternalID("order", "hub-B")) }, calls: "create A", looks: 2, sum: "delivered=1", local: "T1"},
		{name: "twice by its natural key", put: func(s *shelf) { s.put("9", "a", ""); s.put("12", "A", "") }, looks: 2, sum: "parked=1", why: `erp holds 2 objects with no "A": 12, 9`},
		{name: "twice by its external id", put: func(s *shelf) { s.put("9", "a", external); s.put("12", "b", strings.ToUpper(external)) }, looks: 1, sum: "parked=1",
			why: "erp holds 2 objects with the external id " + external + ": 12, 9"},
		{name: "the look fails for a while", fail: []error{down, down}, calls: "create A", looks: 4, sum: "delivered=1", local: "T1"},
		{name: "the look is refused", fail: []error{fault.New(fault.Invalid, "no such parameter")}, looks: 1, sum: "parked=1", why: "to.find: after-conflict leaves that out"},
		{name: "it cannot be asked by external id", fail: []error{connector.ErrNoLookup}, put: func(s *shelf) { s.put("9", "a", "") }, calls: "update A", looks: 2, sum: "delivered=1", local: "9"},
		{name: "it cannot be asked at all", fail: []error{connector.ErrNoLookup, connector.ErrNoLookup}, calls: "create A", looks: 2, sum: "delivered=1", local: "T1"},
		{name: "somebody else creates it after the look", put: func(s *shelf) {
			s.script = []step{{false, &fault.Error{Kind: fault.Conflict, Duplicate: true, Err: errors.New("taken")}, func(*target) { s.put("9", "A", "") }}}
		}, calls: "create A,update A", looks: 4, sum: "delivered=1", local: "9"},
		{name: "after a conflict only", flow: "conflict", put: func(s *shelf) { s.put("9", "A", "") }, calls: "create A", looks: 0, sum: "delivered=1", local: "T1"},
		{name: "after a conflict, several", flow: "conflict", put: func(s *shelf) {
			s.put("9", "A", "")
			s.put("12", "A", "")
			s.script = []step{{false, &fault.Error{Kind: fault.Conflict, Duplicate: true, Err: errors.New("taken")}, nil}}
		}, calls: "create A", looks: 2, sum: "parked=1", why: `erp holds 2 objects with no "A": 12, 9`},
		{name: "after a lost answer, several", flow: "conflict", put: func(s *shelf) {
			s.script = []step{{false, fault.New(fault.UnknownOutcome, "reset"), func(*target) { s.put("9", "x", external); s.put("12", "y", external) }}}
		}, calls: "create A", looks: 1, sum: "parked=1", why: "2 objects with the external id"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, s := newShelf(t)
			if c.put != nil {
				c.put(s)
			}
			s.fail = c.fail
			flow := c.flow
			if flow == "" {
				flow = "meet"
			}
			w.must(w.flow(flow), order("A", 1, "1"))
			w.expect(flow, c.sum)
			if got := strings.Join(s.calls, ","); got != c.calls || s.looks != c.looks {
				t.Errorf("calls %q and %d looks, want %q and %d", got, s.looks, c.calls, c.looks)
			}
			if q := w.queue(flow); len(q) != 0 && (c.why == "" || !strings.Contains(q[0].Reason, c.why)) {
				t.Errorf("parked: %s", q[0].Reason)
			} else if len(q) == 0 && c.why != "" {
				t.Error("it is not parked")
			}
			got, err := w.store.Target(t.Context(), "order", "hub-A", "erp", "crm")
			if err != nil {
				t.Fatal(err)
			}
			if local := ""; got.Ref != nil {
				if local = got.Ref.Local; local != c.local {
					t.Errorf("the hub knows it as %q, want %q", local, c.local)
				}
			}
			adopted := slices.ContainsFunc(w.journal("A"), func(j state.Journal) bool { return strings.HasPrefix(j.Reason, "adopted: ") })
			if want := c.local == "9"; adopted != want {
				t.Errorf("the journal tells of an adoption: %v, want %v", adopted, want)
			}
		})
	}
}

func (w *world) journal(key string) []state.Journal {
	w.t.Helper()
	tr, err := w.store.Trace(w.t.Context(), key)
	if err != nil {
		w.t.Fatal(err)
	}
	return tr.Journal
}

// Two objects of one source that share a natural key are not made one in the target: the second is parked and names the first.
func TestMeetIsNotShared(t *testing.T) {
	w, s := newShelf(t)
	r := w.flow("meet")
	if _, _, err := w.store.Resolve(t.Context(), "order", "crm", "c-1", "", "e"); err != nil {
		t.Fatal(err)
	}
	first := state.MintHub("order", "crm", "c-1")
	w.must(r, with(order("A", 1, "1"), func(e *event.Event) { e.Hub, e.Key, e.ID = first, "c-1", "1" }))
	w.must(r, with(order("A", 2, "1"), func(e *event.Event) { e.Hub, e.Key, e.ID = "hub-other", "c-2", "2" }))
	w.expect("meet", "delivered=1 parked=1")
	if q := w.queue("meet"); len(q) != 1 || !strings.Contains(q[0].Reason, "T1, and that is the order c-1 of crm already") {
		t.Errorf("%+v", q)
	}
	if got := strings.Join(s.calls, ","); got != "create A" {
		t.Errorf("calls %s", got)
	}
}

// An object that the hub has seen in the target alone is the same object when it comes from elsewhere.
func TestMeetTakesOverWhatIsKnownThereAlone(t *testing.T) {
	w, s := newShelf(t)
	s.put("9", "A", "")
	if _, _, err := w.store.Resolve(t.Context(), "order", "erp", "9", "", "e"); err != nil {
		t.Fatal(err)
	}
	w.must(w.flow("meet"), order("A", 1, "1"))
	w.expect("meet", "delivered=1")
	if hub, _, err := w.store.HubID(t.Context(), "order", "erp", "9"); err != nil || hub != "hub-A" {
		t.Errorf("%s %v", hub, err)
	}
}

// What comes from a system carries the external id as that system writes it; the second object of one id is parked, and both are named.
func TestExternalIDComesBack(t *testing.T) {
	external := state.ExternalID("order", "hub-A")
	for name, back := range map[string]string{
		"as it was": external, "capitals": strings.ToUpper(external), "braces": "{" + strings.ToUpper(external) + "}", "compact": connector.FormCompact.Write(external),
		"base32": connector.FormBase32.Write(external), "base32 in capitals": strings.ToUpper(connector.FormBase32.Write(external)), "urn": "urn:uuid:" + external,
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := newShelf(t)
			w.must(w.flow("meet"), order("A", 1, "1")) // T1 in the ERP
			in := w.flow("erp-orders")
			came := func(local, ref string) event.Event {
				return event.Event{ID: local, Source: "erp", Entity: "order", Operation: event.Upsert, Key: local, Version: "1", Data: fmt.Appendf(nil, `{"no":%q,"ref":%q}`, local, ref)}
			}
			w.must(in, came("T2", back))
			w.expect("erp-orders", "parked=1")
			if q := w.queue("erp-orders"); len(q) != 1 || !strings.Contains(q[0].Reason, "erp holds the object twice, as T1 and as T2") {
				t.Errorf("%+v", q)
			}
			if local, _, err := w.store.LocalID(t.Context(), "order", "erp", "hub-A"); err != nil || local != "T1" {
				t.Errorf("%s %v", local, err)
			}
			w.must(in, came("T3", ""))
			w.expect("erp-orders", "delivered=1 parked=1")
		})
	}
}
