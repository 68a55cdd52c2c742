package edi

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// node is a document that is being filled: names and values in the order in which they came.
type node struct {
	members []member
	from    *nodes
}

// member is a value, an object or a list. key is its name as JSON has it, with the colon; nil: it is made of the name.
type member struct {
	name string
	key  []byte
	raw  []byte
	obj  *node
	list []*node
}

// nodes are made once and used for one message after the other.
type nodes struct {
	all  []*node
	used int
}

func (n *nodes) make() *node {
	if n.used == len(n.all) {
		n.all = append(n.all, &node{from: n, members: make([]member, 0, 8)})
	}
	out := n.all[n.used]
	out.members = out.members[:0]
	n.used++
	return out
}

func (n *node) set(name string, raw []byte) {
	n.members = append(n.members, member{name: name, raw: raw})
}

func (n *node) child(name string, list bool) *node {
	for i := range n.members {
		if n.members[i].name == name {
			c := n.from.make()
			n.members[i].list = append(n.members[i].list, c)
			return c
		}
	}
	c := n.from.make()
	m := member{name: name}
	if list {
		m.list = []*node{c}
	} else {
		m.obj = c
	}
	n.members = append(n.members, m)
	return c
}

func (n *node) append(dst []byte) []byte {
	dst = append(dst, '{')
	for i := range n.members {
		if i > 0 {
			dst = append(dst, ',')
		}
		m := &n.members[i]
		if m.key != nil {
			dst = append(dst, m.key...)
		} else {
			dst = append(jsondoc.AppendString(dst, m.name), ':')
		}
		switch {
		case m.list != nil:
			dst = append(dst, '[')
			for j, c := range m.list {
				if j > 0 {
					dst = append(dst, ',')
				}
				dst = c.append(dst)
			}
			dst = append(dst, ']')
		case m.obj != nil:
			dst = m.obj.append(dst)
		default:
			dst = append(dst, m.raw...)
		}
	}
	return append(dst, '}')
}

// frame is a level that is being read.
type frame struct {
	level  *level
	item   *item // the loop; nil: the message
	node   *node
	place  int
	counts []int
	hl     string // id of the hierarchical level
	last   string // the tag that the table knows and that came last
}

type reading struct {
	t      *Table
	m      *Message
	frames []frame
	faults []Fault
	buf    []byte
	counts []counted
	seg    *Segment
	nodes  nodes
	// ints holds the counts of the frames, one behind the other.
	ints []int
}

// readings are kept: most of what a message takes is memory that the next one can have.
var readings = sync.Pool{New: func() any { return &reading{} }}

// push enters a level.
func (r *reading) push(f frame) {
	n, was := len(f.level.items), len(r.ints)
	r.ints = slices.Grow(r.ints, n)[:was+n]
	f.counts = r.ints[was : was+n : was+n]
	clear(f.counts)
	r.frames = append(r.frames, f)
}

// counted is a value that says how many segments of a tag there are.
type counted struct {
	tag  string
	want int
	seg  *Segment
	at   int
}

// Document gives a message as a document, with what its envelope says under edi; partner is the name of who sent it, or empty. With faults the
// document is as far as it can be shown.
func (t *Table) Document(m *Message, partner string) ([]byte, []Fault) {
	r := readings.Get().(*reading)
	defer readings.Put(r)
	*r = reading{t: t, m: m, faults: slices.Clone(m.Faults), buf: r.buf[:0], frames: r.frames[:0], ints: r.ints[:0], counts: r.counts[:0], nodes: r.nodes}
	r.nodes.used = 0
	root := r.nodes.make()
	root.set("edi", m.envelope(partner))
	r.push(frame{level: &t.root, node: root})
	for i := 1; i < len(m.Segments)-1; i++ {
		r.seg = &m.Segments[i]
		r.take()
	}
	if n := len(m.Segments); n > 0 {
		r.seg = &m.Segments[n-1]
	}
	for len(r.frames) > 0 {
		r.leave()
	}
	for _, c := range r.counts {
		n := 0
		for i := range m.Segments {
			if m.Segments[i].Tag == c.tag {
				n++
			}
		}
		if n != c.want {
			r.seg = c.seg
			r.fault(FaultCount, c.at, 0, fmt.Sprintf("it says %d segments %s, and there are %d", c.want, c.tag, n))
		}
	}
	if len(r.faults) == 0 {
		return root.append(make([]byte, 0, len(m.data)*4)), nil
	}
	slices.SortStableFunc(r.faults, func(a, b Fault) int { return a.Position - b.Position })
	return root.append(make([]byte, 0, len(m.data)*3)), r.faults
}

