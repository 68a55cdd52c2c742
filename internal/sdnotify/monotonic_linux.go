package sdnotify

import "golang.org/x/sys/unix"

// monotonic is the system's monotonic clock in microseconds: systemd tells by it whether a notice is older than its own signal.
func monotonic() int64 {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) != nil {
		return 0
	}
	return t.Nano() / 1000
}
