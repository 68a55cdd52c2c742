package flow

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/state"
)

// What a flow puts on a topic that flows read is in the outbox with its fate, as it lies there; what nobody reads is not.
func TestOutbox(t *testing.T) {
	for _, read := range []bool{true, false} {
		w := newWorld(t)
		if err := w.store.NoteLogs(t.Context(), []state.TopicLog{{Topic: "copies", Cluster: "c", TopicID: "t"}}); err != nil {
			t.Fatal(err)
		}
		r := w.flow("copy")
		r.read = read
		w.must(r, order("A", 1, "1"), order("B", 2, "1"), order("A", 3, "2"))
		w.expect("copy", "delivered=3")
		tops, err := w.store.Tops(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(tops["copies"]); read != (got == "[3]") || !read && got != "[]" {
			t.Errorf("read %t: kept up to %s", read, got)
		}
	}
}

// A log that is another one by the time the fate is stored does not hold what was sent: it is sent again.
func TestSentIntoAnotherLog(t *testing.T) {
	w := newWorld(t)
	if err := w.store.NoteLogs(t.Context(), []state.TopicLog{{Topic: "copies", Cluster: "c", TopicID: "t"}}); err != nil {
		t.Fatal(err)
	}
	life := int64(0)
	w.deps.Life = func(string) int64 { return life }
	r := w.flow("copy")
	r.read = true
	rec := &state.Recovery{Who: "ann", Topics: []state.RecoverTopic{{Topic: "copies", Cluster: "c", TopicID: "t2", NewLife: true, Readers: []string{"reader"}}}}
	if _, err := w.store.Recover(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	w.must(r, order("A", 1, "1")) // this hub has not heard of it
	life = 1
	w.must(r, order("B", 1, "1"))
	lost, err := w.store.Lost(t.Context(), "copies", 10)
	if err != nil || len(lost) != 1 || len(lost[0].Records) != 1 {
		t.Fatalf("lost: %+v, %v", lost, err)
	}
	if ev := event.Read(&lost[0].Records[0]); ev.Key != "A" || string(ev.Data) != string(w.log.records[0].Value) {
		t.Errorf("lost: %+v", ev)
	}
}

// A flow that stands still publishes nothing of what it has decided: the topic may not be the one that it was.
func TestAlarmBeforePublish(t *testing.T) {
	w := newWorld(t)
	r := w.flow("copy")
	w.log.fail = []error{errors.New("no broker")}
	w.log.failed = func() { r.RaiseAlarm("broker", state.ErrBroker) }
	done := make(chan error, 1)
	go func() { done <- w.batch(r, order("A", 1, "1")) }()
	w.until("the alarm", func() bool { return r.Alarmed() != nil })
	since := w.clock.Now()
	w.until("some time", func() bool { w.clock.Advance(time.Second); return w.clock.Now().Sub(since) > 30*time.Second })
	w.log.mu.Lock()
	n := len(w.log.records)
	w.log.mu.Unlock()
	if n != 0 {
		t.Errorf("%d records were published", n)
	}
	r.Resume()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	w.expect("copy", "delivered=1")
}

// What only its place can say of a record tells the lives of the log apart: ids, versions and the queues of records without a key.
func TestPlacesInLives(t *testing.T) {
	rec := &event.Record{Topic: "t", Partition: 1, Offset: 5, Value: []byte("{}")}
	for _, tt := range []struct {
		p                 *partition
		id, version, lane string
	}{
		{&partition{}, "t/1/5", "~1.5", "t/1/5"},
		{&partition{life: 2, base: 700}, "t/1/5@2", "~1.705", "t/1/5@2"},
	} {
		ev := tt.p.event(rec)
		if ev.ID != tt.id || ev.Version != tt.version || tt.p.laneName(rec) != tt.lane {
			t.Errorf("life %d: %s %s %s", tt.p.life, ev.ID, ev.Version, tt.p.laneName(rec))
		}
	}
	keyed := &event.Record{Topic: "t", Key: []byte("k"), Headers: []event.Header{{Key: event.HeaderID, Value: []byte("e1")}, {Key: event.HeaderVersion, Value: []byte("9")}}}
	p := &partition{life: 3, base: 100}
	if ev := p.event(keyed); ev.ID != "e1" || ev.Version != "9" || p.laneName(keyed) != "k" {
		t.Errorf("%+v %s", ev, p.laneName(keyed))
	}
}

// A record that no flow has written is told of, once.
func TestForeignRecords(t *testing.T) {
	w := newWorld(t)
	var told []string
	w.deps.Foreign = func(topic string) { told = append(told, topic) }
	r := w.flow("copy")
	w.must(r, with(order("A", 1, "1"), func(e *event.Event) { e.Hops = 1 }))
	if len(told) > 0 {
		t.Errorf("told of %v", told)
	}
	w.must(r, order("B", 1, "1"), order("C", 1, "1"))
	if fmt.Sprint(told) != "[orders]" {
		t.Errorf("told of %v", told)
	}
}
