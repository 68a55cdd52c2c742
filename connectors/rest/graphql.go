package rest

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// graphqlSettings say that the service speaks GraphQL.
type graphqlSettings struct {
	Path string `yaml:"path" doc:"path of the endpoint below url; default: url itself. Everything is a POST to it; parameters of lists and look-ups are then variables, by dotted paths (options.filter.email.eq)"`
}

// operation is what an operation of an object type is asked with, where that is more than a path and parameters.
type operation struct {
	Body      strictyaml.Node `yaml:"body" doc:"the operation is a POST with this JSON body, for services that are asked in it (JSON-RPC, searches by a document): what it always holds, with {id} in a text where the call is about one object, and {etag} with etag: placed. Parameters are then dotted paths in it (filter.since, params.args.0.2); a number is an element of a list. Create and update have their document at wrap, a dotted path, too; what the body holds there already goes along: members beside and below the document's own, and elements of a list before those of pairs"`
	Query     string          `yaml:"query" doc:"graphql: the operation, with its variables: query ($id: ID!) { customer(id: $id) { id name } }"`
	Variables strictyaml.Node `yaml:"variables" doc:"graphql: values of variables that are always sent, with {id} in a text where the call is about one object; default there: {id: \"{id}\"}"`

	variables, body []byte // as JSON
}

// graphql is the Dialect of services that speak GraphQL over HTTP.
type graphql struct{ path string }

// operation gives the one that a call goes by.
func (c *Call) operation() *operation {
	switch c.Action {
	case ActGet:
		return &c.o.Get.operation
	case ActFind:
		if c.o.Find.Query != "" || c.o.Find.body != nil {
			return &c.o.Find.operation
		}
	case ActCreate:
		return &c.o.Create.operation
	case ActUpdate:
		return &c.o.Update.operation
	case ActDelete:
		return &c.o.Delete.operation
	}
	return &c.o.List.operation
}

// Put makes the POST of an operation.
func (g graphql) Put(c *Call) error {
	op := c.operation()
	if op.Query == "" {
		return c.Missing("query")
	}
	vars, err := filled(op.variables, c.ID)
	if err != nil {
		return err
	}
	for _, p := range c.Query {
		value := []byte(p.Value)
		if !slices.Contains(c.Counts, p.Name) {
			value = jsondoc.AppendString(nil, p.Value)
		}
		if vars, err = withValue(vars, p.Name, value); err != nil {
			return fmt.Errorf("variable %s: %w", p.Name, err)
		}
	}
	if c.Action == ActCreate || c.Action == ActUpdate {
		wrap := map[bool]string{true: c.o.Create.Wrap, false: c.o.Update.Wrap}[c.Action == ActCreate]
		if vars, err = withValue(vars, wrap, c.Body); err != nil {
			return fmt.Errorf("the document is no JSON: %w", err)
		}
	}
	body := jsondoc.AppendString([]byte(`{"query":`), op.Query)
	body = append(append(append(body, `,"variables":`...), vars...), '}')
	header := c.Header.Clone()
	if header == nil {
		header = http.Header{}
	}
	header.Set("Accept", "application/graphql-response+json, application/json;q=0.9")
	c.Request = httpclient.Request{Method: http.MethodPost, Path: g.path, Header: header, Body: body, ContentType: "application/json", Once: c.Once, Op: c.Op}
	return nil
}

// filled puts an id into the texts of variables.
func filled(vars []byte, id string) ([]byte, error) {
	if len(vars) == 0 {
		return []byte("{}"), nil
	}
	doc, err := jsondoc.Parse(vars, jsondoc.Limits{})
	if err != nil {
		return nil, err
	}
	return fill(nil, doc.Root(), places{id: id}), nil
}

// places are what stands in the texts of a body in braces.
type places struct {
	id string
	// number: a text that is nothing but the id becomes a number, where the id is one.
	number bool
	etag   string
	tagged bool // {etag} is a place
}

