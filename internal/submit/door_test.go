package submit

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/inbox"
	"github.com/waybill-hub/waybill/internal/inbox/inboxtest"
	"github.com/waybill-hub/waybill/internal/state"
)

func TestMain(m *testing.M) { inboxtest.Main(m) }

var (
	polled  = Flow{Name: "orders", Entity: "order", System: "crm", Topic: "in.orders", Onward: "canonical.order"}
	hooked  = Flow{Name: "hooked", Entity: "order", System: "crm", Topic: "in.hooked", Keyed: true}
	inner   = Flow{Name: "to-erp", Entity: "order", Topic: "canonical.order", Known: true}
	foreign = Flow{Name: "foreign", Topic: "theirs"}
)

// heard is an Observer that counts, and who is woken.
type heard struct {
	mu    sync.Mutex
	n     map[string]int
	woken []string
}

func (h *heard) Submitted(flow string, trigger event.Trigger, events int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.n[flow+" "+string(trigger)] += events
}

func (h *heard) wake(flow string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.woken = append(h.woken, flow)
}

func newDoor(b *inboxtest.Bench, in Inbox) (*Door, *heard) {
	h := &heard{n: map[string]int{}}
	d := New(Config{Inbox: in, Clock: b.Clock, Observer: h, Wake: h.wake, Carries: func(string) int64 { return 1000 + 4<<10 }})
	d.Open([]Flow{polled, hooked, inner, foreign})
	return d, h
}

func person(why string) event.Submission {
	return event.Submission{Trigger: event.Person, Who: "ann", Why: why}
}

func order(id string) event.Event {
	return event.Event{ID: id, Local: "17", Data: []byte(`{"id":"17"}`)}
}

// What is submitted is on disk with all that there is to say of it, once, also after the door and the store were opened anew.
func TestSubmit(t *testing.T) {
	inboxtest.OnStores(t, func(t *testing.T, b *inboxtest.Bench) {
		d, h := newDoor(b, b.Store)
		ev := order("1")
		ev.Version, ev.Key = "7", "SO-1"
		got, err := d.Submit(t.Context(), "orders", []event.Event{ev, {ID: "2", Local: "18", Operation: event.Delete}}, person("it was\nlost"))
		if err != nil || got.New() != 2 || got.Waiting != 2 || got.Events[0].ID != "submitted/person/1" {
			t.Fatalf("%+v %v", got, err)
		}
		b.Reopen()
		rows, err := b.Store.Unpublished(t.Context(), "orders", 10, 0)
		if err != nil || len(rows) != 2 {
			t.Fatalf("%d rows, %v", len(rows), err)
		}
		now := b.Clock.Now().UTC()
		want := event.Event{ID: "submitted/person/1", Source: "crm", Entity: "order", Operation: event.Upsert, Key: "SO-1", Version: "7", Origin: "crm", Time: now, Accepted: now,
			Trace: rows[0].Trace, Submitted: &event.Submission{Trigger: event.Person, Who: "ann", Why: "it was lost"}}
		one := *rows[0].Event
		if !one.Time.Equal(now) || !one.Accepted.Equal(now) {
			t.Errorf("at %v and %v, want %v", one.Time, one.Accepted, now)
		}
		if one.Time, one.Accepted = now, now; !reflect.DeepEqual(one, want) {
			t.Errorf("got  %+v %+v\nwant %+v %+v", one, one.Submitted, want, want.Submitted)
		}
		if string(rows[0].Body) != `{"id":"17"}` || rows[0].Headers[":local"] != "17" || rows[1].Event.Operation != event.Delete || rows[1].Event.Local != "18" || len(rows[1].Body) != 0 {
			t.Errorf("rows %+v", rows)
		}
		d, h2 := newDoor(b, b.Store)
		other := order("1")
		other.Data = []byte(`{"id":"17","n":1}`)
		ev.Data = []byte(` { "id" : "17" } `)
		for _, c := range []struct {
			ev   event.Event
			by   event.Trigger
			want state.Accepted
		}{{ev, event.Person, state.AcceptedDuplicate}, {other, event.Person, state.AcceptedConflict}, {ev, event.Repair, state.AcceptedNew}, {ev, event.Backfill, state.AcceptedNew}} {
			c.ev.Key = "SO-1"
			got, err := d.Submit(t.Context(), "orders", []event.Event{c.ev}, event.Submission{Trigger: c.by, Who: "ann"})
			if err != nil || got.Events[0].Status != c.want {
				t.Errorf("%s %s: %+v %v, want %s", c.by, c.ev.Data, got, err, c.want)
			}
		}
		if !maps.Equal(h.n, map[string]int{"orders person": 2}) || !slices.Equal(h.woken, []string{"orders"}) ||
			!maps.Equal(h2.n, map[string]int{"orders repair": 1, "orders backfill": 1}) {
			t.Errorf("heard %v %v, then %v", h.n, h.woken, h2.n)
		}
		audits, err := b.Store.Audits(t.Context(), state.AuditFilter{Limit: 10})
		if err != nil || len(audits) != 3 || audits[2].Action != "resend" || audits[2].Object != "flow/orders" ||
			audits[2].Detail != "2 events, the first of them order SO-1, as submitted/person/1: it was lost" || audits[1].Action != "repair" || audits[0].Action != "backfill" {
			t.Errorf("audit %+v, %v", audits, err)
		}
	})
}

