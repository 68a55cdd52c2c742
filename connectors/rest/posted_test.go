package rest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/connector/connectortest"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// jshop is the shop behind the two ways in which Odoo is called, as far as its documents describe them: JSON-RPC's execute_kw (one address, every answer a 200, refusals are errors
// with the name of a class), and JSON-2 (a path for each method, arguments by name, statuses). Ids are numbers. It is a stand-in.
type jshop struct {
	*shop
	last string // the last body
}

func newJShop(t testing.TB) *jshop {
	g := &jshop{shop: &shop{paging: "offset", size: 3, byVersion: true, items: map[string]map[string]any{}, zone: time.UTC}}
	srv := httptest.NewServer(g)
	t.Cleanup(srv.Close)
	g.url = srv.URL
	return g
}

func (g *jshop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if g.refuse != nil && g.refuse(w, r) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if r.Method == http.MethodGet {
		fmt.Fprint(w, `{}`)
		return
	}
	var call struct {
		Params struct {
			Service, Method string
			Args            []json.RawMessage
		}
	}
	var body strings.Builder
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20))
	d.UseNumber()
	var raw json.RawMessage
	if err := d.Decode(&raw); err != nil || json.Unmarshal(raw, &call) != nil {
		g.error(w, "werkzeug.exceptions.BadRequest", "no JSON-RPC")
		return
	}
	body.Write(raw)
	g.mu.Lock()
	g.last = body.String()
	g.mu.Unlock()
	if method, ok := strings.CutPrefix(r.URL.Path, "/json/2/item/"); ok {
		g.named(w, r, method, raw)
		return
	}
	a := call.Params.Args
	text := func(i int) (s string) {
		if i < len(a) {
			_ = json.Unmarshal(a[i], &s)
		}
		return s
	}
	if call.Params.Service != "object" || call.Params.Method != "execute_kw" || len(a) < 6 || text(3) != "item" {
		g.error(w, "builtins.TypeError", "no such method")
		return
	}
	if text(2) != key {
		g.error(w, "odoo.exceptions.AccessDenied", "who is "+text(2)+"?")
		return
	}
	var args []any
	var kw map[string]any
	decode := func(raw json.RawMessage, into any) {
		d := json.NewDecoder(strings.NewReader(string(raw)))
		d.UseNumber()
		_ = d.Decode(into)
	}
	decode(a[5], &args)
	if len(a) > 6 {
		decode(a[6], &kw)
	}
	g.execute(w, text(4), args, kw)
}

// named is a call of JSON-2, made one of JSON-RPC's; what is answered is put in the other form.
func (g *jshop) named(w http.ResponseWriter, r *http.Request, method string, raw []byte) {
	if r.Header.Get("Authorization") != "Bearer "+key {
		w.WriteHeader(401)
		fmt.Fprint(w, `{"name":"werkzeug.exceptions.Unauthorized","message":"Invalid apikey","arguments":["Invalid apikey",401],"context":{},"debug":"Traceback …"}`)
		return
	}
	var kw map[string]any
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	_ = d.Decode(&kw)
	args := map[string][]any{"search_read": {kw["domain"]}, "read": {kw["ids"]}, "write": {kw["ids"], kw["vals"]}, "unlink": {kw["ids"]}}[method]
	if list, ok := kw["vals_list"].([]any); ok && method == "create" && len(list) == 1 {
		args = []any{list[0]}
	}
	if args == nil {
		w.WriteHeader(404)
		fmt.Fprint(w, `{"name":"werkzeug.exceptions.NotFound","message":"the method does not exist"}`)
		return
	}
	rec := httptest.NewRecorder()
	g.execute(rec, method, args, kw)
	var answer struct {
		Result json.RawMessage
		Error  *struct{ Data json.RawMessage }
	}
	_ = json.Unmarshal(rec.Body.Bytes(), &answer)
	switch {
	case answer.Error != nil:
		w.WriteHeader(422)
		_, _ = w.Write(answer.Error.Data)
	case method == "create":
		fmt.Fprintf(w, "[%s]", answer.Result)
	default:
		_, _ = w.Write(answer.Result)
	}
}

