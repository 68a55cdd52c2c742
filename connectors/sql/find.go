package sql

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// mostFound bounds a look-up: more than a few matches are a duplicate whatever their number.
const mostFound = 100

// Find looks rows up.
func (db *database) Find(ctx context.Context, l connector.Lookup) ([]connector.Record, error) {
	found, err := db.find(ctx, l)
	if o := db.set.Objects[l.Object]; err == nil && o.Interface != nil && len(o.Interface.Done) > 0 {
		found, err = db.takenIn(o, found)
	}
	for _, code := range db.dialect.noRight() {
		err = connector.Unlookable(err, code)
	}
	return found, err
}

func (db *database) find(ctx context.Context, l connector.Lookup) ([]connector.Record, error) {
	o, err := db.object(l.Object)
	if err != nil {
		return nil, err
	}
	op := "find " + o.name
	if err := db.learn(ctx, op, o, false); err != nil {
		return nil, err
	}
	switch {
	case l.Local != "":
		by, err := o.localColumns(l.Local)
		if err != nil {
			return nil, nil // no row has such an id
		}
		return db.findBy(ctx, op, o, by, nil)
	case l.External != "":
		return db.findExternal(ctx, op, o, &l)
	case len(l.Natural) > 0:
		return db.findBy(ctx, op, o, l.Natural, l.Compare)
	}
	return nil, db.fail(fault.Invalid, op, "nothing to look for")
}

// findExternal looks for an external id as systems write it: in the object's form, and in every spelling of a UUID that is found by an index.
func (db *database) findExternal(ctx context.Context, op string, o *object, l *connector.Lookup) ([]connector.Record, error) {
	if _, listed := o.Columns[o.ExternalID]; !listed {
		f := db.fail(fault.Invalid, op, "")
		f.Err = fmt.Errorf("by external id: %w (set external-id)", connector.ErrNoLookup)
		return nil, f
	}
	forms := []connector.ExternalForm{o.ExternalForm}
	if l.Older {
		forms = append(forms, o.ExternalForm.Others()...)
	}
	for _, form := range forms {
		st := db.selecting(o)
		st.WriteString(" WHERE ")
		st.writtenAs(of(o.ExternalID), form.Write(l.External), l.External)
		st.last(o)
		found, err := db.readable(ctx, op, o, st)
		if f, ok := fault.As(err); ok && db.dialect.impossible(f.Code) {
			continue // a column of type uuid holds no other form
		}
		if err != nil || len(found) > 0 {
			return found, err
		}
	}
	return nil, nil
}

// readable runs a look-up. A row that cannot be read may be the one that is looked for: then nothing is known.
func (db *database) readable(ctx context.Context, op string, o *object, st *statement) ([]connector.Record, error) {
	found, err := db.found(ctx, op, o, st)
	for i := range found {
		if found[i].Err != nil {
			return nil, found[i].Err
		}
	}
	return found, err
}

// last ends a look-up.
func (st *statement) last(o *object) {
	st.WriteString(" ORDER BY " + o.Key.each(of, ", ") + st.db.dialect.limit(strconv.Itoa(mostFound), true))
}

// writtenAs is the condition that a column holds an external id: in one form, or in any spelling of a UUID where it is written as one. Systems
// other than the hub write and convert such columns too.
func (st *statement) writtenAs(column, written, external string) {
	all := []string{written}
	if u, ok := connector.ParseExternal(external); ok && len(written) != connector.FormBase32.Length() {
		all = append(all, spellings(u)...)
	}
	slices.Sort(all)
	values := make([]any, 0, len(all))
	for _, s := range slices.Compact(all) {
		values = append(values, s)
	}
	st.WriteString(st.db.dialect.among(st, column, "text", values))
}

// spellings are the ways in which databases and programs write a UUID.
func spellings(u string) []string {
	compact := strings.ReplaceAll(u, "-", "")
	return []string{u, strings.ToUpper(u), compact, strings.ToUpper(compact), "{" + u + "}", "{" + strings.ToUpper(u) + "}"}
}

