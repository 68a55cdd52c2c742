package jsondoc

import (
	"bytes"
	"hash/maphash"
)

var seed = maphash.MakeSeed()

// duplicates searches a closed object for a name that stands twice, in time linear in its members whatever the names:
// the hash is seeded, so that nobody can write a document whose names all collide.
func (d *Doc) duplicates(b []byte, nodes []node, object uint32) problem {
	size := 4
	for size < 2*nodes[object].count() {
		size *= 2
	}
	if cap(d.seen) < size {
		d.seen = make([]uint32, size)
	}
	table := d.seen[:size]
	clear(table)
	end := nodes[object].next
	for k := object + 1; k < end; k = nodes[k+1].next {
		name := nameBytes(b, &nodes[k])
		for slot := maphash.Bytes(seed, name) & uint64(size-1); ; slot = (slot + 1) & uint64(size-1) {
			at := table[slot]
			if at == 0 { // index 0 is the root: never a name
				table[slot] = k
				break
			}
			if bytes.Equal(nameBytes(b, &nodes[at]), name) {
				return problem{int(nodes[k].start), "the name " + quote(b[nodes[k].start:nodes[k].end]) + " stands twice in one object"}
			}
		}
	}
	return problem{}
}

// nameBytes is a string node's text, decoded.
func nameBytes(b []byte, n *node) []byte {
	raw := b[n.start+1 : n.end-1]
	if n.escaped() {
		return appendUnescaped(nil, raw)
	}
	return raw
}
