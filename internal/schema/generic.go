package schema

import (
	"encoding/json"
	"sync"
	"unsafe"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// generic makes the library's form of a document: maps, slices, strings, json.Number. It lives for one validation: its
// strings are the document's own bytes, and its maps are used again for the next.
type generic struct {
	maps []map[string]any
	used int
}

var generics = sync.Pool{New: func() any { return new(generic) }}

// mostMaps and mostMembers bound what is kept for the next document.
const (
	mostMaps    = 256
	mostMembers = 256
)

// release ends the validation. Nothing made by value may be used afterwards.
func (g *generic) release() {
	kept := g.maps[:0]
	for i, m := range g.maps {
		if i < g.used && len(m) > mostMembers || len(kept) == mostMaps {
			continue
		}
		clear(m)
		kept = append(kept, m)
	}
	clear(g.maps[len(kept):])
	g.maps, g.used = kept, 0
	generics.Put(g)
}

func (g *generic) object() map[string]any {
	if g.used == len(g.maps) {
		g.maps = append(g.maps, make(map[string]any, 8))
	}
	g.used++
	return g.maps[g.used-1]
}

func (g *generic) value(v jsondoc.Value) any {
	switch v.Kind() {
	case jsondoc.Bool:
		return v.Bool()
	case jsondoc.Number:
		return json.Number(alias(v.Raw()))
	case jsondoc.String:
		return text(v)
	case jsondoc.Array:
		list := make([]any, 0, v.Len())
		for c := v.Cursor(); c.Next(); {
			list = append(list, g.value(c.Value()))
		}
		return list
	case jsondoc.Object:
		m := g.object()
		for c := v.Cursor(); c.Next(); {
			m[text(c.NameValue())] = g.value(c.Value())
		}
		return m
	}
	return nil
}

func text(v jsondoc.Value) string {
	if b, escaped := v.StrBytes(); !escaped {
		return alias(b)
	}
	return v.Str()
}

// alias is b as a string without a copy: a document does not change while it is being validated, and what outlives the
// validation (violations) is copied.
func alias(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
