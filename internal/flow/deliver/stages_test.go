package deliver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/flow/breaker"
	"github.com/waybill-hub/waybill/internal/flow/calls"
	"github.com/waybill-hub/waybill/internal/flow/decide"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/privacy"
	"github.com/waybill-hub/waybill/internal/state"
)

// memory is a store of one object, which other hubs may share.
type memory struct {
	known    state.Target
	shared   bool
	claimed  error // for the next OpenIntent
	intents  []state.Intent
	commits  int
	fenced   bool
	resolved string // what was asked for
	ids      map[string]string
}

func (m *memory) Resolve(_ context.Context, _, system, local, _, _ string) (string, state.Resolution, error) {
	m.resolved = system + " " + local
	return "hub-" + local, state.Minted, nil
}
func (m *memory) Target(context.Context, string, string, string, string) (state.Target, error) {
	return m.known, nil
}

func (m *memory) OpenIntent(_ context.Context, i state.Intent) error {
	if err := m.claimed; err != nil {
		m.claimed = nil
		return err
	}
	m.intents = append(m.intents, i)
	return nil
}

func (m *memory) Commit(context.Context, *state.Commit) error {
	m.commits++
	if m.fenced {
		return state.ErrFenced
	}
	return nil
}
func (m *memory) Shared() bool { return m.shared }
func (m *memory) HubID(_ context.Context, entity, system, local string) (string, bool, error) {
	hub, ok := m.ids[entity+"/"+system+"/"+local]
	return hub, ok, nil
}

func (m *memory) LocalID(_ context.Context, entity, system, hub string) (string, bool, error) {
	local, ok := m.ids[entity+"/"+system+"/"+hub]
	return local, ok, nil
}

// erp is a target that answers what the test has written down. asked is what it was asked for.
type erp struct {
	answer connector.Result
	err    error
	found  []connector.Record
	ferr   error
	asked  []string
	keys   []string // the idempotency keys of its writes
}

func (e *erp) Probe(context.Context) error { return nil }
func (e *erp) Close() error                { return nil }
func (e *erp) Write(ctx context.Context, w connector.Write) (connector.Result, error) {
	if err := connector.Fence(ctx); err != nil {
		return connector.Result{}, err
	}
	e.asked, e.keys = append(e.asked, fmt.Sprintf("%s %s %s %s", w.Action, w.Local, w.ETag, w.Doc)), append(e.keys, w.IdempotencyKey)
	return e.answer, e.err
}

func (e *erp) Find(_ context.Context, l connector.Lookup) ([]connector.Record, error) {
	e.asked = append(e.asked, "find "+l.Local+l.External)
	return e.found, e.ferr
}

// mute cannot be asked.
type mute struct{ e *erp }

func (m mute) Probe(context.Context) error { return nil }
func (m mute) Close() error                { return nil }
func (m mute) Write(ctx context.Context, w connector.Write) (connector.Result, error) {
	return m.e.Write(ctx, w)
}

type silence struct{}

func (silence) Call(string, time.Duration, error) {}
func (silence) Alarm(string, string, error)       {}
func (silence) Retrying(string, string, string)   {}

