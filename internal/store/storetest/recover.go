package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/state"
)

// What flows put on topics is kept until all readers have stored its fate.
func testSentLog(t *testing.T, b *bench) {
	s := newFakeBroker(b)
	s.take("1 2 3", "k0")
	s.relay()
	s.drain("a", "in.a", "canon")
	s.work("b", "canon", "", 0, 3)
	s.work("m", "canon", "out", 0, 2)
	if n := s.pruned(nil); n != 0 {
		t.Errorf("%d rows were removed that a reader needs", n)
	}
	s.work("m", "canon", "out", 0, 1)
	refused := errors.New("another log")
	_, err := s.PruneSent(s.ctx(), map[string][]string{"canon": {"b", "m"}, "out": {"c"}}, func(context.Context) error { return refused })
	if !errors.Is(err, refused) {
		t.Errorf("pruned although the log is another one: %v", err)
	}
	if n := s.pruned(nil); n != 1 {
		t.Errorf("%d rows of canon were removed, want 1", n)
	}
	if n := s.pruned(map[string][]string{"out": nil}); n != 2 {
		t.Errorf("%d rows were removed that nobody reads, want 2", n)
	}
	// A redelivery leaves no second copy.
	p, err := s.OpenPartition(s.ctx(), "a", "in.a", 0, s.log("in.a", 0))
	b.no(err)
	sent := s.put(event.Record{Topic: "canon", Key: []byte("k0"), Value: []byte("twice")})
	b.no(s.Commit(s.ctx(), &state.Commit{Flow: "a", Topic: "in.a", Partition: 0, Epoch: p.Epoch, Results: []state.Result{{Offset: 0, Outcome: state.Delivered, Sent: &sent}}}))
	s.work("b", "canon", "", 0, 9)
	s.work("m", "canon", "", 0, 9)
	if n := s.pruned(nil); n != 0 {
		t.Errorf("%d rows of a redelivery", n)
	}
}

// Everything is gone: what has no fate comes again, in its order, once, and no more than that.
func testRecoverWiped(t *testing.T, b *bench) {
	s := newFakeBroker(b)
	s.take("1 2 3 4 5 6", "k0", "k1")
	s.relay()
	s.want("a", s.work("a", "in.a", "canon", 0, 2), "1.0 3.0")
	s.want("a", s.work("a", "in.a", "canon", 1, 1), "2.0")
	s.want("b", s.work("b", "canon", "", 0, 1), "1.0")
	s.want("m", s.work("m", "canon", "out", 0, 2), "1.0 3.0")
	s.want("c", s.work("c", "out", "", 0, 1), "1.0")
	s.take("7", "k0") // not published yet
	s.note()
	before := s.part(0)
	for topic := range s.logs {
		s.make(topic, "cluster-2", 2)
	}

	breaks := s.survey()
	if len(breaks) != 4 || breaks[0].Cause != state.BreakCluster || !breaks[0].Whole || !strings.Contains(breaks[0].Text, "cluster-1") || !strings.Contains(breaks[0].Text, "cluster-2") {
		t.Fatalf("breaks: %+v", breaks)
	}
	if text := breaks[0].Flows[0].Text; breaks[0].Flows[0].Flow != "b" || !strings.Contains(text, "partition 0: offset 1 was to be read next, and the log holds 0 to 0") {
		t.Errorf("what is said to b: %s", text)
	}
	if _, err := s.OpenPartition(s.ctx(), "a", "in.a", 0, s.log("in.a", 0)); !errors.Is(err, state.ErrBroker) {
		t.Errorf("the broker is another one: %v", err)
	}
	if _, err := s.OpenPartition(s.ctx(), "new", "canon", 0, s.log("canon", 0)); !errors.Is(err, state.ErrBroker) {
		t.Errorf("a new flow reads a log that is not the one that the hub knows: %v", err)
	}

	did := s.recover(false)
	var said []string
	for _, topic := range did.Topics {
		said = append(said, fmt.Sprintf("%s %d/%d/%d", topic.Topic, topic.Rows, topic.Events, topic.Records))
	}
	s.want("recovered", said, "canon 0/0/2 in.a 3/3/0 out 0/0/1 raw 0/0/0")
	s.counts(map[string]string{"a": "finished 3 delivered 3 discarded 0 unpublished 4", "b": "finished 1 delivered 1 discarded 0 unpublished 0"})
	if n, err := s.Resending(s.ctx()); err != nil || !reflect.DeepEqual(n, map[string]int64{"canon": 2, "out": 1}) {
		t.Errorf("resending: %v, %v", n, err)
	}
	s.want("canon again", s.resend("canon"), "3.0 2.0")
	s.want("out again", s.resend("out"), "3.0")
	s.want("in.a again", s.relay(), "4.0 5.0 6.0 7.0")
	s.want("a", s.drain("a", "in.a", "canon"), "5.0 7.0 4.0 6.0")
	s.want("b", s.drain("b", "canon", ""), "3.0 5.0 7.0 2.0 4.0 6.0")
	s.want("m", s.drain("m", "canon", "out"), "3.0 5.0 7.0 2.0 4.0 6.0") // 3 comes twice: its guard knows it
	s.want("c", s.drain("c", "out", ""), "3.0 3.0 5.0 7.0 2.0 4.0 6.0")
	s.counts(map[string]string{"a": "finished 7 delivered 7 discarded 0 unpublished 0", "b": "finished 7 delivered 7 discarded 0 unpublished 0"})
	if r := s.logs["canon"].parts[0][0]; string(r.Key) != "k0" || string(r.Headers[0].Value) != "3.0" {
		t.Errorf("the record is not what it was: %+v", r)
	}
	if n := s.pruned(nil); n == 0 {
		t.Error("nothing is pruned after a recovery")
	}
	if n, err := s.Prune(s.ctx(), b.clock.Now()); err != nil || n < 7 {
		t.Errorf("pruned %d rows of the inbox, %v", n, err)
	}
	audit, err := s.Audits(s.ctx(), state.AuditFilter{Limit: 10})
	b.no(err)
	if len(audit) != 4 || audit[3].Who != "ann" || audit[3].Action != "recover" || audit[3].Object != "topic/canon" || !strings.Contains(audit[3].Detail, "2 records put on the topic again") || !strings.Contains(audit[3].Detail, "the disk died") {
		t.Errorf("audit: %+v", audit)
	}
	if before.Topic != "canonical.order" { // another topic is untouched
		t.Error(before.Topic)
	}
	before.commit(delivered(0))
}

