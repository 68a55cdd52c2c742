package alert

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/notice"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/status"
)

// lookEvery is how often the status is looked at.
const lookEvery = 5 * time.Second

// Store keeps alerts.
type Store interface {
	Alerts(ctx context.Context) ([]state.Alert, error)
	KeepAlerts(ctx context.Context, lease state.Lease, keep, drop []state.Alert) error
}

// Worker tells receivers. One hub of several does, under a lease.
type Worker struct {
	Store  Store
	Clock  lifecycle.Clock
	Log    *slog.Logger
	Hub    string
	Status func(ctx context.Context) (*api.Status, error)
	// StoreTrouble says why the store takes nothing; empty: it does.
	StoreTrouble func() string
	// Settings are those of the plan that runs now, and Link is where people find the console.
	Settings func() (settings *config.Alerts, link string)

	mu   sync.Mutex
	last map[string]time.Duration // when a receiver was told last, by the clock's Elapsed
	bad  map[string]Trouble
	took map[string]time.Time // when a receiver took a message last
	own  []state.Alert        // of the store, which cannot keep them
}

// Trouble is why a receiver cannot be told.
type Trouble struct {
	Since time.Time
	Why   string
}

// Wanted reports whether anybody is to be told of anything.
func (w *Worker) Wanted() bool {
	settings, _ := w.Settings()
	return len(settings.To) > 0
}

// Run looks at the status and tells what is to be told, until ctx ends or the lease does, or nobody is to be told any more.
func (w *Worker) Run(ctx context.Context, lease func() state.Lease) error {
	failures := notice.NewLimiter(w.Clock, w.Log)
	for {
		err := w.look(ctx, lease)
		if err != nil && ctx.Err() == nil {
			failures.Warn("whether there is something to alert of is not known; looking again", err)
		}
		if err == nil && !w.Wanted() {
			return nil
		}
		if err := lifecycle.Sleep(ctx, w.Clock, lookEvery); err != nil {
			return context.Cause(ctx)
		}
	}
}

// look looks once.
func (w *Worker) look(ctx context.Context, lease func() state.Lease) error {
	settings, link := w.Settings()
	rows, err := w.Store.Alerts(ctx)
	if err != nil || len(rows) == 0 && len(settings.To) == 0 {
		return err
	}
	st, err := w.Status(ctx)
	if err != nil {
		return err
	}
	// What is seen is stored before anybody is told: a message that is sent again after a crash is the same one.
	now := w.Clock.Now()
	decisions := decideAll(settings, rows, Seen(st, settings.ParkedOver), now)
	keep, drop := results(decisions, nil)
	if err := w.Store.KeepAlerts(ctx, lease(), keep, append(drop, strangers(settings, rows)...)); err != nil {
		return err
	}
	told := w.tellAll(ctx, settings, decisions, link, now)
	if len(told) == 0 {
		return nil
	}
	// What was told is stored also where the hub ends meanwhile: the lease is given back after this.
	kctx, done := lifecycle.WithTimeout(context.WithoutCancel(ctx), w.Clock, lookEvery, context.DeadlineExceeded)
	defer done()
	keep, drop = results(decisions, told)
	return w.Store.KeepAlerts(kctx, lease(), keep, drop)
}

// RunStore tells, on every hub and without the store, that the store takes nothing, and that it does again, until ctx ends. What was told of it is in memory alone.
func (w *Worker) RunStore(ctx context.Context) {
	for {
		w.lookStore(ctx)
		if lifecycle.Sleep(ctx, w.Clock, lookEvery) != nil {
			return
		}
	}
}

