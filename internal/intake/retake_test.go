package intake

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/state"
)

// FailedFiles and Retake are what droptest runs on every transport.
func (d *drop) FailedFiles(_ context.Context, _ string, most int) (files []connector.FailedFile, more bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, why := range d.failed {
		files = append(files, connector.FailedFile{Name: name, As: name, Why: why})
	}
	return files[:min(most, len(files))], len(files) > most, nil
}

func (d *drop) Retake(_ context.Context, _, name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.move; err != nil {
		d.move = nil
		return err
	}
	if _, ok := d.failed[name]; !ok {
		return nil
	}
	if slices.ContainsFunc(d.files, func(f connector.File) bool { return f.Name == name }) {
		return fault.New(fault.Conflict, "a file of the name %s lies in the drop", name)
	}
	delete(d.failed, name)
	d.files = append(d.files, connector.File{Name: name, ID: "sha-" + name, Modified: noon})
	return nil
}

// stands tells how many files were taken, and why one has failed.
func (d *drop) stands(file string) (done int, failed string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.done), d.failed[file]
}

func retake(b *bench, file string) {
	b.T.Helper()
	if err := b.Store.AskSource(b.T.Context(), state.SourceWish{Flow: "orders", Kind: state.WishRetake, Of: file, Who: "ann"}, file); err != nil {
		b.T.Fatal(err)
	}
	if b.intake != nil {
		b.intake.Asked("orders")
	}
}

// A file that has failed is taken again when a person says so, also by a hub that begins where another has ended just behind the move: what is stored then says that the
// file is done with.
func TestRetake(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		d := newDrop()
		d.put("cut.csv", "sha-cut.csv", noon, append(rowsOf(1, 2), "?")...)
		b.start(watched(d, 3))
		b.Turn("it fails", func() bool { _, failed := d.stands("cut.csv"); return d.empty() && failed != "" })
		if files, more, err := b.intake.FailedFiles(t.Context(), "orders", 10); err != nil || more || len(files) != 1 {
			t.Fatalf("%+v %v %v", files, more, err)
		}
		b.stop()
		at := place{File: "sha-cut.csv", Name: "cut.csv", Modified: noon, Next: 2, Whole: true, Failed: "it was cut"}
		lease, ok, err := b.Store.AcquireLease(t.Context(), "files/orders", "gone", time.Minute)
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		if _, _, err := b.Store.Accept(t.Context(), nil, &state.Cursor{Flow: "orders", Value: at.String(), Updated: b.Clock.Now()}, &lease); err != nil {
			t.Fatal(err)
		}
		if err := b.Store.ReleaseLease(t.Context(), lease); err != nil {
			t.Fatal(err)
		}
		d.lines["sha-cut.csv"] = rowsOf(1, 4) // its settings were put right
		d.move = fault.New(fault.Unavailable, "the share is gone")
		retake(b, "cut.csv")
		b.start(watched(d, 3))
		b.Turn("it is taken", func() bool {
			done, _ := d.stands("")
			return d.empty() && done == 1 && b.Topic.Count() == 4 && b.asks() == 0
		})
	})
}

// What cannot be taken again is given up with its reason in the audit, and the drop goes on.
func TestRetakeRefused(t *testing.T) {
	onSQLite(t, func(t *testing.T, b *bench) {
		d := newDrop()
		d.failed["a.csv"] = "no good"
		d.put("a.csv", "sha-1", noon, rowsOf(1, 1)...)
		d.put("z.csv", "sha-2", noon, "~") // it is not taken yet
		b.start(watched(d, 3))
		b.Turn("the first is taken", func() bool { done, _ := d.stands(""); return done == 1 })
		d.put("a.csv", "sha-3", noon, rowsOf(2, 1)...)
		retake(b, "a.csv")
		b.Turn("it is refused", func() bool { return b.asks() == 0 })
		acts, err := b.Store.Audits(t.Context(), state.AuditFilter{Action: "retake-refused", Limit: 5})
		if err != nil || len(acts) != 1 || acts[0].Who != "ann" || !strings.Contains(acts[0].Detail, "a.csv: ") || !strings.Contains(acts[0].Detail, "lies in the drop") {
			t.Errorf("%+v %v", acts, err)
		}
		if _, failed := d.stands("a.csv"); failed != "no good" {
			t.Errorf("it does not lie there any more: %q", failed)
		}
	})
}
