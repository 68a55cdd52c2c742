package lifecycle

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// TestSparing: a failure that comes every second is told at once, and then ever more seldom; another one, and one that comes again after a rest, at once.
func TestSparing(t *testing.T) {
	clock, out, s := NewManual(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)), &bytes.Buffer{}, &Sparing{}
	log := slog.New(slog.NewTextHandler(out, nil))
	var told []time.Duration
	began := clock.Elapsed()
	complain := func(text, err string) bool {
		t.Helper()
		out.Reset()
		s.Warn(clock, log, text, errors.New(err), "flow", "orders")
		if out.Len() > 0 && (!strings.Contains(out.String(), "level=WARN") || !strings.Contains(out.String(), "flow=orders") || !strings.Contains(out.String(), err)) {
			t.Fatalf("told: %s", out)
		}
		return out.Len() > 0
	}
	for i := range 3 * 3600 {
		if complain("no store", fmt.Sprintf("dial from port %d", 40000+i)) {
			told = append(told, clock.Elapsed()-began)
			if want := "untold="; (len(told) > 1) != strings.Contains(out.String(), want) {
				t.Errorf("%s", out)
			}
		}
		clock.Advance(time.Second)
	}
	m := time.Minute
	want := []time.Duration{0, m, 3 * m, 7 * m, 15 * m, 31 * m, 63 * m, 123 * m}
	if fmt.Sprint(told) != fmt.Sprint(want) {
		t.Errorf("told at %s, want %s", told, want)
	}
	if !complain("no store", "too many connections") || !complain("no lease", "dial from port 1") {
		t.Error("what is another failure is not told")
	}
	clock.Advance(sparingQuiet)
	if !complain("no store", "dial from port 1") {
		t.Error("what comes again after a rest is not told")
	}
	for i := range 3 * sparingKinds {
		if !complain("no store", strings.Repeat("x", i)) || len(s.said) > sparingKinds {
			t.Fatalf("%d kinds are told apart", len(s.said))
		}
	}
}
