package app

import (
	"context"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/logcheck"
	"github.com/waybill-hub/waybill/internal/state"
)

// Recovery tells what does not fit between the hub and its broker, and what Recover would do about it.
func (h *Hub) Recovery(ctx context.Context, q api.RecoverRequest) (*api.Recovery, error) {
	p, would, err := h.logs.Preview(ctx, recoverRequest(q, ""))
	if err != nil {
		return nil, err
	}
	return h.recoveryView(ctx, p, would, false)
}

// Recover goes on with the logs that the broker has now: see store.Recover. Flows begin to read at once; those that write, and
// relays, when what comes before is on the topics again.
func (h *Hub) Recover(ctx context.Context, q api.RecoverRequest, who string) (*api.Recovery, error) {
	p, did, err := h.logs.Recover(ctx, recoverRequest(q, who))
	if err != nil {
		return nil, err
	}
	ctx = context.WithoutCancel(ctx)
	done, err := h.recoveryView(ctx, p, did, true)
	if err == nil {
		// Others learn of it when they look.
		h.settleFlows(ctx)
		h.wakeRelays()
	}
	return done, err
}

func recoverRequest(q api.RecoverRequest, who string) logcheck.Request {
	return logcheck.Request{Flows: q.Flows, FromStart: q.From == "start", Plan: q.Plan, Who: who, Note: q.Note, Discard: q.DiscardLost}
}

func (h *Hub) recoveryView(ctx context.Context, p *logcheck.Plan, did *state.Recovered, done bool) (*api.Recovery, error) {
	pending, err := h.store.Resending(ctx)
	if err != nil {
		return nil, err
	}
	out := &api.Recovery{Done: done, Broken: p.Missing || !done && len(p.Breaks) > 0, Topics: []api.RecoverTopic{}}
	if !done {
		out.Plan = p.Digest()
	}
	for _, n := range pending {
		out.Pending += n
	}
	byTopic := map[string]*state.RecoveredTopic{}
	for i := range did.Topics {
		byTopic[did.Topics[i].Topic] = &did.Topics[i]
	}
	for i := range p.Breaks {
		b := &p.Breaks[i]
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
			t.Flows = append(t.Flows, flowView(b, f, parts[f.Flow], p.Seen[b.Topic]))
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
