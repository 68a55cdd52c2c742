package webhook

import (
	"net/http"
	"slices"
	"strings"
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
