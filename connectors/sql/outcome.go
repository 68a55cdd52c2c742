package sql

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// The system that an interface table belongs to reads its rows when it likes, and writes into them what it has made of them. With interface.done, a change is done when
// the system has taken its row in, and refused, with the system's own words, when the system has refused it.

// outcome is what the system has made of a row.
type outcome struct {
	state  rowState
	status string
	reason string // of a refusal, in the system's words
	result string // the id of what it has made
}

type rowState int

const (
	rowWaits rowState = iota
	rowTaken
	rowRefused
)

// watchEvery is how often a row is looked at that a change waits for.
const watchEvery = 250 * time.Millisecond

// mostAwaited bounds the keys of changes that the hub remembers to have waited for in vain.
const mostAwaited = 10_000

// awaited are the keys of changes whose outcome is unknown to whoever made them. The next time they come, a refusal is their answer and no reason to ask again.
type awaited struct {
	mu   sync.Mutex
	keys map[string]bool
}

func (db *database) remember(key string) {
	a := &db.awaited
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.keys == nil || len(a.keys) >= mostAwaited {
		a.keys = map[string]bool{} // they are asked again then, which is only more work
	}
	a.keys[key] = true
}

// remembers reports whether somebody still has to be told what became of a change.
func (db *database) remembers(key string) bool {
	db.awaited.mu.Lock()
	defer db.awaited.mu.Unlock()
	return db.awaited.keys[key]
}

func (db *database) forget(key string) {
	db.awaited.mu.Lock()
	defer db.awaited.mu.Unlock()
	delete(db.awaited.keys, key)
}

// localColumns are the columns with the id of the object, and what they hold of one; an error: it is none.
func (o *object) localColumns(id string) (map[string]string, error) {
	if o.Interface != nil && len(o.Interface.Done) > 0 && o.Interface.Result != "" {
		return map[string]string{o.Interface.Result: id}, nil
	}
	parts, err := o.idParts(id)
	by := make(map[string]string, len(parts))
	for i, part := range parts {
		by[o.Key[i]] = part
	}
	return by, err
}

// judge says what the system has made of a row.
func (it *interfaceTable) judge(status, reason, result sql.NullString) outcome {
	out := outcome{status: status.String, reason: reason.String, result: result.String}
	switch {
	case status.Valid && slices.Contains(it.Done, status.String):
		out.state = rowTaken
	case status.Valid && slices.Contains(it.Failed, status.String):
		out.state = rowRefused
	}
	return out
}

// taken looks what the system has made of a row.
func (c *change) taken(ctx context.Context, tx *sql.Tx, id string) (outcome, error) {
	it := c.o.Interface
	shown := func(column string) string {
		if column == "" {
			return "NULL"
		}
		return c.db.dialect.shown(c.o, "", column, quote(column))
	}
	key, err := c.db.bindText(c.o.Columns[c.o.ID], id)
	if err != nil {
		return outcome{}, c.invalid("the id of the row: %s", err)
	}
	st := c.db.statementOn(c.o, "", "SELECT "+shown(it.Status)+", "+shown(it.Error)+", "+shown(it.Result)+" FROM "+c.o.table+" WHERE ")
	st.WriteString(c.db.dialect.is(st, quote(c.o.ID), c.o.Columns[c.o.ID], key))
	var status, reason, result sql.NullString
	err = tx.QueryRowContext(ctx, st.String(), st.args...).Scan(&status, &reason, &result)
	if errors.Is(err, sql.ErrNoRows) {
		return outcome{}, c.db.fail(fault.UnknownOutcome, c.op, "the row %s of %s is gone, and nothing says what became of it", short(id), c.o.Table)
	}
	return it.judge(status, reason, result), err
}

// await waits for the system to take the change's row in.
func (c *change) await(ctx context.Context) error {
	said, err := c.watch(ctx)
	if err != nil {
		c.db.remember(c.w.IdempotencyKey)
		return err
	}
	c.db.forget(c.w.IdempotencyKey)
	if said.state == rowRefused {
		return c.refusal(said)
	}
	return c.took(said)
}

// watch looks at the row until it says what became of it. Nobody knows where that takes too long, or the row cannot be seen.
func (c *change) watch(ctx context.Context) (outcome, error) {
	it := c.o.Interface
	for end := c.db.clock.Elapsed() + it.Wait; ; {
		said, err := c.look(ctx)
		switch {
		case err != nil:
		case said.state != rowWaits:
			return said, nil
		case c.db.clock.Elapsed() >= end:
			f := c.db.fail(fault.UnknownOutcome, c.op, "the row %s of %s is not taken in yet: its %s is %q", short(c.row), c.o.Table, it.Status, short(said.status))
			f.Code = "waiting"
			return said, f
		default:
			err = lifecycle.Sleep(ctx, c.db.clock, watchEvery)
		}
		if err != nil {
			return said, &fault.Error{Kind: fault.UnknownOutcome, System: c.db.name, Op: c.op, Code: "waiting", Err: err}
		}
	}
}

