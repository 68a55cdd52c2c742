package store

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/waybill-hub/waybill/internal/fold"
	"github.com/waybill-hub/waybill/internal/state"
)

// mostTerms bounds what one object is found by: beyond it the oldest make room, its key and ids last.
const mostTerms = 64

// mostTermsText bounds the stored list of an object's terms.
const mostTermsText = 1 << 20

// IndexedTo is how far the journal is in the search index, by settings. With other settings than the index was made with, it is nowhere: everything is
// indexed anew, beside what is there.
func (s *Store) IndexedTo(ctx context.Context, settings string) (fate int64, err error) {
	err = s.each(ctx, func(r *sql.Rows) error {
		var with string
		err := r.Scan(&fate, &with)
		if with != settings {
			fate = 0
		}
		return err
	}, "SELECT fate, settings FROM search_place WHERE one = 1")
	return fate, s.wrap("how far the search index is", err)
}

// SearchSecret is what personal values are hashed with in the search index. It is made when it is first asked for, and is the same for all hubs of the store.
func (s *Store) SearchSecret(ctx context.Context) ([]byte, error) {
	var known string
	err := s.each(ctx, func(r *sql.Rows) error { return r.Scan(&known) }, "SELECT secret FROM search_place WHERE one = 1")
	if err != nil || known != "" {
		secret, herr := hex.DecodeString(known)
		return secret, s.wrap("the secret of the search index", errors.Join(err, herr))
	}
	fresh := make([]byte, 32)
	if _, err := rand.Read(fresh); err != nil {
		return nil, err
	}
	text, err := ask(ctx, s, "the secret of the search index", func(t *tx) (text string, err error) {
		if _, err := t.exec("UPDATE search_place SET secret = ? WHERE one = 1 AND secret = ''", hex.EncodeToString(fresh)); err != nil {
			return "", err
		}
		err = t.each(func(r *sql.Rows) error { return r.Scan(&text) }, "SELECT secret FROM search_place WHERE one = 1")
		return text, err
	})
	if err != nil {
		return nil, err
	}
	return hex.DecodeString(text)
}

// FatesBehind gives journal rows behind one, oldest first, with their documents as far as they are kept. Rows that could still get an older neighbour are
// not given yet: hubs that share a database number rows before they commit them.
func (s *Store) FatesBehind(ctx context.Context, fate int64, limit int) ([]state.Journal, error) {
	until, err := s.settledFate(ctx)
	if err != nil || until <= fate {
		return nil, s.wrap("read the journal", err)
	}
	rows, err := journalOf(ctx, s.read, s.d, "SELECT "+journalCols+" FROM journal WHERE id > ? AND id <= ? ORDER BY id LIMIT CAST(? AS INTEGER)", fate, until, bound(limit))
	if err != nil {
		return nil, s.wrap("read the journal", err)
	}
	return rows, s.Documents(ctx, rows)
}

// settling is how far the journal is settled on PostgreSQL: no row up to there can come any more.
type settling struct {
	settled int64
	// asked is a row's number that was given out before the transaction by began; once all transactions up to that one have ended, it is settled.
	asked, by int64
}

// settledFate is the number of the newest journal row before which nothing is missing. On PostgreSQL it takes two calls, some time apart, to learn of a row.
func (s *Store) settledFate(ctx context.Context) (fate int64, err error) {
	if s.d == sqlite { // one writer, which numbers rows in the order of its commits
		err = s.each(ctx, func(r *sql.Rows) error { return r.Scan(&fate) }, "SELECT COALESCE(MAX(id), 0) FROM journal")
		return fate, err
	}
	s.settling.Lock()
	defer s.settling.Unlock()
	at := &s.settling.settling
	if at.by != 0 {
		var oldest int64
		if err := s.each(ctx, func(r *sql.Rows) error { return r.Scan(&oldest) }, "SELECT txid_snapshot_xmin(txid_current_snapshot())"); err != nil {
			return 0, err
		}
		if oldest <= at.by {
			return at.settled, nil
		}
		at.settled, at.by = at.asked, 0
	}
	var newest int64
	if err := s.each(ctx, func(r *sql.Rows) error { return r.Scan(&newest) }, "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM journal_ids"); err != nil {
		return 0, err
	}
	if newest > at.settled {
		// Whoever got a number up to newest has begun before this one: a commit locks its partition's row first.
		at.asked = newest
		err = s.each(ctx, func(r *sql.Rows) error { return r.Scan(&at.by) }, "SELECT txid_current()")
	}
	return at.settled, err
}

// indexing is an object whose row of the index is written.
type indexing struct {
	object          int64
	entity, name    string
	hub, key        string
	newest          int64
	time            int64
	flow, event     string
	system, outcome string
	terms           []state.Term
	had             map[string]bool // its terms as they are stored
	fresh           bool            // there is no row yet
	fields          map[string]map[[2]string]int64
}

