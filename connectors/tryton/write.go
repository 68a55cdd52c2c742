package tryton

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/gather"
	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// change is one write.
type change struct {
	s  *system
	b  *bound
	w  *connector.Write
	op string
	// began: something was written, so that what fails afterwards leaves a change that is half made.
	began bool
}

// Write makes one change: the record itself, then the steps of its workflow, one call after the other.
func (s *system) Write(ctx context.Context, w connector.Write) (connector.Result, error) {
	op := string(w.Action) + " " + w.Object
	b, err := s.bound(ctx, w.Object, op)
	if err != nil {
		return connector.Result{}, err
	}
	c := &change{s: s, b: b, w: &w, op: op}
	var res connector.Result
	switch w.Action {
	case connector.Create:
		res, err = c.create(ctx)
	case connector.Update:
		res, err = c.update(ctx)
	case connector.Delete:
		res, err = c.delete(ctx)
	default:
		err = s.fail(fault.Invalid, op, "unknown action")
	}
	if err != nil {
		err = s.refuse(op, err)
		if k := fault.KindOf(err); k == fault.Invalid || k == fault.Conflict {
			s.forget()
		}
	}
	return res, err
}

// document parses the document of a write.
func (c *change) document() (jsondoc.Value, error) {
	doc, err := jsondoc.Parse(c.w.Doc, jsondoc.Limits{Bytes: len(c.w.Doc) + 1})
	if err != nil {
		return jsondoc.Value{}, c.s.fail(fault.Invalid, c.op, "the document is no JSON: %s", err)
	}
	if doc.Root().Kind() != jsondoc.Object {
		return jsondoc.Value{}, c.s.fail(fault.Invalid, c.op, "the document is no object")
	}
	return doc.Root(), nil
}

// apart tells what of a document is not written with the record's own fields.
func (b *bound) apart(name string) bool {
	return name == b.External || b.Steps != nil && name == b.Steps.Field || b.Items[name] != nil
}

func (c *change) create(ctx context.Context) (connector.Result, error) {
	doc, err := c.document()
	if err != nil {
		return connector.Result{}, err
	}
	v, err := c.s.values(ctx, c.b.list, doc, c.op, c.b.apart)
	if err != nil {
		return connector.Result{}, err
	}
	if _, _, err := c.b.wanted(doc); err != nil { // before something is made that no step leads on from
		return connector.Result{}, err
	}
	external := ""
	if c.b.external != nil && c.w.External != "" {
		external = c.w.External
		v[c.b.External] = string(quote(c.b.ExternalForm.Write(external)))
	}
	if err := c.s.fill(ctx, c.b, c.b.list, v, nil, c.op); err != nil {
		return connector.Result{}, err
	}
	for _, l := range c.b.items {
		given := doc.Get(l.name)
		if !given.Exists() {
			continue
		}
		if given.Kind() != jsondoc.Array {
			return connector.Result{}, &placed{l.name, expected("a list of records", given)}
		}
		var made []string
		for i, e := range elements(given) {
			one, err := c.item(ctx, l, e, v)
			if err != nil {
				return connector.Result{}, inside(fmt.Sprintf("%s.%d", l.name, i), err)
			}
			made = append(made, one.json())
		}
		v[l.name] = `[["create",[` + strings.Join(made, ",") + `]]]`
	}
	made := &creation{Place: gather.At(ctx), b: c.b, op: c.op, values: v.json(), external: external}
	err, begun := c.s.queue.Make(made)
	if !begun {
		return connector.Result{}, &fault.Error{Kind: fault.Unavailable, System: c.s.name, Op: c.op, Err: fmt.Errorf("waiting for the system's limit: %w", ctx.Err())}
	}
	if err != nil {
		return connector.Result{}, err
	}
	local := strconv.FormatInt(made.id, 10)
	if c.b.Steps == nil {
		return connector.Result{Local: local}, nil
	}
	res, err := c.walk(ctx, local, doc, nil)
	if err != nil {
		return connector.Result{}, c.halfMade(err, local)
	}
	return res, nil
}

// halfMade is the failure of a step after its object was made: the object is there, whatever failed then, so that it is to be looked up, and moved on.
func (c *change) halfMade(err error, local string) error {
	f := c.s.fail(fault.UnknownOutcome, c.op, "%s", err)
	if g, ok := fault.As(err); ok {
		*f = *g
		f.Kind, f.Duplicate = fault.UnknownOutcome, false
	}
	f.Code = "steps" // it was answered: nothing of the create is still under way
	f.Err = fmt.Errorf("the object %s is made, and what follows is not: %w", local, f.Err)
	return f
}

