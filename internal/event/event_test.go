package event

import (
	"testing"
	"time"
)

func TestCompareVersions(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"1", "1", 0}, {"9", "10", -1}, {"010", "9", 1}, {"007", "7", 0}, {"123456789012345678901234567890", "9", 1},
		{"", "0", -1}, {"x", "", 1}, {"a", "b", -1},
		{"2026-03-01T10:00:00Z", "2026-03-01T11:00:00+02:00", 1}, {"2026-03-01T10:00:00Z", "2026-03-01T10:00:00.000Z", 0},
		{PlaceVersion(1, 9), PlaceVersion(1, 10), -1}, {PlaceVersion(1, 10), PlaceVersion(1, 10), 0}, {PlaceVersion(1, 11), PlaceVersion(1, 10), 1},
		// In another partition it is newer, whichever of the two has just come.
		{PlaceVersion(5, 0), PlaceVersion(1, 50_000), 1}, {PlaceVersion(1, 50_000), PlaceVersion(5, 0), 1},
		// What was stored before places told their partitions is older.
		{PlaceVersion(0, 1), "50000", 1}, {"50000", PlaceVersion(0, 1), -1},
		{"~1", "~2", -1}, {"~1.x", "~1.5", 1},
	} {
		if got := CompareVersions(tt.a, tt.b); got != tt.want {
			t.Errorf("%q and %q: %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestAhead(t *testing.T) {
	at := time.Date(2026, 11, 29, 10, 0, 0, 0, time.FixedZone("", 3600))
	for version, want := range map[string]bool{
		"": false, "7": false, "20620101": false, "~1.7": false, "2026-11-29T09:00:00Z": false, "2026-11-30T08:59:59+00:00": false,
		"2026-11-30T10:00:01+01:00": true, "2062-01-01T00:00:00Z": true,
	} {
		if e := (&Event{Version: version, Accepted: at}); e.Ahead() != want {
			t.Errorf("%q: %t", version, !want)
		}
	}
	if (&Event{Version: "2062-01-01T00:00:00Z"}).Ahead() {
		t.Error("of an event that nobody has accepted nothing can be said")
	}
}
