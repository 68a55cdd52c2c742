package access

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// lookEvery is how often the files of a certificate are looked at, at most: at a connection that is made.
const lookEvery = 5 * time.Second

// Certificate is what a listener proves itself by. It follows its files: when they change, connections that are made from then on get the new
// one. Files that cannot be used change nothing, and are told of.
type Certificate struct {
	clock lifecycle.Clock
	log   Logger

	mu        sync.Mutex
	cert, key string
	now       *tls.Certificate
	looked    time.Duration
	seen      string // the files as they were looked at last
	why       string
}

// LoadCertificate reads a certificate and its key, both PEM files. Errors name the file, and never quote it.
func LoadCertificate(cert, key string, clock lifecycle.Clock, log Logger) (*Certificate, error) {
	c := &Certificate{cert: cert, key: key, clock: clock, log: log, looked: clock.Elapsed(), seen: marks(cert, key)}
	pair, err := loadPair(cert, key)
	if err != nil {
		return nil, err
	}
	c.now = pair
	return c, nil
}

// Config is what a server needs that proves itself by c.
func (c *Certificate) Config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current(), nil }}
}

// Move reads other files in the place of these, or the same ones at once. Nothing has changed until turn is called, from when on connections get what was read and those files are followed.
func (c *Certificate) Move(cert, key string) (turn func(), err error) {
	seen := marks(cert, key)
	pair, err := loadPair(cert, key)
	if err != nil {
		return nil, err
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.cert, c.key, c.now, c.seen, c.why, c.looked = cert, key, pair, seen, "", c.clock.Elapsed()
	}, nil
}

// State is the file, until when the certificate is valid, and what is wrong; why is empty where nothing is.
func (c *Certificate) State() (file string, notAfter time.Time, why string) {
	leaf := c.current().Leaf
	c.mu.Lock()
	why, file = c.why, c.cert
	c.mu.Unlock()
	if at := c.clock.Now(); why == "" && at.After(leaf.NotAfter) {
		why = "it is not valid any more: clients refuse it; renew it"
	}
	return file, leaf.NotAfter, why
}

// current looks at the files, once in a while, and gives the newest certificate that could be used.
func (c *Certificate) current() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.clock.Elapsed()
	if at-c.looked < lookEvery {
		return c.now
	}
	c.looked = at
	seen := marks(c.cert, c.key)
	if seen == c.seen {
		return c.now
	}
	pair, err := loadPair(c.cert, c.key)
	if err != nil {
		// Of two files one is always written first: that is looked at again, and told of when it stays so.
		if why := "newer files were not taken: " + err.Error(); why != c.why {
			c.why = why
			c.log.Warn("a certificate has changed and cannot be used; the old one stays", "cert", c.cert, "key", c.key, "error", err)
		}
		return c.now
	}
	c.now, c.seen, c.why = pair, seen, ""
	c.log.Info("a certificate was read anew", "cert", c.cert, "valid_until", pair.Leaf.NotAfter)
	return c.now
}

// marks tell whether files have changed: also those behind links, as Kubernetes changes them.
func marks(files ...string) string {
	var b strings.Builder
	for _, f := range files {
		if st, err := os.Stat(f); err == nil {
			fmt.Fprintf(&b, "%d %d;", st.Size(), st.ModTime().UnixNano())
		} else {
			b.WriteString("none;")
		}
	}
	return b.String()
}

func loadPair(cert, key string) (*tls.Certificate, error) {
	certPEM, err := os.ReadFile(cert)
	if err != nil {
		return nil, fmt.Errorf("the certificate cannot be read: %w", err)
	}
	keyPEM, err := os.ReadFile(key)
	if err != nil {
		return nil, fmt.Errorf("the certificate's key cannot be read: %w", err)
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	switch {
	case err == nil:
		return &pair, nil
	case !strings.Contains(string(certPEM), "CERTIFICATE"):
		return nil, fmt.Errorf("%s holds no certificate in PEM", cert)
	case !strings.Contains(string(keyPEM), "PRIVATE KEY"):
		return nil, fmt.Errorf("%s holds no private key in PEM", key)
	}
	return nil, errors.New(cert + " and " + key + " are no pair") // the library's text may quote the key
}
