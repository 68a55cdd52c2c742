package breaker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

var (
	refusedConn = fault.New(fault.Unavailable, "connection refused")
	unauthd     = fault.New(fault.Auth, "401")
)

// bare is a breaker alone, with a clock that the test turns and a probe that it answers.
type bare struct {
	*Breaker
	t      *testing.T
	clock  *lifecycle.Manual
	answer error // to the probe
	probes int
	next   time.Duration // when Watch looks next
	log    strings.Builder
}

func newBare(t *testing.T) *bare {
	t.Helper()
	b := &bare{t: t, clock: lifecycle.NewManual(time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC))}
	b.Breaker = New("erp", b.clock, slog.New(slog.NewTextHandler(&b.log, nil)), func(context.Context) error {
		b.probes++
		return b.answer
	})
	b.watch()
	return b
}

func (b *bare) probe(err error) { b.answer = err }

// rest does what Watch does when something wakes it.
func (b *bare) rest() {
	select {
	case <-b.wake:
		b.next = b.clock.Elapsed() + b.look(b.t.Context())
	default:
	}
}

// pass lets time pass, and does what Watch does in it.
func (b *bare) pass(d time.Duration) {
	for end := b.clock.Elapsed() + d; ; {
		b.rest()
		if b.next > end {
			b.clock.Advance(end - b.clock.Elapsed())
			return
		}
		b.clock.Advance(max(0, b.next-b.clock.Elapsed()))
		b.next = b.clock.Elapsed() + max(b.look(b.t.Context()), time.Millisecond)
	}
}

// state is how the system is shown.
func (b *bare) shows() string {
	switch h := b.Health(); {
	case h.Refused:
		return "refused"
	case h.Down:
		return "down"
	case h.Lasts:
		return "failing for long"
	case h.Failing:
		return "failing"
	}
	return "up"
}

// One outage by refused credentials is news once, and the log says nothing of answers meanwhile, however often the system is tried.
func TestRefusalIsNewsOnce(t *testing.T) {
	b := newBare(t)
	news := 0
	for range 20 {
		if b.Refused(unauthd) {
			news++
		}
		b.pass(refusedMost)
	}
	if news != 1 || strings.Count(b.log.String(), "level=ERROR") != 1 || strings.Contains(b.log.String(), "answers again") {
		t.Errorf("news %d times:\n%s", news, &b.log)
	}
	b.Success("a")
	if !b.Refused(unauthd) {
		t.Error("the next outage is no news")
	}
}

