package webhook

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// Over TLS, too, a connection that does nothing makes room for others, and every answer says how it is to be treated.
func TestConnectionCapOverTLS(t *testing.T) {
	lent := httptest.NewTLSServer(nil)
	defer lent.Close()
	s, err := Listen(ServerConfig{Listen: "127.0.0.1:0", Connections: 1, TLS: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: lent.TLS.Certificates}})
	if err != nil {
		t.Fatal(err)
	}
	s.Handle(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }))
	defer func() {
		if err := s.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	for range 3 { // each keeps its connection
		c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}}, ForceAttemptHTTP2: true}}
		defer c.CloseIdleConnections()
		res, err := c.Get("https://" + s.Addr() + "/hooks/x")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || string(body) != "HTTP/1.1" {
			t.Errorf("%q %v", body, err)
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox"} {
			if got := res.Header.Get(name); got != want {
				t.Errorf("%s: %q", name, got)
			}
		}
	}
}
