package rest

import (
	"cmp"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
)

// statusLister is lister, with a status for every answer.
func statusLister(t *testing.T, object string, answer func(r *http.Request) (status int, h http.Header, body string)) *system {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, h, body := answer(r)
		for k, v := range h {
			w.Header()[k] = v
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(srv.Close)
	opened, err := Kind{}.Open(t.Context(), settingsOf(t, "connector: rest\nurl: "+srv.URL+"\nerrors: {code: code, kinds: {GONE: invalid}}\nobjects:\n  item: "+object+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { opened.Close() })
	return opened.(*system)
}

// pollTo polls to the end of a round, or to a failure.
func pollTo(t *testing.T, sys *system) (ids []string, err error) {
	t.Helper()
	cursor := ""
	for range 300 {
		p, err := sys.Poll(t.Context(), connector.PollRequest{Object: "item", Cursor: cursor})
		if err != nil {
			return ids, err
		}
		for _, r := range p.Records {
			ids = append(ids, r.Local)
		}
		if cursor = p.Cursor; !p.More {
			return ids, nil
		}
	}
	t.Fatal("no end")
	return nil, nil
}

// TestRefusedPages: what services answer behind the last page, and what they refuse although there is more.
func TestRefusedPages(t *testing.T) {
	wordpress := http.Header{"X-Wp-Totalpages": {"2"}}
	for _, tc := range []struct {
		name, paging string
		pages        []string // the pages; what comes behind them is refused
		status       int
		h            http.Header
		refused      string // what people are told; empty: it is the end
	}{
		{"404", "style: page", []string{rows(1, 3), rows(4, 6)}, 404, nil, ""},
		{"400 behind a short page", "style: page", []string{rows(1, 3), rows(4, 5)}, 400, nil, ""},
		{"400 behind as many pages as the header says", "style: page", []string{rows(1, 3), rows(4, 6)}, 400, wordpress, ""},
		{"422 behind a full page may be a limit", "style: page", []string{rows(1, 3), rows(4, 6)}, 422, nil, "may not be the end"},
		{"400 for the first page", "style: page", nil, 400, nil, "400"},
		{"416 behind a short page of an offset", "style: offset", []string{rows(1, 3), rows(4, 5)}, 416, nil, ""},
		{"404 behind an offset", "style: offset", []string{rows(1, 3), rows(4, 6)}, 404, nil, ""},
		{"500 is no end", "style: page", []string{rows(1, 3)}, 500, nil, "500"},
	} {
		sys := statusLister(t, "{list: {paging: {"+tc.paging+"}}}", func(r *http.Request) (int, http.Header, string) {
			n := page_(r) - 1
			if tc.paging == "style: offset" {
				offset, _ := strconv.Atoi(r.URL.Query().Get("offset"))
				all := strings.Split(strings.Trim(strings.Join(tc.pages, ","), "[]"), "],[")
				all = strings.Split(strings.Join(all, ","), ",")
				if offset >= len(all) {
					return tc.status, tc.h, "{}"
				}
				return 200, tc.h, "[" + strings.Join(all[offset:min(offset+3, len(all))], ",") + "]"
			}
			if n >= len(tc.pages) {
				return tc.status, nil, `{"code":"x"}`
			}
			return 200, tc.h, tc.pages[n]
		})
		ids, err := pollTo(t, sys)
		want := strings.Count(strings.Join(tc.pages, ""), `"id"`)
		if len(ids) != want {
			t.Errorf("%s: %v, want %d", tc.name, ids, want)
		}
		if (tc.refused == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tc.refused) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

// TestTokensThatStay: a service keeps the place itself, and gives the same token for every page (as a search that is scrolled does), or only once.
func TestTokensThatStay(t *testing.T) {
	t.Run("the same token", func(t *testing.T) {
		searches := map[string]int{}
		sys := lister(t, "{list: {items: data, paging: {style: cursor}}}", func(r *http.Request) (http.Header, string) {
			token := cmp.Or(r.URL.Query().Get("cursor"), fmt.Sprintf("search-%d", len(searches)+1))
			searches[token]++
			data := "[]"
			if n := searches[token]; n <= 4 {
				data = rows(3*n-2, 3*n)
			}
			return nil, `{"next":"` + token + `","data":` + data + "}"
		})
		if ids := listed(t, sys); len(ids) != 12 {
			t.Errorf("listed %v", ids)
		}
		if ids, err := pollTo(t, sys); len(ids) != 12 || err != nil {
			t.Errorf("polled %v %v", ids, err)
		}
	})
	t.Run("a token that is used up", func(t *testing.T) {
		used := map[string]bool{}
		sys := statusLister(t, "{list: {items: data, paging: {style: cursor}}}", func(r *http.Request) (int, http.Header, string) {
			token := r.URL.Query().Get("cursor")
			n, _ := strconv.Atoi(cmp.Or(token, "1"))
			if token != "" && used[token] {
				return 410, nil, "{}"
			}
			used[token] = true
			next := "null"
			if n < 4 {
				next = strconv.Itoa(n + 1)
			}
			return 200, nil, `{"next":` + next + `,"data":` + rows(3*n-2, 3*n) + "}"
		})
		if ids, err := pollTo(t, sys); len(ids) != 12 || err != nil {
			t.Errorf("polled %v %v", ids, err)
		}
	})
	t.Run("a circle", func(t *testing.T) {
		sys := lister(t, "{list: {items: data, paging: {style: next-url}}}", func(r *http.Request) (http.Header, string) {
			n := cmp.Or(page_(r), 1)
			return nil, fmt.Sprintf(`{"next":"?page=%d","data":%s}`, n%5+2, rows(3*n-2, 3*n))
		})
		if _, err := pollTo(t, sys); err == nil || !strings.Contains(err.Error(), "circle") {
			t.Errorf("%v", err)
		}
	})
	t.Run("false in place of a link", func(t *testing.T) {
		sys := lister(t, "{list: {items: data, paging: {style: next-url}}}", func(*http.Request) (http.Header, string) {
			return nil, `{"next":false,"data":[{"id":1}]}`
		})
		if ids, err := pollTo(t, sys); len(ids) != 1 || err != nil {
			t.Errorf("%v %v", ids, err)
		}
	})
}

// TestTotals: a total counts what may be seen, or what there is; pages are of any length.
func TestTotals(t *testing.T) {
	for _, tc := range []struct {
		name, paging string
		total        int
		pages        []string
	}{
		{"of what may be seen, short pages in the middle", "style: page, total: total", 8, []string{rows(1, 3), rows(4, 6, 5, 6), rows(7, 9, 7, 8), rows(10, 12)}},
		{"of all there is", "style: page, total: total", 12, []string{rows(1, 3), rows(4, 6, 5, 6), rows(7, 9, 7, 8), rows(10, 12)}},
		{"of all there is, an empty page in the middle", "style: page, total: total", 12, []string{rows(1, 3), rows(4, 6), "[]", rows(10, 11)}},
		{"more, over an empty page", "style: page, more: more", 0, []string{rows(1, 3), "[]", rows(4, 8)}},
	} {
		sys := lister(t, "{list: {items: data, paging: {"+tc.paging+"}}}", func(r *http.Request) (http.Header, string) {
			n := page_(r)
			if n > len(tc.pages) {
				return nil, "404"
			}
			return nil, fmt.Sprintf(`{"total":"%d","more":%t,"data":%s}`, tc.total, n < len(tc.pages), tc.pages[n-1])
		})
		if ids, err := pollTo(t, sys); len(ids) != 8 || err != nil {
			t.Errorf("%s: polled %v %v", tc.name, ids, err)
		}
		if ids := listed(t, sys); len(ids) != 8 {
			t.Errorf("%s: listed %v", tc.name, ids)
		}
	}
}

// TestWrongTotals: what is called a total is another number, and no object is left out for it; what services answer behind a right one is the end.
func TestWrongTotals(t *testing.T) {
	full := []string{rows(1, 3), rows(4, 6), rows(7, 8)}
	for _, tc := range []struct {
		name, paging string
		total        int
		pages        []string
		status       int    // behind the last page
		behind       string // and what is answered there
		size         int
	}{
		{"how many the page holds", "style: page, total: total", 3, full, 200, "[]", 8},
		{"none", "style: page, total: total", 0, full, 200, "[]", 8},
		{"as it was when there were fewer", "style: page, total: total", 5, full, 200, "[]", 8},
		{"pages that are fewer", "style: page, pages: total", 2, full, 200, "[]", 8},
		{"offset, how many the page holds", "style: offset, total: total", 3, []string{rows(1, 3), rows(3, 5), rows(5, 7), rows(7, 8)}, 200, "[]", 8},
		{"right, and refused behind it", "style: page, total: total", 6, full[:2], 400, `[]`, 6},
		{"right, and the first page behind it", "style: page, total: total", 6, full[:2], 200, rows(1, 3), 6},
		{"right, and the last page behind it", "style: page, pages: total", 2, full[:2], 200, rows(4, 6), 6},
	} {
		sys := statusLister(t, "{list: {items: data, paging: {"+tc.paging+"}}}", func(r *http.Request) (int, http.Header, string) {
			n := page_(r)
			if n == 0 {
				offset, _ := strconv.Atoi(r.URL.Query().Get("offset"))
				n = offset/2 + 1
			}
			status, data := 200, tc.behind
			if n <= len(tc.pages) {
				data = tc.pages[n-1]
			} else {
				status = tc.status
			}
			return status, nil, fmt.Sprintf(`{"total":%d,"data":%s}`, tc.total, data)
		})
		if ids, err := pollTo(t, sys); len(ids) != tc.size || err != nil {
			t.Errorf("%s: polled %v %v", tc.name, ids, err)
		}
		if ids := listed(t, sys); len(ids) != tc.size {
			t.Errorf("%s: listed %v", tc.name, ids)
		}
	}
}

// TestOffsetThatIsIgnored: a service that does not know the parameter shows everything, again and again.
func TestOffsetThatIsIgnored(t *testing.T) {
	for _, n := range []int{1, 2, 7} {
		for _, style := range []string{"offset", "page"} {
			sys := lister(t, "{list: {paging: {style: "+style+"}}}", func(*http.Request) (http.Header, string) { return nil, rows(1, n) })
			if ids, err := pollTo(t, sys); len(ids) != n || err != nil {
				t.Errorf("%s: %v %v", style, ids, err)
			}
		}
	}
}

// TestPageNumberThatIsIgnored: a service that gives its first page for every number is told from one that has no more, where it says itself that more follow.
func TestPageNumberThatIsIgnored(t *testing.T) {
	for _, tc := range []struct {
		name, paging, head string
		fails              bool
	}{
		{"a total", "total: n", `"n":9,`, true},
		{"a number of pages", "pages: n", `"n":3,`, true},
		{"more", "more: m", `"m":true,`, true},
		{"last", "last: m", `"m":false,`, true},
		{"a total, and a page as long as was asked for", "total: n, size-parameter: limit, size: 3", `"n":9,`, true},
		{"a total of what may not all be seen", "total: n, size-parameter: limit, size: 50", `"n":9,`, false},
		{"a total that is right", "total: n", `"n":3,`, false},
		{"no word of it", "size: 3", "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sys := lister(t, "{list: {items: data, paging: {style: page, "+tc.paging+"}}}", func(*http.Request) (http.Header, string) {
				return nil, "{" + tc.head + `"data":` + rows(1, 3) + "}"
			})
			n, err := 0, error(nil)
			for r, lerr := range sys.List(t.Context(), "item", time.Time{}) {
				if err = lerr; lerr == nil && r.Local != "" {
					n++
				}
			}
			_, perr := pollTo(t, sys)
			for what, err := range map[string]error{"listed": err, "polled": perr} {
				if (err != nil) != tc.fails || tc.fails && !strings.Contains(err.Error(), "does it know the parameter page?") {
					t.Errorf("%s: %v", what, err)
				}
			}
			if n != 3 {
				t.Errorf("%d objects", n)
			}
		})
	}
}

// TestKeyThatIsIgnored: a service that does not know the condition would be asked for ever, or read to its first page alone.
func TestKeyThatIsIgnored(t *testing.T) {
	sys := lister(t, `{list: {paging: {style: key, parameter: filter, after: "id gt {id}"}}}`, func(*http.Request) (http.Header, string) { return nil, rows(1, 7) })
	if _, err := pollTo(t, sys); err == nil || !strings.Contains(err.Error(), "the same page again") {
		t.Errorf("%v", err)
	}
}

// TestKeyAndChanges: what the next page is asked for by, beside what has changed; quotes inside a key are doubled.
func TestKeyAndChanges(t *testing.T) {
	for _, tc := range []struct{ more, since, want string }{
		{`, after: "ID gt '{id}'"`, "$filter", "(changed ge 2026-03-01T11:59:59Z) and (ID gt 'O''B')"},
		{`, after: "ID gt '{id}'", join: "{changed};{after}"`, "$filter", "changed ge 2026-03-01T11:59:59Z;ID gt 'O''B'"},
		{`, after: "changed gt {version} or (changed eq {version} and ID gt '{id}')"`, "$filter", "changed gt 2026-03-01T12:00:00.5Z or (changed eq 2026-03-01T12:00:00.5Z and ID gt 'O''B')"},
		{`, after: "ID gt '{id}'"`, "since", "ID gt 'O''B'"},
	} {
		asked := ""
		sys := lister(t, `{version: at, list: {paging: {style: key, parameter: $filter`+tc.more+`}, changed-since: {parameter: `+tc.since+`, template: "changed ge {since}"}}}`,
			func(r *http.Request) (http.Header, string) {
				if f := r.URL.Query().Get("$filter"); strings.Contains(f, "B'") {
					asked = f
					return nil, "[]"
				}
				return nil, `[{"id":"A","at":"2026-03-01T12:00:00Z"},{"id":"O'B","at":"2026-03-01T12:00:00.5Z"}]`
			})
		r := &reading{sys: sys, seen: map[string]bool{}}
		for range 2 { // the second round asks for changes
			for {
				p, err := sys.Poll(t.Context(), connector.PollRequest{Object: "item", Cursor: r.cursor})
				if err != nil {
					t.Fatal(err)
				}
				if r.cursor = p.Cursor; !p.More {
					break
				}
			}
		}
		if asked != tc.want {
			t.Errorf("%s: asked for %s", tc.more, asked)
		}
	}
}

// TestRoundThatLasts: a source in the order of change that always has something new: the round ends all the same, and the next one looks back.
func TestRoundThatLasts(t *testing.T) {
	s := newTide(t, "next-url", 10)
	r := &reading{sys: s.open(", order: changed"), seen: map[string]bool{}, overlap: 10 * time.Second}
	s.turn = func() {
		s.now = s.now.Add(5 * time.Second)
		for range 2 {
			s.set(s.asked%1000+1000, 1, s.now.Add(-time.Second), 0)
			s.set(s.asked%1000+5000, 1, s.now.Add(-time.Second), 0)
		}
	}
	r.round(t)
	if s.asked > 100 || !strings.Contains(r.cursor, `"since"`) {
		t.Errorf("%d requests: %.200s", s.asked, r.cursor)
	}
}

// TestNamelessObjects: where no object has an id the settings are wrong; one without an id is a record that cannot be read.
func TestNamelessObjects(t *testing.T) {
	body := `[{"no":1},{"no":2}]`
	sys := lister(t, "{}", func(*http.Request) (http.Header, string) { return nil, body })
	if _, err := pollTo(t, sys); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "set id") {
		t.Errorf("polled: %v", err)
	}
	for _, err := range sys.List(t.Context(), "item", time.Time{}) {
		if err == nil || !strings.Contains(err.Error(), "set id") {
			t.Errorf("listed: %v", err)
		}
	}
	body = `[{"no":1},7,null,{"id":2}]`
	p, err := sys.Poll(t.Context(), connector.PollRequest{Object: "item"})
	if err != nil || len(p.Records) != 4 {
		t.Fatal(p, err)
	}
	if bad := slices.IndexFunc(p.Records, func(r connector.Record) bool { return r.Err == nil }); bad != 3 {
		t.Errorf("%+v", p.Records)
	}
}

// TestFindAmongUnreadable: the object that is looked for may be the one that cannot be read; to say that there is none would make a second.
func TestFindAmongUnreadable(t *testing.T) {
	sys := lister(t, `{find: {natural: {code: "{code}"}}}`, func(*http.Request) (http.Header, string) {
		return nil, `[{"id":1,"code":"A"},{"id":2,"code":"B","name":"cut \ud83d"}]`
	})
	if found, err := sys.Find(t.Context(), connector.Lookup{Object: "item", Natural: map[string]string{"code": "B"}}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("%v %v", found, err)
	}
}

// TestRefusalAroundUnreadable: what an answer says of itself counts, whatever its objects are like.
func TestRefusalAroundUnreadable(t *testing.T) {
	sys := lister(t, `{list: {items: data}}`, func(*http.Request) (http.Header, string) {
		return nil, `{"success":false,"data":[{"id":1,"name":"cut \ud83d"}]}`
	})
	if ids, err := pollTo(t, sys); err == nil || len(ids) != 0 {
		t.Errorf("%v", ids)
	}
}
