package reconcile

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/flow/decide"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/spill"
	"github.com/waybill-hub/waybill/internal/state"
)

// target is where a repair writes, and through what.
type target struct {
	system, flow string
	from, to     *side
}

// direction says where a difference is to be repaired and what is done there; without a target, why it is not.
func (r *Run) direction(d *state.Difference) (ways []*target, what string) {
	if r.rec.Repair == nil {
		return nil, "the reconciliation has no `repair`"
	}
	switch d.Kind {
	case state.DiffDoubledLeft, state.DiffDoubledRight:
		return nil, "a person decides which of the objects stays"
	case state.DiffNotCompared:
		return nil, "its records have to be mended first"
	}
	if ways = r.ways(d); len(ways) == 0 {
		return nil, "nobody can say which side is right"
	}
	for _, t := range ways {
		if t.flow == "" {
			return nil, fmt.Sprintf("no flow is named that writes to %s", t.system)
		}
	}
	t := ways[0]
	gone := d.Kind == state.DiffMissingLeft && t.from == r.left || d.Kind == state.DiffMissingRight && t.from == r.right
	switch {
	case d.Kind == state.DiffDifferent:
		return ways, "write it anew"
	case !gone:
		return ways, "create it"
	case !deletable(d.Reason):
		return nil, fmt.Sprintf("it is in %s alone and the hub has never seen it in %s: a person decides", t.system, t.from.def.System)
	}
	return ways, deleteIt
}

const deleteIt = "delete it"

// ways are the sides that are to be written.
func (r *Run) ways(d *state.Difference) []*target {
	rep := r.rec.Repair
	toRight := &target{system: r.rec.Right.System, flow: rep.ToRight, from: r.left, to: r.right}
	toLeft := &target{system: r.rec.Left.System, flow: rep.ToLeft, from: r.right, to: r.left}
	switch rep.From {
	case config.FromLeft:
		return []*target{toRight}
	case config.FromRight:
		return []*target{toLeft}
	case config.FromOwner:
		if d.Kind == state.DiffDifferent {
			return owners(d, toLeft, toRight)
		}
	}
	switch d.Reason {
	case state.ReasonEditedLeft, state.ReasonDeletedLeft, state.ReasonCreatedLeft:
		return []*target{toRight}
	case state.ReasonEditedRight, state.ReasonDeletedRight, state.ReasonCreatedRight:
		return []*target{toLeft}
	}
	switch d.Kind {
	case state.DiffMissingLeft:
		return []*target{toLeft}
	case state.DiffMissingRight:
		return []*target{toRight}
	}
	return nil // both were changed, or neither
}

// owners gives the sides that differ in fields which belong to the other one. A field that belongs to nobody is nobody's to repair.
func owners(d *state.Difference, toLeft, toRight *target) (ways []*target) {
	left, right := false, false
	for i := range d.Fields {
		switch d.Fields[i].Owner {
		case "left":
			left = true
		case "right":
			right = true
		default:
			return nil
		}
	}
	if left {
		ways = append(ways, toRight)
	}
	if right {
		ways = append(ways, toLeft)
	}
	return ways
}

// deletable: the object is gone on the side that is right, and was there before.
func deletable(reason string) bool {
	return slices.Contains([]string{state.ReasonMissedDelete, state.ReasonDeletedLeft, state.ReasonDeletedRight}, reason)
}

// mend is one difference on its way to be repaired: one way for each side that is written.
type mend struct {
	d    state.Difference
	ways []*target
}

// repair repairs what was found, within the bound, and looks again.
func (r *Run) repair(ctx context.Context) (state.RunState, string, error) {
	all, left, err := r.mends(ctx)
	if err != nil {
		return state.RunFailed, "", err
	}
	if err := r.change(ctx, left); err != nil {
		return state.RunFailed, "", err
	}
	if rep := r.rec.Repair; rep != nil && !r.opts.DryRun {
		bound := rep.AtMost.Of(int(max(r.base, r.sum.Compared)))
		if r.opts.From > 0 { // a person has chosen them
			bound = max(bound, len(r.opts.Numbers))
		}
		if bound = max(bound, r.opts.AtMost); len(all) > bound {
			r.note("%d differences would be repaired, and at-most is %s: nothing was; look why there are so many, and if they are right, `waybill reconcile %s --repair --at-most %d` repairs them", len(all), rep.AtMost, r.rec.Name, len(all))
			return state.RunHeld, r.detail(), nil
		}
	}
	const step = 100
	for from := 0; from < len(all); from += step {
		part := all[from:min(len(all), from+step)]
		r.phase("repairing", "%d of %d", from, len(all))
		if err := r.submit(ctx, part); err != nil {
			return state.RunFailed, "", err
		}
	}
	if r.opts.DryRun {
		return r.verdict(), r.detail(), nil
	}
	if err := r.verify(ctx, all); err != nil {
		return state.RunFailed, "", err
	}
	return r.verdict(), r.detail(), nil
}

