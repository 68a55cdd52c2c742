package rest

import (
	"cmp"
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

// lister answers lists from a function.
func lister(t *testing.T, object string, answer func(r *http.Request) (http.Header, string)) *system {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, body := answer(r)
		for k, v := range h {
			w.Header()[k] = v
		}
		if body == "404" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		fmt.Fprint(w, body)
	}))
	t.Cleanup(srv.Close)
	opened, err := Kind{}.Open(t.Context(), settingsOf(t, "connector: rest\nurl: "+srv.URL+"\nobjects:\n  item: "+strings.ReplaceAll(object, "\n", "\n    ")+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { opened.Close() })
	return opened.(*system)
}

func page_(r *http.Request) int {
	n, _ := strconv.Atoi(r.URL.Query().Get("page"))
	return n
}

// rows gives the items from..to as JSON, without those that nobody may see.
func rows(from, to int, hidden ...int) string {
	var out []string
	for i := from; i <= to; i++ {
		if !slices.Contains(hidden, i) {
			out = append(out, fmt.Sprintf(`{"id":%d}`, i))
		}
	}
	return "[" + strings.Join(out, ",") + "]"
}

func listed(t *testing.T, sys *system) (ids []string) {
	t.Helper()
	for r, err := range sys.List(t.Context(), "item", time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, r.Local)
	}
	return ids
}

