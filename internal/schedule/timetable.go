// Package schedule runs jobs at set times: on one hub at a time, never twice at once, and not forgotten while the hub
// was down.
package schedule

import (
	"fmt"
	"math/bits"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/waybill-hub/waybill/internal/zones"
)

// Timetable says when a job is due.
//
// A cron line is read on the wall clock of its zone. Where the clocks go forward, a time of day that does not exist that
// day is due at the first instant after the gap, once; where they go back, a time of day that comes twice is due the first
// time only. A line whose hour is `*` means elapsed time instead: it goes on through both changes without a pause.
type Timetable struct {
	text  string
	every time.Duration // 0: the line is spec
	spec  *cron.SpecSchedule
	zone  *time.Location
	// hourly: the hour field is *, so the line follows elapsed time.
	hourly bool
}

const allHours = 1<<24 - 1

var parser = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)

// Parse reads a cron line of five fields, or @hourly, @daily, @weekly, @monthly, @yearly or "@every 10m". The zone is an
// IANA name; empty means UTC.
func Parse(line, zone string) (t *Timetable, err error) {
	text := strings.TrimSpace(line)
	if strings.Contains(text, "TZ=") {
		return nil, fmt.Errorf("cron line %q: a zone does not belong into the line; write it as timezone", line)
	}
	loc, err := zones.Load(zone)
	if err != nil || zone == "Local" {
		return nil, fmt.Errorf("timezone %q is not known; write an IANA name such as Asia/Shanghai or UTC", zone)
	}
	defer func() { // the parser has panicked on malformed lines before
		if r := recover(); r != nil {
			t, err = nil, fmt.Errorf("cron line %q cannot be read: %v", line, r)
		}
	}()
	s, err := parser.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("cron line %q: %w; write minute hour day-of-month month day-of-week, such as 0 2 * * *", line, err)
	}
	t = &Timetable{text: text, zone: loc}
	switch s := s.(type) {
	case cron.ConstantDelaySchedule:
		t.every = s.Delay
	case *cron.SpecSchedule:
		s.Location = time.UTC // the zone is applied here, not by the library, which loses or doubles runs at clock changes
		t.spec = s
		t.hourly = bits.OnesCount64(s.Hour&allHours) == 24
	default:
		return nil, fmt.Errorf("cron line %q is of a kind that the hub does not know", line)
	}
	if t.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return nil, fmt.Errorf("cron line %q never comes due: no such date exists", line)
	}
	return t, nil
}

// Every is due at fixed distances, d after the last time. Distances under a second count as one.
func Every(d time.Duration) *Timetable {
	return &Timetable{text: "every " + d.String(), every: max(d, time.Second), zone: time.UTC}
}

// String is the line as it was written, with its zone.
func (t *Timetable) String() string {
	if t.every > 0 || t.zone == time.UTC {
		return t.text
	}
	return t.text + " " + t.zone.String()
}

// Next is the first time after the given one at which the job is due; the zero time when there is none.
func (t *Timetable) Next(after time.Time) time.Time {
	switch {
	case t.every > 0:
		return after.Add(t.every)
	case t.hourly:
		return t.nextElapsed(after)
	}
	return t.nextWall(after)
}

// nextWall walks the line's wall-clock times and takes the first whose instant is later than after.
func (t *Timetable) nextWall(after time.Time) time.Time {
	wall := naive(after.In(t.zone))
	for {
		if wall = t.step(wall); wall.IsZero() {
			return time.Time{}
		}
		if at := t.instant(wall); at.After(after) {
			return at
		}
	}
}

// nextElapsed evaluates the line within each stretch of constant distance to UTC.
func (t *Timetable) nextElapsed(after time.Time) time.Time {
	stretch := after.In(t.zone)
	wall := naive(stretch)
	for {
		next := t.step(wall)
		if next.IsZero() {
			return time.Time{}
		}
		_, offset := stretch.Zone()
		_, end := stretch.ZoneBounds()
		at := next.Add(-time.Duration(offset) * time.Second).In(t.zone)
		if end.IsZero() || at.Before(end) {
			return at
		}
		// Go on in the next stretch, whose first instant may itself be due.
		stretch, wall = end, naive(end).Add(-time.Nanosecond)
	}
}

// step is the line's next wall-clock time. The library looks five years ahead; 29 February may be eight away.
func (t *Timetable) step(wall time.Time) time.Time {
	if next := t.spec.Next(wall); !next.IsZero() {
		return next
	}
	return t.spec.Next(wall.AddDate(4, 0, 0))
}

// naive is the wall clock's reading as if it were UTC.
func naive(t time.Time) time.Time {
	y, m, d := t.Date()
	return time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}

// instant is when the zone's wall clock first shows the reading; for a reading that the clock jumps over, the end of
// the jump.
func (t *Timetable) instant(wall time.Time) time.Time {
	guess := time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), wall.Second(), 0, t.zone)
	if !naive(guess).Equal(wall) { // in a gap: the guess lies on one side of the change
		start, end := guess.ZoneBounds()
		if naive(guess).Before(wall) {
			return end
		}
		return start
	}
	// The reading may come twice: look whether it also existed before the last change.
	if start, _ := guess.ZoneBounds(); !start.IsZero() {
		_, before := start.Add(-time.Nanosecond).Zone()
		if earlier := wall.Add(-time.Duration(before) * time.Second).In(t.zone); earlier.Before(start) && naive(earlier).Equal(wall) {
			return earlier
		}
	}
	return guess
}
