package sql

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/waybill-hub/waybill/internal/connector"
)

// mysqlSession reads one table of MariaDB or MySQL over a connection of its own, through the driver alone: database/sql copies every value once more.
type mysqlSession struct {
	db    *database
	o     *object
	conn  *mysqlConn
	salt  int64
	table knownTable

	key     []mysqlKey
	columns []mysqlPlain // the key, then the others
	served  connector.PlainKeys
	filter  []string // conditions for a row to be there
	hash    string   // of a row
	odd     string   // 1 of a row that cannot be given in the forms
	live    *mysqlRows
}

// mysqlPlain is a column in a form.
type mysqlPlain struct {
	knownColumn
	name string
	form connector.PlainForm
}

// mysqlKey is a column of the key, as it is ordered and compared.
type mysqlKey struct {
	mysqlPlain
	// expr orders; an index may serve it where it is native.
	expr   string
	native bool
}

func (db *database) mysqlPlain(ctx context.Context, o *object, salt int64) (*mysqlSession, error) {
	table, err := learnTable(ctx, db.sql, o.Table)
	if err != nil {
		return nil, err
	}
	if len(table.columns) == 0 {
		return nil, fmt.Errorf("%s is not there", o.Table)
	}
	c, err := newMySQLConnector(db.dialect.(*mysql), db.set.URL.Reveal(), db.set.Timeout, true)
	if err != nil {
		return nil, err
	}
	connecting, cancel := context.WithTimeout(ctx, db.set.Timeout)
	defer cancel()
	conn, err := c.Connect(connecting)
	if err != nil {
		return nil, err
	}
	return &mysqlSession{db: db, o: o, conn: conn.(*mysqlConn), salt: salt, table: table}, nil
}

// estimate is the server's own, which it makes from a few pages of the table.
func (s *mysqlSession) estimate(context.Context) (int64, error) { return s.table.rows, nil }

func (s *mysqlSession) Close() error {
	if s.live != nil {
		s.conn.cut = true // what is open is not read to its end
		_ = s.conn.Close()
		return nil
	}
	return s.conn.Close()
}

func (s *mysqlSession) Served() connector.PlainKeys { return s.served }

func (c knownColumn) integer() bool {
	return slices.Contains([]string{"tinyint", "smallint", "mediumint", "int", "bigint"}, c.kind)
}

// signed: all its numbers are those of PlainInt.
func (c knownColumn) signed() bool { return c.integer() && !(c.kind == "bigint" && c.unsigned) }

func (c knownColumn) moment() bool { return c.kind == "datetime" || c.kind == "timestamp" }

func (s *mysqlSession) forms(column string) (forms []connector.PlainForm, why string) {
	c, there := s.table.columns[strings.ToLower(column)]
	if !there {
		return nil, "is not there"
	}
	declared := s.o.Columns[column]
	switch declared {
	case "json":
		return nil, jsonNotPlain
	case "text":
		if c.kind == "uuid" {
			forms = append(forms, connector.PlainUUID)
		}
		if c.text || c.kind == "uuid" || c.moment() || c.kind == "date" || c.kind == "time" {
			forms = append(forms, connector.PlainText)
		}
	case "integer", "decimal":
		if c.signed() {
			forms = append(forms, connector.PlainInt)
		}
		if c.integer() || c.kind == "decimal" {
			forms = append(forms, connector.PlainNumber)
		}
	case "unix", "unix-ms":
		if c.signed() {
			forms = append(forms, connector.PlainForm(declared))
		}
	case "boolean":
		if c.integer() || c.kind == "bit" {
			forms = append(forms, connector.PlainBool)
		}
	case "date":
		if c.kind == "date" {
			forms = append(forms, connector.PlainDate)
		}
	case "timestamp":
		if c.moment() {
			forms = append(forms, connector.PlainInstant)
		}
	case "local-timestamp":
		if c.moment() {
			forms = append(forms, connector.PlainWall+":"+connector.PlainForm(s.db.zone.String()))
		}
	}
	if len(forms) == 0 {
		why = "is of another type in the database than the settings say, or of one whose text is not its value (" + c.kind + ")"
	}
	return forms, why
}

