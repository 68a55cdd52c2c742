package app

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/search"
	"github.com/waybill-hub/waybill/internal/state"
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

// openSearch has the flows hash what nobody is to read and whoever knows it is to find.
func (h *Hub) openSearch(ctx context.Context) (err error) {
	if h.hider.Secret, err = h.store.SearchSecret(ctx); err != nil { // a hub whose store takes nothing starts all the same
		h.log.Warn("until the next start personal values are not found by those who know them", "error", err)
	}
	return nil
}

// hidden are the hashes of masked values of a flow's search fields.
func (h *Hub) hidden(flow string, source, mapped []byte, kept *state.Documents) []state.Term {
	return h.now.Load().search.Hidden(h.hider, flow, source, mapped, kept)
}

// startSearch keeps the search index.
func (h *Hub) startSearch(context.Context) error {
	w := &search.Worker{Store: h.store, Clock: h.clock, Log: h.log, Holder: h.holder(), TTL: h.leaseTTL(), Plan: func() *search.Plan { return h.now.Load().search }}
	return h.beside("search index", w.Run)
}

// underway is since when the oldest message of those flows is on its way that has no fate yet; zero where there is none.
func (h *Hub) underway(ctx context.Context, counts func(flow string) bool) (oldest time.Time, err error) {
	stored, err := h.store.Partitions(ctx, "")
	if err != nil {
		return oldest, err
	}
	ends, _ := h.ends.look(ctx, h) // of a broker that does not answer counts what was seen last
	lags, ages := h.backlog(ctx, stored, ends)
	for flow, n := range lags {
		if n == 0 || !counts(flow) {
			continue
		}
		since := ages[flow]
		if since.IsZero() { // how old is not known: it counts as old
			since = h.started
		}
		if oldest.IsZero() || since.Before(oldest) {
			oldest = since
		}
	}
	return oldest, nil
}

// Search finds objects.
func (h *Hub) Search(ctx context.Context, q state.SearchQuery) (page state.SearchPage, err error) {
	plan := h.plan()
	entities := map[string]string{}
	for _, f := range plan.Flows {
		entities[f.Name] = f.Entity
	}
	if q.Entity != "" {
		if names := slices.Compact(slices.Sorted(maps.Values(entities))); !slices.Contains(names, q.Entity) {
			return page, unknown("entity", q.Entity, names)
		}
	}
	if hash := h.hider.Hash(q.Text); hash != "" {
		q.Hidden = []string{hash}
	}
	// Before the search: what comes to an end meanwhile is in the journal by then.
	underway, err := h.underway(ctx, func(flow string) bool { return q.Entity == "" || entities[flow] == q.Entity })
	if err != nil {
		return page, err
	}
	if page, err = h.store.Search(ctx, q); err != nil {
		return page, err
	}
	page.Underway = underway
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

const (
	// mostRelating is of how many objects it is asked which others they name: those of a trace first.
	mostRelating = 12
	// mostNear is of how many objects on the way these are told: what more objects name, as a customer or a product, leads everywhere.
	mostNear = 10
	// mostRelated is how many objects are told in all.
	mostRelated = 60
	// mostSteps is how far it goes: quote, order, invoice, payment.
	mostSteps = 3
)

// waypoint is an object on the way from those of a trace.
type waypoint struct {
	entity, hub, key string
	through          string
	steps            int
}

func (p *waypoint) same(o *waypoint) bool {
	return p.entity == o.entity && p.hub == o.hub && (p.hub != "" || p.key == o.key)
}

// Relate fills in which objects those of a trace name, and which name them, and so on from these.
func (h *Hub) Relate(ctx context.Context, t *state.Trace) error {
	var list []waypoint
	add := func(p waypoint) (fresh bool) {
		i := slices.IndexFunc(list, func(o waypoint) bool { return o.same(&p) })
		if i < 0 {
			list = append(list, p)
		} else if list[i].key == "" {
			list[i].key = p.key
		}
		return i < 0
	}
	for i := range t.Objects {
		add(waypoint{entity: t.Objects[i].Entity, hub: t.Objects[i].Hub})
	}
	for i := range t.Journal {
		if j := &t.Journal[i]; j.Entity != "" && (j.Hub != "" || j.Key != "") {
			add(waypoint{entity: j.Entity, hub: j.Hub, key: j.Key})
		}
	}
	for i := 0; i < len(list) && i < mostRelating; i++ {
		p := list[i]
		related, more, err := h.store.Related(ctx, p.entity, p.hub, p.key)
		if err != nil {
			return err
		}
		if p.steps > 0 && (more || len(related) > mostNear) {
			continue
		}
		t.MoreRelated = t.MoreRelated || more
		for _, r := range related {
			next := waypoint{entity: r.Entity, hub: r.Hub, key: r.Key, through: r.Entity + " " + cmp.Or(r.Key, r.Hub), steps: p.steps + 1}
			if p.steps == mostSteps || !add(next) && p.steps > 0 {
				continue
			}
			if len(t.Related) == mostRelated {
				t.MoreRelated = true
				return nil
			}
			r.Through = p.through
			t.Related = append(t.Related, r)
		}
	}
	return nil
}
