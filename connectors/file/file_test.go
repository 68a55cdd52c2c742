package file

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/connector/connectortest"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func settingsOf(t testing.TB, yaml string) connector.Settings {
	t.Helper()
	var p strictyaml.Problems
	docs := strictyaml.Parse("waybill.yaml", []byte(yaml), &p)
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	return connector.Settings{Name: "drop", Node: docs[0]}
}

// drop is a folder and the system that watches it.
type drop struct {
	*system
	t     *testing.T
	dir   string
	clock *lifecycle.Manual
}

func newDrop(t *testing.T, object string) *drop {
	t.Helper()
	d := &drop{t: t, dir: t.TempDir(), clock: lifecycle.NewManual(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))}
	d.reopen(object)
	return d
}

func (d *drop) reopen(object string) {
	d.t.Helper()
	sys, err := Kind{}.Open(d.t.Context(), settingsOf(d.t, "connector: file\npath: "+d.dir+"\nobjects: {stock: "+object+"}"))
	if err != nil {
		d.t.Fatal(err)
	}
	d.system = sys.(*system)
	d.system.clock = d.clock
}

func (d *drop) put(name, text string) {
	d.t.Helper()
	path := filepath.Join(d.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		d.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		d.t.Fatal(err)
	}
}

func (d *drop) pending() (files []connector.File, names string) {
	d.t.Helper()
	files, err := d.Pending(d.t.Context(), "stock")
	if err != nil {
		d.t.Fatal(err)
	}
	var out []string
	for _, f := range files {
		out = append(out, f.Name)
	}
	slices.Sort(out)
	return files, strings.Join(out, " ")
}

func (d *drop) wants(what, want string) {
	d.t.Helper()
	if _, got := d.pending(); got != want {
		d.t.Errorf("%s: pending %q, want %q", what, got, want)
	}
}

// rows reads a file and writes every row on a line.
func (d *drop) rows(f connector.File, from int) string {
	d.t.Helper()
	var out strings.Builder
	for row, err := range d.Read(d.t.Context(), "stock", f, from) {
		if err != nil {
			if _, ok := fault.As(err); !ok {
				d.t.Errorf("not classified: %v", err)
			}
			fmt.Fprintf(&out, "%d @%d: %v\n", row.Number, row.Line, err)
			continue
		}
		fmt.Fprintf(&out, "%d @%d: %s\n", row.Number, row.Line, row.Doc)
	}
	return out.String()
}

func (d *drop) list(dir string) string {
	d.t.Helper()
	entries, err := os.ReadDir(filepath.Join(d.dir, dir))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		d.t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		if !e.IsDir() {
			out = append(out, e.Name())
		}
	}
	return strings.Join(out, " ")
}

func TestProblems(t *testing.T) { connectortest.Problems(t, Kind{}, "testdata/problems") }

func TestConformance(t *testing.T) {
	csv := `{csv: {columns: {code: text, rev: integer}}, write: {name: "{object}-{external}.csv"}}`
	for name, object := range map[string]string{"csv": csv, "jsonl": "{format: jsonl}", "batch": "{format: jsonl, write: {batch: {max: 5, wait: 1ms}}}"} {
		t.Run(name, func(t *testing.T) {
			connectortest.Run(t, func(t *testing.T) *connectortest.Subject {
				dir := t.TempDir()
				return &connectortest.Subject{
					Kind: Kind{}, Settings: settingsOf(t, "connector: file\npath: "+dir+"\nobjects: {stock: "+object+"}"), Object: "stock",
					External: name != "batch",
					Clock: func(sys connector.System, now func() time.Time) {
						sys.(*system).clock = testClock{lifecycle.Real(), now}
					},
					Drop: func(t testing.TB, file string, rows int) {
						text := "code,rev\n"
						line := "\"x\n%[1]d\",%[1]d\n"
						if name != "csv" {
							text, line = "\n", "{\"rev\":%d}\n"
						}
						for n := range rows {
							text += fmt.Sprintf(line, n+1)
						}
						if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
							t.Fatal(err)
						}
					},
					Revision: func(doc jsondoc.Value) int {
						d, _ := doc.Get("rev").Decimal()
						n, _ := d.Int64()
						return int(n)
					},
					Written: func(t testing.TB) int { return documents(t, dir, name) },
					New:     func(n int) string { return fmt.Sprintf(`{"code":"00%d, \"b\"\nc","rev":1}`, n) },
					Probes:  probes(dir, object),
					Faults: []connectortest.Fault{
						{Name: "no folder", Want: fault.Unavailable, Arrange: func(t testing.TB, s *connector.Settings) {
							*s = settingsOf(t, "connector: file\npath: "+dir+"/none\nobjects: {stock: "+object+"}")
						}},
						{Name: "a file for a folder", Want: fault.Unavailable, Arrange: func(t testing.TB, s *connector.Settings) {
							if err := os.WriteFile(dir+"/x", nil, 0o644); err != nil {
								t.Fatal(err)
							}
							*s = settingsOf(t, "connector: file\npath: "+dir+"/x\nobjects: {stock: "+object+"}")
						}},
					},
				}
			})
		})
	}
}

