package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/state"
)

// queueModel is a small hub around the stored queue: records of a few keys, an owner that works the queue by the engine's rules one step at
// a time, a target that refuses what is broken, and people who replay, edit and discard meanwhile. Crashes come at any step.
type queueModel struct {
	b    *bench
	flow string
	p    *part
	// heads are the lanes that the owner knows to be blocked.
	heads  map[string]bool
	work   *work
	zombie []*work // of owners that have crashed: what they had decided and not stored

	broken map[string]bool
	offset int64
	open   map[string][]arrival // by lane: records without a fate
	next   map[string]int       // version by lane
	log    map[string][]written // what the target holds, in the order of its calls
	docs   map[string]string    // by event: the document that was accepted last
	fate   map[string]state.Outcome
	stored int // records whose fate, queue included, is stored
	side   int64
	bulks  []state.Bulk
}

type arrival struct {
	offset int64
	event  string
}

type written struct {
	v   int
	doc string
}

// body is the documents' form: Bad names what the target must not be broken in to take it.
type body struct {
	V   int    `json:"v"`
	Bad string `json:"bad"`
}

func (o body) String() string {
	b, _ := json.Marshal(o)
	return string(b)
}

// work is a drain under way: the rows as they were read, and the result that is decided and not stored.
type work struct {
	p       *part
	lane    string
	rows    []state.Queued
	i       int
	blocked bool
	went    bool
	decided *state.Result
}

const deskRows = 4 // of a lane, read at once

// loose lanes are of the kind whose parked messages block nothing.
func looseLane(lane string) bool { return lane == "loose" }

func newQueueModel(b *bench, run int) *queueModel {
	d := &queueModel{b: b, flow: fmt.Sprint("desk", run), broken: map[string]bool{"a": true, "b": true, "down": true, "wait": true}, open: map[string][]arrival{},
		next: map[string]int{}, log: map[string][]written{}, docs: map[string]string{}, fate: map[string]state.Outcome{}}
	d.take()
	return d
}

// take makes a new owner: the last one, with all that it knew, is gone.
func (d *queueModel) take() {
	p, err := d.b.OpenPartition(d.b.ctx(), d.flow, "topic", 0, event.Log{Cluster: "c", TopicID: "t", First: 0, Last: 1 << 40})
	d.b.no(err)
	if d.work != nil && d.work.decided != nil {
		d.zombie = append(d.zombie, d.work)
	}
	d.p, d.work, d.heads = &part{d.b, p}, nil, map[string]bool{}
	lanes, err := d.b.QueuedLanes(d.b.ctx(), d.flow, "topic", 0)
	d.b.no(err)
	for _, l := range lanes {
		d.heads[l.Lane] = true
	}
}

// call asks the target. What the target holds already is recognised by its version, as the engine's guard does.
func (d *queueModel) call(rt *rapid.T, lane, id, doc string) (state.Outcome, string) {
	var o body
	if err := json.Unmarshal([]byte(doc), &o); err != nil {
		rt.Fatal(err)
	}
	if doc != d.docs[id] {
		rt.Fatalf("the target is given %s of %s; the document accepted last is %s", doc, id, d.docs[id])
	}
	if o.Bad != "" && d.broken[o.Bad] {
		return map[string]state.Outcome{"a": state.Parked, "b": state.Parked, "down": state.Held, "wait": state.Waiting}[o.Bad], o.Bad
	}
	if held := d.log[lane]; len(held) > 0 {
		switch last := held[len(held)-1]; {
		case o.V < last.v && !looseLane(lane):
			rt.Fatalf("lane %s: version %d is sent after %d", lane, o.V, last.v)
		case o.V < last.v:
			return state.Skipped, state.Stale
		case o.V == last.v && doc == last.doc:
			return state.Skipped, state.Duplicate
		case o.V == last.v:
			// An owner had crashed between the call and its commit, the target refused the message when the next one tried again, and a
			// person has edited it since: it is written over.
			held[len(held)-1].doc = doc
			return state.Delivered, ""
		}
	}
	d.log[lane] = append(d.log[lane], written{o.V, doc})
	return state.Delivered, ""
}

