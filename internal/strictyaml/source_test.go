package strictyaml

import (
	"strings"
	"testing"
)

// Every byte of a scalar that is written as itself must be found where it is written.
func TestScalarPosFindsEveryByte(t *testing.T) {
	for name, text := range map[string]string{
		"plain":           "a: source.x + y\nb: z\n",
		"plain wide":      "键: 值 source.x\n",
		"plain lines":     "a: one\n  two\n\n\n  three # end\nb: x\n",
		"single":          "a: 'it''s  one\n  two\n\n  three '\n",
		"double":          "a: \"one \\\"x\\\" \\u00e9 \\\n   two\n  three \\n four\"\n",
		"double gap":      "a: \"one\\\n\n\n   two\"\n",
		"literal":         "a: |\n  one\n\n   two\n  three\nb: x\n",
		"literal digit":   "a: |1\n   one\n  two\n",
		"literal keep":    "a: |+\n  one\n\n\nb: x\n",
		"folded":          "a: >-\n  source.x +\n  source.y +\n\n  source.z\n    more\n  end\n",
		"folded comment":  "a: >-   # why\n\n  one\n  two\n",
		"crlf":            "a: >-\r\n  one\r\n  two\r\nb: |\r\n  x\r\n  y\r\nc: p\r\n  q\r\n",
		"flow":            "{a: one two, b: [x, \"y z\"]}\n",
		"document":        "---\na: x\n---\nb: >\n  yy\n  zz\n",
		"indented folded": "a:\n  b:\n    - c: >-\n        one\n        two\n",
	} {
		t.Run(name, func(t *testing.T) {
			var p Problems
			nodes := Parse("f.yaml", []byte(text), &p)
			if err := p.Err(); err != nil {
				t.Fatal(err)
			}
			n := 0
			for _, node := range nodes {
				n += checkPlaces(t, node)
			}
			if n == 0 {
				t.Fatal("no scalar was checked")
			}
		})
	}
}

// checkPlaces returns how many scalars it has checked.
func checkPlaces(t *testing.T, n Node) int {
	t.Helper()
	count := 0
	for _, f := range n.Fields() {
		count += checkPlaces(t, f.Value)
	}
	for _, item := range n.Items() {
		count += checkPlaces(t, item)
	}
	if n.Kind() != Scalar {
		return count
	}
	at := n.n.offsets()
	if at == nil {
		t.Errorf("%s: %q was not found in the file", n.Pos(), n.Text())
		return count
	}
	escapes := n.n.style == double
	for i := range len(n.Text()) {
		got, want := n.n.src.data[at[i]], n.Text()[i]
		if got != want && !strings.ContainsRune(" \n", rune(want)) && !(escapes && got == '\\') {
			t.Errorf("%s: byte %d of %q is %q, in the file %q", n.Pos(), i, n.Text(), want, got)
		}
		if i > 0 && at[i] < at[i-1] {
			t.Errorf("%s: places go back at byte %d of %q", n.Pos(), i, n.Text())
		}
	}
	return count + 1
}

func TestScalarPosInBlock(t *testing.T) {
	var p Problems
	node := Parse("m.yaml", []byte("set:\n  id: >-\n    upper(source.名字) +\n    oops(source.b)\n"), &p)[0].Get("set").Get("id")
	at := node.ScalarPos(strings.Index(node.Text(), "oops"))
	if at.String() != "m.yaml:4:5" {
		t.Errorf("got %s", at)
	}
	if at := node.ScalarPos(strings.Index(node.Text(), ") +")); at.String() != "m.yaml:3:20" {
		t.Errorf("columns count characters: got %s", at)
	}
	if at := node.ScalarPos(1 << 20); at.String() != "m.yaml:4:19" {
		t.Errorf("beyond the end: got %s", at)
	}
}
