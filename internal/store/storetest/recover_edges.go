package storetest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/state"
)

// A log that was made anew may be full again before anybody looks: what lies at an offset now is not what lay there.
func testRecoverRefilled(t *testing.T, b *bench) {
	s := newFakeBroker(b)
	s.take("1 2 3", "k0")
	s.relay()
	s.drain("a", "in.a", "canon")
	s.work("b", "canon", "", 0, 1)
	s.note()
	s.make("canon", "cluster-1", 2)
	for i := range 4 {
		s.put(event.Record{Topic: "canon", Key: []byte("k0"), Value: fmt.Append(nil, "x", i)})
	}
	s.recover(false)
	s.want("canon again", s.resend("canon"), "1.0 2.0 3.0")
	s.want("b", s.drain("b", "canon", ""), "x0 x1 x2 x3 1.0 2.0 3.0")
}

// What was found lost and is not yet put there again is not found a second time, and of a log that is lost it says nothing.
func testRecoverUnsent(t *testing.T, b *bench) {
	s := newFakeBroker(b)
	s.take("1 2 3 4", "k0")
	s.relay()
	s.drain("a", "in.a", "canon")
	s.note()
	l := s.logs["canon"]
	l.parts[0] = l.parts[0][:2]
	if did := s.recover(false); did.Topics[0].Records != 2 {
		t.Errorf("recovered: %+v", did)
	}
	tops, err := s.Tops(s.ctx())
	b.no(err)
	if got := tops["canon"]; len(got) != 1 || got[0] != 2 {
		t.Errorf("canon is known up to %v, want 2", got)
	}
	s.make("canon", "cluster-1", 2)
	if did := s.recover(false); did.Topics[0].Records != 2 {
		t.Errorf("recovered: %+v", did)
	}
	s.want("canon again", s.resend("canon"), "1.0 2.0 3.0 4.0")
}

// The hub knows that a log reached farther than was noted of it, because it has written there itself.
func testRecoverUnnoted(_ *testing.T, b *bench) {
	unnoted(b, false, state.RecoveredPart{Again: 2})
}

// What lies in between may be a stranger's.
func testRecoverUnnotedStranger(_ *testing.T, b *bench) {
	unnoted(b, true, state.RecoveredPart{Again: 2, Lost: 1, LostFrom: 1, LostTo: 4})
}

func unnoted(b *bench, stranger bool, want state.RecoveredPart) {
	s := newFakeBroker(b)
	s.take("1 2 3", "k0")
	s.relay()
	s.work("a", "in.a", "canon", 0, 1)
	if stranger {
		b.no(s.NoteForeign(s.ctx(), "canon"))
		s.put(event.Record{Topic: "canon", Key: []byte("k0"), Value: []byte("a stranger's")})
	}
	s.work("a", "in.a", "canon", 0, 2)
	s.work("b", "canon", "", 0, 1)
	s.make("canon", "cluster-1", 2)
	would, err := s.PreviewRecovery(s.ctx(), s.recovery(false))
	b.no(err)
	for _, f := range would.Topics[0].Flows {
		if f.Flow == "b" && f.Parts[0] != want {
			b.t.Errorf("%+v, want %+v", f.Parts[0], want)
		}
	}
}

// What a flow has finished out of its turn is not lost with the rest.
func testRecoverForeignDone(t *testing.T, b *bench) {
	s := newFakeBroker(b)
	for i := range 6 {
		s.put(event.Record{Topic: "raw", Key: []byte("k0"), Value: fmt.Append(nil, i)})
	}
	s.work("r", "raw", "", 0, 1)
	p, err := s.OpenPartition(s.ctx(), "r", "raw", 0, s.log("raw", 0))
	b.no(err)
	b.no(s.Commit(s.ctx(), &state.Commit{Flow: "r", Topic: "raw", Partition: 0, Epoch: p.Epoch, Results: []state.Result{{Offset: 3, Outcome: state.Delivered}}}))
	s.note()
	s.make("raw", "cluster-1", 2)
	would, err := s.PreviewRecovery(s.ctx(), s.recovery(false))
	b.no(err)
	if got := would.Topics[0].Flows[0].Parts[0]; got != (state.RecoveredPart{Lost: 4, LostFrom: 1, LostTo: 6}) {
		t.Errorf("rehearsed: %+v", got)
	}
}

// A flow that was no reader when the log changed begins with the new log when it comes back.
func testRecoverAbsentReader(t *testing.T, b *bench) {
	s := newFakeBroker(b)
	s.take("1 2 3", "k0")
	s.relay()
	s.drain("a", "in.a", "canon")
	s.work("b", "canon", "", 0, 2)
	s.note()
	s.make("canon", "cluster-1", 2)
	for i := range s.readings {
		if s.readings[i].Topic == "canon" {
			s.readings[i].Readers = []string{"m"}
		}
	}
	s.recover(false)
	ps, err := s.Partitions(s.ctx(), "b")
	b.no(err)
	if len(ps) != 1 || !ps[0].Gone {
		t.Errorf("positions of b: %+v", ps)
	}
	s.want("canon again", s.resend("canon"), "1.0 2.0 3.0")
	s.want("b", s.drain("b", "canon", ""), "1.0 2.0 3.0")
}

