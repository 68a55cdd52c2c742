package bus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/waybill-hub/waybill/internal/bus/embedded/brokertest"
	"github.com/waybill-hub/waybill/internal/bus/recordbatch"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
)

// logOf reads everything that a partition holds.
func logOf(t testing.TB, c *Cluster, topic string, partition int) []event.Record {
	t.Helper()
	held := describe(t, c, topic).Partitions[partition]
	f := fetcher{c: c, topic: topic, partition: partition}
	var out []event.Record
	for next := held.First; next < held.Last; {
		a, err := f.fetch(within(t, 10*time.Second), next, 1<<20, time.Second)
		if err != nil || a.err != 0 {
			t.Fatal(a.err, err)
		}
		for b := bytes.Clone(a.records); ; {
			info, rest, ok, err := recordbatch.Read(b)
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			if err := info.Inflate(maxInflate); err != nil {
				t.Fatal(err)
			}
			rr := recordsOf(&info)
			var r event.Record
			for {
				more, err := rr.next(&r)
				if err != nil {
					t.Fatal(err)
				}
				if !more {
					break
				}
				if r.Offset >= next {
					out = append(out, r)
				}
			}
			b, next = rest, info.Next
		}
	}
	return out
}

func values(records []event.Record) string {
	var s []string
	for _, r := range records {
		s = append(s, string(r.Value))
	}
	return strings.Join(s, " ")
}

// kinds shows the outcomes in short.
func kinds(sent []event.Sent) string {
	var s []string
	for _, x := range sent {
		s = append(s, fault.KindOf(x.Err).String())
	}
	return strings.Join(s, " ")
}

func record(topic string, k, v string) event.Record {
	return event.Record{Topic: topic, Key: []byte(k), Value: []byte(v)}
}

// answer makes a produce response with an error code for every partition asked for.
func answer(req kmsg.Request, code int16) kmsg.Response {
	r := req.(*kmsg.ProduceRequest)
	res := r.ResponseKind().(*kmsg.ProduceResponse)
	for _, t := range r.Topics {
		rt := kmsg.NewProduceResponseTopic()
		rt.Topic = t.Topic
		for _, p := range t.Partitions {
			rp := kmsg.NewProduceResponseTopicPartition()
			rp.Partition, rp.ErrorCode = p.Partition, code
			rt.Partitions = append(rt.Partitions, rp)
		}
		res.Topics = append(res.Topics, rt)
	}
	return res
}

// Other programs must find the records of a key on the partition where Kafka's own clients put them. The hashes are
// those of Kafka's UtilsTest.testMurmur2.
func TestPartitionsAgreeWithKafka(t *testing.T) {
	p := &Publisher{balancer: kafka.Murmur2Balancer{Consistent: true}}
	for _, test := range []struct {
		key  string
		hash int32
	}{
		{"21", -973932308}, {"foobar", -790332482}, {"a-little-bit-long-string", -985981536}, {"a-little-bit-longer-string", -1486304829},
		{"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971}, {"abc", 479470107},
	} {
		for _, n := range []int{1, 3, 12, 100} {
			partitions := make([]int, n)
			for i := range partitions {
				partitions[i] = i
			}
			want := int(test.hash&0x7fffffff) % n
			if got := p.balancer.Balance(kafka.Message{Key: []byte(test.key)}, partitions...); got != want {
				t.Errorf("%s of %d: partition %d, want %d", test.key, n, got, want)
			}
		}
	}
	if a, b := p.balancer.Balance(kafka.Message{}, 0, 1, 2), p.balancer.Balance(kafka.Message{}, 0, 1, 2); a != b {
		t.Errorf("records without a key went to %d and %d", a, b)
	}
}

// Every write asks for all acknowledgements, and no batch is larger than what brokers take by default.
func TestRequestsOfThePublisher(t *testing.T) {
	e := fakeBroker(t)
	c := dial(t, e.Addr())
	topic(t, c, "orders", 2)
	var mu sync.Mutex
	largest, requests, records := 0, 0, 0
	e.cluster.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		e.cluster.KeepControl()
		mu.Lock()
		defer mu.Unlock()
		r := req.(*kmsg.ProduceRequest)
		if r.Acks != -1 {
			t.Errorf("acks %d, want all", r.Acks)
		}
		requests++
		for _, rt := range r.Topics {
			for _, rp := range rt.Partitions {
				largest = max(largest, len(rp.Records))
				info, _, ok, err := recordbatch.Read(rp.Records)
				if !ok || err != nil {
					t.Error(ok, err)
				}
				records += info.Count
			}
		}
		return nil, nil, false
	})
	p := publisher(t, c, PublisherConfig{BatchBytes: 5 << 20})
	const lone = 120 // kafka-go would wait for a second behind each of them
	start := time.Now()
	for range lone {
		send(t, p, record("orders", "k", "quick"))
	}
	notStuck(t, start)
	var many []event.Record
	for i := range 400 {
		many = append(many, record("orders", fmt.Sprint(i), strings.Repeat("x", 20_000)))
	}
	many = append(many, record("orders", "k", strings.Repeat("x", MaxRecord-100)))
	send(t, p, many...)
	if sent := p.Send(t.Context(), []event.Record{record("orders", "k", strings.Repeat("x", 1_010_000))}); fault.KindOf(sent[0].Err) != fault.Invalid {
		t.Errorf("a record of more than %d bytes: %v", MaxRecord, sent[0].Err) // although this broker would take it
	}
	if largest >= 1_000_000 || largest < 900_000 {
		t.Errorf("largest batch has %d bytes", largest)
	}
	if records != lone+401 || requests > lone+19 {
		t.Errorf("%d requests for %d records", requests, records)
	}
}

