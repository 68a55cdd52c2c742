package config

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/access"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

const (
	// leastToken is how long a token of a hub is that others can reach: with 16 random bytes, guessing is hopeless.
	leastToken = 16
	// leastSecret is the length below which a signing secret is noted. Vendors issue them: nobody here can make them longer.
	leastSecret = 16
	randomHint  = "make a long random one, for example with: openssl rand -hex 32"
)

// http checks who may ask, from where, and over which certificate.
func (l *loader) http(raw httpFile, n strictyaml.Node) HTTP {
	h := HTTP{Listen: raw.Listen, Origin: l.origin(raw, n.Get("origin")), TLS: l.serverTLS(raw.TLS, n.Get("tls"))}
	addressed := l.address(n.Get("listen"), raw.Listen, "127.0.0.1:8080")
	if addressed && !loopback(raw.Listen) && !raw.asks() {
		l.p.AddHint(n.Get("listen").Pos(), "add http.tokens, or listen on 127.0.0.1", "listen: %s can be reached from other machines and nobody is asked for a token", raw.Listen)
	}
	reached := ""
	switch o, _ := url.Parse(h.Origin); {
	case addressed && !loopback(raw.Listen):
		reached = "at " + raw.Listen
	case h.Origin != "" && !loopbackHost(o.Hostname()):
		reached = "as " + h.Origin
	}
	h.Tokens = l.tokens(raw.Tokens, n.Get("tokens"), reached)
	h.Users = l.users(raw.Users, n.Get("users"), h.Tokens)
	h.OIDC = l.oidc(raw.OIDC, n.Get("oidc"), h.Origin, n)
	if reached != "" && raw.asks() && !n.Has("tls") && !strings.HasPrefix(h.Origin, "https://") {
		l.p.Note(n.Pos(), "set http.tls, or http.origin: https://… where something before the hub ends TLS",
			"http: the hub is reached %s, and tokens and passwords may travel in the clear", reached)
	}
	return h
}

// tokens checks that nobody guesses a token, and that the audit can tell them apart. reached says how others reach the hub; empty: not.
func (l *loader) tokens(raw []tokenFile, n strictyaml.Node, reached string) (out []Token) {
	names, values := map[string]bool{}, map[string]string{}
	for i, t := range raw {
		at := n.Items()[i]
		out = append(out, Token{Name: t.Name, Value: t.Value, Role: l.role(at.Get("role"), t.Role), Scopes: l.scopes(at.Get("scopes"), t.Scopes)})
		if t.Name != "" && names[t.Name] {
			l.p.AddHint(at.Get("name").Pos(), "give each token its own name: the audit tells them apart by it", "two tokens are named %q", t.Name)
		}
		names[t.Name] = true
		if strings.HasSuffix(t.Name, " (oidc)") || strings.HasSuffix(t.Name, " (local)") {
			l.p.Note(at.Get("name").Pos(), "leave that out of the name", "the audit could not tell the token %q from somebody whom a provider signs in, or from whoever asks a hub without tokens", t.Name)
		}
		text := t.Value.Reveal()
		if text == "" {
			continue // complained of already
		}
		if other, twice := values[text]; twice {
			l.p.AddHint(at.Get("value").Pos(), "give each its own: the audit could not tell who acted, and neither could be taken away alone",
				"the tokens %q and %q have the same value", other, t.Name)
		}
		values[text] = t.Name
		if strings.IndexFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) >= 0 {
			l.p.AddHint(at.Get("value").Pos(), randomHint, "the token %q holds blanks, line ends or letters beyond ASCII: no client could send it", t.Name)
		} else if len(text) < leastToken && reached != "" {
			l.p.AddHint(at.Get("value").Pos(), randomHint, "the token %q has %d bytes, and the hub can be reached %s: at least %d are needed", t.Name, len(text), reached, leastToken)
		} else if len(text) < leastToken {
			l.p.Note(at.Get("value").Pos(), randomHint, "the token %q has %d bytes: with fewer than %d this hub cannot be opened to other machines", t.Name, len(text), leastToken)
		}
	}
	return out
}

