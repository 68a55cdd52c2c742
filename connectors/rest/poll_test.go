package rest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func open(t *testing.T, s *shop, object string) *system {
	t.Helper()
	sys, err := Kind{}.Open(t.Context(), settingsOf(t, config(s.url, object)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sys.Close() })
	return sys.(*system)
}

// pollAll polls until nothing more is said to come, and gives the ids in order.
func pollAll(t *testing.T, sys *system, cursor string) (ids []string, after string) {
	t.Helper()
	for n := 0; ; n++ {
		p, err := sys.Poll(t.Context(), connector.PollRequest{Object: "item", Cursor: cursor})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range p.Records {
			ids = append(ids, r.Local)
		}
		if cursor = p.Cursor; !p.More {
			return ids, cursor
		}
		if n > 100 {
			t.Fatal("no end")
		}
	}
}

// An object that goes away from an early page moves another one over the border: without a look at the border, the poll
// would never see it.
func TestShiftedPages(t *testing.T) {
	for _, paging := range []string{"page", "offset"} {
		for _, times := range []int{1, 2, 50} {
			t.Run(paging+" "+strconv.Itoa(times), func(t *testing.T) {
				s := newShop(t, paging)
				for n := range 12 {
					s.outside(n, 1, noon.Add(time.Duration(n)*time.Second))
				}
				sys := open(t, s, list(paging, ""))
				gone := 0
				s.shift = func(page int) {
					if page == 1 && gone < times {
						s.mu.Lock()
						delete(s.items, strconv.Itoa(1000+gone))
						s.mu.Unlock()
						gone++
					}
				}
				ids, cursor := pollAll(t, sys, "")
				if times == 50 {
					// The list never stood still: the round decided nothing, and the next one reads it all again.
					s.shift = nil
					gone = 12
					more, _ := pollAll(t, sys, cursor)
					ids = append(ids, more...)
				}
				for n := gone; n < 12; n++ {
					if !slices.Contains(ids, strconv.Itoa(1000+n)) {
						t.Errorf("object %d slipped through: %v", 1000+n, ids)
					}
				}
			})
		}
	}
}

// A cursor that the service no longer knows, after a long stop, costs a walk from the beginning, not the poll.
func TestRefusedToken(t *testing.T) {
	s := newShop(t, "cursor")
	for n := range 8 {
		s.outside(n, 1, noon)
	}
	sys := open(t, s, list("cursor", ""))
	first, err := sys.Poll(t.Context(), connector.PollRequest{Object: "item"})
	if err != nil || !first.More {
		t.Fatal(err)
	}
	refusals := 1
	s.refuse = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Get("cursor") == "" || refusals == 0 {
			return false
		}
		refusals--
		fail(w, 400, "EXPIRED", "the cursor has expired")
		return true
	}
	rest, _ := pollAll(t, sys, first.Cursor)
	if len(first.Records)+len(rest) != 8 {
		t.Errorf("%d and %d records, want 8 together", len(first.Records), len(rest))
	}
	refusals = 1000
	for range 10 {
		p, err := sys.Poll(t.Context(), connector.PollRequest{Object: "item", Cursor: first.Cursor})
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Errorf("%v", err)
			}
			return
		}
		first = p
	}
	t.Error("a service that refuses every cursor is asked for ever")
}

func TestQuietPollsAskConditionally(t *testing.T) {
	s := newShop(t, "none")
	s.outside(1, 1, noon)
	sys := open(t, s, list("none", ", conditional: true"))
	now := noon
	sys.clock = testClock{sys.clock, func() time.Time { return now }}
	_, cursor := pollAll(t, sys, "")
	for range 3 {
		now = now.Add(time.Minute)
		var ids []string
		ids, cursor = pollAll(t, sys, cursor)
		if len(ids) != 0 {
			t.Errorf("again: %v", ids)
		}
	}
	s.mu.Lock()
	last := s.headers[len(s.headers)-1]
	s.mu.Unlock()
	if last.Get("If-None-Match") == "" {
		t.Error("nothing was asked conditionally")
	}
	s.outside(2, 1, now)
	if ids, _ := pollAll(t, sys, cursor); len(ids) != 1 {
		t.Errorf("after the quiet: %v", ids)
	}
}

