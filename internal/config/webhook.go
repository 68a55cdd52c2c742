package config

import (
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/mapping"
	"github.com/waybill-hub/waybill/internal/strictyaml"
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
	// The body may hold many documents, so that no schema says what it looks like.
	w.DeliveryID = l.expression(n.Get("delivery-id"), mapping.ExprContext{Headers: true, Result: "string"})
	return w
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
	settings, known := schemeSettings[raw.Scheme]
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
	return v
}

// isVerifyKey leaves unknown keys to the decoder.
func isVerifyKey(key string) bool {
	return slices.Contains([]string{"secret", "secrets", "tolerance", "header", "prefix", "encoding", "algorithm", "organization"}, key)
}