// fill puts an id, and a concurrency token, into the texts of a document.
func fill(dst []byte, v jsondoc.Value, p places) []byte {
	switch v.Kind() {
	case jsondoc.String:
		if _, err := strconv.ParseUint(p.id, 10, 64); p.number && err == nil && v.Str() == "{id}" {
			return append(dst, strings.TrimLeft(p.id[:len(p.id)-1], "0")+p.id[len(p.id)-1:]...)
		}
		said := put(v.Str(), "{id}", p.id)
		if p.tagged && v.Str() == "{etag}" { // alone: what an id holds is no place
			said = p.etag
		}
		return jsondoc.AppendString(dst, said)
	case jsondoc.Object:
		dst = append(dst, '{')
		for name, m := range v.Members() {
			if dst[len(dst)-1] != '{' {
				dst = append(dst, ',')
			}
			dst = fill(append(jsondoc.AppendString(dst, name), ':'), m, p)
		}
		return append(dst, '}')
	case jsondoc.Array:
		dst = append(dst, '[')
		for e := range v.Elements() {
			if dst[len(dst)-1] != '[' {
				dst = append(dst, ',')
			}
			dst = fill(dst, e, p)
		}
		return append(dst, ']')
	}
	return append(dst, v.Raw()...)
}

// Read: the answer is JSON as it is. One to a change that is none of GraphQL's does not say that it was made, whatever its status.
func (graphql) Read(c *Call, resp *httpclient.Response) error {
	if root := rootOf(resp); !c.reading() && root.Get("data").Kind() != jsondoc.Object && root.Get("errors").Len() == 0 {
		return errors.New("the answer holds neither data nor errors, as GraphQL's do")
	}
	return nil
}

// Wrong: types are JSON's.
func (graphql) Wrong(string, jsondoc.Value) error { return nil }

// None: null stands for an object that there is not, and nothing else does.
func (graphql) None(root jsondoc.Value, path string) bool {
	return at(root, path).Kind() == jsondoc.Null
}

// Probe asks for the name of the root type, which every schema has.
func (g graphql) Probe() httpclient.Request {
	return httpclient.Request{Method: http.MethodPost, Path: g.path, Body: []byte(`{"query":"{__typename}"}`), Safe: true}
}

// graphqlCodes are what the codes of widely used servers mean; errors.kinds stands before them.
var graphqlCodes = map[string]string{
	"UNAUTHENTICATED": "auth", "UNAUTHORIZED": "auth", "FORBIDDEN": "auth", "ACCESS_DENIED": "auth", "INVALID_CREDENTIALS_ERROR": "auth",
	"RATE_LIMITED": "rate-limited", "THROTTLED": "rate-limited", "TOO_MANY_REQUESTS": "rate-limited", "MAX_COST_EXCEEDED": "invalid",
	"BAD_USER_INPUT": "invalid", "GRAPHQL_VALIDATION_FAILED": "invalid", "GRAPHQL_PARSE_FAILED": "invalid", "USER_INPUT_ERROR": "invalid",
	"NOT_FOUND": "not-found", "ENTITY_NOT_FOUND": "not-found",
	"SERVICE_UNAVAILABLE": "unavailable", "SERVER_BUSY": "unavailable",
}

// Refused reads the errors of an answer: those of the protocol in errors, and those of the schema in data, where a mutation answers with a member of a union
// that is an error, or with a list of them beside the object.
func (graphql) Refused(c *Call, _ *httpclient.Response, root jsondoc.Value, failed bool) *Refusal {
	data := root.Get("data")
	if list := root.Get("errors"); list.Kind() == jsondoc.Array && list.Len() > 0 {
		r := protocolErrors(list, c.reading())
		if failed && r.Kind == "" {
			return r // the status says more
		}
		def(&r.Kind, "invalid")
		if !c.reading() && !failed && done(data) {
			r.Kind, r.Codes = "unknown-outcome", nil
			r.Text += " (GraphQL errors beside data: a part may be done)"
		}
		return r
	}
	if c.reading() {
		if c.Action != ActGet {
			return nil // what holds no list is refused anyway
		}
		return schemaError(at(root, c.o.Get.Item), c.o.ID)
	}
	for name, v := range data.Members() {
		if r := schemaError(v, c.o.ID); r != nil {
			if r.Text == "" {
				r.Text = fmt.Sprintf("%s answers with %s: %s", name, r.Codes[0], shown(v))
			}
			return r
		}
	}
	if c.Action == ActUpdate && !failed && c.o.Update.Item != "" && at(root, c.o.Update.Item).Kind() == jsondoc.Null {
		return &Refusal{Kind: "not-found", Text: "the answer holds null in place of the object"}
	}
	return nil
}

// done: an operation has given something.
func done(data jsondoc.Value) bool {
	if data.Kind() != jsondoc.Object {
		return false
	}
	for _, v := range data.Members() {
		if v.Exists() {
			return true
		}
	}
	return false
}

