package event

import "testing"

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
