package sftp

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/crypto/ssh"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/connector/connectortest"
	"github.com/waybill-hub/waybill/internal/drop/droptest"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/strictyaml"
	"github.com/waybill-hub/waybill/internal/systemtest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if err := systemtest.StopOpenSSH(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func TestProblems(t *testing.T) { connectortest.Problems(t, Kind{}, "testdata/problems") }

func TestDrop(t *testing.T) { droptest.Run(t, startDouble(t).place) }

func TestConformance(t *testing.T) { conformance(t, startDouble(t)) }

func TestBreaks(t *testing.T) { testBreaks(t, startDouble) }

func TestHostKeys(t *testing.T) { testHostKeys(t, startDouble(t)) }

// The same on OpenSSH.

func TestOpenSSHDrop(t *testing.T) { droptest.Run(t, startOpenSSH(t).place) }

func TestOpenSSHConformance(t *testing.T) { conformance(t, startOpenSSH(t)) }

func TestOpenSSHBreaks(t *testing.T) { testBreaks(t, startOpenSSH) }

func TestOpenSSHHostKeys(t *testing.T) { testHostKeys(t, startOpenSSH(t)) }

func conformance(t *testing.T, r *remote) {
	droptest.Conformance(t, r.place, func(p droptest.Place, objects string) droptest.Trouble {
		with := func(system, objects string) func(testing.TB, *connector.Settings) {
			return func(t testing.TB, s *connector.Settings) {
				*s = droptest.SettingsOf(t, system+"objects: "+objects, r.env())
			}
		}
		system := func(old, now string) string {
			out := strings.Replace(p.System, old, now, 1)
			if out == p.System {
				t.Fatalf("%q is not in the settings", old)
			}
			return out
		}
		_, port, _ := net.SplitHostPort(r.direct)
		dead := system("port: "+port, "port: 1")
		stranger, _ := newKey(t)
		otherHost := system(ssh.FingerprintSHA256(r.host), ssh.FingerprintSHA256(stranger.PublicKey()))
		out := droptest.Trouble{
			Secrets: []string{password, strings.Split(r.key, "\n")[1]},
			Faults: []connectortest.Fault{
				{Name: "nobody listens", Want: fault.Unavailable, Arrange: with(dead, objects)},
				{Name: "another host key", Want: fault.Auth, Arrange: with(otherHost, objects)},
				{Name: "no folder", Want: fault.Unavailable, Arrange: with(system("path: "+p.Dir, "path: "+p.Dir+"/none"), objects)},
			},
			Probes: []connectortest.Probe{
				{Name: "an empty folder"},
				{Name: "files in it", Arrange: func(t testing.TB, _ *connector.Settings) { p.Side.Put(t, "x", "") }},
				{Name: "the folder is gone", Want: fault.Unavailable, Create: fault.Unavailable, Text: "none", Arrange: with(system("path: "+p.Dir, "path: "+p.Dir+"/none"), objects)},
				{Name: "the object's folder is gone", Want: fault.Unavailable, Create: fault.Unavailable, Text: "sub", Arrange: with(p.System, "{stock: {path: sub, "+objects[len("{stock: {"):])},
				{Name: "a file stands where the folder was", Want: fault.Unavailable, Create: fault.Unavailable, Text: "not a directory", Arrange: func(t testing.TB, _ *connector.Settings) {
					if err := errors.Join(os.RemoveAll(p.Dir), os.WriteFile(p.Dir, nil, 0o600)); err != nil {
						t.Fatal(err)
					}
				}},
				{Name: "nobody listens", Want: fault.Unavailable, Create: fault.Unavailable, Text: "refused", Arrange: with(dead, objects)},
				{Name: "another host key", Want: fault.Auth, Create: fault.Auth, Text: "is not the one that the settings name", Arrange: with(otherHost, objects)},
			},
		}
		if r.password {
			wrong := system("${env:PASSWORD}", "${env:WRONG}")
			out.Secrets = append(out.Secrets, "not-the-password")
			out.Probes = append(out.Probes, connectortest.Probe{Name: "another password", Want: fault.Auth, Create: fault.Auth, Text: "does not let hub in", Arrange: with(wrong, objects)})
		}
		return out
	})
}

func opened(s connector.Settings) *settings {
	var p strictyaml.Problems
	set := read(s, &p)
	set.login(s.Node, &p)
	set.pins(s.Node, &p)
	return set
}

