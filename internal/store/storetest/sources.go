package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// testSourceWishes: a wish is stored with its act, outlives a restart, is replaced by a later one, and is carried out under the lease alone.
func testSourceWishes(t *testing.T, b *bench) {
	ask := func(flow string, kind state.WishKind, detail, about string) {
		t.Helper()
		b.no(b.AskSource(b.ctx(), state.SourceWish{Flow: flow, Kind: kind, Detail: detail, Who: "ann"}, about))
	}
	pending := func(flow string) []state.SourceWish {
		t.Helper()
		all, err := b.SourceWishes(b.ctx(), flow)
		b.no(err)
		return all
	}
	ask("sales", state.WishRewind, "start", "to start: a test")
	ask("sales", state.WishSweep, "", "")
	ask("other", state.WishRewind, "7", "to 7")
	first := pending("sales")
	if len(first) != 2 || first[0].Kind != state.WishRewind || first[0].Detail != "start" || first[0].Who != "ann" || first[0].Since.IsZero() || first[1].Kind != state.WishSweep {
		t.Fatalf("wishes %+v", first)
	}
	if all := pending(""); len(all) != 3 {
		t.Errorf("all wishes %+v", all)
	}
	ask("sales", state.WishRewind, "2026-11-01T00:00:00Z", "to a time")
	b.reopen()

	lease, ok, err := b.AcquireLease(b.ctx(), "poll/sales", "one", time.Hour)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	b.no(b.Rewind(b.ctx(), first[0], state.Cursor{Flow: "sales", Value: ""}, lease)) // replaced meanwhile: the later one stays
	now := pending("sales")
	if len(now) != 2 || now[1].Detail != "2026-11-01T00:00:00Z" || now[1].ID <= first[0].ID {
		t.Fatalf("a replaced wish took the later one with it: %+v", now)
	}
	stale := lease
	stale.Token--
	if err := b.Rewind(b.ctx(), now[1], state.Cursor{Flow: "sales", Value: "stale"}, stale); !errors.Is(err, state.ErrFenced) {
		t.Errorf("a rewind without the lease: %v", err)
	}
	if err := b.EndWish(b.ctx(), now[0], stale, "", ""); !errors.Is(err, state.ErrFenced) {
		t.Errorf("the end of a wish without the lease: %v", err)
	}
	b.no(b.Rewind(b.ctx(), now[1], state.Cursor{Flow: "sales", Value: "from there"}, lease))
	b.no(b.EndWish(b.ctx(), now[0], lease, "sweep-refused", "too many"))
	if left := pending("sales"); len(left) != 0 {
		t.Errorf("carried out, and still there: %+v", left)
	}
	if cur, err := b.Cursor(b.ctx(), "sales"); err != nil || cur.Value != "from there" {
		t.Errorf("cursor %+v, %v", cur, err)
	}
	audits, err := b.Audits(b.ctx(), 10)
	b.no(err)
	want := []state.Audit{
		{Who: "ann", Action: "sweep-refused", Object: "flow/sales", Detail: "too many"}, {Who: "ann", Action: "rewind", Object: "flow/sales", Detail: "to a time"},
		{Who: "ann", Action: "rewind", Object: "flow/other", Detail: "to 7"}, {Who: "ann", Action: "sweep", Object: "flow/sales"},
		{Who: "ann", Action: "rewind", Object: "flow/sales", Detail: "to start: a test"},
	}
	for i := range want {
		if i >= len(audits) {
			t.Fatalf("audit %+v", audits)
		}
		if audits[i].Time = want[i].Time; audits[i] != want[i] {
			t.Errorf("audit %d: %+v, want %+v", i, audits[i], want[i])
		}
	}
}
