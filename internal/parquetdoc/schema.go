package parquetdoc

import (
	"errors"
	"fmt"
	"math/big"
	"unicode/utf8"
)

// Kind is what the values of a column are.
type Kind int

// Kinds of columns. A Timestamp is a moment, a Datetime a date and a time of day somewhere, a Bytes what no annotation says more of.
const (
	Text Kind = iota
	Integer
	Decimal
	Float
	Bool
	Date
	Time
	Timestamp
	Datetime
	Bytes
	UUID
)

func (k Kind) String() string {
	return [...]string{"text", "integer", "decimal", "float", "bool", "date", "time", "timestamp", "datetime", "bytes", "uuid"}[k]
}

// Physical types.
const (
	physBool = iota
	physInt32
	physInt64
	physInt96
	physFloat
	physDouble
	physBytes
	physFixed
)

const (
	required = iota
	optional
	repeated
)

// element is a row of the footer's schema.
type element struct {
	name             string
	phys, width      int
	children         int
	repetition       int
	scale, precision int
	converted        int
	logical          int
	adjusted, signed bool
	unit             int // digits behind the seconds
	leaf             bool
}

// Annotations, by their number in the union of logical types.
const (
	logicalString    = 1
	logicalMap       = 2
	logicalList      = 3
	logicalEnum      = 4
	logicalDecimal   = 5
	logicalDate      = 6
	logicalTime      = 7
	logicalTimestamp = 8
	logicalInteger   = 10
	logicalUnknown   = 11
	logicalJSON      = 12
	logicalBSON      = 13
	logicalUUID      = 14
)

// unread are annotations whose values are not read.
var unread = map[int]string{15: "FLOAT16", 16: "VARIANT", 17: "GEOMETRY", 18: "GEOGRAPHY", 100: "INTERVAL"}

// older gives the annotation of files that know no logical types.
var older = map[int]element{
	0: {logical: logicalString}, 1: {logical: logicalMap}, 2: {logical: logicalMap}, 3: {logical: logicalList}, 4: {logical: logicalEnum}, 5: {logical: logicalDecimal}, 6: {logical: logicalDate},
	7: {logical: logicalTime, unit: 3}, 8: {logical: logicalTime, unit: 6}, 9: {logical: logicalTimestamp, unit: 3, adjusted: true}, 10: {logical: logicalTimestamp, unit: 6, adjusted: true},
	11: {logical: logicalInteger}, 12: {logical: logicalInteger}, 13: {logical: logicalInteger}, 14: {logical: logicalInteger}, 15: {logical: logicalInteger, signed: true},
	16: {logical: logicalInteger, signed: true}, 17: {logical: logicalInteger, signed: true}, 18: {logical: logicalInteger, signed: true}, 19: {logical: logicalJSON}, 20: {logical: logicalBSON}, 21: {logical: 100},
}

func (c *cursor) element(typ byte) (e element) {
	e.converted = -1
	c.fields(typ, func(id int64, typ byte) {
		switch id {
		case 1:
			e.phys, e.leaf = c.small(typ), true
		case 2:
			e.width = c.small(typ)
		case 3:
			e.repetition = c.small(typ)
		case 4:
			e.name = string(c.bytes(typ))
		case 5:
			e.children = c.small(typ)
		case 6:
			e.converted = c.small(typ)
		case 7:
			e.scale = c.small(typ)
		case 8:
			e.precision = c.small(typ)
		case 10:
			c.logical(typ, &e)
		default:
			c.skip(typ, false)
		}
	})
	if old, ok := older[e.converted]; ok && e.logical == 0 {
		e.logical, e.unit, e.adjusted, e.signed = old.logical, old.unit, old.adjusted, old.signed
	}
	return e
}

// small is a number of 32 bits that is not below 0.
func (c *cursor) small(typ byte) int {
	n := c.int(typ)
	if n < 0 || n > 1<<31-1 {
		c.fail(fmt.Errorf("%d is not between 0 and 2147483647", n))
		return 0
	}
	return int(n)
}

