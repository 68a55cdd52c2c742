package flow

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/failpoint"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/flow/calls"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/privacy"
	"github.com/waybill-hub/waybill/internal/state"
)

// work decides every record of a lane batch. The caller holds the lane.
func (r *Runner) work(ctx context.Context, p *partition, b *event.Batch) error {
	w := newPending(r, p)
	defer w.letGo()
	settle := w.flush
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
		a := &attempt{partition: p, lane: p.laneName(rec), scratch: &w.scratch, settle: settle}
		if r.rekeyed && ev.Hub == "" {
			if err := r.rekey(ctx, w, &ev, a); err != nil {
				return w.handBack(ctx, a, err)
			}
		}
		if head, ok := p.head(a.lane); ok && ev.Refused == nil {
			a.dispose()
			w.add(result{Result: state.Result{Offset: rec.Offset, Outcome: head, Queue: r.follower(p, a.lane, head, &ev)}, lane: a.lane, ev: &ev, taken: a.taken})
			continue
		}
		// A record whose key has unstored effects in this batch must see them first.
		if _, ok := w.dirty[a.lane]; ok {
			if err := w.flush(ctx); err != nil {
				return w.handBack(ctx, a, err)
			}
		}
		f, err := r.fateOf(ctx, &ev, a)
		if err != nil {
			return w.handBack(ctx, a, err)
		}
		w.add(r.settle(p, a, rec.Offset, &ev, f))
		if f.called || len(w.scratch) > mostDecided {
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
func (r *Runner) rekey(ctx context.Context, w *pending, ev *event.Event, a *attempt) error {
	if key := r.computedKey(ctx, ev, a); key != "" {
		a.lane = key
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	h := hold{r.keys, calls.Object{Hub: a.lane}}
	if w.pass(h, a) {
		return nil
	}
	_, err := r.take(ctx, a, h, 0)
	return err
}

// take takes an object for an attempt, waiting until limit is over (0: no limit), and reports whether it has it. What the batch
// has decided before is stored before it waits: nobody waits for an object while others wait for what he has.
func (r *Runner) take(ctx context.Context, a *attempt, h hold, limit time.Duration) (bool, error) {
	ok := h.in.try(h.of)
	if !ok && a.settle != nil {
		if err := a.settle(ctx); err != nil {
			return false, err
		}
	}
	if !ok {
		var err error
		if ok, err = h.in.take(ctx, r.Clock, h.of, limit); err != nil {
			return false, err
		}
	}
	if ok {
		a.taken = append(a.taken, h)
	}
	return ok, nil
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
	taken []hold
	left  []state.Intent
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

// mostDecided is from how many bytes of mapped documents on a batch is stored before its next record is decided: a batch of short records
// may become long ones.
const mostDecided = 4 << 20

func newPending(r *Runner, p *partition) *pending {
	return &pending{runner: r, part: p, dirty: map[string]struct{}{}, scratch: (*scratches.Get().(*[]byte))[:0]}
}

// handBack stores what came before a record about which nothing is decided.
func (w *pending) handBack(ctx context.Context, a *attempt, err error) error {
	ferr := w.flush(ctx)
	free(a.taken)
	a.dispose()
	if ferr != nil && !errors.Is(ferr, context.Canceled) {
		return ferr
	}
	return err
}

// pass hands an object that a result of the batch holds on to an attempt, and reports whether there was one: the later of the two is stored
// with the first, or after it.
func (w *pending) pass(h hold, a *attempt) bool {
	for i := range w.results {
		res := &w.results[i]
		if at := slices.Index(res.taken, h); at >= 0 {
			res.taken = slices.Delete(res.taken, at, at+1)
			a.taken = append(a.taken, h)
			return true
		}
	}
	return false
}

// letGo lets the objects of all results go.
func (w *pending) letGo() {
	for i := range w.results {
		if len(w.results[i].taken) > 0 {
			free(w.results[i].taken)
			w.results[i].taken = nil
		}
	}
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
	if res.Ref != nil || res.Source != nil || res.Applied != nil || len(res.Close) > 0 || res.ev.Refused != nil {
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
	w.letGo()
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
		w.runner.complain("the broker does not take records; trying again", cause, "records", len(open), "in", wait)
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
	f := parked("broker", "refused", err.Error())
	if res.row != nil {
		*res = w.runner.settleDrained(w.part, &attempt{partition: w.part, lane: res.lane, queued: res.row, taken: res.taken}, res.ev, f)
		return
	}
	*res = w.runner.settle(w.part, &attempt{partition: w.part, lane: res.lane, taken: res.taken}, res.Offset, res.ev, f)
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
		*res = result{Result: state.Result{Offset: res.Offset, Outcome: head, Queue: w.runner.follower(w.part, res.lane, head, res.ev)}, lane: res.lane, ev: res.ev, taken: res.taken}
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
	var asked time.Duration
	err := r.insist(cctx, "commit", func() error {
		asked = r.Clock.Elapsed()
		return r.Store.Commit(cctx, c)
	})
	if err != nil {
		return err
	}
	p.confirm(asked)
	failpoint.Hit(failpoint.FlowCommitted)
	p.remember(c.Results)
	for i := range results {
		r.recordCalls(&results[i])
		if results[i].Queue != nil {
			failpoint.Hit(failpoint.FlowQueued)
		}
		if results[i].Resubmit != nil {
			failpoint.Hit(failpoint.Resubmitted)
			continue
		}
		r.Observer.Outcome(r.flow.Name, results[i].Outcome, results[i].Reason, results[i].took)
		for range results[i].Retried {
			r.Observer.Retried(r.flow.Name)
		}
		if q := results[i].Queue; q != nil && q.State == state.Parked && !q.Follower {
			r.Observer.Parked(r.flow.Name, strings.Trim(q.Kind+" "+q.Code, " "), "the first is "+q.Event.Key)
		}
	}
	if refs {
		failpoint.Hit(failpoint.RefsCommitted)
	}
	return nil
}

// recordCalls keeps what is known of calls true to what is stored.
func (r *Runner) recordCalls(res *result) {
	r.openIntents.Add(res.left...)
	if len(res.Close) == 0 {
		return
	}
	for i := range res.Close {
		if s := r.Systems[res.Close[i].System]; s != nil {
			s.ledger().Settle(&res.Close[i], r.Clock.Elapsed())
		}
	}
	if len(res.left) == 0 {
		r.openIntents.Forget(res.ev.ID)
	}
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
		Event: *ev, Since: r.steady()}
}

// settle turns a fate into what the store is to be told.
func (r *Runner) settle(p *partition, a *attempt, offset int64, ev *event.Event, f fate) result {
	lane := a.lane
	var hidden *privacy.Values
	if f.outcome != state.Delivered || f.trail.told != "" { // then there are words, or documents, to look into
		hidden = r.secrets(ev, f.trail.mapped)
		hide(&f, hidden)
	}
	res := result{lane: lane, ev: ev, send: f.send, taken: a.taken, left: f.left, Result: state.Result{Offset: offset, Outcome: f.outcome, Reason: f.reason,
		Ref: f.ref, Source: f.source, Applied: f.applied, Close: f.closes, Retried: f.retried, Resubmit: f.resubmit}}
	if f.claimed {
		res.Leave = f.left
	}
	now := r.Clock.Now()
	if !ev.Accepted.IsZero() {
		res.took = now.Sub(ev.Accepted)
	}
	switch f.outcome {
	case state.Parked, state.Waiting, state.Held:
		q := &state.Queued{Flow: r.flow.Name, Topic: p.topic, Partition: p.number, Lane: lane, State: f.outcome, Kind: f.kind,
			Reason: f.reason, Code: f.code, Missing: f.missing, Event: *ev, Attempts: 1 + f.retried, Tried: f.tried, Since: r.steady(), NotBefore: f.notBefore,
			Blocking: f.outcome != state.Parked || r.flow.Order != config.Latest && ev.Refused == nil}
		if q.Blocking {
			p.setHead(lane, f.outcome)
		}
		res.Queue = q
		res.Reason = "" // the sentence stands in the queue; reasons of totals are a closed set
	}
	if r.journalled(&f) || a.queued != nil && f.resubmit == nil { // how a failure ended belongs to it
		res.Journal = r.journal(ev, &f, now, res.took)
		if kept, failed := r.keeps(&f, a.queued != nil); kept {
			if hidden == nil {
				hidden = r.secrets(ev, f.trail.mapped)
			}
			res.Journal.Documents = r.documents(ev, &f, hidden, failed)
		}
	}
	return res
}

// journalled says whether a fate is journalled: deliveries to systems, failures and skips always, what goes from topic to topic under journal: all.
// A skip is all that comes of its delivery: without it, whoever traces the key sees it received and nothing more.
func (r *Runner) journalled(f *fate) bool {
	if f.resubmit != nil {
		return false // it has no fate; what the person did is kept with the acts
	}
	failed := f.outcome == state.Parked || f.outcome == state.Waiting || f.outcome == state.Held
	return failed || f.outcome == state.Skipped || r.flow.JournalAll || r.target != nil
}

// journal is the record of a fate.
func (r *Runner) journal(ev *event.Event, f *fate, now time.Time, took time.Duration) *state.Journal {
	j := &state.Journal{Time: now, Flow: r.flow.Name, EventID: ev.ID, Entity: r.flow.Entity, Key: ev.Key, Hub: ev.Hub, Outcome: f.outcome,
		Reason: f.reason, Version: ev.Version, Attempts: 1 + f.retried, Took: max(0, took)}
	if r.target != nil {
		j.System = r.target.Name
	}
	if f.ref != nil {
		j.Local = f.ref.Local
	}
	j.External = f.external
	if ev.Refused != nil {
		j.Attempts = ev.Refused.Reading + 1 // see Store.Refused
	}
	if f.outcome == state.Delivered {
		j.Reason = f.trail.told
	}
	j.Action, j.Field, j.Told = f.trail.action, f.trail.field, f.trail.told
	return j
}
