package edi

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// maxMember bounds the elements of one list that is written.
const maxMember = 100_000

// composing makes segments of a document.
type composing struct {
	t       *Table
	root    jsondoc.Value
	mark    byte // of decimals
	rel     int  // the release that is written
	version string
	hl      int
	out     []Values
}

// Compose gives the segments of a document in a version of its standard, without header and trailer; mark is that of decimals. A value that has no place in the table, or does
// not fit its place, is an error with its path.
func (t *Table) Compose(doc jsondoc.Value, version string, mark byte) (Body, error) {
	w := &composing{t: t, root: doc, mark: mark, version: version, rel: release(t.Standard, version)}
	if doc.Kind() != jsondoc.Object {
		return Body{}, fmt.Errorf("the document is no object (%s)", doc.Kind())
	}
	if err := w.known(doc, t.root.names, &t.root); err != nil {
		return Body{}, err
	}
	k := newKept(doc)
	if err := w.level(&t.root, doc, k, 0); err != nil {
		return Body{}, err
	}
	if err := k.left(); err != nil {
		return Body{}, err
	}
	if len(w.out) == 0 {
		return Body{}, errors.New("the document holds no value that becomes a segment")
	}
	return Body{Type: t.Message, Code: t.Code, Segments: w.out}, nil
}

// level writes the items of a level. parent is the number of the hierarchical level around it.
func (w *composing) level(l *level, doc jsondoc.Value, k *kept, parent int) error {
	if l == &w.t.root {
		if err := w.others(k, ""); err != nil {
			return err
		}
	}
	before := 0
	for i := range l.items {
		it := &l.items[i]
		if i == 0 || l.items[i-1].place != it.place {
			before = len(w.out)
		}
		if it.window.has(w.rel) {
			if err := w.item(it, l, doc, k, parent); err != nil {
				return err
			}
		}
		if last := i+1 == len(l.items) || l.items[i+1].place != it.place; last && (it.loop == nil || len(w.out) > before) {
			if err := w.others(k, it.tag); err != nil {
				return err
			}
		}
	}
	return nil
}

// known tells a member that has no place in a document.
func (w *composing) known(doc jsondoc.Value, names map[string]bool, l *level) error {
	for name := range doc.Members() {
		switch {
		case name == "edi" && doc == w.root:
		case !names[name]:
			return fmt.Errorf("%q has no place in the table %s", short(name), w.t.Name)
		case l != nil && name != "edi" && name != "more" && name != "other" && !l.has(name, w.rel):
			return fmt.Errorf("%q has no place in the version %s of the message, in which the standard has it otherwise (table %s)", short(name), short(w.version), w.t.Name)
		}
	}
	return nil
}

// has: a document of the level has a member of the name in a release.
func (l *level) has(name string, rel int) bool {
	return slices.ContainsFunc(l.items, func(it item) bool {
		return it.keeps == nil && it.gives(name) && it.window.has(rel) && (it.loop == nil || it.list+it.object != "" || it.loop.has(name, rel))
	})
}

func (w *composing) item(it *item, l *level, doc jsondoc.Value, k *kept, parent int) error {
	switch {
	case it.keeps != nil:
		return w.keptLoop(it, k)
	case it.list != "":
		v := doc.Get(it.list)
		if !v.Exists() {
			if it.required {
				return fmt.Errorf("%s: it must be there", it.list)
			}
			return nil
		}
		if v.Kind() != jsondoc.Array || v.Len() > it.max || v.Len() > maxMember {
			return fmt.Errorf("%s: it must be a list of at most %d", it.list, min(it.max, maxMember))
		}
		i := 0
		for e := range v.Elements() {
			if err := w.own(it, e, parent); err != nil {
				return fmt.Errorf("%s.%d: %w", it.list, i, err)
			}
			i++
		}
		if i == 0 && it.required {
			return fmt.Errorf("%s: it is empty", it.list)
		}
		return nil
	case it.object != "":
		v := doc.Get(it.object)
		if !v.Exists() {
			if it.required {
				return fmt.Errorf("%s: it must be there", it.object)
			}
			return nil
		}
		if err := w.own(it, v, parent); err != nil {
			return fmt.Errorf("%s: %w", it.object, err)
		}
		return nil
	}
	if !w.present(it, doc, k) {
		return nil
	}
	if it.loop != nil {
		return w.loop(it, doc, k, parent)
	}
	return w.segment(it, doc, k, parent, 0, nil)
}

