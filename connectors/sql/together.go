package sql

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/failpoint"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/gather"
)

// pending is a change that somebody waits for.
type pending struct {
	gather.Place
	op       string
	object   *object
	creating bool
	fn       func(ctx context.Context, tx *sql.Tx) error
}

// make makes the change in a transaction. A panic is its failure: the lane that it runs in is shared.
func (w *pending) make(ctx context.Context, tx *sql.Tx) error {
	return gather.Guarded(func() error { return w.fn(ctx, tx) })
}

// gathered are changes that go together in transactions.
func (db *database) gathered(most, lanes int) *gather.Queue[*pending] {
	return &gather.Queue[*pending]{Most: most, Lanes: lanes, Run: db.carryOut,
		Failed: func(w *pending, err error) error { return &fault.Error{Kind: fault.UnknownOutcome, Op: w.op, Err: err} }}
}

// change runs fn in a transaction and commits it. A failure before the commit means that nothing was applied. fn may be run again, in another
// transaction, when the first was rolled back for others.
func (db *database) change(ctx context.Context, op string, o *object, creating bool, fn func(ctx context.Context, tx *sql.Tx) error) error {
	w := &pending{Place: gather.At(ctx), op: op, object: o, creating: creating, fn: fn}
	err, begun := db.changes.Make(w)
	if !begun {
		return db.classify(op, o, creating, ctx.Err())
	}
	return err
}

// carryOut makes the changes of one transaction, and answers each.
func (db *database) carryOut(batch []*pending) {
	if len(batch) == 1 {
		batch[0].Answer(db.single(batch[0]))
		return
	}
	if alone, untouched := db.together(batch); len(alone)+len(untouched) > 0 {
		db.changes.Again(alone, untouched)
	}
}

// single makes a change in a transaction of its own.
func (db *database) single(w *pending) error {
	ctx, cancel := context.WithTimeout(w.Ctx, db.set.Timeout)
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
	if err := connector.Fence(ctx); err != nil {
		return db.fenced(w, err)
	}
	if err := ctx.Err(); err != nil {
		return db.classify(w.op, w.object, w.creating, err)
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

func (db *database) fenced(w *pending, err error) error {
	return &fault.Error{Kind: fault.Unavailable, System: db.name, Op: w.op, Err: err}
}

const (
	// filling is how long changes are added to a transaction, and batchTime how long its statements may take in all: what it holds locked, others wait
	// for, and one slow change must not make the others slow.
	filling   = 500 * time.Millisecond
	batchTime = 2 * time.Second
	// fencing is how long the fences of a transaction may take in all: the first answer is to be true still when the last is given.
	fencing = 500 * time.Millisecond
)

// together makes several changes in one transaction, each behind a savepoint, so that one that fails leaves the others. It answers those that are
// made, and gives the rest, of which nothing was applied: what is to be made one by one, and what was not begun.
//
// No failure counts: what a change has met may be another one of the transaction (a double of what was just added), or the transaction itself (a trigger that
// writes by its time or number). It is made again alone, and says then what is wrong.
func (db *database) together(batch []*pending) (alone, untouched []*pending) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(batch[0].Ctx), db.set.Timeout)
	defer cancel()
	tx, err := db.sql.BeginTx(ctx, nil)
	if err != nil {
		for _, w := range batch {
			w.Answer(db.classify(w.op, w.object, w.creating, err))
		}
		return nil, nil
	}
	defer tx.Rollback() //nolint:errcheck // as above
	made, alone, untouched, ok := db.write(ctx, tx, batch)
	if !ok {
		return batch, nil
	}
	if err := written(); err != nil {
		for _, w := range batch {
			w.Answer(db.fail(fault.Unavailable, w.op, "%s", err))
		}
		return nil, nil
	}
	if w, err := db.fences(made); err != nil { // it must not be applied, and so nothing that shares its transaction
		if w == nil {
			return batch, nil
		}
		w.Answer(db.fenced(w, err))
		return slices.DeleteFunc(batch, func(o *pending) bool { return o == w }), nil
	}
	if ctx.Err() != nil {
		return batch, nil
	}
	err = commit(tx)
	if err != nil && fault.KindOf(db.committed("", err)) != fault.UnknownOutcome {
		return batch, nil // rolled back, for one of them: which, they say one by one
	}
	for _, w := range made {
		w.Answer(db.committed(w.op, err))
	}
	return alone, untouched
}

// write makes the changes of a transaction. Not ok: the transaction is lost, and nothing of it is applied.
func (db *database) write(ctx context.Context, tx *sql.Tx, batch []*pending) (made, alone, untouched []*pending, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, min(batchTime, db.set.Timeout))
	defer cancel()
	if lockWait := db.dialect.lockWait(); lockWait != "" {
		if _, err := tx.ExecContext(ctx, lockWait); err != nil {
			return nil, nil, nil, false
		}
	}
	set, back := db.dialect.savepoint()
	began := db.clock.Elapsed()
	for i, w := range batch {
		if i > 0 && db.clock.Elapsed()-began > filling {
			untouched = batch[i:]
			break
		}
		// One whose caller does not wait any more is not waited for.
		defer context.AfterFunc(w.Ctx, cancel)()
		if _, err := tx.ExecContext(ctx, set); err != nil {
			return nil, nil, nil, false
		}
		if err := w.make(ctx, tx); err == nil {
			made = append(made, w)
			continue
		}
		if _, err := tx.ExecContext(ctx, back); err != nil {
			return nil, nil, nil, false
		}
		alone = append(alone, w)
	}
	return made, alone, untouched, ctx.Err() == nil
}

// fences asks for each change whether it is still this hub's to make; w is one that is not. Where the answers take long, they are asked once more.
func (db *database) fences(made []*pending) (w *pending, err error) {
	for range 2 {
		began := db.clock.Elapsed()
		for _, w := range made {
			err := w.Ctx.Err()
			if err == nil {
				err = connector.Fence(w.Ctx)
			}
			if err != nil {
				return w, err
			}
		}
		if db.clock.Elapsed()-began <= fencing {
			return nil, nil
		}
	}
	return nil, errors.New("the fences take too long")
}