// The owners of the partitions are fenced, and what they had published into the log that is gone is not taken to be in the new one.
func testRecoverStragglers(t *testing.T, b *bench) {
	s := newFakeBroker(b)
	s.take("1 2", "k0")
	s.relay()
	p, err := s.OpenPartition(s.ctx(), "a", "in.a", 0, s.log("in.a", 0))
	b.no(err)
	sent := s.put(event.Record{Topic: "canon", Key: []byte("k0"), Value: []byte("1.0")})
	late := &state.Commit{Flow: "a", Topic: "in.a", Partition: 0, Epoch: p.Epoch, Life: s.life("canon"), Results: []state.Result{{Offset: 0, Outcome: state.Delivered, Sent: &sent}}}
	s.make("canon", "cluster-1", 2)
	s.recover(false)
	b.no(s.Commit(s.ctx(), late)) // in.a is as it was, so its owner is no straggler; the record is gone all the same
	s.want("lost", s.resend("canon"), "1.0")

	rows, err := s.Unpublished(s.ctx(), "a", 10, 0)
	b.no(err)
	if len(rows) != 0 {
		t.Fatalf("unpublished: %+v", rows)
	}
	s.take("3", "k0")
	rows, err = s.Unpublished(s.ctx(), "a", 10, 0)
	b.no(err)
	old := s.life("in.a")
	s.make("in.a", "cluster-1", 2)
	s.recover(false)
	if err := s.Commit(s.ctx(), late); !errors.Is(err, state.ErrFenced) {
		t.Errorf("a commit of an owner from before: %v", err)
	}
	l := s.lease("relay/a", "hub")
	mark := []state.Published{{Seq: rows[0].Seq, Positions: []state.PublishedAt{{Topic: "in.a", Partition: 0, Offset: 2, Life: old}}}}
	if err := s.MarkPublished(s.ctx(), l, mark, nil); !errors.Is(err, state.ErrBroker) {
		t.Errorf("a place in the log from before was marked: %v", err)
	}
	s.want("in.a again", s.relay(), "2.0 3.0")

	lost, err := s.Lost(s.ctx(), "canon", 10)
	b.no(err)
	if len(lost) != 0 {
		t.Fatalf("lost: %+v", lost)
	}
	s.make("canon", "cluster-1", 2)
	s.recover(false)
	if lost, err = s.Lost(s.ctx(), "canon", 10); err != nil || len(lost) != 1 {
		t.Fatalf("lost: %+v, %v", lost, err)
	}
	before := s.life("canon")
	s.make("canon", "cluster-1", 2)
	s.recover(false) // before anything was put there again
	lease := s.lease("resend", "hub")
	if err := s.Resent(s.ctx(), lease, lost[0].ID, before, []state.PublishedAt{{Topic: "canon"}}); !errors.Is(err, state.ErrBroker) {
		t.Errorf("what was put into a log from before counts: %v", err)
	}
	if err := s.Resent(s.ctx(), state.Lease{Name: "resend", Holder: "other", Token: 9}, lost[0].ID, before+1, nil); !errors.Is(err, state.ErrFenced) {
		t.Errorf("without the lease: %v", err)
	}
	s.want("lost", s.resend("canon"), "1.0")
}

