package mapping

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// compileFlow compiles the value of `e:` in a line of YAML.
func compileFlow(t *testing.T, yaml string, ctx ExprContext) (*Expr, error) {
	t.Helper()
	var p strictyaml.Problems
	node := strictyaml.Parse("flow.yaml", []byte(yaml), &p)[0].Get("e")
	e := CompileExpr(node, ctx, &p)
	if (e == nil) != (p.Len() > 0) {
		t.Errorf("%s: expression nil: %t, with %d problems", yaml, e == nil, p.Len())
	}
	return e, p.Err()
}

// TestLoopsRefuse: what only the document shows is told with its place inside the expression.
func TestLoopsRefuse(t *testing.T) {
	for _, c := range []struct{ rule, doc, want string }{
		{`1 + count(source.a, #)`, `{"a":["yes"]}`, "m.yaml:6:25: m: x: a condition must be true or false, not the text"},
		{`1 + count(source.a, #)`, `{"a":[true,null]}`, "m.yaml:6:25: m: x: a condition is absent"},
		{`1 + sum(source.a, #)`, `{"a":[1,"x"]}`, "m.yaml:6:9: m: x: sum: element 1"},
		{`1 + count(sortBy(source.a, #))`, `{"a":[1,"x"]}`, "m.yaml:6:15: m: x: sortBy needs keys"},
		{`1 + count(map(source.a, #))`, `{"a":["` + strings.Repeat("x", 50_000) + `"]}`, "m.yaml:6:29: m: x: the expression makes more"},
		{`1 + count(source.x, true)`, `{"x":"x"}`, "m.yaml:6:9: m: x: count wants a list, not the text"},
	} {
		m := boundedMapping(t, "  x: >-\n    "+c.rule+"\n", Limits{Bytes: 10_000})
		out, err := m.Apply(t.Context(), &Input{Doc: parseDoc(t, c.doc)}, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s on %s: %s, %v; want %s", c.rule, c.doc, out, err, c.want)
		}
	}
}

// TestLoopsOfNothing: where a list may be absent, or no element may be found, a text that people read says so.
func TestLoopsOfNothing(t *testing.T) {
	deps := testDeps(t)
	ctx := ExprContext{Schema: deps.Schemas.Get("source.v1"), Deps: deps, Absent: "none"}
	for yaml, want := range map[string]string{
		"e: >-\n  concat(\"of \", count(source.extra, .qty > 0))":     "of none",
		"e: >-\n  concat(\"of \", find([\"a\", \"b\"], #index == 9))": "of none",
		"e: >-\n  concat(\"of \", find(source.tags, # == \"a\"))":     "of a",
	} {
		e, err := compileFlow(t, yaml, ctx)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := e.String(t.Context(), &Input{Doc: parseDoc(t, tableDoc)}); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", yaml, got, err, want)
		}
	}
}

func TestFlowExpressions(t *testing.T) {
	deps := testDeps(t)
	ctx := ExprContext{Schema: deps.Schemas.Get("source.v1"), Deps: deps, Headers: true}
	in := &Input{
		Doc: parseDoc(t, tableDoc), Event: testEvent, Lookup: testRefs,
		Headers: map[string]string{"Webhook-Id": "msg_1"},
	}
	for _, tt := range []struct{ yaml, want string }{
		{`e: source.no`, "O-1"},
		{`e: data.no`, "O-1"},
		{`e: "O-literal"`, "O-literal"},
		{`e: source.count`, "3"},
		{`e: source.rate * 10`, "2.0"},
		{`e: source.gone`, ""},
		{`e: source.nothing`, ""},
		{`e: source.paid`, "true"},
		{`e: time(source.updated_at)`, "2026-10-01T06:00:00Z"},
		{`e: choose(source.paid, time(source.updated_at), event.time)`, "2026-10-01T06:00:00Z"},
		{`e: event.time`, "2026-11-21T02:30:00.5Z"},
		{`e: header("webhook-id")`, "msg_1"},
		{`e: header("x-none")`, ""},
		{`e: header("x-none") ?? source.no`, "O-1"},
		{`e: source.tags`, "!must give text or a number or a boolean, and gives a list"},
		{`e: source.nr`, "!flow.yaml:1:11: source has no field \"nr\""},
		{`e: target.no`, "!target is only for mappings"},
		{`e: item.no`, "!item is only for rules inside each"},
		{`e: {a: b}`, "!an expression is missing"},
		{`e:`, "!an expression is missing"},
	} {
		e, err := compileFlow(t, tt.yaml, ctx)
		got := ""
		if err == nil {
			got, err = e.String(context.Background(), in)
		}
		if want, bad := strings.CutPrefix(tt.want, "!"); bad {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %q, %v, want error with %q", tt.yaml, got, err, want)
			}
		} else if err != nil || got != tt.want {
			t.Errorf("%s: got %q, %v, want %q", tt.yaml, got, err, tt.want)
		}
	}
}

