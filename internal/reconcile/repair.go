package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/spill"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/submit"
)

// mendsAtOnce is how many differences are repaired at once.
const mendsAtOnce = 32

// mend is one difference on its way to be repaired: one way for each side that is written.
type mend struct {
	d      state.Difference
	ways   []*target
	events []outgoing
	writes []json.RawMessage // what each would send
}

// outgoing is an event for a flow.
type outgoing struct {
	flow string
	ev   event.Event
}

// repair repairs what was found, within the bound, and looks again.
func (r *Run) repair(ctx context.Context) (state.RunState, string, error) {
	due, err := r.planned(ctx)
	if err != nil {
		return state.RunFailed, "", err
	}
	if bound := r.bound(); due > bound && !r.opts.DryRun {
		most := r.rec.Repair.AtMost.String()
		if r.opts.AtMost > 0 {
			most = strconv.Itoa(r.opts.AtMost)
		}
		r.note("%d differences would be repaired, and at-most is %s: nothing was; look why there are so many, and if they are right, `waybill reconcile %s --repair --at-most %d` repairs them", due, most, r.rec.Name, due)
		return state.RunHeld, r.detail(), nil
	}
	sent := spill.New(r.c.Spill)
	defer func() { _ = sent.Close() }()
	if err := r.mendAll(ctx, due, sent); err != nil {
		return state.RunFailed, "", err
	}
	if sent.Len() > 0 {
		if err := r.verify(ctx, sent); err != nil {
			return state.RunFailed, "", err
		}
	}
	return r.verdict(), r.detail(), nil
}

// bound is how many differences may be repaired without a person.
func (r *Run) bound() int {
	if r.rec.Repair == nil {
		return 0
	}
	if r.opts.AtMost > 0 { // a person's word stands for the file's, be it more or less
		return r.opts.AtMost
	}
	bound := r.rec.Repair.AtMost.Of(int(max(r.base, r.sum.Compared)))
	if r.opts.From > 0 { // a person has chosen them
		bound = max(bound, len(r.opts.Numbers))
	}
	return bound
}

// nameless counts, by side, the objects that cannot be compared and of which nobody knows which ones they are: each may be one that is missing.
func (r *Run) nameless(ctx context.Context) error {
	r.unnamed = map[*side]int{}
	of := r.id
	if r.opts.From > 0 {
		of = r.opts.From
	}
	return r.eachStored(ctx, state.DifferenceFilter{Run: of, Kind: state.DiffNotCompared}, func(d *state.Difference) error {
		if d.Kind != state.DiffNotCompared || d.Hub != "" && r.rec.Match.Xref || d.Left != "" && d.Right != "" {
			return nil
		}
		if d.Right == "" {
			r.unnamed[r.left]++
		}
		if d.Left == "" {
			r.unnamed[r.right]++
		}
		return nil
	})
}

// unmended says why a difference is not repaired; empty: it is to be.
func (r *Run) unmended(ways []*target, what string) string {
	switch {
	case len(ways) == 0:
		return what
	case what == createIt && r.unnamed[ways[0].to] > 0:
		return fmt.Sprintf("%d objects of %s cannot be compared, and it may be one of them: mend these first", r.unnamed[ways[0].to], ways[0].system)
	case what == deleteIt && !r.rec.Repair.Deletes && !r.opts.Deletes:
		return "it would be deleted, and deletions are repaired only when asked for (--deletes, or `deletes: true`)"
	}
	return ""
}

// planned counts the differences that are to be repaired, and notes of the others why they are not.
func (r *Run) planned(ctx context.Context) (due int, err error) {
	if err := r.nameless(ctx); err != nil {
		return 0, err
	}
	var left []state.Difference
	err = r.eachStored(ctx, state.DifferenceFilter{Run: r.id}, func(d *state.Difference) error {
		if !reparable(d) {
			return nil
		}
		why := r.unmended(r.direction(d))
		if why == "" {
			due++
			return nil
		}
		d.Repair, d.RepairDetail = state.RepairLeft, why
		if left = append(left, *d); len(left) < storedAtOnce {
			return nil
		}
		err := r.change(ctx, left)
		left = left[:0]
		return err
	})
	if err == nil {
		err = r.change(ctx, left)
	}
	return due, err
}

func (r *Run) change(ctx context.Context, d []state.Difference) error {
	if len(d) == 0 {
		return nil
	}
	if err := r.sink.Change(ctx, d); err != nil {
		return fmt.Errorf("note what becomes of a repair: %w", err)
	}
	return nil
}

// mendAll submits what repairs the differences, and puts those of which something was submitted into sent. A dry run only says what would be.
func (r *Run) mendAll(ctx context.Context, due int, sent *spill.Sorter) error {
	done := 0
	var part []*mend
	work := func() error {
		r.phase("repairing", "%d of %d", done, due)
		done += len(part)
		err := r.submit(ctx, part, sent)
		part = part[:0]
		return err
	}
	err := r.eachStored(ctx, state.DifferenceFilter{Run: r.id}, func(d *state.Difference) error {
		if !reparable(d) {
			return nil
		}
		ways, what := r.direction(d)
		if r.unmended(ways, what) != "" {
			return nil
		}
		if part = append(part, &mend{d: *d, ways: ways}); len(part) < mendsAtOnce {
			return nil
		}
		return work()
	})
	if err == nil && len(part) > 0 {
		err = work()
	}
	return err
}

