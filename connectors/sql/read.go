package sql

import (
	"cmp"
	"context"
	"iter"
	"strconv"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
)

// pageSize is how many rows a poll or list reads at once where nothing else is asked for.
const pageSize = 500

// look runs a SELECT in a transaction that sees one state of the database.
func (db *database) look(ctx context.Context, op string, o *object, st *statement) ([]*row, error) {
	ctx, cancel := context.WithTimeout(ctx, db.set.Timeout)
	defer cancel()
	tx, err := db.reading(ctx)
	if err != nil {
		return nil, db.classify(op, o, false, err)
	}
	defer tx.Rollback() //nolint:errcheck // it only read
	out, err := db.fetch(ctx, tx, o, st)
	return out, db.classify(op, o, false, err)
}

// found runs a SELECT as look does, and gives its rows as others see them; those that cannot be read have an Err.
func (db *database) found(ctx context.Context, op string, o *object, st *statement) ([]connector.Record, error) {
	now := db.clock.Now()
	version := ""
	if o.Capture != nil { // as of a moment before the look: whatever the log brings from then on is newer
		var err error
		if version, err = db.capture.version(ctx); err != nil {
			return nil, db.classify(op, o, false, err)
		}
	}
	rows, err := db.look(ctx, op, o, st)
	if err != nil {
		return nil, err
	}
	out := make([]connector.Record, len(rows))
	for i, r := range rows {
		if out[i] = db.present(o, r, now); version != "" {
			out[i].Version = version
		}
	}
	return out, nil
}

// List reads every row by id, or what changed since where there is a version, and rows without one. A row that cannot be read is listed
// with its Err.
func (db *database) List(ctx context.Context, object string, since time.Time) iter.Seq2[connector.Record, error] {
	return func(yield func(connector.Record, error) bool) {
		o, err := db.object(object)
		if err != nil {
			yield(connector.Record{}, err)
			return
		}
		if err := db.learn(ctx, "list "+o.name, o, false); err != nil {
			yield(connector.Record{}, err)
			return
		}
		for last := ""; ; {
			page, err := db.listed(ctx, o, since, last)
			if err != nil {
				yield(connector.Record{}, err)
				return
			}
			next := ""
			for _, r := range page {
				if !yield(r, nil) {
					return
				}
				next = cmp.Or(r.Local, next)
			}
			if len(page) < pageSize || next == "" {
				return
			}
			last = next
		}
	}
}

// listed gives the page of a list behind an id; rows whose id is null come at the end of the first one.
func (db *database) listed(ctx context.Context, o *object, since time.Time, last string) ([]connector.Record, error) {
	op := "list " + o.name
	st := db.selecting(o)
	word := " WHERE "
	if !since.IsZero() && o.Version != "" && o.Columns[o.Version] != "integer" {
		changed := o.versionExpr() + " >= " + db.dialect.put(st, o.Columns[o.Version], db.bindSince(o.Columns[o.Version], since))
		st.WriteString(word + "(" + changed + " OR " + db.dialect.unstamped(o.versionExpr(), o.Columns[o.Version]) + ")")
		word = " AND "
	}
	if o.several() { // a row without a whole key has no place behind others
		st.WriteString(word + o.keyWhole())
		word = " AND "
	}
	if last != "" {
		v, err := db.idValues(o, last, db.bindOwn)
		if err != nil {
			return nil, db.fail(fault.Invalid, op, "id: %s", err)
		}
		st.WriteString(word + db.dialect.behindID(st, o, v))
	}
	st.WriteString(" ORDER BY " + db.dialect.orderID(o, !o.several()))
	st.limit(pageSize)
	page, err := db.found(ctx, op, o, st)
	if err != nil || last != "" || !o.several() && (len(page) < pageSize || page[pageSize-1].Local == "") {
		return page, err
	}
	st = db.selecting(o)
	st.WriteString(" WHERE " + o.keyBroken() + db.dialect.limit(strconv.Itoa(pageSize), false))
	odd, err := db.found(ctx, op, o, st)
	return append(page, odd...), err
}
