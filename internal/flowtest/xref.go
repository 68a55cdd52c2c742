package flowtest

import (
	"context"

	"github.com/waybill-hub/waybill/internal/state"
)

// references are the cross-references of one case; it is a mapping.Lookup and a decide.Matcher.
type references struct{ list []xrefFile }

// HubID is the hub id of a system's object.
func (r *references) HubID(_ context.Context, entity, system, local string) (string, bool, error) {
	for _, x := range r.list {
		if x.Entity == entity && x.System == system && x.ID == local {
			return x.Hub, true, nil
		}
	}
	return "", false, nil
}

// LocalID is the object's id in a system.
func (r *references) LocalID(_ context.Context, entity, system, hub string) (string, bool, error) {
	for _, x := range r.list {
		if x.Entity == entity && x.System == system && x.Hub == hub {
			return x.ID, true, nil
		}
	}
	return "", false, nil
}

// ByExternal is the object to which the hub has given the external id.
func (r *references) ByExternal(_ context.Context, entity, external string) (string, bool, error) {
	for _, x := range r.list {
		if x.Entity == entity && state.ExternalID(entity, x.Hub) == external {
			return x.Hub, true, nil
		}
	}
	return "", false, nil
}
