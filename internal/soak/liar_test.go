package soak

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/sandbox/liar"
)

var liarFaults = []fault{
	{Name: "a lying source and target", Setups: both, Goal: 1000, Share: 4, Run: lying(false)},
	{Name: "a lying source and target, kill -9", Setups: both, Goal: 1000, Share: 4, Run: lying(true)},
}

// liarFlows: the text of an item goes through the hub, so that what is wrong with it is seen. The newest state counts: what the target refused
// for good does not hold up what comes after it.
const liarFlows = `---
flow: %P%items
entity: product
from:
  system: liar
  poll: {every: 500ms, overlap: 5s, deletes: {sweep: "0 3 * * *", at-most: 100%}}
accept: soak/item.v1
key: source.no
version: source.changed
map: soak-item
order: latest
to: {topic: %P%canonical.item}
---
flow: %P%items-to-copies
entity: product
from: {topic: %P%canonical.item}
map: soak-copy
order: latest
to: {system: copies, on-delete: delete}
retry: {for: 10m, backoff: 50ms..2s}
`

const liarMapping = `mapping: soak-item
from: soak/item.v1
to: soak/copy.v1
set:
  no: source.no
  rev: source.rev
  text: source.text
---
mapping: soak-copy
from: soak/copy.v1
to: soak/copy.v1
set:
  no: source.no
  rev: source.rev
  text: source.text
`

const itemSchema = `{"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "required": ["id", "no", "rev", "text", "changed"],
  "properties": {"id": {"type": "integer"}, "no": {"type": "string"}, "rev": {"type": "integer"}, "text": {"type": "string"}, "changed": {"type": "string", "format": "date-time"}}}`

const copySchema = `{"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "required": ["no", "rev", "text"], "additionalProperties": false,
  "properties": {"no": {"type": "string"}, "rev": {"type": "integer"}, "text": {"type": "string"}}}`

const liarSystems = `  liar:
    connector: rest
    url: %[1]s
    timeout: 3s
    objects:
      product:
        path: items
        version: changed
        list:
          items: items
          paging: {style: next-url, next: next, size-parameter: limit, size: 50}
          changed-since: {parameter: since}
          order: changed
  copies:
    connector: rest
    url: %[1]s
    timeout: 3s
    visible-after: 200ms
    limit: {concurrency: 16}
    errors: {code: error.code, message: error.message, kinds: {LOCKED: unavailable, NOT_FOUND: not-found}}
    success: {path: success, in: [true]}
    objects:
      product:
        path: copies
        external-id: external_id
        get: {item: result}
        list: {items: result}
        find: {external: {external_id: "{external}"}}
        create: {item: result}
        update: {item: result}
`

// lying runs the hub against a source and a target that lie. Changes are made at random while it works; then the lies end, one sweep runs, and
// every object must be in the target as it was last, or named.
func lying(kills bool) func(*budget) {
	return func(b *budget) {
		o := liar.Wicked()
		o.Seed = uint64(time.Now().UnixNano())
		l := liar.New(o)
		srv := httptest.NewServer(l.Handler())
		b.Cleanup(srv.Close)
		w := newWorld(b.T, b.setup, func(p *project) { p.Extra += liarFlows })
		w.p.write(b.T, "schemas/soak/item.v1.json", itemSchema)
		w.p.write(b.T, "schemas/soak/copy.v1.json", copySchema)
		w.p.write(b.T, "mappings/liar.yaml", liarMapping)
		h := w.hub()
		text, err := os.ReadFile(h.file)
		if err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(h.file, append(text, fmt.Sprintf(liarSystems, srv.URL)...), 0o644); err != nil {
			b.Fatal(err)
		}
		h.start()
		c := &liars{world: w, b: b, l: l, h: h}
		for b.more(1) {
			c.round(kills)
		}
		b.judge(w, rules{})
		b.verdict.Messages = l.Changes() // what the source changed, whether or not the hub has seen each state by itself
	}
}

// liars is a world with a liar in it.
type liars struct {
	*world
	b *budget
	l *liar.Liar
	h *hub
}

// round is a while of changes and what comes of them.
func (c *liars) round(kills bool) {
	c.b.Helper()
	began := time.Now()
	length, rate := time.Duration(c.b.size(8, 40))*time.Second, c.b.size(200, 4000)
	c.l.Lie()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	made, graded, kill := 0, false, began.Add(length/3)
	for now := range tick.C {
		gone := now.Sub(began)
		if gone >= length || c.b.Context().Err() != nil {
			break
		}
		due := int(gone.Seconds() * float64(rate))
		c.l.Change(due - made)
		made = due
		if !graded && gone > length/2 {
			graded = true
			c.l.Grade()
		}
		if kills && now.After(kill) {
			kill = now.Add(length / 3)
			c.h.kill()
			c.h.start()
		}
	}
	quiet := time.Now()
	time.Sleep(time.Until(c.l.Calm())) // the source's own time: until everything can be read
	c.quiet(5 * time.Minute)           // a sweep compares with what the hub knows: what it has still on its way is not known
	c.sweep()
	c.quiet(5 * time.Minute)
	c.compare()
	c.b.happened(time.Since(quiet))
}

// sweep asks for a sweep and waits until it is over.
func (c *liars) sweep() {
	c.b.Helper()
	flow := c.p.flow("items")
	asked := time.Now()
	if out, code := c.h.command("sweep", flow, "--note", "the soak"); code != 0 {
		c.b.Fatalf("sweep: exit %d: %s", code, out)
	}
	var last *api.Sweep
	c.h.await("the sweep is over", 2*time.Minute, func() bool {
		if f := c.flowStatus("items"); f != nil {
			last = f.Sweep
		}
		return last != nil && last.Finished != nil && last.State == "ok" && last.Started.After(asked)
	})
}

// compare holds the copies against the truth. What is missing must be named: parked, waiting or discarded, under its number or, where its text
// cannot be read, under its id.
func (c *liars) compare() {
	c.b.Helper()
	v := c.l.Verdict()
	for _, no := range v.Doubled {
		c.complain(&c.b.verdict.Doubled, "%s was made more than once", no)
	}
	for gap, list := range map[string]map[string]liar.Gap{"not as it was last": v.Missing, "deleted": v.Stale} {
		for no, what := range list {
			if c.named(no, what.Rev) == "" {
				c.complain(&c.b.verdict.Lost, "%s is %s (state %d): %s, and nobody says why", no, gap, what.Rev, what.What)
			} else {
				c.b.verdict.Named++
			}
		}
	}
}

// named says why an object's last state, or its deletion, is not in the target; empty where nobody does. What cannot be read has no key: it is
// found by its id in the source.
func (c *liars) named(no string, rev int64) string {
	c.b.Helper()
	var m api.Message
	c.ask("/api/v1/messages?key="+url.QueryEscape(no), &m)
	var got struct {
		Parked []api.Queued `json:"parked"`
	}
	c.ask("/api/v1/parked?limit=500&flow="+url.QueryEscape(c.p.flow("items")), &got)
	id := strings.TrimLeft(strings.TrimPrefix(no, "L"), "0") + "@"
	for _, q := range append(m.Queued, got.Parked...) {
		if q.Key != no && !strings.HasPrefix(q.Event, id) {
			continue
		}
		var whole struct {
			Data struct {
				Rev int64 `json:"rev"`
			} `json:"data"`
		}
		if c.ask(fmt.Sprintf("/api/v1/parked/%d", q.ID), &whole) && (whole.Data.Rev == rev || q.Operation == "delete" && rev == 0) {
			return q.State + ": " + q.Reason
		}
	}
	return ""
}