// asks reports whether anybody is asked who they are.
func (raw *httpFile) asks() bool { return len(raw.Tokens)+len(raw.Users) > 0 || raw.OIDC != nil }

// Bounds of how long somebody stays signed in by a provider.
const (
	leastSession   = 5 * time.Minute
	longestSession = 24 * time.Hour
)

// oidc checks an OpenID provider's settings. Nobody asks it: it may not be there yet.
func (l *loader) oidc(raw *oidcFile, n strictyaml.Node, origin string, http strictyaml.Node) *OIDC {
	if raw == nil {
		return nil
	}
	o := &OIDC{Issuer: raw.Issuer, ID: raw.Client.ID, Secret: raw.Client.Secret, Scopes: raw.Scopes, Name: raw.Name, Claim: raw.Roles.Claim, Session: raw.Session,
		Groups: map[access.Role][]string{access.Viewer: raw.Roles.Viewer, access.Operator: raw.Roles.Operator, access.Engineer: raw.Roles.Engineer, access.Admin: raw.Roles.Admin}}
	u, err := url.Parse(raw.Issuer)
	switch {
	case raw.Issuer == "": // complained of already
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		l.p.AddHint(n.Get("issuer").Pos(), "write it as the provider does: its /.well-known/openid-configuration stands below it", "issuer: %q is no address", shorten(raw.Issuer))
	case u.Scheme == "http" && !loopbackHost(u.Hostname()):
		l.p.AddHint(n.Get("issuer").Pos(), "use its https address", "issuer: %s is asked without TLS: whoever sits between could sign anybody in", raw.Issuer)
	}
	if origin == "" && !http.Has("origin") {
		l.p.AddHint(n.Pos(), "set http.origin to the address that people use, and give the provider that address with /console/oidc/callback behind it", "oidc: the provider has to be told where people come back to, and no origin says so")
	}
	if raw.Session < leastSession || raw.Session > longestSession {
		l.p.AddHint(n.Get("session").Pos(), "write a time from 5m to 24h", "session: %s", raw.Session)
	}
	some := false
	for role, groups := range o.Groups {
		at := n.Get("roles").Get(role.String()).Items()
		for i, g := range groups {
			some = true
			if g == "" {
				l.p.AddHint(at[i].Pos(), "name a group, or leave it out", "%s: a group without a name", role)
			}
			if g == access.Everybody && role > access.Viewer {
				l.p.Note(at[i].Pos(), "name the groups", "%s: everybody whom the provider knows is %s", role, role)
			}
		}
	}
	if !some && n.Has("roles") {
		l.p.AddHint(n.Get("roles").Pos(), "name groups: {claim: groups, operator: [shift]}", "roles: no group has a role, and nobody could sign in")
	}
	if raw.CA != "" {
		o.CA = l.resolve(raw.CA)
		if data, ok := l.pem(n.Get("ca"), raw.CA); ok && !x509.NewCertPool().AppendCertsFromPEM(data) {
			l.p.AddHint(n.Get("ca").Pos(), "give a file with certificates of authorities, in PEM", "ca: %s holds no certificate in PEM", raw.CA)
		}
	}
	return o
}