func (g *jshop) error(w http.ResponseWriter, class, text string) {
	fmt.Fprintf(w, `{"jsonrpc":"2.0","id":null,"error":{"code":200,"message":"Odoo Server Error","data":{"name":%q,"debug":"Traceback (most recent call last): …","message":%q,"arguments":[%q],"context":{}}}}`, class, text, text)
}

var jclasses = map[string]string{"DUPLICATE": "psycopg2.errors.UniqueViolation", "DUPLICATE_CODE": "odoo.exceptions.ValidationError", "GONE": "odoo.exceptions.MissingError", "STALE": "odoo.addons.item.Stale"}

// put answers with what the shop has said.
func (g *jshop) put(w http.ResponseWriter, rec *httptest.ResponseRecorder, result func(raw string) string) {
	raw := rec.Body.String()
	if rec.Code >= 400 {
		var f struct {
			Error struct{ Code, Message string }
		}
		_ = json.Unmarshal([]byte(raw), &f)
		g.error(w, jclasses[f.Error.Code], f.Error.Message)
		return
	}
	fmt.Fprintf(w, `{"jsonrpc":"2.0","id":null,"result":%s}`, result(strings.TrimSpace(raw)))
}

var textID = regexp.MustCompile(`"id":"(\d+)"`)

// odoos is an object as Odoo shows it: its id is a number.
func odoos(raw string) string { return textID.ReplaceAllString(raw, `"id":$1`) }

func (g *jshop) execute(w http.ResponseWriter, method string, args []any, kw map[string]any) {
	rec := httptest.NewRecorder()
	ids := func() string { // the list of one id
		list, _ := args[0].([]any)
		if len(list) != 1 {
			return ""
		}
		n, _ := list[0].(json.Number)
		return n.String()
	}
	switch method {
	case "create":
		doc, _ := args[0].(map[string]any)
		g.create(rec, doc)
		g.put(w, rec, func(raw string) string {
			var m struct{ ID string }
			_ = json.Unmarshal([]byte(raw), &m)
			return m.ID
		})
	case "write":
		vals, _ := args[1].(map[string]any)
		vals = maps.Clone(vals)
		r := httptest.NewRequest("PATCH", "/", nil)
		if lock, ok := vals["lock"].(json.Number); ok {
			r.Header.Set("If-Match", fmt.Sprintf("\"v%s\"", lock))
		}
		delete(vals, "lock")
		g.update(rec, r, ids(), vals)
		g.put(w, rec, func(string) string { return "true" })
	case "unlink":
		g.remove(rec, nil, ids())
		g.put(w, rec, func(string) string { return "true" })
	case "read":
		g.get(rec, ids())
		if rec.Code == 404 {
			fmt.Fprint(w, `{"jsonrpc":"2.0","id":null,"result":[]}`)
			return
		}
		g.put(w, rec, func(raw string) string { return "[" + odoos(raw) + "]" })
	case "search_read":
		q := url.Values{}
		domain, _ := args[0].([]any)
		for _, term := range domain {
			t, _ := term.([]any)
			if len(t) != 3 {
				g.error(w, "builtins.ValueError", fmt.Sprintf("Invalid leaf %v", term))
				return
			}
			switch field, value := fmt.Sprint(t[0]), fmt.Sprint(t[2]); {
			case field == "updatedAt" && value != "":
				q.Set("since", value)
			case field != "updatedAt" && value != "":
				q.Set(field, value)
			}
		}
		for _, name := range []string{"offset", "limit"} {
			if n, ok := kw[name].(json.Number); ok {
				q.Set(name, n.String())
			}
		}
		g.list(rec, httptest.NewRequest("GET", "/?"+q.Encode(), nil))
		g.put(w, rec, func(raw string) string {
			var page struct{ Items []json.RawMessage }
			_ = json.Unmarshal([]byte(raw), &page)
			all := []string{}
			for _, it := range page.Items {
				all = append(all, odoos(string(it)))
			}
			return "[" + strings.Join(all, ",") + "]"
		})
	default:
		g.error(w, "builtins.AttributeError", "the method "+method+" does not exist")
	}
}

