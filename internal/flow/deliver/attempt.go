package deliver

import (
	"context"
	"strings"
	"sync/atomic"
	"time"

	"github.com/waybill-hub/waybill/internal/flow/decide"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

// OwnershipTTL is how long a partition is taken to be this hub's after the store has confirmed it: less than the shortest session, after
// which a silent hub is replaced.
const OwnershipTTL = 2 * time.Second

// Ownership is a partition that this hub owns.
type Ownership struct {
	Topic  string
	Number int
	Epoch  int64
	Taken  time.Duration // when, by the clock's Elapsed, this hub took the partition over
	sure   atomic.Int64  // see Confirm
}

// confirmed is when, by the clock's Elapsed, the store was asked something last that only the owner is granted.
func (o *Ownership) confirmed() time.Duration { return time.Duration(o.sure.Load()) }

// Confirm notes that the store, asked at that time, has granted something to this owner.
func (o *Ownership) Confirm(asked time.Duration) {
	for {
		old := o.sure.Load()
		if int64(asked) <= old || o.sure.CompareAndSwap(old, int64(asked)) {
			return
		}
	}
}

// Attempt is one try of a message: the place in which it is decided, and what it has taken until its fate is stored.
type Attempt struct {
	decide.Message
	Lane string // the name of its queue
	// Queued is the stored row when the message is drained; nil for a live record.
	Queued *state.Queued
	Part   *Ownership
	// Taken are the objects that are held until the fate is stored.
	Taken []Hold
	// Settle stores what the batch has decided before; nil where there is nothing.
	Settle func(context.Context) error
	// Unstored puts what the batch has decided of the event's object, and not stored yet, in the place of what the store says of it; false: it is to be
	// settled first, and the store asked again. nil where there is nothing.
	Unstored func(*Attempt, *state.Target) bool
}

// Take takes an object for the attempt, waiting until limit is over (0: no limit), and reports whether it has it. What the batch
// has decided before is stored before it waits: nobody waits for an object while others wait for what he has.
func (a *Attempt) Take(ctx context.Context, clock lifecycle.Clock, h Hold, limit time.Duration) (bool, error) {
	ok := h.In.try(h.Of)
	if !ok && a.Settle != nil {
		if err := a.Settle(ctx); err != nil {
			return false, err
		}
	}
	if !ok {
		var err error
		if ok, err = h.In.Take(ctx, clock, h.Of, limit); err != nil {
			return false, err
		}
	}
	if ok {
		a.Taken = append(a.Taken, h)
	}
	return ok, nil
}

// row is the stored row, 0 where it has none.
func (a *Attempt) row() int64 {
	if a.Queued == nil {
		return 0
	}
	return a.Queued.ID
}

// vouched: a person has looked whether it was done, and replays it.
func (a *Attempt) vouched() bool {
	q := a.Queued
	return q != nil && q.Mark == state.MarkReplay && strings.HasSuffix(q.Code, CodeRestored)
}

// triedBefore is how long the message was tried before it came to rest in the stored queue. A replay by a person begins anew.
func (a *Attempt) triedBefore() time.Duration {
	if q := a.Queued; q != nil && q.State == state.Held && !q.Follower && q.Mark != state.MarkReplay {
		return q.Tried
	}
	return 0
}
