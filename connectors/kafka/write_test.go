package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/waybill-hub/waybill/internal/bus"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

const external = "7f3e0000-0000-5000-8000-000000000001"

func create(doc, key string) connector.Write {
	return connector.Write{Entity: "order", Object: "order", Action: connector.Create, External: external, Doc: []byte(doc), IdempotencyKey: key, Version: "2026-11-01T00:00:00Z"}
}

func changed(action connector.Action, local, doc, key string) connector.Write {
	w := create(doc, key)
	w.Action, w.Local = action, local
	if doc == "" {
		w.Doc = nil
	}
	return w
}

func heads(r *event.Record) string {
	var out []string
	for _, h := range r.Headers {
		out = append(out, h.Key+"="+string(h.Value))
	}
	return strings.Join(out, " ")
}

// TestWritten: what is on the topic after an object's life.
func TestWritten(t *testing.T) {
	onBoth(t, func(t *testing.T, addr string) {
		o := cluster(t, addr, 4)
		sys := open(t, o.settings("write: {key: number, headers: {source: meta.source, absent: meta.absent}}"))
		for _, w := range []connector.Write{
			create(`{"number":"C-1","total":1.10,"meta":{"source":"shop"}}`, "e1/f"),
			changed(connector.Update, "C-1", `{"number":"C-1","total":2.20}`, "e2/f"),
			changed(connector.Delete, "C-1", "", "e3/f"),
		} {
			res, err := sys.Write(t.Context(), w)
			if err != nil || res.Local != "C-1" || !strings.HasPrefix(res.Status, o.topic+"/") {
				t.Fatalf("%s: %+v, %v", w.Action, res, err)
			}
		}
		all := o.all()
		if len(all) != 3 {
			t.Fatalf("%d records", len(all))
		}
		const rest = " waybill-external-id=" + external + " waybill-version=2026-11-01T00:00:00Z"
		for i, want := range []struct{ value, heads string }{
			{`{"number":"C-1","total":1.10,"meta":{"source":"shop"}}`, "waybill-event-id=e1/f waybill-operation=create" + rest + " source=shop"},
			{`{"number":"C-1","total":2.20}`, "waybill-event-id=e2/f waybill-operation=update" + rest},
			{"", "waybill-event-id=e3/f waybill-operation=delete" + rest},
		} {
			r := &all[i]
			if string(r.Key) != "C-1" || string(r.Value) != want.value || (r.Value == nil) != (want.value == "") || heads(r) != want.heads || r.Partition != javaPartition("C-1", 4) {
				t.Errorf("record %d: partition %d, %s = %q, %s", i, r.Partition, r.Key, r.Value, heads(r))
			}
		}
	})
}

// javaPartition is where Kafka's own clients put a key: murmur2 over its bytes, as kgo computes it independently.
func javaPartition(key string, n int) int {
	p := kgo.StickyKeyPartitioner(nil).ForTopic("x")
	return p.Partition(&kgo.Record{Key: []byte(key)}, n)
}

// TestPartitionsAsOthers: a key goes where other producers put it.
func TestPartitionsAsOthers(t *testing.T) {
	for _, n := range []int{1, 3, 12, 100} {
		for i := range 500 {
			key := fmt.Sprintf("Größe-%d", i*i)
			if got, want := bus.PartitionOf(key, n), javaPartition(key, n); got != want {
				t.Fatalf("%q of %d: %d, want %d", key, n, got, want)
			}
		}
	}
}

// TestRefusedHere: what no record can be made of is refused before anything is sent.
func TestRefusedHere(t *testing.T) {
	o := cluster(t, brokerOnly(t), 1)
	for name, c := range map[string]struct {
		lines string
		w     connector.Write
		text  string
	}{
		"no key in the document": {"write: {key: number}", create(`{}`, "e"), "the document has no number"},
		"a key that is a list":   {"write: {key: number}", create(`{"number":[1]}`, "e"), "number of the document is array"},
		"another key":            {"write: {key: number}", changed(connector.Update, "C-1", `{"number":"C-2"}`, "e"), `number is "C-2", and the object was written under the key "C-1"`},
		"no id":                  {"", changed(connector.Update, "", `{}`, "e"), "nothing says which object"},
		"keys say nothing":       {"key: {format: none}", create(`{}`, "e"), "key.format is none"},
		"no base64":              {"key: {format: base64}", changed(connector.Update, "?", `{}`, "e"), "is no base64"},
		"a deletion without":     {"write: {deletes: document}", changed(connector.Delete, "C-1", "", "e"), "without a document"},
		"no such object":         {"", func() connector.Write { w := create(`{}`, "e"); w.Object = "ordr"; return w }(), `did you mean "order"?`},
	} {
		t.Run(name, func(t *testing.T) {
			sys := open(t, o.settings(c.lines))
			_, err := sys.Write(t.Context(), c.w)
			if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%v", err)
			}
		})
	}
	if n := o.written(); n != 0 {
		t.Errorf("%d records were written", n)
	}
}

