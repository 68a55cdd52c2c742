package connectors

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/connector/connectortest"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// odataExample is a system of SAP's, as docs/connectors.md shows it.
const odataExample = `s4:
  connector: odata
  url: https://my300000.s4hana.example.com/sap/opu/odata/sap      # V2 here; V4 is found by itself
  auth: {basic: {user: WAYBILL, password: "${env:S4_PASSWORD}"}}
  parameters: {sap-client: "100"}
  visible-after: 5s
  limit: {concurrency: 8}
  errors: {kinds: {V1/042: unavailable, M3/018: duplicate}}       # an order that a person has open; a product that is there
  objects:
    order:
      service: API_SALES_ORDER_SRV
      set: A_SalesOrder
      external: PurchaseOrderByCustomer                           # 35 characters
      external-form: compact                                      # 32
      changed: LastChangeDateTime
      items: {to_Item: {}}                                        # lines, changed one by one
    stock:
      service: API_MATERIAL_STOCK_SRV                             # a key of eleven parts
      set: A_MatlStkInAcctMod
`

func TestExamples(t *testing.T) {
	t.Setenv("S4_PASSWORD", "placeholder")
	var p strictyaml.Problems
	docs := strictyaml.Parse("docs/connectors.md", []byte(odataExample), &p)
	node := docs[0].Get("s4")
	r, err := connector.NewRegistry(All()...)
	if err != nil {
		t.Fatal(err)
	}
	kind, _ := r.Get(node.Get("connector").Text())
	kind.Spec().Lint(node, &p)
	kind.Check(connector.Settings{Name: "s4", Node: node}, &p)
	if err := p.Err(); err != nil {
		t.Error(err)
	}
}

// TestPages: the systems that pages show have no problem.
func TestPages(t *testing.T) {
	for _, name := range []string{"ITEMS_PASSWORD", "SAP_PASSWORD", "SHOP_KEY", "ODOO_KEY"} {
		t.Setenv(name, "placeholder")
	}
	r, err := connector.NewRegistry(All()...)
	if err != nil {
		t.Fatal(err)
	}
	for page, want := range map[string]int{"soap.md": 2, "graphql.md": 1, "odoo.md": 2} {
		text, err := os.ReadFile(filepath.Join("..", "docs", page))
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, block := range strings.Split(string(text), "```yaml\n")[1:] {
			block, _, _ = strings.Cut(block, "```")
			var p strictyaml.Problems
			root := strictyaml.Parse("docs/"+page, []byte(block), &p)[0]
			for _, f := range root.Fields() {
				kind, known := r.Get(f.Value.Get("connector").Text())
				if !known {
					continue
				}
				found++
				kind.Spec().Lint(f.Value, &p)
				kind.Check(connector.Settings{Name: f.Key, Node: f.Value}, &p)
			}
			if err := p.Err(); err != nil {
				t.Error(err)
			}
		}
		if found != want {
			t.Errorf("docs/%s shows %d systems, want %d", page, found, want)
		}
	}
}

func TestAll(t *testing.T) {
	r, err := connector.NewRegistry(All()...)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range r.Names() {
		k, ok := r.Get(name)
		if !ok || k.Spec().Kind != name {
			t.Errorf("%s: %v", name, k)
		}
	}
}

