package flow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/flow/deliver"
	"github.com/waybill-hub/waybill/internal/state"
)

// slow is a target whose writes are answered when the test says so, or cut off.
type slow struct {
	*target
	called, answer chan struct{}
}

func (s *slow) Write(ctx context.Context, w connector.Write) (connector.Result, error) {
	s.called <- struct{}{}
	select {
	case <-s.answer:
		return s.target.Write(ctx, w)
	case <-ctx.Done():
		return connector.Result{}, fault.Wrap(fault.UnknownOutcome, "write", ctx.Err())
	}
}

// TestStopWaitsForCalls: a call that is under way when the flow stops has a moment to come back, and then counts; one that does not is
// cut off, and its batch handed back without a fate. A new owner of the partition is never held up.
func TestStopWaitsForCalls(t *testing.T) {
	for name, c := range map[string]struct {
		answered, revoked bool
		want              string
	}{
		"it comes back":                 {answered: true, want: "delivered=1"},
		"it does not":                   {},
		"another hub has the partition": {revoked: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := &slow{target: w.erp, called: make(chan struct{}, 1), answer: make(chan struct{})}
			w.deps.Systems["erp"].Connector = s
			r := w.flow("orders-to-erp")
			e := order("A", 1, "1")
			batch := &event.Batch{Topic: "orders", Epoch: w.epoch(r), Lane: event.LaneOf(e.Lane(), 16), Records: []event.Record{{Topic: "orders", Key: []byte(e.Lane()), Value: e.Data, Headers: e.Headers()}}}
			handled, stopped := make(chan error, 1), make(chan error, 1)
			go func() { handled <- w.handQuiet(r, batch) }()
			<-s.called
			switch {
			case c.revoked: // the clock stands: nobody waits for it
				r.Revoked("", "orders", 0)
				stopped <- nil
			default:
				go func() { stopped <- r.Stop(context.Background()) }()
				if c.answered {
					w.lingers(handled)
					close(s.answer)
				}
			}
			if err := w.stopped(stopped, c.answered); err != nil {
				t.Fatal(err)
			}
			if err := <-handled; (err == nil) != c.answered {
				t.Errorf("handled: %v", err)
			}
			w.expect("orders-to-erp", c.want)
			if got, err := w.store.Target(t.Context(), "order", "hub-A", "erp", "crm"); err != nil || (len(got.Intents) == 0) != c.answered {
				t.Errorf("the intents are %+v, %v", got.Intents, err)
			}
		})
	}
}

// lingers waits until the only timer is that of the call's grace, or the call is over.
func (w *world) lingers(over chan error) {
	for len(over) == 0 {
		if at, ok := w.clock.Next(); ok && at.Sub(w.clock.Now()) == deliver.CallGrace {
			return
		}
		runtime.Gosched()
	}
}

// stopped waits for a stop, and lets time go by unless still.
func (w *world) stopped(done <-chan error, still bool) error {
	for {
		select {
		case err := <-done:
			return err
		case <-w.t.Context().Done():
			return w.t.Context().Err()
		default:
		}
		if !still && w.clock.Waiting() > 0 {
			w.clock.Advance(deliver.CallGrace)
		}
		runtime.Gosched()
	}
}

// fenced asks, as connectors do, whether it may send, when the flow has been asked to stop and the call's context does not know yet.
type fenced struct{ *target }

func (f fenced) Write(context.Context, connector.Write) (connector.Result, error) {
	return connector.Result{}, fault.Wrap(fault.Unavailable, "write", deliver.ErrStopping)
}

// TestStopIsNoFailureOfTheSystem: a call that a stop keeps from being sent says nothing of the system, and is not tried again.
func TestStopIsNoFailureOfTheSystem(t *testing.T) {
	w := newWorld(t)
	sys := w.deps.Systems["erp"]
	sys.Connector = fenced{w.erp}
	r := w.flow("orders-to-erp")
	for i := range 20 {
		if err := w.batch(r, order(fmt.Sprint(i), 1, "1")); !errors.Is(err, deliver.ErrStopping) {
			t.Fatalf("handled: %v", err)
		}
	}
	if h := sys.Breaker.Health(); h.Failing {
		t.Errorf("the system is blamed: %+v", h)
	}
	w.expect("orders-to-erp", "")
}

// overtaken takes no more writes once it is told why.
type overtaken struct {
	*target
	why   atomic.Pointer[error]
	asked atomic.Int64
}

func (o *overtaken) Write(ctx context.Context, w connector.Write) (connector.Result, error) {
	if why := o.why.Load(); why != nil {
		o.asked.Add(1)
		return connector.Result{}, fault.Wrap(fault.Unavailable, "write", *why)
	}
	return o.target.Write(ctx, w)
}

// TestDrainingEndsQuietly: a stored queue whose owner stops, or was replaced, is left as it is, and that is no error.
func TestDrainingEndsQuietly(t *testing.T) {
	for name, why := range map[string]error{"the flow stops": deliver.ErrStopping, "another hub has the partition": state.ErrFenced} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			var log bytes.Buffer
			w.deps.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn})) // read when all is stopped
			erp := &overtaken{target: w.erp}
			w.deps.Systems["erp"].Connector = erp
			w.erp.script = []step{{false, wrong, nil}}
			r := w.flow("orders-to-erp")
			w.must(r, order("A", 1, "1"))
			w.expect("orders-to-erp", "parked=1")
			erp.why.Store(&why)
			w.mark(r, w.queue("orders-to-erp")[0].ID, state.MarkReplay)
			for erp.asked.Load() == 0 && t.Context().Err() == nil { // then nothing waits for the clock any more
				runtime.Gosched()
			}
			if err := r.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
			if erp.asked.Load() != 1 {
				t.Errorf("tried %d times", erp.asked.Load())
			}
			if strings.Contains(log.String(), "level=ERROR") {
				t.Errorf("an end in order is logged as an error:\n%s", &log)
			}
			w.expect("orders-to-erp", "parked=1")
		})
	}
}
