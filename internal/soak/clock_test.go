package soak

import (
	"os"
	"path/filepath"
	"time"
)

// clockSteps sets the hub's wall clock an hour forward and an hour back while it works, with calls whose outcome nobody knows, messages
// that rest until a deadline, leases, and sources that are read every so often. Nothing is parked for it, and nothing rests for an hour.
// The targets, the senders and PostgreSQL keep their own time.
func clockSteps(b *budget) {
	w, h := newWide(b.T, b.setup)
	file := filepath.Join(w.p.dir, "clock")
	h.env = append(h.env, "WAYBILL_CLOCK_OFFSET_FILE="+file)
	step := func(by time.Duration) {
		// Written beside and renamed: the hub must never read half of it.
		if err := os.WriteFile(file+".tmp", []byte(by.String()), 0o644); err != nil {
			b.Fatal(err)
		}
		if err := os.Rename(file+".tmp", file); err != nil {
			b.Fatal(err)
		}
	}
	step(0)
	h.start()
	steps := []time.Duration{-time.Hour, 0, time.Hour, 0}
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
		step(steps[n%len(steps)])
		w.delivered(50, time.Minute) // it works on behind the step
		w.targets["alpha"].be(wicked{})
		end()
		took := w.quietWide(2 * time.Minute)
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
