package httpclient

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Assertion proves who asks for a token by a signed statement in place of a secret: RFC 7523, section 2.2.
type Assertion struct {
	Key       strictyaml.Secret `yaml:"key,required" doc:"the private key, in PEM (PKCS #8, PKCS #1 or SEC 1)"`
	KeyID     string            `yaml:"key-id" doc:"by what the other side knows the certificate or public key (kid)"`
	Algorithm string            `yaml:"algorithm" default:"PS256" enum:"PS256,RS256,ES256" doc:"PS256 and RS256: RSA; ES256: the curve P-256"`
}

// assertionLife is for how long a statement holds: it is used once, at once, and the clocks of two machines may be some minutes apart.
const assertionLife = 5 * time.Minute

var errKey = errors.New("assertion.key is no private key that algorithm can use: PEM of an RSA key for PS256 and RS256, of a key on P-256 for ES256")

// sign makes the statement that id asks for a token at audience.
func (a *Assertion) sign(id, audience, scope string, now time.Time) (string, error) {
	block, _ := pem.Decode([]byte(a.Key.Reveal()))
	if block == nil {
		return "", errKey
	}
	claims := map[string]any{"iss": id, "sub": id, "aud": audience, "iat": now.Unix(), "exp": now.Add(assertionLife).Unix(), "jti": rand.Text()}
	if scope != "" {
		claims["scope"] = strings.Fields(scope)
	}
	head := map[string]string{"typ": "JWT", "alg": a.Algorithm}
	if a.KeyID != "" {
		head["kid"] = a.KeyID
	}
	var parts []string
	for _, part := range []any{head, claims} {
		text, err := json.Marshal(part)
		if err != nil {
			return "", fmt.Errorf("write the statement: %w", err)
		}
		parts = append(parts, base64.RawURLEncoding.EncodeToString(text))
	}
	signed := strings.Join(parts, ".")
	digest := sha256.Sum256([]byte(signed))
	var signature []byte
	var err error
	switch key := privateKey(block.Bytes).(type) {
	case *rsa.PrivateKey:
		switch a.Algorithm {
		case "PS256":
			signature, err = rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		case "RS256":
			signature, err = rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
		default:
			return "", errKey
		}
	case *ecdsa.PrivateKey:
		if a.Algorithm != "ES256" || key.Params().BitSize != 256 {
			return "", errKey
		}
		r, s, signErr := ecdsa.Sign(rand.Reader, key, digest[:])
		if err = signErr; err == nil { // RFC 7518, 3.4: both numbers, each of 32 bytes
			signature = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
		}
	default:
		return "", errKey
	}
	if err != nil {
		return "", fmt.Errorf("sign the statement: %w", err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// privateKey reads one in any of its usual forms; nil: it is none.
func privateKey(der []byte) any {
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		return key
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key
	}
	return nil
}
