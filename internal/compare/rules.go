package compare

import (
	"fmt"
	"strings"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// Rules compare two documents field by field. They do not change, and may be used by many at once.
type Rules struct {
	rules []Rule
	root  node
	// others is the rule of fields that have none; nil: they are not compared.
	others *Rule
}

// node is a step of the paths that have rules.
type node struct {
	rule  *Rule
	names []string // of below, in the order of the rules
	below map[string]*node
}

// Field is one in which two documents differ. Left and Right are its values as JSON, in memory of the documents; nil: absent.
type Field struct {
	// Path is dotted; an element of a list that is compared as a set by a key stands as lines[sku=A-1].
	Path        string
	Left, Right []byte
	// Rule is how it was compared, as files write it.
	Rule string
	// Rounding: both are numbers, not both whole, and differ by no more than one unit of the last digit of the less exact one.
	Rounding bool
	// Owner is the side to which the field belongs: left, right or empty.
	Owner string
}

// All compares every field that either document has, exactly.
func All() *Rules { return &Rules{others: &Rule{Path: Others}} }

// New makes rules of those of single fields. Fields without one are not compared, unless one is named Others, or one is to be ignored: that
// means that all others count, exactly. Without any, All is meant.
func New(rules []Rule) (*Rules, error) {
	if len(rules) == 0 {
		return All(), nil
	}
	r := &Rules{rules: rules}
	for i := range rules {
		rule := &rules[i]
		if err := rule.check(); err != nil {
			return nil, err
		}
		if rule.Path == Others {
			r.others = rule
			continue
		}
		at := &r.root
		for _, name := range strings.Split(rule.Path, ".") {
			at = at.step(name)
		}
		if at.rule != nil {
			return nil, fmt.Errorf("%q has two rules", rule.Path)
		}
		at.rule = rule
	}
	for i := range rules {
		if rules[i].How == Ignore && r.others == nil && !strings.Contains(rules[i].Path, ".") {
			r.others = &Rule{Path: Others}
		}
	}
	return r, nil
}

func (n *node) step(name string) *node {
	next := n.below[name]
	if next == nil {
		next = &node{}
		if n.below == nil {
			n.below = map[string]*node{}
		}
		n.below[name] = next
		n.names = append(n.names, name)
	}
	return next
}

// Fields are the paths that have rules, in their order.
func (r *Rules) Fields() []string {
	var out []string
	for i := range r.rules {
		if r.rules[i].Path != Others {
			out = append(out, r.rules[i].Path)
		}
	}
	return out
}

// PlainField is a field that is compared in a way of which a database is capable by itself.
type PlainField struct {
	// Path is a column, or Others.
	Path string
	// Ignore: it is left out.
	Ignore bool
	// Within is how far amounts may be apart; nil: exactly.
	Within *Bound
}

// Plain gives the rules where all of them are exact, within or to be ignored, for fields that are not within others.
func (r *Rules) Plain() ([]PlainField, bool) {
	var out []PlainField
	for i := range r.rules {
		rule := &r.rules[i]
		f := PlainField{Path: rule.Path, Ignore: rule.How == Ignore}
		switch {
		case rule.Empty != EmptyDiffer, rule.Owner != "", strings.Contains(rule.Path, "."):
			return nil, false
		case rule.How == Within && rule.Within.Currency == "":
			f.Within = rule.Within.Bound
		case rule.how() != Exact && rule.How != Ignore:
			return nil, false
		}
		out = append(out, f)
	}
	if r.others != nil && r.others.Path == Others && len(r.rules) > 0 && r.rule(Others) == nil {
		out = append(out, PlainField{Path: Others})
	}
	if len(r.rules) == 0 {
		out = []PlainField{{Path: Others}}
	}
	return out, true
}

func (r *Rules) rule(path string) *Rule {
	for i := range r.rules {
		if r.rules[i].Path == path {
			return &r.rules[i]
		}
	}
	return nil
}

// Diff appends the fields in which the documents differ.
func (r *Rules) Diff(dst []Field, left, right jsondoc.Value) []Field {
	for _, path := range r.Fields() {
		l, rt := left.GetPath(path), right.GetPath(path)
		if rule := r.rule(path); rule.How != Ignore && !l.Equal(rt) {
			dst = append(dst, Field{Path: path, Left: l.Raw(), Right: rt.Raw(), Rule: rule.String(), Owner: string(rule.Owner)})
		}
	}
	return dst
}