// When a system is down: each line is what happens, and what is said of the system after it.
func TestRuleOfDown(t *testing.T) {
	type step struct {
		do   func(b *bare)
		want string
	}
	fails := func(keys ...string) func(*bare) {
		return func(b *bare) {
			for _, k := range keys {
				b.Failure(k, refusedConn)
			}
		}
	}
	takes := func(key string) func(*bare) { return func(b *bare) { b.Success(key) } }
	probe := func(err error) func(*bare) { return func(b *bare) { b.probe(err) } }
	pass := func(d time.Duration) func(*bare) { return func(b *bare) { b.pass(d) } }
	enters := func(b *bare) {
		if _, err := b.Enter(b.t.Context()); err != nil {
			b.t.Error(err)
		}
	}
	limited := &fault.Error{Kind: fault.RateLimited, Err: errors.New("429")}
	for name, steps := range map[string][]step{
		"dead target, one key": {
			{probe(refusedConn), "up"}, {fails("a"), "failing"}, {pass(9 * time.Second), "failing"}, {pass(2 * time.Second), "down"}, {pass(time.Hour), "down"},
			{probe(nil), "down"}, {pass(probeMost), "failing for long"}, {takes("a"), "up"}},
		"dead target, many keys": {
			{probe(refusedConn), "up"}, {fails("a", "b", "c", "d"), "failing"}, {pass(11 * time.Second), "down"}},
		"a failure that is over": {
			{fails("a"), "failing"}, {takes("a"), "up"}, {pass(time.Minute), "up"}},
		"one key fails, the others are taken": {
			{fails("a"), "failing"}, {pass(5 * time.Second), "failing"}, {takes("b"), "up"}, {fails("a"), "failing"}, {pass(9 * time.Second), "failing"}, {takes("b"), "up"}},
		"one key fails, and its message is parked": {
			{fails("a"), "failing"}, {pass(time.Minute), "failing for long"}, {func(b *bare) { b.Over("a") }, "up"}},
		"it has its fate before anybody has asked the system": {{func(b *bare) { b.Failure("a", refusedConn); b.Over("a") }, "up"}},
		"it has its fate, and the system is asked in vain":    {{probe(refusedConn), "up"}, {func(b *bare) { b.Failure("a", refusedConn); b.Over("a") }, "failing"}, {pass(11 * time.Second), "down"}},
		"one of two that fail is parked":                      {{fails("a", "b"), "failing"}, {pass(time.Minute), "failing for long"}, {func(b *bare) { b.Over("a") }, "failing for long"}},
		"one that never failed is parked":                     {{fails("a"), "failing"}, {func(b *bare) { b.Over("b") }, "failing"}},
		"parked while the probe fails":                        {{probe(refusedConn), "up"}, {fails("a"), "failing"}, {pass(5 * time.Second), "failing"}, {func(b *bare) { b.Over("a") }, "failing"}},
		"what failed is not tried again":                      {{fails("a"), "failing"}, {pass(forgetAfter - time.Minute), "failing for long"}, {pass(time.Minute + probeMost), "up"}},
		"down, and what waited has gone":                      {{probe(refusedConn), "up"}, {fails("a"), "failing"}, {pass(time.Hour), "down"}, {probe(nil), "down"}, {pass(probeMost), "failing for long"}, {pass(time.Minute), "failing for long"}, {pass(forgetAfter), "up"}},
		"one key fails and nothing else is there":             {{fails("a"), "failing"}, {pass(5 * time.Minute), "failing for long"}},
		"everything fails, and the probe is answered":         {{fails("a", "b", "c"), "failing"}, {pass(5 * time.Minute), "failing for long"}},
		"the probe asks to be left alone":                     {{probe(limited), "up"}, {fails("a"), "failing"}, {pass(time.Minute), "failing for long"}},
		"takes something now and then while the probe fails": {
			{probe(refusedConn), "up"}, {fails("a"), "failing"}, {pass(9 * time.Second), "failing"}, {takes("b"), "up"}, {fails("a"), "failing"}, {pass(9 * time.Second), "failing"}},
		"a call that nobody answers, and the probe fails":        {{probe(refusedConn), "up"}, {enters, "up"}, {pass(9 * time.Second), "up"}, {pass(3 * time.Second), "down"}},
		"a slow call, and the probe is answered":                 {{enters, "up"}, {pass(time.Hour), "up"}},
		"a slow call while others are taken":                     {{probe(refusedConn), "up"}, {enters, "up"}, {pass(9 * time.Second), "up"}, {takes("b"), "up"}, {pass(9 * time.Second), "up"}},
		"the probe fails, and nothing was ever asked":            {{probe(refusedConn), "up"}, {pass(time.Hour), "up"}},
		"back for a probe alone":                                 {{probe(refusedConn), "up"}, {fails("a"), "failing"}, {pass(11 * time.Second), "down"}, {probe(nil), "down"}, {pass(probeMost), "failing for long"}, {probe(refusedConn), "failing for long"}, {fails("a"), "failing for long"}, {pass(2 * time.Second), "down"}},
		"credentials refused":                                    {{func(b *bare) { b.Refused(unauthd) }, "refused"}, {pass(time.Hour), "refused"}, {takes("a"), "up"}},
		"credentials refused by the probe too":                   {{probe(unauthd), "up"}, {func(b *bare) { b.Refused(unauthd) }, "refused"}, {pass(time.Hour), "refused"}, {probe(nil), "refused"}, {pass(time.Minute), "refused"}, {takes("a"), "up"}},
		"a clock that is set, also far, makes nothing down":      {{probe(refusedConn), "up"}, {fails("a"), "failing"}, {func(b *bare) { b.clock.Step(24 * time.Hour) }, "failing"}, {pass(5 * time.Second), "failing"}},
		"a clock that is set back keeps nothing from being down": {{probe(refusedConn), "up"}, {fails("a"), "failing"}, {func(b *bare) { b.clock.Step(-24 * time.Hour) }, "failing"}, {pass(11 * time.Second), "down"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBare(t)
			for i, s := range steps {
				s.do(b)
				b.rest()
				if got := b.shows(); got != s.want {
					t.Fatalf("step %d: the system is %s, want %s", i, got, s.want)
				}
			}
		})
	}
}

