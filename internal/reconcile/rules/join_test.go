package rules

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/spill"
	"github.com/waybill-hub/waybill/internal/state"
)

const joining = `rule: r
entity: order
over: {system: wms, where: source.use != false}
with:
  parts: {system: erp, entity: invoice, by: {a: source.a}, group: true, may-be-empty: true, where: source.n > 0}
  single: {system: erp, entity: product, by: {b: source.b, a: source.a}, may-be-empty: true}
  same: {system: wms, by: {a: source.a, b: source.b}, group: true, may-be-empty: true}
  chain: {system: erp, entity: customer, by: {id: single.next}, group: true, may-be-empty: true}
expect: len(chain) > 0 or sum(parts, .n) == source.n
say: >-
  text(len(parts)) + "," + text(single.next ?? "-") + "," + text(len(same)) + "," + text(len(chain))
settle: 0s
`

// TestJoinModel: what a run finds by sorting is what is found by comparing everything with everything, whatever the values, and however little fits
// into memory.
func TestJoinModel(t *testing.T) {
	plan := load(t, joining)
	value := rapid.SampledFrom([]string{`"x"`, `"y"`, `"xy"`, `1`, `1.0`, `"1"`, `"01"`, `true`, `"true"`, `null`, `""`, `"\u00fc"`, `{}`, `-0.5`, `"-0.5"`, `1e2`, `100`})
	rapid.Check(t, func(rt *rapid.T) {
		b := newBench(t, plan)
		b.memory = rapid.SampledFrom([]int{1, 64, 1 << 20}).Draw(rt, "memory")
		lists := map[string]func() string{
			"order": func() string {
				return fmt.Sprintf(`{"a":%s,"b":%s,"n":%d,"use":%t}`, value.Draw(rt, "a"), value.Draw(rt, "b"), rapid.IntRange(0, 3).Draw(rt, "n"), rapid.IntRange(0, 5).Draw(rt, "use") > 0)
			},
			"invoice": func() string {
				return fmt.Sprintf(`{"a":%s,"n":%d}`, value.Draw(rt, "a"), rapid.IntRange(0, 2).Draw(rt, "n"))
			},
			"product": func() string {
				return fmt.Sprintf(`{"a":%s,"b":%s,"next":%s}`, value.Draw(rt, "a"), value.Draw(rt, "b"), value.Draw(rt, "next"))
			},
			"customer": func() string { return fmt.Sprintf(`{"id":%s}`, value.Draw(rt, "id")) },
		}
		for _, object := range []string{"order", "invoice", "product", "customer"} {
			s := b.erp
			if object == "order" {
				s = b.wms
			}
			for i := range rapid.IntRange(0, 12).Draw(rt, object) {
				s.set(object, strconv.Itoa(i), lists[object]())
			}
		}
		if len(b.wms.objects["order"]) == 0 {
			b.wms.set("order", "0", `{"n":0}`)
		}
		sum, _ := b.run()
		var want []string
		judged := 0
		for _, r := range b.wms.objects["order"] {
			docs := func(rs []connector.Record) (out [][]byte) {
				for _, r := range rs {
					out = append(out, r.Doc)
				}
				return out
			}
			v, err := Try(context.Background(), plan.Rules[0], Example{Source: r.Doc, Lookup: b.store, Now: b.clock.now, With: map[string][][]byte{
				"parts": docs(b.erp.objects["invoice"]), "single": docs(b.erp.objects["product"]), "same": docs(b.wms.objects["order"]), "chain": docs(b.erp.objects["customer"])}})
			if err != nil {
				rt.Fatal(err)
			}
			if !v.Outside {
				judged++
			}
			switch {
			case v.NotCompared != "":
				want = append(want, r.Local+" not-compared")
			case !v.Holds && !v.Outside:
				want = append(want, r.Local+" "+v.Text)
			}
		}
		var got []string
		for _, d := range b.found {
			text := d.Text
			if d.Kind == state.DiffNotCompared {
				text = d.Kind
			}
			got = append(got, d.Left+" "+text)
		}
		// Runs tell in the order of ids as texts.
		slices.SortStableFunc(want, func(a, b string) int { return strings.Compare(localOf(a), localOf(b)) })
		if strings.Join(got, "\n") != strings.Join(want, "\n") || int(sum.Compared) != judged {
			rt.Fatalf("found\n%s\nwant\n%s\n%d compared, want %d", strings.Join(got, "\n"), strings.Join(want, "\n"), sum.Compared, judged)
		}
	})
}

