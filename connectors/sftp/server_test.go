package sftp

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/waybill-hub/waybill/internal/drop/droptest"
	"github.com/waybill-hub/waybill/internal/systemtest"
)

const password = "pass-word-of-tests"

// remote is a server for tests: a double in this process, or OpenSSH.
type remote struct {
	addr, user string
	host       ssh.PublicKey // its key
	key        string        // a private key that is let in
	password   bool
	direct     string // its address without the proxy
	proxy      *proxy
}

// newKey makes a key, and its text.
func newKey(t testing.TB) (ssh.Signer, string) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer, string(pem.EncodeToMemory(block))
}

// startDouble starts a server in this process. Its files are those of the machine, and its session begins in the root.
func startDouble(t testing.TB) *remote {
	t.Helper()
	host, _ := newKey(t)
	client, text := newKey(t)
	config := &ssh.ServerConfig{
		PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if string(key.Marshal()) != string(client.PublicKey().Marshal()) {
				return nil, errors.New("another key")
			}
			return nil, nil
		},
		PasswordCallback: func(_ ssh.ConnMetadata, given []byte) (*ssh.Permissions, error) {
			if string(given) != password {
				return nil, errors.New("another password")
			}
			return nil, nil
		},
	}
	config.AddHostKey(host)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[conn] = true
			mu.Unlock()
			running.Go(func() { serve(conn, config) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for c := range open {
			c.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	return &remote{direct: l.Addr().String(), user: "hub", host: host.PublicKey(), key: text, password: true}
}

func serve(conn net.Conn, config *ssh.ServerConfig) {
	defer conn.Close()
	c, chans, reqs, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	var running sync.WaitGroup
	running.Go(func() {
		for r := range reqs {
			if r.WantReply {
				_ = r.Reply(true, nil)
			}
		}
	})
	for n := range chans {
		ch, reqs, err := n.Accept()
		if err != nil {
			break
		}
		running.Go(func() {
			for r := range reqs {
				_ = r.Reply(r.Type == "subsystem", nil)
			}
		})
		running.Go(func() {
			s, err := sftp.NewServer(ch)
			if err == nil {
				_ = s.Serve()
				_ = s.Close()
			}
			_ = ch.Close()
		})
	}
	_ = c.Close()
	running.Wait()
}

// startOpenSSH gives Debian's sshd, which is started once for all tests.
func startOpenSSH(t testing.TB) *remote {
	t.Helper()
	o := systemtest.StartOpenSSH(t)
	key, err := os.ReadFile(o.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	host, _, _, _, err := ssh.ParseAuthorizedKey([]byte(o.HostKey))
	if err != nil {
		t.Fatal(err)
	}
	return &remote{direct: o.Addr, user: o.User, host: host, key: string(key)}
}

// proxy stands before a server, so that connections can be broken.
type proxy struct {
	l  net.Listener
	to string

	down, up atomic.Int64 // bytes that went through, from the server and to it
	conns    atomic.Int64
	cutDown  atomic.Int64 // the connection breaks once so many have come from the server; 0: never. It does so once
	cutUp    atomic.Int64
	running  sync.WaitGroup
	mu       sync.Mutex
	open     []net.Conn
	comes    func() bool // is called before each further connection is carried; false: it is not
}

func newProxy(t testing.TB, to string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{l: l, to: to}
	p.running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.conns.Add(1)
			p.mu.Lock()
			comes := p.comes
			p.mu.Unlock()
			if comes != nil && !comes() {
				c.Close()
				continue
			}
			p.running.Go(func() { p.carry(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.breakAll()
		p.running.Wait()
	})
	return p
}

func (p *proxy) carry(c net.Conn) {
	defer c.Close()
	s, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	defer s.Close()
	p.mu.Lock()
	p.open = append(p.open, c, s)
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { pass(c, s, &p.down, &p.cutDown); c.Close(); s.Close() })
	both.Go(func() { pass(s, c, &p.up, &p.cutUp); c.Close(); s.Close() })
	both.Wait()
}

func pass(to io.Writer, from io.Reader, count, cut *atomic.Int64) {
	b := make([]byte, 16<<10)
	for {
		n, err := from.Read(b)
		if at := cut.Load(); at > 0 && count.Load()+int64(n) > at && cut.CompareAndSwap(at, 0) {
			return
		}
		count.Add(int64(n))
		if _, werr := to.Write(b[:n]); err != nil || werr != nil {
			return
		}
	}
}

// then says what happens before a further connection is carried.
func (p *proxy) then(comes func() bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.comes = comes
}

// breakAll breaks every connection.
func (p *proxy) breakAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.open {
		c.Close()
	}
	p.open = nil
}

// through puts a proxy before a server.
func (r *remote) through(t testing.TB) *remote {
	r.proxy = newProxy(t, r.direct)
	r.addr = r.proxy.l.Addr().String()
	return r
}

// system is the YAML of a system there, without its objects.
func (r *remote) system(dir string) string {
	addr := r.addr
	if addr == "" {
		addr = r.direct
	}
	host, port, _ := net.SplitHostPort(addr)
	login := "key: ${env:KEY}\n"
	if r.password {
		login = "password: ${env:PASSWORD}\n"
	}
	return fmt.Sprintf("connector: sftp\nhost: %s\nport: %s\nuser: %s\nhost-keys: [%q]\npath: %s\n%s", host, port, r.user, ssh.FingerprintSHA256(r.host), dir, login)
}

func (r *remote) env() droptest.Env {
	return droptest.Env{"KEY": r.key, "PASSWORD": password, "WRONG": "not-the-password"}
}

func (r *remote) place(t testing.TB) droptest.Place {
	dir := t.TempDir()
	return droptest.Place{Kind: Kind{}, System: r.system(dir), Env: r.env(), Side: droptest.Dir(dir), Dir: dir, Coarse: true}
}
