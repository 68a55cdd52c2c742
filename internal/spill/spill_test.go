package spill

import (
	"bytes"
	"encoding/binary"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

type entry struct{ key, value []byte }

func read(t interface{ Fatal(...any) }, s *Sorter) (out []entry) {
	r, err := s.Sort()
	if err != nil {
		t.Fatal(err)
	}
	for {
		k, v, ok, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return out
		}
		out = append(out, entry{bytes.Clone(k), bytes.Clone(v)})
	}
}

// Whatever the memory, entries come in the order of their keys, and of one key in the order in which they were added.
func TestSorter(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		s := New(Config{Dir: dir, Memory: rapid.SampledFrom([]int{1, 30, 200, 1 << 20}).Draw(t, "memory")})
		defer s.Close() //nolint:errcheck // looked at below
		var want []entry
		for i := range rapid.IntRange(0, 300).Draw(t, "n") {
			e := entry{rapid.SliceOfN(rapid.Byte(), 0, 3).Draw(t, "key"), append([]byte{byte(i), byte(i >> 8)}, rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "value")...)}
			if err := s.Add(e.key, e.value); err != nil {
				t.Fatal(err)
			}
			want = append(want, e)
		}
		slices.SortStableFunc(want, func(a, b entry) int { return bytes.Compare(a.key, b.key) })
		got := read(t, s)
		if len(got) != len(want) || int64(len(want)) != s.Len() {
			t.Fatalf("%d entries, want %d", len(got), len(want))
		}
		for i := range got {
			if !bytes.Equal(got[i].key, want[i].key) || !bytes.Equal(got[i].value, want[i].value) {
				t.Fatalf("entry %d: %q %q, want %q %q", i, got[i].key, got[i].value, want[i].key, want[i].value)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Fatalf("left %v %v", left, err)
		}
	})
}

// allocated is how many bytes a sorter has for entries.
func allocated(s *Sorter) (n int) {
	for _, p := range slices.Concat(s.pages, s.spare) {
		n += cap(p)
	}
	return n
}

// A sorter takes hardly more memory than it holds, however much that is, and what it has is used again.
func TestHardlyMoreThanHeld(t *testing.T) {
	s := New(Config{Dir: t.TempDir(), Memory: 8 << 20})
	defer s.Close() //nolint:errcheck // its errors are another test's
	value := bytes.Repeat([]byte("x"), 900)
	made := 0.0
	for i := range 20_000 {
		key := binary.BigEndian.AppendUint32(nil, uint32(i*7919%20_000))
		before := allocated(s)
		if err := s.Add(key, value); err != nil {
			t.Fatal(err)
		}
		if now := allocated(s); now > before {
			made += float64(now - before)
		}
		if n := allocated(s); len(s.files) == 0 && n > s.held+s.held/8+fullPage+firstPage || n > 9<<20 {
			t.Fatalf("%d bytes are allocated for %d, after %d entries", n, s.held, i+1)
		}
	}
	if len(s.files) != 2 || made > 10<<20 {
		t.Errorf("%d files; %.0f bytes were allocated in all", len(s.files), made)
	}
	if got := read(t, s); len(got) != 20_000 || !slices.IsSortedFunc(got, func(a, b entry) int { return bytes.Compare(a.key, b.key) }) {
		t.Errorf("%d entries", len(got))
	}
}

// Memory stays bounded although entries are larger than what may be held, and many runs are merged in steps.
func TestLargeEntries(t *testing.T) {
	s := New(Config{Dir: t.TempDir(), Memory: 1 << 10})
	defer s.Close() //nolint:errcheck // its errors are another test's
	value := bytes.Repeat([]byte("x"), 8<<10)
	for i := range 300 {
		if err := s.Add([]byte{byte(299 - i), byte((299 - i) >> 8)}, value); err != nil {
			t.Fatal(err)
		}
		if len(s.files) > 2*fanIn || allocated(s) > 64<<10 {
			t.Fatalf("%d files, %d bytes held", len(s.files), allocated(s))
		}
	}
	if got := read(t, s); len(got) != 300 || !slices.IsSortedFunc(got, func(a, b entry) int { return bytes.Compare(a.key, b.key) }) {
		t.Errorf("%d entries", len(got))
	}
}

// A disk that takes nothing is an error that says where, and what was cut short is not taken for the end.
func TestDiskFails(t *testing.T) {
	s := New(Config{Dir: t.TempDir() + "/none", Memory: 1})
	err := s.Add([]byte("a"), nil)
	for i := 0; i < 3 && err == nil; i++ {
		err = s.Add([]byte("b"), []byte("c"))
	}
	if err == nil || !strings.Contains(err.Error(), "sort on disk") {
		t.Errorf("%v", err)
	}
	if _, err := s.Sort(); err == nil {
		t.Error("sorted all the same")
	}
	s = New(Config{Dir: t.TempDir(), Memory: 1})
	defer s.Close() //nolint:errcheck // as above
	for _, k := range []string{"a", "b", "c"} {
		if err := s.Add([]byte(k), []byte("value")); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.files[0].f.Truncate(4); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sort(); err == nil || !strings.Contains(err.Error(), "read back") {
		t.Errorf("a run that was cut short: %v", err)
	}
}

// BenchmarkAdd: what a sorter allocates for 16 MiB of entries, as a side of a reconciliation has them.
func BenchmarkAdd(b *testing.B) {
	b.ReportAllocs()
	value := bytes.Repeat([]byte("x"), 900)
	for b.Loop() {
		s := New(Config{Dir: b.TempDir()})
		for i := range 18_000 {
			if err := s.Add(binary.BigEndian.AppendUint32(nil, uint32(i)), value); err != nil {
				b.Fatal(err)
			}
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
