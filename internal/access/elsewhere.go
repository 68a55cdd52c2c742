package access

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// A browser that signs in elsewhere comes back within this time, and what it brings is no longer than that.
const (
	awayFor  = 10 * time.Minute
	mostAway = 3000
	// mostName is how much of a name a session holds; mostGroups how many groups that mean a role.
	mostName   = 200
	mostGroups = 20
	// mostSaid is how long name and groups are together, as a session holds them: a browser drops a cookie of more than 4 KiB without a word.
	mostSaid = 2900
)

// Everybody is the group of all whom a provider knows.
const Everybody = "*"

// Provider signs people in: an OpenID provider.
type Provider interface {
	// Begin gives the address to send a browser to, which brings it back to back, and what is to be remembered until then.
	Begin(ctx context.Context, back string) (to string, remembered []byte, err error)
	// Finish asks the provider who has come back, with what it was given as query. Errors are for people.
	Finish(ctx context.Context, back string, remembered []byte, query url.Values) (Identity, error)
}

// Identity is whom a provider has signed in.
type Identity struct {
	Name   string   `json:"n"`
	Groups []string `json:"g,omitempty"`
}

// Elsewhere is a provider, and what its groups mean here.
type Elsewhere struct {
	Provider
	// Secret is what sessions are sealed with; the same on all hubs with this provider.
	Secret string
	// Groups have the role; Everybody is all.
	Groups map[Role][]string
	// Lasts is how long a session is good.
	Lasts time.Duration
}

func (e *Elsewhere) sum() [sha256.Size]byte { return sha256.Sum256([]byte("elsewhere " + e.Secret)) }

// role is the greatest that any of the groups has.
func (e *Elsewhere) role(groups []string) Role {
	for _, r := range slices.Backward(Roles) {
		for _, g := range e.Groups[r] {
			if g == Everybody || slices.Contains(groups, g) {
				return r
			}
		}
	}
	return Nobody
}

// meaning are those of the groups that mean a role.
func (e *Elsewhere) meaning(groups []string) (out []string) {
	for _, r := range slices.Backward(Roles) {
		for _, g := range e.Groups[r] {
			if len(out) < mostGroups && slices.Contains(groups, g) && !slices.Contains(out, g) {
				out = append(out, g)
			}
		}
	}
	return out
}

// back is where a provider sends browsers.
func (n *rules) back() string { return n.origin + "/console/oidc/callback" }

// away is what a browser keeps while it is at the provider.
type away struct {
	To         string `json:"to"`
	Remembered []byte `json:"r"`
}

// Leave sends a browser to the provider, from where it comes back to Return; to is the page that it wants then.
func (g *Guard) Leave(r *http.Request, to string) (string, *http.Cookie, *Refusal) {
	now := g.rules.Load()
	if now.elsewhere == nil {
		return "", nil, g.count(&Refusal{Status: http.StatusNotFound, Why: NotSignedIn, Detail: "this hub has no provider (http.oidc)"})
	}
	at, remembered, err := now.elsewhere.Begin(r.Context(), now.back())
	if err != nil {
		return "", nil, g.count(&Refusal{Status: http.StatusBadGateway, Why: NotSignedIn, Challenge: true, Detail: err.Error()})
	}
	said, err := json.Marshal(away{to, remembered})
	if err != nil || len(said) > mostAway {
		said, _ = json.Marshal(away{"/", remembered}) // the address is a long one
	}
	c := now.cookie(r, g.sealed(awayKey(now.elsewhere), said))
	c.Name += "-away"
	c.SameSite = http.SameSiteLaxMode // it is the provider's page that leads back
	c.MaxAge = int(awayFor.Seconds())
	return at, c, nil
}

// awayKey is what is kept on the way is sealed with.
func awayKey(e *Elsewhere) []byte {
	sum := e.sum()
	return seal(sum[:], "away")
}

