package sandbox

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Readers of one field: a text in which equal values are equal.

// plain is a scalar as text; null, absent and "" are the same.
func plain(v any) string { return strings.TrimSpace(text(v)) }

// amount is a number by value: 12.50, "12.5" and 12.5 are the same.
func amount(v any) string {
	r, ok := rat(v)
	if !ok {
		return plain(v)
	}
	return string(number(r, 6))
}

// instant is a time in whole milliseconds.
func instant(v any) string {
	t, err := time.Parse(time.RFC3339, plain(v))
	if err != nil {
		return plain(v)
	}
	return t.UTC().Truncate(time.Millisecond).Format(time.RFC3339Nano)
}

// truth is true or false, also as 1 or 0.
func truth(v any) string {
	switch plain(v) {
	case "true", "1":
		return "true"
	}
	return "false"
}

// first reads a dotted path, with numbers for places in lists.
func first(doc map[string]any, path string) any {
	var v any = doc
	for step := range strings.SplitSeq(path, ".") {
		switch w := v.(type) {
		case map[string]any:
			v = w[step]
		case []any:
			if step != "0" || len(w) == 0 {
				return nil
			}
			v = w[0]
		default:
			return nil
		}
	}
	return v
}

// same fields: the source's owner says what it has to be.
func eq(read func(any) string, from, to string) comparison {
	return comparison{to, func(_ *view, a, b Object) (string, string) { return read(first(a.Doc, from)), read(first(b.Doc, to)) }}
}

// back is a field that the target owns, and the source has to show.
func back(read func(any) string, from, to string) comparison {
	return comparison{from, func(_ *view, a, b Object) (string, string) { return read(first(b.Doc, to)), read(first(a.Doc, from)) }}
}

// coded is a field whose codes stand in the same place of two lists.
func coded(from string, codes []string, to string, others []string) comparison {
	return comparison{to, func(_ *view, a, b Object) (string, string) {
		return translate(plain(first(a.Doc, from)), codes, others), plain(first(b.Doc, to))
	}}
}

func codedBack(from string, codes []string, to string, others []string) comparison {
	return comparison{from, func(_ *view, a, b Object) (string, string) {
		return translate(plain(first(b.Doc, to)), others, codes), plain(first(a.Doc, from))
	}}
}

func translate(code string, from, to []string) string {
	if i := slices.Index(from, code); i >= 0 && i < len(to) {
		return to[i]
	}
	return code
}

// linked: both point at the same object of another entity; num is the field by which it is known on both sides.
func linked(entity, from, to, fromSystem, toSystem, fromNumber, toNumber string) comparison {
	return comparison{to, func(v *view, a, b Object) (string, string) {
		x := v.byID[fromSystem+"/"+entity][plain(first(a.Doc, from))]
		y := v.byID[toSystem+"/"+entity][plain(first(b.Doc, to))]
		return plain(first(x.Doc, fromNumber)), plain(first(y.Doc, toNumber))
	}}
}

