package sandbox

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
)

// Drift is a change that was made past everything that tells of changes: no stamp, no version, no webhook. So a restored table, a script in the database or an
// import does it.
type Drift struct {
	System, Entity string
	// Key is the object's business key, What the field or what became of the object.
	Key, What string
}

func (d Drift) String() string {
	return fmt.Sprintf("%s: %s %s: %s", d.System, d.Entity, d.Key, d.What)
}

// ErrNothingToDrift: there is no object yet that a hub has brought.
var ErrNothingToDrift = errors.New("no object is there that was brought by a hub")

// DriftKinds is how many kinds of drift there are.
const DriftKinds = 4

// Drift changes an object that a hub has brought into a system, past it. turn chooses the kind and the object: with the same turn another run does the same to
// the same objects.
func (w *World) Drift(ctx context.Context, turn int) (Drift, error) {
	switch turn % DriftKinds {
	case 0:
		return w.crm.drift("products", "product", "ProductCode", "Name", turn, func(doc map[string]any) { doc["Name"] = fmt.Sprint(doc["Name"], " (old)") })
	case 1:
		return w.erp.drift(ctx, turn)
	case 2:
		return w.crm.drift("invoices", "invoice", "InvoiceNumber", "Balance", turn, func(doc map[string]any) { doc["Balance"] = json.Number("0.07") })
	}
	return w.crm.drift("products", "product", "ProductCode", "it is gone", turn, func(doc map[string]any) { doc["IsDeleted"] = true })
}

// drift changes an object in memory, and in memory alone.
func (c *crm) drift(table, entity, key, what string, turn int, change func(doc map[string]any)) (Drift, error) {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	t := c.m.tables[table]
	for i := range t.ids {
		r := t.rows[t.ids[(i+turn*7)%len(t.ids)]]
		if r.deleted || r.external == "" {
			continue
		}
		doc, err := decode(r.raw)
		if err != nil {
			return Drift{}, err
		}
		change(doc)
		raw, err := json.Marshal(doc)
		if err != nil {
			return Drift{}, err
		}
		now := *r // readers keep the row that they have
		now.raw = raw
		now.deleted, _ = doc[c.m.d.deleted].(bool)
		t.rows[r.id] = &now
		return Drift{System: CRM, Entity: entity, Key: text(doc[key]), What: what}, nil
	}
	return Drift{}, ErrNothingToDrift
}

// drift changes a customer's city, and gives the row the version that it had.
func (e *erp) drift(ctx context.Context, turn int) (d Drift, err error) {
	err = e.tx(ctx, func(tx *sql.Tx) error {
		var id, version int64
		var no, city string
		err := tx.QueryRowContext(ctx, `SELECT id, row_version, tax_no, COALESCE(city, '') FROM customers WHERE external_ref IS NOT NULL ORDER BY id
			LIMIT 1 OFFSET ? % MAX(1, (SELECT COUNT(*) FROM customers WHERE external_ref IS NOT NULL))`, turn*7).Scan(&id, &version, &no, &city)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNothingToDrift
		}
		if err != nil {
			return err
		}
		if _, err = tx.ExecContext(ctx, "UPDATE customers SET city = ? WHERE id = ?", city+" (old)", id); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "UPDATE customers SET row_version = ? WHERE id = ?", version, id)
		d = Drift{System: ERP, Entity: "customer", Key: no, What: "city"}
		return err
	})
	return d, err
}
