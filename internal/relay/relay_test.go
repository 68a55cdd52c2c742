package relay

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
	"github.com/waybill-hub/waybill/internal/inbox"
	"github.com/waybill-hub/waybill/internal/inbox/inboxtest"
	"github.com/waybill-hub/waybill/internal/state"
)

func TestRelayMakesEvents(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		row := inboxtest.Inbound("d1", `{"id":"SO-1","n":1.50}`)
		row.Headers = map[string]string{inbox.HeaderTime: "2026-01-15T10:00:00Z", "x": "y"}
		row.Received = b.Clock.Now().Add(-time.Minute)
		b.Accept(row)
		b.start(Source{Lists: true, Key: inboxtest.Field("id")})
		b.Turn("the event", func() bool { return b.Topic.Count() == 1 && b.Unpublished() == 0 })
		got := b.Topic.Events()[0]
		want := event.Event{ID: "d1", Source: "crm", Entity: "order", Operation: event.Upsert, Key: "SO-1", Version: got.Version, Origin: "crm",
			Time: time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC), Accepted: row.Received.UTC(), Trace: row.Trace, Data: []byte(`{"id":"SO-1","n":1.50}`)}
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
		if n, err := strconv.ParseInt(got.Version, 10, 64); err != nil || n < 1 {
			t.Errorf("version %q is not the inbox row's number", got.Version)
		}
		if r := b.Topic.Records[0]; r.Topic != "in.orders" || string(r.Key) != "SO-1" {
			t.Errorf("record %+v", r)
		}
	})
}

// A key that no index takes is a refusal of its message alone, and not of the store for ever: what stands beside it is on its way.
func TestKeysThatCannotBeTaken(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		digits := rand.New(rand.NewPCG(1, 2))
		name := func(n int) string { // nothing that an index could make smaller
			out := make([]byte, n)
			for i := range out {
				out[i] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"[digits.IntN(62)]
			}
			return string(out)
		}
		most := name(1024)
		b.Accept(inboxtest.Inbound("d1", `[{"id":"`+most+`"},{"id":"`+most+`x"},{"id":"`+name(20_000)+`"},{"id":"a\u0000b"},{"id":"SO-1"}]`))
		b.start(Source{Lists: true, Key: inboxtest.Field("id")})
		b.Turn("all of them", func() bool { return b.Topic.Count() == 5 && b.Unpublished() == 0 })
		got := map[string]string{}
		for _, ev := range b.Topic.Events() {
			got[ev.ID] = ev.Key
			if ev.Refused != nil {
				got[ev.ID] = ev.Refused.Code + ": " + ev.Refused.Reason
			}
		}
		for id, want := range map[string]string{
			"d1.0": most, "d1.4": "SO-1",
			"d1.1": "key: the key cannot be taken: it has 1025 bytes, and 1024 are taken at most",
			"d1.2": "key: the key cannot be taken: it has 20000 bytes, and 1024 are taken at most",
			"d1.3": "key: the key cannot be taken: it holds the character U+0000, which no store keeps",
		} {
			if got[id] != want {
				t.Errorf("%s: %.100s, want %.100s", id, got[id], want)
			}
		}
	})
}

// The id that a poll gives stands for the key that a refused record has not; one that no index takes does not.
func TestLongIDOfARefusal(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		for id, local := range map[string]string{"d1": "17", "d2": strings.Repeat("x", 1025)} {
			row := inboxtest.Inbound(id, `{}`)
			row.Headers = map[string]string{inbox.HeaderLocal: local}
			b.Accept(row)
		}
		b.start(Source{Lists: true, Key: nil})
		b.Turn("both", func() bool { return b.Topic.Count() == 2 && b.Unpublished() == 0 })
		for _, ev := range b.Topic.Events() {
			if want := map[string]string{"d1": "17", "d2": ""}[ev.ID]; ev.Key != want || (ev.Refused != nil) != (want == "") {
				t.Errorf("%s: key %.20q, refused %+v", ev.ID, ev.Key, ev.Refused)
			}
		}
	})
}

