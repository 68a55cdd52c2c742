package config

import (
	"mime"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/mapping"
	"github.com/waybill-hub/waybill/internal/strictyaml"
	"github.com/waybill-hub/waybill/internal/xmldoc"
)

func (l *loader) webhook(raw webhookFile, n strictyaml.Node) *Webhook {
	w := &Webhook{Path: raw.Path, Split: raw.Split, Verify: l.verify(raw.Verify, n.Get("verify"))}
	if at := n.Get("path"); at.Kind() == strictyaml.Scalar && !validPath(raw.Path) {
		hint := "write small letters, digits, hyphens and slashes, for example crm/orders"
		if trimmed := strings.Trim(strings.TrimPrefix(strings.TrimPrefix(raw.Path, "/"), "hooks/"), "/"); validPath(trimmed) {
			hint = "write " + trimmed + ": /hooks/ goes before it by itself"
		}
		l.p.AddHint(at.Pos(), hint, "path: %q is not possible", shorten(raw.Path))
	}
	if at := n.Get("split"); at.Kind() == strictyaml.Scalar && strings.Contains("."+raw.Split+".", "..") {
		l.p.AddHint(at.Pos(), "write for example data.orders", "split: %q is no dotted path", shorten(raw.Split))
	}
	l.contentTypes(w, raw, n)
	w.XML = l.xml(raw, n)
	l.dotted(n.Get("ignore"), raw.Ignore)
	w.Ignore = raw.Ignore
	for i, at := range n.Get("handshakes").Items() {
		if i < len(raw.Handshakes) && !slices.Contains(handshakes, raw.Handshakes[i]) {
			l.p.AddHint(at.Pos(), strictyaml.DidYouMean(raw.Handshakes[i], handshakes), "handshakes: %q is not known", shorten(raw.Handshakes[i]))
		}
	}
	w.Handshakes = raw.Handshakes
	if raw.Answer != nil {
		w.Answer = l.answer(*raw.Answer, raw.Verify.Scheme, n.Get("answer"))
	}
	// The body may hold many documents, so that no schema says what it looks like.
	w.DeliveryID = l.expression(n.Get("delivery-id"), mapping.ExprContext{Headers: true, Result: "string"})
	return w
}

// Handshakes are those that are answered only where a flow names them.
func Handshakes() []string { return slices.Clone(handshakes) }

var handshakes = []string{"get", "asana"}

const mediaForm = "application/x-www-form-urlencoded"

// contentTypes checks what bodies may be called besides JSON.
func (l *loader) contentTypes(w *Webhook, raw webhookFile, n strictyaml.Node) {
	for i, at := range n.Get("content-types").Items() {
		if i >= len(raw.ContentTypes) {
			break
		}
		media, params, err := mime.ParseMediaType(raw.ContentTypes[i])
		if err != nil || len(params) > 0 || !strings.Contains(media, "/") || strings.Contains(media, "*") {
			l.p.AddHint(at.Pos(), "write it without parameters, for example text/plain", "content-types: %q is no content type", shorten(raw.ContentTypes[i]))
			continue
		}
		if raw.Verify.Scheme == "salesforce-outbound" {
			l.p.AddHint(at.Pos(), "remove it", "content-types: salesforce-outbound reads XML only")
		}
		w.ContentTypes = append(w.ContentTypes, media)
	}
	w.FormField = raw.FormField
	if n.Has("form-field") && !slices.Contains(w.ContentTypes, mediaForm) {
		l.p.AddHint(n.Get("form-field").Pos(), "add "+mediaForm+" to content-types", "form-field: this webhook reads no forms")
	}
}

// dotted checks dotted paths.
func (l *loader) dotted(n strictyaml.Node, list []string) {
	for i, at := range n.Items() {
		if i < len(list) && strings.Contains("."+list[i]+".", "..") {
			l.p.AddHint(at.Pos(), "write for example meta.sent_at", "%s: %q is no dotted path", n.Key(), shorten(list[i]))
		}
	}
}

// xml checks how a body of XML becomes documents.
func (l *loader) xml(raw webhookFile, n strictyaml.Node) *xmldoc.Settings {
	x, at := raw.XML, n.Get("xml")
	if x == nil {
		return nil
	}
	if s := raw.Verify.Scheme; s != "hmac" && s != "bearer" && s != "standard-webhooks" && s != "" {
		l.p.AddHint(n.KeyPos("xml"), "use hmac, bearer or standard-webhooks", "xml: the scheme %s has bodies of its own", s)
	}
	if len(raw.ContentTypes) > 0 {
		l.p.AddHint(n.KeyPos("content-types"), "remove it", "content-types: bodies of XML have XML's")
	}
	l.dotted(at.Get("lists"), x.Lists)
	for path, kind := range x.Types {
		if !slices.Contains(xmlTypes, kind) {
			l.p.AddHint(at.Get("types").Get(path).Pos(), strictyaml.DidYouMean(kind, xmlTypes), "types: %q is no type of a text", shorten(kind))
		}
	}
	used := map[string]string{}
	for _, f := range at.Get("names").Fields() {
		name := x.Names[f.Key]
		switch other := used[name]; {
		case name == "" || strings.ContainsAny(name, ".{}"):
			l.p.AddHint(f.Value.Pos(), "write one name, without dots", "names: %q is no name", shorten(name))
		case other != "":
			l.p.Add(f.Value.Pos(), "names: %s and %s are both called %s", other, f.Key, shorten(name))
		}
		used[name] = f.Key
	}
	return x
}

