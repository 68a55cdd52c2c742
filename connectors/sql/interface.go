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
		if err != nil {
			return err
		}
		if id != "" {
			return c.submittedAs(ctx, tx, id)
		}
		if c.lost = c.db.remembers(c.w.IdempotencyKey); c.lost {
			return c.invalid("the row of %s that this change made is gone, and nothing says what became of it: look in the system, and discard the message where it has taken the row in; a replay adds another row", c.o.Table)
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
	c.row = id
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
	return id, err
}

// submittedAs: the row is there. It is the change's own, and set to be taken in anew where the system has refused it.
func (c *change) submittedAs(ctx context.Context, tx *sql.Tx, id string) error {
	c.row, c.result.Local = id, id
	if c.w.Action != connector.Create {
		c.result.Local = c.w.Local
	}
	if len(c.o.Interface.Done) == 0 {
		return nil
	}
	said, err := c.taken(ctx, tx, id)
	if err != nil || said.state != rowRefused || c.db.remembers(c.w.IdempotencyKey) {
		return err
	}
	return c.anew(ctx, tx, id, said.status)
}

// anew sets a refused row to what the change says now, and to be taken in. One whose status is another one by now is the system's, and left alone.
func (c *change) anew(ctx context.Context, tx *sql.Tx, id, refused string) error {
	it := c.o.Interface
	c.set(it.Status, it.Value)
	if it.Error != "" {
		c.set(it.Error, nil)
	}
	key, err := c.db.bindText(c.o.Columns[c.o.ID], id)
	if err != nil {
		return c.invalid("the id of the row: %s", err)
	}
	st := c.db.statementOn(c.o, "", "UPDATE "+c.o.table+" SET ")
	for i, name := range c.names {
		if i > 0 {
			st.WriteString(", ")
		}
		st.WriteString(quote(name) + " = " + c.put(st, name, c.values[i]))
	}
	st.WriteString(" WHERE " + c.db.dialect.is(st, quote(c.o.ID), c.o.Columns[c.o.ID], key))
	st.WriteString(" AND " + c.db.dialect.is(st, quote(it.Status), c.o.Columns[it.Status], refused))
	if n, err := c.db.dialect.affected(ctx, tx, st); err != nil || n == 0 {
		return err
	}
	return c.children(ctx, tx, id, false)
}
