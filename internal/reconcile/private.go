package reconcile

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/compare"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/flow/decide"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/mapping"
	"github.com/waybill-hub/waybill/internal/privacy"
	"github.com/waybill-hub/waybill/internal/state"
)

// private masks what is personal in the compared documents, in what is kept of a difference. Both sides' documents are of one kind: what one side's
// mask says of a field holds for the other's too.
type private struct {
	masks  []*privacy.Mask
	values privacy.Values
}

func (r *Run) private(docs ...[]byte) *private {
	p := &private{}
	known := false
	for _, s := range []*side{r.left, r.right} {
		m, ok := r.maskOf(s)
		known = known || ok
		if !m.None() {
			p.masks = append(p.masks, m)
		}
	}
	if m := r.mapped(""); !known && !m.None() {
		p.masks = append(p.masks, m)
	}
	for _, doc := range docs {
		for _, m := range p.masks {
			m.Collect(doc, &p.values)
		}
	}
	return p
}

// maskOf gives what is personal in a side's compared documents; false: they are as they are in a system that no flow reads.
func (r *Run) maskOf(s *side) (*privacy.Mask, bool) {
	flow, mapped, known := markedBy(r.c.Plan, s.def)
	if mapped {
		return r.mapped(flow), known
	}
	if f := r.c.Private.Flow(flow); known && f != nil {
		return f.Source, true
	}
	return nil, known
}

// markedBy gives the flow whose marks hold for a side's compared documents, before its mapping or behind it. No flow: of what another mapping makes of personal
// data nobody knows what is personal; known: they come through a flow or a mapping at all.
func markedBy(plan *config.Plan, s *config.Side) (flow string, mapped, known bool) {
	reads := plan.Flow(s.Flow)
	switch {
	case s.Then != nil:
		for _, f := range plan.Flows {
			if f.Map == s.Then && f.To.System != "" {
				return f.Name, true, true
			}
		}
		return "", true, true
	case s.Map != nil && reads != nil && reads.Map == s.Map:
		return reads.Name, true, true
	case s.Map != nil:
		return "", true, true
	case reads != nil:
		return reads.Name, false, true
	}
	return "", false, false
}

// MaskedWhole says why every value is masked in what runs keep of differences, where schemas of the plan mark anything as personal; empty: marked fields are.
func MaskedWhole(rec *config.Reconciliation, plan *config.Plan) string {
	some := false
	for i, s := range []*config.Side{&rec.Left, &rec.Right} {
		flow, mapped, known := markedBy(plan, s)
		if mapped && flow == "" {
			m := s.Map
			if s.Then != nil {
				m = s.Then
			}
			return fmt.Sprintf("no flow reads %s through the mapping %s, which makes the documents of the %s side", s.System, m.Name(), [...]string{"left", "right"}[i])
		}
		some = some || known
	}
	if !some {
		return fmt.Sprintf("no flow reads %s or %s", rec.Left.System, rec.Right.System)
	}
	return ""
}

// mapped is the mask of what a flow's mapping makes; of no flow's, everything is personal where anything is.
func (r *Run) mapped(flow string) *privacy.Mask {
	if f := r.c.Private.Flow(flow); f != nil {
		return f.Mapped
	}
	return nil
}

func (p *private) none() bool { return len(p.masks) == 0 }

// group gives the labels of a total's group, where what they are taken from is not personal.
func (p *private) group(totals []compare.Total, l *compare.TotalLine) []string {
	if p.none() {
		return l.Group
	}
	out := slices.Clone(l.Group)
	for i := range totals {
		if totals[i].String() != l.Total {
			continue
		}
		for n := range min(len(out), len(totals[i].By)) {
			if p.hides(totals[i].By[n].Path) {
				out[n] = privacy.Masked
			}
		}
	}
	return out
}

