package sql

import (
	"strconv"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/timetext"
)

// layouts of times as databases write them, with T and a blank alike; fractions are read by all of them.
var layouts = []string{"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05Z07", "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02"}

// parseStamp reads a time as a database writes it; without a zone it is in the given one. The layout writes it again in
// the same form, so that the texts compare.
func parseStamp(raw string, zone *time.Location) (t time.Time, layout string, ok bool) {
	text, blank := raw, len(raw) > 10 && raw[10] == ' '
	if blank {
		text = raw[:10] + "T" + raw[11:]
	}
	for _, l := range layouts {
		t, err := time.ParseInLocation(l, text, zone)
		if err == nil {
			return t, sameForm(l, text, blank), true
		}
	}
	return time.Time{}, "", false
}

// sameForm gives the layout with as many digits of the second, and the same kind of zone, as the text has.
func sameForm(layout, text string, blank bool) string {
	if dot := strings.IndexByte(text, '.'); dot > 0 {
		end := dot + 1
		for end < len(text) && text[end] >= '0' && text[end] <= '9' {
			end++
		}
		layout = strings.Replace(layout, "05", "05."+strings.Repeat("0", end-dot-1), 1)
	}
	if !strings.HasSuffix(text, "Z") {
		layout = strings.Replace(layout, "Z07", "-07", 1)
	}
	if blank {
		layout = strings.Replace(layout, "T", " ", 1)
	}
	return layout
}

// stamp writes a time with at least milliseconds, in UTC: such texts sort as their times do.
func stamp(t time.Time, layout string) string {
	fraction := ".000"
	if ns := t.Nanosecond(); ns%1e3 != 0 {
		fraction = ".000000000"
	} else if ns%1e6 != 0 {
		fraction = ".000000"
	}
	return t.Format(strings.Replace(layout, "05", "05"+fraction, 1))
}

// instants gives the first and the last instant of a local time, as connector.Instants does, and parseStamp's layout. A text that names
// its zone has one instant.
func instants(raw string, zone *time.Location) (first, second time.Time, layout string, ok bool) {
	t, layout, ok := parseStamp(raw, time.UTC)
	if !ok || !connector.Zoneless(layout) {
		return t, t, layout, ok
	}
	first, second = connector.Instants(t, zone)
	return first, second, layout, true
}

// repeat is the connector.Window's way to ask for the stretch of readings that comes twice.
func repeat(zone *time.Location) func(version string) (start string, end time.Time, ok bool) {
	return func(version string) (start string, end time.Time, ok bool) {
		t, _, layout, ok := instants(version, zone)
		if !ok || !connector.Zoneless(layout) {
			return "", end, false
		}
		r, ok := connector.LastRepeat(t, zone)
		return r.Start.Format(layout), r.End, ok
	}
}

// back gives the version, in its own form, that is older by a duration, or by the object's lookback. Where versions are local times,
// no later change has a reading below it.
func (o *object) back(zone *time.Location) func(version string, by time.Duration) string {
	return func(version string, by time.Duration) string {
		if by == 0 && o.Lookback == 0 {
			return version
		}
		unit := time.Duration(0)
		switch o.Columns[o.Version] {
		case "integer":
			n, err := strconv.ParseInt(version, 10, 64)
			if err != nil {
				return version
			}
			return strconv.FormatInt(n-int64(o.Lookback), 10)
		case "unix":
			unit = time.Second
		case "unix-ms":
			unit = time.Millisecond
		case "local-timestamp":
			t, _, layout, ok := instants(version, zone)
			if !ok {
				return dayBefore(version, by)
			}
			if t = t.Add(-by); connector.Zoneless(layout) {
				t = connector.LowestReading(t.In(zone), zone, 0)
			}
			return t.Format(layout)
		default:
			t, layout, ok := parseStamp(version, zone)
			if !ok {
				return dayBefore(version, by)
			}
			return t.Add(-by).Format(layout)
		}
		n, err := strconv.ParseInt(version, 10, 64)
		if err != nil {
			return version
		}
		return strconv.FormatInt(n-int64((by+unit-1)/unit), 10)
	}
}

// dayBefore gives a day that is older, by the duration and for certain, than a time in a form that parseStamp does not write again (24:00, small
// letters): texts that begin with a day compare with it as they do with each other.
func dayBefore(version string, by time.Duration) string {
	v, err := timetext.Parse(version)
	if err != nil || !v.Clock || timetext.CheckYear(v.Wall) != nil {
		return version
	}
	return v.Wall.Add(-by - 48*time.Hour).Format(time.DateOnly) // zones are less than a day apart from UTC
}
