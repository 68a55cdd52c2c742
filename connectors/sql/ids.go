package sql

import (
	"context"
	"database/sql"
	"iter"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
)

var _ connector.IDLister = (*database)(nil)

// idsPage is how many ids are read at once.
const idsPage = 5000

// ListsIDs reports that the ids of every table can be read alone.
func (db *database) ListsIDs(string) bool { return true }

// ListIDs reads the ids of all rows that have one, in their order.
func (db *database) ListIDs(ctx context.Context, object string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		o, err := db.object(object)
		if err != nil {
			yield("", err)
			return
		}
		if err := db.learn(ctx, "list the ids of "+o.name, o, false); err != nil {
			yield("", err)
			return
		}
		for last := ""; ; {
			page, err := db.idsBehind(ctx, o, last)
			if err != nil {
				yield("", err)
				return
			}
			for _, id := range page {
				if last = id; !yield(id, nil) {
					return
				}
			}
			if len(page) < idsPage {
				return
			}
		}
	}
}

// idsBehind gives the page of ids behind one.
func (db *database) idsBehind(ctx context.Context, o *object, last string) (ids []string, err error) {
	op := "list the ids of " + o.name
	st := db.statementOn(o, "", "SELECT "+db.keyShown(o, of)+" FROM "+o.table+" t WHERE "+o.keyWhole())
	if last != "" {
		v, err := db.idValues(o, last, db.bindOwn)
		if err != nil {
			return nil, db.fail(fault.Invalid, op, "id: %s", err)
		}
		st.WriteString(" AND " + db.dialect.behindID(st, o, v))
	}
	st.WriteString(" ORDER BY " + db.dialect.orderID(o, false))
	st.limit(idsPage)
	ctx, cancel := context.WithTimeout(ctx, db.set.Timeout)
	defer cancel()
	tx, err := db.reading(ctx)
	if err != nil {
		return nil, db.classify(op, o, false, err)
	}
	defer tx.Rollback() //nolint:errcheck // it only read
	ids, err = db.ids(ctx, tx, o, st)
	return ids, db.classify(op, o, false, err)
}

// ids runs a SELECT of the columns of the id.
func (db *database) ids(ctx context.Context, tx *sql.Tx, o *object, st *statement) (out []string, _ error) {
	rs, err := tx.QueryContext(ctx, st.String(), st.args...)
	if err != nil {
		return nil, err
	}
	defer rs.Close()
	for rs.Next() {
		id, _, err := db.scanKey(o, rs) // none is null, and what else is wrong with a row is said where it is read
		if err != nil {
			return nil, err
		}
		out = append(out, id)
	}
	return out, rs.Err()
}

// texts gives the one column of rows.
func texts(rs *sql.Rows, err error) (out []string, _ error) {
	if err != nil {
		return nil, err
	}
	defer rs.Close()
	for rs.Next() {
		var one string
		if err := rs.Scan(&one); err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, rs.Err()
}
