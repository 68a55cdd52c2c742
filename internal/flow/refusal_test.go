package flow

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
)

// turnedAway is a refusal as the relay publishes it.
func turnedAway(id, code, doc string) event.Event {
	return event.Event{ID: id, Source: "erp", Entity: "order", Operation: event.Upsert, Version: "7", Origin: "erp", Time: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC),
		Accepted: time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC), Data: []byte(doc), Refused: &event.Refusal{Kind: "mapping", Code: code, Reason: "why: " + code}}
}

// relayed hands records over under the keys that the relay gives them.
func (w *world) relayed(r *Runner, events ...event.Event) {
	w.t.Helper()
	for _, e := range events { // one lane each
		key := e.Key
		if e.Refused != nil {
			key = e.ID
		}
		b := &event.Batch{Group: r.flow.Group(), Topic: r.flow.Topic(), Epoch: w.epoch(r), Lane: event.LaneOf(key, 16),
			Records: []event.Record{{Topic: r.flow.Topic(), Offset: w.next[r.flow.Name], Key: []byte(key), Value: e.Data, Headers: e.Headers(), Time: w.clock.Now()}}}
		w.next[r.flow.Name]++
		if err := w.hand(r, b); err != nil {
			w.t.Fatal(err)
		}
	}
}

func erpOrder(no, version string) event.Event {
	return event.Event{ID: no + "@" + version, Source: "erp", Entity: "order", Operation: event.Upsert, Key: no, Version: version, Data: fmt.Appendf(nil, `{"no":%q,"qty":1,"rev":%s}`, no, version)}
}

func (w *world) inbox(flow string) []state.Inbound {
	w.t.Helper()
	rows, err := w.store.Unpublished(w.t.Context(), flow, 100, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	return rows
}

// A refusal is parked like any other message, with its journal, and each alone: also where its id is the key of others, which go on.
func TestRefusalParksAlone(t *testing.T) {
	for _, name := range []string{"before it", "behind it"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			r := w.flow("erp-orders")
			bad := turnedAway("A", event.RefusedKey, `{"qty":1}`)
			if name == "before it" {
				bad, first := bad, erpOrder("A", "1")
				first.Data = []byte(`{"no":"A","qty":"many","rev":1}`) // parked itself, and its followers behind it
				w.relayed(r, first, bad, erpOrder("A", "2"), erpOrder("B", "1"))
				w.expect("erp-orders", "delivered=1 parked=3")
				w.relayed(r, turnedAway("B", event.RefusedKey, `{"qty":2}`), erpOrder("B", "2"))
				w.expect("erp-orders", "delivered=1 duplicate=1 parked=4")
			} else {
				w.relayed(r, bad, turnedAway("C", event.RefusedSplit, `{}`), erpOrder("A", "1"))
				w.expect("erp-orders", "delivered=1 parked=2")
			}
			for _, q := range w.queue("erp-orders") {
				if q.Event.Refused == nil {
					continue
				}
				if q.Blocking || q.Follower || q.Lane != q.Event.ID || q.Kind != "mapping" || q.Reason != "why: "+q.Code || q.Partition != 0 || q.Event.Version != "7" || q.Event.Key != "" {
					t.Errorf("parked %+v", q)
				}
				tr, err := w.store.Trace(t.Context(), q.Event.ID)
				if err != nil || !slices.ContainsFunc(tr.Journal, func(j state.Journal) bool {
					return j.EventID == q.Event.ID && j.Outcome == state.Parked && j.Reason == q.Reason
				}) {
					t.Errorf("journal %+v, %v", tr.Journal, err)
				}
			}
			// A replay does not wait for the key of its name either.
			at := slices.IndexFunc(w.queue("erp-orders"), func(q state.Queued) bool { return q.Event.ID == "A" })
			w.mark(r, w.queue("erp-orders")[at].ID, state.MarkReplay)
			w.until("it was looked at", func() bool { return w.queue("erp-orders")[at].Attempts == 2 })
		})
	}
}

// What has no key and what the flow does not want, such as a draft that has no number yet, is left out as others are that it does not want. What it might want, or nobody can tell, is parked.
func TestUnwantedWithoutAKey(t *testing.T) {
	w := newWorld(t)
	r := w.flow("erp-orders")
	w.relayed(r, turnedAway("d1", event.RefusedKey, `{"no":"","qty":-1}`), turnedAway("d2", event.RefusedKey, `{"qty":1}`), turnedAway("d3", event.RefusedKey, `{"qty":"many"}`), turnedAway("d4", event.RefusedSplit, `{"no":"","qty":-1}`))
	w.expect("erp-orders", "filtered=1 parked=3")
	w.relayed(r, turnedAway("d1", event.RefusedKey, `{"no":"","qty":-1}`))
	w.expect("erp-orders", "filtered=2 parked=3")
	for _, q := range w.queue("erp-orders") {
		if q.Event.ID == "d1" {
			t.Errorf("parked %+v", q)
		}
	}
}

