package edi

import (
	"slices"
	"strconv"
	"strings"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

type tableFile struct {
	Table    string            `yaml:"table,required"`
	Standard string            `yaml:"standard,required"`
	Message  string            `yaml:"message,required"`
	Code     string            `yaml:"group"`
	Version  string            `yaml:"version"`
	Unlisted string            `yaml:"unlisted"`
	Lists    map[string]lists  `yaml:"code-lists"`
	Segments []strictyaml.Node `yaml:"segments,required"`
}

// partsFile holds entries that tables share: use: NAME stands for them.
type partsFile struct {
	Parts map[string][]strictyaml.Node `yaml:"parts,required"`
}

type lists struct {
	Codes map[string]string `yaml:"codes,required"`
	Open  bool              `yaml:"open"`
}

// ReadTable reads a table. Every problem is added to problems; with one, the table is nil.
func ReadTable(file string, data []byte, problems *strictyaml.Problems) *Table {
	return readTable(file, data, nil, problems)
}

// with gives the table with other code lists, by their names.
func (t *Table) with(own map[string]lists, p *strictyaml.Problems) *Table {
	return readTable(t.file, t.data, own, p)
}

func readTable(file string, data []byte, own map[string]lists, problems *strictyaml.Problems) *Table {
	p := &strictyaml.Problems{}
	defer func() { problems.Append(p) }()
	docs := strictyaml.Parse(file, data, p)
	if len(docs) != 1 {
		if p.Len() == 0 {
			p.Add(strictyaml.Pos{File: file}, "one table must stand in the file, and there are %d", len(docs))
		}
		return nil
	}
	var f tableFile
	docs[0].Decode(&f, p)
	t := &Table{Name: f.Table, Standard: Standard(f.Standard), Message: f.Message, Code: f.Code, Version: f.Version, keep: f.Unlisted != "refuse", tags: map[string]bool{}, loops: map[string]bool{}, kept: map[string]map[string]bool{},
		file: file, data: data}
	t.listed = map[string]bool{}
	for name := range f.Lists {
		if t.listed[name] = true; own[name].Codes != nil {
			f.Lists[name] = own[name]
		}
	}
	at := docs[0]
	if t.Standard != X12 && t.Standard != EDIFACT {
		p.AddHint(at.Get("standard").Pos(), "write x12 or edifact", "standard: %q is none", f.Standard)
	}
	if f.Unlisted != "" && f.Unlisted != "keep" && f.Unlisted != "refuse" {
		p.AddHint(at.Get("unlisted").Pos(), "write keep or refuse", "unlisted: %q is neither", f.Unlisted)
	}
	if t.Standard == X12 && t.Code == "" {
		p.Add(at.Pos(), "group: an X12 table needs the functional identifier of its group, such as PO")
	}
	c := compiler{t: t, lists: f.Lists, parts: parts(t.Standard), p: p, loops: map[strictyaml.Pos]*level{}}
	t.root.names = map[string]bool{}
	c.level(&t.root, c.expand(f.Segments), "")
	if p.Len() > 0 {
		return nil
	}
	return t
}

type compiler struct {
	t     *Table
	parts map[string][]strictyaml.Node
	lists map[string]lists
	p     *strictyaml.Problems
	// loops are those of parts, by where they stand: a part that a loop of its own uses holds itself.
	loops map[strictyaml.Pos]*level
}

type itemFile struct {
	Use      string            `yaml:"use"`
	Segment  string            `yaml:"segment"`
	Loop     string            `yaml:"loop"`
	Kept     string            `yaml:"kept"`
	With     []string          `yaml:"with"`
	When     strictyaml.Node   `yaml:"when"`
	Required bool              `yaml:"required"`
	Max      int               `yaml:"max"`
	From     string            `yaml:"from"`
	Until    string            `yaml:"until"`
	List     string            `yaml:"list"`
	Object   string            `yaml:"object"`
	Elements strictyaml.Node   `yaml:"elements"`
	Segments []strictyaml.Node `yaml:"segments"`
}

// level compiles items. loop is the tag that begins it; empty: it is the message.
func (c *compiler) level(out *level, nodes []strictyaml.Node, loop string) {
	for _, name := range []string{"edi", "more", "other"} {
		out.names[name] = true
	}
	place := 0
	for i, n := range nodes {
		var f itemFile
		if !n.Decode(&f, c.p) {
			continue
		}
		if f.Kept != "" {
			if it := c.kept(out, n, &f); it != nil {
				it.window = c.window(n, &f)
				place++
				it.place = place
				out.items = append(out.items, *it)
			}
			continue
		}
		it := item{tag: f.Segment, required: f.Required, max: f.Max, list: f.List, object: f.Object, pos: n.Pos(), names: map[string]bool{"more": true}, window: c.window(n, &f)}
		if (f.Segment == "") == (f.Loop == "") {
			c.p.Add(n.Pos(), "an entry is a segment, a loop, or kept")
			continue
		}
		it.when = c.conditions(f.When)
		if f.Loop != "" {
			it.tag = f.Loop
			f.Segments = c.expand(f.Segments)
			if len(f.Segments) == 0 || f.Segments[0].Get("segment").Text() != f.Loop {
				c.p.AddHint(n.Pos(), "begin its segments with "+f.Loop, "loop: its first segment begins it")
				continue
			}
			c.t.loops[f.Loop] = true
			if it.loop = c.loops[n.Pos()]; it.loop == nil {
				it.loop = &level{names: map[string]bool{}}
				c.loops[n.Pos()] = it.loop
				c.level(it.loop, f.Segments, f.Loop)
				if len(it.loop.items) > 0 { // what tells the loop stands in the segment that begins it
					head := &it.loop.items[0]
					head.when = append(slices.Clone(it.when), head.when...)
					head.named()
				}
			}
			it.names = it.loop.names
		} else {
			c.elements(&it, f.Elements)
		}
		c.t.tags[it.tag] = true
		if it.loop != nil && len(it.loop.items) > 0 && len(it.loop.items[0].when) > len(it.when) {
			it.when = it.loop.items[0].when
		}
		if it.list != "" && it.object != "" {
			c.p.Add(n.Pos(), "list and object: its values have one place")
		}
		if it.max == 0 {
			it.max = 1
			if it.list != "" {
				it.max = 999_999
			}
		}
		if it.max > 1 && it.list == "" && (it.loop != nil || !c.t.keep) {
			c.p.AddHint(n.Pos(), "add list: NAME", "what may come more than once needs a list")
		}
		if i > 0 && (len(out.items) == 0 || out.items[len(out.items)-1].tag != it.tag) {
			place++
		}
		it.place = place
		it.named()
		it.divides = it.loop == nil && it.required && len(it.elements) > 0 && len(it.names) == 1 // more
		c.claim(out, &it)
		out.items = append(out.items, it)
	}
	out.tags = map[string][]int{}
	for i := range out.items {
		out.tags[out.items[i].tag] = append(out.tags[out.items[i].tag], i)
		if out.items[i].divides {
			out.dividers = append(out.dividers, i)
		}
	}
	if loop != "" && len(out.items) > 0 && (out.items[0].list != "" || out.items[0].max != 1) {
		c.p.Add(out.items[0].pos, "what begins a loop comes once in it, and its values are the loop's")
	}
}

// kept compiles a loop that is not taken over.
func (c *compiler) kept(l *level, n strictyaml.Node, f *itemFile) *item {
	switch {
	case f.Segment != "" || f.Loop != "" || len(n.Fields()) != 2+given(f.From)+given(f.Until) || len(f.With) == 0:
		c.p.AddHint(n.Pos(), "write for example kept: SLN, with: [PID, SAC]", "kept: it says which segments belong to the loop, and nothing else")
		return nil
	case !c.t.keep:
		c.p.Add(n.Pos(), "kept: the table refuses what it does not name (unlisted)")
		return nil
	case slices.ContainsFunc(l.items, func(o item) bool { return o.tag == f.Kept }):
		c.p.Add(n.Pos(), "kept: %s stands beside it already", f.Kept)
		return nil
	}
	it := &item{tag: f.Kept, max: 999_999, keeps: map[string]bool{}, pos: n.Pos()}
	if c.t.kept[f.Kept] == nil {
		c.t.kept[f.Kept] = map[string]bool{}
	}
	for _, tag := range f.With {
		it.keeps[tag], c.t.kept[f.Kept][tag] = true, true
	}
	return it
}

func given(text string) int {
	if text == "" {
		return 0
	}
	return 1
}

// window reads from which release on, and until which, an entry is there.
func (c *compiler) window(n strictyaml.Node, f *itemFile) window {
	one := func(key, version string) int {
		r := release(c.t.Standard, version)
		if version != "" && r == 0 {
			c.p.AddHint(n.Get(key).Pos(), map[Standard]string{X12: `write for example "005010"`, EDIFACT: `write for example "D:97A"`}[c.t.Standard], "%s: %q is no release", key, short(version))
		}
		return r
	}
	return window{one("from", f.From), one("until", f.Until)}
}

// named sets the name that begins those of what the table does not name.
func (it *item) named() {
	it.after = it.tag
	for _, w := range it.when {
		if len(w.values) == 1 {
			it.after += "_" + w.values[0]
		}
	}
}

// expand puts the entries of parts in the place of use.
func (c *compiler) expand(nodes []strictyaml.Node) []strictyaml.Node {
	var out []strictyaml.Node
	for _, n := range nodes {
		if !n.Has("use") {
			out = append(out, n)
			continue
		}
		name := n.Get("use").Text()
		part, ok := c.parts[name]
		if !ok || len(n.Fields()) > 1 {
			c.p.AddHint(n.Pos(), strictyaml.DidYouMean(name, slices.Sorted(keys(c.parts))), "use: %q is no part, or stands beside something else", short(name))
		}
		out = append(out, c.expand(part)...)
	}
	return out
}

// claim notes the members that an item gives to the document of its level.
func (c *compiler) claim(l *level, it *item) {
	add := func(name string, shared bool) {
		own := name == "edi" || name == "more" || name == "other"
		if l.names[name] && !shared && (own || slices.ContainsFunc(l.items, func(o item) bool { return o.gives(name) && !o.apart(it.window) })) {
			c.p.Add(it.pos, "%q is the name of two values in one document", name)
		}
		l.names[name] = true
	}
	switch {
	case it.list != "":
		add(it.list, false)
	case it.object != "":
		add(it.object, false)
	case it.loop != nil:
		for name := range it.loop.names {
			add(name, name == "edi" || name == "more" || name == "other")
		}
	default:
		for name := range it.names {
			add(name, name == "more")
		}
	}
}

// gives: the document of its level has a member of the name by it.
func (it *item) gives(name string) bool {
	switch {
	case it.list+it.object != "":
		return it.list+it.object == name
	case it.loop != nil:
		return it.loop.names[name]
	}
	return it.names[name]
}

// spot reads "2" or "1.2".
func spot(text string) (element, component int, ok bool) {
	e, comp, dotted := strings.Cut(text, ".")
	element, err := strconv.Atoi(e)
	if err != nil || element < 1 || element > 99 {
		return 0, 0, false
	}
	if !dotted {
		return element, 0, true
	}
	component, err = strconv.Atoi(comp)
	return element, component, err == nil && component >= 1 && component <= 99
}

// conditions reads {1: BY} or {1: [BY, BT], "2.1": "137"}.
func (c *compiler) conditions(n strictyaml.Node) []condition {
	var out []condition
	for _, f := range n.Fields() {
		e, comp, ok := spot(f.Key)
		var values []string
		if f.Value.Kind() == strictyaml.Scalar {
			values = []string{f.Value.Text()}
		} else {
			f.Value.Decode(&values, c.p)
		}
		if !ok || len(values) == 0 {
			c.p.AddHint(f.KeyPos, `write for example {1: BY} or {"1.1": "137"}`, "when: %q is no place of a data element, or there is no value", f.Key)
			continue
		}
		out = append(out, condition{e, max(comp, 1), values})
	}
	return out
}

type elementFile struct {
	Is       string            `yaml:"is"`
	Codes    map[string]string `yaml:"codes"`
	List     string            `yaml:"code-list"`
	Open     bool              `yaml:"open"`
	Fixed    string            `yaml:"fixed"`
	Count    string            `yaml:"count"`
	Auto     string            `yaml:"auto"`
	Pairs    string            `yaml:"pairs"`
	Max      int               `yaml:"max"`
	Repeat   bool              `yaml:"repeat"`
	FormatIn int               `yaml:"format-in"`
	Format   string            `yaml:"format"`
}

func (c *compiler) elements(it *item, n strictyaml.Node) {
	it.elements = map[int]*element{}
	for _, f := range n.Fields() {
		at, comp, ok := spot(f.Key)
		if !ok {
			c.p.AddHint(f.KeyPos, `write for example 3 or "1.2"`, "elements: %q is no place of a data element", f.Key)
			continue
		}
		var ef elementFile
		if f.Value.Kind() == strictyaml.Scalar {
			ef.Is = f.Value.Text()
		} else if !f.Value.Decode(&ef, c.p) {
			continue
		}
		if ef.Auto == "hl-parent" {
			c.t.hlTag, c.t.hlParent = it.tag, at
		}
		e := it.elements[at]
		if e == nil {
			e = &element{}
			it.elements[at] = e
			it.order = append(it.order, at)
			it.last = max(it.last, at)
		}
		if ef.Pairs != "" {
			e.pairs, e.most = ef.Pairs, max(ef.Max, 1)
			it.names[ef.Pairs] = true
			it.last = max(it.last, at+2*e.most-1)
			continue
		}
		v := c.value(f, ef)
		if v == nil {
			continue
		}
		if v.name != "" {
			if it.names[v.name] {
				c.p.Add(f.KeyPos, "%q is the name of two values", v.name)
			}
			it.names[v.name] = true
		}
		e.repeat = ef.Repeat
		if comp == 0 {
			e.simple = v
			continue
		}
		if e.parts == nil {
			e.parts = map[int]*value{}
		}
		e.parts[comp] = v
		e.last = max(e.last, comp)
	}
	for _, e := range it.elements {
		if e.simple != nil && e.parts != nil {
			c.p.Add(it.pos, "a data element is one value or has components")
		}
		if e.repeat && e.parts != nil {
			c.p.Add(it.pos, "repeat: it goes with a data element of one value")
		}
	}
	slices.Sort(it.order)
	it.at = make([]*element, it.last+1)
	for at, e := range it.elements {
		it.at[at] = e
	}
}

// value reads "name! type 1..22".
func (c *compiler) value(f strictyaml.Field, ef elementFile) *value {
	v := &value{fixed: ef.Fixed, count: ef.Count, auto: ef.Auto, open: ef.Open, codes: ef.Codes, dated: ef.FormatIn, format: ef.Format}
	words := strings.Fields(ef.Is)
	bad := func(hint, format string, args ...any) *value {
		c.p.AddHint(f.Value.Pos(), hint, format, args...)
		return nil
	}
	if len(words) > 0 {
		v.name = words[0]
		v.name, v.required = strings.CutSuffix(words[0], "!")
		v.key = append(jsondoc.AppendString(nil, v.name), ':')
		words = words[1:]
	} else if ef.Fixed == "" && ef.Auto == "" && ef.Format == "" {
		return bad("write for example: number! text 1..22", "%s: it has no name", f.Key)
	}
	if v.name == "edi" || v.name == "more" || v.name == "other" {
		return bad("choose another name", "%s: %q is the name of something else", f.Key, v.name)
	}
	if len(words) > 0 {
		switch w := words[0]; {
		case w == "text":
		case w == "decimal":
			v.kind = asDecimal
		case w == "integer":
			v.kind = asInteger
		case w == "date":
			v.kind = asDate
		case w == "time":
			v.kind = asTime
		case len(w) == 2 && w[0] == 'n' && w[1] >= '0' && w[1] <= '9':
			v.kind, v.implied = asImplied, int(w[1]-'0')
		default:
			return bad("text, decimal, integer, n0 to n9, date and time are", "%s: %q is no type", f.Key, w)
		}
		words = words[1:]
	}
	if len(words) > 0 {
		lo, hi, ranged := strings.Cut(words[0], "..")
		var err1, err2 error
		v.min, err1 = strconv.Atoi(lo)
		v.max = v.min
		if ranged {
			v.max, err2 = strconv.Atoi(hi)
		}
		if err1 != nil || err2 != nil || v.max < v.min || len(words) > 1 {
			return bad("write for example 2 or 1..22", "%s: %q is no length", f.Key, strings.Join(words, " "))
		}
	}
	if ef.List != "" {
		l, ok := c.lists[ef.List]
		if !ok {
			return bad("add it to code-lists", "%s: there is no code list %q", f.Key, ef.List)
		}
		v.codes, v.open = l.Codes, l.Open
	}
	if !slices.Contains([]string{"", "hl-id", "hl-parent", "hl-child"}, v.auto) {
		return bad("hl-id, hl-parent and hl-child are", "%s: %q is nothing that is found by itself", f.Key, v.auto)
	}
	return v.reversed(c, f)
}

func (v *value) reversed(c *compiler, f strictyaml.Field) *value {
	if v.codes == nil {
		return v
	}
	v.back = map[string]string{}
	for _, code := range slices.Sorted(keys(v.codes)) {
		to := v.codes[code]
		if _, twice := v.back[to]; twice && !v.open {
			c.p.AddHint(f.Value.Pos(), "list the one to write first in a list of its own, or make it open", "%s: two codes are %q in documents, so that nothing says which is written", f.Key, to)
			return nil
		}
		v.back[to] = code
	}
	return v
}

func keys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}
