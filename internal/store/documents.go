package store

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/s2"

	"github.com/waybill-hub/waybill/internal/state"
)

// Keep bounds the documents of fates that were no failures: the newest are kept, as long as Age and together at most Size bytes as they are
// stored. Zero in either keeps none of them. Documents of failures stay as long as the journal's rows.
type Keep struct {
	Age  time.Duration
	Size int64
}

// documentsKept is what the store holds of such documents.
type documentsKept struct {
	keep atomic.Pointer[Keep]
	// bytes is about how many there are: what this hub has written since they were last counted, when pruning.
	bytes atomic.Int64
}

// KeepDocuments sets the bounds; it may be called at any time.
func (s *Store) KeepDocuments(k Keep) { s.documents.keep.Store(&k) }

func (s *Store) keepDocuments() Keep {
	if k := s.documents.keep.Load(); k != nil {
		return *k
	}
	return Keep{}
}

// Forms of a stored text of documents.
const (
	plainForm byte = iota
	// s2Form takes a fraction of the time that zstd does for documents of some kilobytes, and about a third more space.
	s2Form
)

// smallest is the size below which compressing saves nothing worth its time.
const smallest = 96

// mostDocuments bounds what is made of a stored text: the documents of one fate are bounded when they are taken.
const mostDocuments = 64 << 20

// encoding is what making a stored text needs on the way.
type encoding struct{ plain, packed []byte }

var encodings = sync.Pool{New: func() any { return new(encoding) }}

// mostEncoding bounds what is kept of one.
const mostEncoding = 256 << 10

// encodeDocuments makes the stored text.
func encodeDocuments(d *state.Documents) []byte {
	e := encodings.Get().(*encoding)
	b := appendText(append(e.plain[:0], plainForm), d.Status)
	for _, doc := range [][]byte{d.Source, d.Mapped, d.Sent, d.Answer} {
		b = append(binary.AppendUvarint(b, uint64(len(doc))), doc...)
	}
	for _, t := range d.Hidden {
		b = appendText(appendText(b, t.Field), t.Text)
	}
	e.plain = b
	if len(b) >= smallest {
		e.packed = slices.Grow(e.packed[:0], s2.MaxEncodedLen(len(b)))
		packed := s2.EncodeBetter(e.packed[:cap(e.packed)], b[1:])
		b = append(append(make([]byte, 0, 1+len(packed)), s2Form), packed...)
	} else {
		b = slices.Clone(b)
	}
	if max(cap(e.plain), cap(e.packed)) <= mostEncoding {
		encodings.Put(e)
	}
	return b
}

func decodeDocuments(b []byte) (d state.Documents, err error) {
	torn := fmt.Errorf("journal documents: %w", errTorn)
	if b, err = unpack(b, mostDocuments); err != nil {
		return d, fmt.Errorf("journal documents: %w", err)
	}
	var ok bool
	if d.Status, b, ok = cutText(b); !ok {
		return d, torn
	}
	for _, into := range []*[]byte{&d.Source, &d.Mapped, &d.Sent, &d.Answer} {
		var text string
		if text, b, ok = cutText(b); !ok {
			return d, torn
		}
		if text != "" {
			*into = []byte(text)
		}
	}
	if d.Hidden, ok = cutTerms(b); !ok { // earlier versions have none
		return d, torn
	}
	return d, nil
}

// cutTerms reads terms to the end of a text.
func cutTerms(b []byte) (out []state.Term, ok bool) {
	for len(b) > 0 {
		var t state.Term
		if t.Field, b, ok = cutText(b); !ok {
			return nil, false
		}
		if t.Text, b, ok = cutText(b); !ok {
			return nil, false
		}
		out = append(out, t)
	}
	return out, true
}

// counted is whether documents count against the bounds.
func counted(d *state.Documents) bool { return !d.Failed }

// encodeDocs compresses the documents of journal rows, before the rows are handed to the writer; nil for rows without.
func (s *Store) encodeDocs(rows []*state.Journal) (bodies [][]byte, size int) {
	keep := s.keepDocuments()
	for i, j := range rows {
		d := j.Documents
		if d == nil || counted(d) && (keep.Age <= 0 || keep.Size <= 0) {
			continue
		}
		if bodies == nil {
			bodies = make([][]byte, len(rows))
		}
		bodies[i] = encodeDocuments(d)
		size += len(bodies[i])
	}
	return bodies, size
}