func TestRelayVersions(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		row := inboxtest.Inbound("d1", `{"id":"1"}`)
		row.Headers = map[string]string{inbox.HeaderVersion: "2026-01-01T00:00:00Z"}
		b.Accept(row)
		b.start(Source{Lists: true, Key: inboxtest.Field("id")})
		b.Turn("the event", func() bool { return b.Topic.Count() == 1 && b.Unpublished() == 0 })
		b.stop()
		b.start(Source{Lists: true, Key: inboxtest.Field("id"), Versioned: true})
		b.Accept(inboxtest.Inbound("d2", `{"id":"2"}`))
		b.Turn("the event", func() bool { return b.Topic.Count() == 2 })
		ev := b.Topic.Events()
		if ev[0].Version != "2026-01-01T00:00:00Z" || ev[1].Version != "" {
			t.Errorf("versions %q and %q", ev[0].Version, ev[1].Version)
		}
	})
}

func TestRelaySplits(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		split := "data.orders"
		var places []string
		b.between = func(s Store) Store {
			return &meddler{Store: s, marked: func(done []state.Published) {
				for _, p := range done {
					for _, at := range p.Positions {
						places = append(places, fmt.Sprint(at.Index))
					}
				}
			}}
		}
		b.Accept(inboxtest.Inbound("d1", `{"data":{"orders":[{"id":"a"},{"id":"b","x":[1, 2]},{"n":1},{"id":"c"}]}}`), inboxtest.Inbound("d2", `{"data":{"orders":[]}}`),
			inboxtest.Inbound("d3", `{"data":{"orders":{}}}`), inboxtest.Inbound("d4", `{}`))
		b.start(Source{Lists: true, Split: split, Key: inboxtest.Field("id")})
		b.Turn("the events", func() bool { return b.Topic.Count() == 6 && b.Unpublished() == 0 })
		b.stop()
		if ids := b.Topic.IDs(); !slices.Equal(ids, []string{"d1.0", "d1.1", "d1.3"}) {
			t.Errorf("ids %v", ids)
		}
		if data := string(b.Topic.Events()[1].Data); data != `{"id":"b","x":[1, 2]}` {
			t.Errorf("data %s", data)
		}
		var got []string
		for i, r := range b.Topic.Records {
			e := event.Read(&b.Topic.Records[i])
			if e.Refused == nil {
				continue
			}
			got = append(got, e.ID+" "+e.Refused.Code+" "+e.Refused.Kind+" "+string(e.Data))
			if r.Topic != "in.orders" || string(r.Key) != e.ID || e.Refused.Reason == "" || e.Key != "" {
				t.Errorf("refused %+v", e)
			}
		}
		if want := []string{`d1.2 key mapping {"n":1}`, `d3 split mapping {"data":{"orders":{}}}`, `d4 split mapping {}`}; !slices.Equal(got, want) {
			t.Errorf("refused %v, want %v", got, want)
		}
		if want := []string{"0", "1", "2", "3", "-1", "-1"}; !slices.Equal(places, want) {
			t.Errorf("places of %v, want %v", places, want)
		}
	})
}

func TestRelaySplitsArrays(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		b.Accept(inboxtest.Inbound("d1", `[{"id":"a"},{"id":"b"}]`), inboxtest.Inbound("d2", `{"id":"c"}`))
		b.start(Source{Lists: true, Key: inboxtest.Field("id")})
		b.Turn("the events", func() bool { return b.Topic.Count() == 3 })
		if ids := b.Topic.IDs(); !slices.Equal(ids, []string{"d1.0", "d1.1", "d2"}) {
			t.Errorf("ids %v", ids)
		}
	})
}

