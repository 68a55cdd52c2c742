package rest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/waybill-hub/waybill/internal/connector"
)

// How versions are read, and in what form they are compared and stored: RFC 3339 in UTC, or digits.
func TestVersionForms(t *testing.T) {
	for _, tc := range []struct{ format, version, normal, time string }{
		{"auto", "2026-10-01T02:00:00+02:00", "2026-10-01T02:00:00+02:00", "2026-10-01T00:00:00Z"},
		{"auto", "2026-10-01T02:00:00.000+0200", "2026-10-01T00:00:00Z", "2026-10-01T00:00:00Z"},
		{"auto", "/Date(1790812800000)/", "2026-10-01T00:00:00Z", "2026-10-01T00:00:00Z"},
		{"auto", "/Date(1790812800123+0120)/", "2026-10-01T00:00:00.123Z", "2026-10-01T00:00:00.123Z"},
		{"auto", "1790812800", "1790812800", "none"},
		{"auto", "infinity", "infinity", "none"},
		{"date-ms", "/Date(1790812800000+0120)/", "2026-10-01T00:00:00Z", "2026-10-01T00:00:00Z"},
		{"date-ms", "/Date(1790812800000-480)/", "2026-10-01T00:00:00Z", "2026-10-01T00:00:00Z"},
		{"date-ms", "/Date(-1)/", "1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"},
		{"date-ms", "/Date(253402300799999)/", "9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"},
		{"date-ms", "/Date(253402300800000)/", "/Date(253402300800000)/", "none"},
		{"date-ms", "2026-10-01T00:00:00Z", "2026-10-01T00:00:00Z", "2026-10-01T00:00:00Z"}, // as a cursor holds it
		{"date-ms", "1790812800000", "1790812800000", "none"},
		{"unix", "1790812800", "1790812800", "2026-10-01T00:00:00Z"},
		{"unix", "1790812800.25", "1790812800.25", "2026-10-01T00:00:00.25Z"},
		{"unix", "253402300799", "253402300799", "9999-12-31T23:59:59Z"},
		{"unix", "1790812800000", "1790812800000", "none"},
		{"unix-ms", "1790812800123", "1790812800123", "2026-10-01T00:00:00.123Z"},
		{"unix-ms", "253402300799999", "253402300799999", "9999-12-31T23:59:59.999Z"},
	} {
		o := &object{VersionFormat: tc.format}
		got := "none"
		if at, ok := o.versionTime(tc.version); ok {
			got = at.UTC().Format(stampLayout)
		}
		if normal := o.normal(tc.version); normal != tc.normal || got != tc.time {
			t.Errorf("%s %s: %s at %s, want %s at %s", tc.format, tc.version, normal, got, tc.normal, tc.time)
		}
	}
}

// A service of OData V2 shows one and the same instant with different offsets: it is one version, and what changes after it is asked for.
func TestPollByDateMS(t *testing.T) {
	var mu sync.Mutex
	var asked []string
	changed := "/Date(1790812800000+0120)/"
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, r.URL.Query().Get("$filter"))
		fmt.Fprintf(w, `{"d":{"results":[{"id":"1","changed":%q}]}}`, changed)
	}))
	t.Cleanup(srv.Close)
	opened, err := Kind{}.Open(t.Context(), settingsOf(t, `connector: rest
url: `+srv.URL+`
objects:
  item:
    version: changed
    version-format: date-ms
    list: {items: d.results, changed-since: {parameter: $filter, format: "2006-01-02T15:04:05", template: "changed ge datetime'{since}'"}}
`))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { opened.Close() })
	sys := opened.(*system)
	cursor := ""
	poll := func(want ...string) {
		t.Helper()
		page, err := sys.Poll(t.Context(), connector.PollRequest{Object: "item", Cursor: cursor})
		if err != nil || len(page.Records) != len(want) {
			t.Fatalf("%+v %v, want %v", page.Records, err, want)
		}
		for i, r := range page.Records {
			if r.Version != want[i] {
				t.Errorf("version %s, want %s", r.Version, want[i])
			}
		}
		cursor = page.Cursor
	}
	poll("2026-10-01T00:00:00Z")
	poll()
	changed = "/Date(1790812801500-480)/"
	poll("2026-10-01T00:00:01.5Z")
	poll()
	if last := asked[len(asked)-1]; last != "changed ge datetime'2026-10-01T00:00:00'" {
		t.Errorf("asked for %s", last)
	}
}
