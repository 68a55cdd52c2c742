package mapping

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/schema"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// anySchema takes every object.
func anySchema(t testing.TB) *schema.Set {
	t.Helper()
	var p strictyaml.Problems
	set := schema.Compile([]schema.File{{Name: "any", Path: "any.json", Data: []byte(`{"type": "object", "properties": {
		"a": {"type": "array"}, "b": {"type": "array", "items": {"type": "object", "properties": {"k": {}, "v": {}, "o": {"type": "object", "properties": {"q": {}}}}}}, "t": {"type": "string"}, "x": {}, "lines": {}}}`)}}, &p)
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	return set
}

// boundedMapping compiles rules under limits.
func boundedMapping(t testing.TB, rules string, l Limits) *Mapping {
	t.Helper()
	var p strictyaml.Problems
	nodes := strictyaml.Parse("m.yaml", []byte("mapping: m\nfrom: any\nto: any\nset:\n"+rules), &p)
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	m := Compile(nodes[0], Deps{Schemas: anySchema(t), Limits: l}, &p)
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	return m
}

const eachInEach = `  lines:
    each: source.a
    as: row
    set:
      parts:
        each: source.a
        set:
          x: item
`

// TestBoundsOfARun: what is small and becomes large, or goes on for long, ends with its place and the bound; at the bound it does not.
func TestBoundsOfARun(t *testing.T) {
	list := func(n int, element string) string {
		return `{"a":[` + strings.TrimSuffix(strings.Repeat(element+",", n), ",") + `]}`
	}
	doubled := func(first, again string, times int) string {
		text := "  x: >-\n    let v0 = " + first + ";\n"
		for i := range times {
			text += fmt.Sprintf("    let v%d = "+again+";\n", i+1, i, i)
		}
		return text + fmt.Sprintf("    v%d", times)
	}
	ones := strings.TrimSuffix(strings.Repeat("1,", 300), ",")
	objects := func(n int) string {
		return `{"a":[` + ones + `],"b":[` + strings.TrimSuffix(strings.Repeat(`{"v":1},`, n), ",") + `]}`
	}
	var members strings.Builder
	for i := range 4000 {
		fmt.Fprintf(&members, `"m%d":1,`, i)
	}
	many := `{"a":[` + ones + `],` + members.String() + `"t":"x"}`
	manyInside := `{"a":[` + ones + `],"b":[{` + members.String() + `"v":1,"o":{"q":1}}]}`
	blank := strings.Repeat(" ", 64_000)
	texts := fmt.Sprintf(`{"a":[%s],"t":%q,"x":%q,"lines":[%s,%q]}`, ones, blank, blank, ones[:79], blank)
	for _, c := range []struct {
		name, rules, doc string
		limits           Limits
		says             string // empty: it is within the bounds
		at               string
	}{
		{"result of an each in an each", eachInEach, list(100, "1"), Limits{Bytes: 1_000}, "the result has more than 1000 bytes with this document (mappings.max-result)", "m.yaml:"},
		{"result, at the bound", eachInEach, list(10, "1"), Limits{Bytes: 931}, "", ""},
		{"result, just past it", eachInEach, list(10, "1"), Limits{Bytes: 930}, "the result has more than 930 bytes", "m.yaml:"},
		{"steps of an each in an each", eachInEach, list(300, "1"), Limits{Steps: 50_000}, "the mapping takes more than 50000 steps with this document (mappings.max-steps)", "m.yaml:"},
		{"steps of elements that are left out", "  x:\n    each: source.a\n    set:\n      y:\n        each: source.a\n        as: cell\n        where: cell == 2\n        set:\n          z: cell\n", list(300, "1"), Limits{Steps: 50_000}, "50000 steps", "m.yaml:"},
		{"steps of a loop in a loop", "  x: >-\n    count(source.a, any(source.a, # == 2))\n", list(300, "1"), Limits{Steps: 50_000}, "50000 steps", "m.yaml:6:"},
		{"steps of a loop in a loop, within", "  x: >-\n    count(source.a, any(source.a, # == 2))\n", list(100, "1"), Limits{Steps: 50_000}, "", ""},
		{"steps on the machine", "  x: >-\n    let l = source.a; count(l, any(l, # == 2))\n", list(300, "1"), Limits{Steps: 50_000}, "50000 steps", "m.yaml:6:32"},
		{"steps on the machine, within", "  x: >-\n    let l = source.a; count(l, any(l, # == 2))\n", list(100, "1"), Limits{Steps: 50_000}, "", ""},
		{"a list of a list each", "  x: >-\n    len(map(source.a, map(source.a, #)))\n", list(100, "1"), Limits{Bytes: 10_000}, "on its way", "m.yaml:"},
		{"a map of lists", "  x: len(map(source.a, map(source.a, 1)))\n", list(300, "1"), Limits{Steps: 50_000}, "50000 steps", "m.yaml:5:"},
		{"steps of a sum in a loop", "  x: count(source.a, total(source.b, \"v\") > 0)\n", objects(300), Limits{Steps: 50_000}, "50000 steps", "m.yaml:5:"},
		{"steps to a last element", "  x: count(source.a, last(source.b).v == 1)\n", objects(300), Limits{Steps: 5_000}, "5000 steps", "m.yaml:5:"},
		{"steps to a position from the end", "  x: count(source.a, source.b[-1].v == 1)\n", objects(300), Limits{Steps: 5_000}, "5000 steps", "m.yaml:5:"},
		{"steps to a position from the front", "  x: count(source.a, source.b[299].v == 1)\n", objects(300), Limits{Steps: 5_000}, "5000 steps", "m.yaml:5:"},
		{"steps to the first, within", "  x: count(source.a, source.b[0].v == 1 and first(source.b).v == 1 and source.b[-300].v == 1)\n", objects(300), Limits{Steps: 5_000}, "", ""},
		{"steps to what is beyond the end, within", "  x: count(source.a, exists(source.b[99999999].v) or exists(source.b[-99999999].v))\n", objects(300), Limits{Steps: 5_000}, "", ""},
		{"steps of a condition of many parts", "  x: >-\n    count(source.a, " + strings.Repeat("# == 2 or ", 20) + "# == 3)\n", objects(1), Limits{Steps: 2_000}, "2000 steps", "m.yaml:6:"},
		{"a long text that is no list", "  x: len(map(source.x, 1))\n", texts, Limits{Bytes: 10_000}, "on its way", "m.yaml:5:"},
		{"steps to a field behind many, of a rule", "  lines:\n    each: source.a\n    set:\n      x: source.t\n", many, Limits{Steps: 50_000}, "50000 steps", "m.yaml:"},
		{"steps to a field behind many, of a loop", "  x: count(source.a, source.t == \"y\")\n", many, Limits{Steps: 50_000}, "50000 steps", "m.yaml:5:"},
		{"steps to a field behind many, of an element", "  lines:\n    each: source.a\n    set:\n      x: source.b[0].v\n", manyInside, Limits{Steps: 50_000}, "50000 steps", "m.yaml:"},
		{"steps to an object behind many", "  lines:\n    each: source.a\n    set:\n      parts:\n        each: source.b\n        set:\n          x: item.o.q\n", manyInside, Limits{Steps: 50_000}, "50000 steps", "m.yaml:"},
		{"steps of a sum of long objects", "  x: count(source.a, total(source.b, \"v\") > 0)\n", manyInside, Limits{Steps: 50_000}, "50000 steps", "m.yaml:5:"},
		{"steps of a long blank text", "  x: count(source.a, has(source.t))\n", texts, Limits{Steps: 50_000}, "50000 steps", "m.yaml:5:"},
		{"steps of long texts that are compared", "  x: count(source.a, source.t == source.x)\n", texts, Limits{Steps: 50_000}, "50000 steps", "m.yaml:5:"},
		{"steps of long texts of a list that an expression made", "  x: count(source.a, any(flatten([source.lines]), text(#) == \"y\"))\n", texts, Limits{Steps: 150_000}, "150000 steps", "m.yaml:5:"},
		{"a copy for each element", "  x:\n    each: source.a\n    set:\n      all: source.a\n", list(200, `"0123456789"`), Limits{Bytes: 100_000}, "more than 100000 bytes", "m.yaml:8:12"},
		{"lists that hold a list twice", doubled("source.a", "[v%[2]d, v%[3]d]", 40) + "\n", list(2, "1"), Limits{Bytes: 10_000}, "more than 10000 bytes", "m.yaml:"},
		{"objects that hold an object twice", doubled("source.a", "{a: v%[2]d, b: v%[3]d}", 40) + "\n", list(2, "1"), Limits{Bytes: 10_000}, "more than 10000 bytes", "m.yaml:"},
		{"lists that are compared", doubled("source.a", "[v%[2]d, v%[3]d]", 30) + " == " + "[v29, v29]\n", list(2, "1"), Limits{Steps: 100_000}, "100000 steps", "m.yaml:"},
		{"lists that are joined", doubled("source.a", "flatten([v%[2]d, v%[3]d])", 30) + "\n", list(2, "1"), Limits{Bytes: 10_000}, "on its way", "m.yaml:"},
		{"a digest of a long value", strings.Replace(doubled("source.a", "[v%[2]d, v%[3]d]", 40), "    v40", "    hash([v40])", 1) + "\n", list(2, "1"), Limits{Bytes: 10_000}, "on its way", "m.yaml:"},
		{"texts of a map", "  x: len(map(source.a, join(source.a, \"\")))\n", list(200, `"0123456789"`), Limits{Bytes: 10_000}, "on its way", "m.yaml:"},
		{"a text that grows", doubled("join(source.a, \"\")", "v%[2]d + v%[3]d", 20) + "\n", list(20, `"0123456789"`), Limits{}, "the text would be longer than 1048576 bytes", "m.yaml:"},
		{"a text that is written often", "  x:\n    each: source.a\n    set:\n      t: upper(item)\n", list(1000, `"äöü"`), Limits{Bytes: 30_000, Steps: 100_000}, "", ""},
		{"a split of separators", "  x: len(split(source.t, \",\"))\n", `{"t":"` + strings.Repeat(",", 5_000) + `"}`, Limits{Bytes: 10_000}, "on its way", "m.yaml:"},
		{"a format of long texts", "  x: format(\"{}{}{}\", source.t, source.t, source.t)\n", `{"t":"` + strings.Repeat("x", 500_000) + `"}`, Limits{}, "longer than 1048576 bytes", "m.yaml:"},
		{"one long list of a document", "  x: source.a\n", list(1000, "1"), Limits{Bytes: 2_000}, "more than 2000 bytes", "m.yaml:5:6"},
		{"one long list, at the bound", "  x: source.a\n", list(1000, "1"), Limits{Bytes: 2_007}, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := boundedMapping(t, c.rules, c.limits)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			out, err := m.Apply(ctx, &Input{Doc: parseDoc(t, c.doc)}, nil)
			if c.says == "" {
				if err != nil {
					t.Errorf("within the bounds: %v", err)
				}
				if l := c.limits.Bytes; l > 0 && len(out) > l {
					t.Errorf("%d bytes under a bound of %d", len(out), l)
				}
				return
			}
			if err == nil {
				t.Fatalf("%d bytes and no error", len(out))
			}
			if !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), c.at) || fault.KindOf(err) != fault.Invalid {
				t.Errorf("%v (%v), want %q at %s", err, fault.KindOf(err), c.says, c.at)
			}
		})
	}
}

