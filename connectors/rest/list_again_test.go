package rest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// hasty is a clock on which nobody waits.
type hasty struct{ lifecycle.Clock }

func (h hasty) NewTimer(time.Duration) lifecycle.Timer { return h.Clock.NewTimer(0) }

const none = fault.Kind(255)

// TestListGoesOnAfterFailures: a list of many pages comes to its end although every other answer fails; a service that fails for good, or refuses, ends it
// with an error.
func TestListGoesOnAfterFailures(t *testing.T) {
	otherwise := func(n int) int { return [...]int{0, http.StatusServiceUnavailable}[n%2] }
	for _, tc := range []struct {
		name, paging string
		fails        func(n int) int // the status of the n-th answer; 0: it does not fail
		kind         fault.Kind      // of the error
		most         int             // answers
	}{
		{"pages", "style: page", otherwise, none, 99},
		{"cursors that stay", "style: cursor, next: next, parameter: page, stable: true", otherwise, none, 99},
		{"cursors that may not stay", "style: cursor, next: next, parameter: page", func(n int) int { return [...]int{0, 0, 0, 0, http.StatusServiceUnavailable}[n%5] }, none, 99},
		{"too many requests", "style: page", func(n int) int { return [...]int{0, http.StatusTooManyRequests}[n%2] }, none, 99},
		{"for good", "style: page", func(n int) int { return [...]int{0, 0, http.StatusBadGateway}[min(n, 2)] }, fault.Unavailable, 2 + 8},
		{"refused", "style: page", func(n int) int { return [...]int{0, 0, http.StatusForbidden}[min(n, 2)] }, fault.Invalid, 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := 0
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				status := tc.fails(n)
				if n++; status != 0 {
					http.Error(w, "not now", status)
					return
				}
				page := max(page_(r), 1)
				fmt.Fprintf(w, `{"next":%q,"items":%s}`, [...]string{"", "2", "3", "", ""}[min(page, 4)], [...]string{"", rows(1, 3), rows(4, 6), rows(7, 8), "[]"}[min(page, 4)])
			}))
			defer srv.Close()
			opened, err := Kind{}.Open(t.Context(), settingsOf(t, "connector: rest\nurl: "+srv.URL+"\nobjects:\n  item: {path: /items, id: id, list: {items: items, paging: {"+tc.paging+"}}}\n"))
			if err != nil {
				t.Fatal(err)
			}
			defer opened.Close()
			sys := opened.(*system)
			sys.clock = hasty{sys.clock}
			ids := map[string]bool{}
			var failed error
			for r, err := range sys.List(t.Context(), "item", time.Time{}) {
				if failed = err; err != nil {
					break
				}
				ids[r.Local] = true
			}
			if tc.kind == none && (failed != nil || len(ids) != 8) || tc.kind != none && (failed == nil || fault.KindOf(failed) != tc.kind) || n > tc.most {
				t.Errorf("%d objects of %d answers, %v", len(ids), n, failed)
			}
		})
	}
}

// TestPagesThatGrow: a page of more objects than were asked for, behind one that kept to it, has passed others over.
func TestPagesThatGrow(t *testing.T) {
	sys := lister(t, "{path: /items, list: {items: items, paging: {style: page, size-parameter: size, size: 3}}}", func(r *http.Request) (http.Header, string) {
		return nil, fmt.Sprintf(`{"items":%s}`, [...]string{"", rows(1, 3), rows(7, 12), rows(13, 14), "[]"}[min(max(page_(r), 1), 4)])
	})
	var failed error
	for _, err := range sys.List(t.Context(), "item", time.Time{}) {
		failed = err
	}
	if failed == nil || !strings.Contains(failed.Error(), "page 2 holds 6 objects, and 3 were asked for") {
		t.Errorf("%v", failed)
	}
}
