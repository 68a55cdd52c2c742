package sql

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/waybill-hub/waybill/internal/connector"
)

var _ connector.Sampler = (*database)(nil)

// Sample reads the columns of an object's tables and one row, in one read-only transaction.
func (db *database) Sample(ctx context.Context, name string) (connector.Sample, error) {
	o, err := db.object(name)
	if err != nil {
		return connector.Sample{}, err
	}
	op := "sample " + o.name
	ctx, cancel := context.WithTimeout(ctx, db.set.Timeout)
	defer cancel()
	if err := db.dialect.learn(ctx, db, o); err != nil {
		return connector.Sample{}, db.classify(op, o, false, err)
	}
	if o.Capture != nil {
		if err := db.capture.check(ctx, op, o); err != nil {
			return connector.Sample{}, err
		}
	}
	tx, err := db.reading(ctx)
	if err != nil {
		return connector.Sample{}, db.classify(op, o, false, err)
	}
	defer tx.Rollback() //nolint:errcheck // it only read
	var out connector.Sample
	if err := db.describeTable(ctx, tx, o, "", o.table, o.Columns, nil, &out); err != nil {
		return out, db.classify(op, o, false, err)
	}
	for _, list := range o.childrenNames {
		c := o.Children[list]
		if err := db.describeTable(ctx, tx, o, list, c.table, c.Columns, c.Parent, &out); err != nil {
			return out, db.classify(op, o, false, err)
		}
	}
	if len(out.Lacking) > 0 {
		return out, nil
	}
	if o.Capture != nil {
		if err := db.capture.tellApart(ctx, o, out.Columns); err != nil {
			return out, db.classify(op, o, false, err)
		}
	}
	if why := cmp.Or(db.dialect.refuses(o, false), db.dialect.refuses(o, true)); why != "" {
		for i := range out.Columns {
			if o.isKey(out.Columns[i].Name) {
				out.Columns[i].Odd = why
			}
		}
		if db.dialect.refuses(o, false) != "" {
			return out, nil
		}
	}
	st := db.selecting(o)
	st.WriteString(db.dialect.limit("1", false))
	rows, err := db.fetch(ctx, tx, o, st)
	if err != nil || len(rows) == 0 {
		return out, db.classify(op, o, false, err)
	}
	at, _, _ := db.instants(o, rows[0])
	rec := db.record(o, rows[0], at)
	out.Record = &rec
	return out, nil
}

// describeTable adds a table's columns, and which of those in the settings it lacks.
func (db *database) describeTable(ctx context.Context, tx *sql.Tx, o *object, list, table string, columns map[string]string, more []string, out *connector.Sample) error {
	before := ""
	if list != "" {
		before = list + "."
	}
	rows, err := tx.QueryContext(ctx, "SELECT * FROM "+table+" t WHERE 1 = 0")
	if err != nil {
		return err
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err != nil {
		return err
	}
	var have []string
	for _, t := range types {
		have = append(have, t.Name())
		c := connector.SampleColumn{Name: before + t.Name(), Type: strings.ToLower(t.DatabaseTypeName()), Length: cmp.Or(lengthOf(t), db.dialect.length(o, list, t.Name()))}
		exact := db.set.Driver == "sqlite" && columns[t.Name()] == "decimal" && strings.Contains(c.Type, "text") // it has no decimals, and a number would be a float
		if typ := columns[t.Name()]; typ != "" && !exact && oddType(typ, c.Type) {
			c.Odd = fmt.Sprintf("the database says %s, and the settings say %s", c.Type, typ)
		}
		out.Columns = append(out.Columns, c)
	}
	for _, name := range append(slices.Clone(more), sortedNames(columns)...) {
		if !slices.Contains(have, name) {
			out.Lacking = append(out.Lacking, before+name)
		}
	}
	return rows.Err()
}

func sortedNames(columns map[string]string) []string {
	var out []string
	for _, f := range fieldsOf(columns) {
		out = append(out, f.Name)
	}
	return out
}

// declaredLength is in the type's name as SQLite gives it: VARCHAR(20). SQLite itself does not hold to it; its application may.
var declaredLength = regexp.MustCompile(`char[a-z ]*\((\d+)\)`)

func lengthOf(t *sql.ColumnType) int64 {
	if n, ok := t.Length(); ok && n > 0 && n < math.MaxInt32 && strings.Contains(strings.ToLower(t.DatabaseTypeName()), "char") {
		return n
	}
	if m := declaredLength.FindStringSubmatch(strings.ToLower(t.DatabaseTypeName())); m != nil {
		n, _ := strconv.ParseInt(m[1], 10, 32)
		return n
	}
	return 0
}

// oddType reports whether a column of the database's type can hardly be what the settings say. Databases keep many things as texts and numbers, so
// that only what cannot be read, or written, as the settings say is odd.
func oddType(setting, database string) bool {
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(database, w) })
	}
	switch {
	case has("char", "text", "clob", "uuid", "json"):
		return setting == "integer" || setting == "decimal" || setting == "boolean" || setting == "unix" || setting == "unix-ms"
	case has("bool"):
		return setting != "boolean" && setting != "text" && setting != "integer"
	case has("time", "date"):
		return setting == "integer" || setting == "decimal" || setting == "boolean" || setting == "json"
	case has("int", "serial"):
		return setting == "date" || setting == "timestamp" || setting == "local-timestamp" || setting == "json"
	case has("numeric", "decimal", "real", "double", "float"):
		return setting == "boolean" || setting == "json" || setting == "integer" && has("real", "double", "float")
	}
	return false
}
