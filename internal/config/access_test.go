package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/access"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// issue writes a certificate that ends at a time, and its key, into a folder.
func issue(t *testing.T, dir string, until time.Time) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: until.Add(-time.Hour * 24 * 90), NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"tls.crt": {Type: "CERTIFICATE", Bytes: der}, "tls.key": {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// What is said of who may ask, with its place. The texts say what to do; problems come before notes.
func TestAccess(t *testing.T) {
	const long, other, short = "0123456789abcdef", "fedcba9876543210", "s3cret"
	const ann = "{name: ann, value: \"${env:A}\"}"
	const bob = "{name: bob, value: \"${env:B}\"}"
	hashed, err := access.HashPassword("correct horse battery")
	if err != nil {
		t.Fatal(err)
	}
	soon, gone := time.Now().Add(3*24*time.Hour), time.Now().Add(-time.Hour)
	for name, tt := range map[string]struct {
		http     string
		a, b     string
		cert     time.Time
		problems []string
		notes    []string
		origin   string
	}{
		"a long token beyond loopback": {http: "{listen: 0.0.0.0:8080, tokens: [" + ann + "]}", a: long, notes: []string{"1:7: note: http: the hub is reached at 0.0.0.0:8080, and tokens and passwords may travel in the clear"}},
		"a short one":                  {http: "{listen: 0.0.0.0:8080, tokens: [" + ann + "]}", a: "0123456789abcde", problems: []string{`1:58: the token "ann" has 15 bytes, and the hub can be reached at 0.0.0.0:8080: at least 16 are needed (make a long random one, for example with: openssl rand -hex 32)`}, notes: []string{"in the clear"}},
		"a short one behind a proxy":   {http: "{origin: https://a.example, tokens: [" + ann + "]}", a: short, problems: []string{`the token "ann" has 6 bytes, and the hub can be reached as https://a.example`}, origin: "https://a.example"},
		"a short one on loopback":      {http: "{tokens: [" + ann + "]}", a: short, notes: []string{`note: the token "ann" has 6 bytes: with fewer than 16`}},
		"two that are the same":        {http: "{tokens: [" + ann + ", " + bob + "]}", a: long, b: long, problems: []string{`1:68: the tokens "ann" and "bob" have the same value`}},
		"two that are not":             {http: "{tokens: [" + ann + ", " + bob + "]}", a: long, b: other},
		"a role and scopes":            {http: "{tokens: [{name: ann, value: \"${env:A}\", role: viewer, scopes: [metrics, status]}]}", a: long},
		"a role that is none":          {http: "{tokens: [{name: ann, value: \"${env:A}\", role: operater}]}", a: long, problems: []string{`1:54: role: there is no role "operater"; there are viewer, operator, engineer, admin (did you mean "operator"?)`}},
		"a scope that is none":         {http: "{tokens: [{name: ann, value: \"${env:A}\", scopes: [metric]}]}", a: long, problems: []string{`scopes: there is no scope "metric"; there are status, metrics, messages, flows, comparisons, audit, hub (did you mean "metrics"?)`}},
		"a token for nothing":          {http: "{tokens: [{name: ann, value: \"${env:A}\", scopes: []}]}", a: long, problems: []string{"scopes: a token for nothing (leave scopes out"}},
		"one that cannot be sent":      {http: "{tokens: [" + ann + "]}", a: "0123456789 abcdef", problems: []string{"no client could send it"}},
		"none beyond loopback":         {http: "{listen: \":8080\"}", problems: []string{"nobody is asked for a token"}},
		"an origin without tokens":     {http: "{origin: https://A.example:443/}", notes: []string{"note: origin: https://a.example is a name that others use"}, origin: "https://a.example"},
		"an origin of this machine":    {http: "{origin: http://127.0.0.1:8080}", origin: "http://127.0.0.1:8080"},
		"an origin with a path":        {http: "{origin: https://a.example/waybill}", problems: []string{"has a path (write https://a.example"}},
		"an origin without a scheme":   {http: "{origin: a.example}", problems: []string{`"a.example" is no address of a web site`}},
		"an origin of any site":        {http: "{origin: \"https://*.example\"}", problems: []string{"is no address"}},
		"a token named as somebody":    {http: "{tokens: [{name: ann (oidc), value: \"${env:A}\"}]}", a: long, notes: []string{`1:24: note: the audit could not tell the token "ann (oidc)" from somebody`}},
		"a user":                       {http: "{listen: 127.0.0.1:0, users: [{name: ann, role: viewer, password: \"${env:A}\"}]}", a: hashed},
		"a user beyond loopback":       {http: "{listen: 0.0.0.0:8080, origin: https://a.example, users: [{name: ann, role: viewer, password: \"${env:A}\"}]}", a: hashed, origin: "https://a.example"},
		"a user without a role":        {http: "{users: [{name: ann, password: \"${env:A}\"}]}", a: hashed, problems: []string{`"role" is missing`}},
		"a password in clear":          {http: "{users: [{name: ann, role: viewer, password: \"${env:A}\"}]}", a: "correct horse battery", problems: []string{`1:52: the password of "ann": it is no hash of argon2id ($argon2id$v=19$m=…,t=…,p=…$SALT$KEY) (make it with: waybill password)`}},
		"a user named as a token":      {http: "{tokens: [" + ann + "], users: [{name: ann, role: viewer, password: \"${env:B}\"}]}", a: long, b: hashed, problems: []string{`a token and a user are named "ann"`}},
		"a user with a strange name":   {http: "{users: [{name: ann (oidc), role: viewer, password: \"${env:A}\"}]}", a: hashed, problems: []string{`"ann (oidc)" is no name of a user`}},
		"a provider":                   {http: "{listen: 0.0.0.0:8080, origin: https://a.example, oidc: {issuer: https://id.example, client: {id: w, secret: \"${env:B}\"}, roles: {operator: [shift]}}}", b: "the client's own secret", origin: "https://a.example"},
		"a provider without an origin": {http: "{oidc: {issuer: https://id.example, client: {id: w, secret: \"${env:B}\"}, roles: {operator: [shift]}}}", b: "the client's own secret", problems: []string{"oidc: the provider has to be told where people come back to, and no origin says so (set http.origin"}},
		"a provider without groups":    {http: "{origin: http://127.0.0.1:1, oidc: {issuer: https://id.example, client: {id: w, secret: \"${env:B}\"}, roles: {claim: groups}}}", b: "the client's own secret", problems: []string{"roles: no group has a role"}, origin: "http://127.0.0.1:1"},
		"a provider in clear":          {http: "{origin: http://127.0.0.1:1, oidc: {issuer: http://id.example, client: {id: w, secret: \"${env:B}\"}, roles: {viewer: [a]}}}", b: "the client's own secret", problems: []string{"issuer: http://id.example is asked without TLS"}, origin: "http://127.0.0.1:1"},
		"no address of a provider":     {http: "{origin: http://127.0.0.1:1, oidc: {issuer: id.example, client: {id: w, secret: \"${env:B}\"}, roles: {viewer: [a]}}}", b: "the client's own secret", problems: []string{`issuer: "id.example" is no address`}, origin: "http://127.0.0.1:1"},
		"a long session":               {http: "{origin: http://127.0.0.1:1, oidc: {issuer: https://id.example, client: {id: w, secret: \"${env:B}\"}, roles: {operator: [shift]}, session: 48h}}", b: "the client's own secret", problems: []string{"session: 48h0m0s (write a time from 5m to 24h)"}, origin: "http://127.0.0.1:1"},
		"everybody an admin":           {http: "{origin: http://127.0.0.1:1, oidc: {issuer: https://id.example, client: {id: w, secret: \"${env:B}\"}, roles: {admin: [\"*\"]}}}", b: "the client's own secret", notes: []string{"admin: everybody whom the provider knows is admin"}, origin: "http://127.0.0.1:1"},
		"no authorities":               {http: "{origin: http://127.0.0.1:1, oidc: {issuer: https://id.example, client: {id: w, secret: \"${env:B}\"}, roles: {operator: [shift]}, ca: none.pem}}", b: "the client's own secret", problems: []string{"none.pem cannot be read"}, origin: "http://127.0.0.1:1"},
		"a certificate":                {http: "{tls: {cert: tls.crt, key: tls.key}}", cert: time.Now().Add(90 * 24 * time.Hour)},
		"one that ends soon":           {http: "{tls: {cert: tls.crt, key: tls.key}}", cert: soon, notes: []string{"1:20: note: cert: tls.crt is valid until " + soon.UTC().Format(time.RFC3339)}},
		"one that has ended":           {http: "{tls: {cert: tls.crt, key: tls.key}}", cert: gone, notes: []string{"note: cert: tls.crt was valid until"}},
		"one without a key":            {http: "{tls: {cert: tls.crt}}", problems: []string{`1:13: tls: "key" is missing`}},
		"no such file":                 {http: "{tls: {cert: none.crt, key: tls.key}}", cert: soon, problems: []string{"1:20: cert: the file", "none.crt cannot be read: no such file or directory"}},
		"the two changed":              {http: "{tls: {cert: tls.key, key: tls.crt}}", cert: soon, problems: []string{"1:20: cert: tls.key holds no certificate in PEM"}},
		"a certificate as its key":     {http: "{tls: {cert: tls.crt, key: tls.crt}}", cert: soon, problems: []string{"key: tls.crt holds no private key in PEM"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("A", tt.a)
			t.Setenv("B", tt.b)
			dir := t.TempDir()
			if err := os.MkdirAll(filepath.Join(dir, "configs"), 0o700); err != nil {
				t.Fatal(err)
			}
			if !tt.cert.IsZero() {
				issue(t, filepath.Join(dir, "configs"), tt.cert)
			}
			if err := os.WriteFile(filepath.Join(dir, "configs", "waybill.yaml"), []byte("http: "+tt.http+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			plan, p := Load(RootPaths(dir), Options{})
			text := FormatText(p)
			for _, want := range append(tt.problems, tt.notes...) {
				if !strings.Contains(text, want) {
					t.Errorf("nothing is said of %s:\n%s", want, text)
				}
			}
			if (p.Len() > 0) != (len(tt.problems) > 0) || (len(p.Notes()) > 0) != (len(tt.notes) > 0) {
				t.Errorf("said:\n%s", text)
			}
			for _, secret := range []string{tt.a, tt.b} {
				if secret != "" && strings.Contains(text, secret) {
					t.Errorf("a token is shown:\n%s", text)
				}
			}
			if plan != nil && name == "a long token beyond loopback" && plan.Hub.HTTP.Tokens[0].Role != access.Admin {
				t.Errorf("a token that names no role, as those of older configurations, is no admin: %+v", plan.Hub.HTTP.Tokens)
			}
			if plan != nil && plan.Hub.HTTP.Origin != tt.origin {
				t.Errorf("origin %q", plan.Hub.HTTP.Origin)
			}
		})
	}
}

// A key that everybody can read is noted.
func TestOpenKeyIsNoted(t *testing.T) {
	dir := t.TempDir()
	issue(t, dir, time.Now().Add(90*24*time.Hour))
	if err := os.Chmod(filepath.Join(dir, "tls.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "waybill.yaml")
	if err := os.WriteFile(config, []byte("hooks: {tls: {cert: tls.crt, key: tls.key}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, p := Load(DefaultPaths(config), Options{}); p.Len() > 0 || !strings.Contains(FormatText(p), "everybody on this machine can read tls.key (take the rights of others away: chmod 600 tls.key)") {
		t.Error(FormatText(p))
	}
}

// absent is a machine that holds none of the secrets, where files are only checked.
type absent struct{ strictyaml.Resolver }

func (absent) Env(name string) (string, bool)   { return Placeholder(name), true }
func (absent) File(path string) ([]byte, error) { return []byte(Placeholder(path)), nil }

// Where files are checked without the secrets, nothing is said of what only the secrets would show.
func TestAccessWithoutSecrets(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "waybill.yaml")
	text := "http: {listen: \":8080\", origin: https://a.example, tls: {cert: none.crt, key: none.key}, tokens: [{name: ann, value: \"${env:A}\"}, {name: bob, value: \"${file:b}\"}]}\n"
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, p := Load(DefaultPaths(name), Options{Resolver: absent{}}); p.Len() > 0 || len(p.Notes()) > 0 {
		t.Error(FormatText(p))
	}
	if err := os.WriteFile(name, []byte(strings.ReplaceAll(text, "${file:b}", "${env:A}")), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, p := Load(DefaultPaths(name), Options{Resolver: absent{}}); !strings.Contains(FormatText(p), "have the same value") {
		t.Errorf("two tokens from one place: %s", FormatText(p))
	}
}
