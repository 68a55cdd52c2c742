package flowtest

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/connectors"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/library"
	"github.com/waybill-hub/waybill/internal/schedule"
)

var update = flag.Bool("update", false, "write the golden files")

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s (run with -update to accept)\ngot:\n%s\nwant:\n%s", file, got, want)
	}
}

// anywhere answers for every variable.
type anywhere struct{}

func (anywhere) Env(name string) (string, bool) {
	switch {
	case strings.HasSuffix(name, "_URL"), strings.HasSuffix(name, "_CONTROL"):
		return "http://127.0.0.1:9", true
	case strings.HasSuffix(name, "_SECRET"):
		return "whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", true
	}
	return "placeholder", true
}

func (anywhere) File(string) ([]byte, error) { return []byte("placeholder"), nil }

func load(t testing.TB, root string) *config.Plan {
	t.Helper()
	kinds, err := connector.NewRegistry(connectors.All()...)
	if err != nil {
		t.Fatal(err)
	}
	plan, problems := config.Load(config.RootPaths(root), config.Options{Kinds: kinds.Map(), Resolver: anywhere{}, Library: library.Shipped(), Cron: func(line, zone string) error {
		_, err := schedule.Parse(line, zone)
		return err
	}})
	if problems.Len() > 0 {
		t.Fatal(config.FormatText(problems))
	}
	return plan
}

func open(t testing.TB, file string) File {
	t.Helper()
	f, err := Open(file)
	if err != nil {
		t.Fatal(err)
	}
	f.Name = filepath.Base(file)
	return f
}

func report(t testing.TB, o Options, plan *config.Plan, files ...File) (string, *Report) {
	t.Helper()
	var b strings.Builder
	o.Each = func(r Result) { b.WriteString(FormatResult(&r)) }
	rep, err := Run(t.Context(), plan, files, o)
	if err != nil {
		t.Fatal(err)
	}
	return b.String() + FormatEnd(rep), rep
}

// TestRun compares the whole output of test files that pass, fail and are broken.
func TestRun(t *testing.T) {
	plan := load(t, "testdata/project")
	files, err := filepath.Glob("testdata/run/*_test.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		base := strings.TrimSuffix(file, "_test.yaml")
		t.Run(filepath.Base(base), func(t *testing.T) {
			text, rep := report(t, Options{}, plan, open(t, file))
			golden(t, base+".golden", text)
			golden(t, base+".json.golden", FormatJSON(rep))
			if ok := strings.HasSuffix(base, "pass"); rep.OK() != ok {
				t.Errorf("OK is %v", rep.OK())
			}
			for _, r := range rep.Results {
				for _, d := range r.Differences {
					if d.Pos.Line == 0 || d.Pos.Col == 0 {
						t.Errorf("no place: %v", d)
					}
				}
			}
			for _, p := range rep.Problems.List() {
				if p.Line == 0 || p.Col == 0 {
					t.Errorf("no place: %s", p)
				}
			}
		})
	}
}

func TestRunSelectsByName(t *testing.T) {
	plan := load(t, "testdata/project")
	for re, want := range map[string]int{"^gone$": 1, "gone": 2, "^customers-to-erp/": 4, "": 19, "nothing like it": 0} {
		_, rep := report(t, Options{Run: regexp.MustCompile(re)}, plan, open(t, "testdata/run/pass_test.yaml"))
		if len(rep.Results) != want {
			t.Errorf("%q selects %d cases, want %d", re, len(rep.Results), want)
		}
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Run(ctx, load(t, "testdata/project"), []File{open(t, "testdata/run/pass_test.yaml")}, Options{})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestShipped runs the tests of the content that comes with the hub.
func TestShipped(t *testing.T) {
	files, err := Find(config.RootPaths("../.."))
	if err != nil {
		t.Fatal(err)
	}
	text, rep := report(t, Options{}, load(t, "../.."), files...)
	if !rep.OK() {
		t.Errorf("\n%s", text)
	}
	t.Log(FormatEnd(rep))
}

// TestUpdate rewrites copies of files and compares what they say then.
func TestUpdate(t *testing.T) {
	plan := load(t, "testdata/project")
	files, err := filepath.Glob("testdata/update/*_test.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		base := strings.TrimSuffix(file, "_test.yaml")
		for _, style := range []string{"\n", "\r\n"} {
			t.Run(filepath.Base(base), func(t *testing.T) {
				data, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				copied := filepath.Join(t.TempDir(), filepath.Base(file))
				if err := os.WriteFile(copied, []byte(strings.ReplaceAll(string(data), "\n", style)), 0o600); err != nil {
					t.Fatal(err)
				}
				f, err := Open(copied)
				if err != nil {
					t.Fatal(err)
				}
				text, rep := report(t, Options{Update: true}, plan, f)
				if len(rep.Updated) != 1 {
					t.Fatalf("nothing is rewritten:\n%s", text)
				}
				if f, err = Open(copied); err != nil {
					t.Fatal(err)
				}
				if style == "\r\n" && strings.Count(string(f.Data), "\r\n") != strings.Count(string(f.Data), "\n") {
					t.Error("line ends are mixed")
				}
				again, rep := report(t, Options{Update: true}, plan, f)
				if len(rep.Updated) != 0 {
					t.Errorf("rewritten twice:\n%s", again)
				}
				got := strings.ReplaceAll(string(f.Data), "\r\n", "\n") + "\n" + strings.ReplaceAll(text, copied, filepath.Base(file))
				golden(t, base+".golden", got)
			})
		}
	}
}
