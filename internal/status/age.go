package status

import "time"

// Age is how old what was accepted at since is now; 0 where there is nothing, and where it was accepted by a clock that is ahead of this one.
func Age(since, now time.Time) time.Duration {
	if since.IsZero() {
		return 0
	}
	return max(0, now.Sub(since))
}

// Share is the part of all that n is; nil where there is none. It is 1 only where n is all.
func Share(n, all int64) *float64 {
	if all <= 0 {
		return nil
	}
	share := float64(min(max(n, 0), all)) / float64(all)
	return &share
}
