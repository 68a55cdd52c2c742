package rest

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
)

// told serves one answer to everything, to a system with settings of its own.
func told(t *testing.T, status int, header map[string]string, body, head, object string) *system {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for k, v := range header {
			w.Header().Set(k, v)
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}))
	t.Cleanup(srv.Close)
	y := "connector: rest\nurl: " + srv.URL + "\nauth: {api-key: {header: X-Key, value: \"${env:SHOP_KEY}\"}}\n"
	for _, line := range strings.Split(strings.TrimSpace(head), "\n") {
		y += line + "\n"
	}
	y += "objects:\n  item:\n    external-id: ref\n"
	for _, line := range strings.Split(strings.TrimSpace(object), "\n") {
		y += "    " + line + "\n"
	}
	opened, err := Kind{}.Open(t.Context(), settingsOf(t, y))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { opened.Close() })
	return opened.(*system)
}

// A write counts as done only if the answer says so: what 2xx answers of real kinds of services hold, and what becomes of each.
func TestAnswersToWrites(t *testing.T) {
	const (
		odoo    = "errors: {code: error.data.name, message: error.data.message, kinds: {odoo.exceptions.AccessError: invalid, psycopg2.errors.SerializationFailure: unavailable}}"
		zoho    = "errors: {code: data.0.code, message: data.0.message, kinds: {DUPLICATE_DATA: duplicate, LIMIT: rate-limited}}"
		slack   = "errors: {code: error, kinds: {ratelimited: rate-limited, not_authed: auth, item_not_found: not-found}}\nsuccess: {path: ok, in: [true]}"
		graph   = "errors: {code: errors.*.extensions.code, message: errors.*.message, kinds: {FORBIDDEN: invalid, THROTTLED: rate-limited}}"
		union   = "create: {item: data.createItem, success: {path: data.createItem.__typename, in: [Item], and: [{path: errors, in: [null]}]}}"
		batch   = "success: {path: responses.*.status, in: [200, 201, 204]}\nerrors: {code: responses.*.body.error.code, message: responses.*.body.error.message, kinds: {'409': conflict, DUP: duplicate}}"
		list    = "success: {path: 0.success, in: [true]}\nerrors: {code: 0.errors.0.statusCode, message: 0.errors.0.message, kinds: {DUPLICATE_VALUE: duplicate, UNABLE_TO_LOCK_ROW: unavailable}}"
		listed  = "create: {item: \"0\", answer: partial}\nupdate: {item: \"0\"}"
		shopify = "create: {item: data.itemCreate.item, success: {path: data.itemCreate.userErrors.*.message, in: [null]}}"
	)
	create, update, remove := connector.Create, connector.Update, connector.Delete
	cases := []struct {
		name           string
		do             connector.Action
		status         int
		body           string
		system, object string
		want           fault.Kind
		code, text     string // of the failure
		local          string // where it is done
	}{
		{"a plain object", create, 201, `{"id":7,"state":"error"}`, "", "", fault.None, "", "", "7"},
		{"success false beside an id", update, 200, `{"id":7,"success":false}`, "", "", fault.Invalid, "200", "success is false", ""},
		{"success false is the object's own", update, 200, `{"id":7,"ok":false}`, "", "", fault.None, "", "", "1"},
		{"success false", create, 200, `{"success":false,"message":"period is closed"}`, "", "", fault.Invalid, "200", "period is closed", ""},
		{"success false beside an id and an error", create, 200, `{"id":"9","success":false,"error":"locked"}`, "", "", fault.Invalid, "200", "locked", ""},
		{"ok false, a delete", remove, 200, `{"ok":false}`, "", "", fault.Invalid, "200", "ok is false", ""},
		{"success false, an update", update, 200, `{"success":false,"errors":["no"]}`, "", "", fault.Invalid, "200", "success is false", ""},
		{"a rule for it", update, 200, `{"id":"1","status":"error","text":"no"}`, "success: {path: status, not-in: [error, fail]}", "", fault.Invalid, "200", `"error" at "status"`, ""},
		{"a rule kept", update, 200, `{"id":"1","status":"ok"}`, "success: {path: status, not-in: [error, fail]}", "", fault.None, "", "", "1"},
		{"true is not text", create, 200, `{"id":"1","success":"true"}`, "success: {path: success, in: [true]}", "", fault.Invalid, "200", `"true" at "success"`, ""},
		{"text is not true", create, 200, `{"id":"1","success":true}`, `success: {path: success, in: ["true"]}`, "", fault.Invalid, "200", `true at "success"`, ""},
		{"numbers by value", create, 200, `{"id":"1","code":0.0}`, "success: {path: code, in: [0]}", "", fault.None, "", "", "1"},
		{"numbers exactly", create, 200, `{"id":"1","code":9007199254740993}`, "success: {path: code, in: [9007199254740992]}", "", fault.Invalid, "200", "9007199254740993", ""},
		{"null is absent", create, 200, `{"id":"1"}`, "success: {path: error, in: [null]}", "", fault.None, "", "", "1"},
		{"null is null", create, 200, `{"id":"1","error":null}`, "success: {path: error, in: [null]}", "", fault.None, "", "", "1"},
		{"empty is not null", create, 200, `{"id":"1","error":""}`, "success: {path: error, in: [null]}", "", fault.Invalid, "200", `"" at "error"`, ""},
		{"absent where true is asked for", update, 200, `{"id":"1"}`, "success: {path: success, in: [true]}", "", fault.Invalid, "200", `nothing at "success"`, ""},
		{"a name with dots", create, 200, `{"id":"1","@odata.error":"bad"}`, "success: {path: '@odata.error', in: [null]}", "", fault.Invalid, "200", "bad", ""},
		{"the object's rule stands for the system's", create, 200, `{"id":"1","state":"A"}`, "success: {path: success, in: [true]}", "success: {path: state, in: [A]}", fault.None, "", "", "1"},
		{"the create's rule stands for the object's", create, 200, `{"id":"1","state":"B"}`, "", "success: {path: state, in: [A]}\ncreate: {success: {path: state, in: [B]}}", fault.None, "", "", "1"},
		{"JSON-RPC", create, 200, `{"jsonrpc":"2.0","id":3,"error":{"code":200,"message":"Odoo Server Error","data":{"name":"x","message":"The period is closed"}}}`, "", "create: {item: result}", fault.Invalid, "200", "The period is closed", ""},
		{"Odoo's own code", update, 200, `{"jsonrpc":"2.0","error":{"data":{"name":"psycopg2.errors.SerializationFailure","message":"could not serialize"}}}`, odoo, "", fault.Unavailable, "200 psycopg2.errors.SerializationFailure", "could not serialize", ""},
		{"Zoho, somebody else's object", create, 202, `{"data":[{"code":"DUPLICATE_DATA","details":{"id":"stranger"},"message":"duplicate data","status":"error"}]}`, zoho, "create: {item: data.0.details}", fault.Conflict, "202 DUPLICATE_DATA", "duplicate data", ""},
		{"Zoho, done", create, 201, `{"data":[{"code":"SUCCESS","details":{"id":"55"},"message":"record added"}]}`, zoho, "create: {item: data.0.details}", fault.None, "", "", "55"},
		{"Slack's limit", update, 200, `{"ok":false,"error":"ratelimited"}`, slack, "", fault.RateLimited, "200 ratelimited", "ratelimited", ""},
		{"Slack's login", update, 200, `{"ok":false,"error":"not_authed"}`, slack, "", fault.Auth, "200 not_authed", "not_authed", ""},
		{"gone already", remove, 200, `{"ok":false,"error":"item_not_found"}`, slack, "", fault.NotFound, "200 item_not_found", "", ""},
		{"a code without a kind", update, 200, `{"ok":false,"error":"strange"}`, slack, "", fault.Invalid, "200 strange", "strange", ""},
		{"a create that is not found stays it where the settings say so", create, 200, `{"ok":false,"error":"item_not_found"}`, slack, "", fault.NotFound, "200 item_not_found", "", ""},
		{"GraphQL errors", create, 200, `{"data":null,"errors":[{"message":"no","extensions":{"code":"BAD"}}]}`, "", "create: {item: data.createItem}", fault.Invalid, "200", "no", ""},
		{"GraphQL, a listed code", create, 200, `{"data":null,"errors":[{"message":"a","extensions":{"code":"X"}},{"message":"slow down","extensions":{"code":"THROTTLED"}}]}`, graph, "create: {item: data.createItem}", fault.RateLimited, "200 THROTTLED", "a; slow down", ""},
		{"GraphQL, done in part", create, 200, `{"data":{"createItem":{"id":"4","tax":null}},"errors":[{"message":"tax failed"}]}`, "", "create: {item: data.createItem}", fault.UnknownOutcome, "200", "tax failed", ""},
		{"GraphQL union", create, 200, `{"data":{"createItem":{"__typename":"EmailAddressConflictError","id":"3","message":"The email address is not available"}}}`, "", union, fault.Invalid, "200", "The email address is not available", ""},
		{"GraphQL union, done", create, 200, `{"data":{"createItem":{"__typename":"Item","id":"3"}}}`, "", union, fault.None, "", "", "3"},
		{"Shopify's user errors", create, 200, `{"data":{"itemCreate":{"item":null,"userErrors":[{"field":["title"],"message":"Title can't be blank"}]}}}`, "", shopify, fault.Invalid, "200", "Title can't be blank", ""},
		{"Shopify, done", create, 200, `{"data":{"itemCreate":{"item":{"id":"gid://shopify/Item/1"},"userErrors":[]}}}`, "", shopify, fault.None, "", "", "gid://shopify/Item/1"},
		{"one of a list", create, 200, `[{"id":"77","success":true,"errors":[]}]`, list, listed, fault.None, "", "", "77"},
		{"one of a list, refused", create, 200, `[{"id":null,"success":false,"errors":[{"statusCode":"DUPLICATE_VALUE","message":"duplicate value found"}]}]`, list, listed, fault.Conflict, "200 DUPLICATE_VALUE", "duplicate value found", ""},
		{"one of a list, locked", update, 200, `[{"id":"5","success":false,"errors":[{"statusCode":"UNABLE_TO_LOCK_ROW","message":"try again"}]}]`, list, listed, fault.Unavailable, "200 UNABLE_TO_LOCK_ROW", "try again", ""},
		{"an empty list", create, 200, `[]`, list, listed, fault.Invalid, "200", `nothing at "0.success"`, ""},
		{"a batch, a part of it refused", update, 200, `{"responses":[{"id":"0","status":201,"body":{}},{"id":"1","status":409,"body":{"error":{"code":"409","message":"changed"}}}]}`, batch, "", fault.Conflict, "200 409", "changed", ""},
		{"a batch, all of it done", update, 200, `{"responses":[{"id":"0","status":201},{"id":"1","status":204}]}`, batch, "", fault.None, "", "", "1"},
		{"a batch, a code that nobody knows", update, 207, `{"responses":[{"status":200},{"status":400,"body":{"error":{"code":"Z9","message":"bad line"}}}]}`, batch, "", fault.Invalid, "207 Z9", "bad line", ""},
		{"a batch of nothing", update, 200, `{"responses":[]}`, batch, "", fault.Invalid, "200", `nothing at "responses.*.status"`, ""},
		{"a status that means more work", update, 202, `{"id":"1"}`, "errors: {kinds: {'202': unknown-outcome}}", "", fault.UnknownOutcome, "202", "", ""},
		{"no content", remove, 204, ``, "success: {path: success, in: [true]}", "", fault.None, "", "", "1"},
		{"an empty body that should say", remove, 200, ``, "success: {path: success, in: [true]}", "", fault.UnknownOutcome, "200", "empty", ""},
		{"an empty body that need not", remove, 200, ``, "", "", fault.None, "", "", "1"},
		{"a word", remove, 200, `deleted`, "", "", fault.None, "", "", "1"},
		{"a login page", remove, 200, "\n<!DOCTYPE html><html><head><title>Log in</title><style>p{}</style></head><body>Please log&nbsp;in</body></html>", "", "", fault.UnknownOutcome, "200", "Log in Please log in", ""},
		{"a login page for an update", update, 200, "<html><title>Log in</title></html>", "", "", fault.UnknownOutcome, "200", "Log in", ""},
		{"no id, and why", create, 200, `{"result":"queued for review"}`, "", "", fault.UnknownOutcome, "200", "queued for review", ""},
		{"accepted, and where to ask", create, 202, `{"job":1}`, "", "", fault.UnknownOutcome, "202", `"job":1`, ""},
		// Failures by status keep the system's words too.
		{"a 500 with words", create, 500, `{"fault":{"faultstring":"posting period 001 2026 is not open"}}`, "", "", fault.UnknownOutcome, "500", "posting period 001 2026 is not open", ""},
		{"a SOAP fault", update, 500, `<?xml version="1.0"?><s:Envelope xmlns:s="x"><s:Body><s:Fault><faultcode>s:Client</faultcode><faultstring>Period &amp; year closed</faultstring></s:Fault></s:Body></s:Envelope>`, "", "", fault.UnknownOutcome, "500", "Period & year closed", ""},
		{"a page of a proxy", update, 502, `<html><head><title>502 Bad Gateway</title></head><body><center>nginx</center></body></html>`, "", "", fault.UnknownOutcome, "502", "502 Bad Gateway nginx", ""},
		{"fields and what is wrong with them", update, 422, `{"errors":{"vat":["is no VAT number"]}}`, "errors: {message: error.message}", "", fault.Invalid, "422", "is no VAT number", ""},
		{"a message that is a list", update, 400, `{"error":{"message":["a","b"]}}`, "errors: {message: error.message}", "", fault.Invalid, "400", `["a","b"]`, ""},
		{"a limit by code in a 400", update, 400, `{"error":"REQUEST_LIMIT_EXCEEDED"}`, "errors: {code: error, kinds: {REQUEST_LIMIT_EXCEEDED: rate-limited}}", "", fault.RateLimited, "400 REQUEST_LIMIT_EXCEEDED", "", ""},
		{"a key that is told back", create, 200, `{"success":false,"message":"the key ` + key + ` is not liked"}`, "", "", fault.Invalid, "200", "the key [secret] is not liked", ""},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			object := tc.object
			if object == "" {
				object = "path: items"
			}
			head := tc.system
			if head == "" {
				head = "probe: health"
			}
			sys := told(t, tc.status, map[string]string{"Location": "/jobs/4711"}, tc.body, head, object)
			if tc.status == 200 || tc.status == 201 {
				sys = told(t, tc.status, nil, tc.body, head, object)
			}
			w := connector.Write{Object: "item", Action: tc.do, External: "ext-1", Doc: []byte(`{"a":1,"ok":false}`)}
			if tc.do == remove {
				w.Doc = nil
			}
			if tc.do != create {
				w.Local = "1"
			}
			r, err := sys.Write(t.Context(), w)
			if fault.KindOf(err) != tc.want || r.Local != tc.local {
				t.Fatalf("%v %+v, want %v %q: %v", fault.KindOf(err), r, tc.want, tc.local, err)
			}
			f, _ := fault.As(err)
			if f == nil {
				return
			}
			if f.Code != tc.code || !strings.Contains(f.Err.Error(), tc.text) || f.System != "shop" || f.Op != string(tc.do)+" item" {
				t.Errorf("code %q, text %q, of %q %q", f.Code, f.Err, f.System, f.Op)
			}
			if strings.Contains(err.Error(), key) {
				t.Errorf("a secret shows: %v", err)
			}
			if dup := strings.Contains(f.Code, "DUP"); f.Duplicate != dup {
				t.Errorf("duplicate is %v, want %v", f.Duplicate, dup)
			}
		})
	}
}

