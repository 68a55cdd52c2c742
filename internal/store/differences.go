package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// Bounds of what one transaction writes of a run's differences: what a run finds must not hold up promises.
const (
	differenceRows  = 500
	differenceBytes = 4 << 20
)

// pageBytes is behind how much of differences one reading gives no more.
const pageBytes = 8 << 20

// mostDifference bounds a difference with its documents; they are bounded where they are read.
const mostDifference = 256 << 20

// differenceRow is one as it is written.
type differenceRow struct {
	d    *state.Difference
	mark int64
	body []byte
}

func encodeDifference(d *state.Difference) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(d); err != nil {
		return nil, fmt.Errorf("store: difference %d: %w", d.N, err)
	}
	return pack(b.Bytes()), nil
}

// decodeDifference gives also how large the text was.
func decodeDifference(b []byte) (d state.Difference, size int, err error) {
	if b, err = unpack(b, mostDifference); err != nil {
		return d, 0, fmt.Errorf("a stored difference: %w", err)
	}
	if err := json.Unmarshal(b, &d); err != nil {
		return d, 0, fmt.Errorf("a stored difference: %w: %w", errTorn, err)
	}
	return d, len(b), nil
}

// markOf is what makes a difference the same one in the next run: its kind, its ids, and the names of the fields that differ. Their values may change.
func markOf(d *state.Difference) int64 {
	ids := []string{d.Left, d.Right}
	if d.Left == "" && d.Right == "" {
		ids = []string{"", "", d.Hub}
		if d.Hub == "" {
			ids = append(ids, d.Key)
		}
	}
	parts := append(append([]string{d.Kind}, ids...), "")
	for i := range d.Fields {
		parts = append(parts, d.Fields[i].Path)
	}
	var b []byte
	for _, p := range parts {
		b = appendText(b, p)
	}
	sum := sha256.Sum256(b)
	return int64(binary.BigEndian.Uint64(sum[:8]))
}

// drifts is whether a difference is drift: neither explained nor one of which nothing is known.
func drifts(d *state.Difference) bool { return !d.Explained && d.Kind != state.DiffNotCompared }

// AddDifferences stores what a run has found, by number; to store one again replaces it. Since, where it is zero, is carried on from the last whole
// run, or is now. state.ErrFenced where the lease is not the caller's, state.ErrNotFound where the run is over.
func (s *Store) AddDifferences(ctx context.Context, lease state.Lease, run int64, list []state.Difference) error {
	return s.saveDifferences(ctx, list, func(t *tx, rows []differenceRow) error {
		c, err := t.underWay(&lease, run)
		if err != nil {
			return err
		}
		return t.putDifferences(&c, rows)
	})
}

// ChangeDifferences replaces differences of a run by their numbers, also when it is over. Since, where it is zero, stays. state.ErrNotFound where a
// number is not there.
func (s *Store) ChangeDifferences(ctx context.Context, lease state.Lease, run int64, list []state.Difference) error {
	return s.saveDifferences(ctx, list, func(t *tx, rows []differenceRow) error {
		c, err := t.worked(&lease, run)
		if err != nil {
			return err
		}
		keys := make([]any, 0, 2*len(rows))
		missing := make(map[int64]bool, len(rows))
		for i := range rows {
			keys = append(keys, run, rows[i].d.N)
			missing[int64(rows[i].d.N)] = true
		}
		err = t.look(looking{cols: "n", table: "differences", key: []string{"run", "n"}, keys: keys}, func(r *sql.Rows) error {
			var n int64
			err := r.Scan(&n)
			delete(missing, n)
			return err
		})
		if err != nil {
			return err
		}
		for n := range missing {
			return refuse(state.ErrNotFound, "difference %d of run %d", n, run)
		}
		return t.putDifferences(&c, rows)
	})
}

// saveDifferences writes differences in transactions of bounded size.
func (s *Store) saveDifferences(ctx context.Context, list []state.Difference, put func(*tx, []differenceRow) error) error {
	var rows []differenceRow
	size := 0
	flush := func() error {
		if len(rows) == 0 {
			return nil
		}
		put, chunk := put, rows
		m := &member{op: "store differences", kind: aFunc, run: func(t *tx) error { return put(t, chunk) }, rows: len(chunk), bytes: size}
		rows, size = nil, 0
		return s.submit(ctx, m)
	}
	for i := range list {
		body, err := encodeDifference(&list[i])
		if err != nil {
			return err
		}
		if len(rows) == differenceRows || len(rows) > 0 && size+len(body) > differenceBytes {
			if err := flush(); err != nil {
				return err
			}
		}
		rows = append(rows, differenceRow{&list[i], markOf(&list[i]), body})
		size += len(body)
	}
	return flush()
}

