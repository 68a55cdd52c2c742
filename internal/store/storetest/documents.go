package storetest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
)

// fateOf is a delivery, or a failure, with documents.
func fateOf(b *bench, p *part, n int64, key string, failed bool) state.Result {
	o := state.Delivered
	if failed {
		o = state.Discarded
	}
	return state.Result{Offset: n, Outcome: o, Journal: &state.Journal{Time: b.clock.Now(), Flow: p.Flow, EventID: fmt.Sprint("e", n), Key: key, Outcome: o,
		Action: state.DidUpdate, Field: "customer.email", Told: "told", Documents: &state.Documents{Source: fmt.Appendf(nil, `{"id":%q,"n":%d}`, key, n),
			Mapped: fmt.Appendf(nil, `{"No":%q,"note":%q}`, key, strings.Repeat("x", 200)), Sent: []byte(`{"note":1}`), Status: "422 Bad", Answer: []byte("no, not\x00JSON"), Hidden: []state.Term{{Field: "name", Text: "hash"}, {Field: "name", Text: fmt.Sprint(n)}}, Failed: failed}}}
}

// kept are the offsets whose documents the store still has.
func kept(b *bench, p *part) (with []int64) {
	rows, err := b.Journal(b.ctx(), state.JournalFilter{Flow: p.Flow, Limit: 10_000})
	b.no(err)
	b.no(b.Documents(b.ctx(), rows))
	for i := range rows {
		if rows[i].Documents != nil {
			var n int64
			fmt.Sscanf(rows[i].EventID, "e%d", &n)
			with = append(with, n)
		}
	}
	slices.Sort(with)
	return with
}

func testDocuments(t *testing.T, b *bench) {
	p := b.part(0)
	b.KeepDocuments(store.Keep{Age: time.Hour, Size: 1 << 20})
	p.commit(fateOf(b, p, 0, "SO-1", false), fateOf(b, p, 1, "SO-1", true), state.Result{Offset: 2, Outcome: state.Delivered, Journal: &state.Journal{Flow: p.Flow, EventID: "e2", Key: "SO-1"}})
	b.reopen()
	b.KeepDocuments(store.Keep{Age: time.Hour, Size: 1 << 20})
	tr, err := b.Trace(b.ctx(), "SO-1")
	b.no(err)
	if len(tr.Journal) != 3 || tr.Journal[2].Documents != nil {
		t.Fatalf("journal: %+v", tr.Journal)
	}
	b.no(b.Documents(b.ctx(), tr.Journal))
	for i, n := range []int64{2, 1, 0} {
		j := tr.Journal[i]
		if n == 2 {
			if j.Documents != nil {
				t.Errorf("documents out of nothing: %+v", j.Documents)
			}
			continue
		}
		want := fateOf(b, p, n, "SO-1", n == 1).Journal
		d, w := j.Documents, want.Documents
		if j.Action != want.Action || j.Field != want.Field || j.Told != want.Told || d == nil || d.Failed != w.Failed || d.Status != w.Status ||
			!bytes.Equal(d.Source, w.Source) || !bytes.Equal(d.Mapped, w.Mapped) || !bytes.Equal(d.Sent, w.Sent) || !bytes.Equal(d.Answer, w.Answer) || !slices.Equal(d.Hidden, w.Hidden) {
			t.Errorf("e%d: %+v with %+v, want %+v with %+v", n, j, d, want, w)
		}
	}
	// The same commit again, as after an unknown outcome, stores nothing twice.
	p.commit(fateOf(b, p, 0, "SO-1", false))
	if got := kept(b, p); !slices.Equal(got, []int64{0, 1}) {
		t.Errorf("kept %v", got)
	}
	// By age: those of failures stay as long as the journal.
	b.clock.Add(2 * time.Hour)
	p.commit(fateOf(b, p, 3, "SO-1", false))
	_, err = b.Prune(b.ctx(), b.clock.Now())
	b.no(err)
	if got := kept(b, p); !slices.Equal(got, []int64{1, 3}) {
		t.Errorf("after their time: %v", got)
	}
	b.clock.Add(91 * 24 * time.Hour)
	_, err = b.Prune(b.ctx(), b.clock.Now())
	b.no(err)
	if got := kept(b, p); got != nil {
		t.Errorf("after the journal's time: %v", got)
	}
}

func testDocumentsOff(t *testing.T, b *bench) {
	p := b.part(0)
	for i, k := range []store.Keep{{}, {Age: time.Hour}, {Size: 1 << 20}} {
		b.KeepDocuments(k)
		n := int64(2 * i)
		p.commit(fateOf(b, p, n, "k", false), fateOf(b, p, n+1, "k", true))
	}
	if got := kept(b, p); !slices.Equal(got, []int64{1, 3, 5}) {
		t.Errorf("kept %v: those of failures are always kept, and no others", got)
	}
	b.KeepDocuments(store.Keep{Age: time.Hour, Size: 1 << 20})
	p.commit(fateOf(b, p, 6, "k", false))
	b.KeepDocuments(store.Keep{})
	_, err := b.Prune(b.ctx(), b.clock.Now())
	b.no(err)
	if got := kept(b, p); !slices.Equal(got, []int64{1, 3, 5}) {
		t.Errorf("after it was switched off: %v", got)
	}
}

