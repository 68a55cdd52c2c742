package strictyaml

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
)

// Sum is a hash of what the node says, references filled in: where it stands, its comments and blank lines do not count. Two nodes
// of one sum mean the same.
func (n Node) Sum() [sha256.Size]byte {
	h := sha256.New()
	n.sum(h)
	return [sha256.Size]byte(h.Sum(nil))
}

func (n Node) sum(h hash.Hash) {
	_, _ = h.Write([]byte{byte(n.Kind())}) // a hash never fails
	switch n.Kind() {
	case Scalar:
		quoted := byte(0)
		if n.Quoted() {
			quoted = 1
		}
		_, _ = h.Write([]byte{quoted})
		sumText(h, n.n.text)
		if text, refs, ok := n.resolve(nil); ok && refs > 0 {
			sumText(h, text)
		}
	case Map:
		sumLen(h, len(n.n.fields))
		for _, f := range n.n.fields {
			sumText(h, f.Key)
			f.Value.sum(h)
		}
	case List:
		sumLen(h, len(n.n.items))
		for _, i := range n.n.items {
			i.sum(h)
		}
	}
}

func sumText(h hash.Hash, s string) {
	sumLen(h, len(s))
	_, _ = h.Write([]byte(s))
}

func sumLen(h hash.Hash, n int) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(n))
	_, _ = h.Write(b[:])
}
