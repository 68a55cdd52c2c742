package storetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/fold"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
)

// index brings the search index up to the journal, as the worker does; more fills in what a fate's document says.
func (b *bench) index(s *store.Store, more func(*state.Indexed)) {
	b.t.Helper()
	l, ok, err := s.AcquireLease(b.ctx(), state.SearchLease, "one", time.Minute)
	b.no(err)
	if !ok {
		b.t.Fatalf("the lease is %+v", l)
	}
	newest, err := s.Journal(b.ctx(), state.JournalFilter{Limit: 1})
	b.no(err)
	for tries := 0; ; tries++ {
		at, err := s.IndexedTo(b.ctx(), "settings")
		b.no(err)
		if len(newest) == 0 || at >= newest[0].ID {
			return
		}
		rows, err := s.FatesBehind(b.ctx(), at, 200)
		b.no(err)
		if len(rows) == 0 {
			if tries == 20_000 { // where hubs share a database, a row is settled when those that began before it have ended
				b.t.Fatal("the newest fate is never settled")
			}
			continue
		}
		list := make([]state.Indexed, len(rows))
		for i, j := range rows {
			list[i] = state.Indexed{Fate: j.ID, Time: j.Time, Entity: j.Entity, Hub: j.Hub, Key: j.Key, Flow: j.Flow, Event: j.EventID, System: j.System, Outcome: j.Outcome}
			for _, start := range fold.Starts(j.Key) {
				list[i].Terms = append(list[i].Terms, state.Term{Field: "key", Text: start})
			}
			if more != nil {
				more(&list[i])
			}
		}
		b.no(s.IndexFates(b.ctx(), l, "settings", rows[len(rows)-1], list))
	}
}

// found are the keys that a search finds, over all its pages.
func (b *bench) found(s *store.Store, q state.SearchQuery) (keys []string) {
	b.t.Helper()
	for {
		page, err := s.Search(b.ctx(), q)
		b.no(err)
		if q.Limit > 0 && len(page.Objects) > q.Limit {
			b.t.Errorf("%d objects on a page of %d", len(page.Objects), q.Limit)
		}
		for _, o := range page.Objects {
			keys = append(keys, o.Key)
		}
		if page.Next == "" {
			return keys
		}
		q.After = page.Next
	}
}

func (b *bench) wantFound(q state.SearchQuery, want ...string) {
	b.t.Helper()
	if got := b.found(b.Store, q); fmt.Sprint(got) != fmt.Sprint(want) {
		b.t.Errorf("%+v: found %v, want %v", q, got, want)
	}
}

func fate(n int64, entity, hub, key string, o state.Outcome) state.Result {
	return state.Result{Offset: n, Outcome: o, Journal: &state.Journal{Time: time.Date(2026, 3, 1, 12, 0, int(n%60), 0, time.UTC), Flow: "orders-to-erp", EventID: fmt.Sprint("e", n), Entity: entity, Hub: hub, Key: key,
		System: "erp", Outcome: o}}
}

func withField(name string, values map[string]string) func(*state.Indexed) {
	return func(x *state.Indexed) {
		for _, start := range fold.Starts(values[x.Key]) {
			x.Terms = append(x.Terms, state.Term{Field: name, Text: start})
		}
	}
}

