package signon

import (
	"bufio"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/needtest"
)

const (
	back   = "http://127.0.0.1:9/console/oidc/callback"
	secret = "a secret of the tests"
)

// double stands for a provider and says what a test wants it to; TestRealProvider runs the same way of signing in on one that others wrote.
type double struct {
	*httptest.Server
	key    *rsa.PrivateKey
	claims map[string]any // of its word, over the right ones; nil leaves one out
	info   map[string]any // what it says when it is asked
	signed func(token string) string
	code   string
	asked  url.Values
	auth   bool // the client proved itself
}

func newDouble(t *testing.T) *double {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	d := &double{key: key, claims: map[string]any{}, info: map[string]any{"sub": "u1"}}
	mux := http.NewServeMux()
	d.Server = httptest.NewServer(mux)
	t.Cleanup(d.Close)
	say := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
	}
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		say(w, map[string]any{"issuer": d.URL, "authorization_endpoint": d.URL + "/auth", "token_endpoint": d.URL + "/token", "jwks_uri": d.URL + "/keys", "userinfo_endpoint": d.URL + "/info",
			"id_token_signing_alg_values_supported": []string{"RS256"}})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		text := base64.RawURLEncoding.EncodeToString
		say(w, map[string]any{"keys": []any{map[string]any{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "k", "n": text(key.N.Bytes()), "e": text([]byte{1, 0, 1})}}})
	})
	mux.HandleFunc("/info", func(w http.ResponseWriter, _ *http.Request) { say(w, d.info) })
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		id, given, _ := r.BasicAuth()
		sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
		d.auth = id == "waybill" && given == url.QueryEscape(secret)
		if !d.auth || r.FormValue("code") != d.code || d.code == "" || r.FormValue("redirect_uri") != back || base64.RawURLEncoding.EncodeToString(sum[:]) != d.asked.Get("code_challenge") {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(400)
			_, _ = io.WriteString(w, `{"error":"invalid_grant","error_description":"no such code"}`)
			return
		}
		d.code = ""
		word := map[string]any{"iss": d.URL, "aud": "waybill", "sub": "u1", "nonce": d.asked.Get("nonce"), "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(), "preferred_username": "olga", "groups": []string{"shift", "all"}}
		for name, v := range d.claims {
			if word[name] = v; v == nil {
				delete(word, name)
			}
		}
		token := d.sign(t, word)
		if d.signed != nil {
			token = d.signed(token)
		}
		say(w, map[string]any{"access_token": "a", "token_type": "Bearer", "expires_in": 60, "id_token": token})
	})
	return d
}

func (d *double) sign(t *testing.T, word map[string]any) string {
	text := base64.RawURLEncoding.EncodeToString
	body, err := json.Marshal(word)
	if err != nil {
		t.Error(err)
	}
	head := text([]byte(`{"alg":"RS256","kid":"k"}`)) + "." + text(body)
	sum := sha256.Sum256([]byte(head))
	sig, err := rsa.SignPKCS1v15(rand.Reader, d.key, crypto.SHA256, sum[:])
	if err != nil {
		t.Error(err)
	}
	return head + "." + text(sig)
}

// login is what the provider's page does: it sends the browser back with a code.
func (d *double) login(_ *testing.T, at string) url.Values {
	u, _ := url.Parse(at)
	d.asked, d.code = u.Query(), "the-code"
	return url.Values{"code": {d.code}, "state": {d.asked.Get("state")}}
}

func settings(issuer string) Settings {
	return Settings{Issuer: issuer, ID: "waybill", Secret: secret, Name: "preferred_username", Claim: "groups", Now: time.Now, Elapsed: func() time.Duration { return 0 }}
}

func TestSignOn(t *testing.T) {
	d := newDouble(t)
	p := New(settings(d.URL))
	at, kept, err := p.Begin(t.Context(), back)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"client_id": "waybill", "redirect_uri": back, "response_type": "code", "scope": "openid profile email", "code_challenge_method": "S256"} {
		if u, _ := url.Parse(at); u.Query().Get(name) != want || u.Query().Get("state") == "" || u.Query().Get("nonce") == "" || strings.Contains(at, secret) {
			t.Errorf("%s in %s", name, at)
		}
	}
	query := d.login(t, at)
	who, err := p.Finish(t.Context(), back, kept, query)
	if err != nil || who.Name != "olga" || !slices.Equal(who.Groups, []string{"shift", "all"}) || !d.auth {
		t.Fatalf("%+v %v", who, err)
	}
	if _, err := p.Finish(t.Context(), back, kept, query); err == nil || !strings.Contains(err.Error(), "invalid_grant: no such code") {
		t.Errorf("a code twice: %v", err)
	}
}

