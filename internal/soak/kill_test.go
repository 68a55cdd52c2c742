package soak

import (
	"math/rand/v2"
	"strings"
	"syscall"
	"time"

	"github.com/waybill-hub/waybill/internal/failpoint"
)

var killFaults = []fault{
	{Name: "kill -9 at a random point", Setups: both, Goal: 200, Share: 3, Every: true, Run: killAtRandom},
	{Name: "kill -9 at every failpoint", Setups: both, Goal: len(failpoint.All()), Share: 3, Every: true, Run: killAtPoints},
	{Name: "errors and delays at failpoints", Setups: both, Goal: 50, Run: failAtPoints},
	{Name: "torn tails, then a second crash", Setups: []setup{embedded}, Goal: 50, Every: true, Run: tornTails},
	{Name: "reload in mid-flight", Setups: both, Goal: 50, Run: reloadInFlight},
	{Name: "clock steps of an hour", Setups: both, Goal: 20, Run: clockSteps},
	{Name: "both daylight-saving days", Setups: both, Goal: 4, Run: bothDaylightDays},
	{Name: "signed webhooks under clock steps", Setups: both, Goal: 50, Run: signedSteps},
	{Name: "SIGTERM under load", Setups: both, Goal: 100, Share: 2, Run: termUnderLoad},
}

// restAfter so many kills the load stops until everything is brought home: what a hub that is always killed cannot bear would only pile up.
const restAfter = 25

// killAtRandom kills the hub under load of every kind: at work, while it starts, and while it stops.
func killAtRandom(b *budget) {
	w, h := newWide(b.T, b.setup)
	up := h.start()
	rate := float64(b.size(150, 2000))
	end := w.feed(rate, b.size(50, 2000))
	for i := 0; b.more(4); i++ {
		switch i % 4 {
		case 0:
			w.delivered(int64(50+rand.IntN(400)), time.Minute)
			time.Sleep(rand.N(200 * time.Millisecond)) // any point of the work will do
			h.kill()
		case 1: // while it starts
			h.kill()
			h.launch()
			time.Sleep(rand.N(up + up/4)) // any point of the start
			h.kill()
		case 2: // while it stops
			_ = h.cmd.Process.Signal(syscall.SIGTERM)
			time.Sleep(rand.N(400 * time.Millisecond)) // any point of the stop
			h.kill()
		case 3:
			time.Sleep(rand.N(2 * time.Second)) // at any time, whatever it has come to
			h.kill()
		}
		// On Kafka a dead member's place in its groups ends after 15 s: where that is not waited for, it is ended by hand.
		if i%8 != 7 || b.short {
			w.bury()
		}
		took := h.start()
		b.within("getting ready after kill -9", took, 10*time.Second)
		b.happened(took)
		if (i+1)%restAfter == 0 {
			end()
			w.quietWide(5 * time.Minute)
			end = w.feed(rate, b.size(50, 2000))
		}
	}
	end()
	w.quietWide(5 * time.Minute)
	b.judgeWide(w)
	if code := h.stop(); code != 0 {
		b.Errorf("an orderly stop exits %d", code)
	}
}

// stopLimit is the hub's own bound of an orderly stop.
const stopLimit = 45 * time.Second

// termUnderLoad stops the hub in order in the middle of its work. What is under way has no fate then, least of all a wrong one.
func termUnderLoad(b *budget) {
	w, h := newWide(b.T, b.setup)
	h.start()
	end := w.feed(float64(b.size(150, 2000)), b.size(50, 2000))
	for i := 0; b.more(3); i++ {
		// Slow answers keep calls under way when the hub is stopped.
		w.targets["alpha"].be(wicked{Slow: 0.3, SlowFor: 50 + rand.IntN(400)})
		if i%2 == 0 {
			w.delivered(int64(20+rand.IntN(200)), time.Minute)
		}
		time.Sleep(rand.N(300 * time.Millisecond)) // any point of the work will do
		began := time.Now()
		if code := h.stop(); code != 0 {
			b.Errorf("an orderly stop under load exits %d; the log ends with\n%s", code, tail(h.text(), 2000))
		}
		b.within("stopping", time.Since(began), stopLimit)
		took := h.start()
		b.within("getting ready after a stop", took, 10*time.Second)
		b.happened(took)
	}
	w.targets["alpha"].be(wicked{})
	end()
	w.quietWide(5 * time.Minute)
	b.judgeWide(w)
	b.notPoisoned(w, h)
	if code := h.stop(); code != 0 {
		b.Errorf("an orderly stop exits %d", code)
	}
}

// notPoisoned: nothing is parked, for the load is sound; and no cancellation has become the reason of anything.
func (b *budget) notPoisoned(w *world, h *hub) {
	b.Helper()
	for _, q := range h.queued("", "") {
		b.Errorf("%s %s version %s is parked: %s", q.Flow, q.Key, q.Version, q.Reason)
	}
	if st := w.status(); st != nil && st.Totals.Parked+st.Totals.Discarded+st.Totals.Waiting > 0 {
		b.Errorf("parked %d, discarded %d, waiting %d, and nothing should be", st.Totals.Parked, st.Totals.Discarded, st.Totals.Waiting)
	}
	for line := range strings.Lines(h.text()) {
		if strings.Contains(line, "level=ERROR") && strings.Contains(line, "canceled") {
			b.Errorf("a cancellation is logged as an error: %s", line)
		}
	}
}
