package sql

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/connector/connectortest"
	"github.com/waybill-hub/waybill/internal/fault"
)

// mysqlFaults are failures that the server itself reports.
func mysqlFaults(p *place) []connectortest.Fault {
	out := []connectortest.Fault{
		{Name: "refused", Want: fault.Unavailable, Arrange: p.elsewhere(func(string) string { return "mysql://u:unused-pa55word@127.0.0.1:1/x" })},
		{Name: "link-local", Want: fault.Invalid, Arrange: p.elsewhere(func(string) string { return "mysql://u:unused-pa55word@169.254.169.254/x" })},
		{Name: "no such database", Want: fault.Unavailable, Arrange: p.elsewhere(nowhere)},
		{Name: "no such user", Want: fault.Auth, Arrange: p.elsewhere(stranger)},
		{Name: "lost before the commit", Want: fault.Unavailable, Arrange: func(t testing.TB, _ *connector.Settings) {
			p.exec(t, "CREATE TRIGGER die BEFORE INSERT ON orders FOR EACH ROW KILL CONNECTION_ID()")
		}},
	}
	for name, after := range map[string]bool{"lost before the server has the commit": false, "lost with the answer to the commit": true} {
		out = append(out, connectortest.Fault{Name: name, Want: fault.UnknownOutcome, Arrange: func(t testing.TB, s *connector.Settings) {
			p.elsewhere(func(at string) string { return newCutter(t, at, after) })(t, s)
		}})
	}
	for number, want := range map[int]fault.Kind{1205: fault.Unavailable, 1213: fault.Unavailable, 1020: fault.Unavailable, 1290: fault.Unavailable, 1114: fault.Unavailable,
		1665: fault.Unavailable, 1406: fault.Invalid, 1264: fault.Invalid, 1366: fault.Invalid, 1452: fault.Invalid, 1142: fault.Invalid, 1644: fault.Invalid} {
		out = append(out, connectortest.Fault{Name: fmt.Sprint("error ", number), Want: want, Arrange: func(t testing.TB, _ *connector.Settings) {
			p.exec(t, fmt.Sprintf("CREATE TRIGGER boom BEFORE INSERT ON orders FOR EACH ROW SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = %d, MESSAGE_TEXT = 'boom'", number))
		}})
	}
	return out
}

func nowhere(at string) string {
	u, err := url.Parse(at)
	if err != nil {
		panic(err)
	}
	u.Path = "/nowhere"
	return u.String()
}

func stranger(at string) string { return strings.Replace(at, "tester:", "stranger:", 1) }

func mysqlProbes(p *place) []connectortest.Probe {
	return []connectortest.Probe{
		{Name: "connection refused", Want: fault.Unavailable, Create: fault.Unavailable, Text: "refused", Arrange: p.elsewhere(func(string) string { return "mysql://u:unused-pa55word@127.0.0.1:1/x" })},
		{Name: "a name that nobody knows", Want: fault.Unavailable, Create: fault.Unavailable, Text: "db.invalid", Arrange: p.elsewhere(func(string) string { return "mysql://u:unused-pa55word@db.invalid/x" })},
		{Name: "no such database", Want: fault.Unavailable, Create: fault.Unavailable, Text: "nowhere", Arrange: p.elsewhere(nowhere)},
		{Name: "no such user", Want: fault.Auth, Create: fault.Auth, Text: "stranger", Arrange: p.elsewhere(stranger)},
	}
}

// newCutter gives the URL of a server whose connections end at a commit: before it is passed on, or when the server has answered it.
func newCutter(t testing.TB, at string, after bool) string {
	t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	to := u.Host
	wg.Add(1)
	go func() {
		defer wg.Done()
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed
			}
			wg.Add(1)
			go func() {
				defer wg.Done()
				cut(c, to, after)
			}()
		}
	}()
	u.Host = l.Addr().String()
	return u.String() + "?ssl-mode=DISABLED"
}

func cut(client net.Conn, to string, after bool) {
	defer client.Close()
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer server.Close()
	var answers sync.WaitGroup
	hold := make(chan struct{})
	answers.Add(1)
	go func() {
		defer answers.Done()
		buf := make([]byte, 1<<16)
		for {
			n, err := server.Read(buf)
			if err != nil {
				return
			}
			select {
			case <-hold: // the answer to the commit: nobody gets it
				_ = client.Close()
				return
			default:
			}
			if _, err := client.Write(buf[:n]); err != nil {
				return
			}
		}
	}()
	for {
		head := make([]byte, 4)
		if _, err := io.ReadFull(client, head); err != nil {
			break
		}
		body := make([]byte, int(head[0])|int(head[1])<<8|int(head[2])<<16)
		if _, err := io.ReadFull(client, body); err != nil {
			break
		}
		if string(body) == "\x03COMMIT" {
			if !after {
				break
			}
			close(hold)
		}
		if _, err := server.Write(append(head, body...)); err != nil {
			break
		}
		if string(body) == "\x03COMMIT" {
			answers.Wait()
			return
		}
	}
	_ = client.Close()
	_ = server.Close()
	answers.Wait()
}
