package sandbox

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// courier is the smallest thing that could be called a hub: it looks at everything, again and again, and writes what is
// missing or has changed. It shows that the systems can be brought to agree through what they publish.
type courier struct {
	t        *testing.T
	w        *World
	crm, wms client
	s        Snapshot
	index    map[string]Object // of s
	sent     map[string]string // target and key → what was written last
	writes   int
}

// find gives the object of that business key, or of the id that byID wraps.
func (c *courier) find(system, entity, key string) (Object, bool) {
	o, ok := c.index[system+"/"+entity+"/"+key]
	return o, ok
}

func byID(id any) string { return "#" + text(id) }

// look takes a new picture.
func (c *courier) look() {
	var err error
	if c.s, err = c.w.Snapshot(); err != nil {
		c.t.Fatal(err)
	}
	c.index = map[string]Object{}
	for system, entities := range c.s {
		for entity, list := range entities {
			for _, o := range list {
				c.index[system+"/"+entity+"/"+o.Key] = o
				c.index[system+"/"+entity+"/"+byID(o.ID)] = o
				if no := text(o.Doc["order_no"]); no != "" {
					c.index[system+"/"+entity+"/no "+no] = o
				}
			}
		}
	}
}

// changed says whether doc was not the last thing written there.
func (c *courier) changed(target string, doc any) bool {
	raw, _ := json.Marshal(doc)
	if c.sent[target] == string(raw) {
		return false
	}
	c.sent[target] = string(raw)
	c.writes++
	return true
}

// rest writes an object of a REST system: known says under which id.
func (c *courier) rest(to client, collection, ext string, old Object, known bool, doc map[string]any) {
	c.t.Helper()
	if !c.changed(collection+" "+to.base+" "+ext, doc) {
		return
	}
	if known {
		to.do(200, "PATCH", collection+"/"+old.ID, doc)
		return
	}
	doc = maps.Clone(doc)
	if strings.HasSuffix(to.base, "/api/") {
		doc["External_Id__c"] = ext
	} else {
		doc["externalId"] = ext
	}
	to.do(201, "POST", collection, doc)
}

// sql writes a row with its lines.
func (c *courier) sql(table, ext string, old Object, known bool, doc map[string]any, child, parent string, lines []map[string]any) {
	c.t.Helper()
	if !c.changed(table+" "+ext, []any{doc, lines}) {
		return
	}
	tx, err := c.w.erp.rw.BeginTx(c.t.Context(), nil)
	if err != nil {
		c.t.Fatal(err)
	}
	defer tx.Rollback()
	exec := func(query string, args ...any) int64 {
		res, err := tx.ExecContext(c.t.Context(), query, args...)
		if err != nil {
			c.t.Fatalf("%s %v: %v", query, args, err)
		}
		id, _ := res.LastInsertId()
		return id
	}
	insert := func(table string, doc map[string]any) int64 {
		cols := slices.Sorted(maps.Keys(doc))
		args := make([]any, len(cols))
		for i, col := range cols {
			args[i] = doc[col]
		}
		return exec("INSERT INTO "+table+"("+strings.Join(cols, ",")+") VALUES (?"+strings.Repeat(",?", len(cols)-1)+")", args...)
	}
	id := old.ID
	if known {
		for col, v := range doc {
			exec("UPDATE "+table+" SET "+col+" = ? WHERE id = ?", v, id)
		}
		if child != "" {
			exec("DELETE FROM "+child+" WHERE "+parent+" = ?", id)
		}
	} else {
		doc = maps.Clone(doc)
		doc["external_ref"] = ext
		id = fmt.Sprint(insert(table, doc))
	}
	for _, l := range lines {
		l = maps.Clone(l)
		l[parent] = id
		insert(child, l)
	}
	if err := tx.Commit(); err != nil {
		c.t.Fatal(err)
	}
}

// scalar is a value as a SQL parameter.
func scalar(v any) any {
	if v == nil {
		return nil
	}
	return text(v)
}

func (c *courier) pass() {
	c.look()
	c.writes = 0
	for _, do := range []func(){c.customers, c.products, c.orders, c.quotes, c.shipments, c.inventory, c.money} {
		do()
	}
}

