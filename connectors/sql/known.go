package sql

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"
)

// learntFor is how long the hub takes for granted what it has learnt of a table.
const learntFor = time.Minute

// knownObject is what a dialect has learnt of an object's tables.
type knownObject struct {
	at       time.Duration
	table    knownTable
	children map[string]knownTable
	// bytewise are the columns of the id that are put in order by their bytes: ids that differ may be the same under the columns' rules.
	bytewise []string
	// refused is why the object cannot be read, and unsafe why it cannot be written to; empty: it can.
	refused, unsafe string
}

// knownTable is a table, or a view.
type knownTable struct {
	columns map[string]knownColumn // by their names in small letters: the server makes no difference
	indexes []knownIndex
	rows    int64 // about; -1: nobody knows
	// engine is the one that keeps the rows, if it has no transactions.
	engine string
}

type knownIndex struct {
	name     string
	unique   bool
	columns  []string // in small letters; of a part of a column "": the index says nothing of the rest
	descends bool     // a column of it does, or it has no order
}

type knownColumn struct {
	kind      string // data_type
	text      bool   // it has a collation
	collation string
	digits    int // of the second
	length    int64
	nullable  bool
	unsigned  bool
	precision int64 // of a number
	scale     int64
}

func (t knownTable) column(name string) knownColumn { return t.columns[strings.ToLower(name)] }

func (m *knownObject) column(name string) knownColumn { return m.table.column(name) }

// learnt is what is known of the object's tables; nothing before learn.
func (o *object) learnt() *knownObject {
	if m := o.known.Load(); m != nil {
		return m
	}
	return &knownObject{}
}

func each(ctx context.Context, db *sql.DB, query string, args []any, do func(scan func(...any) error) error) error {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := do(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// learnTables asks table for what is known of an object's tables, unless it has done so a short while ago, and has judge say what cannot be done with them.
func (db *database) learnTables(ctx context.Context, o *object, table func(ctx context.Context, db *sql.DB, name string) (knownTable, error), judge func(*knownObject, *object)) error {
	now := db.clock.Elapsed()
	if m := o.known.Load(); m != nil && now-m.at < learntFor {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, db.set.Timeout)
	defer cancel()
	m := &knownObject{at: now, children: map[string]knownTable{}}
	var err error
	if m.table, err = table(ctx, db.sql, o.Table); err != nil {
		return err
	}
	for _, name := range o.childrenNames {
		if m.children[name], err = table(ctx, db.sql, o.Children[name].Table); err != nil {
			return err
		}
	}
	judge(m, o)
	o.known.Store(m)
	return nil
}

// uniqueBy: an index sees to it that no two rows have the same in columns, or in some of them.
func (t knownTable) uniqueBy(columns []string) bool {
	among := func(name string) bool {
		return slices.ContainsFunc(columns, func(c string) bool { return strings.ToLower(c) == name })
	}
	return slices.ContainsFunc(t.indexes, func(x knownIndex) bool {
		return x.unique && len(x.columns) > 0 && !slices.ContainsFunc(x.columns, func(c string) bool { return !among(c) })
	})
}

// folded are the columns of texts of an id of which nothing sees to it that two of them differ under their rules as well; exact: a collation under which only the
// same bytes are the same.
func (m *knownObject) folded(o *object, exact func(collation string) bool) (columns []string) {
	if m.table.uniqueBy(o.Key) {
		return nil
	}
	for _, name := range o.Key {
		if c := m.column(name); c.text && !exact(c.collation) {
			columns = append(columns, name)
		}
	}
	return columns
}

// tableOf is the table of an object, or of one of its lists, and the types of its columns in the settings.
func (o *object) tableOf(list string) (knownTable, map[string]string) {
	if list == "" {
		return o.learnt().table, o.Columns
	}
	return o.learnt().children[list], o.Children[list].Columns
}

// looseColumns judges what the tables of a dialect have in common: a column of texts is no number, and an id of a kind by which rows cannot be found again is none.
func (m *knownObject) looseColumns(o *object, unfit ...string) {
	if !m.unfit(o, unfit...) {
		return
	}
	if v := m.column(o.Version); m.refused == "" && o.Version != "" && timeType(o.Columns[o.Version]) && v.text {
		m.refused = fmt.Sprintf("the version %s is a column of texts (%s), which are not in the order of times: it must be one of times", o.Version, v.kind)
	}
	for _, name := range o.childrenNames {
		c, t := o.Children[name], m.children[name]
		if m.unsafe == "" {
			m.unsafe = t.looseList(o, c)
		}
	}
}

// unfit judges the columns of the id and the version: some kinds cannot be looked for, and texts are no numbers. It reports whether the kinds are fit.
func (m *knownObject) unfit(o *object, kinds ...string) bool {
	fit := true
	for _, name := range o.Key {
		if kind := m.column(name).kind; fit && slices.Contains(kinds, kind) {
			fit = false
			m.refused = fmt.Sprintf("the id %s is a column of type %s, by which rows cannot be found again: read the table through a view that shows it as a text", name, kind)
		}
	}
	for _, name := range append(slices.Clone(o.Key), o.Version) {
		if name != "" && m.refused == "" {
			m.refused = m.loose(o, name)
		}
	}
	return fit
}

// looseList says why the rows of a list cannot be told apart as its settings say.
func (t knownTable) looseList(o *object, c *child) string {
	for i, parent := range c.Parent {
		if typ := o.Columns[o.Key[i]]; looseText(t.column(parent), typ) {
			return looseWhy(c.Table+"."+parent, t.column(parent).kind, typ)
		}
	}
	if c.Key != "" && looseText(t.column(c.Key), c.Columns[c.Key]) {
		return looseWhy(c.Table+"."+c.Key, t.column(c.Key).kind, c.Columns[c.Key])
	}
	return ""
}
