package soak

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// What a proxy does with connections.
type passing int32

const (
	pass     passing = iota
	refuse           // connections end at once, those that are there and new ones
	swallow          // half-open: what comes from either side goes nowhere, and nobody is told
	deaf             // half-open: what the client says goes nowhere
	dumb             // half-open: what the server answers goes nowhere
	sluggish         // everything takes its time
)

var passings = map[passing]string{pass: "pass", refuse: "refused", swallow: "half-open", deaf: "half-open to the server", dumb: "half-open to the client", sluggish: "slow"}

// proxy stands between the hub and what it talks to over TCP. A connection that has lost a byte never carries another one in that
// direction, also when the proxy passes again: as when a firewall has forgotten it.
type proxy struct {
	l    net.Listener
	to   string
	mode atomic.Int32
	// hurt counts the connections that were cut or turned away, or that have lost something.
	hurt atomic.Int64

	mu    sync.Mutex
	conns map[net.Conn]bool
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{l: l, to: to, conns: map[net.Conn]bool{}}
	var wg sync.WaitGroup
	wg.Go(func() { p.accept(&wg) })
	t.Cleanup(func() { _ = l.Close(); p.cut(); wg.Wait() })
	return p
}

func (p *proxy) addr() string { return p.l.Addr().String() }

func (p *proxy) be(m passing) {
	p.mode.Store(int32(m))
	if m == refuse {
		p.cut()
	}
}

func (p *proxy) is() passing { return passing(p.mode.Load()) }

// cut ends all connections that there are.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		p.hurt.Add(1)
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.SetLinger(0) // a reset, not a farewell
		}
		_ = c.Close()
	}
}

func (p *proxy) hold(c net.Conn, yes bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if yes {
		p.conns[c] = true
	} else {
		delete(p.conns, c)
	}
}

func (p *proxy) accept(wg *sync.WaitGroup) {
	for {
		c, err := p.l.Accept()
		if err != nil {
			return
		}
		wg.Go(func() { p.serve(c) })
	}
}

func (p *proxy) serve(c net.Conn) {
	defer c.Close()
	if p.is() == refuse {
		p.hurt.Add(1)
		return
	}
	p.hold(c, true)
	defer p.hold(c, false)
	s, err := net.DialTimeout("tcp", p.to, 5*time.Second)
	if err != nil {
		return
	}
	defer s.Close()
	p.hold(s, true)
	defer p.hold(s, false)
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.pump(s, c, deaf)
		_ = s.Close()
		_ = c.Close()
	}()
	p.pump(c, s, dumb)
	_ = s.Close()
	_ = c.Close()
	<-done
}

// pump carries bytes until either side ends. What comes while the proxy swallows is lost, and everything after it.
func (p *proxy) pump(to, from net.Conn, half passing) {
	buf := make([]byte, 32<<10)
	lost := false
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		switch m := p.is(); {
		case lost:
		case m == swallow || m == half:
			lost = true
			p.hurt.Add(1)
		case m == sluggish:
			time.Sleep(30 * time.Millisecond) // the delay of a bad line
			p.hurt.Add(1)
			fallthrough
		default:
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
	}
}
