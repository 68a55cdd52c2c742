package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/bus"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/failpoint"
	"github.com/waybill-hub/waybill/internal/intake"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Time that parts get to end what they are at during a reload. What takes longer is fenced off: by leases and epochs the store
// refuses what it still wants to say.
const (
	closeSources = 20 * time.Second
	stopFlows    = 30 * time.Second
)

// change is another plan made ready to run: everything that can fail has been done, and nothing that runs was touched.
type change struct {
	plan    *config.Plan
	flows   config.Difference
	systems config.Difference
	// reconciliations and rules hold nothing open: what differs is told.
	reconciliations, rules config.Difference
	opened                 map[string]*system // of the new plan: added or changed ones
	all                    map[string]*system // of the new plan
	runners                []*running         // of added and changed flows
	intake                 *intake.Change
	certificates           []func() // turn to the certificates that the new plan names
}

// Reload loads all files again and changes over to what differs in them. Flows of which nothing differs go on untouched. Files with
// problems (*api.BadFiles), and settings that a running hub cannot change (*api.NeedsRestart), change nothing. Reloads are made one
// after the other; a stopping hub makes none.
func (h *Hub) Reload(ctx context.Context, who string) (*api.Reload, error) {
	done, err := h.reload(ctx, who)
	var bad *api.BadFiles
	switch {
	case err == nil:
		h.metrics.Reloaded("done")
		return done, nil
	case errors.As(err, &bad):
		for _, p := range bad.Problems {
			at := strictyaml.Problem{Pos: strictyaml.Pos{File: p.File, Line: p.Line, Col: p.Column}, Message: p.Message, Hint: p.Hint}
			h.log.Error("a file has a problem", "problem", at.String())
		}
	}
	h.metrics.Reloaded("refused")
	h.log.Error("the reload was refused; the hub goes on as before", "by", who, "error", err)
	return nil, err
}

