package rest

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// posted is the Dialect of services that are told in a POST's JSON body what is asked of them, such as those that speak JSON-RPC, or search by a document. Operations
// without a body of their own go as they always do.
type posted struct{}

// Put makes the POST of an operation that has a body: the parameters of a list or a look-up stand at their paths in it, and so does the document of a change.
func (posted) Put(c *Call) error {
	op := c.operation()
	changes := c.Action == ActCreate || c.Action == ActUpdate
	if op.body == nil {
		if ws := c.writes(); ws != nil && ws.Wrap != "" {
			c.Body = wrapped(ws.Wrap, c.Body)
		}
		return nil
	}
	doc, err := jsondoc.Parse(op.body, jsondoc.Limits{})
	if err != nil {
		return err
	}
	body := fill(nil, doc.Root(), places{id: c.ID, number: c.o.IDType == "number", etag: c.ETag, tagged: c.o.ETag == etagPlaced})
	for _, p := range c.Query {
		value := []byte(p.Value)
		if !slices.Contains(c.Counts, p.Name) {
			value = jsondoc.AppendString(nil, p.Value)
		}
		if body, err = placed(body, p.Name, value); err != nil {
			return fmt.Errorf("parameter %s: %w", p.Name, err)
		}
	}
	if changes {
		if body, err = beside(body, c.writes().Wrap, c.Body); err != nil {
			return fmt.Errorf("the document at %s: %w", c.writes().Wrap, err)
		}
	}
	c.Method, c.Query, c.Body, c.ContentType = http.MethodPost, nil, body, "application/json"
	return nil
}

// writes are the settings of a call that brings a document; nil: it brings none.
func (c *Call) writes() *writeSettings {
	switch c.Action {
	case ActCreate:
		return &c.o.Create
	case ActUpdate:
		return &c.o.Update.writeSettings
	}
	return nil
}

// Read: the answer is JSON as it is.
func (posted) Read(*Call, *httpclient.Response) error { return nil }

// Refused: what settings and the usual forms of a refusal say is enough.
func (posted) Refused(*Call, *httpclient.Response, jsondoc.Value, bool) *Refusal { return nil }

// Wrong: types are JSON's.
func (posted) Wrong(string, jsondoc.Value) error { return nil }

// None: null stands for an object that there is not, and so does the end of a list that should hold it.
func (posted) None(root jsondoc.Value, path string) bool {
	return at(root, path).Kind() == jsondoc.Null || pastEnd(root, path)
}

// pastEnd reports whether a path ends in an element of a list that is there, and empty: a search that has found nothing.
func pastEnd(root jsondoc.Value, path string) bool {
	dot := strings.LastIndexByte(path, '.')
	list, step := root, path
	if dot >= 0 {
		list, step = at(root, path[:dot]), path[dot+1:]
	}
	_, err := strconv.Atoi(step)
	return err == nil && list.Kind() == jsondoc.Array && list.Len() == 0
}

// Probe asks for the base URL: any answer will do.
func (posted) Probe() httpclient.Request {
	return httpclient.Request{Method: http.MethodGet, Safe: true}
}

// beside puts a document at a dotted path of a body, over what the body holds there for every document, such as the object's id; a list goes behind the list that is there.
func beside(body []byte, path string, doc []byte) ([]byte, error) {
	d, err := jsondoc.Parse(body, jsondoc.Limits{})
	if err != nil {
		return nil, err
	}
	always := at(d.Root(), path)
	own, err := jsondoc.Parse(doc, jsondoc.Limits{})
	if err != nil {
		return nil, err
	}
	switch {
	case always.Kind() == jsondoc.Array && own.Root().Kind() == jsondoc.Array:
		list := []byte{'['}
		for _, from := range []jsondoc.Value{always, own.Root()} {
			for e := range from.Elements() {
				if len(list) > 1 {
					list = append(list, ',')
				}
				list = append(list, e.Raw()...)
			}
		}
		doc = append(list, ']')
	case always.Kind() == jsondoc.Object && own.Root().Kind() == jsondoc.Object && always.Len() > 0:
		doc = append([]byte(nil), always.Raw()...)
		for name, v := range own.Root().Members() {
			if doc, err = setMember(doc, name, v.Raw()); err != nil {
				return nil, err
			}
		}
	}
	return placed(body, path, doc)
}

// setMember sets one member of an object, whatever its name holds.
func setMember(doc []byte, name string, value []byte) ([]byte, error) {
	d, err := jsondoc.Parse(doc, jsondoc.Limits{})
	if err != nil {
		return nil, err
	}
	return setAt(make([]byte, 0, len(doc)+len(value)+16), d.Root(), []string{name}, value)
}

// placed puts a value at a dotted path of a document. A step that is a number is an element of the list that is there, or the one behind its last; 0, where nothing is, begins a list.
func placed(doc []byte, path string, value []byte) ([]byte, error) {
	d, err := jsondoc.Parse(doc, jsondoc.Limits{})
	if err != nil {
		return nil, err
	}
	if _, err := jsondoc.Parse(value, jsondoc.Limits{}); err != nil {
		return nil, err
	}
	return setAt(make([]byte, 0, len(doc)+len(value)+16), d.Root(), strings.Split(path, "."), value)
}

