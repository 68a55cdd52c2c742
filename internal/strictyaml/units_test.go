package strictyaml

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseSize(t *testing.T) {
	for in, want := range map[string]Size{
		"0": 0, "512": 512, "1B": 1, "10MiB": 10 << 20, "10 MiB": 10 << 20, "1GiB": 1 << 30, "2kB": 2000, "2KB": 2000, "3MB": 3e6, "1GB": 1e9,
	} {
		if got, err := ParseSize(in); got != want || err != nil {
			t.Errorf("%q: %d, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "MiB", "-1", "1.5MiB", "9999999999GiB", "1 mib", "1e3", "٣"} {
		if got, err := ParseSize(in); err == nil {
			t.Errorf("%q is taken for %d", in, got)
		}
	}
}

func TestSizeRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Size(rapid.Int64Range(0, 1<<50).Draw(t, "size")) << rapid.IntRange(0, 10).Draw(t, "shift")
		if got, err := ParseSize(s.String()); got != s || err != nil {
			t.Fatalf("%d: %s: %d, %v", s, s, got, err)
		}
	})
}

func TestParseRate(t *testing.T) {
	for in, want := range map[string]Rate{
		"50/s": {50, time.Second}, "0.5/s": {0.5, time.Second}, "100/m": {100, time.Minute}, "1000/h": {1000, time.Hour},
		"20/10s": {20, 10 * time.Second}, "5/1d": {5, 24 * time.Hour}, "5 / d": {5, 24 * time.Hour},
	} {
		got, err := ParseRate(in)
		if got != want || err != nil {
			t.Errorf("%q: %v, %v", in, got, err)
		}
		if again, err := ParseRate(got.String()); again != want || err != nil {
			t.Errorf("%q: %v, %v", got.String(), again, err)
		}
	}
	for _, in := range []string{"", "50", "/s", "0/s", "-1/s", "NaN/s", "Inf/s", "5/0s", "5/x", "5/"} {
		if got, err := ParseRate(in); err == nil {
			t.Errorf("%q is taken for %v", in, got)
		}
	}
	if (Rate{}).PerSecond() != 0 || (Rate{30, time.Minute}).PerSecond() != 0.5 {
		t.Error("PerSecond")
	}
}

func TestParseDuration(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"200ms": 200 * time.Millisecond, "10m": 10 * time.Minute, "7d": 7 * 24 * time.Hour, "1d12h": 36 * time.Hour, "0": 0, "1h30m": 90 * time.Minute,
	} {
		got, err := ParseDuration(in)
		if got != want || err != nil {
			t.Errorf("%q: %v, %v", in, got, err)
		}
		if again, err := ParseDuration(FormatDuration(got)); again != want || err != nil {
			t.Errorf("%q: %v, %v", FormatDuration(got), again, err)
		}
	}
	for _, in := range []string{"", "10", "-5s", "+5s", "1d-5h", "d", "1.5d", "99999d99999999h", "soon"} {
		if got, err := ParseDuration(in); err == nil {
			t.Errorf("%q is taken for %v", in, got)
		}
	}
}

func TestSuggest(t *testing.T) {
	known := []string{"delivery-id", "on-delete", "topic", "system", "canonical.order", "to", "from"}
	for word, want := range map[string]string{
		"delivery_id": "delivery-id", "deliveryId": "delivery-id", "OnDelete": "on-delete", "topci": "topic", "sytem": "system",
		"canonical.ordr": "canonical.order", "form": "from", "ot": "to", "zebra": "", "": "", "xy": "",
	} {
		if got := Suggest(word, known); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}
