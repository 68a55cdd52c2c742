package soak

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A fleet is several hubs on one Apache Kafka and one PostgreSQL. Beside webhooks they have a system to poll and a drop of files, which
// one of them at a time reads.
type fleet struct {
	*world
	b    *budget
	pool *pool
	dir  string // of the drop

	mu    sync.Mutex
	files int
}

// takeOver is how long the hubs of a fleet wait for one that is gone; leave how long one that stops still takes webhooks.
const (
	takeOver = 6 * time.Second
	leave    = 700 * time.Millisecond
	pollEach = time.Second
)

const fleetFlows = `---
flow: %P%products
entity: product
from: {system: pool, poll: {every: 1s}}
accept: soak/thing.v1
key: source.no
map: soak-customer
to: {topic: %P%canonical.product}
---
flow: %P%products-to-alpha
entity: product
from: {topic: %P%canonical.product}
map: soak-customer
to: {system: parts}
retry: {for: %FOR%, backoff: 50ms..2s}
---
flow: %P%shipments
entity: shipment
from: {system: drop, files: {every: 1s}}
accept: soak/thing.v1
key: source.no
map: soak-customer
to: {topic: %P%canonical.shipment}
---
flow: %P%shipments-to-alpha
entity: shipment
from: {topic: %P%canonical.shipment}
map: soak-customer
to: {system: parts}
retry: {for: %FOR%, backoff: 50ms..2s}
`

var fleetRules = rules{Targets: map[string][]string{"alpha": {"customer", "order", "product", "shipment"}, "beta": {"customer"}}}

// newFleet makes n hubs and starts them.
func newFleet(b *budget, n int, change ...func(*project)) *fleet {
	b.Helper()
	f := &fleet{b: b, pool: newPool()}
	b.Cleanup(f.pool.srv.Close)
	f.world = newWorld(b.T, b.setup, append([]func(*project){func(p *project) { p.Extra += fleetFlows }}, change...)...)
	f.dir = filepath.Join(f.p.dir, "drop")
	if err := os.MkdirAll(f.dir, 0o755); err != nil {
		b.Fatal(err)
	}
	for range n {
		f.one()
	}
	for _, h := range f.hubs {
		h.launch()
	}
	for _, h := range f.hubs {
		h.await("ready", time.Minute, h.ready)
	}
	return f
}

// one makes one more hub of the fleet, not yet started. Targets and the pool know it by its name.
func (f *fleet) one() *hub {
	f.b.Helper()
	h := f.hub()
	text, err := os.ReadFile(h.file)
	if err != nil {
		f.b.Fatal(err)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "takeover-after: %s\n", takeOver)
	b.Write(bytes.Replace(text, []byte("hooks:\n"), fmt.Appendf(nil, "hooks:\n  leave: %s\n", leave), 1)) // it ends with the systems
	fmt.Fprintf(&b, wideRest, "parts", f.targets["alpha"].url())
	fmt.Fprintf(&b, wideObject, "product")
	fmt.Fprintf(&b, wideObject, "shipment")
	fmt.Fprintf(&b, wideRest, "pool", f.pool.srv.URL)
	fmt.Fprintf(&b, wideObject, "product")
	fmt.Fprintf(&b, wideObject, "invoice")
	b.WriteString("  drop:\n    connector: file\n    path: ../drop\n    objects:\n      shipment: {format: jsonl, pattern: \"*.jsonl\", ready: {when: renamed}}\n")
	named := bytes.ReplaceAll(b.Bytes(), []byte("    connector: rest\n"), fmt.Appendf(nil, "    connector: rest\n    headers: {X-Hub: %s}\n", h.name))
	if err := os.WriteFile(h.file, named, 0o644); err != nil {
		f.b.Fatal(err)
	}
	return h
}

// pool is a system that is polled. It remembers who asked, and from when to when.
type pool struct {
	srv *httptest.Server

	mu    sync.Mutex
	items []thing
	polls []poll
	lines []poll // of a second list, of nothing, which a cron line reads
}

type poll struct {
	hub      string
	from, to time.Time
}

