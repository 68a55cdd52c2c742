// Package kafkaauth is how a Kafka cluster is reached safely: the settings of TLS and of the login, the same for the hub's own broker and for systems
// that are Kafka clusters.
package kafkaauth

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// TLS is the encryption of connections.
type TLS struct {
	CA       string            `yaml:"ca" doc:"file with the certificates to trust, PEM"`
	Cert     string            `yaml:"cert" doc:"file with the hub's own certificate, PEM"`
	Key      strictyaml.Secret `yaml:"key" doc:"the certificate's private key, PEM"`
	Insecure bool              `yaml:"insecure" doc:"do not check the broker's certificate: for tests only"`
}

// SASL is a login.
type SASL struct {
	Mechanism string            `yaml:"mechanism" enum:"plain,scram-sha-256,scram-sha-512" default:"scram-sha-512" doc:"how to log in"`
	User      string            `yaml:"user,required" doc:"the user's name"`
	Password  strictyaml.Secret `yaml:"password,required" doc:"the password"`
}

// Protocol is the mechanism as Kafka's protocol writes it.
func (s *SASL) Protocol() string { return strings.ToUpper(s.Mechanism) }

// Check adds what is wrong with the settings themselves; n is the mapping of tls.
func (t *TLS) Check(n strictyaml.Node, p *strictyaml.Problems) {
	if t != nil && (t.Cert == "") != t.Key.Empty() && n.Has("cert") != n.Has("key") {
		p.Add(n.Pos(), "tls: cert and key go together")
	}
}

// Error is what is wrong with a file or a pair that the settings name. Key is the setting: ca or cert, empty where it is cert and key together.
type Error struct {
	Key string
	Err error
}

func (e *Error) Error() string {
	if e.Key == "" {
		return "tls: " + e.Err.Error()
	}
	return "tls." + e.Key + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// Config makes the connection's encryption, reading the files that the settings name; nil gives nil: none. An error is an *Error, and quotes no key.
func (t *TLS) Config() (*tls.Config, error) {
	if t == nil {
		return nil, nil
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: t.Insecure}
	if t.CA != "" {
		pem, err := strictyaml.ReadPath(t.CA, strictyaml.MaxFile)
		if err != nil {
			return nil, &Error{"ca", err}
		}
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(pem) {
			return nil, &Error{"ca", fmt.Errorf("%s holds no PEM certificate", t.CA)}
		}
	}
	if t.Cert == "" {
		return out, nil
	}
	cert, err := strictyaml.ReadPath(t.Cert, strictyaml.MaxFile)
	if err != nil {
		return nil, &Error{"cert", err}
	}
	pair, err := tls.X509KeyPair(cert, []byte(t.Key.Reveal()))
	if err != nil {
		// The error's text may quote the key.
		return nil, &Error{"", errors.New("cert and key do not fit together, or are not PEM")}
	}
	out.Certificates = []tls.Certificate{pair}
	return out, nil
}
