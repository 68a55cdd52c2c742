package app

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/access"
)

// Pages that readers share are each reader's own where it counts, on a running hub: the sign of one's session and no other's is in them and lets one's writes through, what a person changes is on everybody's page at once, and
// whoever has signed out, may do less or may not ask any more is shown nothing of what was made for others.
func TestSharedPagesAreOnesOwn(t *testing.T) {
	hub := newProject(t, newTarget(t).URL).start(io.Discard)
	rules := func(bob access.Role) access.Rules {
		return access.Rules{Tokens: []access.Token{{Name: "ann", Value: "of-ann", Role: access.Operator}, {Name: "bob", Value: "of-bob", Role: bob}}}
	}
	hub.api.SetAccess(rules(access.Operator))
	signIn := func(token string) *http.Cookie {
		t.Helper()
		cookie, no := hub.api.SignIn(httptest.NewRequest("POST", hub.URL()+"/console/sign-in", nil), token)
		if no != nil {
			t.Fatal(no)
		}
		return cookie
	}
	ask := func(of *http.Cookie, method, path string, form url.Values, part bool) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), method, hub.URL()+path, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if part {
			r.Header.Set("Waybill-Part", "main")
		}
		r.AddCookie(of)
		w := httptest.NewRecorder()
		hub.api.ServeHTTP(w, r)
		return w
	}
	const page = "/console/flows/orders-to-erp"
	field := regexp.MustCompile(`name="csrf" value="([^"]*)"`)
	signs := func(w *httptest.ResponseRecorder) (found []string) {
		t.Helper()
		if w.Code != http.StatusOK {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		for _, f := range field.FindAllStringSubmatch(w.Body.String(), -1) {
			found = append(found, f[1])
		}
		return found
	}
	ann, bob := signIn("of-ann"), signIn("of-bob")
	anns, bobs := signs(ask(ann, "GET", page, nil, false)), signs(ask(bob, "GET", page, nil, false))
	if len(anns) < 2 || len(bobs) != len(anns) || len(anns[0]) < 40 || anns[0] == bobs[0] {
		t.Fatalf("ann's page has %q, bob's %q", anns, bobs)
	}
	for i := range anns {
		if anns[i] != anns[0] || bobs[i] != bobs[0] {
			t.Errorf("ann's page has %q, bob's %q", anns, bobs)
		}
	}
	w := ask(bob, "GET", page, nil, true)
	if got := signs(w); len(got) == 0 || strings.Join(got, "") != "" || w.Header().Get(access.CSRFHeader) != bobs[0] || strings.Contains(w.Body.String(), "bob") {
		t.Errorf("what is new of bob's page has %q, %v", got, w.Header())
	}
	if w := ask(ann, "POST", page+"/pause", url.Values{"csrf": {bobs[0]}}, false); w.Code != http.StatusForbidden {
		t.Errorf("ann writes with bob's sign: %d", w.Code)
	}
	if w := ask(ann, "POST", page+"/pause", url.Values{"csrf": {anns[0]}}, false); w.Code != http.StatusSeeOther {
		t.Fatalf("ann writes with her own: %d %s", w.Code, w.Body)
	}
	if w := ask(bob, "GET", page, nil, true); !strings.Contains(w.Body.String(), page+"/resume") {
		t.Errorf("what ann has done is not on bob's page: %s", w.Body)
	}

	gone := httptest.NewRequest("POST", hub.URL()+"/console/sign-out", nil)
	gone.AddCookie(ann)
	hub.api.SignOut(gone)
	for _, part := range []bool{false, true} {
		if w := ask(ann, "GET", page, nil, part); w.Code != http.StatusUnauthorized || strings.Contains(w.Body.String(), "id=\"stages\"") {
			t.Errorf("ann has signed out, and is shown %d %s", w.Code, w.Body)
		}
	}
	hub.api.SetAccess(rules(access.Viewer)) // a role is no part of a session
	for _, part := range []bool{true, false} {
		if w := ask(bob, "GET", page, nil, part); w.Code != http.StatusOK || strings.Contains(w.Body.String(), page+"/resume") {
			t.Errorf("bob may only look, and is shown %d %s", w.Code, w.Body)
		}
	}
	hub.api.SetAccess(access.Rules{Tokens: []access.Token{{Name: "eve", Value: "of-eve", Role: access.Operator}}})
	if w := ask(bob, "GET", page, nil, true); w.Code != http.StatusUnauthorized {
		t.Errorf("bob's token was taken away, and he is shown %d", w.Code)
	}
}
