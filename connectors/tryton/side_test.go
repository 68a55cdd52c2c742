package tryton

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/connector/connectortest"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

func TestMain(m *testing.M) {
	os.Setenv("TRYTON_PASSWORD", password)
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if err := stopTryton(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
		os.Exit(code)
	}))
}

// side is the other side of the connector: a double or a real Tryton, and what happens there without the hub.
type side struct {
	url   string
	put   func(t testing.TB, n, revision int, stamp time.Time) string
	spoil func(t testing.TB, id string)
	// forget ends every session there; ids are those of what the database was filled with, by name.
	forget func(t testing.TB)
	// steps are the methods that it takes from a draft to processing.
	steps []string
	// asks says which order is asked about: a quantity that Tryton wants a person to confirm.
	asks func(t testing.TB)
}

func settingsOf(t testing.TB, yaml string) connector.Settings {
	t.Helper()
	var p strictyaml.Problems
	docs := strictyaml.Parse("waybill.yaml", []byte(yaml), &p)
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	return connector.Settings{Name: "erp", Node: docs[0]}
}

// config is the settings of the tests; system holds more lines of the system, and product of the product.
func config(url, system, product string) string {
	if !strings.Contains(product, "refer:") {
		product += "\n    refer: {default_uom: symbol}"
	}
	return `connector: tryton
url: ` + url + `
database: erp
user: hub
password: "${env:TRYTON_PASSWORD}"
` + system + `
objects:
  customer:
    model: party.party
    fields: [name, active]
    external: code
    items:
      addresses: {fields: [street, city, country], refer: {country: code}, key: [street], on-update: replace, stamps: true}
  order:
    model: sale.sale
    fields: [party, invoice_address, sale_date, description, state]
    refer: {party: code}
    external: reference
    on-change: [party]
    items:
      lines:
        fields: [product, quantity, unit, unit_price, taxes]
        refer: {product: code, unit: symbol, taxes: name}
        on-change: [product, quantity]
        key: [product]
        on-update: keep
    steps:
      path:
        - {state: draft}
        - {state: quotation, by: quote}
        - {state: confirmed, by: confirm}
        - {state: processing, by: process}
        - {state: done}
      aside: {cancelled: cancel}
      reach: processing
  product:
    model: product.template
    fields: [name, type, active, list_price, default_uom]
    external: code
    filter: [[code, not like, SKU-%]]
    items: {products: {fields: [suffix_code]}}
    ` + strings.TrimSpace(product) + "\n"
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
	return fmt.Sprintf(`{"name":"Müller & Söhne \"%d\" 'x' 50%% a_b \\","type":"goods","list_price":12.50,"default_uom":"u","active":true,"products":[{"suffix_code":"-A"},{"suffix_code":"-B"}]}`, n)
}

// subject is what the suite of all connectors needs of a side.
func subject(s *side, set connector.Settings) *connectortest.Subject {
	return &connectortest.Subject{
		Kind: Kind{}, Settings: set, Object: "product", Clock: setClock, External: true, ETags: true, Folds: true, Secrets: []string{password, "key-of-session"},
		Still:  func(sys connector.System, at time.Time) { setClock(sys, func() time.Time { return at }) },
		New:    newDoc,
		Change: func(n int) string { return fmt.Sprintf(`{"name":"changed %d","list_price":%d.10}`, n, n) },
		Natural: func(n int) map[string]string {
			return map[string]string{"name": fmt.Sprintf("Müller & Söhne \"%d\" 'x' 50%% a_b \\", n)}
		},
		Put:  s.put,
		Bare: func(t testing.TB, n, revision int) string { return s.put(t, n, revision, time.Time{}) },
		Spoil: func(t testing.TB, n int, stamp time.Time) string {
			id := s.put(t, n, 1, stamp)
			s.spoil(t, id)
			return id
		},
		Revision: func(doc jsondoc.Value) int {
			n, _ := doc.Get("list_price").Decimal()
			i, _ := n.Trim().Int64()
			return int(i)
		},
	}
}

// line stands between the hub and the other side, and loses what it is told to.
type line struct {
	url string

	mu sync.Mutex
	// lose is how many answers of a method are lost: it is made, and the hub does not hear of it. close is how many calls of it are answered with 503 in the
	// server's place.
	lose, close map[string]int
	made        []string
}

