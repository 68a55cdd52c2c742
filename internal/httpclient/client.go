// Package httpclient is the one HTTP client of all connectors: limits, credentials, and the class of every failure.
//
// What it promises about failures: a fault.Unavailable was certainly not applied by the other side; whatever may have
// been applied is a fault.UnknownOutcome. It never sends a request again by itself, but for one case: after a 401 with
// client credentials, or in a session, it fetches a new token, or logs in again, and tries once more. HTTP/2 is not spoken, so that a connection carries one
// request at a time and the bytes on it are that request's.
package httpclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Config says whom a client talks to, and how.
type Config struct {
	// System names the other side in failures.
	System string
	// URL is the base: http or https; paths of requests are below it.
	URL  string
	Auth Auth
	// Headers go with every request.
	Headers map[string]string
	// Timeout bounds one call, from the moment it may start (after the rate limit) to the last byte of the answer. 0: 30 s.
	Timeout time.Duration
	Limit   Limit
	// MaxBody bounds an answer after decompression. 0: 10 MiB.
	MaxBody strictyaml.Size
	TLS     TLS
	// Proxy is the URL of an HTTP proxy; empty: none, whatever the environment says.
	Proxy string
	Log   *slog.Logger
	// Secrets are those that no part of Auth holds, because they go into bodies.
	Secrets []strictyaml.Secret
	// Told is that of connector.Settings.
	Told func(at time.Time, passed time.Duration)
	// Via is that of connector.Settings.
	Via func(http.RoundTripper) http.RoundTripper
	// Session, where set, is a login in place of Auth.
	Session *Session
}

// Session is a system's own way to log in. However many calls wait for it, one login is made; after a 401, or an answer that means one, the hub logs in
// again, once for each call.
type Session struct {
	// Login gives the value of the header Authorization. Its requests are Bare. What of it is secret is given to Conceal.
	Login func(ctx context.Context) (authorization string, err error)
	// Logout ends what Login has begun, when the client is closed.
	Logout func(ctx context.Context, authorization string)
}

// Client talks to one system. It is safe for concurrent use.
type Client struct {
	cfg    Config
	base   *url.URL // ends in a slash
	root   *url.URL // as configured
	http   *http.Client
	limit  *limiter
	tokens *tokens
	scrub  connector.Scrubber
	now    func() time.Time
}

var (
	errNoToken = errors.New("the answer holds no access_token")
	errClosed  = errors.New("the client is closed")
)

// logoutPatience bounds how long a client that is closed waits for the answer to its logout.
const logoutPatience = 3 * time.Second

// secretHeader tells headers whose values are treated as secrets.
var secretHeader = regexp.MustCompile(`(?i)auth|key|token|secret|cookie|password`)

// New makes a client. It makes no connection.
func New(cfg Config) (*Client, error) {
	if cfg.Timeout <= 0 {
		cfg.Timeout = 30 * time.Second
	}
	if cfg.MaxBody <= 0 {
		cfg.MaxBody = 10 << 20
	}
	if cfg.Limit.Concurrency <= 0 {
		cfg.Limit.Concurrency = 8
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	base, err := BaseURL(cfg.URL)
	if err != nil {
		return nil, err
	}
	root, _ := url.Parse(cfg.URL)
	c := &Client{cfg: cfg, base: base, root: root, limit: newLimiter(cfg.Limit), now: time.Now}
	c.scrub.AddSettings(cfg.Auth)
	for _, s := range cfg.Secrets {
		c.scrub.Add(s.Reveal())
	}
	if b := cfg.Auth.Basic; b != nil {
		c.scrub.Add(b.User + ":" + b.Password.Reveal())
	}
	for name, value := range cfg.Headers {
		if secretHeader.MatchString(name) {
			c.scrub.Add(value)
		}
	}
	transport := &http.Transport{
		DialContext:            dial,
		MaxIdleConnsPerHost:    cfg.Limit.Concurrency,
		IdleConnTimeout:        30 * time.Second, // shorter than most servers', so that few requests meet a closing connection
		TLSHandshakeTimeout:    10 * time.Second,
		MaxResponseHeaderBytes: 1 << 20,
		Protocols:              new(http.Protocols),
	}
	transport.Protocols.SetHTTP1(true)
	if transport.TLSClientConfig, err = cfg.TLS.config(); err != nil {
		return nil, err
	}
	if cfg.Proxy != "" {
		proxy, err := url.Parse(cfg.Proxy)
		if err != nil || proxy.Host == "" {
			return nil, errors.New("proxy: this is no URL")
		}
		transport.Proxy = http.ProxyURL(proxy)
	}
	c.http = &http.Client{Transport: onceTransport{transport}, CheckRedirect: followRedirect}
	if cfg.Via != nil {
		c.http.Transport = cfg.Via(c.http.Transport)
	}
	if cfg.Auth.ClientCredentials != nil {
		c.tokens = &tokens{fetch: c.fetchToken, now: c.now, asking: lifecycle.NewBackground(context.Background())}
	} else if cfg.Auth.Login != nil {
		c.tokens = &tokens{fetch: c.fetchLogin, now: c.now, asking: lifecycle.NewBackground(context.Background())}
	} else if cfg.Session != nil {
		c.tokens = &tokens{fetch: c.login, now: c.now, asking: lifecycle.NewBackground(context.Background())}
	}
	return c, nil
}

// BaseURL parses the URL of a system: http or https, a host, no user, query or fragment, no refused address.
func BaseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New("this is no URL")
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, errors.New("the URL must begin with http:// or https:// and a host")
	case u.User != nil:
		return nil, errors.New("credentials do not belong in a URL: use auth")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("the URL must have no query and no fragment")
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil {
		if err := Allowed(ip); err != nil {
			return nil, err
		}
	}
	if !strings.HasSuffix(u.Path, "/") {
		u = u.JoinPath("/")
	}
	return u, nil
}

func dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := Dialer().DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &countingConn{Conn: conn}, nil
}

// onceKey marks the context of a request that must not be sent again.
type onceKey struct{}

// onceTransport gives such a request an empty body, which net/http cannot send again; nothing of it is on the wire. It stands behind http.Client,
// which would not follow a 307 or 308 of a request with a body.
type onceTransport struct{ *http.Transport }

func (t onceTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil && r.Context().Value(onceKey{}) != nil {
		r = r.WithContext(r.Context())
		r.Body = emptyBody()
	}
	return t.Transport.RoundTrip(r)
}

func emptyBody() io.ReadCloser { return io.NopCloser(bytes.NewReader(nil)) }

// followRedirect follows where nothing can go wrong: a few hops of a GET or HEAD within one origin.
func followRedirect(r *http.Request, via []*http.Request) error {
	first := via[0]
	safe := first.Method == http.MethodGet || first.Method == http.MethodHead
	if !safe || len(via) >= 5 || !SameOrigin(r.URL, first.URL) {
		return http.ErrUseLastResponse
	}
	return nil
}

// SameOrigin reports whether two URLs have one scheme, host and port.
func SameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	if u.Scheme == "https" {
		return "443"
	}
	return "80"
}

// Close ends token requests, logs out and closes idle connections. Calls under way end by their contexts.
func (c *Client) Close() error {
	if c.tokens != nil {
		_ = c.tokens.asking.Stop(context.Background(), nil) // a request ends with its context; those who wait for it are told its error
		if s, token := c.cfg.Session, c.tokens.take(); s != nil && token != "" {
			ctx, cancel := context.WithTimeout(context.Background(), min(c.cfg.Timeout, logoutPatience))
			s.Logout(ctx, token)
			cancel()
		}
	}
	c.http.CloseIdleConnections()
	return nil
}

// Conceal makes a text known as a secret.
func (c *Client) Conceal(secret string) { c.scrub.Add(secret) }

// Scrub gives text without the client's secrets.
func (c *Client) Scrub(text string) string { return c.scrub.Text(text) }

// Resolve gives the URL of a path, which is relative to the base whether or not it begins with a slash, or of a complete
// URL. It refuses URLs of another origin: what a system answers must not lead the hub, and its credentials, elsewhere.
func (c *Client) Resolve(ref string) (*url.URL, error) {
	if ref == "" {
		return c.root, nil
	}
	if strings.HasPrefix(ref, "//") || strings.HasPrefix(ref, "http://") || strings.HasPrefix(ref, "https://") {
		u, err := c.root.Parse(ref)
		if err != nil {
			return nil, fmt.Errorf("%q is no URL", Shorten(ref, 200))
		}
		return u, c.sameOrigin(u)
	}
	u, err := c.base.Parse("./" + strings.TrimLeft(ref, "/"))
	if err != nil {
		return nil, fmt.Errorf("%q is no path", Shorten(ref, 200))
	}
	return u, nil
}

// ResolveNext gives the URL that an answer to a request for from names as the next one, relative or complete.
func (c *Client) ResolveNext(from *url.URL, ref string) (*url.URL, error) {
	u, err := from.Parse(ref)
	if err != nil {
		return nil, fault.New(fault.Invalid, "the next page's URL %q is no URL", c.Scrub(Shorten(ref, 200)))
	}
	u.Fragment = ""
	key := ""
	if k := c.cfg.Auth.APIKey; k != nil {
		key = k.Query
	} else if l := c.cfg.Auth.Login; l != nil {
		key = l.Parameter
	}
	if key != "" && u.Query().Has(key) {
		// The service repeats the key, or the token, that it was sent; it is put on again, and must not be stored.
		parts := strings.Split(u.RawQuery, "&")
		parts = slices.DeleteFunc(parts, func(p string) bool {
			name, _, _ := strings.Cut(p, "=")
			name, err := url.QueryUnescape(name)
			return err == nil && name == key
		})
		u.RawQuery = strings.Join(parts, "&")
	}
	return u, c.sameOrigin(u)
}

func (c *Client) sameOrigin(u *url.URL) error {
	if !SameOrigin(u, c.base) {
		return fault.New(fault.Invalid, "%s://%s is another server than the system's url names; the hub does not follow", u.Scheme, u.Host)
	}
	return nil
}