// TestKeys: what is no key, or cannot be read, is told when the system is opened, and nothing of it is shown.
func TestKeys(t *testing.T) {
	_, plain := newKey(t)
	_, private, _ := ed25519.GenerateKey(rand.Reader)
	block, err := ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte("opens it"))
	if err != nil {
		t.Fatal(err)
	}
	locked := string(pem.EncodeToMemory(block))
	const base = "connector: sftp\nhost: h\nuser: u\nkey: ${env:KEY}\nhost-keys: [\"SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"]\nobjects: {stock: {}}\n"
	for name, c := range map[string]struct{ key, passphrase, want string }{
		"a key":               {plain, "", ""},
		"without its end":     {strings.TrimSpace(plain), "", ""},
		"locked":              {locked, "opens it", ""},
		"locked, no phrase":   {locked, "", "it is encrypted, and there is no key-passphrase"},
		"locked, another one": {locked, "opens another", "it cannot be read with this passphrase"},
		"no key":              {"secret words", "", "it is no private key that can be read"},
	} {
		yaml := base
		if c.passphrase != "" {
			yaml += "key-passphrase: ${env:PHRASE}\n"
		}
		sys, err := Kind{}.Open(t.Context(), droptest.SettingsOf(t, yaml, droptest.Env{"KEY": c.key, "PHRASE": c.passphrase}))
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), c.key) || strings.Contains(err.Error(), "opens")) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if err == nil {
			if err := sys.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func ecdsaKey(t testing.TB) ssh.PublicKey {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// testHostKeys: a server is talked to by the keys that it may have alone, however they are given.
func testHostKeys(t *testing.T, r *remote) {
	dir := t.TempDir()
	stranger, _ := newKey(t)
	file := func(name, line string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	at := "[127.0.0.1]" + r.direct[strings.LastIndex(r.direct, ":"):]
	line := func(k ssh.PublicKey) string { return at + " " + strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k))) }
	public := func(k ssh.PublicKey) string { return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k))) }
	base := r.system(dir)
	pinned := fmt.Sprintf("host-keys: [%q]", ssh.FingerprintSHA256(r.host))
	for name, c := range map[string]struct {
		trust string
		want  fault.Kind
	}{
		"a fingerprint":              {pinned, fault.None},
		"one of two":                 {fmt.Sprintf("host-keys: [%q, %q]", ssh.FingerprintSHA256(stranger.PublicKey()), ssh.FingerprintSHA256(r.host)), fault.None},
		"a public key":               {fmt.Sprintf("host-keys: [%q]", public(r.host)), fault.None},
		"known_hosts":                {"known-hosts: " + file("known", line(r.host)), fault.None},
		"another fingerprint":        {fmt.Sprintf("host-keys: [%q]", ssh.FingerprintSHA256(stranger.PublicKey())), fault.Auth},
		"another public key":         {fmt.Sprintf("host-keys: [%q]", public(stranger.PublicKey())), fault.Auth},
		"another in known_hosts":     {"known-hosts: " + file("known", line(stranger.PublicKey())), fault.Auth},
		"it is revoked":              {"known-hosts: " + file("known", line(r.host)+"\n@revoked * "+public(r.host)), fault.Auth},
		"a key of a kind it has not": {"known-hosts: " + file("known", at+" "+public(ecdsaKey(t))), fault.Auth},
	} {
		t.Run(name, func(t *testing.T) {
			s := droptest.SettingsOf(t, strings.Replace(base, pinned, c.trust, 1)+"objects: {stock: {}}", r.env())
			sys, err := Kind{}.Open(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			defer sys.Close()
			if err := sys.Probe(t.Context()); fault.KindOf(err) != c.want {
				t.Errorf("%v (%v), want %v", err, fault.KindOf(err), c.want)
			}
		})
	}
	t.Run("not in known_hosts", func(t *testing.T) {
		var p strictyaml.Problems
		Kind{}.Check(droptest.SettingsOf(t, strings.Replace(base, pinned, "known-hosts: "+file("known", "other.example.com "+public(r.host)), 1)+"objects: {stock: {}}", r.env()), &p)
		if err := p.Err(); err == nil || !strings.Contains(err.Error(), "it has no key of "+at) {
			t.Errorf("%v", err)
		}
	})
}