// envelope is what a document says of where it came from.
func (m *Message) envelope(partner string) []byte {
	g, in := m.Group, m.Group.Interchange
	b := []byte{'{'}
	add := func(name, v string) {
		if v == "" {
			return
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = jsondoc.AppendString(append(jsondoc.AppendString(b, name), ':'), v)
	}
	add("standard", string(in.Syntax.Standard))
	add("type", m.Type)
	add("version", m.Version)
	add("partner", partner)
	add("sender", in.Sender.String())
	add("receiver", in.Receiver.String())
	add("interchange", in.Control)
	add("group", g.Control)
	add("message", m.Control)
	b = append(b, `,"test":`...)
	b = strconv.AppendBool(b, in.Test)
	return append(b, '}')
}

func (r *reading) fault(k Kind, element, component int, text string) {
	r.faultAt(r.seg, k, element, component, 0, "", text)
}

func (r *reading) faultAt(s *Segment, k Kind, element, component, repeat int, value, text string) {
	if len(r.faults) >= maxFaults {
		return
	}
	f := Fault{Kind: k, Segment: s.Tag, Position: s.Number, Line: s.Line, Element: element, Component: component, Repeat: repeat, Value: value, Text: text}
	for i := len(r.frames) - 1; i > 0; i-- {
		if it := r.frames[i].item; it != nil {
			f.Loop = it.tag
			break
		}
	}
	r.faults = append(r.faults, f)
}

// take finds the place of a segment and fills it in.
func (r *reading) take() {
	for depth := len(r.frames) - 1; depth >= 0; depth-- {
		f := &r.frames[depth]
		i := r.find(f)
		if i < 0 {
			continue
		}
		for len(r.frames) > depth+1 {
			r.leave()
		}
		r.place(f, i)
		return
	}
	top := &r.frames[len(r.frames)-1]
	switch tag := r.seg.Tag; {
	case r.t.loops[tag]:
		r.fault(FaultUnexpectedSegment, 0, 0, "the table has no place for it here, or not with this qualifier")
	case !r.t.keep && r.t.tags[tag]:
		r.fault(FaultUnexpectedSegment, 0, 0, "it has no place here, or not with this qualifier")
	case !r.t.keep:
		r.fault(FaultUnknownSegment, 0, 0, "the table does not name it")
	default:
		r.keep(top)
	}
}

// find gives the item of a level that a segment belongs to, from where the level has come to; -1: none.
func (r *reading) find(f *frame) int {
	other := -1
	for _, i := range f.level.tags[r.seg.Tag] {
		it := &f.level.items[i]
		if it.place < f.place || i == 0 && f.item != nil {
			continue
		}
		if other >= 0 && f.level.items[other].place != it.place {
			break
		}
		if len(it.when) == 0 {
			if other < 0 {
				other = i
			}
			continue
		}
		if r.fits(it) {
			return i
		}
	}
	return other
}

func (r *reading) fits(it *item) bool {
	for i := range it.when {
		w := &it.when[i]
		if !r.m.among(r.seg, w.element, w.component, w.values) {
			return false
		}
	}
	return true
}

func (r *reading) place(f *frame, i int) {
	it := &f.level.items[i]
	f.place, f.last = it.place, it.tag
	if f.counts[i]++; f.counts[i] > it.max {
		k, what := FaultTooManySegments, "segments"
		if it.loop != nil {
			k, what = FaultTooManyLoops, "loops"
		}
		if f.counts[i] == it.max+1 {
			r.fault(k, 0, 0, fmt.Sprintf("more than %d such %s", it.max, what))
		}
		if it.list == "" {
			if it.loop != nil { // its segments go nowhere
				r.push(frame{level: it.loop, item: it, node: r.nodes.make()})
			}
			return
		}
	}
	to := f.node
	switch {
	case it.list != "":
		to = f.node.child(it.list, true)
	case it.object != "":
		to = f.node.child(it.object, false)
	}
	if it.loop == nil {
		r.fill(it, to)
		return
	}
	head := &it.loop.items[0]
	r.push(frame{level: it.loop, item: it, node: to, last: head.tag})
	r.frames[len(r.frames)-1].counts[0] = 1
	r.fill(head, to)
}

// leave ends a level: what had to come and did not is told.
func (r *reading) leave() {
	f := &r.frames[len(r.frames)-1]
	for i := range f.level.items {
		it := &f.level.items[i]
		if !it.required || f.counts[i] > 0 {
			continue
		}
		s := &Segment{Tag: it.tag, Number: r.seg.Number, Line: r.seg.Line}
		r.faultAt(s, FaultMissingSegment, 0, 0, 0, "", fmt.Sprintf("%s must come before this segment (%s), and is not there", it.label(), r.seg.Tag))
	}
	r.ints = r.ints[:len(r.ints)-len(f.counts)]
	r.frames = r.frames[:len(r.frames)-1]
}

// keep puts a segment that the table does not name into the document as it is.
func (r *reading) keep(f *frame) {
	b := jsondoc.AppendString([]byte(`{"segment":`), r.seg.Tag)
	if f.last != "" {
		b = jsondoc.AppendString(append(b, `,"after":`...), f.last)
	}
	b = append(b, `,"elements":[`...)
	for e := 1; e <= r.m.Len(r.seg); e++ {
		if e > 1 {
			b = append(b, ',')
		}
		b = r.appendAny(b, e)
	}
	b = append(b, "]}"...)
	for i := range f.node.members {
		if m := &f.node.members[i]; m.name == "other" {
			m.raw = append(append(append(m.raw[:len(m.raw)-1], ','), b...), ']')
			return
		}
	}
	f.node.set("other", append(append([]byte{'['}, b...), ']'))
}

// appendAny appends a data element whatever it is: a text, a list of components, or for repeats a list of those.
func (r *reading) appendAny(dst []byte, e int) []byte {
	all, err := r.m.Values(r.seg, e)
	if err != nil {
		r.fault(FaultCharacter, e, 0, err.Error())
		return append(dst, `""`...)
	}
	if len(all) == 1 && len(all[0]) == 1 {
		return jsondoc.AppendString(dst, all[0][0])
	}
	components := func(parts []string) {
		dst = append(dst, '[')
		for i, p := range parts {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = jsondoc.AppendString(dst, p)
		}
		dst = append(dst, ']')
	}
	if len(all) == 1 {
		components(all[0])
		return dst
	}
	dst = append(dst, '[')
	for i, parts := range all {
		if i > 0 {
			dst = append(dst, ',')
		}
		components(parts)
	}
	return append(dst, ']')
}

// more puts what the table does not name in a segment that it names into the document.
func (r *reading) more(n *node, it *item, e, c int, value []byte) {
	name := it.after + "_" + fmt.Sprintf("%02d", e)
	if c > 0 {
		name += "_" + strconv.Itoa(c)
	}
	if !r.t.keep {
		r.fault(FaultTooManyElements, e, c, "the table does not name it")
		return
	}
	to := (*node)(nil)
	for i := range n.members {
		if n.members[i].name == "more" {
			to = n.members[i].obj
		}
	}
	if to == nil {
		to = n.child("more", false)
	}
	if !slices.ContainsFunc(to.members, func(m member) bool { return m.name == name }) {
		to.set(name, value)
	}
}

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
	head, _, again := r.m.syntax.cutAt(raw, r.m.syntax.Repetition)
	if again {
		r.fault(FaultRepeats, e, 0, "it is repeated, and the table has one value")
		return
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
	raw, _, again := s.cutAt(raw, s.Repetition)
	if again {
		r.fault(FaultRepeats, e, 0, "it is repeated, and the table has it once")
		return
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

// pairs reads qualifiers and values that follow each other, and gives the last element of them.
func (r *reading) pairs(it *item, el *element, from int, n *node) int {
	var to *node
	last := from + 2*el.most - 1
	for e := from; e <= last; e += 2 {
		q, v := r.m.element(r.seg, e), r.m.element(r.seg, e+1)
		if len(q) == 0 && len(v) == 0 {
			continue
		}
		name, err := r.m.syntax.text(q)
		text, err2 := r.m.syntax.text(v)
		switch {
		case err != nil || err2 != nil:
			r.fault(FaultCharacter, e, 0, "its bytes are no text")
			continue
		case name == "" || text == "":
			r.fault(FaultMissingElement, e, 0, "qualifier and value go together")
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

// one reads one value; raw is empty where there is none.
func (r *reading) one(it *item, v *value, e, c int, raw, form []byte, n *node) {
	if len(raw) == 0 {
		if v.required {
			r.fault(FaultMissingElement, e, c, "it must be there")
		}
		return
	}
	switch {
	case v.auto != "":
		r.auto(v, e, raw)
		return
	case v.fixed != "" && string(raw) == v.fixed:
		return
	case v.name == "" && v.format != "": // the date beside it has been read by it
		return
	case v.name == "":
		r.moreText(it, n, e, c, raw)
		return
	}
	from := len(r.buf)
	r.buf = r.appendValue(r.buf, v, e, c, raw, form)
	if len(r.buf) == from {
		return
	}
	n.members = append(n.members, member{name: v.name, key: v.key, raw: r.buf[from:len(r.buf):len(r.buf)]})
	if v.count != "" {
		if want, err := strconv.Atoi(string(raw)); err == nil {
			r.counts = append(r.counts, counted{v.count, want, r.seg, e})
		}
	}
}

// auto checks the numbers of hierarchical levels: a level stands in the one that it names.
func (r *reading) auto(v *value, e int, raw []byte) {
	f := &r.frames[len(r.frames)-1]
	switch v.auto {
	case "hl-id":
		f.hl = string(raw)
	case "hl-parent":
		for i := len(r.frames) - 2; i >= 0; i-- {
			if up := r.frames[i].hl; up != "" {
				if up != string(raw) {
					r.faultAt(r.seg, FaultCode, e, 0, 0, string(raw), fmt.Sprintf("it belongs to level %q, and stands in level %q", short(string(raw)), short(up)))
				}
				return
			}
		}
		r.faultAt(r.seg, FaultCode, e, 0, 0, string(raw), "it belongs to a level, and stands in none")
	}
}

// appendValue appends a value as JSON; nothing where it has a fault.
func (r *reading) appendValue(dst []byte, v *value, e, c int, raw, form []byte) []byte {
	bad := func(k Kind, text string) []byte {
		shown := ""
		if t, err := r.m.syntax.text(raw); err == nil {
			shown = t
		}
		r.faultAt(r.seg, k, e, c, 0, shown, text)
		return dst
	}
	if v.kind == asText && v.codes == nil && r.m.syntax.plain(raw) && len(raw) >= v.min && (v.max == 0 || len(raw) <= v.max) { // most are
		return append(append(append(dst, '"'), raw...), '"')
	}
	text, err := r.m.syntax.text(raw)
	if err != nil {
		r.fault(FaultCharacter, e, c, err.Error())
		return dst
	}
	n := length(text)
	if v.kind != asText && v.kind != asDate && v.kind != asTime { // sign and mark do not count
		n = digits(text)
	}
	switch {
	case v.max > 0 && n > v.max:
		return bad(FaultTooLong, fmt.Sprintf("it has %d characters, and at most %d may be", n, v.max))
	case n < v.min:
		return bad(FaultTooShort, fmt.Sprintf("it has %d characters, and at least %d must be", n, v.min))
	}
	if v.codes != nil {
		code, ok := v.codes[text]
		if !ok && !v.open {
			return bad(FaultCode, fmt.Sprintf("%q is not in its list of codes", short(text)))
		}
		if ok {
			text = code
		}
	}
	switch v.kind {
	case asDecimal, asInteger, asImplied:
		out, ok := appendNumber(dst, v, text, r.m.syntax)
		if !ok {
			return bad(FaultNumber, fmt.Sprintf("%q is no %s", short(text), v.kind))
		}
		return out
	case asDate:
		out, ok := date(text, string(form))
		if !ok {
			return bad(FaultDate, fmt.Sprintf("%q is no date%s", short(text), formText(string(form))))
		}
		return jsondoc.AppendString(dst, out)
	case asTime:
		out, ok := clock(text)
		if !ok {
			return bad(FaultTime, fmt.Sprintf("%q is no time of the day", short(text)))
		}
		return jsondoc.AppendString(dst, out)
	}
	return jsondoc.AppendString(dst, text)
}

func length(s string) int {
	n := 0
	for range s {
		n++
	}
	return n
}

func digits(s string) int {
	n := 0
	for i := range len(s) {
		if s[i] >= '0' && s[i] <= '9' {
			n++
		}
	}
	return n
}

func (k valueKind) String() string {
	return [...]string{"text", "decimal number", "whole number", "number with implied decimals", "date", "time"}[k]
}

// dates are EDIFACT's formats of dates (2379), as they stand and as documents have them.
var dates = map[string][2]string{
	"101": {"060102", "2006-01-02"}, "102": {"20060102", "2006-01-02"}, "201": {"0601021504", "2006-01-02T15:04"}, "203": {"200601021504", "2006-01-02T15:04"},
	"204": {"20060102150405", "2006-01-02T15:04:05"}, "610": {"200601", "2006-01"}, "602": {"2006", "2006"},
}

// date reads a date; form is EDIFACT's format of it, empty where it follows from the length.
func date(text, form string) (string, bool) {
	layouts, ok := dates[form]
	switch {
	case ok:
	case form == "718" && len(text) == 16: // from … to
		from, ok1 := date(text[:8], "102")
		to, ok2 := date(text[8:], "102")
		return from + "/" + to, ok1 && ok2
	case form != "":
		return form + ":" + text, len(form) == 3 // a week, a span of time: as it stands, with its format
	case len(text) == 8:
		layouts = dates["102"]
	case len(text) == 6:
		layouts = dates["101"]
	default:
		return "", false
	}
	t, err := time.Parse(layouts[0], text)
	if err != nil || len(text) != len(layouts[0]) {
		return "", false
	}
	return t.Format(layouts[1]), true
}

func formText(form string) string {
	if form == "" {
		return ""
	}
	return fmt.Sprintf(" of format %q", short(form))
}

// clock reads HHMM, HHMMSS and further digits of a second.
func clock(text string) (string, bool) {
	if len(text) < 4 || len(text) > 8 || len(text) == 5 || digits(text) != len(text) {
		return "", false
	}
	out := text[:2] + ":" + text[2:4]
	if text[:2] > "23" || text[2:4] > "59" {
		return "", false
	}
	if len(text) > 4 {
		if out += ":" + text[4:6]; text[4:6] > "59" {
			return "", false
		}
	}
	if len(text) > 6 {
		out += "." + text[6:]
	}
	return out, true
}

// appendNumber appends a number as JSON has it; its digits stay.
func appendNumber(dst []byte, v *value, text string, s *Syntax) ([]byte, bool) {
	if s.Standard == EDIFACT {
		for i := range len(text) {
			if text[i] == ',' { // as good as the point, whatever the advice says
				text = text[:i] + "." + text[i+1:]
				break
			}
		}
	}
	sign, body := "", text
	if len(body) > 0 && (body[0] == '-' || body[0] == '+') {
		if body[0] == '-' {
			sign = "-"
		}
		body = body[1:]
	}
	point := -1
	for i := range len(body) {
		switch c := body[i]; {
		case c == '.' && point < 0:
			point = i
		case c < '0' || c > '9':
			return dst, false
		}
	}
	if digits(body) == 0 || point >= 0 && v.kind != asDecimal || len(body) > 60 {
		return dst, false
	}
	whole, part := body, ""
	if point >= 0 {
		whole, part = body[:point], body[point+1:]
	}
	if v.kind == asImplied && v.implied > 0 {
		for len(whole) <= v.implied {
			whole = "0" + whole
		}
		whole, part = whole[:len(whole)-v.implied], whole[len(whole)-v.implied:]
	}
	for len(whole) > 1 && whole[0] == '0' {
		whole = whole[1:]
	}
	if whole == "" {
		whole = "0"
	}
	dst = append(append(dst, sign...), whole...)
	if part != "" {
		dst = append(append(dst, '.'), part...)
	}
	return dst, true
}
