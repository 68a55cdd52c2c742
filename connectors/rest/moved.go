package rest

import (
	"context"
	"hash/fnv"
	"net/http"
	"slices"

	"github.com/waybill-hub/waybill/internal/fault"
)

// A list that is divided by counting moves while it is read: what goes away, or changes and goes to the end, moves everything behind it over the
// edge of a page, and nobody reads it. A next URL or a cursor may hold such a count, too. So every page is read together with what was known to
// stand before it: with style offset in one answer, else by reading the page before once more. Where that no longer ends as it did,
// it is read for what has moved onto it, and the walk goes on behind it. Where it holds nothing that was known, nobody can tell how far the list has
// moved, and the walk begins again.

const (
	// maxKnown is how many objects of a page are remembered, and so by how many a list may move between two requests.
	maxKnown = 100
	// maxMoves is how often in a row the page before may have changed.
	maxMoves = 20
)

// overlapping reads the next page of style offset, from the last object that was read on. Whatever the page holds that was known, what stands behind
// that is read now. Where it holds nothing else, a look behind it tells the end from objects that are left out.
func (w *walk) overlapping(ctx context.Context) (*page, error) {
	n := w.at.N
	known := w.at.Last != "" && w.at.Empty == 0
	if known {
		n--
	}
	p, err := w.read(ctx, w.request(n, ""))
	if err != nil && !w.beyond(p, err) {
		return nil, w.hinted(p, err)
	}
	if known && (err != nil || !w.knows(p)) {
		return w.stepBack(ctx)
	}
	if n != w.at.Nth && len(p.items) > 0 && w.again(p) {
		// Either the list has moved back by just so much, or the service does not know the parameter: then the page before looks so, too.
		before, err := w.read(ctx, w.request(w.at.Nth, ""))
		if err != nil {
			return nil, err
		}
		if len(before.items) > 0 && w.again(before) {
			w.done, p.items = true, nil // what it shows is all
			return p, nil
		}
	}
	w.at.N, w.at.Moves = n, 0
	return p, w.count(p, len(p.items))
}

// stepBack reads the page before the place, where the place is no longer what it was.
func (w *walk) stepBack(ctx context.Context) (*page, error) {
	if w.at.Moves++; w.at.Moves > maxMoves {
		return nil, errShifted
	}
	n := max(0, w.at.N-max(w.at.Rows, len(w.at.Known)))
	p, err := w.read(ctx, w.request(n, ""))
	if err != nil {
		return nil, w.hinted(p, err)
	}
	if n > 0 && !w.knows(p) {
		return nil, errShifted
	}
	if len(p.items) == 0 {
		w.done = true // from the beginning on there is nothing
		return p, nil
	}
	w.at.N = n
	w.at.Read = 0 // nobody knows how much of it counts
	w.step(p, len(p.items), len(p.items))
	return p, nil
}

// knows reports whether a page holds an object of the page before that has not changed. Whatever did not change either, and stood behind it, stands
// behind it still.
func (w *walk) knows(p *page) bool {
	return slices.ContainsFunc(p.items, func(it item) bool { return slices.Contains(w.at.Known, w.name(it)) })
}

// recheck reads the page before p once more. If it has moved, p holds both, and the walk stands behind the page before.
func (w *walk) recheck(ctx context.Context, p *page) (moved bool, err error) {
	if w.at.Once {
		return false, nil
	}
	before, err := w.read(ctx, w.request(w.at.Nth, w.at.Before))
	if err != nil {
		if k := fault.KindOf(err); w.o.List.Paging.tokens() && (k == fault.Invalid || k == fault.NotFound) {
			w.at.Once = true // a token that is used up: the service keeps the place itself
			return false, nil
		}
		return false, err
	}
	if before.resp.Status == http.StatusOK && len(before.items) > 0 && w.name(before.items[len(before.items)-1]) == w.at.Last {
		w.at.Moves = 0
		return false, nil
	}
	if w.at.Moves++; w.at.Moves > maxMoves || len(before.items) == 0 || w.at.Nth > 0 && !w.knows(before) {
		return false, errShifted
	}
	p.items = slices.Concat(before.items, p.items)
	w.at.N, w.at.Token, w.at.Read, w.at.Mark, w.at.Lap = w.at.Nth, w.at.Before, 0, "", 0
	return true, w.goOn(before)
}

func hash64(s string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(s)) // it never fails
	return h.Sum64()
}