// hides reports whether a value at a path is masked.
func (p *private) hides(path string) bool {
	const probe = "a value like any other"
	doc := string(jsondoc.AppendString(nil, probe))
	names := strings.Split(path, ".")
	for i := len(names) - 1; i >= 0; i-- {
		doc = "{" + string(jsondoc.AppendString(nil, names[i])) + ":" + doc + "}"
	}
	one := private{masks: p.masks}
	for _, m := range one.masks {
		m.Collect([]byte(doc), &one.values)
	}
	return !strings.Contains(string(one.document([]byte(doc))), probe)
}

func (p *private) document(doc []byte) []byte {
	for _, m := range p.masks {
		doc = m.Document(doc, &p.values)
	}
	return doc
}

// field gives a field as it is kept: its path names elements of lists by their values.
func (p *private) field(f *compare.Field) state.DifferentField {
	value := func(b []byte) json.RawMessage {
		text := p.values.Text(string(p.at(f.Path, b)))
		switch {
		case b == nil:
			return nil
		case len(text) > mostValue:
			text = fmt.Sprintf("%s … (%d bytes)", strings.ToValidUTF8(text[:mostValue], ""), len(b))
			return jsondoc.AppendString(nil, text)
		case !json.Valid([]byte(text)):
			return json.RawMessage(`"` + privacy.Masked + `"`)
		}
		return json.RawMessage(text)
	}
	return state.DifferentField{Path: p.values.Text(f.Path), Left: value(f.Left), Right: value(f.Right), Rule: f.Rule, Owner: f.Owner}
}

// at gives a value as it stands in its document when that is masked: by its place, and not by its letters alone.
func (p *private) at(path string, v []byte) []byte {
	if p.none() || v == nil {
		return v
	}
	way := wayOf(path)
	doc := v
	for i := len(way) - 1; i >= 0; i-- {
		if way[i] == mapping.AnyElement {
			doc = slices.Concat([]byte("["), doc, []byte("]"))
		} else {
			doc = slices.Concat([]byte("{"), jsondoc.AppendString(nil, way[i]), []byte(":"), doc, []byte("}"))
		}
	}
	hidden := []byte(`"` + privacy.Masked + `"`)
	d := jsondoc.Get()
	defer jsondoc.Put(d)
	if d.Reset(p.document(doc), jsondoc.Limits{Bytes: 2*len(doc) + mostShownBytes}) != nil {
		return hidden
	}
	at := d.Root()
	for _, name := range way {
		if name == mapping.AnyElement {
			at = at.Index(0)
		} else {
			at = at.Get(name)
		}
	}
	if at.Kind() == jsondoc.Missing {
		return hidden
	}
	return slices.Clone(at.Raw())
}

// wayOf are the steps of a path as differences name it, lines[sku=A-1].amount: an element of a list is any.
func wayOf(path string) (way []string) {
	for path != "" {
		end := strings.IndexAny(path, ".[")
		if end < 0 {
			return append(way, path)
		}
		if end > 0 {
			way = append(way, path[:end])
		}
		if path[end] == '.' {
			path = path[end+1:]
			continue
		}
		to := len(path)
		for _, close := range []string{"].", "]["} {
			if i := strings.Index(path[end:], close); i >= 0 {
				to = min(to, end+i+1)
			}
		}
		way, path = append(way, mapping.AnyElement), path[to:]
	}
	return way
}

// written is what a flow would send, as it is kept.
func (r *Run) written(flow string, d *decide.Decision) json.RawMessage {
	if d.Write == nil {
		return nil
	}
	out := map[string]any{"action": d.Write.Action, "object": d.Write.Object, "local": d.Write.Local}
	switch doc := d.Write.Doc; {
	case len(doc) > mostShownBytes:
		out["document"] = fmt.Sprintf("%d bytes", len(doc))
	case json.Valid(doc):
		if m := r.mapped(flow); !m.None() {
			var values privacy.Values
			m.Collect(doc, &values)
			doc = m.Document(doc, &values)
		} else if p := r.private(doc); !p.none() { // the flow says nothing of its documents, and the sides do
			doc = p.document(doc)
		}
		out["document"] = json.RawMessage(doc)
	}
	b, err := json.Marshal(out)
	if err != nil {
		return nil
	}
	return b
}
