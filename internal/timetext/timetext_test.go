package timetext

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// shown writes a value so that a table can hold it: the date alone, the reading, or the reading with its zone.
func shown(v Value) string {
	year := fmt.Sprintf("%04d", v.Wall.Year())
	out := year + v.Wall.Format("-01-02")
	if v.Clock {
		out += v.Wall.Format("T15:04:05.999999999")
	}
	if v.Zone != nil {
		out += v.Wall.In(v.Zone).Format("Z07:00")
	}
	return out
}

// forms of dates and times, with what they say; one that begins with "!" is why they are refused.
var forms = []struct{ text, want string }{
	// RFC 3339, in any case.
	{"2026-11-28T10:00:00Z", "2026-11-28T10:00:00Z"},
	{"2026-11-28t10:00:00z", "2026-11-28T10:00:00Z"},
	{"2026-11-28 10:00:00+01:00", "2026-11-28T10:00:00+01:00"},
	{"2026-11-28T10:00:00.120-03:30", "2026-11-28T10:00:00.12-03:30"},
	{"2026-11-28T10:00:00-00:00", "2026-11-28T10:00:00Z"},
	{"0001-01-01T00:00:00+08:00", "0001-01-01T00:00:00+08:00"},
	{"9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999999Z"},
	// ISO 8601.
	{"20261128T100000Z", "2026-11-28T10:00:00Z"},
	{"20261128T1000Z", "2026-11-28T10:00:00Z"},
	{"20261128T10:00:00+0100", "2026-11-28T10:00:00+01:00"},
	{"2026-11-28T10:00Z", "2026-11-28T10:00:00Z"},
	{"2026-11-28T10Z", "2026-11-28T10:00:00Z"},
	{"2026-11-28T10:00:00+01", "2026-11-28T10:00:00+01:00"},
	{"2026-11-28T10:00:00+0100", "2026-11-28T10:00:00+01:00"},
	{"2026-11-28T10:00:00 +0100", "2026-11-28T10:00:00+01:00"},
	{"2026-11-28 10:00:00 UTC", "2026-11-28T10:00:00Z"},
	{"2026-11-28T10:00:00,5Z", "2026-11-28T10:00:00.5Z"},
	{"2026-11-28T10:00:00.123456789000Z", "2026-11-28T10:00:00.123456789Z"},
	{"2026-11-28T24:00:00Z", "2026-11-29T00:00:00Z"},
	{"2026-12-31T24:00+01:00", "2027-01-01T00:00:00+01:00"},
	{"2026-11-28T24:00:00.000", "2026-11-29T00:00:00"},
	{"2026-11-28T10:00:00", "2026-11-28T10:00:00"},
	{"2026-11-28 9:05", "2026-11-28T09:05:00"},
	{"2026-11-28", "2026-11-28"},
	{"20261128", "2026-11-28"},
	{"99991231", "9999-12-31"},
	{"2024-02-29", "2024-02-29"},
	{"2026-W48-6", "2026-11-28"},
	{"2026W486T10:00Z", "2026-11-28T10:00:00Z"},
	{"2026-W53-7", "2027-01-03"},
	{"2026-332", "2026-11-28"},
	{"2024-366", "2024-12-31"},
	// XML's dates, RFC 9557, OData.
	{"2026-11-28+01:00", "2026-11-28+01:00"},
	{"2026-11-28-05:00", "2026-11-28-05:00"},
	{"2026-11-28Z", "2026-11-28Z"},
	{"2026-11-28T10:00:00+01:00[Europe/Paris]", "2026-11-28T10:00:00+01:00"},
	{"/Date(1790812800000)/", "2026-10-01T00:00:00Z"},
	{"/Date(1790812800000+0120)/", "2026-10-01T00:00:00Z"},
	{"/Date(1790812800123-60)/", "2026-10-01T00:00:00.123Z"},
	{"/Date(-62135596800000)/", "0001-01-01T00:00:00Z"},
	{"/Date(253402300799999)/", "9999-12-31T23:59:59.999Z"},
	// PostgreSQL.
	{"10000-01-01", "10000-01-01"},
	{"294276-12-31 23:59:59.999999+00", "294276-12-31T23:59:59.999999Z"},
	{"0044-03-15 BC", "-043-03-15"},
	{"0001-02-29 00:00:00+00 BC", "0000-02-29T00:00:00Z"},
	{"4713-11-24 BC", "-4712-11-24"},
	{"+12026-11-28T10:00:00Z", "12026-11-28T10:00:00Z"},
	// Days and times of day that do not exist are told as that.
	{"2026-02-30", "!names a day that does not exist"},
	{"2026-02-29T10:00:00Z", "!names a day that does not exist"},
	{"2026-02-00", "!names a day that does not exist"},
	{"2026-04-31", "!names a day that does not exist"},
	{"2026-13-01", "!names a day that does not exist"},
	{"20260230T100000Z", "!names a day that does not exist"},
	{"2026-02-30+01:00", "!names a day that does not exist"},
	{"2025-W53-1", "!names a day that does not exist"},
	{"2026-W00-1", "!names a day that does not exist"},
	{"2026-366", "!names a day that does not exist"},
	{"2026-000", "!names a day that does not exist"},
	{"00000000", "!systems write zeros for none"},
	{"0000-00-00", "!systems write zeros for none"},
	{"0000-00-00 00:00:00", "!systems write zeros for none"},
	{"0000-01-01 BC", "!names a year that does not exist"},
	{"2026-11-28T24:00:01Z", "!names a time of day that does not exist"},
	{"2026-11-28T25:00Z", "!names a time of day that does not exist"},
	{"2026-11-28T10:60Z", "!names a time of day that does not exist"},
	{"2016-12-31T23:59:60Z", "!names a leap second"},
	{"2026-11-28T10:00:00.1234567891Z", "!is finer than a nanosecond"},
	{"2026-11-28T10:00:00+24:00", "!a day or more from UTC"},
	{"infinity", "!is infinity"},
	{"-infinity", "!is infinity"},
	{"2026-11", "!names a month and no day"},
	{"2026-W48", "!names a week and no day"},
	{"/Date(99999999999999999999)/", "!is out of range"},
	// No form at all.
	{"", "!is no date or time"}, {"soon", "!is no date or time"}, {"1790812800", "!is no date or time"}, {"20261128100000", "!is no date or time"},
	{"28.11.2026", "!is no date or time"}, {"11/28/2026", "!is no date or time"}, {"26-11-28", "!is no date or time"}, {"2026-11-28T", "!is no date or time"},
	{"2026-11-28T10:00:00Z!", "!is no date or time"}, {"2026-11-28T10:0Z", "!is no date or time"}, {"2026-11-28T10:00:00.Z", "!is no date or time"},
	{"2026-11-28T10:00:00+1", "!is no date or time"}, {"2026-11-28-05", "!is no date or time"}, {"2026-11-28 ", "!is no date or time"},
	{"2026-11-28T10:00:00 ", "!is no date or time"}, {"/Date(12", "!is no date or time"}, {"/Date()/", "!is no date or time"}, {"/Date(1+)/", "!is no date or time"},
	{"2026-11-28T10:00:00Z[!u-ca=hebrew]", "!is no date or time"}, {"2026-11-28T10:00[Europe/Paris]", "!is no date or time"}, {"2026-1-2", "!is no date or time"},
	{"2026-332-1", "!is no date or time"}, {"2026332", "!is no date or time"}, {" 2026-11-28", "!is no date or time"}, {"2026-11-28T10:00:00 EST", "!is no date or time"},
}

