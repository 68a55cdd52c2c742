package odata

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// maxMetadata bounds a $metadata document: the largest of S/4HANA's services have a few MiB.
const maxMetadata = 32 << 20

// parseMetadata reads a $metadata document: CSDL in XML, of OData 2.0 and 4.0. Elements that it does not know, such as annotations, are left out;
// what it knows must be whole. An error names its place in the document.
func parseMetadata(b []byte) (*metadata, error) {
	if len(b) > maxMetadata {
		return nil, fmt.Errorf("the document is longer than %d MiB", maxMetadata>>20)
	}
	p := &edmx{d: xml.NewDecoder(bytes.NewReader(b)), alias: map[string]string{}, relations: map[string]*relation{},
		m: &metadata{types: map[string]*structType{}, others: map[string]edmType{}, sets: map[string]*entitySet{}}}
	if err := p.document(); err != nil {
		return nil, err
	}
	if err := p.resolve(); err != nil {
		return nil, err
	}
	return p.m, nil
}

// edmx is a document that is being read.
type edmx struct {
	d         *xml.Decoder
	m         *metadata
	alias     map[string]string // namespaces by their alias
	namespace string            // of the schema that is being read
	relations map[string]*relation
	ends      []relationSet
}

// relation is an association of V2.
type relation struct {
	types     map[string]string // by role
	many      map[string]bool   // by role
	principal string            // role
	repeated  []string          // properties of the principal
	dependent []string          // those that repeat them
}

// relationSet is an AssociationSet of V2.
type relationSet struct {
	relation string
	sets     map[string]string // by role
}

// problem is an error at the present place.
func (p *edmx) problem(format string, args ...any) error {
	line, col := p.d.InputPos()
	return fmt.Errorf("%d:%d: %s", line, col, fmt.Sprintf(format, args...))
}

func (p *edmx) token() (xml.Token, error) {
	t, err := p.d.Token()
	var syntax *xml.SyntaxError
	switch {
	case err == io.EOF:
		return nil, p.problem("the document ends too early")
	case errors.As(err, &syntax):
		return nil, p.problem("%s", syntax.Msg)
	case err != nil:
		return nil, p.problem("%s", err)
	}
	if _, is := t.(xml.Directive); is {
		return nil, p.problem("a document type declaration does not belong here")
	}
	return t, nil
}

// elements reads the elements inside the present one up to its end: those with a reader by it, which reads them to their ends, all others not at all.
func (p *edmx) elements(readers map[string]func(xml.StartElement) error) error {
	for {
		t, err := p.token()
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case xml.EndElement:
			return nil
		case xml.StartElement:
			if read := readers[t.Name.Local]; read != nil {
				err = read(t)
			} else {
				err = p.skip()
			}
			if err != nil {
				return err
			}
		}
	}
}

// skip leaves out the present element.
func (p *edmx) skip() error {
	for depth := 1; depth > 0; {
		t, err := p.token()
		if err != nil {
			return err
		}
		switch t.(type) {
		case xml.StartElement:
			depth++
		case xml.EndElement:
			depth--
		}
	}
	return nil
}

// attribute gives an attribute of no namespace, or of any where foreign is set, as sap:display-format is.
func attribute(e xml.StartElement, name string, foreign bool) string {
	for _, a := range e.Attr {
		if a.Name.Local == name && (a.Name.Space != "") == foreign {
			return a.Value
		}
	}
	return ""
}

// named gives an attribute that must be there.
func (p *edmx) named(e xml.StartElement, name string) (string, error) {
	v := attribute(e, name, false)
	if v == "" {
		return "", p.problem("%s has no %s", e.Name.Local, name)
	}
	return v, nil
}

