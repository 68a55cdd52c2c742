package schedule

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/waybill-hub/waybill/internal/zones"
)

func mustParse(t testing.TB, line, zone string) *Timetable {
	t.Helper()
	tt, err := Parse(line, zone)
	if err != nil {
		t.Fatal(err)
	}
	return tt
}

// TestClockChanges walks timetables through the nights in which clocks change.
func TestClockChanges(t *testing.T) {
	for _, c := range []struct {
		name, line, zone string
		from             string
		want             []string
	}{
		{"spring: a time in the gap is due once, after it", "30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z",
			[]string{"2026-03-28T02:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"}},
		{"spring: several times in the gap are one run", "*/15 2 * * *", "Europe/Berlin", "2026-03-28T01:50:00+01:00",
			[]string{"2026-03-28T02:00:00+01:00", "2026-03-28T02:15:00+01:00", "2026-03-28T02:30:00+01:00", "2026-03-28T02:45:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-30T02:00:00+02:00"}},
		{"spring: the run after the gap and the one due then are one", "0 2,3 * * *", "Europe/Berlin", "2026-03-29T00:00:00+01:00",
			[]string{"2026-03-29T03:00:00+02:00", "2026-03-30T02:00:00+02:00"}},
		{"autumn: a time that comes twice is due the first time", "30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z",
			[]string{"2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"}},
		{"autumn: from between the two", "30 2 * * *", "Europe/Berlin", "2026-10-25T02:10:00+01:00",
			[]string{"2026-10-26T02:30:00+01:00"}},
		{"every hour goes on through the gap", "30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00+01:00",
			[]string{"2026-03-29T00:30:00+01:00", "2026-03-29T01:30:00+01:00", "2026-03-29T03:30:00+02:00"}},
		{"every hour goes on through the doubled hour", "30 * * * *", "Europe/Berlin", "2026-10-25T01:00:00+02:00",
			[]string{"2026-10-25T01:30:00+02:00", "2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00", "2026-10-25T03:30:00+01:00"}},
		{"the first instant of a stretch counts", "0 * * * *", "America/New_York", "2026-11-01T01:00:00-04:00",
			[]string{"2026-11-01T01:00:00-05:00", "2026-11-01T02:00:00-05:00"}},
		{"a day that begins at one", "0 0 * * *", "America/Sao_Paulo", "2018-11-03T12:00:00Z",
			[]string{"2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00"}},
		{"every hour of the day that begins at one", "0 * 4 11 *", "America/Sao_Paulo", "2018-11-03T12:00:00Z",
			[]string{"2018-11-04T01:00:00-02:00", "2018-11-04T02:00:00-02:00"}},
		{"half an hour's change", "15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z",
			[]string{"2026-10-04T02:30:00+11:00", "2026-10-05T02:15:00+11:00"}},
		{"a zone without changes", "0 2 * * *", "Asia/Shanghai", "2026-01-01T00:00:00Z",
			[]string{"2026-01-02T02:00:00+08:00", "2026-01-03T02:00:00+08:00"}},
		{"no zone is UTC", "0 2 * * 1", "", "2026-01-01T00:00:00Z", []string{"2026-01-05T02:00:00Z", "2026-01-12T02:00:00Z"}},
		{"a day of leap years over 2100", "0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", []string{"2104-02-29T00:00:00Z"}},
		{"descriptor", "@daily", "Asia/Shanghai", "2026-01-01T00:00:00Z", []string{"2026-01-02T00:00:00+08:00"}},
		{"every", "@every 90m", "UTC", "2026-01-01T00:00:00Z", []string{"2026-01-01T01:30:00Z", "2026-01-01T03:00:00Z"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tt := mustParse(t, c.line, c.zone)
			at, err := time.Parse(time.RFC3339, c.from)
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range c.want {
				at = tt.Next(at)
				w, err := time.Parse(time.RFC3339, want)
				if err != nil {
					t.Fatal(err)
				}
				if !at.Equal(w) {
					t.Fatalf("run %d: %v, want %v", i+1, at, want)
				}
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ line, zone, want string }{
		{"CRON_TZ=UTC", "", "write it as timezone"},
		{"TZ=UTC", "", "write it as timezone"},
		{"CRON_TZ=UTC 0 2 * * *", "", "write it as timezone"},
		{"CRON_TZ= 0 2 * * *", "", "write it as timezone"},
		{"  TZ=", "", "write it as timezone"},
		{"0 2 * * *", "Mars/Olympus", "not known"},
		{"0 2 * * *", "Local", "not known"},
		{"", "", "write minute hour"},
		{"0 2 * *", "", "write minute hour"},
		{"0 0 2 * * *", "", "write minute hour"},
		{"60 2 * * *", "", "write minute hour"},
		{"0 2 * * 8", "", "write minute hour"},
		{"*/0 * * * *", "", "write minute hour"},
		{"@sometimes", "", "write minute hour"},
		{"@every nonsense", "", "write minute hour"},
		{"0 0 30 2 *", "", "never comes due"},
	} {
		if tt, err := Parse(c.line, c.zone); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q in %q: %v, %v; want an error with %q", c.line, c.zone, tt, err, c.want)
		}
	}
}

func TestEvery(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 5, time.UTC)
	if next := Every(10 * time.Minute).Next(at); !next.Equal(at.Add(10 * time.Minute)) {
		t.Errorf("next: %v", next)
	}
	if next := Every(0).Next(at); !next.Equal(at.Add(time.Second)) {
		t.Errorf("next of none: %v", next)
	}
	if s := mustParse(t, "0 2 * * *", "Asia/Shanghai").String(); s != "0 2 * * * Asia/Shanghai" {
		t.Errorf("text %q", s)
	}
}

// TestEveryDayOnce: a daily time is due exactly once on every calendar day, whatever the zone does.
func TestEveryDayOnce(t *testing.T) {
	names := []string{"Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Tehran", "Pacific/Apia", "UTC"}
	rapid.Check(t, func(t *rapid.T) {
		zone := rapid.SampledFrom(names).Draw(t, "zone")
		loc, err := zones.Load(zone)
		if err != nil {
			t.Fatal(err)
		}
		minute, hour := rapid.IntRange(0, 59).Draw(t, "minute"), rapid.IntRange(0, 23).Draw(t, "hour")
		tt, err := Parse(fmt.Sprintf("%d %d * * *", minute, hour), zone)
		if err != nil {
			t.Fatal(err)
		}
		year := rapid.IntRange(2013, 2027).Draw(t, "year")
		at := time.Date(year-1, 12, 31, 23, 59, 59, 0, loc)
		day := at
		for range 370 {
			next := tt.Next(at)
			if !next.After(at) {
				t.Fatalf("not later than %v: %v", at, next)
			}
			day = time.Date(day.Year(), day.Month(), day.Day()+1, 12, 0, 0, 0, loc)
			y, m, d := next.In(loc).Date()
			if wy, wm, wd := day.Date(); y != wy || m != wm || d != wd {
				t.Fatalf("%s %02d:%02d: after %v comes %v, not on %v", zone, hour, minute, at, next.In(loc), day)
			}
			at = next
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"0 2 * * *", "CRON_TZ=UTC", "TZ=\t* * * * *", "@every 1h", "@every -1h", "*/7 1-5,8 L * ?", "0 0 29 2 *", "1-59/61 * * * *"} {
		f.Add(s, "Europe/Berlin")
	}
	f.Fuzz(func(t *testing.T, line, zone string) {
		tt, err := Parse(line, zone)
		if err != nil {
			return
		}
		at := time.Date(2026, 3, 28, 0, 0, 0, 0, time.UTC)
		for range 5 {
			next := tt.Next(at)
			if next.IsZero() {
				return
			}
			if !next.After(at) {
				t.Fatalf("%q: %v does not come after %v", line, next, at)
			}
			at = next
		}
	})
}
