package cli

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/edi"
	"github.com/waybill-hub/waybill/internal/flowtest"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// object is a JSON Schema, or a part of one.
type object = map[string]any

// editorSchemas are the kinds of files that people write. The schemas help while typing; what `waybill check` says counts.
var editorSchemas = map[string]func() (object, error){
	"config": configSchema, "flow": flowSchema, "mapping": mappingSchema, "test": testSchema,
}

func (e *env) schemaCommand() *cobra.Command {
	names := slices.Sorted(maps.Keys(editorSchemas))
	return &cobra.Command{Use: "schema config|flow|mapping|test|TABLE", Short: "Write a JSON Schema: of YAML files for editors, or of the documents of an EDI table",
		Long: `Schema writes a JSON Schema for editors, which then complete and explain the keys of YAML files; or, for a TABLE of EDI messages, that of their documents,
so that check holds mappings against it: waybill schema x12-850 > schemas/edi/x12-850.v1.json. TABLE is the name of a shipped one or a file of the project's own.`,
		ValidArgs: slices.Concat(names, edi.Shipped()),
		RunE: do(func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage("schema: name one kind of file: config, flow, mapping or test; or a table of EDI messages")
			}
			s, err := schemaOf(args[0], names)
			if err != nil {
				return err
			}
			enc := json.NewEncoder(e.out)
			enc.SetEscapeHTML(false)
			enc.SetIndent("", "  ")
			return enc.Encode(s)
		})}
}

// schemaOf is the schema of a kind of file, or of a table's documents.
func schemaOf(what string, kinds []string) (object, error) {
	if build := editorSchemas[what]; build != nil {
		s, err := build()
		if err != nil {
			return nil, err
		}
		s["$schema"], s["title"] = "http://json-schema.org/draft-07/schema#", "Waybill "+what
		return s, nil
	}
	var p strictyaml.Problems
	table := edi.ShippedTable(what, &p)
	if table == nil && strings.HasSuffix(what, ".yaml") {
		data, err := strictyaml.ReadPath(what, strictyaml.MaxFile)
		if err != nil {
			return nil, err
		}
		table = edi.ReadTable(what, data, &p)
	}
	if err := p.Err(); err != nil {
		return nil, err
	}
	if table == nil {
		return nil, usage("schema: there is no kind of file and no table %q%s", what, hint(what, slices.Concat(kinds, edi.Shipped())))
	}
	return table.Schema(), nil
}

// hint is what was probably meant, in brackets, or nothing.
func hint(word string, among []string) string {
	if h := strictyaml.DidYouMean(word, among); h != "" {
		return " (" + h + ")"
	}
	return ""
}

// either chooses by a key: the schema behind it where the document has the key, else the other one.
func either(key string, with, without object) object {
	return object{"if": object{"type": "object", "required": []string{key}}, "then": with, "else": without}
}

func flowSchema() (object, error) {
	spec := config.Spec()
	rec := objectOf(spec["reconciliation"])
	properties := rec["properties"].(object)
	described := func(s object, key string) object {
		s["description"] = properties[key].(object)["description"]
		return s
	}
	properties["compare"] = described(object{"anyOf": []any{object{"const": "none"}, object{"type": "object", "minProperties": 1, "additionalProperties": fieldRule(2)}}}, "compare")
	names := object{"anyOf": []any{object{"type": "string"}, object{"type": "array", "minItems": 1, "items": object{"type": "string"}}}}
	properties["match"] = described(names, "match")
	total := properties["totals"].(object)["items"].(object)["properties"].(object)
	total["by"].(object)["items"] = object{"anyOf": []any{object{"type": "string"}, objectOf(config.GroupSpec())}}
	writers := properties["repair"].(object)["properties"].(object)
	flow := object{"type": "string"}
	writers["by"] = object{"description": writers["by"].(object)["description"],
		"anyOf": []any{flow, object{"type": "object", "additionalProperties": false, "properties": object{"left": flow, "right": flow}}}}
	return either("reconciliation", rec, either("rule", objectOf(spec["rule"]), objectOf(spec["flow"]))), nil
}

