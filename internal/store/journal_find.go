package store

import (
	"context"
	"database/sql"
	"slices"
	"sort"
	"strings"

	"github.com/waybill-hub/waybill/internal/state"
)

// by is what rows of the journal are found by.
type by uint8

const (
	// byKey: the business key, byte for byte.
	byKey by = iota
	// byFold: the key as a search sees it, which is given folded.
	byFold
	byHub
	byEvent
)

// fates finds rows of the journal in one state of the database.
type fates struct {
	ctx context.Context
	db  queryer
	d   dialect
	// kept are the statements that are asked again and again, on SQLite.
	kept map[string]*sql.Stmt
	// On SQLite the rows from oldest to upto are in the index, and those of tail, rising, are behind it. The tail may hold what is not in the journal.
	oldest, upto int64
	tail         []fateNames
}

// fateBounds asks for the oldest row, and up to where the index has all of them.
const fateBounds = "SELECT (SELECT MIN(id) FROM journal), upto FROM journal_indexed WHERE one = 1"

// fatesIn finds rows in a snapshot.
func (s *Store) fatesIn(ctx context.Context, db queryer) (*fates, error) {
	f := &fates{ctx: ctx, db: db, d: s.d, kept: s.fateStatements}
	if s.d != sqlite {
		return f, nil
	}
	var oldest sql.NullInt64
	if err := f.each(func(r *sql.Rows) error { return r.Scan(&oldest, &f.upto) }, fateBounds); err != nil {
		return nil, err
	}
	f.oldest = oldest.Int64
	rows, low := s.index.view()
	from := sort.Search(len(rows), func(i int) bool { return rows[i].id > f.upto })
	f.tail = rows[from:]
	if low > f.upto {
		// The snapshot is older than the index that memory goes by: what lies between is read from the journal.
		between, err := namedRows(ctx, db, f.upto, low, int(low-f.upto))
		if err != nil {
			return nil, err
		}
		f.tail = append(between, f.tail...)
	}
	return f, nil
}

// prepareFates prepares what is asked of SQLite again and again: to read such a statement costs more than to answer it.
func (s *Store) prepareFates(ctx context.Context) error {
	s.fateStatements = map[string]*sql.Stmt{}
	for _, q := range fateTexts() {
		st, err := s.read.PrepareContext(ctx, q)
		if err != nil {
			return err
		}
		s.fateStatements[q] = st
	}
	return nil
}

func fateTexts() []string {
	texts := []string{fateBounds}
	for _, by := range []by{byKey, byFold, byHub, byEvent} {
		w := where{}
		is(&w, sqlite, by, "")
		for _, n := range listSizes {
			texts = append(texts, amongText(&w, n), indexText(&w, n))
		}
	}
	for _, n := range listSizes {
		texts = append(texts, rowsText(n), nextText(n))
	}
	return texts
}

// each runs a query in the state.
func (f *fates) each(scan func(*sql.Rows) error, q string, args ...any) error {
	st, tx := f.kept[q], (*sql.Tx)(nil)
	if x, ok := f.db.(*sql.Tx); ok {
		tx = x
	}
	if st == nil || tx == nil {
		return eachOf(f.ctx, f.db, f.d, scan, q, args...)
	}
	clean(args)
	rows, err := tx.StmtContext(f.ctx, st).QueryContext(f.ctx, args...)
	return eachRow(rows, err, scan)
}

func (f *fates) ask(out *[]int64, q string, args ...any) error {
	return f.each(func(r *sql.Rows) error {
		var id int64
		err := r.Scan(&id)
		*out = append(*out, id)
		return err
	}, q, args...)
}

// is has w ask for rows of a name.
func is(w *where, d dialect, by by, name string) {
	switch by {
	case byKey:
		w.add(d.fold("ekey")+" = ?", folded(name))
		w.add("ekey = ?", name)
	case byFold:
		w.add(d.fold("ekey")+" = ?", name)
	case byHub:
		w.add("hub = ?", name)
	case byEvent:
		w.add("event_id = ?", name)
	}
}