// The size holds between prunings too, whatever comes: the oldest make room.
func testDocumentsBySize(t *testing.T, b *bench) {
	p := b.part(0)
	const most = 20_000
	b.KeepDocuments(store.Keep{Age: time.Hour, Size: most})
	for n := int64(0); n < 600; n += 10 {
		var rs []state.Result
		for i := range int64(10) {
			rs = append(rs, fateOf(b, p, n+i, fmt.Sprint("k", n+i), i == 0))
		}
		p.commit(rs...)
	}
	with := kept(b, p)
	failed := 0
	var newest []int64
	for _, n := range with {
		if n%10 == 0 {
			failed++
			continue
		}
		newest = append(newest, n)
	}
	if failed != 60 {
		t.Errorf("%d of 60 failures have their documents", failed)
	}
	if len(newest) < 50 || len(newest) > 300 || newest[len(newest)-1] != 599 {
		t.Errorf("%d of the others are kept: %v", len(newest), newest)
	}
	for i := 1; i < len(newest); i++ {
		if d := newest[i] - newest[i-1]; d > 2 {
			t.Errorf("between %d and %d there is a gap: the newest are kept", newest[i-1], newest[i])
		}
	}
	_, err := b.Prune(b.ctx(), b.clock.Now())
	b.no(err)
	if now := kept(b, p); len(now) > len(with) || now[len(now)-1] != 599 {
		t.Errorf("pruning leaves %d of %d", len(now), len(with))
	}
}

// What a search finds by the beginning of a key, on a store with journal, queue, inbox and references.
func testBegin(t *testing.T, b *bench) {
	p := b.part(0)
	journalled := func(n int64, key string) state.Result {
		return state.Result{Offset: n, Outcome: state.Delivered, Journal: &state.Journal{Flow: p.Flow, Key: key, Outcome: state.Delivered}}
	}
	p.commit(journalled(0, "SO-4711"), journalled(1, "SO-4711"), journalled(2, "so-4711"), journalled(3, "4711"), journalled(4, "47%1"), journalled(5, "47_2"),
		journalled(6, "ÄRGER-1"), journalled(7, "a\\b"), journalled(8, "STRASSE 9"), journalled(9, "a\u0308rger-2"), journalled(12, "PO-1"), journalled(13, "PO-10"), journalled(14, "PO-1-2"), journalled(15, "po-1\x01"))
	hub := b.resolve(b.Store, "Q-9x", "", state.Minted)
	p.commit(rest(10, state.Parked, hub, func(q *state.Queued) { q.Event.Key = "Q-9" }),
		state.Result{Offset: 11, Outcome: state.Delivered, Ref: &state.Ref{Entity: "customer", Hub: hub, System: "erp", Local: "0A1B-Ff"}})
	_, seqs := b.accept(inbound("crm-orders", "msg-1", "x"), inbound("crm-orders", "msg-2", "y"))
	l := b.lease("relay/crm-orders", "one")
	b.no(b.MarkPublished(b.ctx(), l, []state.Published{{Seq: seqs[0], Key: "In-1", Positions: []state.PublishedAt{{Topic: "in.crm-orders", Offset: 3}}}}, nil))
	for _, c := range []struct{ prefix, want string }{
		{"47", "47%1 4711 47_2"}, {"4711", "4711"}, {"47%", "47%1"}, {"47_", "47_2"}, {"so-4", "SO-4711 so-4711"}, {"So-4711", "SO-4711 so-4711"},
		{"ärg", "ÄRGER-1 a\u0308rger-2"}, {"ÄRGER-1", "ÄRGER-1"}, {"straße", "STRASSE 9"}, {"A\\", "a\\b"}, {"q-9", "Q-9 Q-9x"}, {"0a1b-fF", "0A1B-Ff"}, {"iN-", "In-1"}, {"po-1", "PO-1 po-1\x01 PO-1-2 PO-10"},
		{"nobody", ""}, {"", ""}, {"%", ""}, {"_", ""}, {"'", ""}, {"\x00", ""}, {"\xff", ""},
	} {
		got, err := b.Begin(b.ctx(), c.prefix, 10)
		b.no(err)
		if strings.Join(got, " ") != c.want {
			t.Errorf("%q: %q, want %q", c.prefix, got, c.want)
		}
	}
	if got, err := b.Begin(b.ctx(), "4", 2); err != nil || strings.Join(got, " ") != "47%1 4711" {
		t.Errorf("two of them: %q, %v", got, err)
	}
	// Each is found as it is written, whatever its letters, and by nothing else.
	for key, n := range map[string]int{"SO-4711": 2, "so-4711": 1, "So-4711": 0, "ÄRGER-1": 1, "47%1": 1, "a\\b": 1, "STRASSE 9": 1, "In-1": 0} {
		tr, err := b.Trace(b.ctx(), key)
		b.no(err)
		if len(tr.Journal) != n || (key == "In-1") != (len(tr.Inbox) == 1) {
			t.Errorf("trace %q: %d rows, want %d; inbox %d", key, len(tr.Journal), n, len(tr.Inbox))
		}
		rows, err := b.Journal(b.ctx(), state.JournalFilter{Key: key})
		b.no(err)
		if len(rows) != n {
			t.Errorf("journal of %q: %d rows, want %d", key, len(rows), n)
		}
	}
	if qs, err := b.Listed(b.ctx(), state.QueueFilter{Key: "Q-9"}, 0); err != nil || len(qs) != 1 {
		t.Errorf("parked messages of a key: %v, %v", qs, err)
	}
}
