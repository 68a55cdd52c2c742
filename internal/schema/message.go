package schema

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/xeipuuv/gojsonschema"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// violations turns the library's findings into ours. Those that only repeat that a branch has failed, beside what failed
// in it, are left out.
func violations(root jsondoc.Value, found []gojsonschema.ResultError) []Violation {
	out := make([]Violation, 0, len(found))
	for _, f := range found {
		switch f.Type() {
		case "number_all_of", "condition_then", "condition_else":
			if len(found) > 1 {
				continue
			}
		}
		path, v := locate(root, f.Context())
		out = append(out, describe(f, path, v))
	}
	return out
}

// locate turns the library's context into a path, and finds the value there.
func locate(root jsondoc.Value, ctx *gojsonschema.JsonContext) (string, jsondoc.Value) {
	const cut = "\x00" // in no name: jsondoc refuses it unescaped, and an escaped one only spoils the path
	var path strings.Builder
	v := root
	for i, step := range strings.Split(ctx.String(cut), cut) {
		if i == 0 {
			continue // the root's own name
		}
		if n, err := strconv.Atoi(step); err == nil && v.Kind() == jsondoc.Array {
			v = v.Index(n)
			path.WriteString("[" + step + "]")
			continue
		}
		v = v.Get(step)
		path.WriteString(join(path.String(), step)[path.Len():])
	}
	return path.String(), v
}

// join appends a property's name to a path.
func join(path, name string) string {
	name = shorten(name)
	if name == "" || strings.ContainsAny(name, ".[]\" ") {
		return path + "[" + strconv.Quote(name) + "]"
	}
	if path == "" {
		return name
	}
	return path + "." + name
}

// describe words one finding.
func describe(f gojsonschema.ResultError, path string, v jsondoc.Value) Violation {
	d := f.Details()
	is := ", is " + quoted(v)
	if name, ok := f.Value().(string); ok && v.Kind() != jsondoc.String {
		is = ", the name is " + shorten(strconv.Quote(name)) // a rule of propertyNames
	}
	made := func(keyword, format string, args ...any) Violation {
		return Violation{path, keyword, fmt.Sprintf(format, args...)}
	}
	text := func(key string) string { return shorten(fmt.Sprint(d[key])) }
	name, _ := d["property"].(string)
	name = strings.Clone(name) // it may share the document's bytes, see alias
	switch f.Type() {
	case "false":
		return made("false", "must not be there")
	case "required":
		return Violation{join(path, name), "required", "is missing"}
	case "additional_property_not_allowed":
		return Violation{join(path, name), "additionalProperties", "is not in the schema"}
	case "invalid_property_name":
		return Violation{join(path, name), "propertyNames", "is not allowed as a name"}
	case "missing_dependency":
		dep, _ := d["dependency"].(string)
		return Violation{join(path, dep), "dependencies", "is missing: another property needs it"}
	case "invalid_type":
		return made("type", "must be %s, is %s", strings.ReplaceAll(strings.Trim(text("expected"), "[]"), ",", " or "), typeOf(v))
	case "number_any_of":
		return made("anyOf", "matches none of the allowed forms")
	case "number_one_of":
		return made("oneOf", "does not match exactly one of the allowed forms")
	case "number_all_of":
		return made("allOf", "does not match all of the required forms")
	case "number_not":
		return made("not", "matches a form that is not allowed")
	case "condition_then":
		return made("then", "does not match the form that its condition requires")
	case "condition_else":
		return made("else", "does not match the form that its condition requires")
	case "const":
		return made("const", "must be %s%s", text("allowed"), is)
	case "enum":
		return made("enum", "must be one of %s%s", text("allowed"), is)
	case "array_no_additional_items":
		return made("additionalItems", "has more elements than the schema describes")
	case "array_min_items":
		return made("minItems", "needs %s or more elements, has %d", text("min"), v.Len())
	case "array_max_items":
		return made("maxItems", "may have %s elements at most, has %d", text("max"), v.Len())
	case "unique":
		return made("uniqueItems", "elements %s and %s are equal", text("i"), text("j"))
	case "contains":
		return made("contains", "has no element of the required form")
	case "array_min_properties":
		return made("minProperties", "needs %s or more properties, has %d", text("min"), v.Len())
	case "array_max_properties":
		return made("maxProperties", "may have %s properties at most, has %d", text("max"), v.Len())
	case "string_gte":
		return made("minLength", "needs %s or more characters%s", text("min"), is)
	case "string_lte":
		return made("maxLength", "may have %s characters at most%s", text("max"), is)
	case "pattern":
		return made("pattern", "must match %s%s", text("pattern"), is)
	case "format":
		return describeFormat(text("format"), path, is, v)
	case "multiple_of":
		return made("multipleOf", "must be a multiple of %s%s", bound(d["multiple"]), is)
	case "number_gte":
		return made("minimum", "must be at least %s%s", bound(d["min"]), is)
	case "number_gt":
		return made("exclusiveMinimum", "must be greater than %s%s", bound(d["min"]), is)
	case "number_lte":
		return made("maximum", "must be at most %s%s", bound(d["max"]), is)
	case "number_lt":
		return made("exclusiveMaximum", "must be less than %s%s", bound(d["max"]), is)
	}
	return made(f.Type(), "does not follow the schema%s", is)
}

