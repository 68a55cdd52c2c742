package sql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	mysqldriver "github.com/go-sql-driver/mysql"
	mssql "github.com/microsoft/go-mssqldb"
)

// called is the savepoint that tells whether a procedure has ended the hub's transaction: it is not there any more then.
const called = "waybill_call"

// call: there are none, which is said when the settings are checked.
func (sqlite) call(_ context.Context, _ *sql.Tx, c *change, _ *procedure, _ []parameter) (words, bool, error) {
	return nil, false, c.invalid("SQLite has no procedures")
}

// call: parameters have names. One that comes back is a column of the one row that CALL answers. A procedure that commits fails by itself.
func (postgres) call(ctx context.Context, tx *sql.Tx, c *change, p *procedure, given []parameter) (words, bool, error) {
	st := c.db.statement("CALL " + quote(p.Call) + "(")
	if p.Function {
		st = c.db.statement("SELECT * FROM " + quote(p.Call) + "(")
	}
	n := 0
	put := func(name, value string) {
		if n++; n > 1 {
			st.WriteString(", ")
		}
		st.WriteString(quote(name) + " => " + value)
	}
	for _, v := range given {
		put(v.name, st.arg(v.value))
	}
	for _, name := range p.Out {
		if !p.Function && !slices.ContainsFunc(given, func(v parameter) bool { return v.name == name }) {
			put(name, "NULL")
		}
	}
	st.WriteString(")")
	a, err := firstRow(tx.QueryContext(ctx, st.String(), st.args...))
	return a, false, err
}

// firstRow is the first row of the first result that has columns; what comes behind it is read, since a failure may be there.
func firstRow(rows *sql.Rows, err error) (words, error) {
	a := words{}
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for more := true; more; more = rows.NextResultSet() {
		names, err := rows.Columns()
		if err != nil {
			return nil, err
		}
		for first := len(a) == 0; rows.Next(); first = false {
			if !first || len(names) == 0 {
				continue
			}
			row, err := texted(rows, names)
			if err != nil {
				return nil, err
			}
			a = row
		}
	}
	return a, errors.Join(rows.Err(), rows.Close())
}

// texted is a row by its columns' names.
func texted(rows *sql.Rows, names []string) (words, error) {
	values := make([]sql.NullString, len(names))
	into := make([]any, len(names))
	for i := range values {
		into[i] = &values[i]
	}
	if err := rows.Scan(into...); err != nil {
		return nil, err
	}
	a := words{}
	for i, name := range names {
		a[name] = values[i]
	}
	return a, nil
}

// call: parameters have places, which the server tells. One that comes back goes through a variable of the session.
func (d *mysql) call(ctx context.Context, tx *sql.Tx, c *change, p *procedure, given []parameter) (words, bool, error) {
	names, err := placesOf(ctx, tx, p)
	if err != nil {
		return nil, false, err
	}
	for _, v := range given {
		if !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, v.name) }) {
			return nil, false, c.invalid("%s has no parameter %s", p.Call, v.name)
		}
	}
	st := c.db.statement("CALL " + quote(p.Call) + "(")
	if p.Function {
		st = c.db.statement("SELECT " + quote(p.Call) + "(")
	}
	var back, variables []string
	for i, name := range names {
		if i > 0 {
			st.WriteString(", ")
		}
		at := slices.IndexFunc(given, func(v parameter) bool { return strings.EqualFold(name, v.name) })
		variable := fmt.Sprintf("@waybill_%d", i+1)
		switch out := slices.ContainsFunc(p.Out, func(o string) bool { return strings.EqualFold(o, name) }); {
		case out:
			var value any
			if at >= 0 {
				value = given[at].value
			}
			if _, err := tx.ExecContext(ctx, "SET "+variable+" = ?", value); err != nil {
				return nil, false, err
			}
			back, variables = append(back, name), append(variables, variable)
			st.WriteString(variable)
		case at >= 0:
			st.WriteString(st.arg(given[at].value))
		default:
			st.WriteString("NULL")
		}
	}
	st.WriteString(")")
	if p.Function {
		st.WriteString(` AS "return"`)
	}
	if _, err := tx.ExecContext(ctx, "SAVEPOINT "+called); err != nil {
		return nil, false, err
	}
	a, failed := firstRow(tx.QueryContext(ctx, st.String(), st.args...))
	// A failure of the procedure's may come after its COMMIT.
	if _, err := tx.ExecContext(ctx, "RELEASE SAVEPOINT "+called); err != nil {
		var my *mysqldriver.MySQLError
		if errors.As(err, &my) && my.Number == 1305 {
			return nil, !rolledBackWhole(failed), failed
		}
		return nil, false, errors.Join(failed, err)
	}
	if failed != nil || len(variables) == 0 {
		return a, false, failed
	}
	values, err := firstRow(tx.QueryContext(ctx, "SELECT "+strings.Join(variables, ", ")))
	if err != nil {
		return nil, false, err
	}
	for i, name := range back {
		a[name] = values[variables[i]]
	}
	return a, false, nil
}

