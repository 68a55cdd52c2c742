package odata

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/connector/connectortest"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

func TestMain(m *testing.M) {
	os.Setenv("S4_PASSWORD", password)
	os.Setenv("CAP_PASSWORD", capPassword)
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if err := running.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
		os.Exit(code)
	}))
}

func settingsOf(t testing.TB, yaml string) connector.Settings {
	t.Helper()
	var p strictyaml.Problems
	docs := strictyaml.Parse("waybill.yaml", []byte(yaml), &p)
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	return connector.Settings{Name: "s4", Node: docs[0]}
}

// config is the settings for a double; system holds more lines of the system, and object of the order.
func config(url, system, object string) string {
	out := `connector: odata
url: ` + url + `/srv
auth: {basic: {user: ` + user + `, password: "${env:S4_PASSWORD}"}}
errors: {kinds: {M3/018: duplicate}}
` + system + `
objects:
  stock: {service: shop, set: Stock, changed: Changed}
  order:
    service: shop
    set: Orders
    external: External
    changed: Changed
`
	if !strings.Contains(object, "items:") {
		object += "\nitems: {Items: {}}"
	}
	for _, line := range strings.Split(strings.TrimSpace(object), "\n") {
		out += "    " + line + "\n"
	}
	return out
}

// testClock turns a system's clock.
type testClock struct {
	lifecycle.Clock
	now func() time.Time
}

func (c testClock) Now() time.Time { return c.now() }

func setClock(sys connector.System, now func() time.Time) {
	sys.(*system).clock = testClock{sys.(*system).clock, now}
}

func newDoc(n int) string {
	return fmt.Sprintf(`{"Code":"C-%d","Name":"Müller & Söhne \"%d\" 'x'","Price":12.50,"Rev":1,"Big":9007199254740993,"Due":"2026-12-24","At":"10:30:00","Open":true,
		"Items":[{"Item":"10","Product":"A/1","Quantity":1.500},{"Item":"20","Product":"B","Quantity":2}]}`, n, n)
}

func TestConformance(t *testing.T) {
	type variant struct {
		name           string
		version        int
		system, object string
		set            func(*double)
	}
	variants := []variant{
		{"V4", 4, "", "", nil},
		{"V2", 2, "", "", nil},
		{"V4, JSON batch", 4, "batch: {format: json}", "", nil},
		{"V4, tokens wanted, no batch", 4, "batch: {format: none}", "", func(d *double) { d.etags, d.csrf = true, true }},
		{"V2, tokens wanted, skip", 2, "version: 2", "paging: skip", func(d *double) { d.etags = true }},
		{"V2, another name of the host", 2, "parameters: {sap-client: \"100\"}", "paging: links", func(d *double) { d.host = "http://behind.invalid:8000" }},
		{"V4, JSON batch, numbers as numbers", 4, "batch: {format: json}", "numbers: number", func(d *double) { d.plain = true }},
		{"V4, links", 4, "", "paging: links", nil},
		{"V4, no links and no counts", 4, "", "size: 2", func(d *double) { d.silent = true }},
		{"V2, ends at the first failure", 2, "", "", func(d *double) { d.stops = true }},
		{"V4, numbers as numbers", 4, "", "numbers: number", func(d *double) { d.plain = true }},
	}
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			connectortest.Run(t, func(t *testing.T) *connectortest.Subject {
				d := newDouble(t, v.version)
				if v.set != nil {
					v.set(d)
				}
				return subject(t, d, settingsOf(t, config(d.url, v.system, v.object)))
			})
		})
	}
}

