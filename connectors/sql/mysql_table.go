package sql

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// learn asks the server for what statements depend on: kinds of columns, collations, unique indexes, engines.
func (d *mysql) learn(ctx context.Context, db *database, o *object) error {
	return db.learnTables(ctx, o, learnTable, (*knownObject).judge)
}

func learnTable(ctx context.Context, db *sql.DB, name string) (t knownTable, err error) {
	schema, table, qualified := strings.Cut(name, ".")
	if !qualified {
		schema, table = "", name
	}
	t = knownTable{columns: map[string]knownColumn{}, rows: -1}
	err = each(ctx, db, `SELECT column_name, data_type, COALESCE(collation_name, ''), COALESCE(datetime_precision, 0), is_nullable,
		COALESCE(character_maximum_length, 0), column_type LIKE '%unsigned%', COALESCE(numeric_precision, 0), COALESCE(numeric_scale, 0)
		FROM information_schema.columns WHERE table_schema = COALESCE(NULLIF(?, ''), DATABASE()) AND table_name = ?`, []any{schema, table}, func(scan func(...any) error) error {
		var column, nullable string
		var c knownColumn
		err := scan(&column, &c.kind, &c.collation, &c.digits, &nullable, &c.length, &c.unsigned, &c.precision, &c.scale)
		c.kind, c.text, c.nullable = strings.ToLower(c.kind), c.collation != "", nullable == "YES"
		t.columns[strings.ToLower(column)] = c
		return err
	})
	if err != nil {
		return t, err
	}
	err = each(ctx, db, `SELECT index_name, COALESCE(column_name, ''), sub_part IS NULL, non_unique = 0, COALESCE(collation, '') <> 'A' FROM information_schema.statistics
		WHERE table_schema = COALESCE(NULLIF(?, ''), DATABASE()) AND table_name = ? ORDER BY index_name, seq_in_index`, []any{schema, table}, func(scan func(...any) error) error {
		var column string
		var whole, descends bool
		var x knownIndex
		err := scan(&x.name, &column, &whole, &x.unique, &descends)
		if !whole {
			column = ""
		}
		if n := len(t.indexes); n == 0 || t.indexes[n-1].name != x.name {
			t.indexes = append(t.indexes, x)
		}
		last := &t.indexes[len(t.indexes)-1]
		last.columns, last.descends = append(last.columns, strings.ToLower(column)), last.descends || descends
		return err
	})
	if err != nil {
		return t, err
	}
	err = each(ctx, db, `SELECT IF(e.transactions = 'YES', '', COALESCE(t.engine, '')), COALESCE(t.table_rows, -1) FROM information_schema.tables t
		LEFT JOIN information_schema.engines e ON e.engine = t.engine WHERE t.table_schema = COALESCE(NULLIF(?, ''), DATABASE()) AND t.table_name = ?`, []any{schema, table}, func(scan func(...any) error) error {
		return scan(&t.engine, &t.rows)
	})
	return t, err
}

// exactCollation tells the collations under which texts are the same only if their bytes are.
func exactCollation(name string) bool {
	return strings.HasSuffix(name, "_nopad_bin") || strings.HasSuffix(name, "_0900_bin")
}

// judge says what cannot be done with the tables as they are.
func (m *knownObject) judge(o *object) {
	m.bytewise = m.folded(o, exactCollation)
	m.unfit(o, "float", "double", "bit", "enum", "set", "binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "geometry")
	if v := m.column(o.Version); m.refused == "" && o.Version != "" && timeType(o.Columns[o.Version]) && v.text {
		m.refused = fmt.Sprintf("the version %s is a column of texts (%s), which are not in the order of times: it must be a DATETIME or a TIMESTAMP", o.Version, v.kind)
	}
	if m.refused == "" {
		m.refused = misreadInstant(o.Columns, m.table)
	}
	for _, name := range o.childrenNames {
		if m.refused == "" {
			m.refused = misreadInstant(o.Children[name].Columns, m.children[name])
		}
	}
	if m.table.engine != "" {
		m.unsafe = unsafeEngine(o.Table, m.table.engine)
	}
	for _, name := range o.childrenNames {
		c, t := o.Children[name], m.children[name]
		switch {
		case m.unsafe != "":
		case t.engine != "":
			m.unsafe = unsafeEngine(c.Table, t.engine)
		default:
			m.unsafe = t.looseList(o, c)
		}
	}
}

// misreadInstant names a column of instants that the settings take for readings of a clock: the session's zone is UTC, so that it would be off by the zone.
func misreadInstant(columns map[string]string, t knownTable) string {
	for _, name := range slices.Sorted(maps.Keys(columns)) {
		if columns[name] == "local-timestamp" && t.column(name).kind == "timestamp" {
			return fmt.Sprintf("%s is a TIMESTAMP, which is the same instant in every zone, and the settings say local-timestamp: write timestamp", name)
		}
	}
	return ""
}

func unsafeEngine(table, engine string) string {
	return fmt.Sprintf("the table %s has the engine %s, which has no transactions: a change that fails half-way would stay (ALTER TABLE … ENGINE=InnoDB)", table, engine)
}

// loose says why a column cannot be compared with a value of its type in the settings.
func (m *knownObject) loose(o *object, column string) string {
	c, typ := m.column(column), o.Columns[column]
	if looseText(c, typ) {
		return looseWhy(column, c.kind, typ)
	}
	return ""
}

// looseText: texts and numbers are compared as floating point, in which 'ABC' is 0.
func looseText(c knownColumn, typ string) bool {
	switch typ {
	case "integer", "decimal", "boolean", "unix", "unix-ms":
		return c.text
	}
	return false
}

func looseWhy(column, kind, typ string) string {
	return fmt.Sprintf("%s is a column of texts (%s), and the settings say %s: the server would take 'ABC' for 0; write text", column, kind, typ)
}

func (*mysql) refuses(o *object, writing bool) string {
	m := o.learnt()
	if m.refused != "" || !writing {
		return m.refused
	}
	return m.unsafe
}

func (*mysql) length(o *object, list, column string) int64 {
	t := o.learnt().table
	if list != "" {
		t = o.learnt().children[list]
	}
	if c := t.column(column); strings.HasSuffix(c.kind, "char") {
		return c.length
	}
	return 0
}

// searchable says why a column cannot be searched.
func (*mysql) searchable(o *object, column string) string {
	if c := o.learnt().column(column); c.kind == "float" {
		return column + " is a FLOAT, which no decimal number is equal to"
	}
	return o.learnt().loose(o, column)
}
