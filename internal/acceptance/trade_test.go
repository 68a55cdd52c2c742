package acceptance

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/systemtest"
)

// clerk works in a real Tryton by its own protocol, without the hub.
type clerk struct {
	t        *testing.T
	url      string
	database string
	session  string
	user     any
	server   *systemtest.Script
}

// newClerk makes a database of its own in a Tryton and logs in there.
func newClerk(t *testing.T, server *systemtest.Script, url, database string) *clerk {
	t.Helper()
	if out, err := server.Command("clone", database).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	c := &clerk{t: t, url: url, database: database, server: server}
	login, _ := c.call("common.db.login", "hub", map[string]string{"password": trytonPassword}, "en").([]any)
	if len(login) < 2 {
		t.Fatal("no session")
	}
	c.user = login[0]
	c.session = base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "hub:%v:%v", login[0], login[1]))
	return c
}

var asked = regexp.MustCompile(`"UserWarning",\["([^"]+)"`)

// call confirms what Tryton asks, and is made again where it has met another transaction, as its own clients do.
func (c *clerk) call(method string, params ...any) any {
	c.t.Helper()
	for {
		result, failed := c.once(method, params...)
		if failed == "" {
			return result
		}
		if m := asked.FindStringSubmatch(failed); m != nil {
			c.create("res.user.warning", map[string]any{"user": c.user, "name": m[1], "always": true})
			continue
		}
		if !strings.Contains(failed, "could not serialize") && !strings.Contains(failed, "could not obtain lock") {
			c.t.Fatalf("%s: %s", method, failed)
		}
	}
}

func (c *clerk) once(method string, params ...any) (result any, failed string) {
	c.t.Helper()
	if strings.HasPrefix(method, "model.") {
		params = append(params, map[string]any{"company": 1})
	}
	body, err := json.Marshal(map[string]any{"id": 1, "method": method, "params": params})
	if err != nil {
		c.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.url+"/"+c.database+"/", bytes.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if c.session != "" {
		r.Header.Set("Authorization", "Session "+c.session)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(resp.Body)
	var out struct {
		Result any
		Error  any
	}
	dec := json.NewDecoder(bytes.NewReader(answer))
	dec.UseNumber()
	if err := dec.Decode(&out); err != nil || out.Error != nil {
		return nil, fmt.Sprintf("%s: %.800s", resp.Status, answer)
	}
	return out.Result, ""
}

// create makes a record and gives its id.
func (c *clerk) create(model string, values map[string]any) any {
	c.t.Helper()
	ids, _ := c.call("model."+model+".create", []any{values}).([]any)
	if len(ids) != 1 {
		c.t.Fatalf("%s: made %v", model, ids)
	}
	return ids[0]
}

// sql asks the database.
func (c *clerk) sql(query string) string {
	c.t.Helper()
	cmd := c.server.Command("sql", c.database)
	cmd.Stdin = strings.NewReader(query)
	out, err := cmd.CombinedOutput()
	if err != nil {
		c.t.Fatalf("%s: %v: %s", query, err, out)
	}
	return strings.TrimSpace(string(out))
}

// rows gives what a query says of each object: its first column names it.
func (c *clerk) rows(query string) map[string]string {
	c.t.Helper()
	out := map[string]string{}
	for line := range strings.Lines(c.sql(query)) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), "|")
		out[name] += rest
	}
	return out
}

func decimal(text string) any { return map[string]any{"__class__": "Decimal", "decimal": text} }

func day(text string) any {
	at, err := time.Parse(time.DateOnly, text)
	if err != nil {
		panic(err)
	}
	return map[string]any{"__class__": "date", "year": at.Year(), "month": int(at.Month()), "day": at.Day()}
}

func made(values ...map[string]any) any { return []any{[]any{"create", values}} }

