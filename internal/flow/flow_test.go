package flow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/flow/deliver"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
)

var (
	refusedConn = fault.New(fault.Unavailable, "connection refused")
	dropped     = fault.New(fault.UnknownOutcome, "reset after sending")
	failed500   = &fault.Error{Kind: fault.UnknownOutcome, Code: "500", Err: errors.New("internal error")}
	wrong       = fault.New(fault.Invalid, "400 no such currency")
	unauthd     = fault.New(fault.Auth, "401")
)

func TestDelivery(t *testing.T) {
	tests := []struct {
		name   string
		script []step
		events []event.Event
		want   string
		calls  string
	}{
		{"create, then update", nil, []event.Event{order("A", 1, "1"), order("A", 2, "2")}, "delivered=2", "create A,update A"},
		{"the same version and content again", nil, []event.Event{order("A", 1, "1"), with(order("A", 1, "1"), func(e *event.Event) { e.ID = "x" })}, "delivered=1 duplicate=1", "create A"},
		{"an older version", nil, []event.Event{order("A", 2, "2"), order("A", 1, "1")}, "delivered=1 stale=1", "create A"},
		{"an equal version with other content", nil, []event.Event{order("A", 1, "1"), order("A", 2, "1")}, "delivered=2", "create A,update A"},
		{"the first of two events of one version comes again", nil, []event.Event{order("A", 1, "1"), with(order("A", 2, "1"), func(e *event.Event) { e.ID = "second" }), order("A", 1, "1")},
			"delivered=2 duplicate=1", "create A,update A"},
		{"there and back in events of one version", nil, []event.Event{order("A", 1, "1"), with(order("A", 2, "1"), func(e *event.Event) { e.ID = "second" }), with(order("A", 1, "1"), func(e *event.Event) { e.ID = "third" })},
			"delivered=3", "create A,update A,update A"},
		{"versions are numbers", nil, []event.Event{order("A", 1, "9"), order("A", 2, "10")}, "delivered=2", "create A,update A"},
		{"a stamp of the far future makes nothing stale, and comes again for nothing", nil, []event.Event{
			accepted(order("A", 1, "2026-03-01T08:59:58Z"), 0), accepted(order("A", 2, "2062-01-01T00:00:00Z"), 1), accepted(order("A", 3, "2026-03-01T08:59:59Z"), 2),
			accepted(order("A", 2, "2062-01-01T00:00:00Z"), 1), accepted(order("A", 1, "2026-03-01T08:59:58Z"), 0)}, "delivered=3 duplicate=1 stale=1", "create A,update A,update A"},
		{"a stamp of the far future comes first", nil, []event.Event{accepted(order("A", 2, "2062-01-01T00:00:00Z"), 0), accepted(order("A", 3, "2026-03-01T08:59:59Z"), 1), accepted(order("A", 2, "2062-01-01T00:00:00Z"), 0)},
			"delivered=2 duplicate=1", "create A,update A"},
		{"its own change comes back", nil, []event.Event{with(order("A", 1, "1"), func(e *event.Event) { e.Origin = "erp" })}, "echo=1", ""},
		{"filtered", nil, []event.Event{with(order("A", 1, "1"), func(e *event.Event) { e.Data = []byte(`{"no":"A","qty":1,"status":"draft"}`) })}, "filtered=1", ""},
		{"refused before sending", []step{{false, refusedConn, nil}, {false, refusedConn, nil}}, []event.Event{order("A", 1, "1")}, "delivered=1", "create A,create A,create A"},
		{"applied, answer lost", []step{{true, dropped, nil}}, []event.Event{order("A", 1, "1")}, "delivered=1", "create A,find"},
		{"not applied, answered with an error", []step{{false, failed500, nil}}, []event.Event{order("A", 1, "1")}, "delivered=1", "create A,find,create A"},
		{"not applied, answer lost: it may be under way", []step{{false, dropped, nil}}, []event.Event{order("A", 1, "1")}, "held=1", "create A,find"},
		{"an update's answer is lost", []step{{true, nil, nil}, {true, dropped, nil}}, []event.Event{order("A", 1, "1"), order("A", 2, "2")}, "delivered=2", "create A,update A,update A,update A"},
		{"an update's answers are lost again and again: each makes the token stale, and none is a conflict with others",
			[]step{{apply: true}, {true, dropped, nil}, {apply: true}, {true, dropped, nil}, {apply: true}, {true, dropped, nil}, {apply: true}, {true, dropped, nil}, {apply: true}, {true, dropped, nil}, {apply: true}},
			[]event.Event{order("A", 1, "1"), order("A", 2, "2")}, "delivered=2", "create A" + strings.Repeat(",update A", 11)},
		{"refused for good, the next one queues behind", []step{{false, wrong, nil}}, []event.Event{order("A", 1, "1"), order("A", 2, "2")}, "parked=2", "create A"},
		{"gone in the target", []step{{true, nil, nil}, {false, fault.New(fault.NotFound, "404"), nil}}, []event.Event{order("A", 1, "1"), order("A", 2, "2")}, "delivered=1 parked=1", "create A,update A"},
		{"deleted", nil, []event.Event{order("A", 1, "1"), with(order("A", 1, "2"), func(e *event.Event) { e.Operation = event.Delete })}, "delivered=2", "create A,delete <nil>"},
		{"an update older than the deletion", nil, []event.Event{order("A", 1, "1"), with(order("A", 1, "3"), func(e *event.Event) { e.Operation = event.Delete }), order("A", 5, "2")}, "delivered=2 stale=1", "create A,delete <nil>"},
		{"a deletion that comes first", nil, []event.Event{with(order("A", 1, "3"), func(e *event.Event) { e.Operation = event.Delete }), order("A", 5, "2")}, "delete-ignored=1 stale=1", ""},
		{"not JSON", nil, []event.Event{with(order("A", 1, "1"), func(e *event.Event) { e.Data = []byte(`{"no":`) })}, "parked=1", ""},
		{"not by the schema", nil, []event.Event{with(order("A", 1, "1"), func(e *event.Event) { e.Data = []byte(`{"no":"A"}`) })}, "parked=1", ""},
		{"round in a circle", nil, []event.Event{with(order("A", 1, "1"), func(e *event.Event) { e.Hops = 99 })}, "parked=1", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.erp.script = tt.script
			r := w.flow("orders-to-erp")
			w.must(r, tt.events...)
			w.expect("orders-to-erp", tt.want)
			if got := strings.Join(w.erp.calls, ","); got != tt.calls {
				t.Errorf("calls: got %q, want %q", got, tt.calls)
			}
			if _, _, n, err := w.store.StatusSnapshot(t.Context()); n != 0 || err != nil {
				t.Errorf("%d duplicates, %v", n, err)
			}
			if len(w.erp.objects) > 1 {
				t.Errorf("the target holds %d objects of one key", len(w.erp.objects))
			}
		})
	}
}

