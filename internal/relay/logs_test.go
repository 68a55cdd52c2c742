package relay

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/inbox/inboxtest"
	"github.com/waybill-hub/waybill/internal/state"
)

// tides says of the one topic what the test wants.
type tides struct {
	mu     sync.Mutex
	held   error
	life   int64
	same   []error // answers to Same, in order; then nil
	asked  int
	looked int
}

func (l *tides) Held(string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.looked++
	return l.held
}

func (l *tides) Life(string) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.life
}

func (l *tides) Same(context.Context, string, int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked++
	if len(l.same) == 0 {
		return nil
	}
	err := l.same[0]
	l.same = l.same[1:]
	return err
}

func (l *tides) set(change func(l *tides)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(l)
}

func (l *tides) looks() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.looked
}

func (l *tides) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asked
}

var errAnother = fmt.Errorf("in.orders has another id: %w", state.ErrBroker)

// While nothing may be published, what is accepted rests in the inbox, and is carried in its order when it may.
func TestRelayHeld(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		l := &tides{held: errAnother}
		b.logs = l
		b.Accept(inboxtest.Inbound("d1", `{"id":"a"}`), inboxtest.Inbound("d2", `{"id":"a"}`))
		b.start(Source{Lists: true, Key: inboxtest.Field("id")})
		b.Turn("some looks", func() bool { return l.looks() > 5 })
		if b.Topic.Count() != 0 || b.Unpublished() != 2 {
			t.Fatalf("%d published, %d not", b.Topic.Count(), b.Unpublished())
		}
		b.Accept(inboxtest.Inbound("d3", `{"id":"a"}`))
		l.set(func(l *tides) { l.held = nil })
		b.Turn("the events", func() bool { return b.Unpublished() == 0 })
		if ids := b.Topic.IDs(); !slices.Equal(ids, []string{"d1", "d2", "d3"}) {
			t.Errorf("published %v", ids)
		}
	})
}

// What went into a log that was not the one is not marked: it is published again. A broker that does not answer is asked again.
func TestRelayIntoAnotherLog(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		l := &tides{same: []error{fault.New(fault.Unavailable, "no broker answers"), errAnother}}
		b.logs = l
		b.Accept(inboxtest.Inbound("d1", `{"id":"a"}`))
		b.start(Source{Lists: true, Key: inboxtest.Field("id")})
		b.Turn("it is published again", func() bool { return b.Topic.Count() == 2 && b.Unpublished() == 0 })
		if n := l.count(); n != 3 {
			t.Errorf("asked %d times", n)
		}
		tr, err := b.Store.Trace(t.Context(), "d1")
		if err != nil || len(tr.Inbox) != 1 || len(tr.Inbox[0].Positions) != 1 || tr.Inbox[0].Positions[0].Offset != 1 {
			t.Errorf("marked: %+v, %v", tr.Inbox, err)
		}
	})
}

// A batch that waits for the broker is left when its topic has become another one.
func TestRelayLeavesABatch(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		l := &tides{}
		b.logs = l
		down := errDown
		b.Topic.Refuse = func(event.Record) error {
			l.set(func(l *tides) { l.held = errAnother })
			return down
		}
		b.Accept(inboxtest.Inbound("d1", `{"id":"a"}`))
		b.start(Source{Lists: true, Key: inboxtest.Field("id")})
		sent := func() int {
			b.Topic.Mu.Lock()
			defer b.Topic.Mu.Unlock()
			return b.Topic.Sends
		}
		b.Turn("the first try", func() bool { return sent() > 0 })
		before := l.looks()
		b.Turn("some looks", func() bool { return l.looks() > before+5 })
		b.Topic.Mu.Lock()
		sends := b.Topic.Sends
		b.Topic.Refuse = nil
		b.Topic.Mu.Unlock()
		if sends != 1 {
			t.Errorf("sent %d times", sends)
		}
		l.set(func(l *tides) { l.held = nil; l.life = 1 })
		b.Turn("the event", func() bool { return b.Unpublished() == 0 })
	})
}

// Of a list that is published again in part, the other events are neither published nor refused once more; of one that could not be split
// when it was published, all are.
func TestRelayAgain(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		split := "orders"
		again := map[string][]int{"d1": {1, 3}, "d2": {state.WholeList}}
		b.between = func(s Store) Store {
			return &meddler{Store: s, rows: func(rows []state.Inbound) {
				for i := range rows {
					rows[i].Again = again[rows[i].ID]
				}
			}}
		}
		b.Accept(inboxtest.Inbound("d1", `{"orders":[{"id":"a"},{"id":"b"},{"n":1},{"id":"c"}]}`), inboxtest.Inbound("d2", `{"orders":[{"id":"d"},{"id":"e"}]}`))
		b.start(Source{Lists: true, Split: split, Key: inboxtest.Field("id")})
		b.Turn("the events", func() bool { return b.Unpublished() == 0 })
		if ids := b.Topic.IDs(); !slices.Equal(ids, []string{"d1.1", "d1.3", "d2.0", "d2.1"}) || len(b.Refused()) != 0 {
			t.Errorf("published %v, refused %v", ids, b.Refused())
		}
	})
}

// meddler changes what the relay is given, and hears what it marks.
type meddler struct {
	Store
	rows   func([]state.Inbound)
	marked func([]state.Published)
}

func (m *meddler) Unpublished(ctx context.Context, flow string, limit, maxBytes int) ([]state.Inbound, error) {
	rows, err := m.Store.Unpublished(ctx, flow, limit, maxBytes)
	if m.rows != nil {
		m.rows(rows)
	}
	return rows, err
}

func (m *meddler) MarkPublished(ctx context.Context, lease state.Lease, done []state.Published, rest []state.Inbound) error {
	if m.marked != nil {
		m.marked(done)
	}
	return m.Store.MarkPublished(ctx, lease, done, rest)
}
