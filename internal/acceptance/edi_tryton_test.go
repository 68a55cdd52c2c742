package acceptance

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/edi"
	"github.com/waybill-hub/waybill/internal/systemtest"
)

// newExchange makes the project of a folder in testdata, with a partner's folders on a real SFTP server, and gives what its settings need of the environment.
func newExchange(t *testing.T, name string) (p *project, server *systemtest.OpenSSH, env map[string]string) {
	t.Helper()
	server = systemtest.StartOpenSSH(t)
	p = &project{dir: t.TempDir(), http: freePort(t), hooks: freePort(t)}
	if err := os.CopyFS(p.dir, os.DirFS("testdata/"+name)); err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile(p.path("configs/waybill.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	p.write(t, "configs/waybill.yaml", strings.NewReplacer("HTTP", p.http, "HOOKS", p.hooks, "DIR", p.dir).Replace(string(config)))
	key, err := os.ReadFile(server.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	p.write(t, "keys/acme", string(key))
	for _, dir := range []string{"to-us", "from-us"} {
		if err := os.MkdirAll(p.path("exchange/"+dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return p, server, map[string]string{"ACME_PORT": server.Port(), "ACME_USER": server.User, "ACME_HOST_KEY": server.Fingerprint()}
}

// bring lets the partner put a file.
func (p *project) bring(t *testing.T, server *systemtest.OpenSSH, name, text string) {
	t.Helper()
	p.write(t, "partner/"+name, text)
	server.Put(t, p.path("partner/"+name), p.path("exchange/to-us/"+name))
}

// check holds that the project passes as people would have it checked.
func (p *project) check(t *testing.T, env map[string]string) {
	t.Helper()
	var all []string
	for k, v := range env {
		all = append(all, k+"="+v)
	}
	if out, errs, code := waybillWith(t, p.dir, all, "check", "."); code != 0 {
		t.Fatalf("%s%s", out, errs)
	}
}

// awaits is await, and ends at once where a message is parked.
func (h *hub) awaits(what string, holds func() bool) {
	h.t.Helper()
	parked := false
	h.await(what, 5*time.Minute, func() bool {
		parked = h.status().Totals.Parked > 0
		return parked || holds()
	})
	if parked {
		out, _, _ := waybill(h.t, h.p.dir, "parked", "list", "--url", "http://"+h.p.http)
		h.t.Fatalf("parked before %s:\n%s", what, out)
	}
}

// tells keeps what receivers of alerts are told.
type tells struct {
	mu   sync.Mutex
	said []alerted
}

type alerted struct{ Change, What, Subject string }

func (r *tells) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	var told struct{ Alerts []alerted }
	err := json.NewDecoder(q.Body).Decode(&told)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	r.said = append(r.said, told.Alerts...)
	w.WriteHeader(http.StatusNoContent)
}

func (r *tells) has(change, subject string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.said, alerted{change, "source", subject})
}

// trytonUser works in Tryton as a person does.
type trytonUser struct {
	t       *testing.T
	url     string
	session string
}

func newTrytonUser(t *testing.T, url string) *trytonUser {
	u := &trytonUser{t: t, url: url}
	var login []any
	u.call("common.db.login", &login, "hub", map[string]string{"password": trytonPassword}, "en")
	u.session = base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "hub:%v:%v", login[0], login[1]))
	return u
}

func (u *trytonUser) call(method string, into any, params ...any) {
	u.t.Helper()
	if strings.HasPrefix(method, "model.") {
		params = append(params, map[string]any{"company": 1})
	}
	body, err := json.Marshal(map[string]any{"id": 1, "method": method, "params": params})
	if err != nil {
		u.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(u.t.Context(), http.MethodPost, u.url+"/erp/", bytes.NewReader(body))
	if err != nil {
		u.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if u.session != "" {
		req.Header.Set("Authorization", "Session "+u.session)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		u.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer := struct {
		Result json.RawMessage `json:"result"`
		Error  json.RawMessage `json:"error"`
	}{}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Error != nil {
		u.t.Fatalf("%s: %s %s %v", method, resp.Status, answer.Error, err)
	}
	if into != nil {
		if err := json.Unmarshal(answer.Result, into); err != nil {
			u.t.Fatalf("%s: %s: %v", method, answer.Result, err)
		}
	}
}

// TestEDITryton: a partner's 850 comes by SFTP and is a sale in a real Tryton, with its price; its confirmation, its ship notice and its invoice go back by SFTP as 855, 856 and 810. The order is acknowledged with a 997, and so are
// the first two by the partner. The invoice is not, which the status and an alert tell until it is.
func TestEDITryton(t *testing.T) {
	url, sql := tryton(t)
	p, server, env := newExchange(t, "edi-tryton")
	duty := &tells{}
	srv := httptest.NewServer(duty)
	t.Cleanup(srv.Close)
	env["TRYTON_URL"], env["TRYTON_PASSWORD"], env["DUTY_URL"] = url, trytonPassword, srv.URL
	p.check(t, env)

	user := newTrytonUser(t, url)
	var parties []int
	user.call("model.party.party.create", &parties, []any{map[string]any{"name": "ACME RETAIL", "addresses": []any{[]any{"create", []any{map[string]any{"street": "700 Dock Rd", "city": "Dallas"}}}}}})
	h := p.run(t, env)
	p.write(t, "known.csv", fmt.Sprintf("entity,acme,erp\ncustomer,0010100001,%d\n", parties[0]))
	h.await("the customer, who is linked", 2*time.Minute, func() bool {
		_, _, code := waybill(t, p.dir, "link", "known.csv", "--url", "http://"+p.http)
		return code == 0
	})

	sample, err := os.ReadFile("../edi/testdata/x12/850.edi")
	if err != nil {
		t.Fatal(err)
	}
	order := strings.NewReplacer("VP*TG11", "VP*SKU-001", "VP*TG12", "VP*SKU-002").Replace(string(sample))
	p.bring(t, server, "order.edi", order)
	h.awaits("the order in Tryton, its confirmation and its acknowledgement", func() bool {
		return p.has("exchange/from-us/855-*.edi") && p.has("exchange/from-us/997-acme-*")
	})
	if got, want := sql("SELECT s.state, s.description, string_agg(p.code || ' ' || trim_scale(l.quantity::numeric) || ' x ' || trim_scale(l.unit_price), ', ' ORDER BY p.code) FROM sale_sale s JOIN sale_line l ON l.sale = s.id JOIN product_product p ON p.id = l.product GROUP BY 1, 2"),
		"processing|PO-1001|SKU-001 24 x 52.75, SKU-002 10 x 7.5"; got != want {
		t.Errorf("Tryton has %s, want %s", got, want)
	}

	var shipments, invoices []int
	user.call("model.stock.shipment.out.search", &shipments, []any{[]any{"state", "=", "waiting"}}, 0, nil, nil)
	user.call("model.account.invoice.search", &invoices, []any{[]any{"state", "=", "draft"}}, 0, nil, nil)
	if len(shipments) != 1 || len(invoices) != 1 {
		t.Fatalf("Tryton has the shipments %v and the invoices %v", shipments, invoices)
	}
	for _, step := range []string{"assign_force", "pick", "pack", "done"} {
		user.call("model.stock.shipment.out."+step, nil, shipments)
	}
	today := time.Now().UTC()
	user.call("model.account.invoice.write", nil, invoices, map[string]any{"invoice_date": map[string]any{"__class__": "date", "year": today.Year(), "month": int(today.Month()), "day": today.Day()}})
	user.call("model.account.invoice.post", nil, invoices)
	h.awaits("the ship notice and the invoice", func() bool {
		return p.has("exchange/from-us/856-*.edi") && p.has("exchange/from-us/810-*.edi")
	})

	numbers := map[string]string{}
	sent := map[string]*edi.Message{}
	for _, kind := range []string{"855", "856", "810", "997"} {
		m, text := p.sent(t, "exchange/from-us/"+kind+"-*")
		sent[kind] = m
		if other := numbers[m.Group.Control]; other != "" {
			t.Errorf("%s and %s have one number", kind, other)
		}
		numbers[m.Group.Control] = kind
		for _, want := range map[string][]string{
			"855": {"BAK*00*AD*PO-1001*20260115****1~", "PO1*1*24.0*EA*52.75*PE*VP*SKU-001~", "PO1*2*10.0*EA*7.5*PE*VP*SKU-002~", "CTT*2~"},
			"856": {"PRF*PO-1001~", "VP*SKU-001~", "SN1**24.0*EA~", "SN1**10.0*EA~", "CTT*4~"},
			"810": {"*PO-1001*", "IT1*1*24.0*EA*52.75*PE*VP*SKU-001~", "TDS*159579~", "TXI*ST*254.79~"},
			"997": {"AK1*PO*1~", "AK2*850*0001~", "AK5*A~", "AK9*A*1*1*1~"},
		}[kind] {
			if !bytes.Contains(text, []byte(want)) {
				t.Errorf("the %s lacks %s:\n%s", kind, want, text)
			}
		}
	}

	ack, err := os.ReadFile("../edi/testdata/x12/997.edi")
	if err != nil {
		t.Fatal(err)
	}
	acknowledge := func(kind string) {
		g := sent[kind].Group
		p.bring(t, server, "ack-"+kind+".edi", strings.NewReplacer("SUPPLIERCO     *ZZ*ACMERETAIL     ", "ACMERETAIL     *ZZ*SUPPLIERCO     ", "000000006", "000000"+kind,
			"AK1*PO*1", "AK1*"+g.Code+"*"+g.Control, "AK2*850", "AK2*"+kind).Replace(string(ack)))
	}
	acknowledge("855")
	acknowledge("856")
	missing := "810 " + sent["810"].Group.Control + " to acme"
	unanswered := func() (out []string) {
		for _, f := range h.status().Flows {
			for _, r := range f.Remarks {
				if f.Name == "partner-orders" && r.Kind == "unanswered" {
					out = append(out, fmt.Sprint(r.Count, " ", r.Local))
				}
			}
		}
		return out
	}
	h.awaits("that the invoice alone is not acknowledged", func() bool { return slices.Equal(unanswered(), []string{"1 " + missing}) })
	h.awaits("that it is told", func() bool { return duty.has("raised", "partner-orders (unanswered)") })
	acknowledge("810")
	h.awaits("the last acknowledgement", func() bool { return len(unanswered()) == 0 })
	h.awaits("that it is told to be over", func() bool { return duty.has("over", "partner-orders (unanswered)") })
	if got, err := filepath.Glob(p.path("exchange/to-us/done/*.edi")); err != nil || len(got) != 4 {
		t.Errorf("taken are %q", got)
	}
	if text := h.text(); strings.Contains(text, "of nothing that was sent") {
		t.Errorf("an acknowledgement was not matched:\n%s", tail(text, 2000))
	}
	st := h.status()
	checkTotals(t, st)
	if st.Totals.Parked != 0 || st.Totals.Waiting != 0 {
		out, _, _ := waybill(t, p.dir, "parked", "list", "--url", "http://"+p.http)
		t.Errorf("%d messages are parked, %d wait:\n%s", st.Totals.Parked, st.Totals.Waiting, out)
	}
	if code := h.stop(); code != 0 {
		t.Errorf("the hub ended with %d", code)
	}
}
