package mapping

import (
	"bytes"
	"context"
	"unicode/utf8"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/schema"
)

// ApplyValid is Apply, and tells whether the result is surely valid by To, and within the limits of documents: each value was judged as it was written. Where
// valid is false nobody knows, and it is to be read and validated. The input's document must have been read within the same limits.
func (m *Mapping) ApplyValid(ctx context.Context, in *Input, dst []byte) (out []byte, valid bool, err error) {
	return m.apply(ctx, in, dst, m.judged)
}

// readFrom is the length from which on a result is read again: a shorter one has fewer values and names than any document may have.
const readFrom = jsondoc.DefaultNodes

// The values that are no text and no number.
var nullValue, trueValue, falseValue = constant("null"), constant("true"), constant("false")

func constant(text string) jsondoc.Value {
	doc, err := jsondoc.Parse([]byte(text), jsondoc.Limits{})
	if err != nil {
		panic(err)
	}
	return doc.Root()
}

// judge gives each rule of an object, or of a list's element, what its value must be valid by. level is how deep the object lies, from 1. false: more must hold than that, or not all of it
// is surely there, so that the result is to be read as a whole.
func (r *rule) judge(p schema.Part, level int) bool {
	names := make([]string, len(r.children))
	for i, child := range r.children {
		names[i] = child.name
	}
	parts, ok := p.Members(names, func(i int) bool { return !r.children[i].vanishes() })
	if !ok || level > jsondoc.DefaultDepth {
		return false
	}
	for i, child := range r.children {
		if !child.judgedBy(parts[i], level) {
			return false
		}
	}
	return true
}

// judgedBy gives a rule what its value must be valid by, in a container of that level.
func (r *rule) judgedBy(p schema.Part, level int) bool {
	r.part, r.room = p, jsondoc.DefaultDepth-level
	switch r.kind {
	case leafRule:
		if r.json == nil {
			return true
		}
		doc, err := jsondoc.Parse(r.json, jsondoc.Limits{})
		return err == nil && p.Value(doc.Root())
	case objectRule:
		return r.judge(p, level+1)
	case eachRule:
		element, low, high, ok := p.Elements()
		r.low, r.high = low, high
		return ok && level < jsondoc.DefaultDepth && r.judge(element, level+2)
	}
	return false
}

// sound reports whether the value that was written is surely valid.
func (r *rule) sound(v *val, written []byte) bool {
	switch v.k {
	case vAbsent:
		return r.part.Value(nullValue)
	case vDoc:
		return (v.doc.Kind() < jsondoc.Array || v.doc.Within(r.room)) && r.part.Value(v.doc)
	case vText:
		return utf8.Valid(v.s) && r.part.Text(v.s)
	case vNum:
		return len(written) <= jsondoc.DefaultNumberLen && bytes.IndexByte(written, 'e') < 0 && bytes.IndexByte(written, 'E') < 0 && r.part.Number(v.dec, written)
	case vBool:
		if v.b {
			return r.part.Value(trueValue)
		}
		return r.part.Value(falseValue)
	}
	return false
}
