package relay

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/inbox"
	"github.com/waybill-hub/waybill/internal/inbox/inboxtest"
	"github.com/waybill-hub/waybill/internal/lease"
)

func TestMain(m *testing.M) { inboxtest.Main(m) }

var (
	errDown = fault.New(fault.Unavailable, "connection refused")
	errDead = errors.New("the process is dead")
)

// seen is an Observer that remembers, and counts the alarms that are raised.
type seen struct {
	inboxtest.Alarms
	raised atomic.Int64
}

func (s *seen) Alarm(flow string, code inbox.AlarmCode, text string) {
	if text != "" {
		s.raised.Add(1)
	}
	s.Alarms.Alarm(flow, code, text)
}

func (*seen) Relayed(string, int, int) {}

// bench is one hub's relay under test.
type bench struct {
	*inboxtest.Bench
	// between stands between the relay and the store; nil: nothing does.
	between func(Store) Store
	logs    Logs // nil: topics are always what they were
	seen    *seen
	starts  int
	runs    atomic.Int64 // how often a group began its work

	halt context.CancelCauseFunc // nil: no relay is at work
	done chan struct{}
}

// onStores runs a test on every store.
func onStores(t *testing.T, test func(t *testing.T, b *bench)) {
	inboxtest.OnStores(t, func(t *testing.T, inner *inboxtest.Bench) {
		b := &bench{Bench: inner, seen: &seen{}}
		t.Cleanup(b.stop)
		test(t, b)
	})
}

// start begins the relay, under its lease.
func (b *bench) start(src Source) {
	b.T.Helper()
	b.starts++
	var s Store = b.Store
	if b.between != nil {
		s = b.between(s)
	}
	src.Flow, src.Entity, src.System, src.Topic = "orders", "order", "crm", "in.orders"
	r := New(Config{Source: src, Store: s, Publisher: b.Topic, Clock: b.Clock, Log: inboxtest.Log(), Observer: b.seen, Logs: b.logs})
	under := &lease.Runner{Store: b.Store, Clock: b.Clock, Log: inboxtest.Log(), Name: "relay/orders", Holder: "hub-" + strconv.Itoa(b.starts), TTL: 1000 * time.Hour}
	ctx, halt := context.WithCancelCause(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); under.Run(ctx, r.Run) }()
	b.halt, b.done = halt, done
}

// stop ends the relay in order.
func (b *bench) stop() { b.end(ErrStopping) }

// crash ends the hub and opens its data again. What was under way is lost.
func (b *bench) crash() {
	b.T.Helper()
	b.end(errDead)
	b.Reopen()
}

func (b *bench) end(why error) {
	if b.halt == nil {
		return
	}
	b.halt(why)
	b.halt = nil
	for {
		select {
		case <-b.done:
			return
		case <-time.After(5 * time.Second): // what is tried again while the hub stops is given up by this clock, which stands
			b.Clock.Advance(grace + time.Second)
		}
	}
}
