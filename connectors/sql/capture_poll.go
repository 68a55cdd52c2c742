package sql

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
)

// A page of changes is at most so many records, and about so many bytes as the log has them.
const (
	logPage  = 2000
	logBytes = 4 << 20
)

// changedFor is how long a change of a table is shown.
const changedFor = 7 * 24 * time.Hour

// logPoll is one page's work.
type logPoll struct {
	c      *capture
	o      *object
	op     string
	reader string
	cursor string // as it was asked with
	at     *logCursor
	limit  int
	logRound
	page  connector.Page
	given logPlace // where the reader is after the page
	// of what is taken
	bytes int
	rel   *relation
}

// poll reads one page: of a snapshot, or of the log. A round of pages, which ends with the one that says that
// there is no more, has seen whatever was committed before it began.
func (c *capture) poll(ctx context.Context, o *object, r connector.PollRequest) (connector.Page, error) {
	p := &logPoll{c: c, o: o, op: "capture " + o.name, reader: r.Reader + "\x00" + o.name, cursor: r.Cursor, limit: logPage}
	if r.Reader != "" {
		p.reader = r.Reader
	}
	if r.Limit > 0 {
		p.limit = r.Limit
	}
	var err error
	if p.at, err = parseLogCursor(r.Cursor); err != nil {
		return connector.Page{}, c.db.fail(fault.Invalid, p.op, "%s: read the object anew with waybill rewind FLOW --to start", err)
	}
	if err := p.run(ctx); err != nil {
		c.gaveUp(p.reader)
		return connector.Page{}, c.classify(p.op, o, err)
	}
	if p.page.Cursor = p.at.String(); !p.page.More {
		p.page.Remarks = append(p.page.Remarks, p.changed()...)
	}
	c.gave(p)
	return p.page, nil
}

// classify gives a failure its class, and says what to do about those of the log alone.
func (c *capture) classify(op string, o *object, err error) error {
	var pg *pgconn.PgError
	switch {
	case errors.Is(err, errStopped), errors.Is(err, errSilent):
		return c.db.fail(fault.Unavailable, op, "%w", err)
	case errors.As(err, &pg) && pg.Code == slotActive:
		f := c.db.fail(fault.Unavailable, op, "another connection reads the slot %s: another hub with another store, or one that the server has not given up yet (wal_sender_timeout)", c.set.Slot)
		f.Code = pg.Code
		return f
	case errors.As(err, &pg) && pg.Code == "53400":
		f := c.db.fail(fault.Unavailable, op, "%s: raise max_replication_slots: the hub needs one, and one more for each snapshot while it is read", c.db.scrub.Text(pgText(pg)))
		f.Code = pg.Code
		return f
	}
	return c.db.classify(op, o, false, err)
}

func (p *logPoll) run(ctx context.Context) error {
	if p.c.goesOn(p) {
		return p.read(ctx)
	}
	facts, err := p.c.facts(ctx)
	if err != nil {
		return err
	}
	t, err := p.c.table(ctx, p.o, facts.version)
	if err != nil {
		return err
	}
	if lacks := p.c.lacks(&facts, &t, p.o); len(lacks) > 0 {
		return p.c.missing(p.op, lacks)
	}
	if why := p.c.lost(&facts, p.at); why != "" {
		return p.c.db.fail(fault.Invalid, p.op, "%s", why)
	}
	p.life, p.table, p.until = facts.life(), t.table, facts.flushed
	if !p.at.began() {
		return p.begin(ctx)
	}
	if err := p.read(ctx); err != nil {
		return err
	}
	p.page.Remarks = p.c.remarks(&facts)
	return nil
}

// goesOn reports whether the poll goes on with a round, of which nothing has to be asked again.
func (c *capture) goesOn(p *logPoll) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	rd := c.readers[p.reader]
	if rd == nil || rd.round == nil || rd.given.cursor != p.cursor {
		return false
	}
	p.logRound = *rd.round
	return true
}

// begin makes the slot where there is none, and the first place.
func (p *logPoll) begin(ctx context.Context) error {
	p.c.making.Lock()
	defer p.c.making.Unlock()
	facts, err := p.c.facts(ctx) // another reader may have made it
	if err != nil {
		return err
	}
	p.c.hold(p.reader, facts.confirmed)
	p.c.putBack(facts.flushed)
	at := pglogrepl.LSN(0)
	var sn *snapshot
	switch {
	case p.o.Capture.Snapshot == "all":
		if sn, err = p.c.snap(ctx, p.op, p.o, !facts.slot); err == nil {
			at = sn.at
		}
	case facts.slot:
		if facts, err = p.c.facts(ctx); err == nil { // nothing is let go of any more
			at = facts.flushed
		}
	default:
		at, err = p.c.slotOnly(ctx, p.op)
	}
	if err != nil {
		p.c.hold(p.reader, 0)
		return err
	}
	p.c.hold(p.reader, at)
	p.at = &logCursor{Slot: p.c.set.Slot, Server: facts.server, LSN: lsnTextOf(at)}
	if sn == nil {
		p.page.More = true
		return nil
	}
	p.c.keepSnapshot(p.reader, sn)
	p.at.Snapshot, p.at.Columns = &snapshotPlace{At: lsnTextOf(at)}, sn.columns
	return p.rows(ctx, sn)
}

