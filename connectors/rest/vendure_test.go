//go:build unix

package rest

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/connector/connectortest"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/store/pgtest"
	"github.com/waybill-hub/waybill/internal/systemtest"
)

// written is the kind as the suite writes and looks up with it: its polls need stamps that a test sets, and objects without one, which Vendure has not.
type written struct{ Kind }

func (k written) Spec() connector.Spec {
	s := k.Kind.Spec()
	s.Can = connector.Abilities{Write: true, Find: true}
	return s
}

func vendureConfig(url string) string {
	return `connector: rest
url: ` + url + `
auth: {api-key: {header: vendure-api-key, value: "${env:VENDURE_KEY}"}}
graphql: {path: admin-api}
errors: {kinds: {EMAIL_ADDRESS_CONFLICT_ERROR: duplicate}}
objects:
  customer:
    external-id: customFields.externalId
    version: updatedAt
    get:
      query: "query ($id: ID!) { customer(id: $id) { id updatedAt firstName lastName emailAddress phoneNumber customFields { externalId } } }"
      item: data.customer
    list:
      query: "query ($options: CustomerListOptions) { customers(options: $options) { totalItems items { id updatedAt firstName lastName emailAddress phoneNumber customFields { externalId } } } }"
      variables: {options: {sort: {updatedAt: ASC, id: ASC}}}
      items: data.customers.items
      order: changed
      paging: {style: offset, parameter: options.skip, size-parameter: options.take, total: data.customers.totalItems}
      changed-since: {parameter: options.filter.updatedAt.after, format: rfc3339-ms}
      ids: {query: "query ($options: CustomerListOptions) { customers(options: $options) { totalItems items { id } } }"}
    find:
      external: {options.filter.externalId.eq: "{external}"}
      natural: {options.filter.phoneNumber.eq: "{phoneNumber}"}
    create:
      query: "mutation ($input: CreateCustomerInput!) { createCustomer(input: $input) { __typename ... on Customer { id } ... on ErrorResult { errorCode message } } }"
      item: data.createCustomer
      answer: partial
    update:
      query: "mutation ($input: UpdateCustomerInput!) { updateCustomer(input: $input) { __typename ... on Customer { id } ... on ErrorResult { errorCode message } } }"
      variables: {input: {id: "{id}"}}
      item: data.updateCustomer
      answer: partial
    delete:
      query: "mutation ($id: ID!) { deleteCustomer(id: $id) { result message } }"
      success: {path: data.deleteCustomer.result, in: [DELETED]}
  product:
    version: updatedAt
    get: {query: "query ($id: ID!) { product(id: $id) { id updatedAt name } }", item: data.product}
    list:
      query: "query ($options: ProductListOptions) { products(options: $options) { totalItems items { id updatedAt name variants { sku price stockOnHand } } } }"
      variables: {options: {sort: {id: ASC}}}
      items: data.products.items
      paging: {style: offset, parameter: options.skip, size-parameter: options.take, total: data.products.totalItems}
  order:
    version: updatedAt
    get: {query: "query ($id: ID!) { order(id: $id) { id updatedAt code state } }", item: data.order}
    list:
      query: "query ($options: OrderListOptions) { orders(options: $options) { totalItems items { id updatedAt code state totalWithTax customer { emailAddress } lines { quantity productVariant { sku } } } } }"
      variables: {options: {sort: {id: ASC}, filter: {active: {eq: false}}}}
      items: data.orders.items
      paging: {style: offset, parameter: options.skip, size-parameter: options.take, total: data.orders.totalItems}
      changed-since: {parameter: options.filter.updatedAt.after, format: rfc3339-ms}
    find: {natural: {options.filter.code.eq: "{code}"}}
`
}