func postedConfig(address string) string {
	call := func(method, args, kw string) string {
		return fmt.Sprintf(`{jsonrpc: "2.0", method: call, params: {service: object, method: execute_kw, args: [db, 2, "${env:SHOP_KEY}", item, %s, %s, %s]}}`, method, args, kw)
	}
	return `connector: rest
url: ` + address + `
errors:
  code: error.data.name
  message: error.data.message
  kinds:
    odoo.exceptions.AccessDenied: auth
    odoo.exceptions.MissingError: not-found
    odoo.exceptions.ValidationError: duplicate
    psycopg2.errors.UniqueViolation: duplicate
    odoo.addons.item.Stale: conflict
objects:
  item:
    path: /jsonrpc
    id-type: number
    external-id: externalId
    version: updatedAt
    etag: body
    etag-field: lock
    get: {body: ` + call("read", `[["{id}"]]`, "{}") + `, item: result.0}
    find:
      body: ` + call("search_read", `[[]]`, "{limit: 100}") + `
      external: {params.args.5.0.0.0: externalId, params.args.5.0.0.1: "=", params.args.5.0.0.2: "{external}"}
      natural: {params.args.5.0.0.0: code, params.args.5.0.0.1: "=", params.args.5.0.0.2: "{code}"}
    list:
      body: ` + call("search_read", `[[[updatedAt, ">=", ""]]]`, "{order: \"updatedAt, id\"}") + `
      items: result
      paging: {style: offset, parameter: params.args.6.offset, size-parameter: params.args.6.limit}
      changed-since: {parameter: params.args.5.0.0.2, format: rfc3339-ms}
    create: {body: ` + call("create", `[{}]`, "{}") + `, wrap: params.args.5.0, answer-id: result, answer: partial}
    update: {body: ` + call("write", `[["{id}"], {}]`, "{}") + `, wrap: params.args.5.1, answer: partial}
    delete: {body: ` + call("unlink", `[["{id}"]]`, "{}") + `, success: {path: result, in: [true]}}
`
}

func namedConfig(address string) string {
	return `connector: rest
url: ` + address + `
auth: {bearer: "${env:SHOP_KEY}"}
errors:
  code: name
  message: message
  kinds:
    odoo.exceptions.AccessDenied: auth
    odoo.exceptions.MissingError: not-found
    odoo.exceptions.ValidationError: duplicate
    psycopg2.errors.UniqueViolation: duplicate
    odoo.addons.item.Stale: conflict
objects:
  item:
    id-type: number
    external-id: externalId
    version: updatedAt
    etag: body
    etag-field: lock
    get: {path: json/2/item/read, body: {ids: ["{id}"]}, item: "0"}
    find:
      path: json/2/item/search_read
      body: {domain: []}
      external: {domain.0.0: externalId, domain.0.1: "=", domain.0.2: "{external}"}
      natural: {domain.0.0: code, domain.0.1: "=", domain.0.2: "{code}"}
    list:
      path: json/2/item/search_read
      body: {domain: [[updatedAt, ">=", ""]], order: "updatedAt, id"}
      paging: {style: offset, size-parameter: limit}
      changed-since: {parameter: domain.0.2, format: rfc3339-ms}
    create: {path: json/2/item/create, body: {vals_list: []}, wrap: vals_list.0, answer-id: "0", answer: partial}
    update: {path: json/2/item/write, body: {ids: ["{id}"], vals: {}}, wrap: vals, answer: partial}
    delete: {path: json/2/item/unlink, body: {ids: ["{id}"]}}
`
}

func TestPostedConformance(t *testing.T) {
	for name, config := range map[string]func(string) string{"json-rpc": postedConfig, "json-2": namedConfig} {
		t.Run(name, func(t *testing.T) {
			connectortest.Run(t, func(t *testing.T) *connectortest.Subject { return postedSubject(t, config, name == "json-2") })
		})
	}
}

