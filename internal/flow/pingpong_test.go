package flow

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/flow/decide"
	"github.com/waybill-hub/waybill/internal/store"
)

// stamped is a system that stamps what is written, and is polled. habit is what it does of its own accord with what it gives.
type stamped struct {
	*target
	rev   int
	seen  map[string]int
	habit func(doc map[string]any)
}

func (s *stamped) Write(ctx context.Context, w connector.Write) (connector.Result, error) {
	r, err := s.target.Write(ctx, w)
	if err == nil {
		s.stamp(r.Local)
		r.Doc = nil
	}
	return r, err
}

func (s *stamped) stamp(local string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rev++
	s.objects[local]["rev"], s.objects[local]["id"] = s.rev, local
}

// set is what a user does.
func (s *stamped) set(local, field string, value any) {
	s.objects[local][field] = value
	s.stamp(local)
}

// changes are the events of what has changed since it was asked before.
func (s *stamped) changes(t *testing.T, system string) []event.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []event.Event
	for local, doc := range s.objects {
		rev, _ := doc["rev"].(int)
		if rev <= s.seen[local] {
			continue
		}
		s.seen[local] = rev
		given := map[string]any{}
		for k, v := range doc {
			given[k] = v
		}
		if s.habit != nil {
			s.habit(given)
		}
		data, err := json.Marshal(given)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, event.Event{ID: fmt.Sprint(system, local, rev), Source: system, Entity: "order", Operation: event.Upsert, Key: fmt.Sprint(doc["no"]), Version: fmt.Sprint(rev), Data: data})
	}
	return out
}

const thereAndBack = `
flow: there
entity: order
from: {system: erp, poll: {every: 1s}}
key: source.no
id: source.id
version: source.rev
to: {system: erp2, find: after-conflict}
---
flow: back
entity: order
from: {system: erp2, poll: {every: 1s}}
key: source.no
id: source.id
version: source.rev
to: {system: erp, find: after-conflict}
`

// through gives both flows a mapping.
func through(mapping string) string {
	return strings.ReplaceAll(thereAndBack, "to: {system", "map: "+mapping+"\nto: {system")
}

// Two polled flows in both directions bring a change to the other side and come to rest; what a user has changed stays.
func TestThereAndBack(t *testing.T) {
	for _, c := range []struct {
		name, flows string
		habit       func(doc map[string]any)
		writes      int  // at most, of one change
		loop        bool // it ends by the count of hops
	}{
		{name: "copied", flows: thereAndBack, writes: 2},
		{name: "mapped to different schemas", flows: through("plain"), writes: 2},
		{name: "a field that nobody writes and that is never the same", flows: through("ticking"), habit: func(doc map[string]any) { ticks++; doc["status"] = fmt.Sprint(ticks) }, writes: decide.MaxHops + 2, loop: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorldOf(t, c.flows, store.Config{})
			erp, erp2 := &stamped{target: w.erp, seen: map[string]int{}, habit: c.habit}, &stamped{target: w.erp2, seen: map[string]int{}, habit: c.habit}
			w.deps.Systems["erp"].Connector, w.deps.Systems["erp2"].Connector = erp, erp2
			there, back := w.flow("there"), w.flow("back")
			poll := func() (rounds int) {
				for rounds = 0; rounds < 3*decide.MaxHops; rounds++ {
					a, b := erp.changes(t, "erp"), erp2.changes(t, "erp2")
					if len(a)+len(b) == 0 {
						break
					}
					for _, e := range a {
						w.must(there, e)
					}
					for _, e := range b {
						w.must(back, e)
					}
				}
				return rounds
			}
			calls := func() int { return len(w.erp.calls) + len(w.erp2.calls) }
			erp.objects["E1"] = map[string]any{"no": "A", "qty": 1}
			erp.stamp("E1")
			poll()
			if c.loop {
				if n := calls(); n > c.writes {
					t.Errorf("%d writes, want at most %d", n, c.writes)
				}
				if got := w.summary("there") + " " + w.summary("back"); !strings.Contains(got, "parked=1") {
					t.Errorf("it ends without a word: %s", got)
				}
				for _, flow := range []string{"there", "back"} {
					for _, q := range w.queue(flow) {
						if !q.Follower && q.Kind != "loop" {
							t.Errorf("parked: %s", q.Reason)
						}
					}
				}
				return
			}
			for i, change := range []struct {
				in    *stamped
				local string
				other *stamped
				at    string
			}{{erp, "E1", erp2, "T1"}, {erp2, "T1", erp, "E1"}, {erp, "E1", erp2, "T1"}, {erp2, "T1", erp, "E1"}} {
				before := calls()
				change.in.set(change.local, "qty", 100+i)
				if rounds := poll(); rounds > 4 {
					t.Errorf("change %d: %d rounds", i, rounds)
				}
				if n := calls() - before; n < 1 || n > c.writes {
					t.Errorf("change %d: %d writes, want at most %d", i, n, c.writes)
				}
				for what, v := range map[string]any{"where it was made": change.in.objects[change.local]["qty"], "on the other side": change.other.objects[change.at]["qty"]} {
					if fmt.Sprint(v) != fmt.Sprint(100+i) {
						t.Errorf("change %d, %s: %v", i, what, v)
					}
				}
			}
			if got := w.summary("there") + " " + w.summary("back"); strings.Contains(got, "parked") {
				t.Error(got)
			}
		})
	}
}