func TestVendure(t *testing.T) {
	var database string
	v := systemtest.StartVendure(t, func(t testing.TB) string { database = pgtest.URL(t); return database })
	t.Setenv("VENDURE_KEY", v.Key)
	db, err := sql.Open("pgx", database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	clear := func(t testing.TB) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), `DELETE FROM customer`); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("customers", func(t *testing.T) {
		connectortest.Run(t, func(t *testing.T) *connectortest.Subject {
			clear(t)
			return vendureSubject(t, v)
		})
	})
	t.Run("polls and lists", func(t *testing.T) { clear(t); vendurePolls(t, v) })
	t.Run("products and orders", func(t *testing.T) { clear(t); vendureReads(t, v) })
}

func vendureSubject(t *testing.T, v *systemtest.Vendure) *connectortest.Subject {
	return &connectortest.Subject{
		Kind: written{}, Settings: settingsOf(t, vendureConfig(v.URL)), Object: "customer", External: true, Secrets: []string{v.Key},
		New: func(n int) string {
			return fmt.Sprintf(`{"firstName":"Ann \"%d\"","lastName":"Müller & Söhne","emailAddress":"c-%d@example.com","phoneNumber":"Tel-%d"}`, n, n, n)
		},
		Change:  func(n int) string { return fmt.Sprintf(`{"lastName":"changed %d"}`, n) },
		Natural: func(n int) map[string]string { return map[string]string{"phoneNumber": fmt.Sprintf("Tel-%d", n)} },
		Probes: []connectortest.Probe{
			{Name: "well"},
			{Name: "connection refused", Want: fault.Unavailable, Create: fault.Unavailable, Text: "refused", Arrange: func(t testing.TB, set *connector.Settings) {
				*set = settingsOf(t, vendureConfig("http://127.0.0.1:1"))
			}},
		},
		Faults: []connectortest.Fault{
			{Name: "a wrong key", Want: fault.Auth, Arrange: func(t testing.TB, set *connector.Settings) {
				*set = settingsOf(t, strings.Replace(vendureConfig(v.URL), "VENDURE_KEY", "SHOP_KEY", 1))
			}},
			{Name: "an address that is another's", Want: fault.Conflict, Duplicate: true, Call: func(ctx context.Context, sys connector.System, s *connectortest.Subject) error {
				sink := sys.(connector.Sink)
				if _, err := sink.Write(ctx, connector.Write{Object: "customer", Action: connector.Create, Doc: []byte(s.New(1))}); err != nil {
					return err
				}
				_, err := sink.Write(ctx, connector.Write{Object: "customer", Action: connector.Create, Doc: []byte(s.New(1))})
				return err
			}},
			{Name: "a field that is missing", Want: fault.Invalid, Call: func(ctx context.Context, sys connector.System, _ *connectortest.Subject) error {
				_, err := sys.(connector.Sink).Write(ctx, connector.Write{Object: "customer", Action: connector.Create, Doc: []byte(`{"firstName":"Ann","emailAddress":"x@example.com"}`)})
				if f, _ := fault.As(err); f == nil || f.Field != "lastName" {
					return fmt.Errorf("the field is not named: %w", err)
				}
				return err
			}},
		},
	}
}

