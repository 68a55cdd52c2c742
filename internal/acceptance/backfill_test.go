package acceptance

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
)

var (
	backfillRows   = flag.Int("backfill", 5000, "products that TestBackfill loads")
	backfillWait   = flag.Duration("backfill-write", 0, "how long the target of TestBackfill takes for a write; with it, live changes are measured")
	backfillTryton = flag.Int("backfill-tryton", 400, "products that TestTrytonBackfill loads")
)

// shelf is a service of products. It lists them by id, as a source, and keeps what is written, as a target.
type shelf struct {
	mu    sync.Mutex
	rows  map[string]map[string]any
	ids   []string
	bySKU map[string]string
	byRef map[string]string
	// creates and writes count, back are writes of an older state than the one before.
	creates, writes int
	back            []string
	takes           time.Duration
	// written is told of every state that comes in.
	written func(sku string, n int)
}

func newShelf() *shelf {
	return &shelf{rows: map[string]map[string]any{}, bySKU: map[string]string{}, byRef: map[string]string{}}
}

func numberOf(v any) int {
	switch n := v.(type) {
	case float64:
		return int(n)
	case int:
		return n
	}
	return 0
}

func (s *shelf) add(row map[string]any) map[string]any {
	id := fmt.Sprintf("%07d", 1000000+len(s.ids))
	row["id"] = id
	s.rows[id], s.bySKU[fmt.Sprint(row["sku"])] = row, id
	if ref, ok := row["ref"].(string); ok {
		s.byRef[ref] = id
	}
	s.ids = append(s.ids, id)
	return row
}

func (s *shelf) list(r *http.Request) []map[string]any {
	out := []map[string]any{}
	q := r.URL.Query()
	if q.Has("sku") || q.Has("ref") {
		id := s.bySKU[q.Get("sku")]
		if q.Has("ref") {
			id = s.byRef[q.Get("ref")]
		}
		if row := s.rows[id]; row != nil {
			out = append(out, row)
		}
		return out
	}
	at, there := slices.BinarySearch(s.ids, q.Get("after"))
	if there {
		at++
	}
	for _, id := range s.ids[at:min(at+200, len(s.ids))] {
		out = append(out, s.rows[id])
	}
	return out
}

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var change map[string]any
	_ = json.NewDecoder(r.Body).Decode(&change)
	if r.Method != http.MethodGet && s.takes > 0 {
		time.Sleep(s.takes) // what it is told to take
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	id := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/items"), "/")
	row := s.rows[id]
	var answer any = row
	switch {
	case r.Method == http.MethodPost:
		s.writes++
		s.creates++
		w.WriteHeader(http.StatusCreated)
		answer = s.add(change)
	case id == "":
		answer = s.list(r)
	case row == nil:
		w.WriteHeader(http.StatusNotFound)
	case r.Method == http.MethodPatch:
		s.writes++
		if was, n := numberOf(row["n"]), numberOf(change["n"]); n < was {
			s.back = append(s.back, fmt.Sprintf("%s: %d after %d", id, n, was))
		}
		for k, v := range change {
			row[k] = v
		}
	}
	if change != nil && s.written != nil {
		s.written(fmt.Sprint(change["sku"]), numberOf(change["n"]))
	}
	_ = json.NewEncoder(w).Encode(answer)
}

const (
	shelfSource = `  shop:
    connector: rest
    url: URL
    objects: {product: {path: items, list: {paging: {style: key, parameter: after, after: "{id}", size: 200}}}}
`
	shelfTarget = `  erp:
    connector: rest
    url: URL
    objects: {product: {path: items, external-id: ref, find: {external: {ref: "{external}"}, natural: {sku: "{sku}"}}}}
`
	shelfFlows = `flow: shop-products
entity: product
from:
  system: shop
  webhook:
    path: scanner/readings
    verify: {scheme: standard-webhooks, secret: "${env:SCANNER_SECRET}"}
key: source.sku
id: source.id
to: {topic: canonical.product}
---
flow: products-to-erp
entity: product
from: {topic: canonical.product}
to: {system: erp, find-by: [sku], owns: [sku, name, n]}
retry: {for: 10m}
`
)