// TestReadAnew: what was handed back is read anew, under the id, version and times that it had; what is still wrong is refused again, as
// another reading.
func TestReadAnew(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		split := "orders"
		one, two := inboxtest.Inbound("d1", `{"orders":[{"n":1},{"n":2}]}`), inboxtest.Inbound("d2", `{"order":1}`)
		one.Headers = map[string]string{"x-shop": "7"}
		one.Received = b.Clock.Now().Add(-time.Hour)
		b.Accept(one, two)
		b.start(Source{Lists: true, Split: split, Key: inboxtest.Field("id")})
		b.Turn("the refusals", func() bool { return len(b.Refused()) == 3 && b.Unpublished() == 0 })
		no := b.Refused()
		b.HandBack(no[0], `{"id":"fixed","n":1}`)
		b.HandBack(no[1], `{"n":2}`)
		b.Turn("the next reading", func() bool { return b.Topic.Count() == 5 && b.Unpublished() == 0 })
		if ids := b.Topic.IDs(); !slices.Equal(ids, []string{"d1.0"}) {
			t.Errorf("published %v", ids)
		}
		ev := b.Topic.Events()[3]
		if ev.Key != "fixed" || string(ev.Data) != `{"id":"fixed","n":1}` || ev.Version != no[0].Version || ev.Version == "" || ev.Source != "crm" ||
			!ev.Accepted.Equal(one.Received) || ev.Trace != one.Trace {
			t.Errorf("event %+v", ev)
		}
		again := b.Refused()[3]
		if again.ID != "d1.1" || again.Refused.Reading != 1 || again.Refused.Code != event.RefusedKey || again.Refused.Headers["x-shop"] != "7" ||
			!strings.Contains(again.Refused.Reason, "missing") {
			t.Errorf("refused again: %+v %+v", again, again.Refused)
		}
	})
}

// A list that could not be split is read anew as one: split, with each of its events under the id that it would have had.
func TestReadAnewAsAList(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		split := "orders"
		b.Accept(inboxtest.Inbound("d2", `{"order":1}`))
		b.start(Source{Lists: true, Split: split, Key: inboxtest.Field("id")})
		b.Turn("the refusal", func() bool { return len(b.Refused()) == 1 && b.Unpublished() == 0 })
		b.HandBack(b.Refused()[0], `{"orders":[{"id":"x"},{"n":9}]}`)
		b.Turn("the next reading", func() bool { return b.Topic.Count() == 3 && b.Unpublished() == 0 })
		no := b.Refused()[1]
		if ids := b.Topic.IDs(); !slices.Equal(ids, []string{"d2.0"}) || no.ID != "d2.1" || no.Refused.Code != event.RefusedKey {
			t.Errorf("published %v, refused %+v", ids, no)
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
			all[i] = inboxtest.Inbound(fmt.Sprintf("d%04d", i), fmt.Sprintf(`{"id":"k%d"}`, r.IntN(keys)))
		}
		b.Accept(all...)
		b.Topic.Refuse = func(event.Record) error {
			switch r.IntN(5) {
			case 0:
				return errDown
			case 1:
				return errors.New("reset by peer")
			}
			return nil
		}
		b.start(Source{Lists: true, Key: inboxtest.Field("id")})
		b.Turn("all events", func() bool { return b.Topic.Count() >= rows && b.Unpublished() == 0 })
		last := map[string]string{}
		for _, e := range b.Topic.Events() {
			if e.ID <= last[e.Key] {
				t.Fatalf("key %s: %s comes after %s", e.Key, e.ID, last[e.Key])
			}
			last[e.Key] = e.ID
		}
		if b.Topic.Count() != rows {
			t.Errorf("%d events, want %d", b.Topic.Count(), rows)
		}
	})
}

func TestRelayAlarmsWhenItCannotPublish(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		var down atomic.Bool
		down.Store(true)
		b.Topic.Refuse = func(event.Record) error {
			if down.Load() {
				return errDown
			}
			return nil
		}
		b.Accept(inboxtest.Inbound("d1", `{"id":"1"}`))
		b.start(Source{Lists: true, Key: inboxtest.Field("id")})
		b.Turn("the alarm", func() bool { return strings.Contains(b.seen.Text(AlarmStuck), "publish to in.orders") })
		down.Store(false)
		b.Turn("its end", func() bool { return b.Topic.Count() == 1 && b.seen.Text(AlarmStuck) == "" })
	})
}