// logical reads the union of annotations: a structure with one field.
func (c *cursor) logical(typ byte, e *element) {
	c.fields(typ, func(id int64, typ byte) {
		e.logical = int(id)
		c.fields(typ, func(part int64, typ byte) {
			switch {
			case e.logical == logicalDecimal && part == 1:
				e.scale = c.small(typ)
			case e.logical == logicalDecimal && part == 2:
				e.precision = c.small(typ)
			case (e.logical == logicalTime || e.logical == logicalTimestamp) && part == 1:
				e.adjusted = c.bool(typ)
			case (e.logical == logicalTime || e.logical == logicalTimestamp) && part == 2:
				c.fields(typ, func(unit int64, typ byte) {
					e.unit = 3 * int(unit)
					c.skip(typ, false)
				})
			case e.logical == logicalInteger && part == 2:
				e.signed = c.bool(typ)
			default:
				c.skip(typ, false)
			}
		})
	})
}

// node is a column, or a group of columns.
type node struct {
	element
	path     string
	def, rep int // levels of a value that is there
	kids     []*node
	leaves   []*Leaf // below it, and it itself
	// wraps: it is a list or a map, and its one kid is repeated. inner: it is such a kid, and its own kid is the element.
	wraps, inner bool
}

// Leaf is a column.
type Leaf struct {
	*node
	kind  Kind
	index int
	// text shows a value that was asked for in another form than its own.
	text func(dst []byte, text string) ([]byte, error)
}

// Path is where the column stands in documents, with dots; elements of lists have no name.
func (l *Leaf) Path() string { return l.path }

// Kind is what its values are.
func (l *Leaf) Kind() Kind { return l.kind }

// Show has the values of the column shown by a function of what they are as a text.
func (l *Leaf) Show(as func(dst []byte, text string) ([]byte, error)) { l.text = as }

// schema makes the tree of the footer's list.
type schema struct {
	all    []element
	at     int
	leaves []*Leaf
}

func newSchema(all []element) (*node, []*Leaf, error) {
	if len(all) < 2 || all[0].leaf {
		return nil, nil, errors.New("the schema has no columns")
	}
	s := &schema{all: all}
	all[0].repetition = required
	root, err := s.node(nil, "", 0)
	if err == nil && s.at < len(all) {
		err = errors.New("the schema has columns that belong to no group")
	}
	return root, s.leaves, err
}

func (s *schema) node(above *node, path string, deep int) (*node, error) {
	if s.at >= len(s.all) {
		return nil, errors.New("the schema lacks columns")
	}
	n := &node{element: s.all[s.at], path: path}
	s.at++
	if !utf8.ValidString(n.name) || above != nil && n.name == "" {
		return nil, fmt.Errorf("a column of %q has no name, or one that is no text", path)
	}
	if deep > mostLevels {
		return nil, fmt.Errorf("more than %d groups of columns stand in each other", mostLevels)
	}
	if above != nil {
		n.def, n.rep = above.def, above.rep
		n.inner = above.wraps && s.inner(n, above)
		if !above.wraps && !above.inner { // what repeats in a list has no name in documents
			n.path = join(above.path, n.name)
		}
	}
	switch n.repetition {
	case required:
	case optional:
		n.def++
	case repeated:
		n.def++
		n.rep++
	default:
		return nil, fmt.Errorf("%s: there is no repetition %d", n.path, n.repetition)
	}
	first := len(s.leaves)
	if n.leaf {
		if err := s.leaf(n); err != nil {
			return nil, fmt.Errorf("%s: %w", n.path, err)
		}
	} else if err := s.group(n, deep); err != nil {
		return nil, err
	}
	n.leaves = s.leaves[first:len(s.leaves):len(s.leaves)]
	return n, nil
}

