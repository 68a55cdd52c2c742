// Package gather lets changes that wait at the same time be made together: what waits while one lot is made goes into the next. So a change that comes
// alone waits for nothing, and many at once share what a transaction, or a request, costs. Each has an answer of its own.
package gather

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// Place is a change's place in a queue. A change embeds it.
type Place struct {
	Ctx   context.Context
	alone bool
	done  chan error
}

// At makes the place of a change that is not wanted any more when ctx ends.
func At(ctx context.Context) Place { return Place{Ctx: ctx, done: make(chan error, 1)} }

// Answer tells the one who waits what became of the change; nil: it is made. Only the first answer counts.
func (p *Place) Answer(err error) {
	select {
	case p.done <- err:
	default:
	}
}

func (p *Place) place() *Place { return p }

// Change is what embeds a Place.
type Change interface{ place() *Place }

// Queue is where changes wait. Its fields are set before the first Make.
type Queue[C Change] struct {
	// Most is how many changes a lot has, Lanes how many lots are made at once.
	Most, Lanes int
	// Run makes the changes of a lot, and answers each or gives it to Again. A panic of it is the answer of those that have none: Failed makes an error of it.
	Run    func(lot []C)
	Failed func(change C, err error) error
	// Fits reports whether a change may go into a lot with others. nil: any may.
	Fits func(lot []C, other C) bool

	mu      sync.Mutex
	waiting []C
	busy    int
}

// Make has a change made and gives its answer. It gives false, and nothing is done, where the change is not begun when its context ends.
func (q *Queue[C]) Make(change C) (error, bool) {
	p := change.place()
	q.mu.Lock()
	q.waiting = append(q.waiting, change)
	q.begin()
	q.mu.Unlock()
	select {
	case err := <-p.done:
		return err, true
	case <-p.Ctx.Done():
	}
	if q.drop(p) {
		return nil, false
	}
	return <-p.done, true
}

// begin opens another lane where one is free. It is called with the lock held.
func (q *Queue[C]) begin() {
	if q.busy < q.Lanes {
		q.busy++
		go q.work()
	}
}

// drop takes back a change that is not begun.
func (q *Queue[C]) drop(p *Place) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.IndexFunc(q.waiting, func(c C) bool { return c.place() == p })
	if i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
	}
	return i >= 0
}

// Again puts changes in front: those that are to be made one by one, each in a lot of its own, and those that nobody has begun.
func (q *Queue[C]) Again(alone, untouched []C) {
	for _, c := range alone {
		c.place().alone = true
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = slices.Concat(alone, untouched, q.waiting)
	for range len(alone) + len(untouched) {
		q.begin()
	}
}

func (q *Queue[C]) work() {
	for lot := q.take(); lot != nil; lot = q.take() {
		if err := Guarded(func() error { q.Run(lot); return nil }); err != nil {
			for _, c := range lot {
				c.place().Answer(q.Failed(c, err))
			}
		}
	}
}

// take gives the changes of the next lot; nil, and the lane is free, when there are none.
func (q *Queue[C]) take() []C {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.busy--
		return nil
	}
	first := q.waiting[0]
	lot, left := []C{first}, q.waiting[:0:0]
	for i, c := range q.waiting[1:] {
		if len(lot) == max(1, q.Most) || first.place().alone {
			left = append(left, q.waiting[1+i:]...)
			break
		}
		if c.place().alone || q.Fits != nil && !q.Fits(lot, c) {
			left = append(left, c)
			continue
		}
		lot = append(lot, c)
	}
	q.waiting = left
	return lot
}

// Hold keeps lots from being begun until release is called, and begins those that wait then. It waits until no lot is under way. Tests of what is behind a queue
// let changes wait together by it.
func (q *Queue[C]) Hold() (release func()) {
	for {
		q.mu.Lock()
		if q.busy == 0 {
			break
		}
		q.mu.Unlock()
		runtime.Gosched()
	}
	defer q.mu.Unlock()
	q.busy = q.Lanes
	return func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.busy = 0
		if len(q.waiting) > 0 { // one lane, so that as many as may be go into one lot
			q.begin()
		}
	}
}

// Waiting is how many changes wait for a lot.
func (q *Queue[C]) Waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

// Guarded makes a panic one line of an error.
func Guarded(work func() error) error {
	panicked := true
	err := lifecycle.Guard(func() error {
		err := work()
		panicked = false
		return err
	})
	if panicked {
		line, _, _ := strings.Cut(err.Error(), "\n")
		return errors.New("this is a fault of Waybill: " + line)
	}
	return err
}

// Contexts are those of a lot's changes.
func Contexts[C Change](lot []C) []context.Context {
	all := make([]context.Context, len(lot))
	for i, c := range lot {
		all[i] = c.place().Ctx
	}
	return all
}

// WhileWanted is a context for what is made for many: it ends when nobody waits for any of them any more.
func WhileWanted[C Change](lot []C) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(lot[0].place().Ctx))
	var left atomic.Int64
	left.Store(int64(len(lot)))
	stops := make([]func() bool, len(lot))
	for i, c := range lot {
		stops[i] = context.AfterFunc(c.place().Ctx, func() {
			if left.Add(-1) == 0 {
				cancel()
			}
		})
	}
	return ctx, func() {
		for _, stop := range stops {
			stop()
		}
		cancel()
	}
}
