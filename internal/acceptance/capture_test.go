//go:build unix

package acceptance

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/waybill-hub/waybill/internal/needtest"
	"github.com/waybill-hub/waybill/internal/store/pgtest"
	"github.com/waybill-hub/waybill/internal/systemtest"
)

const captureNeeds = "PostgreSQL, Java 17, Maven and Python"

// captureFiles are a project that reads the log of a PostgreSQL and writes what it says to a topic of another Kafka cluster, as Avro.
var captureFiles = map[string]string{
	"configs/waybill.yaml": `http: {listen: HTTP}
hooks: {listen: HOOKS}
broker: {kafka: {brokers: ["${env:OWN_KAFKA}"], replication: 1}}
store: {sqlite: {path: "DIR/data/waybill.db"}}
systems:
  erp:
    connector: sql
    driver: postgres
    url: ${env:ERP_DATABASE}
    capture: {slot: waybill_test, publication: waybill}
    objects:
      order:
        table: orders
        columns: {id: integer, customer: text, total: decimal, placed: timestamp, due: date, note: text, rev: integer}
        capture: {}
  partner:
    connector: kafka
    brokers: ["${env:PARTNER_KAFKA}"]
    registry: {url: "${env:PARTNER_REGISTRY}"}
    objects:
      order:
        topic: erp.orders
        format: avro
        key: {format: avro, path: id}
        write: {key: id}
`,
	"flows/orders.yaml": `flow: orders-from-erp
entity: order
from: {system: erp, poll: {every: 1s}}
key: text(source.id)
map: order-from-erp
to: {topic: canonical.order}
---
flow: orders-to-partner
entity: order
from: {topic: canonical.order}
map: order-to-partner
to: {system: partner, on-delete: delete}
retry: {for: 10m, backoff: 100ms..1s}
`,
	"mappings/orders.yaml": `mapping: order-from-erp
from: erp/order.v1
to: order.v1
set:
  number: text(source.id)
  customer?: source.customer
  total?: source.total
  placed_at?: source.placed
  due?: source.due
  note?: source.note
  revision?: source.rev
---
mapping: order-to-partner
from: order.v1
to: partner/order.v1
set:
  id: num(source.number)
  customer: source.customer
  total: source.total
  placed: source.placed_at
  due?: source.due
  note?: source.note
  rev: source.revision
`,
	"schemas/erp/order.v1.json": `{"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "required": ["id"], "properties": {
  "id": {"type": "integer"}, "customer": {"type": "string"}, "total": {"type": "number"}, "placed": {"type": "string"}, "due": {"type": ["string", "null"]}, "note": {"type": ["string", "null"]}, "rev": {"type": "integer"}}}`,
	"schemas/order.v1.json": `{"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "required": ["number"], "properties": {
  "number": {"type": "string"}, "customer": {"type": "string"}, "total": {"type": "number"}, "placed_at": {"type": "string"}, "due": {"type": "string"}, "note": {"type": "string"}, "revision": {"type": "integer"}}}`,
	"schemas/partner/order.v1.json": `{"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "required": ["id"], "properties": {
  "id": {"type": "number"}, "customer": {"type": "string"}, "total": {"type": "number"}, "placed": {"type": "string"}, "due": {"type": "string"}, "note": {"type": "string"}, "rev": {"type": "integer"}}}`,
	"mappings/readings.yaml": "", "schemas/reading.v1.json": "", "flows/readings.yaml": "",
}

const (
	captureKey   = `{"type": "record", "name": "OrderKey", "namespace": "com.example", "fields": [{"name": "id", "type": "long"}]}`
	captureValue = `{"type": "record", "name": "Order", "namespace": "com.example", "fields": [
  {"name": "id", "type": "long"}, {"name": "customer", "type": "string"},
  {"name": "total", "type": {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 4}},
  {"name": "placed", "type": {"type": "long", "logicalType": "timestamp-micros"}},
  {"name": "due", "type": ["null", {"type": "int", "logicalType": "date"}], "default": null},
  {"name": "note", "type": ["null", "string"], "default": null},
  {"name": "rev", "type": "int"}]}`
)

