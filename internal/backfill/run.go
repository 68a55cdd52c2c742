// Package backfill loads everything that a system holds through the flow that takes its objects, beside the flow's live changes: page by page, from a
// place that is kept, as fast as targets and live traffic allow, and never over anything newer.
//
// What a page says is as old as the page. Of most objects the version tells: a live change has a greater one, and the guards leave out what is older.
// Where versions are the system's own, two states of an object may have the same, such as a stamp of one second; then the order in which they come
// counts. So before objects are sent, and after they have come through, it is looked what was accepted since their page was read: of what may have changed
// the present state is read, and counts.
package backfill

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/intake"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/submit"
)

// Source is what is read: an intake.Listing.
type Source interface {
	Count(ctx context.Context) (int64, error)
	Resumes() bool
	Page(ctx context.Context, cursor string, asOf int64) (*intake.ListPage, error)
	Again(ctx context.Context, cursor string, locals []string, asOf int64) ([]intake.Listed, error)
	Touched(ctx context.Context, asOf int64, own string) (*intake.Touched, error)
}

// Hub is where objects go.
type Hub interface {
	// Now gives a number of the inbox: what is accepted from now on has a greater one.
	Now(ctx context.Context) (int64, error)
	Submit(ctx context.Context, events []event.Event, by event.Submission) (submit.Receipt, error)
	// Clear says what nothing is to be sent before: a flow on the way is paused, or a target down; empty: nothing is in the way.
	Clear(ctx context.Context) (text string, err error)
	// Through reports whether what was accepted up to a number of the inbox is decided by all flows on the way, and what it waits for. It is asked
	// again and again with the same mark.
	Through(ctx context.Context, m *Mark) (done bool, text string, err error)
}

// Mark is up to where something is to come through. Level is kept for the Hub.
type Mark struct {
	Inbox int64
	Level int
	Ends  map[string][]int64
}

// Keeper keeps how far it has come.
type Keeper interface {
	// Save keeps from where it goes on; its error ends the run.
	Save(ctx context.Context, place state.BackfillPlace, p state.BackfillProgress) error
	// Told is how far it has come by now, for people.
	Told(p state.BackfillProgress)
}

// Config is what a run needs.
type Config struct {
	Source Source
	Hub    Hub
	Keeper Keeper
	Clock  lifecycle.Clock
	// About is what is read: see state.BackfillPlace.
	About string
}

const (
	// mostRounds is how often a list that moves is read before the run gives up.
	mostRounds = 5
	// firstLook and lastLook are how soon it is looked whether objects have come through. Between them it is when a quarter has been added to the time
	// since: what is measured is wrong by no more, and sizes are made of it.
	firstLook = 2 * time.Millisecond
	lastLook  = 250 * time.Millisecond
	lookAfter = 4
	// clearEvery is how often it is looked whether what was in the way is gone.
	clearEvery = time.Second
	// rateOver is the time over which the rate is measured, and othersOver that of live traffic, at least. What comes more seldom than that is remembered for
	// a while of othersKept: else it would be taken for nothing in between.
	rateOver   = 10 * time.Second
	othersOver = 200 * time.Millisecond
	othersKept = 5 * time.Second
	// mostBehind is how often the present state of an object is sent behind one that may have been older. What changes all the time comes by itself.
	mostBehind = 10
	// firstTry and lastTry are the waits for what does not answer.
	firstTry = time.Second
	lastTry  = time.Minute
)

// Run is one backfill at work.
type Run struct {
	c     Config
	b     state.Backfill
	place state.BackfillPlace
	p     state.BackfillProgress
	pace  pace

	listed int64   // the number of the inbox from before a list without pages was begun
	marks  []mark  // of the last rateOver
	live   mark    // when the inbox was looked at, and its number then
	own    int64   // numbers that this run has used up since
	others float64 // what others had accepted a second
	kept   float64 // the same, of late
}

type mark struct {
	at time.Duration
	n  int64
}

// New makes a run of a backfill, which goes on from its place.
func New(c Config, b state.Backfill) *Run {
	return &Run{c: c, b: b, place: b.Place, p: b.Progress}
}

// Progress is how far the run has come.
func (r *Run) Progress() state.BackfillProgress { return r.p }

// prefix begins the ids of its events.
func (r *Run) prefix() string { return fmt.Sprintf("backfill-%d/", r.b.ID) }

func (r *Run) by() event.Submission {
	by := event.Submission{Trigger: event.Backfill, Who: r.b.Who, Why: r.b.Why, Part: true}
	if r.b.Again {
		by.Trigger = event.Person
	}
	return by
}

// Do reads everything and sends it. What it returns is why it did not come to its end.
func (r *Run) Do(ctx context.Context) error {
	r.p.Text, r.p.PerHour, r.p.Left = "", 0, 0
	r.c.Keeper.Told(r.p)
	if err := r.begin(ctx); err != nil {
		return err
	}
	for {
		more, err := r.page(ctx)
		if err != nil || !more {
			return err
		}
	}
}

