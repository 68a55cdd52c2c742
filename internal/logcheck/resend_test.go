package logcheck

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/lease"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

// sent is a store with sent records that are lost; what a test does not need is not there.
type sent struct {
	Store
	mu     sync.Mutex
	lost   map[string][]state.Lost
	taken  bool   // another hub has the leases
	enough func() // called when they are asked for a thousand times
	asked  atomic.Int64
}

func (s *sent) Logs(context.Context) (map[string]state.TopicLog, error) {
	return map[string]state.TopicLog{}, nil
}
func (s *sent) Tops(context.Context) (map[string][]int64, error)              { return nil, nil }
func (s *sent) Partitions(context.Context, string) ([]state.Partition, error) { return nil, nil }
func (s *sent) RenewLease(_ context.Context, l state.Lease, _ time.Duration) (state.Lease, error) {
	return l, nil
}
func (s *sent) ReleaseLease(context.Context, state.Lease) error { return nil }

func (s *sent) AcquireLease(_ context.Context, name, _ string, _ time.Duration) (state.Lease, bool, error) {
	if s.asked.Add(1) == 1000 && s.enough != nil {
		s.enough()
	}
	return state.Lease{Name: name, Token: 1}, !s.taken, nil
}

func (s *sent) Resending(context.Context) (map[string]int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]int64{}
	for topic, all := range s.lost {
		if len(all) > 0 {
			out[topic] = int64(len(all))
		}
	}
	return out, nil
}

func (s *sent) Lost(_ context.Context, topic string, limit int) ([]state.Lost, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lost[topic][:min(limit, len(s.lost[topic]))], nil
}

func (s *sent) Resent(_ context.Context, _ state.Lease, id, _ int64, _ []state.PublishedAt) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for topic, all := range s.lost {
		if len(all) > 0 && all[0].ID == id {
			s.lost[topic] = all[1:]
		}
	}
	return nil
}

// broker takes records, but those that fails says something of.
type broker struct {
	mu    sync.Mutex
	log   []string
	fails func(r event.Record) error
}

func (b *broker) Look(context.Context, ...string) (map[string]state.SeenLog, error) { return nil, nil }
func (b *broker) Committed(context.Context, string, string, int) ([]int64, error)   { return nil, nil }

func (b *broker) Send(_ context.Context, records []event.Record) []event.Sent {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]event.Sent, len(records))
	for i, r := range records {
		if b.fails != nil {
			out[i].Err = b.fails(r)
		}
		if out[i].Err == nil {
			b.log = append(b.log, string(r.Value))
		}
	}
	return out
}

func (b *broker) said() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(b.log, " ")
}

func batch(id int64, topic string, values ...string) state.Lost {
	l := state.Lost{ID: id}
	for _, v := range values {
		l.Records = append(l.Records, event.Record{Topic: topic, Value: []byte(v)})
	}
	return l
}

func checker(s *sent, b *broker, clock lifecycle.Clock) *Checker {
	return New(Options{Store: s, Broker: b, Clock: clock, Log: slog.New(slog.DiscardHandler), Holder: "one", Flows: func() []Flow { return nil }})
}

// TestResendRests: what another hub is at, or nobody can do now, is asked for now and then, and not as fast as a processor can.
func TestResendRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithTimeout(t.Context(), 100*time.Second)
		defer stop()
		s := &sent{taken: true, lost: map[string][]state.Lost{"t": {batch(1, "t", "a")}}}
		s.enough = stop // where it never rests, the bubble's time stands still
		c := checker(s, &broker{}, lifecycle.Real())
		looks := 0
		var work sync.WaitGroup
		work.Go(func() { c.Watch(ctx, func(context.Context) { looks++ }) })
		work.Go(func() { c.Resend(ctx) })
		work.Wait()
		if n := s.asked.Load(); n < 5 || n > 40 || looks < 5 || looks > 40 {
			t.Errorf("asked %d times for the lease, and looked %d times, in ten rounds", n, looks)
		}
	})
}

