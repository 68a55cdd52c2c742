package backfill

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/intake"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/submit"
)

// script is a source and a hub that do what a test says.
type script struct {
	clock   *hurried
	pages   map[string]*intake.ListPage // by cursor
	read    []string                    // cursors
	fails   map[string][]error          // of a call, by its name, the first ones
	takes   func(n int) time.Duration   // how long so many objects take to come through
	others  int64                       // what others have accepted a second
	quiet   time.Duration               // nobody else comes before that
	looks   bool                        // what has come through is seen when somebody looks, and not before
	numbers int64                       // of the inbox
	clear   []string                    // what is in the way, one answer after the other
	total   int64

	sizes []int
	at    []time.Duration // when each was submitted
	ids   []string
	told  []state.BackfillProgress
	saved []state.BackfillPlace
	busy  time.Duration
	bad   string // an object that the door refuses

	listed  bool                             // there are no pages
	asOf    []int64                          // of pages
	again   func() ([]intake.Listed, error)  // what Again gives
	touched func(asOf int64) *intake.Touched // what Touched gives
}

func (s *script) fail(call string) error {
	if left := s.fails[call]; len(left) > 0 {
		s.fails[call] = left[1:]
		return left[0]
	}
	return nil
}

func (s *script) Count(ctx context.Context) (int64, error) { return s.total, s.fail("count") }
func (s *script) Resumes() bool                            { return !s.listed }
func (s *script) Page(_ context.Context, cursor string, asOf int64) (*intake.ListPage, error) {
	if err := s.fail("page"); err != nil {
		return nil, err
	}
	s.read, s.asOf = append(s.read, cursor), append(s.asOf, asOf)
	return s.pages[cursor], nil
}
func (s *script) Again(context.Context, string, []string, int64) ([]intake.Listed, error) {
	if s.again != nil {
		return s.again()
	}
	return nil, nil
}
func (s *script) Touched(_ context.Context, asOf int64, _ string) (*intake.Touched, error) {
	if s.touched != nil {
		return s.touched(asOf), nil
	}
	return &intake.Touched{}, nil
}
func (s *script) Now(context.Context) (int64, error) {
	s.numbers++
	return s.numbers + s.others*int64(max(0, s.clock.at-s.quiet)/time.Millisecond)/1000, s.fail("now")
}
func (s *script) Submit(_ context.Context, events []event.Event, by event.Submission) (submit.Receipt, error) {
	if err := s.fail("submit"); err != nil {
		return submit.Receipt{}, err
	}
	var r submit.Receipt
	for i := range events {
		if events[i].Local == s.bad {
			return r, &submit.Refused{Index: i, ID: events[i].ID, Why: "it is too large"}
		}
		r.Events = append(r.Events, submit.Accepted{ID: events[i].ID, Status: state.AcceptedNew, Inbox: int64(len(s.ids) + i + 1)})
	}
	for i := range events {
		s.ids = append(s.ids, events[i].ID)
	}
	s.numbers += int64(len(events))
	s.sizes, s.at = append(s.sizes, len(events)), append(s.at, s.clock.at)
	if s.takes != nil {
		s.busy = s.takes(len(events))
	}
	return r, nil
}
func (s *script) Clear(context.Context) (string, error) {
	if len(s.clear) > 0 {
		text := s.clear[0]
		s.clear = s.clear[1:]
		return text, nil
	}
	return "", nil
}
func (s *script) Through(context.Context, *Mark) (bool, string, error) {
	if s.looks {
		return s.clock.at >= s.at[len(s.at)-1]+s.busy, "", nil
	}
	s.clock.at += s.busy // all of it
	s.busy = 0
	return true, "", s.fail("through")
}
func (s *script) Save(_ context.Context, place state.BackfillPlace, p state.BackfillProgress) error {
	s.saved = append(s.saved, place)
	return s.fail("save")
}
func (s *script) Told(p state.BackfillProgress) { s.told = append(s.told, p) }

