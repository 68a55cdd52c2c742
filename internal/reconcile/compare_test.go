package reconcile

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/spill"
	"github.com/waybill-hub/waybill/internal/state"
)

func drawEntry(t *rapid.T) *entry {
	text := rapid.OneOf(rapid.String(), rapid.Just(""))
	e := &entry{own: text.Draw(t, "own"), local: text.Draw(t, "local"), hub: text.Draw(t, "hub"), key: text.Draw(t, "key"), version: text.Draw(t, "version"), why: text.Draw(t, "why"),
		filtered: rapid.Bool().Draw(t, "filtered")}
	for _, doc := range []*[]byte{&e.doc, &e.before} {
		if rapid.Bool().Draw(t, "has a document") {
			*doc = append([]byte{}, rapid.SliceOf(rapid.Byte()).Draw(t, "document")...)
		}
	}
	return e
}

func drawPair(t *rapid.T) *pair {
	p := &pair{key: rapid.String().Draw(t, "pair"), moreRight: rapid.Bool().Draw(t, "more right"), n: rapid.IntRange(0, 1<<30).Draw(t, "n"), unnamed: rapid.IntRange(0, 9).Draw(t, "unnamed")}
	if rapid.Bool().Draw(t, "left") {
		p.left = drawEntry(t)
	}
	if rapid.Bool().Draw(t, "right") {
		p.right = drawEntry(t)
	}
	for range rapid.IntRange(0, 3).Draw(t, "more") {
		p.more = append(p.more, drawEntry(t))
	}
	return p
}

// TestPairsOnDisk: what was written is read, whole, and what was cut off is not.
func TestPairsOnDisk(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		was, now := drawPair(t), drawPair(t)
		b := now.append(nil)
		got, err := readPair([]byte(now.key), b)
		if err != nil || !reflect.DeepEqual(got, now) {
			t.Fatalf("%+v %v", got, err)
		}
		cut := rapid.IntRange(0, len(b)-1).Draw(t, "cut")
		if _, err := readPair([]byte(now.key), b[:cut]); err == nil {
			t.Fatalf("%d of %d bytes are read as a whole", cut, len(b))
		}
		if _, err := readPair([]byte(now.key), append(b, 0)); err == nil {
			t.Fatal("there is more behind it")
		}
		w, n, err := readLooked([]byte(now.key), appendLooked(nil, was, now))
		if err != nil || !reflect.DeepEqual(w, was) || !reflect.DeepEqual(n, now) {
			t.Fatalf("%+v %+v %v", w, n, err)
		}
	})
}

func FuzzReadLooked(f *testing.F) {
	p := &pair{key: "k", left: &entry{own: "1", doc: []byte("{}")}, more: []*entry{{own: "2"}}}
	f.Add(appendLooked(nil, p, p))
	f.Add([]byte{})
	f.Add([]byte{255, 255, 255, 255, 255, 255, 255, 255, 255, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		was, now, err := readLooked([]byte("k"), b)
		if err != nil {
			return
		}
		w, n, err := readLooked([]byte("k"), appendLooked(nil, was, now))
		if err != nil || !reflect.DeepEqual(w, was) || !reflect.DeepEqual(n, now) {
			t.Errorf("%+v %+v %v", w, n, err)
		}
	})
}

// row is an object of a property test.
type row struct {
	own, hub string
	a        int // the field by which objects are paired; 0: it has none
	n        int // another field
	filtered bool
}

func (r row) entry() *entry {
	e := &entry{own: r.own, local: r.own, hub: r.hub, filtered: r.filtered, doc: fmt.Appendf(nil, `{"a":%d,"n":%d}`, r.a, r.n)}
	if r.a == 0 {
		e.doc = fmt.Appendf(nil, `{"n":%d}`, r.n)
	}
	return e
}

// side draws the rows of a side; some are given twice, at random places.
func drawSide(t *rapid.T, name string) (listed []row, held map[string]row) {
	held, hubs := map[string]row{}, map[string]bool{}
	for i := range rapid.IntRange(0, 14).Draw(t, name+" rows") {
		r := row{own: fmt.Sprintf("%s%02d", name, i), a: rapid.IntRange(0, 4).Draw(t, "a"), n: rapid.IntRange(0, 1).Draw(t, "n"), filtered: rapid.IntRange(0, 5).Draw(t, "filtered") == 0}
		if hub := rapid.IntRange(0, 9).Draw(t, "hub"); hub < 6 && !hubs[fmt.Sprint(hub)] {
			r.hub = fmt.Sprint(hub)
			hubs[r.hub] = true
		}
		held[r.own] = r
		listed = append(listed, r)
		if rapid.IntRange(0, 4).Draw(t, "twice") == 0 {
			listed = append(listed, r)
		}
	}
	return rapid.Permutation(listed).Draw(t, name+" order"), held
}