// TestResendIsFenced: a hub whose lease may have run out sends nothing more, whether it was frozen between two batches or while it tried again.
func TestResendIsFenced(t *testing.T) {
	for name, frozen := range map[string]func(s *sent, b *broker, past func()){
		"between two batches": func(_ *sent, b *broker, past func()) {
			b.fails = func(r event.Record) error {
				if string(r.Value) == "a" {
					past()
				}
				return nil
			}
		},
		"while it tries again": func(_ *sent, b *broker, past func()) {
			down := false
			b.fails = func(r event.Record) error {
				if string(r.Value) == "b" && !down {
					down = true
					past()
					return fault.New(fault.Unavailable, "down")
				}
				return nil
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, b, clock := &sent{lost: map[string][]state.Lost{"t": {batch(1, "t", "a"), batch(2, "t", "b")}}}, &broker{}, lifecycle.NewManual(time.Now())
			c := checker(s, b, clock)
			held := lease.Hold(state.Lease{Token: 1}, clock.Now().Add(time.Second))
			frozen(s, b, func() { clock.Step(time.Second) })
			ctx, done := context.WithTimeout(t.Context(), 10*time.Second)
			var turning sync.WaitGroup
			turning.Go(func() {
				for clock.BlockUntil(ctx, 1) == nil {
					clock.Advance(50 * time.Millisecond)
				}
			})
			n, err := c.resendBatch(ctx, held, "t")
			done()
			turning.Wait()
			if n != 1 || !errors.Is(err, state.ErrFenced) || b.said() != "a" {
				t.Errorf("%d sent, %v, and the topic holds %q", n, err, b.said())
			}
		})
	}
}

// TestResendTellsSeldom: a broker that takes nothing is asked again and again, and the log is told ever more seldom.
func TestResendTellsSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, tries, log := time.Now(), 0, &strings.Builder{}
		s, b := &sent{lost: map[string][]state.Lost{"t": {batch(1, "t", "a")}}}, &broker{}
		b.fails = func(event.Record) error {
			if tries++; time.Since(began) > 3*time.Minute+30*time.Second {
				return nil
			}
			return fault.New(fault.Unavailable, "down")
		}
		c := New(Options{Store: s, Broker: b, Clock: lifecycle.Real(), Log: slog.New(slog.NewTextHandler(log, nil)), Holder: "one", Flows: func() []Flow { return nil }})
		n, err := c.resendBatch(t.Context(), lease.Hold(state.Lease{Token: 1}, began.Add(time.Hour)), "t")
		if lines := strings.Count(log.String(), "level=WARN"); n != 1 || err != nil || lines != 3 || tries < 20 {
			t.Errorf("%d sent, %v; %d tries, of which the log was told %d times:\n%s", n, err, tries, lines, log)
		}
	})
}

// TestResendGoesOn: a record that the broker never takes as it is keeps nobody but its own topic.
func TestResendGoesOn(t *testing.T) {
	s, b, clock := &sent{lost: map[string][]state.Lost{"a": {batch(1, "a", "big")}, "b": {batch(2, "b", "x")}}}, &broker{}, lifecycle.NewManual(time.Now())
	b.fails = func(r event.Record) error {
		if string(r.Value) == "big" {
			return fault.New(fault.Invalid, "larger than the topic takes")
		}
		return nil
	}
	c := checker(s, b, clock)
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Second) // by the real clock: where it waits, nobody turns the other
	defer stop()
	if had, err := c.resendTopic(ctx, "a"); !had || fault.KindOf(err) != fault.Invalid {
		t.Errorf("a record that is never taken: %v %v", had, err)
	}
	if had, err := c.resendTopic(ctx, "b"); !had || err != nil || b.said() != "x" {
		t.Errorf("the topic behind it: %v %v, %q", had, err, b.said())
	}
}
