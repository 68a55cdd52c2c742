package compare

import "github.com/waybill-hub/waybill/internal/jsondoc"

// members visits the members of two objects by their names, those of a first, until visit gives false. A member that an object lacks is Missing.
func members(a, b jsondoc.Value, visit func(name, x, y jsondoc.Value) bool) {
	of, found := lookup{of: b}, 0
	y := b.Cursor()
	for x := a.Cursor(); x.Next(); {
		var other jsondoc.Value
		if y.Next() && y.NameValue().Equal(x.NameValue()) { // mostly both have the same order
			other = y.Value()
		} else {
			other = of.get(x.Name())
		}
		if other.Kind() != jsondoc.Missing {
			found++
		}
		if !visit(x.NameValue(), x.Value(), other) {
			return
		}
	}
	if found == b.Len() {
		return
	}
	of = lookup{of: a}
	for y := b.Cursor(); y.Next(); {
		if of.get(y.Name()).Kind() == jsondoc.Missing && !visit(y.NameValue(), jsondoc.Value{}, y.Value()) {
			return
		}
	}
}

// lookup finds members by name. A wide object is made a table of at the first question, so that the cost does not grow with its square.
type lookup struct {
	of    jsondoc.Value
	table map[string]jsondoc.Value
}

func (l *lookup) get(name string) jsondoc.Value {
	const wide = 16
	if l.of.Kind() != jsondoc.Object || l.of.Len() <= wide {
		return l.of.Get(name)
	}
	if l.table == nil {
		l.table = make(map[string]jsondoc.Value, l.of.Len())
		for name, v := range l.of.Members() {
			l.table[name] = v
		}
	}
	return l.table[name]
}
