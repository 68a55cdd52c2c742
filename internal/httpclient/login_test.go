package httpclient

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// vault answers for references to secrets: their name is what they hold.
type vault struct{}

func (vault) Env(name string) (string, bool)   { return name, true }
func (vault) File(name string) ([]byte, error) { return []byte(name), nil }

// loginOf reads a way to log in as a system's settings would say it.
func loginOf(t *testing.T, text string) Auth {
	t.Helper()
	var set struct {
		Auth Auth `yaml:"auth"`
	}
	var p strictyaml.Problems
	n := strictyaml.ParseWith("configs/waybill.yaml", []byte("auth:\n  login: "+text+"\n"), vault{}, &p)[0]
	connector.Settings{Node: n}.Decode(&set, &p)
	set.Auth.Check(n.Get("auth"), &p)
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	return set.Auth
}

// TestLoginBySession: the session of a JSON answer goes along in a header; one that the system does not know any more, told in a 200 or by a 401, is begun anew; nothing of it is told.
func TestLoginBySession(t *testing.T) {
	var logins atomic.Int32
	var valid atomic.Value
	valid.Store("")
	c, _ := serve(t, Config{Auth: loginOf(t, `{path: auth/login, body: {acctid: A1, parameters: ["{user}", "{secret}"], lcid: 2052}, user: hub, secret: "${file:s3\"cret}", token: Session, message: Message, header: X-Session}`)}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/auth/login" {
			body, _ := io.ReadAll(r.Body)
			if r.Method != http.MethodPost || string(body) != `{"acctid":"A1","parameters":["hub","s3\"cret"],"lcid":2052}` || r.Header.Get("X-Session") != "" {
				t.Errorf("%s %s with %q", r.Method, body, r.Header.Get("X-Session"))
			}
			session := fmt.Sprintf("session-%d", logins.Add(1))
			valid.Store(session)
			fmt.Fprintf(w, `{"Session":%q}`, session)
			return
		}
		if r.Header.Get("X-Session") != valid.Load() {
			fmt.Fprintf(w, `{"lost":%q}`, r.Header.Get("X-Session"))
			return
		}
		io.WriteString(w, `{}`)
	})
	judge := func(resp *Response, failed *fault.Error) *fault.Error {
		if strings.Contains(string(resp.Body), "lost") {
			return &fault.Error{Kind: fault.Auth, Err: fmt.Errorf("%s", resp.Body)}
		}
		return failed
	}
	for range 3 {
		if _, err := c.Do(t.Context(), Request{Method: http.MethodPost, Path: "work", Body: []byte("{}"), Judge: judge}); err != nil {
			t.Fatal(err)
		}
	}
	valid.Store("another") // the server was started anew
	if _, err := c.Do(t.Context(), Request{Method: http.MethodPost, Path: "work", Body: []byte("{}"), Judge: judge}); err != nil {
		t.Fatal(err)
	}
	if n := logins.Load(); n != 2 {
		t.Errorf("%d logins, want 2", n)
	}
	if text := c.Scrub("session-2 and s3\"cret"); strings.Contains(text, "session-2") || strings.Contains(text, "s3") {
		t.Errorf("told: %s", text)
	}
}

// TestLoginByHeaders: user and password go in headers of the request for a token, which then goes along as it stands, without a scheme.
func TestLoginByHeaders(t *testing.T) {
	c, _ := serve(t, Config{Auth: loginOf(t, `{path: token/SITE, headers: {username: "{user}", password: "{secret}"}, user: hub, secret: "${file:s+cret-1}", token: Token, header: Authorization}`)}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token/SITE" {
			if r.Method != http.MethodGet || r.Header.Get("username") != "hub" || r.Header.Get("password") != "s+cret-1" || r.Header.Get("Authorization") != "" {
				t.Errorf("asked for a token by %s %v", r.Method, r.Header)
			}
			io.WriteString(w, `{"Message":null,"Success":true,"Token":"b/XdI6=="}`)
			return
		}
		if r.Header.Get("Authorization") != "b/XdI6==" || r.Header.Get("password") != "" {
			t.Errorf("asked with %v", r.Header)
		}
		io.WriteString(w, `{}`)
	})
	if _, err := c.Do(t.Context(), Request{Path: "load"}); err != nil {
		t.Fatal(err)
	}
	if text := c.Scrub("b/XdI6== and s+cret-1"); strings.Contains(text, "XdI6") || strings.Contains(text, "cret-1") {
		t.Errorf("told: %s", text)
	}
}