// rolledBackWhole: a deadlock ends the transaction with all that it has done.
func rolledBackWhole(err error) bool {
	var my *mysqldriver.MySQLError
	return errors.As(err, &my) && rolledBack(my.Number)
}

// placesOf are the names of a procedure's parameters, in their order.
func placesOf(ctx context.Context, tx *sql.Tx, p *procedure) ([]string, error) {
	schema, name, qualified := strings.Cut(p.Call, ".")
	if !qualified {
		schema, name = "", p.Call
	}
	kind := "PROCEDURE"
	if p.Function {
		kind = "FUNCTION"
	}
	return texts(tx.QueryContext(ctx, `SELECT parameter_name FROM information_schema.parameters WHERE specific_schema = COALESCE(NULLIF(?, ''), DATABASE())
		AND specific_name = ? AND routine_type = ? AND parameter_name IS NOT NULL ORDER BY ordinal_position`, schema, name, kind))
}

// call: parameters have names, and one that comes back goes through a variable of the statement's. What a procedure shows comes before the hub's own row.
func (d *sqlserver) call(ctx context.Context, tx *sql.Tx, c *change, p *procedure, given []parameter) (words, bool, error) {
	st := c.db.statement("DECLARE @waybill_return int")
	for i := range p.Out {
		fmt.Fprintf(st, ", @waybill_%d nvarchar(4000)", i+1)
	}
	for i, name := range p.Out {
		if at := slices.IndexFunc(given, func(v parameter) bool { return strings.EqualFold(v.name, name) }); at >= 0 {
			fmt.Fprintf(st, "; SET @waybill_%d = %s", i+1, st.arg(given[at].value))
		}
	}
	st.WriteString("; EXEC @waybill_return = " + quote(p.Call))
	n := 0
	put := func(name, value string) {
		if n++; n > 1 {
			st.WriteString(",")
		}
		st.WriteString(" @" + strings.TrimPrefix(name, "@") + " = " + value)
	}
	for _, v := range given {
		if !slices.ContainsFunc(p.Out, func(o string) bool { return strings.EqualFold(o, v.name) }) {
			put(v.name, st.arg(v.value))
		}
	}
	for i, name := range p.Out {
		put(name, fmt.Sprintf("@waybill_%d OUTPUT", i+1))
	}
	st.WriteString("; SELECT CAST(@waybill_return AS nvarchar(11)) AS waybill_return, CAST(@@TRANCOUNT AS nvarchar(11)) AS waybill_open")
	for i := range p.Out {
		fmt.Fprintf(st, ", @waybill_%d AS waybill_%d", i+1, i+1)
	}
	first, last, err := firstAndLast(tx.QueryContext(ctx, st.String(), st.args...))
	var ms mssql.Error
	if errors.As(err, &ms) && slices.ContainsFunc(append(ms.All, ms), func(e mssql.Error) bool { return e.Number == 266 }) {
		return nil, true, err // the number of open transactions is another one than before
	}
	if err != nil {
		return nil, false, err
	}
	if last["waybill_open"].String != "1" { // ended, or the hub's own row has not come: nobody knows
		return nil, true, nil
	}
	a := words{}
	for name, v := range first {
		a[name] = v
	}
	a["return"] = last["waybill_return"]
	for i, name := range p.Out {
		a[name] = last[fmt.Sprintf("waybill_%d", i+1)]
	}
	return a, false, nil
}