// A part of a run leaves an act for each event, and no row of the audit: the run has its own.
func TestSubmitPart(t *testing.T) {
	inboxtest.OnSQLite(t, func(t *testing.T, b *inboxtest.Bench) {
		d, _ := newDoor(b, b.Store)
		by := event.Submission{Trigger: event.Backfill, Who: "ann", Part: true}
		if _, err := d.Submit(t.Context(), "orders", []event.Event{order("backfill-1/17#c")}, by); err != nil {
			t.Fatal(err)
		}
		audits, err := b.Store.Audits(t.Context(), state.AuditFilter{Limit: 10})
		if err != nil || len(audits) != 0 {
			t.Errorf("audit %+v, %v", audits, err)
		}
		tr, err := b.Store.Trace(t.Context(), "submitted/backfill/backfill-1/17#c")
		if err != nil || len(tr.Acts) != 1 || tr.Acts[0].Action != "backfill" || tr.Acts[0].Who != "ann" {
			t.Errorf("acts %+v, %v", tr.Acts, err)
		}
	})
}

// An event for a flow that reads a topic lies there as those of the flows that fill it do, and says for whom it is.
func TestSubmitToAFlowFromATopic(t *testing.T) {
	inboxtest.OnSQLite(t, func(t *testing.T, b *inboxtest.Bench) {
		d, _ := newDoor(b, b.Store)
		ev := event.Event{ID: "1", Source: "crm", Origin: "crm", Key: "SO-1", Hub: "h-1", Version: "7", Local: "17", Data: []byte(`{}`)}
		if _, err := d.Submit(t.Context(), "to-erp", []event.Event{ev}, event.Submission{Trigger: event.Repair, Who: "crm-erp", For: "others"}); err != nil {
			t.Fatal(err)
		}
		rows, err := b.Store.Unpublished(t.Context(), "to-erp", 10, 0)
		if err != nil || len(rows) != 1 {
			t.Fatal(rows, err)
		}
		if got := rows[0].Event; got.Submitted.For != "to-erp" || got.Hops != 1 || got.Hub != "h-1" || got.Key != "SO-1" || got.Origin != "crm" || got.Entity != "order" || got.Version != "7" {
			t.Errorf("%+v %+v", got, got.Submitted)
		}
	})
}