var ticks int

// A change that a user makes right before the hub's write, to a field that the hub does not write there, is news and travels.
func TestThereAndBackKeepsNews(t *testing.T) {
	flows := strings.Replace(thereAndBack, "to: {system: erp2", "map: qty-only\nto: {system: erp2", 1)
	w := newWorldOf(t, flows, store.Config{})
	erp, erp2 := &stamped{target: w.erp, seen: map[string]int{}}, &stamped{target: w.erp2, seen: map[string]int{}}
	w.deps.Systems["erp"].Connector, w.deps.Systems["erp2"].Connector = erp, erp2
	there, back := w.flow("there"), w.flow("back")
	poll := func() {
		for range 6 {
			for _, e := range erp.changes(t, "erp") {
				w.must(there, e)
			}
			for _, e := range erp2.changes(t, "erp2") {
				w.must(back, e)
			}
		}
	}
	erp.objects["E1"] = map[string]any{"no": "A", "qty": 1, "phone": "1"}
	erp.stamp("E1")
	poll()
	erp.set("E1", "qty", 2)
	erp2.objects["T1"]["phone"] = "2" // and the hub's write comes before the system is read
	poll()
	if got := fmt.Sprintln(erp.objects["E1"]["phone"], erp.objects["E1"]["qty"], erp2.objects["T1"]["phone"], erp2.objects["T1"]["qty"]); got != "2 2 2 2\n" {
		t.Errorf("got %s, want the phone number and the quantity on both sides", got)
	}
}

// writtenAndRead is two flows with an ERP that gives no document with its answers: from orders there, and from what is read there into booked.
const writtenAndRead = `
flow: there
entity: order
from: {topic: orders}
map: order-to-erp
to: {system: erp, find: after-conflict, owns: [qty]}
---
flow: back
entity: order
from: {system: erp, poll: {every: 1s}}
key: source.no
id: source.id
version: source.rev
map: erp-to-order
to: {topic: booked}
`

// Where nobody can tell what a write has left, since the look behind it fails, a change back to what was there before is written, and not taken for there still.
func TestNobodyTellsWhatWasLeft(t *testing.T) {
	w := newWorldOf(t, writtenAndRead, store.Config{})
	erp := &hasty{stamped: &stamped{target: w.erp, seen: map[string]int{}}}
	w.deps.Systems["erp"].Connector = erp
	there, back := w.flow("there"), w.flow("back")
	read := func() {
		for _, e := range erp.changes(t, "erp") {
			w.must(back, e)
		}
	}
	w.must(there, order("A", 1, "1"))
	read()
	erp.silent = 1
	w.must(there, order("A", 2, "2"))
	if erp.silent > 0 {
		t.Fatal("nobody looked behind the write")
	}
	w.must(there, order("A", 1, "3"))
	if got := erp.objects["T1"]["qty"]; fmt.Sprint(got) != "1" {
		t.Errorf("the ERP holds %v, want the 1 that was said last", got)
	}
	read()
	if got := w.summary("back"); got != "echo=2" {
		t.Errorf("read: %s", got)
	}
}

