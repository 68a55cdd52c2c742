// Package sql is the connector for tables of SQLite, PostgreSQL, MariaDB, MySQL, SQL Server, Oracle and SAP HANA databases.
//
// Every write is one transaction, header and children together, and is read back in it. Values are always parameters;
// names come from the settings alone, are checked, and quoted.
package sql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/gather"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Kind is the connector kind "sql".
type Kind struct{}

// Spec describes the settings.
func (Kind) Spec() connector.Spec {
	return connector.Spec{
		Kind:    "sql",
		Summary: "tables of a SQLite, PostgreSQL, MariaDB, MySQL, SQL Server, Oracle or SAP HANA database",
		Fields:  connector.Fields[settings](),
		Can:     connector.Abilities{Write: true, Find: true, Poll: true, List: true},
		Proven:  proven,
	}
}

const (
	ofTables   = "polls, look-ups, lists; creates, updates, deletes with lines; upsert; changes together; keys of several columns; interface tables and their outcome; outbox tables; read-only"
	statements = "**statements alone**: what is sent for each operation is kept in golden files (`connectors/sql/testdata/statements`), which another's parsers read for SQL Server and Oracle (`TestStatementsAreRead`); failures are told apart by the " +
		"vendors' numbers and words, as tests give them. The driver is never connected: no server was within reach of the machines that test"
)

// proven says on what each driver was proven.
var proven = []connector.Proof{
	{Of: "`sqlite`", Does: ofTables + "; columns compared plainly", On: "SQLite, the library that the hub is built with"},
	{Of: "`postgres`", Does: ofTables + "; procedures and functions; columns compared plainly", On: "PostgreSQL 15, started by the tests"},
	{Of: "`mysql`", Does: ofTables + "; procedures, their result sets, and functions; columns compared plainly", On: "MariaDB 10.11, started by the tests; MySQL 8 itself was not run: what differs there is run on MariaDB with that switched off"},
	{Of: "`sqlserver`", Does: "polls, by rowversion too, look-ups, lists; creates, updates, deletes with lines; upsert; keys of several columns; procedures", On: statements},
	{Of: "`oracle`", Does: "polls, look-ups, lists; creates, updates, deletes with lines; upsert; keys of several columns; procedures", On: statements},
	{Of: "`hana`", Does: "polls, look-ups, lists; creates, updates, deletes with lines; upsert; keys of several columns; procedures", On: statements},
}

// Check reads the settings and adds every problem to p.
func (Kind) Check(s connector.Settings, p *strictyaml.Problems) { read(s, p) }

// Open makes the system ready. It makes no connection.
func (Kind) Open(_ context.Context, s connector.Settings) (connector.System, error) {
	var p strictyaml.Problems
	set, zone := read(s, &p)
	if err := p.Err(); err != nil {
		return nil, err
	}
	db := &database{name: s.Name, set: set, zone: zone, clock: lifecycle.Real()}
	lanes := max(1, set.Limit.Concurrency)
	db.scrub.AddSettings(set)
	var err error
	var open func(conns int) (*sql.DB, error)
	switch set.Driver {
	case "sqlite":
		db.dialect = sqlite{}
		lanes = 1 // it has one writer: to wait here is cheaper, and fairer, than to wait in the database
		db.file = s.Path(set.Path)
		open = func(conns int) (*sql.DB, error) { return openSQLite(db.file, conns, set.Timeout, set.ReadOnly) }
	case "postgres":
		db.dialect = postgres{}
		db.scrub.Add(password(set.URL.Reveal()))
		open = func(conns int) (*sql.DB, error) { return openPostgres(set.URL.Reveal(), conns, set.ReadOnly) }
		if set.Capture != nil {
			log := s.Log
			if log == nil {
				log = slog.New(slog.DiscardHandler)
			}
			db.capture = newCapture(db, log)
		}
	case "mysql":
		d := &mysql{}
		db.dialect = d
		db.scrub.Add(mysqlPassword(set.URL.Reveal()))
		open = func(conns int) (*sql.DB, error) {
			return openMySQL(d, set.URL.Reveal(), conns, set.Timeout, set.ReadOnly)
		}
	case "sqlserver":
		db.dialect = &sqlserver{}
		db.scrub.Add(urlPassword(set.URL.Reveal()))
		open = func(conns int) (*sql.DB, error) {
			return openSQLServer(set.URL.Reveal(), conns, set.Timeout, set.ReadOnly)
		}
	case "oracle":
		db.dialect = oracle{}
		db.scrub.Add(urlPassword(set.URL.Reveal()))
		open = func(conns int) (*sql.DB, error) { return openOracle(set.URL.Reveal(), conns, set.Timeout) }
	case "hana":
		db.dialect = hana{}
		db.scrub.Add(urlPassword(set.URL.Reveal()))
		open = func(conns int) (*sql.DB, error) { return openHANA(set.URL.Reveal(), conns, set.Timeout) }
	}
	if s.Database != nil {
		open = func(int) (*sql.DB, error) { return sql.OpenDB(s.Database), nil }
	}
	db.changes = db.gathered(max(1, set.Limit.Batch), lanes)
	if db.sql, err = open(set.Limit.Concurrency); err != nil {
		return nil, fmt.Errorf("open database: %w", db.scrub.Error(err))
	}
	if db.probing, err = open(1); err != nil {
		return nil, fmt.Errorf("open database: %w", errors.Join(db.scrub.Error(err), db.sql.Close()))
	}
	db.probing.SetMaxIdleConns(0)
	if db.measuring, err = open(1); err != nil {
		return nil, fmt.Errorf("open database: %w", errors.Join(db.scrub.Error(err), db.sql.Close(), db.probing.Close()))
	}
	db.measuring.SetConnMaxIdleTime(measuringIdle)
	return db, nil
}