// trade is a company that sells by Tryton and by SAP, and what people have entered in either: as both have to show it in the end.
type trade struct {
	t     *testing.T
	erp   *clerk
	s4    *sap
	h     *hub
	unit  any
	goods any
	ids   map[string]any // of records in Tryton, by name

	customers, products, orders, stock, counts, invoices map[string]string
}

// tradeProject is the project of testdata/trade, for a version of OData and the stock at a location of Tryton.
func tradeProject(t *testing.T, version, storage string) *project {
	t.Helper()
	files := map[string]string{"configs/waybill.yaml": "", "mappings/readings.yaml": "", "schemas/reading.v1.json": "", "flows/readings.yaml": ""}
	root := os.DirFS("testdata/trade")
	if err := fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(root, path)
		files[path] = strings.NewReplacer("vVERSION", "v"+version, "STORAGE", storage).Replace(string(data))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return newReadings(t, files)
}

// tradeDay is one that Tryton has books for, and that is over.
var tradeDay = fmt.Sprintf("%d-06-15", time.Now().Year()-1)

func (w *trade) newCustomer(in string, n int) {
	w.t.Helper()
	name := fmt.Sprintf("Trade %s %d & Söhne", in, n)
	street, city := fmt.Sprintf("%d \"Main\"", n), "Köln"
	switch in {
	case "erp":
		w.ids[name] = w.erp.create("party.party", map[string]any{"name": name, "addresses": made(map[string]any{"street": street, "city": city, "country": w.ids["DE"]})})
	case "s4":
		w.ids[name] = w.s4.ask(http.MethodPost, "API_BUSINESS_PARTNER/A_BusinessPartner", jsonText(w.t, map[string]any{"BusinessPartnerFullName": name, "BusinessPartnerCategory": "2",
			"to_Address": []any{map[string]any{"AddressID": "1", "StreetName": street, "CityName": city, "Country": "DE"}}}))["BusinessPartner"]
	}
	w.customers[name] = street + "|" + city + "|DE"
}

func (w *trade) newProduct(in string, n int) {
	w.t.Helper()
	sku, name := tradeSKU(in, n), fmt.Sprintf("Thing %d of %s", n, in)
	switch in {
	case "erp":
		w.erp.create("product.template", map[string]any{"code": sku, "name": name, "type": "goods", "list_price": decimal("10.00"), "default_uom": w.unit, "sale_uom": w.unit, "salable": true,
			"account_category": w.goods, "products": made(map[string]any{"suffix_code": ""})})
	case "s4":
		w.s4.ask(http.MethodPost, "API_PRODUCT_SRV/A_Product", jsonText(w.t, map[string]any{"Product": sku, "ProductType": "FERT", "BaseUnit": "PC",
			"to_Description": []any{map[string]any{"Language": "EN", "ProductDescription": name}, map[string]any{"Language": "DE", "ProductDescription": "Ding"}}}))
	}
	w.products[sku] = name
}

func tradeSKU(in string, n int) string { return fmt.Sprintf("G-%s-%02d", strings.ToUpper(in), n) }

// partner gives a customer's id in a system, which may not know it yet.
func (w *trade) partner(in, name string) any {
	w.t.Helper()
	if in == "erp" {
		return json.Number(w.erp.sql("SELECT id FROM party_party WHERE name = '" + name + "'"))
	}
	for _, p := range w.s4.all("API_BUSINESS_PARTNER/A_BusinessPartner") {
		if p["BusinessPartnerFullName"] == name {
			return p["BusinessPartner"]
		}
	}
	w.t.Fatalf("%s has no customer %s", in, name)
	return nil
}

func (w *trade) product(sku string) any {
	w.t.Helper()
	return json.Number(w.erp.sql("SELECT id FROM product_product WHERE code = '" + sku + "'"))
}

