package store

import (
	"context"
	"database/sql"
	"errors"
	"sync/atomic"
	"time"

	"github.com/waybill-hub/waybill/internal/failpoint"
	"github.com/waybill-hub/waybill/internal/fault"
)

// Bounds of one merged transaction: members, and their weight in rows and bytes.
const (
	maxMembers = 256
	maxRows    = 8192
	maxBytes   = 8 << 20
	// grace is how long a call whose context has ended still waits for a transaction that is running.
	grace = 2 * time.Second
	// retries is how often a transaction is run again after a deadlock with another hub.
	retries = 5
)

// Kinds of members: those of one kind are applied together, with few statements.
const (
	aFunc = iota
	anAccept
	aCommit
	anIntent
)

// States of a member: exactly one side wins it.
const (
	handedOver int32 = iota
	taken
	abandoned
)

// member is one caller's part of a merged transaction.
type member struct {
	ctx    context.Context
	op     string
	kind   int
	accept *acceptance
	commit *commitment
	intent *intention
	run    func(*tx) error
	rows   int
	bytes  int

	state atomic.Int32
	err   error
	done  chan struct{}
}

// writerStats are the writer's counts, for metrics.
type writerStats struct {
	transactions, members, retried, statements atomic.Int64
}

// WriterStats tells how well calls are merged.
type WriterStats struct {
	// Transactions were committed, for Members calls; Retried were run again after a failure.
	Transactions, Members, Retried int64
	// Statements were made by the writer, those that begin and end transactions too.
	Statements int64
}

// Stats are the writer's counts since the store was opened.
func (s *Store) Stats() WriterStats {
	return WriterStats{s.stats.transactions.Load(), s.stats.members.Load(), s.stats.retried.Load(), s.stats.statements.Load()}
}

// submit hands m to the writer and waits for its fate.
func (s *Store) submit(ctx context.Context, m *member) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.ctx, m.done = ctx, make(chan struct{})
	if err := s.hand(ctx, m); err != nil {
		return err
	}
	select {
	case <-m.done:
		return s.wrap(m.op, m.err)
	case <-ctx.Done():
	}
	if m.state.CompareAndSwap(handedOver, abandoned) {
		return ctx.Err() // certainly not stored
	}
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case <-m.done:
		return s.wrap(m.op, m.err)
	case <-t.C:
		return &fault.Error{Kind: fault.UnknownOutcome, System: "store", Op: m.op, Err: ctx.Err()}
	}
}

