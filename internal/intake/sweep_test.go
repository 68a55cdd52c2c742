package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/inbox"
	"github.com/waybill-hub/waybill/internal/inbox/inboxtest"
	"github.com/waybill-hub/waybill/internal/schedule"
	"github.com/waybill-hub/waybill/internal/state"
)

// stock is a system whose polls never see anything, so that everything is a sweep's.
type stock struct {
	mu   sync.Mutex
	rows map[string]connector.Record
	// lists counts listings; listed is called with its number and may change the records of it, or break it off after some.
	lists  int
	listed func(n int, all []connector.Record) ([]connector.Record, error)
	finds  int
}

func (*stock) Probe(context.Context) error { return nil }
func (*stock) Close() error                { return nil }

func (*stock) Poll(_ context.Context, r connector.PollRequest) (connector.Page, error) {
	return connector.Page{Cursor: r.Cursor}, nil
}

func (s *stock) List(_ context.Context, _ string, since time.Time) iter.Seq2[connector.Record, error] {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lists++
	var all []connector.Record
	for _, local := range slices.Sorted(maps.Keys(s.rows)) {
		all = append(all, s.rows[local])
	}
	var err error
	if s.listed != nil {
		all, err = s.listed(s.lists, all)
	}
	return func(yield func(connector.Record, error) bool) {
		for _, r := range all {
			if !yield(r, nil) {
				return
			}
		}
		if err != nil {
			yield(connector.Record{}, err)
		}
	}
}

func (s *stock) find(local string) []connector.Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finds++
	if r, ok := s.rows[local]; ok {
		return []connector.Record{r}
	}
	return nil
}

func (s *stock) put(records ...connector.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rows == nil {
		s.rows = map[string]connector.Record{}
	}
	for _, r := range records {
		s.rows[r.Local] = r
	}
}

func (s *stock) drop(locals ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range locals {
		delete(s.rows, l)
	}
}

// findable is a stock that can be asked for one object; lookup is what it says to that.
type findable struct {
	stock
	lookup error
}

func (s *findable) Find(_ context.Context, l connector.Lookup) ([]connector.Record, error) {
	if s.lookup != nil {
		return nil, s.lookup
	}
	return s.find(l.Local), nil
}

// numbered is a stock that lists ids alone, too.
type numbered struct {
	stock
	idLists int
	fails   error
}

func (s *numbered) ListsIDs(object string) bool { return object == "sale" }

func (s *numbered) ListIDs(context.Context, string) iter.Seq2[string, error] {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idLists++
	ids := slices.Sorted(maps.Keys(s.rows))
	return func(yield func(string, error) bool) {
		for _, id := range ids {
			if !yield(id, nil) {
				return
			}
		}
		if s.fails != nil {
			yield("", s.fails)
		}
	}
}

func daily(t *testing.T) Timetable {
	t.Helper()
	when, err := schedule.Parse("0 3 * * *", "UTC")
	if err != nil {
		t.Fatal(err)
	}
	return when
}

// sweeping is a source that is swept.
func sweeping(t *testing.T, s connector.Poller, atMost string) Source {
	bound, err := config.ParseAtMost(atMost)
	if err != nil {
		t.Fatal(err)
	}
	return Source{Poll: &Poll{Poller: s, Object: "sale", When: schedule.Every(24 * time.Hour),
		Sweep: &Sweep{Lister: s.(connector.Lister), When: daily(t), AtMost: bound}}}
}

// digest makes what is new on the topic known, as the flow does.
func (b *bench) digest() {
	b.T.Helper()
	p, err := b.Store.OpenPartition(b.T.Context(), "orders", "in.orders", 0, event.Log{Cluster: "c", TopicID: "t", Last: 1 << 40})
	if err != nil {
		b.T.Fatal(err)
	}
	events := b.Topic.Events()
	for i := int(p.Position.Next); i < len(events); i++ {
		ev := &events[i]
		local := ev.Local
		if local == "" {
			local, _, _ = strings.Cut(ev.ID, "@")
			local, _, _ = strings.Cut(local, "#")
			var doc struct{ ID string }
			if json.Unmarshal(ev.Data, &doc) == nil && doc.ID != "" {
				local = doc.ID
			}
		}
		hub, _, err := b.Store.Resolve(b.T.Context(), "order", "crm", local, "", ev.ID)
		if err != nil {
			b.T.Fatal(err)
		}
		err = b.Store.Commit(b.T.Context(), &state.Commit{Flow: "orders", Topic: "in.orders", Epoch: p.Epoch, Results: []state.Result{{Offset: int64(i), Outcome: state.Delivered,
			Source: &state.Ref{Entity: "order", Hub: hub, System: "crm", Local: local, Deleted: ev.Operation == event.Delete, Updated: b.Clock.Now(),
				Known: &state.Known{Flow: "orders", Fields: map[string]uint64{"x": 1}, Received: ev.Version, EventID: ev.ID, Key: ev.Key}}}}})
		if err != nil {
			b.T.Fatal(err)
		}
	}
}

