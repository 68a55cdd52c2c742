package flow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/flow/deliver"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
)

// died leaves what a process leaves that dies in the middle of a call: its intent, under an epoch that is over by the time the flow is
// owned again.
func (w *world) died(flow string, e event.Event, create bool) {
	w.t.Helper()
	f := w.plan.Flow(flow)
	p, err := w.store.OpenPartition(w.t.Context(), f.Name, f.Topic(), 0, event.Log{Cluster: "cluster", TopicID: "topic", Last: 1 << 40})
	if err != nil {
		w.t.Fatal(err)
	}
	err = w.store.OpenIntent(w.t.Context(), state.Intent{Flow: f.Name, Entity: "order", Hub: e.Hub, System: f.To.System, EventID: e.ID, Create: create,
		External: state.ExternalID("order", e.Hub), Opened: w.clock.Now(), Topic: f.Topic(), Epoch: p.Epoch})
	if err != nil {
		w.t.Fatal(err)
	}
}

// made puts an object into the target, as a call does whose answer nobody hears.
func (t *target) made(local string, e event.Event, doc map[string]any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.objects[local], t.byExt[state.ExternalID("order", e.Hub)] = doc, local
}

func (w *world) settled(no, local string) {
	w.t.Helper()
	if in := w.intent(no); in != nil {
		w.t.Errorf("an intent stands: %+v", in)
	}
	if got, ok, err := w.store.LocalID(w.t.Context(), "order", "erp", "hub-"+no); err != nil || got != local || ok != (local != "") {
		w.t.Errorf("its id in the target is %q (%v), want %q", got, err, local)
	}
}

func draft(e event.Event) event.Event {
	e.Data = []byte(strings.Replace(string(e.Data), `"new"`, `"draft"`, 1))
	return e
}

// A message whose create is in doubt, and that is left out now, leaves no intent behind: the target is asked first, so that an object
// that was made is known.
func TestDoubtOfWhatIsLeftOut(t *testing.T) {
	e := order("A", 1, "1")
	leftOut := map[string]struct {
		event event.Event
		want  string
	}{
		"filtered":               {draft(e), "filtered=1"},
		"its own change":         {with(e, func(e *event.Event) { e.Origin = "erp" }), "echo=1"},
		"schema":                 {with(e, func(e *event.Event) { e.Data = []byte(`{"no":"A"}`) }), "parked=1"},
		"deleted, which is left": {with(e, func(e *event.Event) { e.Operation = event.Delete }), "delete-ignored=1"},
	}
	for name, c := range leftOut {
		t.Run(name, func(t *testing.T) {
			t.Run("it is there", func(t *testing.T) {
				w := newWorld(t)
				w.died("orders-to-erp", e, true)
				w.erp.made("T9", e, map[string]any{"no": "A", "qty": 1.0})
				r := w.flow("orders-to-erp")
				w.must(r, c.event)
				local := "T9"
				if c.event.Operation == event.Delete {
					// What was in doubt is there: it is deleted.
					w.expect("orders-to-erp", "delivered=1")
					local = ""
					if len(w.erp.objects) > 0 {
						t.Errorf("the target holds %v", w.erp.objects)
					}
				} else {
					w.expect("orders-to-erp", c.want)
				}
				w.settled("A", local)
			})
			t.Run("it is not", func(t *testing.T) {
				w := newWorld(t)
				w.died("orders-to-erp", e, true)
				r := w.flow("orders-to-erp")
				w.must(r, c.event)
				if name != "schema" { // what is parked rests anyway
					w.expect("orders-to-erp", "held=1")
				}
				if w.intent("A") == nil {
					t.Fatal("the intent is closed while the create may be under way")
				}
				if name == "schema" {
					w.clock.Advance(2 * deliver.CallTimeout)
					w.mark(r, w.queue("orders-to-erp")[0].ID, state.MarkReplay)
					w.until("settled", func() bool { return w.intent("A") == nil })
				}
				w.until("left out", func() bool { return w.summary("orders-to-erp") == c.want })
				w.settled("A", "")
				for _, call := range w.erp.calls {
					if call != "find" {
						t.Errorf("calls: %v", w.erp.calls)
					}
				}
			})
		})
	}
}

