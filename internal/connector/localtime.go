package connector

import "time"

// When clocks go back, a stretch of readings comes twice: in Europe/Berlin 02:00 to 03:00 on the last Sunday of October. A source that
// writes local times without a zone does not say which of the two it means; what follows is for polls of such sources.

// clockSlack is how far a source's clock may be ahead of the hub's.
const clockSlack = time.Minute

// Instants gives the first and the last instant at which clocks in zone show a reading; the reading is wall's date and time, whatever
// its zone. They are equal where the reading comes once. A reading that clocks jump over is the moment of the jump, for both: so
// the order of readings stays that of instants.
func Instants(wall time.Time, zone *time.Location) (first, second time.Time) {
	wall = reading(wall)
	guess := time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), wall.Second(), wall.Nanosecond(), zone)
	start, end := guess.ZoneBounds()
	if !reading(guess).Equal(wall) {
		if reading(guess).Before(wall) {
			return end, end
		}
		return start, start
	}
	first, second = guess, guess
	if !start.IsZero() {
		if t := wall.Add(-offset(start.Add(-1))).In(zone); t.Before(start) && reading(t).Equal(wall) {
			first = t
		}
	}
	if !end.IsZero() {
		if t := wall.Add(-offset(end)).In(zone); !t.Before(end) && reading(t).Equal(wall) {
			second = t
		}
	}
	return first, second
}

// Repeat is a stretch of readings that comes twice: first from Start to Turn, then from Turn to End; the ends are not part of it.
type Repeat struct{ Start, Turn, End time.Time }

// LastRepeat gives the last stretch that begins at or before t; none where clocks in zone have never gone back by then.
func LastRepeat(t time.Time, zone *time.Location) (Repeat, bool) {
	t = t.In(zone)
	turn, next := t.ZoneBounds()
	if r, ok := repeatAt(next); ok && !t.Before(r.Start) {
		return r, true
	}
	for !turn.IsZero() {
		if r, ok := repeatAt(turn); ok {
			return r, true
		}
		turn, _ = turn.Add(-1).ZoneBounds()
	}
	return Repeat{}, false
}

// repeatAt gives the stretch around a change of the clocks, where they go back.
func repeatAt(turn time.Time) (Repeat, bool) {
	if turn.IsZero() {
		return Repeat{}, false
	}
	back := offset(turn.Add(-1)) - offset(turn)
	return Repeat{turn.Add(-back), turn, turn.Add(back)}, back > 0
}

// LowestReading gives an instant, at t or before it, whose reading is not above any that comes at t or later: within the first pass of
// a stretch that comes twice, the reading just before it, less by unit. A source that compares readings is asked from there.
func LowestReading(t time.Time, zone *time.Location, unit time.Duration) time.Time {
	if r, ok := LastRepeat(t, zone); ok && t.Before(r.Turn) {
		return r.Start.Add(-unit)
	}
	return t
}

// Zoneless reports whether a layout in Go's notation writes times without their zone.
func Zoneless(layout string) bool {
	t := time.Date(2031, 11, 23, 17, 48, 59, 0, time.UTC)
	return t.Format(layout) == time.Date(2031, 11, 23, 17, 48, 59, 0, time.FixedZone("XYZ", -12345)).Format(layout)
}

// reading is what a clock shows at t, as if it were UTC.
func reading(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}

// offset is the distance to UTC, in t's zone.
func offset(t time.Time) time.Duration {
	_, seconds := t.Zone()
	return time.Duration(seconds) * time.Second
}
