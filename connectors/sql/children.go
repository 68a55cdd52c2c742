package sql

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// children writes the lists that the document holds; a list that it does not hold stays as it is. fresh: the row is new,
// there is nothing to replace.
func (c *change) children(ctx context.Context, tx *sql.Tx, id string, fresh bool) error {
	for _, name := range c.o.childrenNames {
		list := c.doc.Get(name)
		if list.Kind() == jsondoc.Missing {
			continue
		}
		if list.Kind() != jsondoc.Array && list.Kind() != jsondoc.Null {
			return c.invalid("%s: is no list (%s)", name, list.Kind())
		}
		parent, err := c.db.idValues(c.o, id, c.db.bindText)
		if err != nil {
			return c.invalid("the id that the database gave: %s", err)
		}
		rows := &childRows{change: c, child: c.o.Children[name], parent: parent, list: list}
		if err := rows.write(ctx, tx, fresh); err != nil {
			return err
		}
	}
	return nil
}

// childRows is one list's work.
type childRows struct {
	*change
	child  *child
	parent []any // the id's columns
	list   jsondoc.Value
}

func (r *childRows) write(ctx context.Context, tx *sql.Tx, fresh bool) error {
	switch {
	case fresh:
	case r.child.OnUpdate == "merge":
		return r.merge(ctx, tx)
	default:
		st := r.db.statementOn(r.o, r.child.name, "DELETE FROM "+r.child.table+" WHERE ")
		st.WriteString(r.ofParent(st))
		if _, err := tx.ExecContext(ctx, st.String(), st.args...); err != nil {
			return err
		}
	}
	return r.each(func(_ int, names []string, values []any) error { return r.insert(ctx, tx, names, values) })
}

// ofParent is the condition that a row is of the object's row.
func (r *childRows) ofParent(st *statement) string {
	return st.keyIs(r.o, r.child.Parent, quote, r.parent)
}

// each gives every row's columns.
func (r *childRows) each(do func(i int, names []string, values []any) error) error {
	i := 0
	for item := range r.list.Elements() {
		at := fmt.Sprintf("%s.%d", r.child.name, i)
		if item.Kind() != jsondoc.Object {
			return r.invalid("%s: is no object (%s)", at, item.Kind())
		}
		var names []string
		var values []any
		for name, v := range item.Members() {
			typ, ok := r.child.Columns[name]
			if !ok {
				return r.invalid("%s: %q is no column", at, short(name))
			}
			value, err := r.db.bind(typ, v)
			if err != nil {
				return r.invalid("%s.%s: %s", at, name, err)
			}
			names, values = append(names, name), append(values, value)
		}
		if err := do(i, names, values); err != nil {
			return err
		}
		i++
	}
	return nil
}

func (r *childRows) insert(ctx context.Context, tx *sql.Tx, names []string, values []any) error {
	st := r.db.statementOn(r.o, r.child.name, "INSERT INTO "+r.child.table+" ("+r.child.Parent.each(quote, ", "))
	for _, name := range names {
		st.WriteString(", " + quote(name))
	}
	st.WriteString(") VALUES (")
	for i, v := range r.parent {
		if i > 0 {
			st.WriteString(", ")
		}
		st.WriteString(r.put(st, r.o.Key[i], v))
	}
	for i, v := range values {
		st.WriteString(", " + r.db.dialect.put(st, r.child.Columns[names[i]], v))
	}
	st.WriteString(")")
	_, err := tx.ExecContext(ctx, st.String(), st.args...)
	return on(r.child.Table, err)
}

// merge changes rows in place by their key, adds new ones, and removes those that the document no longer has.
func (r *childRows) merge(ctx context.Context, tx *sql.Tx) error {
	keep := map[any]bool{}
	if err := r.remove(ctx, tx, keep); err != nil {
		return err
	}
	return r.each(func(i int, names []string, values []any) error {
		k := indexOf(names, r.child.Key)
		if k < 0 || values[k] == nil {
			return r.invalid("%s.%d: %q is missing, which the rows are merged by", r.child.name, i, r.child.Key)
		}
		n, err := r.updateRow(ctx, tx, k, names, values)
		if err != nil || n > 0 {
			return err
		}
		return r.insert(ctx, tx, names, values)
	})
}

// remove deletes the rows whose key the document does not have.
func (r *childRows) remove(ctx context.Context, tx *sql.Tx, seen map[any]bool) error {
	var keys []any
	err := r.each(func(i int, names []string, values []any) error {
		k := indexOf(names, r.child.Key)
		if k < 0 || values[k] == nil {
			return r.invalid("%s.%d: %q is missing, which the rows are merged by", r.child.name, i, r.child.Key)
		}
		if seen[values[k]] {
			return r.invalid("%s: two rows have the %s %v", r.child.name, r.child.Key, values[k])
		}
		seen[values[k]] = true
		keys = append(keys, values[k])
		return nil
	})
	if err != nil {
		return err
	}
	if len(keys) > 30_000 {
		return r.db.fail(fault.Invalid, r.op, "%s: too many rows to merge", r.child.name)
	}
	st := r.db.statementOn(r.o, r.child.name, "DELETE FROM "+r.child.table+" WHERE ")
	st.WriteString(r.ofParent(st))
	if len(keys) > 0 {
		st.WriteString(" AND " + r.db.dialect.outside(st, quote(r.child.Key), r.child.Columns[r.child.Key], keys))
	}
	_, err = tx.ExecContext(ctx, st.String(), st.args...)
	return err
}

func (r *childRows) updateRow(ctx context.Context, tx *sql.Tx, key int, names []string, values []any) (int64, error) {
	st := r.db.statementOn(r.o, r.child.name, "UPDATE "+r.child.table+" SET ")
	for i, name := range names {
		if i > 0 {
			st.WriteString(", ")
		}
		st.WriteString(quote(name) + " = " + r.db.dialect.put(st, r.child.Columns[name], values[i]))
	}
	st.WriteString(" WHERE " + r.ofParent(st) + " AND " + r.db.dialect.is(st, quote(r.child.Key), r.child.Columns[r.child.Key], values[key]))
	return r.db.dialect.affected(ctx, tx, st)
}

func indexOf(names []string, name string) int {
	for i, n := range names {
		if n == name {
			return i
		}
	}
	return -1
}
