package timetext

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// clock reads hours, and as many of minutes, seconds and a fraction as there are.
func (p *scanner) clock(v *Value) error {
	var parts [3]int
	n := p.digits()
	switch {
	case n == 1 || n == 2: // 10:00, and 9:00 as some write it
		parts[0] = p.number(n)
		if n == 1 && !strings.HasPrefix(p.rest, ":") {
			return ErrForm
		}
		for i := 1; i < 3 && p.one(":"); i++ {
			var ok bool
			if parts[i], ok = p.take(2); !ok {
				return ErrForm
			}
			n += 2
		}
	case n == 4 || n == 6: // 1000, 100000
		for i := range n / 2 {
			parts[i] = p.number(2)
		}
	default:
		return ErrForm
	}
	nanos := 0
	if n >= 5 && p.one(".,") {
		var err error
		if nanos, err = p.fraction(); err != nil {
			return err
		}
	}
	hour, minute, second := parts[0], parts[1], parts[2]
	midnight := hour == 24 && minute == 0 && second == 0 && nanos == 0
	switch {
	case second == 60 && minute <= 59 && hour <= 23:
		return errors.New("names a leap second, which no calendar of the hub holds")
	case hour > 23 && !midnight || minute > 59 || second > 59:
		return errClock
	}
	v.Clock = true
	v.Wall = v.Wall.Add(time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute + time.Duration(second)*time.Second + time.Duration(nanos))
	return nil
}

// fraction reads the digits of a second as nanoseconds. More than nine are taken if they are zeros.
func (p *scanner) fraction() (int, error) {
	n := p.digits()
	if n == 0 {
		return 0, ErrForm
	}
	text := p.rest[:n]
	p.rest = p.rest[n:]
	if n > 9 {
		if strings.Trim(text[9:], "0") != "" {
			return 0, errors.New("is finer than a nanosecond")
		}
		text = text[:9]
	}
	nanos, err := strconv.Atoi(text + strings.Repeat("0", 9-len(text)))
	return nanos, err
}

// zone reads the distance to UTC, if there is one; a blank may stand before it where there is a time of day.
func (p *scanner) zone(v *Value) error {
	if v.Clock && strings.HasPrefix(p.rest, " ") {
		p.rest = p.rest[1:]
		if p.rest == "" {
			return ErrForm
		}
	}
	for _, utc := range []string{"UTC", "GMT", "Z", "z"} {
		if strings.HasPrefix(p.rest, utc) {
			p.rest, v.Zone = p.rest[len(utc):], time.UTC
			return nil
		}
	}
	sign := 1
	switch {
	case p.one("+"):
	case p.one("-"):
		sign = -1
	case p.rest != "" && p.rest[0] != '[':
		return ErrForm
	default:
		return nil
	}
	n := p.digits()
	if n != 4 && (n != 2 || !v.Clock && !strings.HasPrefix(p.rest[2:], ":")) {
		return ErrForm // of a date, -05 could be anything
	}
	hours, minutes := p.number(2), 0
	if n == 4 {
		minutes = p.number(2)
	} else if p.one(":") {
		var ok bool
		if minutes, ok = p.take(2); !ok {
			return ErrForm
		}
	}
	if hours > 23 || minutes > 59 {
		return errors.New("names a zone that is a day or more from UTC")
	}
	v.Zone = time.UTC
	if offset := sign * (hours*3600 + minutes*60); offset != 0 {
		v.Zone = time.FixedZone("", offset)
	}
	return nil
}

// annotation takes the zone's name in brackets that Java writes behind the offset: the offset is what counts. One that must not be passed
// over, as RFC 9557 marks it, stays.
func (p *scanner) annotation() {
	if len(p.rest) > 2 && p.rest[0] == '[' && p.rest[1] != '!' && strings.IndexByte(p.rest, ']') == len(p.rest)-1 {
		p.rest = ""
	}
}

// Milliseconds reads /Date(ms)/ and /Date(ms+minutes)/, as OData V2 and older .NET write times. The milliseconds are those since 1970 in UTC;
// the offset says how the time was shown, and moves nothing.
func Milliseconds(s string) (time.Time, error) {
	body, ok := strings.CutPrefix(s, "/Date(")
	if !ok {
		return time.Time{}, ErrForm
	}
	if body, ok = strings.CutSuffix(body, ")/"); !ok {
		return time.Time{}, ErrForm
	}
	if i := strings.LastIndexAny(body, "+-"); i > 0 {
		if offset := body[i+1:]; offset == "" || len(offset) > 4 || strings.Trim(offset, "0123456789") != "" {
			return time.Time{}, ErrForm
		}
		body = body[:i]
	}
	if digits := strings.TrimPrefix(body, "-"); digits == "" || strings.Trim(digits, "0123456789") != "" {
		return time.Time{}, ErrForm
	}
	ms, err := strconv.ParseInt(body, 10, 64)
	if most := int64(1e16); err != nil || ms > most || ms < -most { // beyond the year 300000
		return time.Time{}, errors.New("is out of range")
	}
	return time.UnixMilli(ms).UTC(), nil
}

// ParseLayout reads a time by a layout in Go's notation; what names no zone is in zone. 24:00 is the next day's 00:00.
func ParseLayout(layout, s string, zone *time.Location) (time.Time, error) {
	t, err := time.ParseInLocation(layout, s, zone)
	var pe *time.ParseError
	if err == nil || !errors.As(err, &pe) {
		return t, err
	}
	switch pe.Message {
	case ": hour out of range":
		if t, ok := midnight(layout, s, len(s)-len(pe.ValueElem), zone); ok {
			return t, nil
		}
		return t, errClock
	case ": minute out of range", ": second out of range":
		return t, errClock
	case ": day out of range", ": month out of range", ": day-of-year out of range":
		if strings.Trim(s, "0.-/: T") == "" {
			return t, errNoDay
		}
		return t, errDay
	case "": // the text does not fit the layout at all
		if openEnd(s) {
			return t, errOpenEnd
		}
	}
	return t, ErrForm
}

// midnight reads a time whose hour, which ends at a place in the text, is 24.
func midnight(layout, s string, end int, zone *time.Location) (time.Time, bool) {
	if end < 2 || end > len(s) || s[end-2:end] != "24" {
		return time.Time{}, false
	}
	t, err := time.ParseInLocation(layout, s[:end-2]+"00"+s[end:], zone)
	if err != nil || t.Hour() != 0 || t.Minute() != 0 || t.Second() != 0 || t.Nanosecond() != 0 {
		return time.Time{}, false
	}
	return time.Date(t.Year(), t.Month(), t.Day()+1, 0, 0, 0, 0, t.Location()), true
}