func (p *edmx) document() error {
	var root xml.StartElement
	for root.Name.Local == "" {
		t, err := p.token()
		if err != nil {
			return err
		}
		if start, is := t.(xml.StartElement); is {
			root = start
		}
	}
	if root.Name.Local != "Edmx" {
		return p.problem("the document is no metadata: it begins with %s, not with Edmx", root.Name.Local)
	}
	switch version := attribute(root, "Version", false); version {
	case "1.0":
		p.m.version = 2
	case "4.0", "4.01":
		p.m.version = 4
	default:
		return p.problem("Edmx has the version %q; 1.0 (of OData 2.0), 4.0 and 4.01 are known", version)
	}
	services := 0
	err := p.elements(map[string]func(xml.StartElement) error{"DataServices": func(e xml.StartElement) error {
		services++
		if v := attribute(e, "DataServiceVersion", true); p.m.version == 2 && v != "" && v != "1.0" && v != "2.0" {
			return p.problem("the service speaks OData %s; 2.0 and 4.0 are known", v)
		}
		return p.elements(map[string]func(xml.StartElement) error{"Schema": p.schema})
	}})
	if err == nil && services != 1 {
		err = p.problem("the document has %d DataServices, not one", services)
	}
	return err
}

func (p *edmx) schema(e xml.StartElement) error {
	namespace, err := p.named(e, "Namespace")
	if err != nil {
		return err
	}
	p.namespace = namespace
	if alias := attribute(e, "Alias", false); alias != "" {
		p.alias[alias] = namespace
	}
	return p.elements(map[string]func(xml.StartElement) error{
		"EntityType":      func(e xml.StartElement) error { return p.structure(e, false) },
		"ComplexType":     func(e xml.StartElement) error { return p.structure(e, true) },
		"EnumType":        func(e xml.StartElement) error { return p.other(e, enumType) },
		"TypeDefinition":  func(e xml.StartElement) error { return p.other(e, primitives[attribute(e, "UnderlyingType", false)]) },
		"Association":     p.association,
		"EntityContainer": p.container,
	})
}

// other reads a type without properties.
func (p *edmx) other(e xml.StartElement, kind edmType) error {
	name, err := p.named(e, "Name")
	if err != nil {
		return err
	}
	p.m.others[p.namespace+"."+name] = kind
	return p.skip()
}

func (p *edmx) structure(e xml.StartElement, complex bool) error {
	name, err := p.named(e, "Name")
	if err != nil {
		return err
	}
	t := &structType{name: p.namespace + "." + name, base: attribute(e, "BaseType", false), complex: complex, open: attribute(e, "OpenType", false) == "true",
		index: map[string]*property{}}
	if p.m.types[t.name] != nil {
		return p.problem("the type %s stands here twice", t.name)
	}
	p.m.types[t.name] = t
	return p.elements(map[string]func(xml.StartElement) error{
		"Key": func(xml.StartElement) error {
			return p.refs(&t.key)
		},
		"Property": func(e xml.StartElement) error {
			prop, err := p.prop(e)
			if err != nil {
				return err
			}
			if t.property(prop.name) != nil {
				return p.problem("%s has the property %s twice", t.name, prop.name)
			}
			t.props, t.index[prop.name] = append(t.props, prop), prop
			return p.skip()
		},
		"NavigationProperty": func(e xml.StartElement) error {
			nav, err := p.nav(e)
			if err == nil {
				t.navs = append(t.navs, nav)
			}
			return err
		},
	})
}

// refs reads the PropertyRefs of the present element.
func (p *edmx) refs(into *[]string) error {
	return p.elements(map[string]func(xml.StartElement) error{"PropertyRef": func(e xml.StartElement) error {
		name, err := p.named(e, "Name")
		if err != nil {
			return err
		}
		*into = append(*into, name)
		return p.skip()
	}})
}

func (p *edmx) prop(e xml.StartElement) (*property, error) {
	name, err := p.named(e, "Name")
	if err != nil {
		return nil, err
	}
	typ, err := p.named(e, "Type")
	if err != nil {
		return nil, err
	}
	out := &property{name: name, nullable: attribute(e, "Nullable", false) != "false", length: -1, precision: -1, scale: -1}
	out.typ, out.collection = element(typ)
	if out.kind = primitives[out.typ]; out.kind == clockType && attribute(e, "display-format", true) == "Date" {
		out.kind = dateType
	}
	for _, bound := range []struct {
		name string
		into *int
	}{{"MaxLength", &out.length}, {"Precision", &out.precision}, {"Scale", &out.scale}} {
		text := attribute(e, bound.name, false)
		switch strings.ToLower(text) {
		case "", "max", "variable", "floating":
			continue
		}
		if *bound.into, err = strconv.Atoi(text); err != nil || *bound.into < 0 {
			return nil, p.problem("%s of %s is %q, which is no number", bound.name, name, text)
		}
	}
	if out.kind == decimalType && p.m.version == 4 && out.precision >= 0 && attribute(e, "Scale", false) == "" {
		out.scale = 0 // so says the protocol; of V2 nothing is said
	}
	out.floor, out.ceiling = bounds(out.typ)
	return out, nil
}