// One event of a list was removed unread, the other is still to be read in another partition: when that one is lost too before it is, it is
// not forgotten.
func testRecoverListInTwo(_ *testing.T, b *bench) { listInTwo(b, false) }

// The same where the flow has a position in that partition.
func testRecoverListInTwoKnown(_ *testing.T, b *bench) { listInTwo(b, true) }

func listInTwo(b *bench, opened bool) {
	s := newFakeBroker(b)
	s.take("1 2", "k0 k1")
	s.relay()
	s.want("a", s.work("a", "in.a", "", 0, 1), "1.0")
	if opened {
		s.work("a", "in.a", "", 1, 0)
	}
	s.logs["in.a"].first[0] = 2
	s.recover(false)
	s.want("in.a again", s.relay(), "1.1 2.0 2.1")
	s.note()
	s.make("in.a", "cluster-1", 2)
	s.recover(false)
	s.want("in.a again", s.relay(), "1.1 2.0 2.1")
	s.want("a", s.drain("a", "in.a", ""), "2.0 1.1 2.1")
	s.counts(map[string]string{"a": "finished 4 delivered 4 discarded 0 unpublished 0"})
}

// publishFirst marks the first row that is to be published as published, with rows of their own for the rest of it.
func (s *fakeBroker) publishFirst(at state.PublishedAt, rest ...state.Inbound) {
	rows, err := s.Unpublished(s.ctx(), "a", 10, 0)
	s.no(err)
	s.no(s.MarkPublished(s.ctx(), s.lease("relay/a", "hub"), []state.Published{{Seq: rows[0].Seq, Positions: []state.PublishedAt{at}}}, rest))
}

// A flow whose topic was renamed has rows that lie on the topic before; they are no part of what the new one has lost.
func testRecoverRenamed(_ *testing.T, b *bench) {
	s := newFakeBroker(b)
	s.take("1", "k0")
	s.publishFirst(state.PublishedAt{Topic: "in.before", Partition: 0, Offset: 7})
	s.take("2", "k0")
	s.relay()
	s.note()
	s.make("in.a", "cluster-1", 2)
	s.recover(false)
	s.want("in.a again", s.relay(), "2.0")
}

// Of a list whose second event has a row of its own, only the first comes again from the list.
func testRecoverPlacedFirst(_ *testing.T, b *bench) {
	s := newFakeBroker(b)
	s.take("1", "k0 k1")
	at := s.put(event.Record{Topic: "in.a", Key: []byte("k0"), Value: []byte("1.0")})
	ev := anEvent("1.1", "k1")
	s.publishFirst(state.PublishedAt{Topic: "in.a", Partition: at.Partition, Offset: at.Offset}, state.Inbound{Flow: "a", ID: "1.1~1", Body: []byte("k1"), Event: &ev})
	s.note()
	s.make("in.a", "cluster-1", 2)
	s.recover(false)
	rows, err := s.Unpublished(s.ctx(), "a", 10, 0)
	b.no(err)
	if len(rows) != 2 || len(rows[0].Again) != 1 || rows[0].Again[0] != 0 || rows[1].Event == nil || rows[1].Again != nil {
		b.t.Errorf("again: %+v", rows)
	}
}

// A position that was stored after a recovery was planned is not overwritten, not even at the first offset.
func testRecoverOpened(t *testing.T, b *bench) {
	s := newFakeBroker(b)
	s.make("opened", "cluster-1", 1)
	s.readings = []state.Reading{{Topic: "opened", Readers: []string{"r"}}}
	s.note()
	for i := range 5 {
		s.put(event.Record{Topic: "opened", Key: []byte("k0"), Value: fmt.Append(nil, i)})
	}
	s.logs["opened"].committed["r"] = []int64{3}
	rec := s.recovery(false)
	_, err := s.OpenPartition(s.ctx(), "r", "opened", 0, s.log("opened", 0)) // by a hub that was told of no commit
	b.no(err)
	if _, err := s.Recover(s.ctx(), rec); !errors.Is(err, state.ErrMoved) {
		t.Errorf("recovered: %v", err)
	}
	s.want("r", s.drain("r", "opened", ""), "0 1 2 3 4")
}

// Of a log of which nothing was noted, what flows have finished says how far it reached.
func testRecoverBaseOfPositions(t *testing.T, b *bench) {
	s := newFakeBroker(b)
	for range 9 {
		s.put(event.Record{Topic: "raw", Key: []byte("k1")})
	}
	s.work("r", "raw", "", 1, 5)
	for _, want := range []int64{5, 13} {
		s.make("raw", "cluster-1", 2)
		s.recover(true)
		p, err := s.OpenPartition(s.ctx(), "r", "raw", 1, s.log("raw", 1))
		b.no(err)
		if p.Base != want {
			t.Errorf("base %d, want %d", p.Base, want)
		}
		for range 9 {
			s.put(event.Record{Topic: "raw", Key: []byte("k1")})
		}
		p, err = s.OpenPartition(s.ctx(), "r", "raw", 1, s.log("raw", 1))
		b.no(err)
		b.no(s.Commit(s.ctx(), &state.Commit{Flow: "r", Topic: "raw", Partition: 1, Epoch: p.Epoch, Results: []state.Result{{Offset: 7, Outcome: state.Delivered}}}))
	}
}
