package lease

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waybill-hub/waybill/internal/fault"
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

var errStopping = errors.New("stopping")

// TestRunner runs in a bubble where time passes by itself.
func TestRunner(t *testing.T) {
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
				p := &Runner{Store: o, Clock: lifecycle.Real(), Log: slog.New(slog.DiscardHandler), Name: "relay/x", Holder: "h", TTL: 15 * time.Second}
				begun, ends, done := make(chan struct{}, 1), make(chan error, 10), make(chan struct{})
				go func() {
					defer close(done)
					p.Run(ctx, func(ctx context.Context, tn *Held) error {
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
		p := &Runner{Store: o, Clock: lifecycle.Real(), Log: slog.New(slog.DiscardHandler), Name: "poll/x", Holder: "h", TTL: 15 * time.Second}
		begun, done := make(chan time.Time), make(chan struct{})
		go func() {
			defer close(done)
			p.Run(ctx, func(ctx context.Context, _ *Held) error {
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

func TestWorkThatPanicsIsBegunAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &office{}
		ctx, cancel := context.WithCancel(t.Context())
		p := &Runner{Store: o, Clock: lifecycle.Real(), Log: slog.New(slog.DiscardHandler), Name: "poll/x", Holder: "h", TTL: 15 * time.Second}
		n := 0
		p.Run(ctx, func(context.Context, *Held) error {
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

// Once does the work at most once, tells whether it was had, and gives the lease back; a panic is its error.
func TestOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &office{}
		r := &Runner{Store: o, Clock: lifecycle.Real(), Log: slog.New(slog.DiscardHandler), Name: "job/x", Holder: "h", TTL: 15 * time.Second}
		broken := errors.New("broken")
		once := func(wantHad bool, want error, work func(context.Context, *Held) error) {
			t.Helper()
			if had, err := r.Once(t.Context(), work); had != wantHad || !errors.Is(err, want) {
				t.Errorf("had %v, %v; want %v, %v", had, err, wantHad, want)
			}
		}
		n := 0
		work := func(_ context.Context, held *Held) error {
			n++
			if held.Lease().Token != 1 || held.Check(r.Clock) != nil {
				t.Errorf("the lease %+v", held.Lease())
			}
			return nil
		}
		once(true, nil, work)
		once(true, broken, func(context.Context, *Held) error { return broken })
		if had, err := r.Once(t.Context(), func(context.Context, *Held) error { panic("no") }); !had || err == nil {
			t.Errorf("a panic: %v, %v", had, err)
		}
		if o.released != 3 {
			t.Errorf("released %d times", o.released)
		}
		o.set(func(o *office) { o.renew = state.ErrFenced })
		once(true, state.ErrFenced, func(ctx context.Context, _ *Held) error { <-ctx.Done(); return nil })
		o.set(func(o *office) { o.acquire = broken })
		once(false, broken, work)
		o.set(func(o *office) { o.taken = true })
		once(false, nil, work)
		if n != 1 || o.released != 3 {
			t.Errorf("worked %d times, released %d times", n, o.released)
		}
	})
}

// A store that does not answer is asked again and again, and the log is told ever more seldom.
func TestFailuresAreToldSeldom(t *testing.T) {
	for name, c := range map[string]struct {
		down error // of the lease
		work error
	}{
		"the lease cannot be asked for": {fault.New(fault.Unavailable, "the store does not answer"), nil},
		"the work fails":                {nil, errors.New("the system does not answer")},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute-time.Second)
				defer cancel()
				asked, log := 0, &strings.Builder{}
				r := &Runner{Store: down{&office{}, func() error { asked++; return c.down }}, Clock: lifecycle.Real(), Log: slog.New(slog.NewTextHandler(log, nil)),
					Name: "relay/x", Holder: "h", TTL: 15 * time.Second}
				r.Run(ctx, func(context.Context, *Held) error { return c.work })
				if told := strings.Count(log.String(), "level=WARN"); told != 3 || asked < 20 {
					t.Errorf("asked %d times and told %d times in 5 minutes:\n%s", asked, told, log)
				}
			})
		})
	}
}

// down is an office that may not answer.
type down struct {
	*office
	ask func() error
}

func (d down) AcquireLease(ctx context.Context, name, holder string, ttl time.Duration) (state.Lease, bool, error) {
	if err := d.ask(); err != nil {
		return state.Lease{}, false, err
	}
	return d.office.AcquireLease(ctx, name, holder, ttl)
}

// TestStoreAway: a store that is away for an hour is said a few times, not once for each time that the lease was asked for.
func TestStoreAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		away := &gone{}
		r := &Runner{Store: away, Clock: lifecycle.Real(), Log: slog.New(slog.NewTextHandler(&log, nil)), Name: "poll/x", Holder: "h", TTL: 15 * time.Second}
		r.Run(ctx, func(context.Context, *Held) error { return nil })
		if told := strings.Count(log.String(), "cannot ask for a lease; trying again"); away.asked < 200 || told != 6 || !strings.Contains(log.String(), "more=") {
			t.Errorf("asked %d times, told %d times:\n%s", away.asked, told, &log)
		}
	})
}

// gone is a store that does not answer.
type gone struct {
	office
	asked int
}

func (g *gone) AcquireLease(context.Context, string, string, time.Duration) (state.Lease, bool, error) {
	g.asked++
	return state.Lease{}, false, errors.New("connection refused")
}