// makesTopic makes a topic of three partitions, as the cluster's administrator does.
func makesTopic(t *testing.T, broker, name string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(broker))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	req := kmsg.NewPtrCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, 3, 1
	req.Topics, req.TimeoutMillis = append(req.Topics, topic), 20_000
	resp, err := req.RequestWith(t.Context(), client)
	if err == nil {
		err = kerr.ErrorForCode(resp.Topics[0].ErrorCode)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// registers has a registry take a schema, as a person would.
func registers(t *testing.T, registry, subject, schema string) {
	t.Helper()
	body, err := json.Marshal(map[string]string{"schema": schema})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(registry+"/subjects/"+subject+"/versions", "application/vnd.schemaregistry.v1+json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if answer, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		t.Fatalf("the registry: %s: %s", resp.Status, answer)
	}
}

// avroRecord is a record of the other cluster as other people's readers show it.
type avroRecord struct {
	Partition int               `json:"partition"`
	Key       map[string]any    `json:"key"`
	Value     map[string]any    `json:"value"`
	Headers   map[string]string `json:"headers"`
}

// avroReader installs readers of Kafka and Avro that are not the hub's, and gives what reads a topic with them.
func avroReader(t *testing.T) func(brokers, topic, registry string) []avroRecord {
	t.Helper()
	python := systemtest.Tools(t, "avro", "python3 with venv")
	return func(brokers, topic, registry string) []avroRecord {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), python, "../test/systems/avro/read.py", brokers, topic, registry)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		var all []avroRecord
		dec := json.NewDecoder(bytes.NewReader(out))
		dec.UseNumber()
		for dec.More() {
			var r avroRecord
			if err := dec.Decode(&r); err != nil {
				t.Fatal(err)
			}
			all = append(all, r)
		}
		return all
	}
}

// orderBook writes orders in a PostgreSQL, and knows what each was at each of its commits, as a record of it has to show; "" stands for its deletion.
type orderBook struct {
	t    *testing.T
	db   *sql.DB
	dice *rand.Rand
	rev  int
	told map[int][]string
}

// long is a note that PostgreSQL keeps apart from its row.
func long(n int) string {
	dice := rand.New(rand.NewPCG(uint64(n), 5))
	b := make([]byte, 6000)
	for i := range b {
		b[i] = byte('a' + dice.IntN(26))
	}
	return string(b)
}

// commit makes some changes in a transaction; now and then one that is rolled back, of which nobody may hear.
func (b *orderBook) commit() {
	b.t.Helper()
	tx, err := b.db.BeginTx(b.t.Context(), nil)
	if err != nil {
		b.t.Fatal(err)
	}
	exec := func(query string, args ...any) {
		b.t.Helper()
		if _, err := tx.ExecContext(b.t.Context(), query, args...); err != nil {
			b.t.Fatal(err)
		}
	}
	told := map[int][]string{}
	is := func(id int) string {
		for _, history := range [][]string{told[id], b.told[id]} {
			if len(history) > 0 {
				return history[len(history)-1]
			}
		}
		return ""
	}
	for range 1 + b.dice.IntN(6) {
		id := 1 + b.dice.IntN(20)
		b.rev++
		total := fmt.Sprintf("%d.%04d", b.dice.Int64N(1_000_000_000_000), b.dice.IntN(10_000))
		placed := time.Date(2026, 11, 1, 0, 0, 0, b.dice.IntN(1_000_000)*1000, time.UTC).Add(time.Duration(b.dice.IntN(2_000_000)) * time.Second)
		due, note := any(nil), any(nil)
		if b.dice.IntN(2) == 0 {
			due = placed.AddDate(0, 1, 0).Format(time.DateOnly)
		}
		if b.dice.IntN(3) == 0 {
			note = long(b.rev)
		}
		customer := fmt.Sprintf("Köln & Söhne \"%d\"", b.rev)
		switch before := is(id); {
		case before == "":
			exec(`INSERT INTO orders (id, customer, total, placed, due, note, rev) VALUES ($1, $2, $3::numeric, $4, $5::date, $6, $7)`, id, customer, total, placed, due, note, b.rev)
		case b.dice.IntN(4) == 0:
			exec(`DELETE FROM orders WHERE id = $1`, id)
			told[id] = append(told[id], "")
			continue
		default: // the note stays as it is
			exec(`UPDATE orders SET customer = $2, total = $3::numeric, placed = $4, due = $5::date, rev = $6 WHERE id = $1`, id, customer, total, placed, due, b.rev)
			var row map[string]any
			if err := json.Unmarshal([]byte(before), &row); err != nil {
				b.t.Fatal(err)
			}
			note = row["note"]
		}
		told[id] = append(told[id], jsonText(b.t, map[string]any{"id": id, "customer": customer, "total": total, "placed": placed.Format("2006-01-02T15:04:05.000000Z"), "due": due, "note": note, "rev": b.rev}))
	}
	if b.dice.IntN(8) == 0 {
		if err := tx.Rollback(); err != nil {
			b.t.Fatal(err)
		}
		return
	}
	if err := tx.Commit(); err != nil {
		b.t.Fatal(err)
	}
	for id, states := range told {
		b.told[id] = append(b.told[id], states...)
	}
}