// TestEndOfAList: where a list ends, in the ways that services tell it. Every list holds 8 objects that may be seen.
func TestEndOfAList(t *testing.T) {
	for _, tc := range []struct {
		name, paging string
		answer       func(r *http.Request) (http.Header, string)
		most         int // pages that may be asked for in one walk
	}{
		{"a short page in the middle", "style: page", func(r *http.Request) (http.Header, string) {
			return nil, [...]string{"", rows(1, 3), rows(4, 6, 5), rows(7, 9), "[]"}[min(page_(r), 4)]
		}, 4},
		{"a short first page", "style: page", func(r *http.Request) (http.Header, string) {
			return nil, [...]string{"", rows(1, 3, 2), rows(4, 6), rows(7, 9), "[]"}[min(page_(r), 4)]
		}, 4},
		{"404 behind the last page", "style: page", func(r *http.Request) (http.Header, string) {
			return nil, [...]string{"", rows(1, 3), rows(4, 6), rows(7, 8), "404"}[min(page_(r), 4)]
		}, 4},
		{"the last page again", "style: page", func(r *http.Request) (http.Header, string) {
			return nil, [...]string{"", rows(1, 3), rows(4, 6), rows(7, 8), rows(7, 8)}[min(page_(r), 4)]
		}, 4},
		{"until short", "style: page, until: short", func(r *http.Request) (http.Header, string) {
			return nil, [...]string{"", rows(1, 3), rows(4, 6), rows(7, 8), "404"}[min(page_(r), 4)]
		}, 3},
		{"a number of pages", "style: page, pages: pages", func(r *http.Request) (http.Header, string) {
			return nil, `{"pages":"3","data":` + [...]string{"", rows(1, 3), rows(4, 6, 5), rows(7, 9), "404"}[min(page_(r), 4)] + "}"
		}, 4}, // the last one is full: the number could be wrong
		{"a number of pages, and an empty one in the middle", "style: page, pages-header: X-WP-TotalPages", func(r *http.Request) (http.Header, string) {
			return http.Header{"X-Wp-Totalpages": {"4"}}, `{"data":` + [...]string{"", rows(1, 4), rows(5, 6, 5, 6), rows(7, 8), rows(9, 10)}[min(page_(r), 4)] + "}"
		}, 4},
		{"a total of objects", "style: page, total-header: X-Total-Count", func(r *http.Request) (http.Header, string) {
			return http.Header{"X-Total-Count": {"8"}}, `{"data":` + [...]string{"", rows(1, 3), rows(4, 6), rows(7, 8), "404"}[min(page_(r), 4)] + "}"
		}, 3},
		{"more", "style: page, more: has_more", func(r *http.Request) (http.Header, string) {
			return nil, fmt.Sprintf(`{"has_more":%q,"data":%s}`, strconv.FormatBool(page_(r) < 3), [...]string{"", rows(1, 3), rows(4, 6, 5), rows(7, 9), "404"}[min(page_(r), 4)])
		}, 3},
		{"last", "style: page, last: isLast", func(r *http.Request) (http.Header, string) {
			return nil, fmt.Sprintf(`{"isLast":%t,"data":%s}`, page_(r) >= 3, [...]string{"", rows(1, 3), rows(4, 6, 5), rows(7, 9), "404"}[min(page_(r), 4)])
		}, 3},
		{"a next link that names the page itself", "style: next-url", func(r *http.Request) (http.Header, string) {
			n := cmp.Or(page_(r), 1)
			return nil, fmt.Sprintf(`{"next":"?page=%d","data":%s}`, min(n+1, 3), [...]string{"", rows(1, 3), rows(4, 6), rows(7, 8)}[n])
		}, 3},
		{"a cursor that stays", "style: cursor, parameter: page", func(r *http.Request) (http.Header, string) {
			n := cmp.Or(page_(r), 1)
			return nil, fmt.Sprintf(`{"next":%d,"data":%s}`, min(n+1, 3), [...]string{"", rows(1, 3), rows(4, 6), rows(7, 8)}[n])
		}, 3},
		{"last, beside a next link", "style: next-url, last: done", func(r *http.Request) (http.Header, string) {
			n := cmp.Or(page_(r), 1)
			return nil, fmt.Sprintf(`{"next":"?page=%d","done":%t,"data":%s}`, n+1, n == 3, [...]string{"", rows(1, 3), rows(4, 6), rows(7, 8)}[n])
		}, 3},
		{"by key", `style: key, parameter: filter, after: "id gt {id}"`, func(r *http.Request) (http.Header, string) {
			after, _ := strconv.Atoi(strings.TrimPrefix(r.URL.Query().Get("filter"), "id gt "))
			return nil, `{"data":` + rows(after+1, min(after+3, 8)) + "}"
		}, 4},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var mu sync.Mutex
			asked := map[string]bool{}
			items := ""
			if _, body := tc.answer(httptest.NewRequest("GET", "/item?page=1", nil)); strings.HasPrefix(body, "{") {
				items = "items: data, "
			}
			sys := lister(t, "{list: {"+items+"paging: {"+tc.paging+"}}}", func(r *http.Request) (http.Header, string) {
				mu.Lock()
				asked[r.URL.RawQuery] = true
				mu.Unlock()
				return tc.answer(r)
			})
			polled, _ := pollAll(t, sys, "")
			for what, got := range map[string][]string{"polled": polled, "listed": listed(t, sys)} {
				if len(got) != 8 {
					t.Errorf("%s: %v", what, got)
				}
			}
			if len(asked) > tc.most {
				t.Errorf("pages asked for: %v", asked)
			}
		})
	}
}

// TestSelfRefused: with self: refuse the page that names itself is a failure.
func TestSelfRefused(t *testing.T) {
	sys := lister(t, `{list: {items: data, paging: {style: next-url, self: refuse}}}`, func(*http.Request) (http.Header, string) {
		return nil, `{"next":"?page=1","data":[{"id":1}]}`
	})
	cursor := ""
	for range 6 { // a refused token costs one walk from the beginning
		p, err := sys.Poll(t.Context(), connector.PollRequest{Object: "item", Cursor: cursor})
		if err != nil {
			if !strings.Contains(err.Error(), "names the page itself") {
				t.Error(err)
			}
			return
		}
		cursor = p.Cursor
	}
	t.Error("it is not refused")
}

// moving is a list of 12 objects in the order of their stamps, in pages of 3 behind a token that is an offset, as SAP's runtime has it.
type moving struct {
	mu     sync.Mutex
	stamps map[int]time.Time
	turn   func(page int) // called before each page of a walk is answered
}

