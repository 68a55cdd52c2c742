package flow

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/failpoint"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

const (
	// drainEvery is how often an owner looks for stored queues that have become due by time or by another hub's doing; what
	// happens in this process wakes it at once.
	drainEvery = 500 * time.Millisecond
	drainLanes = 256
	drainRows  = 64
)

// drainLoop works the stored queues of one partition while it is owned.
func (r *Runner) drainLoop(p *partition) {
	ctx, cancel := r.workContext(context.Background(), p)
	defer cancel()
	for {
		if err := lifecycle.Wait(ctx, r.Clock, drainEvery, p.wake); err != nil {
			return
		}
		if p.idle() && r.flow.Order != config.Latest {
			continue
		}
		if err := r.drainDue(ctx, p); err != nil && ctx.Err() == nil {
			r.log.Error("draining the stored queue failed; trying again", "partition", p.number, "error", err)
			if errors.Is(err, state.ErrFenced) {
				return
			}
		}
	}
}

func (r *Runner) drainDue(ctx context.Context, p *partition) error {
	for {
		var lanes []string
		err := r.insist(ctx, "due queues", func() (err error) {
			if r.resting() {
				lanes, err = r.Store.GivenUp(ctx, r.flow.Name, p.topic, p.number, drainLanes)
			} else {
				lanes, err = r.Store.Due(ctx, r.flow.Name, p.topic, p.number, r.steady(), drainLanes)
			}
			return err
		})
		if err != nil {
			return err
		}
		progress, err := r.drainLanes(ctx, p, lanes)
		if err != nil {
			return err
		}
		if len(lanes) < drainLanes || !progress {
			return nil
		}
	}
}

// drainLanes works queues side by side where their keys are dealt to different lanes, as live messages are: what ten thousand messages
// waited for comes in one moment. moved: at least one message has left its queue.
func (r *Runner) drainLanes(ctx context.Context, p *partition, queues []string) (moved bool, err error) {
	dealt := make([][]string, len(p.lanes))
	for _, q := range queues {
		n := event.LaneOf(q, len(p.lanes))
		dealt[n] = append(dealt[n], q)
	}
	var wg sync.WaitGroup
	results := make([]error, len(dealt))
	var progress atomic.Bool
	for n, mine := range dealt {
		if len(mine) == 0 {
			continue
		}
		wg.Go(func() {
			for _, q := range mine {
				moved, err := r.drainLane(ctx, p, q)
				if moved {
					progress.Store(true)
				}
				if err != nil {
					results[n] = err
					return
				}
			}
		})
	}
	wg.Wait()
	return progress.Load(), errors.Join(results...)
}

// errResting is why a stored message is left as it was: its flow is paused, or its system down.
var errResting = errors.New("the flow rests")

// resting: the flow is paused or its system is down, so that nothing is tried. What a person has given up needs neither.
func (r *Runner) resting() bool {
	if r.gate.closed() {
		return true
	}
	if r.target == nil {
		return false
	}
	_, _, open := r.target.Breaker.Open()
	return open
}

// drainLane decides a lane's stored messages in order until one stays. It holds the lane: live messages of the key wait.
func (r *Runner) drainLane(ctx context.Context, p *partition, lane string) (moved bool, err error) {
	lock := &p.lanes[event.LaneOf(lane, len(p.lanes))]
	lock.Lock()
	defer lock.Unlock()
	for {
		var rows []state.Queued
		err := r.insist(ctx, "stored queue", func() (err error) {
			rows, err = r.Store.Drainable(ctx, r.flow.Name, lane, drainRows)
			return err
		})
		if err != nil {
			return moved, err
		}
		if len(rows) == 0 {
			p.clearHead(lane)
			return moved, nil
		}
		blocked, went := false, false
		for i := range rows {
			if rows[i].Mark != state.MarkDiscard && (blocked || r.resting()) {
				blocked = blocked || rows[i].Blocking
				continue
			}
			stays, did, err := r.drainRow(ctx, p, lane, &rows[i])
			if err != nil {
				return moved, err
			}
			went = went || did
			moved = moved || did
			blocked = blocked || stays && rows[i].Blocking
		}
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

// drainRow decides one stored message if it is due. stays: it keeps its place in the queue.
func (r *Runner) drainRow(ctx context.Context, p *partition, lane string, q *state.Queued) (stays, did bool, err error) {
	switch {
	case q.Mark == state.MarkDiscard:
		_, err := r.finishDrained(ctx, p, lane, q, r.discarded(q))
		return false, true, err
	case q.Mark == state.MarkReplay, q.Mark == state.MarkReady, q.Follower:
	case q.State == state.Held && (!q.NotBefore.After(r.steady()) || q.Since.After(r.steady())): // or else the clock was set back
	default:
		return true, false, nil
	}
	failpoint.Hit(failpoint.DrainBegun)
	ev := q.Event
	var scratch []byte
	f, err := r.decide(ctx, &ev, &attempt{partition: p, lane: lane, queued: q, scratch: &scratch})
	if errors.Is(err, errResting) {
		return true, false, nil
	}
	if err != nil {
		return true, false, err
	}
	failpoint.Hit(failpoint.DrainDecided)
	q.Event = ev
	stays, err = r.finishDrained(ctx, p, lane, q, f)
	return stays, !stays, err
}

// discarded is the fate of a message that a person has given up: an intent that its unknown outcome left open is over.
func (r *Runner) discarded(q *state.Queued) fate {
	f := fate{outcome: state.Discarded, reason: state.Why(q.MarkedBy, q.MarkNote)}
	if r.target != nil && q.Event.Hub != "" {
		f.close = &state.Intent{Flow: r.flow.Name, Entity: q.Event.Entity, Hub: q.Event.Hub, System: r.target.Name, EventID: q.Event.ID}
	}
	return f
}

// finishDrained publishes what the fate sends and stores it. stays: the message keeps its place, also where its fate was to go to a
// topic and the broker has refused it.
func (r *Runner) finishDrained(ctx context.Context, p *partition, lane string, q *state.Queued, f fate) (stays bool, err error) {
	ev := q.Event
	res := r.settle(p, lane, 0, &ev, f)
	res.Drained, res.queued = q.ID, q
	if res.Journal == nil {
		res.Journal = r.journal(&ev, &f, r.Clock.Now(), res.took) // how a failure ended belongs to it
	}
	res.keepPlace(f.retried)
	w := &pending{runner: r, part: p, dirty: map[string]struct{}{}}
	w.add(res)
	last := &w.results[0]
	if err := w.flush(ctx); err != nil {
		return true, err
	}
	failpoint.Hit(failpoint.Drained)
	return last.Queue != nil, nil
}

// keepPlace lets a stored message that is not done with keep its place, its age and what a person has done to it. What is held now and
// was parked, waiting or behind another message before is held since now: the time before does not count against its retry.
func (res *result) keepPlace(retried int) {
	n, q := res.Queue, res.queued
	if n == nil || q == nil {
		return
	}
	if n.State != state.Held || q.State == state.Held && !q.Follower && q.Attempts > 0 {
		n.Since = earlier(q.Since, n.Since)
	}
	n.ID, n.Attempts = q.ID, q.Attempts+1+retried
	n.Original, n.EditedBy, n.EditNote, n.Blocking = q.Original, q.EditedBy, q.EditNote, q.Blocking || n.Blocking
}
