package flow

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/flow/deliver"
	"github.com/waybill-hub/waybill/internal/state"
)

// partition is what a runner holds of one partition while it owns it.
type partition struct {
	*deliver.Ownership
	// life is the life of the log, base what its offsets are raised by where they are versions: those of a new log begin at 0 again.
	life, base int64
	ctx        context.Context // ends when the partition is given up
	stop       context.CancelFunc
	wake       chan struct{} // a stored queue may be ready; capacity 1
	more       bool          // the last look at the stored queues has not seen them all; of the drain alone
	backs      int           // how often the target had come back at the last look at the stored queues; of the drain alone

	// lanes are the locks that live batches and drains share: whoever decides about a key holds its lane.
	lanes []sync.Mutex

	mu sync.Mutex
	// queued are the lanes with a blocking queue in the store and their head's state. Only the owner appends and only the
	// owner drains, both under the lane's lock, so this mirrors the store.
	queued map[string]state.Outcome
	// finished are offsets of a batch that was refused half-way: their fate is stored, the broker will hand them out again.
	finished map[int64]struct{}
	// rest are stored rows that a person has given up and that cannot go yet, with the time by the clock's Elapsed to look again.
	rest map[int64]time.Duration
}

func newPartition(topic string, number int, at *state.Partition, lanes int, queued []state.QueuedLane) *partition {
	p := &partition{Ownership: &deliver.Ownership{Topic: topic, Number: number, Epoch: at.Epoch}, life: at.Life, base: at.Base, wake: make(chan struct{}, 1),
		lanes: make([]sync.Mutex, lanes), queued: map[string]state.Outcome{}, finished: map[int64]struct{}{}, rest: map[int64]time.Duration{}}
	p.ctx, p.stop = context.WithCancel(context.Background())
	for _, q := range queued {
		p.queued[q.Lane] = q.State
	}
	p.kick()
	return p
}

// event reads a record. What only its place can say of it (its id, its version) tells the lives of the log apart.
func (p *partition) event(rec *event.Record) event.Event {
	ev := event.Read(rec)
	if ev.Version == "" && ev.Refused == nil {
		ev.Version = event.PlaceVersion(rec.Partition, p.base+rec.Offset)
	}
	if p.life > 0 && ev.ID == rec.Position() {
		ev.ID = p.name(rec)
	}
	return ev
}

// name is a record's place, with the life of the log where it is not the first.
func (p *partition) name(rec *event.Record) string {
	if p.life == 0 {
		return rec.Position()
	}
	return rec.Position() + "@" + strconv.FormatInt(p.life, 10)
}

// laneName names the stored queue of a record's key. Records without a key promise no order: each has a queue of its own.
func (p *partition) laneName(rec *event.Record) string {
	if len(rec.Key) == 0 {
		return p.name(rec)
	}
	return string(rec.Key)
}

func (p *partition) kick() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *partition) head(lane string) (state.Outcome, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.queued[lane]
	return s, ok
}

func (p *partition) setHead(lane string, s state.Outcome) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.queued[lane] = s; len(p.queued) == 1 {
		p.kick() // its owner has begun to look for nothing
	}
}

func (p *partition) clearHead(lane string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.queued, lane)
}

// asleep reports whether a row was told to rest, and is not due yet; letSleep tells it.
func (p *partition) asleep(row int64, now time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	until, ok := p.rest[row]
	if ok && until <= now {
		delete(p.rest, row)
	}
	return ok && until > now
}

func (p *partition) letSleep(row int64, until time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rest[row] = until
}

// resting: the drain has nothing to look for before somebody wakes it.
func (p *partition) resting() bool { return !p.more && p.idle() }

// idle reports whether no lane has a blocking queue.
func (p *partition) idle() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.queued) == 0
}

func (p *partition) isFinished(offset int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.finished[offset]
	return ok
}

// remember keeps the offsets of results whose fate is stored until the whole batch is; forget drops them.
func (p *partition) remember(results []state.Result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range results {
		if results[i].Drained == 0 {
			p.finished[results[i].Offset] = struct{}{}
		}
	}
}

func (p *partition) forget(from, to int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if int64(len(p.finished)) < to-from {
		for o := range p.finished {
			if o >= from && o <= to {
				delete(p.finished, o)
			}
		}
		return
	}
	for o := from; o <= to; o++ {
		delete(p.finished, o)
	}
}

// gate holds a flow before its next message.
type gate struct {
	mu sync.Mutex
	ch chan struct{} // closed while the gate is open
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ch == nil {
		g.ch = make(chan struct{})
	}
	select {
	case <-g.ch:
	default:
		close(g.ch)
	}
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.ch:
		g.ch = make(chan struct{})
	default:
	}
}

func (g *gate) closed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.ch:
		return false
	default:
		return true
	}
}

// wait returns at once while the gate is open.
func (g *gate) wait(ctx context.Context) error {
	g.mu.Lock()
	ch := g.ch
	g.mu.Unlock()
	select {
	case <-ch:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