func (s *mysqlSession) prepare(q connector.PlainQuery) (why string) {
	parts, odd := []string{"'" + strconv.FormatInt(s.salt, 10) + "'"}, []string{"0"}
	for i, c := range slices.Concat(q.Key, q.Columns) {
		col := mysqlPlain{s.table.column(c.Name), c.Name, c.Form}
		s.columns = append(s.columns, col)
		parts = append(parts, col.digested())
		if o := col.odd(); o != "" {
			odd = append(odd, o)
		}
		if i >= len(q.Key) {
			continue
		}
		k, why := col.key()
		if why != "" {
			return why
		}
		s.key = append(s.key, k)
		if k.nullable {
			s.filter = append(s.filter, of(k.name)+" IS NOT NULL")
		}
	}
	if mark := s.table.column(s.o.Deleted); s.o.Deleted != "" {
		switch s.o.Columns[s.o.Deleted] {
		case "boolean", "integer", "unix", "unix-ms":
			if !mark.integer() && mark.kind != "bit" {
				return "the column " + s.o.Deleted + ", which marks deleted rows, is of another type in the database than the settings say"
			}
		}
	}
	s.filter = append(s.filter, s.undeleted()...)
	s.hash = "CAST(CONV(LEFT(MD5(CONCAT(" + strings.Join(parts, ", ") + ")), 16), 16, 10) AS UNSIGNED)"
	s.odd = "GREATEST(0, " + strings.Join(odd, ", ") + ")"
	s.serve()
	return ""
}

func (s *mysqlSession) undeleted() []string {
	c := of(s.o.Deleted)
	switch s.o.Columns[s.o.Deleted] {
	case "":
		return nil
	case "boolean":
		return []string{c + " IS NOT TRUE"}
	case "integer", "unix", "unix-ms":
		return []string{"(" + c + " IS NULL OR " + c + " = 0)"}
	}
	return []string{c + " IS NULL"}
}

// selected is what the driver gives a form's value for.
func (c mysqlPlain) selected() string {
	switch {
	case c.form == connector.PlainText || c.form == connector.PlainUUID:
		return exactText(of(c.name))
	case c.kind == "bit":
		return "CAST(" + of(c.name) + " AS UNSIGNED)"
	}
	return of(c.name)
}

// digested is a text, in bytes, that says the value, whatever stands beside it: the form's letter, then the value, of which a text has its length before it;
// of null nothing follows the letter. A long text is there as its hash.
func (c mysqlPlain) digested() string {
	letter, value := "d", "CAST("+of(c.name)+" AS CHAR)"
	switch c.form {
	case connector.PlainInt, connector.PlainUnix, connector.PlainUnixMilli:
		letter, value = "i", "CAST("+of(c.name)+" + 0 AS CHAR)" // without the zeros of a ZEROFILL
	case connector.PlainNumber:
		switch {
		case c.integer():
			value = "CAST(" + of(c.name) + " + 0 AS CHAR)"
		case c.scale > 0:
			value = "TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM " + value + "))"
		}
	case connector.PlainText:
		b := c.selected()
		letter, value = "t", "CONCAT(LENGTH("+b+"), ':', IF(LENGTH("+b+") > 64, MD5("+b+"), "+b+"))"
	case connector.PlainUUID:
		letter, value = "u", c.selected()
	case connector.PlainBool:
		letter, value = "b", "CAST("+c.selected()+" + 0 AS CHAR)"
	case connector.PlainDate:
		letter = "y"
	default:
		letter, value = "z", "CAST(CAST("+of(c.name)+" AS DATETIME(6)) AS CHAR)"
	}
	return "';" + letter + "', COALESCE(" + value + ", '')"
}

// odd is an expression that is 1 where the value cannot be given in its form; empty: it always can.
func (c mysqlPlain) odd() string {
	v := of(c.name)
	switch {
	case c.form == connector.PlainBool && !(c.kind == "bit" && c.precision == 1):
		return "COALESCE(" + c.selected() + " NOT IN (0, 1), 0)"
	case c.kind == "date" && c.form == connector.PlainDate, c.moment() && c.form != connector.PlainText: // zeros, and days that do not exist
		return "(" + v + " IS NOT NULL AND NOT COALESCE(MONTH(" + v + ") > 0 AND DAY(" + v + ") > 0 AND DAY(" + v + ") <= DAY(LAST_DAY(" + v + ")), 0))"
	}
	return ""
}

