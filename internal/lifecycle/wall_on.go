//go:build failpoints

package lifecycle

import (
	"os"
	"strings"
	"sync"
	"time"
	"unsafe"
)

// OffsetVariable names, in builds with the tag, a file that holds a duration by which the machine's clock is set forward or back, such
// as -1h. It is read again and again: writing it is a step of the clock.
const OffsetVariable = "WAYBILL_CLOCK_OFFSET_FILE"

var offset struct {
	sync.Mutex
	read time.Time
	by   time.Duration
}

// wall is the machine's clock, set by the offset. As when a real clock is set, only the wall time moves: what was measured from one
// time to another within this process stays true.
func wall() time.Time {
	now := time.Now()
	file := os.Getenv(OffsetVariable)
	if file == "" {
		return now
	}
	offset.Lock()
	defer offset.Unlock()
	if offset.read.IsZero() || now.Sub(offset.read) > 10*time.Millisecond {
		offset.read = now
		if text, err := os.ReadFile(file); err == nil {
			if by, err := time.ParseDuration(strings.TrimSpace(string(text))); err == nil {
				offset.by = by
			}
		}
	}
	return set(now, offset.by)
}

// set moves the wall seconds of a time that has a monotonic reading, and leaves that reading alone: package time has no other way. The
// seconds stand above 30 bits of nanoseconds.
func set(t time.Time, by time.Duration) time.Time {
	*(*uint64)(unsafe.Pointer(&t)) += uint64(int64(by/time.Second)) << 30
	return t
}