// users checks that the audit can tell people apart, and that their passwords are hashes.
func (l *loader) users(raw []userFile, n strictyaml.Node, tokens []Token) (out []User) {
	names := map[string]string{}
	for _, t := range tokens {
		names[t.Name] = "a token"
	}
	for i, u := range raw {
		at := n.Items()[i]
		out = append(out, User{Name: u.Name, Role: l.role(at.Get("role"), u.Role), Password: u.Password})
		switch other := names[u.Name]; {
		case u.Name == "": // complained of already
		case other != "":
			l.p.AddHint(at.Get("name").Pos(), "give each its own name: the audit tells them apart by it", "%s and a user are named %q", other, u.Name)
		case strings.IndexFunc(u.Name, func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-@", r))
		}) >= 0:
			l.p.AddHint(at.Get("name").Pos(), "use letters, digits, . _ - and @", "%q is no name of a user", shorten(u.Name))
		}
		names[u.Name] = "a user"
		text := u.Password.Reveal()
		if text == "" || isPlaceholder(text) {
			continue
		}
		if _, err := access.ParsePassword(text); err != nil {
			l.p.AddHint(at.Get("password").Pos(), "make it with: waybill password", "the password of %q: %v", u.Name, err)
		}
	}
	return out
}

// role reads a role's name.
func (l *loader) role(n strictyaml.Node, name string) access.Role {
	if name == "" {
		return access.Nobody // complained of already
	}
	r, ok := access.ParseRole(name)
	if !ok {
		l.p.AddHint(n.Pos(), strictyaml.DidYouMean(name, roleNames()), "role: there is no role %q; there are %s", shorten(name), strings.Join(roleNames(), ", "))
	}
	return r
}

func roleNames() (out []string) {
	for _, r := range access.Roles {
		out = append(out, r.String())
	}
	return out
}

// scopes reads what a token is for.
func (l *loader) scopes(n strictyaml.Node, names []string) (out []access.Scope) {
	var all []string
	for _, s := range access.Scopes {
		all = append(all, string(s))
	}
	for i, name := range names {
		if !slices.Contains(all, name) {
			l.p.AddHint(n.Items()[i].Pos(), strictyaml.DidYouMean(name, all), "scopes: there is no scope %q; there are %s", shorten(name), strings.Join(all, ", "))
			continue
		}
		out = append(out, access.Scope(name))
	}
	if n.Kind() == strictyaml.List && len(names) == 0 {
		l.p.AddHint(n.Pos(), "leave scopes out for everything that the role may", "scopes: a token for nothing")
	}
	return out
}

// origin checks the address that people use. It is compared with what browsers send, so it is written as they do.
func (l *loader) origin(raw httpFile, n strictyaml.Node) string {
	if n.Kind() != strictyaml.Scalar {
		return ""
	}
	u, err := url.Parse(raw.Origin)
	const example = "write scheme, name and port alone, for example https://waybill.example.com"
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.ContainsAny(u.Host, "*, "):
		l.p.AddHint(n.Pos(), example, "origin: %q is no address of a web site", shorten(raw.Origin))
		return ""
	case u.Path == "/":
	case u.Path != "":
		l.p.AddHint(n.Pos(), "write "+u.Scheme+"://"+u.Host+": the console and the API stand at the top of their address", "origin: %q has a path", shorten(raw.Origin))
		return ""
	}
	// As browsers write it: small letters, and no port that goes without saying.
	host := strings.ToLower(u.Host)
	host = strings.TrimSuffix(host, map[string]string{"http": ":80", "https": ":443"}[u.Scheme])
	if !loopbackHost(u.Hostname()) && !raw.asks() {
		l.p.Note(n.Pos(), "add http.tokens", "origin: %s is a name that others use, and nobody is asked for a token: what comes through a proxy is refused", u.Scheme+"://"+host)
	}
	return u.Scheme + "://" + host
}

func loopbackHost(host string) bool { return loopback(host+":0") || loopback("["+host+"]:0") }

