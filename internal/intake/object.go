package intake

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

// ErrNotAsked: a source's system cannot be asked for one object.
var ErrNotAsked = errors.New("its system cannot be asked for one object")

// ErrNotBegun: the source was not asked, because the hub's own store does not answer.
var ErrNotBegun = errors.New("the hub's store does not answer")

// Finder asks a source for one object.
type Finder struct {
	System connector.Finder
	// Object names the object type in the system's settings.
	Object string
}

// CanAsk reports whether the source of a flow can be asked for one object.
func (in *Intake) CanAsk(flow string) bool {
	w := in.find(flow)
	return w != nil && w.src.Finder != nil
}

// Object reads what fits a look-up from the source of a flow, as the events that the flow would take of it now: they have no ID and no key yet. What
// is deleted there is left out; none is no error. They are versioned as the flow's other events are, and where nobody tells versions, as of the moment
// before they were read: what is accepted from then on is newer.
//
// Errors: state.ErrNotFound, there is no such flow; ErrNotAsked; ErrNotBegun; connector.ErrNoLookup, not by this; a fault of kind Invalid, an object cannot be read
// as it is; else what the system or the store says.
func (in *Intake) Object(ctx context.Context, flow string, l connector.Lookup) ([]event.Event, error) {
	w := in.find(flow)
	switch {
	case w == nil:
		return nil, fmt.Errorf("flow %s reads no system: %w", flow, state.ErrNotFound)
	case w.src.Finder == nil:
		return nil, ErrNotAsked
	}
	asOf, err := in.door.AsOf(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotBegun, err)
	}
	src := &w.src
	l.Entity, l.Object = src.Entity, src.Finder.Object
	var found []connector.Record
	err = lifecycle.Guard(func() (err error) {
		found, err = src.Finder.System.Find(ctx, l)
		return err
	})
	if err != nil {
		return nil, err
	}
	var out []event.Event
	for _, r := range found {
		switch {
		case r.Deleted, slices.ContainsFunc(out, func(ev event.Event) bool { return ev.Local == r.Local }):
			continue
		case r.Err != nil:
			return nil, fault.Wrap(fault.Invalid, "read "+src.Finder.Object+" "+r.Local, r.Err)
		}
		out = append(out, event.Event{Source: src.System, Entity: src.Entity, Operation: event.Upsert, Local: r.Local, Origin: src.System, Version: src.versionOf(&r, asOf), Data: r.Doc})
	}
	return out, nil
}

// versionOf is the version of an object that was read alone. What polls see of it has the version that the system tells, or the order of acceptance; what
// a webhook brings has always the latter, and the two do not compare.
func (s *Source) versionOf(r *connector.Record, asOf string) string {
	switch {
	case s.Versioned:
		return "" // the flow computes it
	case s.Poll != nil && r.Version != "":
		return r.Version
	}
	return asOf
}
