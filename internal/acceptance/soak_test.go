package acceptance

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/sandbox"
)

var (
	soakFor  = flag.Duration("soak.for", 0, "how long TestSoak kills the hub among wicked systems; 0: it is left out")
	soakSeed = flag.Uint64("soak.seed", 1, "makes the kills of TestSoak come at the same amounts of work")
)

// TestSoak kills the hub again and again while all systems are wicked, and lets everything come to rest from time to time to
// compare the systems object by object. Its last line is the result.
func TestSoak(t *testing.T) {
	if *soakFor == 0 {
		t.Skip("a long run: `make soak FOR=10m` makes it")
	}
	p := newProject(t)
	w := startWorld(t, p, sandbox.Options{Seed: int64(*soakSeed), Rate: 25, Chaos: sandbox.Wicked()})
	h := p.run(t, w.Env())
	dice := rand.New(rand.NewPCG(*soakSeed, 1))
	end := time.Now().Add(*soakFor)
	kills, rounds := 0, 0
	for time.Now().Before(end) {
		for range 5 {
			goal := h.status().Totals.Delivered + 20 + dice.Int64N(300)
			h.await("work under way", 2*time.Minute, func() bool { return h.status().Totals.Delivered >= goal })
			h.kill()
			h.start()
			kills++
		}
		w.Quiesce()
		st := settle(t, h, w)
		checkTotals(t, st)
		checkWorld(t, h, w)
		rounds++
		fmt.Printf("soak: %s left, %d kills, %d comparisons, accepted %d, delivered %d, parked %d, waiting %d\n",
			time.Until(end).Round(time.Second), kills, rounds, st.Totals.Accepted, st.Totals.Delivered, st.Totals.Parked, st.Totals.Waiting)
		if t.Failed() {
			break
		}
		w.Resume()
	}
	w.Quiesce()
	st := settle(t, h, w)
	lost, doubled := h.worldErrors(w)
	fmt.Printf("soak: messages=%d lost=%d doubled=%d unaccounted=%d faults=%d\n", st.Totals.Accepted, lost, doubled+int(st.Totals.Duplicates), st.Totals.Unaccounted, kills)
}

// worldErrors counts what the comparison of the systems calls missing and duplicate.
func (h *hub) worldErrors(w *sandbox.World) (lost, doubled int) {
	h.t.Helper()
	snapshot, err := w.Snapshot()
	if err != nil {
		h.t.Fatal(err)
	}
	odd, err := w.Odd()
	if err != nil {
		h.t.Fatal(err)
	}
	for _, p := range sandbox.Compare(snapshot, sandbox.CompareOptions{Ignore: h.resting(), Odd: odd}).Problems {
		switch p.What {
		case "missing":
			lost++
		case "duplicate":
			doubled++
		}
	}
	return lost, doubled
}