func (w *Worker) lookStore(ctx context.Context) {
	settings, link := w.Settings()
	rows, now := w.Own(), w.Clock.Now()
	var seen []Condition
	if why := w.StoreTrouble(); why != "" {
		seen = append(seen, Condition{config.AlertHub, status.OfStore, why})
	}
	w.forget(settings)
	decisions := decideAll(settings, rows, seen, now)
	keep, drop := results(decisions, w.tellAll(ctx, settings, decisions, link, now))
	drop = append(drop, strangers(settings, rows)...)
	rows = slices.DeleteFunc(rows, func(a state.Alert) bool {
		return slices.ContainsFunc(append(drop, keep...), func(b state.Alert) bool { return a.Receiver == b.Receiver && a.Key == b.Key })
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.own = append(rows, keep...)
}

// Own are the alerts of this hub that its store does not hold.
func (w *Worker) Own() []state.Alert {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.own)
}

// decideAll decides for each receiver, in the order of the settings.
func decideAll(settings *config.Alerts, rows []state.Alert, seen []Condition, now time.Time) []decision {
	out := make([]decision, len(settings.To))
	for i := range settings.To {
		r := &settings.To[i]
		out[i] = decide(settings, r, of(rows, r.Name), seen, now)
	}
	return out
}

// results is what is to be held where those receivers were told.
func results(all []decision, told map[int]bool) (keep, drop []state.Alert) {
	for i := range all {
		k, d := all[i].result(told[i])
		keep, drop = append(keep, k...), append(drop, d...)
	}
	return keep, drop
}

// tellAll tells all receivers at the same time, and gives the places of those who were told.
func (w *Worker) tellAll(ctx context.Context, settings *config.Alerts, all []decision, link string, now time.Time) map[int]bool {
	told := map[int]bool{}
	var mu sync.Mutex
	var sending sync.WaitGroup
	for i := range all {
		sending.Go(func() {
			if w.tell(ctx, settings, &settings.To[i], &all[i], link, now) {
				mu.Lock()
				defer mu.Unlock()
				told[i] = true
			}
		})
	}
	sending.Wait()
	return told
}

// strangers are the alerts of receivers that are none any more.
func strangers(settings *config.Alerts, rows []state.Alert) (out []state.Alert) {
	for i := range rows {
		if !slices.ContainsFunc(settings.To, func(r config.AlertReceiver) bool { return r.Name == rows[i].Receiver }) {
			out = append(out, rows[i])
		}
	}
	return out
}

func of(rows []state.Alert, receiver string) (out []state.Alert) {
	for i := range rows {
		if rows[i].Receiver == receiver {
			out = append(out, rows[i])
		}
	}
	return out
}

// result is what the store is to hold, each alert once.
func (d *decision) result(told bool) (keep, drop []state.Alert) {
	if !told {
		return d.keep, d.drop
	}
	same := func(list []state.Alert, a *state.Alert) bool {
		return slices.ContainsFunc(list, func(b state.Alert) bool { return b.Key == a.Key })
	}
	for i := range d.keep {
		if a := &d.keep[i]; !same(d.said, a) && !same(d.done, a) {
			keep = append(keep, *a)
		}
	}
	return append(keep, d.said...), append(slices.Clone(d.drop), d.done...)
}

// tell sends what there is to say, where the last message is long enough ago, and reports whether it was sent.
func (w *Worker) tell(ctx context.Context, settings *config.Alerts, r *config.AlertReceiver, d *decision, link string, now time.Time) bool {
	if len(d.say) == 0 {
		return false
	}
	at := w.Clock.Elapsed()
	w.mu.Lock()
	last, was := w.last[r.Name]
	w.mu.Unlock()
	if was && at-last < max(settings.Every, lookEvery) {
		return false
	}
	err := send(ctx, r, newMessage(w.Hub, link, r.Name, d.say, now), w.Log)
	if ctx.Err() != nil {
		return err == nil
	}
	w.note(r.Name, at, now, err)
	return err == nil
}

// note keeps what came of a try; a try that failed is made again after as long as one that went well.
func (w *Worker) note(receiver string, at time.Duration, now time.Time, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.last == nil {
		w.last, w.bad = map[string]time.Duration{}, map[string]Trouble{}
	}
	w.last[receiver] = at
	before, was := w.bad[receiver]
	if err != nil {
		w.bad[receiver] = Trouble{Since: cmp.Or(before.Since, now), Why: err.Error()}
		if !was {
			w.Log.Warn("a receiver of alerts cannot be told; it is tried again", "receiver", receiver, "error", err)
		}
		return
	}
	w.reached(receiver, now)
	if was {
		w.Log.Info("a receiver of alerts is told again", "receiver", receiver, "since", before.Since.UTC().Format(time.RFC3339))
	}
}

// reached notes that a receiver has taken a message; w.mu is held.
func (w *Worker) reached(receiver string, now time.Time) {
	if w.took == nil {
		w.took = map[string]time.Time{}
	}
	w.took[receiver] = now
	delete(w.bad, receiver)
}

// forget drops what is known of receivers that are none any more.
func (w *Worker) forget(settings *config.Alerts) {
	w.mu.Lock()
	defer w.mu.Unlock()
	gone := func(name string) bool {
		return !slices.ContainsFunc(settings.To, func(r config.AlertReceiver) bool { return r.Name == name })
	}
	maps.DeleteFunc(w.bad, func(name string, _ Trouble) bool { return gone(name) })
	maps.DeleteFunc(w.took, func(name string, _ time.Time) bool { return gone(name) })
}

// Troubles says which receivers this hub could not tell, by name.
func (w *Worker) Troubles() map[string]Trouble {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.bad)
}

// Took says when receivers took a message of this hub last, by name; those that took none are missing.
func (w *Worker) Took() map[string]time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.took)
}

// Test sends a receiver a test, also in quiet hours; one that takes it can be told again. state.ErrNotFound when there is none of the name.
func (w *Worker) Test(ctx context.Context, receiver string) error {
	settings, link := w.Settings()
	for i := range settings.To {
		if r := &settings.To[i]; r.Name == receiver {
			err := send(ctx, r, &Message{ID: "alert_" + rand.Text(), Time: w.Clock.Now(), Hub: w.Hub, Link: link, Test: true}, w.Log)
			if err == nil {
				w.mu.Lock()
				defer w.mu.Unlock()
				w.reached(receiver, w.Clock.Now())
			}
			return err
		}
	}
	return fmt.Errorf("receiver %q: %w", receiver, state.ErrNotFound)
}
