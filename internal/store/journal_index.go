package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// The index of the journal on SQLite (docs/decisions/j-journal-index.md). Rows are found by business key, hub id and event, which come in no order: an index of each would make
// three pages of the file dirty for every row of every small transaction. So entries are gathered in memory and written in the order of the index, a piece with each
// transaction that adds rows, into the part of it that the newest rows are in. Up to where the index has every row is stored; rows behind that are in memory, and are read into it when
// the store is opened.

const (
	// segmentRows is how many numbers of rows one part of the index stands for: few enough that a piece of entries meets few pages, and many enough that a look has few parts to
	// go through.
	segmentRows = 1 << 17
	// mostGathered is how many rows gather before their entries are sorted and written. Until they are, as many may gather again.
	mostGathered = 8192
	// entriesEach is how many entries a transaction writes for each row that it adds, in pieces of pieceRows, which one statement takes: a row has three at most, so that all are
	// written before as many rows have gathered again.
	pieceRows, entriesEach = 256, 4
	// stepRows is how many rows one step of a start indexes that finds a long journal.
	stepRows = 1 << 15
	// toldEvery is how often a start that indexes a long journal says how far it is.
	toldEvery = 10 * time.Second
)

// fateNames is what a row of the journal is found by.
type fateNames struct {
	id int64
	// key is the folded business key.
	key string
	// fold, hub and event stand for the key and the ids; 0: there is none.
	fold, hub, event int64
}

func namesOf(id int64, fold, hub, event string) fateNames {
	return fateNames{id: id, key: fold, fold: nameNumber('k', fold), hub: nameNumber('h', hub), event: nameNumber('e', event)}
}

// nameNumber stands for an id in the index. It is stored, so that it is the same in every process. That two ids share one costs a look at a row and nothing else: every row that the
// index gives is compared.
func nameNumber(kind byte, id string) int64 {
	if id == "" {
		return 0
	}
	h := fnv.New64a()
	_, _ = h.Write(append([]byte{kind}, id...)) // a hash has no failures
	return cmp.Or(int64(h.Sum64()), 1)
}

// entry is a row of the index: a row of the journal has one by its number of a hub id, one by its number of an event, and one by its key.
type entry struct {
	seg, number int64
	key         string // "": it is by the number
	fate        int64
}

func compareEntries(a, b entry) int {
	if c := cmp.Compare(a.seg, b.seg); c != 0 {
		return c
	}
	if c := strings.Compare(a.key, b.key); c != 0 {
		return c
	}
	if c := cmp.Compare(a.number, b.number); c != 0 {
		return c
	}
	return cmp.Compare(a.fate, b.fate)
}

// entriesOf are the entries of rows, in the order of the index: SQLite puts numbers before texts.
func entriesOf(rows []fateNames) []entry {
	out := make([]entry, 0, 3*len(rows))
	for i := range rows {
		r := &rows[i]
		seg := r.id / segmentRows
		for _, n := range []int64{r.hub, r.event} {
			if n != 0 {
				out = append(out, entry{seg: seg, number: n, fate: r.id})
			}
		}
		if r.key != "" {
			out = append(out, entry{seg: seg, key: r.key, fate: r.id})
		}
	}
	slices.SortFunc(out, compareEntries)
	return out
}

// A piece of entries may have been written before by a transaction that did not get to the last: they are the same then.
const insertEntries = "INSERT OR IGNORE INTO journal_index (seg, term, fate) "

func entryValues(entries []entry) []any {
	values := make([]any, 0, 3*len(entries))
	for i := range entries {
		e := &entries[i]
		var term any = e.number
		if e.key != "" {
			term = e.key
		}
		values = append(values, e.seg, term, e.fate)
	}
	return values
}

// journalIndex is what the process holds of the index: on SQLite, where nobody else writes.
type journalIndex struct {
	// gather is mostGathered, and least is pieceRows; in tests they are less.
	gather, least int

	mu sync.Mutex
	// rows are those behind low, rising, and maybe some more that are never committed. What was given of it is not changed.
	rows []fateNames
	// low is the row up to which the stored index has every row.
	low int64

	// The rest is the writer's alone. before is how many of the rows are committed while a transaction adds to them.
	before int
	// batch are the entries that are being written, of the first upto rows, while that is not 0; done of them are committed, and piece more are in the open transaction.
	batch             []entry
	done, piece, upto int
}

// view is the rows that may not be in the stored index. Who looks at a state of the database is to ask for it after that state was taken: rows are here before they are committed.
func (x *journalIndex) view() (rows []fateNames, low int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.rows, x.low
}

// add has rows found that the open transaction writes.
func (x *journalIndex) add(rows []fateNames) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.before = len(x.rows)
	x.rows = append(x.rows, rows...)
}

// ended takes over what a transaction has done that called add, or takes it back.
func (x *journalIndex) ended(committed bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !committed {
		x.rows, x.piece = x.rows[:x.before:x.before], 0
		return
	}
	x.done, x.piece = x.done+x.piece, 0
	if x.upto > 0 && x.done == len(x.batch) {
		x.low = x.rows[x.upto-1].id
		x.rows = slices.Clone(x.rows[x.upto:])
		x.batch, x.done, x.upto = nil, 0, 0
	}
}

