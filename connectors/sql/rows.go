package sql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// statement builds an SQL text and its parameters together.
type statement struct {
	db *database
	strings.Builder
	args []any
	// table is what is known of the table that the statement is about; nil: nothing.
	table *knownTable
}

// statementOn begins a statement on an object's table, or on that of one of its lists.
func (db *database) statementOn(o *object, list, text string) *statement {
	st := db.statement(text)
	known := o.learnt()
	st.table = &known.table
	if list != "" {
		t := known.children[list]
		st.table = &t
	}
	return st
}

// column is what is known of a column of the statement's table, quoted as the statement names it.
func (st *statement) column(quoted string) knownColumn {
	if st.table == nil {
		return knownColumn{}
	}
	return st.table.column(strings.Trim(strings.TrimPrefix(quoted, "t."), `"`))
}

func (db *database) statement(text string) *statement {
	st := &statement{db: db}
	st.WriteString(text)
	return st
}

// arg adds a parameter and gives its placeholder.
func (st *statement) arg(v any) string {
	st.args = append(st.args, v)
	return st.db.dialect.param(len(st.args))
}

// limit ends a SELECT that has an order. The number is a parameter, so that statements of pages are the same.
func (st *statement) limit(n int) { st.WriteString(st.db.dialect.limit(st.arg(n), true)) }

// list adds parameters that are compared with a column of a type, and gives the list of their placeholders.
func (st *statement) list(typ string, values []any) string {
	places := make([]string, len(values))
	for i, v := range values {
		places[i] = st.db.dialect.value(st, typ, v)
	}
	return "(" + strings.Join(places, ", ") + ")"
}

// arguments adds parameters, and gives their places.
func (st *statement) arguments(values []any) string {
	places := make([]string, len(values))
	for i, v := range values {
		places[i] = st.arg(v)
	}
	return strings.Join(places, ", ")
}

// row is a row that was read: the columns' texts in the order of columnNames.
type row struct {
	id      string
	version string // as the database writes it
	values  []sql.NullString
	lists   [][]byte // of the children, in the order of childrenNames
	bad     error    // a child that cannot be read
	lacks   []bool   // the values that were not sent, in the order of columnNames; nil: all were
}

// sent gives the columns that the row has, and their values.
func (r *row) sent(names []string, values []sql.NullString) ([]string, []sql.NullString) {
	if r.lacks == nil {
		return names, values
	}
	var some []string
	var texts []sql.NullString
	for i, lacks := range r.lacks {
		if !lacks {
			some, texts = append(some, names[i]), append(texts, values[i])
		}
	}
	return some, texts
}

// of names a column of the table that a SELECT reads, as selecting calls it. Without it ORDER BY "id" would mean the text
// that is selected, by which 10 comes before 9.
func of(column string) string { return "t." + quote(column) }

// versionType is the type of the version, as conditions on it need it.
func (o *object) versionType() string {
	if o.rowversion {
		return rowversion
	}
	return o.Columns[o.Version]
}

// versionExpr is what polls go by, in a SELECT.
func (o *object) versionExpr() string { return o.versionAs(of) }

// versionAs writes it with the columns' names as name gives them.
func (o *object) versionAs(name func(column string) string) string {
	if o.VersionElse != "" {
		return "COALESCE(" + name(o.Version) + ", " + name(o.VersionElse) + ")"
	}
	return name(o.Version)
}

// selecting begins a SELECT of an object's rows.
func (db *database) selecting(o *object) *statement {
	st := db.statementOn(o, "", "SELECT "+db.keyShown(o, of)+", ")
	if o.Version == "" {
		st.WriteString("NULL")
	} else {
		st.WriteString(db.dialect.shown(o, "", o.Version, o.versionExpr()))
	}
	for _, c := range o.columnNames {
		st.WriteString(", " + db.dialect.shown(o, "", c, of(c)))
	}
	st.WriteString(" FROM " + o.table + " t")
	return st
}

// fetch runs a SELECT that selecting began, and reads the children of what it finds.
func (db *database) fetch(ctx context.Context, tx *sql.Tx, o *object, st *statement) ([]*row, error) {
	rs, err := tx.QueryContext(ctx, st.String(), st.args...)
	if err != nil {
		return nil, err
	}
	defer rs.Close()
	text, err := db.dialect.texts(rs)
	if err != nil {
		return nil, err
	}
	var out []*row
	for rs.Next() {
		r := &row{values: make([]sql.NullString, len(o.columnNames))}
		id := make([]sql.NullString, len(o.Key))
		var version sql.NullString
		var into []any
		for i := range id {
			into = append(into, &id[i])
		}
		into = append(into, &version)
		for i := range r.values {
			into = append(into, &r.values[i])
		}
		if err := rs.Scan(into...); err != nil {
			return nil, err
		}
		for i := range r.values {
			if text != nil {
				text(len(id)+1+i, &r.values[i])
			}
		}
		r.version = version.String
		r.id, r.bad = db.idOf(o, id)
		out = append(out, r)
	}
	if err := rs.Err(); err != nil {
		return nil, err
	}
	rs.Close()
	return out, db.fetchChildren(ctx, tx, o, out)
}