// vendurePolls changes customers while they are read page by page: what stands there in the end was read.
func vendurePolls(t *testing.T, v *systemtest.Vendure) {
	sys, err := Kind{}.Open(t.Context(), settingsOf(t, vendureConfig(v.URL)))
	if err != nil {
		t.Fatal(err)
	}
	defer sys.Close()
	sink, poller := sys.(connector.Sink), sys.(connector.Poller)
	write := func(w connector.Write) string {
		t.Helper()
		w.Object = "customer"
		r, err := sink.Write(t.Context(), w)
		if err != nil {
			t.Fatal(err)
		}
		return r.Local
	}
	var ids []string
	want, seen := map[string]string{}, map[string]string{}
	add := func() {
		n := len(ids)
		id := write(connector.Write{Action: connector.Create, Doc: fmt.Appendf(nil, `{"firstName":"Ann","lastName":"first","emailAddress":"p-%d@example.com"}`, n)})
		ids, want[id] = append(ids, id), "first"
	}
	for range 8 {
		add()
	}
	cursor := ""
	round := func(between func(page int)) {
		t.Helper()
		for page := 0; ; page++ {
			p, err := poller.Poll(t.Context(), connector.PollRequest{Object: "customer", Cursor: cursor, Overlap: time.Minute, Limit: 3})
			if err != nil {
				t.Fatal(err)
			}
			cursor = p.Cursor
			for _, r := range p.Records {
				seen[r.Local] = parseDoc(t, r.Doc).Get("lastName").Str()
			}
			if !p.More {
				return
			}
			if page > 50 {
				t.Fatal("the poll does not come to an end")
			}
			between(page)
		}
	}
	round(func(page int) {
		if page < 4 {
			id, name := ids[page*2], fmt.Sprintf("changed %d", page)
			write(connector.Write{Action: connector.Update, Local: id, Doc: fmt.Appendf(nil, `{"lastName":%q}`, name)})
			want[id] = name
			add()
		}
	})
	round(func(int) {})
	for id, name := range want {
		if seen[id] != name {
			t.Errorf("customer %s was last read as %q, and is %q", id, seen[id], name)
		}
	}
	var listed []string
	for r, err := range sys.(connector.Lister).List(t.Context(), "customer", time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		listed = append(listed, r.Local)
	}
	slices.Sort(listed)
	slices.Sort(ids)
	if !slices.Equal(listed, ids) {
		t.Errorf("listed %v, want %v", listed, ids)
	}
	var alone []string
	for id, err := range sys.(connector.IDLister).ListIDs(t.Context(), "customer") {
		if err != nil {
			t.Fatal(err)
		}
		alone = append(alone, id)
	}
	slices.Sort(alone)
	if !slices.Equal(alone, ids) {
		t.Errorf("listed the ids %v, want %v", alone, ids)
	}
}

// vendureReads looks at a product, and at an order that a visitor has placed.
func vendureReads(t *testing.T, v *systemtest.Vendure) {
	variant := v.Product(t, "SKU-00123", "Hammer", 1250)
	code := v.Order(t, "visitor@example.com", variant, 2)
	sys, err := Kind{}.Open(t.Context(), settingsOf(t, vendureConfig(v.URL)))
	if err != nil {
		t.Fatal(err)
	}
	defer sys.Close()
	found, err := sys.(connector.Finder).Find(t.Context(), connector.Lookup{Object: "order", Natural: map[string]string{"code": code}})
	if err != nil || len(found) != 1 {
		t.Fatalf("the order %s: %v %v", code, found, err)
	}
	doc := parseDoc(t, found[0].Doc)
	for path, want := range map[string]string{"state": "PaymentSettled", "customer.emailAddress": "visitor@example.com", "lines.0.productVariant.sku": "SKU-00123", "lines.0.quantity": "2", "totalWithTax": "3475"} {
		if got := text(at(doc, path)); got != want {
			t.Errorf("the order's %s is %q, want %q: %s", path, got, want, found[0].Doc)
		}
	}
	for object, path := range map[string]string{"product": "variants.0.sku", "order": "code"} {
		p, err := sys.(connector.Poller).Poll(t.Context(), connector.PollRequest{Object: object})
		if err != nil || len(p.Records) != 1 || p.Records[0].Version == "" {
			t.Errorf("%s: polled %+v, %v", object, p, err)
			continue
		}
		if got, want := text(at(parseDoc(t, p.Records[0].Doc), path)), map[string]string{"product": "SKU-00123", "order": code}[object]; got != want {
			t.Errorf("%s: %s is %q, want %q", object, path, got, want)
		}
	}
}

func parseDoc(t testing.TB, doc []byte) jsondoc.Value {
	t.Helper()
	d, err := jsondoc.Parse(doc, jsondoc.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return d.Root()
}