// TestTooLarge: what a topic takes is asked for, told, and followed when it changes.
func TestTooLarge(t *testing.T) {
	onBoth(t, func(t *testing.T, addr string) {
		o := cluster(t, addr, 1, "max.message.bytes", "3000000")
		sys := open(t, o.settings())
		value := func(n int) string { return `{"x":"` + strings.Repeat("x", n) + `"}` }
		if _, err := sys.Write(t.Context(), create(value(2_000_000), "e1")); err != nil {
			t.Errorf("what the topic takes: %v", err)
		}
		_, err := sys.Write(t.Context(), create(value(4_000_000), "e2"))
		if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "3000000") && !strings.Contains(err.Error(), "2976") {
			t.Errorf("what it does not: %v", err)
		}
		if o.written() != 1 {
			t.Errorf("%d records", o.written())
		}
	})
}

// TestInOrder: changes of one object are on the topic in the order in which they were made, whatever is written beside.
func TestInOrder(t *testing.T) {
	o := cluster(t, brokerOnly(t), 3)
	sys := open(t, o.settings())
	const objects, changes = 20, 25
	var wg sync.WaitGroup
	for n := range objects {
		wg.Go(func() {
			for k := range changes {
				w := changed(connector.Update, fmt.Sprintf("K-%d", n), fmt.Sprintf(`{"k":%d}`, k), fmt.Sprintf("%d/%d", n, k))
				if _, err := sys.Write(t.Context(), w); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	last := map[string]int{}
	for _, r := range o.all() {
		key := string(r.Key)
		if want := fmt.Sprintf(`{"k":%d}`, last[key]); string(r.Value) != want {
			t.Fatalf("%s: %s, want %s", key, r.Value, want)
		}
		last[key]++
	}
	if len(last) != objects {
		t.Errorf("%d objects", len(last))
	}
}

// double is a broker that can be told to answer writes otherwise.
func double(t testing.TB, partitions int32) (*kfake.Cluster, *other) {
	t.Helper()
	topic := unique()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, topic))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	o := &other{t: t, addr: c.ListenAddrs()[0], topic: topic}
	if o.cluster, err = bus.Dial(t.Context(), bus.Config{Brokers: []string{o.addr}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.cluster.Close() })
	o.client = o.connect()
	return c, o
}

// lose lets the broker take the next write, or not, and hang up instead of answering.
func lose(c *kfake.Cluster, take func()) {
	c.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		if take != nil {
			take()
		}
		return nil, errors.New("cut off"), true
	})
}

