package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// What people ask of stored queues: marks, edits, bulks, and what is kept of them.

func (b *bench) busy(err error, says string) {
	b.t.Helper()
	if !errors.Is(err, state.ErrBusy) || !strings.Contains(err.Error(), says) {
		b.t.Errorf("got %v, want a refusal that says %q", err, says)
	}
}

func (b *bench) acts(id int64) string {
	b.t.Helper()
	acts, err := b.Acts(b.ctx(), id)
	b.no(err)
	s := ""
	for _, a := range acts {
		s += fmt.Sprintf("%s by %s (%s) [%s→%s]; ", a.Action, a.Who, a.Note, a.Before, a.After)
	}
	return strings.TrimSuffix(s, "; ")
}

func (b *bench) audit() string {
	b.t.Helper()
	rows, err := b.Audits(b.ctx(), state.AuditFilter{Limit: 1000})
	b.no(err)
	s := ""
	for _, a := range rows {
		s += fmt.Sprintf("%s %s %s (%s); ", a.Who, a.Action, a.Object, a.Detail)
	}
	return strings.TrimSuffix(s, "; ")
}

func testMarks(t *testing.T, b *bench) {
	p := b.part(0)
	p.commit(rest(0, state.Parked, "a"), rest(1, state.Parked, "a"))
	rows := p.queue("a")
	id := rows[0].ID
	stale := rows[0].Rev
	for range 2 { // the second asks for what is asked already
		b.no(b.Mark(b.ctx(), state.Wish{ID: id, Mark: state.MarkReplay, Who: "ann", Note: "the address is right now"}))
	}
	q, err := b.ParkedByID(b.ctx(), id)
	b.no(err)
	if q.Mark != state.MarkReplay || q.MarkedBy != "ann" || q.MarkNote != "the address is right now" || q.Rev != 1 {
		t.Errorf("marked: %+v", q)
	}
	for _, m := range []state.Mark{"shred", state.MarkNone, state.MarkReady} {
		if err := b.Mark(b.ctx(), state.Wish{ID: id, Mark: m, Who: "bob", Note: ""}); err == nil {
			t.Errorf("the mark %q was taken from a person", m)
		}
	}
	// Behind another message nothing is replayed, but it may be given up.
	b.busy(b.Mark(b.ctx(), state.Wish{ID: rows[1].ID, Mark: state.MarkReplay, Who: "ann", Note: ""}), fmt.Sprintf("queues behind message %d of its key, which is parked", id))
	b.no(b.Mark(b.ctx(), state.Wish{ID: rows[1].ID, Mark: state.MarkDiscard, Who: "ann", Note: "a test"}))
	if err := b.Mark(b.ctx(), state.Wish{ID: id, Mark: state.MarkDiscard, Rev: &stale}); !errors.Is(err, state.ErrChanged) {
		t.Errorf("a mark on what has changed: %v", err)
	}
	b.no(b.Mark(b.ctx(), state.Wish{ID: id, Mark: state.MarkDiscard, Rev: &q.Rev, Who: "bob", Note: "no, it is wrong"}))
	for name, err := range map[string]error{"mark": b.Mark(b.ctx(), state.Wish{ID: 999_999, Mark: state.MarkReplay, Who: "ann", Note: ""}), "edit": b.Edit(b.ctx(), state.Edit{ID: 999_999, Data: nil, Who: "ann", Note: ""})} {
		if !errors.Is(err, state.ErrNotFound) {
			t.Errorf("%s of nothing: %v", name, err)
		}
	}
	if _, err := b.ParkedByID(b.ctx(), 999_999); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("nothing: %v", err)
	}
	want := fmt.Sprintf("bob discard message/%d (no, it is wrong); ann discard message/%d (a test); ann replay message/%d (the address is right now)", id, rows[1].ID, id)
	if got := b.audit(); got != want {
		t.Errorf("audit: %s\nwant: %s", got, want)
	}
	if got := b.acts(id); got != "replay by ann (the address is right now) [→]; discard by bob (no, it is wrong) [→]" {
		t.Errorf("acts: %s", got)
	}
}

