package inboxtest

import (
	"context"
	"slices"
	"sync"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
)

// Topic is a broker's topic of four partitions.
type Topic struct {
	Mu      sync.Mutex
	Records []event.Record
	// Refuse decides over each record before it is written; nil: all are written.
	Refuse func(event.Record) error
	Sends  int
}

// Send makes it a publisher.
func (p *Topic) Send(ctx context.Context, records []event.Record) []event.Sent {
	p.Mu.Lock()
	defer p.Mu.Unlock()
	p.Sends++
	out := make([]event.Sent, len(records))
	failed := map[int]bool{}
	for i, r := range records {
		r.Partition = event.LaneOf(r.Key, 4)
		if failed[r.Partition] {
			out[i].Err = fault.New(fault.Unavailable, "not sent: an earlier record of the same partition failed")
			continue
		}
		if ctx.Err() != nil {
			out[i].Err = ctx.Err()
			continue
		}
		if p.Refuse != nil {
			if out[i].Err = p.Refuse(r); out[i].Err != nil {
				failed[r.Partition] = true
				continue
			}
		}
		for _, other := range p.Records {
			if other.Partition == r.Partition {
				r.Offset++
			}
		}
		r.Value = slices.Clone(r.Value)
		p.Records = append(p.Records, r)
		out[i].Partition, out[i].Offset = r.Partition, r.Offset
	}
	return out
}

// Events are what was published, in order, with refusals among it.
func (p *Topic) Events() []event.Event {
	p.Mu.Lock()
	defer p.Mu.Unlock()
	out := make([]event.Event, len(p.Records))
	for i := range p.Records {
		out[i] = event.Read(&p.Records[i])
	}
	return out
}

// IDs are those of what was published without a refusal.
func (p *Topic) IDs() []string {
	var ids []string
	for _, e := range p.Events() {
		if e.Refused == nil {
			ids = append(ids, e.ID)
		}
	}
	return ids
}

// Count is how many records were published.
func (p *Topic) Count() int {
	p.Mu.Lock()
	defer p.Mu.Unlock()
	return len(p.Records)
}
