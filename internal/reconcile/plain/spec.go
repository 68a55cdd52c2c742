package plain

import (
	"fmt"
	"slices"

	"github.com/waybill-hub/waybill/internal/compare"
	"github.com/waybill-hub/waybill/internal/connector"
)

// SpecOf says how two objects of which the settings tell this are compared as columns under rules, or why they cannot be: which documents compare the
// same way. key are the fields by which objects are paired. It asks no system; Open may still find a column that is not plain.
func SpecOf(rules *compare.Rules, key []string, left, right connector.PlainSettings) (s Spec, why string) {
	for _, side := range []struct {
		name string
		is   connector.PlainSettings
	}{{"left", left}, {"right", right}} {
		if side.is.Group == "" {
			return s, fmt.Sprintf("the %s side gives no plain columns: %s", side.name, side.is.Why)
		}
	}
	if left.Group != right.Group {
		return s, fmt.Sprintf("the sides are of different kinds, %s and %s", left.Group, right.Group)
	}
	fields, ok := rules.Plain()
	if !ok {
		return s, "a rule is neither exact nor within"
	}
	if len(key) == 0 {
		return s, "objects are not paired by a column"
	}
	c := choice{left: left, right: right, named: map[string]bool{}}
	for _, name := range key {
		c.add(&s.Key, compare.PlainField{Path: name})
		c.named[name] = true
	}
	others := false
	for _, f := range fields {
		if f.Path == compare.Others {
			others = !f.Ignore
			continue
		}
		if !f.Ignore && !c.named[f.Path] {
			c.add(&s.Columns, f)
		}
		c.named[f.Path] = true
	}
	if i := slices.IndexFunc(fields, func(f compare.PlainField) bool { return f.Path == compare.Others }); others {
		c.others(&s.Columns, fields[i])
	}
	return s, c.why
}

// choice gathers columns; why is the reason against the first that is none.
type choice struct {
	left, right connector.PlainSettings
	named       map[string]bool
	why         string
}

func (c *choice) add(to *[]Column, f compare.PlainField) {
	for _, side := range []struct {
		name string
		is   connector.PlainSettings
	}{{"left", c.left}, {"right", c.right}} {
		if c.why == "" && !slices.Contains(side.is.Columns, f.Path) {
			c.why = fmt.Sprintf("on the %s the field %s %s", side.name, f.Path, reason(side.is.Others[f.Path]))
		}
	}
	*to = append(*to, Column{Left: f.Path, Right: f.Path, Within: f.Within})
}

// others adds whatever either side has and nothing has named.
func (c *choice) others(to *[]Column, f compare.PlainField) {
	var names []string
	for _, side := range []connector.PlainSettings{c.left, c.right} {
		names = append(names, side.Columns...)
		for name := range side.Others {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if !c.named[name] {
			c.add(to, compare.PlainField{Path: name, Within: f.Within})
		}
	}
}
