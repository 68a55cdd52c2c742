// Package sftp is the connector for files on SFTP servers. The server's host key is always checked. A connection that breaks is made anew, and what it carried is gone on with
// where it ended.
package sftp

import (
	"context"
	"errors"
	"net"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/drop"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Kind is the connector kind "sftp".
type Kind struct{}

type settings struct {
	connector.Common `yaml:",inline"`
	Host             string            `yaml:"host,required" doc:"name or address of the server"`
	Port             int               `yaml:"port" default:"22" doc:"its port"`
	User             string            `yaml:"user,required" doc:"the user there"`
	Password         strictyaml.Secret `yaml:"password" doc:"the password; with a key, the server may ask for both"`
	Key              strictyaml.Secret `yaml:"key" doc:"the private key, such as ${file:keys/partner}: its text, in OpenSSH's form or PEM"`
	Passphrase       strictyaml.Secret `yaml:"key-passphrase" doc:"what the key is encrypted with"`
	KnownHosts       string            `yaml:"known-hosts" doc:"file with the server's host key, in OpenSSH's form; relative to the configuration file. It or host-keys is needed: a server whose key is neither there nor named is not talked to"`
	HostKeys         []string          `yaml:"host-keys" doc:"host keys that the server may have: fingerprints such as SHA256:…, or public keys such as ssh-ed25519 AAAA…"`
	Path             string            `yaml:"path" default:"." doc:"directory there; relative to where the user's session begins"`
	Timeout          time.Duration     `yaml:"timeout" default:"30s" doc:"for connecting and logging in, and how long the server may say nothing while something is asked of it"`
	Connections      int               `yaml:"connections" default:"2" doc:"how many at once; others wait"`
	Objects          drop.Objects      `yaml:"objects,required" doc:"the object types, by the name that flows use"`

	auth  []ssh.AuthMethod
	hosts *hosts
}

// Spec describes the settings.
func (Kind) Spec() connector.Spec {
	return connector.Spec{
		Kind:    "sftp",
		Summary: "Files on an SFTP server: CSV, JSON lines and others (docs/files.md)",
		Fields:  connector.Fields[settings](),
		Can:     drop.Abilities(),
	}
}

// Check reads the settings and adds every problem to p. What lies behind references is looked at when the system is opened: where files are only checked it may not be there.
func (Kind) Check(s connector.Settings, p *strictyaml.Problems) { read(s, p) }

// Describe tells of one object type what its settings say of the documents.
func (Kind) Describe(s connector.Settings, object string) connector.ObjectType {
	return read(s, nil).Objects.Describe(object)
}

// Reads are the files beside the configuration that the settings name.
func (Kind) Reads(s connector.Settings) []string { return read(s, nil).Objects.Reads(s) }

// Open makes the system ready. Nothing is asked of the server.
func (Kind) Open(_ context.Context, s connector.Settings) (connector.System, error) {
	var p strictyaml.Problems
	set := read(s, &p)
	set.login(s.Node, &p)
	set.pins(s.Node, &p)
	if err := p.Err(); err != nil {
		return nil, err
	}
	return drop.New(s, set.Objects, newServer(set)), nil
}

// read decodes and completes the settings; every problem goes to p.
func read(s connector.Settings, p *strictyaml.Problems) *settings {
	set := &settings{}
	if !s.Decode(set, p) {
		set.Objects.Complete(s, "claimed", p)
		return set
	}
	n := s.Node
	if set.Host == "" || strings.ContainsAny(set.Host, " /@") {
		p.AddHint(n.Get("host").Pos(), "write sftp.example.com, and what else there is to say at port and user", "host: %q is no name of a server", set.Host)
	}
	if set.Port < 1 || set.Port > 65535 {
		p.Add(n.Get("port").Pos(), "port: %d is none", set.Port)
	}
	if set.Connections < 1 {
		p.Add(n.Get("connections").Pos(), "connections: it must be above 0")
	}
	if n.Has("timeout") {
		connector.Positive(n.Get("timeout"), p)
	}
	if set.Password.Empty() && set.Key.Empty() {
		p.AddHint(n.Pos(), "give key: ${file:…} or password: ${env:…}", "sftp: there is neither a key nor a password")
	}
	if !set.Passphrase.Empty() && set.Key.Empty() {
		p.Add(n.KeyPos("key-passphrase"), "key-passphrase: there is no key")
	}
	set.trust(s, p)
	set.Path = path.Clean(set.Path)
	set.Objects.Complete(s, "claimed", p)
	return set
}

func (set *settings) addr() string { return net.JoinHostPort(set.Host, strconv.Itoa(set.Port)) }

// login reads what the user proves itself with.
func (set *settings) login(n strictyaml.Node, p *strictyaml.Problems) {
	if !set.Key.Empty() {
		signer, err := signerOf(set.Key.Reveal(), set.Passphrase.Reveal())
		if err != nil {
			p.AddHint(n.KeyPos("key"), "give a private key as ssh-keygen writes it", "key: %s", err)
			return
		}
		set.auth = append(set.auth, ssh.PublicKeys(signer))
	}
	if !set.Password.Empty() {
		password := set.Password.Reveal()
		set.auth = append(set.auth, ssh.Password(password), ssh.KeyboardInteractive(func(_, _ string, questions []string, _ []bool) ([]string, error) {
			out := make([]string, len(questions))
			for i := range out {
				out[i] = password
			}
			return out, nil
		}))
	}
}

// signerOf reads a private key. Its error shows nothing of it.
func signerOf(key, passphrase string) (ssh.Signer, error) {
	if !strings.HasSuffix(key, "\n") {
		key += "\n" // the end of a file may have been trimmed
	}
	if passphrase != "" {
		s, err := ssh.ParsePrivateKeyWithPassphrase([]byte(key), []byte(passphrase))
		if err != nil {
			return nil, errors.New("it cannot be read with this passphrase")
		}
		return s, nil
	}
	s, err := ssh.ParsePrivateKey([]byte(key))
	var missing *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &missing):
		return nil, errors.New("it is encrypted, and there is no key-passphrase")
	case err != nil:
		return nil, errors.New("it is no private key that can be read")
	}
	return s, nil
}