// A redelivery of what is decided changes nothing and calls nobody.
func TestRedelivery(t *testing.T) {
	w := newWorld(t)
	r := w.flow("orders-to-erp")
	w.must(r, order("A", 1, "1"), order("A", 2, "2"))
	calls := len(w.erp.calls)
	w.assign(r) // a rebalance: a new epoch, the same records again
	w.next["orders-to-erp"] = 0
	w.must(r, order("A", 1, "1"), order("A", 2, "2"))
	w.expect("orders-to-erp", "delivered=2")
	if again := w.erp.calls[calls:]; len(again) > 0 {
		t.Errorf("the redelivery called %v", again)
	}
}

// A topic of another program gets more partitions, and a key moves: what comes in the new one, at offsets that are lower, is news.
func TestKeyMovesToAnotherPartition(t *testing.T) {
	w := newWorldOf(t, strings.Replace(naturalFlows, "find-by: [no]", "", 1), store.Config{})
	r := w.own("orders-to-erp", 0, 5)
	at := func(partition int, offset int64, qty int) {
		t.Helper()
		rec := event.Record{Topic: "orders", Partition: partition, Offset: offset, Key: []byte("K"), Value: fmt.Appendf(nil, `{"no":"K","qty":%d}`, qty)}
		b := &event.Batch{Topic: "orders", Partition: partition, Epoch: r.parts[partKey{"orders", partition}].Epoch, Lane: event.LaneOf("K", 16), Records: []event.Record{rec}}
		if err := w.hand(r, b); err != nil {
			t.Fatal(err)
		}
	}
	at(0, 50_000, 1)
	at(5, 0, 2)
	at(5, 1, 3)
	w.expect("orders-to-erp", "delivered=3")
	if o := w.erp.objects["T1"]; o["qty"] != 3.0 {
		t.Errorf("the object is %v", o)
	}
}

// What was read under an older epoch is refused: another hub decides it.
func TestFenced(t *testing.T) {
	w := newWorld(t)
	r := w.flow("orders-to-erp")
	other := w.flow("orders-to-erp") // takes the partition over in the store
	err := w.batch(r, order("A", 1, "1"))
	if !errors.Is(err, state.ErrFenced) {
		t.Fatalf("got %v, want a fence", err)
	}
	w.expect("orders-to-erp", "")
	w.next["orders-to-erp"] = 0
	w.must(other, order("A", 1, "1"))
	w.expect("orders-to-erp", "delivered=1")
	if len(w.erp.objects) != 1 {
		t.Errorf("the target holds %d objects", len(w.erp.objects))
	}
}

func TestParkedQueueKeepsOrder(t *testing.T) {
	w := newWorld(t)
	w.erp.script = []step{{false, wrong, nil}}
	r := w.flow("orders-to-erp")
	w.must(r, order("A", 1, "1"), order("A", 2, "2"), order("A", 3, "3"))
	w.expect("orders-to-erp", "parked=3")
	head := w.queue("orders-to-erp")[0]
	if !strings.Contains(head.Reason, "no such currency") || head.Follower {
		t.Fatalf("the head is %+v", head)
	}
	if err := w.store.Edit(t.Context(), state.Edit{ID: head.ID, Data: []byte(`{"no":"A","qty":10,"status":"new"}`), Who: "ann", Note: "currency"}); err != nil {
		t.Fatal(err)
	}
	if err := w.store.Mark(t.Context(), state.Wish{ID: head.ID, Mark: state.MarkReplay, Who: "ann", Note: ""}); err != nil {
		t.Fatal(err)
	}
	r.Kick()
	w.until("drained", func() bool { return w.totals("orders-to-erp").Parked == 0 })
	w.until("all delivered", func() bool { return w.totals("orders-to-erp").Delivered == 3 })
	w.erp.mu.Lock()
	defer w.erp.mu.Unlock()
	if got := w.erp.objects["T1"]["qty"]; got != 3.0 {
		t.Errorf("the last state must win: qty %v", got)
	}
}