// TestLoginSigned: the signature is that of the documents of Yonyou (key, then the sorted parameters with their values), the token stands in the query behind what the request has, and is fetched anew before it ends.
func TestLoginSigned(t *testing.T) {
	var logins atomic.Int32
	c, _ := serve(t, Config{Auth: loginOf(t, `{path: /open-auth/token, query: {appKey: "{id}", timestamp: "{ms}", signature: "{signature}"}, sign: "appKey{id}timestamp{ms}", id: k1, secret: "${file:s-1}", token: data.access_token, lifetime: data.expire, parameter: access_token}`)}, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if r.URL.Path == "/open-auth/token" {
			mac := hmac.New(sha256.New, []byte("s-1"))
			mac.Write([]byte("appKeyk1timestamp" + q.Get("timestamp")))
			if q.Get("signature") != base64.StdEncoding.EncodeToString(mac.Sum(nil)) || len(q.Get("timestamp")) != 13 || r.Method != http.MethodGet {
				t.Errorf("%s %s", r.Method, r.URL.RawQuery)
			}
			fmt.Fprintf(w, `{"code":"00000","data":{"access_token":"token/%d","expire":7200}}`, logins.Add(1))
			return
		}
		if want := fmt.Sprintf("id=7&access_token=token%%2F%d", logins.Load()); r.URL.RawQuery != want {
			t.Errorf("asked with %s, want %s", r.URL.RawQuery, want)
		}
		io.WriteString(w, `{}`)
	})
	now := time.Date(2026, 11, 30, 10, 0, 0, 0, time.UTC)
	c.now = func() time.Time { return now }
	c.tokens.now = c.now
	do := func() {
		t.Helper()
		if _, err := c.Do(t.Context(), Request{Path: "detail", Query: Query{{"id", "7"}}}); err != nil {
			t.Fatal(err)
		}
	}
	do()
	do()
	now = now.Add(2*time.Hour - 30*time.Second)
	do()
	if n := logins.Load(); n != 2 {
		t.Errorf("%d logins, want 2", n)
	}
}

