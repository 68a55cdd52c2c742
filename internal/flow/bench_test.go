package flow

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/waybill-hub/waybill/internal/bench/gen"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/flow/breaker"
	"github.com/waybill-hub/waybill/internal/flow/deliver"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/store"
)

// instant is a target and a topic that take everything at once.
type instant struct{}

func (instant) Probe(context.Context) error                                        { return nil }
func (instant) Close() error                                                       { return nil }
func (instant) Find(context.Context, connector.Lookup) ([]connector.Record, error) { return nil, nil }
func (instant) Send(_ context.Context, records []event.Record) []event.Sent {
	return make([]event.Sent, len(records))
}

// Write answers as an ERP does, with some of the document.
func (instant) Write(_ context.Context, w connector.Write) (connector.Result, error) {
	return connector.Result{Local: w.External, ETag: "1", Status: "200", Answer: fmt.Appendf(nil, `{"id":%q,"etag":"1","state":"open"}`, w.External)}, nil
}

// load is what a benchmark works: a flow, how many records a batch has, the data of one (nil: a short order), and which documents are kept.
type load struct {
	flow  string
	batch int
	data  func(i int) []byte
	keep  store.Keep
}

// benchmark works batches of 16 lanes side by side, each record of a key of its own.
func benchmark(b *testing.B, l load) {
	src := func(name string, files map[string]string) []config.Source {
		m := fstest.MapFS{}
		for k, v := range files {
			m[k] = &fstest.MapFile{Data: []byte(v)}
		}
		return []config.Source{{Name: name, FS: m}}
	}
	read := func(name string) string {
		text, err := os.ReadFile("../../" + name)
		if err != nil {
			b.Fatal(err)
		}
		return string(text)
	}
	paths := config.Paths{Config: "waybill.yaml", ConfigFS: src("", map[string]string{"waybill.yaml": "systems:\n  erp: {connector: script}\n  erp2: {connector: script}\n"})[0].FS,
		Flows: src("flows", map[string]string{"f.yaml": testFlows + longFlow}), Mappings: src("mappings", map[string]string{"m.yaml": testMappings, "long.yaml": read("mappings/bench-order.yaml"),
			"values/long.yaml": read("mappings/values/bench-order-status.yaml")}),
		Schemas: src("schemas", map[string]string{"test/order.v1.json": testSchema, "test/erp-order.v1.json": testSchema,
			"bench/order.v1.json": read("schemas/bench/order.v1.json"), "bench/canonical-order.v1.json": read("schemas/bench/canonical-order.v1.json")})}
	plan, problems := config.Load(paths, config.Options{Kinds: map[string]connector.Kind{"script": kind{}}})
	if problems.Len() > 0 {
		b.Fatal(problems.Err())
	}
	s, err := store.Open(b.Context(), store.Config{SQLite: filepath.Join(b.TempDir(), "w.db")})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }() // a benchmark's scratch file
	s.KeepDocuments(l.keep)
	log := slog.New(slog.DiscardHandler)
	systems := map[string]*deliver.System{}
	for _, n := range []string{"erp", "erp2"} {
		systems[n] = &deliver.System{System: plan.Systems[n], Connector: instant{}, Breaker: breaker.New(n, lifecycle.Real(), log, instant{}.Probe)}
	}
	r, err := New(plan.Flow(l.flow), Deps{Plan: plan, Store: s, Publisher: instant{}, Systems: systems, Clock: lifecycle.Real(), Log: log, Observer: silence{}, Lanes: 16,
		KeepsDocuments: func() bool { return l.keep.Size > 0 }})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = r.Stop(context.Background()) }()
	epoch, _, _, err := r.Assigned(b.Context(), "g", r.flow.Topic(), 0, event.Log{Cluster: "c", TopicID: "t", Last: 1 << 40})
	if err != nil {
		b.Fatal(err)
	}
	lanes := make([][]event.Record, 16)
	for i := range b.N {
		e := order(fmt.Sprint("K", i), 1, "1")
		if l.data != nil {
			e.Data = l.data(i)
		}
		lane := event.LaneOf(e.Lane(), 16)
		lanes[lane] = append(lanes[lane], event.Record{Topic: r.flow.Topic(), Offset: int64(i), Key: []byte(e.Lane()), Value: e.Data, Headers: e.Headers()})
	}
	b.ReportAllocs()
	b.ResetTimer()
	done := make(chan error, 16)
	for n, records := range lanes {
		go func() {
			for len(records) > 0 {
				size := min(l.batch, len(records))
				msg := message.NewMessage("m", nil)
				msg.SetContext(event.WithBatch(context.Background(), &event.Batch{Topic: r.flow.Topic(), Epoch: epoch, Lane: n, Records: records[:size]}))
				if err := r.Handle(msg); err != nil {
					done <- err
					return
				}
				records = records[size:]
			}
			done <- nil
		}()
	}
	for range lanes {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCopy: from topic to topic; the store hears of batches.
func BenchmarkCopy(b *testing.B) { benchmark(b, load{flow: "copy", batch: 128}) }

// BenchmarkDeliver: to a system; an intent and a commit of every message are on disk.
func BenchmarkDeliver(b *testing.B) { benchmark(b, load{flow: "orders-to-erp", batch: 128}) }

const longFlow = `
---
flow: long
entity: order
from: {topic: orders}
accept: bench/order.v1
map: bench-order
to: {system: erp, find: after-conflict}
`

// BenchmarkDocuments: orders of about 1.1 KB with 5 to 7 lines to a system, without the documents of their fates and with them.
func BenchmarkDocuments(b *testing.B) {
	orders := make([][]byte, 256)
	for i := range orders {
		_, orders[i] = gen.Order(i, nil)
	}
	data := func(i int) []byte { return orders[i%len(orders)] }
	b.Run("off", func(b *testing.B) { benchmark(b, load{"long", 128, data, store.Keep{}}) })
	b.Run("on", func(b *testing.B) { benchmark(b, load{"long", 128, data, store.Keep{Age: time.Hour, Size: 256 << 20}}) })
}
