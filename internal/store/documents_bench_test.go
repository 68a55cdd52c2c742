package store_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
	"github.com/waybill-hub/waybill/internal/store/storetest"
)

// BenchmarkDelivery stores the fates of deliveries to a system, each in a commit of its own as the engine does, from 64 lanes at once: cross-reference,
// version, journal; with the documents of each fate (an order of 1.1 KB, mapped to 0.9 KB, and an answer) and without.
func BenchmarkDelivery(b *testing.B) {
	line := `{"sku":"A-%04d","quantity":%d,"price":"12.50","text":"Hex bolt M8 x %d, zinc plated"}`
	lines := func(n int) string {
		var out []string
		for i := range 10 {
			out = append(out, fmt.Sprintf(line, n+i, i+1, 10+i))
		}
		return "[" + strings.Join(out, ",") + "]"
	}
	for _, on := range []bool{false, true} {
		b.Run(fmt.Sprintf("documents=%v", on), func(b *testing.B) {
			cfg, _ := storetest.SQLite(b)
			s, err := store.Open(b.Context(), cfg)
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			if on {
				s.KeepDocuments(store.Keep{Age: time.Hour, Size: 256 << 20})
			}
			p, err := s.OpenPartition(b.Context(), "f", "t", 0, event.Log{Cluster: "c", TopicID: "t", Last: 1 << 40})
			if err != nil {
				b.Fatal(err)
			}
			text, mapped := lines(7), strings.ReplaceAll(lines(7), "quantity", "Qty")
			var next atomic.Int64
			b.ResetTimer()
			var wg sync.WaitGroup
			for range 64 {
				wg.Go(func() {
					for {
						n := next.Add(1) - 1
						if n >= int64(b.N) {
							return
						}
						id := fmt.Sprint("h", n%5000)
						j := &state.Journal{Time: time.Now(), Flow: "f", EventID: fmt.Sprint("e", n), Entity: "order", Key: fmt.Sprint("SO-", n%5000), Hub: id, Outcome: state.Delivered,
							System: "erp", Local: fmt.Sprint(n), Version: fmt.Sprint(n), Attempts: 1, Action: state.DidUpdate}
						if on {
							j.Documents = &state.Documents{Source: fmt.Appendf(nil, `{"no":"SO-%d","status":"confirmed","lines":%s}`, n, text),
								Mapped: fmt.Appendf(nil, `{"OrderNo":"SO-%d","Lines":%s}`, n, mapped), Status: "200", Answer: fmt.Appendf(nil, `{"id":%d,"state":"ok"}`, n)}
						}
						err := s.Commit(b.Context(), &state.Commit{Flow: "f", Topic: "t", Epoch: p.Epoch, Results: []state.Result{{Offset: n, Outcome: state.Delivered, Journal: j,
							Ref:     &state.Ref{Entity: "order", Hub: id, System: "erp", Local: fmt.Sprint(n % 5000), Known: &state.Known{Flow: "g", Fields: map[string]uint64{"no": 1, "lines": 2, "status": 3}}},
							Applied: &state.Applied{Entity: "order", Hub: id, System: "erp", Origin: "crm", Version: fmt.Sprint(n), Hash: "x"}}}})
						if err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
		})
	}
}