// An object of the target that nobody knows does not wait for ever for a create whose message was left out.
func TestUnknownObjectDoesNotWaitForEver(t *testing.T) {
	w := newWorld(t)
	e := order("A", 1, "1")
	w.died("orders-to-erp", e, true)
	w.erp.made("T9", e, map[string]any{"no": "A", "qty": 1.0})
	in := w.flow("erp-orders")
	poll := func(local, data string) event.Event {
		return event.Event{ID: "p" + local, Source: "erp", Key: local, Version: "1", Operation: event.Upsert, Data: []byte(data)}
	}
	w.must(in, poll("T9", `{"no":"T9","qty":1,"rev":1}`))
	w.must(in, poll("T10", `{"no":"T10","qty":1,"rev":1}`))
	w.expect("erp-orders", "waiting=2")
	out := w.flow("orders-to-erp")
	w.must(out, draft(e))
	w.until("both go on", func() bool { return w.totals("erp-orders").Delivered == 2 })
	for i := range w.log.records { // in any order: they are different objects
		r := &w.log.records[i]
		if hub := event.Read(r).Hub; (hub == "hub-A") != bytes.Contains(r.Value, []byte(`"T9"`)) {
			t.Errorf("what the hub has made was taken for another object, or another for it: %s %s", hub, r.Value)
		}
	}
}

// A system that cannot be asked: what is left out is a person's to decide, and their word ends the intent.
func TestDoubtInASystemThatCannotBeAsked(t *testing.T) {
	w := newWorld(t)
	w.deps.Systems["erp"].Connector = mute{w.erp}
	e := order("A", 1, "1")
	w.died("orders-to-erp", e, true)
	r := w.flow("orders-to-erp")
	w.must(r, draft(e))
	w.expect("orders-to-erp", "parked=1")
	q := w.queue("orders-to-erp")[0]
	if q.Kind != "unknown-outcome" || !strings.Contains(q.Reason, "look there") || w.intent("A") == nil {
		t.Errorf("parked: %+v", q)
	}
	w.mark(r, q.ID, state.MarkDiscard)
	w.until("given up", func() bool { return w.summary("orders-to-erp") == "discarded=1" })
	w.settled("A", "")
}

// An update's intent needs no look.
func TestUpdateOfWhatIsLeftOut(t *testing.T) {
	w := newWorld(t)
	e := order("A", 2, "2")
	w.died("orders-to-erp", e, false)
	r := w.flow("orders-to-erp")
	w.must(r, draft(e))
	w.expect("orders-to-erp", "filtered=1")
	w.settled("A", "")
	if len(w.erp.calls) > 0 {
		t.Errorf("calls: %v", w.erp.calls)
	}
}

// A message whose create is in doubt and that a person gives up: what it has made is known from then on; while that cannot be told it stays, and
// the others of its lane do not.
func TestDiscardInDoubt(t *testing.T) {
	for name, c := range map[string]struct {
		made  bool
		local string
	}{"it is there": {true, "T1"}, "it is not": {false, ""}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			var asked atomic.Int64
			var up atomic.Bool
			w.deps.Systems["erp"].Connector = looks{w.erp, func() (bool, error) {
				asked.Add(1)
				if !up.Load() {
					return false, fault.New(fault.Invalid, "no look-up")
				}
				return false, nil
			}}
			w.erp.script = []step{{c.made, dropped, nil}}
			r := w.flow("orders-to-erp")
			w.must(r, order("A", 1, "1"))
			w.expect("orders-to-erp", "parked=1")
			w.mark(r, w.queue("orders-to-erp")[0].ID, state.MarkDiscard)
			before := asked.Load()
			w.until("asked in vain", func() bool { return asked.Load() > before })
			if err := w.clock.BlockUntil(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			for range 5 {
				w.clock.Advance(drainEvery)
			}
			w.expect("orders-to-erp", "parked=1")
			up.Store(true)
			w.until("given up", func() bool { return w.summary("orders-to-erp") == "discarded=1" })
			w.settled("A", c.local)
		})
	}
}