// TestRunAfterABound: what a run was refused for is forgotten with it.
func TestRunAfterABound(t *testing.T) {
	m := boundedMapping(t, eachInEach, Limits{Bytes: 20_000, Steps: 60_000})
	small, large := parseDoc(t, `{"a":[1,2]}`), parseDoc(t, `{"a":[`+strings.Repeat("1,", 299)+`1]}`)
	for range 3 {
		if _, err := m.Apply(t.Context(), &Input{Doc: large}, nil); err == nil {
			t.Fatal("no error")
		}
		if out, err := m.Apply(t.Context(), &Input{Doc: small}, nil); err != nil || len(out) == 0 {
			t.Fatalf("%s, %v", out, err)
		}
	}
}

// TestConversionsAreKept: a list that is looked into for each element is made Go values once.
func TestConversionsAreKept(t *testing.T) {
	const n = 200
	m := boundedMapping(t, "  x:\n    each: source.a\n    set:\n      y: >-\n        find(source.b, #.k == item).v\n", Limits{Steps: 200_000})
	b := make([]string, n)
	a := make([]string, n)
	for i := range b {
		a[i] = fmt.Sprint(i)
		b[i] = fmt.Sprintf(`{"k":%d,"v":%d}`, i, 2*i)
	}
	doc := `{"a":[` + strings.Join(a, ",") + `],"b":[` + strings.Join(b, ",") + `]}`
	out, err := m.Apply(t.Context(), &Input{Doc: parseDoc(t, doc)}, nil)
	if err != nil || !strings.Contains(string(out), `{"y":398}`) {
		t.Errorf("%.200s, %v", out, err) // 200 conversions of 1001 values would be more than the steps
	}
}

