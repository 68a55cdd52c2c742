package edi

import (
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// frame is a level that is being read.
type frame struct {
	level  *level
	item   *item // the loop; nil: the message
	node   *node
	place  int
	counts []int
	hl     string // id of the hierarchical level
	kind   string // of the level
	again  bool   // it was left before: what had to come was looked for
	last   string // the tag that the table knows and that came last
	// keeps are the tags of a loop that is not taken over, and whose place is in the document of the level around it; nil: it is none.
	// in is its name there; empty: it stands behind last, since this is not where the table has it.
	keeps map[string]bool
	in    string
}

// noLevel is that of a loop that is not taken over.
var noLevel level

// untilLE are the tags of what X12 bounds by LS and LE: all of them.
var untilLE = map[string]bool{}

type reading struct {
	t      *Table
	m      *Message
	frames []frame
	faults []Fault
	buf    []byte
	counts []counted
	levels map[string]opened // hierarchical levels by their ids
	rel    int               // the message's release
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

// opened is a hierarchical level that has begun; parent is the id of the one that it stands in.
type opened struct {
	item   *item
	node   *node
	parent string
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
	*r = reading{t: t, m: m, faults: slices.Clone(m.Faults), buf: r.buf[:0], frames: r.frames[:0], ints: r.ints[:0], counts: r.counts[:0], nodes: r.nodes, levels: r.levels, rel: release(t.Standard, m.Version)}
	clear(r.levels)
	r.nodes.used = 0
	root := r.nodes.make()
	r.buf = m.appendEnvelope(r.buf, partner)
	root.set("edi", r.buf[:len(r.buf):len(r.buf)])
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

// appendEnvelope appends what a document says of where it came from.
func (m *Message) appendEnvelope(b []byte, partner string) []byte {
	g, in := m.Group, m.Group.Interchange
	b = append(b, '{')
	from := len(b)
	add := func(name, v string) {
		if v == "" {
			return
		}
		if len(b) > from {
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
	for depth := r.from(); depth >= 0; depth-- {
		f := &r.frames[depth]
		if f.keeps != nil {
			if r.keepsOn(f) {
				return
			}
			continue
		}
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
	switch tag := r.seg.Tag; {
	case r.t.loops[tag]:
		r.fault(FaultUnexpectedSegment, 0, 0, "the table has no place for it here, or not with this qualifier")
	case !r.t.keep && r.t.tags[tag]:
		r.fault(FaultUnexpectedSegment, 0, 0, "it has no place here, or not with this qualifier")
	case !r.t.keep:
		r.fault(FaultUnknownSegment, 0, 0, "the table does not name it")
	default:
		r.unlisted()
	}
}

// from gives the depth where the place of a segment is looked for first: the deepest, and for a hierarchical level the one that it says it belongs to. One that does not say stands
// beside the last one of its kind.
func (r *reading) from() int {
	deepest := len(r.frames) - 1
	if r.seg.Tag != r.t.hlTag {
		return deepest
	}
	if parent := r.m.element(r.seg, r.t.hlParent); len(parent) > 0 {
		for d := deepest; d >= 0; d-- {
			if r.frames[d].hl == string(parent) {
				return d
			}
		}
		return r.reopen(string(parent))
	}
	kind := r.m.element(r.seg, hlKind)
	for d := deepest; d > 0; d-- {
		if r.frames[d].hl != "" && string(kind) == r.frames[d].kind {
			return d - 1
		}
	}
	return deepest
}

// reopen enters a level that was left, with those around it: levels may come one kind after the other. Where there is none of the id it stays as it is, and the level is told that it stands elsewhere.
func (r *reading) reopen(id string) int {
	var path []string
	for up := id; up != ""; up = r.levels[up].parent {
		l, ok := r.levels[up]
		if !ok || l.item == nil { // a table of the project may number segments that begin no loop
			return len(r.frames) - 1
		}
		if d := slices.IndexFunc(r.frames, func(f frame) bool { return f.hl == up }); d >= 0 {
			for len(r.frames) > d+1 {
				r.leave()
			}
			break
		}
		if path = append(path, up); l.parent == "" {
			for len(r.frames) > 1 {
				r.leave()
			}
		}
	}
	for _, up := range slices.Backward(path) {
		l := r.levels[up]
		in := l.item.loop
		f := frame{level: in, item: l.item, node: l.node, last: l.item.tag, hl: up, again: true}
		if at := in.tags[r.t.hlTag]; len(at) > 1 { // the first begins the level itself
			f.place = in.items[at[1]].place
		}
		r.push(f)
	}
	return len(r.frames) - 1
}

// keepsOn keeps a segment that belongs to the loop of f, which is not taken over.
func (r *reading) keepsOn(f *frame) bool {
	if bounded := len(f.keeps) == 0; !bounded && !f.keeps[r.seg.Tag] {
		return false
	} else if r.keep(f); bounded && r.seg.Tag == "LE" {
		r.leave()
	}
	return true
}

// unlisted keeps a segment that has no place. One that begins a loop of the standard's keeps what belongs to it, so that nothing of it is taken for the loop's around it.
func (r *reading) unlisted() {
	keeps := r.t.kept[r.seg.Tag]
	if r.seg.Tag == "LS" && r.m.syntax.Standard == X12 {
		keeps = untilLE
	}
	top := &r.frames[len(r.frames)-1]
	switch r.keep(top); {
	case keeps == nil:
	case top.keeps != nil: // behind another such loop, and beside it
		top.keeps = keeps
	default:
		r.push(frame{level: &noLevel, node: top.node, last: top.last, keeps: keeps})
	}
}

// find gives the item of a level that a segment belongs to, from where the level has come to; -1: none.
func (r *reading) find(f *frame) int {
	other := -1
	for _, i := range f.level.tags[r.seg.Tag] {
		it := &f.level.items[i]
		if it.place < f.place || i == 0 && f.item != nil || !it.window.has(r.rel) {
			continue
		}
		if other >= 0 && f.level.items[other].place != it.place || r.divided(f, it) {
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

// divided: what begins the part of the message that an item stands in has not come.
func (r *reading) divided(f *frame, it *item) bool {
	for _, i := range f.level.dividers {
		if d := &f.level.items[i]; d.place > f.place && d.place < it.place && d.window.has(r.rel) {
			return true
		}
	}
	return false
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
	if it.loop == nil && it.keeps == nil && !it.required && r.m.bare(r.seg) { // it says nothing, whatever must be in it
		return
	}
	f.place = it.place
	if it.keeps != nil {
		r.push(frame{level: &noLevel, node: f.node, keeps: it.keeps, in: it.tag})
		r.keep(&r.frames[len(r.frames)-1])
		return
	}
	f.last = it.tag
	if it.loop != nil && it.tag == r.t.hlTag && len(r.frames) > maxLevels {
		r.fault(FaultTooManyLoops, 0, 0, fmt.Sprintf("it is deeper than %d levels", maxLevels))
		return
	}
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
	if f.counts[i] > 1 && it.list == "" && it.loop == nil { // the document has the first
		r.keep(f)
		return
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
	in := frame{level: it.loop, item: it, node: to, last: head.tag}
	if head.tag == r.t.hlTag {
		in.kind = string(r.m.element(r.seg, hlKind))
	}
	r.push(in)
	r.frames[len(r.frames)-1].counts[0] = 1
	r.fill(head, to)
}

// leave ends a level: what had to come and did not is told.
func (r *reading) leave() {
	f := &r.frames[len(r.frames)-1]
	for i := range f.level.items {
		it := &f.level.items[i]
		if f.again || !it.required || f.counts[i] > 0 || !it.window.has(r.rel) {
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
	switch {
	case f.in != "":
		b = jsondoc.AppendString(append(b, `,"in":`...), f.in)
	case f.last != "":
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

// dates are EDIFACT's formats of dates (2379), as they stand and as documents have them.
var dates = map[string][2]string{
	"101": {"060102", "2006-01-02"}, "102": {"20060102", "2006-01-02"}, "201": {"0601021504", "2006-01-02T15:04"}, "203": {"200601021504", "2006-01-02T15:04"},
	"204": {"20060102150405", "2006-01-02T15:04:05"}, "205": {"200601021504-0700", "2006-01-02T15:04-07:00"}, "303": {"200601021504UTC", "2006-01-02T15:04Z"},
	"304": {"20060102150405UTC", "2006-01-02T15:04:05Z"}, "610": {"200601", "2006-01"}, "602": {"2006", "2006"},
}
