package store

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
)

// spot is where one record of a row is; lost says that it is not there any more and has to be put there again. Offset over
// says that every reader has finished it, in a life of the log that is over.
type spot struct {
	part   int
	offset int64
	lost   bool
}

const over = -1

// encodeSpots writes partition and loss in one number, and the offset plus one.
func encodeSpots(spots []spot) []byte {
	b := make([]byte, 0, 6*len(spots))
	for _, s := range spots {
		b = binary.AppendUvarint(b, uint64(s.part)<<1|uint64(b2i(s.lost)))
		b = binary.AppendUvarint(b, uint64(s.offset+1))
	}
	return b
}

func decodeSpots(b []byte, out []spot) ([]spot, error) {
	out = out[:0]
	for len(b) > 0 {
		p, n := binary.Uvarint(b)
		if n <= 0 {
			return nil, fmt.Errorf("sent log: places: %w", errTorn)
		}
		o, m := binary.Uvarint(b[n:])
		if m <= 0 {
			return nil, fmt.Errorf("sent log: places: %w", errTorn)
		}
		b = b[n+m:]
		out = append(out, spot{int(p >> 1), int64(o) - 1, p&1 == 1})
	}
	return out, nil
}

// appendRecord writes a record without its place.
func appendRecord(b []byte, r *event.Record) []byte {
	b = appendBytes(b, r.Key)
	b = appendBytes(b, r.Value)
	at := int64(0)
	if !r.Time.IsZero() {
		at = r.Time.UnixNano()
	}
	b = binary.AppendVarint(b, at)
	b = binary.AppendUvarint(b, uint64(len(r.Headers)))
	for i := range r.Headers {
		b = appendText(b, r.Headers[i].Key)
		b = appendBytes(b, r.Headers[i].Value)
	}
	return b
}

// appendBytes writes bytes behind their length and one; nil is 0.
func appendBytes(b, v []byte) []byte {
	if v == nil {
		return append(b, 0)
	}
	return append(binary.AppendUvarint(b, uint64(len(v))+1), v...)
}

// decodeRecords reads what appendRecord has written. The records share b.
func decodeRecords(b []byte) ([]event.Record, error) {
	d := &decoder{b: b}
	var out []event.Record
	for len(d.b) > 0 && !d.torn {
		r := event.Record{Key: d.bytes(), Value: d.bytes()}
		if at := d.varint(); at != 0 {
			r.Time = time.Unix(0, at)
		}
		n := d.uvarint()
		if n > uint64(len(d.b)) {
			d.torn = true
			break
		}
		for range n {
			r.Headers = append(r.Headers, event.Header{Key: d.text(), Value: d.bytes()})
		}
		out = append(out, r)
	}
	if d.torn {
		return nil, fmt.Errorf("sent log: records: %w", errTorn)
	}
	return out, nil
}

// decoder reads values one behind another; after the first that is torn it gives zeros.
type decoder struct {
	b    []byte
	torn bool
}

func (d *decoder) uvarint() uint64 { return number(d, binary.Uvarint) }

func (d *decoder) varint() int64 { return number(d, binary.Varint) }

func number[T any](d *decoder, read func([]byte) (T, int)) (none T) {
	v, n := read(d.b)
	if n <= 0 {
		d.b, d.torn = nil, true
		return none
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) take(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.b, d.torn = nil, true
		return nil
	}
	out := d.b[:n:n]
	d.b = d.b[n:]
	return out
}

func (d *decoder) bytes() []byte {
	n := d.uvarint()
	if n == 0 {
		return nil
	}
	return d.take(n - 1)
}

func (d *decoder) text() string { return string(d.take(d.uvarint())) }
