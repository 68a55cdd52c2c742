package access

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// issue writes a certificate of a name and its key.
func issue(t *testing.T, dir, name string, until time.Time) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: until.Add(-48 * time.Hour), NotAfter: until,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{name}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	write(t, cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	write(t, key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
	return cert, key
}

func write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A server proves itself by the newest certificate that its files held, without being started again; what cannot be used is told of, and the
// old one stays.
func TestCertificateFollowsItsFiles(t *testing.T) {
	dir, log := t.TempDir(), &bytes.Buffer{}
	now := time.Now()
	clock := lifecycle.NewManual(now)
	cert, key := issue(t, dir, "first", now.Add(time.Hour))
	c, err := LoadCertificate(cert, key, clock, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", c.Config())
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.NotFoundHandler(), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	go func() { _ = srv.Serve(l) }()
	defer srv.Close()
	shown := func(max uint16) string {
		conn, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: max})
		if err != nil {
			return err.Error()
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	if got := shown(tls.VersionTLS13); got != "first" {
		t.Error(got)
	}
	if got := shown(tls.VersionTLS11); !strings.Contains(got, "protocol version") {
		t.Errorf("TLS 1.1: %s", got)
	}
	issue(t, dir, "the second", now.Add(2*time.Hour))
	if got := shown(0); got != "first" {
		t.Errorf("looked at again at once: %s", got)
	}
	clock.Advance(lookEvery)
	if got := shown(0); got != "the second" {
		t.Errorf("after a change: %s", got)
	}
	write(t, key, []byte("half a key"))
	for range 3 {
		clock.Advance(lookEvery)
		if got := shown(0); got != "the second" {
			t.Errorf("with a broken key: %s", got)
		}
	}
	if _, until, why := c.State(); !strings.Contains(why, "tls.key holds no private key") || !until.Equal(now.Add(2*time.Hour).UTC().Truncate(time.Second)) {
		t.Errorf("until %s: %s", until, why)
	}
	if n := strings.Count(log.String(), "cannot be used"); n != 1 || strings.Contains(log.String(), "half a key") {
		t.Errorf("told %d times:\n%s", n, log)
	}
	issue(t, dir, "the third one", now.Add(-time.Minute))
	clock.Advance(lookEvery)
	if _, _, why := c.State(); !strings.Contains(why, "not valid any more") {
		t.Errorf("an old certificate: %q", why)
	}
	if got := shown(0); got != "the third one" {
		t.Errorf("afterwards: %s", got)
	}
}

func TestCertificateErrors(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	cert, key := issue(t, dir, "a", time.Now().Add(time.Hour))
	_, foreign := issue(t, other, "b", time.Now().Add(time.Hour))
	for want, files := range map[string][2]string{
		"no such file":                     {filepath.Join(dir, "none"), key},
		"key cannot be read":               {cert, filepath.Join(dir, "none")},
		"tls.key holds no certificate":     {key, key},
		"tls.crt holds no private key":     {cert, cert},
		foreign + " are no pair":           {cert, foreign},
		"the certificate cannot be read: ": {dir, key},
	} {
		_, err := LoadCertificate(files[0], files[1], lifecycle.Real(), slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
