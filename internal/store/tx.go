package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"strings"
	"unicode/utf8"
)

// errBroken tells database/sql not to use a connection again.
var errBroken = driver.ErrBadConn

// tx is the writer's open transaction.
type tx struct {
	w   *writer
	s   *Store
	d   dialect
	ctx context.Context
	now int64
	// ahead are statements, on PostgreSQL alone, that are sent with the next one.
	ahead []statement
	// woken: messages that waited may be ready.
	woken bool
	// named are the rows of the journal that were written, on SQLite alone; indexing: the index knows of them.
	named    []fateNames
	indexing bool
	// written is for what this process remembers.
	written written
}

func (t *tx) prepare(q string) (*sql.Stmt, error) {
	if st := t.w.stmts[q]; st != nil {
		return st, nil
	}
	st, err := t.w.conn.PrepareContext(t.ctx, t.d.bind(q))
	if err != nil {
		return nil, err
	}
	t.w.stmts[q] = st
	return st, nil
}

// exec runs a statement and tells how many rows it changed.
func (t *tx) exec(q string, args ...any) (int64, error) {
	if err := t.flush(""); err != nil {
		return 0, err
	}
	clean(args)
	var res sql.Result
	var err error
	t.s.stats.statements.Add(1)
	if len(args) == 0 && t.d == postgres {
		res, err = t.w.conn.ExecContext(t.ctx, q)
	} else {
		st, perr := t.prepare(q)
		if perr != nil {
			return 0, perr
		}
		res, err = st.ExecContext(t.ctx, args...)
	}
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// each runs a query and calls scan for every row.
func (t *tx) each(scan func(*sql.Rows) error, q string, args ...any) error {
	if err := t.flush(""); err != nil {
		return err
	}
	clean(args)
	t.s.stats.statements.Add(1)
	st, err := t.prepare(q)
	if err != nil {
		return err
	}
	rows, err := st.QueryContext(t.ctx, args...)
	return eachRow(rows, err, scan)
}

// eachRow drains rows; err is the query's own.
func eachRow(rows *sql.Rows, err error, scan func(*sql.Rows) error) error {
	if err != nil {
		return err
	}
	for rows.Next() {
		if err := scan(rows); err != nil {
			_ = rows.Close() // the scan's failure is the cause
			return err
		}
	}
	if err := rows.Err(); err != nil {
		_ = rows.Close() // as above
		return err
	}
	return rows.Close()
}

// clean makes texts storable in place: PostgreSQL takes neither NUL nor bytes that are no UTF-8, and both databases shall hold,
// and find, the same.
func clean(args []any) {
	for i, a := range args {
		if s, ok := a.(string); ok && !isClean(s) { // what is put in again is allocated again
			args[i] = cleanText(s)
		}
	}
}

func isClean(s string) bool { return strings.IndexByte(s, 0) < 0 && utf8.ValidString(s) }

func cleanText(s string) string {
	if isClean(s) {
		return s
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// idBlock is a run of numbers that may be given out: [next, end).
type idBlock struct{ next, end int64 }

// idRun is how many numbers SQLite takes from its counter at once.
const idRun = 1024

// ids gives n rising numbers of a sequence ("inbox", "queue", "journal", "audit", "runs"). Numbers may be skipped, never given twice.
func (t *tx) ids(name string, n int) ([]int64, error) {
	out := make([]int64, 0, n)
	if t.d == postgres {
		err := t.each(func(r *sql.Rows) error {
			var id int64
			defer func() { out = append(out, id) }()
			return r.Scan(&id)
		}, "SELECT nextval('"+name+"_ids') FROM generate_series(1, ?::bigint)", n)
		return out, err
	}
	b := t.w.ids[name]
	for len(out) < n {
		if b.next == b.end {
			run := int64(max(idRun, n))
			err := t.each(func(r *sql.Rows) error { return r.Scan(&b.end) },
				"INSERT INTO counters (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value RETURNING value", name, run)
			if err != nil {
				return nil, err
			}
			b.next, b.end = b.end-run+1, b.end+1
		}
		out = append(out, b.next)
		b.next++
	}
	t.w.ids[name] = b
	return out, nil
}
