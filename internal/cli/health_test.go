package cli

import (
	"bytes"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The hub's own program asks for a container whether the hub lives: over TLS too, and without a token.
func TestHealth(t *testing.T) {
	hub := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != "":
			t.Error("a token was sent")
		case r.URL.Path == "/healthz":
			_, _ = w.Write([]byte(`{"status":"ok"}`))
		default:
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(`{"title":"no","status":503,"detail":"the store does not answer"}`))
		}
	})
	plain, secure := httptest.NewServer(hub), httptest.NewTLSServer(hub)
	defer plain.Close()
	defer secure.Close()
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }))
	defer other.Close()
	gone := httptest.NewServer(hub)
	gone.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"health", "--url", plain.URL}, 0, "ok\n"},
		{[]string{"health", "--url", plain.URL, "--output", "json"}, 0, `"status": "ok"`},
		{[]string{"health", "--ready", "--url", plain.URL}, 1, "the store does not answer"},
		{[]string{"health", "--url", secure.URL}, 0, "ok\n"},
		{[]string{"health", "--url", secure.URL, "--ca", ca}, 0, "ok\n"},
		{[]string{"health", "--url", other.URL}, 1, "something else than a hub"},
		{[]string{"health", "--url", gone.URL}, 3, "no hub answers"},
		{[]string{"health", "--url", secure.URL, "--ca", "none.pem"}, 2, "--ca"},
		// Any other command believes what it is told, and so wants to know by whom.
		{[]string{"status", "--url", secure.URL}, 3, "give the authority of its certificate with --ca"},
		{[]string{"status", "--url", secure.URL, "--ca", ca, "--token", ""}, 1, "the store does not answer"},
	} {
		var out bytes.Buffer
		if code := Main(t.Context(), tt.args, &out, &out); code != tt.code || !strings.Contains(out.String(), tt.want) {
			t.Errorf("%v: %d %s", tt.args, code, out.String())
		}
	}
}

// TestSpokenToInTheClear: who forgets the s of https:// is told so.
func TestSpokenToInTheClear(t *testing.T) {
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	at := strings.TrimPrefix(s.URL, "https://")
	for _, args := range [][]string{{"status"}, {"health"}} {
		code, out, errs := command(t, append(args, "--url", "http://"+at)...)
		if code == 0 || !strings.Contains(errs, "One with http.tls is at https://"+at) {
			t.Errorf("%v: %d %s%s", args, code, out, errs)
		}
	}
}
