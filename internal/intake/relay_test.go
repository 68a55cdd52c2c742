package intake

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/state"
)

func inbound(id, body string) state.Inbound {
	return state.Inbound{DeliveryID: id, ID: id, Body: []byte(body), Trace: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
}

func TestRelayMakesEvents(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		row := inbound("d1", `{"id":"SO-1","n":1.50}`)
		row.Headers = map[string]string{headerTime: "2026-01-15T10:00:00Z", "x": "y"}
		row.Received = b.clock.Now().Add(-time.Minute)
		b.accept(row)
		b.start(Source{Webhook: standardHook(), Key: field("id")})
		b.turn("the event", func() bool { return b.topic.count() == 1 && b.unpublished() == 0 })
		got := b.topic.events()[0]
		want := event.Event{ID: "d1", Source: "crm", Entity: "order", Operation: event.Upsert, Key: "SO-1", Version: got.Version, Origin: "crm",
			Time: time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC), Accepted: row.Received.UTC(), Trace: row.Trace, Data: []byte(`{"id":"SO-1","n":1.50}`)}
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
		if n, err := strconv.ParseInt(got.Version, 10, 64); err != nil || n < 1 {
			t.Errorf("version %q is not the inbox row's number", got.Version)
		}
		if r := b.topic.records[0]; r.Topic != "in.orders" || string(r.Key) != "SO-1" {
			t.Errorf("record %+v", r)
		}
	})
}

func TestRelayVersions(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		row := inbound("d1", `{"id":"1"}`)
		row.Headers = map[string]string{headerVersion: "2026-01-01T00:00:00Z"}
		b.accept(row)
		b.start(Source{Webhook: standardHook(), Key: field("id")})
		b.turn("the event", func() bool { return b.topic.count() == 1 && b.unpublished() == 0 })
		b.stop()
		b.start(Source{Webhook: standardHook(), Key: field("id"), Versioned: true})
		b.accept(inbound("d2", `{"id":"2"}`))
		b.turn("the event", func() bool { return b.topic.count() == 2 })
		ev := b.topic.events()
		if ev[0].Version != "2026-01-01T00:00:00Z" || ev[1].Version != "" {
			t.Errorf("versions %q and %q", ev[0].Version, ev[1].Version)
		}
	})
}

func TestRelaySplits(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		hook := standardHook()
		hook.Split = "data.orders"
		b.accept(inbound("d1", `{"data":{"orders":[{"id":"a"},{"id":"b","x":[1, 2]},{"n":1},{"id":"c"}]}}`), inbound("d2", `{"data":{"orders":[]}}`),
			inbound("d3", `{"data":{"orders":{}}}`), inbound("d4", `{}`))
		b.start(Source{Webhook: hook, Key: field("id")})
		b.turn("the events", func() bool { return b.topic.count() == 3 && b.unpublished() == 0 })
		if ids := b.topic.ids(); !slices.Equal(ids, []string{"d1.0", "d1.1", "d1.3"}) {
			t.Errorf("ids %v", ids)
		}
		if data := string(b.topic.events()[1].Data); data != `{"id":"b","x":[1, 2]}` {
			t.Errorf("data %s", data)
		}
		var got []string
		for _, q := range b.parked() {
			got = append(got, q.Event.ID+" "+q.Code+" "+q.Kind)
			if q.Partition != -1 || q.Topic != "in.orders" || q.Lane != q.Event.ID || q.Reason == "" {
				t.Errorf("parked %+v", q)
			}
		}
		if want := []string{"d1.2 key mapping", "d3 split mapping", "d4 split mapping"}; !slices.Equal(got, want) {
			t.Errorf("parked %v, want %v", got, want)
		}
	})
}

func TestRelaySplitsArrays(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		b.accept(inbound("d1", `[{"id":"a"},{"id":"b"}]`), inbound("d2", `{"id":"c"}`))
		b.start(Source{Webhook: standardHook(), Key: field("id")})
		b.turn("the events", func() bool { return b.topic.count() == 3 })
		if ids := b.topic.ids(); !slices.Equal(ids, []string{"d1.0", "d1.1", "d2"}) {
			t.Errorf("ids %v", ids)
		}
	})
}

