// Package liar is a system that lies the way real ones do, to run the hub against: as a source it stamps changes before they can be seen, gives
// many one stamp, some a stamp of forty years ahead, shifts its pages while they are read, gives all pages of a search one token, is slow, cuts texts
// in the middle of a character, and deletes without a trace; as a target it loses answers and refuses in a 200. It knows nothing of the hub, keeps
// the truth, and says at the end what of it did not arrive.
package liar

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Options of a liar. The zero value of every field has a default.
type Options struct {
	// Prefix begins the number of every object. Default "L".
	Prefix string
	// Items are there at first and stay about as many. Default 200.
	Items int
	// Late is the longest time between a change's stamp and the moment in which it can be read. Default 2 s.
	Late time.Duration
	// Lag is how long after a create an object can be looked up. Default 100 ms.
	Lag time.Duration
	// Slow is the longest time that a page of a list takes: changes are made meanwhile, so that a client may never come to the end.
	Slow time.Duration
	// Seed makes the choices repeatable.
	Seed uint64
	// Shares of changes, or of writes, that are not as they should be, between 0 and 1.
	Future, Cut, Gone, Lost, Locked, Refused float64
	// Mute is the share of pages of a list whose answer gets lost.
	Mute float64
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// Wicked are the shares of a soak.
func Wicked() Options {
	return Options{Future: 0.002, Cut: 0.002, Gone: 0.002, Lost: 0.02, Locked: 0.02, Refused: 0.001, Mute: 0.1}
}

// state is what an object says from one moment on.
type state struct {
	rev   int64
	text  string
	stamp time.Time
	seen  time.Time // when it can be read
	cut   bool      // its text ends in the middle of a character
	gone  bool
}

// item is an object of the source: the state that can be read, and the one that will be.
type item struct {
	id     int
	no     string
	now    state // rev 0: nothing can be read yet
	coming *state
	hidden bool // taken out of pages after they are cut
}

// kept is an object of the target.
type kept struct {
	ID, External, No string
	Rev              int64
	Text             string
	since            time.Time
}

// Liar is the system. Its methods are safe for concurrent use.
type Liar struct {
	o Options

	mu      sync.Mutex
	dice    *rand.Rand
	items   []*item
	next    int
	changes int64
	graded  bool // objects have a field in their middle that they had not before
	honest  bool // nothing is wrong from now on but what is wrong already

	searches []*search // newest last
	begun    int       // searches so far
	walks    int       // since the liar was calmed: requests for the beginning of a list

	copies  map[string]*kept
	created map[string]int // by number: how often an object was made
	nextID  int
}

// New makes a liar with its first objects.
func New(o Options) *Liar {
	o.Prefix = cmp.Or(o.Prefix, "L")
	o.Items = cmp.Or(o.Items, 200)
	o.Late = cmp.Or(o.Late, 2*time.Second)
	o.Lag = cmp.Or(o.Lag, 100*time.Millisecond)
	if o.Now == nil {
		o.Now = time.Now
	}
	l := &Liar{o: o, dice: rand.New(rand.NewPCG(o.Seed, 7)), copies: map[string]*kept{}, created: map[string]int{}}
	for i := range o.Items { // a second after the other, as they would have been made: what is read again because of an overlap is little
		l.add(o.Now().Add(time.Duration(i-o.Items) * time.Second))
	}
	for i := range 3 { // what nobody may see makes pages short
		l.items[(i*len(l.items)/3+1)%len(l.items)].hidden = true
	}
	return l
}

func (l *Liar) chance(share float64) bool { return !l.honest && l.dice.Float64() < share }

// add makes an object. The lock is held, or nobody else knows l yet.
func (l *Liar) add(at time.Time) {
	l.next++
	it := &item{id: l.next, no: fmt.Sprintf("%s%07d", l.o.Prefix, l.next)}
	l.items = append(l.items, it)
	l.change(it, at)
}

// change gives an object another state, which can be read some time after its stamp; one that cannot be read yet is overtaken.
func (l *Liar) change(it *item, now time.Time) {
	now = now.UTC()
	s := state{rev: it.now.rev + 1, stamp: now.Truncate(time.Second), seen: now}
	switch {
	case it.coming != nil:
		s.rev, s.seen = it.coming.rev+1, it.coming.seen
	case l.chance(0.5):
		s.seen = now.Add(time.Duration(l.dice.Float64() * float64(l.o.Late)))
	}
	s.text = fmt.Sprintf("state %d of %s", s.rev, it.no)
	if l.chance(l.o.Future) {
		s.stamp = s.stamp.AddDate(40, 0, 0)
	}
	s.cut = l.chance(l.o.Cut)
	if l.chance(l.o.Refused) {
		s.text += ", refused"
	}
	l.changes++
	it.coming = &s
	l.show(it, now)
}

// show makes what was coming the state that can be read, if its time has come.
func (l *Liar) show(it *item, now time.Time) {
	if it.coming != nil && !it.coming.seen.After(now) {
		it.now, it.coming = *it.coming, nil
	}
}

// Change makes n changes: of objects, new ones, and deletes.
func (l *Liar) Change(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.o.Now()
	for range n {
		it := l.items[l.dice.IntN(len(l.items))]
		l.show(it, now)
		switch {
		case it.hidden:
		case it.coming == nil && l.chance(l.o.Gone):
			it.now.gone = true
			l.changes++
			l.items = slices.DeleteFunc(l.items, func(other *item) bool { return other == it })
			l.add(now)
		default:
			l.change(it, now)
		}
	}
}

// Grade adds a field in the middle of every object.
func (l *Liar) Grade() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.graded = true
}