func TestOutcomePerRecord(t *testing.T) {
	e := broker(t)
	c := dial(t, e.Addr())
	if err := c.EnsureTopics(t.Context(), []Topic{{Name: "small", Partitions: 1, Config: map[string]string{"max.message.bytes": "3000"}}}); err != nil {
		t.Fatal(err)
	}
	p := publisher(t, c, PublisherConfig{Linger: 50 * time.Millisecond})
	var wg sync.WaitGroup
	results := make([][]event.Sent, 3)
	for i, records := range [][]event.Record{
		{record("small", "a", "a1"), record("small", "a", "a2"), record("small", "a", "a3")},
		{record("small", "b", "b1"), record("small", "b", strings.Repeat("B", 5000)), record("small", "b", "b3")},
		{record("small", "c", strings.Repeat("c", 2000)), record("small", "c", strings.Repeat("c", 2000)), record("missing", "c", "x")},
	} {
		wg.Go(func() { results[i] = p.Send(within(t, 10*time.Second), records) })
	}
	wg.Wait()
	for i, want := range []string{"none none none", "none invalid unavailable", "none none unavailable"} {
		if got := kinds(results[i]); got != want {
			t.Errorf("call %d: %s, want %s: %+v", i, got, want, results[i])
		}
	}
	if !errors.Is(results[2][2].Err, ErrNoTopic) {
		t.Errorf("a topic that does not exist: %v", results[2][2].Err)
	}
	var own []string
	for _, r := range logOf(t, c, "small", 0) {
		own = append(own, string(r.Value[:1]))
	}
	if got := strings.Join(own, ""); len(got) != 6 || strings.Count(got, "a") != 3 || strings.Count(got, "b") != 1 || strings.Count(got, "c") != 2 {
		t.Errorf("the log holds %s", got)
	}
	for _, sent := range results {
		for _, s := range sent {
			if (s.Err == nil) != (s.Offset >= 0) {
				t.Errorf("%+v", s)
			}
		}
	}
	if got := kinds(p.Send(t.Context(), []event.Record{record("small", "k", strings.Repeat("x", MaxRecord)), record("small", "k", "after")})); got != "invalid unavailable" {
		t.Errorf("larger than any batch: %s", got)
	}
}

// What was certainly not written is tried again in place, so that the order of the partition holds.
func TestPassingFailuresAreRetriedInOrder(t *testing.T) {
	e := fakeBroker(t)
	c := dial(t, e.Addr())
	topic(t, c, "orders", 1)
	var calls atomic.Int32
	for _, code := range []int16{6, 5, 19} { // not the leader, no leader, not enough replicas
		e.cluster.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
			calls.Add(1)
			return answer(req, code), nil, true
		})
	}
	p := publisher(t, c, PublisherConfig{BatchBytes: 200})
	var records []event.Record
	var want []string
	for i := range 50 {
		want = append(want, fmt.Sprint(i))
		records = append(records, record("orders", "k", want[i]))
	}
	send(t, p, records...)
	if got := values(logOf(t, c, "orders", 0)); got != strings.Join(want, " ") {
		t.Errorf("the log holds %s", got)
	}
	if calls.Load() != 3 {
		t.Errorf("%d refusals, want 3", calls.Load())
	}
}

