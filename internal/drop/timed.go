package drop

import (
	"errors"
	"fmt"
	"net"
	"time"
)

// Timed gives a connection that fails where the other side says nothing, or takes nothing, for longer than timeout while it is waited for.
func Timed(c net.Conn, timeout time.Duration) net.Conn { return &timed{c, timeout} }

type timed struct {
	net.Conn
	timeout time.Duration
}

func (c *timed) Read(b []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.timeout)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(b)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		err = fmt.Errorf("the server has said nothing for %s: %w", c.timeout, err)
	}
	return n, err
}

func (c *timed) Write(b []byte) (int, error) {
	// Whoever waits for an answer waits from now on: an upload that takes long, and the time before a connection was used again, are no silence.
	if err := c.SetDeadline(time.Now().Add(c.timeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}