func testSearch(t *testing.T, b *bench) {
	p := b.part(0)
	first := fate(0, "customer", "h-1", "C-1", state.Delivered)
	first.Ref = &state.Ref{Entity: "customer", Hub: "h-1", System: "erp", Local: "K-Ä0071", Updated: b.clock.Now()}
	p.commit(first, fate(1, "customer", "h-2", "C-2", state.Delivered), fate(2, "order", "h-3", "SO-10", state.Skipped), fate(3, "order", "h-4", "SO-1", state.Delivered), fate(4, "order", "", "SO-3", state.Discarded))
	b.index(b.Store, withField("name", map[string]string{"C-1": "Łódź Trading", "C-2": "Müller & Söhne GmbH"}))
	for _, c := range []struct {
		text string
		want string
	}{
		{"c-", "[C-2 C-1]"}, {"C-1", "[C-1]"}, {"SO-1", "[SO-1 SO-10]"}, {"so-10", "[SO-10]"}, {"1", "[SO-1 C-1 SO-10]"}, {" MULLER  & s", "[C-2]"}, {"söhne", "[C-2]"}, {"gmbh", "[C-2]"}, {"lodz", "[C-1]"}, {"trading", "[C-1]"},
		{"rading", "[]"}, {"h-1", "[C-1]"}, {"H-1", "[C-1]"}, {"h-", "[]"}, {"k-ä", "[C-1]"}, {"K-A0071", "[C-1]"}, {"e2", "[SO-10]"}, {"e4", "[SO-3]"}, {"so-3", "[SO-3]"}, {"%", "[]"}, {"_", "[]"}, {"   ", "[]"}, {"\x00", "[]"}, {"\xff", "[]"},
		{state.ExternalID("customer", "h-1"), "[C-1]"}, {strings.ToUpper(state.ExternalID("customer", "h-1")), "[C-1]"},
	} {
		if got := fmt.Sprint(b.found(b.Store, state.SearchQuery{Text: c.text})); got != c.want {
			t.Errorf("%q: %s, want %s", c.text, got, c.want)
		}
		if got := fmt.Sprint(b.found(b.Store, state.SearchQuery{Text: c.text, Limit: 1})); got != c.want {
			t.Errorf("%q page by page: %s, want %s", c.text, got, c.want)
		}
	}
	b.wantFound(state.SearchQuery{Text: "1", Entity: "order"}, "SO-1", "SO-10")
	page, err := b.Search(b.ctx(), state.SearchQuery{Text: "lodz"})
	b.no(err)
	o := page.Objects[0]
	if o.Entity != "customer" || o.Hub != "h-1" || o.Flow != "orders-to-erp" || o.Event != "e0" || o.System != "erp" || o.State() != "delivered" || !o.Time.Equal(first.Journal.Time) || len(o.Refs) != 1 || o.Refs[0].Local != "K-Ä0071" || fmt.Sprint(o.Fields) != "[name]" {
		t.Errorf("found %+v", o)
	}
	if !page.Complete() || page.Next != "" || !page.Until.Equal(time.Date(2026, 3, 1, 12, 0, 4, 0, time.UTC)) {
		t.Errorf("looked %+v", page.Looked)
	}
	if _, err := b.Search(b.ctx(), state.SearchQuery{Text: "c", After: "nonsense"}); !errors.Is(err, state.ErrCursor) {
		t.Errorf("a cursor that is none: %v", err)
	}
	// A newer fate comes first, and another name is found beside the old one.
	p.commit(fate(5, "customer", "h-1", "C-1", state.Skipped))
	b.index(b.other(), withField("name", map[string]string{"C-1": "Globex"}))
	b.wantFound(state.SearchQuery{Text: "c-"}, "C-1", "C-2")
	b.wantFound(state.SearchQuery{Text: "globex"}, "C-1")
	b.wantFound(state.SearchQuery{Text: "lodz"}, "C-1")
	// All of it outlives a restart.
	b.reopen()
	b.wantFound(state.SearchQuery{Text: "globex"}, "C-1")
}

