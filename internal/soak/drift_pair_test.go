package soak

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// driftWriters is how many people change objects of a kind; each has objects of their own, so that versions of one are pushed in order.
const driftWriters = 4

// driftPair is one kind of object in two systems, of which people change the left one.
type driftPair struct {
	c           *drifting
	entity, rec string
	left, right *shelf
	writes      atomic.Int64
	lost        atomic.Int64 // kills of the hub

	// Under the left shelf's lock: the numbers that there are, by writer, how many each has made, and those that nobody may change.
	nos    [driftWriters][]string
	made   [driftWriters]int
	frozen map[string]bool

	mu      sync.Mutex
	flights map[string]*flight // by number and version
	took    []time.Duration
}

// flight is a change on its way to the target.
type flight struct {
	accepted, delivered time.Time
	kills               int64
}

func newDriftPair(c *drifting, entity string) *driftPair {
	p := &driftPair{c: c, entity: entity, rec: entity + "s", left: newShelf(leftWords{}), right: newShelf(rightWords{}), frozen: map[string]bool{}, flights: map[string]*flight{}}
	p.right.applied = func(w *ware) { p.flew(w.no, w.seq, false) }
	return p
}

// pushed: the source tells the hub of changes, and is not polled.
func (p *driftPair) pushed() bool { return p.entity == "invoice" }

// create makes a new object of a writer's.
func (p *driftPair) create(writer int) *ware {
	p.made[writer]++
	no := fmt.Sprintf("%s%d-%06d", strings.ToUpper(p.entity[:1]), writer, p.made[writer])
	party := fmt.Sprint("party ", rand.IntN(1000))
	w := &ware{no: no, seq: 1, party: &party, total: fmt.Sprintf("%d.%02d", 10+rand.IntN(100_000), rand.IntN(100))}
	for i := range 2 + rand.IntN(3) {
		w.lines = append(w.lines, wareLine{fmt.Sprint("S", i), 1 + rand.IntN(20)})
	}
	p.nos[writer] = append(p.nos[writer], no)
	return p.left.put(w)
}

// forget takes a number from those that people change.
func (p *driftPair) forget(no string) {
	writer := int(no[1] - '0')
	for i, n := range p.nos[writer] {
		if n == no {
			last := len(p.nos[writer]) - 1
			p.nos[writer][i] = p.nos[writer][last]
			p.nos[writer] = p.nos[writer][:last]
			return
		}
	}
}

// freeze picks numbers that nobody changes until thaw.
func (p *driftPair) freeze(n int) []string {
	p.left.mu.Lock()
	defer p.left.mu.Unlock()
	var out []string
	for len(out) < n {
		all := p.nos[rand.IntN(driftWriters)]
		no := all[rand.IntN(len(all))]
		if w := p.left.only(no); !p.frozen[no] && w.party != nil && len(w.lines) > 1 { // a field that is there can be cleared, a line taken away
			p.frozen[no] = true
			out = append(out, no)
		}
	}
	return out
}

func (p *driftPair) thaw() {
	p.left.mu.Lock()
	defer p.left.mu.Unlock()
	p.frozen = map[string]bool{}
}

// undo does what a person has to decide.
func (p *driftPair) undo(want map[string]expected) {
	p.left.mu.Lock()
	defer p.left.mu.Unlock()
	p.right.mu.Lock()
	defer p.right.mu.Unlock()
	for _, e := range want {
		if e.undo != nil {
			e.undo()
		}
	}
}

// apart says in what both sides differ about a number; empty: in nothing.
func (p *driftPair) apart(no string) string {
	p.left.mu.Lock()
	defer p.left.mu.Unlock()
	p.right.mu.Lock()
	defer p.right.mu.Unlock()
	l, r := p.left.byNo[no], p.right.byNo[no]
	switch {
	case len(l) != 1 || len(r) != 1:
		return fmt.Sprintf("it is there %d times on the left and %d times on the right", len(l), len(r))
	case !l[0].same(r[0]):
		return fmt.Sprintf("left %s, right %s", p.left.bytes(l[0]), p.right.bytes(r[0]))
	}
	return ""
}

// load makes so many objects of every pair and waits until they are in both systems.
func (c *drifting) load(n int) {
	c.b.Helper()
	for _, p := range c.pairs {
		p.left.mu.Lock()
		var docs []json.RawMessage
		for i := range n {
			docs = append(docs, p.left.bytes(p.create(i%driftWriters)))
		}
		p.left.mu.Unlock()
		if !p.pushed() {
			continue
		}
		const batch = 200
		for from := 0; from < len(docs); from += batch {
			p.push(c.b.Context(), fmt.Sprint("load-", from), docs[from:min(len(docs), from+batch)])
		}
	}
	for _, p := range c.pairs {
		c.h.await("everything is in the east", time.Hour, func() bool {
			p.right.mu.Lock()
			defer p.right.mu.Unlock()
			return len(p.right.byID) == n
		})
	}
	c.quiet(time.Hour)
}