func (m *moving) answer(r *http.Request) (http.Header, string) {
	skip, _ := strconv.Atoi(r.URL.Query().Get("skip"))
	if m.turn != nil {
		m.turn(skip / 3)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	since, _ := time.Parse(time.RFC3339, r.URL.Query().Get("since"))
	var ids []int
	for id, at := range m.stamps {
		if !at.Before(since) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b int) int { return cmp.Or(m.stamps[a].Compare(m.stamps[b]), cmp.Compare(a, b)) })
	var out []string
	for _, id := range ids[min(skip, len(ids)):min(skip+3, len(ids))] {
		out = append(out, fmt.Sprintf(`{"id":%d,"at":%q}`, id, m.stamps[id].Format(time.RFC3339)))
	}
	next := "null"
	if skip+3 < len(ids) {
		next = fmt.Sprintf(`"?since=%s&skip=%d"`, r.URL.Query().Get("since"), skip+3)
	}
	return nil, `{"next":` + next + `,"data":[` + strings.Join(out, ",") + "]}"
}

// TestMovingList: an object of the first page changes while the third is asked for; what moves up over the edge of the page must be read.
func TestMovingList(t *testing.T) {
	base := time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC)
	for _, order := range []string{"", ", order: changed"} {
		for _, equal := range []bool{false, true} {
			for at := 1; at <= 3; at++ {
				t.Run(fmt.Sprintf("%s equal %t, before page %d", order, equal, at), func(t *testing.T) {
					m := &moving{stamps: map[int]time.Time{}}
					for id := range 12 {
						m.stamps[id] = base
						if !equal {
							m.stamps[id] = base.Add(time.Duration(id) * time.Second)
						}
					}
					sys := lister(t, `{version: at, list: {items: data, paging: {style: next-url}, changed-since: {parameter: since}`+order+`}}`, m.answer)
					asked := 0
					m.turn = func(int) {
						if asked++; asked == at+1 {
							m.mu.Lock()
							m.stamps[0] = base.Add(time.Hour)
							m.mu.Unlock()
						}
					}
					polled, _ := pollAll(t, sys, "")
					for id := range 12 {
						if !slices.Contains(polled, strconv.Itoa(id)) {
							t.Errorf("object %d was not polled: %v", id, polled)
						}
					}
					m.stamps[0], asked = base, 0
					got := listed(t, sys)
					for id := range 12 {
						if !slices.Contains(got, strconv.Itoa(id)) {
							t.Errorf("object %d was not listed: %v", id, got)
						}
					}
				})
			}
		}
	}
}

// TestListThatNeverStands: a list that moves at every page is an error for those who want all of it, and the next poll begins where this one did.
func TestListThatNeverStands(t *testing.T) {
	m := &moving{stamps: map[int]time.Time{}}
	base := time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC)
	for id := range 12 {
		m.stamps[id] = base
	}
	n := 0
	m.turn = func(int) {
		m.mu.Lock()
		defer m.mu.Unlock()
		n++
		m.stamps[n%12] = base.Add(time.Duration(n) * time.Second)
	}
	sys := lister(t, `{version: at, list: {items: data, paging: {style: next-url}, changed-since: {parameter: since}}}`, m.answer)
	var failed error
	for _, err := range sys.List(t.Context(), "item", time.Time{}) {
		failed = err
	}
	if failed == nil || !strings.Contains(failed.Error(), "moved while it was read") {
		t.Errorf("%v", failed)
	}
	ids, cursor := pollAll(t, sys, "")
	m.turn = nil
	more, _ := pollAll(t, sys, cursor)
	for id := range 12 {
		if !slices.Contains(ids, strconv.Itoa(id)) && !slices.Contains(more, strconv.Itoa(id)) {
			t.Errorf("object %d was not read: %v %v", id, ids, more)
		}
	}
}