// A system that lost an answer, or failed, is not held for failing when the message has its fate, whatever that is: nothing waits for it any more.
func TestFateEndsTheFailure(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(w *world)
		want    string
	}{
		"it is found there": {func(w *world) { w.erp.script = []step{{true, dropped, nil}} }, "delivered=1"},
		"it is found there, which says as much as an answer while others fail": {func(w *world) {
			w.erp.script = []step{{true, dropped, nil}}
			w.deps.Systems["erp"].Breaker.Failure("orders-to-erp/other", refusedConn)
		}, "delivered=1"},
		"it is given up": {func(w *world) {
			w.erp.script = []step{{true, dropped, nil}}
			w.deps.Systems["erp"].Connector = mute{w.erp}
		}, "parked=1"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.prepare(w)
			r := w.flow("orders-to-erp")
			w.must(r, order("A", 1, "1"))
			w.expect("orders-to-erp", c.want)
			if h := w.deps.Systems["erp"].Breaker.Health(); h.Failing {
				t.Errorf("the system is failing: %+v", h)
			}
		})
	}
}

// A create that was certainly not applied leaves no doubt behind, also where nobody can be asked.
func TestUnavailableIsNoDoubt(t *testing.T) {
	w := newWorld(t)
	w.deps.Systems["erp"].Connector = mute{w.erp}
	for range 40 {
		w.erp.script = append(w.erp.script, step{false, refusedConn, nil})
	}
	r := w.flow("orders-to-erp")
	w.must(r, order("A", 1, "1"))
	w.expect("orders-to-erp", "held=1")
	if w.intent("A") != nil {
		t.Error("the intent of a call that was never made stands")
	}
	w.until("delivered", func() bool { return w.summary("orders-to-erp") == "delivered=1" })
}

// The breaker opens while a stored message is tried, and nobody can be asked: what was certainly not applied is no doubt.
func TestOutageDuringAReplayIsNoDoubt(t *testing.T) {
	w := newWorld(t)
	w.deps.Systems["erp"].Connector = mute{w.erp}
	var r *Runner
	w.erp.script = []step{{false, wrong, nil}, {false, refusedConn, func(*target) { trip(r.target.Breaker, refusedConn) }}}
	r = w.flow("orders-to-erp")
	w.must(r, order("A", 1, "1"))
	w.mark(r, w.queue("orders-to-erp")[0].ID, state.MarkReplay)
	w.until("tried", func() bool { w.erp.mu.Lock(); defer w.erp.mu.Unlock(); return len(w.erp.calls) == 2 })
	letIn(r.target.Breaker)
	r.Kick()
	w.until("delivered", func() bool { return w.summary("orders-to-erp") == "delivered=1" })
}

// A deletion behind a create in doubt deletes what that has made, and never asks the target to delete nothing in particular.
func TestDeleteBehindACreateInDoubt(t *testing.T) {
	gone := with(order("A", 2, "2"), func(e *event.Event) { e.Operation, e.ID = event.Delete, "gone" })
	for name, c := range map[string]struct {
		made bool
		want string
	}{"it is there": {true, "find,delete <nil>"}, "it is not": {false, "find,find"}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			e := order("A", 1, "1")
			w.died("orders-to-erp", e, true) // and what it was of has gone another way
			if c.made {
				w.erp.made("T9", e, map[string]any{"no": "A"})
			}
			r := w.flow("orders-to-erp")
			w.must(r, gone)
			w.until("decided", func() bool { s := w.summary("orders-to-erp"); return s == "delivered=1" || s == "delete-ignored=1" })
			if got := strings.Join(w.erp.calls, ","); got != c.want {
				t.Errorf("calls: %s", got)
			}
			if len(w.erp.objects) > 0 || w.intent("A") != nil {
				t.Errorf("the target holds %v, the intent is %+v", w.erp.objects, w.intent("A"))
			}
			w.must(r, order("A", 1, "1"))
			if w.totals("orders-to-erp").Skipped[state.Stale] != 1 {
				t.Errorf("an older update after the deletion: %s", w.summary("orders-to-erp"))
			}
		})
	}
}

// nearly is a target whose look-ups fail as the test says, one after the other.
type nearly struct {
	*target
	errs []error
}

func (n *nearly) Find(ctx context.Context, l connector.Lookup) ([]connector.Record, error) {
	if l.Local == "" && len(n.errs) > 0 {
		err := n.errs[0]
		n.errs = n.errs[1:]
		if err != nil {
			return nil, err
		}
	}
	return n.target.Find(ctx, l)
}

