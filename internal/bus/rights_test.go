package bus

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/needtest"
	"github.com/waybill-hub/waybill/internal/porttest"
)

// guardedKafka starts an Apache Kafka that asks an authorizer, which allows what no rule is about. It ends with the test.
func guardedKafka(t *testing.T) (addr string) {
	t.Helper()
	needtest.Kafka(t) // where Apache Kafka is tested at all
	for _, tool := range []string{"java", "mvn"} {
		if _, err := exec.LookPath(tool); err != nil {
			needtest.Missing(t, "%s is missing, and a Kafka with rights is started from Maven Central: install it", tool)
		}
	}
	addr, err := porttest.Addr()
	if err != nil {
		t.Fatal(err)
	}
	run := func(arg string) {
		cmd := exec.Command("../test/systems/kafka.sh", arg)
		cmd.Env = append(os.Environ(), "WAYBILL_KAFKA_PORT="+addr[strings.LastIndexByte(addr, ':')+1:], "WAYBILL_KAFKA_HEAP=256m",
			"WAYBILL_KAFKA_SETTINGS=authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\nallow.everyone.if.no.acl.found=true")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("kafka.sh %s: %v\n%s", arg, err, out)
		}
	}
	t.Cleanup(func() { run("stop") })
	run("start")
	if t.Failed() {
		t.FailNow()
	}
	return addr
}

// rights changes what the authorizer knows of one resource.
type rights struct {
	t      *testing.T
	client *kgo.Client
	kind   kmsg.ACLResourceType
	name   string
	op     kmsg.ACLOperation
}

func (r *rights) revoke() {
	r.t.Helper()
	c := kmsg.NewCreateACLsRequestCreation()
	c.ResourceType, c.ResourceName, c.ResourcePatternType = r.kind, r.name, kmsg.ACLResourcePatternTypeLiteral
	c.Principal, c.Host, c.Operation, c.PermissionType = "User:*", "*", r.op, kmsg.ACLPermissionTypeDeny
	allow := c
	allow.Operation, allow.PermissionType = kmsg.ACLOperationAll, kmsg.ACLPermissionTypeAllow
	req := kmsg.NewPtrCreateACLsRequest()
	req.Creations = append(req.Creations, c, allow)
	res, err := req.RequestWith(within(r.t, 20*time.Second), r.client)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, one := range res.Results {
		if err := kerr.ErrorForCode(one.ErrorCode); err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r *rights) giveBack() {
	r.t.Helper()
	f := kmsg.NewDeleteACLsRequestFilter()
	f.ResourceType, f.ResourceName, f.ResourcePatternType = r.kind, &r.name, kmsg.ACLResourcePatternTypeLiteral
	f.Operation, f.PermissionType = kmsg.ACLOperationAny, kmsg.ACLPermissionTypeAny
	req := kmsg.NewPtrDeleteACLsRequest()
	req.Filters = append(req.Filters, f)
	if _, err := req.RequestWith(within(r.t, 20*time.Second), r.client); err != nil {
		r.t.Fatal(err)
	}
}

// TestRightsRevoked: on an Apache Kafka with an authorizer, a right that is taken from a hub that runs is told, nothing parks for it, and all
// goes on by itself when it is given back.
func TestRightsRevoked(t *testing.T) {
	t.Parallel()
	addr := guardedKafka(t)
	admin, err := kgo.NewClient(kgo.SeedBrokers(addr))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	for _, tt := range []struct {
		name string
		kind kmsg.ACLResourceType
		op   kmsg.ACLOperation
		why  string
	}{
		{"READ on the group", kmsg.ACLResourceTypeGroup, kmsg.ACLOperationRead, "GROUP_AUTHORIZATION_FAILED"},
		{"READ on the topic", kmsg.ACLResourceTypeTopic, kmsg.ACLOperationRead, "TOPIC_AUTHORIZATION_FAILED"},
		{"DESCRIBE on the topic", kmsg.ACLResourceTypeTopic, kmsg.ACLOperationDescribe, "TOPIC_AUTHORIZATION_FAILED"},
		{"WRITE on the topic", kmsg.ACLResourceTypeTopic, kmsg.ACLOperationWrite, "TOPIC_AUTHORIZATION_FAILED"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			name := strings.ReplaceAll(strings.ToLower(tt.name), " ", "-")
			c := dial(t, addr, func(cfg *Config) { cfg.Timeout, cfg.fresh = 3*time.Second, time.Second })
			topic(t, c, name, 1)
			topic(t, c, "beside-"+name, 1)
			p := publisher(t, c, PublisherConfig{RetryFor: time.Millisecond})
			send(t, p, record(name, "k", "1"))
			s := subscriber(t, c, SubscriberConfig{Group: name, FetchWait: 50 * time.Millisecond})
			ch := subscribe(t, s, name)
			next(t, ch).Ack()
			r := &rights{t, admin, tt.kind, name, tt.op}
			r.revoke()
			told := func() *fault.Trouble { return older(s.Trouble(), p.Trouble(name)) }
			if tt.op == kmsg.ACLOperationWrite {
				eventually(t, "a write to be refused", func() bool {
					sent := p.Send(within(t, 5*time.Second), []event.Record{record(name, "k", "refused")})[0]
					if fault.KindOf(sent.Err) == fault.Invalid {
						t.Fatalf("a right that is missing is told as the record's fault: %v", sent.Err)
					}
					return sent.Err != nil
				})
			}
			await(t, tt.why, 30*time.Second, func() bool { at := told(); return at != nil && strings.Contains(at.Why, tt.why) })
			if found, refused, err := c.Ends(t.Context(), name, "beside-"+name); err != nil || len(found)+len(refused) != 2 || found["beside-"+name].ID == "" {
				t.Errorf("the ends of others are not told: %v %v %v", found, refused, err)
			}
			r.giveBack()
			await(t, "reading to go on", 30*time.Second, func() bool {
				if p.Send(context.WithoutCancel(t.Context()), []event.Record{record(name, "k", "2")})[0].Err != nil {
					return false
				}
				select {
				case m := <-ch:
					m.Ack()
					return true
				default:
					return false
				}
			})
			await(t, "all is well", 30*time.Second, func() bool { return told() == nil })
		})
	}
}

// await is eventually for what takes longer.
func await(t *testing.T, what string, limit time.Duration, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for until := time.Now().Add(limit); !ok(); <-tick.C {
		if time.Now().After(until) {
			t.Fatalf("not within %s: %s", limit, what)
		}
	}
}