// TestReplayAndDiscard: an edited event is read anew; what is still wrong is parked again; totals add up throughout.
func TestReplayAndDiscard(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		hook := standardHook()
		hook.Split = "orders"
		b.accept(inbound("d1", `{"orders":[{"n":1},{"n":2},{"n":3}]}`), inbound("d2", `{"order":1}`))
		in := b.start(Source{Webhook: hook, Key: field("id")})
		b.turn("the parking", func() bool { return len(b.parked()) == 4 })
		q := b.parked()
		edit := func(i int, data string, mark state.Mark) {
			t.Helper()
			if data != "" {
				if err := b.store.EditQueued(t.Context(), q[i].ID, []byte(data), "ann", "fixed"); err != nil {
					t.Fatal(err)
				}
			}
			if err := b.store.MarkQueued(t.Context(), q[i].ID, mark, "ann", ""); err != nil {
				t.Fatal(err)
			}
		}
		edit(0, `{"id":"fixed","n":1}`, state.MarkReplay)
		edit(1, "", state.MarkReplay) // still without a key
		edit(2, "", state.MarkDiscard)
		edit(3, `{"orders":[{"id":"x"},{"n":9}]}`, state.MarkReplay)
		in.Wake("orders")
		b.turn("the replay", func() bool {
			left := b.parked()
			return b.topic.count() == 2 && len(left) == 2 && left[0].Mark == "" && left[0].Attempts == 1
		})
		if ids := b.topic.ids(); !slices.Equal(ids, []string{"d1.0", "d2.0"}) {
			t.Errorf("published %v", ids)
		}
		if ev := b.topic.events()[0]; ev.Key != "fixed" || string(ev.Data) != `{"id":"fixed","n":1}` || ev.Version == "" || ev.Source != "crm" {
			t.Errorf("event %+v", ev)
		}
		left := b.parked()
		if left[0].Event.ID != "d1.1" || left[1].Event.ID != "d2.1" || !strings.Contains(left[0].Reason, "missing") {
			t.Errorf("left %+v", left)
		}
		totals, err := b.store.Totals(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range totals {
			if f.Flow == "orders" && (f.Direct != 3 || f.Parked != 2 || f.Discarded != 1 || f.Unaccounted() != 0) {
				t.Errorf("totals %+v: unaccounted %d", f, f.Unaccounted())
			}
		}
	})
}

// TestOrderPerKey: whatever fails and for how long, events of one key come to the topic in their order, and none twice.
func TestOrderPerKey(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		r := rand.New(rand.NewPCG(1, 2))
		const rows, keys = 600, 7
		all := make([]state.Inbound, rows)
		for i := range all {
			all[i] = inbound(fmt.Sprintf("d%04d", i), fmt.Sprintf(`{"id":"k%d"}`, r.IntN(keys)))
		}
		b.accept(all...)
		b.topic.refuse = func(event.Record) error {
			switch r.IntN(5) {
			case 0:
				return errDown
			case 1:
				return errors.New("reset by peer")
			}
			return nil
		}
		b.start(Source{Webhook: standardHook(), Key: field("id")})
		b.turn("all events", func() bool { return b.topic.count() >= rows && b.unpublished() == 0 })
		last := map[string]string{}
		for _, e := range b.topic.events() {
			if e.ID <= last[e.Key] {
				t.Fatalf("key %s: %s comes after %s", e.Key, e.ID, last[e.Key])
			}
			last[e.Key] = e.ID
		}
		if b.topic.count() != rows {
			t.Errorf("%d events, want %d", b.topic.count(), rows)
		}
	})
}

func TestRelayAlarmsWhenItCannotPublish(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		var down atomic.Bool
		down.Store(true)
		b.topic.refuse = func(event.Record) error {
			if down.Load() {
				return errDown
			}
			return nil
		}
		b.accept(inbound("d1", `{"id":"1"}`))
		b.start(Source{Webhook: standardHook(), Key: field("id")})
		b.turn("the alarm", func() bool { return strings.Contains(b.seen.alarm(AlarmRelay), "publish to in.orders") })
		down.Store(false)
		b.turn("its end", func() bool { return b.topic.count() == 1 && b.seen.alarm(AlarmRelay) == "" })
	})
}