func subject(_ *testing.T, d *double, set connector.Settings) *connectortest.Subject {
	post := func(r *http.Request) bool {
		return r.Method == "POST" && (strings.HasSuffix(r.URL.Path, "/Orders") || strings.HasSuffix(r.URL.Path, "/$batch"))
	}
	status := func(code int, kind fault.Kind, dup bool) connectortest.Fault {
		return connectortest.Fault{
			Name: fmt.Sprintf("status %d", code), Want: kind, Duplicate: dup,
			Arrange: func(testing.TB, *connector.Settings) {
				d.refuse = func(w http.ResponseWriter, r *http.Request) bool {
					if post(r) {
						d.fail(w, code, "WHATEVER", "the word "+password+" was not liked")
					}
					return post(r)
				}
			},
		}
	}
	return &connectortest.Subject{
		Kind: Kind{}, Settings: set, Object: "order", Clock: setClock, External: true, ETags: true, Folds: true, Secrets: []string{password},
		Still: func(sys connector.System, at time.Time) {
			setClock(sys, func() time.Time { return at })
			d.now = func() time.Time { return at }
		},
		Refusals: []connectortest.Refusal{{Name: "in the body of a 200", Text: "the period is closed", Arrange: func(testing.TB) {
			d.refuse = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != "GET" {
					d.fail(w, 200, "PERIOD_CLOSED", "the period is closed")
				}
				return r.Method != "GET"
			}
		}}},
		New:     newDoc,
		Change:  func(n int) string { return fmt.Sprintf(`{"Name":"changed %d","Price":%d.10}`, n, n) },
		Natural: func(n int) map[string]string { return map[string]string{"Code": fmt.Sprintf("C-%d", n)} },
		Put:     func(_ testing.TB, n, revision int, stamp time.Time) string { return d.outside(n, revision, stamp) },
		Bare:    func(_ testing.TB, n, revision int) string { return d.outside(n, revision, time.Time{}) },
		Spoil: func(_ testing.TB, n int, stamp time.Time) string {
			id := d.outside(n, 1, stamp)
			d.mu.Lock()
			defer d.mu.Unlock()
			d.rows["Orders"][len(d.rows["Orders"])-1]["Name"] = json.RawMessage(`"cut in the middle of a smile \ud83d"`)
			return id
		},
		Revision: func(doc jsondoc.Value) int {
			n, _ := doc.Get("Rev").Decimal()
			i, _ := n.Int64()
			return int(i)
		},
		Probes: probes(d),
		Faults: []connectortest.Fault{
			status(400, fault.Invalid, false), status(401, fault.Auth, false), status(403, fault.Invalid, false), status(404, fault.Invalid, false),
			status(409, fault.Conflict, true), status(429, fault.RateLimited, false), status(500, fault.UnknownOutcome, false),
			status(502, fault.UnknownOutcome, false), status(503, fault.Unavailable, false), status(504, fault.UnknownOutcome, false), status(202, fault.Invalid, false),
			{Name: "natural key taken", Want: fault.Conflict, Duplicate: true, Arrange: func(testing.TB, *connector.Settings) {
				d.outside(1, 1, time.Now())
			}},
			{Name: "refused", Want: fault.Unavailable, Arrange: func(t testing.TB, set *connector.Settings) {
				*set = settingsOf(t, config("http://127.0.0.1:1", "", ""))
			}},
			{Name: "a page for logging in in place of $metadata", Want: fault.Unavailable, Arrange: func(testing.TB, *connector.Settings) {
				d.refuse = func(w http.ResponseWriter, r *http.Request) bool {
					fmt.Fprint(w, "<!DOCTYPE html><html><body>Log in</body></html>")
					return true
				}
			}},
			{Name: "a page for logging in in place of the answer", Want: fault.UnknownOutcome, Arrange: func(testing.TB, *connector.Settings) {
				d.refuse = func(w http.ResponseWriter, r *http.Request) bool {
					if post(r) {
						fmt.Fprint(w, "<!DOCTYPE html><html><body>Log in</body></html>")
					}
					return post(r)
				}
			}},
		},
	}
}

