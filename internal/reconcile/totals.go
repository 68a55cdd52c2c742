package reconcile

import (
	"context"
	"errors"
	"fmt"

	"github.com/waybill-hub/waybill/internal/compare"
	"github.com/waybill-hub/waybill/internal/flow/decide"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/state"
)

// totals adds up one side.
type totals struct {
	side *side
	sums *compare.Sums
	doc  *jsondoc.Doc
	// left counts objects of which an amount cannot be read, and why is what is wrong with the first.
	left int64
	why  string
	err  error
}

func (r *Run) newTotals(s *side) *totals {
	return &totals{side: s, sums: compare.NewSums(r.rec.Totals), doc: jsondoc.Get()}
}

func (t *totals) close() { jsondoc.Put(t.doc) }

// add counts an object in.
func (t *totals) add(e *entry) {
	if e.filtered || t.err != nil {
		return
	}
	why := e.why
	if why == "" {
		if err := t.doc.Reset(e.doc, decide.DocumentLimits); err != nil {
			why = err.Error()
		} else if err := t.sums.Add(t.doc.Root()); errors.Is(err, compare.ErrGroups) {
			t.err = fmt.Errorf("the %s side: %w", t.side.name, err)
		} else if err != nil {
			why = err.Error()
		}
	}
	if why != "" {
		if t.left++; t.left == 1 {
			t.why = e.own + ": " + why
		}
	}
}

// sumUp compares the totals of both sides. What does not agree is added up again after a while, and counts where it differs the same way twice.
func (r *Run) sumUp(ctx context.Context) error {
	if len(r.rec.Totals) == 0 || !r.opts.Whole() {
		return nil
	}
	defer func() {
		for _, t := range r.totals {
			t.close()
		}
	}()
	lines, err := r.lines()
	if err != nil || len(lines) == 0 {
		return err
	}
	late, err := r.settle(ctx, int64(len(lines)), 1)
	if err != nil {
		return err
	}
	left, right, err := r.readBoth(ctx, false)
	if err != nil {
		return err
	}
	if err := errors.Join(left.Close(), right.Close()); err != nil {
		return err
	}
	again, err := r.lines()
	if err != nil {
		return err
	}
	if len(late) > 0 { // what they have not decided is in no total of the other side
		r.note("%d totals differ, which says nothing until the flows have decided what has come in", len(again))
		r.sum.NotCompared += int64(len(again))
		return nil
	}
	r.sumsThat(lines, again)
	return nil
}

// mostTotals is how many totals are kept that do not agree.
const mostTotals = 1000

// sumsThat takes the totals that differ in the same way as before.
func (r *Run) sumsThat(before, now []compare.TotalLine) {
	type id struct{ total, group, left, right string }
	of := func(l *compare.TotalLine) id { return id{l.Total, fmt.Sprintf("%q", l.Group), l.Left, l.Right} }
	is := make(map[id]bool, len(now))
	for i := range now {
		is[of(&now[i])] = true
	}
	moving, more := 0, 0
	hidden := r.private()
	for i := range before {
		switch l := &before[i]; {
		case !is[of(l)]:
			moving++
		case len(r.sum.Totals) == mostTotals:
			more++
		default:
			r.sum.Totals = append(r.sum.Totals, state.TotalLine{Total: l.Total, Group: hidden.group(r.rec.Totals, l), Left: l.Left, Right: l.Right})
		}
	}
	if moving > 0 {
		r.note("%d totals differed and were on the move: they were other ones at the second look", moving)
	}
	if more > 0 {
		r.note("%d more totals differ", more)
	}
}

func (r *Run) lines() ([]compare.TotalLine, error) {
	for _, t := range r.totals {
		if t.err != nil {
			return nil, t.err
		}
		if t.left > 0 {
			if r.private().none() {
				r.note("%d objects of the %s side are in no total: %s", t.left, t.side.name, t.why)
			} else { // the sentence may hold a value
				r.note("%d objects of the %s side are in no total, because a value of theirs cannot be read", t.left, t.side.name)
			}
			if r.rec.Compare == nil { // nobody else says so
				r.sum.NotCompared = max(r.sum.NotCompared, t.left)
			}
		}
	}
	return compare.CompareTotals(r.totals[0].sums, r.totals[1].sums), nil
}