// newOrder sells two lines: 2 of one product at n+1.25 each, and 1 of another at 3.
func (w *trade) newOrder(in string, n int, customer string, skus [2]string) {
	w.t.Helper()
	price := fmt.Sprintf("%d.25", n+1)
	number := fmt.Sprintf("PO-%s-%03d", in, n)
	switch in {
	case "erp":
		party := w.partner("erp", customer)
		address := json.Number(w.erp.sql(fmt.Sprintf("SELECT min(id) FROM party_address WHERE party = %v", party)))
		id := w.erp.create("sale.sale", map[string]any{"party": party, "invoice_address": address, "shipment_address": address, "sale_date": day(tradeDay), "description": number, "lines": made(
			map[string]any{"product": w.product(skus[0]), "quantity": json.Number("2.0"), "unit": w.unit, "unit_price": decimal(price)},
			map[string]any{"product": w.product(skus[1]), "quantity": json.Number("1.0"), "unit": w.unit, "unit_price": decimal("3.00")})})
		for _, step := range []string{"quote", "confirm"} {
			w.erp.call("model.sale.sale."+step, []any{id})
		}
	case "s4":
		w.s4.ask(http.MethodPost, "API_SALES_ORDER_SRV/A_SalesOrder", jsonText(w.t, map[string]any{"SalesOrderType": "OR", "SoldToParty": w.partner("s4", customer), "PurchaseOrderByCustomer": number,
			"SalesOrderDate": tradeDay, "TransactionCurrency": "EUR", "to_Item": []any{
				map[string]any{"SalesOrderItem": "10", "Material": skus[0], "RequestedQuantity": "2", "NetAmount": fmt.Sprintf("%d.50", 2*(n+1))},
				map[string]any{"SalesOrderItem": "20", "Material": skus[1], "RequestedQuantity": "1", "NetAmount": "3"}}}))
	}
	w.orders[number] = fmt.Sprintf("%s|%s|%s 2 %d.50,%s 1 3.00", customer, tradeDay, skus[0], 2*(n+1), skus[1])
}

// setStock counts a product in Tryton, as people do.
func (w *trade) setStock(sku string, quantity int) {
	w.t.Helper()
	id := w.erp.create("stock.inventory", map[string]any{"location": w.ids["STO"], "empty_quantity": "keep", "lines": made(map[string]any{"product": w.product(sku), "quantity": json.Number(fmt.Sprintf("%d.0", quantity))})})
	w.erp.call("model.stock.inventory.confirm", []any{id})
	w.stock[sku] = fmt.Sprint(quantity)
}

// setCount changes what lies at SAP's plant.
func (w *trade) setCount(sku string, quantity string) {
	w.t.Helper()
	row := map[string]any{"Material": sku, "Plant": "2000", "StorageLocation": "1", "Batch": "", "Supplier": "", "Customer": "", "WBSElementInternalID": "0", "SDDocument": "", "SDDocumentItem": "0",
		"InventorySpecialStockType": "", "InventoryStockType": "01", "MaterialBaseUnit": "PC", "MatlWrhsStkQtyInMatlBaseUnit": quantity}
	const set = "API_MATERIAL_STOCK_SRV/A_MatlStkInAcctMod"
	if w.counts[sku] == "" {
		w.s4.ask(http.MethodPost, set, jsonText(w.t, row))
	} else {
		w.s4.ask(http.MethodPatch, set+"(Material='"+sku+"',Plant='2000',StorageLocation='1',Batch='',Supplier='',Customer='',WBSElementInternalID='0',SDDocument='',SDDocumentItem='0',InventorySpecialStockType='',InventoryStockType='01')",
			jsonText(w.t, map[string]any{"MatlWrhsStkQtyInMatlBaseUnit": quantity}))
	}
	w.counts[sku] = quantity
}

