package bus

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/waybill-hub/waybill/internal/event"
)

// watermill's router runs a goroutine per message; the order of every key holds all the same, through failures and a
// rebalance, and every record arrives.
func TestOrderThroughTheRouter(t *testing.T) {
	c := dial(t, broker(t).Addr())
	topic(t, c, "in", 4)
	topic(t, c, "out", 4)
	p := publisher(t, c, PublisherConfig{})
	const keys, each = 50, 60
	go func() {
		for i := range each {
			var records []event.Record
			for k := range keys {
				records = append(records, record("in", fmt.Sprint("key", k), fmt.Sprint(i)))
			}
			for _, s := range p.Send(t.Context(), records) {
				if s.Err != nil {
					t.Error(s.Err)
				}
			}
		}
	}()
	handler := func(m *message.Message) error {
		b := event.BatchFrom(m.Context())
		if rand.IntN(20) == 0 {
			return fmt.Errorf("refused")
		}
		out := make([]event.Record, len(b.Records))
		for i := range b.Records {
			out[i] = event.Record{Topic: "out", Key: b.Records[i].Key, Value: b.Records[i].Value}
		}
		for _, s := range p.Send(m.Context(), out) {
			if s.Err != nil {
				return s.Err
			}
		}
		return nil
	}
	run := func(ctx context.Context) {
		router, err := message.NewRouter(message.RouterConfig{CloseTimeout: 5 * time.Second}, watermill.NopLogger{})
		if err != nil {
			t.Error(err)
			return
		}
		s := subscriber(t, c, SubscriberConfig{Group: "g", MaxBatch: 7, NackBackoff: time.Millisecond})
		router.AddConsumerHandler("echo", "in", s, handler)
		if err := router.Run(ctx); err != nil {
			t.Error(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	first, stopFirst := context.WithCancel(ctx)
	defer stopFirst()
	var routers sync.WaitGroup
	routers.Go(func() { run(first) })
	routers.Go(func() { run(ctx) })
	defer routers.Wait()
	defer cancel()

	got := map[string][]int{}
	finished := map[string]bool{}
	ch := subscribe(t, subscriber(t, c, SubscriberConfig{Group: "check"}), "out")
	for len(finished) < keys {
		m := next(t, ch)
		for _, r := range batch(t, m).Records {
			var i int
			_, _ = fmt.Sscan(string(r.Value), &i)
			k := string(r.Key)
			got[k] = append(got[k], i)
			if i == each-1 {
				finished[k] = true
			}
			if i == each/3 {
				stopFirst()
			}
		}
		m.Ack()
	}
	for k, list := range got {
		due := 0
		for at, i := range list {
			switch {
			case i == due:
				due++
			case i > due:
				t.Fatalf("%s: record %d at place %d where %d was due: %v", k, i, at, due, list)
			default: // again, from a batch that was not acknowledged
				due = i + 1
			}
		}
	}
}