// shopper changes products of a shop, and has the shop tell the hub of each change, one after the other, for as long as it takes until the hub has it. Each change
// is due at its time: what the hub keeps waiting delays those behind it, and they are as late as that.
type shopper struct {
	t    *testing.T
	p    *project
	shop *shelf
	dice *rand.Rand
	stop chan struct{}
	done sync.WaitGroup
	// due is when each change was to be told, by sku and n.
	mu   sync.Mutex
	due  map[string]time.Time
	took []time.Duration
	late time.Duration // of the change that was told last
	n    int
}

func (s *shopper) run(every time.Duration) {
	s.stop = make(chan struct{})
	s.done.Go(func() {
		for next := time.Now(); ; next = next.Add(every) {
			select {
			case <-s.stop:
				return
			case <-time.After(time.Until(next)):
			}
			s.change(next)
		}
	})
}

func (s *shopper) rest() {
	close(s.stop)
	s.done.Wait()
}

func (s *shopper) change(due time.Time) {
	s.shop.mu.Lock()
	row := s.shop.rows[s.shop.ids[s.dice.IntN(len(s.shop.ids))]]
	row["n"] = numberOf(row["n"]) + 1
	row["name"] = fmt.Sprintf("%v, changed %v times", row["sku"], row["n"])
	body, _ := json.Marshal(row)
	sku, n := fmt.Sprint(row["sku"]), numberOf(row["n"])
	s.shop.mu.Unlock()
	s.mu.Lock()
	s.n++
	id := fmt.Sprint("live-", s.n)
	s.due[fmt.Sprint(sku, "/", n)], s.late = due, time.Since(due)
	s.mu.Unlock()
	for {
		if status, _ := (push{id: id, body: body}).send(s.t, s.p); status == http.StatusAccepted {
			return
		}
		select { // the hub is away: the shop tries again
		case <-time.After(50 * time.Millisecond):
		case <-s.t.Context().Done():
			return
		}
	}
}

// arrived notes how long a change took that has come to the target.
func (s *shopper) arrived(sku string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := fmt.Sprint(sku, "/", n)
	if at, ok := s.due[key]; ok {
		s.took = append(s.took, time.Since(at))
		delete(s.due, key)
	}
}

// measured gives how long changes took that have arrived since the last call.
func (s *shopper) measured() []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	took := s.took
	s.took = nil
	return took
}

// arrivals waits for so many changes to come to the target, or until something is over.
func (s *shopper) arrivals(h *hub, what string, n int, over func() bool) {
	s.t.Helper()
	h.await(what, time.Duration(n)*10*time.Second, func() bool {
		s.mu.Lock()
		there := len(s.took)
		s.mu.Unlock()
		return there >= n || over != nil && over()
	})
}

// settle waits until what the hub was away for is caught up with, and lets go of how long that took.
func (s *shopper) settle(h *hub, every time.Duration, over func() bool) {
	s.t.Helper()
	h.await("the shop to catch up", 10*time.Minute, func() bool {
		s.mu.Lock()
		caught := s.late < every
		s.mu.Unlock()
		return caught || over()
	})
	s.measured()
	s.arrivals(h, "what comes behind it", 25, over)
	s.measured()
}

// quantiles are how long at most half of them took, and 99 of a hundred.
func quantiles(took []time.Duration) (p50, p99 time.Duration) {
	slices.Sort(took)
	if n := len(took); n > 0 {
		p50, p99 = took[n/2], took[min(n-1, n*99/100)]
	}
	return p50.Round(10 * time.Microsecond), p99.Round(10 * time.Microsecond)
}

func (h *hub) backfillNow(id int64) *api.Backfill {
	var b api.Backfill
	if h.get(fmt.Sprintf("/api/v1/backfills/%d", id), &b) != nil {
		return &api.Backfill{}
	}
	return &b
}

// loading follows a backfill, and tells how far it is where it is measured.
type loading struct {
	h       *hub
	id      int64
	what    string
	last    *api.Backfill
	asked   time.Time
	told    time.Time
	changed time.Time // when it had come on
}

// mostStill is how long a backfill may stand where it is before a test gives up.
const mostStill = 20 * time.Minute