// What is not the provider's word about this browser's wish signs nobody in, and errors hold no secret.
func TestNotSignedOn(t *testing.T) {
	for name, tt := range map[string]struct {
		claims, info map[string]any
		signed       func(string) string
		query        func(url.Values)
		settings     func(*Settings)
		want         string
	}{
		"another state":      {query: func(q url.Values) { q.Set("state", "guess") }, want: "(state)"},
		"no state":           {query: func(q url.Values) { q.Del("state") }, want: "(state)"},
		"another code":       {query: func(q url.Values) { q.Set("code", "guess") }, want: "no such code"},
		"a refusal":          {query: func(q url.Values) { q.Set("error", "access_denied"); q.Set("error_description", "no\nluck") }, want: "signed nobody in: access_denied: no luck"},
		"another nonce":      {claims: map[string]any{"nonce": "guess"}, want: "(nonce)"},
		"no nonce":           {claims: map[string]any{"nonce": nil}, want: "(nonce)"},
		"for another client": {claims: map[string]any{"aud": "another"}, want: "cannot be believed"},
		"of another issuer":  {claims: map[string]any{"iss": "https://evil.example"}, want: "cannot be believed"},
		"it is over":         {claims: map[string]any{"exp": time.Now().Add(-time.Minute).Unix()}, want: "cannot be believed"},
		"changed":            {signed: func(s string) string { return s[:len(s)-8] + "AAAAAAAA" }, want: "cannot be believed"},
		"not signed": {signed: func(s string) string {
			_, rest, _ := strings.Cut(s, ".")
			body, _, _ := strings.Cut(rest, ".")
			return "eyJhbGciOiJub25lIn0." + body + "."
		}, want: "cannot be believed"},
		"no word":                       {signed: func(string) string { return "" }, want: "cannot be believed"},
		"no name":                       {claims: map[string]any{"preferred_username": nil}, want: "no claim preferred_username"},
		"a name that is none":           {claims: map[string]any{"preferred_username": 7}, want: "no claim preferred_username"},
		"of somebody else":              {claims: map[string]any{"groups": nil}, info: map[string]any{"sub": "u2", "groups": []string{"shift"}}, want: "somebody else"},
		"an unverified mail":            {claims: map[string]any{"email": "a@b", "email_verified": false}, settings: func(s *Settings) { s.Name = "email" }, want: "not verified"},
		"an unverified mail, as a text": {claims: map[string]any{"email": "a@b", "email_verified": "false"}, settings: func(s *Settings) { s.Name = "email" }, want: "not verified"},
		"another secret":                {settings: func(s *Settings) { s.Secret = "another secret" }, want: "does not take the code back"},
	} {
		d := newDouble(t)
		maps.Copy(d.claims, tt.claims)
		maps.Copy(d.info, tt.info)
		d.signed = tt.signed
		s := settings(d.URL)
		if tt.settings != nil {
			tt.settings(&s)
		}
		p := New(s)
		at, kept, err := p.Begin(t.Context(), back)
		if err != nil {
			t.Fatal(err)
		}
		query := d.login(t, at)
		if tt.query != nil {
			tt.query(query)
		}
		who, err := p.Finish(t.Context(), back, kept, query)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), secret) || who.Name != "" {
			t.Errorf("%s: %+v %v", name, who, err)
		}
	}
}

// Claims are looked for where the settings say; a provider that gives little with its word is asked for the rest.
func TestClaims(t *testing.T) {
	for name, tt := range map[string]struct {
		claims, info map[string]any
		claim        string
		want         []string
	}{
		"a text":                   {claims: map[string]any{"groups": "shift"}, claim: "groups", want: []string{"shift"}},
		"inside another":           {claims: map[string]any{"realm_access": map[string]any{"roles": []any{"a", 7, "b"}}}, claim: "realm_access.roles", want: []string{"a", "b"}},
		"a name with a dot":        {claims: map[string]any{"https://a.example/groups": []string{"x"}}, claim: "https://a.example/groups", want: []string{"x"}},
		"when it is asked":         {claims: map[string]any{"groups": nil}, info: map[string]any{"groups": []string{"asked"}}, claim: "groups", want: []string{"asked"}},
		"its word stands":          {claims: map[string]any{"groups": []string{"word"}, "preferred_username": nil}, info: map[string]any{"groups": []string{"asked"}, "preferred_username": "olga"}, claim: "groups", want: []string{"word"}},
		"none":                     {claims: map[string]any{"groups": nil}, claim: "groups"},
		"a form that nobody knows": {claims: map[string]any{"groups": map[string]any{"a": 1}}, claim: "groups"},
	} {
		d := newDouble(t)
		maps.Copy(d.claims, tt.claims)
		maps.Copy(d.info, tt.info)
		s := settings(d.URL)
		s.Claim = tt.claim
		p := New(s)
		at, kept, err := p.Begin(t.Context(), back)
		if err != nil {
			t.Fatal(err)
		}
		if who, err := p.Finish(t.Context(), back, kept, d.login(t, at)); err != nil || who.Name != "olga" || !slices.Equal(who.Groups, tt.want) {
			t.Errorf("%s: %+v %v", name, who, err)
		}
	}
}

