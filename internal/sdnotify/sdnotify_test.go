package sdnotify

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

func manager(t *testing.T, name string) *net.UnixConn {
	t.Helper()
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func hear(t *testing.T, c *net.UnixConn) string {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4096)
	n, err := c.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

func TestNotices(t *testing.T) {
	for _, name := range []string{filepath.Join(t.TempDir(), "notify"), "@waybill-test-" + strconv.Itoa(os.Getpid())} {
		m := manager(t, name)
		t.Setenv("NOTIFY_SOCKET", name)
		t.Setenv("WATCHDOG_USEC", "2000")
		t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
		n, err := FromEnvironment()
		if err != nil {
			t.Fatal(err)
		}
		if os.Getenv("NOTIFY_SOCKET") != "" {
			t.Error("children would speak in its place")
		}
		for want, say := range map[string]func() error{
			"^READY=1\nSTATUS=27 flows; two lines$":     func() error { return n.Ready("27 flows;\ntwo lines") },
			"^STOPPING=1$":                              n.Stopping,
			"^RELOADING=1\nMONOTONIC_USEC=[1-9][0-9]+$": n.Reloading,
		} {
			if err := say(); err != nil {
				t.Fatal(err)
			}
			if got := hear(t, m); !regexp.MustCompile(want).MatchString(got) {
				t.Errorf("%q, want %s", got, want)
			}
		}
		ctx, end := context.WithCancel(t.Context())
		var alive atomic.Bool
		alive.Store(true)
		done := make(chan struct{})
		go func() { n.Watch(ctx, alive.Load); close(done) }()
		for range 3 {
			if got := hear(t, m); got != "WATCHDOG=1" {
				t.Errorf("%q", got)
			}
		}
		end()
		<-done
	}
}

// A service that is not alive keeps silent: the watchdog starts it again.
func TestHungServiceKeepsSilent(t *testing.T) {
	m := manager(t, filepath.Join(t.TempDir(), "notify"))
	n := &Notifier{addr: m.LocalAddr().(*net.UnixAddr), every: 2 * time.Millisecond}
	ctx, end := context.WithCancel(t.Context())
	asked := make(chan struct{})
	var times atomic.Int32
	go n.Watch(ctx, func() bool {
		if times.Add(1) == 5 {
			close(asked)
		}
		return false
	})
	<-asked
	end()
	if err := n.Stopping(); err != nil {
		t.Fatal(err)
	}
	if got := hear(t, m); got != "STOPPING=1" {
		t.Errorf("first heard: %q", got)
	}
}

func TestNobodyAsked(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	n, err := FromEnvironment()
	if n != nil || err != nil || n.Ready("x") != nil || n.Stopping() != nil || n.Reloading() != nil {
		t.Errorf("%v %v", n, err)
	}
	n.Watch(t.Context(), nil) // returns
	t.Setenv("NOTIFY_SOCKET", "vsock:2:1")
	if _, err := FromEnvironment(); err == nil {
		t.Error("an address that cannot be reached is taken")
	}
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "gone"))
	t.Setenv("WATCHDOG_PID", "1")
	t.Setenv("WATCHDOG_USEC", "1000")
	n, err = FromEnvironment()
	if err != nil || n.every != 0 || n.Stopping() == nil {
		t.Errorf("%+v %v", n, err)
	}
}
