package rest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/connector/connectortest"
	"github.com/waybill-hub/waybill/internal/fault"
)

// gshop is the shop behind GraphQL: one endpoint, every answer a 200, refusals as members of a union. Vendure, a real one, is in vendure_test.go.
type gshop struct {
	*shop
	// say answers an operation in place of the shop, where it gives something.
	say func(query string) string
	// last is the last request.
	last struct {
		Query     string
		Variables map[string]any
	}
}

func newGShop(t testing.TB, paging string) *gshop {
	g := &gshop{shop: &shop{paging: paging, size: 3, items: map[string]map[string]any{}, zone: time.UTC}}
	srv := httptest.NewServer(g)
	t.Cleanup(srv.Close)
	g.url = srv.URL
	return g
}

func (g *gshop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if g.refuse != nil && g.refuse(w, r) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if r.Header.Get("X-Key") != key {
		fmt.Fprintf(w, `{"errors":[{"message":"who is %s?","extensions":{"code":"UNAUTHENTICATED"}}],"data":null}`, r.Header.Get("X-Key"))
		return
	}
	d := json.NewDecoder(r.Body)
	d.UseNumber()
	g.mu.Lock()
	g.last.Variables = nil
	err := d.Decode(&g.last)
	query, vars := g.last.Query, g.last.Variables
	g.mu.Unlock()
	if err != nil || r.Method != http.MethodPost || r.URL.Path != "/api/graphql" {
		w.WriteHeader(400)
		fmt.Fprintf(w, `{"errors":[{"message":"%s %s is no operation","extensions":{"code":"GRAPHQL_PARSE_FAILED"}}]}`, r.Method, r.URL.Path)
		return
	}
	if g.say != nil {
		if said := g.say(query); said != "" {
			fmt.Fprint(w, said)
			return
		}
	}
	g.operate(w, query, vars)
}

func (g *gshop) operate(w http.ResponseWriter, query string, vars map[string]any) {
	id, _ := vars["id"].(string)
	input, _ := vars["input"].(map[string]any)
	rec := httptest.NewRecorder()
	put := func(field, pass string) {
		raw := rec.Body.String()
		switch {
		case rec.Code == 204:
			raw = `{"result":"DELETED"}`
		case rec.Code >= 400:
			var f struct {
				Error struct{ Code, Message string }
			}
			_ = json.Unmarshal([]byte(raw), &f)
			raw = fmt.Sprintf(`{"__typename":"RefusedError","errorCode":%q,"message":%q}`, f.Error.Code, f.Error.Message)
			if rec.Code == 404 && pass == "null" {
				raw = "null"
			}
		}
		fmt.Fprintf(w, `{"data":{%q:%s}}`, field, strings.TrimSpace(raw))
	}
	switch {
	case strings.Contains(query, "createItem"):
		g.create(rec, input)
		put("createItem", "")
	case strings.Contains(query, "updateItem"):
		r := httptest.NewRequest("PATCH", "/", nil)
		if lock, ok := input["lock"].(json.Number); ok {
			r.Header.Set("If-Match", fmt.Sprintf("\"v%s\"", lock))
		}
		id, _ = input["id"].(string)
		doc := maps.Clone(input)
		delete(doc, "id")
		delete(doc, "lock")
		g.update(rec, r, id, doc)
		put("updateItem", "")
	case strings.Contains(query, "deleteItem"):
		g.remove(rec, nil, id)
		put("deleteItem", "")
	case strings.Contains(query, "item("):
		g.get(rec, id)
		put("item", "null")
	case strings.Contains(query, "items("):
		q := url.Values{}
		for _, from := range []string{"options", "filter"} {
			fields, _ := vars[from].(map[string]any)
			for name, v := range fields {
				if name == "sort" {
					continue
				}
				if _, text := v.(string); text == (name == "offset" || name == "page" || name == "take") {
					fmt.Fprintf(w, `{"errors":[{"message":"Variable \"$%s\" got invalid value %v at \"%s.%s\"; wrong type"}]}`, from, v, from, name)
					return
				}
				q.Set(name, fmt.Sprint(v))
			}
		}
		g.list(rec, httptest.NewRequest("GET", "/?"+q.Encode(), nil))
		put("items", "")
	default:
		fmt.Fprint(w, `{"data":{"__typename":"Query"}}`)
	}
}

