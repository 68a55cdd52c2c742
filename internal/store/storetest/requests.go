package storetest

import (
	"sync"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// testRequests: a request is begun once by whoever asks, its answer outlives a restart, one that was not done may be asked again, and all are forgotten in the end.
func testRequests(t *testing.T, b *bench) {
	begin := func(who, key string) *state.Request {
		t.Helper()
		before, err := b.BeginRequest(b.ctx(), state.Request{Who: who, Key: key, Sum: "sum-" + key})
		b.no(err)
		return before
	}
	if begin("ann", "one") != nil || begin("bob", "one") != nil || begin("ann", "two") != nil {
		t.Fatal("new requests are known")
	}
	if r := begin("ann", "one"); r == nil || r.Status != 0 || r.Sum != "sum-one" || r.Began.IsZero() {
		t.Fatalf("%+v", r)
	}
	b.no(b.EndRequest(b.ctx(), state.Request{Who: "ann", Key: "one", Status: 202, Answer: `{"a": 1}`}))
	b.no(b.EndRequest(b.ctx(), state.Request{Who: "ann", Key: "two"}))
	b.no(b.EndRequest(b.ctx(), state.Request{Who: "ann", Key: "one"})) // it was done
	b.reopen()
	if r := begin("ann", "one"); r == nil || r.Status != 202 || r.Answer != `{"a": 1}` {
		t.Errorf("answered %+v", r)
	}
	if r := begin("bob", "one"); r == nil || r.Status != 0 {
		t.Errorf("another's %+v", r)
	}
	if begin("ann", "two") != nil {
		t.Error("nothing was done, and it is known")
	}
	b.clock.Add(8 * 24 * time.Hour)
	if begin("ann", "three") != nil || begin("ann", "one") != nil {
		t.Error("after a week it is known")
	}

	var wg sync.WaitGroup
	begun := make(chan bool, 8)
	for range cap(begun) {
		wg.Go(func() {
			before, err := b.BeginRequest(b.ctx(), state.Request{Who: "ann", Key: "at once", Sum: "x"})
			begun <- err == nil && before == nil
		})
	}
	wg.Wait()
	close(begun)
	n := 0
	for first := range begun {
		if first {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d of 8 have begun one request", n)
	}
}
