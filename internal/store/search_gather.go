package store

import (
	"cmp"
	"database/sql"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/state"
)

// gather collects what fits; wide: there is more than can be put in order.
func (se *searching) gather() (wide bool, err error) {
	exact, many, err := se.byTerms(se.term, mostFits)
	if err != nil {
		return false, err
	}
	if many { // none stands out
		exact = nil
	}
	some, wide, err := se.byTerms(se.term, mostFits, end(se.term))
	if err != nil {
		return false, err
	}
	for _, hidden := range se.q.Hidden {
		more, many, err := se.byTerms(hidden, mostFits)
		if err != nil {
			return false, err
		}
		if wide = wide || many; !many {
			exact = append(exact, more...)
		}
	}
	if wide {
		some = nil
	}
	for _, of := range []struct {
		numbers []any
		exact   bool
	}{{exact, true}, {some, false}} {
		if err := se.load(of.numbers, of.exact); err != nil {
			return false, err
		}
	}
	names, more, err := se.byIDs(wide)
	if err != nil {
		return false, err
	}
	if err := se.loadNames(names); err != nil {
		return false, err
	}
	for _, step := range []func() error{se.tail, se.received} {
		if err := step(); err != nil {
			return false, err
		}
	}
	return wide || more, nil
}

// byTerms gives objects that have a term, or one from there to an end; many: there are more than most.
func (se *searching) byTerms(term string, most int, until ...string) (numbers []any, many bool, err error) {
	where, args := "term = ?", []any{term}
	if len(until) > 0 {
		where, args = "term >= ? AND term < ?", append(args, until[0])
	}
	seen := map[int64]bool{}
	n := 0
	err = se.each(func(r *sql.Rows) error {
		var number int64
		err := r.Scan(&number)
		if n++; !seen[number] && n <= most {
			seen[number] = true
			numbers = append(numbers, number)
		}
		return err
	}, "SELECT object FROM search_terms WHERE "+where+" ORDER BY term, object LIMIT CAST(? AS INTEGER)", append(args, most+1)...)
	return numbers, n > most, err
}

// load notes objects of the index, by their numbers: as much of them as puts them in order. The page's are read as a whole later.
func (se *searching) load(numbers []any, exact bool) error {
	for chunk := range slices.Chunk(numbers, walkStep) {
		err := se.each(func(r *sql.Rows) error {
			x := &indexing{}
			if err := r.Scan(&x.object, &x.entity, &x.name, &x.hub, &x.key, &x.newest, &x.outcome); err != nil {
				return err
			}
			if f := se.take(x); f != nil {
				f.exact = f.exact || exact
			}
			return nil
		}, "SELECT object, entity, name, hub, ekey, newest, outcome FROM search_objects WHERE "+se.d.in("object", 1, len(chunk)), chunk...)
		if err != nil {
			return err
		}
	}
	return nil
}

// fill reads the objects of a page as a whole.
func (se *searching) fill(fits []*fit) error {
	var numbers []any
	byNumber := map[int64]*fit{}
	for _, f := range fits {
		if f.object != 0 && f.terms == nil {
			numbers = append(numbers, f.object)
			byNumber[f.object] = f
		}
	}
	if len(numbers) == 0 {
		return nil
	}
	return se.each(func(r *sql.Rows) error {
		x, err := scanIndexing(r)
		if err == nil {
			byNumber[x.object].fill(x)
			byNumber[x.object].foundBy(x.terms, se)
		}
		return err
	}, "SELECT "+searchCols+" FROM search_objects WHERE "+se.d.in("object", 1, len(numbers)), numbers...)
}

// take makes an object of the index one that fits; nil: it is of another kind.
func (se *searching) take(x *indexing) *fit {
	if se.q.Entity != "" && x.entity != se.q.Entity {
		return nil
	}
	if f := se.fits[objectName{x.entity, x.name}]; f != nil {
		return f
	}
	f := &fit{name: x.name, object: x.object}
	f.fill(x)
	se.fits[f.key()] = f
	return f
}

// fill takes over what the index knows, but what newer fates have said.
func (f *fit) fill(x *indexing) {
	if f.Fate > x.newest {
		return
	}
	f.Entity, f.Hub, f.Key, f.Fate, f.Flow, f.Event, f.System, f.Outcome, f.Time = x.entity, x.hub, x.key, x.newest, x.flow, x.event, x.system, state.Outcome(x.outcome), unstamp(x.time)
	f.terms = x.terms
}