// TestLoginRefused: an answer without a token is a matter of the credentials, with the system's own words and without the secret.
func TestLoginRefused(t *testing.T) {
	c, _ := serve(t, Config{Auth: loginOf(t, `{path: token, query: {key: "{id}", secret: "{secret}"}, id: k1, secret: "${file:hush-hush}", token: token.id, message: errmsg, parameter: token}`)}, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"errcode":"20002","errmsg":"hush-hush is not the key's"}`)
	})
	_, err := c.Do(t.Context(), Request{Method: http.MethodPost, Path: "api/add"})
	if fault.KindOf(err) != fault.Auth || !strings.Contains(err.Error(), "is not the key's") || strings.Contains(err.Error(), "hush") {
		t.Errorf("got %v", err)
	}
}

// TestSecretsWhereverTheyStand: what is filled in from a reference is in no error, also in the login's own texts, in parameters and in headers, whatever they are called there.
func TestSecretsWhereverTheyStand(t *testing.T) {
	var set struct {
		Settings   `yaml:",inline"`
		Parameters map[string]string `yaml:"parameters"`
		Auth       Auth              `yaml:"auth"`
	}
	var p strictyaml.Problems
	n := strictyaml.ParseWith("configs/waybill.yaml", []byte(`headers: {X-Club: "${env:in_a_header}", X-Plain: plain-header}
parameters: {club: "${env:in_a_parameter}"}
auth: {login: {path: a, secret: "${env:S}", token: t, header: A, query: {a: "${env:in_the_query}"}, headers: {X-A: "${env:in_its_header}"}, body: {b: ["${env:in_the_body}"]}}}
`), vault{}, &p)[0]
	s := connector.Settings{Node: n}
	s.Decode(&set, &p)
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	c := client(t, set.Config(s, "https://crm.example", set.Auth))
	if text := c.Scrub("in_a_header in_a_parameter in_the_query in_its_header in_the_body plain-header"); text != "[secret] [secret] [secret] [secret] [secret] plain-header" {
		t.Errorf("told: %s", text)
	}
}

// TestLoginSettings: what cannot be meant is told with its place.
func TestLoginSettings(t *testing.T) {
	for text, want := range map[string]string{
		`{path: a, secret: "${env:S}", token: t}`:                                                            "where the token goes is not clear",
		`{path: a, secret: "${env:S}", token: t, header: A, parameter: b}`:                                   "where the token goes is not clear",
		`{path: a, secret: "${env:S}", token: t, header: A, sign: "a{ms}"}`:                                  "one of sign and {signature} without the other",
		`{path: a, secret: "${env:S}", token: t, header: A, query: {s: "{signature}"}}`:                      "one of sign and {signature} without the other",
		`{path: a, secret: "${env:S}", token: t, header: A, body: [1]}`:                                      "this is no mapping",
		`{path: a, secret: "${env:S}", token: t, header: A, body: {s: "{signature}", t: "{ms}"}, sign: "a"}`: "",
	} {
		var set struct {
			Auth Auth `yaml:"auth"`
		}
		var p strictyaml.Problems
		n := strictyaml.ParseWith("configs/waybill.yaml", []byte("auth:\n  login: "+text+"\n"), vault{}, &p)[0]
		connector.Settings{Node: n}.Decode(&set, &p)
		set.Auth.Check(n.Get("auth"), &p)
		if err := p.Err(); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func pemOf(t *testing.T, key any) strictyaml.Secret {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return secret(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
}

// TestAssertion: the statement names who asks, whom, and for what, is signed by the key that the settings hold, and goes in place of a secret. The signatures are judged by the standard library's own checks.
func TestAssertion(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	holds := map[string]func(digest, signature []byte) bool{
		"PS256": func(d, s []byte) bool {
			return rsa.VerifyPSS(&rsaKey.PublicKey, crypto.SHA256, d, s, &rsa.PSSOptions{SaltLength: 32}) == nil
		},
		"RS256": func(d, s []byte) bool { return rsa.VerifyPKCS1v15(&rsaKey.PublicKey, crypto.SHA256, d, s) == nil },
		"ES256": func(d, s []byte) bool {
			return len(s) == 64 && ecdsa.Verify(&ecKey.PublicKey, d, new(big.Int).SetBytes(s[:32]), new(big.Int).SetBytes(s[32:]))
		},
	}
	for algorithm, good := range holds {
		key := pemOf(t, rsaKey)
		if algorithm == "ES256" {
			key = pemOf(t, ecKey)
		}
		asked := 0
		c, _ := serve(t, Config{Auth: Auth{ClientCredentials: &ClientCredentials{TokenURL: "/oauth2/token", ID: "hub", Scope: "rest_webservices restlets", Style: "header",
			Assertion: &Assertion{Key: key, KeyID: "cert-1", Algorithm: algorithm}}}}, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/oauth2/token" {
				if r.Header.Get("Authorization") != "Bearer t-1" {
					w.WriteHeader(401)
				}
				return
			}
			asked++
			if r.Header.Get("Authorization") != "" || r.FormValue("client_secret") != "" || r.FormValue("grant_type") != "client_credentials" ||
				r.FormValue("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
				t.Errorf("%s: asked with %v", algorithm, r.Form)
			}
			parts := strings.Split(r.FormValue("client_assertion"), ".")
			if len(parts) != 3 {
				t.Fatalf("%s: %d parts", algorithm, len(parts))
			}
			signature, _ := base64.RawURLEncoding.DecodeString(parts[2])
			if digest := sha256.Sum256([]byte(parts[0] + "." + parts[1])); !good(digest[:], signature) {
				t.Errorf("%s: the signature does not hold", algorithm)
			}
			var head struct{ Alg, Kid, Typ string }
			var claims struct {
				Iss, Sub, Aud, Jti string
				Iat, Exp           int64
				Scope              []string
			}
			for i, into := range []any{&head, &claims} {
				text, _ := base64.RawURLEncoding.DecodeString(parts[i])
				if err := json.Unmarshal(text, into); err != nil {
					t.Errorf("%s: %s: %v", algorithm, text, err)
				}
			}
			if head.Alg != algorithm || head.Kid != "cert-1" || head.Typ != "JWT" {
				t.Errorf("head %+v", head)
			}
			if claims.Iss != "hub" || claims.Sub != "hub" || claims.Aud != "http://"+r.Host+"/oauth2/token" || claims.Exp-claims.Iat != 300 || claims.Jti == "" || strings.Join(claims.Scope, ",") != "rest_webservices,restlets" {
				t.Errorf("claims %+v", claims)
			}
			io.WriteString(w, `{"access_token":"t-1","expires_in":"3600","token_type":"bearer"}`)
		})
		for range 2 {
			if _, err := c.Do(t.Context(), Request{Path: "record"}); err != nil {
				t.Fatal(err)
			}
		}
		if asked != 1 {
			t.Errorf("%s: %d tokens, want 1", algorithm, asked)
		}
	}
	for name, a := range map[string]Assertion{
		"no key":                  {Key: secret("stand-in"), Algorithm: "PS256"},
		"a curve's key for RSA":   {Key: pemOf(t, ecKey), Algorithm: "PS256"},
		"an RSA key for a curve":  {Key: pemOf(t, rsaKey), Algorithm: "ES256"},
		"no private key in there": {Key: secret("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), Algorithm: "PS256"},
	} {
		if _, err := a.sign("hub", "aud", "", time.Now()); err == nil {
			t.Errorf("%s: it was signed", name)
		}
	}
}

// TestLoginRenewed: where the answer does not say how long a token holds, it is used as long as the settings say.
func TestLoginRenewed(t *testing.T) {
	logins := 0
	c, _ := serve(t, Config{Auth: loginOf(t, `{path: token, secret: "${file:s-1}", token: id, renew: 1h, header: X-Token}`)}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			logins++
		}
		io.WriteString(w, `{"id":"token-1"}`)
	})
	now := time.Date(2026, 11, 30, 10, 0, 0, 0, time.UTC)
	c.now = func() time.Time { return now }
	c.tokens.now = c.now
	for _, after := range []time.Duration{0, 58 * time.Minute, 2 * time.Minute} {
		now = now.Add(after)
		if _, err := c.Do(t.Context(), Request{Path: "work"}); err != nil {
			t.Fatal(err)
		}
	}
	if logins != 2 {
		t.Errorf("%d logins, want 2", logins)
	}
}
