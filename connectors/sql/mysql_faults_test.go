package sql

import (
	"fmt"
	"net/url"
	"strings"
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