// swept asks for a sweep, waits until it is over and its rows are published and known, and gives its run.
func (b *bench) swept(atMost string) state.Run {
	b.T.Helper()
	b.Clock.Advance(time.Second) // what was known before the sweep is older than it
	n := len(b.sweeps())
	if err := b.Store.AskSource(b.T.Context(), state.SourceWish{Flow: "orders", Kind: state.WishSweep, Detail: atMost, Who: "ann"}, ""); err != nil {
		b.T.Fatal(err)
	}
	b.intake.Asked("orders")
	var run state.Run
	b.Turn("the sweep", func() bool {
		runs := b.sweeps()
		if len(runs) > n {
			run = runs[len(runs)-1-n] // a failed one is tried again, maybe already
		}
		return len(runs) > n && run.State != "running" && b.Unpublished() == 0
	})
	b.digest()
	return run
}

func (b *bench) sweeps() []state.Run {
	b.T.Helper()
	runs, err := b.Store.Runs(b.T.Context(), state.RunFilter{Kind: RunSweep, Name: "orders"})
	if err != nil {
		b.T.Fatal(err)
	}
	return runs
}

// tail gives the events from the n-th on: operation, key and local of each.
func (b *bench) tail(n int) string {
	var out []string
	for _, e := range b.Topic.Events()[n:] {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %s", e.Operation, e.Key, e.Local)))
	}
	return strings.Join(out, ", ")
}

func ten() []connector.Record {
	var out []connector.Record
	for i := range 10 {
		out = append(out, rec(fmt.Sprintf("%02d", i), "v1", fmt.Sprintf(`{"k":"K%d"}`, i)))
	}
	return out
}

