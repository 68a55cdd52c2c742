package bus

import (
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/needtest"
)

// eachBroker runs a test on the embedded broker and, where one is named, on Apache Kafka.
func eachBroker(t *testing.T, test func(t *testing.T, c *Cluster, name func(string) string)) {
	t.Run("embedded", func(t *testing.T) {
		test(t, dial(t, broker(t).Addr()), func(s string) string { return s })
	})
	t.Run("kafka", func(t *testing.T) {
		c := dial(t, needtest.Kafka(t))
		suffix := strconv.FormatInt(time.Now().UnixNano(), 36)
		test(t, c, func(s string) string {
			t.Cleanup(func() {
				_, _ = c.client.DeleteTopics(within(t, 10*time.Second), &kafka.DeleteTopicsRequest{Topics: []string{s + suffix}})
			})
			return s + suffix
		})
	})
}

// sized is a topic that takes batches of n bytes; 0: what the broker takes.
func sized(name string, n int) Topic {
	t := Topic{Name: name, Partitions: 1, Replication: 1, Config: map[string]string{"retention.ms": "604800000"}}
	if n > 0 {
		t.Config[maxMessageBytes] = strconv.Itoa(n)
	}
	return t
}

// TestRecordsAtTheLimit: the largest record that MaxRecord allows is written and read, one more byte is refused before it is sent, and small
// records go in batches below what the topic takes.
func TestRecordsAtTheLimit(t *testing.T) {
	eachBroker(t, func(t *testing.T, c *Cluster, name func(string) string) {
		for _, takes := range []int{20_000, 300_000, 5_308_416} {
			topic := name(fmt.Sprintf("limit-%d-", takes))
			if err := c.EnsureTopics(t.Context(), []Topic{sized(topic, takes)}); err != nil {
				t.Fatal(err)
			}
			c.setLimit(topic, 0) // as if another process had made it
			if err := c.LearnLimits(t.Context(), topic); err != nil {
				t.Fatal(err)
			}
			most := c.MaxRecord(topic)
			if most >= takes || most < takes*97/100 {
				t.Errorf("of %d bytes records may have %d", takes, most)
			}
			fill := func(size int) event.Record {
				r := record(topic, "k", "")
				return record(topic, "k", strings.Repeat("x", size-recordBytes(&r)))
			}
			p := publisher(t, c, PublisherConfig{})
			var many []event.Record
			for range 40 {
				many = append(many, record(topic, "k", strings.Repeat("s", takes/15)))
			}
			send(t, p, append(many, fill(most))...)
			sent := p.Send(within(t, 20*time.Second), []event.Record{fill(most + 1)})
			if fault.KindOf(sent[0].Err) != fault.Invalid || !strings.Contains(sent[0].Err.Error(), "set its max.message.bytes") {
				t.Errorf("one byte more: %v", sent[0].Err)
			}
			log := logOf(t, c, topic, 0)
			last := log[len(log)-1]
			if len(log) != 41 || recordBytes(&last) != most {
				t.Errorf("the log holds %d records, the last of %d bytes", len(log), recordBytes(&last))
			}
		}
	})
}

// TestFitTopics: topics of the hub are raised, topics of others are named with what to do, and what a topic takes is known afterwards.
func TestFitTopics(t *testing.T) {
	eachBroker(t, func(t *testing.T, c *Cluster, name func(string) string) {
		const want = 3_000_000
		own, made, foreign, enough := name("in.own-"), name("made-"), name("foreign-"), name("enough-")
		for _, topic := range []Topic{{Name: own, Partitions: 1, Replication: 1}, sized(made, 100_000), {Name: foreign, Partitions: 1, Replication: 1}, sized(enough, want+1)} {
			if err := c.EnsureTopics(t.Context(), []Topic{topic}); err != nil {
				t.Fatal(err)
			}
		}
		fit := func() []Misfit {
			t.Helper()
			small, err := c.FitTopics(t.Context(), []Topic{sized(own, want), sized(made, want), sized(foreign, want), sized(enough, want)},
				func(topic string) bool { return strings.HasPrefix(topic, "in.") })
			if err != nil {
				t.Fatal(err)
			}
			return small
		}
		small := fit()
		if len(small) != 1 || small[0].Topic != foreign || small[0].Takes < 1_000_000 || small[0].Takes > want ||
			!strings.Contains(small[0].String(), "--alter --topic "+foreign+" --add-config max.message.bytes=3000000") {
			t.Fatalf("too small: %v", small)
		}
		for _, topic := range []string{own, made} { // a raised one is known at once
			if got := c.MaxRecord(topic); got < 2_900_000 {
				t.Errorf("%s takes records of %d bytes as soon as it is raised", topic, got)
			}
		}
		// A broker tells of a setting a moment after it has taken it.
		eventually(t, "the broker tells of what was raised", func() bool {
			for _, topic := range []string{own, made, foreign, enough} {
				c.setLimit(topic, 0)
			}
			if err := c.LearnLimits(t.Context(), own, made, foreign, enough); err != nil {
				t.Fatal(err)
			}
			return c.MaxRecord(own) > 2_900_000 && c.MaxRecord(made) > 2_900_000
		})
		for topic, min := range map[string]int{own: 2_900_000, made: 2_900_000, enough: 2_900_000, foreign: 1_000_000} {
			if got := c.MaxRecord(topic); got < min || topic == foreign && got > 1_048_588 {
				t.Errorf("%s takes records of %d bytes", topic, got)
			}
		}
		if err := c.raise(t.Context(), foreign, want); err != nil { // as a person would
			t.Fatal(err)
		}
		for deadline := time.Now().Add(time.Minute); len(small) > 0; small = fit() {
			if time.Now().After(deadline) {
				t.Fatalf("still too small: %v", small)
			}
		}
	})
}