// serverTLS checks a listener's certificate as it is now.
func (l *loader) serverTLS(raw *serverTLSFile, n strictyaml.Node) *ServerTLS {
	if raw == nil {
		return nil
	}
	t := &ServerTLS{Cert: l.resolve(raw.Cert), Key: l.resolve(raw.Key)}
	if raw.Cert == "" || raw.Key == "" {
		return t // complained of already
	}
	cert, ok := l.pem(n.Get("cert"), raw.Cert)
	key, also := l.pem(n.Get("key"), raw.Key)
	if !ok || !also {
		return t
	}
	pair, err := tls.X509KeyPair(cert, key)
	switch {
	case err != nil && !strings.Contains(string(cert), "CERTIFICATE"):
		l.p.AddHint(n.Get("cert").Pos(), "give a file with the certificate and those between it and its authority, in PEM", "cert: %s holds no certificate in PEM", raw.Cert)
	case err != nil && !strings.Contains(string(key), "PRIVATE KEY"):
		l.p.AddHint(n.Get("key").Pos(), "give a file with the key, in PEM and without a password", "key: %s holds no private key in PEM", raw.Key)
	case err != nil: // the error's text may quote the key
		l.p.AddHint(n.Get("key").Pos(), "give the key that the certificate was made for, without a password", "tls: %s and %s are no pair", raw.Cert, raw.Key)
	default:
		l.leaf(pair.Leaf, n.Get("cert"), raw.Cert)
	}
	if st, err := os.Stat(t.Key); err == nil && st.Mode().Perm()&0o007 != 0 {
		l.p.Note(n.Get("key").Pos(), "take the rights of others away: chmod 600 "+raw.Key, "key: everybody on this machine can read %s", raw.Key)
	}
	return t
}

func (l *loader) leaf(leaf *x509.Certificate, n strictyaml.Node, name string) {
	switch now := time.Now(); {
	case leaf == nil:
	case now.After(leaf.NotAfter):
		l.p.Note(n.Pos(), "renew it: clients refuse it", "cert: %s was valid until %s", name, leaf.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		l.p.Note(n.Pos(), "look at the certificate and at this machine's clock", "cert: %s is valid from %s on", name, leaf.NotBefore.UTC().Format(time.RFC3339))
	case leaf.NotAfter.Sub(now) < 14*24*time.Hour:
		l.p.Note(n.Pos(), "renew it: the hub reads the new file by itself", "cert: %s is valid until %s", name, leaf.NotAfter.UTC().Format(time.RFC3339))
	}
}

// pem reads one of the two files, as secrets are read. Where files are checked and the secrets are not, there is nothing to look at. written is the
// path as it stands in the file: the resolver has its directory itself.
func (l *loader) pem(n strictyaml.Node, written string) ([]byte, bool) {
	var data []byte
	path := l.resolve(written)
	st, err := os.Stat(path)
	if err == nil && !st.Mode().IsRegular() {
		err = errors.New("not a file")
	} else {
		data, err = l.o.Resolver.File(written)
	}
	if err != nil {
		if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
			err = pe.Err
		}
		l.p.AddHint(n.Pos(), "relative paths start at the directory of the configuration file", "%s: the file %s cannot be read: %v", n.Key(), path, err)
	}
	return data, err == nil && !isPlaceholder(string(data))
}

// Placeholder stands for what is not set on a machine where files are only checked. It is long, and another one for each name, so that nothing is
// said of it that would be said of the real one.
func Placeholder(name string) string {
	sum := sha256.Sum256([]byte(name))
	return placeholder + hex.EncodeToString(sum[:])[:21] // together the length of 24 bytes in base64, which it is as well
}

const placeholder = "placeholder"

func isPlaceholder(text string) bool {
	return len(text) == len(placeholder)+21 && strings.HasPrefix(text, placeholder)
}

// noteShort notes signing secrets that could be guessed.
func (l *loader) noteShort(secrets []strictyaml.Secret, n strictyaml.Node) {
	at := n.Get("secrets").Items()
	if n.Has("secret") {
		at = append([]strictyaml.Node{n.Get("secret")}, at...)
	}
	for i, s := range secrets {
		if size := len(s.Reveal()); size > 0 && size < leastSecret && i < len(at) {
			l.p.Note(at[i].Pos(), "where the sender lets you choose it, "+randomHint, "%s: the secret has %d bytes: whoever guesses it can send in this source's name", at[i].Key(), size)
		}
	}
}
