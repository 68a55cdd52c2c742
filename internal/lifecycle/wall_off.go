//go:build !failpoints

package lifecycle

import "time"

func wall() time.Time { return time.Now() }
