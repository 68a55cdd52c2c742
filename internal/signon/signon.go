// Package signon signs people in by an OpenID provider: the code flow with PKCE, state and nonce, and the claims that say who somebody is and in which groups.
package signon

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/waybill-hub/waybill/internal/access"
)

// Bounds of what is asked of a provider.
const (
	askFor     = 10 * time.Second
	mostAnswer = 1 << 20
	againAfter = 5 * time.Second // a provider that was not there is not asked again sooner, however many sign in
	mostClaims = 10_000          // groups of a person that are looked at
)

// Settings are what is known of a provider.
type Settings struct {
	Issuer, ID, Secret string
	// Scopes are asked for beside openid, profile and email.
	Scopes []string
	// Name is the claim that acts are noted under, Claim the one with the groups: a name, or a way into it (realm_access.roles).
	Name, Claim string
	// Transport reaches the provider; nil: the usual one.
	Transport http.RoundTripper
	// Now is the time that a provider's word is held against; Elapsed never goes back.
	Now     func() time.Time
	Elapsed func() time.Duration
}

// Provider is an OpenID provider. It is asked when somebody signs in, and not before: a hub starts without it.
type Provider struct {
	s      Settings
	client *http.Client

	mu     sync.Mutex
	known  *oidc.Provider
	failed error // why it was not there the last time, at since
	since  time.Duration
}

// New makes a provider of its settings.
func New(s Settings) *Provider {
	if s.Transport == nil {
		s.Transport = http.DefaultTransport
	}
	return &Provider{s: s, client: &http.Client{Timeout: askFor, Transport: bounded{s.Transport}, CheckRedirect: func(*http.Request, []*http.Request) error {
		return errors.New("it leads elsewhere, where a provider may not")
	}}}
}

// bounded cuts answers that are too long: nothing that a provider says is.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, mostAnswer), resp.Body}
	}
	return resp, err
}

// discover asks the provider what it is, once it answers.
func (p *Provider) discover(ctx context.Context) (*oidc.Provider, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known != nil {
		return p.known, nil
	}
	if p.failed != nil && p.s.Elapsed()-p.since < againAfter {
		return nil, p.failed
	}
	known, err := p.look(ctx)
	p.known, p.failed, p.since = known, err, p.s.Elapsed()
	return known, err
}

// look asks the provider what it is, now.
func (p *Provider) look(ctx context.Context) (*oidc.Provider, error) {
	// Its keys are asked for with this context later: it does not end with a request.
	known, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), p.client), p.s.Issuer)
	if err != nil {
		return nil, fmt.Errorf("the provider %s does not say what it is: %w", p.s.Issuer, clean(err))
	}
	if at := known.Endpoint(); strings.HasPrefix(p.s.Issuer, "https://") && (!strings.HasPrefix(at.TokenURL, "https://") || !strings.HasPrefix(at.AuthURL, "https://")) {
		return nil, fmt.Errorf("the provider %s names addresses without TLS: secrets would go there in clear", p.s.Issuer)
	}
	return known, nil
}

// clean bounds what a provider's answer adds to an error: it is shown to whoever signs in.
func clean(err error) error {
	var no *oauth2.RetrieveError
	if errors.As(err, &no) {
		text := no.ErrorCode
		if no.ErrorDescription != "" {
			text += ": " + no.ErrorDescription
		}
		if text == "" && no.Response != nil {
			text = no.Response.Status
		}
		return errors.New(short(text))
	}
	return errors.New(short(err.Error()))
}

func short(text string) string {
	const most = 300
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}

func (p *Provider) config(known *oidc.Provider, back string) *oauth2.Config {
	scopes := []string{oidc.ScopeOpenID, "profile", "email"}
	for _, s := range p.s.Scopes {
		if !slices.Contains(scopes, s) {
			scopes = append(scopes, s)
		}
	}
	return &oauth2.Config{ClientID: p.s.ID, ClientSecret: p.s.Secret, Endpoint: known.Endpoint(), RedirectURL: back, Scopes: scopes}
}

// remembered is what a browser keeps on the way; its seal is the guard's.
type remembered struct {
	State    string `json:"s"`
	Nonce    string `json:"n"`
	Verifier string `json:"v"`
}