// However often a refusal is published, it is parked once: in one batch, later, and when a person has dealt with it since.
func TestRefusalTwice(t *testing.T) {
	w := newWorld(t)
	r := w.flow("erp-orders")
	bad := turnedAway("d1", event.RefusedKey, `{"qty":1}`)
	b := &event.Batch{Group: r.flow.Group(), Topic: r.flow.Topic(), Epoch: w.epoch(r), Lane: event.LaneOf("d1", 16)}
	for i := range int64(2) {
		b.Records = append(b.Records, event.Record{Topic: r.flow.Topic(), Offset: i, Key: []byte("d1"), Value: bad.Data, Headers: bad.Headers(), Time: w.clock.Now()})
	}
	w.next["erp-orders"] = 2
	if err := w.hand(r, b); err != nil {
		t.Fatal(err)
	}
	w.expect("erp-orders", "duplicate=1 parked=1")
	w.relayed(r, bad)
	w.expect("erp-orders", "duplicate=2 parked=1")
	w.mark(r, w.queue("erp-orders")[0].ID, state.MarkDiscard)
	w.until("given up", func() bool { return w.summary("erp-orders") == "duplicate=2 discarded=1" })
	w.relayed(r, bad)
	w.expect("erp-orders", "duplicate=3 discarded=1")
	again := bad
	again.Refused = &event.Refusal{Kind: "mapping", Code: event.RefusedKey, Reason: "again", Reading: 1}
	w.relayed(r, again)
	w.expect("erp-orders", "duplicate=3 parked=1 discarded=1")
}

// A replay looks again: what would be refused again stays, with the new reason; anything else goes back to the inbox, whole and with all that
// the event had, and counts there.
func TestReplayOfARefusal(t *testing.T) {
	const doc = `{"no":"N","qty":1,"rev":3}`
	for name, c := range map[string]struct {
		code, doc, edit string
		headers         map[string]string
		stays           string // a part of the reason; empty: it goes back
	}{
		"still no key":              {code: event.RefusedKey, doc: `{"qty":1}`, stays: "the key is empty"},
		"an empty key":              {code: event.RefusedKey, doc: `{"no":"","qty":1}`, stays: "the key is empty"},
		"an edit without a key":     {code: event.RefusedKey, doc: `{"qty":1}`, edit: `{"qty":2}`, stays: "the key is empty"},
		"a key too long":            {code: event.RefusedKey, doc: `{"no":"` + strings.Repeat("x", 1025) + `","qty":1}`, stays: "the key cannot be taken: it has 1025 bytes, and 1024 are taken at most"},
		"a key that no store keeps": {code: event.RefusedKey, doc: `{"no":"a\u0000b","qty":1}`, stays: "it holds the character U+0000"},
		"edited":                    {code: event.RefusedKey, doc: `{"qty":1}`, edit: doc},
		"the flow was mended":       {code: event.RefusedKey, doc: doc, headers: map[string]string{"file-name": "a.csv"}},
		"a row as it was":           {code: event.RefusedRow, doc: doc, stays: "edit the document before it is replayed"},
		"a row, edited":             {code: event.RefusedRow, doc: "null", edit: doc},
		"still larger than a topic": {code: event.RefusedRecord, doc: `{"no":"N","x":"` + strings.Repeat("x", 5000) + `"}`, stays: "and topic in.erp-orders takes 4000"},
		"made smaller":              {code: event.RefusedRecord, doc: `{"no":"N","x":"` + strings.Repeat("x", 5000) + `"}`, edit: doc},
		"no longer JSON":            {code: event.RefusedKey, doc: `{"no":`, stays: "not acceptable JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.deps.MaxRecord = func(string) int { return 4000 }
			r := w.flow("erp-orders")
			bad := turnedAway("d1.2", c.code, c.doc)
			bad.Refused.Headers = c.headers
			w.relayed(r, bad)
			w.expect("erp-orders", "parked=1")
			q := w.queue("erp-orders")[0]
			want := c.doc
			if c.edit != "" {
				want = c.edit
				if err := w.store.Edit(t.Context(), state.Edit{ID: q.ID, Data: []byte(c.edit), Who: "ann", Note: "fixed"}); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 { // nothing changes by asking twice
				if len(w.inbox("erp-orders")) == 0 {
					w.mark(r, q.ID, state.MarkReplay)
				}
				w.until("it was looked at", func() bool {
					rows := w.queue("erp-orders")
					return len(rows) == 0 || rows[0].Mark == ""
				})
			}
			in := w.inbox("erp-orders")
			if c.stays != "" {
				w.expect("erp-orders", "parked=1")
				left := w.queue("erp-orders")[0]
				if left.ID != q.ID || left.Attempts != 3 || !strings.Contains(left.Reason, c.stays) || strings.Count(left.Reason, "edit the document") > 1 || left.Blocking || len(in) != 0 {
					t.Errorf("left %+v, inbox %v", left, in)
				}
				return
			}
			w.expect("erp-orders", "")
			if n := w.totals("erp-orders"); n.Finished != 0 || n.Unpublished != 1 {
				t.Errorf("totals %+v", n)
			}
			if len(in) != 1 || string(in[0].Body) != want || in[0].ID != fmt.Sprint("d1.2~", q.ID) || fmt.Sprint(in[0].Headers) != fmt.Sprint(c.headers) {
				t.Fatalf("inbox %+v", in)
			}
			ev := in[0].Event
			if ev == nil || ev.ID != "d1.2" || ev.Version != "7" || !ev.Accepted.Equal(bad.Accepted) || !ev.Time.Equal(bad.Time) || ev.Source != "erp" ||
				ev.Refused == nil || ev.Refused.Reading != 1 || ev.Refused.Code != c.code {
				t.Errorf("the event %+v", ev)
			}
		})
	}
}

