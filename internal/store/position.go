package store

import (
	"slices"
	"sort"

	"github.com/waybill-hub/waybill/internal/event"
)

// finished reports whether offset is finished in p.
func finished(p *event.Position, offset int64) bool {
	if offset < p.Next {
		return true
	}
	i := sort.Search(len(p.Done), func(i int) bool { return p.Done[i].To > offset })
	return i < len(p.Done) && p.Done[i].From <= offset
}

// finish adds one offset and reports whether it was new. Done stays sorted, apart, and above Next.
func finish(p *event.Position, offset int64) bool {
	if offset == p.Next { // the common case
		p.Next++
		p.Settle()
		return true
	}
	if finished(p, offset) {
		return false
	}
	i := sort.Search(len(p.Done), func(i int) bool { return p.Done[i].To >= offset })
	switch {
	case i < len(p.Done) && p.Done[i].To == offset:
		p.Done[i].To++
		if i+1 < len(p.Done) && p.Done[i+1].From == p.Done[i].To {
			p.Done[i].To = p.Done[i+1].To
			p.Done = slices.Delete(p.Done, i+1, i+2)
		}
	case i < len(p.Done) && p.Done[i].From == offset+1:
		p.Done[i].From--
	default:
		p.Done = slices.Insert(p.Done, i, event.Range{From: offset, To: offset + 1})
	}
	return true
}

// pass adds a whole range, parts of which may be finished already.
func pass(p *event.Position, r event.Range) {
	r.From = max(r.From, p.Next)
	if r.From >= r.To {
		return
	}
	lo := sort.Search(len(p.Done), func(i int) bool { return p.Done[i].To >= r.From })
	hi := sort.Search(len(p.Done), func(i int) bool { return p.Done[i].From > r.To })
	if lo < hi {
		r.From, r.To = min(r.From, p.Done[lo].From), max(r.To, p.Done[hi-1].To)
	}
	p.Done = slices.Replace(p.Done, lo, hi, r)
	p.Settle()
}
