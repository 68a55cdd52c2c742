package app

import (
	"context"
	"fmt"
	"slices"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/lease"
	"github.com/waybill-hub/waybill/internal/reconcile"
	"github.com/waybill-hub/waybill/internal/reconcile/rules"
	"github.com/waybill-hub/waybill/internal/spill"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
)

// comparedRules are the business rules of the files.
func comparedRules(plan *config.Plan) []compared {
	var out []compared
	for _, r := range plan.Rules {
		c := compared{kind: state.RunRule, name: r.Name, about: r.About, entity: r.Entity, systems: []string{r.Over.System}, schedule: r.Schedule, keep: r.Keep, atMost: r.AtMost}
		for i := range r.With {
			if s := r.With[i].System; !slices.Contains(c.systems, s) {
				c.systems = append(c.systems, s)
			}
		}
		out = append(out, c)
	}
	return out
}

// compareRule makes a run of a business rule.
func (h *Hub) compareRule(ctx context.Context, sink *compareSink, run *state.Comparison) error {
	now := h.now.Load()
	rule := now.plan.Rule(run.Name)
	if rule == nil {
		return fmt.Errorf("the files name no rule %s any more", run.Name)
	}
	mark, err := compareHub{h}.Mark(ctx)
	if err != nil {
		return fmt.Errorf("note what has come in: %w", err)
	}
	c := rules.Config{Store: ruleStore{h.store, sink.held}, Clock: h.clock, Connector: now.connector, Plan: now.plan, Private: now.private, Spill: spill.Config{Dir: h.spillDir()},
		Knowledge: rules.NewKnowledge(ruleHub{compareHub{h}, mark}, now.plan, rule)}
	r, err := rules.New(c, rule, run.ID, run.Options, sink)
	if err != nil {
		return err
	}
	run.State, run.Summary, run.Detail, err = r.Do(ctx)
	return err
}

// ruleStore keeps what a rule remembers under the lease of its run.
type ruleStore struct {
	*store.Store
	held *lease.Held
}

func (s ruleStore) Remember(ctx context.Context, rule string, objects []state.Remembered) error {
	return s.Store.Remember(ctx, s.held.Lease(), rule, objects)
}

// ruleHub is what runs of rules ask of the hub.
type ruleHub struct {
	compareHub
	mark *reconcile.Mark
}

func (r ruleHub) Trace(ctx context.Context, key string) (state.Trace, error) {
	return r.h.store.Trace(ctx, key)
}

func (r ruleHub) Late(ctx context.Context, flows []string) (map[string]rules.Lateness, error) {
	late, err := r.compareHub.Late(ctx, flows, r.mark)
	out := make(map[string]rules.Lateness, len(late))
	for name, l := range late {
		out[name] = rules.Lateness{Why: l.Why, Stands: l.Stands}
	}
	return out, err
}

// Forget takes away what a rule remembers of an object, also of a rule that the files have no more.
func (h *Hub) Forget(ctx context.Context, rule, object, who, note string) error {
	return h.store.ForgetRemembered(ctx, rule, object, who, note)
}
