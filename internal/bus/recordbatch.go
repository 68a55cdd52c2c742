package bus

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/waybill-hub/waybill/internal/event"
)

// batchHeader is the size of a record batch (format version 2) before its first record.
const batchHeader = 61

const (
	attrCompression   = 0x07
	attrLogAppendTime = 0x08
	attrTransactional = 0x10
	attrControl       = 0x20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var (
	errOldFormat = errors.New("records in the format of Kafka before 0.11: rewrite the topic with a newer producer")
	errCorrupt   = errors.New("record batch is corrupt")
	errInflated  = errors.New("record batch is larger than allowed when decompressed")
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
	w.b = append(b, make([]byte, batchHeader)...)
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
		if _, err := z.Write(w.b[w.start+batchHeader:]); err != nil {
			return nil, fmt.Errorf("compress: %w", err)
		}
		if err := z.Close(); err != nil {
			return nil, fmt.Errorf("compress: %w", err)
		}
		w.b = append(w.b[:w.start+batchHeader], packed.Bytes()...)
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
	binary.BigEndian.PutUint32(h[17:], crc32.Checksum(h[21:], castagnoli))
	return w.b, nil
}

// batchInfo is what the header of a record batch says.
type batchInfo struct {
	base       int64
	next       int64 // the offset after the batch
	attributes int16
	baseTime   int64
	maxTime    int64
	producer   int64
	count      int
	body       []byte
}

func (i *batchInfo) control() bool       { return i.attributes&attrControl != 0 }
func (i *batchInfo) transactional() bool { return i.attributes&attrTransactional != 0 }

// nextBatch reads the header of the first batch of b and checks its sum. rest is what follows the batch. A batch that b
// holds only the beginning of gives ok = false without an error: brokers cut the last one.
func nextBatch(b []byte) (info batchInfo, rest []byte, ok bool, err error) {
	if len(b) < 17 {
		return info, nil, false, nil
	}
	size := int(int32(binary.BigEndian.Uint32(b[8:]))) + 12
	if b[16] != 2 {
		return info, nil, false, errOldFormat
	}
	if size < batchHeader {
		return info, nil, false, errCorrupt
	}
	if size > len(b) {
		return info, nil, false, nil
	}
	h := b[:size:size]
	if crc32.Checksum(h[21:], castagnoli) != binary.BigEndian.Uint32(h[17:]) {
		return info, nil, false, errCorrupt
	}
	info = batchInfo{
		base:       int64(binary.BigEndian.Uint64(h)),
		attributes: int16(binary.BigEndian.Uint16(h[21:])),
		baseTime:   int64(binary.BigEndian.Uint64(h[27:])),
		maxTime:    int64(binary.BigEndian.Uint64(h[35:])),
		producer:   int64(binary.BigEndian.Uint64(h[43:])),
		count:      int(int32(binary.BigEndian.Uint32(h[57:]))),
		body:       h[batchHeader:],
	}
	last := int32(binary.BigEndian.Uint32(h[23:]))
	if info.base < 0 || last < 0 || info.count < 0 {
		return info, nil, false, errCorrupt
	}
	info.next = info.base + int64(last) + 1
	return info, b[size:], true, nil
}

// inflate decompresses the records of the batch into at most limit bytes.
func (i *batchInfo) inflate(limit int64) error {
	c := kafka.Compression(i.attributes & attrCompression)
	if c == 0 {
		return nil
	}
	if c > kafka.Zstd {
		return fmt.Errorf("%w: unknown compression %d", errCorrupt, c)
	}
	z := c.Codec().NewReader(bytes.NewReader(i.body))
	defer z.Close()
	var out bytes.Buffer
	n, err := io.Copy(&out, io.LimitReader(z, limit+1))
	if err != nil {
		return fmt.Errorf("%w: decompress: %w", errCorrupt, err)
	}
	if n > limit {
		return fmt.Errorf("%w: more than %d bytes", errInflated, limit)
	}
	i.body, i.attributes = out.Bytes(), i.attributes&^attrCompression
	return nil
}

// recordReader reads the records of an inflated batch one by one. Keys, values and header values point into the batch.
type recordReader struct {
	info    *batchInfo
	r       wireReader
	left    int
	headers []event.Header // of the records read so far; may be cut back to length 0 once they are not needed
}

func (i *batchInfo) reader() recordReader {
	return recordReader{info: i, r: wireReader{b: i.body}, left: i.count}
}

// next reads one record into rec; false at the end.
func (rr *recordReader) next(rec *event.Record) (bool, error) {
	if rr.left == 0 {
		return false, nil
	}
	rr.left--
	size := rr.r.varint()
	if size < 0 || size > int64(len(rr.r.b)) {
		return false, errCorrupt
	}
	r := wireReader{b: rr.r.take(int(size))}
	r.int8()
	delta := r.varint()
	rec.Offset = rr.info.base + r.varint()
	rec.Key = r.varbytes()
	rec.Value = r.varbytes()
	from := len(rr.headers)
	for n := r.varint(); n > 0 && r.err == nil; n-- {
		key := r.varbytes()
		rr.headers = append(rr.headers, event.Header{Key: headerName(key), Value: r.varbytes()})
	}
	rec.Headers = rr.headers[from:len(rr.headers):len(rr.headers)]
	if r.err != nil || rr.r.err != nil {
		return false, errCorrupt
	}
	if rr.info.attributes&attrLogAppendTime != 0 {
		rec.Time = time.UnixMilli(rr.info.maxTime)
	} else {
		rec.Time = time.UnixMilli(rr.info.baseTime + delta)
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
