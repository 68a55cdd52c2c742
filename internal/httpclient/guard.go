package httpclient

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"
)

// ErrAddress is the cause when an address is one that the hub never connects to.
var ErrAddress = errors.New("connections to link-local, metadata and multicast addresses are refused")

// metadata addresses of clouds that are not link-local.
var metadata = []netip.Addr{
	netip.MustParseAddr("fd00:ec2::254"),   // AWS
	netip.MustParseAddr("fd20:ce::254"),    // Google
	netip.MustParseAddr("100.100.100.200"), // Alibaba
	netip.MustParseAddr("192.0.0.192"),     // Oracle
}

var (
	nat64   = netip.MustParsePrefix("64:ff9b::/96")
	sixto4  = netip.MustParsePrefix("2002::/16")
	thisNet = netip.MustParsePrefix("0.0.0.0/8")
)

// Allowed returns ErrAddress for an address that the hub never connects to: link-local, metadata, multicast, unspecified,
// also when it is an IPv4 address inside an IPv6 one.
func Allowed(a netip.Addr) error {
	a = a.WithZone("").Unmap()
	if b := a.As16(); nat64.Contains(a) {
		a = netip.AddrFrom4([4]byte(b[12:16]))
	} else if sixto4.Contains(a) {
		a = netip.AddrFrom4([4]byte(b[2:6]))
	}
	bad := a.IsLinkLocalUnicast() || a.IsLinkLocalMulticast() || a.IsInterfaceLocalMulticast() || a.IsMulticast() || a.IsUnspecified() || thisNet.Contains(a)
	for _, m := range metadata {
		bad = bad || a == m
	}
	if bad {
		return fmt.Errorf("%s: %w", a, ErrAddress)
	}
	return nil
}

// Dialer gives a dialer that refuses the addresses which Allowed refuses. It looks at the address that is about to be
// connected to, after name resolution, so that no name can lead there.
func Dialer() *net.Dialer {
	return &net.Dialer{
		Timeout:   10 * time.Second,
		KeepAlive: 30 * time.Second,
		ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
			ap, err := netip.ParseAddrPort(address)
			if err != nil {
				return fmt.Errorf("%s: %w", address, ErrAddress)
			}
			return Allowed(ap.Addr())
		},
	}
}

// countingConn counts the bytes that were handed to the operating system: zero since the connection was taken means that
// the other side cannot have seen the request. Bytes count before they are written, and what was not written is taken
// back: an answer may arrive before the write returns.
type countingConn struct {
	net.Conn
	written atomic.Int64
}

func (c *countingConn) Write(b []byte) (int, error) {
	c.written.Add(int64(len(b)))
	n, err := c.Conn.Write(b)
	c.written.Add(int64(n - len(b)))
	return n, err
}

// counter finds the counting connection below TLS.
func counter(c net.Conn) *countingConn {
	for c != nil {
		if cc, ok := c.(*countingConn); ok {
			return cc
		}
		under, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		c = under.NetConn()
	}
	return nil
}
