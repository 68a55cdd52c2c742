package storetest

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// counted holds what the store says of its queue without counting it against its rows, one by one: every test ends with it.
func (b *bench) counted() {
	b.t.Helper()
	var rows []state.Queued
	for {
		f := state.QueueFilter{Limit: 10_000}
		if len(rows) > 0 {
			f.After = rows[len(rows)-1].ID
		}
		page, err := b.Parked(b.ctx(), f)
		b.no(err)
		if rows = append(rows, page...); len(page) < f.Limit {
			break
		}
	}
	type key struct{ cause, kind string }
	want, got := map[key][2]int64{}, map[key][2]int64{}
	resting := map[string]int64{}
	for i := range rows {
		q := &rows[i]
		k := key{q.Cause, q.Kind}
		if q.Cause == "" {
			k.kind = string(q.State)
		}
		n := want[k]
		if q.Follower {
			n[1]++
		} else {
			n[0]++
		}
		want[k] = n
		resting[q.Flow+" "+string(q.State)]++
	}
	causes, err := b.Causes(b.ctx(), state.QueueFilter{})
	b.no(err)
	for i := range causes {
		c := &causes[i]
		k := key{c.Cause, c.Kind}
		if c.Cause == "" {
			k.kind = string(c.State)
		}
		got[k] = [2]int64{c.Count, c.Behind}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		b.t.Errorf("the queue is counted as %v, and holds %v", got, want)
	}
	totals, _, _, err := b.StatusSnapshot(b.ctx())
	b.no(err)
	for i := range totals {
		t := &totals[i]
		for st, n := range map[state.Outcome]int64{state.Parked: t.Parked, state.Waiting: t.Waiting, state.Held: t.Held} {
			if n != resting[t.Flow+" "+string(st)] {
				b.t.Errorf("the status has %d messages of %s that are %s, and there are %d", n, t.Flow, st, resting[t.Flow+" "+string(st)])
			}
		}
	}
}

// What a filter selects is the same whichever way the store takes to it: page by page, counted, and by causes.
func testSelections(t *testing.T, b *bench) {
	kinds := []struct{ kind, code string }{{"schema", "required:a"}, {"schema", "required:b"}, {"mapping", "value:units/shop/kg"}}
	for part := range 2 {
		p := b.part(part)
		for i := range int64(24) {
			lane, k := fmt.Sprintf("SO-%d-%d", part, i), kinds[i%3]
			outcome := []state.Outcome{state.Parked, state.Parked, state.Waiting, state.Held}[i%4]
			p.commit(rest(2*i, outcome, lane, func(q *state.Queued) { q.Kind, q.Code = k.kind, k.code }))
			if i%3 == 0 {
				p.commit(rest(2*i+1, outcome, lane, follower))
			}
			b.clock.Add(time.Minute)
		}
	}
	other, err := b.OpenPartition(b.ctx(), "orders-to-wms", "canonical.order", 0, eventLog)
	b.no(err)
	o := &part{b, other}
	o.commit(rest(0, state.Parked, "SO-0-0", func(q *state.Queued) { q.Kind, q.Code = kinds[0].kind, kinds[0].code }))
	all, err := b.Parked(b.ctx(), state.QueueFilter{Limit: 1000})
	b.no(err)
	if len(all) != 2*32+1 {
		t.Fatalf("%d rows", len(all))
	}
	b.no(b.Mark(b.ctx(), state.Wish{ID: all[0].ID, Mark: state.MarkReplay, Who: "ann"}))
	b.no(b.Mark(b.ctx(), state.Wish{ID: all[2].ID, Mark: state.MarkDiscard, Who: "ann"}))
	behind := slices.IndexFunc(all, func(q state.Queued) bool { return q.Follower })
	b.no(b.Mark(b.ctx(), state.Wish{ID: all[behind].ID, Mark: state.MarkDiscard, Who: "ann"}))
	all, err = b.Parked(b.ctx(), state.QueueFilter{Limit: 1000})
	b.no(err)
	var filters []state.QueueFilter
	for _, flow := range []string{"", "orders-to-erp", "orders-to-wms", "none"} {
		for _, st := range []state.Outcome{"", state.Parked, state.Waiting, state.Held} {
			for _, cause := range []string{"", all[0].Cause, "none"} {
				for _, code := range []string{"", kinds[2].code, "none"} {
					for _, of := range []int{0, 1, 2} {
						filters = append(filters, state.QueueFilter{Flow: flow, State: st, Cause: cause, Code: code, Heads: of == 1, Followers: of == 2},
							state.QueueFilter{Flow: flow, State: st, Cause: cause, Code: code, Heads: of == 1, Followers: of == 2, Since: all[len(all)/2].Since})
					}
				}
			}
		}
	}
	filters = append(filters, state.QueueFilter{Flows: []string{"orders-to-wms", "none"}}, state.QueueFilter{Flows: []string{}}, state.QueueFilter{Key: "SO-0-0"}, state.QueueFilter{Marked: true})
	for i := range filters {
		b.selects(&filters[i], all)
	}
}

