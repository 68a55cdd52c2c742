package access

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// idp stands for a provider; internal/signon has the real one.
type idp struct {
	who Identity
	err error
}

func (i *idp) Begin(_ context.Context, back string) (string, []byte, error) {
	return "https://id.example/auth?back=" + url.QueryEscape(back), []byte("remembered"), i.err
}

func (i *idp) Finish(_ context.Context, back string, remembered []byte, query url.Values) (Identity, error) {
	if string(remembered) != "remembered" || back != "http://127.0.0.1:8080/console/oidc/callback" || query.Get("code") != "right" {
		return Identity{}, errors.New("no such code")
	}
	return i.who, i.err
}

func elsewhere(i *idp) Rules {
	return Rules{Origin: "http://127.0.0.1:8080", Elsewhere: &Elsewhere{Provider: i, Secret: "s", Lasts: time.Hour, Groups: map[Role][]string{Operator: {"shift"}, Admin: {"hub-admins"}}}}
}

func returning(w *world, c *http.Cookie, code string) ([]*http.Cookie, Visitor, string, *Refusal) {
	r := request("GET", "10.0.0.1:1", "")
	r.URL.RawQuery = "code=" + code
	if c != nil {
		r.AddCookie(c)
	}
	return w.Return(r)
}

// Whom the provider has signed in has a session under that name, as what its groups mean here; that ends with its time, the provider, or what the groups mean.
func TestElsewhere(t *testing.T) {
	i := &idp{who: Identity{Name: "olga", Groups: []string{"everybody", "shift"}}}
	w := guard(elsewhere(i))
	if w.Open() || w.Ways() != (Ways{Elsewhere: true}) {
		t.Error("a hub with a provider alone asks nobody")
	}
	at, c, no := w.Leave(request("GET", "10.0.0.1:1", ""), "/console/map")
	if no != nil || !strings.HasPrefix(at, "https://id.example/auth?back=http%3A%2F%2F127.0.0.1%3A8080%2Fconsole%2Foidc%2Fcallback") {
		t.Fatalf("%s %+v", at, no)
	}
	if c.SameSite != http.SameSiteLaxMode || !c.HttpOnly || c.Name != "waybill-8080-away" || c.MaxAge != 600 || strings.Contains(c.Value, "remembered") {
		t.Errorf("%+v", c)
	}
	cookies, v, to, no := returning(w, c, "right")
	if no != nil || to != "/console/map" || v.Name != "olga (oidc)" || v.Role != Operator || len(cookies) != 2 || cookies[0].Name != c.Name || cookies[0].MaxAge >= 0 || cookies[1].SameSite != http.SameSiteStrictMode {
		t.Fatalf("%v %+v %s %+v", cookies, v, to, no)
	}
	session := cookies[1]
	if v, no := w.Enter(with(session)); no != nil || v.Name != "olga (oidc)" || v.Role != Operator || !v.Session || v.CSRF == "" {
		t.Errorf("%+v %+v", v, no)
	}
	other := guard(elsewhere(i)) // another hub, or after a restart
	if v, no := other.Enter(with(session)); no != nil || v.Name != "olga (oidc)" {
		t.Errorf("%+v %+v", v, no)
	}
	changed := elsewhere(i)
	changed.Elsewhere.Groups = map[Role][]string{Viewer: {Everybody}, Admin: {"shift"}}
	if other.Set(changed); true {
		if v, no := other.Enter(with(session)); no != nil || v.Role != Admin {
			t.Errorf("its group means more now: %+v %+v", v, no)
		}
	}
	changed.Elsewhere.Groups = map[Role][]string{Admin: {"others"}}
	other.Set(changed)
	if _, no := other.Enter(with(session)); no == nil {
		t.Error("its groups mean nothing any more")
	}
	changed = elsewhere(i)
	changed.Elsewhere.Secret = "another"
	other.Set(changed)
	if _, no := other.Enter(with(session)); no == nil {
		t.Error("a session outlives its provider's secret")
	}
	other.Set(Rules{Tokens: []Token{{Name: "ann", Value: right, Role: Admin}}})
	if _, no := other.Enter(with(session)); no == nil {
		t.Error("a session outlives its provider")
	}
	w.clock.Advance(time.Hour)
	if _, no := w.Enter(with(session)); no == nil {
		t.Error("a session outlives its time")
	}
}

