package gather

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type change struct {
	Place
	name string
}

// bench is a queue that keeps the lots it makes.
type bench struct {
	*Queue[*change]
	mu   sync.Mutex
	lots []string
}

func newBench(most, lanes int, answer func(b *bench, lot []*change)) *bench {
	b := &bench{}
	b.Queue = &Queue[*change]{Most: most, Lanes: lanes, Run: func(lot []*change) {
		names := make([]string, len(lot))
		for i, c := range lot {
			names[i] = c.name
		}
		b.mu.Lock()
		b.lots = append(b.lots, strings.Join(names, ""))
		b.mu.Unlock()
		answer(b, lot)
	}, Failed: func(c *change, err error) error { return fmt.Errorf("%s: %w", c.name, err) }}
	return b
}

func made(_ *bench, lot []*change) {
	for _, c := range lot {
		c.Answer(nil)
		c.Answer(errors.New("a second answer")) // does not count
	}
}

// together asks for changes that wait together, in their order, and gives each one's answer.
func (b *bench) together(t *testing.T, names string) string {
	t.Helper()
	release := b.Hold()
	answers := make([]string, len(names))
	var all sync.WaitGroup
	for i, name := range names {
		all.Go(func() {
			err, begun := b.Make(&change{At(t.Context()), string(name)})
			answers[i] = fmt.Sprint(err, " ", begun)
		})
		for b.Waiting() <= i {
			continue
		}
	}
	release()
	all.Wait()
	b.Hold()() // all lanes are free again
	return strings.Join(answers, ", ")
}

func TestLots(t *testing.T) {
	refuse := errors.New("no")
	for name, c := range map[string]struct {
		most   int
		fits   func(lot []*change, other *change) bool
		answer func(b *bench, lot []*change)
		asked  string
		lots   string
		want   string
	}{
		"what waits goes together":   {10, nil, made, "abcd", "abcd", "<nil> true, <nil> true, <nil> true, <nil> true"},
		"no more than the bound":     {3, nil, made, "abcdefg", "abc def g", strings.TrimSuffix(strings.Repeat("<nil> true, ", 7), ", ")},
		"a bound of one":             {1, nil, made, "abc", "a b c", "<nil> true, <nil> true, <nil> true"},
		"no bound is one":            {0, nil, made, "ab", "a b", "<nil> true, <nil> true"},
		"what does not fit is later": {10, func(lot []*change, o *change) bool { return (lot[0].name < "a") == (o.name < "a") }, made, "aXbYc", "abc XY", strings.TrimSuffix(strings.Repeat("<nil> true, ", 5), ", ")},
		"the whole lot is asked":     {10, func(lot []*change, _ *change) bool { return len(lot) < 2 }, made, "abc", "ab c", "<nil> true, <nil> true, <nil> true"},
		"each has its own answer": {10, nil, func(_ *bench, lot []*change) {
			for i, c := range lot {
				c.Answer([]error{nil, refuse}[i%2])
			}
		}, "abc", "abc", "<nil> true, no true, <nil> true"},
		"again, one by one, and before those that nobody has begun": {3, nil, func(b *bench, lot []*change) {
			switch {
			case len(lot) == 3 && lot[0].name == "a":
				b.Again(lot[:2], lot[2:])
			default:
				made(b, lot)
			}
		}, "abcde", "abc a b cde", strings.TrimSuffix(strings.Repeat("<nil> true, ", 5), ", ")},
		"a panic is the answer of those that have none": {10, nil, func(_ *bench, lot []*change) { lot[0].Answer(nil); panic("a mistake") }, "abc", "abc",
			"<nil> true, b: this is a fault of Waybill: panic: a mistake true, c: this is a fault of Waybill: panic: a mistake true"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(c.most, 1, c.answer)
			b.Fits = c.fits
			if got := b.together(t, c.asked); got != c.want {
				t.Errorf("answers: %s, want %s", got, c.want)
			}
			if got := strings.Join(b.lots, " "); got != c.lots {
				t.Errorf("lots: %s, want %s", got, c.lots)
			}
		})
	}
}

// One that is not begun when its context ends is not made; one that is begun is waited for.
func TestContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	b := newBench(10, 1, func(b *bench, lot []*change) { cancel(); made(b, lot) })
	if err, begun := b.Make(&change{At(ctx), "a"}); err != nil || !begun {
		t.Errorf("%v %v", err, begun)
	}
	release := b.Hold()
	if err, begun := b.Make(&change{At(ctx), "b"}); err != nil || begun {
		t.Errorf("%v %v", err, begun)
	}
	release()
	if b.Waiting() != 0 || fmt.Sprint(b.lots) != "[a]" {
		t.Errorf("%d wait; lots %v", b.Waiting(), b.lots)
	}
}

// As many lots are made at once as there are lanes, and one that comes alone waits for nobody.
func TestLanes(t *testing.T) {
	inside, over := make(chan string, 3), make(chan struct{})
	b := newBench(10, 2, func(b *bench, lot []*change) { inside <- lot[0].name; <-over; made(b, lot) })
	var all sync.WaitGroup
	for _, name := range []string{"a", "b"} { // one behind the other, or both may go into one lot
		all.Go(func() { b.Make(&change{At(t.Context()), name}) })
		if got := <-inside; got != name {
			t.Errorf("%s is made for %s", got, name)
		}
	}
	all.Go(func() { b.Make(&change{At(t.Context()), "c"}) })
	for b.Waiting() == 0 {
		continue
	}
	select {
	case name := <-inside:
		t.Errorf("%s is made beside two others", name)
	default:
	}
	close(over)
	all.Wait()
}

// Whatever comes, in whatever lots it is made and made again: each is answered once, by the lot that it was made in last.
func TestEachIsAnswered(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(rt, "changes")
		most, lanes := rapid.IntRange(1, 8).Draw(rt, "most"), rapid.IntRange(1, 4).Draw(rt, "lanes")
		again := rapid.SliceOfN(rapid.Bool(), n, n).Draw(rt, "again")
		var mu sync.Mutex
		left := slices.Clone(again)
		q := &Queue[*numbered]{Most: most, Lanes: lanes, Failed: func(_ *numbered, err error) error { return err }}
		q.Run = func(lot []*numbered) {
			var alone, made []*numbered
			mu.Lock()
			for _, c := range lot {
				if len(lot) > 1 && left[c.n] {
					left[c.n] = false
					alone = append(alone, c)
				} else {
					made = append(made, c)
				}
			}
			mu.Unlock()
			for _, c := range made {
				c.Answer(answerOf(c.n))
			}
			q.Again(alone, nil)
		}
		var all sync.WaitGroup
		for i := range n {
			all.Go(func() {
				if err, begun := q.Make(&numbered{At(t.Context()), i}); !begun || fmt.Sprint(err) != fmt.Sprint(answerOf(i)) {
					t.Errorf("%d: %v %v", i, err, begun)
				}
			})
		}
		all.Wait()
		q.Hold()()
	})
}

type numbered struct {
	Place
	n int
}

func answerOf(n int) error {
	if n%3 == 0 {
		return nil
	}
	return fmt.Errorf("answer %d", n)
}
