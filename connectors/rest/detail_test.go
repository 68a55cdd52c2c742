package rest

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// TestDetail: a service lists orders without their lines, and shows them one by one, with other names for id and stamp. Polls, lists and look-ups give whole orders; one that is deleted between list and look is not there, one that cannot
// be read is told alone, and a service that is away meanwhile loses nothing.
func TestDetail(t *testing.T) {
	away := 0
	asked := []string{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.URL.Query().Get("key")
		if r.URL.Query().Get("tenant") != "t 1" {
			t.Errorf("asked without the tenant: %s", r.URL)
		}
		if r.URL.Path == "/orders" {
			rows := []string{}
			for i := 1; i <= 4; i++ {
				if no := r.URL.Query().Get("no"); no == "" || no == fmt.Sprint("N", i) {
					rows = append(rows, fmt.Sprintf(`{"fid":"%d","no":"N%d","changed":"2026-11-30T10:00:0%dZ"}`, i, i, i))
				}
			}
			fmt.Fprintf(w, `[%s]`, strings.Join(rows, ","))
			return
		}
		asked = append(asked, id)
		switch {
		case id == "2":
			http.NotFound(w, r)
		case id == "3":
			fmt.Fprint(w, `{"order":[]}`)
		case id == "4" && away > 0:
			away--
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			fmt.Fprintf(w, `{"order":{"key":"%s","stamp":"2026-11-30T10:00:0%sZ","lines":[{"sku":"A"}]}}`, id, id)
		}
	}))
	defer srv.Close()
	opened, err := Kind{}.Open(t.Context(), settingsOf(t, "connector: rest\nurl: "+srv.URL+"\nparameters: {tenant: t 1}\nobjects:\n  order: {path: orders, id: fid, version: changed, list: {detail: get}, get: {path: order, parameters: {key: \"{id}\"}, item: order, id: key, version: stamp}, find: {natural: {no: \"{no}\"}}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	sys := opened.(*system)
	sys.clock = hasty{sys.clock}
	judge := func(what string, got []connector.Record) {
		t.Helper()
		ids := ""
		for _, r := range got {
			ids += r.Local
			switch {
			case r.Local == "3" && fault.KindOf(r.Err) != fault.Invalid:
				t.Errorf("%s: what cannot be read says %v", what, r.Err)
			case r.Local != "3" && (!strings.Contains(string(r.Doc), `"lines"`) || !strings.Contains(r.Version, ":0"+r.Local) || r.Err != nil):
				t.Errorf("%s: got %s at %s, %v", what, r.Doc, r.Version, r.Err)
			}
		}
		if ids != "134" {
			t.Errorf("%s: got the orders %s, want 134", what, ids)
		}
	}

	away = 1
	if _, err := sys.Poll(t.Context(), connector.PollRequest{Object: "order", Reader: "r"}); fault.KindOf(err) != fault.Unavailable {
		t.Fatalf("a poll while the service is away: %v", err)
	}
	page, err := sys.Poll(t.Context(), connector.PollRequest{Object: "order", Reader: "r"})
	if err != nil {
		t.Fatal(err)
	}
	judge("poll", page.Records)
	asked = nil
	if page, err = sys.Poll(t.Context(), connector.PollRequest{Object: "order", Cursor: page.Cursor, Reader: "r"}); err != nil || len(page.Records) != 0 || slices.Contains(asked, "1") {
		t.Errorf("a poll of what is known: %d records, %v asked for, %v", len(page.Records), asked, err)
	}

	away = 1
	var all []connector.Record
	for r, err := range sys.List(t.Context(), "order", time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	judge("list", all)

	for no, want := range map[string]int{"N1": 1, "N2": 0} {
		found, err := sys.Find(t.Context(), connector.Lookup{Object: "order", Natural: map[string]string{"no": no}})
		if err != nil || len(found) != want || want == 1 && !strings.Contains(string(found[0].Doc), "lines") {
			t.Errorf("find %s: %v, %v", no, found, err)
		}
	}
	found, err := sys.Find(t.Context(), connector.Lookup{Object: "order", Local: "4"})
	if err != nil || len(found) != 1 || found[0].Local != "4" || !strings.HasPrefix(found[0].Version, "2026-11-30T10:00:04") {
		t.Errorf("find by id: %v, %v", found, err)
	}
}

// TestDetailDeleted: what says that an object is deleted may stand where the object is shown alone.
func TestDetailDeleted(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/orders" {
			fmt.Fprint(w, `[{"id":"1","changed":"2026-11-30T10:00:01Z"},{"id":"2","changed":"2026-11-30T10:00:02Z"}]`)
			return
		}
		fmt.Fprintf(w, `{"id":"%s","gone":%v}`, strings.TrimPrefix(r.URL.Path, "/orders/"), r.URL.Path == "/orders/2")
	}))
	defer srv.Close()
	sys, err := Kind{}.Open(t.Context(), settingsOf(t, "connector: rest\nurl: "+srv.URL+"\nobjects:\n  order: {path: orders, version: changed, deleted: gone, list: {detail: get}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	defer sys.Close()
	page, err := sys.(connector.Poller).Poll(t.Context(), connector.PollRequest{Object: "order", Reader: "r"})
	if err != nil || len(page.Records) != 2 || page.Records[0].Deleted || !page.Records[1].Deleted {
		t.Errorf("%+v, %v", page.Records, err)
	}
}

// TestDeletedValue: the value that says that an object is deleted may be one that is otherwise none, as of a field that says that it is active.
func TestDeletedValue(t *testing.T) {
	for _, tc := range []struct {
		value, doc string
		want       bool
	}{
		{"", `{"x":true}`, true}, {"", `{"x":"gone"}`, true}, {"", `{"x":false}`, false}, {"", `{"x":0}`, false}, {"", `{}`, false},
		{"false", `{"x":false}`, true}, {"false", `{"x":true}`, false}, {"false", `{"x":null}`, false}, {"false", `{}`, false},
		{"0", `{"x":0}`, true}, {"0", `{"x":1}`, false}, {"trash", `{"x":"trash"}`, true}, {"trash", `{"x":"publish"}`, false},
	} {
		o := &object{ID: "id", Deleted: "x", DeletedValue: tc.value}
		doc, err := jsondoc.Parse([]byte(tc.doc), jsondoc.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if got := o.record(doc.Root(), "", time.Time{}).Deleted; got != tc.want {
			t.Errorf("deleted-value %q, %s: %v", tc.value, tc.doc, got)
		}
	}
}

// TestParametersOfNextPages: the address of the next page that a service names repeats the parameters of every request, and the token, and each goes along once; the
// token is in no cursor.
func TestParametersOfNextPages(t *testing.T) {
	t.Setenv("LOGIN_SECRET", "hush-hush")
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		switch {
		case r.URL.Path == "/token":
			fmt.Fprint(w, `{"token":"t-1234"}`)
		case len(q["tenant"]) != 1 || len(q["token"]) != 1 || q.Get("token") != "t-1234":
			t.Errorf("asked with %s", r.URL.RawQuery)
		case q.Get("page") == "2":
			fmt.Fprint(w, `{"data":[{"id":"2","changed":"2026-11-30T10:00:02Z"}]}`)
		default:
			fmt.Fprintf(w, `{"data":[{"id":"1","changed":"2026-11-30T10:00:01Z"}],"next":"/orders?page=2&%s"}`, r.URL.RawQuery)
		}
	}))
	defer srv.Close()
	sys, err := Kind{}.Open(t.Context(), settingsOf(t, "connector: rest\nurl: "+srv.URL+"\nparameters: {tenant: t 1}\nauth: {login: {path: token, secret: \"${env:LOGIN_SECRET}\", token: token, parameter: token}}\n"+
		"objects:\n  order: {path: orders, version: changed, list: {items: data, paging: {style: next-url, next: next, stable: true}}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	defer sys.Close()
	cursor, ids := "", ""
	for range 2 {
		page, err := sys.(connector.Poller).Poll(t.Context(), connector.PollRequest{Object: "order", Cursor: cursor, Limit: 1, Reader: "r"})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Records {
			ids += r.Local
		}
		if cursor = page.Cursor; strings.Contains(cursor, "t-1234") {
			t.Errorf("the cursor holds the token: %s", cursor)
		}
	}
	if ids != "12" {
		t.Errorf("got the orders %s, want 12", ids)
	}
}

// TestRows: a service that is asked in a body shows an order as rows, one for each of its lines, and its failures as lists of lists; no rows are no order.
func TestRows(t *testing.T) {
	lost := true
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch {
		case lost:
			fmt.Fprint(w, `[[{"Result":{"Status":{"Ok":false,"Code":4,"Errors":[{"Message":"the table is locked"}]}}}]]`)
		case string(body) == `{"filter":"fid=7"}`:
			fmt.Fprint(w, `[{"fid":7,"no":"N7","line.sku":"A","qty":1.50},{"fid":7,"no":"N7","line.sku":"B","qty":2}]`)
		default:
			fmt.Fprint(w, `[]`)
		}
	}))
	defer srv.Close()
	opened, err := Kind{}.Open(t.Context(), settingsOf(t, "connector: rest\nurl: "+srv.URL+"\nerrors: {code: Result.Status.Code | *.*.Result.Status.Code, message: Result.Status.Errors.*.Message | *.*.Result.Status.Errors.*.Message, kinds: {\"4\": unavailable}}\n"+
		"objects:\n  order: {path: query, id: fid, get: {body: {filter: \"fid={id}\"}, rows: lines}, list: {body: {}}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	sys := opened.(*system)
	if _, err := sys.Find(t.Context(), connector.Lookup{Object: "order", Local: "7"}); fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "the table is locked") {
		t.Errorf("a failure: %v", err)
	}
	lost = false
	found, err := sys.Find(t.Context(), connector.Lookup{Object: "order", Local: "7"})
	if want := `{"fid":7,"no":"N7","line.sku":"A","qty":1.50,"lines":[{"fid":7,"no":"N7","line.sku":"A","qty":1.50},{"fid":7,"no":"N7","line.sku":"B","qty":2}]}`; err != nil || len(found) != 1 || found[0].Local != "7" || string(found[0].Doc) != want {
		t.Errorf("got %v, %v", found, err)
	}
	if found, err := sys.Find(t.Context(), connector.Lookup{Object: "order", Local: "8"}); err != nil || len(found) != 0 {
		t.Errorf("none: %v, %v", found, err)
	}
}

// TestBodyBesideDocument: what a body holds at the document's place goes along with every document, which stands above it.
func TestBodyBesideDocument(t *testing.T) {
	for _, tc := range []struct{ body, path, doc, want string }{
		{`{"data":{"Model":{"FID":7,"note":"none"}}}`, "data.Model", `{"note":"mine","a.b":1}`, `{"data":{"Model":{"FID":7,"note":"mine","a.b":1}}}`},
		{`{"vals":{}}`, "vals", `{"b":1,"a":2}`, `{"vals":{"b":1,"a":2}}`},
		{`{"list":[]}`, "list.0", `{"b":1}`, `{"list":[{"b":1}]}`},
	} {
		got, err := beside([]byte(tc.body), tc.path, []byte(tc.doc))
		if err != nil || string(got) != tc.want {
			t.Errorf("got %s, %v, want %s", got, err, tc.want)
		}
	}
}