// rowOf is what the engine would queue of a message that was stopped.
func (d *queueModel) rowOf(lane string, ev event.Event, out state.Outcome, why string) *state.Queued {
	q := &state.Queued{Lane: lane, Blocking: out != state.Parked || !looseLane(lane), Event: ev, Kind: "invalid", Code: "target/" + why, Reason: "refused " + ev.ID}
	switch out {
	case state.Held:
		q.NotBefore = d.b.clock.Now().Add(time.Minute)
	case state.Waiting:
		q.Missing = &state.Missing{Entity: "customer", System: "erp", Hub: d.flow}
	}
	return q
}

// arrive takes the oldest record of a lane that has no fate, or a new one; crash ends the owner between the call and the commit.
func (d *queueModel) arrive(rt *rapid.T, lane, bad string, crash bool) {
	if d.work != nil && d.work.lane == lane {
		return // the lane's lock
	}
	if len(d.open[lane]) == 0 {
		d.next[lane]++
		v := d.next[lane]
		id := fmt.Sprintf("%s/%s-%d", d.flow, lane, v)
		d.open[lane] = append(d.open[lane], arrival{d.offset, id})
		d.docs[id] = body{v, bad}.String()
		d.offset++
	}
	a := d.open[lane][0]
	ev := event.Event{ID: a.event, Key: lane, Data: []byte(d.docs[a.event])}
	r := state.Result{Offset: a.offset, Outcome: state.Held}
	if d.heads[lane] {
		r.Queue = &state.Queued{Lane: lane, Blocking: true, Follower: true, Event: ev}
	} else {
		out, why := d.call(rt, lane, a.event, d.docs[a.event])
		r.Outcome, r.Reason = out, why
		if rests(out) {
			r.Reason, r.Queue = "", d.rowOf(lane, ev, out, why)
		}
	}
	if crash {
		d.take()
		return
	}
	d.p.commit(r)
	if r.Queue != nil && r.Queue.Blocking {
		d.heads[lane] = true
	}
	if !rests(r.Outcome) {
		d.fate[a.event] = r.Outcome
	}
	d.stored++
	d.open[lane] = d.open[lane][1:]
}

func rests(o state.Outcome) bool {
	return o == state.Parked || o == state.Waiting || o == state.Held
}

// begin takes up the n-th lane that is due.
func (d *queueModel) begin(n int) {
	due, err := d.b.Due(d.b.ctx(), d.flow, "topic", 0, d.b.clock.Now(), 100)
	d.b.no(err)
	if len(due) == 0 || d.work != nil {
		return
	}
	d.work = &work{p: d.p, lane: due[n%len(due)]}
	d.read(d.work)
}

func (d *queueModel) read(w *work) {
	rows, err := d.b.Drainable(d.b.ctx(), d.flow, "topic", 0, w.lane, deskRows)
	d.b.no(err)
	w.rows, w.i, w.blocked, w.went = rows, 0, false, false
	if len(rows) == 0 {
		delete(d.heads, w.lane)
		d.work = nil
	}
}

// step decides one row, or stores what is decided: anything may happen between the two.
func (d *queueModel) step(rt *rapid.T) {
	w := d.work
	if w == nil {
		return
	}
	if w.decided != nil {
		d.store(w)
		return
	}
	if w.i == len(w.rows) {
		switch {
		case w.blocked:
			d.work = nil
		case len(w.rows) < deskRows:
			delete(d.heads, w.lane)
			d.work = nil
		case !w.went:
			d.work = nil
		default:
			d.read(w)
		}
		return
	}
	q := w.rows[w.i]
	switch {
	case w.blocked && q.Mark != state.MarkDiscard:
		w.i++
	case q.Mark == state.MarkDiscard:
		w.decided = &state.Result{Drained: q.ID, Outcome: state.Discarded, Reason: q.MarkedBy}
	case q.Mark != state.MarkNone, q.Follower, q.State == state.Held && !q.NotBefore.After(d.b.clock.Now()):
		out, why := d.call(rt, w.lane, q.Event.ID, string(q.Event.Data))
		r := state.Result{Drained: q.ID, Outcome: out, Reason: why}
		if rests(out) {
			r.Reason, r.Queue = "", d.rowOf(w.lane, q.Event, out, why)
			r.Queue.ID, r.Queue.Blocking = q.ID, q.Blocking || r.Queue.Blocking
		}
		w.decided = &r
	default:
		w.blocked = w.blocked || q.Blocking
		w.i++
	}
}

