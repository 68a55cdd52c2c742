package sandbox

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// outside opens the ERP's database as the hub does, with nothing but the path.
func (w *World) outside(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+w.Env()[EnvERPDB]+"?_txlock=immediate&_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func run(t *testing.T, db *sql.DB, query string, args ...any) int64 {
	t.Helper()
	res, err := db.ExecContext(t.Context(), query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	id, err := res.LastInsertId()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func one(t *testing.T, db *sql.DB, query string, args ...any) string {
	t.Helper()
	var s string
	if err := db.QueryRowContext(t.Context(), query, args...).Scan(&s); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return s
}

const insertCustomer = "INSERT INTO customers(external_ref, name, tax_no, country, currency) VALUES (?, 'Atlas', '91', 'DEU', 'EUR')"

func insertOrder(t *testing.T, db *sql.DB, customer int64, skus ...string) int64 {
	t.Helper()
	id := run(t, db, "INSERT INTO sales_orders(external_ref, source_order_no, customer_id, order_date, currency, shipping_method, net_amount) VALUES (?, 'ORD-1', ?, '2026-11-21', 'EUR', 'STD', ?)",
		fmt.Sprint("o-", time.Now().UnixNano()), customer, fmt.Sprintf("%d.50", 10*len(skus)))
	for i, sku := range skus {
		run(t, db, "INSERT INTO sales_order_lines(order_id, line_no, sku, quantity, uom, unit_price, line_amount) VALUES (?, ?, ?, '2', 'EA', '5.00', '10.00')", id, 10*(i+1), sku)
	}
	return id
}

// The published columns and the tables agree.
func TestERPColumns(t *testing.T) {
	w := quiet(t, Options{NoHooks: true})
	db := w.outside(t)
	check := func(table string, want []string) {
		rows, err := readTable(t.Context(), db, "SELECT name FROM pragma_table_info('"+table+"')")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range rows {
			got = append(got, text(r["name"]))
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s has %v, published are %v", table, got, want)
		}
	}
	for _, table := range erpTables {
		var cols []string
		for _, f := range table.Fields {
			cols = append(cols, f.Name)
		}
		check(table.Name, cols)
		if table.Child != "" {
			cols = []string{"id", table.Parent}
			for _, f := range table.Lines {
				cols = append(cols, f.Name)
			}
			check(table.Child, cols)
		}
	}
}

func TestERPNumbersAndVersions(t *testing.T) {
	w := quiet(t, Options{NoHooks: true, Items: 3})
	w.Freeze()
	db := w.outside(t)
	customer := run(t, db, insertCustomer, "c-1")
	if no := one(t, db, "SELECT customer_no FROM customers WHERE external_ref = 'c-1'"); no != "C-000001" {
		t.Errorf("number %s", no)
	}
	sku := productAt(1, 1).sku
	order := insertOrder(t, db, customer, sku, sku)
	version := func() string { return one(t, db, "SELECT row_version FROM sales_orders WHERE id = ?", order) }
	if no := one(t, db, "SELECT order_no FROM sales_orders WHERE id = ?", order); no != "SO-2026-000001" {
		t.Errorf("number %s", no)
	}
	before := version()
	run(t, db, "UPDATE sales_order_lines SET quantity = '3' WHERE order_id = ? AND line_no = 10", order)
	if after := version(); len(after) < len(before) || after <= before && len(after) == len(before) {
		t.Errorf("a changed line leaves the order at version %s (was %s)", after, before)
	}
	if n := one(t, db, "SELECT COUNT(*) - COUNT(DISTINCT row_version) FROM (SELECT row_version FROM customers UNION ALL SELECT row_version FROM items UNION ALL SELECT row_version FROM sales_orders)"); n != "0" {
		t.Errorf("%s versions are not unique", n)
	}
	var got []string
	for e, err := range w.Logs(ERP) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Actor == "api" {
			got = append(got, e.Method+" "+e.Object+" "+e.External)
		} else if e.Object != "items" {
			t.Errorf("the ERP itself wrote %+v", e)
		}
	}
	if len(got) != 5 || got[0] != "INSERT customers c-1" || got[4] != "UPDATE sales_order_lines " {
		t.Errorf("logged %q", got)
	}
	if by := one(t, db, "SELECT DISTINCT updated_by FROM items"); by != "erp" {
		t.Errorf("items were written by %s", by)
	}
}

func TestERPRefuses(t *testing.T) {
	w := quiet(t, Options{NoHooks: true, Items: 1})
	w.Freeze()
	db := w.outside(t)
	customer := run(t, db, insertCustomer, "c-1")
	order := insertOrder(t, db, customer, productAt(1, 1).sku)
	for name, query := range map[string]string{
		"external id taken": strings.ReplaceAll(insertCustomer, "?", "'c-1'"),
		"no name":           "INSERT INTO customers(name, tax_no, country, currency) VALUES (' ', '1', 'DEU', 'EUR')",
		"country":           "INSERT INTO customers(name, tax_no, country, currency) VALUES ('a', '1', 'DE', 'EUR')",
		"terms":             "UPDATE customers SET payment_terms = 'NET30'",
		"amount":            "UPDATE customers SET credit_limit = '1,000'",
		"negative":          "UPDATE sales_order_lines SET unit_price = '-1'",
		"no customer":       "UPDATE sales_orders SET customer_id = 99",
		"no item":           fmt.Sprintf("INSERT INTO sales_order_lines(order_id, line_no, sku, quantity, uom, unit_price, line_amount) VALUES (%d, 20, 'none', '1', 'EA', '1', '1')", order),
		"no order":          "INSERT INTO shipments(shipment_no, order_id, tracking_no, shipped_at) VALUES ('1', 99, '1', '2026-11-21T00:00:00Z')",
		"date":              "UPDATE sales_orders SET order_date = '21.11.2026'",
		"currency":          "UPDATE sales_orders SET currency = 'XXX'",
	} {
		if _, err := db.ExecContext(t.Context(), query); err == nil {
			t.Errorf("%s: was taken", name)
		}
	}
	run(t, db, "UPDATE sales_orders SET status = 'CONF'")
	if _, err := db.ExecContext(t.Context(), "UPDATE sales_orders SET status = 'NEW'"); err == nil {
		t.Error("a confirmed order became new again")
	}
}

// An order goes from new to paid by the ERP's own life, once the warehouse's shipments are posted from outside.
func TestERPLife(t *testing.T) {
	// The dice are the seed's: one customer pays, the other never does.
	ended := map[bool]bool{}
	for seed := int64(1); len(ended) < 2; seed++ {
		if pays := roll(seed, "pays", "INV-2026-000001") < .8; !ended[pays] {
			ended[pays] = true
			t.Run(fmt.Sprintf("pays %t", pays), func(t *testing.T) { testERPLife(t, seed, pays) })
		}
	}
}

func testERPLife(t *testing.T, seed int64, pays bool) {
	w := quiet(t, Options{Only: []string{ERP}, Seed: seed, Items: 2, Pace: .01})
	db := w.outside(t)
	customer := run(t, db, insertCustomer, "c-1")
	sku := productAt(seed, 1).sku
	order := insertOrder(t, db, customer, sku, sku)
	w.until(t, "confirmed", func() bool { return one(t, db, "SELECT status FROM sales_orders") == "CONF" })
	ship := func(no string, line int) {
		// Header and line in one transaction, as the hub writes them: the ERP must not post half a shipment.
		tx, err := db.Begin()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = tx.Rollback() }()
		res, err := tx.Exec("INSERT INTO shipments(shipment_no, order_id, tracking_no, shipped_at) VALUES (?, ?, ?, '2026-11-21T00:00:00Z')", no, order, "T"+no)
		if err != nil {
			t.Fatal(err)
		}
		id, err := res.LastInsertId()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec("INSERT INTO shipment_lines(shipment_id, line_no, sku, quantity) VALUES (?, ?, ?, '2')", id, line, sku); err != nil {
			t.Fatal(err)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	ship("1", 10)
	w.until(t, "partly shipped", func() bool { return one(t, db, "SELECT status FROM sales_orders") == "PART" })
	ship("2", 20)
	w.until(t, "invoiced", func() bool { return one(t, db, "SELECT COUNT(*) FROM invoices") == "1" })
	if got := one(t, db, "SELECT invoice_no || ' ' || net_amount || ' ' || tax_amount || ' ' || gross_amount FROM invoices"); got != "INV-2026-000001 20.50 2.67 23.17" {
		t.Errorf("invoice %s", got)
	}
	if n := one(t, db, "SELECT COUNT(*) FROM invoice_lines"); n != "2" {
		t.Errorf("%s lines", n)
	}
	w.settle(t)
	want := "INV OPEN 23.17"
	if pays {
		want = "PAID PAID 0.00"
	}
	if got := one(t, db, "SELECT o.status || ' ' || i.status || ' ' || i.open_amount FROM sales_orders o, invoices i"); got != want {
		t.Errorf("in the end %s, want %s", got, want)
	}
	if got := one(t, db, "SELECT tracking_no FROM sales_orders"); got != "T2" {
		t.Errorf("tracking number %s", got)
	}
}

// until waits for something that a system does by itself.
func (w *World) until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(60 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("gave up waiting: %s; pending %v", what, w.Pending())
		}
	}
}

func TestERPLock(t *testing.T) {
	w := quiet(t, Options{NoHooks: true})
	w.Freeze()
	ctx, cancel := context.WithCancel(t.Context())
	held := make(chan error, 1)
	go func() { held <- w.erp.lock(ctx, time.Hour) }()
	db, err := sql.Open("sqlite", "file:"+w.Env()[EnvERPDB]+"?_pragma=busy_timeout(1)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	w.until(t, "locked", func() bool {
		_, err := db.ExecContext(t.Context(), insertCustomer, fmt.Sprint(time.Now().UnixNano()))
		return err != nil && strings.Contains(err.Error(), "locked")
	})
	cancel()
	if err := <-held; err != nil && ctx.Err() == nil {
		t.Error(err)
	}
	w.until(t, "free again", func() bool {
		_, err := db.ExecContext(t.Context(), insertCustomer, "free")
		return err == nil
	})
}
