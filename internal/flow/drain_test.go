package flow

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/state"
)

// What a person does to a message while those before it are worked is seen before its turn comes.
func TestGivenUpWhileOthersAreWorked(t *testing.T) {
	w := newWorld(t)
	w.erp.script = []step{{false, wrong, nil}}
	r := w.flow("orders-to-erp")
	w.must(r, order("A", 1, "1"), order("A", 2, "2"), order("A", 3, "3"))
	rows := w.queue("orders-to-erp")
	w.erp.script = []step{{true, nil, func(*target) {
		if err := w.store.MarkQueued(t.Context(), rows[1].ID, state.MarkDiscard, "ann", "wrong one"); err != nil {
			t.Error(err)
		}
	}}}
	w.mark(r, rows[0].ID, state.MarkReplay)
	w.until("drained", func() bool { return w.summary("orders-to-erp") == "delivered=2 discarded=1" })
	if got := strings.Join(w.erp.calls, ","); got != "create A,create A,update A" {
		t.Errorf("calls: %s", got)
	}
	if o := w.erp.objects["T1"]; o["qty"] != 3.0 {
		t.Errorf("the object is %v", o)
	}
}

// Under order: latest a message that was held, and is refused in the end, stops nobody.
func TestLatestHeldThenRefused(t *testing.T) {
	w := newWorld(t)
	for range 60 {
		w.erp2.script = append(w.erp2.script, step{false, refusedConn, nil})
	}
	r := w.flow("orders-latest")
	w.must(r, order("A", 1, "1"), order("A", 2, "2"))
	w.expect("orders-latest", "held=2")
	w.erp2.mu.Lock()
	w.erp2.script = []step{{false, wrong, nil}}
	w.erp2.mu.Unlock()
	w.until("the second goes on", func() bool { return w.summary("orders-latest") == "delivered=1 parked=1" })
	w.must(r, order("A", 3, "3"))
	w.expect("orders-latest", "delivered=2 parked=1")
	if q := w.queue("orders-latest")[0]; q.Blocking || q.Follower {
		t.Errorf("the refused one: %+v", q)
	}
}

// A message that blocks nothing, of a time when the flow had another order, is looked after although nothing is blocked, also when
// another hub was told of the wish.
func TestLooseMessageOfAStrictFlow(t *testing.T) {
	w := newWorld(t)
	r := w.flow("orders-to-erp")
	e := order("A", 1, "1")
	p := r.parts[partKey{"orders", 0}]
	err := w.store.Commit(t.Context(), &state.Commit{Flow: "orders-to-erp", Topic: "orders", Epoch: p.Epoch, Results: []state.Result{{Outcome: state.Parked,
		Queue: &state.Queued{Lane: e.Lane(), Kind: "invalid", Reason: "of old", Event: e}}}})
	if err != nil {
		t.Fatal(err)
	}
	w.next["orders-to-erp"] = 1
	w.must(r, order("A", 2, "2"))
	w.expect("orders-to-erp", "delivered=1 parked=1")
	if err := w.store.MarkQueued(t.Context(), w.queue("orders-to-erp")[0].ID, state.MarkReplay, "ann", ""); err != nil {
		t.Fatal(err)
	}
	began := w.clock.Now()
	w.until("replayed", func() bool { return w.summary("orders-to-erp") == "delivered=1 stale=1" })
	if took := w.clock.Now().Sub(began); took > time.Minute {
		t.Errorf("after %v", took)
	}
}

// A wish to replay that comes while the message is tried is carried out: what the person has repaired may have come too late for the attempt.
func TestReplayWhileItIsTried(t *testing.T) {
	w := newWorld(t)
	for range 60 {
		w.erp.script = append(w.erp.script, step{false, refusedConn, nil})
	}
	r := w.flow("orders-to-erp")
	w.must(r, order("A", 1, "1"))
	w.expect("orders-to-erp", "held=1")
	id := w.queue("orders-to-erp")[0].ID
	w.erp.mu.Lock()
	w.erp.script = []step{{false, wrong, func(*target) {
		if err := w.store.MarkQueued(t.Context(), id, state.MarkReplay, "ann", "repaired"); err != nil {
			t.Error(err)
		}
	}}}
	w.erp.mu.Unlock()
	w.until("delivered", func() bool { return w.summary("orders-to-erp") == "delivered=1" })
}

// One of a flow's partitions looks for marks that another hub was told of, for all of them; when it goes, another does.
func TestMarksInOtherPartitions(t *testing.T) {
	w := newWorld(t)
	r := w.own("orders-to-erp", 0, 1, 2)
	for n, no := range []string{"A", "B", "C"} {
		e := order(no, 1, "1")
		r.mu.Lock()
		epoch := r.parts[partKey{"orders", n}].Epoch
		r.mu.Unlock()
		err := w.store.Commit(t.Context(), &state.Commit{Flow: "orders-to-erp", Topic: "orders", Partition: n, Epoch: epoch, Results: []state.Result{{Outcome: state.Parked,
			Queue: &state.Queued{Lane: e.Lane(), Kind: "invalid", Reason: "of old", Event: e}}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	replay := func(n int, want string) {
		t.Helper()
		for _, q := range w.queue("orders-to-erp") {
			if q.Partition == n {
				if err := w.store.MarkQueued(t.Context(), q.ID, state.MarkReplay, "ann", ""); err != nil {
					t.Fatal(err)
				}
			}
		}
		w.until("replayed", func() bool { return w.summary("orders-to-erp") == want })
	}
	replay(1, "delivered=1 parked=2")
	r.Revoked("", "orders", 0)
	replay(2, "delivered=2 parked=1")
}

// A mistake in the middle of a drain is told, and ends neither the hub nor the drain: what it had taken is let go, and the row is tried again.
func TestMistakeWhileDraining(t *testing.T) {
	w := newWorld(t)
	w.erp.script = []step{{false, fault.New(fault.Invalid, "no"), nil}}
	faulty := &mistaken{target: w.erp}
	w.deps.Systems["erp"].Connector = faulty
	var log strings.Builder
	w.deps.Log = slog.New(slog.NewTextHandler(&log, nil))
	r := w.flow("orders-to-erp")
	w.must(r, order("A", 1, "1"))
	w.expect("orders-to-erp", "parked=1")
	faulty.panics.Store(true)
	if err := w.store.MarkQueued(t.Context(), w.queue("orders-to-erp")[0].ID, state.MarkReplay, "ann", ""); err != nil {
		t.Fatal(err)
	}
	r.Kick()
	w.until("delivered", func() bool { return w.summary("orders-to-erp") == "delivered=1" })
	if err := r.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if faulty.panics.Load() || !strings.Contains(log.String(), "draining the stored queue failed") || !strings.Contains(log.String(), "a mistake") {
		t.Errorf("the mistake is not told:\n%s", &log)
	}
}

// mistaken panics once.
type mistaken struct {
	*target
	panics atomic.Bool
}

func (m *mistaken) Write(ctx context.Context, w connector.Write) (connector.Result, error) {
	if m.panics.CompareAndSwap(true, false) {
		panic("a mistake")
	}
	return m.target.Write(ctx, w)
}
