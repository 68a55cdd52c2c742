// Package spill sorts more than fits into memory: entries come in any order and leave in the order of their keys. What does not fit lies in files that
// have no name any more where the system allows it, so that a process that dies leaves nothing behind.
package spill

import (
	"bufio"
	"bytes"
	"cmp"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// Defaults of Config.
const (
	DefaultMemory = 16 << 20
	readBuffer    = 64 << 10
	// fanIn is how many files are merged at once: each has its buffer.
	fanIn = 32
	// firstPage and fullPage are how many bytes of entries are allocated at once: what is held grows page by page and is never copied, so that a sorter takes
	// hardly more than it holds. The first pages are small, because many sorters hold little.
	firstPage = 4 << 10
	fullPage  = 256 << 10
)

// tooLong is the largest key or value, in bytes: the length of one that is larger was not written by this package.
const tooLong = 1 << 30

// Config is what a sorter may use.
type Config struct {
	// Dir is where files lie; empty: the system's place for temporary files.
	Dir string
	// Memory bounds the bytes of entries that are held, apart from one that alone is larger; 0: 16 MiB.
	Memory int
}

// Sorter takes entries. It is used by one goroutine.
type Sorter struct {
	c Config
	// pages hold the entries, held bytes of them in all; spare ones are empty.
	pages, spare [][]byte
	held         int
	at           []span
	files        []*file
	n            int64
	err          error
	done         bool
}

// span is an entry in a page: its key, then its value.
type span struct {
	page, from, key, value uint32
}

// file is a sorted run on disk.
type file struct {
	f    *os.File
	name string // empty: it has none any more
}

// New makes a sorter. Close it.
func New(c Config) *Sorter {
	if c.Memory <= 0 {
		c.Memory = DefaultMemory
	}
	return &Sorter{c: c}
}

// Len is how many entries were added.
func (s *Sorter) Len() int64 { return s.n }

// Add takes an entry; key and value may be used again afterwards. Its errors are those of the disk, and last.
func (s *Sorter) Add(key, value []byte) error {
	switch {
	case s.err != nil:
		return s.err
	case s.done:
		return errors.New("spill: an entry after Sort")
	case len(key) > tooLong || len(value) > tooLong:
		return fmt.Errorf("spill: an entry of %d bytes", len(key)+len(value))
	}
	size := len(key) + len(value)
	if len(s.at) > 0 && s.held+size > s.c.Memory {
		if s.err = s.flush(); s.err != nil {
			return s.err
		}
	}
	page := s.room(size)
	s.at = append(s.at, span{uint32(len(s.pages) - 1), uint32(len(*page)), uint32(len(key)), uint32(len(value))})
	*page = append(append(*page, key...), value...)
	s.held += size
	s.n++
	return nil
}

// room is a page into which an entry of that size fits.
func (s *Sorter) room(size int) *[]byte {
	n := len(s.pages)
	if n == 0 || cap(s.pages[n-1])-len(s.pages[n-1]) < size {
		want := max(size, min(firstPage<<min(n, 16), fullPage, s.c.Memory))
		if last := len(s.spare) - 1; last >= 0 && cap(s.spare[last]) >= want {
			s.pages, s.spare = append(s.pages, s.spare[last]), s.spare[:last]
		} else {
			s.pages = append(s.pages, make([]byte, 0, want))
		}
		n++
	}
	return &s.pages[n-1]
}

func (s *Sorter) entry(p span) (key, value []byte) {
	b := s.pages[p.page][p.from : p.from+p.key+p.value]
	return b[:p.key:p.key], b[p.key:]
}

// order sorts what is in memory. Entries of one key stay in the order in which they came.
func (s *Sorter) order() {
	slices.SortFunc(s.at, func(a, b span) int {
		return cmp.Or(bytes.Compare(s.pages[a.page][a.from:a.from+a.key], s.pages[b.page][b.from:b.from+b.key]), cmp.Compare(a.page, b.page), cmp.Compare(a.from, b.from),
			cmp.Compare(a.value, b.value)) // of two at one place, the first is empty
	})
}

// flush writes what is in memory as a run.
func (s *Sorter) flush() error {
	s.order()
	i := 0
	err := s.write(func() ([]byte, []byte, bool, error) {
		if i == len(s.at) {
			return nil, nil, false, nil
		}
		key, value := s.entry(s.at[i])
		i++
		return key, value, true, nil
	})
	if err != nil {
		return err
	}
	for _, p := range s.pages {
		if cap(p) == min(fullPage, s.c.Memory) { // others are small, or were made for one entry
			s.spare = append(s.spare, p[:0])
		}
	}
	clear(s.pages)
	s.pages, s.at, s.held = s.pages[:0], s.at[:0], 0
	if len(s.files) >= 2*fanIn {
		return s.compact()
	}
	return nil
}

// write makes a run of what next gives, and puts it behind the others.
func (s *Sorter) write(next func() (key, value []byte, ok bool, err error)) (err error) {
	f, err := os.CreateTemp(s.c.Dir, "waybill-sort-*")
	if err != nil {
		return fmt.Errorf("sort on disk: %w", err)
	}
	out := &file{f: f, name: f.Name()}
	if os.Remove(out.name) == nil {
		out.name = ""
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("sort on disk: %w", err), out.close())
			return
		}
		s.files = append(s.files, out)
	}()
	w := bufio.NewWriterSize(f, readBuffer)
	var head [2 * binary.MaxVarintLen64]byte
	for {
		key, value, ok, err := next()
		if err != nil {
			return err
		}
		if !ok {
			return w.Flush()
		}
		h := binary.AppendUvarint(binary.AppendUvarint(head[:0], uint64(len(key))), uint64(len(value)))
		w.Write(h)   //nolint:errcheck // a bufio.Writer keeps its error for Flush
		w.Write(key) //nolint:errcheck // as above
		if _, err := w.Write(value); err != nil {
			return err
		}
	}
}

