package calls

import (
	"sync"

	"github.com/waybill-hub/waybill/internal/state"
)

// OpenIntents are the intents of a flow that stand while nobody is at work on their messages: an earlier owner has died, or a message rests with
// its call in doubt. It is a hint where to look, and may name some that are closed by now. The zero value is ready.
type OpenIntents struct {
	mu      sync.Mutex
	byEvent map[string][]state.Intent
}

// Add notes intents; one object of an event is noted once.
func (l *OpenIntents) Add(intents ...state.Intent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, in := range intents {
		known := false
		for _, k := range l.byEvent[in.EventID] {
			known = known || ObjectOf(&k) == ObjectOf(&in)
		}
		if known {
			continue
		}
		if l.byEvent == nil {
			l.byEvent = map[string][]state.Intent{}
		}
		l.byEvent[in.EventID] = append(l.byEvent[in.EventID], in)
	}
}

// Of are those of an event.
func (l *OpenIntents) Of(event string) []state.Intent {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.byEvent[event]
}

// Forget drops those of an event: they are closed.
func (l *OpenIntents) Forget(event string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.byEvent, event)
}
