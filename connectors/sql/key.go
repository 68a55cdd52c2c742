package sql

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
	"github.com/waybill-hub/waybill/internal/timetext"
)

// The id of an object's rows is one column, or several, which are told apart nowhere but here: statements go through the columns of o.Key in their order. As the hub
// keeps it an id is one text: the column's own, or that of several (connector.KeyText).

// columnNames are one column, or a list of them.
type columnNames []string

// UnmarshalNode reads a name, or a list of names.
func (c *columnNames) UnmarshalNode(n strictyaml.Node, p *strictyaml.Problems) {
	var names []string
	if n.Kind() == strictyaml.List {
		n.Decode(&names, p)
	} else {
		names = make([]string, 1)
		n.Decode(&names[0], p)
	}
	*c = names
}

// partTypes are the types of which the parts of a key can be: what is read is what finds the row again.
var partTypes = []string{"text", "integer", "decimal", "date"}

// several: the id is more than one column.
func (o *object) several() bool { return len(o.Key) > 1 }

// completeKey checks the columns of the id, and what does not go together with several.
func (o *object) completeKey(n strictyaml.Node, p *strictyaml.Problems) {
	at := n.Get("id")
	if len(o.Key) == 0 {
		p.AddHint(at.Pos(), "write id: column, or id: [column, column]", "id: it names no column")
	}
	if len(o.Key) == 1 {
		o.ID = o.Key[0]
	}
	for i, column := range o.Key {
		place := at
		if items := at.Items(); i < len(items) {
			place = items[i]
		}
		switch typ := o.Columns[column]; {
		case !declaredAt(place, "id", column, o.Columns, p):
		case slices.Contains(o.Key[:i], column):
			p.Add(place.Pos(), "id: %s stands there twice", column)
		case !o.several():
		case !slices.Contains(partTypes, typ):
			p.AddHint(place.Pos(), "take the column as text, or as integer", "id: %s is a %s, and the columns of a key of several are %s", column, typ, strings.Join(partTypes, ", "))
		case o.Touch && (column == o.Version || column == o.VersionElse):
			p.Add(place.Pos(), "id: touch sets %s at every write, and a key stays what it is", column)
		case column == o.Deleted:
			p.Add(place.Pos(), "id: a delete sets %s, and a key stays what it is", column)
		}
	}
	if !o.several() {
		return
	}
	for _, f := range []struct {
		set       bool
		key, hint string
	}{
		{o.Generated, "generated", "leave generated out: every column of the key comes from the document; where the database gives one that is unique by itself, name that one alone"},
		{o.Interface != nil, "interface", "name the one column that identifies a row of the interface table"},
		{o.Procedures != nil, "procedures", "read the object through a view that shows the key as one column, which the procedures take"},
		{o.Capture != nil, "capture", "leave capture out, and poll by version"},
	} {
		if f.set {
			p.AddHint(n.Get(f.key).Pos(), f.hint, "%s: it does not go together with an id of several columns", f.key)
		}
	}
}

// completeParent checks the columns by which the rows of a list name the object's row.
func (c *child) completeParent(o *object, n strictyaml.Node, p *strictyaml.Problems) {
	at := n.Get("parent")
	for i, column := range c.Parent {
		if column != "" && !identifier.MatchString(column) {
			p.Add(at.Pos(), "parent: %q is no name of a column", column)
		}
		if slices.Contains(c.Parent[:i], column) {
			p.Add(at.Pos(), "parent: %s stands there twice", column)
		}
		if _, is := c.Columns[column]; is {
			p.AddHint(n.Get("columns").Get(column).Pos(), "leave it out", "columns: the hub sets %s itself", column)
		}
	}
	if at.Kind() != strictyaml.Missing && len(c.Parent) != len(o.Key) {
		p.AddHint(at.Pos(), fmt.Sprintf("name as many, in the order of id: the columns that hold %s", strings.Join(o.Key, ", ")),
			"parent: columns named here: %d, of the object's id: %d", len(c.Parent), len(o.Key))
	}
}

// each gives what name makes of the columns, with a word between.
func (c columnNames) each(name func(column string) string, between string) string {
	out := make([]string, len(c))
	for i, column := range c {
		out[i] = name(column)
	}
	return strings.Join(out, between)
}

// keyShown selects the columns of the id, as texts; name gives their names.
func (db *database) keyShown(o *object, name func(column string) string) string {
	return o.Key.each(func(column string) string { return db.dialect.shown(o, "", column, name(column)) }, ", ")
}

// keyIs is the condition that columns hold an id; they are those of the id, or the parent's of a list, by their names in the statement.
func (st *statement) keyIs(o *object, columns columnNames, name func(column string) string, id []any) string {
	out := make([]string, len(id))
	for i, v := range id {
		out[i] = st.db.dialect.is(st, name(columns[i]), o.Columns[o.Key[i]], v)
	}
	return strings.Join(out, " AND ")
}

// keyWhole and keyBroken are the conditions that no column of the id is null, and that one is.
func (o *object) keyWhole() string {
	return o.Key.each(func(column string) string { return of(column) + " IS NOT NULL" }, " AND ")
}

func (o *object) keyBroken() string {
	return o.Key.each(func(column string) string { return of(column) + " IS NULL" }, " OR ")
}

// brokenLast is what an order begins with in which rows without a whole id come last.
func (o *object) brokenLast() string { return "CASE WHEN " + o.keyBroken() + " THEN 1 ELSE 0 END, " }

