package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/waybill-hub/waybill/internal/zones"
)

// A release is stamped by the linker, where the build sees no repository:
//
//	go build -ldflags "-X github.com/waybill-hub/waybill/internal/cli.version=v1.2.3 -X …cli.commit=… -X …cli.date=2026-11-29T10:00:00Z"
//
// Without stamps the compiler's own record counts.
var version, commit, date string

// Build says which program this is.
type Build struct {
	Version string `json:"version"`
	// Commit is the revision that it was built from; Date that of the commit, in RFC 3339. Both may be empty.
	Commit string `json:"commit,omitempty"`
	Date   string `json:"date,omitempty"`
	// Changed: the files differed from the revision.
	Changed   bool   `json:"changed,omitempty"`
	Go        string `json:"go"`
	Platform  string `json:"platform"`
	Zones     string `json:"zones"`
	ZonesFrom string `json:"zones_from"`
}

// ThisBuild reads the stamps, and what the compiler has recorded where there are none.
func ThisBuild() Build {
	info, _ := debug.ReadBuildInfo()
	b := buildOf(info, version, commit, date)
	z := zones.Current()
	b.Zones, b.ZonesFrom = z.Version, z.From
	return b
}

func buildOf(info *debug.BuildInfo, version, commit, date string) Build {
	b := Build{Version: version, Commit: commit, Date: date, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info == nil {
		info = &debug.BuildInfo{}
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	if b.Commit == "" {
		b.Commit, b.Changed = settings["vcs.revision"], settings["vcs.modified"] == "true"
	}
	if b.Date == "" {
		b.Date = settings["vcs.time"]
	}
	if v := info.Main.Version; b.Version == "" && v != "" && v != "(devel)" {
		b.Version = v
	}
	if b.Version == "" && b.Commit != "" {
		b.Version = b.Commit[:min(12, len(b.Commit))]
		if b.Changed {
			b.Version += "+changes"
		}
	}
	if b.Version == "" {
		b.Version = "development"
	}
	return b
}

// Version is the program's version: the stamped one, the module's, or the revision it was built from.
func Version() string { return ThisBuild().Version }

// String is the build as people read it, a fact on a line.
func (b Build) String() string {
	var out strings.Builder
	fmt.Fprintf(&out, "waybill %s\n", b.Version)
	if b.Commit != "" {
		at := ""
		if b.Date != "" {
			at = ", " + day(b.Date)
		}
		if b.Changed {
			at += ", with changes"
		}
		fmt.Fprintf(&out, "commit %s%s\n", b.Commit, at)
	}
	fmt.Fprintf(&out, "%s %s\n", b.Go, b.Platform)
	fmt.Fprintf(&out, "time zones %s (%s)\n", b.Zones, b.ZonesFrom)
	return out.String()
}

// day shows a stamp in UTC; what is none is shown as it is.
func day(stamp string) string {
	if t, err := time.Parse(time.RFC3339, stamp); err == nil {
		return t.UTC().Format(time.RFC3339)
	}
	return stamp
}

func (e *env) showVersion() error {
	b := ThisBuild()
	if e.output == "json" {
		return e.json(b)
	}
	_, err := fmt.Fprint(e.out, b)
	return err
}

func (e *env) versionCommand() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Show the version, the commit and its date, Go's version, and that of the time zone data", Args: cobra.NoArgs,
		RunE: do(func(*cobra.Command, []string) error { return e.showVersion() })}
}