// chunk bounds the parameters of one statement: old SQLite takes 999.
const chunk = 500

func (db *database) fetchChildren(ctx context.Context, tx *sql.Tx, o *object, rows []*row) error {
	if len(o.childrenNames) == 0 {
		return nil
	}
	byID := make(map[string]*row, len(rows))
	for _, r := range rows {
		r.lists = make([][]byte, len(o.childrenNames))
		byID[o.sameRow(r.id)] = r
	}
	for i, name := range o.childrenNames {
		most := chunk / len(o.Key)
		for from := 0; from < len(rows); from += most {
			if err := db.fetchList(ctx, tx, o, o.Children[name], i, rows[from:min(from+most, len(rows))], byID); err != nil {
				return err
			}
		}
	}
	return nil
}

func (db *database) fetchList(ctx context.Context, tx *sql.Tx, o *object, c *child, list int, rows []*row, byID map[string]*row) error {
	st := db.statementOn(o, c.name, "SELECT "+c.Parent.each(func(column string) string { return db.dialect.shown(o, c.name, column, of(column)) }, ", "))
	for _, col := range c.columnNames {
		st.WriteString(", " + db.dialect.shown(o, c.name, col, of(col)))
	}
	st.WriteString(" FROM " + c.table + " t WHERE ")
	st.ofRows(o, c, rows)
	st.WriteString(" ORDER BY " + c.Parent.each(of, ", ") + ", " + of(c.Order))
	rs, err := tx.QueryContext(ctx, st.String(), st.args...)
	if err != nil {
		return err
	}
	defer rs.Close()
	text, err := db.dialect.texts(rs)
	if err != nil {
		return err
	}
	var strays []string
	for rs.Next() {
		shown := make([]sql.NullString, len(c.Parent))
		values := make([]sql.NullString, len(c.columnNames))
		var into []any
		for i := range shown {
			into = append(into, &shown[i])
		}
		for i := range values {
			into = append(into, &values[i])
		}
		if err := rs.Scan(into...); err != nil {
			return err
		}
		for i := range values {
			if text != nil {
				text(len(shown)+i, &values[i])
			}
		}
		parent, _ := db.idOf(o, shown) // what is wrong with it is said of the object's row
		r := byID[o.sameRow(parent)]
		if r == nil {
			strays = append(strays, parent)
			continue
		}
		if r.lists[list] != nil {
			r.lists[list] = append(r.lists[list], ',')
		}
		doc, err := db.appendColumns(append(r.lists[list], '{'), c.columnNames, c.Columns, values)
		if err != nil && r.bad == nil {
			r.bad = fmt.Errorf("%s: %w", c.Table, err)
		}
		r.lists[list] = append(doc, '}')
	}
	if err := rs.Err(); err != nil || len(strays) == 0 || !db.dialect.folds() && !o.several() {
		return err
	}
	rs.Close()
	return db.stray(ctx, tx, o, c, strays, byID)
}

// ofRows is the condition that a list's row is of one of some rows. What the database takes for the same is found as well, so that it can be told.
func (st *statement) ofRows(o *object, c *child, rows []*row) {
	if !o.several() {
		ids := make([]any, len(rows))
		for i, r := range rows {
			id, err := st.db.bindOwn(o.Columns[o.ID], r.id)
			if err != nil { // the row is refused for it, too, and shown without its children
				id = nil
			}
			ids[i] = id
		}
		st.WriteString(of(c.Parent[0]) + " IN " + st.list(o.Columns[o.ID], ids))
		return
	}
	word := "("
	for _, r := range rows {
		id, err := st.db.idValues(o, r.id, st.db.bindOwn)
		if err != nil { // as above
			continue
		}
		for i, v := range id {
			st.WriteString(word)
			word = " AND "
			st.WriteString(st.takesFor(of(c.Parent[i]), o.Columns[o.Key[i]], v))
		}
		word = " OR "
	}
	if word == "(" {
		st.WriteString("(1 = 0")
	}
	st.WriteString(")")
}

// takesFor is the condition that the database takes what a column holds for a value, exactly the same or not.
func (st *statement) takesFor(column, typ string, v any) string {
	if st.db.dialect.folds() {
		return column + " = " + st.db.dialect.value(st, typ, v)
	}
	return st.db.dialect.is(st, column, typ, v)
}

// stray finds the rows that the database takes children for which name another id, such as 'abc ' for 'ABC': nobody can tell whose they are.
func (db *database) stray(ctx context.Context, tx *sql.Tx, o *object, c *child, parents []string, byID map[string]*row) error {
	slices.Sort(parents)
	for _, parent := range slices.Compact(parents) {
		st := db.statementOn(o, "", "SELECT "+db.keyShown(o, of)+" FROM "+o.table+" t WHERE ")
		values, err := db.idValues(o, parent, db.bindOwn)
		if err != nil {
			continue // no row of the object has it
		}
		for i, v := range values {
			if i > 0 {
				st.WriteString(" AND ")
			}
			st.WriteString(st.takesFor(of(o.Key[i]), o.Columns[o.Key[i]], v))
		}
		rs, err := tx.QueryContext(ctx, st.String(), st.args...)
		if err != nil {
			return err
		}
		for rs.Next() {
			id, _, err := db.scanKey(o, rs)
			if err != nil {
				rs.Close()
				return err
			}
			if r := byID[o.sameRow(id)]; r != nil && r.bad == nil {
				r.bad = fmt.Errorf("%s: rows have the %s %q, which the database takes for the same, and nobody else does", c.Table, strings.Join(c.Parent, ", "), short(parent))
			}
		}
		if err := errors.Join(rs.Err(), rs.Close()); err != nil {
			return err
		}
	}
	return nil
}

