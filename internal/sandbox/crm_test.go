package sandbox

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestCRMRecords(t *testing.T) {
	w := quiet(t, Options{NoHooks: true})
	c := w.crmClient(t)

	made := c.do(201, "POST", "accounts", anAccount(map[string]any{"External_Id__c": "x-1", "Phone": "  +86 1  ", "Email__c": "", "Credit_Limit__c": "1000.005"}))
	id := text(made.doc["Id"])
	if len(id) != 18 || !strings.HasPrefix(id, "001") {
		t.Errorf("id %q", id)
	}
	for field, want := range map[string]any{"AccountNumber": "A-000001", "Phone": "+86 1", "Email__c": nil, "Credit_Limit__c": json.Number("1000.01"), "Status__c": nil, "IsDeleted": false} {
		if made.doc[field] != want {
			t.Errorf("%s is %v, want %v", field, made.doc[field], want)
		}
	}
	if made.header.Get("Location") != "/api/accounts/"+id {
		t.Errorf("Location %q", made.header.Get("Location"))
	}

	got := c.do(200, "GET", "accounts/"+id, nil)
	if string(got.raw) != string(made.raw) || got.header.Get("ETag") != made.header.Get("ETag") {
		t.Error("what is read differs from what was answered")
	}
	found := c.do(200, "GET", "accounts?External_Id__c=x-1", nil)
	if list := found.doc["records"].([]any); len(list) != 1 {
		t.Fatalf("found %d by external id", len(list))
	}
	if found := c.do(200, "GET", "accounts?Name="+url.QueryEscape("Lotus Foods GmbH")+"&BillingCountryCode=DE", nil); len(found.doc["records"].([]any)) != 1 {
		t.Error("not found by other fields")
	}

	changed := c.do(200, "PATCH", "accounts/"+id, map[string]any{"Status__c": "Active"}, "If-Match", made.header.Get("ETag"))
	if changed.doc["Status__c"] != "Active" || changed.doc["Phone"] != "+86 1" {
		t.Errorf("changed %s", changed.raw)
	}
	if text(changed.doc["SystemModstamp"]) <= text(made.doc["SystemModstamp"]) {
		t.Error("the stamp did not rise")
	}
	c.do(412, "PATCH", "accounts/"+id, map[string]any{"Status__c": "Blocked"}, "If-Match", made.header.Get("ETag"))

	taken := c.do(409, "POST", "accounts", anAccount(map[string]any{"External_Id__c": "x-1"}))
	if !strings.Contains(string(taken.raw), "DUPLICATE_VALUE") || !strings.Contains(string(taken.raw), id) {
		t.Errorf("duplicate: %s", taken.raw)
	}
	c.do(204, "DELETE", "accounts/"+id, nil)
	c.do(404, "GET", "accounts/"+id, nil)
	c.do(404, "PATCH", "accounts/"+id, map[string]any{"Phone": "1"})
	if n := len(c.all("accounts?includeDeleted=true", "records", "nextCursor")); n != 1 {
		t.Errorf("%d records with the deleted ones", n)
	}
}

func TestCRMRefuses(t *testing.T) {
	w := quiet(t, Options{NoHooks: true})
	c := w.crmClient(t)
	account := text(c.do(201, "POST", "accounts", anAccount(nil)).doc["Id"])
	line := map[string]any{"LineNumber": 10, "ProductCode": "00100-01", "Quantity": 2, "UnitOfMeasure__c": "Each", "UnitPrice": "9.99"}
	order := func(more map[string]any) map[string]any {
		doc := map[string]any{"AccountId": account, "EffectiveDate": "2026-11-21", "LineItems": []any{line}}
		for k, v := range more {
			doc[k] = v
		}
		return doc
	}
	if ok := c.do(201, "POST", "orders", order(nil)); text(ok.doc["TotalAmount"]) != "19.98" || ok.doc["Status"] != "Draft" {
		t.Errorf("order %s", ok.raw)
	}
	for name, tc := range map[string]struct {
		status int
		code   string
		doc    map[string]any
	}{
		"unknown field":     {400, "INVALID_FIELD", order(map[string]any{"Colour": "red"})},
		"set by the system": {400, "INVALID_FIELD_FOR_INSERT_UPDATE", order(map[string]any{"OrderNumber": "1"})},
		"picklist":          {400, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", order(map[string]any{"Status": "Odd"})},
		"reference":         {400, "INVALID_CROSS_REFERENCE_KEY", order(map[string]any{"AccountId": "0015g00000nowhere1"})},
		"missing":           {400, "REQUIRED_FIELD_MISSING", map[string]any{"AccountId": account, "EffectiveDate": "2026-11-21"}},
		"null":              {400, "REQUIRED_FIELD_MISSING", order(map[string]any{"EffectiveDate": nil})},
		"date":              {400, "INVALID_TYPE", order(map[string]any{"EffectiveDate": "21.11.2026"})},
		"number":            {400, "INVALID_TYPE", order(map[string]any{"LineItems": []any{map[string]any{"LineNumber": 1, "ProductCode": "a", "Quantity": "few", "UnitOfMeasure__c": "Each", "UnitPrice": 1}}})},
		"field of a line":   {400, "INVALID_FIELD", order(map[string]any{"LineItems": []any{map[string]any{"Price": 1}}})},
		"long":              {400, "STRING_TOO_LONG", order(map[string]any{"PoNumber": strings.Repeat("9", 81)})},
	} {
		if r := c.do(tc.status, "POST", "orders", tc.doc); !strings.Contains(string(r.raw), `"`+tc.code+`"`) {
			t.Errorf("%s: %s", name, r.raw)
		}
	}
	c.do(404, "GET", "colours", nil)
	c.do(400, "GET", "orders?Colour=red", nil)
	c.do(400, "GET", "orders?changedSince=yesterday", nil)
	c.do(400, "GET", "orders?cursor=!", nil)
	c.token = "Bearer wrong"
	c.do(401, "GET", "orders", nil)
	for e, err := range w.Logs(CRM) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Actor == "api" && e.Status >= 400 && e.Applied {
			t.Errorf("a refused call is logged as applied: %+v", e)
		}
	}
}

