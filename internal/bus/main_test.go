package bus

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
	"go.uber.org/goleak"

	"github.com/waybill-hub/waybill/internal/bus/embedded"
	"github.com/waybill-hub/waybill/internal/bus/embedded/brokertest"
)

func TestMain(m *testing.M) {
	if brokertest.RunChild() {
		return
	}
	// The official reconnect test leaves the collector of its published messages behind; the one with several subscribers hands on what they read until its
	// reader has enough, and what comes after that is never taken.
	const official, several = "github.com/ThreeDotsLabs/watermill/pubsub/tests.", "github.com/ThreeDotsLabs/watermill/internal/subscriber.(*multiplier).Subscribe."
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction(official+"TestReconnect.func2"), goleak.IgnoreAnyFunction(several+"func2"), goleak.IgnoreAnyFunction(several+"func3"))
}

// broker starts an embedded broker that ends with the test.
func broker(t testing.TB) *embedded.Broker { return brokertest.Start(t) }

// fake is a broker whose answers a test can change.
type fake struct{ cluster *kfake.Cluster }

func fakeBroker(t testing.TB) fake {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return fake{c}
}

// Addr is the address to dial.
func (f fake) Addr() string { return f.cluster.ListenAddrs()[0] }

// dial connects to addresses; the connection ends with the test.
func dial(t testing.TB, addr string, change ...func(*Config)) *Cluster {
	t.Helper()
	cfg := Config{Brokers: []string{addr}, Log: brokertest.Quiet(t)}
	for _, f := range change {
		f(&cfg)
	}
	c, err := Dial(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func topic(t testing.TB, c *Cluster, name string, partitions int) string {
	t.Helper()
	if err := c.EnsureTopics(t.Context(), []Topic{{Name: name, Partitions: partitions}}); err != nil {
		t.Fatal(err)
	}
	return name
}

// stuck is longer than anything here takes on any machine, and shorter than what it would wait for if it did not know better.
const stuck = time.Minute

// notStuck holds since start against it.
func notStuck(t testing.TB, start time.Time) {
	t.Helper()
	if took := time.Since(start); took > stuck {
		t.Errorf("took %s", took)
	}
}

// within gives a context for what must not take long.
func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func key(i int) []byte { return fmt.Appendf(nil, "key-%04d", i) }

func describe(t testing.TB, c *Cluster, topic string) TopicInfo {
	t.Helper()
	info, err := c.Describe(within(t, 10*time.Second), topic)
	if err != nil {
		t.Fatal(err)
	}
	return info[topic]
}

// commitAt commits offsets as a group without members may.
func commitAt(t testing.TB, c *Cluster, group, topic string, partition int, offset int64) {
	t.Helper()
	res, err := c.client.OffsetCommit(within(t, 10*time.Second), &kafka.OffsetCommitRequest{GroupID: group, GenerationID: -1,
		Topics: map[string][]kafka.OffsetCommit{topic: {{Partition: partition, Offset: offset}}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Topics[topic][0].Error; err != nil {
		t.Fatal(err)
	}
}

func committed(t testing.TB, c *Cluster, group, topic string, partition int) int64 {
	t.Helper()
	res, err := c.client.OffsetFetch(within(t, 10*time.Second), &kafka.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{topic: {partition}}})
	if err != nil {
		t.Fatal(err)
	}
	return res.Topics[topic][0].CommittedOffset
}