// What is found of objects whose hub id was not known at first is one object later.
func testSearchMeets(t *testing.T, b *bench) {
	p := b.part(0)
	p.commit(fate(0, "order", "", "SO-1", state.Discarded), fate(1, "order", "", "SO-2", state.Discarded), fate(2, "order", "h-2", "SO-2", state.Delivered))
	b.index(b.Store, nil)
	p.commit(fate(3, "order", "h-1", "SO-1", state.Delivered), fate(4, "order", "", "SO-2", state.Discarded), fate(5, "customer", "", "SO-2", state.Discarded))
	b.index(b.Store, nil)
	b.wantFound(state.SearchQuery{Text: "so-"}, "SO-2", "SO-2", "SO-1")
	b.wantFound(state.SearchQuery{Text: "so-", Entity: "order"}, "SO-2", "SO-1")
	for text, want := range map[string]string{"SO-1": "h-1 delivered", "SO-2": "h-2 discarded"} {
		page, err := b.Search(b.ctx(), state.SearchQuery{Text: text, Entity: "order"})
		b.no(err)
		if o := page.Objects[0]; o.Hub+" "+o.State() != want {
			t.Errorf("%s: %+v", text, o)
		}
	}
	// Two that were apart are joined where one fate names both.
	p.commit(fate(6, "order", "h-9", "SO-9", state.Delivered))
	b.index(b.Store, nil)
	p.commit(fate(7, "order", "", "SO-8", state.Discarded))
	b.index(b.Store, nil)
	p.commit(fate(8, "order", "h-9", "SO-8", state.Delivered))
	b.index(b.Store, nil)
	page, err := b.Search(b.ctx(), state.SearchQuery{Text: "SO-8"})
	b.no(err)
	if len(page.Objects) != 1 || page.Objects[0].Hub != "h-9" {
		t.Errorf("joined: %+v", page.Objects)
	}
	b.wantFound(state.SearchQuery{Text: "SO-9"}, "SO-8")
}

// What is not indexed yet is found by key and id, and the answer says how far it has looked.
func testSearchBehind(t *testing.T, b *bench) {
	p := b.part(0)
	p.commit(fate(0, "order", "h-1", "SO-1", state.Delivered))
	b.index(b.Store, nil)
	late := fate(2, "order", "h-1", "SO-1", state.Skipped)
	late.Journal.Local = "L-77"
	p.commit(fate(1, "order", "h-2", "SO-2", state.Delivered), late, fate(3, "order", "", "SO-3", state.Discarded))
	b.wantFound(state.SearchQuery{Text: "so-"}, "SO-3", "SO-1", "SO-2")
	b.wantFound(state.SearchQuery{Text: "l-7"}, "SO-1")
	page, err := b.Search(b.ctx(), state.SearchQuery{Text: "acme"})
	b.no(err)
	if page.Complete() || page.Behind == 0 || len(page.Objects) != 0 {
		t.Errorf("a none that may be false: %+v", page)
	}
	page, err = b.Search(b.ctx(), state.SearchQuery{Text: "SO-1"})
	b.no(err)
	if o := page.Objects[0]; o.State() != "delivered" || o.Event != "e2" {
		t.Errorf("an object with news: %+v", o)
	}
	b.index(b.Store, nil)
	if page, err = b.Search(b.ctx(), state.SearchQuery{Text: "acme"}); err != nil || !page.Complete() {
		t.Errorf("%+v, %v", page, err)
	}
	// What has come in and has no fate is known by its key as soon as somebody has read it.
	l := b.lease("relay/a", "one")
	_, seqs := b.accept(inbound("a", "d1", "x"))
	if page, err = b.Search(b.ctx(), state.SearchQuery{Text: "SO-55"}); err != nil || page.Complete() || page.Unread.IsZero() {
		t.Errorf("unread: %+v, %v", page, err)
	}
	b.no(b.MarkPublished(b.ctx(), l, []state.Published{{Seq: seqs[0], Key: "SO-55", Positions: []state.PublishedAt{{Topic: "in.a", Partition: 0, Offset: 5}}}}, nil))
	page, err = b.Search(b.ctx(), state.SearchQuery{Text: "so-5"})
	b.no(err)
	if len(page.Objects) != 1 || page.Objects[0].State() != "received" || page.Objects[0].Key != "SO-55" || page.Objects[0].Flow != "a" || !page.Complete() {
		t.Errorf("received: %+v", page)
	}
	// With other settings everything is indexed anew.
	if at, err := b.IndexedTo(b.ctx(), "others"); err != nil || at != 0 {
		t.Errorf("%d, %v", at, err)
	}
}

