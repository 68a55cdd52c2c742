package relay

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/inbox/inboxtest"
	"github.com/waybill-hub/waybill/internal/lease"
	"github.com/waybill-hub/waybill/internal/state"
)

// submitted puts an event that the hub itself has made into a flow's inbox.
func (b *bench) submitted(flow, id string, change ...func(*event.Event)) {
	b.T.Helper()
	ev := event.Event{ID: "submitted/repair/" + id, Source: "crm", Entity: "order", Operation: event.Upsert, Key: "SO-" + id, Hub: "h-" + id, Version: "7", Origin: "crm", Hops: 1,
		Time: b.Clock.Now().UTC(), Accepted: b.Clock.Now().UTC(), Trace: inboxtest.Inbound("x", "").Trace,
		Submitted: &event.Submission{Trigger: event.Repair, Who: "crm-erp", Why: "name", For: flow}}
	for _, ch := range change {
		ch(&ev)
	}
	row := state.Inbound{Flow: flow, ID: ev.ID, DeliveryID: ev.ID, Body: []byte(`{"n":"` + id + `"}`), Received: b.Clock.Now(), Event: &ev}
	if _, _, err := b.Store.Submit(b.T.Context(), []state.Inbound{row}, state.Submitting{Who: "crm-erp", Action: "repair"}); err != nil {
		b.T.Fatal(err)
	}
}

// group begins a group that carries flows which read canonical.order, or a topic of their own name where it ends in another.
func (b *bench) group(topics map[string]string) *Group {
	b.T.Helper()
	b.starts++
	var s Store = b.Store
	if b.between != nil {
		s = b.between(s)
	}
	var relays []*Relay
	for flow, topic := range topics {
		relays = append(relays, New(Config{Source: Source{Flow: flow, Topic: topic, Shared: true}, Store: s, Publisher: b.Topic, Clock: b.Clock, Log: inboxtest.Log(), Observer: b.seen, Logs: b.logs}))
	}
	g := NewGroup(b.Store, b.Clock, inboxtest.Log(), relays)
	under := &lease.Runner{Store: b.Store, Clock: b.Clock, Log: inboxtest.Log(), Name: "submissions", Holder: "hub-" + strconv.Itoa(b.starts), TTL: 1000 * time.Hour}
	ctx, halt := context.WithCancelCause(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		under.Run(ctx, func(ctx context.Context, held *lease.Held) error {
			b.runs.Add(1)
			return g.Run(ctx, held)
		})
	}()
	b.halt, b.done = halt, done
	return g
}

func (b *bench) openOf(flows ...string) []string {
	b.T.Helper()
	open, err := b.Store.WithUnpublished(b.T.Context(), flows)
	if err != nil {
		b.T.Fatal(err)
	}
	return open
}

// What is submitted to flows that read a topic comes there as it was given, under its hub id, and is in the sent log.
func TestGroupCarries(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		b.submitted("to-erp", "1")
		g := b.group(map[string]string{"to-erp": "canonical.order", "to-wms": "canonical.order", "foreign": "theirs"})
		b.Turn("the first", func() bool { return len(b.openOf("to-erp")) == 0 })
		b.submitted("to-erp", "2")
		b.submitted("foreign", "3", func(ev *event.Event) { ev.Hub = "" })
		g.Wake()
		b.Await("the others", func() bool { return len(b.openOf("to-erp", "foreign")) == 0 })
		b.stop()
		var got []string
		for i := range b.Topic.Records {
			r := &b.Topic.Records[i]
			e := event.Read(r)
			got = append(got, fmt.Sprint(r.Topic, " ", string(r.Key), " ", e.ID, " ", string(e.Data), " ", e.Submitted.For, " ", e.Version, " ", e.Hops))
		}
		slices.Sort(got)
		want := []string{`canonical.order h-1 submitted/repair/1 {"n":"1"} to-erp 7 1`, `canonical.order h-2 submitted/repair/2 {"n":"2"} to-erp 7 1`, `theirs SO-3 submitted/repair/3 {"n":"3"} foreign 7 1`}
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		// Were the log gone, it would be put there again.
		rec := &state.Recovery{Who: "ann", Topics: []state.RecoverTopic{{Topic: "canonical.order", TopicID: "new", NewLife: true, Written: true, Ends: []int64{0, 0, 0, 0}, Readers: []string{"to-erp", "to-wms"}}}}
		rep, err := b.Store.Recover(t.Context(), rec)
		if err != nil || rep.Topics[0].Records != 2 {
			t.Fatalf("%+v %v", rep, err)
		}
		lost, err := b.Store.Lost(t.Context(), "canonical.order", 10)
		if err != nil || len(lost) == 0 || lost[0].Flow != "to-erp" {
			t.Fatalf("%+v %v", lost, err)
		}
		again := event.Read(&lost[0].Records[0])
		first := slices.IndexFunc(b.Topic.Records, func(r event.Record) bool { return event.Read(&r).ID == again.ID })
		if was := event.Read(&b.Topic.Records[first]); !reflect.DeepEqual(again, was) {
			t.Errorf("again %+v, was %+v", again, was)
		}
	})
}