func TestForms(t *testing.T) {
	for _, f := range forms {
		v, err := Parse(f.text)
		if why, refused := strings.CutPrefix(f.want, "!"); refused {
			if err == nil || !strings.Contains(err.Error(), why) {
				t.Errorf("%q: %s %v, want %s", f.text, shown(v), err, why)
			}
			if form := why == ErrForm.Error(); err != nil && errors.Is(err, ErrForm) != form {
				t.Errorf("%q: ErrForm is %t", f.text, !form)
			}
			continue
		}
		if err != nil || shown(v) != f.want {
			t.Errorf("%q: %s %v, want %s", f.text, shown(v), err, f.want)
		}
	}
}

func TestLayouts(t *testing.T) {
	berlin := time.FixedZone("", 3600)
	for _, tc := range []struct{ layout, text, want string }{
		{"20060102", "99991231", "9999-12-31T00:00:00+01:00"},
		{"20060102", "00000000", "!systems write zeros for none"},
		{"2006-01-02", "0000-00-00", "!systems write zeros for none"},
		{"02.01.2006", "30.02.2026", "!names a day that does not exist"},
		{"02.01.2006", "31.04.2026", "!names a day that does not exist"},
		{"02.01.2006", "00.02.2026", "!names a day that does not exist"},
		{"02.01.2006", "01.13.2026", "!names a day that does not exist"},
		{"02.01.2006", "2026-01-01", "!is no date or time"},
		{"20060102150405", "20261128240000", "2026-11-29T00:00:00+01:00"},
		{"15:04 on 02.01.2006", "24:00 on 31.12.2026", "2027-01-01T00:00:00+01:00"},
		{"2006-01-02 15:04", "2026-11-28 24:01", "!names a time of day that does not exist"},
		{"2006-01-02 15:04", "2026-11-28 25:00", "!names a time of day that does not exist"},
		{"2006-01-02 15:04", "2026-11-28 10:60", "!names a time of day that does not exist"},
		{"2006-01-02", "infinity", "!is infinity"},
	} {
		got, err := ParseLayout(tc.layout, tc.text, berlin)
		if why, refused := strings.CutPrefix(tc.want, "!"); refused {
			if err == nil || !strings.Contains(err.Error(), why) {
				t.Errorf("%s %q: %s %v, want %s", tc.layout, tc.text, got, err, why)
			}
		} else if err != nil || got.Format(time.RFC3339Nano) != tc.want {
			t.Errorf("%s %q: %s %v, want %s", tc.layout, tc.text, got, err, tc.want)
		}
	}
}

