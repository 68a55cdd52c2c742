package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/console"
	"github.com/waybill-hub/waybill/internal/state"
)

// stub answers what the handlers ask; the acceptance tests run the same API on a real hub.
type stub struct {
	err  error
	acts []string
}

func (s *stub) Status(context.Context) (*Status, error) {
	return &Status{Flows: []Flow{{Name: "a", State: StateRunning}}, Systems: []System{}, Reconciliations: []Reconciliation{}}, s.err
}
func (s *stub) Ready(context.Context) error { return s.err }
func (s *stub) Trace(_ context.Context, key string) (state.Trace, error) {
	return state.Trace{Key: key, Objects: []state.Object{{Entity: "order", Hub: "h", Refs: []state.Ref{{System: "erp", Local: "7"}}}}}, s.err
}
func (s *stub) Queued(context.Context, state.QueueFilter) ([]state.Queued, error) {
	return []state.Queued{{ID: 1, Flow: "a", State: state.Parked}}, s.err
}
func (s *stub) QueuedByID(_ context.Context, id int64) (state.Queued, error) {
	if id != 1 {
		return state.Queued{}, state.ErrNotFound
	}
	return state.Queued{ID: 1}, s.err
}
func (s *stub) Mark(_ context.Context, _ int64, m state.Mark, who, note string) error {
	s.acts = append(s.acts, string(m)+" by "+who+": "+note)
	return s.err
}
func (s *stub) Edit(_ context.Context, _ int64, data []byte, who, _ string) error {
	s.acts = append(s.acts, "edit by "+who+": "+string(data))
	return s.err
}
func (s *stub) Pause(_ context.Context, flow, who string) error {
	if flow != "a" {
		return state.ErrNotFound
	}
	s.acts = append(s.acts, "pause by "+who)
	return s.err
}
func (s *stub) Resume(_ context.Context, _, who string) error {
	s.acts = append(s.acts, "resume by "+who)
	return s.err
}
func (s *stub) Reload(_ context.Context, who string) (*Reload, error) {
	if s.err != nil {
		return nil, s.err
	}
	s.acts = append(s.acts, "reload by "+who)
	return &Reload{Plan: Plan{Hash: "abc"}, Flows: Changes{Changed: []string{"a"}}}, nil
}
func (s *stub) Recovery(_ context.Context, q RecoverRequest) (*Recovery, error) {
	s.acts = append(s.acts, fmt.Sprint("looked at ", q.Flows, q.From))
	return &Recovery{Topics: []RecoverTopic{}}, s.err
}
func (s *stub) Recover(_ context.Context, q RecoverRequest, who string) (*Recovery, error) {
	refused := map[string]error{"loss": state.ErrLoss, "stale": ErrPlan, "moved": state.ErrMoved, "nobody": state.ErrNotFound}[q.Plan]
	if err := errors.Join(refused, s.err); err != nil {
		return nil, err
	}
	s.acts = append(s.acts, fmt.Sprint("recover ", q.Flows, q.From, " ", q.DiscardLost, " by ", who, ": ", q.Note))
	return &Recovery{Done: true, Topics: []RecoverTopic{}}, nil
}
func (s *stub) Audits(context.Context, int) ([]state.Audit, error) {
	return []state.Audit{{Who: "ann"}}, s.err
}

func server(hub Hub, tokens ...Token) *Server {
	return New(hub, Config{Tokens: tokens, Metrics: http.NotFoundHandler(), Console: console.Handler(), Log: slog.New(slog.DiscardHandler)})
}

