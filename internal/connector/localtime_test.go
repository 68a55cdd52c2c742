package connector

import (
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/zones"
)

func zoned(t *testing.T, name string) *time.Location {
	t.Helper()
	zone, err := zones.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func TestInstants(t *testing.T) {
	for _, tc := range []struct{ zone, reading, first, second string }{
		{"Europe/Berlin", "2026-10-25 01:59:59", "2026-10-24T23:59:59Z", ""},
		{"Europe/Berlin", "2026-10-25 02:00:00", "2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z"},
		{"Europe/Berlin", "2026-10-25 02:05:00.5", "2026-10-25T00:05:00.5Z", "2026-10-25T01:05:00.5Z"},
		{"Europe/Berlin", "2026-10-25 02:59:59", "2026-10-25T00:59:59Z", "2026-10-25T01:59:59Z"},
		{"Europe/Berlin", "2026-10-25 03:00:00", "2026-10-25T02:00:00Z", ""},
		{"America/New_York", "2026-11-01 00:59:59", "2026-11-01T04:59:59Z", ""},
		{"America/New_York", "2026-11-01 01:30:00", "2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z"},
		{"America/New_York", "2026-11-01 02:00:00", "2026-11-01T07:00:00Z", ""},
		{"Australia/Lord_Howe", "2026-04-05 01:29:59", "2026-04-04T14:29:59Z", ""},
		{"Australia/Lord_Howe", "2026-04-05 01:30:00", "2026-04-04T14:30:00Z", "2026-04-04T15:00:00Z"},
		{"Australia/Lord_Howe", "2026-04-05 01:59:59", "2026-04-04T14:59:59Z", "2026-04-04T15:29:59Z"},
		{"Australia/Lord_Howe", "2026-04-05 02:00:00", "2026-04-04T15:30:00Z", ""},
		{"Asia/Shanghai", "2026-10-25 02:30:00", "2026-10-24T18:30:00Z", ""},
		{"UTC", "2026-10-25 02:30:00", "2026-10-25T02:30:00Z", ""},
		// Readings that do not exist are the moment of the change.
		{"Europe/Berlin", "2026-03-29 01:59:59", "2026-03-29T00:59:59Z", ""},
		{"Europe/Berlin", "2026-03-29 02:00:00", "2026-03-29T01:00:00Z", ""},
		{"Europe/Berlin", "2026-03-29 02:59:59", "2026-03-29T01:00:00Z", ""},
		{"Europe/Berlin", "2026-03-29 03:00:00", "2026-03-29T01:00:00Z", ""},
		{"America/New_York", "2026-03-08 02:30:00", "2026-03-08T07:00:00Z", ""},
		{"Australia/Lord_Howe", "2026-10-04 02:15:00", "2026-10-03T15:30:00Z", ""},
	} {
		wall, err := time.Parse(time.DateTime, tc.reading)
		if err != nil {
			t.Fatal(err)
		}
		first, second := Instants(wall, zoned(t, tc.zone))
		want := tc.second
		if want == "" {
			want = tc.first
		}
		if a, b := first.UTC().Format(time.RFC3339Nano), second.UTC().Format(time.RFC3339Nano); a != tc.first || b != want {
			t.Errorf("%s %s: %s and %s, want %s and %s", tc.zone, tc.reading, a, b, tc.first, want)
		}
	}
}

// Over a whole year in which clocks change both ways, every instant is one of its own reading's, and no two readings change their order.
func TestInstantsOfEveryReading(t *testing.T) {
	for _, name := range []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Shanghai"} {
		zone := zoned(t, name)
		var last time.Time
		for at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() == 2026; at = at.Add(5 * time.Minute) {
			if first, second := Instants(at.In(zone), zone); !first.Equal(at) && !second.Equal(at) {
				t.Errorf("%s: %s is none of %s and %s", name, at, first, second)
			}
			if first, second := Instants(at, zone); first.Before(last) || second.Before(first) { // at's digits as a reading
				t.Errorf("%s: %s is before the reading that precedes it", name, at)
			} else {
				last = first
			}
		}
	}
}

func TestLastRepeat(t *testing.T) {
	for _, tc := range []struct{ zone, at, start, turn, end string }{
		{"Europe/Berlin", "2026-10-24T23:59:59Z", "2025-10-26T00:00:00Z", "2025-10-26T01:00:00Z", "2025-10-26T02:00:00Z"},
		{"Europe/Berlin", "2026-10-25T00:00:00Z", "2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z"},
		{"Europe/Berlin", "2026-10-25T01:30:00Z", "2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z"},
		{"Europe/Berlin", "2027-05-01T00:00:00Z", "2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z"},
		{"Australia/Lord_Howe", "2026-04-04T14:30:00Z", "2026-04-04T14:30:00Z", "2026-04-04T15:00:00Z", "2026-04-04T15:30:00Z"},
		{"Asia/Shanghai", "2026-10-25T00:00:00Z", "1991-09-14T16:00:00Z", "1991-09-14T17:00:00Z", "1991-09-14T18:00:00Z"},
		{"UTC", "2026-10-25T00:00:00Z", "", "", ""},
	} {
		at, _ := time.Parse(time.RFC3339, tc.at)
		r, ok := LastRepeat(at, zoned(t, tc.zone))
		if !ok {
			if tc.start != "" {
				t.Errorf("%s %s: none", tc.zone, tc.at)
			}
			continue
		}
		f := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
		if f(r.Start) != tc.start || f(r.Turn) != tc.turn || f(r.End) != tc.end {
			t.Errorf("%s %s: %s %s %s", tc.zone, tc.at, f(r.Start), f(r.Turn), f(r.End))
		}
	}
}

func TestLowestReading(t *testing.T) {
	for at, want := range map[string]string{
		"2026-10-24T23:30:00Z": "2026-10-25 01:30:00", // before
		"2026-10-25T00:00:00Z": "2026-10-25 01:59:59", // first pass: 02:00:00 is still to come once more
		"2026-10-25T00:55:00Z": "2026-10-25 01:59:59",
		"2026-10-25T01:05:00Z": "2026-10-25 02:05:00", // second pass
		"2026-10-25T02:00:00Z": "2026-10-25 03:00:00",
		"2026-03-29T01:00:00Z": "2026-03-29 03:00:00", // spring
	} {
		u, _ := time.Parse(time.RFC3339, at)
		zone := zoned(t, "Europe/Berlin")
		if got := LowestReading(u, zone, time.Second).In(zone).Format(time.DateTime); got != want {
			t.Errorf("%s: %s, want %s", at, got, want)
		}
	}
}

func TestZoneless(t *testing.T) {
	for layout, want := range map[string]bool{
		time.DateTime: true, "2006-01-02T15:04:05.000": true, time.DateOnly: true, time.RFC3339: false, "2006-01-02 15:04:05-07": false,
		"2006-01-02 15:04:05 MST": false, "Z0700 2006-01-02": false,
	} {
		if Zoneless(layout) != want {
			t.Errorf("%s: %t", layout, !want)
		}
	}
}
