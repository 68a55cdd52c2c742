package app

import (
	"testing"
	"time"
)

// TestCallTimes: the average is of the newest calls, and of the last minutes.
func TestCallTimes(t *testing.T) {
	t.Parallel()
	var c callTimes
	want := func(now, d time.Duration) {
		t.Helper()
		if got := c.lately(now); got != d {
			t.Errorf("at %s: %s, want %s", now, got, d)
		}
	}
	want(0, 0)
	c.note(2*time.Second, time.Minute)
	c.note(4*time.Second, 2*time.Minute)
	want(2*time.Minute, 3*time.Second)
	want(6*time.Minute+time.Second, 4*time.Second) // the first is too old
	want(time.Hour, 0)
	for range 2 * len(c.last) {
		c.note(time.Second, time.Hour)
	}
	want(time.Hour, time.Second)
}