// lines compares lists by line number, field by field, in one text each.
func lines(from, fromNo, to, toNo string, fields ...comparison) comparison {
	one := func(list any, no string, pick func(a, b Object) string) map[string]string {
		out := map[string]string{}
		items, _ := list.([]any)
		for _, e := range items {
			doc, _ := e.(map[string]any)
			key := amount(doc[no])
			for out[key] != "" {
				key += "+" // the same number twice is not the same as once
			}
			out[key] = pick(Object{Doc: doc}, Object{Doc: doc})
		}
		return out
	}
	show := func(m map[string]string) string {
		keys := make([]string, 0, len(m))
		for k := range m {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for i, k := range keys {
			keys[i] = k + ": " + m[k]
		}
		return strings.Join(keys, "; ")
	}
	return comparison{to, func(v *view, a, b Object) (string, string) {
		want := one(first(a.Doc, from), fromNo, func(x, _ Object) string {
			var out []string
			for _, f := range fields {
				w, _ := f.do(v, x, Object{})
				out = append(out, w)
			}
			return strings.Join(out, " ")
		})
		got := one(first(b.Doc, to), toNo, func(_, y Object) string {
			var out []string
			for _, f := range fields {
				_, g := f.do(v, Object{}, y)
				out = append(out, g)
			}
			return strings.Join(out, " ")
		})
		return show(want), show(got)
	}}
}

func salesLines() comparison {
	return lines("LineItems", "LineNumber", "lines", "line_no", eq(plain, "ProductCode", "sku"), eq(amount, "Quantity", "quantity"),
		coded("UnitOfMeasure__c", crmUnits, "uom", erpUnits), eq(amount, "UnitPrice", "unit_price"), eq(amount, "TotalPrice", "line_amount"))
}

var erpToCRMOrder = crmOrderStatus[1:] // in the order of erpOrderStatus

// compareRules says what has to be where. It is a function, so that a program that compares nothing holds none of it.
func compareRules() []rule {
	return []rule{
		{name: "customer crm→erp", entity: Customer, from: CRM, to: ERP, fields: []comparison{
			eq(plain, "Name", "name"), eq(plain, "BillingStreet", "street"), eq(plain, "BillingCity", "city"), eq(plain, "BillingState", "region"),
			eq(plain, "BillingPostalCode", "postal_code"), coded("BillingCountryCode", crmCountries, "country", erpCountries),
			eq(plain, "Email__c", "email"), eq(plain, "Phone", "phone"), eq(plain, "CurrencyIsoCode", "currency"),
			eq(plain, "Contacts.0.Name", "contact_name"), eq(plain, "Contacts.0.Email", "contact_email"), eq(plain, "Contacts.0.Phone", "contact_phone"),
		}},
		{name: "customer erp→crm", entity: Customer, from: ERP, to: CRM, fields: []comparison{
			eq(amount, "credit_limit", "Credit_Limit__c"), coded("payment_terms", erpTerms, "Payment_Terms__c", crmTerms),
			coded("status", erpAccountStatus, "Status__c", crmAccountStatus), eq(plain, "customer_no", "ERP_Customer_No__c"),
		}},
		{name: "product erp→crm", entity: Product, from: ERP, to: CRM, fields: []comparison{
			eq(plain, "description", "Name"), eq(plain, "family", "Family"), coded("uom", erpUnits, "UnitOfMeasure__c", crmUnits),
			eq(amount, "list_price", "UnitPrice"), eq(plain, "currency", "CurrencyIsoCode"),
			{"IsActive", func(_ *view, a, b Object) (string, string) {
				return fmt.Sprint(truth(a.Doc["blocked"]) != "true"), truth(b.Doc["IsActive"])
			}},
		}},
		{name: "product erp→wms", entity: Product, from: ERP, to: WMS, fields: []comparison{
			eq(plain, "description", "name"), coded("uom", erpUnits, "unit", wmsUnits), eq(amount, "weight_kg", "weightKg"),
		}},
		{name: "order crm→erp", entity: Order, from: CRM, to: ERP,
			when: func(_ *view, o Object) bool { return o.Doc["Status"] != "Draft" },
			fields: []comparison{
				linked(Customer, "AccountId", "customer_id", CRM, ERP, "TaxNumber__c", "tax_no"),
				eq(plain, "EffectiveDate", "order_date"), eq(plain, "CurrencyIsoCode", "currency"), eq(plain, "PoNumber", "customer_po"),
				coded("Shipping_Method__c", crmShipping, "shipping_method", erpShipping), eq(plain, "Description", "note"),
				eq(plain, "ShippingStreet", "ship_street"), eq(plain, "ShippingCity", "ship_city"), eq(plain, "ShippingPostalCode", "ship_postal_code"),
				coded("ShippingCountryCode", crmCountries, "ship_country", erpCountries), eq(amount, "TotalAmount", "net_amount"), salesLines(),
				codedBack("Status", erpToCRMOrder, "status", erpOrderStatus), back(plain, "ERP_Order_Number__c", "order_no"), back(plain, "Tracking_Number__c", "tracking_no"),
			}},
		{name: "order erp→wms", entity: Order, from: ERP, to: WMS,
			when: func(_ *view, o Object) bool { return o.Doc["status"] != "NEW" && o.Doc["status"] != "CANC" },
			key:  func(_ *view, o Object) string { return plain(o.Doc["order_no"]) },
			fields: []comparison{
				coded("shipping_method", erpShipping, "priority", wmsPriority), eq(plain, "ship_street", "shipTo.street"), eq(plain, "ship_city", "shipTo.city"),
				eq(plain, "ship_postal_code", "shipTo.postalCode"), coded("ship_country", erpCountries, "shipTo.country", crmCountries),
				lines("lines", "line_no", "lines", "lineNo", eq(plain, "sku", "sku"), eq(amount, "quantity", "quantity"), coded("uom", erpUnits, "unit", wmsUnits)),
			}},
		{name: "shipment wms→erp", entity: Shipment, from: WMS, to: ERP, fields: []comparison{
			eq(plain, "carrier", "carrier"), eq(plain, "trackingNumber", "tracking_no"), eq(instant, "shippedAt", "shipped_at"),
			linked(Order, "shipmentOrderId", "order_id", WMS, ERP, "orderNumber", "order_no"),
			lines("lines", "lineNo", "lines", "line_no", eq(plain, "sku", "sku"), eq(amount, "quantity", "quantity")),
		}},
		{name: "shipment wms→crm", entity: Shipment, from: WMS, to: CRM, fields: []comparison{
			eq(plain, "carrier", "Carrier__c"), eq(plain, "trackingNumber", "TrackingNumber"), eq(instant, "shippedAt", "ShippedDate"),
			linked(Order, "shipmentOrderId", "OrderId", WMS, CRM, "orderNumber", "ERP_Order_Number__c"),
			lines("lines", "lineNo", "LineItems", "LineNumber", eq(plain, "sku", "ProductCode"), eq(amount, "quantity", "Quantity")),
		}},
		{name: "inventory wms→erp", entity: Inventory, from: WMS, to: ERP, fields: []comparison{
			eq(amount, "onHand", "on_hand"), eq(amount, "reserved", "reserved"),
		}, own: func(o Object) bool { return plain(o.Doc["warehouse"]) == consignment }},
		{name: "inventory erp→crm", entity: Inventory, from: ERP, to: CRM, fields: []comparison{
			eq(amount, "on_hand", "QuantityOnHand"), eq(amount, "reserved", "QuantityReserved"),
		}},
		{name: "invoice erp→crm", entity: Invoice, from: ERP, to: CRM, fields: []comparison{
			linked(Customer, "customer_id", "AccountId", ERP, CRM, "tax_no", "TaxNumber__c"), linked(Order, "order_id", "OrderId", ERP, CRM, "source_order_no", "OrderNumber"),
			eq(plain, "invoice_date", "InvoiceDate"), eq(plain, "due_date", "DueDate"), eq(plain, "currency", "CurrencyIsoCode"),
			eq(amount, "net_amount", "NetAmount"), eq(amount, "tax_amount", "TaxAmount"), eq(amount, "gross_amount", "TotalAmount"),
			eq(amount, "open_amount", "Balance"), coded("status", erpInvoiceStatus, "Status", crmInvoiceStatus),
		}},
		{name: "payment erp→crm", entity: Payment, from: ERP, to: CRM, fields: []comparison{
			linked(Invoice, "invoice_id", "InvoiceId", ERP, CRM, "invoice_no", "InvoiceNumber"), eq(plain, "paid_on", "PaymentDate"),
			eq(amount, "amount", "Amount"), eq(plain, "currency", "CurrencyIsoCode"), coded("method", erpMethods, "PaymentMethod", crmMethods),
		}},
		{name: "quote crm→erp", entity: Quote, from: CRM, to: ERP, fields: []comparison{
			linked(Customer, "AccountId", "customer_id", CRM, ERP, "TaxNumber__c", "tax_no"), eq(plain, "Name", "title"), eq(plain, "ExpirationDate", "valid_until"),
			eq(plain, "CurrencyIsoCode", "currency"), coded("Status", crmQuoteStatus, "status", erpQuoteStatus), eq(amount, "GrandTotal", "total_amount"), salesLines(),
			back(plain, "ERP_Quote_Number__c", "quote_no"),
		}},
	}
}