func (h *Hub) reload(ctx context.Context, who string) (*api.Reload, error) {
	if h.load == nil {
		return nil, api.ErrNoFiles
	}
	leave, err := h.take(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	if !h.isReady() {
		return nil, errNotReady
	}
	// A stop ends the preparation; what it ends otherwise is asked for between the steps.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(h.life, func() { cancel(context.Cause(h.life)) })()
	c, err := h.prepare(ctx)
	if err != nil {
		return nil, h.orStopping(err)
	}
	now := &current{plan: c.plan, loaded: h.clock.Now(), systems: c.all}
	detail := fmt.Sprintf("flows: %s; systems: %s; reconciliations: %s; rules: %s", summary(&c.flows), summary(&c.systems), summary(&c.reconciliations), summary(&c.rules))
	err = h.store.WriteAudit(ctx, state.Audit{Who: who, Action: "reload", Object: "plan/" + shortHash(c.plan), Detail: detail,
		Before: "plan " + shortHash(h.plan()), After: "plan " + shortHash(c.plan) + changedNames(c) + accessChange(h.plan(), c.plan)})
	if err != nil {
		return nil, h.orStopping(errors.Join(err, closeSystems(c.opened)))
	}
	failpoint.Hit(failpoint.ReloadAudited)
	h.log.Info("reloading", "by", who, "plan", shortHash(c.plan), "flows", summary(&c.flows), "systems", summary(&c.systems), "reconciliations", summary(&c.reconciliations), "rules", summary(&c.rules))
	// From here on it is gone through with, whether whoever asked still listens or not.
	out := &api.Reload{Plan: planView(now), Flows: changesView(&c.flows), Systems: changesView(&c.systems), Reconciliations: changesView(&c.reconciliations), Rules: changesView(&c.rules)}
	warnings, err := h.changeOver(context.WithoutCancel(ctx), c, now)
	if err != nil {
		return nil, err
	}
	for _, w := range warnings {
		out.Warnings = append(out.Warnings, w.Error())
		h.log.Warn("reload: something did not go as it should", "error", w)
	}
	h.log.Info("reloaded", "plan", out.Plan.Hash, "took", h.clock.Now().Sub(now.loaded))
	return out, nil
}

// changedNames are what a reload changes, for the audit.
func changedNames(c *change) string {
	var b strings.Builder
	for _, part := range []struct {
		name string
		of   *config.Difference
	}{{"flows", &c.flows}, {"systems", &c.systems}, {"reconciliations", &c.reconciliations}, {"rules", &c.rules}} {
		for _, how := range []struct {
			word  string
			names []string
		}{{"added", part.of.Added}, {"changed", part.of.Changed}, {"removed", part.of.Removed}} {
			if len(how.names) > 0 {
				fmt.Fprintf(&b, "\n%s %s: %s", part.name, how.word, strings.Join(how.names, ", "))
			}
		}
	}
	return b.String()
}

// orStopping says of a reload that failed while the hub was told to stop that this is why: what it had asked was broken off.
func (h *Hub) orStopping(err error) error {
	if h.life.Err() == nil {
		return err
	}
	return fmt.Errorf("%w: %w", context.Cause(h.life), err)
}

// prepare does everything that can fail, before anything that runs is touched.
func (h *Hub) prepare(ctx context.Context) (_ *change, err error) {
	plan, problems := h.load()
	if problems.Len() > 0 {
		return nil, &api.BadFiles{Problems: problemViews(problems)}
	}
	old := h.plan()
	if settings := old.RestartFor(plan); len(settings) > 0 {
		return nil, &api.NeedsRestart{Settings: settings}
	}
	c := &change{plan: plan, flows: old.FlowsTo(plan), systems: old.SystemsTo(plan), reconciliations: old.ReconciliationsTo(plan), rules: old.RulesTo(plan), opened: map[string]*system{}, all: map[string]*system{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, closeSystems(c.opened))
		}
	}()
	for _, name := range slices.Concat(c.systems.Added, c.systems.Changed) {
		if c.opened[name], err = h.openSystem(ctx, plan.Systems[name]); err != nil {
			delete(c.opened, name)
			return nil, err
		}
		c.all[name] = c.opened[name]
	}
	open := h.systems()
	for _, name := range c.systems.Same {
		c.all[name] = open[name]
	}
	for _, name := range slices.Concat(c.flows.Added, c.flows.Changed) {
		r, err := h.newRunning(plan.Flow(name), plan, c.all)
		if err != nil {
			return nil, fmt.Errorf("flow %s: %w", name, err)
		}
		c.runners = append(c.runners, r)
	}
	sources, err := h.sources(plan, c.all)
	if err != nil {
		return nil, err
	}
	same := func(flow string) bool { return slices.Contains(c.flows.Same, flow) }
	if c.intake, err = h.intake.Prepare(sources, same); err != nil {
		return nil, err
	}
	if c.certificates, err = h.moveCertificates(plan); err != nil {
		return nil, err
	}
	if err := h.learnPaused(ctx); err != nil {
		return nil, err
	}
	return c, h.ensureNew(ctx, old, plan)
}

// ensureNew makes the topics that only the new plan has.
func (h *Hub) ensureNew(ctx context.Context, old, plan *config.Plan) error {
	known := map[string]bool{}
	for _, t := range topics(old) {
		known[t.Name] = true
	}
	return h.makeTopics(ctx, slices.DeleteFunc(topics(plan), func(t bus.Topic) bool { return known[t.Name] }), plan)
}