// saveDocuments writes the documents of journal rows beside them, and makes room: the bound holds between two prunings as well.
func (t *tx) saveDocuments(ids []int64, rows []*state.Journal, bodies [][]byte) error {
	var values []any
	written := int64(0)
	for i, body := range bodies {
		if body == nil {
			continue
		}
		fresh := counted(rows[i].Documents)
		if fresh {
			written += int64(len(body))
		}
		at := stamp(rows[i].Time)
		if at == 0 {
			at = t.now
		}
		values = append(values, ids[i], at, b2i(!fresh), int64(len(body)), body)
	}
	if len(values) == 0 {
		return nil
	}
	if err := t.insert("INSERT INTO documents (id, time, failed, size, body)", 5, values, ""); err != nil {
		return err
	}
	return t.makeRoom(written)
}

// slack is by how much the documents may exceed their size before the oldest make room: many go at once then.
func slack(size int64) int64 { return size / 16 }

func (t *tx) makeRoom(written int64) error {
	s := t.s
	most := s.keepDocuments().Size
	now := s.documents.bytes.Add(written)
	if now <= most+slack(most) {
		return nil
	}
	freed, err := t.dropOldest(now - most)
	s.documents.bytes.Add(-freed)
	return err
}

// dropOldest removes the oldest documents that count against the bounds, at least as many bytes as are given where there are, but no more than a
// transaction should: the next one goes on.
func (t *tx) dropOldest(bytes int64) (freed int64, err error) {
	var last int64
	err = t.each(func(r *sql.Rows) error {
		var size int64
		if freed >= bytes {
			return nil
		}
		err := r.Scan(&last, &size)
		freed += size
		return err
	}, "SELECT id, size FROM documents WHERE failed = 0 ORDER BY id LIMIT CAST(? AS INTEGER)", pruneRows)
	if err != nil || freed == 0 {
		return 0, err
	}
	_, err = t.exec("DELETE FROM documents WHERE failed = 0 AND id <= ?", last)
	return freed, err
}

// pruneDocuments removes what is too old, or too much by a fresh count; those of failures go with their journal rows.
func (s *Store) pruneDocuments(ctx context.Context, now time.Time) (removed int64, err error) {
	keep := s.keepDocuments()
	old := stamp(now.Add(-keep.Age))
	if keep.Age <= 0 || keep.Size <= 0 {
		old = 1<<63 - 1
	}
	for _, step := range []struct {
		failed int64
		before int64
	}{{0, old}, {1, s.retention(now)}} {
		n, err := s.pruneUntilFew(ctx, "prune documents", "DELETE FROM documents WHERE time < ? AND id IN (SELECT id FROM documents WHERE failed = ? ORDER BY id LIMIT CAST(? AS INTEGER))",
			step.before, step.failed, pruneRows)
		removed += n
		if err != nil {
			return removed, err
		}
	}
	for {
		var bytes int64 // counted beside the writer: nobody waits for it
		err := s.each(ctx, func(r *sql.Rows) error { return r.Scan(&bytes) }, "SELECT COALESCE(SUM(size), 0) FROM documents WHERE failed = 0")
		if err != nil {
			return removed, s.wrap("prune documents", err)
		}
		if bytes <= keep.Size {
			s.documents.bytes.Store(bytes)
			return removed, nil
		}
		freed, err := ask(ctx, s, "prune documents", func(t *tx) (int64, error) { return t.dropOldest(bytes - keep.Size) })
		if err != nil || freed == 0 {
			return removed, err
		}
		removed++
	}
}

// Documents fills in the documents of journal rows, where there are any. Of documents that cannot be read, as of another version's, the status says so:
// the rest of what is known is told all the same.
func (s *Store) Documents(ctx context.Context, rows []state.Journal) error {
	at := make(map[int64]int, len(rows))
	ids := make([]any, len(rows))
	for i := range rows {
		at[rows[i].ID], ids[i] = i, rows[i].ID
	}
	if len(ids) == 0 {
		return nil
	}
	err := s.each(ctx, func(r *sql.Rows) error {
		var id, failed int64
		var body []byte
		if err := r.Scan(&id, &failed, &body); err != nil {
			return err
		}
		d, err := decodeDocuments(body)
		if err != nil {
			s.log.Warn("documents of a fate cannot be read", "row", id, "error", err)
			d = state.Documents{Status: "not known: what is stored of it cannot be read (" + err.Error() + ")"}
		}
		d.Failed = failed != 0
		rows[at[id]].Documents = &d
		return nil
	}, "SELECT id, failed, body FROM documents WHERE "+s.d.in("id", 1, len(ids)), ids...)
	return s.wrap("documents", err)
}
