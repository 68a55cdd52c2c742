package soak

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
)

var targetFaults = []fault{
	{Name: "answers lost after applying, 5%", Setups: both, Goal: 20, Run: lostAnswers(0.05)},
	{Name: "answers lost after applying, 50%", Setups: both, Goal: 20, Every: true, Run: lostAnswers(0.5)},
	{Name: "429 and 5xx storms, an outage", Setups: both, Goal: 5, Every: true, Run: storms},
	{Name: "one target 60 s slow", Setups: both, Goal: 2, Alone: true, Run: slowTarget},
	{Name: "1% poison keys, strict order", Setups: both, Goal: 10, Run: poison("strict")},
	{Name: "1% poison keys, latest order", Setups: both, Goal: 10, Run: poison("latest")},
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
		alpha.answered(time.Minute, 500, 503, 429)
		alpha.be(wicked{Down: true})
		wait(1500*time.Millisecond, 40*time.Second)
		h.await("the hub says that alpha is down", time.Minute, func() bool { st := w.status(); return st != nil && down(st, "alpha") })
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

// slowTarget: alpha takes its time for every write while beta must go on as if nothing were. Measured is the time from the sender's 2xx to
// beta's log.
func slowTarget(b *budget) {
	slow, normally, slowly := time.Minute, 20*time.Second, 45*time.Second
	if b.short {
		slow, normally, slowly = 5*time.Second, time.Second, time.Second
	}
	w := newWorld(b.T, b.setup, func(p *project) { p.Timeout = (slow + 10*time.Second).String() })
	w.hub().start()
	alpha, beta := w.targets["alpha"], w.targets["beta"]
	type version struct {
		no  string
		seq int64
	}
	var mu sync.Mutex
	promised := map[version]time.Time{}
	phase := map[version]string{}
	now := "warm-up"
	turn := func(to string) {
		mu.Lock()
		defer mu.Unlock()
		now = to
	}
	rate := float64(b.size(50, 200))
	for b.more(1) {
		customers, _ := numbered(b.reps)
		turn("warm-up")
		end := w.background(load{Prefix: customers, Rate: rate, Batch: 5, Promised: func(batch []thing) {
			mu.Lock()
			defer mu.Unlock()
			for _, d := range batch {
				promised[version{d.No, d.Seq}], phase[version{d.No, d.Seq}] = time.Now(), now
			}
		}})
		w.delivered(50, time.Minute)
		turn("normal")
		time.Sleep(normally) // measured: the normal state
		alpha.be(wicked{Slow: 1, SlowFor: int(slow.Milliseconds())})
		turn("slow")
		time.Sleep(slowly) // measured: alpha is slow
		end()
		if f := w.flowStatus("customers-to-alpha"); f == nil || f.InFlight == 0 {
			b.Error("nothing is in flight to alpha: it was not slow")
		}
		alpha.be(wicked{})
		took := w.quiet(slow + 2*time.Minute)
		b.happened(max(0, took-slow)) // what alpha was given before still takes its time
	}
	b.judge(w, rules{})
	took := map[string][]time.Duration{}
	seen := map[version]bool{}
	for _, c := range beta.calls() {
		v := version{c.No, c.Seq}
		at, ok := promised[v]
		if !c.Applied || !ok || seen[v] {
			continue
		}
		seen[v] = true
		took[phase[v]] = append(took[phase[v]], max(0, time.Unix(0, c.At).Sub(at)))
	}
	normal, during := quantile(took["normal"], 0.99), quantile(took["slow"], 0.99)
	b.Logf("p99 from the sender's 2xx to beta: normal %s (%d), with alpha slow %s (%d)", normal, len(took["normal"]), during, len(took["slow"]))
	if len(took["slow"]) == 0 {
		b.Error("beta got nothing while alpha was slow")
	}
	b.within("p99 to beta while alpha is slow", during, 2*max(normal, 5*time.Millisecond))
	if soonest := quantile(took["slow"], 0); soonest >= slow { // behind a call to alpha nothing would come to beta before that is answered
		b.Errorf("beta waited for alpha: what came soonest took %s", soonest)
	}
}

// poison: one key in a hundred has a version that is refused: by the target, by the schema, by the mapping. All other keys go on; the
// key's own queue behind it, or pass it by. Then the target is mended and the documents are edited, and all are replayed.
func poison(order string) func(b *budget) {
	return func(b *budget) {
		w := newWorld(b.T, b.setup, func(p *project) { p.Order = order })
		h := w.hub()
		h.start()
		alpha := w.targets["alpha"]
		workers, keys, versions := b.size(2, 4), b.size(60, 300), b.size(3, 6)
		for b.more(1) {
			customers, _ := numbered(b.reps)
			alpha.be(wicked{Refuse: "sick"})
			counts := map[string]int64{}
			var mu sync.Mutex
			w.senders.send(b.Context(), load{Prefix: customers, Workers: workers, Keys: keys, Batch: 20, Count: int64(workers * keys * versions), Change: func(d *thing) {
				// What stands behind a refused version: itself and, in strict order, the later ones.
				if d.Seq < 2 || d.Seq > 2 && order != "strict" {
					return
				}
				kind, sick := "", d.Seq == 2
				switch d.No[len(d.No)-3:] {
				case "017", "117", "217":
					if kind = "target"; sick {
						d.Text = "sick"
					}
				case "034":
					if kind = "schema"; sick {
						d.Flaw = "no number"
					}
				case "051":
					if kind = "mapping"; sick {
						d.Mark = "Z"
					}
				}
				mu.Lock()
				counts[kind]++
				mu.Unlock()
			}})
			w.quiet(5 * time.Minute)
			before := b.verdict.Named
			b.judge(w, rules{})
			want := counts["target"] + 2*(counts["schema"]+counts["mapping"]) // beta takes what alpha refuses
			if order == "latest" && b.reps > 0 {
				want = 0 // those of earlier rounds are named as stale for good
			}
			if got := b.verdict.Named - before; want != 0 && got != want {
				b.Errorf("%d versions are not applied and named; want %d", got, want)
			}
			if st := w.status().Totals; st.Parked == 0 || counts["target"] == 0 || counts["schema"] == 0 || counts["mapping"] == 0 {
				b.Errorf("nothing was refused: %+v", st)
			}
			alpha.be(wicked{})
			began := time.Now()
			h.repair(b)
			w.quiet(5 * time.Minute)
			b.happened(time.Since(began))
			if n := w.status().Totals.Parked; n != 0 {
				b.Errorf("%d are still parked after the replay\n%s", n, w.unfinished())
			}
		}
		named := b.verdict.Named
		b.judge(w, rules{})
		if order == "strict" && b.verdict.Named != named {
			b.Errorf("%d versions are not applied after the replay", b.verdict.Named-named)
		}
	}
}

// repair edits what the documents are at fault for and replays every parked head.
func (h *hub) repair(b *budget) {
	b.Helper()
	var got struct {
		Parked []api.Queued `json:"parked"`
	}
	if err := h.get("/api/v1/parked?state=parked&limit=10000", &got); err != nil {
		b.Fatal(err)
	}
	for i := range got.Parked {
		q := &got.Parked[i]
		if q.Follower || q.Mark != "" {
			continue
		}
		at := fmt.Sprintf("/api/v1/parked/%d", q.ID)
		if q.Kind == "schema" || q.Kind == "mapping" {
			var whole api.Queued
			if err := h.get(at, &whole); err != nil {
				b.Fatal(err)
			}
			var doc map[string]any
			if err := json.Unmarshal(whole.Data, &doc); err != nil {
				b.Fatal(err)
			}
			delete(doc, "flaw")
			delete(doc, "mark")
			h.write(b, http.MethodPut, at, map[string]any{"data": doc, "note": "mended"})
		}
		h.write(b, http.MethodPost, at+"/replay", map[string]any{"note": "mended"})
	}
}

// write asks the hub to do something.
func (h *hub) write(b *budget, method, path string, body any) {
	b.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		b.Fatal(err)
	}
	req, err := http.NewRequestWithContext(b.Context(), method, "http://"+h.http+path, bytes.NewReader(text))
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("If-Match", "*") // there is one person here
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(resp.Body)
	if resp.StatusCode/100 != 2 {
		b.Fatalf("%s %s: %s: %s", method, path, resp.Status, answer)
	}
}
