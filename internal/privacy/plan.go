package privacy

import (
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/schema"
)

// Plan knows the masks of all flows of a plan.
type Plan struct {
	flows map[string]*Flow
	any   bool
	keyed *keyed
}

// Flow has the masks of one flow's documents.
type Flow struct {
	// Source is for documents before the mapping, Mapped for those after it, which are what is sent. What a target answers is masked by Mapped too, and
	// by the names of personal fields wherever they stand.
	Source, Mapped *Mask
	// Keyed: the business key is personal data.
	Keyed bool
}

// None reports whether the flow's documents hold no personal data that anybody has marked.
func (f *Flow) None() bool { return f == nil || f.Source.None() && f.Mapped.None() }

// Marks reports whether the plan's schemas mark anything as personal.
func (p *Plan) Marks() bool { return p != nil && p.any }

// unknown masks everything.
var unknown = &Flow{Source: &Mask{paths: &tree{here: true}}, Mapped: &Mask{paths: &tree{here: true}}, Keyed: true}

// Flow gives the masks of a flow by its name. Of a flow that the plan does not have nobody knows what its documents hold: they are masked as a
// whole where the plan has marks at all.
func (p *Plan) Flow(name string) *Flow {
	if p == nil || !p.any {
		return nil
	}
	if f, ok := p.flows[name]; ok {
		return f
	}
	return unknown
}

// building is a flow's mask on the way to it.
type building struct {
	flow           *config.Flow
	source, mapped *content
}

// content is what documents of one place hold: a flow's source, a topic, an object type of a system.
type content struct {
	schemas []*schema.Schema
	paths   tree
}

func (c *content) mask() *Mask {
	m := &Mask{names: map[string]bool{}}
	for _, s := range c.schemas {
		if p := s.Private(); !p.None() {
			m.schemas = append(m.schemas, p)
		}
		for _, n := range s.PrivateNames() {
			m.names[strings.ToLower(n)] = true
		}
	}
	if !c.paths.none() {
		m.paths = &c.paths
	}
	m.paths.collectNames("", m.names)
	return m
}

func (c *content) addSchema(s *schema.Schema) bool {
	if s == nil || s.Private().None() || slices.Contains(c.schemas, s) {
		return false
	}
	c.schemas = append(c.schemas, s)
	return true
}

func (c *content) take(o *content) (fresh bool) {
	for _, s := range o.schemas {
		fresh = c.addSchema(s) || fresh
	}
	return c.paths.merge(&o.paths, nil) || fresh
}

// Of works the masks of a plan out. What a flow writes to a topic, or to a system, is what flows read there: it goes round until nothing is new.
func Of(plan *config.Plan) *Plan {
	out := &Plan{flows: map[string]*Flow{}}
	if plan == nil {
		return out
	}
	places := map[string]*content{}
	place := func(key string) *content {
		if places[key] == nil {
			places[key] = &content{}
		}
		return places[key]
	}
	all := make([]*building, 0, len(plan.Flows))
	for _, f := range plan.Flows {
		b := &building{flow: f, source: &content{}, mapped: &content{}}
		b.source.addSchema(f.Accept)
		if f.Map != nil {
			b.source.addSchema(f.Map.From())
			b.mapped.addSchema(f.Map.To())
		}
		all = append(all, b)
	}
	for again := true; again; {
		again = false
		for _, b := range all {
			fresh := b.source.take(place(readAt(b.flow)))
			fresh = b.follow() || fresh
			fresh = place(writtenAt(b.flow)).take(b.mapped) || fresh
			again = again || fresh
		}
	}
	for _, b := range all {
		f := &Flow{Source: b.source.mask(), Mapped: b.mapped.mask()}
		out.flows[b.flow.Name] = f
		out.any = out.any || !f.None()
	}
	out.keys(all)
	return out
}

// follow marks what the mapping makes of marked fields.
func (b *building) follow() (fresh bool) {
	if b.flow.Map == nil {
		return b.mapped.take(b.source)
	}
	from := b.source.mask()
	if from.None() {
		return false
	}
	for _, c := range b.flow.Map.Copies() {
		if slices.ContainsFunc(c.Sources, from.reaches) && !reached(&b.mapped.paths, c.Target) {
			fresh = b.mapped.paths.add(c.Target) || fresh
		}
	}
	return fresh
}

// reached: the way is marked already.
func reached(t *tree, way []string) bool {
	m := Mask{paths: t}
	a := m.root()
	for _, step := range way {
		if a.here() {
			return true
		}
		if step == "[]" {
			a = a.element(0)
		} else {
			a = a.member(step)
		}
	}
	return a.here()
}

func readAt(f *config.Flow) string {
	if f.From.Topic != "" {
		return "topic " + f.From.Topic
	}
	object := f.Entity
	if p := f.From.Poll; p != nil && p.Object != "" {
		object = p.Object
	}
	if p := f.From.Files; p != nil && p.Object != "" {
		object = p.Object
	}
	return "system " + f.From.System + " " + object
}

func writtenAt(f *config.Flow) string {
	if f.To.Topic != "" {
		return "topic " + f.To.Topic
	}
	object := f.Entity
	if f.To.Object != "" {
		object = f.To.Object
	}
	return "system " + f.To.System + " " + object
}
