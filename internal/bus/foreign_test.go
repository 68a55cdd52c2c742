package bus

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/needtest"
)

// each runs a test on the embedded broker and, where one is given, on Apache Kafka. name is fresh: for topics and groups.
func each(t *testing.T, f func(t *testing.T, c *Cluster, name string)) {
	t.Run("embedded", func(t *testing.T) { f(t, dial(t, broker(t).Addr()), "orders") })
	t.Run("kafka", func(t *testing.T) {
		addr := needtest.Kafka(t)
		f(t, dial(t, addr), fmt.Sprint("orders-", time.Now().UnixNano()))
	})
}

// Records of aborted transactions and transaction markers are not handed over, and Positions is told of the offsets that
// have no record.
func TestForeignTransactions(t *testing.T) {
	each(t, func(t *testing.T, c *Cluster, name string) {
		topic(t, c, name, 1)
		ctx := within(t, 30*time.Second)
		producer, err := kgo.NewClient(kgo.SeedBrokers(c.cfg.Brokers...), kgo.TransactionalID(name), kgo.DefaultProduceTopic(name), kgo.RecordPartitioner(kgo.ManualPartitioner()))
		if err != nil {
			t.Fatal(err)
		}
		defer producer.Close()
		transaction := func(end kgo.TransactionEndTry, values ...string) {
			if err := producer.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			for _, v := range values {
				if err := producer.ProduceSync(ctx, &kgo.Record{Key: []byte("k"), Value: []byte(v)}).FirstErr(); err != nil {
					t.Fatal(err)
				}
			}
			if err := producer.EndTransaction(ctx, end); err != nil {
				t.Fatal(err)
			}
		}
		transaction(kgo.TryCommit, "a", "b")    // 0 1, marker 2
		transaction(kgo.TryAbort, "no", "no")   // 3 4, marker 5
		transaction(kgo.TryCommit, "c")         // 6, marker 7
		transaction(kgo.TryAbort, "no")         // 8, marker 9
		transaction(kgo.TryCommit, "d")         // 10, and a marker that Kafka writes after it has answered
		p := publisher(t, c, PublisherConfig{}) // one of our own, before or after that marker: 11 and 12
		e := send(t, p, event.Record{Topic: name, Key: []byte("k"), Value: []byte("e")})[0].Offset
		store := &memory{}
		s := subscriber(t, c, SubscriberConfig{Group: name, Positions: store, CommitEvery: 5 * time.Millisecond})
		ch := subscribe(t, s, name)
		var got []event.Record
		for len(got) < 5 {
			m := next(t, ch)
			got = append(got, batch(t, m).Records...)
			m.Ack()
		}
		if v := values(got); v != "a b c d e" {
			t.Errorf("handed over %s", v)
		}
		eventually(t, "everything committed", func() bool { return committed(t, c, name, name, 0) == 13 })
		store.mu.Lock()
		defer store.mu.Unlock()
		covered := map[int64]bool{}
		for _, g := range store.gaps {
			for o := g.From; o < g.To; o++ {
				covered[o] = true
			}
		}
		if fmt.Sprint(covered) != fmt.Sprint(map[int64]bool{2: true, 3: true, 4: true, 5: true, 7: true, 8: true, 9: true, 23 - e: true}) {
			t.Errorf("gaps %v", store.gaps)
		}
	})
}

