package sql

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// procedures are what a database has its objects written by, in place of its tables.
type procedures struct {
	Create *procedure `yaml:"create" doc:"the procedure that makes an object"`
	Update *procedure `yaml:"update" doc:"the procedure that changes one"`
	Delete *procedure `yaml:"delete" doc:"the procedure that deletes one"`
}

func (p *procedures) of(a connector.Action) *procedure {
	return map[connector.Action]*procedure{connector.Create: p.Create, connector.Update: p.Update, connector.Delete: p.Delete}[a]
}

// procedure is one call. Its words are those of its answer: parameters that come back, columns of the first row of its result, and return for what a function, or
// a procedure of SQL Server's, returns.
type procedure struct {
	Call     string            `yaml:"call,required" doc:"the procedure, with its schema or package where needed: sales.create_order"`
	Function bool              `yaml:"function" doc:"it is a function: of PostgreSQL its columns, and of others its value as return, are the answer; SQL Server and SAP HANA call none so"`
	In       map[string]string `yaml:"in" doc:"what each parameter is given: a column, a list (as JSON), or hub.id, hub.external-id, hub.key (the same for the same change), hub.action, hub.document (all of it as JSON); one whose value the document does not have is left out, and null in MariaDB and MySQL, whose parameters have places and no defaults"`
	Out      []string          `yaml:"out" doc:"parameters that come back"`
	ID       string            `yaml:"id" doc:"the word of the answer that is a new object's id; default: it is looked for by its external id"`
	Status   string            `yaml:"status" doc:"the word of the answer that says whether it was done"`
	Success  []string          `yaml:"success" doc:"what status is then; anything else is a refusal, and is rolled back"`
	Error    string            `yaml:"error" doc:"the word of the answer that says why not"`
	Kinds    map[string]string `yaml:"kinds" doc:"what a status of refusal means: duplicate, conflict, invalid (the default), not-found, auth, unavailable"`
	inNames  []string
}

// hubWords are what a parameter can be given that no document has.
var hubWords = []string{"hub.id", "hub.external-id", "hub.key", "hub.action", "hub.document"}

// refusalKinds are the meanings of a status.
var refusalKinds = map[string]fault.Kind{"duplicate": fault.Conflict, "conflict": fault.Conflict, "invalid": fault.Invalid, "not-found": fault.NotFound,
	"auth": fault.Auth, "unavailable": fault.Unavailable}

// parameter is one that is given.
type parameter struct {
	name, typ string
	value     any
}

// words are what a procedure answers, by name.
type words map[string]sql.NullString

// word is a word of the answer, whatever letters it is written in.
func (a words) word(name string) sql.NullString {
	for have, v := range a {
		if strings.EqualFold(have, name) {
			return v
		}
	}
	return sql.NullString{}
}

// execute makes the change by its procedure.
func (c *change) execute(ctx context.Context, tx *sql.Tx) error {
	p := c.o.Procedures.of(c.w.Action)
	if c.w.Action == connector.Create && c.o.ExternalID != "" && c.w.External != "" && !c.o.Upsert {
		if err := c.refuseTwin(ctx, tx); err != nil {
			return err
		}
	}
	if c.w.Action != connector.Create {
		if err := c.stillThere(ctx, tx); err != nil {
			return err
		}
	}
	given, err := c.given(p)
	if err != nil {
		return err
	}
	got, ended, err := c.db.dialect.call(ctx, tx, c, p, given)
	if ended {
		said := ""
		if err != nil {
			said = "; it says: " + c.db.classify("", c.o, false, err).Error()
		}
		return c.db.fail(fault.UnknownOutcome, c.op, "%s has ended the hub's transaction, by a COMMIT, a ROLLBACK or a statement that commits by itself: what it wrote may stay%s", p.Call, said)
	}
	if err != nil {
		return err
	}
	if err := c.judged(p, got); err != nil {
		return err
	}
	if c.w.Action == connector.Delete {
		c.result.Local = c.w.Local
		return nil
	}
	id := c.w.Local
	if c.w.Action == connector.Create {
		if id, err = c.made(ctx, tx, p, got); err != nil {
			return err
		}
	}
	return c.readCalled(ctx, tx, id)
}

