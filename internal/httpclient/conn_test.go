package httpclient

import (
	"context"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/fault"
)

func TestBaseURL(t *testing.T) {
	for _, bad := range []string{"", "crm.example", "ftp://crm.example", "https://u:p@crm.example", "https://crm.example/?a=1",
		"http://169.254.169.254/", "http://[::ffff:169.254.169.254]/", "http://[64:ff9b::a9fe:a9fe]", "http://0.0.0.0", "http://224.0.0.1", "http://100.100.100.200", "http://[fd00:ec2::254]"} {
		if u, err := BaseURL(bad); err == nil {
			t.Errorf("%s: accepted as %s", bad, u)
		}
	}
	for _, good := range []string{"http://127.0.0.1:8080", "https://10.0.0.3/api/", "http://[::1]:80/x"} {
		if _, err := BaseURL(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
}

// A name may lead anywhere: the address is looked at when the connection is made.
func TestDialGuard(t *testing.T) {
	d := Dialer()
	for _, addr := range []string{"169.254.169.254:80", "[fe80::1%lo]:80", "[::ffff:169.254.1.1]:80", "0.0.0.0:80"} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		conn, err := d.DialContext(ctx, "tcp", addr)
		cancel()
		if err == nil {
			conn.Close()
		}
		if !errors.Is(err, ErrAddress) {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

// TestAllowed: an address that must not be connected to is one in whatever form it is written.
func TestAllowed(t *testing.T) {
	for addr, want := range map[string]bool{
		"10.0.0.1": true, "127.0.0.1": true, "::1": true, "2001:db8::1": true, "2002:0a00:0001::1": true, "64:ff9b::10.0.0.1": true,
		"169.254.169.254": false, "::ffff:169.254.169.254": false, "2002:a9fe:a9fe::1": false, "64:ff9b::169.254.169.254": false, "fe80::1": false, "fd00:ec2::254": false, "100.100.100.200": false,
		"224.0.0.1": false, "ff02::1": false, "0.1.2.3": false, "::": false,
	} {
		if err := Allowed(netip.MustParseAddr(addr)); (err == nil) != want || err != nil && !errors.Is(err, ErrAddress) {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

func TestConnectionsAreKept(t *testing.T) {
	var conns atomic.Int32
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/fail" {
			w.WriteHeader(500)
		}
		io.WriteString(w, strings.Repeat("x", 5000))
	}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	srv.Start()
	defer srv.Close()
	c := client(t, Config{URL: srv.URL})
	for _, path := range []string{"a", "fail", "b", "fail", "c"} {
		_, _ = c.Do(t.Context(), Request{Method: "POST", Path: path, Body: []byte("{}")})
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections for five calls", n)
	}
	c.Close()
}

func TestTLS(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "{}") }))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	defer srv.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o644); err != nil {
		t.Fatal(err)
	}
	post := Request{Method: "POST", Path: "x", Body: []byte("{}")}
	stranger := client(t, Config{URL: srv.URL})
	if _, err := stranger.Do(t.Context(), post); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("a stranger's certificate: %v; nothing was sent", err)
	}
	known := client(t, Config{URL: srv.URL, TLS: TLS{CA: ca}.In(func(p string) string { return p })})
	if _, err := known.Do(t.Context(), post); err != nil {
		t.Errorf("a trusted certificate: %v", err)
	}
	for _, bad := range []TLS{{CA: "/nowhere"}, {CA: os.Args[0]}, {Cert: ca, Key: secret("no key")}} {
		if _, err := New(Config{URL: srv.URL, TLS: bad}); err == nil {
			t.Errorf("%+v: accepted", bad)
		}
	}
	srv.CloseClientConnections()
}