// probes are states of a folder.
func probes(dir, object string) []connectortest.Probe {
	at := func(path, object string) func(testing.TB, *connector.Settings) {
		return func(t testing.TB, s *connector.Settings) {
			*s = settingsOf(t, "connector: file\npath: "+path+"\nobjects: {stock: "+object+"}")
		}
	}
	sub := strings.Replace(object, "{", "{path: sub, ", 1)
	return []connectortest.Probe{
		{Name: "an empty folder"},
		{Name: "files in it", Arrange: func(t testing.TB, _ *connector.Settings) {
			if err := os.WriteFile(filepath.Join(dir, "x"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{Name: "the folder is gone", Want: fault.Unavailable, Create: fault.Unavailable, Text: "none", Arrange: at(dir+"/none", object)},
		{Name: "the object's folder is gone", Want: fault.Unavailable, Create: fault.Unavailable, Text: "sub", Arrange: at(dir, sub)},
		{Name: "a file stands where the folder was", Want: fault.Unavailable, Create: fault.Unavailable, Text: "not a directory", Arrange: func(t testing.TB, _ *connector.Settings) {
			if err := errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600)); err != nil {
				t.Fatal(err)
			}
		}},
	}
}

// documents counts what was written to a folder: files of one document, or lines of batches.
func documents(t testing.TB, dir, kind string) (n int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "stock-*"))
	if err != nil {
		t.Fatal(err)
	}
	if kind != "batch" {
		return len(files)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		n += strings.Count(string(b), "\n")
	}
	return n
}

// testClock tells a test's time.
type testClock struct {
	lifecycle.Clock
	now func() time.Time
}

func (c testClock) Now() time.Time { return c.now() }

func TestStableFiles(t *testing.T) {
	d := newDrop(t, `{pattern: "*.csv", ready: {age: 10s}}`)
	d.put("a.csv", "sku\n1\n")
	d.put("notes.txt", "x")
	d.put(".hidden.csv", "x")
	d.put("b.csv.part", "x")
	d.wants("just seen", "")
	d.clock.Advance(9 * time.Second)
	d.put("a.csv", "sku\n1\n2\n") // still growing
	d.wants("grown", "")
	d.clock.Advance(9 * time.Second)
	d.wants("too young", "")
	if name := d.Ripening("stock"); name != "a.csv" {
		t.Errorf("ripening: %q", name)
	}
	d.clock.Advance(time.Second)
	d.wants("unchanged for long enough", "a.csv")
	if name := d.Ripening("stock") + d.Ripening("nobody"); name != "" {
		t.Errorf("still ripening: %q", name)
	}
	// A copy that keeps the old time is no older for it.
	d.put("c.csv", "sku\n1\n")
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(d.dir, "c.csv"), old, old); err != nil {
		t.Fatal(err)
	}
	d.wants("an old time", "a.csv")
	d.clock.Advance(10 * time.Second)
	files, names := d.pending()
	if names != "a.csv c.csv" || files[0].Name != "c.csv" {
		t.Errorf("%s; the oldest first: %+v", names, files)
	}
	if len(files[0].ID) != 64 || files[0].ID == files[1].ID {
		t.Errorf("ids %s and %s", files[0].ID, files[1].ID)
	}
}