// Whoever has no group, no name, no seal of this hub, or comes too late, is not signed in.
func TestNotElsewhere(t *testing.T) {
	i := &idp{who: Identity{Name: "nora", Groups: []string{"everybody"}}}
	w := guard(elsewhere(i))
	begin := func() *http.Cookie {
		t.Helper()
		_, c, no := w.Leave(request("GET", "10.0.0.1:1", ""), "/")
		if no != nil {
			t.Fatalf("%+v", no)
		}
		return c
	}
	refused := func(name string, c *http.Cookie, code string, status int, want string) {
		t.Helper()
		cookies, v, _, no := returning(w, c, code)
		if no == nil || no.Status != status || !strings.Contains(no.Detail, want) || v.Role != Nobody || len(cookies) > 1 {
			t.Errorf("%s: %v %+v %+v", name, cookies, v, no)
		}
	}
	refused("no group", begin(), "right", 403, "nora is in no group that has a role here")
	refused("another code", begin(), "guess", 401, "no such code")
	refused("no cookie", nil, "right", 400, "begin again")
	forged := begin()
	forged.Value = strings.ToUpper(forged.Value)
	refused("another cookie", forged, "right", 400, "begin again")
	foreign := guard(Rules{Origin: "http://127.0.0.1:8080", Elsewhere: &Elsewhere{Provider: i, Secret: "another"}})
	_, c, _ := foreign.Leave(request("GET", "10.0.0.1:1", ""), "/")
	refused("another hub's", c, "right", 400, "begin again")
	late := begin()
	w.clock.Advance(awayFor)
	refused("too late", late, "right", 400, "begin again")
	for _, name := range []string{"", " ", strings.Repeat("x", mostName+1), "a\nb", "\xff"} {
		i.who = Identity{Name: name, Groups: []string{"shift"}}
		refused("no name", begin(), "right", 401, "no name")
	}
	i.err = errors.New("the provider is down")
	if _, _, no := w.Leave(request("GET", "10.0.0.1:1", ""), "/"); no == nil || no.Status != 502 || !strings.Contains(no.Detail, "is down") {
		t.Errorf("%+v", no)
	}
	none := guard(Rules{})
	if _, _, no := none.Leave(request("GET", "127.0.0.1:1", ""), "/"); no == nil || no.Status != 404 {
		t.Errorf("%+v", no)
	}
	if _, _, _, no := none.Return(request("GET", "127.0.0.1:1", "")); no == nil || no.Status != 404 {
		t.Errorf("%+v", no)
	}
}

// A long address is not kept on the way; very many groups are not kept in the session.
func TestElsewhereIsBounded(t *testing.T) {
	i := &idp{}
	rules := elsewhere(i)
	for n := range 3 * mostGroups {
		g := strings.Repeat("g", n+1)
		rules.Elsewhere.Groups[Viewer] = append(rules.Elsewhere.Groups[Viewer], g)
		i.who.Groups = append(i.who.Groups, g)
	}
	i.who.Name, i.who.Groups = "ann", append(i.who.Groups, "hub-admins")
	w := guard(rules)
	_, c, _ := w.Leave(request("GET", "10.0.0.1:1", ""), "/console/find?q="+strings.Repeat("x", 2*mostAway))
	cookies, v, to, no := returning(w, c, "right")
	if no != nil || to != "/" || v.Role != Admin || len(cookies) != 2 || len(cookies[1].Value) > 3000 {
		t.Errorf("%v %+v %s %+v", cookies, v, to, no)
	}
	// Long names of groups: a browser keeps no cookie of more than 4 KiB.
	const cookie = 4096
	i.who.Groups = []string{"hub-admins"}
	for n := range mostGroups - 1 {
		g := fmt.Sprint("CN=group ", n, ",OU=", strings.Repeat("unit & unit ", 20))
		rules.Elsewhere.Groups[Operator], i.who.Groups = append(rules.Elsewhere.Groups[Operator], g), append(i.who.Groups, g)
	}
	w.Set(rules)
	_, c, _ = w.Leave(request("GET", "10.0.0.1:1", ""), "/")
	if cookies, v, _, no = returning(w, c, "right"); no != nil || v.Role != Admin || len(cookies) != 2 || len(cookies[1].Name+cookies[1].Value) > cookie {
		t.Errorf("%+v %+v", v, no)
	}
	if v, no := w.Enter(with(cookies[1])); no != nil || v.Role != Admin {
		t.Errorf("%+v %+v", v, no)
	}
	g := strings.Repeat("g", cookie)
	rules.Elsewhere.Groups[Admin], i.who.Groups = []string{g}, []string{g}
	w.Set(rules)
	_, c, _ = w.Leave(request("GET", "10.0.0.1:1", ""), "/")
	if cookies, v, _, no = returning(w, c, "right"); no == nil || !strings.Contains(no.Detail, "too long for a session") || len(cookies) != 1 || v.Role != Nobody {
		t.Errorf("%+v %+v", v, no)
	}
}
