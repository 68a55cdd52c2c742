package connectortest

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/zones"
)

// LocalSource is a system whose versions are local times without a zone.
type LocalSource struct {
	Poller connector.Poller
	Object string
	// Clock sets the connector's clock.
	Clock func(now func() time.Time)
	// Clear removes every object.
	Clear func()
	// Put makes or changes the object id; reading is its version, as clocks show it.
	Put func(id, content int, reading time.Time)
	// Show gives an object's content and reading out of a record.
	Show func(r connector.Record) (content int, reading string)
}

// nights are some in which clocks go back, one in which they do not change, and two in which they go forward.
var nights = []struct {
	zone string
	turn time.Time
}{
	{"Europe/Berlin", time.Date(2026, 10, 25, 1, 0, 0, 0, time.UTC)},
	{"America/New_York", time.Date(2026, 11, 1, 6, 0, 0, 0, time.UTC)},
	{"Australia/Lord_Howe", time.Date(2026, 4, 4, 15, 0, 0, 0, time.UTC)},
	{"Asia/Shanghai", time.Date(2026, 10, 24, 18, 0, 0, 0, time.UTC)},
	{"Europe/Berlin", time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC)},
	{"Australia/Lord_Howe", time.Date(2026, 10, 3, 15, 30, 0, 0, time.UTC)},
}

// LocalTimes polls a source through nights in which clocks change, with changes and polls at random: every object's last state is
// delivered, and its versions never go back. Where the source's clock is not the hub's, a state may be seen with a version that is too
// old at first, but the last one comes with one that counts.
func LocalTimes(t *testing.T, open func(t *testing.T, zone string) LocalSource) {
	sources := map[string]LocalSource{}
	for _, n := range nights {
		if _, ok := sources[n.zone]; !ok {
			sources[n.zone] = open(t, n.zone)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		n := nights[rapid.SampledFrom([]int{0, 0, 0, 1, 1, 2, 2, 3, 4, 5}).Draw(t, "night")]
		zone, err := zones.Load(n.zone)
		if err != nil {
			t.Fatal(err)
		}
		ahead := time.Duration(rapid.SampledFrom([]int{0, 0, 0, -40, 40}).Draw(t, "ahead")) * time.Second
		night(t, sources[n.zone], zone, n.turn, ahead)
	})
}

type localState struct {
	content int
	reading string
}

// night is one night; the source's clock is ahead of the hub's.
func night(t *rapid.T, s LocalSource, zone *time.Location, turn time.Time, ahead time.Duration) {
	const half = 3 * time.Hour
	type change struct {
		at          time.Time
		id, content int
	}
	var changes []change
	for range rapid.IntRange(1, 25).Draw(t, "changes") {
		// Multiples of five minutes: many readings are the same in both passes.
		minutes, seconds := 5*rapid.IntRange(-30, 30).Draw(t, "at"), rapid.IntRange(-1, 1).Draw(t, "second")
		at := turn.Add(time.Duration(minutes)*time.Minute + time.Duration(seconds)*time.Second)
		changes = append(changes, change{at, rapid.IntRange(1, 4).Draw(t, "id"), rapid.IntRange(0, 1).Draw(t, "content")})
	}
	slices.SortStableFunc(changes, func(a, b change) int { return a.at.Compare(b.at) })
	longest := rapid.SampledFrom([]int{30, 600, 6000}).Draw(t, "longest pause")
	if ahead != 0 {
		longest = min(longest, 600) // less than an hour, else nothing tells the passes apart
	}
	overlap := time.Duration(rapid.SampledFrom([]int{0, 0, 5, 4000}).Draw(t, "overlap")) * time.Second
	limit := rapid.IntRange(1, 5).Draw(t, "limit")
	slow := rapid.SampledFrom([]int{0, 0, 300}).Draw(t, "longest page")

	for i := range changes {
		if slow > 0 {
			// The very state of the first pass, reading and all, with another one between that was read in the same round: as anywhere where stamps
			// are equal, this is taken for no change.
			changes[i].content = i
		}
	}

	now := turn.Add(-half)
	s.Clock(func() time.Time { return now })
	s.Clear()
	source, got, versions := map[int]localState{}, map[string]localState{}, map[string]string{}
	apply := func() {
		for len(changes) > 0 && !changes[0].at.After(now) {
			c := changes[0]
			changes = changes[1:]
			reading := c.at.Add(ahead).In(zone)
			s.Put(c.id, c.content, reading)
			source[c.id] = localState{c.content, reading.Format(time.DateTime)}
		}
	}
	cursor := ""
	round := func() (records int) {
		for page := 0; ; page++ {
			apply()
			p, err := s.Poller.Poll(t.Context(), connector.PollRequest{Object: s.Object, Cursor: cursor, Overlap: overlap, Limit: limit})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range p.Records {
				content, reading := s.Show(r)
				back := event.CompareVersions(r.Version, versions[r.Local]) < 0
				if back && ahead == 0 {
					t.Fatalf("object %s: after version %s comes %s", r.Local, versions[r.Local], r.Version)
				}
				if !back {
					versions[r.Local], got[r.Local] = r.Version, localState{content, reading}
				}
			}
			records += len(p.Records)
			if cursor = p.Cursor; !p.More {
				return records
			}
			if page > 200 {
				t.Fatal("the poll makes no progress")
			}
			if slow > 0 {
				now = now.Add(time.Duration(rapid.IntRange(0, slow).Draw(t, "page")) * time.Second)
			}
		}
	}
	// Short pauses only around the change, for the test's own time.
	for now.Before(turn.Add(half)) {
		round()
		pause := rapid.IntRange(1, longest).Draw(t, "pause")
		if d := now.Sub(turn).Abs(); longest < 600 && d < 2*time.Hour+time.Minute && !(len(changes) > 0 && changes[0].at.Sub(now) < 2*time.Minute) {
			pause += 240
		} else if longest < 600 && d > 2*time.Hour+time.Minute {
			pause += 900
		}
		now = now.Add(time.Duration(pause) * time.Second)
	}
	round()
	now = now.Add(2 * time.Hour)
	round()
	for _, id := range slices.Sorted(maps.Keys(source)) {
		if g := got[fmt.Sprint(id)]; g != source[id] {
			t.Fatalf("object %d: got %v, the source has %v", id, g, source[id])
		}
	}
	now = now.Add(2 * time.Hour)
	round()
	if n := round(); n != 0 {
		t.Fatalf("%d records are handed out again", n)
	}
}