// TestSweep: what a sweep makes of what it finds.
func TestSweep(t *testing.T) {
	unreadable := func(local string) connector.Record {
		return connector.Record{Local: local, Err: fault.New(fault.Invalid, "its stamp is no time")}
	}
	keyed := func(s *Source) { s.Key = inboxtest.Field("k") }
	byField := func(s *Source) { s.Key, s.ID = inboxtest.Field("k"), inboxtest.Field("id") }
	for _, test := range []struct {
		name   string
		finder bool
		lookup error
		source func(*Source)
		change func(s *stock)
		state  string
		events string // of the sweep after the change
		text   string // part of what the run says
	}{
		{name: "nothing has changed", finder: true, change: func(*stock) {}, state: "ok", text: "10 listed, 0 deleted"},
		{name: "gone", finder: true, change: func(s *stock) { s.drop("03") }, state: "ok", events: "delete 03 03", text: "9 listed, 1 deleted"},
		{name: "gone, where nothing can be asked for", change: func(s *stock) { s.drop("03") }, state: "ok", events: "delete 03 03", text: "1 deleted"},
		{name: "gone, where the object has no look-up", finder: true, lookup: fmt.Errorf("by id: %w", connector.ErrNoLookup), change: func(s *stock) { s.drop("03") }, state: "ok", events: "delete 03 03"},
		{name: "missed and changed", finder: true, change: func(s *stock) { s.put(rec("10", "v0", `{"k":"new"}`), rec("04", "v2", `{"k":"changed"}`)) },
			state: "ok", events: "upsert 04, upsert 10", text: "2 taken that polls had not brought"},
		{name: "changed under one version", finder: true, change: func(s *stock) { s.put(rec("04", "v1", `{"k":"changed"}`)) }, state: "ok", events: "upsert 04"},
		{name: "without a version", finder: true, change: func(s *stock) { s.put(rec("10", "", `{"k":"new"}`)) }, state: "ok", events: "upsert 10"},
		{name: "without a version, where nothing can be asked for", change: func(s *stock) { s.put(rec("10", "", `{"k":"new"}`)) }, state: "ok", text: "1 without a version left to polls"},
		{name: "left out by one listing", finder: true, state: "ok", text: "10 listed, 0 deleted", change: func(s *stock) {
			s.listed = func(_ int, all []connector.Record) ([]connector.Record, error) { return all[1:], nil }
		}},
		{name: "left out by one listing, where nothing can be asked for", state: "ok", text: "0 deleted", change: func(s *stock) {
			first := s.lists + 1
			s.listed = func(n int, all []connector.Record) ([]connector.Record, error) {
				if n == first {
					return all[1:], nil
				}
				return all, nil
			}
		}},
		{name: "broken off", finder: true, state: "failed", text: "page 2: 502", change: func(s *stock) {
			s.drop("09")
			s.listed = func(_ int, all []connector.Record) ([]connector.Record, error) {
				return all[:3], fault.New(fault.Unavailable, "page 2: 502")
			}
		}},
		{name: "broken off the second time", state: "failed", text: "page 2: 502", change: func(s *stock) {
			s.drop("03")
			first := s.lists + 1
			s.listed = func(n int, all []connector.Record) ([]connector.Record, error) {
				if n == first {
					return all, nil
				}
				return all[:3], fault.New(fault.Unavailable, "page 2: 502")
			}
		}},
		{name: "not told", finder: true, lookup: fault.New(fault.Unavailable, "down"), state: "failed", text: "look for 03", change: func(s *stock) { s.drop("03") }},
		{name: "unreadable", finder: true, state: "ok", text: "10 listed, 0 deleted, 1 cannot be read and count as there", change: func(s *stock) { s.put(unreadable("03")) }},
		{name: "too many", finder: true, state: "held", text: "3 of 10 known objects are missing in crm, and at-most is 20%", change: func(s *stock) { s.drop("03", "04", "05") }},
		{name: "all", finder: true, state: "held", text: "10 of 10 known objects are missing", change: func(s *stock) { s.rows = nil }},
		{name: "marked as deleted", finder: true, state: "ok", events: "delete 03", change: func(s *stock) {
			s.put(connector.Record{Local: "03", Version: "v2", Doc: []byte(`{"k":"K3"}`), Deleted: true}, connector.Record{Local: "77", Version: "v2", Doc: []byte(`{"k":"never seen"}`), Deleted: true})
		}},
		{name: "gone, by its key", finder: true, source: keyed, change: func(s *stock) { s.drop("03") }, state: "ok", events: "delete 03 03"},
		{name: "gone, where objects are named by a field", finder: true, source: byField, change: func(s *stock) { s.drop("03") }, state: "ok", events: "delete K3 X03"},
		{name: "unreadable, where objects are named by a field", finder: true, source: byField, state: "ok", text: "0 deleted, 1 cannot be read and count as there", change: func(s *stock) { s.put(unreadable("03")) }},
		{name: "unreadable, where objects are named by a field, and another one is gone", finder: true, source: byField, state: "ok", events: "delete K4 X04", change: func(s *stock) {
			s.put(unreadable("03"))
			s.drop("04")
		}},
		{name: "unreadable and without an id, where objects are named by a field, and one is gone", finder: true, source: byField, state: "held", text: "1 records do not say which objects they are, such as one without an id", change: func(s *stock) {
			s.put(unreadable(""))
			s.drop("04")
		}},
		{name: "unreadable, and it says which known object it is", finder: true, source: byField, state: "ok", text: "1 cannot be read and count as there", change: func(s *stock) {
			r := unreadable("03")
			r.Doc = []byte(`{"k":"K3","id":"X03","amount":"n/a"}`)
			s.put(r)
		}},
		{name: "unreadable, and it says it is an object that nobody knows", finder: true, source: byField, state: "ok", text: "0 deleted, 1 cannot be read and count as there", change: func(s *stock) {
			r := unreadable("03")
			r.Doc = []byte(`{"k":"K3","id":"n/a"}`)
			s.put(r)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			onStores(t, func(t *testing.T, b *bench) {
				f := &findable{}
				s := &f.stock
				var poller connector.Poller = s
				if test.finder {
					poller = f
				}
				src := sweeping(t, poller, "20%")
				records := ten()
				if test.source != nil {
					test.source(&src)
				}
				if src.ID != nil {
					for i := range records {
						records[i].Doc = fmt.Appendf(nil, `{"k":"K%d","id":%q}`, i, "X"+records[i].Local)
					}
				} else if src.Key != nil { // the engine of these tests knows objects by their id in the system
					src.ID = func(_ context.Context, in inbox.Input) (string, error) { return in.Headers[inbox.HeaderLocal], nil }
				}
				s.put(records...)
				b.start(src)
				if run := b.swept(""); run.State != "ok" || run.Detail != "10 listed, 0 deleted, 10 taken that polls had not brought" {
					t.Fatalf("the first sweep: %+v", run)
				}
				f.lookup = test.lookup
				test.change(s)
				run := b.swept("")
				want := test.events
				if src.Key != nil {
					want = strings.Replace(want, "delete 03 03", "delete K3 03", 1) // the key that it had last
				}
				if got := b.tail(10); run.State != test.state || got != want || !strings.Contains(run.Detail, test.text) {
					t.Fatalf("%s: %q, events %q; want %s with %q and %q", run.State, run.Detail, got, test.state, test.text, want)
				}
				// The run is stored before the alarm is told.
				b.Await("the alarm, or its end", func() bool { return test.state == "held" == (b.seen.Text(AlarmSweep) != "") })
				f.lookup, s.listed = nil, nil
				events := b.Topic.Count()
				if test.state == "ok" {
					if run := b.swept(""); b.Topic.Count() != events || run.Count != 0 {
						t.Errorf("once more: %+v, events %q", run, b.tail(events))
					}
				}
			})
		})
	}
}