// TestStableTokens: where tokens stay with their objects, no page is asked for twice.
func TestStableTokens(t *testing.T) {
	for _, stable := range []bool{false, true} {
		n := 0
		sys := lister(t, fmt.Sprintf(`{list: {items: data, paging: {style: next-url, stable: %t}}}`, stable), func(r *http.Request) (http.Header, string) {
			n++
			p := cmp.Or(page_(r), 1)
			next := "null"
			if p < 3 {
				next = fmt.Sprintf(`"?page=%d"`, p+1)
			}
			return nil, `{"next":` + next + `,"data":` + rows(3*p-2, 3*p) + "}"
		})
		if ids, _ := pollAll(t, sys, ""); len(ids) != 9 || n != map[bool]int{false: 5, true: 3}[stable] {
			t.Errorf("stable %t: %d requests, %v", stable, n, ids)
		}
	}
}

// TestUnreadableObjects: one object that is no acceptable JSON, or has no id, parks alone.
func TestUnreadableObjects(t *testing.T) {
	long := strings.Repeat("9", 200)
	body := `[{"id":1,"n":"good"},{"id":2,"n":"cut \ud83d"},{"id":3,"n":` + long + `},{"n":"no id"},{"id":4,"n":1,"n":2},{"id":5,"n":"good"}]`
	sys := lister(t, `{}`, func(*http.Request) (http.Header, string) { return nil, "\xef\xbb\xbf" + body })
	p, err := sys.Poll(t.Context(), connector.PollRequest{Object: "item"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range p.Records {
		says := "ok"
		if r.Err != nil {
			says = r.Err.Error()
		}
		got = append(got, r.Local+": "+says)
	}
	for i, want := range []string{"1: ok", "half of a surrogate pair", "the number", "holds no id", `the name "n" stands twice`, "5: ok"} {
		if i >= len(got) || !strings.Contains(got[i], want) {
			t.Fatalf("%d: want %s\n%s", i, want, strings.Join(got, "\n"))
		}
	}
	if string(p.Records[1].Doc) != `{"id":2,"n":"cut \ufffd"}` || p.Records[1].Local != "2" || p.Records[4].Local != "4" {
		t.Errorf("%s, %q, %q", p.Records[1].Doc, p.Records[1].Local, p.Records[4].Local)
	}
	again, err := sys.Poll(t.Context(), connector.PollRequest{Object: "item", Cursor: p.Cursor})
	if err != nil || len(again.Records) != 0 {
		t.Errorf("again: %d records, %v", len(again.Records), err)
	}
	n, bad := 0, 0
	for r, err := range sys.List(t.Context(), "item", time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; r.Err != nil {
			bad++
		}
	}
	if n != 6 || bad != 4 {
		t.Errorf("listed %d, %d of them bad", n, bad)
	}
}

// TestObjectsAhead: an object of 2062 is read and named, the cursor stays with the service's clock, and objects without a stamp are counted.
func TestObjectsAhead(t *testing.T) {
	var mu sync.Mutex
	date := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	list := []string{`{"id":1,"at":"2026-11-01T10:00:00Z"}`, `{"id":2,"at":"2062-11-01T10:00:00Z"}`, `{"id":3,"at":null}`, `{"id":4}`}
	asked := ""
	sys := lister(t, `{version: at, list: {changed-since: {parameter: since}, order: changed}}`, func(r *http.Request) (http.Header, string) {
		mu.Lock()
		defer mu.Unlock()
		asked = r.URL.Query().Get("since")
		return http.Header{"Date": {date.Format(http.TimeFormat)}}, "[" + strings.Join(list, ",") + "]"
	})
	p, err := sys.Poll(t.Context(), connector.PollRequest{Object: "item"})
	if err != nil || len(p.Records) != 4 {
		t.Fatalf("%+v %v", p.Records, err)
	}
	said := fmt.Sprintf("%+v", p.Remarks)
	if said != "[{Kind:ahead Local:2 Version:2062-11-01T10:00:00Z Count:1} {Kind:unstamped Local:3 Version: Count:2}]" {
		t.Error(said)
	}
	if p, err = sys.Poll(t.Context(), connector.PollRequest{Object: "item", Cursor: p.Cursor}); err != nil || len(p.Records) != 0 || asked != "2026-11-01T09:59:59Z" {
		t.Errorf("then %q was asked for: %+v %v", asked, p.Records, err)
	}
}