func TestFlowConditions(t *testing.T) {
	deps := testDeps(t)
	ctx := ExprContext{Schema: deps.Schemas.Get("source.v1"), Deps: deps, Result: "bool"}
	in := &Input{Doc: parseDoc(t, tableDoc), Event: testEvent}
	for _, tt := range []struct{ yaml, want string }{
		{`e: data.status in ["Open", "Closed Won"]`, "true"},
		{`e: data.count > 3`, "false"},
		{`e: true`, "true"},
		{`e: any(data.lines, .qty == 0)`, "true"},
		{`e: data.no`, "!must give a boolean"},
		{`e: "true"`, "!must give a boolean"},
		{`e: data.nothing > 1`, "!one is absent"},
		{`e: header("a") == "b"`, "!only for expressions about a request"},
	} {
		e, err := compileFlow(t, tt.yaml, ctx)
		got := false
		if err == nil {
			got, err = e.Bool(context.Background(), in)
		}
		if want, bad := strings.CutPrefix(tt.want, "!"); bad {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %t, %v, want error with %q", tt.yaml, got, err, want)
			}
		} else if err != nil || got != (tt.want == "true") {
			t.Errorf("%s: got %t, %v, want %s", tt.yaml, got, err, tt.want)
		}
	}
	if _, err := compileFlow(t, `e: data.anything.at.all == 5`, ExprContext{Result: "bool"}); err != nil {
		t.Errorf("without a schema fields are not checked: %v", err)
	}
}

func TestFlowExpressionFacts(t *testing.T) {
	deps := testDeps(t)
	ctx := ExprContext{Schema: deps.Schemas.Get("source.v1"), Deps: deps}
	e, err := compileFlow(t, `e: choose(source.paid, "delete", "upsert")`, ctx)
	if err != nil {
		t.Fatal(err)
	}
	if lits, known := e.Literals(); !known || !slices.Equal(lits, []string{"delete", "upsert"}) {
		t.Errorf("literals %v, %t", lits, known)
	}
	if got := e.SourceFields(); !slices.Equal(got, []string{"paid"}) {
		t.Errorf("reads %v", got)
	}
	if e, err = compileFlow(t, `e: xref("customer", "crm", source.customer.id)`, ctx); err != nil {
		t.Fatal(err)
	}
	if _, known := e.Literals(); known {
		t.Error("the hub id is no literal")
	}
	if u := e.Uses(); len(u) != 1 || u[0].Entity != "customer" || u[0].System != "crm" || u[0].Pos.Col != 4 {
		t.Errorf("uses %v", u)
	}
}

