package odata

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/timetext"
)

// Values are texts here, as documents write them: 2026-11-29 for a day, 12.50 for a decimal. A literal is how such a value stands in a key or a filter.

var (
	wholeNumber = regexp.MustCompile(`^-?\d{1,19}$`)
	// plainDecimal is what JSON and every literal can write.
	plainDecimal = regexp.MustCompile(`^-?(0|[1-9]\d*)(\.\d+)?$`)
	doubleNumber = regexp.MustCompile(`^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$`)
	guid         = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	timeOfDay    = regexp.MustCompile(`^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,12})?)?$`)
	v2Time       = regexp.MustCompile(`^PT(?:(\d{1,2})H)?(?:(\d{1,2})M)?(?:(\d{1,2})(\.\d{1,12})?S)?$`)
	anyDuration  = regexp.MustCompile(`^-?P(\d+D)?(T(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?$`)
	base64Text   = regexp.MustCompile(`^[A-Za-z0-9+/_-]*={0,2}$`)
)

// literal writes a value as its type is written in keys and filters. A value that is none of the type is an error, which goes on from it.
func (m *metadata) literal(p *property, value string) (string, error) {
	v2 := m.version == 2
	switch p.kind {
	case booleanType:
		if value == "true" || value == "false" {
			return value, nil
		}
		return "", errors.New("is neither true nor false")
	case integerType:
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < p.floor || n > p.ceiling {
			return "", fmt.Errorf("is no %s", short(p.typ))
		}
		return strconv.FormatInt(n, 10), nil
	case int64Type:
		if !wholeNumber.MatchString(value) {
			return "", errors.New("is no whole number")
		}
		return value + suffix(v2, "L"), nil
	case decimalType:
		d, err := jsondoc.ParseDecimal(value)
		if err != nil || len(d.String()) > maxDigits {
			return "", errors.New("is no decimal number")
		}
		return d.String() + suffix(v2, "M"), nil
	case doubleType:
		if !doubleNumber.MatchString(value) {
			return "", errors.New("is no number")
		}
		return value + suffix(v2, "d"), nil
	case dateType:
		t, err := day(value)
		if err != nil {
			return "", err
		}
		if v2 {
			return "datetime'" + t.Format("2006-01-02T15:04:05") + "'", nil
		}
		return t.Format(time.DateOnly), nil
	case clockType:
		t, err := clock(value)
		if err != nil {
			return "", err
		}
		return "datetime'" + t.Format("2006-01-02T15:04:05.999999999") + "'", nil
	case instantType:
		t, err := instant(value)
		if err != nil {
			return "", err
		}
		if v2 {
			return "datetimeoffset'" + t.UTC().Format(time.RFC3339Nano) + "'", nil
		}
		return t.UTC().Format(time.RFC3339Nano), nil
	case timeType:
		if !timeOfDay.MatchString(value) {
			return "", errors.New("is no time of day, such as 10:30:00")
		}
		if v2 {
			return "time'" + duration(value) + "'", nil
		}
		return value, nil
	case durationType:
		if !anyDuration.MatchString(value) {
			return "", errors.New("is no duration")
		}
		return "duration'" + value + "'", nil
	case guidType:
		if !guid.MatchString(value) {
			return "", errors.New("is no GUID")
		}
		if v2 {
			return "guid'" + value + "'", nil
		}
		return value, nil
	case binaryType:
		if !base64Text.MatchString(value) {
			return "", errors.New("is no base64")
		}
		return "binary'" + value + "'", nil
	case enumType:
		return p.typ + quoted(value), nil
	case stringType:
		return quoted(value), nil
	}
	return "", fmt.Errorf("cannot be asked for: the type %s has no literals here", p.typ)
}

func suffix(is bool, s string) string {
	if is {
		return s
	}
	return ""
}