// upTo1000 is a topic that takes no value of more than 1,000 bytes.
func upTo1000(r event.Record) error {
	if len(r.Value) > 1000 {
		return fault.New(fault.Invalid, "the record is larger than the broker takes")
	}
	return nil
}

// TestTooLargeForTheBroker: a record that the broker will never take holds nobody up, and its document stays in the inbox for the engine.
func TestTooLargeForTheBroker(t *testing.T) {
	x := strings.Repeat("x", 1000)
	for name, c := range map[string]struct {
		rows []state.Inbound
		// published and refused are "id" and "id code key" in order, bodies the documents that the refusals lead to.
		published, refused, bodies []string
	}{
		"a document": {
			rows:      []state.Inbound{inboxtest.Inbound("d1", `{"id":"1","x":"`+x+`"}`), inboxtest.Inbound("d2", `{"id":"1"}`)},
			published: []string{"d2"}, refused: []string{"d1 publish 1"}, bodies: []string{`{"id":"1","x":"` + x + `"}`},
		},
		"one of a list": {
			rows:      []state.Inbound{inboxtest.Inbound("d1", `[{"id":"1"},{"id":"2","x":"`+x+`"},{"id":"3"}]`)},
			published: []string{"d1.0", "d1.2"}, refused: []string{"d1.1 publish 2"}, bodies: []string{`{"id":"2","x":"` + x + `"}`},
		},
		"one of a list without a key": {
			rows:      []state.Inbound{inboxtest.Inbound("d1", `[{"x":"`+x+`"},{"id":"3"}]`)},
			published: []string{"d1.1"}, refused: []string{"d1.0 key "}, bodies: []string{`{"x":"` + x + `"}`},
		},
		"no JSON": {
			rows:    []state.Inbound{inboxtest.Inbound("d1", x+x)},
			refused: []string{"d1 split "}, bodies: []string{x + x},
		},
	} {
		t.Run(name, func(t *testing.T) {
			onStores(t, func(t *testing.T, b *bench) {
				b.Topic.Refuse = upTo1000
				b.Accept(c.rows...)
				b.start(Source{Lists: true, Key: inboxtest.Field("id")})
				b.Turn("all", func() bool { return b.Topic.Count() == len(c.published)+len(c.refused) && b.Unpublished() == 0 })
				var refused, bodies []string
				for _, no := range b.Refused() {
					refused = append(refused, no.ID+" "+no.Refused.Code+" "+no.Key)
					row, err := b.Store.Inbound(t.Context(), no.Refused.Inbox)
					if err != nil {
						t.Fatal(err)
					}
					bodies = append(bodies, string(row.Body))
				}
				if ids := b.Topic.IDs(); !slices.Equal(ids, c.published) || !slices.Equal(refused, c.refused) || !slices.Equal(bodies, c.bodies) {
					t.Errorf("published %v, refused %v of %.200v", ids, refused, bodies)
				}
			})
		})
	}
}

// A refusal without its document that the broker does not take either is no end of it: the relay tells a person, and nothing is lost.
func TestRefusalThatTheBrokerRefuses(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		var mended atomic.Bool
		b.Topic.Refuse = func(event.Record) error {
			if mended.Load() {
				return nil
			}
			return fault.New(fault.Invalid, "the topic takes nothing")
		}
		b.Accept(inboxtest.Inbound("d1", `{"id":"1"}`))
		b.start(Source{Lists: true, Key: inboxtest.Field("id")})
		b.Turn("the alarm", func() bool { return strings.Contains(b.seen.Text(AlarmStuck), "publish to in.orders") })
		if b.Unpublished() != 1 {
			t.Error("the row was marked")
		}
		mended.Store(true)
		b.Turn("its end", func() bool { return b.Topic.Count() == 1 && b.Unpublished() == 0 && b.seen.Text(AlarmStuck) == "" })
	})
}

// unmarked is a store that never hears that rows were published.
type unmarked struct {
	Store
	asked chan struct{}
}

func (u *unmarked) MarkPublished(ctx context.Context, _ state.Lease, _ []state.Published, _ []state.Inbound) error {
	select {
	case u.asked <- struct{}{}:
	default:
	}
	<-ctx.Done()
	return ctx.Err()
}