func (c mysqlPlain) key() (k mysqlKey, why string) {
	k = mysqlKey{mysqlPlain: c, expr: of(c.name), native: true}
	switch c.form {
	case connector.PlainInt, connector.PlainUnix, connector.PlainUnixMilli, connector.PlainNumber:
		return k, ""
	case connector.PlainText:
		if k.native = (c.kind == "varchar") && strings.HasPrefix(c.collation, "utf8") && exactCollation(c.collation); !k.native {
			k.expr = exactText(k.expr)
		}
		return k, ""
	case connector.PlainUUID:
		k.expr, k.native = exactText(k.expr), false
		return k, ""
	}
	return k, fmt.Sprintf("the column %s cannot be a key: days and times that do not exist, or truth values that are none, have no order", c.name)
}

// serve looks for the index that gives the key's order, and for one that keeps it unique.
func (s *mysqlSession) serve() {
	orders := func(x knownIndex) bool {
		if len(x.columns) < len(s.key) {
			return false
		}
		for i, k := range s.key {
			if !k.native || x.columns[i] != strings.ToLower(k.name) || x.descends {
				return false
			}
		}
		return true
	}
	keeps := func(x knownIndex) bool {
		return x.unique && !slices.ContainsFunc(x.columns, func(name string) bool {
			return !slices.ContainsFunc(s.key, func(k mysqlKey) bool { return strings.ToLower(k.name) == name })
		})
	}
	s.served = connector.PlainKeys{Ordered: slices.ContainsFunc(s.table.indexes, orders), Unique: slices.ContainsFunc(s.table.indexes, keeps)}
	if s.served.Ordered && s.served.Unique {
		return
	}
	terms := make([]string, len(s.key))
	texts := ""
	for i, k := range s.key {
		if terms[i] = quote(k.name); !k.native {
			texts = " (where " + k.name + " is a VARCHAR … COLLATE utf8mb4_nopad_bin, or utf8mb4_0900_bin of MySQL: only these order by bytes)"
		}
	}
	s.served.Hint = "CREATE UNIQUE INDEX … ON " + s.o.table + " (" + strings.Join(terms, ", ") + ")" + texts
}

// Unkeyed counts rows without a key.
func (s *mysqlSession) Unkeyed(ctx context.Context) (n int64, err error) {
	var or []string
	for _, k := range s.key {
		if k.nullable {
			or = append(or, of(k.name)+" IS NULL")
		}
	}
	if len(or) == 0 {
		return 0, nil
	}
	st := s.db.statement("SELECT count(*) FROM " + s.o.table + " AS t WHERE " + strings.Join(append(s.undeleted(), "("+strings.Join(or, " OR ")+")"), " AND "))
	err = s.each(ctx, st, func(v []driver.Value) error {
		n, err = wholeOf(v[0])
		return err
	})
	return n, err
}

// open runs a SELECT. Its rows have to be closed, and end with ctx.
func (s *mysqlSession) open(ctx context.Context, st *statement) (*mysqlResult, error) {
	stmt, err := s.conn.PrepareContext(ctx, st.String())
	if err != nil {
		return nil, err
	}
	args := make([]driver.NamedValue, len(st.args))
	for i, v := range st.args {
		args[i] = driver.NamedValue{Ordinal: i + 1, Value: v}
	}
	rows, err := stmt.(driver.StmtQueryContext).QueryContext(ctx, args)
	if err != nil {
		return nil, errors.Join(err, stmt.Close())
	}
	return &mysqlResult{rows, stmt, make([]driver.Value, len(rows.Columns()))}, nil
}

type mysqlResult struct {
	rows   driver.Rows
	stmt   driver.Stmt
	values []driver.Value
}

// next goes to the next row; false: there is none.
func (r *mysqlResult) next() (bool, error) {
	err := r.rows.Next(r.values)
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	return err == nil, err
}

func (r *mysqlResult) close() error { return errors.Join(r.rows.Close(), r.stmt.Close()) }

func (s *mysqlSession) each(ctx context.Context, st *statement, row func(v []driver.Value) error) error {
	r, err := s.open(ctx, st)
	if err != nil {
		return s.db.failure(s.o, err)
	}
	for {
		ok, err := r.next()
		if err == nil && ok {
			err = row(r.values)
		}
		if err != nil || !ok {
			return s.db.failure(s.o, errors.Join(err, r.close()))
		}
	}
}
