package mapping

import (
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/schema"
)

// kinds is a set of kinds of values.
type kinds uint8

const (
	kNull kinds = 1 << iota
	kText
	kNumber
	kBool
	kList
	kObject

	kAll   = kNull | kText | kNumber | kBool | kList | kObject
	kSome  = kAll &^ kNull
	kPlain = kText | kNumber
)

var kindWords = []struct {
	k       kinds
	word, a string
}{
	{kText, "text", "text"},
	{kNumber, "number", "a number"},
	{kBool, "boolean", "a boolean"},
	{kList, "list", "a list"},
	{kObject, "object", "an object"},
	{kNull, "null", "null"},
}

// String names the kinds as documents of the language do: "text or number".
func (k kinds) String() string {
	if k&kSome == kSome {
		return "anything"
	}
	var words []string
	for _, w := range kindWords {
		if k&w.k != 0 {
			words = append(words, w.word)
		}
	}
	return strings.Join(words, " or ")
}

// a names the kinds with their article: "a number".
func (k kinds) a() string {
	if k&kSome == kSome {
		return "anything"
	}
	var words []string
	for _, w := range kindWords {
		if k&w.k != 0 {
			words = append(words, w.a)
		}
	}
	return strings.Join(words, " or ")
}

func kindOf(x any) kinds {
	switch x.(type) {
	case string:
		return kText
	case jsondoc.Decimal:
		return kNumber
	case bool:
		return kBool
	case []any:
		return kList
	case map[string]any:
		return kObject
	}
	return kNull
}

// typ is what is known of a value before any document has been seen.
type typ struct {
	k kinds
	// shape holds what a schema says of it.
	shape  schema.Shape
	shaped bool
	// open: nothing is known of its fields, and any may be asked for (no schema).
	open bool
	// elem is the type of a list's elements, fields those of an object that the mapping itself builds; nil where shape says it.
	elem   *typ
	fields map[string]typ
	// lits are all texts that it can be, where that is known; some: not all of them need ever come (a source's enumeration, the
	// entries of a value map), as those that an expression names itself do.
	lits []string
	some bool
	// fraction: a literal number that is not whole.
	fraction bool
	// time: a point in time as RFC 3339.
	time bool
	// span: a length of time, in seconds.
	span bool
	// from is where in the source it stands, "$" for all of it; empty where that is not known.
	from string
}

var (
	anyType    = typ{k: kAll, open: true}
	textType   = typ{k: kText}
	numberType = typ{k: kNumber}
	boolType   = typ{k: kBool}
)

// maybe is t, or absent.
func (t typ) maybe() typ {
	t.k |= kNull
	return t
}

func listOf(elem typ) typ { return typ{k: kList, elem: &elem} }

var schemaKinds = map[string]kinds{
	"object": kObject, "array": kList, "string": kText, "number": kNumber, "integer": kNumber, "boolean": kBool, "null": kNull,
}

// shapeKinds are the kinds that a schema allows.
func shapeKinds(sh schema.Shape) kinds {
	var k kinds
	for _, name := range sh.Types() {
		k |= schemaKinds[name]
	}
	if k == 0 {
		return kAll
	}
	return k
}

// fromShape is the type of a source value that a schema describes.
func fromShape(sh schema.Shape) typ {
	t := typ{k: shapeKinds(sh), shape: sh, shaped: true}
	if t.k&kSome == kText {
		t.lits, t.some = sh.Enum(), true
	}
	return t
}

// item is the type of t's elements.
func (t typ) item() typ {
	switch {
	case t.elem != nil:
		return *t.elem
	case t.shaped:
		return fromShape(t.shape.Item()).of(t, AnyElement)
	}
	return anyType.of(t, AnyElement)
}

// of says that t stands below another value of the source.
func (t typ) of(above typ, step string) typ {
	if above.from != "" {
		t.from = above.from + between + step
	}
	return t
}

// field is the type of a field; ok is false where no schema declares it.
func (t typ) field(name string) (ft typ, ok bool) {
	switch {
	case t.fields != nil:
		ft, ok = t.fields[name]
		return ft, ok
	case t.shaped:
		sh, state := t.shape.Field(name)
		if state != schema.Declared {
			return typ{}, false
		}
		return fromShape(sh).maybe().of(t, name), true
	}
	return anyType.of(t, name), t.open
}

// fieldNames are the declared fields, for hints.
func (t typ) fieldNames() []string {
	if t.fields != nil {
		names := make([]string, 0, len(t.fields))
		for name := range t.fields {
			names = append(names, name)
		}
		slices.Sort(names)
		return names
	}
	if t.shaped {
		return t.shape.Fields()
	}
	return nil
}

// known reports whether the value is certainly of one of these kinds, whenever it is not absent.
func (t typ) known(k kinds) bool { return t.k&kSome&^k == 0 }

// never reports whether the value can be of none of these kinds.
func (t typ) never(k kinds) bool { return t.k&kSome != 0 && t.k&k&kSome == 0 }

// union is the type of a value that is one of the two.
func union(a, b typ) typ { return unionAt(a, b, 0) }

// deepestUnion is how many lists within lists are told apart: types of anything, and of recursive schemas, have no bottom.
const deepestUnion = 4

func unionAt(a, b typ, depth int) typ {
	switch {
	case a.k&kSome == 0:
		b.k |= a.k
		return b
	case b.k&kSome == 0:
		a.k |= b.k
		return a
	}
	u := typ{k: a.k | b.k, open: true, time: a.time && b.time, span: a.span && b.span, fraction: a.fraction && b.fraction}
	if a.k&kSome == kText && b.k&kSome == kText && a.lits != nil && b.lits != nil {
		u.lits, u.some = append(slices.Clone(a.lits), b.lits...), a.some || b.some
	}
	if a.k&b.k&kList != 0 && depth < deepestUnion {
		elem := unionAt(a.item(), b.item(), depth+1)
		u.elem = &elem
	}
	return u
}
