package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/logcheck"
	"github.com/waybill-hub/waybill/internal/needtest"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/topictest"
)

// onBrokers runs a test on the embedded broker and, where there is one, on Apache Kafka.
func onBrokers(t *testing.T, test func(t *testing.T, s *shore)) {
	t.Run("embedded", func(t *testing.T) { test(t, newShore(t, "")) })
	t.Run("kafka", func(t *testing.T) {
		test(t, newShore(t, needtest.Kafka(t)))
	})
}

// shore is a hub between senders and a target, on a broker that loses what it holds.
type shore struct {
	t      testing.TB
	p      *project
	g      *target
	hub    *Hub
	kafka  string // address; empty: the embedded broker
	suffix string // of this test's flows and topics

	mu      sync.Mutex
	applied map[string][]int // versions in the order in which the target was given them, by number
	pushed  map[string]int   // last version by number
	renewed bool             // the store has lost what it knew
	sent    int
}

func newShore(t testing.TB, kafka string) *shore {
	s := &shore{t: t, g: newTarget(t), kafka: kafka, applied: map[string][]int{}, pushed: map[string]int{}}
	s.p = newProject(t, s.g.URL)
	s.g.block = func(d document) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.applied[d.No] = append(s.applied[d.No], d.Seq)
	}
	if kafka != "" {
		s.suffix = "-" + strconv.FormatInt(time.Now().UnixNano(), 36)
		s.p.edit("configs/waybill.yaml", `embedded: {dir: "`+s.p.dir+`/data/broker"}`, `kafka: {brokers: ["`+kafka+`"], replication: 1}`)
		s.p.edit("flows/orders.yaml", "flow: orders\n", "flow: orders"+s.suffix+"\n")
		s.p.edit("flows/orders.yaml", "canonical.order", "canonical.order"+s.suffix)
		s.p.edit("flows/erp.yaml", "flow: orders-to-erp\n", "flow: orders-to-erp"+s.suffix+"\n")
		s.p.edit("flows/erp.yaml", "canonical.order", "canonical.order"+s.suffix)
		s.p.edit("flows/notes.yaml", "flow: notes\n", "flow: notes"+s.suffix+"\n")
		s.p.edit("flows/notes.yaml", "canonical.note", "canonical.note"+s.suffix)
		t.Cleanup(func() { s.deleteTopics(s.topics()...) })
	}
	return s
}

func (s *shore) name(n string) string { return n + s.suffix }

func (s *shore) topics() []string {
	return []string{s.name("in.orders"), s.name("in.notes"), s.name("canonical.order"), s.name("canonical.note")}
}

func (s *shore) start() {
	s.t.Helper()
	s.hub = s.p.start(io.Discard)
}

func (s *shore) stop() {
	s.t.Helper()
	if err := s.hub.Stop(context.Background()); err != nil {
		s.t.Error(err)
	}
}

func (s *shore) addr() string {
	if s.kafka != "" {
		return s.kafka
	}
	return s.hub.embedded.Addr()
}

// admin asks the broker what hubs never ask.
func (s *shore) admin(ask func(ctx context.Context, c *kgo.Client) error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	c, err := kgo.NewClient(kgo.SeedBrokers(s.addr()))
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	for {
		err := ask(ctx, c)
		// Tests of another package may be at restarting the broker that all share.
		if away := (*net.OpError)(nil); !errors.As(err, &away) || ctx.Err() != nil {
			if err != nil {
				s.t.Fatal(err)
			}
			return
		}
		await(s.t, "the broker answers", func() bool {
			conn, err := net.Dial("tcp", s.addr())
			if err == nil {
				conn.Close()
			}
			return err == nil || ctx.Err() != nil
		})
	}
}

func (s *shore) deleteTopics(names ...string) {
	s.t.Helper()
	s.admin(func(ctx context.Context, c *kgo.Client) error { return topictest.Delete(ctx, c, names...) })
}

