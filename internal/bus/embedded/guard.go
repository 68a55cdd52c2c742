package embedded

import (
	"encoding/binary"
	"fmt"
	"net"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// maxRequest is the largest request that the embedded broker takes; Apache Kafka's own limit (socket.request.max.bytes).
const maxRequest = 100 << 20

// guard keeps from the embedded broker what it cannot bear: it allocates whatever the first four bytes of a request say,
// which are "GET " of a stray HTTP request too, and it panics over an unknown kind of request.
type guard struct {
	net.Listener
	life *life
}

// Accept makes guard a net.Listener.
func (g guard) Accept() (net.Conn, error) {
	c, err := g.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &guardedConn{Conn: c, life: g.life}, nil
}

// guardedConn follows the frames of the requests that are read from it.
type guardedConn struct {
	net.Conn
	life *life
	head [6]byte // size and kind of the request
	n    int     // of head
	left int     // bytes of the request behind head
}

// Read gives no byte of a request's body before its head has been looked at.
func (c *guardedConn) Read(p []byte) (int, error) {
	switch {
	case c.life.over.Load():
		return 0, errNotOnDisk
	case len(p) == 0:
		return 0, nil
	case c.n < len(c.head):
		p = p[:min(len(p), len(c.head)-c.n)]
	case c.left > 0:
		p = p[:min(len(p), c.left)]
	}
	n, err := c.Conn.Read(p)
	if c.n < len(c.head) {
		copy(c.head[c.n:], p[:n])
		c.n += n
		if err := c.check(); err != nil {
			return 0, err
		}
	} else {
		c.left -= n
	}
	if c.n == len(c.head) && c.left == 0 {
		c.n = 0
	}
	return n, err
}

// Write gives no answer that was made after a write to disk had failed.
func (c *guardedConn) Write(p []byte) (int, error) {
	if c.life.over.Load() {
		return 0, errNotOnDisk
	}
	return c.Conn.Write(p)
}

func (c *guardedConn) check() error {
	if c.n < 4 {
		return nil
	}
	size := int(int32(binary.BigEndian.Uint32(c.head[:])))
	if size < 8 || size > maxRequest {
		return fmt.Errorf("%s sent something that is not a Kafka request", c.RemoteAddr())
	}
	if c.n == len(c.head) {
		if kind := int16(binary.BigEndian.Uint16(c.head[4:])); kmsg.RequestForKey(kind) == nil {
			return fmt.Errorf("%s sent a request of an unknown kind %d", c.RemoteAddr(), kind)
		}
		c.left = size - 2
	}
	return nil
}
