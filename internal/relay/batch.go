package relay

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/inbox"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/lease"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/publish"
	"github.com/waybill-hub/waybill/internal/state"
)

const (
	kindInvalid = "invalid"
	kindMapping = "mapping"
)

// batch is what is published together, in order: events, and what could not be made into any, with why.
type batch struct {
	*Relay
	held *lease.Held
	out  []outgoing
	size int // of what is in out, in bytes
	// done says what is known of the rows that were begun; the last is home, that of the row at hand.
	done []*state.Published
	home *state.Published
	// again: a row is read anew.
	again bool
	// rest are events of lists that a record cannot hold: each gets an inbox row of its own, from which the engine takes it.
	rest []state.Inbound
	// life is the life of the topic's log that was known before anything was sent.
	life int64
	// row is the inbox row at hand, and only, where it is not nil, are its events that are wanted.
	row  *state.Inbound
	only map[int]bool
}

// outgoing is one event on its way.
type outgoing struct {
	ev   event.Event
	row  *state.Inbound
	home *state.Published // where its place is noted
	at   *state.PublishedAt
	// index is its number in the list that it was split from.
	index int
	// split: the row's document is a list with this event in it.
	split bool
}

// add turns an inbox row into events.
func (b *batch) add(ctx context.Context, row *state.Inbound) error {
	if b.full(batchRows) {
		if err := b.flush(ctx); err != nil {
			return err
		}
	}
	b.row, b.only = row, nil
	if row.Again != nil && !slices.Contains(row.Again, state.WholeList) { // else nothing of the list has its fate
		b.only = make(map[int]bool, len(row.Again))
		for _, i := range row.Again {
			b.only[i] = true
		}
	}
	if row.Next > 0 && row.Life != b.logs.Life(b.src.Topic) {
		row.Next = 0 // what is published of it is in another log
	}
	b.begin()
	if row.Next > 0 {
		b.home.Sliced, b.home.Life = true, row.Life
	}
	if b.src.Shared && (row.Event == nil || row.Event.Submitted == nil) {
		return errLeftOver // it came while the flow read a system, and would be anybody's on a topic that others read
	}
	if row.Bundle != nil {
		return b.bundle(ctx, row)
	}
	if row.Event != nil {
		ev := *row.Event
		ev.Data = row.Body
		if b.src.Shared {
			ev.Refused = nil // where it was refused before, the flow has found that it can be taken now
			b.put(ev, piece{})
			return nil
		}
		if ev.Submitted != nil && ev.Version == "" && !b.src.Versioned {
			ev.Version = strconv.FormatInt(row.Seq, 10)
		}
		if ev.Refused != nil && ev.Refused.Code == event.RefusedSplit {
			return b.events(ctx, ev)
		}
		return b.event(ctx, ev, piece{}, nil)
	}
	return b.read(ctx, row, piece{})
}

// bundle turns each of the row's events into one, as if it had a row of its own.
func (b *batch) bundle(ctx context.Context, row *state.Inbound) error {
	if b.home.Bundle = true; b.only == nil {
		b.home.Keys = make([]string, len(row.Bundle))
	}
	rows := make([]state.Inbound, len(row.Bundle)) // what is refused needs its own
	for i := range row.Bundle {
		if b.only != nil && !b.only[i] {
			continue // it has its fate
		}
		of := &row.Bundle[i]
		rows[i] = state.Inbound{Seq: row.Seq, Flow: row.Flow, ID: of.ID, DeliveryID: of.ID, Headers: of.Headers, Body: of.Body, Trace: inbox.TraceWithin(row.Trace, i), Received: row.Received}
		b.row = &rows[i]
		if err := b.read(ctx, b.row, piece{index: i, split: true}); err != nil {
			return err
		}
	}
	return nil
}

// read turns what a reader or a sender has delivered into events.
func (b *batch) read(ctx context.Context, row *state.Inbound, at piece) error {
	ev := event.Event{
		ID: row.ID, Source: b.src.System, Entity: b.src.Entity, Operation: event.Upsert, Origin: b.src.System,
		Time: row.Received, Accepted: row.Received, Trace: row.Trace, Data: row.Body,
	}
	if at, err := time.Parse(time.RFC3339Nano, row.Headers[inbox.HeaderTime]); err == nil {
		ev.Time = at
	}
	if !b.src.Versioned {
		ev.Version = row.Headers[inbox.HeaderVersion]
		if ev.Version == "" {
			ev.Version = strconv.FormatInt(row.Seq, 10)
		}
	}
	if row.Headers[inbox.HeaderDeleted] != "" {
		ev.Operation = event.Delete
		if len(row.Body) == 0 {
			ev.Local = row.Headers[inbox.HeaderLocal]
			ev.Version = cmp.Or(row.Headers[inbox.HeaderKnown], ev.Version)
		}
	}
	if reason := row.Headers[inbox.HeaderError]; reason != "" {
		b.refuse(ev, at, kindInvalid, event.RefusedRow, reason)
		return nil
	}
	if at.split {
		return b.event(ctx, ev, at, nil)
	}
	return b.events(ctx, ev)
}

