package connector

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
)

// MaxSeen bounds how many records a Window remembers. Beyond it records may be handed out again; none is ever left out.
const MaxSeen = 20_000

// settleAfter is added to the overlap before a stamp counts as settled: stamps of one second exist.
const settleAfter = 2 * time.Second

// Window is a poller's place in a system that stamps its changes. A poll is a round: every page of what is stamped at or
// after From. Stamps are taken before their change can be read, and many changes may share one, so that a round begins
// Overlap before the newest stamp known, inclusive; what was handed out before, and is still the same, is left out.
//
// Once a round has begun Overlap and two seconds after the newest stamp was first read, nothing at or before that stamp
// can appear any more. It is settled: the next round begins after it, exclusive, and remembers nothing; no later round goes
// back behind it.
//
// A round moves the window to its own beginning at most, so that a stamp ahead of the clock never moves it; such a record is handed
// out like any other. See Times, which says how stamps are read.
// Records without a stamp have passes of their own, see FreshBare. Where stamps are local times without a zone, see Local.
//
// A Window is not safe for concurrent use; it lives for one Poll and is stored as its text.
type Window struct {
	w     windowState
	over  time.Duration
	back  func(version string, by time.Duration) string
	seen  map[[12]byte]string // what complete rounds handed out, with its version
	next  map[[12]byte]string // what this round has read
	limit int
	// repeat is what Local was given; unsure is the record that Later could not place.
	repeat func(version string) (start string, end time.Time, ok bool)
	unsure [12]byte
	clock  clocks
	bare   bareSets
}

type windowState struct {
	V       int             `json:"v"`
	Since   string          `json:"since,omitempty"`
	Reached time.Time       `json:"reached,omitzero"`
	Settled bool            `json:"settled,omitempty"`
	Floor   string          `json:"floor,omitempty"`  // the newest stamp that was settled
	Started time.Time       `json:"started,omitzero"` // of the round under way
	Upto    time.Time       `json:"upto,omitzero"`    // the same, by the system's clock where that is earlier
	Full    bool            `json:"full,omitempty"`   // the round under way reads everything
	Began   time.Time       `json:"began,omitzero"`   // when the last complete round did, where stamps are local times
	High    string          `json:"high,omitempty"`
	Page    json.RawMessage `json:"page,omitempty"`
	Note    string          `json:"note,omitempty"`
	Seen    []seenGroup     `json:"seen,omitempty"`
	Next    []seenGroup     `json:"next,omitempty"`
	Said    *said           `json:"said,omitempty"`  // what the last complete round had to remark
	Count   *said           `json:"count,omitempty"` // and what this one has, so far
	Bare    *bareState      `json:"bare,omitempty"`
}

type seenGroup struct {
	Version string   `json:"v"`
	Hashes  []string `json:"h"`
}

// ReadWindow reads a cursor; the empty one is the beginning. back gives the version that is so much older: it may give the
// version itself, or an older one than needed.
func ReadWindow(cursor string, overlap time.Duration, back func(version string, by time.Duration) string) (*Window, error) {
	w := &Window{over: overlap, back: back, limit: MaxSeen}
	if cursor != "" {
		if err := json.Unmarshal([]byte(cursor), &w.w); err != nil || w.w.V != 1 {
			return nil, fault.New(fault.Invalid, "the stored cursor is none of this connector's: %s", shorten(cursor))
		}
	}
	if w.w.V = 1; w.w.Settled && w.w.Floor == "" {
		w.w.Floor = w.w.Since // a cursor of before there were floors
	}
	w.seen, w.next = ungroup(w.w.Seen), ungroup(w.w.Next)
	w.bare = w.w.Bare.sets()
	return w, nil
}

// Local says that stamps are local times without a zone. repeat gives, for the last stretch of readings that comes twice and begins at or
// before a version, the version of its first reading and when its second pass ends; false where there is none.
//
// A change in the second pass may have a smaller reading than the newest stamp known. So every round reads the whole stretch, less
// the overlap, until one has been read that began after the stretch was over for certain.
func (w *Window) Local(repeat func(version string) (start string, end time.Time, ok bool)) {
	w.repeat = repeat
}

// again reports whether a round must read the stretch that comes twice before a version, and where the stretch starts.
func (w *Window) again(version string) (start string, ok bool) {
	if w.repeat == nil || version == "" {
		return "", false
	}
	began := w.w.Began
	if began.IsZero() {
		began = w.w.Reached // a cursor of before this was kept
	}
	start, end, ok := w.repeat(version)
	return start, ok && began.Before(end.Add(w.over+clockSlack))
}

