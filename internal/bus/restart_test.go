package bus

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/bus/embedded/brokertest"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
)

// A broker that is killed while records pass loses none of them, and keeps the order of every key: what was sent again
// because its outcome was unknown may come twice. (The official suite's TestReconnect is run on Apache Kafka; it races with
// itself when it collects what it has published.)
func TestKilledWhileRecordsPass(t *testing.T) {
	dir := t.TempDir()
	b := brokertest.MustChild(t, dir, "127.0.0.1:0")
	c := dial(t, b.Addr, func(cfg *Config) { cfg.Timeout = 3 * time.Second })
	topic(t, c, "orders", 4)
	p := publisher(t, c, PublisherConfig{RequestTimeout: 2 * time.Second, RetryFor: time.Second})
	const keys, each = 20, 150
	steps := make(chan struct{}, keys*each)
	var writers sync.WaitGroup
	for k := range keys {
		writers.Go(func() {
			for i := range each {
				for {
					s := p.Send(t.Context(), []event.Record{record("orders", fmt.Sprint("key", k), fmt.Sprint(i))})[0]
					if s.Err == nil {
						break
					}
					if kind := fault.KindOf(s.Err); kind != fault.Unavailable && kind != fault.UnknownOutcome {
						t.Errorf("%s: %v", kind, s.Err)
						return
					}
					if !pause(t.Context(), 20*time.Millisecond) {
						return
					}
				}
				steps <- struct{}{}
			}
		})
	}
	writers.Go(func() {
		for range 2 {
			for range keys * each / 3 {
				<-steps
			}
			b.Kill()
			b = brokertest.MustChild(t, dir, b.Addr)
		}
	})
	defer writers.Wait()

	ch := subscribe(t, subscriber(t, c, SubscriberConfig{Group: "g", Session: 6 * time.Second}), "orders")
	due := map[string]int{}
	for finished := 0; finished < keys; {
		m := next(t, ch)
		for _, r := range batch(t, m).Records {
			var i int
			_, _ = fmt.Sscan(string(r.Value), &i)
			k := string(r.Key)
			if i > due[k] {
				t.Fatalf("%s: record %d where %d was due", k, i, due[k])
			}
			if i == due[k] {
				due[k]++
				if due[k] == each {
					finished++
				}
			}
		}
		m.Ack()
	}
}
