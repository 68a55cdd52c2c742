package sql

import (
	"context"
	"iter"
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
	rows, err := db.look(ctx, op, o, st)
	if err != nil {
		return nil, err
	}
	out := make([]connector.Record, len(rows))
	for i, r := range rows {
		out[i] = db.present(o, r, now)
	}
	return out, nil
}

// List reads every row by id, or what changed since where there is a version.
func (db *database) List(ctx context.Context, object string, since time.Time) iter.Seq2[connector.Record, error] {
	return func(yield func(connector.Record, error) bool) {
		o, err := db.object(object)
		if err != nil {
			yield(connector.Record{}, err)
			return
		}
		last := ""
		for {
			st := db.selecting(o)
			word := " WHERE "
			if !since.IsZero() && o.Version != "" && o.Columns[o.Version] != "integer" {
				st.WriteString(word + o.versionExpr() + " >= " + st.arg(db.bindSince(o.Columns[o.Version], since)))
				word = " AND "
			}
			if last != "" {
				v, err := db.bindText(o.Columns[o.ID], last)
				if err != nil {
					yield(connector.Record{}, db.fail(fault.Invalid, "list "+o.name, "id: %s", err))
					return
				}
				st.WriteString(word + of(o.ID) + " > " + st.arg(v))
			}
			st.WriteString(" ORDER BY " + of(o.ID) + " LIMIT " + st.arg(pageSize))
			page, err := db.found(ctx, "list "+o.name, o, st)
			if err != nil {
				yield(connector.Record{}, err)
				return
			}
			for _, r := range page {
				if !yield(r, nil) {
					return
				}
			}
			if len(page) < pageSize {
				return
			}
			last = page[len(page)-1].Local
		}
	}
}

// pollPlace is the last row of a page: the next page begins behind it, whatever the number of rows with its version.
type pollPlace struct {
	Version string `json:"v"`
	ID      string `json:"id"`
	// Bare: the rows with a version have been read, and those without one come behind them, in the order of their ids.
	Bare bool `json:"bare,omitempty"`
}

// Poll reads one page of changes in the order of (version, id), and then the rows without a version; see connector.Window for what a round is.
func (db *database) Poll(ctx context.Context, r connector.PollRequest) (connector.Page, error) {
	o, err := db.object(r.Object)
	if err != nil {
		return connector.Page{}, err
	}
	op := "poll " + o.name
	if o.Version == "" {
		return connector.Page{}, db.fail(fault.Invalid, op, "the object has no version to go by: set version")
	}
	w, err := connector.ReadWindow(r.Cursor, r.Overlap, o.back(db.zone))
	if err != nil {
		return connector.Page{}, db.fail(fault.Invalid, op, "%s", err)
	}
	if o.Columns[o.Version] == "local-timestamp" {
		w.Local(repeat(db.zone))
	}
	size := pageSize
	if r.Limit > 0 {
		size = r.Limit
	}
	w.Stamps()
	now := db.clock.Now()
	if typ := o.Columns[o.Version]; typ != "integer" {
		there, err := db.time(ctx, op, o, now)
		if err != nil {
			return connector.Page{}, err
		}
		w.Clock(there, func(version string) (time.Time, bool) {
			if typ == "local-timestamp" { // of a reading that comes twice the first instant: it is not ahead once that has come
				first, _, _, ok := instants(version, db.zone)
				return first, ok
			}
			at, err := db.timeOf(typ, version)
			return at, err == nil
		})
	}
	from, inclusive := w.Begin(now)
	rows, next, err := db.turn(ctx, op, o, w, from, inclusive, size)
	if err != nil {
		return connector.Page{}, err
	}
	page := connector.Page{More: next != nil}
	if page.More {
		w.SetPage(*next)
	}
	for _, r := range rows {
		at, second, _ := db.instants(o, r)
		rec := db.record(o, r, at)
		if at.Before(second) && w.Later(&rec, at, second, now) {
			rec, at = db.record(o, r, second), second
		}
		if w.Fresh(&rec) {
			page.Records = append(page.Records, db.public(o, rec, at))
		}
	}
	if !page.More {
		w.End(now)
	}
	page.Cursor, page.Remarks = w.String(), w.Remarks()
	return page, nil
}

// turn reads the rows of one page, and says where the next one begins; nil where there is none.
func (db *database) turn(ctx context.Context, op string, o *object, w *connector.Window, from string, inclusive bool, size int) (rows []*row, next *pollPlace, err error) {
	var at pollPlace
	paged := w.Page(&at)
	for {
		st, err := db.changes(o, from, inclusive, size, at, paged)
		if err != nil {
			return nil, nil, db.fail(fault.Invalid, op, "the stored cursor: %s", err)
		}
		more, err := db.look(ctx, op, o, st)
		if err != nil {
			return nil, nil, err
		}
		rows = append(rows, more...)
		switch {
		case len(more) == size:
			last := more[size-1]
			return rows, &pollPlace{last.version, last.id, at.Bare}, nil
		case at.Bare:
			return rows, nil, nil
		}
		at, paged = pollPlace{Bare: true}, true // in the same page: mostly there are none
	}
}

// time asks the database for its clock; a file has the hub's.
func (db *database) time(ctx context.Context, op string, o *object, hub time.Time) (time.Time, error) {
	query := db.dialect.clock()
	if query == "" {
		return hub, nil
	}
	ctx, cancel := context.WithTimeout(ctx, db.set.Timeout)
	defer cancel()
	var seconds int64
	if err := db.sql.QueryRowContext(ctx, query).Scan(&seconds); err != nil {
		return hub, db.classify(op, o, false, err)
	}
	return time.Unix(seconds, 0), nil
}

// changes is the SELECT of one page; at is where the page before ended.
func (db *database) changes(o *object, from string, inclusive bool, size int, at pollPlace, paged bool) (*statement, error) {
	st := db.selecting(o)
	version, typ := o.versionExpr(), o.Columns[o.Version]
	if at.Bare {
		st.WriteString(" WHERE (" + db.dialect.bare(version) + ")")
		if at.ID != "" {
			id, err := db.bindText(o.Columns[o.ID], at.ID)
			if err != nil {
				return nil, err
			}
			st.WriteString(" AND " + of(o.ID) + " > " + st.arg(id))
		}
		st.WriteString(" ORDER BY " + of(o.ID) + " LIMIT " + st.arg(size))
		return st, nil
	}
	st.WriteString(" WHERE NOT (" + db.dialect.bare(version) + ")")
	if from != "" {
		v, err := db.bindVersion(typ, from)
		if err != nil {
			return nil, err
		}
		op := " > "
		if inclusive {
			op = " >= "
		}
		st.WriteString(" AND " + version + op + st.arg(v))
	}
	if paged {
		v, err := db.bindVersion(typ, at.Version)
		if err != nil {
			return nil, err
		}
		id, err := db.bindText(o.Columns[o.ID], at.ID)
		if err != nil {
			return nil, err
		}
		st.WriteString(" AND (" + version + ", " + of(o.ID) + ") > (" + st.arg(v) + ", " + st.arg(id) + ")")
	}
	st.WriteString(" ORDER BY " + version + ", " + of(o.ID) + " LIMIT " + st.arg(size))
	return st, nil
}
