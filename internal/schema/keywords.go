package schema

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

var typeNames = []string{"object", "array", "string", "number", "integer", "boolean", "null"}

// keyword is what the reader does with one keyword.
type keyword struct {
	read func(r *reader, n *node, word string, v jsondoc.Value)
	// plain: handed to the validator as it stands.
	plain bool
	// on names the types whose values the keyword looks at; empty means all.
	on []string
	// note: says nothing about documents.
	note bool
}

var str, num, arr, obj = []string{"string"}, []string{"number", "integer"}, []string{"array"}, []string{"object"}

// keywordsOf07 are all of draft-07's that the validator applies, and its annotations.
func keywordsOf07() map[string]keyword {
	note := keyword{note: true}
	return map[string]keyword{
		"$schema":     {read: readSchemaURI, note: true},
		"$id":         note, // see reader.resource
		"$ref":        {read: readRef},
		"$comment":    note,
		"title":       {read: readText, note: true},
		"description": {read: readText, note: true},
		"default":     note,
		"examples":    note,
		"readOnly":    note,
		"writeOnly":   note,
		"definitions": {read: named(func(n *node) *[]property { return &n.definitions }), note: true},

		"type":  {read: readType, plain: true},
		"enum":  {read: readEnum, plain: true},
		"const": {read: readConst, plain: true},

		"minLength": {read: readCount, plain: true, on: str},
		"maxLength": {read: readCount, plain: true, on: str},
		"pattern":   {read: readPattern, plain: true, on: str},
		"format":    {read: readFormat, plain: true, on: str},

		"minimum":          {read: readNumber, plain: true, on: num},
		"maximum":          {read: readNumber, plain: true, on: num},
		"exclusiveMinimum": {read: readNumber, plain: true, on: num},
		"exclusiveMaximum": {read: readNumber, plain: true, on: num},
		"multipleOf":       {read: readNumber, plain: true, on: num},

		"items":           {read: readItems, on: arr},
		"additionalItems": {read: one(func(n *node) **node { return &n.moreItems }), on: arr},
		"contains":        {read: one(func(n *node) **node { return &n.contains }), on: arr},
		"minItems":        {read: readCount, plain: true, on: arr},
		"maxItems":        {read: readCount, plain: true, on: arr},
		"uniqueItems":     {read: readUnique, plain: true, on: arr},

		"properties":           {read: named(func(n *node) *[]property { return &n.properties }), on: obj},
		"patternProperties":    {read: readPatternProperties, on: obj},
		"additionalProperties": {read: one(func(n *node) **node { return &n.additional }), on: obj},
		"propertyNames":        {read: one(func(n *node) **node { return &n.names }), on: obj},
		"required":             {read: readRequired, plain: true, on: obj},
		"dependencies":         {read: readDependencies, on: obj},
		"minProperties":        {read: readCount, plain: true, on: obj},
		"maxProperties":        {read: readCount, plain: true, on: obj},

		"allOf": {read: many(func(n *node) *[]*node { return &n.allOf })},
		"anyOf": {read: many(func(n *node) *[]*node { return &n.anyOf })},
		"oneOf": {read: many(func(n *node) *[]*node { return &n.oneOf })},
		"not":   {read: one(func(n *node) **node { return &n.not })},
		"if":    {read: one(func(n *node) **node { return &n.ifs })},
		"then":  {read: one(func(n *node) **node { return &n.then })},
		"else":  {read: one(func(n *node) **node { return &n.otherwise })},
	}
}

// foreign are keywords of other drafts and dialects, with what draft-07 has instead; that a newer draft has the keyword is said beside it.
var foreign = map[string]string{
	"id":                    "write $id, or put a property of that name under properties",
	"$defs":                 "write definitions, and #/definitions/ in references",
	"$anchor":               "write $id: \"#NAME\", or refer by path: #/definitions/NAME",
	"$dynamicAnchor":        "refer by path: #/definitions/NAME",
	"$dynamicRef":           "use $ref",
	"$recursiveAnchor":      "use $ref",
	"$recursiveRef":         "use $ref",
	"$vocabulary":           "remove it",
	"prefixItems":           "write items as a list of schemas",
	"unevaluatedItems":      "write additionalItems beside items as a list",
	"unevaluatedProperties": "write additionalProperties in the object that declares the properties",
	"minContains":           "contains wants at least one; more cannot be said",
	"maxContains":           "contains wants at least one; more cannot be said",
	"dependentRequired":     "write dependencies",
	"dependentSchemas":      "write dependencies",
	"contentSchema":         "remove it: the validator does not look inside strings",
	"contentEncoding":       "write a pattern instead: the validator does not look inside strings",
	"contentMediaType":      "remove it: the validator does not look inside strings",
	"deprecated":            "say it in description",
	"nullable":              `write "type": ["…", "null"]`,
	"example":               "write examples, a list",
	"discriminator":         "write oneOf with a const in each branch",
	"xml":                   "remove it",
	"externalDocs":          "say it in description",
	"divisibleBy":           "write multipleOf",
	"extends":               "write allOf",
	"disallow":              "write not",
	"optional":              "every property is optional unless required lists it",
	"requires":              "write dependencies",
}

