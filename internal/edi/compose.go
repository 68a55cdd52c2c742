package edi

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// maxMember bounds the elements of one list that is written.
const maxMember = 100_000

// fullYears is the first release of X12 whose dates have them.
const fullYears = 4010

// countWord is what a document holds in place of a number that is counted.
const countWord = "count"

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

// kept are the segments and elements of a document that the table does not name: each has its place, or is told.
type kept struct {
	doc  jsondoc.Value
	used map[string]bool // names of more
	done []bool          // of other
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
		put(e, 0, "")
		v.Elements[e-1] = one
	}
	return nil
}

// value gives the text of a value, and the format of a date.
func (w *composing) value(v *value, doc jsondoc.Value, parent, number int, below *level) (text, form string, err error) {
	switch {
	case v.auto == "hl-id":
		return strconv.Itoa(number), "", nil
	case v.auto == "hl-parent":
		if parent == 0 {
			return "", "", nil
		}
		return strconv.Itoa(parent), "", nil
	case v.auto == "hl-child":
		for i := range below.items[1:] {
			it := &below.items[i+1]
			if it.loop != nil && it.loop.items[0].hierarchical() && doc.Get(it.list).Len() > 0 {
				return "1", "", nil
			}
		}
		return "0", "", nil
	case v.name == "":
		return v.fixed, "", nil
	}
	given := doc.Get(v.name)
	switch {
	case v.count != "" && (!given.Exists() || given.Str() == countWord):
		return strconv.Itoa(w.written(v.count)), "", nil
	case given.Exists():
	case v.fixed != "":
		return v.fixed, "", nil
	case v.required:
		return "", "", fmt.Errorf("%s: it must be there", v.name)
	default:
		return "", "", nil
	}
	if text, form, err = w.text(v, given); err != nil {
		return "", "", fmt.Errorf("%s: %w", v.name, err)
	}
	if n := strconv.Itoa(w.written(v.count)); v.count != "" && n != text {
		return "", "", fmt.Errorf("%s: it says %s, and there are %s segments %s", v.name, short(text), n, v.count)
	}
	return text, form, nil
}

func (w *composing) written(tag string) int {
	n := 0
	for i := range w.out {
		if w.out[i].Tag == tag {
			n++
		}
	}
	return n
}

// text writes one value.
func (w *composing) text(v *value, given jsondoc.Value) (text, form string, err error) {
	switch given.Kind() {
	case jsondoc.String:
		text = given.Str()
	case jsondoc.Number:
		text = string(given.Raw())
	default:
		return "", "", fmt.Errorf("%s has no form in a segment", given.Kind())
	}
	n := 0
	switch v.kind {
	case asDecimal, asInteger, asImplied:
		if text, err = w.number(v, text); err != nil {
			return "", "", err
		}
		n = digits(text)
	case asDate:
		if text, form, err = writeDate(v, text); err != nil {
			return "", "", err
		}
		if w.t.Standard == X12 && w.rel > 0 && w.rel < fullYears && len(text) == 8 {
			text = text[2:]
		}
	case asTime:
		plain := strings.ReplaceAll(strings.ReplaceAll(text, ":", ""), ".", "")
		if again, ok := clock(plain); !ok || again != text {
			return "", "", fmt.Errorf("%q is no time such as 14:30 or 14:30:00", short(text))
		}
		text = plain
	}
	if v.back != nil {
		code, ok := v.back[text]
		switch {
		case ok:
			text = code
		case !v.open:
			return "", "", fmt.Errorf("%q is not in its list of codes", short(text))
		}
	}
	if n == 0 {
		n = length(text)
	}
	if v.max > 0 && n > v.max || n < v.min && n > 0 {
		return "", "", fmt.Errorf("it has %d characters, and %d to %d may stand there", n, v.min, v.max)
	}
	if v.required && text == "" {
		return "", "", errors.New("it is empty, and must be there")
	}
	return text, form, nil
}

func (w *composing) number(v *value, text string) (string, error) {
	d, err := jsondoc.ParseDecimal(text)
	if err != nil {
		return "", err
	}
	switch v.kind {
	case asInteger:
		if !d.IsInt() {
			return "", fmt.Errorf("%s is no whole number", short(text))
		}
		return d.Trim().String(), nil
	case asImplied:
		if d = d.Trim(); d.Scale() > v.implied {
			return "", fmt.Errorf("%s has more than %d decimals", short(text), v.implied)
		}
		all := d.Fixed(v.implied, jsondoc.Down).String()
		sign := ""
		if strings.HasPrefix(all, "-") {
			sign, all = "-", all[1:]
		}
		all = strings.TrimLeft(strings.Replace(all, ".", "", 1), "0")
		if all == "" {
			all = "0"
		}
		return sign + all, nil
	}
	out := d.String()
	if w.mark == ',' {
		out = strings.Replace(out, ".", ",", 1)
	}
	return out, nil
}

// writeDate gives a date as it stands in a segment, and EDIFACT's format of it.
func writeDate(v *value, text string) (string, string, error) {
	if form, raw, other := strings.Cut(text, ":"); other && len(form) == 3 && v.dated > 0 {
		return raw, form, nil
	}
	if from, to, span := strings.Cut(text, "/"); span {
		a, _, err1 := writeDate(&value{kind: asDate}, from)
		b, _, err2 := writeDate(&value{kind: asDate}, to)
		if len(a) != 8 || len(b) != 8 || v.dated == 0 {
			return "", "", fmt.Errorf("%q is no span of days: %w", short(text), errors.Join(err1, err2))
		}
		return a + b, "718", nil
	}
	for _, form := range []string{"102", "203", "204", "205", "303", "304", "610", "602"} {
		layouts := dates[form]
		t, err := time.Parse(layouts[1], text)
		if err != nil || len(text) != len(layouts[1]) {
			continue
		}
		if v.dated == 0 && form != "102" {
			break
		}
		if v.dated == 0 && v.max == 6 {
			return t.Format("060102"), "", nil
		}
		return t.Format(layouts[0]), form, nil
	}
	if v.dated > 0 {
		return "", "", fmt.Errorf("%q is no date such as 2026-01-15, and no time such as 2026-01-15T10:00", short(text))
	}
	return "", "", fmt.Errorf("%q is no date such as 2026-01-15", short(text))
}