// TestCaptureToKafka: what commits in a PostgreSQL is read from its log and lies in a topic of another Kafka cluster as Avro, under schemas of a real registry: every change, in the
// order of its key, to the last digit, as Python's own readers show it. The hub, whose bus is an Apache Kafka too, is killed in the middle, and so is the other cluster.
func TestCaptureToKafka(t *testing.T) {
	needtest.Systems(t, captureNeeds)
	read := avroReader(t)
	database := pgtest.Logical(t)
	db, err := sql.Open("pgx", database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() }) // the helper's
	for _, statement := range []string{
		`CREATE TABLE orders (id bigint PRIMARY KEY, customer text NOT NULL, total numeric(20,4) NOT NULL, placed timestamptz NOT NULL, due date, note text, rev int NOT NULL)`,
		`ALTER TABLE orders REPLICA IDENTITY FULL`, // so that a note that an update leaves alone is in the log
		`CREATE PUBLICATION waybill FOR TABLE orders`,
	} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	own, other := &systemtest.Script{Name: "kafka", Needs: captureNeeds}, &systemtest.Script{Name: "kafka", Needs: captureNeeds}
	ownAddr, otherAddr := own.For(t), other.For(t)
	registry := (&systemtest.Script{Name: "registry", Needs: captureNeeds}).For(t) + "/apis/ccompat/v7"
	registers(t, registry, "erp.orders-key", captureKey)
	registers(t, registry, "erp.orders-value", captureValue)
	makesTopic(t, otherAddr, "erp.orders")
	book := &orderBook{t: t, db: db, dice: rand.New(rand.NewPCG(11, 2)), told: map[int][]string{}}
	for range 10 {
		book.commit()
	}
	for id, states := range book.told { // the hub begins with what is there
		if now := states[len(states)-1]; now == "" {
			delete(book.told, id)
		} else {
			book.told[id] = []string{now}
		}
	}
	p := newReadings(t, captureFiles)
	h := p.run(t, map[string]string{"OWN_KAFKA": ownAddr, "PARTNER_KAFKA": otherAddr, "PARTNER_REGISTRY": registry, "ERP_DATABASE": database})
	told := func() (n int64) {
		for _, f := range h.status().Flows {
			if f.Name == "orders-to-partner" {
				n = f.Totals.Delivered
			}
		}
		return n
	}
	h.await("the first orders", 2*time.Minute, func() bool { return told() > 0 })
	kafka := func(args ...string) {
		t.Helper()
		if out, err := other.Command(args...).CombinedOutput(); err != nil {
			t.Fatalf("kafka.sh %v: %v: %s", args, err, out)
		}
	}
	for n := range 120 {
		switch n {
		case 30, 90: // while some are there and others are not
			before := told()
			h.await("some of the changes", 2*time.Minute, func() bool { return told() > before })
			h.kill()
		case 40, 95:
			h.start()
		case 60:
			kafka("kill", "1")
		case 75:
			kafka("up", "1")
		}
		book.commit()
	}
	changes := 0
	for _, states := range book.told {
		changes += len(states)
	}
	h.await("all changes in the other cluster", 5*time.Minute, func() bool {
		st := h.status()
		return st.Totals.Parked > 0 || told() >= int64(changes) && st.Totals.InFlight == 0
	})
	checkTotals(t, h.status())
	if n := h.status().Totals.Parked; n != 0 {
		out, _, _ := waybill(t, p.dir, "parked", "list", "--url", "http://"+p.http)
		t.Errorf("%d messages are parked:\n%s", n, out)
	}

	got, events, twice := map[int][]string{}, map[string]bool{}, 0
	for _, r := range read(otherAddr, "erp.orders", registry) {
		if event := r.Headers["waybill-event-id"]; events[event] {
			twice++ // docs/kafka-systems.md says where this can be
			continue
		} else {
			events[event] = true
		}
		var id int
		if _, err := fmt.Sscan(fmt.Sprint(r.Key["id"]), &id); err != nil {
			t.Fatalf("the key %v: %v", r.Key, err)
		}
		state := ""
		if r.Value != nil {
			state = jsonText(t, r.Value)
		}
		got[id] = append(got[id], state)
	}
	t.Logf("%d changes of %d orders, %d records were there twice", changes, len(book.told), twice)
	for id := range 21 {
		want, got := book.told[id], got[id]
		for n := range max(len(want), len(got)) {
			if n >= len(want) || n >= len(got) || want[n] != got[n] {
				t.Errorf("order %d: %d changes, want %d; the first that differs is change %d:\n got %s\nwant %s", id, len(got), len(want), n, at(got, n), at(want, n))
				break
			}
		}
	}
}

func at(states []string, n int) string {
	if n >= len(states) {
		return "none"
	}
	return tail(states[n], 400)
}