// Retention has passed a position: what the hub has written comes again behind what is still there; the other reader goes on.
func testRecoverRetention(t *testing.T, b *bench) {
	s := newFakeBroker(b)
	s.take("1 2 3 4 5", "k0")
	s.relay()
	s.drain("a", "in.a", "canon")
	s.work("m", "canon", "out", 0, 4)
	s.work("b", "canon", "", 0, 1)
	s.logs["canon"].first[0] = 3
	breaks := s.survey()
	if len(breaks) != 1 || breaks[0].Cause != state.BreakStart || breaks[0].Whole || len(breaks[0].Flows) != 1 || !strings.Contains(breaks[0].Flows[0].Text, "offset 1 was to be read next, and the log holds 3 to 5: 2 records were removed unread") {
		t.Fatalf("breaks: %+v", breaks)
	}
	did := s.recover(false)
	want := state.RecoveredPart{Partition: 0, Again: 2}
	if f := did.Topics[0].Flows; len(f) != 1 || f[0].Flow != "b" || f[0].Parts[0] != want {
		t.Errorf("recovered: %+v", did)
	}
	s.want("canon again", s.resend("canon"), "2.0 3.0")
	s.want("b", s.drain("b", "canon", ""), "4.0 5.0 2.0 3.0")
	s.want("m", s.work("m", "canon", "", 0, 9), "5.0 2.0 3.0")
	s.counts(map[string]string{"b": "finished 5 delivered 5 discarded 0 unpublished 0"})

	// On the topic that the inbox leads to, everything without a fate comes again in the inbox's order.
	s.take("6 7 8 9", "k0", "k1")
	s.relay()
	s.logs["in.a"].first[0] = 6
	s.recover(false)
	s.want("in.a again", s.relay(), "6.0 7.0 8.0 9.0")
	s.want("a", s.drain("a", "in.a", ""), "6.0 8.0 7.0 9.0")
}

// The end of a log was cut off: what lay there comes again, and what is left is read on.
func testRecoverCutOff(t *testing.T, b *bench) {
	s := newFakeBroker(b)
	s.take("1 2 3 4 5 6", "k0")
	s.relay()
	s.drain("a", "in.a", "canon")
	s.work("b", "canon", "", 0, 5)
	s.work("m", "canon", "out", 0, 2)
	l := s.logs["canon"]
	l.parts[0] = l.parts[0][:4]
	breaks := s.survey()
	if len(breaks) != 1 || breaks[0].Cause != state.BreakEnd || !breaks[0].Whole || len(breaks[0].Flows) != 2 || !strings.Contains(breaks[0].Text, "partition 0 ends at offset 4 and was known up to 5: 1 records were cut off") {
		t.Fatalf("breaks: %+v", breaks)
	}
	s.recover(false)
	s.want("canon again", s.resend("canon"), "5.0 6.0")
	s.want("b", s.drain("b", "canon", ""), "5.0 6.0") // 5 again: m needs it
	s.want("m", s.drain("m", "canon", "out"), "3.0 4.0 5.0 6.0")
	if n := s.pruned(nil); n != 1 {
		t.Errorf("%d rows of canon were removed, want 1", n)
	}
	l = s.logs["in.a"] // nothing of it is without a fate
	l.parts[0] = l.parts[0][:1]
	s.recover(false)
	s.want("in.a again", s.relay(), "")
	s.take("7", "k0")
	s.want("in.a", s.relay(), "7.0")
	s.want("a", s.drain("a", "in.a", ""), "7.0")
}

