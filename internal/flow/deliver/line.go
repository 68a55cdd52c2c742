// Package deliver takes mapped messages to the system that a flow writes to: which object it is, that nobody else is at work on it, what the guards
// say, the intent, the call, what came of it, and what the store is to hear.
//
// A delivery goes through its stages in order; each has a file of its own. A stage gives a verdict where the message goes no further. An error means
// that nothing is decided: the hub is stopping, or has lost the partition.
package deliver

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/flow/breaker"
	"github.com/waybill-hub/waybill/internal/flow/calls"
	"github.com/waybill-hub/waybill/internal/flow/decide"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/mapping"
	"github.com/waybill-hub/waybill/internal/privacy"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/tracing"
)

// Store is what a delivery remembers by. Its methods come back when they are done, or with the cause of ctx: nobody decides anything because a store
// does not answer. Of what a store says by itself, a delivery hears state.ErrFenced and state.Claimed.
type Store interface {
	Resolve(ctx context.Context, entity, system, local, external, eventID string) (string, state.Resolution, error)
	Target(ctx context.Context, entity, hub, system, origin string) (state.Target, error)
	OpenIntent(ctx context.Context, i state.Intent) error
	Commit(ctx context.Context, c *state.Commit) error
	// Shared reports whether other hubs may work on the same store.
	Shared() bool
	mapping.Lookup
}

// Observer is told what happened, for metrics and the status. Its methods must not block.
type Observer interface {
	Call(system string, took time.Duration, err error)
	Alarm(flow, what string, err error)
	// Retrying: a call failed and is made again. The cause is the same for all of its kind; the text says more of this one time, and holds no secret.
	Retrying(flow, cause, text string)
}

// ErrResting is why a stored message is left as it was: its flow is paused, or its system down.
var ErrResting = errors.New("the flow rests")

// ErrStopping is why nothing was decided: the flow is being stopped.
var ErrStopping = errors.New("the flow is stopping")

// System is a configured system with its breaker and settings.
type System struct {
	*config.System
	Connector connector.System
	Breaker   *breaker.Breaker

	once    sync.Once
	objects *Objects
	calls   *calls.Ledger
}

// Objects are those of the system that its flows are at work on.
func (s *System) Objects() *Objects {
	s.once.Do(s.begin)
	return s.objects
}

// Ledger is what is known of the calls to the system's objects.
func (s *System) Ledger() *calls.Ledger {
	s.once.Do(s.begin)
	return s.calls
}

func (s *System) begin() { s.objects, s.calls = NewObjects(), calls.NewLedger() }

// CallTimeout bounds one call to a target whose connector says no bound of its own.
const CallTimeout = 30 * time.Second

// Bound is how long one request to the system may be under way.
func (s *System) Bound() time.Duration {
	if t, ok := s.Connector.(connector.Timed); ok && t.Timeout() > 0 {
		return t.Timeout()
	}
	return CallTimeout
}

// patience bounds a whole write: it may wait for the system's rate limit, and read before it writes.
func (s *System) patience() time.Duration { return CallTimeout + 2*s.Bound() }

// finder is the system where it can be asked for objects.
func (s *System) finder() (connector.Finder, bool) {
	f, ok := s.Connector.(connector.Finder)
	return f, ok
}

// writeOnce: what was written to the system stays; a change is written beside it.
func (s *System) writeOnce() bool {
	_, ok := s.Connector.(connector.WriteOnce)
	return ok
}

// recalls: it looks by itself whether a change was written before.
func (s *System) recalls() bool {
	_, ok := s.Connector.(connector.Recaller)
	return ok
}

// takesSteps: writes of the object type take several calls.
func (s *System) takesSteps(object string) bool {
	st, ok := s.Connector.(connector.Stepper)
	return ok && st.TakesSteps(object)
}

