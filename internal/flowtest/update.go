package flowtest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// rewrite writes what came out into the file's want, for the cases that were delivered and wanted something else, and runs
// the file again. A file that would then say anything else than intended is left as it is.
func (k *known) rewrite(ctx context.Context, f File, results []ran, o Options) ([]ran, bool, error) {
	bom := []byte("\uFEFF")
	src := bytes.TrimPrefix(f.Data, bom)
	e := newEditor(src)
	for i := range results {
		r := &results[i]
		if !r.Passed() && r.c.Want != nil && r.got.Outcome == state.Delivered {
			e.want(r)
		}
	}
	if len(e.edits) == 0 {
		return nil, false, nil
	}
	changed := f
	changed.Data = e.apply()
	var before, after strictyaml.Problems
	k.parse(f, &before)
	again, err := k.run(ctx, changed, &after, o)
	if err != nil {
		return nil, false, err
	}
	if after.Len() != before.Len() || len(again) != len(results) {
		return nil, false, nil
	}
	for i := range again {
		again[i].Updated = !results[i].Passed() && again[i].Passed()
	}
	if bytes.HasPrefix(f.Data, bom) {
		changed.Data = append(bom, changed.Data...)
	}
	mode := os.FileMode(0o644)
	if info, err := os.Stat(f.Name); err == nil {
		mode = info.Mode().Perm()
	}
	if err := os.WriteFile(f.Name, changed.Data, mode); err != nil {
		return nil, false, fmt.Errorf("update the tests: %w", err)
	}
	return again, true, nil
}

// want brings a case's want up to what came out.
func (e *editor) want(r *ran) {
	n := r.c.node.Get("want")
	texts := map[string]string{"key": r.got.Event.Key, "version": r.got.Event.Version, "operation": string(r.got.Event.Operation),
		"hub": r.got.Event.Hub, "origin": r.got.Event.Origin, "delivery-id": r.got.Delivery}
	if e.spread(r.c.node, n, texts, r.got.Document) {
		return
	}
	e.attributes(n, texts)
	e.document(n, r.got.Document)
	w := n.Get("write")
	if w.Kind() != strictyaml.Map || r.got.Write == nil {
		return
	}
	e.attributes(w, map[string]string{"action": string(r.got.Write.Action)})
	e.document(w, r.got.Write.Doc)
}

// attributes writes the texts that differ.
func (e *editor) attributes(n strictyaml.Node, texts map[string]string) {
	for _, f := range n.Fields() {
		got, known := texts[f.Key]
		if !known || got == f.Value.Text() || got == "" {
			continue
		}
		if from, to, ok := e.span(f.Value); ok {
			e.replace(from, to, attribute(f.Value, got))
		}
	}
}

var word = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

func attribute(n strictyaml.Node, text string) string {
	if !n.Quoted() && word.MatchString(text) && !words.MatchString(text) && !strings.EqualFold(text, "null") {
		return text
	}
	return yamlString(text)
}

// document brings the data or part below n up to got.
func (e *editor) document(n strictyaml.Node, got []byte) {
	doc, err := jsondoc.Parse(got, jsondoc.Limits{})
	if err != nil {
		return // no document: the case goes on failing
	}
	for _, f := range n.Fields() {
		switch f.Key {
		case "data":
			if !e.sync(f.Value, doc.Root(), false) {
				e.set(f, doc.Root(), e.inFlow(n))
			}
		case "part":
			e.sync(f.Value, doc.Root(), true)
		}
	}
}

// spread rewrites a want that stands on one line, and would become too long for it, as lines below each other. It reports
// whether it did.
func (e *editor) spread(parent, n strictyaml.Node, texts map[string]string, got []byte) bool {
	doc, err := jsondoc.Parse(got, jsondoc.Limits{})
	from, to, ok := e.span(n)
	if err != nil || !ok || e.inFlow(parent) || !n.Has("data") || n.Has("write") {
		return false
	}
	made := len(e.edits)
	inPlace := e.sync(n.Get("data"), doc.Root(), false)
	e.edits = e.edits[:made]
	if at := e.offset(n.Pos()) - e.lines[n.Pos().Line-1]; inPlace || at+len(inline(doc.Root())) <= width {
		return false
	}
	indent := parent.KeyPos("want").Col + 1
	var b strings.Builder
	for _, f := range n.Fields() {
		b.WriteString("\n" + strings.Repeat(" ", indent) + f.Key + ":")
		if f.Key == "data" {
			b.WriteString(below(doc.Root(), indent+6, indent+2))
			continue
		}
		text := texts[f.Key]
		if text == "" {
			text = f.Value.Text()
		}
		b.WriteString(" " + attribute(f.Value, text))
	}
	for from > 0 && e.src[from-1] == ' ' {
		from--
	}
	e.replace(from, to, b.String())
	return true
}