// bounds are those of the integers of a type.
func bounds(typ string) (floor, ceiling int64) {
	switch typ {
	case "Edm.Byte":
		return 0, 255
	case "Edm.SByte":
		return -128, 127
	case "Edm.Int16":
		return -1 << 15, 1<<15 - 1
	case "Edm.Int32":
		return -1 << 31, 1<<31 - 1
	}
	return -1 << 63, 1<<63 - 1
}

// element gives the type inside Collection(…).
func element(typ string) (inside string, collection bool) {
	if rest, ok := strings.CutPrefix(typ, "Collection("); ok {
		return strings.TrimSuffix(rest, ")"), true
	}
	return typ, false
}

func (p *edmx) nav(e xml.StartElement) (*navigation, error) {
	name, err := p.named(e, "Name")
	if err != nil {
		return nil, err
	}
	out := &navigation{name: name, partner: attribute(e, "Partner", false), contained: attribute(e, "ContainsTarget", false) == "true", own: map[string]string{},
		relation: attribute(e, "Relationship", false), from: attribute(e, "FromRole", false), to: attribute(e, "ToRole", false)}
	if p.m.version == 4 {
		typ, err := p.named(e, "Type")
		if err != nil {
			return nil, err
		}
		out.target, out.many = element(typ)
	} else if out.relation == "" || out.from == "" || out.to == "" {
		return nil, p.problem("NavigationProperty %s lacks one of Relationship, FromRole and ToRole", name)
	}
	return out, p.elements(map[string]func(xml.StartElement) error{"ReferentialConstraint": func(e xml.StartElement) error {
		if own, theirs := attribute(e, "Property", false), attribute(e, "ReferencedProperty", false); own != "" && theirs != "" {
			out.own[own] = theirs
		}
		return p.skip()
	}})
}

func (p *edmx) association(e xml.StartElement) error {
	name, err := p.named(e, "Name")
	if err != nil {
		return err
	}
	r := &relation{types: map[string]string{}, many: map[string]bool{}}
	p.relations[p.namespace+"."+name] = r
	return p.elements(map[string]func(xml.StartElement) error{
		"End": func(e xml.StartElement) error {
			role := attribute(e, "Role", false)
			r.types[role], r.many[role] = attribute(e, "Type", false), attribute(e, "Multiplicity", false) == "*"
			return p.skip()
		},
		"ReferentialConstraint": func(xml.StartElement) error {
			return p.elements(map[string]func(xml.StartElement) error{
				"Principal": func(e xml.StartElement) error {
					r.principal = attribute(e, "Role", false)
					return p.refs(&r.repeated)
				},
				"Dependent": func(xml.StartElement) error { return p.refs(&r.dependent) },
			})
		},
	})
}

func (p *edmx) container(xml.StartElement) error {
	return p.elements(map[string]func(xml.StartElement) error{
		"EntitySet": func(e xml.StartElement) error {
			name, err := p.named(e, "Name")
			if err != nil {
				return err
			}
			typ, err := p.named(e, "EntityType")
			if err != nil {
				return err
			}
			set := &entitySet{name: name, typ: typ, target: map[string]string{}}
			if p.m.sets[name] != nil {
				return p.problem("the entity set %s stands here twice", name)
			}
			p.m.sets[name] = set
			return p.elements(map[string]func(xml.StartElement) error{"NavigationPropertyBinding": func(e xml.StartElement) error {
				target := attribute(e, "Target", false)
				set.target[attribute(e, "Path", false)] = target[strings.LastIndexByte(target, '/')+1:]
				return p.skip()
			}})
		},
		"AssociationSet": func(e xml.StartElement) error {
			r := relationSet{relation: attribute(e, "Association", false), sets: map[string]string{}}
			err := p.elements(map[string]func(xml.StartElement) error{"End": func(e xml.StartElement) error {
				r.sets[attribute(e, "Role", false)] = attribute(e, "EntitySet", false)
				return p.skip()
			}})
			p.ends = append(p.ends, r)
			return err
		},
	})
}