// begin finds the place to go on from, or the beginning.
func (r *Run) begin(ctx context.Context) error {
	if r.place.About == r.c.About && r.place.Rounds > 0 && r.c.Source.Resumes() {
		r.p.Submitted, r.p.Unread = r.p.Before[0], r.p.Before[1]
		return nil
	}
	r.place = state.BackfillPlace{About: r.c.About, Rounds: 1}
	r.p = state.BackfillProgress{}
	err := r.patiently(ctx, func() (err error) {
		r.p.Expect, err = r.c.Source.Count(ctx)
		return err
	})
	if err != nil {
		return err
	}
	return r.save(ctx)
}

// page works one page off, and notes that the next one is to be read.
func (r *Run) page(ctx context.Context) (more bool, err error) {
	w := &work{Run: r, sent: map[string]string{}, bad: map[string]bool{}, stale: map[string]bool{}, sure: map[string]bool{}}
	if err := w.read(ctx); err != nil {
		return false, err
	}
	if err := w.off(ctx); err != nil {
		return false, err
	}
	r.place.Moved = r.place.Moved || w.page.Moved
	r.place.Cursor = w.page.Cursor
	r.p.Before = [2]int64{r.p.Submitted, r.p.Unread}
	if more = w.page.More; !more && r.place.Moved {
		if r.place.Rounds >= mostRounds {
			return false, fmt.Errorf("the list was read %d times, and has moved all the time while it was read, so that objects may have been left out: begin again when less changes there", r.place.Rounds)
		}
		r.place.Rounds++
		r.place.Moved, r.listed, more = false, 0, true
	}
	return more, r.save(ctx)
}

// save keeps the place.
func (r *Run) save(ctx context.Context) error { return r.c.Keeper.Save(ctx, r.place, r.p) }

// say tells people what is waited for; empty: it goes on.
func (r *Run) say(text string) {
	if r.p.Text != text {
		r.p.Text = text
		r.c.Keeper.Told(r.p)
	}
}

// patiently does what needs a system, the broker or the store, and tries again for as long as these may come back.
func (r *Run) patiently(ctx context.Context, op func() error) error {
	wait, waited := lifecycle.Backoff{Min: firstTry, Max: lastTry}, false
	for {
		err := op()
		switch {
		case err == nil && waited:
			r.say("")
			return nil
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !passes(err):
			return err
		}
		pause := wait.Next()
		if f, ok := fault.As(err); ok && f.RetryAfter > 0 {
			pause = min(f.RetryAfter, time.Hour)
		}
		waited = true
		r.say("waits, and tries again: " + err.Error())
		if lifecycle.Sleep(ctx, r.c.Clock, pause) != nil {
			return context.Cause(ctx)
		}
	}
}

// passes reports whether a failure may be over soon.
func passes(err error) bool {
	f, ok := fault.As(err)
	return ok && (f.Kind == fault.Unavailable || f.Kind == fault.RateLimited || f.Kind == fault.UnknownOutcome)
}

// clear waits until nothing is in the way.
func (r *Run) clear(ctx context.Context) error {
	for {
		var text string
		err := r.patiently(ctx, func() (err error) {
			text, err = r.c.Hub.Clear(ctx)
			return err
		})
		if err != nil {
			return err
		}
		if text == "" {
			r.say("")
			return nil
		}
		r.say("waits: " + text)
		if lifecycle.Sleep(ctx, r.c.Clock, clearEvery) != nil {
			return context.Cause(ctx)
		}
	}
}

func (r *Run) now(ctx context.Context) (n int64, err error) {
	err = r.patiently(ctx, func() (err error) {
		n, err = r.c.Hub.Now(ctx)
		return err
	})
	if err == nil {
		r.traffic(n)
	}
	return n, err
}

// traffic measures how much others have accepted, on whatever hub: each row of the inbox has a number.
func (r *Run) traffic(n int64) {
	now := r.c.Clock.Elapsed()
	r.own++ // this one
	since := now - r.live.at
	switch {
	case r.live.n == 0:
	case since < othersOver: // in less time it says little
		return
	default:
		rate := max(0, float64(n-r.live.n-r.own)/since.Seconds())
		fades := math.Exp(-since.Seconds() / othersKept.Seconds())
		r.kept = fades*r.kept + (1-fades)*rate
		r.others = max(rate, r.kept)
	}
	r.live, r.own = mark{now, n}, 0
}

// measure notes how much has come through of late, and tells people.
func (r *Run) measure() {
	now := r.c.Clock.Elapsed()
	r.marks = append(r.marks, mark{now, r.p.Submitted})
	for len(r.marks) > 2 && now-r.marks[1].at >= rateOver {
		r.marks = r.marks[1:]
	}
	r.p.PerHour, r.p.Left = 0, 0
	took, done := now-r.marks[0].at, r.p.Submitted-r.marks[0].n
	if took > 0 {
		r.p.PerHour = int64(float64(done) / took.Hours())
	}
	if left := r.p.Expect - r.p.Submitted - r.p.Unread; left > 0 && done > 0 {
		r.p.Left = time.Duration(float64(left) / float64(done) * float64(took)).Round(time.Second)
	}
	r.p.AtOnce = r.pace.next()
	r.c.Keeper.Told(r.p)
}