func graphqlConfig(url, paging string) string {
	size := "size-parameter: options.take, "
	if paging == "page" {
		size = "" // the shop has a size of its own, and pages of other sizes stand elsewhere
	}
	return `connector: rest
url: ` + url + `
auth: {api-key: {header: X-Key, value: "${env:SHOP_KEY}"}}
graphql: {path: api/graphql}
errors: {kinds: {DUPLICATE: duplicate, DUPLICATE_CODE: duplicate, GONE: not-found, STALE: conflict, SLOW_DOWN: rate-limited}}
objects:
  item:
    external-id: externalId
    version: updatedAt
    etag: body
    etag-field: lock
    get: {query: "query ($id: ID!) { item(id: $id) { id code name } }", item: data.item}
    find:
      external: {filter.externalId: "{external}"}
      natural: {filter.code: "{code}"}
    list:
      query: "query ($options: Options, $filter: Filter) { items(options: $options, filter: $filter) { items { id code name } next } }"
      variables: {options: {sort: {id: ASC}}}
      items: data.items.items
      paging: {style: ` + paging + `, parameter: options.` + paging + `, ` + size + `next: data.items.next}
      changed-since: {parameter: filter.since, format: rfc3339-ms}
      ids: {query: "query ($options: Options) { items(options: $options) { items { id } next } }"}
    create: {query: "mutation ($input: NewItem!) { createItem(input: $input) { __typename ... on Item { id } ... on Refused { errorCode message } } }", item: data.createItem}
    update:
      query: "mutation ($input: ChangedItem!) { updateItem(input: $input) { __typename ... on Item { id } ... on Refused { errorCode message } } }"
      variables: {input: {id: "{id}"}}
      item: data.updateItem
    delete: {query: "mutation ($id: ID!) { deleteItem(id: $id) { result errorCode message } }", success: {path: data.deleteItem.result, in: [DELETED]}}
`
}

func TestGraphQLConformance(t *testing.T) {
	for _, paging := range []string{"offset", "page", "cursor"} {
		t.Run(paging, func(t *testing.T) {
			connectortest.Run(t, func(t *testing.T) *connectortest.Subject {
				g := newGShop(t, paging)
				g.byVersion = paging == "offset"
				s := subject(t, g.shop, settingsOf(t, graphqlConfig(g.url, paging)))
				s.Refusals = []connectortest.Refusal{{Name: "a member of a union", Text: "the period is closed", Arrange: func(testing.TB) {
					g.say = func(query string) string {
						if !strings.HasPrefix(query, "mutation") {
							return ""
						}
						return `{"data":{"createItem":{"__typename":"PeriodClosedError","message":"the period is closed"}}}`
					}
				}}}
				s.Probes = graphqlProbes(g, paging)
				said := func(name, answer string, want fault.Kind, duplicate bool) connectortest.Fault {
					return connectortest.Fault{Name: name, Want: want, Duplicate: duplicate, Arrange: func(testing.TB, *connector.Settings) { g.say = func(string) string { return answer } }}
				}
				s.Faults = append(s.Faults[:len(s.Faults)-1],
					said("forbidden", `{"errors":[{"message":"no","extensions":{"code":"FORBIDDEN"}}],"data":null}`, fault.Auth, false),
					said("throttled", `{"errors":[{"message":"later","extensions":{"code":"THROTTLED"}}]}`, fault.RateLimited, false),
					said("a code of the settings", `{"errors":[{"message":"later","extensions":{"code":"SLOW_DOWN"}}]}`, fault.RateLimited, false),
					said("a failure inside", `{"errors":[{"message":"oops","extensions":{"code":"INTERNAL_SERVER_ERROR"}}],"data":null}`, fault.UnknownOutcome, false),
					said("errors beside data", `{"errors":[{"message":"no price","extensions":{"code":"FORBIDDEN"}}],"data":{"createItem":{"id":"7"}}}`, fault.UnknownOutcome, false),
					said("a duplicate in a union", `{"data":{"createItem":{"__typename":"TakenError","errorCode":"DUPLICATE","message":"taken"}}}`, fault.Conflict, true),
					said("an object of which nothing was asked", `{"data":{"createItem":{}}}`, fault.UnknownOutcome, false),
				)
				return s
			})
		})
	}
}

