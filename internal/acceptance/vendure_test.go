//go:build unix

package acceptance

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/mariatest"
	"github.com/waybill-hub/waybill/internal/store/pgtest"
	"github.com/waybill-hub/waybill/internal/systemtest"
)

// vendureFiles are a project of a shop on Vendure: its customers go into SAP, and its orders both into tables of MariaDB and, for their customers there, into SAP. An order is
// told by the shop's webhook, and what becomes of it, or what no webhook told, is read by GraphQL.
var vendureFiles = map[string]string{
	"configs/waybill.yaml": `http: {listen: HTTP}
hooks: {listen: HOOKS}
broker: {embedded: {dir: "DIR/data/broker"}}
store: {sqlite: {path: "DIR/data/waybill.db"}}
systems:
  shop:
    connector: rest
    url: ${env:SHOP_URL}
    auth: {api-key: {header: vendure-api-key, value: "${env:SHOP_KEY}"}}
    graphql: {path: admin-api}
    objects:
      customer:
        version: updatedAt
        get: {query: "query ($id: ID!) { customer(id: $id) { id updatedAt firstName lastName emailAddress } }", item: data.customer}
        list:
          query: "query ($options: CustomerListOptions) { customers(options: $options) { totalItems items { id updatedAt firstName lastName emailAddress } } }"
          variables: {options: {sort: {updatedAt: ASC, id: ASC}}}
          items: data.customers.items
          order: changed
          paging: {style: offset, parameter: options.skip, size-parameter: options.take, total: data.customers.totalItems, size: 3}
          changed-since: {parameter: options.filter.updatedAt.after, format: rfc3339-ms}
      order:
        id: code
        version: updatedAt
        list:
          query: >-
            query ($options: OrderListOptions) { orders(options: $options) { totalItems items { code state updatedAt orderPlacedAt currencyCode totalWithTax
            customer { id emailAddress } lines { orderPlacedQuantity unitPriceWithTax productVariant { sku } } } } }
          variables: {options: {sort: {updatedAt: ASC, id: ASC}, filter: {active: {eq: false}}}}
          items: data.orders.items
          order: changed
          paging: {style: offset, parameter: options.skip, size-parameter: options.take, total: data.orders.totalItems, size: 3}
          changed-since: {parameter: options.filter.updatedAt.after, format: rfc3339-ms}
  ledger:
    connector: sql
    driver: mysql
    url: ${env:LEDGER_DATABASE}
    objects:
      order:
        table: orders
        generated: true
        external-id: external_id
        version: changed
        touch: true
        columns: {id: integer, external_id: text, changed: timestamp, number: text, customer: text, placed: timestamp, state: text, currency: text, total: decimal}
        children:
          lines: {table: order_lines, parent: order_id, key: line_no, columns: {line_no: integer, sku: text, quantity: decimal, price: decimal}}
  s4:
    connector: odata
    url: ${env:S4_URL}/odata/v4
    auth: {basic: {user: hub, password: "${env:S4_PASSWORD}"}}
    visible-after: 200ms
    objects:
      customer: {service: API_BUSINESS_PARTNER, set: A_BusinessPartner, external: BusinessPartnerIDByExtSystem, changed: LastChangeDateTime}
      order: {service: API_SALES_ORDER_SRV, set: A_SalesOrder, external: YY1_External, changed: LastChangeDateTime, items: {to_Item: {}}}
`,
	"flows/shop.yaml": `flow: shop-customers
entity: customer
from: {system: shop, poll: {every: 1s, overlap: 10s}}
accept: shop/customer.v1
key: source.emailAddress
id: source.id
version: source.updatedAt
map: shop-customer
to: {topic: canonical.customer}
---
flow: shop-orders-placed
about: the shop's webhook, as soon as an order is placed
entity: order
from:
  system: shop
  webhook:
    path: shop/orders
    verify: {scheme: hmac, secret: "${env:SHOP_SECRET}", header: X-Signature}
    delivery-id: source.delivery
accept: shop/placed.v1
key: source.code
id: source.code
version: source.updatedAt
map: shop-order-placed
to: {topic: canonical.order}
---
flow: shop-orders
about: what becomes of orders, and those whose webhook nobody heard
entity: order
from: {system: shop, poll: {every: 1s, overlap: 10s}}
accept: shop/order.v1
key: source.code
id: source.code
version: source.updatedAt
map: shop-order
to: {topic: canonical.order}
---
flow: customers-to-s4
entity: customer
from: {topic: canonical.customer}
map: customer-to-s4
to: {system: s4}
retry: {for: 10m, backoff: 100ms..1s}
---
flow: orders-to-ledger
entity: order
from: {topic: canonical.order}
map: order-to-ledger
to: {system: ledger}
retry: {for: 10m, backoff: 100ms..1s}
---
flow: orders-to-s4
entity: order
from: {topic: canonical.order}
map: order-to-s4
to: {system: s4}
retry: {for: 10m, backoff: 100ms..1s}
`,
	"mappings/shop.yaml": `mapping: shop-customer
from: shop/customer.v1
to: customer.v1
set:
  id: event.hub
  name: trim(source.firstName + " " + source.lastName)
  email: source.emailAddress
---
mapping: shop-order-placed
from: shop/placed.v1
to: order.v1
set:
  id: event.hub
  number: source.code
  customer.id: xref("customer", "shop", source.customer.id)
  customer.email: source.customer.emailAddress
  placed_at: time(source.placedAt)
  state: value("order-state", "shop", source.state)
  currency: source.currency
  lines:
    each: source.lines
    set:
      sku: item.sku
      quantity: item.quantity
      price: round(item.unitPriceWithTax / 100, 2)
---
mapping: shop-order
from: shop/order.v1
to: order.v1
set:
  id: event.hub
  number: source.code
  customer.id: xref("customer", "shop", source.customer.id)
  customer.email: source.customer.emailAddress
  placed_at: time(source.orderPlacedAt)
  state: value("order-state", "shop", source.state)
  currency: source.currencyCode
  lines:
    each: source.lines
    set:
      sku: item.productVariant.sku
      quantity: item.orderPlacedQuantity
      price: round(item.unitPriceWithTax / 100, 2)
---
mapping: customer-to-s4
from: customer.v1
to: s4/customer.v1
set:
  BusinessPartnerCategory: "1"
  BusinessPartnerFullName: source.name
  SearchTerm1: upper(substr(source.email, 0, 20))
---
mapping: order-to-ledger
from: order.v1
to: ledger/order.v1
set:
  number: source.number
  customer: source.customer.email
  placed: source.placed_at
  state: source.state
  currency: source.currency
  total: round(sum(source.lines, .quantity * .price), 2)
  lines:
    each: source.lines
    set:
      line_no: index + 1
      sku: item.sku
      quantity: item.quantity
      price: item.price
---
mapping: order-to-s4
from: order.v1
to: s4/order.v1
set:
  SalesOrderType: "OR"
  SoldToParty: xref_id("customer", "s4", source.customer.id)
  PurchaseOrderByCustomer: source.number
  SalesOrderDate: date(source.placed_at, "", "UTC")
  TotalNetAmount: round(sum(source.lines, .quantity * .price), 2)
  TransactionCurrency: source.currency
  to_Item:
    each: source.lines
    set:
      SalesOrderItem: text((index + 1) * 10)
      Material: item.sku
      RequestedQuantity: item.quantity
      NetAmount: round(item.quantity * item.price, 2)
      SalesDocumentRjcnReason: choose(source.state == "cancelled", "01", "")
`,
	"mappings/values/shop.yaml": `values: order-state
codes:
  placed: {shop: ["PaymentSettled", "PaymentAuthorized"]}
  shipped: {shop: ["Shipped", "PartiallyShipped"]}
  delivered: {shop: ["Delivered", "PartiallyDelivered"]}
  cancelled: {shop: "Cancelled"}
`,
	"schemas/shop/customer.v1.json": `{"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "required": ["id", "updatedAt", "firstName", "lastName", "emailAddress"], "properties": {
  "id": {"type": "string"}, "updatedAt": {"type": "string"}, "firstName": {"type": "string"}, "lastName": {"type": "string"}, "emailAddress": {"type": "string"}}}`,
	"schemas/shop/placed.v1.json": `{"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "required": ["delivery", "code", "state", "updatedAt", "placedAt", "currency", "customer", "lines"], "properties": {
  "delivery": {"type": "string"}, "code": {"type": "string"}, "state": {"type": "string"}, "updatedAt": {"type": "string"}, "placedAt": {"type": "string"}, "currency": {"type": "string"},
  "customer": {"type": "object", "required": ["id", "emailAddress"], "properties": {"id": {"type": "string"}, "emailAddress": {"type": "string"}}},
  "lines": {"type": "array", "items": {"type": "object", "required": ["sku", "quantity", "unitPriceWithTax"], "properties": {"sku": {"type": "string"}, "quantity": {"type": "integer"}, "unitPriceWithTax": {"type": "integer"}}}}}}`,
	"schemas/shop/order.v1.json": `{"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "required": ["code", "state", "updatedAt", "orderPlacedAt", "currencyCode", "customer", "lines"], "properties": {
  "code": {"type": "string"}, "state": {"type": "string"}, "updatedAt": {"type": "string"}, "orderPlacedAt": {"type": "string"}, "currencyCode": {"type": "string"},
  "customer": {"type": "object", "required": ["id", "emailAddress"], "properties": {"id": {"type": "string"}, "emailAddress": {"type": "string"}}},
  "lines": {"type": "array", "items": {"type": "object", "required": ["orderPlacedQuantity", "unitPriceWithTax", "productVariant"], "properties": {"orderPlacedQuantity": {"type": "integer"}, "unitPriceWithTax": {"type": "integer"},
    "productVariant": {"type": "object", "required": ["sku"], "properties": {"sku": {"type": "string"}}}}}}}}`,
	"schemas/customer.v1.json": `{"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "required": ["id", "name", "email"], "properties": {
  "id": {"type": "string"}, "name": {"type": "string"}, "email": {"type": "string"}}}`,
	"schemas/order.v1.json": `{"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "required": ["id", "number", "customer", "placed_at", "state", "currency", "lines"], "properties": {
  "id": {"type": "string"}, "number": {"type": "string"}, "placed_at": {"type": "string"}, "state": {"enum": ["placed", "shipped", "delivered", "cancelled"]}, "currency": {"type": "string"},
  "customer": {"type": "object", "required": ["id", "email"], "properties": {"id": {"type": "string"}, "email": {"type": "string"}}},
  "lines": {"type": "array", "items": {"type": "object", "required": ["sku", "quantity", "price"], "properties": {"sku": {"type": "string"}, "quantity": {"type": "number"}, "price": {"type": "number"}}}}}}`,
	"schemas/ledger/order.v1.json": `{"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "properties": {
  "number": {"type": "string"}, "customer": {"type": "string"}, "placed": {"type": "string"}, "state": {"type": "string"}, "currency": {"type": "string"}, "total": {"type": "number"},
  "lines": {"type": "array", "items": {"type": "object", "properties": {"line_no": {"type": "integer"}, "sku": {"type": "string"}, "quantity": {"type": "number"}, "price": {"type": "number"}}}}}}`,
	"schemas/s4/customer.v1.json": `{"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "properties": {
  "BusinessPartnerCategory": {"type": "string"}, "BusinessPartnerFullName": {"type": "string"}, "SearchTerm1": {"type": "string"}}}`,
	"schemas/s4/order.v1.json": `{"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "properties": {
  "SalesOrderType": {"type": "string"}, "SoldToParty": {"type": "string"}, "PurchaseOrderByCustomer": {"type": "string"}, "SalesOrderDate": {"type": "string"}, "TotalNetAmount": {"type": "number"},
  "TransactionCurrency": {"type": "string"}, "to_Item": {"type": "array", "items": {"type": "object", "properties": {"SalesOrderItem": {"type": "string"}, "Material": {"type": "string"},
    "RequestedQuantity": {"type": "number"}, "NetAmount": {"type": "number"}, "SalesDocumentRjcnReason": {"type": "string"}}}}}}`,
	"mappings/readings.yaml": "", "schemas/reading.v1.json": "", "flows/readings.yaml": "",
}

