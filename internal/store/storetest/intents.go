package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
)

// intent is a call of the partition's owner to one object.
func (p *part) intent(hub, event string) state.Intent {
	return state.Intent{Flow: p.Flow, Entity: "order", Hub: hub, System: "erp", EventID: event, Create: true, External: "x", Opened: p.clock.Now(),
		Topic: p.Topic, Partition: p.Partition.Partition, Epoch: p.Epoch}
}

func (p *part) open(want ...string) {
	p.t.Helper()
	all, err := p.Intents(p.ctx(), p.Flow)
	p.no(err)
	got := map[string]bool{}
	for _, in := range all {
		got[in.Hub+"/"+in.EventID] = true
	}
	if len(got) != len(want) {
		p.t.Fatalf("open: %v, want %v", got, want)
	}
	for _, w := range want {
		if !got[w] {
			p.t.Fatalf("open: %v, want %v", got, want)
		}
	}
}

// A hub that has lost its partition opens no intent, alone or among others.
func testIntentFenced(t *testing.T, b *bench) {
	old := b.part(0)
	b.no(b.OpenIntent(b.ctx(), old.intent("h", "first")))
	p := b.part(0)
	for _, in := range []state.Intent{old.intent("h", "first"), old.intent("h", "second")} {
		if err := b.OpenIntent(b.ctx(), in); !errors.Is(err, state.ErrFenced) {
			t.Errorf("%s: %v", in.EventID, err)
		}
	}
	var wg sync.WaitGroup
	for i := range 40 {
		who, want := p, error(nil)
		if i%4 == 0 {
			who, want = old, state.ErrFenced
		}
		in := who.intent(fmt.Sprint("m", i), "e")
		wg.Go(func() {
			if err := b.OpenIntent(b.ctx(), in); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", in.Hub, err, want)
			}
		})
	}
	wg.Wait()
	if all, err := b.Intents(b.ctx(), p.Flow); err != nil || len(all) != 31 {
		t.Errorf("%d intents, %v", len(all), err)
	}
	unknown := p.intent("h", "third")
	unknown.Partition = 7
	if err := b.OpenIntent(b.ctx(), unknown); !errors.Is(err, state.ErrFenced) {
		t.Errorf("a partition that nobody has opened: %v", err)
	}
}

// An intent that is opened again carries the time of the new call, and what was a create stays one.
func testIntentAgain(t *testing.T, b *bench) {
	p := b.part(0)
	in := p.intent("h", "e")
	b.no(b.OpenIntent(b.ctx(), in))
	begun := b.clock.Now()
	b.clock.Add(time.Minute)
	again := p.intent("h", "e")
	again.Create = false
	b.no(b.OpenIntent(b.ctx(), again))
	all, err := b.OpenIntents(b.ctx(), "", 10)
	b.no(err)
	if len(all) != 1 || !all[0].Create || !all[0].Opened.Equal(b.clock.Now()) || !all[0].Begun.Equal(begun) || all[0].Epoch != p.Epoch || all[0].Topic != p.Topic {
		t.Errorf("intents: %+v", all)
	}
	target, err := b.Target(b.ctx(), "order", "h", "erp", "crm")
	b.no(err)
	if len(target.Intents) != 1 || !target.Intents[0].Opened.Equal(b.clock.Now()) || !target.Intents[0].Begun.Equal(begun) {
		t.Errorf("of the object: %+v", target.Intents)
	}
	p.commit(state.Result{Offset: 0, Outcome: state.Delivered, Close: []state.Intent{in}})
	b.no(b.OpenIntent(b.ctx(), p.intent("h", "e")))
	if all, err = b.OpenIntents(b.ctx(), "", 10); err != nil || len(all) != 1 || !all[0].Begun.Equal(b.clock.Now()) {
		t.Errorf("a call after the last one was settled begins anew: %+v, %v", all, err)
	}
}

// A commit closes one intent, or all of an object.
func testIntentClose(t *testing.T, b *bench) {
	p := b.part(0)
	for _, in := range []state.Intent{p.intent("h", "1"), p.intent("h", "2"), p.intent("h", "3"), p.intent("other", "1")} {
		b.no(b.OpenIntent(b.ctx(), in))
	}
	p.commit(state.Result{Offset: 0, Outcome: state.Delivered, Close: []state.Intent{p.intent("h", "2")}})
	p.open("h/1", "h/3", "other/1")
	p.commit(state.Result{Offset: 1, Outcome: state.Delivered, Close: []state.Intent{p.intent("h", "")}})
	p.open("other/1")
	b.resolveOrder("7", state.Pending)
	p.commit(state.Result{Offset: 2, Outcome: state.Delivered, Close: []state.Intent{p.intent("other", ""), p.intent("h", "1")}})
	p.open()
	b.resolveOrder("7", state.Minted)
}

func (b *bench) resolveOrder(local string, want state.Resolution) {
	b.t.Helper()
	if _, how, err := b.Resolve(b.ctx(), "order", "erp", local, "", "event"); err != nil || how != want {
		b.t.Fatalf("%s: %s, %v, want %s", local, how, err, want)
	}
}

