package soak

import (
	"fmt"
	"net/http"
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

// ways are the lists that a liar gives; each is read by a flow of its own from a source of its own.
var ways = []struct {
	name, list string
}{
	// The token of the next page is an offset: what changes moves to the end, and all behind it moves up.
	{"items", `{items: items, paging: {style: next-url, next: next, size-parameter: limit, size: 30}, changed-since: {parameter: since}, order: changed}`},
	// Numbered pages of a list that moves all the time: no round comes to a decision before there is a pause.
	{"pages", `{items: items, paging: {style: page, parameter: page, size-parameter: limit, size: 30}, changed-since: {parameter: since}}`},
	// A search whose place the service keeps: one token for every page.
	{"search", `{items: items, paging: {style: cursor, parameter: token, next: token, size-parameter: limit, size: 30}, changed-since: {parameter: since}}`},
}

// liarFlows: the text of an item goes through the hub, so that what is wrong with it is seen. The newest state counts: what the target refused
// for good does not hold up what comes after it.
func liarFlows() string {
	out := ""
	for _, way := range ways {
		out += fmt.Sprintf(`---
flow: %%P%%%[1]s
entity: product
from:
  system: liar-%[1]s
  poll: {every: 500ms, overlap: 5s, deletes: {sweep: "0 3 * * *", at-most: 100%%}}
accept: soak/item.v1
key: source.no
version: source.changed
map: soak-item
order: latest
to: {topic: %%P%%canonical.%[1]s}
---
flow: %%P%%%[1]s-to-copies
entity: product
from: {topic: %%P%%canonical.%[1]s}
map: soak-copy
order: latest
to: {system: copies-%[1]s, on-delete: delete}
retry: {for: 10m, backoff: 50ms..2s}
`, way.name)
	}
	return out
}

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

func liarSystems(url string) string {
	out := ""
	for _, way := range ways {
		out += fmt.Sprintf(`  liar-%[1]s:
    connector: rest
    url: %[2]s/%[1]s
    timeout: 3s
    objects:
      product: {path: %[1]s, get: {path: "items/{id}"}, version: changed, list: %[3]s}
  copies-%[1]s:
    connector: rest
    url: %[2]s/%[1]s
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
`, way.name, url, way.list)
	}
	return out
}

// lying runs the hub against sources and targets that lie. Changes are made at random while it works; then the lies end, one sweep runs, and
// every object must be in the target as it was last, or named. Pages are so slow, and changes so many, that a round
// lasts for as long as there are changes, which is longer than the overlap; and objects so many that few change again before what a poll has passed
// over would show.
func lying(kills bool) func(*budget) {
	return func(b *budget) {
		mux := http.NewServeMux()
		c := &liars{b: b, l: map[string]*liar.Liar{}}
		for n, way := range ways {
			o := liar.Wicked()
			o.Slow, o.Items = time.Second, 1000
			o.Prefix = strings.ToUpper(way.name[:1])
			o.Seed = uint64(time.Now().UnixNano()) + uint64(n)
			l := liar.New(o)
			mux.Handle("/"+way.name+"/", http.StripPrefix("/"+way.name, l.Handler()))
			l.Calm() // what is there at first is read quickly
			c.l[way.name] = l
		}
		srv := httptest.NewServer(mux)
		b.Cleanup(srv.Close)
		w := newWorld(b.T, b.setup, func(p *project) { p.Extra += liarFlows() })
		w.p.write(b.T, "schemas/soak/item.v1.json", itemSchema)
		w.p.write(b.T, "schemas/soak/copy.v1.json", copySchema)
		w.p.write(b.T, "mappings/liar.yaml", liarMapping)
		h := w.hub()
		text, err := os.ReadFile(h.file)
		if err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(h.file, append(text, liarSystems(srv.URL)...), 0o644); err != nil {
			b.Fatal(err)
		}
		h.start()
		c.world, c.h = w, h
		c.read()
		for b.more(1) {
			c.round(kills)
		}
		b.judge(w, rules{})
		b.verdict.Messages = 0 // what the sources changed, whether or not the hub has seen each state by itself
		for _, l := range c.l {
			b.verdict.Messages += l.Changes()
		}
	}
}

// liars is a world with liars in it, each under the name of the list that it is read by.
type liars struct {
	*world
	b *budget
	l map[string]*liar.Liar
	h *hub
}

// round is a while of changes and what comes of them.
func (c *liars) round(kills bool) {
	c.b.Helper()
	began := time.Now()
	length, rate := time.Duration(c.b.size(8, 40))*time.Second, c.b.size(70, 1300)
	if c.b.reps%2 == 1 {
		rate = 70 // few objects change again before what was passed over would show
	}
	for _, l := range c.l {
		l.Lie()
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	made, graded, kill := 0, false, began.Add(length/3)
	for now := range tick.C {
		gone := now.Sub(began)
		if gone >= length || c.b.Context().Err() != nil {
			break
		}
		due := int(gone.Seconds() * float64(rate))
		grade := !graded && gone > length/2
		for _, l := range c.l {
			l.Change(due - made)
			if grade {
				l.Grade()
			}
		}
		made, graded = due, graded || grade
		if kills && now.After(kill) {
			kill = now.Add(length / 3)
			c.h.kill()
			c.h.start()
		}
	}
	quiet := time.Now()
	for _, l := range c.l {
		time.Sleep(time.Until(l.Calm())) // the source's own time: until everything can be read
	}
	c.read()
	c.quiet(5 * time.Minute) // a sweep compares with what the hub knows: what it has still on its way is not known
	for _, way := range ways {
		c.compare(way.name, false) // a sweep takes what polls have missed, too, and would hide it
	}
	for _, way := range ways {
		c.sweep(way.name)
	}
	c.quiet(5 * time.Minute)
	for _, way := range ways {
		c.compare(way.name, true)
	}
	c.b.happened(time.Since(quiet))
}

// read waits until every list was read from its beginning to its end. A list in the order of changes begins anew at every page.
func (c *liars) read() {
	c.b.Helper()
	for name, l := range c.l {
		c.h.await(name+" is read from its beginning again", 4*time.Minute, func() bool { return l.Walks() > 60 })
	}
}

// sweep asks for a sweep and waits until it is over.
func (c *liars) sweep(name string) {
	c.b.Helper()
	flow := c.p.flow(name)
	asked := time.Now()
	if out, code := c.h.command("sweep", flow, "--note", "the soak"); code != 0 {
		c.b.Fatalf("sweep: exit %d: %s", code, out)
	}
	var last *api.Sweep
	c.h.await("the sweep is over", 2*time.Minute, func() bool {
		if f := c.flowStatus(name); f != nil {
			last = f.Sweep
		}
		return last != nil && last.Finished != nil && last.State == "ok" && last.Started.After(asked)
	})
}

// compare holds the copies against the truth. What is missing must be named: parked, waiting or discarded, under its number or, where its text
// cannot be read, under its id.
func (c *liars) compare(name string, swept bool) {
	c.b.Helper()
	v := c.l[name].Verdict()
	if !swept {
		v.Stale = nil // deletes leave no trace
	}
	for _, no := range v.Doubled {
		c.complain(&c.b.verdict.Doubled, "%s of %s was made more than once", no, name)
	}
	for gap, list := range map[string]map[string]liar.Gap{"not as it was last": v.Missing, "deleted": v.Stale} {
		for no, what := range list {
			if c.named(name, no, what.Rev) == "" {
				c.complain(&c.b.verdict.Lost, "%s of %s is %s (state %d): %s, and nobody says why", no, name, gap, what.Rev, what.What)
			} else {
				c.b.verdict.Named++
			}
		}
	}
}

// named says why an object's last state, or its deletion, is not in the target; empty where nobody does. What cannot be read has no key: it is
// found by its id in the source.
func (c *liars) named(name, no string, rev int64) string {
	c.b.Helper()
	var m api.Message
	c.ask("/api/v1/messages?key="+url.QueryEscape(no), &m)
	var got struct {
		Parked []api.Queued `json:"parked"`
	}
	c.ask("/api/v1/parked?limit=500&flow="+url.QueryEscape(c.p.flow(name)), &got)
	id := strings.TrimLeft(no[1:], "0") + "@"
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
