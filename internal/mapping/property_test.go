package mapping

import (
	"bytes"
	"context"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

var decimalText = rapid.StringMatching(`-?(0|[1-9][0-9]{0,24})(\.[0-9]{1,12})?`)

func rat(t *rapid.T, s string) *big.Rat {
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		t.Fatalf("%q is not a number", s)
	}
	return r
}

// TestDecimalsAreExact compares arithmetic on fields and on literals with rational numbers.
func TestDecimalsAreExact(t *testing.T) {
	deps := testDeps(t)
	source := deps.Schemas.Get("source.v1")
	rapid.Check(t, func(t *rapid.T) {
		a, b := decimalText.Draw(t, "a"), decimalText.Draw(t, "b")
		operator := rapid.SampledFrom([]string{"+", "-", "*"}).Draw(t, "operator")
		x, y := rat(t, a), rat(t, b)
		want := new(big.Rat)
		switch operator {
		case "+":
			want.Add(x, y)
		case "-":
			want.Sub(x, y)
		case "*":
			want.Mul(x, y)
		}
		in := &Input{Doc: parseDoc(nil, fmt.Sprintf(`{"rate": %s, "big": %s}`, a, b))}
		for _, text := range []string{
			"source.rate " + operator + " source.big", "(" + a + ") " + operator + " (" + b + ")",
			"sum(map([source.rate], # " + operator + " " + "source.big))",
		} {
			for _, machine := range []bool{false, true} {
				c, err := compileText(nilT{}, text, source, deps, machine)
				if err != nil {
					t.Fatal(err)
				}
				got, err := c.json(in)
				if err != nil {
					t.Fatal(err)
				}
				if rat(t, got).Cmp(want) != 0 {
					t.Fatalf("%s = %s, want %s", text, got, want.FloatString(30))
				}
			}
		}
	})
}

// TestValueMapRoundTrip: for any map, a canonical code goes to a system's code and comes back.
func TestValueMapRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 8).Draw(t, "codes")
		var text strings.Builder
		text.WriteString("values: m\nunknown: " + rapid.SampledFrom([]string{"park", "keep", `{use: "x"}`}).Draw(t, "policy") + "\ncodes:\n")
		codes := map[string][]string{}
		next := 0
		for i := range n {
			name := "c" + strconv.Itoa(i)
			var list []string
			for range rapid.IntRange(1, 3).Draw(t, "several") {
				list = append(list, "s"+strconv.Itoa(next))
				next++
			}
			codes[name] = list
			fmt.Fprintf(&text, "  %s: {sys: [%s]}\n", name, strings.Join(list, ", "))
		}
		var p strictyaml.Problems
		m := ParseValueMaps(strictyaml.Parse("v.yaml", []byte(text.String()), &p)[0], &p)
		if err := p.Err(); err != nil {
			t.Fatal(err)
		}
		for name, list := range codes {
			code, err := m.Code("sys", name)
			if err != nil || code != list[0] {
				t.Fatalf("Code(%s) = %s, %v; want %s", name, code, err, list[0])
			}
			for _, s := range list {
				if back, err := m.Value("sys", s); err != nil || back != name {
					t.Fatalf("Value(%s) = %s, %v; want %s", s, back, err, name)
				}
			}
		}
		got, err := m.Value("sys", "strange")
		switch m.value.kind {
		case park:
			if err == nil {
				t.Fatal("an unknown code went through")
			}
		case keep:
			if got != "strange" || err != nil {
				t.Fatal(got, err)
			}
		case use:
			if got != "x" || err != nil {
				t.Fatal(got, err)
			}
		}
	})
}

// document draws a document of testdata/schemas/source.v1.json: mostly valid, sometimes with fields absent or wrong.
func document(t *rapid.T) string {
	word := rapid.SampledFrom([]string{`"A1"`, `"Open"`, `"Closed Won"`, `"2026-10-01"`, `"  x\u00e9 "`, `""`, `"ß\n"`, `"O-1"`, `"eur"`})
	number := rapid.SampledFrom([]string{"0", "1", "2.50", "-3", "1e3", "0.1", "12345678901234567890.5"})
	wrong := rapid.SampledFrom([]string{"null", "true", `"text"`, "7", "[]", "{}"})
	value := func(name string, g *rapid.Generator[string]) string {
		switch rapid.IntRange(0, 19).Draw(t, name) {
		case 0:
			return ""
		case 1:
			return fmt.Sprintf("%q: %s", name, wrong.Draw(t, "wrong"))
		}
		return fmt.Sprintf("%q: %s", name, g.Draw(t, name))
	}
	object := func(fields ...string) string {
		var there []string
		for _, f := range fields {
			if f != "" {
				there = append(there, f)
			}
		}
		return "{" + strings.Join(there, ", ") + "}"
	}
	line := rapid.Custom(func(t *rapid.T) string {
		return object(value("sku", word), value("qty", number), value("price", number), value("unit", word))
	})
	list := func(g *rapid.Generator[string]) *rapid.Generator[string] {
		return rapid.Custom(func(t *rapid.T) string {
			return "[" + strings.Join(rapid.SliceOfN(g, 0, 4).Draw(t, "list"), ", ") + "]"
		})
	}
	member := rapid.Custom(func(t *rapid.T) string { return object(value("id", word), value("age", number)) })
	group := rapid.Custom(func(t *rapid.T) string { return object(value("name", word), value("members", list(member))) })
	customer := rapid.Custom(func(t *rapid.T) string {
		return object(`"id": "A1"`, value("name", word), value("vip", rapid.SampledFrom([]string{"true", "false"})))
	})
	return object(
		value("no", word), value("status", rapid.SampledFrom([]string{`"Open"`, `"Closed Won"`})), value("date", rapid.Just(`"2026-10-01"`)),
		value("rate", number), value("currency", word), value("note", word), value("count", number),
		value("paid", rapid.SampledFrom([]string{"true", "false"})), value("customer", customer), value("tags", list(word)), value("lines", list(line)), value("groups", list(group)),
		value("shipping", rapid.Just(`{"city": "Ulm"}`)), value("billing", rapid.Just(`{"city": "Bonn"}`)),
	)
}