// now asks for it, once a second at most where it is measured: what asks is none of the live traffic.
func (l *loading) now() *api.Backfill {
	l.h.t.Helper()
	if *backfillWait > 0 && time.Since(l.asked) < time.Second {
		return l.last
	}
	b := l.h.backfillNow(l.id)
	if l.asked = time.Now(); l.last == nil || b.Submitted != l.last.Submitted || b.State != l.last.State {
		l.changed = l.asked
	}
	if l.last = b; time.Since(l.changed) > mostStill {
		l.h.t.Fatalf("for %s it has stood where it is: %+v", mostStill, b)
	}
	if *backfillWait > 0 && time.Since(l.told) > 15*time.Second {
		l.told = time.Now()
		left := "" // the service of this test does not say how many there are
		if b.Rate > 0 {
			left = fmt.Sprintf(", %s left", time.Duration(float64(*backfillRows-int(b.Submitted))/b.Rate*float64(time.Second)).Round(time.Second))
		}
		fmt.Printf("backfill: %s: %d of %d, %.0f a second, %d at once%s %s\n", l.what, b.Submitted, *backfillRows, b.Rate, b.AtOnce, left, b.Text)
	}
	return b
}

func (l *loading) over() bool { s := l.now().State; return s != "running" && s != "wanted" && s != "" }

