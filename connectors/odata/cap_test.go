package odata

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/connector/connectortest"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/systemtest"
)

// SAP's own runtime, with the model of internal/test/systems/cap.

const (
	capPassword = "pass-word-of-tests"
)

// running is the one for all tests of the package.
var running = systemtest.Script{Name: "cap", Needs: "npm"}

// capURL is where it is; empty: it was not started.
var capURL string

func startCAP(t testing.TB) string {
	t.Helper()
	capURL = running.Start(t)
	return capURL
}

// backDoor does something there without OData.
func backDoor(t testing.TB, what string, body any) {
	t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Post(capURL+"/back-door/"+what, "application/json", bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 204 {
		var text bytes.Buffer
		_, _ = text.ReadFrom(resp.Body)
		t.Fatalf("back door %s: %d %s", what, resp.StatusCode, &text)
	}
}

// capConfig is the settings for the runtime; system holds more lines of the system, and order of the order.
func capConfig(version, system, order string) string {
	return `connector: odata
url: ` + capURL + `/odata/v` + version + `
auth: {basic: {user: hub, password: "${env:CAP_PASSWORD}"}}
` + system + `
objects:
  partner: {service: API_BUSINESS_PARTNER, set: A_BusinessPartner, external: BusinessPartnerIDByExtSystem, changed: LastChangeDateTime, items: {to_Address: {}}}
  product: {service: API_PRODUCT_SRV, set: A_Product, changed: LastChangeDateTime, deleted: IsMarkedForDeletion, items: {to_Description: {}}, create: ` + map[string]string{"2": "post", "4": "upsert"}[version] + `}
  delivery: {service: API_OUTBOUND_DELIVERY_SRV, set: A_OutbDeliveryHeader, changed: LastChangeDateTime, items: {to_DeliveryDocumentItem: {on-update: replace}}}
  stock: {service: API_MATERIAL_STOCK_SRV, set: A_MatlStkInAcctMod, changed: LastChangeDateTime, create: ` + map[string]string{"2": "post", "4": "upsert"}[version] + `}
  invoice: {service: API_BILLING_DOCUMENT_SRV, set: A_BillingDocument, changed: LastChangeDateTime}
  order:
    service: API_SALES_ORDER_SRV
    set: A_SalesOrder
    external: YY1_External
    changed: LastChangeDateTime
    ` + cmp.Or(order, "items: {to_Item: {}}") + "\n"
}

func capOrder(n int) string {
	return fmt.Sprintf(`{"SoldToParty":"0010100001","PurchaseOrderByCustomer":"C-%d","TotalNetAmount":12.500,"TransactionCurrency":"EUR","Revision":1,"Sequence":9007199254740993,
		"SalesOrderDate":"2026-12-24","to_Item":[{"SalesOrderItem":"10","Material":"A/1 'x'","RequestedQuantity":1.5},{"SalesOrderItem":"20","Material":"B"}]}`, n)
}

func TestCAPV4(t *testing.T) {
	startCAP(t)
	t.Run("multipart", func(t *testing.T) { capConformance(t, "4", "") })
	t.Run("json", func(t *testing.T) { capConformance(t, "4", "batch: {format: json}") })
	capTrade(t, "4")
}

func TestCAPV2(t *testing.T) {
	startCAP(t)
	t.Run("multipart", func(t *testing.T) { capConformance(t, "2", "") })
	capTrade(t, "2")
}

func capConformance(t *testing.T, version, system string) {
	connectortest.Run(t, func(t *testing.T) *connectortest.Subject {
		backDoor(t, "clear", map[string]string{})
		put := func(t testing.TB, n, revision int, stamp any) string {
			id := fmt.Sprint(1000 + n)
			backDoor(t, "SalesOrder", map[string]any{"SalesOrder": id, "SoldToParty": "1", "PurchaseOrderByCustomer": fmt.Sprintf("C-%d", n), "Revision": revision, "TotalNetAmount": "1", "LastChangeDateTime": stamp})
			return id
		}
		iso := func(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z") }
		return &connectortest.Subject{
			Kind: Kind{}, Settings: settingsOf(t, capConfig(version, system, "")), Object: "order", Clock: setClock, External: true, ETags: true, Folds: true,
			Secrets: []string{capPassword},
			Still:   func(connector.System, time.Time) {}, // nobody stops its clock, and no two requests come in one of its milliseconds
			New:     capOrder,
			Change:  func(n int) string { return fmt.Sprintf(`{"SalesOrderType":"T%d","TotalNetAmount":%d.100}`, n%1000, n) },
			Natural: func(n int) map[string]string {
				return map[string]string{"PurchaseOrderByCustomer": fmt.Sprintf("C-%d", n)}
			},
			Put:  func(t testing.TB, n, revision int, stamp time.Time) string { return put(t, n, revision, iso(stamp)) },
			Bare: func(t testing.TB, n, revision int) string { return put(t, n, revision, nil) },
			Spoil: func(t testing.TB, n int, stamp time.Time) string {
				id := put(t, n, 1, iso(stamp))
				backDoor(t, "spoil", map[string]string{"SalesOrder": id})
				return id
			},
			Revision: func(doc jsondoc.Value) int {
				d, _ := doc.Get("Revision").Decimal()
				i, _ := d.Int64()
				return int(i)
			},
			Probes: []connectortest.Probe{
				{Name: "well"},
				{Name: "connection refused", Want: fault.Unavailable, Create: fault.Unavailable, Text: "refused", Arrange: func(t testing.TB, set *connector.Settings) {
					*set = settingsOf(t, strings.Replace(capConfig(version, system, ""), capURL, "http://127.0.0.1:1", 1))
				}},
			},
			Faults: []connectortest.Fault{
				{Name: "a wrong password", Want: fault.Auth, Arrange: func(t testing.TB, set *connector.Settings) {
					*set = settingsOf(t, strings.Replace(capConfig(version, system, ""), "CAP_PASSWORD", "S4_PASSWORD", 1))
				}},
				{Name: "a plant that is none", Want: fault.Invalid, Call: func(ctx context.Context, sys connector.System, _ *connectortest.Subject) error {
					_, err := sys.(connector.Sink).Write(ctx, connector.Write{Object: "order", Action: connector.Create, Doc: []byte(`{"SoldToParty":"1","to_Item":[{"SalesOrderItem":"10","Plant":"1-3"}]}`)})
					return err
				}},
			},
		}
	})
}

// capTrade moves what the conformance suite does not: keys of several parts, lines, and what the runtime does in a way of its own.
func capTrade(t *testing.T, version string) {
	open := func(t *testing.T, more string) *trader {
		backDoor(t, "clear", map[string]string{})
		return openTrader(t, settingsOf(t, capConfig(version, "", more)))
	}
	t.Run("lines are changed one by one", func(t *testing.T) {
		s := open(t, "")
		id := s.create("order", "ext-1", `{"SoldToParty":"1","to_Item":[{"SalesOrderItem":"10","Material":"A","RequestedQuantity":1},{"SalesOrderItem":"20","Material":"B"}]}`)
		s.update("order", id, `{"TransactionCurrency":"EUR","to_Item":[{"SalesOrderItem":"000020","RequestedQuantity":"7.5"},{"SalesOrderItem":"30","Material":"C"}]}`)
		s.wants("order", id, `{"TransactionCurrency":"EUR","to_Item":[{"SalesOrderItem":"10","Material":"A","RequestedQuantity":1.000},
			{"SalesOrderItem":"20","Material":"B","RequestedQuantity":7.500},{"SalesOrderItem":"30","Material":"C"}]}`)
		s.refused(fault.Invalid, "order", id, `{"to_Item":[{"SalesOrderItem":"10","Material":"X"},{"SalesOrderItem":"10","Material":"Y"}]}`, "twice")
		s.refused(fault.Invalid, "order", id, `{"TransactionCurrency":"USD","to_Item":[{"SalesOrderItem":"10","Plant":"1-3"}]}`, "")
		s.wants("order", id, `{"TransactionCurrency":"EUR"}`) // the change set was rolled back as a whole
	})
	t.Run("lines that the document lacks", func(t *testing.T) {
		s := open(t, "")
		id := s.create("delivery", "", `{"DeliveryDocument":"80000001","ShipToParty":"1","ActualGoodsMovementDate":"2026-12-24","ActualGoodsMovementTime":"10:30:00","to_DeliveryDocumentItem":[
			{"DeliveryDocumentItem":"10","Material":"A","ActualDeliveryQuantity":1},{"DeliveryDocumentItem":"20","Material":"B"}]}`)
		s.update("delivery", id, `{"OverallGoodsMovementStatus":"C","to_DeliveryDocumentItem":[{"DeliveryDocumentItem":"20","ActualDeliveryQuantity":3}]}`)
		s.wants("delivery", id, `{"OverallGoodsMovementStatus":"C","ActualGoodsMovementTime":"10:30:00","to_DeliveryDocumentItem":[{"DeliveryDocumentItem":"20","Material":"B","ActualDeliveryQuantity":3.000}]}`)
	})
	t.Run("a list sent whole", func(t *testing.T) {
		if version == "2" {
			return // which knows no such update; the settings say so
		}
		s := open(t, "items: {to_Item: {on-update: deep}}")
		id := s.create("order", "ext-1", `{"SoldToParty":"1","to_Item":[{"SalesOrderItem":"10","Material":"A"},{"SalesOrderItem":"20","Material":"B"}]}`)
		s.update("order", id, `{"to_Item":[{"SalesOrderItem":"20","Material":"C"}]}`)
		s.wants("order", id, `{"SoldToParty":"1","to_Item":[{"SalesOrderItem":"20","Material":"C"}]}`)
	})
	t.Run("a key of eleven parts", func(t *testing.T) {
		s := open(t, "")
		const doc = `{"Material":"TG'11/A","Plant":"1010","StorageLocation":"101A","Batch":"","Supplier":"","Customer":"","WBSElementInternalID":"0","SDDocument":"","SDDocumentItem":"0",
			"InventorySpecialStockType":"","InventoryStockType":"01","MaterialBaseUnit":"PC","MatlWrhsStkQtyInMatlBaseUnit":120.50000000000000}` // SQLite keeps it as a float
		id := s.create("stock", "", doc)
		if want := `Material='TG''11/A',Plant='1010',StorageLocation='101A',Batch='',`; !strings.HasPrefix(id, want) {
			t.Errorf("the id is %s, want %s…", id, want)
		}
		s.wants("stock", id, doc)
		s.update("stock", id, `{"MatlWrhsStkQtyInMatlBaseUnit":"7"}`)
		s.wants("stock", id, `{"Material":"TG'11/A","MatlWrhsStkQtyInMatlBaseUnit":7.00000000000000}`)
		if got := s.poll("stock"); len(got) != 1 || got[0] != id {
			t.Errorf("polled %v", got)
		}
		_, err := s.write(connector.Write{Object: "stock", Action: connector.Create, Doc: []byte(doc)})
		if f, _ := fault.As(err); f == nil || f.Kind != fault.Conflict || !f.Duplicate {
			t.Errorf("created twice: %v", err)
		}
	})
	t.Run("what is gone is not made anew", func(t *testing.T) {
		s := open(t, "")
		id := s.create("stock", "", `{"Material":"A","Plant":"1","StorageLocation":"","Batch":"","Supplier":"","Customer":"","WBSElementInternalID":"","SDDocument":"","SDDocumentItem":"","InventorySpecialStockType":"","InventoryStockType":""}`)
		if _, err := s.write(connector.Write{Object: "stock", Action: connector.Delete, Local: id}); err != nil {
			t.Fatal(err)
		}
		s.refused(fault.NotFound, "stock", id, `{"MaterialBaseUnit":"PC"}`, "")
		if got := s.find(connector.Lookup{Object: "stock", Local: id}); len(got) != 0 {
			t.Errorf("an update has made it anew: %s", got[0].Doc)
		}
	})
	t.Run("a key that needs every sign escaped", func(t *testing.T) {
		s := open(t, "")
		for _, name := range []string{"A/1 #?%'x'", "Ölfaß & +", `(2),"3"=4`, "..", "A%2F1"} {
			doc, _ := json.Marshal(map[string]any{"Product": name, "ProductType": "FERT", "to_Description": []any{map[string]any{"Language": "EN", "ProductDescription": "thing"}}})
			id := s.create("product", "", string(doc))
			if id != name {
				t.Errorf("%q was created as %q", name, id)
			}
			s.update("product", id, `{"GrossWeight":1.25,"to_Description":[{"Language":"DE","ProductDescription":"Ding"}]}`)
			s.wants("product", id, `{"GrossWeight":1.250,"to_Description":[{"Language":"DE","ProductDescription":"Ding"},{"Language":"EN","ProductDescription":"thing"}]}`)
			_, err := s.write(connector.Write{Object: "product", Action: connector.Create, Doc: doc})
			if f, _ := fault.As(err); f == nil || f.Kind != fault.Conflict || !f.Duplicate {
				t.Errorf("%q created twice: %v", name, err)
			}
		}
		s.update("product", "A%2F1", `{"IsMarkedForDeletion":true}`)
		if got := s.find(connector.Lookup{Object: "product", Local: "A%2F1"}); len(got) != 1 || !got[0].Deleted {
			t.Errorf("marked as deleted: %+v", got)
		}
	})
	t.Run("numbers with zeros before them", func(t *testing.T) {
		s := open(t, "")
		backDoor(t, "Invoice", map[string]any{"BillingDocument": "0090000017", "SoldToParty": "0010100001", "TotalNetAmount": "9999999999999.125", "LastChangeDateTime": "2026-03-01T12:00:00.000Z"})
		got := s.find(connector.Lookup{Object: "invoice", Natural: map[string]string{"BillingDocument": "90000017"}, Compare: map[string]connector.Compare{"BillingDocument": connector.Number}})
		if len(got) != 1 || got[0].Local != "0090000017" || !strings.Contains(string(got[0].Doc), `"TotalNetAmount":9999999999999.125`) {
			t.Errorf("found %+v", got)
		}
		if got := s.find(connector.Lookup{Object: "invoice", Natural: map[string]string{"BillingDocument": "90000017"}}); len(got) != 0 {
			t.Errorf("found exactly: %+v", got)
		}
	})
	t.Run("a change between", func(t *testing.T) {
		s := open(t, "")
		id := s.create("partner", "7f3e0000-0000-5000-8000-000000000001", `{"BusinessPartner":"1000","BusinessPartnerFullName":"First","to_Address":[{"AddressID":"1","CityName":"Köln"}]}`)
		before := s.find(connector.Lookup{Object: "partner", Local: id})[0].ETag
		s.update("partner", id, `{"BusinessPartnerFullName":"Second"}`)
		_, err := s.write(connector.Write{Object: "partner", Action: connector.Update, Local: id, ETag: before, Doc: []byte(`{"BusinessPartnerFullName":"Third"}`)})
		if fault.KindOf(err) != fault.Conflict {
			t.Errorf("with an old token: %v", err)
		}
		_, err = s.write(connector.Write{Object: "partner", Action: connector.Update, Local: id, ETag: before, Doc: []byte(`{"to_Address":[{"AddressID":"1","CityName":"Bonn"}]}`)})
		if fault.KindOf(err) != fault.Conflict {
			t.Errorf("lines with an old token: %v", err)
		}
		s.wants("partner", id, `{"BusinessPartnerFullName":"Second","to_Address":[{"AddressID":"1","CityName":"Köln"}]}`)
		if _, err := s.write(connector.Write{Object: "partner", Action: connector.Delete, Local: id, ETag: before}); fault.KindOf(err) != fault.Conflict {
			t.Errorf("deleted with an old token: %v", err)
		}
	})
	t.Run("a token that is forgotten", func(t *testing.T) {
		s := open(t, "")
		s.create("order", "7f3e0000-0000-5000-8000-000000000001", capOrder(1))
		backDoor(t, "forget", map[string]string{})
		s.create("order", "7f3e0000-0000-5000-8000-000000000002", capOrder(2))
	})
	t.Run("many in one request", func(t *testing.T) {
		s := open(t, "")
		release := s.sys.queue.Hold()
		const n = 30
		errs := make([]error, n)
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				doc := capOrder(i)
				if i%10 == 3 {
					doc = `{"SoldToParty":"1","to_Item":[{"SalesOrderItem":"10","Plant":"1-3"}]}`
				}
				_, errs[i] = s.write(connector.Write{Object: "order", Action: connector.Create, External: fmt.Sprintf("7f3e0000-0000-5000-8000-%012d", i), Doc: []byte(doc)})
			})
		}
		for s.sys.queue.Waiting() < n {
			runtime.Gosched()
		}
		release()
		wg.Wait()
		for i, err := range errs {
			if want := map[bool]fault.Kind{true: fault.Invalid}[i%10 == 3]; fault.KindOf(err) != want {
				t.Errorf("order %d: %v, want %v", i, err, want)
			}
			found := s.find(connector.Lookup{Object: "order", External: fmt.Sprintf("7f3e0000-0000-5000-8000-%012d", i)})
			if len(found) != map[bool]int{true: 0, false: 1}[i%10 == 3] {
				t.Errorf("order %d: %d are there", i, len(found))
			}
		}
	})
}

