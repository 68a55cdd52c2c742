package rest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// answering serves one answer to everything.
func answering(t *testing.T, status int, header map[string]string, body string, object string) *system {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for k, v := range header {
			w.Header().Set(k, v)
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}))
	t.Cleanup(srv.Close)
	return open(t, &shop{url: srv.URL}, object)
}

func create(t *testing.T, sys *system) (connector.Result, error) {
	return sys.Write(t.Context(), connector.Write{Object: "item", Action: connector.Create, External: "ext-1", Doc: []byte(`{"a":1}`)})
}

func TestAnswersToACreate(t *testing.T) {
	cases := []struct {
		name   string
		status int
		header map[string]string
		body   string
		object string
		local  string
		doc    bool
		want   fault.Kind
	}{
		{"object", 201, nil, `{"id":17,"a":1}`, common, "17", true, fault.None},
		{"string id", 201, nil, `{"id":"0017"}`, common, "0017", true, fault.None},
		{"location", 201, map[string]string{"Location": "/api/items/a%2Fb?x=1"}, ``, common, "a/b", false, fault.None},
		{"location with a slash", 201, map[string]string{"Location": "https://elsewhere/items/9/"}, ``, common, "9", false, fault.None},
		{"partial", 201, nil, `{"id":"5","success":true}`, common + "create: {answer: partial}", "5", false, fault.None},
		{"list in a wrapper", 200, nil, `{"d":{"results":[{"id":"8"}]}}`, common + "create: {item: d.results.0}", "8", true, fault.None},
		{"another id", 200, nil, `{"data":{"key":"8"}}`, common + "create: {item: data, answer-id: key}", "8", false, fault.None},
		{"no id", 201, nil, `{"ok":true}`, common, "", false, fault.UnknownOutcome},
		{"nothing", 204, nil, ``, common, "", false, fault.UnknownOutcome},
		{"a web page", 200, nil, `<html>Log in</html>`, common, "", false, fault.UnknownOutcome},
		{"null id", 201, nil, `{"id":null}`, common, "", false, fault.UnknownOutcome},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			sys := answering(t, tc.status, tc.header, tc.body, tc.object)
			r, err := create(t, sys)
			if fault.KindOf(err) != tc.want || r.Local != tc.local || (r.Doc != nil) != tc.doc {
				t.Errorf("%+v %v", r, err)
			}
		})
	}
}

func TestErrorCodes(t *testing.T) {
	body := `[{"errorCode":"UNABLE_TO_LOCK","message":"row is locked, key ` + key + `"}]`
	sys := answering(t, 400, nil, body, common)
	sys.set.Errors = errorSettings{Message: "0.message", Code: "0.errorCode", Kinds: map[string]string{"UNABLE_TO_LOCK": "unavailable", "418": "invalid"}}
	_, err := create(t, sys)
	f, _ := fault.As(err)
	if f.Kind != fault.Unavailable || f.Code != "400 UNABLE_TO_LOCK" || f.Err.Error() != "row is locked, key [secret]" {
		t.Errorf("%+v", f)
	}
	sys = answering(t, 409, nil, `{"error":{"code":"VERSION"}}`, common)
	sys.set.Errors.Kinds = map[string]string{"VERSION": "conflict"}
	if _, err = create(t, sys); fault.KindOf(err) != fault.Conflict {
		t.Error(err)
	} else if f, _ := fault.As(err); f.Duplicate {
		t.Errorf("a code that means conflict is no duplicate: %v", err)
	}
}

func TestWhatAWriteSends(t *testing.T) {
	s := newShop(t, "none")
	sys := open(t, s, list("none", "")+"\ncreate: {content-type: application/vnd.shop+json}")
	r, err := sys.Write(t.Context(), connector.Write{Object: "item", Action: connector.Create, External: "ext-1", IdempotencyKey: "k-1",
		Doc: []byte(`{"code":"A","externalId":"somebody's","amount":12345678901234567890.10}`)})
	if err != nil {
		t.Fatal(err)
	}
	h := s.headers[len(s.headers)-1]
	if h.Get("Idempotency-Key") != "k-1" || h.Get("Content-Type") != "application/vnd.shop+json" || h.Get("X-Key") != key {
		t.Errorf("%v", h)
	}
	if !strings.Contains(string(r.Doc), `"externalId":"ext-1"`) || !strings.Contains(string(r.Doc), "12345678901234567890.10") {
		t.Errorf("%s", r.Doc)
	}
	if _, err := sys.Write(t.Context(), connector.Write{Object: "item", Action: connector.Update, Local: r.Local, ETag: r.ETag, Doc: []byte(`{"a":1}`)}); err != nil {
		t.Fatal(err)
	}
	if got := s.headers[len(s.headers)-1].Get("If-Match"); got != r.ETag || got == "" {
		t.Errorf("If-Match %q, want %q", got, r.ETag)
	}
	for _, bad := range []string{"", ".", ".."} {
		for _, a := range []connector.Action{connector.Update, connector.Delete} {
			if _, err := sys.Write(t.Context(), connector.Write{Object: "item", Action: a, Local: bad, Doc: []byte(`{}`)}); fault.KindOf(err) != fault.Invalid {
				t.Errorf("%s of %q: %v", a, bad, err)
			}
		}
	}
	s.asked()
	_, err = sys.Write(t.Context(), connector.Write{Object: "item", Action: connector.Delete, Local: "a/../b c?"})
	if got := s.asked(); fault.KindOf(err) != fault.NotFound || got[0] != "DELETE /api/items/a%2F..%2Fb%20c%3F" {
		t.Errorf("%v %v", got, err)
	}
}

