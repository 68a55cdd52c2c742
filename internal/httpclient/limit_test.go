package httpclient

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

func TestRateIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(Limit{Rate: strictyaml.Rate{N: 50, Per: time.Second}, Concurrency: 100})
		start := time.Now()
		for range 105 {
			release, err := l.acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			release()
		}
		// Five at once, the tenth of a second's worth, and then one every 20 ms.
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("105 calls at 50/s took %v, want 2s", took)
		}
		time.Sleep(time.Hour)
		start = time.Now()
		for range 6 {
			release, _ := l.acquire(t.Context())
			release()
		}
		if took := time.Since(start); took != 20*time.Millisecond {
			t.Errorf("a quiet hour is worth a burst of five: six took %v", took)
		}
	})
}

func TestSlowRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(Limit{Rate: strictyaml.Rate{N: 1, Per: time.Minute}, Concurrency: 1})
		if _, err := l.acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		l.slots = make(chan struct{}, 1)
		start := time.Now()
		if _, err := l.acquire(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 0 {
			t.Errorf("a token beyond the deadline is refused at once: %v after %v", err, time.Since(start))
		}
		if len(l.slots) != 0 {
			t.Error("the slot is lost")
		}
	})
}

// A system that asks for no calls gets none, from nobody, also from those that were waiting for their turn.
func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(Limit{Concurrency: 1})
		first, err := l.acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		second := make(chan time.Duration)
		go func() {
			release, err := l.acquire(t.Context())
			if err != nil {
				t.Error(err)
			}
			release()
			second <- time.Since(start)
		}()
		synctest.Wait()
		l.hold(10 * time.Second)
		l.hold(time.Second) // a shorter wish does not end a longer one
		first()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		var held *heldError
		if _, err := l.acquire(ctx); !errors.As(err, &held) || time.Since(start) != 0 || time.Until(held.until) != 10*time.Second {
			t.Errorf("a call that cannot wait so long is told so at once: %v after %v", err, time.Since(start))
		}
		if took := <-second; took != 10*time.Second {
			t.Errorf("the one that waited for its turn was let through after %v", took)
		}
		l.hold(48 * time.Hour)
		if d := time.Until(l.until()); d != mostHold {
			t.Errorf("one answer closes the system for %v", d)
		}
	})
}

// TestToldToWait: what one call is told to wait concerns the others, too: none is made until then.
func TestToldToWait(t *testing.T) {
	var asked atomic.Int32
	c, _ := serve(t, Config{}, func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // less than it is to wait: nobody waits
	defer cancel()
	for range 2 {
		_, err := c.Do(ctx, Request{Method: "GET", Path: "orders"})
		if f, _ := fault.As(err); f == nil || f.Kind != fault.RateLimited || f.RetryAfter <= time.Minute || strings.Count(err.Error(), "asked to be called again at ") != 1 {
			t.Errorf("%v", err)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("it was asked %d times", n)
	}
}

func TestConcurrencyIsKept(t *testing.T) {
	l := newLimiter(Limit{Concurrency: 2})
	a, _ := l.acquire(t.Context())
	_, _ = l.acquire(t.Context())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.acquire(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a third call: %v", err)
	}
	a()
	if _, err := l.acquire(t.Context()); err != nil {
		t.Error(err)
	}
}