func (d *queueModel) store(w *work) {
	r, q := *w.decided, w.rows[w.i]
	w.p.commit(r)
	if rests(r.Outcome) {
		w.blocked = w.blocked || q.Blocking
		d.heads[w.lane] = d.heads[w.lane] || r.Queue.Blocking
	} else {
		d.fate[q.Event.ID] = r.Outcome
		w.went = true
	}
	w.decided = nil
	w.i++
}

// haunt lets a hub that has lost the partition store what it had decided.
func (d *queueModel) haunt(rt *rapid.T) {
	for _, w := range d.zombie {
		if err := d.b.Commit(d.b.ctx(), w.p.of(*w.decided)); !errors.Is(err, state.ErrFenced) {
			rt.Fatalf("a crashed owner's commit: %v", err)
		}
	}
	d.zombie = nil
}

func (d *queueModel) rows() []state.Queued {
	rows, err := d.b.Parked(d.b.ctx(), state.QueueFilter{Flow: d.flow, Limit: 10_000})
	d.b.no(err)
	return rows
}

// taken lets a person be told that it is not possible now, or that it is too late.
func taken(rt *rapid.T, err error) bool {
	if err != nil && !errors.Is(err, state.ErrBusy) && !errors.Is(err, state.ErrNotFound) && !errors.Is(err, state.ErrChanged) {
		rt.Fatal(err)
	}
	return err == nil
}

func (d *queueModel) edit(rt *rapid.T, q *state.Queued, bad string, replay bool) {
	full, err := d.b.ParkedByID(d.b.ctx(), q.ID)
	d.b.no(err)
	var o body
	if err := json.Unmarshal(full.Event.Data, &o); err != nil {
		rt.Fatal(err)
	}
	o.Bad = bad
	e := state.Edit{ID: q.ID, Data: []byte(o.String()), Rev: &q.Rev, Replay: replay, Who: "ann", Note: "edit"}
	if taken(rt, d.b.Edit(d.b.ctx(), e)) {
		d.docs[q.Event.ID] = o.String()
	}
}

func (d *queueModel) bulk(rt *rapid.T, n int) {
	bulk := &d.bulks[n]
	step, err := d.b.Bulk(d.b.ctx(), *bulk)
	if !taken(rt, err) {
		return
	}
	bulk.From = step.Next
	if step.Done {
		d.bulks = slices.Delete(d.bulks, n, n+1)
	}
}

// refer commits the cross-reference that messages wait for.
func (d *queueModel) refer() {
	p, err := d.b.OpenPartition(d.b.ctx(), d.flow+"/customers", "customers", 0, event.Log{Cluster: "c", TopicID: "t", First: 0, Last: 1 << 40})
	d.b.no(err)
	c := &part{d.b, p}
	c.commit(state.Result{Offset: d.side, Outcome: state.Delivered, Ref: &state.Ref{Entity: "customer", Hub: d.flow, System: "erp", Local: fmt.Sprint("local", d.side)}})
	d.side++
	d.broken["wait"] = false
}

