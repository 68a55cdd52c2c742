package flow

import (
	"time"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/flow/decide"
	"github.com/waybill-hub/waybill/internal/flow/deliver"
	"github.com/waybill-hub/waybill/internal/guards"
	"github.com/waybill-hub/waybill/internal/privacy"
	"github.com/waybill-hub/waybill/internal/state"
)

// follower is the queue row of a message behind others of its key.
func (r *Runner) follower(p *partition, lane string, head state.Outcome, ev *event.Event) *state.Queued {
	return &state.Queued{Flow: r.flow.Name, Topic: p.Topic, Partition: p.Number, Lane: lane, State: head, Follower: true, Blocking: true,
		Event: *ev, Since: r.steady()}
}

// settle turns a fate into what the store is to be told.
func (r *Runner) settle(p *partition, a *deliver.Attempt, offset int64, v *decide.Verdict) result {
	lane, ev := a.Lane, a.Event
	var hidden *privacy.Values
	if v.Outcome != state.Delivered || v.Trail.Told != "" { // then there are words, or documents, to look into
		hidden = r.secrets(ev, v.Trail.Mapped)
		hide(v, hidden)
	}
	res := result{lane: lane, ev: ev, send: v.Send, taken: a.Taken, stayOpen: v.Left, Result: state.Result{Offset: offset, Outcome: v.Outcome, Reason: v.Reason,
		Ref: v.Ref, Source: v.Source, Applied: v.Applied, Close: v.Closes, Retried: v.Retried, Resubmit: v.Resubmit}}
	if guards.Off {
		res.Applied, res.Close = nil, nil
		if res.Ref != nil {
			res.Ref.Known = nil
		}
	}
	if v.Claimed {
		res.Leave = v.Left
	}
	now := r.Clock.Now()
	if !ev.Accepted.IsZero() {
		res.took = now.Sub(ev.Accepted)
	}
	switch v.Outcome {
	case state.Parked, state.Waiting, state.Held:
		q := &state.Queued{Flow: r.flow.Name, Topic: p.Topic, Partition: p.Number, Lane: lane, State: v.Outcome, Kind: v.Kind,
			Reason: v.Reason, Code: v.Code, Missing: v.Missing, Event: *ev, Attempts: 1 + v.Retried, Tried: v.Tried, Since: r.steady(), NotBefore: v.NotBefore,
			Blocking: v.Outcome != state.Parked || r.flow.Order != config.Latest && ev.Refused == nil}
		if q.Blocking {
			p.setHead(lane, v.Outcome)
		}
		res.Queue = q
		res.Reason = "" // the sentence stands in the queue; reasons of totals are a closed set
	}
	if r.journalled(v) || a.Queued != nil && v.Resubmit == nil { // how a failure ended belongs to it
		res.Journal = r.journal(ev, v, now, res.took)
		if kept, failed := r.keeps(v, a.Queued != nil); kept {
			if hidden == nil {
				hidden = r.secrets(ev, v.Trail.Mapped)
			}
			res.Journal.Documents = r.documents(ev, v, hidden, failed)
		}
	}
	return res
}

// journalled says whether a fate is journalled: deliveries to systems, failures and skips always, what goes from topic to topic under journal: all.
// A skip is all that comes of its delivery: without it, whoever traces the key sees it received and nothing more.
func (r *Runner) journalled(v *decide.Verdict) bool {
	if v.Resubmit != nil {
		return false // it has no fate; what the person did is kept with the acts
	}
	failed := v.Outcome == state.Parked || v.Outcome == state.Waiting || v.Outcome == state.Held
	return failed || v.Outcome == state.Skipped || r.flow.JournalAll || r.target != nil
}

// journal is the record of a fate.
func (r *Runner) journal(ev *event.Event, v *decide.Verdict, now time.Time, took time.Duration) *state.Journal {
	j := &state.Journal{Time: now, Flow: r.flow.Name, EventID: ev.ID, Entity: r.flow.Entity, Key: ev.Key, Hub: ev.Hub, Outcome: v.Outcome,
		Reason: v.Reason, Version: ev.Version, Attempts: 1 + v.Retried, Took: max(0, took)}
	if r.target != nil {
		j.System = r.target.Name
	}
	if v.Ref != nil {
		j.Local = v.Ref.Local
	}
	j.External = v.External
	if ev.Refused != nil {
		j.Attempts = ev.Refused.Reading + 1 // see Store.Refused
	}
	if v.Outcome == state.Delivered {
		j.Reason = v.Trail.Told
	}
	j.Action, j.Field, j.Told = v.Trail.Action, v.Trail.Field, v.Trail.Told
	return j
}