// TestSweepListsIDs: the second look is one at ids alone, where the system lists them.
func TestSweepListsIDs(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		s := &numbered{}
		s.put(ten()...)
		b.start(sweeping(t, s, "20%"))
		b.swept("")
		s.drop("03")
		s.listed = func(_ int, all []connector.Record) ([]connector.Record, error) { return all[1:], nil } // it leaves one out that is there
		s.fails = fault.New(fault.Unavailable, "page 2: 502")
		if run := b.swept(""); run.State != "failed" || !strings.Contains(run.Detail, "list the ids of sale of crm: page 2: 502") || b.Topic.Count() != 10 {
			t.Errorf("where the ids end with an error: %+v, events %q", run, b.tail(10))
		}
		s.fails = nil
		lists := s.lists
		if run := b.swept(""); run.State != "ok" || b.tail(10) != "delete 03 03" || s.lists != lists+1 {
			t.Errorf("%+v after %d listings, events %q", run, s.lists-lists, b.tail(10))
		}
	})
}

// TestSweepConfirmed: a person says how many may go, for once.
func TestSweepConfirmed(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		s := &findable{}
		s.put(ten()...)
		b.start(sweeping(t, s, "5%"))
		b.swept("")
		s.drop("01", "02", "03")
		if run := b.swept(""); run.State != RunHeld || b.Topic.Count() != 10 || b.seen.Text(AlarmSweep) == "" {
			t.Fatalf("%+v", run)
		}
		if run := b.swept("30%"); run.State != RunOK || run.Count != 3 || b.tail(10) != "delete 01 01, delete 02 02, delete 03 03" || b.seen.Text(AlarmSweep) != "" {
			t.Fatalf("%+v: %s", run, b.tail(10))
		}
		// What comes back with the same state is news, once.
		s.put(rec("01", "v1", `{"k":"K1"}`))
		if run := b.swept(""); run.State != RunOK || b.tail(13) != "upsert 01" {
			t.Errorf("%+v: %s", run, b.tail(13))
		}
		if run := b.swept(""); run.State != RunOK || b.Topic.Count() != 14 {
			t.Errorf("%+v: %s", run, b.tail(14))
		}
	})
}

// TestSweepTwiceBeforeTheFlow: what a sweep has submitted and the flow has not come to yet is not submitted again, also after a crash.
func TestSweepTwiceBeforeTheFlow(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		s := &findable{}
		s.put(ten()...)
		b.start(sweeping(t, s, "5%"))
		b.swept("")
		s.drop("03")
		s.put(rec("04", "v1", `{"k":"other"}`), rec("05", "", `{"k":"bare"}`))
		sweep := func() {
			t.Helper()
			n := len(b.sweeps())
			if err := b.Store.AskSource(t.Context(), state.SourceWish{Flow: "orders", Kind: state.WishSweep}, ""); err != nil {
				t.Fatal(err)
			}
			b.Clock.Advance(time.Second)
			b.intake.Asked("orders")
			b.Turn("the sweep", func() bool { r := b.sweeps(); return len(r) > n && r[0].State == RunOK && b.Unpublished() == 0 })
		}
		sweep()
		b.crash()
		b.start(sweeping(t, s, "5%"))
		sweep()
		if got := b.tail(10); got != "upsert 05, upsert 04, delete 03 03" {
			t.Errorf("events %q", got)
		}
	})
}

