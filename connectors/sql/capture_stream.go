package sql

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// relation is a table as the log has it from some place on.
type relation struct {
	table   string // with its schema
	columns []relationColumn
	index   map[string]int
	full    bool // REPLICA IDENTITY FULL: whole rows before their change are in the log
}

type relationColumn struct {
	name string
	typ  columnType
	key  bool
	cast textCast
}

// textCast is how a type's text in the log becomes what a SELECT of column::text gives.
type textCast byte

const (
	castNone textCast = iota
	castBool          // t: true
	castPadded
	castInet
)

var casts = map[string]textCast{"bool": castBool, "bpchar": castPadded, "inet": castInet}

// Types' numbers that never change, and those of types that are made in a database begin at firstOwnType.
const (
	boolType     = 16
	inetType     = 869
	bpcharType   = 1042
	firstOwnType = 16384
)

func textCastOf(oid uint32, own map[uint32]string) textCast {
	switch {
	case oid == boolType:
		return castBool
	case oid == bpcharType:
		return castPadded
	case oid == inetType:
		return castInet
	case oid >= firstOwnType:
		return casts[own[oid]]
	}
	return castNone
}

// entry is one change, or the end of a transaction. It is never changed.
type entry struct {
	kind  pglogrepl.MessageType
	final pglogrepl.LSN // the transaction's commit
	end   pglogrepl.LSN // of a commit: what commits later, commits there or behind
	n     int           // which of its table's changes in the transaction, from 0
	rel   *relation
	old   *pglogrepl.TupleData
	row   *pglogrepl.TupleData
	whole bool // old is the whole row, not only its key
	size  int
}

// stream is a connection that reads the log into memory. Its fields are guarded by capture.mu.
type stream struct {
	c    *capture
	conn *pgconn.PgConn
	halt context.CancelCauseFunc
	done chan struct{}

	from    pglogrepl.LSN // of what commits there or later everything is in entries, or not read yet
	at      pglogrepl.LSN // everything that commits before was read
	entries []entry
	base    int64 // the number of the first entry
	size    int
	err     error
	heard   int64         // how many messages came
	changed chan struct{} // closed when there is more to see
	room    chan struct{} // of capacity one: entries were let go of
	ask     chan struct{} // of capacity one: the server is to tell how far it is

	// of the reading goroutine alone
	names     []string
	types     map[uint32]string
	relations map[uint32]*relation
	counts    map[string]int
	final     pglogrepl.LSN // of the transaction that is being read; 0: none is
}

// slotTries is how often a slot is asked for that another connection has: the server takes a while to see that one has ended.
const (
	slotTries = 20
	slotPause = 250 * time.Millisecond
	// slotActive is the code of a slot that another connection reads.
	slotActive = "55006"
)

// connect makes a connection that reads the log.
func (c *capture) connect(ctx context.Context) (*pgconn.PgConn, error) {
	cfg, err := postgresConfig(c.db.set.URL.Reveal())
	if err != nil {
		return nil, err
	}
	cfg.RuntimeParams["replication"] = "database"
	ctx, cancel := context.WithTimeout(ctx, c.db.set.Timeout)
	defer cancel()
	return pgconn.ConnectConfig(ctx, &cfg.Config)
}

// start begins to read the log from a place on. What commits before it is left out.
func (c *capture) start(ctx context.Context, from pglogrepl.LSN) (*stream, error) {
	for try := 1; ; try++ {
		s, err := c.startOnce(ctx, from)
		if pg := (*pgconn.PgError)(nil); err == nil || !errors.As(err, &pg) || pg.Code != slotActive || try == slotTries {
			return s, err
		}
		if err := lifecycle.Sleep(ctx, c.db.clock, slotPause); err != nil {
			return nil, err
		}
	}
}

func (c *capture) startOnce(ctx context.Context, from pglogrepl.LSN) (*stream, error) {
	conn, err := c.connect(ctx)
	if err != nil {
		return nil, err
	}
	sctx, cancel := context.WithTimeout(ctx, c.db.set.Timeout)
	defer cancel()
	err = pglogrepl.StartReplication(sctx, conn, c.set.Slot, from, pglogrepl.StartReplicationOptions{PluginArgs: []string{"proto_version '1'", c.set.published()}})
	if err != nil {
		closeNow(conn)
		return nil, err
	}
	s := &stream{c: c, conn: conn, done: make(chan struct{}), from: from, at: from, changed: make(chan struct{}), room: make(chan struct{}, 1), ask: make(chan struct{}, 1),
		names: c.names(), types: map[uint32]string{}, relations: map[uint32]*relation{}, counts: map[string]int{}}
	rctx, halt := context.WithCancelCause(c.ctx)
	s.halt = halt
	go func() {
		defer close(s.done)
		err := lifecycle.Guard(func() error { return s.read(rctx) })
		closeNow(conn)
		c.mu.Lock()
		defer c.mu.Unlock()
		if s.err = err; err == nil {
			s.err = errStopped
		}
		s.tell()
	}()
	return s, nil
}