// next is the piece of the index that is to be written with so many rows of the journal, and the row up to which the index is whole with it; 0: more is to come.
func (x *journalIndex) next(rows int) (piece []entry, whole int64) {
	if x.upto == 0 {
		if x.before < x.gather {
			return nil, 0
		}
		x.batch, x.done, x.upto = entriesOf(x.rows[:x.before]), 0, x.before
	}
	n := (entriesEach*rows + x.least - 1) / x.least * x.least
	piece = x.batch[x.done:min(x.done+n, len(x.batch))]
	x.piece = len(piece)
	if x.done+x.piece == len(x.batch) {
		whole = x.rows[x.upto-1].id
	}
	return piece, whole
}

// indexJournal has the rows found that the transaction has written, and writes a piece of the index with them. It is the last thing before the commit.
func (t *tx) indexJournal() error {
	if len(t.named) == 0 {
		return nil
	}
	x := t.s.index
	x.add(t.named)
	t.indexing = true
	piece, whole := x.next(len(t.named))
	if _, err := t.rows(insertEntries, 3, entryValues(piece), ""); err != nil || whole == 0 {
		return err
	}
	_, err := t.exec("UPDATE journal_indexed SET upto = ? WHERE one = 1", whole)
	return err
}

// openIndex indexes what of the journal is not, in steps of a transaction each, as all of it after the upgrade that made the index, and reads the rest into memory.
func (s *Store) openIndex(ctx context.Context, c *sql.Conn) error {
	x := &journalIndex{gather: mostGathered, least: pieceRows}
	var newest int64
	if err := c.QueryRowContext(ctx, "SELECT upto, (SELECT COALESCE(MAX(id), 0) FROM journal) FROM journal_indexed WHERE one = 1").Scan(&x.low, &newest); err != nil {
		return err
	}
	var told time.Duration
	for first := true; ; first = false {
		rows, err := namedRows(ctx, c, x.low, newest, stepRows)
		if err != nil {
			return err
		}
		if len(rows) <= 2*mostGathered {
			x.rows = rows
			s.index = x
			return nil
		}
		if now := s.cfg.Elapsed(); first || now-told >= toldEvery {
			s.log.Info("the journal is being indexed: the hub begins its work when that is done, and goes on from here if it is ended before", "row", rows[0].id, "newest", newest)
			told = now
		}
		if err := s.indexRows(ctx, c, rows); err != nil {
			return err
		}
		x.low = rows[len(rows)-1].id
	}
}

// namedRows reads what the rows behind one are found by, up to another and no more than so many.
func namedRows(ctx context.Context, db queryer, behind, upto int64, most int) (out []fateNames, err error) {
	err = eachOf(ctx, db, sqlite, func(r *sql.Rows) error {
		var id int64
		var key, hub, event string
		err := r.Scan(&id, &key, &hub, &event)
		out = append(out, namesOf(id, key, hub, event))
		return err
	}, "SELECT id, "+sqlite.fold("ekey")+", hub, event_id FROM journal WHERE id > ? AND id <= ? ORDER BY id LIMIT CAST(? AS INTEGER)", behind, upto, most)
	return out, err
}

// indexRows writes all entries of rows, and that they are in the index, in one transaction.
func (s *Store) indexRows(ctx context.Context, c *sql.Conn, rows []fateNames) error {
	return inTransaction(ctx, c, s.begin(), func() (err error) {
		var st *sql.Stmt
		for entries, size := entriesOf(rows), 0; len(entries) > 0; entries = entries[size:] {
			table, args := s.d.table(3, entryValues(entries[:step(len(entries), 3)]))
			if n := len(args) / 3; n != size {
				if st, err = c.PrepareContext(ctx, insertEntries+table); err != nil {
					return err
				}
				defer func() { err = errors.Join(err, st.Close()) }()
				size = n
			}
			if _, err := st.ExecContext(ctx, args...); err != nil {
				return err
			}
		}
		_, err = c.ExecContext(ctx, "UPDATE journal_indexed SET upto = ? WHERE one = 1", rows[len(rows)-1].id)
		return err
	})
}

// pruneIndex removes parts of the index that lie before the oldest row of the journal.
func (s *Store) pruneIndex(ctx context.Context, _ time.Time) (int64, error) {
	if s.d != sqlite {
		return 0, nil
	}
	q := `DELETE FROM journal_index WHERE (seg, term, fate) IN (SELECT seg, term, fate FROM journal_index
		WHERE seg < (SELECT COALESCE(MIN(id), (SELECT upto + 1 FROM journal_indexed WHERE one = 1)) FROM journal) / ? ORDER BY seg, term, fate LIMIT CAST(? AS INTEGER))`
	return s.pruneUntilFew(ctx, "prune the journal's index", q, segmentRows, pruneRows)
}

// namesOfJournal are the names of rows that are being written.
func namesOfJournal(id int64, j *state.Journal) fateNames {
	return namesOf(id, folded(j.Key), cleanText(j.Hub), cleanText(j.EventID))
}
