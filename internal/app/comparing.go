package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/schedule"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// compared is a reconciliation or a rule of the files, as far as its runs are concerned.
type compared struct {
	kind, name, about, entity string
	// systems are the left and the right one, or those of a rule.
	systems  []string
	schedule *config.Schedule // nil: it runs only when asked
	keep     time.Duration
	repair   *config.Repair // nil: nothing is repaired
	totals   bool           // totals alone are compared
	atMost   config.AtMost  // of a rule: so many violations are no alarm
}

// comparedOf are those of a kind, as the files list them.
func comparedOf(plan *config.Plan, kind string) []compared {
	if kind == state.RunRule {
		return comparedRules(plan)
	}
	var out []compared
	for _, r := range plan.Reconciliations {
		out = append(out, compared{kind: kind, name: r.Name, about: r.About, entity: r.Entity, systems: []string{r.Left.System, r.Right.System}, schedule: r.Schedule, keep: r.Keep, repair: r.Repair, totals: r.Compare == nil})
	}
	return out
}

// compared gives the one of that name; state.ErrNotFound with what may be meant.
func (h *Hub) compared(kind, name string) (*compared, error) {
	all := comparedOf(h.plan(), kind)
	var names []string
	for i := range all {
		if all[i].name == name {
			return &all[i], nil
		}
		names = append(names, all[i].name)
	}
	return nil, unknown(kind, name, names)
}

// Want asks for a run. Whichever hub has the lease works it.
func (h *Hub) Want(ctx context.Context, kind, name string, q api.RunRequest, who string) (*state.Comparison, error) {
	c, err := h.compared(kind, name)
	if err != nil {
		return nil, err
	}
	if q.Repair && c.repair == nil {
		return nil, &api.Invalid{Detail: c.noRepair()}
	}
	if now := h.clock.Now(); q.Since.After(now) {
		return nil, &api.Invalid{Detail: fmt.Sprintf("since %s has not been yet: it is %s", q.Since.Format(time.RFC3339), now.UTC().Format(time.RFC3339))}
	}
	return h.want(ctx, c, q.Options(), who, q.Note)
}

func (c *compared) noRepair() string {
	if c.kind == state.RunRule {
		return fmt.Sprintf("rule %s finds what does not hold, and repairs nothing: mend it in the system that is wrong", c.name)
	}
	if c.totals {
		return fmt.Sprintf("reconciliation %s compares totals alone, which say of no object that it is to be repaired: one that compares objects finds those that differ", c.name)
	}
	return fmt.Sprintf("reconciliation %s does not say how to repair: write repair with from and by into it, as repair: {from: %s, by: FLOW}, or correct what differs where it is wrong", c.name, config.FromLeft)
}

// NoRepair says why nothing that runs of a name find is repaired; empty: it can be.
func (h *Hub) NoRepair(kind, name string) string {
	c, err := h.compared(kind, name)
	switch {
	case err != nil:
		return fmt.Sprintf("the files name no %s %s any more", kind, name)
	case c.repair == nil:
		return c.noRepair()
	}
	return ""
}

// want stores the wish.
func (h *Hub) want(ctx context.Context, c *compared, o state.CompareOptions, who, why string) (*state.Comparison, error) {
	run, fresh, err := h.store.WantComparison(ctx, state.Comparison{Kind: c.kind, Name: c.name, Trigger: state.TriggerPerson, Who: who, Why: why, Options: o, Keep: c.keep})
	switch {
	case err != nil:
		return nil, err
	case !fresh:
		return nil, &api.UnderWay{Run: run}
	}
	h.comparing.wake()
	return &run, nil
}

// Runs lists runs. A name that the files have no more is known as long as runs of it are kept.
func (h *Hub) Runs(ctx context.Context, f state.ComparisonFilter) ([]state.Comparison, error) {
	list, err := h.store.Comparisons(ctx, f)
	if err == nil && len(list) == 0 && f.Before == 0 {
		_, err = h.compared(f.Kind, f.Name)
	}
	return list, err
}

// RunByID is one run.
func (h *Hub) RunByID(ctx context.Context, id int64) (*state.Comparison, error) {
	c, err := h.store.ComparisonByID(ctx, id)
	if err != nil {
		return nil, err
	}
	return &c, nil
}

// Differences lists what a run has found.
func (h *Hub) Differences(ctx context.Context, f state.DifferenceFilter) ([]state.Difference, error) {
	return h.store.Differences(ctx, f)
}

