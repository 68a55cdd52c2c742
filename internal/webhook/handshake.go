package webhook

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/waybill-hub/waybill/internal/inbox"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Handshakes are answered before anything is verified, because the sender has nothing to sign yet. They store nothing and fetch
// nothing, they say nothing that depends on a secret but whether a token that was given is one, and what they repeat is short, plain and
// never a page.
//
//	name         request                                                for
//	meta         GET ?hub.mode=subscribe&hub.verify_token=&hub.challenge=    Meta; the token must be an active secret
//	query        GET ?challenge=                                        Dropbox, Nylas and others
//	okta         GET with X-Okta-Verification-Challenge                 Okta's event hooks
//	microsoft    POST ?validationToken= with an empty body              Microsoft Graph, SharePoint, Dynamics 365 Business Central
//	smartsheet   POST with Smartsheet-Hook-Challenge                    Smartsheet
//	body         POST {"challenge": …}, alone or with "type": "url_verification"   Slack, Lark, monday.com
//	woocommerce  POST of the form webhook_id=N, unsigned                WooCommerce, when a webhook is saved
//	vtex         POST {"hookConfig": "ping"}                            VTEX
//	head         HEAD                                                   Trello, Mandrill, Intercom
//
// These are answered for the schemes hmac and bearer, where no delivery looks like one of them; with cloudevents an OPTIONS request that
// has WebHook-Request-Origin is (Azure Event Grid, SAP Event Mesh). A signed ping is answered by its scheme, after verification: GitHub's,
// and Xero's "intent to receive". What a flow names under `handshake` is answered with any scheme:
//
//	get          GET without a challenge                                Mailchimp and others that look first
//	asana        POST with X-Hook-Secret                                Asana

const (
	maxChallenge = 1024
	maxGreeting  = 4 << 10 // of a body that asks for an answer before it is verified
)

// greeting is a request that may be a handshake.
type greeting struct {
	method string
	header http.Header
	query  url.Values
	media  string
	body   []byte // of a POST
	proof  string // the header that deliveries are signed in
	// secrets are the active ones.
	secrets []strictyaml.Secret
}

// greet gives the answer that the sender wants; nil: it is no such request.
type greet func(g *greeting) *reply

// greetings are the handshakes that a flow may name.
var greetings = map[string]greet{"get": greetGet, "asana": greetAsana}

// common are those of schemes whose senders have many ways.
var common = []greet{greetMeta, greetQuery, greetOkta, greetMicrosoft, greetSmartsheet, greetBody, greetWooCommerce, greetVTEX, greetHead}

// greeting answers a handshake.
func (k *hook) greeting(r *http.Request, media string, body []byte) *reply {
	if len(k.greets) == 0 || len(body) > maxGreeting {
		return nil
	}
	g := &greeting{method: r.Method, header: r.Header, query: r.URL.Query(), media: media, body: body, proof: k.scheme.proof, secrets: k.Verify.Secrets}
	for _, greet := range k.greets {
		if a := greet(g); a != nil {
			return a
		}
	}
	return nil
}

func greetMeta(g *greeting) *reply {
	if g.method != http.MethodGet || g.query.Get("hub.mode") != "subscribe" || !isSecret(g.query.Get("hub.verify_token"), g.secrets) {
		return nil
	}
	return echo(g.query.Get("hub.challenge"))
}

func greetQuery(g *greeting) *reply {
	if g.method != http.MethodGet || g.query.Get("hub.mode") == "subscribe" {
		return nil
	}
	return echo(g.query.Get("challenge"))
}

func greetOkta(g *greeting) *reply {
	if g.method != http.MethodGet {
		return nil
	}
	return echoJSON("verification", one(g.header, "X-Okta-Verification-Challenge"))
}

func greetMicrosoft(g *greeting) *reply {
	if g.method != http.MethodPost || len(g.body) > 0 {
		return nil
	}
	for name, values := range g.query { // SharePoint writes validationtoken
		if strings.EqualFold(name, "validationToken") && len(values) == 1 {
			return echo(values[0])
		}
	}
	return nil
}

func greetSmartsheet(g *greeting) *reply {
	if g.method != http.MethodPost {
		return nil
	}
	challenge := one(g.header, "Smartsheet-Hook-Challenge")
	a := echoJSON("smartsheetHookResponse", challenge)
	if a != nil {
		a.header = http.Header{"Smartsheet-Hook-Response": {challenge}}
	}
	return a
}

// greetBody is for documents that hold nothing but the challenge, or say that they are about the address.
func greetBody(g *greeting) *reply {
	v, done := g.object()
	defer done()
	if v.Len() == 1 || v.Get("type").Str() == "url_verification" {
		return echoJSON("challenge", v.Get("challenge").Str())
	}
	return nil
}

