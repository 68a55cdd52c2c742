package index

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

// source is a system whose objects carry a number that rises with each change.
type source struct {
	objects map[string]object
	tick    int
	page    int
	listsID bool
	finds   bool
	empty   bool
	// besides is what a question for one object finds too.
	besides []connector.Record
	// failing is asked before each call, and may fail it.
	failing func(call string) error
	calls   map[string]int
}

type object struct {
	doc   string
	stamp int
}

func newSource() *source {
	return &source{objects: map[string]object{}, page: 3, listsID: true, finds: true, calls: map[string]int{}}
}

func (s *source) put(id, doc string) {
	s.tick++
	s.objects[id] = object{doc, s.tick}
}

// slip changes an object without a trace.
func (s *source) slip(id, doc string) { s.objects[id] = object{doc, s.objects[id].stamp} }

func (s *source) call(what string) error {
	s.calls[what]++
	if s.failing != nil {
		return s.failing(what)
	}
	return nil
}

func (s *source) Probe(context.Context) error { return nil }
func (s *source) Close() error                { return nil }

func rec(id string, o object) connector.Record {
	r := connector.Record{Local: id, Version: strconv.Itoa(o.stamp), Doc: []byte(o.doc)}
	if why, bad := strings.CutPrefix(o.doc, "!"); bad {
		r.Doc, r.Err = nil, errors.New(why)
	}
	r.Local = idOf(id)
	return r
}

// idOf is the id that an object says; some have none.
func idOf(id string) string {
	if strings.HasPrefix(id, "noid") {
		return ""
	}
	return id
}

// Poll gives pages in the order of stamps; the cursor is the last stamp and what had it.
func (s *source) Poll(_ context.Context, r connector.PollRequest) (connector.Page, error) {
	if err := s.call("poll"); err != nil {
		return connector.Page{}, err
	}
	after, _ := strconv.Atoi(r.Cursor)
	ids := slices.Collect(maps.Keys(s.objects))
	slices.SortFunc(ids, func(a, b string) int { return s.objects[a].stamp - s.objects[b].stamp })
	out := connector.Page{Cursor: r.Cursor}
	if s.empty {
		out.Cursor = strconv.Itoa(s.tick + 1)
		return out, nil
	}
	for _, id := range ids {
		o := s.objects[id]
		if o.stamp <= after {
			continue
		}
		if len(out.Records) == s.page {
			out.More = true
			break
		}
		one := rec(id, o)
		one.Deleted = o.doc == "deleted"
		out.Records = append(out.Records, one)
		out.Cursor = strconv.Itoa(o.stamp)
	}
	return out, nil
}

func (s *source) ListsIDs(string) bool { return s.listsID }

func (s *source) ListIDs(ctx context.Context, _ string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := s.call("ids"); err != nil {
			yield("", err)
			return
		}
		for _, id := range slices.Sorted(maps.Keys(s.objects)) {
			if s.objects[id].doc != "deleted" && !s.empty && (!yield(idOf(id), nil) || ctx.Err() != nil) { // it is cut short without a word
				return
			}
		}
	}
}

func (s *source) Find(_ context.Context, l connector.Lookup) ([]connector.Record, error) {
	if err := s.call("find"); err != nil {
		return nil, err
	}
	if !s.finds {
		return nil, connector.ErrNoLookup
	}
	o, ok := s.objects[l.Local]
	if !ok || o.doc == "deleted" {
		return nil, nil
	}
	return append([]connector.Record{rec(l.Local, o)}, s.besides...), nil
}

// memory is a store of one side.
type memory struct {
	listing state.Listing
	rows    map[string]state.ListedObject
	failing func() error
}

func (m *memory) OpenListing(_ context.Context, _ string, until time.Time) (state.Listing, error) {
	m.listing.Until = until
	return m.listing, nil
}

func (m *memory) ListedObjects(_ context.Context, _, after string, limit int) (out []state.ListedObject, err error) {
	for _, id := range slices.Sorted(maps.Keys(m.rows)) {
		if id > after && len(out) < limit {
			out = append(out, m.rows[id])
		}
	}
	return out, nil
}

func (m *memory) ListedIDs(ctx context.Context, side, after string, limit int) (out []string, err error) {
	all, err := m.ListedObjects(ctx, side, after, limit)
	for _, o := range all {
		out = append(out, o.ID)
	}
	return out, err
}