func (g *Guard) sealed(key, said []byte) string {
	body := binary.BigEndian.AppendUint64(nil, uint64(g.clock.Now().Add(awayFor).Unix()))
	body = append(body, said...)
	return base64.RawURLEncoding.EncodeToString(append(body, seal(key, "away ", string(body))...))
}

func (g *Guard) opened(key []byte, value string) (said []byte, ok bool) {
	data, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil || len(data) < untilSize+sha256.Size {
		return nil, false
	}
	body, mac := data[:len(data)-sha256.Size], data[len(data)-sha256.Size:]
	until := time.Unix(int64(binary.BigEndian.Uint64(body)), 0)
	return body[untilSize:], hmac.Equal(seal(key, "away ", string(body)), mac) && g.clock.Now().Before(until)
}

// Return begins a session for whom the provider has sent back. Its cookies are the session's, and the end of what was kept on the way.
func (g *Guard) Return(r *http.Request) (cookies []*http.Cookie, v Visitor, to string, no *Refusal) {
	now := g.rules.Load()
	if now.elsewhere == nil {
		return nil, v, "/", g.count(&Refusal{Status: http.StatusNotFound, Why: NotSignedIn, Detail: "this hub has no provider (http.oidc)"})
	}
	done := now.cookie(r, "")
	done.Name += "-away"
	done.MaxAge = -1
	cookies = []*http.Cookie{done}
	var kept away
	if c, err := r.Cookie(done.Name); err == nil {
		if said, ok := g.opened(awayKey(now.elsewhere), c.Value); ok {
			_ = json.Unmarshal(said, &kept) // it was sealed here
		}
	}
	if kept.Remembered == nil {
		return cookies, v, "/", g.count(&Refusal{Status: http.StatusBadRequest, Why: NotSignedIn, Challenge: true,
			Detail: "this browser has not asked to be signed in here, or too long ago, or under another address than http.origin: begin again"})
	}
	who, err := now.elsewhere.Finish(r.Context(), now.back(), kept.Remembered, r.URL.Query())
	if err != nil {
		return cookies, v, kept.To, g.count(&Refusal{Status: http.StatusUnauthorized, Why: NotSignedIn, Challenge: true, Detail: err.Error()})
	}
	if !utf8.ValidString(who.Name) || len(who.Name) > mostName || strings.TrimSpace(who.Name) == "" || strings.ContainsFunc(who.Name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return cookies, v, kept.To, g.count(&Refusal{Status: http.StatusUnauthorized, Why: NotSignedIn, Challenge: true, Detail: "the provider gives no name that acts could be noted under (http.oidc.name)"})
	}
	who.Groups = now.elsewhere.meaning(who.Groups)
	k := now.guest(who)
	if k.role == Nobody {
		return cookies, v, kept.To, g.count(&Refusal{Status: http.StatusForbidden, Why: WrongRole, Challenge: true,
			Detail: clip(who.Name) + " is in no group that has a role here (http.oidc.roles): ask whoever keeps the hub's configuration"})
	}
	said, err := json.Marshal(who)
	for err == nil && len(said) > mostSaid && len(who.Groups) > 1 { // the greatest roles come first
		who.Groups = who.Groups[:len(who.Groups)-1]
		said, err = json.Marshal(who)
	}
	if err == nil && len(said) > mostSaid {
		err = errors.New("the group's name is too long for a session (http.oidc.roles): give it a shorter one")
	}
	if err != nil {
		return cookies, v, kept.To, g.count(&Refusal{Status: http.StatusUnauthorized, Why: NotSignedIn, Challenge: true, Detail: err.Error()})
	}
	return append(cookies, g.begin(r, now, sessionKey(k.sum), said, now.elsewhere.Lasts)), k.visitor(), kept.To, nil
}

// guest is whom a provider knows, as one of those who may be let in: no user or token has such a name.
func (n *rules) guest(who Identity) *known {
	return &known{name: who.Name + " (oidc)", role: n.elsewhere.role(who.Groups), sum: n.elsewhere.sum()}
}
