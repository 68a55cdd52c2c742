package compare

import (
	"fmt"
	"maps"
	"slices"
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

// exactly are the rules of All.
var exactly = &Rules{others: &Rule{Path: Others}}

// All compares every field that either document has, exactly.
func All() *Rules { return exactly }

// New makes rules of those of single fields. Fields without one are not compared, unless one is named Others, or one is to be ignored that is no
// part of a field with a rule: that means that all others count, exactly. Without any, All is meant.
func New(rules []Rule) (*Rules, error) {
	if len(rules) == 0 {
		return All(), nil
	}
	r := &Rules{rules: slices.Clone(rules)}
	leftOut := false
	for i := range r.rules {
		rule := &r.rules[i]
		if err := rule.check(); err != nil {
			return nil, err
		}
		if rule.Set != nil && rule.Empty != EmptyDiffer {
			inside, err := rule.Set.within(rule.Empty)
			if err != nil {
				return nil, err
			}
			rule.Set = inside
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
	for i := range r.rules {
		leftOut = leftOut || r.rules[i].How == Ignore && !r.root.covers(r.rules[i].Path)
	}
	if leftOut && r.others == nil {
		r.others = &Rule{Path: Others}
	}
	return r, nil
}

// within gives the elements of a list of which the rule says what counts as no value: it holds for all that is in them, where they have no rule
// of their own for it.
func (e *Elements) within(empty Empties) (*Elements, error) {
	out := &Elements{Key: e.Key, Each: &Rule{Empty: empty}}
	if e.Each != nil {
		each := *e.Each
		each.Empty = empty
		out.Each = &each
	}
	rules := []Rule{{Path: Others}}
	if e.Rules != nil {
		rules = slices.Clone(e.Rules.rules)
		if e.Rules.others != nil && e.Rules.rule(Others) == nil {
			rules = append(rules, *e.Rules.others)
		}
	}
	for i := range rules {
		if rules[i].Empty == EmptyDiffer {
			rules[i].Empty = empty
		}
	}
	var err error
	out.Rules, err = New(rules)
	return out, err
}

// covers reports whether a field above the path has a rule.
func (n *node) covers(path string) bool {
	names := strings.Split(path, ".")
	for _, name := range names[:len(names)-1] {
		if n = n.below[name]; n.rule != nil {
			return true
		}
	}
	return false
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
	if r.others != nil && r.rule(Others) == nil {
		out = append(out, PlainField{Path: Others})
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

// of gives the rule by which a field is compared: its own, that of the field that it lies in, or that of all others; nil: it is not compared.
func (r *Rules) of(path string) *Rule {
	rule, at := r.others, &r.root
	for _, name := range strings.Split(path, ".") {
		if at = at.below[name]; at == nil {
			break
		}
		if at.rule != nil {
			rule = at.rule
		}
	}
	return rule
}

// Owners are the sides to which fields belong.
func (r *Rules) Owners() map[Side]bool {
	out := map[Side]bool{}
	for i := range r.rules {
		rule := &r.rules[i]
		if rule.Owner != "" {
			out[rule.Owner] = true
		}
		if rule.Set != nil && rule.Set.Rules != nil {
			maps.Copy(out, rule.Set.Rules.Owners())
		}
	}
	return out
}

// Key is what values of a field have in common that are the same under its rule, where that is one for texts or times; under every other rule, and
// without one, it is that of exactly. Objects of two sides, and elements of sets, are paired by it. A nil Rules compares nothing, and gives the keys of exactly.
func (r *Rules) Key(path string, v jsondoc.Value) string {
	if r == nil {
		return (*Rule)(nil).key(v)
	}
	return r.of(path).key(v)
}

// None reports whether a value is none for pairs of objects: null and absent are, and what counts as none under the field's rule.
func (r *Rules) None(path string, v jsondoc.Value) bool {
	if r == nil {
		return !v.Exists()
	}
	rule := r.of(path)
	return !v.Exists() || rule != nil && rule.none(v)
}

// KeyOf is the way in which Key takes a field's values for one: Fold, UUID, Number, Folded, Time or, by every other rule and without one, Exact.
func (r *Rules) KeyOf(path string) How {
	if r == nil {
		return Exact
	}
	switch rule := r.of(path); {
	case rule == nil:
	case rule.How == Fold, rule.How == UUID, rule.How == Number, rule.How == Folded, rule.How == Time:
		return rule.How
	}
	return Exact
}
