package droptest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
)

// TestHalfUploads: a file that has not grown for long enough, and may all the same be half an upload, is held back, said so, and then
// taken, or failed as a whole where it ends within a row.
func testHalfUploads(t *testing.T, place Fresh) {
	for name, c := range map[string]struct {
		object, text string
		why          string // it is held back; empty: it is not
		later        string // what is read of it after all
	}{
		"whole":             {"{}", "sku,qty\nA,1\n", "", "1 @2: {\"sku\":\"A\",\"qty\":\"1\"}\n"},
		"whole, CR":         {"{}", "sku,qty\rA,1\r", "", "1 @2: {\"sku\":\"A\",\"qty\":\"1\"}\n"},
		"within a value":    {"{}", "sku,qty\nA,1", "no line end", "1 @2: {\"sku\":\"A\",\"qty\":\"1\"}\n"},
		"within a row":      {"{}", "sku,qty\nA,1\nB", "line 3: the file ends within this row", "0 @0: drop: read x.csv: line 3: the file ends within this row: the row has 1 values, and there are 2 columns; nothing of the file was taken\n"},
		"within quotes":     {"{}", "sku,qty\nA,1\n\"B\n", "a quote is not closed", "1 @2: {\"sku\":\"A\",\"qty\":\"1\"}\n2 @3: drop: read x.csv: line 3: a quote is not closed\n"},
		"within the header": {"{csv: {columns: {sku: text, qty: integer}}}", "sku,q", "no line end", "0 @1: drop: read x.csv: line 1: header: there is no column \"qty\"\n"},
		"a stray quote":     {"{}", "sku,qty\n\"A,1\nB,2\n", "", "1 @2: drop: read x.csv: line 2: a quote is not closed\n2 @3: {\"sku\":\"B\",\"qty\":\"2\"}\n"},
		"empty":             {"{}", "", "the file is empty", ""},
		"JSON":              {"{format: jsonl}", "{\"a\":1}\n{\"a\"", "line 2: the file ends within this row", "0 @0: drop: read x.csv: line 2: the file ends within this row: 1:5: expected \":\", found the end of the document; nothing of the file was taken\n"},
		"no footer":         {"{csv: {footer: END, footer-required: true}}", "sku,qty\nA,1\n", "no row begins with END", "0 @0: drop: read x.csv: no row begins with END, which ends the data: the file is not complete\n"},
		"a footer":          {"{csv: {footer: END, footer-required: true}}", "sku,qty\nA,1\nEND", "", "1 @2: {\"sku\":\"A\",\"qty\":\"1\"}\n"},
		"not asked":         {"{ready: {when: renamed}}", "sku,qty\nA,1\nB", "", "1 @2: {\"sku\":\"A\",\"qty\":\"1\"}\n2 @3: drop: read x.csv: line 3: the row has 1 values, and there are 2 columns\n"},
	} {
		t.Run(name, func(t *testing.T) {
			d := New(t, place(t), c.object)
			d.Put(d.T, "x.csv", c.text)
			d.Files()
			d.Clock.Advance(10 * time.Second)
			files, names := d.Files()
			notes := d.FileNotes("stock")
			if c.why == "" != (names == "x.csv") || c.why == "" != (len(notes) == 0) || c.why != "" && (!strings.Contains(notes[0].Why, c.why) || notes[0].Since.IsZero()) {
				t.Fatalf("after 10 s: pending %q, notes %+v", names, notes)
			}
			if c.why != "" {
				d.Clock.Advance(10*time.Minute - 11*time.Second)
				d.wants("still", "")
				d.Clock.Advance(time.Second)
				if files, names = d.Files(); names != "x.csv" || len(d.FileNotes("stock")) != 0 {
					t.Fatalf("after 10 min: %q %+v", names, d.FileNotes("stock"))
				}
			}
			if got := d.Rows(files[0], 0); got != c.later {
				t.Errorf("read:\n%swant:\n%s", got, c.later)
			}
		})
	}
	t.Run("it goes on", func(t *testing.T) {
		d := New(t, place(t), "{}")
		d.Put(d.T, "x.csv", "sku,qty\nA,1\nB")
		d.Files()
		d.Clock.Advance(time.Minute)
		d.wants("half", "")
		d.Put(d.T, "x.csv", "sku,qty\nA,1\nB,2\n")
		d.wants("just written", "")
		d.Clock.Advance(10 * time.Second)
		files, _ := d.Files()
		if got := d.Rows(files[0], 0); strings.Count(got, "sku") != 2 || len(d.FileNotes("stock")) != 0 {
			t.Errorf("%s", got)
		}
	})
}

