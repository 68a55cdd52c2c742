// Package webhooktest sends as the senders of webhooks do, and reads what they are told.
package webhooktest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Key is the raw key of a Standard Webhooks sender.
const Key = "a-key-of-24-bytes-or-more"

// Secrets are texts as settings hold them.
func Secrets(texts ...string) []strictyaml.Secret {
	out := make([]strictyaml.Secret, len(texts))
	for i, s := range texts {
		out[i] = strictyaml.NewSecret(s)
	}
	return out
}

// Digest is an HMAC over the parts.
func Digest(algorithm func() hash.Hash, key string, parts ...string) []byte {
	h := hmac.New(algorithm, []byte(key))
	for _, p := range parts {
		h.Write([]byte(p))
	}
	return h.Sum(nil)
}

// Headers signs like a Standard Webhooks sender; key is the raw key.
func Headers(key, id string, at time.Time, body string) http.Header {
	stamp := fmt.Sprint(at.Unix())
	return http.Header{
		"Content-Type":      {"application/json"},
		"Webhook-Id":        {id},
		"Webhook-Timestamp": {stamp},
		"Webhook-Signature": {"v1," + base64.StdEncoding.EncodeToString(Digest(sha256.New, key, id, ".", stamp, ".", body))},
	}
}

// Delivery is a signed delivery to a path below /hooks/, as Key's sender makes it.
func Delivery(path, id string, at time.Time, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/hooks/"+path, strings.NewReader(body))
	r.Header = Headers(Key, id, at, body)
	return r
}

// Serve gives what a handler answers.
func Serve(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// Whsec is a key as Standard Webhooks writes it.
func Whsec(key string) string { return "whsec_" + base64.StdEncoding.EncodeToString([]byte(key)) }

// Answer is what a sender reads.
type Answer struct{ ID, Status, Detail string }

// WantAnswer fails the test unless the answer has the status and says what.
func WantAnswer(t *testing.T, w *httptest.ResponseRecorder, status int, what string) Answer {
	t.Helper()
	if w.Code != status || !strings.Contains(w.Body.String(), what) {
		t.Fatalf("answer %d %s, want %d with %q", w.Code, w.Body, status, what)
	}
	var a Answer
	media := w.Header().Get("Content-Type")
	switch {
	case strings.HasPrefix(media, "text/"):
		return a
	case status >= 400 && media != "application/problem+json", status < 300 && media != "application/json":
		t.Errorf("status %d as %s", status, media)
	}
	var raw map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &raw); err != nil {
		t.Fatalf("%s: %v", w.Body, err)
	}
	a.ID, _ = raw["id"].(string)
	a.Status, _ = raw["status"].(string)
	a.Detail, _ = raw["detail"].(string)
	if status >= 400 && raw["status"] != float64(status) {
		t.Errorf("problem %s", w.Body)
	}
	return a
}
