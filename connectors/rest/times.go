package rest

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

const (
	stampLayout = time.RFC3339Nano
	// looseLayout is RFC 3339 with a zone without its colon, as some services write it.
	looseLayout = "2006-01-02T15:04:05.999999999Z0700"
)

// normal gives a version in a form that event.CompareVersions orders: digits, or RFC 3339 in UTC.
func (o *object) normal(version string) string {
	if o.VersionFormat == "auto" {
		if _, err := time.Parse(time.RFC3339Nano, version); err == nil {
			return version
		}
	}
	if o.counts() {
		return version
	}
	if t, ok := o.versionTime(version); ok {
		return t.UTC().Format(stampLayout)
	}
	return version
}

// counts: versions are digits.
func (o *object) counts() bool { return o.VersionFormat == "unix" || o.VersionFormat == "unix-ms" }

// versionTime reads a version, as the service writes it or in its normal form, as a time.
func (o *object) versionTime(version string) (time.Time, bool) {
	if o.counts() {
		d, err := jsondoc.ParseDecimal(version)
		if err != nil {
			return time.Time{}, false
		}
		unit := time.Second
		if o.VersionFormat == "unix-ms" {
			unit = time.Millisecond
		}
		ns, ok := d.Mul(jsondoc.FromInt(int64(unit))).Round(0, jsondoc.Down).Int64()
		return time.Unix(0, ns), ok
	}
	if t, err := time.Parse(time.RFC3339Nano, version); err == nil {
		return t, true
	}
	if o.VersionFormat == "auto" {
		t, err := time.Parse(looseLayout, version)
		return t, err == nil
	}
	t, err := time.ParseInLocation(o.VersionFormat, version, o.zone)
	return t, err == nil
}

// orders reports whether a version says which of two states is newer. A revision that does not, such as a hash, tells
// only that something changed.
func (o *object) orders(version string) bool {
	if _, ok := o.versionTime(version); ok {
		return true
	}
	return version != "" && strings.Trim(version, "0123456789") == ""
}

// written gives a time as a normal version.
func (o *object) written(t time.Time) string {
	switch o.VersionFormat {
	case "unix":
		return strconv.FormatInt(t.Unix(), 10)
	case "unix-ms":
		return strconv.FormatInt(t.UnixMilli(), 10)
	}
	return t.UTC().Format(stampLayout)
}

// back gives the version that is older by the overlap and by what the format of changed-since cannot tell apart, so
// that a service which answers with what is strictly newer leaves nothing out.
func (o *object) back(version string, by time.Duration) string {
	if t, ok := o.versionTime(version); ok {
		return o.written(t.Add(-by - o.resolution()))
	}
	if n, err := strconv.ParseInt(version, 10, 64); err == nil && n > 0 {
		return strconv.FormatInt(n-1, 10)
	}
	return version
}

func (o *object) resolution() time.Duration {
	switch o.List.ChangedSince.Format {
	case "rfc3339-ms", "unix-ms":
		return time.Millisecond
	}
	return time.Second
}

// since writes a version as the parameter changed-since.
func (o *object) since(version string) (string, error) {
	cs := &o.List.ChangedSince
	if cs.Format != "raw" {
		t, ok := o.versionTime(version)
		if !ok {
			return "", fmt.Errorf("the version %q is no time in the format %s: set version-format", shorten(version, 60), o.VersionFormat)
		}
		version = cs.format(t, o.zone)
	}
	return expandSince(cs.Template, version), nil
}

func expandSince(template, since string) string {
	return strings.ReplaceAll(template, "{since}", since)
}

// format writes a time, rounded down.
func (cs *sinceSettings) format(t time.Time, zone *time.Location) string {
	switch cs.Format {
	case "rfc3339", "raw":
		return t.UTC().Truncate(time.Second).Format(time.RFC3339)
	case "rfc3339-ms":
		return t.UTC().Truncate(time.Millisecond).Format("2006-01-02T15:04:05.000Z07:00")
	case "unix":
		return strconv.FormatInt(t.Unix(), 10)
	case "unix-ms":
		return strconv.FormatInt(t.UnixMilli(), 10)
	}
	return t.In(zone).Format(cs.Format)
}
