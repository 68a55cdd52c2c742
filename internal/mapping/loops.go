package mapping

import "github.com/waybill-hub/waybill/internal/jsondoc"

// elementOp is the element that a predicate is at (#), positionOp its position in the list (#index).
type (
	elementOp  struct{ depth int }
	positionOp struct{ depth int }
)

func (o elementOp) eval(f *frame, v *val) error {
	*v = f.elements[o.depth].v
	return nil
}

func (o positionOp) eval(f *frame, v *val) error {
	v.setNum(jsondoc.FromInt(int64(f.elements[o.depth].index)))
	return nil
}

// loopOp is the direct form of a function over the elements of a list. Elements of a document are looked at where they are.
type loopOp struct {
	function   string
	list, body op
	order      string
	condition  bool // the result is true or false
	depth, tmp int
	cost       int // steps of the body for one element
	at, inner  int
}

func (o *loopOp) eval(f *frame, v *val) error {
	if err := o.list.eval(f, v); err != nil {
		return err
	}
	l := looped{f: f, o: o}
	var err error
	switch {
	case v.k == vDoc && v.doc.Kind() == jsondoc.Array:
		err = l.document(v.doc)
	case v.k == vAbsent:
		if o.condition {
			err = at(o.at, absentList(o.function))
		}
		return err
	default:
		x, bad := v.any(f)
		list, ok := x.([]any)
		switch {
		case bad != nil:
			err = at(o.at, bad)
		case !ok:
			err = at(o.at, noList(o.function, x))
		default:
			err = l.tree(list)
		}
	}
	if err != nil {
		return err
	}
	return at(o.at, l.result(v))
}

// looped is one run of a loop.
type looped struct {
	f *frame
	o *loopOp

	n     int // elements for which the condition holds
	seen  int
	done  bool // no further element matters
	found val
	all   []any // elements, of filter and sortBy
	made  []any // values of the body, of map, sum and sortBy
}

func (l *looped) document(d jsondoc.Value) error {
	e := &l.f.elements[l.o.depth]
	for c := d.Cursor(); !l.done && c.Next(); {
		e.v.setDoc(c.Value())
		if err := l.element(e); err != nil {
			return err
		}
	}
	return nil
}

func (l *looped) tree(list []any) error {
	e := &l.f.elements[l.o.depth]
	for i := 0; !l.done && i < len(list); i++ {
		if s, ok := list[i].(string); ok {
			l.f.steps -= len(s) / textStep // it is copied
		}
		e.v.setAny(list[i])
		if err := l.element(e); err != nil {
			return err
		}
	}
	return nil
}

// element looks at one element.
func (l *looped) element(e *itemScope) error {
	f, o := l.f, l.o
	if err := f.spend(o.cost); err != nil {
		return at(o.at, err)
	}
	e.index = l.seen
	l.seen++
	v := &f.regs[o.tmp]
	if err := o.body.eval(f, v); err != nil {
		return err
	}
	switch o.function {
	case "map", "sum", "sortBy":
		x, err := v.any(f)
		if err != nil {
			return at(o.inner, err)
		}
		l.made = append(l.made, x)
		if err := l.taken(); err != nil || o.function != "sortBy" {
			return at(o.at, err)
		}
		return l.keep(e)
	}
	holds, err := v.truth(f)
	if err != nil {
		return at(o.inner, err)
	}
	if holds {
		l.n++
	}
	switch o.function {
	case "all":
		l.done = !holds
	case "any", "none":
		l.done = holds
	case "find":
		if holds {
			l.found, l.done = e.v, true
		}
	case "filter":
		if holds {
			return l.keep(e)
		}
	}
	return nil
}

func (l *looped) keep(e *itemScope) error {
	x, err := e.v.any(l.f)
	if err == nil {
		l.all = append(l.all, x)
		err = l.taken()
	}
	return at(l.o.at, err)
}

// taken counts an element of a list that the loop makes. Much of them waits for its turn.
func (l *looped) taken() error {
	f := l.f
	f.made(16)
	if f.work-f.room > heavyBytes {
		return f.muchMemory()
	}
	return nil
}

// result leaves what the loop has come to in v.
func (l *looped) result(v *val) error {
	switch l.o.function {
	case "all":
		v.setBool(l.n == l.seen)
	case "any":
		v.setBool(l.n > 0)
	case "none":
		v.setBool(l.n == 0)
	case "one":
		v.setBool(l.n == 1)
	case "find":
		*v = l.found
	case "count":
		v.setNum(jsondoc.FromInt(int64(l.n)))
	case "map":
		v.k, v.tree = vTree, l.made
	case "filter":
		v.k, v.tree = vTree, l.all
	case "sum":
		d, err := sum(l.made, "sum")
		if err != nil {
			return err
		}
		v.setNum(d)
	case "sortBy":
		sorted, err := sortBy(l.all, l.made, l.o.order)
		if err != nil {
			return err
		}
		v.k, v.tree = vTree, sorted
	}
	return nil
}
