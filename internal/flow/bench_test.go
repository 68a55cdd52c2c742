package flow

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/store"
)

// instant is a target and a topic that take everything at once.
type instant struct{}

func (instant) Probe(context.Context) error { return nil }
func (instant) Close() error                { return nil }
func (instant) Write(_ context.Context, w connector.Write) (connector.Result, error) {
	return connector.Result{Local: w.External, ETag: "1"}, nil
}
func (instant) Find(context.Context, connector.Lookup) ([]connector.Record, error) { return nil, nil }
func (instant) Send(_ context.Context, records []event.Record) []error {
	return make([]error, len(records))
}

// benchmark works batches of 16 lanes side by side, each record of a key of its own.
func benchmark(b *testing.B, name string, batch int) {
	src := func(name string, files map[string]string) []config.Source {
		m := fstest.MapFS{}
		for k, v := range files {
			m[k] = &fstest.MapFile{Data: []byte(v)}
		}
		return []config.Source{{Name: name, FS: m}}
	}
	paths := config.Paths{Config: "waybill.yaml", ConfigFS: src("", map[string]string{"waybill.yaml": "systems:\n  erp: {connector: script}\n  erp2: {connector: script}\n"})[0].FS,
		Flows: src("flows", map[string]string{"f.yaml": testFlows}), Mappings: src("mappings", map[string]string{"m.yaml": testMappings}),
		Schemas: src("schemas", map[string]string{"test/order.v1.json": testSchema, "test/erp-order.v1.json": testSchema})}
	plan, problems := config.Load(paths, config.Options{Kinds: map[string]connector.Kind{"script": kind{}}})
	if problems.Len() > 0 {
		b.Fatal(problems.Err())
	}
	s, err := store.Open(b.Context(), store.Config{SQLite: filepath.Join(b.TempDir(), "w.db")})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }() // a benchmark's scratch file
	log := slog.New(slog.DiscardHandler)
	systems := map[string]*System{}
	for _, n := range []string{"erp", "erp2"} {
		systems[n] = &System{System: plan.Systems[n], Connector: instant{}, Breaker: NewBreaker(n, lifecycle.Real(), log, instant{}.Probe)}
	}
	r, err := New(plan.Flow(name), Deps{Plan: plan, Store: s, Publisher: instant{}, Systems: systems, Clock: lifecycle.Real(), Log: log, Observer: silence{}, Lanes: 16})
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
		lane := event.LaneOf(e.Lane(), 16)
		lanes[lane] = append(lanes[lane], event.Record{Topic: r.flow.Topic(), Offset: int64(i), Key: []byte(e.Lane()), Value: e.Data, Headers: e.Headers()})
	}
	b.ReportAllocs()
	b.ResetTimer()
	done := make(chan error, 16)
	for n, records := range lanes {
		go func() {
			for len(records) > 0 {
				size := min(batch, len(records))
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
func BenchmarkCopy(b *testing.B) { benchmark(b, "copy", 128) }

// BenchmarkDeliver: to a system; an intent and a commit of every message are on disk.
func BenchmarkDeliver(b *testing.B) { benchmark(b, "orders-to-erp", 128) }
