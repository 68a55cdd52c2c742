package webhook

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Verify is how a sender proves itself.
type Verify struct {
	// Scheme is one of Schemes.
	Scheme string
	// Secrets are the active ones: several while they are being rotated.
	Secrets []strictyaml.Secret
	// Tolerance of a signed timestamp, both ways; 0: 300 s.
	Tolerance time.Duration
	// Header is where the signature (hmac, and cloudevents signed that way) or the token (bearer) stands.
	Header string
	// Prefix is the text before the digest or token.
	Prefix string
	// Encoding of the digest: hex (default) or base64.
	Encoding string
	// Algorithm of the digest: sha256 (default) or sha512.
	Algorithm string
	// Organization is the sender's organization id (salesforce-outbound).
	Organization string
}

const defaultTolerance = 300 * time.Second

// request is one request to a webhook as the schemes see it.
type request struct {
	header http.Header
	// media is the media type of the body, lower case, without parameters; empty where the sender gave none.
	media string
	body  []byte
	now   time.Time
	// unpacked is what verify has found already, where it had to look inside.
	unpacked []delivery
}

// delivery is one document of a verified request.
type delivery struct {
	// id is the scheme's own id of the delivery; empty where it has none.
	id   string
	body []byte
	// headers are added to those of the request.
	headers map[string]string
	trace   string
}

// scheme is one way in which senders prove themselves and wrap what they send. A nil field means the plain way.
type scheme struct {
	// verify gives nil or why the sender is not believed. The reason is for the log, not for the sender, but for errTimestamp.
	verify func(r *request) error
	// unpack gives the documents of a verified request; nil: the body is one JSON document without an id of its own. Its error
	// is a *refusal or means 400.
	unpack func(r *request) ([]delivery, error)
	// media says which media types are read; nil: JSON.
	media func(mediaType string) bool
	// reply writes the answers; nil: JSON, and problem+json for errors.
	reply replier
	// greets answer requests that only ask whether the hub wants to be called.
	greets []greet
	// methods are allowed besides POST, for the handshake.
	methods []string
	// proof is the header that deliveries are signed in, or empty.
	proof string
	// inBody: what proves the sender stands in the body, so that the headers alone say nothing.
	inBody bool
	// private are headers that are not stored: they carry what proves the sender.
	private []string
}

// schemes is the table of all of them.
var schemes = map[string]func(Verify) (*scheme, error){
	"standard-webhooks":   newStandard,
	"stripe":              newStripe,
	"shopify":             newShopify,
	"github":              newGitHub,
	"salesforce-outbound": newSalesforce,
	"cloudevents":         newCloudEvents,
	"hmac":                newHMAC,
	"bearer":              newBearer,
}

// Schemes lists the names of the verification schemes.
func Schemes() []string {
	names := make([]string, 0, len(schemes))
	for name := range schemes {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func newScheme(v Verify) (*scheme, error) {
	build := schemes[v.Scheme]
	if build == nil {
		return nil, fmt.Errorf("verify: scheme %q is not known; use one of %s", v.Scheme, strings.Join(Schemes(), ", "))
	}
	if v.Tolerance <= 0 {
		v.Tolerance = defaultTolerance
	}
	s, err := build(v)
	if err != nil {
		return nil, fmt.Errorf("verify: %s: %w", v.Scheme, err)
	}
	return s, nil
}

// Check gives why a sender's proof cannot be built. Its text holds no secret.
func (v Verify) Check() error {
	_, err := newScheme(v)
	return err
}

// Reasons why a sender is not believed.
var (
	errNoSignature  = errors.New("the signature is missing")
	errBadSignature = errors.New("the signature does not fit the body under any active secret")
	errNoTimestamp  = errors.New("the signed timestamp is missing or not a number")
	errTimestamp    = errors.New("the signed timestamp is outside the tolerance")
	errNoToken      = errors.New("the token is missing")
	errBadToken     = errors.New("the token is not one of the active ones")
)

// one is the header's only value; a header that is given twice is ambiguous and counts as missing.
func one(h http.Header, name string) string {
	if v := h.Values(name); len(v) == 1 {
		return strings.TrimSpace(v[0])
	}
	return ""
}
