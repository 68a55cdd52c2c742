package sql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/gather"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// Write makes one change: header and children in one transaction, read back in it.
func (db *database) Write(ctx context.Context, w connector.Write) (connector.Result, error) {
	o, err := db.object(w.Object)
	if err != nil {
		return connector.Result{}, err
	}
	c := &change{db: db, o: o, w: &w, op: string(w.Action) + " " + o.name}
	if db.set.ReadOnly {
		return connector.Result{}, c.invalid("the system's settings say read-only: nothing is written to it")
	}
	if err := db.learn(ctx, c.op, o, true); err != nil {
		return connector.Result{}, err
	}
	if err := c.read(); err != nil {
		return connector.Result{}, err
	}
	step := map[connector.Action]func(context.Context, *sql.Tx) error{
		connector.Create: c.create, connector.Update: c.update, connector.Delete: c.delete,
	}[w.Action]
	if step == nil {
		return connector.Result{}, db.fail(fault.Invalid, c.op, "unknown action")
	}
	if o.Interface != nil {
		step = c.submit
	}
	if o.Procedures != nil {
		if o.Procedures.of(w.Action) == nil {
			return connector.Result{}, c.invalid("the settings name no procedure for it")
		}
		// What a procedure does is not known: it shares its transaction with nobody.
		err = db.single(&pending{Place: gather.At(ctx), op: c.op, object: o, creating: w.Action == connector.Create, fn: c.execute})
	} else {
		err = db.change(ctx, c.op, o, w.Action == connector.Create, step)
	}
	if c.lost { // it is told now
		db.forget(w.IdempotencyKey)
	}
	if err == nil && o.Interface != nil && len(o.Interface.Done) > 0 {
		err = c.await(ctx)
	}
	if err != nil {
		return connector.Result{}, err
	}
	return c.result, nil
}

// change is one write's work.
type change struct {
	db     *database
	o      *object
	w      *connector.Write
	op     string
	doc    jsondoc.Value
	names  []string // columns to write, in order
	values []any
	result connector.Result
	row    string // of an interface table: the id of the change's row
	lost   bool   // of an interface table: the row that the change made earlier is gone
}

// read turns the document into parameters; whatever does not fit is named.
func (c *change) read() error {
	if c.w.Action == connector.Delete {
		return nil
	}
	doc, err := jsondoc.Parse(c.w.Doc, jsondoc.Limits{})
	if err != nil {
		return c.invalid("the document is no JSON: %s", err)
	}
	c.doc = doc.Root()
	if c.doc.Kind() != jsondoc.Object {
		return c.invalid("the document is no object (%s)", c.doc.Kind())
	}
	for name, v := range c.doc.Members() {
		if _, list := c.o.Children[name]; list {
			continue
		}
		if c.o.isKey(name) && (c.o.Generated || c.w.Action == connector.Update) {
			continue // the database's business, or known already
		}
		typ, ok := c.o.Columns[name]
		if !ok {
			return c.invalid("%q is neither a column nor a list of %s", short(name), c.o.name)
		}
		value, err := c.db.bind(typ, v)
		if err != nil {
			return c.invalid("%s: %s", name, err)
		}
		c.set(name, value)
	}
	if c.o.ExternalID != "" && c.w.External != "" && c.w.Action == connector.Create {
		c.set(c.o.ExternalID, c.o.ExternalForm.Write(c.w.External))
	}
	return nil
}

// set sets a column, once.
func (c *change) set(name string, value any) {
	if i := slices.Index(c.names, name); i >= 0 {
		c.values[i] = value
		return
	}
	c.names, c.values = append(c.names, name), append(c.values, value)
}

func (c *change) invalid(format string, args ...any) error {
	return c.db.fail(fault.Invalid, c.op, format, args...)
}

func (c *change) create(ctx context.Context, tx *sql.Tx) error {
	if err := c.wholeKey(); err != nil {
		return err
	}
	if c.o.ExternalID != "" && c.w.External != "" && !c.o.Upsert {
		if err := c.refuseTwin(ctx, tx); err != nil {
			return err
		}
	}
	id, err := c.insert(ctx, tx)
	if err != nil {
		return err
	}
	if err := c.children(ctx, tx, id, !c.o.Upsert); err != nil {
		return err
	}
	return c.readBack(ctx, tx, id)
}

// put is a parameter for a column of the object.
func (c *change) put(st *statement, column string, v any) string {
	return c.db.dialect.put(st, c.o.Columns[column], v)
}

