package schema

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/text/language"
)

func TestShape(t *testing.T) {
	s := onlySchema(t, `{
		"type": "object", "required": ["id", "lines"], "additionalProperties": false,
		"properties": {
			"id": {"$ref": "#/definitions/id"},
			"at": {"type": "string", "format": "date-time"},
			"n": {"type": ["number", "null"]},
			"lines": {"type": "array", "items": {"$ref": "#/definitions/line"}},
			"pair": {"items": [{"type": "string"}, {"type": "integer"}]},
			"party": {"allOf": [{"$ref": "#/definitions/party"}, {"required": ["id"]}]},
			"either": {"oneOf": [
				{"properties": {"kind": {"const": "card"}, "pan": {"type": "string"}}, "required": ["kind", "pan"], "additionalProperties": false},
				{"properties": {"kind": {"const": "iban"}, "iban": {"type": "string"}}, "required": ["kind"], "additionalProperties": false}]},
			"maybe": {"anyOf": [{"type": "null"}, {"type": "object", "properties": {"x": {"type": "integer"}}}]},
			"map": {"type": "object", "additionalProperties": {"type": "number"}},
			"pat": {"patternProperties": {"^x_": {"type": "boolean"}}, "additionalProperties": false},
			"cond": {"properties": {"a": {}}, "if": {"required": ["a"]}, "then": {"properties": {"b": {"type": "string"}}}, "else": {"properties": {"c": {}}}},
			"narrow": {"allOf": [{"type": "number"}, {"type": ["integer", "string"]}]},
			"color": {"enum": ["red", "green", null]},
			"never": false,
			"any": true
		},
		"definitions": {
			"id": {"type": "string", "enum": ["a", "b"]},
			"line": {"type": "object", "properties": {"sku": {"type": "string"}}},
			"party": {"type": "object", "properties": {"id": {"type": "string"}, "name": {"type": "string"}}, "required": ["name"], "additionalProperties": false}
		}}`)
	sh := s.Shape()
	tests := []struct {
		path  string // steps separated by dots; [] is an element
		state FieldState
		types string
	}{
		{"id", Declared, "string"}, {"nope", Never, ""}, {"at", Declared, "string"}, {"n", Declared, "number,null"},
		{"lines", Declared, "array"}, {"lines.[]", Declared, "object"}, {"lines.[].sku", Declared, "string"}, {"lines.[].other", Open, ""},
		{"pair.[]", Declared, "string,integer"},
		{"party.id", Declared, "string"}, {"party.x", Never, ""},
		{"either.kind", Declared, "string"}, {"either.pan", Declared, "string"}, {"either.x", Never, ""},
		{"maybe", Declared, "null,object"}, {"maybe.x", Declared, "integer"}, {"maybe.y", Open, ""},
		{"map.whatever", Open, "number"}, {"pat.x_1", Declared, "boolean"}, {"pat.y", Never, ""},
		{"cond.a", Declared, ""}, {"cond.b", Declared, "string"}, {"cond.c", Declared, ""}, {"cond.d", Open, ""},
		{"narrow", Declared, "integer"}, {"color", Declared, "string,null"},
		{"id.x", Never, ""}, {"any.x", Open, ""},
	}
	for _, tt := range tests {
		at, state := sh, Declared
		for _, step := range strings.Split(tt.path, ".") {
			if step == "[]" {
				at = at.Item()
				continue
			}
			at, state = at.Field(step)
		}
		if got := strings.Join(at.Types(), ","); got != tt.types || state != tt.state {
			t.Errorf("%s is %s and %s, want %s and %s", tt.path, got, state, tt.types, tt.state)
		}
	}
	field := func(name string) Shape {
		f, _ := sh.Field(name)
		return f
	}
	check := func(what string, got, want any) {
		t.Helper()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %v, want %v", what, got, want)
		}
	}
	check("required", sh.Required(), []string{"id", "lines"})
	check("closed", sh.Closed(), true)
	check("first field", sh.Fields()[0], "id")
	check("required of allOf", field("party").Required(), []string{"name", "id"})
	check("closed allOf", field("party").Closed(), true)
	check("fields of oneOf", field("either").Fields(), []string{"kind", "pan", "iban"})
	check("required of oneOf", field("either").Required(), []string{"kind"})
	kind, _ := field("either").Field("kind")
	check("values of kind", kind.Enum(), []string{"card", "iban"})
	check("values of color", field("color").Enum(), []string{"red", "green"})
	check("values of a string", field("at").Enum(), []string(nil))
	check("format", field("at").Format(), "date-time")
	check("no format", field("id").Format(), "")
	check("closed map", field("map").Closed(), false)
	check("any", field("any").Any(), true)
	check("zero", Shape{}.Any() && !Shape{}.Closed() && Shape{}.Item().Any() && len(Shape{}.Types()) == 0, true)
	check("shape of no schema", (*Schema)(nil).Shape().Any(), true)
	if _, state := (Shape{}).Field("x"); state != Open {
		t.Errorf("a field of anything is %s", state)
	}
}