// A write whose outcome is unknown is never made again by the publisher, and what follows it in the same call is not sent.
func TestUnknownOutcomes(t *testing.T) {
	for _, test := range []struct {
		name    string
		control func(req kmsg.Request) (kmsg.Response, error, bool)
	}{
		{"connection closed", func(kmsg.Request) (kmsg.Response, error, bool) { return nil, errors.New("closed"), true }},
		{"request timed out", func(req kmsg.Request) (kmsg.Response, error, bool) { return answer(req, 7), nil, true }},
		{"too few replicas after append", func(req kmsg.Request) (kmsg.Response, error, bool) { return answer(req, 20), nil, true }},
		{"unknown server error", func(req kmsg.Request) (kmsg.Response, error, bool) { return answer(req, -1), nil, true }},
		{"no answer", func(kmsg.Request) (kmsg.Response, error, bool) { return nil, nil, true }},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := fakeBroker(t)
			c := dial(t, e.Addr())
			topic(t, c, "orders", 1)
			var calls atomic.Int32
			e.cluster.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
				e.cluster.KeepControl()
				if calls.Add(1) == 1 {
					return test.control(req)
				}
				return nil, nil, false
			})
			p := publisher(t, c, PublisherConfig{BatchBytes: 150, RequestTimeout: 300 * time.Millisecond})
			sent := p.Send(within(t, 10*time.Second), []event.Record{record("orders", "k", "first"), record("orders", "k", strings.Repeat("x", 200)), record("orders", "k", "third")})
			if got := kinds(sent); got != "unknown-outcome unavailable unavailable" {
				t.Errorf("outcomes %s: %+v", got, sent)
			}
			if n := calls.Load(); n != 1 {
				t.Errorf("%d writes, want 1", n)
			}
			send(t, p, record("orders", "k", "again"))
			if got := values(logOf(t, c, "orders", 0)); got != "again" {
				t.Errorf("the log holds %q", got)
			}
		})
	}
}

// Nothing hangs on a broker that neither answers nor refuses, memory stays bounded, and outcomes are told for what they
// are.
func TestFrozenAndDeadBroker(t *testing.T) {
	// kafka-go gives a connection back a moment after it has answered: a broker that is frozen in it is asked over a new one, which it never
	// greets, so that nothing was sent, and that is told.
	for range 5 {
		if frozenAndDead(t) || t.Failed() {
			return
		}
	}
	t.Error("never was a record on its way to the frozen broker")
}

func frozenAndDead(t *testing.T) (sent bool) {
	b := brokertest.MustChild(t, t.TempDir(), "127.0.0.1:0")
	c := dial(t, b.Addr, func(cfg *Config) { cfg.Timeout = time.Second })
	topic(t, c, "orders", 1)
	p := c.Publisher(PublisherConfig{RequestTimeout: 700 * time.Millisecond, RetryFor: 300 * time.Millisecond, MaxInFlight: 10_000})
	send(t, p, record("orders", "k", "warm"))
	b.Freeze(true)

	var wg sync.WaitGroup
	var first, second, third []event.Sent
	start := time.Now()
	wg.Go(func() {
		first = p.Send(within(t, 10*time.Second), []event.Record{record("orders", "k", strings.Repeat("x", 9000))})
	})
	eventually(t, "the first record is on its way", func() bool {
		q := p.partition(partitionKey{"orders", 0})
		q.mu.Lock()
		defer q.mu.Unlock()
		return q.running && len(q.queue) == 0
	})
	if p.budget.TryAcquire(5000) {
		t.Error("a record on its way takes nothing of the memory that is allowed")
	}
	wg.Go(func() { // no memory for it
		second = p.Send(within(t, 200*time.Millisecond), []event.Record{record("orders", "k", strings.Repeat("x", 5000))})
	})
	wg.Go(func() { // queued behind the first
		third = p.Send(within(t, 200*time.Millisecond), []event.Record{record("orders", "k", "x")})
	})
	wg.Wait()
	sent = kinds(first) == "unknown-outcome"
	if got := kinds(second) + " " + kinds(third); !sent && kinds(first) != "unavailable" || got != "unavailable unavailable" {
		t.Errorf("frozen: %s %s", kinds(first), got)
	}
	inFlight := within(t, 200*time.Millisecond) // ends while the record is on its way
	if got := kinds(p.Send(inFlight, []event.Record{record("orders", "k", "x")})); got != "unknown-outcome" {
		t.Errorf("gave up while on its way: %s", got)
	}
	b.Kill()
	if got := kinds(p.Send(within(t, 10*time.Second), []event.Record{record("orders", "k", "x")})); got != "unavailable" {
		t.Errorf("dead: %s", got)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	notStuck(t, start)
	if got := kinds(p.Send(t.Context(), []event.Record{record("orders", "k", "x")})); got != "unavailable" {
		t.Errorf("closed: %s", got)
	}
	return sent
}

// A call of more bytes than may be in flight goes in parts, in order, and stops at the first failure of a partition.
func TestLargeCallGoesInParts(t *testing.T) {
	e := fakeBroker(t)
	c := dial(t, e.Addr())
	topic(t, c, "orders", 1)
	p := publisher(t, c, PublisherConfig{MaxInFlight: 1000})
	var records []event.Record
	for i := range 100 {
		records = append(records, record("orders", "k", fmt.Sprintf("%d-%s", i, strings.Repeat("x", 100))))
	}
	for i, s := range send(t, p, records...) {
		if s.Offset != int64(i) {
			t.Fatalf("record %d at offset %d", i, s.Offset)
		}
	}
	var calls atomic.Int32
	e.cluster.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		e.cluster.KeepControl()
		if calls.Add(1) == 2 {
			return answer(req, -1), nil, true
		}
		return nil, nil, false
	})
	sent := p.Send(within(t, 10*time.Second), records[:21])
	if got := strings.Fields(kinds(sent)); got[0] != "none" || got[20] != "unavailable" || !strings.Contains(kinds(sent), "none unknown-outcome") {
		t.Errorf("outcomes %s", kinds(sent))
	}
}