// trust reads the host keys.
func (set *settings) trust(s connector.Settings, p *strictyaml.Problems) {
	n := s.Node
	if (set.KnownHosts == "") == (len(set.HostKeys) == 0) {
		p.AddHint(n.Pos(), "ssh-keyscan prints the key; ask the partner for its fingerprint and compare", "sftp: exactly one of known-hosts and host-keys says which key the server has; its key is always checked")
		return
	}
	if set.KnownHosts != "" {
		h, err := fromFile(s.Path(set.KnownHosts), set.addr())
		var missing *os.PathError
		switch {
		case errors.As(err, &missing):
			p.Add(n.Get("known-hosts").Pos(), "known-hosts: %s cannot be read: %s", set.KnownHosts, missing.Err)
		case err != nil:
			p.Add(n.Get("known-hosts").Pos(), "known-hosts: %s", err)
		}
		set.hosts = h
		return
	}
	for i, text := range set.HostKeys {
		if at := n.Get("host-keys").Items()[i]; !strings.Contains(at.Text(), "${") {
			pin(&hosts{}, text, at, p)
		}
	}
}

// pins reads the host keys that the settings hold themselves.
func (set *settings) pins(n strictyaml.Node, p *strictyaml.Problems) {
	if len(set.HostKeys) == 0 {
		return
	}
	set.hosts = &hosts{}
	for i, text := range set.HostKeys {
		pin(set.hosts, text, n.Get("host-keys").Items()[i], p)
	}
}

func pin(h *hosts, text string, at strictyaml.Node, p *strictyaml.Problems) {
	if err := h.pin(text); err != nil {
		p.AddHint(at.Pos(), "write SHA256:… as ssh-keygen -l prints it, or ssh-ed25519 AAAA…", "host-keys: %s", err)
	}
}