func setAt(dst []byte, v jsondoc.Value, steps []string, value []byte) ([]byte, error) {
	if len(steps) == 0 {
		return append(dst, value...), nil
	}
	step, rest := steps[0], steps[1:]
	var err error
	comma := func(open byte) {
		if dst[len(dst)-1] != open {
			dst = append(dst, ',')
		}
	}
	switch v.Kind() {
	case jsondoc.Array:
		at, bad := strconv.Atoi(step)
		if bad != nil || at < 0 || at > v.Len() {
			return nil, fmt.Errorf("the list there has %d elements, and %q is none of them, nor the next one", v.Len(), step)
		}
		dst = append(dst, '[')
		i := 0
		for e := range v.Elements() {
			if i > 0 {
				dst = append(dst, ',')
			}
			if i == at {
				if dst, err = setAt(dst, e, rest, value); err != nil {
					return nil, err
				}
			} else {
				dst = append(dst, e.Raw()...)
			}
			i++
		}
		if at == i {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = setAt(dst, jsondoc.Value{}, rest, value); err != nil {
				return nil, err
			}
		}
		return append(dst, ']'), nil
	case jsondoc.Object:
		dst = append(dst, '{')
		found := false
		for name, m := range v.Members() {
			comma('{')
			dst = append(jsondoc.AppendString(dst, name), ':')
			if name != step {
				dst = append(dst, m.Raw()...)
				continue
			}
			found = true
			if dst, err = setAt(dst, m, rest, value); err != nil {
				return nil, err
			}
		}
		if !found {
			comma('{')
			if dst, err = setAt(append(jsondoc.AppendString(dst, step), ':'), jsondoc.Value{}, rest, value); err != nil {
				return nil, err
			}
		}
		return append(dst, '}'), nil
	case jsondoc.Missing, jsondoc.Null:
		if step == "0" { // a list that begins
			if dst, err = setAt(append(dst, '['), jsondoc.Value{}, rest, value); err != nil {
				return nil, err
			}
			return append(dst, ']'), nil
		}
		dst = append(jsondoc.AppendString(append(dst, '{'), step), ':')
		if dst, err = setAt(dst, jsondoc.Value{}, rest, value); err != nil {
			return nil, err
		}
		return append(dst, '}'), nil
	}
	return nil, fmt.Errorf("%q would stand inside %s", step, v.Kind())
}

// wrapped puts a document under a name.
func wrapped(name string, body []byte) []byte {
	return append(append(append(jsondoc.AppendString([]byte{'{'}, name), ':'), body...), '}')
}

// checkPosted reads the bodies of an object type's operations, and looks for what means nothing with them. It reports whether there is any.
func (o *object) checkPosted(n strictyaml.Node, p *strictyaml.Problems) (any bool) {
	list := n.Get("list")
	bodies := func(at strictyaml.Node, op *operation) bool {
		if !at.Has("body") {
			return false
		}
		any = true
		switch at.Get("body").Kind() {
		case strictyaml.Map, strictyaml.List:
			op.body, _ = op.Body.AppendJSON(nil, p)
		default:
			p.AddHint(at.Get("body").Pos(), "write what the body holds whatever is asked, for example {fields: [id, name]}, or {}", "body: this is neither a mapping nor a list")
		}
		return true
	}
	if bodies(list, &o.List.operation) {
		if style := o.List.Paging.Style; style == "next-url" || style == "link" {
			p.AddHint(list.Get("paging").Get("style").Pos(), "write offset, page, cursor or key", "style: %s means nothing where the list is asked for by a body", style)
		}
		if list.Has("conditional") {
			p.Add(list.KeyPos("conditional"), "conditional means nothing where the list is asked for by a body")
		}
	}
	if o.List.IDs != nil {
		bodies(list.Get("ids"), &o.List.IDs.operation)
	}
	if !bodies(n.Get("find"), &o.Find.operation) {
		o.Find.operation.body = o.List.operation.body
	}
	for _, w := range []struct {
		key string
		op  *operation
		ws  *writeSettings
	}{{"get", &o.Get.operation, nil}, {"create", &o.Create.operation, &o.Create}, {"update", &o.Update.operation, &o.Update.writeSettings}, {"delete", &o.Delete.operation, nil}} {
		at := n.Get(w.key)
		if !bodies(at, w.op) {
			continue
		}
		if at.Has("method") {
			p.AddHint(at.KeyPos("method"), "remove it: what has a body is a POST", "%s: method means nothing with body", w.key)
		}
		if w.ws == nil {
			continue
		}
		if w.ws.Wrap == "" {
			p.AddHint(at.Get("body").Pos(), "add wrap: the dotted path at which the document stands in the body", "%s: where the document stands in the body is not said", w.key)
		}
		if w.ws.Bulk != nil {
			p.Add(at.KeyPos("bulk"), "%s: bulk means nothing with body", w.key)
		}
		if w.key == "update" && o.Update.Style == "put" {
			p.AddHint(at.Get("style").Pos(), "remove it", "style: put means nothing with body")
		}
	}
	if o.Get.operation.body != nil || o.Delete.operation.body != nil || o.Update.operation.body != nil {
		for _, one := range []struct {
			key  string
			path *string
			op   *operation
		}{{"get", &o.Get.Path, &o.Get.operation}, {"update", &o.Update.Path, &o.Update.operation}, {"delete", &o.Delete.Path, &o.Delete.operation}} {
			if one.op.body != nil && !n.Get(one.key).Has("path") {
				*one.path = o.Path
			}
		}
	}
	return any
}
