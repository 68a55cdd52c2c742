// Package access says who may ask the hub: by which token, through which name, from which page, and over which certificate. It knows nothing
// of what is asked.
package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// Token is a bearer token, the name that whoever gives it acts under, and what it is for.
type Token struct {
	Name, Value string
	Role        Role
	// Scopes are what it is for; none: everything that its role may.
	Scopes []Scope
}

// Rules are who may ask. They are replaced as a whole, never changed.
type Rules struct {
	// Tokens, and people with passwords or of a provider, that may ask; without any of them, only what comes straight from this machine is answered.
	Tokens []Token
	Users  []User
	// Elsewhere is a provider that signs people in; nil: there is none.
	Elsewhere *Elsewhere
	// Origin is the address, scheme://host[:port], under which people reach the hub; empty: the one that it listens on.
	Origin string
}

// Why a request was refused, as metrics name it.
const (
	WrongToken    = "wrong-token"    // it gave none of the tokens
	WrongPassword = "wrong-password" // it gave a name and a password that are no user's
	Slowed        = "slowed"         // so did too many before it
	NoToken       = "no-token"       // it gave none, and the hub has some
	Proxied       = "proxied"        // the hub has none, and it came from elsewhere
	ForeignTo     = "host"           // the hub has none, and it was sent to a name of somebody else's
	CrossSite     = "cross-site"     // a page of another site had a browser send it
	NoCSRF        = "csrf"           // a browser's session, and no sign that the hub's own page sent it
	NotSignedIn   = "not-signed-in"  // the provider that signs people in has not done so
	WrongRole     = "role"           // whoever asks may ask, and not for this
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
	clock lifecycle.Clock
	// sessions are those of browsers; open is what pages are sealed with where there are no tokens, made anew at every start.
	sessions  sessions
	passwords *passwords
	open      []byte
	// refused is told of every refusal.
	refused func(why string)
}

type rules struct {
	tokens    []known
	users     []user
	elsewhere *Elsewhere
	origin    string
	host      string // of the origin, without a port
	asks      bool   // who somebody is
	cross     *http.CrossOriginProtection
}

// known is somebody who may be let in, and what is told apart by: the hash of a token.
type known struct {
	name   string
	role   Role
	scopes []Scope
	sum    [sha256.Size]byte
}

func (k *known) visitor() Visitor { return Visitor{Name: k.name, Role: k.role, Scopes: k.scopes} }

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
	g := &Guard{wrong: newAttempts(c.Clock, c.Log), clock: c.Clock, passwords: newPasswords(), open: make([]byte, sha256.Size), refused: c.Refused}
	_, _ = rand.Read(g.open) // it never fails
	g.Set(r)
	return g
}

// Set puts other rules in place.
func (g *Guard) Set(r Rules) {
	n := &rules{elsewhere: r.Elsewhere, origin: r.Origin, host: hostOf(r.Origin), cross: http.NewCrossOriginProtection()}
	for _, one := range r.Tokens {
		n.tokens = append(n.tokens, known{one.Name, one.Role, one.Scopes, sha256.Sum256([]byte(one.Value))})
	}
	for i := range r.Users {
		u := &r.Users[i]
		// A hash that is none is nobody's password: the configuration has complained of it.
		if p, err := ParsePassword(u.Password); err == nil {
			n.users = append(n.users, user{known{u.Name, u.Role, nil, userSum(u)}, p})
		}
	}
	n.asks = len(r.Tokens)+len(r.Users) > 0 || r.Elsewhere != nil
	if r.Origin != "" {
		// What is no origin trusts nobody: the configuration has complained of it.
		_ = n.cross.AddTrustedOrigin(r.Origin)
	}
	g.rules.Store(n)
}

// Open reports whether the hub asks nobody who they are.
func (g *Guard) Open() bool { return !g.rules.Load().asks }

// Ways are those by which a browser may sign in.
type Ways struct{ Tokens, Users, Elsewhere bool }

// Ways tells how a browser may sign in.
func (g *Guard) Ways() Ways {
	n := g.rules.Load()
	return Ways{Tokens: len(n.tokens) > 0, Users: len(n.users) > 0, Elsewhere: n.elsewhere != nil}
}

// Wrong is what is known of wrong tokens.
func (g *Guard) Wrong() Wrong { return g.wrong.seen() }

// Enter lets a request in, under the name of its token or its session ("" where the hub has no tokens), or refuses it. A wrong token may keep it
// for a while: a right one never.
func (g *Guard) Enter(r *http.Request) (Visitor, *Refusal) {
	now := g.rules.Load()
	if !now.asks {
		return Visitor{Role: Admin, CSRF: csrfOf(g.open, "")}, g.count(now.stranger(r))
	}
	token, given := tokenOf(r)
	if k := now.byToken(token); k != nil && given {
		return k.visitor(), nil
	}
	if given {
		return Visitor{}, g.count(g.wrong.refuse(r))
	}
	if v, ok := g.bySession(r); ok {
		return v, nil
	}
	return Visitor{}, g.count(&Refusal{Status: http.StatusUnauthorized, Why: NoToken, Challenge: true, Detail: "give a token: Authorization: Bearer …; people sign in with a browser"})
}

// Write refuses what a page of another site has a browser send, and what a browser's session sends that is not from the hub's own pages. It is for
// requests that change something, of visitors that were let in.
func (g *Guard) Write(r *http.Request) *Refusal {
	if no := g.Foreign(r); no != nil {
		return no
	}
	if v := Of(r.Context()); v.Session && !v.Own(r.Header.Get(CSRFHeader)) {
		return g.count(&Refusal{Status: http.StatusForbidden, Why: NoCSRF, Detail: "a write of a signed-in browser needs the header " + CSRFHeader + " of its page; scripts give their token"})
	}
	return nil
}

// Foreign refuses what a page of another site has a browser send.
func (g *Guard) Foreign(r *http.Request) *Refusal {
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

// byToken finds whose a token is; every token is compared, in constant time.
func (n *rules) byToken(token string) (found *known) {
	sum := sha256.Sum256([]byte(token))
	for i := range n.tokens {
		if subtle.ConstantTimeCompare(sum[:], n.tokens[i].sum[:]) == 1 {
			found = &n.tokens[i]
		}
	}
	return found
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

type visitorKey struct{}

// With gives a request's context who was let in.
func With(ctx context.Context, v Visitor) context.Context {
	return context.WithValue(ctx, visitorKey{}, v)
}

// Of is who was let in with a request.
func Of(ctx context.Context) Visitor {
	v, _ := ctx.Value(visitorKey{}).(Visitor)
	return v
}

// NameOf is the name that a request acts under.
func NameOf(ctx context.Context) string { return Of(ctx).Name }