// caseMapping compiles the mapping of a case in testdata/apply.
func caseMapping(t testing.TB, name string) *Mapping {
	t.Helper()
	tt, ok := t.(*testing.T)
	if !ok {
		tt = &testing.T{}
	}
	_, body := sections(tt, "testdata/apply/"+name)
	var p strictyaml.Problems
	m := Compile(strictyaml.Parse("m.yaml", []byte(body["mapping"]), &p)[0], testDeps(t), &p)
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestMappingIsPure: the same document gives the same bytes or the same error, alone and beside others.
func TestMappingIsPure(t *testing.T) {
	m := caseMapping(t, "order.txt")
	rapid.Check(t, func(t *rapid.T) {
		text := document(t)
		run := func() string {
			d, err := jsondoc.Parse([]byte(text), jsondoc.Limits{})
			if err != nil {
				t.Fatalf("%v in %s", err, text)
			}
			out, err := m.Apply(context.Background(), &Input{Doc: d, Event: testEvent, Lookup: testRefs}, nil)
			if err != nil {
				return err.Error()
			}
			if _, err := jsondoc.Parse(out, jsondoc.Limits{}); err != nil {
				t.Fatalf("%v in %s", err, out)
			}
			return string(out)
		}
		want := run()
		results := make([]string, 4)
		var wg sync.WaitGroup
		for i := range results {
			wg.Go(func() { results[i] = run() })
		}
		wg.Wait()
		for _, got := range results {
			if got != want {
				t.Fatalf("%s\ngives %s\nand %s", text, want, got)
			}
		}
	})
}

// TestFormsAgree: the direct form and that for the machine give the same value, or both an error, on any document.
func TestFormsAgree(t *testing.T) {
	deps := testDeps(t)
	source := deps.Schemas.Get("source.v1")
	type pair struct {
		text            string
		direct, machine *compiled
	}
	var pairs []pair
	for _, e := range expressions {
		d, err := compileText(t, e.expr, source, deps, false)
		if err != nil {
			continue
		}
		m, err := compileText(t, e.expr, source, deps, true)
		if err != nil {
			t.Fatal(err)
		}
		pairs = append(pairs, pair{e.expr, d, m})
	}
	rapid.Check(t, func(t *rapid.T) {
		text := document(t)
		in := &Input{Doc: parseDoc(nil, text), Event: testEvent, Lookup: testRefs}
		for _, p := range pairs {
			agree(t, p.text, p.direct, p.machine, in)
		}
	})
}

// loops writes expressions of loops, one inside the other, of which some do not fit the schema.
type loops struct {
	t    *rapid.T
	vars int
}

func (l *loops) of(what string, texts ...string) string {
	return rapid.SampledFrom(texts).Draw(l.t, what)
}

func (l *loops) list(deep int, inside bool) string {
	texts := []string{"source.lines", "source.tags", "source.groups", "source.groups[0].members", "source.extra", `["a", "b", nil]`}
	if inside {
		texts = append(texts, ".members", ".members", "#")
	}
	if deep > 0 {
		switch l.of("list", "field", "filter", "filter", "map", "map", "sortBy", "else") {
		case "filter":
			return "filter(" + l.list(deep-1, inside) + ", " + l.condition(deep-1) + ")"
		case "map":
			return "map(" + l.list(deep-1, inside) + ", " + l.value(deep-1, true) + ")"
		case "sortBy":
			return "sortBy(" + l.list(deep-1, inside) + ", " + l.value(deep-1, true) + l.of("order", "", `, "desc"`) + ")"
		case "else":
			return "(" + l.list(deep-1, inside) + " ?? [])"
		}
	}
	return l.of("field", texts...)
}

func (l *loops) condition(deep int) string {
	if deep > 0 {
		switch l.of("condition", "plain", "quantifier", "quantifier", "not", "or", "has") {
		case "quantifier":
			return l.of("quantifier", "any", "all", "none", "one") + "(" + l.list(deep-1, true) + ", " + l.condition(deep-1) + ")"
		case "not":
			return "not (" + l.condition(deep-1) + ")"
		case "or":
			return "(" + l.condition(deep-1) + l.of("logic", " or ", " and ") + l.condition(deep-1) + ")"
		case "has":
			return "has(" + l.value(deep-1, true) + ")"
		}
	}
	return l.of("test", ".qty > 1", `.id == "A1"`, `# == "Open"`, "#index > 0", `.name == source.no`, ".age != source.count", "true", "exists(.sku)", "(.price ?? 0) < 3", "#")
}

func (l *loops) value(deep int, inside bool) string {
	if deep > 0 {
		switch l.of("value", "find", "count", "sum", "end", "let", "list", "choose", "object") {
		case "find":
			return "find(" + l.list(deep-1, inside) + ", " + l.condition(deep-1) + ")" + l.of("of", "", ".sku", ".id", ".members")
		case "count":
			return l.of("counted", "count", "len") + "(" + l.list(deep-1, inside) + ")"
		case "sum":
			return l.of("summed", "sum", "count") + "(" + l.list(deep-1, inside) + ", " + l.of("of", l.value(deep-1, true), l.condition(deep-1)) + ")"
		case "end":
			return l.of("end", "first", "last") + "(" + l.list(deep-1, inside) + ")" + l.of("of", "", ".qty", ".name")
		case "let":
			l.vars++
			name := fmt.Sprintf("v%d", l.vars)
			return "(let " + name + " = " + l.value(deep-1, inside) + "; " + l.of("body", name, "["+name+", "+l.value(deep-1, inside)+"]", "filter("+l.list(deep-1, inside)+", # == "+name+")") + ")"
		case "list":
			return l.list(deep-1, inside)
		case "choose":
			if inside {
				return "choose(" + l.condition(deep-1) + ", " + l.value(deep-1, true) + ", " + l.value(deep-1, true) + ")"
			}
		case "object":
			return "{a: " + l.value(deep-1, inside) + ", b: " + l.value(deep-1, inside) + "}"
		}
	}
	texts := []string{"source.count", "source.no", "1", `"a"`, "nil", "source.lines[-1].qty"}
	if inside {
		texts = append(texts, "#", "#index", ".qty", ".id", ".age", ".members", ".price * 2", ".sku")
	}
	return l.of("plain", texts...)
}

// TestLoopsAgree: loops inside loops give the same in the direct form and in that for the machine, whatever stands in them and in the document.
func TestLoopsAgree(t *testing.T) {
	deps := testDeps(t)
	source := deps.Schemas.Get("source.v1")
	var compiled, written int
	rapid.Check(t, func(t *rapid.T) {
		documents := make([]*Input, 3)
		for i := range documents {
			documents[i] = &Input{Doc: parseDoc(nil, document(t)), Event: testEvent, Lookup: testRefs}
		}
		for range 24 {
			written++
			text := (&loops{t: t}).value(5, false)
			direct, err := compileAny(text, source, deps, false)
			if err != nil {
				continue
			}
			machine, err := compileAny(text, source, deps, true)
			if err != nil {
				t.Fatalf("%s compiles, but not for the machine: %v", text, err)
			}
			compiled++
			for _, in := range documents {
				agree(t, text, direct, machine, in)
			}
		}
	})
	if compiled < written/8 {
		t.Errorf("of %d expressions only %d compile", written, compiled)
	}
}

type failer interface {
	Fatalf(format string, args ...any)
}

func agree(t failer, text string, direct, machine *compiled, in *Input) {
	a, errA := direct.json(in)
	b, errB := machine.json(in)
	if (errA == nil) != (errB == nil) {
		t.Fatalf("%s: direct %s, %v; machine %s, %v; on %s", text, a, errA, b, errB, in.Doc.Bytes())
	}
	if errA != nil || a == b {
		return
	}
	x, errX := jsondoc.Parse([]byte(a), jsondoc.Limits{})
	y, errY := jsondoc.Parse([]byte(b), jsondoc.Limits{})
	if errX != nil || errY != nil || !bytes.Equal(withoutNulls(x), withoutNulls(y)) {
		t.Fatalf("%s: direct %s, machine %s", text, a, b)
	}
}

// withoutNulls is a canonical form in which null and absent members are the same: objects that are copied as bytes keep
// their nulls, those that the machine has seen do not.
func withoutNulls(d *jsondoc.Doc) []byte {
	x, err := fromDoc(d.Root())
	if err != nil {
		return []byte(err.Error())
	}
	s, err := canonical(x, 1<<30)
	if err != nil {
		return []byte(err.Error())
	}
	return []byte(s)
}

// nilT lets helpers for tests fail inside rapid.
type nilT struct{ testing.TB }

func (nilT) Helper()                   {}
func (nilT) Fatal(args ...any)         { panic(fmt.Sprint(args...)) }
func (nilT) Fatalf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }
