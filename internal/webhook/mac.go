package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/inbox"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

const (
	maxSecrets    = 8
	maxCandidates = 16
)

// mac compares signatures under all active secrets.
type mac struct {
	new    func() hash.Hash
	encode func([]byte) string
	keys   [][]byte
}

// keysOf turns secrets into keys. No secret, or an empty one, is an error: a webhook without a secret would believe anybody.
func keysOf(secrets []strictyaml.Secret, decode func(string) ([]byte, error)) ([][]byte, error) {
	if len(secrets) == 0 {
		return nil, errors.New("a secret is needed: without one the hub would believe anybody")
	}
	if len(secrets) > maxSecrets {
		return nil, fmt.Errorf("%d secrets are active at once; at most %d are allowed", len(secrets), maxSecrets)
	}
	keys := make([][]byte, 0, len(secrets))
	for i, s := range secrets {
		key := []byte(s.Reveal())
		if decode != nil {
			var err error
			if key, err = decode(s.Reveal()); err != nil {
				return nil, fmt.Errorf("secret %d: %w", i+1, err)
			}
		}
		if len(key) == 0 {
			return nil, fmt.Errorf("secret %d is empty", i+1)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// check compares the encoded digest of the parts under every key with every candidate. All comparisons are made, each in
// constant time, so that how long it takes tells nothing about a secret.
func (m *mac) check(candidates []string, parts ...[]byte) error {
	if len(candidates) == 0 {
		return errNoSignature
	}
	found := 0
	for _, key := range m.keys {
		h := hmac.New(m.new, key)
		for _, p := range parts {
			h.Write(p)
		}
		want := []byte(m.encode(h.Sum(nil)))
		for _, c := range candidates[:min(len(candidates), maxCandidates)] {
			found |= subtle.ConstantTimeCompare(want, []byte(c))
		}
	}
	if found == 0 {
		return errBadSignature
	}
	return nil
}

// fresh checks a signed Unix timestamp.
func fresh(stamp string, now time.Time, tolerance time.Duration) error {
	sec, err := strconv.ParseUint(stamp, 10, 64)
	if err != nil || sec > math.MaxInt32*1000 {
		return errNoTimestamp
	}
	if age := now.Sub(time.Unix(int64(sec), 0)).Truncate(time.Second); age > tolerance || -age > tolerance {
		return errTimestamp
	}
	return nil
}

// newStandard is Standard Webhooks: base64 HMAC-SHA256 of id.timestamp.body.
func newStandard(v Verify) (*scheme, error) {
	keys, err := keysOf(v.Secrets, func(s string) ([]byte, error) {
		s = strings.TrimRight(strings.TrimPrefix(s, "whsec_"), "=")
		key, err := base64.RawStdEncoding.DecodeString(s)
		if err != nil {
			return nil, errors.New("it must be base64, with or without whsec_ before it")
		}
		return key, nil
	})
	if err != nil {
		return nil, err
	}
	m := &mac{sha256.New, base64.StdEncoding.EncodeToString, keys}
	return &scheme{
		private: []string{"webhook-signature", "svix-signature"},
		verify: func(r *request) error {
			set := standardSet(r.header)
			id, stamp := one(r.header, set+"-id"), one(r.header, set+"-timestamp")
			if id == "" {
				return errors.New("webhook-id is missing")
			}
			if err := fresh(stamp, r.now, v.Tolerance); err != nil {
				return err
			}
			var candidates []string
			for s := range strings.FieldsSeq(one(r.header, set+"-signature")) {
				if sig, ok := strings.CutPrefix(s, "v1,"); ok {
					candidates = append(candidates, sig)
				}
			}
			return m.check(candidates, []byte(id), []byte("."), []byte(stamp), []byte("."), r.body)
		},
		unpack: func(r *request) ([]delivery, error) {
			set := standardSet(r.header)
			// An expression finds the delivery's id under the standard's name, whichever of the two the sender uses.
			d := delivery{id: one(r.header, set+"-id"), body: r.body, headers: map[string]string{"webhook-id": one(r.header, set+"-id")}}
			if sec, err := strconv.ParseInt(one(r.header, set+"-timestamp"), 10, 64); err == nil {
				d.headers[inbox.HeaderTime] = time.Unix(sec, 0).UTC().Format(time.RFC3339)
			}
			return []delivery{d}, nil
		},
	}, nil
}

// standardSet is what the names of the three headers begin with. Svix, of which the standard comes, sends svix-*, some senders both:
// one set is taken as a whole, so that nothing counts that its own signature does not cover.
func standardSet(h http.Header) string {
	whole := func(set string) bool {
		return one(h, set+"-id") != "" && one(h, set+"-timestamp") != "" && one(h, set+"-signature") != ""
	}
	if !whole("webhook") && whole("svix") {
		return "svix"
	}
	return "webhook"
}

// newStripe is Stripe's: hex HMAC-SHA256 of t.body under the whole secret string.
func newStripe(v Verify) (*scheme, error) {
	keys, err := keysOf(v.Secrets, nil)
	if err != nil {
		return nil, err
	}
	m := &mac{sha256.New, hex.EncodeToString, keys}
	return &scheme{
		private: []string{"stripe-signature"},
		verify: func(r *request) error {
			stamp, candidates := "", []string(nil)
			for part := range strings.SplitSeq(one(r.header, "Stripe-Signature"), ",") {
				name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
				switch name {
				case "t":
					if stamp != "" {
						return errNoTimestamp // given twice: which of them is signed?
					}
					stamp = value
				case "v1":
					candidates = append(candidates, value)
				}
			}
			if len(candidates) == 0 {
				return errNoSignature
			}
			if err := fresh(stamp, r.now, v.Tolerance); err != nil {
				return err
			}
			return m.check(candidates, []byte(stamp), []byte("."), r.body)
		},
		unpack: idInBody("id"),
	}, nil
}

// newShopify is Shopify's: base64 HMAC-SHA256 of the body. No timestamp is signed: the delivery id guards against replays.
func newShopify(v Verify) (*scheme, error) {
	return plainMAC(v, "X-Shopify-Hmac-Sha256", "", base64.StdEncoding.EncodeToString, sha256.New, "X-Shopify-Webhook-Id")
}

// newGitHub is GitHub's: sha256= and lower-case hex HMAC-SHA256 of the body. Its ping, sent when a webhook is set up, is
// answered and goes no further.
func newGitHub(v Verify) (*scheme, error) {
	s, err := plainMAC(v, "X-Hub-Signature-256", "sha256=", hex.EncodeToString, sha256.New, "X-GitHub-Delivery")
	if err != nil {
		return nil, err
	}
	unpack := s.unpack
	s.unpack = func(r *request) ([]delivery, error) {
		if one(r.header, "X-GitHub-Event") == "ping" {
			return nil, nil
		}
		return unpack(r)
	}
	return s, nil
}

// newHMAC is the configurable one: a digest of the body in a header.
func newHMAC(v Verify) (*scheme, error) {
	if v.Header == "" {
		return nil, errors.New("header is needed: where the signature stands")
	}
	encode := hex.EncodeToString
	switch v.Encoding {
	case "", "hex":
	case "base64":
		encode = base64.StdEncoding.EncodeToString
	default:
		return nil, fmt.Errorf("encoding %q is not known; use hex or base64", v.Encoding)
	}
	algorithm := sha256.New
	switch v.Algorithm {
	case "", "sha256":
	case "sha512":
		algorithm = sha512.New
	default:
		return nil, fmt.Errorf("algorithm %q is not known; use sha256 or sha512", v.Algorithm)
	}
	s, err := plainMAC(v, v.Header, v.Prefix, encode, algorithm, "")
	if err != nil {
		return nil, err
	}
	s.greets, s.methods, s.proof = common, []string{http.MethodGet, http.MethodHead}, v.Header
	if strings.EqualFold(v.Header, "X-Xero-Signature") {
		s.unpack = func(r *request) ([]delivery, error) { return unpackXero(r) }
	}
	return s, nil
}

// unpackXero answers Xero's "intent to receive", a signed body without events, and goes no further with it.
func unpackXero(r *request) ([]delivery, error) {
	d := jsondoc.Get()
	defer jsondoc.Put(d)
	if err := d.Reset(r.body, inbox.DocumentLimits); err != nil {
		return nil, notJSON(err)
	}
	if events := d.Root().Get("events"); events.Kind() == jsondoc.Array && events.Len() == 0 {
		return nil, nil
	}
	return []delivery{{body: r.body}}, nil
}

// plainMAC is a digest of the raw body in one header, after a prefix; idHeader names the delivery.
func plainMAC(v Verify, header, prefix string, encode func([]byte) string, algorithm func() hash.Hash, idHeader string) (*scheme, error) {
	keys, err := keysOf(v.Secrets, nil)
	if err != nil {
		return nil, err
	}
	m := &mac{algorithm, encode, keys}
	isHex := encode([]byte{0xff}) == "ff"
	s := &scheme{
		private: []string{strings.ToLower(header)},
		verify: func(r *request) error {
			given, ok := strings.CutPrefix(one(r.header, header), prefix)
			if !ok || given == "" {
				return errNoSignature
			}
			if isHex {
				given = strings.ToLower(given)
			}
			return m.check([]string{given}, r.body)
		},
	}
	if idHeader != "" {
		s.unpack = func(r *request) ([]delivery, error) {
			return []delivery{{id: one(r.header, idHeader), body: r.body}}, nil
		}
	}
	return s, nil
}

// newBearer is a token in the Authorization header, or bare in a header of the sender's own.
func newBearer(v Verify) (*scheme, error) {
	keys, err := keysOf(v.Secrets, nil)
	if err != nil {
		return nil, err
	}
	// Digests have one length: comparing them tells nothing about the token's.
	digests := make([][32]byte, len(keys))
	for i, key := range keys {
		digests[i] = sha256.Sum256(key)
	}
	header, prefix := v.Header, v.Prefix
	if header == "" || strings.EqualFold(header, "Authorization") {
		header = "Authorization"
		if prefix == "" {
			prefix = "Bearer "
		}
	}
	return &scheme{
		private: []string{strings.ToLower(header)},
		methods: []string{http.MethodGet, http.MethodHead},
		greets:  common,
		verify: func(r *request) error {
			value := one(r.header, header)
			token, ok := afterPrefix(value, prefix)
			if !ok {
				return errNoToken
			}
			given := sha256.Sum256([]byte(token))
			found := 0
			for i := range digests {
				found |= subtle.ConstantTimeCompare(digests[i][:], given[:])
			}
			if found == 0 {
				return errBadToken
			}
			return nil
		},
	}, nil
}

// afterPrefix is the token behind the prefix, which is written in any case and, where it is a word such as Bearer, ends with a blank.
func afterPrefix(value, prefix string) (string, bool) {
	word := strings.TrimRight(prefix, " ")
	if len(value) < len(word) || !strings.EqualFold(value[:len(word)], word) {
		return "", false
	}
	rest := value[len(word):]
	token := strings.TrimSpace(rest)
	return token, token != "" && (len(word) == len(prefix) || len(token) < len(rest))
}

func (k *hook) allow() string {
	return strings.Join(append(slices.Clone(k.methods), http.MethodPost), ", ")
}
