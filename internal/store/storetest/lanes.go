package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/state"
)

func testLaneFollowers(t *testing.T, b *bench) {
	p := b.part(0)
	p.commit(rest(0, state.Parked, "a"))
	p.commit(rest(1, state.Held, "a"), rest(2, state.Held, "b"), rest(3, state.Held, "a", follower))
	p.commit(rest(4, state.Parked, "a"))
	b.wantShape(p, "a", "parked parked+ parked+ parked+")
	b.wantShape(p, "b", "held")
	if got := b.totals(p.Flow); got.Parked != 4 || got.Held != 1 {
		t.Errorf("totals: %+v", got)
	}
	lanes, err := b.QueuedLanes(b.ctx(), p.Flow, p.Topic, 0)
	b.no(err)
	if fmt.Sprint(lanes) != "[{a parked} {b held}]" {
		t.Errorf("lanes: %v", lanes)
	}
	other := b.part(1)
	other.commit(rest(0, state.Held, "c"))
	if lanes, err = b.QueuedLanes(b.ctx(), p.Flow, p.Topic, 1); err != nil || fmt.Sprint(lanes) != "[{c held}]" {
		t.Errorf("lanes: %v, %v", lanes, err)
	}
}

func testLaneHeadChanges(t *testing.T, b *bench) {
	p := b.part(0)
	p.commit(rest(0, state.Held, "a"), rest(1, state.Held, "a"), rest(2, state.Held, "a"), rest(3, state.Held, "a"))
	rows := p.queue("a")
	p.commit(drained(rows[0], state.Parked))
	b.wantShape(p, "a", "parked parked+ parked+ parked+")
	if q := p.queue("a")[2]; q.Reason != "later" || q.Kind != "later" {
		t.Errorf("a follower's reason: %+v", q)
	}
	b.due(p)
	b.clock.Add(time.Minute)
	for range 2 { // the second is a repetition
		p.commit(drained(rows[0], state.Delivered))
	}
	b.wantShape(p, "a", "held held+ held+")
	b.due(p, "a")
	if q := p.queue("a")[0]; q.Reason != "" || !q.NotBefore.IsZero() || !q.Since.Equal(b.clock.Now()) {
		t.Errorf("promoted: %+v", q)
	}
	p.commit(drained(rows[1], state.Waiting, needs(state.Missing{Entity: "customer", System: "erp", Hub: "h"})))
	b.wantShape(p, "a", "waiting waiting+ waiting+")
	got := b.totals(p.Flow)
	if got.Waiting != 3 || got.Delivered != 1 || got.Finished != 4 {
		t.Errorf("totals: %+v", got)
	}
	b.reopen()
	p.commit(drained(rows[1], state.Skipped), drained(rows[2], state.Discarded), drained(rows[3], state.Delivered))
	b.wantShape(p, "a", "")
	if got := b.totals(p.Flow); got.Waiting+got.Held+got.Parked != 0 || got.Delivered != 2 || got.Discarded != 1 || got.Skipped[""] != 1 {
		t.Errorf("totals: %+v", got)
	}
	b.due(p)
}

// Under `order: latest` a parked row blocks nothing, and nothing follows it.
func testLaneOfNonBlocking(t *testing.T, b *bench) {
	p := b.part(0)
	p.commit(rest(0, state.Parked, "a", loose))
	if lanes, err := b.QueuedLanes(b.ctx(), p.Flow, p.Topic, 0); err != nil || len(lanes) != 0 {
		t.Errorf("lanes: %v, %v", lanes, err)
	}
	p.commit(rest(1, state.Held, "a"), rest(2, state.Held, "a"), rest(3, state.Parked, "a", loose))
	b.wantShape(p, "a", "parked~ held held+ parked~")
	rows := p.queue("a")
	p.commit(drained(rows[1], state.Parked, loose)) // the held head fails for good, and lets the next one go
	b.wantShape(p, "a", "parked~ parked~ held parked~")
	b.no(b.Mark(b.ctx(), state.Wish{ID: rows[3].ID, Mark: state.MarkReplay, Who: "ann", Note: ""}))
	b.due(p, "a")
	p.commit(drained(rows[0], state.Delivered), drained(rows[3], state.Delivered))
	b.wantShape(p, "a", "parked~ held")
	b.totals(p.Flow)
}

