// Package mailer connects to mail servers, for everything of the hub that sends mail.
package mailer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/textproto"
	"strings"
	"time"

	"github.com/wneessen/go-mail"

	"github.com/waybill-hub/waybill/internal/drop"
	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// How a connection is encrypted.
const (
	StartTLS = "starttls" // before anything is said; a server that cannot gets nothing
	Implicit = "implicit" // from its first byte
	None     = "none"     // not at all: of this machine alone
)

// Server is a mail server that takes what is sent.
type Server struct {
	// Host is its name, which its certificate must have.
	Host string
	Port int
	TLS  string // StartTLS, Implicit or None
	// Roots are the certificates that are trusted; nil: those of this machine.
	Roots    *x509.CertPool
	User     string // empty: none is asked for
	Password strictyaml.Secret
	// Timeout is for connecting, and how long the server may say nothing.
	Timeout time.Duration
}

// Connect gives a connection, encrypted as the settings say, and logged in where there is a user. It breaks when ctx ends; end ends it in order. Harmless gives the
// error's text.
func (s *Server) Connect(ctx context.Context) (_ *mail.Client, end func(), _ error) {
	stop := func() bool { return true }
	conf := func() *tls.Config {
		return &tls.Config{ServerName: s.Host, RootCAs: s.Roots, MinVersion: tls.VersionTLS12}
	}
	policy := mail.TLSMandatory
	if s.TLS == None {
		policy = mail.NoTLS
	}
	options := []mail.Option{
		mail.WithPort(s.Port), mail.WithTimeout(s.Timeout), mail.WithTLSPolicy(policy), mail.WithoutNoop(), mail.WithTLSConfig(conf()),
		mail.WithDialContextFunc(func(dialing context.Context, network, addr string) (net.Conn, error) {
			c, err := httpclient.Dialer().DialContext(dialing, network, addr)
			if err != nil {
				return nil, err
			}
			raw := c
			stop = context.AfterFunc(ctx, func() { _ = raw.Close() }) // the library listens to it while it connects, and not while it waits for answers
			c = drop.Timed(c, s.Timeout)
			if s.TLS == Implicit {
				return tls.Client(c, conf()), nil
			}
			return c, nil
		}),
	}
	if s.TLS == Implicit {
		options = append(options, mail.WithSSL())
	}
	if s.User != "" {
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(s.User), mail.WithPassword(s.Password.Reveal()))
	}
	c, err := mail.NewClient(s.Host, options...)
	if err != nil {
		return nil, nil, err
	}
	if err := c.DialWithContext(ctx); err != nil {
		stop()
		return nil, nil, err
	}
	return c, func() {
		_ = c.Close() // what counts is what the server has said before
		stop()
	}, nil
}

// Harmless gives the text of a failure without the password, which a server may repeat.
func (s *Server) Harmless(err error) string {
	text := err.Error()
	if p := s.Password.Reveal(); p != "" {
		text = strings.ReplaceAll(text, p, "[secret]")
	}
	return text
}

// Denied reports whether a failure to connect says that the user may not.
func Denied(err error) bool {
	code := Code(err)
	return code == 530 || code == 534 || code == 535 || strings.Contains(err.Error(), "does not support SMTP AUTH")
}

// Code gives the code of a server's answer in a failure; 0: it has none.
func Code(err error) int {
	var f *mail.SendError
	if errors.As(err, &f) && f.ErrorCode() != 0 {
		return f.ErrorCode()
	}
	var p *textproto.Error
	if errors.As(err, &p) {
		return p.Code
	}
	return 0
}