// bench is a delivery with what stands around it.
type bench struct {
	*delivery
	clock  *lifecycle.Manual
	store  *memory
	erp    *erp
	paused bool
	stop   context.CancelCauseFunc
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{clock: lifecycle.NewManual(time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)), store: &memory{known: state.Target{External: "ext"}}, erp: &erp{answer: connector.Result{Local: "7"}}}
	log := slog.New(slog.DiscardHandler)
	system := &System{System: &config.System{Name: "erp", VisibleAfter: time.Second}, Connector: b.erp}
	system.Breaker = breaker.New("erp", b.clock, log, b.erp.Probe)
	f := &config.Flow{Name: "orders-to-erp", Entity: "order", Retry: config.Retry{For: time.Hour, Min: time.Millisecond, Max: time.Minute}}
	f.From.Topic, f.To.System, f.To.OnDelete = "orders", "erp", "delete"
	stopping, stop := context.WithCancelCause(context.Background())
	b.stop = stop
	t.Cleanup(func() { stop(nil) })
	line := &Line{Flow: f, Target: system, Systems: map[string]*System{"erp": system}, Store: b.store, Clock: b.clock, Log: log, Observer: silence{},
		Secrets: func(*event.Event, []byte) *privacy.Values { return nil }, InPlace: 30 * time.Second, Steady: b.clock.Now, Paused: func() bool { return b.paused },
		Stopping: stopping, Intents: &calls.OpenIntents{}}
	ev := &event.Event{ID: "e1", Entity: "order", Hub: "h", Key: "K", Origin: "shop", Version: "1", Operation: event.Upsert, Data: []byte(`{"qty":1}`)}
	a := &Attempt{Message: decide.Message{Flow: f, Event: ev, Lookup: b.store, Scratch: new([]byte), Out: ev.Data}, Lane: "h", Part: &Ownership{Topic: "orders", Epoch: 3, Taken: b.clock.Elapsed()}}
	b.delivery = line.deliver(a)
	return b
}

// ready brings the delivery to its call.
func (b *bench) ready(t *testing.T) *bench {
	t.Helper()
	if v, err := guard(t.Context(), b.delivery); v != nil || err != nil {
		t.Fatalf("%s (%v)", said(v), err)
	}
	return b
}

func said(v *decide.Verdict) string {
	if v == nil {
		return "goes on"
	}
	return strings.Trim(string(v.Outcome)+" "+v.Kind+" "+v.Code, " ")
}

func orErr(v *decide.Verdict, err error) string {
	if err != nil {
		return "error: " + err.Error()
	}
	return said(v)
}