// What cannot be taken is refused as a whole, with its place and the reason; nothing is stored.
func TestRefused(t *testing.T) {
	with := func(change func(*event.Event)) []event.Event {
		ok, ev := order("0"), order("1")
		change(&ev)
		return []event.Event{ok, ev}
	}
	for name, c := range map[string]struct {
		flow   string
		events []event.Event
		by     event.Submission
		want   string
	}{
		"nothing":               {events: []event.Event{}, want: "nothing was submitted: it holds no event"},
		"no trigger":            {by: event.Submission{Trigger: "magic", Who: "ann"}, want: `"magic" is no trigger`},
		"nobody":                {by: event.Submission{Trigger: event.Repair, Who: " \n"}, want: "nobody says who"},
		"too many":              {events: []event.Event{order("1"), order("2"), order("3"), order("4"), order("5")}, want: "it holds 5 events, and 4 are taken at a time (hooks.max-documents)"},
		"too large together":    {events: []event.Event{large("1", 900), large("2", 900)}, want: "more than 1500 bytes (hooks.max-body)"},
		"no id":                 {events: with(func(e *event.Event) { e.ID = "" }), want: "event 1 (): it has no id"},
		"one id twice":          {events: with(func(e *event.Event) { e.ID = " 0" }), want: "event 1 ( 0): another event"},
		"no operation":          {events: with(func(e *event.Event) { e.Operation = "merge" }), want: `its operation is "merge"`},
		"a refusal":             {events: with(func(e *event.Event) { e.Refused = &event.Refusal{} }), want: "it is a refusal"},
		"another entity":        {events: with(func(e *event.Event) { e.Entity = "customer" }), want: "it is of the entity customer, and the flow is of order"},
		"no document":           {events: with(func(e *event.Event) { e.Data = nil }), want: "it has no document, and is no deletion"},
		"no JSON":               {events: with(func(e *event.Event) { e.Data = []byte(`{"id":`) }), want: "its document is not acceptable JSON"},
		"a list":                {events: with(func(e *event.Event) { e.Data = []byte(`[{}]`) }), want: "not an object"},
		"too deep":              {events: with(func(e *event.Event) { e.Data = []byte(strings.Repeat(`{"a":`, 65) + "1" + strings.Repeat("}", 65)) }), want: "not acceptable JSON"},
		"too large":             {events: with(func(e *event.Event) { *e = large("1", 1001) }), want: "its document has 1001 bytes, and the flow's topic carries 1000"},
		"another system":        {events: with(func(e *event.Event) { e.Source = "erp" }), want: "it is from erp, and the flow takes what is from crm"},
		"another origin":        {events: with(func(e *event.Event) { e.Origin = "erp" }), want: "its origin is erp"},
		"a hub id":              {events: with(func(e *event.Event) { e.Hub = "h" }), want: "which the flow finds by itself"},
		"no object":             {events: with(func(e *event.Event) { e.Local = "" }), want: "it has no id of its object in crm"},
		"a deletion of nothing": {flow: "hooked", events: []event.Event{{ID: "1", Operation: event.Delete}}, want: "no id of its object"},
		"no hub id":             {flow: "to-erp", events: []event.Event{{ID: "1", Key: "SO-1", Data: []byte("{}")}}, want: "it has no hub id, and events on canonical.order have one"},
		"neither":               {flow: "foreign", events: []event.Event{{ID: "1", Data: []byte("{}")}}, want: "neither a key nor a hub id"},
	} {
		t.Run(name, func(t *testing.T) {
			inboxtest.OnSQLite(t, func(t *testing.T, b *inboxtest.Bench) {
				d, h := newDoor(b, b.Store)
				all := []Flow{polled, hooked, inner, foreign}
				for i := range all {
					all[i].MaxEvents, all[i].MaxBytes = 4, 1500
				}
				d.Open(all)
				flow, events, by := c.flow, c.events, c.by
				if flow == "" {
					flow = "orders"
				}
				if events == nil {
					events = []event.Event{order("1")}
				}
				if by == (event.Submission{}) {
					by = person("")
				}
				got, err := d.Submit(t.Context(), flow, events, by)
				var no *Refused
				if !errors.As(err, &no) || !strings.Contains(err.Error(), c.want) || fault.KindOf(err) != fault.Invalid || len(got.Events) > 0 {
					t.Errorf("%+v %v, want %q", got, err, c.want)
				}
				if b.Unpublished() != 0 || len(h.woken)+len(h.n) > 0 {
					t.Error("something was stored")
				}
			})
		})
	}
}

func large(id string, size int) event.Event {
	ev := order(id)
	ev.Data = []byte(`{"x":"` + strings.Repeat("x", size-8) + `"}`)
	return ev
}

func TestUnknownFlow(t *testing.T) {
	inboxtest.OnSQLite(t, func(t *testing.T, b *inboxtest.Bench) {
		d, _ := newDoor(b, b.Store)
		if _, err := d.Submit(t.Context(), "nobody", []event.Event{order("1")}, person("")); !errors.Is(err, state.ErrNotFound) || !strings.Contains(err.Error(), "nobody") {
			t.Errorf("%v", err)
		}
	})
}

// full is an inbox with so many unpublished rows.
type full struct {
	Inbox
	n int
}

func (f *full) CountUnpublished(context.Context, string, int) (int, error) { return f.n, nil }

// Who submits is told how much waits, and held up when that is too much.
func TestBackpressure(t *testing.T) {
	inboxtest.OnSQLite(t, func(t *testing.T, b *inboxtest.Bench) {
		in := &full{b.Store, MostWaiting}
		d, _ := newDoor(b, in)
		_, err := d.Submit(t.Context(), "orders", []event.Event{order("1")}, person(""))
		if f, ok := fault.As(err); !ok || f.Kind != fault.Unavailable || f.RetryAfter <= 0 || !strings.Contains(err.Error(), "10000 accepted events of flow orders") || b.Unpublished() != 0 {
			t.Errorf("%v", err)
		}
		in.n = MostWaiting - 1
		if got, err := d.Submit(t.Context(), "orders", []event.Event{order("1")}, person("")); err != nil || got.Waiting != MostWaiting {
			t.Errorf("%+v %v", got, err)
		}
	})
}

// counting has rows waiting beside those that are really there, and lets others come in between its count and what follows.
type counting struct {
	Inbox
	beside int
}