// fieldRule is a rule of a reconciliation, with the rules of a list's elements so many levels deep.
func fieldRule(levels int) object {
	rule := objectOf(config.FieldRuleSpec())
	properties := rule["properties"].(object)
	one := object{"type": scalars}
	bound := object{"anyOf": []any{one, object{"type": "object", "minProperties": 1, "additionalProperties": one}}}
	set := object{"anyOf": []any{one, object{"type": "array", "minItems": 1, "items": one}}}
	for key, s := range map[string]object{"within": bound, "set": set} {
		s["description"] = properties[key].(object)["description"]
		properties[key] = s
	}
	if levels > 0 {
		below := fieldRule(levels - 1)
		properties["compare"] = object{"description": properties["compare"].(object)["description"],
			"anyOf": []any{below, object{"type": "object", "minProperties": 1, "additionalProperties": below}}}
	}
	return object{"anyOf": []any{object{"enum": config.FieldRuleWords()}, rule}}
}

func testSchema() (object, error) {
	s := objectOf(flowtest.Spec())
	s["oneOf"] = []any{object{"required": []string{"test"}}, object{"required": []string{"mapping"}}}
	one := s["properties"].(object)["cases"].(object)["items"].(object)
	one["oneOf"] = []any{object{"required": []string{"want"}}, object{"required": []string{"skipped"}}, object{"required": []string{"parked"}},
		object{"required": []string{"waiting"}}}
	rule := objectOf(flowtest.RuleSpec())
	one = rule["properties"].(object)["cases"].(object)["items"].(object)
	one["oneOf"] = []any{object{"required": []string{"holds"}}, object{"required": []string{"violation"}}, object{"required": []string{"outside"}},
		object{"required": []string{"not-compared"}}}
	return either("rule", rule, s), nil
}

// configSchema is the configuration's, with the settings of each connector behind its kind.
func configSchema() (object, error) {
	kinds, err := registry()
	if err != nil {
		return nil, err
	}
	var choices []any
	for _, name := range kinds.Names() {
		k, _ := kinds.Get(name)
		spec := k.Spec()
		settings := objectOf(spec.Fields)
		maps.Copy(settings["properties"].(object), systemKeys(nil))
		if objects, ok := settings["properties"].(object)["objects"].(object); ok {
			one := objects["additionalProperties"].(object)
			delete(one, "required") // it may stand under defaults
			one["properties"].(object)["without"] = object{"type": "array", "items": object{"type": "string"}, "description": "defaults that this object does not take, as dotted paths"}
		}
		choices = append(choices, object{"if": object{"properties": object{"connector": object{"const": name}}, "required": []string{"connector"}}, "then": settings})
	}
	s := objectOf(config.Spec()["config"])
	systems := s["properties"].(object)["systems"].(object)
	vendors, err := manifestsOf(".")
	if err != nil {
		return nil, err
	}
	systems["additionalProperties"] = object{"type": "object", "required": []string{"connector"}, "properties": systemKeys(slices.Concat(kinds.Names(), vendors.Names())), "allOf": choices}
	return s, nil
}

// systemKeys are those of every system.
func systemKeys(kinds []string) object {
	c := object{"description": "the kind of the system, or the manifest of its vendor"}
	if kinds != nil {
		c["enum"] = kinds
	}
	return object{"connector": c, "defaults": object{"type": "object", "description": "settings of every object that does not say otherwise"}, "visible-after": valueOf(connector.Field{Type: "duration", Doc: "how long after a write the object can be looked up"})}
}

