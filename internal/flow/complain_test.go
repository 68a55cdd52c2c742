package flow

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// TestComplain: the log is told of a failure at once, of others of its cause once a minute, and of another cause at once.
func TestComplain(t *testing.T) {
	var out bytes.Buffer
	clock := lifecycle.NewManual(time.Now())
	r := &Runner{log: slog.New(slog.NewTextHandler(&out, nil)), Deps: Deps{Clock: clock}}
	for _, step := range []struct {
		after time.Duration
		text  string
		err   error
		lines int
	}{
		{0, "the broker", fault.New(fault.Unavailable, "no 1"), 1},
		{0, "the broker", fault.New(fault.Unavailable, "no 2"), 1},
		{30 * time.Second, "the broker", fault.New(fault.Unavailable, "no 3"), 1},
		{0, "the store", fault.New(fault.Unavailable, "no 4"), 2},
		{0, "the broker", fault.New(fault.Auth, "no 5"), 3},
		{0, "the broker", errors.New("no 6"), 4},
		{31 * time.Second, "the broker", fault.New(fault.Unavailable, "no 7"), 5},
	} {
		clock.Advance(step.after)
		r.complain(step.text, step.err, "in", time.Second)
		if n := strings.Count(out.String(), "\n"); n != step.lines {
			t.Errorf("%v: %d lines, want %d:\n%s", step.err, n, step.lines, out.String())
		}
	}
}
