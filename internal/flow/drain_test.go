package flow

import (
	"context"
	"fmt"
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
		if err := w.store.Mark(t.Context(), state.Wish{ID: rows[1].ID, Mark: state.MarkDiscard, Who: "ann", Note: "wrong one"}); err != nil {
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
	if err := w.store.Mark(t.Context(), state.Wish{ID: w.queue("orders-to-erp")[0].ID, Mark: state.MarkReplay, Who: "ann", Note: ""}); err != nil {
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
		if err := w.store.Mark(t.Context(), state.Wish{ID: id, Mark: state.MarkReplay, Who: "ann", Note: "repaired"}); err != nil {
			t.Error(err)
		}
	}}}
	w.erp.mu.Unlock()
	w.until("delivered", func() bool { return w.summary("orders-to-erp") == "delivered=1" })
}

// loose parks messages of old, which block nothing, in a partition.
func (w *world) loose(r *Runner, partition int, numbers ...string) {
	w.t.Helper()
	r.mu.Lock()
	epoch := r.parts[partKey{"orders", partition}].Epoch
	r.mu.Unlock()
	c := &state.Commit{Flow: "orders-to-erp", Topic: "orders", Partition: partition, Epoch: epoch}
	for i, no := range numbers {
		e := order(no, 1, "1")
		c.Results = append(c.Results, state.Result{Offset: int64(i), Outcome: state.Parked, Queue: &state.Queued{Lane: e.Lane(), Kind: "invalid", Reason: "of old", Event: e}})
	}
	if err := w.store.Commit(w.t.Context(), c); err != nil {
		w.t.Fatal(err)
	}
}

// markedElsewhere marks what is parked in a partition, as another hub does: nobody is told.
func (w *world) markedElsewhere(partition int) {
	w.t.Helper()
	rows, err := w.store.Parked(w.t.Context(), state.QueueFilter{Flow: "orders-to-erp", Limit: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, q := range rows {
		if q.Partition == partition {
			if err := w.store.Mark(w.t.Context(), state.Wish{ID: q.ID, Mark: state.MarkReplay, Who: "ann", Note: ""}); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

// waiting sees that so many partitions wait for something to do, the first of them for no longer than that.
func (w *world) waiting(partitions int, most time.Duration) {
	w.t.Helper()
	eventually(w.t, fmt.Sprintf("%d partitions wait, and one for no longer than %s", partitions, most), func() bool {
		at, ok := w.clock.Next()
		return ok && w.clock.Waiting() == partitions && at.Sub(w.clock.Now()) <= most
	})
}

// One of a flow's partitions looks for marks that another hub was told of, for all of them; when it goes, another does, as soon.
func TestMarksInOtherPartitions(t *testing.T) {
	w := newWorld(t)
	r := w.own("orders-to-erp", 0, 1, 2)
	for n, no := range []string{"A", "B", "C"} {
		w.loose(r, n, no)
	}
	w.waiting(3, marksEvery)
	w.markedElsewhere(1)
	w.until("replayed", func() bool { return w.summary("orders-to-erp") == "delivered=1 parked=2" })
	r.Revoked("", "orders", 0)
	w.waiting(2, marksEvery)
	w.markedElsewhere(2)
	w.until("replayed", func() bool { return w.summary("orders-to-erp") == "delivered=2 parked=1" })
}

// While the partition that should look for marks is at work for long, another one does, later.
func TestMarksWhileTheOneThatLooksIsAtWork(t *testing.T) {
	w := newWorld(t)
	r := w.own("orders-to-erp", 0, 1)
	w.loose(r, 0, "A")
	w.loose(r, 1, "B")
	working, let := make(chan struct{}), make(chan struct{})
	w.erp.script = []step{{true, nil, func(erp *target) {
		close(working)
		erp.mu.Unlock()
		<-let
		erp.mu.Lock()
	}}}
	w.markedElsewhere(0)
	w.until("the first is at work", func() bool {
		select {
		case <-working:
			return true
		default:
			return false
		}
	})
	w.markedElsewhere(1)
	w.until("replayed", func() bool { return w.summary("orders-to-erp") == "delivered=1 parked=1" })
	close(let)
	w.until("all are", func() bool { return w.summary("orders-to-erp") == "delivered=2" })
}

// What one look at the stored queues does not see is seen by the next one, also where nothing of it blocks anything.
func TestMoreMarksThanOneLookSees(t *testing.T) {
	w := newWorld(t)
	r := w.own("orders-to-erp", 0)
	numbers := make([]string, drainLanes+10)
	for i := range numbers {
		numbers[i] = fmt.Sprint("N", i)
		w.erp.script = append(w.erp.script, step{false, wrong, nil})
	}
	w.loose(r, 0, numbers...)
	w.markedElsewhere(0)
	tried := func(all int) func() bool {
		return func() bool {
			w.erp.mu.Lock()
			defer w.erp.mu.Unlock()
			return len(w.erp.calls) >= all
		}
	}
	r.Kick()
	eventually(t, "those of one look are tried, and none has gone", tried(drainLanes))
	w.until("the others are", tried(len(numbers)))
}

// The first lane of a partition that is queued wakes its owner, who had nothing to look for; those after it are found by the looks that follow.
func TestFirstQueuedLaneWakesTheOwner(t *testing.T) {
	p := newPartition("orders", 0, &state.Partition{}, 16, nil)
	defer p.stop()
	<-p.wake // it begins awake
	for _, c := range []struct {
		lane  string
		wakes int
	}{{"a", 1}, {"b", 0}, {"a", 1}} {
		if p.setHead(c.lane, state.Held); len(p.wake) != c.wakes {
			t.Errorf("lane %s has woken %d, want %d", c.lane, len(p.wake), c.wakes)
		}
		for len(p.wake) > 0 {
			<-p.wake
		}
		if c.lane == "b" {
			p.clearHead("a")
			p.clearHead("b")
		}
	}
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
	if err := w.store.Mark(t.Context(), state.Wish{ID: w.queue("orders-to-erp")[0].ID, Mark: state.MarkReplay, Who: "ann", Note: ""}); err != nil {
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
