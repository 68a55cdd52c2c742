package intake

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

// office lends leases; its behaviour is set by the test.
type office struct {
	mu       sync.Mutex
	taken    bool
	acquire  error
	renew    error
	hang     bool // renewals are not answered
	renewed  int
	released int
}

func (o *office) AcquireLease(_ context.Context, name, holder string, ttl time.Duration) (state.Lease, bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.acquire; err != nil {
		o.acquire = nil
		return state.Lease{}, false, err
	}
	return state.Lease{Name: name, Holder: holder, Token: 1, Expires: time.Now().Add(ttl)}, !o.taken, nil
}

func (o *office) RenewLease(ctx context.Context, l state.Lease, ttl time.Duration) (state.Lease, error) {
	o.mu.Lock()
	hang := o.hang
	o.mu.Unlock()
	if hang {
		<-ctx.Done()
		return l, ctx.Err()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.renew != nil {
		return l, o.renew
	}
	o.renewed++
	l.Expires = time.Now().Add(ttl)
	return l, nil
}

func (o *office) ReleaseLease(context.Context, state.Lease) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.released++
	return nil
}

func (o *office) set(change func(*office)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	change(o)
}

// TestPost runs in a bubble where time passes by itself.
func TestPost(t *testing.T) {
	for _, c := range []struct {
		name string
		run  func(t *testing.T, o *office, ends <-chan error, stop func())
	}{
		{"is renewed while the work goes on, and given back", func(t *testing.T, o *office, ends <-chan error, stop func()) {
			time.Sleep(61 * time.Second)
			stop()
			if err := <-ends; !errors.Is(err, errStopping) {
				t.Errorf("the work ended with %v", err)
			}
			synctest.Wait()
			if o.renewed != 12 || o.released != 1 {
				t.Errorf("renewed %d times, released %d times", o.renewed, o.released)
			}
		}},
		{"ends when another has it", func(t *testing.T, o *office, ends <-chan error, stop func()) {
			o.set(func(o *office) { o.renew = state.ErrFenced; o.taken = true })
			if err := <-ends; !errors.Is(err, state.ErrFenced) {
				t.Errorf("the work ended with %v", err)
			}
			o.set(func(o *office) { o.renew, o.taken = nil, false })
			time.Sleep(20 * time.Second) // it is taken up again when it can be had
			stop()
			<-ends
			synctest.Wait()
			if o.released != 1 {
				t.Errorf("released %d times: a lost lease is not given back", o.released)
			}
		}},
		{"outlives a short failure of the store", func(t *testing.T, o *office, ends <-chan error, stop func()) {
			o.set(func(o *office) { o.renew = errors.New("connection refused") })
			time.Sleep(9 * time.Second)
			o.set(func(o *office) { o.renew = nil })
			time.Sleep(time.Minute)
			select {
			case err := <-ends:
				t.Errorf("the work ended with %v", err)
			default:
			}
			stop()
			<-ends
		}},
		{"does not outlive a long one", func(t *testing.T, o *office, ends <-chan error, stop func()) {
			began := time.Now()
			o.set(func(o *office) { o.renew = errors.New("connection refused") })
			if err := <-ends; !errors.Is(err, state.ErrFenced) {
				t.Errorf("the work ended with %v", err)
			}
			if took := time.Since(began); took > 15*time.Second {
				t.Errorf("it went on for %v after the lease may have run out", took)
			}
			o.set(func(o *office) { o.renew = nil })
			time.Sleep(20 * time.Second)
			stop()
			<-ends
		}},
		{"does not outlive its lease when the store is silent", func(t *testing.T, o *office, ends <-chan error, stop func()) {
			began := time.Now()
			o.set(func(o *office) { o.hang = true })
			if err := <-ends; !errors.Is(err, state.ErrFenced) {
				t.Errorf("the work ended with %v", err)
			}
			if took := time.Since(began); took > 15*time.Second {
				t.Errorf("it went on for %v after the lease may have run out", took)
			}
			o.set(func(o *office) { o.hang = false })
			stop()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &office{acquire: errors.New("not yet")}
				ctx, cancel := context.WithCancelCause(t.Context())
				p := &post{leases: o, clock: lifecycle.Real(), log: testLog(), name: "relay/x", holder: "h", ttl: 15 * time.Second}
				begun, ends, done := make(chan struct{}, 1), make(chan error, 10), make(chan struct{})
				go func() {
					defer close(done)
					p.keep(ctx, func(ctx context.Context, tn *tenure) error {
						select {
						case begun <- struct{}{}:
						default:
						}
						<-ctx.Done()
						ends <- context.Cause(ctx)
						return context.Cause(ctx)
					})
				}()
				<-begun
				c.run(t, o, ends, func() { cancel(errStopping) })
				<-done
			})
		})
	}
}