// A complete update carries over what it does not change, and notices what somebody else changed in between.
func TestPutMerges(t *testing.T) {
	s := newShop(t, "none")
	s.put = true
	sys := open(t, s, list("none", "")+"\nupdate: {style: put, omit: [updatedAt, lock]}")
	r, err := sys.Write(t.Context(), connector.Write{Object: "item", Action: connector.Create, Doc: []byte(`{"code":"A","price":1.10,"dims":{"h":1,"w":2},"tags":["x","y"]}`)})
	if err != nil {
		t.Fatal(err)
	}
	r, err = sys.Write(t.Context(), connector.Write{Object: "item", Action: connector.Update, Local: r.Local, Doc: []byte(`{"dims":{"w":3},"tags":["z"],"note":null}`)})
	if err != nil {
		t.Fatal(err)
	}
	got, _ := jsondoc.Parse(r.Doc, jsondoc.Limits{})
	for path, want := range map[string]string{"code": `"A"`, "price": `1.10`, "dims.h": "1", "dims.w": "3", "tags": `["z"]`, "note": "null"} {
		if raw := string(got.Root().GetPath(path).Raw()); raw != want {
			t.Errorf("%s: %s, want %s", path, raw, want)
		}
	}
	s.refuse = func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method == "PUT" {
			s.outside(0, 9, time.Now())
			s.mu.Lock()
			s.items[r.Local]["lock"] = 99
			s.mu.Unlock()
		}
		return false
	}
	_, err = sys.Write(t.Context(), connector.Write{Object: "item", Action: connector.Update, Local: r.Local, Doc: []byte(`{"price":2}`)})
	if fault.KindOf(err) != fault.Conflict {
		t.Errorf("a change between reading and writing: %v", err)
	}
}

func TestTokenInTheBody(t *testing.T) {
	var got map[string]any
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewDecoder(r.Body).Decode(&got)
		io.WriteString(w, `{"id":"1","lockVersion":8}`)
	}))
	t.Cleanup(srv.Close)
	y := strings.Replace(config(srv.URL, common), "etag: header", "etag: body\n    etag-field: lockVersion", 1)
	sys, err := Kind{}.Open(t.Context(), settingsOf(t, y))
	if err != nil {
		t.Fatal(err)
	}
	defer sys.Close()
	r, err := sys.(connector.Sink).Write(t.Context(), connector.Write{Object: "item", Action: connector.Update, Local: "1", ETag: "7", Doc: []byte(`{"a":1}`)})
	if err != nil || got["lockVersion"] != 7.0 || r.ETag != "8" {
		t.Errorf("%v %v %v", got, r, err)
	}
}

func TestNoLookup(t *testing.T) {
	s := newShop(t, "none")
	sys := open(t, s, "list: {items: items}")
	_, err := sys.Find(t.Context(), connector.Lookup{Object: "item", External: "x"})
	if !errors.Is(err, connector.ErrNoLookup) || fault.KindOf(err) != fault.Invalid {
		t.Errorf("%v", err)
	}
	sys = open(t, s, common+"list: {items: items}")
	_, err = sys.Find(t.Context(), connector.Lookup{Object: "item", Natural: map[string]string{"colour": "red"}})
	if !errors.Is(err, connector.ErrNoLookup) {
		t.Errorf("%v", err)
	}
}

// A service that does not know a parameter answers with everything: the first of that must not be adopted.
func TestSearchesAreComparedAgain(t *testing.T) {
	sys := answering(t, 200, nil, `{"items":[{"id":"1","externalId":"other","code":"A"},{"id":"2","externalId":null,"code":7}]}`, common+"list: {items: items}")
	for _, l := range []connector.Lookup{{External: "x"}, {Natural: map[string]string{"code": "B"}}} {
		l.Object = "item"
		if got, err := sys.Find(t.Context(), l); err != nil || len(got) != 0 {
			t.Errorf("%+v: %v %v", l, got, err)
		}
	}
	got, err := sys.Find(t.Context(), connector.Lookup{Object: "item", Natural: map[string]string{"code": "7"}})
	if err != nil || len(got) != 1 || got[0].Local != "2" {
		t.Errorf("%v %v", got, err)
	}
	page := 0
	s := newShop(t, "none")
	s.refuse = func(w http.ResponseWriter, r *http.Request) bool {
		page++
		fmt.Fprintf(w, `{"items":[{"id":"%d","externalId":"o"}],"next":"?p=%d"}`, page, page)
		return true
	}
	sys = open(t, s, list("next-url", ""))
	if _, err := sys.Find(t.Context(), connector.Lookup{Object: "item", External: "x"}); fault.KindOf(err) != fault.Invalid || page > 25 {
		t.Errorf("after %d pages: %v", page, err)
	}
}

func TestReadingNonsense(t *testing.T) {
	for body, want := range map[string]fault.Kind{`{"items":{}}`: fault.Invalid, `{"things":[]}`: fault.Invalid, `[`: fault.Invalid,
		// A page for people, or nothing, is in the way of every message alike: none of them is parked for it.
		`<html>`: fault.Unavailable, " <!DOCTYPE html><title>Log in</title>": fault.Unavailable, ``: fault.Unavailable} {
		sys := answering(t, 200, nil, body, list("none", ""))
		if _, err := sys.Poll(t.Context(), connector.PollRequest{Object: "item"}); fault.KindOf(err) != want {
			t.Errorf("%s: %v, want %s", body, err, want)
		}
		if _, err := sys.Find(t.Context(), connector.Lookup{Object: "item", Natural: map[string]string{"code": "7"}}); fault.KindOf(err) != want {
			t.Errorf("find: %s: %v, want %s", body, err, want)
		}
	}
}
