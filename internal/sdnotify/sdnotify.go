// Package sdnotify tells systemd how a service is doing (sd_notify(3), Type=notify). Where nobody asked for that, it does nothing.
package sdnotify

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// Notifier sends to the service manager; nil sends to nobody.
type Notifier struct {
	addr  *net.UnixAddr
	every time.Duration // of the watchdog; 0: it does not watch
}

// FromEnvironment is what the service manager has asked for. The variables are taken away, so that no child answers in this process's place.
func FromEnvironment() (*Notifier, error) {
	socket, usec, pid := os.Getenv("NOTIFY_SOCKET"), os.Getenv("WATCHDOG_USEC"), os.Getenv("WATCHDOG_PID")
	for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} {
		if err := os.Unsetenv(name); err != nil {
			return nil, err
		}
	}
	if socket == "" {
		return nil, nil
	}
	if !strings.HasPrefix(socket, "/") && !strings.HasPrefix(socket, "@") {
		return nil, fmt.Errorf("NOTIFY_SOCKET %q is neither a path nor an abstract socket", socket)
	}
	n := &Notifier{addr: &net.UnixAddr{Name: socket, Net: "unixgram"}} // @ stands for the abstract one in net, too
	if pid == "" || pid == strconv.Itoa(os.Getpid()) {
		if us, err := strconv.ParseInt(usec, 10, 64); err == nil && us > 0 {
			n.every = time.Duration(us) * time.Microsecond
		}
	}
	return n, nil
}

// Ready says that the service works.
func (n *Notifier) Ready(status string) error { return n.send("READY=1", "STATUS="+line(status)) }

// Reloading says that the service reads its files anew; Ready ends it.
func (n *Notifier) Reloading() error {
	return n.send("RELOADING=1", "MONOTONIC_USEC="+strconv.FormatInt(monotonic(), 10))
}

// Stopping says that the service ends.
func (n *Notifier) Stopping() error { return n.send("STOPPING=1") }

// Watch tells the watchdog, twice in each of its times, that the service is alive, for as long as alive returns true. One that hangs says
// nothing, and is started again. It returns when ctx ends, and at once where no watchdog watches.
func (n *Notifier) Watch(ctx context.Context, alive func() bool) {
	if n == nil || n.every <= 0 {
		return
	}
	tick := time.NewTicker(n.every / 2)
	defer tick.Stop()
	for {
		if alive() {
			_ = n.send("WATCHDOG=1") // what does not arrive is missed by the one who waits for it
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (n *Notifier) send(lines ...string) error {
	if n == nil {
		return nil
	}
	c, err := net.DialUnix("unixgram", nil, n.addr)
	if err != nil {
		return fmt.Errorf("tell the service manager: %w", err)
	}
	_, err = c.Write([]byte(strings.Join(lines, "\n")))
	return errors.Join(err, c.Close())
}

// line is a text on one line: another would be another message.
func line(s string) string { return strings.Join(strings.Fields(s), " ") }