func (m *memory) KeepListed(_ context.Context, _ string, l state.Listing, rows []state.ListedObject, gone []string) error {
	if m.failing != nil {
		if err := m.failing(); err != nil {
			return err
		}
	}
	for i, o := range rows {
		if slices.ContainsFunc(rows[:i], func(p state.ListedObject) bool { return p.ID == o.ID }) {
			return fmt.Errorf("%s is to be kept twice at once, which PostgreSQL refuses", o.ID)
		}
	}
	m.listing = l
	for _, id := range gone {
		delete(m.rows, id)
	}
	for _, o := range rows {
		m.rows[o.ID] = o
	}
	return nil
}

func (m *memory) DropListed(_ context.Context, _ string, before int64) (n int64, err error) {
	for id, o := range m.rows {
		if o.Turn < before {
			delete(m.rows, id)
			n++
		}
	}
	return n, nil
}

type bench struct {
	src   *source
	mem   *memory
	clock *lifecycle.Manual
	x     *Index
}

func newBench() *bench {
	b := &bench{src: newSource(), mem: &memory{rows: map[string]state.ListedObject{}}, clock: lifecycle.NewManual(time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC))}
	b.x = &Index{Store: b.mem, Clock: b.clock, Side: "left", System: b.src, Entity: "order", Object: "orders", About: "one", Whole: 24 * time.Hour, Keep: time.Hour}
	return b
}

