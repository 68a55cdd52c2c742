package compare

import "github.com/waybill-hub/waybill/internal/jsondoc"

// Field is one in which two documents differ. Left and Right are its values as JSON, in memory of the documents; nil: absent.
type Field struct {
	// Path is dotted; an element of a list that is compared as a set by a key stands as lines[sku=A-1].
	Path        string
	Left, Right []byte
	// Rule is how it was compared, as files write it.
	Rule string
	// Rounding: both are numbers, not both whole, and differ by no more than one unit of the last digit of the less exact one; beside a whole
	// one, by no more than a half.
	Rounding bool
	// Owner is the side to which the field belongs: left, right or empty.
	Owner string
}

// Diff appends the fields in which the documents differ: those with rules in their order, then others in that of the documents. Documents that are
// no objects are compared exactly, as a whole, with an empty Path.
func (r *Rules) Diff(dst []Field, left, right jsondoc.Value) []Field {
	if identical(left, right) {
		return dst
	}
	d := differ{out: dst}
	d.documents(r, "", "", nil, left, right)
	return d.out
}

// identical values are the same under every rule.
func identical(a, b jsondoc.Value) bool {
	return a.Kind() == b.Kind() && string(a.Raw()) == string(b.Raw())
}

// differ collects what differs.
type differ struct{ out []Field }

func (d *differ) add(rule *Rule, path string, l, r jsondoc.Value) {
	d.out = append(d.out, Field{
		Path: path, Left: l.Raw(), Right: r.Raw(), Rule: rule.String(), Rounding: rule.rounding(l, r), Owner: string(rule.Owner),
	})
}

// documents compares two documents, or two elements of lists, that stand at whole; the paths of their fields begin with prefix.
func (d *differ) documents(rules *Rules, prefix, whole string, around *scope, l, r jsondoc.Value) {
	if l.Kind() != jsondoc.Object || r.Kind() != jsondoc.Object {
		rule := rules.others
		if rule == nil {
			rule = exactly.others
		}
		if !rule.equal(l, r) {
			d.add(exactly.others, whole, l, r)
		}
		return
	}
	d.fields(&rules.root, rules.others, prefix, &scope{l, r, around}, l, r)
}

// fields compares the members of two objects; rest is the rule of those that have none, or nil.
func (d *differ) fields(n *node, rest *Rule, prefix string, in *scope, l, r jsondoc.Value) {
	if rest != nil && rest.How == Ignore {
		rest = nil
	}
	for _, name := range n.names {
		if x, y := l.Get(name), r.Get(name); !identical(x, y) {
			d.field(n.below[name], rest, prefix+name, in, x, y)
		}
	}
	if rest == nil {
		return
	}
	members(l, r, func(name, x, y jsondoc.Value) bool {
		if identical(x, y) {
			return true
		}
		text := name.Str()
		if n.below[text] == nil {
			d.value(rest, prefix+text, in, x, y)
		}
		return true
	})
}

// field compares a field that has a rule, or parts with rules.
func (d *differ) field(n *node, rest *Rule, path string, in *scope, l, r jsondoc.Value) {
	rule := n.rule
	if rule == nil {
		rule = rest
	}
	objects := l.Kind() == jsondoc.Object && r.Kind() == jsondoc.Object
	if n.below == nil || !objects && rule != nil && rule.How != Ignore {
		d.value(rule, path, in, l, r)
		return
	}
	d.fields(n, rule, path+".", in, l, r)
}

// value compares a whole value.
func (d *differ) value(rule *Rule, path string, in *scope, l, r jsondoc.Value) {
	switch {
	case rule == nil, rule.Owner == Left && rule.none(l), rule.Owner == Right && rule.none(r):
	case rule.How == Set && l.Kind() == jsondoc.Array && r.Kind() == jsondoc.Array:
		d.set(rule, path, in, l, r)
	case !rule.same(in, l, r):
		d.add(rule, path, l, r)
	}
}
