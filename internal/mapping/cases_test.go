package mapping

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// sections splits a case file at its lines "-- name --".
func sections(t *testing.T, path string) (names []string, body map[string]string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	body = map[string]string{}
	name := ""
	for _, line := range strings.SplitAfter(string(data), "\n") {
		if s, ok := strings.CutPrefix(line, "-- "); ok && strings.HasSuffix(strings.TrimSpace(s), " --") {
			name = strings.TrimSuffix(strings.TrimSpace(s), " --")
			names = append(names, name)
			continue
		}
		body[name] += line
	}
	return names, body
}

func rewrite(t *testing.T, path string, names []string, body map[string]string) {
	t.Helper()
	var b strings.Builder
	b.WriteString(body[""])
	for _, name := range names {
		b.WriteString("-- " + name + " --\n" + body[name])
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestApply runs the cases of testdata/apply: a mapping, and for each section "in x" what becomes of that document.
func TestApply(t *testing.T) {
	deps := testDeps(t)
	paths, err := filepath.Glob("testdata/apply/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatal("no cases", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			names, body := sections(t, path)
			var p strictyaml.Problems
			nodes := strictyaml.Parse("m.yaml", []byte(body["mapping"]), &p)
			if len(nodes) != 1 {
				t.Fatal(p.Err())
			}
			m := Compile(nodes[0], deps, &p)
			if err := p.Err(); err != nil {
				t.Fatal(err)
			}
			for _, name := range names {
				which, ok := strings.CutPrefix(name, "in ")
				if !ok {
					continue
				}
				got := applyText(t, m, body[name])
				out := "out " + which
				if *update {
					if _, ok := body[out]; !ok {
						names = append(names, out)
					}
					body[out] = got
				} else if got != body[out] {
					t.Errorf("%s: got\n%s\nwant\n%s", which, got, body[out])
				}
			}
			if *update {
				rewrite(t, path, names, body)
			}
		})
	}
}

// applyText maps a document, twice; the second time the frame has been used before.
func applyText(t *testing.T, m *Mapping, doc string) string {
	t.Helper()
	in := &Input{Doc: parseDoc(t, doc), Event: testEvent, Lookup: testRefs}
	got := ""
	for i := range 2 {
		out, err := m.Apply(context.Background(), in, []byte("before:"))
		text := strings.TrimPrefix(string(out), "before:") + "\n"
		if err != nil {
			text = "error: " + err.Error() + "\n"
		} else if d, err := jsondoc.Parse([]byte(text), jsondoc.Limits{}); err != nil {
			t.Fatalf("%v in %s", err, text)
		} else if err := m.To().Validate(d); err != nil {
			text += "invalid: " + err.Error() + "\n"
		}
		if i > 0 && text != got {
			t.Errorf("the second run gives %s, the first gave %s", text, got)
		}
		got = text
	}
	return got
}

// TestProblems compares what is said about the mappings of testdata/problems with their section "problems".
func TestProblems(t *testing.T) {
	deps := testDeps(t)
	paths, err := filepath.Glob("testdata/problems/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatal("no cases", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			names, body := sections(t, path)
			var p strictyaml.Problems
			for _, n := range strictyaml.Parse("m.yaml", []byte(body["mapping"]+body["values"]), &p) {
				before := p.Len()
				if n.Has("values") {
					ParseValueMaps(n, &p)
				} else if m := Compile(n, deps, &p); (m == nil) != (p.Len() > before) {
					t.Errorf("mapping nil: %t, with %d problems", m == nil, p.Len()-before)
				}
			}
			got := ""
			for _, problem := range p.List() {
				got += problem.String() + "\n"
			}
			if *update {
				if _, ok := body["problems"]; !ok {
					names = append(names, "problems")
				}
				body["problems"] = got
				rewrite(t, path, names, body)
				return
			}
			if got != body["problems"] {
				t.Errorf("got\n%s\nwant\n%s", got, body["problems"])
			}
		})
	}
}