// TestTooLargeForTheBroker: a record that the broker will never take holds nobody up.
func TestTooLargeForTheBroker(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		b.topic.refuse = func(r event.Record) error {
			if len(r.Value) > 1000 {
				return fault.New(fault.Invalid, "the record is larger than the broker takes")
			}
			return nil
		}
		b.accept(inbound("d1", `{"id":"1","x":"`+strings.Repeat("x", 1000)+`"}`), inbound("d2", `{"id":"1"}`))
		b.start(Source{Webhook: standardHook(), Key: field("id")})
		b.turn("the second", func() bool { return b.topic.count() == 1 && b.unpublished() == 0 })
		q := b.parked()
		if len(q) != 1 || q[0].Event.ID != "d1" || q[0].Code != CodePublish || q[0].Event.Key != "1" {
			t.Errorf("parked %+v", q)
		}
	})
}

// unmarked is a store that never hears that rows were published.
type unmarked struct {
	Store
	asked chan struct{}
}

func (u *unmarked) MarkPublished(ctx context.Context, _ state.Lease, _ []state.Published, _ []state.Queued) error {
	select {
	case u.asked <- struct{}{}:
	default:
	}
	<-ctx.Done()
	return ctx.Err()
}

// TestDiesBetweenPublishAndMark: the events come again, under the same ids and in the same order, and are parked once.
func TestDiesBetweenPublishAndMark(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		b.accept(inbound("d1", `[{"id":"a"},{"id":"b"},{"n":1}]`), inbound("d2", `{"id":"a"}`))
		asked := make(chan struct{}, 1)
		b.between = func(s Store) Store { return &unmarked{s, asked} }
		b.start(Source{Webhook: standardHook(), Key: field("id")})
		<-asked
		first := b.topic.ids()
		b.crash()
		if n := b.unpublished(); n != 2 {
			t.Fatalf("%d rows are unpublished", n)
		}
		b.between = nil
		b.start(Source{Webhook: standardHook(), Key: field("id")})
		b.turn("the events again", func() bool { return b.unpublished() == 0 })
		if again := b.topic.ids()[len(first):]; len(first) != 3 || !slices.Equal(first, again) {
			t.Errorf("first %v, then %v", first, again)
		}
		ev := b.topic.events()
		for i := range first {
			if one, two := ev[i], ev[len(first)+i]; one.Version != two.Version || one.Trace != two.Trace || string(one.Data) != string(two.Data) {
				t.Errorf("event %s came otherwise: %+v and %+v", one.ID, one, two)
			}
		}
		if q := b.parked(); len(q) != 1 || q[0].Event.ID != "d1.2" {
			t.Errorf("parked %+v", q)
		}
	})
}

// TestFencedRelay: a relay whose lease is another's marks nothing, and the other one goes on.
func TestFencedRelay(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		b.accept(inbound("d1", `{"id":"a"}`))
		block := make(chan struct{})
		sent := make(chan struct{}, 1)
		var once atomic.Bool
		b.topic.refuse = func(event.Record) error {
			if once.CompareAndSwap(false, true) {
				sent <- struct{}{}
				<-block
			}
			return nil
		}
		b.start(Source{Webhook: standardHook(), Key: field("id")})
		<-sent // published, and not marked yet
		lease, ok, err := b.store.AcquireLease(t.Context(), "relay/orders", "hub-1", time.Hour)
		if err != nil || !ok {
			t.Fatalf("%v %v", ok, err)
		}
		close(block)
		// The first relay is refused when it marks; it comes back when the lease is free.
		if n := b.unpublished(); n != 1 {
			t.Errorf("%d rows", n)
		}
		if err := b.store.ReleaseLease(t.Context(), lease); err != nil {
			t.Fatal(err)
		}
		b.turn("the mark", func() bool { return b.unpublished() == 0 })
		if ids := b.topic.ids(); len(ids) < 1 || ids[0] != "d1" {
			t.Errorf("ids %v", ids)
		}
	})
}

// TestKeyPanics: an expression's panic parks its document and nothing else.
func TestKeyPanics(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		b.accept(inbound("d1", `{"id":"a"}`), inbound("d2", `{"id":"b"}`))
		n := atomic.Int32{}
		key := func(ctx context.Context, in Input) (string, error) {
			id := in.Doc.Root().Get("id").Str()
			if id == "a" {
				panic("index out of range")
			}
			if n.Add(1) == 1 {
				return "", fmt.Errorf("xref: %w", errDown) // none of the document's
			}
			return id, nil
		}
		b.start(Source{Webhook: standardHook(), Key: key})
		b.turn("the second", func() bool { return b.topic.count() == 1 && b.unpublished() == 0 })
		if q := b.parked(); len(q) != 1 || !strings.Contains(q[0].Reason, "index out of range") {
			t.Errorf("parked %+v", q)
		}
	})
}