// The document of a refusal whose record could not hold it is taken from the inbox, with the headers, and is the message's from then on.
func TestRefusalWithoutItsDocument(t *testing.T) {
	w := newWorld(t)
	r := w.flow("erp-orders")
	_, seqs, err := w.store.Accept(t.Context(), []state.Inbound{{Flow: "erp-orders", ID: "d1", Body: []byte(`{"large":true}`), Headers: map[string]string{"x": "y"}}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	bad := turnedAway("d1", event.RefusedRecord, "")
	bad.Key, bad.Refused.Inbox = "N", seqs[0]
	gone := turnedAway("d2", event.RefusedRecord, "")
	gone.Refused.Inbox = seqs[0] + 1000
	w.relayed(r, bad, gone)
	rows := w.queue("erp-orders")
	if len(rows) != 2 {
		t.Fatalf("parked %+v", rows)
	}
	q, err := w.store.ParkedByID(t.Context(), rows[0].ID)
	if err != nil || string(q.Event.Data) != `{"large":true}` || q.Event.Refused.Headers["x"] != "y" || q.Event.Refused.Inbox != 0 || q.Event.Key != "N" || q.Event.Operation != event.Upsert {
		t.Errorf("parked %+v %+v, %v", q, q.Event.Refused, err)
	}
	if !strings.Contains(rows[1].Reason, "no longer in the inbox") {
		t.Errorf("parked %+v", rows[1])
	}
}

// While a flow is paused its refusals rest like its other messages, but for what a person has given up.
func TestRefusalsOfAPausedFlow(t *testing.T) {
	w := newWorld(t)
	r := w.flow("erp-orders")
	w.relayed(r, turnedAway("d1", event.RefusedKey, `{"no":"N","qty":1,"rev":1}`), turnedAway("d2", event.RefusedKey, `{}`))
	r.Pause()
	rows := w.queue("erp-orders")
	w.mark(r, rows[0].ID, state.MarkReplay)
	w.mark(r, rows[1].ID, state.MarkDiscard)
	w.until("given up", func() bool { return w.summary("erp-orders") == "parked=1 discarded=1" })
	if len(w.inbox("erp-orders")) != 0 {
		t.Error("handed back while the flow is paused")
	}
	r.Resume()
	w.until("handed back", func() bool { return len(w.inbox("erp-orders")) == 1 })
}

// Only what comes from a system can have been refused by the intake: the header of another program's record says nothing.
func TestRefusalOfAnotherProgram(t *testing.T) {
	w := newWorldOf(t, testFlows, store.Config{})
	r := w.flow("orders-to-erp")
	e := order("A", 1, "1")
	e.Refused = &event.Refusal{Kind: "mapping", Code: event.RefusedKey, Reason: "no"}
	w.must(r, e)
	w.expect("orders-to-erp", "delivered=1")
}