func (s *Store) hand(ctx context.Context, m *member) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return ErrClosed
	}
	select {
	case s.members <- m:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// do runs f in the writer's transaction. f may return a refusal only before it has written.
func (s *Store) do(ctx context.Context, op string, f func(*tx) error) error {
	return s.submit(ctx, &member{op: op, kind: aFunc, run: f, rows: 1})
}

// ask is do for work that has an answer. The answer is not touched when the call ends before the work does.
func ask[T any](ctx context.Context, s *Store, op string, f func(*tx) (T, error)) (T, error) {
	var got, none T
	err := s.do(ctx, op, func(t *tx) (err error) {
		got, err = f(t)
		return err
	})
	if err != nil {
		return none, err
	}
	return got, nil
}

// writeLoop is the one writer: it takes whatever waits, up to the bounds, and commits it at once.
func (s *Store) writeLoop() {
	w := &writer{s: s, ids: map[string]idBlock{}}
	defer close(s.stopped)
	defer w.drop()
	group := make([]*member, 0, maxMembers)
	for m := range s.members {
		group = append(group[:0], m)
		rows, bytes := m.rows, m.bytes
	more:
		for len(group) < maxMembers && rows < maxRows && bytes < maxBytes {
			select {
			case m, ok := <-s.members:
				if !ok {
					break more
				}
				group, rows, bytes = append(group, m), rows+m.rows, bytes+m.bytes
			default:
				break more
			}
		}
		live := group[:0]
		for _, m := range group {
			if m.state.CompareAndSwap(handedOver, taken) {
				live = append(live, m)
			}
		}
		w.commit(live)
		clear(group)
	}
}

// writer owns the one writing connection.
type writer struct {
	s    *Store
	conn *sql.Conn
	// stmts are the connection's prepared statements by their text.
	stmts map[string]*sql.Stmt
	ids   map[string]idBlock
}

// commit gives every member its fate.
func (w *writer) commit(group []*member) {
	defer func() {
		for _, m := range group {
			close(m.done)
		}
	}()
	if len(group) == 0 {
		return
	}
	err := w.attempt(group)
	w.s.note(err)
	if err == nil {
		return
	}
	if len(group) == 1 || w.s.offline(err) {
		for _, m := range group {
			m.err = err
		}
		return
	}
	w.s.log.Warn("a merged transaction failed; its members are tried one by one", "members", len(group), "error", err)
	for i := range group {
		w.s.stats.retried.Add(1)
		err := w.attempt(group[i : i+1])
		w.s.note(err)
		if err != nil {
			group[i].err = err
		}
	}
}

// attempt runs one transaction, again where it only lost against another hub. Members that are refused get their
// error here; the returned error is everybody's.
func (w *writer) attempt(group []*member) error {
	for try := 0; ; try++ {
		for _, m := range group {
			m.err = nil
		}
		err := w.transact(group)
		if err == nil {
			w.s.stats.transactions.Add(1)
			w.s.stats.members.Add(int64(len(group)))
			return nil
		}
		// A broken connection, and ids that were not given out after all, must not outlive the failure.
		clear(w.ids)
		if w.s.offline(err) {
			w.drop()
		}
		if !contended(err) || try == retries {
			return err
		}
		w.s.stats.retried.Add(1)
	}
}

func (w *writer) transact(group []*member) (err error) {
	ctx, cancel := context.Background(), func() {}
	if w.s.d == postgres {
		// Never a caller's own deadline: a member must not be able to kill the others.
		ctx, cancel = context.WithTimeout(ctx, postgresTimeout)
	}
	defer cancel()
	if err := w.connect(ctx); err != nil {
		return err
	}
	t := &tx{w: w, s: w.s, d: w.s.d, ctx: ctx, now: w.s.now()}
	if _, err := t.exec(w.s.begin()); err != nil {
		if w.s.d != postgres || ctx.Err() != nil {
			return err
		}
		// The server, or something between, has ended the idle connection: a new one may do.
		w.drop()
		if err := w.connect(ctx); err != nil {
			return err
		}
		if _, err := t.exec(w.s.begin()); err != nil {
			return err
		}
	}
	defer func() {
		if err != nil {
			t.ahead = nil
			if t.indexing {
				w.s.index.ended(false)
			}
			if _, rollback := t.exec("ROLLBACK"); rollback != nil && !w.s.offline(err) && !contended(err) {
				w.drop()
			}
		}
	}()
	if err := t.apply(group); err != nil {
		return err
	}
	if err := t.indexJournal(); err != nil {
		return err
	}
	if t.woken {
		defer w.s.wake() // also where the outcome is not known: who looks finds nothing then
	}
	if err := failpoint.Fail(failpoint.StoreApplied); err != nil {
		return err
	}
	if err = t.end(); err != nil && w.s.offline(err) {
		// It may be committed all the same.
		err = &fault.Error{Kind: fault.UnknownOutcome, System: "store", Op: "commit", Err: err}
	}
	w.s.remembered.committed(&t.written, err != nil)
	if err == nil {
		if t.indexing {
			w.s.index.ended(true)
		}
		failpoint.Hit(failpoint.StoreCommitted)
	}
	return err
}

// Woken has a value when messages that waited for another object may be ready: the hub that works them is to look. Other hubs look by themselves.
func (s *Store) Woken() <-chan struct{} { return s.woken }

func (s *Store) wake() {
	select {
	case s.woken <- struct{}{}:
	default: // nobody has looked since the last time
	}
}

func (t *tx) apply(group []*member) error {
	byKind := [4][]*member{}
	for _, m := range group {
		byKind[m.kind] = append(byKind[m.kind], m)
	}
	if len(byKind[anAccept]) > 0 {
		if err := t.accept(byKind[anAccept]); err != nil {
			return err
		}
	}
	if len(byKind[aCommit]) > 0 {
		if err := t.commit(byKind[aCommit]); err != nil {
			return err
		}
	}
	if len(byKind[anIntent]) > 0 {
		if err := t.openIntents(byKind[anIntent]); err != nil {
			return err
		}
	}
	for _, m := range byKind[aFunc] {
		if err := m.run(t); isRefusal(err) {
			m.err = err
		} else if err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) connect(ctx context.Context) error {
	if w.conn != nil {
		return nil
	}
	c, err := w.s.write.Conn(ctx)
	if err != nil {
		return err
	}
	w.conn, w.stmts = c, map[string]*sql.Stmt{}
	return nil
}

// drop closes the connection for good: whatever was open on it is rolled back by the database.
func (w *writer) drop() {
	if w.conn == nil {
		return
	}
	for _, st := range w.stmts {
		// The connection goes too: a failure to close a statement of it changes nothing.
		_ = st.Close()
	}
	bad := w.conn.Raw(func(any) error { return errBroken })
	if err := w.conn.Close(); err != nil && !errors.Is(err, sql.ErrConnDone) && errors.Is(bad, errBroken) {
		w.s.log.Debug("close of a broken connection", "error", err)
	}
	w.conn, w.stmts = nil, nil
}
