package soap

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/waybill-hub/waybill/connectors/rest"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/connector/connectortest"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

func TestMain(m *testing.M) {
	os.Setenv("ITEMS_PASSWORD", password)
	os.Setenv("WRONG_PASSWORD", "a-password-of-nobody")
	goleak.VerifyTestMain(m)
}

func settingsOf(t testing.TB, yaml string) connector.Settings {
	t.Helper()
	var p strictyaml.Problems
	docs := strictyaml.Parse("waybill.yaml", []byte(yaml), &p)
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	return connector.Settings{Name: "items", Node: docs[0]}
}

func config(url, version string) string {
	return `connector: soap
url: ` + url + `
envelope: ` + version + `
username-token: {user: hub, password: "${env:ITEMS_PASSWORD}"}
namespaces: {it: urn:example:items}
errors: {code: Fault.detail.ItemFault.code, kinds: {EXISTS: duplicate, GONE: not-found, STALE: conflict, MISSING: invalid}}
objects:
  item:
    external-id: externalId
    version: changed
    etag-field: lock
    lists: [tags.tag]
    types: {price: decimal, rev: integer}
    get: {action: "urn:example:items:GetItem", request: {it:GetItem: {it:id: "{$id}"}}, item: GetItemResponse.item}
    list:
      action: "urn:example:items:ListItems"
      request:
        it:ListItems: {it:since: "{$since}", it:code: "{$code}", it:externalId: "{$externalId}", it:page: "{$page}", it:size: "{$size}"}
      items: ListItemsResponse.item
      order: changed
      paging: {style: page, size-parameter: size, last: ListItemsResponse.last}
      changed-since: {parameter: since, format: rfc3339-ms}
    find: {external: {externalId: "{external}"}, natural: {code: "{code}"}}
    create:
      action: "urn:example:items:CreateItem"
      request:
        it:CreateItem:
          it:item:
            it:code: "{code}"
            it:name: "{name}"
            it:price: "{price}"
            it:rev: "{rev}"
            it:tags: {it:tag: {$each: tags.tag, "#text": "{.}"}}
            it:externalId: "{externalId}"
      item: CreateItemResponse.item
      answer: complete
    update:
      action: "urn:example:items:UpdateItem"
      request: {it:UpdateItem: {it:id: "{$id}", it:item: {it:name: "{name}", it:price: "{price}", it:lock: "{lock}"}}}
      item: UpdateItemResponse.item
      answer: complete
    delete: {action: "urn:example:items:DeleteItem", request: {it:DeleteItem: {it:id: "{$id}"}}}
`
}

// testClock shows another time than the one that timers go by.
type testClock struct {
	lifecycle.Clock
	now func() time.Time
}

func (c testClock) Now() time.Time { return c.now() }

func setClock(sys connector.System, now func() time.Time) {
	rest.SetClock(sys, testClock{lifecycle.Real(), now})
}

func newDoc(n int) string {
	return fmt.Sprintf(`{"code":"C-%d","name":"Müller & Söhne <\"%d\">","price":12.50,"rev":1,"tags":{"tag":["a"]}}`, n, n)
}

// subject is what the double and the real service share; the settings, and what is done there without SOAP, are added.
func subject() *connectortest.Subject {
	return &connectortest.Subject{
		Kind: Kind{}, Object: "item", Clock: setClock, External: true, ETags: true, Secrets: []string{password},
		Still:   func(sys connector.System, at time.Time) { setClock(sys, func() time.Time { return at }) },
		New:     newDoc,
		Change:  func(n int) string { return fmt.Sprintf(`{"name":"changed %d","price":%d.10}`, n, n) },
		Natural: func(n int) map[string]string { return map[string]string{"code": fmt.Sprintf("C-%d", n)} },
		Revision: func(doc jsondoc.Value) int {
			d, _ := doc.Get("rev").Decimal()
			i, _ := d.Int64()
			return int(i)
		},
	}
}

