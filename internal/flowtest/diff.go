package flowtest

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Difference is one thing that is not as a case wants it.
type Difference struct {
	// Pos is where the test file says what is wanted.
	Pos strictyaml.Pos
	// Path is what differs: "data.lines[0].sku", "key", or "" for the outcome.
	Path string
	// Want and Got are JSON or, for an outcome, a few words; "nothing" where there is none.
	Want, Got string
}

// String gives "path: want …, got …".
func (d Difference) String() string {
	s := fmt.Sprintf("want %s, got %s", d.Want, d.Got)
	if d.Path != "" {
		s = d.Path + ": " + s
	}
	return s
}

// differ compares documents along the text that says what is wanted, so that each difference has its place.
type differ struct {
	// part: fields that the wanted document does not name do not count, and null means null or absent.
	part bool
	list []Difference
}

func (d *differ) add(pos strictyaml.Pos, path string, want, got jsondoc.Value) {
	d.list = append(d.list, Difference{pos, path, show(want), show(got)})
}

// compare compares got with want, which is written at n.
func (d *differ) compare(n strictyaml.Node, want, got jsondoc.Value, path string) {
	switch {
	case want.Kind() == jsondoc.Object && got.Kind() == jsondoc.Object:
		for _, f := range n.Fields() {
			d.compare(f.Value, want.Get(f.Key), got.Get(f.Key), path+step(f.Key))
		}
		for name, v := range got.Members() {
			if !d.part && want.Get(name).Kind() == jsondoc.Missing {
				d.add(n.Pos(), path+step(name), jsondoc.Value{}, v)
			}
		}
	case want.Kind() == jsondoc.Array && got.Kind() == jsondoc.Array:
		d.lists(n, want, got, path)
	case d.part && want.Kind() == jsondoc.Null && got.Kind() == jsondoc.Missing:
	case got.Kind() == jsondoc.Missing || !want.Equal(got):
		d.add(n.Pos(), path, want, got)
	}
}

// lists compares element by element. Where one list is longer, the elements that both begin and end with are set against each
// other, so that one missing line does not make all after it differ.
func (d *differ) lists(n strictyaml.Node, want, got jsondoc.Value, path string) {
	items, w, g := n.Items(), elements(want), elements(got)
	same := func(i, j int) bool {
		sub := differ{part: d.part}
		sub.compare(items[i], w[i], g[j], "")
		return len(sub.list) == 0
	}
	shift := 0 // from an element of want to that of got, behind the place where they differ in length
	from := min(len(w), len(g))
	if len(w) != len(g) {
		head := 0
		for head < from && same(head, head) {
			head++
		}
		tail := 0
		for tail < from-head && same(len(w)-1-tail, len(g)-1-tail) {
			tail++
		}
		from, shift = from-tail, len(g)-len(w)
	}
	at := func(i int) string { return fmt.Sprintf("%s[%d]", path, i) }
	for i := range from {
		d.compare(items[i], w[i], g[i], at(i))
	}
	for i := from; i < from-shift; i++ {
		d.add(items[i].Pos(), at(i), w[i], jsondoc.Value{})
	}
	for i := from; i < from+shift; i++ {
		d.add(n.Pos(), at(i), jsondoc.Value{}, g[i])
	}
}

func elements(v jsondoc.Value) []jsondoc.Value {
	out := make([]jsondoc.Value, 0, v.Len())
	for e := range v.Elements() {
		out = append(out, e)
	}
	return out
}

// step is a member's name in a path.
func step(name string) string {
	if name == "" || strings.ContainsAny(name, ".[]\" \t") {
		return "[" + string(jsondoc.AppendString(nil, name)) + "]"
	}
	return "." + name
}

// shown bounds a value in a message, in bytes.
const shown = 160

func show(v jsondoc.Value) string {
	if v.Kind() == jsondoc.Missing {
		return "nothing"
	}
	b := v.Raw()
	if v.Kind() >= jsondoc.Array {
		b = compact(v, nil)
	}
	return shorten(string(b))
}

func shorten(s string) string {
	if len(s) <= shown {
		return s
	}
	end := shown
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}

// compact writes v without its spaces, everything else as it stands.
func compact(v jsondoc.Value, dst []byte) []byte {
	switch v.Kind() {
	case jsondoc.Object:
		dst = append(dst, '{')
		for c, first := v.Cursor(), true; c.Next(); first = false {
			if !first {
				dst = append(dst, ',', ' ')
			}
			dst = append(append(dst, c.NameValue().Raw()...), ':', ' ')
			dst = compact(c.Value(), dst)
		}
		return append(dst, '}')
	case jsondoc.Array:
		dst = append(dst, '[')
		for c, first := v.Cursor(), true; c.Next(); first = false {
			if !first {
				dst = append(dst, ',', ' ')
			}
			dst = compact(c.Value(), dst)
		}
		return append(dst, ']')
	}
	return append(dst, v.Raw()...)
}