func TestDiscard(t *testing.T) {
	w := newWorld(t)
	w.erp.script = []step{{false, wrong, nil}}
	r := w.flow("orders-to-erp")
	w.must(r, order("A", 1, "1"), order("A", 2, "2"))
	if err := w.store.Mark(t.Context(), state.Wish{ID: w.queue("orders-to-erp")[0].ID, Mark: state.MarkDiscard, Who: "ann", Note: "test order"}); err != nil {
		t.Fatal(err)
	}
	r.Kick()
	w.until("drained", func() bool { return w.summary("orders-to-erp") == "delivered=1 discarded=1" })
	w.must(r, order("A", 3, "3"))
	w.expect("orders-to-erp", "delivered=2 discarded=1")
}

func TestLatestGoesOn(t *testing.T) {
	w := newWorld(t)
	w.erp2.script = []step{{false, wrong, nil}}
	r := w.flow("orders-latest")
	w.must(r, order("A", 1, "1"), order("A", 2, "2"))
	w.expect("orders-latest", "delivered=1 parked=1")
	if err := w.store.Mark(t.Context(), state.Wish{ID: w.queue("orders-latest")[0].ID, Mark: state.MarkReplay, Who: "ann", Note: ""}); err != nil {
		t.Fatal(err)
	}
	r.Kick()
	// The parked version is older than what went on: replaying it must not go back.
	w.until("drained", func() bool { return w.summary("orders-latest") == "delivered=1 stale=1" })
}

func TestWaitsForCustomer(t *testing.T) {
	w := newWorld(t)
	orders, customers := w.flow("orders-to-erp"), w.flow("erp-customers")
	w.onWoken(orders.Kick)
	hub := state.MintHub("customer", "erp", "C1")
	needs := func(no, version string) event.Event {
		return with(order(no, 1, version), func(e *event.Event) { e.Data = []byte(`{"no":"` + no + `","qty":1,"customer":"` + hub + `"}`) })
	}
	w.must(orders, needs("A", "1"), needs("A", "2"))
	w.must(orders, needs("B", "1"))
	w.expect("orders-to-erp", "waiting=3")
	if m := w.queue("orders-to-erp")[0].Missing; m == nil || m.Entity != "customer" || m.System != "erp" || m.Hub != hub {
		t.Fatalf("waits for %+v", m)
	}
	w.must(customers, event.Event{ID: "c", Source: "erp", Key: "C1", Version: "1", Operation: event.Upsert, Data: []byte(`{"no":"C1","qty":0,"rev":1}`)})
	w.until("released", func() bool { return w.totals("orders-to-erp").Waiting == 0 })
	w.until("delivered", func() bool {
		return w.totals("orders-to-erp").Delivered+w.totals("orders-to-erp").Skipped[state.Duplicate] == 3
	})
}

func TestUnavailableIsHeldThenDelivered(t *testing.T) {
	w := newWorld(t)
	for range 40 {
		w.erp.script = append(w.erp.script, step{false, refusedConn, nil})
	}
	r := w.flow("orders-to-erp")
	w.must(r, order("A", 1, "1"), order("A", 2, "2"))
	if s := w.summary("orders-to-erp"); s != "held=2" {
		t.Fatalf("after 30 s in place: %s", s)
	}
	w.until("delivered", func() bool { return w.totals("orders-to-erp").Delivered == 2 })
	if n := len(w.erp.objects); n != 1 {
		t.Errorf("%d objects", n)
	}
}

// A target that says when to come again is not called before that, and a long time is not spent in the lane.
func TestRetryAfter(t *testing.T) {
	turnsTheClock(t)
	w := newWorld(t)
	r := w.flow("orders-to-erp")
	var last time.Time
	limited := func(after time.Duration) step {
		return step{err: &fault.Error{Kind: fault.RateLimited, RetryAfter: after, Err: errors.New("too many")}, before: func(*target) {
			if got := w.clock.Now().Sub(last); !last.IsZero() && got < 2*time.Second {
				t.Errorf("called again after %s", got)
			}
			last = w.clock.Now()
		}}
	}
	for range 10 {
		w.erp.script = append(w.erp.script, limited(2*time.Second))
	}
	w.must(r, order("A", 1, "1"))
	w.expect("orders-to-erp", "delivered=1")

	last = time.Time{}
	w.erp.script = []step{limited(5 * time.Minute)}
	began := w.clock.Now()
	w.must(r, order("B", 1, "1"))
	if took := w.clock.Now().Sub(began); w.summary("orders-to-erp") != "delivered=1 held=1" || took > 30*time.Second {
		t.Fatalf("%s after %s in the lane", w.summary("orders-to-erp"), took)
	}
	if q := w.queue("orders-to-erp")[0]; q.NotBefore.Before(began.Add(5 * time.Minute)) {
		t.Errorf("it is to be tried again %s after the answer", q.NotBefore.Sub(began))
	}
	w.until("delivered", func() bool { return w.totals("orders-to-erp").Delivered == 2 })
}