func testEdit(t *testing.T, b *bench) {
	p := b.part(0)
	p.commit(rest(0, state.Parked, "a"), rest(1, state.Parked, "a"))
	row, behind := p.queue("a")[0], p.queue("a")[1]
	b.no(b.Edit(b.ctx(), state.Edit{ID: row.ID, Data: []byte("first"), Rev: &row.Rev, Who: "ann", Note: "typo"}))
	if err := b.Edit(b.ctx(), state.Edit{ID: row.ID, Data: []byte("other"), Rev: &row.Rev, Who: "bob", Note: "typo"}); !errors.Is(err, state.ErrChanged) {
		t.Errorf("an edit of what has changed: %v", err)
	}
	b.no(b.Edit(b.ctx(), state.Edit{ID: row.ID, Data: []byte("second"), Who: "bob", Note: "again"}))
	b.no(b.Edit(b.ctx(), state.Edit{ID: behind.ID, Data: []byte("behind"), Who: "bob", Note: "too"}))
	b.busy(b.Edit(b.ctx(), state.Edit{ID: behind.ID, Data: []byte("x"), Replay: true}), "queues behind")
	b.no(b.Edit(b.ctx(), state.Edit{ID: row.ID, Data: []byte("third"), Who: "ann", Note: "now", Replay: true}))
	q, err := b.ParkedByID(b.ctx(), row.ID)
	b.no(err)
	if string(q.Event.Data) != "third" || string(q.Original) != `{"id":"a"}` || q.EditedBy != "ann" || q.EditNote != "now" || q.Edits != 3 || q.Rev != 4 || q.Mark != state.MarkReplay {
		t.Errorf("edited: %+v", q)
	}
	if got, want := b.acts(row.ID), `edit by ann (typo) [{"id":"a"}→first]; edit by bob (again) [→second]; edit by ann (now) [→third]; replay by ann (now) [→]`; got != want {
		t.Errorf("acts: %s\nwant: %s", got, want)
	}
	// While the owner may be at work on the chain, nothing of it is edited.
	b.busy(b.Edit(b.ctx(), state.Edit{ID: row.ID, Data: []byte("x"), Who: "ann", Note: ""}), "the replay that ann has asked for is not carried out yet")
	b.busy(b.Edit(b.ctx(), state.Edit{ID: behind.ID, Data: []byte("x"), Who: "ann", Note: ""}), "queues behind")
	p.commit(drained(q, state.Delivered))
	b.busy(b.Edit(b.ctx(), state.Edit{ID: behind.ID, Data: []byte("x"), Who: "ann", Note: ""}), "is held")
	p.commit(drained(behind, state.Parked))
	b.no(b.Edit(b.ctx(), state.Edit{ID: behind.ID, Data: []byte("y"), Who: "ann", Note: ""}))
	b.no(b.Mark(b.ctx(), state.Wish{ID: behind.ID, Mark: state.MarkDiscard, Who: "ann", Note: "enough"}))
	p.commit(drained(p.queue("a")[0], state.Discarded))
	if got := b.acts(behind.ID); !strings.HasSuffix(got, "discard by ann (enough) [→]; discarded by ann (enough) [y→]") {
		t.Errorf("of a message that has gone: %s", got)
	}
	tr, err := b.Trace(b.ctx(), "a")
	b.no(err)
	if len(tr.Acts) != 8 || tr.Acts[0].Note != "typo" || tr.Acts[7].Action != "discarded" || tr.Acts[0].After != nil {
		t.Errorf("trace: %+v", tr.Acts)
	}
}

// An event without a document has an empty original, and keeps it.
func testEditOfNothing(t *testing.T, b *bench) {
	p := b.part(0)
	p.commit(rest(0, state.Parked, "a", func(q *state.Queued) { q.Event.Data = nil }))
	id := p.queue("a")[0].ID
	b.no(b.Edit(b.ctx(), state.Edit{ID: id, Data: []byte("one"), Who: "ann", Note: "a"}))
	b.no(b.Edit(b.ctx(), state.Edit{ID: id, Data: []byte("two"), Who: "ann", Note: "b"}))
	if q, err := b.ParkedByID(b.ctx(), id); err != nil || len(q.Original) != 0 || string(q.Event.Data) != "two" {
		t.Errorf("%q, %q, %v", q.Original, q.Event.Data, err)
	}
}