func (t *tx) putDifferences(c *comparison, rows []differenceRow) error {
	seen, err := t.seenBefore(c, rows)
	if err != nil {
		return err
	}
	values := make([]any, 0, 10*len(rows))
	for i := range rows {
		d := rows[i].d
		since := stamp(d.Since)
		if since == 0 {
			since = t.now
			if at, ok := seen[rows[i].mark]; ok {
				since = at
			}
		}
		values = append(values, c.ID, d.N, d.Kind, d.Reason, b2i(drifts(d)), rows[i].mark, since, rows[i].body, d.Hub, d.Key)
	}
	return t.insert("INSERT INTO differences (run, n, kind, reason, drift, mark, since, body, hub, ekey)", 10, values, `
		ON CONFLICT (run, n) DO UPDATE SET kind = excluded.kind, reason = excluded.reason, drift = excluded.drift, mark = excluded.mark, body = excluded.body, hub = excluded.hub, ekey = excluded.ekey,
			since = CASE WHEN differences.since < excluded.since THEN differences.since ELSE excluded.since END`)
}

// seenBefore gives since when the last whole run of the name, which is not this one, knows differences, by their marks.
func (t *tx) seenBefore(c *comparison, rows []differenceRow) (map[int64]int64, error) {
	before := int64(0)
	err := t.each(func(r *sql.Rows) error { return r.Scan(&before) },
		"SELECT id FROM comparisons WHERE kind = ? AND name = ? AND last = ? AND last > 0 AND id <> ?", c.Kind, c.Name, lastTold, c.ID)
	if err != nil || before == 0 {
		return nil, err
	}
	asked, seen := map[int64]bool{}, map[int64]int64{}
	var keys []any
	for i := range rows {
		if m := rows[i].mark; !asked[m] {
			asked[m] = true
			keys = append(keys, before, m)
		}
	}
	err = t.look(looking{cols: "mark, since", table: "differences", key: []string{"run", "mark"}, keys: keys}, func(r *sql.Rows) error {
		var mark, since int64
		err := r.Scan(&mark, &since)
		if at, ok := seen[mark]; !ok || since < at {
			seen[mark] = since
		}
		return err
	})
	return seen, err
}

// oldestDrift is since when the oldest drift of a run stands; zero: it has none.
func (t *tx) oldestDrift(run int64) (at time.Time, err error) {
	err = t.each(func(r *sql.Rows) error {
		var n int64
		err := r.Scan(&n)
		at = unstamp(n)
		return err
	}, "SELECT COALESCE(MIN(since), 0) FROM differences WHERE run = ? AND drift = 1", run)
	return at, err
}

// Differences lists what a run has found, by number.
func (s *Store) Differences(ctx context.Context, f state.DifferenceFilter) ([]state.Difference, error) {
	w := where{}
	w.add("run = ?", f.Run)
	w.text("kind", f.Kind)
	w.text("reason", f.Reason)
	if f.Drift {
		w.add("drift = 1")
	}
	if len(f.Numbers) > 0 {
		args := make([]any, len(f.Numbers))
		for i, n := range f.Numbers {
			args[i] = n
		}
		w.add("n IN (?"+strings.Repeat(", ?", len(args)-1)+")", args...)
	}
	w.add("n > ?", f.After)
	var out []state.Difference
	size := 0
	full := errors.New("as much as one answer holds")
	err := s.each(ctx, func(r *sql.Rows) error {
		var n, since int64
		var kind, reason string
		var body []byte
		if err := r.Scan(&n, &kind, &reason, &since, &body); err != nil {
			return err
		}
		if size > pageBytes {
			return full
		}
		d, took, err := decodeDifference(body)
		if err != nil { // the others are told all the same
			s.log.Warn("a stored difference cannot be read", "run", f.Run, "number", n, "error", err)
			d = state.Difference{Kind: kind, Reason: reason, Text: "not known: what is stored of it cannot be read (" + err.Error() + ")"}
		}
		size += took
		d.Run, d.N, d.Since = f.Run, int(n), unstamp(since)
		out = append(out, d)
		return nil
	}, "SELECT n, kind, reason, since, body FROM differences"+w.String()+" ORDER BY n LIMIT CAST(? AS INTEGER)", append(w.args, bound(f.Limit))...)
	if errors.Is(err, full) {
		err = nil
	}
	return out, s.wrap("differences", err)
}

// forgetDifferences removes some of what a run has found.
const forgetDifferences = "DELETE FROM differences WHERE run = ? AND n IN (SELECT n FROM differences WHERE run = ? ORDER BY n LIMIT CAST(? AS INTEGER))"

// pruneComparisons removes runs that have been kept as long as they are to be, with what they found, in steps of bounded size. What says how a name
// stands is kept for as long as nothing newer does.
func (s *Store) pruneComparisons(ctx context.Context, now time.Time) (removed int64, err error) {
	for {
		var ids []any
		err := s.each(ctx, func(r *sql.Rows) error {
			var id int64
			err := r.Scan(&id)
			ids = append(ids, id)
			return err
		}, "SELECT id FROM comparisons WHERE last = 0 AND finished > 0 AND keep_until < ? ORDER BY keep_until LIMIT 100", stamp(now))
		if err != nil || len(ids) == 0 {
			return removed, s.wrap("prune runs", err)
		}
		for _, id := range ids {
			n, err := s.pruneUntilFew(ctx, "prune runs", forgetDifferences, id, id, pruneRows)
			removed += n
			if err != nil {
				return removed, err
			}
		}
		err = s.do(ctx, "prune runs", func(t *tx) error { return t.execIn("DELETE FROM comparisons WHERE ", "id", 1, ids, "") })
		if err != nil {
			return removed, err
		}
		removed += int64(len(ids))
	}
}
