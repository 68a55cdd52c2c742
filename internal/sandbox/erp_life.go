package sandbox

import (
	"context"
	"database/sql"
	"fmt"
	"math/big"
	"math/rand/v2"
	"strconv"
	"time"
)

// seed puts in the items and customers that were there before.
func (e *erp) seed(ctx context.Context) error {
	var n int
	if err := e.rw.QueryRowContext(ctx, "SELECT COUNT(*) FROM items").Scan(&n); err != nil || n > 0 {
		return err
	}
	return e.tx(ctx, func(tx *sql.Tx) error {
		for i := range e.o.Items {
			if err := e.newItem(ctx, tx, i+1); err != nil {
				return err
			}
		}
		for i := range e.o.ERPCustomers {
			if err := e.newCustomer(ctx, tx, rng(e.o.Seed, "erp-seed", strconv.Itoa(i)), i); err != nil {
				return err
			}
		}
		return nil
	})
}

func (e *erp) newItem(ctx context.Context, tx *sql.Tx, n int) error {
	p := productAt(e.o.Seed, n)
	_, err := tx.ExecContext(ctx, "INSERT INTO items(sku, description, long_text, family, uom, list_price, currency, weight_kg) VALUES (?,?,?,?,?,?,?,?)",
		p.sku, p.name, p.name+" / "+p.chinese, p.family, erpUnits[p.unit], cents(p.price), "CNY", decimal(big.NewRat(p.grams, 1000), 3))
	return err
}

func (e *erp) newCustomer(ctx context.Context, tx *sql.Tx, r *rand.Rand, n int) error {
	c := newCompany(e.o.Seed, r, "erp-"+strconv.Itoa(n))
	terms := pick(r, erpTerms)
	if e.imp.chance(e.imp.Chaos().UnknownCodes, "terms") {
		terms = "N45"
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO customers(name, tax_no, street, city, region, postal_code, country, email, phone, contact_name, contact_email,
		contact_phone, currency, credit_limit, payment_terms, status) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`,
		c.name, c.tax, c.street, c.city, c.region, c.zip, erpCountries[c.country], c.email, c.phone, c.contact, c.contactEmail, c.contactPhone, c.currency,
		cents(int64(1+r.IntN(100))*100_000), terms, "A")
	return err
}

// act is one thing that somebody does in the ERP.
func (e *erp) act(ctx context.Context, _ int64, r *rand.Rand) error {
	return e.tx(ctx, func(tx *sql.Tx) error {
		switch v := r.IntN(100); {
		case v < 25:
			var n int
			if err := tx.QueryRowContext(ctx, "SELECT COALESCE(MAX(id), 0) FROM customers").Scan(&n); err != nil {
				return err
			}
			return e.newCustomer(ctx, tx, r, n)
		case v < 55:
			return e.editCustomer(ctx, tx, r)
		case v < 70:
			var n int
			if err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM items").Scan(&n); err != nil {
				return err
			}
			return e.newItem(ctx, tx, n+1)
		case v < 82:
			return e.countConsignment(ctx, tx, r)
		default:
			return e.editItem(ctx, tx, r)
		}
	})
}

// some gives the id of a row, 0 when there is none.
func some(ctx context.Context, tx *sql.Tx, r *rand.Rand, table string) (id int64, err error) {
	var top int64
	if err := tx.QueryRowContext(ctx, "SELECT COALESCE(MAX(id), 0) FROM "+table).Scan(&top); err != nil || top == 0 {
		return 0, err
	}
	err = tx.QueryRowContext(ctx, "SELECT id FROM "+table+" WHERE id >= ? ORDER BY id LIMIT 1", 1+r.Int64N(top)).Scan(&id)
	return id, err
}

// editCustomer changes what the ERP owns.
func (e *erp) editCustomer(ctx context.Context, tx *sql.Tx, r *rand.Rand) error {
	id, err := some(ctx, tx, r, "customers")
	if err != nil || id == 0 {
		return err
	}
	set, value := "credit_limit", any(cents(int64(1+r.IntN(200))*50_000))
	switch r.IntN(3) {
	case 0:
		set, value = "payment_terms", pick(r, erpTerms)
	case 1:
		set, value = "status", []string{"A", "A", "A", "H", "B"}[r.IntN(5)]
	}
	_, err = tx.ExecContext(ctx, "UPDATE customers SET "+set+" = ? WHERE id = ? AND payment_terms <> 'N45'", value, id)
	return err
}

func (e *erp) editItem(ctx context.Context, tx *sql.Tx, r *rand.Rand) error {
	id, err := some(ctx, tx, r, "items")
	if err != nil || id == 0 {
		return err
	}
	if r.IntN(8) == 0 {
		_, err = tx.ExecContext(ctx, "UPDATE items SET blocked = 1 - blocked WHERE id = ?", id)
		return err
	}
	_, err = tx.ExecContext(ctx, "UPDATE items SET list_price = ? WHERE id = ?", cents(100+r.Int64N(99900)), id)
	return err
}

// consignment is the one stock that the ERP keeps itself: goods at customers, of which no warehouse knows.
const consignment = "CONS1"

func (e *erp) countConsignment(ctx context.Context, tx *sql.Tx, r *rand.Rand) error {
	id, err := some(ctx, tx, r, "items")
	if err != nil || id == 0 {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO stock(sku, warehouse, on_hand, counted_at) SELECT sku, ?, ?, strftime('%Y-%m-%dT%H:%M:%fZ','now') FROM items WHERE id = ?
		ON CONFLICT (sku, warehouse) DO UPDATE SET on_hand = excluded.on_hand, counted_at = excluded.counted_at`, consignment, strconv.Itoa(r.IntN(90)), id)
	return err
}

