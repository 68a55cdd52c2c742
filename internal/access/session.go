package access

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Bounds of sessions: how long a browser stays signed in, and how many that have signed out early are remembered until then.
const (
	sessionLasts = 12 * time.Hour
	mostEnded    = 10_000
)

// CSRFHeader is where a page's script says that a write is the page's own; forms have a field for it.
const CSRFHeader = "Waybill-CSRF"

// Visitor is who has been let in.
type Visitor struct {
	// Name is that of the token; "" where the hub has none.
	Name string
	// Role and Scopes are what it may ask for.
	Role   Role
	Scopes []Scope
	// CSRF is what a page sends with a write, in CSRFHeader or a field, to show that it is the hub's own.
	CSRF string
	// Session: it was let in by a browser's session, and not by a token that it gave itself.
	Session bool
}

const (
	idSize    = 16
	untilSize = 8
)

// A session is a cookie that holds an id, its end and a seal over both, made with a key that comes from the token. So it is good on every hub that
// has the token, also after a restart, and ends when the token is taken away. Nothing is stored, but the ids of those that have signed out.
type sessions struct {
	mu    sync.Mutex
	ended map[string]time.Time // ids, until when they would have lasted
}

// sessionKey is what the sessions of a token are sealed with. It says nothing of the token's own hash, which stays with the guard.
func sessionKey(hash [sha256.Size]byte) []byte { return seal(hash[:], "waybill session") }

func seal(key []byte, parts ...string) []byte {
	m := hmac.New(sha256.New, key)
	for _, p := range parts {
		m.Write([]byte(p))
	}
	return m.Sum(nil)
}

// csrfOf is what the pages of a session send with writes.
func csrfOf(key []byte, id string) string {
	return base64.RawURLEncoding.EncodeToString(seal(key, "csrf ", id))
}

// SignIn begins a session for whoever gives a token. It is refused as a request with that token would be, and from pages of others.
func (g *Guard) SignIn(r *http.Request, token string) (*http.Cookie, Visitor, *Refusal) {
	now := g.rules.Load()
	if no := g.Foreign(r); no != nil {
		return nil, Visitor{}, no
	}
	k := now.byToken(token)
	if k == nil {
		return nil, Visitor{}, g.count(g.wrong.refuse(r))
	}
	return g.begin(r, now, sessionKey(k.sum), nil, sessionLasts), k.visitor(), nil
}

// begin makes the cookie of a session that is sealed with a key. said is what it says of whose it is, where its key does not.
func (g *Guard) begin(r *http.Request, now *rules, key, said []byte, lasts time.Duration) *http.Cookie {
	id := make([]byte, idSize, idSize+untilSize)
	_, _ = rand.Read(id) // it never fails
	until := g.clock.Now().Add(lasts)
	body := string(binary.BigEndian.AppendUint64(id, uint64(until.Unix()))) + string(said)
	value := base64.RawURLEncoding.EncodeToString(append([]byte(body), seal(key, "id ", body)...))
	c := now.cookie(r, value)
	c.Expires = until
	return c
}

// SignOut ends a request's session, here and in the browser. Another hub of the same token takes a copy of the cookie until its end.
func (g *Guard) SignOut(r *http.Request) *http.Cookie {
	if id, until, ok := g.session(r); ok {
		g.sessions.end(id.id, until, g.clock.Now())
	}
	c := g.rules.Load().cookie(r, "")
	c.MaxAge = -1
	return c
}

func (s *sessions) end(id string, until, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended == nil {
		s.ended = map[string]time.Time{}
	}
	if len(s.ended) >= mostEnded {
		for other, t := range s.ended {
			if t.Before(now) {
				delete(s.ended, other)
			}
		}
	}
	if len(s.ended) < mostEnded {
		s.ended[id] = until
	}
}

func (s *sessions) over(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, over := s.ended[id]
	return over
}

type signedIn struct {
	id  string
	who *known
	key []byte
}

// session reads a request's session.
func (g *Guard) session(r *http.Request) (s signedIn, until time.Time, ok bool) {
	now := g.rules.Load()
	c, err := r.Cookie(now.cookieName(r))
	if err != nil {
		return s, until, false
	}
	data, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil || len(data) < idSize+untilSize+sha256.Size {
		return s, until, false
	}
	body, mac := string(data[:len(data)-sha256.Size]), data[len(data)-sha256.Size:]
	try := func(k *known) { // each is tried: which one it is of is nobody's business
		if key := sessionKey(k.sum); hmac.Equal(seal(key, "id ", body), mac) {
			s, ok = signedIn{id: body[:idSize], who: k, key: key}, true
		}
	}
	if said := data[idSize+untilSize : len(body)]; len(said) > 0 { // it says itself whose it is: the provider's
		var who Identity
		if now.elsewhere == nil || json.Unmarshal(said, &who) != nil {
			return s, until, false
		}
		k := now.guest(who)
		if try(k); k.role == Nobody { // its groups mean nothing any more
			ok = false
		}
	} else {
		for i := range now.tokens {
			try(&now.tokens[i])
		}
		for i := range now.users {
			try(&now.users[i].known)
		}
	}
	until = time.Unix(int64(binary.BigEndian.Uint64(data[idSize:])), 0)
	return s, until, ok && g.clock.Now().Before(until) && !g.sessions.over(s.id)
}

// bySession lets in who has signed in.
func (g *Guard) bySession(r *http.Request) (Visitor, bool) {
	s, _, ok := g.session(r)
	if !ok {
		return Visitor{}, false
	}
	v := s.who.visitor()
	v.CSRF, v.Session = csrfOf(s.key, s.id), true
	return v, true
}

// secure reports whether the browser reaches the hub over TLS, as far as it can know.
func (n *rules) secure(r *http.Request) bool {
	u, err := url.Parse(n.origin)
	return r.TLS != nil || err == nil && u.Scheme == "https"
}

// cookieName has the port in it: browsers send the cookies of one hub on a machine to the others.
func (n *rules) cookieName(r *http.Request) string {
	name := "waybill"
	if _, port, err := net.SplitHostPort(r.Host); err == nil {
		name += "-" + port
	}
	if n.secure(r) {
		return "__Host-" + name
	}
	return name
}

func (n *rules) cookie(r *http.Request, value string) *http.Cookie {
	return &http.Cookie{Name: n.cookieName(r), Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: n.secure(r)}
}

// Own reports whether a write comes from the hub's own page: given is what the page has sent.
func (v *Visitor) Own(given string) bool {
	return v.CSRF != "" && subtle.ConstantTimeCompare([]byte(strings.TrimSpace(given)), []byte(v.CSRF)) == 1
}
