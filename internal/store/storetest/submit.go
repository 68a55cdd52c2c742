package storetest

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
)

// submission is an event that the hub itself has made, as a row of the inbox.
func submission(flow, id, key, body string) state.Inbound {
	ev := anEvent(id, key)
	ev.Data, ev.Submitted = nil, &event.Submission{Trigger: event.Person, Who: "ann", Why: "lost", For: flow}
	return state.Inbound{Flow: flow, DeliveryID: id, ID: id, Headers: map[string]string{":local": "17"}, Body: []byte(body), Trace: "trace",
		Received: time.Date(2026, 3, 1, 11, 0, 0, 5, time.UTC), Event: &ev}
}

func (b *bench) submit(rows ...state.Inbound) ([]state.Accepted, []int64) {
	b.t.Helper()
	fates, seqs, err := b.Submit(b.ctx(), rows, state.Submitting{Who: "ann", Note: "lost", Action: "resend", Object: "flow/a", About: fmt.Sprint(len(rows), " events")})
	b.no(err)
	return fates, seqs
}

// acted are the acts that a trace tells, as "action who: note of event".
func (b *bench) acted(key string) (out []string) {
	b.t.Helper()
	tr, err := b.Trace(b.ctx(), key)
	b.no(err)
	for _, a := range tr.Acts {
		out = append(out, fmt.Sprintf("%s %s of %s", a.Action, state.Why(a.Who, a.Note), a.EventID))
	}
	return out
}

// What is submitted is stored with who wanted it, once, however often it is submitted: also when its row has gone.
func testSubmit(t *testing.T, b *bench) {
	one, two := submission("a", "s1", "SO-1", `{"n":1}`), submission("a", "s2", "SO-2", `{"n":2}`)
	fates, seqs := b.submit(one, two)
	wantFates(t, fates, state.AcceptedNew, state.AcceptedNew)
	rows, err := b.Unpublished(b.ctx(), "a", 10, 0)
	b.no(err)
	one.Seq = seqs[0]
	if len(rows) != 2 || !reflect.DeepEqual(rows[0], one) {
		t.Fatalf("got %+v %+v\nwant %+v %+v", rows[0], rows[0].Event, one, one.Event)
	}
	one.Seq = 0
	b.reopen()
	other := submission("a", "s2", "SO-2", `{"n":3}`)
	fates, again := b.submit(one, other, submission("a", "s3", "SO-3", `{"n":3}`))
	wantFates(t, fates, state.AcceptedDuplicate, state.AcceptedConflict, state.AcceptedNew)
	if again[0] != seqs[0] || again[1] != 0 {
		t.Errorf("seqs %v after %v", again, seqs)
	}
	fates, _ = b.submit(one)
	wantFates(t, fates, state.AcceptedDuplicate)
	if got := b.acted("SO-1"); !slices.Equal(got, []string{"resend ann: lost of s1"}) {
		t.Errorf("acts of SO-1: %v", got)
	}
	if got := b.acted("SO-2"); !slices.Equal(got, []string{"resend ann: lost of s2"}) {
		t.Errorf("acts of SO-2: %v", got)
	}
	audits, err := b.Audits(b.ctx(), state.AuditFilter{Limit: 10})
	b.no(err)
	var told []string
	for _, a := range audits {
		told = append(told, a.Who+" "+a.Action+" "+a.Object+" "+a.Detail)
	}
	if want := []string{"ann resend flow/a 3 events; 2 of them are not new, and were left out: lost", "ann resend flow/a 2 events: lost"}; !slices.Equal(told, want) {
		t.Errorf("audit %q, want %q", told, want)
	}
	// Carried and settled, the rows go; their ids stay for as long as those of deliveries.
	l := b.lease("relay/a", "one")
	at := func(offset int64) []state.PublishedAt {
		return []state.PublishedAt{{Topic: "in.a", Offset: offset}}
	}
	b.no(b.MarkPublished(b.ctx(), l, []state.Published{{Seq: seqs[0], Key: "SO-1", Positions: at(0)}, {Seq: seqs[1], Positions: at(1)}, {Seq: again[2], Positions: at(2)}}, nil))
	p, err := b.OpenPartition(b.ctx(), "a", "in.a", 0, event.Log{Cluster: "c", TopicID: "t", Last: 3})
	b.no(err)
	b.no(b.Commit(b.ctx(), &state.Commit{Flow: "a", Topic: "in.a", Epoch: p.Epoch, Results: []state.Result{{Offset: 0, Outcome: state.Delivered}, {Offset: 1, Outcome: state.Delivered}, {Offset: 2, Outcome: state.Delivered}}}))
	b.clock.Add(6 * 24 * time.Hour)
	n, err := b.Prune(b.ctx(), b.clock.Now())
	b.no(err)
	if n != 3 {
		t.Errorf("pruned %d rows, want 3", n)
	}
	fates, _ = b.submit(one)
	wantFates(t, fates, state.AcceptedDuplicate)
	b.totals("a")
	for name, bad := range map[string]state.Inbound{"no event": {Flow: "a", DeliveryID: "s9"}, "no id": {Flow: "a", Event: one.Event}, "no flow": {DeliveryID: "s9", Event: one.Event}} {
		if _, _, err := b.Submit(b.ctx(), []state.Inbound{bad}, state.Submitting{}); err == nil {
			t.Errorf("%s: it was taken", name)
		}
	}
}