// live does what follows from what is there.
func (e *erp) live(ctx context.Context) error {
	e.beats++
	c := e.imp.Chaos()
	if c.Lock > 0 && roll(e.o.Seed, "lock", strconv.FormatInt(e.beats, 10)) < c.Lock*e.traffic.beat.Seconds() {
		if err := e.lock(ctx, time.Duration(float64(ms(c.LockMS, 1500))*roll(e.o.Seed, "lock-for", strconv.FormatInt(e.beats, 10)))); err != nil {
			return err
		}
	}
	for _, step := range []struct {
		due string
		do  func(context.Context, *sql.Tx) error
	}{
		{"SELECT EXISTS(SELECT 1 FROM sales_orders WHERE status = 'NEW' AND created_at <= " + ago(e.o.pace(400*time.Millisecond)) + ")", e.confirm},
		{"SELECT EXISTS(SELECT 1 FROM shipments WHERE posted = 0)", e.post},
		{"SELECT EXISTS(SELECT 1 FROM sales_orders WHERE status = 'SHIP' AND updated_at <= " + ago(e.o.pace(500*time.Millisecond)) + ")", e.invoice},
	} {
		var due bool
		if err := e.ro.QueryRowContext(ctx, step.due).Scan(&due); err != nil {
			return err
		}
		if due {
			if err := e.tx(ctx, func(tx *sql.Tx) error { return step.do(ctx, tx) }); err != nil {
				return err
			}
		}
	}
	return e.pay(ctx)
}

// ago is a time in the past as SQL.
func ago(d time.Duration) string {
	return fmt.Sprintf("strftime('%%Y-%%m-%%dT%%H:%%M:%%fZ','now','-%.3f seconds')", d.Seconds())
}

// lock is somebody's open transaction: nobody else can write.
func (e *erp) lock(ctx context.Context, d time.Duration) error {
	tx, err := e.rw.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	pause(ctx, d)
	return tx.Rollback()
}

func (e *erp) confirm(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, `UPDATE sales_orders SET status = 'CONF', confirmed_at = `+sqlNow+` WHERE id IN (
		SELECT id FROM sales_orders WHERE status = 'NEW' AND created_at <= `+ago(e.o.pace(400*time.Millisecond))+` LIMIT 100)`)
	return err
}

