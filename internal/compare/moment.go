package compare

import (
	"regexp"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/timetext"
)

// moment is what a text says of a time, cut to a unit. A reading without a zone that comes twice, because clocks went back, is either of two.
type moment struct{ first, second time.Time }

// meets reports whether both may be one time.
func (m moment) meets(o moment) bool {
	return m.first.Equal(o.first) || m.first.Equal(o.second) || m.second.Equal(o.first) || m.second.Equal(o.second)
}

func (r *Rule) moment(v jsondoc.Value) (moment, bool) {
	if v.Kind() != jsondoc.String {
		return moment{}, false
	}
	return momentOf(v.Str(), r.Unit, zoneOr(r.Zone))
}

func zoneOr(zone *time.Location) *time.Location {
	if zone == nil {
		return time.UTC
	}
	return zone
}

// finer are the digits of a second beyond the ninth.
var finer = regexp.MustCompile(`([.,][0-9]{9})[0-9]+`)

// momentOf reads a time; what names no zone is in zone. A reading that clocks jump over is no time, but for the midnight of a date.
func momentOf(text string, unit Unit, zone *time.Location) (moment, bool) {
	said, err := timetext.Parse(text)
	if err != nil { // what is finer than a nanosecond is cut off in any case
		said, err = timetext.Parse(finer.ReplaceAllString(text, "$1"))
	}
	if err != nil {
		return moment{}, false
	}
	if said.Zone != nil {
		t := cut(said.In(zone).In(zone), unit)
		return moment{t, t}, true
	}
	first, second := connector.Instants(said.Wall, zone)
	if said.Clock && !clock(first.In(zone)).Equal(clock(said.Wall)) {
		return moment{}, false
	}
	return moment{cut(first.In(zone), unit), cut(second.In(zone), unit)}, true
}

// clock is what a clock shows, as if it were in UTC.
func clock(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}

// cut takes away what is smaller than the unit, by the clock of t's zone. A day, month or year is its first day's date, as if in UTC.
func cut(t time.Time, unit Unit) time.Time {
	year, month, day := t.Date()
	switch unit {
	case Year:
		return time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
	case Month:
		return time.Date(year, month, 1, 0, 0, 0, 0, time.UTC)
	case Day:
		return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	}
	below := time.Duration(t.Nanosecond())
	switch unit {
	case Millisecond:
		below %= time.Millisecond
	case Minute:
		below += time.Duration(t.Second()) * time.Second
	case Hour:
		below += time.Duration(t.Minute())*time.Minute + time.Duration(t.Second())*time.Second
	}
	return t.Add(-below)
}
