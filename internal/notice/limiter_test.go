package notice

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

func newLimiter(level slog.Level) (*Limiter, *lifecycle.Manual, *strings.Builder) {
	clock, log := lifecycle.NewManual(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)), &strings.Builder{}
	return NewLimiter(clock, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: level}))), clock, log
}

// What fails every second is told at once and then ever more seldom, with how often it failed meanwhile; when it comes again after a rest, at once.
func TestLimiterTellsEverMoreSeldom(t *testing.T) {
	l, clock, log := newLimiter(slog.LevelInfo)
	began := clock.Elapsed()
	var told []time.Duration
	for i := range 3 * 3600 {
		log.Reset()
		l.Warn("the store does not answer; trying again", fmt.Errorf("dial tcp 127.0.0.1:%d: connection refused", 40000+i), "in", time.Second)
		if log.Len() > 0 {
			told = append(told, clock.Elapsed()-began)
			if !strings.Contains(log.String(), "in=1s") || !strings.Contains(log.String(), "refused") || (len(told) > 1) != strings.Contains(log.String(), "more=") {
				t.Errorf("line %d is %s", len(told), log)
			}
		}
		clock.Step(-time.Hour) // the time of day says nothing
		clock.Advance(time.Second)
	}
	const m = time.Minute
	if want := []time.Duration{0, m, 3 * m, 7 * m, 15 * m, 31 * m, 63 * m, 123 * m}; fmt.Sprint(told) != fmt.Sprint(want) {
		t.Errorf("told at %s, want %s", told, want)
	}
	clock.Advance(limiterQuiet)
	log.Reset()
	l.Warn("the store does not answer; trying again", errors.New("dial tcp 127.0.0.1:1: connection refused"))
	if n := len(lines(log)); n != 1 || strings.Contains(log.String(), "more=") {
		t.Errorf("after a rest %d lines: %s", n, log)
	}
}

// A failure of another cause is told at once, whatever else goes on.
func TestLimiterTellsCausesApart(t *testing.T) {
	refused := fault.New(fault.Unavailable, "connection refused by 10.0.0.7")
	for name, c := range map[string]struct {
		text string
		err  error
		told bool
	}{
		"the same again":                {"cannot read", refused, false},
		"the same class in other words": {"cannot read", fmt.Errorf("page 2: %w", fault.New(fault.Unavailable, "reset")), false},
		"another class":                 {"cannot read", fault.New(fault.Auth, "connection refused by 10.0.0.7"), true},
		"another code":                  {"cannot read", &fault.Error{Kind: fault.Unavailable, Code: "503"}, true},
		"another system":                {"cannot read", &fault.Error{Kind: fault.Unavailable, System: "erp"}, true},
		"another thing that was tried":  {"cannot write", refused, true},
		"what nobody has classified":    {"cannot read", errors.New("connection refused"), true},
		"no error at all":               {"cannot read", nil, true},
	} {
		l, _, log := newLimiter(slog.LevelInfo)
		l.Warn("cannot read", refused)
		l.Warn(c.text, c.err)
		if told := len(lines(log)) == 2; told != c.told {
			t.Errorf("%s: told %t, want %t:\n%s", name, told, c.told, log)
		}
		log.Reset()
		if l.Warn(c.text, c.err); len(lines(log)) != 0 {
			t.Errorf("%s: is told twice in a minute", name)
		}
	}
}

// Causes without number are one cause in the end, and those that are over make room for others.
func TestLimiterIsBounded(t *testing.T) {
	l, clock, log := newLimiter(slog.LevelInfo)
	tell := func(round string) int {
		log.Reset()
		for i := range 1000 {
			l.Warn("cannot send", errors.New(round+strings.Repeat("x", i%150)))
		}
		return len(lines(log))
	}
	if n := tell("a"); n != mostLimited+1 {
		t.Errorf("%d lines for 150 causes, want %d", n, mostLimited+1)
	}
	clock.Advance(limiterQuiet)
	log.Reset()
	for range 2 {
		l.Warn("cannot send", errors.New("first"))
	}
	if n := len(lines(log)); n != 1 || l.told[restCause] != nil {
		t.Errorf("the first cause of a minute later is told %d times", n)
	}
	if n := tell("b"); n < mostLimited-1 || n > mostLimited+1 || len(l.told) > mostLimited+1 {
		t.Errorf("a minute later %d lines, and %d causes are kept", n, len(l.told))
	}
}

// Of a long text that nobody has classified the end does not matter: what differs there only, such as the bytes that were read, is one cause.
func TestLimiterCutsLongTexts(t *testing.T) {
	l, _, log := newLimiter(slog.LevelInfo)
	for _, c := range []struct {
		text string
		told int
	}{{strings.Repeat("x", mostCauseText) + "a", 1}, {strings.Repeat("x", mostCauseText) + "b", 1}, {strings.Repeat("x", mostCauseText-1) + "c", 2}} {
		if l.Warn("cannot read", errors.New(c.text)); len(lines(log)) != c.told {
			t.Errorf("after …%s there are %d lines, want %d", c.text[mostCauseText-1:], len(lines(log)), c.told)
		}
	}
}

// What is told goes on being told seldom, although others made room for themselves meanwhile.
func TestLimiterForgetsOnlyWhatIsOver(t *testing.T) {
	l, clock, log := newLimiter(slog.LevelInfo)
	l.Warn("cannot read", errors.New("it lasts"))
	for i := range mostLimited - 1 {
		l.Warn("cannot send", errors.New(strings.Repeat("x", i)))
	}
	clock.Advance(limiterQuiet / 2)
	l.Warn("cannot read", errors.New("it lasts"))
	clock.Advance(limiterQuiet / 2)
	l.Warn("cannot send", errors.New("another")) // the others are over, and are forgotten for it
	log.Reset()
	if l.Warn("cannot read", errors.New("it lasts")); !strings.Contains(log.String(), "more=1") {
		t.Errorf("what lasts was forgotten: %s", log)
	}
}

// Nothing is silent for whoever looks closely.
func TestLimiterLeavesOutNothingAtDebug(t *testing.T) {
	l, _, log := newLimiter(slog.LevelDebug)
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() { l.Warn("cannot read", errors.New("down"), "in", 1) })
	}
	all.Wait()
	if warn, debug := strings.Count(log.String(), "level=WARN"), strings.Count(log.String(), "level=DEBUG"); warn != 1 || debug != 9 {
		t.Errorf("%d warnings and %d lines at debug level, want 1 and 9:\n%s", warn, debug, log)
	}
}