// Each stage alone: what it is met with, what it says, and what it asked of the target.
func TestStages(t *testing.T) {
	inherited := state.Intent{Flow: "orders-to-erp", Topic: "orders", Epoch: 2, Entity: "order", Hub: "h", System: "erp", EventID: "e0", Create: true, External: "ext"}
	other := state.Intent{Flow: "other", EventID: "e9", Entity: "order", Hub: "h", System: "erp"}
	ref := &state.Ref{Local: "7", ETag: "t"}
	doubt := func(b *bench) { b.store.known.Intents = []state.Intent{inherited} }
	known := func(b *bench) { b.store.known.Ref = ref }
	late := func(b *bench) { b.clock.Advance(time.Hour) }
	row := func(b *bench) { b.Queued = &state.Queued{ID: 1} }
	shared := func(b *bench) { b.shared = true }
	deletion := func(b *bench) { b.Event.Operation = event.Delete }
	for _, c := range []struct {
		stage string
		run   stage
		set   []func(*bench) // before the guard, which the stages of a call need
		then  []func(*bench) // after it
		want  string
		asked string
	}{
		{"identify: known", identify, nil, nil, "goes on", ""},
		{"identify: nothing says which", identify, []func(*bench){func(b *bench) { b.Event.Hub, b.Event.Key = "", "" }}, nil, "parked malformed key", ""},
		{"alone", alone, nil, nil, "goes on", ""},
		{"alone: taken", alone, []func(*bench){row, func(b *bench) { b.Target.Objects().try(b.object()); b.advance(time.Second) }}, nil, "held busy", ""},
		{"guard: planned", guard, nil, nil, "goes on", ""},
		{"guard: a stored message rests", guard, []func(*bench){row, func(b *bench) { b.paused = true }}, nil, "error: the flow rests", ""},
		{"guard: what needs no call does not rest", guard, []func(*bench){row, func(b *bench) { b.paused, b.Event.Origin = true, "erp" }}, nil, "skipped", ""},
		{"guard: there is nothing to delete", guard, []func(*bench){deletion}, nil, "skipped", ""},
		{"guard: there is nothing to delete, and another hub may just be creating it", guard, []func(*bench){deletion, shared}, nil, "goes on", ""},
		{"guard: what came from there needs no claim", guard, []func(*bench){shared, func(b *bench) { b.Event.Origin = "erp" }}, nil, "skipped", ""},
		{"claim: not shared", claim, nil, nil, "goes on", ""},
		{"claim: shared", claim, []func(*bench){shared}, nil, "goes on", ""},
		{"claim: there is nothing to delete still", claim, []func(*bench){deletion, shared}, nil, "skipped", ""},
		{"claim: another hub has it", claim, []func(*bench){row, func(b *bench) { b.shared, b.store.claimed = true, &state.Claimed{By: other} }}, nil, "held busy", ""},
		{"clear: nothing in doubt", clearDoubt, nil, []func(*bench){}, "goes on", ""},
		{"clear: absent, and may still arrive", clearDoubt, []func(*bench){doubt}, []func(*bench){}, "held unknown-outcome", "find ext"},
		{"clear: absent for good", clearDoubt, []func(*bench){doubt}, []func(*bench){late}, "goes on", "find ext"},
		{"clear: there, as it was sent", clearDoubt, []func(*bench){doubt, func(b *bench) { b.erp.found = []connector.Record{{Local: "9", Doc: []byte(`{"qty":1}`)}} }}, []func(*bench){}, "delivered", "find ext"},
		{"clear: there, otherwise", clearDoubt, []func(*bench){doubt, func(b *bench) { b.erp.found = []connector.Record{{Local: "9", Doc: []byte(`{"qty":2}`)}} }}, []func(*bench){}, "goes on", "find ext"},
		{"clear: several", clearDoubt, []func(*bench){doubt, func(b *bench) { b.erp.found = []connector.Record{{Local: "8"}, {Local: "9"}} }}, []func(*bench){}, "parked unknown-outcome erp/several", "find ext"},
		{"clear: cannot be asked", clearDoubt, []func(*bench){doubt, func(b *bench) { b.erp.ferr = connector.ErrNoLookup }}, []func(*bench){}, "parked unknown-outcome", "find ext"},
		{"meet: nobody there", meet, nil, []func(*bench){}, "goes on", "find ext"},
		{"meet: the same", meet, []func(*bench){func(b *bench) { b.erp.found = []connector.Record{{Local: "9", Doc: []byte(`{"qty":1}`)}} }}, []func(*bench){}, "delivered", "find ext"},
		{"meet: the look is refused", meet, []func(*bench){func(b *bench) { b.erp.ferr = fault.New(fault.Invalid, "no") }}, []func(*bench){}, "parked invalid /", "find ext"},
		{"meet: known", meet, []func(*bench){known}, []func(*bench){}, "goes on", ""},
		{"await: nobody", awaitOthers, []func(*bench){known}, []func(*bench){}, "goes on", ""},
		{"await: another write is under way", awaitOthers, []func(*bench){func(b *bench) {
			b.store.known.Ref = &state.Ref{Local: "7"}
			b.store.known.Intents = []state.Intent{other}
		}}, []func(*bench){}, "held unknown-outcome", ""},
		{"await: the token keeps it off", awaitOthers, []func(*bench){known, func(b *bench) { b.store.known.Intents = []state.Intent{other} }}, []func(*bench){}, "goes on", ""},
		{"reread: fresh", reread, []func(*bench){known}, []func(*bench){}, "goes on", ""},
		{"reread: stale", reread, []func(*bench){known, func(b *bench) { b.stale, b.erp.found = true, []connector.Record{{Local: "7", ETag: "t2"}} }}, []func(*bench){}, "goes on", "find 7"},
		{"reread: gone", reread, []func(*bench){known, func(b *bench) { b.stale = true }}, []func(*bench){}, "parked not-found /", "find 7"},
		{"announce", announce, nil, []func(*bench){}, "goes on", ""},
		{"announce: another hub has it", announce, []func(*bench){func(b *bench) { b.store.claimed = &state.Claimed{By: other} }}, []func(*bench){}, "held busy", ""},
		{"send: not announced", send, nil, []func(*bench){}, "error: calls: a call that is none cannot send: this is a fault of Waybill", ""},
		{"send", send, nil, []func(*bench){announced}, "delivered", `create   {"qty":1}`},
		{"send: no id in the answer", send, []func(*bench){func(b *bench) { b.erp.answer, b.Target.VisibleAfter = connector.Result{}, 0 }}, []func(*bench){announced}, "error: erp: create: no-id: the answer names no id of the new object", `create   {"qty":1}`},
		{"send: refused", send, []func(*bench){func(b *bench) { b.erp.err = fault.New(fault.Invalid, "no") }}, []func(*bench){announced}, "parked invalid /", `create   {"qty":1}`},
		{"send: unavailable", send, []func(*bench){func(b *bench) { b.erp.err = fault.New(fault.Unavailable, "down") }}, []func(*bench){announced}, "error: down", `create   {"qty":1}`},
		{"send: replaced meanwhile", send, []func(*bench){func(b *bench) { b.store.fenced = true }}, []func(*bench){announced, late}, "error: " + state.ErrFenced.Error(), ""},
		{"send: the flow stops", send, nil, []func(*bench){announced, func(b *bench) { b.stop(ErrStopping) }}, "error: " + ErrStopping.Error(), ""},
	} {
		t.Run(c.stage, func(t *testing.T) {
			b := newBench(t)
			for _, set := range c.set {
				set(b)
			}
			if c.then != nil {
				b.ready(t)
			}
			for _, then := range c.then {
				then(b)
			}
			if got := orErr(c.run(t.Context(), b.delivery)); got != c.want {
				t.Errorf("it says %q, want %q", got, c.want)
			}
			if got := strings.Join(b.erp.asked, ","); got != c.asked {
				t.Errorf("the target was asked %q, want %q", got, c.asked)
			}
		})
	}
}

