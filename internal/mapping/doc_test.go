package mapping

import (
	"context"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/schema"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// fence is one fenced block of the page: the words behind the backticks, and the text.
type fence struct {
	words []string
	text  string
	line  int
}

func (f fence) is(words ...string) bool {
	return len(f.words) >= len(words) && slices.Equal(f.words[:len(words)], words)
}

func readPage(t *testing.T) (page string, fences []fence) {
	t.Helper()
	data, err := os.ReadFile("../../docs/mappings.md")
	if err != nil {
		t.Fatal(err)
	}
	var open *fence
	for i, line := range strings.SplitAfter(string(data), "\n") {
		rest, ok := strings.CutPrefix(line, "```")
		switch {
		case ok && open == nil:
			open = &fence{words: strings.Fields(rest), line: i + 1}
		case ok:
			fences = append(fences, *open)
			open = nil
		case open != nil:
			open.text += line
		default:
			page += line
		}
	}
	return page, fences
}

// docWorld is what the page's examples refer to.
func docWorld(t *testing.T, fences []fence) (Deps, *Input) {
	t.Helper()
	var files []schema.File
	values := ""
	in := &Input{Event: testEvent, Lookup: testRefs}
	for _, f := range fences {
		switch {
		case f.is("json", "schema"):
			files = append(files, schema.File{Name: f.words[2], Path: f.words[2] + ".json", Data: []byte(f.text)})
		case f.is("yaml", "values"):
			values += "---\n" + f.text
		case f.is("json", "source"):
			in.Doc = parseDoc(t, f.text)
		}
	}
	var p strictyaml.Problems
	deps := Deps{
		Schemas: schema.Compile(files, &p), Values: valueMaps(t, values),
		Systems: map[string]bool{"crm": true, "erp": true}, Entities: map[string]bool{"customer": true},
	}
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	if err := deps.Schemas.Get("shop/order.v1").Validate(in.Doc); err != nil {
		t.Fatal(err)
	}
	return deps, in
}

// TestPageMappings runs the mappings of the page and compares what comes out with what stands there.
func TestPageMappings(t *testing.T) {
	_, fences := readPage(t)
	deps, in := docWorld(t, fences)
	ran := 0
	for i, f := range fences {
		if !f.is("yaml", "mapping") && !f.is("yaml", "run") {
			continue
		}
		var want string
		var kind []string
		for _, next := range fences[i+1:] {
			if next.is("json", "target") || next.is("text") {
				want, kind = next.text, next.words
				break
			}
		}
		var p strictyaml.Problems
		nodes := strictyaml.Parse("", []byte(f.text), &p)
		name := nodes[0].Get("mapping").Text()
		p = strictyaml.Problems{}
		m := Compile(strictyaml.Parse(name+".yaml", []byte(f.text), &p)[0], deps, &p)
		ran++
		if slices.Equal(kind, []string{"text", "problems"}) {
			got := ""
			for _, problem := range p.List() {
				got += problem.String() + "\n"
			}
			if got != want {
				t.Errorf("line %d: got problems\n%s\nwant\n%s", f.line, got, want)
			}
			continue
		}
		if err := p.Err(); err != nil {
			t.Errorf("line %d: %v", f.line, err)
			continue
		}
		out, err := m.Apply(context.Background(), in, nil)
		if slices.Equal(kind, []string{"text", "error"}) {
			if err == nil || err.Error()+"\n" != want {
				t.Errorf("line %d: got error\n%v\nwant\n%s", f.line, err, want)
			}
			continue
		}
		if err != nil {
			t.Errorf("line %d: %v", f.line, err)
			continue
		}
		got := parseDoc(t, string(out))
		if err := m.To().Validate(got); err != nil {
			t.Errorf("line %d: %v", f.line, err)
		}
		if !got.Root().Equal(parseDoc(t, want).Root()) {
			t.Errorf("line %d: got\n%s\nwant\n%s", f.line, out, want)
		}
	}
	if ran < 4 {
		t.Errorf("only %d mappings were found", ran)
	}
}

var example = regexp.MustCompile("`([^`]+)`\\s+→\\s+`([^`]+)`")

// TestPageExpressions runs every `expression` → `result` of the page.
func TestPageExpressions(t *testing.T) {
	page, fences := readPage(t)
	deps, in := docWorld(t, fences)
	source := deps.Schemas.Get("shop/order.v1")
	found := example.FindAllStringSubmatch(page, -1)
	if len(found) < 75 {
		t.Errorf("only %d examples were found", len(found))
	}
	for _, m := range found {
		for _, machine := range []bool{false, true} {
			got := ""
			x, err := compileText(t, m[1], source, deps, machine)
			if err == nil {
				got, err = x.json(in)
			}
			if err != nil {
				t.Errorf("%s: %v", m[1], err)
				continue
			}
			checkResult(t, machine, m[2], got, nil)
			if t.Failed() {
				t.Fatalf("in %s", m[1])
			}
		}
	}
}

// TestPageFlowExpressions runs the flow's expressions; the comment behind each is its result.
func TestPageFlowExpressions(t *testing.T) {
	_, fences := readPage(t)
	deps, in := docWorld(t, fences)
	i := slices.IndexFunc(fences, func(f fence) bool { return f.is("yaml", "flow") })
	want := map[string]string{}
	for _, line := range strings.Split(fences[i].text, "\n") {
		if key, rest, ok := strings.Cut(line, ":"); ok {
			_, comment, _ := strings.Cut(rest, " # ")
			want[key] = strings.TrimSpace(comment)
		}
	}
	var p strictyaml.Problems
	node := strictyaml.Parse("flow.yaml", []byte(fences[i].text), &p)[0]
	for _, f := range node.Fields() {
		e := CompileExpr(f.Value, ExprContext{Schema: deps.Schemas.Get("shop/order.v1"), Deps: deps}, &p)
		if err := p.Err(); err != nil {
			t.Fatal(err)
		}
		if got, err := e.String(context.Background(), in); err != nil || got != want[f.Key] {
			t.Errorf("%s: got %q, %v, want %q", f.Key, got, err, want[f.Key])
		}
	}
}

// TestPageNamesEveryFunction compares the first column of the function tables with the library.
func TestPageNamesEveryFunction(t *testing.T) {
	page, _ := readPage(t)
	rows := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-zA-Z_0-9]+\\([^`]*\\))` \\|").FindAllStringSubmatch(page, -1) {
		rows[m[1]] = true
		name, _, _ := strings.Cut(m[1], "(")
		if !slices.Contains(Functions(), name) {
			t.Errorf("the page has a function %s, the language has not", name)
		}
	}
	for name, fn := range library {
		if !rows[fn.signature()] {
			t.Errorf("the page lacks %s (%s)", fn.signature(), name)
		}
	}
	for _, name := range Functions() {
		if !strings.Contains(page, "`"+name+"(") {
			t.Errorf("the page lacks %s", name)
		}
	}
}

// TestPageWithoutDocument: absent documents do not make expressions fail in other ways than absent fields.
func TestPageWithoutDocument(t *testing.T) {
	_, fences := readPage(t)
	deps, _ := docWorld(t, fences)
	x, err := compileText(t, `upper(source.OrderNumber)`, deps.Schemas.Get("shop/order.v1"), deps, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range []*Input{{}, {Doc: &jsondoc.Doc{}}} {
		if got, err := x.json(in); got != "absent" || err != nil {
			t.Errorf("got %s, %v", got, err)
		}
	}
}