// What was left of a log that was cut off is lost with the next one.
func testRecoverTwice(t *testing.T, b *bench) {
	s := newFakeBroker(b)
	s.take("1 2 3 4", "k0")
	s.relay()
	s.work("a", "in.a", "canon", 0, 2)
	s.work("a", "in.a", "canon", 0, 2)
	s.work("b", "canon", "", 0, 1)
	s.work("m", "canon", "", 0, 1)
	s.note()
	l := s.logs["canon"]
	l.parts[0] = l.parts[0][:2]
	s.recover(false)
	s.make("canon", "cluster-1", 2)
	s.recover(false)
	s.want("canon again", s.resend("canon"), "2.0 3.0 4.0")
	s.want("b", s.drain("b", "canon", ""), "2.0 3.0 4.0")
}

// Records of others are given up by name or not at all.
func testRecoverForeign(t *testing.T, b *bench) {
	s := newFakeBroker(b)
	for i := range 6 {
		s.put(event.Record{Topic: "raw", Key: []byte("k0"), Value: fmt.Append(nil, i)})
	}
	s.work("r", "raw", "", 0, 2)
	s.note()
	s.make("raw", "cluster-1", 2)
	s.put(event.Record{Topic: "raw", Key: []byte("k0"), Value: []byte("new")})
	rec := s.recovery(false)
	would, err := s.PreviewRecovery(s.ctx(), rec)
	b.no(err)
	if p := would.Topics[0].Flows[0].Parts[0]; p != (state.RecoveredPart{Lost: 4, LostFrom: 2, LostTo: 6}) {
		t.Errorf("rehearsed: %+v", would)
	}
	if _, err := s.Recover(s.ctx(), rec); !errors.Is(err, state.ErrLoss) || !strings.Contains(err.Error(), "4 records") {
		t.Fatalf("a loss that nobody has answered for: %v", err)
	}
	s.counts(map[string]string{"r": "finished 2 delivered 2 discarded 0 unpublished 0"})
	s.recover(true)
	s.counts(map[string]string{"r": "finished 6 delivered 2 discarded 4 unpublished 0"})
	js, err := s.Journal(s.ctx(), state.JournalFilter{Flow: "r"})
	b.no(err)
	if len(js) != 1 || js[0].Outcome != state.Discarded || js[0].Reason != "ann: 4 records of raw/0, from offset 2 to 5, were gone from the broker unread: the disk died" {
		t.Errorf("journal: %+v", js)
	}
	s.want("r", s.drain("r", "raw", ""), "new")

	// Offsets of a topic that only flows write to are copies that the hub has made; once a stranger was seen there, they may be his.
	for _, foreign := range []bool{false, true} {
		s := newFakeBroker(b)
		s.make("canon", "cluster-9", 2)
		for topic := range s.logs {
			s.make(topic, "cluster-9", 2)
		}
		s.recover(true)
		s.put(event.Record{Topic: "canon", Key: []byte("k0"), Value: []byte("written, never committed")})
		s.work("b", "canon", "", 1, 0)
		s.work("b", "canon", "", 0, 0)
		s.note()
		if foreign {
			b.no(s.NoteForeign(s.ctx(), "canon"))
		}
		s.make("canon", "cluster-9", 2)
		would, err := s.PreviewRecovery(s.ctx(), s.recovery(false))
		b.no(err)
		got := state.RecoveredPart{}
		for _, f := range would.Topics[0].Flows {
			if f.Flow == "b" {
				got = f.Parts[0]
			}
		}
		want := state.RecoveredPart{Copies: 1}
		if foreign {
			want = state.RecoveredPart{Lost: 1, LostTo: 1}
		}
		if got != want {
			t.Errorf("foreign %t: %+v, want %+v", foreign, got, want)
		}
	}
}