func (s *schema) group(n *node, deep int) error {
	if n.children == 0 {
		return fmt.Errorf("%q is a group without columns", n.path)
	}
	n.wraps = (n.logical == logicalList || n.logical == logicalMap) && n.children == 1 && s.at < len(s.all) && s.all[s.at].repetition == repeated
	if what := unread[n.logical]; what != "" {
		return fmt.Errorf("%s is of the type %s, which is not read: leave the column out of the file", n.path, what)
	}
	names := map[string]bool{}
	for range n.children {
		k, err := s.node(n, n.path, deep+1)
		if err != nil {
			return err
		}
		if names[k.name] {
			return fmt.Errorf("two columns have the name %q", join(n.path, k.name))
		}
		names[k.name] = true
		n.kids = append(n.kids, k)
	}
	return nil
}

// inner reports whether what repeats in a list holds the element, and is not the element itself, as in files of old writers.
func (s *schema) inner(n, list *node) bool {
	return list.logical == logicalList && !n.leaf && n.children == 1 && n.name != "array" && n.name != list.name+"_tuple" && s.at < len(s.all) && s.all[s.at].repetition != repeated
}

func (s *schema) leaf(n *node) error {
	if n.phys > physFixed {
		return fmt.Errorf("there is no physical type %d", n.phys)
	}
	if n.phys == physFixed && n.width < 1 {
		return fmt.Errorf("values of %d bytes", n.width)
	}
	if what := unread[n.logical]; what != "" {
		return fmt.Errorf("values of the type %s are not read: leave the column out of the file", what)
	}
	kind, err := n.kindOf()
	if err != nil {
		return err
	}
	s.leaves = append(s.leaves, &Leaf{node: n, kind: kind, index: len(s.leaves)})
	return nil
}

var errPhysical = errors.New("its annotation does not go with its physical type")

// kindOf is what a column's values are, by annotation and physical type.
func (n *node) kindOf() (Kind, error) {
	integer := n.phys == physInt32 || n.phys == physInt64
	kind, fits := Bytes, n.phys == physBytes || n.phys == physFixed
	switch n.logical {
	case logicalString, logicalEnum, logicalJSON:
		kind, fits = Text, n.phys == physBytes
	case logicalDecimal:
		return Decimal, n.decimal()
	case logicalDate:
		kind, fits = Date, n.phys == physInt32
	case logicalTime, logicalTimestamp:
		kind, fits = Datetime, n.phys == physInt64 && (n.unit == 3 || n.unit == 6 || n.unit == 9)
		switch {
		case n.logical == logicalTime:
			kind, fits = Time, fits && n.unit != 3 || n.phys == physInt32 && n.unit == 3
		case n.adjusted:
			kind = Timestamp
		}
	case logicalInteger:
		kind, fits = Integer, integer
	case logicalUUID:
		kind, fits = UUID, n.phys == physFixed && n.width == 16
	case logicalUnknown:
		return Text, nil // every value is null
	case logicalBSON:
		fits = n.phys == physBytes
	default:
		switch n.phys {
		case physBool:
			return Bool, nil
		case physInt32, physInt64:
			n.signed = true
			return Integer, nil
		case physFloat, physDouble:
			return Float, nil
		case physInt96:
			return Datetime, nil
		}
	}
	if !fits {
		return kind, errPhysical
	}
	return kind, nil
}

func (n *node) decimal() error {
	most := mostPrecision
	switch n.phys {
	case physInt32:
		most = 9
	case physInt64:
		most = 18
	case physFixed:
		most = min(most, len(new(big.Int).Lsh(big.NewInt(1), uint(8*min(n.width, 64)-1)).String())-1)
	case physBytes:
	default:
		return errPhysical
	}
	if n.precision < 1 || n.precision > most || n.scale > n.precision {
		return fmt.Errorf("a decimal of %d digits, %d of them behind the mark: there are at most %d", n.precision, n.scale, most)
	}
	return nil
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