// changeOver takes the steps, each of which a crash may follow: the next start finds all files and everything that was accepted. What
// comes in is stopped before the work, the work before the systems it writes to; then the new ones begin in reverse. Webhooks
// are taken all the time.
func (h *Hub) changeOver(ctx context.Context, c *change, next *current) (warnings []error, err error) {
	note := func(err error) {
		if err != nil {
			warnings = append(warnings, err)
		}
	}
	within := func(d time.Duration, f func(context.Context) error) error {
		bounded, cancel := lifecycle.WithTimeout(ctx, h.clock, d, context.DeadlineExceeded)
		defer cancel()
		return f(bounded)
	}
	release := h.comparing.hold()
	defer release()
	goOn := h.backfilling.hold()
	defer goOn()
	note(within(closeSources, c.intake.Close))
	failpoint.Hit(failpoint.ReloadSourcesClosed)

	note(within(stopFlows, func(ctx context.Context) error {
		return h.stopFlows(ctx, h.named(slices.Concat(c.flows.Changed, c.flows.Removed)))
	}))
	failpoint.Hit(failpoint.ReloadFlowsStopped)

	gone := map[string]*system{}
	for _, name := range slices.Concat(c.systems.Changed, c.systems.Removed) {
		gone[name] = h.systems()[name]
	}
	h.mu.Lock()
	for _, name := range c.flows.Removed {
		delete(h.runners, name)
	}
	h.mu.Unlock()
	h.run(next)
	for _, name := range c.flows.Removed {
		h.metrics.Forget(name)
	}
	for _, name := range c.systems.Removed {
		h.metrics.ForgetSystem(name)
	}
	note(closeSystems(gone))
	if c.flows.Any() { // topics that are new become known before anything reads or writes them
		if _, err := h.logs.Look(ctx); err != nil {
			note(fmt.Errorf("the topics' logs could not be looked at; that comes later: %w", err))
			h.logs.LookSoon()
		}
	}
	failpoint.Hit(failpoint.ReloadSystemsClosed)

	if h.life.Err() != nil {
		return nil, context.Cause(h.life) // the stop takes down what there is; the next start begins with the new files
	}
	for _, r := range c.runners {
		if err := h.startFlow(ctx, r); err != nil {
			// It stands still and says why; the others go on. A person can resume it.
			r.RaiseAlarm("reload", err)
			note(fmt.Errorf("flow %s: %w", r.Flow().Name, err))
		}
	}
	failpoint.Hit(failpoint.ReloadFlowsStarted)

	c.intake.Open()
	h.api.SetAccess(apiAccess(c.plan, h.clock))
	for _, turn := range c.certificates {
		turn()
	}
	note(h.changeJobs(ctx))
	failpoint.Hit(failpoint.ReloadDone)
	return warnings, nil
}

// moveCertificates reads the certificates that a plan names.
func (h *Hub) moveCertificates(plan *config.Plan) (turns []func(), err error) {
	for _, c := range h.certificates {
		files := map[string]*config.ServerTLS{"http": plan.Hub.HTTP.TLS, "hooks": plan.Hub.Hooks.TLS}[c.listener]
		turn, err := c.Move(files.Cert, files.Key)
		if err != nil {
			return nil, fmt.Errorf("%s.tls: %w", c.listener, err)
		}
		turns = append(turns, turn)
	}
	return turns, nil
}

// named are the runners of these flows.
func (h *Hub) named(names []string) []*running {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []*running
	for _, name := range names {
		if r := h.runners[name]; r != nil {
			out = append(out, r)
		}
	}
	return out
}

func shortHash(plan *config.Plan) string { return plan.Digest[:min(12, len(plan.Digest))] }

func planView(c *current) api.Plan { return api.Plan{Hash: shortHash(c.plan), LoadedAt: c.loaded} }

func changesView(d *config.Difference) api.Changes {
	list := func(names []string) []string { return append([]string{}, names...) } // never null
	return api.Changes{Added: list(d.Added), Changed: list(d.Changed), Removed: list(d.Removed), Unchanged: len(d.Same)}
}

func summary(d *config.Difference) string {
	return fmt.Sprintf("%d added, %d changed, %d removed, %d unchanged", len(d.Added), len(d.Changed), len(d.Removed), len(d.Same))
}

func problemViews(p *strictyaml.Problems) []api.FileProblem {
	var out []api.FileProblem
	for _, x := range p.List() {
		out = append(out, api.FileProblem{File: x.File, Line: x.Line, Column: x.Col, Message: x.Message, Hint: x.Hint})
	}
	return out
}