func (s *script) do(b state.Backfill) (*Run, error) {
	r := New(Config{Source: s, Hub: s, Keeper: s, Clock: s.clock, About: "crm/thing"}, b)
	return r, r.Do(context.Background())
}

func pageOf(from, n int, next string) *intake.ListPage {
	p := &intake.ListPage{Cursor: next, More: next != ""}
	for i := range n {
		p.Objects = append(p.Objects, intake.Listed{Event: event.Event{Local: strconv.Itoa(from + i), Version: "1"}, Content: "c"})
	}
	return p
}

func newScript(pages map[string]*intake.ListPage) *script {
	return &script{clock: &hurried{}, pages: pages, fails: map[string][]error{}}
}

// TestPace: a target that takes its calls side by side gets many, one that takes one at a time gets few, and beside live traffic it rests.
func TestPace(t *testing.T) {
	for _, c := range []struct {
		name      string
		takes     func(n int) time.Duration
		others    int64
		most      int // at once, in the end
		least     int
		atLeast   time.Duration // all of it
		notLonger time.Duration
	}{
		{"side by side", func(int) time.Duration { return 40 * time.Millisecond }, 0, mostAtOnce, mostAtOnce, 0, 10 * time.Second},
		{"16 at a time", func(n int) time.Duration { return time.Duration((n+15)/16) * 100 * time.Millisecond }, 0, 48, 12, 0, time.Minute},
		{"one at a time", func(n int) time.Duration { return time.Duration(n) * 100 * time.Millisecond }, 0, 4, 1, 0, 11 * time.Minute},
		{"slow, beside live traffic", func(n int) time.Duration { return time.Duration(n) * time.Second }, 1, 4, 1, 5000 * 3 / 2 * time.Second, 5000 * 3 * time.Second},
		{"beside what comes seldom", func(n int) time.Duration { return time.Duration(n) * 20 * time.Millisecond }, 3, 4, 1, 0, 5 * time.Minute},
		{"beside live traffic", func(n int) time.Duration { return time.Duration((n+15)/16) * 100 * time.Millisecond }, 1000, 48, 12, 3 * time.Minute, 10 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScript(map[string]*intake.ListPage{"": pageOf(0, 5000, "")})
			s.takes, s.others = c.takes, c.others
			if _, err := s.do(state.Backfill{ID: 1}); err != nil {
				t.Fatal(err)
			}
			last := s.sizes[len(s.sizes)-20 : len(s.sizes)-1]
			if most := slices.Max(last); most > c.most || most < c.least {
				t.Errorf("%v at once in the end, want %d to %d", last, c.least, c.most)
			}
			if s.clock.at < c.atLeast || s.clock.at > c.notLonger {
				t.Errorf("it took %s, want %s to %s", s.clock.at, c.atLeast, c.notLonger)
			}
			alone := 0
			for _, n := range s.sizes {
				if n == 1 {
					alone++
				}
			}
			if alone < len(s.sizes)/probeEvery {
				t.Errorf("%d of %d pieces were one object", alone, len(s.sizes))
			}
		})
	}
}

// TestFirstProbe: that the first object waited long, for connections that are opened or a cache that is cold, does not say that many may wait as long.
func TestFirstProbe(t *testing.T) {
	s := newScript(map[string]*intake.ListPage{"": pageOf(0, 2000, "")})
	s.others = 25
	s.takes = func(n int) time.Duration {
		if len(s.sizes) == 1 {
			return 5 * time.Second
		}
		return time.Duration(n) * 10 * time.Millisecond
	}
	if _, err := s.do(state.Backfill{ID: 1}); err != nil || slices.Max(s.sizes) > 6 {
		t.Errorf("%d at once: %v", slices.Max(s.sizes), err)
	}
}

