// Package porttest finds ports for servers of tests that are told where to listen, and started again there. Ports that the system
// gives out (listen on port 0, close, use it) do not do: until the server listens, and between its lives, any connection that
// somebody makes may get the same port as its own end.
package porttest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Below the ports that systems take for connections, and below those of the tests' Apache Kafka.
const (
	first = 10_000
	count = 10_000
	tries = 200
)

// Addr is an address of 127.0.0.1 on which nobody listens.
func Addr() (string, error) {
	var last error
	for range tries {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(first+rand.IntN(count)))
		l, err := net.Listen("tcp", addr)
		if err != nil {
			last = err
			continue
		}
		return addr, l.Close()
	}
	return "", fmt.Errorf("no port from %d to %d is free: %w", first, first+count-1, last)
}
