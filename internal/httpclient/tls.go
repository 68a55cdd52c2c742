package httpclient

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// TLS says whom to trust and how to prove oneself by a certificate. Its tags are those of connector.Settings.Decode. There
// is no way to trust everybody.
type TLS struct {
	CA   string            `yaml:"ca" doc:"PEM file of the certificates to trust, instead of the machine's"`
	Cert string            `yaml:"cert" doc:"PEM file of the hub's own certificate, where the system asks for one"`
	Key  strictyaml.Secret `yaml:"key" doc:"its key, in PEM"`
}

// In gives the settings with their files' paths resolved.
func (t TLS) In(resolve func(path string) string) TLS {
	t.CA, t.Cert = resolve(t.CA), resolve(t.Cert)
	return t
}

// Check adds a problem unless certificate and key are there together.
func (t *TLS) Check(n strictyaml.Node, p *strictyaml.Problems) {
	if n.Has("cert") != n.Has("key") {
		p.Add(n.Pos(), "tls: cert and key belong together")
	}
}

// config is nil where there is nothing to say.
func (t *TLS) config() (*tls.Config, error) {
	if t.CA == "" && t.Cert == "" {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.CA != "" {
		pem, err := strictyaml.ReadPath(t.CA, strictyaml.MaxFile)
		if err != nil {
			return nil, fmt.Errorf("tls: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls: %s holds no certificate in PEM", t.CA)
		}
	}
	if t.Cert != "" {
		pem, err := strictyaml.ReadPath(t.Cert, strictyaml.MaxFile)
		if err != nil {
			return nil, fmt.Errorf("tls: %w", err)
		}
		pair, err := tls.X509KeyPair(pem, []byte(t.Key.Reveal()))
		if err != nil {
			return nil, errors.New("tls: cert and key are no pair in PEM")
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