// A store that has lost its positions does not begin anew where the group has committed one.
func testRecoverPosition(t *testing.T, b *bench) {
	for _, fromZero := range []bool{false, true} {
		s := newFakeBroker(b)
		s.fromZero = fromZero
		topic := fmt.Sprintf("lost-%t", fromZero)
		s.make(topic, "cluster-1", 2)
		s.readings = []state.Reading{{Topic: topic, Readers: []string{"r"}}}
		s.note()
		for i := range 5 {
			s.put(event.Record{Topic: topic, Key: []byte("k0"), Value: fmt.Append(nil, i)})
		}
		s.logs[topic].committed["r"] = []int64{3, 0}
		log := s.log(topic, 0)
		log.Committed = 3
		if _, err := s.OpenPartition(s.ctx(), "r", topic, 0, log); !errors.Is(err, state.ErrBroker) || !strings.Contains(err.Error(), "has committed offset 3 (the log holds 0 to 5)") {
			t.Errorf("opened: %v", err)
		}
		log.First = 3 // nothing would be read twice or be skipped
		breaks := s.survey()
		if len(breaks) != 1 || breaks[0].Cause != state.BreakPosition || breaks[0].Whole || len(breaks[0].Plan.Moves) != 1 {
			t.Fatalf("breaks: %+v", breaks)
		}
		s.recover(false)
		want := "3 4"
		if fromZero {
			want = "0 1 2 3 4"
		}
		s.want("r", s.drain("r", topic, ""), want)
	}
}

// A recovery that was planned on positions which have moved is refused as a whole.
func testRecoverMoved(t *testing.T, b *bench) {
	s := newFakeBroker(b)
	s.take("1 2", "k0")
	s.relay()
	s.work("a", "in.a", "", 0, 1)
	s.make("in.a", "cluster-1", 2)
	rec := s.recovery(false)
	rec.Topics[0].Moves[0].Old.Next = 0
	if _, err := s.Recover(s.ctx(), rec); !errors.Is(err, state.ErrMoved) {
		t.Errorf("recovered: %v", err)
	}
	if n := s.life("in.a"); n != 0 {
		t.Errorf("life %d", n)
	}
	s.recover(false)
	s.recover(false) // nothing is left to do
	s.want("in.a again", s.relay(), "2.0")
}

// Stored queues follow their keys to other partitions, in their order.
func testRecoverDealt(t *testing.T, b *bench) {
	s := newFakeBroker(b)
	for part, lanes := range [][]string{{"k0", "k2"}, {"k1", "k0"}} { // a stranger has put k0 elsewhere, too
		p, err := s.OpenPartition(s.ctx(), "b", "canon", part, s.log("canon", part))
		b.no(err)
		c := &state.Commit{Flow: "b", Topic: "canon", Partition: part, Epoch: p.Epoch}
		for i, lane := range lanes {
			c.Results = append(c.Results, rest(int64(2*i), state.Parked, lane), rest(int64(2*i+1), state.Parked, lane, follower))
		}
		b.no(s.Commit(s.ctx(), c))
	}
	s.make("canon", "cluster-1", 3)
	s.recover(false)
	for part, want := range []string{"[{k0 parked}]", "[{k1 parked}]", "[{k2 parked}]"} {
		lanes, err := s.QueuedLanes(s.ctx(), "b", "canon", part)
		b.no(err)
		if got := fmt.Sprint(lanes); got != want {
			t.Errorf("partition %d: %s, want %s", part, got, want)
		}
	}
	s.make("canon", "cluster-1", 1)
	s.recover(false)
	if lanes, err := s.QueuedLanes(s.ctx(), "b", "canon", 0); err != nil || len(lanes) != 3 {
		t.Errorf("%v, %v", lanes, err)
	}
	ps, err := s.Partitions(s.ctx(), "b")
	b.no(err)
	for _, p := range ps {
		if p.Gone != (p.Partition > 0) {
			t.Errorf("partition %d: %+v", p.Partition, p)
		}
	}
	if n := s.totals("b"); n.Parked != 8 || n.Finished != 8 {
		t.Errorf("totals: %+v", n)
	}
}

