package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/waybill-hub/waybill/internal/bus"
	"github.com/waybill-hub/waybill/internal/event"
)

// RawEcho copies n records from one topic to another with nothing but kafka-go: 4 readers, each reading up to 2,000
// records, writing them with all acknowledgements and committing. The order of a key is kept. It is the yardstick: what
// stands on kafka-go cannot be much faster.
func RawEcho(ctx context.Context, addr, group, from, to string, n int) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	transport := &kafka.Transport{} // its own: the shared one may not know the topic yet
	defer transport.CloseIdleConnections()
	w := &kafka.Writer{Transport: transport, Addr: kafka.TCP(addr), Topic: to, Balancer: kafka.Murmur2Balancer{Consistent: true}, RequiredAcks: kafka.RequireAll,
		BatchSize: 2000, BatchBytes: 900_000, BatchTimeout: 2 * time.Millisecond}
	defer w.Close()
	var done atomic.Int64
	errs := make(chan error, 4)
	for range 4 {
		go func() { errs <- rawReader(ctx, cancel, addr, group, from, w, &done, int64(n)) }()
	}
	var all error
	for range 4 {
		if err := <-errs; err != nil && !errors.Is(err, context.Canceled) {
			all = errors.Join(all, err)
		}
	}
	return all
}

func rawReader(ctx context.Context, stop func(), addr, group, from string, w *kafka.Writer, done *atomic.Int64, n int64) error {
	r := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{addr}, GroupID: group, Topic: from, StartOffset: kafka.FirstOffset,
		MinBytes: 1, MaxBytes: 4 << 20, MaxWait: 50 * time.Millisecond, QueueCapacity: 4000, JoinGroupBackoff: 100 * time.Millisecond})
	defer r.Close()
	var batch, out []kafka.Message
	for {
		m, err := r.FetchMessage(ctx)
		if err != nil {
			return err
		}
		batch = append(batch[:0], m)
		out = append(out[:0], kafka.Message{Key: m.Key, Value: m.Value})
		short, cancel := context.WithTimeout(ctx, 2*time.Millisecond)
		for len(batch) < 2000 {
			m, err := r.FetchMessage(short)
			if err != nil {
				break
			}
			batch = append(batch, m)
			out = append(out, kafka.Message{Key: m.Key, Value: m.Value})
		}
		cancel()
		if err := w.WriteMessages(ctx, out...); err != nil {
			return err
		}
		if err := r.CommitMessages(ctx, batch...); err != nil {
			return err
		}
		if done.Add(int64(len(batch))) >= n {
			stop()
			return nil
		}
	}
}

// BusEcho copies n records from one topic to another through the hub's bus, with lane batches.
func BusEcho(ctx context.Context, c *bus.Cluster, group, from, to string, n int) error {
	p := c.Publisher(bus.PublisherConfig{})
	defer p.Close()
	s, err := c.Subscriber(bus.SubscriberConfig{Group: group})
	if err != nil {
		return err
	}
	defer s.Close()
	messages, err := s.Subscribe(ctx, from)
	if err != nil {
		return err
	}
	var done atomic.Int64
	finished := make(chan error, 1)
	var wg sync.WaitGroup
	for {
		select {
		case m := <-messages:
			wg.Go(func() { // as watermill's router does
				b := event.BatchFrom(m.Context())
				out := make([]event.Record, len(b.Records))
				for i := range b.Records {
					out[i] = event.Record{Topic: to, Key: b.Records[i].Key, Value: b.Records[i].Value, Headers: b.Records[i].Headers}
				}
				for _, sent := range p.Send(m.Context(), out) {
					if sent.Err != nil {
						finish(finished, fmt.Errorf("echo: %w", sent.Err))
					}
				}
				m.Ack()
				if done.Add(int64(len(out))) >= int64(n) {
					finish(finished, nil)
				}
			})
		case err := <-finished:
			wg.Wait()
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func finish(c chan<- error, err error) {
	select {
	case c <- err:
	default:
	}
}
