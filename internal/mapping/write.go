package mapping

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// failure is err with the place in the part's expression; the rule's name is added on the way up.
func (p *part) failure(err error) *Error {
	pos := p.node.Pos()
	var e *evalError
	if errors.As(err, &e) {
		pos = p.node.ScalarPos(e.at)
		err = e.err
	}
	return &Error{Pos: pos, Err: err}
}

// in adds an outer name to the failing field's.
func (e *Error) in(name string) *Error {
	switch {
	case e.Field == "":
		e.Field = name
	case e.Field[0] == '[':
		e.Field = name + e.Field
	case name != "":
		e.Field = name + "." + e.Field
	}
	return e
}

// writeObject writes an object with its fields.
func (r *rule) writeObject(f *frame) *Error {
	f.out = append(f.out, '{')
	_, err := r.writeFields(f)
	f.out = append(f.out, '}')
	return err
}

// writeFields writes the fields that are there; any says whether there was one.
func (r *rule) writeFields(f *frame) (any bool, err *Error) {
	f.steps -= len(r.children)
	for _, child := range r.children {
		before := len(f.out)
		if any {
			f.out = append(f.out, ',')
		}
		f.out = append(f.out, child.key...)
		there, err := child.write(f)
		if err != nil {
			return any, err.in(child.name)
		}
		if !there {
			f.out = f.out[:before]
			continue
		}
		any = true
	}
	return any, nil
}

// write writes the rule's value; there is false where the field is left out, and what was written then is cut off.
func (r *rule) write(f *frame) (there bool, err *Error) {
	from := len(f.out)
	switch r.kind {
	case leafRule:
		there, err = r.writeLeaf(f)
	case objectRule:
		there, err = r.writeBlock(f)
	case eachRule:
		there, err = r.writeEach(f)
	case listRule:
		there, err = r.writeList(f)
	}
	if r.capture >= 0 && err == nil {
		c := &f.caps[r.capture]
		if c.doc != nil {
			f.forget() // what was made of its values
			jsondoc.Put(c.doc)
		}
		*c = capture{from: from, to: len(f.out), count: f.count, set: there}
	}
	return there, err
}

func (r *rule) writeLeaf(f *frame) (bool, *Error) {
	if r.json != nil {
		f.out = append(f.out, r.json...)
		if r.acc < 0 {
			return true, nil
		}
	}
	v := &f.regs[0]
	f.ready(r.value.cost) // eval, but for the call
	if err := r.value.op.eval(f, v); err != nil {
		return false, r.value.failure(err)
	}
	if err := f.over(); err != nil {
		return false, r.value.failure(err)
	}
	if r.acc >= 0 {
		r.accumulate(f, v)
	}
	if r.json != nil {
		return true, nil
	}
	if v.k == vAbsent {
		switch {
		case r.optional:
			return false, nil
		case !r.nullable:
			return false, r.value.failure(errAbsent)
		}
	}
	from := len(f.out)
	if err := f.put(v); err != nil {
		return false, r.value.failure(err)
	}
	if f.judging {
		f.judging = r.sound(v, f.out[from:])
	}
	return true, nil
}

// put writes a value. A document's are copied as bytes; whether they are too many is known before.
func (f *frame) put(v *val) error {
	if v.k == vDoc {
		raw := v.doc.Raw()
		if len(f.out)+len(raw) > f.most {
			return f.tooLong()
		}
		f.out = append(f.out, raw...)
		return f.wrote()
	}
	var err error
	if f.out, err = v.appendJSON(f.out, f.most); err != nil {
		if errors.Is(err, errLongTree) {
			return f.tooLong()
		}
		return err
	}
	return f.wrote()
}

// accumulate adds a leaf's value to its sum.
func (r *rule) accumulate(f *frame, v *val) {
	a := &f.accs[r.acc]
	if a.fault != nil {
		return
	}
	d, ok, err := v.number()
	switch {
	case err != nil:
		a.fault = err
	case !ok:
		a.fault = totalError(a.n, r.name)
	default:
		a.sum = a.sum.Add(d)
	}
	a.n++
}

// writeBlock writes an object of dotted keys, one that is made of another, or one with a condition.
func (r *rule) writeBlock(f *frame) (bool, *Error) {
	if r.value.op != nil {
		if there, err := r.enterObject(f); err != nil || !there {
			r.forget(f)
			return false, err
		}
	}
	if r.when.op != nil {
		b, err := r.when.holds(f)
		if err != nil {
			return false, err
		}
		if !b {
			r.forget(f)
			return false, nil
		}
	}
	f.out = append(f.out, '{')
	any, err := r.writeFields(f)
	f.out = append(f.out, '}')
	if !any && (r.implicit || r.optional && r.when.op == nil) {
		return false, err
	}
	return true, err
}