// refuseTwin finds the external id where no unique index would.
func (c *change) refuseTwin(ctx context.Context, tx *sql.Tx) error {
	st := c.db.statementOn(c.o, "", "SELECT 1 FROM "+c.o.table+" WHERE ")
	st.writtenAs(quote(c.o.ExternalID), c.o.ExternalForm.Write(c.w.External), c.w.External)
	if it := c.o.Interface; it != nil && len(it.Failed) > 0 { // what was refused is no object
		refused := make([]any, len(it.Failed))
		for i, word := range it.Failed {
			refused[i] = word
		}
		st.WriteString(" AND (" + quote(it.Status) + " IS NULL OR " + c.db.dialect.outside(st, quote(it.Status), c.o.Columns[it.Status], refused) + ")")
	}
	st.WriteString(c.db.dialect.limit("1", false))
	var one int
	switch err := tx.QueryRowContext(ctx, st.String(), st.args...).Scan(&one); {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return err
	}
	f := c.db.fail(fault.Conflict, c.op, "a row with this external id exists")
	f.Duplicate = true
	return f
}

// insert adds the row and gives its id.
func (c *change) insert(ctx context.Context, tx *sql.Tx) (id string, err error) {
	st := c.db.statementOn(c.o, "", "INSERT INTO "+c.o.table)
	columns, places := "", ""
	add := func(name, place string) {
		if columns != "" {
			columns, places = columns+", ", places+", "
		}
		columns, places = columns+quote(name), places+place
	}
	for i, name := range c.names {
		if name == c.o.Version && c.o.Touch {
			continue
		}
		add(name, c.put(st, name, c.values[i]))
	}
	if c.o.Touch {
		first, err := c.first(ctx, tx, st)
		if err != nil {
			return "", err
		}
		add(c.o.Version, first)
	}
	c.db.dialect.inserts(st, c.o, columns, places)
	upsert := c.o.Upsert && c.w.External != ""
	if upsert && c.db.dialect.upserts() {
		st.WriteString(" ON CONFLICT (" + quote(c.o.ExternalID) + ") DO UPDATE SET ")
		n := 0
		for _, name := range c.names {
			if c.stays(name) {
				continue
			}
			if n++; n > 1 {
				st.WriteString(", ")
			}
			st.WriteString(quote(name) + " = excluded." + quote(name))
		}
		if c.o.Touch {
			next, err := c.touched(ctx, tx, st, c.o.table+".", func(look *statement) string { return quote(c.o.ExternalID) + " = " + look.arg(c.w.External) })
			if err != nil {
				return "", err
			}
			st.WriteString(", " + quote(c.o.Version) + " = " + next)
		}
	}
	id, err = c.db.dialect.added(ctx, tx, c, st)
	if err != nil && upsert && !c.db.dialect.upserts() {
		return c.takeOver(ctx, tx, err)
	}
	return id, on(c.o.Table, err)
}

// stays: the column is one of a key of several, which the row that is taken over keeps, as in an update: its lists go by it.
func (c *change) stays(column string) bool {
	return c.o.several() && c.o.isKey(column) && column != c.o.ExternalID
}

// takeOver changes the row that has the external id already, which an INSERT has failed on; where there is none, it has failed on something else.
func (c *change) takeOver(ctx context.Context, tx *sql.Tx, failed error) (id string, err error) {
	if f, ok := fault.As(c.db.classify(c.op, c.o, true, on(c.o.Table, failed))); !ok || !f.Duplicate {
		return "", on(c.o.Table, failed)
	}
	hint, rest := c.db.dialect.locking()
	st := c.db.statementOn(c.o, "", "SELECT "+c.db.keyShown(c.o, quote)+" FROM "+c.o.table+hint+" WHERE ")
	st.writtenAs(quote(c.o.ExternalID), c.o.ExternalForm.Write(c.w.External), c.w.External)
	st.WriteString(rest)
	switch id, err = c.scanID(tx.QueryRowContext(ctx, st.String(), st.args...)); {
	case errors.Is(err, sql.ErrNoRows):
		return "", on(c.o.Table, failed)
	case err != nil:
		return "", err
	}
	st = c.db.statementOn(c.o, "", "UPDATE "+c.o.table+" SET ")
	n := 0
	put := func(name, value string) {
		if n++; n > 1 {
			st.WriteString(", ")
		}
		st.WriteString(quote(name) + " = " + value)
	}
	after := id
	for i, name := range c.names {
		if name == c.o.Version && c.o.Touch || c.stays(name) {
			continue
		}
		if put(name, c.put(st, name, c.values[i])); name == c.o.ID && c.values[i] != nil {
			after = fmt.Sprint(c.values[i])
		}
	}
	old, err := c.db.idValues(c.o, id, c.db.bindOwn)
	if err != nil {
		return "", c.invalid("the id of the row with this external id: %s", err)
	}
	if c.o.Touch {
		next, err := c.touched(ctx, tx, st, "", func(look *statement) string { return look.keyIs(c.o, c.o.Key, quote, old) })
		if err != nil {
			return "", err
		}
		put(c.o.Version, next)
	}
	st.WriteString(" WHERE " + st.keyIs(c.o, c.o.Key, quote, old))
	_, err = tx.ExecContext(ctx, st.String(), st.args...)
	return after, err
}

