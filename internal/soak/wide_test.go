package soak

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/segmentio/kafka-go"
	_ "modernc.org/sqlite"

	"github.com/waybill-hub/waybill/internal/api"
)

// A wide world has every kind of way into the hub and out of it, so that every failpoint can be reached: webhooks of documents and
// of lists that are to be split, a polled system, files that are taken and written, and a database.

const wideFlows = `---
flow: %P%products
entity: product
from: {system: people, poll: {every: 1s}}
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
---
flow: %P%shipments-to-out
entity: shipment
from: {topic: %P%canonical.shipment}
map: soak-customer
to: {system: out}
retry: {for: %FOR%, backoff: 50ms..2s}
---
flow: %P%shipments-to-db
entity: shipment
from: {topic: %P%canonical.shipment}
map: soak-customer
to: {system: db}
retry: {for: %FOR%, backoff: 50ms..2s}
---
flow: %P%invoices
entity: invoice
from:
  system: source
  webhook:
    path: soak/invoices
    split: items
    verify: {scheme: hmac, secret: %SECRET%, header: X-Signature}
    delivery-id: header("X-Delivery")
accept: soak/thing.v1
key: source.no
version: source.seq
map: soak-customer
to: {topic: %P%canonical.invoice}
---
flow: %P%invoices-to-alpha
entity: invoice
from: {topic: %P%canonical.invoice}
map: soak-customer
to: {system: parts}
retry: {for: %FOR%, backoff: 50ms..2s}
`

// wideRest is a system on one of the targets.
const wideRest = `  %s:
    connector: rest
    url: %s
    timeout: 3s
    visible-after: 100ms
    limit: {concurrency: 16}
    objects:
`

const wideObject = `      %s:
        path: /o/%[1]s
        external-id: external_id
        version: changed
        etag: header
        list:
          items: items
          paging: {style: none, size-parameter: limit, size: 500, more: more}
          changed-since: {parameter: since, format: raw}
          order: changed
        find: {external: {external_id: "{external}"}}
`

const wideOthers = `  drop:
    connector: file
    path: ../drop
    objects:
      shipment: {format: jsonl, pattern: "*.jsonl", ready: {when: renamed}, claim: claimed}
  out:
    connector: file
    path: ../out
    objects:
      shipment: {format: jsonl}
  db:
    connector: sql
    driver: sqlite
    path: ../target.db
    objects:
      shipment:
        table: shipments
        generated: true
        external-id: external_ref
        columns: {id: integer, external_ref: text, no: text, seq: integer, text: text}
`

