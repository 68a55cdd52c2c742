package rest

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/timetext"
)

const (
	stampLayout = time.RFC3339Nano
	// looseLayout is RFC 3339 with a zone without its colon, as some services write it.
	looseLayout = "2006-01-02T15:04:05.999999999Z0700"
	// dateMS names the form of OData V2 and of older .NET: /Date(1790812800000+0120)/.
	dateMS = "date-ms"
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
		return counted(d, o.VersionFormat == "unix-ms")
	}
	if t, err := time.Parse(time.RFC3339Nano, version); err == nil {
		return t, true
	}
	if o.VersionFormat == "auto" || o.VersionFormat == dateMS {
		if t, err := timetext.Milliseconds(version); err == nil {
			return t, timetext.CheckYear(t) == nil
		}
	}
	if o.VersionFormat == "auto" {
		t, err := time.Parse(looseLayout, version)
		return t, err == nil
	}
	if o.VersionFormat == dateMS {
		return time.Time{}, false
	}
	if first, _, ok := o.instants(version); ok {
		return first, true
	}
	t, err := time.Parse(o.VersionFormat, version)
	return t, err == nil
}

var milliseconds, _ = jsondoc.ParseDecimal("0.001")

// counted gives the time so many seconds, or milliseconds, after 1970; false beyond the years that a version can be written with.
func counted(d jsondoc.Decimal, milli bool) (time.Time, bool) {
	if milli {
		d = d.Mul(milliseconds)
	}
	whole := d.Round(0, jsondoc.Down)
	sec, ok := whole.Int64()
	if most := int64(1e12); !ok || sec > most || sec < -most { // the year 33658
		return time.Time{}, false
	}
	ns, ok := d.Sub(whole).Mul(jsondoc.FromInt(1e9)).Round(0, jsondoc.Down).Int64()
	t := time.Unix(sec, ns)
	return t, ok && timetext.CheckYear(t.UTC()) == nil
}

// instants gives the first and the last instant of a version that is a local time without a zone; see connector.Instants.
func (o *object) instants(version string) (first, second time.Time, ok bool) {
	if !o.local {
		return first, second, false
	}
	wall, err := time.Parse(o.VersionFormat, version)
	if err != nil {
		return first, second, false
	}
	first, second = connector.Instants(wall, o.zone)
	return first, second, true
}

// repeat is the connector.Window's way to ask for the stretch of readings that comes twice.
func (o *object) repeat(version string) (start string, end time.Time, ok bool) {
	t, ok := o.versionTime(version)
	if !ok {
		return "", end, false
	}
	r, ok := connector.LastRepeat(t, o.zone)
	return o.written(r.Start), r.End, ok
}

// repeated reports whether what is newer than a version cannot be asked for: its local time comes twice, and a later change may have a
// smaller one.
func (o *object) repeated(version string) bool {
	t, ok := o.versionTime(version)
	if f := o.List.ChangedSince.Format; !ok || !o.local && !(isLayout(f) && connector.Zoneless(f)) {
		return false
	}
	r, ok := connector.LastRepeat(t, o.zone)
	return ok && t.Before(r.End)
}

// stamp is the connector.Window's way to read versions as times.
func (o *object) stamp(version string) (time.Time, connector.StampKind) {
	t, ok := o.versionTime(version)
	switch {
	case ok:
		return t, connector.TimeStamp
	case o.VersionFormat == "auto" && version != "" && strings.Trim(version, "0123456789") == "":
		return t, connector.NumberStamp
	}
	return t, connector.NoStamp
}

// orders reports whether a version says which of two states is newer. A revision that does not, such as a hash, tells
// only that something changed.
func (o *object) orders(version string) bool {
	_, kind := o.stamp(version)
	return kind != connector.NoStamp
}

// unstamped reports whether a version is missing where objects have one: it is empty, or not of the format that the settings name.
func (o *object) unstamped(version string) bool {
	return o.Version != "" && (version == "" || o.VersionFormat != "auto" && !o.orders(version))
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
// that a service which answers with what is strictly newer leaves nothing out. Where versions are local times, no later change has a
// reading below it.
func (o *object) back(version string, by time.Duration) string {
	if t, ok := o.versionTime(version); ok {
		if t = t.Add(-by - o.resolution()); o.local {
			t = connector.LowestReading(t, o.zone, o.resolution())
		}
		return o.written(t)
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
			return "", fmt.Errorf("the version %q is no time in the format %s: set version-format", httpclient.Shorten(version, 60), o.VersionFormat)
		}
		version = cs.format(t, o.zone)
	}
	return expandSince(cs.Template, version), nil
}

func expandSince(template, since string) string {
	return strings.ReplaceAll(template, "{since}", since)
}

// format writes a time, rounded down. A local time without a zone is one that no later change is below.
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
	if connector.Zoneless(cs.Format) {
		t = connector.LowestReading(t, zone, time.Second)
	}
	return t.In(zone).Format(cs.Format)
}