// measuringIdle is how long the connection of a comparison's measurements outlives it.
const measuringIdle = 30 * time.Second

// database is one configured database.
type database struct {
	name string
	set  *settings
	file string // of SQLite, with its folder
	sql  *sql.DB
	// probing makes a connection of its own for every probe: it says whether the database lets the hub in, not how busy the hub is with it.
	probing *sql.DB
	// measuring is for the time that a call takes while much is read.
	measuring *sql.DB
	dialect   dialect
	zone      *time.Location
	clock     lifecycle.Clock
	scrub     connector.Scrubber
	changes   *gather.Queue[*pending]
	awaited   awaited
	capture   *capture // nil: nothing is read from a log
}

var (
	_ connector.Sink    = (*database)(nil)
	_ connector.Finder  = (*database)(nil)
	_ connector.Poller  = (*database)(nil)
	_ connector.Lister  = (*database)(nil)
	_ connector.Objects = (*database)(nil)
)

// Objects lists the names of the configured object types.
func (db *database) Objects() []string { return slices.Sorted(maps.Keys(db.set.Objects)) }

// Close closes all connections.
func (db *database) Close() error {
	return errors.Join(db.capture.close(), db.sql.Close(), db.probing.Close(), db.measuring.Close())
}

// Timeout bounds one call: that of the database, and how long an interface table's system is waited for.
func (db *database) Timeout() time.Duration {
	wait := time.Duration(0)
	for _, o := range db.set.Objects {
		if o.Interface != nil && len(o.Interface.Done) > 0 {
			wait = max(wait, o.Interface.Wait)
		}
	}
	return db.set.Timeout + wait
}

// Probe connects, and asks the database for something that it must look for in itself: an SQLite file is not read for a constant.
func (db *database) Probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, db.set.Timeout)
	defer cancel()
	var n int
	return db.classify("probe", nil, false, db.probing.QueryRowContext(ctx, db.dialect.probe()).Scan(&n))
}

func (db *database) object(name string) (*object, error) {
	if o := db.set.Objects[name]; o != nil {
		return o, nil
	}
	return nil, db.fail(fault.Invalid, "", "the system has no object %q%s", name, strictyaml.Meant(name, db.Objects()))
}

// learn has the dialect learn what it must know of an object, and refuses what cannot be done with it.
func (db *database) learn(ctx context.Context, op string, o *object, writing bool) error {
	if err := db.dialect.learn(ctx, db, o); err != nil {
		return db.classify(op, o, false, err)
	}
	if why := db.dialect.refuses(o, writing); why != "" {
		return db.fail(fault.Invalid, op, "%s", why)
	}
	return nil
}

// fail makes a failure of this system.
func (db *database) fail(k fault.Kind, op, format string, args ...any) *fault.Error {
	f := fault.New(k, format, args...)
	f.System, f.Op = db.name, op
	return f
}