// hold keeps the log from a place on, until the store has a place of the reader's; 0: not any more.
func (c *capture) hold(reader string, at pglogrepl.LSN) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at == 0 {
		delete(c.begun, reader)
		return
	}
	c.begun[reader] = at
}

// putBack forgets what was let go of where the server's log ends before it: the database is another one, or an older state, whose log would be let go of unread. The
// reader that begins holds it by then.
func (c *capture) putBack(flushed pglogrepl.LSN) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if flushed < c.confirmed {
		c.confirmed = 0
	}
}

// slotOnly makes the hub's slot.
func (c *capture) slotOnly(ctx context.Context, op string) (pglogrepl.LSN, error) {
	conn, err := c.connect(ctx)
	if err != nil {
		return 0, err
	}
	defer closeNow(conn)
	made, err := c.makeSlot(ctx, op, conn, c.set.Slot, false)
	if err != nil {
		return 0, err
	}
	return pglogrepl.ParseLSN(made.ConsistentPoint)
}

// keepSnapshot makes a snapshot the reader's, in place of the one before; nil: it has none.
func (c *capture) keepSnapshot(reader string, sn *snapshot) {
	c.mu.Lock()
	before := c.snapshots[reader]
	delete(c.snapshots, reader)
	if sn != nil {
		c.snapshots[reader] = sn
	}
	c.mu.Unlock()
	if before != nil {
		before.close()
	}
}

func (c *capture) snapshotOf(reader string) *snapshot {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.snapshots[reader]
}

// read goes on at the cursor. A snapshot that has ended half-way is taken anew, from another place: what was committed up to there is taken from the log
// first, so that of every row what is older comes before what is newer, and a row that the first snapshot had and the second has not is deleted between.
func (p *logPoll) read(ctx context.Context) error {
	place := p.at.Snapshot
	if place == nil {
		p.c.keepSnapshot(p.reader, nil)
		return p.follow(ctx, 0)
	}
	sn := p.c.snapshotOf(p.reader)
	if sn == nil || sn.at != place.At.lsn() || place.Page != sn.page && place.Page != sn.page-1 {
		var err error
		if sn, err = p.c.snap(ctx, p.op, p.o, false); err != nil {
			return err
		}
		p.c.keepSnapshot(p.reader, sn)
		place = &snapshotPlace{At: lsnTextOf(sn.at)}
		p.at.Snapshot = place
	}
	if p.at.LSN.lsn() < sn.at {
		return p.follow(ctx, sn.at)
	}
	return p.rows(ctx, sn)
}

// rows reads a page of a snapshot.
func (p *logPoll) rows(ctx context.Context, sn *snapshot) error {
	place := *p.at.Snapshot
	err := sn.read(ctx, p.c.db, p.o, place.Page, p.limit, func(n int, rec *connector.Record) {
		rec.Change = fmt.Sprintf("%s/%X/row/%d.%d", p.c.set.Slot, uint64(sn.at), place.Page, n)
		rec.Version = versionAt(p.life, sn.at)
	})
	if err != nil {
		p.c.keepSnapshot(p.reader, nil)
		return err
	}
	p.page.Records, p.page.More = slices.Clone(sn.last), true
	p.at.Snapshot = &snapshotPlace{At: place.At, Page: place.Page + 1}
	if p.at.Columns = sn.columns; sn.over {
		p.at.Snapshot = nil
	}
	return nil
}

// gave notes where the reader is after the page, so that it is found there.
func (c *capture) gave(p *logPoll) {
	c.mu.Lock()
	defer c.mu.Unlock()
	rd := c.readers[p.reader]
	if rd == nil {
		return
	}
	rd.given, rd.round = p.given, nil
	if rd.given.cursor = p.page.Cursor; p.page.More && p.table != "" {
		rd.round = &p.logRound
	}
}

// gaveUp ends a round that failed: the next one asks again what the server has, since that may be why.
func (c *capture) gaveUp(reader string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if rd := c.readers[reader]; rd != nil {
		rd.round = nil
	}
}

