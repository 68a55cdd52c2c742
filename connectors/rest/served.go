package rest

import (
	"context"
	"encoding/json"
	"slices"
	"sync"

	"github.com/waybill-hub/waybill/internal/fault"
)

// placeSet remembers places of polls for as long as the hub runs. A service that keeps the place of a list gives the next page at every request;
// where an answer got lost, or the hub ended before it had kept what the page held, the next request would pass over that page, and
// nothing would show it. So a walk that depends on the service's place goes on only behind a page that is known to have come and to have
// been kept.
type placeSet struct {
	mu     sync.Mutex
	places []uint64 // newest last
}

// maxPlaces is how many are remembered; a walk whose place is forgotten begins again.
const maxPlaces = 256

func (s *placeSet) add(object string, at *pollPlace) {
	h := placeHash(object, at)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.places = append(s.places, h); len(s.places) > maxPlaces {
		s.places = slices.Delete(s.places, 0, 1)
	}
}

// take reports whether the place is remembered, and forgets it: the request that is made now may move it.
func (s *placeSet) take(object string, at *pollPlace) bool {
	h := placeHash(object, at)
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.places, h)
	if i >= 0 {
		s.places = slices.Delete(s.places, i, i+1)
	}
	return i >= 0
}

func placeHash(object string, at *pollPlace) uint64 {
	b, _ := json.Marshal(at) // texts and numbers always marshal
	return hash64(object + "\x00" + string(b))
}

// keptThere reports whether the walk depends on a place that the service keeps: known by what it answered before (Once), or not known yet
// because one page was read only.
func (p *poll) keptThere() bool {
	pg := &p.o.List.Paging
	return pg.tokens() && !pg.Stable && p.place.Token != "" && (p.place.Once || p.place.N == 1)
}

// stays asks for a page twice, where an answer to the same request may have been lost: whose answers differ keeps the place itself, and has
// moved it past a page. An empty answer proves nothing, as behind the last page both are: then it may be the last page that was lost.
func (w *walk) stays(ctx context.Context, p *page) error {
	if len(p.items) == 0 {
		return errPlaceLost
	}
	second, err := w.read(ctx, w.request(w.at.N, w.at.Token))
	switch k := fault.KindOf(err); {
	case err == nil && w.edges(second) == w.edges(p):
		return nil
	case err == nil:
		return errPlaceLost
	case k == fault.Invalid || k == fault.NotFound: // it is used up by now, so it was not before
		w.at.Once = true
		return nil
	}
	return err
}

// edges names the first and the last object of a page.
func (w *walk) edges(p *page) [2]string {
	if len(p.items) == 0 {
		return [2]string{}
	}
	return [2]string{w.name(p.items[0]), w.name(p.items[len(p.items)-1])}
}
