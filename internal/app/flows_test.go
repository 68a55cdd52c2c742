package app

import (
	"testing"
	"time"
)

// Few flows are heard of soon; many are heard of more seldom, within bounds, and never so seldom that a session could end in between.
func TestBeatsOfFlows(t *testing.T) {
	t.Parallel()
	const s, ms = time.Second, time.Millisecond
	for _, tt := range []struct {
		flows       int
		session     time.Duration
		beat, watch time.Duration
	}{
		{0, 0, s, 5 * s},
		{1, 30 * s, s, 5 * s},
		{66, 30 * s, s, 5 * s},
		{100, 30 * s, 1500 * ms, 7500 * ms},
		{200, 30 * s, 3 * s, 15 * s},
		{400, 30 * s, 3 * s, 30 * s},
		{10_000, 0, 3 * s, 30 * s},
		{10_000, 30 * s, 3 * s, 30 * s},
		{10_000, 6 * s, 2 * s, 30 * s},
		{1, 2 * s, 2 * s / 3, 5 * s},
	} {
		if beat, watch := paces(tt.flows, tt.session); beat != tt.beat || watch != tt.watch {
			t.Errorf("%d flows, a session of %s: a beat every %s and a look every %s, want %s and %s", tt.flows, tt.session, beat, watch, tt.beat, tt.watch)
		}
	}
}
