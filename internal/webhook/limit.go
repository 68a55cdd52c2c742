package webhook

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// patience is how long a connection may take to bring its request while others wait for its slot.
const patience = 300 * time.Millisecond

// limitListener accepts at most a number of connections at a time; others wait in the system's queue. When somebody waits, a
// connection that does nothing has to go: the one that has been idle longest, or else the one that has been longest about
// sending its request. So a thousand senders who send a byte a second keep nobody out. A connection whose request is complete is
// never cut.
type limitListener struct {
	net.Listener
	max  int
	done chan struct{}
	once sync.Once
	left chan struct{} // somebody has gone, or become idle

	mu    sync.Mutex
	conns map[*limitConn]struct{}
}

func newLimitListener(l net.Listener, n int) *limitListener {
	return &limitListener{Listener: l, max: n, done: make(chan struct{}), left: make(chan struct{}, 1), conns: map[*limitConn]struct{}{}}
}

func (l *limitListener) Accept() (net.Conn, error) {
	for {
		wait, free := l.room()
		if free {
			break
		}
		var look <-chan time.Time
		if wait > 0 {
			t := time.NewTimer(wait)
			defer t.Stop()
			look = t.C
		}
		select {
		case <-l.left:
		case <-look:
		case <-l.done:
			return nil, net.ErrClosed
		}
	}
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	lc := &limitConn{Conn: c, l: l, phase: reading, since: time.Now()}
	l.mu.Lock()
	l.conns[lc] = struct{}{}
	l.mu.Unlock()
	return lc, nil
}

// room reports whether there is a slot; if not, it cuts who has to go, or says when to look again (0: when somebody leaves).
func (l *limitListener) room() (wait time.Duration, free bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.conns) < l.max {
		return 0, true
	}
	var worst *limitConn
	for c := range l.conns {
		switch {
		case c.phase == working || c.phase == cut:
		case worst == nil, c.phase == idle && worst.phase != idle, c.phase == worst.phase && c.since.Before(worst.since):
			worst = c
		}
	}
	if worst == nil {
		return 0, false
	}
	if worst.phase == reading {
		if wait := patience - time.Since(worst.since); wait > 0 {
			return wait, false
		}
	}
	worst.phase = cut
	_ = worst.Conn.Close() // the server notices, and closes the connection: that frees the slot
	return 0, false
}

func (l *limitListener) signal() {
	select {
	case l.left <- struct{}{}:
	default: // Accept will look in any case
	}
}

func (l *limitListener) Close() error {
	err := l.Listener.Close()
	l.once.Do(func() { close(l.done) })
	return err
}

// phase is what a connection does.
type phase int

const (
	reading phase = iota // its request is on the way
	working              // its request is complete and being answered
	idle                 // it is kept open for the next request
	cut
)

type limitConn struct {
	net.Conn
	l *limitListener

	// Under the listener's lock.
	phase phase
	since time.Time
}

func (c *limitConn) enter(p phase) {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	if c.phase == cut || c.phase == p {
		return
	}
	c.phase, c.since = p, time.Now()
	if p == idle {
		c.l.signal()
	}
}

func (c *limitConn) Close() error {
	err := c.Conn.Close()
	c.l.mu.Lock()
	delete(c.l.conns, c)
	c.l.mu.Unlock()
	c.l.signal()
	return err
}

// follow is the server's ConnState.
func follow(c net.Conn, s http.ConnState) {
	lc, ok := underTLS(c).(*limitConn)
	if !ok {
		return
	}
	switch s {
	case http.StateActive:
		lc.enter(reading)
	case http.StateIdle:
		lc.enter(idle)
	}
}

type connKey struct{}

// withConn is the server's ConnContext.
func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, underTLS(c))
}

// underTLS is the listener's own connection, also where it is encrypted.
func underTLS(c net.Conn) net.Conn {
	if t, ok := c.(*tls.Conn); ok {
		return t.NetConn()
	}
	return c
}

// watch gives the request with a body that tells when it is complete. It is another request, because the server goes by the
// kind of body in its own when it decides whether to read the rest of it.
func watch(r *http.Request) *http.Request {
	c, ok := r.Context().Value(connKey{}).(*limitConn)
	if !ok {
		return r
	}
	if r.Body == nil || r.Body == http.NoBody {
		c.enter(working)
		return r
	}
	r = r.WithContext(r.Context())
	r.Body = &watchedBody{r.Body, c}
	return r
}

type watchedBody struct {
	io.ReadCloser
	c *limitConn
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		b.c.enter(working)
	}
	return n, err
}