// compact merges the oldest runs into one: what is read at once stays bounded. The new run goes where the oldest stood, so that equal keys stay in order.
func (s *Sorter) compact() error {
	old := s.files[:fanIn]
	rest := slices.Clone(s.files[fanIn:])
	m, err := merged(old)
	if err == nil {
		s.files = nil
		err = s.write(m.next)
	}
	for _, f := range old {
		err = errors.Join(err, f.close())
	}
	s.files = append(s.files, rest...)
	return err
}

// Sort ends the adding. The reader is valid until Close.
func (s *Sorter) Sort() (*Reader, error) {
	if s.err != nil {
		return nil, s.err
	}
	s.done = true
	if len(s.files) == 0 {
		s.order()
		return &Reader{mem: s}, nil
	}
	if len(s.at) > 0 {
		if s.err = s.flush(); s.err != nil {
			return nil, s.err
		}
	}
	s.pages, s.spare, s.at = nil, nil, nil
	for len(s.files) > fanIn {
		if s.err = s.compact(); s.err != nil {
			return nil, s.err
		}
	}
	m, err := merged(s.files)
	return &Reader{merge: m}, err
}

// Close gives memory and files back.
func (s *Sorter) Close() error {
	var errs []error
	for _, f := range s.files {
		errs = append(errs, f.close())
	}
	s.files, s.pages, s.spare, s.at, s.done = nil, nil, nil, nil, true
	return errors.Join(errs...)
}

func (f *file) close() error {
	if f.f == nil {
		return nil
	}
	err := f.f.Close()
	f.f = nil
	if f.name != "" {
		err = errors.Join(err, os.Remove(f.name))
	}
	return err
}

// Reader gives sorted entries, once.
type Reader struct {
	mem   *Sorter
	at    int
	merge *merge
}

// Next gives the next entry: both are valid until the next call. ok is false at the end.
func (r *Reader) Next() (key, value []byte, ok bool, err error) {
	if r.merge != nil {
		return r.merge.next()
	}
	if r.at == len(r.mem.at) {
		return nil, nil, false, nil
	}
	key, value = r.mem.entry(r.mem.at[r.at])
	r.at++
	return key, value, true, nil
}

// merge gives the entries of several runs in order.
type merge struct {
	heads []*head
	last  *head // whose entry was given last, and is to be read on
}

// head is where a run is read.
type head struct {
	r          *bufio.Reader
	n          int // the run's number: among equal keys the older run comes first
	buf        []byte
	key, value []byte
}

func merged(files []*file) (*merge, error) {
	m := &merge{}
	for i, f := range files {
		if _, err := f.f.Seek(0, io.SeekStart); err != nil {
			return nil, fmt.Errorf("sort on disk: %w", err)
		}
		h := &head{r: bufio.NewReaderSize(f.f, readBuffer), n: i}
		ok, err := h.read()
		if err != nil {
			return nil, err
		}
		if ok {
			m.heads = append(m.heads, h)
		}
	}
	heap.Init(m)
	return m, nil
}

func (m *merge) next() (key, value []byte, ok bool, err error) {
	if m.last != nil {
		ok, err := m.last.read()
		if err != nil {
			return nil, nil, false, err
		}
		if ok {
			heap.Fix(m, 0)
		} else {
			heap.Pop(m)
		}
		m.last = nil
	}
	if len(m.heads) == 0 {
		return nil, nil, false, nil
	}
	m.last = m.heads[0]
	return m.last.key, m.last.value, true, nil
}

// read reads the run's next entry.
func (h *head) read() (bool, error) {
	k, err := binary.ReadUvarint(h.r)
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("sort on disk: read back: %w", err)
	}
	v, err := binary.ReadUvarint(h.r)
	if err == nil && (k > tooLong || v > tooLong) {
		err = fmt.Errorf("an entry of %d and %d bytes", k, v)
	}
	if err != nil {
		return false, fmt.Errorf("sort on disk: read back: %w", err)
	}
	h.buf = slices.Grow(h.buf[:0], int(k+v))[:k+v]
	if _, err := io.ReadFull(h.r, h.buf); err != nil {
		return false, fmt.Errorf("sort on disk: read back: %w", err)
	}
	h.key, h.value = h.buf[:k:k], h.buf[k:]
	return true, nil
}

func (m *merge) Len() int { return len(m.heads) }
func (m *merge) Less(i, j int) bool {
	a, b := m.heads[i], m.heads[j]
	return cmp.Or(bytes.Compare(a.key, b.key), cmp.Compare(a.n, b.n)) < 0
}
func (m *merge) Swap(i, j int) { m.heads[i], m.heads[j] = m.heads[j], m.heads[i] }
func (m *merge) Push(x any)    { m.heads = append(m.heads, x.(*head)) }
func (m *merge) Pop() any {
	h := m.heads[len(m.heads)-1]
	m.heads = m.heads[:len(m.heads)-1]
	return h
}
