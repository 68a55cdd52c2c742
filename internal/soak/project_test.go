package soak

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/needtest"
	"github.com/waybill-hub/waybill/internal/porttest"
	"github.com/waybill-hub/waybill/internal/store/pgtest"
)

// setup is what the hub stands on.
type setup string

const (
	embedded setup = "embedded" // the embedded broker and SQLite
	onKafka  setup = "kafka"    // Apache Kafka and PostgreSQL
)

// project is a directory of hub files. Its flows take customers and orders from a system that pushes webhooks to topics, and
// from there to the targets alpha and beta; an order requires its customer.
type project struct {
	setup  setup
	dir    string
	prefix string // of flow and topic names: many tests share one Kafka
	// What a test may change before files are written.
	Brokers     string // of Kafka
	Replication int
	Store       string // URL of PostgreSQL
	Partitions  int
	RetryFor    string
	Backoff     string
	// WaitingAfter is when a message that waits for another object is worth an alarm.
	WaitingAfter string
	Timeout      string // of a call to a target
	DataDir      string // of the embedded broker and SQLite
	StorePath    string // of SQLite; default: in DataDir
	Extra        string // more flows, with %P% for the prefix
	Order        string // strict or latest
	MaxBody      string
	Connections  int               // that the webhook listener takes at once
	Journal      string            // of the flows from the source: failures or all
	Entities     []string          // that the targets hold
	TargetURLs   map[string]string // instead of the target's own address: a proxy's
	Env          []string          // of the hubs
	Blind        map[string]bool   // targets that cannot be asked whether they hold an object
	Backups      string            // the folder of copies; none: not configured
}

const hookSecret = "soak-secret-0123456789"

func newProject(t *testing.T, s setup) *project {
	t.Helper()
	b := make([]byte, 4)
	_, _ = rand.Read(b)
	p := &project{setup: s, dir: t.TempDir(), prefix: "s" + hex.EncodeToString(b) + "-", Replication: 1, Partitions: 4, RetryFor: "10m", Backoff: "50ms..2s", WaitingAfter: "15m", Timeout: "3s", Order: "strict",
		MaxBody: "1MiB", Connections: 1000, Journal: "failures", Entities: []string{"customer", "order"}, TargetURLs: map[string]string{}}
	p.DataDir = filepath.Join(p.dir, "data")
	if s == onKafka {
		p.Brokers = needtest.Kafka(t)
		p.Store = pgtest.URL(t)
	}
	return p
}

