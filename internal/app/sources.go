package app

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/intake"
	"github.com/waybill-hub/waybill/internal/state"
)

// Rewind has the source of a polled flow read again. The wish is stored, and carried out by whichever hub reads the source.
func (h *Hub) Rewind(ctx context.Context, name string, q api.RewindRequest, who string) (*api.Rewound, error) {
	if _, err := h.polled(name, "rewound"); err != nil {
		return nil, err
	}
	if err := h.intake.CanRewind(ctx, name, q.To); err != nil {
		if fault.KindOf(err) == fault.Invalid {
			return nil, &api.Invalid{Detail: fmt.Sprintf("flow %s cannot be rewound to %s: %v", name, q.To, err)}
		}
		return nil, err
	}
	w := state.SourceWish{Flow: name, Kind: state.WishRewind, Detail: q.To, Who: who}
	if err := h.store.AskSource(ctx, w, "to "+state.Why(q.To, q.Note)); err != nil {
		return nil, err
	}
	h.intake.Asked(name)
	from := "from " + q.To + ", less the overlap"
	if q.To == connector.RewindStart {
		from = "from the start"
	}
	return &api.Rewound{Flow: name, To: q.To, State: "asked", Text: "the source is read again " + from +
		"; what was missed is taken, what was taken before is recognised and left out"}, nil
}

// Sweep has the source of a flow looked through now. The wish is stored, and carried out by whichever hub reads the source.
func (h *Hub) Sweep(ctx context.Context, name string, q api.SweepRequest, who string) (*api.SweepAsked, error) {
	f, err := h.polled(name, "swept")
	switch {
	case err != nil:
		return nil, err
	case f.From.Poll.Deletes == nil:
		return nil, &api.Invalid{Detail: fmt.Sprintf("flow %s is not swept: write from.poll.deletes with sweep and at-most into it", name)}
	}
	bound, about := f.From.Poll.Deletes.AtMost, q.Note
	if q.AtMost != "" {
		if bound, err = config.ParseAtMost(q.AtMost); err != nil {
			return nil, &api.Invalid{Detail: fmt.Sprintf("at-most: %v: write a share or a number: 5%% or 100", err)}
		}
		about = "at most " + state.Why(q.AtMost, q.Note)
	}
	if err := h.store.AskSource(ctx, state.SourceWish{Flow: name, Kind: state.WishSweep, Detail: q.AtMost, Who: who}, about); err != nil {
		return nil, err
	}
	h.intake.Asked(name)
	return &api.SweepAsked{Flow: name, State: "asked", AtMost: bound.String(), Text: fmt.Sprintf("everything in %s is listed and compared, and at most %s of what is known there is deleted; `waybill status` tells what came of it", f.From.System, bound)}, nil
}

// sweepOf is the last sweep of a flow's source, on any hub; nil where the flow is not swept.
func (h *Hub) sweepOf(ctx context.Context, f *config.Flow) (*api.Sweep, error) {
	if f.From.Poll == nil || f.From.Poll.Deletes == nil {
		return nil, nil
	}
	run, err := h.store.LastRun(ctx, intake.RunSweep, f.Name)
	if errors.Is(err, state.ErrNotFound) {
		return &api.Sweep{State: api.SweepNever}, nil
	}
	if err != nil {
		return nil, err
	}
	s := &api.Sweep{State: run.State, Started: &run.Started, Deleted: run.Count, Text: run.Detail}
	if !run.Finished.IsZero() {
		s.Finished = &run.Finished
	}
	return s, nil
}

// polled gives the flow of that name if its source is polled; what is what cannot be done otherwise.
func (h *Hub) polled(name, what string) (*config.Flow, error) {
	f := h.plan().Flow(name)
	if f == nil {
		return nil, h.unknownFlow(name)
	}
	if f.From.Poll != nil {
		return f, nil
	}
	why := ""
	switch {
	case f.From.Topic != "":
		why = fmt.Sprintf("it reads the topic %s, where nothing that was written is missed", f.From.Topic)
		var fill []string
		for _, other := range h.plan().Flows {
			if other.To.Topic == f.From.Topic && other.From.Poll != nil {
				fill = append(fill, other.Name)
			}
		}
		if len(fill) > 0 {
			why += "; do it with a flow that polls for it: " + strings.Join(fill, ", ")
		}
	case f.From.Webhook != nil:
		why = fmt.Sprintf("%s calls it (webhook): let %s send again what is missing", f.From.System, f.From.System)
	default:
		why = "it reads files: put what is to be read again into the drop"
	}
	return nil, &api.Invalid{Detail: fmt.Sprintf("flow %s cannot be %s, because only flows that poll can: %s", name, what, why)}
}
