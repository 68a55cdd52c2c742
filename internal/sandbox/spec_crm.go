package sandbox

import "math/big"

func crmSystemFields(number string) []field {
	f := []field{
		{Name: "Id", Kind: kString, Max: 18, Doc: "18 characters, case-safe"},
		{Name: "External_Id__c", Kind: kString, Access: optional, Null: true, Index: true, Doc: "unique; set by whoever created the record from outside"},
	}
	if number != "" {
		f = append(f, field{Name: number, Kind: kString, Index: true, Doc: "numbered by the CRM; the business key"})
	}
	return append(f,
		field{Name: "IsDeleted", Kind: kBool},
		field{Name: "CreatedDate", Kind: kTime},
		field{Name: "LastModifiedById", Kind: kString, Max: 18, Doc: "a user, or the integration user for changes through the API"},
		field{Name: "SystemModstamp", Kind: kTime, Doc: "strictly increasing over all records of the CRM, milliseconds"},
	)
}

func crmAddress(prefix string) []field {
	return []field{
		{Name: prefix + "Street", Kind: kString, Access: optional, Null: true},
		{Name: prefix + "City", Kind: kString, Access: optional, Null: true, Max: 80},
		{Name: prefix + "State", Kind: kString, Access: optional, Null: true, Max: 80},
		{Name: prefix + "PostalCode", Kind: kString, Access: optional, Null: true, Max: 20},
		{Name: prefix + "CountryCode", Kind: kString, Access: optional, Null: true, Enum: crmCountries, Max: 2},
	}
}

var crmCurrency = field{Name: "CurrencyIsoCode", Kind: kString, Access: optional, Enum: currencies, Max: 3, Default: "CNY"}

var crmLines = []field{
	{Name: "LineNumber", Kind: kInt, Access: required},
	{Name: "ProductCode", Kind: kString, Access: required, Max: 40, Doc: "the SKU"},
	{Name: "Description", Kind: kString, Access: optional, Null: true},
	{Name: "Quantity", Kind: kNumber, Access: required, Scale: 3},
	{Name: "UnitOfMeasure__c", Kind: kString, Access: required, Enum: crmUnits, Max: 20},
	{Name: "UnitPrice", Kind: kNumber, Access: required, Scale: 2},
	{Name: "TotalPrice", Kind: kNumber, Access: optional, Null: true, Scale: 2, Doc: "Quantity × UnitPrice, rounded half up to 2 places; computed where not given"},
}

