package flow

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/state"
)

// mark asks as a person does.
func (w *world) mark(r *Runner, id int64, m state.Mark) {
	w.t.Helper()
	if err := w.store.Mark(w.t.Context(), state.Wish{ID: id, Mark: m, Who: "ann", Note: "why"}); err != nil {
		w.t.Fatal(err)
	}
	r.Kick()
}

// While a flow is paused, or its system is down, what a person has given up goes, and nothing is tried; what they want replayed is
// carried out when the flow works again, once.
func TestMarksWhileTheFlowRests(t *testing.T) {
	for name, rest := range map[string]func(*world, *Runner) func(){
		"paused": func(_ *world, r *Runner) func() { r.Pause(); return r.Resume },
		"the system down": func(w *world, r *Runner) func() {
			b := r.target.Breaker
			trip(b, errors.New("down"))
			return func() { letIn(b); r.Kick() }
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.erp.script = []step{{false, wrong, nil}, {false, wrong, nil}}
			r := w.flow("orders-to-erp")
			w.must(r, order("A", 1, "1"), order("B", 1, "1"), order("A", 2, "2"), order("A", 3, "3"), order("B", 2, "2"))
			w.expect("orders-to-erp", "parked=5")
			wake := rest(w, r)
			rows := w.queue("orders-to-erp")
			w.mark(r, rows[1].ID, state.MarkReplay) // B
			w.mark(r, rows[0].ID, state.MarkDiscard)
			w.mark(r, rows[2].ID, state.MarkDiscard)
			w.until("given up", func() bool { return w.totals("orders-to-erp").Discarded == 2 })
			if calls := len(w.erp.calls); calls != 2 {
				t.Errorf("%d calls while the flow rests", calls)
			}
			w.expect("orders-to-erp", "parked=2 held=1 discarded=2")
			r.Kick()
			wake()
			w.until("all delivered", func() bool { return w.totals("orders-to-erp").Delivered == 3 })
			w.erp.mu.Lock()
			defer w.erp.mu.Unlock()
			if calls := strings.Join(w.erp.calls, ","); strings.Count(calls, "A") != 2 || strings.Count(calls, "B") != 3 {
				t.Errorf("calls: %s", calls)
			}
			for no, want := range map[string]float64{"A": 3, "B": 2} {
				for _, o := range w.erp.objects {
					if o["no"] == no && o["qty"] != want {
						t.Errorf("%s has qty %v, want %v", no, o["qty"], want)
					}
				}
			}
		})
	}
}

// The breaker opens while a stored message is tried: it stays where it is, and the owner goes on looking after what people give up.
func TestBreakerOpensDuringAReplay(t *testing.T) {
	w := newWorld(t)
	var r *Runner
	trip := func(*target) { trip(r.target.Breaker, refusedConn) }
	w.erp.script = []step{{false, wrong, nil}, {false, wrong, nil}, {false, refusedConn, trip}}
	r = w.flow("orders-to-erp")
	w.must(r, order("A", 1, "1"), order("B", 1, "1"))
	rows := w.queue("orders-to-erp")
	w.mark(r, rows[0].ID, state.MarkReplay)
	w.until("tried", func() bool { w.erp.mu.Lock(); defer w.erp.mu.Unlock(); return len(w.erp.calls) == 3 })
	w.mark(r, rows[1].ID, state.MarkDiscard)
	w.until("given up", func() bool { return w.totals("orders-to-erp").Discarded == 1 })
	if left := w.queue("orders-to-erp"); len(left) != 1 || left[0].Mark != state.MarkReplay || left[0].State != state.Parked {
		t.Fatalf("left: %+v", left)
	}
	letIn(r.target.Breaker)
	r.Kick()
	w.until("delivered", func() bool { return w.totals("orders-to-erp").Delivered == 1 })
}

// keys remembers the idempotency keys that it was given.
type keys struct {
	*target
	seen []string
}

func (k *keys) Write(ctx context.Context, w connector.Write) (connector.Result, error) {
	k.mu.Lock()
	k.seen = append(k.seen, w.IdempotencyKey)
	k.mu.Unlock()
	return k.target.Write(ctx, w)
}

