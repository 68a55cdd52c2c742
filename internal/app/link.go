package app

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// linksAtOnce bounds one transaction of the store: what people do must not hold up promises.
const linksAtOnce = 500

// Link makes cross-references that people know of. Entities and systems must be those of the hub's files. A dry run is one step, so that each
// link sees the ones before it.
func (h *Hub) Link(ctx context.Context, links []state.Link, dry bool, who string) ([]state.Linked, error) {
	if err := h.linkable(links); err != nil {
		return nil, err
	}
	if dry {
		return h.store.Link(ctx, links, true, who)
	}
	var out []state.Linked
	for part := range slices.Chunk(links, linksAtOnce) {
		got, err := h.store.Link(ctx, part, false, who)
		if err != nil {
			return nil, err
		}
		out = append(out, got...)
	}
	h.kick() // messages that waited for an id may be ready
	return out, nil
}

func (h *Hub) linkable(links []state.Link) error {
	plan := h.plan()
	entities := map[string]bool{}
	for _, f := range plan.Flows {
		entities[f.Entity] = true
	}
	var places []api.Place
	unknown := func(at, what, name string, known []string) {
		text := fmt.Sprintf("the hub's files know no %s %q", what, name)
		if hint := strictyaml.DidYouMean(name, known); hint != "" {
			text += " (" + hint + ")"
		}
		places = append(places, api.Place{Path: at, Message: text})
	}
	for i, l := range links {
		if !entities[l.Entity] {
			unknown(fmt.Sprintf("links[%d].entity", i), "flow of the entity", l.Entity, slices.Sorted(maps.Keys(entities)))
		}
		for j, id := range l.IDs {
			if plan.Systems[id.System] == nil {
				unknown(fmt.Sprintf("links[%d].ids[%d].system", i, j), "system", id.System, slices.Sorted(maps.Keys(plan.Systems)))
			}
		}
	}
	if len(places) > 0 {
		return &api.Invalid{Detail: "nothing was linked: " + places[0].Message, Places: places}
	}
	return nil
}
