package mapping

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/schema"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Lookup answers from the cross-reference.
type Lookup interface {
	// HubID gives the hub id of an object by its id in a system; ok is false while nobody has seen it.
	HubID(ctx context.Context, entity, system, local string) (hub string, ok bool, err error)
	// LocalID gives an object's id in a system; ok is false while it has none.
	LocalID(ctx context.Context, entity, system, hub string) (local string, ok bool, err error)
}

// Deps is what mappings and expressions may refer to.
type Deps struct {
	Schemas *schema.Set
	Values  map[string]*ValueMap
	// Systems and Entities are the names that xref() and xref_id() may use; nil: any.
	Systems  map[string]bool
	Entities map[string]bool
	// Limits bound each run.
	Limits Limits
}

// Use is one call of xref or xref_id. A name that the expression computes is empty.
type Use struct {
	Function string // xref or xref_id
	Entity   string
	System   string
	Pos      strictyaml.Pos
}

// Input is what a mapping or expression works on.
type Input struct {
	// Doc is the source document; nil: no document, every field is absent.
	Doc *jsondoc.Doc
	// Event is the change that carries the document; nil: its attributes are absent.
	Event *event.Event
	// Lookup answers xref and xref_id; nil: they fail.
	Lookup Lookup
	// Headers are what header() gives.
	Headers map[string]string
	// Now is the moment at which the expression runs, for those that may ask.
	Now time.Time
}

// Mapping is one compiled mapping. It does not change and may be used by several goroutines.
type Mapping struct {
	name     string
	pos      strictyaml.Pos
	from, to *schema.Schema
	volatile []string
	sources  []string
	reads    map[string]*reads
	copies   []Copy
	uses     []Use
	values   []string
	root     *rule
	frames   sync.Pool
	limits   Limits
	judged   bool // see ApplyValid
}

// Compile compiles one document `mapping: name …`. Every problem goes to p; the mapping is nil when there is one.
func Compile(node strictyaml.Node, deps Deps, p *strictyaml.Problems) *Mapping {
	before := p.Len()
	if node.Kind() != strictyaml.Map {
		p.AddHint(node.Pos(), "start with `mapping: name`", "a mapping must be a map")
		return nil
	}
	node.Known(p, "mapping", "about", "from", "to", "volatile", "set")
	m := &Mapping{name: requireText(node, "mapping", p), pos: node.Pos()}
	m.from = schemaOf(node, "from", deps.Schemas, p)
	m.to = schemaOf(node, "to", deps.Schemas, p)
	m.volatile = volatileOf(node.Get("volatile"), m.to, p)

	c := newCompiler(deps, p)
	c.layout.reg() // for the value of a rule
	c.targetName = "the target"
	if m.to != nil {
		c.targetName = m.to.Name()
	}
	var none *schema.Schema
	c.unknown = none.Shape()
	m.root = newRule(objectRule, "", node.Get("set").Pos())
	out := &output{rule: m.root}
	c.scope = &scope{source: documentType(m.from), root: out, this: out}
	if !node.Has("set") {
		p.AddHint(node.Pos(), "add `set:` with a rule for each target field", `"set" is missing`)
		return nil
	}
	o := &open{rule: m.root, out: out, shape: m.to.Shape(), pos: node.KeyPos("set")}
	c.set(node.Get("set"), o)
	c.finishObject(o)
	if p.Len() > before {
		return nil
	}
	m.limits = deps.Limits.resolved()
	m.uses, m.values = c.uses, slices.Sorted(maps.Keys(c.values))
	m.sources, m.reads, m.copies = c.sourceFields(m.from), c.reads, c.copied()
	if part, ok := m.to.Part(); ok {
		m.judged = m.root.judge(part, 1)
	}
	layout := *c.layout
	m.frames.New = func() any { return layout.frame() }
	return m
}

// documentType is the type of the whole source document.
func documentType(s *schema.Schema) typ {
	t := anyType
	if s != nil {
		t = fromShape(s.Shape())
	}
	t.from = wholeSource
	return t
}

