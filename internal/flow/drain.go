package flow

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/failpoint"
	"github.com/waybill-hub/waybill/internal/flow/calls"
	"github.com/waybill-hub/waybill/internal/flow/decide"
	"github.com/waybill-hub/waybill/internal/flow/deliver"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

const (
	// drainEvery is how often an owner looks for stored queues that have become due by time or by another hub's doing; what
	// happens in this process wakes it at once.
	drainEvery = 500 * time.Millisecond
	// marksEvery is how often a flow looks for messages that were marked on another hub and that block nothing. Partitions with nothing in their
	// stored queues look for nothing: a hub has hundreds of flows at rest.
	marksEvery = 5 * time.Second
	// marksElse is when another partition looks than the one that should: that one may be at work for long.
	marksElse  = 30 * time.Second
	drainLanes = 256
	drainRows  = 64
)

// drainLoop works the stored queues of one partition while it is owned.
func (r *Runner) drainLoop(p *partition) {
	ctx, cancel := r.workContext(context.Background(), p)
	defer cancel()
	for {
		woken, err := r.awaitWork(ctx, p)
		if err != nil {
			return
		}
		if r.marksDue(p) {
			err = r.lookForMarks(ctx)
		}
		if err == nil && (woken || !p.resting()) {
			// A mistake of a connector or an expression must not end the hub, again at every start: the row is still there.
			err = lifecycle.Guard(func() error { return r.drainDue(ctx, p) })
		}
		switch {
		case err == nil:
		case ctx.Err() != nil, errors.Is(err, deliver.ErrStopping), errors.Is(err, state.ErrFenced):
			return // whoever owns the partition next drains it
		default:
			r.failures.Warn("draining the stored queue failed; trying again", err, "partition", p.Number)
		}
	}
}

