package flow

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/failpoint"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/flow/calls"
	"github.com/waybill-hub/waybill/internal/flow/decide"
	"github.com/waybill-hub/waybill/internal/flow/deliver"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/publish"
	"github.com/waybill-hub/waybill/internal/state"
)

// work decides every record of a lane batch. The caller holds the lane.
func (r *Runner) work(ctx context.Context, p *partition, b *event.Batch) error {
	w := newPending(r, p)
	defer w.letGo()
	settle, known := w.settle, w.known
	if err := r.meet(ctx, p, b); err != nil {
		return err
	}
	for i := range b.Records {
		rec := &b.Records[i]
		if p.isFinished(rec.Offset) {
			continue
		}
		if r.gate.closed() {
			// Nobody is to wait for what has been decided.
			if err := w.flush(ctx); err != nil {
				return err
			}
		}
		if err := r.gate.wait(ctx); err != nil {
			return err
		}
		ev := p.event(rec)
		r.look(&ev)
		if r.flow.From.System == "" {
			ev.Refused = nil // only what the intake refuses is a refusal
		}
		a := r.attempt(p, p.laneName(rec), &ev, &w.scratch)
		a.Settle, a.Unstored = settle, known
		w.base, w.lane = nil, ""
		if r.rekeyed && ev.Hub == "" {
			if err := r.rekey(ctx, w, a); err != nil {
				return w.handBack(ctx, a, err)
			}
		}
		if ev.Refused == nil && !ev.ForOther(r.flow.Name) {
			if w.lane = a.Lane; w.queueBehind(a, rec.Offset) {
				continue
			}
		}
		// A record whose key has unstored effects in this batch must see them.
		if w.mustStore(a.Lane, &ev) {
			if err := w.flush(ctx); err != nil {
				return w.handBack(ctx, a, err)
			}
			if w.lane != "" && w.queueBehind(a, rec.Offset) { // the broker has refused one before it
				continue
			}
		}
		v, err := r.traced(ctx, a, r.decide)
		if errors.Is(err, errBehind) {
			ev = p.event(rec) // as it came
			ev.Refused = nil
			w.queueBehind(a, rec.Offset)
			continue
		}
		if err != nil {
			return w.handBack(ctx, a, err)
		}
		w.add(r.settle(p, a, rec.Offset, v))
		if v.Called || len(w.scratch) > mostDecided {
			if err := w.flush(ctx); err != nil {
				return err
			}
		}
		if len(w.scratch) > mostDecided {
			w.scratch = nil // somebody may still be reading it; what comes begins anew
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

// rekey gives the attempt the lane of the key that the flow computes, and takes it: records of that key come in any lane, of any
// partition. A record whose key cannot be computed keeps its own lane; deciding it says why.
func (r *Runner) rekey(ctx context.Context, w *pending, a *deliver.Attempt) error {
	if key := a.ComputedKey(ctx); key != "" {
		a.Lane = key
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	h := deliver.Hold{In: r.keys, Of: calls.Object{Hub: a.Lane}}
	if w.pass(h, a) {
		return nil
	}
	_, err := a.Take(ctx, r.Clock, h, 0)
	return err
}

// attempt is a try of a message of a partition's lane.
func (r *Runner) attempt(p *partition, lane string, ev *event.Event, scratch *[]byte) *deliver.Attempt {
	return &deliver.Attempt{Message: decide.Message{Flow: r.flow, Event: ev, Lookup: r.store, Scratch: scratch}, Lane: lane, Part: p.Ownership}
}

// result is a state.Result with what is needed until it is stored.
type result struct {
	state.Result
	lane string
	ev   *event.Event
	row  *state.Queued // the stored row, where the message was drained
	send *event.Record // to be published before the result is stored
	took time.Duration
	// taken are the objects to let go when the result is stored; left is an intent that stays open.
	taken    []deliver.Hold
	stayOpen []state.Intent
}

// pending are the decided records of a batch that are not yet published and stored.
type pending struct {
	runner  *Runner
	part    *partition
	results []result
	// dirty are the lanes with effects that are not stored; true where objects holds all of them.
	dirty   map[string]bool
	objects map[object]unstored
	base    *state.Ref // what the store held of the object of the message at hand
	lane    string     // of the message at hand, where it queues behind others of its key
	scratch []byte     // mapped documents, until they are published
	doubt   bool       // a record was not taken at once: somebody may still be reading it
	begun   bool       // something was sent
	life    int64      // of the topic's log, as it was known before anything was sent
}

// scratches are buffers for mapped documents. mostScratch bounds what is kept of one.
var scratches = sync.Pool{New: func() any { return new([]byte) }}

const mostScratch = 1 << 20

// mostDecided is from how many bytes of mapped documents on a batch is stored before its next record is decided: a batch of short records
// may become long ones.
const mostDecided = 4 << 20

func newPending(r *Runner, p *partition) *pending {
	return &pending{runner: r, part: p, dirty: map[string]bool{}, objects: map[object]unstored{}, scratch: (*scratches.Get().(*[]byte))[:0]}
}

// handBack stores what came before a record about which nothing is decided.
func (w *pending) handBack(ctx context.Context, a *deliver.Attempt, err error) error {
	ferr := w.flush(ctx)
	deliver.Free(a.Taken)
	a.Dispose()
	if ferr != nil && !errors.Is(ferr, context.Canceled) {
		return ferr
	}
	return err
}

// pass hands an object that a result of the batch holds on to an attempt, and reports whether there was one: the later of the two is stored
// with the first, or after it.
func (w *pending) pass(h deliver.Hold, a *deliver.Attempt) bool {
	for i := range w.results {
		res := &w.results[i]
		if at := slices.Index(res.taken, h); at >= 0 {
			res.taken = slices.Delete(res.taken, at, at+1)
			a.Taken = append(a.Taken, h)
			return true
		}
	}
	return false
}

// letGo lets the objects of all results go.
func (w *pending) letGo() {
	for i := range w.results {
		if len(w.results[i].taken) > 0 {
			deliver.Free(w.results[i].taken)
			w.results[i].taken = nil
		}
	}
}

// errBehind: while a message was looked at, one before it of its key has come to rest.
var errBehind = errors.New("it is behind another one of its key")

// settle is flush while a message is looked at. What was before it may have been refused: then it goes no further.
func (w *pending) settle(ctx context.Context) error {
	if err := w.flush(ctx); err != nil || w.lane == "" {
		return err
	}
	if _, queued := w.part.head(w.lane); queued {
		return errBehind
	}
	return nil
}

// queueBehind has a message wait behind others of its key, and reports whether there are any.
func (w *pending) queueBehind(a *deliver.Attempt, offset int64) bool {
	head, queued := w.part.head(a.Lane)
	if !queued {
		return false
	}
	a.Dispose()
	w.add(result{Result: state.Result{Offset: offset, Outcome: head, Queue: w.runner.follower(w.part, a.Lane, head, a.Event)}, lane: a.Lane, ev: a.Event, taken: a.Taken})
	return true
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
	w.keep(&w.results[len(w.results)-1])
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
	w.letGo()
	w.results = w.results[:0]
	clear(w.dirty)
	clear(w.objects)
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
	if len(open) == 0 {
		return nil
	}
	w.begun = false
	all := publish.Batch{
		Len:    len(open),
		Ready:  func() error { return w.ready(ctx) },
		Record: func(i int) event.Record { return *w.results[open[i]].send },
		Settle: func(i int, s event.Sent) publish.Fate { return w.sent(open[i], s) },
		Retry: func(try func() error) error {
			return lifecycle.Retry(ctx, w.runner.Clock, lifecycle.Backoff{Min: 50 * time.Millisecond, Max: 5 * time.Second}, try, func(err error, wait time.Duration) error {
				w.runner.failures.Warn("the broker does not take records; trying again", err, "in", wait)
				return nil
			})
		},
	}
	if err := all.Send(ctx, w.runner.Publisher); err != nil {
		return err
	}
	failpoint.Hit(failpoint.FlowPublished)
	return nil
}

// ready waits while the topic may not be the one that it was: what is decided waits until a person has looked.
func (w *pending) ready(ctx context.Context) error {
	if w.runner.Alarmed() != nil {
		if err := w.runner.gate.wait(ctx); err != nil {
			return err
		}
	}
	if !w.begun && w.runner.read && w.runner.Life != nil {
		w.life = w.runner.Life(w.runner.flow.To.Topic)
	}
	return nil
}

// sent takes what came of a record.
func (w *pending) sent(i int, s event.Sent) publish.Fate {
	res := &w.results[i]
	switch {
	case s.Err == nil:
		if w.begun = true; w.runner.read {
			rec := *res.send
			rec.Partition, rec.Offset = s.Partition, s.Offset
			res.Sent = &rec
		}
		return publish.Settled
	case fault.KindOf(s.Err) == fault.Invalid:
		w.refuse(i, s.Err)
		return publish.Refused
	}
	w.doubt = true
	if head, queued := w.part.head(res.lane); queued && res.Drained == 0 {
		// The bus writes nothing of a partition behind a record that fails: it has not overtaken the refused one of its key.
		*res = w.follower(res, head)
		return publish.Settled
	}
	return publish.Failed
}

// refuse turns a delivered record that the broker will not take into a parked one.
func (w *pending) refuse(i int, err error) {
	res, r := &w.results[i], w.runner
	v := decide.Park("broker", "refused", err.Error())
	a := r.attempt(w.part, res.lane, res.ev, nil)
	a.Queued, a.Taken = res.row, res.taken
	if res.row != nil {
		*res = r.settleDrained(w.part, a, v)
		return
	}
	*res = r.settle(w.part, a, res.Offset, v)
	w.behindRefused(i)
}