// follow takes changes from the log until the page is full, or everything was taken that was committed as the poll began, or before bound, where that is
// not 0.
func (p *logPoll) follow(ctx context.Context, bound pglogrepl.LSN) error {
	until := p.until
	if bound != 0 {
		until = bound
	}
	timer := p.c.db.clock.NewTimer(p.c.db.set.Timeout)
	defer timer.Stop()
	var of *stream
	var seq, heard int64
	for {
		s, first, err := p.c.serving(ctx, p.reader, p.cursor, p.at)
		if err != nil {
			return err
		}
		if s != of { // another one than before: what was taken stays taken, and the rest is found by the cursor
			if of != nil && len(p.page.Records) > 0 {
				p.page.More = true
				return nil
			}
			of, seq, heard = s, first, -1
		}
		p.c.mu.Lock()
		if heard < 0 {
			heard = s.heard
		}
		done, wait := p.take(s, &seq, bound, until)
		p.c.mu.Unlock()
		if done {
			return nil
		}
		select {
		case s.ask <- struct{}{}:
		default:
		}
		select {
		case <-wait:
		case <-timer.C():
			return p.silent(s, heard)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// silent ends a page for which the time is over before the log was read as far as it was to be. A server that was asked how far it is and has said nothing at all
// meanwhile is a failure, and its connection is ended, since it may be dead. One that says something works on what is of no interest here, and one that is not
// listened to, because the buffer is full, has nothing to do with it.
func (p *logPoll) silent(s *stream, heard int64) error {
	p.c.mu.Lock()
	dead := s.heard == heard && !s.full() && len(p.page.Records) == 0
	p.c.mu.Unlock()
	if !dead {
		p.page.More = p.at.String() != p.cursor // a page with more to come moves the cursor
		return nil
	}
	s.halt(errSilent)
	return fmt.Errorf("%w within %s", errSilent, p.c.db.set.Timeout)
}

// take takes what is there; wait is closed when there is more to see. c.mu is held.
func (p *logPoll) take(s *stream, seq *int64, bound, until pglogrepl.LSN) (done bool, wait <-chan struct{}) {
	met := false // the bound
	for !met && int(*seq-s.base) < len(s.entries) {
		e := &s.entries[*seq-s.base]
		switch {
		case bound != 0 && e.final >= bound:
			met = true
		case len(p.page.Records) >= p.limit || p.bytes >= logBytes:
			p.page.More = true
			p.given = logPlace{of: s, seq: *seq}
			return true, nil
		case e.end != 0:
			p.at.advance(e.end)
			*seq++
		default:
			*seq++
			// What commits before its place the reader has: the stream may begin there, and may not have come to that when the reader asked.
			if e.rel.table == p.table && e.final >= p.at.LSN.lsn() && !(e.final == p.at.Tx.lsn() && e.n < p.at.N) {
				p.page.Records = append(p.page.Records, p.records(e)...)
				p.bytes += e.size
				p.at.Tx, p.at.N = lsnTextOf(e.final), e.n+1
			}
		}
	}
	reached := s.at
	if bound != 0 {
		reached = min(reached, bound)
	}
	if !met {
		p.at.advance(reached)
	} else {
		p.at.advance(bound)
	}
	p.given = logPlace{of: s, seq: *seq}
	if rd := s.c.readers[p.reader]; rd != nil && rd.asked.of == s && len(p.page.Records) == 0 {
		rd.asked.seq, rd.last = *seq, s.c.db.clock.Elapsed() // nothing of what lies before is its own
		s.trim(rd.last)
	}
	switch {
	case p.at.LSN.lsn() >= until:
		p.page.More = bound != 0
		return true, nil
	case s.full() && len(p.page.Records) > 0, s.err != nil && len(p.page.Records) > 0:
		p.page.More = true
		return true, nil
	case s.err != nil:
		return false, overNow
	}
	return false, s.changed
}

// overNow is always closed: there is something to see of a stream that has ended.
var overNow = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// changed is the remark on the table's last change.
func (p *logPoll) changed() []connector.Remark {
	if p.at.Changed == "" || p.c.db.clock.Now().Sub(p.at.ChangedAt) >= changedFor {
		return nil
	}
	return []connector.Remark{{Kind: connector.Schema, Local: p.o.Table, Version: p.at.Changed + ", seen at " + p.at.ChangedAt.UTC().Format(time.RFC3339), Count: 1}}
}

// compare looks whether the table is what it was, and tells what has changed.
func (p *logPoll) compare(r *relation) {
	if p.rel == r {
		return
	}
	p.rel = r
	now := make(map[string]columnType, len(r.columns))
	for _, col := range r.columns {
		now[col.name] = col.typ
	}
	before := p.at.Columns
	p.at.Columns = now
	if before == nil || maps.Equal(before, now) {
		return
	}
	var say []string
	for _, name := range slices.Sorted(maps.Keys(now)) {
		switch was, there := before[name]; {
		case !there:
			say = append(say, "column "+name+" came ("+typeName(now[name])+")")
		case was != now[name]:
			say = append(say, "column "+name+" was "+typeName(was)+" and is "+typeName(now[name]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if _, there := now[name]; !there {
			say = append(say, "column "+name+" went")
		}
	}
	p.at.Changed, p.at.ChangedAt = strings.Join(say, "; "), p.c.db.clock.Now()
	p.c.log.Warn("a table has changed: see whether columns and mappings still fit", "system", p.c.db.name, "table", p.o.Table, "change", p.at.Changed)
}
