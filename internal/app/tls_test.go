package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
)

// certificate writes a certificate of a name and its key into the project.
func (p *project) certificate(file, name string) {
	p.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		p.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		p.t.Fatal(err)
	}
	p.write("configs/"+file+".crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	p.write("configs/"+file+".key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
}

// A reload names other certificates for listeners that have some: connections that are made from then on get them, those that there are go on. Files that are no pair change nothing; to turn TLS off takes a restart.
func TestReloadOfCertificates(t *testing.T) {
	p := newProject(t, newTarget(t).URL)
	p.certificate("first", "first")
	p.certificate("second", "second")
	p.edit("configs/waybill.yaml", "http: {listen: 127.0.0.1:0}", "http: {listen: 127.0.0.1:0, tls: {cert: first.crt, key: first.key}}")
	p.edit("configs/waybill.yaml", "hooks: {listen: 127.0.0.1:0}", "hooks: {listen: 127.0.0.1:0, tls: {cert: first.crt, key: first.key}}")
	hub := p.start(io.Discard)
	dial := func(at string) *tls.Conn {
		t.Helper()
		c, err := tls.Dial("tcp", strings.TrimPrefix(at, "https://"), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	shown := func(at string) string { return dial(at).ConnectionState().PeerCertificates[0].Subject.CommonName }
	is := func(want string) {
		t.Helper()
		if api, hooks := shown(hub.URL()), shown(hub.HooksURL()); api != want || hooks != want {
			t.Fatalf("the listeners prove themselves by %s and %s, want %s", api, hooks, want)
		}
	}
	is("first")
	old := dial(hub.URL())
	p.edit("configs/waybill.yaml", "cert: first.crt, key: first.key}}\nhooks", "cert: second.crt, key: first.key}}\nhooks")
	var bad *api.BadFiles
	if _, err := hub.Reload(t.Context(), "ann"); !errors.As(err, &bad) {
		t.Fatalf("files that are no pair: %v", err)
	}
	is("first")
	p.edit("configs/waybill.yaml", "cert: second.crt, key: first.key}}\nhooks", "cert: second.crt, key: second.key}}\nhooks")
	p.edit("configs/waybill.yaml", "cert: first.crt, key: first.key", "cert: second.crt, key: second.key")
	if _, err := hub.Reload(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}
	is("second")
	if _, err := io.WriteString(old, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 12)
	if _, err := io.ReadFull(old, head); err != nil || string(head) != "HTTP/1.1 200" {
		t.Errorf("a connection from before: %s %v", head, err)
	}
	if st, err := hub.Status(t.Context()); err != nil || len(st.Access.Certificates) != 2 || !strings.HasSuffix(st.Access.Certificates[0].File, "second.crt") {
		t.Errorf("%+v %v", st.Access.Certificates, err)
	}
	p.edit("configs/waybill.yaml", ", tls: {cert: second.crt, key: second.key}}\nhooks", "}\nhooks")
	var restart *api.NeedsRestart
	if _, err := hub.Reload(t.Context(), "ann"); !errors.As(err, &restart) || strings.Join(restart.Settings, " ") != "http.tls" {
		t.Errorf("TLS turned off: %v", err)
	}
}