func call(s *Server, method, path, body string, change func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://127.0.0.1:8080"+path, strings.NewReader(body))
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func TestAnswers(t *testing.T) {
	tests := []struct {
		method, path, body string
		status             int
		contains           string
	}{
		{"GET", "/healthz", "", 200, "ok"},
		{"GET", "/readyz", "", 200, "ready"},
		{"GET", "/", "", 200, "<title>Waybill</title>"},
		{"GET", "/console/app.js", "", 200, "showStatus"},
		{"GET", "/api/v1/status", "", 200, `"unaccounted": 0`},
		{"GET", "/api/v1/flows", "", 200, `"flows"`},
		{"GET", "/api/v1/systems", "", 200, `"systems"`},
		{"GET", "/api/v1/reconciliations", "", 200, `"reconciliations"`},
		{"GET", "/api/v1/messages?key=SO-1", "", 200, `"SO-1"`},
		{"GET", "/api/v1/messages", "", 400, "give ?key="},
		{"GET", "/api/v1/xref?key=x", "", 200, `"id": "7"`},
		{"GET", "/api/v1/parked", "", 200, `"parked"`},
		{"GET", "/api/v1/parked?limit=0", "", 400, "limit"},
		{"GET", "/api/v1/parked?after=x", "", 400, "after"},
		{"GET", "/api/v1/parked/1", "", 200, `"id": 1`},
		{"GET", "/api/v1/parked/2", "", 404, "not found"},
		{"GET", "/api/v1/parked/x", "", 400, "number"},
		{"GET", "/api/v1/audit", "", 200, `"ann"`},
		{"POST", "/api/v1/parked/1/replay", `{"note":"fixed"}`, 202, `"replay"`},
		{"POST", "/api/v1/parked/1/discard", "", 202, `"discard"`},
		{"POST", "/api/v1/parked/1/discard", "{", 400, "JSON"},
		{"PUT", "/api/v1/parked/1", `{"data":{"a":1.10}}`, 200, `"edited_by"`},
		{"PUT", "/api/v1/parked/1", `{}`, 400, "data"},
		{"POST", "/api/v1/flows/a/pause", "", 200, `"paused"`},
		{"POST", "/api/v1/flows/b/pause", "", 404, "not found"},
		{"POST", "/api/v1/flows/a/resume", "", 200, `"running"`},
		{"POST", "/api/v1/reload", "", 200, `"hash": "abc"`},
		{"GET", "/api/v1/reload", "", 405, "use POST"},
		{"DELETE", "/api/v1/parked/1", "", 405, "use GET"},
		{"GET", "/api/v1/recover?flow=a,b&from=start", "", 200, `"broken": false`},
		{"GET", "/api/v1/recover?from=yesterday", "", 400, "committed"},
		{"POST", "/api/v1/recover", `{"flows": ["a"], "note": "disk", "discard_lost": true}`, 200, `"done": true`},
		{"POST", "/api/v1/recover", `{"from": "yesterday"}`, 400, "committed"},
		{"POST", "/api/v1/recover", `{"plan": "loss"}`, 409, "would be lost"},
		{"POST", "/api/v1/recover", `{"plan": "stale"}`, 409, "look again"},
		{"POST", "/api/v1/recover", `{"plan": "moved"}`, 409, "have moved"},
		{"POST", "/api/v1/recover", `{"plan": "nobody"}`, 404, "not found"},
		{"GET", "/nothing", "", 404, "openapi.json"},
	}
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			w := call(server(&stub{}), tt.method, tt.path, tt.body, nil)
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.contains) {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			if tt.status >= 400 && w.Header().Get("Content-Type") != "application/problem+json" {
				t.Errorf("an error of type %s", w.Header().Get("Content-Type"))
			}
		})
	}
}