// TestNeverFinished: a file that somebody writes to all the time, and one whose upload has ended under its temporary name, are named after cut-after,
// and no more when they are whole.
func testNeverFinished(t *testing.T, place Fresh) {
	d := New(t, place(t), `{pattern: "*.csv", ready: {cut-after: 5m}}`)
	notes := func(want ...string) {
		t.Helper()
		_, names := d.Files()
		got := d.FileNotes("stock")
		if len(got) != len(want) || names != "" {
			t.Fatalf("pending %q, notes %+v, want %q", names, got, want)
		}
		for i := range want {
			if !strings.Contains(got[i].Name+": "+got[i].Why, want[i]) {
				t.Errorf("note %+v, want %s", got[i], want[i])
			}
		}
	}
	d.Put(d.T, "x.csv.part", "sku\n1\n")
	d.Put(d.T, "tmp.txt.part", "not ours")
	text := "sku\n"
	grow := func(n int) {
		for range n {
			text += "1\n"
			d.Put(d.T, "log.csv", text)
			d.Clock.Advance(9 * time.Second)
			d.Files()
		}
	}
	grow(34)
	notes()
	grow(1)
	notes("log.csv: it changes all the time since 2026-03-01T12:00:09Z, and is taken when it has rested for 10s", "x.csv.part: its name says that it is being written, and it has not changed for 5m0s")
	if since := d.FileNotes("stock"); since[0].Since.IsZero() || !since[1].Since.IsZero() {
		t.Errorf("%+v", since)
	}
	d.Put(d.T, "x.csv.part", "sku\n1\n2\n") // it goes on
	d.Files()
	d.Clock.Advance(11 * time.Second)
	d.wants("the file that rests", "log.csv")
	if got := d.FileNotes("stock"); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

// TestWhatIsLeft: everything in a drop that is not taken, and that people may think is, is named with the reason; nothing makes the hub wait.
func testWhatIsLeft(t *testing.T, place Fresh) {
	d := New(t, place(t), `{pattern: "*.csv", ready: {when: renamed}}`)
	d.Put(d.T, "good.csv", "sku\n1\n")
	d.Put(d.T, "notes.txt", "x")
	d.Put(d.T, ".hidden.csv", "x")
	d.Put(d.T, "half.csv.part", "x")
	d.Put(d.T, "done/old.csv", "x")
	d.Put(d.T, "failed/old.csv", "x")
	d.Put(d.T, "other/x.csv", "x")
	d.Put(d.T, "folder.csv/x", "x")
	at := func(name string) string { return filepath.Join(d.Dir, name) }
	if err := os.Symlink(at("good.csv"), at("link.csv")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(at("pipe.csv"), 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", at("socket.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	want := map[string]string{
		"notes.txt":  "its name does not fit the pattern *.csv",
		"folder.csv": "it is a folder, and files of folders below are not taken",
		"link.csv":   "it is a symbolic link, and only files are taken",
		"pipe.csv":   "it is a pipe, and only files are taken",
		"socket.csv": "it is a socket, and only files are taken",
	}
	if os.Getuid() != 0 {
		d.Put(d.T, "locked.csv", "sku\n1\n")
		if err := os.Chmod(at("locked.csv"), 0); err != nil {
			t.Fatal(err)
		}
		want["locked.csv"] = "it cannot be read: "
	}
	d.wants("files alone", "good.csv")
	notes := d.FileNotes("stock")
	for _, n := range notes {
		if w, ok := want[n.Name]; !ok || !strings.HasPrefix(n.Why, w) || !n.Since.IsZero() {
			t.Errorf("%+v, want %q", n, w)
		}
	}
	if len(notes) != len(want) {
		t.Errorf("%d notes, want %d: %+v", len(notes), len(want), notes)
	}
	// A pipe that has come under the name of a file since it was listed, with nobody at its other end.
	for _, err := range d.Read(t.Context(), "stock", connector.File{Name: "pipe.csv"}, 0) {
		if !strings.Contains(err.Error(), "it is a pipe") {
			t.Errorf("%v", err)
		}
	}
}

// TestFailedFilesAreNamed: a file that could not be taken is told of until a person has taken it, or the reason beside it, away.
func testFailedFilesAreNamed(t *testing.T, place Fresh) {
	d := New(t, place(t), `{pattern: "*.csv"}`)
	d.Put(d.T, "failed/ours.csv", "x\n")
	d.Put(d.T, "failed/others.xml", "x\n")
	d.Put(d.T, "failed/folder.csv/x", "x\n")
	d.Put(d.T, "failed/folder.csv.error", "no file of ours\n")
	d.Put(d.T, "failed/others.xml.error", "not ours\n")
	d.wants("nothing has failed", "")
	if notes := d.FileNotes("stock"); len(notes) != 0 {
		t.Fatalf("%+v", notes)
	}
	for range 2 {
		d.Put(d.T, "a.csv", "x\n1\n")
		d.wants("just written", "")
		d.Clock.Advance(time.Minute)
		files, _ := d.Files()
		if len(files) != 1 {
			t.Fatalf("%+v", files)
		}
		if err := d.Done(t.Context(), "stock", files[0], errors.New("no line holds sku")); err != nil {
			t.Fatal(err)
		}
	}
	d.wants("two of a name have failed", "")
	notes := d.FileNotes("stock")
	if len(notes) != 2 || notes[0] != (connector.FileNote{Name: "failed/a.csv", Why: "no line holds sku", Failed: true}) || !notes[1].Failed {
		t.Fatalf("%+v", notes)
	}
	for _, n := range notes {
		d.Remove(t, n.Name+".error")
	}
	d.wants("a person has dealt with them", "")
	if notes := d.FileNotes("stock"); len(notes) != 0 {
		t.Errorf("%+v", notes)
	}
}

// TestMarkersAreNamed: a file without its marker, and a marker without its file.
func testMarkersAreNamed(t *testing.T, place Fresh) {
	d := New(t, place(t), `{ready: {when: marker, marker: .ok}}`)
	d.Put(d.T, "a.csv", "sku\n1\n")
	d.Put(d.T, "b.csv.ok", "")
	d.wants("neither", "")
	notes := d.FileNotes("stock")
	if len(notes) != 2 || notes[0].Why != "its marker a.csv.ok is not there" || notes[1].Why != "it is the marker of a file that is not there" {
		t.Errorf("%+v", notes)
	}
}

// TestOthersFiles: what another object of the system takes from the same folder is not left.
func testOthersFiles(t *testing.T, place Fresh) {
	d := New(t, place(t), `{pattern: "stock-*"}, orders: {pattern: "order-*"}, prices: {path: stock-old-2/prices`+"}")
	d.Put(d.T, "stock-old-2/prices/1.csv", "x\n")
	d.Put(d.T, "stock-old/1.csv", "x\n")
	d.Put(d.T, "order-1.csv", "x\n")
	d.Put(d.T, "price-1.csv", "x\n")
	d.wants("nothing", "")
	if notes := d.FileNotes("stock"); len(notes) != 2 || notes[0].Name != "price-1.csv" || notes[1].Name != "stock-old" {
		t.Errorf("%+v", notes)
	}
}

// TestLooksTheSame: the next file of a name is another one, although it has the size and the time of the one before.
func testLooksTheSame(t *testing.T, place Fresh) {
	d := New(t, place(t), `{ready: {age: 10s}}`)
	var ids []string
	for n := range 2 {
		d.Put(d.T, "a.csv", fmt.Sprintf("sku\n%d\n", n))
		at := filepath.Join(d.Dir, "a.csv")
		if err := os.Chtimes(at, time.Unix(1e9, 0), time.Unix(1e9, 0)); err != nil {
			t.Fatal(err)
		}
		d.wants("just seen", "")
		d.Clock.Advance(10 * time.Second)
		files, names := d.Files()
		if names != "a.csv" {
			t.Fatalf("%q", names)
		}
		ids = append(ids, files[0].ID)
		if err := d.Done(t.Context(), "stock", files[0], nil); err != nil {
			t.Fatal(err)
		}
	}
	if ids[0] == ids[1] {
		t.Error("they have one id")
	}
}

// TestEachObjectRests: a look for one object type forgets nothing of what another has seen.
func testEachObjectRests(t *testing.T, place Fresh) {
	d := New(t, place(t), `{pattern: "stock-*"}, orders: {pattern: "order-*"`+"}")
	d.Put(d.T, "stock-1.csv", "x\n1\n")
	d.Put(d.T, "order-1.csv", "x\n1\n")
	d.wants("just seen", "")
	if files, err := d.Pending(t.Context(), "orders"); err != nil || len(files) != 0 {
		t.Errorf("%+v %v", files, err)
	}
	d.Clock.Advance(10 * time.Second)
	d.wants("it has rested", "stock-1.csv")
}