// A lease that is given back is taken up at once, not when its time would have been over.
func TestStandby(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &office{taken: true}
		ctx, cancel := context.WithCancel(t.Context())
		p := &post{leases: o, clock: lifecycle.Real(), log: testLog(), name: "poll/x", holder: "h", ttl: 15 * time.Second}
		begun, done := make(chan time.Time), make(chan struct{})
		go func() {
			defer close(done)
			p.keep(ctx, func(ctx context.Context, _ *tenure) error {
				begun <- time.Now()
				<-ctx.Done()
				return ctx.Err()
			})
		}()
		time.Sleep(31500 * time.Millisecond)
		free := time.Now()
		o.set(func(o *office) { o.taken = false })
		if took := (<-begun).Sub(free); took > time.Second {
			t.Errorf("taken up after %v", took)
		}
		cancel()
		<-done
	})
}

// frozen is an outbox and publisher of a relay that was frozen for longer than its lease between reading and publishing.
type frozen struct {
	Outbox
	thaw      func()
	published int
}

func (f *frozen) Unpublished(context.Context, string, int, int) ([]state.Inbound, error) {
	f.thaw()
	return []state.Inbound{{Flow: "x", Seq: 1, ID: "a", Headers: map[string]string{}, Body: []byte(`{"no":"1"}`)}}, nil
}

func (f *frozen) Send(_ context.Context, records []event.Record) []Sent {
	f.published += len(records)
	return make([]Sent, len(records))
}

func TestNothingIsPublishedUnderALeaseThatMayHaveRunOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tn := &tenure{}
		tn.lease.Store(&state.Lease{Name: "relay/x", Token: 1})
		until := time.Now().Add(15 * time.Second)
		tn.until.Store(&until)
		f := &frozen{thaw: func() { time.Sleep(16 * time.Second) }}
		r := &relay{src: Source{Flow: "x", Topic: "in.x", System: "s"}, box: f, pub: f, clock: lifecycle.Real(), log: testLog(), obs: NoObserver{}}
		if _, err := r.step(t.Context(), tn); !errors.Is(err, state.ErrFenced) || f.published != 0 {
			t.Errorf("published %d, %v", f.published, err)
		}
	})
}

func TestWorkThatPanicsIsBegunAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &office{}
		ctx, cancel := context.WithCancel(t.Context())
		p := &post{leases: o, clock: lifecycle.Real(), log: testLog(), name: "poll/x", holder: "h", ttl: 15 * time.Second}
		n := 0
		p.keep(ctx, func(context.Context, *tenure) error {
			if n++; n == 3 {
				cancel()
				return nil
			}
			panic("oh")
		})
		if n != 3 || o.released != 3 {
			t.Errorf("begun %d times, released %d times", n, o.released)
		}
	})
}

func TestBackoff(t *testing.T) {
	b := backoff{min: time.Second, max: 10 * time.Second}
	for i, top := range []time.Duration{1, 2, 4, 8, 10, 10} {
		if d := b.next(); d < top*time.Second/2 || d > top*time.Second {
			t.Errorf("wait %d is %v, want %v to %v", i, d, top*time.Second/2, top*time.Second)
		}
	}
	b.reset()
	if d := b.next(); d > time.Second {
		t.Errorf("after a reset: %v", d)
	}
}