// post brings what the warehouse shipped into the order's status.
func (e *erp) post(ctx context.Context, tx *sql.Tx) error {
	docs, err := queryTx(ctx, tx, "SELECT id, order_id, tracking_no FROM shipments WHERE posted = 0 ORDER BY id LIMIT 100")
	if err != nil {
		return err
	}
	for _, d := range docs {
		var open int
		err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM sales_order_lines l WHERE l.order_id = ?1 AND CAST(l.quantity AS REAL) > 0.0005 + COALESCE((
			SELECT SUM(CAST(s.quantity AS REAL)) FROM shipment_lines s JOIN shipments h ON h.id = s.shipment_id
			WHERE h.order_id = ?1 AND s.line_no = l.line_no), 0)`, d[1]).Scan(&open)
		if err != nil {
			return err
		}
		status := "SHIP"
		if open > 0 {
			status = "PART"
		}
		if _, err := tx.ExecContext(ctx, "UPDATE sales_orders SET status = ?, tracking_no = ? WHERE id = ? AND status IN ('NEW','CONF','PART')", status, d[2], d[1]); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE shipments SET posted = 1 WHERE id = ?", d[0]); err != nil {
			return err
		}
	}
	return nil
}

// invoice writes the invoices of orders that are shipped.
func (e *erp) invoice(ctx context.Context, tx *sql.Tx) error {
	docs, err := queryTx(ctx, tx, `SELECT id, customer_id, currency, net_amount FROM sales_orders WHERE status = 'SHIP' AND updated_at <= `+ago(e.o.pace(500*time.Millisecond))+` ORDER BY id LIMIT 50`)
	if err != nil {
		return err
	}
	now := time.Now().UTC()
	for _, d := range docs {
		net, ok := rat(d[3])
		if !ok {
			return fmt.Errorf("order %v: net amount %v is no number", d[0], d[3])
		}
		tax, _ := rat(decimal(new(big.Rat).Mul(net, big.NewRat(13, 100)), 2))
		gross := decimal(new(big.Rat).Add(net, tax), 2)
		res, err := tx.ExecContext(ctx, "INSERT INTO invoices(order_id, customer_id, invoice_date, due_date, currency, net_amount, tax_amount, gross_amount, open_amount) VALUES (?,?,?,?,?,?,?,?,?)",
			d[0], d[1], now.Format(time.DateOnly), now.AddDate(0, 0, 30).Format(time.DateOnly), d[2], decimal(net, 2), decimal(tax, 2), gross, gross)
		if err != nil {
			return err
		}
		id, err := res.LastInsertId()
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO invoice_lines(invoice_id, line_no, sku, description, quantity, uom, unit_price, line_amount)
			SELECT ?, line_no, sku, description, quantity, uom, unit_price, line_amount FROM sales_order_lines WHERE order_id = ? ORDER BY line_no`, id, d[0]); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE sales_orders SET status = 'INV' WHERE id = ?", d[0]); err != nil {
			return err
		}
	}
	return nil
}

type payable struct {
	id, order    int64
	no, currency string
	open, gross  *big.Rat
	payments     int
	partial      bool
}

// duePayments are the invoices that somebody is going to pay, changed at least that long ago: four of five, one of seven
// of them in two parts.
func (e *erp) duePayments(ctx context.Context, age time.Duration) ([]payable, error) {
	rows, err := e.ro.QueryContext(ctx, `SELECT id, order_id, invoice_no, currency, open_amount, gross_amount, status = 'PART' FROM invoices
		WHERE status <> 'PAID' AND updated_at <= `+ago(age))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []payable
	for rows.Next() {
		var p payable
		var open, gross string
		if err := rows.Scan(&p.id, &p.order, &p.no, &p.currency, &open, &gross, &p.payments); err != nil {
			return nil, err
		}
		var ok1, ok2 bool
		p.open, ok1 = rat(open)
		p.gross, ok2 = rat(gross)
		pays := roll(e.o.Seed, "pays", p.no)
		if pays < .8 && ok1 && ok2 {
			p.partial = pays < .12 && p.payments == 0
			out = append(out, p)
		}
	}
	return out, rows.Err()
}

func (e *erp) pay(ctx context.Context) error {
	due, err := e.duePayments(ctx, e.o.pace(700*time.Millisecond))
	if err != nil || len(due) == 0 {
		return err
	}
	return e.tx(ctx, func(tx *sql.Tx) error {
		for _, p := range due[:min(len(due), 50)] {
			amount, status := p.open, "PAID"
			if p.partial {
				amount, _ = rat(decimal(new(big.Rat).Mul(p.gross, big.NewRat(2, 5)), 2))
				status = "PART"
			}
			method := erpMethods[int(roll(e.o.Seed, "method", p.no)*3)]
			if _, err := tx.ExecContext(ctx, "INSERT INTO payments(invoice_id, paid_on, amount, currency, method) VALUES (?,?,?,?,?)",
				p.id, today(), decimal(amount, 2), p.currency, method); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, "UPDATE invoices SET open_amount = ?, status = ? WHERE id = ?", decimal(new(big.Rat).Sub(p.open, amount), 2), status, p.id); err != nil {
				return err
			}
			if status == "PAID" {
				if _, err := tx.ExecContext(ctx, "UPDATE sales_orders SET status = 'PAID' WHERE id = ?", p.order); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// queryTx reads rows completely, so that the transaction may go on.
func queryTx(ctx context.Context, tx *sql.Tx, query string) ([][]any, error) {
	rows, err := tx.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	cols, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	var out [][]any
	for rows.Next() {
		values := make([]any, len(cols))
		into := make([]any, len(cols))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		out = append(out, values)
	}
	return out, rows.Err()
}