func (c *courier) customers() {
	for _, a := range c.s[CRM][Customer] {
		old, known := c.find(ERP, Customer, a.Key)
		d := a.Doc
		c.sql("customers", "c-"+a.Key, old, known, map[string]any{
			"name": d["Name"], "tax_no": a.Key, "street": d["BillingStreet"], "city": d["BillingCity"], "region": d["BillingState"], "postal_code": d["BillingPostalCode"],
			"country": translate(text(d["BillingCountryCode"]), crmCountries, erpCountries), "email": d["Email__c"], "phone": d["Phone"], "currency": d["CurrencyIsoCode"],
			"contact_name": first(d, "Contacts.0.Name"), "contact_email": first(d, "Contacts.0.Email"), "contact_phone": first(d, "Contacts.0.Phone"),
		}, "", "", nil)
	}
	for _, e := range c.s[ERP][Customer] {
		old, known := c.find(CRM, Customer, e.Key)
		d := e.Doc
		doc := map[string]any{"Credit_Limit__c": d["credit_limit"], "Payment_Terms__c": translate(text(d["payment_terms"]), erpTerms, crmTerms),
			"Status__c": translate(text(d["status"]), erpAccountStatus, crmAccountStatus), "ERP_Customer_No__c": d["customer_no"]}
		if !known {
			for k, v := range map[string]any{
				"Name": d["name"], "TaxNumber__c": e.Key, "Phone": d["phone"], "Email__c": d["email"], "CurrencyIsoCode": d["currency"], "BillingStreet": d["street"], "BillingCity": d["city"],
				"BillingState": d["region"], "BillingPostalCode": d["postal_code"], "BillingCountryCode": translate(text(d["country"]), erpCountries, crmCountries),
				"Contacts": []any{map[string]any{"Name": d["contact_name"], "Email": d["contact_email"], "Phone": d["contact_phone"]}},
			} {
				doc[k] = v
			}
		}
		c.rest(c.crm, "accounts", "c-"+e.Key, old, known, doc)
	}
}

func (c *courier) products() {
	for _, i := range c.s[ERP][Product] {
		d := i.Doc
		old, known := c.find(CRM, Product, i.Key)
		c.rest(c.crm, "products", "p-"+i.Key, old, known, map[string]any{"ProductCode": i.Key, "Name": d["description"], "Family": d["family"], "UnitPrice": d["list_price"],
			"UnitOfMeasure__c": translate(text(d["uom"]), erpUnits, crmUnits), "CurrencyIsoCode": d["currency"], "IsActive": truth(d["blocked"]) != "true"})
		old, known = c.find(WMS, Product, i.Key)
		c.rest(c.wms, "products", "p-"+i.Key, old, known, map[string]any{"sku": i.Key, "name": d["description"], "unit": translate(text(d["uom"]), erpUnits, wmsUnits), "weightKg": d["weight_kg"]})
	}
}

func (c *courier) lines(doc map[string]any) []map[string]any {
	var out []map[string]any
	for _, l := range doc["LineItems"].([]any) {
		d := l.(map[string]any)
		out = append(out, map[string]any{"line_no": scalar(d["LineNumber"]), "sku": d["ProductCode"], "quantity": scalar(d["Quantity"]), "description": d["Description"],
			"uom": translate(text(d["UnitOfMeasure__c"]), crmUnits, erpUnits), "unit_price": scalar(d["UnitPrice"]), "line_amount": scalar(d["TotalPrice"])})
	}
	return out
}

// customerOf is the ERP's id of a CRM account.
func (c *courier) customerOf(account any) (any, bool) {
	a, _ := c.find(CRM, Customer, byID(account))
	e, ok := c.find(ERP, Customer, a.Key)
	return e.ID, ok
}

func (c *courier) orders() {
	for _, o := range c.s[CRM][Order] {
		d := o.Doc
		customer, ok := c.customerOf(d["AccountId"])
		if d["Status"] == "Draft" || !ok {
			continue
		}
		old, known := c.find(ERP, Order, o.Key)
		c.sql("sales_orders", "o-"+o.Key, old, known, map[string]any{"source_order_no": o.Key, "customer_id": customer, "customer_po": d["PoNumber"], "order_date": d["EffectiveDate"],
			"currency": d["CurrencyIsoCode"], "shipping_method": translate(text(d["Shipping_Method__c"]), crmShipping, erpShipping), "ship_street": d["ShippingStreet"], "ship_city": d["ShippingCity"],
			"ship_postal_code": d["ShippingPostalCode"], "ship_country": scalar(translate(text(d["ShippingCountryCode"]), crmCountries, erpCountries)), "note": d["Description"],
			"net_amount": scalar(d["TotalAmount"])}, "sales_order_lines", "order_id", c.lines(d))
	}
	for _, e := range c.s[ERP][Order] {
		d := e.Doc
		o, ok := c.find(CRM, Order, e.Key)
		if ok {
			c.rest(c.crm, "orders", "o-"+e.Key, o, true, map[string]any{"Status": translate(text(d["status"]), erpOrderStatus, erpToCRMOrder), "ERP_Order_Number__c": d["order_no"], "Tracking_Number__c": d["tracking_no"]})
		}
		if d["status"] == "NEW" {
			continue
		}
		lines := []any{}
		for _, l := range d["lines"].([]any) {
			line := l.(map[string]any)
			lines = append(lines, map[string]any{"lineNo": line["line_no"], "sku": line["sku"], "quantity": line["quantity"], "unit": translate(text(line["uom"]), erpUnits, wmsUnits)})
		}
		old, known := c.find(WMS, Order, text(d["order_no"]))
		c.rest(c.wms, "shipment-orders", "o-"+e.Key, old, known, map[string]any{"orderNumber": d["order_no"], "customerName": "x", "lines": lines,
			"priority": translate(text(d["shipping_method"]), erpShipping, wmsPriority), "shipTo": map[string]any{"name": "x", "street": d["ship_street"], "city": d["ship_city"],
				"postalCode": d["ship_postal_code"], "country": translate(text(d["ship_country"]), erpCountries, crmCountries)}})
	}
}

