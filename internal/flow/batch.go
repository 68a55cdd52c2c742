package flow

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/failpoint"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

// work decides every record of a lane batch. The caller holds the lane.
func (r *Runner) work(ctx context.Context, p *partition, b *event.Batch) error {
	w := newPending(r, p)
	for i := range b.Records {
		rec := &b.Records[i]
		if p.isFinished(rec.Offset) {
			continue
		}
		if err := r.gate.wait(ctx); err != nil {
			return err
		}
		ev := p.event(rec)
		r.look(&ev)
		lane := p.laneName(rec)
		if head, ok := p.head(lane); ok {
			w.add(result{Result: state.Result{Offset: rec.Offset, Outcome: head, Queue: r.follower(p, lane, head, &ev)}, lane: lane, ev: &ev})
			continue
		}
		// A record whose key has unstored effects in this batch must see them first.
		if _, ok := w.dirty[lane]; ok {
			if err := w.flush(ctx); err != nil {
				return err
			}
		}
		f, err := r.decide(ctx, &ev, &attempt{partition: p, lane: lane, scratch: &w.scratch})
		if err != nil {
			// Nothing about this record is decided; what came before it is.
			if ferr := w.flush(ctx); ferr != nil && !errors.Is(ferr, context.Canceled) {
				return ferr
			}
			return err
		}
		w.add(r.settle(p, lane, rec.Offset, &ev, f))
		if f.called {
			if err := w.flush(ctx); err != nil {
				return err
			}
		}
	}
	if err := w.flush(ctx); err != nil {
		return err
	}
	p.forget(b.Records[0].Offset, b.Records[len(b.Records)-1].Offset)
	w.release()
	return nil
}

// look tells, once, of a record that no flow has put on the topic: no flow's record has passed none.
func (r *Runner) look(ev *event.Event) {
	if ev.Hops == 0 && r.flow.From.Topic != "" && r.Foreign != nil {
		r.strange.Do(func() { r.Foreign(r.flow.From.Topic) })
	}
}

// result is a state.Result with what is needed until it is stored.
type result struct {
	state.Result
	lane string
	ev   *event.Event
	send *event.Record // to be published before the result is stored
	took time.Duration
	// queued is the stored message that it is of; nil for a record.
	queued *state.Queued
}

// pending are the decided records of a batch that are not yet published and stored.
type pending struct {
	runner  *Runner
	part    *partition
	results []result
	dirty   map[string]struct{}
	scratch []byte // mapped documents, until they are published
	doubt   bool   // a record was not taken at once: somebody may still be reading it
	life    int64  // of the topic's log, as it was known before anything was sent
}

// scratches are buffers for mapped documents. mostScratch bounds what is kept of one.
var scratches = sync.Pool{New: func() any { return new([]byte) }}

const mostScratch = 1 << 20

func newPending(r *Runner, p *partition) *pending {
	return &pending{runner: r, part: p, dirty: map[string]struct{}{}, scratch: (*scratches.Get().(*[]byte))[:0]}
}

// release lets the next batch have the buffer. It is called when everything is published and stored; where that was in
// doubt for a moment, or a connector was given documents that a broken request may still be reading, the buffer is left to
// the collector.
func (w *pending) release() {
	if w.doubt || w.runner.target != nil || cap(w.scratch) > mostScratch {
		return
	}
	b := w.scratch
	scratches.Put(&b)
}

func (w *pending) add(res result) {
	w.results = append(w.results, res)
	if res.Ref != nil || res.Source != nil || res.Applied != nil || res.Close != nil {
		w.dirty[res.lane] = struct{}{}
	}
}

// flush publishes what is to be published, in order, and then stores every result in one commit.
func (w *pending) flush(ctx context.Context) error {
	if len(w.results) == 0 {
		return nil
	}
	if err := w.publish(ctx); err != nil {
		return err
	}
	if err := w.runner.commit(ctx, w.part, w.results, w.life); err != nil {
		return err
	}
	w.results = w.results[:0]
	clear(w.dirty)
	return nil
}

