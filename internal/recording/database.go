package recording

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// statementMethod stands where a request has its method: what is asked is a statement, its parameters are the body, a list, and its answer is a document that
// says {columns, rows}, {affected}, {out} for parameters that the server fills, or {error} in the server's words. A COMMIT is recorded, as its answer may be lost;
// what else begins and ends a transaction is not.
const statementMethod = "SQL"

// database plays a recording to a connector that speaks to a database.
func (p *player) database() driver.Connector { return database{p} }

type database struct{ p *player }

// Connect opens a connection, which needs no answer.
func (d database) Connect(context.Context) (driver.Conn, error) { return session(d), nil }

// Driver is none: the connector is given as it is.
func (d database) Driver() driver.Driver { return nil }

type session struct{ p *player }

// Prepare is not what connectors ask of a database that is played.
func (s session) Prepare(string) (driver.Stmt, error) {
	return nil, errors.New("a recording has no statements that are prepared apart")
}

// Close ends nothing.
func (s session) Close() error { return nil }

// Begin is what BeginTx is for.
func (s session) Begin() (driver.Tx, error) { return s, nil }

// BeginTx begins a transaction.
func (s session) BeginTx(context.Context, driver.TxOptions) (driver.Tx, error) { return s, nil }

// CheckNamedValue lets every value through: how it goes over the wire is the driver's business.
func (s session) CheckNamedValue(*driver.NamedValue) error { return nil }

// Commit ends a transaction; that is recorded.
func (s session) Commit() error {
	_, err := s.ask("COMMIT", nil)
	return err
}

// Rollback ends a transaction.
func (s session) Rollback() error { return nil }

// ExecContext runs a statement that gives no rows.
func (s session) ExecContext(_ context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if strings.HasPrefix(query, "SET TRANSACTION ") {
		return driver.RowsAffected(0), nil
	}
	said, err := s.ask(query, args)
	if err != nil {
		return nil, err
	}
	n, ok := int64(1), true
	if v := said.Get("affected"); v.Exists() {
		n, ok = number(v)
	}
	if !ok {
		return nil, fmt.Errorf("affected: %s is no number", said.Get("affected").Raw())
	}
	return driver.RowsAffected(n), fill(args, said.Get("out"))
}

// QueryContext runs a statement that gives rows.
func (s session) QueryContext(_ context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	said, err := s.ask(query, args)
	if err != nil {
		return nil, err
	}
	r := &rows{}
	for v := range said.Get("columns").Elements() {
		r.columns = append(r.columns, v.Str())
	}
	for row := range said.Get("rows").Elements() {
		var values []driver.Value
		for v := range row.Elements() {
			values = append(values, value(v))
		}
		if len(values) != len(r.columns) {
			return nil, fmt.Errorf("a row has %d values, and there are %d columns: %s", len(values), len(r.columns), row.Raw())
		}
		r.rows = append(r.rows, values)
	}
	return r, nil
}

// ask looks for the statement among the step's exchanges and reads what it is answered.
func (s session) ask(query string, args []driver.NamedValue) (jsondoc.Value, error) {
	e, text := s.p.answerTo(asked{method: statementMethod, target: strings.Join(strings.Fields(query), " "), headers: map[string]string{}, body: parameters(args)})
	if e == nil {
		return jsondoc.Value{}, errors.New("not recorded")
	}
	if strings.TrimSpace(text) == "" {
		return jsondoc.Value{}, nil
	}
	doc, err := jsondoc.Parse([]byte(text), jsondoc.Limits{})
	if err != nil {
		return jsondoc.Value{}, fmt.Errorf("the recorded answer is no JSON: %w", err)
	}
	if said := doc.Root().Get("error"); said.Exists() {
		return jsondoc.Value{}, errors.New(said.Str())
	}
	return doc.Root(), nil
}

// parameters are a statement's parameters as they are recorded: a list, in which null stands for what the server fills.
func parameters(args []driver.NamedValue) string {
	if len(args) == 0 {
		return ""
	}
	out := []byte{'['}
	for i, a := range args {
		if i > 0 {
			out = append(out, ',')
		}
		switch v := a.Value.(type) {
		case nil:
			out = append(out, "null"...)
		case bool, int, int64:
			out = fmt.Append(out, v)
		default:
			if _, fills := destination(v); fills {
				out = append(out, "null"...)
			} else {
				out = jsondoc.AppendString(out, fmt.Sprintf("%s", v))
			}
		}
	}
	return string(append(out, ']'))
}

// destination is where a parameter that the server fills goes; each driver has a type of its own for such, with a Dest.
func destination(v any) (any, bool) {
	of := reflect.ValueOf(v)
	if of.Kind() != reflect.Struct || !of.FieldByName("Dest").IsValid() {
		return nil, false
	}
	return of.FieldByName("Dest").Interface(), true
}

// fill gives the parameters that the server fills their values, in their order.
func fill(args []driver.NamedValue, out jsondoc.Value) error {
	n := 0
	for _, a := range args {
		dest, fills := destination(a.Value)
		if !fills {
			continue
		}
		into, ok := dest.(*string)
		if !ok {
			return fmt.Errorf("a recording fills texts alone, not a %T", dest)
		}
		*into = out.Index(n).Str()
		n++
	}
	return nil
}

// value is a value of a row: a text, a number without a fraction, a boolean or null. Decimals and times are texts, as connectors ask for them.
func value(v jsondoc.Value) driver.Value {
	switch v.Kind() {
	case jsondoc.Null:
		return nil
	case jsondoc.Bool:
		return v.Bool()
	case jsondoc.Number:
		if n, ok := number(v); ok {
			return n
		}
		return string(v.Raw())
	}
	return v.Str()
}

func number(v jsondoc.Value) (int64, bool) {
	d, err := jsondoc.ParseDecimal(string(v.Raw()))
	if err != nil {
		return 0, false
	}
	return d.Int64()
}

type rows struct {
	columns []string
	rows    [][]driver.Value
}

// Columns are the names of the columns.
func (r *rows) Columns() []string { return r.columns }

// Close ends the reading.
func (r *rows) Close() error { return nil }

// Next gives the next row.
func (r *rows) Next(dest []driver.Value) error {
	if len(r.rows) == 0 {
		return io.EOF
	}
	copy(dest, r.rows[0])
	r.rows = r.rows[1:]
	return nil
}