func freePort(t *testing.T) string {
	t.Helper()
	addr, err := porttest.Addr()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// topic and flow give the names that the project uses for them.
func (p *project) topic(name string) string { return p.prefix + name }
func (p *project) flow(name string) string  { return p.prefix + name }

func (p *project) write(t *testing.T, name, text string) {
	t.Helper()
	file := filepath.Join(p.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// files writes everything but the configuration.
func (p *project) files(t *testing.T) {
	t.Helper()
	p.write(t, "schemas/soak/thing.v1.json", thingSchema)
	p.write(t, "mappings/soak.yaml", mappingFile)
	p.write(t, "mappings/values/soak.yaml", "values: soak-mark\nunknown: park\ncodes:\n  A: {source: A}\n")
	p.write(t, "flows/soak.yaml", strings.NewReplacer("%P%", p.prefix, "%SECRET%", `"${file:../secret}"`, "%FOR%", p.RetryFor, "%BACKOFF%", p.Backoff, "%ORDER%", p.Order, "%WAIT%", p.WaitingAfter, "%JOURNAL%", p.Journal).Replace(flowFile+p.Extra))
	p.write(t, "secret", hookSecret)
}

// config writes the configuration of one hub; several hubs share the directory.
func (p *project) config(t *testing.T, name, http, hooks string, targets map[string]*target) string {
	t.Helper()
	var b strings.Builder
	switch p.setup {
	case embedded:
		fmt.Fprintf(&b, "broker:\n  embedded: {dir: %q}\n  partitions: %d\nstore:\n  sqlite: {path: %q}\n", filepath.Join(p.DataDir, "broker"), p.Partitions, cmp.Or(p.StorePath, filepath.Join(p.DataDir, "waybill.db")))
	case onKafka:
		fmt.Fprintf(&b, "broker:\n  kafka: {brokers: [%s], replication: %d}\n  partitions: %d\nstore:\n  postgres: {url: \"${env:WAYBILL_SOAK_STORE_URL}\"}\n", p.Brokers, p.Replication, p.Partitions)
	}
	if p.Backups != "" {
		fmt.Fprintf(&b, "backup: {dir: %q}\n", p.Backups)
	}
	fmt.Fprintf(&b, "http:\n  listen: %s\nhooks:\n  listen: %s\n  max-body: %s\n  connections: %d\nsystems:\n  source:\n    connector: webhook\n", http, hooks, p.MaxBody, p.Connections)
	for _, sys := range sortedNames(targets) {
		url := targets[sys].url()
		if other := p.TargetURLs[sys]; other != "" {
			url = other
		}
		fmt.Fprintf(&b, "  %s:\n    connector: rest\n    url: %s\n    timeout: %s\n    visible-after: 100ms\n    limit: {concurrency: 16}\n    objects:\n", sys, url, p.Timeout)
		for _, entity := range p.Entities {
			fmt.Fprintf(&b, `      %s:
        path: /o/%[1]s
        external-id: external_id
        version: changed
        etag: header
        list:
          items: items
          paging: {style: none, size-parameter: limit, size: 500, more: more}
          changed-since: {parameter: since, format: raw}
          order: changed
`, entity)
			if !p.Blind[sys] {
				b.WriteString("        find: {external: {external_id: \"{external}\"}}\n")
			}
		}
	}
	file := "configs/" + name + ".yaml"
	p.write(t, file, b.String())
	return filepath.Join(p.dir, filepath.FromSlash(file))
}

const thingSchema = `{
  "$schema": "http://json-schema.org/draft-07/schema#",
  "type": "object",
  "required": ["no", "seq"],
  "properties": {
    "id": {"type": "string"},
    "external_id": {"type": ["string", "null"]},
    "changed": {"type": "integer"},
    "no": {"type": "string", "minLength": 1, "maxLength": 40},
    "seq": {"type": "integer", "minimum": 0},
    "text": {"type": "string"},
    "customer": {"type": "string"},
    "flaw": {"type": "integer"},
    "mark": {"type": "string"}
  }
}
`

const mappingFile = `mapping: soak-customer
from: soak/thing.v1
to: soak/thing.v1
set:
  no: source.no
  seq: source.seq
  text?: source.text
  mark?: value("soak-mark", "source", source.mark)
---
mapping: soak-order
from: soak/thing.v1
to: soak/thing.v1
set:
  no: source.no
  seq: source.seq
  text?: source.text
  customer?: xref("customer", "source", source.customer)
---
mapping: soak-order-to-alpha
from: soak/thing.v1
to: soak/thing.v1
set:
  no: source.no
  seq: source.seq
  text?: source.text
  customer?: xref_id("customer", "alpha", source.customer)
`

const flowFile = `flow: %P%customers
entity: customer
from:
  system: source
  webhook:
    path: soak/customers
    verify: {scheme: hmac, secret: %SECRET%, header: X-Signature}
    delivery-id: header("X-Delivery")
accept: soak/thing.v1
key: source.no
version: source.seq
map: soak-customer
to: {topic: %P%canonical.customer}
journal: %JOURNAL%
order: %ORDER%
---
flow: %P%customers-to-alpha
entity: customer
from: {topic: %P%canonical.customer}
map: soak-customer
to: {system: alpha}
order: %ORDER%
retry: {for: %FOR%, backoff: %BACKOFF%}
slo: {waiting-after: %WAIT%}
---
flow: %P%customers-to-beta
entity: customer
from: {topic: %P%canonical.customer}
map: soak-customer
to: {system: beta}
order: %ORDER%
retry: {for: %FOR%, backoff: %BACKOFF%}
slo: {waiting-after: %WAIT%}
---
flow: %P%orders
entity: order
from:
  system: source
  webhook:
    path: soak/orders
    verify: {scheme: hmac, secret: %SECRET%, header: X-Signature}
    delivery-id: header("X-Delivery")
accept: soak/thing.v1
key: source.no
version: source.seq
map: soak-order
to: {topic: %P%canonical.order}
slo: {waiting-after: %WAIT%}
journal: %JOURNAL%
order: %ORDER%
---
flow: %P%orders-to-alpha
entity: order
from: {topic: %P%canonical.order}
requires:
  - {entity: customer, id: source.customer}
map: soak-order-to-alpha
to: {system: alpha}
order: %ORDER%
retry: {for: %FOR%, backoff: %BACKOFF%}
slo: {waiting-after: %WAIT%}
`
