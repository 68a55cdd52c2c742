package access

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func signIn(t *testing.T, w *world, token string) *http.Cookie {
	t.Helper()
	c, _, no := w.SignIn(request("POST", "10.0.0.1:1", ""), token)
	if no != nil {
		t.Fatalf("%+v", no)
	}
	return c
}

func with(c *http.Cookie) *http.Request {
	r := request("POST", "10.0.0.1:1", "")
	r.AddCookie(c)
	return r
}

// A session lets in under its token's name, for as long as it lasts and the token is there, until it signs out.
func TestSession(t *testing.T) {
	rules := Rules{Tokens: []Token{{Name: "ann", Value: right, Role: Admin}, {Name: "bob", Value: right + "b", Role: Operator}}}
	w := guard(rules)
	c := signIn(t, w, right+"b")
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Secure || c.Path != "/" || c.Name != "waybill-8080" || strings.Contains(c.Value, right) {
		t.Errorf("the cookie: %+v", c)
	}
	v, no := w.Enter(with(c))
	if no != nil || v.Name != "bob" || !v.Session || v.CSRF == "" {
		t.Fatalf("%+v %+v", v, no)
	}
	other := guard(rules) // another hub, or the same one after a restart
	if v, no := other.Enter(with(c)); no != nil || v.Name != "bob" {
		t.Errorf("another hub: %+v %+v", v, no)
	}
	gone := w.SignOut(with(c))
	if gone.MaxAge >= 0 || gone.Name != c.Name {
		t.Errorf("signing out leaves %+v", gone)
	}
	if _, no := w.Enter(with(c)); no == nil || no.Status != 401 {
		t.Error("a session that has signed out")
	}
	c = signIn(t, w, right+"b")
	w.clock.Advance(sessionLasts - time.Second)
	if _, no := w.Enter(with(c)); no != nil {
		t.Error("a session just before its end")
	}
	w.clock.Advance(time.Second)
	if _, no := w.Enter(with(c)); no == nil {
		t.Error("a session at its end")
	}
	c = signIn(t, w, right+"b")
	w.Set(Rules{Tokens: rules.Tokens[:1]})
	if _, no := w.Enter(with(c)); no == nil {
		t.Error("a session whose token was taken away")
	}
}

// What is not a cookie of this hub, or was changed in any place, is none.
func TestForgedSessions(t *testing.T) {
	w := guard(Rules{Tokens: []Token{{Name: "ann", Value: right, Role: Admin}}})
	c := signIn(t, w, right)
	for i := range c.Value {
		forged := *c
		b := []byte(c.Value)
		if b[i]++; b[i] > 'z' {
			b[i] = 'A'
		}
		forged.Value = string(b)
		v, no := w.Enter(with(&forged))
		if no == nil && i < len(c.Value)-1 { // the last letter has bits that say nothing
			t.Errorf("changed at %d: %+v", i, v)
		}
	}
	for _, value := range []string{"", "x", strings.Repeat("A", len(c.Value)), c.Value + "A", c.Value[:len(c.Value)-4]} {
		forged := *c
		forged.Value = value
		if _, no := w.Enter(with(&forged)); no == nil {
			t.Errorf("%q", value)
		}
	}
	foreign := signIn(t, guard(Rules{Tokens: []Token{{Name: "ann", Value: right + "x", Role: Admin}}}), right+"x")
	if _, no := w.Enter(with(foreign)); no == nil {
		t.Error("the cookie of a hub with another token")
	}
}

// Signing in is slowed as wrong tokens are, and nothing that a page of another site sends.
func TestSignInRefused(t *testing.T) {
	w := guard(Rules{Tokens: []Token{{Name: "ann", Value: right, Role: Admin}}})
	if _, _, no := w.SignIn(request("POST", "10.0.0.1:1", ""), "guess"); no == nil || no.Why != WrongToken || w.Wrong().Count != 1 {
		t.Errorf("%+v", no)
	}
	r := request("POST", "10.0.0.1:1", "")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	if _, _, no := w.SignIn(r, right); no == nil || no.Why != CrossSite {
		t.Errorf("%+v", no)
	}
}

// A write of a session shows that it is from the hub's own page; one with a token needs no more than that.
func TestCSRF(t *testing.T) {
	w := guard(Rules{Tokens: []Token{{Name: "ann", Value: right, Role: Admin}}})
	c := signIn(t, w, right)
	v, _ := w.Enter(with(c))
	again, _ := w.Enter(with(signIn(t, w, right)))
	for given, want := range map[string]string{"": NoCSRF, "guess": NoCSRF, again.CSRF: NoCSRF, v.CSRF: ""} {
		r := with(c)
		r.Header.Set(CSRFHeader, given)
		no := w.Write(r.WithContext(With(context.Background(), v)))
		if (no == nil) != (want == "") || no != nil && (no.Why != want || no.Status != 403) {
			t.Errorf("%q: %+v", given, no)
		}
	}
	byToken, _ := w.Enter(request("POST", "10.0.0.1:1", right))
	if no := w.Write(request("POST", "10.0.0.1:1", right).WithContext(With(context.Background(), byToken))); no != nil {
		t.Errorf("%+v", no)
	}
	if nobody := (&Visitor{}); nobody.Own("") {
		t.Error("a write of nobody is the page's own")
	}
	open, _ := guard(Rules{}).Enter(request("POST", "127.0.0.1:1", ""))
	if open.CSRF == "" || open.Own("") || !open.Own(open.CSRF) {
		t.Errorf("a hub without tokens: %+v", open)
	}
}

// Over TLS, or behind something that ends it, the cookie is for TLS alone.
func TestSecureSession(t *testing.T) {
	w := guard(Rules{Tokens: []Token{{Name: "ann", Value: right, Role: Admin}}, Origin: "https://hub.example"})
	c := signIn(t, w, right)
	if !c.Secure || c.Name != "__Host-waybill-8080" || c.Domain != "" {
		t.Errorf("%+v", c)
	}
}

// Sessions that have signed out are remembered until they would have ended, and only so many.
func TestEndedSessions(t *testing.T) {
	var s sessions
	now := time.Date(2026, 11, 29, 9, 0, 0, 0, time.UTC)
	for i := range mostEnded + 1 {
		s.end(fmt.Sprint(i), now.Add(time.Duration(1+i%2)*time.Hour), now)
	}
	if len(s.ended) != mostEnded || s.over(fmt.Sprint(mostEnded)) {
		t.Errorf("%d are remembered", len(s.ended))
	}
	s.end("one more", now.Add(3*time.Hour), now.Add(90*time.Minute)) // half of them would have ended
	if len(s.ended) != mostEnded/2+1 || !s.over("one more") || !s.over("1") || s.over("0") {
		t.Errorf("then %d", len(s.ended))
	}
}
