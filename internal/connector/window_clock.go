package connector

import (
	"time"
)

// StampKind says what a version is to a clock.
type StampKind int

const (
	// NoStamp: neither a time nor a number that orders changes, such as infinity. It never moves a Window.
	NoStamp StampKind = iota
	// NumberStamp: a number that no clock makes, such as a sequence's.
	NumberStamp
	// TimeStamp: a time.
	TimeStamp
)

// clocks tell stamps that are still to come.
type clocks struct {
	read        func(version string) (time.Time, StampKind)
	hub, system time.Time
	upto        time.Time // when the round began
}

// Times says how a version is read as a time. Without it versions are numbers, and no clock is asked.
func (w *Window) Times(read func(version string) (time.Time, StampKind)) { w.clock.read = read }

// SystemTime gives the system's own clock, when a page was read or before that, where it is known; call it before Fresh.
func (w *Window) SystemTime(now time.Time) {
	if w.clock.system = now; now.Before(w.clock.upto) && w.w.Upto.IsZero() {
		w.clock.upto = now
	}
	w.w.Upto = w.clock.upto // the round's first page has been read
}

// now is the earlier one of the clocks: nobody knows how they stand to each other.
func (c *clocks) now() time.Time {
	if !c.system.IsZero() && c.system.Before(c.hub) {
		return c.system
	}
	return c.hub
}

// judge says of a version whether it must not move the window, and whether people should know that it is ahead of the clock.
//
// The window never passes the beginning of the round. A change that is stamped before a page was read and becomes visible after it is stamped less
// than the overlap before that page was read, so that the next round finds it; it would not if a round that lasts had moved the window to
// what was stamped while it lasted. What is stamped ahead of the clock is only the extreme of that. What holds the window for longer than
// needed is read again, no more.
func (c *clocks) judge(version string) (held, ahead bool) {
	if c.read == nil || version == "" {
		return false, false
	}
	t, kind := c.read(version)
	if kind != TimeStamp {
		return kind == NoStamp, false
	}
	told := c.hub
	if !c.system.IsZero() {
		told = c.system
	}
	return t.After(c.upto), t.After(told.Add(clockSlack))
}

// wrong reports whether a window stands at a stamp that this version of the hub would not have followed.
func (c *clocks) wrong(version string) bool {
	if c.read == nil || version == "" {
		return false
	}
	t, kind := c.read(version)
	return kind == NoStamp || kind == TimeStamp && t.After(c.hub.Add(clockSlack))
}

// heal brings a window back that followed a stamp ahead of the clock, as hubs did before they knew better. What was passed over is not known: it
// goes back to the newest stamp that was settled before, or to the beginning.
func (w *Window) heal() {
	s := &w.w
	if s.High != "" && w.clock.wrong(s.High) {
		w.Abandon()
	}
	if w.clock.wrong(s.Floor) {
		s.Floor = ""
	}
	if w.clock.wrong(s.Since) {
		w.Abandon()
		s.Since, s.Settled = s.Floor, s.Floor != ""
	}
}

// StillToCome reports whether a version is a stamp ahead of the clock: a walk must not begin again at it.
func (w *Window) StillToCome(version string) bool {
	if w.clock.read == nil || version == "" {
		return false
	}
	t, kind := w.clock.read(version)
	return kind == NoStamp || kind == TimeStamp && t.After(w.clock.now())
}

// Lasts reports whether the round has lasted so long that it should end where it has read everything up to a version: one that runs after a busy
// source for ever never looks back.
func (w *Window) Lasts(version string) bool {
	held, _ := w.clock.judge(version)
	return held && w.clock.hub.Sub(w.w.Started) > w.over+clockSlack
}

// stillToCome gives what a window that has settled must go on remembering: what is stamped ahead, or not at all, may be read in every round.
func (w *Window) stillToCome(seen map[[12]byte]string) map[[12]byte]string {
	out := map[[12]byte]string{}
	for h, v := range seen {
		if held, _ := w.clock.judge(v); held || v == "" {
			out[h] = v
		}
	}
	return out
}

// said counts what is remarkable in a round.
type said struct {
	Ahead     namedCount `json:"a,omitzero"`
	Unstamped namedCount `json:"u,omitzero"`
}

// namedCount is a number of records, of which the first is named.
type namedCount struct {
	N       int    `json:"n"`
	Local   string `json:"l,omitempty"`
	Version string `json:"v,omitempty"`
}

func (t *namedCount) add(r *Record) {
	if t.N++; t.N == 1 {
		t.Local, t.Version = r.Local, r.Version
	}
}

func (w *Window) count() *said {
	if w.w.Count == nil {
		w.w.Count = &said{}
	}
	return w.w.Count
}

// Unstamped counts a record that should have a stamp and has none; version is what the system writes in its place.
func (w *Window) Unstamped(r *Record, version string) {
	if _, twice := w.next[hashRecord(r)]; !twice {
		w.count().Unstamped.add(&Record{Local: r.Local, Version: version})
	}
}

// since gives what a round that has ended has to remark. One that asked for changes only says nothing of records without a stamp: they are
// as they were.
func (s *said) since(before *said, full bool) *said {
	var out said
	if s != nil {
		out = *s
	}
	if before != nil && !full && out.Unstamped.N == 0 {
		out.Unstamped = before.Unstamped
	}
	if out == (said{}) {
		return nil
	}
	return &out
}

// Remarks gives what the last complete round has to say of the system's data.
func (w *Window) Remarks() []Remark {
	var out []Remark
	add := func(kind RemarkKind, t namedCount) {
		if t.N > 0 {
			out = append(out, Remark{Kind: kind, Local: t.Local, Version: t.Version, Count: t.N})
		}
	}
	if w.w.Said != nil {
		add(Ahead, w.w.Said.Ahead)
		add(Unstamped, w.w.Said.Unstamped)
	}
	if w.w.Bare != nil {
		add(Unstamped, w.w.Bare.Last)
	}
	return out
}
