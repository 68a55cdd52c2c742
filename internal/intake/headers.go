package intake

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
)

// Names of entries in Inbound.Headers that intake writes for its relay. No HTTP header can have a name that begins with a
// colon, so no sender can forge them.
const (
	headerTime    = ":time"    // when the change happened, RFC 3339
	headerLocal   = ":local"   // the object's id in the system
	headerVersion = ":version" // the source's own version
	headerDeleted = ":deleted" // set: the object is gone
	headerKnown   = ":known"   // of a deletion without a document: the version that was known of the object last
	headerError   = ":error"   // set: the row cannot be read, and why; it is refused
)

// notStored are headers that say nothing about the delivery.
var notStored = []string{
	"accept", "accept-charset", "accept-encoding", "accept-language", "connection", "content-length", "content-encoding",
	"expect", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "via",
	"traceparent", "tracestate", "proxy-connection",
}

// credentials are parts of names of headers that may carry them.
var credentials = []string{"authorization", "cookie", "token", "secret", "api-key", "apikey", "password", "session", "signature", "hmac", "credential"}

const maxHeaderValue = 4 << 10

// storedHeaders are the headers that header() may ask for later, under lower-case names: no credentials, nothing that belongs
// to the connection.
func storedHeaders(h http.Header, private []string, extra map[string]string) map[string]string {
	out := make(map[string]string, len(h)+len(extra))
	for name, values := range h {
		name = strings.ToLower(name)
		if slices.Contains(notStored, name) || slices.Contains(private, name) || slices.ContainsFunc(credentials, func(c string) bool { return strings.Contains(name, c) }) {
			continue
		}
		value := strings.Join(values, ", ")
		if len(value) <= maxHeaderValue {
			out[name] = strings.ToValidUTF8(value, "\uFFFD")
		}
	}
	for name, value := range extra {
		out[name] = value
	}
	return out
}

// traceOf is the trace that the sender is in, or a new one.
func traceOf(given ...string) string {
	for _, t := range given {
		if validTrace(t) {
			return t
		}
	}
	var b [24]byte
	_, _ = rand.Read(b[:]) // never fails
	return "00-" + hex.EncodeToString(b[:16]) + "-" + hex.EncodeToString(b[16:]) + "-01"
}

// validTrace checks a W3C traceparent of version 00.
func validTrace(t string) bool {
	if len(t) != 55 || t[:3] != "00-" || t[35] != '-' || t[52] != '-' {
		return false
	}
	for i := 3; i < len(t); i++ {
		if i != 35 && i != 52 && (unhex(t[i]) > 15 || t[i] >= 'A' && t[i] <= 'F') {
			return false
		}
	}
	return strings.Trim(t[3:35], "0") != "" && strings.Trim(t[36:52], "0") != ""
}

const maxID = 200

// cleanID makes an id fit for logs, headers and indexes: one that is too long or not printable is replaced by its digest, so
// that equal ids stay equal.
func cleanID(id string) string {
	id = strings.TrimSpace(id)
	if len(id) <= maxID && utf8.ValidString(id) && !strings.ContainsFunc(id, func(c rune) bool { return !unicode.IsPrint(c) }) {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// mintID is an id for what came without one; later ones sort behind earlier ones.
func mintID() string {
	id, err := uuid.NewV7()
	if err != nil { // the system has no randomness; crypto/rand has ended the process before
		panic(err)
	}
	return id.String()
}
