package file

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/drop"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// watched are folders whose calls are seen, and may fail.
type watched struct {
	folders
	lists func(dir string) error
	// stat is called behind each look at a name, read before each reading.
	stat func(name string)
	read func()
	open func(name string) error
	// statErr is why a name cannot be looked at.
	statErr func(name string) error
	create  error
	// move is called behind each move; moving before, and it may forbid it.
	move   func(to string)
	moving func() error
}

func (w watched) Folder(ctx context.Context, dir string) (drop.Folder, error) {
	f, err := w.folders.Folder(ctx, dir)
	if err != nil {
		return nil, err
	}
	return watchedFolder{f, w}, nil
}

type watchedFolder struct {
	drop.Folder
	w watched
}

func (f watchedFolder) List(dir string) ([]fs.DirEntry, error) {
	if err := f.w.lists(dir); err != nil {
		return nil, err
	}
	return f.Folder.List(dir)
}

func (f watchedFolder) Create(name string, data []byte, ask func() error) error {
	return cmp.Or(f.w.create, f.Folder.Create(name, data, ask))
}

func (f watchedFolder) Move(info fs.FileInfo, from, to string) error {
	if f.w.moving != nil {
		if err := f.w.moving(); err != nil {
			return err
		}
	}
	err := f.Folder.Move(info, from, to)
	f.w.move(to)
	return err
}

func (f watchedFolder) Open(name string) (drop.File, error) {
	if err := f.w.open(name); err != nil {
		return nil, err
	}
	in, err := f.Folder.Open(name)
	if err != nil {
		return nil, err
	}
	return watchedFile{in, f.w}, nil
}

type watchedFile struct {
	drop.File
	w watched
}

func (f watchedFile) Read(b []byte) (int, error) {
	f.w.read()
	return f.File.Read(b)
}

func (f watchedFolder) Stat(name string) (fs.FileInfo, error) {
	info, err := f.Folder.Stat(name)
	if f.w.statErr != nil && f.w.statErr(name) != nil {
		return nil, f.w.statErr(name)
	}
	f.w.stat(name)
	return info, err
}

// watch opens a system over such folders.
func watch(t *testing.T, s connector.Settings, w watched) *drop.System {
	t.Helper()
	var p strictyaml.Problems
	set := read(s, &p)
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	if w.lists == nil {
		w.lists = func(string) error { return nil }
	}
	if w.stat == nil {
		w.stat = func(string) {}
	}
	if w.read == nil {
		w.read = func() {}
	}
	if w.open == nil {
		w.open = func(string) error { return nil }
	}
	if w.move == nil {
		w.move = func(string) {}
	}
	w.folders = folders{s.Path(set.Path)}
	return drop.New(s, set.Objects, w)
}

// TestClaimsAreListedOnce: a thousand files that come at once are not a thousand looks at the folder of those that are claimed.
func TestClaimsAreListedOnce(t *testing.T) {
	at := place(t)
	for n := range 20 {
		at.Side.Put(t, fmt.Sprintf("%02d.csv", n), fmt.Sprintf("sku\n%d\n", n))
	}
	looks := map[string]int{}
	sys := watch(t, at.Settings(t, "{stock: {claim: mine, ready: {when: renamed}}}"), watched{lists: func(dir string) error { looks[dir]++; return nil }})
	files, err := sys.Pending(t.Context(), "stock")
	if err != nil || len(files) != 20 || looks["."] != 1 || looks["mine"] != 1 {
		t.Errorf("%d files, looks %v, %v", len(files), looks, err)
	}
	if got := len(strings.Fields(at.Side.List(t, "mine"))); got != 20 {
		t.Errorf("%d are claimed", got)
	}
}

// TestFailedFolderCannotBeListed: then nobody would learn of what failed, and that is told.
func TestFailedFolderCannotBeListed(t *testing.T) {
	at := place(t)
	sys := watch(t, at.Settings(t, "{stock: {}}"), watched{lists: func(dir string) error {
		if dir == "failed" {
			return &fs.PathError{Op: "open", Path: dir, Err: fs.ErrPermission}
		}
		return nil
	}})
	if _, err := sys.Pending(t.Context(), "stock"); err != nil {
		t.Fatal(err)
	}
	if notes := sys.FileNotes("stock"); len(notes) != 1 || notes[0].Name != "failed" || !strings.Contains(notes[0].Why, "permission denied") {
		t.Errorf("%+v", notes)
	}
}