// mends gives the differences that are to be repaired, and those that are not, with why.
func (r *Run) mends(ctx context.Context) (all []mend, left []state.Difference, err error) {
	for after := 0; ; {
		page, err := r.sink.Stored(ctx, state.DifferenceFilter{Run: r.id, After: after, Limit: 1000})
		if err != nil {
			return nil, nil, fmt.Errorf("read the differences: %w", err)
		}
		for _, d := range page {
			after = d.N
			if d.Explained || d.Kind == state.DiffNotCompared {
				continue
			}
			ways, what := r.direction(&d)
			switch {
			case len(ways) == 0:
				d.Repair, d.RepairDetail = state.RepairLeft, what
			case what == deleteIt && !r.rec.Repair.Deletes && !r.opts.Deletes:
				d.Repair, d.RepairDetail = state.RepairLeft, "it would be deleted, and deletions are repaired only when asked for (--deletes, or `deletes: true`)"
			default:
				all = append(all, mend{d, ways})
				continue
			}
			left = append(left, d)
		}
		if len(page) < 1000 {
			return all, left, nil
		}
	}
}

func (r *Run) change(ctx context.Context, d []state.Difference) error {
	for len(d) > 0 {
		n := min(len(d), addChunk)
		if err := r.sink.Change(ctx, d[:n]); err != nil {
			return fmt.Errorf("note what becomes of a repair: %w", err)
		}
		d = d[n:]
	}
	return nil
}

