package soak

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/waybill-hub/waybill/internal/state"
)

// expected is what a run has to say of an object.
type expected struct {
	kind, reason string
	field        string // that differs, at the top; several parted by blanks
	// person: nobody but a person can say what is right. They do it by undo.
	person bool
	undo   func()
}

// driftKind makes one kind of drift past the hub: on the left side or on the right one, as variant is odd or even, where it can be on either. The shelves
// are locked.
type driftKind struct {
	name string
	make func(p *driftPair, no string, variant int) expected
}

// driftKinds are the twelve of which the hub has to tell.
var driftKinds = []driftKind{
	{"edited on the left", func(p *driftPair, no string, v int) expected {
		field := p.left.only(no).meddle(v)
		return expected{kind: state.DiffDifferent, reason: state.ReasonEditedLeft, field: field}
	}},
	{"edited on the right", func(p *driftPair, no string, v int) expected {
		field := p.right.only(no).meddle(v)
		return expected{kind: state.DiffDifferent, reason: state.ReasonEditedRight, field: field}
	}},
	{"edited on both", func(p *driftPair, no string, v int) expected {
		one, other := p.left.only(no).meddle(v), p.right.only(no).meddle(v+v%2) // the same field, or another one
		return expected{kind: state.DiffDifferent, reason: state.ReasonEditedBoth, field: join(one, other)}
	}},
	{"a field cleared", func(p *driftPair, no string, v int) expected {
		return p.edit(no, v, "party", func(w *ware) { w.party = nil })
	}},
	{"deleted on the left", func(p *driftPair, no string, _ int) expected {
		p.forget(no)
		p.left.drop(p.left.only(no))
		return expected{kind: state.DiffMissingLeft, reason: state.ReasonDeletedLeft}
	}},
	{"deleted on the right", func(p *driftPair, no string, _ int) expected {
		p.right.drop(p.right.only(no))
		return expected{kind: state.DiffMissingRight, reason: state.ReasonDeletedRight}
	}},
	{"created past the hub", func(p *driftPair, no string, v int) expected {
		w := p.left.only(no).clone()
		w.no, w.ext = "N"+no, ""
		if v%2 == 0 {
			p.right.hide(w)
			return expected{kind: state.DiffMissingLeft, reason: state.ReasonCreatedRight, person: true, undo: func() { p.right.drop(w) }}
		}
		p.left.hide(w)
		return expected{kind: state.DiffMissingRight, reason: state.ReasonCreatedLeft}
	}},
	{"doubled", func(p *driftPair, no string, v int) expected {
		s, kind := p.right, state.DiffDoubledRight
		if v%2 == 1 {
			s, kind = p.left, state.DiffDoubledLeft
		}
		w := s.only(no).clone()
		w.ext = ""
		s.hide(w)
		return expected{kind: kind, reason: state.ReasonDoubled, person: true, undo: func() { s.drop(w) }}
	}},
	{"a line added", func(p *driftPair, no string, v int) expected {
		return p.edit(no, v, "lines", func(w *ware) { w.lines = append(w.lines, wareLine{"Z", 1}) })
	}},
	{"a line removed", func(p *driftPair, no string, v int) expected {
		return p.edit(no, v, "lines", func(w *ware) { w.lines = w.lines[1:] })
	}},
	{"a line changed", func(p *driftPair, no string, v int) expected {
		return p.edit(no, v, "lines", func(w *ware) { w.lines[0].Qty += 3 })
	}},
	{"a total off by rounding", func(p *driftPair, no string, v int) expected {
		e := p.edit(no, v, "total", func(w *ware) { w.total = cents(w.total, 1-2*(v/2%2)) })
		e.reason = state.ReasonRounding
		return e
	}},
}

// edit changes an object on one side without a trace.
func (p *driftPair) edit(no string, variant int, field string, how func(*ware)) expected {
	s, reason := p.right, state.ReasonEditedRight
	if variant%2 == 1 {
		s, reason = p.left, state.ReasonEditedLeft
	}
	w := s.only(no)
	w.lines = slices.Clone(w.lines)
	how(w)
	w.raw = nil
	return expected{kind: state.DiffDifferent, reason: reason, field: field}
}

