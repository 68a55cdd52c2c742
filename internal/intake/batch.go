package intake

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/state"
)

// Codes of what the relay parks.
const (
	CodeKey     = "key"     // the business key cannot be evaluated, or is empty
	CodeSplit   = "split"   // the list of documents is not there, or none
	CodeRow     = "row"     // the row of a file cannot be read
	CodePublish = "publish" // the broker refuses the record, for its size
)

const (
	kindInvalid = "invalid"
	kindMapping = "mapping"
)

// batch is what is published together: events in order, and what is parked instead.
type batch struct {
	*relay
	out  []outgoing
	park []state.Queued
	// life is the life of the topic's log that was known before anything was sent.
	life int64
	// only, where it is not nil, are the events of the row at hand that are wanted.
	only []int
}

// outgoing is one event on its way.
type outgoing struct {
	ev   event.Event
	home *state.Published // where its place is noted
	at   *state.PublishedAt
	from *replay // nil for a new one
	// index is its number in the list that it was split from.
	index  int
	record event.Record
}

// replay is a parked row that a person wants to be tried again, and what becomes of it.
type replay struct {
	row     *state.Queued
	settled *state.Settled
}

// add turns an inbox row into events.
func (b *batch) add(ctx context.Context, row *state.Inbound, home *state.Published) error {
	ev := event.Event{
		ID: row.ID, Source: b.src.System, Entity: b.src.Entity, Operation: event.Upsert, Origin: b.src.System,
		Time: row.Received, Accepted: row.Received, Trace: row.Trace, Data: row.Body,
	}
	if at, err := time.Parse(time.RFC3339Nano, row.Headers[headerTime]); err == nil {
		ev.Time = at
	}
	if !b.src.Versioned {
		ev.Version = row.Headers[headerVersion]
		if ev.Version == "" {
			ev.Version = strconv.FormatInt(row.Seq, 10)
		}
	}
	if row.Headers[headerDeleted] != "" {
		ev.Operation = event.Delete
		if len(row.Body) == 0 {
			ev.Local = row.Headers[headerLocal]
			ev.Version = cmp.Or(row.Headers[headerKnown], ev.Version)
		}
	}
	if reason := row.Headers[headerError]; reason != "" {
		b.refuse(ev, nil, kindInvalid, CodeRow, reason)
		return nil
	}
	b.only = row.Again
	return b.events(ctx, ev, row.Headers, home, nil)
}

// again turns a parked event that is to be replayed into events. A row that stood for a list which is split at last comes
// to what its documents come to, and to nothing itself.
func (b *batch) again(ctx context.Context, from *replay, home *state.Published) error {
	ev := from.row.Event
	b.only = nil
	if from.row.Code == CodeSplit {
		return b.events(ctx, ev, nil, home, from)
	}
	return b.event(ctx, ev, 0, nil, nil, home, from)
}

// events splits a document where the source says so.
func (b *batch) events(ctx context.Context, ev event.Event, headers map[string]string, home *state.Published, from *replay) error {
	if b.src.Webhook == nil {
		return b.event(ctx, ev, 0, nil, headers, home, from)
	}
	doc := jsondoc.Get()
	defer jsondoc.Put(doc)
	if err := doc.Reset(ev.Data, bodyLimits); err != nil {
		b.refuse(ev, from, kindInvalid, CodeSplit, "the document is not acceptable JSON: "+err.Error())
		return nil
	}
	list := doc.Root()
	if path := b.src.Webhook.Split; path != "" {
		list = list.GetPath(path)
		if list.Kind() != jsondoc.Array {
			b.refuse(ev, from, kindMapping, CodeSplit, fmt.Sprintf("split: %s is %s, not a list", path, list.Kind()))
			return nil
		}
	}
	if list.Kind() != jsondoc.Array {
		return b.event(ctx, ev, 0, doc, headers, home, from)
	}
	i := 0
	for v := range list.Elements() {
		one := ev
		one.ID = ev.ID + "." + strconv.Itoa(i)
		one.Data = v.Raw()
		i++
		if err := b.event(ctx, one, i-1, nil, headers, home, from); err != nil {
			return err
		}
	}
	if i == 0 {
		b.log.Info("a delivery held an empty list", "flow", b.src.Flow, "delivery", ev.ID)
	}
	return nil
}

// event evaluates the key of one event and puts it on its way, or parks it. doc is ev.Data parsed, or nil.
func (b *batch) event(ctx context.Context, ev event.Event, index int, doc *jsondoc.Doc, headers map[string]string, home *state.Published, from *replay) error {
	if b.only != nil && !slices.Contains(b.only, index) {
		return nil // it has its fate
	}
	key, code, err := b.key(ctx, &ev, doc, headers)
	switch {
	case err != nil && ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		b.refuse(ev, from, kindMapping, code, err.Error())
		return nil
	case key == "":
		b.refuse(ev, from, kindMapping, CodeKey, "the key is empty")
		return nil
	}
	ev.Key = key
	b.out = append(b.out, outgoing{ev: ev, home: home, from: from, index: index})
	return nil
}