// Of two people who have read the same revision one edits, however close they come.
func testEditRace(t *testing.T, b *bench) {
	p := b.part(0)
	p.commit(rest(0, state.Parked, "a"))
	two := b.other()
	for range 20 {
		row := p.queue("a")[0]
		var wg sync.WaitGroup
		errs := make([]error, 2)
		for i, s := range []interface {
			Edit(ctx context.Context, e state.Edit) error
		}{b.Store, two} {
			wg.Go(func() {
				errs[i] = s.Edit(b.ctx(), state.Edit{ID: row.ID, Data: []byte(fmt.Sprint(i)), Rev: &row.Rev, Who: fmt.Sprint(i)})
			})
		}
		wg.Wait()
		won := -1
		for i, err := range errs {
			switch {
			case err == nil && won < 0:
				won = i
			case !errors.Is(err, state.ErrChanged):
				t.Fatalf("edits: %v", errs)
			}
		}
		if q := p.queue("a")[0]; won < 0 || string(q.Event.Data) != fmt.Sprint(won) || q.Edits != row.Edits+1 {
			t.Fatalf("%v, and the document is %s", errs, q.Event.Data)
		}
	}
}

// stopped is a parked row that a target has refused with a sentence of its own.
func stopped(offset int64, lane, reason string) state.Result {
	return rest(offset, state.Parked, lane, func(q *state.Queued) { q.Kind, q.Code, q.Reason = "invalid", "erp/422", reason })
}

func testCauses(t *testing.T, b *bench) {
	p := b.part(0)
	for i := range int64(5) {
		p.commit(stopped(10*i, fmt.Sprint("SO-", i), fmt.Sprintf("order SO-%d: the amount %d is too much", i, 100*i)))
		b.clock.Add(time.Minute)
	}
	p.commit(rest(1, state.Parked, "SO-0", follower), rest(2, state.Parked, "SO-0", follower), stopped(3, "SO-9", "the customer is blocked"),
		rest(4, state.Held, "SO-8", func(q *state.Queued) { q.Kind, q.Code, q.Reason = "", "", "" }))
	show := func(f state.QueueFilter) (s string) {
		causes, err := b.Causes(b.ctx(), f)
		b.no(err)
		for _, c := range causes {
			s += fmt.Sprintf("%d+%d(%d) %q %v; ", c.Count, c.Behind, c.Marked, c.Text, c.Flows)
		}
		return strings.TrimSuffix(s, "; ")
	}
	flows := "[" + p.Flow + "]"
	want := `5+2(0) "invalid erp/422: order *: the amount * is too much" ` + flows + `; 1+0(0) "invalid erp/422: the customer is blocked" ` + flows + `; 1+0(0) "" ` + flows
	if got := show(state.QueueFilter{}); got != want {
		t.Errorf("causes: %s\nwant: %s", got, want)
	}
	causes, err := b.Causes(b.ctx(), state.QueueFilter{State: state.Parked})
	b.no(err)
	c := causes[0]
	if c.Cause == "" || c.Example.Event.Key != "SO-0" || !c.Oldest.Equal(b.clock.Now().Add(-5*time.Minute)) || len(causes) != 2 {
		t.Errorf("%+v", c)
	}
	b.no(b.Mark(b.ctx(), state.Wish{ID: c.Example.ID, Mark: state.MarkReplay, Who: "ann", Note: ""}))
	if got := show(state.QueueFilter{Cause: c.Cause}); got != `5+2(1) "invalid erp/422: order *: the amount * is too much" `+flows {
		t.Errorf("one cause: %s", got)
	}
	if got := show(state.QueueFilter{Flows: []string{}}) + show(state.QueueFilter{Flows: []string{"other", "another"}}); got != "" {
		t.Errorf("of no flow: %s", got)
	}
	// The head is tried again and stopped by something else: the queue behind it follows.
	p.commit(drained(p.queue("SO-0")[0], state.Parked, func(q *state.Queued) { q.Kind, q.Code, q.Reason = "schema", "required:x", "" }))
	if got := show(state.QueueFilter{}); !strings.Contains(got, `1+2(0) "schema required:x"`) || !strings.Contains(got, "4+0(0)") {
		t.Errorf("after a change of cause: %s", got)
	}
	p.commit(drained(p.queue("SO-0")[0], state.Delivered))
	if got := show(state.QueueFilter{}); strings.Contains(got, "required") {
		t.Errorf("what is released keeps a cause: %s", got)
	}
	rows, err := b.Listed(b.ctx(), state.QueueFilter{Heads: true}, 1)
	b.no(err)
	got := ""
	for _, l := range rows {
		got += fmt.Sprintf("%s+%d(%d) ", l.Event.Key, l.Behind, len(l.Followers))
		if l.Event.Data != nil {
			t.Error("a list has documents")
		}
	}
	if got != "SO-1+0(0) SO-2+0(0) SO-3+0(0) SO-4+0(0) SO-0+1(1) SO-9+0(0) SO-8+0(0) " {
		t.Errorf("listed: %s", got)
	}
	head, behind, err := b.Ahead(b.ctx(), &p.queue("SO-0")[1])
	if err != nil || head.ID != p.queue("SO-0")[0].ID || behind != 1 {
		t.Errorf("ahead: %d, %d, %v", head.ID, behind, err)
	}
}

