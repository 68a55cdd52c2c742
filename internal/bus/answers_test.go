package bus

import (
	"errors"
	"fmt"
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

// lastCode is the newest error code of Kafka 4.1.
const lastCode = 133

// TestAnswers: for every error code of the protocol, as the answer to a write: only what is about the record is Invalid, so that it parks; all
// else is a trouble that is told and that ends with the next good write.
func TestAnswers(t *testing.T) {
	ofRecord := map[int16]string{10: "invalid", 18: "invalid", 87: "invalid"}
	auth := map[int16]string{29: "auth", 31: "auth", 30: "auth", 58: "auth", 33: "auth"}
	e := fakeBroker(t)
	c := dial(t, e.Addr())
	topic(t, c, "orders", 1)
	var next atomic.Int32
	e.cluster.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		e.cluster.KeepControl()
		if code := next.Load(); code != 0 {
			return answer(req, int16(code)), nil, true
		}
		return nil, nil, false
	})
	p := publisher(t, c, PublisherConfig{RetryFor: time.Millisecond})
	for code := int16(-1); code <= lastCode; code++ {
		if code == 0 {
			continue
		}
		known, ok := kerr.ErrorForCode(code).(*kerr.Error)
		name := fmt.Sprint(code)
		if ok {
			name = known.Message
		}
		t.Run(name, func(t *testing.T) {
			m, there := answers[kafka.Error(code)]
			if ok != there {
				t.Fatalf("the table holds it: %v, Kafka has it: %v", there, ok)
			}
			next.Store(int32(code))
			sent := p.Send(within(t, 10*time.Second), []event.Record{record("orders", "k", name)})[0]
			kind := fault.KindOf(sent.Err).String()
			told := p.Trouble("orders")
			switch {
			case ofRecord[code] != "":
				if kind != "invalid" || told != nil {
					t.Errorf("a record that the broker never takes is %s, and told as the trouble %v", kind, told)
				}
				return
			case auth[code] != "" && kind != "auth", auth[code] == "" && kind == "auth", kind == "invalid" || kind == "none":
				t.Errorf("kind %s", kind)
			case m.about == aboutHub && (told == nil || !strings.Contains(told.Why, m.name)):
				t.Errorf("what a person has to mend is told as %+v", told)
			case m.about != aboutHub && told != nil:
				t.Errorf("what may pass by itself is told at once: %+v", told)
			case p.part1("orders").ill.at.Load() == nil:
				t.Error("nothing is noted")
			}
			next.Store(0)
			send(t, p, record("orders", "k", name+" mended"))
			if told := p.Trouble("orders"); told != nil {
				t.Errorf("still told when it is mended: %+v", told)
			}
		})
	}
}

func (p *Publisher) part1(topic string) *pubPartition { return p.partition(partitionKey{topic, 0}) }

// TestFetchAnswers: for every error code, as the answer to a read: the subscription goes on with the record where it was, as soon as it is answered
// well again, and raises no alarm.
func TestFetchAnswers(t *testing.T) {
	t.Parallel()
	e := fakeBroker(t)
	c := dial(t, e.Addr(), func(cfg *Config) { cfg.OnAlarm = func(err error) { t.Errorf("alarm: %v", err) } })
	topic(t, c, "orders", 1)
	p := publisher(t, c, PublisherConfig{})
	var code atomic.Int32
	refused := make(chan struct{}, 1)
	e.cluster.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		e.cluster.KeepControl()
		n := int16(code.Swap(0))
		if n == 0 {
			return nil, nil, false
		}
		refused <- struct{}{}
		return unread(req, n), nil, true
	})
	s := subscriber(t, c, SubscriberConfig{Group: "g", FetchWait: 10 * time.Millisecond})
	ch := subscribe(t, s, "orders")
	for n := int32(-1); n <= lastCode; n++ {
		if _, ok := answers[kafka.Error(n)]; !ok {
			continue
		}
		code.Store(n)
		<-refused
		want := fmt.Sprint("after ", n)
		send(t, p, record("orders", "k", want))
		m := next(t, ch)
		if got := values(batch(t, m).Records); got != want {
			t.Fatalf("code %d: read %q", n, got)
		}
		m.Ack()
		if told := s.Trouble(); told != nil {
			t.Errorf("code %d: still told when it reads again: %+v", n, told)
		}
	}
}

