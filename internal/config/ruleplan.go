package config

import (
	"time"

	"github.com/waybill-hub/waybill/internal/mapping"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Rule is what must hold of every object of a kind, over the systems that know something of it.
type Rule struct {
	Name   string
	About  string
	Entity string
	Pos    strictyaml.Pos
	// Schedule is when it runs; nil: only when asked.
	Schedule *Schedule
	// Over are the objects of which it must hold.
	Over RuleSide
	// With are objects of other lists that belong to them, in the order of the file: one may be found by what stands above it.
	With []RuleSide
	// Remember are top-level fields of an object's document that are kept for the next run, as previous.
	Remember []string
	// Expect is true where the rule holds. Key is the number that people search for; nil: the object's id. Say is what is wrong with an object;
	// nil: the rule alone.
	Expect *mapping.Expr
	Key    *mapping.Expr
	Say    *mapping.Expr
	// Amount and Currency are the money that a violation is about; nil: none.
	Amount   *mapping.Expr
	Currency *mapping.Expr
	// AtMost are the violations, of all objects, that are no alarm.
	AtMost AtMost
	// Settle is how long what fails is left alone before it is looked at again.
	Settle time.Duration
	// Keep is how long runs are kept, and what the rule remembers of objects that are not seen any more.
	Keep time.Duration
	// Sum is a hash of the definition and of what the lists are read through.
	Sum string
}

// RuleSource is the name of the objects that a rule is about, RulePrevious that of what is remembered of them.
const (
	RuleSource   = "source"
	RulePrevious = "previous"
)

// RuleSide is one list of objects of a system.
type RuleSide struct {
	// Name is its name in expressions, RuleSource for Over.
	Name   string
	System string
	Entity string
	Object string
	// Map makes the document that the rule sees; nil: documents are seen as they are. Flow reads the objects in the hub's daily work, and gives the
	// mapping where the file names none; empty: none does, or several do.
	Map  *mapping.Mapping
	Flow string
	// Where chooses objects, by the document that the rule sees; nil: all.
	Where *mapping.Expr
	// By finds the objects that belong to one of Over: every field has the value.
	By []RuleJoin
	// Group: any number of objects, as a list. Otherwise there is one or none.
	Group bool
	// MayBeEmpty: a list without any object is believed.
	MayBeEmpty bool
}

// RuleJoin is a field of the document, by its dotted path, and the value that it has.
type RuleJoin struct {
	Field string
	Value *mapping.Expr
}

// Rule gives the rule of that name, or nil.
func (p *Plan) Rule(name string) *Rule {
	for _, r := range p.Rules {
		if r.Name == name {
			return r
		}
	}
	return nil
}