func testBulk(t *testing.T, b *bench) {
	p := b.part(0)
	const n = 1203 // more than two transactions
	var results []state.Result
	for i := range int64(n) {
		lane := fmt.Sprint("SO-", i)
		results = append(results, stopped(2*i, lane, fmt.Sprintf("%d is too much", i)), rest(2*i+1, state.Parked, lane, follower))
	}
	p.commit(results...)
	p.commit(stopped(10_000, "other", "something else"))
	causes, err := b.Causes(b.ctx(), state.QueueFilter{})
	b.no(err)
	all := state.Bulk{Mark: state.MarkReplay, Filter: state.QueueFilter{Cause: causes[0].Cause}, About: "cause=x", Who: "ann", Note: "repaired", Most: 700}
	if got, behind, err := b.Count(b.ctx(), all); err != nil || got != n || behind != n {
		t.Errorf("count: %d, %d, %v", got, behind, err)
	}
	first := p.queue("SO-0")[0]
	b.no(b.Mark(b.ctx(), state.Wish{ID: first.ID, Mark: state.MarkDiscard, Who: "bob", Note: "mine"}))
	before := b.Stats().Transactions
	step, err := b.Bulk(b.ctx(), all)
	b.no(err)
	if step.Marked != 700 || step.Done || step.Total != 700 {
		t.Fatalf("first step: %+v", step)
	}
	if took := b.Stats().Transactions - before; took != 3 {
		t.Errorf("700 rows took %d transactions", took)
	}
	// What came, and what was tried and stopped again, after the beginning is not among them.
	second := p.queue("SO-1")[0]
	p.commit(drained(second, state.Parked, func(q *state.Queued) { q.Kind, q.Code, q.Reason = "invalid", "erp/422", "7 is too much" }), stopped(20_000, "late", "8 is too much"))
	all.From = step.Next
	step, err = b.Bulk(b.ctx(), all)
	b.no(err)
	if step.Marked != n-1-700 || !step.Done || step.Total != n-1 {
		t.Fatalf("second step: %+v", step)
	}
	all.From = step.Next
	if again, err := b.Bulk(b.ctx(), all); err != nil || again.Marked != 0 || !again.Done || again.Total != n-1 {
		t.Errorf("a step too many: %+v, %v", again, err)
	}
	if q := p.queue("SO-1")[0]; q.Mark != "" {
		t.Error("a message was replayed twice by one bulk")
	}
	if q := p.queue("SO-0")[0]; q.Mark != state.MarkDiscard || q.MarkedBy != "bob" {
		t.Errorf("a bulk replay took back a discard: %+v", q)
	}
	q := p.queue("SO-77")
	if q[0].Mark != state.MarkReplay || q[0].MarkedBy != "ann" || q[0].MarkNote != "repaired" || q[1].Mark != "" {
		t.Errorf("marked: %+v", q)
	}
	if got := b.acts(q[0].ID); got != "replay by ann (repaired) [→]" {
		t.Errorf("acts: %s", got)
	}
	if got := b.audit(); !strings.HasPrefix(got, "ann bulk replay messages where cause=x (1202 messages: repaired); bob discard") || strings.Count(got, ";") != 1 {
		t.Errorf("audit: %s", got)
	}
	stranger := all
	stranger.Who = "eve"
	if _, err := b.Bulk(b.ctx(), stranger); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("somebody else went on with ann's bulk: %v", err)
	}
	all.Filter.Followers, all.From = true, state.BulkPlace{}
	_, err = b.Bulk(b.ctx(), all)
	b.busy(err, "released in order")
}

