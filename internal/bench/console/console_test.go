package console

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
)

// Whole looks at what the store holds: for TestConsole.
func Whole(t *testing.T, o *Options) {
	cfg := store.Config{Postgres: o.Postgres}
	if o.Postgres == "" {
		cfg = store.Config{SQLite: (&bencher{Options: o}).sqlite()}
	}
	s, err := store.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	totals, _, _, err := s.StatusSnapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	parked := int64(0)
	for i := range totals {
		if parked += totals[i].Parked; totals[i].Unaccounted() != 0 {
			t.Errorf("%s: %d unaccounted", totals[i].Flow, totals[i].Unaccounted())
		}
	}
	if parked != o.Parked {
		t.Errorf("%d are parked", parked)
	}
	for _, object := range []int64{0, 45, 78, 99, 1234} { // of several kinds
		trace, err := s.Trace(t.Context(), keyOf(object))
		if err != nil || len(trace.Objects) != 1 || len(trace.Objects[0].Refs) != 2 || trace.Objects[0].Hub != hubOf(object) || len(trace.Journal) < fatesEach-1 {
			t.Errorf("%s: %+v, %v", keyOf(object), trace.Objects, err)
		}
		for _, text := range []string{keyOf(object), keyOf(object)[3:], hubOf(object), localOf(object), nameOf(object)} {
			page, err := s.Search(t.Context(), state.SearchQuery{Text: text})
			if err != nil || page.Behind != 0 || !slices.ContainsFunc(page.Objects, func(o state.SearchedObject) bool {
				return o.Hub == hubOf(object) && len(trace.Journal) > 0 && o.Fate == trace.Journal[0].ID
			}) {
				t.Errorf("%s of %s: %+v, %v", text, keyOf(object), page, err)
			}
		}
	}
	newest, err := s.Journal(t.Context(), state.JournalFilter{Limit: 10})
	if err == nil {
		err = s.Documents(t.Context(), newest)
	}
	if err != nil || newest[9].Documents == nil || newest[9].Documents.Status != "OK" || !strings.Contains(string(newest[9].Documents.Source), newest[9].Key) {
		t.Errorf("%+v, %v", newest[9].Documents, err)
	}
	if page, err := s.Search(t.Context(), state.SearchQuery{Text: hotKey}); err != nil || len(page.Objects) == 0 {
		t.Errorf("%+v, %v", page, err)
	}
	causes, err := s.Causes(t.Context(), state.QueueFilter{State: state.Parked})
	if err != nil || len(causes) < 20 || causes[0].Behind == 0 || causes[0].Text == "" {
		t.Errorf("%d causes, %v", len(causes), err)
	}
}

// unasked are routes that are read and are not asked, with the reason.
var unasked = map[string]string{
	"/console/parts/{file}":      "no page of the store",
	"/console/":                  "what is nowhere",
	"/api/":                      "is no route, but how one begins",
	"/api/v1/flows/{name}/files": "asks the drop: the bench has none",
	"/console/oidc":              "leads away",
	"/console/oidc/callback":     "comes back",
	"/healthz":                   "asks nothing", "/readyz": "asks nothing", "/openapi.json": "is the same always",
	"/metrics":                 "is for machines; it asks for the status",
	"/api/v1/events":           "is measured with events",
	"/api/v1/find":             "is measured with searches",
	"/api/v1/runs/{id}/report": "is a file with all that a run has found",
	"/api/v1/recover":          "asks the broker what it holds",
	"/api/v1/backfills/{id}":   "the store has none: a flow has few",
}

// TestEveryRoute: no page and no list is left out.
func TestEveryRoute(t *testing.T) {
	all := (&bencher{Options: &Options{Rows: blockRows, Parked: 100}}).list(&known{keys: []string{keyOf(1)}, parked: []string{"1"}})
	reads := regexp.MustCompile(`"GET (/[^"]*)"`)
	routes := 0
	for _, file := range []string{"../../console/routes.go", "../../api/server.go", "../../api/pages.go"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range reads.FindAllStringSubmatch(string(text), -1) {
			routes++
			route := strings.TrimSuffix(m[1], "{$}")
			if unasked[m[1]] == "" && !slices.ContainsFunc(all, func(p *page) bool {
				return p.route == route || strings.ReplaceAll(p.route, "/replay", "/{act}") == route
			}) {
				t.Errorf("%s: nobody asks for %s", file, route)
			}
		}
	}
	if routes < 50 {
		t.Errorf("%d routes: the test looks for the wrong thing", routes)
	}
}