// enterObject goes into the object that the rule's is made of; there is false where it is absent, and may be.
func (r *rule) enterObject(f *frame) (there bool, err *Error) {
	v := &f.items[r.depth].v
	if err := r.value.eval(f, v); err != nil {
		return false, r.value.failure(err)
	}
	switch {
	case v.k == vAbsent && (r.optional || r.name == ""):
		return false, nil
	case v.k == vAbsent:
		return false, r.value.failure(errAbsent)
	case v.k == vDoc && v.doc.Kind() == jsondoc.Object:
	default:
		x, err := v.any(f)
		if err == nil && kindOf(x) != kObject {
			err = fmt.Errorf("of wants an object, not %s", describe(x))
		}
		if err != nil {
			return false, r.value.failure(err)
		}
	}
	f.enter(r.depth, 0)
	return true, nil
}

// forget makes what the rules inside have set before, in an earlier element, absent.
func (r *rule) forget(f *frame) {
	for _, child := range r.children {
		if child.capture >= 0 {
			f.caps[child.capture].set = false
		}
		child.forget(f)
	}
}

// holds evaluates a condition.
func (p *part) holds(f *frame) (bool, *Error) {
	v := &f.regs[0]
	err := p.eval(f, v)
	if err == nil {
		var b bool
		if b, err = v.truth(f); err == nil {
			return b, nil
		}
	}
	return false, p.failure(err)
}

// writeEach writes a list with an element for each of another list.
func (r *rule) writeEach(f *frame) (bool, *Error) {
	for _, i := range r.sums {
		f.accs[i] = accumulator{}
	}
	item := &f.items[r.depth].v // the list, and then each of its elements
	if err := r.value.eval(f, item); err != nil {
		return false, r.value.failure(err)
	}
	if item.k == vAbsent {
		switch {
		case r.optional:
			return false, nil
		case r.nullable:
			f.out = append(f.out, "null"...)
			f.judging = f.judging && r.part.Value(nullValue)
			return true, nil
		}
		return false, r.value.failure(errAbsent)
	}
	f.out = append(f.out, '[')
	before := len(f.out)
	index, count := 0, 0
	if item.k == vDoc && item.doc.Kind() == jsondoc.Array {
		for c := item.doc.Cursor(); c.Next(); index++ {
			item.setDoc(c.Value())
			there, err := r.element(f, index, len(f.out) > before)
			if err != nil {
				return false, err
			}
			if there {
				count++
			}
		}
	} else {
		x, err := item.any(f)
		if err != nil {
			return false, r.value.failure(err)
		}
		list, ok := x.([]any)
		if !ok {
			return false, r.value.failure(fmt.Errorf("each wants a list, not %s", describe(x)))
		}
		for ; index < len(list); index++ {
			item.setAny(list[index])
			there, err := r.element(f, index, len(f.out) > before)
			if err != nil {
				return false, err
			}
			if there {
				count++
			}
		}
	}
	f.out = append(f.out, ']')
	f.judging = f.judging && count >= r.low && (r.high < 0 || count <= r.high)
	f.count = count
	return true, nil
}

// element writes one element, if it is to be there.
func (r *rule) element(f *frame, index int, comma bool) (bool, *Error) {
	f.enter(r.depth, index)
	err := f.spend(1)
	if err == nil {
		err = f.wrote()
	}
	if err != nil {
		return false, r.value.failure(err)
	}
	if r.when.op != nil {
		b, err := r.when.holds(f)
		if err != nil {
			return false, err.in("[" + strconv.Itoa(index) + "]")
		}
		if !b {
			return false, nil
		}
	}
	if comma {
		f.out = append(f.out, ',')
	}
	if err := r.writeObject(f); err != nil {
		return false, err.in("[" + strconv.Itoa(index) + "]")
	}
	return true, nil
}

// writeList writes a list item by item; an object with a condition that does not hold is left out, and an optional list of
// which nothing is left as well.
func (r *rule) writeList(f *frame) (bool, *Error) {
	f.out = append(f.out, '[')
	any := false
	for i, child := range r.children {
		before := len(f.out)
		if any {
			f.out = append(f.out, ',')
		}
		there, err := child.write(f)
		if err != nil {
			return false, err.in("[" + strconv.Itoa(i) + "]")
		}
		if !there {
			f.out = f.out[:before]
			continue
		}
		any = true
	}
	f.out = append(f.out, ']')
	return any || !r.optional, nil
}
