package flow

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/mapping"
	"github.com/waybill-hub/waybill/internal/state"
)

// fateOf decides a record.
func (r *Runner) fateOf(ctx context.Context, ev *event.Event, a *attempt) (fate, error) {
	if ev.Refused != nil {
		return r.turnedAway(ctx, ev)
	}
	return r.decide(ctx, ev, a)
}

// turnedAway is the fate of a record that the intake could make no message of: it is parked, as its refusal says, once, however often the
// relay has published it.
func (r *Runner) turnedAway(ctx context.Context, ev *event.Event) (fate, error) {
	no := ev.Refused
	var known bool
	err := r.insist(ctx, "refusals", func() (err error) {
		known, err = r.Store.Refused(ctx, r.flow.Name, ev.ID, no.Reading)
		return err
	})
	if err != nil {
		return fate{}, err
	}
	if known {
		return skipped(state.Duplicate, "this refusal was published twice"), nil
	}
	reason := no.Reason
	if no.Inbox != 0 {
		gone, err := r.fetch(ctx, ev)
		if err != nil {
			return fate{}, err
		}
		if gone {
			reason += "; its document is no longer in the inbox"
		}
	}
	return parked(no.Kind, no.Code, reason), nil
}

// fetch takes from the inbox what the record could not hold.
func (r *Runner) fetch(ctx context.Context, ev *event.Event) (gone bool, err error) {
	var row state.Inbound
	err = r.insist(ctx, "the inbox", func() (err error) {
		if row, err = r.Store.Inbound(ctx, ev.Refused.Inbox); errors.Is(err, state.ErrNotFound) {
			gone, err = true, nil
		}
		return err
	})
	if err != nil || gone {
		return gone, err
	}
	no := *ev.Refused
	no.Inbox, no.Headers = 0, row.Headers
	ev.Data, ev.Refused = row.Body, no.Bounded()
	return false, nil
}

// readAnew is the fate of a refused message that a person wants to be tried again. What could become a message now is handed back to the
// inbox: from there it takes the way of all others, to the partition and the lane of its key. Anything else stays parked where it is.
func (r *Runner) readAnew(ctx context.Context, ev *event.Event, a *attempt) (fate, error) {
	defer a.dispose()
	q := a.queued
	if q.Code == event.RefusedRow && q.Edits == 0 {
		const hint = "; edit the document before it is replayed"
		return parked(q.Kind, q.Code, strings.TrimSuffix(q.Reason, hint)+hint), nil
	}
	f, stays, err := r.stillRefused(ctx, ev, a)
	if err != nil || stays {
		return f, err
	}
	again := *ev
	received := ev.Accepted // it is as old as it is, and has waited for a person
	if received.IsZero() {
		received = r.Clock.Now()
	}
	again.Refused = &event.Refusal{Code: q.Code, Reading: ev.Refused.Reading + 1}
	return fate{resubmit: &state.Inbound{Flow: r.flow.Name, ID: ev.ID + "~" + strconv.FormatInt(q.ID, 10), Headers: ev.Refused.Headers, Body: ev.Data,
		Trace: ev.Trace, Received: received, Event: &again}}, nil
}

// stillRefused looks at the document as the intake will.
func (r *Runner) stillRefused(ctx context.Context, ev *event.Event, a *attempt) (f fate, stays bool, err error) {
	stay := func(kind, code, format string, args ...any) (fate, bool, error) {
		return parked(kind, code, fmt.Sprintf(format, args...)), true, nil
	}
	if r.flow.Key == nil && a.queued.Code != event.RefusedSplit {
		if ev.Key == "" {
			return stay("mapping", event.RefusedKey, "the source has told no id of the object: without one the flow needs a `key`")
		}
		return r.stillTooLarge(ev, ev.Key)
	}
	doc, err := a.parse(ev)
	switch {
	case err != nil:
		return stay("invalid", a.queued.Code, "the document is not acceptable JSON: %v", err)
	case doc == nil:
		return stay("invalid", a.queued.Code, "there is no document")
	}
	if a.queued.Code == event.RefusedSplit {
		w := r.flow.From.Webhook
		if w == nil || w.Split == "" {
			return fate{}, false, nil
		}
		if kind := doc.Root().GetPath(w.Split).Kind(); kind != jsondoc.Array {
			return stay("mapping", event.RefusedSplit, "split: %s is %s, not a list", w.Split, kind)
		}
		return fate{}, false, nil
	}
	key, err := r.flow.Key.String(ctx, &mapping.Input{Doc: doc, Event: ev, Headers: ev.Refused.Headers, Lookup: lookup{r}})
	switch {
	case err != nil && ctx.Err() != nil:
		return fate{}, false, context.Cause(ctx)
	case err != nil:
		return stay("mapping", event.RefusedKey, "%v", err)
	case key == "":
		return stay("mapping", event.RefusedKey, "the key is empty")
	}
	return r.stillTooLarge(ev, key)
}

// stillTooLarge: the record would be larger than the broker takes.
func (r *Runner) stillTooLarge(ev *event.Event, key string) (fate, bool, error) {
	plain := *ev
	plain.Key, plain.Refused = key, nil
	size := recordSize(plain.Headers(), len(key)+len(ev.Data))
	if most := r.mostOf(r.flow.Topic()); size > most {
		return parked("invalid", event.RefusedRecord, fmt.Sprintf("the document makes a record of %d bytes, and topic %s takes %d", size, r.flow.Topic(), most)), true, nil
	}
	return fate{}, false, nil
}

// mostOf is the largest record that the publisher takes for a topic.
func (r *Runner) mostOf(topic string) int {
	if r.MaxRecord == nil {
		return math.MaxInt
	}
	return r.MaxRecord(topic)
}

// recordSize is about how many bytes a record takes, as the publisher counts: key, value and what stands around them.
func recordSize(headers []event.Header, size int) int {
	size += 40
	for i := range headers {
		size += len(headers[i].Key) + len(headers[i].Value) + 10
	}
	return size
}
