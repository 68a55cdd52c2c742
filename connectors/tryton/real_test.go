package tryton

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/connector/connectortest"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/systemtest"
)

// A real Tryton on PostgreSQL.

// running is the one for all tests of the package.
var running = systemtest.Script{Name: "tryton", Needs: "Python and PostgreSQL", Env: []string{"WAYBILL_TRYTON_PASSWORD=" + password}}

// trytonURL is where it is; empty: it was not started.
var trytonURL string

func startTryton(t testing.TB) string {
	t.Helper()
	trytonURL = running.Start(t)
	return trytonURL
}

func stopTryton() error {
	if d := &database; d.cmd != nil {
		_ = d.in.Close()
		_ = d.cmd.Wait()
	}
	return running.Stop()
}

// database is a session of the database, without Tryton.
var database struct {
	sync.Mutex
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// runSQL does something in the database without Tryton, and gives the last line of what it says.
func runSQL(t testing.TB, sql string) string {
	t.Helper()
	d := &database
	d.Lock()
	defer d.Unlock()
	if d.cmd == nil {
		d.cmd = running.Command("sql")
		d.cmd.Stderr = os.Stderr
		out, err := d.cmd.StdoutPipe()
		if err == nil {
			d.out = bufio.NewReader(out)
			d.in, err = d.cmd.StdinPipe()
		}
		if err == nil {
			err = d.cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	const end = "that was all"
	if _, err := fmt.Fprintf(d.in, "%s; SELECT '%s';\n", sql, end); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	last := ""
	for {
		line, err := d.out.ReadString('\n')
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		if line = strings.TrimSpace(line); line == end {
			return last
		}
		last = line
	}
}

// realSide is the real Tryton as the other side, with what it was filled with and nothing else.
func realSide(t testing.TB) *side {
	url := startTryton(t)
	t.Setenv("TRYTON_PASSWORD", password)
	runSQL(t, `DELETE FROM stock_move; DELETE FROM account_move_line; DELETE FROM account_invoice_tax; DELETE FROM account_invoice_line; DELETE FROM account_invoice; DELETE FROM account_move; DELETE FROM stock_shipment_out; DELETE FROM sale_line; DELETE FROM sale_sale;
		DELETE FROM product_list_price WHERE template IN (SELECT id FROM product_template WHERE code NOT LIKE 'SKU-%' OR code IS NULL);
		DELETE FROM product_product WHERE template IN (SELECT id FROM product_template WHERE code NOT LIKE 'SKU-%' OR code IS NULL);
		DELETE FROM product_template WHERE code NOT LIKE 'SKU-%' OR code IS NULL;
		DELETE FROM party_party WHERE id NOT IN (SELECT party FROM company_company)`)
	ids := map[int]string{}
	return &side{
		url: url, steps: []string{"quote", "confirm"}, // which goes on by itself
		put: func(t testing.TB, n, revision int, stamp time.Time) string {
			id := ids[n]
			if id == "" {
				h := open(t, settingsOf(t, config(url, "", "")))
				id = h.create("product", fmt.Sprintf("OUT-%d", n), fmt.Sprintf(`{"name":"Outside %d","type":"goods","default_uom":"u","list_price":1}`, n))
				ids[n] = id
			}
			at := "NULL"
			if !stamp.IsZero() {
				at = "'" + stamp.UTC().Format("2006-01-02 15:04:05.999999") + "'"
			}
			runSQL(t, fmt.Sprintf("UPDATE product_list_price SET list_price = %d WHERE template = %s; UPDATE product_template SET create_date = %s, write_date = %s WHERE id = %s", revision, id, at, at, id))
			return id
		},
		spoil: func(t testing.TB, id string) {
			runSQL(t, "UPDATE product_list_price SET list_price = 'NaN' WHERE template = "+id)
		},
		forget: func(t testing.TB) { runSQL(t, "DELETE FROM ir_session") },
		asks:   func(testing.TB) {}, // of a quantity that is not in stock it asks by itself
	}
}

func TestTryton(t *testing.T) {
	startTryton(t)
	t.Run("suite", func(t *testing.T) {
		connectortest.Run(t, func(t *testing.T) *connectortest.Subject {
			s := subject(realSide(t), settingsOf(t, config(trytonURL, "", "")))
			s.Probes = []connectortest.Probe{{Name: "well"}, {Name: "another database", Want: fault.Unavailable, Create: fault.Unavailable, Text: "database", Arrange: func(t testing.TB, set *connector.Settings) {
				*set = settingsOf(t, strings.Replace(config(trytonURL, "", ""), "database: erp", "database: nobody's", 1))
			}}}
			return s
		})
	})
	t.Run("trade", func(t *testing.T) { testTrade(t, func(t *testing.T) *side { return realSide(t) }) })
	t.Run("goods", testGoods)

}

// testGoods: stock is counted, an order is sold, shipped and invoiced, each by the steps of its own workflow.
func testGoods(t *testing.T) {
	s := realSide(t)
	h := open(t, settingsOf(t, config(s.url, "", "")+`  stock:
    model: product.product
    fields: [code, quantity]
    filter: [[code, like, SKU-%]]
    context: {locations: [`+runSQL(t, "SELECT id FROM stock_location WHERE code = 'WH'")+`], with_childs: true}
    changes: content
  inventory:
    model: stock.inventory
    fields: [location, empty_quantity, state]
    refer: {location: code}
    external: number
    items: {lines: {fields: [product, quantity], refer: {product: code}}}
    steps: {path: [{state: draft}, {state: done, by: confirm}], reach: done}
  shipment:
    model: stock.shipment.out
    fields: [number, customer, state]
    refer: {customer: code}
    external: reference
    steps: {path: [{state: draft}, {state: waiting, by: wait}, {state: assigned, by: assign_try}, {state: picked, by: pick}, {state: packed, by: pack}, {state: done, by: done}]}
  invoice:
    model: account.invoice
    fields: [number, party, type, state, invoice_date, total_amount]
    refer: {party: code}
    external: reference
    steps: {path: [{state: draft}, {state: validated, by: validate_invoice}, {state: posted, by: post}, {state: paid}], aside: {cancelled: cancel}}
`))
	stock := &poller{hub: h, object: "stock"}
	h.create("inventory", externalID(20), `{"location":"STO","empty_quantity":"keep","lines":[{"product":"SKU-001","quantity":100}]}`)
	product := runSQL(t, "SELECT id FROM product_product WHERE code = 'SKU-001'")
	if got := stock.changes(); len(got) != 2 {
		t.Fatalf("the first poll of the stock sees %v", got)
	}
	h.wants("stock", product, `{"code":"SKU-001","quantity":100.0}`)
	h.create("customer", externalID(1), `{"name":"Ann","addresses":[{"street":"1 Main"}]}`)
	order := h.create("order", externalID(7), `{"party":"`+externalID(1)+`","sale_date":"2026-11-30","lines":[{"product":"SKU-001","quantity":3}]}`)
	h.wants("order", order, `{"state":"processing"}`)

	shipments := (&poller{hub: h, object: "shipment"}).changes()
	if len(shipments) != 1 {
		t.Fatalf("shipments %v", shipments)
	}
	h.update("shipment", shipments[0], `{"state":"done"}`)
	h.wants("shipment", shipments[0], `{"state":"done","customer":"`+externalID(1)+`"}`)
	if got := stock.changes(); len(got) != 1 || got[0] != product {
		t.Errorf("%s has left, and the poll of the stock sees %v", product, got)
	}
	h.wants("stock", product, `{"quantity":97.0}`)

	invoices := (&poller{hub: h, object: "invoice"}).changes()
	if len(invoices) != 1 {
		t.Fatalf("invoices %v", invoices)
	}
	h.update("invoice", invoices[0], `{"invoice_date":"2026-11-30","state":"posted"}`)
	h.wants("invoice", invoices[0], `{"state":"posted","type":"out","invoice_date":"2026-11-30","total_amount":71.04}`) // 3 × 19.90 and 19 %
	_, err := h.write(connector.Write{Object: "invoice", Action: connector.Update, Local: invoices[0], Doc: []byte(`{"state":"paid"}`)})
	if f, _ := fault.As(err); f == nil || f.Kind != fault.Invalid || f.Field != "state" {
		t.Errorf("only a payment leads to paid: %v", err)
	}
}

// BenchmarkTrytonCreates makes customers with an address, one call each one after the other, and as they come when all wait at once: in a few calls. It shows both in
// records a second, and their ratio.
func BenchmarkTrytonCreates(b *testing.B) {
	s := realSide(b)
	const each = 100
	var alone, together time.Duration
	n := 0
	for b.Loop() {
		for _, at := range []struct {
			bulk string
			took *time.Duration
		}{{"bulk: 1", &alone}, {"bulk: 100", &together}} {
			h := open(b, settingsOf(b, config(s.url, at.bulk, "")))
			h.bound("customer")
			create := func(i int) error {
				_, err := h.write(connector.Write{Object: "customer", Action: connector.Create, External: fmt.Sprintf("7f3e0000-0000-5000-8000-%012d", n+i), Doc: []byte(`{"name":"Ann","addresses":[{"street":"1 Main","country":"DE"}]}`)})
				return err
			}
			if err := create(each); err != nil { // the session and the country are there
				b.Fatal(err)
			}
			began := time.Now()
			if at.took == &alone {
				for i := range each {
					if err := create(i); err != nil {
						b.Fatal(err)
					}
				}
			} else {
				release := h.sys.queue.Hold()
				var all sync.WaitGroup
				errs := make([]error, each)
				for i := range each {
					all.Go(func() { errs[i] = create(i) })
				}
				for h.sys.queue.Waiting() < each {
					runtime.Gosched()
				}
				release()
				all.Wait()
				if err := errors.Join(errs...); err != nil {
					b.Fatal(err)
				}
			}
			*at.took += time.Since(began)
			n += each + 1
		}
	}
	made := float64(n / (each + 1) / 2 * each)
	b.ReportMetric(made/alone.Seconds(), "alone/s")
	b.ReportMetric(made/together.Seconds(), "together/s")
	b.ReportMetric(alone.Seconds()/together.Seconds(), "ratio")
}