// describeFormat words a failed format, which may stand for an enum or const.
func describeFormat(name, path, is string, v jsondoc.Value) Violation {
	if c := choiceOf(name); c != nil {
		if _, ok := c.allowed[v.Str()]; !ok {
			if c.constant {
				return Violation{path, "const", "must be " + shorten(strconv.Quote(c.ordered[0])) + is}
			}
			return Violation{path, "enum", "must be one of " + shorten(strings.Join(c.ordered, ", ")) + is}
		}
		name = c.name
	}
	return Violation{path, "format", "must be of format " + name + is}
}

// bound writes a limit that the library holds as a binary number.
func bound(v any) string {
	if f, ok := v.(*big.Float); ok {
		return f.Text('g', 15)
	}
	return shorten(fmt.Sprint(v))
}

func typeOf(v jsondoc.Value) string {
	if v.Kind() == jsondoc.Number {
		if d, err := v.Decimal(); err == nil && d.IsInt() {
			return "integer"
		}
	}
	return v.Kind().String()
}

// silent replaces the library's texts by one that costs nothing to make: every branch of an anyOf that does not fit
// makes texts that nobody reads, also for valid documents. Messages are made in describe.
type silent struct{ gojsonschema.DefaultLocale }

const noText = "-"

func (silent) False() string                        { return noText }
func (silent) Required() string                     { return noText }
func (silent) InvalidType() string                  { return noText }
func (silent) NumberAnyOf() string                  { return noText }
func (silent) NumberOneOf() string                  { return noText }
func (silent) NumberAllOf() string                  { return noText }
func (silent) NumberNot() string                    { return noText }
func (silent) MissingDependency() string            { return noText }
func (silent) Internal() string                     { return noText }
func (silent) Const() string                        { return noText }
func (silent) Enum() string                         { return noText }
func (silent) ArrayNoAdditionalItems() string       { return noText }
func (silent) ArrayNotEnoughItems() string          { return noText }
func (silent) ArrayMinItems() string                { return noText }
func (silent) ArrayMaxItems() string                { return noText }
func (silent) Unique() string                       { return noText }
func (silent) ArrayContains() string                { return noText }
func (silent) ArrayMinProperties() string           { return noText }
func (silent) ArrayMaxProperties() string           { return noText }
func (silent) AdditionalPropertyNotAllowed() string { return noText }
func (silent) InvalidPropertyPattern() string       { return noText }
func (silent) InvalidPropertyName() string          { return noText }
func (silent) StringGTE() string                    { return noText }
func (silent) StringLTE() string                    { return noText }
func (silent) DoesNotMatchPattern() string          { return noText }
func (silent) DoesNotMatchFormat() string           { return noText }
func (silent) MultipleOf() string                   { return noText }
func (silent) NumberGTE() string                    { return noText }
func (silent) NumberGT() string                     { return noText }
func (silent) NumberLTE() string                    { return noText }
func (silent) NumberLT() string                     { return noText }
func (silent) ConditionThen() string                { return noText }
func (silent) ConditionElse() string                { return noText }
