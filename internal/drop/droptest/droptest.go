// Package droptest is the suite that every transport of drops passes: what is complete, what is taken, where it goes, what is written, and that nothing is lost or
// doubled wherever a hub ends.
package droptest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/drop"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Side is the other side of a drop: somebody who puts files there and looks at them, without the hub. Names are below the system's path.
type Side interface {
	// Put makes a file, or replaces it.
	Put(t testing.TB, name, text string)
	// List gives the names of the files of one folder, sorted, with blanks between; a folder that is not there has none.
	List(t testing.TB, dir string) string
	Content(t testing.TB, name string) string
	Remove(t testing.TB, name string)
}

// Place is one empty drop.
type Place struct {
	Kind connector.Kind
	// System is the YAML of the system without its objects, with a line end.
	System string
	// Env are the secrets, to which the YAML refers.
	Env  Env
	Side Side
	// Coarse: two files of one size and name that come within a second look the same.
	Coarse bool
	// Dir is where it lies on this machine; empty: elsewhere.
	Dir string
}

// Fresh makes an empty place.
type Fresh func(t testing.TB) Place

// Settings are those of a system with these objects, in flow style, such as {stock: {format: jsonl}}.
func (p Place) Settings(t testing.TB, objects string) connector.Settings {
	return SettingsOf(t, p.System+"objects: "+objects+"\n", p.Env)
}

// Env answers ${env:NAME}.
type Env map[string]string

func (e Env) Env(name string) (string, bool) { v, ok := e[name]; return v, ok }

// File has none.
func (Env) File(string) ([]byte, error) { return nil, os.ErrNotExist }

// SettingsOf reads the YAML of a system.
func SettingsOf(t testing.TB, yaml string, env Env) connector.Settings {
	t.Helper()
	var p strictyaml.Problems
	docs := strictyaml.ParseWith("waybill.yaml", []byte(yaml), env, &p)
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	return connector.Settings{Name: "drop", Node: docs[0]}
}

// Drop is a place and the system that watches it, whose clock stands.
type Drop struct {
	*drop.System
	Place
	Side
	T     *testing.T
	Clock *lifecycle.Manual
}

// New opens a system with one object type, stock.
func New(t *testing.T, place Place, object string) *Drop {
	t.Helper()
	d := &Drop{T: t, Place: place, Side: place.Side, Clock: lifecycle.NewManual(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))}
	d.Reopen(object)
	return d
}

// Reopen opens the system anew, as a restart does. Files are claimed where the object says so, whatever the kind's default is.
func (d *Drop) Reopen(object string) {
	d.T.Helper()
	if !strings.Contains(object, "claim:") {
		object = strings.TrimSuffix(strings.Replace(object, "{", `{claim: "", `, 1), ", }")
		if strings.HasSuffix(object, `""`) {
			object += "}"
		}
	}
	sys, err := d.Kind.Open(d.T.Context(), d.Settings(d.T, "{stock: "+object+"}"))
	if err != nil {
		d.T.Fatal(err)
	}
	d.System = sys.(*drop.System)
	d.System.Clock = d.Clock
	d.T.Cleanup(func() {
		if err := sys.Close(); err != nil {
			d.T.Errorf("close: %v", err)
		}
	})
}

// Files gives what is complete, and the names of it.
func (d *Drop) Files() (files []connector.File, names string) {
	d.T.Helper()
	files, err := d.Pending(d.T.Context(), "stock")
	if err != nil {
		d.T.Fatal(err)
	}
	var out []string
	for _, f := range files {
		out = append(out, f.Name)
	}
	slices.Sort(out)
	return files, strings.Join(out, " ")
}

func (d *Drop) wants(what, want string) {
	d.T.Helper()
	if _, got := d.Files(); got != want {
		d.T.Errorf("%s: pending %q, want %q", what, got, want)
	}
}

// Rows reads a file and writes every row on a line.
func (d *Drop) Rows(f connector.File, from int) string {
	d.T.Helper()
	var out strings.Builder
	for row, err := range d.Read(d.T.Context(), "stock", f, from) {
		if err != nil {
			if _, ok := fault.As(err); !ok {
				d.T.Errorf("not classified: %v", err)
			}
			fmt.Fprintf(&out, "%d @%d: %v\n", row.Number, row.Line, err)
			continue
		}
		fmt.Fprintf(&out, "%d @%d: %s\n", row.Number, row.Line, row.Doc)
	}
	return out.String()
}

// Deliver writes a new document.
func (d *Drop) Deliver(external, doc string) (connector.Result, error) {
	return d.Write(d.T.Context(), connector.Write{Object: "stock", Action: connector.Create, External: external, Doc: []byte(doc)})
}

// Dir is a folder of this machine as the other side of a drop.
type Dir string

func (d Dir) Put(t testing.TB, name, text string) {
	t.Helper()
	path := filepath.Join(string(d), name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func (d Dir) List(t testing.TB, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(string(d), dir))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		if !e.IsDir() {
			out = append(out, e.Name())
		}
	}
	return strings.Join(out, " ")
}

func (d Dir) Content(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(string(d), name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (d Dir) Remove(t testing.TB, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(string(d), name)); err != nil {
		t.Fatal(err)
	}
}

// Run runs the suite.
func Run(t *testing.T, place Fresh) {
	for name, test := range map[string]func(*testing.T, Fresh){
		"changes": testChanges, "a change that comes again": testChangeThatComesAgain, "change file": testChangeFile, "grouped": testGrouped,
		"written to": testWrittenTo, "half uploads": testHalfUploads, "never finished": testNeverFinished, "failed files are named": testFailedFilesAreNamed, "failed files are taken again": testRetake,
		"markers": testMarkers, "markers are named": testMarkersAreNamed, "others' files": testOthersFiles, "stable files": testStableFiles, "done": testDone,
		"unknown object": testUnknownObject, "the same again at once": testSameAgain,
		"two hubs that end anywhere": testEndsAnywhere, "taken names": testTakenNames, "taken away": testTakenAway, "names alone": testNamesAlone,
		"claims": testClaims, "claimed has rested": testClaimedHasRested, "claimed markers": testClaimedMarkers, "claimed by one": testClaimedByOne, "reader goes": testReaderGoes, "each object rests": testEachObjectRests, "formats": testFormats,
	} {
		t.Run(name, func(t *testing.T) { test(t, place) })
	}
	if place(t).Dir != "" {
		t.Run("what is left", func(t *testing.T) { testWhatIsLeft(t, place) })
		t.Run("looks the same", func(t *testing.T) { testLooksTheSame(t, place) })
		t.Run("nothing outside", func(t *testing.T) { testNothingOutside(t, place) })
	}
}