// What the hub writes is read by other clients where they look for it, and the other way round.
func TestForeignClients(t *testing.T) {
	each(t, func(t *testing.T, c *Cluster, name string) {
		topic(t, c, name, 5)
		ctx := within(t, 30*time.Second)
		other, err := kgo.NewClient(kgo.SeedBrokers(c.cfg.Brokers...), kgo.ConsumeTopics(name), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
			kgo.ProducerBatchCompression(kgo.ZstdCompression()))
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		p := publisher(t, c, PublisherConfig{Compression: "lz4"})
		for i := range 20 {
			sent := send(t, p, event.Record{Topic: name, Key: key(i), Value: []byte("ours"), Headers: []event.Header{{Key: event.HeaderID, Value: []byte("1")}}})
			r, err := other.ProduceSync(ctx, &kgo.Record{Topic: name, Key: key(i), Value: []byte("theirs")}).First()
			if err != nil {
				t.Fatal(err)
			}
			if int(r.Partition) != sent[0].Partition {
				t.Errorf("%s: we write to partition %d, others to %d", key(i), sent[0].Partition, r.Partition)
			}
		}
		for n := 0; n < 40; {
			fetches := other.PollFetches(ctx)
			if err := fetches.Err(); err != nil {
				t.Fatal(err)
			}
			n += fetches.NumRecords()
		}
		ch := subscribe(t, subscriber(t, c, SubscriberConfig{Group: name}), name)
		for n := 0; n < 40; {
			m := next(t, ch)
			n += len(batch(t, m).Records)
			m.Ack()
		}
	})
}

func TestTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(nil)
	server.StartTLS() // for its certificate
	defer server.Close()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"), kfake.TLS(&tls.Config{Certificates: server.TLS.Certificates}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	c := dial(t, cluster.ListenAddrs()[0], func(cfg *Config) { cfg.TLS = &tls.Config{RootCAs: roots, ServerName: "example.com"} })
	send(t, publisher(t, c, PublisherConfig{}), record("orders", "k", "x"))
	next(t, subscribe(t, subscriber(t, c, SubscriberConfig{Group: "g"}), "orders")).Ack()
	for name, cfg := range map[string]*tls.Config{"no TLS": nil, "unknown authority": {}} {
		if _, err := Dial(t.Context(), Config{Brokers: []string{cluster.ListenAddrs()[0]}, TLS: cfg, Timeout: 2 * time.Second}); err == nil {
			t.Errorf("%s: connected", name)
		}
	}
}

func TestClosedCluster(t *testing.T) {
	c := dial(t, broker(t).Addr())
	topic(t, c, "orders", 1)
	p := c.Publisher(PublisherConfig{RetryFor: time.Millisecond})
	for range 2 {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if got := kinds(p.Send(t.Context(), []event.Record{record("orders", "k", "x")})); got != "unavailable" {
		t.Errorf("after Close: %s", got)
	}
	if _, err := c.ID(t.Context()); err == nil {
		t.Error("ID after Close")
	}
}

func TestSASL(t *testing.T) {
	users := []*SASL{{"PLAIN", "plain", "secret,=1"}, {"SCRAM-SHA-256", "us=er,256", "secret 256"}, {"SCRAM-SHA-512", "user512", "secret 512"}}
	opts := []kfake.Opt{kfake.NumBrokers(1), kfake.EnableSASL(), kfake.SeedTopics(1, "orders")}
	for _, u := range users {
		opts = append(opts, kfake.Superuser(u.Mechanism, u.Username, u.Password))
	}
	cluster, err := kfake.NewCluster(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	for _, u := range users {
		t.Run(u.Mechanism, func(t *testing.T) {
			c := dial(t, cluster.ListenAddrs()[0], func(cfg *Config) { cfg.SASL = u })
			send(t, publisher(t, c, PublisherConfig{}), record("orders", "k", "x"))
			next(t, subscribe(t, subscriber(t, c, SubscriberConfig{Group: u.Username}), "orders")).Ack()
			wrong := *u
			wrong.Password = "wrong"
			_, err := Dial(context.Background(), Config{Brokers: []string{cluster.ListenAddrs()[0]}, SASL: &wrong, Timeout: 3 * time.Second})
			if err == nil {
				t.Error("a wrong password was accepted")
			}
		})
	}
	if s := fmt.Sprint(users[0]); s != "PLAIN as plain" {
		t.Errorf("shown as %s", s)
	}
}
