package app

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/status"
	"github.com/waybill-hub/waybill/internal/telemetry"
)

// trendLength is how many of the last runs tell a trend.
const trendLength = 20

// dueGrace is how long after it was due a run may begin without being overdue: hubs look now and then.
const dueGrace = 5 * time.Minute

// runsSeen is what the store tells of reconciliations and rules.
type runsSeen struct {
	last map[state.RunName]state.LastComparison
	open map[state.RunName]state.Comparison
}

func (h *Hub) askRuns(ctx context.Context) (s runsSeen, err error) {
	if s.last, err = h.store.LastComparisons(ctx); err != nil {
		return s, err
	}
	open, err := h.store.Comparisons(ctx, state.ComparisonFilter{Open: true, Limit: 10_000})
	s.open = make(map[state.RunName]state.Comparison, len(open))
	for i := range open {
		s.open[state.RunName{Kind: open[i].Kind, Name: open[i].Name}] = open[i]
	}
	return s, err
}

// Reconciliations are those of the files, with their trend.
func (h *Hub) Reconciliations(ctx context.Context) ([]api.Reconciliation, error) {
	seen, err := h.askRuns(ctx)
	if err != nil {
		return nil, err
	}
	out := h.reconciliationViews(h.plan(), &seen)
	for i := range out {
		if out[i].Trend, err = h.trend(ctx, state.RunReconciliation, out[i].Name); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Rules are those of the files, with their trend.
func (h *Hub) Rules(ctx context.Context) ([]api.Rule, error) {
	seen, err := h.askRuns(ctx)
	if err != nil {
		return nil, err
	}
	out := h.ruleViews(h.plan(), &seen)
	for i := range out {
		if out[i].Trend, err = h.trend(ctx, state.RunRule, out[i].Name); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (h *Hub) trend(ctx context.Context, kind, name string) ([]api.TrendPoint, error) {
	runs, err := h.store.Comparisons(ctx, state.ComparisonFilter{Kind: kind, Name: name, Limit: trendLength})
	return api.Trend(runs), err
}

func (h *Hub) reconciliationViews(plan *config.Plan, seen *runsSeen) []api.Reconciliation {
	out := []api.Reconciliation{}
	for _, c := range comparedOf(plan, state.RunReconciliation) {
		v := api.Reconciliation{Name: c.name, About: c.about, Entity: c.entity, Left: c.systems[0], Right: c.systems[1]}
		last := h.stand(&v.Standing, &c, seen)
		if last.Told != nil {
			s := &last.Told.Summary
			v.MissingLeft, v.MissingRight, v.Different, v.Doubled, v.Totals, v.Repaired = s.MissingLeft, s.MissingRight, s.Different, s.Doubled, int64(len(s.Totals)), last.Repaired()
		}
		out = append(out, v)
	}
	return out
}

func (h *Hub) ruleViews(plan *config.Plan, seen *runsSeen) []api.Rule {
	out := []api.Rule{}
	for _, c := range comparedOf(plan, state.RunRule) {
		v := api.Rule{Name: c.name, About: c.about, Systems: c.systems}
		if last := h.stand(&v.Standing, &c, seen); last.Told != nil {
			v.Violations = last.Told.Summary.Drift()
		}
		out = append(out, v)
	}
	return out
}

// stand fills in how one stands.
func (h *Hub) stand(v *api.Standing, c *compared, seen *runsSeen) state.LastComparison {
	name := state.RunName{Kind: c.kind, Name: c.name}
	last, open := seen.last[name], seen.open[name]
	now := h.clock.Now()
	f := status.ComparisonFacts{Command: map[string]string{state.RunReconciliation: "waybill reconcile", state.RunRule: "waybill rule"}[c.kind]}
	if last.Ended.ID != 0 {
		v.LastRun, f.Last, f.Detail = &last.Ended.Finished, string(last.Ended.State), last.Ended.Detail
	}
	if told := last.Told; told != nil {
		v.Run, v.Counted, v.Compared, v.NotCompared = told.ID, &told.Finished, told.Summary.Compared, told.Summary.NotCompared
		v.Drift = told.Summary.Drift() - last.Repaired()
		if v.Drift > 0 && !told.Summary.Oldest.IsZero() {
			v.Oldest, f.Oldest = &told.Summary.Oldest, told.Summary.Oldest
		}
		f.Run, f.Left, f.NotCompared = told.ID, v.Drift, told.Summary.NotCompared
		if told.Summary.Compared == 0 {
			f.Nothing = cmp.Or(told.Detail, "there was nothing to look at")
		}
		if c.kind == state.RunRule && v.Drift <= int64(c.atMost.Of(int(v.Compared))) {
			f.Left = 0 // reported, and no alarm
		}
	}
	if table := timetable(c.schedule); table != nil {
		v.Schedule = table.String()
		next := table.Next(now)
		v.NextRun = &next
		since := h.now.Load().loaded // before, it may have had another schedule, or none
		if last.Ended.Started.After(since) {
			since = last.Ended.Started
		}
		if due := table.Next(since); !due.IsZero() && now.Sub(due) > dueGrace+c.schedule.Jitter {
			f.Due = due
		}
	}
	if open.ID != 0 {
		f.UnderWay = underWayText(&open)
		if run, err := forEverybody(h, *api.RunView(&open), c.entity); err == nil { // it may look at one object alone; its number stands in why anyhow
			v.Running = &run
		}
	}
	verdict := f.Judge()
	v.State, v.Why, v.Stands = verdict.State, verdict.Why, f.Stands().State
	return last
}

// underWayText says how far a run is.
func underWayText(c *state.Comparison) string {
	text := fmt.Sprintf("run %d is %s", c.ID, c.State)
	if c.Progress.Phase != "" {
		text += ": " + c.Progress.Phase
	}
	if c.Cancel != "" {
		text += "; cancelled by " + c.Cancel
	}
	return text
}

// measureRuns gives the metrics how reconciliations and rules stand.
func (h *Hub) measureRuns(st *api.Status) {
	of := func(name string, s *api.Standing) telemetry.Compared {
		return telemetry.Compared{Name: name, State: s.State, Compared: s.Compared, NotCompared: s.NotCompared, Drift: s.Drift, Counted: s.Counted}
	}
	recs := make([]telemetry.Compared, len(st.Reconciliations))
	for i := range recs {
		recs[i] = of(st.Reconciliations[i].Name, &st.Reconciliations[i].Standing)
	}
	h.metrics.Comparisons("reconciliation", recs, status.ComparisonStates)
	rules := make([]telemetry.Compared, len(st.Rules))
	for i := range rules {
		rules[i] = of(st.Rules[i].Name, &st.Rules[i].Standing)
	}
	h.metrics.Comparisons("rule", rules, status.ComparisonStates)
}