// Without a version in the objects, the service's clock is what polls go by.
func TestPollByTheServicesClock(t *testing.T) {
	s := newShop(t, "none")
	s.outside(1, 1, time.Now())
	y := strings.Replace(config(s.url, list("none", "")), "    version: updatedAt\n", "", 1)
	opened, err := Kind{}.Open(t.Context(), settingsOf(t, y))
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	sys := opened.(*system)
	ids, cursor := pollAll(t, sys, "")
	if len(ids) != 1 {
		t.Fatalf("%v", ids)
	}
	s.asked()
	s.outside(2, 1, time.Now())
	if ids, _ = pollAll(t, sys, cursor); !slices.Equal(ids, []string{"1002"}) {
		t.Errorf("%v", ids)
	}
	if asked := s.asked(); !strings.Contains(asked[0], "since=20") {
		t.Errorf("everything was asked for: %v", asked)
	}
}

func TestBadCursor(t *testing.T) {
	sys := open(t, newShop(t, "none"), list("none", ""))
	for _, cursor := range []string{"junk", `{"v":7}`, `[]`} {
		if _, err := sys.Poll(t.Context(), connector.PollRequest{Object: "item", Cursor: cursor}); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", cursor, err)
		}
	}
}

func TestLinkNext(t *testing.T) {
	for header, want := range map[string]string{
		``: "",
		`<https://a.example/x?page=2>; rel="next"`:                           "https://a.example/x?page=2",
		`<https://a.example/x?page=2>; rel=next, <https://a/x>; rel="first"`: "https://a.example/x?page=2",
		`<?p=1>; rel="prev", <?p=3>; title="a, b; c"; rel="last NEXT"`:       "?p=3",
		`<?p=1>; rel="nextish"`:                                              "",
		`junk`:                                                               "",
	} {
		if got := linkNext(http.Header{"Link": {header}}); got != want {
			t.Errorf("%s: %q, want %q", header, got, want)
		}
	}
}

func TestPagesOfAnotherServerAreNotFollowed(t *testing.T) {
	s := newShop(t, "none")
	s.refuse = func(w http.ResponseWriter, r *http.Request) bool {
		w.Write([]byte(`{"items":[],"next":"http://169.254.169.254/latest?token=` + r.Header.Get("X-Key") + `"}`))
		return true
	}
	sys := open(t, s, list("next-url", ""))
	_, err := sys.Poll(t.Context(), connector.PollRequest{Object: "item"})
	if fault.KindOf(err) != fault.Invalid || strings.Contains(err.Error(), key) {
		t.Errorf("%v", err)
	}
}

// Revisions that are in no order tell that something changed, and nothing about what is newer.
func TestRevisionsWithoutOrder(t *testing.T) {
	s := newShop(t, "page")
	y := strings.Replace(config(s.url, common+"list: {items: items, paging: {style: page}}"), "version: updatedAt", "version: hash", 1)
	opened, err := Kind{}.Open(t.Context(), settingsOf(t, y))
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	sys := opened.(*system)
	now := noon
	sys.clock = testClock{sys.clock, func() time.Time { return now }}
	set := func(n int, hash string) {
		id := s.outside(n, 1, noon)
		s.mu.Lock()
		s.items[id]["hash"] = hash
		s.mu.Unlock()
	}
	set(1, "f00d")
	set(2, "beef")
	_, cursor := pollAll(t, sys, "")
	now = now.Add(time.Hour)
	_, cursor = pollAll(t, sys, cursor)
	set(1, "0abc")
	if ids, _ := pollAll(t, sys, cursor); !slices.Equal(ids, []string{"1001"}) {
		t.Errorf("%v", ids)
	}
}

// A list that is said to be in the order of change, and is not, loses nothing.
func TestOrderThatIsNone(t *testing.T) {
	s := newShop(t, "page")
	for n := range 12 {
		s.outside(n, 1, noon.Add(-time.Duration(n)*time.Minute))
	}
	sys := open(t, s, list("page", ", order: changed"))
	if ids, _ := pollAll(t, sys, ""); len(ids) != 12 {
		t.Errorf("%d of 12: %v", len(ids), ids)
	}
}
