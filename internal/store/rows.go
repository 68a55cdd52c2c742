package store

import (
	"database/sql"
	"fmt"
	"strings"
)

// Statements over many rows. Rows are laid out one behind another in one slice, width values each; a value is an int64, int,
// string or []byte. SQLite takes them as VALUES, in few sizes, so that few texts are ever prepared. PostgreSQL takes one array per
// column: one text and one round trip however many rows there are.

// steps are the row counts that SQLite's statements come in.
var steps = [...]int{256, 64, 16, 4, 1}

// step is the largest number of rows that one statement takes of n; SQLite bounds parameters at 32,766.
func step(n, width int) int {
	for _, s := range steps {
		if s <= n && s*width <= 8192 {
			return s
		}
	}
	return 1
}

// insert writes rows: head, the rows, tail. On PostgreSQL it goes with the next statement whose answer is needed, or with the commit.
func (t *tx) insert(head string, width int, values []any, tail string) error {
	if t.d == postgres {
		return t.chunks(width, values, func(table string, args []any) error {
			t.later(head+" "+table+tail, args)
			return nil
		})
	}
	_, err := t.rows(head+" ", width, values, tail)
	return err
}

// rows runs a statement that takes rows as a table whose columns are column1, column2, …, and tells how many rows it changed.
func (t *tx) rows(head string, width int, values []any, tail string) (changed int64, err error) {
	err = t.chunks(width, values, func(table string, args []any) error {
		n, err := t.exec(head+table+tail, args...)
		changed += n
		return err
	})
	return changed, err
}

// looking is a look at the rows of a table that have one of many keys.
type looking struct {
	cols, table string
	// key are the columns of the keys, which lie in keys one behind another and are distinct.
	key  []string
	keys []any
	// where holds further conditions, each with its AND; first is the column by which each key's first row is wanted alone.
	where, first string
	// lock keeps the rows as they are until the transaction ends; SQLite's one writer holds the whole database anyway.
	lock bool
}

// look scans the rows. On PostgreSQL it goes key by key in the order of keys, so that the planner, who knows little about
// young tables, has no choice, and locks are taken in that order.
func (t *tx) look(l looking, scan func(*sql.Rows) error) error {
	conds := make([]string, len(l.key))
	for i, k := range l.key {
		conds[i] = fmt.Sprintf("%s = v.column%d", k, i+1)
	}
	one := strings.Join(conds, " AND ") + l.where
	if l.first != "" {
		one += " ORDER BY " + l.first + " LIMIT 1"
	}
	if t.d == postgres {
		end := " OFFSET 0) AS x" // which the planner does not look through
		if l.lock {
			end = " OFFSET 0 FOR UPDATE) AS x"
		}
		return t.chunks(len(l.key), l.keys, func(table string, args []any) error {
			return t.each(scan, "SELECT "+l.cols+" FROM ("+table+") AS v, LATERAL (SELECT * FROM "+l.table+" WHERE "+one+end, args...)
		})
	}
	return t.chunks(len(l.key), l.keys, func(table string, args []any) error {
		if l.first != "" {
			return t.each(scan, "SELECT "+l.cols+" FROM "+l.table+" WHERE "+l.first+" IN (SELECT (SELECT "+l.first+" FROM "+l.table+" WHERE "+one+") FROM ("+table+") AS v)", args...)
		}
		return t.each(scan, "SELECT "+l.cols+" FROM "+l.table+" WHERE ("+strings.Join(l.key, ", ")+") IN ("+table+")"+l.where, args...)
	})
}

// eachIn runs head + "(cols) IN (keys)" + tail and scans the rows. Keys are distinct.
func (t *tx) eachIn(scan func(*sql.Rows) error, head, cols string, width int, keys []any, tail string) error {
	return t.chunks(width, keys, func(table string, args []any) error {
		in := "(" + cols + ") IN (" + table + ")"
		if t.d == postgres && width == 1 {
			in = cols + " = ANY(?)"
		}
		return t.each(scan, head+in+tail, args...)
	})
}

// execIn is eachIn for a statement without rows.
func (t *tx) execIn(head, cols string, width int, keys []any, tail string) error {
	return t.eachIn(func(*sql.Rows) error { return nil }, head, cols, width, keys, tail)
}

// chunks calls run with as many keys at once as the database takes.
func (t *tx) chunks(width int, keys []any, run func(table string, args []any) error) error {
	for len(keys) > 0 {
		chunk := keys
		if t.d == sqlite {
			chunk = keys[:width*step(len(keys)/width, width)]
		}
		keys = keys[len(chunk):]
		table, args := t.d.table(width, chunk)
		if err := run(table, args); err != nil {
			return err
		}
	}
	return nil
}

// table is the text of a table of rows, and its parameters.
func (d dialect) table(width int, values []any) (string, []any) {
	if d == sqlite {
		row := "(?" + strings.Repeat(",?", width-1) + ")"
		return "VALUES " + row + strings.Repeat(","+row, len(values)/width-1), values
	}
	var kinds, names strings.Builder
	args := make([]any, width)
	for c := range width {
		kind, array := column(values, width, c)
		args[c] = array
		if c > 0 {
			kinds.WriteByte(',')
			names.WriteByte(',')
		}
		kinds.WriteString("?::" + kind)
		fmt.Fprintf(&names, "column%d", c+1)
	}
	return "SELECT * FROM unnest(" + kinds.String() + ") AS v(" + names.String() + ")", args
}

// column is the c-th column of rows as an array of PostgreSQL.
func column(values []any, width, c int) (kind string, array any) {
	n := len(values) / width
	switch values[c].(type) {
	case string:
		out := make([]string, n)
		for i := range out {
			out[i] = cleanText(values[i*width+c].(string))
		}
		return "text[]", out
	case []byte:
		out := make([][]byte, n)
		for i := range out {
			out[i] = values[i*width+c].([]byte)
		}
		return "bytea[]", out
	}
	out := make([]int64, n)
	for i := range out {
		switch v := values[i*width+c].(type) {
		case int64:
			out[i] = v
		case int:
			out[i] = int64(v)
		default:
			panic(fmt.Sprintf("store: a row holds a %T", v)) // a mistake in this package
		}
	}
	return "bigint[]", out
}
