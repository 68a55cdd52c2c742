package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// statement is one that is sent later: nobody needs to know how many rows it changed.
type statement struct {
	text string
	args []any
}

// later keeps a statement until the next one whose answer is needed, or the commit. Where it fails, that one fails in its place.
func (t *tx) later(q string, args []any) {
	clean(args)
	t.s.stats.statements.Add(1)
	t.ahead = append(t.ahead, statement{q, args})
}

// end commits. On PostgreSQL all statements that were kept go with the commit, in one round trip; when one of them fails, the server does not come to
// the commit.
func (t *tx) end() error {
	if t.d == postgres && len(t.ahead) > 0 {
		t.s.stats.statements.Add(1)
		return t.flush("COMMIT")
	}
	_, err := t.exec("COMMIT")
	return err
}

// flush sends what was kept, and last behind it, if anything; and reads all answers.
func (t *tx) flush(last string) error {
	if len(t.ahead) == 0 {
		return nil
	}
	batch := &pgx.Batch{}
	for _, st := range t.ahead {
		batch.Queue(t.d.bind(st.text), st.args...)
	}
	if last != "" {
		batch.Queue(last)
	}
	t.ahead = nil
	sent := false
	var failed error // kept apart: Raw takes a driver.ErrBadConn for itself
	err := t.w.conn.Raw(func(c any) error {
		conn, ok := c.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("store: a connection of the writer is a %T", c)
		}
		sent, failed = true, send(t.ctx, conn.Conn(), batch)
		return nil
	})
	if !sent {
		return err
	}
	return failed
}

func send(ctx context.Context, c *pgx.Conn, batch *pgx.Batch) error {
	answers := c.SendBatch(ctx, batch)
	var first error
	for range batch.Len() {
		if _, err := answers.Exec(); err != nil {
			first = err // the server has left out the rest
			break
		}
	}
	if err := answers.Close(); first == nil {
		return err
	}
	return first
}
