package reconcile

import (
	"encoding/binary"
	"errors"
)

// entry is one object of a side as it was read.
type entry struct {
	// own is its id as the system lists it, local as the hub knows it; mostly they are the same.
	own, local string
	// hub is its hub id; empty: the hub has never seen it.
	hub     string
	key     string
	version string
	// filtered: the flow's `when`, or the side's `where`, does not want it.
	filtered bool
	// why says why it has no document to compare: it cannot be read or mapped.
	why string
	doc []byte
	// before is the document that the hub knows, where doc is what a flow makes of it.
	before []byte
}

func (e *entry) append(b []byte) []byte {
	flags := byte(0)
	if e.filtered {
		flags = 1
	}
	b = append(b, flags)
	for _, s := range []string{e.own, e.local, e.hub, e.key, e.version, e.why} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	for _, d := range [][]byte{e.doc, e.before} {
		b = append(binary.AppendUvarint(b, uint64(len(d))), d...)
	}
	return b
}

var errEntry = errors.New("an entry on disk is not what was written")

// read takes what append wrote from the beginning of b, and gives the rest. The document lies in b.
func (e *entry) read(b []byte) ([]byte, error) {
	if len(b) == 0 {
		return nil, errEntry
	}
	e.filtered, b = b[0] == 1, b[1:]
	field := func() (out []byte) {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			b = nil
			return nil
		}
		out, b = b[size:size+int(n)], b[size+int(n):]
		return out
	}
	for _, s := range []*string{&e.own, &e.local, &e.hub, &e.key, &e.version, &e.why} {
		if b == nil {
			return nil, errEntry
		}
		*s = string(field())
	}
	for _, d := range []*[]byte{&e.doc, &e.before} {
		if b == nil {
			return nil, errEntry
		}
		if *d = field(); len(*d) == 0 {
			*d = nil
		}
	}
	if b == nil {
		return nil, errEntry
	}
	return b, nil
}

// pair is what both sides hold under one key. Of a side that holds several, the first stands here and the others in more.
type pair struct {
	key         string
	left, right *entry
	more        []*entry
	// moreRight: more are the right side's.
	moreRight bool
}

func (p *pair) append(b []byte) []byte {
	flags := byte(0)
	for i, is := range []bool{p.left != nil, p.right != nil, p.moreRight} {
		if is {
			flags |= 1 << i
		}
	}
	b = append(b, flags)
	for _, e := range []*entry{p.left, p.right} {
		if e != nil {
			b = e.append(b)
		}
	}
	b = binary.AppendUvarint(b, uint64(len(p.more)))
	for _, e := range p.more {
		b = e.append(b)
	}
	return b
}

func readPair(key, b []byte) (*pair, error) {
	if len(b) == 0 {
		return nil, errEntry
	}
	p := &pair{key: string(key), moreRight: b[0]&4 != 0}
	flags := b[0]
	b = append([]byte(nil), b[1:]...) // documents stay where they are while the reader goes on
	var err error
	for i, e := range []**entry{&p.left, &p.right} {
		if flags&(1<<i) == 0 {
			continue
		}
		*e = &entry{}
		if b, err = (*e).read(b); err != nil {
			return nil, err
		}
	}
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)) {
		return nil, errEntry
	}
	b = b[size:]
	for range n {
		e := &entry{}
		if b, err = e.read(b); err != nil {
			return nil, err
		}
		p.more = append(p.more, e)
	}
	return p, nil
}
