package odata

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/gather"
	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// change is one change of an object: one call, or the object's own and those of its lines.
type change struct {
	gather.Place
	s        *system
	b        *bound
	op       string
	calls    []call
	creating bool
	local    string // of an update or a delete
	// key is the key that the document of a create brings; nil: the service gives it.
	key *key
	// external is the external id that a create writes; empty: none.
	external string
	// id is that of the first call inside its batch, and failed the call that was refused.
	id, failed int
	// retried: the object's token was read because the service wanted one. bare: the change goes without If-Match: *.
	retried, bare bool

	res connector.Result
}

// call is one request of a change.
type call struct {
	method, path string // below the service, escaped
	body         []byte
	match        string // If-Match
	none         bool   // If-None-Match: *
	line         bool   // it is about a line
}

// Write makes one change.
func (s *system) Write(ctx context.Context, w connector.Write) (connector.Result, error) {
	op := string(w.Action) + " " + w.Object
	b, err := s.bound(ctx, w.Object, op)
	if err != nil {
		return connector.Result{}, err
	}
	c := &change{Place: gather.At(ctx), s: s, b: b, op: op, local: w.Local, creating: w.Action == connector.Create}
	switch w.Action {
	case connector.Create:
		err = c.create(ctx, &w)
	case connector.Update:
		err = c.update(ctx, &w)
	case connector.Delete:
		err = c.delete(&w)
	default:
		err = s.fail(fault.Invalid, op, "unknown action")
	}
	switch {
	case err != nil:
		return connector.Result{}, err
	case len(c.calls) == 0:
		return c.unchanged(ctx)
	case s.together(c):
		return s.gathered(c)
	}
	return c.alone(ctx)
}

// document parses the document of a write.
func (c *change) document(w *connector.Write) (jsondoc.Value, error) {
	doc, err := jsondoc.Parse(w.Doc, jsondoc.Limits{Bytes: len(w.Doc) + 1})
	if err != nil {
		return jsondoc.Value{}, c.s.fail(fault.Invalid, c.op, "the document is no JSON: %s", err)
	}
	return doc.Root(), nil
}

func (b *bound) writer() writer { return writer{m: b.m, asText: b.Numbers == "text"} }

func (c *change) create(ctx context.Context, w *connector.Write) error {
	doc, err := c.document(w)
	if err != nil {
		return err
	}
	external := c.b.external != nil && w.External != ""
	upsert := c.b.Create == "upsert"
	if k, err := c.b.keyIn(doc); err == nil {
		c.key = &k
	} else if upsert {
		return c.s.refuse(c.op, fmt.Errorf("create: upsert needs the whole key in the document: %w", err))
	}
	body, err := c.b.writer().object(nil, doc, c.b.typ, func(name string) bool {
		return external && name == c.b.External || upsert && c.b.isKey(name) || c.b.link(name) != nil
	})
	if err == nil {
		body, err = c.b.linked(body, doc)
	}
	if err != nil {
		return c.s.refuse(c.op, err)
	}
	if external {
		c.external = w.External
		body = member(body, c.b.External, jsondoc.AppendString(nil, c.b.ExternalForm.Write(w.External)))
	}
	if !upsert {
		c.calls = []call{{method: http.MethodPost, path: c.b.set.name, body: body}}
		return nil
	}
	path, err := c.b.path(c.key.local())
	if err != nil {
		return c.s.refuse(c.op, err)
	}
	// Not every service heeds If-None-Match where an entity has no token (SAP CAP 10 writes over it), so it is looked first.
	there, err := c.s.get(ctx, c.b, c.key.local(), c.op)
	switch {
	case err != nil:
		return err
	case there != nil:
		return c.duplicate("there is an object with the key %s", c.key.local())
	}
	c.calls = []call{{method: http.MethodPatch, path: path, body: body, none: true}}
	return nil
}

func (b *bound) isKey(name string) bool {
	return slices.ContainsFunc(b.keys, func(p *property) bool { return p.name == name })
}

func (c *change) duplicate(format string, args ...any) error {
	f := c.s.fail(fault.Conflict, c.op, format, args...)
	f.Duplicate = true
	return f
}

