package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	lib "modernc.org/sqlite/lib"

	"github.com/waybill-hub/waybill/internal/fault"
)

// refusal is a failure of one member's own: decided before it wrote anything, so that the others go on.
type refusal struct{ err error }

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

// refuse makes a refusal whose text ends with base.
func refuse(base error, format string, args ...any) error {
	return &refusal{fmt.Errorf(format+": %w", append(args, base)...)}
}

func isRefusal(err error) bool {
	var r *refusal
	return errors.As(err, &r)
}

// wrap names the operation and classifies the database's failure. A refusal and a caller's own cancellation pass as they are.
func (s *Store) wrap(op string, err error) error {
	var r *refusal
	var classified *fault.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &r):
		return r.err
	case errors.As(err, &classified), errors.Is(err, ErrClosed), errors.Is(err, context.Canceled):
		return err
	case isDamage(err):
		return &fault.Error{Kind: fault.Invalid, System: "store", Op: op,
			Err: fmt.Errorf("%s is damaged, stop the hub and put a backup in its place: %w", s.cfg.SQLite, err)}
	case s.offline(err):
		if s.d == postgres && errors.Is(err, context.DeadlineExceeded) {
			s.doubt.note() // without this each of the idle ones costs its next caller the whole of readTimeout
		}
		return &fault.Error{Kind: fault.Unavailable, System: "store", Op: op, Err: err}
	}
	return &fault.Error{Kind: fault.UnknownOutcome, System: "store", Op: op, Err: err}
}

// offline reports whether the database itself could not be worked with, so that trying members one by one is of no use.
func (s *Store) offline(err error) bool {
	var n net.Error
	var connect *pgconn.ConnectError
	switch {
	case errors.Is(err, driver.ErrBadConn), errors.Is(err, sql.ErrConnDone), errors.Is(err, context.DeadlineExceeded),
		errors.As(err, &n), errors.As(err, &connect), isDamage(err):
		return true
	}
	if s.d == sqlite {
		code, ok := sqliteCode(err)
		return ok && (code == lib.SQLITE_FULL || code == lib.SQLITE_IOERR || code == lib.SQLITE_BUSY || code == lib.SQLITE_READONLY ||
			code == lib.SQLITE_CANTOPEN || code == lib.SQLITE_NOMEM)
	}
	code := postgresCode(err)
	// 25006 read-only, 42501 no right to write: of the database, never of a member. Class 08 connection, 53 resources, 57 operator intervention, 58 the server's own trouble, 55P03 a lock that another hub has held
	// for too long; no code at all: the link broke.
	return code == "" || code == "25006" || code == "42501" || code == "55P03" || strings.HasPrefix(code, "08") || strings.HasPrefix(code, "53") || strings.HasPrefix(code, "57") || strings.HasPrefix(code, "58")
}

// contended reports a failure that goes away when the transaction is run again: deadlock, serialization, and a unique key that another hub has written between this one's look and its write.
func contended(err error) bool {
	switch postgresCode(err) {
	case "40P01", "40001", "23505":
		return true
	}
	return false
}