var xmlTypes = []string{"boolean", "decimal", "integer"}

// answer checks what a sender is to get.
func (l *loader) answer(raw answerFile, scheme string, n strictyaml.Node) *Answer {
	switch media, _, err := mime.ParseMediaType(raw.Type); {
	case scheme == "salesforce-outbound":
		l.p.AddHint(n.Pos(), "remove it", "answer: salesforce-outbound has an answer of its own")
	case !slices.Contains([]int{200, 201, 202, 204}, raw.Status):
		l.p.AddHint(n.Get("status").Pos(), "write 200, 201, 202 or 204", "answer: the status %d does not tell a sender that the hub has the delivery", raw.Status)
	case raw.Status == 204 && raw.Body != "":
		l.p.AddHint(n.Get("body").Pos(), "write status: 200, or no body", "answer: 204 has no body")
	case len(raw.Body) > 4096:
		l.p.Add(n.Get("body").Pos(), "answer: the body has more than 4096 bytes")
	case err != nil || !strings.Contains(media, "/"):
		l.p.AddHint(n.Get("type").Pos(), "write for example text/plain", "answer: %q is no content type", shorten(raw.Type))
	case n.Has("type") && raw.Body == "":
		l.p.AddHint(n.Get("type").Pos(), "add body, or remove type", "answer: type says nothing without a body")
	}
	return &Answer{Status: raw.Status, Type: raw.Type, Body: raw.Body}
}

// validPath allows what every sender and proxy leaves as it is.
func validPath(path string) bool {
	if len(path) > 200 {
		return false
	}
	for _, part := range strings.Split(path, "/") {
		if part == "" || part[0] == '.' {
			return false
		}
		for _, r := range part {
			if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.", r)) {
				return false
			}
		}
	}
	return true
}

// settings of each scheme beside scheme, secret and secrets.
var schemeSettings = map[string][]string{
	"standard-webhooks":   {"tolerance"},
	"stripe":              {"tolerance"},
	"shopify":             {},
	"github":              {},
	"salesforce-outbound": {"organization"},
	"cloudevents":         {"header", "prefix", "encoding", "algorithm"},
	"hmac":                {"header", "prefix", "encoding", "algorithm"},
	"bearer":              {"header", "prefix"},
}

func (l *loader) verify(raw verifyFile, n strictyaml.Node) Verify {
	v := Verify{
		Scheme: raw.Scheme, Secrets: raw.Secrets, Tolerance: raw.Tolerance, Header: raw.Header, Prefix: raw.Prefix,
		Encoding: raw.Encoding, Algorithm: raw.Algorithm, Organization: raw.Organization,
	}
	if n.Has("secret") {
		v.Secrets = append([]strictyaml.Secret{raw.Secret}, v.Secrets...)
	}
	l.noteShort(v.Secrets, n)
	settings, known := schemeSettings[raw.Scheme]
	before := l.p.Len()
	if !known {
		return v // of an unknown scheme is complained already, and none is not one
	}
	l.positive(n, "tolerance")
	allowed := append([]string{"scheme"}, settings...)
	needs := ""
	switch raw.Scheme {
	case "salesforce-outbound":
		needs = "organization"
	case "hmac":
		needs = "header"
	}
	if raw.Scheme != "salesforce-outbound" {
		allowed = append(allowed, "secret", "secrets")
		if !n.Has("secret") && !n.Has("secrets") {
			l.p.AddHint(n.Pos(), "add secret: \"${env:NAME}\"", "verify: %s needs a secret", raw.Scheme)
		} else if n.Has("secrets") && len(n.Get("secrets").Items()) == 0 && n.Get("secrets").Kind() == strictyaml.List {
			l.p.AddHint(n.Get("secrets").Pos(), "add one", "verify: the list of secrets is empty")
		}
	}
	if needs != "" && !n.Has(needs) {
		l.p.AddHint(n.Pos(), "add it", "verify: %s needs %s", raw.Scheme, needs)
	}
	for _, f := range n.Fields() {
		if isVerifyKey(f.Key) && !slices.Contains(allowed, f.Key) {
			l.p.AddHint(f.KeyPos, "remove it", "verify: %s means nothing for %s", f.Key, raw.Scheme)
		}
	}
	if l.p.Len() == before {
		l.provable(v, n)
	}
	return v
}

// provable complains of a scheme that cannot be built of its settings, such as of a secret that is no base64. What the secrets hold is not
// looked at where one of them is not set on this machine.
func (l *loader) provable(v Verify, n strictyaml.Node) {
	if l.o.Verify == nil || len(n.Absent()) > 0 {
		return
	}
	err := l.o.Verify(v)
	if err == nil {
		return
	}
	at := n
	for _, key := range []string{"secret", "secrets"} {
		if n.Has(key) && strings.Contains(err.Error(), "secret") {
			at = n.Get(key)
			break
		}
	}
	l.p.AddHint(at.Pos(), "the sender's settings show the secret, and how it is written", "%s", err)
}

// isVerifyKey leaves unknown keys to the decoder.
func isVerifyKey(key string) bool {
	return slices.Contains([]string{"secret", "secrets", "tolerance", "header", "prefix", "encoding", "algorithm", "organization"}, key)
}
