package rules

import (
	"encoding/binary"
	"errors"
	"hash/fnv"
	"slices"
)

// row is one object of the rule with what belongs to it, as far as that has been found.
type row struct {
	// local is its id as its system lists it, hub its hub id.
	local, hub string
	// docs are the object's document and, by the order of the rule's lists, what belongs to it; nil: nothing, or not found yet.
	docs [][]byte
	// previous is what the rule remembers of it until then; nil: nothing.
	previous []byte
	until    int64
	// more are the ids of what belongs to it, with the names of the lists.
	more []string
	// why says why nobody can tell whether the rule holds.
	why string
}

// mostMore is how many ids of what belongs to an object are told.
const mostMore = 50

func (r *row) append(b []byte) []byte {
	b = appendText(appendText(b, r.local), r.hub)
	b = binary.AppendUvarint(b, uint64(len(r.docs)))
	for _, d := range r.docs {
		b = appendBytes(b, d)
	}
	b = binary.AppendVarint(appendBytes(b, r.previous), r.until)
	b = binary.AppendUvarint(b, uint64(len(r.more)))
	for _, m := range r.more {
		b = appendText(b, m)
	}
	return appendText(b, r.why)
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// appendBytes tells nothing from what is empty.
func appendBytes(b, d []byte) []byte {
	if d == nil {
		return append(b, 0)
	}
	return append(binary.AppendUvarint(b, uint64(len(d))+1), d...)
}

var errEntry = errors.New("an entry on disk is not what was written")

// reader takes apart what append wrote; bad says that it is something else.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) number() uint64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[size:]
	return n
}

func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.b, r.bad = nil, true
		return nil
	}
	out := r.b[:n:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) text() string { return string(r.take(r.number())) }

func (r *reader) bytes() []byte {
	n := r.number()
	if n == 0 {
		return nil
	}
	return r.take(n - 1)
}

func (r *reader) signed() int64 {
	n, size := binary.Varint(r.b)
	if size <= 0 {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[size:]
	return n
}

// count is a number of things that take a byte each at least.
func (r *reader) count() int {
	n := r.number()
	if n > uint64(len(r.b)) {
		r.b, r.bad = nil, true
		return 0
	}
	return int(n)
}

// readRow gives a row and what stands behind it. Its documents lie in b.
func readRow(b []byte) (*row, []byte, error) {
	in := reader{b: b}
	r := &row{local: in.text(), hub: in.text()}
	r.docs = make([][]byte, in.count())
	for i := range r.docs {
		r.docs[i] = in.bytes()
	}
	r.previous, r.until = in.bytes(), in.signed()
	for range in.count() {
		r.more = append(r.more, in.text())
	}
	r.why = in.text()
	if in.bad {
		return nil, nil, errEntry
	}
	return r, in.b, nil
}

// hashes are those of ids or keys, to leave out what is not among them. What is not among them for certain is left out, no more.
type hashes struct {
	list []uint64
	// all: there are too many to be held, and everything is among them.
	all    bool
	sorted bool
}

// mostHashes bounds them: 32 MB.
const mostHashes = 4 << 20

func (h *hashes) add(key []byte) {
	if h.all {
		return
	}
	h.list, h.sorted = append(h.list, hashOf(key)), false
	if len(h.list) < mostHashes {
		return
	}
	if h.sort(); len(h.list) > mostHashes/2 {
		h.list, h.all = nil, true
	}
}

func (h *hashes) sort() {
	slices.Sort(h.list)
	h.list, h.sorted = slices.Compact(h.list), true
}

// has reports whether the key may be among them; nil: everything is.
func (h *hashes) has(key []byte) bool {
	if h == nil || h.all {
		return true
	}
	if !h.sorted {
		h.sort()
	}
	_, found := slices.BinarySearch(h.list, hashOf(key))
	return found
}

func hashOf(key []byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(key) // a hash takes everything
	return h.Sum64()
}