func TestMappingFacts(t *testing.T) {
	m := caseMapping(t, "order.txt")
	if m.Name() != "order" || m.From().Name() != "source.v1" || m.To().Name() != "target.v1" || m.Pos().Line != 1 {
		t.Errorf("%s from %s to %s at %s", m.Name(), m.From().Name(), m.To().Name(), m.Pos())
	}
	if got := m.Volatile(); !slices.Equal(got, []string{"updated_at"}) {
		t.Errorf("volatile %v", got)
	}
	want := []string{"billing", "currency", "customer", "date", "groups", "lines", "no", "note", "nothing", "paid", "rate", "shipping", "status", "tags", "updated_at"}
	if got := m.SourceFields(); !slices.Equal(got, want) {
		t.Errorf("reads %v, want %v", got, want)
	}
	if got := m.TargetFields(); len(got) != 18 || got[0] != "id" || got[17] != "updated_at" {
		t.Errorf("sets %v", got)
	}
	if u := m.Uses(); len(u) != 1 || u[0].Function != "xref" || u[0].Pos.String() != "m.yaml:10:16" {
		t.Errorf("uses %v", u)
	}
}

// TestErrorsAreClassified: the engine decides by the class and by what is inside.
func TestErrorsAreClassified(t *testing.T) {
	m := caseMapping(t, "order.txt")
	apply := func(doc string) error {
		_, err := m.Apply(context.Background(), &Input{Doc: parseDoc(t, doc), Lookup: testRefs, Event: testEvent}, nil)
		return err
	}
	const head = `{"no": "O", "date": "2026-10-01", "lines": [], `
	err := apply(head + `"status": "Open", "customer": {"id": "A2"}}`)
	var missing *MissingRef
	if !errors.As(err, &missing) || *missing != (MissingRef{Entity: "customer", System: "crm", Local: "A2"}) {
		t.Errorf("%v", err)
	}
	err = apply(head + `"status": "Lost", "customer": {"id": "A1"}}`)
	var code *UnknownCode
	if !errors.As(err, &code) || *code != (UnknownCode{Map: "order-status", System: "crm", Direction: DirectionValue, Code: "Lost"}) {
		t.Errorf("%v", err)
	}
	if k := fault.KindOf(err); k != fault.Invalid {
		t.Errorf("an unknown code is %s", k)
	}
	err = apply(head + `"status": "Open", "customer": {"id": "broken"}}`)
	if k := fault.KindOf(err); k != fault.Unavailable || !errors.Is(err, errStore) {
		t.Errorf("a look-up that fails is %s: %v", k, err)
	}
	var e *Error
	if !errors.As(err, &e) || e.Mapping != "order" || e.Field != "customer.id" || e.Pos.Line != 10 {
		t.Errorf("%+v", e)
	}
	stopping := &Error{Err: context.Canceled}
	if !errors.Is(stopping, context.Canceled) || fault.KindOf(stopping) == fault.Invalid {
		t.Error("a stop is not the document's fault")
	}
}

// TestCompileInParallel: plans are compiled beside each other, as in a reload while tests run.
func TestCompileInParallel(t *testing.T) {
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for _, e := range expressions[:40] {
				if _, err := compileAny(e.expr, nil, Deps{}, true); err != nil && !strings.Contains(err.Error(), "YAML") {
					continue
				}
			}
		})
	}
	wg.Wait()
}

// TestTextsAreBounded: no expression can make a document explode.
func TestTextsAreBounded(t *testing.T) {
	deps := testDeps(t)
	long := strings.Repeat("x", 10_000)
	in := &Input{Doc: parseDoc(t, `{"note": "`+long+`"}`)}
	for _, text := range []string{
		`replace(source.note, "x", source.note)`,
		`let a = concat(source.note, source.note, source.note, source.note, source.note); let b = concat(a, a, a, a, a); concat(b, b, b, b, b)`,
		`pad_left("x", 1e9, "0")`,
		`join(map(split(source.note, "x"), source.note), "")`,
		`let a = 9e400; let b = a * a * a * a; b * b * b * b`,
	} {
		for _, machine := range []bool{false, true} {
			x, err := compileText(t, text, deps.Schemas.Get("source.v1"), deps, machine)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := x.json(in); err == nil {
				t.Errorf("%s gives %d bytes", text, len(got))
			}
		}
	}
}