// A topic that takes nothing holds up no other, and goes on when it does.
func TestGroupWithADeadTopic(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		var down atomic.Bool
		down.Store(true)
		b.Topic.Refuse = func(r event.Record) error {
			if down.Load() && r.Topic == "dead" {
				return errDown
			}
			return nil
		}
		b.submitted("a", "1")
		b.submitted("b", "2")
		b.group(map[string]string{"a": "dead", "b": "alive"})
		b.Turn("the other", func() bool { return len(b.openOf("b")) == 0 })
		b.submitted("b", "3")
		b.Turn("the next of the other", func() bool { return len(b.openOf("b")) == 0 })
		if open := b.openOf("a", "b"); !slices.Equal(open, []string{"a"}) {
			t.Errorf("open %v", open)
		}
		down.Store(false)
		b.Turn("the dead one", func() bool { return len(b.openOf("a")) == 0 })
	})
}

// heldLogs says of one topic that it is not what the hub takes it for.
type heldLogs struct {
	anyLog
	topic string
	asked atomic.Int64
}

func (h *heldLogs) Held(topic string) error {
	if topic != h.topic {
		return nil
	}
	h.asked.Add(1)
	return fmt.Errorf("%w: wiped", state.ErrBroker)
}

// A topic that a person has to look at is asked for once a second, and not over and over; the lease stays.
func TestGroupWithAHeldTopic(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		logs := &heldLogs{topic: "wiped"}
		b.logs = logs
		b.submitted("a", "1")
		b.submitted("b", "2")
		b.group(map[string]string{"a": "wiped", "b": "alive"})
		b.Turn("the other", func() bool { return len(b.openOf("b")) == 0 })
		began, from := b.Clock.Now(), logs.asked.Load()
		// The first of them may be the one that the other's end has woken.
		b.Turn("ten looks, and one", func() bool { return logs.asked.Load() >= from+11 })
		if took := b.Clock.Now().Sub(began); took < 9*time.Second {
			t.Errorf("ten looks in %v", took)
		}
		if open := b.openOf("a", "b"); !slices.Equal(open, []string{"a"}) || b.Topic.Count() != 1 || b.runs.Load() != 1 {
			t.Errorf("open %v, %d records; the work under the lease was begun %d times", open, b.Topic.Count(), b.runs.Load())
		}
	})
}

// Killed between publish and mark, a group publishes again, under the same id, and what the store keeps is one record.
func TestGroupDiesBetweenPublishAndMark(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		asked := make(chan struct{}, 1)
		b.between = func(s Store) Store { return &unmarked{s, asked} }
		b.submitted("to-erp", "1")
		b.group(map[string]string{"to-erp": "canonical.order"})
		b.Turn("the publish", func() bool { return len(asked) == 1 })
		b.crash()
		b.between = nil
		b.group(map[string]string{"to-erp": "canonical.order"})
		b.Turn("the mark", func() bool { return len(b.openOf("to-erp")) == 0 })
		b.stop()
		if ids := b.Topic.IDs(); !slices.Equal(ids, []string{"submitted/repair/1", "submitted/repair/1"}) {
			t.Errorf("ids %v", ids)
		}
	})
}

// A group whose lease is another's marks nothing, and works again when it has it back.
func TestFencedGroup(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		sent, goOn := make(chan struct{}, 1), make(chan struct{})
		var once atomic.Bool
		b.Topic.Refuse = func(event.Record) error {
			if once.CompareAndSwap(false, true) {
				sent <- struct{}{}
				<-goOn
			}
			return nil
		}
		b.submitted("to-erp", "1")
		b.group(map[string]string{"to-erp": "canonical.order"})
		b.Turn("the publish", func() bool { return len(sent) == 1 })
		other, ok, err := b.Store.AcquireLease(t.Context(), "submissions", "hub-1", time.Hour) // its own name: a successor after a crash
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		close(goOn)
		if err := b.Store.ReleaseLease(t.Context(), other); err != nil && !errors.Is(err, state.ErrFenced) {
			t.Fatal(err)
		}
		b.Turn("the mark", func() bool { return len(b.openOf("to-erp")) == 0 })
	})
}

