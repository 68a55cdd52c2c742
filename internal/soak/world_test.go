package soak

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
)

// world is one test's hubs, targets and senders.
type world struct {
	t       *testing.T
	p       *project
	targets map[string]*target
	hubs    []*hub
	ledger  *ledger
	senders *senders

	mu sync.Mutex
	up map[*hub]bool // hubs that senders may push to
}

// newWorld starts the targets; change may alter the project before its files are written. Hubs are started by the test.
func newWorld(t *testing.T, s setup, change ...func(*project)) *world {
	t.Helper()
	p := newProject(t, s)
	w := &world{t: t, p: p, targets: map[string]*target{}, ledger: newLedger(), up: map[*hub]bool{}}
	w.senders = &senders{w: w}
	for _, name := range []string{"alpha", "beta"} {
		w.targets[name] = startTarget(t, filepath.Join(p.dir, name+".log"))
	}
	for _, f := range change {
		f(p)
	}
	p.files(t)
	return w
}

// hub makes a hub of the project, not yet started; it is killed when the test ends.
func (w *world) hub() *hub {
	w.t.Helper()
	h := &hub{t: w.t, w: w, name: fmt.Sprintf("hub%d", len(w.hubs)), http: freePort(w.t), hooks: freePort(w.t), env: append([]string{"WAYBILL_SOAK_STORE_URL=" + w.p.Store}, w.p.Env...)}
	h.file = w.p.config(w.t, h.name, h.http, h.hooks, w.targets)
	w.hubs = append(w.hubs, h)
	w.t.Cleanup(func() {
		h.kill()
		if w.t.Failed() {
			w.t.Logf("the log of %s ends with:\n%s", h.name, tail(h.text(), 6000))
		}
	})
	w.offer(h, true)
	return h
}

// offer tells senders that a hub may be pushed to, or not; a hub that was made is offered.
func (w *world) offer(h *hub, yes bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.up[h] = yes
}

func (w *world) hooks() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, h := range w.hubs {
		if w.up[h] {
			out = append(out, h.hooks)
		}
	}
	return out
}

// bearable is how many documents a second two cores bring home that carry the targets, the senders, another fault's hubs and, on Kafka,
// the broker and the database as well. More would measure how long a backlog takes, and no fault.
var bearable = map[setup]float64{embedded: 500, onKafka: 150}

// background sends a load until the function it gives is called; that waits until the last request has its promise.
func (w *world) background(l load) (end func()) {
	if l.Rate > 0 {
		l.Rate = min(l.Rate, bearable[w.p.setup])
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.senders.send(ctx, l)
	}()
	end = sync.OnceFunc(func() { cancel(); <-done })
	w.t.Cleanup(end)
	return end
}

// status asks any hub that answers.
func (w *world) status() *api.Status {
	for _, h := range w.hubs {
		if h.alive() {
			if st := h.status(); st != nil {
				return st
			}
		}
	}
	return nil
}

// flowStatus is one flow's part of the status, by its short name.
func (w *world) flowStatus(name string) *api.Flow {
	st := w.status()
	if st == nil {
		return nil
	}
	for i := range st.Flows {
		if st.Flows[i].Name == w.p.flow(name) {
			return &st.Flows[i]
		}
	}
	return nil
}

// quiet waits until nothing is in flight any more, and gives the time that took.
func (w *world) quiet(limit time.Duration) time.Duration {
	w.t.Helper()
	began := time.Now()
	deadline := began.Add(limit)
	var last api.Totals
	same := 0
	for {
		st := w.status()
		if st != nil && st.AtRest() && st.Totals == last {
			if same++; same >= 5 {
				return time.Since(began)
			}
		} else {
			same = 0
		}
		if st != nil {
			last = st.Totals
		}
		if time.Now().After(deadline) {
			unfinished := w.unfinished()
			for _, h := range w.hubs {
				h.dump()
			}
			w.t.Fatalf("not quiet within %s: %+v\n%s", limit, last, unfinished)
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-w.t.Context().Done():
			w.t.FailNow()
		}
	}
}

// delivered waits until the flows to systems have delivered n more than before; it is how a fault comes in the middle of work.
func (w *world) delivered(n int64, limit time.Duration) {
	w.t.Helper()
	deadline := time.Now().Add(limit)
	start := int64(-1)
	for {
		if st := w.status(); st != nil {
			if start < 0 {
				start = st.Totals.Delivered
			}
			if st.Totals.Delivered >= start+n {
				return
			}
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("no %d deliveries within %s", n, limit)
		}
		time.Sleep(50 * time.Millisecond) // a status costs the hub as much as some messages
	}
}

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// unfinished says what the hub has not brought to an end, for a person who looks at a failed test.
func (w *world) unfinished() string {
	var b strings.Builder
	if st := w.status(); st != nil {
		for _, f := range st.Flows {
			if f.InFlight > 0 || f.State != api.StateRunning {
				fmt.Fprintf(&b, "%s: %s %s, lag %d, in flight %d, waiting %d, parked %d\n", f.Name, f.State, f.Why, f.Lag, f.InFlight, f.Waiting, f.Parked)
			}
		}
	}
	for _, h := range w.hubs {
		var got struct {
			Parked []api.Queued `json:"parked"`
		}
		if h.alive() && h.get("/api/v1/parked?limit=20", &got) == nil {
			for _, q := range got.Parked {
				fmt.Fprintf(&b, "%s %s %s version %s: %s (%s), follower %t, not before %v\n", q.Flow, q.State, q.Key, q.Version, q.Reason, q.Kind, q.Follower, q.NotBefore)
			}
			break
		}
	}
	return b.String()
}
