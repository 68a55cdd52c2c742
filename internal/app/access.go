package app

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/access"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/signon"
)

// apiAccess is who may ask the hub, as the files say.
func apiAccess(plan *config.Plan, clock lifecycle.Clock) access.Rules {
	r := access.Rules{Origin: plan.Hub.HTTP.Origin}
	for _, t := range plan.Hub.HTTP.Tokens {
		r.Tokens = append(r.Tokens, access.Token{Name: t.Name, Value: t.Value.Reveal(), Role: t.Role, Scopes: t.Scopes})
	}
	for _, u := range plan.Hub.HTTP.Users {
		r.Users = append(r.Users, access.User{Name: u.Name, Role: u.Role, Password: u.Password.Reveal()})
	}
	if o := plan.Hub.HTTP.OIDC; o != nil {
		r.Elsewhere = &access.Elsewhere{Provider: signon.New(signon.Settings{Issuer: o.Issuer, ID: o.ID, Secret: o.Secret.Reveal(), Scopes: o.Scopes, Name: o.Name, Claim: o.Claim, Now: clock.Now, Elapsed: clock.Elapsed, Transport: reaching(o.CA)}),
			Secret: o.Issuer + "\x00" + o.ID + "\x00" + o.Secret.Reveal(), Groups: o.Groups, Lasts: o.Session}
	}
	return r
}

// reaching is how a provider is reached whose certificate is of these authorities. A file that has gone since it was checked lets nothing be trusted.
func reaching(ca string) http.RoundTripper {
	if ca == "" {
		return nil
	}
	pool := x509.NewCertPool()
	if pem, err := os.ReadFile(ca); err == nil {
		pool.AppendCertsFromPEM(pem)
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
	return t
}

// accessChange says what becomes of who may ask, for the audit.
func accessChange(old, now *config.Plan) string {
	who := func(p *config.Plan) map[string]string {
		out := map[string]string{}
		for _, t := range p.Hub.HTTP.Tokens {
			out["token "+t.Name] = strings.TrimSpace(fmt.Sprint(t.Role, " ", t.Scopes)) + "\x00" + t.Value.Reveal()
		}
		if o := p.Hub.HTTP.OIDC; o != nil {
			out["provider "+o.Issuer] = fmt.Sprint(o.Groups) + "\x00" + fmt.Sprint(o.ID, o.Scopes, o.Name, o.Claim, o.Session, o.CA) + o.Secret.Reveal()
		}
		for _, u := range p.Hub.HTTP.Users {
			out["user "+u.Name] = u.Role.String() + "\x00" + u.Password.Reveal()
		}
		return out
	}
	role := func(s string) string { s, _, _ = strings.Cut(s, "\x00"); return strings.TrimSuffix(s, " []") }
	before, after := who(old), who(now)
	var lines []string
	for name, b := range before {
		switch a, ok := after[name]; {
		case !ok:
			lines = append(lines, name+" ("+role(b)+") taken away")
		case role(a) != role(b):
			lines = append(lines, name+": "+role(b)+" → "+role(a))
		case a != b:
			lines = append(lines, name+": another secret, or other settings")
		}
	}
	for name, a := range after {
		if _, ok := before[name]; !ok {
			lines = append(lines, name+" ("+role(a)+") is new")
		}
	}
	if len(lines) == 0 {
		return ""
	}
	slices.Sort(lines)
	return "\n" + strings.Join(lines, "\n")
}