// Calm ends all lies but those that stand, and gives the time from which everything can be read.
func (l *Liar) Calm() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.honest, l.walks = true, 0
	last := l.o.Now()
	for _, it := range l.items {
		if it.coming != nil && it.coming.seen.After(last) {
			last = it.coming.seen
		}
	}
	return last
}

// Walks is how often a list was read from its beginning since the liar was calmed.
func (l *Liar) Walks() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.walks
}

// Changes is how many there were.
func (l *Liar) Changes() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changes
}

// Verdict is what the truth says of the copies.
type Verdict struct {
	Changes int64
	// Missing are objects whose copy is not there or not of the last state, and Stale copies of objects that are no more, each by its number. They are
	// missed unless the hub names them.
	Missing, Stale map[string]Gap
	// Doubled are numbers with more than one copy, now or before.
	Doubled []string
}

// Gap is one object that is not as it should be: Rev is its last state, 0 where it is deleted.
type Gap struct {
	Rev  int64
	What string
}

// Verdict compares truth and copies.
func (l *Liar) Verdict() Verdict {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.o.Now()
	v := Verdict{Changes: l.changes, Missing: map[string]Gap{}, Stale: map[string]Gap{}}
	copies := map[string][]*kept{}
	for _, c := range l.copies {
		copies[c.No] = append(copies[c.No], c)
	}
	alive := map[string]bool{}
	for _, it := range l.items {
		l.show(it, now)
		if it.hidden || it.now.rev == 0 {
			continue
		}
		alive[it.no] = true
		switch all := copies[it.no]; {
		case len(all) == 0:
			v.Missing[it.no] = Gap{it.now.rev, "there is no copy"}
		case all[0].Rev != it.now.rev || all[0].Text != it.now.text:
			v.Missing[it.no] = Gap{it.now.rev, fmt.Sprintf("the copy holds state %d", all[0].Rev)}
		}
	}
	for no, all := range copies {
		if !alive[no] {
			v.Stale[no] = Gap{0, fmt.Sprintf("a copy of state %d is left", all[0].Rev)}
		}
	}
	for no, n := range l.created {
		if n > 1 {
			v.Doubled = append(v.Doubled, no)
		}
	}
	slices.Sort(v.Doubled)
	return v
}

// Lie begins again after Calm.
func (l *Liar) Lie() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.honest = false
}