// kept: the database took the statement, and did nothing.
func (c *change) kept(what string) error {
	return c.invalid("0 rows were %s, and the database gives no reason: a trigger, rule or policy of the table %s keeps it as it is", what, c.o.Table)
}

func (c *change) update(ctx context.Context, tx *sql.Tx) error {
	st := c.db.statementOn(c.o, "", "UPDATE "+c.o.table+" SET ")
	n := 0
	put := func(name, value string) {
		if n++; n > 1 {
			st.WriteString(", ")
		}
		st.WriteString(quote(name) + " = " + value)
	}
	for i, name := range c.names {
		if name != c.o.Version || !c.o.Touch {
			put(name, c.put(st, name, c.values[i]))
		}
	}
	if c.o.Touch {
		next, err := c.nextVersion(ctx, tx, st)
		if err != nil {
			return err
		}
		put(c.o.Version, next)
	}
	if n == 0 { // children only: the row is locked all the same
		put(c.o.Key[0], quote(c.o.Key[0]))
	}
	if err := c.affect(ctx, tx, st); err != nil {
		return err
	}
	if err := c.children(ctx, tx, c.w.Local, false); err != nil {
		return err
	}
	return c.readBack(ctx, tx, c.w.Local)
}

// delete removes the row and its children, or marks it.
func (c *change) delete(ctx context.Context, tx *sql.Tx) error {
	c.result.Local = c.w.Local
	if c.o.Deleted == "" {
		if err := c.deleteChildren(ctx, tx); err != nil {
			return err
		}
		return c.affect(ctx, tx, c.db.statementOn(c.o, "", "DELETE FROM "+c.o.table))
	}
	st := c.db.statementOn(c.o, "", "UPDATE "+c.o.table+" SET "+quote(c.o.Deleted)+" = ")
	switch typ := c.o.Columns[c.o.Deleted]; typ {
	case "boolean":
		st.WriteString(st.arg(c.db.dialect.boolean(true)))
	case "integer":
		st.WriteString("1")
	default:
		st.WriteString(c.db.now(typ))
	}
	if c.o.Touch {
		next, err := c.nextVersion(ctx, tx, st)
		if err != nil {
			return err
		}
		st.WriteString(", " + quote(c.o.Version) + " = " + next)
	}
	return c.affect(ctx, tx, st)
}

func (c *change) deleteChildren(ctx context.Context, tx *sql.Tx) error {
	id, err := c.db.idValues(c.o, c.w.Local, c.db.bindText)
	if err != nil {
		return c.gone()
	}
	for _, name := range c.o.childrenNames {
		ch := c.o.Children[name]
		st := c.db.statementOn(c.o, name, "DELETE FROM "+ch.table+" WHERE ")
		st.WriteString(st.keyIs(c.o, ch.Parent, quote, id))
		if _, err := tx.ExecContext(ctx, st.String(), st.args...); err != nil {
			return err
		}
	}
	return nil
}

