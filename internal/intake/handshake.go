package intake

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strconv"
	"strings"

	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Handshakes are answered before anything is verified, because the sender has nothing to sign yet. They store nothing and
// fetch nothing; all they give away is that the path exists.
//
//	scheme        request                                              for
//	hmac, bearer  GET ?hub.mode=subscribe&hub.verify_token=&hub.challenge=   Meta; the token must be an active secret
//	hmac, bearer  GET ?challenge=                                      Nylas, Dropbox and others
//	hmac, bearer  POST ?validationToken= with an empty body            Microsoft Graph, Dynamics 365 Business Central
//	cloudevents   OPTIONS with WebHook-Request-Origin                  CloudEvents webhooks (Azure Event Grid, SAP Event Mesh)
//	github        POST with X-GitHub-Event: ping                       answered after verification

const maxChallenge = 1024

// challenge echoes what a sender wants to read back.
func challenge(secrets []strictyaml.Secret) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		q := r.URL.Query()
		switch r.Method {
		case http.MethodGet:
			if q.Get("hub.mode") == "subscribe" {
				if !isSecret(q.Get("hub.verify_token"), secrets) {
					return false
				}
				return echo(w, q.Get("hub.challenge"))
			}
			return echo(w, q.Get("challenge"))
		case http.MethodPost:
			if r.ContentLength == 0 {
				return echo(w, q.Get("validationToken"))
			}
		}
		return false
	}
}

func isSecret(given string, secrets []strictyaml.Secret) bool {
	digest, found := sha256.Sum256([]byte(given)), 0
	for _, s := range secrets {
		want := sha256.Sum256([]byte(s.Reveal()))
		found |= subtle.ConstantTimeCompare(want[:], digest[:])
	}
	return found == 1
}

// echo answers with the challenge as plain text. Text that a browser could take for a page is not echoed.
func echo(w http.ResponseWriter, text string) bool {
	if text == "" || len(text) > maxChallenge || strings.ContainsFunc(text, func(c rune) bool {
		return c < ' ' || c > '~' || strings.ContainsRune(`<>"'&`, c)
	}) {
		return false
	}
	send(w, http.StatusOK, "text/plain; charset=utf-8", []byte(text))
	return true
}

// allowOrigin is the CloudEvents abuse-protection handshake: the origin that asks may deliver, at the rate that the source is
// set to. A callback that it names is not called.
func allowOrigin(w http.ResponseWriter, r *http.Request, rate float64) bool {
	origin := one(r.Header, "WebHook-Request-Origin")
	if r.Method != http.MethodOptions || origin == "" || len(origin) > 253 || strings.ContainsFunc(origin, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return false
	}
	h := w.Header()
	h.Set("WebHook-Allowed-Origin", origin)
	if asked := one(r.Header, "WebHook-Request-Rate"); asked != "" || rate > 0 {
		allowed := "*"
		if rate > 0 {
			allowed = strconv.Itoa(max(1, int(rate*60))) // per minute
		}
		h.Set("WebHook-Allowed-Rate", allowed)
	}
	h.Set("Allow", "POST, OPTIONS")
	w.WriteHeader(http.StatusOK)
	return true
}
