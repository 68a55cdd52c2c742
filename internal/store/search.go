package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/fold"
	"github.com/waybill-hub/waybill/internal/state"
)

const (
	// mostFits is how many objects are put in order of their time at once. Where more fit, the newest objects are gone through instead.
	mostFits = 2000
	// mostExact is how many objects that fit exactly stand before all others.
	mostExact = 50
	// mostWalked is through how many objects one page goes then.
	mostWalked = 20_000
	// mostTail is how many fates that are not indexed yet one search looks at.
	mostTail = 1000
	// mostReceived is how many rows of the inbox it does.
	mostReceived = 200
	// walkStep is how many objects are read at a time.
	walkStep = 500
)

// searchLimit is a page's: 20 by default, at most 100.
func searchLimit(n int) int { return min(max(cmp.Or(n, 20), 1), 100) }

// searchCursor is where a page goes on: behind an object of the newest fate given. Walked: by going through the objects.
type searchCursor struct {
	Fate   int64  `json:"f"`
	Name   string `json:"n,omitempty"`
	Entity string `json:"e,omitempty"`
	Exact  bool   `json:"x,omitempty"`
	Walked bool   `json:"w,omitempty"`
}

func (c *searchCursor) text() string {
	b, err := json.Marshal(c)
	if err != nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func readCursor(text string) (c searchCursor, err error) {
	if text == "" {
		return c, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	if err != nil {
		return c, fmt.Errorf("%w: it is none that a search gave", state.ErrCursor)
	}
	return c, nil
}

// fit is an object that fits, on its way into a page.
type fit struct {
	state.SearchedObject
	object int64 // its number in the index; 0: the index has it not
	name   string
	terms  []state.Term // nil until it is read as a whole
	exact  bool
}

func (f *fit) key() objectName { return objectName{f.Entity, f.name} }

// before is the order of answers: exact ones first, then the newest.
func (f *fit) before(o *fit) int {
	return cmp.Or(cmp.Compare(b2i(o.exact), b2i(f.exact)), cmp.Compare(o.Fate, f.Fate), cmp.Compare(f.Entity, o.Entity), cmp.Compare(f.name, o.name))
}

func (c *searchCursor) behind(f *fit) bool {
	if c.Name == "" {
		return true
	}
	at := fit{exact: c.Exact, name: c.Name}
	at.Fate, at.Entity = c.Fate, c.Entity
	return at.before(f) < 0
}

// searching is one search.
type searching struct {
	ctx  context.Context
	db   queryer
	d    dialect
	q    *state.SearchQuery
	term string // the text, folded
	fits map[objectName]*fit
	page *state.SearchPage
}

// Search finds objects by ids, keys and fields, or by their beginnings. It looks at no more than a bounded part of what is stored; the page says how far it
// has come. state.ErrCursor for a cursor that is none.
func (s *Store) Search(ctx context.Context, q state.SearchQuery) (page state.SearchPage, err error) {
	at, err := readCursor(q.After)
	if err != nil {
		return page, err
	}
	q.Text = strings.TrimSpace(cleanText(q.Text))
	term := fold.Cut(fold.Text(q.Text))
	if term == "" {
		return page, nil
	}
	err = s.snapshot(ctx, func(db queryer) error {
		se := &searching{ctx: ctx, db: db, d: s.d, q: &q, term: term, fits: map[objectName]*fit{}, page: &page}
		if err := se.byIndexes(); err != nil {
			return err
		}
		if err := se.looked(); err != nil {
			return err
		}
		wide, err := se.gather()
		if err != nil {
			return err
		}
		if wide || at.Walked {
			err = se.walk(at)
		} else {
			err = se.whole(at)
		}
		if err != nil {
			return err
		}
		return se.describe(page.Objects)
	})
	return page, s.wrap("search", err)
}

// byIndexes has PostgreSQL go by the indexes' own order: of young tables its planner knows little, and would rather sort all that begins with a letter.
func (se *searching) byIndexes() error {
	if se.d != postgres {
		return nil
	}
	return se.each(func(*sql.Rows) error { return nil }, "SELECT set_config('enable_sort', 'off', true), set_config('enable_bitmapscan', 'off', true), set_config('enable_seqscan', 'off', true)")
}

// looked notes how far the index is.
func (se *searching) looked() error {
	l := &se.page.Looked
	var newest, until int64
	err := se.each(func(r *sql.Rows) error { return r.Scan(&l.Fate, &until) }, "SELECT fate, time FROM search_place WHERE one = 1")
	if err != nil {
		return err
	}
	if err := se.each(func(r *sql.Rows) error { return r.Scan(&newest) }, "SELECT COALESCE(MAX(id), 0) FROM journal"); err != nil {
		return err
	}
	l.Until, l.Behind = unstamp(until), max(0, newest-l.Fate)
	return se.unread()
}

// unread finds the oldest delivery that nobody has read: it goes from flow to flow by the index of these.
func (se *searching) unread() error {
	flow, more := "", true
	for more {
		more = false
		err := se.each(func(r *sql.Rows) error {
			var at int64
			more = true
			err := r.Scan(&flow, &at)
			if since := se.page.Unread; since.IsZero() || unstamp(at).Before(since) {
				se.page.Unread = unstamp(at)
			}
			return err
		}, "SELECT flow, received FROM inbox WHERE places IS NULL AND flow > ? ORDER BY flow, seq LIMIT 1", flow)
		if err != nil {
			return err
		}
	}
	return nil
}

func (se *searching) each(scan func(*sql.Rows) error, q string, args ...any) error {
	return eachOf(se.ctx, se.db, se.d, scan, q, args...)
}

// gather collects what fits; wide: there is more than can be put in order.
func (se *searching) gather() (wide bool, err error) {
	exact, _, err := se.byTerms(se.term, mostExact)
	if err != nil {
		return false, err
	}
	some, wide, err := se.byTerms(se.term, mostFits, end(se.term))
	if err != nil {
		return false, err
	}
	for _, hidden := range se.q.Hidden {
		more, _, err := se.byTerms(hidden, mostFits)
		if err != nil {
			return false, err
		}
		exact = append(exact, more...)
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
	names, many, err := se.byIDs()
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
	return wide || many, nil
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

// foundBy notes by which of its terms an object was found.
func (f *fit) foundBy(terms []state.Term, se *searching) {
	for _, term := range terms {
		if slices.Contains(se.q.Hidden, term.Text) || strings.HasPrefix(term.Text, se.term) {
			f.found(term.Field)
		}
	}
}

func (f *fit) found(field string) {
	if !slices.Contains(f.Fields, field) {
		f.Fields = append(f.Fields, field)
	}
}

// byIDs finds objects by hub ids and ids that the hub writes, which are whole, and by ids in systems, or their beginnings; many: there are more than mostFits.
func (se *searching) byIDs() (names map[objectName]bool, many bool, err error) {
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
	err = se.each(func(r *sql.Rows) error {
		var n objectName
		var hub, key string
		err := r.Scan(&n.entity, &hub, &key)
		if n.name = cmp.Or(hub, keyName(key)); n.entity != "" && n.name != keyName("") {
			names[n] = true
		}
		return err
	}, "SELECT entity, hub, ekey FROM journal WHERE event_id = ? LIMIT 20", se.q.Text)
	if err != nil {
		return nil, false, err
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
	text := folded(se.q.Text)
	x := se.d.fold("ekey")
	return se.each(func(r *sql.Rows) error {
		var flow, id, key string
		var at int64
		if err := r.Scan(&flow, &id, &key, &at); err != nil {
			return err
		}
		for _, f := range se.fits { // what became of earlier ones says more
			if f.Key == key {
				return nil
			}
		}
		n := objectName{"", "=" + flow + "=" + key}
		f := &fit{name: n.name, exact: folded(key) == text}
		f.Key, f.Flow, f.Event, f.Received = key, flow, id, unstamp(at)
		f.found("key")
		if se.fits[n] == nil {
			se.fits[n] = f
		}
		return nil
	}, "SELECT flow, id, ekey, received FROM inbox WHERE ekey <> '' AND "+x+" >= ? AND "+x+" < ? ORDER BY "+x+" LIMIT CAST(? AS INTEGER)", text, end(text), mostReceived)
}

// ordered are those that fit, in the order of answers.
func (se *searching) ordered(which func(*fit) bool) []*fit {
	out := slices.DeleteFunc(slices.Collect(maps.Values(se.fits)), func(f *fit) bool { return !which(f) })
	slices.SortFunc(out, (*fit).before)
	return out
}

// whole makes a page of all that fits.
func (se *searching) whole(at searchCursor) error {
	return se.give(se.ordered(func(f *fit) bool { return at.behind(f) }), searchCursor{})
}

// give fills the page; more is where it goes on otherwise, if anywhere.
func (se *searching) give(fits []*fit, more searchCursor) error {
	limit := searchLimit(se.q.Limit)
	if err := se.fill(fits[:min(len(fits), limit)]); err != nil {
		return err
	}
	for _, f := range fits[:min(len(fits), limit)] {
		slices.Sort(f.Fields)
		se.page.Objects = append(se.page.Objects, f.SearchedObject)
	}
	switch {
	case len(fits) > limit:
		last := fits[limit-1]
		c := searchCursor{Fate: last.Fate, Name: last.name, Entity: last.Entity, Exact: last.exact, Walked: more.Walked}
		se.page.Next = c.text()
	case more.Name != "":
		se.page.Next = more.text()
	}
	return nil
}

// walk makes a page where too many objects fit to be put in order: first come those that fit exactly and those that are not indexed yet, then the objects
// are gone through, the newest first.
func (se *searching) walk(at searchCursor) error {
	limit := searchLimit(se.q.Limit)
	first := se.ordered(func(f *fit) bool { return f.exact || f.Fate > se.page.Fate || f.Fate == 0 && f.Hub == "" })
	for _, f := range first {
		f.exact = true // they stand before all others
	}
	slices.SortFunc(first, (*fit).before)
	given := map[objectName]bool{}
	for _, f := range first {
		given[f.key()] = true
	}
	out := slices.DeleteFunc(slices.Clone(first), func(f *fit) bool { return at.Name != "" && (!at.Exact || !at.behind(f)) })
	below, walked, last := int64(1)<<62, 0, searchCursor{}
	if at.Name != "" && !at.Exact {
		below = at.Fate
	}
	for len(out) <= limit && walked < mostWalked {
		n := 0
		err := se.each(func(r *sql.Rows) error {
			x, err := scanIndexing(r)
			if err != nil {
				return err
			}
			n++
			below = x.newest
			last = searchCursor{Fate: x.newest, Name: x.name, Entity: x.entity, Walked: true}
			se.page.Back = unstamp(x.time)
			if se.q.Entity != "" && x.entity != se.q.Entity || !slices.ContainsFunc(x.terms, func(t state.Term) bool { return strings.HasPrefix(t.Text, se.term) }) || given[objectName{x.entity, x.name}] {
				return nil
			}
			delete(se.fits, objectName{x.entity, x.name})
			f := se.take(x)
			f.foundBy(x.terms, se)
			out = append(out, f)
			return nil
		}, "SELECT "+searchCols+" FROM search_objects WHERE newest < ? ORDER BY newest DESC LIMIT CAST(? AS INTEGER)", below, walkStep)
		if err != nil {
			return err
		}
		if walked += n; n < walkStep {
			last = searchCursor{}
			break
		}
	}
	last.Walked = true
	if len(out) > limit {
		se.page.Back = out[limit-1].Time
	}
	return se.give(out, last)
}

// describe fills in what stands beside the objects of a page.
func (se *searching) describe(objects []state.SearchedObject) error {
	at := map[string][]*state.SearchedObject{}
	var hubs, keys []any
	for i := range objects {
		o := &objects[i]
		if o.Hub == "" {
			keys = append(keys, folded(o.Key))
			continue
		}
		if at[o.Hub] == nil {
			hubs = append(hubs, o.Hub)
		}
		at[o.Hub] = append(at[o.Hub], o)
	}
	if len(hubs) > 0 {
		if err := se.describeHubs(at, hubs); err != nil {
			return err
		}
	}
	if len(keys) == 0 {
		return nil
	}
	rows, err := queuedOf(se.ctx, se.db, se.d, "SELECT "+listCols+" FROM queue WHERE "+se.d.in(se.d.fold("ekey"), 1, len(keys))+" ORDER BY id LIMIT 1000", keys...)
	for i := range rows {
		for j := range objects {
			if o := &objects[j]; o.Hub == "" && o.Key == rows[i].Event.Key && (o.Entity == "" || o.Entity == rows[i].Event.Entity || rows[i].Event.Entity == "") {
				o.Queued = cmp.Or(o.Queued, &rows[i])
			}
		}
	}
	return err
}

func (se *searching) describeHubs(at map[string][]*state.SearchedObject, hubs []any) error {
	in := se.d.in("hub", 1, len(hubs))
	err := se.each(func(r *sql.Rows) error {
		ref, err := scanRef(r)
		for _, o := range at[ref.Hub] {
			if o.Entity == ref.Entity {
				o.Refs = append(o.Refs, ref)
			}
		}
		return err
	}, "SELECT "+refCols+" FROM refs r JOIN (SELECT entity AS e, hub AS h FROM objects WHERE "+in+") AS k ON r.entity = k.e AND r.hub = k.h ORDER BY r.system", hubs...)
	if err != nil {
		return err
	}
	rows, err := queuedOf(se.ctx, se.db, se.d, "SELECT "+listCols+" FROM queue WHERE "+in+" AND hub <> '' ORDER BY id LIMIT 1000", hubs...)
	if err != nil {
		return err
	}
	for i := range rows {
		for _, o := range at[rows[i].Event.Hub] {
			if rows[i].Event.Entity == "" || rows[i].Event.Entity == o.Entity {
				o.Queued = worse(o.Queued, &rows[i])
			}
		}
	}
	return se.each(func(r *sql.Rows) error {
		var run int64
		var body []byte
		if err := r.Scan(&run, &body); err != nil {
			return err
		}
		d, _, err := decodeDifference(body)
		d.Run = run
		if err == nil && d.Repair != state.RepairRepaired {
			for _, o := range at[d.Hub] {
				o.Drift = &d
			}
		}
		return err
	}, "SELECT d.run, d.body FROM differences d JOIN comparisons c ON c.id = d.run WHERE "+se.d.in("d.hub", 1, len(hubs))+" AND d.hub <> '' AND d.drift = 1 AND c.last = ? ORDER BY d.run LIMIT 200", append(slices.Clone(hubs), lastTold)...)
}

// worse is which of two messages of an object says how it stands: what waits for a person, before what waits for another object.
func worse(a, b *state.Queued) *state.Queued {
	if a == nil {
		return b
	}
	rank := map[state.Outcome]int{state.Parked: 2, state.Waiting: 1}
	if rank[b.State] > rank[a.State] {
		return b
	}
	return a
}

func searchedOf(x *indexing) state.SearchedObject {
	var f fit
	f.fill(x)
	return f.SearchedObject
}

// mostRelated is how many objects are given that name another one, or that it names.
const mostRelated = 50

// Related gives the objects that one names, and those that name it, the latest of these first: by its entity, its hub id and its business key. more: there are
// more of them.
func (s *Store) Related(ctx context.Context, entity, hub, key string) (out []state.Related, more bool, err error) {
	name := cmp.Or(hub, keyName(key))
	err = s.snapshot(ctx, func(db queryer) error {
		se := &searching{ctx: ctx, db: db, d: s.d, q: &state.SearchQuery{}, fits: map[objectName]*fit{}}
		if err := se.byIndexes(); err != nil {
			return err
		}
		type link struct{ field, entity, value string }
		var links []link
		err := se.each(func(r *sql.Rows) error {
			var l link
			err := r.Scan(&l.field, &l.entity, &l.value)
			links = append(links, l)
			return err
		}, "SELECT l.field, l.entity, l.value FROM search_objects o JOIN search_links l ON l.object = o.object WHERE o.entity = ? AND o.name = ? ORDER BY l.field, l.entity, l.value LIMIT CAST(? AS INTEGER)",
			entity, name, mostRelated+1)
		if err != nil {
			return err
		}
		more = len(links) > mostRelated
		for _, l := range links[:min(len(links), mostRelated)] {
			one := state.Related{Field: l.field, SearchedObject: state.SearchedObject{Entity: l.entity, Key: l.value}}
			if err := se.named(&one.SearchedObject, l.value); err != nil {
				return err
			}
			out = append(out, one)
		}
		backward, err := se.naming(entity, distinct([]string{hub, key}))
		if err != nil {
			return err
		}
		more = more || len(backward) > mostRelated
		out = append(out, backward[:min(len(backward), mostRelated)]...)
		objects := make([]state.SearchedObject, len(out))
		for i := range out {
			objects[i] = out[i].SearchedObject
		}
		if err := se.describe(objects); err != nil {
			return err
		}
		for i := range out {
			out[i].SearchedObject = objects[i]
		}
		return nil
	})
	return out, more, s.wrap("related objects", err)
}

// named fills in the object that a document names by a hub id or a number.
func (se *searching) named(o *state.SearchedObject, value string) error {
	entity, known := o.Entity, false
	for _, col := range []string{"name", "ekey"} {
		err := se.each(func(r *sql.Rows) error {
			x, err := scanIndexing(r)
			if err == nil {
				known, *o = true, searchedOf(x)
			}
			return err
		}, "SELECT "+searchCols+" FROM search_objects WHERE entity = ? AND "+col+" = ? ORDER BY object DESC LIMIT 1", entity, value)
		if err != nil || known {
			return err
		}
	}
	return se.each(func(*sql.Rows) error { o.Hub, o.Key = value, ""; return nil }, "SELECT hub FROM objects WHERE entity = ? AND hub = ?", entity, value)
}

// naming are the objects whose documents name one, by any of the values, the latest first; one more than mostRelated where there are more.
func (se *searching) naming(entity string, values []string) (out []state.Related, err error) {
	since := map[string]int64{}
	for _, value := range values {
		err := se.each(func(r *sql.Rows) error {
			var at int64
			var field string
			x := &indexing{}
			err := r.Scan(&at, &field, &x.entity, &x.name, &x.hub, &x.key, &x.newest, &x.time, &x.flow, &x.event, &x.system, &x.outcome)
			out = append(out, state.Related{SearchedObject: searchedOf(x), Field: field, Backward: true})
			since[x.entity+" "+x.name+" "+field] = at
			return err
		}, `SELECT l.since, l.field, o.entity, o.name, o.hub, o.ekey, o.newest, o.time, o.flow, o.event_id, o.system, o.outcome FROM search_links l JOIN search_objects o ON o.object = l.object
			WHERE l.entity = ? AND l.value = ? ORDER BY l.since DESC LIMIT CAST(? AS INTEGER)`, entity, value, mostRelated+1)
		if err != nil {
			return nil, err
		}
	}
	at := func(r *state.Related) int64 { return since[r.Entity+" "+cmp.Or(r.Hub, keyName(r.Key))+" "+r.Field] }
	slices.SortStableFunc(out, func(a, b state.Related) int { return cmp.Compare(at(&b), at(&a)) })
	return out, nil
}
