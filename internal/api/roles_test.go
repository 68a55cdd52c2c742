package api

import (
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/access"
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
