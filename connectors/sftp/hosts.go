package sftp

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/waybill-hub/waybill/internal/fault"
)

// hosts say which keys a server may have.
type hosts struct {
	// known judges a key by a known_hosts file; nil: the pins do.
	known        ssh.HostKeyCallback
	fingerprints []string
	keys         []ssh.PublicKey
	// families are the kinds of keys that are asked for, one after the other: a server with keys of several kinds shows the one that it is asked for.
	families [][]string
}

// every family of algorithms for host keys.
var every = [][]string{
	{ssh.KeyAlgoED25519},
	{ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521},
	{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256},
}

// fromFile reads a known_hosts file, and refuses one that has no key of the server.
func fromFile(file, addr string) (*hosts, error) {
	known, err := knownhosts.New(file)
	if err != nil {
		return nil, err
	}
	h := &hosts{known: known}
	// Which kinds of keys the file has is told by a key that it cannot have.
	var unknown *knownhosts.KeyError
	if err := known(addr, &net.TCPAddr{}, noKey{}); !errors.As(err, &unknown) || len(unknown.Want) == 0 {
		return nil, fmt.Errorf("it has no key of %s", knownhosts.Normalize(addr))
	}
	for _, k := range unknown.Want {
		h.ask(k.Key)
	}
	return h, nil
}

// ask adds the family of a key to what is asked for.
func (h *hosts) ask(key ssh.PublicKey) {
	for _, f := range every {
		if (slices.Contains(f, key.Type()) || key.Type() == ssh.KeyAlgoRSA && f[0] == ssh.KeyAlgoRSASHA512) &&
			!slices.ContainsFunc(h.families, func(g []string) bool { return g[0] == f[0] }) {
			h.families = append(h.families, f)
		}
	}
}

// pin adds a key that the server may have.
func (h *hosts) pin(text string) error {
	if sum, ok := strings.CutPrefix(text, "SHA256:"); ok {
		if raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(sum, "=")); err != nil || len(raw) != 32 {
			return fmt.Errorf("%q is no fingerprint", text)
		}
		h.fingerprints = append(h.fingerprints, "SHA256:"+strings.TrimRight(sum, "="))
		h.families = every
		return nil
	}
	key, _, _, rest, err := ssh.ParseAuthorizedKey([]byte(text))
	if err != nil || len(rest) > 0 {
		return fmt.Errorf("%.80q is neither a fingerprint nor a public key", text)
	}
	h.keys = append(h.keys, key)
	h.ask(key)
	if len(h.families) == 0 {
		return fmt.Errorf("keys of the kind %s are not taken", key.Type())
	}
	return nil
}

// check judges the key that a server shows.
func (h *hosts) check(addr string, remote net.Addr, key ssh.PublicKey) error {
	if h.known != nil {
		err := h.known(addr, remote, key)
		var wrong *knownhosts.KeyError
		var revoked *knownhosts.RevokedError
		switch {
		case errors.As(err, &wrong):
			return h.wrong(addr, key)
		case errors.As(err, &revoked):
			return &keyError{fault.New(fault.Auth, "the server at %s shows the host key %s %s, which known-hosts says is revoked: nothing was sent. Ask its operator for the one that it has now",
				addr, key.Type(), ssh.FingerprintSHA256(key))}
		}
		return err
	}
	shown := key.Marshal()
	if slices.Contains(h.fingerprints, ssh.FingerprintSHA256(key)) ||
		slices.ContainsFunc(h.keys, func(k ssh.PublicKey) bool { return string(k.Marshal()) == string(shown) }) {
		return nil
	}
	return h.wrong(addr, key)
}

func (h *hosts) wrong(addr string, key ssh.PublicKey) error {
	return &keyError{fault.New(fault.Auth, "the server at %s shows the host key %s %s, which is not the one that the settings name: nothing was sent. Ask its operator whether the key was changed",
		addr, key.Type(), ssh.FingerprintSHA256(key))}
}

// keyError is the failure of a host key.
type keyError struct{ err *fault.Error }

func (e *keyError) Error() string { return e.err.Error() }
func (e *keyError) Unwrap() error { return e.err }

// noKey is a key that nobody has.
type noKey struct{}

func (noKey) Type() string                        { return "none" }
func (noKey) Marshal() []byte                     { return nil }
func (noKey) Verify([]byte, *ssh.Signature) error { return errors.New("no key") }