// The engine saw a head that has left before the append: the late follower must not rest for ever.
func testLaneLateFollower(t *testing.T, b *bench) {
	p := b.part(0)
	p.commit(rest(0, state.Parked, "a", follower), rest(1, state.Parked, "a", follower))
	b.wantShape(p, "a", "held held+")
	b.due(p, "a")
}

func testLaneDiscards(t *testing.T, b *bench) {
	p := b.part(0)
	p.commit(rest(0, state.Parked, "a"), rest(1, state.Parked, "a"), rest(2, state.Parked, "a"))
	rows := p.queue("a")
	b.no(b.Mark(b.ctx(), state.Wish{ID: rows[1].ID, Mark: state.MarkDiscard, Who: "ann", Note: "a test order"}))
	b.due(p, "a")
	p.commit(drained(rows[1], state.Discarded))
	b.wantShape(p, "a", "parked parked+")
	b.due(p)
	// A wish to discard that comes while the head is being tried stays.
	b.no(b.Mark(b.ctx(), state.Wish{ID: rows[0].ID, Mark: state.MarkDiscard, Who: "ann", Note: ""}))
	p.commit(drained(rows[0], state.Held))
	b.wantShape(p, "a", "held!discard held+")
	// One to replay stays too where the attempt had begun before: what the person has repaired may have come too late for it.
	b.no(b.Mark(b.ctx(), state.Wish{ID: rows[0].ID, Mark: state.MarkReplay, Who: "ann", Note: ""}))
	p.commit(drained(rows[0], state.Parked))
	b.wantShape(p, "a", "parked!replay parked+")
	// It is carried out by the attempt that knows of it.
	p.commit(drained(p.queue("a")[0], state.Parked))
	b.wantShape(p, "a", "parked parked+")
}

func testLaneInOneCommit(t *testing.T, b *bench) {
	p := b.part(0)
	p.commit(rest(0, state.Held, "a"), rest(1, state.Held, "a"), rest(2, state.Held, "a"))
	rows := p.queue("a")
	p.commit(drained(rows[0], state.Delivered), drained(rows[1], state.Parked), rest(3, state.Held, "a", follower), rest(4, state.Held, "b", follower))
	b.wantShape(p, "a", "parked parked+ parked+")
	b.wantShape(p, "b", "held")
	p.commit(drained(rows[1], state.Held), drained(rows[1], state.Delivered), drained(rows[2], state.Delivered), rest(5, state.Parked, "a", follower))
	b.wantShape(p, "a", "held held+")
	other := b.part(1) // rows of another partition are not this owner's
	other.commit(drained(p.queue("a")[0], state.Delivered))
	b.wantShape(p, "a", "held held+")
	p.commit(state.Result{Drained: p.queue("a")[0].ID, Outcome: state.Parked, Reason: "bare"})
	b.wantShape(p, "a", "parked parked+")
	b.totals(p.Flow)
}