// key is the event's business key. A deletion of which the source tells nothing but the object's id has the key that the object had last, so that it
// comes behind the object's other events, or else the id.
func (b *batch) key(ctx context.Context, ev *event.Event, doc *jsondoc.Doc, headers map[string]string) (key, code string, err error) {
	local := headers[headerLocal]
	if b.src.Key == nil || ev.Operation == event.Delete && len(ev.Data) == 0 {
		switch {
		case local == "":
			return ev.Key, CodeKey, nil // of a replay: what it had
		case b.src.Key == nil:
			return local, CodeKey, nil
		}
		err := b.insist(ctx, "look for a key", func() (err error) {
			key, err = b.box.KnownKey(ctx, b.src.Entity, b.src.System, local)
			return err
		})
		return cmp.Or(key, local), CodeKey, err
	}
	if doc == nil {
		doc = jsondoc.Get()
		defer jsondoc.Put(doc)
		if err := doc.Reset(ev.Data, bodyLimits); err != nil {
			return "", CodeKey, fmt.Errorf("the document is not acceptable JSON: %w", err)
		}
	}
	var refused error
	err = b.insist(ctx, "evaluate a key", func() error {
		var err error
		refused = guard(func() error {
			key, err = b.src.Key(ctx, Input{Doc: doc, Event: ev, Headers: headers})
			return err
		})
		if refused != nil && transient(ctx, refused) {
			return refused
		}
		return nil
	})
	if err == nil {
		err = refused
	}
	return key, CodeKey, err
}

// refuse parks an event that gets no place, each as a queue of its own: nobody knows whose followers it would hold.
func (b *batch) refuse(ev event.Event, from *replay, kind, code, reason string) {
	q := state.Queued{
		Flow: b.src.Flow, Topic: b.src.Topic, Partition: -1, Lane: ev.ID, State: state.Parked,
		Kind: kind, Code: code, Reason: reason, Event: ev, Since: b.clock.Now(),
	}
	if from != nil && ev.ID == from.row.Event.ID {
		q.Attempts = from.row.Attempts + 1
		from.settled.Again = &q
		return
	}
	b.park = append(b.park, q)
}

// publish sends every event and returns when all have a place or are parked. What fails, and with it what would have come
// behind it, is sent again in its order before anything later.
func (b *batch) publish(ctx context.Context) error {
	b.life = b.logs.Life(b.src.Topic)
	waiting := make([]int, len(b.out))
	for i := range waiting {
		waiting[i] = i
	}
	if len(waiting) == 0 {
		return nil
	}
	err := b.insist(ctx, "publish to "+b.src.Topic, func() (err error) {
		// The topic may have become another one since the last try.
		if err := b.logs.Held(b.src.Topic); err != nil {
			return err
		}
		waiting, err = b.send(ctx, waiting)
		return err
	})
	if err != nil {
		return err
	}
	// A place counts only in the log that it was meant to be in. Where the topic has another one, everything is published again when a
	// person has looked.
	return b.insist(ctx, "confirm what was published to "+b.src.Topic, func() error { return b.logs.Same(ctx, b.src.Topic, b.life) })
}

// send sends the events with these indexes once; it gives those that are to be sent again, with why.
func (b *batch) send(ctx context.Context, which []int) (again []int, err error) {
	records := make([]event.Record, len(which))
	for n, i := range which {
		ev := &b.out[i].ev
		records[n] = event.Record{Topic: b.src.Topic, Key: []byte(ev.Key), Value: ev.Data, Headers: ev.Headers(), Time: ev.Accepted}
	}
	sent := b.pub.Send(ctx, records)
	if len(sent) != len(which) {
		return which, fmt.Errorf("the publisher answered for %d of %d records", len(sent), len(which))
	}
	for n, i := range which {
		o := &b.out[i]
		switch {
		case sent[n].Err == nil:
			o.at = &state.PublishedAt{Topic: b.src.Topic, Partition: sent[n].Partition, Offset: sent[n].Offset, Life: b.life, Index: o.index}
			o.record = records[n]
		case fault.KindOf(sent[n].Err) == fault.Invalid:
			b.refuse(o.ev, o.from, kindInvalid, CodePublish, sent[n].Err.Error())
		default:
			again, err = append(again, i), sent[n].Err
		}
	}
	return again, err
}

// place notes where events went, in their order, and counts them.
func (b *batch) place() (published int) {
	for i := range b.out {
		if o := &b.out[i]; o.at != nil {
			o.home.Positions = append(o.home.Positions, *o.at)
			if o.from != nil {
				o.from.settled.Sent = append(o.from.settled.Sent, o.record)
			}
			if o.home.Key == "" {
				o.home.Key = o.ev.Key
			}
			published++
		}
	}
	return published
}