func newLine(t testing.TB, to string) *line {
	l := &line{lose: map[string]int{}, close: map[string]int{}}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var call struct {
			Method string `json:"method"`
		}
		_ = json.Unmarshal(body, &call)
		name := strings.TrimPrefix(call.Method, "model.")
		l.mu.Lock()
		closed := l.close[name] > 0
		if closed {
			l.close[name]--
		}
		lost := !closed && l.lose[name] > 0
		if lost {
			l.lose[name]--
		}
		if !closed {
			l.made = append(l.made, name)
		}
		l.mu.Unlock()
		if closed {
			w.WriteHeader(503)
			return
		}
		req, _ := http.NewRequest(r.Method, to+r.URL.Path, bytes.NewReader(body))
		req.Header = r.Header.Clone()
		resp, err := client.Do(req)
		if err != nil {
			w.WriteHeader(502)
			return
		}
		defer resp.Body.Close()
		answer, _ := io.ReadAll(resp.Body)
		if lost {
			panic(http.ErrAbortHandler)
		}
		for _, h := range []string{"Content-Type", "Date"} {
			w.Header().Set(h, resp.Header.Get(h))
		}
		w.WriteHeader(resp.StatusCode)
		_, _ = w.Write(answer)
	}))
	t.Cleanup(srv.Close)
	l.url = srv.URL
	return l
}

// count is how often a method has reached the other side.
func (l *line) count(name string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.made {
		if m == name {
			n++
		}
	}
	return n
}

// hub is an open system for tests.
type hub struct {
	testing.TB
	sys *system
}

func open(t testing.TB, set connector.Settings) *hub {
	t.Helper()
	sys, err := Kind{}.Open(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sys.Close() })
	return &hub{t, sys.(*system)}
}

func (h *hub) write(w connector.Write) (connector.Result, error) {
	return h.sys.Write(h.Context(), w)
}

func (h *hub) create(object, external, doc string) string {
	h.Helper()
	r, err := h.write(connector.Write{Object: object, Action: connector.Create, External: external, Doc: []byte(doc)})
	if err != nil {
		h.Fatalf("create %s: %v", object, err)
	}
	return r.Local
}

func (h *hub) update(object, local, doc string) {
	h.Helper()
	if _, err := h.write(connector.Write{Object: object, Action: connector.Update, Local: local, Doc: []byte(doc)}); err != nil {
		h.Fatalf("update %s %s: %v", object, local, err)
	}
}

func (h *hub) find(l connector.Lookup) []connector.Record {
	h.Helper()
	found, err := h.sys.Find(h.Context(), l)
	if err != nil {
		h.Fatalf("find %+v: %v", l, err)
	}
	return found
}

// wants checks that everything of a document is there.
func (h *hub) wants(object, local, doc string) {
	h.Helper()
	found := h.find(connector.Lookup{Object: object, Local: local})
	if len(found) != 1 || found[0].Err != nil {
		h.Fatalf("%s %s: %+v", object, local, found)
	}
	got, err := jsondoc.Parse(found[0].Doc, jsondoc.Limits{})
	if err != nil {
		h.Fatal(err)
	}
	want, err := jsondoc.Parse([]byte(doc), jsondoc.Limits{})
	if err != nil {
		h.Fatal(err)
	}
	if at := lacks(got.Root(), want.Root()); at != "" {
		h.Errorf("%s %s lacks %s:\n%s\nwants %s", object, local, at, found[0].Doc, doc)
	}
}

// lacks is the first place where got does not hold what want does.
func lacks(got, want jsondoc.Value) string {
	switch want.Kind() {
	case jsondoc.Object:
		for name, w := range want.Members() {
			if at := lacks(got.Get(name), w); at != "" {
				return name + " " + at
			}
		}
	case jsondoc.Array:
		if got.Len() != want.Len() {
			return fmt.Sprintf("(%d elements)", got.Len())
		}
		for i := range want.Len() {
			if at := lacks(got.Index(i), want.Index(i)); at != "" {
				return fmt.Sprint(i, " ", at)
			}
		}
	default:
		if !got.Equal(want) {
			return "= " + string(want.Raw())
		}
	}
	return ""
}

// poller reads changes as the hub does.
type poller struct {
	*hub
	object, cursor string
}

// changes gives the ids of what has changed since it was asked last.
func (p *poller) changes() []string {
	p.Helper()
	var out []string
	for {
		page, err := p.sys.Poll(p.Context(), connector.PollRequest{Object: p.object, Cursor: p.cursor, Overlap: time.Minute})
		if err != nil {
			p.Fatal(err)
		}
		for _, r := range page.Records {
			out = append(out, r.Local)
		}
		if p.cursor = page.Cursor; !page.More {
			return out
		}
	}
}
