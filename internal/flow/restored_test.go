package flow

import (
	"context"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/flow/deliver"
	"github.com/waybill-hub/waybill/internal/state"
)

// past is a store that went back.
type past struct {
	settling            bool
	rows                int64
	looked, found, told int
}

func (p *past) InDoubt(_ string, row int64) bool { return p.settling || row > 0 && row <= p.rows }
func (p *past) Settling() bool                   { return p.settling }
func (p *past) Looked(found bool) {
	p.looked++
	if found {
		p.found++
	}
}
func (p *past) Untold() { p.told++ }

// blindShelf is a target of which nobody can ask anything.
type blindShelf struct{ *shelf }

func (blindShelf) Find(context.Context, connector.Lookup) ([]connector.Record, error) {
	return nil, connector.ErrNoLookup
}

// After the store has gone back, nothing is created that may be there: it is looked up first, whatever to.find says, and parked where nobody can tell.
func TestRestoredIsNotCreatedTwice(t *testing.T) {
	external := state.ExternalID("order", "hub-A")
	deletion := func(e *event.Event) { e.Operation = event.Delete }
	for _, c := range []struct {
		name   string
		flow   string
		blind  bool
		past   *past // nil: it never went back
		put    func(s *shelf)
		change func(e *event.Event)
		calls  string
		sum    string
		why    string
	}{
		{name: "never restored", flow: "conflict", calls: "create A", sum: "delivered=1"},
		{name: "settled", flow: "conflict", past: &past{}, calls: "create A", sum: "delivered=1"},
		{name: "there, though the flow would create first", flow: "conflict", past: &past{settling: true}, put: func(s *shelf) { s.put("9", "A", external) }, calls: "update A", sum: "delivered=1"},
		{name: "there by its natural key", flow: "meet", past: &past{settling: true}, put: func(s *shelf) { s.put("9", "a", "") }, calls: "update A", sum: "delivered=1"},
		{name: "there twice", flow: "meet", past: &past{settling: true}, put: func(s *shelf) { s.put("9", "a", ""); s.put("12", "A", "") }, sum: "parked=1", why: "erp holds 2 objects"},
		{name: "nobody can tell", flow: "meet", blind: true, past: &past{settling: true}, sum: "parked=1", why: "the store was restored"},
		{name: "nobody can tell, and it never went back", flow: "meet", blind: true, calls: "create A", sum: "delivered=1"},
		{name: "a deletion of what is there", flow: "gone", past: &past{settling: true}, put: func(s *shelf) { s.put("9", "A", external) }, change: deletion, calls: "delete <nil>", sum: "delivered=1"},
		{name: "a deletion, and nobody can tell", flow: "gone", blind: true, past: &past{settling: true}, change: deletion, sum: "parked=1", why: "in erp in the time that is lost"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, s := newShelf(t)
			if c.put != nil {
				c.put(s)
			}
			if c.blind {
				w.deps.Systems["erp"].Connector = blindShelf{s}
			}
			if c.past != nil {
				w.deps.Restored = c.past
			}
			e := order("A", 1, "1")
			if c.change != nil {
				e = with(e, c.change)
			}
			w.must(w.flow(c.flow), e)
			w.expect(c.flow, c.sum)
			if got := strings.Join(s.calls, ","); got != c.calls {
				t.Errorf("calls %q, want %q", got, c.calls)
			}
			q := w.queue(c.flow)
			if c.why != "" && (len(q) != 1 || !strings.Contains(q[0].Reason, c.why)) {
				t.Errorf("parked: %+v", q)
			}
			if c.past != nil && c.past.settling && c.past.looked+c.past.told == 0 {
				t.Error("nothing was counted")
			}
		})
	}
}

