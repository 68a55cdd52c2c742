package webhook

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/strictyaml"
	"github.com/waybill-hub/waybill/internal/webhook/webhooktest"
)

var noon = time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)

func TestFailClosed(t *testing.T) {
	empty := []strictyaml.Secret{{}}
	for _, v := range []Verify{
		{Scheme: "standard-webhooks"},
		{Scheme: "standard-webhooks", Secrets: empty},
		{Scheme: "standard-webhooks", Secrets: webhooktest.Secrets("whsec_")},
		{Scheme: "standard-webhooks", Secrets: webhooktest.Secrets("whsec_%%%")},
		{Scheme: "stripe"},
		{Scheme: "stripe", Secrets: empty},
		{Scheme: "shopify"},
		{Scheme: "github", Secrets: append(webhooktest.Secrets("good"), empty...)},
		{Scheme: "hmac", Secrets: webhooktest.Secrets("s")},
		{Scheme: "hmac", Header: "X-Sig"},
		{Scheme: "hmac", Header: "X-Sig", Secrets: webhooktest.Secrets("s"), Encoding: "base32"},
		{Scheme: "hmac", Header: "X-Sig", Secrets: webhooktest.Secrets("s"), Algorithm: "md5"},
		{Scheme: "bearer"},
		{Scheme: "bearer", Secrets: empty},
		{Scheme: "cloudevents"},
		{Scheme: "salesforce-outbound"},
		{Scheme: "salesforce-outbound", Organization: "00D"},
		{Scheme: "none"},
		{Scheme: ""},
		{Scheme: "bearer", Secrets: webhooktest.Secrets(strings.Split("abcdefghi", "")...)},
	} {
		if _, err := newScheme(v); err == nil {
			t.Errorf("%+v was accepted", v)
		}
	}
	// Even a verifier that was made without keys believes nobody.
	m := &mac{sha256.New, hex.EncodeToString, nil}
	if err := m.check([]string{hex.EncodeToString(webhooktest.Digest(sha256.New, "", "x"))}, []byte("x")); err == nil {
		t.Error("no key, and yet believed")
	}
}