// TestDiesBetweenPublishAndMark: the events come again, under the same ids, keys and readings and in the same order.
func TestDiesBetweenPublishAndMark(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		b.Accept(inboxtest.Inbound("d1", `[{"id":"a"},{"id":"b"},{"n":1}]`), inboxtest.Inbound("d2", `{"id":"a"}`))
		asked := make(chan struct{}, 1)
		b.between = func(s Store) Store { return &unmarked{s, asked} }
		b.start(Source{Lists: true, Key: inboxtest.Field("id")})
		<-asked
		all := func() (ids []string) {
			for _, r := range b.Topic.Records {
				e := event.Read(&r)
				ids = append(ids, fmt.Sprint(e.ID, " ", string(r.Key), " ", e.Refused != nil && e.Refused.Reading == 0))
			}
			return ids
		}
		first := all()
		b.crash()
		if n := b.Unpublished(); n != 2 {
			t.Fatalf("%d rows are unpublished", n)
		}
		b.between = nil
		b.start(Source{Lists: true, Key: inboxtest.Field("id")})
		b.Turn("the events again", func() bool { return b.Unpublished() == 0 })
		if again := all()[len(first):]; len(first) != 4 || first[2] != "d1.2 d1.2 true" || !slices.Equal(first, again) {
			t.Errorf("first %v, then %v", first, again)
		}
		ev := b.Topic.Events()
		for i := range first {
			if one, two := ev[i], ev[len(first)+i]; one.Version != two.Version || one.Trace != two.Trace || string(one.Data) != string(two.Data) {
				t.Errorf("event %s came otherwise: %+v and %+v", one.ID, one, two)
			}
		}
	})
}

// TestFencedRelay: a relay whose lease is another's marks nothing, and the other one goes on.
func TestFencedRelay(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		b.Accept(inboxtest.Inbound("d1", `{"id":"a"}`))
		block := make(chan struct{})
		sent := make(chan struct{}, 1)
		var once atomic.Bool
		b.Topic.Refuse = func(event.Record) error {
			if once.CompareAndSwap(false, true) {
				sent <- struct{}{}
				<-block
			}
			return nil
		}
		b.start(Source{Lists: true, Key: inboxtest.Field("id")})
		<-sent // published, and not marked yet
		lease, ok, err := b.Store.AcquireLease(t.Context(), "relay/orders", "hub-1", time.Hour)
		if err != nil || !ok {
			t.Fatalf("%v %v", ok, err)
		}
		close(block)
		// The first relay is refused when it marks; it comes back when the lease is free.
		if n := b.Unpublished(); n != 1 {
			t.Errorf("%d rows", n)
		}
		if err := b.Store.ReleaseLease(t.Context(), lease); err != nil {
			t.Fatal(err)
		}
		b.Turn("the mark", func() bool { return b.Unpublished() == 0 })
		if ids := b.Topic.IDs(); len(ids) < 1 || ids[0] != "d1" {
			t.Errorf("ids %v", ids)
		}
	})
}

// TestKeyPanics: an expression's panic refuses its document and nothing else.
func TestKeyPanics(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		b.Accept(inboxtest.Inbound("d1", `{"id":"a"}`), inboxtest.Inbound("d2", `{"id":"b"}`))
		n := atomic.Int32{}
		key := func(ctx context.Context, in inbox.Input) (string, error) {
			id := in.Doc.Root().Get("id").Str()
			if id == "a" {
				panic("index out of range")
			}
			if n.Add(1) == 1 {
				return "", fmt.Errorf("xref: %w", errDown) // none of the document's
			}
			return id, nil
		}
		b.start(Source{Lists: true, Key: key})
		b.Turn("both", func() bool { return b.Topic.Count() == 2 && b.Unpublished() == 0 })
		if no := b.Refused(); len(no) != 1 || !strings.Contains(no[0].Refused.Reason, "index out of range") {
			t.Errorf("refused %+v", no)
		}
	})
}
