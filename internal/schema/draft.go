package schema

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// draft is an edition of JSON Schema.
type draft uint8

const (
	draft07 draft = iota
	draft2019
	draft2020
)

// schemaURIs are what $schema says, without scheme and fragment.
var schemaURIs = map[string]draft{
	"json-schema.org/draft-07/schema":      draft07,
	"json-schema.org/draft/2019-09/schema": draft2019,
	"json-schema.org/draft/2020-12/schema": draft2020,
}

func (d draft) String() string { return [...]string{"draft-07", "draft 2019-09", "draft 2020-12"}[d] }

// uri is what $schema says, for the library.
func (d draft) uri() string {
	return [...]string{"http://json-schema.org/draft-07/schema#", "https://json-schema.org/draft/2019-09/schema",
		"https://json-schema.org/draft/2020-12/schema"}[d]
}

// refAlone: whatever stands beside $ref is ignored.
func (d draft) refAlone() bool { return d == draft07 }

// definitions is where the draft keeps what is referred to.
func (d draft) definitions() string {
	if d == draft07 {
		return "definitions"
	}
	return "$defs"
}

// draftOf is the draft that a schema file says it is written in; draft-07 where it says nothing that is known.
func draftOf(root jsondoc.Value) draft {
	return schemaURIs[schemaURI(root.Get("$schema").Str())]
}

func schemaURI(s string) string {
	return strings.TrimPrefix(strings.TrimPrefix(strings.TrimSuffix(s, "#"), "https://"), "http://")
}

// vocabulary is what a draft knows.
type vocabulary struct {
	keywords map[string]keyword
	names    []string
	// foreign are keywords of other drafts and dialects, with what this one has instead.
	foreign map[string]string
}

var (
	vocabularies     [draft2020 + 1]vocabulary
	makeVocabularies sync.Once // not at the start of the program: readers of keywords look at them
)

func (d draft) vocabulary() *vocabulary {
	makeVocabularies.Do(func() {
		for d := range draft2020 + 1 {
			v := &vocabularies[d]
			v.keywords, v.foreign = keywordsOf07(), maps.Clone(foreign)
			if d != draft07 {
				v.modern(d)
			}
			v.names = slices.Sorted(maps.Keys(v.keywords))
		}
	})
	return &vocabularies[d]
}

// modern turns draft-07 into one of its successors.
func (v *vocabulary) modern(d draft) {
	note := keyword{note: true}
	for word, k := range map[string]keyword{
		"$defs":                 {read: named(func(n *node) *[]property { return &n.definitions }), note: true},
		"$anchor":               {read: readAnchor, note: true},
		"deprecated":            note,
		"contentEncoding":       note,
		"contentMediaType":      note,
		"contentSchema":         note,
		"dependentRequired":     {read: readDependentRequired, on: obj},
		"dependentSchemas":      {read: readDependentSchemas, on: obj},
		"minContains":           {read: readCount, plain: true, on: arr},
		"maxContains":           {read: readCount, plain: true, on: arr},
		"unevaluatedItems":      {read: one(func(n *node) **node { return &n.otherItems }), on: arr},
		"unevaluatedProperties": {read: one(func(n *node) **node { return &n.otherProperties }), on: obj},
	} {
		v.keywords[word] = k
		delete(v.foreign, word)
	}
	delete(v.keywords, "dependencies")
	v.foreign["dependencies"] = "write dependentRequired or dependentSchemas"
	if d == draft2019 {
		return
	}
	v.keywords["prefixItems"] = keyword{read: readPrefixItems, on: arr}
	v.keywords["items"] = keyword{read: readRestItems, on: arr}
	delete(v.keywords, "additionalItems")
	delete(v.foreign, "prefixItems")
	v.foreign["additionalItems"] = "write items beside prefixItems"
}