// TestLargeRunsTakeTurns: of runs that need much memory, few go on at a time, and the others end with the hub.
func TestLargeRunsTakeTurns(t *testing.T) {
	list := `{"t":"x","a":[` + strings.TrimSuffix(strings.Repeat("1,", 400), ",") + `]}` // 400 times 400 elements of 16 bytes
	t.Run("a long text", func(t *testing.T) {
		takesTurns(t, boundedMapping(t, "  x: source.t\n", Limits{}), `{"t":"`+strings.Repeat("x", heavyBytes)+`"}`)
	})
	t.Run("a list of a map", func(t *testing.T) {
		takesTurns(t, boundedMapping(t, "  x: count(map(source.a, map(source.a, 1)))\n", Limits{}), list)
	})
	t.Run("a list of a filter", func(t *testing.T) {
		takesTurns(t, boundedMapping(t, "  x: count(map(source.a, filter(source.a, true)))\n", Limits{}), list)
	})
}

func takesTurns(t *testing.T, m *Mapping, doc string) {
	for range heavyRuns {
		heavy <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	errs := make(chan error, 1)
	all.Go(func() {
		_, err := m.Apply(ctx, &Input{Doc: parseDoc(t, doc)}, nil)
		errs <- err
	})
	if _, err := m.Apply(t.Context(), &Input{Doc: parseDoc(t, `{"t":"x"}`)}, nil); err != nil {
		t.Errorf("a small run waits: %v", err)
	}
	cancel()
	if err := <-errs; !errors.Is(err, context.Canceled) {
		t.Errorf("a large run went on beside %d others: %v", heavyRuns, err)
	}
	for range heavyRuns {
		<-heavy
	}
	if _, err := m.Apply(t.Context(), &Input{Doc: parseDoc(t, doc)}, nil); err != nil || len(heavy) != 0 {
		t.Errorf("%v, %d places are held", err, len(heavy))
	}
	all.Wait()
}
