package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/state"
)

// Link makes cross-references that people know of, each whole or not at all, and one answer for each. A later link of the same call sees the
// earlier ones, also in a dry run, which stores nothing. What is stored is in the audit, by who.
func (s *Store) Link(ctx context.Context, links []state.Link, dry bool, who string) ([]state.Linked, error) {
	return ask(ctx, s, "link", func(t *tx) ([]state.Linked, error) {
		pairs := map[pair]bool{}
		for i := range links {
			for _, id := range links[i].IDs {
				pairs[pair{links[i].Entity, id.System}] = false
			}
		}
		if err := t.lock(pairLocks(ofRefs, pairs)); err != nil {
			return nil, err
		}
		l := linking{t: t, objects: map[object]map[string]string{}, hubs: map[sighting]string{}}
		out := make([]state.Linked, len(links))
		for i := range links {
			var err error
			if out[i], err = l.link(&links[i]); err != nil {
				return nil, err
			}
		}
		if dry || len(l.add.byKey) == 0 {
			return out, nil
		}
		return out, l.store(who, links, out)
	})
}

// linking is what the links of one call make of the cross-reference.
type linking struct {
	t *tx
	// objects are the living ids by system, of objects without a system; hubs are the objects of ids.
	objects map[object]map[string]string
	hubs    map[sighting]string
	add     refChanges
}

func (l *linking) store(who string, links []state.Link, out []state.Linked) error {
	if err := l.t.saveRefs(&l.add); err != nil {
		return err
	}
	if err := l.t.markReady(l.add.rows(), nil); err != nil {
		return err
	}
	n := map[state.LinkStatus]int{}
	var made strings.Builder
	for i, o := range out {
		if n[o.Status]++; o.Status != state.LinkMade || made.Len() > mostChange {
			continue
		}
		fmt.Fprintf(&made, "%s %s:", links[i].Entity, o.Hub)
		for _, id := range links[i].IDs {
			fmt.Fprintf(&made, " %s %s", id.System, id.Local)
		}
		made.WriteByte('\n')
	}
	return l.t.audit(who, "link", "cross-reference", fmt.Sprintf("%d linked, %d known already, %d refused", n[state.LinkMade], n[state.LinkKnown], n[state.LinkRefused]), "not linked", made.String())
}

func (l *linking) link(in *state.Link) (state.Linked, error) {
	var hubs []string
	for _, id := range in.IDs {
		hub, err := l.hub(in.Entity, id)
		if err != nil {
			return state.Linked{}, err
		}
		if hub != "" && !slices.Contains(hubs, hub) {
			hubs = append(hubs, hub)
		}
	}
	hub, why, err := l.choose(in, hubs)
	if err != nil || why != "" {
		return state.Linked{Status: state.LinkRefused, Hub: hub, Reason: why}, err
	}
	have, err := l.ids(in.Entity, hub)
	if err != nil {
		return state.Linked{}, err
	}
	var missing []state.LocalID
	for _, id := range in.IDs {
		switch local := have[id.System]; local {
		case id.Local:
		case "":
			missing = append(missing, id)
		default:
			return state.Linked{Status: state.LinkRefused, Hub: hub, Reason: fmt.Sprintf("the object is %s in %s already (%s)", local, id.System, named(in.Entity, have))}, nil
		}
	}
	if len(missing) == 0 {
		return state.Linked{Status: state.LinkKnown, Hub: hub}, nil
	}
	for _, h := range append([]string{hub}, hubs...) {
		if why, err := l.underWay(in.Entity, h); err != nil || why != "" {
			return state.Linked{Status: state.LinkRefused, Hub: hub, Reason: why}, err
		}
	}
	for _, id := range missing {
		l.give(in.Entity, hub, id)
	}
	return state.Linked{Status: state.LinkMade, Hub: hub}, nil
}

// choose gives the object that the ids become ids of. Of several, those that are known in one system alone join the other.
func (l *linking) choose(in *state.Link, hubs []string) (hub, why string, err error) {
	if len(hubs) == 0 {
		first := in.IDs[0]
		return state.MintHub(in.Entity, first.System, first.Local), "", nil
	}
	hub = hubs[0]
	var several []string
	for _, h := range hubs {
		ids, err := l.ids(in.Entity, h)
		if err != nil {
			return "", "", err
		}
		if len(ids) > 1 {
			hub, several = h, append(several, named(in.Entity, ids))
		}
	}
	if len(several) > 1 {
		return hub, "these are different objects: " + strings.Join(several, "; "), nil
	}
	return hub, "", nil
}

// give makes an id the object's, and takes it from the object that had it.
func (l *linking) give(entity, hub string, id state.LocalID) {
	key := sighting{entity: entity, system: id.System, local: id.Local}
	before := l.hubs[key]
	if before != "" {
		delete(l.objects[object{entity: entity, hub: before}], id.System)
	}
	l.hubs[key] = hub
	l.objects[object{entity: entity, hub: hub}][id.System] = id.Local
	l.add.put(&state.Ref{Entity: entity, Hub: hub, System: id.System, Local: id.Local, Instead: before})
}

// hub is the object of an id; empty where nobody has seen it, or it is deleted.
func (l *linking) hub(entity string, id state.LocalID) (string, error) {
	key := sighting{entity: entity, system: id.System, local: id.Local}
	if hub, ok := l.hubs[key]; ok {
		return hub, nil
	}
	var hub string
	err := l.t.each(func(r *sql.Rows) error { return r.Scan(&hub) },
		"SELECT hub FROM refs WHERE local = ? AND system = ? AND entity || '' = ? AND deleted = 0 ORDER BY updated DESC, hub LIMIT 1", id.Local, id.System, entity)
	l.hubs[key] = hub
	return hub, err
}

// ids are the object's living ids by system.
func (l *linking) ids(entity, hub string) (map[string]string, error) {
	key := object{entity: entity, hub: hub}
	if ids, ok := l.objects[key]; ok {
		return ids, nil
	}
	ids := map[string]string{}
	err := l.t.each(func(r *sql.Rows) error {
		var system, local string
		err := r.Scan(&system, &local)
		ids[system] = local
		return err
	}, "SELECT system, local FROM refs WHERE entity = ? AND hub = ? AND deleted = 0 AND local <> ''", entity, hub)
	l.objects[key] = ids
	return ids, err
}

// underWay says which call to the object stands open: what it will make of the cross-reference is not known yet.
func (l *linking) underWay(entity, hub string) (why string, err error) {
	err = l.t.each(func(r *sql.Rows) error {
		var system, flow string
		err := r.Scan(&system, &flow)
		why = fmt.Sprintf("the flow %s is just writing the object to %s, or does not know yet whether it has: try again when that message is settled", flow, system)
		return err
	}, "SELECT system, flow FROM intents WHERE entity = ? AND hub = ? LIMIT 1", entity, hub)
	return why, err
}

// named names an object by its ids.
func named(entity string, ids map[string]string) string {
	var out []string
	for system, local := range ids {
		out = append(out, system+" "+local)
	}
	slices.Sort(out)
	return entity + " " + strings.Join(out, ", ")
}
