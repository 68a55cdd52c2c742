package api

import (
	"strings"
	"testing"
)

// TestBackfills: what is asked of backfills, and what is answered.
func TestBackfills(t *testing.T) {
	s := server(&stub{})
	for _, c := range []struct {
		method, path, body string
		code               int
		says               []string
		not                string
	}{
		{"POST", "/api/v1/flows/orders/backfill", `{"note": "at last", "since": "2026-11-01T00:00:00+08:00"}`, 202, []string{`"id": 4`, `"state": "wanted"`, `"why": "at last"`, `"since": "2026-11-01T00:00:00+08:00"`}, ""},
		{"POST", "/api/v1/flows/orders/backfill", ``, 202, []string{`"flow": "orders"`}, `"since"`},
		{"POST", "/api/v1/flows/busy/backfill", ``, 409, []string{"backfill 3 of flow busy is under way already"}, ""},
		{"POST", "/api/v1/flows/orders/backfill", `{"sinc": "x"}`, 400, []string{"sinc"}, ""},
		{"GET", "/api/v1/backfills?limit=2", "", 200, []string{`"id": 3`, `"id": 2`, `"next": 2`, `"state": "done"`}, `"rate"`},
		{"GET", "/api/v1/backfills?limit=2&before=2", "", 200, []string{`"id": 1`}, `"next"`},
		{"GET", "/api/v1/backfills?limit=x", "", 400, []string{"limit"}, ""},
		{"GET", "/api/v1/backfills/4", "", 200, []string{`"submitted": 10`, `"expect": 20`, `"rate": 5`, `"left_seconds": 2`, `"at_once": 8`, `"text": "waits"`}, ""},
		{"GET", "/api/v1/backfills/9", "", 404, []string{"backfill 9"}, ""},
		{"GET", "/api/v1/backfills/x", "", 400, []string{"the id must be a number"}, ""},
		{"POST", "/api/v1/backfills/4/cancel", `{"note": "at night"}`, 202, []string{`at night`}, ""},
		{"POST", "/api/v1/backfills/3/cancel", ``, 409, []string{"is over"}, ""},
		{"POST", "/api/v1/resend", `{"entity": "order", "all": true, "key": "1"}`, 422, []string{"all stands for every object"}, ""},
		{"POST", "/api/v1/resend", `{"entity": "order", "key": "1", "since": "2026-11-01T00:00:00Z"}`, 422, []string{"since goes with all"}, ""},
		{"POST", "/api/v1/resend", `{"entity": "order"}`, 400, []string{"or all"}, ""},
	} {
		w := call(s, c.method, c.path, c.body, nil)
		if w.Code != c.code {
			t.Errorf("%s %s %s: %d %s", c.method, c.path, c.body, w.Code, w.Body)
		}
		for _, want := range c.says {
			if !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s %s %s does not say %s: %s", c.method, c.path, c.body, want, w.Body)
			}
		}
		if c.not != "" && strings.Contains(w.Body.String(), c.not) {
			t.Errorf("%s %s says %s: %s", c.method, c.path, c.not, w.Body)
		}
	}
}