// publish sends until every record is on its topic. The broker is the hub's own: while it does not answer there is nothing
// else to do. A record that the broker will never take is parked.
func (w *pending) publish(ctx context.Context) error {
	var open []int
	for i := range w.results {
		if w.results[i].send != nil {
			open = append(open, i)
		}
	}
	wait := 50 * time.Millisecond
	for sent := false; len(open) > 0; {
		if w.runner.Alarmed() != nil {
			// The topic may not be the one that it was: what is decided waits until a person has looked.
			if err := w.runner.gate.wait(ctx); err != nil {
				return err
			}
		}
		if !sent && w.runner.read && w.runner.Life != nil {
			w.life = w.runner.Life(w.runner.flow.To.Topic)
		}
		records := make([]event.Record, len(open))
		for j, i := range open {
			records[j] = *w.results[i].send
		}
		var failed []int
		var cause error
		for j, err := range w.runner.Publisher.Send(ctx, records) {
			switch i := open[j]; {
			case err == nil:
				if sent = true; w.runner.read {
					rec := records[j]
					w.results[i].Sent = &rec
				}
			case fault.KindOf(err) == fault.Invalid:
				w.refuse(i, err)
			default:
				failed, cause, w.doubt = append(failed, i), err, true
			}
		}
		open = w.behindRefused(failed)
		if len(open) == 0 {
			failpoint.Hit(failpoint.FlowPublished)
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		w.runner.log.Warn("the broker does not take records; trying again", "records", len(open), "error", cause, "in", wait)
		if err := lifecycle.Sleep(ctx, w.runner.Clock, wait); err != nil {
			return err
		}
		wait = min(2*wait, 5*time.Second)
	}
	return nil
}

// refuse turns a delivered record that the broker will not take into a parked one.
func (w *pending) refuse(i int, err error) {
	res := &w.results[i]
	drained, queued := res.Drained, res.queued
	*res = w.runner.settle(w.part, res.lane, res.Offset, res.ev, parked("broker", "refused", err.Error()))
	res.Drained, res.queued = drained, queued
	res.keepPlace(0)
}

// behindRefused leaves out of the records that are to be sent again those whose key waits behind a refused one: the bus
// writes nothing of a partition behind a record that fails, so none of them has overtaken it.
func (w *pending) behindRefused(open []int) []int {
	rest := open[:0]
	for _, i := range open {
		res := &w.results[i]
		head, queued := w.part.head(res.lane)
		if !queued || res.Drained != 0 {
			rest = append(rest, i)
			continue
		}
		*res = result{Result: state.Result{Offset: res.Offset, Outcome: head, Queue: w.runner.follower(w.part, res.lane, head, res.ev)}, lane: res.lane, ev: res.ev}
	}
	return rest
}

// commit stores results and does what follows from their being stored.
func (r *Runner) commit(ctx context.Context, p *partition, results []result, life int64) error {
	c := &state.Commit{Flow: r.flow.Name, Topic: p.topic, Partition: p.number, Epoch: p.epoch, Life: life, Results: make([]state.Result, len(results))}
	refs := false
	for i := range results {
		c.Results[i] = results[i].Result
		refs = refs || results[i].Ref != nil
	}
	// A commit is not abandoned at once when the hub is asked to stop: the calls it records have been made.
	cctx, cancel := lingering(ctx, r.Clock, commitGrace)
	defer cancel()
	var asked time.Time
	err := r.insist(cctx, "commit", func() error {
		asked = r.Clock.Now()
		return r.Store.Commit(cctx, c)
	})
	if err != nil {
		return err
	}
	p.confirm(asked)
	failpoint.Hit(failpoint.FlowCommitted)
	p.remember(c.Results)
	for i := range results {
		if results[i].Queue != nil {
			failpoint.Hit(failpoint.FlowQueued)
		}
		r.Observer.Outcome(r.flow.Name, results[i].Outcome, results[i].Reason, results[i].took)
		for range results[i].Retried {
			r.Observer.Retried(r.flow.Name)
		}
	}
	if refs && r.Changed != nil {
		failpoint.Hit(failpoint.RefsCommitted)
		r.Changed()
	}
	return nil
}

// commitGrace is how long a commit may still take once the hub is stopping.
const commitGrace = 10 * time.Second

// lingering is a context that ends d after parent does.
func lingering(parent context.Context, clock lifecycle.Clock, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(parent))
	stop := context.AfterFunc(parent, func() {
		// Ends with d or, when the work is done first, with ctx itself.
		_ = lifecycle.Sleep(ctx, clock, d)
		cancel(context.Cause(parent))
	})
	return ctx, func() { stop(); cancel(context.Canceled) }
}

// follower is the queue row of a message behind others of its key.
func (r *Runner) follower(p *partition, lane string, head state.Outcome, ev *event.Event) *state.Queued {
	return &state.Queued{Flow: r.flow.Name, Topic: p.topic, Partition: p.number, Lane: lane, State: head, Follower: true, Blocking: true,
		Event: *ev, Since: r.Clock.Now()}
}

// settle turns a fate into what the store is to be told.
func (r *Runner) settle(p *partition, lane string, offset int64, ev *event.Event, f fate) result {
	res := result{lane: lane, ev: ev, send: f.send, Result: state.Result{Offset: offset, Outcome: f.outcome, Reason: f.reason,
		Ref: f.ref, Source: f.source, Applied: f.applied, Close: f.close, Retried: f.retried}}
	now := r.Clock.Now()
	if !ev.Accepted.IsZero() {
		res.took = now.Sub(ev.Accepted)
	}
	switch f.outcome {
	case state.Parked, state.Waiting, state.Held:
		q := &state.Queued{Flow: r.flow.Name, Topic: p.topic, Partition: p.number, Lane: lane, State: f.outcome, Kind: f.kind,
			Reason: f.reason, Code: f.code, Missing: f.missing, Event: *ev, Attempts: 1 + f.retried, Since: r.steady(), NotBefore: f.notBefore,
			Blocking: f.outcome != state.Parked || r.flow.Order != config.Latest}
		if q.Blocking {
			p.setHead(lane, f.outcome)
		}
		res.Queue = q
		res.Reason = "" // the sentence stands in the queue; reasons of totals are a closed set
	}
	if r.journalled(&f) {
		res.Journal = r.journal(ev, &f, now, res.took)
	}
	return res
}

// journalled says whether a fate is journalled: deliveries to systems and failures always, the rest under journal: all.
func (r *Runner) journalled(f *fate) bool {
	failed := f.outcome == state.Parked || f.outcome == state.Waiting || f.outcome == state.Held
	return failed || r.flow.JournalAll || r.target != nil
}

// journal is the record of a fate.
func (r *Runner) journal(ev *event.Event, f *fate, now time.Time, took time.Duration) *state.Journal {
	j := &state.Journal{Time: now, Flow: r.flow.Name, EventID: ev.ID, Entity: r.flow.Entity, Key: ev.Key, Hub: ev.Hub, Outcome: f.outcome,
		Reason: f.reason, Version: ev.Version, Attempts: 1 + f.retried, Took: took}
	if r.target != nil {
		j.System = r.target.Name
	}
	if f.ref != nil {
		j.Local = f.ref.Local
	}
	j.External = f.external
	return j
}
