package deliver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/flow/decide"
	"github.com/waybill-hub/waybill/internal/state"
)

// clearDoubt looks whether the object is there, after calls whose outcome is not known.
func clearDoubt(ctx context.Context, d *delivery) (*decide.Verdict, error) {
	if !d.calls.InDoubt() || d.write.Local != "" {
		return nil, nil
	}
	got, exactly, err := d.look(ctx, true)
	switch {
	case errors.Is(err, connector.ErrNoLookup) && d.calls.OnlyRestored():
		return d.untoldRestored(), nil
	case errors.Is(err, connector.ErrNoLookup):
		return d.unasked(err), nil
	case err != nil:
		return d.unread(ctx, err)
	}
	if d.calls.IsRestored() {
		d.Restored.Looked(len(got) > 0)
	}
	switch {
	case len(got) > 1:
		return d.several(got, exactly), nil
	case len(got) > 0 && d.write.Action == connector.Create:
		return d.adopt(ctx, &got[0], exactly)
	case len(got) > 0:
		d.found(&got[0])
		d.write.Local, d.write.ETag = got[0].Local, got[0].ETag
		return nil, nil
	}
	// Absent now is not absent for good while the request may still be under way: the key rests until its deadline is over.
	if until := d.underway() + d.Target.VisibleAfter; until > d.Clock.Elapsed() {
		return d.restUntil(until, "a create may still be under way in "+d.Target.Name+": looking again when its deadline is over"), nil
	}
	d.certain()
	if d.write.Action != connector.Create {
		d.to.Now = d.Clock.Now()
		return d.to.Nothing(), nil
	}
	return nil, nil
}

// underway is the time until when a request whose outcome is not known may still be worked on.
func (d *delivery) underway() time.Duration {
	return max(d.undoneUntil(), d.calls.Underway(d.arrives))
}

// meet looks whether the object was there before the hub came, and takes it over. Whoever creates it after the look is met by the conflict
// that the create then is, where the target can tell.
func meet(ctx context.Context, d *delivery) (*decide.Verdict, error) {
	if !d.unmet || d.write.Action != connector.Create {
		return nil, nil
	}
	got, exactly, err := d.look(ctx, false)
	switch {
	case errors.Is(err, connector.ErrNoLookup):
	case err != nil:
		v, err := d.unread(ctx, err)
		if v != nil {
			v.Reason += "; nothing was written: an object that the cross-reference does not know is looked up before it is created (to.find: after-conflict leaves that out)"
		}
		return v, err
	case len(got) > 1:
		return d.several(got, exactly), nil
	case len(got) == 1:
		return d.adopt(ctx, &got[0], exactly)
	}
	d.unmet = false
	return nil, nil
}

// duplicate: the target says that it holds the object. nil: it was adopted, and is to be updated.
func (d *delivery) duplicate(ctx context.Context, cause error) (*decide.Verdict, error) {
	got, exactly, err := d.look(ctx, true)
	switch {
	case err != nil && !errors.Is(err, connector.ErrNoLookup):
		return d.unread(ctx, err)
	case len(got) > 1:
		return d.several(got, exactly), nil
	case len(got) == 0:
		v := decide.Fail(cause)
		v.Reason += "; but it does not find it by its external id"
		if by := d.findBy(); by != "" {
			v.Reason += " or by " + by
		}
		v.Reason += ": another object stands in the way"
		return d.giveUp(v), nil
	}
	return d.adopt(ctx, &got[0], exactly)
}

// look asks the target for the object by its external id, then by its natural key; connector.ErrNoLookup where it cannot be asked
// by either. exactly: it was found by its external id, which no other object has. older: it may be there under an older form of that.
func (d *delivery) look(ctx context.Context, older bool) (found []connector.Record, exactly bool, err error) {
	finder, ok := d.Target.finder()
	if !ok {
		return nil, false, connector.ErrNoLookup
	}
	lookups := []connector.Lookup{{Entity: d.write.Entity, Object: d.write.Object, External: d.write.External, Older: older, Since: d.since()}}
	if natural, rules := d.to.Natural(); len(natural) > 0 {
		lookups = append(lookups, connector.Lookup{Entity: d.write.Entity, Object: d.write.Object, Natural: natural, Compare: rules})
	}
	ctx, cancel := context.WithTimeout(ctx, d.Target.patience())
	defer cancel()
	defer d.asking()()
	err = connector.ErrNoLookup
	for i, l := range lookups {
		got, ferr := finder.Find(ctx, l)
		switch {
		case errors.Is(ferr, connector.ErrNoLookup):
			continue
		case ferr != nil:
			return nil, false, ferr
		}
		err = nil
		if got = living(got); len(got) > 0 {
			return got, i == 0, nil
		}
	}
	return nil, false, err
}

// living leaves out what is deleted, and an object that is named twice: pages of a search may overlap.
func living(found []connector.Record) []connector.Record {
	var out []connector.Record
	for _, r := range found {
		if !r.Deleted && !slices.ContainsFunc(out, func(o connector.Record) bool { return o.Local == r.Local }) {
			out = append(out, r)
		}
	}
	return out
}