func TestUnknownOutcomeIsParkedAfterRetryTime(t *testing.T) {
	turnsTheClock(t)
	w := newWorld(t)
	for range 1000 {
		w.erp.script = append(w.erp.script, step{false, dropped, nil})
	}
	r := w.flow("orders-to-erp")
	w.must(r, order("A", 1, "1"))
	w.until("parked", func() bool { return w.summary("orders-to-erp") == "parked=1" })
	if q := w.queue("orders-to-erp")[0]; q.Kind != "unknown-outcome" {
		t.Errorf("kind %s", q.Kind)
	}
}

// A create whose answer is lost in a system that cannot be asked is parked at once: sending again might double it.
func TestCannotBeAsked(t *testing.T) {
	w := newWorld(t)
	w.deps.Systems["erp"].Connector = mute{w.erp}
	w.erp.script = []step{{true, dropped, nil}}
	r := w.flow("orders-to-erp")
	w.must(r, order("A", 1, "1"))
	w.expect("orders-to-erp", "parked=1")
	if q := w.queue("orders-to-erp")[0]; q.Kind != "unknown-outcome" || len(w.erp.objects) != 1 {
		t.Errorf("%+v; the target holds %d objects", q, len(w.erp.objects))
	}
}

// looks is a target whose look-ups fail or come too early, as the test says.
type looks struct {
	*target
	blind func() (hidden bool, err error)
}

func (l looks) Find(ctx context.Context, q connector.Lookup) ([]connector.Record, error) {
	if hidden, err := l.blind(); hidden || err != nil {
		return nil, err
	}
	return l.target.Find(ctx, q)
}

func (w *world) intent(no string) *state.Intent {
	w.t.Helper()
	got, err := w.store.Target(w.t.Context(), "order", "hub-"+no, "erp", "crm")
	if err != nil {
		w.t.Fatal(err)
	}
	if len(got.Intents) == 0 {
		return nil
	}
	return &got.Intents[0]
}

// A create in doubt keeps its intent when the look-ups fail: a replay looks again before it sends.
func TestDoubtOutlivesParking(t *testing.T) {
	turnsTheClock(t)
	for _, k := range []fault.Kind{fault.Unavailable, fault.Invalid, fault.NotFound} {
		t.Run(k.String(), func(t *testing.T) {
			w := newWorld(t)
			down := true
			w.deps.Systems["erp"].Connector = looks{w.erp, func() (bool, error) {
				if down {
					return false, fault.New(k, "no look-up")
				}
				return false, nil
			}}
			w.erp.script = []step{{true, dropped, nil}}
			r := w.flow("orders-to-erp")
			w.must(r, order("A", 1, "1"))
			w.until("parked", func() bool { return w.summary("orders-to-erp") == "parked=1" })
			if w.intent("A") == nil {
				t.Fatal("the intent of a create in doubt is closed")
			}
			down = false
			q := w.queue("orders-to-erp")[0]
			if err := w.store.Edit(t.Context(), state.Edit{ID: q.ID, Data: []byte(`{"no":"A","qty":77,"status":"new"}`), Who: "ann", Note: ""}); err != nil {
				t.Fatal(err)
			}
			if err := w.store.Mark(t.Context(), state.Wish{ID: q.ID, Mark: state.MarkReplay, Who: "ann", Note: ""}); err != nil {
				t.Fatal(err)
			}
			r.Kick()
			w.until("replayed", func() bool { return w.summary("orders-to-erp") == "delivered=1" })
			// One object, and it holds what the person has written, not what the lost call had.
			if o := w.erp.objects["T1"]; len(w.erp.objects) != 1 || o["qty"] != 77.0 {
				t.Errorf("the target holds %v", w.erp.objects)
			}
			if w.intent("A") != nil {
				t.Error("the intent stands after the delivery")
			}
		})
	}
}

// A create that a dead process had sent may become visible late: it is not sent again before its deadline is over.
func TestCreateOfDeadProcessShowsLate(t *testing.T) {
	w := newWorld(t)
	w.deps.Systems["erp"].VisibleAfter = 5 * time.Second
	began := w.clock.Now()
	w.deps.Systems["erp"].Connector = looks{w.erp, func() (bool, error) { return w.clock.Now().Sub(began) < 20*time.Second, nil }}
	e := order("A", 1, "1")
	external := state.ExternalID("order", e.Hub)
	w.erp.objects["T9"], w.erp.byExt[external] = map[string]any{"no": "A"}, "T9"
	if err := w.store.OpenIntent(t.Context(), state.Intent{Flow: "orders-to-erp", Entity: "order", Hub: e.Hub, System: "erp", EventID: e.ID, Create: true, External: external, Opened: began}); err != nil {
		t.Fatal(err)
	}
	r := w.flow("orders-to-erp")
	w.must(r, e)
	w.expect("orders-to-erp", "held=1")
	w.until("adopted", func() bool { return w.summary("orders-to-erp") == "delivered=1" })
	for _, c := range w.erp.calls {
		if strings.HasPrefix(c, "create") {
			t.Errorf("created again: %v", w.erp.calls)
		}
	}
}