// write has people change the left side until the function it gives is called.
func (c *drifting) write() (end func()) {
	ctx, cancel := context.WithCancel(c.b.Context())
	var all sync.WaitGroup
	for _, p := range c.pairs {
		for writer := range driftWriters {
			all.Go(func() { p.person(ctx, writer) })
		}
	}
	end = sync.OnceFunc(func() { cancel(); all.Wait() })
	c.b.Cleanup(end)
	return end
}

// person makes one change after the other, at their pace. What is made is also pushed, whatever comes of ctx.
func (p *driftPair) person(ctx context.Context, writer int) {
	pace := time.NewTicker(time.Second * driftWriters * time.Duration(len(p.c.pairs)) / driftWrites)
	defer pace.Stop()
	for {
		select {
		case <-pace.C:
		case <-ctx.Done():
			return
		}
		w, doc := p.change(writer)
		if w == nil {
			continue
		}
		p.writes.Add(1)
		if !p.pushed() {
			continue
		}
		key := fmt.Sprintf("%s@%d", w.no, w.seq)
		if !w.gone {
			p.mu.Lock()
			p.flights[key] = &flight{kills: p.lost.Load()}
			p.mu.Unlock()
		}
		p.push(p.c.b.Context(), key+fmt.Sprint(w.gone), []json.RawMessage{doc})
		if !w.gone {
			p.flew(w.no, w.seq, true)
		}
	}
}

// change makes, changes or takes away an object, and gives a copy of it with its document.
func (p *driftPair) change(writer int) (*ware, json.RawMessage) {
	p.left.mu.Lock()
	defer p.left.mu.Unlock()
	dice := rand.IntN(100)
	if dice < 4 {
		w := p.create(writer)
		return w.clone(), p.left.bytes(w)
	}
	nos := p.nos[writer]
	no := nos[rand.IntN(len(nos))]
	w := p.left.only(no)
	if p.frozen[no] || w == nil {
		return nil, nil
	}
	if dice < 7 && p.pushed() {
		p.forget(no)
		p.left.drop(w)
		w.gone = true
		p.left.changed++
		w.changed, w.raw = p.left.changed, nil
		return w.clone(), p.left.bytes(w)
	}
	w.seq++
	switch dice % 3 {
	case 0:
		party := fmt.Sprint("party ", rand.IntN(1000))
		w.party = &party
		if dice%9 == 0 {
			w.party = nil
		}
	case 1:
		w.total = cents(w.total, rand.IntN(1000))
	case 2:
		lines := w.clone().lines
		if lines[0].Qty++; len(lines) < 6 {
			lines = append(lines, wareLine{fmt.Sprint("T", rand.IntN(1_000_000)), 1})
		} else {
			lines = lines[:2]
		}
		w.lines = lines
	}
	p.left.stamp(w)
	return w.clone(), p.left.bytes(w)
}

// push sends documents until the hub has them.
func (p *driftPair) push(ctx context.Context, id string, docs []json.RawMessage) {
	body, err := json.Marshal(docs)
	if err != nil {
		p.c.b.Error(err)
		return
	}
	for ctx.Err() == nil {
		status, answer, err := post(ctx, client, p.c.h.hooks, "drift-"+p.entity, id, body)
		switch {
		case err == nil && status/100 == 2:
			return
		case err == nil && status/100 == 4 && status != http.StatusTooManyRequests:
			p.c.b.Errorf("a sound delivery was refused: %d %s", status, answer)
			return
		}
		time.Sleep(20*time.Millisecond + rand.N(30*time.Millisecond)) // the pace of a sender that tries again
	}
}

// flew notes that a change was accepted, or that it has arrived. What was on its way when the hub was killed is not counted.
func (p *driftPair) flew(no string, seq int64, accepted bool) {
	now, key := time.Now(), fmt.Sprintf("%s@%d", no, seq)
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.flights[key]
	if f == nil {
		return
	}
	if accepted {
		f.accepted = now
	} else if f.delivered.IsZero() {
		f.delivered = now
	}
	if f.accepted.IsZero() || f.delivered.IsZero() {
		return
	}
	delete(p.flights, key)
	if f.kills == p.lost.Load() {
		p.took = append(p.took, max(0, f.delivered.Sub(f.accepted)))
	}
}

// times gives how long changes took since it was called last.
func (p *driftPair) times() []time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.took
	p.took = nil
	return out
}
