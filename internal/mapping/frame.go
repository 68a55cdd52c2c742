package mapping

import (
	"context"
	"fmt"

	"github.com/expr-lang/expr/vm"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// frame is the state of one run: scratch that is kept between runs, so that a run that only copies and computes does not
// allocate.
type frame struct {
	budget
	ctx  context.Context
	in   *Input
	root jsondoc.Value

	items    []itemScope // by depth of each
	elements []itemScope // by depth of predicates
	slots    []slot      // objects on the way to fields, found once
	gen      uint64      // rises with every run and every element: what slots of older generations hold is stale
	gens     []uint64    // the generation of the source document (0) and of the element at depth i (i+1)

	regs  []val // temporaries of operations; which uses which is decided when compiling
	arena []byte
	args  []any
	count int // elements of the list that each has finished last

	out []byte
	// judging: all values that are written are valid so far; see ApplyValid.
	judging bool
	caps    []capture
	accs    []accumulator

	vms   []*vm.VM
	vmTop int
}

// itemScope is the element that an each or a predicate is at.
type itemScope struct {
	v     val
	index int
}

// slot holds an object that several paths pass through.
type slot struct {
	gen uint64
	v   jsondoc.Value
}

// capture is where in out the value of a target field stands, for target.x.
type capture struct {
	from, to int
	count    int // of a list that each has made: its elements
	set      bool
	doc      *jsondoc.Doc // parsed on demand
}

// accumulator adds up a number of each element while a list is written, for total(target.list, "field").
type accumulator struct {
	sum   jsondoc.Decimal
	n     int
	fault error
}

// layout is how much of everything a frame needs.
type layout struct {
	regs, caps, accs, depth, predicates int
	slots                               []slotDef
}

// slotDef says how a slot is found: member name of the object in slot parent, or of the document or element itself (-1).
type slotDef struct {
	parent int
	scope  int // index into gens
	name   string
}

func (l *layout) frame() *frame {
	return &frame{
		regs: make([]val, l.regs), caps: make([]capture, l.caps), accs: make([]accumulator, l.accs),
		items: make([]itemScope, l.depth), elements: make([]itemScope, l.predicates), gens: make([]uint64, l.depth+1), slots: make([]slot, len(l.slots)),
	}
}

func (l *layout) reg() int {
	l.regs++
	return l.regs - 1
}

// start makes the frame ready for a run.
func (f *frame) start(ctx context.Context, in *Input, l Limits, dst []byte) {
	f.ctx, f.in, f.out = ctx, in, dst
	f.begin(l, len(dst))
	f.root = jsondoc.Value{}
	if in.Doc != nil {
		f.root = in.Doc.Root()
	}
	f.gen++
	f.gens[0] = f.gen
	f.arena, f.args, f.vmTop = f.arena[:0], f.args[:0], 0
	for i := range f.caps {
		f.caps[i] = capture{}
	}
}

const keptScratch = 1 << 16

// stop lets go of the run's documents. Temporaries stay: they are overwritten before they are read, and what they still
// refer to goes with the frame.
func (f *frame) stop() {
	f.end()
	f.ctx, f.in, f.root, f.out = nil, nil, jsondoc.Value{}, nil
	for i := range f.caps {
		if d := f.caps[i].doc; d != nil {
			f.caps[i].doc = nil
			jsondoc.Put(d)
		}
	}
	clear(f.args[:cap(f.args)])
	if cap(f.arena) > keptScratch {
		f.arena = nil
	}
	if cap(f.args) > 256 {
		f.args = nil
	}
}

// enter makes what stands in the scope of depth its element.
func (f *frame) enter(depth, index int) {
	f.items[depth].index = index
	f.gen++
	f.gens[depth+1] = f.gen
}

// object gives the object in a slot.
func (f *frame) object(defs []slotDef, i int) jsondoc.Value {
	def := &defs[i]
	s := &f.slots[i]
	if s.gen == f.gens[def.scope] {
		return s.v
	}
	var parent jsondoc.Value
	switch {
	case def.parent >= 0:
		parent = f.object(defs, def.parent)
	case def.scope == 0:
		parent = f.root
	default:
		parent = f.items[def.scope-1].v.doc
	}
	f.steps -= parent.Len() / passedStep
	s.v, s.gen = parent.Get(def.name), f.gens[def.scope]
	return s.v
}

// captured gives the value that the target field of that capture was set to; Missing where it was left out.
func (f *frame) captured(i int) (jsondoc.Value, error) {
	c := &f.caps[i]
	if !c.set {
		return jsondoc.Value{}, nil
	}
	if c.doc == nil {
		d := jsondoc.Get()
		if err := d.Reset(f.out[c.from:c.to:c.to], jsondoc.Limits{}); err != nil {
			jsondoc.Put(d)
			return jsondoc.Value{}, fmt.Errorf("what stands above in the target cannot be read: %w", err)
		}
		c.doc = d
	}
	return c.doc.Root(), nil
}

// machine gives a machine of the expression library that is not running.
func (f *frame) machine() *vm.VM {
	if f.vmTop == len(f.vms) {
		f.vms = append(f.vms, &vm.VM{MemoryBudget: memoryBudget})
	}
	f.vmTop++
	return f.vms[f.vmTop-1]
}

func (f *frame) machineDone() { f.vmTop-- }