// fitting: the term is what is searched, or begins so.
func (se *searching) fitting(term state.Term) bool {
	return slices.Contains(se.q.Hidden, term.Text) || strings.HasPrefix(term.Text, se.term)
}

// foundBy notes by which of its terms an object was found.
func (f *fit) foundBy(terms []state.Term, se *searching) {
	for _, term := range terms {
		if se.fitting(term) {
			f.found(term.Field)
		}
	}
}

func (f *fit) found(field string) {
	if !slices.Contains(f.Fields, field) {
		f.Fields = append(f.Fields, field)
	}
}

// mostOfEvent is how many fates of an event are looked at.
const mostOfEvent = 20

// byIDs finds objects by hub ids and ids that the hub writes, which are whole, and by ids in systems, or their beginnings; many: there are more than mostFits. wide: the
// objects will be gone through, and met by their ids then.
func (se *searching) byIDs(wide bool) (names map[objectName]bool, many bool, err error) {
	names = map[objectName]bool{}
	take := func(r *sql.Rows) error {
		var n objectName
		err := r.Scan(&n.entity, &n.name)
		names[n] = true
		return err
	}
	lower := strings.ToLower(se.q.Text)
	err = se.each(take, "SELECT entity, hub FROM objects WHERE hub IN (?, ?) UNION SELECT entity, hub FROM objects WHERE external IN (?, ?) LIMIT 50", se.q.Text, lower, se.q.Text, lower)
	if err != nil {
		return nil, false, err
	}
	fates, err := se.fates.ids(byEvent, se.q.Text, mostOfEvent, where{})
	if err != nil {
		return nil, false, err
	}
	rows, err := se.fates.rows(fates, mostOfEvent)
	if err != nil {
		return nil, false, err
	}
	for i := range rows {
		n := objectName{rows[i].Entity, cmp.Or(rows[i].Hub, keyName(rows[i].Key))}
		if n.entity != "" && n.name != keyName("") {
			names[n] = true
		}
	}
	if wide {
		return names, false, nil
	}
	n, text := 0, folded(se.q.Text)
	x := se.d.fold("local")
	err = se.each(func(r *sql.Rows) error {
		if n++; n > mostFits {
			return nil
		}
		return take(r)
	}, "SELECT entity, hub FROM refs WHERE "+x+" >= ? AND "+x+" < ? ORDER BY "+x+" LIMIT CAST(? AS INTEGER)", text, end(text), mostFits+1)
	return names, n > mostFits, err
}

// loadNames reads objects by their hub ids. Those of which the index has nothing fit all the same.
func (se *searching) loadNames(names map[objectName]bool) error {
	var order []objectName
	var keys []any
	for _, n := range sortedKeys(names, func(a, b objectName) int { return cmp.Or(cmp.Compare(a.entity, b.entity), cmp.Compare(a.name, b.name)) }) {
		if se.q.Entity == "" || n.entity == se.q.Entity {
			order = append(order, n)
			keys = append(keys, n.entity, n.name)
		}
	}
	for chunk := range slices.Chunk(keys, 2*walkStep) {
		table, args := se.d.table(2, chunk)
		from := "search_objects WHERE (entity, name) IN (" + table + ")"
		if se.d == postgres { // name by name, whatever its planner thinks of the kinds
			from = "(" + table + ") AS v, LATERAL (SELECT * FROM search_objects WHERE entity = v.column1 AND name = v.column2 OFFSET 0) AS o"
		}
		err := se.each(func(r *sql.Rows) error {
			x := &indexing{}
			err := r.Scan(&x.object, &x.entity, &x.name, &x.hub, &x.key, &x.newest, &x.outcome)
			if err == nil {
				se.take(x)
			}
			return err
		}, "SELECT object, entity, name, hub, ekey, newest, outcome FROM "+from, args...)
		if err != nil {
			return err
		}
	}
	for _, n := range order {
		f := se.fits[n]
		if f == nil {
			f = &fit{name: n.name}
			f.Entity, f.Hub = n.entity, n.name
			if key, ok := strings.CutPrefix(n.name, keyName("")); ok {
				f.Hub, f.Key = "", key
			}
			se.fits[n] = f
		}
		f.found("id")
		f.exact = f.exact || strings.EqualFold(f.Hub, se.q.Text)
	}
	return nil
}

