package edi

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// kept are the segments and elements of a document that the table does not name: each has its place, or is told.
type kept struct {
	doc  jsondoc.Value
	used map[string]bool // names of more
	done []bool          // of other
}

func newKept(doc jsondoc.Value) *kept {
	return &kept{doc: doc, used: map[string]bool{}, done: make([]bool, doc.Get("other").Len())}
}

// left tells what has found no place.
func (k *kept) left() error {
	for name := range k.doc.Get("more").Members() {
		if !k.used[name] {
			return fmt.Errorf("more.%s: no segment that is written has this place", short(name))
		}
	}
	for i, done := range k.done {
		if !done {
			return fmt.Errorf("other.%d: no segment that is written is the one behind which it stands, or in whose loop (in)", i)
		}
	}
	return nil
}

// enveloped are the tags of envelopes: within a message they would end it.
var enveloped = []string{"ISA", "IEA", "TA1", "GS", "GE", "ST", "SE", "UNA", "UNB", "UNZ", "UNG", "UNE", "UNH", "UNT"}

// others writes what stood behind a segment and is not named by the table.
func (w *composing) others(k *kept, after string) error {
	return w.kept(k, func(o jsondoc.Value) bool { return !o.Get("in").Exists() && o.Get("after").Str() == after })
}

// keptLoop writes the loops that the table does not take over, of one tag.
func (w *composing) keptLoop(it *item, k *kept) error {
	return w.kept(k, func(o jsondoc.Value) bool { return o.Get("in").Str() == it.tag })
}

func (w *composing) kept(k *kept, here func(jsondoc.Value) bool) error {
	i := -1
	for o := range k.doc.Get("other").Elements() {
		i++
		if k.done[i] || !here(o) {
			continue
		}
		k.done[i] = true
		tag := o.Get("segment").Str()
		if len(tag) < 2 || len(tag) > 3 || strings.Trim(tag, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" || o.Get("elements").Kind() != jsondoc.Array || slices.Contains(enveloped, tag) {
			return fmt.Errorf("other.%d: it needs segment, a tag that is none of envelopes, and elements, a list", i)
		}
		v := Values{Tag: tag}
		for e := range o.Get("elements").Elements() {
			one, err := anyElement(e)
			if err != nil {
				return fmt.Errorf("other.%d: %w", i, err)
			}
			v.Elements = append(v.Elements, one)
		}
		w.out = append(w.out, v)
	}
	return nil
}

// anyElement reads what appendAny writes.
func anyElement(v jsondoc.Value) ([][]string, error) {
	bad := errors.New("a data element is a text, a list of components, or a list of such lists")
	texts := func(v jsondoc.Value) ([]string, error) {
		var out []string
		for e := range v.Elements() {
			if e.Kind() != jsondoc.String {
				return nil, bad
			}
			out = append(out, e.Str())
		}
		return out, nil
	}
	switch {
	case v.Kind() == jsondoc.String:
		return [][]string{{v.Str()}}, nil
	case v.Kind() != jsondoc.Array || v.Len() == 0:
		return nil, bad
	case v.Index(0).Kind() != jsondoc.Array:
		one, err := texts(v)
		return [][]string{one}, err
	}
	var out [][]string
	for e := range v.Elements() {
		if e.Kind() != jsondoc.Array {
			return nil, bad
		}
		one, err := texts(e)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

// more writes the data elements that the table does not name.
func (w *composing) more(it *item, k *kept, v *Values, put func(e, c int, text string)) error {
	for name, val := range k.doc.Get("more").Members() {
		if k.used[name] || !it.of(name) {
			continue
		}
		k.used[name] = true
		at, comp, _ := strings.Cut(strings.TrimPrefix(name, it.after+"_"), "_")
		e, _ := strconv.Atoi(at) // of() has looked at both
		c, _ := strconv.Atoi(comp)
		if e < 1 || c > 99 {
			return fmt.Errorf("more.%s: it is no place of a data element", short(name))
		}
		one, err := anyElement(val)
		if err != nil {
			return fmt.Errorf("more.%s: %w", short(name), err)
		}
		if c > 0 {
			put(e, c, one[0][0])
			continue
		}
		if len(v.Elements) < e {
			put(e, 0, "")
		}
		if e < len(it.at) && it.at[e] != nil && it.at[e].pairs == "" && !it.at[e].repeat { // the table has the first, and these are the others
			v.Elements[e-1] = append(v.Elements[e-1], one...)
			continue
		}
		v.Elements[e-1] = one
	}
	return nil
}

// takes: a data element of a segment has its place in more.
func (k *kept) takes(it *item, e int) bool {
	more := k.doc.Get("more")
	return more.Exists() && more.Get(fmt.Sprintf("%s_%02d", it.after, e)).Exists()
}