// oldest gives the version from which a round reads where version is the newest known.
func (w *Window) oldest(version string) string {
	if start, ok := w.again(version); ok {
		version = start
	}
	return w.back(version, w.over)
}

// floor is the newest stamp that was settled. One from the first pass of a stretch that is still read settles nothing.
func (w *Window) floor() string {
	if w.w.Floor == "" {
		return ""
	}
	if start, ok := w.again(w.w.Since); ok && event.CompareVersions(w.w.Floor, start) >= 0 {
		return ""
	}
	return w.w.Floor
}

// Later decides for a record whose reading comes twice whether it is of the second instant; r is the record as it is if it is of the first.
// now is taken before the record was read.
//
// A poll reads the present state of an object. What was read before as of the first instant, and is the same, still is. Anything else
// is of the second instant if that has come: even where this is an hour too late, it is not after now, and a later change gets a
// later one, so that the versions of an object never go back. A second instant that is up to a minute ahead could overtake such a
// change; it is believed only where an earlier round must have seen the state, had it been there since the first instant: then the
// source's clock is ahead. Without such a round it is of the first for the time being, and handed out again until its second has come.
func (w *Window) Later(r *Record, first, second, now time.Time) bool {
	h := hashRecord(r)
	_, before := w.seen[h]
	_, already := w.next[h]
	switch {
	case before || already:
		return false
	case !second.After(now):
		return true
	case second.After(now.Add(clockSlack)):
		return false
	case w.w.Began.After(first.Add(w.over+clockSlack)) && len(w.seen) < w.limit:
		return true
	}
	w.unsure = h
	return false
}

// Unsure reports whether Later has left a record open, so that it must be read again even if nothing changes.
func (w *Window) Unsure() bool { return w.unsure != [12]byte{} }

// Begin starts a round, unless one is under way. It gives the version to read from, empty for everything, and whether
// records with exactly that version are wanted.
func (w *Window) Begin(now time.Time) (from string, inclusive bool) {
	w.clock.hub = now
	w.heal()
	if w.w.Started.IsZero() {
		w.w.Started, w.w.High, w.w.Page, w.w.Count, w.w.Upto = now, w.w.Since, nil, nil, time.Time{}
		w.next = map[[12]byte]string{}
	}
	if w.clock.upto = w.w.Upto; w.clock.upto.IsZero() {
		w.clock.upto = w.w.Started
	}
	if w.w.Since == "" {
		w.w.Full = true
	}
	_, again := w.again(w.w.Since)
	if w.w.Settled && !again || w.w.Since == "" {
		return w.w.Since, false
	}
	from = w.oldest(w.w.Since)
	if floor := w.floor(); floor != "" && event.CompareVersions(from, floor) <= 0 {
		return floor, false
	}
	return from, true
}

// Page reads the connector's own place within the round into place; it reports whether there is one.
func (w *Window) Page(place any) bool {
	return readPlace(w.w.Page, place)
}

func readPlace(raw json.RawMessage, place any) bool {
	return len(raw) > 0 && json.Unmarshal(raw, place) == nil
}

// SetPage notes the place of the next page. More pages come until End.
func (w *Window) SetPage(place any) {
	w.w.Page, _ = json.Marshal(place) // places are plain structs of texts and numbers
}

// Note and SetNote keep a text of the connector's own between rounds.
func (w *Window) Note() string { return w.w.Note }

// SetNote keeps a text for the next round.
func (w *Window) SetNote(s string) { w.w.Note = s }

// Fresh notes a record of this round and reports whether to hand it out.
func (w *Window) Fresh(r *Record) bool {
	held, ahead := w.clock.judge(r.Version)
	if floor := w.floor(); floor != "" && r.Version != "" && !held && event.CompareVersions(r.Version, floor) <= 0 {
		return false // the other side cannot leave out what is equal
	}
	h := hashRecord(r)
	_, before := w.seen[h]
	_, now := w.next[h]
	if h != w.unsure {
		w.next[h] = r.Version
	}
	if ahead && !now {
		w.count().Ahead.add(r)
	}
	if !held && event.CompareVersions(r.Version, w.w.High) > 0 {
		w.w.High = r.Version
	}
	return !before && !now
}

// Reach notes that the round reads everything up to a version, where the records themselves carry none.
func (w *Window) Reach(version string) {
	if version != "" && event.CompareVersions(version, w.w.High) > 0 {
		w.w.High = version
	}
}

