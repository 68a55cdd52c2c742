package sandbox

import (
	"slices"
)

// Entities, in the hub's words.
const (
	Customer  = "customer"
	Product   = "product"
	Order     = "order"
	Quote     = "quote"
	Shipment  = "shipment"
	Invoice   = "invoice"
	Payment   = "payment"
	Inventory = "inventory"
)

// Object is one business object in one system.
type Object struct {
	// ID is the object's id there, External its external id ("" where nobody set one).
	ID       string `json:"id"`
	External string `json:"external_id,omitempty"`
	// Key is the business key by which the same thing is found in the other systems.
	Key string `json:"key"`
	// Doc is the object as the system's API or a row with its lines; numbers are json.Number.
	Doc map[string]any `json:"doc"`
}

// Snapshot is every object that is not deleted: system → entity → objects, in order of creation.
type Snapshot map[string]map[string][]Object

// Where an entity lives in a REST system, and what its business key is.
type entityTable struct {
	entity, collection string
	key                []string // fields, joined by "@"
}

var (
	crmEntities = []entityTable{
		{Customer, "accounts", []string{"TaxNumber__c"}}, {Product, "products", []string{"ProductCode"}},
		{Order, "orders", []string{"OrderNumber"}}, {Quote, "quotes", []string{"QuoteNumber"}},
		{Shipment, "shipments", []string{"ShipmentNumber"}}, {Invoice, "invoices", []string{"InvoiceNumber"}},
		{Payment, "payments", []string{"PaymentNumber"}}, {Inventory, "inventory", []string{"ProductCode", "Warehouse__c"}},
	}
	erpEntities = []entityTable{
		{Customer, "customers", []string{"tax_no"}}, {Product, "items", []string{"sku"}},
		{Order, "sales_orders", []string{"source_order_no"}}, {Quote, "quotes", []string{"source_quote_no"}},
		{Shipment, "shipments", []string{"shipment_no"}}, {Invoice, "invoices", []string{"invoice_no"}},
		{Payment, "payments", []string{"payment_no"}}, {Inventory, "stock", []string{"sku", "warehouse"}},
	}
	wmsEntities = []entityTable{
		{Product, "products", []string{"sku"}}, {Order, "shipment-orders", []string{"orderNumber"}},
		{Shipment, "shipments", []string{"shipmentNumber"}}, {Inventory, "stock", []string{"sku", "warehouse"}},
	}
)

func (e entityTable) keyOf(doc map[string]any) string {
	key := ""
	for i, f := range e.key {
		if i > 0 {
			key += "@"
		}
		key += text(doc[f])
	}
	return key
}

// objects is every object of a REST system by entity.
func (m *remote) objects(entities []entityTable) map[string][]Object {
	out := map[string][]Object{}
	for _, e := range entities {
		list := []Object{}
		m.mu.RLock()
		rows := make([]*row, 0, len(m.tables[e.collection].ids))
		for _, id := range m.tables[e.collection].ids {
			rows = append(rows, m.tables[e.collection].rows[id])
		}
		m.mu.RUnlock()
		for _, r := range rows {
			if r.deleted {
				continue
			}
			doc, err := decode(r.raw)
			if err != nil {
				continue // cannot be: it was decoded when it came in
			}
			list = append(list, Object{ID: r.id, External: r.external, Key: e.keyOf(doc), Doc: doc})
		}
		out[e.entity] = list
	}
	return out
}

// Count is how many objects of the entity the system holds.
func (s Snapshot) Count(system, entity string) int { return len(s[system][entity]) }

// Total is how many objects all systems hold together.
func (s Snapshot) Total() int {
	n := 0
	for _, entities := range s {
		for _, list := range entities {
			n += len(list)
		}
	}
	return n
}

// ByExternal is every object of the entity in the system by its external id; two of one id are a duplicate.
func (s Snapshot) ByExternal(system, entity string) map[string][]Object {
	out := map[string][]Object{}
	for _, o := range s[system][entity] {
		if o.External != "" {
			out[o.External] = append(out[o.External], o)
		}
	}
	return out
}

// ParseObjects reads what GET /_control/snapshot answers.
func ParseObjects(raw []byte) (map[string][]Object, error) {
	doc, err := decode(raw)
	if err != nil {
		return nil, err
	}
	out := map[string][]Object{}
	for entity, v := range doc {
		list, _ := v.([]any)
		for _, e := range list {
			o, _ := e.(map[string]any)
			body, _ := o["doc"].(map[string]any)
			out[entity] = append(out[entity], Object{ID: text(o["id"]), External: text(o["external_id"]), Key: text(o["key"]), Doc: body})
		}
	}
	return out, nil
}

// oddKeys collects the keys of wicked documents from a log: by them, and by their ids, a checker knows what had to park.
func oddKeys(entries []Entry, entities []entityTable) []Odd {
	var out []Odd
	for _, e := range entries {
		if e.Odd == "" {
			continue
		}
		i := slices.IndexFunc(entities, func(t entityTable) bool { return t.collection == e.Object })
		o := Odd{System: e.System, Entity: e.Object, ID: e.ID, Why: e.Odd}
		if i >= 0 && len(e.Changes) > 0 {
			o.Entity = entities[i].entity
			if doc, err := decode(e.Changes[0].Doc); err == nil {
				o.Key = entities[i].keyOf(doc)
			}
		}
		out = append(out, o)
	}
	return out
}

// Odd is a document that was made wicked on purpose.
type Odd struct {
	System string `json:"system"`
	Entity string `json:"entity"`
	ID     string `json:"id"`
	Key    string `json:"key"`
	// Why is poison, unknown-code, orphan, early or bad-row. A hub parks the first two and the last, keeps the third
	// waiting, and delivers the fourth.
	Why string `json:"why"`
}
