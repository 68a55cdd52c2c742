package rest

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

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/connector/connectortest"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/store/pgtest"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

func TestMain(m *testing.M) {
	os.Setenv("SHOP_KEY", key)
	os.Exit(pgtest.MainWithoutLeaks(m))
}

func settingsOf(t testing.TB, yaml string) connector.Settings {
	t.Helper()
	var p strictyaml.Problems
	docs := strictyaml.Parse("waybill.yaml", []byte(yaml), &p)
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	return connector.Settings{Name: "shop", Node: docs[0]}
}

// config is the settings for a shop; object holds more lines of the object.
func config(url, object string) string {
	out := `connector: rest
url: ` + url + `/api
auth: {api-key: {header: X-Key, value: "${env:SHOP_KEY}"}}
probe: health
errors: {message: error.message, code: error.code, kinds: {DUPLICATE_CODE: duplicate, PERIOD_CLOSED: invalid}}
objects:
  item:
    path: items
    external-id: externalId
    version: updatedAt
    etag: header
    idempotency-header: Idempotency-Key
`
	for _, line := range strings.Split(strings.TrimSpace(object), "\n") {
		out += "    " + line + "\n"
	}
	return out
}

const common = `
find: {external: {externalId: "{external}"}, natural: {code: "{code}"}}
`

func list(paging, more string) string {
	return common + fmt.Sprintf(`list: {items: items, ids: {parameters: {fields: id}}, paging: {style: %s}, changed-since: {parameter: since, format: rfc3339-ms}%s}`, paging, more)
}

func setClock(sys connector.System, now func() time.Time) {
	sys.(*system).clock = testClock{sys.(*system).clock, now}
}

func newDoc(n int) string {
	return fmt.Sprintf(`{"code":"C-%d","name":"Müller & Söhne \"%d\"","price":12.50,"dims":{"h":1,"w":2},"tags":["a","b"],"rev":1}`, n, n)
}

func TestConformance(t *testing.T) {
	type variant struct {
		name   string
		object string
		set    func(*shop)
	}
	variants := []variant{
		{"page", list("page", ""), nil},
		{"page sorted", list("page", ", order: changed"), func(s *shop) { s.byVersion = true }},
		{"offset", list("offset", ""), func(s *shop) { s.byVersion = true }},
		{"offset exclusive", list("offset", ", order: changed"), func(s *shop) { s.byVersion, s.exclusive = true, true }},
		{"cursor", list("cursor", ""), nil},
		{"next-url", list("next-url", ", conditional: true"), func(s *shop) { s.zone = time.FixedZone("", 8*3600) }},
		{"link", list("link", ""), func(s *shop) { s.exclusive = true }},
		{"none", list("none", ", conditional: true"), nil},
		{"whole list", common + "list: {items: items, paging: {style: page}}", nil},
		{"put", list("page", "") + "\nupdate: {style: put, omit: [updatedAt, lock]}", func(s *shop) { s.put = true }},
		{"wrapped", list("page", "") + "\nget: {item: data}\ncreate: {wrap: data, item: data}\nupdate: {wrap: data, item: data}", func(s *shop) { s.wrapped = true }},
		{"partial answers", list("page", "") + "\ncreate: {answer: partial}\nupdate: {answer: partial}", nil},
	}
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			connectortest.Run(t, func(t *testing.T) *connectortest.Subject {
				s := newShop(t, strings.Fields(v.name)[0])
				switch v.name {
				case "whole list", "put", "wrapped", "partial answers":
					s.paging = "page"
				}
				if v.set != nil {
					v.set(s)
				}
				// Cursors and URLs of the shop are positions: they are only as stable as the list is, which is the service's business.
				return subject(t, s, settingsOf(t, config(s.url, v.object)))
			})
		})
	}
}

func subject(_ *testing.T, s *shop, set connector.Settings) *connectortest.Subject {
	status := func(code int, kind fault.Kind, dup bool) connectortest.Fault {
		return connectortest.Fault{
			Name: fmt.Sprintf("status %d", code), Want: kind, Duplicate: dup,
			Arrange: func(testing.TB, *connector.Settings) {
				s.refuse = func(w http.ResponseWriter, r *http.Request) bool {
					fail(w, code, "WHATEVER", "the key "+key+" was not liked")
					return true
				}
			},
		}
	}
	return &connectortest.Subject{
		Kind: Kind{}, Settings: set, Object: "item", Clock: setClock, External: true, ETags: true, Secrets: []string{key},
		Still: func(sys connector.System, at time.Time) { setClock(sys, func() time.Time { return at }) },
		Refusals: []connectortest.Refusal{{Name: "in the body of a 200", Text: "the period is closed", Arrange: func(testing.TB) {
			s.refuse = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != "GET" {
					fail(w, 200, "PERIOD_CLOSED", "the period is closed")
				}
				return r.Method != "GET"
			}
		}}},
		New:     newDoc,
		Change:  func(n int) string { return fmt.Sprintf(`{"name":"changed %d","price":%d.10}`, n, n) },
		Natural: func(n int) map[string]string { return map[string]string{"code": fmt.Sprintf("C-%d", n)} },
		Put:     func(_ testing.TB, n, revision int, stamp time.Time) string { return s.outside(n, revision, stamp) },
		Bare: func(_ testing.TB, n, revision int) string {
			id := s.outside(n, revision, time.Time{})
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.items[id], "updatedAt")
			return id
		},
		Spoil: func(_ testing.TB, n int, stamp time.Time) string {
			id := s.outside(n, 1, stamp)
			s.mu.Lock()
			defer s.mu.Unlock()
			s.items[id]["name"] = json.RawMessage(`"cut in the middle of a smile \ud83d"`)
			return id
		},
		Revision: func(doc jsondoc.Value) int {
			d, _ := doc.Get("rev").Decimal()
			i, _ := d.Int64()
			return int(i)
		},
		Probes: probes(s),
		Faults: []connectortest.Fault{
			status(400, fault.Invalid, false), status(401, fault.Auth, false), status(403, fault.Invalid, false), status(404, fault.Invalid, false),
			status(409, fault.Conflict, true), status(429, fault.RateLimited, false), status(500, fault.UnknownOutcome, false),
			status(502, fault.UnknownOutcome, false), status(503, fault.Unavailable, false), status(504, fault.UnknownOutcome, false),
			{Name: "natural key taken", Want: fault.Conflict, Duplicate: true, Arrange: func(testing.TB, *connector.Settings) {
				s.outside(1, 1, time.Now())
			}},
			{Name: "refused", Want: fault.Unavailable, Arrange: func(t testing.TB, set *connector.Settings) {
				*set = settingsOf(t, config("http://127.0.0.1:1", common))
			}},
		},
	}
}

