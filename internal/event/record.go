package event

import (
	"context"
	"hash/crc32"
	"slices"
	"strconv"
	"time"
)

// Record is one Kafka record, as read or to be written.
type Record struct {
	Topic     string
	Partition int
	Offset    int64
	Key       []byte
	Value     []byte
	Headers   []Header
	Time      time.Time
}

// Position names the record's place: topic/partition/offset.
func (r *Record) Position() string {
	return r.Topic + "/" + strconv.Itoa(r.Partition) + "/" + strconv.FormatInt(r.Offset, 10)
}

// Batch is what waited in one lane of one partition, in order. It travels through the router in the
// context of one message; the acknowledgement of that message is for the whole batch.
type Batch struct {
	// Group is the consumer group, Topic and Partition where the records were read.
	Group     string
	Topic     string
	Partition int
	// Lane is in [0, lanes of a partition); records of one key always share a lane.
	Lane int
	// Epoch is what the Positions of the subscriber gave out when the partition was assigned: the
	// fencing token under which outcomes of these records may be stored.
	Epoch   int64
	Records []Record
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// LaneOf is the lane of a record key among lanes. The subscriber deals records by it and the engine draws a key's stored
// queue into the same lane by it, so both must use this one. It does not follow the hash that deals keys to partitions: the
// keys of one partition have those remainders in common.
func LaneOf[T string | []byte](key T, lanes int) int {
	return int(uint64(crc32.Checksum([]byte(key), castagnoli)) * uint64(lanes) >> 32)
}

type batchKey struct{}

// WithBatch puts b into ctx.
func WithBatch(ctx context.Context, b *Batch) context.Context {
	return context.WithValue(ctx, batchKey{}, b)
}

// BatchFrom is the batch that WithBatch put into ctx, or nil.
func BatchFrom(ctx context.Context) *Batch {
	b, _ := ctx.Value(batchKey{}).(*Batch)
	return b
}

// Range is a half-open range of offsets: [From, To).
type Range struct{ From, To int64 }

// Position is how far a group has finished a partition: everything below Next, and the ranges of Done above it.
type Position struct {
	Next int64
	Done []Range
}

// Sent is the fate of one record that was to be published. Err is classified: fault.Unavailable, Invalid and Auth mean certainly not written,
// fault.UnknownOutcome that nobody knows.
type Sent struct {
	Partition int
	Offset    int64
	Err       error
}

// Settle moves Next over what is finished right above it.
func (p *Position) Settle() {
	n := 0
	for n < len(p.Done) && p.Done[n].From <= p.Next {
		p.Next = max(p.Next, p.Done[n].To)
		n++
	}
	if n > 0 {
		p.Done = slices.Delete(p.Done, 0, n)
	}
}