// Unchanged closes a round in which the other side said that nothing has changed.
func (w *Window) Unchanged(now time.Time) {
	for h, v := range w.seen {
		w.next[h] = v
	}
	w.w.Count = w.w.Said
	w.End(now)
}

// Abandon closes a round that may have missed something: the next one begins where this one began.
func (w *Window) Abandon() {
	for h, v := range w.next {
		w.seen[h] = v
	}
	w.next = map[[12]byte]string{}
	w.w.Started, w.w.Upto, w.w.High, w.w.Page, w.w.Count, w.w.Full = time.Time{}, time.Time{}, "", nil, nil, false
}

// End closes the round: every page has been read.
func (w *Window) End(now time.Time) {
	s := &w.w
	if w.repeat != nil {
		s.Began = s.Started
	}
	_, again := w.again(s.High)
	switch {
	case s.High == "":
	case s.High != s.Since:
		s.Since, s.Reached, s.Settled = s.High, now, false
	case again:
		s.Settled = false
	case !s.Settled:
		s.Settled = s.Started.Sub(s.Reached) >= w.over+settleAfter
	}
	w.seen, w.next = w.next, map[[12]byte]string{}
	if s.Settled {
		s.Floor = s.Since
		w.seen = w.stillToCome(w.seen)
	}
	s.Said = s.Count.since(s.Said, s.Full)
	s.Started, s.Upto, s.High, s.Page, s.Count, s.Full = time.Time{}, time.Time{}, "", nil, nil, false
}

// String gives the cursor.
func (w *Window) String() string {
	high := cmp.Or(w.w.High, w.w.Since)
	oldest := ""
	if high != "" {
		oldest = w.oldest(high)
	}
	w.w.Next = w.group(w.next, oldest)
	if !w.w.Started.IsZero() {
		oldest = "" // the round still reads what the last one saw
	}
	w.w.Seen = w.group(w.seen, oldest)
	w.w.Bare = w.bare.state(w.w.Bare, MaxBare)
	out, _ := json.Marshal(&w.w) // texts, times and booleans only
	return string(out)
}

func hashRecord(r *Record) [12]byte {
	h := sha256.New()
	h.Write([]byte(r.Local))
	h.Write([]byte{0})
	h.Write([]byte(r.Version))
	switch {
	case r.Err != nil: // the same record may be read one day
		h.Write([]byte{0, 2})
	case r.Deleted:
		h.Write([]byte{0, 1})
	default:
		h.Write([]byte{0, 0})
	}
	h.Write(r.Doc)
	return [12]byte(h.Sum(nil))
}

// group gives the hashes by version, newest first, without what is older than oldest, and at most limit of them. What does not move the window
// comes last: a table full of such stamps must not push out what polls go by.
func (w *Window) group(m map[[12]byte]string, oldest string) []seenGroup {
	byVersion := map[string][]string{}
	held := map[string]bool{}
	for h, v := range m {
		if _, known := held[v]; !known {
			held[v], _ = w.clock.judge(v)
		}
		if oldest == "" || v == "" || held[v] || event.CompareVersions(v, oldest) >= 0 {
			byVersion[v] = append(byVersion[v], base64.RawURLEncoding.EncodeToString(h[:]))
		}
	}
	out := make([]seenGroup, 0, len(byVersion))
	for v, hashes := range byVersion {
		slices.Sort(hashes)
		out = append(out, seenGroup{v, hashes})
	}
	slices.SortFunc(out, func(a, b seenGroup) int {
		if held[a.Version] != held[b.Version] {
			return cmp.Compare(rank(held[a.Version]), rank(held[b.Version]))
		}
		return cmp.Or(event.CompareVersions(b.Version, a.Version), cmp.Compare(b.Version, a.Version))
	})
	left := w.limit
	for i := range out {
		if len(out[i].Hashes) >= left {
			out[i].Hashes = out[i].Hashes[:left]
			return out[:i+1]
		}
		left -= len(out[i].Hashes)
	}
	return out
}

func rank(last bool) int {
	if last {
		return 1
	}
	return 0
}

func ungroup(groups []seenGroup) map[[12]byte]string {
	m := map[[12]byte]string{}
	for _, g := range groups {
		for _, text := range g.Hashes {
			if b, err := base64.RawURLEncoding.DecodeString(text); err == nil && len(b) == 12 {
				m[[12]byte(b)] = g.Version
			}
		}
	}
	return m
}