func TestYears(t *testing.T) {
	for text, want := range map[string]string{
		"9999-12-31T23:59:59Z": "", "0001-01-01T00:00:00+08:00": "", "0000-01-01": "",
		"9999-12-31T23:59:59-05:00": "after the year 9999 (10000)", "10000-01-01": "after the year 9999 (10000)",
		"0044-03-15 BC": "before the year 0 (44 BC)",
	} {
		v, err := Parse(text)
		if err == nil {
			err = CheckYear(v.In(time.UTC))
		}
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// Whatever point in time is written in whatever form: what is read is the same.
func TestEveryFormOfEveryTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		year := rapid.IntRange(0, 9999).Draw(t, "year")
		offset := rapid.IntRange(-14*60, 14*60).Draw(t, "minutes") * 60
		at := time.Date(year, 1, 1, 0, 0, rapid.IntRange(0, 365*86400-1).Draw(t, "second"), rapid.IntRange(0, 999999999).Draw(t, "nano"), time.FixedZone("", offset))
		for _, layout := range []string{
			"2006-01-02T15:04:05.999999999Z07:00", "2006-01-02t15:04:05,000000000z07:00", "20060102T150405.000000000Z0700", "2006-01-02 15:04:05.999999999 -0700", "2006-002T15:04:05.000000000-07:00",
		} {
			text := strings.ReplaceAll(at.Format(strings.ReplaceAll(layout, "z07", "Z07")), " Z", "Z")
			v, err := Parse(text)
			if err != nil || !v.In(nil).Equal(at) || !v.Clock {
				t.Fatalf("%s: %v %v, want %v", text, v, err, at)
			}
		}
		y, w := at.ISOWeek()
		if v, err := Parse(fmt.Sprintf("%04d-W%02d-%d", y, w, (int(at.Weekday())+6)%7+1)); y >= 0 && (err != nil || v.Wall.Format(time.DateOnly) != at.Format(time.DateOnly)) {
			t.Fatalf("week %d of %d: %v %v, want %v", w, y, v, err, at)
		}
		ms := at.Truncate(time.Millisecond)
		if v, err := Parse(fmt.Sprintf("/Date(%d+0120)/", at.UnixMilli())); err != nil || !v.In(nil).Truncate(time.Millisecond).Equal(ms) {
			t.Fatalf("%d: %v %v", at.UnixMilli(), v, err)
		}
	})
}

// FuzzParse: nothing panics; what is read is a day that exists, and reads the same when it is written again.
func FuzzParse(f *testing.F) {
	for _, form := range forms {
		f.Add(form.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := Parse(text)
		if err != nil {
			if _, std := time.Parse(time.RFC3339, text); std == nil && errors.Is(err, ErrForm) {
				t.Errorf("%q is RFC 3339: %v", text, err)
			}
			return
		}
		if v.Wall.Location() != time.UTC || !v.Clock && v.Wall.Truncate(24*time.Hour) != v.Wall {
			t.Errorf("%q: %v", text, v)
		}
		if CheckYear(v.Wall) != nil {
			return
		}
		again, err := Parse(shown(v))
		if err != nil || !again.Wall.Equal(v.Wall) || again.Clock != v.Clock || (again.Zone == nil) != (v.Zone == nil) {
			t.Errorf("%q is %s, which is %s %v", text, shown(v), shown(again), err)
		}
		if std, err := time.Parse(time.RFC3339Nano, text); err == nil && !std.Equal(v.In(nil)) {
			t.Errorf("%q: %v, the library says %v", text, v.In(nil), std)
		}
	})
}
