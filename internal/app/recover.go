package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/bus"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
)

// Recovery tells what does not fit between the hub and its broker, and what Recover would do about it.
func (h *Hub) Recovery(ctx context.Context, q api.RecoverRequest) (*api.Recovery, error) {
	h.logs.look.Lock()
	defer h.logs.look.Unlock()
	p, err := h.planRecovery(ctx, q)
	if err != nil {
		return nil, err
	}
	would := &state.Recovered{}
	if len(p.rec.Topics) > 0 {
		if would, err = h.store.Rehearse(ctx, &p.rec); err != nil {
			return nil, err
		}
	}
	return h.recoveryView(ctx, p, would, false)
}

// Recover goes on with the logs that the broker has now: see store.Recover. Flows begin to read at once; those that write, and
// relays, when what comes before is on the topics again.
func (h *Hub) Recover(ctx context.Context, q api.RecoverRequest, who string) (*api.Recovery, error) {
	done, err := h.recover(ctx, q, who)
	if err == nil {
		// Others learn of it when they look.
		h.settleFlows(context.WithoutCancel(ctx))
		h.wakeRelays()
	}
	return done, err
}

func (h *Hub) recover(ctx context.Context, q api.RecoverRequest, who string) (*api.Recovery, error) {
	h.logs.look.Lock()
	defer h.logs.look.Unlock()
	if err := h.makeTopics(ctx, topics(h.plan()), h.plan()); err != nil {
		return nil, err
	}
	var p *recoverPlan
	var did *state.Recovered
	for try := 0; ; try++ {
		var err error
		if p, err = h.planRecovery(ctx, q); err != nil {
			return nil, err
		}
		if q.Plan != "" && q.Plan != p.digest() {
			return nil, api.ErrPlan
		}
		if len(p.rec.Topics) == 0 {
			return h.recoveryView(ctx, p, &state.Recovered{}, true)
		}
		p.rec.Who, p.rec.Note, p.rec.Discard = who, q.Note, q.DiscardLost
		did, err = h.store.Recover(ctx, &p.rec)
		if err == nil {
			break
		}
		if errors.Is(err, state.ErrLoss) {
			return nil, fmt.Errorf("%w: have them sent again, then give up the lost ones by name (--discard-lost)", err)
		}
		if !errors.Is(err, state.ErrMoved) || try == 3 {
			return nil, err
		}
	}
	h.log.Warn("recovered", "by", who, "note", q.Note, "topics", len(did.Topics))
	if _, err := h.lookLocked(context.WithoutCancel(ctx)); err != nil {
		h.log.Warn("it is done, and the logs could not be looked at after it; that comes later", "error", err)
		nudge(h.logs.kick)
	}
	return h.recoveryView(context.WithoutCancel(ctx), p, did, true)
}

// recoverPlan is what is to be recovered.
type recoverPlan struct {
	breaks []state.Break
	rec    state.Recovery
	seen   map[string]state.SeenLog
	// rest: a topic does not exist, so that nothing can be planned for it.
	rest bool
}

// planRecovery looks at the logs anew, until it is sure of what it sees.
func (h *Hub) planRecovery(ctx context.Context, q api.RecoverRequest) (*recoverPlan, error) {
	plan := h.plan()
	for _, name := range q.Flows {
		if plan.Flow(name) == nil {
			return nil, fmt.Errorf("flow %q: %w", name, state.ErrNotFound)
		}
	}
	all := readings(plan)
	p := &recoverPlan{}
	for look := 0; look < looksUntilSure; look++ {
		if look > 0 {
			if err := lifecycle.Sleep(ctx, h.clock, 300*time.Millisecond); err != nil {
				return nil, err
			}
		}
		e, err := h.patientEvidence(ctx, plan)
		if err != nil {
			return nil, err
		}
		e.FromStart = q.From == "start"
		p.breaks, p.seen = store.Survey(all, *e), e.Seen
		passing := func(b state.Break) bool { return b.Cause == state.BreakMissing || b.Cause == state.BreakEnd }
		if !slices.ContainsFunc(p.breaks, passing) {
			break
		}
	}
	wanted := func(b *state.Break) bool {
		if len(q.Flows) == 0 {
			return true
		}
		for _, f := range b.Flows {
			if slices.Contains(q.Flows, f.Flow) {
				return true
			}
		}
		return slices.ContainsFunc(plan.Flows, func(f *config.Flow) bool { return f.To.Topic == b.Topic && slices.Contains(q.Flows, f.Name) })
	}
	known := h.logs.knownEnds()
	p.breaks = slices.DeleteFunc(p.breaks, func(b state.Break) bool { return !wanted(&b) })
	for i := range p.breaks {
		b := &p.breaks[i]
		if b.Plan == nil {
			p.rest = true
			continue
		}
		if n := known[b.Topic]; n > 0 && n != len(b.Plan.Ends) {
			b.Plan.Deal = bus.PartitionOf
		}
		p.rec.Topics = append(p.rec.Topics, *b.Plan)
	}
	return p, nil
}

