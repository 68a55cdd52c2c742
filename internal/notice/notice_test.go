package notice

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/lifecycle"
)

func newBoard() (*Board, *lifecycle.Manual, *strings.Builder) {
	clock, log := lifecycle.NewManual(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)), &strings.Builder{}
	return New(clock, slog.New(slog.NewTextHandler(log, nil))), clock, log
}

func never(string, What) bool { return false }

// lines are the messages of a log.
func lines(log *strings.Builder) (out []string) {
	for _, l := range strings.Split(strings.TrimSpace(log.String()), "\n") {
		if _, l, ok := strings.Cut(l, "level="); ok {
			out = append(out, l)
		}
	}
	return out
}

// One line for a flow, a cause and a change, however many messages; and one when it is over.
func TestToldOnce(t *testing.T) {
	b, clock, log := newBoard()
	for range 1000 {
		b.Tell("orders", Retry, "unavailable 503", "erp: 503: closed")
		clock.Advance(time.Second)
	}
	b.Tell("orders", Retry, "unavailable", "connection refused")
	b.Tell("orders", Park, "unavailable 503", "")
	b.Tell("invoices", Retry, "unavailable 503", "erp: 503: closed")
	if got := lines(log); len(got) != 4 {
		t.Fatalf("%d lines:\n%s", len(got), log)
	}
	for _, e := range b.Open() {
		if want := map[bool]int{true: 1000, false: 1}[e.Flow == "orders" && e.What == Retry && e.Cause == "unavailable 503"]; e.Count != want {
			t.Errorf("%+v", e)
		}
	}
	log.Reset()
	down := true
	rests := func(string, What) bool { return down }
	clock.Advance(24 * time.Hour)
	b.Look(rests)
	if len(b.Open()) != 4 || log.Len() > 0 {
		t.Fatalf("what rests is over: %v", log)
	}
	down = false
	clock.Advance(kinds[Retry].quiet)
	b.Look(rests)
	if got := lines(log); len(got) != 3 || !strings.Contains(log.String(), "times=1000") {
		t.Errorf("over:\n%s", log)
	}
	b.Tell("orders", Retry, "unavailable 503", "erp: 503: closed")
	if got := lines(log); len(got) != 4 {
		t.Errorf("what comes again after it was over is told again:\n%s", log)
	}
}

// A clock that is set ends nothing.
func TestOnlyTimeThatPassesCounts(t *testing.T) {
	b, clock, _ := newBoard()
	b.Tell("orders", Retry, "c", "")
	clock.Step(24 * time.Hour)
	b.Look(never)
	if len(b.Open()) != 1 {
		t.Error("it is over")
	}
}

func TestSourcesAreOverAtOnce(t *testing.T) {
	b, clock, log := newBoard()
	b.Tell("orders", Read, "unavailable", "refused")
	clock.Advance(time.Hour)
	b.Look(never)
	if len(b.Open()) != 1 {
		t.Error("a source that was not read again is over")
	}
	b.Over("orders", Read)
	b.Over("orders", Read)
	if got := lines(log); len(got) != 2 || len(b.Open()) != 0 || !strings.Contains(fmt.Sprint(got[1]), "1h0m0s") { // it lasted until now
		t.Errorf("%v", got)
	}
}

// Whatever causes there are, what is kept and told of them is bounded.
func TestCausesAreBounded(t *testing.T) {
	b, _, log := newBoard()
	for i := range 10_000 {
		b.Tell("orders", Park, fmt.Sprint(i), strings.Repeat("x", 10_000))
	}
	if n := len(b.Open()); n > mostCauses+1 {
		t.Errorf("%d causes", n)
	}
	if n := len(lines(log)); n > mostCauses+1 || log.Len() > (mostCauses+1)*(mostText+500) {
		t.Errorf("%d lines, %d bytes", n, log.Len())
	}
	b.Keep(func(string) bool { return false })
	if n := len(b.Open()); n > 0 {
		t.Errorf("%d are kept of a flow that is gone", n)
	}
}
