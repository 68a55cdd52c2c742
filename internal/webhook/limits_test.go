package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// TestSendersLimits tries what a sender, or whoever has no secret, can make long: at each limit it is taken, and just past it not.
func TestSendersLimits(t *testing.T) {
	form := func(fields int) error {
		_, err := formDocument([]byte(strings.TrimSuffix(strings.Repeat("a=1&", fields), "&")), "")
		return err
	}
	const around, above = 9, 5 // elements of the envelope and the notification, and how deep its fields lie
	xmlElements := func(n int) error {
		_, err := parseOutbound([]byte(envelope(org, notify("1", strings.Repeat("<a/>", n-around)))))
		return err
	}
	xmlDepth := func(n int) error {
		_, err := parseOutbound([]byte(envelope(org, notify("1", strings.Repeat("<a>", n-above)+strings.Repeat("</a>", n-above)))))
		return err
	}
	m := &mac{sha256.New, hex.EncodeToString, [][]byte{[]byte("0123456789abcdef")}}
	h := hmac.New(sha256.New, m.keys[0])
	h.Write([]byte("body"))
	right := hex.EncodeToString(h.Sum(nil))
	signatures := func(n int) error { // the right one is the last
		all := make([]string, n)
		for i := range all {
			all[i] = strings.Repeat("0", 64)
		}
		all[n-1] = right
		return m.check(all, []byte("body"))
	}
	secrets := func(n int) error {
		all := make([]strictyaml.Secret, n)
		for i := range all {
			all[i] = strictyaml.NewSecret(strings.Repeat("s", 16+i))
		}
		_, err := keysOf(all, nil)
		return err
	}
	k := &hook{Source: Source{Endpoint: *standardHook()}, greets: common, scheme: &scheme{proof: "X-Signature"}}
	greet := func(body string) error {
		if k.greeting(&http.Request{Method: http.MethodPost, Header: http.Header{}, URL: &url.URL{Path: "/hooks/x"}}, "application/json", []byte(body)) == nil {
			return errors.New("it is no handshake")
		}
		return nil
	}
	handshake := func(n int) error {
		const ends = `{"type":"url_verification","challenge":"3eZb","pad":""}`
		return greet(strings.Replace(ends, `"pad":""`, `"pad":"`+strings.Repeat("x", n-len(ends))+`"`, 1))
	}
	challenge := func(n int) error {
		return greet(`{"type":"url_verification","challenge":"` + strings.Repeat("x", n) + `"}`)
	}
	for _, tt := range []struct {
		what string
		most int
		try  func(n int) error
	}{
		{"fields of a form", maxFormFields, form},
		{"elements of XML", xmlElementsBound, xmlElements},
		{"depth of XML", xmlDepthBound, xmlDepth},
		{"signatures that are compared", maxCandidates, signatures},
		{"active secrets", maxSecrets, secrets},
		{"bytes of a handshake", maxGreeting, handshake},
		{"characters of a challenge", maxChallenge, challenge},
	} {
		if err := tt.try(tt.most); err != nil {
			t.Errorf("%s: %d are not taken: %v", tt.what, tt.most, err)
		}
		if tt.try(tt.most+1) == nil {
			t.Errorf("%s: %d are taken", tt.what, tt.most+1)
		}
	}
}

// The bounds of internal/xmldoc, as senders meet them.
const (
	xmlDepthBound    = 60
	xmlElementsBound = 100_000
)
