package api

import (
	"bytes"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

var update = flag.Bool("update", false, "write the description anew")

// The description is made of the code: of the routes, who may ask them, their parameters and answers, and of the types of bodies and answers with
// their comments. What lies in openapi.json, which the server answers with, is that.
func TestDescription(t *testing.T) {
	want := describe(t)
	if *update {
		if err := os.WriteFile("openapi.json", want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got, err := os.ReadFile("openapi.json"); err != nil || !bytes.Equal(got, want) {
		t.Errorf("openapi.json is not what the code says (%v): go test ./internal/api -run TestDescription -update, and look at what has changed", err)
	}
}

// object is a JSON object whose members keep their order.
type object []member

type member struct {
	name  string
	value any
}

func (o object) MarshalJSON() ([]byte, error) {
	b := []byte("{")
	for i, m := range o {
		if i > 0 {
			b = append(b, ',')
		}
		var v bytes.Buffer
		e := json.NewEncoder(&v)
		e.SetEscapeHTML(false)
		if err := e.Encode(m.value); err != nil {
			return nil, fmt.Errorf("%s: %w", m.name, err)
		}
		b = append(append(append(b, '"'), m.name...), '"', ':')
		b = append(b, v.Bytes()...)
	}
	return append(b, '}'), nil
}

func (o *object) set(name string, v any) {
	for i := range *o {
		if (*o)[i].name == name {
			(*o)[i].value = v
			return
		}
	}
	*o = append(*o, member{name, v})
}

func (o object) get(name string) any {
	for _, m := range o {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// describer makes schemas of types.
type describer struct {
	t       *testing.T
	says    map[string]string // comments by "pkg.Type" and "pkg.Type.Field"
	schemas map[string]object
	from    map[string]string // of which type each schema is, and whether it is a body's
}

func describe(t *testing.T) []byte {
	d := &describer{t: t, says: comments(t, ".", filepath.Join("..", "state")), schemas: map[string]object{}, from: map[string]string{}}
	d.schema(reflect.TypeFor[Pulse](), "", false)
	problem := d.schema(reflect.TypeFor[Problem](), "", false)
	var paths object
	s := server(&stub{})
	for _, r := range s.routes() {
		if r.does == nil {
			continue
		}
		method, path, _ := strings.Cut(strings.Replace(r.pattern, "{$}", "", 1), " ")
		of, _ := paths.get(path).(object)
		of.set(strings.ToLower(method), d.operation(&r, method, path, problem))
		paths.set(path, of)
	}
	for pattern := range operations() {
		if !slices.ContainsFunc(s.routes(), func(r route) bool { return r.pattern == pattern }) {
			t.Errorf("operations tells of %s, which is no route", pattern)
		}
	}
	var schemas object
	for _, name := range slices.Sorted(maps.Keys(d.schemas)) {
		schemas.set(name, d.schemas[name])
	}
	secured := object{{"bearer", object{{"type", "http"}, {"scheme", "bearer"}}},
		{"basic", object{{"type", "http"}, {"scheme", "basic"}, {"description", "any user, a token as password: for browsers"}}}}
	doc := object{{"openapi", "3.1.0"}, {"info", object{{"title", "Waybill"}, {"version", "1"}, {"description", "What operators and scripts ask of a running hub."}}},
		{"security", []any{object{{"bearer", []string{}}}, object{{"basic", []string{}}}}}, {"paths", paths}, {"components", object{{"securitySchemes", secured}, {"schemas", schemas}}}}
	data, err := doc.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, data, "", " "); err != nil {
		t.Fatal(err)
	}
	return append(bytes.TrimSpace(out.Bytes()), '\n')
}

// operation describes a route.
func (d *describer) operation(r *route, method, path string, problem any) object {
	o := r.does
	id := strings.ToLower(method) + regexp.MustCompile(`[^A-Za-z]+`).ReplaceAllString("_"+strings.TrimPrefix(path, "/api/v1"), "_")
	out := object{{"operationId", strings.Trim(id, "_")}, {"summary", o.says}}
	about := []string{}
	if o.about != "" {
		about = append(about, o.about)
	}
	if r.open {
		out.set("tags", []string{"open"})
	} else {
		out.set("tags", []string{cmp.Or(string(r.need.Scope), "hub")})
		about = append(about, needsText(r.need))
	}
	needs := object{{"role", r.need.Role.String()}}
	if r.need.Scope != "" {
		needs.set("scope", r.need.Scope)
	}
	for _, a := range r.also {
		about = append(about, fmt.Sprintf("With %s=%s: %s", a.name, a.value, needsText(a.need)))
		needs.set(a.name+"="+a.value, object{{"role", a.need.Role.String()}, {"scope", a.need.Scope}})
	}
	if len(about) > 0 {
		out.set("description", strings.Join(about, " "))
	}
	if r.open {
		out.set("security", []any{})
	} else {
		out.set("x-needs", needs)
	}
	var parameters []any
	for _, m := range regexp.MustCompile(`\{(\w+)\}`).FindAllStringSubmatch(path, -1) {
		schema := object{{"type", "string"}, {"minLength", 1}, {"pattern", noNUL}}
		if m[1] == "id" {
			schema = object{{"type", "integer"}, {"format", "int64"}, {"minimum", 0}, {"maximum", json.Number("9223372036854775807")}}
		}
		parameters = append(parameters, object{{"name", m[1]}, {"in", "path"}, {"required", true}, {"schema", schema}})
	}
	for i := range o.query {
		parameters = append(parameters, d.parameter(&o.query[i]))
	}
	if o.match != matchNone {
		tags := object{{"type", "string"}, {"anyOf", []any{object{{"const", "*"}}, object{{"type", "string"}, {"pattern", `^"[0-9]{1,18}-[0-9]{1,18}"$`}}}}}
		parameters = append(parameters, object{{"name", "If-Match"}, {"in", "header"}, {"required", o.match == matchNeeded}, {"description", "the ETag that was read; * for whatever is there"}, {"schema", tags}})
	}
	if r.acts {
		parameters = append(parameters, object{{"name", KeyHeader}, {"in", "header"}, {"required", false},
			{"description", "names this request, such as by a UUID: the same again within seven days does nothing more and gets the same answer, with " + ReplayedHeader + ": true. What was refused may be asked again"},
			{"schema", object{{"type", "string"}, {"pattern", keyPattern}}}})
	}
	if parameters != nil {
		out.set("parameters", parameters)
	}
	if o.body != nil {
		out.set("requestBody", object{{"required", o.body.always}, {"content", object{{mediaJSON, object{{"schema", d.body(o.body)}}}}}})
	}
	out.set("responses", d.answers(r, problem))
	return out
}

func (d *describer) parameter(p *param) object {
	schema := object{{"type", p.kind}}
	switch {
	case p.kind == "integer":
		schema = append(schema, member{"minimum", p.least}, member{"maximum", p.most})
		if p.def >= p.least {
			schema.set("default", p.def)
		}
	case p.words != nil:
		schema.set("enum", p.words)
	case p.pattern != "":
		schema.set("pattern", p.pattern)
	case p.kind == "string":
		schema = append(schema, member{"minLength", 1}, member{"pattern", noNUL})
	}
	out := object{{"name", p.name}, {"in", "query"}, {"required", p.must}, {"description", p.says}, {"schema", schema}}
	if p.example != "" {
		out.set("example", p.example)
	}
	return out
}

func (d *describer) answers(r *route, problem any) object {
	all := r.answers()
	var out object
	for _, code := range slices.Sorted(maps.Keys(all)) {
		a := all[code]
		var content object
		for _, f := range a.forms {
			var schema any
			switch of := f.of.(type) {
			case prose:
				text := object{{"type", "string"}}
				if of != "" {
					text.set("description", string(of))
				}
				schema = text
			case []byte:
				schema = object{{"type", "string"}, {"format", "binary"}}
			default:
				schema = d.schema(reflect.TypeOf(of), "", false)
			}
			content.set(f.media, object{{"schema", schema}})
		}
		if a.forms == nil {
			content.set(mediaProblem, object{{"schema", problem}})
		}
		answer := object{{"description", a.says}}
		if headers := headersOf(code, r); headers != nil {
			answer.set("headers", headers)
		}
		answer.set("content", content)
		out.set(fmt.Sprint(code), answer)
	}
	return out
}

func headersOf(code int, r *route) object {
	header := func(typ, says string) object {
		return object{{"schema", object{{"type", typ}}}, {"description", says}}
	}
	switch {
	case code == 401:
		return object{{"WWW-Authenticate", header("string", "Bearer, and Basic for browsers: any user, a token as password")},
			{"Retry-After", header("integer", "seconds, where too many wrong tokens came; a right one is answered at once")}}
	case code == 503:
		return object{{"Retry-After", header("integer", "seconds")}}
	case code == 200 && r.pattern == "GET /api/v1/parked/{id}":
		return object{{"ETag", header("string", "the message's revision, for If-Match")}}
	}
	return nil
}

// body is the schema of a body: that of its type, without a member, and with what the type alone cannot say.
func (d *describer) body(c *content) any {
	typ := reflect.TypeOf(c.of)
	if c.name == "" && c.more == "" {
		return d.schema(typ, "", true)
	}
	name := cmp.Or(c.name, typ.Name())
	schema := d.structure(typ, true)
	if c.drop != "" {
		properties, _ := schema.get("properties").(object)
		schema.set("properties", slices.DeleteFunc(properties, func(m member) bool { return m.name == c.drop }))
	}
	if c.more != "" {
		var more map[string]json.RawMessage
		if err := json.Unmarshal([]byte(c.more), &more); err != nil {
			d.t.Fatalf("the rules of %s: %v", name, err)
		}
		for _, key := range slices.Sorted(maps.Keys(more)) {
			if key == "properties" {
				d.narrow(schema, more[key])
				continue
			}
			schema.set(key, more[key])
		}
	}
	d.keep(name, typ, true, schema)
	return object{{"$ref", "#/components/schemas/" + name}}
}

// narrow puts more into properties that are there.
func (d *describer) narrow(schema object, raw json.RawMessage) {
	var more map[string]map[string]any
	if err := json.Unmarshal(raw, &more); err != nil {
		d.t.Fatal(err)
	}
	properties, _ := schema.get("properties").(object)
	for name, says := range more {
		of, ok := properties.get(name).(object)
		if !ok {
			d.t.Fatalf("there is no property %s to say more of", name)
		}
		for key, v := range says {
			of.set(key, v)
		}
		properties.set(name, of)
	}
}

const noNUL = `^[^\u0000]*$`

// schema is that of a type, of whose field tag is; asks: it is a body's.
func (d *describer) schema(t reflect.Type, tag reflect.StructTag, asks bool) any {
	switch {
	case t == moment:
		out := object{{"type", "string"}, {"format", "date-time"}}
		if ex := tag.Get("like"); ex != "" {
			out.set("examples", []string{ex})
		}
		return out
	case t == rawMessage:
		return object{}
	case t == reflect.TypeFor[Whole]():
		return d.bounded(object{{"type", "integer"}, {"maximum", 1<<31 - 1}}, tag)
	}
	switch t.Kind() {
	case reflect.Pointer:
		return d.schema(t.Elem(), tag, asks)
	case reflect.Struct:
		if t.Name() == "" || t == reflect.TypeFor[Nothing]() {
			return d.structure(t, asks)
		}
		name := t.Name()
		if _, known := d.schemas[name]; !known || d.from[name] != fromOf(t, asks) {
			d.keep(name, t, asks, object{}) // it may hold itself
			d.schemas[name] = d.structure(t, asks)
		}
		return object{{"$ref", "#/components/schemas/" + name}}
	case reflect.Slice:
		out := object{{"type", "array"}, {"items", d.schema(t.Elem(), tag, asks)}}
		for key, name := range map[string]string{"minitems": "minItems", "maxitems": "maxItems"} {
			if v := tag.Get(key); v != "" {
				out.set(name, json.Number(v))
			}
		}
		slices.SortStableFunc(out[2:], func(a, b member) int { return strings.Compare(a.name, b.name) })
		return out
	case reflect.Map:
		if t.Elem().Kind() == reflect.Interface {
			return object{{"type", "object"}}
		}
		return object{{"type", "object"}, {"additionalProperties", d.schema(t.Elem(), "", asks)}}
	case reflect.String:
		return d.words(tag, asks)
	case reflect.Bool:
		return object{{"type", "boolean"}}
	case reflect.Int, reflect.Int64:
		return d.bounded(object{{"type", "integer"}, {"format", "int64"}}, tag)
	case reflect.Float64:
		return d.bounded(object{{"type", "number"}}, tag)
	}
	d.t.Fatalf("no schema is known of %s", t)
	return nil
}

func (d *describer) bounded(out object, tag reflect.StructTag) object {
	for _, b := range [][2]string{{"min", "minimum"}, {"max", "maximum"}} {
		if v := tag.Get(b[0]); v != "" {
			out.set(b[1], json.Number(v))
		}
	}
	return out
}

// words is the schema of a text. One of a body never holds the character of the code 0.
func (d *describer) words(tag reflect.StructTag, asks bool) object {
	out := object{{"type", "string"}}
	if e := tag.Get("enum"); e != "" {
		out.set("enum", strings.Split(e, ","))
		return out
	}
	if tag.Get("min") == "1" || tag.Get("text") == "some" {
		out.set("minLength", 1)
	}
	switch p := tag.Get("pattern"); {
	case p != "":
		out.set("pattern", p)
	case asks:
		out.set("pattern", noNUL)
	}
	if ex := tag.Get("like"); ex != "" {
		out.set("examples", []string{ex})
	}
	return out
}

func fromOf(t reflect.Type, asks bool) string { return fmt.Sprint(t, " ", asks) }

// keep puts a schema under a name, which is one type's, and either asked or answered.
func (d *describer) keep(name string, t reflect.Type, asks bool, schema object) {
	if was := d.from[name]; was != "" && was != fromOf(t, asks) {
		d.t.Fatalf("two schemas have the name %s: %s and %s", name, was, fromOf(t, asks))
	}
	d.from[name], d.schemas[name] = fromOf(t, asks), schema
}

// structure is the schema of a struct's members. What is written without omitempty is always there in an answer, and needed in a body.
func (d *describer) structure(t reflect.Type, asks bool) object {
	out := object{{"type", "object"}}
	if says := d.says[typeName(t)]; says != "" {
		out.set("description", d.inJSON(says, t))
	}
	var properties object
	var required []string
	var within []any
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" {
			continue
		}
		if f.Anonymous && name == "" {
			within = append(within, d.schema(f.Type, "", asks))
			continue
		}
		if name == "" {
			d.t.Fatalf("%s.%s has no name in JSON", t, f.Name)
		}
		may := strings.Contains(options, "omit")
		schema := d.schema(f.Type, f.Tag, asks)
		if f.Type.Kind() == reflect.Pointer && !may {
			schema = orNull(schema)
		}
		if says := d.says[typeName(t)+"."+f.Name]; says != "" {
			of, _ := schema.(object)
			of.set("description", regexp.MustCompile(`\bnil\b`).ReplaceAllString(d.inJSON(says, t), map[bool]string{true: "missing", false: "null"}[may]))
			schema = of
		}
		properties.set(name, schema)
		if !may {
			required = append(required, name)
		}
	}
	if required != nil {
		out.set("required", required)
	}
	if properties != nil {
		out.set("properties", properties)
	}
	if asks {
		out.set("additionalProperties", false)
	}
	if within != nil {
		return object{{"allOf", append(within, out)}}
	}
	return out
}

// orNull is a schema that takes null as well.
func orNull(schema any) any {
	if of, ok := schema.(object); ok && of.get("type") != nil {
		of.set("type", []any{of.get("type"), "null"})
		return of
	}
	return object{{"anyOf", []any{schema, object{{"type", "null"}}}}}
}

func typeName(t reflect.Type) string { return filepath.Base(t.PkgPath()) + "." + t.Name() }

// inJSON writes the names of a struct's fields in a comment as they are in JSON.
func (d *describer) inJSON(says string, t reflect.Type) string {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		says = regexp.MustCompile("(^|[^`A-Za-z_/.])"+f.Name+`\b`).ReplaceAllString(says, "${1}`"+name+"`")
	}
	return says
}

// comments are those of types and their fields. A comment above several fields that names them is each one's.
func comments(t *testing.T, dirs ...string) map[string]string {
	out := map[string]string{}
	for _, dir := range dirs {
		names, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			for _, decl := range file.Decls {
				g, ok := decl.(*ast.GenDecl)
				if !ok {
					continue
				}
				for _, spec := range g.Specs {
					if ts, ok := spec.(*ast.TypeSpec); ok {
						typ := file.Name.Name + "." + ts.Name.Name
						out[typ] = line(cmp.Or(ts.Doc, g.Doc))
						if st, ok := ts.Type.(*ast.StructType); ok {
							fieldComments(out, typ, st)
						}
					}
				}
			}
		}
	}
	return out
}