// Two hubs that are given the same submission at once store it, and tell of it, once.
func testSubmitConcurrently(t *testing.T, b *bench) {
	hubs := []*store.Store{b.Store, b.other()}
	for i := range 30 {
		onceOfTwo(t, hubs, func(hub *store.Store) ([]state.Accepted, error) {
			got, _, err := hub.Submit(b.ctx(), []state.Inbound{submission("a", fmt.Sprint("s", i), "SO-1", "{}")}, state.Submitting{Who: "ann", Action: "resend", Object: "flow/a"})
			return got, err
		})
	}
	audits, err := b.Audits(b.ctx(), state.AuditFilter{Limit: 100})
	b.no(err)
	if acts := b.acted("SO-1"); len(acts) != 30 || len(audits) != 30 {
		t.Errorf("%d acts and %d audit rows, want 30", len(acts), len(audits))
	}
}

// A record that was put on a topic which others fill is kept as theirs are: until all who read the topic have read it, and in a log that takes its
// place it is lost.
func testSubmitOntoTopic(t *testing.T, b *bench) {
	l := b.lease("submissions", "one")
	_, seqs := b.submit(submission("b", "s1", "SO-1", `{"n":1}`), submission("b", "s2", "SO-2", `{"n":2}`))
	published := make([]state.Published, 2)
	for i := range published {
		rec := &event.Record{Topic: "canon", Key: []byte(fmt.Sprint("hub-", i)), Value: []byte(fmt.Sprint(i)), Headers: []event.Header{{Key: "h", Value: []byte("v")}}}
		published[i] = state.Published{Seq: seqs[i], Sent: rec, SentBy: "b", Positions: []state.PublishedAt{{Topic: "canon", Partition: i, Offset: 7}}}
	}
	for range 2 { // the second is a repetition after a lost answer
		b.no(b.MarkPublished(b.ctx(), l, published, nil))
	}
	rec := &state.Recovery{Who: "ann", Topics: []state.RecoverTopic{{Topic: "canon", TopicID: "t2", NewLife: true, Written: true, Ends: []int64{0, 0}, Readers: []string{"b", "c"}}}}
	got, err := b.Recover(b.ctx(), rec)
	b.no(err)
	if got.Topics[0].Records != 2 {
		t.Errorf("recovered %+v, want the 2 records", got.Topics[0])
	}
	lost, err := b.Lost(b.ctx(), "canon", 10)
	b.no(err)
	var texts []string
	for _, batch := range lost {
		for _, r := range batch.Records {
			texts = append(texts, batch.Flow+" "+string(r.Key)+" "+string(r.Value)+" "+string(r.Headers[0].Value))
		}
	}
	if want := []string{"b hub-0 0 v", "b hub-1 1 v"}; !slices.Equal(texts, want) {
		t.Errorf("lost %v, want %v", texts, want)
	}
	bad := published[0]
	bad.Positions = nil
	if err := b.MarkPublished(b.ctx(), l, []state.Published{bad}, nil); err == nil || !strings.Contains(err.Error(), "canon") {
		t.Errorf("a record without its place: %v", err)
	}
}

// What waits is counted as far as is asked, a number of the inbox lies between what is accepted before and after, and flows with something to carry are named.
func testWaitingSubmissions(t *testing.T, b *bench) {
	_, before := b.accept(inbound("a", "1", "x"), inbound("a", "2", "x"), inbound("b", "1", "x"))
	next, err := b.NextInbox(b.ctx())
	b.no(err)
	_, after := b.accept(inbound("a", "3", "x"))
	if next <= before[2] || next >= after[0] {
		t.Errorf("%d is not between %v and %v", next, before, after)
	}
	for _, c := range []struct {
		flow       string
		most, want int
	}{{"a", 10, 3}, {"a", 2, 2}, {"b", 10, 1}, {"c", 10, 0}} {
		if n, err := b.CountUnpublished(b.ctx(), c.flow, c.most); err != nil || n != c.want {
			t.Errorf("%s, up to %d: %d, %v, want %d", c.flow, c.most, n, err, c.want)
		}
	}
	b.no(b.MarkPublished(b.ctx(), b.lease("relay/b", "one"), []state.Published{{Seq: before[2]}}, nil))
	for _, c := range []struct{ asked, want []string }{{nil, nil}, {[]string{"c", "b"}, nil}, {[]string{"c", "a", "b"}, []string{"a"}}} {
		if got, err := b.WithUnpublished(b.ctx(), c.asked); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("of %v: %v, %v, want %v", c.asked, got, err, c.want)
		}
	}
}
