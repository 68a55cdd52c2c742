package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/app"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/sandbox"
	"github.com/waybill-hub/waybill/internal/state"
)

const (
	// firstDrift is when the demo's systems drift first, and driftEvery how long after the last look they do again.
	firstDrift = 5 * time.Second
	driftEvery = 10 * time.Second
	// driftSettle is how long the demo's reconciliations leave alone what differs: its flows are seldom behind for longer.
	driftSettle = 2 * time.Second
)

// hurry makes reconciliations of a plan ones that people can watch.
func hurry(plan *config.Plan) {
	for _, r := range plan.Reconciliations {
		r.Settle = driftSettle
	}
}

// drifting makes the systems drift now and then, past the hub, and has it found and repaired, until ctx ends.
func (d *demo) drifting(ctx context.Context, world *sandbox.World, hub *app.Hub) {
	wait := firstDrift
	for turn := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = driftEvery
		made := map[string]bool{}
		for range sandbox.DriftKinds - 1 {
			drift, err := world.Drift(ctx, turn)
			switch turn++; {
			case errors.Is(err, sandbox.ErrNothingToDrift):
				continue
			case err != nil:
				if ctx.Err() == nil {
					fmt.Fprintf(d.out, "         drift could not be made: %v\n", err)
				}
				continue
			}
			fmt.Fprintf(d.out, "%s drift    past the hub, in %s\n", time.Now().Format("15:04:05"), drift)
			made[drift.Entity] = true
		}
		for _, name := range watched(hub, made) {
			d.reconcile(ctx, hub, name, true)
		}
	}
}

// watched are the reconciliations that repair, of these entities; nil: of all.
func watched(hub *app.Hub, entities map[string]bool) (names []string) {
	for _, r := range hub.Plan().Reconciliations {
		if r.Repair != nil && (entities == nil || entities[r.Entity]) {
			names = append(names, r.Name)
		}
	}
	return names
}

// reconcile has a reconciliation run, and tells what it found.
func (d *demo) reconcile(ctx context.Context, hub *app.Hub, name string, tell bool) *state.Comparison {
	run, err := hub.Want(ctx, state.RunReconciliation, name, api.RunRequest{Repair: true, Note: "the demo looks"}, "demo")
	for err == nil && !run.State.Over() {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(250 * time.Millisecond):
		}
		run, err = hub.RunByID(ctx, run.ID)
	}
	switch {
	case ctx.Err() != nil:
		return nil
	case err != nil:
		fmt.Fprintf(d.out, "         reconciliation %s: %v\n", name, err)
		return nil
	}
	if tell || run.State != state.RunAgreed || run.Summary.Drift() > 0 {
		fmt.Fprintf(d.out, "%s %s\n", time.Now().Format("15:04:05"), reconciled(run))
	}
	return run
}

// reconciled says how a run has ended, in a line.
func reconciled(run *state.Comparison) string {
	s := &run.Summary
	text := fmt.Sprintf("compared %s: %s  %d objects", run.Name, run.State, s.Compared)
	if n := s.Drift(); n > 0 {
		var why []string
		for _, r := range slices.Sorted(maps.Keys(s.Reasons)) {
			why = append(why, fmt.Sprintf("%d %s", s.Reasons[r], r))
		}
		text += fmt.Sprintf(", %d differ (%s), %d repaired", n, strings.Join(why, ", "), s.Repaired)
	}
	if s.NotCompared > 0 {
		text += fmt.Sprintf(", %d cannot be compared", s.NotCompared)
	}
	var on []string
	for _, r := range slices.Sorted(maps.Keys(s.Explained)) {
		on = append(on, fmt.Sprintf("%d %s", s.Explained[r], r))
	}
	if len(on) > 0 {
		text += ", no drift: " + strings.Join(on, ", ")
	}
	return strings.TrimSpace(text + " " + cmp.Or(run.Detail, ""))
}

// agree looks at the end whether the systems agree: what traffic has kept from being repaired is repaired now.
func (d *demo) agree(ctx context.Context, hub *app.Hub) {
	fmt.Fprintln(d.out, "at rest: do the systems agree?")
	for _, name := range watched(hub, nil) {
		run := d.reconcile(ctx, hub, name, true)
		if run == nil {
			return
		}
		d.drift += run.Summary.Left()
	}
}
