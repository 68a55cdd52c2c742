package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/waybill-hub/waybill/internal/fault"
)

// postgresTimeout bounds one transaction of the writer: behind it the server is taken to be gone.
const postgresTimeout = 30 * time.Second

// postgresReaders is the number of reading connections. All are kept for the next reader: a new one is a process of the server, with
// everything to prepare again.
const postgresReaders = 8

// Settings of every connection. A promise needs the disk, and the statements count on this isolation, whatever the server's
// defaults are. Every statement of this package has an index to go by; a plan that was cached while a table was small would read
// all of it when it is big, until the next ANALYZE: that way out is taken away. Its price would make the server compile (jit) what it then
// runs in microseconds. The writer looks rows up by arrays of keys, one by one. The statements of a transaction follow each other at once: a
// hub that is frozen, or cut off, in the middle of one holds locks that other hubs need, and loses it before a session of the consumer
// groups can end.
var (
	settings = map[string]string{"synchronous_commit": "on", "default_transaction_isolation": "'read committed'", "lock_timeout": "'15s'",
		"idle_in_transaction_session_timeout": "'5s'", "enable_seqscan": "off", "jit": "off"}
	writerSettings = map[string]string{"enable_hashjoin": "off", "enable_mergejoin": "off"}
)

// CheckPostgres gives why a text can be no connection URL; nobody is called. The error does not quote the text, which holds a password.
func CheckPostgres(url string) error {
	if _, err := pgx.ParseConfig(url); err != nil {
		return errors.New("this is no PostgreSQL connection URL")
	}
	return nil
}

func (s *Store) openPostgres(ctx context.Context) error {
	s.d = postgres
	cfg, err := pgx.ParseConfig(s.cfg.Postgres)
	if err != nil {
		return fmt.Errorf("store: read the PostgreSQL URL: %w", err)
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = 10 * time.Second
	}
	if cfg.RuntimeParams["application_name"] == "" {
		cfg.RuntimeParams["application_name"] = "waybill"
	}
	s.write, s.read = openPool(cfg, new(doubt), settings, writerSettings), openPool(cfg, &s.doubt, settings)
	s.write.SetMaxOpenConns(1)
	s.read.SetMaxOpenConns(postgresReaders)
	s.read.SetMaxIdleConns(postgresReaders)
	s.read.SetConnMaxIdleTime(5 * time.Minute)
	if err := s.write.PingContext(ctx); err != nil {
		if notThere(err) {
			return fmt.Errorf("store: %w", fault.Wrap(fault.Unavailable, "connect to PostgreSQL", err))
		}
		return fmt.Errorf("store: connect to PostgreSQL: %w", err)
	}
	return nil
}

// notThere: the server is not reached, or does not take anybody now; asked again, it may.
func notThere(err error) bool {
	var server *pgconn.PgError
	if errors.As(err, &server) {
		switch server.Code {
		case "57P01", "57P02", "57P03", "53300": // it stops, has crashed, starts; all connections are taken
			return true
		}
		return strings.HasPrefix(server.Code, "08")
	}
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.DeadlineExceeded)
}

// doubt is how often the connections that are open were doubted: what one has suffered, the idle ones beside it most likely have too. To lower
// the pool's SetMaxIdleConns and raise it again is no way to be rid of them: several at once close connections that the pool hands out
// afterwards, and the next who asks panics (Go 1.26.8).
type doubt struct{ times atomic.Int64 }

// doubtKey is where a connection keeps how often others were doubted before it was opened.
const doubtKey = "waybill.doubt"

func (d *doubt) note() { d.times.Add(1) }

func (d *doubt) opened(c *pgx.Conn) { c.PgConn().CustomData()[doubtKey] = d.times.Load() }

func (d *doubt) of(c *pgx.Conn) bool { return c.PgConn().CustomData()[doubtKey] != d.times.Load() }

// doubtTime is how long a connection that is doubted has to show that it is there.
const doubtTime = time.Second

// ping is whether a connection that was idle is asked whether it is there. One that is doubted is asked by use, for a shorter time.
func (d *doubt) ping(_ context.Context, p stdlib.ShouldPingParams) bool {
	return !d.of(p.Conn) && p.IdleDuration > time.Second
}

// use lets a connection be used again. One that is doubted and does not answer is cut, so that nobody waits for its end either.
func (d *doubt) use(ctx context.Context, c *pgx.Conn) error {
	if !d.of(c) {
		return nil
	}
	now := d.times.Load()
	ctx, cancel := context.WithTimeout(ctx, doubtTime)
	defer cancel()
	if c.Ping(ctx) != nil {
		_ = c.PgConn().Conn().Close()
		return driver.ErrBadConn
	}
	c.PgConn().CustomData()[doubtKey] = now
	return nil
}

// openPool applies settings by statement: connection poolers refuse most of them as start-up parameters.
func openPool(cfg *pgx.ConnConfig, d *doubt, sets ...map[string]string) *sql.DB {
	var b strings.Builder
	for _, set := range sets {
		for _, name := range slices.Sorted(maps.Keys(set)) {
			if _, given := cfg.RuntimeParams[name]; given && name != "synchronous_commit" && name != "default_transaction_isolation" {
				continue
			}
			b.WriteString("SET " + name + " = " + set[name] + ";")
		}
	}
	text := b.String()
	return stdlib.OpenDB(*cfg, stdlib.OptionShouldPing(d.ping), stdlib.OptionResetSession(d.use), stdlib.OptionAfterConnect(func(ctx context.Context, c *pgx.Conn) error {
		d.opened(c)
		_, err := c.Exec(ctx, text)
		return err
	}))
}

// postgresCode is the SQLSTATE of a PostgreSQL failure.
func postgresCode(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}