// naive compares two sides in memory. It gives what differs as texts: kind, left, right, and the others.
func naive(m config.Match, left, right map[string]row) (out []string, compared, equal int) {
	type group struct{ left, right []row }
	taken := map[string]bool{}
	add := func(l, r []row) {
		same := len(l) == 1 && len(r) == 1 && l[0].filtered == r[0].filtered && l[0].a == r[0].a && l[0].n == r[0].n
		id := func(rows []row) string {
			if len(rows) == 0 {
				return ""
			}
			return rows[0].own
		}
		rest := func(rows []row) (out []string) {
			for _, r := range rows[1:] {
				out = append(out, r.own)
			}
			return out
		}
		if len(l) > 1 || len(r) > 1 {
			if len(l) > 1 {
				compared++
				out = append(out, fmt.Sprint("doubled-left", id(l), id(r), rest(l)))
			}
			if len(r) > 1 {
				compared++
				out = append(out, fmt.Sprint("doubled-right", id(l), id(r), rest(r)))
			}
			return
		}
		wanted := func(rows []row) bool { return len(rows) == 1 && !rows[0].filtered }
		if !wanted(l) && !wanted(r) {
			return
		}
		if compared++; same {
			equal++
			return
		}
		out = append(out, fmt.Sprint("", id(l), id(r), []string(nil)))
	}
	only := func(rows []row) []row { // what is filtered is nobody's double
		in := slices.DeleteFunc(slices.Clone(rows), func(r row) bool { return r.filtered })
		if len(in) == 0 && len(rows) > 0 {
			return rows[:1]
		}
		return in
	}
	pairs := map[string][2]row{} // by hub id
	if m.Xref {
		for _, l := range left {
			for _, r := range right {
				if l.hub != "" && l.hub == r.hub {
					pairs[l.hub] = [2]row{l, r}
					taken[l.own], taken[r.own] = true, true
				}
			}
		}
	}
	groups := map[int]*group{}
	ids := append(slices.Sorted(maps.Keys(left)), slices.Sorted(maps.Keys(right))...)
	for _, id := range ids {
		r, isLeft := left[id]
		if !isLeft {
			r = right[id]
		}
		switch {
		case taken[id]:
		case len(m.Fields) == 0 || r.a == 0:
			if isLeft {
				add([]row{r}, nil)
			} else {
				add(nil, []row{r})
			}
		default:
			g := groups[r.a]
			if g == nil {
				g = &group{}
				groups[r.a] = g
			}
			if isLeft {
				g.left = append(g.left, r)
			} else {
				g.right = append(g.right, r)
			}
		}
	}
	if len(m.Fields) == 0 || !m.Xref {
		for _, p := range pairs {
			add([]row{p[0]}, []row{p[1]})
		}
		for _, g := range groups {
			add(only(g.left), only(g.right))
		}
		return out, compared, equal
	}
	return naiveBoth(pairs, func(a int) (l, r []row) {
		if g := groups[a]; g != nil {
			return g.left, g.right
		}
		return nil, nil
	}, add, only, &out, &compared, &equal)
}

// naiveBoth is for objects that are paired by the cross-reference, and else by fields: those of the same fields as a pair are doubles of it.
func naiveBoth(pairs map[string][2]row, alone func(a int) (l, r []row), add func(l, r []row), only func([]row) []row, out *[]string, compared, equal *int) ([]string, int, int) {
	first := [2]map[int]row{{}, {}} // of the pairs, the first by hub id that has a field on a side
	owner := map[int]string{}
	hubs := slices.Sorted(maps.Keys(pairs))
	for _, hub := range hubs {
		for n, r := range pairs[hub] {
			if r.a == 0 || owner[r.a] != "" && owner[r.a] != hub {
				continue
			}
			owner[r.a], first[n][r.a] = hub, r
		}
	}
	doubled := map[string]bool{}
	for a := 1; a <= 4; a++ {
		l, r := alone(a)
		if len(l)+len(r) == 0 {
			continue
		}
		sides := [2][]row{l, r}
		for n := range sides {
			if p, ok := first[n][a]; ok {
				sides[n] = append([]row{p}, sides[n]...)
			}
			sides[n] = only(sides[n])
		}
		switch {
		case len(sides[0]) > 1 || len(sides[1]) > 1:
			_, left := first[0][a]
			_, right := first[1][a]
			doubled[owner[a]] = doubled[owner[a]] || left && right
			add(sides[0], sides[1])
		case owner[a] == "":
			add(sides[0], sides[1])
		default:
			for _, x := range l {
				add([]row{x}, nil)
			}
			for _, x := range r {
				add(nil, []row{x})
			}
		}
	}
	for _, hub := range hubs {
		p := pairs[hub]
		if p[0].filtered && p[1].filtered {
			continue
		}
		if !doubled[hub] {
			add(p[:1], p[1:])
		}
	}
	return *out, *compared, *equal
}