// newInvoice enters an invoice in SAP; those of Tryton come of its orders.
func (w *trade) newInvoice(n int, customer, sku, date string) string {
	w.t.Helper()
	number := fmt.Sprintf("INV-S4-%03d", n)
	w.s4.ask(http.MethodPost, "API_BILLING_DOCUMENT_SRV/A_BillingDocument", jsonText(w.t, map[string]any{"BillingDocumentType": "F2", "BillingDocumentDate": date, "DocumentReferenceID": number,
		"SoldToParty": w.partner("s4", customer), "TotalNetAmount": fmt.Sprintf("%d.50", 2*(n+1)), "TotalTaxAmount": w.tax(2*(n+1)*100 + 50), "TransactionCurrency": "EUR",
		"to_Item": []any{map[string]any{"BillingDocumentItem": "10", "Material": sku, "BillingQuantity": "2", "NetAmount": fmt.Sprintf("%d.50", 2*(n+1))}}}))
	return number
}

// tax is 19 % of cents, half up.
func (w *trade) tax(cents int) string {
	tax := (cents*19 + 50) / 100
	return fmt.Sprintf("%d.%02d", tax/100, tax%100)
}

// postInvoices posts what orders have left to be invoiced in Tryton, and says which those are.
func (w *trade) postInvoices() {
	w.t.Helper()
	drafts := strings.Fields(w.erp.sql("SELECT id FROM account_invoice WHERE state = 'draft' AND reference IS NULL AND type = 'out'"))
	for _, id := range drafts {
		ids := []any{json.Number(id)}
		w.erp.call("model.account.invoice.write", ids, map[string]any{"invoice_date": day(tradeDay)})
		w.erp.call("model.account.invoice.post", ids)
	}
}

// erpInvoices are the invoices that Tryton shows.
func (w *trade) erpInvoices() map[string]string {
	w.t.Helper()
	return w.erp.rows(`SELECT coalesce(i.description, i.number), p.name, i.invoice_date, i.state, (SELECT string_agg(pp.code || ' ' || l.quantity::numeric(12,0) || ' ' || round(l.quantity::numeric * l.unit_price, 2), ',' ORDER BY l.id)
		FROM account_invoice_line l JOIN product_product pp ON pp.id = l.product WHERE l.invoice = i.id), coalesce((SELECT sum(t.amount) FROM account_invoice_tax t WHERE t.invoice = i.id), 0)::numeric(12,2)
		FROM account_invoice i JOIN party_party p ON p.id = i.party WHERE i.type = 'out'`)
}

var trailing = regexp.MustCompile(`(\.\d*?)0+$`)

// exact writes a decimal with the places of money.
func exact(v any) string {
	s := trailing.ReplaceAllString(fmt.Sprint(v), "$1")
	whole, rest, _ := strings.Cut(s, ".")
	return whole + "." + (rest + "00")[:max(2, len(rest))]
}

func whole(v any) string {
	return strings.TrimSuffix(trailing.ReplaceAllString(fmt.Sprint(v), "$1"), ".")
}

