package file

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/waybill-hub/waybill/internal/drop"
	"github.com/waybill-hub/waybill/internal/drop/droptest"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// racing are folders in which another file comes under the name at the very moment when one is put back.
type racing struct {
	folders
	t  *testing.T
	in droptest.Side
}

type racingFolder struct {
	drop.Folder
	racing
}

func (r racing) Folder(ctx context.Context, dir string) (drop.Folder, error) {
	f, err := r.folders.Folder(ctx, dir)
	return racingFolder{f, r}, err
}

func (f racingFolder) Link(from, to string) error {
	f.in.Put(f.t, to, "sku\n2\n")
	return f.Folder.(drop.Linker).Link(from, to)
}

// TestRetakeTakesNoPlace: a file that comes while another is put back under its name keeps the name, and the other stays where it was.
func TestRetakeTakesNoPlace(t *testing.T) {
	p := place(t)
	s := droptest.SettingsOf(t, p.System+`objects: {stock: {pattern: "*.csv", ready: {when: renamed}}}`, nil)
	var problems strictyaml.Problems
	set := read(s, &problems)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	sys := drop.New(s, set.Objects, racing{folders{filepath.Clean(s.Path(set.Path))}, t, p.Side})
	t.Cleanup(func() {
		err := sys.Close()
		if err != nil {
			t.Error(err)
		}
	})
	p.Side.Put(t, "failed/a.csv", "sku\n1\n")
	p.Side.Put(t, "failed/a.csv.error", "no good\n")
	if err := sys.Retake(t.Context(), "stock", "a.csv"); fault.KindOf(err) != fault.Conflict || errors.Unwrap(err) == nil {
		t.Errorf("%v", err)
	}
	if a, b := p.Side.Content(t, "a.csv"), p.Side.Content(t, "failed/a.csv"); a != "sku\n2\n" || b != "sku\n1\n" {
		t.Errorf("in the drop %q, failed %q", a, b)
	}
}
