package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"

	"github.com/waybill-hub/waybill/internal/state"
)

// bundle is a bundle as its row holds it.
type bundle struct {
	n         int
	ids, body []byte
}

// bundleForm is the first byte of a bundle's body.
const bundleForm = 1

func newBundle(of []state.Bundled) *bundle {
	size := 1
	for i := range of {
		size += len(of[i].ID) + len(of[i].Body) + 16
		for name, value := range of[i].Headers {
			size += len(name) + len(value) + 4
		}
	}
	b := &bundle{n: len(of), ids: make([]byte, 0, 8*len(of)), body: make([]byte, 0, size)}
	b.body = append(b.body, bundleForm)
	for i := range of {
		id := cleanText(of[i].ID)
		b.ids = binary.BigEndian.AppendUint64(b.ids, idDigest(id))
		b.body = appendText(b.body, id)
		b.body = binary.AppendUvarint(b.body, uint64(len(of[i].Headers)))
		for name, value := range of[i].Headers {
			b.body = appendText(appendText(b.body, name), value)
		}
		b.body = append(binary.AppendUvarint(b.body, uint64(len(of[i].Body))), of[i].Body...)
	}
	return b
}

// decodeBundle reads what newBundle has written. The documents are parts of body.
func decodeBundle(n int, body []byte) ([]state.Bundled, error) {
	torn := fmt.Errorf("a bundle of the inbox: %w", errTorn)
	if len(body) == 0 || body[0] != bundleForm || n > len(body) {
		return nil, torn
	}
	out, b := make([]state.Bundled, n), body[1:]
	for i := range out {
		var ok bool
		if out[i].ID, b, ok = cutText(b); !ok {
			return nil, torn
		}
		m, w := binary.Uvarint(b)
		if w <= 0 || m > uint64(len(b)) {
			return nil, torn
		}
		b, out[i].Headers = b[w:], make(map[string]string, m)
		for range m {
			var name, value string
			if name, b, ok = cutText(b); !ok {
				return nil, torn
			}
			if value, b, ok = cutText(b); !ok {
				return nil, torn
			}
			out[i].Headers[name] = value
		}
		size, w := binary.Uvarint(b)
		if w <= 0 || size > uint64(len(b)-w) {
			return nil, torn
		}
		out[i].Body, b = b[w:w+int(size):w+int(size)], b[w+int(size):]
	}
	if len(b) > 0 {
		return nil, torn
	}
	return out, nil
}

// idDigest is what a bundle's event is looked for by.
func idDigest(id string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(id))
	return h.Sum64()
}

// encodeKeys writes the business keys of a bundle's events.
func encodeKeys(keys []string) []byte {
	var b []byte
	for _, k := range keys {
		b = appendText(b, cleanText(k))
	}
	return b
}

// eachKey calls f for every key of a bundle.
func eachKey(b []byte, f func(i int, key string)) error {
	for i := 0; len(b) > 0; i++ {
		key, rest, ok := cutText(b)
		if !ok {
			return fmt.Errorf("the keys of a bundle: %w", errTorn)
		}
		f(i, key)
		b = rest
	}
	return nil
}

// inboxRows reads rows of the inbox with their bundles, which are read apart, and only those that are wanted: PostgreSQL sends all that is asked for.
type inboxRows struct {
	db queryer
	d  dialect
	// limit is how many events are wanted, and maxBytes how many bytes of documents, where it is not 0; but always one row.
	limit, maxBytes int
}