// unread makes a fetch response with an error code for every partition asked for.
func unread(req kmsg.Request, code int16) kmsg.Response {
	r := req.(*kmsg.FetchRequest)
	res := r.ResponseKind().(*kmsg.FetchResponse)
	for _, t := range r.Topics {
		rt := kmsg.NewFetchResponseTopic()
		rt.Topic, rt.TopicID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			rp := kmsg.NewFetchResponseTopicPartition()
			rp.Partition, rp.ErrorCode = p.Partition, code
			rt.Partitions = append(rt.Partitions, rp)
		}
		res.Topics = append(res.Topics, rt)
	}
	return res
}

// TestTopicsNotMade: what passes by itself, or with a broker that comes up, is tried again by who asked; what a person has to correct is not, also where
// both are answered.
func TestTopicsNotMade(t *testing.T) {
	e := fakeBroker(t)
	c := dial(t, e.Addr())
	var codes map[string]int16
	e.cluster.ControlKey(int16(kmsg.CreateTopics), func(req kmsg.Request) (kmsg.Response, error, bool) {
		e.cluster.KeepControl()
		res := req.ResponseKind().(*kmsg.CreateTopicsResponse)
		for _, asked := range req.(*kmsg.CreateTopicsRequest).Topics {
			one := kmsg.NewCreateTopicsResponseTopic()
			one.Topic, one.ErrorCode = asked.Topic, codes[asked.Topic]
			res.Topics = append(res.Topics, one)
		}
		return res, nil, true
	})
	for _, tt := range []struct {
		a, b kafka.Error
		kind fault.Kind
		says string
	}{
		{kafka.InvalidReplicationFactor, 0, fault.Unavailable, "fewer brokers are up"},
		{kafka.NotController, kafka.RequestTimedOut, fault.Unavailable, "NOT_CONTROLLER"},
		{kafka.InvalidTopic, 0, fault.Invalid, "give it another one"},
		{kafka.InvalidReplicationFactor, kafka.PolicyViolation, fault.Invalid, "a policy"},
		{kafka.NotController, kafka.TopicAuthorizationFailed, fault.Auth, "give the hub's user"},
	} {
		codes = map[string]int16{"a": int16(tt.a), "b": int16(tt.b)}
		err := c.EnsureTopics(t.Context(), []Topic{{Name: "a"}, {Name: "b"}})
		if got := fault.KindOf(err); got != tt.kind || !strings.Contains(fmt.Sprint(err), tt.says) {
			t.Errorf("%v and %v: %s: %v", tt.a, tt.b, got, err)
		}
		if !Answered(err) {
			t.Errorf("%v: nobody can tell that the broker has answered", err)
		}
	}
}

// TestTopicOfTooManyCopies: Kafka answers so as well while its brokers are still coming up.
func TestTopicOfTooManyCopies(t *testing.T) {
	c := dial(t, needtest.Kafka(t))
	err := c.EnsureTopics(t.Context(), []Topic{{Name: fmt.Sprint("copies-", time.Now().UnixNano()), Partitions: 1, Replication: 99}})
	if fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "INVALID_REPLICATION_FACTOR") {
		t.Errorf("%v", err)
	}
}

// TestExplain: what a broker has answered stands once in a text, under Kafka's own name, with its meaning and with what to do.
func TestExplain(t *testing.T) {
	const rights = "GROUP_AUTHORIZATION_FAILED: the client is not authorized to access a particular group id; give the hub's user READ on the group"
	for _, tt := range []struct {
		err  error
		want string
	}{
		{errors.New("dial tcp: connection refused"), "dial tcp: connection refused"},
		{kafka.GroupAuthorizationFailed, rights},
		{fmt.Errorf("join: %w", kafka.GroupAuthorizationFailed), "join: " + rights},
		{fmt.Errorf("%w (%w)", kafka.GroupAuthorizationFailed, kafka.GroupAuthorizationFailed),
			"GROUP_AUTHORIZATION_FAILED: the client is not authorized to access a particular group id (GROUP_AUTHORIZATION_FAILED); give the hub's user READ on the group"},
		{explained(fmt.Errorf("join: %w", kafka.GroupAuthorizationFailed)), "join: " + rights},
		{kafka.Error(136), "CONTROLLER_ID_NOT_REGISTERED"},
		{kafka.Error(4711), kafka.Error(4711).Error()},
	} {
		if got := explain(tt.err); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
		if got := explained(tt.err); got.Error() != tt.want || !errors.Is(got, tt.err) {
			t.Errorf("explained: %v", got)
		}
	}
}