func graphqlProbes(g *gshop, paging string) []connectortest.Probe {
	mutations := func(status int) func(testing.TB, *connector.Settings) {
		return func(testing.TB, *connector.Settings) {
			g.say = func(query string) string {
				if strings.HasPrefix(query, "mutation") {
					return `{"errors":[{"message":"not you","extensions":{"code":"SERVICE_UNAVAILABLE"}}]}`
				}
				return ""
			}
		}
	}
	return []connectortest.Probe{
		{Name: "well"},
		{Name: "503 to everything", Want: fault.Unavailable, Create: fault.Unavailable, Text: "closed for the night", Arrange: func(testing.TB, *connector.Settings) {
			g.refuse = func(w http.ResponseWriter, r *http.Request) bool {
				fail(w, 503, "X", "closed for the night")
				return true
			}
		}},
		{Name: "mutations are not taken", Create: fault.Unavailable, Arrange: mutations(503)},
		{Name: "connection refused", Want: fault.Unavailable, Create: fault.Unavailable, Text: "refused", Arrange: func(t testing.TB, set *connector.Settings) {
			*set = settingsOf(t, graphqlConfig("http://127.0.0.1:1", paging))
		}},
	}
}

// TestGraphQLErrors: what becomes of an answer, by its content.
func TestGraphQLErrors(t *testing.T) {
	for name, c := range map[string]struct {
		answer      string
		kind        fault.Kind
		field, text string
	}{
		"a list of user errors":   {`{"data":{"createItem":{"item":null,"userErrors":[{"field":["input","code"],"code":"BLANK","message":"Code can't be blank"}]}}}`, fault.Invalid, "input.code", "can't be blank"},
		"a variable's type":       {`{"errors":[{"message":"Variable \"$input\" got invalid value 12 at \"input.phone\"; String cannot represent a non string value: 12","extensions":{"code":"BAD_USER_INPUT"}}]}`, fault.Invalid, "phone", "cannot represent"},
		"a variable's field":      {`{"errors":[{"message":"Variable \"$input\" got invalid value { a: 1 }; Field \"email\" of required type \"String!\" was not provided."}]}`, fault.Invalid, "email", "was not provided"},
		"a field that is not":     {`{"errors":[{"message":"Variable \"$input\" got invalid value { mail: 1 }; Field \"mail\" is not defined by type \"NewItem\". Did you mean \"email\"?"}]}`, fault.Invalid, "mail", "Did you mean"},
		"an error and its field":  {`{"data":{"createItem":{"__typename":"ValidationError","field":"price","message":"too low"}}}`, fault.Invalid, "price", "too low"},
		"an entity that is gone":  {`{"errors":[{"message":"No Item with the id 9","extensions":{"code":"ENTITY_NOT_FOUND"}}],"data":null}`, fault.NotFound, "", "No Item"},
		"no code, under 429":      {`429{"errors":[{"message":"slowly"}]}`, fault.RateLimited, "", "slowly"},
		"null for the object":     {`{"data":{"updateItem":null}}`, fault.NotFound, "", "null in place of the object"},
		"null beside user errors": {`{"data":{"updateItem":null,"audit":{"userErrors":[{"message":"a note is missing"}]}}}`, fault.Invalid, "", "a note is missing"},
		"no data":                 {`{"data":null}`, fault.UnknownOutcome, "", "neither data nor errors"},
		"nothing of GraphQL":      {`{"ok":true}`, fault.UnknownOutcome, "", "neither data nor errors"},
		"no answer":               {` `, fault.UnknownOutcome, "", "neither data nor errors"},
		"no code at all":          {`{"errors":[{"message":"boom"}]}`, fault.Invalid, "", "boom"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGShop(t, "offset")
			sys, err := Kind{}.Open(t.Context(), settingsOf(t, graphqlConfig(g.url, "offset")))
			if err != nil {
				t.Fatal(err)
			}
			defer sys.Close()
			g.say = func(string) string { return c.answer }
			if body, found := strings.CutPrefix(c.answer, "429"); found {
				g.refuse = func(w http.ResponseWriter, _ *http.Request) bool {
					w.WriteHeader(http.StatusTooManyRequests)
					fmt.Fprint(w, body)
					return true
				}
			}
			_, err = sys.(connector.Sink).Write(t.Context(), connector.Write{Object: "item", Action: connector.Update, Local: "7", Doc: []byte(`{"code":"x"}`)})
			f, _ := fault.As(err)
			if f == nil || f.Kind != c.kind || f.Field != c.field || !strings.Contains(f.Error(), c.text) {
				t.Errorf("got %v (%+v)", err, f)
			}
		})
	}
}

