package sql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/connector"
)

// sqliteSession reads one table of SQLite over a connection of its own, in pages that are taken into memory: a statement that is open keeps writers
// from their work.
type sqliteSession struct {
	db   *database
	o    *object
	sql  *sql.DB
	conn *sql.Conn
	salt int64

	columns map[string]*sqliteField
	indexes []sqliteIndex

	key    []sqliteKey
	values []string // what is selected: the key, then the columns
	read   *sqliteReader
	served connector.PlainKeys
	filter string
}

type sqliteField struct {
	name     string
	declared string // in the settings
	affinity string
	raw      bool // integers come as they are, and not as the time or truth value that the driver makes of some types
	rowid    bool // the table's own number
}

type sqliteIndex struct {
	unique  bool
	columns []string // in order; "" is an expression
	orders  bool     // all ascending, by bytes
}

type sqliteKey struct {
	*sqliteField
	form connector.PlainForm
	// expr orders; an index may serve it where it is native.
	expr   string
	native bool
}

func (db *database) sqlitePlain(ctx context.Context, o *object, salt int64) (*sqliteSession, error) {
	if err := addDigestFunction(); err != nil {
		return nil, err
	}
	pool, err := openSQLite(db.file, 1, db.set.Timeout, false)
	if err != nil {
		return nil, err
	}
	s := &sqliteSession{db: db, o: o, sql: pool, salt: salt}
	if s.conn, err = pool.Conn(ctx); err == nil {
		err = s.look(ctx)
	}
	if err != nil {
		_ = s.Close() // it has failed
		return nil, err
	}
	return s, nil
}

func (s *sqliteSession) look(ctx context.Context) error {
	schema, table := "main", s.o.Table
	if i := strings.LastIndexByte(table, '.'); i >= 0 {
		schema, table = table[:i], table[i+1:]
	}
	s.columns = map[string]*sqliteField{}
	keys := 0
	err := s.each(ctx, "SELECT name, upper(type), pk FROM pragma_table_xinfo(?, ?)", []any{table, schema}, func(v []string) {
		c := &sqliteField{name: v[0], declared: s.o.Columns[v[0]], affinity: affinity(v[1])}
		c.raw = c.affinity == "INTEGER" && !strings.Contains(v[1], "BOOL") && !strings.Contains(v[1], "TIME") && !strings.Contains(v[1], "DATE")
		c.rowid = v[2] != "0" && v[1] == "INTEGER"
		if v[2] != "0" {
			keys++
		}
		s.columns[c.name] = c
	})
	if err != nil {
		return err
	}
	if len(s.columns) == 0 {
		return fmt.Errorf("%s is not there", s.o.Table)
	}
	for _, c := range s.columns {
		c.rowid = c.rowid && keys == 1
	}
	return s.lookAtIndexes(ctx, schema, table)
}

func (s *sqliteSession) lookAtIndexes(ctx context.Context, schema, table string) error {
	at := map[string]int{}
	return s.each(ctx, `SELECT i.name, i."unique", c.name, c."desc", c.coll FROM pragma_index_list(?, ?) AS i JOIN pragma_index_xinfo(i.name, ?) AS c
		WHERE c.key = 1 AND i.partial = 0 ORDER BY i.seq, c.seqno`, []any{table, schema, schema}, func(v []string) {
		n, known := at[v[0]]
		if !known {
			n = len(s.indexes)
			at[v[0]] = n
			s.indexes = append(s.indexes, sqliteIndex{unique: v[1] == "1", orders: true})
		}
		x := &s.indexes[n]
		x.columns = append(x.columns, v[2])
		x.orders = x.orders && v[3] == "0" && strings.EqualFold(v[4], "BINARY")
	})
}

// each asks for rows as texts; null is empty.
func (s *sqliteSession) each(ctx context.Context, query string, args []any, row func(v []string)) error {
	rs, err := s.conn.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rs.Close()
	names, err := rs.Columns()
	if err != nil {
		return err
	}
	values := make([]sql.NullString, len(names))
	into := make([]any, len(names))
	for i := range values {
		into[i] = &values[i]
	}
	for rs.Next() {
		if err := rs.Scan(into...); err != nil {
			return err
		}
		texts := make([]string, len(values))
		for i, v := range values {
			texts[i] = v.String
		}
		row(texts)
	}
	return rs.Err()
}

// affinity is what SQLite makes of a column's type (chapter 3.1 of its data types).
func affinity(typ string) string {
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(typ, w) })
	}
	switch {
	case has("INT"):
		return "INTEGER"
	case has("CHAR", "CLOB", "TEXT"):
		return "TEXT"
	case has("BLOB"), typ == "":
		return "BLOB"
	case has("REAL", "FLOA", "DOUB"):
		return "REAL"
	}
	return "NUMERIC"
}

// estimate counts: the file has no better memory of it.
func (s *sqliteSession) estimate(ctx context.Context) (n int64, err error) {
	err = s.conn.QueryRowContext(ctx, "SELECT count(*) FROM "+s.o.table).Scan(&n)
	return n, err
}

func (s *sqliteSession) Close() error {
	if s.conn != nil {
		if err := s.conn.Close(); err != nil {
			_ = s.sql.Close() // the first failure says more
			return err
		}
	}
	return s.sql.Close()
}

func (s *sqliteSession) Served() connector.PlainKeys { return s.served }