func schemaOf(node strictyaml.Node, key string, set *schema.Set, p *strictyaml.Problems) *schema.Schema {
	name := requireText(node, key, p)
	if name == "" {
		return nil
	}
	s := set.Get(name)
	if s == nil {
		p.AddHint(node.Get(key).Pos(), orElse(didYouMean(name, set.Names()), "schemas stand in schemas/"), "unknown schema %q", name)
	}
	return s
}

func volatileOf(n strictyaml.Node, to *schema.Schema, p *strictyaml.Problems) []string {
	if n.Kind() == strictyaml.Missing {
		return nil
	}
	if n.Kind() != strictyaml.List {
		p.AddHint(n.Pos(), "volatile: [updated_at]", "volatile must be a list of top-level fields of the target")
		return nil
	}
	var out []string
	shape := to.Shape()
	for _, item := range n.Items() {
		name := item.Text()
		if _, state := shape.Field(name); item.Kind() != strictyaml.Scalar || state != schema.Declared {
			p.AddHint(item.Pos(), strictyaml.DidYouMean(name, shape.Fields()), "the target has no top-level field %q", name)
			continue
		}
		out = append(out, name)
	}
	return out
}

func (c *compiler) sourceFields(from *schema.Schema) []string {
	var out []string
	if c.whole {
		out = from.Shape().Fields()
	}
	for name := range c.sources {
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// Name is the mapping's name.
func (m *Mapping) Name() string { return m.name }

// Pos is where the mapping stands.
func (m *Mapping) Pos() strictyaml.Pos { return m.pos }

// From is the schema of the source, To that of the target.
func (m *Mapping) From() *schema.Schema { return m.from }

// To is the schema of the target.
func (m *Mapping) To() *schema.Schema { return m.to }

// Volatile are the top-level fields of the target whose change alone is no change of the object.
func (m *Mapping) Volatile() []string { return slices.Clone(m.volatile) }

// SourceFields are the top-level fields of the source that the mapping reads, sorted.
func (m *Mapping) SourceFields() []string { return slices.Clone(m.sources) }

// TargetFields are the top-level fields of the target that the mapping sets, in their order.
func (m *Mapping) TargetFields() []string {
	var out []string
	for _, r := range m.root.children {
		out = append(out, r.name)
	}
	return out
}

// Always are those of TargetFields that every result has: their rules are not optional.
func (m *Mapping) Always() []string {
	var out []string
	for _, r := range m.root.children {
		if !r.vanishes() {
			out = append(out, r.name)
		}
	}
	return out
}

// Uses are the calls of xref and xref_id.
func (m *Mapping) Uses() []Use { return slices.Clone(m.uses) }

// ValueMaps are the names of the value maps that the mapping looks codes up in, sorted.
func (m *Mapping) ValueMaps() []string { return slices.Clone(m.values) }

// Apply appends the target document to dst. The same input gives the same bytes, as far as the cross-reference gives the
// same answers. An error is an *Error, with a *MissingRef or *UnknownCode inside where that is the cause; what was
// appended to dst is then worthless.
func (m *Mapping) Apply(ctx context.Context, in *Input, dst []byte) ([]byte, error) {
	out, _, err := m.apply(ctx, in, dst, false)
	return out, err
}

func (m *Mapping) apply(ctx context.Context, in *Input, dst []byte, judge bool) ([]byte, bool, error) {
	f := m.frames.Get().(*frame)
	f.start(ctx, in, m.limits, dst)
	f.judging = judge
	err := m.root.writeObject(f)
	if err == nil {
		if long := f.wrote(); long != nil {
			err = &Error{Pos: m.pos, Err: long}
		}
	}
	out, valid := f.out, f.judging
	f.stop()
	m.frames.Put(f)
	if err != nil {
		err.Mapping = m.name
		return dst, false, err
	}
	return out, valid && len(out)-len(dst) < readFrom, nil
}