// A provider that is not there is asked again by the next one who signs in; one that leads elsewhere, says too much or is another one is not believed.
func TestProviderIsNotThere(t *testing.T) {
	d := newDouble(t)
	var answer http.HandlerFunc = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(w, r) }))
	t.Cleanup(front.Close)
	var elapsed time.Duration
	s := settings(front.URL)
	s.Elapsed = func() time.Duration { return elapsed }
	p := New(s)
	for name, h := range map[string]http.HandlerFunc{
		"down":        answer,
		"another one": func(w http.ResponseWriter, r *http.Request) { d.Config.Handler.ServeHTTP(w, r) },
		"elsewhere":   func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, d.URL+r.URL.Path, http.StatusFound) },
		"without end": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"issuer":"`+strings.Repeat("x", 2*mostAnswer)+`"}`)
		},
		"no JSON": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") },
	} {
		answer = h
		elapsed += againAfter
		if _, _, err := p.Begin(t.Context(), back); err == nil || !strings.Contains(err.Error(), "does not say what it is") || len(err.Error()) > 600 {
			t.Errorf("%s: %v", name, err)
		}
	}
	answer = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"issuer":%q,"authorization_endpoint":%q,"token_endpoint":%q,"jwks_uri":%q}`, front.URL, front.URL+"/auth", front.URL+"/token", front.URL+"/keys")
	}
	if _, _, err := p.Begin(t.Context(), back); err == nil {
		t.Error("it was asked again at once")
	}
	elapsed += againAfter
	if at, _, err := p.Begin(t.Context(), back); err != nil || !strings.HasPrefix(at, front.URL+"/auth?") {
		t.Errorf("it is there now: %s %v", at, err)
	}
}

// TestRealProvider signs in at zitadel/oidc's provider, through its own page.
func TestRealProvider(t *testing.T) {
	issuer := realProvider(t)
	s := settings(issuer)
	s.Scopes = []string{"groups"}
	p := New(s)
	for name, want := range map[string][]string{"olga": {"everybody", "shift"}, "nora": {"everybody"}} {
		at, kept, err := p.Begin(t.Context(), back)
		if err != nil {
			t.Fatal(err)
		}
		query := atItsPage(t, at, name)
		who, err := p.Finish(t.Context(), back, kept, query)
		if err != nil || who.Name != name || !slices.Equal(who.Groups, want) {
			t.Errorf("%s: %+v %v", name, who, err)
		}
		if _, err := p.Finish(t.Context(), back, kept, query); err == nil {
			t.Error("a code was taken twice")
		}
		_, other, err := p.Begin(t.Context(), back)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Finish(t.Context(), back, other, query); err == nil || !strings.Contains(err.Error(), "(state)") {
			t.Errorf("another browser's answer: %v", err)
		}
	}
}

// realProvider builds and starts the provider of internal/test/provider.
func realProvider(t *testing.T) string {
	t.Helper()
	command := filepath.Join(t.TempDir(), "provider")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", command, ".")
	build.Dir = filepath.Join("..", "test", "provider")

	if out, err := build.CombinedOutput(); err != nil {
		needtest.Missing(t, "an OpenID provider: internal/test/provider cannot be built (is the module proxy reached?): %s", strings.TrimSpace(string(out)))
	}
	cmd := exec.Command(command, "-redirect", back)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatal("the provider does not say where it is")
	}
	return strings.TrimPrefix(lines.Text(), "issuer ")
}

// atItsPage fills in the provider's form and gives what it sends the browser back with.
func atItsPage(t *testing.T, at, name string) url.Values {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	var came url.Values
	client := &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), back) {
			came = r.URL.Query()
			return http.ErrUseLastResponse
		}
		return nil
	}}
	page, err := client.Get(at)
	if err != nil {
		t.Fatal(err)
	}
	page.Body.Close()
	form := url.Values{"username": {name}, "password": {"verysecure"}, "id": {page.Request.URL.Query().Get("authRequestID")}}
	answer, err := client.PostForm(page.Request.URL.Scheme+"://"+page.Request.URL.Host+page.Request.URL.Path, form)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if came.Get("code") == "" {
		t.Fatalf("the provider's page leads to %s (%s), and not back", answer.Request.URL, answer.Status)
	}
	return came
}