func localOf(line string) string {
	local, _, _ := strings.Cut(line, " ")
	return local
}

// TestKeysDoNotMeet: two lists of values have one key if and only if they are the same, and no key begins another.
func TestKeysDoNotMeet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.StringMatching(`[ab\x00\x01|,]{0,3}`), 2, 2)
		a, b := values.Draw(t, "a"), values.Draw(t, "b")
		ka, kb := appendKey(nil, a...), appendKey(nil, b...)
		same := a[0] == b[0] && a[1] == b[1]
		if bytes.Equal(ka, kb) != same || !same && (bytes.HasPrefix(ka, kb) || bytes.HasPrefix(kb, ka)) {
			t.Fatalf("%q and %q: %q and %q", a, b, ka, kb)
		}
	})
}

// TestRowsComeBack: a row on disk is what it was.
func TestRowsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		blob := rapid.SliceOfN(rapid.Byte(), 0, 5)
		maybe := func(name string) []byte {
			if rapid.Bool().Draw(t, name+" is there") {
				return append([]byte{}, blob.Draw(t, name)...)
			}
			return nil
		}
		r := &row{local: rapid.String().Draw(t, "local"), hub: rapid.String().Draw(t, "hub"), why: rapid.String().Draw(t, "why"), until: rapid.Int64().Draw(t, "until"), previous: maybe("previous"),
			more: rapid.SliceOfN(rapid.String(), 0, 3).Draw(t, "more")}
		for range rapid.IntRange(0, 4).Draw(t, "docs") {
			r.docs = append(r.docs, maybe("doc"))
		}
		b := r.append(nil)
		got, rest, err := readRow(b)
		if err != nil || len(rest) > 0 || !bytes.Equal(got.append(nil), b) {
			t.Fatalf("%+v became %+v, error %v", r, got, err)
		}
		for i := range got.docs {
			if (got.docs[i] == nil) != (r.docs[i] == nil) {
				t.Fatalf("document %d: %v became %v", i, r.docs[i], got.docs[i])
			}
		}
	})
}

// FuzzReadRow: whatever stands on the disk, reading it ends with a row or an error.
func FuzzReadRow(f *testing.F) {
	f.Add((&row{local: "1", docs: [][]byte{[]byte("{}"), nil}, more: []string{"a 1"}}).append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, rest, err := readRow(b); err == nil {
			again, _, err := readRow(r.append(nil))
			if err != nil || !bytes.Equal(again.append(nil), r.append(nil)) || len(rest) > len(b) {
				t.Fatalf("%q: %+v, then %+v, error %v", b, r, again, err)
			}
		}
	})
}

// TestHashes: what was added is found, and beyond the bound everything is.
func TestHashes(t *testing.T) {
	var none *hashes
	h := &hashes{}
	for i := range 1000 {
		h.add(fmt.Append(nil, i))
		h.add(fmt.Append(nil, i))
	}
	missed := 0
	for i := range 2000 {
		if h.has(fmt.Append(nil, i)) != (i < 1000) {
			missed++
		}
	}
	if missed > 0 || len(h.list) != 1000 || !none.has(nil) {
		t.Errorf("%d wrong answers, %d held", missed, len(h.list))
	}
	for i := range mostHashes + 1 {
		h.add([]byte{byte(i), byte(i >> 8), byte(i >> 16), byte(i >> 24)})
	}
	if !h.all || h.list != nil || !h.has([]byte("never added")) {
		t.Error("beyond the bound something is left out")
	}
}

