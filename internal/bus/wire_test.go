package bus

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"github.com/waybill-hub/waybill/internal/bus/recordbatch"
	"github.com/waybill-hub/waybill/internal/event"
)

func encode(t testing.TB, c kafka.Compression, records ...event.Record) []byte {
	t.Helper()
	var w batchWriter
	w.begin(nil, time.UnixMilli(1_700_000_000_123))
	for i := range records {
		w.add(&records[i])
	}
	b, err := w.end(c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func decode(b []byte) ([]event.Record, error) {
	var out []event.Record
	for {
		info, rest, ok, err := recordbatch.Read(b)
		if err != nil || !ok {
			return out, err
		}
		if err := info.Inflate(1 << 20); err != nil {
			return out, err
		}
		rr := recordsOf(&info)
		for {
			var r event.Record
			more, err := rr.next(&r)
			if err != nil {
				return out, err
			}
			if !more {
				break
			}
			out = append(out, r)
		}
		b = rest
	}
}

// anyBytes draws nil, empty or other bytes.
func anyBytes(t *rapid.T, label string) []byte {
	if rapid.Bool().Draw(t, label+" is nil") {
		return nil
	}
	return rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, label)
}

// What is written is read again as it was, by this package and by another implementation.
func TestBatchesRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		compression := kafka.Compression(rapid.IntRange(0, 4).Draw(rt, "compression"))
		records := make([]event.Record, rapid.IntRange(1, 30).Draw(rt, "records"))
		for i := range records {
			records[i] = event.Record{Key: anyBytes(rt, "key"), Value: anyBytes(rt, "value")}
			for range rapid.IntRange(0, 3).Draw(rt, "headers") {
				records[i].Headers = append(records[i].Headers, event.Header{Key: rapid.SampledFrom([]string{"", event.HeaderID, event.HeaderTrace, "own"}).Draw(rt, "name"), Value: anyBytes(rt, "header")})
			}
		}
		b := encode(t, compression, records...)
		size := recordbatch.HeaderSize
		for i := range records {
			size += recordBytes(&records[i])
		}
		if compression == 0 && len(b) > size {
			rt.Fatalf("%d bytes, reckoned %d", len(b), size)
		}
		got, err := decode(append(bytes.Clone(b), b[:len(b)-1]...)) // a cut batch at the end, as brokers send
		if err != nil || len(got) != len(records) {
			rt.Fatalf("%d of %d records, %v", len(got), len(records), err)
		}
		theirs, _ := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Offset: 0, Topic: "t"},
			&kmsg.FetchResponseTopicPartition{RecordBatches: b, HighWatermark: 1000}, kgo.DefaultDecompressor(), nil)
		if theirs.Err != nil || len(theirs.Records) != len(records) {
			rt.Fatalf("another implementation reads %d of %d records: %v", len(theirs.Records), len(records), theirs.Err)
		}
		for i, want := range records {
			g, o := got[i], theirs.Records[i]
			if !same(g.Key, want.Key) || !same(g.Value, want.Value) || g.Offset != int64(i) || len(g.Headers) != len(want.Headers) || g.Time.UnixMilli() != 1_700_000_000_123 {
				rt.Fatalf("record %d: %+v, want %+v", i, g, want)
			}
			if !same(o.Key, want.Key) || !same(o.Value, want.Value) || o.Offset != int64(i) || len(o.Headers) != len(want.Headers) || !o.Timestamp.Equal(g.Time) {
				rt.Fatalf("another implementation reads record %d as %+v, want %+v", i, o, want)
			}
			for h := range want.Headers {
				if g.Headers[h].Key != want.Headers[h].Key || !same(g.Headers[h].Value, want.Headers[h].Value) || o.Headers[h].Key != want.Headers[h].Key {
					rt.Fatalf("header %+v, want %+v", g.Headers[h], want.Headers[h])
				}
			}
		}
	})
}

func same(a, b []byte) bool { return bytes.Equal(a, b) && (a == nil) == (b == nil) }

// resum makes the checksum of a changed batch right again.
func resum(b []byte) []byte {
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], recordbatch.Castagnoli))
	return b
}

