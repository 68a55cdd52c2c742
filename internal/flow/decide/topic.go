package decide

import (
	"fmt"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/state"
)

// Forward makes the record for the flow's topic, of which no record may be larger than most bytes. lane is the message's queue key, for an event
// that has no key of its own.
func (m *Message) Forward(lane string, most int) *Verdict {
	ev, f := m.Event, m.Flow
	out := *ev
	out.Hops++
	out.Local = "" // it is the source's
	out.Submitted = ev.Submitted.Onward()
	out.Data = m.Out
	if out.Origin == "" {
		out.Origin = ev.Source
	}
	key := out.Hub
	switch {
	case key != "":
	case f.Key != nil && ev.Key != "":
		key = ev.Key
	default:
		key = lane
	}
	headers := out.Headers()
	if size := recordSize(headers, len(key)+len(m.Out)); size > most {
		return Park("broker", "too-large", fmt.Sprintf("the mapped document makes a record of %d bytes, and topic %s takes %d: set its max.message.bytes, then replay", size, f.To.Topic, most))
	}
	m.sent = Verdict{Outcome: state.Delivered, Ref: m.Ref, Trail: Trail{Action: state.DidPublish},
		Send: &event.Record{Topic: f.To.Topic, Key: []byte(key), Value: m.Out, Headers: headers, Time: ev.Time}}
	return &m.sent
}

// recordSize is about how many bytes a record takes, as the publisher counts: key, value and what stands around them.
func recordSize(headers []event.Header, size int) int {
	size += 40
	for i := range headers {
		size += len(headers[i].Key) + len(headers[i].Value) + 10
	}
	return size
}
