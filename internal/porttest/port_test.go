package porttest

import (
	"net"
	"testing"
)

// What is given can be listened on, again and again, and lies where no connection's own end does.
func TestAddr(t *testing.T) {
	for range 50 {
		addr, err := Addr()
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			l, err := net.Listen("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			if port := l.Addr().(*net.TCPAddr).Port; port < first || port >= first+count {
				t.Errorf("port %d", port)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Nobody gets what another one has got, although nobody listens there yet.
func TestGivenOnce(t *testing.T) {
	seen := map[string]bool{}
	for range 300 {
		addr, err := Addr()
		if err != nil {
			t.Fatal(err)
		}
		if seen[addr] {
			t.Fatalf("%s was given twice", addr)
		}
		seen[addr] = true
	}
}