// look looks at the change's row in a transaction of its own, that sees what the system has committed meanwhile.
func (c *change) look(ctx context.Context) (outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, c.db.set.Timeout)
	defer cancel()
	tx, err := c.db.reading(ctx)
	if err != nil {
		return outcome{}, c.db.classify(c.op, c.o, false, err)
	}
	defer tx.Rollback() //nolint:errcheck // it only read
	said, err := c.taken(ctx, tx, c.row)
	return said, c.db.classify(c.op, c.o, false, err)
}

func (c *change) refusal(said outcome) error {
	reason := said.reason
	if reason == "" {
		reason = "it gives no reason"
	}
	f := c.db.fail(fault.Invalid, c.op, "the system has refused the row %s of %s: %s", short(c.row), c.o.Table, short300(c.db.scrub.Text(reason)))
	f.Code = said.status
	return f
}

// took is the answer of a change whose row was taken in.
func (c *change) took(said outcome) error {
	c.result = connector.Result{Local: c.w.Local, Status: said.status}
	if c.w.Action != connector.Create {
		return nil
	}
	c.result.Local = c.row
	if c.o.Interface.Result == "" {
		return nil
	}
	if said.result == "" {
		return c.db.fail(fault.UnknownOutcome, c.op, "%s", c.o.noResult(c.row))
	}
	c.result.Local = said.result
	return nil
}

// noResult says what is wrong with a row that was taken in.
func (o *object) noResult(row string) string {
	return "the system has taken the row " + short(row) + " of " + o.Table + " in, and its " + o.Interface.Result + ", the id of what it has made, is empty"
}

// takenIn leaves of the rows that were found those that stand for an object: a refused one does not, and one that waits may.
func (db *database) takenIn(o *object, found []connector.Record) ([]connector.Record, error) {
	var out []connector.Record
	for _, r := range found {
		id := r.Local
		doc, err := jsondoc.Parse(r.Doc, jsondoc.Limits{Bytes: len(r.Doc) + 1})
		if err != nil {
			return nil, db.fail(fault.Invalid, "find "+o.name, "the row %s holds no JSON: %s", short(r.Local), err)
		}
		text := func(column string) sql.NullString {
			v := doc.Root().Get(column)
			switch v.Kind() {
			case jsondoc.Missing, jsondoc.Null:
				return sql.NullString{}
			case jsondoc.String:
				return sql.NullString{String: v.Str(), Valid: true}
			}
			return sql.NullString{String: string(v.Raw()), Valid: true}
		}
		said := o.Interface.judge(text(o.Interface.Status), text(o.Interface.Error), text(o.Interface.Result))
		switch said.state {
		case rowWaits:
			return nil, db.fail(fault.Unavailable, "find "+o.name, "the row %s of %s is not taken in yet: its %s is %q", short(r.Local), o.Table, o.Interface.Status, short(said.status))
		case rowTaken:
			if o.Interface.Result != "" {
				if r.Local = said.result; r.Local == "" {
					return nil, db.fail(fault.Unavailable, "find "+o.name, "%s", o.noResult(id))
				}
			}
			out = append(out, r)
		}
	}
	return out, nil
}

// complete checks what says what became of a row.
func (it *interfaceTable) complete(o *object, n strictyaml.Node, p *strictyaml.Problems) {
	if len(it.Done) == 0 {
		for _, key := range []string{"failed", "error", "result", "wait"} {
			if n.Has(key) {
				p.AddHint(n.Get(key).Pos(), "add done", "%s: nothing says when a row is taken in", key)
			}
		}
		return
	}
	if it.Status == "" || it.IdempotencyKey == "" {
		p.AddHint(n.Get("done").Pos(), "add them", "done: it needs status and idempotency-key, so that a change finds its row again")
	}
	for _, f := range []struct{ key, column string }{{"status", it.Status}, {"error", it.Error}, {"result", it.Result}} {
		declared(n, f.key, f.column, o.Columns, p)
	}
	for _, word := range it.Done {
		if slices.Contains(it.Failed, word) || word == it.Value {
			p.Add(n.Get("done").Pos(), "done: %q says something else too", word)
		}
	}
	if slices.Contains(it.Failed, it.Value) {
		p.Add(n.Get("failed").Pos(), "failed: %q says something else too", it.Value)
	}
	connector.Positive(n.Get("wait"), p)
}
