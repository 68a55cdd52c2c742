package kafka

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/waybill-hub/waybill/internal/bus"
	"github.com/waybill-hub/waybill/internal/bus/embedded/brokertest"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/connector/connectortest"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/needtest"
	"github.com/waybill-hub/waybill/internal/porttest"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// onBoth runs a test on an embedded broker and on Apache Kafka.
func onBoth(t *testing.T, test func(t *testing.T, addr string)) {
	t.Run("embedded", func(t *testing.T) { test(t, brokertest.Start(t).Addr()) })
	t.Run("apache", func(t *testing.T) { test(t, needtest.Kafka(t)) })
}

// other is what happens in the cluster without the hub.
type other struct {
	t       testing.TB
	addr    string
	topic   string
	timeout string // of the settings; empty: 5s
	cluster *bus.Cluster
	client  *kgo.Client
}

// cluster makes a topic of its own in the cluster at an address.
func cluster(t testing.TB, addr string, partitions int, config ...string) *other {
	t.Helper()
	c, err := bus.Dial(t.Context(), bus.Config{Brokers: []string{addr}, Log: brokertest.Quiet(t), Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	o := &other{t: t, addr: addr, topic: unique(), cluster: c}
	o.make(partitions, config...)
	o.client = o.connect()
	return o
}

// patience is for a broker that others keep busy.
const patience = time.Minute

// make makes the topic; config is names and values.
func (o *other) make(partitions int, config ...string) {
	o.t.Helper()
	settings := map[string]string{}
	for i := 0; i < len(config); i += 2 {
		settings[config[i]] = config[i+1]
	}
	ctx, end := context.WithTimeout(context.Background(), patience)
	defer end()
	if err := o.cluster.EnsureTopics(ctx, []bus.Topic{{Name: o.topic, Partitions: partitions, Replication: 1, Config: settings}}); err != nil {
		o.t.Fatal(err)
	}
	o.await(partitions)
}

func (o *other) connect(opts ...kgo.Opt) *kgo.Client {
	o.t.Helper()
	opts = append([]kgo.Opt{kgo.SeedBrokers(o.addr), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MetadataMinAge(10 * time.Millisecond)}, opts...)
	c, err := kgo.NewClient(opts...)
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(c.Close)
	return c
}

// record is one for a partition; a text of "-" is null.
func (o *other) record(partition int, key, value string, headers ...string) *kgo.Record {
	r := &kgo.Record{Topic: o.topic, Partition: int32(partition)}
	if key != "-" {
		r.Key = []byte(key)
	}
	if value != "-" {
		r.Value = []byte(value)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: headers[i], Value: []byte(headers[i+1])})
	}
	return r
}

func (o *other) put(records ...*kgo.Record) {
	o.t.Helper()
	ctx, end := context.WithTimeout(context.Background(), 30*time.Second)
	defer end()
	if err := o.client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		o.t.Fatal(err)
	}
}

// written counts what the topic holds.
func (o *other) written() int {
	o.t.Helper()
	n := 0
	for i, p := range o.info().Partitions {
		for at := p.First; at < p.Last; {
			got, err := o.cluster.ReadFrom(o.t.Context(), o.topic, i, at, 1000, 1<<20)
			if err != nil {
				o.t.Fatal(err)
			}
			n, at = n+len(got.Records), got.Next
		}
	}
	return n
}

// all gives the records of the topic, partition by partition.
func (o *other) all() []event.Record {
	o.t.Helper()
	var out []event.Record
	for i, p := range o.info().Partitions {
		for at := p.First; at < p.Last; {
			got, err := o.cluster.ReadFrom(o.t.Context(), o.topic, i, at, 1000, 1<<20)
			if err != nil {
				o.t.Fatal(err)
			}
			for k := range got.Records {
				got.Records[k].Partition = i
			}
			out, at = append(out, got.Records...), got.Next
		}
	}
	return out
}

func (o *other) info() bus.TopicInfo {
	o.t.Helper()
	found, err := o.cluster.Describe(o.t.Context(), o.topic)
	if err != nil {
		o.t.Fatal(err)
	}
	return found[o.topic]
}

// settings names the topic as object order; more are lines of the object's settings.
func (o *other) settings(more ...string) connector.Settings {
	o.t.Helper()
	return parsed(o.t, fmt.Sprintf("connector: kafka\nbrokers: [%q]\ntimeout: %s\nobjects:\n  order:\n    topic: %s\n    %s\n", o.addr, cmp.Or(o.timeout, "5s"), o.topic, strings.Join(more, "\n    ")))
}

func parsed(t testing.TB, yaml string) connector.Settings {
	t.Helper()
	var p strictyaml.Problems
	docs := strictyaml.Parse("waybill.yaml", []byte(yaml), &p)
	if err := p.Err(); err != nil {
		t.Fatalf("%v\n%s", err, yaml)
	}
	return connector.Settings{Name: "partner", Node: docs[0], Log: brokertest.Quiet(t)}
}

// open opens the system.
func open(t testing.TB, s connector.Settings) *system {
	t.Helper()
	sys, err := Kind{}.Open(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sys.Close(); err != nil {
			t.Error(err)
		}
	})
	return sys.(*system)
}

