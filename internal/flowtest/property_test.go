package flowtest

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// texts are such as YAML likes to take for something else.
var texts = rapid.OneOf(rapid.String(), rapid.StringMatching(`[A-Za-z0-9 ]{0,8}`), rapid.SampledFrom([]string{"", " ", "no", "null", "~", "007", "1e5", "a: b",
	"- a", "#", " # x", "{", "]", "'", `"`, "it's", "a\nb", "a\n", "\u2028", "\u0085", "\uFEFFx", "${env:X}", "!x", "&a", "*a", "%", "@", "`", "|", ">-", "2026-01-01", "\t"}))

func values(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		switch k := rapid.IntRange(0, 8).Draw(t, "kind"); {
		case k <= 3 || depth == 0 && k > 6:
			return texts.Draw(t, "text")
		case k == 4:
			return rapid.SampledFrom([]any{nil, true, false}).Draw(t, "word")
		case k <= 6:
			return json.Number(rapid.StringMatching(`-?(0|[1-9][0-9]{0,9})(\.[0-9]{1,5})?([eE][+-]?[0-9])?`).Draw(t, "number"))
		case k == 7:
			return rapid.SliceOfN(values(depth-1), 0, 4).Draw(t, "list")
		}
		return objects(depth-1).Draw(t, "object")
	})
}

func objects(depth int) *rapid.Generator[map[string]any] {
	names := rapid.OneOf(rapid.SampledFrom([]string{"a", "b", "c", "data", "no"}), texts)
	return rapid.MapOfN(names, values(depth), 0, 5)
}

// drawn gives an object as the hub would: as bytes.
func drawn(t *rapid.T, label string) (*jsondoc.Doc, bool) {
	b, err := json.Marshal(objects(3).Draw(t, label))
	if err != nil {
		t.Fatal(err)
	}
	d, err := jsondoc.Parse(b, jsondoc.Limits{})
	return d, err == nil
}

func dataOf(t *rapid.T, src string) strictyaml.Node {
	var p strictyaml.Problems
	nodes := strictyaml.Parse("f", []byte(src), &p)
	if len(nodes) != 1 || p.Len() > 0 {
		t.Fatalf("%v\n%s", p.Err(), src)
	}
	if nodes[0].Get("after").Text() != "x" || len(nodes[0].Fields()) != 3 {
		t.Fatalf("the neighbours have changed:\n%s", src)
	}
	return nodes[0].Get("data")
}

// TestWrittenYAMLReadsBack: what is written of a document reads as that document, whatever its texts look like.
func TestWrittenYAMLReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, ok := drawn(t, "document")
		if !ok {
			t.Skip("drawn again: this is no document")
		}
		for _, src := range []string{"before: x\ndata:" + below(d.Root(), 5, 2) + "\nafter: x\n", "{before: x, data: " + inline(d.Root()) + ", after: x}\n"} {
			n := dataOf(t, src)
			var p strictyaml.Problems
			if b := sound(n, &p); p.Len() > 0 {
				t.Fatalf("%v\n%s\n%s", p.Err(), src, b)
			}
			if got := parsed(n); !got.Root().Equal(d.Root()) {
				t.Fatalf("got %s\nwant %s\nwritten\n%s", got.Bytes(), d.Bytes(), src)
			}
		}
	})
}

// TestEditsLeadThere: however one document is written, its edits lead to the other and touch nothing beside it.
func TestEditsLeadThere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from, ok1 := drawn(t, "from")
		to, ok2 := drawn(t, "to")
		if !ok1 || !ok2 {
			t.Skip("drawn again: this is no document")
		}
		src := "before: x\ndata:" + below(from.Root(), 5, 2) + "\nafter: x\n"
		switch rapid.IntRange(0, 2).Draw(t, "style") {
		case 0:
			src = "{before: x, data: " + inline(from.Root()) + ", after: x}\n"
		case 1:
			src = "before: x\n# one\ndata: # two\n  # three\n" + indented(from) + "  # four\n# five\nafter: x"
		}
		e := newEditor([]byte(src))
		n := dataOf(t, src)
		if !e.sync(n, to.Root(), false) {
			root := strictyaml.Parse("f", []byte(src), nil)[0]
			if !e.set(root.Fields()[1], to.Root(), e.inFlow(root)) {
				t.Fatalf("cannot be set:\n%s", src)
			}
		}
		out := string(e.apply())
		if got := parsed(dataOf(t, out)); !got.Root().Equal(to.Root()) {
			t.Fatalf("got %s\nwant %s\nfrom\n%s\nto\n%s", got.Bytes(), to.Bytes(), src, out)
		}
	})
}

func indented(d *jsondoc.Doc) string {
	if d.Root().Len() == 0 {
		return "  {}\n"
	}
	return block(d.Root(), 2) + "\n"
}
