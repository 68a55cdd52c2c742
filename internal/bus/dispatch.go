package bus

import (
	"context"
	"encoding/binary"

	"github.com/waybill-hub/waybill/internal/bus/recordbatch"
	"github.com/waybill-hub/waybill/internal/event"
)

// Records are dealt to the lanes in pieces of at most this many records or bytes, so that reading can pause in the
// middle of a large answer.
const (
	pieceRecords = 512
	pieceBytes   = 256 << 10
)

// maxInflate bounds what one compressed batch may become.
const maxInflate = 128 << 20

// dispatch deals the records of an answer to the lanes. It returns early, without an error, when ctx ends.
func (p *partition) dispatch(ctx context.Context, a *fetched) error {
	aborted := abortedSet{list: a.aborted}
	d := &p.deal
	expected := p.next.Load()
	gap := expected // offsets from here to expected have no record
	for b := a.records; ; {
		info, rest, ok, err := recordbatch.Read(b)
		if err != nil || !ok {
			return err
		}
		b = rest
		if info.Next <= expected {
			continue
		}
		if skip := aborted.skip(&info); !skip {
			if err := info.Inflate(maxInflate); err != nil {
				return err
			}
			rr := recordsOf(&info)
			rr.headers = d.headers
			var rec event.Record
			for {
				more, err := rr.next(&rec)
				if err != nil {
					return err
				}
				if !more {
					break
				}
				if rec.Offset < expected {
					continue
				}
				if rec.Offset > gap {
					if !p.flush(ctx, &rr, expected) {
						return nil
					}
					p.tellGap(ctx, gap, rec.Offset)
				}
				expected, gap = rec.Offset+1, rec.Offset+1
				if !p.isDone(rec.Offset) {
					d.add(&rec)
				}
				if d.full() && !p.flush(ctx, &rr, expected) {
					return nil
				}
			}
			d.headers = rr.headers
			if !p.flush(ctx, &rr, expected) {
				return nil
			}
			d.headers = rr.headers
		}
		if gap < info.Next {
			p.tellGap(ctx, gap, info.Next)
		}
		expected, gap = info.Next, info.Next
		p.next.Store(expected)
	}
}

// flush hands the collected piece to the lanes and waits for room; false when ctx ended.
func (p *partition) flush(ctx context.Context, rr *recordReader, next int64) bool {
	if len(p.deal.records) > 0 {
		if ctx.Err() != nil {
			return false
		}
		p.deal.hand(p)
		p.next.Store(next)
	}
	rr.headers = rr.headers[:0]
	return p.room(ctx)
}

// abortedSet knows which batches belong to aborted transactions; batches are asked for in order.
type abortedSet struct {
	list   []abortedTransaction
	active map[int64]bool
}

// skip reports whether the batch has no records for the hub: a marker, or of an aborted transaction.
func (s *abortedSet) skip(info *recordbatch.Batch) bool {
	for len(s.list) > 0 && s.list[0].first < info.Next {
		if s.active == nil {
			s.active = map[int64]bool{}
		}
		s.active[s.list[0].producer] = true
		s.list = s.list[1:]
	}
	if info.Control() {
		if isAbort(info) {
			delete(s.active, info.Producer)
		}
		return true
	}
	return info.Transactional() && s.active[info.Producer]
}

// isAbort reads the type out of a control record's key: version, then 0 for an abort.
func isAbort(info *recordbatch.Batch) bool {
	var rec event.Record
	rr := recordsOf(info)
	ok, err := rr.next(&rec)
	return ok && err == nil && len(rec.Key) >= 4 && binary.BigEndian.Uint16(rec.Key[2:]) == 0
}

// dealer collects records that point into the answer and hands copies of them to the lanes. What a lane gets lies in
// memory of its own: a slow lane does not keep the records of the others alive, and the answer's buffer can be reused.
type dealer struct {
	records []event.Record
	lanes   []int32
	headers []event.Header
	bytes   int
	per     []laneDeal
}

// laneDeal is what one lane gets of a piece.
type laneDeal struct {
	count, headers, bytes int
	records               []event.Record
	slab                  []byte
	slabHeaders           []event.Header
}

// reset forgets what is left of an answer.
func (d *dealer) reset() {
	clear(d.records[:cap(d.records)])
	clear(d.headers[:cap(d.headers)])
	for i := range d.per {
		d.per[i] = laneDeal{records: d.per[i].records[:0]}
	}
	d.records, d.lanes, d.headers, d.bytes = d.records[:0], d.lanes[:0], d.headers[:0], 0
}

func (d *dealer) full() bool { return len(d.records) >= pieceRecords || d.bytes >= pieceBytes }

// add collects a record.
func (d *dealer) add(r *event.Record) {
	lane := laneOf(r.Key, len(d.per))
	l := &d.per[lane]
	n := len(r.Key) + len(r.Value)
	for i := range r.Headers {
		n += len(r.Headers[i].Value)
	}
	l.count++
	l.headers += len(r.Headers)
	l.bytes += n
	d.bytes += n
	d.records = append(d.records, *r)
	d.lanes = append(d.lanes, int32(lane))
}

// hand copies the collected records into the lanes' queues and forgets them.
func (d *dealer) hand(p *partition) {
	var held int64
	for i := range d.records {
		held += cost(&d.records[i])
	}
	p.hold(held)
	for i := range d.records {
		l := &d.per[d.lanes[i]]
		if l.slab == nil {
			l.slab = make([]byte, 0, l.bytes)
			l.slabHeaders = make([]event.Header, 0, l.headers)
		}
		r := d.records[i]
		r.Topic, r.Partition = p.topic, p.number
		r.Key, r.Value = l.copy(r.Key), l.copy(r.Value)
		if len(r.Headers) > 0 {
			from := len(l.slabHeaders)
			for _, h := range r.Headers {
				l.slabHeaders = append(l.slabHeaders, event.Header{Key: h.Key, Value: l.copy(h.Value)})
			}
			r.Headers = l.slabHeaders[from:len(l.slabHeaders):len(l.slabHeaders)]
		} else {
			r.Headers = nil
		}
		l.records = append(l.records, r)
	}
	for i := range d.per {
		if l := &d.per[i]; l.count > 0 {
			p.lane[i].push(l.records)
			clear(l.records)
			*l = laneDeal{records: l.records[:0]}
		}
	}
	d.records, d.lanes, d.bytes = d.records[:0], d.lanes[:0], 0
}

// copy puts b into the slab; nil stays nil.
func (l *laneDeal) copy(b []byte) []byte {
	if b == nil {
		return nil
	}
	from := len(l.slab)
	l.slab = append(l.slab, b...)
	return l.slab[from:len(l.slab):len(l.slab)]
}