// stillThere refuses the call where the row has changed since, or is gone.
func (c *change) stillThere(ctx context.Context, tx *sql.Tx) error {
	id, err := c.db.bindText(c.o.Columns[c.o.ID], c.w.Local)
	if err != nil || c.w.Local == "" {
		return c.gone()
	}
	shown := "NULL"
	if c.o.Version != "" {
		shown = c.db.dialect.shown(c.o, "", c.o.Version, c.o.versionAs(quote))
	}
	hint, rest := c.db.dialect.locking()
	look := c.db.statementOn(c.o, "", "SELECT "+shown+" FROM "+c.o.table+hint+" WHERE ")
	look.WriteString(c.db.dialect.is(look, quote(c.o.ID), c.o.Columns[c.o.ID], id) + c.alive())
	if c.w.ETag != "" && c.o.Version != "" {
		look.WriteString(" AND " + c.db.dialect.stands(look, c.o.versionAs(quote), c.o.versionType(), c.w.ETag))
	}
	look.WriteString(rest)
	var version sql.NullString
	err = tx.QueryRowContext(ctx, look.String(), look.args...).Scan(&version)
	if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if c.w.ETag == "" || c.o.Version == "" {
		return c.gone()
	}
	c2 := *c.w
	c2.ETag = ""
	if err := (&change{db: c.db, o: c.o, w: &c2, op: c.op}).stillThere(ctx, tx); err != nil {
		return err
	}
	return c.db.fail(fault.Conflict, c.op, "the row has changed meanwhile")
}

// given are the parameters that the document, or the hub, gives.
func (c *change) given(p *procedure) ([]parameter, error) {
	for name := range c.doc.Members() {
		if !slices.Contains(slices.Collect(maps.Values(p.In)), name) && !(name == c.o.ID && c.w.Action != connector.Create) && !slices.Contains(slices.Collect(maps.Values(p.In)), "hub.document") {
			return nil, c.invalid("%s: no parameter of %s takes it", short(name), p.Call)
		}
	}
	var out []parameter
	for _, name := range p.inNames {
		v := parameter{name: name, typ: "text"}
		switch from := p.In[name]; from {
		case "hub.id":
			v.typ = c.o.Columns[c.o.ID]
			if c.w.Local == "" {
				continue
			}
			id, err := c.db.bindText(v.typ, c.w.Local)
			if err != nil {
				return nil, c.gone()
			}
			v.value = id
		case "hub.external-id":
			v.value = c.o.ExternalForm.Write(c.w.External)
		case "hub.key":
			v.value = c.w.IdempotencyKey
		case "hub.action":
			v.value = string(c.w.Action)
		case "hub.document":
			v.typ, v.value = "json", string(c.w.Doc)
		default:
			member := c.doc.Get(from)
			if member.Kind() == jsondoc.Missing {
				continue
			}
			if v.typ = c.o.Columns[from]; v.typ == "" {
				v.typ = "json" // a list
			}
			value, err := c.db.bind(v.typ, member)
			if err != nil {
				return nil, c.invalid("%s: %s", from, err)
			}
			v.value = value
		}
		out = append(out, v)
	}
	return out, nil
}

// judged says whether it was done.
func (c *change) judged(p *procedure, got words) error {
	if p.Status == "" {
		return nil
	}
	status := got.word(p.Status)
	if status.Valid && slices.Contains(p.Success, status.String) {
		return nil
	}
	said := got.word(p.Error).String
	if said == "" {
		said = "it gives no reason"
	}
	shown := "null"
	if status.Valid {
		shown = status.String
	}
	kind := p.Kinds[shown]
	f := c.db.fail(fault.Invalid, c.op, "%s has refused it with %s %s: %s", p.Call, p.Status, short(shown), short300(c.db.scrub.Text(said)))
	f.Code = shown
	if kind != "" {
		f.Kind, f.Duplicate = refusalKinds[kind], kind == "duplicate"
	}
	return f
}

// short300 bounds what a system says in its own words, after secrets were taken out: half of one would not be found.
func short300(s string) string {
	if r := []rune(s); len(r) > 300 {
		return string(r[:297]) + "..."
	}
	return s
}