// awaitWork waits until something may be done about a partition's stored queues. woken: somebody has said so.
func (r *Runner) awaitWork(ctx context.Context, p *partition) (woken bool, err error) {
	every := drainEvery
	switch {
	case !p.resting():
	case r.looksForMarks(p):
		every = marksEvery
	default:
		every = marksElse
	}
	t := r.Clock.NewTimer(every)
	defer t.Stop()
	select {
	case <-p.wake:
		return true, nil
	case <-t.C():
		return false, nil
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

// looksForMarks: the owner of this partition looks for all that the flow owns here.
func (r *Runner) looksForMarks(p *partition) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for at, other := range r.parts {
		if at.partition < p.Number && other != p {
			return false
		}
	}
	return true
}

// marksDue: this partition is to look for marks now.
func (r *Runner) marksDue(p *partition) bool {
	after := marksEvery
	if !r.looksForMarks(p) {
		after = marksElse - marksEvery
	}
	now, looked := r.Clock.Elapsed(), r.looked.Load()
	return now-time.Duration(looked) >= after && r.looked.CompareAndSwap(looked, int64(now))
}

// lookForMarks wakes the partitions in whose stored queues somebody has marked a message.
func (r *Runner) lookForMarks(ctx context.Context) error {
	marked, err := r.store.marked(ctx)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range marked {
		if p := r.parts[partKey{r.flow.Topic(), n}]; p != nil {
			p.kick()
		}
	}
	return nil
}

func (r *Runner) drainDue(ctx context.Context, p *partition) error {
	if err := r.comeBack(ctx, p); err != nil {
		return err
	}
	for {
		lanes, err := r.store.due(ctx, p, r.line.Resting(), drainLanes)
		if err != nil {
			return err
		}
		progress, err := r.drainLanes(ctx, p, lanes)
		if err != nil {
			return err
		}
		if p.more = len(lanes) == drainLanes && !progress; len(lanes) < drainLanes || !progress {
			return nil
		}
	}
}

// comeBack lets what rests go on at once when the target has come back. What rests for another reason is looked at, and rests on.
func (r *Runner) comeBack(ctx context.Context, p *partition) error {
	if r.target == nil {
		return nil
	}
	n := r.target.Breaker.Backs()
	if n == p.backs {
		return nil
	}
	err := r.store.pullForward(ctx, p)
	if err == nil {
		p.backs = n
	}
	return err
}

// drainLanes works queues side by side where their keys are dealt to different lanes, as live messages are: what ten thousand messages
// waited for comes in one moment. moved: at least one message has left its queue.
func (r *Runner) drainLanes(ctx context.Context, p *partition, queues []string) (moved bool, err error) {
	dealt := make([][]string, len(p.lanes))
	for _, q := range queues {
		n := event.LaneOf(q, len(p.lanes))
		dealt[n] = append(dealt[n], q)
	}
	dealt = slices.DeleteFunc(dealt, func(mine []string) bool { return len(mine) == 0 })
	var progress atomic.Bool
	err = lifecycle.SideBySide(dealt, func(mine []string) error {
		for _, q := range mine {
			went, err := r.drainLane(ctx, p, q)
			if went {
				progress.Store(true)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return progress.Load(), err
}

// enterLane takes a lane for its drain: live messages of the key wait until leave is called.
func (r *Runner) enterLane(ctx context.Context, p *partition, lane string) (leave func(), err error) {
	lock := &p.lanes[event.LaneOf(lane, len(p.lanes))]
	lock.Lock()
	if !r.rekeyed {
		return lock.Unlock, nil
	}
	o := calls.Object{Hub: lane}
	if _, err := r.keys.Take(ctx, r.Clock, o, 0); err != nil {
		lock.Unlock()
		return nil, err
	}
	return func() { r.keys.Free(o); lock.Unlock() }, nil
}

// drainLane decides a lane's stored messages in order until one stays. It holds the lane: live messages of the key wait.
func (r *Runner) drainLane(ctx context.Context, p *partition, lane string) (moved bool, err error) {
	leave, err := r.enterLane(ctx, p, lane)
	if err != nil {
		return false, err
	}
	defer leave()
	for {
		rows, err := r.store.drainable(ctx, p, lane, drainRows)
		if err != nil {
			return moved, err
		}
		blocked, went := false, false
		for i := range rows {
			q := &rows[i]
			// A refused message is in no key's order, also where its id is a key.
			if q.Mark != state.MarkDiscard && (blocked && q.Event.Refused == nil || r.line.Resting()) {
				blocked = blocked || q.Blocking
				continue
			}
			if i > 0 {
				// A person may have edited it or given it up while those before it were worked.
				if q, err = r.again(ctx, q.ID); err != nil {
					return moved, err
				}
				if q == nil {
					continue
				}
			}
			res, err := r.drainRow(ctx, p, lane, q)
			if err != nil {
				return moved, err
			}
			stays, blocks := res == nil, q.Blocking
			if res != nil && res.Queue != nil {
				stays, blocks = true, res.Queue.Blocking
			}
			went = went || !stays
			blocked = blocked || stays && blocks
		}
		moved = moved || went
		switch {
		case blocked:
			return moved, nil
		case len(rows) < drainRows:
			p.clearHead(lane)
			return moved, nil
		case !went:
			return moved, nil
		}
	}
}

// again reads a row once more; nil when it is gone.
func (r *Runner) again(ctx context.Context, id int64) (*state.Queued, error) {
	q, err := r.store.queued(ctx, id)
	if errors.Is(err, state.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &q, nil
}

// drainRow decides one stored message if it is due. nil: nothing was decided about it.
func (r *Runner) drainRow(ctx context.Context, p *partition, lane string, q *state.Queued) (*result, error) {
	decided := r.take
	switch {
	case q.Mark == state.MarkDiscard:
		if p.asleep(q.ID, r.Clock.Elapsed()) {
			return nil, nil
		}
		decided = r.discard
	case q.Event.Refused != nil:
		if q.Mark != state.MarkReplay {
			return nil, nil
		}
		decided = r.readAnew
	case q.Mark == state.MarkReplay, q.Mark == state.MarkReady, q.Follower:
	case q.State == state.Held && !q.NotBefore.After(r.steady()):
	default:
		return nil, nil
	}
	failpoint.Hit(failpoint.DrainBegun)
	ev := q.Event
	var scratch []byte
	a := r.attempt(p, lane, &ev, &scratch)
	a.Queued = q
	handed := false
	defer func() {
		if !handed {
			deliver.Free(a.Taken)
		}
	}()
	v, err := r.traced(ctx, a, decided)
	if errors.Is(err, deliver.ErrResting) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	failpoint.Hit(failpoint.DrainDecided)
	if q.Mark == state.MarkDiscard && v.Outcome == state.Held {
		// Whether its call was applied cannot be told yet: it keeps its place, and the wish.
		p.letSleep(q.ID, r.Clock.Elapsed()+v.NotBefore.Sub(r.steady()))
		return nil, nil
	}
	handed = true
	return r.finishDrained(ctx, p, a, v)
}

// discard is the fate of a message that a person has given up. A call that its unknown outcome left open is over, and what it has made
// is remembered.
func (r *Runner) discard(ctx context.Context, a *deliver.Attempt) (*decide.Verdict, error) {
	v := &decide.Verdict{Outcome: state.Discarded, Reason: state.Why(a.Queued.MarkedBy, a.Queued.MarkNote)}
	if r.target == nil || a.Event.Refused != nil {
		return v, nil
	}
	r.line.Over(a.Lane)
	return r.line.Unsettled(ctx, a, v)
}

// finishDrained publishes what the fate sends and stores it. What comes of it may be another fate: the broker may refuse the record.
func (r *Runner) finishDrained(ctx context.Context, p *partition, a *deliver.Attempt, v *decide.Verdict) (*result, error) {
	w := &pending{runner: r, part: p, dirty: map[string]bool{}, objects: map[object]unstored{}}
	defer w.letGo()
	w.add(r.settleDrained(p, a, v))
	kept := &w.results[0]
	if err := w.flush(ctx); err != nil {
		return nil, err
	}
	failpoint.Hit(failpoint.Drained)
	return kept, nil
}

// settleDrained is settle for a stored message.
func (r *Runner) settleDrained(p *partition, a *deliver.Attempt, v *decide.Verdict) result {
	q := a.Queued
	res := r.settle(p, a, 0, v)
	res.Drained, res.row = q.ID, q
	n := res.Queue
	if n == nil {
		return res
	}
	// It keeps its place, its age and what a person has done to it. What is held now and was parked, waiting or behind another message
	// before is held since now.
	if n.State != state.Held || q.State == state.Held && !q.Follower && q.Attempts > 0 {
		n.Since = earlier(q.Since, n.Since)
	}
	n.ID, n.Rev, n.Attempts = q.ID, q.Rev, q.Attempts+1+v.Retried
	n.Original, n.EditedBy, n.EditNote = q.Original, q.EditedBy, q.EditNote
	return res
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
