package systemtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/needtest"
)

const vendureNeeds = "npm and PostgreSQL"

// Vendure is a shop under way.
type Vendure struct {
	URL string
	// Key is an API key of its administrator, sent as vendure-api-key.
	Key  string
	data string
}

// StartVendure starts one on an empty database, which is asked for where systems are.
func StartVendure(t testing.TB, database func(testing.TB) string) *Vendure {
	t.Helper()
	needtest.Systems(t, vendureNeeds)
	s := Script{Name: "vendure", Needs: vendureNeeds, Env: []string{"WAYBILL_VENDURE_POSTGRES=" + database(t)}}
	url, key, _ := strings.Cut(s.For(t), " ")
	return &Vendure{url, key, s.Data(t)}
}

// Hook has orders that are placed posted to a URL, signed with a secret.
func (v *Vendure) Hook(t testing.TB, url, secret string) {
	t.Helper()
	b, err := json.Marshal(map[string]string{"url": url, "secret": secret})
	if err == nil {
		err = os.WriteFile(filepath.Join(v.data, "hook.json"), b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Admin carries out an operation of the administrators' API and gives what stands at a path of its data.
func (v *Vendure) Admin(t testing.TB, query string, variables map[string]any, path ...string) any {
	t.Helper()
	return v.ask(t, "admin-api", http.Header{"vendure-api-key": {v.Key}}, query, variables, path)
}

func (v *Vendure) ask(t testing.TB, api string, header http.Header, query string, variables map[string]any, path []string) any {
	t.Helper()
	b, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, v.URL+"/"+api, bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		r.Header[http.CanonicalHeaderKey(name)] = values
	}
	r.Header.Set("Content-Type", "application/json")
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var out map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		t.Fatal(err)
	}
	if out["errors"] != nil {
		t.Fatalf("%s: %v", query, out["errors"])
	}
	if token := resp.Header.Get("vendure-auth-token"); token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
	at := out["data"]
	for _, step := range path {
		m, _ := at.(map[string]any)
		at = m[step]
	}
	if at == nil {
		t.Fatalf("%s: nothing at %v: %v", query, path, out)
	}
	return at
}

// Product makes one with a variant of which there are a hundred, and gives the variant's id.
func (v *Vendure) Product(t testing.TB, sku, name string, price int) string {
	t.Helper()
	product := v.Admin(t, `mutation ($input: CreateProductInput!) { createProduct(input: $input) { id } }`, map[string]any{"input": map[string]any{
		"enabled": true, "translations": []any{map[string]any{"languageCode": "en", "name": name, "slug": strings.ToLower(sku), "description": ""}}}}, "createProduct", "id")
	variants := v.Admin(t, `mutation ($input: [CreateProductVariantInput!]!) { createProductVariants(input: $input) { id } }`, map[string]any{"input": []any{map[string]any{
		"productId": product, "sku": sku, "price": price, "stockOnHand": 100, "translations": []any{map[string]any{"languageCode": "en", "name": name}}}}}, "createProductVariants")
	list, _ := variants.([]any)
	first, _ := list[0].(map[string]any)
	return fmt.Sprint(first["id"])
}

// Order places an order as a visitor of the shop does, and gives its code.
func (v *Vendure) Order(t testing.TB, email, variant string, quantity int) string {
	t.Helper()
	header := http.Header{}
	shop := func(query string, variables map[string]any, path ...string) any {
		t.Helper()
		return v.ask(t, "shop-api", header, query, variables, path)
	}
	const answer = `{ __typename ... on Order { code state } ... on ErrorResult { errorCode message } }`
	shop(`mutation ($variant: ID!, $quantity: Int!) { addItemToOrder(productVariantId: $variant, quantity: $quantity) `+answer+` }`, map[string]any{"variant": variant, "quantity": quantity}, "addItemToOrder", "code")
	shop(`mutation ($input: CreateCustomerInput!) { setCustomerForOrder(input: $input) `+answer+` }`, map[string]any{"input": map[string]any{"firstName": "Ann", "lastName": "Visitor", "emailAddress": email}}, "setCustomerForOrder", "code")
	shop(`mutation ($input: CreateAddressInput!) { setOrderShippingAddress(input: $input) `+answer+` }`, map[string]any{"input": map[string]any{"streetLine1": "Road 1", "city": "Town", "postalCode": "12345", "countryCode": "DE"}}, "setOrderShippingAddress", "code")
	methods, _ := shop(`{ eligibleShippingMethods { id } }`, nil, "eligibleShippingMethods").([]any)
	method, _ := methods[0].(map[string]any)
	shop(`mutation ($method: [ID!]!) { setOrderShippingMethod(shippingMethodId: $method) `+answer+` }`, map[string]any{"method": []any{method["id"]}}, "setOrderShippingMethod", "code")
	shop(`mutation { transitionOrderToState(state: "ArrangingPayment") `+answer+` }`, nil, "transitionOrderToState", "code")
	code := shop(`mutation { addPaymentToOrder(input: {method: "dummy", metadata: {}}) `+answer+` }`, nil, "addPaymentToOrder", "code")
	return fmt.Sprint(code)
}