// A target that remembers what it was asked takes a replay for the same request, and an edited message for another one.
func TestIdempotencyKeyOfAnEdit(t *testing.T) {
	w := newWorld(t)
	k := &keys{target: w.erp}
	w.deps.Systems["erp"].Connector = k
	w.erp.script = []step{{false, wrong, nil}, {false, wrong, nil}, {false, wrong, nil}}
	r := w.flow("orders-to-erp")
	w.must(r, order("A", 1, "1"))
	again := func(data string) {
		t.Helper()
		q := w.queue("orders-to-erp")[0]
		if data != "" {
			if err := w.store.Edit(t.Context(), state.Edit{ID: q.ID, Data: []byte(data), Who: "ann", Note: "why"}); err != nil {
				t.Fatal(err)
			}
		}
		w.mark(r, q.ID, state.MarkReplay)
		w.until("tried", func() bool {
			rows := w.queue("orders-to-erp")
			return len(rows) == 0 || rows[0].Mark == ""
		})
	}
	again("")
	again(`{"no":"A","qty":2,"status":"new"}`)
	again(`{"no":"A","qty":3,"status":"new"}`)
	w.expect("orders-to-erp", "delivered=1")
	if len(k.seen) != 4 || k.seen[0] != k.seen[1] || k.seen[1] == k.seen[2] || k.seen[2] == k.seen[3] {
		t.Errorf("keys: %q", k.seen)
	}
}

// A message that is released after a long time behind another one, or replayed after one, is tried as long as any other: a target
// that does not answer for a moment parks nothing. It is as old as it is all the same.
func TestReleasedIsTriedAsLong(t *testing.T) {
	w := newWorld(t)
	w.erp.script = []step{{false, wrong, nil}}
	r := w.flow("orders-to-erp")
	first := accepted(order("A", 1, "1"), 1)
	w.must(r, first, accepted(order("A", 2, "2"), 2))
	w.clock.Advance(72 * time.Hour)
	w.erp.script = []step{{false, refusedConn, nil}, {false, refusedConn, nil}, {true, nil, nil}, {false, refusedConn, nil}, {false, refusedConn, nil}}
	w.mark(r, w.queue("orders-to-erp")[0].ID, state.MarkReplay)
	w.until("delivered", func() bool {
		if got := w.totals("orders-to-erp"); got.Held > 0 && got.Oldest.Sub(first.Accepted).Abs() > time.Second {
			t.Fatalf("held, and the age is another one: %+v", got)
		}
		return w.totals("orders-to-erp").Delivered == 2
	})
	if got := strings.ReplaceAll(strings.Join(w.erp.calls, ","), "find,", ""); got != "create A,create A,create A,create A,update A,update A,update A" {
		t.Errorf("calls: %s", got)
	}
}

// A paused flow to a topic releases nothing either.
func TestDiscardInAPausedCopy(t *testing.T) {
	w := newWorld(t)
	w.log.fail = []error{fault.New(fault.Invalid, "too large")}
	r := w.flow("copy")
	w.must(r, order("A", 1, "1"))
	w.must(r, order("A", 2, "2"))
	w.expect("copy", "parked=2")
	r.Pause()
	w.mark(r, w.queue("copy")[0].ID, state.MarkDiscard)
	w.until("given up", func() bool { return w.totals("copy").Discarded == 1 })
	w.expect("copy", "held=1 discarded=1")
	r.Resume()
	w.until("delivered", func() bool { return w.totals("copy").Delivered == 1 })
}

// A replay that the broker refuses again keeps its place, and what is behind it stays there.
func TestReplayRefusedByTheBroker(t *testing.T) {
	w := newWorld(t)
	tooLarge := fault.New(fault.Invalid, "too large")
	w.log.fail = []error{tooLarge, tooLarge}
	r := w.flow("copy")
	w.must(r, order("A", 1, "1"))
	w.must(r, order("A", 2, "2"))
	w.expect("copy", "parked=2")
	head := w.queue("copy")[0]
	w.mark(r, head.ID, state.MarkReplay)
	w.until("tried", func() bool { return w.queue("copy")[0].Mark == "" })
	w.must(r, order("A", 3, "3"))
	w.expect("copy", "parked=3")
	if q := w.queue("copy")[0]; q.ID != head.ID || q.Attempts != head.Attempts+1 || q.Since != head.Since {
		t.Errorf("the head: %+v", q)
	}
	w.mark(r, head.ID, state.MarkReplay)
	w.until("delivered", func() bool { return w.totals("copy").Delivered == 3 })
	w.log.mu.Lock()
	defer w.log.mu.Unlock()
	for i, rec := range w.log.records {
		if !strings.Contains(string(rec.Value), fmt.Sprintf(`"qty":%d`, i+1)) {
			t.Errorf("record %d is %s", i, rec.Value)
		}
	}
}
