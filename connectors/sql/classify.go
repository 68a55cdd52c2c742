package sql

import (
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	hdb "github.com/SAP/go-hdb/driver"
	mysqldriver "github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	mssql "github.com/microsoft/go-mssqldb"
	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/httpclient"
)

// classify gives the class of a failure before the commit: whatever is lost then was never applied. own tells whether a
// unique violation concerns the object's own table while it is created: only then does it mean that the object is there.
func (db *database) classify(op string, o *object, creating bool, err error) error {
	if err == nil {
		return nil
	}
	if f, ok := fault.As(err); ok {
		return f
	}
	f := &fault.Error{Kind: fault.Unavailable, System: db.name, Op: op, Err: db.scrub.Error(err)}
	var pg *pgconn.PgError
	var lite *driver.Error
	var my *mysqldriver.MySQLError
	var ms mssql.Error
	var ha hdb.Error
	switch {
	case errors.Is(err, httpclient.ErrAddress), errors.Is(err, mysqldriver.ErrPktTooLarge):
		f.Kind = fault.Invalid
	case errors.As(err, &my):
		db.mysqlFault(f, my, o, creating, err)
	case errors.As(err, &ms):
		db.sqlserverFault(f, ms, o, creating, err)
	case errors.As(err, &ha):
		db.hanaFault(f, ha, o, creating, err)
	case errors.As(err, &pg):
		f.Code = pg.Code
		f.Kind = postgresKind(pg)
		if pg.Code == "23505" && creating && o != nil && strings.EqualFold(pg.TableName, lastPart(o.Table)) {
			f.Kind, f.Duplicate = fault.Conflict, true
		}
		f.Err, f.Field = errors.New(db.scrub.Text(pgText(pg))), pg.ColumnName
	case errors.As(err, &lite):
		f.Code = "SQLITE_" + strconv.Itoa(lite.Code())
		f.Kind, f.Field = sqliteKind(lite.Code()), sqliteColumn(lite.Error())
		if lite.Code()&0xff == codes.SQLITE_CANTOPEN {
			f.Err = fmt.Errorf("%s: %w: is it there, and may the hub read and write it and its folder?", db.set.Path, f.Err)
		}
		unique := lite.Code() == codes.SQLITE_CONSTRAINT_UNIQUE || lite.Code() == codes.SQLITE_CONSTRAINT_PRIMARYKEY || lite.Code() == codes.SQLITE_CONSTRAINT_ROWID
		if unique && creating && o != nil && strings.Contains(strings.ToLower(lite.Error()), ": "+strings.ToLower(lastPart(o.Table))+".") {
			f.Kind, f.Duplicate = fault.Conflict, true
		}
	default:
		if code, text, is := oracleCode(err); is && db.set.Driver == "oracle" {
			db.oracleFault(f, code, text, o, creating, err)
		}
	}
	return f
}

// committed gives the class of a failure of the commit itself: without the server's own word nobody knows.
func (db *database) committed(op string, err error) error {
	if err == nil {
		return nil
	}
	var pg *pgconn.PgError
	var lite *driver.Error
	var my *mysqldriver.MySQLError
	var ms mssql.Error
	var ha hdb.Error
	code, _, ora := oracleCode(err)
	switch {
	case errors.As(err, &ms):
		if sqlserverRolledBack(ms) {
			return db.classify(op, nil, false, err)
		}
	case errors.As(err, &ha):
		if hanaRolledBack(ha.Code()) {
			return db.classify(op, nil, false, err)
		}
	case ora && db.set.Driver == "oracle":
		if oracleRolledBack(code) {
			return db.classify(op, nil, false, err)
		}
	case errors.As(err, &my):
		if rolledBack(my.Number) {
			return db.classify(op, nil, false, err)
		}
	case errors.As(err, &pg):
		if !strings.HasPrefix(pg.Code, "08") && !strings.HasPrefix(pg.Code, "57P") {
			return db.classify(op, nil, false, err)
		}
	case errors.As(err, &lite):
		if k := sqliteKind(lite.Code()); lite.Code()&0xff != codes.SQLITE_IOERR && lite.Code()&0xff != codes.SQLITE_FULL || k == fault.Invalid {
			return db.classify(op, nil, false, err)
		}
	case errors.Is(err, pgx.ErrTxCommitRollback), errors.Is(err, sql.ErrTxDone): // rolled back before
		return &fault.Error{Kind: fault.Unavailable, System: db.name, Op: op, Err: db.scrub.Error(err)}
	}
	return &fault.Error{Kind: fault.UnknownOutcome, System: db.name, Op: op + ": commit", Err: db.scrub.Error(err)}
}

// postgresKind maps SQLSTATEs (appendix A of PostgreSQL's manual).
func postgresKind(e *pgconn.PgError) fault.Kind {
	switch e.Code {
	case "3D000": // no such database: nothing is wrong with the message
		return fault.Unavailable
	case "40001", "40P01", "55P03", "57014", "25006", "25P03", "25P04", "57P01", "57P02", "57P03", "57P05":
		return fault.Unavailable // serialization, deadlock, lock, timeout, standby, shutdown: rolled back
	case "28000", "28P01":
		return fault.Auth
	case "0A000":
		if strings.Contains(e.Message, "cached plan") {
			return fault.Unavailable // the table was altered; the next try prepares anew
		}
	}
	switch e.Code[:min(2, len(e.Code))] {
	case "08", "53", "58", "XX":
		return fault.Unavailable
	}
	return fault.Invalid
}

// sqliteKind maps result codes, extended ones included.
func sqliteKind(code int) fault.Kind {
	switch code & 0xff {
	case codes.SQLITE_BUSY, codes.SQLITE_LOCKED, codes.SQLITE_INTERRUPT, codes.SQLITE_IOERR, codes.SQLITE_FULL, codes.SQLITE_CANTOPEN,
		codes.SQLITE_PROTOCOL, codes.SQLITE_NOMEM, codes.SQLITE_SCHEMA, codes.SQLITE_ABORT:
		return fault.Unavailable
	case codes.SQLITE_READONLY, codes.SQLITE_CORRUPT, codes.SQLITE_NOTADB, codes.SQLITE_PERM: // of the file, whatever is written to it
		return fault.Unavailable
	}
	return fault.Invalid
}

// pgText leaves the detail out: it quotes rows.
func pgText(e *pgconn.PgError) string {
	s := e.Message
	if e.ConstraintName != "" && !strings.Contains(s, e.ConstraintName) {
		s += " (constraint " + e.ConstraintName + ")"
	}
	if e.ColumnName != "" && !strings.Contains(s, e.ColumnName) {
		s += " (column " + e.ColumnName + ")"
	}
	return s
}

// constraintOf is how SQLite names the columns that a constraint is about: "NOT NULL constraint failed: orders.no (1299)".
var constraintOf = regexp.MustCompile(`constraint failed: ((?:[^\s.,]+\.[^\s.,]+(?:, )?)+)`)

// sqliteColumn is the first column that a failed constraint names.
func sqliteColumn(text string) string {
	if m := constraintOf.FindStringSubmatch(text); m != nil {
		first, _, _ := strings.Cut(m[1], ",")
		return lastPart(first)
	}
	return ""
}

func lastPart(table string) string { return table[strings.LastIndexByte(table, '.')+1:] }
