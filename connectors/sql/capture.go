package sql

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pglogrepl"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

var (
	_ connector.Streamer = (*database)(nil)

	slotForm = regexp.MustCompile(`^[a-z0-9_]{1,63}$`)
)

// complete checks what is said of capture, of the system and of its objects; set may be nil.
func (set *captureSettings) complete(n strictyaml.Node, all *settings, p *strictyaml.Problems) {
	at := n.Get("capture")
	if set != nil {
		if all.Driver != "postgres" {
			p.AddHint(at.Pos(), "other databases are polled by version", "capture: it reads the log of PostgreSQL alone")
		}
		if set.Slot != "" && !slotForm.MatchString(set.Slot) {
			p.AddHint(at.Get("slot").Pos(), "write small letters, digits and _, at most 63", "slot: %q is no name of a replication slot", set.Slot)
		}
		if set.Publication != "" && !identifier.MatchString(set.Publication) {
			p.Add(at.Get("publication").Pos(), "publication: %q is no name of a publication", set.Publication)
		}
		if at.Has("buffer") && set.Buffer < leastBuffer {
			p.Add(at.Get("buffer").Pos(), "buffer: at least %s", strictyaml.Size(leastBuffer))
		}
	}
	for name, o := range all.Objects {
		if o == nil || o.Capture == nil {
			continue
		}
		at := n.Get("objects").Get(name)
		if set == nil {
			p.AddHint(at.Get("capture").Pos(), "add capture, with slot and publication, to the system", "capture: the system does not say how its log is read")
		}
		if len(o.Children) > 0 {
			p.AddHint(at.Get("children").Pos(), "make an object of each table, and join them in the hub, or poll by version", "children: a log shows the rows of each table for itself, and not those of one object together")
		}
		if o.Interface != nil {
			p.Add(at.Get("capture").Pos(), "capture: an interface table is only written")
		}
	}
}

// leastBuffer holds a few rows of any usual size.
const leastBuffer = 64 << 10

const (
	// awayAfter is how long a reader that does not ask holds up the others: then what it has not read is let go of, and read again when it asks.
	awayAfter = 30 * time.Second
	// statusEvery is how often the server is told how far the log was stored; it ends a connection of which it hears nothing for a minute.
	statusEvery = 5 * time.Second
)

// capture reads the log of a database through one replication slot, for all readers of all its captured objects.
//
// A reader's place in the log is its cursor, in the hub's store. One connection streams the log into a bounded buffer, out of which readers
// take what is theirs. The server is told to let go of what lies before the places of all readers, as they are stored: what the hub holds in memory
// can be lost at any moment.
type capture struct {
	db   *database
	set  *captureSettings
	log  *slog.Logger
	pool *sql.DB // of looks and snapshots
	ctx  context.Context
	end  context.CancelFunc
	away time.Duration

	opening sync.Mutex // held while a stream is begun, or ended
	making  sync.Mutex // held while a reader begins

	mu      sync.Mutex
	stream  *stream // nil: none is open
	readers map[string]*logReader
	// stored are the places that the hub's store has, and told that it was asked for them: nothing is let go of before.
	stored map[string]pglogrepl.LSN
	told   bool
	// begun are the places of snapshots of which the store may know nothing yet.
	begun     map[string]pglogrepl.LSN
	snapshots map[string]*snapshot
	confirmed pglogrepl.LSN
}

// logReader is who asks for an object's changes: a flow.
type logReader struct {
	lsn  pglogrepl.LSN // what commits there or later has not been asked for
	last time.Duration // when it asked last, by the clock's Elapsed
	// asked and given are the cursors of the last page and of what comes after it, and where they are in the stream.
	asked, given logPlace
	// round is what was seen when a round of pages began; nil: none is under way.
	round *logRound
}

// logRound is what a round of pages goes by.
type logRound struct {
	life  int
	table string
	until pglogrepl.LSN // the end of the log as the round began
}

// logPlace is a cursor, and the number of the stream's first entry that it has not taken.
type logPlace struct {
	cursor string
	of     *stream
	seq    int64
}

func newCapture(db *database, log *slog.Logger) *capture {
	c := &capture{db: db, set: db.set.Capture, log: log, away: awayAfter, readers: map[string]*logReader{}, stored: map[string]pglogrepl.LSN{},
		begun: map[string]pglogrepl.LSN{}, snapshots: map[string]*snapshot{}}
	c.ctx, c.end = context.WithCancel(context.Background())
	return c
}

// looks is the pool of connections for looks and snapshots; it makes them when they are needed.
func (c *capture) looks() (*sql.DB, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pool == nil {
		pool, err := openPostgres(c.db.set.URL.Reveal(), 0, c.db.set.ReadOnly)
		if err != nil {
			return nil, err
		}
		pool.SetMaxIdleConns(1)
		c.pool = pool
	}
	return c.pool, nil
}