func postedSubject(t *testing.T, config func(string) string, named bool) *connectortest.Subject {
	g := newJShop(t)
	s := subject(t, g.shop, settingsOf(t, config(g.url)))
	refuse := func(class, text string) {
		g.refuse = func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Type", "application/json")
			if named {
				w.WriteHeader(422)
				fmt.Fprintf(w, `{"name":%q,"message":%q}`, class, text)
				return true
			}
			g.error(w, class, text)
			return true
		}
	}
	s.Refusals = nil
	if !named {
		s.Refusals = []connectortest.Refusal{{Name: "an error of JSON-RPC", Text: "the period is closed", Arrange: func(testing.TB) { refuse("odoo.exceptions.UserError", "the period is closed") }}}
	}
	said := func(name, class string, want fault.Kind, duplicate bool) connectortest.Fault {
		return connectortest.Fault{Name: name, Want: want, Duplicate: duplicate, Arrange: func(testing.TB, *connector.Settings) { refuse(class, "no") }}
	}
	s.Probes = []connectortest.Probe{
		{Name: "well"},
		{Name: "503 to everything", Want: fault.Unavailable, Create: fault.Unavailable, Text: "closed for the night", Arrange: func(testing.TB, *connector.Settings) {
			g.refuse = func(w http.ResponseWriter, r *http.Request) bool {
				fail(w, 503, "X", "closed for the night")
				return true
			}
		}},
		{Name: "connection refused", Want: fault.Unavailable, Create: fault.Unavailable, Text: "refused", Arrange: func(t testing.TB, set *connector.Settings) {
			*set = settingsOf(t, config("http://127.0.0.1:1"))
		}},
	}
	s.Faults = append(s.Faults[:len(s.Faults)-1],
		said("forbidden", "odoo.exceptions.AccessDenied", fault.Auth, false),
		said("a duplicate", "psycopg2.errors.UniqueViolation", fault.Conflict, true),
		said("another class", "odoo.exceptions.UserError", fault.Invalid, false),
	)
	return s
}

// TestPostedBodies: what is sent, to the letter.
func TestPostedBodies(t *testing.T) {
	g := newJShop(t)
	sys, err := Kind{}.Open(t.Context(), settingsOf(t, postedConfig(g.url)))
	if err != nil {
		t.Fatal(err)
	}
	defer sys.Close()
	const before = `{"jsonrpc":"2.0","method":"call","params":{"service":"object","method":"execute_kw","args":["db",2,"` + key + `","item",`
	sent := func(what, want string) {
		t.Helper()
		if g.last != before+want+"]}}" {
			t.Errorf("%s sends\n%s, want\n%s", what, strings.TrimPrefix(g.last, before), want)
		}
	}
	find := sys.(connector.Finder)
	if _, err := find.Find(t.Context(), connector.Lookup{Object: "item", Natural: map[string]string{"code": `a"b`}}); err != nil {
		t.Fatal(err)
	}
	sent("a look-up", `"search_read",[[["code","=","a\"b"]]],{"limit":100,"offset":0}`)
	id := g.outside(1, 1, time.Now())
	if _, err := sys.(connector.Sink).Write(t.Context(), connector.Write{Object: "item", Action: connector.Update, Local: id, ETag: "1", Doc: []byte(`{"price":0.10,"note":null}`)}); err != nil {
		t.Fatal(err)
	}
	sent("an update", `"write",[[`+id+`],{"price":0.10,"note":null,"lock":1}],{}`)
	if _, err := find.Find(t.Context(), connector.Lookup{Object: "item", Local: id}); err != nil {
		t.Fatal(err)
	}
	sent("a read", `"read",[[`+id+`]],{}`)
	if found, err := find.Find(t.Context(), connector.Lookup{Object: "item", Local: "00x"}); err == nil && len(found) > 0 {
		t.Error("an id that is no number is found")
	}
	sent("a read of what is no number", `"read",[["00x"]],{}`)
}

