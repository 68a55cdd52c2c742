package rest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
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