// A create may have waited long for the system's limits before it was sent: the time in which it may still be under way counts from
// when its process was replaced, and from the end of a call of this process, not from when it was begun.
func TestDoubtCountsFromTheEnd(t *testing.T) {
	t.Run("of a process that was replaced", func(t *testing.T) {
		w := newWorld(t)
		e := order("A", 1, "1")
		external := state.ExternalID("order", e.Hub)
		if err := w.store.OpenIntent(t.Context(), state.Intent{Flow: "orders-to-erp", Entity: "order", Hub: e.Hub, System: "erp", EventID: e.ID, Create: true, External: external,
			Opened: w.clock.Now().Add(-time.Minute)}); err != nil {
			t.Fatal(err)
		}
		r := w.flow("orders-to-erp")
		w.must(r, e)
		w.expect("orders-to-erp", "held=1")
		for _, c := range w.erp.calls {
			if strings.HasPrefix(c, "create") {
				t.Errorf("sent again while the first may be under way: %v", w.erp.calls)
			}
		}
	})
	t.Run("of this process", func(t *testing.T) {
		w := newWorld(t)
		cut := &waited{target: w.erp, clock: w.clock}
		w.deps.Systems["erp"].Connector = cut
		r := w.flow("orders-to-erp")
		w.must(r, order("A", 1, "1"))
		w.expect("orders-to-erp", "held=1")
		if cut.writes != 1 {
			t.Errorf("sent %d times while the first may be under way", cut.writes)
		}
	})
}

// waited is a target whose first write waits for two minutes before it is sent, and is cut off at once.
type waited struct {
	*target
	clock  *lifecycle.Manual
	writes int
}

func (c *waited) Write(ctx context.Context, w connector.Write) (connector.Result, error) {
	if c.writes++; c.writes == 1 {
		c.clock.Advance(2 * time.Minute)
		return connector.Result{}, fault.New(fault.UnknownOutcome, "the connection was reset")
	}
	return c.target.Write(ctx, w)
}

// What a dead process had created, and stands there as it should, is adopted as it is: systems such as files take no updates.
func TestCreateOfDeadProcessIsNotWrittenAgain(t *testing.T) {
	w := newWorld(t)
	for no, holds := range map[string]map[string]any{"A": {"no": "A", "qty": 1.0, "status": "new"}, "B": {"no": "B", "qty": 0.0, "status": "new"}} {
		e := order(no, 1, "1")
		external := state.ExternalID("order", e.Hub)
		w.erp.objects["T"+no], w.erp.byExt[external] = holds, "T"+no
		if err := w.store.OpenIntent(t.Context(), state.Intent{Flow: "orders-to-erp", Entity: "order", Hub: e.Hub, System: "erp", EventID: "dead-" + no, Create: true, External: external,
			Opened: w.clock.Now().Add(-time.Hour)}); err != nil {
			t.Fatal(err)
		}
	}
	r := w.flow("orders-to-erp")
	w.must(r, order("A", 1, "1"))
	w.until("adopted", func() bool { return w.summary("orders-to-erp") == "delivered=1" })
	if !slices.Equal(w.erp.calls, []string{"find"}) {
		t.Errorf("written again: %v", w.erp.calls)
	}
	w.must(r, order("B", 1, "1"))
	w.until("adopted and written", func() bool { return w.summary("orders-to-erp") == "delivered=2" })
	if !slices.Equal(w.erp.calls, []string{"find", "find", "update B"}) || w.erp.objects["TB"]["qty"] != 1.0 {
		t.Errorf("calls %v, the target holds %v", w.erp.calls, w.erp.objects["TB"])
	}
}

// Many parked messages of a key that block nothing must not hide the one that does.
func TestHeldBehindManyParked(t *testing.T) {
	w := newWorld(t)
	for range drainRows + 1 {
		w.erp2.script = append(w.erp2.script, step{false, wrong, nil})
	}
	r := w.flow("orders-latest")
	for i := range drainRows + 1 {
		w.must(r, order("A", i, strconv.Itoa(i+1)))
	}
	for range 12 {
		w.erp2.script = append(w.erp2.script, step{false, refusedConn, nil})
	}
	w.must(r, order("A", 500, "500"))
	w.until("delivered", func() bool { return w.totals("orders-latest").Delivered == 1 })
}