func (s *shore) createTopics(names ...string) {
	s.t.Helper()
	s.admin(func(ctx context.Context, c *kgo.Client) error {
		req := kmsg.NewPtrCreateTopicsRequest()
		for _, name := range names {
			topic := kmsg.NewCreateTopicsRequestTopic()
			topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, 2, 1
			req.Topics = append(req.Topics, topic)
		}
		for {
			res, err := req.RequestWith(ctx, c)
			if err != nil {
				return err
			}
			if !slices.ContainsFunc(res.Topics, func(t kmsg.CreateTopicsResponseTopic) bool { return t.ErrorCode != 0 }) || ctx.Err() != nil {
				return ctx.Err()
			}
		}
	})
}

// deleteRecords moves the starts of a topic's partitions to their ends.
func (s *shore) deleteRecords(name string) {
	s.t.Helper()
	s.admin(func(ctx context.Context, c *kgo.Client) error {
		req := kmsg.NewPtrDeleteRecordsRequest()
		req.TimeoutMillis = 10_000
		topic := kmsg.NewDeleteRecordsRequestTopic()
		topic.Topic = name
		for part := range int32(2) {
			p := kmsg.NewDeleteRecordsRequestTopicPartition()
			p.Partition, p.Offset = part, -1
			topic.Partitions = append(topic.Partitions, p)
		}
		req.Topics = append(req.Topics, topic)
		for _, shard := range c.RequestSharded(ctx, req) {
			if shard.Err != nil {
				return shard.Err
			}
			for _, p := range shard.Resp.(*kmsg.DeleteRecordsResponse).Topics[0].Partitions {
				if p.ErrorCode != 0 {
					return fmt.Errorf("delete records of %s/%d: code %d", name, p.Partition, p.ErrorCode)
				}
			}
		}
		return nil
	})
}

// push sends the next n versions of each of the orders.
func (s *shore) push(n int, numbers ...string) {
	s.t.Helper()
	for range n {
		for _, no := range numbers {
			s.pushed[no]++
			s.sent++
			status, err := push(s.t.Context(), s.hub, "shop/orders", fmt.Sprint(no, "-", s.pushed[no]), document{No: no, Seq: s.pushed[no]})
			if err != nil || status != http.StatusAccepted {
				s.t.Fatalf("push: %d %v", status, err)
			}
		}
	}
}

