//go:build unix

package acceptance

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/systemtest"
)

const materialIDoc = `<?xml version="1.0" encoding="UTF-8"?>
<MATMAS05>
  <IDOC BEGIN="1">
    <EDI_DC40 SEGMENT="1"><MANDT>100</MANDT><DOCNUM>0000000000000017</DOCNUM><IDOCTYP>MATMAS05</IDOCTYP><MESTYP>MATMAS</MESTYP><SNDPRN>S4H</SNDPRN></EDI_DC40>
    <E1MARAM SEGMENT="1"><MATNR>TG-00017</MATNR><E1MAKTM SEGMENT="1"><SPRAS>E</SPRAS><MAKTX>Nut &amp; bolt</MAKTX></E1MAKTM><E1MBEWM SEGMENT="1"><STPRS>12.50</STPRS></E1MBEWM></E1MARAM>
  </IDOC>
</MATMAS05>`

// TestSOAPFlow: a material that SAP would send as an IDoc becomes an item of a real SOAP service, once, however often the IDoc comes; the service is polled, and what somebody else makes
// there lies in a folder, as the documents' types say.
func TestSOAPFlow(t *testing.T) {
	url := (&systemtest.Script{Name: "soap", Needs: "npm"}).For(t)
	files := map[string]string{"schemas/reading.v1.json": ""}
	files["configs/waybill.yaml"] = strings.NewReplacer("entities: [reading]\n", "", "  scanner:\n", `  items:
    connector: soap
    url: `+url+`
    username-token: {user: hub, password: "${env:ITEMS_PASSWORD}"}
    namespaces: {it: urn:example:items}
    errors: {code: Fault.detail.ItemFault.code, kinds: {EXISTS: duplicate, GONE: not-found, STALE: conflict}}
    objects:
      product:
        external-id: externalId
        version: changed
        types: {price: decimal}
        get: {action: "urn:example:items:GetItem", request: {it:GetItem: {it:id: "{$id}"}}, item: GetItemResponse.item}
        list:
          action: "urn:example:items:ListItems"
          request: {it:ListItems: {it:since: "{$since}", it:code: "{$code}", it:externalId: "{$externalId}", it:page: "{$page}", it:size: "{$size}"}}
          items: ListItemsResponse.item
          order: changed
          paging: {style: page, size-parameter: size, last: ListItemsResponse.last}
          changed-since: {parameter: since, format: rfc3339-ms}
        find: {external: {externalId: "{external}"}, natural: {code: "{code}"}}
        create:
          action: "urn:example:items:CreateItem"
          request: {it:CreateItem: {it:item: {it:code: "{code}", it:name: "{name}", it:price: "{price}", it:externalId: "{externalId}"}}}
          item: CreateItemResponse.item
        update:
          action: "urn:example:items:UpdateItem"
          request: {it:UpdateItem: {it:id: "{$id}", it:item: {it:name: "{name}", it:price: "{price}"}}}
          item: UpdateItemResponse.item
  scanner:
`, "      reading: {format: jsonl}", "      product: {format: jsonl}").Replace(readingsFiles["configs/waybill.yaml"])
	files["mappings/readings.yaml"] = `mapping: material-to-product
from: material.v1
to: product.v1
set:
  code: source.E1MARAM[0].MATNR
  name: source.E1MARAM[0].E1MAKTM[0].MAKTX
  price: source.E1MARAM[0].E1MBEWM[0].STPRS
---
mapping: item-to-product
from: item.v1
to: product.v1
set: {code: source.code, name: source.name, price: source.price}
`
	const text, number = `{"type": "string"}`, `{"type": "number"}`
	object := func(fields ...string) string {
		return `{"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "properties": {` + strings.Join(fields, ", ") + `}}` + "\n"
	}
	files["schemas/item.v1.json"] = object(`"id": `+text, `"code": `+text, `"name": `+text, `"price": `+number, `"externalId": `+text, `"lock": `+text, `"changed": `+text)
	files["schemas/product.v1.json"] = object(`"code": `+text, `"name": `+text, `"price": `+number)
	list := func(fields ...string) string {
		return `{"type": "array", "items": {"type": "object", "properties": {` + strings.Join(fields, ", ") + `}}}`
	}
	files["schemas/material.v1.json"] = object(`"EDI_DC40": {"type": "object"}`, `"E1MARAM": `+list(`"MATNR": `+text, `"E1MAKTM": `+list(`"SPRAS": `+text, `"MAKTX": `+text), `"E1MBEWM": `+list(`"STPRS": `+number)))
	files["flows/readings.yaml"] = `flow: sap-materials
entity: product
from:
  system: scanner
  webhook:
    path: sap/materials
    verify: {scheme: bearer, secret: "${env:SAP_TOKEN}"}
    xml: {form: idoc, types: {E1MARAM.E1MBEWM.STPRS: decimal}}
accept: material.v1
key: source.E1MARAM[0].MATNR
map: material-to-product
to: {topic: canonical.product}
---
flow: products-to-items
entity: product
from: {topic: canonical.product}
to: {system: items, find-by: [code]}
---
flow: items-to-ledger
entity: product
from: {system: items, poll: {every: 1s}}
accept: item.v1
key: source.code
id: source.id
map: item-to-product
to: {system: ledger}
`
	p := newReadings(t, files)
	h := p.run(t, map[string]string{"ITEMS_PASSWORD": "pass-word-of-tests", "SAP_TOKEN": "a-token-of-tests-alone"})
	for range 2 {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+p.hooks+"/hooks/sap/materials", strings.NewReader(materialIDoc))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "text/xml")
		r.Header.Set("Authorization", "Bearer a-token-of-tests-alone")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("the IDoc was answered %s", resp.Status)
		}
	}
	call := func(body string) string {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(`<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" xmlns:i="urn:example:items"><e:Header>
			<w:Security xmlns:w="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"><w:UsernameToken><w:Username>hub</w:Username><w:Password Type="text">pass-word-of-tests</w:Password></w:UsernameToken></w:Security>
			</e:Header><e:Body>`+body+`</e:Body></e:Envelope>`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "text/xml")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s %s %v", resp.Status, b, err)
		}
		return string(b)
	}
	h.await("the item in the service", time.Minute, func() bool {
		return strings.Contains(call(`<i:ListItems/>`), "<code>TG-00017</code>") && h.status().Totals.InFlight == 0
	})
	there := call(`<i:ListItems/>`)
	if strings.Count(there, "<item>") != 1 || !strings.Contains(there, "<name>Nut &amp; bolt</name><price>12.5</price><externalId>") {
		t.Errorf("the service holds %s", there)
	}
	call(`<i:CreateItem><i:item><i:code>X-00018</i:code><i:name>Washer</i:name><i:price>0.35</i:price></i:item></i:CreateItem>`) // the hub's own item is no news to it
	h.await("the other item in the ledger", time.Minute, func() bool {
		found, _ := filepath.Glob(p.path("ledger/*.jsonl"))
		return len(found) > 0 && h.status().Totals.InFlight == 0
	})
	found, _ := filepath.Glob(p.path("ledger/*.jsonl"))
	if len(found) != 1 {
		t.Fatalf("the ledger holds %v", found)
	}
	data, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if g, want := jsonText(t, got), `{"code":"X-00018","name":"Washer","price":0.35}`; g != want {
		t.Errorf("the ledger holds %s, want %s", g, want)
	}
}

func jsonText(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
