package deliver

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/flow/calls"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

func TestObjects(t *testing.T) {
	clock := lifecycle.NewManual(time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC))
	table, o := NewObjects(), calls.Object{Entity: "order", Hub: "h"}
	if !table.try(o) || table.try(o) {
		t.Fatal("one at a time")
	}
	got := make(chan bool, 2)
	for range 2 {
		go func() {
			ok, err := table.Take(t.Context(), clock, o, 0)
			if err != nil {
				t.Error(err)
			}
			got <- ok
		}()
	}
	for waits := false; !waits; runtime.Gosched() {
		table.mu.Lock()
		waits = table.taken[o].free != nil
		table.mu.Unlock()
	}
	table.Free(o)
	if !<-got {
		t.Error("nobody has it")
	}
	table.Free(o)
	if !<-got {
		t.Error("the second has it not")
	}
	late := make(chan bool, 1)
	go func() { ok, _ := table.Take(t.Context(), clock, o, time.Second); late <- ok }()
	if err := clock.BlockUntil(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	clock.Advance(time.Second)
	if <-late {
		t.Error("it was taken from its holder")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if ok, err := table.Take(ctx, clock, o, 0); ok || err == nil {
		t.Error("it waits although nobody asks any more")
	}
}