// closeNow ends a connection without a word more: the server may be in the midst of one. Whatever comes of it, the connection is used no more.
func closeNow(conn *pgconn.PgConn) { _ = conn.Conn().Close() }

// stop ends the stream and waits for it.
func (s *stream) stop() {
	s.halt(errStopped)
	<-s.done
}

// tell wakes those who wait for more. c.mu is held.
func (s *stream) tell() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// full: no more is read until something is taken. c.mu is held.
func (s *stream) full() bool { return s.size >= int(s.c.set.Buffer) }

// pulse is how often the reading goroutine looks up from its connection.
const pulse = 500 * time.Millisecond

// read reads the log until ctx ends or the connection fails.
func (s *stream) read(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = s.conn.Conn().Close() }) // a read under way ends with it
	defer stop()
	var deadline, told time.Time
	for {
		now := time.Now() // of the connection's deadline
		asked := false
		select {
		case <-s.ask:
			asked = true
		default:
		}
		if asked || now.Sub(told) >= statusEvery {
			if err := s.status(asked); err != nil {
				return s.ended(ctx, err)
			}
			told = now
		}
		s.c.mu.Lock()
		full := s.full()
		s.c.mu.Unlock()
		if full {
			timer := time.NewTimer(pulse)
			select {
			case <-s.room:
			case <-timer.C:
			case <-ctx.Done():
			}
			timer.Stop()
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			continue
		}
		if deadline.Sub(now) < pulse/2 {
			deadline = now.Add(pulse)
			if err := s.conn.Conn().SetReadDeadline(deadline); err != nil {
				return s.ended(ctx, err)
			}
		}
		msg, err := s.conn.ReceiveMessage(context.Background()) // the deadline bounds it: a context would cost more than the message
		if err != nil {
			if pgconn.Timeout(err) && ctx.Err() == nil {
				continue
			}
			return s.ended(ctx, err)
		}
		s.c.mu.Lock()
		s.heard++
		s.c.mu.Unlock()
		reply, err := s.message(msg)
		if err != nil {
			return err
		}
		if reply {
			told = time.Time{}
		}
	}
}

func (s *stream) ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// status tells the server how far the log was stored, and asks how far it is.
func (s *stream) status(ask bool) error {
	s.c.mu.Lock()
	stored := s.c.letGo()
	s.c.mu.Unlock()
	return pglogrepl.SendStandbyStatusUpdate(context.Background(), s.conn, pglogrepl.StandbyStatusUpdate{WALWritePosition: stored, ReplyRequested: ask})
}

// message takes one in; reply: the server wants an answer.
func (s *stream) message(msg pgproto3.BackendMessage) (reply bool, err error) {
	switch m := msg.(type) {
	case *pgproto3.ErrorResponse:
		return false, pgconn.ErrorResponseToPgError(m)
	case *pgproto3.CopyDone:
		return false, fmt.Errorf("the server ends the log: %w", io.EOF)
	case *pgproto3.CopyData:
		if len(m.Data) == 0 {
			return false, nil
		}
		switch m.Data[0] {
		case pglogrepl.PrimaryKeepaliveMessageByteID:
			k, err := pglogrepl.ParsePrimaryKeepaliveMessage(m.Data[1:])
			if err != nil {
				return false, err
			}
			s.c.mu.Lock()
			defer s.c.mu.Unlock()
			if s.final == 0 && k.ServerWALEnd > s.at {
				s.at = k.ServerWALEnd
			}
			s.tell()
			return k.ReplyRequested, nil
		case pglogrepl.XLogDataByteID:
			x, err := pglogrepl.ParseXLogData(m.Data[1:])
			if err != nil {
				return false, err
			}
			parsed, err := pglogrepl.Parse(x.WALData)
			if err != nil {
				return false, fmt.Errorf("read the log at %s: %w", x.WALStart, err)
			}
			return false, s.logged(parsed)
		}
	}
	return false, nil
}