// TestGivesWay: when live traffic begins beside pieces that were as large as they may be where nothing else comes, the third is small.
func TestGivesWay(t *testing.T) {
	const quiet = 2 * time.Minute
	s := newScript(map[string]*intake.ListPage{"": pageOf(0, 50_000, "")})
	s.others, s.quiet = 25, quiet
	s.takes = func(n int) time.Duration { return time.Duration(n) * 5 * time.Millisecond }
	if _, err := s.do(state.Backfill{ID: 1}); err != nil {
		t.Fatal(err)
	}
	before, after := 0, 0
	for i, at := range s.at {
		switch {
		case at < quiet:
			before = max(before, s.sizes[i])
		case s.sizes[i] > 8: // one that is tried after 4, which take twice as long as one and 10 ms, has up to 7
			after++
		}
	}
	if before < 40 || after > 2 {
		t.Errorf("%d at once before it, and %d pieces of more than 8 behind", before, after)
	}
}

// TestLooks: how long one object takes is measured to a quarter, whatever that is: the size of all pieces is made of it.
func TestLooks(t *testing.T) {
	for _, takes := range []time.Duration{3, 10, 35, 70, 130, 260, 700} {
		takes *= time.Millisecond
		s := newScript(map[string]*intake.ListPage{"": pageOf(0, 3, "")})
		s.looks, s.takes = true, func(int) time.Duration { return takes }
		r, err := s.do(state.Backfill{ID: 1})
		if got := r.pace.lone(); err != nil || got < takes || got > takes*5/4+firstLook {
			t.Errorf("%s was measured as %s: %v", takes, got, err)
		}
	}
}

// TestOwnOnly: what this run had accepted is not live traffic, and what others had is.
func TestOwnOnly(t *testing.T) {
	for others, want := range map[int64]float64{0: 0, 20: 20} {
		s := newScript(map[string]*intake.ListPage{"": pageOf(0, 1000, "")})
		s.others, s.takes = others, func(int) time.Duration { return 100 * time.Millisecond }
		r, err := s.do(state.Backfill{ID: 1})
		if err != nil || r.kept < want*0.8 || r.kept > want*1.2 {
			t.Errorf("%d a second were taken for %.1f: %v", others, r.kept, err)
		}
	}
}

// TestProbeLeftOut: an object that was not taken is no measure of how long one takes.
func TestProbeLeftOut(t *testing.T) {
	s := newScript(map[string]*intake.ListPage{"": pageOf(0, 3, "")})
	s.takes, s.bad = func(int) time.Duration { return 40 * time.Millisecond }, "0"
	r, err := s.do(state.Backfill{ID: 1})
	if err != nil || len(r.pace.alone) != 2 || r.pace.lone() != 40*time.Millisecond {
		t.Errorf("%v: %v", r.pace.alone, err)
	}
}

// TestMoving: a list that moved while it was read is read once more, and one that always does ends with the reason.
func TestMoving(t *testing.T) {
	moved := pageOf(0, 3, "")
	moved.Moved, moved.Cursor = true, "again"
	s := newScript(map[string]*intake.ListPage{"": moved, "again": pageOf(0, 4, "")})
	if r, err := s.do(state.Backfill{ID: 1}); err != nil || !slices.Equal(s.read, []string{"", "again"}) || r.Progress().Submitted != 7 {
		t.Errorf("read %v: %v", s.read, err)
	}
	always := pageOf(0, 1, "")
	always.Moved = true
	s = newScript(map[string]*intake.ListPage{"": always})
	if _, err := s.do(state.Backfill{ID: 1}); err == nil || !strings.Contains(err.Error(), "the list was read 5 times, and has moved all the time") || len(s.read) != mostRounds {
		t.Errorf("read %d times: %v", len(s.read), err)
	}
}

