package deliver

import (
	"context"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/flow/calls"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// Objects are those of a system, or of a flow's computed keys (without an entity), that the flows of one hub are at work on: one at a time. Lanes
// keep the order of one key of one flow; what meets only at the object meets here: keys that a flow computes, and several flows that write to one system.
type Objects struct {
	mu    sync.Mutex
	taken map[calls.Object]*taking
}

// Hold is an object that an attempt has taken.
type Hold struct {
	In *Objects
	Of calls.Object
}

// taking is an object that somebody is at work on; free is closed when it is let go, where somebody waits for that.
type taking struct{ free chan struct{} }

// NewObjects makes an empty set.
func NewObjects() *Objects {
	return &Objects{taken: map[calls.Object]*taking{}}
}

// try takes o if nobody has it.
func (t *Objects) try(o calls.Object) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.taken[o]; ok {
		return false
	}
	t.taken[o] = &taking{}
	return true
}

// Take waits for o until ctx ends or limit is over; 0: no limit. It reports whether it has it.
func (t *Objects) Take(ctx context.Context, clock lifecycle.Clock, o calls.Object, limit time.Duration) (bool, error) {
	var over <-chan time.Time
	for {
		t.mu.Lock()
		have := t.taken[o]
		if have == nil {
			t.taken[o] = &taking{}
			t.mu.Unlock()
			return true, nil
		}
		if have.free == nil {
			have.free = make(chan struct{})
		}
		free := have.free
		t.mu.Unlock()
		if over == nil && limit > 0 {
			timer := clock.NewTimer(limit)
			defer timer.Stop()
			over = timer.C()
		}
		select {
		case <-free:
		case <-over:
			return false, nil
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
	}
}

// Free lets an object go.
func (t *Objects) Free(o calls.Object) {
	t.mu.Lock()
	defer t.mu.Unlock()
	have := t.taken[o]
	delete(t.taken, o)
	if have != nil && have.free != nil {
		close(have.free)
	}
}

// Free lets objects go.
func Free(holds []Hold) {
	for _, h := range holds {
		h.In.Free(h.Of)
	}
}