// greetWooCommerce: anything but 200 switches the webhook off. The ping is a form and not signed; the deliveries are signed JSON.
func greetWooCommerce(g *greeting) *reply {
	id, ok := strings.CutPrefix(string(g.body), "webhook_id=")
	if g.method != http.MethodPost || !ok || g.media != mediaForm && g.media != "" || g.proof == "" || g.header.Get(g.proof) != "" {
		return nil
	}
	if _, err := strconv.ParseUint(id, 10, 63); err != nil {
		return nil
	}
	return &reply{status: http.StatusOK}
}

func greetVTEX(g *greeting) *reply {
	v, done := g.object()
	defer done()
	if v.Len() == 1 && v.Get("hookConfig").Str() == "ping" {
		return &reply{status: http.StatusOK}
	}
	return nil
}

func greetHead(g *greeting) *reply {
	if g.method == http.MethodHead {
		return &reply{status: http.StatusOK}
	}
	return nil
}

func greetGet(g *greeting) *reply {
	if g.method == http.MethodGet || g.method == http.MethodHead {
		return &reply{status: http.StatusOK}
	}
	return nil
}

// greetAsana gives the secret back that Asana has made up for the webhook. It is told to whoever made the webhook as well, and belongs
// into the flow's secrets then: until it stands there, deliveries are answered 401, and Asana sends them again.
func greetAsana(g *greeting) *reply {
	secret := one(g.header, "X-Hook-Secret")
	if g.method != http.MethodPost || g.header.Get("X-Hook-Signature") != "" || !plain(secret) {
		return nil
	}
	return &reply{status: http.StatusOK, header: http.Header{"X-Hook-Secret": {secret}}}
}

// object is the body where it is a JSON object; done gives it back.
func (g *greeting) object() (v jsondoc.Value, done func()) {
	d := jsondoc.Get()
	done = func() { jsondoc.Put(d) }
	text, err := utf8Text(g.body)
	if g.method != http.MethodPost || err != nil || len(text) == 0 || d.Reset(text, inbox.DocumentLimits) != nil || d.Root().Kind() != jsondoc.Object {
		_ = d.Reset([]byte("null"), inbox.DocumentLimits)
	}
	return d.Root(), done
}

func isSecret(given string, secrets []strictyaml.Secret) bool {
	digest, found := sha256.Sum256([]byte(given)), 0
	for _, s := range secrets {
		want := sha256.Sum256([]byte(s.Reveal()))
		found |= subtle.ConstantTimeCompare(want[:], digest[:])
	}
	return found == 1
}

// plain reports whether text may be repeated: not one that is long, or that a browser could take for a page.
func plain(text string) bool {
	return text != "" && len(text) <= maxChallenge && !strings.ContainsFunc(text, func(c rune) bool {
		return c < ' ' || c > '~' || strings.ContainsRune(`<>"'&`, c)
	})
}

// echo answers with the challenge as plain text; nil where that is not to be repeated.
func echo(text string) *reply {
	if !plain(text) {
		return nil
	}
	return &reply{status: http.StatusOK, media: "text/plain; charset=utf-8", body: []byte(text)}
}

// echoJSON answers with the challenge as the member of an object.
func echoJSON(member, text string) *reply {
	if !plain(text) {
		return nil
	}
	b := append(jsondoc.AppendString([]byte{'{'}, member), ':')
	return &reply{status: http.StatusOK, media: "application/json", body: append(jsondoc.AppendString(b, text), '}')}
}

// allowOrigin is the CloudEvents abuse-protection handshake: the origin that asks may deliver, at the rate that the source is
// set to. A callback that it names is not called.
func allowOrigin(rate float64) greet {
	return func(g *greeting) *reply {
		origin := one(g.header, "WebHook-Request-Origin")
		if g.method != http.MethodOptions || origin == "" || len(origin) > 253 || strings.ContainsFunc(origin, func(c rune) bool { return c <= ' ' || c > '~' }) {
			return nil
		}
		a := &reply{status: http.StatusOK, header: http.Header{"WebHook-Allowed-Origin": {origin}, "Allow": {"POST, OPTIONS"}}}
		if asked := one(g.header, "WebHook-Request-Rate"); asked != "" || rate > 0 {
			allowed := "*"
			if rate > 0 {
				allowed = strconv.Itoa(max(1, int(rate*60))) // per minute
			}
			a.header["WebHook-Allowed-Rate"] = []string{allowed}
		}
		return a
	}
}

// greetsOf are the handshakes of a webhook.
func greetsOf(s *scheme, w *Endpoint) ([]greet, []string) {
	out, methods := slices.Clone(s.greets), slices.Clone(s.methods)
	for _, name := range w.Handshakes {
		if greet := greetings[name]; greet != nil {
			out = append(out, greet)
		}
		if name == "get" && !slices.Contains(methods, http.MethodGet) {
			methods = append(methods, http.MethodGet, http.MethodHead)
		}
	}
	return out, methods
}
