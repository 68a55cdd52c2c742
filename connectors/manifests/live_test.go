package manifests_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/manifest"
	"github.com/waybill-hub/waybill/internal/recording"
	"github.com/waybill-hub/waybill/internal/store/pgtest"
	"github.com/waybill-hub/waybill/internal/strictyaml"
	"github.com/waybill-hub/waybill/internal/systemtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// again makes the steps of recordings on a real system once more: each ends as it is recorded, what is written holds none of the secrets, and replays.
func again(t *testing.T, vendor, system string, secrets []string, names ...string) {
	t.Helper()
	w := world(t)
	var p strictyaml.Problems
	n := strictyaml.Parse(vendor, []byte(system), &p)[0]
	got := w.Manifests.Resolve(vendor, vendor, n, w.Kinds, strictyaml.OS("."), &p)
	if got == nil {
		t.Fatal(p.Err())
	}
	settings := connector.Settings{Name: vendor, Node: manifest.Defaults(got.Node, &p)}
	for _, name := range names {
		dir := t.TempDir()
		data, err := os.ReadFile(filepath.Join("recordings", vendor, name+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, name+".yaml")
		put := func(name string, data []byte) {
			if err := os.WriteFile(name, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		put(file, data)
		r := recording.Open(file, &p)
		if r == nil {
			t.Fatal(p.Err())
		}
		before := r.Outcomes()
		if err := w.Record(t.Context(), r, w.Kinds[got.Kind], settings); err != nil {
			t.Fatal(err)
		}
		if after := r.Outcomes(); !slices.Equal(after, before) {
			t.Errorf("%s: the steps end as\n%s\nand were recorded as\n%s", name, strings.Join(after, "\n"), strings.Join(before, "\n"))
		}
		for _, f := range r.Write() {
			put(f.Name, f.Data)
			for _, secret := range secrets {
				if bytes.Contains(f.Data, []byte(secret)) {
					t.Errorf("%s holds the secret %q", f.Name, secret)
				}
			}
		}
		if r = recording.Open(file, &p); r == nil {
			t.Fatal(p.Err())
		}
		if troubles, err := w.Replay(t.Context(), r, false); err != nil || len(troubles) > 0 {
			t.Errorf("%s: what was recorded does not replay: %v %v", name, err, troubles)
		}
	}
}

func post(t *testing.T, url string, header map[string]string, body any) map[string]any {
	t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for name, value := range header {
		r.Header.Set(name, value)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	out := map[string]any{}
	if resp.StatusCode != http.StatusNoContent {
		if err := json.NewDecoder(resp.Body).Decode(&out); err != nil || out["error"] != nil {
			t.Fatalf("%s: %d %v %v", url, resp.StatusCode, err, out)
		}
	}
	return out
}

// TestRecordedOnCAP: what was recorded of S/4HANA is what SAP's runtime does.
func TestRecordedOnCAP(t *testing.T) {
	s := systemtest.Script{Name: "cap", Needs: "npm"}
	url := s.For(t)
	t.Setenv("CAP_PASSWORD", "pass-word-of-tests")
	for _, row := range []struct {
		entity string
		row    map[string]any
	}{
		{"Partner", map[string]any{"BusinessPartner": "1000001", "BusinessPartnerCategory": "2", "BusinessPartnerFullName": "Baltic Tools GmbH", "SearchTerm1": "BALTIC"}},
		{"Address", map[string]any{"BusinessPartner": "1000001", "AddressID": "1", "Country": "DE", "CityName": "Hamburg", "StreetName": "Hafenallee 17", "PostalCode": "20457"}},
		{"Partner", map[string]any{"BusinessPartner": "1000002", "BusinessPartnerCategory": "1", "BusinessPartnerFullName": "Li Na", "BusinessPartnerIsBlocked": true}},
		{"Product", map[string]any{"Product": "TG11", "ProductType": "HAWA", "BaseUnit": "PC", "GrossWeight": "1.250", "ProductStandardID": "4006381333931", "LastChangeDateTime": "2026-11-30T10:00:00.000Z"}},
		{"ProductText", map[string]any{"Product": "TG11", "Language": "EN", "ProductDescription": "Trading good 11"}},
		{"Product", map[string]any{"Product": "00123", "ProductType": "HAWA", "BaseUnit": "KG", "IsMarkedForDeletion": true, "LastChangeDateTime": "2026-11-30T10:05:00.000Z"}},
		{"Stock", map[string]any{"Material": "TG11", "Plant": "1010", "StorageLocation": "101A", "Batch": "", "Supplier": "", "Customer": "", "WBSElementInternalID": "0", "SDDocument": "", "SDDocumentItem": "0",
			"InventorySpecialStockType": "", "InventoryStockType": "01", "MaterialBaseUnit": "PC", "MatlWrhsStkQtyInMatlBaseUnit": "12.50000000000000"}},
		{"Invoice", map[string]any{"BillingDocument": "90000001", "BillingDocumentType": "F2", "BillingDocumentDate": "2026-11-30", "SoldToParty": "1000001", "TotalNetAmount": "39.800", "TotalTaxAmount": "7.562",
			"TransactionCurrency": "EUR", "LastChangeDateTime": "2026-11-30T10:10:00.000Z"}},
		{"InvoiceItem", map[string]any{"BillingDocument": "90000001", "BillingDocumentItem": "10", "Material": "TG11", "BillingQuantity": "2.000", "BillingQuantityUnit": "PC", "NetAmount": "39.800"}},
	} {
		post(t, url+"/back-door/"+row.entity, nil, row.row)
	}
	again(t, "sap-s4hana", "host: "+url+"\nurl: "+url+"/odata/v2\nauth: {basic: {user: hub, password: \"${env:CAP_PASSWORD}\"}}\n",
		[]string{"pass-word-of-tests", "Baltic", "Li Na", "Hafenallee", strings.TrimPrefix(url, "http://")}, "masters", "orders")
}

// TestRecordedOnTryton: what was recorded of Tryton is what it does.
func TestRecordedOnTryton(t *testing.T) {
	const password = "quiet-Harbour-7159"
	s := systemtest.Script{Name: "tryton", Needs: "Python and PostgreSQL", Env: []string{"WAYBILL_TRYTON_PASSWORD=" + password}}
	url := s.For(t)
	t.Setenv("TRYTON_PASSWORD", password)
	system := "server: " + url + "\ndatabase: erp\nuser: hub\nwarehouse: \"5\"\nreach: processing\npassword: \"${env:TRYTON_PASSWORD}\"\n"
	secrets := []string{password, strings.TrimPrefix(url, "http://")}
	again(t, "tryton-erp", system, secrets, "parties", "orders")
	// The sale has an invoice, which somebody posts.
	call := func(auth, method string, params ...any) any {
		header := map[string]string{}
		if auth != "" {
			header["Authorization"] = auth
		}
		return post(t, url+"/erp/", header, map[string]any{"id": 1, "method": method, "params": params})["result"]
	}
	login, _ := call("", "common.db.login", "hub", map[string]string{"password": password}, "en").([]any)
	if len(login) != 2 {
		t.Fatal("no login")
	}
	auth := "Session " + base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "hub:%v:%v", login[0], login[1]))
	company := map[string]int{"company": 1}
	ids := call(auth, "model.account.invoice.search", []any{}, 0, nil, nil, company)
	call(auth, "model.account.invoice.write", ids, map[string]any{"invoice_date": map[string]any{"__class__": "date", "year": 2026, "month": 11, "day": 30}}, company)
	call(auth, "model.account.invoice.post", ids, company)
	again(t, "tryton-erp", system, secrets, "invoices")
}

// TestRecordedOnVendure: what was recorded of Vendure is what it does.
func TestRecordedOnVendure(t *testing.T) {
	v := systemtest.StartVendure(t, pgtest.URL)
	t.Setenv("VENDURE_KEY", v.Key)
	variant := v.Product(t, "00123", "Hammer", 1250)
	v.Product(t, "NAIL-1", "Nails", 399)
	v.Order(t, "visitor@shop.test", variant, 2)
	again(t, "vendure", "shop: "+v.URL+"\nauth: {api-key: {value: \"${env:VENDURE_KEY}\"}}\n", []string{v.Key, "visitor@shop.test", strings.TrimPrefix(v.URL, "http://")}, "customers", "shop")
}