func TestStoreFailure(t *testing.T) {
	w := call(server(&stub{err: errors.New("the disk is full")}), "GET", "/api/v1/status", "", nil)
	if w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

// What refuses a reload is told apart: files to correct, a restart to make, a hub that ends.
func TestReloadRefused(t *testing.T) {
	bad := &BadFiles{Problems: []FileProblem{{File: "flows/a.yaml", Line: 3, Column: 5, Message: "unknown key", Hint: "did you mean to?"}}}
	for name, tt := range map[string]struct {
		err      error
		status   int
		contains string
	}{
		"bad files":    {fmt.Errorf("reload: %w", bad), 422, `"problems":[{"file":"flows/a.yaml","line":3,"column":5,"message":"unknown key","hint":"did you mean to?"}]`},
		"a restart":    {&NeedsRestart{Settings: []string{"store", "hooks.listen"}}, 409, "need a restart of the hub: store, hooks.listen"},
		"no files":     {ErrNoFiles, 409, "does not run from files"},
		"a stop":       {ErrStopping, 503, "the hub is stopping"},
		"a store down": {errors.New("the disk is full"), 503, "the disk is full"},
	} {
		w := call(server(&stub{err: tt.err}), "POST", "/api/v1/reload", "", nil)
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.contains) || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

func TestTokens(t *testing.T) {
	hub := &stub{}
	s := server(hub, Token{"ann", "s3cret"}, Token{"bob", "0ther"})
	as := func(v string) func(*http.Request) { return func(r *http.Request) { r.Header.Set("Authorization", v) } }
	if w := call(s, "GET", "/api/v1/status", "", nil); w.Code != 401 || w.Header().Get("WWW-Authenticate") == "" {
		t.Errorf("without a token: %d", w.Code)
	}
	if w := call(s, "GET", "/api/v1/status", "", as("Bearer wrong")); w.Code != 401 || strings.Contains(w.Body.String(), "wrong") {
		t.Errorf("with a wrong token: %d %s", w.Code, w.Body)
	}
	if w := call(s, "GET", "/healthz", "", nil); w.Code != 200 {
		t.Errorf("liveness needs a token: %d", w.Code)
	}
	if w := call(s, "POST", "/api/v1/parked/1/discard", `{"note":"test"}`, as("Bearer 0ther")); w.Code != 202 {
		t.Errorf("bob: %d", w.Code)
	}
	if w := call(s, "POST", "/api/v1/flows/a/pause", "", func(r *http.Request) { r.SetBasicAuth("", "s3cret") }); w.Code != 200 {
		t.Errorf("a browser's password: %d", w.Code)
	}
	s.SetTokens([]Token{{"eve", "n3w"}})
	if w := call(s, "POST", "/api/v1/reload", "", as("Bearer 0ther")); w.Code != 401 {
		t.Errorf("bob's token was replaced: %d", w.Code)
	}
	if w := call(s, "POST", "/api/v1/reload", "", as("Bearer n3w")); w.Code != 200 {
		t.Errorf("eve: %d", w.Code)
	}
	if got := strings.Join(hub.acts, "; "); got != "discard by bob: test; pause by ann; reload by eve" {
		t.Errorf("acts: %s", got)
	}
}

// Without tokens only loopback names are answered, and never a page of somebody else's.
func TestForeignPages(t *testing.T) {
	s := server(&stub{})
	for name, change := range map[string]func(*http.Request){
		"a rebound name":      func(r *http.Request) { r.Host = "evil.example" },
		"another site":        func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"another page":        func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") },
		"a page without name": func(r *http.Request) { r.Header.Set("Origin", "null") },
	} {
		if w := call(s, "POST", "/api/v1/flows/a/pause", "", change); w.Code != 403 {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
	if w := call(s, "POST", "/api/v1/flows/a/pause", "", func(r *http.Request) { r.Header.Set("Origin", "http://127.0.0.1:8080") }); w.Code != 200 {
		t.Errorf("the console itself: %d", w.Code)
	}
}

// Every route is described, and nothing else is.
func TestOpenAPI(t *testing.T) {
	data, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		OpenAPI string                                `json:"openapi"`
		Paths   map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	described := map[string]bool{}
	for path, methods := range doc.Paths {
		for m := range methods {
			described[strings.ToUpper(m)+" "+path] = true
		}
	}
	for _, r := range server(&stub{}).routes() {
		p := strings.Replace(r.pattern, "{$}", "", 1)
		if p == "GET /console/" {
			continue // parts of the page
		}
		if !described[p] {
			t.Errorf("not described: %s", p)
		}
		delete(described, p)
	}
	for p := range described {
		t.Errorf("described, but not there: %s", p)
	}
	if doc.OpenAPI != "3.1.0" {
		t.Errorf("version %s", doc.OpenAPI)
	}
}

func TestFailing(t *testing.T) {
	for _, tt := range []struct {
		name string
		st   Status
		want bool
	}{
		{"running", Status{Flows: []Flow{{State: StateRunning}, {State: StatePaused}, {State: StateSilent}}}, false},
		{"late", Status{Flows: []Flow{{State: StateLate}}}, true},
		{"failing", Status{Flows: []Flow{{State: StateFailing}}}, true},
		{"alarm", Status{Flows: []Flow{{State: StateAlarm}}}, true},
		{"unaccounted", Status{Totals: Totals{Unaccounted: 1}}, true},
		{"duplicates", Status{Totals: Totals{Duplicates: 1}}, true},
	} {
		if got := tt.st.Failing(); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
