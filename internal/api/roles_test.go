package api

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/access"
	"github.com/waybill-hub/waybill/internal/state"
)

// A route that does not say who may ask it is none: the server does not come into being. One that is open says so.
func TestRouteNeedsARole(t *testing.T) {
	for name, r := range map[string]route{"nobody's": {pattern: "GET /a"}, "open, and somebody's": {pattern: "GET /a", open: true, need: access.Need{Role: access.Viewer}}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s was routed", name)
				}
			}()
			r.handler = http.NotFoundHandler()
			(&Server{mux: http.NewServeMux()}).add(r)
		}()
	}
}

// Nothing is routed past the table: the mux is given handlers in two places alone, that for routes and that for methods that are not there.
func TestOneWayToTheRouter(t *testing.T) {
	names, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	for _, n := range names {
		if !strings.HasSuffix(n.Name(), ".go") || strings.HasSuffix(n.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), n.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			ast.Inspect(f, func(x ast.Node) bool {
				if c, ok := x.(*ast.SelectorExpr); ok && (c.Sel.Name == "Handle" || c.Sel.Name == "HandleFunc") {
					found[f.Name.Name]++
				}
				return true
			})
		}
	}
	if len(found) != 2 || found["add"] != 1 || found["closeMethods"] != 1 {
		t.Errorf("handlers are given to routers in %v: only add knows who may ask", found)
	}
}

// A page that may not be seen says so as a page; a form with personal data needs more than the page that it stands on.
func TestForbiddenPages(t *testing.T) {
	s := server(&stub{}, Token{Name: "vic", Value: "s3cret", Role: access.Viewer}, Token{Name: "olga", Value: "0ther", Role: access.Operator})
	for _, tt := range []struct {
		token, path string
		status      int
		contains    string
	}{
		{"s3cret", "/console/edited", 200, "a page for vic"},
		{"s3cret", "/console/edited?edit=true", 403, "a page of this needs the role operator, and vic has the role viewer"},
		{"0ther", "/console/edited?edit=true", 200, "a page for olga"},
		{"s3cret", "/api/v1/parked/1", 200, `"id": 1`},
		{"s3cret", "/api/v1/parked/1?clear=false", 200, `"id": 1`},
		{"s3cret", "/api/v1/parked/1?clear=true", 403, "needs the role operator"},
		{"0ther", "/api/v1/parked/1?clear=true", 200, `"id": 1`},
	} {
		w := call(s, "GET", tt.path, "", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+tt.token) })
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.contains) {
			t.Errorf("%s of %s: %d %s", tt.path, tt.token, w.Code, w.Body)
		}
	}
}

// A page asks the API as its visitor: what that one may not do, it may not do through a page either.
func TestPagesAskAsTheirVisitor(t *testing.T) {
	hub := &stub{}
	s := server(hub, Token{Name: "vic", Value: "s3cret", Role: access.Viewer})
	w := call(s, "POST", "/console/asks?what=pause", "", func(r *http.Request) { r.Header.Set("Authorization", "Bearer s3cret") })
	if w.Code != 403 || !strings.Contains(w.Body.String(), "needs the role operator") || len(hub.acts) > 0 {
		t.Errorf("%d %s, %v", w.Code, w.Body, hub.acts)
	}
}

// An answer with keys goes through the hub's veil for those below operator alone; one that cannot be read is not shown.
func TestVeiled(t *testing.T) {
	s := server(&stub{}, Token{Name: "vic", Value: "s3cret", Role: access.Viewer}, Token{Name: "olga", Value: "0ther", Role: access.Operator})
	as := func(token string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
	}
	for _, path := range []string{"/api/v1/rules/people/runs", "/api/v1/reconciliations/people/runs"} {
		seen, hidden := call(s, "GET", path, "", as("0ther")), call(s, "GET", path, "", as("s3cret"))
		if seen.Code != 200 || hidden.Code != 200 || hidden.Body.String() != strings.ReplaceAll(seen.Body.String(), `"key"`, `"veiled"`) || hidden.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %s\n%s", path, seen.Body, hidden.Body)
		}
	}
	if w := call(s, "GET", "/api/v1/messages?key=unreadable", "", as("s3cret")); w.Code != 503 || strings.Contains(w.Body.String(), "unreadable") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := call(s, "GET", "/api/v1/messages?key=unreadable", "", as("0ther")); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// lapsing is a hub that knows a run once, and not when it is asked again.
