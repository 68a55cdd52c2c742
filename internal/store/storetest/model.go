package storetest

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/state"
)

// model is what the store must agree with: what happened to every offset, and the lanes as lists.
type model struct {
	flow     string
	finished map[int64]bool
	direct   map[state.Outcome]int64 // delivered, skipped, discarded
	lanes    map[string][]*row
	gone     []state.Queued // rows that have left: draining them again must change nothing
}

// row is one stored message; own is the state it would have alone.
type row struct {
	stored   state.Queued
	state    state.Outcome
	blocking bool
	follower bool
}

// append joins a row to its lane as the rules say.
func (m *model) append(lane string, st state.Outcome, blocking, follows bool) {
	r := &row{state: st, blocking: blocking || follows}
	if r.blocking {
		if h := m.head(lane); h != nil {
			r.follower, r.state = true, h.state
		} else if follows {
			r.state = state.Held
		}
	}
	m.lanes[lane] = append(m.lanes[lane], r)
}

func (m *model) head(lane string) *row {
	for _, r := range m.lanes[lane] {
		if r.blocking {
			return r
		}
	}
	return nil
}

// drain settles the i-th row of a lane.
func (m *model) drain(lane string, i int, out state.Outcome) {
	r := m.lanes[lane][i]
	switch out {
	case state.Parked, state.Waiting, state.Held:
		r.state, r.follower = out, false
	default:
		m.direct[out]++
		m.gone = append(m.gone, r.stored)
		m.lanes[lane] = slices.Delete(m.lanes[lane], i, i+1)
	}
	h := m.head(lane)
	if h == nil {
		return
	}
	if h.follower {
		h.follower, h.state = false, state.Held
	}
	for _, r := range m.lanes[lane] {
		if r.blocking && r != h {
			r.follower, r.state = true, h.state
		}
	}
}

var outcomes = []state.Outcome{state.Delivered, state.Skipped, state.Discarded, state.Parked, state.Waiting, state.Held}

// A random sequence of commits, redeliveries, drains, take-overs and restarts keeps the equation, and agrees with the model.
func testModel(t *testing.T, b *bench) {
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		m := &model{flow: fmt.Sprint("flow", run), finished: map[int64]bool{}, direct: map[state.Outcome]int64{}, lanes: map[string][]*row{}}
		open := func() *part {
			p, err := b.OpenPartition(b.ctx(), m.flow, "topic", 0, event.Log{Cluster: "c", TopicID: "t", First: 0, Last: 1 << 40})
			b.no(err)
			return &part{b, p}
		}
		p := open()
		var sent []*state.Commit
		rt.Repeat(map[string]func(*rapid.T){
			"commit": func(rt *rapid.T) {
				c := p.of()
				for range rapid.IntRange(1, 6).Draw(rt, "results") {
					c.Results = append(c.Results, m.record(rt))
				}
				b.no(b.Commit(b.ctx(), c))
				sent = append(sent, c)
				m.read(p)
			},
			"redeliver": func(rt *rapid.T) {
				if len(sent) == 0 {
					rt.Skip()
				}
				old := *rapid.SampledFrom(sent).Draw(rt, "commit")
				old.Epoch = p.Epoch
				b.no(b.Commit(b.ctx(), &old))
			},
			"drain": func(rt *rapid.T) {
				lanes := slices.Sorted(maps.Keys(m.lanes))
				if len(lanes) == 0 {
					rt.Skip()
				}
				lane := rapid.SampledFrom(lanes).Draw(rt, "lane")
				if len(m.lanes[lane]) == 0 {
					rt.Skip()
				}
				i := rapid.IntRange(0, len(m.lanes[lane])-1).Draw(rt, "row")
				out := rapid.SampledFrom(outcomes).Draw(rt, "outcome")
				p.commit(drained(m.lanes[lane][i].stored, out))
				m.drain(lane, i, out)
			},
			"drain again": func(rt *rapid.T) {
				if len(m.gone) == 0 {
					rt.Skip()
				}
				p.commit(drained(rapid.SampledFrom(m.gone).Draw(rt, "row"), rapid.SampledFrom(outcomes).Draw(rt, "outcome")))
			},
			"take over": func(*rapid.T) { p = open() },
			"restart": func(rt *rapid.T) {
				if rapid.IntRange(0, 4).Draw(rt, "rarely") == 0 {
					b.reopen()
					p = open()
				}
			},
			"": func(rt *rapid.T) { m.check(rt, b, p) },
		})
	})
}

// record makes a random result of an offset that may be finished already.
func (m *model) record(rt *rapid.T) state.Result {
	offset := rapid.Int64Range(0, 40).Draw(rt, "offset")
	out := rapid.SampledFrom(outcomes).Draw(rt, "outcome")
	lane := fmt.Sprint("lane", rapid.IntRange(0, 2).Draw(rt, "lane"))
	blocking, follows := rapid.Bool().Draw(rt, "blocking"), rapid.Bool().Draw(rt, "follower")
	r := state.Result{Offset: offset, Outcome: out}
	stays := out == state.Parked || out == state.Waiting || out == state.Held
	if stays {
		r = rest(offset, out, lane, func(q *state.Queued) { q.Blocking, q.Follower = blocking, follows })
	}
	if m.finished[offset] {
		return r
	}
	m.finished[offset] = true
	if stays {
		m.append(lane, out, blocking, follows)
	} else {
		m.direct[out]++
	}
	return r
}

// read takes the stored rows' ids into the model.
func (m *model) read(p *part) {
	for lane, rows := range m.lanes {
		for i, q := range p.queue(lane) {
			if i < len(rows) {
				rows[i].stored = q
			}
		}
	}
}

func (m *model) check(rt *rapid.T, b *bench, p *part) {
	got := b.totals(m.flow)
	want := map[state.Outcome]int64{}
	for lane, rows := range m.lanes {
		stored := p.queue(lane)
		if len(stored) != len(rows) {
			rt.Fatalf("lane %s holds %d rows, want %d", lane, len(stored), len(rows))
		}
		for i, r := range rows {
			want[r.state]++
			if q := stored[i]; q.State != r.state || q.Follower != r.follower || q.Blocking != r.blocking {
				rt.Fatalf("lane %s, row %d: %s follower=%v blocking=%v, want %s follower=%v blocking=%v", lane, i, q.State, q.Follower, q.Blocking, r.state, r.follower, r.blocking)
			}
		}
	}
	if got.Finished != int64(len(m.finished)) || got.Delivered != m.direct[state.Delivered] || got.Discarded != m.direct[state.Discarded] ||
		got.Skipped[""] != m.direct[state.Skipped] || got.Parked != want[state.Parked] || got.Waiting != want[state.Waiting] || got.Held != want[state.Held] {
		rt.Fatalf("totals %+v, want finished %d, %v, %v", got, len(m.finished), m.direct, want)
	}
}
