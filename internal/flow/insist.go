package flow

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

// complainEvery is how often the log is told of what is tried again and again because of the hub's own broker or store. That the flow stands still for
// it is in the status.
const complainEvery = time.Minute

// complain warns of a failure, and of others of its cause now and then only: all lanes meet it, many times a minute.
func (r *Runner) complain(text string, err error, args ...any) {
	level, now := slog.LevelWarn, r.Clock.Elapsed()
	r.complaints.mu.Lock()
	key := text + causeOf(err)
	if last, ok := r.complaints.last[key]; ok && now-last < complainEvery {
		level = slog.LevelDebug
	} else {
		if r.complaints.last == nil {
			r.complaints.last = map[string]time.Duration{}
		}
		r.complaints.last[key] = now
	}
	r.complaints.mu.Unlock()
	r.log.Log(context.Background(), level, text, append([]any{"error", err}, args...)...)
}

// insist repeats a call to the store until it succeeds, the hub stops or is fenced: while the store cannot be reached
// nothing has a fate, so there is nothing else to do.
func (r *Runner) insist(ctx context.Context, what string, call func() error) error {
	wait := 50 * time.Millisecond
	for {
		err := call()
		if err == nil || errors.Is(err, state.ErrFenced) || errors.Is(err, state.ErrClaimed) {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		r.complain("the store does not answer; trying again", err, "what", what, "in", wait)
		if err := lifecycle.Sleep(ctx, r.Clock, wait); err != nil {
			return err
		}
		wait = min(2*wait, 5*time.Second)
	}
}