// A bulk discard takes heads, or the whole queues: then the last ones first, so that none is released meanwhile.
func testBulkDiscard(t *testing.T, b *bench) {
	p := b.part(0)
	for i := range int64(3) {
		lane := fmt.Sprint("SO-", i)
		p.commit(stopped(2*i, lane, "wrong"), rest(2*i+1, state.Parked, lane, follower))
	}
	b.clock.Add(time.Hour)
	p.commit(stopped(100, "young", "wrong"))
	d := state.Bulk{Mark: state.MarkDiscard, Filter: state.QueueFilter{Key: "SO-0"}, About: "key=SO-0", Who: "ann", Note: "test orders", Most: 100}
	if got, behind, err := b.Count(b.ctx(), d); err != nil || got != 1 || behind != 1 {
		t.Errorf("count: %d, %d, %v", got, behind, err)
	}
	_, err := b.Bulk(b.ctx(), d)
	b.no(err)
	b.wantShape(p, "SO-0", "parked!discard parked+")
	d = state.Bulk{Mark: state.MarkDiscard, Filter: state.QueueFilter{Since: b.clock.Now().Add(-time.Minute)}, Behind: true, About: "old", Who: "ann", Note: "test orders", Most: 2}
	if got, behind, err := b.Count(b.ctx(), d); err != nil || got != 5 || behind != 0 {
		t.Errorf("count: %d, %d, %v", got, behind, err)
	}
	for {
		step, err := b.Bulk(b.ctx(), d)
		b.no(err)
		for i := range 3 { // at no time is a head to be discarded without what is behind it
			if s := p.shape(fmt.Sprint("SO-", i)); i > 0 && s == "parked!discard parked+" {
				t.Errorf("lane %d: %s", i, s)
			}
		}
		if d.From = step.Next; step.Done {
			break
		}
	}
	for i := range 3 {
		b.wantShape(p, fmt.Sprint("SO-", i), "parked!discard parked+!discard")
	}
	b.wantShape(p, "young", "parked")
	var gone []state.Result
	for i := range 3 {
		for _, q := range p.queue(fmt.Sprint("SO-", i)) {
			gone = append(gone, drained(q, state.Discarded))
		}
	}
	p.commit(gone...)
	if got := b.totals(p.Flow); got.Discarded != 6 || got.Parked != 1 {
		t.Errorf("totals: %+v", got)
	}
	// What people did is kept as long as the journal, and as long as the message is there.
	b.no(b.Edit(b.ctx(), state.Edit{ID: p.queue("young")[0].ID, Data: []byte("{}"), Who: "ann", Note: ""}))
	b.clock.Add(100 * 24 * time.Hour)
	_, err = b.Prune(b.ctx(), b.clock.Now())
	b.no(err)
	if got := b.acts(p.queue("young")[0].ID); got == "" {
		t.Error("the original of a message that is still there was pruned")
	}
	if tr, err := b.Trace(b.ctx(), "SO-1"); err != nil || len(tr.Acts) != 0 {
		t.Errorf("kept for ever: %+v, %v", tr.Acts, err)
	}
}