// tail looks at fates that are not indexed yet: their keys and ids alone.
func (se *searching) tail() error {
	if se.page.Behind == 0 {
		return nil
	}
	rows, err := journalOf(se.ctx, se.db, se.d, "SELECT "+journalCols+" FROM journal WHERE id > ? ORDER BY id DESC LIMIT CAST(? AS INTEGER)", se.page.Fate, mostTail)
	if err != nil {
		return err
	}
	text := folded(se.q.Text)
	for i := len(rows) - 1; i >= 0; i-- { // oldest first
		j := &rows[i]
		field := ""
		switch {
		case j.Entity == "" || se.q.Entity != "" && j.Entity != se.q.Entity || j.Hub == "" && j.Key == "":
			continue
		case strings.HasPrefix(folded(j.Key), text):
			field = "key"
		case j.Local != "" && strings.HasPrefix(folded(j.Local), text), j.External == se.q.Text, j.Hub == se.q.Text, j.EventID == se.q.Text:
			field = "id"
		default:
			continue
		}
		n := objectName{j.Entity, cmp.Or(j.Hub, keyName(j.Key))}
		f := se.fits[n]
		if f == nil {
			f = &fit{name: n.name}
			f.Entity, f.Hub, f.Key = j.Entity, j.Hub, j.Key
			se.fits[n] = f
		}
		if f.Fate < j.ID {
			f.Key = cmp.Or(j.Key, f.Key)
			f.Fate, f.Time, f.Flow, f.Event, f.System, f.Outcome = j.ID, j.Time, j.Flow, j.EventID, j.System, stands(f.Outcome, j.Outcome)
		}
		f.exact = f.exact || folded(j.Key) == text || folded(j.Local) == text
		f.found(field)
	}
	return nil
}

// received looks at deliveries whose fate is not known yet, by the keys that were read of them.
func (se *searching) received() error {
	text, n := folded(se.q.Text), 0
	x := se.d.fold("ekey")
	err := se.each(func(r *sql.Rows) error {
		var flow, id, key string
		var at int64
		if err := r.Scan(&flow, &id, &key, &at); err != nil {
			return err
		}
		n++
		se.came(text, flow, id, key, at)
		return nil
	}, "SELECT flow, id, ekey, received FROM inbox WHERE ekey <> '' AND "+x+" >= ? AND "+x+" < ? ORDER BY "+x+" LIMIT CAST(? AS INTEGER)", text, end(text), mostReceived)
	if err != nil || n >= mostReceived {
		return err
	}
	return se.bundled(text, mostReceived-n)
}

// came notes a delivery of a key.
func (se *searching) came(text, flow, id, key string, at int64) {
	for _, f := range se.fits { // what became of earlier ones says more
		if f.Key == key {
			return
		}
	}
	n := objectName{"", "=" + flow + "=" + key}
	f := &fit{name: n.name, exact: folded(key) == text}
	f.Key, f.Flow, f.Event, f.Received = key, flow, id, unstamp(at)
	f.found("key")
	if se.fits[n] == nil {
		se.fits[n] = f
	}
}

// bundled looks at those that came together with others: at all of their keys.
func (se *searching) bundled(text string, most int) error {
	type one struct {
		bundledAt
		key string
	}
	var all []one
	seen := map[string]bool{}
	err := se.each(func(r *sql.Rows) error {
		var seq int64
		var keys sql.RawBytes
		if err := r.Scan(&seq, &keys); err != nil || len(all) >= most {
			return err
		}
		return eachKey(keys, func(i int, key string) {
			if len(all) < most && key != "" && !seen[key] && strings.HasPrefix(folded(key), text) {
				seen[key] = true
				all = append(all, one{bundledAt{seq, i}, key})
			}
		})
	}, "SELECT seq, keys FROM inbox_bundle_keys ORDER BY seq DESC")
	if err != nil {
		return err
	}
	var row state.Inbound
	for _, o := range all {
		if row.Seq != o.seq {
			in := inboxRows{db: se.db, d: se.d, limit: 1}
			rows, err := in.read(se.ctx, "i.seq = ?", o.seq)
			if err != nil {
				return err
			}
			if len(rows) == 0 {
				continue
			}
			row = rows[0]
		}
		if o.index < len(row.Bundle) {
			se.came(text, row.Flow, row.Bundle[o.index].ID, o.key, stamp(row.Received))
		}
	}
	return nil
}