func TestManyCallersShareBatches(t *testing.T) {
	e := fakeBroker(t)
	c := dial(t, e.Addr())
	topic(t, c, "orders", 2)
	var requests atomic.Int32
	e.cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		e.cluster.KeepControl()
		requests.Add(1)
		return nil, nil, false
	})
	p := publisher(t, c, PublisherConfig{})
	var wg sync.WaitGroup
	for g := range 100 {
		wg.Go(func() {
			for i := range 20 {
				send(t, p, record("orders", fmt.Sprint("key", g), fmt.Sprintf("%d/%d", g, i)))
			}
		})
	}
	wg.Wait()
	if n := requests.Load(); n > 1000 {
		t.Errorf("%d requests for 2000 records", n)
	}
	next := map[string]int{}
	for partition := range 2 {
		for _, r := range logOf(t, c, "orders", partition) {
			var g, i int
			if _, err := fmt.Sscanf(string(r.Value), "%d/%d", &g, &i); err != nil {
				t.Fatal(err)
			}
			if k := string(r.Key); next[k] != i {
				t.Fatalf("%s: record %d where %d was due", k, i, next[k])
			}
			next[string(r.Key)]++
		}
	}
	if len(next) != 100 {
		t.Errorf("%d keys", len(next))
	}
}

func TestCompression(t *testing.T) {
	e := fakeBroker(t)
	c := dial(t, e.Addr())
	for _, name := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		topic(t, c, name, 1)
		p := publisher(t, c, PublisherConfig{Compression: name})
		send(t, p, record(name, "k", strings.Repeat("x", 10_000)), record(name, "k", "second"))
		if got := logOf(t, c, name, 0); len(got) != 2 || len(got[0].Value) != 10_000 || string(got[1].Value) != "second" {
			t.Errorf("%s: %d records", name, len(got))
		}
		if size := e.cluster.PartitionInfo(name, 0).NumBytes; (size > 5000) != (name == "none") {
			t.Errorf("%s: %d bytes stored", name, size)
		}
	}
	p := publisher(t, c, PublisherConfig{Compression: "brotli"})
	if sent := p.Send(t.Context(), []event.Record{record("none", "k", "x")}); fault.KindOf(sent[0].Err) != fault.Invalid || !strings.Contains(sent[0].Err.Error(), "brotli") {
		t.Errorf("unknown compression: %v", sent[0].Err)
	}
}

func TestProduceKinds(t *testing.T) {
	for code, want := range map[kafka.Error]fault.Kind{
		kafka.MessageSizeTooLarge: fault.Invalid, kafka.InvalidRecord: fault.Invalid, kafka.TopicAuthorizationFailed: fault.Auth,
		kafka.NotLeaderForPartition: fault.Unavailable, kafka.NotEnoughReplicas: fault.Unavailable, kafka.RequestTimedOut: fault.UnknownOutcome,
		kafka.NotEnoughReplicasAfterAppend: fault.UnknownOutcome, kafka.Unknown: fault.UnknownOutcome, kafka.Error(12345): fault.UnknownOutcome,
	} {
		if got := produceKind(code); got != want {
			t.Errorf("%v: %s, want %s", code, got, want)
		}
	}
}

func TestDialFailures(t *testing.T) {
	b := brokertest.MustChild(t, t.TempDir(), "127.0.0.1:0")
	b.Kill()
	start := time.Now()
	_, err := Dial(t.Context(), Config{Brokers: []string{b.Addr}, Timeout: 2 * time.Second})
	if fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), b.Addr) {
		t.Error(err)
	}
	notStuck(t, start)
	for _, cfg := range []Config{{}, {Brokers: []string{"nohost"}}, {Brokers: []string{"a:1"}, SASL: &SASL{Mechanism: "NTLM", Username: "u"}}, {Brokers: []string{"a:1"}, SASL: &SASL{Mechanism: "PLAIN"}}} {
		if _, err := Dial(context.Background(), cfg); err == nil {
			t.Errorf("%+v was accepted", cfg)
		}
	}
}