// vendureLedger are the tables that take the orders.
var vendureLedger = []string{
	`CREATE TABLE orders (id BIGINT AUTO_INCREMENT PRIMARY KEY, external_id CHAR(36) NOT NULL UNIQUE, number VARCHAR(40) NOT NULL, customer VARCHAR(254) NOT NULL, placed DATETIME(6) NOT NULL,
	  state VARCHAR(20) NOT NULL, currency CHAR(3) NOT NULL, total DECIMAL(12,2) NOT NULL, changed DATETIME(6) NOT NULL) ENGINE=InnoDB`,
	`CREATE TABLE order_lines (order_id BIGINT NOT NULL, line_no INT NOT NULL, sku VARCHAR(40) NOT NULL, quantity DECIMAL(12,3) NOT NULL, price DECIMAL(12,2) NOT NULL, PRIMARY KEY (order_id, line_no),
	  FOREIGN KEY (order_id) REFERENCES orders (id)) ENGINE=InnoDB`,
}

// TestVendureFlows: what visitors buy in a real shop comes by its own signed webhook, and by GraphQL where no webhook was heard, into tables of a MariaDB whose connections are
// cut off and into SAP's OData runtime behind a line that loses answers; the hub is killed in the middle, and an order is called off later. In both each order is there once, as the
// shop has it.
func TestVendureFlows(t *testing.T) {
	v := systemtest.StartVendure(t, pgtest.URL)
	s4 := startSAP(t)
	database := mariatest.URL(t)
	db := mariatest.Open(t, database)
	for _, table := range vendureLedger {
		if _, err := db.ExecContext(t.Context(), table); err != nil {
			t.Fatal(err)
		}
	}
	shopLine, s4Line := newLossyLine(t, v.URL, 1), newLossyLine(t, s4.url, 2)
	p := newReadings(t, vendureFiles)
	h := p.run(t, map[string]string{"SHOP_URL": shopLine.url, "SHOP_KEY": v.Key, "SHOP_SECRET": "a-secret-of-tests-alone", "S4_URL": s4Line.url, "S4_PASSWORD": capPassword, "LEDGER_DATABASE": database})
	v.Hook(t, "http://"+p.hooks+"/hooks/shop/orders", "a-secret-of-tests-alone")

	prices := []int{1250, 99, 100003}
	var variants []string
	for n, price := range prices {
		variants = append(variants, v.Product(t, fmt.Sprintf("SKU-%05d", n), fmt.Sprint("Thing ", n), price))
	}
	const visitors, orders = 5, 15
	want := map[string]string{} // by code: as both targets have to show it
	dice := rand.New(rand.NewPCG(11, 3))
	buy := func(n int) string {
		variant, quantity := dice.IntN(len(prices)), 1+dice.IntN(4)
		email := fmt.Sprintf("v%d@example.com", n%visitors)
		code := v.Order(t, email, variants[variant], quantity)
		cents := (prices[variant]*119 + 50) / 100
		want[code] = fmt.Sprintf("%s placed USD %d.%02d SKU-%05d x%d", email, cents*quantity/100, cents*quantity%100, variant, quantity)
		return code
	}
	diff := func(got map[string]string) string {
		for code, as := range want {
			if got[code] != as {
				return fmt.Sprintf("order %s: %q, want %q", code, got[code], as)
			}
		}
		if len(got) != len(want) {
			return fmt.Sprintf("%d orders, want %d", len(got), len(want))
		}
		return ""
	}
	ledgerShows := func() map[string]string { return ledgerOrders(t, db) }
	var codes []string
	for n := range orders {
		switch n {
		case orders / 3: // nobody hears what is told now
			h.kill()
		case orders / 2:
			h.start()
		}
		if n%3 == 1 {
			cutOff(t, db, database)
		}
		codes = append(codes, buy(n))
	}
	defer func() {
		if t.Failed() {
			t.Logf("MariaDB: %s; SAP: %s", diff(ledgerShows()), diff(s4.orders()))
		}
	}()
	h.await("all orders in the ledger", 3*time.Minute, func() bool { cutOff(t, db, database); return len(ledgerShows()) == orders })
	called := codes[4]
	order, _ := v.Admin(t, `query ($o: OrderListOptions) { orders(options: $o) { items { id } } }`, map[string]any{"o": map[string]any{"filter": map[string]any{"code": map[string]any{"eq": called}}}}, "orders", "items").([]any)
	first, _ := order[0].(map[string]any)
	v.Admin(t, `mutation ($input: CancelOrderInput!) { cancelOrder(input: $input) { __typename ... on Order { state } ... on ErrorResult { errorCode message } } }`,
		map[string]any{"input": map[string]any{"orderId": first["id"], "reason": "called off"}}, "cancelOrder", "state")
	want[called] = strings.Replace(want[called], " placed ", " cancelled ", 1)

	h.await("rest", 3*time.Minute, func() bool {
		st := h.status()
		return st.Totals.Parked > 0 || st.Totals.InFlight+st.Totals.Waiting == 0 && diff(ledgerShows()) == "" && diff(s4.orders()) == ""
	})
	for name, got := range map[string]map[string]string{"MariaDB": ledgerShows(), "SAP": s4.orders()} {
		if d := diff(got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	if n := len(s4.all("API_BUSINESS_PARTNER/A_BusinessPartner")); n != visitors {
		t.Errorf("%d partners in SAP, want %d", n, visitors)
	}
	shopLine.shown()
	s4Line.shown()
	st := h.status()
	checkTotals(t, st)
	for _, f := range st.Flows {
		if f.Name == "shop-orders-placed" && (f.Totals.Accepted == 0 || f.Totals.Accepted >= orders) {
			t.Errorf("%d of %d webhooks were heard: some should be, and those of a hub that is away not", f.Totals.Accepted, orders)
		}
	}
	if st.Totals.Parked != 0 {
		out, _, _ := waybill(t, p.dir, "parked", "list", "--url", "http://"+p.http)
		t.Errorf("%d messages are parked:\n%s", st.Totals.Parked, out)
	}
}

// cutOff ends all other connections to a database, whatever they are at: to the hub it is as if the network did.
func cutOff(t *testing.T, db *sql.DB, database string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), `SELECT id FROM information_schema.processlist WHERE db = ? AND id <> connection_id()`, database[strings.LastIndexByte(database, '/')+1:])
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var ids []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		_, _ = db.ExecContext(t.Context(), fmt.Sprintf("KILL CONNECTION %d", id)) // it may have ended
	}
}