// advance lets d pass as soon as somebody waits.
func (b *bench) advance(d time.Duration) {
	go func() {
		if b.clock.BlockUntil(context.Background(), 1) == nil {
			b.clock.Advance(d)
		}
	}()
}

// announced stores the intent.
func announced(b *bench) {
	if v, err := announce(context.Background(), b.delivery); v != nil || err != nil {
		panic(fmt.Sprint(said(v), err))
	}
}

// An event of a foreign program gets the hub id of its key in the topic that the program fills.
func TestIdentifyForeign(t *testing.T) {
	b := newBench(t)
	b.Event.Hub, b.Event.Origin, b.Event.Source = "", "", "theirs"
	if got := orErr(identify(t.Context(), b.delivery)); got != "goes on" {
		t.Fatal(got)
	}
	if b.store.resolved != "topic/orders K" || b.Event.Hub != "hub-K" || b.Event.Origin != "theirs" {
		t.Errorf("asked for %q; the event is %+v", b.store.resolved, b.Event)
	}
}

// The whole way: what was stored and asked, in order, and what the store is to hear.
func TestDeliver(t *testing.T) {
	for name, c := range map[string]struct {
		set    func(*bench)
		want   string
		asked  string
		closes int
		left   int
		ref    string
	}{
		"created":              {nil, "delivered", `find ext,create   {"qty":1}`, 1, 0, "7"},
		"updated":              {func(b *bench) { b.store.known.Ref = &state.Ref{Local: "7", ETag: "t"} }, "delivered", `update 7 t {"qty":1}`, 1, 0, "7"},
		"there before the hub": {func(b *bench) { b.erp.answer.Local, b.erp.found = "", []connector.Record{{Local: "9", ETag: "x"}} }, "delivered", `find ext,update 9 x {"qty":1}`, 1, 0, "9"},
		"refused":              {func(b *bench) { b.erp.err = fault.New(fault.Invalid, "no") }, "parked invalid /", `find ext,create   {"qty":1}`, 1, 0, ""},
		"a double, and it is not found": {func(b *bench) {
			b.erp.err = &fault.Error{Kind: fault.Conflict, Duplicate: true, Err: errors.New("taken")}
		}, "parked conflict /", `find ext,create   {"qty":1},find ext`, 1, 0, ""},
		"in doubt, and it cannot be asked": {func(b *bench) {
			b.Target.Connector = mute{b.erp}
			b.erp.err = fault.New(fault.UnknownOutcome, "cut off")
		}, "parked unknown-outcome /", `create   {"qty":1}`, 0, 1, ""},
		"paused while it waits for its turn": {func(b *bench) { b.paused = true }, "held paused", "", 0, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			if c.set != nil {
				c.set(b)
			}
			v, err := b.Line.Deliver(t.Context(), b.Attempt)
			if got := orErr(v, err); got != c.want {
				t.Fatalf("it ends %q, want %q", got, c.want)
			}
			if got := strings.Join(b.erp.asked, ","); got != c.asked {
				t.Errorf("the target was asked %q, want %q", got, c.asked)
			}
			local := ""
			if v.Ref != nil {
				local = v.Ref.Local
			}
			if len(v.Closes) != c.closes || len(v.Left) != c.left || local != c.ref {
				t.Errorf("closes %d, leaves %d, the object is %q; want %d, %d, %q", len(v.Closes), len(v.Left), local, c.closes, c.left, c.ref)
			}
			if len(b.Taken) != 1 {
				t.Errorf("%d objects are held until the fate is stored", len(b.Taken))
			}
		})
	}
}