func (c *change) update(ctx context.Context, w *connector.Write) error {
	path, err := c.b.path(w.Local)
	if err != nil {
		return c.s.fail(fault.NotFound, c.op, "no object can have this id: %s", err)
	}
	doc, err := c.document(w)
	if err != nil {
		return err
	}
	apart := map[string]bool{}
	for _, it := range c.b.items {
		apart[it.nav.name] = it.OnUpdate != "deep"
	}
	body, err := c.b.writer().object(nil, doc, c.b.typ, func(name string) bool { return c.b.isKey(name) || apart[name] || c.b.link(name) != nil })
	if err == nil {
		body, err = c.b.linked(body, doc)
	}
	if err != nil {
		return c.s.refuse(c.op, err)
	}
	if len(body) > len("{}") {
		c.calls = append(c.calls, call{method: c.b.updates(), path: path, body: body, match: c.b.guard(w.ETag)})
	}
	lines, err := c.lines(ctx, w, doc, path)
	c.calls = append(c.calls, lines...)
	return err
}

// updates is the method of updates.
func (b *bound) updates() string {
	switch {
	case b.Update == "merge", b.Update == "" && b.m.version == 2:
		return "MERGE"
	}
	return http.MethodPatch
}

// guard is the If-Match of an update. A PATCH makes what it does not find, in V4 and in adapters that give V4 the face of V2, unless it is told that
// something must be there.
func (b *bound) guard(etag string) string {
	if etag == "" && !b.unguarded.Load() {
		return "*"
	}
	return etag
}

func (c *change) delete(w *connector.Write) error {
	path, err := c.b.path(w.Local)
	if err != nil {
		return c.s.fail(fault.NotFound, c.op, "no object can have this id: %s", err)
	}
	c.calls = []call{{method: http.MethodDelete, path: path, match: w.ETag}}
	return nil
}

// unchanged is the result of a change that leaves everything as it is.
func (c *change) unchanged(ctx context.Context) (connector.Result, error) {
	it, err := c.s.get(ctx, c.b, c.local, c.op)
	if err != nil {
		return connector.Result{}, err
	}
	if it == nil {
		return connector.Result{}, c.s.fail(fault.NotFound, c.op, "the object is gone")
	}
	r := c.s.record(c.b, it, c.op)
	return connector.Result{Local: c.local, Doc: r.Doc, ETag: r.ETag}, r.Err
}

// alone makes the change in a request, or requests, of its own.
func (c *change) alone(ctx context.Context) (connector.Result, error) {
	resp, err := c.perform(ctx)
	if err != nil {
		return c.settle(ctx, resp, err)
	}
	return c.result(resp)
}

// perform gives the answer to the object's own call, or the one that failed.
func (c *change) perform(ctx context.Context) (*httpclient.Response, error) {
	if len(c.calls) > 1 && c.s.set.Batch.Format != "none" {
		return c.s.asWhole(ctx, c)
	}
	var own *httpclient.Response
	for i, one := range c.calls {
		r := c.request(one)
		r.Path = c.b.svc.at(one.path)
		resp, err := c.s.do(ctx, c.b.svc, c.b.m, r)
		if err != nil {
			c.failed = i
			return resp, c.partly(i, err)
		}
		if i == 0 {
			own = resp
		}
	}
	return own, nil
}

// partly says of a failure that some of the change is made.
func (c *change) partly(made int, err error) error {
	f, ok := fault.As(err)
	if made == 0 || !ok {
		return err
	}
	g := *f
	switch g.Err = fmt.Errorf("%w (%d of %d requests of the change are done)", f.Err, made, len(c.calls)); f.Kind {
	case fault.Unavailable, fault.RateLimited, fault.Auth: // which would say that nothing is
		g.Kind = fault.UnknownOutcome
	}
	return &g
}

// request makes the request of a call; its path is below the service.
func (c *change) request(one call) httpclient.Request {
	h := c.b.accept()
	if one.match != "" {
		h.Set("If-Match", one.match)
	}
	if one.none {
		h.Set("If-None-Match", "*")
	}
	return httpclient.Request{Method: one.method, Path: one.path, Body: one.body, ContentType: c.b.form(), Header: h, Op: c.op,
		Judge: (&judge{s: c.s, creating: c.creating && !one.line, line: one.line}).answer}
}

