package storetest

import (
	"errors"
	"strings"
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
	for _, file := range []string{"a.csv", "b: c.csv"} { // those of several files stand side by side
		b.no(b.AskSource(b.ctx(), state.SourceWish{Flow: "drop", Kind: state.WishRetake, Of: file, Who: "ann"}, file))
	}
	b.reopen()
	if files := pending("drop"); len(files) != 2 || files[0].Kind != state.WishRetake || files[0].Of != "a.csv" || files[1].Of != "b: c.csv" {
		t.Fatalf("wishes of files %+v", files)
	} else if held, ok, err := b.AcquireLease(b.ctx(), "files/drop", "one", time.Hour); err != nil || !ok {
		t.Fatal(ok, err)
	} else {
		b.no(b.EndWish(b.ctx(), files[1], held, "", ""))
		if left := pending("drop"); len(left) != 1 || left[0].Of != "a.csv" {
			t.Errorf("left of two wishes %+v", left)
		}
	}

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
	audits, err := b.Audits(b.ctx(), state.AuditFilter{Limit: 10})
	b.no(err)
	want := []state.Audit{
		{Who: "ann", Action: "sweep-refused", Object: "flow/sales", Detail: "too many"}, {Who: "ann", Action: "retake", Object: "flow/drop", Detail: "b: c.csv"}, {Who: "ann", Action: "retake", Object: "flow/drop", Detail: "a.csv"},
		{Who: "ann", Action: "rewind", Object: "flow/sales", Detail: "to a time", After: "2026-11-01T00:00:00Z"},
		{Who: "ann", Action: "rewind", Object: "flow/other", Detail: "to 7", After: "7"}, {Who: "ann", Action: "sweep", Object: "flow/sales"},
		{Who: "ann", Action: "rewind", Object: "flow/sales", Detail: "to start: a test", After: "start"},
	}
	for i := range want {
		if i >= len(audits) {
			t.Fatalf("audit %+v", audits)
		}
		audits[i].ID = 0
		if audits[i].Time = want[i].Time; audits[i] != want[i] {
			t.Errorf("audit %d: %+v, want %+v", i, audits[i], want[i])
		}
	}
}

// testKnownObjects: what is known of a system's objects through a flow, by id, with the key that they had last.
func testKnownObjects(t *testing.T, b *bench) {
	p := b.part(0)
	ref := func(offset int64, hub, local, flow, key, eventID string, deleted bool) state.Result {
		r := delivered(offset)
		r.Source = &state.Ref{Entity: "order", Hub: hub, System: "crm", Local: local, Deleted: deleted, Updated: time.Unix(offset+1, 0).UTC(),
			Known: &state.Known{Flow: flow, Fields: map[string]uint64{"a": 1}, Received: "v" + eventID, EventID: eventID, Key: key}}
		return r
	}
	p.commit(ref(0, "h1", "1", "sales", "A", "e1", false), ref(1, "h2", "2", "sales", "B", "e2", false), ref(2, "h3", "3", "sales", "C", "e3", true),
		ref(3, "h4", "4", "other", "D", "e4", false), ref(4, "h5", "5", "sales", "E", "e5", false))
	p.commit(ref(5, "h1", "1", "sales", "", "e6", false))   // the key stays
	p.commit(ref(6, "h6", "3", "sales", "C2", "e7", false)) // the id of what was deleted, given to another object
	var locals []string
	after := ""
	for {
		page, err := b.KnownObjects(b.ctx(), "order", "crm", "sales", after, 2)
		b.no(err)
		for _, o := range page {
			locals = append(locals, o.Local+" "+o.Hub+" "+o.Received+" "+o.EventID)
		}
		if len(page) < 2 {
			break
		}
		after = page[len(page)-1].Local
	}
	if got := strings.Join(locals, ", "); got != "1 h1 ve6 e6, 2 h2 ve2 e2, 3 h6 ve7 e7, 5 h5 ve5 e5" {
		t.Errorf("known objects %s", got)
	}
	if n, err := b.CountKnown(b.ctx(), "order", "crm", "sales"); err != nil || n != 4 {
		t.Errorf("counted %d, %v", n, err)
	}
	byLocal, err := b.KnownByLocal(b.ctx(), "order", "crm", []string{"1", "3", "4", "77"})
	b.no(err)
	if len(byLocal) != 3 || byLocal["3"].Hub != "h6" || byLocal["4"].EventID != "e4" || !byLocal["1"].Updated.Equal(time.Unix(6, 0)) {
		t.Errorf("by id: %+v", byLocal)
	}
	p.commit(ref(7, "h6", "3", "sales", "", "e8", true))
	if byLocal, err = b.KnownByLocal(b.ctx(), "order", "crm", []string{"3"}); err != nil || !byLocal["3"].Deleted {
		t.Errorf("a tombstone: %+v %v", byLocal, err)
	}
	if none, err := b.KnownByLocal(b.ctx(), "order", "crm", nil); err != nil || len(none) != 0 {
		t.Errorf("of nothing: %+v %v", none, err)
	}
	for local, want := range map[string]string{"1": "A", "2": "B", "4": "D", "77": ""} {
		if key, err := b.KnownKey(b.ctx(), "order", "crm", local); err != nil || key != want {
			t.Errorf("key of %s: %q %v, want %q", local, key, err, want)
		}
	}
}