// item reads one record of a list, with what Tryton fills in beside it.
func (c *change) item(ctx context.Context, l *list, e jsondoc.Value, parent values) (values, error) {
	v, err := c.s.values(ctx, l, e, c.op, func(string) bool { return false })
	if err != nil {
		return nil, err
	}
	return v, c.s.fill(ctx, c.b, l, v, parent, c.op)
}

func (c *change) update(ctx context.Context) (connector.Result, error) {
	doc, err := c.document()
	if err != nil {
		return connector.Result{}, err
	}
	if _, _, err := c.b.wanted(doc); err != nil { // before something is changed that no step leads on from
		return connector.Result{}, err
	}
	there, err := c.present(ctx)
	if err != nil {
		return connector.Result{}, err
	}
	if !c.w.Finish {
		v, err := c.differs(ctx, doc, there)
		if err != nil {
			return connector.Result{}, err
		}
		if len(v) > 0 {
			_, err = c.change(ctx, "write", []string{"[" + c.w.Local + "]", v.json()}, there)
			if err != nil {
				return connector.Result{}, err
			}
			there = nil
		}
	}
	if c.b.Steps != nil {
		return c.walk(ctx, c.w.Local, doc, there)
	}
	if there == nil {
		return connector.Result{Local: c.w.Local}, nil
	}
	r := c.s.record(c.b, there, c.op)
	return connector.Result{Local: c.w.Local, Doc: r.Doc, ETag: r.ETag}, r.Err
}

func (c *change) delete(ctx context.Context) (connector.Result, error) {
	there, err := c.present(ctx)
	if err != nil {
		return connector.Result{}, err
	}
	_, err = c.change(ctx, "delete", []string{"[" + c.w.Local + "]"}, there)
	return connector.Result{Local: c.w.Local}, err
}

// present reads the object that is to be changed.
func (c *change) present(ctx context.Context) (*item, error) {
	there, err := c.s.get(ctx, c.b, c.w.Local, c.op)
	switch {
	case err != nil:
		return nil, err
	case there == nil:
		return nil, c.s.fail(fault.NotFound, c.op, "there is no %s with the id %s", c.b.Model, httpclient.Shorten(c.w.Local, 40))
	case there.bad != nil:
		return nil, c.s.fail(fault.Invalid, c.op, "the object cannot be read: %s", there.bad.Err)
	case c.w.ETag != "" && !c.began && c.w.ETag != there.token():
		return nil, c.s.fail(fault.Conflict, c.op, "the object was changed meanwhile")
	}
	return there, nil
}

// change makes a call that changes the object, on top of what was read of it alone.
func (c *change) change(ctx context.Context, method string, params []string, there *item) (*answer, error) {
	more := ""
	if there != nil {
		more = fmt.Sprintf(`,"_timestamp":{%s:%s}`, quote(c.b.Model+","+strconv.FormatInt(there.id, 10)), quote(there.token()))
	}
	context, err := c.s.context(ctx, c.b.object, more)
	if err != nil {
		return nil, err
	}
	a, err := c.s.call(ctx, request{method: "model." + c.b.Model + "." + method, params: params, op: c.op + ": " + method, context: context})
	if err == nil {
		c.began = true
	}
	return a, err
}

// differs gives what of a document is not there yet.
func (c *change) differs(ctx context.Context, doc jsondoc.Value, there *item) (values, error) {
	now, err := c.b.document(nil, there.Value)
	switch {
	case err != nil && c.comparesItems(doc):
		return nil, err
	case err != nil: // a value there that no document can hold: an update may be what mends it
		now = []byte("{}")
	}
	have, err := jsondoc.Parse(now, jsondoc.Limits{Bytes: len(now) + 1})
	if err != nil {
		return nil, err
	}
	v, err := c.s.values(ctx, c.b.list, doc, c.op, func(name string) bool { return c.b.apart(name) || have.Root().Get(name).Equal(doc.Get(name)) })
	if err != nil {
		return nil, err
	}
	if err := c.link(ctx, c.b.list, v, doc, there.Value); err != nil {
		return nil, err
	}
	for _, l := range c.b.items {
		given := doc.Get(l.name)
		if !given.Exists() || l.OnUpdate == "none" {
			continue
		}
		commands, err := c.itemsDiffer(ctx, l, given, have.Root().Get(l.name), there)
		if err != nil {
			return nil, inside(l.name, err)
		}
		if commands != "" {
			v[l.name] = commands
		}
	}
	return v, nil
}

// comparesItems: an update changes records of a list one by one.
func (c *change) comparesItems(doc jsondoc.Value) bool {
	return slices.ContainsFunc(c.b.items, func(l *list) bool { return l.OnUpdate != "none" && doc.Get(l.name).Exists() })
}

