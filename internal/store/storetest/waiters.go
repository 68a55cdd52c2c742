package storetest

import (
	"fmt"
	"sync"
	"testing"

	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
)

func customer(hub, local string) *state.Ref {
	return &state.Ref{Entity: "customer", Hub: hub, System: "erp", Local: local}
}

func testWaiterForHub(t *testing.T, b *bench) {
	p, other := b.part(0), b.part(1)
	m := needs(state.Missing{Entity: "customer", System: "erp", Hub: "h1"})
	p.commit(rest(0, state.Waiting, "a", m), rest(1, state.Waiting, "a"), rest(2, state.Waiting, "b", needs(state.Missing{Entity: "customer", System: "erp", Hub: "h2"})),
		rest(3, state.Waiting, "c", needs(state.Missing{Entity: "customer", System: "wms", Hub: "h1"})))
	b.due(p)
	if q := p.queue("a")[0]; q.Missing == nil || *q.Missing != (state.Missing{Entity: "customer", System: "erp", Hub: "h1"}) {
		t.Errorf("missing: %+v", q.Missing)
	}
	other.commit(state.Result{Offset: 0, Outcome: state.Delivered, Ref: customer("h1", "")}, state.Result{Offset: 1, Outcome: state.Delivered, Ref: customer("h9", "9")})
	b.due(p) // a reference without an id satisfies nobody
	dead := customer("h1", "10")
	dead.Deleted = true
	other.commit(state.Result{Offset: 2, Outcome: state.Delivered, Ref: dead})
	b.due(p)
	other.commit(state.Result{Offset: 3, Outcome: state.Delivered, Ref: customer("h1", "10")})
	b.wantShape(p, "a", "waiting!ready waiting+")
	b.due(p, "a")
	// What came between the engine's look and the append is seen by the append.
	p.commit(rest(4, state.Waiting, "d", m))
	b.wantShape(p, "d", "waiting!ready")
	// And by the update of a row that waits again.
	p.commit(drained(p.queue("a")[0], state.Waiting, m))
	b.wantShape(p, "a", "waiting!ready waiting+")
	p.commit(drained(p.queue("a")[0], state.Waiting, needs(state.Missing{Entity: "product", System: "erp", Hub: "x"})))
	b.wantShape(p, "a", "waiting waiting+")
	b.totals(p.Flow)
}

func testWaiterForLocal(t *testing.T, b *bench) {
	p := b.part(0)
	m := func(local string) func(*state.Queued) {
		return needs(state.Missing{Entity: "customer", System: "crm", Local: local})
	}
	p.commit(rest(0, state.Waiting, "a", m("1")), rest(1, state.Waiting, "b", m("2")), rest(2, state.Waiting, "c", m("3")))
	b.resolve(b.Store, "1", "", state.Minted)
	b.wantShape(p, "a", "waiting!ready")
	p.commit(state.Result{Offset: 3, Outcome: state.Delivered, Ref: &state.Ref{Entity: "customer", Hub: "h", System: "crm", Local: "2"}})
	b.wantShape(p, "b", "waiting!ready")
	b.wantShape(p, "c", "waiting")
	p.commit(rest(4, state.Waiting, "d", m("1")))
	b.wantShape(p, "d", "waiting!ready")
	hub := state.MintHub("customer", "crm", "1")
	p.commit(rest(5, state.Waiting, "e", needs(state.Missing{Entity: "customer", System: "erp", Hub: hub})))
	if _, how, err := b.Resolve(b.ctx(), "customer", "erp", "77", state.ExternalID("customer", hub), "e"); err != nil || how != state.Matched {
		t.Fatal(how, err)
	}
	b.wantShape(p, "e", "waiting!ready")
}

func testWaiterForIntents(t *testing.T, b *bench) {
	p := b.part(0)
	in := []state.Intent{{Entity: "customer", System: "crm", Hub: "h1", EventID: "1", Create: true}, {Entity: "customer", System: "crm", Hub: "h2", EventID: "2", Create: true},
		{Entity: "customer", System: "wms", Hub: "h2", EventID: "2", Create: true}, {Entity: "customer", System: "crm", Hub: "h3", EventID: "3"}}
	for _, i := range in {
		b.no(b.OpenIntent(b.ctx(), i))
	}
	m := needs(state.Missing{Entity: "customer", System: "crm", Intents: true})
	p.commit(rest(0, state.Waiting, "a", m))
	closing := func(offset int64, i state.Intent) {
		t.Helper()
		p.commit(state.Result{Offset: offset, Outcome: state.Delivered, Close: []state.Intent{i}})
	}
	closing(1, in[2])
	closing(2, in[0])
	b.wantShape(p, "a", "waiting")
	closing(3, in[3])
	b.wantShape(p, "a", "waiting")
	closing(4, in[1])
	b.wantShape(p, "a", "waiting!ready")
	p.commit(rest(5, state.Waiting, "b", m))
	b.wantShape(p, "b", "waiting!ready")
}

