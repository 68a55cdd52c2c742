package odata

import (
	"fmt"
	"slices"
	"strings"
)

// resolve ties what names tie together, now that every name is known.
func (p *edmx) resolve() error {
	for _, t := range p.m.types {
		t.base = p.qualified(t.base)
	}
	for _, r := range p.relations {
		for role, typ := range r.types {
			r.types[role] = p.qualified(typ)
		}
	}
	for _, t := range p.m.types {
		p.kinds(t)
		p.targets(t)
	}
	done := map[string]bool{}
	for _, t := range p.m.types {
		if err := p.inherit(t, done, nil); err != nil {
			return err
		}
	}
	for _, t := range p.m.types {
		for _, name := range t.key {
			if k := t.property(name); k == nil && !strings.Contains(name, "/") {
				return fmt.Errorf("the key of %s names %s, which is no property of it", t.name, name)
			}
		}
		p.partners(t)
	}
	for _, set := range p.m.sets {
		if set.typ = p.qualified(set.typ); p.m.types[set.typ] == nil {
			return fmt.Errorf("the entity set %s is of the type %s, which the document does not declare", set.name, set.typ)
		}
		p.targetSets(set)
	}
	return nil
}

// qualified replaces an alias by its namespace.
func (p *edmx) qualified(name string) string {
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 {
		return name
	}
	if namespace, is := p.alias[name[:dot]]; is {
		return namespace + name[dot:]
	}
	return name
}

// kinds says how the values of properties of declared types are written.
func (p *edmx) kinds(t *structType) {
	for _, prop := range t.props {
		if prop.kind != anyType {
			continue
		}
		if prop.typ = p.qualified(prop.typ); p.m.types[prop.typ] != nil {
			prop.kind = complexType
		} else {
			prop.kind = p.m.others[prop.typ]
		}
	}
}

// targets says where navigation properties lead.
func (p *edmx) targets(t *structType) {
	for _, nav := range t.navs {
		if p.m.version == 4 {
			nav.target = p.qualified(nav.target)
			continue
		}
		nav.relation = p.qualified(nav.relation)
		r := p.relations[nav.relation]
		if r == nil {
			continue
		}
		nav.target, nav.many = r.types[nav.to], r.many[nav.to]
		if r.principal == nav.from && len(r.repeated) == len(r.dependent) {
			nav.refers = map[string]string{}
			for i, name := range r.dependent {
				nav.refers[name] = r.repeated[i]
			}
		}
	}
}

// inherit gives a type what its base has, in front of its own.
func (p *edmx) inherit(t *structType, done map[string]bool, above []string) error {
	if done[t.name] {
		return nil
	}
	if slices.Contains(above, t.name) {
		return fmt.Errorf("the type %s is its own base", t.name)
	}
	if base := p.m.types[t.base]; base != nil {
		if err := p.inherit(base, done, append(above, t.name)); err != nil {
			return err
		}
		for _, prop := range base.props {
			if t.index[prop.name] != nil {
				return fmt.Errorf("the type %s has the property %s, which its base has too", t.name, prop.name)
			}
			t.index[prop.name] = prop
		}
		t.props = append(slices.Clone(base.props), t.props...)
		t.navs = append(slices.Clone(base.navs), t.navs...)
		if len(t.key) == 0 {
			t.key = base.key
		}
		t.open = t.open || base.open
	}
	done[t.name] = true
	return nil
}

// partners says which properties of a navigation's target repeat those of its source: in V4 the way back tells.
func (p *edmx) partners(t *structType) {
	for _, nav := range t.navs {
		target := p.m.types[nav.target]
		if target == nil || nav.partner == "" || nav.refers != nil {
			continue
		}
		if back := target.navigation(nav.partner); back != nil && len(back.own) > 0 {
			nav.refers = back.own
		}
	}
}

// targetSets says which sets the navigation properties of a V2 set lead to.
func (p *edmx) targetSets(set *entitySet) {
	for _, nav := range p.m.types[set.typ].navs {
		for _, end := range p.ends {
			if p.qualified(end.relation) == nav.relation && nav.relation != "" && end.sets[nav.from] == set.name {
				set.target[nav.name] = end.sets[nav.to]
			}
		}
	}
}
