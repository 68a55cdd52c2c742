package soak

import (
	"fmt"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
)

var targetFaults = []fault{
	{Name: "answers lost after applying, 5%", Setups: both, Goal: 20, Run: lostAnswers(0.05)},
	{Name: "answers lost after applying, 50%", Setups: both, Goal: 20, Run: lostAnswers(0.5)},
	{Name: "429 and 5xx storms, an outage", Setups: both, Goal: 5, Run: storms},
}

// numbered gives the customers' prefix of one repetition and the orders' of the same numbers.
func numbered(rep int) (customers, orders string) {
	return fmt.Sprintf("C%d-", rep), fmt.Sprintf("O%d-", rep)
}

// customerOf is the customer of an order of the same number.
func customerOf(no string) string { return "C" + no[1:] }

// count counts the calls of the hub that hold what is asked for.
func count(calls []call, is func(c *call) bool) (n int64) {
	for i := range calls {
		if calls[i].By == "" && is(&calls[i]) {
			n++
		}
	}
	return n
}

// lostAnswers: targets apply and cut the connection, or apply and answer 500, for creates and updates; what is there can be looked up
// only within visible-after.
func lostAnswers(share float64) func(b *budget) {
	return func(b *budget) {
		w := newWorld(b.T, b.setup, func(p *project) {
			if b.short {
				p.Backoff = "20ms..200ms"
			}
		})
		w.hub().start()
		alpha, beta := w.targets["alpha"], w.targets["beta"]
		for b.more(1) {
			alpha.be(wicked{Drop: share, Lag: 90})
			beta.be(wicked{AfterError: share, Lag: 90})
			if b.reps%2 == 1 {
				alpha.be(wicked{Drop: share / 2, AfterError: share / 2, Lag: 90})
				beta.be(wicked{Drop: share, Lag: 90})
			}
			customers, orders := numbered(b.reps)
			keys := b.size(5, 200)
			end := w.background(load{Prefix: customers, Keys: keys, Count: int64(b.size(60, 6000))})
			w.senders.send(b.Context(), load{Entity: "order", Prefix: orders, Keys: keys, Count: int64(b.size(20, 3000)), Customer: customerOf})
			end()
			took := w.quiet(3 * time.Minute) // with wicked targets
			if !b.short {
				b.within("draining after lost answers", took, time.Minute)
			}
			b.happened(took)
		}
		b.judge(w, rules{})
		var lost [2]int64
		for _, g := range w.targets {
			calls := g.calls()
			lost[0] += count(calls, func(c *call) bool { return c.Applied && c.Method == "POST" && (c.Status == 0 || c.Status == 500) })
			lost[1] += count(calls, func(c *call) bool { return c.Applied && c.Method == "PATCH" && (c.Status == 0 || c.Status == 500) })
		}
		b.Logf("answers lost: %d of creates, %d of updates", lost[0], lost[1])
		if lost[0] == 0 || lost[1] == 0 {
			b.Error("no answer was lost")
		}
	}
}

// storms: the target answers most writes with 503, 500 or 429 for a while, then nothing at all, then only one key in twenty fails; then it
// asks the hub to come later. An outage parks nothing, and what was held goes on in order.
func storms(b *budget) {
	w := newWorld(b.T, b.setup)
	h := w.hub()
	h.start()
	alpha := w.targets["alpha"]
	wait := func(short, long time.Duration) {
		if b.short {
			long = short
		}
		select {
		case <-time.After(long): // the length of the storm
		case <-b.Context().Done():
		}
	}
	for b.more(1) {
		customers, orders := numbered(b.reps)
		rate := float64(b.size(200, 1000))
		text := func(no string) string {
			if strings.HasSuffix(no, "7") {
				return "a sick one: " + no
			}
			return no
		}
		end := w.background(load{Prefix: customers, Keys: 50, Rate: rate, Text: text})
		ordersEnd := w.background(load{Entity: "order", Prefix: orders, Keys: 50, Rate: rate / 4, Customer: customerOf, Text: text})
		w.delivered(20, time.Minute)
		alpha.be(wicked{Busy: 0.5, Error: 0.4, Limited: 0.33})
		wait(1500*time.Millisecond, 15*time.Second)
		alpha.be(wicked{Down: true})
		wait(1500*time.Millisecond, 40*time.Second)
		if st := w.status(); st == nil || !down(st, "alpha") {
			b.Errorf("the hub does not say that alpha is down: %+v", st)
		}
		alpha.be(wicked{BusyFor: "sick"})
		wait(500*time.Millisecond, 40*time.Second)
		if !b.short {
			b.held(w)
		}
		alpha.be(wicked{Limited: 0.8, RetryAfter: 1})
		wait(1500*time.Millisecond, 10*time.Second)
		end()
		ordersEnd()
		alpha.be(wicked{})
		took := w.quiet(3 * time.Minute)
		if !b.short {
			b.within("draining after the storms", took, time.Minute)
		}
		b.happened(took)
		if n := w.status().Totals; n.Parked+n.Waiting+n.Discarded != 0 {
			b.Errorf("storms parked %d, left %d waiting, discarded %d", n.Parked, n.Waiting, n.Discarded)
		}
	}
	b.judge(w, rules{})
	calls := alpha.calls()
	for _, status := range []int{500, 503, 429} {
		n := count(calls, func(c *call) bool { return c.Status == status })
		b.Logf("%d answers of %d", n, status)
		if n == 0 {
			b.Errorf("no answer was %d", status)
		}
	}
	early := count(calls, func(c *call) bool { return c.Early != 0 })
	own := count(calls, func(c *call) bool { return c.Early == 2 })
	if early > 0 {
		b.Errorf("%d calls came before Retry-After was over, %d of them for the very object", early, own)
	}
}

// down reports whether the hub says that a system is down.
func down(st *api.Status, system string) bool {
	for _, s := range st.Systems {
		if s.Name == system {
			return s.State == "down"
		}
	}
	return false
}

// held fails where no message rests in the store because its target has not taken it for long.
func (b *budget) held(w *world) {
	var got struct {
		Parked []api.Queued `json:"parked"`
	}
	for _, h := range w.hubs {
		if h.alive() && h.get("/api/v1/parked?state=held&limit=100", &got) == nil {
			break
		}
	}
	if len(got.Parked) == 0 {
		b.Error("nothing is held after 40 s of refusals")
	}
}