func TestCRMLists(t *testing.T) {
	w := quiet(t, Options{NoHooks: true, Accounts: 10})
	c := w.crmClient(t)
	list := c.all("accounts?changedSince=2020-01-01T00:00:00Z", "records", "nextCursor")
	if len(list) != 10 {
		t.Fatalf("%d accounts", len(list))
	}
	for i := 1; i < len(list); i++ {
		if text(list[i]["SystemModstamp"]) <= text(list[i-1]["SystemModstamp"]) {
			t.Fatal("not in order of change")
		}
	}
	// What changed since the fifth: the fifth itself, those after it, and the first, which has changed since.
	c.do(200, "PATCH", "accounts/"+text(list[0]["Id"]), map[string]any{"Phone": "1"})
	since := c.all("accounts?changedSince="+text(list[4]["SystemModstamp"]), "records", "nextCursor")
	if len(since) != 7 || since[0]["Id"] != list[4]["Id"] || since[6]["Id"] != list[0]["Id"] {
		t.Errorf("%d since the fifth", len(since))
	}
}

func TestCRMTokens(t *testing.T) {
	w := quiet(t, Options{NoHooks: true})
	env := w.Env()
	ask := func(id, secret, grant string) (int, map[string]any) {
		res, err := http.PostForm(env[EnvCRMTokenURL], url.Values{"grant_type": {grant}, "client_id": {id}, "client_secret": {secret}})
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var doc map[string]any
		if err := json.NewDecoder(res.Body).Decode(&doc); err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, doc
	}
	status, doc := ask(env[EnvCRMClientID], env[EnvCRMClientSecret], "client_credentials")
	if status != 200 {
		t.Fatal(status, doc)
	}
	c := w.crmClient(t)
	c.token = "Bearer " + text(doc["access_token"])
	c.do(200, "GET", "accounts", nil)
	c.token += "x"
	c.do(401, "GET", "accounts", nil)
	c.token = "Bearer " + w.crm.issue(w.crm.m.now().Add(-1e9))
	c.do(401, "GET", "accounts", nil)
	if status, _ := ask(env[EnvCRMClientID], "wrong", "client_credentials"); status != 401 {
		t.Error(status)
	}
	if status, _ := ask(env[EnvCRMClientID], env[EnvCRMClientSecret], "password"); status != 400 {
		t.Error(status)
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestIdempotencyKey(t *testing.T) {
	for _, honoured := range []bool{true, false} {
		dir := t.TempDir()
		w := quiet(t, Options{Dir: dir, NoHooks: true, Idempotency: honoured})
		c := w.crmClient(t)
		one := c.do(201, "POST", "accounts", anAccount(nil), "Idempotency-Key", "k-1")
		want := 201
		if honoured {
			want = 200
		}
		two := c.do(want, "POST", "accounts", anAccount(nil), "Idempotency-Key", "k-1")
		if same := one.doc["Id"] == two.doc["Id"]; same != honoured {
			t.Errorf("honoured %v: ids %v and %v", honoured, one.doc["Id"], two.doc["Id"])
		}
	}
}

func TestSalesforceID(t *testing.T) {
	// The last three characters tell upper from lower case, in the documented way: known pairs of 15 and 18 characters.
	for n, want := range map[int]string{0: "0015g0000000000AAA", 10: "0015g000000000AAAQ", 36: "0015g000000000aAAA"} {
		if got := salesforceID(&spec{Prefix: "001"}, n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}