// probes are states of a service, with a probe of its own and without one.
func probes(d *double) []connectortest.Probe {
	const path, bare = "probe: shop/$metadata", ""
	conf := func(t testing.TB, system, url string) connector.Settings {
		return settingsOf(t, config(url, system, ""))
	}
	says := func(system string, code int, method, at string) func(testing.TB, *connector.Settings) {
		return func(t testing.TB, set *connector.Settings) {
			*set = conf(t, system, d.url)
			d.refuse = func(w http.ResponseWriter, r *http.Request) bool {
				is := (method == "" || r.Method == method) && (at == "" || r.URL.Path == at)
				if is {
					w.Header().Set("Retry-After", "1")
					d.fail(w, code, "WHATEVER", "closed for the night, "+password)
				}
				return is
			}
		}
	}
	elsewhere := func(system, url string) func(testing.TB, *connector.Settings) {
		return func(t testing.TB, set *connector.Settings) { *set = conf(t, system, url) }
	}
	strange := func(t testing.TB, set *connector.Settings) {
		srv := httptest.NewUnstartedServer(d)
		srv.Config.ErrorLog = log.New(io.Discard, "", 0) // it does not like to be refused
		srv.StartTLS()
		t.Cleanup(srv.Close)
		*set = conf(t, path, srv.URL)
	}
	const orders, root = "/srv/shop/Orders", "/srv/shop/"
	return []connectortest.Probe{
		{Name: "well", Arrange: elsewhere(path, d.url)},
		{Name: "well, without a path for probes"},
		{Name: "503 to everything", Arrange: says(path, 503, "", ""), Want: fault.Unavailable, Create: fault.Unavailable, Text: "closed for the night"},
		{Name: "503 to everything, without a path for probes", Arrange: says(bare, 503, "", ""), Want: fault.Unavailable, Create: fault.Unavailable, Text: "closed for the night"},
		{Name: "500 to everything", Arrange: says(path, 500, "", ""), Want: fault.Unavailable, Create: fault.Unavailable, Text: "closed"},
		{Name: "503 to a create alone", Arrange: says(path, 503, "POST", orders), Create: fault.Unavailable},
		{Name: "429 to everything", Arrange: says(path, 429, "", ""), Want: fault.RateLimited, Create: fault.RateLimited},
		{Name: "405 to a probe without a path", Arrange: says(bare, 405, "GET", root)},
		{Name: "501 to a probe without a path", Arrange: says(bare, 501, "GET", root)},
		{Name: "401 to a probe without a path", Arrange: says(bare, 401, "GET", root)},
		{Name: "404 to a probe of its path", Arrange: says(path, 404, "GET", "/srv/shop/$metadata"), Want: fault.NotFound, Text: "404", Create: fault.Unavailable},
		{Name: "401 to everything", Arrange: says(path, 401, "", ""), Want: fault.Auth, Create: fault.Auth, Text: "401"},
		{Name: "connection refused", Arrange: elsewhere(path, "http://127.0.0.1:1"), Want: fault.Unavailable, Create: fault.Unavailable, Text: "refused"},
		{Name: "a name that nobody knows", Arrange: elsewhere(path, "http://shop.invalid"), Want: fault.Unavailable, Create: fault.Unavailable, Text: "shop.invalid"},
		{Name: "a certificate of a stranger", Arrange: strange, Want: fault.Unavailable, Create: fault.Unavailable, Text: "certificate"},
		{Name: "every slot at work", Arrange: func(t testing.TB, set *connector.Settings) {
			*set = conf(t, path+"\nlimit: {concurrency: 1}", d.url)
		}, Busy: func(t testing.TB, sys connector.System) {
			began, free := make(chan struct{}), make(chan struct{})
			d.refuse = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == orders {
					close(began)
					<-free
				}
				return r.URL.Path == orders
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				_, _ = sys.(connector.Sink).Write(t.Context(), connector.Write{Entity: "order", Object: "order", Action: connector.Create, External: "e", Doc: []byte(newDoc(1))})
			}()
			<-began
			t.Cleanup(func() { close(free); <-done })
		}},
	}
}