// own writes an item whose values are a document of their own.
func (w *composing) own(it *item, v jsondoc.Value, parent int) error {
	if v.Kind() != jsondoc.Object {
		return fmt.Errorf("it is no object (%s)", v.Kind())
	}
	if err := w.known(v, it.names, it.loop); err != nil {
		return err
	}
	k := newKept(v)
	var err error
	if it.loop != nil {
		err = w.loop(it, v, k, parent)
	} else {
		err = w.segment(it, v, k, parent, 0, nil)
	}
	if err != nil {
		return err
	}
	return k.left()
}

func (w *composing) loop(it *item, v jsondoc.Value, k *kept, parent int) error {
	head := &it.loop.items[0]
	number := 0
	if head.hierarchical() {
		w.hl++
		number = w.hl
	}
	if err := w.segment(head, v, k, parent, number, it.loop); err != nil {
		return err
	}
	if err := w.others(k, head.tag); err != nil {
		return err
	}
	if number == 0 {
		number = parent
	}
	rest := level{items: it.loop.items[1:], names: it.loop.names}
	return w.level(&rest, v, k, number)
}

func (it *item) hierarchical() bool {
	for _, e := range it.elements {
		if e.simple != nil && e.simple.auto == "hl-id" {
			return true
		}
	}
	return false
}

// present: the document holds something of an item that has no document of its own.
func (w *composing) present(it *item, doc jsondoc.Value, k *kept) bool {
	if it.required {
		return true
	}
	for name := range it.names {
		if name != "more" && name != "other" && name != "edi" && doc.Get(name).Exists() {
			return true
		}
	}
	for name := range k.doc.Get("more").Members() {
		if strings.HasPrefix(name, it.after+"_") && it.loop == nil && it.of(name) {
			return true
		}
	}
	return false
}

// of: the name in more is one of the item's.
func (it *item) of(name string) bool {
	rest, ok := strings.CutPrefix(name, it.after+"_")
	e, comp, dotted := strings.Cut(rest, "_")
	_, err := strconv.Atoi(comp)
	return ok && len(e) == 2 && strings.Trim(e, "0123456789") == "" && (!dotted || err == nil)
}

// segment writes one. number and below are those of a hierarchical level.
func (w *composing) segment(it *item, doc jsondoc.Value, k *kept, parent, number int, below *level) error {
	v := Values{Tag: it.tag}
	put := func(e, c int, text string) {
		for len(v.Elements) < e {
			v.Elements = append(v.Elements, [][]string{{""}})
		}
		one := v.Elements[e-1]
		for len(one[0]) < max(c, 1) {
			one[0] = append(one[0], "")
		}
		one[0][max(c, 1)-1] = text
	}
	for _, cond := range it.when {
		if len(cond.values) == 1 {
			put(cond.element, cond.component, cond.values[0])
		}
	}
	for _, e := range it.order {
		el := it.elements[e]
		switch {
		case el.pairs != "":
			at := e
			for name, val := range doc.Get(el.pairs).Members() {
				for k.takes(it, at) || k.takes(it, at+1) { // kept ones have their place
					at += 2
				}
				if val.Kind() != jsondoc.String || name == "" || at >= e+2*el.most {
					return fmt.Errorf("%s: it must be an object of at most %d texts", el.pairs, el.most)
				}
				put(at, 0, name)
				put(at+1, 0, val.Str())
				at += 2
			}
		case el.simple != nil && el.repeat:
			list := doc.Get(el.simple.name)
			if list.Exists() && list.Kind() != jsondoc.Array {
				return fmt.Errorf("%s: it must be a list", el.simple.name)
			}
			var repeats [][]string
			for one := range list.Elements() {
				text, _, err := w.text(el.simple, one)
				if err != nil {
					return fmt.Errorf("%s: %w", el.simple.name, err)
				}
				repeats = append(repeats, []string{text})
			}
			if len(repeats) > 0 {
				put(e, 0, "")
				v.Elements[e-1] = repeats
			}
		case el.simple != nil:
			text, _, err := w.value(el.simple, doc, parent, number, below)
			if err != nil {
				return err
			}
			if text != "" {
				put(e, 0, text)
			}
		default:
			for c := 1; c <= el.last; c++ {
				val := el.parts[c]
				if val == nil || val.name == "" && val.format != "" {
					continue
				}
				text, form, err := w.value(val, doc, parent, number, below)
				if err != nil {
					return err
				}
				if text == "" {
					continue
				}
				put(e, c, text)
				if val.dated > 0 && form != "" {
					put(e, val.dated, form)
				}
			}
		}
	}
	if err := w.more(it, k, &v, put); err != nil {
		return err
	}
	v.trim()
	if len(v.Elements) == 0 && !it.required {
		return nil
	}
	w.out = append(w.out, v)
	return nil
}
