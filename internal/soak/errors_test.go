package soak

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/failpoint"
)

// failAtPoints gives errors at the failpoints where something may fail, and lets the hub dawdle at others. All load is sound and
// every error passes, so that nothing may be parked for it.
func failAtPoints(b *budget) {
	w, h := newWide(b.T, b.setup)
	h.start()
	end := w.feed(float64(b.size(100, 500)), b.size(50, 2000))
	have, _ := pointsOf(b.setup)
	// Without a migration to make and a file to cut, these two are not come to.
	have = slices.DeleteFunc(have, func(n failpoint.Name) bool { return n == failpoint.MigrationStatement || n == failpoint.BrokerCut })
	seen := map[failpoint.Name]bool{}
	for b.more(2) {
		var set []string
		var fails []failpoint.Name
		for _, n := range have {
			p := points[n]
			at := 1 + rand.IntN(or(p.most, 10))
			if n == failpoint.StoreApplied {
				at += 5 // a hub that cannot write its store at its very start says so and ends
			}
			switch {
			case p.launch || p.reach != nil && p.after == nil:
			case n.Fails():
				action := "error(made up)"
				if rand.IntN(4) == 0 {
					action = "enospc"
				}
				set = append(set, fmt.Sprintf("%s=%s@%d", n, action, at))
				fails = append(fails, n)
			case rand.IntN(3) == 0:
				set = append(set, fmt.Sprintf("%s=sleep(%dms)@%d", n, 20+rand.IntN(500), at))
			}
		}
		h.kill()
		w.bury()
		from := len(h.text())
		took := h.start(failpoint.Variable + "=" + strings.Join(set, ";"))
		text := ""
		deadline := time.Now().Add(time.Duration(b.size(4, 20)) * time.Second)
		for open := fails; len(open) > 0 && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) { // until the load has come everywhere
			text = h.text()[from:]
			open = slices.DeleteFunc(slices.Clone(open), func(n failpoint.Name) bool {
				return strings.Contains(text, fmt.Sprintf("failpoint %s: error at hit", n))
			})
		}
		for _, n := range have {
			if strings.Contains(text, fmt.Sprintf("failpoint %s: ", n)) {
				seen[n] = true
			}
		}
		for _, n := range fails {
			if !seen[n] && !b.short {
				b.Errorf("%s gave no error", n)
			}
		}
		b.happened(took)
	}
	if len(seen) < 5 {
		b.Errorf("errors and delays came at %d points only", len(seen))
	}
	end()
	w.quietWide(5 * time.Minute)
	b.judgeWide(w)
	b.notPoisoned(w, h)
	if code := h.stop(); code != 0 {
		b.Errorf("an orderly stop exits %d", code)
	}
}
