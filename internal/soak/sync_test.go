package soak

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

var syncFaults = []fault{
	{Name: "duplicates ×10", Setups: both, Goal: 20, Run: duplicates},
	{Name: "shuffled webhooks", Setups: both, Goal: 20, Run: shuffled},
}

// duplicates: every delivery comes eleven times, many at once and through two sets of connections. It is accepted once; under its id
// another body is refused.
func duplicates(b *budget) {
	w := newWorld(b.T, b.setup)
	w.hub().start()
	var clients [2]*http.Client
	for i := range clients {
		clients[i] = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 32,
			DialContext: (&net.Dialer{Timeout: 3 * time.Second}).DialContext}}
		defer clients[i].CloseIdleConnections()
	}
	sent := 0
	for b.more(1) {
		var wg sync.WaitGroup
		for n := range 4 {
			wg.Go(func() {
				for round := range b.size(6, 100) {
					batch := make([]thing, 10)
					for i := range batch {
						no := fmt.Sprintf("C%d-%d-%04d", b.reps, n, (round*10+i)%40)
						batch[i] = thing{No: no, Seq: w.senders.version("customer", no), Text: "version of " + no}
					}
					w.deliverAgain(b, clients, fmt.Sprintf("dup-%d-%d-%d", b.reps, n, round), batch)
				}
			})
		}
		wg.Wait()
		sent += 4 * b.size(6, 100) * 11
		b.happened(w.quiet(2 * time.Minute))
	}
	b.judge(w, rules{})
	f := w.flowStatus("customers")
	if f.Accepted != w.ledger.total() {
		b.Errorf("%d documents were promised in %d requests, and %d accepted", w.ledger.total(), sent, f.Accepted)
	}
	for _, to := range []string{"customers-to-alpha", "customers-to-beta"} {
		if f := w.flowStatus(to); f.Delivered != w.ledger.total() {
			b.Errorf("%s: %d delivered of %d promised (%v)", f.Name, f.Delivered, w.ledger.total(), f.SkippedBy)
		}
	}
}

// deliverAgain sends one delivery eleven times at once, and then another body under its id.
func (w *world) deliverAgain(b *budget, clients [2]*http.Client, id string, batch []thing) {
	body, err := json.Marshal(batch)
	if err != nil {
		b.Error(err)
		return
	}
	w.ledger.try("customer", batch)
	var mu sync.Mutex
	var wg sync.WaitGroup
	accepted, again := 0, 0
	for i := range 11 {
		wg.Go(func() {
			for {
				status, answer, err := post(b.Context(), clients[i%2], w.hooks()[0], "customer", id, body)
				if err != nil {
					b.Error(err)
					return
				}
				if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
					time.Sleep(20 * time.Millisecond) // the pace of a sender that tries again
					continue
				}
				mu.Lock()
				defer mu.Unlock()
				switch {
				case status == http.StatusAccepted && strings.Contains(answer, `"duplicate"`):
					again++
				case status == http.StatusAccepted:
					accepted++
				default:
					b.Errorf("a delivery sent again was answered %d: %s", status, answer)
				}
				return
			}
		})
	}
	wg.Wait()
	if accepted != 1 || again != 10 {
		b.Errorf("of eleven deliveries under one id %d were accepted and %d named as duplicates", accepted, again)
	}
	w.ledger.promise("customer", batch)
	batch[0].Text = "something else"
	other, err := json.Marshal(batch)
	if err != nil {
		b.Error(err)
		return
	}
	if status, answer, err := post(b.Context(), clients[0], w.hooks()[0], "customer", id, other); err != nil || status != http.StatusConflict {
		b.Errorf("another body under a known id was answered %d: %s %v", status, answer, err)
	}
}

// shuffled: the versions of a key come in any order, through many requests at once. The newest wins, and what is older than what was
// applied is skipped as stale.
func shuffled(b *budget) {
	w := newWorld(b.T, b.setup, func(p *project) { p.Journal = "all" })
	w.hub().start()
	for b.more(1) {
		var all []thing
		for k := range b.size(60, 300) {
			no := fmt.Sprintf("C%d-0-%04d", b.reps, k)
			for range 10 {
				all = append(all, thing{No: no, Seq: w.senders.version("customer", no), Text: "version of " + no})
			}
		}
		rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		work := make(chan []thing)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for batch := range work {
					w.senders.deliver(load{Entity: "customer", Hubs: w.hooks, Client: client}, batch)
				}
			})
		}
		for len(all) > 0 {
			n := min(len(all), 1+rand.IntN(9))
			work <- all[:n]
			all = all[n:]
		}
		close(work)
		wg.Wait()
		b.happened(w.quiet(2 * time.Minute))
	}
	b.judge(w, rules{})
	if f := w.flowStatus("customers"); f.SkippedBy["stale"] == 0 {
		b.Errorf("nothing was stale: %v", f.SkippedBy)
	}
	for name, g := range w.targets {
		held := g.newest("customer")
		for no, last := range w.ledger.tried["customer"] {
			if held[no] != last {
				b.Errorf("%s holds version %d of %s, and the newest is %d", name, held[no], no, last)
			}
		}
	}
}