// newWide makes a wide world with one hub, not yet started.
func newWide(t *testing.T, s setup, change ...func(*project)) (*world, *hub) {
	t.Helper()
	w := newWorld(t, s, append([]func(*project){func(p *project) { p.Extra += wideFlows }}, change...)...)
	for _, dir := range []string{"drop", "out"} {
		if err := os.MkdirAll(filepath.Join(w.p.dir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// Nothing but the hub keeps an external id from being there twice: the checker looks.
	w.database(func(db *sql.DB) {
		if _, err := db.Exec("CREATE TABLE IF NOT EXISTS shipments (id INTEGER PRIMARY KEY, external_ref TEXT, no TEXT, seq INTEGER, text TEXT)"); err != nil {
			t.Fatal(err)
		}
	})
	h := w.hub()
	text, err := os.ReadFile(h.file)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.Write(text) // it ends with the systems
	fmt.Fprintf(&b, wideRest, "people", w.targets["beta"].url())
	fmt.Fprintf(&b, wideObject, "product")
	fmt.Fprintf(&b, wideRest, "parts", w.targets["alpha"].url())
	for _, entity := range []string{"product", "shipment", "invoice"} {
		fmt.Fprintf(&b, wideObject, entity)
	}
	b.WriteString(wideOthers)
	if err := os.WriteFile(h.file, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return w, h
}

// wideRules are what the checker expects in a wide world.
var wideRules = rules{Targets: map[string][]string{"alpha": {"customer", "order", "product", "shipment", "invoice"}, "beta": {"customer"}}}

// database opens the target database for as long as use runs.
func (w *world) database(use func(*sql.DB)) {
	w.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(w.p.dir, "target.db")+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)")
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	use(db)
}

// feed gives the hub work of every kind until the function it gives is called: orders before their customers, changes by people in
// the polled system, files, and lists. All of it is promised in the ledger. rate is that of the customers, in documents a second.
func (w *world) feed(rate float64, keys int) (end func()) {
	many := w.background(load{Rate: rate, Keys: keys})
	ctx, cancel := context.WithCancel(w.t.Context())
	first := int(w.senders.next.Add(1)) * 100_000 // no number comes twice, however often a world is fed
	var done []chan struct{}
	loop := func(every time.Duration, work func(n int)) {
		ended := make(chan struct{})
		done = append(done, ended)
		go func() {
			defer close(ended)
			for n := first; ctx.Err() == nil; n++ {
				work(n)
				select {
				case <-time.After(every): // the pace of a source
				case <-ctx.Done():
				}
			}
		}()
	}
	loop(100*time.Millisecond, w.lateCustomers)
	loop(150*time.Millisecond, w.peopleChange)
	loop(300*time.Millisecond, w.dropFile)
	loop(300*time.Millisecond, func(n int) { w.sendList(n, "") })
	return func() {
		many()
		cancel()
		for _, d := range done {
			<-d
		}
	}
}

// lateCustomers sends orders, and then the customers that they require.
func (w *world) lateCustomers(n int) {
	const each = 5
	orders, customers := make([]thing, each), make([]thing, each)
	for i := range each {
		customers[i] = thing{No: fmt.Sprintf("L%d-%d", n, i), Seq: 1, Text: "comes late"}
		orders[i] = thing{No: fmt.Sprintf("W%d-%d", n, i), Seq: 1, Customer: customers[i].No}
	}
	l := load{Hubs: w.hooks, Client: client}
	l.Entity = "order"
	w.senders.deliver(l, orders)
	l.Entity = "customer"
	w.senders.deliver(l, customers)
}

// peopleChange makes a product in the polled system.
func (w *world) peopleChange(n int) {
	d := thing{No: fmt.Sprintf("P%d", n), Seq: 1, Text: "made by a person"}
	w.ledger.try("product", []thing{d})
	if _, err := w.targets["beta"].person(w.t.Context(), "product", "", map[string]any{"no": d.No, "seq": d.Seq, "text": d.Text}); err == nil {
		w.ledger.promise("product", []thing{d})
	}
}

// dropFile puts a file of shipments where the hub takes it. What is in the folder under its name is promised.
func (w *world) dropFile(n int) {
	var b bytes.Buffer
	var rows []thing
	for i := range 10 {
		d := thing{No: fmt.Sprintf("S%d-%d", n, i), Seq: 1, Text: "of a file"}
		line, _ := json.Marshal(d)
		b.Write(append(line, '\n'))
		rows = append(rows, d)
	}
	name := filepath.Join(w.p.dir, "drop", fmt.Sprintf("f%012d.jsonl", n))
	if err := os.WriteFile(name+".tmp", b.Bytes(), 0o644); err != nil {
		w.t.Error(err)
		return
	}
	w.ledger.try("shipment", rows)
	if err := os.Rename(name+".tmp", name); err != nil {
		w.t.Error(err)
		return
	}
	w.ledger.promise("shipment", rows)
}

// sendList pushes a list that the hub splits.
func (w *world) sendList(n int, prefix string) {
	rows := []thing{{No: fmt.Sprintf("I%s%d-0", prefix, n), Seq: 1}, {No: fmt.Sprintf("I%s%d-1", prefix, n), Seq: 1}}
	body, _ := json.Marshal(map[string]any{"items": rows})
	w.ledger.try("invoice", rows)
	if w.insist("invoice", fmt.Sprintf("list-%s%d", prefix, n), body) {
		w.ledger.promise("invoice", rows)
	}
}

// insist sends one delivery until it is taken.
func (w *world) insist(entity, delivery string, body []byte) bool {
	for w.t.Context().Err() == nil {
		for _, hooks := range w.hooks() {
			status, answer, err := post(w.t.Context(), client, hooks, entity, delivery, body)
			if err == nil && status/100 == 2 {
				return true
			}
			if err == nil && status/100 == 4 && status != http.StatusTooManyRequests {
				w.t.Errorf("a sound delivery was refused: %d %s", status, answer)
				return false
			}
		}
		time.Sleep(20*time.Millisecond + rand.N(20*time.Millisecond)) // the pace of a sender that tries again
	}
	return false
}

// judgeWide is the checker's word on a wide world: beside what it says of every world, the files and the rows written are the
// promised ones, each once.
func (b *budget) judgeWide(w *world) {
	b.Helper()
	b.judge(w, wideRules)
	times := map[string]map[string]int{"out": {}, "db": {}}
	files, err := filepath.Glob(filepath.Join(w.p.dir, "out", "*"))
	if err != nil {
		b.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			b.Fatal(err)
		}
		for line := range bytes.Lines(text) {
			var d thing
			if err := json.Unmarshal(line, &d); err != nil {
				b.Errorf("%s: %v: %q", f, err, line)
			}
			times["out"][d.No]++
		}
	}
	w.database(func(db *sql.DB) {
		rows, err := db.Query("SELECT no FROM shipments")
		if err != nil {
			b.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var no string
			if err := rows.Scan(&no); err != nil {
				b.Fatal(err)
			}
			times["db"][no]++
		}
		if err := rows.Err(); err != nil {
			b.Fatal(err)
		}
	})
	for _, sys := range sortedNames(times) {
		for no := range w.ledger.promised["shipment"] {
			switch n := times[sys][no]; {
			case n == 0:
				w.complain(&b.verdict.Lost, "%s: shipment %s is not there", sys, no)
			case n > 1:
				w.complain(&b.verdict.Doubled, "%s: shipment %s is there %d times", sys, no, n)
			}
			delete(times[sys], no)
		}
		for no := range times[sys] {
			w.complain(&b.verdict.Unaccounted, "%s: shipment %q was never in a file", sys, no)
		}
	}
}

// queued lists what waits for a person, of one flow.
func (h *hub) queued(flow, code string) []api.Queued {
	var got struct {
		Parked []api.Queued `json:"parked"`
	}
	path := "/api/v1/parked?limit=100&flow=" + flow
	if code != "" {
		path += "&code=" + code
	}
	if err := h.get(path, &got); err != nil {
		return nil
	}
	return slices.DeleteFunc(got.Parked, func(q api.Queued) bool { return q.State != "parked" })
}

// bury does after a kill of the only hub what time would do: the dead member's place in the consumer groups and its leases end now,
// not in 15 s. Who wants to see that they end by themselves leaves it out.
func (w *world) bury() {
	w.t.Helper()
	if w.p.setup != onKafka {
		return
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	db, err := sql.Open("pgx", w.p.Store)
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, "UPDATE leases SET holder = '', expires = 0"); err != nil && !strings.Contains(err.Error(), "does not exist") {
		w.t.Fatal(err)
	}
	c := &kafka.Client{Addr: kafka.TCP(strings.Split(w.p.Brokers, ",")...), Timeout: 10 * time.Second}
	listed, err := c.ListGroups(ctx, &kafka.ListGroupsRequest{})
	if err != nil {
		w.t.Logf("the groups cannot be listed, and the dead member's place ends by itself: %v", err)
		return
	}
	var ids []string
	for _, g := range listed.Groups {
		if strings.HasPrefix(g.GroupID, "waybill."+w.p.prefix) {
			ids = append(ids, g.GroupID)
		}
	}
	if len(ids) == 0 {
		return
	}
	described, err := c.DescribeGroups(ctx, &kafka.DescribeGroupsRequest{GroupIDs: ids})
	if err != nil {
		w.t.Logf("the groups cannot be described, and the dead member's place ends by itself: %v", err)
		return
	}
	for _, g := range described.Groups {
		for _, m := range g.Members {
			_, _ = c.LeaveGroup(ctx, &kafka.LeaveGroupRequest{GroupID: g.GroupID, Members: []kafka.LeaveGroupRequestMember{{ID: m.MemberID}}})
		}
	}
}

// appendTo appends to a file, as a torn write would.
func appendTo(t *testing.T, file string, b []byte) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(b); err != nil {
		t.Fatal(err)
	}
}

// quietWide waits until the hub has read what lies in the drop and in the polled system, which nobody counts as in flight before, and
// until nothing is in flight.
func (w *world) quietWide(limit time.Duration) time.Duration {
	w.t.Helper()
	began := time.Now()
	first := -1
	for {
		left, err := filepath.Glob(filepath.Join(w.p.dir, "drop", "*.jsonl"))
		if err != nil {
			w.t.Fatal(err)
		}
		claimed, err := filepath.Glob(filepath.Join(w.p.dir, "drop", "claimed", "*.jsonl"))
		if err != nil {
			w.t.Fatal(err)
		}
		left = append(left, claimed...)
		if first < 0 {
			first = len(left)
		}
		w.ledger.mu.Lock()
		made := len(w.ledger.promised["product"])
		w.ledger.mu.Unlock()
		f := w.flowStatus("products")
		if len(left) == 0 && hasRead(f, made) {
			w.quiet(limit - time.Since(began))
			return time.Since(began)
		}
		if time.Since(began) > limit {
			w.t.Fatalf("not read within %s: %d files of %d, products %d of them %+v\n%s", limit, len(left), first, made, f, w.unfinished())
		}
		time.Sleep(50 * time.Millisecond)
	}
}
