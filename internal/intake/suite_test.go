package intake

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/inbox"
	"github.com/waybill-hub/waybill/internal/inbox/inboxtest"
	"github.com/waybill-hub/waybill/internal/relay"
)

// leaseTTL is longer than any test turns the clock: it runs while the store works, and a lease that ran out meanwhile would end that work.
const leaseTTL = 1000 * time.Hour

// bench is one hub's intake under test.
type bench struct {
	*inboxtest.Bench
	// between stands between intake and the store; nil: nothing does.
	between func(Store) Store
	logs    relay.Logs // nil: topics are always what they were
	seen    *seen
	intake  *Intake
	starts  int
}

// onStores runs a test on every store.
func onStores(t *testing.T, test func(t *testing.T, b *bench)) { inboxtest.OnStores(t, benched(test)) }

// onSQLite runs a test to which no difference between stores matters.
func onSQLite(t *testing.T, test func(t *testing.T, b *bench)) { inboxtest.OnSQLite(t, benched(test)) }

func benched(test func(t *testing.T, b *bench)) func(*testing.T, *inboxtest.Bench) {
	return func(t *testing.T, inner *inboxtest.Bench) {
		b := &bench{Bench: inner, seen: &seen{}}
		t.Cleanup(b.stop)
		test(t, b)
	}
}

// start begins the intake of the sources.
func (b *bench) start(sources ...Source) *Intake {
	b.T.Helper()
	b.starts++
	var s Store = b.Store
	if b.between != nil {
		s = b.between(s)
	}
	for i := range sources {
		sources[i].Flow, sources[i].Entity = "orders", "order"
		sources[i].System, sources[i].Topic = "crm", "in.orders"
	}
	in, err := Start(Config{
		Store: s, Publisher: b.Topic, Logs: b.logs, Clock: b.Clock, Log: inboxtest.Log(), Observer: b.seen,
		Holder: "hub-" + strconv.Itoa(b.starts), LeaseTTL: leaseTTL, Sources: sources,
	})
	if err != nil {
		b.T.Fatal(err)
	}
	b.intake = in
	return in
}

func (b *bench) stop() {
	if b.intake == nil {
		return
	}
	stopped := make(chan error, 1)
	go func() { stopped <- b.intake.Stop(context.Background()) }()
	for {
		select {
		case err := <-stopped:
			if err != nil {
				b.T.Error(err)
			}
			b.intake = nil
			return
		case <-time.After(5 * time.Second): // what is tried again while the hub stops is given up by this clock, which stands
			b.Clock.Advance(10 * time.Second)
		}
	}
}

// crash ends the hub and opens its data again. What was under way is lost; the kill tests do it the hard way.
func (b *bench) crash() {
	b.T.Helper()
	if b.intake != nil {
		b.intake.halt(errors.New("the process is dead")) // nothing is finished as in an orderly stop
	}
	b.stop()
	b.Reopen()
}

// sleepers of a source that is read, when nothing is under way: its reader, its relay, and the renewals of their leases.
const sleepers = 4

// turnAtRest does as turn does, but lets everybody come to rest before each step, so that no time passes for work.
func (b *bench) turnAtRest(what string, done func() bool) {
	b.T.Helper()
	b.TurnWhen(what, sleepers, done)
}

// seen is an Observer that remembers.
type seen struct {
	NoObserver
	inboxtest.Alarms
	mu sync.Mutex
	// remarked are the remarks of each time that there were others.
	remarked [][]connector.Remark
	unread   int
}

func (s *seen) Unread(string, string, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unread++
}

// told counts how often the source was said to be unreadable.
func (s *seen) told() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unread
}

// Alarm is that of the alarms.
func (s *seen) Alarm(flow string, code inbox.AlarmCode, text string) {
	s.Alarms.Alarm(flow, code, text)
}

func (s *seen) Remarked(_ string, remarks []connector.Remark) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remarked = append(s.remarked, remarks)
}
