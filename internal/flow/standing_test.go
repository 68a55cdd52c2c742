package flow

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// unwilling is a store that takes no commits of flows, and answers all else.
type unwilling struct {
	Store
	refuses atomic.Bool
	tried   chan struct{} // each time that it has refused one
}

func (s *unwilling) Commit(ctx context.Context, c *state.Commit) error {
	if s.refuses.Load() {
		s.tried <- struct{}{}
		return errors.New("index row requires 20016 bytes " + strings.Repeat("x", 1000))
	}
	return s.Store.Commit(ctx, c)
}

// A flow whose commits the store refuses, while it takes those of others, says so after some seconds, and no longer when it goes on.
func TestStoreRefusesAFlow(t *testing.T) {
	w := newWorld(t)
	s := &unwilling{Store: w.store, tried: make(chan struct{}, 1000)}
	s.refuses.Store(true)
	w.deps.Store = s
	r := w.flow("erp-orders")
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.must(r, polled("A", 1, 1))
	}()
	<-s.tried
	if got := r.StoreRefuses(); got != nil {
		t.Errorf("it is said at once: %+v", got)
	}
	for range 3 { // each after 5 s at most
		w.clock.Advance(refusedAfter)
		w.turnUntil(s.tried)
	}
	if got := r.StoreRefuses(); got == nil || w.clock.Now().Sub(got.Since) < refusedAfter || !strings.HasPrefix(got.Why, "index row requires") || len(got.Why) > mostRefusal+len("…") {
		t.Errorf("it is not said: %+v", got)
	}
	s.refuses.Store(false)
	w.turnUntil(done)
	if got := r.StoreRefuses(); got != nil {
		t.Errorf("it has gone on, and says %+v", got)
	}
	w.expect("erp-orders", "delivered=1")
}

// turnUntil turns the clock on until something has happened.
func (w *world) turnUntil(happened <-chan struct{}) {
	for {
		select {
		case <-happened:
			return
		default:
			w.clock.Advance(time.Millisecond)
			runtime.Gosched()
		}
	}
}