func TestMarkers(t *testing.T) {
	d := newDrop(t, `{ready: {when: marker, marker: .ok}}`)
	d.put("a.csv", "sku\n1\n")
	d.wants("no marker", "")
	d.put("a.csv.ok", "")
	d.put("other.ok", "")
	d.wants("with a marker", "a.csv")
	files, _ := d.pending()
	if err := d.Done(t.Context(), "stock", files[0], nil); err != nil {
		t.Fatal(err)
	}
	if got := d.list("."); got != "other.ok" || d.list("done") != "a.csv" {
		t.Errorf("left %q, done %q", got, d.list("done"))
	}
}

func TestDone(t *testing.T) {
	d := newDrop(t, `{path: in, ready: {when: renamed}}`)
	take := func(failed error) connector.File {
		t.Helper()
		files, _ := d.pending()
		if len(files) != 1 {
			t.Fatalf("%d files", len(files))
		}
		if err := d.Done(t.Context(), "stock", files[0], failed); err != nil {
			t.Fatal(err)
		}
		return files[0]
	}
	d.put("in/a.csv", "sku\n1\n")
	first := take(nil)
	if err := d.Done(t.Context(), "stock", first, nil); err != nil {
		t.Errorf("again, after a restart: %v", err)
	}
	d.put("in/a.csv", "sku\n2\n")
	second := take(nil)
	if first.ID == second.ID {
		t.Error("another content has the same id")
	}
	if got := d.list("in/done"); got != "a.csv a.csv."+second.ID[:12] {
		t.Errorf("done: %s", got)
	}
	d.put("in/b.csv", "junk")
	take(errors.New("line 1: header: no column sku"))
	if got := d.list("in/failed"); got != "b.csv b.csv.error" {
		t.Errorf("failed: %s", got)
	}
	if b, _ := os.ReadFile(filepath.Join(d.dir, "in/failed/b.csv.error")); string(b) != "line 1: header: no column sku\n" {
		t.Errorf("%s", b)
	}
	// Replaced while it was taken: the new one must not be moved away unread.
	d.put("in/c.csv", "sku\n1\n")
	files, _ := d.pending()
	d.put("in/c.csv", "sku\n1\n2\n")
	if err := d.Done(t.Context(), "stock", files[0], nil); !errors.Is(err, connector.ErrChanged) {
		t.Fatal(err)
	}
	d.wants("the new file", "c.csv")
	if got := d.rows(files[0], 0); !strings.Contains(got, "changed since it was listed") {
		t.Errorf("%s", got)
	}
}

func TestNothingOutside(t *testing.T) {
	d := newDrop(t, `{path: in, ready: {when: renamed}}`)
	d.put("in/x.csv", "sku\n1\n")
	secret := filepath.Join(t.TempDir(), "secret.csv")
	if err := os.WriteFile(secret, []byte("sku\nleak\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, filepath.Join(d.dir, "in/link.csv")); err != nil {
		t.Fatal(err)
	}
	d.wants("no links", "x.csv")
	for _, name := range []string{"../secret.csv", secret, "link.csv", "..", "", "sub/x.csv"} {
		if got := d.rows(connector.File{Name: name}, 0); strings.Contains(got, "leak") || got == "" {
			t.Errorf("%q: %s", name, got)
		}
		_ = d.Done(t.Context(), "stock", connector.File{Name: name, Size: 10}, nil)
	}
	if _, err := os.Stat(secret); err != nil {
		t.Errorf("it was moved: %v", err)
	}
}

func TestUnknownObject(t *testing.T) {
	d := newDrop(t, `{}`)
	_, err := d.Pending(t.Context(), "stok")
	if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), `"stock"`) {
		t.Errorf("%v", err)
	}
}