// TestPatience: what may come back is waited for and told, what will not ends the run, and what is in the way is waited out.
func TestPatience(t *testing.T) {
	down := fault.New(fault.Unavailable, "no route to host")
	s := newScript(map[string]*intake.ListPage{"": pageOf(0, 2, "b"), "b": pageOf(2, 1, "")})
	s.total = 3
	for _, call := range []string{"count", "now", "page", "submit", "through"} {
		s.fails[call] = []error{down, fault.New(fault.RateLimited, "slow down")}
	}
	s.clear = []string{"erp is down", "erp is down"}
	r, err := s.do(state.Backfill{ID: 7})
	if err != nil || !slices.Equal(s.ids, []string{"backfill-7/0#c", "backfill-7/1#c", "backfill-7/2#c"}) {
		t.Errorf("submitted %v: %v", s.ids, err)
	}
	if p := r.Progress(); p.Submitted != 3 || p.Expect != 3 || p.Text != "" {
		t.Errorf("%+v", p)
	}
	for _, want := range []string{"waits, and tries again: no route to host", "waits: erp is down"} {
		if !slices.ContainsFunc(s.told, func(p state.BackfillProgress) bool { return strings.Contains(p.Text, want) }) {
			t.Errorf("nobody was told %q", want)
		}
	}
	for call, err := range map[string]error{"count": fault.New(fault.Invalid, "no"), "page": fault.New(fault.Auth, "no"), "submit": errors.New("no"), "save": errors.New("no")} {
		s := newScript(map[string]*intake.ListPage{"": pageOf(0, 2, "")})
		s.fails[call] = []error{err}
		if _, got := s.do(state.Backfill{ID: 1}); !errors.Is(got, err) {
			t.Errorf("%s: %v", call, got)
		}
	}
}

// TestPlaces: it goes on at the page that it was at and counts from there; under other settings, and where nothing was begun, at the beginning. What
// cannot be read or submitted is left out and counted once.
func TestPlaces(t *testing.T) {
	pages := map[string]*intake.ListPage{"": pageOf(0, 4, "b"), "b": pageOf(4, 4, "")}
	pages["b"].Objects[1].Err = errors.New("it has no name")
	s := newScript(pages)
	s.bad = "6"
	b := state.Backfill{ID: 1, Place: state.BackfillPlace{About: "crm/thing", Cursor: "b", Rounds: 1, AsOf: 9}, Progress: state.BackfillProgress{Submitted: 6, Before: [2]int64{4, 0}, Expect: 8}}
	r, err := s.do(b)
	if p := r.Progress(); err != nil || !slices.Equal(s.read, []string{"b"}) || p.Submitted != 6 || p.Unread != 2 || p.FirstUnread != "5" || p.Expect != 8 {
		t.Errorf("read %v, %+v: %v", s.read, p, err)
	}
	if last := s.saved[len(s.saved)-1]; last.Cursor != "" {
		t.Errorf("its place in the end is %+v", last)
	}
	b.Place.About = "crm/thing/of old"
	s = newScript(pages)
	if r, err = s.do(b); err != nil || !slices.Equal(s.read, []string{"", "b"}) || r.Progress().Submitted != 7 {
		t.Errorf("under other settings: read %v, %+v: %v", s.read, r.Progress(), err)
	}
	// The place is kept before the page is read, and the next one when all of it has come through.
	var said []string
	for _, p := range s.saved {
		asOf := "0"
		if p.AsOf > 0 {
			asOf = " "
		}
		said = append(said, p.Cursor+"@"+asOf)
	}
	if want := []string{"@0", "@ ", "b@ ", "b@ ", "@ "}; !slices.Equal(said, want) {
		t.Errorf("places %v, want %v", said, want)
	}
}

