package sql

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/failpoint"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// wish is a change that somebody waits for.
type wish struct {
	ctx      context.Context
	op       string
	object   *object
	creating bool
	fn       func(ctx context.Context, tx *sql.Tx) error
	alone    bool // in a transaction of its own
	done     chan error
}

// make carries the wish out in a transaction. A panic is its failure: the lane that it runs in is shared.
func (w *wish) make(ctx context.Context, tx *sql.Tx) error {
	return lifecycle.Guard(func() error { return w.fn(ctx, tx) })
}

// gather makes changes in transactions: what waits while one is made goes together in the next. So a change that comes alone waits for nothing, and
// many at once share the wait for the disk. Each has an answer of its own.
type gather struct {
	most  int           // changes of a transaction
	lanes int           // transactions at once
	run   func([]*wish) // makes the changes of one, and answers each

	mu      sync.Mutex
	waiting []*wish
	busy    int
}

// add has a wish carried out. It gives false, with nothing done, where the wish is not begun when its ctx ends.
func (g *gather) add(w *wish) (error, bool) {
	g.mu.Lock()
	g.waiting = append(g.waiting, w)
	g.begin()
	g.mu.Unlock()
	select {
	case err := <-w.done:
		return err, true
	case <-w.ctx.Done():
	}
	if g.drop(w) {
		return nil, false
	}
	return <-w.done, true
}

// begin opens another lane where one is free. It is called with the lock held.
func (g *gather) begin() {
	if g.busy < g.lanes {
		g.busy++
		go g.work()
	}
}

// drop takes back a wish that is not begun.
func (g *gather) drop(w *wish) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.waiting, w)
	if i >= 0 {
		g.waiting = slices.Delete(g.waiting, i, i+1)
	}
	return i >= 0
}

// again puts wishes in front that are to be made one by one.
func (g *gather) again(wishes []*wish) {
	for _, w := range wishes {
		w.alone = true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = slices.Concat(wishes, g.waiting)
	for range wishes {
		g.begin()
	}
}

func (g *gather) work() {
	for batch := g.take(); batch != nil; batch = g.take() {
		g.run(batch)
	}
}

// take gives the next wishes of one transaction; nil, and the lane is free, when there are none.
func (g *gather) take() []*wish {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for n < len(g.waiting) && n < g.most && (n == 0 || !g.waiting[0].alone && !g.waiting[n].alone) {
		n++
	}
	if n == 0 {
		g.busy--
		return nil
	}
	batch := slices.Clone(g.waiting[:n])
	g.waiting = slices.Delete(g.waiting, 0, n)
	return batch
}

// change runs fn in a transaction and commits it. A failure before the commit means that nothing was applied. fn may be run again, in another
// transaction, when the first was rolled back for others.
func (db *database) change(ctx context.Context, op string, o *object, creating bool, fn func(ctx context.Context, tx *sql.Tx) error) error {
	w := &wish{ctx: ctx, op: op, object: o, creating: creating, fn: fn, done: make(chan error, 1)}
	err, begun := db.changes.add(w)
	if !begun {
		return db.classify(op, o, creating, ctx.Err())
	}
	return err
}

// carryOut makes the changes of one transaction, and answers each.
func (db *database) carryOut(batch []*wish) {
	if len(batch) == 1 {
		batch[0].done <- db.single(batch[0])
		return
	}
	if rest := db.together(batch); len(rest) > 0 {
		db.changes.again(rest)
	}
}

// single makes a change in a transaction of its own.
func (db *database) single(w *wish) error {
	ctx, cancel := context.WithTimeout(w.ctx, db.set.Timeout)
	defer cancel()
	tx, err := db.sql.BeginTx(ctx, nil)
	if err != nil {
		return db.classify(w.op, w.object, w.creating, err)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing; otherwise the connection is gone anyway
	if err := w.make(ctx, tx); err != nil {
		return db.classify(w.op, w.object, w.creating, err)
	}
	if err := ctx.Err(); err != nil {
		return db.classify(w.op, w.object, w.creating, err)
	}
	if err := written(); err != nil {
		return db.fail(fault.Unavailable, w.op, "%s", err)
	}
	if err := connector.Fence(w.ctx); err != nil {
		return db.fenced(w, err)
	}
	return db.committed(w.op, commit(tx))
}

// written: all is written, and nothing committed.
func written() error { return failpoint.Fail(failpoint.SQLWritten) }

func commit(tx *sql.Tx) error {
	err := tx.Commit()
	if err == nil {
		failpoint.Hit(failpoint.SQLCommitted)
	}
	return err
}

func (db *database) fenced(w *wish, err error) error {
	return &fault.Error{Kind: fault.Unavailable, System: db.name, Op: w.op, Err: err}
}

// together makes several changes in one transaction, each behind a savepoint, so that one that fails leaves the others. It answers those of which it
// is certain, and gives the rest, of which nothing was applied: they are to be made one by one.
//
// What a change has failed for may be another one of the transaction (a double of what was just added), so that no failure counts before the commit.
func (db *database) together(batch []*wish) (rest []*wish) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(batch[0].ctx), db.set.Timeout)
	defer cancel()
	tx, err := db.sql.BeginTx(ctx, nil)
	if err != nil {
		for _, w := range batch {
			w.done <- db.classify(w.op, w.object, w.creating, err)
		}
		return nil
	}
	defer tx.Rollback() //nolint:errcheck // as above
	if hurry := db.dialect.hurry(); hurry != "" {
		if _, err := tx.ExecContext(ctx, hurry); err != nil {
			return batch
		}
	}
	var made []*wish
	failed, alone := map[*wish]error{}, []*wish(nil)
	for _, w := range batch {
		if _, err := tx.ExecContext(ctx, "SAVEPOINT waybill"); err != nil {
			return batch
		}
		err := w.ctx.Err()
		if err == nil {
			err = w.make(ctx, tx)
		}
		if err == nil {
			made = append(made, w)
			continue
		}
		if _, rerr := tx.ExecContext(ctx, "ROLLBACK TO SAVEPOINT waybill"); rerr != nil {
			return batch
		}
		if waits(err) {
			alone = append(alone, w) // somebody else has locked its row: the others do not wait for that
		} else {
			failed[w] = db.classify(w.op, w.object, w.creating, err)
		}
	}
	if err := written(); err != nil {
		for _, w := range batch {
			w.done <- db.fail(fault.Unavailable, w.op, "%s", err)
		}
		return nil
	}
	for _, w := range made {
		err := w.ctx.Err()
		if err == nil {
			err = connector.Fence(w.ctx)
		}
		if err != nil { // it must not be applied, and so nothing that shares its transaction
			w.done <- db.fenced(w, err)
			return slices.DeleteFunc(batch, func(o *wish) bool { return o == w })
		}
	}
	err = commit(tx)
	if err != nil && fault.KindOf(db.committed("", err)) != fault.UnknownOutcome {
		return batch // rolled back, for one of them: which, they say one by one
	}
	db.answer(made, failed, err)
	return alone
}

// answer tells what came of a commit that was made, or of which nobody knows.
func (db *database) answer(made []*wish, failed map[*wish]error, commit error) {
	for _, w := range made {
		w.done <- db.committed(w.op, commit)
	}
	for w, err := range failed {
		if commit != nil {
			err = db.fail(fault.Unavailable, w.op, "it failed beside changes of which nobody knows whether they were made: %s", db.scrub.Error(commit))
		}
		w.done <- err
	}
}

// waits: a lock was not given at once.
func waits(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "55P03" || pg.Code == "40P01")
}