// crmSpecs describes the CRM's collections.
var crmSpecs = []*spec{
	{
		Name: "accounts", Schema: "crm/account", Title: "Account of the CRM: a customer", Prefix: "001",
		Number: "AccountNumber", Format: "A-%06d", Push: "accounts",
		Fields: join(crmSystemFields("AccountNumber"), []field{
			{Name: "Name", Kind: kString, Access: required},
			{Name: "TaxNumber__c", Kind: kString, Access: required, Max: 18, Index: true, Doc: "unified tax number; one company, one number, but the CRM does not enforce it"},
			{Name: "Phone", Kind: kString, Access: optional, Null: true, Max: 40},
			{Name: "Email__c", Kind: kString, Access: optional, Null: true, Max: 80},
			{Name: "Industry", Kind: kString, Access: optional, Null: true, Max: 40},
			crmCurrency,
		}, crmAddress("Billing"), crmAddress("Shipping"), []field{
			{Name: "Contacts", Kind: kList, Access: optional, Fields: []field{
				{Name: "Name", Kind: kString, Access: required},
				{Name: "Email", Kind: kString, Access: optional, Null: true, Max: 80},
				{Name: "Phone", Kind: kString, Access: optional, Null: true, Max: 40},
				{Name: "Role", Kind: kString, Access: optional, Null: true, Max: 40},
			}, Doc: "the first is the main contact"},
			{Name: "Credit_Limit__c", Kind: kNumber, Access: optional, Null: true, Scale: 2, Doc: "owned by the ERP"},
			{Name: "Payment_Terms__c", Kind: kString, Access: optional, Null: true, Enum: crmTerms, Max: 20, Doc: "owned by the ERP"},
			{Name: "Status__c", Kind: kString, Access: optional, Null: true, Enum: crmAccountStatus, Max: 20, Doc: "owned by the ERP"},
			{Name: "ERP_Customer_No__c", Kind: kString, Access: optional, Null: true, Index: true, Max: 40, Doc: "owned by the ERP"},
		}),
	},
	{
		Name: "products", Schema: "crm/product", Title: "Product of the CRM", Prefix: "01t", Unique: []string{"ProductCode"},
		Fields: join(crmSystemFields(""), []field{
			{Name: "ProductCode", Kind: kString, Access: required, Max: 40, Index: true, Doc: "the SKU, unique; the business key"},
			{Name: "Name", Kind: kString, Access: required},
			{Name: "Description", Kind: kString, Access: optional, Null: true, Max: 4000},
			{Name: "Family", Kind: kString, Access: optional, Null: true, Max: 40},
			{Name: "UnitOfMeasure__c", Kind: kString, Access: required, Enum: crmUnits, Max: 20},
			{Name: "UnitPrice", Kind: kNumber, Access: required, Scale: 2},
			crmCurrency,
			{Name: "IsActive", Kind: kBool, Access: optional, Default: true},
		}),
	},
	{
		Name: "orders", Schema: "crm/order", Title: "Order of the CRM, with its lines", Prefix: "801",
		Number: "OrderNumber", Format: "ORD-%08d", Push: "orders", compute: crmTotals("TotalAmount", false),
		Fields: join(crmSystemFields("OrderNumber"), []field{
			{Name: "AccountId", Kind: kString, Access: required, Ref: "accounts", Max: 18, Index: true},
			{Name: "Status", Kind: kString, Access: optional, Enum: crmOrderStatus, Max: 40, Default: "Draft", Doc: "Draft and Activated are set by users; the rest is owned by the ERP"},
			{Name: "EffectiveDate", Kind: kDate, Access: required},
			crmCurrency,
			{Name: "PoNumber", Kind: kString, Access: optional, Null: true, Max: 80, Doc: "the customer's own number"},
			{Name: "Shipping_Method__c", Kind: kString, Access: optional, Enum: crmShipping, Max: 20, Default: "Standard"},
			{Name: "Description", Kind: kString, Access: optional, Null: true, Max: 4000},
		}, crmAddress("Shipping"), []field{
			{Name: "LineItems", Kind: kList, Access: required, Fields: crmLines, Doc: "1 to 7"},
			{Name: "TotalAmount", Kind: kNumber, Scale: 2, Doc: "sum of the lines"},
			{Name: "ERP_Order_Number__c", Kind: kString, Access: optional, Null: true, Index: true, Max: 40, Doc: "owned by the ERP"},
			{Name: "Tracking_Number__c", Kind: kString, Access: optional, Null: true, Max: 80, Doc: "of the last shipment"},
		}),
	},
	{
		Name: "quotes", Schema: "crm/quote", Title: "Quote of the CRM, with its lines", Prefix: "0Q0",
		Number: "QuoteNumber", Format: "Q-%08d", Push: "quotes", compute: crmTotals("GrandTotal", true),
		Fields: join(crmSystemFields("QuoteNumber"), []field{
			{Name: "Name", Kind: kString, Access: required},
			{Name: "AccountId", Kind: kString, Access: required, Ref: "accounts", Max: 18, Index: true},
			{Name: "Status", Kind: kString, Access: optional, Enum: crmQuoteStatus, Max: 40, Default: "Draft"},
			{Name: "ExpirationDate", Kind: kDate, Access: optional, Null: true},
			crmCurrency,
			{Name: "LineItems", Kind: kList, Access: required, Fields: crmLines},
			{Name: "GrandTotal", Kind: kDec, Doc: "sum of the lines, as a decimal string"},
			{Name: "ERP_Quote_Number__c", Kind: kString, Access: optional, Null: true, Max: 40, Doc: "owned by the ERP"},
		}),
	},
	{
		Name: "invoices", Schema: "crm/invoice", Title: "Invoice as shown to sales", Prefix: "a0I",
		Fields: join(crmSystemFields(""), []field{
			{Name: "InvoiceNumber", Kind: kString, Access: required, Max: 40, Index: true, Doc: "the ERP's number; the business key"},
			{Name: "AccountId", Kind: kString, Access: required, Ref: "accounts", Max: 18, Index: true},
			{Name: "OrderId", Kind: kString, Access: optional, Null: true, Ref: "orders", Max: 18, Index: true},
			{Name: "InvoiceDate", Kind: kDate, Access: required},
			{Name: "DueDate", Kind: kDate, Access: optional, Null: true},
			crmCurrency,
			{Name: "NetAmount", Kind: kNumber, Access: required, Scale: 2},
			{Name: "TaxAmount", Kind: kNumber, Access: required, Scale: 2},
			{Name: "TotalAmount", Kind: kNumber, Access: required, Scale: 2},
			{Name: "Balance", Kind: kNumber, Access: required, Scale: 2, Doc: "still to be paid"},
			{Name: "Status", Kind: kString, Access: required, Enum: crmInvoiceStatus, Max: 40},
			{Name: "LineItems", Kind: kList, Access: optional, Fields: crmLines},
		}),
	},
	{
		Name: "payments", Schema: "crm/payment", Title: "Payment as shown to sales", Prefix: "a0P",
		Fields: join(crmSystemFields(""), []field{
			{Name: "PaymentNumber", Kind: kString, Access: required, Max: 40, Index: true, Doc: "the ERP's number; the business key"},
			{Name: "InvoiceId", Kind: kString, Access: required, Ref: "invoices", Max: 18, Index: true},
			{Name: "PaymentDate", Kind: kDate, Access: required},
			{Name: "Amount", Kind: kNumber, Access: required, Scale: 2},
			crmCurrency,
			{Name: "PaymentMethod", Kind: kString, Access: required, Enum: crmMethods, Max: 40},
		}),
	},
	{
		Name: "inventory", Schema: "crm/inventory", Title: "Inventory level of one product in one warehouse", Prefix: "a0V",
		Fields: join(crmSystemFields(""), []field{
			{Name: "ProductCode", Kind: kString, Access: required, Max: 40, Index: true},
			{Name: "Warehouse__c", Kind: kString, Access: required, Max: 20},
			{Name: "QuantityOnHand", Kind: kNumber, Access: required, Scale: 3},
			{Name: "QuantityReserved", Kind: kNumber, Access: optional, Null: true, Scale: 3},
			{Name: "LastCountedAt__c", Kind: kTime, Access: optional, Null: true},
		}),
	},
	{
		Name: "shipments", Schema: "crm/shipment", Title: "Shipment as shown to sales", Prefix: "a0S",
		Fields: join(crmSystemFields(""), []field{
			{Name: "ShipmentNumber", Kind: kString, Access: required, Max: 40, Index: true, Doc: "the warehouse's number; the business key"},
			{Name: "OrderId", Kind: kString, Access: required, Ref: "orders", Max: 18, Index: true},
			{Name: "Carrier__c", Kind: kString, Access: optional, Null: true, Max: 40},
			{Name: "TrackingNumber", Kind: kString, Access: required, Max: 80},
			{Name: "ShippedDate", Kind: kTime, Access: required},
			{Name: "LineItems", Kind: kList, Access: optional, Fields: []field{
				{Name: "LineNumber", Kind: kInt, Access: required},
				{Name: "ProductCode", Kind: kString, Access: required, Max: 40},
				{Name: "Quantity", Kind: kNumber, Access: required, Scale: 3},
			}},
		}),
	},
}

// crmTotals computes the lines' totals where they are not given, and the document's.
func crmTotals(into string, text bool) func(map[string]any) {
	return func(doc map[string]any) {
		lines, ok := doc["LineItems"].([]any)
		if !ok {
			return
		}
		sum := new(big.Rat)
		for _, l := range lines {
			line, ok := l.(map[string]any)
			if !ok {
				return
			}
			q, okQ := rat(line["Quantity"])
			p, okP := rat(line["UnitPrice"])
			if !okQ || !okP {
				return
			}
			t, given := rat(line["TotalPrice"])
			if !given {
				t, _ = rat(decimal(q.Mul(q, p), 2))
				line["TotalPrice"] = number(t, 2)
			}
			sum.Add(sum, t)
		}
		if text {
			doc[into] = decimal(sum, 2)
		} else {
			doc[into] = number(sum, 2)
		}
	}
}