func (c *courier) quotes() {
	for _, q := range c.s[CRM][Quote] {
		d := q.Doc
		customer, ok := c.customerOf(d["AccountId"])
		if !ok {
			continue
		}
		old, known := c.find(ERP, Quote, q.Key)
		c.sql("quotes", "q-"+q.Key, old, known, map[string]any{"source_quote_no": q.Key, "customer_id": customer, "title": d["Name"], "valid_until": d["ExpirationDate"], "currency": d["CurrencyIsoCode"],
			"status": translate(text(d["Status"]), crmQuoteStatus, erpQuoteStatus), "total_amount": d["GrandTotal"]}, "quote_lines", "quote_id", c.lines(d))
		if known {
			c.rest(c.crm, "quotes", "q-"+q.Key, q, true, map[string]any{"ERP_Quote_Number__c": old.Doc["quote_no"]})
		}
	}
}

func (c *courier) shipments() {
	for _, s := range c.s[WMS][Shipment] {
		d := s.Doc
		e, ok := c.find(ERP, Order, "no "+text(d["orderNumber"]))
		o, ok2 := c.find(CRM, Order, e.Key)
		if !ok || !ok2 {
			c.t.Errorf("shipment %s of an order that nobody knows", s.Key)
			continue
		}
		var rows []map[string]any
		items := []any{}
		for _, l := range d["lines"].([]any) {
			line := l.(map[string]any)
			rows = append(rows, map[string]any{"line_no": scalar(line["lineNo"]), "sku": line["sku"], "quantity": line["quantity"]})
			items = append(items, map[string]any{"LineNumber": line["lineNo"], "ProductCode": line["sku"], "Quantity": line["quantity"]})
		}
		old, known := c.find(ERP, Shipment, s.Key)
		c.sql("shipments", "s-"+s.Key, old, known, map[string]any{"shipment_no": s.Key, "order_id": e.ID, "carrier": d["carrier"], "tracking_no": d["trackingNumber"], "shipped_at": d["shippedAt"]}, "shipment_lines", "shipment_id", rows)
		old, known = c.find(CRM, Shipment, s.Key)
		c.rest(c.crm, "shipments", "s-"+s.Key, old, known, map[string]any{"ShipmentNumber": s.Key, "OrderId": o.ID, "Carrier__c": d["carrier"], "TrackingNumber": d["trackingNumber"], "ShippedDate": d["shippedAt"], "LineItems": items})
	}
}

func (c *courier) inventory() {
	files, _ := filepath.Glob(filepath.Join(c.w.Env()[EnvWMSDrop], "*", "*.csv"))
	for _, f := range files {
		_ = os.Remove(f)
	}
	for _, s := range c.s[WMS][Inventory] {
		d := s.Doc
		old, known := c.find(ERP, Inventory, s.Key)
		c.sql("stock", "i-"+s.Key, old, known, map[string]any{"sku": d["sku"], "warehouse": d["warehouse"], "on_hand": d["onHand"], "reserved": d["reserved"], "counted_at": d["countedAt"], "source_sequence": scalar(d["sequence"])}, "", "", nil)
	}
	for _, s := range c.s[ERP][Inventory] {
		d := s.Doc
		old, known := c.find(CRM, Inventory, s.Key)
		c.rest(c.crm, "inventory", "i-"+s.Key, old, known, map[string]any{"ProductCode": d["sku"], "Warehouse__c": d["warehouse"], "QuantityOnHand": d["on_hand"], "QuantityReserved": d["reserved"]})
	}
}

func (c *courier) money() {
	for _, i := range c.s[ERP][Invoice] {
		d := i.Doc
		order, _ := c.find(ERP, Order, byID(d["order_id"]))
		o, _ := c.find(CRM, Order, order.Key)
		old, known := c.find(CRM, Invoice, i.Key)
		c.rest(c.crm, "invoices", "f-"+i.Key, old, known, map[string]any{"InvoiceNumber": i.Key, "AccountId": o.Doc["AccountId"], "OrderId": o.ID, "InvoiceDate": d["invoice_date"], "DueDate": d["due_date"],
			"CurrencyIsoCode": d["currency"], "NetAmount": d["net_amount"], "TaxAmount": d["tax_amount"], "TotalAmount": d["gross_amount"], "Balance": d["open_amount"],
			"Status": translate(text(d["status"]), erpInvoiceStatus, crmInvoiceStatus)})
	}
	for _, p := range c.s[ERP][Payment] {
		d := p.Doc
		invoice, _ := c.find(ERP, Invoice, byID(d["invoice_id"]))
		i, ok := c.find(CRM, Invoice, invoice.Key)
		if !ok {
			continue
		}
		old, known := c.find(CRM, Payment, p.Key)
		c.rest(c.crm, "payments", "m-"+p.Key, old, known, map[string]any{"PaymentNumber": p.Key, "InvoiceId": i.ID, "PaymentDate": d["paid_on"], "Amount": d["amount"], "CurrencyIsoCode": d["currency"],
			"PaymentMethod": translate(text(d["method"]), erpMethods, crmMethods)})
	}
}