func TestConformance(t *testing.T) {
	for _, version := range []string{"soap11", "soap12"} {
		t.Run(version, func(t *testing.T) {
			connectortest.Run(t, func(t *testing.T) *connectortest.Subject {
				d := newDouble(t)
				s := subject()
				s.Settings = settingsOf(t, config(d.url, version))
				put := func(n int, rev, changed string) string {
					it := &xmlItem{ID: fmt.Sprint(1000 + n), Code: fmt.Sprintf("C-%d", n), Rev: rev, Lock: "1", Changed: changed}
					d.outside(it)
					return it.ID
				}
				s.Put = func(_ testing.TB, n, revision int, stamp time.Time) string {
					return put(n, fmt.Sprint(revision), stampText(stamp))
				}
				s.Bare = func(_ testing.TB, n, revision int) string { return put(n, fmt.Sprint(revision), "") }
				s.Spoil = func(_ testing.TB, n int, stamp time.Time) string { return put(n, "one", stampText(stamp)) }
				space := map[string]string{"soap11": ns11, "soap12": ns12}[version]
				answer := func(status int, body string) func(testing.TB, *connector.Settings) {
					return func(testing.TB, *connector.Settings) {
						d.refuse = func(w http.ResponseWriter, _ *http.Request, _ string) bool {
							w.WriteHeader(status)
							fmt.Fprint(w, body)
							return true
						}
					}
				}
				s.Refusals = []connectortest.Refusal{{Name: "a fault in a 200", Text: "the period is closed", Arrange: func(t testing.TB) {
					d.refuse = func(w http.ResponseWriter, _ *http.Request, body string) bool {
						if strings.Contains(body, "CreateItem") || strings.Contains(body, "UpdateItem") || strings.Contains(body, "DeleteItem") {
							fmt.Fprint(w, faultOf(space, "Client", "the period is closed", ""))
							return true
						}
						return false
					}
				}}}
				s.Probes = []connectortest.Probe{
					{Name: "well"}, // it answers 405 to a GET
					{Name: "503 to everything", Arrange: answer(503, "closed for the night"), Want: fault.Unavailable, Create: fault.Unavailable, Text: "closed for the night"},
					{Name: "a fault to every call", Create: fault.UnknownOutcome, Arrange: func(testing.TB, *connector.Settings) {
						d.refuse = func(w http.ResponseWriter, r *http.Request, _ string) bool {
							if r.Method != http.MethodPost {
								return false
							}
							w.WriteHeader(500)
							fmt.Fprint(w, faultOf(space, "Server", "out of order", ""))
							return true
						}
					}},
					{Name: "connection refused", Want: fault.Unavailable, Create: fault.Unavailable, Text: "refused", Arrange: func(t testing.TB, set *connector.Settings) {
						*set = settingsOf(t, config("http://127.0.0.1:1", version))
					}},
				}
				s.Faults = []connectortest.Fault{
					{Name: "a wrong password", Want: fault.Auth, Arrange: func(t testing.TB, set *connector.Settings) {
						*set = settingsOf(t, strings.Replace(config(d.url, version), "ITEMS_PASSWORD", "WRONG_PASSWORD", 1))
					}},
					{Name: "a code that is taken", Want: fault.Conflict, Duplicate: true, Arrange: func(testing.TB, *connector.Settings) { put(1, "1", stampText(time.Now())) }},
					{Name: "the sender's fault", Want: fault.Invalid, Arrange: answer(500, faultOf(space, "Client", "no", ""))},
					{Name: "the receiver's fault", Want: fault.UnknownOutcome, Arrange: answer(500, faultOf(space, "Server", "no", ""))},
					{Name: "a fault under 429", Want: fault.RateLimited, Arrange: answer(429, faultOf(space, "Server", "slowly", ""))},
					{Name: "a fault under 503", Want: fault.Unavailable, Arrange: answer(503, faultOf(space, "Server", "later", ""))},
					{Name: "a web page", Want: fault.UnknownOutcome, Arrange: answer(200, "<!DOCTYPE html><html>welcome, "+password+"</html>")},
					{Name: "half an answer", Want: fault.UnknownOutcome, Arrange: answer(200, envelope(space, "<CreateItemResponse><item>")[:80])},
					{Name: "another protocol's answer", Want: fault.UnknownOutcome, Arrange: answer(200, `{"id":1}`)},
				}
				return s
			})
		})
	}
}

func open(t testing.TB, yaml string) connector.System {
	t.Helper()
	sys, err := Kind{}.Open(context.Background(), settingsOf(t, yaml))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sys.Close() })
	return sys
}