// What is absent now may still arrive: the hub that was killed for the restore may have sent it a moment before.
func TestRestoredWaitsForTheLastRequest(t *testing.T) {
	w, s := newShelf(t)
	p := &past{settling: true}
	w.deps.Restored = p
	r := w.flow("meet")
	w.must(r, order("A", 1, "1"))
	w.expect("meet", "held=1")
	if len(s.calls) > 0 {
		t.Fatalf("calls %v", s.calls)
	}
	w.clock.Advance(deliver.CallTimeout + deliver.OwnershipTTL)
	w.until("it is created", func() bool { return w.totals("meet").Delivered == 1 })
	if got := strings.Join(s.calls, ","); got != "create A" || p.found != 0 || p.looked < 2 {
		t.Errorf("calls %s, %+v", got, p)
	}
}

// A person who replays what nobody could tell has looked; a message that was stored before stays in doubt however late it is replayed.
func TestRestoredIsVouchedForByAReplay(t *testing.T) {
	w, s := newShelf(t)
	w.deps.Systems["erp"].Connector = blindShelf{s}
	p := &past{settling: true}
	w.deps.Restored = p
	r := w.flow("meet")
	w.must(r, order("A", 1, "1"))
	w.expect("meet", "parked=1")
	row := w.queue("meet")[0]
	p.settling, p.rows = false, row.ID
	w.must(r, order("B", 1, "1"))
	w.expect("meet", "delivered=1 parked=1")
	w.mark(r, row.ID, state.MarkReplay)
	w.until("it is created", func() bool { return w.totals("meet").Delivered == 2 })
	if got := strings.Join(s.calls, ","); got != "create B,create A" {
		t.Errorf("calls %s", got)
	}
}

// An object that carries an external id of the hub which the store does not know was made there in the time that is lost: it is not taken for a new one.
func TestRestoredKnowsItsOwnObjects(t *testing.T) {
	external := state.ExternalID("order", "lost")
	for _, c := range []struct {
		name, external string
		past           *past
		want           string
	}{
		{"unknown, in doubt", external, &past{settling: true}, "held=1"},
		{"none", "", &past{settling: true}, "delivered=1"},
		{"the system's own", "6ba7b810-9dad-41d1-80b4-00c04fd430c8", &past{settling: true}, "delivered=1"},
		{"unknown, and never restored", external, nil, "delivered=1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, _ := newShelf(t)
			if c.past != nil {
				w.deps.Restored = c.past
			}
			r := w.flow("erp-orders")
			e := order("A", 1, "1")
			e.Hub, e.Source, e.Origin = "", "erp", ""
			e.Data = []byte(`{"no":"A","qty":1,"ref":"` + c.external + `"}`)
			w.must(r, e)
			w.expect("erp-orders", c.want)
			if c.want != "held=1" {
				return
			}
			// Where it came from brings it again: from then on it is known.
			c.past.settling, c.past.rows = false, w.queue("erp-orders")[0].ID
			w.until("nobody has brought it", func() bool {
				w.clock.Advance(deliver.CallTimeout)
				r.Kick()
				q := w.queue("erp-orders")
				return len(q) == 1 && q[0].State == state.Parked
			})
			if q := w.queue("erp-orders")[0]; !strings.Contains(q.Reason, external) || !strings.HasSuffix(q.Code, deliver.CodeRestored) {
				t.Errorf("parked as %+v", q)
			}
		})
	}
}

// Whether a target can be asked is asked of it.
func TestAsks(t *testing.T) {
	for _, c := range []struct {
		flow string
		conn func(s *shelf) connector.System
		want bool
	}{
		{"meet", func(s *shelf) connector.System { return s }, true},
		{"conflict", func(s *shelf) connector.System { return s }, false},
		{"meet", func(s *shelf) connector.System { return mute{s.target} }, false},
		{"meet", func(s *shelf) connector.System { return blindShelf{s} }, true}, // by its natural key, as far as it is told
		{"conflict", func(s *shelf) connector.System { return blindShelf{s} }, false},
		{"meet", func(s *shelf) connector.System { return paper{s.target} }, true},
	} {
		w, s := newShelf(t)
		w.deps.Systems["erp"].Connector = c.conn(s)
		ok, why, err := w.flow(c.flow).Asks(t.Context())
		if ok != c.want || err != nil || !ok && why == "" {
			t.Errorf("%s: %v %q %v, want %v", c.flow, ok, why, err, c.want)
		}
	}
}