// link makes of the lists of other records among values, which are written for a record that is not there yet, what is still to be done to one that is. Lists in
// another order are the same.
func (c *change) link(ctx context.Context, l *list, v values, doc, there jsondoc.Value) error {
	for _, name := range sortedKeys(v) {
		f := l.m.fields[name]
		if f.typ != "many2many" {
			continue
		}
		commands, err := c.linked(ctx, l, f, doc.Get(name), there)
		if err != nil {
			return inside(name, err)
		}
		if v[name] = commands; commands == "" {
			delete(v, name)
		}
	}
	return nil
}

// linked writes how a list of other records becomes another one; empty: it is that one.
func (c *change) linked(ctx context.Context, l *list, f *field, wanted, there jsondoc.Value) (string, error) {
	ids, err := c.s.takeIDs(ctx, l, f, wanted, c.op)
	if err != nil {
		return "", err
	}
	var have []string
	for _, e := range elements(there.Get(f.name)) {
		have = append(have, string(e.Raw()))
	}
	for _, e := range elements(there.Get(f.name + ".")) {
		have = append(have, string(e.Get("id").Raw()))
	}
	lacks := func(of, in []string) string {
		return strings.Join(slices.DeleteFunc(slices.Clone(of), func(id string) bool { return slices.Contains(in, id) }), ",")
	}
	add, remove := lacks(ids, have), lacks(have, ids)
	if add == "" && remove == "" {
		return "", nil
	}
	return fmt.Sprintf(`[["add",[%s]],["remove",[%s]]]`, add, remove), nil
}

// itemsDiffer writes what is to be done to a list of the object's own records.
func (c *change) itemsDiffer(ctx context.Context, l *list, given, have jsondoc.Value, there *item) (string, error) {
	if given.Kind() != jsondoc.Array {
		return "", expected("a list of records", given)
	}
	byKey := map[string]int{}
	for i, e := range elements(have) {
		k := l.keyOf(e)
		if _, twice := byKey[k]; twice {
			return "", fmt.Errorf("two records there have the key %s: which is meant, nobody can tell", httpclient.Shorten(k, 80))
		}
		byKey[k] = i
	}
	var commands, made []string
	kept := map[int]bool{}
	raw := elements(there.Get(l.name + "."))
	for i, e := range elements(given) {
		k := l.keyOf(e)
		at, is := byKey[k]
		if !is {
			one, err := c.item(ctx, l, e, c.b.parentOf(there.Value))
			if err != nil {
				return "", inside(fmt.Sprint(i), err)
			}
			made = append(made, one.json())
			continue
		}
		if kept[at] {
			return "", inside(fmt.Sprint(i), fmt.Errorf("the key %s stands in the document twice", httpclient.Shorten(k, 80)))
		}
		kept[at] = true
		before := have.Index(at)
		v, err := c.s.values(ctx, l, e, c.op, func(name string) bool { return before.Get(name).Equal(e.Get(name)) })
		if err != nil {
			return "", inside(fmt.Sprint(i), err)
		}
		if err := c.link(ctx, l, v, e, raw[at]); err != nil {
			return "", inside(fmt.Sprint(i), err)
		}
		if len(v) > 0 {
			commands = append(commands, fmt.Sprintf(`["write",[%s],%s]`, raw[at].Get("id").Raw(), v.json()))
		}
	}
	if len(made) > 0 {
		commands = append(commands, `["create",[`+strings.Join(made, ",")+`]]`)
	}
	if l.OnUpdate == "replace" {
		var gone []string
		for i, e := range raw {
			if !kept[i] {
				gone = append(gone, string(e.Get("id").Raw()))
			}
		}
		if len(gone) > 0 {
			commands = append(commands, `["delete",[`+strings.Join(gone, ",")+`]]`)
		}
	}
	if len(commands) == 0 {
		return "", nil
	}
	return "[" + strings.Join(commands, ",") + "]", nil
}

