package sql

import (
	"context"
	"database/sql"
	"errors"

	"github.com/waybill-hub/waybill/internal/connector"
)

// submit writes a change as a new row of an interface table.
func (c *change) submit(ctx context.Context, tx *sql.Tx) error {
	it := c.o.Interface
	if it.IdempotencyKey != "" && c.w.IdempotencyKey != "" {
		id, err := c.submitted(ctx, tx)
		if err != nil || id != "" {
			c.result.Local = id
			return err
		}
		c.set(it.IdempotencyKey, c.w.IdempotencyKey)
	}
	if it.Status != "" {
		c.set(it.Status, it.Value)
	}
	if it.Operation != "" {
		c.set(it.Operation, string(c.w.Action))
	}
	if c.w.Action == connector.Create {
		if c.o.ExternalID != "" && c.w.External != "" {
			if err := c.refuseTwin(ctx, tx); err != nil {
				return err
			}
		}
	} else if it.Reference != "" {
		c.set(it.Reference, c.w.Local)
	}
	id, err := c.insert(ctx, tx)
	if err != nil {
		return err
	}
	if err := c.children(ctx, tx, id, true); err != nil {
		return err
	}
	c.result.Local = c.w.Local
	if c.w.Action == connector.Create {
		return c.readBack(ctx, tx, id)
	}
	return nil
}

// submitted finds the row that this very change made earlier.
func (c *change) submitted(ctx context.Context, tx *sql.Tx) (id string, err error) {
	st := c.db.statementOn(c.o, "", "SELECT "+c.db.dialect.shown(c.o, "", c.o.ID, quote(c.o.ID))+" FROM "+c.o.table+" WHERE ")
	st.WriteString(c.db.dialect.is(st, quote(c.o.Interface.IdempotencyKey), "text", c.w.IdempotencyKey) + c.db.dialect.limit("1", false))
	err = tx.QueryRowContext(ctx, st.String(), st.args...).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err == nil && c.w.Action != connector.Create {
		id = c.w.Local
	}
	return id, err
}