func newPool() *pool {
	p := &pool{}
	p.srv = httptest.NewServer(http.HandlerFunc(p.serve))
	return p
}

// quiet waits until all files and products are read, which nobody counts as in flight before, and nothing is in flight any more.
func (f *fleet) quiet(limit time.Duration) time.Duration {
	f.t.Helper()
	began := time.Now()
	f.until("files and products are read", limit, func() bool {
		left, err := filepath.Glob(filepath.Join(f.dir, "*.jsonl"))
		return err == nil && len(left) == 0 && hasRead(f.flowStatus("products"), len(f.pool.items))
	})
	f.world.quiet(max(limit-time.Since(began), limit/2))
	return time.Since(began)
}

func (p *pool) serve(w http.ResponseWriter, r *http.Request) {
	from := time.Now()
	switch r.URL.Path {
	case "/o/product":
	case "/o/invoice":
		p.mu.Lock()
		defer p.mu.Unlock()
		p.lines = append(p.lines, poll{r.Header.Get("X-Hub"), from, from})
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"items": [], "more": false}`)
		return
	default:
		return // a probe
	}
	since, _ := strconv.Atoi(r.URL.Query().Get("since"))
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	time.Sleep(20 * time.Millisecond) // a list takes a while, so that two at once would be seen
	items := []map[string]any{}
	p.mu.Lock()
	for i := max(since-1, 0); i < len(p.items) && len(items) < limit; i++ {
		d := p.items[i]
		items = append(items, map[string]any{"id": d.No, "changed": i + 1, "external_id": nil, "no": d.No, "seq": d.Seq, "text": d.Text})
	}
	more := len(items) > 0 && max(since-1, 0)+len(items) < len(p.items)
	p.polls = append(p.polls, poll{r.Header.Get("X-Hub"), from, time.Now()})
	p.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"items": items, "more": more})
}

// asked gives the polls so far, in their order.
func (p *pool) asked() []poll {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.polls)
}

// poller is the hub that polled last; nil before the first one.
func (f *fleet) poller() *hub {
	all := f.pool.asked()
	if len(all) == 0 {
		return nil
	}
	for _, h := range f.hubs {
		if h.name == all[len(all)-1].hub {
			return h
		}
	}
	return nil
}

// taken waits until another hub than h polls, and gives the time that it took since then.
func (f *fleet) taken(h *hub, since time.Time, limit time.Duration) time.Duration {
	f.b.Helper()
	f.until("another hub polls", limit, func() bool { p := f.poller(); return p != nil && p != h })
	all := f.pool.asked()
	for _, p := range all {
		if p.hub != h.name && p.from.After(since) {
			return p.from.Sub(since)
		}
	}
	return 0
}

// until asks again and again until what holds.
func (f *fleet) until(what string, limit time.Duration, holds func() bool) {
	f.b.Helper()
	for deadline := time.Now().Add(limit); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) || f.b.Context().Err() != nil {
			f.b.Fatalf("not within %s: %s\n%s", limit, what, f.unfinished())
		}
	}
}

// feed makes products in the pool and drops files until the function it gives is called. All of it is promised.
func (f *fleet) feed() (end func()) {
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for n := 0; ; n++ {
			f.product()
			if n%5 == 0 {
				f.file()
			}
			select {
			case <-time.After(60 * time.Millisecond): // the pace of the people who make them
			case <-stop:
				return
			}
		}
	}()
	end = sync.OnceFunc(func() { close(stop); <-done })
	f.b.Cleanup(end)
	return end
}

func (f *fleet) product() {
	f.pool.mu.Lock()
	defer f.pool.mu.Unlock()
	d := thing{No: fmt.Sprintf("P%06d", len(f.pool.items)), Seq: 1, Text: "of the pool"}
	f.ledger.try("product", []thing{d})
	f.ledger.promise("product", []thing{d})
	f.pool.items = append(f.pool.items, d)
}

func (f *fleet) file() {
	f.mu.Lock()
	f.files++
	n := f.files
	f.mu.Unlock()
	var b bytes.Buffer
	var rows []thing
	for i := range 10 {
		rows = append(rows, thing{No: fmt.Sprintf("S%d-%d", n, i), Seq: 1, Text: "of a file"})
		line, _ := json.Marshal(rows[i])
		b.Write(append(line, '\n'))
	}
	name := filepath.Join(f.dir, fmt.Sprintf("f%08d.jsonl", n))
	if err := os.WriteFile(name+".tmp", b.Bytes(), 0o644); err != nil {
		f.b.Error(err)
		return
	}
	f.ledger.try("shipment", rows)
	f.ledger.promise("shipment", rows)
	if err := os.Rename(name+".tmp", name); err != nil {
		f.b.Error(err)
	}
}

// slow is how often hubs said that they had been too slow to keep a lease whose name holds a text: another one goes on then, as it should.
func (f *fleet) slow(lease string) (times int) {
	for _, h := range f.hubs {
		for line := range strings.Lines(h.text()) {
			if strings.Contains(line, "work under a lease ended") && strings.Contains(line, "lease="+lease) {
				times++
			}
		}
	}
	return times
}

// alone checks that polls were never made by two hubs at once, went over no more often than hubs were stopped or said themselves that they had been too
// slow to keep their lease, and that they were as many as one hub makes; and that every file was read once.
func (f *fleet) alone(handOvers int, since time.Time) {
	f.b.Helper()
	all := f.pool.asked()
	slices.SortFunc(all, func(a, b poll) int { return a.from.Compare(b.from) })
	switches := 0
	for i := 1; i < len(all); i++ {
		if all[i].hub == all[i-1].hub {
			continue
		}
		switches++
		if all[i].from.Before(all[i-1].to) {
			f.b.Errorf("%s began to poll %s before %s was done", all[i].hub, all[i-1].to.Sub(all[i].from), all[i-1].hub)
		}
	}
	slow := f.slow("poll/")
	if switches > handOvers+slow {
		f.b.Errorf("polls went from hub to hub %d times, with %d hubs stopped and %d leases not kept", switches, handOvers, slow)
	}
	if most := int(time.Since(since)/pollEach) + 10*(handOvers+1); len(all) > most {
		f.b.Errorf("%d polls in %s: one hub makes no more than %d", len(all), time.Since(since).Round(time.Second), most)
	}
	f.b.Logf("%d polls, from hub to hub %d times", len(all), switches)
	st := f.status()
	for i := range st.Flows {
		fl := &st.Flows[i]
		for _, entity := range []string{"product", "shipment"} {
			if fl.Name == f.p.flow(entity+"s") && once(fl) < int64(len(f.ledger.promised[entity])) {
				f.b.Errorf("%s: %d were there, %d accepted", fl.Name, len(f.ledger.promised[entity]), fl.Accepted)
			}
		}
	}
	left, err := filepath.Glob(filepath.Join(f.dir, "*.jsonl"))
	if err != nil || len(left) > 0 {
		f.b.Errorf("files that were not taken: %v %v", left, err)
	}
	if done, err := filepath.Glob(filepath.Join(f.dir, "done", "*")); err != nil || len(done) != f.files {
		f.b.Errorf("%d files are done, of %d", len(done), f.files)
	}
}

// worked is how many messages this process has delivered in a flow.
func (h *hub) worked(flow string) (n float64) {
	resp, err := http.Get("http://" + h.http + "/metrics")
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		line := lines.Text()
		if strings.HasPrefix(line, "waybill_messages_total{") && strings.Contains(line, `flow="`+h.w.p.flow(flow)+`"`) && strings.Contains(line, `outcome="delivered"`) {
			v, _ := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
			n += v
		}
	}
	return n
}

// everyone waits until each hub that runs has delivered in the flow.
func (f *fleet) everyone(flow string, limit time.Duration) {
	f.b.Helper()
	before := map[*hub]float64{}
	for _, h := range f.hubs {
		before[h] = h.worked(flow)
	}
	f.until("every hub works at "+flow, limit, func() bool {
		for _, h := range f.hubs {
			if h.alive() && h.worked(flow) <= before[h] {
				return false
			}
		}
		return true
	})
}

// signal sends the process a signal.
func (h *hub) signal(s syscall.Signal) { _ = h.cmd.Process.Signal(s) }
