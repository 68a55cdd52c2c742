package status

import "time"

// Age is how old what was accepted at since is now; 0 where there is nothing, and where it was accepted by a clock that is ahead of this one.
func Age(since, now time.Time) time.Duration {
	if since.IsZero() {
		return 0
	}
	return max(0, now.Sub(since))
}