// Who has lost the lease writes nothing.
func testSearchFenced(t *testing.T, b *bench) {
	p := b.part(0)
	p.commit(fate(0, "order", "h-1", "SO-1", state.Delivered))
	rows, err := b.Journal(b.ctx(), state.JournalFilter{Limit: 1})
	b.no(err)
	old := b.lease(state.SearchLease, "one")
	b.no(b.ReleaseLease(b.ctx(), old))
	b.lease(state.SearchLease, "two")
	err = b.IndexFates(b.ctx(), old, "settings", rows[0], []state.Indexed{{Fate: rows[0].ID, Entity: "order", Key: "SO-1", Terms: []state.Term{{Field: "key", Text: "so-1"}}}})
	if !errors.Is(err, state.ErrFenced) {
		t.Errorf("%v", err)
	}
	if at, err := b.IndexedTo(b.ctx(), "settings"); err != nil || at != 0 {
		t.Errorf("indexed up to %d, %v", at, err)
	}
}

// Where more objects fit than are put in order at once, the exact ones come first and the rest by its time, each one once.
func testSearchWide(t *testing.T, b *bench) {
	p := b.part(0)
	const n = 2600
	for at := int64(0); at < n; at += 200 {
		var rs []state.Result
		for i := at; i < at+200; i++ {
			rs = append(rs, fate(i, "order", fmt.Sprint("h-", i), fmt.Sprintf("A%04d", i), state.Delivered))
		}
		p.commit(rs...)
	}
	p.commit(fate(n, "order", "h-x", "A", state.Delivered), fate(n+1, "customer", "h-y", "B", state.Delivered), fate(n+2, "order", "h-5", "A0005", state.Skipped))
	b.index(b.Store, func(x *state.Indexed) {
		x.Terms = append(x.Terms, state.Term{Field: "city", Text: "kiel"}, state.Term{Field: "name", Text: "\x7fe4"})
		if strings.HasSuffix(x.Key, "0") {
			x.Terms = append(x.Terms, state.Term{Field: "city", Text: "ulm"}, state.Term{Field: "city", Text: "ulm-sued"})
		}
	})
	p.commit(fate(n+3, "order", "h-new", "A9999", state.Delivered)) // not indexed yet
	got := b.found(b.Store, state.SearchQuery{Text: "a", Limit: 100})
	if len(got) != n+2 || fmt.Sprint(got[:4]) != "[A9999 A A0005 A2599]" || got[len(got)-1] != "A0000" {
		t.Fatalf("%d, from %v to %v", len(got), got[:4], got[len(got)-1])
	}
	seen := map[string]bool{}
	for _, k := range got {
		if seen[k] {
			t.Fatalf("%s comes twice", k)
		}
		seen[k] = true
	}
	page, err := b.Search(b.ctx(), state.SearchQuery{Text: "a", Limit: 5})
	b.no(err)
	if page.Back.IsZero() || page.Next == "" || page.Complete() {
		t.Errorf("looked %+v", page.Looked)
	}
	// Of many that fit exactly the newest come first as well, also where none could be told from the others, and also by what nobody is to read.
	if got = b.found(b.Store, state.SearchQuery{Text: "Ulm", Limit: 100}); len(got) != n/10 || fmt.Sprint(got[:2]) != "[A2590 A2580]" || got[len(got)-1] != "A0000" {
		t.Errorf("%d, %v", len(got), got)
	}
	for _, q := range []state.SearchQuery{{Text: "Kiel", Limit: 100}, {Text: "Ida", Hidden: []string{"\x7fe4"}, Limit: 100}} {
		if got = b.found(b.Store, q); len(got) != n+2 || fmt.Sprint(got[:3]) != "[A0005 B A]" || got[len(got)-1] != "A0000" {
			t.Errorf("%s: %d, %v", q.Text, len(got), got)
		}
	}
	// Of another kind there is one alone, and none of these.
	b.wantFound(state.SearchQuery{Text: "a", Entity: "customer"})
	b.wantFound(state.SearchQuery{Text: "b", Entity: "customer"}, "B")
	// Where it takes long a page ends sooner: it says how far back it has looked, and the next ones go on from there to the end.
	passed := time.Duration(0)
	b.cfg.Elapsed = func() time.Duration { passed += time.Second; return passed }
	b.reopen()
	page, err = b.Search(b.ctx(), state.SearchQuery{Text: "a", Entity: "customer"})
	b.no(err)
	if len(page.Objects) > 0 || page.Next == "" || page.Back.IsZero() || page.Complete() {
		t.Errorf("a page that takes long: %+v", page)
	}
	pages := 1
	for ; page.Next != ""; pages++ {
		page, err = b.Search(b.ctx(), state.SearchQuery{Text: "a", Entity: "customer", After: page.Next})
		b.no(err)
	}
	if pages < n/500 {
		t.Errorf("%d pages for %d objects", pages, n)
	}
	if got = b.found(b.Store, state.SearchQuery{Text: "a", Limit: 100}); len(got) != n+2 || got[len(got)-1] != "A0000" {
		t.Errorf("in short pages: %d", len(got))
	}
}

