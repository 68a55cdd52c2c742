package rest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
)

// TestRewind: the service is asked again for what changed at the place or later.
func TestRewind(t *testing.T) {
	s := newShop(t, "page")
	for n := range 6 {
		s.outside(n, 1, noon.Add(time.Duration(n)*time.Hour))
	}
	sys := open(t, s, list("page", ""))
	if _, err := sys.RewindTo("item", "", "2026-03-01T14:00:00Z"); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a rewind before the first read: %v", err)
	}
	all, cursor := pollAll(t, sys, "")
	if len(all) != 6 {
		t.Fatalf("read %v", all)
	}
	for place, n := range map[string]int{"2026-03-01T14:00:00Z": 4, "2026-03-01T23:00:00+08:00": 3, "2025-01-01T00:00:00Z": 6} {
		again, err := sys.RewindTo("item", cursor, place)
		if err != nil {
			t.Fatal(err)
		}
		ids, after := pollAll(t, sys, again)
		slices.Sort(ids)
		if want := all[6-n:]; !slices.Equal(ids, want) {
			t.Errorf("to %s: read %v, want %v", place, ids, want)
		}
		if ids, _ := pollAll(t, sys, after); len(ids) != 0 {
			t.Errorf("to %s: read once more %v", place, ids)
		}
	}
	for place, refused := range map[string]string{
		"2026-03-01T14:00:00": "no time with a zone", "2026-03-02T14:00:00Z": "would leave out", "the third": "neither a time nor a version",
	} {
		if _, err := sys.RewindTo("item", cursor, place); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), refused) {
			t.Errorf("to %s: %v, want %q", place, err, refused)
		}
	}
}

// TestRewindForms: a place is a time, or what the service itself writes.
func TestRewindForms(t *testing.T) {
	for _, test := range []struct {
		object, newest, to, want, refused string
	}{
		{"version: at, version-format: unix", "1793502000", "2026-11-01T01:00:00Z", "1793494800", ""},
		{"version: at, version-format: unix", "1793502000", "1793494800", "1793494800", ""},
		{"version: at, version-format: unix-ms", "1793502000000", "2026-11-01T01:00:00Z", "1793494800000", ""},
		{"version: n", "500", "77", "77", ""},
		{"version: n", "500", "2026-11-01T01:00:00Z", "", "give a number (500 was read last)"},
		{"version: at, version-format: 2006-01-02 15:04:05, zone: Asia/Shanghai", "2026-11-01T03:00:00Z", "2026-11-01 09:00:00", "2026-11-01T01:00:00Z", ""},
		{"version: at, version-format: 2006-01-02 15:04:05, zone: Asia/Shanghai", "2026-11-01T03:00:00Z", "2026-11-01T09:00:00", "", "no time with a zone"},
		{"list: {changed-since: {parameter: since}}", "2026-11-01T03:00:00Z", "2026-11-01T01:00:00Z", "2026-11-01T01:00:00Z", ""},
		{"list: {path: all}", "", "2026-11-01T01:00:00Z", "", "no place to go back to but start"},
	} {
		opened, err := Kind{}.Open(t.Context(), settingsOf(t, "connector: rest\nurl: http://127.0.0.1:1\nobjects: {item: {"+test.object+"}}"))
		if err != nil {
			t.Fatal(err)
		}
		defer opened.Close()
		w, err := connector.ReadWindow("", 0, func(v string, _ time.Duration) string { return v })
		if err != nil {
			t.Fatal(err)
		}
		w.Begin(noon)
		w.Reach(test.newest)
		w.End(noon)
		got, err := opened.(connector.Rewinder).RewindTo("item", w.String(), test.to)
		if test.refused != "" {
			if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), test.refused) {
				t.Errorf("%s to %s: %v, want %q", test.object, test.to, err, test.refused)
			}
			continue
		}
		if err != nil || !strings.Contains(got, `"since":"`+test.want+`"`) {
			t.Errorf("%s to %s: %s %v, want %s", test.object, test.to, got, err, test.want)
		}
	}
}