// A read that is refused in a 200 is no empty list, and no object.
func TestAnswersToReads(t *testing.T) {
	const codes = "errors: {code: code, message: text, kinds: {BUSY: unavailable, NO_DATA: not-found, E1: invalid}}"
	cases := []struct {
		name, body, system, object string
		poll, get, find            fault.Kind
		found                      int
	}{
		{"an empty list", `{"items":[]}`, "", "list: {items: items}", fault.None, fault.Invalid, fault.None, 0},
		{"null for a list", `{"items":null}`, "", "list: {items: items}", fault.None, fault.Invalid, fault.None, 0},
		{"null, and an error", `{"items":null,"error":"table locked"}`, "", "list: {items: items}", fault.Invalid, fault.Invalid, fault.Invalid, 0},
		{"an empty list, and success false", `{"items":[],"success":false,"error":"no"}`, "", "list: {items: items}", fault.Invalid, fault.Invalid, fault.Invalid, 0},
		{"a listed code", `{"items":[],"code":"BUSY","text":"later"}`, codes, "list: {items: items}\nget: {item: item}", fault.Unavailable, fault.Unavailable, fault.Unavailable, 0},
		{"a code that means none", `{"items":null,"code":"NO_DATA"}`, codes, "list: {items: items}\nget: {item: item}", fault.NotFound, fault.None, fault.None, 0},
		{"JSON-RPC", `{"jsonrpc":"2.0","error":{"message":"no"}}`, "", "list: {items: result}\nget: {item: result}", fault.Invalid, fault.Invalid, fault.Invalid, 0},
		{"GraphQL", `{"data":{"items":null},"errors":[{"message":"no"}]}`, "", "list: {items: data.items}\nget: {item: data.item}", fault.Invalid, fault.Invalid, fault.Invalid, 0},
		{"GraphQL in part", `{"data":{"items":[]},"errors":[{"message":"no"}]}`, "", "list: {items: data.items}\nget: {item: data.item}", fault.Invalid, fault.Invalid, fault.Invalid, 0},
		{"a rule that is broken", `{"items":[],"ok":0}`, "success: {path: ok, in: [1]}", "list: {items: items}", fault.Invalid, fault.Invalid, fault.Invalid, 0},
		{"a rule that only writes keep", `{"items":[{"id":"1","ref":"e"}]}`, "success: {path: ok, in: [1]}", "list: {items: items}", fault.None, fault.Invalid, fault.None, 1},
		{"an object whose own field is named like the code", `{"id":"1","code":"E1","items":[]}`, codes, "list: {items: items}", fault.Invalid, fault.None, fault.Invalid, 0},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			head := tc.system
			if head == "" {
				head = "probe: health"
			}
			sys := told(t, 200, nil, tc.body, head, tc.object+"\nfind: {external: {ref: \"{external}\"}}")
			if _, err := sys.Poll(t.Context(), connector.PollRequest{Object: "item"}); fault.KindOf(err) != tc.poll {
				t.Errorf("poll: %v, want %v", err, tc.poll)
			}
			var err error
			for _, lerr := range sys.List(t.Context(), "item", time.Time{}) {
				err = lerr
			}
			if fault.KindOf(err) != tc.poll {
				t.Errorf("list: %v, want %v", err, tc.poll)
			}
			if tc.get != fault.Invalid || strings.Contains(tc.object, "get:") {
				got, err := sys.Find(t.Context(), connector.Lookup{Object: "item", Local: "1"})
				if fault.KindOf(err) != tc.get || err == nil && len(got) != 0 && got[0].Local != "1" {
					t.Errorf("get: %v %v, want %v", got, err, tc.get)
				}
			}
			got, err := sys.Find(t.Context(), connector.Lookup{Object: "item", External: "e"})
			if fault.KindOf(err) != tc.find || len(got) != tc.found {
				t.Errorf("find: %v %v, want %v", got, err, tc.find)
			}
		})
	}
}

// Retry-After counts where the limit is told in a 200, for every call of the system.
func TestLimitInA200(t *testing.T) {
	sys := told(t, 200, map[string]string{"Retry-After": "900"}, `{"ok":false,"error":"ratelimited"}`,
		"errors: {code: error, kinds: {ratelimited: rate-limited}}", "path: items")
	_, err := create(t, sys)
	if f, _ := fault.As(err); f.RetryAfter != 15*time.Minute {
		t.Errorf("%v: RetryAfter %v", err, f.RetryAfter)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // which ends before the system may be called again
	defer cancel()
	_, err = sys.Find(ctx, connector.Lookup{Object: "item", Local: "1"})
	if f, ok := fault.As(err); !ok || f.Kind != fault.RateLimited || f.RetryAfter < 14*time.Minute || f.Code != "" {
		t.Errorf("the next call was made: %v", err)
	}
}