// TestCompare: what is merged from disk is what a comparison in memory finds.
func TestCompare(t *testing.T) {
	for name, match := range map[string]config.Match{"xref": {Xref: true}, "fields": {Fields: []string{"a"}}, "xref, then fields": {Xref: true, Fields: []string{"a"}}} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				leftRows, left := drawSide(rt, "l")
				rightRows, right := drawSide(rt, "r")
				r := &Run{c: Config{Clock: lifecycle.Real(), Spill: spill.Config{Dir: t.TempDir(), Memory: rapid.SampledFrom([]int{60, 1 << 20}).Draw(rt, "memory")}},
					rec: &config.Reconciliation{Entity: "order", Match: match, Compare: rules(t)}}
				r.left, r.right = &side{name: "left", match: match}, &side{name: "right", match: match}
				sorted := func(s *side, rows []row) *spill.Sorter {
					out := spill.New(r.c.Spill)
					for _, row := range rows {
						e := row.entry()
						if err := out.Add(s.pairKey(e), e.append(nil)); err != nil {
							rt.Fatal(err)
						}
					}
					return out
				}
				ls, rs, out := sorted(r.left, leftRows), sorted(r.right, rightRows), spill.New(r.c.Spill)
				defer func() { _, _, _ = ls.Close(), rs.Close(), out.Close() }()
				if err := r.compare(t.Context(), ls, rs, out, true); err != nil {
					rt.Fatal(err)
				}
				in, err := readCandidates(out)
				if err != nil {
					rt.Fatal(err)
				}
				var got []string
				for {
					p, err := in.next()
					if err != nil {
						rt.Fatal(err)
					}
					if p == nil {
						break
					}
					kind := kindOf(p)
					if kind != state.DiffDoubledLeft && kind != state.DiffDoubledRight {
						kind = ""
					}
					var more []string
					for _, e := range p.more {
						more = append(more, e.own)
					}
					if kind != "" { // of several, which one is the first is nobody's business
						slices.Sort(more)
					}
					got = append(got, fmt.Sprint(kind, own(p.left), own(p.right), more))
				}
				want, compared, equal := naive(match, left, right)
				slices.Sort(got)
				slices.Sort(want)
				if !slices.Equal(normal(got), normal(want)) || r.sum.Compared != int64(compared) || r.sum.Equal != int64(equal) {
					rt.Fatalf("got %d %d %q\nwant %d %d %q", r.sum.Compared, r.sum.Equal, got, compared, equal, want)
				}
			})
		})
	}
}

// normal leaves the order of the objects of one key out.
func normal(all []string) []string {
	out := slices.Clone(all)
	for i, s := range out {
		b := []byte(s)
		slices.SortFunc(b, func(x, y byte) int { return cmp.Compare(x, y) })
		out[i] = string(bytes.TrimSpace(b))
	}
	slices.Sort(out)
	return out
}

// TestManyOfOneKey: of very many objects of one key some are named, of both sides, and the others counted; memory stays as it is.
func TestManyOfOneKey(t *testing.T) {
	for name, match := range map[string]config.Match{"fields": {Fields: []string{"n"}}, "xref, then fields": {Xref: true, Fields: []string{"n"}}} {
		t.Run(name, inWorld(func(t *testing.T, w *world) {
			w.rec.Match = match
			for i := range 500 {
				w.west.objects[fmt.Sprintf("l%03d", i)], w.east.objects[fmt.Sprintf("r%03d", i)] = `{"n":1}`, `{"n":1}`
			}
			w.open["west"], w.open["east"] = onlyLists{w.west}, onlyLists{w.east}
			w.memory = 1 << 16
			got := w.run(t.Context(), Asked{})
			if got.err != nil || len(got.found) != 2 {
				t.Fatalf("%v %d", got.err, len(got.found))
			}
			for i, kind := range []string{state.DiffDoubledLeft, state.DiffDoubledRight} {
				if d := got.found[i]; d.Kind != kind || len(d.More) != mostDoubled-1 || d.Text != "480 more of the same key are not named here" || d.Left == "" || d.Right == "" {
					t.Errorf("%+v", d)
				}
			}
		}))
	}
}