// firstAndLast are the first rows of the first and the last result; of one alone there is no first.
func firstAndLast(rows *sql.Rows, err error) (first, last words, _ error) {
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	n := 0
	for more := true; more; more = rows.NextResultSet() {
		names, err := rows.Columns()
		if err != nil {
			return nil, nil, err
		}
		var row words
		for rows.Next() {
			if row != nil {
				continue
			}
			if row, err = texted(rows, names); err != nil {
				return nil, nil, err
			}
		}
		if len(names) == 0 {
			continue
		}
		if n++; n == 1 {
			first = row
		}
		last = row
	}
	if n == 1 {
		first = nil
	}
	return first, last, errors.Join(rows.Err(), rows.Close())
}

// call: a block of PL/SQL, whose parameters that come back are the statement's. A procedure that commits fails by itself, as the session has it.
func (d oracle) call(ctx context.Context, tx *sql.Tx, c *change, p *procedure, given []parameter) (words, bool, error) {
	st := c.db.statement("BEGIN ")
	back := make([]string, len(p.Out)+1)
	if p.Function {
		st.WriteString(st.arg(oracleOut(&back[len(p.Out)])) + " := ")
	}
	st.WriteString(quote(p.Call))
	callNamed(st, p, given, func(v parameter) string { return d.value(st, v.typ, v.value) }, func(i int) string { return st.arg(oracleOut(&back[i])) })
	st.WriteString("; END;")
	if _, err := tx.ExecContext(ctx, st.String(), st.args...); err != nil {
		return nil, false, err
	}
	a := words{}
	for i, name := range p.Out {
		a[name] = sql.NullString{String: back[i], Valid: back[i] != ""} // an empty text is null
	}
	if p.Function {
		a["return"] = sql.NullString{String: back[len(p.Out)], Valid: back[len(p.Out)] != ""}
	}
	return a, false, nil
}

// callNamed writes named parameters, those that are given and those that come back, in parentheses where there are any.
func callNamed(st *statement, p *procedure, given []parameter, in func(v parameter) string, out func(i int) string) {
	var all []string
	for _, v := range given {
		if !slices.ContainsFunc(p.Out, func(o string) bool { return strings.EqualFold(o, v.name) }) {
			all = append(all, quote(v.name)+" => "+in(v))
		}
	}
	for i, name := range p.Out {
		all = append(all, quote(name)+" => "+out(i))
	}
	if len(all) > 0 {
		st.WriteString("(" + strings.Join(all, ", ") + ")")
	}
}

// call: parameters have names, and those that come back are the statement's.
func (d hana) call(ctx context.Context, tx *sql.Tx, c *change, p *procedure, given []parameter) (words, bool, error) {
	st := c.db.statement("CALL " + quote(p.Call))
	back := make([]sql.NullString, len(p.Out))
	callNamed(st, p, given, func(v parameter) string { return d.value(st, v.typ, v.value) }, func(i int) string { return st.arg(sql.Out{Dest: &back[i]}) })
	if len(given)+len(p.Out) == 0 {
		st.WriteString("()")
	}
	if _, err := tx.ExecContext(ctx, st.String(), st.args...); err != nil {
		return nil, false, err
	}
	a := words{}
	for i, name := range p.Out {
		a[name] = back[i]
	}
	return a, false, nil
}