// What is said of a system that answers its probe again, and of which nothing was asked since, is no failure of its probe.
func TestBackAndNotTried(t *testing.T) {
	b := newBare(t)
	b.probe(refusedConn)
	b.Failure("a", unauthd)
	says := func(want string) {
		t.Helper()
		if got := b.Health().Cause; got == nil || got.Error() != want {
			t.Errorf("it says %v, want %s", got, want)
		}
	}
	b.pass(time.Minute)
	says(refusedConn.Error())
	b.probe(nil)
	b.pass(probeMost)
	says("it answers its probe again, and no call was made since; before that: " + refusedConn.Error())
	b.Failure("a", unauthd)
	says(unauthd.Error())
	b.probe(refusedConn)
	b.pass(probeMost)
	b.probe(nil)
	b.pass(probeMost)
	b.Success("a")
	b.Failure("a", unauthd)
	says(unauthd.Error())
}

// Whose fault it is, and whether time counts.
func TestBlame(t *testing.T) {
	for name, c := range map[string]struct {
		do     func(b *bare)
		blamed bool
		counts bool
	}{
		"alone":                         {func(b *bare) { b.Failure("a", refusedConn) }, true, true},
		"with others":                   {func(b *bare) { b.Failure("a", refusedConn); b.Failure("b", refusedConn) }, false, true},
		"with others, and one is taken": {func(b *bare) { b.Failure("a", refusedConn); b.Failure("b", refusedConn); b.Success("b") }, true, true},
		"with others, and a third is taken": {func(b *bare) {
			b.Failure("a", refusedConn)
			b.Failure("b", refusedConn)
			b.Success("c")
			b.Failure("a", refusedConn)
		}, true, true},
		"others were taken before":             {func(b *bare) { b.Success("c"); b.Failure("a", refusedConn); b.Failure("b", refusedConn) }, false, true},
		"it was taken itself":                  {func(b *bare) { b.Failure("a", refusedConn); b.Success("a") }, false, true},
		"the other one waits for a person now": {func(b *bare) { b.Failure("a", refusedConn); b.Failure("b", refusedConn); b.Over("b") }, true, true},
		"alone, and the probe fails":           {func(b *bare) { b.probe(refusedConn); b.Failure("a", refusedConn) }, false, false},
		"alone, and it is down":                {func(b *bare) { b.probe(refusedConn); b.Failure("a", refusedConn); b.pass(time.Minute) }, false, false},
		"alone, and the probe is answered again": {func(b *bare) {
			b.probe(refusedConn)
			b.Failure("a", refusedConn)
			b.pass(5 * time.Second)
			b.probe(nil)
			b.pass(probeMost)
		}, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBare(t)
			c.do(b)
			b.pass(watchEvery) // for the probe
			if got := b.Blames("a"); got != c.blamed {
				t.Errorf("blamed: %v", got)
			}
			if got := b.Counts(); got != c.counts {
				t.Errorf("counts: %v", got)
			}
		})
	}
}

