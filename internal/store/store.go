package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// Config says where the store is. Exactly one of SQLite and Postgres is set.
type Config struct {
	// SQLite is the path of the database file; its directory is made when missing.
	SQLite string
	// Postgres is a connection URL or key-value string.
	Postgres string
	Log      *slog.Logger
	// Clock is behind all stamps, and on SQLite behind the leases; the machine's when nil. Hubs that share a PostgreSQL
	// judge leases by its clock.
	Clock Clock
	// Elapsed is the time that has passed since some moment; the machine's when nil. A search goes by it.
	Elapsed func() time.Duration
	// KeepReplay is how long a delivery id is remembered after its arrival; 7 days when zero.
	KeepReplay time.Duration
	// KeepJournal is how long the journal, runs and audit rows are kept; 90 days when zero.
	KeepJournal time.Duration
}

// Clock tells the time.
type Clock interface{ Now() time.Time }

type machine struct{}

func (machine) Now() time.Time { return time.Now() }

// Store is the hub's memory. All methods may be called concurrently.
type Store struct {
	d   dialect
	cfg Config
	log *slog.Logger
	// write hands out the writer's one connection, read serves everything that only looks.
	write, read *sql.DB
	doubt       doubt // of the reading connections
	lookups     *lookups
	kept        kept
	documents   documentsKept
	remembered  *remembered   // nil: others write, too
	index       *journalIndex // nil: others write, too
	// fateStatements look into the index, by their text.
	fateStatements map[string]*sql.Stmt
	unlock         func() error
	// life is the store's, seen what the folder of a SQLite file knew of it at the start (see lifeMark).
	life, seen lifeMark
	lastAlive  time.Time
	inFile     bool // the life has reached the SQLite file itself

	mu      sync.RWMutex // held for reading while a member is handed over, for writing by Close
	closed  bool
	members chan *member
	woken   chan struct{}
	stopped chan struct{}
	stats   writerStats
	ill     trouble

	settling struct {
		sync.Mutex
		settling
	}
}

// ErrClosed is what every call gets after Close.
var ErrClosed = errors.New("the store is closed")

// Open opens the store, makes or upgrades its schema, and refuses a store that another process or a newer version holds. The error is
// fault.Unavailable when a server does not answer (yet).
func Open(ctx context.Context, cfg Config) (_ *Store, err error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Clock == nil {
		cfg.Clock = machine{}
	}
	if cfg.Elapsed == nil {
		cfg.Elapsed = lifecycle.Real().Elapsed
	}
	if cfg.KeepReplay <= 0 {
		cfg.KeepReplay = 7 * 24 * time.Hour
	}
	if cfg.KeepJournal <= 0 {
		cfg.KeepJournal = 90 * 24 * time.Hour
	}
	s := &Store{cfg: cfg, log: cfg.Log, members: make(chan *member, 4*maxMembers), woken: make(chan struct{}, 1), stopped: make(chan struct{})}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.release())
		}
	}()
	switch {
	case cfg.SQLite != "" && cfg.Postgres != "":
		return nil, errors.New("store: both a SQLite path and a PostgreSQL URL are given: choose one")
	case cfg.SQLite != "":
		err = s.openSQLite(ctx)
	case cfg.Postgres != "":
		err = s.openPostgres(ctx)
	default:
		err = errEmptyPath
	}
	if err != nil {
		return nil, err
	}
	c, err := s.write.Conn(ctx)
	if err != nil {
		return nil, s.openError(err)
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if err := migrate(ctx, c, s.d, s.begin(), cfg.Clock.Now()); err != nil {
		return nil, s.openError(err)
	}
	if err := s.inspect(ctx, c); err != nil {
		return nil, s.openError(err)
	}
	if err := s.notice(ctx, c); err != nil {
		return nil, s.openError(err)
	}
	if err := s.classify(ctx, c); err != nil {
		return nil, s.openError(err)
	}
	if err := s.refold(ctx, c); err != nil {
		return nil, s.openError(err)
	}
	if s.d == sqlite {
		if err := s.openIndex(ctx, c); err != nil {
			return nil, s.openError(err)
		}
		if err := s.prepareFates(ctx); err != nil {
			return nil, s.openError(err)
		}
		s.remembered = newRemembered(mostRemembered)
		// Who held leases is dead: this process has the file for itself. By a clock that was set back they would not run out for long.
		if _, err := c.ExecContext(ctx, "UPDATE leases SET holder = '', expires = 0 WHERE holder <> ''"); err != nil {
			return nil, s.openError(err)
		}
	}
	if s.lookups, err = newLookups(ctx, s); err != nil {
		return nil, s.openError(err)
	}
	go s.writeLoop()
	return s, nil
}

// Close finishes what was handed over, and gives the database back.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		<-s.stopped
		return nil
	}
	s.closed = true
	close(s.members)
	s.mu.Unlock()
	<-s.stopped
	return errors.Join(s.leave(), s.release())
}

func (s *Store) release() error {
	var errs []error
	if s.lookups != nil {
		errs = append(errs, s.lookups.close())
	}
	errs = append(errs, s.kept.close())
	for _, st := range s.fateStatements {
		errs = append(errs, st.Close())
	}
	for _, db := range []*sql.DB{s.read, s.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	if s.unlock != nil {
		errs = append(errs, s.unlock())
	}
	return errors.Join(errs...)
}

// Kind is "SQLite" or "PostgreSQL".
func (s *Store) Kind() string { return s.d.String() }

// Shared reports whether other hubs may work on the same database.
func (s *Store) Shared() bool { return s.d == postgres }

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := readContext(ctx, s.d)
	defer cancel()
	var one int
	if err := s.read.QueryRowContext(ctx, "SELECT 1").Scan(&one); err != nil {
		return s.wrap("ping", err)
	}
	return nil
}

func (s *Store) begin() string {
	if s.d == sqlite {
		return "BEGIN IMMEDIATE"
	}
	return "BEGIN"
}

// now is the store's clock in the form of its columns.
func (s *Store) now() int64 { return s.cfg.Clock.Now().UnixNano() }

func (s *Store) openError(err error) error {
	if s.d == sqlite {
		return sqliteOpenError(s.cfg.SQLite, err)
	}
	return fmt.Errorf("store: open PostgreSQL: %w", err)
}
