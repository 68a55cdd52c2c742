package strictyaml

import (
	"errors"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

func TestProblemsSortAndCountOnce(t *testing.T) {
	var p Problems
	at := func(file string, line, col int) Pos { return Pos{file, line, col} }
	p.Add(at("b", 1, 1), "fourth")
	p.Add(at("a", 10, 1), "third")
	p.Add(at("a", 2, 9), "second %d", 2)
	p.Add(at("a", 2, 9), "second %d", 2)
	p.AddHint(at("a", 2, 9), "do", "after it, %d%%", 100)
	p.Add(Pos{File: "a"}, "first")
	p.Add(Pos{}, "nowhere")
	const want = "nowhere\na: first\na:2:9: second 2\na:2:9: after it, 100% (do)\na:10:1: third\nb:1:1: fourth"
	if got := p.Err().Error(); got != want || p.Len() != 6 {
		t.Errorf("got:\n%s", got)
	}
	var e *Error
	if !errors.As(p.Err(), &e) || len(e.Problems) != 6 {
		t.Error("the problems are lost in the error")
	}
	var q Problems
	q.Append(&p)
	if q.Err().Error() != want {
		t.Errorf("appended:\n%s", q.Err())
	}
}

func TestNilProblems(t *testing.T) {
	var p *Problems
	p.Add(Pos{}, "x")
	p.Append(&Problems{})
	if p.Len() != 0 || p.List() != nil || p.Err() != nil {
		t.Error("a nil collector holds something")
	}
	if nodes := Parse("f", []byte("a: [\n"), nil); len(nodes) != 0 {
		t.Error("a broken document is read")
	}
	if (Node{}).Decode(new(string), nil) != true {
		t.Error("a missing node is no problem")
	}
}

// TestInspectStillFits: the places of syntax errors come from fields that the YAML library does not export. When it changes
// them, this says so.
func TestInspectStillFits(t *testing.T) {
	dec := yaml.NewDecoder(strings.NewReader("a: b\nc: \"x\" y\n"))
	if err := dec.Decode(&yaml.Node{}); err == nil {
		t.Fatal("no error")
	}
	f, ok := inspect(dec)
	if !ok || f.at != (mark{1, 7}) || f.since != (mark{0, 0}) || f.problem != "did not find expected key" || f.context != "while parsing a block mapping" {
		t.Errorf("%v %+v", ok, f)
	}
}

func TestTrap(t *testing.T) {
	var p Problems
	n := Parse("f", []byte(`
comment: source.a   # why
lines: source.a +
  source.b
flow: {a: source.a}
plain: source.a
quoted: "source.a"   # why
block: >-
  source.a   # part of it
`), &p)[0]
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"comment": "begins a comment", "lines": "lines below", "flow.a": "a comma ends", "plain": "", "quoted": "", "block": "",
	} {
		at := n
		for _, key := range strings.Split(path, ".") {
			at = at.Get(key)
		}
		if got := at.Trap(); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q", path, got)
		}
	}
}

func TestMissingNodes(t *testing.T) {
	n := Parse("f", []byte("a:\n  b: c\nd:\n"), nil)[0]
	no := n.Get("a").Get("x").Get("y")
	if no.Kind() != Missing || no.Pos().String() != "f:2:3" || no.Key() != "y" || no.Text() != "" || no.Items() != nil || no.Fields() != nil {
		t.Errorf("%v %v %q", no.Kind(), no.Pos(), no.Key())
	}
	if n.Get("d").Kind() != Null || !n.Has("d") || n.Has("e") || n.KeyPos("d").Line != 3 || n.KeyPos("e") != n.Pos() {
		t.Error("a key without a value")
	}
	if (Node{}).Pos() != (Pos{}) || (Node{}).Kind() != Missing || (Node{}).ScalarPos(3) != (Pos{}) {
		t.Error("the zero node")
	}
}

// TestNotesAreNoProblems: a note makes no file wrong, is kept once and in its place, and goes along with Append.
func TestNotesAreNoProblems(t *testing.T) {
	var p, q Problems
	p.Note(Pos{"a", 2, 1}, "do", "second %d", 2)
	p.Note(Pos{"a", 2, 1}, "do", "second %d", 2)
	p.Note(Pos{"a", 1, 1}, "", "first")
	q.Append(&p)
	if q.Len() != 0 || q.Err() != nil || q.List() != nil && len(q.List()) != 0 {
		t.Errorf("a note counts as a problem: %v", q.Err())
	}
	notes := q.Notes()
	if len(notes) != 2 || notes[0].String() != "a:1:1: first" || notes[1].String() != "a:2:1: second 2 (do)" {
		t.Errorf("%v", notes)
	}
	var none *Problems
	if none.Note(Pos{}, "", "x"); none.Notes() != nil {
		t.Error("a nil collector holds a note")
	}
}
