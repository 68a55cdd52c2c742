package schema

import (
	"net/mail"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/xeipuuv/gojsonschema"
)

// strictFormat makes a checker of a test on strings. Every other value passes: formats say nothing about numbers.
type strictFormat func(string) bool

// IsFormat implements gojsonschema.FormatChecker.
func (f strictFormat) IsFormat(v any) bool {
	s, ok := v.(string)
	return !ok || f(s)
}

// formats are all that a schema may name. Most of the library's own are looser than the documents they are named after
// (its date-time takes "10:00:00"), so they are replaced.
var formats = map[string]gojsonschema.FormatChecker{
	"date-time":             strictFormat(isDateTime),
	"date":                  strictFormat(isDate),
	"time":                  strictFormat(isTime),
	"email":                 strictFormat(isEmail),
	"idn-email":             strictFormat(isEmail),
	"hostname":              strictFormat(isHostname),
	"ipv4":                  strictFormat(func(s string) bool { a, err := netip.ParseAddr(s); return err == nil && a.Is4() }),
	"ipv6":                  strictFormat(func(s string) bool { a, err := netip.ParseAddr(s); return err == nil && a.Is6() && a.Zone() == "" }),
	"uri":                   strictFormat(func(s string) bool { return isURI(s, true, true) }),
	"uri-reference":         strictFormat(func(s string) bool { return isURI(s, false, true) }),
	"iri":                   strictFormat(func(s string) bool { return isURI(s, true, false) }),
	"iri-reference":         strictFormat(func(s string) bool { return isURI(s, false, false) }),
	"uri-template":          strictFormat(func(s string) bool { return gojsonschema.URITemplateFormatChecker{}.IsFormat(s) }),
	"uuid":                  strictFormat(func(s string) bool { return uuidPattern.MatchString(s) }),
	"regex":                 strictFormat(func(s string) bool { _, err := regexp.Compile(s); return err == nil }),
	"json-pointer":          strictFormat(func(s string) bool { return pointerPattern.MatchString(s) }),
	"relative-json-pointer": strictFormat(func(s string) bool { return relativePattern.MatchString(s) }),
}

var (
	hostPattern     = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$`)
	uuidPattern     = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)
	pointerPattern  = regexp.MustCompile(`^(/([^~/]|~[01])*)*$`)
	relativePattern = regexp.MustCompile(`^(0|[1-9][0-9]*)(#|(/([^~/]|~[01])*)*)$`)
)

// isDateTime is RFC 3339's date-time: date, T, time and offset, all of them. Leap seconds are refused: no calendar in the
// systems around can hold them.
func isDateTime(s string) bool {
	return len(s) >= 20 && (s[10] == 'T' || s[10] == 't') && isDate(s[:10]) && isTime(s[11:])
}

// isDate is YYYY-MM-DD, a day that exists.
func isDate(s string) bool {
	if len(s) != 10 || s[4] != '-' || s[7] != '-' {
		return false
	}
	year, ok1 := digits(s[0:4])
	month, ok2 := digits(s[5:7])
	day, ok3 := digits(s[8:10])
	if !ok1 || !ok2 || !ok3 || month < 1 || month > 12 || day < 1 {
		return false
	}
	return day <= 28 || time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC).Day() == day
}

// isTime is HH:MM:SS with an optional fraction and an offset that is not optional.
func isTime(s string) bool {
	if len(s) < 9 || !isClock(s[:5]) || s[5] != ':' {
		return false
	}
	if sec, ok := digits(s[6:8]); !ok || sec > 59 {
		return false
	}
	s = s[8:]
	if s[0] == '.' {
		n := 1
		for n < len(s) && s[n]-'0' <= 9 {
			n++
		}
		if n == 1 {
			return false
		}
		s = s[n:]
	}
	switch {
	case s == "Z" || s == "z":
		return true
	case len(s) == 6 && (s[0] == '+' || s[0] == '-'):
		return isClock(s[1:])
	}
	return false
}

// isClock is HH:MM.
func isClock(s string) bool {
	hour, ok1 := digits(s[0:2])
	minute, ok2 := digits(s[3:5])
	return ok1 && ok2 && s[2] == ':' && hour < 24 && minute < 60
}

func digits(s string) (n int, ok bool) {
	for i := range len(s) {
		if s[i]-'0' > 9 {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, true
}

// isEmail is one bare address: no display name, no list.
func isEmail(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Name == "" && a.Address == s
}

func isHostname(s string) bool { return len(s) <= 253 && hostPattern.MatchString(s) }

// isURI checks a URI, absolute or also relative; ascii refuses what only an IRI may hold.
func isURI(s string, absolute, ascii bool) bool {
	for i := range len(s) {
		if c := s[i]; c <= 0x20 || c == 0x7f || ascii && c > 0x7f || strings.IndexByte(`"<>\^{|}`+"`", c) >= 0 {
			return false
		}
	}
	u, err := url.Parse(s)
	return err == nil && (!absolute || u.Scheme != "")
}