// TestTie: an object changes between the look before it is submitted and its submission, and its live change, of the same version, is accepted first: the
// present state is sent behind.
func TestTie(t *testing.T) {
	for _, how := range []string{byStamps, byDocument} {
		t.Run(how, func(t *testing.T) {
			w := newWorld(t, 2, how)
			w.quiet, w.coarse = true, 1000
			w.hooks, w.src.Finder = nil, &intake.Finder{System: w, Object: "thing"}
			for id := range w.there {
				w.change(id) // all of one stamp
			}
			w.hooks = nil
			w.seen = nil
			for _, s := range w.there {
				w.taken[s.ID] = s
			}
			w.before = func() {
				w.before = nil
				w.change("100")
				for range 2 {
					w.live()
				}
				for len(w.hooks) > 0 {
					w.live()
				}
			}
			w.backfill(1, 0)
			for w.engine(1000) > 0 {
			}
			if w.target["100"] != w.there["100"] || w.back != 1 {
				t.Errorf("the target holds %+v, and the system %+v; %d times an older state was applied", w.target["100"], w.there["100"], w.back)
			}
		})
	}
}

// tied is a page of one object with the version that others of its states have too.
func tied(content string) *intake.ListPage {
	p := pageOf(0, 1, "")
	p.Objects[0].Tied, p.Objects[0].Content = true, content
	return p
}

// TestBehind: what is sent behind another state is another event, also where it says what was said before: an object that changed to and fro within one version
// is known by the first of its states otherwise.
func TestBehind(t *testing.T) {
	s := newScript(map[string]*intake.ListPage{"": tied("a")})
	looks, states := 0, []string{"b", "a"}
	s.touched = func(int64) *intake.Touched {
		looks++
		return &intake.Touched{All: len(s.ids) > 0 && len(states) > 0}
	}
	s.again = func() ([]intake.Listed, error) {
		now := tied(states[0]).Objects
		states = states[1:]
		return now, nil
	}
	if _, err := s.do(state.Backfill{ID: 1}); err != nil || len(s.ids) != 3 || looks != 4 {
		t.Fatalf("submitted %v after %d looks: %v", s.ids, looks, err)
	}
	if slices.Sort(s.ids); len(slices.Compact(s.ids)) != 3 {
		t.Errorf("submitted %v", s.ids)
	}
}

// TestLateRow: another hub may store a row of the inbox under a number from before the look when the look is over. The next look finds it.
func TestLateRow(t *testing.T) {
	s := newScript(map[string]*intake.ListPage{"": tied("a")})
	row, looks := int64(0), 0
	s.touched = func(asOf int64) *intake.Touched {
		if looks++; looks == 1 {
			row = s.numbers // this look's own: what is stored under it comes too late for it
		}
		return &intake.Touched{All: looks == 2 && asOf < row}
	}
	s.again = func() ([]intake.Listed, error) { return tied("b").Objects, nil }
	if _, err := s.do(state.Backfill{ID: 1}); err != nil || len(s.ids) != 2 || !strings.Contains(s.ids[1], "#b") {
		t.Errorf("submitted %v after %d looks: %v", s.ids, looks, err)
	}
}

// TestNoSecondLook: an object of which nobody knows whether it has changed since it was listed, and that cannot be read once more, is neither left out nor taken as it
// was: the list is read once more. The new list is as old as its own beginning.
func TestNoSecondLook(t *testing.T) {
	for name, before := range map[string]bool{"before it is sent": true, "when it was sent": false} {
		s := newScript(map[string]*intake.ListPage{"": tied("a")})
		s.listed = true
		once := true
		s.touched = func(int64) *intake.Touched {
			all := once && before == (len(s.ids) == 0)
			once = once && !all
			return &intake.Touched{All: all}
		}
		s.again = func() ([]intake.Listed, error) { return nil, connector.ErrNoLookup }
		r, err := s.do(state.Backfill{ID: 1})
		if err != nil || len(s.read) != 2 || len(s.ids) == 0 || s.asOf[1] <= s.asOf[0] {
			t.Errorf("%s: read %v as of %v, submitted %v: %v", name, s.read, s.asOf, s.ids, err)
		}
		if left := r.Progress().Unread; left != 0 {
			t.Errorf("%s: %d objects are left out", name, left)
		}
	}
}