// What a dead process has made of an older document is written once more, however often the look-up fails before it is found.
func TestOlderDocumentIsWrittenOver(t *testing.T) {
	w := newWorld(t)
	w.deps.Systems["erp"].Connector = &nearly{w.erp, []error{failed500, refusedConn}}
	e := order("A", 2, "2")
	w.died("orders-to-erp", e, true)
	w.erp.made("T9", e, map[string]any{"no": "A", "qty": 1.0, "status": "new"})
	r := w.flow("orders-to-erp")
	w.must(r, e)
	w.expect("orders-to-erp", "delivered=1")
	if o := w.erp.objects["T9"]; o["qty"] != 2.0 || len(w.erp.objects) != 1 {
		t.Errorf("the target holds %v", w.erp.objects)
	}
}

// An object that was found to be there is known from then on, also where the target refuses what is written over it.
func TestFoundAndRefused(t *testing.T) {
	w := newWorld(t)
	w.erp.loose = true
	e := order("A", 2, "2")
	w.died("orders-to-erp", e, true)
	w.erp.made("T9", e, map[string]any{"no": "A", "qty": 1.0})
	w.erp.script = []step{{false, wrong, nil}}
	r := w.flow("orders-to-erp")
	w.must(r, e)
	w.expect("orders-to-erp", "parked=1")
	w.settled("A", "T9")
	w.mark(r, w.queue("orders-to-erp")[0].ID, state.MarkReplay)
	w.until("delivered", func() bool { return w.summary("orders-to-erp") == "delivered=1" })
	if o := w.erp.objects["T9"]; o["qty"] != 2.0 || len(w.erp.objects) != 1 {
		t.Errorf("the target holds %v", w.erp.objects)
	}
}

const naturalFlows = `
flow: orders-to-erp
entity: order
from: {topic: orders}
accept: test/order.v1
map: order-to-erp
to: {system: erp, find-by: [no]}
retry: {for: 5m, backoff: 100ms..2s}
`

// byNumber finds objects by their number too.
type byNumber struct{ *target }