// TestLimitThatMayNotBeAsked: a broker that does not tell, or does not let the hub change it, leaves the usual size, and a remark.
func TestLimitThatMayNotBeAsked(t *testing.T) {
	e := fakeBroker(t)
	c := dial(t, e.Addr())
	if err := c.EnsureTopics(t.Context(), []Topic{{Name: "in.a", Partitions: 1}}); err != nil {
		t.Fatal(err)
	}
	mine := func(string) bool { return true }
	deny := int16(kerr.TopicAuthorizationFailed.Code)
	e.cluster.ControlKey(int16(kmsg.IncrementalAlterConfigs), func(req kmsg.Request) (kmsg.Response, error, bool) {
		res := req.ResponseKind().(*kmsg.IncrementalAlterConfigsResponse)
		r := kmsg.NewIncrementalAlterConfigsResponseResource()
		r.ResourceType, r.ResourceName, r.ErrorCode = kmsg.ConfigResourceTypeTopic, "in.a", deny
		res.Resources = append(res.Resources, r)
		return res, nil, true
	})
	small, err := c.FitTopics(t.Context(), []Topic{sized("in.a", 3_000_000)}, mine)
	if err != nil || len(small) != 1 || !strings.Contains(small[0].String(), "does not let the hub change it") || small[0].Takes != 1_048_588 {
		t.Errorf("%v, %v", small, err)
	}
	c.setLimit("in.a", 0)
	e.cluster.ControlKey(int16(kmsg.DescribeConfigs), func(req kmsg.Request) (kmsg.Response, error, bool) {
		res := req.ResponseKind().(*kmsg.DescribeConfigsResponse)
		r := kmsg.NewDescribeConfigsResponseResource()
		r.ResourceType, r.ResourceName, r.ErrorCode = kmsg.ConfigResourceTypeTopic, "in.a", deny
		res.Resources = append(res.Resources, r)
		return res, nil, true
	})
	small, err = c.FitTopics(t.Context(), []Topic{sized("in.a", 3_000_000)}, mine)
	if err != nil || len(small) != 1 || !strings.Contains(small[0].String(), "does not tell") {
		t.Errorf("%v, %v", small, err)
	}
	if got := c.MaxRecord("in.a"); got != MaxRecord {
		t.Errorf("records of %d bytes are written to a topic nobody knows", got)
	}
}

// TestLoweredWhileRunning: a limit that somebody lowers is learnt from the first refusal.
func TestLoweredWhileRunning(t *testing.T) {
	e := broker(t)
	c := dial(t, e.Addr())
	if err := c.EnsureTopics(t.Context(), []Topic{sized("orders", 100_000)}); err != nil {
		t.Fatal(err)
	}
	other := dial(t, e.Addr())
	if err := other.raise(t.Context(), "orders", 5000); err != nil {
		t.Fatal(err)
	}
	p := publisher(t, c, PublisherConfig{})
	sent := p.Send(within(t, 10*time.Second), []event.Record{record("orders", "k", strings.Repeat("x", 50_000))})
	if fault.KindOf(sent[0].Err) != fault.Invalid {
		t.Errorf("%v", sent[0].Err)
	}
	if got := c.MaxRecord("orders"); got >= 5000 {
		t.Errorf("records of %d bytes are still written", got)
	}
}

// TestBatchesBelowTheLimit: small records are put together to what the topic takes, and not refused first and halved then.
func TestBatchesBelowTheLimit(t *testing.T) {
	e := fakeBroker(t)
	c := dial(t, e.Addr())
	if err := c.EnsureTopics(t.Context(), []Topic{sized("orders", 20_000)}); err != nil {
		t.Fatal(err)
	}
	var largest atomic.Int64
	e.cluster.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		e.cluster.KeepControl()
		for _, rt := range req.(*kmsg.ProduceRequest).Topics {
			for _, rp := range rt.Partitions {
				largest.Store(max(largest.Load(), int64(len(rp.Records))))
			}
		}
		return nil, nil, false
	})
	p := publisher(t, c, PublisherConfig{Linger: 20 * time.Millisecond})
	var many []event.Record
	for i := range 100 {
		many = append(many, record("orders", fmt.Sprint(i), strings.Repeat("s", 1000)))
	}
	send(t, p, many...)
	if n := largest.Load(); n > 20_000 || n < 15_000 {
		t.Errorf("the largest batch has %d bytes", n)
	}
}
