package sandbox

// kind is the type of a field.
type kind string

const (
	kString kind = "string"
	kNumber kind = "number"   // a JSON number; a decimal string is taken too and stored as a number of Scale places
	kDec    kind = "decimal"  // a decimal string; a JSON number is taken too
	kInt    kind = "integer"  // a JSON integer; digits in a string are taken too
	kBool   kind = "boolean"  // true or false; 0 or 1 in the ERP
	kDate   kind = "date"     // 2006-01-02
	kTime   kind = "datetime" // RFC 3339
	kList   kind = "list"     // of objects with Fields
	kObject kind = "object"   // with Fields
)

// access says who sets a field.
type access uint8

const (
	readOnly access = iota // the system alone
	optional               // may be written
	required               // must be given on create
)

// field describes one field of a document: what is checked on write, and what the published schemas say.
type field struct {
	Name   string
	Kind   kind
	Access access
	// Null: may be null in documents that are read. Every declared field is present in them.
	Null bool
	// Enum holds the codes that are accepted on write. Documents that are read may hold others.
	Enum  []string
	Ref   string // the collection whose id this is
	Max   int    // characters; 0: 255
	Scale int    // places of a number
	// Index: equality filters on this field are fast.
	Index  bool
	Fields []field
	Doc    string
	// Default is stored when a create does not give the field; nil stores null.
	Default any
}

// spec describes one collection or table.
type spec struct {
	Name   string // accounts, sales_orders
	Schema string // crm/account
	Title  string
	Prefix string // of ids
	Number string // the field that the system numbers, and how
	Format string
	Push   string // path of the webhook below the hook URL; empty: none
	// Closed: only the system itself creates, changes and deletes.
	Closed bool
	Fields []field
	// Unique holds fields that no two objects may share.
	Unique  []string
	compute func(doc map[string]any)
}

func (s *spec) field(name string) *field {
	for i := range s.Fields {
		if s.Fields[i].Name == name {
			return &s.Fields[i]
		}
	}
	return nil
}

func join(lists ...[]field) []field {
	var out []field
	for _, l := range lists {
		out = append(out, l...)
	}
	return out
}

// Code lists. Every system has its own words for the same thing; the hub's value maps translate.
var (
	currencies = []string{"CNY", "EUR", "USD", "JPY", "SGD"}

	crmCountries = []string{"CN", "DE", "US", "JP", "SG", "FR"}
	erpCountries = []string{"CHN", "DEU", "USA", "JPN", "SGP", "FRA"}

	crmUnits = []string{"Each", "Box", "Kilogram"}
	erpUnits = []string{"EA", "BX", "KG"}
	wmsUnits = []string{"PCE", "BOX", "KGM"}

	crmTerms = []string{"Due on Receipt", "Net 30", "Net 60", "Prepaid"}
	erpTerms = []string{"COD", "N30", "N60", "PRE"}

	crmAccountStatus = []string{"Active", "On Hold", "Blocked"}
	erpAccountStatus = []string{"A", "H", "B"}

	crmOrderStatus = []string{"Draft", "Activated", "Confirmed", "Partially Shipped", "Shipped", "Invoiced", "Paid", "Cancelled"}
	erpOrderStatus = []string{"NEW", "CONF", "PART", "SHIP", "INV", "PAID", "CANC"}

	crmQuoteStatus = []string{"Draft", "Presented", "Accepted", "Rejected"}
	erpQuoteStatus = []string{"DRAFT", "SENT", "WON", "LOST"}

	crmInvoiceStatus = []string{"Open", "Partially Paid", "Paid"}
	erpInvoiceStatus = []string{"OPEN", "PART", "PAID"}

	crmMethods = []string{"Bank Transfer", "Card", "Check"}
	erpMethods = []string{"T", "C", "K"}

	crmShipping = []string{"Standard", "Express", "Pickup"}
	erpShipping = []string{"STD", "EXP", "PUP"}
	wmsPriority = []string{"normal", "express", "pickup"}

	wmsCarriers = []string{"SF", "YTO", "DHL", "UPS"}
	warehouses  = []string{"SHA1", "HAM1"}
)