// begin notes from here on what becomes of the row at hand.
func (b *batch) begin() {
	b.home = &state.Published{Seq: b.row.Seq}
	b.done = append(b.done, b.home)
	b.again = b.again || readings(b.row) > 0
}

// full reports whether it is time to publish: what is held at once does not depend on how long a list is.
func (b *batch) full(most int) bool { return len(b.out) >= most || b.size >= batchBytes }

// slice publishes what there is of a list when it is enough; the list goes on at next.
func (b *batch) slice(ctx context.Context, next int) error {
	if !b.full(maxSlice) {
		return nil
	}
	b.home.Next = next
	if err := b.flush(ctx); err != nil {
		return err
	}
	b.begin()
	b.home.Sliced, b.home.Life = true, b.life
	return nil
}

// piece is where an event comes from.
type piece struct {
	index int
	split bool
}

// events splits a document where the source says so.
func (b *batch) events(ctx context.Context, ev event.Event) error {
	if !b.src.Lists {
		return b.event(ctx, ev, piece{}, nil)
	}
	doc := jsondoc.Get()
	defer jsondoc.Put(doc)
	whole := piece{index: state.WholeList}
	if err := doc.Reset(ev.Data, inbox.DocumentLimits); err != nil {
		b.refuse(ev, whole, kindInvalid, event.RefusedSplit, "the document is not acceptable JSON: "+err.Error())
		return nil
	}
	list := doc.Root()
	if path := b.src.Split; path != "" {
		list = list.GetPath(path)
		if list.Kind() != jsondoc.Array {
			b.refuse(ev, whole, kindMapping, event.RefusedSplit, fmt.Sprintf("split: %s is %s, not a list", path, list.Kind()))
			return nil
		}
	}
	if list.Kind() != jsondoc.Array {
		return b.event(ctx, ev, piece{}, doc)
	}
	i := 0
	for v := range list.Elements() {
		if i < b.row.Next {
			i++
			continue
		}
		one := ev
		one.ID = ev.ID + "." + strconv.Itoa(i)
		one.Data = v.Raw()
		if err := b.event(ctx, one, piece{index: i, split: true}, nil); err != nil {
			return err
		}
		i++
		if err := b.slice(ctx, i); err != nil {
			return err
		}
	}
	if i == 0 {
		b.log.Info("a delivery held an empty list", "flow", b.src.Flow, "delivery", ev.ID)
	}
	return nil
}

// event evaluates the key of one event and puts it on its way. doc is ev.Data parsed, or nil.
func (b *batch) event(ctx context.Context, ev event.Event, at piece, doc *jsondoc.Doc) error {
	if b.only != nil && !b.only[at.index] {
		return nil // it has its fate
	}
	key, err := b.key(ctx, &ev, doc)
	switch {
	case err != nil && ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		b.refuse(ev, at, kindMapping, event.RefusedKey, err.Error())
		return nil
	case key == "":
		b.refuse(ev, at, kindMapping, event.RefusedKey, "the key is empty")
		return nil
	}
	if err := event.CheckName(key); err != nil {
		b.refuse(ev, at, kindMapping, event.RefusedKey, "the key cannot be taken: "+err.Error())
		return nil
	}
	ev.Key, ev.Refused = key, nil
	b.put(ev, at)
	return nil
}

func (b *batch) put(ev event.Event, at piece) {
	b.out = append(b.out, outgoing{ev: ev, row: b.row, home: b.home, index: at.index, split: at.split})
	b.size += len(ev.Data)
	if ev.Refused != nil {
		for name, value := range ev.Refused.Headers {
			b.size += len(name) + len(value) // each refusal carries them
		}
	}
}

// key is the event's business key. A deletion of which the source tells nothing but the object's id has the key that the object had last, so that it
// comes behind the object's other events, or else the id.
func (b *batch) key(ctx context.Context, ev *event.Event, doc *jsondoc.Doc) (key string, err error) {
	if b.src.Key == nil || ev.Operation == event.Delete && len(ev.Data) == 0 {
		local := b.row.Headers[inbox.HeaderLocal]
		switch {
		case local == "":
			return ev.Key, nil // read anew: what it had
		case b.src.Key == nil:
			return local, nil
		}
		err := b.retry(ctx, "look for a key", func() (err error) {
			key, err = b.store.KnownKey(ctx, b.src.Entity, b.src.System, local)
			return err
		})
		return cmp.Or(key, local), err
	}
	if doc == nil {
		doc = jsondoc.Get()
		defer jsondoc.Put(doc)
		if err := doc.Reset(ev.Data, inbox.DocumentLimits); err != nil {
			return "", fmt.Errorf("the document is not acceptable JSON: %w", err)
		}
	}
	var refused error
	err = b.retry(ctx, "evaluate a key", func() error {
		var err error
		refused = lifecycle.Guard(func() error {
			key, err = b.src.Key(ctx, inbox.Input{Doc: doc, Event: ev, Headers: b.row.Headers})
			return err
		})
		if refused != nil && inbox.Transient(ctx, refused) {
			return refused
		}
		return nil
	})
	if err == nil {
		err = refused
	}
	return key, err
}