// read gives the rows, of the inbox as i, that fulfil a condition, oldest first.
func (q *inboxRows) read(ctx context.Context, where string, args ...any) (out []state.Inbound, err error) {
	errFull := errors.New("full")
	bundled := map[int64]int{} // the place in out
	var seqs []any
	size, events := 0, 0
	err = eachOf(ctx, q.db, q.d, func(r *sql.Rows) error {
		var again sql.NullString
		var n, length int
		in, err := scanInbound(r, &again, &n, &length)
		if err == nil && again.Valid {
			err = json.Unmarshal([]byte(again.String), &in.Again)
		}
		if err != nil {
			return err
		}
		size += len(in.Body) + length
		events += max(n, 1)
		if len(out) > 0 && (q.maxBytes > 0 && size > q.maxBytes || events > q.limit) {
			return errFull
		}
		if n > 0 {
			bundled[in.Seq] = len(out)
			seqs = append(seqs, in.Seq)
			in.Bundle = make([]state.Bundled, n)
		}
		out = append(out, in)
		return nil
	}, "SELECT "+inboxColsOf("i")+", i.again, COALESCE(b.n, 0), COALESCE(LENGTH(b.body), 0) FROM inbox AS i LEFT JOIN inbox_bundles AS b ON b.seq = i.seq WHERE "+where+
		" ORDER BY i.seq LIMIT CAST(? AS INTEGER)", append(args, q.limit)...)
	if err != nil && !errors.Is(err, errFull) {
		return nil, err
	}
	for chunk := range slices.Chunk(seqs, 100) {
		err := eachOf(ctx, q.db, q.d, func(r *sql.Rows) error {
			var seq int64
			var body []byte
			if err := r.Scan(&seq, &body); err != nil {
				return err
			}
			in := &out[bundled[seq]]
			in.Bundle, err = decodeBundle(len(in.Bundle), body)
			return err
		}, "SELECT seq, body FROM inbox_bundles WHERE "+q.d.in("seq", 1, len(chunk)), chunk...)
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// alone is an event of a bundle as a row of its own.
func alone(in *state.Inbound, i int) state.Inbound {
	one := &in.Bundle[i]
	return state.Inbound{Seq: in.Seq, Flow: in.Flow, ID: one.ID, DeliveryID: one.ID, Headers: one.Headers, Body: one.Body, Trace: in.Trace, Received: in.Received}
}

// bundledEvents tells how many more events than rows of the inbox are not on their topic, by flow.
func bundledEvents(ctx context.Context, db queryer, d dialect, where string, args ...any) (map[string]int64, error) {
	out := map[string]int64{}
	err := eachOf(ctx, db, d, func(r *sql.Rows) error {
		var flow string
		var n int64
		var text sql.NullString
		if err := r.Scan(&flow, &n, &text); err != nil {
			return err
		}
		if text.Valid {
			var again []int
			if err := json.Unmarshal([]byte(text.String), &again); err != nil {
				return err
			}
			n = int64(len(again))
		}
		out[flow] += n - 1
		return nil
	}, "SELECT i.flow, b.n, i.again FROM inbox_bundles AS b CROSS JOIN inbox AS i WHERE i.seq = b.seq AND i.places IS NULL"+where, args...)
	return out, err
}

// bundledAt is an event of a bundle.
type bundledAt struct {
	seq   int64
	index int
}

// inBundles gives at most so many events of bundles, newest first, that have the key, or the digest of one of the names; named tells those of which the digest is all that is
// known. It looks at all bundles, 8 bytes for each event of them and the keys: they are few, for what has its fate is pruned.
func inBundles(ctx context.Context, db queryer, d dialect, names []string, key string, most int) (all []bundledAt, named map[bundledAt]bool, err error) {
	named = map[bundledAt]bool{}
	digests := make(map[uint64]bool, len(names))
	for _, n := range names {
		digests[idDigest(n)] = true
	}
	add := func(f bundledAt) {
		if all = append(all, f); len(all) >= 2*most {
			all = latest(all, most)
		}
	}
	err = eachOf(ctx, db, d, func(r *sql.Rows) error {
		var seq int64
		var ids sql.RawBytes
		if err := r.Scan(&seq, &ids); err != nil {
			return err
		}
		for i := 0; i+8 <= len(ids); i += 8 {
			if digests[binary.BigEndian.Uint64(ids[i:])] {
				named[bundledAt{seq, i / 8}] = true
				add(bundledAt{seq, i / 8})
			}
		}
		return nil
	}, "SELECT seq, ids FROM inbox_bundles ORDER BY seq")
	if err != nil {
		return nil, nil, err
	}
	err = eachOf(ctx, db, d, func(r *sql.Rows) error {
		var seq int64
		var keys sql.RawBytes
		if err := r.Scan(&seq, &keys); err != nil {
			return err
		}
		return eachKey(keys, func(i int, k string) {
			if k == key {
				delete(named, bundledAt{seq, i})
				add(bundledAt{seq, i})
			}
		})
	}, "SELECT seq, keys FROM inbox_bundle_keys ORDER BY seq")
	return latest(all, most), named, err
}

// latest gives the newest events, each once.
func latest(all []bundledAt, most int) []bundledAt {
	slices.SortFunc(all, func(a, b bundledAt) int { return cmp.Or(cmp.Compare(b.seq, a.seq), cmp.Compare(b.index, a.index)) })
	all = slices.Compact(all)
	return all[:min(len(all), most)]
}
