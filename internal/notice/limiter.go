package notice

import (
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

const (
	// limiterFirst is for how long the log is not told again of what fails for one cause; each time it is, for twice as long, up to limiterMost: an
	// outage of hours would fill it otherwise.
	limiterFirst = time.Minute
	limiterMost  = time.Hour
	// limiterQuiet: what has not failed for so long is over, and told at once when it comes again.
	limiterQuiet = time.Minute
	// mostLimited bounds the causes that are told apart; the rest is one cause.
	mostLimited = 20
	// mostCauseText is how much of the text of an unclassified failure tells causes apart.
	mostCauseText = 200
)

// Limiter tells the log of what is tried again and again: the first failure of a cause at once, and while it lasts ever more seldom (after 1, 2, 4 … minutes,
// at most an hour), with how many there were meanwhile. What it leaves out is logged at debug level. That something stands still is for the status to say, not for the log to repeat.
type Limiter struct {
	clock lifecycle.Clock
	log   *slog.Logger

	mu   sync.Mutex
	told map[string]*limited
}

// limited is a cause that was told.
type limited struct {
	at, last time.Duration // by the clock's Elapsed: when it was told, and when it failed last
	rest     time.Duration // for how long it is not told again
	more     int           // failures since
}

// NewLimiter makes a Limiter that has told nothing yet.
func NewLimiter(clock lifecycle.Clock, log *slog.Logger) *Limiter {
	return &Limiter{clock: clock, log: log, told: map[string]*limited{}}
}

// Warn tells of a failure. The text and the class of the error, or its words where nobody has classified it, make the cause.
func (l *Limiter) Warn(text string, err error, args ...any) {
	args = append([]any{"error", err}, args...)
	more, now := l.pass(text, err)
	if !now {
		l.log.Debug(text, args...)
		return
	}
	if more > 0 {
		args = append(args, "more", more)
	}
	l.log.Warn(text, args...)
}

// pass reports whether the log is to be told now, and of how many failures it was not told since the last time.
func (l *Limiter) pass(text string, err error) (more int, now bool) {
	at := l.clock.Elapsed()
	l.mu.Lock()
	defer l.mu.Unlock()
	cause := text + "\n" + causeOf(err)
	told := l.told[cause]
	if told == nil && len(l.told) >= mostLimited {
		l.forget(at)
		if len(l.told) >= mostLimited {
			cause = restCause
			told = l.told[cause]
		}
	}
	switch {
	case told == nil || at-told.last >= limiterQuiet:
		l.told[cause] = &limited{at: at, last: at, rest: limiterFirst}
		return 0, true
	case at-told.at < told.rest:
		told.last = at
		told.more++
		return 0, false
	}
	more = told.more
	*told = limited{at: at, last: at, rest: min(2*told.rest, limiterMost)}
	return more, true
}

// forget leaves out the causes that have not come for so long that they would be told again anyhow.
func (l *Limiter) forget(now time.Duration) {
	for cause, t := range l.told {
		if now-t.last >= limiterQuiet {
			delete(l.told, cause)
		}
	}
}

// causeOf names the cause of a failure, the same for all of its kind. Numbers, such as ports and offsets, tell no causes apart.
func causeOf(err error) string {
	if f, ok := fault.As(err); ok {
		return f.System + " " + f.Kind.String() + " " + f.Code
	}
	if err == nil {
		return ""
	}
	text := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, err.Error())
	return text[:min(len(text), mostCauseText)]
}