// BenchmarkCAPCreates makes orders with lines, one call each one after the other, and as they come when all wait at once: in one $batch. It shows both in
// records a second, and their ratio.
func BenchmarkCAPCreates(b *testing.B) {
	startCAP(b)
	for _, c := range []struct{ name, version, batch string }{{"V4", "4", ""}, {"V4json", "4", "batch: {format: json}"}, {"V2", "2", ""}} {
		b.Run(c.name, func(b *testing.B) {
			var alone, together time.Duration
			n := 0
			for b.Loop() {
				for _, at := range []struct {
					system string
					took   *time.Duration
				}{{"batch: {format: none}", &alone}, {c.batch, &together}} {
					backDoor(b, "clear", map[string]string{})
					s := openTrader(b, settingsOf(b, capConfig(c.version, at.system, "")))
					s.create("order", "", capOrder(0)) // $metadata and the token are there
					var writes []connector.Write
					for i := range 50 {
						writes = append(writes, connector.Write{Object: "order", Action: connector.Create, External: fmt.Sprintf("7f3e0000-0000-5000-8000-%012d", i), Doc: []byte(capOrder(i))})
					}
					began := time.Now()
					if at.took == &alone {
						for _, w := range writes {
							if _, err := s.write(w); err != nil {
								b.Fatal(err)
							}
						}
					} else if _, errs := s.atOnce(nil, writes...); errors.Join(errs...) != nil {
						b.Fatal(errors.Join(errs...))
					}
					*at.took += time.Since(began)
					for i := range 50 {
						if found := s.find(connector.Lookup{Object: "order", External: fmt.Sprintf("7f3e0000-0000-5000-8000-%012d", i)}); len(found) != 1 {
							b.Fatalf("order %d is there %d times", i, len(found))
						}
					}
				}
				n += 50
			}
			b.ReportMetric(float64(n)/alone.Seconds(), "alone/s")
			b.ReportMetric(float64(n)/together.Seconds(), "together/s")
			b.ReportMetric(alone.Seconds()/together.Seconds(), "ratio")
		})
	}
}