// A double that is found is updated in the same try.
func TestDeliverADoubleThatIsFound(t *testing.T) {
	b := newBench(t)
	b.Target.Connector = &doubled{erp: b.erp}
	v, err := b.Line.Deliver(t.Context(), b.Attempt)
	if got := orErr(v, err); got != "delivered" {
		t.Fatal(got)
	}
	if got, want := strings.Join(b.erp.asked, ","), `find ext,create   {"qty":1},find ext,update 9 x {"qty":1}`; got != want {
		t.Errorf("the target was asked %q, want %q", got, want)
	}
	if v.Trail.Action != state.DidAdopt || v.Ref.Local != "9" {
		t.Errorf("it did %q with %q", v.Trail.Action, v.Ref.Local)
	}
}

// doubled refuses to create what somebody has made between the look and the create.
type doubled struct{ *erp }

func (d *doubled) Write(ctx context.Context, w connector.Write) (connector.Result, error) {
	res, err := d.erp.Write(ctx, w)
	if w.Action == connector.Create {
		d.found = []connector.Record{{Local: "9", ETag: "x"}}
		return connector.Result{}, &fault.Error{Kind: fault.Conflict, Duplicate: true, Err: errors.New("taken")}
	}
	res.Local = ""
	return res, err
}

// What the target has lost is created anew where somebody has asked for it to be there again, and parks otherwise.
func TestDeliverWhatTheTargetHasLost(t *testing.T) {
	for name, c := range map[string]struct {
		set   func(*bench)
		want  string
		asked string
	}{
		"an ordinary change":     {func(*bench) {}, "parked not-found /", `update 7 t {"qty":1}`},
		"sent again by a person": {func(b *bench) { b.Event.Submitted = &event.Submission{Trigger: event.Person} }, "delivered", `update 7 t {"qty":1},find ext,create   {"qty":1}`},
		"there under another id": {func(b *bench) {
			b.Event.Submitted = &event.Submission{Trigger: event.Repair}
			b.erp.found = []connector.Record{{Local: "9", ETag: "x"}}
		}, "delivered", `update 7 t {"qty":1},find ext,update 9 x {"qty":1}`},
		"a flow that creates nothing": {func(b *bench) {
			b.Event.Submitted = &event.Submission{Trigger: event.Person}
			b.Flow.To.Operation = "update"
		}, "parked not-found /", `update 7 t {"qty":1}`},
		"a create of something that it has no place for": {func(b *bench) {
			b.Event.Submitted = &event.Submission{Trigger: event.Person}
			b.store.known.Ref, b.erp.err = nil, fault.New(fault.NotFound, "no such customer")
		}, "parked not-found /", `find ext,create   {"qty":1}`},
		"a deactivation": {func(b *bench) {
			b.Event.Submitted = &event.Submission{Trigger: event.Person}
			b.Event.Operation, b.Flow.To.OnDelete, b.Flow.To.Deactivated = event.Delete, "deactivate", []byte(`{"status":"gone"}`)
		}, "parked not-found /", `update 7 t {"status":"gone"}`},
		"what is written once": {func(b *bench) {
			b.Event.Submitted = &event.Submission{Trigger: event.Person}
			b.Target.Connector = paper{&forgetful{b.erp}}
		}, "parked not-found /", `update 7 t {"qty":1}`},
		"a backfill, which doubts less": {func(b *bench) { b.Event.Submitted = &event.Submission{Trigger: event.Backfill} }, "parked not-found /", `update 7 t {"qty":1}`},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.store.known.Ref = &state.Ref{Local: "7", ETag: "t"}
			b.Target.Connector = &forgetful{b.erp}
			c.set(b)
			v, err := b.Line.Deliver(t.Context(), b.Attempt)
			if got := orErr(v, err); got != c.want {
				t.Errorf("it ends %q, want %q", got, c.want)
			}
			if got := strings.Join(b.erp.asked, ","); got != c.asked {
				t.Errorf("the target was asked %q, want %q", got, c.asked)
			}
			if c.want == "delivered" && (v.Ref == nil || v.Ref.Lost != "7") { // otherwise it would count as one object too many
				t.Errorf("the store is not told that 7 is gone: %+v", v.Ref)
			}
			if keys := b.erp.keys; len(keys) > 1 && keys[0] == keys[1] {
				t.Errorf("a target that remembers what it was asked is told %q twice", keys[0])
			}
		})
	}
}