func TestDamagedBatches(t *testing.T) {
	whole := encode(t, 0, record("t", "key", "value"), record("t", "key", "value"))
	change := func(f func(b []byte)) []byte {
		b := bytes.Clone(whole)
		f(b)
		return b
	}
	for _, test := range []struct {
		name string
		b    []byte
		err  error
	}{
		{"a flipped bit", change(func(b []byte) { b[len(b)-1] ^= 1 }), recordbatch.ErrCorrupt},
		{"old format", change(func(b []byte) { b[16] = 1 }), recordbatch.ErrOldFormat},
		{"too short for a batch", change(func(b []byte) { binary.BigEndian.PutUint32(b[8:], 5) }), recordbatch.ErrCorrupt},
		{"negative length", change(func(b []byte) { binary.BigEndian.PutUint32(b[8:], 0xffffffff) }), recordbatch.ErrCorrupt},
		{"more records than there are", resum(change(func(b []byte) { binary.BigEndian.PutUint32(b[57:], 1000) })), recordbatch.ErrCorrupt},
		{"negative count", resum(change(func(b []byte) { binary.BigEndian.PutUint32(b[57:], 0xffffffff) })), recordbatch.ErrCorrupt},
		{"a record longer than the batch", resum(change(func(b []byte) { b[61] = 0x7e })), recordbatch.ErrCorrupt},
		{"unknown compression", resum(change(func(b []byte) { b[22] = 7 })), recordbatch.ErrCorrupt},
		{"not compressed as it says", resum(change(func(b []byte) { b[22] = 1 })), recordbatch.ErrCorrupt},
		{"too large when decompressed", encode(t, kafka.Zstd, record("t", "k", strings.Repeat("x", 2<<20))), recordbatch.ErrInflated},
	} {
		if got, err := decode(test.b); !errors.Is(err, test.err) {
			t.Errorf("%s: %d records, error %v, want %v", test.name, len(got), err, test.err)
		}
	}
	for cut := range whole {
		if got, err := decode(whole[:cut]); len(got) != 0 || err != nil {
			t.Errorf("cut to %d bytes: %d records, %v", cut, len(got), err)
		}
	}
}

func FuzzBatches(f *testing.F) {
	f.Add(encode(f, 0, record("t", "key", "value")), true)
	f.Add(encode(f, kafka.Gzip, record("t", "key", "value")), true)
	f.Add([]byte{}, false)
	f.Fuzz(func(t *testing.T, b []byte, sum bool) {
		if sum && len(b) > 21 {
			b = resum(bytes.Clone(b))
		}
		_, _ = decode(b)
	})
}

func FuzzAnswers(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x01t"), int16(11))
	f.Fuzz(func(t *testing.T, b []byte, version int16) {
		var a fetched
		_ = a.parse(b, version, "t", 0)
		m := clusterMeta{brokers: map[int32]string{}}
		_ = m.parse(b)
		_ = parseOffsets(b, version, func(string, int, int64) {})
	})
}

func TestVarints(t *testing.T) {
	for _, v := range []int64{0, 1, -1, 63, 64, -64, -65, 1 << 20, -(1 << 40), 1<<63 - 1, -1 << 63} {
		if want := len(binary.AppendVarint(nil, v)); varintLen(v) != want {
			t.Errorf("%d: %d bytes, want %d", v, varintLen(v), want)
		}
	}
}

// The keys of one partition spread over all its lanes, and a key has one lane for ever.
func TestLaneOf(t *testing.T) {
	const partitions, lanes = 12, 16
	balancer := kafka.Murmur2Balancer{Consistent: true}
	all := make([]int, partitions)
	for i := range all {
		all[i] = i
	}
	var counts [lanes]int
	n := 0
	for i := range 100_000 {
		key := fmt.Appendf(nil, "C%07d", i)
		if balancer.Balance(kafka.Message{Key: key}, all...) == 3 {
			counts[laneOf(key, lanes)]++
			n++
		}
	}
	for lane, c := range counts {
		if c < n/lanes*8/10 || c > n/lanes*12/10 {
			t.Errorf("lane %d has %d of %d keys", lane, c, n)
		}
	}
	for key, want := range map[string]int{"": 0, "C0000001": laneOf([]byte("C0000001"), lanes)} {
		if got := laneOf([]byte(key), lanes); got != want {
			t.Errorf("%q: lane %d, want %d", key, got, want)
		}
	}
	if laneOf([]byte("x"), 1) != 0 {
		t.Error("one lane is lane 0")
	}
}
