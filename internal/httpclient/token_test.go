package httpclient

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

func credentials(style string) Auth {
	return Auth{ClientCredentials: &ClientCredentials{TokenURL: "token", ID: "hub:1", Secret: secret("cl1ent secret"), Scope: "api", Style: style}}
}

// TestTokenOfAnAccount: with a user, the token is asked for by the grant password, for the application that proves itself beside it; a user without a password is no way to log in.
func TestTokenOfAnAccount(t *testing.T) {
	read := func(text string) (Auth, error) {
		var set struct {
			Auth Auth `yaml:"auth"`
		}
		var p strictyaml.Problems
		n := strictyaml.ParseWith("configs/waybill.yaml", []byte("auth:\n  client-credentials: "+text+"\n"), vault{}, &p)[0]
		connector.Settings{Node: n}.Decode(&set, &p)
		set.Auth.Check(n.Get("auth"), &p)
		return set.Auth, p.Err()
	}
	a, err := read(`{token-url: token, style: body, id: ci, secret: "${file:cs}", user: saak, password: "${file:sa&sk}"}`)
	if err != nil {
		t.Fatal(err)
	}
	c, _ := serve(t, Config{Auth: a}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			if got := r.PostFormValue("grant_type") + " " + r.PostFormValue("username") + " " + r.PostFormValue("password") + " " + r.PostFormValue("client_id") + " " + r.PostFormValue("client_secret"); got != "password saak sa&sk ci cs" {
				t.Errorf("asked for a token with %s", got)
			}
			io.WriteString(w, `{"access_token":"t-1","token_type":"Bearer","expires_in":7200}`)
			return
		}
		if r.Header.Get("Authorization") != "Bearer t-1" {
			t.Errorf("asked with %v", r.Header)
		}
		io.WriteString(w, `{}`)
	})
	if _, err := c.Do(t.Context(), Request{Path: "load"}); err != nil {
		t.Fatal(err)
	}
	if text := c.Scrub("sa&sk"); text == "sa&sk" {
		t.Error("the password is told")
	}
	if _, err := read(`{token-url: token, id: ci, secret: "${file:cs}", user: saak}`); err == nil || !strings.Contains(err.Error(), "one of user and password without the other") {
		t.Errorf("a user without a password: %v", err)
	}
}

// idp is a token endpoint and a resource in one server.
type idp struct {
	fetched atomic.Int32
	valid   atomic.Value // the token that the resource takes
	life    int
	gate    chan struct{} // where not nil, tokens wait for it
	status  int
}

func (p *idp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/token" {
		if p.gate != nil {
			<-p.gate
		}
		n := p.fetched.Add(1)
		if p.status != 0 {
			w.WriteHeader(p.status)
			io.WriteString(w, `{"error":"invalid_client","error_description":"wrong cl1ent secret"}`)
			return
		}
		token := fmt.Sprintf("token-%d", n)
		p.valid.Store(token)
		fmt.Fprintf(w, `{"access_token":%q,"token_type":"Bearer","expires_in":%d}`, token, p.life)
		return
	}
	if r.Header.Get("Authorization") != "Bearer "+p.valid.Load().(string) {
		w.WriteHeader(401)
		return
	}
	io.WriteString(w, `{}`)
}

func TestClientCredentials(t *testing.T) {
	p := &idp{life: 3600}
	p.valid.Store("none")
	c, _ := serve(t, Config{Auth: credentials("header")}, p.ServeHTTP)
	now := time.Now()
	c.now = func() time.Time { return now }
	c.tokens.now = c.now
	get := func() error {
		_, err := c.Do(t.Context(), Request{Method: "POST", Path: "orders", Body: []byte("{}")})
		return err
	}
	for range 3 {
		if err := get(); err != nil {
			t.Fatal(err)
		}
	}
	if n := p.fetched.Load(); n != 1 {
		t.Errorf("%d tokens for three calls", n)
	}
	p.valid.Store("revoked")
	if err := get(); err != nil || p.fetched.Load() != 2 {
		t.Errorf("a refused token is fetched anew once: %v, %d", err, p.fetched.Load())
	}
	now = now.Add(time.Hour)
	if err := get(); err != nil || p.fetched.Load() != 3 {
		t.Errorf("an old token is fetched anew: %v, %d", err, p.fetched.Load())
	}
}

func TestRefusedTwice(t *testing.T) {
	var asked, fetched atomic.Int32
	c, _ := serve(t, Config{Auth: credentials("body")}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			fetched.Add(1)
			if r.FormValue("client_id") != "hub:1" || r.FormValue("client_secret") != "cl1ent secret" || r.FormValue("scope") != "api" {
				t.Errorf("form: %v", r.Form)
			}
			io.WriteString(w, `{"access_token":"t-9999"}`)
			return
		}
		asked.Add(1)
		w.WriteHeader(401)
	})
	_, err := c.Do(t.Context(), Request{Method: "POST", Path: "orders"})
	if fault.KindOf(err) != fault.Auth || asked.Load() != 2 || fetched.Load() != 2 {
		t.Errorf("%v: asked %d times with %d tokens; want 2 and 2", err, asked.Load(), fetched.Load())
	}
	if token := c.tokens.take(); token != "" {
		t.Errorf("the token that was refused last is kept")
	}
}