// submit hands the events of repairs to their flows; a dry run only says what would be sent.
func (r *Run) submit(ctx context.Context, part []mend) error {
	byFlow, of := map[string][]event.Event{}, map[string]*mend{}
	for i := range part {
		m := &part[i]
		m.d.Write, m.d.RepairEvent = nil, ""
		for n, to := range m.ways {
			flow, ev, err := r.eventOf(ctx, m, to)
			var no *unrepaired
			switch {
			case errors.As(err, &no):
				m.d.Repair, m.d.RepairDetail = state.RepairFailed, no.why
				continue
			case err != nil:
				return err
			case r.opts.DryRun:
				continue
			}
			ev.ID = r.eventID(m.d.N, n)
			m.d.Repair, of[ev.ID] = state.RepairSubmitted, m
			byFlow[flow] = append(byFlow[flow], *ev)
		}
	}
	for _, flow := range slices.Sorted(maps.Keys(byFlow)) {
		events, by := byFlow[flow], event.Submission{Trigger: event.Repair, Who: r.rec.Name, Why: fmt.Sprintf("run %d", r.id)}
		err := lifecycle.Retry(ctx, r.c.Clock, lifecycle.Backoff{Min: time.Second, Max: 10 * time.Second}, func() error {
			got, err := r.c.Hub.Submit(ctx, flow, events, by)
			for i := range got.Events {
				of[events[i].ID].d.RepairEvent = got.Events[i].ID
			}
			return err
		}, func(err error, _ time.Duration) error {
			if k := fault.KindOf(err); k == fault.Unavailable || k == fault.UnknownOutcome { // the same again is safe
				return nil
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("submit repairs to %s: %w", flow, err)
		}
	}
	changed := make([]state.Difference, len(part))
	for i := range part {
		changed[i] = part[i].d
	}
	return r.change(ctx, changed)
}

// eventID names the event that repairs a difference. An attempt numbers differences anew.
func (r *Run) eventID(n, way int) string {
	return fmt.Sprintf("run%d.%d-%d.%d", r.id, r.attempt, n, way)
}

// unrepaired says why a difference cannot be repaired.
type unrepaired struct{ why string }

func (u *unrepaired) Error() string { return u.why }

func cannot(format string, args ...any) error { return &unrepaired{fmt.Sprintf(format, args...)} }

// eventOf makes the event that repairs a difference: what the side that is right holds now.
func (r *Run) eventOf(ctx context.Context, m *mend, to *target) (string, *event.Event, error) {
	by := r.c.Plan.Flow(to.flow)
	if by == nil {
		return "", nil, cannot("there is no flow %s any more", to.flow)
	}
	own := m.d.Left
	if to.from == r.right {
		own = m.d.Right
	}
	in := by // the flow that reads the side that is right
	if by.From.System != to.from.def.System {
		if in = to.from.flow; in != nil { // as the files have it, whomever it leaves out
			in = r.c.Plan.Flow(in.Name)
		}
		if in == nil || to.from.def.Own {
			return r.fromHere(ctx, m, to, by, own)
		}
	}
	if own == "" {
		return r.deletion(ctx, m, to, by, in)
	}
	got, err := r.c.Hub.Object(ctx, in.Name, connector.Lookup{Local: own})
	switch {
	case err != nil && (fault.KindOf(err) == fault.Invalid || errors.Is(err, connector.ErrNoLookup)):
		return "", nil, cannot("%s was asked for %s: %v", to.from.def.System, own, err)
	case err != nil:
		return "", nil, fmt.Errorf("read %s of %s again: %w", own, to.from.def.System, err)
	case len(got) != 1:
		return "", nil, cannot("%s holds %d objects %s now", to.from.def.System, len(got), own)
	}
	ev := got[0]
	dec, err := decide.DryRun(ctx, r.c.Plan, in, ev, nil, r.c.Store, r.c.Clock.Now())
	if err != nil {
		return "", nil, err
	}
	if dec.Outcome == state.Parked || dec.Outcome == state.Waiting || dec.Outcome == state.Skipped {
		return "", nil, cannot("%s would not take it: %s %s", in.Name, dec.Reason, dec.Trail.Told)
	}
	ev.Key = dec.Event.Key
	if in == by {
		m.d.Write = r.written(by.Name, &dec)
		return by.Name, &ev, nil
	}
	onward := event.Event{Source: ev.Source, Entity: dec.Event.Entity, Operation: event.Upsert, Key: dec.Event.Key, Version: dec.Event.Version, Origin: dec.Event.Origin, Hub: dec.Event.Hub, Data: dec.Document}
	last, err := decide.DryRun(ctx, r.c.Plan, by, onward, nil, r.c.Store, r.c.Clock.Now())
	if err != nil {
		return "", nil, err
	}
	if last.Outcome == state.Parked || last.Outcome == state.Skipped {
		return "", nil, cannot("%s would not deliver it: %s %s", by.Name, last.Reason, last.Trail.Told)
	}
	m.d.Write = r.written(by.Name, &last)
	if r.unseen(m, to) && in.To.Topic == by.From.Topic { // the hub itself has not got what is there now: it learns it on the way
		return in.Name, &ev, nil
	}
	return by.Name, &onward, nil
}

// fromHere makes the event of what the reconciliation itself has read, where no flow reads the side, or not so.
func (r *Run) fromHere(ctx context.Context, m *mend, to *target, by *config.Flow, own string) (string, *event.Event, error) {
	switch {
	case by.From.Topic == "":
		return "", nil, cannot("the flow %s reads %s, and not %s", by.Name, by.From.System, to.from.def.System)
	case own == "":
		return "", nil, cannot("no flow reads %s, so that nobody can say that it is gone there", to.from.def.System)
	}
	e, err := to.from.find(ctx, own, "")
	switch {
	case errors.Is(err, errCannotAsk):
		return "", nil, cannot("%s cannot be asked for %s", to.from.def.System, own)
	case err != nil:
		return "", nil, err
	case e == nil || e.why != "" || e.filtered:
		return "", nil, cannot("%s does not hold %s as it was any more", to.from.def.System, own)
	}
	hub := e.hub
	if hub == "" {
		hub = state.MintHub(r.rec.Entity, to.from.def.System, e.local)
	}
	ev := &event.Event{Source: to.from.def.System, Entity: r.rec.Entity, Operation: event.Upsert, Key: cmp.Or(e.key, m.d.Key), Origin: to.from.def.System, Hub: hub, Data: e.doc}
	if e.before != nil {
		ev.Data = e.before
	}
	dec, err := decide.DryRun(ctx, r.c.Plan, by, *ev, nil, r.c.Store, r.c.Clock.Now())
	if err != nil {
		return "", nil, err
	}
	if dec.Outcome == state.Parked || dec.Outcome == state.Skipped {
		return "", nil, cannot("%s would not deliver it: %s %s", by.Name, dec.Reason, dec.Trail.Told)
	}
	m.d.Write = r.written(by.Name, &dec)
	return by.Name, ev, nil
}

// unseen: the hub's own picture of the side that is right is not what is there.
func (r *Run) unseen(m *mend, to *target) bool {
	left := []string{state.ReasonEditedLeft, state.ReasonCreatedLeft, state.ReasonEditedBoth, state.ReasonCameBack}
	right := []string{state.ReasonEditedRight, state.ReasonCreatedRight, state.ReasonEditedBoth, state.ReasonCameBack}
	if to.from == r.left {
		return slices.Contains(left, m.d.Reason)
	}
	return slices.Contains(right, m.d.Reason)
}

// deletion makes the event of an object that is gone on the side that is right. It is looked for there once more.
func (r *Run) deletion(ctx context.Context, m *mend, to *target, by, in *config.Flow) (string, *event.Event, error) {
	from := to.from
	if m.d.Hub == "" {
		return "", nil, cannot("the hub does not know it")
	}
	t, err := r.c.Store.Trace(ctx, m.d.Hub)
	if err != nil {
		return "", nil, fmt.Errorf("read what is known of %s: %w", m.d.Hub, err)
	}
	var ref *state.Ref
	for i := range t.Objects {
		for j := range t.Objects[i].Refs {
			if rf := &t.Objects[i].Refs[j]; t.Objects[i].Hub == m.d.Hub && t.Objects[i].Entity == r.rec.Entity && rf.System == from.def.System {
				ref = rf
			}
		}
	}
	if ref == nil || ref.Local == "" {
		return "", nil, cannot("the hub does not know which object of %s it was", from.def.System)
	}
	e, err := from.find(ctx, "", ref.Local)
	switch {
	case errors.Is(err, errCannotAsk):
		return "", nil, cannot("%s cannot be asked whether %s is gone", from.def.System, ref.Local)
	case err != nil:
		return "", nil, err
	case e != nil:
		return "", nil, cannot("%s holds %s again", from.def.System, ref.Local)
	}
	ev := &event.Event{Source: from.def.System, Entity: r.rec.Entity, Operation: event.Delete, Local: ref.Local, Key: m.d.Key, Origin: from.def.System}
	if ref.Known != nil {
		ev.Version, ev.Key = ref.Known.Received, cmp.Or(ev.Key, ref.Known.Key)
	}
	ev.Key = cmp.Or(ev.Key, ref.Local)
	m.d.Write, err = json.Marshal(map[string]string{"action": "delete", "system": to.system, "local": cmp.Or(m.d.Left, m.d.Right)})
	if err != nil {
		return "", nil, err
	}
	if by.From.Topic != "" && in.To.Topic != by.From.Topic {
		ev.Hub = m.d.Hub
		return by.Name, ev, nil
	}
	return in.Name, ev, nil // the hub learns of it on the way
}

// verify looks whether what was repaired agrees now.
func (r *Run) verify(ctx context.Context, all []mend) error {
	cands := spill.New(r.c.Spill)
	defer func() { _ = cands.Close() }()
	by := map[string]*mend{}
	for i := range all {
		m := &all[i]
		if m.d.Repair != state.RepairSubmitted {
			continue
		}
		p := pairOf(&m.d)
		if by[p.key] = m; p.key == "" {
			continue
		}
		if err := cands.Add([]byte(p.key), p.append(nil)); err != nil {
			return err
		}
	}
	if cands.Len() == 0 {
		return nil
	}
	r.phase("verifying", "%d repairs", cands.Len())
	if _, err := r.through(ctx, "repairs"); err != nil {
		return err
	}
	d := newDiffer(r.rec)
	defer d.close()
	var changed []state.Difference
	err := r.again(ctx, cands, func(was, now *pair) error {
		m := by[was.key]
		if m == nil {
			return nil
		}
		delete(by, was.key)
		if now.left == nil && now.right == nil || d.same(now) {
			m.d.Repair = state.RepairRepaired
			r.sum.Repaired++
		} else {
			m.d.Repair, m.d.RepairDetail = state.RepairFailed, "it still differs"
			k, err := r.knowledge(ctx, now)
			if err != nil {
				return err
			}
			if k.text != "" {
				m.d.RepairDetail += ": " + k.text
			}
		}
		changed = append(changed, m.d)
		return nil
	})
	if err != nil {
		return err
	}
	return r.change(ctx, changed)
}

// pairOf is the pair that a stored difference was of.
func pairOf(d *state.Difference) *pair {
	p := &pair{}
	if d.Left != "" {
		p.left = &entry{own: d.Left, hub: d.Hub}
	}
	if d.Right != "" {
		p.right = &entry{own: d.Right, hub: d.Hub}
	}
	switch {
	case d.Hub != "":
		p.key = "h" + d.Hub
	case d.Left != "":
		p.key = "l" + d.Left
	default:
		p.key = "r" + d.Right
	}
	for _, own := range d.More {
		p.more = append(p.more, &entry{own: own, hub: d.Hub})
	}
	p.moreRight = d.Kind == state.DiffDoubledRight
	return p
}
