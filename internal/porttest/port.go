// Package porttest finds ports for servers of tests that are told where to listen, and started again there. Ports that the system
// gives out (listen on port 0, close, use it) do not do: until the server listens, and between its lives, any connection that
// somebody makes may get the same port as its own end.
package porttest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// Below the ports that systems take for connections, and below those of the tests' Apache Kafka.
const (
	first = 10_000
	count = 10_000
)

// given are the ports that this process has got: two servers that do not listen yet must not get the same one.
var given struct {
	sync.Mutex
	ports map[int]bool
}

// Addr is an address of 127.0.0.1 on which nobody listens, and which it has not given before.
func Addr() (string, error) {
	given.Lock()
	defer given.Unlock()
	if given.ports == nil {
		given.ports = map[int]bool{}
	}
	last := errors.New("all were given before")
	begin := rand.IntN(count)
	for i := range count {
		port := first + (begin+i)%count
		if given.ports[port] {
			continue
		}
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		l, err := net.Listen("tcp", addr)
		if err != nil {
			last = err
			continue
		}
		given.ports[port] = true
		return addr, l.Close()
	}
	return "", fmt.Errorf("no port from %d to %d is free: %w", first, first+count-1, last)
}
