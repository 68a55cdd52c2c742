package httpclient

import (
	"context"
	"net/http"
	"net/url"

	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Auth is how the hub proves itself to a system; at most one of its fields is set. Its tags are those of
// connector.Settings.Decode.
type Auth struct {
	Basic             *Basic             `yaml:"basic" doc:"HTTP Basic"`
	Bearer            strictyaml.Secret  `yaml:"bearer" doc:"a fixed token, sent as Authorization: Bearer"`
	APIKey            *APIKey            `yaml:"api-key" doc:"a fixed key in a header or in the query"`
	ClientCredentials *ClientCredentials `yaml:"client-credentials" doc:"OAuth 2.0 client credentials; the token is cached, and fetched anew once after a 401"`
	Login             *Login             `yaml:"login" doc:"a request of the system's own that answers with a token or a session, which is kept, and fetched anew once after a 401 or an answer of the kind auth"`
}

// Basic is a user and a password.
type Basic struct {
	User     string            `yaml:"user,required" doc:"the user's name"`
	Password strictyaml.Secret `yaml:"password,required" doc:"the password"`
}

// APIKey is a key under a name, in a header or in the query.
type APIKey struct {
	Header string            `yaml:"header" doc:"name of the header; one of header and query is needed"`
	Query  string            `yaml:"query" doc:"name of the query parameter"`
	Prefix string            `yaml:"prefix" doc:"text before the key, such as 'Token '"`
	Value  strictyaml.Secret `yaml:"value,required" doc:"the key"`
}

// ClientCredentials are those of RFC 6749, section 4.4.
type ClientCredentials struct {
	TokenURL  string            `yaml:"token-url,required" doc:"where tokens are fetched; a path is relative to url, one with a slash before it to its host"`
	ID        string            `yaml:"id,required" doc:"client id"`
	Secret    strictyaml.Secret `yaml:"secret" doc:"client secret; one of secret and assertion is needed"`
	Scope     string            `yaml:"scope" doc:"scopes, separated by spaces"`
	Audience  string            `yaml:"audience" doc:"audience, where the server wants one"`
	Assertion *Assertion        `yaml:"assertion" doc:"a statement that the hub signs, in place of a secret (RFC 7523)"`
	User      string            `yaml:"user" doc:"the token is asked for by the grant password of section 4.3, for an account of a service such as those of Infor's ION API: its user, or access key"`
	Password  strictyaml.Secret `yaml:"password" doc:"and its password, or secret key"`
	Style     string            `yaml:"style" default:"header" enum:"header,body" doc:"where id and secret are sent: in a Basic header or in the form"`
}

// Check adds a problem unless at most one way is set, and complete.
func (a *Auth) Check(n strictyaml.Node, p *strictyaml.Problems) {
	set := 0
	for _, is := range []bool{a.Basic != nil, !a.Bearer.Empty(), a.APIKey != nil, a.ClientCredentials != nil, a.Login != nil} {
		if is {
			set++
		}
	}
	if set > 1 {
		p.AddHint(n.Pos(), "keep one of basic, bearer, api-key, client-credentials, login", "auth: more than one way to authenticate")
	}
	if k := a.APIKey; k != nil && (k.Header == "") == (k.Query == "") {
		p.AddHint(n.Get("api-key").Pos(), "name one of header and query", "api-key: where the key goes is not clear")
	}
	if c := a.ClientCredentials; c != nil && c.TokenURL != "" {
		if _, err := url.Parse(c.TokenURL); err != nil {
			p.Add(n.Get("client-credentials").Get("token-url").Pos(), "token-url: this is no URL")
		}
	}
	if c := a.ClientCredentials; c != nil && n.Get("client-credentials").Has("secret") == (c.Assertion != nil) {
		p.AddHint(n.Get("client-credentials").Pos(), "write one of secret and assertion", "client-credentials: how the hub proves who it is is not clear")
	}
	if c := a.ClientCredentials; c != nil && (c.User != "") != n.Get("client-credentials").Has("password") {
		p.AddHint(n.Get("client-credentials").Pos(), "write both, or none", "client-credentials: there is one of user and password without the other")
	}
	if a.Login != nil {
		a.Login.check(n.Get("login"), p)
	}
}

// apply puts the credentials on a request. With client credentials it gives the token that it used.
func (c *Client) apply(ctx context.Context, r *http.Request) (token string, err error) {
	a := &c.cfg.Auth
	switch {
	case a.Basic != nil:
		r.SetBasicAuth(a.Basic.User, a.Basic.Password.Reveal())
	case !a.Bearer.Empty():
		r.Header.Set("Authorization", "Bearer "+a.Bearer.Reveal())
	case a.APIKey != nil && a.APIKey.Header != "":
		r.Header.Set(a.APIKey.Header, a.APIKey.Prefix+a.APIKey.Value.Reveal())
	case a.APIKey != nil:
		inQuery(r, a.APIKey.Query, a.APIKey.Prefix+a.APIKey.Value.Reveal())
	case c.tokens != nil:
		token, err = c.tokens.get(ctx)
		switch {
		case err != nil:
		case c.cfg.Session != nil:
			r.Header.Set("Authorization", token)
		case a.Login != nil && a.Login.Header != "":
			r.Header.Set(a.Login.Header, a.Login.Prefix+token)
		case a.Login != nil:
			inQuery(r, a.Login.Parameter, a.Login.Prefix+token)
		default:
			r.Header.Set("Authorization", "Bearer "+token)
		}
	}
	return token, err
}

// inQuery adds a parameter behind those of a request.
func inQuery(r *http.Request, name, value string) {
	q := Query{{name, value}}.Encode()
	if r.URL.RawQuery != "" {
		q = r.URL.RawQuery + "&" + q
	}
	r.URL.RawQuery = q
}
