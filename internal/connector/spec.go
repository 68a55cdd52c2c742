package connector

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Fields describes the settings struct T from the same tags that Settings.Decode reads (see there).
func Fields[T any]() []Field { return fieldsOf(reflect.TypeFor[T]()) }

func fieldsOf(t reflect.Type) []Field {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || leaf(t) {
		return nil
	}
	var out []Field
	for i := range t.NumField() {
		f := t.Field(i)
		tag, ok := f.Tag.Lookup("yaml")
		if !ok || tag == "-" || f.Tag.Get("doc") == "-" {
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		if options == "inline" {
			out = append(out, fieldsOf(f.Type)...)
			continue
		}
		field := Field{
			Name: name, Doc: f.Tag.Get("doc"), Default: f.Tag.Get("default"), Required: options == "required",
		}
		if enum := f.Tag.Get("enum"); enum != "" {
			field.Enum = strings.Split(enum, ",")
		}
		describe(&field, f.Type)
		if typ := f.Tag.Get("type"); typ != "" { // of a type that reads itself
			field.Type, field.Elem, field.Fields = typ, f.Tag.Get("elem"), nil
		}
		out = append(out, field)
	}
	return out
}

// describe sets what follows from the Go type.
func describe(f *Field, t reflect.Type) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t {
	case secretType:
		f.Type, f.Secret = "string", true
		return
	case sizeType:
		f.Type = "size"
		return
	case rateType:
		f.Type = "rate"
		return
	case durationType:
		f.Type = "duration"
		return
	case nodeType:
		f.Type = "any"
		return
	}
	switch t.Kind() {
	case reflect.String:
		f.Type = "string"
	case reflect.Bool:
		f.Type = "boolean"
	case reflect.Int, reflect.Int64:
		f.Type = "integer"
	case reflect.Struct:
		f.Type, f.Fields = "object", fieldsOf(t)
	case reflect.Slice, reflect.Map:
		var elem Field
		describe(&elem, t.Elem())
		f.Type, f.Elem, f.Fields, f.Secret = "list", elem.Type, elem.Fields, elem.Secret
		if t.Kind() == reflect.Map {
			f.Type = "map"
		}
	default:
		panic(fmt.Sprintf("connector: no setting can be a %s", t))
	}
}

// Lint checks a system's YAML against the Spec alone: unknown and missing keys, shapes and enumerations, every one with
// its place. It needs no Go of the kind, so that it serves manifests and editors too.
func (s Spec) Lint(n strictyaml.Node, p *strictyaml.Problems) {
	lintObject(n, slices.Concat(Fields[commonKeys](), s.Fields), p)
}

type commonKeys struct {
	Kind         string          `yaml:"connector" doc:"the kind of the system"`
	VisibleAfter string          `yaml:"visible-after" type:"duration" doc:"how long after a write the object can be looked up"`
	Defaults     strictyaml.Node `yaml:"defaults" type:"any" doc:"settings of every object that does not say otherwise"`
}

func lintObject(n strictyaml.Node, fields []Field, p *strictyaml.Problems) {
	if n.Kind() != strictyaml.Map {
		p.Add(n.Pos(), "%s: expected a mapping, found %s", n.Key(), n.Kind())
		return
	}
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
		v := n.Get(f.Name)
		switch {
		case v.Kind() != strictyaml.Missing:
			lintValue(v, f, p)
		case f.Required:
			p.Add(n.Pos(), "%q is missing", f.Name)
		}
	}
	n.Known(p, names...)
}

func lintValue(v strictyaml.Node, f Field, p *strictyaml.Problems) {
	elem := Field{Type: f.Elem, Fields: f.Fields, Secret: f.Secret}
	switch f.Type {
	case "any":
	case "object":
		lintObject(v, f.Fields, p)
	case "list":
		if v.Kind() != strictyaml.List {
			p.Add(v.Pos(), "%s: expected a list, found %s", v.Key(), v.Kind())
		}
		for _, item := range v.Items() {
			lintValue(item, elem, p)
		}
	case "map":
		if v.Kind() != strictyaml.Map {
			p.Add(v.Pos(), "%s: expected a mapping, found %s", v.Key(), v.Kind())
		}
		for _, item := range v.Fields() {
			lintValue(item.Value, elem, p)
		}
	default:
		if v.Kind() != strictyaml.Scalar {
			p.Add(v.Pos(), "%s: expected a %s, found %s", v.Key(), f.Type, v.Kind())
			return
		}
		if len(f.Enum) > 0 && !strings.Contains(v.Text(), "${") {
			checkEnum(v.Text(), f.Enum, v, p)
		}
	}
}