// testBreaks: a transfer that breaks off is gone on with, and a call whose answer is lost is not made twice.
func testBreaks(t *testing.T, start func(testing.TB) *remote) {
	const size = 4 << 20
	t.Run("download", func(t *testing.T) {
		r := start(t).through(t)
		d := droptest.New(t, r.place(t), "{format: jsonl, ready: {when: renamed}}")
		row := `{"x":"` + strings.Repeat("a", 1000) + "\"}\n"
		d.Put(t, "a.jsonl", strings.Repeat(row, size/len(row)))
		r.proxy.cutDown.Store(3 << 20)
		files, _ := d.Files()
		n := 0
		for _, err := range d.Read(t.Context(), "stock", files[0], 0) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n != size/len(row) {
			t.Errorf("%d rows of %d", n, size/len(row))
		}
		if got := r.proxy.down.Load(); got > size+size/4 || r.proxy.conns.Load() != 2 {
			t.Errorf("%d bytes came over %d connections for a file of %d", got, r.proxy.conns.Load(), size)
		}
	})
	t.Run("upload", func(t *testing.T) {
		r := start(t).through(t)
		d := droptest.New(t, r.place(t), "{format: jsonl}")
		r.proxy.cutUp.Store(3 << 20)
		doc := `{"x":"` + strings.Repeat("a", size) + `"}`
		res, err := d.Deliver("e-1", doc)
		if err != nil {
			t.Fatal(err)
		}
		if d.Content(t, res.Local) != doc+"\n" || d.List(t, ".") != res.Local {
			t.Errorf("%d bytes, in the drop: %s", len(d.Content(t, res.Local)), d.List(t, "."))
		}
		if got := r.proxy.up.Load(); got > size+size/4+1<<20 || r.proxy.conns.Load() != 2 {
			t.Errorf("%d bytes went over %d connections for a file of %d", got, r.proxy.conns.Load(), size)
		}
	})
	// A connection breaks after every so many bytes of a whole life: written, listed, claimed, read, moved.
	t.Run("anywhere", func(t *testing.T) {
		r := start(t).through(t)
		reached := true
		for at := int64(1); reached; at += 409 {
			d := droptest.New(t, r.place(t), "{claim: mine, format: jsonl, ready: {when: renamed}}")
			if at%2 == 0 {
				r.proxy.cutDown.Store(r.proxy.down.Load() + at)
			} else {
				r.proxy.cutUp.Store(r.proxy.up.Load() + at)
			}
			if res, err := d.Deliver("e-1", `{"a":1}`); err != nil || d.Content(t, res.Local) != "{\"a\":1}\n" {
				// What breaks while the connection is being made is the caller's to try again.
				if fault.KindOf(err) != fault.Unavailable || d.List(t, ".") != "" {
					t.Fatalf("broken at %d: %v, in the drop: %q", at, err, d.List(t, "."))
				}
				continue
			}
			files, names := d.Files()
			if names != "stock-e-1.jsonl" || d.Rows(files[0], 0) != "1 @1: {\"a\":1}\n" {
				t.Fatalf("broken at %d: %q", at, names)
			}
			if err := d.Done(t.Context(), "stock", files[0], nil); err != nil {
				t.Fatalf("broken at %d: %v", at, err)
			}
			if d.List(t, ".") != "" || d.List(t, "done") != "stock-e-1.jsonl" {
				t.Fatalf("broken at %d: %q, %q", at, d.List(t, "."), d.List(t, "done"))
			}
			reached = r.proxy.cutUp.Swap(0)+r.proxy.cutDown.Swap(0) == 0
		}
	})
	t.Run("no folder", func(t *testing.T) {
		// What the server says is no connection that breaks: it is asked once.
		r := start(t).through(t)
		p := r.place(t)
		if err := errors.Join(os.RemoveAll(p.Dir), os.WriteFile(p.Dir, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		d := droptest.New(t, p, "{}")
		if err := d.Probe(t.Context()); err == nil || strings.Contains(err.Error(), "breaks off") || r.proxy.conns.Load() != 1 {
			t.Errorf("%v, over %d connections", err, r.proxy.conns.Load())
		}
	})
	t.Run("silence", func(t *testing.T) {
		// Somebody listens, and says nothing.
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		r := start(t)
		r.addr = l.Addr().String()
		sys, err := Kind{}.Open(t.Context(), droptest.SettingsOf(t, r.system(t.TempDir())+"timeout: 50ms\nobjects: {stock: {}}", r.env()))
		if err != nil {
			t.Fatal(err)
		}
		defer sys.Close()
		if err := sys.Probe(t.Context()); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("%v", err)
		}
	})
	t.Run("ended", func(t *testing.T) {
		r := start(t).through(t)
		d := droptest.New(t, r.place(t), "{ready: {when: renamed}}")
		d.Put(t, "a.csv", "sku\n1\n")
		ctx, cancel := context.WithCancel(t.Context())
		folder, err := newServer(opened(d.Settings(t, "{stock: {}}"))).Folder(ctx, ".")
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		if _, err := folder.Stat("a.csv"); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("a call goes on after its caller has gone: %v", err)
		}
		if err := folder.Close(); err != nil {
			t.Error(err)
		}
	})
}