// CancelRun asks for the end of a run. Nobody works one whose name the files have no more: that ends here.
func (h *Hub) CancelRun(ctx context.Context, id int64, who, note string) (*state.Comparison, error) {
	if err := h.store.CancelComparison(ctx, id, who, note); err != nil {
		return nil, err
	}
	c, err := h.RunByID(ctx, id)
	if err != nil || c.State.Over() {
		return c, err
	}
	if _, err := h.compared(c.Kind, c.Name); !errors.Is(err, state.ErrNotFound) {
		return c, err
	}
	return h.endOrphan(ctx, c)
}

// endOrphan ends a cancelled run that no hub works, unless one does after all.
func (h *Hub) endOrphan(ctx context.Context, c *state.Comparison) (*state.Comparison, error) {
	lease, ok, err := h.store.AcquireLease(ctx, state.RunLease(c.Kind, c.Name), h.holder(), orphanLease)
	if err != nil || !ok {
		return c, err
	}
	c.State, c.Detail = state.RunCancelled, "cancelled by "+c.Cancel
	err = errors.Join(h.store.EndComparison(ctx, lease, *c), h.store.ReleaseLease(ctx, lease))
	if err != nil {
		return nil, err
	}
	return h.RunByID(ctx, c.ID)
}

// orphanLease is how long the end of a run may take that nobody works.
const orphanLease = 30 * time.Second

// RepairRun wants a run that repairs what another one has found.
func (h *Hub) RepairRun(ctx context.Context, id int64, q api.RepairRequest, who string) (*state.Comparison, error) {
	from, err := h.RunByID(ctx, id)
	if err != nil {
		return nil, err
	}
	c, err := h.compared(from.Kind, from.Name)
	if err != nil {
		return nil, err
	}
	switch {
	case c.repair == nil:
		return nil, &api.Invalid{Detail: c.noRepair()}
	case !from.State.Over():
		return nil, fmt.Errorf("run %d is not over (%s): what it finds can be repaired when it is: %w", id, from.State, state.ErrBusy)
	}
	if err := h.repairable(ctx, from, &q); err != nil {
		return nil, err
	}
	return h.want(ctx, c, q.Options(id), who, q.Note)
}

// repairable refuses a repair of what is not there, or is no drift.
func (h *Hub) repairable(ctx context.Context, from *state.Comparison, q *api.RepairRequest) error {
	for _, reason := range q.Reasons {
		some, err := h.store.Differences(ctx, state.DifferenceFilter{Run: from.ID, Reason: reason, Drift: true, Limit: 1})
		if err != nil {
			return err
		}
		if len(some) == 0 {
			text := fmt.Sprintf("run %d has no drift for the reason %q", from.ID, reason)
			if hint := strictyaml.DidYouMean(reason, sortedKeys(from.Summary.Reasons)); hint != "" {
				text += " (" + hint + ")"
			}
			return &api.Invalid{Detail: text}
		}
	}
	if len(q.Numbers) == 0 {
		if len(q.Reasons) > 0 {
			return nil
		}
		some, err := h.store.Differences(ctx, state.DifferenceFilter{Run: from.ID, Drift: true, Limit: 1})
		if err == nil && len(some) == 0 {
			err = &api.Invalid{Detail: fmt.Sprintf("run %d has found no drift: there is nothing to repair", from.ID)}
		}
		return err
	}
	return h.numbered(ctx, from.ID, q.Options(from.ID).Numbers)
}

// numbered refuses numbers that a run has not, or whose differences are no drift.
func (h *Hub) numbered(ctx context.Context, run int64, numbers []int) error {
	missing := slices.Compact(slices.Sorted(slices.Values(numbers)))
	f := state.DifferenceFilter{Run: run, Numbers: numbers, Limit: 1000}
	for {
		page, err := h.store.Differences(ctx, f)
		if err != nil {
			return err
		}
		for i := range page {
			d := &page[i]
			if d.Explained || d.Kind == state.DiffNotCompared {
				return &api.Invalid{Detail: fmt.Sprintf("difference %d of run %d is no drift (%s): there is nothing to repair", d.N, run, d.Reason)}
			}
			missing = slices.DeleteFunc(missing, func(n int) bool { return n == d.N })
		}
		if len(page) == 0 {
			break
		}
		f.After = page[len(page)-1].N
	}
	if len(missing) > 0 {
		return &api.Invalid{Detail: fmt.Sprintf("run %d has no difference %d: `waybill reconcile show %d` lists them", run, missing[0], run)}
	}
	return nil
}

// timetable reads a schedule, which was checked with the files.
func timetable(s *config.Schedule) *schedule.Timetable {
	if s == nil {
		return nil
	}
	t, err := schedule.Parse(s.Cron, s.Timezone)
	if err != nil {
		return nil
	}
	return t
}