// Of the hubs that share a database one at a time calls for an object.
func testClaims(t *testing.T, b *bench) {
	if !b.shared {
		t.Skip("one hub has the database for itself")
	}
	other := b.other()
	mine, theirs := b.part(0), b.part(1)
	claim := func(p *part, event string, change ...func(*state.Intent)) state.Intent {
		in := p.intent("h", event)
		in.Claim = true
		for _, c := range change {
			c(&in)
		}
		return in
	}
	again := func(in *state.Intent) { in.Again = true }
	want := func(s *store.Store, in state.Intent, by string) {
		t.Helper()
		err := s.OpenIntent(b.ctx(), in)
		var claimed *state.Claimed
		if by == "" {
			b.no(err)
		} else if !errors.As(err, &claimed) || !errors.Is(err, state.ErrClaimed) || claimed.By.EventID != by {
			t.Fatalf("%s: %v, want it claimed by %s", in.EventID, err, by)
		}
	}
	want(b.Store, claim(mine, "a"), "")
	want(other, claim(theirs, "b"), "a")
	want(other, theirs.intent("h", "unclaimed"), "")
	want(b.Store, claim(mine, "a", again), "")
	want(b.Store, claim(mine, "next"), "") // of the same partition, whose owner works one message of an object at a time
	want(b.Store, claim(mine, "a", again), "next")
	want(other, claim(theirs, "b"), "next")

	mine.commit(state.Result{Offset: 0, Outcome: state.Held, Queue: rest(0, state.Held, "lane").Queue, Leave: []state.Intent{mine.intent("h", "next")}})
	want(other, claim(theirs, "b"), "")
	want(b.Store, claim(mine, "a"), "b")
	theirs.commit(state.Result{Offset: 0, Outcome: state.Delivered, Close: []state.Intent{theirs.intent("h", "b")}})
	want(b.Store, claim(mine, "a"), "")
	want(other, claim(theirs, "b", again), "a")

	taken := b.part(0) // a new owner: what the last one had claimed is free
	want(other, claim(theirs, "b"), "")
	want(b.Store, claim(taken, "a", again), "b")

	b.clock.Add(time.Second)
	want(other, claim(theirs, "b", again), "") // stamped anew
	stale, present := theirs.intent("h", "b"), theirs.intent("h", "b")
	stale.Opened = stale.Opened.Add(-time.Second)
	want(b.Store, claim(taken, "a", func(in *state.Intent) { in.Over = &stale }), "b")
	want(b.Store, claim(taken, "a", func(in *state.Intent) { in.Over = &present }), "")
	want(other, claim(theirs, "b", again), "a")
	want(b.Store, claim(mine, "a", again), "a") // the old owner, whose epoch is over: the claim is not his
}

// Two hubs that claim an object at the same moment do not both have it.
func testClaimRace(t *testing.T, b *bench) {
	if !b.shared {
		t.Skip("one hub has the database for itself")
	}
	hubs := []*store.Store{b.Store, b.other()}
	parts := []*part{b.part(0), b.part(1)}
	for i := range 30 {
		var wg sync.WaitGroup
		var got [2]error
		for n := range hubs {
			in := parts[n].intent(fmt.Sprint("race", i), fmt.Sprint("e", n))
			in.Claim = true
			wg.Go(func() { got[n] = hubs[n].OpenIntent(b.ctx(), in) })
		}
		wg.Wait()
		if (got[0] == nil) == (got[1] == nil) || errors.Join(got[:]...) != nil && !errors.Is(errors.Join(got[:]...), state.ErrClaimed) {
			t.Fatalf("%v and %v", got[0], got[1])
		}
	}
}

// No held message rests beyond what its new owner lets one rest.
func testPullForward(t *testing.T, b *bench) {
	p := b.part(0)
	at := func(d time.Duration) func(*state.Queued) {
		return func(q *state.Queued) { q.NotBefore = b.clock.Now().Add(d) }
	}
	p.commit(rest(0, state.Held, "far", at(time.Hour)), rest(1, state.Held, "near", at(time.Second)), rest(2, state.Held, "behind", at(time.Hour)))
	other := b.part(1)
	other.commit(rest(0, state.Held, "theirs", at(time.Hour)))
	b.no(b.PullForward(b.ctx(), p.Flow, p.Topic, 0, b.clock.Now().Add(time.Minute)))
	b.clock.Add(time.Second)
	b.due(p, "near")
	b.clock.Add(time.Minute)
	b.due(p, "far", "near", "behind")
	b.due(other)
}

// The owner of a partition works the rows of that partition: a key may have a queue in another one too, where it was before the
// topic got more partitions.
func testDrainableOfPartition(t *testing.T, b *bench) {
	p, other := b.part(0), b.part(1)
	p.commit(rest(0, state.Held, "a"), rest(1, state.Held, "a"))
	other.commit(rest(0, state.Held, "a"))
	for _, o := range []*part{p, other} {
		rows, err := b.Drainable(b.ctx(), o.Flow, o.Topic, o.Partition.Partition, "a", 10)
		b.no(err)
		if len(rows) != 2-o.Partition.Partition || rows[0].Partition != o.Partition.Partition {
			t.Errorf("partition %d: %+v", o.Partition.Partition, rows)
		}
	}
}

// How long a message was tried is kept with it, and is its own.
func testTried(t *testing.T, b *bench) {
	p := b.part(0)
	tried := func(d time.Duration) func(*state.Queued) { return func(q *state.Queued) { q.Tried = d } }
	p.commit(rest(0, state.Held, "a", tried(time.Minute)), rest(1, state.Held, "a", follower))
	if q := p.queue("a"); q[0].Tried != time.Minute || q[1].Tried != 0 {
		t.Errorf("tried for %v, %v", q[0].Tried, q[1].Tried)
	}
	rows := p.queue("a")
	p.commit(drained(rows[0], state.Held, tried(2*time.Minute)))
	if q := p.queue("a"); q[0].Tried != 2*time.Minute {
		t.Errorf("tried for %v", q[0].Tried)
	}
	p.commit(drained(rows[0], state.Delivered))
	if q := p.queue("a"); q[0].Tried != 0 || q[0].Follower {
		t.Errorf("promoted: %+v", q[0])
	}
}
