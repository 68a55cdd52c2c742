package sql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"

	hdb "github.com/SAP/go-hdb/driver"

	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// recorder is a server that writes down what it is sent, and answers what the test has laid down. There is no SQL Server, no Oracle and no SAP HANA on the machines that
// test: what their dialects send stands in golden files, for people and for another's parsers to read.
type recorder struct {
	mu      sync.Mutex
	log     strings.Builder
	answers []answerTo
	// ordered are the columns of an answer for parameters that go out, in the order of the parameters, where those have no names.
	ordered []string
	filled  int
	types   map[int]string // what the driver calls columns of an answer, by their places
}

// answerTo answers the statements that a pattern fits.
type answerTo struct {
	to      *regexp.Regexp
	arg     string // the table that the statement's last parameter names; empty: whatever it names
	columns []string
	rows    [][]driver.Value
	count   int64
	err     error
}

// on lays an answer of rows down; the last one that fits counts.
func (r *recorder) on(pattern string, columns string, rows ...[]driver.Value) {
	r.answers = append(r.answers, answerTo{to: regexp.MustCompile(pattern), columns: strings.Split(columns, ","), rows: rows, count: 1})
}

// learnt lays down what the server's catalogue says of a table.
func (r *recorder) learnt(pattern, table, columns string, rows [][]driver.Value) {
	r.on(pattern, columns, rows...)
	r.answers[len(r.answers)-1].arg = table
}

func (r *recorder) fails(pattern string, err error) {
	r.answers = append(r.answers, answerTo{to: regexp.MustCompile(pattern), err: err})
}

func (r *recorder) write(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(&r.log, format+"\n", args...)
}

func (r *recorder) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.String()
}

func (r *recorder) answer(query string, args []driver.NamedValue) answerTo {
	for i, line := range strings.Split(query, "\n") {
		before := "      "
		if i == 0 {
			before = "    "
		}
		r.write("%s%s", before, line)
	}
	for i, a := range args {
		v := a.Value
		if of := reflect.ValueOf(v); of.Kind() == reflect.Struct && of.FieldByName("Dest").IsValid() { // each driver's own
			dest := of.FieldByName("Dest").Interface()
			v = fmt.Sprintf("out %s", reflect.TypeOf(dest).Elem())
			r.fill(query, a.Name, dest)
		}
		name := fmt.Sprint(i + 1)
		if a.Name != "" {
			name = a.Name
		}
		r.write("        %s = %T %v", name, v, v)
	}
	for i := len(r.answers) - 1; i >= 0; i-- {
		if r.answers[i].to.MatchString(query) && r.answers[i].about(args) {
			return r.answers[i]
		}
	}
	return answerTo{count: 1}
}

// about reports whether a question is about the answer's table.
func (a *answerTo) about(args []driver.NamedValue) bool {
	return a.arg == "" || len(args) > 0 && strings.Contains(fmt.Sprint(args[len(args)-1].Value), a.arg)
}

// oracleFailure is a failure as Oracle words it.
func oracleFailure(_ int, text string) error { return errors.New(text) }

// hanaFailure is a failure of SAP HANA's.
type hanaFailure struct {
	code int
	text string
}

func (e hanaFailure) Error() string   { return e.text }
func (e hanaFailure) NumError() int   { return 1 }
func (e hanaFailure) Unwrap() []error { return nil }
func (e hanaFailure) SetIdx(int)      {}
func (e hanaFailure) StmtNo() int     { return 0 }
func (e hanaFailure) Code() int       { return e.code }
func (e hanaFailure) Position() int   { return 0 }
func (e hanaFailure) Level() int      { return hdb.HdbError }
func (e hanaFailure) Text() string    { return e.text }
func (e hanaFailure) IsWarning() bool { return false }
func (e hanaFailure) IsError() bool   { return true }
func (e hanaFailure) IsFatal() bool   { return false }

// fill gives a parameter that goes out the value of the answer's column of its name, or of the first.
func (r *recorder) fill(query, name string, dest any) {
	for i := len(r.answers) - 1; i >= 0; i-- {
		x := r.answers[i]
		if !x.to.MatchString(query) || len(x.rows) == 0 {
			continue
		}
		wanted := x.columns[0]
		if name != "" {
			wanted = name
		} else if len(r.ordered) > 0 {
			wanted = r.ordered[r.filled%len(r.ordered)]
			r.filled++
		}
		for n, column := range x.columns {
			v, is := x.rows[0][n].(string)
			if column != wanted || !is {
				continue
			}
			switch into := dest.(type) {
			case *string:
				*into = v
			case *sql.NullString:
				*into = sql.NullString{String: v, Valid: v != ""}
			}
		}
		return
	}
}

func (r *recorder) Connect(context.Context) (driver.Conn, error) { return &recorded{r}, nil }
func (r *recorder) Driver() driver.Driver                        { return nil }

type recorded struct{ *recorder }

func (c *recorded) Prepare(string) (driver.Stmt, error) {
	return nil, errors.New("statements are not prepared apart")
}
func (c *recorded) Close() error { return nil }
func (c *recorded) Begin() (driver.Tx, error) {
	return nil, errors.New("a transaction says how it begins")
}
func (c *recorded) CheckNamedValue(*driver.NamedValue) error { return nil }

func (c *recorded) BeginTx(_ context.Context, opts driver.TxOptions) (driver.Tx, error) {
	how := ""
	if opts.Isolation != 0 {
		how += ", " + strings.ToLower(sql.IsolationLevel(opts.Isolation).String())
	}
	if opts.ReadOnly {
		how += ", read-only"
	}
	c.write("  begin%s", how)
	return c, nil
}

func (c *recorded) Commit() error {
	c.write("  commit")
	for i := len(c.answers) - 1; i >= 0; i-- {
		if c.answers[i].to.MatchString("COMMIT") {
			return c.answers[i].err
		}
	}
	return nil
}

func (c *recorded) Rollback() error { c.write("  rollback"); return nil }

func (c *recorded) ExecContext(_ context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	a := c.answer(query, args)
	return driver.RowsAffected(a.count), a.err
}

func (c *recorded) QueryContext(_ context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	a := c.answer(query, args)
	return &recordedRows{a: a, types: c.types}, a.err
}

type recordedRows struct {
	a     answerTo
	at    int
	types map[int]string
}

func (r *recordedRows) ColumnTypeDatabaseTypeName(i int) string { return r.types[i] }

func (r *recordedRows) Columns() []string { return r.a.columns }
func (r *recordedRows) Close() error      { return nil }

func (r *recordedRows) Next(dest []driver.Value) error {
	if r.at == len(r.a.rows) {
		return io.EOF
	}
	copy(dest, r.a.rows[r.at])
	r.at++
	return nil
}

// record opens a system of a driver whose server is a recorder.
func record(t testing.TB, yaml string) (*database, *recorder) {
	t.Helper()
	set, zone := read(settingsOf(t, yaml), nil)
	r := &recorder{}
	db := &database{name: "erp", set: set, zone: zone, clock: lifecycle.Real(), dialect: map[string]dialect{"sqlserver": &sqlserver{}, "oracle": oracle{}, "hana": hana{}}[set.Driver]}
	db.scrub.AddSettings(set)
	db.sql = sql.OpenDB(r)
	db.probing, db.measuring = db.sql, db.sql
	t.Cleanup(func() { db.sql.Close() })
	db.changes = db.gathered(max(1, set.Limit.Batch), 1)
	return db, r
}
