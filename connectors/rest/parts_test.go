package rest

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
)

// asking opens a system of one object type, whose service answers by a script; what is not in it is a 404. It gives what was asked.
func asking(t *testing.T, object string, answers map[string]string) (*system, *[]string) {
	t.Helper()
	asked := &[]string{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		ask := r.Method + " " + r.URL.RequestURI()
		*asked = append(*asked, strings.TrimSpace(ask+" "+string(body)))
		answer, ok := answers[ask]
		if !ok {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, answer)
	}))
	t.Cleanup(srv.Close)
	opened, err := Kind{}.Open(t.Context(), settingsOf(t, "connector: rest\nurl: "+srv.URL+"\nobjects:\n  order: "+object+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { opened.Close() })
	return opened.(*system), asked
}

// TestParts: what other addresses show of an object stands in it, whether the object is read alone or in a list; one that is not there is a failure of the object, which does not
// vanish by it.
func TestParts(t *testing.T) {
	object := `{path: orders, version: changed, list: {detail: get}, get: {parts: {lines: {path: "orders/{id}/lines", parameters: {most: "9"}}, notes: {path: notes, parameters: {of: "o-{id}"}, item: data}}}}`
	answers := map[string]string{
		"GET /orders":                `[{"id":"1","changed":"2026-11-30T10:00:00Z"},{"id":"2","changed":"2026-11-30T10:00:01Z"},{"id":"3","changed":"2026-11-30T10:00:02Z"}]`,
		"GET /orders/1":              `{"id":"1","lines":"see there","changed":"2026-11-30T10:00:00Z"}`,
		"GET /orders/1/lines?most=9": `{"more":false,"rows":[{"sku":"A"}]}`,
		"GET /notes?of=o-1":          `{"data":[]}`,
		"GET /orders/2":              `{"id":"2","changed":"2026-11-30T10:00:01Z"}`,
		"GET /orders/3":              `{"id":"3","changed":"2026-11-30T10:00:02Z"}`,
		"GET /orders/3/lines?most=9": `{"more":false,"rows":[]}`,
		"GET /notes?of=o-3":          `{"data":"none"}`,
	}
	sys, _ := asking(t, object, answers)
	judge := func(what string, r connector.Record) {
		t.Helper()
		switch want := map[string]string{"1": `{"id":"1","lines":{"more":false,"rows":[{"sku":"A"}]},"changed":"2026-11-30T10:00:00Z","notes":[]}`}[r.Local]; {
		case want != "" && (string(r.Doc) != want || r.Err != nil):
			t.Errorf("%s: got %s, %v; want %s", what, r.Doc, r.Err, want)
		case r.Local == "2" && (fault.KindOf(r.Err) != fault.Invalid || !strings.Contains(r.Err.Error(), "404")):
			t.Errorf("%s: without its lines it says %v", what, r.Err)
		case r.Local == "3" && fault.KindOf(r.Err) != fault.Invalid:
			t.Errorf("%s: with notes that are none it says %v", what, r.Err)
		}
	}
	page, err := sys.Poll(t.Context(), connector.PollRequest{Object: "order", Reader: "r"})
	if err != nil || len(page.Records) != 3 {
		t.Fatalf("a poll: %d records, %v", len(page.Records), err)
	}
	for _, r := range page.Records {
		judge("a poll", r)
	}
	found, err := sys.Find(t.Context(), connector.Lookup{Object: "order", Local: "1"})
	if err != nil || len(found) != 1 {
		t.Fatalf("a look-up: %v, %v", found, err)
	}
	judge("a look-up", found[0])
	n := 0
	for r, err := range sys.List(t.Context(), "order", time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
		judge("a list", r)
	}
	if n != 3 {
		t.Errorf("listed %d", n)
	}
}

// TestPartsOfAQuotedID: an id stands in a part's parameters as such a literal holds it.
func TestPartsOfAQuotedID(t *testing.T) {
	sys, asked := asking(t, `{path: orders, list: {detail: get}, get: {path: orders, parameters: {q: "id = '{id}'"}, parts: {lines: {path: lines, parameters: {q: "of = '{id}'"}}}}}`, map[string]string{
		"GET /orders?q=id%20%3D%20%27O%27%271%27": `{"id":"O'1"}`,
		"GET /lines?q=of%20%3D%20%27O%27%271%27":  `[]`,
	})
	found, err := sys.Find(t.Context(), connector.Lookup{Object: "order", Local: "O'1"})
	if err != nil || len(found) != 1 || string(found[0].Doc) != `{"id":"O'1","lines":[]}` {
		t.Errorf("found %v, %v; asked %q", found, err, *asked)
	}
}

// TestCreateByTheHubsID: a service makes, or changes, the object of the id that stands in the address.
func TestCreateByTheHubsID(t *testing.T) {
	const id = "7f3e0000-0000-5000-8000-000000000001"
	sys, asked := asking(t, `{path: orders, external-id: key, external-form: compact, create: {method: PATCH, path: "orders/by-key/{external}", answer-id: record, answer: partial}}`,
		map[string]string{"PATCH /orders/by-key/7f3e0000000050008000000000000001": `{"record":"17"}`})
	r, err := sys.Write(t.Context(), connector.Write{Object: "order", Action: connector.Create, External: id, Doc: []byte(`{"n":1}`)})
	if err != nil || r.Local != "17" {
		t.Errorf("made %q, %v", r.Local, err)
	}
	if want := `PATCH /orders/by-key/7f3e0000000050008000000000000001 {"n":1,"key":"7f3e0000000050008000000000000001"}`; strings.Join(*asked, "") != want {
		t.Errorf("asked %q, want %q", *asked, want)
	}
	if _, err := sys.Write(t.Context(), connector.Write{Object: "order", Action: connector.Create, Doc: []byte(`{"n":1}`)}); fault.KindOf(err) != fault.Invalid || len(*asked) != 1 {
		t.Errorf("without an id: %v, asked %q", err, *asked)
	}
}

// TestEndOfACursor: a cursor that the settings call the end is none, where it is a number too, and the page that it stands on counts.
func TestEndOfACursor(t *testing.T) {
	sys := lister(t, `{list: {items: data, paging: {style: cursor, parameter: offset, next: next, end: "-1"}}}`, func(r *http.Request) (http.Header, string) {
		switch at := cmp.Or(r.URL.Query().Get("offset"), "0"); at {
		case "0":
			return nil, `{"next":3,"data":` + rows(1, 3) + `}`
		case "3":
			return nil, `{"next":-1,"data":` + rows(4, 5) + `}`
		default:
			t.Errorf("asked for %s", at)
			return nil, "404"
		}
	})
	if ids := listed(t, sys); len(ids) != 5 {
		t.Errorf("listed %v", ids)
	}
	if ids, err := pollTo(t, sys); len(ids) != 5 || err != nil {
		t.Errorf("polled %v, %v", ids, err)
	}
}
