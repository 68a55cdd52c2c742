package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/search"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// indexForm is the form of the search index that this program makes; an index of another form is made anew.
const indexForm = 1

// searchPlan is what a plan says of the search.
func searchPlan(plan *config.Plan) *search.Plan {
	p := &search.Plan{Flows: map[string]search.Flow{}, Entities: map[string]bool{}}
	h := sha256.New()
	fmt.Fprintln(h, indexForm)
	for _, f := range plan.Flows {
		p.Flows[f.Name] = search.Flow{Fields: f.Search, Mapped: f.OnTopic()}
		p.Entities[f.Entity] = true
		if len(f.Search) > 0 {
			fmt.Fprintf(h, "%q %q %v\n", f.Name, f.Search, f.OnTopic())
		}
	}
	p.Settings = hex.EncodeToString(h.Sum(nil)[:8])
	return p
}

// startSearch keeps the search index.
func (h *Hub) startSearch(context.Context) error {
	w := &search.Worker{Store: h.store, Clock: h.clock, Log: h.log, Holder: h.holder(), TTL: h.leaseTTL(), Plan: func() *search.Plan { return h.now.Load().search }}
	return h.beside("search index", w.Run)
}

// Search finds objects.
func (h *Hub) Search(ctx context.Context, q state.SearchQuery) (page state.SearchPage, err error) {
	plan := h.plan()
	entities := map[string]string{}
	for _, f := range plan.Flows {
		entities[f.Name] = f.Entity
	}
	if q.Entity != "" {
		if names := slices.Sorted(maps.Values(entities)); !slices.Contains(names, q.Entity) {
			return page, fmt.Errorf("entity %q (%s): %w", q.Entity, strictyaml.DidYouMean(q.Entity, names), state.ErrNotFound)
		}
	}
	if page, err = h.store.Search(ctx, q); err != nil {
		return page, err
	}
	for i := range page.Objects { // what has no fate yet is known by its flow
		if o := &page.Objects[i]; o.Entity == "" {
			o.Entity = entities[o.Flow]
		}
	}
	if q.Entity != "" {
		page.Objects = slices.DeleteFunc(page.Objects, func(o state.SearchedObject) bool { return o.Entity != q.Entity })
	}
	return page, nil
}

// mostRelating is of how many of a trace's objects it is told which others they name.
const mostRelating = 5

// Relate fills in which objects those of a trace name, and which name them.
func (h *Hub) Relate(ctx context.Context, t *state.Trace) error {
	type object struct{ entity, hub, key string }
	var list []object
	add := func(o object) {
		same := func(b object) bool { return b.entity == o.entity && b.hub == o.hub && (o.hub != "" || b.key == o.key) }
		if i := slices.IndexFunc(list, same); i < 0 {
			list = append(list, o)
		} else if list[i].key == "" {
			list[i].key = o.key
		}
	}
	for i := range t.Objects {
		add(object{t.Objects[i].Entity, t.Objects[i].Hub, ""})
	}
	for i := range t.Journal {
		if j := &t.Journal[i]; j.Entity != "" && (j.Hub != "" || j.Key != "") {
			add(object{j.Entity, j.Hub, j.Key})
		}
	}
	for _, o := range list[:min(len(list), mostRelating)] {
		related, more, err := h.store.Related(ctx, o.entity, o.hub, o.key)
		if err != nil {
			return err
		}
		t.Related = append(t.Related, related...)
		t.MoreRelated = t.MoreRelated || more
	}
	return nil
}
