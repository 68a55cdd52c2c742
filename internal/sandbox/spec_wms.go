package sandbox

func wmsSystemFields() []field {
	return []field{
		{Name: "id", Kind: kString, Max: 40},
		{Name: "externalId", Kind: kString, Access: optional, Null: true, Index: true, Doc: "unique; set by whoever created the object from outside"},
		{Name: "version", Kind: kInt, Doc: "counts the changes of this object, from 1"},
		{Name: "createdAt", Kind: kTime},
		{Name: "updatedAt", Kind: kTime, Doc: "strictly increasing over all objects of the WMS, milliseconds"},
	}
}

// wmsSpecs describes the warehouse's collections.
var wmsSpecs = []*spec{
	{
		Name: "products", Schema: "wms/product", Title: "Product as the warehouse knows it", Prefix: "PRD-",
		Fields: join(wmsSystemFields(), []field{
			{Name: "sku", Kind: kString, Access: required, Max: 40, Index: true, Doc: "the business key"},
			{Name: "name", Kind: kString, Access: required},
			{Name: "unit", Kind: kString, Access: required, Enum: wmsUnits, Max: 3},
			{Name: "active", Kind: kBool, Access: optional, Default: true},
			{Name: "weightKg", Kind: kDec, Access: optional, Null: true, Scale: 3},
		}),
	},
	{
		Name: "shipment-orders", Schema: "wms/shipment-order", Title: "Order to ship, with its lines", Prefix: "WSO-",
		Fields: join(wmsSystemFields(), []field{
			{Name: "orderNumber", Kind: kString, Access: required, Max: 40, Index: true, Doc: "the ERP's order number; the business key"},
			{Name: "customerName", Kind: kString, Access: required},
			{Name: "priority", Kind: kString, Access: optional, Enum: wmsPriority, Max: 20, Default: "normal"},
			{Name: "shipTo", Kind: kObject, Access: required, Fields: []field{
				{Name: "name", Kind: kString, Access: required},
				{Name: "street", Kind: kString, Access: optional, Null: true},
				{Name: "city", Kind: kString, Access: optional, Null: true},
				{Name: "postalCode", Kind: kString, Access: optional, Null: true, Max: 20},
				{Name: "country", Kind: kString, Access: required, Enum: crmCountries, Max: 2},
			}},
			{Name: "lines", Kind: kList, Access: required, Fields: []field{
				{Name: "lineNo", Kind: kInt, Access: required},
				{Name: "sku", Kind: kString, Access: required, Max: 40},
				{Name: "quantity", Kind: kDec, Access: required, Scale: 3},
				{Name: "unit", Kind: kString, Access: required, Enum: wmsUnits, Max: 3},
			}},
			{Name: "declaredValue", Kind: kDec, Access: optional, Null: true, Scale: 2},
			{Name: "currency", Kind: kString, Access: optional, Null: true, Enum: currencies, Max: 3},
			{Name: "note", Kind: kString, Access: optional, Null: true, Max: 1000},
			{Name: "status", Kind: kString, Max: 20, Index: true, Doc: "received, waiting (a product is not known yet), partial, shipped"},
		}),
	},
	{
		Name: "shipments", Schema: "wms/shipment", Title: "Shipment that left the warehouse, with its lines", Prefix: "SHP-",
		Number: "shipmentNumber", Format: "W%010d", Closed: true,
		Fields: join(wmsSystemFields(), []field{
			{Name: "shipmentNumber", Kind: kString, Index: true, Doc: "numbered by the warehouse; the business key"},
			{Name: "shipmentOrderId", Kind: kString, Index: true, Max: 40, Doc: "id of the shipment order"},
			{Name: "orderExternalId", Kind: kString, Null: true, Index: true, Doc: "externalId of the shipment order"},
			{Name: "orderNumber", Kind: kString, Index: true, Max: 40},
			{Name: "carrier", Kind: kString, Max: 20, Doc: "SF, YTO, DHL, UPS"},
			{Name: "trackingNumber", Kind: kString, Max: 40},
			{Name: "shippedAt", Kind: kTime},
			{Name: "final", Kind: kBool, Doc: "nothing of the order is left to ship"},
			{Name: "packages", Kind: kInt},
			{Name: "weightKg", Kind: kDec},
			{Name: "lines", Kind: kList, Fields: []field{
				{Name: "lineNo", Kind: kInt},
				{Name: "sku", Kind: kString, Max: 40},
				{Name: "quantity", Kind: kDec},
			}},
		}),
	},
	{
		Name: "stock", Schema: "wms/stock-level", Title: "Stock level of one product in one warehouse", Prefix: "STK-", Closed: true,
		Fields: join(wmsSystemFields(), []field{
			{Name: "sku", Kind: kString, Index: true, Max: 40},
			{Name: "warehouse", Kind: kString, Max: 20},
			{Name: "name", Kind: kString, Doc: "the product's name as printed on the shelf"},
			{Name: "location", Kind: kString, Max: 40},
			{Name: "onHand", Kind: kDec},
			{Name: "reserved", Kind: kDec},
			{Name: "unit", Kind: kString, Max: 3},
			{Name: "countedAt", Kind: kTime},
			{Name: "sequence", Kind: kInt, Doc: "strictly increasing over all stock movements"},
		}),
	},
}

// Columns of the files in the drop folder, in order.
var (
	stockColumns = []field{
		{Name: "sku", Kind: kString, Max: 40},
		{Name: "warehouse", Kind: kString, Max: 20},
		{Name: "name", Kind: kString},
		{Name: "location", Kind: kString, Max: 40},
		{Name: "on_hand", Kind: kDec},
		{Name: "reserved", Kind: kDec},
		{Name: "unit", Kind: kString, Max: 3},
		{Name: "counted_at", Kind: kTime},
		{Name: "sequence", Kind: kInt, Doc: "strictly increasing: the version"},
	}
	confirmationColumns = []field{
		{Name: "shipment_no", Kind: kString, Max: 40},
		{Name: "shipment_order_id", Kind: kString, Max: 40},
		{Name: "order_external_id", Kind: kString},
		{Name: "order_no", Kind: kString, Max: 40},
		{Name: "carrier", Kind: kString, Max: 20},
		{Name: "tracking_no", Kind: kString, Max: 40},
		{Name: "packages", Kind: kInt},
		{Name: "weight_kg", Kind: kDec},
		{Name: "shipped_at", Kind: kTime},
		{Name: "final", Kind: kString, Max: 1, Doc: "Y or N"},
	}
)
