package store

import (
	"strconv"
	"strings"
)

// dialect is which of the two databases answers. Statements are written once, with ? for parameters.
type dialect uint8

const (
	sqlite dialect = iota
	postgres
)

func (d dialect) String() string {
	if d == postgres {
		return "PostgreSQL"
	}
	return "SQLite"
}

// bind gives the statement as the database wants it: PostgreSQL numbers its parameters. No statement of this package holds a ?
// in a literal.
func (d dialect) bind(q string) string {
	if d != postgres || !strings.Contains(q, "?") {
		return q
	}
	var b strings.Builder
	b.Grow(len(q) + 64)
	n := 0
	for i := range len(q) {
		if q[i] != '?' {
			b.WriteByte(q[i])
			continue
		}
		n++
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(n))
	}
	return b.String()
}

// ddl resolves the words of a migration.
func (d dialect) ddl(text string) string {
	words := []string{"{blob}", "BLOB", "{rowid}", "INTEGER", "{bare}", "WITHOUT ROWID", "{bytes}", ""}
	skip := "postgres"
	if d == postgres {
		words = []string{"{blob}", "BYTEA", "{rowid}", "BIGINT", "{bare}", "", "{bytes}", `COLLATE "C"`}
		skip = "sqlite"
	}
	var b strings.Builder
	on := true
	for line := range strings.Lines(text) {
		if only, ok := strings.CutPrefix(strings.TrimSpace(line), "-- only "); ok {
			on = only != skip
			continue
		}
		if on && !strings.HasPrefix(line, "--") {
			b.WriteString(line)
		}
	}
	return strings.NewReplacer(words...).Replace(b.String())
}

// in is "(cols) IN (…)" for n rows of parameters. PostgreSQL learns the parameters' types only from the plain list of
// rows, SQLite takes only VALUES.
func (d dialect) in(cols string, width, n int) string {
	row := "(?" + strings.Repeat(",?", width-1) + ")"
	rows := row + strings.Repeat(","+row, n-1)
	if width == 1 {
		return cols + " IN (?" + strings.Repeat(",?", n-1) + ")"
	}
	if d == postgres {
		return "(" + cols + ") IN (" + rows + ")"
	}
	return "(" + cols + ") IN (VALUES " + rows + ")"
}

// by has SQLite go by an index of a table: without statistics, which it never gathers here, it takes the one with the most columns.
func (d dialect) by(table, index string) string {
	if d == sqlite {
		return table + " INDEXED BY " + index
	}
	return table
}

// forUpdate locks the rows that a SELECT reads; SQLite's one writer holds the whole database anyway.
func (d dialect) forUpdate() string {
	if d == postgres {
		return " FOR UPDATE"
	}
	return ""
}

// forShare keeps others from changing the rows that a SELECT reads.
func (d dialect) forShare() string {
	if d == postgres {
		return " FOR SHARE"
	}
	return ""
}
