package kafkaauth

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/strictyaml"
)

func read(t *testing.T, yaml string) (*TLS, *strictyaml.Problems) {
	t.Helper()
	p := &strictyaml.Problems{}
	n := strictyaml.Parse("waybill.yaml", []byte(yaml), p)[0]
	out := &TLS{}
	n.Decode(out, p)
	out.Check(n, p)
	return out, p
}

// TestTLS: what is wrong with a file or a pair says which setting it is, and shows no key.
func TestTLS(t *testing.T) {
	if c, err := (*TLS)(nil).Config(); c != nil || err != nil {
		t.Errorf("%v, %v", c, err)
	}
	dir := t.TempDir()
	text := filepath.Join(dir, "text.pem")
	if err := os.WriteFile(text, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("A_KEY", "-----BEGIN PRIVATE KEY-----\nsecret-pa55word\n-----END PRIVATE KEY-----")
	for yaml, want := range map[string]struct{ key, text string }{
		"insecure: true":             {"", ""},
		"ca: " + dir + "/absent.pem": {"ca", "no such file"},
		"ca: " + text:                {"ca", "holds no PEM certificate"},
		"cert: " + dir + "/absent.pem\nkey: ${env:A_KEY}": {"cert", "no such file"},
		"cert: " + text + "\nkey: ${env:A_KEY}":           {"", "do not fit together"},
	} {
		set, p := read(t, yaml)
		if err := p.Err(); err != nil {
			t.Fatal(err)
		}
		c, err := set.Config()
		var e *Error
		switch {
		case want.text == "":
			if err != nil || !c.InsecureSkipVerify {
				t.Errorf("%s: %v", yaml, err)
			}
		case !errors.As(err, &e) || e.Key != want.key || !strings.Contains(err.Error(), want.text) || strings.Contains(err.Error(), "pa55word"):
			t.Errorf("%s: %v", yaml, err)
		}
	}
	if _, p := read(t, "cert: x.pem"); p.Err() == nil || !strings.Contains(p.Err().Error(), "cert and key go together") {
		t.Errorf("%v", p.Err())
	}
	if s := (&SASL{Mechanism: "scram-sha-256"}).Protocol(); s != "SCRAM-SHA-256" {
		t.Error(s)
	}
}
