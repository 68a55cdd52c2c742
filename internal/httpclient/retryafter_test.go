package httpclient

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/fault"
)

// TestRetryAfter holds the forms that are met against what they mean, at 2026-03-01T12:00:00Z.
func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		status  int
		headers string // lines
		want    time.Duration
		kind    fault.Kind
	}{
		{status: 429, headers: "", want: 0},
		{status: 429, headers: "Retry-After: 120", want: 2 * time.Minute},
		{status: 429, headers: "retry-after:  120 ", want: 2 * time.Minute},
		{status: 429, headers: "Retry-After: 2.0", want: 2 * time.Second}, // Shopify
		{status: 429, headers: "Retry-After: 1.5", want: 1500 * time.Millisecond},
		{status: 429, headers: "Retry-After: 0", want: 0},
		{status: 429, headers: "Retry-After: -5", want: 0},
		{status: 429, headers: "Retry-After: junk", want: 0},
		{status: 429, headers: "Retry-After: NaN", want: 0},
		{status: 429, headers: "Retry-After: 0x10", want: 0},
		{status: 429, headers: "Retry-After: 1.2.3", want: 0},
		{status: 429, headers: "Retry-After: inf", want: 0},
		{status: 429, headers: "Retry-After: 1,5", want: 0},
		{status: 429, headers: "Retry-After: 30s", want: 30 * time.Second},
		{status: 429, headers: "Retry-After: \"30\"", want: 30 * time.Second},
		{status: 429, headers: "Retry-After: 10\nRetry-After: 20", want: 20 * time.Second},
		{status: 429, headers: "Retry-After: 99999999", want: 24 * time.Hour},
		{status: 429, headers: "Retry-After: 99999999999999999999", want: 24 * time.Hour},
		{status: 429, headers: "Retry-After: 9999999999999999999999", want: 0},
		{status: 429, headers: "Retry-After: 1772366445", want: 45 * time.Second},            // an epoch
		{status: 429, headers: "Retry-After: 1772366445500", want: 45500 * time.Millisecond}, // in milliseconds
		// The three forms of HTTP, and others.
		{status: 503, headers: "Retry-After: Sun, 01 Mar 2026 12:00:30 GMT", want: 30 * time.Second},
		{status: 503, headers: "Retry-After: Sunday, 01-Mar-26 12:00:30 GMT", want: 30 * time.Second},
		{status: 503, headers: "Retry-After: Sun Mar  1 12:00:30 2026", want: 30 * time.Second},
		{status: 503, headers: "Retry-After: Sun, 01 Mar 2026 12:00:30 UTC", want: 30 * time.Second},
		{status: 503, headers: "Retry-After: Sun, 01 Mar 2026 14:00:30 +0200", want: 30 * time.Second},
		{status: 503, headers: "Retry-After: 2026-03-01T12:00:30Z", want: 30 * time.Second},
		{status: 503, headers: "Retry-After: 2026-03-01T13:00:30.5+01:00", want: 30500 * time.Millisecond},
		{status: 503, headers: "Retry-After: Sun, 01 Mar 2026 11:00:00 GMT", want: 0},
		{status: 503, headers: "Retry-After: Sun, 01 Mar 2027 11:00:00 GMT", want: 24 * time.Hour},
		{status: 503, headers: "Retry-After: Sun, 01 Mar 2026 12:00:30 CET", want: 0}, // of no zone that is known for sure
		{status: 503, headers: "Date: Sun, 01 Mar 2026 12:10:00 GMT\nRetry-After: Sun, 01 Mar 2026 12:10:30 GMT", want: 30 * time.Second},
		// Milliseconds, and ends of limits.
		{status: 429, headers: "retry-after-ms: 2500\nRetry-After: 3", want: 2500 * time.Millisecond},
		{status: 429, headers: "x-ms-retry-after-ms: 700", want: 700 * time.Millisecond},
		{status: 429, headers: "retry-after-ms: junk\nRetry-After: 3", want: 3 * time.Second},
		{status: 429, headers: "X-RateLimit-Reset: 1772366460", want: time.Minute}, // GitHub
		{status: 429, headers: "X-RateLimit-Reset: 60", want: time.Minute},
		{status: 429, headers: "X-RateLimit-Reset: 2026-03-01T12:01Z", want: time.Minute}, // Atlassian
		{status: 429, headers: "X-Rate-Limit-Reset: 1772366460", want: time.Minute},       // Okta
		{status: 429, headers: "X-RateLimit-Reset-After: 0.75", want: 750 * time.Millisecond},
		{status: 429, headers: "X-Rate-Limit-Time-Reset-Ms: 15000", want: 15 * time.Second},
		{status: 429, headers: "RateLimit-Reset: 12\nX-RateLimit-Reset: 1772366460", want: 12 * time.Second},
		{status: 429, headers: "RateLimit: \"default\";r=0;t=9", want: 9 * time.Second},
		{status: 429, headers: "RateLimit: limit=10, remaining=0, reset=8", want: 8 * time.Second},
		{status: 429, headers: "Retry-After: 5\nX-RateLimit-Reset: 1772366460", want: 5 * time.Second},
		{status: 429, headers: "X-RateLimit-Reset: 1772366000", want: 0}, // over
		// A limit that is not reached says nothing of another failure.
		{status: 503, headers: "X-RateLimit-Remaining: 90\nX-RateLimit-Reset: 1772366460", want: 0, kind: fault.Unavailable},
		{status: 403, headers: "X-RateLimit-Remaining: 90\nX-RateLimit-Reset: 1772366460", want: 0, kind: fault.Invalid},
		{status: 403, headers: "", want: 0, kind: fault.Invalid},
		{status: 403, headers: "X-RateLimit-Remaining: 0\nX-RateLimit-Reset: 1772366460", want: time.Minute, kind: fault.RateLimited},
		{status: 403, headers: "Retry-After: 60", want: time.Minute, kind: fault.RateLimited}, // GitHub's secondary limit
	} {
		t.Run(strings.ReplaceAll(c.headers, "\n", " | "), func(t *testing.T) {
			client, _ := serve(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
				w.Header()["Date"] = nil
				for line := range strings.Lines(c.headers) {
					name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
					w.Header().Add(name, value)
				}
				w.WriteHeader(c.status)
			})
			client.now = func() time.Time { return now }
			_, err := client.Do(t.Context(), Request{Method: "POST", Path: "x"})
			f, ok := fault.As(err)
			if !ok || f.RetryAfter.Round(time.Millisecond) != c.want {
				t.Errorf("%v after %v, want %v", err, f.RetryAfter, c.want)
			}
			want := c.kind
			if want == fault.None {
				want = map[int]fault.Kind{429: fault.RateLimited, 503: fault.Unavailable}[c.status]
			}
			if f.Kind != want {
				t.Errorf("kind %v, want %v", f.Kind, want)
			}
		})
	}
}

// FuzzRetryAfter: nothing that a system sends makes a wait of less than nothing or of more than a day.
func FuzzRetryAfter(f *testing.F) {
	for _, v := range []string{"1", "1.5", "1772366460", "Sun, 01 Mar 2026 12:00:30 GMT", "2026-03-01T12:00Z", "9e99", "t=4;r=0"} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v string) {
		for _, name := range []string{"Retry-After", "Retry-After-Ms", "X-Ratelimit-Reset", "Ratelimit"} {
			if d := limitReset(http.Header{name: {v}}, time.Unix(1772366400, 0)); d < 0 || d > longestRetryAfter {
				t.Errorf("%s: %q: %v", name, v, d)
			}
		}
	})
}