func (s *shore) flow(name string) api.Flow {
	s.t.Helper()
	st, err := s.hub.Status(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range st.Flows {
		if f.Name == s.name(name) {
			return f
		}
	}
	s.t.Fatalf("there is no flow %s", name)
	return api.Flow{}
}

func (s *shore) pause(names ...string) {
	s.t.Helper()
	for _, n := range names {
		if err := s.hub.Pause(s.t.Context(), s.name(n), "ann"); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *shore) resume(names ...string) {
	s.t.Helper()
	for _, n := range names {
		if err := s.hub.Resume(s.t.Context(), s.name(n), "ann"); err != nil {
			s.t.Fatal(err)
		}
	}
}

// alarmed waits until a flow stands still, and checks what is said.
func (s *shore) alarmed(name string, says ...string) string {
	s.t.Helper()
	var f api.Flow
	// What stops the reading is said at once; what it comes to, when the logs have been looked at.
	missing := func(want string) bool { return !strings.Contains(f.Why, want) }
	deadline := time.Now().Add(time.Minute)
	await(s.t, name+" to stand still", func() bool {
		f = s.flow(name)
		return f.State == api.StateAlarm && (!slices.ContainsFunc(says, missing) || time.Now().After(deadline.Add(-5*time.Second)))
	})
	for _, want := range says {
		if missing(want) {
			s.t.Errorf("%s: the alarm says %q and not %q", name, f.Why, want)
		}
	}
	if st, err := s.hub.Status(s.t.Context()); err != nil || !st.Failing() {
		s.t.Errorf("the status does not fail: %v", err)
	}
	return f.Why
}

func (s *shore) recover(q api.RecoverRequest) *api.Recovery {
	s.t.Helper()
	would, err := s.hub.Recovery(s.t.Context(), q)
	if err != nil {
		s.t.Fatal(err)
	}
	q.Plan, q.Note = would.Plan, "the disk died"
	did, err := s.hub.Recover(s.t.Context(), q, "ann")
	if err != nil {
		s.t.Fatal(err)
	}
	if would.InboxEvents != did.InboxEvents || would.Records != did.Records || would.Lost != did.Lost {
		s.t.Errorf("it said %+v\nand did %+v", would, did)
	}
	return did
}

// settled waits for the end, and checks that the target was given every version once, in order.
func (s *shore) settled() *api.Status {
	s.t.Helper()
	await(s.t, "the target to hold everything", func() bool {
		held := s.g.newest(s.t)
		for no, seq := range s.pushed {
			if held[no].Seq != seq {
				return false
			}
		}
		return true
	})
	st := rest(s.t, s.hub)
	s.mu.Lock()
	defer s.mu.Unlock()
	for no, seq := range s.pushed {
		var want []int
		for i := range seq {
			want = append(want, i+1)
		}
		if !slices.Equal(s.applied[no], want) {
			s.t.Errorf("%s: the target was given %v", no, s.applied[no])
		}
	}
	if r := st.Restored; (r != nil) != s.renewed {
		s.t.Errorf("of a store that is renewed (%v) the status says %+v", s.renewed, r)
	}
	if st.Totals.Unaccounted != 0 || st.Totals.Duplicates != 0 || st.Totals.Parked != 0 {
		s.t.Errorf("totals: %+v", st.Totals)
	}
	return st
}

// backlog leaves messages at rest in every place: on the topic that the inbox leads to, on the canonical one, and delivered.
func (s *shore) backlog() {
	s.t.Helper()
	s.push(2, "A", "B", "C")
	s.settled()
	s.pause("orders-to-erp")
	s.push(3, "A", "B", "D")
	await(s.t, "them to be on the canonical topic", func() bool { return s.flow("orders-to-erp").Lag == 9 })
	s.pause("orders")
	s.push(2, "A", "C", "E")
	await(s.t, "the last to be on their topic", func() bool { f := s.flow("orders"); return f.Lag == 6 && f.InFlight == 6 })
}

// wipe takes every log away while no hub runs.
func (s *shore) wipe() {
	s.t.Helper()
	if s.kafka == "" {
		if err := os.RemoveAll(filepath.Join(s.p.dir, "data", "broker")); err != nil {
			s.t.Fatal(err)
		}
		return
	}
	s.deleteTopics(s.topics()...)
}

// A broker that was wiped while the database was kept: nothing is read or written until a person says so, everything accepted is
// kept, and comes to the target afterwards, once and in order.
func TestRecoverWipedBroker(t *testing.T) {
	t.Parallel()
	onBrokers(t, func(t *testing.T, s *shore) {
		s.start()
		s.backlog()
		before := s.flow("orders")
		s.stop()
		s.wipe()
		s.start()
		s.alarmed("orders", "in.orders", "partition 0", "offset ", "was to be read next", "the log holds 0 to 0", "6 records without a fate can be had again, none is lost", "waybill recover")
		s.alarmed("orders-to-erp", "canonical.order", "9 records without a fate can be had again")

		// Senders notice nothing, and nothing moves.
		s.push(1, "A", "F")
		if f := s.flow("orders"); f.Accepted != before.Accepted+2 || f.InFlight != 8 || f.Delivered != before.Delivered {
			t.Errorf("orders: %+v, before %+v", f.Totals, before.Totals)
		}
		if f := s.flow("orders-to-erp"); f.InFlight != 9 || f.Unaccounted != 0 {
			t.Errorf("orders-to-erp: %+v", f.Totals)
		}
		if err := s.hub.Resume(t.Context(), s.name("orders"), "ann"); !errors.Is(err, api.ErrBroken) {
			t.Errorf("resumed: %v", err)
		}
		if _, err := s.hub.Recover(t.Context(), api.RecoverRequest{Plan: "what was seen long ago"}, "ann"); !errors.Is(err, state.ErrPlan) {
			t.Errorf("recovered by an old plan: %v", err)
		}
		if _, err := s.hub.Recovery(t.Context(), api.RecoverRequest{Flows: []string{"nobody"}}); !errors.Is(err, state.ErrNotFound) {
			t.Errorf("a flow that is not there: %v", err)
		}

		did := s.recover(api.RecoverRequest{})
		if !did.Done || did.InboxEvents != 6 || did.Records != 9 || did.Lost != 0 {
			t.Errorf("recovered: %+v", did)
		}
		// What a person has paused stays so.
		await(t, "the alarms to end", func() bool {
			return s.flow("orders").State == api.StatePaused && s.flow("orders-to-erp").State == api.StatePaused
		})
		s.resume("orders", "orders-to-erp")
		st := s.settled()
		if f := s.flow("orders"); f.Accepted != int64(s.sent) || f.Delivered != int64(s.sent) {
			t.Errorf("orders: %+v of %d", f.Totals, s.sent)
		}
		if st.Failing() {
			t.Errorf("the status fails: %+v", st.Flows)
		}
		audits, err := s.hub.Audits(t.Context(), state.AuditFilter{Limit: 50})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(audits, func(a state.Audit) bool {
			return a.Action == "recover" && a.Who == "ann" && a.Object == "topic/"+s.name("canonical.order") && strings.Contains(a.Detail, "9 records put on the topic again") && strings.Contains(a.Detail, "the disk died")
		}) {
			t.Errorf("audit: %+v", audits)
		}
		if again := s.recover(api.RecoverRequest{}); again.Broken || len(again.Topics) > 0 {
			t.Errorf("a second time: %+v", again)
		}
		s.stop()
		s.start()
		s.push(1, "A", "G")
		s.settled()
	})
}

// A recovery that a crash follows goes on at the next start: what comes first is on its topic before anything else.
func TestRecoverThenRestart(t *testing.T) {
	t.Parallel()
	s := newShore(t, "")
	s.start()
	s.backlog()
	s.stop()
	s.wipe()
	s.start()
	s.alarmed("orders")
	// Stored behind the back of the hub, which learns of it when it looks, seconds later: as if it ended here.
	p, _, err := s.hub.logs.Preview(t.Context(), logcheck.Request{})
	if err != nil {
		t.Fatal(err)
	}
	p.Recovery.Who = "ann"
	if _, err := s.hub.store.Recover(t.Context(), &p.Recovery); err != nil {
		t.Fatal(err)
	}
	s.stop()
	s.start()
	s.resume("orders", "orders-to-erp")
	s.settled()
}

// One topic is made again under a running hub. Flows on other topics go on; those that write to it wait.
func TestRecoverTopicMadeAgain(t *testing.T) {
	t.Parallel()
	onBrokers(t, func(t *testing.T, s *shore) {
		s.start()
		s.push(2, "A", "B")
		s.settled()
		s.pause("orders-to-erp")
		s.push(2, "A", "B", "C")
		await(t, "them to be on the canonical topic", func() bool { return s.flow("orders-to-erp").Lag == 6 })
		s.deleteTopics(s.name("canonical.order"))
		s.createTopics(s.name("canonical.order"))
		s.alarmed("orders-to-erp", "was deleted and made again", "6 records without a fate")
		s.alarmed("orders", "waits before it writes to "+s.name("canonical.order"))
		s.push(1, "A")
		if status, err := push(t.Context(), s.hub, "shop/notes", "n1", document{No: "N", Seq: 1}); err != nil || status != http.StatusAccepted {
			t.Fatalf("%d %v", status, err)
		}
		await(t, "the notes to go on", func() bool { f := s.flow("notes"); return f.State == api.StateRunning && f.Delivered == 1 })
		if did := s.recover(api.RecoverRequest{Flows: []string{s.name("orders-to-erp")}}); did.Records != 6 || len(did.Topics) != 1 {
			t.Errorf("recovered: %+v", did)
		}
		await(t, "the alarms to end", func() bool {
			return s.flow("orders").State == api.StateRunning && s.flow("orders-to-erp").State == api.StatePaused
		})
		s.resume("orders-to-erp")
		s.settled()
	})
}

// A topic that is gone is missed after a while, and made again by the recovery.
func TestRecoverMissingTopic(t *testing.T) {
	t.Parallel()
	onBrokers(t, func(t *testing.T, s *shore) {
		s.start()
		s.push(1, "A", "B")
		s.settled()
		s.deleteTopics(s.name("in.orders"))
		s.alarmed("orders", "the topic does not exist")
		s.push(2, "A", "B")
		would, err := s.hub.Recovery(t.Context(), api.RecoverRequest{})
		if err != nil || !would.Broken || would.Topics[0].Cause != state.BreakMissing {
			t.Errorf("would recover: %+v, %v", would, err)
		}
		if _, err := s.hub.Recover(t.Context(), api.RecoverRequest{}, "ann"); err != nil {
			t.Fatal(err)
		}
		s.settled()
	})
}

// Retention has passed what a paused flow had still to read.
func TestRecoverRemovedUnread(t *testing.T) {
	t.Parallel()
	onBrokers(t, func(t *testing.T, s *shore) {
		s.start()
		s.backlog()
		s.deleteRecords(s.name("canonical.order"))
		s.deleteRecords(s.name("in.orders"))
		s.stop()
		s.start()
		why := s.alarmed("orders-to-erp", "records were removed unread", "9 records without a fate can be had again, none is lost")
		if !strings.Contains(why, "partition ") {
			t.Error(why)
		}
		s.alarmed("orders", "were removed unread", "6 records without a fate")
		did := s.recover(api.RecoverRequest{})
		if did.Records != 9 || did.InboxEvents != 6 {
			t.Errorf("recovered: %+v", did)
		}
		await(t, "the alarms to end", func() bool {
			return s.flow("orders").State == api.StatePaused && s.flow("orders-to-erp").State == api.StatePaused
		})
		s.resume("orders", "orders-to-erp")
		s.settled()
	})
}

// What others have written to a topic nobody can bring back: it is given up by name, or not at all.
func TestRecoverForeignRecords(t *testing.T) {
	t.Parallel()
	onBrokers(t, func(t *testing.T, s *shore) {
		s.p.edit("flows/notes.yaml", "from:\n  system: shop\n  webhook:\n    path: shop/notes\n    verify: {scheme: hmac, secret: \"${file:secret}\", header: X-Signature}\n    delivery-id: header(\"X-Delivery\")\n",
			"from: {topic: foreign.note"+s.suffix+"}\n")
		s.start()
		topic := s.name("foreign.note")
		write := func(from, to int) {
			t.Helper()
			s.admin(func(ctx context.Context, c *kgo.Client) error {
				var records []*kgo.Record
				for i := from; i <= to; i++ {
					records = append(records, &kgo.Record{Topic: topic, Key: []byte("k"), Value: fmt.Appendf(nil, `{"no":"N","seq":%d}`, i)})
				}
				return c.ProduceSync(ctx, records...).FirstErr()
			})
		}
		write(1, 4)
		await(t, "the first notes", func() bool { return s.flow("notes").Delivered == 4 })
		s.pause("notes")
		write(5, 9)
		await(t, "the others", func() bool { return s.flow("notes").Lag == 5 })
		if _, err := s.hub.logs.Look(t.Context()); err != nil { // the ends are noted
			t.Fatal(err)
		}
		s.stop()
		if s.kafka == "" {
			s.wipe()
		} else {
			s.deleteTopics(topic)
			t.Cleanup(func() { s.deleteTopics(topic) })
		}
		s.start()
		s.alarmed("notes", "5 are gone that only their producers can send again")
		if _, err := s.hub.Recover(t.Context(), api.RecoverRequest{}, "ann"); !errors.Is(err, state.ErrLoss) {
			t.Fatalf("recovered: %v", err)
		}
		if f := s.flow("notes"); f.Accepted != 9 || f.InFlight != 5 || f.State != api.StateAlarm {
			t.Errorf("notes: %+v %s", f.Totals, f.State)
		}
		if did := s.recover(api.RecoverRequest{DiscardLost: true}); did.Lost != 5 {
			t.Errorf("recovered: %+v", did)
		}
		await(t, "the alarm to end", func() bool { return s.flow("notes").State == api.StatePaused })
		s.resume("notes")
		write(5, 6)
		await(t, "what was sent again", func() bool { return s.flow("notes").Delivered == 6 })
		if f := s.flow("notes"); f.Accepted != 11 || f.Discarded != 5 || f.Unaccounted != 0 {
			t.Errorf("notes: %+v", f.Totals)
		}
		tr, err := s.hub.store.Journal(t.Context(), state.JournalFilter{Flow: s.name("notes"), Outcome: state.Discarded})
		if err != nil || len(tr) != 1 || !strings.Contains(tr[0].Reason, "ann: 5 records of "+topic) {
			t.Errorf("journal: %+v, %v", tr, err)
		}
	})
}

// A database that was lost, or is a new one: flows do not begin anew with what they have done already.
func TestRecoverLostPositions(t *testing.T) {
	t.Parallel()
	onBrokers(t, func(t *testing.T, s *shore) {
		s.start()
		s.push(3, "A", "B")
		s.settled()
		s.stop()
		old, err := filepath.Glob(filepath.Join(s.p.dir, "data", "waybill.db*"))
		if err != nil || len(old) == 0 {
			t.Fatal(old, err)
		}
		s.renewed = true
		for _, f := range old {
			if err := os.Remove(f); err != nil {
				t.Fatal(err)
			}
		}
		s.start()
		s.alarmed("orders-to-erp", "no position is stored", "has committed offset")
		if did := s.recover(api.RecoverRequest{}); did.Lost != 0 {
			t.Errorf("recovered: %+v", did)
		}
		await(t, "the alarms to end", func() bool {
			return s.flow("orders").State == api.StateRunning && s.flow("orders-to-erp").State == api.StateRunning
		})
		s.push(1, "C")
		await(t, "the new order", func() bool { return s.g.newest(t)["C"].Seq == 1 })
		s.settled() // and nothing of what was done is done again
	})
}

// The group's offsets at the broker are lost and the store's kept: the store's count, without any ado.
func TestGroupOffsetsLost(t *testing.T) {
	t.Parallel()
	onBrokers(t, func(t *testing.T, s *shore) {
		s.start()
		s.backlog()
		s.stop()
		groups := []string{"waybill." + s.name("orders"), "waybill." + s.name("orders-to-erp")}
		forget := func() {
			s.admin(func(ctx context.Context, c *kgo.Client) error {
				for _, g := range groups {
					req := kmsg.NewPtrDeleteGroupsRequest()
					req.Groups = []string{g}
					if _, err := req.RequestWith(ctx, c); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if s.kafka != "" {
			forget()
		} else {
			logs, err := filepath.Glob(filepath.Join(s.p.dir, "data", "broker", "groups*"))
			if err != nil || len(logs) == 0 {
				t.Fatal(logs, err)
			}
			for _, f := range logs {
				if err := os.RemoveAll(f); err != nil {
					t.Fatal(err)
				}
			}
		}
		s.start()
		s.resume("orders", "orders-to-erp")
		s.settled()
	})
}