// ids gives the newest rows of a name, newest first and no more than most, which also fulfil further conditions on columns of the journal.
func (f *fates) ids(by by, name string, most int, also where) (out []int64, err error) {
	if name = cleanText(name); name == "" {
		return nil, nil
	}
	w := where{}
	is(&w, f.d, by, name)
	w.conds, w.args = append(w.conds, also.conds...), append(w.args, also.args...)
	if f.d == postgres {
		return out, f.ask(&out, plain(by, w.String()), append(w.args, most)...)
	}
	if err := f.inTail(&out, by, name, most, &w); err != nil {
		return nil, err
	}
	if len(out) < most {
		err = f.inIndex(&out, by, name, most, &w)
	}
	return out, err
}

// plain asks PostgreSQL, by an index that is in the order of the rows, too, but for events: of these all are read, since its planner would rather walk through the rows.
func plain(by by, where string) string {
	from := "journal" + where
	if by == byEvent {
		from = "(SELECT id FROM journal" + where + " OFFSET 0) AS e"
	}
	return "SELECT id FROM " + from + " ORDER BY id DESC LIMIT CAST(? AS INTEGER)"
}

// listSizes are how many numbers the lists of statements hold, so that there are few texts.
var listSizes = [...]int{1, 8, mostAtOnce}

// filledUp gives the size of the list that takes numbers, and the numbers, of which the last fills it up.
func filledUp(numbers []int64) (size int, args []any) {
	for _, size = range listSizes {
		if size >= len(numbers) {
			break
		}
	}
	args = make([]any, size)
	for i := range args {
		args[i] = numbers[min(i, len(numbers)-1)]
	}
	return size, args
}

// mostAtOnce is how many numbers one statement takes.
const mostAtOnce = 64

func marks(n int) string { return "(?" + strings.Repeat(",?", n-1) + ")" }

func amongText(w *where, n int) string {
	return "SELECT id FROM journal" + w.String() + " AND id IN " + marks(n) + " ORDER BY id DESC LIMIT CAST(? AS INTEGER)"
}

// inTail finds rows that are not in the index yet.
func (f *fates) inTail(out *[]int64, by by, name string, most int, w *where) error {
	n := numberOf(by, name)
	var near []int64
	for i := len(f.tail) - 1; i >= 0; i-- {
		if f.tail[i].number(by) == n {
			near = append(near, f.tail[i].id)
		}
	}
	for chunk := range slices.Chunk(near, mostAtOnce) {
		if len(*out) == most {
			return nil
		}
		size, ids := filledUp(chunk)
		if err := f.ask(out, amongText(w, size), append(append(slices.Clone(w.args), ids...), most-len(*out))...); err != nil {
			return err
		}
	}
	return nil
}

// numberOf stands for a name in the tail.
func numberOf(by by, name string) int64 {
	switch by {
	case byHub:
		return nameNumber('h', name)
	case byEvent:
		return nameNumber('e', name)
	case byKey:
		name = folded(name)
	}
	return nameNumber('k', name)
}

func (n *fateNames) number(by by) int64 {
	switch by {
	case byHub:
		return n.hub
	case byEvent:
		return n.event
	}
	return n.fold
}

// term is what stands in the index for a name.
func term(by by, name string) any {
	switch by {
	case byKey:
		return folded(name)
	case byFold:
		return name
	}
	return numberOf(by, name)
}

func indexText(w *where, n int) string {
	return "SELECT fate FROM journal_index CROSS JOIN journal ON id = fate" + w.String() + " AND seg IN " + marks(n) + " AND term = ? AND fate BETWEEN ? AND ? ORDER BY seg DESC, fate DESC LIMIT CAST(? AS INTEGER)"
}

