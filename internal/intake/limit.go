package intake

import (
	"net"
	"sync"
	"sync/atomic"
)

// limitListener accepts at most a number of connections at a time; others wait in the system's queue. Connections that
// are kept open and idle would keep those out for as long as they like: the listener tells when it is full, so that the
// server can do without them until there is room again.
type limitListener struct {
	net.Listener
	slots chan struct{}
	done  chan struct{}
	once  sync.Once

	full    atomic.Bool
	changed chan struct{}
}

// newLimitListener bounds the connections of l. tell is called, from one goroutine that ends with the listener, when they
// have become too many, and when a quarter of the slots is free again.
func newLimitListener(l net.Listener, n int, tell func(full bool)) *limitListener {
	ll := &limitListener{Listener: l, slots: make(chan struct{}, n), done: make(chan struct{}), changed: make(chan struct{}, 1)}
	go func() {
		for {
			select {
			case <-ll.changed:
				tell(ll.full.Load())
			case <-ll.done:
				return
			}
		}
	}()
	return ll
}

func (l *limitListener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	default:
		l.say(true)
		select {
		case l.slots <- struct{}{}:
		case <-l.done:
			return nil, net.ErrClosed
		}
	}
	c, err := l.Listener.Accept()
	if err != nil {
		l.release()
		return nil, err
	}
	return &limitConn{Conn: c, release: sync.OnceFunc(l.release)}, nil
}

func (l *limitListener) release() {
	<-l.slots
	if len(l.slots) <= cap(l.slots)*3/4 {
		l.say(false)
	}
}

// say may be called while the server holds its own lock: it never waits.
func (l *limitListener) say(full bool) {
	if l.full.Swap(full) == full {
		return
	}
	select {
	case l.changed <- struct{}{}:
	default: // it will see the newest state
	}
}

func (l *limitListener) Close() error {
	err := l.Listener.Close()
	l.once.Do(func() { close(l.done) })
	return err
}

type limitConn struct {
	net.Conn
	release func()
}

func (c *limitConn) Close() error {
	err := c.Conn.Close()
	c.release()
	return err
}