// submit hands the events of repairs to their flows.
func (r *Run) submit(ctx context.Context, part []*mend, sent *spill.Sorter) error {
	if err := atOnce(ctx, len(part), func(ctx context.Context, i int) error { return r.prepare(ctx, part[i]) }); err != nil {
		return err
	}
	if !r.opts.DryRun {
		if err := r.send(ctx, part); err != nil {
			return err
		}
	}
	changed := make([]state.Difference, len(part))
	for i, m := range part {
		changed[i] = m.d
	}
	if err := r.change(ctx, changed); err != nil {
		return err
	}
	for _, m := range part {
		if m.d.Repair != state.RepairSubmitted {
			continue
		}
		p := r.pairOf(&m.d)
		if err := sent.Add([]byte(p.key), p.append(nil)); err != nil {
			return err
		}
	}
	return nil
}

// prepare makes the events that repair a difference: all of them, or none.
func (r *Run) prepare(ctx context.Context, m *mend) error {
	m.d.Write, m.d.RepairEvent = nil, ""
	for n, to := range m.ways {
		flow, ev, err := r.eventOf(ctx, m, to)
		var no *unrepaired
		switch {
		case errors.As(err, &no):
			m.fails(no.why)
			return nil
		case err != nil:
			return err
		}
		ev.ID = r.eventID(m.d.N, n)
		m.events = append(m.events, outgoing{flow, *ev})
	}
	if m.d.Write = slices.Concat(m.writes...); len(m.writes) > 1 {
		all, err := json.Marshal(m.writes)
		if err != nil {
			return fmt.Errorf("show what would be sent: %w", err)
		}
		m.d.Write = all
	}
	return nil
}

func (m *mend) fails(why string) {
	m.d.Repair, m.d.RepairDetail, m.events = state.RepairFailed, why, nil
}

// send submits what was prepared, flow by flow.
func (r *Run) send(ctx context.Context, part []*mend) error {
	byFlow := map[string][]event.Event{}
	of := map[string]*mend{}
	for _, m := range part {
		for i := range m.events {
			out := &m.events[i]
			byFlow[out.flow], of[out.ev.ID] = append(byFlow[out.flow], out.ev), m
		}
		if len(m.events) > 0 {
			m.d.Repair = state.RepairSubmitted
		}
	}
	for _, flow := range slices.Sorted(maps.Keys(byFlow)) {
		if err := r.sendTo(ctx, flow, byFlow[flow], of); err != nil {
			return fmt.Errorf("submit repairs to %s: %w", flow, err)
		}
	}
	return nil
}

// sendTo submits events to one flow. Where it does not take one of them, it takes none: they go one by one then.
func (r *Run) sendTo(ctx context.Context, flow string, events []event.Event, of map[string]*mend) error {
	got, err := r.handOver(ctx, flow, events)
	var no *submit.Refused
	switch {
	case errors.As(err, &no) && len(events) == 1:
		of[events[0].ID].fails(fmt.Sprintf("%s does not take it: %s", flow, no.Why))
		return nil
	case errors.As(err, &no):
		for i := range events {
			if err := r.sendTo(ctx, flow, events[i:i+1], of); err != nil {
				return err
			}
		}
		return nil
	case err != nil:
		return err
	}
	for i := range got.Events {
		m := of[events[i].ID]
		m.d.RepairEvent = got.Events[i].ID
		if got.Events[i].Status == state.AcceptedConflict {
			m.fails(fmt.Sprintf("%s knows another event of the id %s", flow, events[i].ID))
		}
	}
	return nil
}

// handOver submits events until they are taken or refused: while nothing is known of them, the same again is safe.
func (r *Run) handOver(ctx context.Context, flow string, events []event.Event) (got submit.Receipt, err error) {
	by := event.Submission{Trigger: event.Repair, Who: r.rec.Name, Why: fmt.Sprintf("run %d", r.id)}
	err = lifecycle.Retry(ctx, r.c.Clock, lifecycle.Backoff{Min: time.Second, Max: 10 * time.Second}, func() (err error) {
		got, err = r.c.Hub.Submit(ctx, flow, events, by)
		return err
	}, func(err error, _ time.Duration) error {
		if errors.Is(err, state.ErrNotFound) {
			return err
		}
		if k := fault.KindOf(err); k == fault.Unavailable || k == fault.UnknownOutcome {
			r.phase("repairing", "%s takes nothing at the moment: %v", flow, err)
			return nil
		}
		return err
	})
	return got, err
}

// eventID names the event that repairs a difference. An attempt numbers differences anew.
func (r *Run) eventID(n, way int) string {
	return fmt.Sprintf("run%d.%d-%d.%d", r.id, r.attempt, n, way)
}