// check: nothing is lost and nothing counted twice, the queue holds what the people know, and its order is the keys'.
func (d *queueModel) check(rt *rapid.T) {
	got := d.b.totals(d.flow)
	rows := d.rows()
	want := map[state.Outcome]int64{}
	for _, o := range d.fate {
		want[o]++
	}
	if got.Finished != int64(d.stored) || got.Delivered != want[state.Delivered] || got.Discarded != want[state.Discarded] ||
		got.Parked+got.Waiting+got.Held != int64(len(rows)) || len(rows)+len(d.fate) != d.stored {
		rt.Fatalf("%d records are stored, %d rows, fates %v; totals %+v", d.stored, len(rows), want, got)
	}
	last := map[string]int{}
	for i := range rows {
		q := &rows[i]
		if _, gone := d.fate[q.Event.ID]; gone {
			rt.Fatalf("%s has a fate and is queued", q.Event.ID)
		}
		var v int
		if _, err := fmt.Sscanf(q.Event.ID[len(d.flow)+len(q.Event.Key)+2:], "%d", &v); err != nil || v <= last[q.Lane] {
			rt.Fatalf("lane %s: %s is queued behind version %d (%v)", q.Lane, q.Event.ID, last[q.Lane], err)
		}
		last[q.Lane] = v
	}
	for lane, list := range d.log {
		for i := 1; i < len(list); i++ {
			if list[i].v <= list[i-1].v {
				rt.Fatalf("lane %s: %v", lane, list)
			}
		}
	}
}

// finish repairs the target, replays what is left, and looks whether all of it arrives.
func (d *queueModel) finish(rt *rapid.T) {
	d.broken = map[string]bool{}
	d.refer()
	for round := 0; ; round++ {
		if round > 200 {
			rt.Fatalf("the queue is not empty after %d rounds: %+v", round, d.rows())
		}
		d.b.clock.Add(time.Minute)
		all := state.Bulk{Mark: state.MarkReplay, Filter: state.QueueFilter{Flow: d.flow}, About: "flow=" + d.flow, Who: "bob", Most: 10_000}
		_, err := d.b.Bulk(d.b.ctx(), all)
		d.b.no(err)
		for d.begin(0); d.work != nil; {
			d.step(rt)
		}
		for lane := range d.open {
			for len(d.open[lane]) > 0 {
				d.arrive(rt, lane, "", false)
			}
		}
		if len(d.rows()) == 0 {
			break
		}
	}
	d.check(rt)
	for id := range d.docs {
		if d.fate[id] == "" {
			rt.Fatalf("%s has no fate", id)
		}
	}
}