// selected is a filter, said row by row.
func selected(f *state.QueueFilter, q *state.Queued) bool {
	return (f.Flow == "" || f.Flow == q.Flow) && (f.Flows == nil || slices.Contains(f.Flows, q.Flow)) && (f.State == "" || f.State == q.State) && (f.Cause == "" || f.Cause == q.Cause) &&
		(f.Code == "" || f.Code == q.Code) && (!f.Heads || !q.Follower) && (!f.Followers || q.Follower) && (f.Since.IsZero() || !q.Since.After(f.Since)) &&
		(f.Key == "" || f.Key == q.Event.Key) && (!f.Marked || q.Mark != "")
}

func (b *bench) selects(f *state.QueueFilter, all []state.Queued) {
	b.t.Helper()
	var want, got []int64
	causes := map[string][3]int64{}
	oldest := map[string]*state.Queued{}
	count := map[state.Mark][2]int64{}
	for i := range all {
		q := &all[i]
		young := *f
		young.Since = time.Time{}
		if selected(&young, q) && q.Follower {
			for _, m := range []state.Mark{state.MarkReplay, state.MarkDiscard} {
				count[m] = [2]int64{count[m][0], count[m][1] + 1}
			}
		}
		if !selected(f, q) {
			continue
		}
		want = append(want, q.ID)
		for _, m := range []state.Mark{state.MarkReplay, state.MarkDiscard} {
			if q.Follower == f.Followers && (m == state.MarkReplay && q.Mark == "" || m == state.MarkDiscard && q.Mark != state.MarkDiscard) {
				count[m] = [2]int64{count[m][0] + 1, count[m][1]}
			}
		}
		n := causes[q.Cause]
		if q.Follower {
			n[1]++
		} else {
			n[0]++
			n[2] += int64(len(q.Mark)) / 6 // replay or discard
		}
		causes[q.Cause] = n
		if was := oldest[q.Cause]; was == nil || was.Follower && !q.Follower || was.Follower == q.Follower && cmp.Or(q.Since.Compare(was.Since), cmp.Compare(q.ID, was.ID)) < 0 {
			oldest[q.Cause] = q
		}
	}
	page := *f
	for page.Limit = 5; ; {
		rows, err := b.Parked(b.ctx(), page)
		b.no(err)
		for i := range rows {
			got = append(got, rows[i].ID)
		}
		if len(rows) < page.Limit {
			break
		}
		page.After = got[len(got)-1]
	}
	if !slices.Equal(got, want) {
		b.t.Errorf("%+v lists %v, want %v", *f, got, want)
	}
	found, err := b.Causes(b.ctx(), *f)
	b.no(err)
	said := map[string][3]int64{}
	for i := range found {
		c := &found[i]
		said[c.Cause] = [3]int64{c.Count, c.Behind, c.Marked}
		if o := oldest[c.Cause]; o != nil && f.Key == "" && !f.Marked && c.Example.ID != o.ID {
			b.t.Errorf("%+v: the example of %s is %d, want %d", *f, c.Cause, c.Example.ID, o.ID)
		}
	}
	if fmt.Sprint(said) != fmt.Sprint(causes) {
		b.t.Errorf("%+v has causes %v, want %v", *f, said, causes)
	}
	if f.Heads {
		return
	}
	for m, n := range count {
		got, behind, err := b.Count(b.ctx(), state.Bulk{Mark: m, Filter: *f})
		b.no(err)
		if f.Followers {
			n[1] = 0
		}
		if got != n[0] || behind != n[1] {
			b.t.Errorf("%+v: a %s marks %d and releases %d, want %d and %d", *f, m, got, behind, n[0], n[1])
		}
	}
}