// Of a list, only the events without a fate come again; what was parked before it had a place, and settled since, does not.
func testRecoverLists(t *testing.T, b *bench) {
	s := newFakeBroker(b)
	s.take("1 2", "k0 k1 k2", "k1")
	s.relay()
	s.want("a", s.work("a", "in.a", "", 0, 1), "1.0")
	s.make("in.a", "cluster-1", 2)
	did := s.recover(false)
	if r := did.Topics[0]; r.Rows != 2 || r.Events != 3 {
		t.Errorf("recovered: %+v", r)
	}
	s.want("in.a again", s.relay(), "1.1 1.2 2.0")
	s.make("in.a", "cluster-1", 2)
	s.recover(false)
	s.want("in.a again", s.relay(), "1.1 1.2 2.0")
}

// What was handed back to the inbox, and published again from there, is in the inbox until it has its fate.
func testRecoverResubmitted(t *testing.T, b *bench) {
	s := newFakeBroker(b)
	ev := anEvent("x", "")
	s.put(event.Record{Topic: "in.a", Key: []byte("k0"), Value: []byte("x")})
	p, err := s.OpenPartition(s.ctx(), "a", "in.a", 0, s.log("in.a", 0))
	b.no(err)
	commit := func(r state.Result) {
		s.no(s.Commit(s.ctx(), &state.Commit{Flow: "a", Topic: "in.a", Epoch: p.Epoch, Results: []state.Result{r}}))
	}
	commit(refused("a", "x", 0))
	rows, err := s.Parked(s.ctx(), state.QueueFilter{})
	b.no(err)
	rows[0].Event.Data = []byte("edited")
	commit(resubmitted(&rows[0]))
	in, err := s.Unpublished(s.ctx(), "a", 10, 0)
	b.no(err)
	sent := s.put(event.Record{Topic: "in.a", Key: []byte("k0"), Value: in[0].Body})
	s.no(s.MarkPublished(s.ctx(), s.lease("relay/a", "hub"), []state.Published{{Seq: in[0].Seq, Positions: []state.PublishedAt{{Topic: "in.a", Partition: sent.Partition, Offset: sent.Offset}}}}, nil))
	s.note()
	s.make("in.a", "cluster-1", 2)
	did := s.recover(false)
	if r := did.Topics[0]; r.Rows != 1 || r.Events != 1 || r.Records != 0 {
		t.Errorf("recovered: %+v", r)
	}
	again, err := s.Unpublished(s.ctx(), "a", 10, 0)
	b.no(err)
	if len(again) != 1 || string(again[0].Body) != "edited" || again[0].Event == nil || again[0].Event.ID != ev.ID {
		t.Errorf("again: %+v", again)
	}
	if n := s.totals("a"); n.Finished != 0 || n.Unpublished != 1 || n.Parked != 0 {
		t.Errorf("totals: %+v", n)
	}
}

// Places in a new log serve as versions that are newer than those in the log before.
func testRecoverBase(t *testing.T, b *bench) {
	s := newFakeBroker(b)
	for range 7 {
		s.put(event.Record{Topic: "raw", Key: []byte("k1")})
	}
	s.work("r", "raw", "", 1, 5)
	s.note()
	for want := int64(7); want <= 9; want += 2 {
		s.make("raw", "cluster-1", 2)
		s.recover(true)
		p, err := s.OpenPartition(s.ctx(), "r", "raw", 0, s.log("raw", 0))
		b.no(err)
		if p.Base != want || p.Life != (want-5)/2 {
			t.Errorf("base %d, life %d; want base %d", p.Base, p.Life, want)
		}
		s.put(event.Record{Topic: "raw", Key: []byte("k0")})
		s.put(event.Record{Topic: "raw", Key: []byte("k0")})
		s.note()
	}
	tops, err := s.Tops(s.ctx())
	b.no(err)
	if len(tops) != 0 {
		t.Errorf("tops: %v", tops)
	}
	s.take("1 2", "k0")
	s.relay()
	s.drain("a", "in.a", "canon")
	tops, err = s.Tops(s.ctx())
	b.no(err)
	if want := map[string][]int64{"in.a": {2}, "canon": {2}}; !reflect.DeepEqual(tops, want) {
		t.Errorf("tops: %v, want %v", tops, want)
	}
}