// keyOf is what tells a record of a document from the others of its object.
func (l *list) keyOf(e jsondoc.Value) string {
	var k []byte
	for i, f := range l.key {
		if i > 0 {
			k = append(k, ',')
		}
		v := e.Get(f.name)
		if !v.Exists() {
			k = append(k, "null"...)
			continue
		}
		k = jsondoc.AppendCanonical(k, v)
	}
	return string(k)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// creation is an object that is to be made, in a call with others or alone.
type creation struct {
	gather.Place
	b        *bound
	op       string
	values   string
	external string
	id       int64
	settled  bool
}

// settle answers it.
func (c *creation) settle(err error) {
	c.settled = true
	c.Answer(err)
}

// send makes the objects of a lot, and answers each.
func (s *system) send(lot []*creation) {
	ctx, cancel := gather.WhileWanted(lot)
	defer cancel()
	ctx, lost := connector.WithFences(ctx, gather.Contexts(lot))
	left := s.unmade(ctx, lot)
	s.make(ctx, left, func() bool { return lost() >= 0 })
	if lost() >= 0 { // it must not be made, and the others are
		s.queue.Again(nil, slices.DeleteFunc(slices.Clone(left), func(c *creation) bool { return c.settled }))
	}
}

// unmade leaves out what is there already: Tryton takes the same reference twice.
func (s *system) unmade(ctx context.Context, lot []*creation) []*creation {
	b := lot[0].b
	var asked []string
	for _, c := range lot {
		if c.external != "" {
			asked = append(asked, string(quote(b.ExternalForm.Write(c.external))))
		}
	}
	if len(asked) == 0 {
		return lot
	}
	op := lot[0].op + ": look whether it is there"
	context, err := s.context(ctx, b.object, "")
	var a *answer
	if err == nil {
		domain := "[" + clause(b.External, "in", "["+strings.Join(asked, ",")+"]")
		if b.active {
			domain += `,["active","in",[true,false]]`
		}
		a, err = s.call(ctx, request{method: "model." + b.Model + ".search_read", params: []string{domain + "]", "0", strconv.Itoa(len(asked) + maxFound), "null", `["id",` + string(quote(b.External)) + "]"},
			op: op, safe: true, context: context})
	}
	if err == nil && a.Kind() != jsondoc.Array { // nobody has said that they are not there
		err = s.fail(fault.Unavailable, op, "the answer holds no list")
	}
	if err != nil {
		for _, c := range lot {
			c.settle(s.own(err, c))
		}
		return nil
	}
	there := map[string]string{}
	for _, e := range elements(a.Value) {
		if u, ok := connector.ParseExternal(e.Get(b.External).Str()); ok {
			there[u] = string(e.Get("id").Raw())
		} else {
			there[e.Get(b.External).Str()] = string(e.Get("id").Raw())
		}
	}
	var left []*creation
	for _, c := range lot {
		u, ok := connector.ParseExternal(c.external)
		if !ok {
			u = c.external
		}
		if id := there[u]; id != "" && c.external != "" {
			f := s.fail(fault.Conflict, c.op, "there is an object with the external id: %s", id)
			f.Duplicate = true
			c.settle(f)
			continue
		}
		left = append(left, c)
	}
	return left
}

// make makes objects in one call. Tryton makes all or none: where it refuses, each half is made alone, until the one that is refused stands alone.
func (s *system) make(ctx context.Context, lot []*creation, stop func() bool) {
	if len(lot) == 0 {
		return
	}
	ids, err := s.makeAll(ctx, lot)
	switch kind := fault.KindOf(err); {
	case err == nil:
		for i, c := range lot {
			c.id = ids[i]
			c.settle(nil)
		}
	case stop():
		for _, c := range lot {
			if c.Ctx.Err() != nil || connector.Fence(c.Ctx) != nil {
				c.settle(s.own(err, c))
			}
		}
	case len(lot) > 1 && (kind == fault.Invalid || kind == fault.Conflict):
		s.make(ctx, lot[:len(lot)/2], stop)
		s.make(ctx, lot[len(lot)/2:], stop)
	default:
		for _, c := range lot {
			c.settle(s.own(err, c))
		}
	}
}

func (s *system) makeAll(ctx context.Context, lot []*creation) ([]int64, error) {
	context, err := s.context(ctx, lot[0].b.object, "")
	if err != nil {
		return nil, err
	}
	var records bytes.Buffer
	for i, c := range lot {
		if i > 0 {
			records.WriteByte(',')
		}
		records.WriteString(c.values)
	}
	a, err := s.call(ctx, request{method: "model." + lot[0].b.Model + ".create", params: []string{"[" + records.String() + "]"}, op: lot[0].op, creating: true, context: context})
	if err != nil {
		return nil, err
	}
	ids := make([]int64, 0, len(lot))
	for _, e := range elements(a.Value) {
		if id, ok := integer(e); ok {
			ids = append(ids, id)
		}
	}
	if len(ids) != len(lot) {
		return nil, s.fail(fault.UnknownOutcome, lot[0].op, "%d objects were to be made, and the answer names %d", len(lot), len(ids))
	}
	return ids, nil
}

// own is a failure of a call of many as one of them is told it.
func (s *system) own(err error, c *creation) error {
	f, ok := fault.As(err)
	if !ok {
		return s.fail(fault.UnknownOutcome, c.op, "%s", err)
	}
	g := *f
	return &g
}