const searchCols = "object, entity, name, hub, ekey, newest, time, flow, event_id, system, outcome, terms"

func scanIndexing(r *sql.Rows) (*indexing, error) {
	x := &indexing{had: map[string]bool{}}
	var body []byte
	err := r.Scan(&x.object, &x.entity, &x.name, &x.hub, &x.key, &x.newest, &x.time, &x.flow, &x.event, &x.system, &x.outcome, &body)
	if err != nil {
		return nil, err
	}
	if x.terms, err = decodeTerms(body); err != nil {
		return nil, fmt.Errorf("search index, object %d: %w", x.object, err)
	}
	for _, t := range x.terms {
		x.had[t.Text] = true
	}
	return x, nil
}

// keyName is the name of an object that is known by its business key alone. No hub id begins so.
func keyName(key string) string { return "=" + key }

type objectName struct{ entity, name string }

// IndexFates writes what fates say of their objects, and that the journal is indexed up to a row. state.ErrFenced where the lease is another's.
func (s *Store) IndexFates(ctx context.Context, lease state.Lease, settings string, upTo state.Journal, rows []state.Indexed) error {
	rows = slices.Clone(rows)
	if err := s.resolveReferences(ctx, rows); err != nil {
		return s.wrap("index the journal", err)
	}
	if err := s.addIDs(ctx, rows); err != nil {
		return s.wrap("index the journal", err)
	}
	m := &member{op: "index the journal", kind: aFunc, rows: 3 * len(rows), run: func(t *tx) error {
		if err := t.holds(&lease); err != nil {
			return err
		}
		if err := t.index(rows); err != nil {
			return err
		}
		_, err := t.exec("UPDATE search_place SET fate = ?, time = ?, settings = ? WHERE one = 1", upTo.ID, stamp(upTo.Time), settings)
		return err
	}}
	return s.submit(ctx, m)
}

// resolveReferences finds out which of the ids that documents name are hub ids, and of what.
func (s *Store) resolveReferences(ctx context.Context, rows []state.Indexed) error {
	asked := map[string]bool{}
	for i := range rows {
		for _, ref := range rows[i].References {
			if ref.ID != "" {
				asked[cleanText(ref.ID)] = true
			}
		}
	}
	known := map[string][]string{} // entities by hub id
	err := s.inChunks(slices.Sorted(maps.Keys(asked)), func(ids []any) error {
		return eachOf(ctx, s.read, s.d, func(r *sql.Rows) error {
			var entity, hub string
			err := r.Scan(&entity, &hub)
			known[hub] = append(known[hub], entity)
			return err
		}, "SELECT entity, hub FROM objects WHERE "+s.d.in("hub", 1, len(ids)), ids...)
	})
	if err != nil {
		return err
	}
	for i := range rows {
		var out []state.Reference
		for _, ref := range rows[i].References {
			entities := known[cleanText(ref.ID)]
			switch {
			case ref.ID != "" && ref.ID == rows[i].Hub:
				continue
			case ref.Entity == "" && len(entities) == 1:
				ref.Entity = entities[0]
			case ref.Entity == "":
				continue
			case ref.Number != "" && !slices.Contains(entities, ref.Entity):
				ref.ID = ref.Number
			}
			ref.ID = cmp.Or(ref.ID, ref.Number)
			out = append(out, ref)
		}
		rows[i].References = out
	}
	return nil
}

// inChunks calls run with some of the texts at a time.
func (s *Store) inChunks(texts []string, run func([]any) error) error {
	for chunk := range slices.Chunk(texts, 200) {
		args := make([]any, len(chunk))
		for i := range chunk {
			args[i] = chunk[i]
		}
		if err := run(args); err != nil {
			return err
		}
	}
	return nil
}

// addIDs has objects found by their ids in systems, too.
func (s *Store) addIDs(ctx context.Context, rows []state.Indexed) error {
	hubs := map[string]bool{}
	for i := range rows {
		if rows[i].Hub != "" {
			hubs[rows[i].Hub] = true
		}
	}
	ids := map[objectName][]string{}
	err := s.inChunks(slices.Sorted(maps.Keys(hubs)), func(args []any) error {
		return eachOf(ctx, s.read, s.d, func(r *sql.Rows) error {
			var n objectName
			var local string
			err := r.Scan(&n.entity, &n.name, &local)
			ids[n] = append(ids[n], local)
			return err
		}, "SELECT o.entity, o.hub, r.local FROM objects o JOIN refs r ON r.entity = o.entity AND r.hub = o.hub WHERE "+s.d.in("o.hub", 1, len(args))+" ORDER BY r.system", args...)
	})
	if err != nil {
		return err
	}
	for i := range rows {
		terms := slices.Clone(rows[i].Terms)
		for _, local := range ids[objectName{rows[i].Entity, rows[i].Hub}] {
			terms = append(terms, state.Term{Field: "id", Text: fold.Cut(fold.Text(local))})
		}
		rows[i].Terms = terms
	}
	return nil
}
