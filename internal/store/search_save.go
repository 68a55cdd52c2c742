package store

import (
	"cmp"
	"context"
	"database/sql"
	"maps"
	"slices"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// index writes rows of the index, object by object.
func (t *tx) index(rows []state.Indexed) error {
	objects, err := t.indexed(rows)
	if err != nil {
		return err
	}
	byName := map[objectName]*indexing{}
	byKey := map[objectName][]*indexing{}
	for _, x := range objects {
		byName[objectName{x.entity, x.name}] = x
		if x.hub != "" {
			byKey[objectName{x.entity, x.key}] = append(byKey[objectName{x.entity, x.key}], x)
		}
	}
	var touched, gone []*indexing
	seen := map[*indexing]bool{}
	for i := range rows {
		r := &rows[i]
		if r.Entity == "" || r.Hub == "" && r.Key == "" {
			continue
		}
		x := byName[objectName{r.Entity, cmp.Or(r.Hub, keyName(r.Key))}]
		byItsKey := byName[objectName{r.Entity, keyName(r.Key)}]
		switch {
		case x == nil && r.Hub == "" && len(byKey[objectName{r.Entity, r.Key}]) == 1: // what was refused before its hub id was looked up
			x = byKey[objectName{r.Entity, r.Key}][0]
		case x == nil && r.Hub != "" && byItsKey != nil: // and has one now
			x = byItsKey
			delete(byName, objectName{x.entity, x.name})
			x.name, x.hub = r.Hub, r.Hub
		case x != nil && r.Hub != "" && byItsKey != nil:
			x.terms = append(byItsKey.terms, x.terms...)
			delete(byName, objectName{byItsKey.entity, byItsKey.name})
			gone = append(gone, byItsKey)
		case x == nil:
			x = &indexing{entity: r.Entity, name: cmp.Or(r.Hub, keyName(r.Key)), hub: r.Hub, fresh: true, had: map[string]bool{}}
		}
		if byName[objectName{x.entity, x.name}] == nil {
			byName[objectName{x.entity, x.name}] = x
			if x.hub != "" {
				byKey[objectName{x.entity, r.Key}] = append(byKey[objectName{x.entity, r.Key}], x)
			}
		}
		if !seen[x] {
			seen[x] = true
			touched = append(touched, x)
		}
		x.take(r)
	}
	gone = slices.DeleteFunc(gone, func(x *indexing) bool { return x.fresh })
	touched = slices.DeleteFunc(touched, func(x *indexing) bool { return byName[objectName{x.entity, x.name}] != x })
	if err := t.dropIndexed(gone); err != nil {
		return err
	}
	return t.saveIndexed(touched)
}

// take adds what a fate says.
func (x *indexing) take(r *state.Indexed) {
	if r.Fate >= x.newest {
		x.newest, x.time, x.flow, x.event, x.system = r.Fate, stamp(r.Time), r.Flow, r.Event, r.System
		x.outcome = string(stands(state.Outcome(x.outcome), r.Outcome))
		x.key = cmp.Or(cleanText(r.Key), x.key)
	}
	for _, term := range r.Terms {
		term.Text = cleanText(term.Text)
		if term.Text == "" {
			continue
		}
		if i := slices.IndexFunc(x.terms, func(o state.Term) bool { return o.Text == term.Text }); i >= 0 {
			if term.Field == "id" { // that the key is an id as well is known anyway
				term.Field = x.terms[i].Field
			}
			x.terms = slices.Delete(x.terms, i, i+1)
		}
		x.terms = append(x.terms, term)
	}
	for i := 0; len(x.terms) > mostTerms && i < len(x.terms); {
		if f := x.terms[i].Field; f == "key" || f == "id" {
			i++
			continue
		}
		x.terms = slices.Delete(x.terms, i, i+1)
	}
	x.terms = x.terms[max(0, len(x.terms)-mostTerms):]
	for i := range r.References {
		ref := &r.References[i]
		if x.fields == nil {
			x.fields = map[string]map[[2]string]int64{}
		}
		if i == 0 || r.References[i-1].Field != ref.Field {
			x.fields[ref.Field] = map[[2]string]int64{}
		}
		x.fields[ref.Field][[2]string{ref.Entity, cleanText(ref.ID)}] = r.Fate
	}
}

// stands is the outcome by which an object stands after another fate: what was left out, as an echo, changes nothing.
func stands(before, now state.Outcome) state.Outcome {
	if now == state.Skipped && before != "" {
		return before
	}
	return now
}

// indexed reads the objects that rows may be about.
func (t *tx) indexed(rows []state.Indexed) ([]*indexing, error) {
	names, keys := map[objectName]bool{}, map[objectName]bool{}
	for i := range rows {
		r := &rows[i]
		if r.Hub != "" {
			names[objectName{r.Entity, r.Hub}] = true
		}
		if r.Key != "" {
			names[objectName{r.Entity, keyName(r.Key)}] = true
		}
		if r.Hub == "" && r.Key != "" {
			keys[objectName{r.Entity, r.Key}] = true
		}
	}
	found := map[int64]*indexing{}
	for _, by := range []struct {
		col string
		of  map[objectName]bool
	}{{"name", names}, {"ekey", keys}} {
		var args []any
		for _, n := range sortedKeys(by.of, func(a, b objectName) int { return cmp.Or(cmp.Compare(a.entity, b.entity), cmp.Compare(a.name, b.name)) }) {
			args = append(args, n.entity, n.name)
		}
		if len(args) == 0 {
			continue
		}
		err := t.look(looking{cols: searchCols, table: "search_objects", key: []string{"entity", by.col}, keys: args}, func(r *sql.Rows) error {
			x, err := scanIndexing(r)
			if err == nil && found[x.object] == nil {
				found[x.object] = x
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	out := slices.Collect(maps.Values(found))
	slices.SortFunc(out, func(a, b *indexing) int { return cmp.Compare(a.object, b.object) })
	return out, nil
}

// dropIndexed removes objects from the index.
func (t *tx) dropIndexed(gone []*indexing) error {
	var numbers, terms []any
	for _, x := range gone {
		numbers = append(numbers, x.object)
		for _, term := range slices.Sorted(maps.Keys(x.had)) {
			terms = append(terms, term, x.object)
		}
	}
	if len(numbers) == 0 {
		return nil
	}
	if len(terms) > 0 {
		if err := t.execIn("DELETE FROM search_terms WHERE ", "term, object", 2, terms, ""); err != nil {
			return err
		}
	}
	for _, table := range []string{"search_links", "search_objects"} {
		if err := t.execIn("DELETE FROM "+table+" WHERE ", "object", 1, numbers, ""); err != nil {
			return err
		}
	}
	return nil
}

// saveIndexed writes objects, their terms and what they name.
func (t *tx) saveIndexed(objects []*indexing) error {
	if len(objects) == 0 {
		return nil
	}
	fresh := 0
	for _, x := range objects {
		fresh += int(b2i(x.fresh))
	}
	ids, err := t.ids("search", fresh)
	if err != nil {
		return err
	}
	var values, terms, old, linked []any
	for _, x := range objects {
		if x.fresh {
			x.object, ids = ids[0], ids[1:]
		}
		now := map[string]bool{}
		for _, term := range x.terms {
			now[term.Text] = true
			if !x.had[term.Text] {
				x.had[term.Text] = true
				terms = append(terms, term.Text, x.object)
			}
		}
		for _, text := range slices.Sorted(maps.Keys(x.had)) {
			if !now[text] {
				old = append(old, text, x.object)
			}
		}
		if x.fields != nil && !x.fresh {
			linked = append(linked, x.object)
		}
		values = append(values, x.object, x.entity, x.name, x.hub, x.key, x.newest, x.time, x.flow, x.event, x.system, x.outcome, encodeTerms(x.terms))
	}
	err = t.insert("INSERT INTO search_objects ("+searchCols+")", 12, values, ` ON CONFLICT (object) DO UPDATE SET name = excluded.name, hub = excluded.hub, ekey = excluded.ekey, newest = excluded.newest,
		time = excluded.time, flow = excluded.flow, event_id = excluded.event_id, system = excluded.system, outcome = excluded.outcome, terms = excluded.terms`)
	if err != nil {
		return err
	}
	if len(old) > 0 {
		if err := t.execIn("DELETE FROM search_terms WHERE ", "term, object", 2, old, ""); err != nil {
			return err
		}
	}
	if len(terms) > 0 {
		if err := t.insert("INSERT INTO search_terms (term, object)", 2, terms, " ON CONFLICT (term, object) DO NOTHING"); err != nil {
			return err
		}
	}
	return t.saveLinks(objects, linked)
}

type linkKey struct {
	object               int64
	field, entity, value string
}

// saveLinks makes what objects name that of their newest documents, field by field; linked are those that may have links already.
func (t *tx) saveLinks(objects []*indexing, linked []any) error {
	have := map[linkKey]bool{}
	if len(linked) > 0 {
		err := t.look(looking{cols: "object, field, entity, value", table: "search_links", key: []string{"object"}, keys: linked}, func(r *sql.Rows) error {
			var k linkKey
			err := r.Scan(&k.object, &k.field, &k.entity, &k.value)
			have[k] = true
			return err
		})
		if err != nil {
			return err
		}
	}
	var add, drop []any
	for _, x := range objects {
		for _, field := range sortedKeys(x.fields, compareTexts) {
			for to, fate := range x.fields[field] {
				k := linkKey{x.object, field, to[0], to[1]}
				if !have[k] {
					add = append(add, k.object, k.field, k.entity, k.value, fate)
				}
				delete(have, k)
			}
			for k := range have {
				if k.object == x.object && k.field == field {
					drop = append(drop, k.object, k.field, k.entity, k.value)
				}
			}
		}
	}
	if len(drop) > 0 {
		if err := t.execIn("DELETE FROM search_links WHERE ", "object, field, entity, value", 4, drop, ""); err != nil {
			return err
		}
	}
	if len(add) == 0 {
		return nil
	}
	return t.insert("INSERT INTO search_links (object, field, entity, value, since)", 5, add, " ON CONFLICT (object, field, entity, value) DO NOTHING")
}

// encodeTerms packs an object's terms: field and text of each, one behind another.
func encodeTerms(terms []state.Term) []byte {
	var b []byte
	for _, t := range terms {
		b = appendText(appendText(b, t.Field), t.Text)
	}
	return pack(b)
}

func decodeTerms(b []byte) ([]state.Term, error) {
	b, err := unpack(b, mostTermsText)
	if err != nil {
		return nil, err
	}
	out, ok := cutTerms(b)
	if !ok {
		return nil, errTorn
	}
	return out, nil
}

// searchPrune is how many objects one transaction takes from the index.
const searchPrune = 200

// pruneSearch forgets objects of which the journal holds nothing any more.
func (s *Store) pruneSearch(ctx context.Context, now time.Time) (removed int64, err error) {
	for {
		n, err := ask(ctx, s, "prune the search index", func(t *tx) (int64, error) {
			var gone []*indexing
			err := t.each(func(r *sql.Rows) error {
				x, err := scanIndexing(r)
				gone = append(gone, x)
				return err
			}, "SELECT "+searchCols+" FROM search_objects WHERE time < ? AND object IN (SELECT object FROM search_objects ORDER BY newest LIMIT CAST(? AS INTEGER))", s.retention(now), searchPrune)
			if err != nil {
				return 0, err
			}
			return int64(len(gone)), t.dropIndexed(gone)
		})
		removed += n
		if err != nil || n < searchPrune {
			return removed, err
		}
	}
}