// settle looks before it believes a failure: whether the object is there that could not be made, and gone that could not be changed.
func (c *change) settle(ctx context.Context, resp *httpclient.Response, err error) (connector.Result, error) {
	f, ok := fault.As(err)
	if resp == nil || !ok {
		return connector.Result{}, err
	}
	if resp.Status == http.StatusBadRequest && c.b.m.version == 2 && !c.bare && c.unguard() {
		// Some services of V2 refuse the sign where an entity has no token.
		res, again := c.alone(ctx)
		if again == nil {
			c.b.unguarded.Store(true)
		}
		return res, again
	}
	if c.calls[c.failed].line {
		return connector.Result{}, err
	}
	switch {
	case c.creating && (f.Kind == fault.Invalid && resp.Status == http.StatusBadRequest || f.Kind == fault.UnknownOutcome && resp.Status >= 500):
		// A key that is taken is a bare 500 in some services.
		if local := c.taken(ctx); local != "" {
			g := *f
			g.Kind, g.Duplicate, g.Err = fault.Conflict, true, fmt.Errorf("there is such an object, %s: %w", local, f.Err)
			return connector.Result{}, &g
		}
	case resp.Status == http.StatusPreconditionRequired && !c.creating && !c.retried:
		c.retried = true
		there, bad := c.s.get(ctx, c.b, c.local, c.op)
		switch {
		case bad != nil:
			return connector.Result{}, bad
		case there == nil:
			return connector.Result{}, c.s.fail(fault.NotFound, c.op, "the object is gone")
		case there.token() != "":
			c.calls[c.failed].match = there.token()
			return c.alone(ctx)
		}
	case resp.Status == http.StatusPreconditionFailed && !c.creating && f.Kind == fault.Conflict:
		if there, bad := c.s.get(ctx, c.b, c.local, c.op); bad == nil && there == nil {
			return connector.Result{}, c.s.fail(fault.NotFound, c.op, "the object is gone")
		}
	}
	return connector.Result{}, err
}

// unguard takes If-Match: * off the change's calls; false: there was none.
func (c *change) unguard() (any bool) {
	c.bare = true
	for i := range c.calls {
		if c.calls[i].match == "*" {
			c.calls[i].match, any = "", true
		}
	}
	return any
}

// taken gives the id of the object that has the key, or else the external id, of a create; "": there is none, or it cannot be told.
func (c *change) taken(ctx context.Context) string {
	if c.key != nil {
		if there, err := c.s.get(ctx, c.b, c.key.local(), c.op); err == nil && there != nil {
			return c.key.local()
		}
	}
	if c.external == "" {
		return ""
	}
	found, err := c.s.byExternal(ctx, c.b, &connector.Lookup{External: c.external}, c.op)
	if err != nil || len(found) == 0 {
		return ""
	}
	return found[0].Local
}

// result reads what the object's own call was answered.
func (c *change) result(resp *httpclient.Response) (connector.Result, error) {
	res := connector.Result{Local: c.local}
	if resp == nil {
		return res, nil
	}
	res.Status, res.Answer = strconv.Itoa(resp.Status), c.s.client.Answer(resp)
	if c.calls[0].line || c.calls[0].method == http.MethodDelete {
		return res, nil
	}
	res.ETag = resp.Header.Get("ETag")
	if root, err := resp.JSON(); err == nil {
		it := &item{Value: c.b.m.inner(root), etag: res.ETag}
		if k, err := c.b.keyIn(it.Value); err == nil {
			res.ETag = it.token()
			if c.creating {
				res.Local = k.local()
			}
			if c.b.wholeIn(it) {
				r := c.s.record(c.b, it, c.op)
				if r.Err == nil {
					res.Doc = r.Doc
				}
			}
		}
	}
	if len(c.calls) > 1 {
		res.Doc = nil // it says nothing of lines that were changed after it
	}
	for _, address := range []string{resp.Header.Get("OData-EntityId"), resp.Header.Get("Location")} {
		if k, ok := c.b.m.keyAt(c.b.keys, address); ok && res.Local == "" {
			res.Local = k.local()
		}
	}
	if res.Local == "" && c.key != nil {
		res.Local = c.key.local()
	}
	if res.Local == "" {
		f := c.s.fail(fault.UnknownOutcome, c.op, "the answer neither holds the key of the new object nor names its place: %s", c.s.client.Text(resp))
		f.Code = res.Status
		return connector.Result{}, f
	}
	return res, nil
}

// wholeIn reports whether an answer to a write holds all that a read would.
func (b *bound) wholeIn(it *item) bool {
	if len(b.Select) > 0 {
		return false
	}
	names := slices.Clone(b.Expand)
	for _, its := range b.items {
		names = append(names, its.nav.name)
	}
	for _, name := range names {
		name = expanded(name)
		if v := it.Get(name); v.Kind() == jsondoc.Missing || deferred(v) || next(it.Value, name, v) {
			return false
		}
	}
	return true
}

// expanded is the navigation property that an element of expand begins with: to_Item of to_Item/to_Text and of to_Item($top=1).
func expanded(element string) string {
	name, _, _ := strings.Cut(element, "(")
	name, _, _ = strings.Cut(name, "/")
	return name
}
