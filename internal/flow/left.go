package flow

import (
	"sync"

	"github.com/waybill-hub/waybill/internal/state"
)

// left are the intents of a flow that stand while nobody is at work on their messages: an earlier owner has died, or a message rests with
// its call in doubt. It is a hint where to look, and may name some that are closed by now.
type left struct {
	mu      sync.Mutex
	byEvent map[string][]state.Intent
}

func (l *left) add(intents ...state.Intent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, in := range intents {
		known := false
		for _, k := range l.byEvent[in.EventID] {
			known = known || objectOf(&k) == objectOf(&in)
		}
		if !known {
			l.byEvent[in.EventID] = append(l.byEvent[in.EventID], in)
		}
	}
}

func (l *left) of(event string) []state.Intent {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.byEvent[event]
}

func (l *left) forget(event string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.byEvent, event)
}
