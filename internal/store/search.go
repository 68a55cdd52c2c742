package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/fold"
	"github.com/waybill-hub/waybill/internal/state"
)

const (
	// mostFits is how many objects are put in order of their time at once. Where more fit, the newest objects are gone through instead.
	mostFits = 2000
	// mostWalked is through how many objects one page goes then, and walkFor about how long: what was found by then is the answer, and says how far back it was looked.
	mostWalked = 20_000
	walkFor    = 60 * time.Millisecond
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
	ctx context.Context
	db  queryer
	d   dialect
	// fates finds rows of the journal.
	fates *fates

	q    *state.SearchQuery
	term string // the text, folded
	fits map[objectName]*fit
	page *state.SearchPage

	elapsed func() time.Duration
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
		fates, err := s.fatesIn(ctx, db)
		if err != nil {
			return err
		}
		se := &searching{ctx: ctx, db: db, d: s.d, fates: fates, q: &q, term: term, fits: map[objectName]*fit{}, page: &page, elapsed: s.cfg.Elapsed}
		if err := byIndexes(ctx, db, s.d); err != nil {
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
