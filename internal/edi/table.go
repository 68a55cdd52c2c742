package edi

import (
	"fmt"
	"strings"

	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Table says how the segments of one type of message are a document, in both directions.
type Table struct {
	Name     string
	Standard Standard
	// Message is 850 or ORDERS, Code X12's functional identifier, Version what is written when nothing else is said.
	Message, Code, Version string
	// keep: segments and elements that the table does not name are kept in the document; else they are faults.
	keep  bool
	root  level
	tags  map[string]bool // all that it names
	loops map[string]bool // those that begin a loop
	// kept are the tags of each loop that it does not take over, by the one that begins it.
	kept map[string]map[string]bool
	// hlTag begins hierarchical levels, whose parent is the data element hlParent; empty: there are none.
	hlTag    string
	hlParent int

	listed map[string]bool // names of its code lists
	file   string          // its source: a partner's code lists make another table of it
	data   []byte
}

// level is what follows each other: in the message, or in a loop. It may hold itself.
type level struct {
	items []item
	names map[string]bool // members of its documents
	tags  map[string][]int
	// dividers are the items that divide it.
	dividers []int
}

// item is a segment or a loop at its place.
type item struct {
	tag      string
	when     []condition
	required bool
	max      int
	// list or object is where its values stand; both empty: in the document of the level.
	list, object string
	elements     map[int]*element
	order        []int      // of elements
	at           []*element // the same by place, up to last
	last         int
	loop         *level          // nil: a segment
	keeps        map[string]bool // the tags of a loop that is not taken over; nil: it is none
	names        map[string]bool
	after        string // name prefix of what the table does not name
	place        int    // items of one place may come in any order
	window              // the releases that have it
	// divides: it says nothing but that another part of the message begins, and what stands behind it in the table cannot come before it.
	divides bool
	pos     strictyaml.Pos
}

type condition struct {
	element, component int
	values             []string
}

// element is what one data element is in a document.
type element struct {
	simple *value
	// pairs: from here on qualifier and value follow each other, and are an object of this name.
	pairs  string
	most   int
	repeat bool
	parts  map[int]*value // of a composite, by component
	last   int
}

// value is one text of a segment.
type value struct {
	name     string
	key      []byte // of its member in JSON
	required bool
	kind     valueKind
	implied  int // decimals that are not written
	min, max int
	codes    map[string]string // as it stands to as it is in documents
	back     map[string]string
	open     bool // other codes are taken as they are
	fixed    string
	count    string // the tag of the segments that it counts
	auto     string // hl-id, hl-parent, hl-child
	// dated is the component that holds the date's format; 0: there is none.
	dated int
	// format: it is such a component, and the table gives what is written by default.
	format string
}

type valueKind uint8

const (
	asText valueKind = iota
	asDecimal
	asInteger
	asImplied
	asDate
	asTime
)

func (it *item) label() string {
	var parts []string
	for _, w := range it.when {
		parts = append(parts, fmt.Sprintf("%d=%s", w.element, strings.Join(w.values, "|")))
	}
	if parts == nil {
		return it.tag
	}
	return it.tag + " with " + strings.Join(parts, ", ")
}
