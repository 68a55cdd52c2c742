package sandbox

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files and the published schemas")

// ordered is a JSON object that keeps the order of its members.
type ordered []member

type member struct {
	key   string
	value any
}

func (o ordered) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		v, err := marshal(m.value)
		if err != nil {
			return nil, err
		}
		b.WriteString(strconv.Quote(m.key) + ":")
		b.Write(v)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// side says which of a system's documents a schema is for.
type side int

const (
	read     side = iota // what comes out of a REST system
	write                // what is accepted
	tableRow             // a row of the ERP: whether decimals are numbers or strings is up to who reads
	fileRow              // a row of a CSV file: likewise
)

// housekeeping columns are there, but whoever reads a row may leave them out.
var housekeeping = map[string]bool{"id": true, "external_ref": true, "created_at": true, "updated_at": true, "updated_by": true, "row_version": true, "posted": true}

const decimalPattern = `^-?[0-9]+(\.[0-9]+)?$`

func fieldSchema(f field, s side) ordered {
	typ := func(t ...any) any {
		if f.Null {
			t = append(t, "null")
		}
		if len(t) == 1 {
			return t[0]
		}
		return t
	}
	var o ordered
	add := func(k string, v any) { o = append(o, member{k, v}) }
	if f.Doc != "" {
		add("description", f.Doc)
	}
	length := func() {
		n := f.Max
		if n == 0 {
			n = 255
		}
		add("maxLength", n)
	}
	switch f.Kind {
	case kString:
		add("type", typ("string"))
		if s == write && len(f.Enum) > 0 {
			enum := []any{}
			for _, e := range f.Enum {
				enum = append(enum, e)
			}
			if f.Null {
				enum = append(enum, nil)
			}
			add("enum", enum)
			break
		}
		if s == write && f.Access == required && !f.Null {
			add("minLength", 1)
		}
		length()
	case kNumber, kDec:
		switch {
		case s == write:
			add("type", typ("number", "string"))
			add("pattern", decimalPattern)
		case f.Kind == kNumber:
			add("type", typ("number"))
		case s != read:
			add("type", typ("number", "string"))
			add("pattern", decimalPattern)
		default:
			add("type", typ("string"))
			add("pattern", decimalPattern)
		}
	case kInt:
		if s == fileRow {
			add("type", typ("integer", "string"))
			add("pattern", "^[0-9]+$")
		} else {
			add("type", typ("integer"))
		}
	case kBool:
		add("type", typ("boolean"))
	case kDate:
		add("type", typ("string"))
		add("format", "date")
	case kTime:
		add("type", typ("string"))
		add("format", "date-time")
	case kObject:
		add("type", typ("object"))
		o = append(o, objectSchema(f.Fields, s)...)
	case kList:
		add("type", typ("array"))
		if f.Access == required {
			add("minItems", 1)
		}
		add("items", append(ordered{{"type", "object"}}, objectSchema(f.Fields, s)...))
	}
	return o
}

// objectSchema is properties, required and, for what is written, additionalProperties.
func objectSchema(fields []field, s side) ordered {
	need, props := []string{}, ordered{}
	for _, f := range fields {
		if s == write && f.Access == readOnly {
			continue
		}
		if s != write && !f.Null && !(s == tableRow && housekeeping[f.Name]) || s == write && f.Access == required {
			need = append(need, f.Name)
		}
		props = append(props, member{f.Name, fieldSchema(f, s)})
	}
	o := ordered{{"required", need}, {"properties", props}}
	if s == write {
		o = append(o, member{"additionalProperties", false})
	}
	return o
}

func docSchema(title string, fields []field, s side) []byte {
	o := ordered{{"$schema", "http://json-schema.org/draft-07/schema#"}, {"title", title}, {"type", "object"}}
	o = append(o, objectSchema(fields, s)...)
	raw, err := marshal(o)
	if err != nil {
		panic(err)
	}
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		panic(err)
	}
	return append(shortLists.ReplaceAllFunc(onlyType.ReplaceAll(b.Bytes(), []byte("{$1}")), func(list []byte) []byte {
		flat := blanks.ReplaceAll(list, []byte(" "))
		flat = append([]byte{'['}, bytes.TrimSpace(flat[1:len(flat)-1])...)
		return append(flat, ']')
	}), '\n')
}

// Lists of words stand on one line.
var (
	shortLists = regexp.MustCompile(`\[\s+(?:"[^"]*"|null)(?:,\s+(?:"[^"]*"|null))*\s+\]`)
	onlyType   = regexp.MustCompile(`\{\s+("type": "[a-z]+")\s+\}`)
	blanks     = regexp.MustCompile(`\s+`)
)

// publishedSchemas is every schema of the sandbox by its name below schemas/.
func publishedSchemas() map[string][]byte {
	out := map[string][]byte{}
	for _, s := range crmSpecs {
		attributes := field{Name: "attributes", Kind: kObject, Fields: []field{{Name: "type", Kind: kString}, {Name: "url", Kind: kString}}}
		out[s.Schema+".v1"] = docSchema(s.Title, append([]field{attributes}, s.Fields...), read)
		out[s.Schema+"-write.v1"] = docSchema(s.Title+", as written", s.Fields, write)
	}
	for _, s := range wmsSpecs {
		out[s.Schema+".v1"] = docSchema(s.Title, s.Fields, read)
		if !s.Closed {
			out[s.Schema+"-write.v1"] = docSchema(s.Title+", as written", s.Fields, write)
		}
	}
	for _, t := range erpTables {
		fields := t.Fields
		if t.Child != "" {
			fields = append(append([]field{}, fields...), field{Name: "lines", Kind: kList, Access: required, Fields: t.Lines, Doc: "rows of " + t.Child})
		}
		out[t.Schema+".v1"] = docSchema(t.Title, fields, tableRow)
		if !t.Life {
			out[t.Schema+"-write.v1"] = docSchema(t.Title+", as written", fields, write)
		}
	}
	out["wms/stock.v1"] = docSchema("Row of a stock file of the warehouse", stockColumns, fileRow)
	out["wms/shipment-confirmation.v1"] = docSchema("Row of a shipment confirmation file of the warehouse", confirmationColumns, fileRow)
	return out
}

func TestPublishedSchemas(t *testing.T) {
	for name, want := range publishedSchemas() {
		path := filepath.Join("..", "..", "schemas", filepath.FromSlash(name)+".json")
		if *update {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs from what the systems do; run go test ./internal/sandbox -run TestPublishedSchemas -update", path)
		}
	}
}
