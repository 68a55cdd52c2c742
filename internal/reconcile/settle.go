package reconcile

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

const (
	// patience is how long, at least, flows may stand while they have not decided what had come in before a look. What differs then is no drift.
	patience = time.Minute
	// lookEvery is how often it is looked whether flows have got on.
	lookEvery = 250 * time.Millisecond
)

// settle leaves what differs alone for a while, and waits until the flows have decided what had come in before. It gives those that have not.
func (r *Run) settle(ctx context.Context, n int64, round int) (map[string]Lateness, error) {
	if r.opts.From == 0 { // else they have differed for long
		r.looked = r.c.Clock.Now()
		r.phase("settling", "%d differences are left alone for %s", n, r.settles)
		if err := lifecycle.Sleep(ctx, r.c.Clock, r.settles); err != nil {
			return nil, context.Cause(ctx)
		}
	}
	late, err := r.through(ctx, fmt.Sprintf("%d differences, look %d", n, round+1))
	if err != nil {
		return nil, err
	}
	for _, f := range slices.Sorted(maps.Keys(late)) {
		r.note("the flow %s has not decided what had come in: %s", f, late[f].Why)
	}
	return late, nil
}

// through waits until what has come in has gone through the flows on the way, as long as one gets on. It gives those that it has not gone through.
func (r *Run) through(ctx context.Context, what string) (late map[string]Lateness, err error) {
	for range r.hops { // what a flow hands on to a topic is another one's to decide
		mark, err := r.c.Hub.Mark(ctx)
		if err != nil {
			return nil, fmt.Errorf("note what has come in: %w", err)
		}
		mark.Looked = r.looked
		if late, err = r.past(ctx, mark, what); err != nil || len(late) > 0 {
			return late, err
		}
	}
	return late, nil
}

// past waits until the flows have decided what had come in at a mark. They are given up when they have not got on for a while: what was there at the mark
// only gets less.
func (r *Run) past(ctx context.Context, mark *Mark, what string) (map[string]Lateness, error) {
	told, least, published, stirred := "", int64(0), false, r.c.Clock.Elapsed()
	for first := true; ; first = false {
		late, err := r.c.Hub.Late(ctx, r.flows, mark)
		if err != nil {
			return nil, fmt.Errorf("look whether flows have got on: %w", err)
		}
		moving, behind := false, int64(0)
		for _, l := range late {
			moving = moving || !l.Stands
			behind += l.Behind
		}
		now := r.c.Clock.Elapsed()
		if first || behind < least || published != (mark.Ends != nil) {
			least, published, stirred = behind, mark.Ends != nil, now
		}
		if !moving || now-stirred > max(patience, 2*r.settles) {
			return late, nil
		}
		if text := lateText(late); text != told {
			told = text
			r.phase("settling", "%s: waiting for %s", what, text)
		}
		if err := lifecycle.Sleep(ctx, r.c.Clock, lookEvery); err != nil {
			return nil, context.Cause(ctx)
		}
	}
}

// lateText names flows and why they have not decided what had come in.
func lateText(late map[string]Lateness) string {
	var names []string
	for _, f := range slices.Sorted(maps.Keys(late)) {
		names = append(names, f+" ("+late[f].Why+")")
	}
	return strings.Join(names, ", ")
}

// onTheWay gives the flows of the entity that carry anything to or from the two systems, and how many of them stand behind one another at most.
func onTheWay(plan *config.Plan, rec *config.Reconciliation) (names []string, hops int) {
	ours := func(system string) bool {
		return system != "" && (system == rec.Left.System || system == rec.Right.System)
	}
	on, depth := map[string]bool{}, map[string]int{}
	for range plan.Flows { // as often as there may be flows behind one another
		for _, f := range plan.Flows {
			if f.Entity != rec.Entity && f.Entity != "" {
				continue
			}
			depth[f.Name] = max(depth[f.Name], 1)
			on[f.Name] = on[f.Name] || ours(f.From.System) || ours(f.To.System)
			for _, next := range plan.Flows {
				if f.To.Topic == "" || next.From.Topic != f.To.Topic || depth[next.Name] == 0 || depth[f.Name] >= len(plan.Flows) {
					continue
				}
				on[f.Name] = on[f.Name] || on[next.Name]
				depth[next.Name] = max(depth[next.Name], depth[f.Name]+1)
			}
		}
	}
	for _, f := range plan.Flows {
		if on[f.Name] {
			names, hops = append(names, f.Name), max(hops, depth[f.Name])
		}
	}
	return names, max(hops, 1)
}