// refuse puts on its way what no message can be made of: the engine parks it. Its record has the event's id as its key, which a
// repeated publish keeps: nobody knows which key's order it would belong to.
func (b *batch) refuse(ev event.Event, at piece, kind, code, reason string) {
	if b.src.Key == nil && ev.Key == "" {
		if local := b.row.Headers[inbox.HeaderLocal]; event.CheckName(local) == nil {
			ev.Key = local // people search for it
		}
	}
	ev.Refused = event.Refusal{Kind: kind, Code: code, Reason: reason, Reading: readings(b.row), Headers: b.row.Headers}.Bounded()
	b.put(ev, at)
}

// readings is how often the row's event was handed back to the inbox.
func readings(row *state.Inbound) int {
	if row.Event == nil || row.Event.Refused == nil {
		return 0
	}
	return row.Event.Refused.Reading
}

// tooLarge does with an event what can be done when the broker refuses its record for its size: the inbox row stays the holder of the
// document, and the record only leads to it. A list's row holds more than the event, which therefore gets a row of its own first.
func (b *batch) tooLarge(o *outgoing, why error) (again bool) {
	if o.split {
		ev := o.ev
		ev.Refused = nil
		b.rest = append(b.rest, state.Inbound{
			Flow: o.row.Flow, ID: ev.ID + "~" + strconv.FormatInt(o.row.Seq, 10), Headers: o.row.Headers, Body: bytes.Clone(ev.Data),
			Trace: ev.Trace, Received: o.row.Received, Event: &ev,
		})
		return false
	}
	if o.ev.Refused == nil {
		o.ev.Refused = event.Refusal{Kind: kindInvalid, Code: event.RefusedRecord, Reason: why.Error(), Reading: readings(o.row), Headers: o.row.Headers}.Bounded()
	}
	o.ev.Refused.Inbox, o.ev.Refused.Headers, o.ev.Data = o.row.Seq, nil, nil
	return true
}

// key is what the record is dealt by.
func (o *outgoing) key() []byte {
	if o.ev.Refused != nil {
		return []byte(o.ev.ID)
	}
	return []byte(o.ev.Lane()) // the business key, unless the event was given a hub id
}

// publish sends every event and returns when all have a place. What fails, and with it what would have come
// behind it, is sent again in its order before anything later.
func (b *batch) publish(ctx context.Context) error {
	b.life = b.logs.Life(b.src.Topic)
	for _, p := range b.done {
		if p.Sliced && p.Life != b.life {
			return errOtherLog
		}
	}
	if len(b.out) == 0 {
		return nil
	}
	all := publish.Batch{
		Len:    len(b.out),
		Ready:  func() error { return b.logs.Held(b.src.Topic) }, // the topic may have become another one since the last try
		Record: func(i int) event.Record { return b.record(&b.out[i]) },
		Settle: b.settle,
		Retry:  func(try func() error) error { return b.retry(ctx, "publish to "+b.src.Topic, try) },
	}
	if err := all.Send(ctx, b.pub); err != nil {
		return err
	}
	// A place counts only in the log that it was meant to be in. Where the topic has another one, everything is published again when a
	// person has looked.
	return b.retry(ctx, "confirm what was published to "+b.src.Topic, func() error { return b.logs.Same(ctx, b.src.Topic, b.life) })
}

func (b *batch) record(o *outgoing) event.Record {
	return event.Record{Topic: b.src.Topic, Key: o.key(), Value: o.ev.Data, Headers: o.ev.Headers(), Time: o.ev.Accepted}
}

// settle notes what came of an event that was sent.
func (b *batch) settle(i int, sent event.Sent) publish.Fate {
	o := &b.out[i]
	switch {
	case sent.Err == nil:
		o.at = &state.PublishedAt{Topic: b.src.Topic, Partition: sent.Partition, Offset: sent.Offset, Life: b.life, Index: o.index}
		return publish.Settled
	case fault.KindOf(sent.Err) == fault.Invalid && (o.ev.Refused == nil || o.ev.Refused.Inbox == 0):
		if b.tooLarge(o, sent.Err) {
			return publish.Changed
		}
		return publish.Refused
	default: // also a record without a document that is refused: a person has to see to the broker
		return publish.Failed
	}
}

// place notes where events went, in their order, and counts them.
func (b *batch) place() (published, refused int) {
	for i := range b.out {
		o := &b.out[i]
		if o.at == nil {
			continue
		}
		o.home.Positions = append(o.home.Positions, *o.at)
		switch {
		case o.home.Keys != nil:
			o.home.Keys[o.index] = o.ev.Key
		case o.home.Key == "" && !o.home.Bundle:
			o.home.Key = o.ev.Key
		}
		if b.src.Shared {
			rec := b.record(o)
			o.home.Sent, o.home.SentBy = &rec, b.src.Flow
		}
		if o.ev.Refused != nil {
			refused++
			continue
		}
		published++
	}
	return published, refused
}