// What is submitted to a flow from a system is read as its inbox is: by the flow's own key, and in the order of acceptance where nobody tells a version.
func TestRelayOfSubmissions(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		plain := func(ev *event.Event) { ev.Hub, ev.Hops, ev.Submitted.For = "", 0, "" }
		b.submitted("orders", "1", plain)
		b.submitted("orders", "2", plain, func(ev *event.Event) { ev.Version = "" })
		b.submitted("orders", "3", plain, func(ev *event.Event) { ev.Version, ev.Key = "", "guessed" })
		rows, err := b.Store.Unpublished(t.Context(), "orders", 10, 0)
		if err != nil {
			t.Fatal(err)
		}
		b.start(Source{Lists: true, Key: inboxtest.Field("n")})
		b.Turn("the events", func() bool { return b.Topic.Count() == 3 && b.Unpublished() == 0 })
		b.stop()
		var got []string
		for i := range b.Topic.Records {
			e := event.Read(&b.Topic.Records[i])
			got = append(got, fmt.Sprint(string(b.Topic.Records[i].Key), " ", e.Key, " ", e.Version, " ", e.Submitted))
		}
		slices.Sort(got)
		want := []string{"1 1 7 repair by crm-erp: name", fmt.Sprint("2 2 ", rows[1].Seq, " repair by crm-erp: name"), fmt.Sprint("3 3 ", rows[2].Seq, " repair by crm-erp: name")}
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		// A flow that computes the version of the document is told none.
		b.submitted("orders", "4", plain, func(ev *event.Event) { ev.Version = "" })
		b.start(Source{Lists: true, Key: inboxtest.Field("n"), Versioned: true})
		b.Turn("the last", func() bool { return b.Topic.Count() == 4 && b.Unpublished() == 0 })
		if e := event.Read(&b.Topic.Records[3]); e.Version != "" {
			t.Errorf("version %q", e.Version)
		}
	})
}

// What the topic does not take for its size comes there as a refusal for the one flow that it is for, and as an event when the flow hands it back.
func TestGroupWithATooLargeRecord(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		var most atomic.Int64
		most.Store(5)
		b.Topic.Refuse = func(r event.Record) error {
			if int64(len(r.Value)) > most.Load() {
				return fault.New(fault.Invalid, "the record is larger than the broker takes")
			}
			return nil
		}
		b.submitted("to-erp", "1")
		b.group(map[string]string{"to-erp": "canonical.order"})
		b.Turn("the refusal", func() bool { return len(b.openOf("to-erp")) == 0 })
		no := b.Topic.Events()[0]
		if no.Refused == nil || no.Refused.Code != event.RefusedRecord || no.Refused.Inbox == 0 || no.Submitted.For != "to-erp" || string(b.Topic.Records[0].Key) != no.ID {
			t.Fatalf("%+v %+v", no, no.Refused)
		}
		// As the flow does when a person has made the topic take more and replays it.
		most.Store(1000)
		again := no
		again.Refused = &event.Refusal{Code: event.RefusedRecord, Reading: 1}
		row := state.Inbound{Flow: "to-erp", ID: no.ID + "~1", Body: []byte(`{"n":"1"}`), Received: b.Clock.Now(), Event: &again}
		if _, _, err := b.Store.Submit(t.Context(), []state.Inbound{withDelivery(row)}, state.Submitting{}); err != nil {
			t.Fatal(err)
		}
		b.Turn("the event", func() bool { return b.Topic.Count() == 2 && len(b.openOf("to-erp")) == 0 })
		if ev := b.Topic.Events()[1]; ev.Refused != nil || string(ev.Data) != `{"n":"1"}` || string(b.Topic.Records[1].Key) != "h-1" || ev.ID != no.ID {
			t.Errorf("%+v %+v", ev, ev.Refused)
		}
	})
}

func withDelivery(row state.Inbound) state.Inbound {
	row.DeliveryID = row.ID
	return row
}

// What came in while a flow read a system is no submission: on a topic that others read it would be anybody's. It stays, and an alarm says what to do.
func TestGroupLeavesWhatNobodySubmitted(t *testing.T) {
	for name, left := range map[string]func(*bench){ // all of the flow orders
		"accepted": func(b *bench) { b.Accept(inboxtest.Inbound("d-1", `{"n":"1"}`)) },
		"to be read anew": func(b *bench) {
			b.HandBack(event.Event{ID: "d-1", Source: "crm", Entity: "order", Operation: event.Upsert, Key: "SO-1", Version: "7", Origin: "crm", Refused: &event.Refusal{Code: event.RefusedKey}}, `{"n":"1"}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			onStores(t, func(t *testing.T, b *bench) {
				left(b)
				b.submitted("b", "2")
				b.group(map[string]string{"orders": "canonical.order", "b": "canonical.order"})
				b.Turn("the other flow's", func() bool { return len(b.openOf("b")) == 0 })
				b.Turn("the alarm", func() bool { return strings.Contains(b.seen.Text(AlarmStuck), "put its source back") })
				began := b.Clock.Now()
				b.Turn("ten looks more", func() bool { return b.Clock.Now().Sub(began) >= 10*time.Second })
				if open := b.openOf("orders"); len(open) != 1 || b.Topic.Count() != 1 {
					t.Errorf("open %v, %d records on the topics", open, b.Topic.Count())
				}
				if b.seen.raised.Load() != 1 || b.runs.Load() != 1 {
					t.Errorf("it was raised %d times, and the work under the lease was begun %d times", b.seen.raised.Load(), b.runs.Load())
				}
				halt, done := b.halt, b.done
				b.start(Source{Key: inboxtest.Field("n")}) // as on a hub that has the source still
				b.Turn("it is carried there", func() bool { return len(b.openOf("orders")) == 0 })
				b.stop()
				b.halt, b.done = halt, done
				b.submitted("orders", "3")
				b.Turn("it is over", func() bool { return len(b.openOf("orders")) == 0 && b.seen.Text(AlarmStuck) == "" })
			})
		})
	}
}
