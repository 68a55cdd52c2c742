// Package zones loads time zones from one stated source: the newest of the IANA time zone data that the program carries and those that the
// machine has. Laws change: the same file of flows must not mean another time on another machine because one has older data, and nobody says so.
package zones

import (
	"archive/zip"
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

// embedded is the IANA data, public domain, written by generate.sh. Its comment is the version.
//
//go:embed zones.zip
var embedded []byte

// Data is a source of zones.
type Data struct {
	// Version is the IANA version: a year and letters, such as 2026f.
	Version string
	// From is "embedded", or the machine's directory.
	From string

	files fs.FS
	// rest has the names that a machine has left out, as some do with old ones (US/Pacific); nil: no others are known.
	rest  fs.FS
	mu    sync.Mutex
	known map[string]*time.Location
}

// String gives version and source: "2026f (embedded)".
func (d *Data) String() string { return d.Version + " (" + d.From + ")" }

// ErrUnknown is inside the error of Load for a name that the data does not have.
var ErrUnknown = errors.New("unknown time zone")

// Load gives a zone by its IANA name; "UTC" and the empty name are UTC. "Local" is unknown: it would differ between machines.
func (d *Data) Load(name string) (*time.Location, error) {
	if name == "" || name == "UTC" {
		return time.UTC, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if loc := d.known[name]; loc != nil {
		return loc, nil
	}
	if !fs.ValidPath(name) || name == "." || name == "Local" || strings.Contains(name, `\`) {
		return nil, fmt.Errorf("%w %q", ErrUnknown, name)
	}
	data, err := fs.ReadFile(d.files, name)
	if err != nil && d.rest != nil {
		data, err = fs.ReadFile(d.rest, name)
	}
	if err != nil {
		return nil, fmt.Errorf("%w %q in the zone data %s", ErrUnknown, name, d)
	}
	loc, err := time.LoadLocationFromTZData(name, data)
	if err != nil {
		return nil, fmt.Errorf("%w %q in the zone data %s: %w", ErrUnknown, name, d, err)
	}
	if d.known == nil {
		d.known = map[string]*time.Location{}
	}
	d.known[name] = loc
	return loc, nil
}

// Old reports whether laws have probably changed since: the data is of a year before the last one. A handful of zones change every year.
func (d *Data) Old(now time.Time) bool {
	year, _, ok := parseVersion(d.Version)
	return !ok || now.UTC().Year() >= year+2
}

var version = regexp.MustCompile(`^(\d{4})([a-z]{0,2})$`)

// parseVersion reads a version: 2026f is newer than 2026e, 2026za than 2026z.
func parseVersion(s string) (year int, letters string, ok bool) {
	m := version.FindStringSubmatch(s)
	if m == nil {
		return 0, "", false
	}
	_, err := fmt.Sscanf(m[1], "%d", &year)
	return year, m[2], err == nil
}

// newer reports whether version a is newer than b. What is no version is older than everything.
func newer(a, b string) bool {
	ya, la, oka := parseVersion(a)
	yb, lb, okb := parseVersion(b)
	switch {
	case !oka || !okb:
		return oka && !okb
	case ya != yb:
		return ya > yb
	case len(la) != len(lb):
		return len(la) > len(lb)
	}
	return la > lb
}

// Embedded gives the data that the program carries.
func Embedded() *Data {
	z, err := zip.NewReader(bytes.NewReader(embedded), int64(len(embedded)))
	if err != nil {
		panic(err) // the file was made by generate.sh and is tested
	}
	return &Data{Version: z.Comment, From: "embedded", files: z}
}

// directories are where machines keep their data.
func directories() []string {
	dirs := []string{"/usr/share/zoneinfo", "/usr/share/lib/zoneinfo", "/usr/lib/locale/TZ", "/etc/zoneinfo"}
	if own := os.Getenv("ZONEINFO"); own != "" {
		dirs = append([]string{own}, dirs...)
	}
	return dirs
}

// On gives the data of a machine's directory, which must say its version; nil where it does not: whether it is newer cannot be told then.
func On(dir string) *Data {
	info, err := os.Stat(dir)
	if err != nil || !info.IsDir() {
		return nil
	}
	for _, file := range []string{"tzdata.zi", "+VERSION", "version"} {
		if v := versionIn(filepath.Join(dir, file)); v != "" {
			return &Data{Version: v, From: dir, files: os.DirFS(dir)}
		}
	}
	return nil
}

// versionIn reads a version from the first line of a file: "# version 2025b", or "2025b" alone.
func versionIn(file string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	head, err := io.ReadAll(io.LimitReader(f, 200))
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(head), "\n")
	v := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "# version"))
	if _, _, ok := parseVersion(v); !ok {
		return ""
	}
	return v
}

// newest gives the newest of the embedded data and those of directories; the embedded one where versions are the same.
func newest(dirs []string) *Data {
	best := Embedded()
	for _, dir := range dirs {
		if d := On(dir); d != nil && newer(d.Version, best.Version) {
			d.rest = Embedded().files
			best = d
		}
	}
	return best
}

// Current is the data in use: chosen once, at the first question.
var Current = sync.OnceValue(func() *Data { return newest(directories()) })

// Load gives a zone of the data in use.
func Load(name string) (*time.Location, error) { return Current().Load(name) }

// DoubtHint says what to do about a doubt.
const DoubtHint = "keep the package tzdata, or the hub, up to date"

// unsettled are zones whose rules to come are no law but a forecast, by IANA's notes up to the embedded version. Look at it with every new one.
var unsettled = map[string]string{
	"America/Havana": "Cuba has announced its time until 2027-11-07 only",
	"Cuba":           "Cuba has announced its time until 2027-11-07 only",
	"Asia/Gaza":      "the clock changes of Asia/Gaza are announced from year to year: those to come are a forecast",
	"Asia/Hebron":    "the clock changes of Asia/Hebron are announced from year to year: those to come are a forecast",
}

// Doubt says why the data in use may not know a zone's law; empty where there is no reason. Times of UTC follow no law.
func Doubt(name string) string { return Current().doubt(name, time.Now()) }

func (d *Data) doubt(name string, now time.Time) string {
	if name == "" || name == "UTC" || strings.HasPrefix(name, "Etc/") {
		return ""
	}
	if !d.Old(now) {
		return unsettled[name]
	}
	return fmt.Sprintf("the zone data %s may not know the law of %s: some zones change every year", d, name)
}