// probes are states of a service, with a probe of its own and without one.
func probes(s *shop) []connectortest.Probe {
	const path, bare = "probe: health\n", ""
	conf := func(t testing.TB, head, url string) connector.Settings {
		return settingsOf(t, strings.Replace(config(url, common), path, head, 1))
	}
	says := func(head string, code int, at string) func(testing.TB, *connector.Settings) {
		return func(t testing.TB, set *connector.Settings) {
			*set = conf(t, head, s.url)
			s.refuse = func(w http.ResponseWriter, r *http.Request) bool {
				if at == "" || r.URL.Path == at {
					w.Header().Set("Retry-After", "1")
					fail(w, code, "WHATEVER", "closed for the night, "+key)
				}
				return at == "" || r.URL.Path == at
			}
		}
	}
	elsewhere := func(head, url string) func(testing.TB, *connector.Settings) {
		return func(t testing.TB, set *connector.Settings) { *set = conf(t, head, url) }
	}
	strange := func(t testing.TB, set *connector.Settings) {
		srv := httptest.NewUnstartedServer(s)
		srv.Config.ErrorLog = log.New(io.Discard, "", 0) // it does not like to be refused
		srv.StartTLS()
		t.Cleanup(srv.Close)
		*set = conf(t, path, srv.URL)
	}
	const post = "/api/items"
	return []connectortest.Probe{
		{Name: "well"},
		{Name: "well, without a path for probes", Arrange: elsewhere(bare, s.url)}, // the shop answers 404 there
		{Name: "503 to everything", Arrange: says(path, 503, ""), Want: fault.Unavailable, Create: fault.Unavailable, Text: "closed for the night"},
		{Name: "503 to everything, without a path for probes", Arrange: says(bare, 503, ""), Want: fault.Unavailable, Create: fault.Unavailable, Text: "closed for the night"},
		{Name: "500 to everything", Arrange: says(path, 500, ""), Want: fault.Unavailable, Create: fault.UnknownOutcome, Text: "closed"},
		{Name: "502 to everything, without a path for probes", Arrange: says(bare, 502, ""), Want: fault.Unavailable, Create: fault.UnknownOutcome, Text: "502"},
		{Name: "503 to a create alone", Arrange: says(path, 503, post), Create: fault.Unavailable},
		{Name: "503 to a create alone, without a path for probes", Arrange: says(bare, 503, post), Create: fault.Unavailable},
		{Name: "429 to everything", Arrange: says(path, 429, ""), Want: fault.RateLimited, Create: fault.RateLimited},
		{Name: "405 to a probe without a path", Arrange: says(bare, 405, "/api/")},
		{Name: "501 to a probe without a path", Arrange: says(bare, 501, "/api/")},
		{Name: "401 to a probe without a path", Arrange: says(bare, 401, "/api/")},
		{Name: "404 to a probe of its path", Arrange: says(path, 404, "/api/health"), Want: fault.NotFound, Text: "404"},
		{Name: "401 to everything", Arrange: says(path, 401, ""), Want: fault.Auth, Create: fault.Auth, Text: "401"},
		{Name: "connection refused", Arrange: elsewhere(path, "http://127.0.0.1:1"), Want: fault.Unavailable, Create: fault.Unavailable, Text: "refused"},
		{Name: "a name that nobody knows", Arrange: elsewhere(path, "http://shop.invalid"), Want: fault.Unavailable, Create: fault.Unavailable, Text: "shop.invalid"},
		{Name: "a certificate of a stranger", Arrange: strange, Want: fault.Unavailable, Create: fault.Unavailable, Text: "certificate"},
		{Name: "every slot at work", Arrange: func(t testing.TB, set *connector.Settings) {
			*set = conf(t, path+"limit: {concurrency: 1}\n", s.url)
		}, Busy: func(t testing.TB, sys connector.System) {
			began, free := make(chan struct{}), make(chan struct{})
			s.refuse = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == post {
					close(began)
					<-free
				}
				return r.URL.Path == post
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				_, _ = sys.(connector.Sink).Write(t.Context(), connector.Write{Entity: "order", Object: "item", Action: connector.Create, External: "e", Doc: []byte(newDoc(1))})
			}()
			<-began
			t.Cleanup(func() { close(free); <-done })
		}},
	}
}
