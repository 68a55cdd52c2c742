package bus

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/waybill-hub/waybill/internal/bus/recordbatch"
	"github.com/waybill-hub/waybill/internal/event"
)

// recordBytes is at least what r takes in a batch, without what it shares with others.
func recordBytes(r *event.Record) int {
	n := 40 + len(r.Key) + len(r.Value)
	for i := range r.Headers {
		n += 10 + len(r.Headers[i].Key) + len(r.Headers[i].Value)
	}
	return n
}

// batchWriter encodes records into one record batch. The zero value is ready for use; begin makes it ready again.
type batchWriter struct {
	b     []byte
	start int
	n     int32
	now   int64
}

// begin starts a batch at the end of b.
func (w *batchWriter) begin(b []byte, now time.Time) {
	w.start, w.n, w.now = len(b), 0, now.UnixMilli()
	w.b = append(b, make([]byte, recordbatch.HeaderSize)...)
}

// add appends one record. Its time is that of begin, not that of the event: brokers remove records by it.
func (w *batchWriter) add(r *event.Record) {
	size := 1 + 1 + varintLen(int64(w.n)) + varbytesLen(r.Key) + varbytesLen(r.Value) + varintLen(int64(len(r.Headers)))
	for i := range r.Headers {
		h := &r.Headers[i]
		size += varintLen(int64(len(h.Key))) + len(h.Key) + varbytesLen(h.Value)
	}
	b := binary.AppendVarint(w.b, int64(size))
	b = append(b, 0, 0) // attributes, time since the first record
	b = binary.AppendVarint(b, int64(w.n))
	b = appendVarbytes(b, r.Key)
	b = appendVarbytes(b, r.Value)
	b = binary.AppendVarint(b, int64(len(r.Headers)))
	for i := range r.Headers {
		h := &r.Headers[i]
		b = binary.AppendVarint(b, int64(len(h.Key)))
		b = append(b, h.Key...)
		b = appendVarbytes(b, h.Value)
	}
	w.b = b
	w.n++
}

func varbytesLen(v []byte) int {
	if v == nil {
		return 1
	}
	return varintLen(int64(len(v))) + len(v)
}

// end finishes the batch and gives back b with the batch appended.
func (w *batchWriter) end(c kafka.Compression) ([]byte, error) {
	if c != 0 {
		var packed bytes.Buffer
		z := c.Codec().NewWriter(&packed)
		if _, err := z.Write(w.b[w.start+recordbatch.HeaderSize:]); err != nil {
			return nil, fmt.Errorf("compress: %w", err)
		}
		if err := z.Close(); err != nil {
			return nil, fmt.Errorf("compress: %w", err)
		}
		w.b = append(w.b[:w.start+recordbatch.HeaderSize], packed.Bytes()...)
	}
	h := w.b[w.start:]
	binary.BigEndian.PutUint64(h[0:], 0)
	binary.BigEndian.PutUint32(h[8:], uint32(len(h)-12))
	binary.BigEndian.PutUint32(h[12:], 0xffffffff) // leader epoch: the broker's to fill
	h[16] = 2
	binary.BigEndian.PutUint16(h[21:], uint16(c))
	binary.BigEndian.PutUint32(h[23:], uint32(w.n-1))
	binary.BigEndian.PutUint64(h[27:], uint64(w.now))
	binary.BigEndian.PutUint64(h[35:], uint64(w.now))
	binary.BigEndian.PutUint64(h[43:], ^uint64(0)) // no producer id, epoch, sequence
	binary.BigEndian.PutUint16(h[51:], 0xffff)
	binary.BigEndian.PutUint32(h[53:], 0xffffffff)
	binary.BigEndian.PutUint32(h[57:], uint32(w.n))
	binary.BigEndian.PutUint32(h[17:], crc32.Checksum(h[21:], recordbatch.Castagnoli))
	return w.b, nil
}

// recordReader reads the records of an inflated batch one by one. Keys, values and header values point into the batch.
type recordReader struct {
	batch   *recordbatch.Batch
	r       wireReader
	left    int
	headers []event.Header // of the records read so far; may be cut back to length 0 once they are not needed
}

func recordsOf(b *recordbatch.Batch) recordReader {
	return recordReader{batch: b, r: wireReader{b: b.Body}, left: b.Count}
}

// next reads one record into rec; false at the end.
func (rr *recordReader) next(rec *event.Record) (bool, error) {
	if rr.left == 0 {
		return false, nil
	}
	rr.left--
	size := rr.r.varint()
	if size < 0 || size > int64(len(rr.r.b)) {
		return false, recordbatch.ErrCorrupt
	}
	r := wireReader{b: rr.r.take(int(size))}
	r.int8()
	delta := r.varint()
	rec.Offset = rr.batch.Base + r.varint()
	rec.Key = r.varbytes()
	rec.Value = r.varbytes()
	from := len(rr.headers)
	for n := r.varint(); n > 0 && r.err == nil; n-- {
		key := r.varbytes()
		rr.headers = append(rr.headers, event.Header{Key: headerName(key), Value: r.varbytes()})
	}
	rec.Headers = rr.headers[from:len(rr.headers):len(rr.headers)]
	if r.err != nil || rr.r.err != nil {
		return false, recordbatch.ErrCorrupt
	}
	if rr.batch.Appended() {
		rec.Time = time.UnixMilli(rr.batch.MaxTime)
	} else {
		rec.Time = time.UnixMilli(rr.batch.BaseTime + delta)
	}
	return true, nil
}

// headerName gives the string of a header's name, without an allocation for those that every event carries.
func headerName(b []byte) string {
	switch string(b) {
	case event.HeaderSpecVersion:
		return event.HeaderSpecVersion
	case event.HeaderID:
		return event.HeaderID
	case event.HeaderSource:
		return event.HeaderSource
	case event.HeaderType:
		return event.HeaderType
	case event.HeaderSubject:
		return event.HeaderSubject
	case event.HeaderTime:
		return event.HeaderTime
	case event.HeaderEntity:
		return event.HeaderEntity
	case event.HeaderOperation:
		return event.HeaderOperation
	case event.HeaderLocal:
		return event.HeaderLocal
	case event.HeaderHub:
		return event.HeaderHub
	case event.HeaderVersion:
		return event.HeaderVersion
	case event.HeaderOrigin:
		return event.HeaderOrigin
	case event.HeaderHops:
		return event.HeaderHops
	case event.HeaderAccepted:
		return event.HeaderAccepted
	case event.HeaderTrace:
		return event.HeaderTrace
	case event.HeaderContentType:
		return event.HeaderContentType
	}
	return string(b)
}
