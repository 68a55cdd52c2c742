package app

import (
	"fmt"
	"slices"

	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// unknown is a state.ErrNotFound for a name that is none of names, with what may be meant.
func unknown(what, name string, names []string) error {
	slices.Sort(names)
	hint := strictyaml.DidYouMean(name, slices.Compact(names))
	if hint != "" {
		hint = " (" + hint + ")"
	}
	return fmt.Errorf("%s %q%s: %w", what, name, hint, state.ErrNotFound)
}

// unknownFlow is that for a flow's name.
func (h *Hub) unknownFlow(name string) error {
	var names []string
	for _, f := range h.plan().Flows {
		names = append(names, f.Name)
	}
	return unknown("flow", name, names)
}
