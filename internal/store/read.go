package store

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"time"
)

// each reads outside the writer: what is committed, without waiting for anybody.
func (s *Store) each(ctx context.Context, scan func(*sql.Rows) error, q string, args ...any) error {
	if s.d != sqlite {
		return eachOf(ctx, s.read, s.d, scan, q, args...)
	}
	clean(args)
	st, err := s.kept.of(ctx, s.read, q)
	if err != nil {
		return err
	}
	if st == nil {
		return eachOf(ctx, s.read, s.d, scan, q, args...)
	}
	rows, err := st.QueryContext(ctx, args...)
	return eachRow(rows, err, scan)
}

// readTimeout bounds one look at PostgreSQL: a connection that has silently died would keep its caller for ever.
const readTimeout = 15 * time.Second

func readContext(ctx context.Context, d dialect) (context.Context, context.CancelFunc) {
	if d != postgres {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, readTimeout)
}

// queryer is a pool or a reading transaction.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}

func eachOf(ctx context.Context, db queryer, d dialect, scan func(*sql.Rows) error, q string, args ...any) error {
	ctx, cancel := readContext(ctx, d)
	defer cancel()
	clean(args)
	rows, err := db.QueryContext(ctx, d.bind(q), args...)
	return eachRow(rows, err, scan)
}

// numbersOf are the rows of a query that gives a name and a number.
func numbersOf(ctx context.Context, db queryer, d dialect, q string) (map[string]int64, error) {
	out := map[string]int64{}
	err := eachOf(ctx, db, d, func(r *sql.Rows) error {
		var name string
		var n int64
		err := r.Scan(&name, &n)
		out[name] = n
		return err
	}, q)
	return out, err
}

// mostKept bounds the statements that readings keep: texts that hold as many marks as there are keys are many.
const mostKept = 128

// kept are prepared statements of readings on SQLite, by their text: to read one costs more than most answers. pgx keeps its own.
type kept struct {
	mu   sync.Mutex
	list map[string]*sql.Stmt
}

// of gives the statement of a text; nil where as many are kept as may be.
func (k *kept) of(ctx context.Context, db *sql.DB, q string) (*sql.Stmt, error) {
	k.mu.Lock()
	st, full := k.list[q], len(k.list) == mostKept
	k.mu.Unlock()
	if st != nil || full {
		return st, nil
	}
	st, err := db.PrepareContext(ctx, q) // which may have to wait for a connection
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if other := k.list[q]; other != nil {
		return other, st.Close()
	}
	if k.list == nil {
		k.list = map[string]*sql.Stmt{}
	}
	k.list[q] = st
	return st, nil
}

func (k *kept) close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	var errs []error
	for _, st := range k.list {
		errs = append(errs, st.Close())
	}
	k.list = nil
	return errors.Join(errs...)
}

// snapshot runs f on one consistent state of the store, for answers that add up.
func (s *Store) snapshot(ctx context.Context, f func(queryer) error) error {
	o := &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead}
	if s.d == sqlite {
		o = nil // a deferred transaction of WAL is a snapshot
	}
	ctx, cancel := readContext(ctx, s.d)
	defer cancel()
	x, err := s.read.BeginTx(ctx, o)
	if err != nil {
		return err
	}
	if err := f(x); err != nil {
		return errors.Join(err, x.Rollback())
	}
	return x.Commit()
}

// byIndexes has PostgreSQL go by the indexes' own order in a snapshot: of young tables its planner knows little, and would rather sort all that begins with a letter, or all
// that one thing has stopped.
func byIndexes(ctx context.Context, db queryer, d dialect) error {
	if d != postgres {
		return nil
	}
	return eachOf(ctx, db, d, func(*sql.Rows) error { return nil }, "SELECT set_config('enable_sort', 'off', true), set_config('enable_bitmapscan', 'off', true), set_config('enable_seqscan', 'off', true)")
}

// lookups are the prepared statements of the hot path.
type lookups struct {
	d                      dialect
	db                     *sql.DB
	hubID, localID, target *sql.Stmt
}

func newLookups(ctx context.Context, s *Store) (*lookups, error) {
	l := &lookups{d: s.d, db: s.read}
	for _, p := range []struct {
		to *(*sql.Stmt)
		q  string
	}{{&l.hubID, hubIDQuery}, {&l.localID, localIDQuery}, {&l.target, targetQuery}} {
		st, err := s.read.PrepareContext(ctx, s.d.bind(p.q))
		if err != nil {
			return l, errors.Join(err, l.close())
		}
		*p.to = st
	}
	return l, nil
}

// look gives a context for one look of a prepared statement. On SQLite it takes microseconds, and watching a context costs more than that.
func (l *lookups) look(ctx context.Context, args []any) (context.Context, context.CancelFunc, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	clean(args)
	if l.d == sqlite {
		ctx = context.WithoutCancel(ctx)
	}
	ctx, cancel := readContext(ctx, l.d)
	return ctx, cancel, nil
}

// one scans one row.
func (l *lookups) one(ctx context.Context, st *sql.Stmt, args []any, dest ...any) error {
	ctx, cancel, err := l.look(ctx, args)
	if err != nil {
		return err
	}
	defer cancel()
	return st.QueryRowContext(ctx, args...).Scan(dest...)
}

// rows scans rows.
func (l *lookups) rows(ctx context.Context, st *sql.Stmt, args []any, scan func(*sql.Rows) error) error {
	ctx, cancel, err := l.look(ctx, args)
	if err != nil {
		return err
	}
	defer cancel()
	rows, err := st.QueryContext(ctx, args...)
	return eachRow(rows, err, scan)
}

func (l *lookups) close() error {
	var errs []error
	for _, st := range []*sql.Stmt{l.hubID, l.localID, l.target} {
		if st != nil {
			errs = append(errs, st.Close())
		}
	}
	return errors.Join(errs...)
}