// logged takes a message of the log in.
func (s *stream) logged(msg pglogrepl.Message) error {
	switch m := msg.(type) {
	case *pglogrepl.BeginMessage:
		s.final = m.FinalLSN
		clear(s.counts)
	case *pglogrepl.CommitMessage:
		s.c.mu.Lock()
		defer s.c.mu.Unlock()
		if len(s.counts) > 0 {
			s.entries = append(s.entries, entry{kind: m.Type(), final: s.final, end: m.TransactionEndLSN})
		}
		s.at, s.final = m.TransactionEndLSN, 0
		s.tell()
	case *pglogrepl.TypeMessage:
		s.types[m.DataType] = m.Name
	case *pglogrepl.RelationMessage:
		s.relations[m.RelationID] = s.relation(m)
	case *pglogrepl.InsertMessage:
		s.add(entry{kind: m.Type(), rel: s.relations[m.RelationID], row: m.Tuple})
	case *pglogrepl.UpdateMessage:
		s.add(entry{kind: m.Type(), rel: s.relations[m.RelationID], row: m.NewTuple, old: m.OldTuple, whole: m.OldTupleType == pglogrepl.UpdateMessageTupleTypeOld})
	case *pglogrepl.DeleteMessage:
		s.add(entry{kind: m.Type(), rel: s.relations[m.RelationID], old: m.OldTuple, whole: m.OldTupleType == pglogrepl.DeleteMessageTupleTypeOld})
	case *pglogrepl.TruncateMessage:
		for _, id := range m.RelationIDs {
			s.add(entry{kind: m.Type(), rel: s.relations[id]})
		}
	}
	return nil
}

// relation takes a table's description in; nil: no object has such a table.
func (s *stream) relation(m *pglogrepl.RelationMessage) *relation {
	if !slices.Contains(s.names, m.RelationName) {
		return nil
	}
	r := &relation{table: m.Namespace + "." + m.RelationName, full: m.ReplicaIdentity == 'f', index: map[string]int{}}
	for i, col := range m.Columns {
		r.columns = append(r.columns, relationColumn{name: col.Name, typ: columnType{col.DataType, col.TypeModifier}, key: col.Flags&1 != 0, cast: textCastOf(col.DataType, s.types)})
		r.index[col.Name] = i
	}
	return r
}

// entrySize is about what an entry takes beside its values, and columnSize what a column does.
const (
	entrySize  = 160
	columnSize = 64
)

func (s *stream) add(e entry) {
	if e.rel == nil {
		return
	}
	e.final, e.n, e.size = s.final, s.counts[e.rel.table], entrySize
	s.counts[e.rel.table]++
	for _, t := range []*pglogrepl.TupleData{e.old, e.row} {
		if t != nil {
			for _, col := range t.Columns {
				e.size += columnSize + len(col.Data)
			}
		}
	}
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.entries = append(s.entries, e)
	if s.size += e.size; s.full() {
		s.tell()
	}
}

// place gives the number of the first entry that a cursor has not taken; false: it is not here any more. c.mu is held.
func (s *stream) place(rd *logReader, cursor string, at *logCursor) (int64, bool) {
	for _, p := range []logPlace{rd.asked, rd.given} {
		if p.of == s && p.cursor == cursor {
			return p.seq, p.seq >= s.base
		}
	}
	if at.LSN.lsn() < s.from {
		return 0, false
	}
	return s.base + int64(s.search(at.LSN.lsn())), true
}

// search is the index of the first entry that commits at a place or later.
func (s *stream) search(lsn pglogrepl.LSN) int {
	return sort.Search(len(s.entries), func(i int) bool { return s.entries[i].final >= lsn })
}

// trim lets go of what all readers have taken that are not away. c.mu is held.
func (s *stream) trim(now time.Duration) {
	low := s.base + int64(len(s.entries))
	for _, rd := range s.c.readers {
		switch {
		case now-rd.last >= s.c.away:
		case rd.asked.of == s:
			low = min(low, rd.asked.seq)
		case rd.lsn >= s.from:
			low = min(low, s.base+int64(s.search(rd.lsn)))
		}
	}
	n := int(low - s.base)
	if n <= 0 {
		return
	}
	for i := range s.entries[:n] {
		s.size -= s.entries[i].size
	}
	if last := &s.entries[n-1]; last.end != 0 {
		s.from = last.end
	} else {
		s.from = last.final + 1
	}
	clear(s.entries[:n])
	s.entries, s.base = s.entries[n:], low
	select {
	case s.room <- struct{}{}:
	default:
	}
}
