package flow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/state"
)

// meets reports whether the object is to be looked up before it is created: the cross-reference has never known it there, and the target can be
// asked. What is written once is not: its create itself tells whether it is there.
func (d *delivery) meets() bool {
	if d.flow.To.AfterConflict || d.known.Ref != nil && d.known.Ref.Local != "" || d.writeOnce() {
		return false
	}
	_, ok := d.target.Connector.(connector.Finder)
	return ok
}

// meet looks whether the object was there before the hub came, and takes it over. Whoever creates it after the look is met by the conflict
// that the create then is, where the target can tell.
func (d *delivery) meet(ctx context.Context, conflicts *int) (fate, bool, error) {
	got, exactly, err := d.look(ctx, false)
	switch {
	case errors.Is(err, connector.ErrNoLookup):
	case err != nil:
		f, done, err := d.unread(ctx, err)
		if done {
			f.reason += "; nothing was written: an object that the cross-reference does not know is looked up before it is created (to.find: after-conflict leaves that out)"
		}
		return f, done, err
	case len(got) > 1:
		return d.several(got, exactly), true, nil
	case len(got) == 1:
		return d.adopt(ctx, &got[0], exactly, conflicts)
	}
	d.unmet = false
	return fate{}, false, nil
}

// duplicate: the target says that it holds the object.
func (d *delivery) duplicate(ctx context.Context, cause error, conflicts *int) (fate, bool, error) {
	got, exactly, err := d.look(ctx, true)
	switch {
	case err != nil && !errors.Is(err, connector.ErrNoLookup):
		return d.unread(ctx, err)
	case len(got) > 1:
		return d.several(got, exactly), true, nil
	case len(got) == 0:
		f := failed(cause)
		f.reason += "; but it does not find it by its external id"
		if by := d.findBy(); by != "" {
			f.reason += " or by " + by
		}
		f.reason += ": another object stands in the way"
		return d.giveUp(f), true, nil
	}
	return d.adopt(ctx, &got[0], exactly, conflicts)
}

// look asks the target for the object by its external id, then by its natural key; connector.ErrNoLookup where it cannot be asked
// by either. exactly: it was found by its external id, which no other object has. older: it may be there under an older form of that.
func (d *delivery) look(ctx context.Context, older bool) (found []connector.Record, exactly bool, err error) {
	finder, ok := d.target.Connector.(connector.Finder)
	if !ok {
		return nil, false, connector.ErrNoLookup
	}
	lookups := []connector.Lookup{{Entity: d.write.Entity, Object: d.write.Object, External: d.write.External, Older: older}}
	if natural, rules := d.natural(); len(natural) > 0 {
		lookups = append(lookups, connector.Lookup{Entity: d.write.Entity, Object: d.write.Object, Natural: natural, Compare: rules})
	}
	ctx, cancel := context.WithTimeout(ctx, d.target.patience())
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

// natural gives the values of the flow's find-by fields, and their rules.
func (d *delivery) natural() (map[string]string, map[string]connector.Compare) {
	if len(d.flow.To.FindBy) == 0 || len(d.stage.out) == 0 {
		return nil, nil
	}
	doc := jsondoc.Get()
	defer jsondoc.Put(doc)
	if doc.Reset(d.stage.out, documentLimits) != nil {
		return nil, nil
	}
	values, rules := map[string]string{}, map[string]connector.Compare{}
	for _, by := range d.flow.To.FindBy {
		text := ""
		switch v := doc.Root().GetPath(by.Field); v.Kind() {
		case jsondoc.Missing, jsondoc.Null:
		case jsondoc.String:
			text = v.Str()
		default:
			text = string(v.Raw())
		}
		if text == "" {
			return nil, nil // half a key finds strangers
		}
		values[by.Field], rules[by.Field] = text, by.Compare
	}
	return values, rules
}

// findBy names the find-by fields with their values, for people.
func (d *delivery) findBy() string {
	values, _ := d.natural()
	var out []string
	for _, by := range d.flow.To.FindBy {
		if v, ok := values[by.Field]; ok {
			out = append(out, fmt.Sprintf("%s %q", by.Field, v))
		}
	}
	return strings.Join(out, ", ")
}

// several: which of the objects that fit is meant, nobody can tell but people.
func (d *delivery) several(got []connector.Record, exactly bool) fate {
	by := "the external id " + d.write.External
	if !exactly {
		by = d.findBy()
	}
	text := severalText(d.target.Name, by, got)
	d.log.Error(d.secrets(d.ev, d.stage.out).Text(text), "key", d.ev.Key)
	f := parked(fault.Conflict.String(), d.target.Name+"/several", text+": leave one of them there and replay, or say which one it is with waybill link and replay")
	return d.giveUp(f)
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

// adopt takes an object that is there already as the one to create. Only what this very call has made is known to hold this very document: what
// an earlier call made, perhaps of an earlier document, and what was there before, is written once more unless it holds it too. Absolute values
// do no harm. What cannot be changed stays what an earlier call for this very event has made, also when the mapping was changed in between.
func (d *delivery) adopt(ctx context.Context, rec *connector.Record, exactly bool, conflicts *int) (fate, bool, error) {
	if !exactly {
		if f, done, err := d.strange(ctx, rec); done || err != nil {
			return f, done, err
		}
	}
	made := exactly && (d.calls.OwnCreate() || d.writeOnce() && d.calls.InheritedOwn())
	d.found(rec)
	d.met = "adopted: it was there already, found by its external id"
	if !exactly {
		d.met = "adopted: it was there already, found by " + d.findBy()
	}
	if made || d.holds(rec.Doc) {
		return d.done(ctx, connector.Result{Local: rec.Local, Doc: rec.Doc, ETag: rec.ETag}, true), true, nil
	}
	d.write.Action, d.write.Local, d.write.ETag, d.write.Doc = connector.Update, rec.Local, rec.ETag, d.owned()
	return d.once(ctx, conflicts)
}

// strange: what a natural key has found may be the id of another object of the same source: two objects that share the key. One that the
// hub has seen in the target alone is this very one.
func (d *delivery) strange(ctx context.Context, rec *connector.Record) (fate, bool, error) {
	other, ok, err := lookup{d.Runner}.HubID(ctx, d.ev.Entity, d.target.Name, rec.Local)
	if err != nil || !ok || other == d.ev.Hub {
		return fate{}, false, err
	}
	for _, from := range []string{d.ev.Origin, "topic/" + d.flow.From.Topic} {
		local, ok, err := lookup{d.Runner}.LocalID(ctx, d.ev.Entity, from, other)
		if err != nil {
			return fate{}, false, err
		}
		if ok {
			return d.giveUp(parked(fault.Conflict.String(), d.target.Name+"/taken", fmt.Sprintf("%s holds an object with %s, %s, and that is the %s %s of %s already: two objects there share what identifies them",
				d.target.Name, d.findBy(), rec.Local, d.ev.Entity, local, strings.TrimPrefix(from, "topic/")))), true, nil
		}
	}
	d.instead = other
	return fate{}, false, nil
}

// twin: the source holds the object twice, and the event is of the one that the cross-reference does not know.
func twin(system string, ref *state.Ref, local string) fate {
	return parked(fault.Conflict.String(), system+"/twin", fmt.Sprintf("%s holds the object twice, as %s and as %s: both carry one external id. Leave one of them there, then discard this message, or replay it",
		system, ref.Local, local))
}