// inIndex finds rows by the index, in its newest parts first. The index may still have rows that are gone, and other rows of the same number.
func (f *fates) inIndex(out *[]int64, by by, name string, most int, w *where) error {
	for segs := range f.segments() {
		if len(*out) == most {
			return nil
		}
		size, args := filledUp(segs)
		args = append(append(slices.Clone(w.args), args...), term(by, name), f.oldest, f.upto, most-len(*out))
		if err := f.ask(out, indexText(w, size), args...); err != nil {
			return err
		}
	}
	return nil
}

// segments are the parts of the index that have rows of the journal, newest first and some at a time.
func (f *fates) segments() func(yield func([]int64) bool) {
	return func(yield func([]int64) bool) {
		if f.oldest == 0 || f.oldest > f.upto {
			return
		}
		var segs []int64
		for seg := f.upto / segmentRows; seg >= f.oldest/segmentRows; seg-- {
			if segs = append(segs, seg); len(segs) == mostAtOnce || seg == f.oldest/segmentRows {
				if !yield(segs) {
					return
				}
				segs = segs[:0]
			}
		}
	}
}

func rowsText(n int) string {
	return "SELECT " + journalCols + " FROM journal WHERE id IN " + marks(n) + " ORDER BY id DESC"
}

// rows reads rows by their numbers: the newest, newest first.
func (f *fates) rows(ids []int64, most int) (out []state.Journal, err error) {
	slices.Sort(ids)
	slices.Reverse(ids)
	ids = slices.Compact(ids)
	for chunk := range slices.Chunk(ids[:min(len(ids), most)], mostAtOnce) {
		size, args := filledUp(chunk)
		err := f.each(func(r *sql.Rows) error {
			j, err := scanJournal(r)
			out = append(out, j)
			return err
		}, rowsText(size), args...)
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// mostSpelled bounds the rows whose keys are compared for how one is spelled.
const mostSpelled = 1000

// begin collects keys of the journal that begin alike, as beginOf does for the other tables.
func (f *fates) begin(prefix string, limit int, found map[string]string) error {
	if f.d != sqlite {
		return beginOf(f.ctx, f.db, f.d, journalsKeys, prefix, limit, found)
	}
	near := f.tailKeys(prefix)
	for at, n := prefix, 0; n < limit; {
		fold, err := f.nextKey(at, end(prefix), near)
		if err != nil || fold == "" {
			return err
		}
		ids, err := f.ids(byFold, fold, mostSpelled, where{})
		if err != nil {
			return err
		}
		rows, err := f.rows(ids, mostSpelled)
		if err != nil {
			return err
		}
		for i := range rows {
			found[fold+"\x00"+rows[i].Key] = rows[i].Key
		}
		if len(rows) > 0 {
			n++
		}
		at = fold + "\x01" // nothing lies between: no key holds a NUL
	}
	return nil
}

// tailKeys are the folded keys in the tail that begin with prefix, in their order.
func (f *fates) tailKeys(prefix string) (keys []string) {
	for i := range f.tail {
		if strings.HasPrefix(f.tail[i].key, prefix) {
			keys = append(keys, f.tail[i].key)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

func nextText(n int) string {
	return "SELECT (SELECT term FROM journal_index WHERE seg = column1 AND term >= ? AND term < ? AND fate BETWEEN ? AND ? ORDER BY term LIMIT 1) FROM (VALUES " + strings.Repeat("(?),", n-1) + "(?)) AS v"
}

// nextKey is the first folded key from at on and before until; empty: there is none.
func (f *fates) nextKey(at, until string, near []string) (first string, err error) {
	if i := sort.SearchStrings(near, at); i < len(near) {
		first = near[i]
	}
	for segs := range f.segments() {
		size, args := filledUp(segs)
		err := f.each(func(r *sql.Rows) error {
			var key sql.NullString
			err := r.Scan(&key)
			if key.Valid && (first == "" || key.String < first) {
				first = key.String
			}
			return err
		}, nextText(size), append([]any{at, until, f.oldest, f.upto}, args...)...)
		if err != nil {
			return "", err
		}
	}
	return first, nil
}
