package sandbox

import (
	"encoding/json"
	"fmt"
	"sort"
	"time"
)

// row is one object of a REST system. Rows are immutable: a change makes a new one.
type row struct {
	id, external string
	stamp        time.Time
	raw          []byte
	deleted      bool
}

// table holds one collection. Its owner's lock guards it.
type table struct {
	spec  *spec
	rows  map[string]*row
	ids   []string // in order of creation
	byExt map[string]string
	index map[string]map[string][]string // field → value → ids; may hold ids whose value has changed since
	order []stamped                      // by stamp; an entry is stale when the row has moved on
	fresh int                            // entries of order that are not stale
}

type stamped struct {
	at time.Time
	id string
}

func newTable(s *spec) *table {
	t := &table{spec: s, rows: map[string]*row{}, byExt: map[string]string{}, index: map[string]map[string][]string{}}
	for _, f := range s.Fields {
		if f.Index {
			t.index[f.Name] = map[string][]string{}
		}
	}
	return t
}

// put installs the new state of an object; stamps never go back.
func (t *table) put(r *row, doc map[string]any) {
	old := t.rows[r.id]
	if old == nil {
		t.ids = append(t.ids, r.id)
		t.fresh++
	} else if old.external != "" && old.external != r.external {
		delete(t.byExt, old.external)
	}
	t.rows[r.id] = r
	if r.external != "" {
		t.byExt[r.external] = r.id
	}
	for name, values := range t.index {
		v, ok := doc[name].(string)
		if !ok {
			continue
		}
		if ids := values[v]; len(ids) == 0 || ids[len(ids)-1] != r.id {
			values[v] = append(ids, r.id)
		}
	}
	t.order = append(t.order, stamped{r.stamp, r.id})
	if len(t.order) > 1024 && len(t.order) > 3*t.fresh {
		t.compact()
	}
}

func (t *table) compact() {
	keep := t.order[:0]
	for _, s := range t.order {
		if t.rows[s.id].stamp.Equal(s.at) {
			keep = append(keep, s)
		}
	}
	t.order = keep
}

// changed calls fn for every object with a stamp at or after since and after the place (at, id), oldest change first, until
// fn returns false.
func (t *table) changed(since time.Time, after stamped, fn func(*row) bool) {
	from := since
	if after.at.After(from) {
		from = after.at
	}
	i := sort.Search(len(t.order), func(i int) bool { return !t.order[i].at.Before(from) })
	for ; i < len(t.order); i++ {
		s := t.order[i]
		r := t.rows[s.id]
		if !r.stamp.Equal(s.at) || s.at.Equal(after.at) && s.id <= after.id {
			continue
		}
		if !fn(r) {
			return
		}
	}
}

// find gives the objects whose fields have these values, in order of creation.
func (t *table) find(want map[string]string, dialect *dialect) []*row {
	candidates, done := t.ids, false
	for name, v := range want {
		switch {
		case name == dialect.id:
			candidates, done = []string{v}, true
		case name == dialect.ext:
			candidates, done = []string{t.byExt[v]}, true
		case t.index[name] != nil && !done:
			candidates, done = t.index[name][v], true
		}
	}
	var out []*row
	seen := map[string]bool{}
	for _, id := range candidates {
		r := t.rows[id]
		if r == nil || r.deleted || seen[id] || !r.matches(want) {
			continue
		}
		seen[id] = true
		out = append(out, r)
	}
	return out
}

func (r *row) matches(want map[string]string) bool {
	doc, err := decode(r.raw)
	if err != nil {
		return false
	}
	for name, v := range want {
		if text(doc[name]) != v {
			return false
		}
	}
	return true
}

// text is a scalar as one writes it in a URL; nothing for null, lists and objects.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number, bool, int, int64:
		return fmt.Sprint(v)
	}
	return ""
}