// TestBackfill: products are loaded while they change, and the hub is killed three times. Each is in the target once, as it is in the shop, and none was
// ever overwritten by an older state; a second load doubles nothing, and a target that was restored from an old copy gets everything again.
func TestBackfill(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		*backfillRows = min(*backfillRows, 1000)
	}
	bench := *backfillWait > 0
	shop, erp := newShelf(), newShelf()
	for i := range *backfillRows {
		sku := fmt.Sprintf("P-%06d", i)
		shop.add(map[string]any{"sku": sku, "name": sku, "n": 1})
	}
	erp.takes = *backfillWait
	shopURL, erpURL := httptest.NewServer(shop), httptest.NewServer(erp)
	t.Cleanup(shopURL.Close)
	t.Cleanup(erpURL.Close)
	p := metProject(t, strings.Replace(shelfSource, "URL", shopURL.URL, 1)+strings.Replace(shelfTarget, "URL", erpURL.URL, 1), shelfFlows)
	h := p.run(t, map[string]string{"SCANNER_SECRET": hookSecret})
	live := &shopper{t: t, p: p, shop: shop, dice: rand.New(rand.NewPCG(7, 11)), due: map[string]time.Time{}}
	erp.written = live.arrived
	ask := func(args ...string) (string, int) {
		t.Helper()
		out, stderr, code := waybill(t, p.dir, append(args, "--url", "http://"+p.http)...)
		return out + stderr, code
	}
	atRest := func() bool {
		st := h.status()
		return st.Totals.InFlight == 0 && st.Totals.Unaccounted == 0
	}
	// same looks at every product on both sides.
	same := func(what string) (lost, doubled, older int) {
		t.Helper()
		h.await("rest", 10*time.Minute, atRest)
		shop.mu.Lock()
		erp.mu.Lock()
		defer shop.mu.Unlock()
		defer erp.mu.Unlock()
		for _, id := range shop.ids {
			want := shop.rows[id]
			got := erp.rows[erp.bySKU[fmt.Sprint(want["sku"])]]
			if got == nil || numberOf(got["n"]) != numberOf(want["n"]) || got["name"] != want["name"] {
				if lost++; lost <= 5 {
					t.Errorf("%s: the shop holds %v, and the ERP %v", what, want, got)
				}
			}
		}
		doubled, older = max(len(erp.ids), erp.creates)-len(shop.ids), len(erp.back)
		if lost > 0 || doubled != 0 || older > 0 {
			t.Errorf("%s: %d products are not the same; %d products in the ERP of %d, %d creates; overwritten by older ones: %v", what, lost, len(erp.ids), len(shop.ids), erp.creates, erp.back)
		}
		return lost, doubled, older
	}

	every, before := 200*time.Millisecond, 10 // changes that are measured before, and behind
	if bench {
		every, before = 40*time.Millisecond, max(250, *backfillRows/20)
		fmt.Printf("backfill: live changes alone, %d of them\n", before)
	}
	live.run(every)
	never := func() bool { return false }
	if bench {
		live.settle(h, every, never)
	}
	live.arrivals(h, "live changes alone", before, never)
	alone := live.measured()
	var beside []time.Duration
	began := time.Now()
	if out, code := ask("backfill", "shop-products", "--note", "the first load", "--detach"); code != 0 || !strings.Contains(out, "backfill 1 of flow shop-products is wanted") {
		t.Fatalf("exit %d: %s", code, out)
	}
	load := &loading{h: h, id: 1, what: "load"}
	for kill := range 3 {
		h.await("a part of the load", 10*time.Hour, func() bool { return load.now().Submitted >= int64((kill+1)**backfillRows/5) || load.over() })
		if b := h.backfillNow(1); b.State != "running" {
			t.Fatalf("before kill %d: %+v", kill+1, b)
		}
		beside = append(beside, live.measured()...)
		h.kill()
		h.start()
		if bench { // what waited for the hub is none of the backfill's
			live.settle(h, every, load.over)
		}
	}
	h.await("the end of the load", 10*time.Hour, load.over)
	took := time.Since(began)
	beside = append(beside, live.measured()...)
	if bench { // once more alone: what the machine does besides may have changed
		fmt.Printf("backfill: live changes alone, %d of them\n", before)
		live.settle(h, every, never)
		live.arrivals(h, "live changes alone once more", before, never)
		alone = append(alone, live.measured()...)
	}
	live.rest()
	b := h.backfillNow(1)
	if b.State != "done" || b.Submitted != int64(*backfillRows) || b.Unread != 0 || b.Attempt < 4 {
		t.Errorf("it ended as %+v", b)
	}
	lost, doubled, older := same("after three kills")
	out, code := ask("status")
	if !strings.Contains(out, "backfill 1: done") {
		t.Errorf("status exits %d, and does not tell of the backfill:\n%s", code, out)
	}
	var audit struct{ Audit []api.Audit }
	if err := h.get("/api/v1/audit", &audit); err != nil || len(audit.Audit) < 2 || audit.Audit[len(audit.Audit)-1].Detail != "backfill 1: the first load" || audit.Audit[0].Action != "backfill-ended" {
		t.Errorf("audit %+v, %v", audit.Audit, err)
	}

	// The same once more: everything is there.
	erp.mu.Lock()
	writes := erp.writes
	erp.mu.Unlock()
	if bench { // the command is waited for no longer than a few minutes
		if out, code := ask("backfill", "shop-products", "--detach"); code != 0 {
			t.Fatalf("the second load exits %d: %s", code, out)
		}
		again := &loading{h: h, id: 2, what: "load of what is there"}
		h.await("the end of the second load", 10*time.Hour, again.over)
		if b := h.backfillNow(2); b.State != "done" || b.Submitted != int64(*backfillRows) {
			t.Errorf("the second load ended as %+v", b)
		}
	} else if out, code := ask("backfill", "shop-products"); code != 0 || !strings.Contains(out, "done") {
		t.Errorf("the second load exits %d: %s", code, out)
	}
	same("after a second load")
	if erp.writes != writes {
		t.Errorf("the second load has written %d times", erp.writes-writes)
	}
	if bench {
		p50, p99 := quantiles(alone)
		q50, q99 := quantiles(beside)
		if len(beside) < 100 {
			t.Errorf("%d live changes were measured beside the load: have it load more", len(beside))
		}
		fmt.Printf("backfill: rows=%d seconds=%.0f rate=%.0f/s kills=3 lost=%d doubled=%d older=%d again=%d live=%.0f/s alone: p50=%s p99=%s (%d) beside: p50=%s p99=%s (%d) p99-ratio=%.2f\n", *backfillRows, took.Seconds(),
			float64(*backfillRows)/took.Seconds(), lost, doubled, older, erp.writes-writes, 1/every.Seconds(), p50, p99, len(alone), q50, q99, len(beside), float64(q99)/float64(p99))
		return
	}

	// The ERP goes back to an old copy: half of it as it was at first.
	erp.mu.Lock()
	for i, id := range erp.ids {
		if i%2 == 0 {
			erp.rows[id]["n"], erp.rows[id]["name"] = 0, "of an old copy"
		}
	}
	erp.mu.Unlock()
	if out, code := ask("resend", "product", "--all", "--note", "the ERP was restored"); code != 0 || !strings.Contains(out, "as backfill 3") || !strings.Contains(out, "done") {
		t.Errorf("resend --all exits %d: %s", code, out)
	}
	same("after resend --all")
	if out, code := ask("resend", "product", "P-000001", "P-000002", "nothing-of-the-kind"); code != 1 || strings.Count(out, "is sent through shop-products") != 2 || !strings.Contains(out, "1 of 3 were not sent") {
		t.Errorf("resend of three keys exits %d: %s", code, out)
	}
	for _, c := range []struct{ args, says string }{
		{"backfill products-to-erp", "it reads the topic canonical.product: do it with a flow that fills it: shop-products"},
		{"backfill shop-product", `(did you mean "shop-products"?)`},
		{"backfill cancel 1", "is over already (done)"},
		{"backfill show 99", "backfill 99"},
	} {
		if out, code := ask(strings.Fields(c.args)...); code != 1 || !strings.Contains(out, c.says) {
			t.Errorf("%s: exit %d, and does not say %q:\n%s", c.args, code, c.says, out)
		}
	}
	same("the end")
}

