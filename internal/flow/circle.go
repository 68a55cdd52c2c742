package flow

import (
	"fmt"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/state"
)

// maxHops stops events that flows hand round in a circle.
const maxHops = 32

// follows reports whether a state that was read holds all that the hub wrote last: it is what became of that write, and not what somebody has
// made of the object since.
func follows(known, got *state.Known) bool {
	if known.Hops == 0 || len(known.Written) == 0 {
		return false
	}
	for _, name := range known.Written {
		if h, ok := known.Fields[name]; ok && h != got.Fields[name] { // one that is not known may be as it was written
			return false
		}
	}
	return true
}

// circling parks an event that flows hand round in a circle, by topics or by way of a system that is read again.
func circling(ev *event.Event) (fate, bool, error) {
	if ev.Hops < maxHops {
		return fate{}, false, nil
	}
	return parked("loop", "loop", fmt.Sprintf("the event has passed %d flows: flows hand it round in a circle", ev.Hops)), true, nil
}
