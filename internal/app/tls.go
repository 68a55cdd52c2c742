package app

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// brokerTLS is the connection's encryption as the plan wants it; nil: none.
func brokerTLS(c *config.TLS) (*tls.Config, error) {
	if c == nil {
		return nil, nil
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: c.Insecure}
	if c.CA != "" {
		pem, err := strictyaml.ReadPath(c.CA, strictyaml.MaxFile)
		if err != nil {
			return nil, fmt.Errorf("broker.kafka.tls.ca: %w", err)
		}
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("broker.kafka.tls.ca: %s holds no PEM certificate", c.CA)
		}
	}
	if c.Cert == "" {
		return out, nil
	}
	cert, err := strictyaml.ReadPath(c.Cert, strictyaml.MaxFile)
	if err != nil {
		return nil, fmt.Errorf("broker.kafka.tls.cert: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, []byte(c.Key.Reveal()))
	if err != nil {
		// The error's text may quote the key.
		return nil, errors.New("broker.kafka.tls: cert and key do not fit together, or are not PEM")
	}
	out.Certificates = []tls.Certificate{pair}
	return out, nil
}