// differences compares what both systems show with what was entered.
func (w *trade) differences() []string {
	w.t.Helper()
	var out []string
	compare := func(what string, got, want map[string]string) {
		for _, name := range slices.Sorted(maps.Keys(want)) {
			if got[name] != want[name] {
				out = append(out, fmt.Sprintf("%s %s: %q, want %q", what, name, got[name], want[name]))
			}
		}
		for _, name := range slices.Sorted(maps.Keys(got)) {
			if _, ok := want[name]; !ok {
				out = append(out, fmt.Sprintf("%s %s: nobody entered it: %q", what, name, got[name]))
			}
		}
	}
	compare("Tryton's customer", w.erp.rows(`SELECT p.name, a.street, a.city, c.code FROM party_party p JOIN party_address a ON a.party = p.id LEFT JOIN country_country c ON c.id = a.country WHERE p.name LIKE 'Trade%'`), w.customers)
	compare("Tryton's product", w.erp.rows(`SELECT code, name FROM product_template WHERE code LIKE 'G%'`), w.products)
	compare("Tryton's order", w.erp.rows(`SELECT s.description, p.name, s.sale_date, (SELECT string_agg(pp.code || ' ' || l.quantity::numeric(12,0) || ' ' || round(l.quantity::numeric * l.unit_price, 2), ',' ORDER BY l.id)
		FROM sale_line l JOIN product_product pp ON pp.id = l.product WHERE l.sale = s.id) FROM sale_sale s JOIN party_party p ON p.id = s.party WHERE s.state = 'processing'`), w.orders)
	compare("Tryton's stock of SAP's plant", w.erp.rows(`SELECT pp.code, sum(CASE WHEN m.to_location = `+fmt.Sprint(w.ids["SAP"])+` THEN m.quantity ELSE -m.quantity END)::numeric(12,0) FROM stock_move m JOIN product_product pp ON pp.id = m.product
		WHERE m.state = 'done' AND `+fmt.Sprint(w.ids["SAP"])+` IN (m.to_location, m.from_location) GROUP BY pp.code`), w.counts)

	partners, got := map[string]string{}, map[string]string{}
	for _, p := range w.s4.all("API_BUSINESS_PARTNER/A_BusinessPartner", "$expand=to_Address") {
		name := fmt.Sprint(p["BusinessPartnerFullName"])
		partners[fmt.Sprint(p["BusinessPartner"])] = name
		for _, a := range listOf(p["to_Address"]) {
			got[name] += fmt.Sprintf("%v|%v|%v", a["StreetName"], a["CityName"], a["Country"])
		}
	}
	compare("SAP's customer", got, w.customers)
	got = map[string]string{}
	for _, p := range w.s4.all("API_PRODUCT_SRV/A_Product", "$expand=to_Description") {
		for _, d := range listOf(p["to_Description"]) {
			if d["Language"] == "EN" {
				got[fmt.Sprint(p["Product"])] += fmt.Sprint(d["ProductDescription"])
			}
		}
	}
	compare("SAP's product", got, w.products)
	got = map[string]string{}
	for _, o := range w.s4.all("API_SALES_ORDER_SRV/A_SalesOrder", "$expand=to_Item") {
		var lines []string
		for _, i := range listOf(o["to_Item"]) {
			lines = append(lines, fmt.Sprintf("%v %s %s", i["Material"], whole(i["RequestedQuantity"]), exact(i["NetAmount"])))
		}
		got[fmt.Sprint(o["PurchaseOrderByCustomer"])] += fmt.Sprintf("%s|%v|%s", partners[fmt.Sprint(o["SoldToParty"])], o["SalesOrderDate"], strings.Join(lines, ","))
	}
	compare("SAP's order", got, w.orders)
	got = map[string]string{}
	for _, s := range w.s4.all("API_MATERIAL_STOCK_SRV/A_MatlStkInAcctMod", "$filter=Plant eq '1010'") {
		got[fmt.Sprint(s["Material"])] += whole(s["MatlWrhsStkQtyInMatlBaseUnit"])
	}
	for sku := range w.products {
		if w.stock[sku] == "" && got[sku] == "0" {
			delete(got, sku) // of which nothing lies there
		}
	}
	compare("SAP's stock", got, w.stock)
	got = map[string]string{}
	for _, d := range w.s4.all("API_BILLING_DOCUMENT_SRV/A_BillingDocument", "$expand=to_Item") {
		var lines []string
		for _, i := range listOf(d["to_Item"]) {
			lines = append(lines, fmt.Sprintf("%v %s %s", i["Material"], whole(i["BillingQuantity"]), exact(i["NetAmount"])))
		}
		got[fmt.Sprint(d["DocumentReferenceID"])] += fmt.Sprintf("%s|%v|posted|%s|%s", partners[fmt.Sprint(d["SoldToParty"])], d["BillingDocumentDate"], strings.Join(lines, ","), exact(d["TotalTaxAmount"]))
	}
	erp := w.erpInvoices()
	for number := range w.invoices { // what was refused stands in Tryton as a draft
		delete(got, number)
		delete(erp, number)
	}
	compare("SAP's invoice", got, erp)
	if want := len(w.orders); len(got) < want {
		out = append(out, fmt.Sprintf("%d invoices, want those of %d orders and more", len(got), want))
	}
	return out
}

