package store_test

import (
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
	"github.com/waybill-hub/waybill/internal/store/storetest"
)

// databases runs a benchmark on both.
func databases(b *testing.B, f func(b *testing.B, s *store.Store)) {
	for name, config := range map[string]func(testing.TB) (store.Config, bool){
		"sqlite": func(t testing.TB) (store.Config, bool) {
			return store.Config{SQLite: filepath.Join(t.TempDir(), "w.db")}, false
		},
		"postgres": postgresConfig,
	} {
		b.Run(name, func(b *testing.B) {
			cfg, _ := config(b)
			s, err := store.Open(b.Context(), cfg)
			if err != nil {
				b.Fatal(err)
			}
			f(b, s)
			st := s.Stats()
			b.ReportMetric(float64(st.Members)/float64(max(st.Transactions, 1)), "calls/tx")
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkCommit: lanes commit at the same time; an operation is one Result.
func BenchmarkCommit(b *testing.B) {
	for _, c := range []struct {
		name         string
		lanes, batch int
		result       func(offset int64) state.Result
	}{
		{"topic/lanes=1/batch=1", 1, 1, deliveredAt}, {"topic/lanes=16/batch=1", 16, 1, deliveredAt}, {"topic/lanes=16/batch=128", 16, 128, deliveredAt},
		{"system/lanes=16/batch=1", 16, 1, writtenAt}, {"system/lanes=16/batch=16", 16, 16, writtenAt}, {"parked/lanes=16/batch=16", 16, 16, parkedAt},
	} {
		b.Run(c.name, func(b *testing.B) {
			databases(b, func(b *testing.B, s *store.Store) {
				p, err := s.OpenPartition(b.Context(), "f", "t", 0, event.Log{Cluster: "c", TopicID: "t", First: 0, Last: 1 << 60})
				if err != nil {
					b.Fatal(err)
				}
				var next atomic.Int64
				b.ResetTimer()
				parallel(b, c.lanes, func() bool {
					first := next.Add(int64(c.batch)) - int64(c.batch)
					if first >= int64(b.N) {
						return false
					}
					commit := &state.Commit{Flow: "f", Topic: "t", Epoch: p.Epoch}
					for i := range int64(c.batch) {
						commit.Results = append(commit.Results, c.result(first+i))
					}
					if err := s.Commit(b.Context(), commit); err != nil {
						b.Error(err)
					}
					return true
				})
				b.StopTimer()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "results/s")
			})
		})
	}
}

func deliveredAt(offset int64) state.Result {
	return state.Result{Offset: offset, Outcome: state.Delivered}
}

func writtenAt(offset int64) state.Result {
	hub := fmt.Sprintf("00000000-0000-0000-0000-%012d", offset*7919%20_000)
	return state.Result{Offset: offset, Outcome: state.Delivered,
		Ref: &state.Ref{Entity: "order", Hub: hub, System: "erp", Local: fmt.Sprint(offset * 7919 % 20_000),
			Known: &state.Known{Fields: map[string]uint64{"status": 1, "total": 2, "lines": 3, "customer": 4}, Received: "1"}},
		Applied: &state.Applied{Entity: "order", Hub: hub, System: "erp", Origin: "crm", Version: fmt.Sprint(offset), Hash: "h"},
		Close:   []state.Intent{{Entity: "order", Hub: hub, System: "erp", EventID: fmt.Sprint(offset)}},
		Journal: &state.Journal{Flow: "f", Entity: "order", Key: fmt.Sprint("SO-", offset), Hub: hub, Outcome: state.Delivered, System: "erp"}}
}

func parkedAt(offset int64) state.Result {
	return state.Result{Offset: offset, Outcome: state.Held, Queue: &state.Queued{Lane: fmt.Sprint(offset % 1000), Blocking: true, Kind: "unavailable", Reason: "connection refused"}}
}

// BenchmarkAccept: webhooks arrive at the same time; an operation is one delivery of 1 KB.
func BenchmarkAccept(b *testing.B) {
	for _, callers := range []int{1, 16, 64} {
		b.Run(fmt.Sprint("callers=", callers), func(b *testing.B) {
			databases(b, func(b *testing.B, s *store.Store) {
				body := make([]byte, 1024)
				var next atomic.Int64
				b.ResetTimer()
				parallel(b, callers, func() bool {
					n := next.Add(1)
					if n > int64(b.N) {
						return false
					}
					id := fmt.Sprintf("msg_%08x%d", uint32(n*2654435761), n)
					if _, _, err := s.Accept(b.Context(), []state.Inbound{{Flow: "f", DeliveryID: id, ID: id, Body: body}}, nil, nil); err != nil {
						b.Error(err)
					}
					return true
				})
				b.StopTimer()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "deliveries/s")
			})
		})
	}
}

// BenchmarkTarget is the look before every write to a system.
func BenchmarkTarget(b *testing.B) {
	databases(b, func(b *testing.B, s *store.Store) {
		p, err := s.OpenPartition(b.Context(), "f", "t", 0, event.Log{Cluster: "c", TopicID: "t", First: 0, Last: 1 << 60})
		if err != nil {
			b.Fatal(err)
		}
		c := &state.Commit{Flow: "f", Topic: "t", Epoch: p.Epoch}
		for o := range int64(5000) {
			c.Results = append(c.Results, writtenAt(o))
		}
		if err := s.Commit(b.Context(), c); err != nil {
			b.Fatal(err)
		}
		hub := c.Results[1234].Ref.Hub
		b.ReportAllocs()
		b.ResetTimer()
		for range b.N {
			if tg, err := s.Target(b.Context(), "order", hub, "erp", "crm"); err != nil || tg.Ref == nil {
				b.Fatal(tg, err)
			}
		}
	})
}

// parallel runs f in n goroutines until it returns false.
func parallel(b *testing.B, n int, f func() bool) {
	done := make(chan struct{})
	for range n {
		go func() {
			defer func() { done <- struct{}{} }()
			for f() {
			}
		}()
	}
	for range n {
		<-done
	}
}

// BenchmarkStanding asks what is known of an object among 20,000, each with three fates and a reference in two systems, as the run of a reconciliation does of
// each difference.
func BenchmarkStanding(b *testing.B) {
	cfg, _ := storetest.SQLite(b)
	s, err := store.Open(b.Context(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	p, err := s.OpenPartition(b.Context(), "f", "t", 0, event.Log{Cluster: "c", TopicID: "t", Last: 1 << 40})
	if err != nil {
		b.Fatal(err)
	}
	const objects = 20_000
	key := func(n int) string { return fmt.Sprintf("SO-%06d", n%objects) }
	hub := func(n int) string { return state.MintHub("order", "crm", key(n)) }
	for from := 0; from < 3*objects; from += 1000 {
		c := state.Commit{Flow: "f", Topic: "t", Partition: 0, Epoch: p.Epoch}
		for n := from; n < from+1000; n++ {
			c.Results = append(c.Results, state.Result{Offset: int64(n), Outcome: state.Delivered, Ref: &state.Ref{Entity: "order", Hub: hub(n), System: "erp", Local: key(n)},
				Journal: &state.Journal{Time: time.Now(), Flow: "f", EventID: fmt.Sprint("e", n), Entity: "order", Key: key(n), Hub: hub(n), Outcome: state.Delivered}})
		}
		if err := s.Commit(b.Context(), &c); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	var next atomic.Int64
	b.SetParallelism(4)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			n := int(next.Add(7919))
			if got, err := s.Standing(b.Context(), "order", hub(n), key(n)); err != nil || len(got.Journal) != 3 || len(got.Refs) != 1 {
				b.Errorf("%+v %v", got, err)
				return
			}
		}
	})
}