// Begin gives the address of the provider's page.
func (p *Provider) Begin(ctx context.Context, back string) (string, []byte, error) {
	known, err := p.discover(ctx)
	if err != nil {
		return "", nil, err
	}
	m := remembered{State: random(), Nonce: random(), Verifier: oauth2.GenerateVerifier()}
	kept, err := json.Marshal(m)
	if err != nil {
		return "", nil, err
	}
	return p.config(known, back).AuthCodeURL(m.State, oidc.Nonce(m.Nonce), oauth2.S256ChallengeOption(m.Verifier)), kept, nil
}

func random() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // it never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

func same(a, b string) bool { return a != "" && subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// Finish says whom the provider has signed in.
func (p *Provider) Finish(ctx context.Context, back string, kept []byte, query url.Values) (access.Identity, error) {
	var m remembered
	if err := json.Unmarshal(kept, &m); err != nil || !same(m.State, query.Get("state")) {
		return access.Identity{}, errors.New("this is not the answer to what this browser has asked (state): begin again")
	}
	if code := query.Get("error"); code != "" {
		return access.Identity{}, fmt.Errorf("the provider has signed nobody in: %s", short(strings.TrimSuffix(code+": "+query.Get("error_description"), ": ")))
	}
	known, err := p.discover(ctx)
	if err != nil {
		return access.Identity{}, err
	}
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, p.client), askFor)
	defer cancel()
	token, err := p.config(known, back).Exchange(ctx, query.Get("code"), oauth2.VerifierOption(m.Verifier))
	if err != nil {
		return access.Identity{}, fmt.Errorf("the provider does not take the code back: %w", clean(err))
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := known.Verifier(&oidc.Config{ClientID: p.s.ID, Now: p.s.Now}).Verify(ctx, raw)
	if err != nil {
		return access.Identity{}, fmt.Errorf("the provider's word (id_token) cannot be believed: %w", clean(err))
	}
	if !same(m.Nonce, id.Nonce) {
		return access.Identity{}, errors.New("the provider's word is not about what this browser has asked (nonce): begin again")
	}
	claims := map[string]any{}
	if err := id.Claims(&claims); err != nil {
		return access.Identity{}, fmt.Errorf("the provider's claims cannot be read: %w", clean(err))
	}
	if p.lacks(claims) { // some give little with the token, and the rest when asked
		if err := p.more(ctx, known, token, id.Subject, claims); err != nil {
			return access.Identity{}, err
		}
	}
	return p.identity(claims)
}

// lacks reports whether claims lack the name or the groups.
func (p *Provider) lacks(claims map[string]any) bool {
	return claim(claims, p.s.Name) == nil || p.s.Claim != "" && claim(claims, p.s.Claim) == nil
}

// more adds what the provider says of a person when it is asked; what its word said already stands.
func (p *Provider) more(ctx context.Context, known *oidc.Provider, token *oauth2.Token, subject string, claims map[string]any) error {
	if known.UserInfoEndpoint() == "" {
		return nil
	}
	info, err := known.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return fmt.Errorf("the provider does not say who it is: %w", clean(err))
	}
	if info.Subject != subject {
		return errors.New("the provider tells of somebody else than it has signed in")
	}
	others := map[string]any{}
	if err := info.Claims(&others); err != nil {
		return fmt.Errorf("the provider's claims cannot be read: %w", clean(err))
	}
	for name, v := range others {
		if _, there := claims[name]; !there {
			claims[name] = v
		}
	}
	return nil
}

// identity reads who somebody is.
func (p *Provider) identity(claims map[string]any) (access.Identity, error) {
	name, ok := claim(claims, p.s.Name).(string)
	if !ok || name == "" {
		return access.Identity{}, fmt.Errorf("the provider gives no claim %s, by which acts are noted (http.oidc.name)", p.s.Name)
	}
	if said := claims["email_verified"]; p.s.Name == "email" && (said == false || said == "false") { // some write it as a text
		return access.Identity{}, errors.New("the provider has not verified this mail address: others may act under it")
	}
	who := access.Identity{Name: name}
	switch v := claim(claims, p.s.Claim).(type) {
	case string:
		who.Groups = []string{v}
	case []any:
		for _, g := range v[:min(len(v), mostClaims)] {
			if text, ok := g.(string); ok {
				who.Groups = append(who.Groups, text)
			}
		}
	}
	return who, nil
}

// claim finds a claim by its name, or by a way into one.
func claim(claims map[string]any, name string) any {
	if name == "" {
		return nil
	}
	if v, ok := claims[name]; ok {
		return v
	}
	first, rest, ok := strings.Cut(name, ".")
	if !ok {
		return nil
	}
	inner, _ := claims[first].(map[string]any)
	return claim(inner, rest)
}