// TestGraphQLReadErrors: an error in place of an object is no object, and an object with a field that errors have is none of them.
func TestGraphQLReadErrors(t *testing.T) {
	g := newGShop(t, "offset")
	sys, err := Kind{}.Open(t.Context(), settingsOf(t, graphqlConfig(g.url, "offset")))
	if err != nil {
		t.Fatal(err)
	}
	defer sys.Close()
	find := func(answer string) ([]connector.Record, error) {
		g.say = func(string) string { return answer }
		return sys.(connector.Finder).Find(t.Context(), connector.Lookup{Object: "item", Local: "7"})
	}
	if found, err := find(`{"data":{"item":{"__typename":"NoAccessError","message":"not yours"}}}`); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "not yours") {
		t.Errorf("an error in place of an object: %v %v", found, err)
	}
	if found, err := find(`{"data":{"item":{"id":"7","errorCode":"E1","errors":[{"message":"of last week"}]}}}`); err != nil || len(found) != 1 {
		t.Errorf("an object that has errors: %v %v", found, err)
	}
	if found, err := find(`{"data":{"item":{"id":"7"}},"errors":[{"message":"no price"}]}`); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a part of an object: %v %v", found, err)
	}
	if found, err := find(`{"data":{"item":null}}`); err != nil || len(found) != 0 {
		t.Errorf("no object: %v %v", found, err)
	}
}

// TestGraphQLVariables: numbers go as numbers, texts as texts, what is always sent stays, and null is not "absent".
func TestGraphQLVariables(t *testing.T) {
	g := newGShop(t, "offset")
	sys, err := Kind{}.Open(t.Context(), settingsOf(t, graphqlConfig(g.url, "offset")))
	if err != nil {
		t.Fatal(err)
	}
	defer sys.Close()
	sent := func() string {
		b, _ := json.Marshal(g.last.Variables)
		return string(b)
	}
	id := g.outside(1, 1, time.Now())
	if _, err := sys.(connector.Finder).Find(t.Context(), connector.Lookup{Object: "item", Natural: map[string]string{"code": "00123"}}); err != nil {
		t.Fatal(err)
	}
	if got, want := sent(), `{"filter":{"code":"00123"},"options":{"offset":0,"sort":{"id":"ASC"},"take":100}}`; got != want {
		t.Errorf("a look-up sends %s, want %s", got, want)
	}
	if _, err := sys.(connector.Sink).Write(t.Context(), connector.Write{Object: "item", Action: connector.Update, Local: id, ETag: "1", Doc: []byte(`{"code":null,"price":0.10,"note":""}`)}); err != nil {
		t.Fatal(err)
	}
	if got, want := sent(), `{"input":{"code":null,"id":"`+id+`","lock":1,"note":"","price":0.10}}`; got != want {
		t.Errorf("an update sends %s, want %s", got, want)
	}
	if found, err := sys.(connector.Finder).Find(t.Context(), connector.Lookup{Object: "item", Local: `a"b`}); err != nil || len(found) != 0 {
		t.Errorf("an id with a quote: %v %v", found, err)
	}
	if got, want := sent(), `{"id":"a\"b"}`; got != want {
		t.Errorf("a read sends %s, want %s", got, want)
	}
}

func TestGraphQLSettings(t *testing.T) {
	refuses(t, graphqlConfig("http://shop.example.com", "offset"), map[string]mistake{
		"a half query":            {"query ($id: ID!) { item(id: $id) { id code name } }", "query ($id: ID!) { item(id: $id) { id", "a brace is not closed"},
		"no item":                 {", item: data.item}", "}", "get: where the answer holds it is not said"},
		"a path":                  {"    external-id:", "    path: items\n    external-id:", "path means nothing with graphql"},
		"a mutation for a read":   {"query ($id: ID!) { item", "mutation ($id: ID!) { item", "get: this is the other kind"},
		"links":                   {"style: offset", "style: link", "style: link means nothing with graphql"},
		"an ETag of a header":     {"etag: body", "etag: header", "no header goes to an object"},
		"no list":                 {"query: \"query ($options: Options, $filter: Filter) { items(options: $options, filter: $filter) { items { id code name } next } }\"", "order: changed", "list.query is missing"},
		"query without graphql":   {"graphql: {path: api/graphql}\n", "", "for services that speak GraphQL"},
		"variables that are none": {"variables: {options: {sort: {id: ASC}}}", "variables: [1]", "variables: this is no mapping"},
	})
}