func (s *sqliteSession) forms(column string) (forms []connector.PlainForm, why string) {
	c := s.columns[column]
	if c == nil {
		return nil, "is not there"
	}
	switch c.declared {
	case "integer":
		return []connector.PlainForm{connector.PlainInt, connector.PlainNumber}, ""
	case "decimal":
		return []connector.PlainForm{connector.PlainNumber}, ""
	case "boolean":
		return []connector.PlainForm{connector.PlainBool}, ""
	case "unix", "unix-ms":
		return []connector.PlainForm{connector.PlainForm(c.declared), connector.PlainInstant}, ""
	case "timestamp", "local-timestamp":
		return []connector.PlainForm{connector.PlainInstant}, ""
	case "json":
		return nil, jsonNotPlain
	}
	return []connector.PlainForm{connector.PlainText}, "" // dates too: one that is none is a text
}

func (s *sqliteSession) prepare(q connector.PlainQuery) (why string) {
	all := slices.Concat(q.Key, q.Columns)
	s.read = newSQLiteReader(s.db.zone, s.salt, len(q.Key))
	for i, c := range all {
		col := s.columns[c.Name]
		value := "CAST(" + of(c.Name) + " AS TEXT)"
		if i < len(q.Key) {
			k, why := col.key(c.Form)
			if why != "" {
				return why
			}
			s.key = append(s.key, k)
			value = k.expr
		} else if col.raw {
			value = of(c.Name)
		}
		s.values = append(s.values, value)
		s.read.columns = append(s.read.columns, sqliteValue{name: c.Name, declared: col.declared, form: c.Form})
	}
	s.filter = strings.Join(s.present(), " AND ")
	s.serve()
	return ""
}

func (c *sqliteField) key(f connector.PlainForm) (k sqliteKey, why string) {
	k = sqliteKey{sqliteField: c, form: f, expr: of(c.name), native: true}
	number := c.affinity == "INTEGER" || c.affinity == "NUMERIC" || c.affinity == "REAL"
	switch f {
	case connector.PlainInt, connector.PlainUnix, connector.PlainUnixMilli:
		if c.raw || c.affinity == "NUMERIC" {
			return k, ""
		}
	case connector.PlainNumber:
		if number {
			return k, ""
		}
	case connector.PlainText:
		if c.declared == "date" {
			break
		}
		if c.affinity != "TEXT" {
			k.expr, k.native = "CAST("+k.expr+" AS TEXT)", false
		}
		k.expr += " COLLATE BINARY"
		return k, ""
	}
	return k, fmt.Sprintf("the database does not order the column %s, of type %s, as its values are ordered", c.name, c.declared)
}

func (s *sqliteSession) present() (and []string) {
	for _, k := range s.key {
		and = append(and, of(k.name)+" IS NOT NULL")
	}
	return append(and, s.undeleted()...)
}

func (s *sqliteSession) undeleted() []string {
	c := of(s.o.Deleted)
	switch s.o.Columns[s.o.Deleted] {
	case "":
		return nil
	case "boolean":
		return []string{"(" + c + " IS NULL OR lower(CAST(" + c + " AS TEXT)) IN ('0', 'f', 'false', 'n', 'no', ''))"}
	case "integer", "unix", "unix-ms":
		return []string{"(" + c + " IS NULL OR CAST(" + c + " AS TEXT) = '0')"}
	}
	return []string{"(" + c + " IS NULL OR " + c + " = '')"}
}

func (s *sqliteSession) serve() {
	own := len(s.key) == 1 && s.key[0].rowid && s.key[0].native
	native := !slices.ContainsFunc(s.key, func(k sqliteKey) bool { return !k.native })
	s.served.Ordered = own || native && slices.ContainsFunc(s.indexes, s.ordersKey)
	s.served.Unique = own || slices.ContainsFunc(s.indexes, s.keepsKey)
	if !s.served.Ordered || !s.served.Unique {
		s.served.Hint = "CREATE UNIQUE INDEX … ON " + s.o.table + " (" + strings.ReplaceAll(strings.Join(s.keys(), ", "), "t.", "") + ")"
	}
}

func (s *sqliteSession) ordersKey(x sqliteIndex) bool {
	return x.orders && len(x.columns) >= len(s.key) && !slices.ContainsFunc(s.key, func(k sqliteKey) bool { return !slices.Contains(x.columns[:len(s.key)], k.name) }) &&
		slices.EqualFunc(x.columns[:len(s.key)], s.key, func(name string, k sqliteKey) bool { return name == k.name })
}

func (s *sqliteSession) keepsKey(x sqliteIndex) bool {
	return x.unique && !slices.ContainsFunc(x.columns, func(name string) bool {
		return !slices.ContainsFunc(s.key, func(k sqliteKey) bool { return k.name == name })
	})
}

func (s *sqliteSession) keys() []string {
	out := make([]string, len(s.key))
	for i, k := range s.key {
		out[i] = k.expr
	}
	return out
}

// Unkeyed counts rows without a key.
func (s *sqliteSession) Unkeyed(ctx context.Context) (n int64, err error) {
	var or []string
	for _, k := range s.key {
		or = append(or, of(k.name)+" IS NULL")
	}
	and := append(s.undeleted(), "("+strings.Join(or, " OR ")+")")
	err = s.conn.QueryRowContext(ctx, "SELECT count(*) FROM "+s.o.table+" AS t WHERE "+strings.Join(and, " AND ")).Scan(&n)
	return n, s.db.failure(s.o, err)
}

// query runs a SELECT through the driver alone: database/sql copies every value once more. row gets values that are good during the call.
func (s *sqliteSession) query(ctx context.Context, query string, args []driver.NamedValue, row func(v []driver.Value) error) error {
	err := s.conn.Raw(func(c any) error {
		rs, err := c.(driver.QueryerContext).QueryContext(ctx, query, args)
		if err != nil {
			return err
		}
		defer rs.Close()
		values := make([]driver.Value, len(rs.Columns()))
		for {
			if err := rs.Next(values); err != nil {
				return ended(err)
			}
			if err := row(values); err != nil {
				return err
			}
		}
	})
	return s.db.failure(s.o, err)
}
