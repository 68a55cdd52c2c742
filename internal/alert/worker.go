package alert

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/notice"
	"github.com/waybill-hub/waybill/internal/state"
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
	// Settings are those of the plan that runs now, and Link is where people find the console.
	Settings func() (settings *config.Alerts, link string)

	mu   sync.Mutex
	last map[string]time.Duration // when a receiver was told last, by the clock's Elapsed
	bad  map[string]Trouble
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
	seen, now := Seen(st, settings.ParkedOver), w.Clock.Now()
	var keep, drop []state.Alert
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range settings.To {
		r := &settings.To[i]
		d := decide(settings, r, of(rows, r.Name), seen, now)
		all.Go(func() {
			told := w.tell(ctx, settings, r, &d, link, now)
			mu.Lock()
			defer mu.Unlock()
			k, x := d.result(told)
			keep, drop = append(keep, k...), append(drop, x...)
		})
	}
	all.Wait()
	for i := range rows {
		if !slices.ContainsFunc(settings.To, func(r config.AlertReceiver) bool { return r.Name == rows[i].Receiver }) {
			drop = append(drop, rows[i]) // the receiver is none any more
		}
	}
	w.forget(settings)
	return w.Store.KeepAlerts(ctx, lease(), keep, drop)
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
	switch {
	case err != nil:
		w.bad[receiver] = Trouble{Since: cmp.Or(before.Since, now), Why: err.Error()}
		if !was {
			w.Log.Warn("a receiver of alerts cannot be told; it is tried again", "receiver", receiver, "error", err)
		}
	case was:
		delete(w.bad, receiver)
		w.Log.Info("a receiver of alerts is told again", "receiver", receiver, "since", before.Since.UTC().Format(time.RFC3339))
	}
}

// forget drops what is known of receivers that are none any more.
func (w *Worker) forget(settings *config.Alerts) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name := range w.bad {
		if !slices.ContainsFunc(settings.To, func(r config.AlertReceiver) bool { return r.Name == name }) {
			delete(w.bad, name)
		}
	}
}

// Troubles says which receivers this hub could not tell, by name.
func (w *Worker) Troubles() map[string]Trouble {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make(map[string]Trouble, len(w.bad))
	for name, t := range w.bad {
		out[name] = t
	}
	return out
}

// Test sends a receiver a test, also in quiet hours. state.ErrNotFound when there is none of the name.
func (w *Worker) Test(ctx context.Context, receiver string) error {
	settings, link := w.Settings()
	for i := range settings.To {
		if r := &settings.To[i]; r.Name == receiver {
			return send(ctx, r, &Message{ID: "alert_" + rand.Text(), Time: w.Clock.Now(), Hub: w.Hub, Link: link, Test: true}, w.Log)
		}
	}
	return fmt.Errorf("receiver %q: %w", receiver, state.ErrNotFound)
}
