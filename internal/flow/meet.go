package flow

import (
	"context"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/state"
)

// meet gives the objects of a batch that nobody has seen before their hub ids, so that they wait for the disk together and not one after the other. It
// decides nothing: an object for which there is a doubt, or that the flow may not want, is left to the event's own turn. Only flows whose events have the
// object's id as their key are looked at, since of the others a record does not say which object it is about.
func (r *Runner) meet(ctx context.Context, p *partition, b *event.Batch) error {
	f := r.flow
	if len(b.Records) < 2 || f.From.System == "" || f.Entity == "" || f.ID != nil || r.gate.closed() {
		return nil
	}
	var all []state.Met
	done := make(map[string]bool, len(b.Records))
	for i := range b.Records {
		rec := &b.Records[i]
		if len(rec.Key) == 0 || p.isFinished(rec.Offset) || done[string(rec.Key)] {
			continue
		}
		done[string(rec.Key)] = true
		_, known, err := r.store.HubID(ctx, f.Entity, f.From.System, string(rec.Key))
		switch {
		case err != nil:
			return err
		case known && r.store.Shared():
			return nil // to ask costs a round trip, and mostly all are known where one is
		case known:
			continue
		}
		if m, ok := r.unmet(ctx, p, rec); ok {
			all = append(all, m)
		}
	}
	if len(all) < 2 {
		return nil
	}
	return r.store.resolveAll(ctx, f.Entity, f.From.System, all)
}

// unmet is the object of a record that its own turn would give a hub id; false where that is not certain.
func (r *Runner) unmet(ctx context.Context, p *partition, rec *event.Record) (state.Met, bool) {
	ev := p.event(rec)
	if _, queued := p.head(p.laneName(rec)); queued || ev.Refused != nil || ev.ForOther(r.flow.Name) {
		return state.Met{}, false
	}
	a := r.attempt(p, p.laneName(rec), &ev, nil)
	defer a.Dispose()
	v, err := a.Read(ctx)
	if v != nil || err != nil || a.External != "" && a.External != state.NoExternal || ev.Entity != r.flow.Entity {
		return state.Met{}, false
	}
	return state.Met{Local: a.Local, External: a.External, EventID: ev.ID}, true
}