// paper takes no updates.
type paper struct{ *forgetful }

func (paper) WriteOnce() {}

// A double that is gone again when it is to be updated is created after all, in the same try.
func TestDeliverADoubleThatIsGoneAgain(t *testing.T) {
	b := newBench(t)
	b.Event.Submitted = &event.Submission{Trigger: event.Person}
	b.Target.Connector = &fleeting{erp: b.erp}
	v, err := b.Line.Deliver(t.Context(), b.Attempt)
	if got := orErr(v, err); got != "delivered" {
		t.Fatal(got)
	}
	if got, want := strings.Join(b.erp.asked, ","), `find ext,create   {"qty":1},find ext,update 9 x {"qty":1},find ext,create   {"qty":1}`; got != want {
		t.Errorf("the target was asked %q, want %q", got, want)
	}
	if v.Ref == nil || v.Ref.Local != "7" {
		t.Errorf("the object is %+v", v.Ref)
	}
}

// fleeting holds a double until it is to be updated.
type fleeting struct {
	*erp
	gone bool
}

func (f *fleeting) Write(ctx context.Context, w connector.Write) (connector.Result, error) {
	res, err := f.erp.Write(ctx, w)
	switch {
	case w.Action == connector.Update:
		f.gone, f.found = true, nil
		return connector.Result{}, fault.New(fault.NotFound, "no such object")
	case !f.gone:
		f.found = []connector.Record{{Local: "9", ETag: "x"}}
		return connector.Result{}, &fault.Error{Kind: fault.Conflict, Duplicate: true, Err: errors.New("taken")}
	}
	return res, err
}

// alarms counts those that are raised.
type alarms struct {
	silence
	raised []string
}

func (a *alarms) Alarm(flow, what string, _ error) { a.raised = append(a.raised, flow+" "+what) }

// That a system refuses the hub's credentials is told once, whichever message meets it, and whether it is written or looked for.
func TestRefusedCredentialsAreOneAlarm(t *testing.T) {
	no := fault.New(fault.Auth, "no")
	t.Run("written", func(t *testing.T) {
		b, heard := newBench(t), &alarms{}
		b.Observer, b.erp.err = heard, no
		b.ready(t)
		for range 2 { // as of lanes that were let in together
			announced(b)
			if got := orErr(send(t.Context(), b.delivery)); got != "error: no" {
				t.Error(got)
			}
		}
		if fmt.Sprint(heard.raised) != "[orders-to-erp auth]" {
			t.Errorf("alarms: %q", heard.raised)
		}
	})
	t.Run("looked for", func(t *testing.T) {
		b, heard := newBench(t), &alarms{}
		b.Observer, b.erp.ferr = heard, no
		in := state.Intent{Flow: "orders-to-erp", Entity: "order", Hub: "h", System: "erp", EventID: "e1", Create: true, External: "ext"}
		for range 2 {
			if _, v, err := b.ask(t.Context(), b.Attempt, &in); err != nil || v == nil || v.Outcome != state.Held {
				t.Error(said(v), err)
			}
		}
		if fmt.Sprint(heard.raised) != "[orders-to-erp auth]" || len(b.erp.asked) != 1 {
			t.Errorf("alarms: %q; the target was asked %q", heard.raised, b.erp.asked)
		}
	})
}