// An object stands as its worst message does, else as a reconciliation says, else as its newest fate.
func testSearchStates(t *testing.T, b *bench) {
	p := b.part(0)
	var rs []state.Result
	for i, key := range []string{"P", "W", "D", "R", "K"} {
		hub := "h-" + key
		if key == "K" {
			hub = ""
		}
		r := fate(int64(i), "order", hub, "Q-"+key, state.Delivered)
		if hub != "" {
			r.Ref = &state.Ref{Entity: "order", Hub: hub, System: "erp", Local: key, Updated: b.clock.Now()}
		}
		rs = append(rs, r)
	}
	p.commit(rs...)
	queued := func(n int64, hub, key string, o state.Outcome) state.Result {
		r := rest(n, o, fmt.Sprint("lane", n))
		r.Queue.Event.Entity, r.Queue.Event.Hub, r.Queue.Event.Key = "order", hub, key
		r.Queue.Reason = "no " + key
		return r
	}
	p.commit(queued(10, "h-W", "Q-W", state.Waiting), queued(11, "h-P", "Q-P", state.Waiting), queued(12, "h-P", "Q-P", state.Parked), queued(13, "", "Q-K", state.Parked))
	run := b.want(state.Comparison{})
	l := b.worker(state.RunReconciliation, run.Name, "one")
	_, err := b.BeginComparison(b.ctx(), l, run.ID)
	b.no(err)
	b.no(b.AddDifferences(b.ctx(), l, run.ID, []state.Difference{{N: 1, Kind: state.DiffDifferent, Reason: state.ReasonEditedRight, Hub: "h-D", Key: "Q-D"},
		{N: 2, Kind: state.DiffDifferent, Reason: state.ReasonEditedRight, Hub: "h-R", Key: "Q-R", Repair: state.RepairRepaired}}))
	b.no(b.EndComparison(b.ctx(), l, state.Comparison{ID: run.ID, State: state.RunDrift}))
	b.index(b.Store, nil)
	for key, want := range map[string]string{"P": "parked", "W": "waiting", "D": "drifting", "R": "delivered", "K": "parked"} {
		page, err := b.Search(b.ctx(), state.SearchQuery{Text: "Q-" + key})
		b.no(err)
		if len(page.Objects) != 1 || page.Objects[0].State() != want || want == "drifting" && page.Objects[0].Drift.Run != run.ID {
			t.Errorf("%s: %+v, want %s", key, page.Objects, want)
		}
	}
	// The trace tells what runs have found.
	tr, err := b.Trace(b.ctx(), "Q-D")
	b.no(err)
	if len(tr.Differences) != 1 || tr.Differences[0].Name != run.Name || tr.Differences[0].Run != run.ID || tr.Differences[0].At.IsZero() || tr.Differences[0].Since.IsZero() {
		t.Errorf("differences: %+v", tr.Differences)
	}
}