// protocolErrors reads the list at errors: the first code that means something counts. Kind is empty where none does.
func protocolErrors(list jsondoc.Value, reading bool) *Refusal {
	r := &Refusal{}
	var said []string
	for e := range list.Elements() {
		if text := e.Get("message").Str(); text != "" {
			said = append(said, text)
			def(&r.Field, coercedField(text))
		}
		ext := e.Get("extensions")
		for _, name := range []string{"code", "classification", "errorCode", "type"} {
			if code := text(ext.Get(name)); code != "" {
				r.Codes = append(r.Codes, code)
				def(&r.Kind, graphqlCodes[strings.ToUpper(code)])
				break
			}
		}
		for _, name := range []string{"field", "argumentName", "property"} {
			def(&r.Field, text(ext.Get(name)))
		}
	}
	r.Text = strings.Join(said, "; ")
	def(&r.Text, string(list.Raw()))
	if r.Kind == "" && slices.Contains(r.Codes, "INTERNAL_SERVER_ERROR") {
		r.Kind = map[bool]string{true: "unavailable", false: "unknown-outcome"}[reading]
	}
	return r
}

var (
	coercedAt  = regexp.MustCompile(`^Variable "\$[^"]*" got invalid value .* at "[^".]*\.([^"]+)"`)
	coercedNot = regexp.MustCompile(`^Variable "\$[^"]*" got invalid value .*; Field "([^"]+)" (?:of required type|is not defined)`)
)

// coercedField is the field in the words with which graphql-js, and what is made on it, refuses a variable.
func coercedField(text string) string {
	for _, re := range []*regexp.Regexp{coercedNot, coercedAt} {
		if m := re.FindStringSubmatch(text); m != nil {
			return m[1]
		}
	}
	return ""
}

// schemaError reads what one operation has given; nil: no error. What has an id is the object, whatever its other fields are called.
func schemaError(v jsondoc.Value, id string) *Refusal {
	if v.Kind() != jsondoc.Object || at(v, id).Exists() {
		return nil
	}
	name, code := v.Get("__typename").Str(), text(v.Get("errorCode"))
	if strings.HasSuffix(name, "Error") || strings.HasSuffix(name, "Errors") || code != "" {
		r := &Refusal{Text: v.Get("message").Str(), Field: fieldOf(v), Kind: "invalid"}
		for _, c := range []string{code, text(v.Get("code")), name} {
			if c != "" {
				r.Codes = append(r.Codes, c)
				if k := graphqlCodes[strings.ToUpper(c)]; k != "" {
					r.Kind = k
				}
			}
		}
		return r
	}
	for name, list := range v.Members() {
		if !strings.HasSuffix(name, "serErrors") && name != "errors" || list.Kind() != jsondoc.Array || list.Len() == 0 {
			continue // userErrors, customerUserErrors, errors
		}
		r := &Refusal{Kind: "invalid"}
		var said []string
		for e := range list.Elements() {
			if m := e.Get("message").Str(); m != "" {
				said = append(said, m)
			}
			if c := text(e.Get("code")); c != "" {
				r.Codes = append(r.Codes, c)
				if k := graphqlCodes[strings.ToUpper(c)]; k != "" {
					r.Kind = k
				}
			}
			def(&r.Field, fieldOf(e))
		}
		r.Text = strings.Join(said, "; ")
		def(&r.Text, string(list.Raw()))
		return r
	}
	return nil
}

// fieldOf is the field that an error names, as text or as the steps to it.
func fieldOf(e jsondoc.Value) string {
	for _, name := range []string{"field", "fieldName", "property"} {
		switch v := e.Get(name); v.Kind() {
		case jsondoc.String:
			return v.Str()
		case jsondoc.Array:
			var steps []string
			for step := range v.Elements() {
				steps = append(steps, text(step))
			}
			return strings.Join(steps, ".")
		}
	}
	return ""
}

