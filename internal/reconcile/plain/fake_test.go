package plain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// memory is a system whose only object is a list of rows, in whatever order they are: a key and a text.
type memory struct {
	connector.PlainReader
	keys   []int64
	values map[int64]string
	// failAt is the row at which reading fails, 0: it does not.
	failAt   int
	expected int64
	unserved bool
	load     func() (connector.PlainLoad, error)
	digested int64
	// took is called with the rows of every digest; meeting counts those that are under way at the same time.
	took    func(rows int)
	meeting *meeting
}

func newMemory(n int, value func(k int64) string) *memory {
	m := &memory{values: map[int64]string{}, expected: int64(n)}
	for k := range int64(n) {
		m.keys = append(m.keys, k*10)
		m.values[k*10] = value(k * 10)
	}
	return m
}

func (m *memory) PlainTable(context.Context, string) (connector.PlainTable, error) {
	return connector.PlainTable{Group: "memory", Rows: m.expected, Forms: map[string][]connector.PlainForm{"id": {connector.PlainInt}, "v": {connector.PlainText}}}, nil
}
func (m *memory) PlainOpen(context.Context, string, connector.PlainQuery) (connector.PlainSession, error) {
	return &memorySession{m}, nil
}
func (m *memory) PlainLoad(context.Context) (connector.PlainLoad, error) {
	if m.load == nil {
		return connector.PlainLoad{}, nil
	}
	return m.load()
}

// meeting counts calls that are under way at the same time, and remembers the most.
type meeting struct{ now, most atomic.Int32 }

func (t *meeting) enter() func() {
	if t == nil {
		return func() {}
	}
	if n := t.now.Add(1); n > t.most.Load() {
		t.most.Store(n)
	}
	return func() { t.now.Add(-1) }
}

type memorySession struct{ m *memory }

func (s *memorySession) Served() connector.PlainKeys {
	return connector.PlainKeys{Ordered: !s.m.unserved, Unique: true, Hint: "an index"}
}
func (s *memorySession) Unkeyed(context.Context) (int64, error) { return 0, nil }
func (s *memorySession) Close() error                           { return nil }

// within are the keys of a range.
func (s *memorySession) within(r connector.KeyRange) []int64 {
	behind := func(key [][]byte, none int) int {
		if key == nil {
			return none
		}
		at, found := slices.BinarySearchFunc(s.m.keys, key[0], func(k int64, v []byte) int { return connector.PlainInt.Compare(connector.AppendInt(nil, k), v) })
		if found {
			at++
		}
		return at
	}
	return s.m.keys[behind(r.After, 0):behind(r.Upto, len(s.m.keys))]
}

func (s *memorySession) Rows(ranges ...connector.KeyRange) connector.PlainRows {
	r := &memoryRows{m: s.m, at: -1}
	for _, one := range ranges {
		r.keys = append(r.keys, s.within(one)...)
	}
	return r
}

func (s *memorySession) Bounds(_ context.Context, after [][]byte, every, n int) (out [][][]byte, err error) {
	keys := s.within(connector.KeyRange{After: after})
	for i := every - 1; i < len(keys) && len(out) < n; i += every {
		out = append(out, [][]byte{connector.AppendInt(nil, keys[i])})
	}
	return out, nil
}

func (s *memorySession) Digest(_ context.Context, ranges []connector.KeyRange, most int) (out []connector.Digest, err error) {
	defer s.m.meeting.enter()()
	for _, r := range ranges {
		keys := s.within(r)
		s.m.digested += int64(len(keys))
		if s.m.took != nil {
			s.m.took(len(keys))
		}
		d := connector.Digest{Count: int64(min(len(keys), most+1))}
		for _, k := range keys {
			d.Hash += fmt.Sprintf("%d=%q,", k, s.m.values[k])
		}
		out = append(out, d)
	}
	return out, nil
}

type memoryRows struct {
	m    *memory
	keys []int64
	at   int
}

var errLost = errors.New("the connection was lost")

func (r *memoryRows) Next(context.Context) (bool, error) {
	r.at++
	if r.m.failAt > 0 && r.at >= r.m.failAt {
		return false, errLost
	}
	return r.at < len(r.keys), nil
}
func (r *memoryRows) Row() ([][]byte, error) {
	k := r.keys[r.at]
	return [][]byte{connector.AppendInt(nil, k), []byte(r.m.values[k])}, nil
}
func (r *memoryRows) Close() error { return nil }

