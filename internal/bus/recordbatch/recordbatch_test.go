package recordbatch

import (
	"encoding/binary"
	"hash/crc32"
	"testing"
)

// FuzzRead: whatever is read, a batch that is given is whole, has offsets that go up, and is gone from the rest. (Batches with records, and damaged
// ones, are tried where records are read: package bus.)
func FuzzRead(f *testing.F) {
	whole := make([]byte, HeaderSize+3)
	binary.BigEndian.PutUint32(whole[8:], uint32(len(whole)-12))
	whole[16] = 2
	binary.BigEndian.PutUint32(whole[57:], 1)
	f.Add(whole, true)
	f.Add(append(append([]byte(nil), whole...), whole...), true)
	f.Add(whole[:40], false)
	last := append([]byte(nil), whole...)
	binary.BigEndian.PutUint64(last, 1<<63-1)
	f.Add(last, true)
	f.Fuzz(func(t *testing.T, b []byte, sum bool) {
		if sum && len(b) >= HeaderSize {
			if size := int(int32(binary.BigEndian.Uint32(b[8:]))) + 12; size >= HeaderSize && size <= len(b) {
				binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:size], Castagnoli))
			}
		}
		batch, rest, ok, err := Read(b)
		if err != nil || !ok {
			return
		}
		if len(batch.Body)+HeaderSize+len(rest) != len(b) || batch.Next <= batch.Base || batch.Count < 0 {
			t.Errorf("%+v of %d bytes, %d left", batch, len(b), len(rest))
		}
		if err := batch.Inflate(1 << 16); err == nil && batch.Attributes&attrCompression != 0 {
			t.Error("still compressed")
		}
	})
}
