package acceptance

import (
	"bytes"
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

// sapUser works in SAP's runtime as another program does.
type sapUser struct {
	t   *testing.T
	url string
}

func (u *sapUser) send(method, path, body string) []byte {
	u.t.Helper()
	req, err := http.NewRequestWithContext(u.t.Context(), method, u.url+"/odata/v4/"+path, strings.NewReader(body))
	if err != nil {
		u.t.Fatal(err)
	}
	req.SetBasicAuth("hub", capPassword)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		u.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		u.t.Fatalf("%s %s: %s %s %v", method, path, resp.Status, answer, err)
	}
	return answer
}

// TestEDISAP: a partner's ORDERS comes by SFTP and is a sales order in SAP's OData runtime; it is answered with a CONTRL, and the delivery goes back as a DESADV.
func TestEDISAP(t *testing.T) {
	s4 := systemtest.Script{Name: "cap", Needs: "npm"}
	url := s4.For(t)
	user := &sapUser{t, url}
	p, server, env := newExchange(t, "edi-sap")
	env["S4_URL"], env["S4_PASSWORD"] = url, capPassword
	p.check(t, env)

	user.send(http.MethodPost, "API_BUSINESS_PARTNER/A_BusinessPartner", `{"BusinessPartner":"17100001","BusinessPartnerFullName":"Frame BV"}`)
	h := p.run(t, env)
	p.write(t, "known.csv", "entity,frame,s4\ncustomer,5412345000013,17100001\n")
	h.await("the customer, who is linked", 2*time.Minute, func() bool {
		_, _, code := waybill(t, p.dir, "link", "known.csv", "--url", "http://"+p.http)
		return code == 0
	})
	orders, err := os.ReadFile("../edi/testdata/edifact/ORDERS-D96A.edi")
	if err != nil {
		t.Fatal(err)
	}
	p.bring(t, server, "orders.edi", string(orders))
	var found struct {
		Value []struct {
			SalesOrder, SoldToParty, PurchaseOrderByCustomer, SalesOrderDate, RequestedDeliveryDate, TransactionCurrency string
			Items                                                                                                        []struct {
				SalesOrderItem, Material string
				RequestedQuantity        json.Number
			} `json:"to_Item"`
		} `json:"value"`
	}
	h.awaits("the order in SAP, and its acknowledgement", func() bool {
		answer := user.send(http.MethodGet, "API_SALES_ORDER_SRV/A_SalesOrder?$expand=to_Item", "")
		if err := json.Unmarshal(answer, &found); err != nil {
			t.Fatalf("%s: %v", answer, err)
		}
		return len(found.Value) > 0 && p.has("exchange/from-us/contrl-frame-*")
	})
	o := found.Value[0]
	if len(found.Value) != 1 || o.SoldToParty != "17100001" || o.PurchaseOrderByCustomer != "PO-1001" || o.SalesOrderDate != "2026-01-15" || o.RequestedDeliveryDate != "2026-01-22" || o.TransactionCurrency != "EUR" || len(o.Items) != 2 ||
		o.Items[0].Material != "TG11" || o.Items[0].SalesOrderItem != "10" || o.Items[1].Material != "TG12" {
		t.Errorf("SAP has %+v", found.Value)
	}
	holds := func(pattern string, wants ...string) {
		t.Helper()
		all, err := filepath.Glob(p.path(pattern))
		if err != nil || len(all) != 1 {
			t.Fatalf("%s: %q %v", pattern, all, err)
		}
		text, err := os.ReadFile(all[0])
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range wants {
			if !bytes.Contains(text, []byte(want)) {
				t.Errorf("%s lacks %s:\n%s", all[0], want, text)
			}
		}
	}
	holds("exchange/from-us/contrl-frame-*", "UCI+REF0001+5412345000013:14+4012345000009:14+7'", "UCM+1+ORDERS:D:96A:UN:EAN008+7'")

	user.send(http.MethodPost, "API_OUTBOUND_DELIVERY_SRV/A_OutbDeliveryHeader", `{"DeliveryDocument":"80000001","ShipToParty":"17100001","ActualGoodsMovementDate":"2026-01-21","ActualGoodsMovementTime":"14:30:00","OverallGoodsMovementStatus":"C",
		"to_DeliveryDocumentItem":[{"DeliveryDocumentItem":"10","Material":"TG11","ActualDeliveryQuantity":"24","ReferenceSDDocument":"`+o.SalesOrder+`","YY1_PurchaseOrderByCustomer":"PO-1001"},
		{"DeliveryDocumentItem":"20","Material":"TG12","ActualDeliveryQuantity":"6.5","ReferenceSDDocument":"`+o.SalesOrder+`","YY1_PurchaseOrderByCustomer":"PO-1001"}]}`)
	h.awaits("the despatch advice", func() bool { return p.has("exchange/from-us/desadv-*.edi") })
	holds("exchange/from-us/desadv-*.edi", "BGM+351+80000001+9'", "DTM+137:202601211330:203'", "RFF+ON:PO-1001'", "NAD+BY+5412345000013::9'", "PIA+5+TG11:SA'", "QTY+12:24", "PIA+5+TG12:SA'", "QTY+12:6.5", "CNT+2:2'")
	checkTotals(t, h.status())
	if code := h.stop(); code != 0 {
		t.Errorf("the hub ended with %d", code)
	}
}