// affect runs a statement on the one row, guarded by the ETag. No row means NotFound, or Conflict where it is there in
// another version.
func (c *change) affect(ctx context.Context, tx *sql.Tx, st *statement) error {
	id, err := c.db.idValues(c.o, c.w.Local, c.db.bindText)
	if err != nil || c.w.Local == "" {
		return c.gone()
	}
	st.WriteString(" WHERE " + st.keyIs(c.o, c.o.Key, quote, id) + c.alive())
	if c.w.ETag != "" && c.o.Version != "" {
		st.WriteString(" AND " + c.db.dialect.stands(st, c.o.versionAs(quote), c.o.versionType(), c.w.ETag))
	}
	n, err := c.db.dialect.affected(ctx, tx, st)
	switch {
	case err == nil && n > 1:
		return c.invalid("%d rows have the id %q: it does not identify a row", n, short(c.w.Local))
	case err != nil || n == 1:
		return err
	}
	shown := "NULL"
	if c.o.Version != "" {
		shown = c.db.dialect.shown(c.o, "", c.o.Version, c.o.versionAs(quote))
	}
	look := c.db.statementOn(c.o, "", "SELECT "+shown+" FROM "+c.o.table+" WHERE ")
	look.WriteString(look.keyIs(c.o, c.o.Key, quote, id) + c.alive())
	var version sql.NullString
	switch err := tx.QueryRowContext(ctx, look.String(), look.args...).Scan(&version); {
	case errors.Is(err, sql.ErrNoRows):
		return c.gone()
	case err != nil:
		return err
	case c.w.ETag == "" || c.o.Version == "" || version.String == c.w.ETag:
		return c.kept("changed")
	}
	return c.db.fail(fault.Conflict, c.op, "the row has changed meanwhile")
}

// alive is the condition that a row is not marked as deleted.
func (c *change) alive() string {
	if c.o.Deleted == "" {
		return ""
	}
	col := quote(c.o.Deleted)
	switch c.o.Columns[c.o.Deleted] {
	case "boolean":
		return " AND (" + col + " IS NULL OR NOT " + c.db.dialect.isTrue(col) + ")"
	case "integer":
		return " AND COALESCE(" + col + ", 0) = 0"
	}
	return " AND " + col + " IS NULL"
}

func (c *change) gone() error {
	return c.db.fail(fault.NotFound, c.op, "there is no row with the id %q", short(c.w.Local))
}

// readBack gives the row as the database made it, and refuses to commit where it could not hold an amount exactly.
func (c *change) readBack(ctx context.Context, tx *sql.Tx, id string) error {
	v, err := c.db.idValues(c.o, id, c.db.bindText)
	if err != nil {
		return c.invalid("the id that the database gave: %s", err)
	}
	st := c.db.selecting(c.o)
	st.WriteString(" WHERE " + st.keyIs(c.o, c.o.Key, of, v))
	got, err := c.db.records(ctx, tx, c.o, st)
	if err != nil {
		return err
	}
	if len(got) != 1 {
		return c.invalid("%d rows have the id %q: it does not identify a row", len(got), short(id))
	}
	if c.o.several() { // as the database shows it, which may write a number with other digits than the document
		id = got[0].Local
	}
	c.result = connector.Result{Local: id, Doc: got[0].Doc, ETag: got[0].ETag}
	after, err := jsondoc.Parse(got[0].Doc, jsondoc.Limits{Bytes: len(got[0].Doc) + 1})
	if err != nil {
		return c.invalid("the row holds no JSON: %s", err)
	}
	if err := exact(c.o.Columns, "", c.doc, after.Root()); err != nil {
		return c.invalid("%s", err)
	}
	if err := c.db.dialect.kept(c.o, "", c.doc, after.Root()); err != nil {
		return c.invalid("%s", err)
	}
	for _, name := range c.o.childrenNames {
		if err := c.exactList(name, after.Root().Get(name)); err != nil {
			return err
		}
	}
	return nil
}

func (c *change) exactList(name string, after jsondoc.Value) error {
	sent, ch := c.doc.Get(name), c.o.Children[name]
	if after.Len() < sent.Len() {
		return c.invalid("%s: the database kept %d of %d rows, and gives no reason: a trigger, rule or policy of the table %s", name, after.Len(), sent.Len(), ch.Table)
	}
	if sent.Len() != after.Len() || ch.Key == "" {
		return nil
	}
	for i := range sent.Len() {
		want := sent.Index(i)
		for got := range after.Elements() {
			if !want.Get(ch.Key).Equal(got.Get(ch.Key)) {
				continue
			}
			if err := exact(ch.Columns, fmt.Sprintf("%s.%d.", name, i), want, got); err != nil {
				return c.invalid("%s", err)
			}
			if err := c.db.dialect.kept(c.o, name, want, got); err != nil {
				return c.invalid("%s.%d.%s", name, i, err)
			}
		}
	}
	return nil
}