// checkGraphQL completes the operations of an object type, and looks for what means nothing with them.
func (o *object) checkGraphQL(n strictyaml.Node, on bool, p *strictyaml.Problems) {
	type part struct {
		key  string
		op   *operation
		item string // what must be said beside the operation
		said string
	}
	parts := []part{
		{"get", &o.Get.operation, "item", o.Get.Item}, {"list", &o.List.operation, "items", o.List.Items}, {"find", &o.Find.operation, "", ""},
		{"create", &o.Create.operation, "item", o.Create.Item}, {"update", &o.Update.operation, "item", o.Update.Item}, {"delete", &o.Delete.operation, "", ""},
	}
	if o.List.IDs != nil {
		o.List.IDs.complete(n.Get("list").Get("ids"), false, on, p)
	}
	for _, part := range parts {
		at := n.Get(part.key)
		part.op.complete(at, part.key == "get" || part.key == "update" || part.key == "delete", on, p)
		if !on || part.op.Query == "" {
			continue
		}
		if part.item != "" && part.said == "" {
			p.AddHint(at.Pos(), "write for example "+part.item+": data.customer", "%s: where the answer holds it is not said", part.key)
		}
		if mutation := strings.HasPrefix(strings.TrimSpace(part.op.Query), "mutation"); mutation != (part.key == "create" || part.key == "update" || part.key == "delete") {
			p.AddHint(at.Get("query").Pos(), "reads are queries, and changes are mutations", "%s: this is the other kind of operation", part.key)
		}
	}
	if !on {
		return
	}
	if o.Find.Query == "" && n.Get("find").Has("variables") {
		p.AddHint(n.Get("find").Get("variables").Pos(), "add query to find, or remove them", "find: variables without a query of its own; the list's goes with the list's variables")
	}
	def(&o.Create.Wrap, "input")
	def(&o.Update.Wrap, "input")
	if o.List.Query == "" {
		p.AddHint(n.Pos(), "write the query that lists the objects below list", "list.query is missing: the object is read by polls and lists")
	}
	for _, key := range []string{"create", "update"} {
		if n.Get(key).Has("bulk") {
			p.Add(n.Get(key).KeyPos("bulk"), "bulk means nothing with graphql")
		}
	}
	if n.Get("list").Has("conditional") {
		p.Add(n.Get("list").KeyPos("conditional"), "conditional means nothing with graphql: an answer has no ETag")
	}
	if o.ETag == "header" || o.ETag == "field" {
		p.AddHint(n.Get("etag").Pos(), "only body: the token is a field of the input", "etag: no header goes to an object with graphql")
	}
	if o.Update.Style == "put" {
		p.AddHint(n.Get("update").Get("style").Pos(), "remove it", "style: put means nothing with graphql")
	}
	if style := o.List.Paging.Style; style == "next-url" || style == "link" {
		p.AddHint(n.Get("list").Get("paging").Get("style").Pos(), "write cursor, offset or page", "style: %s means nothing with graphql", style)
	}
	for _, at := range []strictyaml.Node{n, n.Get("get"), n.Get("list"), n.Get("find"), n.Get("create"), n.Get("update"), n.Get("delete")} {
		for _, key := range []string{"path", "method"} {
			if at.Has(key) {
				p.AddHint(at.KeyPos(key), "remove it: everything is a POST to graphql.path", "%s means nothing with graphql", key)
			}
		}
	}
}

// complete reads the variables; one: the operation is about one object.
func (op *operation) complete(n strictyaml.Node, one, on bool, p *strictyaml.Problems) {
	switch {
	case !on && (op.Query != "" || n.Has("variables")):
		p.AddHint(n.Pos(), "add graphql: {} to the system, or remove it", "%s: query and variables are for services that speak GraphQL", n.Key())
	case n.Has("variables") && op.Variables.Kind() != strictyaml.Map:
		p.AddHint(n.Get("variables").Pos(), "write for example {sort: {updatedAt: ASC}}", "variables: this is no mapping")
	case n.Has("variables"):
		op.variables, _ = op.Variables.AppendJSON(nil, p)
	case one:
		op.variables = []byte(`{"id":"{id}"}`)
	}
	if op.Query != "" {
		if err := balanced(op.Query); err != nil {
			p.Add(n.Get("query").Pos(), "query: %s", err)
		}
	}
}

// balanced looks for what a half copied operation looks like; the service reads the rest.
func balanced(query string) error {
	depth := 0
	for _, r := range query {
		switch r {
		case '{':
			depth++
		case '}':
			depth--
		}
		if depth < 0 {
			return errors.New("a brace is closed that was not opened")
		}
	}
	if depth != 0 || !strings.Contains(query, "{") {
		return errors.New("a brace is not closed, or there is none")
	}
	return nil
}
