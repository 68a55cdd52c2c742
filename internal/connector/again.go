package connector

import (
	"context"
	"errors"
	"time"

	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// mostTries is how often a system is asked for a page of a list, or for one object: what needs a thousand answers would seldom come to its end through a
// system that fails now and then.
const mostTries = 8

// Again reads from a system, and once more while that fails of something that may be over soon: eight times in all. Where ctx ends before, its error is what
// the system failed of last. It is for reading alone, by what does not come again by itself, as polls and deliveries do.
func Again(ctx context.Context, c lifecycle.Clock, read func() error) error {
	tries, last := 0, error(nil)
	err := lifecycle.Retry(ctx, c, lifecycle.Backoff{Min: 100 * time.Millisecond, Max: 5 * time.Second}, func() error {
		last = read()
		return last
	}, func(err error, _ time.Duration) error {
		f, ok := fault.As(err) // what is no fault is the reader's own word, such as that a list has moved
		tries++
		if !ok || tries >= mostTries || f.Kind != fault.Unavailable && f.Kind != fault.RateLimited && f.Kind != fault.UnknownOutcome || errors.Is(err, ErrNoLookup) {
			return err
		}
		return nil
	})
	if err == nil {
		return nil
	}
	return last
}
