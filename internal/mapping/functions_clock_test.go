package mapping

import (
	"context"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// ruleDoc is what an expression over several documents works on.
const ruleDoc = `{"source":{"no":"O-1","total":100.10,"at":"2026-11-20T08:00:00+08:00","due":"2026-11-27","days":2},
 "invoices":[{"no":"I-1","gross":60.05},{"no":"I-2","gross":40.05}],"previous":{"class":"A"}}`

// TestRuleExpressions: expressions over several documents, with a clock.
func TestRuleExpressions(t *testing.T) {
	in := &Input{Doc: parseDoc(t, ruleDoc), Now: time.Date(2026, 11, 23, 12, 0, 0, 500_000_000, time.UTC)}
	ctx := ExprContext{Clock: true, Names: []Name{
		{Name: "source", Member: "source"}, {Name: "invoices", Member: "invoices", List: true},
		{Name: "order", Member: "order", Optional: true}, {Name: "previous", Member: "previous", Fields: []string{"class", "terms"}, Optional: true},
	}}
	for _, tt := range []struct{ expr, want string }{
		{`source.no`, "O-1"},
		{`len(invoices)`, "2"},
		{`sum(invoices, .gross) == source.total`, "true"},
		{`any(invoices, .no == source.no)`, "false"},
		{`order.no ?? "none"`, "none"},
		{`exists(order)`, "false"},
		{`previous.class`, "A"},
		{`previous.terms`, ""},
		{`previous.other`, `!has no field "other"`},
		{`now()`, "2026-11-23T12:00:00.5Z"},
		{`today("Asia/Shanghai")`, "2026-11-23"},
		{`today("Pacific/Auckland")`, "2026-11-24"},
		{`today()`, "!takes 1 argument"},
		{`today("Nowhere")`, "!unknown zone"},
		{`age(source.at)`, "302400.5"},
		{`age(source.at) < 3d`, "false"},
		{`age(source.at) < 3d13h`, "true"},
		{`age(source.at) > 84h`, "true"},
		{`age(source.at) > 5040m`, "true"},
		{`age(source.at) <= 302400s`, "false"},
		{`age(source.at) > 1w`, "false"},
		{`age(source.at) > days(source.days)`, "true"},
		{`age(source.at) > hours(100)`, "false"},
		{`round(age(source.at) / 1d, 1)`, "3.5"},
		{`age(source.due, "Asia/Shanghai") < 0d`, "true"},
		{`source.due < today("UTC")`, "false"},
		{`age(source.gone)`, ""},
		{`age(source.due)`, "!names no zone"},
		{`age(source.at) > 3`, "!this is a length of time, and 3 names no unit"},
		{`3 < age(source.at)`, "!this is a length of time, and 3 names no unit"},
		{`age(source.at) > 0`, "true"},
		{`"it is 3d old"`, "it is 3d old"},
		{"`3d` + ' 4d'", "3d 4d"},
		{`age(source.at) /* not 3d" */ > 2d`, "true"},
		{`source.no 3d`, "!unexpected 3d"},
		{`3x`, "!bad number"},
		{`ages(source.at)`, `!did you mean "age"?`},
		{`age`, "!a function needs its arguments"},
		{`invoice.no`, `!did you mean "invoices"?`},
		{`invoices.no`, "!it has no fields"},
		{`target.no`, "!target is only for mappings"},
	} {
		var p strictyaml.Problems
		e := CompileExpr(exprNode(t, tt.expr, &p), ctx, &p)
		got, err := "", p.Err()
		if err == nil {
			got, err = e.String(context.Background(), in)
		}
		if want, bad := strings.CutPrefix(tt.want, "!"); bad {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q, error %v, want %s", tt.expr, got, err, want)
			}
		} else if err != nil || got != tt.want {
			t.Errorf("%s: %q, error %v, want %q", tt.expr, got, err, tt.want)
		}
	}
}

// TestMappingsHaveNoClock: what a rule may ask, a mapping and the expressions of flows may not.
func TestMappingsHaveNoClock(t *testing.T) {
	for _, expr := range []string{`age(source.at)`, `now()`, `today("UTC")`, `days(3)`, `hours(3)`, `source.n > 3d`} {
		var p strictyaml.Problems
		if e := CompileExpr(exprNode(t, expr, &p), ExprContext{}, &p); e != nil {
			t.Errorf("%s compiles without a clock", expr)
		}
	}
}

// TestNumberResult: what must be a number is one, or absent.
func TestNumberResult(t *testing.T) {
	in := &Input{Doc: parseDoc(t, `{"n":1.50,"s":"1"}`)}
	for _, tt := range []struct{ expr, want string }{{`source.n * 2`, "3.00"}, {`source.gone`, "absent"}, {`source.s`, "!num() converts"}, {`"1"`, "!this must give a number"}} {
		var p strictyaml.Problems
		e := CompileExpr(exprNode(t, tt.expr, &p), ExprContext{Result: "number"}, &p)
		got, err := "", p.Err()
		if err == nil {
			d, ok, failure := e.Number(context.Background(), in)
			got, err = d.String(), failure
			if !ok && err == nil {
				got = "absent"
			}
		}
		if want, bad := strings.CutPrefix(tt.want, "!"); bad != (err != nil) || bad && !strings.Contains(err.Error(), want) || !bad && got != want {
			t.Errorf("%s: %q, error %v, want %s", tt.expr, got, err, tt.want)
		}
	}
}

// TestMaskedSpansKeepPlaces: lengths of time are masked rune for rune, and nothing else is touched.
func TestMaskedSpansKeepPlaces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := []rune(rapid.StringMatching("([0-9]{0,3}[smhdwx.]|[a-z_ \"'`/*<+(),\\\\ü]){0,20}").Draw(t, "text"))
		masked := maskSpans(text)
		if len(masked) != len(text) {
			t.Fatalf("%q became %q", string(text), string(masked))
		}
		for i := range text {
			if masked[i] != text[i] && (masked[i] != '_' || !wordRune(text[i])) {
				t.Fatalf("%q became %q", string(text), string(masked))
			}
		}
	})
}

// FuzzRuleExpression: no text makes the compiler or the run of a rule's expression panic.
func FuzzRuleExpression(f *testing.F) {
	for _, text := range []string{`age(source.at) < 3d`, `len(invoices) > 0 or age(source.at) < 1d12h`, `sum(invoices, .gross) == source.total`, "3d`", `'3d`, `/*3d`, `9999999999999999999w > 1s`} {
		f.Add(text)
	}
	in := &Input{Doc: parseDoc(f, ruleDoc), Now: time.Unix(1_790_000_000, 0)}
	ctx := ExprContext{Clock: true, Names: []Name{{Name: "source", Member: "source"}, {Name: "invoices", Member: "invoices", List: true}}}
	f.Fuzz(func(t *testing.T, text string) {
		var p strictyaml.Problems
		nodes := strictyaml.Parse("e.yaml", []byte("e: |-\n  "+strings.ReplaceAll(text, "\n", "\n  ")+"\n"), &p)
		if p.Len() > 0 || len(nodes) != 1 || nodes[0].Get("e").Kind() != strictyaml.Scalar {
			return
		}
		e := CompileExpr(nodes[0].Get("e"), ctx, &p)
		if (e == nil) != (p.Len() > 0) {
			t.Fatalf("expression nil: %t, with %d problems", e == nil, p.Len())
		}
		if e != nil {
			_, _ = e.String(context.Background(), in) // an error is an answer
		}
	})
}
