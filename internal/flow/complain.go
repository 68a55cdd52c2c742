package flow

import (
	"context"
	"log/slog"
	"time"

	"github.com/waybill-hub/waybill/internal/flow/deliver"
)

// complainEvery is how often the log is told of what is tried again and again because of the hub's own broker or store. That the flow stands still for
// it is in the status.
const complainEvery = time.Minute

// complain warns of a failure, and of others of its cause now and then only: all lanes meet it, many times a minute.
func (r *Runner) complain(text string, err error, args ...any) {
	level, now := slog.LevelWarn, r.Clock.Elapsed()
	r.complaints.mu.Lock()
	key := text + deliver.CauseOf(err)
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