// TestPlaced: a value stands where its path says, and everything else as it was.
func TestPlaced(t *testing.T) {
	for _, c := range []struct{ doc, path, want, fails string }{
		{`{}`, "a", `{"a":7}`, ""},
		{`{}`, "a.b.0.c", `{"a":{"b":[{"c":7}]}}`, ""},
		{`{"a":[1,[2,3],4]}`, "a.1.1", `{"a":[1,[2,7],4]}`, ""},
		{`{"a":[1,[2,3],4]}`, "a.3", `{"a":[1,[2,3],4,7]}`, ""},
		{`[]`, "0", `[7]`, ""},
		{`{"a":null}`, "a.b", `{"a":{"b":7}}`, ""},
		{`{"a":{"x":0.10},"b":1}`, "a.x", `{"a":{"x":7},"b":1}`, ""},
		{`{"a":[1]}`, "a.2", "", "1 elements"},
		{`{"a":[1]}`, "a.x", "", "none of them"},
		{`{"a":"text"}`, "a.x", "", "inside"},
	} {
		got, err := placed([]byte(c.doc), c.path, []byte("7"))
		if c.fails != "" {
			if err == nil || !strings.Contains(err.Error(), c.fails) {
				t.Errorf("%s at %s: %s %v", c.doc, c.path, got, err)
			}
		} else if err != nil || string(got) != c.want {
			t.Errorf("%s at %s: %s %v, want %s", c.doc, c.path, got, err, c.want)
		}
	}
}

// TestPlacedIsFound: what was put somewhere is found there, whatever texts the names and values are.
func TestPlacedIsFound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-j"\\é{}]{1,6}`) // none of the names that the document has: its lists take no names
		doc, steps := []byte(`{"list":[{"k":[]}],"other":{"x":[1,2]}}`), []string{}
		for range rapid.IntRange(1, 3).Draw(t, "depth") {
			steps = append(steps, name.Draw(t, "step"))
		}
		prefix := rapid.SampledFrom([]string{"", "list.0.", "list.0.k.0.", "list.1.", "other."}).Draw(t, "below")
		path := prefix + strings.Join(steps, ".")
		value := jsondoc.AppendString(nil, rapid.String().Draw(t, "value"))
		out, err := placed(doc, path, value)
		if err != nil {
			t.Fatal(err)
		}
		d, err := jsondoc.Parse(out, jsondoc.Limits{})
		if err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		if got := at(d.Root(), path); string(got.Raw()) != string(value) {
			t.Fatalf("%s holds %s at %s, want %s", out, got.Raw(), path, value)
		}
		if got := at(d.Root(), "other.x"); prefix != "other." && string(got.Raw()) != "[1,2]" {
			t.Fatalf("%s: something else has changed", out)
		}
	})
}

func TestPostedSettings(t *testing.T) {
	refuses(t, postedConfig("http://odoo.example.com"), map[string]mistake{
		"no wrap":         {", wrap: params.args.5.0, answer-id", ", answer-id", "create: where the document stands in the body is not said"},
		"a method":        {"    create: {body", "    create: {method: PUT, body", "method means nothing with body"},
		"links":           {"style: offset, parameter: params.args.6.offset, size-parameter: params.args.6.limit", "style: link", "style: link means nothing"},
		"put":             {"    update: {body", "    update: {style: put, body", "style: put means nothing with body"},
		"no body":         {"    delete: {body: ", "    delete: {body: 7, success: {path: x}}\n    x: {y: ", "neither a mapping nor a list"},
		"with graphql":    {"errors:", "graphql: {}\nerrors:", "body means nothing with graphql"},
		"id of no type":   {"id-type: number", "id-type: uuid", "uuid"},
		"conditional":     {"      items: result\n", "      items: result\n      conditional: true\n", "conditional means nothing"},
		"two ids in path": {"get: {body", "get: {path: \"/x/{key}\", body", "{key} is unknown"},
	})
}