// TestMemoryStaysFlat: lists far larger than what is held. WAYBILL_RULES_OBJECTS makes them larger still.
func TestMemoryStaysFlat(t *testing.T) {
	if testing.Short() {
		t.Skip("sorts much")
	}
	n := 60_000
	if s := os.Getenv("WAYBILL_RULES_OBJECTS"); s != "" {
		n, _ = strconv.Atoi(s)
	}
	b := newBench(t, load(t, `rule: r
entity: order
over: {system: wms}
with:
  invoices: {system: erp, entity: invoice, by: {order: source.no}, group: true}
expect: sum(invoices, .gross) == source.total
`))
	b.memory = 4 << 20
	pad := strings.Repeat("x", 600)
	doc := func(kind string, i int) []byte {
		if kind == "order" {
			return fmt.Appendf(nil, `{"no":"O-%d","total":%d.20,"pad":%q}`, i, i, pad)
		}
		if i%1000 == 0 {
			return fmt.Appendf(nil, `{"order":"O-%d","gross":1,"pad":%q}`, i, pad)
		}
		return fmt.Appendf(nil, `{"order":"O-%d","gross":%d.2,"pad":%q}`, i, i, pad)
	}
	systems := map[string]connector.System{"wms": &endless{n: n, doc: doc}, "erp": &endless{n: n, doc: doc}}
	defer debug.SetGCPercent(debug.SetGCPercent(50))
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	before, most := m.HeapAlloc, uint64(0)
	b.store = newStore()
	sink := &flat{bench: b, each: func() {
		runtime.ReadMemStats(&m)
		most = max(most, m.HeapAlloc)
	}}
	began := time.Now()
	run, err := New(Config{Store: b.store, Clock: b.clock, Plan: b.plan, Spill: spill.Config{Dir: t.TempDir(), Memory: b.memory}, Connector: func(name string) connector.System { return systems[name] }}, b.plan.Rules[0], 1, state.CompareOptions{}, sink)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range systems {
		s.(*endless).each = sink.each
	}
	_, sum, _, err := run.Do(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if sum.Compared != int64(n) || sum.Different != int64((n+999)/1000) {
		t.Errorf("summary %+v", sum)
	}
	t.Logf("%d objects and as many invoices: %s, %d MB beyond the %d MB of before", n, time.Since(began).Round(time.Millisecond), (most-min(most, before))>>20, before>>20)
	if most > before+64<<20 {
		t.Errorf("%d MB are held, with 4 MiB for sorting", (most-before)>>20)
	}
}

// flat looks at the memory from time to time.
type flat struct {
	*bench
	each func()
}

// endless lists as many documents as it is told, without holding them.
type endless struct {
	n    int
	doc  func(object string, i int) []byte
	each func()
}

func (s *endless) Probe(context.Context) error { return nil }
func (s *endless) Close() error                { return nil }
func (s *endless) List(_ context.Context, object string, _ time.Time) iter.Seq2[connector.Record, error] {
	return func(yield func(connector.Record, error) bool) {
		for i := range s.n {
			i = (i * 7919) % s.n // in no order
			if i%10_000 == 0 && s.each != nil {
				s.each()
			}
			if !yield(connector.Record{Local: strconv.Itoa(i), Doc: s.doc(object, i)}, nil) {
				return
			}
		}
	}
}

// TestFingerprint: what is volatile, and how a document is written, does not count; what it says does.
func TestFingerprint(t *testing.T) {
	j := newJudge(load(t, invoiced).Rules[0])
	print := func(docs ...string) uint64 {
		r := &row{docs: make([][]byte, len(j.names))}
		for i, d := range docs {
			if d != "" {
				r.docs[i] = []byte(d)
			}
		}
		return j.fingerprint(r)
	}
	base := print(`{"a":1,"b":"x"}`, `[{"n":1},{"n":2}]`)
	for doc, same := range map[string]bool{`{"b":"x", "a":1.0}`: true, `{"a":2,"b":"x"}`: false, `{"a":1}`: false, `{"a":1,"b":"x","c":null}`: true} {
		if (print(doc, `[{"n":1},{"n":2}]`) == base) != same {
			t.Errorf("%s: same %t", doc, !same)
		}
	}
	for _, list := range []string{`[{"n":2},{"n":1}]`, `[{"n":1}]`, `[]`, ``} {
		if print(`{"a":1,"b":"x"}`, list) == base {
			t.Errorf("%s makes no difference", list)
		}
	}
}
