package inboxtest

import (
	"context"
	"errors"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/inbox"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
)

// Bench is an inbox under test, of the flow orders.
type Bench struct {
	T     *testing.T
	Clock *lifecycle.Manual
	Store *store.Store
	Topic *Topic
	open  func() *store.Store
}

func onStore(t *testing.T, factory func(t *testing.T, clock store.Clock) func() *store.Store, test func(t *testing.T, b *Bench)) {
	clock := lifecycle.NewManual(time.Now().Truncate(time.Second))
	b := &Bench{T: t, Clock: clock, open: factory(t, clock), Topic: &Topic{}}
	b.Store = b.open()
	t.Cleanup(func() { _ = b.Store.Close() })
	test(t, b)
}

// Reopen opens the store anew, as another process would.
func (b *Bench) Reopen() {
	b.T.Helper()
	if err := b.Store.Close(); err != nil {
		b.T.Fatal(err)
	}
	b.Store = b.open()
}

// Accept puts rows into the inbox, as a webhook would.
func (b *Bench) Accept(rows ...state.Inbound) {
	b.T.Helper()
	for i := range rows {
		rows[i].Flow = "orders"
		if rows[i].Received.IsZero() {
			rows[i].Received = b.Clock.Now()
		}
	}
	if _, _, err := b.Store.Accept(b.T.Context(), rows, nil, nil); err != nil {
		b.T.Fatal(err)
	}
}

// Turn moves the clock to the next timer, again and again, until done says so.
func (b *Bench) Turn(what string, done func() bool) {
	b.T.Helper()
	b.TurnWhen(what, 1, done)
}

// TurnWhen does as Turn does, but waits before each step until so many wait for the clock.
func (b *Bench) TurnWhen(what string, waiting int, done func() bool) {
	b.T.Helper()
	ctx, cancel := context.WithTimeout(b.T.Context(), 20*time.Second)
	defer cancel()
	for !done() {
		if ctx.Err() != nil {
			b.T.Fatalf("waiting for %s: it did not come", what)
		}
		if b.Clock.Waiting() < waiting {
			runtime.Gosched()
			continue
		}
		// Only short waits are passed: the leases' renewal is days away and would never be reached.
		if next, ok := b.Clock.Next(); ok && next.Sub(b.Clock.Now()) <= time.Minute {
			b.Clock.Set(next)
		}
		runtime.Gosched()
	}
}

// Await waits for something while the clock stands still.
func (b *Bench) Await(what string, done func() bool) {
	b.T.Helper()
	ctx, cancel := context.WithTimeout(b.T.Context(), 20*time.Second)
	defer cancel()
	for !done() {
		if ctx.Err() != nil {
			b.T.Fatalf("waiting for %s: it did not come", what)
		}
		runtime.Gosched()
	}
}

// Refused gives what was published with a refusal.
func (b *Bench) Refused() (out []event.Event) {
	for _, e := range b.Topic.Events() {
		if e.Refused != nil {
			out = append(out, e)
		}
	}
	return out
}

// HandBack does what the engine does with a refused event that a person has replayed.
func (b *Bench) HandBack(no event.Event, data string) {
	b.T.Helper()
	again := no
	again.Refused = &event.Refusal{Code: no.Refused.Code, Reading: no.Refused.Reading + 1}
	row := state.Inbound{Flow: "orders", ID: no.ID + "~" + strconv.Itoa(b.Topic.Count()), Headers: no.Refused.Headers, Body: []byte(data), Received: b.Clock.Now(), Event: &again}
	l, ok, err := b.Store.AcquireLease(b.T.Context(), "tests", "me", time.Hour)
	if err != nil || !ok {
		b.T.Fatalf("%v %v", ok, err)
	}
	// A row that is marked makes room for those of its events that need one of their own.
	_, seqs, err := b.Store.Accept(b.T.Context(), []state.Inbound{{Flow: "elsewhere", ID: row.ID}}, nil, nil)
	if err == nil {
		err = b.Store.MarkPublished(b.T.Context(), l, []state.Published{{Seq: seqs[0]}}, []state.Inbound{row})
	}
	if err != nil {
		b.T.Fatal(err)
	}
}

// Unpublished counts the rows that the relay has still to carry.
func (b *Bench) Unpublished() int {
	b.T.Helper()
	rows, err := b.Store.Unpublished(b.T.Context(), "orders", 10_000, 1<<30)
	if err != nil {
		b.T.Fatal(err)
	}
	return len(rows)
}

// Inbound is a row with an id of its sender's.
func Inbound(id, body string) state.Inbound {
	return state.Inbound{ID: id, DeliveryID: id, Body: []byte(body), Trace: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
}

// Field is a key that is a member of the document.
func Field(name string) inbox.Eval {
	return func(_ context.Context, in inbox.Input) (string, error) {
		v := in.Doc.Root().Get(name)
		if !v.Exists() {
			return "", errors.New("flows/orders.yaml:7:6: source." + name + " is missing")
		}
		return v.Str(), nil
	}
}

// Alarms are those that were raised, by their code; the texts of those that are over are empty.
type Alarms struct {
	mu    sync.Mutex
	texts map[inbox.AlarmCode]string
}

// Alarm makes it a part of an observer.
func (a *Alarms) Alarm(_ string, code inbox.AlarmCode, text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.texts == nil {
		a.texts = map[inbox.AlarmCode]string{}
	}
	a.texts[code] = text
}

// Text is that of an alarm; empty: there is none.
func (a *Alarms) Text(code inbox.AlarmCode) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.texts[code]
}