// A deletion that has waited for a create in doubt is remembered as of when it is known that there is nothing to delete: a version that was ahead when
// it came may have been reached meanwhile.
func TestDeletionThatHasWaited(t *testing.T) {
	b := newBench(t)
	b.store.known.Intents = []state.Intent{{Flow: "orders-to-erp", Topic: "orders", Epoch: 2, Entity: "order", Hub: "h", System: "erp", EventID: "e0", Create: true, External: "ext"}}
	b.store.known.Applied = &state.Applied{Version: "2026-03-03T10:00:00Z", EventID: "x e0/orders-to-erp"}
	b.Event.Operation, b.Event.Accepted, b.Event.Version = event.Delete, b.clock.Now(), "2026-03-20T10:00:00Z"
	b.ready(t)
	b.clock.Advance(3 * 24 * time.Hour)
	v, err := clearDoubt(t.Context(), b.delivery)
	if got := orErr(v, err); got != "skipped" || v.Applied == nil || v.Applied.Version != "2026-03-03T10:00:00Z" {
		t.Errorf("it says %q and remembers %+v", got, v.Applied)
	}
}

// forgetful has lost object 7.
type forgetful struct{ *erp }

func (f *forgetful) Write(ctx context.Context, w connector.Write) (connector.Result, error) {
	res, err := f.erp.Write(ctx, w)
	if w.Local == "7" {
		return connector.Result{}, fault.New(fault.NotFound, "no such object")
	}
	return res, err
}

// stepping is a target in which objects are made in several steps.
type stepping struct{ *erp }

func (stepping) TakesSteps(object string) bool { return object == "order" }

// What an earlier call has made, or may have made, and perhaps not moved on, is moved on: what was made of this very document by this delivery itself in nothing else.
func TestStepsThatAreLeft(t *testing.T) {
	found := []connector.Record{{Local: "9", ETag: "x", Doc: []byte(`{"qty":1}`)}} // as it was sent
	begin := func() *bench {
		b := newBench(t)
		b.Target.Connector, b.Target.VisibleAfter = stepping{b.erp}, 0
		return b
	}
	wants := func(b *bench, etag string, finish bool) {
		t.Helper()
		if v, err := clearDoubt(t.Context(), b.delivery); v != nil || err != nil {
			t.Fatalf("%s (%v)", said(v), err)
		}
		if w := b.write; w.Action != connector.Update || w.Local != "9" || w.ETag != etag || w.Finish != finish || string(w.Doc) != `{"qty":1}` {
			t.Errorf("what is left is written as %+v", w)
		}
		b.erp.err = nil
		announced(b)
		if v, err := send(t.Context(), b.delivery); orErr(v, err) != "delivered" {
			t.Error(orErr(v, err))
		}
	}
	b := begin().ready(t)
	announced(b)
	b.erp.err = &fault.Error{Kind: fault.UnknownOutcome, Code: "steps", Err: errors.New("it is made, and not moved on")}
	if v, err := send(t.Context(), b.delivery); v != nil || err == nil {
		t.Fatalf("%s (%v)", said(v), err)
	}
	b.erp.found = found
	wants(b, "", true)

	b = begin()
	b.store.known.Intents = []state.Intent{{Flow: "orders-to-erp", Topic: "orders", Epoch: 2, Entity: "order", Hub: "h", System: "erp", EventID: "e1", Create: true, External: "ext"}}
	b.erp.found = found
	wants(b.ready(t), "x", false) // a hub that has crashed may have sent an earlier mapping's document
}