// mappingSchema is that of the files in mappings/: a mapping, or a value map.
func mappingSchema() (object, error) {
	text := func(doc string) object { return object{"type": "string", "description": doc} }
	expression := object{"type": scalars, "description": "an expression; in quotes, literal text"}
	definitions := object{fmt.Sprint("rules", ruleDepth): object{"type": "object"}}
	for level := range ruleDepth {
		set := object{"$ref": fmt.Sprint("#/definitions/rules", level+1)}
		one := object{"type": "object", "additionalProperties": false, "required": []string{"set"},
			"properties": object{"of": expression, "as": text("the name of what the object is made of, beside item"), "when": expression, "set": set}, "description": "an object: of what of gives, and where when is true"}
		each := object{"type": "object", "additionalProperties": false, "required": []string{"each", "set"}, "description": "an element for every element of a list",
			"properties": object{"each": expression, "as": text("the name of the element, beside item"), "where": expression, "set": set}}
		list := object{"type": "array", "items": object{"anyOf": []any{expression, one}}}
		definitions[fmt.Sprint("rules", level)] = object{"type": "object", "minProperties": 1,
			"additionalProperties": object{"anyOf": []any{expression, one, each, list}},
			"description":          "a rule for every field of the target; a.b sets a field of an object, a? is left out where its value is absent"}
	}
	policy := object{"anyOf": []any{object{"enum": []string{"park", "keep"}}, object{"type": "object", "required": []string{"use"}, "additionalProperties": false,
		"properties": object{"use": object{"type": scalars, "description": "the code that takes its place"}}}}}
	codes := object{"type": "object", "additionalProperties": object{"anyOf": []any{object{"type": scalars}, object{"type": "array", "minItems": 1, "items": object{"type": scalars}}}}}
	values := object{"type": "object", "additionalProperties": false, "required": []string{"values", "codes"}, "properties": object{
		"values": text("the value map's name"), "about": text("a sentence for people"),
		"codes": object{"type": "object", "minProperties": 1, "additionalProperties": codes, "description": "for each canonical code, the codes of the systems"},
		"unknown": object{"description": "what becomes of a code that is not listed: park, keep or {use: code}; or that for value and code", "anyOf": []any{policy,
			object{"type": "object", "additionalProperties": false, "properties": object{"value": policy, "code": policy}}}},
	}}
	mapping := object{"type": "object", "additionalProperties": false, "required": []string{"mapping", "from", "to", "set"}, "properties": object{
		"mapping": text("the mapping's name"), "about": text("a sentence for people"),
		"from": text("the schema of the source document"), "to": text("the schema of the target document"),
		"volatile": object{"type": "array", "items": object{"type": "string"}, "description": "top-level fields of the target whose change alone is no change of the object"},
		"set":      object{"$ref": "#/definitions/rules0"},
	}}
	s := either("values", values, mapping)
	s["definitions"] = definitions
	return s, nil
}

// ruleDepth is how deep rules are described: many readers of JSON Schema do not take one that contains itself.
const ruleDepth = 6

// scalars are the types that an editor may see in a plain scalar whose text counts as it stands.
var scalars = []string{"string", "number", "boolean"}

// objectOf describes an object of these fields and no others.
func objectOf(fields []connector.Field) object {
	properties := object{}
	required := []string{}
	for _, f := range fields {
		properties[f.Name] = valueOf(f)
		if f.Required {
			required = append(required, f.Name)
		}
	}
	s := object{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}

// patterns are of values that are written as one text; a reference ${…} may stand in place of all or a part of it.
var patterns = map[string]string{
	"duration": `^([0-9.]+(d|h|m|s|ms|us|µs|ns))+$|^0$|\$\{`,
	"size":     `^[0-9]+ ?([KMG]iB|[kKMG]?B)?$|\$\{`,
	"rate":     `^[0-9.]+ ?/ ?[0-9.]*(d|h|m|s|ms|us|µs|ns)$|\$\{`,
	"range":    `^[0-9.]+[a-zµ]+ ?\.\. ?[0-9.]+[a-zµ]+$|\$\{`,
}

func valueOf(f connector.Field) object {
	s := typeOf(f)
	doc := f.Doc
	if f.Secret {
		doc += "; write \"${env:NAME}\" or \"${file:PATH}\""
	}
	if f.Default != "" {
		doc += fmt.Sprintf("; default %s", f.Default)
	}
	if doc != "" {
		s["description"] = doc
	}
	return s
}

func typeOf(f connector.Field) object {
	elem := connector.Field{Type: f.Elem, Fields: f.Fields, Secret: f.Secret}
	switch f.Type {
	case "object":
		return objectOf(f.Fields)
	case "list":
		return object{"type": "array", "items": typeOf(elem)}
	case "map":
		if f.Elem == "" {
			return object{"type": "object"}
		}
		return object{"type": "object", "additionalProperties": typeOf(elem)}
	case "boolean":
		return object{"anyOf": []any{object{"type": "boolean"}, object{"type": "string", "pattern": `\$\{`}}}
	case "integer":
		return object{"anyOf": []any{object{"type": "integer"}, object{"type": "string", "pattern": `\$\{`}}}
	case "any", "":
		return object{}
	}
	if p := patterns[f.Type]; p != "" {
		return object{"type": []string{"string", "integer"}, "pattern": p}
	}
	if len(f.Enum) > 0 {
		return object{"anyOf": []any{object{"enum": f.Enum}, object{"type": "string", "pattern": `\$\{`}}}
	}
	return object{"type": scalars}
}
