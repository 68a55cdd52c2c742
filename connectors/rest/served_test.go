package rest

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/waybill-hub/waybill/internal/connector"
)

// scroller keeps the place of each search, and gives so many full pages of 3 objects under one token. lose is asked before an answer, by the number
// of the request that named a token: true cuts the connection, with the place moved already.
func scroller(t *testing.T, pages int, lose func(nth int) bool) *system {
	searches, asked := map[string]int{}, 0
	var mu sync.Mutex // the request behind an answer that was cut may come before its goroutine has ended
	return lister(t, "{list: {items: data, paging: {style: cursor}}}", func(r *http.Request) (http.Header, string) {
		mu.Lock()
		defer mu.Unlock()
		token := r.URL.Query().Get("cursor")
		if token != "" {
			asked++
		}
		lost := token != "" && lose(asked)
		token = cmp.Or(token, fmt.Sprintf("search-%d", len(searches)+1))
		searches[token]++
		if lost {
			panic(http.ErrAbortHandler)
		}
		data := "[]"
		if n := searches[token]; n <= pages {
			data = rows(3*n-2, 3*n)
		}
		return nil, `{"next":"` + token + `","data":` + data + "}"
	})
}

// pollOn polls to the end of a round through failures, as the hub does: a failed poll is made again from the cursor before it.
func pollOn(t *testing.T, sys func() *system, cursor string) (ids []string, failed int) {
	t.Helper()
	for range 300 {
		p, err := sys().Poll(t.Context(), connector.PollRequest{Object: "item", Cursor: cursor})
		if err != nil {
			failed++
			continue
		}
		for _, r := range p.Records {
			ids = append(ids, r.Local)
		}
		if cursor = p.Cursor; !p.More {
			return ids, failed
		}
	}
	t.Fatal("no end")
	return nil, 0
}

// TestPlaceKeptByTheService: an answer that gets lost, or a hub that ends before it has kept a page, has moved the service's place already; the walk
// begins again, so that no page is passed over.
func TestPlaceKeptByTheService(t *testing.T) {
	for pages := 1; pages <= 4; pages++ {
		t.Run(fmt.Sprintf("of %d pages", pages), func(t *testing.T) { placeKept(t, pages) })
	}
}

func placeKept(t *testing.T, pages int) {
	var want []string
	for n := range 3 * pages {
		want = append(want, strconv.Itoa(n+1))
	}
	for n := 1; n <= pages; n++ {
		t.Run(fmt.Sprintf("answer %d is lost", n), func(t *testing.T) {
			sys := scroller(t, pages, func(nth int) bool { return nth == n })
			ids, failed := pollOn(t, func() *system { return sys }, "")
			if slices.Sort(ids); failed != 1 || len(ids) != len(want) {
				t.Errorf("%d failures, and polled %v", failed, ids)
			}
		})
	}
	for n := 1; n <= pages; n++ {
		t.Run(fmt.Sprintf("page %d is read and not kept", n+1), func(t *testing.T) {
			sys := scroller(t, pages, func(int) bool { return false })
			got, cursor := map[string]bool{}, ""
			for range n {
				p, err := sys.Poll(t.Context(), connector.PollRequest{Object: "item", Cursor: cursor})
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range p.Records {
					got[r.Local] = true
				}
				cursor = p.Cursor
			}
			if _, err := sys.Poll(t.Context(), connector.PollRequest{Object: "item", Cursor: cursor}); err != nil { // kept by nobody
				t.Fatal(err)
			}
			next := &system{name: sys.name, set: sys.set, client: sys.client, clock: sys.clock} // as after a restart
			ids, _ := pollOn(t, func() *system { return next }, cursor)
			for _, id := range ids {
				got[id] = true
			}
			for _, id := range want {
				if !got[id] {
					t.Errorf("%s was never given", id)
				}
			}
		})
	}
}

// TestTokenNotKnownAnyMore: a token that is refused again after the walk had begun anew fails the poll, and does not stop the source for ever.
func TestTokenNotKnownAnyMore(t *testing.T) {
	refuse := 3
	sys := statusLister(t, "{list: {items: data, paging: {style: cursor, stable: true}}}", func(r *http.Request) (int, http.Header, string) {
		n, _ := strconv.Atoi(cmp.Or(r.URL.Query().Get("cursor"), "1"))
		if n == 3 && refuse > 0 {
			refuse--
			return 410, nil, "{}"
		}
		next := "null"
		if n < 4 {
			next = strconv.Itoa(n + 1)
		}
		return 200, nil, `{"next":` + next + `,"data":` + rows(3*n-2, 3*n) + "}"
	})
	ids, failed := pollOn(t, func() *system { return sys }, "")
	if failed != 2 || len(ids) != 12 {
		t.Errorf("%d failures, and polled %v", failed, ids)
	}
}