func testDue(t *testing.T, b *bench) {
	p := b.part(0)
	at := func(d time.Duration) func(*state.Queued) {
		return func(q *state.Queued) { q.NotBefore = b.clock.Now().Add(d) }
	}
	p.commit(rest(0, state.Held, "later", at(time.Minute)), rest(1, state.Held, "now", at(0)), rest(2, state.Held, "always"), rest(3, state.Parked, "parked", at(0)),
		rest(4, state.Waiting, "waiting"), rest(5, state.Waiting, "waiting-timed", at(time.Second)))
	b.due(p, "now", "always")
	marked := func(want string) {
		t.Helper()
		got, err := b.MarkedPartitions(b.ctx(), p.Flow, p.Topic)
		if fmt.Sprint(got) != want || err != nil {
			t.Errorf("partitions with marks: %v (%v), want %s", got, err, want)
		}
	}
	marked("[]")
	b.clock.Add(time.Second)
	b.due(p, "now", "always", "waiting-timed")
	b.clock.Add(time.Minute)
	b.due(p, "later", "now", "always", "waiting-timed")
	b.no(b.Mark(b.ctx(), state.Wish{ID: p.queue("parked")[0].ID, Mark: state.MarkReplay, Who: "ann", Note: ""}))
	b.no(b.Mark(b.ctx(), state.Wish{ID: p.queue("later")[0].ID, Mark: state.MarkReplay, Who: "ann", Note: ""}))
	b.due(p, "later", "now", "always", "parked", "waiting-timed")
	marked("[0]")
	other := b.part(2)
	other.commit(rest(0, state.Parked, "elsewhere"))
	b.no(b.Mark(b.ctx(), state.Wish{ID: other.queue("elsewhere")[0].ID, Mark: state.MarkDiscard, Who: "ann", Note: ""}))
	marked("[0 2]")
	for i, at := range [][2]string{{"another-flow", p.Topic}, {p.Flow, "another.topic"}} { // are none of these
		strange, err := b.OpenPartition(b.ctx(), at[0], at[1], 3+i, event.Log{Cluster: "cluster", TopicID: "other", Last: 1 << 40})
		b.no(err)
		(&part{b, strange}).commit(rest(0, state.Parked, "strange"))
		rows, err := b.Queue(b.ctx(), at[0], "strange", 10)
		b.no(err)
		b.no(b.Mark(b.ctx(), state.Wish{ID: rows[0].ID, Mark: state.MarkReplay, Who: "ann", Note: ""}))
	}
	other.commit(rest(1, state.Parked, "elsewhere too"))
	b.no(b.Mark(b.ctx(), state.Wish{ID: other.queue("elsewhere too")[0].ID, Mark: state.MarkReplay, Who: "ann", Note: ""}))
	marked("[0 2]")
	if got, err := b.Due(b.ctx(), p.Flow, p.Topic, 0, b.clock.Now(), 2); err != nil || fmt.Sprint(got) != "[later now]" {
		t.Errorf("two lanes: %v, %v", got, err)
	}
}

func testParked(t *testing.T, b *bench) {
	p := b.part(0)
	for i := range int64(6) {
		p.commit(rest(i, []state.Outcome{state.Parked, state.Held}[i%2], fmt.Sprint("lane", i/2), func(q *state.Queued) { q.Code = fmt.Sprint("code", i%2) }))
	}
	for name, c := range map[string]struct {
		f    state.QueueFilter
		want int
	}{
		"all": {state.QueueFilter{}, 6}, "flow": {state.QueueFilter{Flow: p.Flow}, 6}, "other flow": {state.QueueFilter{Flow: "x"}, 0},
		"heads": {state.QueueFilter{Heads: true}, 3}, "state": {state.QueueFilter{State: state.Parked}, 6}, "held": {state.QueueFilter{State: state.Held}, 0},
		"lane": {state.QueueFilter{Lane: "lane1"}, 2}, "key": {state.QueueFilter{Key: "lane1"}, 2}, "code": {state.QueueFilter{Code: "code0"}, 3},
		"limit": {state.QueueFilter{Limit: 4}, 4},
	} {
		rows, err := b.Parked(b.ctx(), c.f)
		b.no(err)
		if len(rows) != c.want {
			t.Errorf("%s: %d rows, want %d", name, len(rows), c.want)
		}
	}
	seen, after := 0, int64(0)
	for {
		rows, err := b.Parked(b.ctx(), state.QueueFilter{After: after, Limit: 4})
		b.no(err)
		if len(rows) == 0 {
			break
		}
		seen, after = seen+len(rows), rows[len(rows)-1].ID
	}
	if seen != 6 {
		t.Errorf("%d rows page by page", seen)
	}
}