// related is what an object names, and what names it, in short.
func (b *bench) related(entity, hub, key string) string {
	b.t.Helper()
	list, more, err := b.Related(b.ctx(), entity, hub, key)
	b.no(err)
	var out []string
	for _, r := range list {
		arrow := "->"
		if r.Backward {
			arrow = "<-"
		}
		out = append(out, fmt.Sprintf("%s%s %s %s/%s", r.Field, arrow, r.Entity, r.Hub, r.Key))
	}
	if more {
		out = append(out, "…")
	}
	return strings.Join(out, ", ")
}

func testRelated(t *testing.T, b *bench) {
	p := b.part(0)
	ref := func(entity, hub, local string) *state.Ref {
		return &state.Ref{Entity: entity, Hub: hub, System: "erp", Local: local, Updated: b.clock.Now()}
	}
	list := []state.Result{fate(0, "customer", "c-1", "C-1", state.Delivered), fate(1, "customer", "c-2", "C-2", state.Delivered), fate(2, "quote", "q-1", "Q-1", state.Delivered), fate(3, "order", "o-1", "SO-1", state.Delivered),
		fate(4, "invoice", "i-1", "IN-1", state.Delivered)}
	for i := range list {
		list[i].Ref = ref(list[i].Journal.Entity, list[i].Journal.Hub, fmt.Sprint(i))
	}
	p.commit(list...)
	names := map[string][]state.Reference{
		"SO-1": {{Field: "bill_to", ID: "c-2"}, {Field: "customer", Entity: "customer", ID: "c-1", Number: "no key"}, {Field: "id", ID: "o-1"}, {Field: "product", Entity: "product", Number: "P-9"}, {Field: "quote", Entity: "quote", ID: "unknown", Number: "Q-1"},
			{Field: "vessel", ID: "unknown"}},
		"IN-1": {{Field: "order", Entity: "order", Number: "SO-1"}},
	}
	say := func(x *state.Indexed) { x.References = names[x.Key] }
	b.index(b.Store, say)
	for _, c := range []struct{ entity, hub, key, want string }{
		{"order", "o-1", "SO-1", "bill_to-> customer c-2/C-2, customer-> customer c-1/C-1, product-> product /P-9, quote-> quote q-1/Q-1, order<- invoice i-1/IN-1"},
		{"customer", "c-1", "C-1", "customer<- order o-1/SO-1"}, {"invoice", "i-1", "IN-1", "order-> order o-1/SO-1"}, {"quote", "q-1", "Q-1", "quote<- order o-1/SO-1"}, {"order", "none", "none", ""},
	} {
		if got := b.related(c.entity, c.hub, c.key); got != c.want {
			t.Errorf("%s: %s, want %s", c.key, got, c.want)
		}
	}
	// The newest document counts, field by field: what it does not say stays.
	names["SO-1"] = []state.Reference{{Field: "customer", Entity: "customer", ID: "c-2"}}
	p.commit(fate(5, "order", "o-1", "SO-1", state.Delivered))
	b.index(b.Store, say)
	if got := b.related("order", "o-1", "SO-1"); !strings.Contains(got, "customer-> customer c-2/C-2") || strings.Contains(got, "c-1") || !strings.Contains(got, "quote-> quote q-1/Q-1") {
		t.Error(got)
	}
	if got := b.related("customer", "c-1", "C-1"); got != "" {
		t.Error(got)
	}
	// Of many, the latest.
	for at := int64(0); at < 60; at++ {
		r := fate(10+at, "order", fmt.Sprint("n-", at), fmt.Sprint("N-", at), state.Delivered)
		names[r.Journal.Key] = []state.Reference{{Field: "customer", Entity: "customer", ID: "c-1"}}
		p.commit(r)
	}
	b.index(b.Store, say)
	got := b.related("customer", "c-1", "C-1")
	if !strings.HasPrefix(got, "customer<- order n-59/N-59, customer<- order n-58/N-58") || strings.Count(got, "<-") != 50 || !strings.HasSuffix(got, "…") {
		t.Error(got)
	}
}