// quoted writes a text literal: an apostrophe inside stands twice.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// day reads a date without a time of day.
func day(s string) (time.Time, error) {
	v, err := timetext.Parse(s)
	switch {
	case err != nil:
		return time.Time{}, err
	case v.Clock:
		return time.Time{}, errors.New("names a time of day, and a date has none")
	}
	return v.Wall, timetext.CheckYear(v.Wall)
}

// clock reads a date and a time, with a zone or without one, as if it were UTC's.
func clock(s string) (time.Time, error) {
	v, err := timetext.Parse(s)
	if err != nil {
		return time.Time{}, err
	}
	t := v.In(time.UTC).UTC()
	return t, timetext.CheckYear(t)
}

// instant reads a date and a time with its zone.
func instant(s string) (time.Time, error) {
	v, err := timetext.Parse(s)
	switch {
	case err != nil:
		return time.Time{}, err
	case v.Zone == nil:
		return time.Time{}, errors.New("names no zone")
	}
	t := v.In(time.UTC)
	return t, timetext.CheckYear(t)
}

// duration writes a time of day as V2 does: PT10H30M00S.
func duration(clock string) string {
	h, rest, _ := strings.Cut(clock, ":")
	m, s, _ := strings.Cut(rest, ":")
	if s == "" {
		s = "00"
	}
	return "PT" + h + "H" + m + "M" + s + "S"
}

// escape writes a text for a path or a query. The signs of keys and filters stay, so that people can read them.
func escape(s string) string { return readable.Replace(httpclient.Escape(s)) }

var readable = strings.NewReplacer("%28", "(", "%29", ")", "%3D", "=", "%2C", ",", "%27", "'", "%24", "$")

// key is the names and the values of a key, in the order of the type.
type key struct {
	m      *metadata
	parts  []*property
	values []string
}

// predicate writes the key as it stands behind the name of a set, escaped.
func (k key) predicate() (string, error) {
	var b strings.Builder
	for i, p := range k.parts {
		lit, err := k.m.literal(p, k.values[i])
		if err != nil {
			return "", fmt.Errorf("%s: %q %w", p.name, httpclient.Shorten(k.values[i], 60), err)
		}
		if i > 0 {
			b.WriteByte(',')
		}
		if len(k.parts) > 1 {
			b.WriteString(p.name + "=")
		}
		b.WriteString(strings.ReplaceAll(escape(lit), "=", "%3D"))
	}
	return "(" + b.String() + ")", nil
}

// after asks for what follows this key in the order of its parts.
func (k key) after() (string, error) {
	out := ""
	for i := len(k.parts) - 1; i >= 0; i-- {
		more, err := k.term(i, "gt")
		if err != nil {
			return "", err
		}
		if out == "" {
			out = more
			continue
		}
		same, err := k.term(i, "eq")
		if err != nil {
			return "", err
		}
		out = more + " or (" + same + " and (" + out + "))"
	}
	return out, nil
}

func (k key) term(i int, op string) (string, error) {
	lit, err := k.m.literal(k.parts[i], k.values[i])
	if err != nil {
		return "", fmt.Errorf("%s: %q %w", k.parts[i].name, httpclient.Shorten(k.values[i], 60), err)
	}
	return k.parts[i].name + " " + op + " " + lit, nil
}

// local is the key as the hub keeps it: the value alone, or Name='value',… where it has several parts.
func (k key) local() string {
	if len(k.parts) == 1 {
		return k.values[0]
	}
	return connector.KeyText(names(k.parts), k.values)
}

func names(parts []*property) []string {
	out := make([]string, len(parts))
	for i, p := range parts {
		out[i] = p.name
	}
	return out
}

// keyOf reads what local has written.
func (m *metadata) keyOf(parts []*property, local string) (key, error) {
	k := key{m: m, parts: parts}
	if len(parts) == 1 {
		if local == "" {
			return k, errors.New("an id is never empty")
		}
		k.values = []string{local}
		return k, nil
	}
	var err error
	k.values, err = connector.ReadKeyText(names(parts), local)
	return k, err
}
