package sandbox

// erpTable describes one table of the ERP; the SQL in erp.sql and these agree, which a test checks.
type erpTable struct {
	spec
	// Child is the table of the lines, Parent its column that points up; Lines are its columns.
	Child, Parent string
	Lines         []field
	// Life: only the ERP itself writes it.
	Life bool
}

func erpSystemFields(number string) []field {
	f := []field{
		{Name: "id", Kind: kInt},
		{Name: "external_ref", Kind: kString, Access: optional, Null: true, Doc: "unique; set by whoever created the row from outside"},
	}
	if number != "" {
		f = append(f, field{Name: number, Kind: kString, Null: false, Max: 40, Doc: "numbered by the ERP"})
	}
	return append(f,
		field{Name: "created_at", Kind: kTime},
		field{Name: "updated_at", Kind: kTime},
		field{Name: "updated_by", Kind: kString, Max: 20, Doc: "erp, or api for whoever writes from outside"},
		field{Name: "row_version", Kind: kInt, Doc: "strictly increasing over all rows of the ERP, in commit order"},
	)
}

var (
	erpLineColumns = []field{
		{Name: "line_no", Kind: kInt, Access: required},
		{Name: "sku", Kind: kString, Access: required, Max: 40},
		{Name: "description", Kind: kString, Access: optional, Null: true},
		{Name: "quantity", Kind: kDec, Access: required, Scale: 3},
		{Name: "uom", Kind: kString, Access: required, Enum: erpUnits, Max: 2},
		{Name: "unit_price", Kind: kDec, Access: required, Scale: 2},
		{Name: "line_amount", Kind: kDec, Access: required, Scale: 2},
	}
	erpCurrency = field{Name: "currency", Kind: kString, Access: required, Enum: currencies, Max: 3}
)