// TestTrytonBackfill: the same into a real Tryton.
func TestTrytonBackfill(t *testing.T) {
	url, sql := tryton(t)
	products := *backfillTryton
	shop := newShelf()
	for i := range products {
		sku := fmt.Sprintf("TB-%06d", i)
		shop.add(map[string]any{"sku": sku, "name": sku, "n": 1, "price": json.Number(fmt.Sprintf("%d.25", i%50+1))})
	}
	srv := httptest.NewServer(shop)
	t.Cleanup(srv.Close)
	files := map[string]string{}
	for name, text := range trytonFiles {
		files[name] = text
	}
	files["configs/waybill.yaml"] = strings.Replace(files["configs/waybill.yaml"], "product: {path: items, version: rev}", `product: {path: items, list: {paging: {style: key, parameter: after, after: "{id}", size: 200}}}`, 1)
	files["flows/shop.yaml"] = `flow: products-to-erp
entity: product
from:
  system: shop
  webhook:
    path: scanner/readings
    verify: {scheme: standard-webhooks, secret: "${env:SCANNER_SECRET}"}
key: source.sku
id: source.id
map: product-to-erp
to: {system: erp, find-by: [code]}
retry: {for: 10m, backoff: 100ms..1s}
`
	mappings := files["mappings/shop.yaml"]
	files["mappings/shop.yaml"] = mappings[strings.Index(mappings, "mapping: product-to-erp"):strings.Index(mappings, "---\nmapping: order-to-erp")]
	p := newReadings(t, files)
	h := p.run(t, map[string]string{"SHOP_URL": srv.URL, "TRYTON_URL": url, "TRYTON_PASSWORD": trytonPassword, "SCANNER_SECRET": hookSecret})
	live := &shopper{t: t, p: p, shop: shop, dice: rand.New(rand.NewPCG(3, 5)), due: map[string]time.Time{}}
	live.run(3 * time.Second)
	began := time.Now()
	if out, stderr, code := waybill(t, p.dir, "backfill", "products-to-erp", "--detach", "--url", "http://"+p.http); code != 0 {
		t.Fatalf("exit %d: %s%s", code, out, stderr)
	}
	load := &loading{h: h, id: 1}
	for kill := range 3 {
		h.await("a part of the load", 10*time.Hour, func() bool { return load.now().Submitted >= int64((kill+1)*products/5) || load.over() })
		if b := h.backfillNow(1); b.State != "running" {
			t.Fatalf("before kill %d: %+v", kill+1, b)
		}
		h.kill()
		h.start()
	}
	h.await("the end of the load", 10*time.Hour, load.over)
	took := time.Since(began)
	live.rest()
	h.await("rest", 5*time.Minute, func() bool { st := h.status(); return st.Totals.InFlight == 0 })
	if b := h.backfillNow(1); b.State != "done" || b.Submitted != int64(products) || b.Unread != 0 {
		t.Errorf("it ended as %+v", b)
	}
	t.Logf("%d products in %s beside %d live changes", products, took.Round(time.Second), live.n)
	got := map[string]string{}
	for line := range strings.Lines(sql("SELECT code || '|' || name FROM product_template WHERE code LIKE 'TB-%' ORDER BY id")) {
		code, name, _ := strings.Cut(strings.TrimSpace(line), "|")
		if got[code] != "" {
			t.Errorf("%s is there twice", code)
		}
		got[code] = name
	}
	shop.mu.Lock()
	defer shop.mu.Unlock()
	odd := 0
	for _, row := range shop.rows {
		if got[fmt.Sprint(row["sku"])] != fmt.Sprint(row["name"]) {
			if odd++; odd <= 5 {
				t.Errorf("the shop holds %v, and Tryton %q", row, got[fmt.Sprint(row["sku"])])
			}
		}
	}
	if len(got) != products || odd > 0 {
		t.Errorf("%d products in Tryton, %d of them not as they are in the shop", len(got), odd)
	}
	checkTotals(t, h.status())
}
