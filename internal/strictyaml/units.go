package strictyaml

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes, written 512, 64KiB, 10MiB, 1GiB, or with the powers of ten kB, MB, GB.
type Size int64

var sizeUnits = []struct {
	name string
	n    int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}, {"", 1}}

// ParseSize reads a size.
func ParseSize(s string) (Size, error) {
	for _, u := range sizeUnits {
		digits, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		v, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err != nil || v < 0 || v > math.MaxInt64/u.n {
			break
		}
		return Size(v * u.n), nil
	}
	return 0, fmt.Errorf("%q is no size", shorten(s))
}

// String gives the size in the largest unit that holds it without a fraction.
func (s Size) String() string {
	for _, u := range []int{2, 1, 0} {
		if n := sizeUnits[u].n; s != 0 && int64(s)%n == 0 {
			return strconv.FormatInt(int64(s)/n, 10) + sizeUnits[u].name
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}

// UnmarshalNode reads a size.
func (s *Size) UnmarshalNode(n Node, p *Problems) {
	text, _, ok := n.resolve(p)
	if !ok {
		return
	}
	v, err := ParseSize(text)
	if err != nil {
		p.AddHint(n.Pos(), "write for example 512KiB or 10MiB", "%s%s", n.label(), err)
		return
	}
	*s = v
}

// Rate is a number of events per time, written 50/s, 100/m, 1000/h or 20/10s. The zero Rate means unlimited.
type Rate struct {
	N   float64
	Per time.Duration
}

// ParseRate reads a rate.
func ParseRate(s string) (Rate, error) {
	bad := fmt.Errorf("%q is no rate", shorten(s))
	count, per, ok := strings.Cut(s, "/")
	if !ok {
		return Rate{}, bad
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(count), 64)
	if err != nil || !(n > 0) || math.IsInf(n, 0) {
		return Rate{}, bad
	}
	per = strings.TrimSpace(per)
	if per != "" && (per[0] < '0' || per[0] > '9') {
		per = "1" + per
	}
	d, err := ParseDuration(per)
	if err != nil || d <= 0 {
		return Rate{}, bad
	}
	return Rate{n, d}, nil
}

// PerSecond is the rate in events per second; 0 for the zero Rate.
func (r Rate) PerSecond() float64 {
	if r.Per <= 0 {
		return 0
	}
	return r.N / r.Per.Seconds()
}

// String gives the rate as it is written.
func (r Rate) String() string {
	if r.Per <= 0 {
		return "unlimited"
	}
	per := strings.TrimPrefix(FormatDuration(r.Per), "1")
	if per == "" || per[0] >= '0' && per[0] <= '9' || per[0] == '.' {
		per = FormatDuration(r.Per)
	}
	return strconv.FormatFloat(r.N, 'f', -1, 64) + "/" + per
}

// UnmarshalNode reads a rate.
func (r *Rate) UnmarshalNode(n Node, p *Problems) {
	text, _, ok := n.resolve(p)
	if !ok {
		return
	}
	v, err := ParseRate(text)
	if err != nil {
		p.AddHint(n.Pos(), "write for example 50/s or 1000/h", "%s%s", n.label(), err)
		return
	}
	*r = v
}

// ParseDuration reads what time.ParseDuration reads, and days: 7d, 1d12h. A negative duration is an error.
func ParseDuration(s string) (time.Duration, error) {
	bad := fmt.Errorf("%q is no duration", shorten(s))
	var days time.Duration
	rest := s
	if head, tail, ok := strings.Cut(s, "d"); ok {
		n, err := strconv.ParseUint(head, 10, 16)
		if err != nil {
			return 0, bad
		}
		days, rest = time.Duration(n)*24*time.Hour, tail
		if rest == "" {
			return days, nil
		}
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d < 0 || days+d < days || strings.HasPrefix(rest, "+") || strings.HasPrefix(rest, "-") {
		return 0, bad
	}
	return days + d, nil
}

// FormatDuration writes a duration without zero parts: 10m, not 10m0s.
func FormatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// shorten keeps what is quoted from a file short.
func shorten(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:57]) + "..."
	}
	return s
}