// erpTables describes the ERP's tables, parents before those that point at them.
var erpTables = []*erpTable{
	{spec: spec{
		Name: "customers", Schema: "erp/customer", Title: "Customer of the ERP", Number: "customer_no", Format: "C-%06d",
		Fields: join(erpSystemFields("customer_no"), []field{
			{Name: "name", Kind: kString, Access: required},
			{Name: "tax_no", Kind: kString, Access: required, Max: 18, Doc: "one company, one number, but the ERP does not enforce it"},
			{Name: "street", Kind: kString, Access: optional, Null: true},
			{Name: "city", Kind: kString, Access: optional, Null: true},
			{Name: "region", Kind: kString, Access: optional, Null: true},
			{Name: "postal_code", Kind: kString, Access: optional, Null: true, Max: 20},
			{Name: "country", Kind: kString, Access: required, Enum: erpCountries, Max: 3},
			{Name: "email", Kind: kString, Access: optional, Null: true, Max: 80},
			{Name: "phone", Kind: kString, Access: optional, Null: true, Max: 40},
			{Name: "contact_name", Kind: kString, Access: optional, Null: true},
			{Name: "contact_email", Kind: kString, Access: optional, Null: true, Max: 80},
			{Name: "contact_phone", Kind: kString, Access: optional, Null: true, Max: 40},
			erpCurrency,
			{Name: "credit_limit", Kind: kDec, Scale: 2, Access: optional, Doc: "owned by the ERP; 10000.00 at first"},
			{Name: "payment_terms", Kind: kString, Access: optional, Enum: erpTerms, Max: 3, Doc: "owned by the ERP; N30 at first"},
			{Name: "status", Kind: kString, Access: optional, Enum: erpAccountStatus, Max: 1, Doc: "owned by the ERP; A at first"},
		}),
	}},
	{spec: spec{
		Name: "items", Schema: "erp/item", Title: "Item of the ERP: a product",
		Fields: join(erpSystemFields(""), []field{
			{Name: "sku", Kind: kString, Access: required, Max: 40, Doc: "unique; the business key"},
			{Name: "description", Kind: kString, Access: required},
			{Name: "long_text", Kind: kString, Access: optional, Null: true, Max: 4000},
			{Name: "family", Kind: kString, Access: optional, Null: true, Max: 40},
			{Name: "uom", Kind: kString, Access: required, Enum: erpUnits, Max: 2},
			{Name: "list_price", Kind: kDec, Access: required, Scale: 2},
			erpCurrency,
			{Name: "weight_kg", Kind: kDec, Access: optional, Null: true, Scale: 3},
			{Name: "blocked", Kind: kBool, Access: optional, Doc: "0 or 1 in the table"},
		}),
	}, Life: true},
	{spec: spec{
		Name: "sales_orders", Schema: "erp/sales-order", Title: "Sales order of the ERP, with its lines", Number: "order_no", Format: "SO-2026-%06d",
		Fields: join(erpSystemFields("order_no"), []field{
			{Name: "source_order_no", Kind: kString, Access: required, Max: 40, Doc: "the CRM's order number"},
			{Name: "customer_id", Kind: kInt, Access: required, Ref: "customers"},
			{Name: "customer_po", Kind: kString, Access: optional, Null: true, Max: 80},
			{Name: "order_date", Kind: kDate, Access: required},
			erpCurrency,
			{Name: "shipping_method", Kind: kString, Access: required, Enum: erpShipping, Max: 3},
			{Name: "ship_street", Kind: kString, Access: optional, Null: true},
			{Name: "ship_city", Kind: kString, Access: optional, Null: true},
			{Name: "ship_postal_code", Kind: kString, Access: optional, Null: true, Max: 20},
			{Name: "ship_country", Kind: kString, Access: optional, Null: true, Enum: erpCountries, Max: 3},
			{Name: "note", Kind: kString, Access: optional, Null: true, Max: 4000},
			{Name: "net_amount", Kind: kDec, Access: required, Scale: 2, Doc: "sum of the lines"},
			{Name: "status", Kind: kString, Access: optional, Enum: erpOrderStatus, Max: 4, Doc: "owned by the ERP; NEW at first, and never NEW again"},
			{Name: "confirmed_at", Kind: kTime, Null: true},
			{Name: "tracking_no", Kind: kString, Null: true, Max: 80, Doc: "of the last shipment"},
		}),
	}, Child: "sales_order_lines", Parent: "order_id", Lines: erpLineColumns},
	{spec: spec{
		Name: "quotes", Schema: "erp/quote", Title: "Quote in the ERP, with its lines", Number: "quote_no", Format: "QU-2026-%06d",
		Fields: join(erpSystemFields("quote_no"), []field{
			{Name: "source_quote_no", Kind: kString, Access: required, Max: 40, Doc: "the CRM's quote number"},
			{Name: "customer_id", Kind: kInt, Access: required, Ref: "customers"},
			{Name: "title", Kind: kString, Access: required},
			{Name: "valid_until", Kind: kDate, Access: optional, Null: true},
			erpCurrency,
			{Name: "status", Kind: kString, Access: required, Enum: erpQuoteStatus, Max: 5},
			{Name: "total_amount", Kind: kDec, Access: required, Scale: 2},
		}),
	}, Child: "quote_lines", Parent: "quote_id", Lines: erpLineColumns},
	{spec: spec{
		Name: "shipments", Schema: "erp/shipment", Title: "Delivery in the ERP: what the warehouse shipped", Number: "delivery_no", Format: "DN-2026-%06d",
		Fields: join(erpSystemFields("delivery_no"), []field{
			{Name: "shipment_no", Kind: kString, Access: required, Max: 40, Doc: "the warehouse's number; the business key"},
			{Name: "order_id", Kind: kInt, Access: required, Ref: "sales_orders"},
			{Name: "carrier", Kind: kString, Access: optional, Null: true, Max: 20},
			{Name: "tracking_no", Kind: kString, Access: required, Max: 80},
			{Name: "shipped_at", Kind: kTime, Access: required},
			{Name: "posted", Kind: kBool, Doc: "1 once the ERP has put it into the order's status"},
		}),
	}, Child: "shipment_lines", Parent: "shipment_id", Lines: []field{
		{Name: "line_no", Kind: kInt, Access: required},
		{Name: "sku", Kind: kString, Access: required, Max: 40},
		{Name: "quantity", Kind: kDec, Access: required, Scale: 3},
	}},
	{spec: spec{
		Name: "invoices", Schema: "erp/invoice", Title: "Invoice of the ERP, with its lines", Number: "invoice_no", Format: "INV-2026-%06d",
		Fields: join(erpSystemFields("invoice_no"), []field{
			{Name: "order_id", Kind: kInt, Ref: "sales_orders"},
			{Name: "customer_id", Kind: kInt, Ref: "customers"},
			{Name: "invoice_date", Kind: kDate},
			{Name: "due_date", Kind: kDate},
			{Name: "currency", Kind: kString, Max: 3},
			{Name: "net_amount", Kind: kDec},
			{Name: "tax_amount", Kind: kDec},
			{Name: "gross_amount", Kind: kDec},
			{Name: "open_amount", Kind: kDec, Doc: "still to be paid"},
			{Name: "status", Kind: kString, Max: 4, Doc: "OPEN, PART, PAID"},
		}),
	}, Child: "invoice_lines", Parent: "invoice_id", Lines: erpLineColumns, Life: true},
	{spec: spec{
		Name: "payments", Schema: "erp/payment", Title: "Payment that the ERP registered", Number: "payment_no", Format: "PAY-2026-%06d",
		Fields: join(erpSystemFields("payment_no"), []field{
			{Name: "invoice_id", Kind: kInt, Ref: "invoices"},
			{Name: "paid_on", Kind: kDate},
			{Name: "amount", Kind: kDec},
			{Name: "currency", Kind: kString, Max: 3},
			{Name: "method", Kind: kString, Max: 1, Doc: "T transfer, C card, K check"},
		}),
	}, Life: true},
	{spec: spec{
		Name: "stock", Schema: "erp/stock", Title: "Stock of one item in one warehouse",
		Fields: join(erpSystemFields(""), []field{
			{Name: "sku", Kind: kString, Access: required, Max: 40},
			{Name: "warehouse", Kind: kString, Access: required, Max: 20, Doc: "sku and warehouse together are unique"},
			{Name: "on_hand", Kind: kDec, Access: required, Scale: 3},
			{Name: "reserved", Kind: kDec, Access: optional, Scale: 3},
			{Name: "counted_at", Kind: kTime, Access: optional, Null: true},
			{Name: "source_sequence", Kind: kInt, Access: optional, Null: true, Doc: "the warehouse's sequence"},
		}),
	}},
}