// nullable: a column of the id may be null.
func (o *object) nullable() bool {
	return slices.ContainsFunc(o.Key, func(column string) bool { return o.learnt().column(column).nullable })
}

// keyBehind is the condition that a row comes behind an id. Of several columns the first that differs decides. It is spelt out, since few databases compare rows as
// such, and with the equal ones named, so that an index on all columns serves however many rows have the first.
func keyBehind(key columnNames, last []any, by func(column string) string, value func(column string, v any) string) string {
	column, v := key[0], last[0]
	more := by(column) + " > " + value(column, v)
	if len(key) == 1 {
		return more
	}
	return "(" + more + " OR " + by(column) + " = " + value(column, v) + " AND " + keyBehind(key[1:], last[1:], by, value) + ")"
}

// idParts gives the columns' texts of an id.
func (o *object) idParts(id string) ([]string, error) {
	if !o.several() {
		return []string{id}, nil
	}
	if strings.ContainsRune(id, 0) || !utf8.ValidString(id) {
		return nil, errors.New("an id is a text without NUL")
	}
	return connector.ReadKeyText(o.Key, id)
}

// idValues gives an id as parameters, each turned by bind: bindText for what comes from outside, bindOwn for what the database itself has given.
func (db *database) idValues(o *object, id string, bind func(typ, s string) (any, error)) ([]any, error) {
	parts, err := o.idParts(id)
	if err != nil {
		return nil, err
	}
	values := make([]any, len(parts))
	for i, part := range parts {
		if values[i], err = bind(o.Columns[o.Key[i]], part); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// idOf gives the id as the hub keeps it of what the database shows of its columns, and what is wrong with it: a column is null, or cannot be found by what it shows.
func (db *database) idOf(o *object, shown []sql.NullString) (id string, bad error) {
	if i := slices.IndexFunc(shown, func(s sql.NullString) bool { return !s.Valid }); i >= 0 {
		return "", fmt.Errorf("its id, the column %s, is null", o.Key[i])
	}
	if !o.several() {
		return shown[0].String, nil
	}
	parts := make([]string, len(shown))
	for i, column := range o.Key {
		typ := o.Columns[column]
		parts[i] = shown[i].String
		if typ == "date" && !db.dialect.textTimes() {
			parts[i] = wholeDay(parts[i])
		}
		if _, err := db.bindText(typ, parts[i]); err != nil && bad == nil {
			bad = fmt.Errorf("its id cannot be looked for again: the column %s: %w", column, err)
		}
	}
	return connector.KeyText(o.Key, parts), bad
}

// wholeDay gives the day of a time that is its beginning: so some databases show a date.
func wholeDay(shown string) string {
	v, err := timetext.Parse(strings.TrimSpace(shown))
	if err != nil || !v.Clock || v.Zone != nil && !strings.HasSuffix(shown, "Z") || !v.Wall.Equal(v.Wall.Truncate(24*time.Hour)) {
		return shown
	}
	return v.Wall.Format(time.DateOnly)
}

// scanKey reads a row that holds the columns of the id; bad is what idOf says of it.
func (db *database) scanKey(o *object, row interface{ Scan(into ...any) error }) (id string, bad, err error) {
	shown := make([]sql.NullString, len(o.Key))
	into := make([]any, len(shown))
	for i := range shown {
		into[i] = &shown[i]
	}
	if err := row.Scan(into...); err != nil {
		return "", nil, err
	}
	id, bad = db.idOf(o, shown)
	return id, bad, nil
}

// scanID reads the one row of a statement that gives the columns of the id.
func (c *change) scanID(row *sql.Row) (string, error) {
	id, bad, err := c.db.scanKey(c.o, row)
	if err != nil {
		return "", err
	}
	if bad != nil {
		return "", c.invalid("the row in %s: %s", c.o.Table, bad)
	}
	return id, nil
}

// ownID is the id that the document gives, if it gives all of it.
func (c *change) ownID() (id string, own bool) {
	parts := make([]string, len(c.o.Key))
	for i, column := range c.o.Key {
		at := slices.Index(c.names, column)
		if at < 0 || c.values[at] == nil {
			return "", false
		}
		parts[i] = fmt.Sprint(c.values[at])
	}
	if !c.o.several() {
		return parts[0], true
	}
	return connector.KeyText(c.o.Key, parts), true
}

// wholeKey refuses a new row without a column of its key: of several, the database gives none.
func (c *change) wholeKey() error {
	for _, column := range c.o.Key {
		if at := slices.Index(c.names, column); c.o.several() && (at < 0 || c.values[at] == nil) {
			return c.invalid("%s is missing, a column of the id (%s): give it a value in the mapping", column, strings.Join(c.o.Key, ", "))
		}
	}
	return nil
}

// isKey: the column is one of the id, which updates leave as it is.
func (o *object) isKey(column string) bool { return slices.Contains(o.Key, column) }

// sameRow makes one text of all ids by which the database finds one row: numbers without the zeros at their end. Lists may show a number of the key with other digits.
func (o *object) sameRow(id string) string {
	parts, err := o.idParts(id)
	if err != nil || !o.several() {
		return id
	}
	for i, column := range o.Key {
		if typ := o.Columns[column]; typ == "integer" || typ == "decimal" {
			if d, err := jsondoc.ParseDecimal(parts[i]); err == nil {
				parts[i] = d.Trim().String()
			}
		}
	}
	return connector.KeyText(o.Key, parts)
}
