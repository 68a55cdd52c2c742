//go:build !linux

package sdnotify

// monotonic: there is no systemd elsewhere.
func monotonic() int64 { return 0 }