// TestRecall: a write whose answer was lost is looked for before it is made again, and is there once.
func TestRecall(t *testing.T) {
	for name, applied := range map[string]bool{"it was taken": true, "it was not": false} {
		t.Run(name, func(t *testing.T) {
			c, o := double(t, 2)
			s := o.settings("write: {key: number}")
			sys := open(t, s)
			clock := lifecycle.NewManual(time.Now())
			sys.clock = clock
			w := create(`{"number":"C-1"}`, "e1/f")
			at := javaPartition("C-1", 2)
			o.put(o.record(at, "C-1", `{"theirs":1}`, headerEvent, "another"), o.record(1-at, "C-9", `{"theirs":1}`, headerEvent, "e1/f"))
			lose(c, func() {
				if applied {
					rec := o.record(at, "C-1", `{"number":"C-1"}`, headerEvent, "e1/f", headerOperation, "create", headerExternal, external)
					o.client.Produce(context.Background(), rec, nil)
				}
			})
			_, err := sys.Write(t.Context(), w)
			if fault.KindOf(err) != fault.UnknownOutcome {
				t.Fatalf("%v", err)
			}
			if applied {
				retry(t, func(context.Context) error {
					if o.written() != 3 {
						return errors.New("it is not there yet")
					}
					return nil
				})
			}
			// The engine asks by the external id where a create is concerned.
			since := time.Now().Add(-time.Minute)
			got, err := sys.Find(t.Context(), connector.Lookup{Object: "order", External: strings.ToUpper(external), Since: since})
			if err != nil || len(got) != map[bool]int{true: 1}[applied] || applied && (got[0].Local != "C-1" || string(got[0].Doc) != `{"number":"C-1"}`) {
				t.Errorf("found %+v, %v", got, err)
			}
			// And has every other change made again: by this process, which waits until the first call can be under way no more, ...
			before := o.written()
			done := make(chan error)
			go func() {
				_, err := sys.Write(context.Background(), w)
				done <- err
			}()
			if err := clock.BlockUntil(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			if o.written() != before {
				t.Error("it was not waited for until the first call can be under way no more")
			}
			clock.Advance(sys.set.Timeout)
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			// ... and by another one, which is told that there may have been one.
			w.Since = since
			if res, err := open(t, s).Write(t.Context(), w); err != nil || res.Local != "C-1" {
				t.Fatalf("by another process: %+v, %v", res, err)
			}
			if n := o.written(); n != 3 {
				t.Errorf("%d records, want 3", n)
			}
		})
	}
}

// TestNoLook: what cannot be looked up is said to be so.
func TestNoLook(t *testing.T) {
	o := cluster(t, brokerOnly(t), 1)
	sys := open(t, o.settings())
	for _, l := range []connector.Lookup{{Local: "C-1"}, {Natural: map[string]string{"number": "C-1"}}, {External: external}} {
		l.Object = "order"
		if _, err := sys.Find(t.Context(), l); !errors.Is(err, connector.ErrNoLookup) || fault.KindOf(err) != fault.Invalid {
			t.Errorf("%+v: %v", l, err)
		}
	}
	if got, err := sys.Find(t.Context(), connector.Lookup{Object: "order", External: external, Since: time.Now()}); err != nil || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
}

// TestBrokersWords: what a broker says of a write is told by its own name, and is what it is.
func TestBrokersWords(t *testing.T) {
	for _, c := range []struct {
		err  *kerr.Error
		want fault.Kind
		code string // where it is another one
		text string
	}{
		{kerr.InvalidTimestamp, fault.Unavailable, "", "the clocks of the hub and of the broker differ"},
		{kerr.TopicAuthorizationFailed, fault.Unavailable, "", "give the hub's user"},
		{kerr.MessageTooLarge, fault.Invalid, "", "max.message.bytes"},
		{kerr.InvalidRecord, fault.Invalid, "", ""},
		{kerr.NotEnoughReplicas, fault.Unavailable, "", ""},
		{kerr.RequestTimedOut, fault.UnknownOutcome, "none", "REQUEST_TIMED_OUT"},
		{kerr.NotEnoughReplicasAfterAppend, fault.UnknownOutcome, "none", "NOT_ENOUGH_REPLICAS_AFTER_APPEND"},
		{kerr.PolicyViolation, fault.Unavailable, "", "a policy of the cluster"},
	} {
		t.Run(c.err.Message, func(t *testing.T) {
			fake, o := double(t, 1)
			sys := open(t, o.settings())
			fake.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
				fake.KeepControl()
				res := req.ResponseKind().(*kmsg.ProduceResponse)
				p := kmsg.NewProduceResponseTopicPartition()
				p.ErrorCode = c.err.Code
				topic := kmsg.NewProduceResponseTopic()
				topic.Topic, topic.Partitions = o.topic, append(topic.Partitions, p)
				res.Topics = append(res.Topics, topic)
				return res, nil, true
			})
			_, err := sys.Write(t.Context(), create(`{}`, "e"))
			f, ok := fault.As(err)
			code := strings.Replace(cmp.Or(c.code, c.err.Message), "none", "", 1)
			if !ok || f.Kind != c.want || f.Code != code || !strings.Contains(f.Error(), c.text) {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestLeadsNowhere: a cluster that names an address which no system may lead the hub to is not followed.
func TestLeadsNowhere(t *testing.T) {
	c, o := double(t, 1)
	id := o.info().ID
	sys := open(t, o.settings())
	c.ControlKey(int16(kmsg.Metadata), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		res := req.ResponseKind().(*kmsg.MetadataResponse)
		b := kmsg.NewMetadataResponseBroker()
		b.Host, b.Port = "169.254.169.254", 80
		topic := kmsg.NewMetadataResponseTopic()
		topic.Topic = &o.topic
		topic.Partitions = append(topic.Partitions, kmsg.NewMetadataResponseTopicPartition())
		res.Brokers, res.Topics = append(res.Brokers, b), append(res.Topics, topic)
		return res, nil, true
	})
	_, err := sys.Poll(t.Context(), connector.PollRequest{Object: "order"})
	if fault.KindOf(err) != fault.Unavailable || !errors.Is(err, httpclient.ErrAddress) {
		t.Errorf("%v (topic %s)", err, id)
	}
}