func (c *counting) CountUnpublished(ctx context.Context, flow string, most int) (int, error) {
	n, err := c.Inbox.CountUnpublished(ctx, flow, most)
	for range 1000 {
		runtime.Gosched()
	}
	return n + c.beside, err
}

// Calls that come together do not each see the same room.
func TestBackpressureOfManyCalls(t *testing.T) {
	inboxtest.OnStores(t, func(t *testing.T, b *inboxtest.Bench) {
		in := &counting{Inbox: b.Store, beside: MostWaiting - 2}
		d, _ := newDoor(b, in)
		var taken atomic.Int64
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				if _, err := d.Submit(t.Context(), "orders", []event.Event{order(strconv.Itoa(i))}, person("")); err == nil {
					taken.Add(1)
				} else if fault.KindOf(err) != fault.Unavailable {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if taken.Load() != 2 || b.Unpublished() != 2 {
			t.Errorf("%d were taken, and %d are there", taken.Load(), b.Unpublished())
		}
	})
}

// slow is an inbox that holds submissions until it is told to go on.
type slow struct {
	Inbox
	begun, goOn chan struct{}
}

func (s *slow) Submit(ctx context.Context, rows []state.Inbound, act state.Submitting) ([]state.Accepted, []int64, error) {
	s.begun <- struct{}{}
	select {
	case <-s.goOn:
		return s.Inbox.Submit(ctx, rows, act)
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
}

// A flow that is about to change takes nothing more, and what is on its way in is waited for; then it takes again, or is not there any more.
func TestChange(t *testing.T) {
	inboxtest.OnSQLite(t, func(t *testing.T, b *inboxtest.Bench) {
		in := &slow{b.Store, make(chan struct{}, 9), make(chan struct{})}
		d, _ := newDoor(b, in)
		ctx, leave := context.WithCancel(t.Context())
		submitted, closed := make(chan error), make(chan struct{})
		go func() {
			_, err := d.Submit(ctx, "orders", []event.Event{order("1")}, person(""))
			submitted <- err
		}()
		<-in.begun
		leave() // the caller's going away changes nothing any more
		go func() { d.Close([]string{"orders", "nobody"}); close(closed) }()
		for range 10_000 { // it has its chance to be done too early
			runtime.Gosched()
		}
		select {
		case <-closed:
			t.Error("closed while a submission was on its way")
		default:
		}
		in.goOn <- struct{}{}
		if err := <-submitted; err != nil {
			t.Error(err)
		}
		<-closed
		close(in.goOn)
		submit := func(flow string) error {
			_, err := d.Submit(t.Context(), flow, []event.Event{order("2")}, person(""))
			return err
		}
		if err := submit("orders"); fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "being changed") {
			t.Errorf("while it changes: %v", err)
		}
		if err := submit("hooked"); err != nil {
			t.Errorf("another flow: %v", err)
		}
		d.Open([]Flow{polled})
		if err := submit("orders"); err != nil || b.Unpublished() != 2 {
			t.Errorf("afterwards: %v, %d rows", err, b.Unpublished())
		}
		if err := submit("hooked"); !errors.Is(err, state.ErrNotFound) {
			t.Errorf("a flow that has gone: %v", err)
		}
	})
}

// A store that does not answer does not hold up its caller for ever.
func TestSlowStore(t *testing.T) {
	inboxtest.OnSQLite(t, func(t *testing.T, b *inboxtest.Bench) {
		in := &slow{b.Store, make(chan struct{}, 1), nil}
		d, _ := newDoor(b, in)
		failed := make(chan error)
		go func() {
			_, err := d.Submit(t.Context(), "orders", []event.Event{order("1")}, person(""))
			failed <- err
		}()
		<-in.begun
		b.Clock.Advance(defaultTimeout)
		if err := <-failed; !errors.Is(err, inbox.ErrSlowStore) {
			t.Errorf("%v", err)
		}
	})
}

// A version that is taken before a reading lies between what was accepted before and after.
func TestAsOf(t *testing.T) {
	inboxtest.OnStores(t, func(t *testing.T, b *inboxtest.Bench) {
		d, _ := newDoor(b, b.Store)
		seq := func(id string) string {
			got, err := d.Submit(t.Context(), "orders", []event.Event{order(id)}, person(""))
			if err != nil {
				t.Fatal(err)
			}
			return placeOf(got.Events[0].Inbox)
		}
		before := seq("1")
		at, err := d.AsOf(t.Context())
		if after := seq("2"); err != nil || event.CompareVersions(before, at) >= 0 || event.CompareVersions(at, after) >= 0 {
			t.Errorf("%s, %s, %s, %v", before, at, after, err)
		}
	})
}