// findBy names the find-by fields with their values, for people.
func (d *delivery) findBy() string {
	values, _ := d.to.Natural()
	var out []string
	for _, by := range d.Flow.To.FindBy {
		if v, ok := values[by.Field]; ok {
			out = append(out, fmt.Sprintf("%s %q", by.Field, v))
		}
	}
	return strings.Join(out, ", ")
}

// several: which of the objects that fit is meant, nobody can tell but people.
func (d *delivery) several(got []connector.Record, exactly bool) *decide.Verdict {
	by := "the external id " + d.write.External
	if !exactly {
		by = d.findBy()
	}
	text := severalText(d.Target.Name, by, got)
	d.Log.Error(d.Secrets(d.Event, d.Out).Text(text), "key", d.Secrets(d.Event, d.Out).Text(d.Event.Key))
	return d.giveUp(decide.Park(fault.Conflict.String(), d.Target.Name+"/several", text+": leave one of them there and replay, or say which one it is with waybill link and replay"))
}

// severalText names all of them.
func severalText(system, by string, got []connector.Record) string {
	ids := make([]string, len(got))
	for i, r := range got {
		ids[i] = r.Local
	}
	slices.Sort(ids)
	return fmt.Sprintf("%s holds %d objects with %s: %s", system, len(ids), by, strings.Join(ids, ", "))
}

// adopt takes an object that is there already as the one to create. Only what this very call has made, or an earlier attempt that is known to have sent the
// same, is known to have been made of this very document: if it holds another one now, somebody has changed it since, and that is news. What another call
// made, perhaps of an earlier document, and what was there before, is written once more unless it holds it too. What cannot be changed stays what an earlier call for this very event has made, also when the mapping was changed in between.
// An object that is made in several steps may lack the last ones. nil: the create has become an update of it.
func (d *delivery) adopt(ctx context.Context, rec *connector.Record, exactly bool) (*decide.Verdict, error) {
	if !exactly {
		if v, err := d.taken(ctx, rec); v != nil || err != nil {
			return v, err
		}
	}
	made := exactly && (d.calls.OwnCreate() || d.calls.Repeats(d.to.Hash) || d.to.WriteOnce && d.calls.InheritedOwn())
	d.found(rec)
	d.met = "adopted: it was there already, found by its external id"
	if !exactly {
		d.met = "adopted: it was there already, found by " + d.findBy()
	}
	if d.Target.takesSteps(d.write.Object) { // whether all of them are made shows in the object, which the connector reads
		d.write.Action, d.write.Local, d.write.ETag, d.write.Doc, d.write.Finish = connector.Update, rec.Local, rec.ETag, d.to.Owned(), made
		if made {
			d.write.ETag, d.write.Doc = "", d.Out
		}
		return nil, nil
	}
	if made || d.to.Holds(rec.Doc) {
		return d.done(ctx, connector.Result{Local: rec.Local, Doc: rec.Doc, ETag: rec.ETag}, true), nil
	}
	d.write.Action, d.write.Local, d.write.ETag, d.write.Doc = connector.Update, rec.Local, rec.ETag, d.to.Owned()
	return nil, nil
}

// taken: what a natural key has found may be the id of another object of the same source: two objects that share the key. One that the
// hub has seen in the target alone is this very one.
func (d *delivery) taken(ctx context.Context, rec *connector.Record) (*decide.Verdict, error) {
	other, ok, err := d.Store.HubID(ctx, d.Event.Entity, d.Target.Name, rec.Local)
	if err != nil || !ok || other == d.Event.Hub {
		return nil, err
	}
	for _, from := range []string{d.Event.Origin, d.to.Place()} {
		local, ok, err := d.Store.LocalID(ctx, d.Event.Entity, from, other)
		if err != nil {
			return nil, err
		}
		if ok {
			return d.giveUp(decide.Park(fault.Conflict.String(), d.Target.Name+"/taken", fmt.Sprintf("%s holds an object with %s, %s, and that is the %s %s of %s already: two objects there share what identifies them",
				d.Target.Name, d.findBy(), rec.Local, d.Event.Entity, local, strings.TrimPrefix(from, "topic/")))), nil
		}
	}
	d.instead = other
	return nil, nil
}

// certain: nothing that was called before can still be, or become, true.
func (d *delivery) certain() {
	d.calls.Looked()
	d.unmet = false
}

// found: the object is there, so the calls that were in doubt are over, and what becomes of this one must not lose it again.
func (d *delivery) found(rec *connector.Record) {
	d.certain()
	d.Target.Ledger().Found(d.object())
	d.adopted = &state.Ref{Entity: d.Event.Entity, Hub: d.Event.Hub, System: d.Target.Name, Local: rec.Local, ETag: rec.ETag, Instead: d.instead, Lost: d.lost, Updated: d.Clock.Now()}
	d.Log.Info("found an object that was there already", "key", d.Secrets(d.Event, d.Out).Text(d.Event.Key), "system", d.Target.Name, "local", rec.Local)
}