// TestSweepSchedule: a sweep comes at its time, times that were missed are made up for by one, and one that a dead process left is begun again at once.
func TestSweepSchedule(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		s := &findable{}
		s.put(ten()...)
		b.Clock.Set(time.Date(2027, 3, 2, 2, 57, 0, 0, time.UTC))
		b.start(sweeping(t, s, "5%"))
		b.turnAtRest("a while", func() bool { return b.Clock.Now().After(time.Date(2027, 3, 2, 2, 59, 0, 0, time.UTC)) })
		if n := len(b.sweeps()); n != 0 {
			t.Fatalf("%d sweeps before the first time", n)
		}
		b.Turn("the sweep of its time", func() bool { r := b.sweeps(); return len(r) == 1 && r[0].State == RunOK })
		b.crash()
		id, err := b.Store.StartRun(t.Context(), state.Run{Kind: RunSweep, Name: "orders", Started: b.Clock.Now(), State: "running"})
		if err != nil {
			t.Fatal(err)
		}
		b.Clock.Set(time.Date(2027, 3, 6, 12, 0, 0, 0, time.UTC)) // four times are missed
		b.start(sweeping(t, s, "5%"))
		b.Await("the sweep that makes up for them", func() bool { r := b.sweeps(); return len(r) == 3 && r[0].State == RunOK })
		b.turnAtRest("a while", func() bool { return b.Clock.Now().After(time.Date(2027, 3, 6, 12, 10, 0, 0, time.UTC)) })
		runs := b.sweeps()
		if len(runs) != 3 || runs[1].ID != id || runs[1].State != interrupted || runs[1].Finished.IsZero() {
			t.Errorf("runs %+v", runs)
		}
	})
}

// TestSweepIsTriedAgain: after a failure it is not left until the next day.
func TestSweepIsTriedAgain(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		s := &findable{}
		s.put(ten()...)
		down := errors.New("down")
		s.listed = func(n int, all []connector.Record) ([]connector.Record, error) {
			if n < 3 {
				return nil, down
			}
			return all, nil
		}
		b.start(sweeping(t, s, "5%"))
		if err := b.Store.AskSource(t.Context(), state.SourceWish{Flow: "orders", Kind: state.WishSweep}, ""); err != nil {
			t.Fatal(err)
		}
		b.intake.Asked("orders")
		b.Turn("the third try", func() bool { r := b.sweeps(); return len(r) > 0 && r[0].State == RunOK && b.asks() == 0 })
		runs := b.sweeps()
		if len(runs) != 3 {
			t.Fatalf("runs %+v", runs)
		}
		for i, least := range []time.Duration{time.Minute, 30 * time.Second} { // half of what is waited is left to chance
			if took := runs[i].Started.Sub(runs[i+1].Finished); took < least || took > 12*time.Hour {
				t.Errorf("try %d came after %s", 3-i, took)
			}
		}
	})
}

// TestSweepOfStaleLists: what has no version is ordered by its acceptance, so it is taken as it is when it is committed, and not as a list showed it
// before.
func TestSweepOfStaleLists(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		s := &findable{}
		s.put(ten()...)
		b.start(sweeping(t, s, "5%"))
		b.swept("")
		s.put(rec("04", "", `{"k":"newest"}`))
		s.listed = func(_ int, all []connector.Record) ([]connector.Record, error) {
			all[4].Doc = []byte(`{"k":"older"}`)
			return all, nil
		}
		b.swept("")
		if docs := b.docs()[10:]; len(docs) != 1 || docs[0] != `{"k":"newest"}` {
			t.Errorf("took %v", docs)
		}
	})
}

// TestSweepPassesWhatIsNew: an object that the hub has learned of since a listing began counts neither as gone nor towards the bound.
func TestSweepPassesWhatIsNew(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		s := &stock{}
		s.put(ten()...)
		b.start(sweeping(t, s, "0"))
		b.swept("")
		n := len(b.sweeps())
		s.listed = func(_ int, all []connector.Record) ([]connector.Record, error) {
			b.Clock.Advance(time.Second)
			b.Accept(state.Inbound{ID: "10@v1#x", DeliveryID: "10@v1#x", Body: []byte(`{"k":"new"}`), Headers: map[string]string{inbox.HeaderLocal: "10"}})
			b.intake.Wake("orders")
			b.Await("the new one", func() bool { return b.Topic.Count() == 11 })
			b.digest()
			return all, nil
		}
		if err := b.Store.AskSource(t.Context(), state.SourceWish{Flow: "orders", Kind: state.WishSweep}, ""); err != nil {
			t.Fatal(err)
		}
		b.Clock.Advance(time.Second)
		b.intake.Asked("orders")
		b.Turn("the sweep", func() bool { r := b.sweeps(); return len(r) > n && r[0].State != "running" })
		if r := b.sweeps()[0]; r.State != RunOK || r.Detail != "10 listed, 0 deleted" {
			t.Errorf("%+v", r)
		}
	})
}
