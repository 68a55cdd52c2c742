package console

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/waybill-hub/waybill/internal/access"
	"github.com/waybill-hub/waybill/internal/api"
)

// crowd is a hub that tells everybody something else, by what he may see, and notes for whom it was asked. Its news are the same until a test says otherwise.
type crowd struct {
	*desk
	mu     sync.Mutex
	asking []access.Visitor
	header []http.Header
	// begun, where it is not nil, hears of each question, which is answered when something comes from release.
	begun, release chan struct{}
}

func toldTo(v access.Visitor) string { return fmt.Sprint("told-", v.Role, v.Scopes) }

func tell(answer []byte, v access.Visitor) []byte {
	return []byte(strings.NewReplacer("crm", "crm-"+toldTo(v), `"sql"`, `"sql-`+toldTo(v)+`"`, "invalid erp", "invalid "+toldTo(v)+" erp").Replace(string(answer)))
}

func (c *crowd) Ask(r *http.Request, method, path string, header http.Header, body []byte) *api.Answer {
	if c.begun != nil {
		c.begun <- struct{}{}
		<-c.release
	}
	if err := r.Context().Err(); err != nil {
		body, _ := json.Marshal(api.Problem{Status: 503, Detail: err.Error()})
		return &api.Answer{Status: 503, Header: http.Header{}, Body: body}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	v := access.Of(r.Context())
	c.asking, c.header = append(c.asking, v), append(c.header, r.Header)
	a := c.desk.Ask(r, method, path, header, body)
	a.Body = tell(a.Body, v)
	return a
}

func (c *crowd) Glance(r *http.Request) (*api.Status, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	st, err := c.desk.Glance(r)
	if err == nil {
		data, _ := json.Marshal(st)
		st = &api.Status{}
		err = json.Unmarshal(tell(data, access.Of(r.Context())), st)
	}
	return st, err
}

func (c *crowd) News() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.desk.News()
}

func gathered() *crowd {
	hub := busy()
	hub.news = 1
	hub.answers["GET /api/v1/parked"] = api.Page{}
	hub.answers["GET /api/v1/parked/codes"] = map[string]any{"codes": []api.UnknownCode{{Map: "units", System: "crm", Code: "crate", Direction: "system", Count: 1, File: "units.yaml", Cause: "c0ffee00", Flows: []string{"calm"}}}}
	hub.answers["GET /api/v1/flows/calm"] = api.FlowDefinition{By: "poll", File: "flows/calm.yaml", Line: 3, Topic: "t"}
	hub.answers["GET /api/v1/flows/calm/journal"] = api.Fates{}
	hub.answers["GET /api/v1/reconciliations/customers/runs"] = api.Runs{}
	hub.answers["GET /api/v1/rules/terms/runs"] = api.Runs{}
	hub.answers["GET /api/v1/rules"] = map[string]any{"rules": []api.Rule{{Name: "terms", Systems: []string{"crm"}, Standing: api.Standing{State: "never-run", Stands: "never-run"}}}}
	hub.answers["GET /api/v1/runs/7"] = api.Run{ID: 7, Name: "customers", Kind: "reconciliation", State: "running", Detail: "of the crm"}
	return &crowd{desk: hub}
}

// alikePaths are addresses of the pages that several readers share, by pattern.
var alikePaths = map[string]string{"GET /{$}": "/", "GET /console/flows/{name}": "/console/flows/calm", "GET /console/systems/{name}": "/console/systems/erp", "GET /console/codes": "/console/codes", "GET /console/map": "/console/map",
	"GET /console/reconciliations": "/console/reconciliations", "GET /console/reconciliations/{name}": "/console/reconciliations/customers", "GET /console/rules/{name}": "/console/rules/terms", "GET /console/runs/{id}": "/console/runs/7",
	"GET /console/parked": "/console/parked"}

// as is a visit of somebody, of a whole page or of what is new of it.
func as(c *Console, v access.Visitor, path string, part bool) *httptest.ResponseRecorder {
	return visit(c, "GET", path, nil, func(r *http.Request) {
		*r = *r.WithContext(access.With(r.Context(), v))
		r.AddCookie(&http.Cookie{Name: "waybill", Value: "sealed-" + v.Name})
		r.Header.Set(api.UserHeader, v.Name)
		if part {
			r.Header.Set(partHeader, "main")
		}
	})
}