// Line delivers the messages of one flow.
type Line struct {
	Flow *config.Flow
	// Target is the system that the flow writes to; nil where it delivers to a topic. Systems are all, for calls that were made by an earlier plan.
	Target   *System
	Systems  map[string]*System
	Store    Store
	Clock    lifecycle.Clock
	Log      *slog.Logger
	Observer Observer
	// Tracer makes a span of each call; nil: none is made.
	Tracer tracing.Tracer
	// Reads is how an object written to the target reads back through the inbound mapping; nil: it does not.
	Reads *decide.Inbound
	// Restored tells of a store that has gone back to an older state; nil: it has not.
	Restored Restored
	// Secrets are the personal values that a message holds; nil where none is marked.
	Secrets func(ev *event.Event, mapped []byte) *privacy.Values
	// Contested: what one key's lane does is not alone on an object of the target, because other flows write there too, or the lane is not the
	// object's. Rekeyed: the flow computes the keys of another program's records, so that records of one key come in any lane.
	Contested, Rekeyed bool
	// InPlace bounds how long an unavailable target is tried again before the key's queue is held in the store.
	InPlace time.Duration
	// Steady is the time that deadlines are made of: no clock that is set moves it.
	Steady func() time.Time
	// Paused reports whether the flow stands still.
	Paused func() bool
	// Stopping ends when the flow is asked to stop: the work, not the fetching.
	Stopping context.Context
	// Intents are those that stand while nobody is at work on their messages.
	Intents *calls.OpenIntents
}

// Resting: the flow is paused or its system is down, so that nothing is tried. What a person has given up needs neither.
func (l *Line) Resting() bool {
	return l.Paused() || l.Target != nil && l.Target.Breaker.Open()
}

// Over: the message has its fate, or a person has given it up, so that its system is not blamed for it any more.
func (l *Line) Over(lane string) { l.Target.Breaker.Over(l.failingKey(lane)) }

// blame tells the breaker of a call or a look that failed, and reports whether the system may be at fault. Wrong credentials concern every message
// alike: the system's flows wait, nothing is parked.
func (l *Line) blame(s *System, lane string, err error) bool {
	switch fault.KindOf(err) {
	case fault.Auth:
		if s.Breaker.Refused(err) {
			l.Observer.Alarm(l.Flow.Name, "auth", err)
		}
	case fault.Unavailable, fault.UnknownOutcome, fault.RateLimited:
		s.Breaker.Failure(l.failingKey(lane), err)
	default: // it has answered, and said what is wrong with the message
		s.Breaker.Success(l.failingKey(lane))
		return false
	}
	return true
}

// failingKey names a message's key among those that the target fails.
func (l *Line) failingKey(lane string) string { return l.Flow.Name + "/" + lane }

// mayArrive is the time until when the request of an intent may arrive. What another process has sent, it has sent before this one took its
// partition over, or in the moment in which it was still sure of it; where that is somebody else's, before it was first seen here. Neither that
// process's clock nor the time of day is asked.
func (l *Line) mayArrive(s *System, p *Ownership, in *state.Intent) time.Duration {
	from := l.Clock.Elapsed()
	if p != nil && in.Flow == l.Flow.Name && in.Topic == p.Topic && in.Partition == p.Number && in.Epoch < p.Epoch {
		from = p.Taken + OwnershipTTL
	}
	return s.Ledger().Until(in, from, s.Bound())
}

// CauseOf names the cause of a failure, the same for all of one kind.
func CauseOf(err error) string {
	cause := fault.KindOf(err).String()
	if e, ok := fault.As(err); ok {
		cause = strings.Trim(e.System+" "+cause+" "+e.Code, " ")
	}
	return cause
}

// retryAfter is how long the target has asked to be left alone.
func retryAfter(err error) time.Duration {
	if e, ok := fault.As(err); ok {
		return e.RetryAfter
	}
	return 0
}

// pause is how long to wait after a failure: wait, spread, but never less than the target has asked for.
func pause(wait time.Duration, err error) time.Duration {
	p := Jitter(wait)
	if asked := retryAfter(err); asked > 0 {
		p = max(p, asked+Jitter(wait)/2)
	}
	return p
}

// Jitter spreads d over [d/2, d], so that lanes do not come back together.
func Jitter(d time.Duration) time.Duration {
	if d <= 1 {
		return d
	}
	return d/2 + rand.N(d/2)
}
