package reconcile

import (
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// TestRest: beside traffic a run rests for a multiple of the time that it works, and without any not at all.
func TestRest(t *testing.T) {
	for name, tt := range map[string]struct {
		worked  time.Duration
		decided int64 // meanwhile
		want    time.Duration
	}{
		"no traffic":            {worked: 100 * time.Millisecond},
		"much traffic":          {worked: 100 * time.Millisecond, decided: 80, want: 800 * time.Millisecond},
		"little traffic":        {worked: 100 * time.Millisecond, decided: 1, want: 160 * time.Millisecond}, // ten a second, a fifth of what counts as much
		"a piece that was long": {worked: 10 * time.Second, decided: 5000, want: restUpTo},
		"no time at all":        {decided: 5},
	} {
		t.Run(name, func(t *testing.T) {
			clock, decided := lifecycle.NewManual(time.Unix(0, 0)), int64(7)
			r := &Run{c: Config{Clock: clock, Decided: func() int64 { return decided }}}
			p := r.pace()
			for range 2 { // what was counted before does not count again, and rest is no work
				decided += tt.decided
				clock.Advance(tt.worked)
				done := make(chan error)
				go func() { done <- p.rest(t.Context()) }()
				if tt.want > 0 {
					if err := clock.BlockUntil(t.Context(), 1); err != nil {
						t.Fatal(err)
					}
					next, _ := clock.Next()
					if got := next.Sub(clock.Now()); got != tt.want {
						t.Errorf("it rests for %s, want %s", got, tt.want)
					}
					clock.Set(next)
				}
				if err := <-done; err != nil {
					t.Fatal(err)
				}
				if want := map[bool]int{false: findsAtOnce, true: restingFinds}[tt.decided > 50]; p.finds() != want {
					t.Errorf("it asks for %d at once, want %d", p.finds(), want)
				}
				p = &pace{clock: p.clock, decided: p.decided, seen: p.seen, at: p.at, looked: p.at} // traffic counts from the end of the rest on
			}
		})
	}
	if err := (&Run{c: Config{Clock: lifecycle.NewManual(time.Unix(0, 0))}}).pace().rest(t.Context()); err != nil { // nobody counts
		t.Fatal(err)
	}
}
