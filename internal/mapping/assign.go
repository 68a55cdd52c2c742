package mapping

import (
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/schema"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// deepest is how far into copied objects types are compared.
const deepest = 6

// assign checks that a value of type t can be what the target's schema wants. Only what can never fit is a problem: what
// might not fit is left to the validation of the result.
func (c *compiler) assign(t typ, target schema.Shape, n strictyaml.Node, path string, depth int) {
	want := shapeKinds(target)
	switch {
	case t.k&kSome == 0:
		if want&kNull == 0 {
			c.p.AddHint(n.Pos(), "make the rule optional with `?` and a value that can be absent, or leave it out", "%s may not be null in %s", path, c.targetName)
		}
		return
	case t.never(want):
		c.p.AddHint(n.Pos(), c.repair(t, want, n), "%s is %s in %s, and this gives %s", path, (want & kSome).a(), c.targetName, (t.k & kSome).a())
		return
	}
	if t.fraction && slices.Equal(target.Types(), []string{"integer"}) {
		c.p.Add(n.Pos(), "%s is a whole number in %s", path, c.targetName)
	}
	c.assignTexts(t, target, n, path)
	if depth == deepest {
		return
	}
	if t.known(kObject) && want&kSome == kObject {
		c.assignObject(t, target, n, path, depth)
	}
	if t.known(kList) && want&kSome == kList {
		if item := t.item(); item.k&kSome != 0 && !item.open {
			c.assign(item, target.Item(), n, path+"[]", depth+1)
		}
	}
}

// repair hints at what makes the value fit.
func (c *compiler) repair(t typ, want kinds, n strictyaml.Node) string {
	switch {
	case n.Quoted() && want&(kNumber|kBool) != 0:
		return "quoted text is literal text: write it without quotes"
	case want&kList != 0 && t.known(kObject):
		return "write {each: …, set: …}, or a list with one item"
	}
	return strings.Trim(conversion(want, t.k), " ()")
}

// assignTexts compares what a value can be with the texts that the target allows.
func (c *compiler) assignTexts(t typ, target schema.Shape, n strictyaml.Node, path string) {
	allowed := target.Enum()
	if len(allowed) == 0 || t.lits == nil || !t.known(kText) {
		return
	}
	var bad []string
	for _, s := range t.lits {
		if !slices.Contains(allowed, s) {
			bad = append(bad, s)
		}
	}
	if len(bad) == 0 || t.some && len(bad) < len(t.lits) {
		return
	}
	hint := "it can be " + listed(allowed)
	if len(bad) == 1 {
		hint = orElse(strictyaml.DidYouMean(bad[0], allowed), hint)
	}
	for i, s := range bad {
		bad[i] = `"` + shorten(s) + `"`
	}
	c.p.AddHint(n.Pos(), hint, "%s can never be %s in %s", path, strings.Join(bad, ", "), c.targetName)
}

// assignObject compares a copied object field by field.
func (c *compiler) assignObject(t typ, target schema.Shape, n strictyaml.Node, path string, depth int) {
	if t.open || t.fields == nil && !t.shaped {
		return
	}
	names := t.fieldNames()
	for _, name := range target.Required() {
		if !slices.Contains(names, name) && len(names) > 0 {
			c.p.AddHint(n.Pos(), "set it field by field", "%s requires %q, and the object that is copied has no such field", path+" in "+c.targetName, name)
		}
	}
	for _, name := range names {
		ft, ok := t.field(name)
		shape, state := target.Field(name)
		switch {
		case !ok:
		case state == schema.Never:
			c.p.AddHint(n.Pos(), "set it field by field", "the object that is copied has a field %q, and %s does not allow it", name, path+" in "+c.targetName)
		case state == schema.Declared && ft.k&kSome != 0:
			c.assign(ft, shape, n, path+"."+name, depth+1)
		}
	}
}
