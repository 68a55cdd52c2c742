package zones

import (
	"archive/zip"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestLaws: zones whose law has changed lately, as the embedded data has them. Older data are an hour off.
func TestLaws(t *testing.T) {
	d := Embedded()
	for _, tt := range []struct{ zone, local, want string }{
		{"America/Edmonton", "2026-12-01 09:00", "2026-12-01T15:00:00Z"},
		{"America/Edmonton", "2026-07-01 09:00", "2026-07-01T15:00:00Z"},
		{"America/Vancouver", "2026-12-01 09:00", "2026-12-01T16:00:00Z"},
		{"America/Winnipeg", "2026-12-01 09:00", "2026-12-01T14:00:00Z"},
		{"America/Havana", "2026-12-01 09:00", "2026-12-01T13:00:00Z"},
		{"America/Havana", "2027-12-01 09:00", "2027-12-01T14:00:00Z"},
		{"America/Inuvik", "2026-12-01 09:00", "2026-12-01T15:00:00Z"},
		{"Canada/Mountain", "2026-12-01 09:00", "2026-12-01T15:00:00Z"},
		{"Africa/Casablanca", "2026-12-01 09:00", "2026-12-01T09:00:00Z"},
		{"Europe/Berlin", "2026-12-01 09:00", "2026-12-01T08:00:00Z"},
		{"Europe/Berlin", "2026-07-01 09:00", "2026-07-01T07:00:00Z"},
		{"Asia/Shanghai", "2026-07-01 09:00", "2026-07-01T01:00:00Z"},
		{"Asia/Kolkata", "2026-07-01 09:00", "2026-07-01T03:30:00Z"},
	} {
		loc, err := d.Load(tt.zone)
		if err != nil {
			t.Errorf("%s: %v", tt.zone, err)
			continue
		}
		at, err := time.ParseInLocation("2006-01-02 15:04", tt.local, loc)
		if err != nil {
			t.Fatal(err)
		}
		if got := at.UTC().Format(time.RFC3339); got != tt.want {
			t.Errorf("%s in %s is %s, want %s (data %s)", tt.local, tt.zone, got, tt.want, d)
		}
	}
}

// TestEmbedded: the file is whole, and every zone in it can be read.
func TestEmbedded(t *testing.T) {
	d := Embedded()
	if year, _, ok := parseVersion(d.Version); !ok || year < 2026 {
		t.Errorf("version %q", d.Version)
	}
	z, err := zip.NewReader(bytes.NewReader(embedded), int64(len(embedded)))
	if err != nil {
		t.Fatal(err)
	}
	if len(z.File) < 590 {
		t.Errorf("only %d zones", len(z.File))
	}
	for _, f := range z.File {
		if _, err := d.Load(f.Name); err != nil {
			t.Error(err)
		}
	}
}

func TestNames(t *testing.T) {
	d := Embedded()
	for _, name := range []string{"", "UTC"} {
		if loc, err := d.Load(name); err != nil || loc != time.UTC {
			t.Errorf("%q: %v %v", name, loc, err)
		}
	}
	for _, name := range []string{"Local", "Europe", "Europe/Berlim", "../zone.go", "/etc/localtime", ".", `Europe\Berlin`, "europe/", "MEZ"} {
		if _, err := d.Load(name); !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "unknown time zone") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestNewer(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"2026f", "2026e", true}, {"2026e", "2026f", false}, {"2026f", "2026f", false}, {"2027a", "2026z", true}, {"2026za", "2026z", true},
		{"2026a", "2026", true}, {"2025c", "x", true}, {"x", "2025c", false}, {"", "", false},
	} {
		if got := newer(tt.a, tt.b); got != tt.want {
			t.Errorf("newer(%q, %q) = %t", tt.a, tt.b, got)
		}
	}
}

// machine makes a directory as machines have it, with one zone.
func machine(t *testing.T, file, text string) string {
	t.Helper()
	dir := t.TempDir()
	data, err := Embedded().files.(*zip.Reader).Open("Asia/Tokyo")
	if err != nil {
		t.Fatal(err)
	}
	defer data.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(data); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "Europe"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "Europe", "Berlin"), b.Bytes(), 0o644); err != nil { // Berlin by Tokyo's time, so that one sees whose it is
		t.Fatal(err)
	}
	if file != "" {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestNewestWins: the machine's data is taken where it says that it is newer, and only then.
func TestNewestWins(t *testing.T) {
	own := Embedded().Version
	for _, tt := range []struct {
		name, file, text, version string
		machine                   bool
	}{
		{"newer", "tzdata.zi", "# version 2999a\n# This zic input file is in the public domain.\n", "2999a", true},
		{"newer, BSD", "+VERSION", "2999b\n", "2999b", true},
		{"older", "tzdata.zi", "# version 2025b\n", own, false},
		{"the same", "tzdata.zi", "# version " + own + "\n", own, false},
		{"does not say", "", "", own, false},
		{"says nothing that is known", "tzdata.zi", "# version unknown\n", own, false},
	} {
		dir := machine(t, tt.file, tt.text)
		d := newest([]string{"/nowhere", dir})
		loc, err := d.Load("Europe/Berlin")
		if err != nil {
			t.Fatal(err)
		}
		_, offset := time.Date(2026, 12, 1, 0, 0, 0, 0, loc).Zone()
		if d.Version != tt.version || (d.From == dir) != tt.machine || (offset == 9*3600) != tt.machine {
			t.Errorf("%s: %s, Berlin is %d s off", tt.name, d, offset)
		}
		if loc, err := d.Load("US/Pacific"); err != nil || loc.String() != "US/Pacific" { // a name that this machine has left out
			t.Errorf("%s: %s: %v", tt.name, d, err)
		}
	}
	t.Setenv("ZONEINFO", machine(t, "version", "2999c"))
	if d := newest(directories()); d.Version != "2999c" {
		t.Errorf("ZONEINFO: %s", d)
	}
}

func TestOld(t *testing.T) {
	d := &Data{Version: "2026f"}
	for at, want := range map[string]bool{"2026-11-29": false, "2027-12-31": false, "2028-01-01": true} {
		now, _ := time.Parse(time.DateOnly, at)
		if d.Old(now) != want {
			t.Errorf("%s: %t", at, !want)
		}
	}
}

func TestDoubt(t *testing.T) {
	d := &Data{Version: "2020a", From: "embedded"}
	now := time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)
	for name, want := range map[string]bool{"": false, "UTC": false, "Etc/GMT+5": false, "Europe/Berlin": true} {
		if got := d.doubt(name, now); (got != "") != want || want && !strings.Contains(got, "2020a (embedded) may not know the law of "+name) {
			t.Errorf("%q: %q", name, got)
		}
	}
	if got := Embedded().doubt("Europe/Berlin", now); got != "" {
		t.Error(got)
	}
	for name := range unsettled {
		if _, err := Embedded().Load(name); err != nil || Embedded().doubt(name, now) == "" {
			t.Errorf("%s: %v, and no doubt", name, err)
		}
	}
}

func TestManyAtOnce(t *testing.T) {
	d := Embedded()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for _, name := range []string{"Europe/Berlin", "Asia/Tokyo", "nowhere"} {
				_, _ = d.Load(name)
			}
		})
	}
	wg.Wait()
}
