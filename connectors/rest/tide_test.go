package rest

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
)

// tide is a service whose list moves: it is cut into pages by counting, whatever its tokens look like.
type tide struct {
	t     *testing.T
	style string // page, offset, next-url or cursor
	byID  bool   // in the order of ids, else of stamps
	size  int
	url   string

	mu     sync.Mutex
	items  map[int]*drop
	hidden map[int]bool // left out after a page was cut
	turn   func()       // called, locked, before a page is answered
	now    time.Time
	asked  int
}

// drop is a state of an object, and what is shown in its place until it can be seen.
type drop struct {
	rev         int
	at, visible time.Time
	before      *drop
}

func newTide(t *testing.T, style string, count int) *tide {
	s := &tide{t: t, style: style, size: 3, items: map[int]*drop{}, hidden: map[int]bool{}, now: noon}
	for id := range count {
		s.set(id, 1, noon.Add(time.Duration(id-count)*time.Minute), 0)
	}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	s.url = srv.URL
	return s
}

func (s *tide) set(id, rev int, at time.Time, after time.Duration) {
	s.items[id] = &drop{rev: rev, at: at, visible: s.now.Add(after), before: s.shown(id)}
}

func (s *tide) shown(id int) *drop {
	d := s.items[id]
	for d != nil && d.visible.After(s.now) {
		d = d.before
	}
	return d
}

func (s *tide) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked++; s.turn != nil {
		s.turn()
	}
	q := r.URL.Query()
	since, _ := time.Parse(time.RFC3339, q.Get("since"))
	skip, _ := strconv.Atoi(q.Get("cursor") + q.Get("offset"))
	if s.style == "page" {
		skip, _ = strconv.Atoi(q.Get("page"))
		skip = (skip - 1) * s.size
	}
	var ids []int
	for id := range s.items {
		if d := s.shown(id); d != nil && !d.at.Before(since) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b int) int {
		if c := s.shown(a).at.Compare(s.shown(b).at); !s.byID && c != 0 {
			return c
		}
		return a - b
	})
	var out []string
	to := min(skip+s.size, len(ids))
	for _, id := range ids[min(skip, len(ids)):to] {
		if d := s.shown(id); !s.hidden[id] {
			out = append(out, fmt.Sprintf(`{"id":%d,"rev":%d,"at":%q}`, id, d.rev, d.at.Format(time.RFC3339Nano)))
		}
	}
	next := "null"
	if to < len(ids) {
		next = strconv.Quote(strconv.Itoa(to))
		if s.style == "next-url" {
			next = strconv.Quote("?since=" + q.Get("since") + "&cursor=" + strconv.Itoa(to))
		}
	}
	w.Header().Set("Date", s.now.UTC().Format(http.TimeFormat))
	fmt.Fprintf(w, `{"total":%d,"next":%s,"data":[%s]}`, len(ids), next, strings.Join(out, ","))
}

func (s *tide) open(more string) *system {
	s.t.Helper()
	opened, err := Kind{}.Open(context.Background(), settingsOf(s.t, `connector: rest
url: `+s.url+`
objects:
  item: {version: at, list: {items: data, paging: {style: `+s.style+`}, changed-since: {parameter: since}`+more+`}}
`))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { opened.Close() })
	sys := opened.(*system)
	sys.clock = testClock{sys.clock, func() time.Time {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.now
	}}
	return sys
}

// reading is what the hub has of a tide: a cursor, and every state that was handed out.
type reading struct {
	sys     *system
	cursor  string
	overlap time.Duration
	seen    map[string]bool // "id rev"
	remarks []connector.Remark
}

func (r *reading) page(t interface{ Fatal(...any) }) (more bool, n int) {
	page, err := r.sys.Poll(context.Background(), connector.PollRequest{Object: "item", Cursor: r.cursor, Overlap: r.overlap})
	if err != nil {
		t.Fatal(err)
	}
	r.cursor, r.remarks = page.Cursor, page.Remarks
	for _, rec := range page.Records {
		var id, rev int
		if _, err := fmt.Sscanf(string(rec.Doc), `{"id":%d,"rev":%d`, &id, &rev); err != nil {
			t.Fatal(err)
		}
		r.seen[fmt.Sprint(id, " ", rev)] = true
	}
	return page.More, len(page.Records)
}

func (r *reading) round(t interface{ Fatal(...any) }) (n int) {
	for range 2000 {
		more, k := r.page(t)
		if n += k; !more {
			return n
		}
	}
	t.Fatal("the poll does not come to an end")
	return 0
}