// Whoever works the messages is told that some may be ready, and only then.
func testWaitersWoken(t *testing.T, b *bench) {
	p := b.part(0)
	woken := func(what string, want bool) {
		t.Helper()
		select {
		case <-b.Woken():
			if !want {
				t.Errorf("%s: somebody was woken", what)
			}
		default:
			if want {
				t.Errorf("%s: nobody was woken", what)
			}
		}
	}
	m := needs(state.Missing{Entity: "customer", System: "erp", Hub: "h1"})
	p.commit(state.Result{Offset: 0, Outcome: state.Delivered, Ref: customer("h9", "9")})
	woken("a reference that nobody waits for", false)
	p.commit(rest(1, state.Parked, "a"), rest(2, state.Held, "b"))
	woken("messages that wait for nothing", false)
	p.commit(rest(3, state.Waiting, "c", m))
	select { // the look of the append itself may wake
	case <-b.Woken():
	default:
	}
	p.commit(state.Result{Offset: 4, Outcome: state.Delivered, Ref: customer("h2", "2")})
	woken("another object", false)
	p.commit(state.Result{Offset: 5, Outcome: state.Delivered, Ref: customer("h1", "1")})
	woken("the object", true)
	b.wantShape(p, "c", "waiting!ready")
	p.commit(rest(6, state.Waiting, "d", needs(state.Missing{Entity: "customer", System: "crm", Local: "1"})))
	select {
	case <-b.Woken():
	default:
	}
	b.resolve(b.Store, "1", "", state.Minted)
	woken("an object that was resolved", true)
	b.wantShape(p, "d", "waiting!ready")
}

// A reference and its waiter are committed at the same moment, on two hubs where the database is shared: the waiter must be
// marked, whichever comes first.
func testWaiterRace(t *testing.T, b *bench) {
	hubs := []*store.Store{b.Store, b.other()}
	refs, waiters := b.part(0), b.part(1)
	const rounds = 60
	var wg sync.WaitGroup
	for i := range int64(rounds) {
		hub := fmt.Sprint("h", i)
		c, w := refs.of(state.Result{Offset: i, Outcome: state.Delivered, Ref: customer(hub, "l"+hub)}),
			waiters.of(rest(i, state.Waiting, hub, needs(state.Missing{Entity: "customer", System: "erp", Hub: hub})))
		for n, c := range []*state.Commit{c, w} {
			wg.Go(func() {
				if err := hubs[n].Commit(b.ctx(), c); err != nil {
					t.Error(err)
				}
			})
		}
		if i%8 == 0 {
			wg.Wait()
		}
	}
	wg.Wait()
	rows, err := b.Parked(b.ctx(), state.QueueFilter{State: state.Waiting, Limit: 1000})
	b.no(err)
	for _, q := range rows {
		if q.Mark != state.MarkReady {
			t.Errorf("%s waits for a reference that is there", q.Lane)
		}
	}
	if len(rows) != rounds {
		t.Errorf("%d waiters", len(rows))
	}
}

// The last two create intents end at the same moment on two hubs, while a waiter is appended or just after it was.
func testIntentRace(t *testing.T, b *bench) {
	hubs := []*store.Store{b.Store, b.other()}
	parts := []*part{b.part(0), b.part(1), b.part(2)}
	for i := range int64(60) {
		system := fmt.Sprint("s", i)
		var wg sync.WaitGroup
		commits := []*state.Commit{nil, nil, parts[2].of(rest(i, state.Waiting, system, needs(state.Missing{Entity: "customer", System: system, Intents: true})))}
		for n := range 2 {
			in := state.Intent{Entity: "customer", System: system, Hub: fmt.Sprint("h", n), EventID: "e", Create: true}
			b.no(b.OpenIntent(b.ctx(), in))
			commits[n] = parts[n].of(state.Result{Offset: i, Outcome: state.Delivered, Close: []state.Intent{in}})
		}
		if i%2 == 0 {
			b.no(b.Commit(b.ctx(), commits[2]))
			commits = commits[:2]
		}
		for n, c := range commits {
			wg.Go(func() {
				if err := hubs[n%2].Commit(b.ctx(), c); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		b.wantShape(parts[2], system, "waiting!ready")
	}
}
