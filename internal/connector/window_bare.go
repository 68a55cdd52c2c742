package connector

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
)

// MaxBare bounds how many records without a stamp a Window remembers. Beyond it they may be handed out again; none is ever left out.
const MaxBare = 5_000

// bareState is the place of a poll among records without a stamp, where the system can list them apart from the others. They are read in passes:
// a whole one in every round, but for more records than are remembered: then, after the first pass, a page a round, so that a table without stamps
// costs every round one page and no more. A pass compares contents with the pass before it.
type bareState struct {
	Done  bool            `json:"done,omitempty"` // a pass was complete
	Place json.RawMessage `json:"place,omitempty"`
	Last  namedCount      `json:"last,omitzero"` // of the last complete pass
	Now   namedCount      `json:"now,omitzero"`  // of this one
	Seen  []string        `json:"seen,omitempty"`
	Next  []string        `json:"next,omitempty"`
}

// bareSets are the hashes of the pass before and of this one.
type bareSets struct{ seen, next map[[12]byte]string }

func (b *bareState) sets() bareSets {
	if b == nil {
		return bareSets{map[[12]byte]string{}, map[[12]byte]string{}}
	}
	return bareSets{ungroup([]seenGroup{{Hashes: b.Seen}}), ungroup([]seenGroup{{Hashes: b.Next}})}
}

// state gives the sets as they are stored: this pass's come first, as the next pass needs them longer.
func (s bareSets) state(b *bareState, limit int) *bareState {
	if b == nil {
		return nil
	}
	b.Next = texts(s.next, limit)
	b.Seen = texts(s.seen, limit-len(b.Next))
	return b
}

func texts(m map[[12]byte]string, limit int) []string {
	out := make([]string, 0, len(m))
	for h := range maps.Keys(m) {
		out = append(out, base64.RawURLEncoding.EncodeToString(h[:]))
	}
	slices.Sort(out)
	return out[:min(len(out), limit)]
}

func (w *Window) bareState() *bareState {
	if w.w.Bare == nil {
		w.w.Bare = &bareState{}
	}
	return w.w.Bare
}

// BarePlace reads the connector's own place among the records without a stamp; it reports whether there is one, and whether a round reads no more
// than a page of them.
func (w *Window) BarePlace(place any) (ok, one bool) {
	b := w.w.Bare
	if b == nil {
		return false, false
	}
	return readPlace(b.Place, place), b.Done && b.Last.N > MaxBare
}

// FreshBare notes a record without a stamp and reports whether to hand it out: it is new, or not what it was in the pass before.
func (w *Window) FreshBare(r *Record) bool {
	h := hashRecord(r)
	_, before := w.bare.seen[h]
	_, now := w.bare.next[h]
	delete(w.bare.seen, h)
	if w.bare.next[h] = ""; !now {
		w.bareState().Now.add(r)
	}
	return !before && !now
}

// SetBarePlace notes where the pass goes on in the next round.
func (w *Window) SetBarePlace(place any) {
	w.bareState().Place, _ = json.Marshal(place) // places are plain structs of texts and numbers
}

// EndBare closes the pass: every record without a stamp has been read.
func (w *Window) EndBare() {
	w.bare.seen, w.bare.next = w.bare.next, map[[12]byte]string{}
	b := w.w.Bare
	if b == nil || len(w.bare.seen) == 0 {
		w.w.Bare = nil
		return
	}
	*b = bareState{Done: true, Last: b.Now}
}
