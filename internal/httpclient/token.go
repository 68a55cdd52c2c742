package httpclient

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// tokens caches one OAuth token, or one session. However many callers wait for a token, one request fetches it; that request belongs to
// no caller, so that one caller's end does not fail the others.
type tokens struct {
	fetch  func(ctx context.Context) (token string, expires time.Time, err error)
	now    func() time.Time
	asking *lifecycle.Background // ended by Close

	mu      sync.Mutex
	token   string
	expires time.Time // zero: until a 401
	flight  *flight
}

type flight struct {
	done  chan struct{}
	token string
	err   error
}

// get gives the cached token, or waits for a new one.
func (t *tokens) get(ctx context.Context) (string, error) {
	t.mu.Lock()
	if t.token != "" && (t.expires.IsZero() || t.now().Before(t.expires)) {
		defer t.mu.Unlock()
		return t.token, nil
	}
	f := t.flight
	if f == nil {
		f = &flight{done: make(chan struct{})}
		if !t.asking.Go(func(ctx context.Context) error { t.run(ctx, f); return nil }) {
			t.mu.Unlock()
			return "", fault.Wrap(fault.Unavailable, "fetch token", errClosed)
		}
		t.flight = f
	}
	t.mu.Unlock()
	select {
	case <-f.done:
		return f.token, f.err
	case <-ctx.Done():
		return "", fault.Wrap(fault.Unavailable, "fetch token", ctx.Err())
	}
}

func (t *tokens) run(ctx context.Context, f *flight) {
	var token string
	var expires time.Time
	err := lifecycle.Guard(func() (err error) {
		token, expires, err = t.fetch(ctx)
		return err
	})
	t.mu.Lock()
	f.token, f.err = token, err
	if err == nil {
		t.token, t.expires = token, expires
	}
	t.flight = nil
	t.mu.Unlock()
	close(f.done)
}

// reject forgets the token if it is still the one that was refused.
func (t *tokens) reject(token string) {
	t.mu.Lock()
	if t.token == token {
		t.token = ""
	}
	t.mu.Unlock()
}

// take forgets the token and gives it.
func (t *tokens) take() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	token := t.token
	t.token = ""
	return token
}

// login begins a session. It ends when the system says so.
func (c *Client) login(ctx context.Context) (string, time.Time, error) {
	authorization, err := c.cfg.Session.Login(ctx)
	if err == nil {
		c.scrub.Add(authorization)
	}
	return authorization, time.Time{}, err
}

// fetchToken is the request of RFC 6749, section 4.4.2.
func (c *Client) fetchToken(ctx context.Context) (string, time.Time, error) {
	cc := c.cfg.Auth.ClientCredentials
	form := url.Values{"grant_type": {"client_credentials"}}
	if cc.User != "" {
		form = url.Values{"grant_type": {"password"}, "username": {cc.User}, "password": {cc.Password.Reveal()}}
	}
	if cc.Scope != "" {
		form.Set("scope", cc.Scope)
	}
	if cc.Audience != "" {
		form.Set("audience", cc.Audience)
	}
	head := http.Header{"Accept": {"application/json"}}
	at, err := c.base.Parse(cc.TokenURL)
	if err != nil {
		return "", time.Time{}, fault.New(fault.Invalid, "token-url is no URL")
	}
	switch {
	case cc.Assertion != nil:
		statement, err := cc.Assertion.sign(cc.ID, at.String(), cc.Scope, c.now())
		if err != nil {
			return "", time.Time{}, &fault.Error{Kind: fault.Auth, System: c.cfg.System, Op: "fetch token", Err: err}
		}
		c.scrub.Add(statement)
		form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		form.Set("client_assertion", statement)
	case cc.Style == "body":
		form.Set("client_id", cc.ID)
		form.Set("client_secret", cc.Secret.Reveal())
	default:
		// RFC 6749, 2.3.1: both parts are form-encoded before they become user and password.
		r := http.Request{Header: head}
		r.SetBasicAuth(url.QueryEscape(cc.ID), url.QueryEscape(cc.Secret.Reveal()))
	}
	req := Request{Method: http.MethodPost, Header: head, Body: []byte(form.Encode()), ContentType: "application/x-www-form-urlencoded",
		Safe: true, Op: "fetch token"}
	start := c.now()
	resp, err := c.attempt(ctx, &req, at, false)
	if err != nil {
		return "", time.Time{}, denial(err)
	}
	var answer struct {
		Token   string      `json:"access_token"`
		Type    string      `json:"token_type"`
		Expires json.Number `json:"expires_in"`
	}
	if err := json.Unmarshal(resp.Body, &answer); err != nil || answer.Token == "" {
		return "", time.Time{}, &fault.Error{Kind: fault.Auth, System: c.cfg.System, Op: req.Op, Err: errNoToken}
	}
	c.scrub.Add(answer.Token)
	seconds, err := answer.Expires.Float64()
	if err != nil {
		seconds = 0
	}
	return answer.Token, until(start, seconds), nil
}

// denial is the failure of a request for a token: one that was understood and refused is a matter of the credentials.
func denial(err error) error {
	if f, ok := fault.As(err); ok && (f.Code == "400" || f.Code == "401" || f.Code == "403") {
		f.Kind = fault.Auth
	}
	return err
}

// until is how long a token of so many seconds is used: not in its last tenth, at most a minute, since it may expire on the way. Zero: until it is refused.
func until(start time.Time, seconds float64) time.Time {
	if seconds <= 0 || seconds >= 1e9 {
		return time.Time{}
	}
	life := time.Duration(seconds * float64(time.Second))
	return start.Add(life - min(life/10, time.Minute))
}