// An object may be found by so much alone, its key and ids longest.
func testSearchTerms(t *testing.T, b *bench) {
	p := b.part(0)
	for n := int64(0); n < 100; n++ {
		p.commit(fate(n, "order", "h-1", "SO-1", state.Delivered))
	}
	b.index(b.Store, func(x *state.Indexed) {
		x.Terms = append(x.Terms, state.Term{Field: "note", Text: "note" + x.Event})
	})
	b.wantFound(state.SearchQuery{Text: "SO-1"}, "SO-1")
	b.wantFound(state.SearchQuery{Text: "notee99"}, "SO-1")
	b.wantFound(state.SearchQuery{Text: "notee0"})
}

// Personal values are found by their hashes, whole, and by nothing else; the secret of these is the store's.
func testSearchHidden(t *testing.T, b *bench) {
	p := b.part(0)
	p.commit(fate(0, "customer", "h-1", "C-1", state.Delivered))
	b.index(b.Store, func(x *state.Indexed) {
		x.Terms = append(x.Terms, state.Term{Field: "name", Text: "\x7fabcdef"})
	})
	b.wantFound(state.SearchQuery{Text: "anything", Hidden: []string{"\x7fabcdef"}}, "C-1")
	b.wantFound(state.SearchQuery{Text: "anything", Hidden: []string{"\x7fabc"}})
	b.wantFound(state.SearchQuery{Text: "\x7fabcdef"})
	b.wantFound(state.SearchQuery{Text: "abcdef"})
	page, err := b.Search(b.ctx(), state.SearchQuery{Text: "anything", Hidden: []string{"\x7fabcdef"}})
	b.no(err)
	if fmt.Sprint(page.Objects[0].Fields) != "[name]" {
		t.Errorf("found by %v", page.Objects[0].Fields)
	}
	one, err := b.SearchSecret(b.ctx())
	b.no(err)
	other, err := b.other().SearchSecret(b.ctx())
	b.no(err)
	if len(one) != 32 || string(one) != string(other) {
		t.Errorf("secrets of %d and %d bytes", len(one), len(other))
	}
	b.reopen()
	if again, err := b.SearchSecret(b.ctx()); err != nil || string(again) != string(one) {
		t.Errorf("another secret after a restart: %v", err)
	}
}

func testPruneSearch(t *testing.T, b *bench) {
	p := b.part(0)
	old := fate(0, "order", "h-1", "SO-1", state.Delivered)
	old.Journal.Time = b.clock.Now()
	p.commit(old)
	b.clock.Add(50 * 24 * time.Hour)
	young := fate(1, "order", "h-2", "SO-2", state.Delivered)
	young.Journal.Time = b.clock.Now()
	p.commit(young)
	b.index(b.Store, func(x *state.Indexed) {
		x.References = []state.Reference{{Field: "customer", Entity: "customer", Number: "C-1"}}
	})
	b.clock.Add(41 * 24 * time.Hour)
	_, err := b.Prune(b.ctx(), b.clock.Now())
	b.no(err)
	b.wantFound(state.SearchQuery{Text: "so-"}, "SO-2")
	if got := b.related("customer", "", "C-1"); got != "customer<- order h-2/SO-2" {
		t.Error(got)
	}
}