// Many callers, one token request; a caller that gives up does not spoil it for the others.
func TestSingleFlight(t *testing.T) {
	p := &idp{life: 60, gate: make(chan struct{})}
	p.valid.Store("none")
	c, _ := serve(t, Config{Auth: credentials("header"), Limit: Limit{Concurrency: 20}}, p.ServeHTTP)
	var wg sync.WaitGroup
	var failed atomic.Int32
	for range 10 {
		wg.Go(func() {
			if _, err := c.Do(t.Context(), Request{Method: "GET", Path: "orders"}); err != nil {
				failed.Add(1)
			}
		})
	}
	close(p.gate)
	wg.Wait()
	if p.fetched.Load() != 1 || failed.Load() != 0 {
		t.Errorf("%d tokens, %d failures", p.fetched.Load(), failed.Load())
	}
}

// Close ends a token request that is under way, and after it none is begun.
func TestTokensEndWithTheClient(t *testing.T) {
	asked := make(chan struct{}, 2)
	c, _ := serve(t, Config{Auth: credentials("header")}, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		asked <- struct{}{}
		<-r.Context().Done() // the client has gone
	})
	call := func() error {
		_, err := c.Do(t.Context(), Request{Method: "GET", Path: "orders"})
		return err
	}
	under := make(chan error, 1)
	go func() { under <- call() }()
	<-asked
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-under; err == nil {
		t.Error("a call whose token nobody fetches any more has no error")
	}
	if err := call(); fault.KindOf(err) != fault.Unavailable || !errors.Is(err, errClosed) || len(asked) != 0 {
		t.Errorf("after the end: %v, and %d more tokens were asked for", err, len(asked))
	}
}

func TestTokenFailures(t *testing.T) {
	for status, want := range map[int]fault.Kind{400: fault.Auth, 401: fault.Auth, 500: fault.Unavailable, 503: fault.Unavailable, 429: fault.RateLimited} {
		p := &idp{status: status}
		p.valid.Store("none")
		c, _ := serve(t, Config{Auth: credentials("header")}, p.ServeHTTP)
		_, err := c.Do(t.Context(), Request{Method: "POST", Path: "orders"})
		if fault.KindOf(err) != want || strings.Contains(err.Error(), "cl1ent") {
			t.Errorf("%d: %v", status, err)
		}
	}
}

// A token is not used in its last minute: it may end on the way. The one that is put away after a refusal is the one that was refused, and a token that a
// system says back is in no error.
func TestTokensAreHandled(t *testing.T) {
	p := &idp{life: 3600}
	p.valid.Store("none")
	c, _ := serve(t, Config{Auth: credentials("header")}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/say" {
			w.WriteHeader(400)
			fmt.Fprintf(w, `{"message":"no rights with %s"}`, r.Header.Get("Authorization"))
			return
		}
		p.ServeHTTP(w, r)
	})
	now := time.Now()
	c.now = func() time.Time { return now }
	c.tokens.now = c.now
	get := func(path string) error {
		_, err := c.Do(t.Context(), Request{Method: "GET", Path: path})
		return err
	}
	if err := get("say"); err == nil || strings.Contains(err.Error(), "token-1") || !strings.Contains(err.Error(), "no rights") {
		t.Errorf("%v", err)
	}
	c.tokens.reject("an older one")
	now = now.Add(59*time.Minute - time.Second)
	if err := get("orders"); err != nil || p.fetched.Load() != 1 {
		t.Errorf("%v, %d tokens", err, p.fetched.Load())
	}
	now = now.Add(2 * time.Second)
	if err := get("orders"); err != nil || p.fetched.Load() != 2 {
		t.Errorf("in its last minute: %v, %d tokens", err, p.fetched.Load())
	}
}

// The headers of a system concern nobody else, and so not whoever gives out its tokens elsewhere.
func TestHeadersGoToTheSystemAlone(t *testing.T) {
	asked := make(chan string, 1)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Header.Get("X-Tenant-Key")
		io.WriteString(w, `{"access_token":"t-9999"}`)
	}))
	defer elsewhere.Close()
	auth := credentials("header")
	auth.ClientCredentials.TokenURL = elsewhere.URL + "/token"
	c, _ := serve(t, Config{Auth: auth, Headers: map[string]string{"X-Tenant-Key": "k-1"}}, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"key":"`+r.Header.Get("X-Tenant-Key")+`"}`)
	})
	resp, err := c.Do(t.Context(), Request{Method: "GET", Path: "orders"})
	if err != nil || string(resp.Body) != `{"key":"k-1"}` {
		t.Fatalf("%v", err)
	}
	if got := <-asked; got != "" {
		t.Errorf("who gives out tokens is told %q", got)
	}
}
