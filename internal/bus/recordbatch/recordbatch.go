// Package recordbatch reads the heads of Kafka's record batches (format version 2), as they are sent and as they lie in a broker's log. The
// client reads the records behind them, the embedded broker checks its files by them.
package recordbatch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/segmentio/kafka-go"
)

// HeaderSize is the size of a batch before its first record.
const HeaderSize = 61

const (
	attrCompression   = 0x07
	attrLogAppendTime = 0x08
	attrTransactional = 0x10
	attrControl       = 0x20
)

// Castagnoli is the table of the checksums in Kafka's formats.
var Castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Errors of batches.
var (
	ErrOldFormat = errors.New("records in the format of Kafka before 0.11: rewrite the topic with a newer producer")
	ErrCorrupt   = errors.New("record batch is corrupt")
	ErrInflated  = errors.New("record batch is larger than allowed when decompressed")
)

// Batch is what the header of a record batch says, and its records as they were sent.
type Batch struct {
	Base       int64 // offset of the first record
	Next       int64 // the offset after the batch
	Attributes int16
	BaseTime   int64 // of the first record, in milliseconds
	MaxTime    int64
	Producer   int64
	Count      int // of records
	Body       []byte
}

// Control: the batch ends a transaction, and holds nothing for readers.
func (b *Batch) Control() bool { return b.Attributes&attrControl != 0 }

// Transactional: its records count only once their transaction is committed.
func (b *Batch) Transactional() bool { return b.Attributes&attrTransactional != 0 }

// Appended: its records have the time at which the broker took them.
func (b *Batch) Appended() bool { return b.Attributes&attrLogAppendTime != 0 }

// Read reads the header of the first batch of b and checks its sum. rest is what follows the batch. A batch that b
// holds only the beginning of gives ok = false without an error: brokers cut the last one.
func Read(b []byte) (batch Batch, rest []byte, ok bool, err error) {
	if len(b) < 17 {
		return batch, nil, false, nil
	}
	size := int(int32(binary.BigEndian.Uint32(b[8:]))) + 12
	if b[16] != 2 {
		return batch, nil, false, ErrOldFormat
	}
	if size < HeaderSize {
		return batch, nil, false, ErrCorrupt
	}
	if size > len(b) {
		return batch, nil, false, nil
	}
	h := b[:size:size]
	if crc32.Checksum(h[21:], Castagnoli) != binary.BigEndian.Uint32(h[17:]) {
		return batch, nil, false, ErrCorrupt
	}
	batch = Batch{
		Base:       int64(binary.BigEndian.Uint64(h)),
		Attributes: int16(binary.BigEndian.Uint16(h[21:])),
		BaseTime:   int64(binary.BigEndian.Uint64(h[27:])),
		MaxTime:    int64(binary.BigEndian.Uint64(h[35:])),
		Producer:   int64(binary.BigEndian.Uint64(h[43:])),
		Count:      int(int32(binary.BigEndian.Uint32(h[57:]))),
		Body:       h[HeaderSize:],
	}
	last := int32(binary.BigEndian.Uint32(h[23:]))
	if batch.Base < 0 || last < 0 || batch.Count < 0 {
		return batch, nil, false, ErrCorrupt
	}
	if batch.Next = batch.Base + int64(last) + 1; batch.Next <= batch.Base { // beyond what an offset can be
		return batch, nil, false, ErrCorrupt
	}
	return batch, b[size:], true, nil
}

// Inflate decompresses the records of the batch into at most limit bytes.
func (b *Batch) Inflate(limit int64) error {
	c := kafka.Compression(b.Attributes & attrCompression)
	if c == 0 {
		return nil
	}
	if c > kafka.Zstd {
		return fmt.Errorf("%w: unknown compression %d", ErrCorrupt, c)
	}
	z := c.Codec().NewReader(bytes.NewReader(b.Body))
	defer z.Close()
	var out bytes.Buffer
	n, err := io.Copy(&out, io.LimitReader(z, limit+1))
	if err != nil {
		return fmt.Errorf("%w: decompress: %w", ErrCorrupt, err)
	}
	if n > limit {
		return fmt.Errorf("%w: more than %d bytes", ErrInflated, limit)
	}
	b.Body, b.Attributes = out.Bytes(), b.Attributes&^attrCompression
	return nil
}
