package edi

import (
	"bytes"
	"slices"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// fill puts a segment's data elements into the document.
func (r *reading) fill(it *item, n *node) {
	m, s := r.m, r.seg
	for e := 1; e <= max(m.Len(s), it.last); e++ {
		var el *element
		if e < len(it.at) {
			el = it.at[e]
		}
		raw := m.element(s, e)
		switch {
		case el == nil:
			if len(raw) > 0 && !it.asked(e) {
				r.more(n, it, e, 0, r.appendAny(nil, e))
			}
		case el.pairs != "":
			e = r.pairs(it, el, e, n)
		case el.simple != nil && el.repeat:
			r.repeats(el.simple, e, raw, n)
		case el.simple != nil:
			if s := m.syntax; s.Repetition != 0 && bytes.IndexByte(raw, s.Repetition) >= 0 || s.Release == 0 && bytes.IndexByte(raw, s.Component) >= 0 || s.Release != 0 && composite(s, raw) {
				r.composed(it, el.simple, e, raw, n)
				continue
			}
			r.one(it, el.simple, e, 0, raw, nil, n)
		default:
			r.components(it, el, e, raw, n)
		}
	}
}

// asked: the table looks at the data element to tell items apart, and so says what it holds.
func (it *item) asked(e int) bool {
	return slices.ContainsFunc(it.when, func(w condition) bool { return w.element == e && len(w.values) == 1 })
}

func composite(s *Syntax, raw []byte) bool {
	_, _, more := s.cutAt(raw, s.Component)
	return more
}

// composed is a data element with parts where the table has one value.
func (r *reading) composed(it *item, v *value, e int, raw []byte, n *node) {
	head, others, again := r.m.syntax.cutAt(raw, r.m.syntax.Repetition)
	if again {
		r.repetitions(it, e, others, n)
	}
	c := 0
	for more := true; more; c++ {
		var part []byte
		part, head, more = r.m.syntax.cutAt(head, r.m.syntax.Component)
		if c == 0 {
			r.one(it, v, e, 0, part, nil, n)
		} else if len(part) > 0 {
			r.moreText(it, n, e, c+1, part)
		}
	}
}

// repetitions keeps those of a data element that the table has once, all but the first.
func (r *reading) repetitions(it *item, e int, raw []byte, n *node) {
	if !r.t.keep {
		r.fault(FaultRepeats, e, 0, "it is repeated, and the table has it once")
		return
	}
	out := []byte{'['}
	for again := true; again; {
		var one []byte
		one, raw, again = r.m.syntax.cutAt(raw, r.m.syntax.Repetition)
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, '[')
		for c, more := 0, true; more; c++ {
			var part []byte
			part, one, more = r.m.syntax.cutAt(one, r.m.syntax.Component)
			text, err := r.m.syntax.text(part)
			if err != nil {
				r.fault(FaultCharacter, e, c+1, err.Error())
				return
			}
			if c > 0 {
				out = append(out, ',')
			}
			out = jsondoc.AppendString(out, text)
		}
		out = append(out, ']')
	}
	r.more(n, it, e, 0, append(out, ']'))
}

func (r *reading) moreText(it *item, n *node, e, c int, raw []byte) {
	text, err := r.m.syntax.text(raw)
	if err != nil {
		r.fault(FaultCharacter, e, c, err.Error())
		return
	}
	r.more(n, it, e, c, jsondoc.AppendString(nil, text))
}

func (r *reading) components(it *item, el *element, e int, raw []byte, n *node) {
	s := r.m.syntax
	raw, others, again := s.cutAt(raw, s.Repetition)
	if again {
		r.repetitions(it, e, others, n)
	}
	var parts [12][]byte
	all := parts[:0]
	for more := true; more; {
		var part []byte
		part, raw, more = s.cutAt(raw, s.Component)
		all = append(all, part)
	}
	for c := 1; c <= max(len(all), el.last); c++ {
		var part []byte
		if c <= len(all) {
			part = all[c-1]
		}
		v := el.parts[c]
		switch {
		case v == nil && len(part) == 0, v == nil && slices.ContainsFunc(it.when, func(w condition) bool { return w.element == e && w.component == c && len(w.values) == 1 }):
		case v == nil:
			r.moreText(it, n, e, c, part)
		default:
			var form []byte
			if v.dated > 0 && v.dated <= len(all) {
				form = all[v.dated-1]
			}
			r.one(it, v, e, c, part, form, n)
		}
	}
}

// pairs reads qualifiers and values that follow each other, and gives the last element of them. A pair that the object has no place for stands in more.
func (r *reading) pairs(it *item, el *element, from int, n *node) int {
	var to *node
	last := from + 2*el.most - 1
	for e := from; e <= last; e += 2 {
		q, v := r.m.element(r.seg, e), r.m.element(r.seg, e+1)
		if len(q) == 0 && len(v) == 0 {
			continue
		}
		if s := r.m.syntax; len(q) > 0 && len(v) > 0 && s.plain(q) && s.plain(v) { // most are
			if to == nil {
				to = n.child(el.pairs, false)
			}
			if !slices.ContainsFunc(to.members, func(m member) bool { return m.name == string(q) }) {
				from := len(r.buf)
				r.buf = append(append(append(r.buf, '"'), v...), '"')
				to.set(string(q), r.buf[from:len(r.buf):len(r.buf)])
				continue
			}
		}
		name, err := r.m.syntax.text(q)
		text, err2 := r.m.syntax.text(v)
		switch {
		case err != nil || err2 != nil:
			r.fault(FaultCharacter, e, 0, "its bytes are no text")
			continue
		case name == "" || text == "": // one without the other says nothing, and is kept
			if !r.t.keep {
				r.fault(FaultMissingElement, e, 0, "qualifier and value go together")
				continue
			}
			for i, half := range []string{name, text} {
				if half != "" {
					r.more(n, it, e+i, 0, jsondoc.AppendString(nil, half))
				}
			}
			continue
		}
		if to == nil {
			to = n.child(el.pairs, false)
		}
		if slices.ContainsFunc(to.members, func(m member) bool { return m.name == name }) {
			r.more(n, it, e, 0, jsondoc.AppendString(nil, name))
			r.more(n, it, e+1, 0, jsondoc.AppendString(nil, text))
			continue
		}
		to.set(name, jsondoc.AppendString(nil, text))
	}
	return last
}

func (r *reading) repeats(v *value, e int, raw []byte, n *node) {
	if len(raw) == 0 {
		if v.required {
			r.fault(FaultMissingElement, e, 0, "it must be there")
		}
		return
	}
	out := []byte{'['}
	rest, again := raw, true
	for i := 1; again; i++ {
		var one []byte
		one, rest, again = r.m.syntax.cutAt(rest, r.m.syntax.Repetition)
		if len(out) > 1 {
			out = append(out, ',')
		}
		was := len(out)
		if out = r.appendValue(out, v, e, 0, one, nil); len(out) == was {
			return
		}
	}
	n.set(v.name, append(out, ']'))
}
