// Package access says who may ask the hub: by which token, through which name, from which page, and over which certificate. It knows nothing
// of what is asked.
package access

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// Token is a bearer token and the name that whoever gives it acts under.
type Token struct{ Name, Value string }

// Rules are who may ask. They are replaced as a whole, never changed.
type Rules struct {
	// Tokens that may ask; without any, only what comes straight from this machine is answered.
	Tokens []Token
	// Origin is the address, scheme://host[:port], under which people reach the hub; empty: the one that it listens on.
	Origin string
}

// Why a request was refused, as metrics name it.
const (
	WrongToken = "wrong-token" // it gave none of the tokens
	Slowed     = "slowed"      // so did too many before it
	NoToken    = "no-token"    // it gave none, and the hub has some
	Proxied    = "proxied"     // the hub has none, and it came from elsewhere
	ForeignTo  = "host"        // the hub has none, and it was sent to a name of somebody else's
	CrossSite  = "cross-site"  // a page of another site had a browser send it
)

// Refusal is an answer that says no.
type Refusal struct {
	Status int
	// Why is one of the words above; Detail says what to do, and nothing of any token.
	Why, Detail string
	// Challenge asks for a token; Retry, where it is not zero, is when to come again; Close ends the connection.
	Challenge bool
	Retry     time.Duration
	Close     bool
}

// Guard lets requests through, or not.
type Guard struct {
	rules atomic.Pointer[rules]
	wrong *attempts
	// refused is told of every refusal.
	refused func(why string)
}

type rules struct {
	names  []string
	hashes [][sha256.Size]byte
	origin string
	host   string // of the origin, without a port
	cross  *http.CrossOriginProtection
}

// Config is what a Guard needs. Refused, where it is not nil, is told why of every refusal.
type Config struct {
	Clock   lifecycle.Clock
	Log     Logger
	Refused func(why string)
}

// Logger takes what is to be told: *slog.Logger.
type Logger interface {
	Info(msg string, args ...any)
	Warn(msg string, args ...any)
}

// NewGuard makes a guard that lets in by these rules.
func NewGuard(c Config, r Rules) *Guard {
	if c.Refused == nil {
		c.Refused = func(string) {}
	}
	g := &Guard{wrong: newAttempts(c.Clock, c.Log), refused: c.Refused}
	g.Set(r)
	return g
}

// Set puts other rules in place.
func (g *Guard) Set(r Rules) {
	n := &rules{origin: r.Origin, host: hostOf(r.Origin), cross: http.NewCrossOriginProtection()}
	for _, one := range r.Tokens {
		n.names = append(n.names, one.Name)
		n.hashes = append(n.hashes, sha256.Sum256([]byte(one.Value)))
	}
	if r.Origin != "" {
		// What is no origin trusts nobody: the configuration has complained of it.
		_ = n.cross.AddTrustedOrigin(r.Origin)
	}
	g.rules.Store(n)
}

// Open reports whether the hub has no tokens.
func (g *Guard) Open() bool { return len(g.rules.Load().hashes) == 0 }

// Wrong is what is known of wrong tokens.
func (g *Guard) Wrong() Wrong { return g.wrong.seen() }

// Enter lets a request in, under the name of its token ("" where the hub has none), or refuses it. A wrong token may keep it for a while: a
// right one never.
func (g *Guard) Enter(r *http.Request) (name string, no *Refusal) {
	now := g.rules.Load()
	if len(now.hashes) == 0 {
		return "", g.count(now.stranger(r))
	}
	token, given := tokenOf(r)
	if name, ok := now.holder(token); ok && given {
		return name, nil
	}
	if !given {
		return "", g.count(&Refusal{Status: http.StatusUnauthorized, Why: NoToken, Challenge: true, Detail: "give a token: Authorization: Bearer …"})
	}
	return "", g.count(g.wrong.refuse(r))
}

// Write refuses what a page of another site has a browser send. It is for requests that change something.
func (g *Guard) Write(r *http.Request) *Refusal {
	now := g.rules.Load()
	// An older browser tells no site, but always the origin of what is not a plain look; behind a proxy that puts another name into Host
	// only http.origin says which one is the hub's own.
	if now.cross.Check(r) == nil {
		return nil
	}
	from := "another site"
	if o := r.Header.Get("Origin"); o != "" && o != "null" {
		from = "pages of " + clip(o)
	}
	detail := "writes from " + from + " are refused"
	if now.host == "" {
		detail += "; if that is the hub's own address, behind a proxy, set http.origin in its configuration"
	} else {
		detail += "; the hub's own address is " + now.origin + " (http.origin)"
	}
	return g.count(&Refusal{Status: http.StatusForbidden, Why: CrossSite, Detail: detail})
}

func (g *Guard) count(no *Refusal) *Refusal {
	if no != nil {
		g.refused(no.Why)
	}
	return no
}

// holder finds the token's name; every token is compared, in constant time.
func (n *rules) holder(token string) (string, bool) {
	sum := sha256.Sum256([]byte(token))
	name, found := "", false
	for i := range n.hashes {
		if subtle.ConstantTimeCompare(sum[:], n.hashes[i][:]) == 1 {
			name, found = n.names[i], true
		}
	}
	return name, found
}

// tokenOf is the token that a request gives. A browser cannot set the header for a page that it opens: basic authentication with any
// user, and the token as password.
func tokenOf(r *http.Request) (token string, given bool) {
	if token, ok := bearer(r.Header.Get("Authorization")); ok {
		return token, true
	}
	if _, token, ok := r.BasicAuth(); ok {
		return token, true
	}
	return "", r.Header.Get("Authorization") != ""
}

// bearer is the token of an Authorization header. The scheme's name is written in any case (RFC 9110), with blanks behind it.
func bearer(value string) (string, bool) {
	scheme, token, ok := strings.Cut(strings.TrimSpace(value), " ")
	return strings.TrimLeft(token, " "), ok && strings.EqualFold(scheme, "bearer")
}

type nameKey struct{}

// WithName gives a request's context the name that it acts under.
func WithName(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, nameKey{}, name)
}

// NameOf is the name that a request acts under.
func NameOf(ctx context.Context) string {
	name, _ := ctx.Value(nameKey{}).(string)
	return name
}
