package app

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/access"
	"github.com/waybill-hub/waybill/internal/api"
)

var update = flag.Bool("update", false, "write the table of roles in docs/security.md")

const roleTokens = `http:
  listen: 127.0.0.1:0
  tokens:
    - {name: vic, value: "${file:viewer}", role: viewer}
    - {name: olga, value: "${file:operator}", role: operator}
    - {name: ed, value: "${file:engineer}", role: engineer}
    - {name: ada, value: "${file:admin}"}
`

func tokenOf(role access.Role) string { return "a-token-of-the-role-" + role.String() }

// withRoles gives a project a token of each role.
func (p *project) withRoles() {
	p.t.Helper()
	p.edit("configs/waybill.yaml", "http: {listen: 127.0.0.1:0}\n", roleTokens)
	for _, r := range access.Roles {
		p.write("configs/"+r.String(), tokenOf(r))
	}
}

// Every role is tried on every route of a hub that runs, with everything that it is asked by: let through from the role on that the route needs, and refused
// below it. The table of docs/security.md is made of the same routes.
func TestRolesOfRoutes(t *testing.T) {
	p := newProject(t, newTarget(t).URL)
	p.withRoles()
	hub := p.start(io.Discard)
	routes := hub.api.Routes()
	over, end := context.WithCancel(t.Context())
	end() // a stream ends at once
	tried := 0
	for _, of := range routes {
		method, path, _ := strings.Cut(of.Pattern, " ")
		path = strings.NewReplacer("{$}", "", "{id}", "1", "{name}", "orders", "{receiver}", "nobody", "{act}", "discard", "{file}", "style.css").Replace(path)
		if strings.Contains(path, "{") {
			t.Fatalf("%s: the test knows nothing to ask there", of.Pattern)
		}
		if of.With != "" {
			path += "?" + of.With
		}
		for _, role := range append([]access.Role{access.Nobody}, access.Roles...) {
			ctx := t.Context()
			if path == "/api/v1/events" {
				ctx = over
			}
			r := httptest.NewRequestWithContext(ctx, method, hub.URL()+path, strings.NewReader("{}"))
			r.Header.Set("Content-Type", "application/json")
			if strings.HasPrefix(path, "/console/") {
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			}
			if role != access.Nobody {
				r.Header.Set("Authorization", "Bearer "+tokenOf(role))
			}
			w := httptest.NewRecorder()
			hub.api.ServeHTTP(w, r)
			tried++
			lacks := w.Code == http.StatusForbidden && strings.Contains(w.Body.String(), "this needs the role")
			switch {
			case of.Open:
				if w.Code == http.StatusUnauthorized && path != "/console/sign-in" || lacks {
					t.Errorf("%s is open, and answers %s with %d", of.Pattern, role, w.Code)
				}
			case role == access.Nobody:
				if w.Code != http.StatusUnauthorized {
					t.Errorf("%s answers whoever gives no token with %d", of.Pattern, w.Code)
				}
			case lacks != (role < of.Need.Role) || w.Code == http.StatusUnauthorized:
				t.Errorf("%s %s needs %s, and answers %s with %d: %.200s", of.Pattern, of.With, of.Need.Role, role, w.Code, w.Body)
			}
		}
	}
	if tried < 5*70 {
		t.Errorf("%d requests were made: where are the routes?", tried)
	}
	golden(t, routes)
}

const tableBegins, tableEnds = "<!-- made by go test ./internal/app -run TestRolesOfRoutes -update -->\n", "<!-- made until here -->\n"

// golden compares the table of docs/security.md with the routes, or writes it.
func golden(t *testing.T, routes []api.Route) {
	t.Helper()
	file := filepath.Join("..", "..", "docs", "security.md")
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(page), tableBegins)
	_, after, also := strings.Cut(rest, tableEnds)
	if !ok || !also {
		t.Fatalf("%s has no place for the table", file)
	}
	want := before + tableBegins + table(routes) + tableEnds + after
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want != string(page) {
		t.Errorf("the table of %s is not that of the routes: go test ./internal/app -run TestRolesOfRoutes -update", file)
	}
}

func table(routes []api.Route) string {
	var b strings.Builder
	b.WriteString("\n| route | viewer | operator | engineer | admin | scope |\n|---|---|---|---|---|---|\n")
	lines := make([]string, 0, len(routes))
	for _, r := range routes {
		method, path, _ := strings.Cut(r.Pattern, " ")
		path = strings.TrimSuffix(path, "{$}")
		if r.With != "" {
			path += "?" + r.With
		}
		line := fmt.Sprintf("| `%s %s` |", method, path)
		for _, role := range access.Roles {
			mark := "–"
			if r.Open || role >= r.Need.Role {
				mark = "yes"
			}
			line += " " + mark + " |"
		}
		scope := "any"
		switch {
		case r.Open:
			scope = "none needed, nor a token"
		case r.Need.Scope != "":
			scope = string(r.Need.Scope)
		}
		lines = append(lines, line+" "+scope+" |\n")
	}
	order := func(line string) string { // by path
		method, path, _ := strings.Cut(strings.TrimPrefix(line, "| `"), " ")
		return path + " " + method
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(order(a), order(b)) })
	return b.String() + strings.Join(lines, "") + "\n"
}

// A token for some scopes alone is refused everything else, whatever its role.
func TestScopesOfRoutes(t *testing.T) {
	p := newProject(t, newTarget(t).URL)
	p.edit("configs/waybill.yaml", "http: {listen: 127.0.0.1:0}\n", "http: {listen: 127.0.0.1:0, tokens: [{name: prom, value: \"${file:prom}\", scopes: [metrics, status]}]}\n")
	p.write("configs/prom", "a-token-for-prometheus")
	hub := p.start(io.Discard)
	for path, want := range map[string]int{"/metrics": 200, "/api/v1/status": 200, "/openapi.json": 200, "/": 200, "/api/v1/parked": 403, "/api/v1/audit": 403, "/console/parked": 403} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", hub.URL()+path, nil)
		r.Header.Set("Authorization", "Bearer a-token-for-prometheus")
		w := httptest.NewRecorder()
		if hub.api.ServeHTTP(w, r); w.Code != want {
			t.Errorf("%s: %d %.200s", path, w.Code, w.Body)
		}
	}
}