// close ends all connections; c may be nil.
func (c *capture) close() error {
	if c == nil {
		return nil
	}
	c.leave()
	c.end()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pool == nil {
		return nil
	}
	return c.pool.Close()
}

// leave ends the stream and the snapshots: another hub may read the log from now on.
func (c *capture) leave() {
	c.opening.Lock()
	defer c.opening.Unlock()
	c.mu.Lock()
	s := c.stream
	c.stream, c.told = nil, false
	open := c.snapshots
	c.snapshots = map[string]*snapshot{}
	clear(c.begun)
	clear(c.readers)
	clear(c.stored)
	c.mu.Unlock()
	if s != nil {
		s.stop()
	}
	for _, sn := range open {
		sn.close()
	}
}

// Stream names the log that an object is read from.
func (db *database) Stream(name string) string {
	if o := db.set.Objects[name]; o != nil && o.Capture != nil && db.capture != nil {
		return db.set.Capture.Slot
	}
	return ""
}

// Stored tells how far readers have come. It makes no call: the server is told with the next status.
func (db *database) Stored(_ string, cursors map[string]string) {
	if db.capture != nil {
		db.capture.keep(cursors)
	}
}

// Leave ends the connections to the log.
func (db *database) Leave(string) {
	if db.capture != nil {
		db.capture.leave()
	}
}

func (c *capture) keep(cursors map[string]string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.stored)
	c.told = true
	for name, text := range cursors {
		at, err := parseLogCursor(text)
		switch {
		case err != nil: // nobody knows where it is: nothing is let go of
			c.stored[name] = 0
			continue
		case !at.began(), at.Slot != c.set.Slot: // it begins with a snapshot, or a person is asked
			continue
		}
		c.stored[name] = at.LSN.lsn()
		if c.readers[name] == nil {
			c.readers[name] = &logReader{lsn: at.LSN.lsn(), last: c.db.clock.Elapsed()}
		}
		if at.LSN.lsn() >= c.begun[name] {
			delete(c.begun, name)
		}
	}
	for name := range c.begun {
		if _, reads := cursors[name]; !reads {
			delete(c.begun, name)
		}
	}
	for name := range c.readers {
		if _, reads := cursors[name]; !reads {
			delete(c.readers, name)
		}
	}
}

// letGo is the place before which the server need keep nothing; 0: that is not known. c.mu is held.
func (c *capture) letGo() pglogrepl.LSN {
	if !c.told {
		return c.confirmed
	}
	low, some := pglogrepl.LSN(0), false
	for _, places := range []map[string]pglogrepl.LSN{c.stored, c.begun} {
		for _, at := range places {
			if !some || at < low {
				low, some = at, true
			}
		}
	}
	if some {
		c.confirmed = max(c.confirmed, low)
	}
	return c.confirmed
}

// serving gives a stream that has what comes after a reader's cursor. One that began behind it, or has let go of it, is ended, and another one is begun there.
func (c *capture) serving(ctx context.Context, name, cursor string, at *logCursor) (s *stream, seq int64, err error) {
	c.opening.Lock()
	defer c.opening.Unlock()
	now := c.db.clock.Elapsed()
	c.mu.Lock()
	rd := c.readers[name]
	if rd == nil {
		rd = &logReader{}
		c.readers[name] = rd
	}
	rd.lsn, rd.last = at.LSN.lsn(), now
	s = c.stream
	if s != nil && s.err != nil {
		c.stream, err = nil, s.err
		c.mu.Unlock()
		s.stop()
		return nil, 0, err
	}
	if s != nil {
		if seq, ok := s.place(rd, cursor, at); ok {
			rd.asked = logPlace{cursor, s, seq}
			s.trim(now)
			c.mu.Unlock()
			return s, seq, nil
		}
	}
	from := rd.lsn
	if s == nil {
		for _, other := range c.readers {
			if now-other.last < c.away {
				from = min(from, other.lsn)
			}
		}
	}
	c.stream = nil
	c.mu.Unlock()
	if s != nil {
		s.stop()
	}
	if s, err = c.start(ctx, from); err != nil {
		return nil, 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stream = s
	seq, _ = s.place(rd, cursor, at)
	rd.asked = logPlace{cursor, s, seq}
	return s, seq, nil
}

// names are the tables' names, without their schemas, that captured objects have.
func (c *capture) names() []string {
	var out []string
	for _, o := range c.db.set.Objects {
		if o.Capture != nil {
			out = append(out, lastPart(o.Table))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// published is the name of the publication as an option of the stream takes it.
func (set *captureSettings) published() string {
	return "publication_names '\"" + strings.ReplaceAll(set.Publication, `'`, `''`) + "\"'"
}

var (
	errStopped = errors.New("the log is read no more")
	errSilent  = errors.New("the server does not say how far its log is")
)