func readText(r *reader, n *node, word string, v jsondoc.Value) {
	if v.Kind() != jsondoc.String {
		r.problem(v, "", "%s is a string, not %s", word, v.Kind())
	}
}

func readFlag(r *reader, n *node, word string, v jsondoc.Value) {
	if v.Kind() != jsondoc.Bool {
		r.problem(v, "", "%s is true or false, not %s", word, v.Kind())
	}
}

// readCount reads a keyword that counts something.
func readCount(r *reader, n *node, word string, v jsondoc.Value) {
	d, err := v.Decimal()
	if err == nil {
		if i, ok := d.Int64(); ok && i >= 0 && i < 1<<31 && d.Scale() == 0 && !strings.ContainsAny(string(v.Raw()), "eE") {
			return
		}
	}
	r.problem(v, "", "%s is a whole number from 0, not %s", word, quoted(v))
}

func readNumber(r *reader, n *node, word string, v jsondoc.Value) {
	d, err := v.Decimal()
	switch {
	case v.Kind() == jsondoc.Bool:
		r.problem(v, "write the bound itself: \""+word+"\": 0", "%s is a number since draft-06", word)
	case err != nil:
		r.problem(v, "", "%s is a number, not %s", word, quoted(v))
	case word == "multipleOf" && d.Sign() <= 0:
		r.problem(v, "", "multipleOf is greater than 0")
	}
}

func readPattern(r *reader, n *node, word string, v jsondoc.Value) {
	if v.Kind() != jsondoc.String {
		r.problem(v, "", "pattern is a string, not %s", v.Kind())
		return
	}
	r.regexp(v)
}

func readFormat(r *reader, n *node, word string, v jsondoc.Value) {
	name := v.Str()
	switch {
	case v.Kind() != jsondoc.String:
		r.problem(v, "", "format is a string, not %s", v.Kind())
	case formats[name] == nil:
		hint := strictyaml.DidYouMean(name, slices.Sorted(maps.Keys(formats)))
		if hint == "" {
			hint = "write a pattern, or one of " + strings.Join(slices.Sorted(maps.Keys(formats)), ", ")
		}
		r.problem(v, hint, "the format %q is not known and would not be checked", name)
	default:
		n.format = name
	}
}

// regexp compiles the regular expression that the string v holds; nil when it cannot be.
func (r *reader) regexp(v jsondoc.Value) *regexp.Regexp {
	text := v.Str()
	re, err := regexp.Compile(text)
	if err == nil {
		return re
	}
	hint := ""
	switch {
	case strings.Contains(text, "(?=") || strings.Contains(text, "(?!") || strings.Contains(text, "(?<=") || strings.Contains(text, "(?<!"):
		hint = "look-ahead and look-behind are not supported: use allOf, or not, with simpler patterns"
	case strings.Contains(text, `\u`):
		hint = `write \x{1F4A9} for a code point`
	}
	reason := strings.TrimPrefix(err.Error(), "error parsing regexp: ")
	r.problem(v, hint, "the regular expression does not compile: %s", reason)
	return nil
}

// quoted shows a value in a message: at most 80 characters of it.
func quoted(v jsondoc.Value) string {
	switch v.Kind() {
	case jsondoc.Array:
		return fmt.Sprintf("a list of %d", v.Len())
	case jsondoc.Object:
		return fmt.Sprintf("an object of %d", v.Len())
	}
	return shorten(string(v.Raw()))
}

const mostQuoted = 80

func shorten(s string) string {
	if utf8.RuneCountInString(s) <= mostQuoted {
		return s
	}
	return string([]rune(s)[:mostQuoted-1]) + "…"
}