// testQueueModel: whatever people do, in whatever order, and wherever the owner crashes, each key's messages reach the target in order, none
// is lost or sent twice, what was edited last is what is sent, and the equation holds.
func testQueueModel(t *testing.T, b *bench) {
	run, most := 0, 1<<30
	if b.shared {
		most = 25 // every step is a round trip or more
	}
	rapid.Check(t, func(rt *rapid.T) {
		if run++; run > most {
			return
		}
		d := newQueueModel(b, run)
		lanes := []string{"k1", "k2", "loose"}
		lane := rapid.SampledFrom(lanes)
		bad := rapid.SampledFrom([]string{"", "", "a", "a", "b", "down", "wait"})
		some := func(rt *rapid.T) *state.Queued {
			rows := d.rows()
			if len(rows) == 0 {
				rt.Skip()
			}
			return &rows[rapid.IntRange(0, len(rows)-1).Draw(rt, "row")]
		}
		work := func(rt *rapid.T) {
			if d.work == nil {
				d.begin(rapid.IntRange(0, 5).Draw(rt, "lane"))
			}
			for range rapid.IntRange(1, 8).Draw(rt, "steps") {
				d.step(rt)
			}
		}
		marked := func(rt *rapid.T) state.Mark {
			return rapid.SampledFrom([]state.Mark{state.MarkReplay, state.MarkReplay, state.MarkDiscard}).Draw(rt, "mark")
		}
		rt.Repeat(map[string]func(*rapid.T){
			"arrive": func(rt *rapid.T) { d.arrive(rt, lane.Draw(rt, "lane"), bad.Draw(rt, "bad"), false) },
			"arrive, more": func(rt *rapid.T) {
				for range 3 {
					d.arrive(rt, lane.Draw(rt, "lane"), bad.Draw(rt, "bad"), false)
				}
			},
			"arrive and crash": func(rt *rapid.T) { d.arrive(rt, lane.Draw(rt, "lane"), bad.Draw(rt, "bad"), true) },
			"work":             work,
			"work on":          work,
			"crash":            func(*rapid.T) { d.take() },
			"crash and restart": func(rt *rapid.T) {
				if rapid.IntRange(0, 3).Draw(rt, "rarely") == 0 {
					d.haunt(rt) // no process outlives its store
					b.reopen()
				}
				d.take()
			},
			"haunt": d.haunt,
			"mark": func(rt *rapid.T) {
				taken(rt, b.Mark(b.ctx(), state.Wish{ID: some(rt).ID, Mark: marked(rt), Who: "ann", Note: "note"}))
			},
			"edit": func(rt *rapid.T) { d.edit(rt, some(rt), bad.Draw(rt, "bad"), rapid.Bool().Draw(rt, "replay")) },
			"edit while the owner is at work": func(rt *rapid.T) {
				for _, what := range []string{"a", "b"} { // mostly there is something to release
					d.broken[what] = rapid.IntRange(0, 3).Draw(rt, "broken") == 0
				}
				if d.work == nil {
					taken(rt, b.Mark(b.ctx(), state.Wish{ID: some(rt).ID, Mark: state.MarkReplay, Who: "ann", Note: "note"}))
					d.begin(rapid.IntRange(0, 5).Draw(rt, "lane"))
				}
				for range 12 {
					if d.work == nil {
						break
					}
					if rows, err := b.Queue(b.ctx(), d.flow, d.work.lane, 10); err == nil && len(rows) > 0 && rapid.Bool().Draw(rt, "now") {
						d.edit(rt, &rows[rapid.IntRange(0, len(rows)-1).Draw(rt, "row")], bad.Draw(rt, "bad"), rapid.Bool().Draw(rt, "replay"))
					}
					d.step(rt)
				}
			},
			"edit what was read before": func(rt *rapid.T) {
				q := some(rt)
				if rapid.Bool().Draw(rt, "meanwhile") {
					work(rt)
				}
				if _, err := b.ParkedByID(b.ctx(), q.ID); err == nil {
					d.edit(rt, q, bad.Draw(rt, "bad"), true)
				}
			},
			"bulk": func(rt *rapid.T) {
				q := some(rt)
				bulk := state.Bulk{Mark: marked(rt), Filter: state.QueueFilter{Flow: d.flow, Cause: q.Cause}, About: "cause=" + q.Cause, Who: "ann", Note: "bulk", Most: 1}
				bulk.Behind = bulk.Mark == state.MarkDiscard && rapid.Bool().Draw(rt, "behind")
				d.bulks = append(d.bulks, bulk)
				d.bulk(rt, len(d.bulks)-1)
			},
			"bulk goes on": func(rt *rapid.T) {
				if len(d.bulks) == 0 {
					rt.Skip()
				}
				d.bulk(rt, rapid.IntRange(0, len(d.bulks)-1).Draw(rt, "bulk"))
			},
			"the target changes": func(rt *rapid.T) {
				what := rapid.SampledFrom([]string{"a", "b", "down"}).Draw(rt, "what")
				d.broken[what] = !d.broken[what]
			},
			"a cross-reference comes": func(rt *rapid.T) {
				if rapid.IntRange(0, 3).Draw(rt, "rarely") == 0 {
					d.refer()
				}
			},
			"a minute": func(*rapid.T) { b.clock.Add(time.Minute) },
			"":         d.check,
		})
		d.haunt(rt)
		if d.work != nil {
			d.take()
		}
		d.finish(rt)
		d.onceABulk(rt)
	})
}

// onceABulk: no bulk has marked a message twice.
func (d *queueModel) onceABulk(rt *rapid.T) {
	for _, id := range slices.Sorted(maps.Keys(d.docs)) {
		tr, err := d.b.Trace(d.b.ctx(), id)
		d.b.no(err)
		seen := map[[2]int64]bool{}
		for _, a := range tr.Acts {
			if k := [2]int64{a.Bulk, a.Message}; a.Bulk != 0 {
				if seen[k] {
					rt.Fatalf("bulk %d has marked message %d twice", a.Bulk, a.Message)
				}
				seen[k] = true
			}
		}
	}
}
