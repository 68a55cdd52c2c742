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
	// bytewise: ids that differ may be the same under the column's rule.
	bytewise bool
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

// uniqueAlone: an index sees to it that no two rows have the same in a column.
func (t knownTable) uniqueAlone(column string) bool {
	alone := []string{strings.ToLower(column)}
	return slices.ContainsFunc(t.indexes, func(x knownIndex) bool { return x.unique && slices.Equal(x.columns, alone) })
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
	if kind := m.column(o.ID).kind; slices.Contains(unfit, kind) {
		m.refused = fmt.Sprintf("the id %s is a column of type %s, by which rows cannot be found again: read the table through a view that shows it as a text", o.ID, kind)
		return
	}
	for _, name := range []string{o.ID, o.Version} {
		if name != "" && m.refused == "" {
			m.refused = m.loose(o, name)
		}
	}
	if v := m.column(o.Version); m.refused == "" && o.Version != "" && timeType(o.Columns[o.Version]) && v.text {
		m.refused = fmt.Sprintf("the version %s is a column of texts (%s), which are not in the order of times: it must be one of times", o.Version, v.kind)
	}
	for _, name := range o.childrenNames {
		c, t := o.Children[name], m.children[name]
		switch {
		case m.unsafe != "":
		case looseText(t.column(c.Parent), o.Columns[o.ID]):
			m.unsafe = looseWhy(c.Table+"."+c.Parent, t.column(c.Parent).kind, o.Columns[o.ID])
		case c.Key != "" && looseText(t.column(c.Key), c.Columns[c.Key]):
			m.unsafe = looseWhy(c.Table+"."+c.Key, t.column(c.Key).kind, c.Columns[c.Key])
		}
	}
}