// A probe that was not answered, and is again, is noticed soon, and said once.
func TestBackIsNoticedSoon(t *testing.T) {
	b := newBare(t)
	b.probe(refusedConn)
	b.Failure("a", refusedConn)
	b.pass(10 * time.Hour)
	before := b.Backs()
	b.probe(nil)
	b.pass(probeMost)
	if b.Open() || b.Backs() == before {
		t.Error("the probe is answered again, and the flows wait on")
	}
	b.Success("a")
	if n := strings.Count(b.log.String(), "\n"); n != 3 || !strings.Contains(b.log.String(), "the system is down") {
		t.Errorf("%d lines:\n%s", n, b.log.String())
	}
}

// A system that refuses the credentials is asked ever more seldom, and anew after a quiet time; probes of a failing one are bounded.
func TestRefusedIsAskedSeldom(t *testing.T) {
	b := newBare(t)
	halfOpenAfter := func() time.Duration {
		t.Helper()
		for began := b.clock.Elapsed(); ; b.pass(100 * time.Millisecond) {
			if !b.Open() {
				return b.clock.Elapsed() - began
			}
		}
	}
	var pauses []time.Duration
	for range 12 {
		b.Refused(unauthd)
		pauses = append(pauses, halfOpenAfter())
	}
	if pauses[0] > time.Second || pauses[11] < refusedMost || pauses[11] > refusedMost+probeMost || !slices.IsSorted(pauses) {
		t.Errorf("it was open for %v", pauses)
	}
	b.Success("a")
	b.Refused(unauthd)
	if again := halfOpenAfter(); again < refusedMost {
		t.Errorf("one success and it forgets: open for %v", again)
	}
	b.Success("a")
	b.pass(soon)
	b.Refused(unauthd)
	if again := halfOpenAfter(); again > time.Second {
		t.Errorf("after a quiet time it was open for %v", again)
	}
}

// One that fails every other message is not probed for every failure.
func TestProbesAreBounded(t *testing.T) {
	b := newBare(t)
	for range 1000 {
		b.Failure("a", refusedConn)
		b.pass(10 * time.Millisecond)
		b.Success("b")
		b.pass(10 * time.Millisecond)
	}
	if b.probes < 5 || b.probes > 25 {
		t.Errorf("%d probes in 20 s", b.probes)
	}
}

// However many keys fail, what is kept of them is bounded.
func TestFailingKeysAreBounded(t *testing.T) {
	b := newBare(t)
	for i := range 3 * mostKeys {
		b.Failure(fmt.Sprint(i), refusedConn)
	}
	if n := len(b.keys); n > mostKeys {
		t.Errorf("%d keys are kept", n)
	}
	b.Success("x")
	b.Failure("y", refusedConn)
	b.Success("x")
	if !b.Blames("y") {
		t.Error("a key that is new among many is never blamed")
	}
}

// A few try a system that answers its probe again, the others wait; what tried and failed gives its place to the next, and the first that gets through lets
// all others go.
func TestTrials(t *testing.T) {
	b := newBare(t)
	b.probe(refusedConn)
	b.Failure("a", refusedConn)
	b.pass(11 * time.Second)
	b.probe(nil)
	b.pass(probeMost)
	var leave []func()
	enter := func() (entered bool) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		let, err := b.Enter(ctx)
		if err == nil {
			leave = append(leave, let)
		}
		return err == nil
	}
	for range trials {
		if !enter() {
			t.Fatal("a trial has to wait")
		}
	}
	if enter() {
		t.Errorf("more than %d try", trials)
	}
	leave[0]()
	if !enter() || enter() {
		t.Error("the place of a trial that is over is not given to one other")
	}
	b.Success("a")
	for range 2 * trials {
		if !enter() {
			t.Error("a system that takes messages has trials")
		}
	}
	for _, let := range leave[1:] {
		let()
	}
	if b.trying != 0 {
		t.Errorf("%d trials are never over", b.trying)
	}
}