func listOf(v any) []map[string]any {
	list, _ := v.([]any)
	var out []map[string]any
	for _, e := range list {
		m, _ := e.(map[string]any)
		out = append(out, m)
	}
	return out
}

// refusedInA200 is what Tryton says of a write that met another transaction: in a 200, and nothing was done.
func refusedInA200(body []byte) []byte {
	var r struct {
		ID     json.Number
		Method string
	}
	if json.Unmarshal(body, &r) != nil || !regexp.MustCompile(`^model\..*\.(create|write|quote|confirm|process|post|validate_invoice)$`).MatchString(r.Method) {
		return nil
	}
	return fmt.Appendf(nil, `{"id":%s,"error":["could not serialize access due to concurrent update","Traceback"]}`, r.ID)
}

// TestTrade: customers, products, orders with lines, stock and invoices move both ways between a real Tryton and SAP's OData runtime while people enter and change them in both, lists
// move under the polls, and both lines lose answers, shut calls out and, to Tryton, refuse some in a 200; the hub is killed twice. In the end each object is in both once, as it was entered. What
// one refuses for good is parked, alone, with the words of the one that refuses it.
func TestTrade(t *testing.T) {
	server := &systemtest.Script{Name: "tryton", Needs: "Python and PostgreSQL", Env: []string{"WAYBILL_TRYTON_PASSWORD=" + trytonPassword}}
	url := server.For(t)
	for _, version := range []string{"4", "2"} {
		t.Run("V"+version, func(t *testing.T) { testTrade(t, newClerk(t, server, url, "trade"+version), version) })
	}
}