// TestFetchedMeanwhile: an interchange that its partner fetches while it is looked whether it is there is not put again, as nothing.
func TestFetchedMeanwhile(t *testing.T) {
	d := exchange(t, exchanged)
	doc := []byte(`{"edi":{"partner":"acme"},"purpose":"00","type":"AC","order_number":"4711","ordered_on":"2026-01-15","lines":[]}`)
	settings := d.Settings(t, "{stock: "+strings.ReplaceAll(exchanged, "PARTNERS", d.dir+"/partners.yaml")+"}")
	at := filepath.Join(d.dir, "stock-1.x12")
	settings.Exchanges = d.ledger
	sys := watch(t, settings, watched{stat: func(name string) {
		if name == "stock-1.x12" {
			_ = os.Remove(at) // the partner
		}
	}})
	if err := os.WriteFile(at, []byte("an interchange"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := sys.Write(t.Context(), connector.Write{Object: "stock", Action: connector.Create, External: "1", IdempotencyKey: "k", Doc: doc})
	if err == nil {
		t.Error("it was there, and nothing is said")
	}
	if data, err := os.ReadFile(at); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("put: %q %v", data, err)
	}
	if _, err := sys.Write(t.Context(), connector.Write{Object: "stock", Action: connector.Create, External: "2", Doc: doc}); err == nil || !strings.Contains(err.Error(), "numbered by its change's id") {
		t.Errorf("without an id: %v", err)
	}
}

// TestGrownInterchanges: what is written to a file while it is looked at is taken with it later, and what is appended after its first rows were taken is known as well.
func TestGrownInterchanges(t *testing.T) {
	d := exchange(t, exchanged)
	first := interchange(t, "x12/850.edi")
	second := strings.Replace(first, "000000001", "000000002", 2)
	grow := func() {}
	settings := d.Settings(t, "{stock: "+strings.ReplaceAll(exchanged, "PARTNERS", d.dir+"/partners.yaml")+"}")
	settings.Exchanges = d.ledger
	d.System = watch(t, settings, watched{read: func() { grow() }})
	read := func(from int) (out []string) {
		files, err := d.Pending(t.Context(), "stock")
		if err != nil || len(files) != 1 {
			t.Fatalf("%+v %v", files, err)
		}
		grow = func() {
			if from < 0 {
				d.Put(d.T, "a.edi", first+second)
			}
		}
		defer func() { grow = func() {} }()
		for row, err := range d.Read(t.Context(), "stock", files[0], max(from, 0)) {
			out = said(out, row.Number, err)
		}
		return out
	}
	d.Put(d.T, "a.edi", first)
	if got := read(-1); len(got) != 1 || !strings.Contains(got[0], "written to while it was read") {
		t.Fatalf("%q", got)
	}
	if got := read(0); strings.Join(got, " ") != "1 2" {
		t.Errorf("%q", got)
	}
	third := strings.Replace(first, "000000001", "000000003", 2)
	d.Put(d.T, "a.edi", first+second+third)
	if got := read(2); strings.Join(got, " ") != "3" {
		t.Errorf("%q", got)
	}
	if err := os.Rename(filepath.Join(d.dir, "a.edi"), filepath.Join(d.dir, "elsewhere")); err != nil {
		t.Fatal(err)
	}
	d.Put(d.T, "b.edi", third)
	if got := d.taken("b.edi"); !strings.Contains(got, "000000003 of acme has come before") {
		t.Errorf("what was appended comes again: %s", got)
	}
}

// noting lets something happen right behind the note of a file's interchanges.
type noting struct {
	connector.Exchanges
	behind func()
}

func (n noting) NoteReceived(ctx context.Context, came []connector.Received) (int, error) {
	known, err := n.Exchanges.NoteReceived(ctx, came)
	n.behind()
	return known, err
}

// TestWrittenToBehindTheNote: a file that is written to between the note of its interchanges and its last row is no duplicate of itself, and neither is one that was replaced right before it was moved away; what
// is appended to one that was taken is refused where it came before, and the same again once it was done with.
func TestWrittenToBehindTheNote(t *testing.T) {
	d := exchange(t, exchanged)
	first := interchange(t, "x12/850.edi")
	second, third := strings.Replace(first, "000000001", "000000002", 2), strings.Replace(first, "000000001", "000000003", 2)
	grow := func() {}
	settings := d.Settings(t, "{stock: "+strings.ReplaceAll(exchanged, "PARTNERS", d.dir+"/partners.yaml")+"}")
	settings.Exchanges = noting{d.ledger, func() { grow() }}
	var moved func() error
	d.System = watch(t, settings, watched{moving: func() error { return moved() }})
	moved = func() error { return nil }
	read := func(from int, want string) connector.File {
		t.Helper()
		files, err := d.Pending(t.Context(), "stock")
		if err != nil || len(files) != 1 {
			t.Fatalf("%+v %v", files, err)
		}
		var out []string
		for row, err := range d.Read(t.Context(), "stock", files[0], from) {
			out = said(out, row.Number, err)
		}
		if got := strings.Join(out, " "); !strings.Contains(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		return files[0]
	}
	d.Put(d.T, "a.edi", first)
	grow = func() { d.Put(d.T, "a.edi", first+second) }
	read(0, "written to while it was read")
	grow = func() {}
	f := read(0, "1 2")
	moved = func() error { return drop.ErrReplaced }
	if err := d.Done(t.Context(), "stock", f, nil); !errors.Is(err, connector.ErrChanged) {
		t.Error(err)
	}
	moved = func() error { return nil }
	d.Put(d.T, "a.edi", first+second+"\n")
	read(0, "1 2")
	d.Put(d.T, "a.edi", first+second+first)
	read(2, "the interchange 000000001 of acme has come before; nothing behind the first 2 messages, which were taken when the file was shorter, was taken")
	d.Put(d.T, "a.edi", first+second+third+third)
	read(2, "the interchange 000000003 of acme has come before")
	d.Put(d.T, "a.edi", first+second+third)
	f = read(2, "3")
	if err := d.Done(t.Context(), "stock", f, nil); err != nil {
		t.Fatal(err)
	}
	d.Put(d.T, "a.edi", first+second+third+"\n")
	f = read(0, "the interchange 000000001 of acme has come before; nothing of the file was taken")
	if err := d.Done(t.Context(), "stock", f, errors.New("it has come before")); err != nil {
		t.Fatal(err)
	}
	d.Put(d.T, "b.edi", strings.Replace(first, "000000001", "000000004", 2))
	read(0, "1")
	d.Put(d.T, "b.edi", strings.Replace(first, "000000001", "000000004", 2)+third)
	read(1, "the interchange 000000003 of acme has come before; nothing behind the first 1 messages")
}

func said(out []string, number int, err error) []string {
	if err != nil {
		return append(out, err.Error())
	}
	return append(out, fmt.Sprint(number))
}

// TestTakenByAnother: a file that somebody else takes while it is claimed is nobody's here, and no failure.
func TestTakenByAnother(t *testing.T) {
	at := place(t)
	gone := func(name string) {
		if err := os.Remove(filepath.Join(at.Dir, name)); err != nil {
			t.Error(err)
		}
	}
	for when, w := range map[string]watched{
		"before": {lists: func(dir string) error {
			if dir == "mine" {
				gone("a.csv")
			}
			return nil
		}},
		"behind": {move: gone},
	} {
		at.Side.Put(t, "a.csv", "sku\n1\n")
		sys := watch(t, at.Settings(t, "{stock: {claim: mine, ready: {when: renamed}}}"), w)
		if files, err := sys.Pending(t.Context(), "stock"); err != nil || len(files) != 0 || len(sys.FileNotes("stock")) != 0 {
			t.Errorf("%s: %+v %v %+v", when, files, err, sys.FileNotes("stock"))
		}
	}
}

// TestNothingCanBeReached: a transport that is gone in the middle of a look ends it. The files are not told of as if each had something.
func TestNothingCanBeReached(t *testing.T) {
	for _, object := range []string{"{ready: {when: renamed}}", "{claim: mine, ready: {when: renamed}}"} {
		at := place(t)
		at.Side.Put(t, "a.csv", "sku\n1\n")
		sys := watch(t, at.Settings(t, "{stock: "+object+"}"), watched{open: func(string) error { return fault.New(fault.Unavailable, "the cable is out") }})
		if _, err := sys.Pending(t.Context(), "stock"); fault.KindOf(err) != fault.Unavailable || !strings.Contains(fmt.Sprint(err), "the cable is out") {
			t.Errorf("%s: %v", object, err)
		}
	}
}

// TestFolderOfTheDone: where it cannot be looked at what lies there, nothing is put over it.
func TestFolderOfTheDone(t *testing.T) {
	at := place(t)
	at.Side.Put(t, "a.csv", "sku\n1\n")
	w := watched{statErr: func(name string) error {
		if strings.HasPrefix(name, "done") {
			return fs.ErrPermission
		}
		return nil
	}}
	sys := watch(t, at.Settings(t, "{stock: {ready: {when: renamed}}}"), w)
	files, err := sys.Pending(t.Context(), "stock")
	if err != nil {
		t.Fatal(err)
	}
	if err := sys.Done(t.Context(), "stock", files[0], nil); err == nil || at.Side.List(t, "done") != "" {
		t.Errorf("%v, done %q", err, at.Side.List(t, "done"))
	}
}

// TestNobodyKnows: a file of which nobody knows whether it was made is told as that, and not as one that was not.
func TestNobodyKnows(t *testing.T) {
	at := place(t)
	sys := watch(t, at.Settings(t, "{stock: {format: jsonl}}"), watched{create: fmt.Errorf("%w: the disk is silent", drop.ErrUnknown)})
	if _, err := sys.Write(t.Context(), connector.Write{Object: "stock", Action: connector.Create, External: "1", Doc: []byte(`{}`)}); fault.KindOf(err) != fault.UnknownOutcome {
		t.Errorf("%v", err)
	}
}
