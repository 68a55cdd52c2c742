package mapping

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// Limits bound one run of a mapping, whatever the document: a short one can ask for a long run and a large result, where a list is gone
// through for each element of a list. A run beyond them fails as fault.Invalid does, with the place in the mapping.
type Limits struct {
	// Bytes is the largest result; 0: DefaultResult. What one expression makes on its way may be four times that.
	Bytes int
	// Steps are the fields that are set, elements that are looked at and parts of expressions that are evaluated; 0: DefaultSteps.
	Steps int
}

// Defaults of Limits, and the most that each can be set to.
const (
	DefaultResult = 16 << 20
	DefaultSteps  = 50_000_000
	MaxResult     = 256 << 20
	MaxSteps      = 2_000_000_000
)

const (
	workFactor = 4
	// nodeBytes is about what a value of a document takes as a Go value.
	nodeBytes = 96
	// textStep is how many bytes of text are one step.
	textStep = 64
	// passedStep is how many members or elements that are gone over, on the way to one, are one step.
	passedStep = 8
	// refSteps is what one look into the cross-reference counts: it asks the store.
	refSteps = 1000
	// cachedNodes is from which size on a value that was made a Go value once is kept for the next time, cacheBytes how much in all.
	cachedNodes = 32
	cacheBytes  = 16 << 20
	// heavyBytes of a result, or of what an expression makes, are much: of runs with as much, heavyRuns go on at a time.
	heavyBytes = 2 << 20
	heavyRuns  = 2
)

func (l Limits) resolved() Limits {
	return Limits{Bytes: cmp.Or(l.Bytes, DefaultResult), Steps: cmp.Or(l.Steps, DefaultSteps)}
}

// heavy holds a place for each run that needs much memory, over the whole process.
var heavy = make(chan struct{}, heavyRuns)

// budget is what is left of the limits in one run.
type budget struct {
	limits Limits
	steps  int
	room   int // bytes that the present expression may still make
	work   int // what room begins with
	most   int // how long out may become
	look   int // from which length of out on it is to be looked at: heavyBytes are there, or most
	heavy  bool

	trees  map[jsondoc.Value]any
	cached int
}

// begin starts a run.
func (b *budget) begin(l Limits, base int) {
	b.limits, b.steps, b.work = l, l.Steps, workFactor*l.Bytes
	b.room, b.most, b.look = b.work, base+l.Bytes, base+min(l.Bytes, heavyBytes)
}

func (b *budget) end() {
	if b.heavy {
		b.heavy = false
		<-heavy
	}
	b.forget()
}

func (b *budget) forget() {
	if b.cached > 0 {
		clear(b.trees)
		b.cached = 0
	}
}

// over says which limit the run is beyond. It is asked at every value of every document, so that it, spend and wrote are small enough
// to be compiled into those who ask.
func (b *budget) over() error {
	if b.steps|b.room < 0 { // one of them is
		return b.beyond()
	}
	return nil
}

func (b *budget) beyond() error {
	if b.steps < 0 {
		return fmt.Errorf("the mapping takes more than %d steps with this document (mappings.max-steps)", b.limits.Steps)
	}
	return fmt.Errorf("the expression makes more than %d bytes on its way with this document (%d times mappings.max-result)", b.work, workFactor)
}

// spend counts n steps.
func (b *budget) spend(n int) error {
	b.steps -= n
	return b.over()
}

// made counts n bytes of text that an expression makes. Whoever makes much at once asks before.
func (b *budget) made(n int) {
	b.room -= n
	b.steps -= n / textStep
}

// ready begins an expression that takes so many steps. What the former one has made is written by now, or forgotten.
func (f *frame) ready(steps int) {
	f.arena, f.room = f.arena[:0], f.work
	f.steps -= steps
}

// eval evaluates the part.
func (p *part) eval(f *frame, v *val) error {
	f.ready(p.cost)
	if err := p.op.eval(f, v); err != nil {
		return err
	}
	return f.over()
}

// wrote looks at how long the result is by now.
func (f *frame) wrote() error {
	if len(f.out) > f.look {
		return f.long()
	}
	return nil
}

// long is wrote for a long result.
func (f *frame) long() error {
	if len(f.out) > f.most {
		return f.tooLong()
	}
	f.look = f.most
	return f.muchMemory()
}

func (f *frame) tooLong() error {
	return fmt.Errorf("the result has more than %d bytes with this document (mappings.max-result)", f.limits.Bytes)
}

// muchMemory waits until the run may take much memory.
func (f *frame) muchMemory() error {
	if f.heavy {
		return nil
	}
	select {
	case heavy <- struct{}{}:
		f.heavy = true
		return nil
	case <-f.ctx.Done():
		return context.Cause(f.ctx)
	}
}

// tree makes Go values of a document's list or object.
func (f *frame) tree(d jsondoc.Value) (any, error) {
	size := d.Size()
	if size < cachedNodes {
		f.made(size*nodeBytes + len(d.Raw()))
		if err := f.spend(size); err != nil {
			return nil, err
		}
		return fromDoc(d)
	}
	if x, ok := f.trees[d]; ok {
		return x, nil
	}
	need := size*nodeBytes + len(d.Raw())
	f.made(need)
	if err := f.spend(size); err != nil {
		return nil, err
	}
	if need > heavyBytes {
		if err := f.muchMemory(); err != nil {
			return nil, err
		}
	}
	x, err := fromDoc(d)
	if err != nil || need > cacheBytes {
		return x, err
	}
	if f.cached+need > cacheBytes {
		f.forget()
	}
	if f.trees == nil {
		f.trees = map[jsondoc.Value]any{}
	}
	f.trees[d] = x
	f.cached += need
	return x, nil
}

// taken counts what a function gave: a text that it has made, or a list.
func (f *frame) taken(x any) error {
	switch x := x.(type) {
	case string:
		f.made(len(x))
	case []any:
		f.made(16 * len(x))
		f.steps -= len(x)
	}
	return f.over()
}

// given counts what a function is given, if it goes through it.
func (f *frame) given(args []any) error {
	for _, x := range args {
		switch x := x.(type) {
		case string:
			f.steps -= len(x) / textStep
		case []any:
			f.steps -= len(x)
		}
	}
	return f.over()
}

// equal compares two values by what they are; each value inside is a step. Values that an expression has made can hold one another
// many times over.
func (f *frame) equal(a, b any) (bool, error) {
	same := equal(&f.steps, a, b)
	return same, f.over()
}

// isIn looks for x in a list.
func (f *frame) isIn(list []any, x any) (bool, error) {
	found := slices.ContainsFunc(list, func(e any) bool { return f.steps >= 0 && equal(&f.steps, e, x) })
	return found, f.over()
}
