package httpclient

import "testing"

func TestRefusedField(t *testing.T) {
	for body, want := range map[string]string{
		`{"error":{"code":"BadRequest","message":"no","target":"PurchaseOrderByCustomer"}}`:                                      "PurchaseOrderByCustomer",
		`{"error":{"code":"x","message":"several","details":[{"code":"y","target":"Items(1)/Quantity","message":"too small"}]}}`: "Items(1)/Quantity",
		`{"errors":[{"status":"422","source":{"pointer":"/data/attributes/email"},"title":"invalid"}]}`:                          "/data/attributes/email",
		`[{"message":"bad","errorCode":"INVALID_EMAIL","fields":["Email"]}]`:                                                     "Email",
		`{"message":"The given data was invalid.","errors":{"email":["is not valid"]}}`:                                          "email",
		`{"detail":[{"loc":["body","lines",0,"qty"],"msg":"no"}]}`:                                                               "body.lines.0.qty",
		`{"type":"about:blank","title":"no","invalid-params":[{"name":"x","field":"age"}]}`:                                      "age",
		`{"error":{"message":"no such customer","param":"customer","type":"invalid"}}`:                                           "customer",
		`{"violations":[{"propertyPath":"lines[0].sku","message":"blank"}]}`:                                                     "lines[0].sku",
		`{"error":"no"}`: "", `{"field":"x"}`: "", `no JSON`: "", `{"errors":{"message":"x"}}`: "", `[]`: "",
	} {
		r := &Response{Status: 422, Body: []byte(body)}
		if got := r.refusedField(); got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}