func TestSchemes(t *testing.T) {
	const body = `{"id":"evt_9","n":1}`
	sha := func(key string) string { return hex.EncodeToString(webhooktest.Digest(sha256.New, key, body)) }
	stripe := func(at time.Time, keys ...string) string {
		s := "t=" + fmt.Sprint(at.Unix())
		for _, k := range keys {
			s += ",v1=" + hex.EncodeToString(webhooktest.Digest(sha256.New, k, fmt.Sprint(at.Unix()), ".", body))
		}
		return s
	}
	std := func(key string, at time.Time) http.Header { return webhooktest.Headers(key, "msg_1", at, body) }
	change := func(h http.Header, pairs ...string) http.Header {
		h = h.Clone()
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i+1] == "" {
				h.Del(pairs[i])
			} else {
				h[http.CanonicalHeaderKey(pairs[i])] = strings.Split(pairs[i+1], "|")
			}
		}
		return h
	}
	one := func(name, value string) http.Header { return change(http.Header{}, name, value) }
	stdTwo := Verify{Scheme: "standard-webhooks", Secrets: webhooktest.Secrets(webhooktest.Whsec("old-key-old-key-1"), base64.RawStdEncoding.EncodeToString([]byte("new-key-new-key-2")))}
	for _, c := range []struct {
		name   string
		verify Verify
		header http.Header
		ok     bool
	}{
		{"standard, old secret", stdTwo, std("old-key-old-key-1", noon), true},
		{"standard, new secret without prefix or padding", stdTwo, std("new-key-new-key-2", noon), true},
		{"standard, neither", stdTwo, std("third", noon), false},
		{"standard, 300 s old", stdTwo, std("old-key-old-key-1", noon.Add(-300*time.Second)), true},
		{"standard, 301 s old", stdTwo, std("old-key-old-key-1", noon.Add(-301*time.Second)), false},
		{"standard, 300 s ahead", stdTwo, std("old-key-old-key-1", noon.Add(300*time.Second)), true},
		{"standard, 301 s ahead", stdTwo, std("old-key-old-key-1", noon.Add(301*time.Second)), false},
		{"standard, other id", stdTwo, change(std("old-key-old-key-1", noon), "webhook-id", "msg_2"), false},
		{"standard, no id", stdTwo, change(std("old-key-old-key-1", noon), "webhook-id", ""), false},
		{"standard, two ids", stdTwo, change(std("old-key-old-key-1", noon), "webhook-id", "msg_1|msg_1"), false},
		{"standard, no stamp", stdTwo, change(std("old-key-old-key-1", noon), "webhook-timestamp", ""), false},
		{"standard, signed stamp", stdTwo, change(std("old-key-old-key-1", noon), "webhook-timestamp", "+1768478400"), false},
		{"standard, huge stamp", stdTwo, change(std("old-key-old-key-1", noon), "webhook-timestamp", "99999999999999999999"), false},
		{"standard, the digest under another version", stdTwo, change(std("old-key-old-key-1", noon), "webhook-signature",
			"v2,"+strings.TrimPrefix(std("old-key-old-key-1", noon).Get("webhook-signature"), "v1,")), false},
		{"standard, asymmetric only", stdTwo, change(std("old-key-old-key-1", noon), "webhook-signature", "v1a,AAAA"), false},
		{"standard, no signature", stdTwo, change(std("old-key-old-key-1", noon), "webhook-signature", ""), false},

		{"stripe", Verify{Scheme: "stripe", Secrets: webhooktest.Secrets("whsec_a")}, one("Stripe-Signature", stripe(noon, "whsec_a")), true},
		{"stripe, rolled", Verify{Scheme: "stripe", Secrets: webhooktest.Secrets("whsec_a")}, one("Stripe-Signature", stripe(noon, "whsec_b", "whsec_a")), true},
		{"stripe, two secrets", Verify{Scheme: "stripe", Secrets: webhooktest.Secrets("whsec_x", "whsec_a")}, one("Stripe-Signature", stripe(noon, "whsec_a")), true},
		{"stripe, ahead", Verify{Scheme: "stripe", Secrets: webhooktest.Secrets("whsec_a")}, one("Stripe-Signature", stripe(noon.Add(301*time.Second), "whsec_a")), false},
		{"stripe, two stamps", Verify{Scheme: "stripe", Secrets: webhooktest.Secrets("whsec_a")}, one("Stripe-Signature", "t=1,"+stripe(noon, "whsec_a")), false},
		{"stripe, v0 only", Verify{Scheme: "stripe", Secrets: webhooktest.Secrets("whsec_a")}, one("Stripe-Signature", strings.ReplaceAll(stripe(noon, "whsec_a"), "v1", "v0")), false},
		{"stripe, nothing", Verify{Scheme: "stripe", Secrets: webhooktest.Secrets("whsec_a")}, http.Header{}, false},

		{"github", Verify{Scheme: "github", Secrets: webhooktest.Secrets("k")}, one("X-Hub-Signature-256", "sha256="+sha("k")), true},
		{"github, sha1 prefix", Verify{Scheme: "github", Secrets: webhooktest.Secrets("k")}, one("X-Hub-Signature-256", "sha1="+sha("k")), false},
		{"github, bare", Verify{Scheme: "github", Secrets: webhooktest.Secrets("k")}, one("X-Hub-Signature-256", sha("k")), false},

		{"hmac hex", Verify{Scheme: "hmac", Header: "X-Sig", Secrets: webhooktest.Secrets("a", "k")}, one("X-Sig", sha("k")), true},
		{"hmac hex in capitals", Verify{Scheme: "hmac", Header: "X-Sig", Secrets: webhooktest.Secrets("k")}, one("X-Sig", strings.ToUpper(sha("k"))), true},
		{"hmac shortened", Verify{Scheme: "hmac", Header: "X-Sig", Secrets: webhooktest.Secrets("k")}, one("X-Sig", sha("k")[:32]), false},
		{"hmac base64 sha512 with prefix", Verify{Scheme: "hmac", Header: "X-Sig", Prefix: "v=", Encoding: "base64", Algorithm: "sha512", Secrets: webhooktest.Secrets("k")},
			one("X-Sig", "v="+base64.StdEncoding.EncodeToString(webhooktest.Digest(sha512.New, "k", body))), true},
		{"hmac, other algorithm", Verify{Scheme: "hmac", Header: "X-Sig", Algorithm: "sha512", Secrets: webhooktest.Secrets("k")}, one("X-Sig", sha("k")), false},
		{"hmac, header twice", Verify{Scheme: "hmac", Header: "X-Sig", Secrets: webhooktest.Secrets("k")}, one("X-Sig", sha("k")+"|"+sha("k")), false},

		{"bearer", Verify{Scheme: "bearer", Secrets: webhooktest.Secrets("old", "tok")}, one("Authorization", "bearer tok"), true},
		{"bearer, other token", Verify{Scheme: "bearer", Secrets: webhooktest.Secrets("tok")}, one("Authorization", "Bearer tokk"), false},
		{"bearer, basic", Verify{Scheme: "bearer", Secrets: webhooktest.Secrets("tok")}, one("Authorization", "Basic tok"), false},
		{"bearer, empty", Verify{Scheme: "bearer", Secrets: webhooktest.Secrets("tok")}, one("Authorization", "Bearer "), false},
		{"bearer, none", Verify{Scheme: "bearer", Secrets: webhooktest.Secrets("tok")}, http.Header{}, false},
		{"bearer in a header of its own", Verify{Scheme: "bearer", Header: "X-Gitlab-Token", Secrets: webhooktest.Secrets("tok")}, one("X-Gitlab-Token", "tok"), true},
		{"bearer in a header of its own, wrong", Verify{Scheme: "bearer", Header: "X-Gitlab-Token", Secrets: webhooktest.Secrets("tok")}, one("X-Gitlab-Token", "to"), false},

		{"cloudevents by digest", Verify{Scheme: "cloudevents", Header: "X-Sig", Secrets: webhooktest.Secrets("k")}, one("X-Sig", sha("k")), true},
		{"cloudevents by digest, token instead", Verify{Scheme: "cloudevents", Header: "X-Sig", Secrets: webhooktest.Secrets("k")}, one("Authorization", "Bearer k"), false},
		{"cloudevents by token", Verify{Scheme: "cloudevents", Secrets: webhooktest.Secrets("k")}, one("Authorization", "Bearer k"), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := newScheme(c.verify)
			if err != nil {
				t.Fatal(err)
			}
			err = s.verify(&request{header: c.header, body: []byte(body), now: noon})
			if (err == nil) != c.ok {
				t.Errorf("got %v, want %v", err, c.ok)
			}
			// One byte more, and a signature is worth nothing.
			if c.ok && c.verify.Scheme != "bearer" && !strings.Contains(c.name, "by token") {
				if err := s.verify(&request{header: c.header, body: []byte(body + " "), now: noon}); err == nil {
					t.Error("another body is believed")
				}
			}
		})
	}
}

