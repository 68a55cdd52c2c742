package odata

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// lines gives the calls for the lines of an update's document, which are compared with those that are there: V2 knows no update of an object with its lines,
// and V4's removes every line that it is not told of.
func (c *change) lines(ctx context.Context, w *connector.Write, doc jsondoc.Value, path string) ([]call, error) {
	var out []call
	var there *item
	for _, it := range c.b.items {
		list := doc.Get(it.nav.name)
		if it.OnUpdate == "deep" || list.Kind() == jsondoc.Missing {
			continue
		}
		if list.Kind() != jsondoc.Array && list.Kind() != jsondoc.Null {
			return nil, c.s.refuse(c.op, inside(it.nav.name, fmt.Errorf("is no list (%s)", list.Kind())))
		}
		if there == nil {
			var err error
			if there, err = c.present(ctx, w); err != nil {
				return nil, err
			}
		}
		calls, err := c.compare(it, there, list, path)
		if err != nil {
			return nil, c.s.refuse(c.op, inside(it.nav.name, err))
		}
		out = append(out, calls...)
	}
	return out, nil
}

// present reads the object as it is.
func (c *change) present(ctx context.Context, w *connector.Write) (*item, error) {
	there, err := c.s.get(ctx, c.b, w.Local, c.op)
	switch {
	case err != nil:
		return nil, err
	case there == nil:
		return nil, c.s.fail(fault.NotFound, c.op, "the object is gone")
	case w.ETag != "" && there.token() != "" && there.token() != w.ETag:
		return nil, c.s.fail(fault.Conflict, c.op, "the object has changed meanwhile")
	}
	return there, nil
}

// line is a line that is there.
type line struct {
	item
	named bool // the document has it
}

// compare gives the calls that make the lines what the document says: removals first, as a line may take the place of another.
func (c *change) compare(it *boundItems, there *item, list jsondoc.Value, path string) ([]call, error) {
	present, order, err := c.b.linesOf(it, there)
	if err != nil {
		return nil, err
	}
	var gone, others []call
	seen := map[string]bool{}
	for i := range list.Len() {
		want := list.Index(i)
		name, err := c.b.lineName(it, want)
		if err != nil {
			return nil, inside(fmt.Sprint(i), err)
		}
		if seen[name] {
			return nil, inside(fmt.Sprint(i), fmt.Errorf("stands here twice, with %s", name))
		}
		seen[name] = true
		one := present[name]
		if one != nil {
			one.named = true
		}
		made, err := c.line(it, one, want, path)
		if err != nil {
			return nil, inside(fmt.Sprint(i), err)
		}
		others = append(others, made...)
	}
	for _, name := range order {
		if one := present[name]; it.OnUpdate == "replace" && !one.named {
			at, err := c.b.linePath(it, one.Value, path)
			if err != nil {
				return nil, err
			}
			gone = append(gone, call{method: http.MethodDelete, path: at, match: c.b.guard(one.token()), line: true})
		}
	}
	return append(gone, others...), nil
}

// linesOf gives the lines that are there, by what tells them apart, and in their order.
func (b *bound) linesOf(it *boundItems, there *item) (map[string]*line, []string, error) {
	list, apart := there.lists[it.nav.name]
	if !apart {
		elements := b.m.elements(there.Get(it.nav.name))
		if elements.Kind() != jsondoc.Array {
			return nil, nil, errors.New("the service does not show the lines with the object")
		}
		for e := range elements.Elements() {
			list = append(list, e)
		}
	}
	present := map[string]*line{}
	var order []string
	for _, v := range list {
		name, err := b.lineName(it, v)
		if err != nil {
			return nil, nil, err
		}
		if present[name] != nil {
			return nil, nil, fmt.Errorf("two lines that are there have %s: set key", name)
		}
		present[name] = &line{item: item{Value: v}}
		order = append(order, name)
	}
	return present, order, nil
}

// lineName is what tells a line from the others of its object. Numbers in texts are the same whatever zeros stand before them: SAP shows 10 as 000010.
func (b *bound) lineName(it *boundItems, v jsondoc.Value) (string, error) {
	parts := make([]string, len(it.own))
	for i, p := range it.own {
		text, err := b.m.text(p, v.Get(p.name))
		if err != nil {
			return "", err
		}
		if text == "" {
			return "", fmt.Errorf("%s is missing, by which lines are told apart", p.name)
		}
		if p.kind == stringType && p.length > 0 && strings.Trim(text, "0123456789") == "" {
			text = strings.TrimLeft(text[:len(text)-1], "0") + text[len(text)-1:]
		}
		parts[i] = p.name + " " + quoted(text)
	}
	return strings.Join(parts, ", "), nil
}

// line gives the call that makes one line what the document says; none where it is that.
func (c *change) line(it *boundItems, there *line, want jsondoc.Value, path string) ([]call, error) {
	w := c.b.writer()
	if there == nil {
		body, err := w.object(nil, want, it.typ, nil)
		if err != nil {
			return nil, err
		}
		return []call{{method: http.MethodPost, path: path + "/" + it.nav.name, body: body, line: true}}, nil
	}
	var bad error
	body, err := w.object(nil, want, it.typ, func(name string) bool {
		p := it.typ.property(name)
		if p == nil {
			return false
		}
		same, err := w.same(p, there.Get(name), want.Get(name))
		if err != nil {
			bad = inside(name, err)
		}
		return same || it.isKey(name)
	})
	if bad != nil {
		return nil, bad
	}
	if err != nil || len(body) == len("{}") {
		return nil, err
	}
	at, err := c.b.linePath(it, there.Value, path)
	if err != nil {
		return nil, err
	}
	return []call{{method: c.b.updates(), path: at, body: body, match: c.b.guard(there.token()), line: true}}, nil
}

func (it *boundItems) isKey(name string) bool {
	for _, p := range it.keys {
		if p.name == name {
			return true
		}
	}
	return false
}

// same reports whether a value of the service and one of a document are the same value.
func (w writer) same(p *property, there, want jsondoc.Value) (bool, error) {
	if !there.Exists() || !want.Exists() {
		return there.Exists() == want.Exists() && there.Kind() != jsondoc.Missing, nil
	}
	if p.collection || p.kind == complexType {
		return false, nil
	}
	if _, err := w.value(nil, p, want); err != nil {
		return false, err
	}
	has, err := w.m.text(p, there)
	if err != nil {
		return false, nil //nolint:nilerr // what cannot be read is another value
	}
	says, err := w.m.text(p, want)
	if err != nil {
		return false, err
	}
	switch p.kind {
	case integerType, int64Type, decimalType, doubleType:
		return connector.Number.Same(has, says), nil
	case instantType, clockType:
		a, bad := clock(has)
		b, worse := clock(says)
		return bad == nil && worse == nil && a.Equal(b), nil
	}
	return has == says, nil
}

// linePath is the path of a line that is there: of its own set, or by way of its object.
func (b *bound) linePath(it *boundItems, v jsondoc.Value, path string) (string, error) {
	k, err := b.m.keyIn(it.keys, v)
	if err != nil {
		return "", err
	}
	predicate, err := k.predicate()
	if err != nil {
		return "", err
	}
	if it.set != "" && !it.nav.contained {
		return it.set + predicate, nil
	}
	return path + "/" + it.nav.name + predicate, nil
}
