package soak

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
)

var syncFaults = []fault{
	{Name: "duplicates ×10", Setups: both, Goal: 20, Every: true, Run: duplicates},
	{Name: "shuffled webhooks", Setups: both, Goal: 20, Run: shuffled},
	{Name: "two-way sync", Setups: both, Goal: 1, Run: twoWay},
	{Name: "orders before their customers", Setups: both, Goal: 5, Run: dependencies(false)},
	{Name: "orders before their customers, kill -9", Setups: both, Goal: 5, Run: dependencies(true)},
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
		b.happened(w.quiet(5 * time.Minute))
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
		b.happened(w.quiet(5 * time.Minute))
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

// dependencies: orders come before their customers, in two versions each; then the customers in random order, and one in a hundred
// never. The others are delivered by themselves; what waits for a customer that never comes is named, with an alarm.
func dependencies(kill bool) func(b *budget) {
	return func(b *budget) {
		w := newWorld(b.T, b.setup, func(p *project) { p.WaitingAfter = "2s" })
		h := w.hub()
		h.start()
		const workers = 4
		keys := b.size(64, 1250)   // of a worker; an order has two versions
		never := map[string]bool{} // customers
		// lacking counts the accepted orders whose customer never comes.
		lacking := func(customer func(no string) string) (n int64) {
			w.ledger.mu.Lock()
			defer w.ledger.mu.Unlock()
			for no, versions := range w.ledger.promised["order"] {
				if never[customer(no)] {
					n += int64(len(versions))
				}
			}
			return n
		}
		customer := func(no string) string { // of two orders each
			var rep, worker, n int
			if _, err := fmt.Sscanf(no, "O%d-%d-%d", &rep, &worker, &n); err != nil {
				b.Error(err)
			}
			return fmt.Sprintf("C%d-%d-%04d", rep, worker, n/2)
		}
		for b.more(1) {
			customers, orders := numbered(b.reps)
			before := lacking(customer)
			began := time.Now()
			w.senders.send(b.Context(), load{Entity: "order", Workers: workers, Prefix: orders, Keys: keys, Batch: keys / b.size(8, 10), Count: int64(2 * workers * keys), Customer: customer})
			w.quiet(5 * time.Minute)
			waited := int64(2 * workers * keys)
			if got := w.flowStatus("orders").Waiting; got != waited+before {
				b.Errorf("%d orders wait for their customers; want %d", got, waited)
			}
			b.Logf("%d orders wait after %s", waited, time.Since(began).Round(time.Millisecond))
			var all []thing
			for worker := range workers {
				for n := range keys / 2 {
					no := fmt.Sprintf("%s%d-%04d", customers, worker, n)
					if n%100 == 7 && worker%2 == 0 {
						never[no] = true
						continue
					}
					all = append(all, thing{No: no, Seq: w.senders.version("customer", no), Text: "version of " + no})
				}
			}
			rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			began = time.Now()
			for batch := range slices.Chunk(all, 20) {
				w.senders.deliver(load{Entity: "customer", Hubs: w.hooks, Client: client}, batch)
			}
			if kill {
				w.delivered(int64(len(all)/2), time.Minute)
				h.kill()
				h.start()
			}
			w.quiet(3 * time.Minute)
			took := time.Since(began)
			b.Logf("%d customers and the orders that waited for them are through in %s", len(all), took.Round(time.Millisecond))
			b.happened(took)
		}
		lack := lacking(customer)
		w.alarmed(h, "orders", lack)
		b.judge(w, rules{})
		if f := w.flowStatus("orders"); f.Waiting != lack || b.verdict.Named != lack {
			b.Errorf("%d orders wait and %d are named; %d never get their customer", f.Waiting, b.verdict.Named, lack)
		}
	}
}

// alarmed waits until the status, the metrics and the log name what waits too long, and what for.
func (w *world) alarmed(h *hub, flow string, n int64) {
	w.t.Helper()
	name := w.p.flow(flow)
	h.await("the alarm of what waits", time.Minute, func() bool {
		f := w.flowStatus(flow)
		return f != nil && f.State == api.StateLate && strings.HasPrefix(f.Why, fmt.Sprint(n, " wait longer than ")) &&
			strings.Contains(f.Why, "of source has not been seen yet") && strings.Contains(h.text(), "alarm: messages wait too long")
	})
	resp, err := http.Get("http://" + h.http + "/metrics")
	if err != nil {
		w.t.Error(err)
		return
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	for _, want := range []string{
		fmt.Sprintf("waybill_flow_messages{flow=%q,where=\"overdue\"} %d\n", name, n),
		fmt.Sprintf("waybill_alarms_total{flow=%q,what=\"waiting\"}", name),
	} {
		if err != nil || !strings.Contains(string(text), want) {
			w.t.Errorf("the metrics do not say %s (%v)", want, err)
		}
	}
}

const partySchemas = `{
  "$schema": "http://json-schema.org/draft-07/schema#",
  "type": "object",
  "required": ["no"],
  "properties": {
    "id": {"type": "string"},
    "external_id": {"type": ["string", "null"]},
    "changed": {"type": "integer"},
    "no": {"type": "string"},
    "a1": {"type": "string"}, "a2": {"type": "string"},
    "b1": {"type": "string"}, "b2": {"type": "string"}
  }
}
`

const partyMapping = `mapping: party-in
from: soak/party.v1
to: soak/party-core.v1
set:
  no: source.no
  a1?: source.a1
  a2?: source.a2
  b1?: source.b1
  b2?: source.b2
---
mapping: party-out
from: soak/party-core.v1
to: soak/party-core.v1
set:
  no: source.no
  a1?: source.a1
  a2?: source.a2
  b1?: source.b1
  b2?: source.b2
`

// partyFlows read both systems and write each one's fields to the other.
func partyFlows() string {
	var s strings.Builder
	for _, way := range [][3]string{{"alpha", "beta", "a1, a2"}, {"beta", "alpha", "b1, b2"}} {
		fmt.Fprintf(&s, `---
flow: %%P%%%[1]s-parties
entity: product
from:
  system: %[1]s
  poll: {every: 1s}
accept: soak/party.v1
key: source.no
id: source.id
external-id: source.external_id
version: source.changed
map: party-in
to: {topic: %%P%%canonical.party}
---
flow: %%P%%parties-to-%[2]s
entity: product
from: {topic: %%P%%canonical.party}
map: party-out
to: {system: %[2]s, owns: [%[3]s]}
retry: {for: 10m, backoff: 50ms..2s}
`, way[0], way[1], way[2])
	}
	return s.String()
}

// twoWay: persons create and edit parties in alpha and in beta, also the same at the same time; alpha owns the fields a, beta the fields b.
// Both must become equal, with at most one write of the hub for each edit, and then there is silence.
func twoWay(b *budget) {
	w := newWorld(b.T, b.setup, func(p *project) {
		p.Entities = append(p.Entities, "product")
		p.Extra = partyFlows()
		p.write(b.T, "schemas/soak/party.v1.json", partySchemas)
		p.write(b.T, "schemas/soak/party-core.v1.json", partySchemas)
		p.write(b.T, "mappings/party.yaml", partyMapping)
	})
	w.hub().start()
	sides := map[string][]string{"alpha": {"a1", "a2"}, "beta": {"b1", "b2"}}
	parties, edits := b.size(20, 200), b.size(300, 10_000)
	var nos []string
	for i := range parties {
		side := []string{"alpha", "beta"}[i%2]
		no := fmt.Sprintf("P%04d", i)
		doc := map[string]any{"no": no}
		for _, f := range sides[side] {
			doc[f] = "first of " + no
		}
		if _, err := w.targets[side].person(b.Context(), "product", "", doc); err != nil {
			b.Fatal(err)
		}
		nos = append(nos, no)
	}
	w.settled(b)
	for b.more(1) {
		ids := map[string]map[string]string{}
		for side := range sides {
			ids[side] = map[string]string{}
			for _, o := range w.targets[side].objects()["product"] {
				ids[side][o.No] = o.ID
			}
		}
		var wg sync.WaitGroup
		for side, fields := range sides {
			for person := range 4 {
				wg.Go(func() {
					for i := range edits / 8 {
						no := nos[rand.IntN(len(nos))]
						doc := map[string]any{fields[rand.IntN(2)]: fmt.Sprintf("%s %d %d of person %d", no, b.reps, i, person)}
						if _, err := w.targets[side].person(b.Context(), "product", ids[side][no], doc); err != nil {
							b.Errorf("%s: edit %s: %v", side, no, err)
							return
						}
						time.Sleep(rand.N(20 * time.Millisecond)) // the pace of a person, so that edits meet writes of the hub
					}
				})
			}
		}
		wg.Wait()
		b.happened(w.settled(b))
	}
	w.inAgreement(b, nos)
	before := w.writes()
	for side, g := range w.targets {
		w.polled(b, side, g.polls()+int64(b.size(5, 20)))
	}
	if after := w.writes(); after != before {
		b.Errorf("without an edit the hub has made %d writes", after-before)
	}
	for side := range sides {
		if f := w.flowStatus(side + "-parties"); f.SkippedBy["echo"] == 0 {
			b.Errorf("%s: no echo was skipped: %v", f.Name, f.SkippedBy)
		}
	}
	b.judge(w, rules{Targets: map[string][]string{}})
}

// writes counts what the hub has written to the targets.
func (w *world) writes() (n int64) {
	for _, g := range w.targets {
		n += count(g.calls(), func(c *call) bool { return c.Applied })
	}
	return n
}

// polled waits until a target was asked for changes so many times.
func (w *world) polled(b *budget, side string, n int64) {
	b.Helper()
	w.hubs[0].await("further polls of "+side, time.Minute, func() bool { return w.targets[side].polls() >= n })
}

// settled waits until a few rounds of polls have brought nothing to write.
func (w *world) settled(b *budget) time.Duration {
	b.Helper()
	began := time.Now()
	for last := int64(-1); ; {
		for side, g := range w.targets {
			w.polled(b, side, g.polls()+2)
		}
		w.quiet(5 * time.Minute)
		n := w.writes()
		if n == last {
			return time.Since(began)
		}
		last = n
	}
}

// inAgreement compares the two sides field by field, and the hub's writes with the persons' edits, object by object.
func (w *world) inAgreement(b *budget, nos []string) {
	b.Helper()
	docs := map[string]map[string]map[string]json.RawMessage{}
	var edits, writes int64
	for side, g := range w.targets {
		docs[side] = map[string]map[string]json.RawMessage{}
		for _, o := range g.objects()["product"] {
			if docs[side][o.No] != nil {
				w.complain(&b.verdict.Doubled, "%s holds %s twice", side, o.No)
			}
			docs[side][o.No] = o.Doc
		}
	}
	made := map[string]map[string]int64{"alpha": {}, "beta": {}} // by persons
	wrote := map[string]map[string]int64{"alpha": {}, "beta": {}}
	for side, g := range w.targets {
		for _, c := range g.calls() {
			switch {
			case !c.Applied:
			case c.By != "":
				made[side][c.No]++
				edits++
			default:
				wrote[side][c.No]++
				writes++
			}
		}
	}
	for _, no := range nos {
		for _, f := range []string{"no", "a1", "a2", "b1", "b2"} {
			if x, y := string(docs["alpha"][no][f]), string(docs["beta"][no][f]); x != y {
				w.complain(&b.verdict.Lost, "%s: %s is %s in alpha and %s in beta", no, f, x, y)
			}
		}
		for side, other := range map[string]string{"alpha": "beta", "beta": "alpha"} {
			if wrote[side][no] > made[other][no] {
				w.complain(&b.verdict.Unaccounted, "%s: %d edits in %s made %d writes in %s", no, made[other][no], other, wrote[side][no], side)
			}
		}
	}
	b.Logf("%d edits, %d writes", edits, writes)
	if writes == 0 {
		b.Error("the hub has written nothing")
	}
}
