package rest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
)

// keeper is a service with rows of a reference and a code, and an idea of its own of how they are searched.
type keeper struct {
	mu     sync.Mutex
	rows   []map[string]string
	same   func(have, asked string) bool
	asked  []string
	posted map[string]string
}

func (k *keeper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if r.Method == http.MethodPost {
		_ = json.NewDecoder(r.Body).Decode(&k.posted)
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte(`{"id":"1"}`))
		return
	}
	k.asked = append(k.asked, r.URL.RawQuery)
	found := []map[string]string{}
	for _, row := range k.rows {
		fits := true
		for name, values := range r.URL.Query() {
			fits = fits && k.same(row[name], values[0])
		}
		if fits {
			found = append(found, row)
		}
	}
	_ = json.NewEncoder(w).Encode(found)
}

func byLetter(have, asked string) bool { return have == asked }

func anyCase(have, asked string) bool { return strings.EqualFold(have, asked) }

// A service that does not know the parameter answers with everything.
func everything(string, string) bool { return true }

// A service that searches for a part.
func part(have, asked string) bool { return strings.Contains(have, asked) }

func keeperOf(t *testing.T, k *keeper, form string) connector.System {
	t.Helper()
	s := httptest.NewServer(k)
	t.Cleanup(s.Close)
	sys, err := Kind{}.Open(t.Context(), settingsOf(t, "connector: rest\nurl: "+s.URL+"\nobjects:\n  item: {external-id: ref, external-form: "+form+`, find: {external: {ref: "{external}"}, natural: {code: "{code}"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sys.Close() })
	return sys
}

// What a service answers is compared by the field's own rule, whatever the service itself takes for the same.
func TestFindCompares(t *testing.T) {
	const u = "1297f71c-1905-53e0-bbb7-e253a25632a9"
	external, code := func(v string) connector.Lookup { return connector.Lookup{External: v} }, func(v string, rule connector.Compare) connector.Lookup {
		return connector.Lookup{Natural: map[string]string{"code": v}, Compare: map[string]connector.Compare{"code": rule}}
	}
	older := connector.Lookup{External: u, Older: true}
	for _, c := range []struct {
		name    string
		have    []string
		service func(have, asked string) bool
		form    string
		look    connector.Lookup
		want    int
		calls   int
	}{
		{"as written", []string{u}, byLetter, "uuid", external(u), 1, 1},
		{"given back in capitals", []string{strings.ToUpper(u)}, anyCase, "uuid", external(u), 1, 1},
		{"given back in braces", []string{"{" + strings.ToUpper(u) + "}"}, part, "uuid", external(strings.ToUpper(u)), 0, 1},
		{"given back in braces by a service that ignores the parameter", []string{"{" + strings.ToUpper(u) + "}"}, everything, "uuid", external(u), 1, 1},
		{"another's", []string{u[:35] + "8", "", "A-1"}, everything, "uuid", external(u), 0, 1},
		{"two of one id", []string{u, strings.ToUpper(u)}, anyCase, "uuid", external(u), 2, 1},
		{"compact", []string{strings.ReplaceAll(u, "-", "")}, byLetter, "compact", external(u), 1, 1},
		{"compact, written before as uuid", []string{u}, byLetter, "compact", external(u), 0, 1},
		{"compact, written before as uuid, in doubt", []string{u}, byLetter, "compact", older, 1, 2},
		{"base32, written before as compact, in doubt", []string{strings.ReplaceAll(u, "-", "")}, byLetter, "base32", older, 1, 3},
		{"kept in capitals and searched by the letter, in doubt", []string{strings.ToUpper(u)}, byLetter, "uuid", older, 1, 4},
		{"nothing, in doubt", nil, byLetter, "uuid", older, 0, 4},
		{"exactly", []string{"ann@example.com"}, anyCase, "uuid", code("Ann@Example.com", connector.Exact), 0, 1},
		{"folded", []string{"ann@example.com"}, anyCase, "uuid", code("Ann@Example.com", connector.Fold), 1, 1},
		{"folded, searched by the letter", []string{"ann@example.com"}, byLetter, "uuid", code("Ann@Example.com", connector.Fold), 1, 2},
		{"folded, a part is no match", []string{"joann@example.com"}, part, "uuid", code("ann@example.com", connector.Fold), 0, 1},
		{"folded, two", []string{"ann@example.com", "ANN@EXAMPLE.COM"}, anyCase, "uuid", code("Ann@Example.com", connector.Fold), 2, 1},
		{"padded", []string{"0000071000"}, part, "uuid", code("71000", connector.Number), 1, 1},
		{"padded here", []string{"71000"}, byLetter, "uuid", code("0000071000", connector.Number), 1, 2},
		{"padded, exactly", []string{"0000071000"}, part, "uuid", code("71000", ""), 0, 1},
		{"another number", []string{"710001"}, part, "uuid", code("71000", connector.Number), 0, 1},
		{"a GUID as natural key", []string{strings.ToUpper(u)}, anyCase, "uuid", code("{"+u+"}", connector.UUID), 1, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := &keeper{same: c.service}
			for _, v := range c.have {
				k.rows = append(k.rows, map[string]string{"id": "9", "ref": v, "code": v})
			}
			c.look.Object = "item"
			got, err := keeperOf(t, k, c.form).(connector.Finder).Find(t.Context(), c.look)
			if err != nil || len(got) != c.want {
				t.Errorf("%d found, want %d: %v; asked %v", len(got), c.want, err, k.asked)
			}
			if len(k.asked) != c.calls {
				t.Errorf("%d calls, want %d: %v", len(k.asked), c.calls, k.asked)
			}
		})
	}
}

func TestCreateWritesTheForm(t *testing.T) {
	const u = "1297f71c-1905-53e0-bbb7-e253a25632a9"
	for _, form := range []string{"uuid", "compact", "base32"} {
		k := &keeper{same: byLetter}
		_, err := keeperOf(t, k, form).(connector.Sink).Write(t.Context(), connector.Write{Object: "item", Action: connector.Create, External: u, Doc: []byte(`{"code":"A"}`)})
		if want := connector.ExternalForm(form).Write(u); err != nil || k.posted["ref"] != want {
			t.Errorf("%s: %q, want %q: %v", form, k.posted["ref"], want, err)
		}
	}
}

// TestFindForbidden: a search that the service refuses says nothing of the object, and its message waits; one object by its id may be kept from the hub.
func TestFindForbidden(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(`{"message":"role INTEGRATION may not read items"}`))
	}))
	t.Cleanup(s.Close)
	sys, err := Kind{}.Open(t.Context(), settingsOf(t, "connector: rest\nurl: "+s.URL+`
objects:
  item: {external-id: ref, get: {path: "/item/{id}"}, find: {external: {ref: "{external}"}, natural: {code: "{code}"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sys.Close() })
	for name, tt := range map[string]struct {
		l    connector.Lookup
		want fault.Kind
	}{
		"by external id": {connector.Lookup{Object: "item", External: "1297f71c-1905-53e0-bbb7-e253a25632a9"}, fault.Unavailable},
		"by natural key": {connector.Lookup{Object: "item", Natural: map[string]string{"code": "x"}}, fault.Unavailable},
		"by its id":      {connector.Lookup{Object: "item", Local: "1"}, fault.Invalid},
	} {
		_, err := sys.(connector.Finder).Find(t.Context(), tt.l)
		if f, ok := fault.As(err); !ok || f.Kind != tt.want || f.Code != "403" || !strings.Contains(err.Error(), "role INTEGRATION may not read items") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestOneParameterOfAName: what changed-since and a look-up ask under the name of a list's own parameter stands in its place, so that one whole query is sent.
func TestOneParameterOfAName(t *testing.T) {
	var asked []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, strings.Join(r.URL.Query()["q"], " AND ")+" "+r.URL.Query().Get("all"))
		_, _ = io.WriteString(w, `{"records":[{"Id":"1","at":"2026-01-10T13:00:00Z","code":"x"}],"done":true}`)
	}))
	t.Cleanup(srv.Close)
	sys, err := Kind{}.Open(t.Context(), settingsOf(t, `connector: rest
url: `+srv.URL+`
objects:
  order:
    id: Id
    version: at
    list:
      items: records
      parameters: {q: "every one", all: "yes"}
      changed-since: {parameter: q, template: "those since {since}"}
      order: changed
      paging: {style: next-url, next: next, last: done, stable: true}
    find: {natural: {q: "that of {code}"}}
`))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sys.Close() })
	cursor := ""
	for range 2 {
		p, err := sys.(connector.Poller).Poll(t.Context(), connector.PollRequest{Object: "order", Cursor: cursor})
		if err != nil {
			t.Fatal(err)
		}
		cursor = p.Cursor
	}
	if found, err := sys.(connector.Finder).Find(t.Context(), connector.Lookup{Object: "order", Natural: map[string]string{"code": "x"}}); err != nil || len(found) != 1 {
		t.Fatalf("%v %v", found, err)
	}
	for r, err := range sys.(connector.Lister).List(t.Context(), "order", time.Date(2026, 1, 10, 12, 0, 0, 0, time.UTC)) {
		if err != nil || r.Local != "1" {
			t.Fatalf("%v %v", r, err)
		}
	}
	if want := []string{"every one yes", "those since 2026-01-10T12:59:59Z yes", "that of x yes", "those since 2026-01-10T11:59:59Z yes"}; !slices.Equal(asked, want) {
		t.Errorf("asked %q, want %q", asked, want)
	}
}
