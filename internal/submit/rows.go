package submit

import (
	"crypto/sha256"
	"fmt"
	"strconv"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/inbox"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/state"
)

// Refused says which event of a submission cannot be taken, and why. Nothing of the submission is stored. It is a fault of kind Invalid.
type Refused struct {
	// Index is the event's number among those given, from 0; -1: the submission as a whole.
	Index int
	// ID is what the caller has given.
	ID  string
	Why string
}

func (e *Refused) Error() string {
	if e.Index < 0 {
		return "nothing was submitted: " + e.Why
	}
	return fmt.Sprintf("nothing was submitted: event %d (%s): %s", e.Index, e.ID, e.Why)
}

// Unwrap gives its kind.
func (e *Refused) Unwrap() error { return fault.New(fault.Invalid, "%s", e.Why) }

// placeOf is a number of the inbox as a version; the relay gives those of rows in the same form.
func placeOf(n int64) string { return strconv.FormatInt(n, 10) }

// rows turns events into rows of the inbox.
func (d *Door) rows(f *Flow, events []event.Event, by *event.Submission) ([]state.Inbound, error) {
	whole := func(format string, args ...any) ([]state.Inbound, error) {
		return nil, &Refused{Index: -1, Why: fmt.Sprintf(format, args...)}
	}
	switch {
	case !by.Trigger.Valid():
		return whole("%q is no trigger", by.Trigger)
	case by.Who == "":
		return whole("nobody says who submits it")
	case len(events) == 0:
		return whole("it holds no event")
	case len(events) > f.MaxEvents:
		return whole("it holds %d events, and %d are taken at a time (hooks.max-documents)", len(events), f.MaxEvents)
	}
	by.For = ""
	if f.System == "" {
		by.For = f.Name
	}
	doc := jsondoc.Get()
	defer jsondoc.Put(doc)
	rows, size := make([]state.Inbound, len(events)), int64(0)
	most, now := inbox.Largest(d.c.Carries, f.Topic, f.Onward), d.c.Clock.Now()
	seen := make(map[string]bool, len(events))
	for i := range events {
		ev := events[i]
		why := f.unfit(doc, &ev, most)
		id := inbox.SubmittedID(by.Trigger, ev.ID)
		if why == "" && seen[id] {
			why = "another event of the submission has the same id"
		}
		if why != "" {
			return nil, &Refused{Index: i, ID: ev.ID, Why: why}
		}
		seen[id] = true
		if size += int64(len(ev.Data)); size > f.MaxBytes {
			return whole("its documents have more than %d bytes (hooks.max-body): submit it in parts", f.MaxBytes)
		}
		rows[i] = f.row(doc, ev, id, by, now)
	}
	return rows, nil
}

// unfit says why an event is none for the flow; empty: it is one. doc is its document afterwards.
func (f *Flow) unfit(doc *jsondoc.Doc, ev *event.Event, most int64) string {
	switch {
	case ev.ID == "":
		return "it has no id: without one, the same submission again would be another"
	case ev.Operation != "" && !ev.Operation.Valid():
		return fmt.Sprintf("its operation is %q: it must be %q or %q", ev.Operation, event.Upsert, event.Delete)
	case ev.Refused != nil:
		return "it is a refusal"
	case ev.Entity != "" && f.Entity != "" && ev.Entity != f.Entity:
		return fmt.Sprintf("it is of the entity %s, and the flow is of %s", ev.Entity, f.Entity)
	case len(ev.Data) == 0 && ev.Operation != event.Delete:
		return "it has no document, and is no deletion"
	}
	if why := f.misplaced(ev); why != "" || len(ev.Data) == 0 {
		return why
	}
	if err := doc.Reset(ev.Data, inbox.DocumentLimits); err != nil {
		return "its document is not acceptable JSON: " + err.Error()
	}
	if kind := doc.Root().Kind(); kind != jsondoc.Object {
		return fmt.Sprintf("its document is %s, not an object", kind)
	}
	if most > 0 && int64(len(ev.Data)) > most {
		return fmt.Sprintf("its document has %d bytes, and the flow's topic carries %d", len(ev.Data), most)
	}
	return ""
}

// misplaced says why an event cannot come by the way of the flow.
func (f *Flow) misplaced(ev *event.Event) string {
	if f.System == "" {
		switch {
		case f.Known && ev.Hub == "":
			return fmt.Sprintf("it has no hub id, and events on %s have one: it would be taken for another object", f.Topic)
		case ev.Hub == "" && ev.Key == "":
			return "it has neither a key nor a hub id: nothing says which object it is"
		}
		return ""
	}
	switch {
	case ev.Hub != "":
		return "it has a hub id, which the flow finds by itself"
	case ev.Source != "" && ev.Source != f.System:
		return fmt.Sprintf("it is from %s, and the flow takes what is from %s", ev.Source, f.System)
	case ev.Origin != "" && ev.Origin != f.System:
		return fmt.Sprintf("its origin is %s, and what the flow takes has the origin %s", ev.Origin, f.System)
	case ev.Local == "" && (!f.Keyed || len(ev.Data) == 0):
		return "it has no id of its object in " + f.System
	}
	return ""
}

// row is the row of the inbox that stands for an event. doc is its document, where it has one.
func (f *Flow) row(doc *jsondoc.Doc, ev event.Event, id string, by *event.Submission, now time.Time) state.Inbound {
	row := state.Inbound{Flow: f.Name, DeliveryID: id, ID: id, Body: ev.Data, Trace: inbox.Trace(ev.Trace), Received: now}
	if ev.Operation == "" {
		ev.Operation = event.Upsert
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%q %q %q %q\n", ev.Operation, ev.Local, ev.Key, ev.Hub)
	if len(ev.Data) > 0 {
		content := jsondoc.Hash(doc.Root()) // neither blanks nor the order of members make another one of it
		sum.Write(content[:])
	}
	row.Digest = sum.Sum(nil)
	if f.System != "" {
		ev.Source, ev.Origin = f.System, f.System
		if ev.Local != "" {
			row.Headers = map[string]string{inbox.HeaderLocal: ev.Local}
		}
		if len(ev.Data) > 0 {
			ev.Local = "" // it is read from the document
		}
	} else if ev.Hops == 0 {
		ev.Hops = 1 // the hub has put it there: a record that has passed none is a foreign program's
	}
	if f.Entity != "" {
		ev.Entity = f.Entity
	}
	if ev.Time.IsZero() {
		ev.Time = now
	}
	ev.ID, ev.Accepted, ev.Trace, ev.Data, ev.Submitted = id, now, row.Trace, nil, by
	row.Event = &ev
	return row
}

// acting is what the audit and the acts say of a submission.
func acting(f *Flow, rows []state.Inbound, by *event.Submission) state.Submitting {
	a := state.Submitting{Who: by.Who, Note: by.Why, Action: string(by.Trigger), Object: "flow/" + f.Name}
	if by.Trigger == event.Person {
		a.Action = "resend"
	}
	if by.Part {
		a.Object = ""
	}
	first := rows[0].Event
	what := first.Key
	if what == "" {
		what = first.Hub
	}
	if what == "" {
		what = rows[0].Headers[inbox.HeaderLocal]
	}
	a.About = fmt.Sprintf("%s %s, as %s", first.Entity, what, first.ID)
	if len(rows) > 1 {
		a.About = fmt.Sprintf("%d events, the first of them %s", len(rows), a.About)
	}
	return a
}
