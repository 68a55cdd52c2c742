package intake

import (
	"errors"
	"testing"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/state"
)

// rewindable is a script that can go back.
type rewindable struct{ script }

func (*rewindable) RewindTo(object, cursor, to string) (string, error) {
	if to == "nowhere" {
		return "", fault.New(fault.Invalid, "no such place")
	}
	return object + " after " + cursor + " from " + to, nil
}

func rewindTest(s *rewindable) Source {
	src := polled(&s.script)
	src.Poll.Poller = s
	return src
}

func (b *bench) ask(to string) {
	b.T.Helper()
	if err := b.Store.AskSource(b.T.Context(), state.SourceWish{Flow: "orders", Kind: state.WishRewind, Detail: to, Who: "ann"}, "to "+to); err != nil {
		b.T.Fatal(err)
	}
}

func (b *bench) asks() int {
	b.T.Helper()
	all, err := b.Store.SourceWishes(b.T.Context(), "orders")
	if err != nil {
		b.T.Fatal(err)
	}
	return len(all)
}

// TestRewind: the source is read again from the place, and of what comes again only what was missed is taken.
func TestRewind(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		s := &rewindable{}
		s.add(page("c1", rec("1", "v1", `{"k":"a"}`), rec("2", "v2", `{"k":"b"}`)))
		in := b.start(rewindTest(s))
		b.settle(&s.script, 2)
		for to, refused := range map[string]error{"start": nil, "v1": nil, "nowhere": fault.New(fault.Invalid, "no such place")} {
			if err := in.CanRewind(t.Context(), "orders", to); fault.KindOf(err) != fault.KindOf(refused) {
				t.Errorf("to %s: %v, want %v", to, err, refused)
			}
		}
		if err := in.CanRewind(t.Context(), "other", "start"); !errors.Is(err, state.ErrNotFound) {
			t.Errorf("of no flow: %v", err)
		}
		s.add(page("c2", rec("1", "v1", `{"k":"a"}`), rec("3", "v1", `{"k":"missed"}`), rec("2", "v2", `{"k":"b"}`)))
		before := len(s.requests())
		b.ask("v1")
		in.Asked("orders")
		b.settle(&s.script, 3)
		if got := s.requests()[before].Cursor; got != "sale after c1 from v1" {
			t.Errorf("read from %q", got)
		}
		if docs := b.docs(); docs[2] != `{"k":"missed"}` || b.asks() != 0 {
			t.Errorf("took %v, asked still %d", docs, b.asks())
		}
		before = len(s.requests())
		b.ask(connector.RewindStart)
		b.Turn("a read from the start", func() bool { return len(s.requests()) > before })
		if got := s.requests()[before].Cursor; got != "" {
			t.Errorf("read from %q, want the start", got)
		}
	})
}

// TestRewindDuringARead: a read that is under way does not take a rewind back, and one that is asked for while no hub runs is made at the start.
func TestRewindDuringARead(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		s := &rewindable{}
		open := make(chan struct{})
		slow := page("late", rec("1", "v1", `{"k":"a"}`))
		slow.block = open
		s.add(slow)
		in := b.start(rewindTest(s))
		b.Await("a read under way", func() bool { return len(s.requests()) == 1 })
		b.ask("v0")
		in.Asked("orders")
		close(open)
		b.Turn("the read after it", func() bool { return len(s.requests()) >= 2 })
		if got := s.requests()[1].Cursor; got != "sale after late from v0" {
			t.Errorf("read from %q", got)
		}
		b.settle(&s.script, 1)
		b.crash()
		b.ask("v1")
		n := len(s.requests())
		b.start(rewindTest(s))
		b.Await("the read after a start, without waiting for its time", func() bool { return len(s.requests()) > n })
		if got := s.requests()[n].Cursor; got != "sale after sale after late from v0 from v1" {
			t.Errorf("read from %q", got)
		}
	})
}

// TestRewindToNoPlace: a place that is none any more is given up with its reason, and the reads go on from where they were.
func TestRewindToNoPlace(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		s := &rewindable{}
		s.add(page("c1", rec("1", "v1", `{"k":"a"}`)))
		b.start(rewindTest(s))
		b.settle(&s.script, 1)
		n := len(s.requests())
		b.ask("nowhere")
		b.Turn("the next read", func() bool { return len(s.requests()) > n })
		if got := s.requests()[n].Cursor; got != "c1" || b.asks() != 0 {
			t.Errorf("read from %q, asked still %d", got, b.asks())
		}
		audits, err := b.Store.Audits(t.Context(), state.AuditFilter{Limit: 1})
		if err != nil || len(audits) != 1 || audits[0].Action != "rewind-refused" || audits[0].Who != "ann" || audits[0].Detail != "no such place" {
			t.Errorf("audit %+v %v", audits, err)
		}
	})
}
