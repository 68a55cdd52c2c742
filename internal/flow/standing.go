package flow

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/fault"
)

// refusedAfter is for how long the store may refuse a call until the flow is said to stand still for it.
const refusedAfter = 5 * time.Second

// mostRefusal bounds what is said of why.
const mostRefusal = 300

// standing is what does not go on since the store does not take it, while it may take everything else: calls that are made again and again.
type standing struct {
	mu    sync.Mutex
	calls []*fault.Trouble // the one that has stood longest first
}

// hold notes that a call has failed, at its first failure and at those behind it; t is nil at the first.
func (s *standing) hold(t *fault.Trouble, now time.Time, err error) *fault.Trouble {
	why := err.Error()
	if len(why) > mostRefusal {
		why = strings.ToValidUTF8(why[:mostRefusal], "") + "…"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if t == nil {
		t = &fault.Trouble{Since: now}
		s.calls = append(s.calls, t)
	}
	t.Why = why
	return t
}

// free forgets a call that has ended.
func (s *standing) free(t *fault.Trouble) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.calls, t); i >= 0 {
		s.calls = slices.Delete(s.calls, i, i+1)
	}
}

// StoreRefuses is since when the flow stands still because the store does not take what it says, and why; nil while it does, and for the first seconds.
func (r *Runner) StoreRefuses() *fault.Trouble {
	r.standing.mu.Lock()
	defer r.standing.mu.Unlock()
	if len(r.standing.calls) == 0 || r.Clock.Now().Sub(r.standing.calls[0].Since) < refusedAfter {
		return nil
	}
	t := *r.standing.calls[0]
	return &t
}