func (b byNumber) Find(ctx context.Context, l connector.Lookup) ([]connector.Record, error) {
	if l.Natural == nil {
		return b.target.Find(ctx, l)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for local, o := range b.objects {
		if o["no"] == l.Natural["no"] {
			return []connector.Record{{Local: local, Doc: fmt.Appendf(nil, `{"no":%q,"qty":%v}`, o["no"], o["qty"]), ETag: fmt.Sprint(b.etags[local])}}, nil
		}
	}
	return nil, nil
}

// An object that is found by its natural key may be anybody's: it is written, although a create of this very document was lost.
func TestNaturalKeyIsWritten(t *testing.T) {
	w := newWorldOf(t, naturalFlows, store.Config{})
	w.deps.Systems["erp"].Connector = byNumber{w.erp}
	w.erp.objects["S1"] = map[string]any{"no": "A", "qty": 77.0}
	w.erp.script = []step{{false, dropped, nil}}
	r := w.flow("orders-to-erp")
	w.must(r, order("A", 1, "1"))
	w.expect("orders-to-erp", "delivered=1")
	if o := w.erp.objects["S1"]; o["qty"] != 1.0 || len(w.erp.objects) != 1 {
		t.Errorf("the target holds %v", w.erp.objects)
	}
}

// nameless is a target that does not tell the ids of what it creates.
type nameless struct{ *target }

func (n nameless) Write(ctx context.Context, w connector.Write) (connector.Result, error) {
	res, err := n.target.Write(ctx, w)
	res.Local = ""
	return res, err
}

// A create whose answer names no id is looked up.
func TestCreateWithoutID(t *testing.T) {
	w := newWorld(t)
	w.deps.Systems["erp"].Connector = nameless{w.erp}
	r := w.flow("orders-to-erp")
	w.must(r, order("A", 1, "1"), order("A", 2, "2"))
	w.expect("orders-to-erp", "delivered=2")
	if got := strings.Join(w.erp.calls, ","); got != "create A,find,update A" {
		t.Errorf("calls: %s", got)
	}
}

// tokenless is a target without concurrency tokens.
type tokenless struct{ *target }

func (n tokenless) Write(ctx context.Context, w connector.Write) (connector.Result, error) {
	res, err := n.target.Write(ctx, w)
	res.ETag = ""
	return res, err
}

func (n tokenless) Find(ctx context.Context, l connector.Lookup) ([]connector.Record, error) {
	got, err := n.target.Find(ctx, l)
	for i := range got {
		got[i].ETag = ""
	}
	return got, err
}

// A write that was never answered may still arrive. Where the target checks no token, the next write of the object waits until it cannot
// arrive any more: or it would undo it.
func TestStrayWriteDoesNotUndo(t *testing.T) {
	w := newWorld(t)
	w.deps.Systems["erp"].Connector = tokenless{w.erp}
	r := w.flow("orders-to-erp")
	w.must(r, order("A", 1, "1"))
	var lost time.Time
	w.erp.script = []step{{false, dropped, func(*target) { lost = w.clock.Now() }}}
	w.must(r, order("A", 2, "2"))
	w.expect("orders-to-erp", "delivered=2") // the same again does no harm
	w.erp.script = []step{{true, nil, func(t *target) {
		if passed := w.clock.Now().Sub(lost); passed < deliver.CallTimeout {
			w.t.Errorf("written %v after a request that is under way for up to %v", passed, deliver.CallTimeout)
		}
	}}}
	w.must(r, order("A", 3, "3"))
	w.expect("orders-to-erp", "delivered=2 held=1")
	w.until("delivered", func() bool { return w.totals("orders-to-erp").Delivered == 3 })

	// One that was answered is over, whatever the answer.
	w.erp.script = []step{{false, failed500, nil}}
	w.must(r, order("A", 4, "4"), order("A", 5, "5"))
	w.expect("orders-to-erp", "delivered=5")
}

// What another process has sent of another message of the object may still arrive, too.
func TestStrayWriteOfADeadProcess(t *testing.T) {
	w := newWorld(t)
	w.deps.Systems["erp"].Connector = tokenless{w.erp}
	first := w.flow("orders-to-erp")
	w.must(first, order("A", 1, "1"))
	w.died("orders-to-erp", order("A", 2, "2"), false)
	r := w.flow("orders-to-erp")
	taken := w.clock.Now()
	w.erp.script = []step{{true, nil, func(*target) {
		if passed := w.clock.Now().Sub(taken); passed < deliver.CallTimeout {
			t.Errorf("written %v after the dead process", passed)
		}
	}}}
	w.must(r, order("A", 3, "3")) // it is held, and may be released before anybody looks: the clock of the tests goes on by itself
	w.until("delivered", func() bool { return w.totals("orders-to-erp").Delivered == 2 })
	if len(w.erp.script) > 0 {
		t.Error("nothing was written after the dead process")
	}
}

// The clock is set in the middle of everything: forward, nothing is given up for it and nothing counts as over; back, nothing rests for
// an hour, here and with the next owner.
func TestClockIsSet(t *testing.T) {
	turnsTheClock(t)
	t.Run("forward", func(t *testing.T) {
		w := newWorld(t)
		w.erp.script = []step{{false, refusedConn, func(*target) { w.clock.Step(time.Hour) }}, {false, refusedConn, nil}}
		r := w.flow("orders-to-erp")
		w.must(r, order("A", 1, "1"))
		w.expect("orders-to-erp", "delivered=1")
		w.erp.script = []step{{false, dropped, func(*target) { w.clock.Step(time.Hour) }}}
		began := w.clock.Elapsed()
		w.must(r, order("B", 1, "1"))
		w.until("delivered", func() bool { return w.summary("orders-to-erp") == "delivered=2" })
		if passed := w.clock.Elapsed() - began; passed < deliver.CallTimeout {
			t.Errorf("a create that may be under way was sent again after %v", passed)
		}
	})
	t.Run("back", func(t *testing.T) {
		w := newWorld(t)
		for range 60 {
			w.erp.script = append(w.erp.script, step{false, refusedConn, nil})
		}
		r := w.flow("orders-to-erp")
		w.must(r, order("A", 1, "1"))
		w.expect("orders-to-erp", "held=1")
		began := w.clock.Elapsed()
		w.clock.Step(-time.Hour)
		w.until("delivered", func() bool { return w.summary("orders-to-erp") == "delivered=1" })
		if passed := w.clock.Elapsed() - began; passed > 2*time.Minute {
			t.Errorf("it rested for %v", passed)
		}
	})
	t.Run("back, and another owner", func(t *testing.T) {
		w := newWorld(t)
		for range 60 {
			w.erp.script = append(w.erp.script, step{false, refusedConn, nil})
		}
		r := w.flow("orders-to-erp")
		w.must(r, order("A", 1, "1"))
		w.expect("orders-to-erp", "held=1")
		if err := r.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.clock.Step(-time.Hour)
		began := w.clock.Elapsed()
		w.flow("orders-to-erp")
		w.until("delivered", func() bool { return w.summary("orders-to-erp") == "delivered=1" })
		if passed := w.clock.Elapsed() - began; passed > 2*time.Minute {
			t.Errorf("it rested for %v", passed)
		}
	})
	t.Run("a call that is under way, by a clock that is ahead", func(t *testing.T) {
		w := newWorld(t)
		out, in := w.flow("orders-to-erp"), w.flow("erp-orders")
		w.must(out, order("A", 1, "1"))
		w.clock.Step(time.Hour)
		w.died("orders-to-erp", order("A", 2, "2"), false)
		w.clock.Step(-time.Hour)
		w.atRest = 3
		began := w.clock.Elapsed()
		w.must(in, event.Event{ID: "p", Source: "erp", Key: "T1", Version: "2", Operation: event.Upsert, Data: []byte(`{"no":"A","qty":2,"number":"SO-1","rev":2}`)})
		w.expect("erp-orders", "delivered=1")
		if passed := w.clock.Elapsed() - began; passed > 30*time.Minute {
			t.Errorf("what came from there waited for %v", passed)
		}
	})
}

// The intent is opened under the partition's epoch: a hub that was replaced between its look and the call makes none.
func TestReplacedBeforeTheIntent(t *testing.T) {
	w := newWorld(t)
	r := w.flow("orders-to-erp")
	w.flow("orders-to-erp") // takes the partition over
	if err := w.batch(r, order("A", 1, "1")); !errors.Is(err, state.ErrFenced) {
		t.Errorf("the batch ended with %v", err)
	}
	if len(w.erp.calls) > 0 {
		t.Errorf("it called: %v", w.erp.calls)
	}
}

// What was created for an event in a target that cannot change it stays as it is, although another mapping was loaded before the event came
// again: the event is done with. A newer event of the object is refused, and a person told.
func TestWrittenOnce(t *testing.T) {
	e := order("A", 1, "1")
	other := with(e, func(e *event.Event) { e.Data = []byte(strings.Replace(string(e.Data), `"qty":1`, `"qty":2`, 1)) })
	begin := func(t *testing.T) *world {
		w := newWorld(t)
		w.deps.Systems["erp"].Connector = paper{w.erp}
		return w
	}
	holds := func(w *world, want float64) {
		w.t.Helper()
		if o := w.erp.objects["T1"]; len(w.erp.objects) != 1 || o["qty"] != want {
			w.t.Errorf("the target holds %v", w.erp.objects)
		}
	}
	t.Run("delivered, and again", func(t *testing.T) {
		w := begin(t)
		r := w.flow("orders-to-erp")
		w.must(r, e)
		w.must(r, other)
		w.expect("orders-to-erp", "delivered=1 duplicate=1")
		holds(w, 1)
	})
	t.Run("in doubt, and again", func(t *testing.T) {
		w := begin(t)
		w.died("orders-to-erp", e, true)
		w.erp.made("T1", e, map[string]any{"no": "A", "qty": 1.0})
		w.must(w.flow("orders-to-erp"), other)
		w.expect("orders-to-erp", "delivered=1")
		w.settled("A", "T1")
		holds(w, 1)
	})
	t.Run("a newer one", func(t *testing.T) {
		w := begin(t)
		r := w.flow("orders-to-erp")
		w.must(r, e)
		w.must(r, order("A", 3, "2"))
		w.expect("orders-to-erp", "delivered=1 parked=1")
		holds(w, 1)
	})
}