// patientEvidence is evidence of topics that may just have been made: their leaders are only just being chosen.
func (h *Hub) patientEvidence(ctx context.Context, plan *config.Plan) (*store.Evidence, error) {
	until := h.clock.Now().Add(10 * time.Second)
	for {
		e, err := h.evidence(ctx, plan)
		if err == nil || h.clock.Now().After(until) {
			return e, err
		}
		if lifecycle.Sleep(ctx, h.clock, 200*time.Millisecond) != nil {
			return nil, err
		}
	}
}

// knownEnds is the number of partitions that topics are known to have had.
func (l *logs) knownEnds() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make(map[string]int, len(l.known))
	for topic, k := range l.known {
		out[topic] = len(k.Ends)
	}
	return out
}

// digest names what would be done: which logs, and where flows go on. What is accepted meanwhile changes nothing of it.
func (p *recoverPlan) digest() string {
	if len(p.rec.Topics) == 0 {
		return ""
	}
	type move struct {
		Flow        string
		Partition   int
		Old, New    int64
		Known, Gone bool
	}
	hash := sha256.New()
	enc := json.NewEncoder(hash)
	for _, t := range p.rec.Topics {
		_ = enc.Encode([]any{t.Topic, t.Cluster, t.TopicID, t.Same, t.NewLife})
		for _, m := range t.Moves {
			n := move{m.Flow, m.Partition, m.Old.Next, m.New.Next, m.Known, m.Gone}
			if t.Inbox != "" {
				n.New = 0 // the end of the log, wherever that is by then
			}
			_ = enc.Encode(n)
		}
	}
	return hex.EncodeToString(hash.Sum(nil)[:8])
}

func (h *Hub) recoveryView(ctx context.Context, p *recoverPlan, did *state.Recovered, done bool) (*api.Recovery, error) {
	pending, err := h.store.Resending(ctx)
	if err != nil {
		return nil, err
	}
	out := &api.Recovery{Done: done, Broken: p.rest || !done && len(p.breaks) > 0, Topics: []api.RecoverTopic{}}
	if !done {
		out.Plan = p.digest()
	}
	for _, n := range pending {
		out.Pending += n
	}
	byTopic := map[string]*state.RecoveredTopic{}
	for i := range did.Topics {
		byTopic[did.Topics[i].Topic] = &did.Topics[i]
	}
	for i := range p.breaks {
		b := &p.breaks[i]
		t := api.RecoverTopic{Topic: b.Topic, Cause: b.Cause, Text: b.Text, Writers: []string{}, Flows: []api.RecoverFlow{}}
		if b.Whole {
			for _, f := range h.plan().Flows {
				if f.To.Topic == b.Topic {
					t.Writers = append(t.Writers, f.Name)
				}
			}
		}
		parts := map[string]map[int]state.RecoveredPart{}
		if r := byTopic[b.Topic]; r != nil {
			t.InboxRows, t.InboxEvents, t.Records = r.Rows, r.Events, r.Records
			for _, f := range r.Flows {
				parts[f.Flow] = map[int]state.RecoveredPart{}
				for _, part := range f.Parts {
					parts[f.Flow][part.Partition] = part
				}
			}
		}
		for _, f := range b.Flows {
			t.Flows = append(t.Flows, flowView(b, f, parts[f.Flow], p.seen[b.Topic]))
		}
		for _, f := range t.Flows {
			out.Lost += f.Lost
			out.Copies += f.Copies
		}
		out.InboxEvents += t.InboxEvents
		out.Records += t.Records
		out.Topics = append(out.Topics, t)
	}
	return out, nil
}

func flowView(b *state.Break, f state.BrokenFlow, parts map[int]state.RecoveredPart, seen state.SeenLog) api.RecoverFlow {
	v := api.RecoverFlow{Flow: f.Flow, Text: f.Text, Partitions: []api.RecoverPartition{}}
	if b.Plan == nil {
		return v
	}
	for _, m := range b.Plan.Moves {
		if m.Flow != f.Flow {
			continue
		}
		r := parts[m.Partition]
		part := api.RecoverPartition{Partition: m.Partition, ReadsFrom: m.New.Next, Again: r.Again, Lost: r.Lost, LostFrom: r.LostFrom, LostEnd: r.LostTo, Copies: r.Copies}
		if m.Known {
			part.Expected = &m.Old.Next
		}
		if m.Partition < len(seen.Parts) {
			part.FoundFirst, part.FoundEnd = seen.Parts[m.Partition].From, seen.Parts[m.Partition].To
		}
		v.Again += r.Again
		v.Lost += r.Lost
		v.Copies += r.Copies
		v.Partitions = append(v.Partitions, part)
	}
	return v
}