func testTrade(t *testing.T, erp *clerk, version string) {
	w := &trade{t: t, erp: erp, s4: startSAP(t), ids: map[string]any{}, customers: map[string]string{}, products: map[string]string{}, orders: map[string]string{}, stock: map[string]string{},
		counts: map[string]string{}, invoices: map[string]string{}}
	w.unit, w.goods = json.Number(erp.sql("SELECT id FROM product_uom WHERE symbol = 'u'")), json.Number(erp.sql("SELECT id FROM product_category WHERE name = 'Goods'"))
	w.ids["DE"], w.ids["STO"] = json.Number(erp.sql("SELECT id FROM country_country WHERE code = 'DE'")), json.Number(erp.sql("SELECT id FROM stock_location WHERE code = 'STO'"))
	w.ids["SAP"] = erp.create("stock.location", map[string]any{"name": "SAP's plant", "code": "SAP", "type": "storage", "parent": json.Number(erp.sql("SELECT id FROM stock_location WHERE code = 'WH'"))})
	erpLine, s4Line := newLossyLine(t, erp.url, 40), newLossyLine(t, w.s4.url, 41)
	erpLine.free, erpLine.refuse = func(body []byte) bool { return bytes.Contains(body, []byte("common.db.")) }, refusedInA200
	p := tradeProject(t, version, fmt.Sprint(w.ids["STO"]))
	w.h = p.run(t, map[string]string{"ERP_URL": erpLine.url, "ERP_DATABASE": erp.database, "ERP_PASSWORD": trytonPassword, "S4_URL": s4Line.url, "S4_PASSWORD": capPassword})
	settled := func(what string, limit time.Duration) {
		t.Helper()
		var differ []string
		defer func() {
			for _, d := range differ[:min(len(differ), 12)] {
				t.Log(d)
			}
		}()
		w.h.await(what, limit, func() bool {
			st := w.h.status()
			if st.Totals.Parked > int64(len(w.invoices)) {
				return true
			}
			if st.Totals.InFlight+st.Totals.Waiting > 0 {
				return false
			}
			differ = w.differences()
			return len(differ) == 0
		})
	}

	// Master data, entered in both at the same time, while the lists move.
	const each = 8
	for n := range each {
		for _, in := range []string{"erp", "s4"} {
			w.newCustomer(in, n)
			w.newProduct(in, n)
		}
		if n == each/2 {
			w.h.await("some of it", 3*time.Minute, func() bool { return w.h.status().Totals.Delivered > 10 })
			w.h.kill()
			w.h.start()
		}
	}
	settled("customers and products in both", 4*time.Minute)

	// A customer that came from the one is renamed in the other, and its street there.
	for _, in := range []string{"erp", "s4"} {
		other := map[string]string{"erp": "s4", "s4": "erp"}[in]
		was, now := fmt.Sprintf("Trade %s 1 & Söhne", other), fmt.Sprintf("Trade renamed in %s", in)
		w.customers[now] = "77 Side|Bonn|DE"
		delete(w.customers, was)
		id := w.partner(in, was)
		if in == "erp" {
			address := json.Number(erp.sql(fmt.Sprintf("SELECT min(id) FROM party_address WHERE party = %v", id)))
			erp.call("model.party.party.write", []any{id}, map[string]any{"name": now, "addresses": []any{[]any{"write", []any{address}, map[string]any{"street": "77 Side", "city": "Bonn"}}}})
		} else {
			w.s4.ask(http.MethodPatch, fmt.Sprintf("API_BUSINESS_PARTNER/A_BusinessPartner('%v')", id), jsonText(t, map[string]any{"BusinessPartnerFullName": now,
				"to_Address": []any{map[string]any{"AddressID": "1", "StreetName": "77 Side", "CityName": "Bonn", "Country": "DE"}}}))
		}
	}

	// Trade, in both at the same time.
	for n := range each {
		w.setStock(tradeSKU("erp", n), 1000+n)
		w.setStock(tradeSKU("s4", n), 2000+n)
	}
	for n := range each {
		for i, in := range []string{"erp", "s4"} {
			customer := fmt.Sprintf("Trade %s %d & Söhne", []string{"erp", "s4"}[(n+i)%2], 2+n%(each-2))
			w.newOrder(in, n, customer, [2]string{tradeSKU("erp", n%each), tradeSKU("s4", (n+1)%each)})
		}
		w.setCount(tradeSKU("s4", n%each), fmt.Sprint(50+n))
		w.newInvoice(n, fmt.Sprintf("Trade erp %d & Söhne", 2+n%(each-2)), tradeSKU("s4", n%each), tradeDay)
		switch n {
		case 3:
			w.setStock(tradeSKU("erp", 0), 77)
			refused := w.newInvoice(100, "Trade s4 2 & Söhne", tradeSKU("s4", 0), "2019-01-01") // in a year that Tryton has no books for
			w.invoices[refused] = "no period"
		case 5:
			w.h.await("some of it", 3*time.Minute, func() bool {
				return erp.sql("SELECT count(*) FROM sale_sale WHERE reference IS NOT NULL") > "0"
			})
			w.h.kill()
			w.h.start()
		}
	}
	w.h.await("the orders in Tryton", 5*time.Minute, func() bool {
		return erp.sql("SELECT count(*) FROM sale_sale WHERE state = 'processing'") == fmt.Sprint(len(w.orders)) || w.h.status().Totals.Parked > int64(len(w.invoices))
	})
	w.postInvoices()
	settled("everything in both", 5*time.Minute)
	for _, d := range w.differences() {
		t.Error(d)
	}
	erpLine.shown()
	s4Line.shown()
	st := w.h.status()
	checkTotals(t, st)
	out, _, _ := waybill(t, p.dir, "parked", "list", "--url", "http://"+p.http)
	if st.Totals.Parked != int64(len(w.invoices)) || !strings.Contains(out, "create a period for the date") {
		t.Errorf("%d messages are parked, want the invoice of a year without books alone:\n%s", st.Totals.Parked, out)
	}
}
