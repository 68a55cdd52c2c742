package rest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/waybill-hub/waybill/internal/connector"
)

// A list of which an object changes at every second page, for as long as it is read: polls come to its end, and have read what was there all the
// time. They do not begin again and again.
func TestListThatMovesOnAndOn(t *testing.T) {
	for _, style := range []string{"page", "offset", "next-url", "cursor"} {
		t.Run(style, func(t *testing.T) {
			s := newTide(t, style, 60)
			r := &reading{sys: s.open(""), seen: map[string]bool{}}
			s.turn = func() {
				s.now = s.now.Add(time.Second)
				if id := s.asked / 4; s.asked%4 == 0 && id < 30 {
					s.set(id, 2, s.now, 0)
				}
			}
			r.round(t)
			if len(r.remarks) != 0 || !strings.Contains(r.cursor, `"since":"2026-03-01`) {
				t.Errorf("the round decided nothing: %+v, %s", r.remarks, r.cursor)
			}
			for id := 30; id < 60; id++ {
				if !r.seen[fmt.Sprint(id, " 1")] {
					t.Errorf("object %d slipped through", id)
				}
			}
			if s.asked > 200 {
				t.Errorf("%d requests for 20 pages", s.asked)
			}
		})
	}
}

// A list that moves by more than a page between any two requests cannot be read: that is said, and the next round begins where this one did.
func TestListThatRuns(t *testing.T) {
	s := newTide(t, "next-url", 40)
	r := &reading{sys: s.open(""), seen: map[string]bool{}}
	first := 0
	s.turn = func() {
		s.now = s.now.Add(time.Second)
		for range 7 {
			s.set(first%40, 2, s.now, 0)
			first++
		}
	}
	r.round(t)
	if len(r.remarks) != 1 || r.remarks[0].Kind != connector.Moving {
		t.Errorf("nothing is said of it: %+v", r.remarks)
	}
	s.turn = nil
	s.now = s.now.Add(time.Minute)
	r.round(t)
	for id := range 40 {
		if !r.seen[fmt.Sprint(id, " 1")] && !r.seen[fmt.Sprint(id, " 2")] {
			t.Errorf("object %d was not read", id)
		}
	}
	if len(r.remarks) != 0 {
		t.Errorf("it stands still: %+v", r.remarks)
	}
}

// New objects before the place move the list by a whole page: the same page comes again, and it is not the last one.
func TestListThatMovesBack(t *testing.T) {
	for _, style := range []string{"page", "offset", "next-url"} {
		for add := 1; add <= 4; add++ {
			s := newTide(t, style, 12)
			s.byID = true
			r := &reading{sys: s.open(""), seen: map[string]bool{}}
			s.turn = func() {
				for n := range add {
					if s.asked == 2 {
						s.set(-1-n, 1, noon.Add(-time.Hour), 0)
					}
				}
			}
			r.round(t)
			for id := range 12 {
				if !r.seen[fmt.Sprint(id, " 1")] {
					t.Errorf("%s, %d more at the front: object %d was not read", style, add, id)
				}
			}
		}
	}
}

// A service that leaves out what the caller may not see after it has cut a page counts that with an offset.
func TestHiddenObjects(t *testing.T) {
	for _, style := range []string{"page", "offset", "next-url"} {
		for hidden := range 11 {
			s := newTide(t, style, 12)
			s.hidden[hidden], s.hidden[hidden+1] = true, true
			r := &reading{sys: s.open(""), seen: map[string]bool{}}
			r.round(t)
			listed := map[string]bool{}
			for rec, err := range r.sys.List(t.Context(), "item", time.Time{}) {
				if err != nil {
					t.Fatalf("%s, without %d: %v", style, hidden, err)
				}
				listed[rec.Local] = true
			}
			if len(r.seen) != 10 || len(listed) != 10 || len(r.remarks) != 0 {
				t.Errorf("%s, without %d and the next: %d were polled, %d listed, of 10; %+v", style, hidden, len(r.seen), len(listed), r.remarks)
			}
		}
	}
}

// Anything may happen between two requests: changes, new objects, stamps before their commit, equal stamps and such of the far future. Once the source is quiet,
// the newest state of every object has been handed out.
func TestMovingSource(t *testing.T) {
	for _, style := range []string{"offset", "next-url", "page"} {
		for _, more := range []string{"", ", order: changed"} {
			t.Run(style+more, func(t *testing.T) {
				s := newTide(t, style, 0)
				sys := s.open(more)
				rapid.Check(t, func(t *rapid.T) { testMovingSource(t, s, sys) })
			})
		}
	}
}

func testMovingSource(t *rapid.T, s *tide, sys *system) {
	dice := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 3))
	s.items, s.now, s.byID = map[int]*drop{}, noon, rapid.Bool().Draw(t, "by id")
	if sys.set.Objects["item"].List.Order == "changed" {
		s.byID = false
	}
	often := rapid.IntRange(1, 6).Draw(t, "often")
	r := &reading{sys: sys, overlap: 5 * time.Second, seen: map[string]bool{}}
	rev := 0
	s.turn = func() {
		s.now = s.now.Add(time.Duration(dice.IntN(1500)) * time.Millisecond)
		for dice.IntN(6) < often {
			rev++
			at := s.now.Truncate(time.Second)
			if dice.IntN(15) == 0 {
				at = at.AddDate(36, 0, 0)
			}
			if id := dice.IntN(40); s.items[id] == nil || !s.items[id].visible.After(s.now) {
				s.set(id, rev, at, time.Duration(dice.IntN(3000))*time.Millisecond)
			}
			if dice.IntN(3) == 0 {
				break
			}
		}
	}
	for range rapid.IntRange(5, 60).Draw(t, "pages") {
		r.page(t)
	}
	s.turn = nil
	for range 4 {
		s.now = s.now.Add(20 * time.Second)
		r.round(t)
	}
	for id, d := range s.items {
		if !r.seen[fmt.Sprint(id, " ", d.rev)] {
			t.Fatalf("the state %d of object %d, stamped %s, was never handed out; the cursor is %.300s", d.rev, id, d.at, r.cursor)
		}
	}
}