// What stands behind a record that the broker refuses joins its queue: the bus wrote nothing behind it, and sending it again
// alone would let it overtake.
func TestBrokerRefusesFirstOfKey(t *testing.T) {
	w := newWorld(t)
	w.log.fail = []error{fault.New(fault.Invalid, "refused by policy"), fault.New(fault.Unavailable, "behind a record that failed")}
	r := w.flow("copy")
	w.must(r, order("A", 1, "1"), order("A", 2, "2"))
	w.expect("copy", "parked=2")
	if len(w.log.records) != 0 {
		t.Errorf("%d records of the key are on the topic", len(w.log.records))
	}
}

// A record that is too large is parked before the next one of its key is sent.
func TestRefusedRecordsKeepOrder(t *testing.T) {
	w := newWorld(t)
	w.deps.MaxRecord = func(string) int { return 600 }
	in := w.flow("erp-orders")
	big := event.Event{ID: "a", Source: "erp", Key: "T1", Version: "1", Operation: event.Upsert, Data: []byte(`{"no":"` + strings.Repeat("x", 600) + `","qty":1,"rev":1}`)}
	next := event.Event{ID: "b", Source: "erp", Key: "T1", Version: "2", Operation: event.Upsert, Data: []byte(`{"no":"A","qty":1,"rev":2}`)}
	w.must(in, big, next)
	w.expect("erp-orders", "parked=2")
	if len(w.log.records) != 0 {
		t.Error("a record has overtaken the one before it")
	}
}

// Stop may come while batches and partitions do: nothing panics, and what comes late is handed back.
func TestStopUnderLoad(t *testing.T) {
	rounds := 50
	if testing.Short() {
		rounds = 15 // under the race detector
	}
	for range rounds {
		w := newWorld(t)
		r, err := New(w.plan.Flow("orders-to-erp"), w.deps)
		if err != nil {
			t.Fatal(err)
		}
		w.assign(r)
		epoch := w.epoch(r)
		var hands sync.WaitGroup
		for i := range 8 {
			e := order(strconv.Itoa(i), 1, "1")
			b := &event.Batch{Topic: "orders", Epoch: epoch, Lane: event.LaneOf(e.Lane(), 16), Records: []event.Record{{Topic: "orders", Offset: int64(i), Key: []byte(e.Lane()), Value: e.Data, Headers: e.Headers()}}}
			hands.Go(func() { _ = w.handQuiet(r, b) })
		}
		if err := r.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		hands.Wait()
		if err := w.handQuiet(r, &event.Batch{Topic: "orders", Epoch: epoch}); !errors.Is(err, deliver.ErrStopping) {
			t.Errorf("after the stop: %v", err)
		}
		if _, _, _, err := r.Assigned(t.Context(), "g", "orders", 1, event.Log{Cluster: "cluster", TopicID: "topic", Last: 1}); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("a partition is taken after the stop: %v", err)
		}
	}
}

