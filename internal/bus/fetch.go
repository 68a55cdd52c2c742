package bus

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"sort"
	"time"

	"github.com/segmentio/kafka-go/protocol"
)

// fetcher reads one partition.
type fetcher struct {
	c         *Cluster
	topic     string
	partition int
	buf       *[]byte // of the answer that was given last; see release
}

// fetched is a broker's answer to a fetch.
type fetched struct {
	err     int16
	high    int64 // offset of the next record to be written
	first   int64 // offset of the oldest record held
	aborted []abortedTransaction
	records []byte
}

// abortedTransaction: the records of the producer from first on, up to its abort marker, do not count.
type abortedTransaction struct{ producer, first int64 }

// fetch asks for records from offset on. It waits up to wait for the first one. The answer is valid until release.
func (f *fetcher) fetch(ctx context.Context, offset int64, maxBytes int, wait time.Duration) (fetched, error) {
	f.release()
	ctx, cancel := context.WithTimeout(ctx, wait+f.c.cfg.Timeout)
	defer cancel()
	var out fetched
	q := &raw{key: protocol.Fetch, least: 4, most: 11, negotiate: true, topic: f.topic, partition: int32(f.partition),
		write: func(b []byte, version int16) []byte { return f.request(b, version, offset, maxBytes, wait) },
		read: func(r io.Reader, size int, version int16) error {
			f.buf = buffers.Get().(*[]byte)
			if cap(*f.buf) < size {
				*f.buf = make([]byte, size)
			}
			b := (*f.buf)[:size]
			if _, err := io.ReadFull(r, b); err != nil {
				return err
			}
			return out.parse(b, version, f.topic, f.partition)
		},
	}
	if err := f.c.exchange(ctx, q); err != nil {
		f.release()
		return fetched{}, fmt.Errorf("read %s/%d: %w", f.topic, f.partition, err)
	}
	return out, nil
}

// release gives the memory of the last answer back.
func (f *fetcher) release() {
	if f.buf != nil && cap(*f.buf) <= 4<<20 {
		buffers.Put(f.buf)
	}
	f.buf = nil
}

func (f *fetcher) request(b []byte, version int16, offset int64, maxBytes int, wait time.Duration) []byte {
	b = binary.BigEndian.AppendUint32(b, 0xffffffff) // not a replica
	b = binary.BigEndian.AppendUint32(b, uint32(wait.Milliseconds()))
	b = binary.BigEndian.AppendUint32(b, 1)
	b = binary.BigEndian.AppendUint32(b, uint32(maxBytes))
	b = append(b, 1) // read committed
	if version >= 7 {
		b = binary.BigEndian.AppendUint32(b, 0)
		b = binary.BigEndian.AppendUint32(b, 0xffffffff) // no session
	}
	b = binary.BigEndian.AppendUint32(b, 1)
	b = appendString(b, f.topic)
	b = binary.BigEndian.AppendUint32(b, 1)
	b = binary.BigEndian.AppendUint32(b, uint32(f.partition))
	if version >= 9 {
		b = binary.BigEndian.AppendUint32(b, 0xffffffff)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(offset))
	if version >= 5 {
		b = binary.BigEndian.AppendUint64(b, ^uint64(0))
	}
	b = binary.BigEndian.AppendUint32(b, uint32(maxBytes))
	if version >= 7 {
		b = binary.BigEndian.AppendUint32(b, 0)
	}
	if version >= 11 {
		b = append(b, 0, 0)
	}
	return b
}

func (a *fetched) parse(b []byte, version int16, topic string, partition int) error {
	r := &wireReader{b: b}
	r.int32() // throttle
	if version >= 7 {
		if code := r.int16(); code != 0 {
			a.err = code
			return r.err
		}
		r.int32()
	}
	if n := r.count(1); n == 0 && r.err == nil {
		return nil
	}
	if r.string() != topic || r.count(1) != 1 || int(r.int32()) != partition {
		return errShort
	}
	a.err, a.high = r.int16(), r.int64()
	r.int64() // last stable offset
	if version >= 5 {
		a.first = r.int64()
	}
	for n := r.count(16); n > 0 && r.err == nil; n-- {
		a.aborted = append(a.aborted, abortedTransaction{r.int64(), r.int64()})
	}
	sort.Slice(a.aborted, func(i, j int) bool { return a.aborted[i].first < a.aborted[j].first })
	if version >= 11 {
		r.int32()
	}
	if n := r.int32(); n > 0 {
		a.records = r.take(int(n))
	}
	return r.err
}
