package flow

import (
	"context"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/failpoint"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

// commit stores results and does what follows from their being stored.
func (r *Runner) commit(ctx context.Context, p *partition, results []result, life int64) error {
	c := &state.Commit{Flow: r.flow.Name, Topic: p.Topic, Partition: p.Number, Epoch: p.Epoch, Life: life, Results: make([]state.Result, len(results))}
	refs := false
	for i := range results {
		c.Results[i] = results[i].Result
		refs = refs || results[i].Ref != nil
	}
	// A commit is not abandoned at once when the hub is asked to stop: the calls it records have been made.
	cctx, cancel := lifecycle.Linger(ctx, r.Clock, commitGrace, nil)
	defer cancel()
	asked := r.Clock.Elapsed()
	if err := r.store.Commit(cctx, c); err != nil {
		return err
	}
	p.Confirm(asked)
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
			r.Observer.Parked(r.flow.Name, strings.Trim(q.Kind+" "+q.Code, " "), "the first is "+r.named(&q.Event))
		}
	}
	if refs {
		failpoint.Hit(failpoint.RefsCommitted)
	}
	return nil
}

// recordCalls keeps what is known of calls true to what is stored.
func (r *Runner) recordCalls(res *result) {
	r.openIntents.Add(res.stayOpen...)
	if len(res.Close) == 0 {
		return
	}
	for i := range res.Close {
		if s := r.Systems[res.Close[i].System]; s != nil {
			s.Ledger().Settle(&res.Close[i], r.Clock.Elapsed())
		}
	}
	if len(res.stayOpen) == 0 {
		r.openIntents.Forget(res.ev.ID)
	}
}

// commitGrace is how long a commit may still take once the hub is stopping.
const commitGrace = 10 * time.Second
