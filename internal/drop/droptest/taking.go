package droptest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
)

func testStableFiles(t *testing.T, place Fresh) {
	d := New(t, place(t), `{pattern: "*.csv", ready: {age: 10s}}`)
	d.Put(d.T, "a.csv", "sku\n1\n")
	d.Put(d.T, "notes.txt", "x")
	d.Put(d.T, ".hidden.csv", "x")
	d.Put(d.T, "b.csv.part", "x")
	d.wants("just seen", "")
	d.Clock.Advance(9 * time.Second)
	d.Put(d.T, "a.csv", "sku\n1\n2\n") // still growing
	d.wants("grown", "")
	d.Clock.Advance(9 * time.Second)
	d.wants("too young", "")
	if name := d.Ripening("stock"); name != "a.csv" {
		t.Errorf("ripening: %q", name)
	}
	d.Clock.Advance(time.Second)
	d.wants("unchanged for long enough", "a.csv")
	if name := d.Ripening("stock") + d.Ripening("nobody"); name != "" {
		t.Errorf("still ripening: %q", name)
	}
	// A copy that keeps the old time is no older for it.
	d.Put(d.T, "c.csv", "sku\n1\n")
	old := time.Now().Add(-time.Hour)
	if d.Dir != "" {
		if err := os.Chtimes(filepath.Join(d.Dir, "c.csv"), old, old); err != nil {
			t.Fatal(err)
		}
	}
	d.wants("an old time", "a.csv")
	d.Clock.Advance(10 * time.Second)
	files, names := d.Files()
	if names != "a.csv c.csv" || d.Dir != "" && files[0].Name != "c.csv" {
		t.Errorf("%s; the oldest first: %+v", names, files)
	}
	if len(files[0].ID) != 64 || files[0].ID == files[1].ID {
		t.Errorf("ids %s and %s", files[0].ID, files[1].ID)
	}
}

func testMarkers(t *testing.T, place Fresh) {
	d := New(t, place(t), `{ready: {when: marker, marker: .ok}}`)
	d.Put(d.T, "a.csv", "sku\n1\n")
	d.wants("no marker", "")
	d.Put(d.T, "a.csv.ok", "")
	d.Put(d.T, "other.ok", "")
	d.wants("with a marker", "a.csv")
	files, _ := d.Files()
	if err := d.Done(t.Context(), "stock", files[0], nil); err != nil {
		t.Fatal(err)
	}
	if got := d.List(d.T, "."); got != "other.ok" || d.List(d.T, "done") != "a.csv" {
		t.Errorf("left %q, done %q", got, d.List(d.T, "done"))
	}
}

func testDone(t *testing.T, place Fresh) {
	d := New(t, place(t), `{path: in, ready: {when: renamed}}`)
	take := func(failed error) connector.File {
		t.Helper()
		files, _ := d.Files()
		if len(files) != 1 {
			t.Fatalf("%d files", len(files))
		}
		if err := d.Done(t.Context(), "stock", files[0], failed); err != nil {
			t.Fatal(err)
		}
		return files[0]
	}
	d.Put(d.T, "in/a.csv", "sku\n1\n")
	first := take(nil)
	if err := d.Done(t.Context(), "stock", first, nil); err != nil {
		t.Errorf("again, after a restart: %v", err)
	}
	d.Put(d.T, "in/a.csv", "sku\n2\n")
	second := take(nil)
	if first.ID == second.ID {
		t.Error("another content has the same id")
	}
	if got := d.List(d.T, "in/done"); got != "a.csv a.csv."+second.ID[:12] {
		t.Errorf("done: %s", got)
	}
	for range 2 { // the very same again: every one of them is kept
		d.Put(d.T, "in/a.csv", "sku\n2\n")
		take(nil)
	}
	if got, same := d.List(d.T, "in/done"), "a.csv."+second.ID[:12]; got != "a.csv "+same+" "+same+"-2 "+same+"-3" {
		t.Errorf("done: %s", got)
	}
	d.Put(d.T, "in/b.csv", "junk")
	take(errors.New("line 1: header: no column sku"))
	if got := d.List(d.T, "in/failed"); got != "b.csv b.csv.error" {
		t.Errorf("failed: %s", got)
	}
	if b := d.Content(t, "in/failed/b.csv.error"); b != "line 1: header: no column sku\n" {
		t.Errorf("%s", b)
	}
	// Replaced while it was taken: the new one must not be moved away unread.
	d.Put(d.T, "in/c.csv", "sku\n1\n")
	files, _ := d.Files()
	d.Put(d.T, "in/c.csv", "sku\n1\n2\n")
	if err := d.Done(t.Context(), "stock", files[0], nil); !errors.Is(err, connector.ErrChanged) {
		t.Fatal(err)
	}
	d.wants("the new file", "c.csv")
	if got := d.Rows(files[0], 0); !strings.Contains(got, "changed since it was listed") {
		t.Errorf("%s", got)
	}
}

func testNothingOutside(t *testing.T, place Fresh) {
	d := New(t, place(t), `{path: in, ready: {when: renamed}}`)
	d.Put(d.T, "in/x.csv", "sku\n1\n")
	secret := filepath.Join(t.TempDir(), "secret.csv")
	if err := os.WriteFile(secret, []byte("sku\nleak\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, filepath.Join(d.Dir, "in/link.csv")); err != nil {
		t.Fatal(err)
	}
	d.wants("no links", "x.csv")
	for _, name := range []string{"../secret.csv", secret, "link.csv", "..", "", "sub/x.csv"} {
		if got := d.Rows(connector.File{Name: name}, 0); strings.Contains(got, "leak") || got == "" {
			t.Errorf("%q: %s", name, got)
		}
		_ = d.Done(t.Context(), "stock", connector.File{Name: name, Size: 10}, nil)
	}
	if _, err := os.Stat(secret); err != nil {
		t.Errorf("it was moved: %v", err)
	}
}

func testUnknownObject(t *testing.T, place Fresh) {
	d := New(t, place(t), `{}`)
	_, err := d.Pending(t.Context(), "stok")
	if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), `"stock"`) {
		t.Errorf("%v", err)
	}
}
