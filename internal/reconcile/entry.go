package reconcile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
)

// entry is one object of a side as it was read.
type entry struct {
	// own is its id as the system lists it, local as the hub knows it; mostly they are the same.
	own, local string
	// hub is its hub id; empty: the hub has never seen it.
	hub     string
	key     string
	version string
	// gone: the hub knows that it was deleted there. It is not stored.
	gone bool
	// filtered: the flow's `when`, or the side's `where`, does not want it.
	filtered bool
	// why says why it has no document to compare: it cannot be read or mapped.
	why string
	doc []byte
	// before is the document that the hub knows, where doc is what a flow makes of it.
	before []byte
}

// What an entry's flags say.
const (
	flagFiltered = 1 << iota
	flagDoc      // it has a document
	flagBefore   // and one that the hub knows
)

func (e *entry) append(b []byte) []byte {
	flags := byte(0)
	if e.filtered {
		flags |= flagFiltered
	}
	if e.doc != nil {
		flags |= flagDoc
	}
	if e.before != nil {
		flags |= flagBefore
	}
	b = append(b, flags)
	for _, s := range []string{e.own, e.local, e.hub, e.key, e.version, e.why} {
		b = appendText(b, s)
	}
	for _, doc := range [][]byte{e.doc, e.before} {
		if doc != nil {
			b = appendText(b, doc)
		}
	}
	return b
}

// appendText puts a text with its length behind b; takeText takes it from the beginning of what is read.
func appendText[T string | []byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func takeText(b []byte) (text, rest []byte, err error) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return nil, nil, errEntry
	}
	end := size + int(n)
	return b[size:end:end], b[end:], nil
}

func takeNumber(b []byte) (n int, rest []byte, err error) {
	v, size := binary.Uvarint(b)
	if size <= 0 || v > math.MaxInt32 {
		return 0, nil, errEntry
	}
	return int(v), b[size:], nil
}

var errEntry = errors.New("an entry on disk is not what was written")

// read takes what append wrote from the beginning of b, and gives the rest. The documents lie in b.
func (e *entry) read(b []byte) ([]byte, error) {
	if len(b) == 0 || b[0] > flagFiltered|flagDoc|flagBefore {
		return nil, errEntry
	}
	flags, b := b[0], b[1:]
	e.filtered = flags&flagFiltered != 0
	for _, s := range []*string{&e.own, &e.local, &e.hub, &e.key, &e.version, &e.why} {
		text, rest, err := takeText(b)
		if err != nil {
			return nil, err
		}
		*s, b = string(text), rest
	}
	for i, doc := range []*[]byte{&e.doc, &e.before} {
		if flags&(flagDoc<<i) == 0 {
			continue
		}
		text, rest, err := takeText(b)
		if err != nil {
			return nil, err
		}
		*doc, b = text, rest
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
	// unnamed is how many others of the same key there are beside those in more.
	unnamed int
	// n is the number of the stored difference that the pair stands for; 0: of none.
	n int
}

// What a pair's flags say.
const (
	flagLeft = 1 << iota
	flagRight
	flagMoreRight
)

func (p *pair) append(b []byte) []byte {
	flags := byte(0)
	for i, is := range []bool{p.left != nil, p.right != nil, p.moreRight} {
		if is {
			flags |= 1 << i
		}
	}
	b = append(b, flags)
	for _, n := range []int{p.unnamed, p.n, len(p.more)} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	for _, e := range append([]*entry{p.left, p.right}, p.more...) {
		if e != nil {
			b = e.append(b)
		}
	}
	return b
}

// readPair reads what append wrote, and nothing else. It shares no memory with b.
func readPair(key, b []byte) (*pair, error) {
	if len(b) == 0 || b[0] > flagLeft|flagRight|flagMoreRight {
		return nil, errEntry
	}
	flags := b[0]
	p := &pair{key: string(key), moreRight: flags&flagMoreRight != 0}
	b = bytes.Clone(b[1:]) // documents stay where they are while the reader goes on
	var more int
	var err error
	for _, n := range []*int{&p.unnamed, &p.n, &more} {
		if *n, b, err = takeNumber(b); err != nil {
			return nil, err
		}
	}
	next := func(to **entry) {
		if err == nil {
			*to = &entry{}
			b, err = (*to).read(b)
		}
	}
	if flags&flagLeft != 0 {
		next(&p.left)
	}
	if flags&flagRight != 0 {
		next(&p.right)
	}
	for range more {
		var e *entry
		if next(&e); err != nil {
			break
		}
		p.more = append(p.more, e)
	}
	if err == nil && len(b) > 0 {
		err = errEntry
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// all are the objects of a pair.
func (p *pair) all() []*entry {
	var out []*entry
	for _, e := range append([]*entry{p.left, p.right}, p.more...) {
		if e != nil {
			out = append(out, e)
		}
	}
	return out
}

// hub is the pair's hub id; empty: the hub knows neither half.
func (p *pair) hub() string {
	for _, e := range p.all() {
		if e.hub != "" {
			return e.hub
		}
	}
	return ""
}

// outOfScope: nobody wants the object on the sides where it is.
func (p *pair) outOfScope() bool {
	return len(p.more) == 0 && (p.left == nil || p.left.filtered) && (p.right == nil || p.right.filtered)
}
