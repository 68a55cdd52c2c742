package sftp

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/waybill-hub/waybill/internal/drop"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// longestIdle is how long a connection is kept that nobody uses, in seconds.
const longestIdle = 60

// server holds the connections to one server. A connection is one caller's at a time.
type server struct {
	set    *settings
	copies drop.Copies
	free   chan struct{}
	clock  lifecycle.Clock

	mu     sync.Mutex
	idle   []*session
	closed bool
	family []string // the kind of host key by which the server was known last
}

func newServer(set *settings) *server {
	return &server{set: set, free: make(chan struct{}, set.Connections), clock: lifecycle.Real()}
}

// session is one connection.
type session struct {
	conn net.Conn
	ssh  *ssh.Client
	sftp *sftp.Client

	dead  chan struct{} // closed when the connection is
	alive sync.WaitGroup
	since time.Duration // when it was last used, by the clock's Elapsed
}

// take gives a connection that is the caller's until give; one that has waited or a new one.
func (v *server) take(ctx context.Context) (*session, error) {
	select {
	case v.free <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	s, err := v.next(ctx)
	if err != nil {
		<-v.free
	}
	return s, err
}

func (v *server) next(ctx context.Context) (*session, error) {
	for {
		v.mu.Lock()
		n := len(v.idle)
		if v.closed || n == 0 {
			closed := v.closed
			v.mu.Unlock()
			if closed {
				return nil, fault.New(fault.Unavailable, "the system is closed")
			}
			return v.dial(ctx)
		}
		s := v.idle[n-1]
		v.idle = v.idle[:n-1]
		v.mu.Unlock()
		select {
		case <-s.dead:
			s.close()
		default:
			return s, nil
		}
	}
}

// give takes a connection back, and closes it where it is not to be used again.
func (v *server) give(s *session, again bool) {
	v.mu.Lock()
	again = again && !v.closed
	if again {
		s.since = v.clock.Elapsed()
		v.idle = append(v.idle, s)
	}
	v.mu.Unlock()
	if !again {
		s.close()
	}
	<-v.free
}

// Close closes the connections that nobody uses; those in use close when they are given back.
func (v *server) Close() error {
	v.mu.Lock()
	idle := v.idle
	v.idle, v.closed = nil, true
	v.mu.Unlock()
	for _, s := range idle {
		s.close()
	}
	return v.copies.Close()
}

// stale takes a connection out of those that wait, if it has waited for long enough.
func (v *server) stale(s *session) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	for i, o := range v.idle {
		if o == s && v.clock.Elapsed()-s.since > longestIdle*time.Second {
			v.idle = append(v.idle[:i:i], v.idle[i+1:]...)
			return true
		}
	}
	return false
}

// dial connects and logs in. A server with host keys of several kinds shows the kind that it is asked for: all that may be known are tried.
func (v *server) dial(ctx context.Context) (*session, error) {
	v.mu.Lock()
	families := v.set.hosts.families
	if v.family != nil {
		families = append([][]string{v.family}, families...)
	}
	v.mu.Unlock()
	var last error
	for _, f := range families {
		s, err := v.connect(ctx, f)
		var wrong *keyError
		switch {
		case err == nil:
			v.mu.Lock()
			v.family = f
			v.mu.Unlock()
			return s, nil
		case errors.As(err, &wrong):
			last = err
		case strings.Contains(err.Error(), "no common algorithm for host key"):
			if last == nil {
				last = fault.New(fault.Auth, "the server at %s has no host key of the kinds that the settings name: nothing was sent", v.set.addr())
			}
		default:
			return nil, err
		}
	}
	return nil, last
}

func (v *server) connect(ctx context.Context, family []string) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, v.set.Timeout)
	defer cancel()
	raw, err := httpclient.Dialer().DialContext(ctx, "tcp", v.set.addr())
	if err != nil {
		return nil, fault.New(fault.Unavailable, "%w", err)
	}
	conn := drop.Timed(raw, v.set.Timeout)
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	s, err := v.login(conn, family)
	if !stop() && err == nil { // ended in the very moment
		s.close()
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = raw.Close() // the failure is what counts
		return nil, err
	}
	return s, nil
}

func (v *server) login(conn net.Conn, family []string) (*session, error) {
	var wrong error
	c, chans, reqs, err := ssh.NewClientConn(conn, v.set.addr(), &ssh.ClientConfig{
		User: v.set.User, Auth: v.set.auth, HostKeyAlgorithms: family, ClientVersion: "SSH-2.0-Waybill",
		HostKeyCallback: func(host string, remote net.Addr, key ssh.PublicKey) error {
			wrong = v.set.hosts.check(host, remote, key)
			return wrong
		},
	})
	switch {
	case wrong != nil:
		return nil, wrong
	case err != nil && strings.Contains(err.Error(), "unable to authenticate"):
		return nil, fault.New(fault.Auth, "the server at %s does not let %s in with what the settings give", v.set.addr(), v.set.User)
	case err != nil:
		return nil, fault.New(fault.Unavailable, "%s: %w", v.set.addr(), err)
	}
	client := ssh.NewClient(c, chans, reqs)
	files, err := sftp.NewClient(client)
	if err != nil {
		return nil, errors.Join(fault.New(fault.Unavailable, "the server at %s gives no SFTP: %w", v.set.addr(), err), client.Close())
	}
	s := &session{conn: conn, ssh: client, sftp: files, dead: make(chan struct{})}
	s.alive.Go(func() {
		_ = client.Wait() // why is seen by whoever used it
		close(s.dead)
	})
	s.alive.Go(func() { v.keep(s) })
	return s, nil
}

// keep asks the server from time to time whether it is there, so that a connection that nobody hears of any more ends, and one that waits stays open; for a while.
func (v *server) keep(s *session) {
	every := v.set.Timeout / 3
	tick := v.clock.NewTimer(every)
	defer tick.Stop()
	for {
		select {
		case <-s.dead:
			return
		case <-tick.C():
			tick.Reset(every)
		}
		if _, _, err := s.ssh.SendRequest("keepalive@openssh.com", true, nil); err != nil || v.stale(s) {
			_ = s.conn.Close() // whoever uses it learns of it there
			return
		}
	}
}

// close ends a connection and waits for what belongs to it.
func (s *session) close() {
	_ = s.conn.Close() // first: the others wait for answers otherwise
	_ = s.sftp.Close()
	_ = s.ssh.Close()
	s.alive.Wait()
}
