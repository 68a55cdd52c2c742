package lifecycle

import (
	"context"
	"errors"
	"time"
)

// Linger is a context for work that is better finished than cut off: it ends when parent ends, but d later when the cause of that is
// why, such as an orderly stop; whatever it is, where why is nil. The cause is parent's in all cases.
func Linger(parent context.Context, clock Clock, d time.Duration, why error) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(parent))
	stop := context.AfterFunc(parent, func() {
		if why == nil || errors.Is(context.Cause(parent), why) {
			// Ends with d or, when the work is done first, with ctx itself.
			_ = Sleep(ctx, clock, d)
		}
		cancel(context.Cause(parent))
	})
	return ctx, func() { stop(); cancel(context.Canceled) }
}
