package httpclient

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// longestRetryAfter bounds what a system may ask for.
const longestRetryAfter = 24 * time.Hour

// retryHeaders say when to come again, in the order in which they are believed. The unit is that of a plain number.
var retryHeaders = []struct {
	name string
	unit time.Duration
}{
	{"Retry-After-Ms", time.Millisecond},
	{"X-Ms-Retry-After-Ms", time.Millisecond}, // Azure
	{"X-Retry-After-Ms", time.Millisecond},
	{"Retry-After", time.Second},
	{"X-Retry-After", time.Second},
}

// resetHeaders say when the present limit ends. Many systems send them with every answer: they count only where the limit is reached.
var resetHeaders = []struct {
	name string
	unit time.Duration
}{
	{"X-Ratelimit-Reset-After", time.Second},
	{"X-Rate-Limit-Time-Reset-Ms", time.Millisecond}, // BigCommerce
	{"Ratelimit-Reset", time.Second},
	{"X-Ratelimit-Reset", time.Second}, // GitHub: an epoch; Zendesk: seconds; Atlassian: a time
	{"X-Rate-Limit-Reset", time.Second},
}

// RetryAfter reads what an answer says of when to come again: a number of seconds, also with a fraction, a date in any form that is
// met, or the headers of milliseconds and of limits that systems send in its place. It is at most a day, and 0 where nothing that can be
// read is there. A date is held against the answer's own Date, so that a clock that is off does not count.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	now = serverTime(h, now)
	for _, r := range retryHeaders {
		if d := waitOf(h.Values(r.name), r.unit, now); d > 0 {
			return d
		}
	}
	return 0
}

// limitReset is when the limit that an answer names ends: RetryAfter, or the end of the limit.
func limitReset(h http.Header, now time.Time) time.Duration {
	if d := RetryAfter(h, now); d > 0 {
		return d
	}
	now = serverTime(h, now)
	for _, r := range resetHeaders {
		if d := waitOf(h.Values(r.name), r.unit, now); d > 0 {
			return d
		}
	}
	var list []string
	for _, v := range h.Values("RateLimit") { // "default";r=0;t=30 or limit=10, remaining=0, reset=30
		for part := range strings.FieldsFuncSeq(v, func(c rune) bool { return c == ';' || c == ',' || c == ' ' }) {
			if name, value, ok := strings.Cut(part, "="); ok && (name == "t" || name == "reset") {
				list = append(list, value)
			}
		}
	}
	return waitOf(list, time.Second, now)
}

// limitReached reports whether a 403 is one for the number of calls: nothing of a limit is left, or it says when to come again, which
// no right that is missing would.
func limitReached(h http.Header, now time.Time) bool {
	for _, name := range []string{"X-Ratelimit-Remaining", "Ratelimit-Remaining", "X-Rate-Limit-Remaining"} {
		if strings.TrimSpace(h.Get(name)) == "0" {
			return true
		}
	}
	return RetryAfter(h, now) > 0
}

// serverTime is the system's own time where its answer has one.
func serverTime(h http.Header, now time.Time) time.Time {
	if at, err := http.ParseTime(h.Get("Date")); err == nil {
		return at
	}
	return now
}

// waitOf is the longest of the waits that can be read.
func waitOf(values []string, unit time.Duration, now time.Time) time.Duration {
	var out time.Duration
	for _, v := range values {
		v = strings.Trim(strings.TrimSpace(v), `"`)
		d, ok := numberWait(v, unit, now)
		if !ok {
			d = dateWait(v, now)
		}
		out = max(out, d)
	}
	return min(out, longestRetryAfter)
}

// numberWait reads a number of units, or an epoch in seconds or milliseconds, which no wait comes near to.
func numberWait(v string, unit time.Duration, now time.Time) (time.Duration, bool) {
	if v == "" || len(v) > 20 || strings.Trim(v, "0123456789.") != "" {
		d, err := time.ParseDuration(v) // 1.5s, 500ms
		return d, err == nil
	}
	n, err := strconv.ParseFloat(v, 64)
	switch {
	case err != nil:
		return 0, false
	case n >= 1e11:
		return epochWait(n/1000, now), true
	case n >= 1e9:
		return epochWait(n, now), true
	case n > longestRetryAfter.Seconds()*float64(time.Second/unit):
		return longestRetryAfter, true
	}
	return time.Duration(n * float64(unit)), true
}

func epochWait(seconds float64, now time.Time) time.Duration {
	wait := seconds - float64(now.UnixMilli())/1000
	if wait > longestRetryAfter.Seconds() {
		return longestRetryAfter
	}
	return time.Duration(wait * float64(time.Second))
}

// dateForms are forms of dates besides the three of HTTP; each has its zone.
var dateForms = []string{time.RFC1123Z, time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05Z0700"}

func dateWait(v string, now time.Time) time.Duration {
	v = strings.TrimSuffix(v, " UTC")
	at, err := http.ParseTime(v)
	if err != nil {
		at, err = http.ParseTime(v + " GMT")
	}
	for i := 0; err != nil && i < len(dateForms); i++ {
		at, err = time.Parse(dateForms[i], v)
	}
	if err != nil {
		return 0
	}
	return at.Sub(now)
}