// kept is what the index gives, as "id document", sorted.
func (b *bench) kept(t interface{ Fatal(...any) }) (out []string) {
	err := b.x.Each(context.Background(), func(r *connector.Record) error {
		text := r.Local + " " + string(r.Doc)
		if r.Err != nil {
			text = r.Local + " !" + r.Err.Error()
		}
		out = append(out, text)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

// held is what the system holds, in the same form.
func (b *bench) held() (out []string) {
	for id, o := range b.src.objects {
		if o.doc != "deleted" {
			out = append(out, idOf(id)+" "+o.doc)
		}
	}
	slices.Sort(out)
	return out
}

func (b *bench) update(t *testing.T, anew bool) *Found {
	t.Helper()
	found, err := b.x.Update(t.Context(), anew)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func (b *bench) same(t *testing.T) {
	t.Helper()
	if got, want := b.kept(t), b.held(); !slices.Equal(got, want) {
		t.Errorf("kept %q, the system holds %q", got, want)
	}
}

func TestUpdate(t *testing.T) {
	b := newBench()
	for i := range 8 {
		b.src.put(fmt.Sprint(i), fmt.Sprintf(`{"n":%d}`, i))
	}
	b.src.put("bad", "!no JSON")
	b.src.put("noid1", `{"n":1}`)
	b.src.put("noid2", `{"n":2}`)
	first := b.update(t, false)
	b.same(t)
	if !first.Anew || first.Changed != 11 || !first.IDs || !first.Whole.Equal(b.clock.Now()) {
		t.Errorf("the first time: %+v", first)
	}

	// A change, a new object, one with a trace of its end and one without, and one that no stamp tells of.
	b.clock.Advance(time.Hour)
	b.src.calls = map[string]int{}
	b.src.put("1", `{"n":10}`)
	b.src.put("9", `{"n":9}`)
	b.src.put("2", "deleted")
	delete(b.src.objects, "3")
	b.src.slip("new", `{"n":1}`)
	b.src.besides = []connector.Record{{Local: "stranger", Doc: []byte("{}")}, {Local: "new", Deleted: true}}
	next := b.update(t, false)
	b.same(t)
	if next.Anew || next.Changed != 3 || next.Gone != 2 || next.Missed != 1 {
		t.Errorf("what has changed: %+v", next)
	}
	if b.src.calls["poll"] != 1 || b.src.calls["ids"] != 2 || b.src.calls["find"] != 1 {
		t.Errorf("calls %v", b.src.calls)
	}

	// An edit without a trace is seen when everything is read anew, which is due after a day.
	b.src.slip("4", `{"n":44}`)
	b.update(t, false)
	if slices.Equal(b.kept(t), b.held()) {
		t.Error("what leaves no trace was seen without a whole reading")
	}
	b.clock.Advance(23*time.Hour + time.Second)
	if due := b.update(t, false); !due.Anew {
		t.Errorf("after a day: %+v", due)
	}
	b.same(t)
	b.src.slip("5", `{"n":55}`)
	if asked := b.update(t, true); !asked.Anew {
		t.Errorf("asked for: %+v", asked)
	}
	b.same(t)
}

// TestWithoutIDs: what is gone without a trace is seen by whole readings alone, and that is said.
func TestWithoutIDs(t *testing.T) {
	b := newBench()
	b.src.listsID = false
	b.src.put("1", "{}")
	b.src.put("2", "{}")
	b.update(t, false)
	delete(b.src.objects, "2")
	if found := b.update(t, false); found.IDs || found.Gone != 0 {
		t.Errorf("%+v", found)
	}
	if err := b.x.Forget(t.Context(), []string{"2"}); err != nil {
		t.Fatal(err)
	}
	b.same(t)
	b.src.put("3", "{}")
	b.update(t, false)
	delete(b.src.objects, "1")
	b.update(t, true)
	b.same(t)
}

// TestUnknownIDs: what cannot be asked for one by one is read with everything.
func TestUnknownIDs(t *testing.T) {
	for name, set := range map[string]func(*source){"it cannot be asked": func(s *source) { s.finds = false }, "too many": func(s *source) {
		for i := range mostFinds {
			s.slip(fmt.Sprint("more", i), "{}")
		}
	}} {
		t.Run(name, func(t *testing.T) {
			b := newBench()
			b.src.page = 5000
			b.src.put("1", "{}")
			b.update(t, false)
			b.src.slip("2", "{}")
			set(b.src)
			for id, o := range b.src.objects { // a whole reading gives them
				if id != "1" {
					b.src.objects[id] = object{o.doc, 1}
				}
			}
			if found := b.update(t, false); !found.Anew || found.Unread > 0 {
				t.Errorf("%+v", found)
			}
			b.same(t)
		})
	}
}

// TestIDsThatNothingGives: ids of objects that reading everything does not give are told.
func TestIDsThatNothingGives(t *testing.T) {
	b := newBench()
	b.src.finds = false
	b.src.put("1", "{}")
	b.src.slip("2", "{}") // no poll gives a stamp of 0
	if found := b.update(t, false); !found.Anew || found.Unread != 1 {
		t.Errorf("%+v", found)
	}
}

// TestEmpty: an empty answer takes nothing away, and the next whole reading that gives something is believed.
func TestEmpty(t *testing.T) {
	for _, anew := range []bool{true, false} {
		t.Run(fmt.Sprint(anew), func(t *testing.T) {
			b := newBench()
			b.src.put("1", "{}")
			b.src.put("2", "{}")
			b.update(t, false)
			b.src.empty = true
			for range 2 {
				if _, err := b.x.Update(t.Context(), anew); !errors.Is(err, ErrEmpty) {
					t.Errorf("an empty answer: %v", err)
				}
			}
			if got := b.kept(t); len(got) != 2 {
				t.Errorf("kept %q", got)
			}
			b.src.empty = false
			b.src.put("3", "{}")
			b.update(t, false)
			b.same(t)
		})
	}
}

// TestAnotherSystem: what was kept of another system, or under other settings, is worth nothing.
func TestAnotherSystem(t *testing.T) {
	b := newBench()
	b.src.put("1", "{}")
	b.update(t, false)
	b.src.objects = map[string]object{}
	b.x.About = "another"
	if found := b.update(t, false); !found.Anew {
		t.Errorf("%+v", found)
	}
	b.same(t)
}

// TestMoving: a list that never stands still is no list.
func TestMoving(t *testing.T) {
	b := newBench()
	b.src.put("1", "{}")
	b.x.System = moving{b.src}
	if _, err := b.x.Update(t.Context(), false); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("%v", err)
	}
	if !b.mem.listing.Whole.IsZero() {
		t.Error("it counts as a whole reading")
	}
}

type moving struct{ *source }

func (m moving) Poll(ctx context.Context, r connector.PollRequest) (connector.Page, error) {
	p, err := m.source.Poll(ctx, r)
	p.Remarks = append(p.Remarks, connector.Remark{Kind: connector.Moving, Count: 1})
	return p, err
}

// TestBrokenOff: whatever fails wherever, an update that comes to its end keeps what the system holds, but for what left no trace since the last whole reading.
func TestBrokenOff(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBench()
		b.src.page = rapid.IntRange(1, 4).Draw(t, "page")
		b.src.listsID = rapid.Bool().Draw(t, "lists ids")
		b.src.finds = rapid.Bool().Draw(t, "finds")
		broken := errors.New("broken")
		for range rapid.IntRange(1, 12).Draw(t, "rounds") {
			for range rapid.IntRange(0, 6).Draw(t, "changes") {
				id := fmt.Sprint(rapid.IntRange(0, 9).Draw(t, "id"))
				switch rapid.IntRange(0, 3).Draw(t, "change") {
				case 0, 1:
					b.src.put(id, fmt.Sprintf(`{"n":%d}`, b.src.tick))
				case 2:
					b.src.put(id, "deleted")
				case 3:
					if b.src.listsID {
						delete(b.src.objects, id)
					}
				}
			}
			left := rapid.IntRange(0, 12).Draw(t, "calls before it breaks")
			fails := func() error {
				if left--; left < 0 {
					return broken
				}
				return nil
			}
			b.src.failing = func(string) error { return fails() }
			b.mem.failing = fails
			_, err := b.x.Update(context.Background(), rapid.Bool().Draw(t, "anew"))
			b.src.failing, b.mem.failing = nil, nil
			switch {
			case err != nil && !errors.Is(err, broken) && !errors.Is(err, ErrEmpty):
				t.Fatal(err)
			case err != nil:
				continue
			}
			if got, want := b.kept(t), b.held(); !slices.Equal(got, want) {
				t.Fatalf("kept %q, the system holds %q", got, want)
			}
		}
	})
}

// script is a system that answers polls one after the other.
type script struct{ pages []connector.Page }

func (*script) Probe(context.Context) error { return nil }
func (*script) Close() error                { return nil }

func (s *script) Poll(_ context.Context, r connector.PollRequest) (connector.Page, error) {
	if len(s.pages) == 0 {
		return connector.Page{Cursor: r.Cursor}, nil
	}
	p := s.pages[0]
	s.pages = s.pages[1:]
	return p, nil
}

// TestTwiceOnAPage: of an object that a page holds twice the later word counts.
func TestTwiceOnAPage(t *testing.T) {
	b := newBench()
	is := func(id, doc string) connector.Record {
		return connector.Record{Local: id, Doc: []byte(doc), Deleted: doc == ""}
	}
	b.x.System = &script{[]connector.Page{{Cursor: "1", Records: []connector.Record{
		is("a", "1"), is("a", "2"), is("b", "1"), is("b", ""), is("c", ""), is("c", "1"), is("d", "1"), is("d", ""), is("d", "2"), is("e", "1")}}}}
	b.update(t, false)
	if got, want := strings.Join(b.kept(t), ","), "a 2,c 1,d 2,e 1"; got != want {
		t.Errorf("kept %s, want %s", got, want)
	}
}

// TestCursorThatStandsStill: a system that says there is more, for ever, is a failure.
func TestCursorThatStandsStill(t *testing.T) {
	b := newBench()
	b.x.System = &script{[]connector.Page{{Cursor: "1", More: true}, {Cursor: "1", More: true}}}
	if _, err := b.x.Update(t.Context(), false); err == nil || !strings.Contains(err.Error(), "does not move its cursor") {
		t.Errorf("%v", err)
	}
}

// TestLongPage: a page that is stored in parts moves the cursor with the last of them.
func TestLongPage(t *testing.T) {
	b := newBench()
	b.src.listsID, b.src.page = false, 5000
	for i := range 3*keepAtOnce + 1 {
		b.src.put(fmt.Sprint(i), "{}")
	}
	kept, broken := 0, errors.New("broken")
	b.mem.failing = func() error {
		if kept++; kept == 3 {
			return broken
		}
		return nil
	}
	if _, err := b.x.Update(t.Context(), false); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	b.update(t, false)
	b.same(t)
}

// TestCutShort: a list of ids that ends because the run does takes nothing away.
func TestCutShort(t *testing.T) {
	b := newBench()
	b.src.put("1", "{}")
	b.src.put("2", "{}")
	b.update(t, false)
	ctx, cancel := context.WithCancelCause(t.Context())
	b.src.failing = func(call string) error {
		if call == "ids" {
			cancel(errors.New("the hub stops"))
		}
		return nil
	}
	if _, err := b.x.Update(ctx, false); err == nil || err.Error() != "the hub stops" {
		t.Errorf("%v", err)
	}
	b.same(t)
}

// TestAnewAfterBreakingOff: who asks for everything anew gets it, whatever was under way.
func TestAnewAfterBreakingOff(t *testing.T) {
	b := newBench()
	for i := range 7 {
		b.src.put(fmt.Sprint(i), "{}")
	}
	broken := errors.New("broken")
	b.src.failing = func(call string) error {
		if call == "poll" && b.src.calls["poll"] == 2 {
			return broken
		}
		return nil
	}
	if _, err := b.x.Update(t.Context(), false); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	b.src.slip("0", `{"n":1}`)
	b.update(t, true)
	b.same(t)
}