func unique() string {
	var b [8]byte
	_, _ = rand.Read(b[:])
	return "erp.orders-" + hex.EncodeToString(b[:])
}

func doc(n, revision int) string {
	return fmt.Sprintf(`{"number":"C-%d","rev":%d,"total":1234567890123456.7800,"note":"Größe \"%d\""}`, n, revision, n)
}

func TestConformance(t *testing.T) {
	variants := map[string][]string{
		"external id as key": nil,
		"key of the document": {
			"write: {key: number, compression: lz4, headers: {source-number: number}}",
		},
		"json key": {"key: {format: json, path: order.id}", "write: {key: number, compression: zstd}"},
	}
	onBoth(t, func(t *testing.T, addr string) {
		for name, lines := range variants {
			t.Run(name, func(t *testing.T) {
				connectortest.Run(t, func(t *testing.T) *connectortest.Subject { return subject(t, addr, lines) })
			})
		}
	})
}

func subject(t *testing.T, addr string, lines []string) *connectortest.Subject {
	o := cluster(t, addr, 3)
	key := func(n int) string { return fmt.Sprintf("K-%d", n) }
	raw := func(n int) string {
		if len(lines) > 0 && strings.Contains(lines[0], "json") {
			return fmt.Sprintf(`{"order":{"id":%q}}`, key(n))
		}
		return key(n)
	}
	s := o.settings(lines...)
	return &connectortest.Subject{
		Kind: Kind{}, Settings: s, Object: "order", Log: true, Tombstones: true,
		New:      func(n int) string { return doc(n, 1) },
		Change:   func(n int) string { return doc(1, n) },
		Written:  func(testing.TB) int { return o.written() },
		Revision: func(v jsondoc.Value) int { d, _ := v.Get("rev").Decimal(); n, _ := d.Int64(); return int(n) },
		Put: func(_ testing.TB, n, revision int, _ time.Time) string {
			o.put(o.record(bus.PartitionOf(raw(n), 3), raw(n), doc(n, revision)))
			return key(n)
		},
		Spoil: func(_ testing.TB, n int, _ time.Time) string {
			o.put(o.record(bus.PartitionOf(raw(n), 3), raw(n), `{"number":`))
			return key(n)
		},
		Faults: []connectortest.Fault{
			{Name: "no such topic", Want: fault.Unavailable, Arrange: func(_ testing.TB, s *connector.Settings) {
				o.topic = "nobody-makes-it"
				*s = o.settings(lines...)
			}},
			{Name: "poll of no such topic", Want: fault.Unavailable, Arrange: func(_ testing.TB, s *connector.Settings) {
				o.topic = "nobody-makes-it"
				*s = o.settings(lines...)
			}, Call: func(ctx context.Context, sys connector.System, s *connectortest.Subject) error {
				_, err := sys.(connector.Poller).Poll(ctx, connector.PollRequest{Object: "order"})
				return err
			}},
			{Name: "nobody listens", Want: fault.Unavailable, Arrange: func(t testing.TB, s *connector.Settings) { nobody(t, o, s, lines) }},
			{Name: "too large", Want: fault.Invalid, Call: func(ctx context.Context, sys connector.System, s *connectortest.Subject) error {
				_, err := sys.(connector.Sink).Write(ctx, connector.Write{Object: "order", Action: connector.Create, External: "7f3e0000-0000-5000-8000-000000000001",
					Doc: []byte(`{"number":"C-1","note":"` + strings.Repeat("x", 2<<20) + `"}`)})
				return err
			}},
			{Name: "no key", Want: fault.Invalid, Call: func(ctx context.Context, sys connector.System, s *connectortest.Subject) error {
				_, err := sys.(connector.Sink).Write(ctx, connector.Write{Object: "order", Action: connector.Create, Doc: []byte(`{}`)})
				return err
			}},
		},
		Probes: []connectortest.Probe{
			{Name: "answers", Want: fault.None},
			{Name: "a topic is not there", Want: fault.None, Create: fault.Unavailable, Text: "make it", Arrange: func(_ testing.TB, s *connector.Settings) {
				o.topic = "nobody-makes-it"
				*s = o.settings(lines...)
			}},
			{Name: "nobody listens", Want: fault.Unavailable, Create: fault.Unavailable, Text: "connection refused",
				Arrange: func(t testing.TB, s *connector.Settings) { nobody(t, o, s, lines) }},
		},
	}
}

// nobody makes settings of a cluster that is not there.
func nobody(t testing.TB, o *other, s *connector.Settings, lines []string) {
	t.Helper()
	addr, err := porttest.Addr()
	if err != nil {
		t.Fatal(err)
	}
	o.addr = addr
	*s = o.settings(lines...)
}

// TestUnclassified: no failure is without its class, whatever it is.
func TestUnclassified(t *testing.T) {
	s := &system{name: "partner"}
	f, ok := fault.As(s.classify("probe", errors.New("odd")))
	if !ok || f.Kind != fault.Unavailable || f.System != "partner" || f.Op != "probe" {
		t.Errorf("%+v", f)
	}
	if s.classify("probe", nil) != nil {
		t.Error("nothing became a failure")
	}
	if again := s.classify("other", f); again != error(f) {
		t.Errorf("classified twice: %v", again)
	}
}