// ledgerOrders are the orders of the tables, by number; one that is there more than once is shown so.
func ledgerOrders(t *testing.T, db *sql.DB) map[string]string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), `SELECT o.number, o.customer, o.state, o.currency, CAST(o.total AS CHAR), COALESCE(GROUP_CONCAT(l.sku, ' x', CAST(l.quantity + 0 AS INT) ORDER BY l.line_no), 'no lines')
		FROM orders o LEFT JOIN order_lines l ON l.order_id = o.id GROUP BY o.id`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	out := map[string]string{}
	for rows.Next() {
		var number, customer, state, currency, total, lines string
		if err := rows.Scan(&number, &customer, &state, &currency, &total, &lines); err != nil {
			t.Fatal(err)
		}
		out[number] += fmt.Sprintf("%s %s %s %s %s", customer, state, currency, total, lines)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// orders are the sales orders of SAP in the same form, by the number that the customer gave them.
func (s *sap) orders() map[string]string {
	s.t.Helper()
	partners := map[string]string{}
	for _, p := range s.all("API_BUSINESS_PARTNER/A_BusinessPartner") {
		partners[fmt.Sprint(p["BusinessPartner"])] = strings.ToLower(fmt.Sprint(p["SearchTerm1"]))
	}
	out := map[string]string{}
	for _, o := range s.all("API_SALES_ORDER_SRV/A_SalesOrder", "$expand=to_Item") {
		items, _ := o["to_Item"].([]any)
		state, lines := "placed", []string{}
		for _, i := range items {
			item, _ := i.(map[string]any)
			if item["SalesDocumentRjcnReason"] == "01" {
				state = "cancelled"
			}
			lines = append(lines, fmt.Sprintf("%v x%s", item["Material"], strings.TrimSuffix(fmt.Sprint(item["RequestedQuantity"]), ".000")))
		}
		slices.Sort(lines)
		email := partners[fmt.Sprint(o["SoldToParty"])]
		out[fmt.Sprint(o["PurchaseOrderByCustomer"])] += fmt.Sprintf("%s %s %v %s %s", email, state, o["TransactionCurrency"], strings.TrimSuffix(fmt.Sprint(o["TotalNetAmount"]), "0"), strings.Join(lines, ","))
	}
	return out
}
