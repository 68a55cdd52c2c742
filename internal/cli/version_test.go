package cli

import (
	"bytes"
	"encoding/json"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

func TestBuild(t *testing.T) {
	vcs := &debug.BuildInfo{Main: debug.Module{Version: "(devel)"}, Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "0123456789abcdef0123"}, {Key: "vcs.time", Value: "2026-11-29T10:00:00Z"}, {Key: "vcs.modified", Value: "true"}}}
	for name, tt := range map[string]struct {
		info                  *debug.BuildInfo
		version, commit, date string
		want                  Build
	}{
		"stamped":         {nil, "v1.2.3", "abc", "2026-01-02T03:04:05Z", Build{Version: "v1.2.3", Commit: "abc", Date: "2026-01-02T03:04:05Z"}},
		"stamps go first": {vcs, "v1.2.3", "abc", "2026-01-02T03:04:05Z", Build{Version: "v1.2.3", Commit: "abc", Date: "2026-01-02T03:04:05Z"}},
		"a repository":    {vcs, "", "", "", Build{Version: "0123456789ab+changes", Commit: "0123456789abcdef0123", Date: "2026-11-29T10:00:00Z", Changed: true}},
		"go install":      {&debug.BuildInfo{Main: debug.Module{Version: "v1.0.0"}}, "", "", "", Build{Version: "v1.0.0"}},
		"nothing known":   {nil, "", "", "", Build{Version: "development"}},
	} {
		tt.want.Go, tt.want.Platform = runtime.Version(), runtime.GOOS+"/"+runtime.GOARCH
		if got := buildOf(tt.info, tt.version, tt.commit, tt.date); got != tt.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
	text := Build{Version: "v1", Commit: "abc", Date: "2026-11-29T12:00:00+02:00", Changed: true, Go: "go1.26", Platform: "linux/amd64", Zones: "2026f", ZonesFrom: "embedded"}.String()
	if text != "waybill v1\ncommit abc, 2026-11-29T10:00:00Z, with changes\ngo1.26 linux/amd64\ntime zones 2026f (embedded)\n" {
		t.Error(text)
	}
}

// `waybill version` and `waybill --version` say the same.
func TestVersionCommands(t *testing.T) {
	run := func(args ...string) string {
		var out, errs bytes.Buffer
		if code := Main(t.Context(), args, &out, &errs); code != 0 {
			t.Fatalf("%v: %d %s", args, code, errs.String())
		}
		return out.String()
	}
	if a, b := run("version"), run("--version"); a != b || !strings.HasPrefix(a, "waybill ") || !strings.Contains(a, runtime.Version()) || !strings.Contains(a, "time zones 20") {
		t.Errorf("%q and %q", a, b)
	}
	var b Build
	if err := json.Unmarshal([]byte(run("--version", "--output", "json")), &b); err != nil || b.Go != runtime.Version() || b.Zones == "" {
		t.Errorf("%+v %v", b, err)
	}
}