// findBy looks for rows by columns, each under its rule. What the database finds is compared again where its own idea of the same may be
// wider than the rule's.
func (db *database) findBy(ctx context.Context, op string, o *object, by map[string]string, rules map[string]connector.Compare) ([]connector.Record, error) {
	columns := slices.Sorted(maps.Keys(by))
	for _, column := range columns {
		if _, listed := o.Columns[column]; !listed {
			f := db.fail(fault.Invalid, op, "")
			f.Err = fmt.Errorf("by %s: %w (it is not listed in columns)", column, connector.ErrNoLookup)
			return nil, f
		}
	}
	for _, column := range columns {
		if why := db.dialect.searchable(o, column); why != "" {
			return nil, db.fail(fault.Invalid, op, "%s", why)
		}
	}
	st := db.selecting(o)
	for i, column := range columns {
		word := " AND "
		if i == 0 {
			word = " WHERE "
		}
		st.WriteString(word)
		switch err := st.matches(column, o.Columns[column], by[column], rules[column]); {
		case errors.Is(err, errNever):
			return nil, nil
		case err != nil:
			return nil, db.fail(fault.Invalid, op, "%s: %s", column, err)
		}
	}
	st.last(o)
	found, err := db.readable(ctx, op, o, st)
	if f, ok := fault.As(err); ok && db.dialect.impossible(f.Code) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(found, func(r connector.Record) bool { return !fits(&r, by, rules) }), nil
}

// errNever: the column cannot hold what is looked for.
var errNever = errors.New("no row can hold it")

// matches writes the condition that a column is the same as a value under a rule. Where both databases can say it, an index on the column
// serves; fold and number on a text read the table, unless the table is small or other fields narrow it down.
func (st *statement) matches(column, typ, value string, rule connector.Compare) error {
	col := of(column)
	text := typ == "text"
	switch {
	case text && rule == connector.UUID && isUUID(value):
		st.writtenAs(col, value, value)
		return nil
	case text && (rule == connector.Fold || rule == connector.Number):
		st.WriteString(st.db.dialect.same(st, col, value, rule))
		return nil
	case rule == connector.Number:
		value = rule.Key(value)
	}
	v, err := st.db.bindText(typ, value)
	if err != nil {
		return errNever
	}
	st.WriteString(st.db.dialect.is(st, col, typ, v))
	return nil
}

func isUUID(s string) bool {
	_, ok := connector.ParseExternal(s)
	return ok && len(connector.UUID.Key(s)) == connector.FormUUID.Length()
}

// fits compares a found row again, under the rules that say more than the database's own equality.
func fits(r *connector.Record, by map[string]string, rules map[string]connector.Compare) bool {
	doc, err := jsondoc.Parse(r.Doc, jsondoc.Limits{Bytes: len(r.Doc) + 1})
	if err != nil {
		return true
	}
	for column, rule := range rules {
		have := doc.Root().Get(column)
		if rule == connector.Exact || rule == "" || have.Kind() != jsondoc.String {
			continue
		}
		if !rule.Same(have.Str(), by[column]) {
			return false
		}
	}
	return true
}

// pattern is a regular expression (POSIX, as PostgreSQL reads it) for all texts that are the same as value under a rule. It names every
// letter: lower() and ~* depend on the database's locale, in which İ, I and ı may be anything.
func pattern(value string, rule connector.Compare) string {
	var b strings.Builder
	b.WriteByte('^')
	if n := rule.Key(value); rule == connector.Number && numberKey.MatchString(n) {
		sign, digits := "[+]?", n
		if n[0] == '-' {
			sign, digits = "-", n[1:]
		}
		whole, part, _ := strings.Cut(digits, ".")
		if n == "0" {
			sign = "[+-]?"
		}
		b.WriteString(`\s*` + sign + "0*")
		if whole != "0" {
			b.WriteString(whole)
		}
		if part == "" {
			b.WriteString(`([.]0*)?\s*$`)
		} else {
			b.WriteString("[.]" + part + `0*\s*$`)
		}
		return b.String()
	}
	for _, r := range value {
		letters := []rune{r}
		if rule == connector.Fold {
			letters = connector.FoldOf(r)
		}
		if len(letters) > 1 {
			b.WriteString("[" + string(letters) + "]")
			continue
		}
		b.WriteString(regexp.QuoteMeta(string(r)))
	}
	b.WriteByte('$')
	return b.String()
}

var numberKey = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?$`)