func fieldComments(out map[string]string, typ string, st *ast.StructType) {
	above := ""
	for _, f := range st.Fields.List {
		if f.Doc != nil {
			above = line(f.Doc)
		}
		for _, n := range f.Names {
			says := []string{}
			if f.Doc != nil || regexp.MustCompile(`\b`+n.Name+`\b`).MatchString(above) {
				says = append(says, above)
			}
			if c := line(f.Comment); c != "" {
				says = append(says, c)
			}
			out[typ+"."+n.Name] = strings.Join(says, " ")
		}
	}
}

func line(c *ast.CommentGroup) string {
	if c == nil {
		return ""
	}
	return strings.Join(strings.Fields(c.Text()), " ")
}

// undescribed are answers that tests of this package were given, and that the description has not.
var undescribed struct {
	sync.Mutex
	answers []string
}

// noteAnswer looks whether the description has an answer: its status and its type.
func noteAnswer(s *Server, r *http.Request, w *httptest.ResponseRecorder) {
	_, pattern := s.mux.Handler(r)
	o, routed := operations()[pattern]
	if redirected, cut := w.Code == http.StatusTemporaryRedirect, w.Body.Len() == 0; redirected || cut {
		return // the router's own answer; and a stream whose reader has gone
	}
	if !routed || pattern == "GET /{$}" || pattern == "GET /metrics" { // which stand-ins answer
		return
	}
	media, _, _ := strings.Cut(w.Header().Get("Content-Type"), ";")
	from := route{acts: slices.ContainsFunc(s.routed, func(r route) bool { return r.pattern == pattern && r.acts }), pattern: pattern, open: !strings.Contains(pattern, " /api/") && pattern != "GET /openapi.json", does: &o}
	a, told := from.answers()[w.Code]
	if told && (a.forms == nil && media == mediaProblem || slices.ContainsFunc(a.forms, func(f form) bool { return f.media == media })) {
		return
	}
	undescribed.Lock()
	defer undescribed.Unlock()
	undescribed.answers = append(undescribed.answers, fmt.Sprintf("%s answers %d of type %q: %.200s", pattern, w.Code, media, w.Body))
}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, a := range undescribed.answers {
		fmt.Println("not described:", a)
		code = 1
	}
	os.Exit(code)
}