// meddle changes one field as a person does, and says which.
func (w *ware) meddle(variant int) (field string) {
	w.raw = nil
	switch variant % 3 {
	case 0:
		s := fmt.Sprintf("somebody else %d", rand.Int())
		w.party = &s
		return "party"
	case 1:
		w.total = cents(w.total, 500+rand.IntN(100_000))
		return "total"
	}
	w.lines = append(slices.Clone(w.lines), wareLine{fmt.Sprint("Y", rand.IntN(1_000_000)), 7})
	return "lines"
}

func join(a, b string) string {
	if a == b {
		return a
	}
	both := []string{a, b}
	slices.Sort(both)
	return strings.Join(both, " ")
}

// cents adds to a decimal of two places.
func cents(total string, n int) string {
	whole, fraction, _ := strings.Cut(total, ".")
	v, _ := strconv.Atoi(whole + fraction)
	v += n
	return fmt.Sprintf("%d.%02d", v/100, v%100)
}

// drift makes drift of all kinds in turn, one at each of the objects, and gives what is to be found, by number.
func (p *driftPair) drift(victims []string, round int) map[string]expected {
	p.left.mu.Lock()
	defer p.left.mu.Unlock()
	p.right.mu.Lock()
	defer p.right.mu.Unlock()
	want := map[string]expected{}
	for i, no := range victims {
		k := driftKinds[i%len(driftKinds)]
		e := k.make(p, no, i/len(driftKinds)+round)
		if strings.HasPrefix(k.name, "created") {
			no = "N" + no
		}
		want[no] = e
	}
	return want
}

// judge holds what a run has found against what there is to find.
func (p *driftPair) judge(b *budget, found, explained []state.Difference, want map[string]expected) {
	b.Helper()
	v := &b.verdict
	told := map[string]*state.Difference{}
	for i := range explained {
		told[explained[i].Key] = &explained[i]
	}
	seen := map[string]bool{}
	for i := range found {
		d := &found[i]
		w, there := want[d.Key]
		switch {
		case !there:
			p.c.complain(&v.Unaccounted, "%s %s: a false alarm: %s, %s: %s\nleft %s\nright %s\nlast event %s %s %s", p.rec, d.Key, d.Kind, d.Reason, d.Text, d.LeftDoc, d.RightDoc, d.Event, d.EventTime, d.Outcome)
		case seen[d.Key]:
			p.c.complain(&v.Doubled, "%s %s is named twice", p.rec, d.Key)
		case d.Kind != w.kind || d.Reason != w.reason:
			p.c.complain(&v.Unaccounted, "%s %s: found as %s, %s, and it is %s, %s: %s %v\nleft %s\nright %s\nlast event %s %s %s", p.rec, d.Key, d.Kind, d.Reason, w.kind, w.reason, d.Text, d.Fields, d.LeftDoc, d.RightDoc, d.Event, d.EventTime, d.Outcome)
		case w.field != "" && w.field != fieldsOf(d):
			p.c.complain(&v.Unaccounted, "%s %s: found to differ in %q, and it differs in %q", p.rec, d.Key, fieldsOf(d), w.field)
		}
		seen[d.Key] = true
	}
	for no, w := range want {
		if seen[no] {
			continue
		}
		why := "and nobody says so"
		if d := told[no]; d != nil {
			why = fmt.Sprintf("and it is called %s, %s: %s", d.Kind, d.Reason, d.Text)
		}
		p.c.complain(&v.Lost, "%s %s: not found: it is %s, %s, %s", p.rec, no, w.kind, w.reason, why)
	}
}

// fieldsOf are the fields in which a difference differs, at the top.
func fieldsOf(d *state.Difference) string {
	var names []string
	for i := range d.Fields {
		name, _, _ := strings.Cut(d.Fields[i].Path, ".")
		name, _, _ = strings.Cut(name, "[")
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}
