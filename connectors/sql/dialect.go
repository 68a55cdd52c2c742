package sql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	sqlitedriver "modernc.org/sqlite" // registers the driver "sqlite" too

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// dialect is what differs between the databases.
type dialect interface {
	// param is the n-th placeholder, from 1.
	param(n int) string
	// stamped and unstamped are the conditions that an expression for a version of a type holds one, or does not: it is null, or comes before all
	// times and numbers. One of the two is true of every row.
	stamped(version, typ string) string
	unstamped(version, typ string) string
	// clock is a query for the database's time as the transaction began, in microseconds since 1970; empty where that is the hub's.
	clock() string
	// lockWait makes a transaction of many wait for no lock of others for long; empty where there is nothing to say.
	lockWait() string
	// probe is a query for a number that shows whether the database works.
	probe() string
	// lag is a query for the milliseconds by which the database lags behind the one that it copies, or the slowest of its copies behind it; empty where
	// there are none.
	lag() string
	// text selects an expression as text; shown does so with one that is, or begins with, a column; list names the object's list that it is of.
	text(expr string) string
	shown(o *object, list, column, expr string) string
	// put is a parameter that a column of a type is set to.
	put(st *statement, typ string, v any) string
	// isTrue is the condition that a column of booleans is true; it is false of null.
	isTrue(column string) string
	// era gives the text of a time, of the years 0 to 9999, as the database reads it.
	era(t time.Time, text string) string
	// now is the database's clock as a value for a column of a time type; local times are those of zone, at the hub's time where the
	// database knows no zones.
	now(typ string, zone *time.Location, hub time.Time) string
	// next is what a version is set to after before, so that it is greater and not earlier than now; ok is false where the database cannot work
	// it out.
	next(o *object, before, now, typ string) (expr string, ok bool)
	// textTimes: times are texts in whatever form the application writes them, and compared as texts.
	textTimes() bool
	// oneState is how a transaction begins that only reads, and sees one state of the database; first is a statement that it begins with, or empty.
	oneState() (opts *sql.TxOptions, first string)
	// horizon is a query for a version before which all changes are visible, and behind which some may be on their way; it is asked before a poll's
	// transaction begins. Empty: there is none to be had.
	horizon(o *object) string
	// limit ends a SELECT, so that it gives n rows at most; ordered: it has an order.
	limit(n string, ordered bool) string
	// savepoint sets the savepoint of one change among several, and back goes back to it.
	savepoint() (set, back string)
	// locking makes a SELECT lock what it finds: hint stands behind the table's name, rest at the end.
	locking() (hint, rest string)
	// affected runs an UPDATE or a DELETE, and gives the number of its own rows: those of triggers do not count.
	affected(ctx context.Context, tx *sql.Tx, st *statement) (int64, error)
	boolean(b bool) any
	// whole is a whole number, which is a text where it has more than 63 bits, as the driver takes it.
	whole(v any) any
	// same is the condition that a column of texts is the same as value under a rule that is neither exact nor uuid.
	same(st *statement, column, value string, rule connector.Compare) string

	// learn looks up what statements about the object depend on.
	learn(ctx context.Context, db *database, o *object) error
	// refuses says why the object cannot be read, or written to, as its tables are; searchable why it cannot be searched by a column. Empty: it can.
	refuses(o *object, writing bool) string
	// length is how many characters a column takes, where the driver does not tell; list names the object's list that it is of.
	length(o *object, list, column string) int64
	searchable(o *object, column string) string
	// value is a parameter that is compared with a column of a type.
	value(st *statement, typ string, v any) string
	// is, among and outside are the conditions that a column of a type holds exactly a value, one of some, and none of them.
	is(st *statement, column, typ string, v any) string
	among(st *statement, column, typ string, values []any) string
	outside(st *statement, column, typ string, values []any) string
	// stands is the condition that a version is the one of an ETag.
	stands(st *statement, version, typ, etag string) string
	// orderID is the order by the columns of the object's id; nulls: rows without one may be there, and come last. behindID is the condition that a row
	// comes behind an id in it, and behind that it comes behind a version and an id.
	orderID(o *object, nulls bool) string
	behindID(st *statement, o *object, last []any) string
	behind(st *statement, o *object, version any, last []any) string
	// folds: texts that differ are equal in conditions, and an id finds more than itself.
	folds() bool
	// inserts goes on with an INSERT INTO that sets columns, or none.
	inserts(st *statement, o *object, columns, places string)
	// upserts: an INSERT takes ON CONFLICT.
	upserts() bool
	// added runs an INSERT, and gives the new row's id.
	added(ctx context.Context, tx *sql.Tx, c *change, st *statement) (id string, err error)
	// call calls p with the parameters that are given, by name, and gives the answer's words. ended: the procedure has ended the hub's transaction.
	call(ctx context.Context, tx *sql.Tx, c *change, p *procedure, given []parameter) (a words, ended bool, err error)
	// texts gives a function that turns what the driver gives for a column into its text; nil: it is that.
	texts(rows *sql.Rows) (func(i int, v *sql.NullString), error)
	// kept says what, beside decimals, a row does not hold as it was sent; list names the object's list that it is of.
	kept(o *object, list string, sent, stored jsondoc.Value) error
	// impossible: the failure with this code means that a column can hold no such value.
	impossible(code string) bool
	// noRight are the codes for a right that is missing. A SELECT lacks it on the table or a column, whichever row is asked for.
	noRight() []string
}