// people are two of each kind of rights.
func people() (all []access.Visitor) {
	for _, role := range access.Roles {
		for _, scopes := range [][]access.Scope{nil, {access.Status}, {access.Messages}, {access.Comparisons, access.Status}, {access.Messages, access.Status, access.Flows}} {
			for _, name := range []string{"ann", "bob"} {
				who := fmt.Sprint(name, role, len(scopes), scopes)
				who = strings.NewReplacer("[", "", "]", "", " ", "").Replace(who)
				all = append(all, access.Visitor{Name: "name-" + who, Role: role, Scopes: scopes, CSRF: "csrf-" + who, Session: true})
			}
		}
	}
	return all
}

// Pages that several readers share are shared by those who may see the same, and by nobody else: no page tells anybody what was told to somebody who may see more, or less. Each has its
// reader's own name and sign in it and nobody else's; what is sent of an open page has neither. The hub is asked for nobody: by nothing of what one reader has sent.
func TestAlikeByRights(t *testing.T) {
	everybody := people()
	for _, route := range (&Console{}).routes() {
		if !route.alike {
			continue
		}
		path := alikePaths[route.pattern]
		if path == "" {
			t.Errorf("%s is shared, and this test does not ask for it", route.pattern)
			continue
		}
		hub := gathered()
		c := open(hub)
		shown, forms := 0, 0
		for range 2 { // what the second round is shown was made in the first
			for i := range everybody {
				v := everybody[i]
				if !v.May(route.need) {
					continue
				}
				asked := len(hub.asking)
				whole, part := as(c, v, path, false), as(c, v, path, true)
				shown++
				if i%2 == 1 && len(hub.asking) != asked {
					t.Errorf("%s: %s is shown a page that was made anew", path, v.Name)
				}
				for _, w := range []*httptest.ResponseRecorder{whole, part} {
					body := w.Body.String()
					if w.Code != 200 || !strings.Contains(body, toldTo(v)) || !strings.Contains(body, `<main id="main"`) || !strings.Contains(body, `<span id="rendered">`) || strings.Contains(body, c.seal) {
						t.Fatalf("%s of %s: %d %s", path, v.Name, w.Code, body)
					}
					for _, other := range everybody {
						if toldTo(other) != toldTo(v) && strings.Contains(body, toldTo(other)) {
							t.Errorf("%s: %s is told what is for %s", path, v.Name, other.Name)
						}
						if own := other.Name == v.Name && w == whole; !own && (strings.Contains(body, other.Name) || strings.Contains(body, `"`+other.CSRF+`"`)) {
							t.Errorf("%s: %s is shown what is %s's own: %s", path, v.Name, other.Name, body)
						}
					}
					if w == whole && (!strings.Contains(body, v.Name) || !strings.Contains(body, `name="csrf" value="`+v.CSRF+`"`)) {
						t.Errorf("%s: what is %s's own is missing: %s", path, v.Name, body)
					}
				}
				forms += strings.Count(part.Body.String(), `name="csrf" value=""`)
				if own := part.Header().Get(access.CSRFHeader); own != v.CSRF || whole.Header().Get(access.CSRFHeader) != "" {
					t.Errorf("%s: %s's sign is %q", path, v.Name, own)
				}
			}
		}
		if shown == 0 || forms == 0 && strings.Contains(path, "flows") {
			t.Errorf("%s: %d shown, %d forms", path, shown, forms)
		}
		for i, v := range hub.asking {
			if v.Name != "" || v.Session || v.CSRF != c.seal || len(hub.header[i]) > 0 {
				t.Errorf("%s: the hub is asked for %+v with %v", path, v, hub.header[i])
			}
		}
	}
}

// Readers of other languages, or at other addresses, are shown other pages.
func TestAlikeByLanguageAndAddress(t *testing.T) {
	c := open(gathered())
	for range 2 {
		for lang, want := range map[string]string{"en": "Overview", "zh": "总览"} {
			for _, part := range []string{"", "main"} {
				w := visit(c, "GET", "/", nil, func(r *http.Request) { r.Header.Set("Accept-Language", lang); r.Header.Set(partHeader, part) })
				has(t, w, 200, "<title>"+want)
				w = visit(c, "GET", "/", nil, func(r *http.Request) {
					r.AddCookie(&http.Cookie{Name: langCookie, Value: lang})
					r.Header.Set(partHeader, part)
				})
				has(t, w, 200, "<title>"+want)
			}
		}
		has(t, visit(c, "GET", "/?state=paused", nil, nil), 200, "∌flow-calm", "flow-shut")
		has(t, visit(c, "GET", "/?said=pause", nil, nil), 200, `class="said"`)
		has(t, visit(c, "GET", "/", nil, nil), 200, "flow-calm", `∌class="said"`)
	}
}