func TestSchemesList(t *testing.T) {
	want := []string{"bearer", "cloudevents", "github", "hmac", "salesforce-outbound", "shopify", "standard-webhooks", "stripe"}
	if got := Schemes(); !slices.Equal(got, want) {
		t.Errorf("schemes %v", got)
	}
}

func FuzzStandard(f *testing.F) {
	f.Add("msg_1", "1768478400", "v1,AAAA v1a,BBBB", []byte(`{}`))
	f.Add("", "-1", ",,,, v1, v1,", []byte(nil))
	s, err := newScheme(Verify{Scheme: "standard-webhooks", Secrets: webhooktest.Secrets(webhooktest.Whsec("a key that nobody will guess"))})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, id, stamp, signature string, body []byte) {
		h := http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {stamp}, "Webhook-Signature": {signature}}
		if s.verify(&request{header: h, body: body, now: noon}) == nil {
			t.Fatal("a guess was believed")
		}
	})
}

func FuzzStripe(f *testing.F) {
	f.Add("t=1768478400,v1=00", []byte(`{}`))
	f.Add("t=,t=,v1,=,", []byte(`{}`))
	s, err := newScheme(Verify{Scheme: "stripe", Secrets: webhooktest.Secrets("whsec_unguessed")})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, signature string, body []byte) {
		if s.verify(&request{header: http.Header{"Stripe-Signature": {signature}}, body: body, now: noon}) == nil {
			t.Fatal("a guess was believed")
		}
	})
}