type lapsing struct {
	stub
	asked int
}

func (l *lapsing) RunByID(ctx context.Context, id int64) (*state.Comparison, error) {
	if l.asked++; l.asked > 1 {
		return nil, errors.New("the store has gone")
	}
	return l.stub.RunByID(ctx, id)
}

func (*lapsing) Differences(context.Context, state.DifferenceFilter) ([]state.Difference, error) {
	return []state.Difference{{Run: 6, N: 1, Key: "ann@a.example"}}, nil
}

// Of a run that cannot be asked for any more nobody knows whose keys its differences show: they are masked.
func TestVeiledWithoutItsRun(t *testing.T) {
	hub := &lapsing{}
	s := server(hub, Token{Name: "vic", Value: "s3cret", Role: access.Viewer})
	w := call(s, "GET", "/api/v1/runs/6/differences", "", func(r *http.Request) { r.Header.Set("Authorization", "Bearer s3cret") })
	if w.Code != 200 || hub.asked < 2 || strings.Contains(w.Body.String(), `"key"`) || !strings.Contains(w.Body.String(), `"veiled"`) {
		t.Errorf("%d after %d questions: %s", w.Code, hub.asked, w.Body)
	}
}

// What a trace has found by the beginning of an id that may be a personal key is told to nobody who may not see such, also where nothing but the object is known.
func TestGuessedTrace(t *testing.T) {
	s := server(&stub{})
	for asked, want := range map[string]int{"ann": 0, "ANN@a.example": 1} {
		found := state.Trace{Key: "ann@a.example", Objects: []state.Object{{Entity: "person", Hub: "h"}}}
		if s.guessedTrace(access.Visitor{Role: access.Viewer}, asked, &found); len(found.Objects) != want || want == 0 && found.Key != asked {
			t.Errorf("%s: %+v", asked, found)
		}
	}
	found := state.Trace{Key: "SO-1", Objects: []state.Object{{Entity: "order", Hub: "h"}}}
	if s.guessedTrace(access.Visitor{Role: access.Viewer}, "SO", &found); len(found.Objects) != 1 {
		t.Errorf("keys that are none: %+v", found)
	}
}

// Which key a replay was selected by is told as the audit tells it: not to those who may not see such keys.
func TestReplaysBelowOperator(t *testing.T) {
	s := server(&stub{}, Token{Name: "vic", Value: "s3cret", Role: access.Viewer}, Token{Name: "olga", Value: "0ther", Role: access.Operator})
	for token, sees := range map[string]bool{"s3cret": false, "0ther": true} {
		w := call(s, "GET", "/api/v1/replays", "", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) })
		if w.Code != 200 || strings.Contains(w.Body.String(), "ann@") != sees || !strings.Contains(w.Body.String(), `"about": "flow=a"`) {
			t.Errorf("%s: %d %s", token, w.Code, w.Body)
		}
	}
}

// To send everything again is a backfill, and takes who may have one.
func TestResendOfAll(t *testing.T) {
	hub := &stub{}
	s := server(hub, Token{Name: "olga", Value: "s3cret", Role: access.Operator}, Token{Name: "ed", Value: "0ther", Role: access.Engineer}, Token{Name: "desk", Value: "n4rrow", Role: access.Admin, Scopes: []access.Scope{access.Messages}})
	for _, tt := range []struct {
		token, body string
		code        int
		says        string
	}{
		{"s3cret", `{"entity":"order","all":true}`, 403, "this needs the role engineer"}, {"n4rrow", `{"entity":"order","all":true}`, 403, "this needs the scope flows"},
		{"s3cret", `{"entity":"order","key":"SO-1"}`, 202, "accepted"}, {"n4rrow", `{"entity":"order","key":"SO-1"}`, 202, "accepted"}, {"0ther", `{"entity":"order","all":true}`, 202, "accepted"},
	} {
		w := call(s, "POST", "/api/v1/resend", tt.body, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+tt.token) })
		if w.Code != tt.code || !strings.Contains(w.Body.String(), tt.says) {
			t.Errorf("%s of %s: %d %s", tt.body, tt.token, w.Code, w.Body)
		}
	}
	if len(hub.acts) != 3 {
		t.Errorf("%q", hub.acts)
	}
}