// Many branches must not take long; a shape that would be too large says nothing.
func TestShapeIsBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"$ref":"#/definitions/d0","definitions":{`)
	for i := range 14 {
		fmt.Fprintf(&b, `"d%d":{"allOf":[{"$ref":"#/definitions/d%d"},{"$ref":"#/definitions/d%d"}]},`, i, i+1, i+1)
	}
	b.WriteString(`"d14":{"type":"null"}}}`)
	set, _ := compile("a", b.String())
	if !set.Get("a").Shape().Any() {
		t.Error("16,384 references were followed")
	}
	branches := make([]string, 100)
	for i := range branches {
		branches[i] = fmt.Sprintf(`{"properties":{"p%d":{"type":"string"}}}`, i)
	}
	if sh := onlySchema(t, `{"oneOf":[`+strings.Join(branches, ",")+`]}`).Shape(); !sh.Any() {
		t.Error("a shape of 100 alternatives claims to know")
	}
}

// The names that the documentation and every mapping use.
func TestCanonicalNames(t *testing.T) {
	set := shipped(t)
	for name, paths := range map[string]string{
		"order": "id number type status placed_at customer.id currency note lines.[].id lines.[].sku lines.[].name lines.[].quantity lines.[].unit lines.[].unit_price lines.[].allowance_charges.[].amount lines.[].taxes.[].rate lines.[].amount total source_versions ship_to.address.country customer.contacts.[].email",
		"quote": "id customer.id lines.[].sku total valid_until", "customer": "id name status credit_limit addresses.[].country contacts.[].phone tax_id",
		"product": "id sku name unit prices.[].currency status", "shipment": "id order.id lines.[].quantity packages.[].sscc tracking_number",
		"inventory": "id sku location.code on_hand available", "invoice": "id number issued_on customer.id lines.[].amount taxes.[].amount total due",
		"payment": "id amount currency allocations.[].invoice.number paid_at",
	} {
		for path := range strings.FieldsSeq(paths) {
			at, state := set.Get("canonical/"+name+".v1").Shape(), Declared
			for step := range strings.SplitSeq(path, ".") {
				if step == "[]" {
					at = at.Item()
				} else if at, state = at.Field(step); state != Declared {
					t.Errorf("%s: %s is %s", name, path, state)
				}
			}
		}
	}
}

func TestCodeLists(t *testing.T) {
	common := shipped(t).Get("canonical/common.v1").root
	enum := func(name string) []string {
		for _, d := range common.definitions {
			if d.name == name {
				return shapeOf([]alternative{{d.node}}).Enum()
			}
		}
		return nil
	}
	countries := enum("country")
	if len(countries) != 249 {
		t.Errorf("%d countries, ISO 3166-1 has 249", len(countries))
	}
	for _, c := range countries {
		if r, err := language.ParseRegion(c); err != nil || !r.IsCountry() {
			t.Errorf("%s is no country: %v", c, err)
		}
	}
	currencies := strings.Join(enum("currency"), " ")
	for _, c := range []string{"CNY", "EUR", "USD", "JPY", "XCG", "ZWG", "SLE", "VED", "CHF"} {
		if !strings.Contains(currencies, c) {
			t.Errorf("%s is missing", c)
		}
	}
	for _, c := range []string{"HRK", "ANG", "SLL", "ZWL", "DEM", "CUC"} {
		if strings.Contains(currencies, c) {
			t.Errorf("%s is no longer current", c)
		}
	}
}