func TestBreaker(t *testing.T) {
	w := newWorld(t)
	b := w.deps.Systems["erp"].Breaker
	ctx, cancel := context.WithCancel(t.Context())
	watching := make(chan struct{})
	go func() { b.Watch(ctx); close(watching) }()
	defer func() { cancel(); <-watching }()
	w.erp.probe = refusedConn
	r := w.flow("orders-to-erp")
	done := make(chan error, 3)
	for i, no := range []string{"A", "B", "C"} {
		e := order(no, 1, "1")
		batch := &event.Batch{Topic: "orders", Epoch: w.epoch(r), Lane: event.LaneOf(e.Lane(), 16), Records: []event.Record{{Topic: "orders", Offset: int64(i), Key: []byte(e.Lane()), Value: e.Data, Headers: e.Headers()}}}
		go func() { done <- w.handQuiet(r, batch) }()
	}
	// All three wait for their next try, beside the drain and the breaker's watch, before the clock moves.
	if err := w.clock.BlockUntil(t.Context(), 5); err != nil {
		t.Fatal(err)
	}
	w.until("open", b.Open)
	before := w.clock.Now()
	w.until("an hour later", func() bool { return w.clock.Now().Sub(before).Hours() > 1 })
	if s := w.summary("orders-to-erp"); s != "" {
		t.Fatalf("while the system was down: %s", s)
	}
	w.erp.mu.Lock()
	w.erp.probe = nil
	w.erp.mu.Unlock()
	w.until("all delivered", func() bool { return w.totals("orders-to-erp").Delivered == 3 })
	for range 3 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestAuthParksNothing(t *testing.T) {
	w := newWorld(t)
	b := w.deps.Systems["erp"].Breaker
	ctx, cancel := context.WithCancel(t.Context())
	watching := make(chan struct{})
	go func() { b.Watch(ctx); close(watching) }()
	defer func() { cancel(); <-watching }()
	w.erp.script = []step{{false, unauthd, nil}}
	r := w.flow("orders-to-erp")
	w.must(r, order("A", 1, "1"))
	w.expect("orders-to-erp", "delivered=1")
}

// Stopping in the middle of a call decides nothing and poisons nothing.
func TestStopDecidesNothing(t *testing.T) {
	w := newWorld(t)
	for range 1000 {
		w.erp.script = append(w.erp.script, step{false, refusedConn, nil})
	}
	r := w.flow("orders-to-erp")
	e := order("A", 1, "1")
	batch := &event.Batch{Topic: "orders", Epoch: w.epoch(r), Lane: event.LaneOf(e.Lane(), 16), Records: []event.Record{{Topic: "orders", Key: []byte(e.Lane()), Value: e.Data, Headers: e.Headers()}}}
	done := make(chan error, 1)
	go func() { done <- w.handQuiet(r, batch) }()
	if err := w.clock.BlockUntil(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	if err := r.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err == nil {
		t.Error("the batch was acknowledged")
	}
	w.expect("orders-to-erp", "")
}

func TestConflictIsWrittenOnTop(t *testing.T) {
	w := newWorld(t)
	r := w.flow("orders-to-erp")
	w.must(r, order("A", 1, "1"))
	w.erp.script = []step{{true, nil, func(t *target) { t.objects["T1"]["note"] = "by hand"; t.bump("T1") }}}
	w.must(r, order("A", 2, "2"))
	w.expect("orders-to-erp", "delivered=2")
	if o := w.erp.objects["T1"]; o["qty"] != 2.0 || o["note"] != "by hand" {
		t.Errorf("the object is %v", o)
	}
}

// An object that people change again and again is read right before each write, not before the pause between two of them; and it takes
// more than a few of their changes to park a message.
func TestConflictsWithBusyPeople(t *testing.T) {
	w := newWorld(t)
	read, writes := time.Duration(-1), 0
	w.deps.Systems["erp"].Connector = looks{w.erp, func() (bool, error) { read = w.clock.Elapsed(); return false, nil }}
	r := w.flow("orders-to-erp")
	w.must(r, order("A", 1, "1"))
	for i := range 9 {
		w.erp.script = append(w.erp.script, step{true, nil, func(t *target) {
			if writes++; i > 0 && read != w.clock.Elapsed() {
				w.t.Errorf("written at %v on top of what was read at %v", w.clock.Elapsed(), read)
			}
			t.objects["T1"]["note"] = "by hand"
			t.bump("T1")
		}})
	}
	w.must(r, order("A", 2, "2"))
	w.expect("orders-to-erp", "delivered=2")
	if writes != 9 {
		t.Errorf("%d writes met a change", writes)
	}
	for range deliver.MaxConflicts + 1 {
		w.erp.script = append(w.erp.script, step{true, nil, func(t *target) { t.bump("T1") }})
	}
	w.must(r, order("A", 3, "3"))
	w.expect("orders-to-erp", "delivered=2 parked=1")
}

// What the target sends back of a write is an echo; what it made itself, or somebody changed there meanwhile, is news.
func TestEcho(t *testing.T) {
	w := newWorld(t)
	out, in := w.flow("orders-to-erp"), w.flow("erp-orders")
	w.must(out, order("A", 1, "1"))
	external := state.ExternalID("order", "hub-A")
	if w.erp.byExt[external] != "T1" {
		t.Fatal("the external id is not the deterministic one")
	}
	from := func(id, rev, data string) event.Event {
		return event.Event{ID: id, Source: "erp", Key: "T1", Version: rev, Operation: event.Upsert, Data: []byte(data)}
	}
	w.must(in, from("e1", "1", `{"no":"A","qty":1,"status":"new","rev":1}`))
	w.expect("erp-orders", "echo=1")
	w.must(in, from("e2", "2", `{"no":"A","qty":1,"status":"new","number":"SO-7","rev":2}`))
	w.expect("erp-orders", "delivered=1 echo=1")
	w.must(in, from("e2", "2", `{"no":"A","qty":1,"status":"new","number":"SO-7","rev":2}`))
	w.expect("erp-orders", "delivered=1 duplicate=1 echo=1")
	w.must(in, from("e0", "1", `{"no":"A","qty":9,"rev":1}`))
	w.expect("erp-orders", "delivered=1 duplicate=1 echo=1 stale=1")
	if hub := event.Read(&w.log.records[0]).Hub; hub != "hub-A" {
		t.Errorf("the object was taken for another one: %s", hub)
	}
}

// A change by hand just before the hub's write comes in with the same state that the hub reads back: it is no echo.
func TestForeignChangeIsNoEcho(t *testing.T) {
	w := newWorld(t)
	out, in := w.flow("orders-to-erp"), w.flow("erp-orders")
	w.must(out, order("A", 1, "1"))
	w.erp.script = []step{{true, nil, func(t *target) { t.objects["T1"]["number"] = "SO-8" }}}
	w.must(out, order("A", 2, "2"))
	w.must(in, event.Event{ID: "e", Source: "erp", Key: "T1", Version: "5", Operation: event.Upsert, Data: []byte(`{"no":"A","qty":2,"status":"new","number":"SO-8","rev":5}`)})
	w.expect("erp-orders", "delivered=1")
}

// An own write that is read late, after the next own write, must not travel on as news.
func TestOwnOlderWriteIsNoNews(t *testing.T) {
	w := newWorld(t)
	out, in := w.flow("orders-to-erp"), w.flow("erp-orders")
	stamp := func(rev float64) step {
		return step{true, nil, func(t *target) {
			if o := t.objects["T1"]; o != nil {
				o["rev"] = rev
			}
		}}
	}
	w.must(out, order("A", 1, "1"))
	w.erp.script = []step{stamp(5), stamp(6)}
	w.must(out, order("A", 2, "2"))
	w.must(out, order("A", 3, "3"))
	poll := func(id, rev, data string) event.Event {
		return event.Event{ID: id, Source: "erp", Key: "T1", Version: rev, Operation: event.Upsert, Data: []byte(data)}
	}
	w.must(in, poll("e5", "5", `{"no":"A","qty":2,"status":"new","rev":5}`))
	w.expect("erp-orders", "stale=1")
	// An old event with something that nobody knows yet is news all the same, and so is what follows it.
	w.must(in, poll("e5b", "5", `{"no":"A","qty":2,"status":"new","number":"SO-9","rev":5}`))
	w.must(in, poll("e6", "6", `{"no":"A","qty":3,"status":"new","number":"SO-9","rev":6}`))
	w.expect("erp-orders", "delivered=2 stale=1")
}

// The hub has deleted an object. A state of it that was read before and comes late is an echo, and brings it back nowhere; the same state
// of a newer version is somebody's restoring it.
func TestEchoOfADeletedObject(t *testing.T) {
	w := newWorld(t)
	out, in := w.flow("orders-to-erp"), w.flow("erp-orders")
	w.erp.script = []step{{apply: true, before: nil}}
	w.must(out, order("A", 1, "1"))
	w.erp.script = []step{{true, nil, func(t *target) { t.objects["T1"]["rev"] = 5.0 }}}
	w.must(out, order("A", 2, "2"))
	w.must(out, with(order("A", 2, "3"), func(e *event.Event) { e.Operation = event.Delete }))
	w.expect("orders-to-erp", "delivered=3")
	poll := func(id, rev string) event.Event {
		return event.Event{ID: id, Source: "erp", Key: "T1", Version: rev, Operation: event.Upsert, Data: []byte(`{"no":"A","qty":2,"status":"new","rev":` + rev + `}`)}
	}
	w.must(in, poll("late", "5"))
	w.expect("erp-orders", "echo=1")
	if _, ok, err := w.store.LocalID(t.Context(), "order", "erp", "hub-A"); ok || err != nil {
		t.Errorf("the deleted object is there again (%v)", err)
	}
	w.must(in, poll("restored", "6"))
	w.expect("erp-orders", "delivered=1 echo=1")
	if _, ok, err := w.store.LocalID(t.Context(), "order", "erp", "hub-A"); !ok || err != nil {
		t.Errorf("the restored object is not there (%v)", err)
	}
}

// hesitant is a store whose answers are lost, or do not come, as the test says.
type hesitant struct {
	Store
	opened, queued error
}

func (h *hesitant) OpenPartition(ctx context.Context, flow, topic string, partition int, log event.Log) (p state.Partition, err error) {
	if p, err = h.Store.OpenPartition(ctx, flow, topic, partition, log); h.opened != nil {
		return state.Partition{}, h.opened
	}
	return p, err
}

func (h *hesitant) QueuedLanes(ctx context.Context, flow, topic string, partition int) ([]state.QueuedLane, error) {
	if h.queued != nil {
		return nil, h.queued
	}
	return h.Store.QueuedLanes(ctx, flow, topic, partition)
}

// A partition whose taking over has an unknown outcome is taken again: the bus takes every other failure for a reason to stand still.
func TestTakeOverIsAskedAgain(t *testing.T) {
	w := newWorld(t)
	for _, h := range []*hesitant{{opened: fault.New(fault.UnknownOutcome, "the answer of COMMIT was lost")}, {queued: errors.New("no answer")}, {opened: state.ErrBroker}} {
		h.Store = w.store
		w.deps.Store = h
		r, err := New(w.plan.Flow("orders-to-erp"), w.deps)
		if err != nil {
			t.Fatal(err)
		}
		want := fault.Unavailable
		if errors.Is(h.opened, state.ErrBroker) {
			want = fault.UnknownOutcome
		}
		_, _, _, err = r.Assigned(t.Context(), "g", "orders", 0, event.Log{Cluster: "cluster", TopicID: "topic", Last: 1 << 40})
		if fault.KindOf(err) != want || (r.Alarmed() != nil) != (want != fault.Unavailable) {
			t.Errorf("%v; alarm %v", err, r.Alarmed())
		}
		if err := r.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestBrokerRefusesRecord(t *testing.T) {
	w := newWorld(t)
	w.log.fail = []error{fault.New(fault.Invalid, "too large"), fault.New(fault.Unavailable, "no leader")}
	in := w.flow("erp-orders")
	w.must(in, event.Event{ID: "a", Source: "erp", Key: "T1", Version: "1", Operation: event.Upsert, Data: []byte(`{"no":"A","qty":1,"rev":1}`)})
	w.expect("erp-orders", "parked=1")
	w.must(in, event.Event{ID: "b", Source: "erp", Key: "T2", Version: "1", Operation: event.Upsert, Data: []byte(`{"no":"B","qty":1,"rev":1}`)})
	w.expect("erp-orders", "delivered=1 parked=1")
}