// made is the id of the new object.
func (c *change) made(ctx context.Context, tx *sql.Tx, p *procedure, got words) (string, error) {
	if p.ID != "" {
		id := got.word(p.ID)
		if !id.Valid || id.String == "" {
			return "", c.invalid("%s gives no id of the new object: its %s is empty", p.Call, p.ID)
		}
		return id.String, nil
	}
	st := c.db.statementOn(c.o, "", "SELECT "+c.db.dialect.shown(c.o, "", c.o.ID, quote(c.o.ID))+" FROM "+c.o.table+" WHERE ")
	st.writtenAs(quote(c.o.ExternalID), c.o.ExternalForm.Write(c.w.External), c.w.External)
	ids, err := texts(tx.QueryContext(ctx, st.String(), st.args...))
	if err == nil && len(ids) != 1 {
		err = c.invalid("%s has made %d rows with the external id", p.Call, len(ids))
	}
	if err != nil {
		return "", err
	}
	return ids[0], nil
}

// readCalled reads the object back, and refuses to commit where it does not hold exactly what was sent. One that its table does not show yet is not read.
func (c *change) readCalled(ctx context.Context, tx *sql.Tx, id string) error {
	c.result = connector.Result{Local: id}
	v, err := c.db.bindText(c.o.Columns[c.o.ID], id)
	if err != nil {
		return c.invalid("the id that the database gave: %s", err)
	}
	st := c.db.statementOn(c.o, "", "SELECT 1 FROM "+c.o.table+" WHERE ")
	st.WriteString(c.db.dialect.is(st, quote(c.o.ID), c.o.Columns[c.o.ID], v))
	var one int
	switch err := tx.QueryRowContext(ctx, st.String(), st.args...).Scan(&one); {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return err
	}
	return c.readBack(ctx, tx, id)
}

// complete checks the calls of an object.
func (p *procedures) complete(o *object, n strictyaml.Node, driver string, problems *strictyaml.Problems) {
	if driver == "sqlite" {
		problems.Add(n.Pos(), "procedures: SQLite has none")
	}
	if o.Interface != nil || o.Touch || o.Generated {
		problems.AddHint(n.Pos(), "leave interface, touch and generated out", "procedures: how rows are written is the procedures' business")
	}
	for _, action := range []connector.Action{connector.Create, connector.Update, connector.Delete} {
		if call := p.of(action); call != nil {
			call.complete(o, action, n.Get(string(action)), driver, problems)
		}
	}
}

func (p *procedure) complete(o *object, action connector.Action, n strictyaml.Node, driver string, problems *strictyaml.Problems) {
	p.inNames = slices.Sorted(maps.Keys(p.In))
	parts := strings.Split(p.Call, ".")
	for _, part := range parts {
		if p.Call != "" && (len(parts) > 3 || !identifier.MatchString(part)) {
			problems.Add(n.Get("call").Pos(), "call: %q is no name of a procedure", p.Call)
			break
		}
	}
	for _, name := range p.inNames {
		at := n.Get("in").Get(name)
		if !identifier.MatchString(name) {
			problems.Add(n.Get("in").KeyPos(name), "in: %q is no name of a parameter", name)
		}
		from := p.In[name]
		if _, column := o.Columns[from]; column || slices.Contains(hubWords, from) {
			continue
		}
		if _, list := o.Children[from]; !list {
			problems.AddHint(at.Pos(), strictyaml.DidYouMean(from, append(slices.Clone(hubWords), o.columnNames...)), "%s: %q is no column, no list and no word of the hub", name, from)
		}
	}
	for _, name := range p.Out {
		if !identifier.MatchString(name) {
			problems.Add(n.Get("out").Pos(), "out: %q is no name of a parameter", name)
		}
		given := slices.ContainsFunc(p.inNames, func(in string) bool { return strings.EqualFold(in, name) })
		if given && (driver == "oracle" || driver == "hana") {
			problems.AddHint(n.Get("out").Pos(), "call one that gives the value back by another parameter", "out: %s is given too, which is not for %s: what is given would not be sent", name, driver)
		}
	}
	if (p.Status == "") != (len(p.Success) == 0) {
		problems.Add(n.Pos(), "%s: status and success belong together", action)
	}
	if action == connector.Create && p.ID == "" && o.ExternalID == "" {
		problems.AddHint(n.Pos(), "add id, or external-id to the object", "create: nothing says what the id of the new object is")
	}
	for status, kind := range p.Kinds {
		if _, ok := refusalKinds[kind]; !ok {
			problems.AddHint(n.Get("kinds").Get(status).Pos(), strictyaml.DidYouMean(kind, slices.Sorted(maps.Keys(refusalKinds))), "kinds: %q is no kind of failure", kind)
		}
	}
	if p.Function && (driver == "sqlserver" || driver == "hana") {
		problems.Add(n.Get("function").Pos(), "function: not for %s", driver)
	}
}