const head = `# Connectors

*Written by ` + "`go test ./connectors -update`" + ` from the settings' own descriptions; change those.*

A system of the hub's configuration names its connector and that connector's settings:

` + "```yaml" + `
systems:
  erp:
    connector: sql
    visible-after: 5s
    # … the connector's settings, below
` + "```" + `

| setting of every system | type | default | meaning |
|---|---|---|---|
| ` + "`connector`" + ` | string | **required** | one of the kinds below, or a vendor's manifest ([manifests.md](manifests.md)) |
| ` + "`visible-after`" + ` | duration | ` + "`0s`" + ` | how long after a write the object can be looked up |
| ` + "`defaults`" + ` | settings of an object | | what holds for every object that does not say otherwise; ` + "`without: [list.order]`" + ` in an object names defaults that it does not take |

Objects are named as flows name them: by ` + "`object`, or else by the flow's `entity`" + `. In the tables, ` + "`NAME`" + ` stands for such a name, and
` + "`[]`" + ` for every element of a list. A *secret* is never written into a file: ` + "`${env:NAME}` or `${file:PATH}`" + `. A *size* is written
` + "`512KiB`, a *duration* `30s`, a *rate* `50/s`" + `. A *path* inside a document is made of names with dots between them, and numbers
inside lists: ` + "`0.errorCode`" + `.

What every connector does, and ` + "`internal/connector/connectortest`" + ` proves:

- **Nothing twice.** A create with an external id that is there already fails as a duplicate, or takes that object over.
- **Every failure has a class.** *Unavailable* was certainly not applied. Whatever may have been applied has an *unknown
  outcome*, and the engine looks before it sends again.
- **Nothing is believed that was not said.** A write that the other side does not carry out is never reported as done, whatever status or
  count comes back, and its own words are kept: status, code and text, at most 300 characters, without secrets.
- **A token guards.** A write under a concurrency token that was used before is refused, also while the clock stands still or the stored
  stamp is ahead of it.
- **Nothing by a hub that was replaced.** Right before something is changed the engine is asked whether it may still be, and what it
  forbids is left as it was.
- **No change is left out.** A poll reads again what is stamped at or after its newest stamp, less the flow's ` + "`overlap`" + `, which must
  cover how long a change takes from its stamp to its commit, and how far the clocks of several writers are apart. What was
  handed out before and is still the same is not handed out again. Where stamps are local times without a zone, the
  hour that comes twice when clocks go back is read again as a whole until it is over; a reading there is of the second time as soon
  as that has come, unless the same state was read in the first. No read moves the cursor past its own beginning, so that neither a
  stamp ahead of the clock nor a read that lasts hides what is still to come. Rows and objects without a stamp are read, counted and named; a
  database lists them at every read (more than 5,000 of them a page at a time), a service shows them when it shows everything.
- **A log is read as a log.** Every record of a topic is a change of its own and is taken once, in its partition's order; how far a topic is read stands in the
  hub's own store, committed with what was read. What the cluster deleted before it was read is counted, and a topic that was made anew is told: [kafka-systems.md](kafka-systems.md).
  PostgreSQL's log is one too: its changes are taken once, in the order of their commits, and the server lets go of what is stored: [change-capture.md](change-capture.md).
- **A list that moves is followed.** Every page is read together with the one before it; what has moved over the edge between them is read, and only
  a list that moves by more than a page between two requests is begun again, and said to.
- **One record holds up nobody.** A record of a poll or a row of a file that cannot be read parks alone, with its place and the reason; those after it go on.
- **Values as they are.** A value that a document cannot show as it is, such as a date of the year 10000 or of 44 BC, infinity, NaN, a number of more
  than 128 digits, a day that does not exist or bytes that are no text, makes its record unreadable, with the column and the reason; nothing is cut or
  moved. What was read can be written back, and is the same.
- **Rows as rows.** A database gives its tables as columns too, in the order of a key that two of them share, and digests of ranges of them, for
  reconciliations of plain columns; over two connections more than limit.concurrency says, one to read and one to see how the database does. A reading that fails or is cut off is never an end, and what cannot be compared so is said to be so.
- **No secret comes out**, not in failures, not in logs, not when a server sends it back.
- **Nowhere else.** Link-local and metadata addresses are refused, redirects and links to other servers are not followed.

## When an HTTP service has done it

Many services answer 200 and say in the body that they did nothing. What a 2xx means is asked in this order, for every write, and for
reads too, so that an error in place of a list is no empty list:

1. A code at ` + "`errors.code` that `errors.kinds`" + ` lists is that failure: ` + "`duplicate` looks for the object, `unavailable` and `rate-limited`" + ` try
   again (with Retry-After where it is sent), ` + "`not-found`" + ` makes a delete done and a look-up empty, ` + "`empty`" + ` a list as well.
2. ` + "`success`" + `, of the create, update or delete, else of the object, else of the system: what is not among its values is *invalid*. Where
   the body is empty or no JSON, nothing says whether it was done: an *unknown outcome*. A 204 stands for itself. A read is judged by it where
   the value is there.
3. Without ` + "`success`" + ` for that member: a JSON-RPC 2.0 ` + "`error`, GraphQL `errors`, and a `success` or `ok`" + ` that is false are refusals; GraphQL errors
   beside data are an unknown outcome. A web page in answer to a delete is one, too. In answer to a read a web page, such as a login's, or nothing at
   all is *unavailable*: it is in the way of every message alike.

` + "```yaml" + `
erp:                                    # JSON-RPC
  errors: {code: error.data.name, message: error.data.message, kinds: {AccessError: invalid, SerializationFailure: unavailable}}
shop:                                   # GraphQL with a union of results
  errors: {code: errors.*.extensions.code, message: errors.*.message, kinds: {FORBIDDEN: invalid, THROTTLED: rate-limited}}
  objects:
    customer:
      create:
        item: data.createCustomer
        success: {path: data.createCustomer.__typename, in: [Customer], and: [{path: errors, in: [null]}]}
crm:                                    # one record in a list of results
  errors: {code: 0.errors.0.statusCode, message: 0.errors.0.message, kinds: {DUPLICATE_VALUE: duplicate}}
  success: {path: 0.success, in: [true]}
sap:                                    # a batch: every part must do
  success: {path: responses.*.status, in: [200, 201, 204]}
` + "```" + `

Values are told apart as JSON does: ` + "`true` and `\"true\"`" + ` are two, numbers are compared by value and exactly, ` + "`null`" + ` stands for absent too, and an
empty list is neither: write ` + "`userErrors.0`" + ` for its first element.

The id of a new object is read from the body, else from ` + "`OData-EntityId` or `Location`" + ` (not a 202's, which leads to a report about the work), in
the form that the object's own paths take: with ` + "`get: {path: \"A_Product('{id}')\"}`, `…/A_Product('AB%20C''D')` gives `AB C'D`" + `, and the next call
doubles the apostrophe again, as every value between quotes in a path or parameter is written. A key of several parts is kept whole: with
` + "`A_Stock{id}`" + ` it is ` + "`(Product='AB',Plant='1')`" + `.

## MariaDB and MySQL

` + "`driver: mysql`" + ` is proven on MariaDB 10.11, with every suite that SQLite and PostgreSQL run; MySQL is not: there is no server of it on the machines that test. What
differs there (the id of a new row comes by AUTO_INCREMENT or from the mapping, since MySQL has no INSERT … RETURNING) is run on MariaDB with that switched off.

- **The session.** Each connection sets a strict ` + "`sql_mode`" + `, UTC, utf8mb4 and READ COMMITTED, whatever the server's own settings and ` + "`init_connect`" + ` say, and looks whether the
  server has taken it so; one that has not is not used, and says why. A server with ` + "`binlog_format=STATEMENT`" + ` takes no writes in that isolation (error 1665): use MIXED or ROW.
- **The same is the same.** MariaDB takes 'abc', 'ABC ' and 'ÁBC' for one text, and 'ABC' for 0. The hub compares ids, keys and external ids by their bytes too. Pages go by the
  unique index of the id where it has one. Without one, ids that differ may be the same under the column's collation: rows are ordered by bytes then, which reads all that are left for
  every page. Lines that name their order in other letters than it has itself make it unreadable, and so are not lost. An id may not be a FLOAT, BIT, ENUM, SET or of binary
  type, and a column of texts cannot be an integer.
- **What is written is what was sent.** Digits of a DECIMAL, of a second, and of a FLOAT or DOUBLE that the column does not hold, blanks at the end of a CHAR, and zeros that fill up a BINARY
  are refused, with the column, before anything is committed; the server itself refuses what is too long, out of range or not in the column's character set. A FLOAT shows up to
  nine digits, in full, and cannot be searched.
- **Kinds of columns.** BIT and TINYINT are ` + "`integer`, or `boolean`" + ` where they hold 0 and 1 alone. JSON is ` + "`json`" + `. ` + "`0000-00-00`" + ` and days that do not exist make a row unreadable; as a
  version they are none. A version must be a DATETIME, TIMESTAMP, DATE or a number. A TIMESTAMP is an instant, and so ` + "`timestamp`, never `local-timestamp`" + `; a DATETIME is either, as its
  application means it. Generated columns can be read. Binary columns hold text in UTF-8, or are shown by a view as HEX or the like.
- **Transactions.** A table whose engine has none (MyISAM) is read and never written to. Deadlocks and waits for locks are tried again. What the hub does not wait for any more is
  ended on the server as well (KILL), which the hub's user may do for its own connections; ` + "`max_statement_time`" + ` is the net below. A connection that is lost while it commits is an unknown outcome.
- **Upsert** inserts, and where that meets the external id, updates: never another row that only has the same value in another unique column.

## SQL Server, Oracle and SAP HANA

` + "`driver: sqlserver`, `oracle` and `hana`" + ` are proven on statements alone: the table below [sql](#sql) says what that means. How such a system is set up, procedures, interface tables, outbox tables and systems that
are only read are in [sql-systems.md](sql-systems.md), with what differs between the databases.

## GraphQL

With ` + "`graphql: {path: …}`" + ` a ` + "`rest`" + ` system speaks GraphQL: operations by query, variables with the cursor inside, errors in ` + "`errors`" + ` and in members of unions. [graphql.md](graphql.md) has a whole
system, and what each error means.

## Services that are asked in a body, and Odoo

An operation of a ` + "`rest`" + ` system with a ` + "`body`" + ` is a POST, in whose JSON parameters, ids and documents stand at dotted paths: JSON-RPC, searches by a document. [odoo.md](odoo.md) has a whole system in both of
Odoo's forms, which are proven on a stand-in made of its documentation alone.

## SOAP, and XML over HTTP

Requests are made by templates, answers become documents whose values stay texts until a type is given, faults are judged by a table; IDocs and SOAP messages come in by webhooks with ` + "`xml`" + `. [soap.md](soap.md) has
a whole system, what the kind does not do, and what is proven on a stand-in alone.

## SAP, and other OData services

What types, keys and lines look like is read from the service's own ` + "`$metadata`" + `. [odata.md](odata.md) says what the kind does, what it does not do, and
where such services surprise.

` + "```yaml\n" + odataExample + "```\n" + `
## Tryton

What types fields have is asked of the server. [tryton.md](tryton.md) shows the objects of a trading company, and says what the kind does, what it does not do, and where Tryton surprises.

## What was proven, and on what

| kind | written, searched, polled, listed | on |
|---|---|---|
| ` + "`odata`" + ` V4 and V2 | all | SAP's own runtime (CAP for Node 10.1.1, V2 adapter 1.15.10); dialects of other services on a double made from the protocol's documents |
| ` + "`tryton`" + ` | all, and workflows in steps | Tryton 6.0 (trytond 6.0.76) on PostgreSQL 15; failures that it cannot be made to have on a double |
| ` + "`sql`" + ` | all | SQLite, PostgreSQL, MariaDB 10.11; MySQL is not run |
| ` + "`kafka`" + ` | all but listed by id | Apache Kafka 4.1; Avro under schemas of Apicurio Registry 3.0.9, and of franz-go's double of Confluent's |
| ` + "`rest`" + ` with ` + "`graphql`" + ` | all | Vendure 3.7.3 on PostgreSQL; connections in Relay's form and ` + "`userErrors`" + ` on a double |
| ` + "`rest`, `webhook`, `file`" + ` | what they can | doubles and the sandbox's systems; files are files |

` + "`make test-systems`" + ` runs the suites on those that the machine can have.

Through flows in YAML, from one real system to another, with the hub killed in the middle, lines that lose a tenth of the answers and refuse another tenth of the calls, and each object compared in the end with what the source holds:

| from | to | what | row of ` + "`make test-systems`" + `, test |
|---|---|---|---|
| Vendure 3.7.3: its signed webhook, and GraphQL for what nobody heard and for later changes | tables of MariaDB, whose connections are cut off, and SAP's runtime (V4) | customers, orders with lines, an order that is called off | ` + "`vendure_flows`, `TestVendureFlows`" + ` |
| Tryton 6.0 and SAP's runtime, once in V4 and once in V2 | each other, both ways, while people enter and change objects in both and lists move under the polls; Tryton also refuses calls in a 200 | customers with addresses, products, orders with lines, stock, invoices with lines; an invoice that Tryton refuses for good is parked alone | ` + "`trade`, `TestTrade`" + ` (its project: ` + "`internal/acceptance/testdata/trade`" + `) |
| PostgreSQL 15, its log (change capture) | another Apache Kafka 4.1 than the hub's own, as Avro under schemas of Apicurio Registry 3.0.9; killed in the middle, too | inserts, updates and deletes, each change in the order of its key, as confluent-kafka 2.16 and fastavro 1.13 read them | ` + "`cdc_kafka`, `TestCaptureToKafka`" + ` |
| a service of the tests, and Tryton | Tryton, and back | customers, products, orders with lines; numbers and states back | ` + "`tryton_flows`, `TestTrytonFlows`" + ` |
`

// TestDocumentation keeps docs/connectors.md what the code says.
func TestDocumentation(t *testing.T) {
	var b strings.Builder
	b.WriteString(head)
	for _, k := range All() {
		b.WriteString(k.Spec().Markdown() + "\n")
	}
	connectortest.Golden(t, filepath.Join("..", "docs", "connectors.md"), []byte(strings.TrimRight(b.String(), "\n")+"\n"))
}