// standard is what SQLite and PostgreSQL have in common.
type standard struct{}

func (standard) learn(context.Context, *database, *object) error { return nil }
func (standard) refuses(*object, bool) string                    { return "" }
func (standard) length(*object, string, string) int64            { return 0 }
func (standard) searchable(*object, string) string               { return "" }
func (standard) value(st *statement, _ string, v any) string     { return st.arg(v) }
func (standard) whole(v any) any                                 { return v }
func (standard) put(st *statement, _ string, v any) string       { return st.arg(v) }
func (standard) isTrue(column string) string                     { return column + " IS TRUE" }
func (standard) horizon(*object) string                          { return "" }
func (standard) limit(n string, _ bool) string                   { return " LIMIT " + n }
func (standard) locking() (hint, rest string)                    { return "", " FOR UPDATE" }
func (standard) savepoint() (set, back string) {
	return "SAVEPOINT waybill", "ROLLBACK TO SAVEPOINT waybill"
}

func (standard) affected(ctx context.Context, tx *sql.Tx, st *statement) (int64, error) {
	return rowsAffected(ctx, tx, st)
}

// rowsAffected is the number that the driver gives.
func rowsAffected(ctx context.Context, tx *sql.Tx, st *statement) (int64, error) {
	res, err := tx.ExecContext(ctx, st.String(), st.args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (standard) folds() bool   { return false }
func (standard) upserts() bool { return true }
func (standard) inserts(st *statement, _ *object, columns, places string) {
	if columns == "" {
		st.WriteString(" DEFAULT VALUES")
		return
	}
	st.WriteString(" (" + columns + ") VALUES (" + places + ")")
}

func (standard) kept(*object, string, jsondoc.Value, jsondoc.Value) error {
	return nil
}

func (standard) texts(*sql.Rows) (func(int, *sql.NullString), error) {
	return nil, nil
}

func (standard) is(st *statement, column, _ string, v any) string { return column + " = " + st.arg(v) }

func (standard) among(st *statement, column, typ string, values []any) string {
	return column + " IN " + st.list(typ, values)
}

func (standard) outside(st *statement, column, typ string, values []any) string {
	return column + " NOT IN " + st.list(typ, values)
}

func (standard) stands(st *statement, version, _, etag string) string {
	return st.db.dialect.text(version) + " = " + st.arg(etag)
}

func (standard) orderID(o *object, nulls bool) string {
	switch order := o.Key.each(of, ", "); {
	case !nulls:
		return order
	case o.several():
		return o.brokenLast() + order
	default:
		return order + " NULLS LAST"
	}
}

func (standard) behindID(st *statement, o *object, last []any) string {
	if !o.several() {
		return of(o.ID) + " > " + st.arg(last[0])
	}
	return "(" + o.Key.each(of, ", ") + ") > (" + st.arguments(last) + ")"
}

func (standard) behind(st *statement, o *object, version any, last []any) string {
	return "(" + o.versionExpr() + ", " + o.Key.each(of, ", ") + ") > (" + st.arg(version) + ", " + st.arguments(last) + ")"
}

func (standard) added(ctx context.Context, tx *sql.Tx, c *change, st *statement) (id string, err error) {
	st.WriteString(" RETURNING " + c.db.keyShown(c.o, quote))
	id, err = c.scanID(tx.QueryRowContext(ctx, st.String(), st.args...))
	if errors.Is(err, sql.ErrNoRows) {
		return "", c.kept("added")
	}
	return id, err
}

type sqlite struct{ standard }

func (sqlite) impossible(string) bool { return false }
func (sqlite) noRight() []string      { return nil }

func (sqlite) param(int) string { return "?" }
func (sqlite) probe() string    { return "PRAGMA schema_version" } // read from the file's first page
func (sqlite) clock() string    { return "" }                      // a file has none
func (sqlite) lockWait() string { return "" }                      // the whole file is the transaction's

// stamped: SQLite takes any text in any column. One that is no number compares as text whatever the column's affinity, and every number comes before
// it. "/~" comes before every digit.
func (sqlite) stamped(version, typ string) string {
	if timeType(typ) {
		return version + " >= '/~'"
	}
	return version + " <> ''"
}

func (sqlite) unstamped(version, typ string) string {
	if timeType(typ) {
		return "(" + version + " IS NULL OR " + version + " < '/~')"
	}
	return "(" + version + " IS NULL OR " + version + " = '')"
}

// timeType: the database writes the column as a time, not as a number.
func timeType(typ string) bool { return typ == "timestamp" || typ == "local-timestamp" }

func (sqlite) text(column string) string { return "CAST(" + column + " AS TEXT)" }

func (sqlite) era(_ time.Time, text string) string { return text }

func (sqlite) now(typ string, zone *time.Location, hub time.Time) string {
	switch typ {
	case "unix":
		return "CAST(strftime('%s','now') AS INTEGER)"
	case "unix-ms":
		return "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
	case "local-timestamp":
		return "'" + hub.In(zone).Format("2006-01-02 15:04:05.000") + "'"
	}
	return "strftime('%Y-%m-%dT%H:%M:%fZ','now')"
}

func (sqlite) textTimes() bool { return true }
func (sqlite) oneState() (*sql.TxOptions, string) {
	return &sql.TxOptions{ReadOnly: true}, ""
}

func (d sqlite) shown(_ *object, _, _, expr string) string { return d.text(expr) }

func (sqlite) boolean(b bool) any {
	if b {
		return 1
	}
	return 0
}

// keyFunction is the hub's own function in its connections to SQLite, whose lower() knows no letter beyond ASCII.
const keyFunction = "waybill_key"

var addKeyFunction = sync.OnceValue(func() error {
	return sqlitedriver.RegisterDeterministicScalarFunction(keyFunction, 2, func(_ *sqlitedriver.FunctionContext, args []driver.Value) (driver.Value, error) {
		rule, _ := args[0].(string)
		text, ok := args[1].(string)
		if !ok {
			return nil, nil
		}
		return connector.Compare(rule).Key(text), nil
	})
})

func (d sqlite) same(st *statement, column, value string, rule connector.Compare) string {
	return keyFunction + "('" + string(rule) + "', " + d.text(column) + ") = " + st.arg(rule.Key(value))
}

type postgres struct{ standard }

// impossible: a text that a column's type cannot be. No row holds it.
func (postgres) impossible(code string) bool { return code == "22P02" }
func (postgres) noRight() []string           { return []string{"42501"} }

// is: a number that the column is too small for is in no row, where the driver, or the server, would fail on it.
func (d postgres) is(st *statement, column, typ string, v any) string {
	if typ != "integer" {
		return d.standard.is(st, column, typ, v)
	}
	if _, large := v.(string); large {
		return column + " = " + st.arg(v) + "::numeric"
	}
	return column + " = " + st.arg(v) + "::bigint"
}

func (postgres) probe() string             { return "SELECT 1" }
func (postgres) param(n int) string        { return "$" + strconv.Itoa(n) }
func (postgres) text(column string) string { return "(" + column + ")::text" }
func (postgres) textTimes() bool           { return false }
func (postgres) oneState() (*sql.TxOptions, string) {
	return repeatable, ""
}
func (d postgres) shown(_ *object, _, _, expr string) string { return d.text(expr) }
func (postgres) boolean(b bool) any                          { return b }
func (postgres) clock() string {
	return "SELECT (extract(epoch from transaction_timestamp()) * 1000000)::bigint"
}
func (postgres) lockWait() string { return "SET LOCAL lock_timeout = '100ms'" }

// stamped: the years before 1, and -infinity, are no stamps.
func (postgres) stamped(version, typ string) string {
	if timeType(typ) {
		return version + " >= '0001-01-01'"
	}
	return version + " IS NOT NULL"
}

func (postgres) unstamped(version, typ string) string {
	if timeType(typ) {
		return "(" + version + " IS NULL OR " + version + " < '0001-01-01')"
	}
	return version + " IS NULL"
}

// era: PostgreSQL has no year 0, and calls it 1 BC.
func (postgres) era(t time.Time, text string) string {
	if t.Year() != 0 {
		return text
	}
	return "0001" + strings.TrimPrefix(text, "0000") + " BC"
}

// An index on lower(column) serves a value of ASCII letters. Everything else is compared by a pattern that names every letter, which reads the
// table: lower() depends on the database's locale, in some of which it knows no other letters, and in Turkish ones makes another letter of I.
func (d postgres) same(st *statement, column, value string, rule connector.Compare) string {
	column = d.text(column)
	named := column + " ~ " + st.arg(pattern(value, rule))
	if rule != connector.Fold || strings.ContainsFunc(value, func(r rune) bool { return r > unicode.MaxASCII }) {
		return named
	}
	return "(lower(" + column + ") = lower(" + st.arg(value) + ") OR lower('I') <> 'i' AND " + named + ")"
}

func (postgres) now(typ string, zone *time.Location, _ time.Time) string {
	switch typ {
	case "unix":
		return "floor(extract(epoch from clock_timestamp()))::bigint"
	case "unix-ms":
		return "floor(extract(epoch from clock_timestamp()) * 1000)::bigint"
	case "local-timestamp":
		return "clock_timestamp() AT TIME ZONE '" + strings.ReplaceAll(zone.String(), "'", "''") + "'"
	}
	return "clock_timestamp()"
}

// openSQLite opens an existing file: another application's database is never made by the hub. A wait for a lock does not
// end with the caller's context, so that it is kept short; the engine tries again.
func openSQLite(path string, conns int, timeout time.Duration, readOnly bool) (*sql.DB, error) {
	if err := addKeyFunction(); err != nil {
		return nil, err
	}
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath()}
	q := url.Values{"mode": {"rw"}, "_txlock": {"immediate"}, "_pragma": {fmt.Sprintf("busy_timeout(%d)", min(timeout, 2*time.Second).Milliseconds()), "foreign_keys(1)"}}
	if readOnly {
		q.Set("mode", "ro")
		q.Del("_txlock")
		q.Add("_pragma", "query_only(1)")
	}
	u.RawQuery = q.Encode()
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

// password gives the password inside a connection URL, for scrubbing.
func password(connection string) string {
	cfg, err := pgx.ParseConfig(connection)
	if err != nil {
		return ""
	}
	return cfg.Password
}

// postgresConfig is how the hub connects to PostgreSQL.
func postgresConfig(connection string) (*pgx.ConnConfig, error) {
	cfg, err := pgx.ParseConfig(connection)
	if err != nil {
		return nil, err
	}
	cfg.DialFunc = httpclient.Dialer().DialContext
	// Columns are read as text: in one form, whatever the server's settings.
	cfg.RuntimeParams["timezone"] = "UTC"
	cfg.RuntimeParams["datestyle"] = "ISO"
	cfg.RuntimeParams["application_name"] = "waybill"
	return cfg, nil
}

func openPostgres(connection string, conns int, readOnly bool) (*sql.DB, error) {
	cfg, err := postgresConfig(connection)
	if err != nil {
		return nil, err
	}
	if readOnly {
		cfg.RuntimeParams["default_transaction_read_only"] = "on"
	}
	return pooled(stdlib.OpenDB(*cfg), conns), nil
}

// repeatable is a transaction that only reads, one state of the database.
var repeatable = &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}

// reading is a transaction that sees one state of the database.
func (db *database) reading(ctx context.Context) (*sql.Tx, error) {
	opts, first := db.dialect.oneState()
	tx, err := db.sql.BeginTx(ctx, opts)
	if err != nil || first == "" {
		return tx, err
	}
	if _, err := tx.ExecContext(ctx, first); err != nil {
		return nil, errors.Join(err, tx.Rollback())
	}
	return tx, nil
}

// lag is of a server that copies another one, or is copied; where the user may not see that, nothing lags.
func (postgres) lag() string {
	return `SELECT (1000 * coalesce(CASE WHEN NOT pg_is_in_recovery() THEN (SELECT max(extract(epoch from replay_lag)) FROM pg_stat_replication)
		WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0 ELSE extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp()) END, 0))::bigint`
}

func (sqlite) lag() string { return "" }