func run(t *testing.T, l, r *memory, o Options) (lines []string, res Result, err error) {
	t.Helper()
	s := spec("id", "v")
	c, err := Open(t.Context(), Table{l, "x"}, Table{r, "x"}, s, o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	res, err = c.Run(t.Context(), func(p Pair) error {
		lines = append(lines, line(s, p))
		return nil
	})
	return lines, res, err
}

func constant(int64) string { return "v" }

// A side that fails half-way says nothing of the rows that were not read.
func TestFailsHalfWay(t *testing.T) {
	for _, stream := range []bool{true, false} {
		for _, failing := range []string{"left", "right"} {
			l, r := newMemory(1000, constant), newMemory(1000, func(k int64) string { return fmt.Sprint(k) })
			map[string]*memory{"left": l, "right": r}[failing].failAt = 500
			lines, _, err := run(t, l, r, Options{Stream: stream})
			if !errors.Is(err, errLost) {
				t.Errorf("%s, streamed %v: %v", failing, stream, err)
			}
			for _, line := range lines {
				if !strings.HasPrefix(line, "different") {
					t.Fatalf("%s, streamed %v: %s", failing, stream, line)
				}
			}
		}
	}
}

// An empty answer beside a side that has rows is refused, unless it is taken for what it is.
func TestEmptyAnswer(t *testing.T) {
	for _, stream := range []bool{true, false} {
		l, r := newMemory(300, constant), newMemory(0, constant)
		r.expected = 300
		lines, _, err := run(t, l, r, Options{Stream: stream})
		var empty *EmptyError
		if !errors.As(err, &empty) || empty.Side != "right" || empty.Expected != 300 || len(lines) > 0 {
			t.Errorf("streamed %v: %v %d", stream, err, len(lines))
		}
		if lines, _, err := run(t, l, r, Options{Stream: stream, AllowEmpty: true}); err != nil || len(lines) != 300 {
			t.Errorf("streamed %v: %v %d", stream, err, len(lines))
		}
		if lines, res, err := run(t, newMemory(0, constant), newMemory(0, constant), Options{Stream: stream}); err != nil || len(lines) != 0 || res.Compared != 0 {
			t.Errorf("streamed %v: %v %d", stream, err, len(lines))
		}
	}
}

// A side whose order is another one is refused: its rows would look missing.
func TestAnotherOrder(t *testing.T) {
	l, r := newMemory(100, constant), newMemory(100, constant)
	r.keys[50], r.keys[51] = r.keys[51], r.keys[50]
	lines, _, err := run(t, l, r, Options{Stream: true})
	if !errors.Is(err, ErrOrder) || len(lines) > 1 {
		t.Errorf("%v %v", err, lines)
	}
	r = newMemory(100, constant)
	r.keys[51] = r.keys[50] // its index is said to be unique
	if _, _, err := run(t, l, r, Options{Stream: true}); !errors.Is(err, ErrOrder) {
		t.Errorf("%v", err)
	}
}

func TestPathAndWhy(t *testing.T) {
	l, r := newMemory(1, constant), newMemory(1, constant)
	r.unserved = true
	c, err := Open(t.Context(), Table{l, "x"}, Table{r, "x"}, spec("id", "v"), Options{})
	if err != nil || c.Path() != Streamed || len(c.Hints()) != 1 || !strings.Contains(c.Why(), "an index") {
		t.Errorf("%v %+v", err, c)
	}
	for _, bad := range []Spec{spec("", "v"), spec("id", "w"), {Key: spec("id").Key, Columns: []Column{{Left: "id", Right: "v"}}}} {
		if _, err := Open(t.Context(), Table{l, "x"}, Table{r, "x"}, bad, Options{}); !errors.Is(err, connector.ErrNotPlain) {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

// Few differences: what travels is few buckets. Many: hardly anything is digested, and everything is read once; where they end, digests begin again.
func TestReadsWhatItMust(t *testing.T) {
	const n = 100_000
	every := func(share int64, upto int64) func(k int64) string {
		return func(k int64) string {
			if k/10%share == 0 && k/10 < upto {
				return "w"
			}
			return "v"
		}
	}
	for _, test := range []struct {
		name              string
		right             func(k int64) string
		found             int
		travels, digested int64 // at most, of both sides
	}{
		{"few", every(20_000, n), 5, 10 * bucketRows * 2, 2 * n},
		{"many", every(10, n), n / 10, 2 * n, 2 * 20_000},
		{"many at the beginning", every(10, 15_000), 1_500, 3 * n / 2, 2 * n},
	} {
		t.Run(test.name, func(t *testing.T) {
			l, r := newMemory(n, constant), newMemory(n, test.right)
			lines, res, err := run(t, l, r, Options{})
			if err != nil || len(lines) != test.found || res.Compared != n || res.Equal != int64(n-test.found) || res.Left.Rows != n || res.Right.Rows != n {
				t.Errorf("%d found: %+v %v", len(lines), res, err)
			}
			if res.Read > test.travels || l.digested+r.digested > test.digested {
				t.Errorf("%d rows travelled, %d were digested", res.Read, l.digested+r.digested)
			}
			if !slices.IsSortedFunc(lines, func(a, b string) int { return len(a) - len(b) }) {
				t.Error("they come in another order than that of the keys")
			}
		})
	}
}

// A comparison waits while a system takes longer than before for a call, or its copies lag, and goes on when that is over.
func TestThrottle(t *testing.T) {
	for name, strained := range map[string]connector.PlainLoad{"latency": {Latency: time.Second}, "lag": {Latency: time.Millisecond, Lag: time.Minute}} {
		t.Run(name, func(t *testing.T) {
			clock := lifecycle.NewManual(time.Unix(0, 0))
			calls, waits := 0, []string{}
			l, r := newMemory(100, constant), newMemory(100, constant)
			r.load = func() (connector.PlainLoad, error) {
				if calls++; calls > baselines && calls <= baselines+4 {
					return strained, nil
				}
				return connector.PlainLoad{Latency: time.Millisecond}, nil
			}
			g := newGate(Options{Clock: clock}, l, r)
			done := make(chan error, 1)
			go func() {
				done <- g.pass(t.Context(), func(why string) {
					if why != "" {
						waits = append(waits, why)
					}
				})
			}()
			for range 4 {
				clock.BlockUntil(t.Context(), 1)
				clock.Advance(time.Second)
			}
			if err := <-done; err != nil || len(waits) != 4 || !strings.Contains(waits[0], "right") {
				t.Errorf("%v: %q", err, waits)
			}
		})
	}
}

// What others do to a system ends no comparison: it goes on, slowly.
func TestPatience(t *testing.T) {
	clock := lifecycle.NewManual(time.Unix(0, 0))
	l, r := newMemory(100, constant), newMemory(100, constant)
	l.load = func() (connector.PlainLoad, error) { return connector.PlainLoad{}, errors.New("too many connections") }
	g := newGate(Options{Clock: clock, Throttle: Throttle{Patience: 3 * time.Second}}, l, r)
	g.next = 0 // the baselines are there
	done := make(chan error, 1)
	go func() { done <- g.pass(t.Context(), func(string) {}) }()
	for range 3 {
		clock.BlockUntil(t.Context(), 1)
		clock.Advance(time.Second)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// It rests where others are at work: pieces of work are smaller then, and no two systems are asked at the same time.
func TestRests(t *testing.T) {
	for _, beside := range []bool{true, false} {
		for _, stream := range []bool{true, false} {
			clock := lifecycle.NewManual(time.Unix(0, 0))
			rests := 0
			rest := func(context.Context) error {
				rests++
				if beside {
					clock.Advance(time.Second)
				}
				return nil
			}
			l, r := newMemory(50_000, constant), newMemory(50_000, constant)
			most := &meeting{}
			l.meeting, r.meeting = most, most
			l.took = func(rows int) { clock.Advance(time.Duration(rows) * 20 * time.Microsecond) }
			if lines, res, err := run(t, l, r, Options{Stream: stream, Clock: clock, Throttle: Throttle{Rest: rest}}); err != nil || len(lines) > 0 || res.Equal != 50_000 {
				t.Fatalf("%+v %v", res, err)
			}
			if small := beside || stream; small != (rests >= 12) || rests < 3 {
				t.Errorf("it rests %d times, beside others %v, streamed %v", rests, beside, stream)
			}
			if !stream && beside && most.most.Load() > 1 {
				t.Error("two systems are asked at the same time")
			}
		}
	}
}

// A rest that is ended by its caller ends the comparison.
func TestRestEnds(t *testing.T) {
	for _, stream := range []bool{true, false} {
		_, _, err := run(t, newMemory(100, constant), newMemory(100, constant), Options{Stream: stream, Throttle: Throttle{Rest: func(context.Context) error { return errLost }}})
		if !errors.Is(err, errLost) {
			t.Error(err)
		}
	}
}
