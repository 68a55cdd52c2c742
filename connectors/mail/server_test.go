package mail

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/waybill-hub/waybill/internal/childtest"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/needtest"
	"github.com/waybill-hub/waybill/internal/porttest"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

const password = "pass-word-of-tests"

// server takes mails; it is a double in this process, or aiosmtpd.
type server struct {
	addr, ca string
	mails    func(t testing.TB) []string // as they came, with X-To before them
	double   *double
}

// system is the YAML of a system there, without its objects.
func (s *server) system() string {
	_, port, _ := net.SplitHostPort(s.addr)
	return fmt.Sprintf("connector: mail\nhost: 127.0.0.1\nport: %s\nca: %s\nuser: hub\npassword: ${env:PASSWORD}\nfrom: Sales <sales@acme.example>\n", port, s.ca)
}

type env map[string]string

func (e env) Env(name string) (string, bool) { v, ok := e[name]; return v, ok }

func (env) File(string) ([]byte, error) { return nil, os.ErrNotExist }

func settingsOf(t testing.TB, yaml string) connector.Settings {
	t.Helper()
	var p strictyaml.Problems
	docs := strictyaml.ParseWith("waybill.yaml", []byte(yaml), env{"PASSWORD": password, "WRONG": "not-the-password"}, &p)
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	return connector.Settings{Name: "post", Node: docs[0]}
}

// certificate makes one of 127.0.0.1 that signs itself, with its key.
func certificate(dir string) (cert, key string, pair tls.Certificate, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", pair, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "tests"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		return "", "", pair, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", "", pair, err
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	certText := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyText := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
	if err := errors.Join(os.WriteFile(cert, certText, 0o600), os.WriteFile(key, keyText, 0o600)); err != nil {
		return "", "", pair, err
	}
	pair, err = tls.X509KeyPair(certText, keyText)
	return cert, key, pair, err
}

// double is a server in this process.
type double struct {
	mu    sync.Mutex
	mails []string
	// data is what it answers to a mail, instead of taking it; nil: it takes it. With breakOff it ends the connection once the mail is there, without an answer.
	data     error
	breakOff bool
	// silent: a login is not answered until it is closed; asked is called first.
	silent chan struct{}
	asked  func()
}

func startDouble(t testing.TB, plain bool) *server {
	t.Helper()
	cert, _, pair, err := certificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	d := &double{}
	s := smtp.NewServer(d)
	s.Domain, s.ErrorLog = "127.0.0.1", quiet{}
	s.AllowInsecureAuth = plain
	if !plain {
		s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() { _ = s.Serve(l) })
	t.Cleanup(func() {
		_ = s.Close()
		_ = l.Close() // a server that is closed before it has begun knows nothing of it
		running.Wait()
	})
	return &server{addr: l.Addr().String(), ca: cert, double: d, mails: func(testing.TB) []string {
		d.mu.Lock()
		defer d.mu.Unlock()
		return append([]string(nil), d.mails...)
	}}
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

func (d *double) NewSession(c *smtp.Conn) (smtp.Session, error) { return &session{d: d, c: c}, nil }

type session struct {
	d  *double
	c  *smtp.Conn
	to []string
	in bool
}

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, given string) error {
		if s.d.silent != nil {
			s.d.asked()
			<-s.d.silent
		}
		if user != "hub" || given != password {
			return smtp.ErrAuthFailed
		}
		s.in = true
		return nil
	}), nil
}

func (s *session) Reset()        { s.to = nil }
func (s *session) Logout() error { return nil }

func (s *session) Mail(string, *smtp.MailOptions) error {
	if !s.in {
		return smtp.ErrAuthRequired
	}
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	switch {
	case strings.HasPrefix(to, "nobody@"):
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
	case strings.HasPrefix(to, "later@"):
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "come again"}
	}
	s.to = append(s.to, to)
	return nil
}

func (s *session) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	if s.d.data != nil {
		return s.d.data
	}
	s.d.mails = append(s.d.mails, "X-To: "+strings.Join(s.to, ", ")+"\r\n"+string(b))
	if s.d.breakOff {
		_ = s.c.Conn().Close()
	}
	return nil
}

var aiosmtpd struct {
	once    sync.Once
	child   *childtest.Child
	addr    string
	dir, ca string
	missing string
	err     error
}

const aiosmtpdVersion = "1.4.6"

// startAiosmtpd starts PyPI's aiosmtpd once for all tests.
func startAiosmtpd(t testing.TB) *server {
	t.Helper()
	needtest.Systems(t, "python3 with venv")
	aiosmtpd.once.Do(func() { aiosmtpd.err = runAiosmtpd() })
	if aiosmtpd.missing != "" {
		needtest.Missing(t, "aiosmtpd: %s", aiosmtpd.missing)
	}
	if aiosmtpd.err != nil {
		t.Fatal(aiosmtpd.err)
	}
	files := func(t testing.TB) []string {
		names, err := filepath.Glob(filepath.Join(aiosmtpd.dir, "mails", "*.eml"))
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	for _, name := range files(t) { // those of the tests before
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	return &server{addr: aiosmtpd.addr, ca: aiosmtpd.ca, mails: func(t testing.TB) (out []string) {
		for _, name := range files(t) {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, string(b))
		}
		return out
	}}
}

func runAiosmtpd() error {
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	venv := filepath.Join(cache, "waybill", "aiosmtpd-"+aiosmtpdVersion)
	if _, err := os.Stat(filepath.Join(venv, ".complete")); err != nil {
		for _, args := range [][]string{{"python3", "-m", "venv", "--clear", venv}, {filepath.Join(venv, "bin", "pip"), "install", "-q", "aiosmtpd==" + aiosmtpdVersion}} {
			if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
				aiosmtpd.missing = fmt.Sprintf("%s: %v: %.300s", args[0], err, out)
				return nil
			}
		}
		if err := os.WriteFile(filepath.Join(venv, ".complete"), nil, 0o600); err != nil {
			return err
		}
	}
	if aiosmtpd.dir, err = os.MkdirTemp("", "aiosmtpd-"); err != nil {
		return err
	}
	mails := filepath.Join(aiosmtpd.dir, "mails")
	if err := os.Mkdir(mails, 0o700); err != nil {
		return err
	}
	cert, key, _, err := certificate(aiosmtpd.dir)
	if err != nil {
		return err
	}
	if aiosmtpd.addr, err = porttest.Addr(); err != nil {
		return err
	}
	aiosmtpd.ca = cert
	_, port, _ := net.SplitHostPort(aiosmtpd.addr)
	cmd := exec.Command(filepath.Join(venv, "bin", "python"), "../../internal/test/systems/smtp/server.py", port, cert, key, mails, "hub", password)
	if aiosmtpd.child, err = childtest.Start("aiosmtpd", syscall.SIGTERM, cmd); err != nil {
		return err
	}
	return aiosmtpd.child.Await(30*time.Second, func(ctx context.Context) error {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", aiosmtpd.addr)
		if err == nil {
			err = c.Close()
		}
		return err
	})
}

func stopAiosmtpd() error {
	if aiosmtpd.child == nil {
		return nil
	}
	return errors.Join(aiosmtpd.child.Stop(), os.RemoveAll(aiosmtpd.dir))
}