// A page is made anew of each news, and while it is made whoever wants it waits for it; that its first reader goes changes nothing for the others. One that says what is wrong is not kept.
func TestAlikeIsOfNow(t *testing.T) {
	hub := gathered()
	c := open(hub)
	const path = "/console/codes"
	hub.begun, hub.release = make(chan struct{}), make(chan struct{})
	pages := make(chan *httptest.ResponseRecorder)
	look := func(ctx context.Context) {
		pages <- visit(c, "GET", path, nil, func(r *http.Request) { *r = *r.WithContext(access.With(ctx, access.Of(r.Context()))) })
	}
	gone, leave := context.WithCancel(t.Context())
	go look(gone)
	<-hub.begun
	leave()
	for range 5 {
		go look(t.Context())
	}
	went, alsoLeave := context.WithCancel(t.Context())
	alsoLeave()
	go look(went)
	if (<-pages).Body.Len() != 0 { // who waits no more is not kept
		t.Error("whoever has gone is answered")
	}
	close(hub.release)
	for range 6 {
		has(t, <-pages, 200, "crate", `value="own"`)
	}
	if len(hub.asking) != 1 {
		t.Errorf("the hub was asked %d times", len(hub.asking))
	}
	hub.begun = nil
	hub.news++
	if has(t, visit(c, "GET", path, nil, nil), 200, "crate"); len(hub.asking) != 2 {
		t.Errorf("after news the hub was asked %d times", len(hub.asking))
	}
	hub.news++
	hub.answers["GET /api/v1/parked/codes"] = &api.Problem{Status: 503, Detail: "the store is away"}
	has(t, visit(c, "GET", path, nil, nil), 503, "the store is away")
	delete(hub.answers, "GET /api/v1/parked/codes")
	has(t, visit(c, "GET", path, nil, nil), 404)
	hub.answers["GET /api/v1/parked/codes"] = map[string]any{}
	has(t, visit(c, "GET", path, nil, nil), 200, "∌the store is away")
	if got := len(c.alike.pages); got != 1 {
		t.Errorf("%d pages are kept", got)
	}
}

// There are only so many pages that are kept, however many addresses somebody thinks of; those beyond are made all the same.
func TestMostAlike(t *testing.T) {
	c := open(gathered())
	for i := range mostAlike + 3 {
		has(t, visit(c, "GET", fmt.Sprint("/?x=", i), nil, nil), 200, "flow-calm")
	}
	if got := len(c.alike.pages); got != mostAlike {
		t.Errorf("%d pages are kept", got)
	}
	if e, _ := c.alike.at(c.alike.of-1, "a reader who has heard less"); e != nil || c.alike.of != 1 {
		t.Errorf("a page of older news is kept among newer ones")
	}
}

// What is sent of an open page is zipped for whom it is worth while; what holds a reader's own is not.
func TestZipped(t *testing.T) {
	c := open(gathered())
	ask := func(accept, part string) *httptest.ResponseRecorder {
		return visit(c, "GET", "/", nil, func(r *http.Request) { r.Header.Set("Accept-Encoding", accept); r.Header.Set(partHeader, part) })
	}
	plain := ask("", "main")
	for accept, want := range map[string]string{"gzip, deflate, br": "gzip", "br;q=1, GZIP": "gzip", "gzip;q=0": "", "br": ""} {
		w := ask(accept, "main")
		if got := w.Header().Get("Content-Encoding"); got != want || !slices.Contains(strings.Split(w.Header().Get("Vary"), ", "), "Accept-Encoding") || !strings.Contains(w.Header().Get("Vary"), partHeader) {
			t.Errorf("%s: %q, vary %q", accept, got, w.Header().Get("Vary"))
		}
		body := io.Reader(w.Body)
		if want != "" {
			if w.Body.Len() > plain.Body.Len()/2 {
				t.Errorf("%d bytes of %d", w.Body.Len(), plain.Body.Len())
			}
			var err error
			if body, err = gzip.NewReader(w.Body); err != nil {
				t.Fatal(err)
			}
		}
		if text, err := io.ReadAll(body); err != nil || string(text) != plain.Body.String() {
			t.Errorf("%s: %s %v", accept, text, err)
		}
	}
	if w := ask("gzip", ""); w.Header().Get("Content-Encoding") != "" {
		t.Error("a whole page is zipped")
	}
}
