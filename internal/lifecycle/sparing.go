package lifecycle

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
)

const (
	// sparingFirst is for how long a complaint is not repeated; each time it is, for twice as long the next time, up to sparingMost.
	sparingFirst = time.Minute
	sparingMost  = time.Hour
	// sparingQuiet: what was not complained of for so long is over, and told at once when it comes again.
	sparingQuiet = time.Minute
	// sparingKinds bounds the complaints that are told apart.
	sparingKinds = 100
)

// Sparing logs what is tried again and again. The first failure of a kind is a warning, and then one ever more seldom; what lies between is there for
// who debugs. An outage of hours would fill the log otherwise, once for every loop that meets it. The zero value is ready.
type Sparing struct {
	mu   sync.Mutex
	said map[string]*complaint
}

type complaint struct {
	last, told, rest time.Duration // by Elapsed: the newest and the newest told one, and for how long the next is not
	untold           int
}

// Warn complains of err. The text and the error's own, apart from its numbers, make the kind.
func (s *Sparing) Warn(c Clock, log *slog.Logger, text string, err error, args ...any) {
	level, untold := s.level(c.Elapsed(), text+strings.Map(noDigits, err.Error()))
	if untold > 0 {
		args = append(args, "untold", untold)
	}
	log.Log(context.Background(), level, text, append(args, "error", err)...)
}

func noDigits(r rune) rune {
	if '0' <= r && r <= '9' {
		return -1
	}
	return r
}

func (s *Sparing) level(now time.Duration, kind string) (level slog.Level, untold int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.said[kind]
	if k == nil || now-k.last >= sparingQuiet {
		if s.said == nil || len(s.said) >= sparingKinds {
			s.said = map[string]*complaint{}
		}
		s.said[kind] = &complaint{last: now, told: now, rest: sparingFirst}
		return slog.LevelWarn, 0
	}
	k.last = now
	if now-k.told < k.rest {
		k.untold++
		return slog.LevelDebug, 0
	}
	untold, k.untold = k.untold, 0
	k.told, k.rest = now, min(2*k.rest, sparingMost)
	return slog.LevelWarn, untold
}