// A state that was read before the hub's write and comes after it, with news beside what the write has replaced, says nothing of what the system holds in the
// fields that were written: a change back to the former value is written, and not taken for there already.
func TestReadBeforeTheWrite(t *testing.T) {
	w := newWorldOf(t, writtenAndRead, store.Config{})
	erp := &stamped{target: w.erp, seen: map[string]int{}}
	w.deps.Systems["erp"].Connector = erp
	there, back := w.flow("there"), w.flow("back")
	told := func(qty, version int) { // by the shop
		w.must(there, order("A", qty, fmt.Sprint(version)))
	}
	read := func(events []event.Event) {
		for _, e := range events {
			w.must(back, e)
		}
	}
	told(1, 1)
	read(erp.changes(t, "erp"))
	erp.set("T1", "number", "N-1")
	late := erp.changes(t, "erp")
	told(2, 2)
	read(late)
	told(1, 3)
	if got := erp.objects["T1"]["qty"]; fmt.Sprint(got) != "1" {
		t.Errorf("the ERP holds %v, want the 1 that the shop said last", got)
	}
	read(erp.changes(t, "erp"))
	if got := w.summary("back"); got != "delivered=1 echo=2" { // the number is news, what the hub has written is none
		t.Errorf("read: %s", got)
	}
}

// hasty is a system whose answer to a create gets lost; before anybody looks, a user changes what was made.
type hasty struct {
	*stamped
	silent int // how often it does not answer a look: so long that the message is held in between, and another delivery looks
}

func (h *hasty) Find(ctx context.Context, l connector.Lookup) ([]connector.Record, error) {
	h.mu.Lock()
	h.silent--
	silent := h.silent >= 0
	h.mu.Unlock()
	if silent {
		return nil, refusedConn
	}
	return h.stamped.Find(ctx, l)
}

func (h *hasty) Write(ctx context.Context, w connector.Write) (connector.Result, error) {
	r, err := h.stamped.Write(ctx, w)
	if err != nil {
		h.set("T1", "qty", 2)
	}
	return r, err
}

// What a user has changed in an object between its create, whose answer got lost, and the look that found it, is news and travels, also where the
// create wrote that very field.
func TestNewsOfAnAdoptedObject(t *testing.T) {
	for name, c := range map[string]struct {
		flows  string
		silent int
	}{"copied": {thereAndBack, 0}, "mapped": {through("plain"), 0}, "copied, and held": {thereAndBack, 12}, "mapped, and held": {through("plain"), 12}} {
		t.Run(name, func(t *testing.T) {
			w := newWorldOf(t, c.flows, store.Config{})
			erp, erp2 := &stamped{target: w.erp, seen: map[string]int{}}, &hasty{&stamped{target: w.erp2, seen: map[string]int{}}, c.silent}
			w.deps.Systems["erp"].Connector, w.deps.Systems["erp2"].Connector = erp, erp2
			w.erp2.script = []step{{apply: true, err: fault.New(fault.UnknownOutcome, "no answer")}}
			there, back := w.flow("there"), w.flow("back")
			w.atRest = 3
			erp.objects["E1"] = map[string]any{"no": "A", "qty": 1}
			erp.stamp("E1")
			for range 6 {
				for _, e := range erp.changes(t, "erp") {
					w.must(there, e)
				}
				for _, e := range erp2.changes(t, "erp2") {
					w.must(back, e)
				}
				// Some of it may be held, or wait for that.
				w.until("all have their fate", func() bool {
					a, b := w.totals("there"), w.totals("back")
					return a.Held+a.Waiting+b.Held+b.Waiting == 0
				})
			}
			if got := fmt.Sprintln(erp.objects["E1"]["qty"], erp2.objects["T1"]["qty"], len(erp2.objects)); got != "2 2 1\n" {
				t.Errorf("got %s, want the user's quantity on both sides, and one object", got)
			}
			if n := len(w.erp.calls) + len(w.erp2.calls); n > 4 {
				t.Errorf("%d writes: %q %q", n, w.erp.calls, w.erp2.calls)
			}
		})
	}
}