func (db *database) unreadable(table, id string, err error) error {
	return db.fail(fault.Invalid, "read "+table, "row %s: %s", short(id), err)
}

// appendColumns appends members; dst ends in "{" . What its column's type cannot show is appended as the database's text; the error names the first
// such column.
func (db *database) appendColumns(dst []byte, names []string, types map[string]string, values []sql.NullString) (_ []byte, bad error) {
	for i, name := range names {
		if dst[len(dst)-1] != '{' {
			dst = append(dst, ',')
		}
		dst = append(jsondoc.AppendString(dst, name), ':')
		if !values[i].Valid {
			dst = append(dst, "null"...)
			continue
		}
		with, err := db.appendValue(dst, types[name], values[i].String)
		if err != nil {
			with = jsondoc.AppendString(dst, strings.ToValidUTF8(values[i].String, "\uFFFD"))
			if bad == nil {
				bad = fmt.Errorf("column %s: %w", name, err)
			}
		}
		dst = with
	}
	return dst, bad
}

// instants gives the first and the last instant of a row's version where it is a local time without a zone.
func (db *database) instants(o *object, r *row) (first, second time.Time, ok bool) {
	if o.Columns[o.Version] != "local-timestamp" {
		return first, second, false
	}
	first, second, _, ok = instants(r.version, db.zone)
	return first, second, ok
}

// present makes the record of a row as others see it. A version that is a local time which comes twice is taken for the second one if
// that is not after now.
func (db *database) present(o *object, r *row, now time.Time) connector.Record {
	at, second, _ := db.instants(o, r)
	if !second.After(now) {
		at = second
	}
	return db.public(o, db.record(o, r, at), at)
}

// record makes the record of a row. at is the instant of its version, zero where the version is no local time; the document shows it
// too, and the record's version is what the database writes. A row that cannot be read as it is has an Err.
func (db *database) record(o *object, r *row, at time.Time) connector.Record {
	values := r.values
	if !at.IsZero() {
		values = slices.Clone(values)
		for i, name := range o.columnNames {
			if (name == o.Version || name == o.VersionElse) && values[i].String == r.version {
				values[i].String = at.UTC().Format(time.RFC3339Nano)
			}
		}
	}
	names, values := r.sent(o.columnNames, values)
	doc, err := db.appendColumns([]byte{'{'}, names, o.Columns, values)
	if err == nil {
		err = r.bad
	}
	for i, name := range o.childrenNames {
		if len(doc) > 1 {
			doc = append(doc, ',')
		}
		doc = append(jsondoc.AppendString(doc, name), ":["...)
		doc = append(append(doc, r.lists[i]...), ']')
	}
	rec := connector.Record{Local: r.id, Doc: append(doc, '}'), ETag: r.version, Version: r.version}
	if err != nil {
		rec.Err = db.unreadable(o.Table, r.id, err)
	}
	for i, name := range o.columnNames {
		if name == o.Deleted {
			rec.Deleted = r.values[i].Valid && truthy(o.Columns[name], r.values[i].String)
		}
	}
	return rec
}

// truthy: a boolean or number says so itself, a time by being there.
func truthy(typ, raw string) bool {
	switch typ {
	case "boolean":
		b, err := parseBool(raw)
		return b || err != nil
	case "integer", "unix", "unix-ms":
		return raw != "0"
	}
	return raw != ""
}

// records reads rows into records as others see them.
func (db *database) records(ctx context.Context, tx *sql.Tx, o *object, st *statement) ([]connector.Record, error) {
	now := db.clock.Now()
	rows, err := db.fetch(ctx, tx, o, st)
	if err != nil {
		return nil, err
	}
	out := make([]connector.Record, len(rows))
	for i, r := range rows {
		if out[i] = db.present(o, r, now); out[i].Err != nil {
			return nil, out[i].Err
		}
	}
	return out, nil
}

// public gives the record as others see it: a version that is a time is written as RFC 3339. at is as in record.
func (db *database) public(o *object, r connector.Record, at time.Time) connector.Record {
	if !at.IsZero() {
		r.Version = at.UTC().Format(time.RFC3339Nano)
		return r
	}
	if typ := o.Columns[o.Version]; r.Version != "" && typ != "integer" {
		if t, err := db.timeOf(typ, r.Version); err == nil {
			r.Version = t.UTC().Format("2006-01-02T15:04:05.999999999Z07:00")
		}
	}
	return r
}
