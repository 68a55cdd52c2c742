package odata

import (
	"maps"
	"slices"
	"strings"
)

// metadata is what a service says of itself in its $metadata document.
type metadata struct {
	version int                    // of the protocol: 2 or 4
	types   map[string]*structType // entity types and complex types, by their qualified name
	others  map[string]edmType     // enumerations, and the types that type definitions stand for, by their qualified name
	sets    map[string]*entitySet  // by name
}

// structType is an entity type or a complex type, with what it inherits.
type structType struct {
	name    string // qualified
	base    string // qualified; empty: none
	complex bool
	open    bool // it may hold properties that are not declared
	key     []string
	props   []*property
	navs    []*navigation
	index   map[string]*property
}

// edmType is how a property's values are written, in documents and in literals.
type edmType uint8

const (
	anyType edmType = iota // of a type that the document does not declare
	stringType
	booleanType
	integerType // Byte, SByte, Int16, Int32
	int64Type
	decimalType
	doubleType // Double, Single
	dateType   // a day: Edm.Date, and Edm.DateTime that is shown as a date
	clockType  // Edm.DateTime of V2: a date and a time, which say nothing of a zone
	instantType
	timeType // a time of day
	durationType
	guidType
	binaryType
	enumType
	streamType
	complexType
)

var primitives = map[string]edmType{
	"Edm.String": stringType, "Edm.Boolean": booleanType, "Edm.Byte": integerType, "Edm.SByte": integerType, "Edm.Int16": integerType, "Edm.Int32": integerType,
	"Edm.Int64": int64Type, "Edm.Decimal": decimalType, "Edm.Double": doubleType, "Edm.Single": doubleType, "Edm.Date": dateType, "Edm.DateTime": clockType,
	"Edm.DateTimeOffset": instantType, "Edm.Time": timeType, "Edm.TimeOfDay": timeType, "Edm.Duration": durationType, "Edm.Guid": guidType,
	"Edm.Binary": binaryType, "Edm.Stream": streamType,
}

// property is one property of a type. A bound that is -1 is not said.
type property struct {
	name       string
	typ        string // qualified, without Collection(…)
	kind       edmType
	collection bool
	nullable   bool
	length     int // most characters
	precision  int
	scale      int
	floor      int64 // of integers
	ceiling    int64
}

// navigation leads from a type to another one.
type navigation struct {
	name      string
	target    string // type, qualified
	many      bool
	contained bool
	partner   string
	// refers gives, by properties of the target, those of the source that they repeat: the key of a parent in its items.
	refers map[string]string
	// own are the constraints as this end declares them: properties of this type, and those of the target that they repeat.
	own map[string]string
	// relation, from and to are those of V2.
	relation, from, to string
}

// entitySet is a collection that can be asked for.
type entitySet struct {
	name   string
	typ    string
	target map[string]string // sets that navigation properties lead to, by their names
}

// property gives the property of that name; nil: there is none.
func (t *structType) property(name string) *property { return t.index[name] }

// navigation gives the navigation property of that name; nil: there is none.
func (t *structType) navigation(name string) *navigation {
	for _, n := range t.navs {
		if n.name == name {
			return n
		}
	}
	return nil
}

// names lists what a type's documents may hold.
func (t *structType) names() []string {
	var out []string
	for _, p := range t.props {
		out = append(out, p.name)
	}
	for _, n := range t.navs {
		out = append(out, n.name)
	}
	return out
}

func (m *metadata) setNames() []string { return slices.Sorted(maps.Keys(m.sets)) }

// short is a type's name for people.
func short(typ string) string { return typ[strings.LastIndexByte(typ, '.')+1:] }
