package soak

import (
	"database/sql"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// wallClock is the wall clock of hubs: the machine's, set forward or back. Targets, senders and PostgreSQL keep the machine's own.
type wallClock struct {
	t    *testing.T
	file string

	mu    sync.Mutex
	steps []clockStep
}

// clockStep is a setting of the clock: from then on the hubs' clock is off by so much. A hub looks for it every ten milliseconds.
type clockStep struct {
	at time.Time
	by time.Duration
}

// noticed is how long after a step every hub has surely seen it.
const noticed = 50 * time.Millisecond

// newClock gives the hubs of a project a clock, as yet right. Hubs get its variable when they are made.
func newClock(t *testing.T, p *project) *wallClock {
	t.Helper()
	c := &wallClock{t: t, file: filepath.Join(p.dir, "clock")}
	p.Env = append(p.Env, "WAYBILL_CLOCK_OFFSET_FILE="+c.file)
	c.step(0)
	return c
}

func (c *wallClock) step(by time.Duration) {
	c.t.Helper()
	// Written beside and renamed: a hub must never read half of it.
	if err := os.WriteFile(c.file+".tmp", []byte(by.String()), 0o644); err != nil {
		c.t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := os.Rename(c.file+".tmp", c.file); err != nil {
		c.t.Fatal(err)
	}
	c.steps = append(c.steps, clockStep{time.Now(), by})
}

// now is the step in force.
func (c *wallClock) now() clockStep {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.steps[len(c.steps)-1]
}

// set makes the clock show a time, or up to a second more: it shares the parts of a second with the machine's.
func (c *wallClock) set(to time.Time) {
	c.t.Helper()
	c.step(to.Add(time.Second - 1).Sub(time.Now().Round(0)).Truncate(time.Second))
}

// shown is what the hubs' clock showed at a time of the machine's.
func (c *wallClock) shown(at time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	by := c.steps[0].by
	for _, s := range c.steps {
		if s.at.Before(at) {
			by = s.by
		}
	}
	return at.Round(0).Add(by)
}

// clockSteps sets the hub's wall clock an hour back and forward while it works, and right again, with calls whose outcome nobody knows,
// messages that rest until a deadline, leases, and sources that are read every so often. Nothing is parked for it, and nothing rests for an hour.
func clockSteps(b *budget) {
	var clock *wallClock
	w, h := newWide(b.T, b.setup, func(p *project) { clock = newClock(b.T, p) })
	h.start()
	steps := []time.Duration{-time.Hour, time.Hour}
	held := 0
	for n := 0; b.more(2); n++ {
		end := w.feed(float64(b.size(100, 500)), b.size(50, 2000))
		// Lost answers and a kill leave creates in doubt, which rest until the deadline of the dead call is over.
		w.targets["alpha"].be(wicked{Drop: 0.3, Lag: 500})
		w.delivered(20, time.Minute)
		h.kill()
		w.bury()
		h.start()
		deadline := time.Now().Add(2 * time.Second)
		for held == 0 && time.Now().Before(deadline) {
			for _, f := range []string{"customers-to-alpha", "orders-to-alpha", "products-to-alpha", "shipments-to-alpha", "invoices-to-alpha"} {
				var got struct {
					Parked []struct {
						State string `json:"state"`
					} `json:"parked"`
				}
				if h.get("/api/v1/parked?state=held&flow="+w.p.flow(f), &got) == nil {
					held += len(got.Parked)
				}
			}
		}
		clock.step(steps[n%len(steps)])
		w.delivered(50, time.Minute) // it works on behind the step
		w.readBehind(30 * time.Second)
		clock.step(0)
		w.delivered(20, time.Minute)
		w.readBehind(30 * time.Second)
		w.targets["alpha"].be(wicked{})
		end()
		took := w.quietWide(5 * time.Minute)
		if !b.short {
			b.within("what rested at the step", took, time.Minute)
		}
		b.happened(took)
	}
	if held == 0 {
		b.Log("nothing rested at a step")
	}
	b.judgeWide(w)
	b.notPoisoned(w, h)
	if code := h.stop(); code != 0 {
		b.Errorf("an orderly stop exits %d", code)
	}
}

// readBehind waits until the polled system has been read twice more: the second time at the earliest was due by the clock as it is now.
func (w *world) readBehind(limit time.Duration) {
	w.t.Helper()
	people := w.targets["beta"]
	before := people.polls()
	for deadline := time.Now().Add(limit); people.polls() < before+2; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("the polled system has not been read for %s behind a step of the clock", limit)
		}
	}
}

// readUntil is when the hubs have last committed what they have read for a flow, by their own clock. What comes due during a read is left
// out, and a clock that is set meanwhile makes a read long: who sets it waits for this first.
func (w *world) readUntil(flow string) (at time.Time) {
	w.t.Helper()
	driver, source := "pgx", w.p.Store
	if w.p.setup == embedded {
		driver, source = "sqlite", "file:"+filepath.Join(w.p.DataDir, "waybill.db")+"?mode=ro&_pragma=busy_timeout(5000)"
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	var updated int64
	err = db.QueryRowContext(w.t.Context(), "SELECT COALESCE(MAX(updated), 0) FROM cursors WHERE flow = '"+w.p.flow(flow)+"'").Scan(&updated)
	if err != nil {
		w.t.Logf("the cursors cannot be read: %v", err)
	}
	return time.Unix(0, updated)
}

// overSoon is how long after its commit a read is over.
const overSoon = 100 * time.Millisecond
